/* Unit-root tests: R 4.2.2 with urca 1.3.3 and forecast 8.20. */
#include "base/alloc.h"
#include "check.h"
#include "series_data.h"
#include "stats/unit_root.h"

static double work[200];

TEST(kpss_and_dickey_fuller_are_those_of_urca)
{ /* ur.kpss(x, "mu", use.lag = trunc(3 * sqrt(n) / 13)) and ur.df(x, "drift", lags = 1) */
    CHECK_NEAR(fi_kpss(lh, 48, work), 0.3678891108, 1e-9);
    CHECK_NEAR(fi_kpss(lake_huron, 98, work), 1.221218569, 1e-8);
    CHECK_NEAR(fi_kpss(us_acc_deaths, 72, work), 0.2912338042, 1e-9);
    CHECK_NEAR(fi_kpss(air_passengers, 144, work), 4.342286797, 1e-8);
    CHECK_NEAR(fi_adf(lh, 48), -3.677745233, 1e-8);
    CHECK_NEAR(fi_adf(lake_huron, 98), -3.897668384, 1e-6);
    CHECK_NEAR(fi_adf(us_acc_deaths, 72), -3.800311676, 1e-8);
    CHECK_NEAR(fi_adf(air_passengers, 144), -2.345027309, 1e-8);
    CHECK(isnan(fi_adf(lh, 5)));
}

TEST(ocsb_is_that_of_forecast)
{ /* ocsb.test(x, maxlag = 3, lag.method = "AIC") */
    double statistic, critical;
    CHECK_INT(fi_ocsb(us_acc_deaths, 72, 12, &statistic, &critical, NULL), FTL_OK);
    CHECK_NEAR(statistic, -2.227109303, 1e-7);
    CHECK_NEAR(critical, -1.802962791, 1e-8);
    CHECK_INT(fi_ocsb(air_passengers, 144, 12, &statistic, &critical, NULL), FTL_OK);
    CHECK_NEAR(statistic, 1.51876238, 1e-7);
    CHECK_INT(fi_ocsb(lh, 48, 6, &statistic, &critical, NULL), FTL_OK);
    CHECK_NEAR(statistic, -4.79232066, 1e-7);
    CHECK_INT(fi_ocsb(lake_huron, 98, 4, &statistic, &critical, NULL), FTL_OK);
    CHECK_NEAR(statistic, -7.738317415, 1e-5);
    CHECK_INT(fi_ocsb(lh, 8, 6, &statistic, &critical, NULL), FTL_OK);
    CHECK(isnan(statistic));
}

static size_t first(const double *y, size_t n, fi_root_test test)
{
    size_t d = 99;
    CHECK_INT(fi_count_differences(y, n, test, 2, &d, NULL), FTL_OK);
    return d;
}

static size_t seasonal(const double *y, size_t n, size_t m, fi_season_test test)
{
    size_t D = 99;
    CHECK_INT(fi_count_seasonal_differences(y, n, m, test, 1, &D, NULL), FTL_OK);
    return D;
}

TEST(differences_are_counted_as_in_r)
{ /* ndiffs() and nsdiffs() */
    CHECK_INT(first(lh, 48, FI_TEST_KPSS), 0);
    CHECK_INT(first(lake_huron, 98, FI_TEST_KPSS), 1);
    CHECK_INT(first(lake_huron, 98, FI_TEST_ADF), 0);
    CHECK_INT(first(air_passengers, 144, FI_TEST_KPSS), 1);
    CHECK_INT(first(air_passengers, 144, FI_TEST_ADF), 1);
    CHECK_INT(seasonal(air_passengers, 144, 12, FI_TEST_STRENGTH), 1);
    CHECK_INT(seasonal(air_passengers, 144, 12, FI_TEST_OCSB), 1);
    CHECK_INT(seasonal(us_acc_deaths, 72, 12, FI_TEST_OCSB), 0);
    CHECK_INT(seasonal(lh, 48, 5, FI_TEST_STRENGTH), 0);
    CHECK_INT(seasonal(lh, 48, 24, FI_TEST_STRENGTH), 0); /* two seasons are too few */
}

TEST(constants_gaps_and_trifles)
{
    const double flat[6] = {3, 3, NAN, 3, 3, 3}, none[3] = {NAN, NAN, NAN}, two[2] = {1, 5},
                 almost[3] = {1, 1, 1 + 1e-9};
    CHECK(fi_is_constant(flat, 6) && fi_is_constant(none, 3) && fi_is_constant(none, 0) && fi_is_constant(almost, 3));
    CHECK(!fi_is_constant(two, 2));
    CHECK_INT(first(flat, 6, FI_TEST_KPSS), 0);
    CHECK_INT(first(none, 3, FI_TEST_ADF), 0);
    CHECK_INT(first(two, 1, FI_TEST_KPSS), 0);
    CHECK_INT(seasonal(flat, 6, 2, FI_TEST_OCSB), 0);
    double line[30];
    for (size_t t = 0; t < 30; t++) line[t] = t % 11 == 5 ? NAN : (double)t;
    CHECK_INT(first(line, 30, FI_TEST_KPSS), 1);
}

TEST(lack_of_memory_is_reported)
{
    size_t d;
    double statistic, critical;
    fi_alloc_fail_after(0);
    CHECK_INT(fi_count_differences(lh, 48, FI_TEST_KPSS, 2, &d, NULL), FTL_ENOMEM);
    CHECK_INT(fi_count_seasonal_differences(lh, 48, 4, FI_TEST_OCSB, 1, &d, NULL), FTL_ENOMEM);
    CHECK_INT(fi_ocsb(lh, 48, 4, &statistic, &critical, NULL), FTL_ENOMEM);
    fi_alloc_fail_after(1);
    CHECK_INT(fi_count_seasonal_differences(lh, 48, 4, FI_TEST_STRENGTH, 1, &d, NULL), FTL_ENOMEM);
    fi_alloc_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kpss_and_dickey_fuller_are_those_of_urca),
        cmocka_unit_test(ocsb_is_that_of_forecast),
        cmocka_unit_test(differences_are_counted_as_in_r),
        cmocka_unit_test(constants_gaps_and_trifles),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
