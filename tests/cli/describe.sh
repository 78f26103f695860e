# describe: words for few series, a table for many, JSON, a picture.
show describe "$DATA/monthly.csv"
show describe "$DATA/mixed.csv" | round 2
perl -e 'print "unique_id,ds,y\n"; for $s (1..5) { for $t (0..95) {
    printf "s%d,2024-01-%02d %02d:00:00,%s\n", $s, 1 + $t / 24, $t % 24,
        $s == 1 ? 7 : $s == 2 ? ($t % 5 ? 0 : 3) : 20 + 5 * sin($t * 6.283185307179586 / 24) + ($t * $t * 7919 % 101) / 50 } }' >many.csv
show describe many.csv | cut -d, -f 1-10,15,18,19,22-26
foretell describe many.csv -q --json | perl -MJSON::PP -e '$d = decode_json(join "", <>); print scalar @{$d->{series}}, " ",
    $d->{series}[2]{seasons}[0]{steps}, " ", $d->{summary}{constant}, "\n"'
foretell describe many.csv -q --plot few.svg -o facts.csv
check "the picture is there" grep -q "<svg" few.svg
check "the table went into the file" test "$(wc -l <facts.csv)" = 6
show describe many.csv --plot few.txt
show describe nothing.csv --json
