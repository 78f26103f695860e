# Fit now, predict later: the same numbers to the last digit.
need_json_pp
for model in prophet seasonal-naive; do
    foretell fit "$DATA/promo.csv" -q -m $model:$([ $model = prophet ] && echo regressors=false) -o models.json
    check "$model: one model a line" test "$(wc -l <models.json)" = 2
    foretell predict models.json -q -H 5 >later.csv
    foretell forecast "$DATA/promo.csv" -q -m $model:$([ $model = prophet ] && echo regressors=false) -H 5 >now.csv
    check "$model: predict gives what forecast gives" cmp later.csv now.csv
    check "$model: standard input works" cmp <(foretell predict - -q -H 5 <models.json) now.csv
done
foretell fit "$DATA/promo.csv" -q -o models.json
foretell predict models.json -q --future "$DATA/promo_future.csv" >later.csv
foretell forecast "$DATA/promo.csv" -q --future "$DATA/promo_future.csv" >now.csv
check "with regressors, too" cmp later.csv now.csv
foretell fit "$DATA/monthly.csv" -q >one.json
check "a single series gets no unique_id" test "$(foretell predict one.json -q -H 1 | head -n 1 | cut -d , -f 1)" = ds
perl -MJSON::PP -0777 -ne 'print JSON::PP->new->pretty->encode(JSON::PP->new->decode($_))' one.json >pretty.json
check "a pretty-printed model reads" test "$(foretell predict pretty.json -q -H 1 | wc -l)" = 2
perl -MJSON::PP -0777 -ne 'chomp; print JSON::PP->new->allow_nonref->encode($_)' one.json >text.json
check "JSON within a JSON string reads" test "$(foretell predict text.json -q -H 1 | wc -l)" = 2
foretell fit "$DATA/monthly.csv" -q --json >explained.json
for key in log_posterior kkt_residual duality_gap sigma_obs fit_seconds warnings; do
    check "fit --json has $key" grep -q "\"$key\":" explained.json
done
check "and is one JSON object" perl -MJSON::PP -0777 -ne 'decode_json($_)' explained.json
foretell fit "$DATA/promo.csv" -q --json -o models.json >explained.json
check "for several series, too" perl -MJSON::PP -0777 -ne 'exit(@{decode_json($_)->{models}} != 2)' explained.json
show fit "$DATA/mixed.csv" -m seasonal-naive
foretell fit "$DATA/mixed.csv" -m seasonal-naive --on-error skip -q | cut -c 1-40
show predict "$DATA/monthly.csv" -H 3
show predict one.json
: >empty.json
show predict empty.json -H 1
{ cat one.json; head -c 500 one.json; } >torn.json
show predict torn.json -q -H 1 | round 1 | cut -c 1-70
for i in $(seq 40); do cat models.json; done >many.json
foretell predict many.json -q --future "$DATA/promo_future.csv" --threads 1 >a.csv
foretell predict - -q --future "$DATA/promo_future.csv" --threads 3 <many.json >b.csv
check "many models, 1 and 3 threads" cmp a.csv b.csv
check "all of them" test "$(wc -l <a.csv)" = $((80 * 7 + 1))
