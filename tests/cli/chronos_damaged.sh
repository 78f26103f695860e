# Model files that are torn, mistyped, misshapen or full of NaN: a message that names file and tensor, never a crash.
export FORETELL_MODELS=$PWD/store
fresh() { rm -rf model && cp -rL "$1" model && chmod -R u+w model; }
try() { # try "what was done": the model must be refused with exit code 3 or 4
    echo "# $1"
    foretell forecast "$DATA/monthly.csv" -H 2 -q -m chronos:./model 2>&1
    local rc=$?
    [ $rc = 3 ] || [ $rc = 4 ] && echo "[exit $rc]" || echo "NO: exit code $rc"
}
# header PERL: the text of the header, changed without changing its length
header() { perl -0777 -i -pe 's!^(.{8}.*?\}\})!my $h = $1; $h =~ '"$1"'; $h!se' model/model.safetensors; }
for toy in toy-chronos-t5 toy-chronos-bolt toy-chronos2; do
    fresh "$DATA/$toy"
    size=$(stat -c %s model/model.safetensors)
    for part in 0 4 100 $((size / 2)) $((size - 1)); do
        head -c $part "$DATA/$toy/model.safetensors" >model/model.safetensors
        try "$toy: torn after $part of $size bytes" | sed "s/$size/SIZE/g"
    done
    fresh "$DATA/$toy"
    perl -0777 -i -pe 'substr($_, 0, 8) = pack("Q<", 1 << 62)' model/model.safetensors
    try "$toy: a header longer than the file"
    fresh "$DATA/$toy"
    perl -0777 -i -pe 'substr($_, -400) = pack("f<", "nan") x 100' model/model.safetensors
    try "$toy: NaN at the end"
    fresh "$DATA/$toy"
    header 's/"dtype":"./"dtype":"Q/'
    try "$toy: a type that there is not"
    fresh "$DATA/$toy"
    header 's/"shape":\[(\d)(\d*),/"shape":[@{[$1 + 1]}$2,/'
    try "$toy: a shape that does not fit"
    fresh "$DATA/$toy"
    header 's/encoder\.block\.0/encoder.block.9/'
    try "$toy: a tensor under another name"
    fresh "$DATA/$toy"
    perl -i -pe 's/("num_layers": )\d+/${1}1/' model/config.json
    try "$toy: a config of fewer layers than the weights have"
    fresh "$DATA/$toy"
    rm model/model.safetensors
    try "$toy: no weights"
done
fresh "$DATA/toy-chronos-gpt2"
perl -0777 -i -pe 'substr($_, -400) = pack("f<", "inf") x 100' model/model.safetensors
try "toy-chronos-gpt2: infinities at the end"
fresh "$DATA/toy-chronos2"
perl -0777 -i -pe 'substr($_, 8 + unpack("Q<", $_), 4) = pack("f<", "nan")' model/model.safetensors
try "toy-chronos2: NaN in front"
fresh "$DATA/toy-chronos-t5"
header 's/"F32"/"I32"/'
try "a tensor of integers"
config() { # config PERL "what was done"
    fresh "$DATA/toy-chronos-bolt"
    perl -0777 -i -pe "$1" model/config.json
    try "$2"
}
config 's/\{/[/' "config: no JSON"
config '$_ = "[1, 2]"' "config: a list"
config '$_ = "{}"' "config: of nothing"
config 's/ChronosBoltPipeline/ChronosNinePipeline/' "config: another pipeline"
config 's/"chronos_config": \{/"chronos_config": null, "x": {/' "config: no chronos_config"
config 's/"d_model": \d+/"d_model": 9223372036854775807/' "config: an enormous width"
config 's/"d_model": \d+/"d_model": -8/' "config: a negative width"
config 's/"d_model": \d+/"d_model": "8"/' "config: a width in quotes"
config 's/"d_model": \d+/"d_model": 8.5/' "config: half a width"
config 's/"num_layers": \d+/"num_layers": 100000/' "config: too many layers"
config 's/"input_patch_size": \d+/"input_patch_size": 0/' "config: patches of nothing"
config 's/"prediction_length": \d+/"prediction_length": 100000000/' "config: a horizon beyond all weights"
config 's/0\.9\b/0.1/' "config: levels that do not increase"
config 's/"quantiles": \[/"quantiles": [0.05, /' "config: one level more than the weights have"
fresh "$DATA/toy-chronos2"
mkdir adapter && echo '{}' >adapter/adapter_config.json
show forecast "$DATA/monthly.csv" -H 2 -q -m chronos:./model,adapter=./adapter
show forecast "$DATA/monthly.csv" -H 2 -q -m chronos:./adapter
