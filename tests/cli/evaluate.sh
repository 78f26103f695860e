# Judging models: rows, taking up a run, lists of models, what goes wrong.
for s in a b; do
    for t in $(seq 1 60); do echo "$s,$t,$((t % 12 * 10 + (t * t) % 7 + ${#s}))"; done
done | (echo unique_id,ds,y && cat) >two.csv
printf 'ds,y\n1,1\n' >one.csv
printf 'name,file,horizon,season_length,freq,in_benchmark\nmonths,two.csv,6,12,M,II\nshort,one.csv,1,1,O,none\n' >m.csv
columns() { cut -d , -f 1-9,35-36 "$@" | round 4; }
show evaluate --manifest m.csv --datasets months -q | columns
show evaluate --manifest m.csv --group II -m prophet:growth=flat,weekly_seasonality=false,s=seasonal-naive:season=3 -o r.csv 2>&1 |
    sed 's/[0-9.]* s$/SECONDS/' | round 4
columns r.csv
show evaluate --manifest m.csv --group II -m seasonal-naive,s=seasonal-naive:season=3 -o r.csv --per-series s.csv 2>&1 |
    sed 's/[0-9.]* s$/SECONDS/'
columns r.csv | tail -n 1
cut -d , -f 1-9 s.csv | round 4
show evaluate --manifest m.csv --on-error skip -q | columns
show evaluate --manifest m.csv --datasets short
show evaluate --manifest m.csv --datasets nowhere
show evaluate --manifest m.csv --group V
show evaluate --manifest m.csv -m seasonal-naive,seasonal-naive
show evaluate --manifest m.csv -m seasonal-naive,nonsense
show evaluate --manifest m.csv -m prophet:growth=flat,gruwth=linear
show evaluate --manifest none.csv
show evaluate
show evaluate --manifest m.csv --datasets months -o two.csv
show evaluate -o r.csv --report out --baseline s
head -n 3 out/standings.csv | cut -d , -f 1-5 | round 3
grep -m 5 '^|' out/report.md | round 3 | sed 's/| [0-9.]* | [0-9]* | [0-9]* |$/| SECONDS, MB |/'
ls out
show evaluate -o r.csv --report out --baseline none
