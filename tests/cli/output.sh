# A file named with -o appears whole or not at all; standard output keeps what was written.
M="-m seasonal-naive -q"
foretell forecast "$DATA/monthly.csv" $M -H 2 >plain.csv
foretell forecast "$DATA/monthly.csv" $M -H 2 -o out.csv
check "-o writes what standard output gets" cmp plain.csv out.csv
echo old >out.csv
foretell forecast "$DATA/mixed.csv" $M -H 2 -o out.csv 2>/dev/null
check "a failure leaves the old file" test "$(cat out.csv)" = old
check "and nothing beside it" test "$(ls)" = "$(printf 'out.csv\nplain.csv')"

# An endless input, so that the program is certainly in the midst of its work. exec: killing it leaves no writer behind.
endless() { exec awk 'BEGIN { print "unique_id,ds,y"; for (s = 0; ; s++) for (i = 1; i <= 400; i++) print "series-" s "," i "," i % 7 }' 2>/dev/null; }
begun() { ls -A | grep -qv -e '^out.csv$' -e '^plain.csv$' -e '^fifo$'; } # the temporary file is there
mkfifo fifo
for signal in KILL INT; do
    endless >fifo &
    feeder=$!
    "$FORETELL" forecast fifo $M -H 2 -o out.csv 2>messages.$signal &
    victim=$!
    mv messages.$signal .. 2>/dev/null
    wait_for 20 begun || echo "it never began"
    kill -$signal $victim
    wait $victim 2>/dev/null
    echo "exit after $signal: $?"
    kill $feeder 2>/dev/null
    wait $feeder 2>/dev/null
    check "the old file is there after $signal" test "$(cat out.csv)" = old
    [ $signal = KILL ] && rm -f -- $(ls -A | grep -v -e '^out.csv$' -e '^plain.csv$' -e '^fifo$')
done
check "Ctrl-C leaves no temporary file" test "$(ls -A)" = "$(printf 'fifo\nout.csv\nplain.csv')"

endless >fifo &
feeder=$!
"$FORETELL" forecast fifo $M -H 2 >stdout.csv 2>/dev/null &
victim=$!
wait_for 20 test -s stdout.csv || echo "it never began"
kill -INT $victim
wait $victim
echo "exit after INT: $?"
kill $feeder 2>/dev/null
wait $feeder 2>/dev/null
check "what was written stays" test "$(head -n 1 stdout.csv | cut -d , -f 1-3)" = unique_id,ds,seasonal-naive
check "and ends with a whole line" test "$(tail -c 1 stdout.csv | od -An -c | tr -d ' ')" = '\n'

foretell holidays US --from 1995 --to 2050 2>message | head -n 1 >/dev/null
check "a closed pipe is no reason to complain" test ! -s message
if [ -w /dev/full ]; then
    foretell forecast "$DATA/monthly.csv" $M -H 2 >/dev/full 2>message
    check "a full disk is: exit $?" grep -q 'No space left' message
fi
