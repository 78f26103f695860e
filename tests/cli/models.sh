# The model store: adding, listing, removing, what goes wrong; downloads as far as they go without a network.
export FORETELL_MODELS=$PWD/store
unset http_proxy all_proxy ALL_PROXY
mkdir -p runs/tuned empty
echo '{}' >runs/tuned/config.json
cp "$DATA/weights/types.safetensors" runs/tuned/model.safetensors
here() { sed "s|$PWD|HERE|g"; }
show models list | here
show models add mine runs/tuned | here
show models add other ./runs/../runs/tuned --json -q | here
show models list | here
show models list --json | here
show models add mine runs/tuned | here
show models add broken empty | here
show models add ../x runs/tuned
show models add file runs/tuned/config.json
show models add mine
show info mine 2>&1 | here
show info nobody
show models remove mine
show models remove mine | here
show models remove other --json -q
show models listing
check "eleven checkpoints can be downloaded" test "$(foretell models download | wc -l)" = 11
foretell models download --json | head -c 90; echo
show models download chronos-9
if foretell models download chronos-2 --url http://127.0.0.1:1 2>&1 | grep -q 'without libcurl'; then
    echo "SKIPPED: built without libcurl" >&2
    exit 77
fi
foretell models download chronos-2 --url http://127.0.0.1:1 2>&1 | sed 's/config.json: [^;]*;/config.json: REASON;/'
echo "[exit ${PIPESTATUS[0]}]"
unset FORETELL_MODELS
XDG_DATA_HOME=$PWD/data foretell models list 2>&1 | here
XDG_DATA_HOME='' HOME=$PWD/home foretell models list 2>&1 | here
