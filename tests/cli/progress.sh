# The progress bar: on a terminal, after two seconds, wiped away in the end. `script` gives the program a terminal.
command -v script >/dev/null || { echo "SKIPPED: there is no command script" >&2; exit 77; }
script -qec true /dev/null </dev/null >/dev/null 2>&1 || { echo "SKIPPED: no terminal can be made here" >&2; exit 77; }
mkfifo fifo
awk 'BEGIN { print "unique_id,ds,y"; for (s = 0; ; s++) for (i = 1; i <= 400; i++) print "series-" s "," i "," i % 7 }' >fifo 2>/dev/null &
feeder=$!
script -qefc "'$FORETELL' forecast fifo -m seasonal-naive -H 1 --on-error skip -o out.csv" /dev/null >terminal </dev/null &
shown() { grep -qE $'\r[0-9,]+ series, [0-9,]+/s' terminal; }
check "the bar says how many series are done" wait_for 100 shown
kill $feeder 2>/dev/null # the end of the input, perhaps in the midst of a row
wait
check "it is wiped away" grep -q $'\r\033\\[K' terminal
"$FORETELL" forecast "$DATA/monthly.csv" -m seasonal-naive -H 1 >/dev/null 2>notes
check "without a terminal there is none" test "$(grep -c $'\r' notes)" = 0
