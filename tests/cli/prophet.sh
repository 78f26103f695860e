# The default model on small data. Numbers are rounded: processors differ in the last bits.
show forecast "$DATA/monthly.csv" -H 3 | round 2
show forecast "$DATA/monthly.csv" -H 2 -q --format prophet | round 2
show forecast "$DATA/monthly.csv" -H 2 -q --components --level 80 -m prophet:yearly_seasonality=2,growth=flat | round 2
show forecast "$DATA/promo.csv" --future "$DATA/promo_future.csv" --level 80 | round 1 | head -n 8
show forecast "$DATA/promo.csv" -H 7
show forecast "$DATA/promo.csv" -H 2 -q -m prophet:regressors=false --level 80 | round 1
show forecast "$DATA/monthly.csv" -H 3 -q --country US -m prophet:yearly_seasonality=3 --level 80 | round 2
foretell holidays US --from 2021 --to 2024 >holidays.csv
show forecast "$DATA/monthly.csv" -H 3 -q --holidays holidays.csv -m prophet:yearly_seasonality=3 --level 80 | round 2
foretell forecast "$DATA/monthly.csv" -q -H 5 --samples 50 --seed 4 >a.csv
foretell forecast "$DATA/monthly.csv" -q -H 5 --samples 50 --seed 4 --threads 4 >b.csv
foretell forecast "$DATA/monthly.csv" -q -H 5 --samples 50 --seed 5 >c.csv
check "one seed gives the same intervals" cmp -s a.csv b.csv
check "another seed gives others" test "$(cat a.csv)" != "$(cat c.csv)"
sed '1s/$/,cap/; 2,$s/$/,300/' "$DATA/monthly.csv" >capped.csv
show forecast capped.csv -H 2 -m prophet:growth=logistic,yearly_seasonality=2 --level 80 --format prophet | round 1
foretell forecast capped.csv -q -H 2 -m prophet:growth=logistic >now.csv
foretell fit capped.csv -q -m prophet:growth=logistic >model.json
check "a saved model knows its cap" cmp now.csv <(foretell predict model.json -q -H 2)
# without intervals, without columns that are no regressors, with more holidays than a line can show
show forecast "$DATA/monthly.csv" -H 2 -m prophet:intervals=none | round 1
show forecast "$DATA/promo.csv" -H 1 --ignore-col price --ignore-col promo --level 80 | round 1
{ echo holiday,ds; for i in $(seq 40); do echo "feast $i,2021-0$((i % 9 + 1))-01"; done; } >many.csv
show forecast "$DATA/monthly.csv" -H 1 --holidays many.csv --level 80 | round 0

# What somebody types who comes from Python.
foretell forecast "$DATA/monthly.csv" -H 1 -q -m prophet:yearly_seasonality=True,interval_width=0.57 >python.csv
head -n 1 python.csv
foretell forecast "$DATA/monthly.csv" -H 1 -q -m prophet:yearly_seasonality=true --level 57 >ours.csv
check "True is true, and interval_width a level" cmp python.csv ours.csv
