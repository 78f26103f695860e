# --json prints one JSON object, whatever happens.
need_json_pp
object() { perl -MJSON::PP -0777 -ne 'decode_json($_)'; }
for arguments in "forecast $DATA/monthly.csv -H 3" "forecast $DATA/mixed.csv -H 3 -m seasonal-naive" \
    "forecast $DATA/mixed.csv -H 3 -m seasonal-naive --on-error skip" "forecast nonesuch.csv -H 3" "forecast --horizn 3" \
    "forecast $DATA/monthly.csv" "fit $DATA/monthly.csv" "fit $DATA/mixed.csv" "predict nonesuch.json -H 1" "models" "models prophet" \
    "models nonesuch" "info" "info $DATA/shops.csv --id-col shop --time-col day --target-col sales" "holidays DE --from 2024" \
    "holidays --list" "holidays XX" "bench --series 2 --rows 50" "nonesuch"; do
    check "$arguments" object < <(foretell $arguments --json -q 2>/dev/null)
done
show forecast nonesuch.csv -H 3 --json
show forecast "$DATA/monthly.csv" -q -H 2 -m seasonal-naive --json
show forecast "$DATA/mixed.csv" -q -H 1 -m seasonal-naive --json --level 80
show info "$DATA/monthly.csv" --json
