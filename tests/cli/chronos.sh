# Pretrained models, by toys that have learnt nothing: what goes in and what comes out.
export FORETELL_MODELS=$PWD/store
t5=$DATA/toy-chronos-t5 bolt=$DATA/toy-chronos-bolt two=$DATA/toy-chronos2
show models chronos | grep '^  [a-z]'
for model in $t5 $bolt $two; do show info $model | round 1; done
show info -m chronos:$bolt,precision=int8 --json | tr ',' '\n' | grep -E 'precision|context_length'
# forecasts: columns, levels, several series, JSON, paths
for model in $t5 $bolt $two; do show forecast $DATA/monthly.csv -H 3 -m chronos:$model | round 1; done
show forecast $DATA/promo.csv -H 2 -m chronos:$bolt --level 90 | round 1
show forecast $DATA/promo.csv -H 2 -q -m chronos:$bolt,tails=clamp --level 50,80,90 | round 1
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$t5 --samples 3 --paths | round 1
foretell forecast $DATA/monthly.csv -H 2 -q -m chronos:$t5 --seed 1 >one
foretell forecast $DATA/monthly.csv -H 2 -q -m chronos:$t5 --seed 1 --threads 1 >again
foretell forecast $DATA/monthly.csv -H 2 -q -m chronos:$t5 --seed 2 >two
check "the same seed gives the same paths, with any number of threads" cmp one again
check "another seed gives other paths" test "$(cat one)" != "$(cat two)"
show forecast $DATA/monthly.csv -H 30 -q -m chronos:$bolt --json | tail -n +3 | round 1 | tr '[' '\n' | cut -c 1-70 | head -n 9
# covariates
show forecast $DATA/promo.csv -H 2 -m chronos:$two | round 1
show forecast $DATA/promo.csv --future $DATA/promo_future.csv -m chronos:$two | round 1 | head -n 5
show forecast $DATA/promo.csv --future $DATA/promo_future.csv -q -m "chronos:$two,categorical=promo" | round 1 | head -n 3
perl -F, -lane 'print join ",", @F[0, 1, 3], $. == 1 ? "weather" : 7' $DATA/promo_future.csv >partly.csv
show forecast $DATA/promo.csv --future partly.csv -m chronos:$two | round 1 | head -n 7
show forecast $DATA/promo.csv -H 2 -q -m chronos:$two,regressors=false | round 1
for size in 1 2 64; do foretell forecast $DATA/promo.csv -H 20 -q -m chronos:$two,batch_size=$size >size-$size; done
check "the size of a batch changes nothing" cmp size-1 size-64
check "nor does a batch of one series" cmp size-2 size-64
# columns of text, and several targets; 'strike' is a word that the history has not
perl -F, -lane 'print join ",", @F, $. == 1 ? ("kind", "visi,tors") : ($F[4] ? "Sale" : $F[1] =~ /1$/ ? "" : "\"none, usual\"",
    sprintf "%.1f", 100 + 3 * $F[2] + $. % 5)' $DATA/promo.csv | sed '1s/visi,tors/"visi,tors"/' >kinds.csv
perl -F, -lane 'print join ",", @F, $. == 1 ? "kind" : $F[3] ? "Sale" : $F[1] =~ /3$/ ? "strike" : "\"none, usual\""' \
    $DATA/promo_future.csv >kinds_future.csv
perl -F, -lane 'print join ",", @F[0 .. 2]' kinds_future.csv | sed '1s/price/kind/' >kinds_numbers.csv
show forecast kinds.csv -H 2 -m chronos:$two | round 1
show forecast kinds.csv --future kinds_future.csv -m chronos:$two --ignore-col visi,tors | round 1 | head -n 9
show forecast kinds.csv -H 1 -m chronos:$two,regressors=false | round 1
show forecast kinds.csv -H 2 -m chronos:$two --target-col 'y,visi\,tors' | round 1
show forecast kinds.csv --future kinds_future.csv -q -m chronos:$two --target-col 'y,visi\,tors' --quantiles 0.5 | round 1
foretell forecast kinds.csv -H 2 -q -m chronos:$two --target-col 'y,visi\,tors' --json | grep -o '"unique_id":"[^"]*","target_name":"[^"]*"'
foretell forecast kinds.csv --future kinds_future.csv -q -m chronos:$two --target-col 'y,visi\,tors' >directly
foretell fit kinds.csv -q -m chronos:$two --target-col 'y,visi\,tors' -o models.json
foretell predict models.json --future kinds_future.csv -q >by-file
check "saved models know their targets and words" cmp directly by-file
for size in 1 64; do
    foretell forecast kinds.csv -H 20 -q -m chronos:$two,batch_size=$size --target-col 'y,visi\,tors' >size-$size
done
check "the size of a batch changes nothing here either" cmp size-1 size-64
show forecast kinds.csv -H 2 -q -m chronos:$bolt --target-col 'y,visi\,tors'
show forecast kinds.csv -H 2 -q -m seasonal-naive --target-col 'y,visi\,tors'
show forecast kinds.csv -H 2 -q -m chronos:$two --target-col y,visitors
show forecast kinds.csv -H 2 -q -m chronos:$two --target-col y,y
show forecast kinds.csv --future kinds_numbers.csv -q -m chronos:$two
show plot kinds.csv -H 2 -m chronos:$two --target-col 'y,visi\,tors' -o both.svg
show forecast kinds.csv -H 1 -m seasonal-naive --ignore-col visi,tors | round 1
# fit and predict, from another folder
foretell fit $DATA/promo.csv -q -m chronos:$two -o models.json
foretell forecast $DATA/promo.csv -H 2 -q -m chronos:$two >directly
mkdir elsewhere && (cd elsewhere && foretell predict ../models.json -H 2 -q) >by-file
check "a saved model forecasts the same" cmp directly by-file
perl -pe 's|("directory":")[^"]*|$1/nowhere|' models.json >lost.json
show predict lost.json -H 2
show plot $DATA/monthly.csv -H 6 -m chronos:$bolt -q -o picture.svg
check "a picture is drawn" grep -q '</svg>' picture.svg
show plot $DATA/promo.csv -H 6 -m chronos:$bolt -q -o grid.svg
check "series of a grid are drawn" grep -q '</svg>' grid.svg
show plot $DATA/promo.csv -H 6 -m chronos:$bolt,context_length=900 --on-error skip -o none.svg
# beyond one pass: said once in a run
foretell fit $DATA/promo.csv -q -m chronos:$bolt -o bolt.json
for command in "forecast $DATA/promo.csv -m chronos:$bolt" "predict bolt.json" "plot $DATA/promo.csv -m chronos:$bolt -o far.svg"; do
    foretell $command -H 20 2>&1 >/dev/null | grep warning
done
# embeddings
show embed $DATA/mixed.csv -q -m chronos:$two --ignore-col none --pool mean 2>&1 | cut -d, -f1-5 | round 2
show embed $DATA/monthly.csv -q -m chronos:$bolt | cut -d, -f1-5 | round 2
show embed $DATA/monthly.csv -q -m chronos:$bolt --pool mean --json | tail -n +3 | cut -c 1-110 | round 2
# mistakes
show forecast $DATA/monthly.csv -H 2 -q -m chronos
show forecast $DATA/monthly.csv -H 2 -q -m chronos:no-such-model
show forecast $DATA/monthly.csv -H 2 -q -m chronos:./no-such-folder
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$DATA/monthly.csv
show forecast $DATA/monthly.csv -H 2 -q -m $bolt
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$DATA
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$bolt,presicion=bf16
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$bolt,context_length=100000
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$bolt,temperature=0.5
show forecast $DATA/promo.csv -H 2 -q -m chronos:$t5,categorical=promo
show forecast $DATA/promo.csv -H 2 -q -m "chronos:$two,categorical=promo;weather"
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$bolt --samples 10
show forecast $DATA/monthly.csv -H 2 -q -m chronos:$bolt --components
show embed $DATA/monthly.csv -q -m prophet
show embed $DATA/monthly.csv -q
show info -m chronos:$bolt $DATA/monthly.csv
show forecast $DATA/mixed.csv -H 2 -q -m chronos:$bolt --on-error skip | round 1
