#!/usr/bin/env bash
# exports.sh LIBRARY HEADERS: which names the library takes in the programs that link it.
#
# It exports every function that the public headers declare, and nothing else; their names begin with ftl_.
set -uo pipefail
library=$1 headers=$2
failed=0
expect_none() { # expect_none WHAT NAMES
    [ -z "$2" ] && return
    printf '%s:\n%s\n' "$1" "$2"
    failed=1
}

exported=$(nm --dynamic --defined-only --format=posix "$library" | cut -d ' ' -f 1 | LC_ALL=C sort -u)
[ -n "$exported" ] || { echo "$library exports nothing, or nm cannot read it"; exit 1; }
expect_none "$library exports, though not part of the API" "$(grep -v '^ftl_' <<<"$exported")"

# From FTL_API to the next '(', the last word is the function's name.
declared=$(cat "$headers"/*.h | sed 's/^#.*//' | tr '\n' ' ' |
    grep -oE 'FTL_API [^;(]*\(' | grep -oE 'ftl_[a-z0-9_]+ *\($' | tr -d ' (' | LC_ALL=C sort -u)
[ -n "$declared" ] || { echo "no FTL_API functions found in $headers"; exit 1; }
expect_none "exported by $library, but declared in no public header" \
    "$(LC_ALL=C comm -13 <(echo "$declared") <(echo "$exported"))"

expect_none "declared in $headers, but not exported by $library" \
    "$(LC_ALL=C comm -23 <(echo "$declared") <(echo "$exported"))"

[ $failed = 0 ] && echo "$(wc -l <<<"$exported") names, all of them ftl_ and declared"
exit $failed
