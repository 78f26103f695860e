#!/usr/bin/env bash
# Forecasts the series in examples/ and draws them: `make demo`.
#
#     examples/demo.sh PROGRAM FOLDER
set -euo pipefail
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
mkdir -p "$2"
folder=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
start=$(date +%s.%N)

show() { # show WHAT ARGUMENT...: runs foretell, and says so as a person would type it
    echo
    echo "# $1"
    shift
    echo "\$ foretell $*"
    "$program" "$@"
}
lines() { # lines N FILE: its first lines, indented
    head -n "$1" "$2" | sed 's/^/    /'
    echo "    ..."
}
in=examples
out=${folder#"$PWD"/}
seasons=prophet:seasonality_mode=multiplicative
logistic=prophet:growth=logistic,yearly_seasonality=false,n_changepoints=10

show "Electricity of the USA, monthly: three years ahead, with seasons that grow with the trend" \
    forecast $in/electricity.csv -H 36 -m $seasons -o "$out/electricity.csv"
lines 4 "$out/electricity.csv"
show "The same as a picture" plot $in/electricity.csv -H 36 -m $seasons -o "$out/electricity.svg"

show "Births, daily: two months ahead, with the holidays of the USA" \
    forecast $in/births.csv -H 60 --country US -o "$out/births.csv"
lines 4 "$out/births.csv"
show "What the forecast is made of: trend, holidays, week, year" \
    plot $in/births.csv -H 365 --country US --components -o "$out/births-components.svg"

show "Nine series in one file: every sector of employment, two years ahead" \
    forecast $in/employment.csv -H 24 -o "$out/employment.csv"
lines 4 "$out/employment.csv"
show "All of them in one picture" plot $in/employment.csv -H 24 -o "$out/employment.png"

show "Census: growth that levels off below a cap given in the data" \
    forecast $in/census.csv --future $in/census_future.csv -m $logistic -o "$out/census.csv"
lines 4 "$out/census.csv"
show "The same as a picture" plot $in/census.csv --future $in/census_future.csv -m $logistic -o "$out/census.svg"

show "A model as a file that Python prophet reads too, and what the fit says about itself" \
    fit $in/electricity.csv -m $seasons -o "$out/electricity.json"
"$program" fit $in/electricity.csv -m $seasons --json -q | head -c 400 | sed 's/^/    /'

echo
echo
echo "Made in $(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f", b - a}') seconds:"
for file in "$out"/*; do printf '    %-32s %6d KB\n' "$file" $((($(stat -c %s "$file") + 1023) / 1024)); done
echo
echo "Look at the pictures in a browser:  $out/electricity.svg"
echo "Try it on a file of yours, with columns ds and y:  build/foretell forecast FILE.csv -H 28"
echo "Help:  build/foretell --help,  build/foretell forecast --help"
