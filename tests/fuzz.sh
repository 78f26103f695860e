#!/usr/bin/env bash
# Runs every fuzzer of a build folder for some seconds, as many at once as there are processors.
#
#     tests/fuzz.sh BUILD_FOLDER SECONDS
#
# A fuzzer starts from tests/fuzz/corpus/NAME (never written to) and from what earlier runs found, kept in
# BUILD_FOLDER/corpus/NAME. An input that breaks something is left in BUILD_FOLDER/crashes, and its log is shown.
# The last line is "6 passed, 0 failed, 0 skipped", left also in BUILD_FOLDER/test-counts.
set -uo pipefail

folder=$1
seconds=$2
here=$(cd "$(dirname "$0")" && pwd)
jobs=$(nproc 2>/dev/null || echo 2)
mkdir -p "$folder/crashes"
rm -f "$folder/test-counts" "$folder"/crashes/*.log

one() { # one FUZZER
    local name=${1##*/fuzz_}
    local found=$folder/corpus/$name seeds=$here/fuzz/corpus/$name words=$here/fuzz/$name.dict
    local log=$folder/crashes/$name.log
    local arguments=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$folder/crashes/$name-"
        -print_final_stats=1)
    mkdir -p "$found"
    [ ! -f "$words" ] || arguments+=(-dict="$words")
    arguments+=("$found")
    [ ! -d "$seeds" ] || arguments+=("$seeds")
    if "$1" "${arguments[@]}" >"$log" 2>&1 </dev/null; then
        echo "fuzz_$name: $(sed -nE 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s, nothing broke"
        rm -f "$log"
    else
        echo "fuzz_$name: FAILED"
    fi
}

fuzzers=()
for program in "$folder"/tests/fuzz_*; do [ -x "$program" ] && [ -f "$program" ] && fuzzers+=("$program"); done
for program in "${fuzzers[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    one "$program" &
done
wait

failed=0
for log in "$folder"/crashes/*.log; do
    [ -f "$log" ] || continue
    failed=$((failed + 1))
    echo "--- $log"
    tail -n 40 "$log"
done
if [ ${#fuzzers[@]} = 0 ]; then
    echo "no fuzzer in $folder/tests" >&2
    failed=1
    fuzzers=(none)
fi
echo "$((${#fuzzers[@]} - failed)) passed, $failed failed, 0 skipped" | tee "$folder/test-counts"
[ "$failed" = 0 ]
