#!/usr/bin/env bash
# Installs a build into a temporary place, moves it, and builds a stranger's program against it by pkg-config and by
# CMake; looks into the Debian packages too, where dpkg-deb is at hand.
#
#     tests/installed.sh BUILD_FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")/installed" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "tests/installed.sh: $*" >&2
    exit 1
}

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved" # nothing may remember where it was installed
prefix=$work/moved
cd "$work"
"$prefix/bin/foretell" --version
for file in share/man/man1/foretell.1 share/bash-completion/completions/foretell share/doc/foretell/LICENSE; do
    [ -s "$prefix/$file" ] || fail "$file was not installed, or is empty"
done
bash -n "$prefix/share/bash-completion/completions/foretell"

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# shellcheck disable=SC2046 # flags are words
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror "$here/main.c" -o by-pkg-config $(pkg-config --cflags --libs foretell) -lm
LD_LIBRARY_PATH=$prefix/lib ./by-pkg-config
cmake -S "$here" -B by-cmake -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build by-cmake >/dev/null
./by-cmake/stranger

if command -v dpkg-deb >/dev/null; then
    (cd "$build" && cpack -G DEB -B "$work/packages" >/dev/null)
    rm -rf "$work/packages/_CPack_Packages"
    for name in libforetell0 libforetell-dev foretell; do
        dpkg-deb --info "$work/packages/$name"_*.deb >/dev/null || fail "no package $name"
    done
    holds() { # holds PACKAGE FILE
        dpkg-deb --contents "$work/packages/$1"_*.deb >listing
        grep -q " \./$2" listing || fail "package $1 lacks $2"
    }
    holds libforetell0 usr/lib/libforetell.so.0
    holds libforetell-dev usr/include/foretell/foretell.h
    holds foretell usr/bin/foretell
    holds foretell usr/share/man/man1/foretell.1
fi
echo "installed use: ok"
