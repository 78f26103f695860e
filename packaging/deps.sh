#!/usr/bin/env bash
# Installs what is missing of the Debian packages that foretell needs.
#
#     packaging/deps.sh [--check] build|check ...
#
# build: to build and test it; check: the further tools of fuzzing, formatting and CI. Looks at what is there first, so
# that on a machine that has everything it neither needs the network nor root. --check only looks and says.
set -euo pipefail

look_only=false
if [ "${1:-}" = --check ]; then
    look_only=true
    shift
fi

missing=()
wished=() # not needed: asked for only along with what is
need() { # need PACKAGE COMMAND...: the package, unless the command succeeds
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
has() { command -v "$1"; }
wish() { # wish PACKAGE COMMAND...
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || wished+=("$package")
}
library() { # library PACKAGE MODULE HEADER: by pkg-config, or by its header while pkg-config itself is missing
    if has pkg-config >/dev/null; then
        need "$1" pkg-config --exists "$2"
    else
        need "$1" test -e "/usr/include/$3"
    fi
}
compiles() { echo '#include <stdio.h>' | "${CC:-cc}" -E - >/dev/null; }
fuzzing_clang() { compgen -G "$(clang-14 -print-resource-dir)/lib/linux/libclang_rt.fuzzer-*.a"; }
some_font() { compgen -G '/usr/share/fonts/*/*' || [ -n "$(fc-list)" ]; }

for group in "${@:-build}"; do
    case $group in
    build)
        need gcc has "${CC:-cc}"
        need libc6-dev compiles
        need cmake has cmake
        need ninja-build has ninja
        need pkg-config has pkg-config
        library libjansson-dev jansson jansson.h
        library libcairo2-dev cairo cairo/cairo.h
        library zlib1g-dev zlib zlib.h
        library libcmocka-dev cmocka cmocka.h
        wish libcurl4-openssl-dev test -n "$(compgen -G '/usr/include/curl/curl.h'; compgen -G '/usr/include/*/curl/curl.h')"
        need python3 has python3 # some tests are scripts
        need fonts-dejavu-core some_font
        ;;
    check)
        need clang-14 has clang-14
        need libclang-rt-14-dev fuzzing_clang
        need clang-format-14 has clang-format-14
        ;;
    *)
        echo "packaging/deps.sh: unknown group '$group'; there are: build, check" >&2
        exit 2
        ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

missing+=("${wished[@]}")
command=(apt-get install -y --no-install-recommends "${missing[@]}")
ask() { # what a person can do about it
    {
        echo "foretell needs packages that are not installed: ${missing[*]}"
        if has apt-get >/dev/null; then
            echo "Install them with:"
            echo "    sudo apt-get update && sudo ${command[*]}"
        else
            echo "These are their names on Debian 12; this system has no apt-get, so install what it calls them,"
            echo "then run make again."
        fi
    } >&2
    exit 1
}

has apt-get >/dev/null || ask
if $look_only; then ask; fi
as_root=()
if [ "$(id -u)" != 0 ]; then
    has sudo >/dev/null || ask
    as_root=(sudo)
    [ -t 0 ] || as_root=(sudo -n) # nobody is there to type a password
fi
echo "Installing Debian packages: ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
for step in "apt-get update" "${command[*]}"; do
    # shellcheck disable=SC2086 # the words of a step are its arguments
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $step >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        echo "'$step' failed; its last lines are above." >&2
        ask
    fi
done
