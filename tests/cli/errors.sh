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

# Tables as spreadsheets and other countries write them: advice that saves the data.
mistake() { # FILE, its text, further arguments
    printf "$2" >"$1"
    show forecast "$1" -H 1 -q "${@:3}"
}
mistake thousands.csv 'ds,y\n2024-01-01,"1,234.5"\n'
mistake percent.csv 'ds,y\n2024-01-01,12%%\n'
mistake decimals.csv 'ds,y\n2024-01-01,12,5\n'
mistake day_first.csv 'ds,y\n31/12/2024,12\n'
mistake semicolons.csv 'ds;y\n2024-01-01;12\n'
mistake headless.csv '2024-01-01,12\n2024-01-02,13\n'
mistake latin1.csv 'ds,y,Gr\xf6\xdfe\n2024-01-01,12,1\n'
mistake short.csv 'ds,y,price\n2024-01-01,12\n'
show forecast "$DATA/monthly.csv" -H 1 -q --holidays "$DATA/monthly.csv"
show forecast "$DATA/monthly.csv" -H 1 --level 0.8 -m seasonal-naive | round
printf 'ds,y\n45658,1\n45659,2\n45660,3\n' >days.csv
show forecast days.csv -H 1 -m seasonal-naive:season=1 --level 80 | round
printf 'ds,y\n2024-01,1\n2024-02,2\n2024-03,3\n' >months.csv
show forecast months.csv -H 2 -m seasonal-naive:season=1 --level 80 | round
show forecast "$DATA/monthly.csv" -H 1 -o nosuch/out.csv
show plot "$DATA/monthly.csv" -H 1 -o nosuch/out.svg
show fit "$DATA/monthly.csv" -o nosuch/out.json
show forecast "$DATA/prophet_1_5.json" -H 1
