# Mistakes are explained, the nearest name is offered, and the exit code says what kind it was.
show
show forcast x.csv
show "$DATA/monthly.csv"
show forecast
show forecast "$DATA/monthly.csv"
show forecast "$DATA/monthly.csv" extra.csv -H 3
show forecast "$DATA/monthly.csv" --horizn 3
show forecast "$DATA/monthly.csv" -H
show forecast "$DATA/monthly.csv" -H three
show forecast "$DATA/monthly.csv" -H -3
show forecast "$DATA/monthly.csv" -H 0
show forecast "$DATA/monthly.csv" -H 99999999
show forecast "$DATA/monthly.csv" -H 3 -x
show forecast "$DATA/monthly.csv" -H 3 --quiet=yes
show forecast "$DATA/monthly.csv" -H 3 --format csv
show forecast "$DATA/monthly.csv" -H 3 --level 80,120
show forecast "$DATA/monthly.csv" -H 3 --level 80,x
show forecast "$DATA/monthly.csv" -H 3 --quantiles 0.5,1
show forecast "$DATA/monthly.csv" -H 3 --quantiles 0.5 --level 80
show forecast "$DATA/monthly.csv" -H 3 --paths
show forecast "$DATA/monthly.csv" -H 3 --future "$DATA/promo_future.csv"
show forecast "$DATA/monthly.csv" -H 3 -m profet
show forecast "$DATA/monthly.csv" -H 3 -m prophet:growht=flat
show forecast "$DATA/monthly.csv" -H 3 -m prophet:growth=flatt
show forecast "$DATA/monthly.csv" -H 3 -m prophet:n_changepoints=-1
show forecast "$DATA/monthly.csv" -H 3 --freq MX
show forecast "$DATA/monthly.csv" -H 3 -q --freq 7
show forecast "$DATA/monthly.csv" -H 3 --country XX
show forecast "$DATA/monthly.csv" -H 3 -m seasonal-naive --country US
show forecast "$DATA/monthly.csv" -H 3 -m seasonal-naive -q --components
show forecast "$DATA/shops.csv" -H 3
show forecast "$DATA/mixed.csv" -H 3 -m seasonal-naive -q
show forecast nonesuch.csv -H 3
show forecast "$DATA" -H 3
show forecast "$DATA/monthly.csv" -H 3 -q -o /nonesuch/out.csv
printf 'ds,y\n2024-01-01,1\n2024-01-02,n/a?\n' >bad.csv
show forecast bad.csv -H 3
printf 'ds,y\n2024-01-01,1e308\n2024-01-02,-1e308\n2024-01-03,1e308\n' >huge.csv
show forecast huge.csv -H 3 -m seasonal-naive:season=1 -q
printf 'ds,y\n2024-01-01,1\n2024-01-01,2\n2024-01-02,3\n' >twice.csv
show forecast twice.csv -H 3 -m seasonal-naive -q
show plot "$DATA/monthly.csv" -H 3
show plot "$DATA/monthly.csv" -H 3 -o picture.gif -q
show holidays
show holidays Germny
show holidays US --from 2025 --to 2024
show models seasonal-naiv
show help forecats
show fit "$DATA/monthly.csv" --json -o -
