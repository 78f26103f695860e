#include "check.h"
#include "plot/axis.h"

/* Every character is six units wide, as in a small font. */
static double six_each(void *user, const char *text)
{
    double n = 0;
    (void)user;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return 6 * n;
}

static const fi_tick_room wide = {600, 12, 42, six_each, NULL}, narrow = {150, 8, 28, six_each, NULL};

static ftl_time day(int year, int month, int d)
{
    return ftl_time_of((ftl_date){year, month, d});
}

/* "label|context label ..." of all ticks, so that a test reads at a glance. */
static const char *labels(const fi_ticks *ticks)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ticks->n; i++) {
        const fi_tick *t = &ticks->tick[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s%s", i ? " " : "", t->label, t->context[0] ? "|" : "",
                              t->context);
    }
    return text;
}

static const char *numbers(double lo, double hi, size_t max_ticks, bool percent)
{
    static fi_ticks t;
    fi_ticks_number(lo, hi, max_ticks, percent, &t);
    CHECK(t.n <= max_ticks);
    for (size_t i = 0; i < t.n; i++) CHECK(t.tick[i].at > -1e-8 && t.tick[i].at < 1 + 1e-8);
    for (size_t i = 1; i < t.n; i++) CHECK(t.tick[i].at > t.tick[i - 1].at);
    return labels(&t);
}

static const char *times(fi_x_kind kind, ftl_time lo, ftl_time hi, const fi_tick_room *room)
{
    static fi_ticks t;
    fi_ticks_time(kind, lo, hi, room, &t);
    for (size_t i = 0; i < t.n; i++) CHECK(t.tick[i].at >= 0 && t.tick[i].at <= 1);
    for (size_t i = 1; i < t.n; i++) { /* what the whole exercise is for: no label touches the next */
        double apart = (t.tick[i].at - t.tick[i - 1].at) * room->length;
        CHECK(apart >= (six_each(NULL, t.tick[i].label) + six_each(NULL, t.tick[i - 1].label)) / 2 + room->gap);
    }
    return labels(&t);
}

TEST(number_ticks_are_round)
{
    CHECK_TEXT(numbers(0, 10, 6, false), "0 2 4 6 8 10");
    CHECK_TEXT(numbers(0.3, 9.7, 6, false), "2 4 6 8");
    CHECK_TEXT(numbers(-1, 1, 5, false), "−1.0 −0.5 0 0.5 1.0");
    CHECK_TEXT(numbers(104, 622, 9, false), "200 300 400 500 600");
    CHECK_TEXT(numbers(0, 0.007, 8, false), "0 0.001 0.002 0.003 0.004 0.005 0.006 0.007");
    CHECK_TEXT(numbers(8.05, 8.06, 3, false), "8.050 8.055 8.060");
    fi_ticks t;
    fi_ticks_number(-2, 8, 6, false, &t);
    CHECK_TEXT(t.tick[1].label, "0");
    CHECK_NEAR(t.tick[1].at, 0.2, 1e-15);
}

TEST(large_and_small_numbers_share_a_power_of_ten)
{
    CHECK_TEXT(numbers(0, 3.4e6, 5, false), "0 1000000 2000000 3000000");
    CHECK_TEXT(numbers(0, 2e10, 6, false), "0 5×10⁹ 10×10⁹ 15×10⁹ 20×10⁹");
    CHECK_TEXT(numbers(-2e-5, 2e-5, 5, false), "−20×10⁻⁶ −10×10⁻⁶ 0 10×10⁻⁶ 20×10⁻⁶");
    CHECK_TEXT(numbers(-1e300, 1e300, 5, false), "−1.0×10³⁰⁰ −0.5×10³⁰⁰ 0 0.5×10³⁰⁰ 1.0×10³⁰⁰");
    CHECK_TEXT(numbers(1e-300, 3e-300, 3, false), "1×10⁻³⁰⁰ 2×10⁻³⁰⁰ 3×10⁻³⁰⁰");
    CHECK_TEXT(numbers(-1.79e308, 1.79e308, 5, false), "−100×10³⁰⁶ 0 100×10³⁰⁶");    /* hi - lo overflows */
    CHECK_TEXT(numbers(1e9, 1e9 + 2, 3, false), "1000000000 1000000001 1000000002"); /* a power would hide the digits */
    CHECK_TEXT(numbers(1 - 1e-12, 1 + 1e-12, 3, false), "0.999999999999 1.000000000000 1.000000000001");
}

TEST(shares_are_percent)
{
    CHECK_TEXT(numbers(-0.3, 0.2, 6, true), "−30% −20% −10% 0% 10% 20%");
    CHECK_TEXT(numbers(-0.003, 0.002, 6, true), "−0.3% −0.2% −0.1% 0% 0.1% 0.2%");
    CHECK_TEXT(numbers(0, 30, 4, true), "0% 1000% 2000% 3000%");
    CHECK_TEXT(numbers(0, 2e10, 3, true), "0 10×10⁹ 20×10⁹");
}

TEST(dates_get_the_finest_ticks_that_fit)
{
    ftl_time from = day(2007, 12, 10), to = day(2016, 1, 20);
    CHECK_TEXT(times(FI_X_DATE, from, to, &wide), "2008 2009 2010 2011 2012 2013 2014 2015 2016");
    CHECK_TEXT(times(FI_X_DATE, from, to, &narrow), "2008 2010 2012 2014 2016");
    from = day(2015, 1, 1), to = day(2016, 12, 31);
    CHECK_TEXT(times(FI_X_DATE, from, to, &wide), "Jan|2015 Mar May Jul Sep Nov Jan|2016 Mar May Jul Sep Nov");
    CHECK_TEXT(times(FI_X_DATE, from, to, &narrow), "Jan|2015 Jul Jan|2016 Jul");
    from = day(2015, 1, 1), to = day(2017, 12, 31); /* quarters */
    CHECK_TEXT(times(FI_X_DATE, from, to, &wide), "Jan|2015 Apr Jul Oct Jan|2016 Apr Jul Oct Jan|2017 Apr Jul Oct");
    from = day(2015, 11, 20), to = day(2016, 2, 14); /* weeks begin on Mondays */
    CHECK_TEXT(times(FI_X_DATE, from, to, &wide), "Nov 23|2015 Nov 30 Dec 7 Dec 14 Dec 21 Dec 28 Jan 4|2016 Jan 11 "
                                                  "Jan 18 Jan 25 Feb 1 Feb 8");
    CHECK_TEXT(times(FI_X_DATE, from, to, &narrow), "Dec|2015 Jan|2016 Feb");
    from = day(2024, 2, 28), to = day(2024, 3, 2); /* a leap day; dates have no hours */
    CHECK_TEXT(times(FI_X_DATE, from, to, &wide), "Feb 28|2024 Feb 29 Mar 1 Mar 2");
}

TEST(far_years_have_ticks_too)
{
    CHECK_TEXT(times(FI_X_DATE, day(1850, 1, 1), day(1862, 1, 1), &narrow), "1850 1855 1860");
    CHECK_TEXT(times(FI_X_DATE, day(2190, 1, 1), day(2290, 1, 1), &narrow), "2200 2250");
    CHECK_TEXT(times(FI_X_DATE, day(1, 1, 1), day(9999, 12, 31), &wide),
               "1000 2000 3000 4000 5000 6000 7000 8000 9000");
    times(FI_X_DATE, -(INT64_C(1) << 61), INT64_C(1) << 61, &wide); /* does not overflow */
    times(FI_X_INDEX, -(INT64_C(1) << 61), INT64_C(1) << 61, &wide);
}

TEST(times_of_day_say_their_day_once)
{
    ftl_time midnight = day(2024, 2, 29), hour = 3600 * FTL_SECOND;
    CHECK_TEXT(times(FI_X_DATETIME, midnight - FTL_DAY, midnight + 2 * FTL_DAY, &wide),
               "00:00|Feb 28, 2024 06:00 12:00 18:00 00:00|Feb 29, 2024 06:00 12:00 18:00 00:00|Mar 1, 2024 06:00 "
               "12:00 18:00 00:00|Mar 2, 2024");
    CHECK_TEXT(times(FI_X_DATETIME, midnight - 2 * hour, midnight + 2 * hour, &narrow),
               "22:00 00:00|Feb 29, 2024 02:00"); /* no room for both days: the first gives way */
    CHECK_TEXT(times(FI_X_DATETIME, midnight, midnight + 600 * FTL_SECOND, &narrow), "00:00|Feb 29, 2024 00:05 00:10");
    CHECK_TEXT(times(FI_X_DATETIME, midnight, midnight + 20 * FTL_SECOND, &narrow),
               "00:00:00|Feb 29, 2024 00:00:10 00:00:20");
    CHECK_TEXT(times(FI_X_DATETIME, midnight, midnight + 20000, &narrow), "00:00:00.000|Feb 29, 2024 00:00:00.020");
    CHECK_TEXT(times(FI_X_DATETIME, midnight, midnight + 2, &narrow), "00:00:00.000000|Feb 29, 2024 00:00:00.000002");
    CHECK_TEXT(times(FI_X_DATETIME, day(1969, 12, 31), day(1970, 1, 1), &narrow), /* before the epoch */
               "00:00|Dec 31, 1969 12:00 00:00|Jan 1, 1970");
}

TEST(indices_are_whole)
{
    CHECK_TEXT(times(FI_X_INDEX, 0, 3, &wide), "0 1 2 3");
    CHECK_TEXT(times(FI_X_INDEX, 1, 100, &narrow), "20 40 60 80 100");
    CHECK_TEXT(times(FI_X_INDEX, 4999990, 5000020, &narrow), "4999990 5000000 5000010 5000020");
}

TEST(seasons_have_axes_of_their_own)
{
    ftl_time sunday = day(2017, 1, 1);
    CHECK_TEXT(times(FI_X_WEEKDAY, sunday, sunday + 6 * FTL_DAY, &wide),
               "Sunday Monday Tuesday Wednesday Thursday Friday Saturday");
    CHECK_TEXT(times(FI_X_WEEKDAY, sunday, sunday + 7 * FTL_DAY, &(fi_tick_room){300, 12, 30, six_each, NULL}),
               "Sun Mon Tue Wed Thu Fri Sat Sun");
    CHECK_TEXT(times(FI_X_YEARDAY, sunday, day(2017, 12, 31), &wide),
               "January 1 March 1 May 1 July 1 September 1 November 1");
    CHECK_TEXT(times(FI_X_YEARDAY, sunday, day(2017, 12, 31), &narrow), "Jan 1 Jul 1");
    CHECK_TEXT(times(FI_X_HOUR, sunday, sunday + FTL_DAY, &wide),
               "00:00 02:00 04:00 06:00 08:00 10:00 12:00 14:00 16:00 18:00 20:00 22:00 00:00");
    CHECK_TEXT(times(FI_X_DAYS, sunday, sunday + 61 * FTL_DAY / 2, &wide), "0 5 10 15 20 25 30");
    CHECK_TEXT(times(FI_X_DAYS, sunday, sunday + FTL_DAY / 4, &narrow), "0 0.1 0.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_ticks_are_round),   cmocka_unit_test(large_and_small_numbers_share_a_power_of_ten),
        cmocka_unit_test(shares_are_percent),       cmocka_unit_test(dates_get_the_finest_ticks_that_fit),
        cmocka_unit_test(far_years_have_ticks_too), cmocka_unit_test(times_of_day_say_their_day_once),
        cmocka_unit_test(indices_are_whole),        cmocka_unit_test(seasons_have_axes_of_their_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
