# Forecasts as CSV: layouts, levels, several series, gaps, other columns.
M="-m seasonal-naive"
show forecast "$DATA/monthly.csv" -H 3 $M
show forecast "$DATA/monthly.csv" -H 3 $M -q --level 50,90
show forecast "$DATA/monthly.csv" -qH2 $M --quantiles 0.1,0.5,0.75
show forecast "$DATA/monthly.csv" -q -H 2 $M:season=1 --format prophet --level 95
show forecast "$DATA/shops.csv" -H 2 $M --id-col shop --time-col day --target-col sales
show forecast "$DATA/shops.csv" -q -H 1 $M --id-col=shop --time-col=day --target-col=sales --history --level 80 | head -n 12
show forecast "$DATA/monthly.csv" -q -H 2 $M --samples 4 --paths --seed 9 --level 50 | round 4
show forecast "$DATA/monthly.csv" -q -H 2 $M --freq 2MS
show forecast "$DATA/mixed.csv" -H 1 $M --on-error skip
