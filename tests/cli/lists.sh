# models, holidays, info, bench.
show models | cut -c 1-60
show models seasonal_naive
check "every option of prophet is explained" test "$(foretell models prophet | grep -c '^  [a-z_]*=')" -gt 20
show holidays US --from 2024
show holidays DE-BY --from 2025 --to 2025
check "the list of countries is long" test "$(foretell holidays --list | wc -l)" -gt 100
foretell holidays --list | head -n 1
foretell info | cut -d ' ' -f 1
foretell bench --series 3 --rows 60 -m seasonal-naive | sed 's/  */ /g' | cut -d ' ' -f 1-3 | sed 's/[0-9.]* s$/SECONDS/; s/ [0-9]*\.[0-9]*$//'
foretell bench "$DATA/monthly.csv" --repeat 2 -m seasonal-naive --json | perl -pe 's/(_seconds|per_second)":[-+0-9.e]+/$1":X/g'
