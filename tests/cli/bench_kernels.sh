# bench kernels: the rows, not their numbers.
show bench kernels --seconds 0
foretell bench kernels --threads 1 --seconds 0.001 >table
sed -E 's/ +[0-9.]+ us +[0-9.]+ (G.\/s) +[0-9]+ % of/ us \1 of/; s/ +[0-9.]+ (G.\/s) .*/ \1/' table
foretell bench kernels --threads 1 --seconds 0.001 --json >json
check "the JSON is that of the table" test "$(grep -c '"threads":1' json)" = "$(grep -c 'thread ' table)"
perl -0pe 's/("set":)"[^"]*"/$1"SET"/g; s/("seconds"|"per_second"|"fraction"):[0-9.e+-]+/$1:X/g' json | sed -n '1,2p;8,9p;$p'
perl -MJSON::PP -0ne 'for (@{decode_json($_)->{kernels}}) { print "nonsense: $_->{kernel}\n" unless $_->{per_second} > 0 && $_->{fraction} > 0 }' json
