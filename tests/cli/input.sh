# What can be read: standard input, gzip, line ends, byte order marks, spellings of nothing.
M="-m seasonal-naive -q -H 2"
foretell forecast "$DATA/monthly.csv" $M >plain.csv
check "standard input" cmp plain.csv <(foretell forecast - $M <"$DATA/monthly.csv")
check "a pipe" cmp plain.csv <(cat "$DATA/monthly.csv" | foretell forecast - $M)
gzip -c "$DATA/monthly.csv" >monthly.csv.gz
check "gzip" cmp plain.csv <(foretell forecast monthly.csv.gz $M)
check "gzip on standard input" cmp plain.csv <(foretell forecast - $M <monthly.csv.gz)
sed 's/$/\r/' "$DATA/monthly.csv" >crlf.csv
check "CRLF" cmp plain.csv <(foretell forecast crlf.csv $M)
tr '\n' '\r' <"$DATA/monthly.csv" >cr.csv
check "CR alone" cmp plain.csv <(foretell forecast cr.csv $M)
{ printf '\xef\xbb\xbf'; cat "$DATA/monthly.csv"; } >bom.csv
check "byte order mark" cmp plain.csv <(foretell forecast bom.csv $M)
(head -n 1 "$DATA/monthly.csv"; tail -n +2 "$DATA/monthly.csv" | tac) >backwards.csv
check "rows in any order" cmp plain.csv <(foretell forecast backwards.csv $M)
sed 's/^\(2022-0[13]-01\),.*/\1,--/' "$DATA/monthly.csv" >nothing.csv
check "--null" foretell forecast nothing.csv $M --null -- -o null.csv
show info "$DATA/monthly.csv"
show info "$DATA/shops.csv" --id-col shop --time-col day --target-col sales
show info "$DATA/promo.csv"
show info "$DATA/mixed.csv"
