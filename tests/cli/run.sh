#!/usr/bin/env bash
# Runs one command-line test and compares what a person would see with the files beside it.
#
#     tests/cli/run.sh TEST.sh PROGRAM          UPDATE=1 tests/cli/run.sh TEST.sh PROGRAM writes the files anew
#
# TEST.stdout, TEST.stderr and TEST.exit hold what is expected; an absent file stands for nothing and for 0. The test
# runs in an empty folder with `foretell` a function, DATA the folder of small data, and the helpers of lib.sh. The
# version number is shown as VERSION. A test that cannot run says why and exits with 77.
set -uo pipefail

script=$(realpath "$1")
FORETELL=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
expected=${script%.sh}
export FORETELL DATA=$here/../data LC_ALL=C
version=$("$FORETELL" --version | cut -d ' ' -f 2)

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir "$work/in" "$work/seen"
(cd "$work/in" && bash -c "source '$here/lib.sh'; source '$script'" >"$work/seen/stdout" 2>"$work/seen/stderr" </dev/null)
status=$?
if [ $status = 77 ]; then
    cat "$work/seen/stderr" >&2
    exit 77
fi
echo $status >"$work/seen/exit"
sed -i "s/${version//./\\.}/VERSION/g; s|$DATA|DATA|g; s|$work|WORK|g" "$work/seen/stdout" "$work/seen/stderr"

failed=0
for part in stdout stderr exit; do
    if [ -n "${UPDATE:-}" ]; then
        cp "$work/seen/$part" "$expected.$part"
        [ $part = stdout ] || [ -s "$expected.$part" ] || rm "$expected.$part"
        [ $part = exit ] && [ $status = 0 ] && rm -f "$expected.exit"
        continue
    fi
    want=$expected.$part
    if [ ! -e "$want" ]; then
        want=$work/absent
        if [ $part = exit ]; then echo 0; fi >"$want"
    fi
    if ! diff -u --label "expected $part" --label "seen $part" "$want" "$work/seen/$part"; then failed=1; fi
done
exit $failed
