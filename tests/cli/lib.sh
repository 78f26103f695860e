# What the command-line tests share.
foretell() { "$FORETELL" "$@"; }

# show ARGUMENTS...: the command as typed, what it prints (both streams), its exit code where that is not 0.
show() {
    echo "\$ foretell $*"
    "$FORETELL" "$@" 2>&1
    local rc=$?
    [ $rc = 0 ] || echo "[exit $rc]"
    echo
}

# check "what is claimed" COMMAND...: says whether the command succeeds.
check() {
    local claim=$1
    shift
    if "$@"; then echo "yes: $claim"; else echo "NO: $claim"; fi
}

# round [DIGITS]: numbers of the input, in all of their spellings, to so many decimals. What differs between processors
# in the last bits must not make a test fail.
round() {
    perl -pe 's/(?<![\w.-])(-?\d+\.\d+(?:e[-+]\d+)?)(?![\w-])/my $x = sprintf("%.'"${1:-3}"'f", $1); $x == 0 ? "0" : $x/ge'
}

# wait_for SECONDS COMMAND...: polls until the command succeeds.
wait_for() {
    local left=$(($1 * 50))
    shift
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.02
    done
}

# Skips the test where perl's JSON module (part of Debian's package perl, not of perl-base) is absent.
need_json_pp() {
    perl -MJSON::PP -e 1 2>/dev/null && return
    echo "SKIPPED: perl has no JSON::PP; install the package perl to run this test" >&2
    exit 77
}
