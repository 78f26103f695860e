# Pictures in three formats.
for format in svg png pdf; do
    foretell plot "$DATA/monthly.csv" -H 12 -q -o picture.$format
    check "$format: exit $?" test -s picture.$format
done
check "SVG" grep -q '<svg' picture.svg
check "PNG" test "$(head -c 4 picture.png | tail -c 3)" = PNG
check "PDF" test "$(head -c 4 picture.pdf)" = %PDF
foretell plot "$DATA/monthly.csv" -H 12 -q --components -o parts.svg -m prophet:yearly_seasonality=3
check "components: exit $?" grep -q '<svg' parts.svg
foretell plot "$DATA/promo.csv" --future "$DATA/promo_future.csv" -q --dark --title Shops -o grid.svg
check "several series: exit $?" grep -q '<svg' grid.svg
foretell plot "$DATA/monthly.csv" -H 2 -q -m seasonal-naive --last 12 --level 50 --width 400 --height 300 --scale 1 -o small.png
check "another model: exit $?" test -s small.png
echo old >bad.svg
foretell plot "$DATA/monthly.csv" -H 2 -q -m seasonal-naive --components -o bad.svg
echo "exit $?"
check "a failure leaves the old picture" test "$(cat bad.svg)" = old
