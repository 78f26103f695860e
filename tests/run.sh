#!/usr/bin/env bash
# Runs the tests of a build folder by CTest, says loudly what was skipped and why, and closes with the counts.
#
#     tests/run.sh BUILD_FOLDER [ctest options]
#
# The last line, "12 passed, 0 failed, 1 skipped", is also left in BUILD_FOLDER/test-counts.
set -uo pipefail

folder=$1
shift
jobs=$(nproc 2>/dev/null || echo 2)
listing=$folder/test-listing
rm -f "$folder/test-counts"

ctest --test-dir "$folder" --output-on-failure -j "$jobs" "$@" </dev/null 2>&1 | tee "$listing"
status=${PIPESTATUS[0]}

passed=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: .* Passed +[0-9.]+ sec' "$listing")
skipped=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: .*\*\*\*Skipped' "$listing")
total=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: ' "$listing")
failed=$((total - passed - skipped))
if [ "$total" = 0 ]; then
    echo "no test ran" >&2
    failed=1
    status=1
fi

# What was skipped, with the reason each gave: a whole program (exit code 77), or single tests within one.
reasons=$(grep -hE '^SKIPPED: |^\[  SKIPPED \] [a-z]' "$folder/Testing/Temporary/LastTest.log" | sort | uniq -c)
if [ "$skipped" -gt 0 ] || [ -n "$reasons" ]; then
    echo
    echo "=============================== SKIPPED ==============================="
    grep -E '\*\*\*Skipped' "$listing" | sed -E 's/.*Test +#[0-9]+: ([^ ]+).*/not run: \1/'
    [ -z "$reasons" ] || printf '%s\n' "$reasons" | sed -E 's/^ *([0-9]+) /\1 x /'
    echo "======================================================================="
fi
echo
echo "$passed passed, $failed failed, $skipped skipped" | tee "$folder/test-counts"
[ "$status" = 0 ] && [ "$failed" = 0 ]
