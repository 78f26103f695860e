# More series than a batch holds: in order, complete, the same whatever the number of threads.
awk 'BEGIN { print "unique_id,ds,y"
             for (s = 1; s <= 3000; s++) for (i = 1; i <= 400; i++) printf "s%d,%d,%d\n", s, i, (i * 7 + s * i) % 23 + i % 7 }' >many.csv
foretell forecast many.csv -m seasonal-naive:season=7 -H 3 -q --threads 1 >one.csv
foretell forecast - -m seasonal-naive:season=7 -H 3 -q --threads 3 <many.csv >three.csv
check "1 and 3 threads give the same bytes" cmp one.csv three.csv
check "every series is there" test "$(wc -l <one.csv)" = 9001
check "in the order of the file" cmp <(tail -n +2 one.csv | cut -d , -f 1 | uniq) <(seq -f s%.0f 3000)
