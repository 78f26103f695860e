/* Seasonal naive: its numbers, by hand and by simulation. */
#include "local_methods.h"

/* three years of quarters, each 2 above the year before: sigma is 2 and nothing is random */
static const double quarters[12] = {10, 20, 30, 40, 12, 22, 32, 42, 14, 24, 34, 44}, levels[2] = {0.5, 0.9};
static const double z90 = 1.2815515655446004; /* normal 0.9 quantile */

TEST(the_last_season_is_repeated_and_widens_each_year)
{
    const ftl_predict_args args = {.horizon = 9, .levels = levels, .n_levels = 2};
    ftl_forecast *fc = forecast("seasonal-naive:season=4", quarters, 12, args);
    const double *q = ftl_forecast_quantiles(fc); /* [9, 2] */
    for (size_t h = 0; h < 9; h++) {
        double mean = quarters[8 + h % 4];
        CHECK_NEAR(ftl_forecast_point(fc)[h], mean, 0);
        CHECK_NEAR(q[h * 2], mean, 1e-15);
        CHECK_NEAR(q[h * 2 + 1], mean + 2.0 * sqrt((double)(h / 4 + 1)) * z90, 1e-12);
    }
    ftl_forecast_free(fc);
}

TEST(a_gap_in_the_last_season_is_bridged_from_the_season_before)
{
    double y[12];
    memcpy(y, quarters, sizeof y);
    y[9] = NAN;
    const ftl_predict_args args = {.horizon = 6, .levels = levels, .n_levels = 2};
    ftl_forecast *fc = forecast("seasonal-naive:season=4", y, 12, args);
    const double *q = ftl_forecast_quantiles(fc);
    CHECK_NEAR(ftl_forecast_point(fc)[1], 22, 0);
    CHECK_NEAR(q[1 * 2 + 1], 22 + 2.0 * sqrt(2.0) * z90, 1e-12); /* two steps of a year from the last value seen */
    CHECK_NEAR(q[5 * 2 + 1], 22 + 2.0 * sqrt(3.0) * z90, 1e-12);
    ftl_forecast_free(fc);
}

TEST(too_little_is_refused)
{
    const double one[] = {1}, sparse[] = {1, NAN, 3, NAN, 5, NAN};
    check_unfit("seasonal-naive", one, 1, "series 'a'");
    check_unfit("seasonal-naive:season=4", quarters, 4, "a season of 4 needs more than 4");
    check_unfit("seasonal-naive:season=1", sparse, 6, "no two observations lie 1 step apart");
    check_unfit("seasonal-naive:season=2", sparse, 6, "never observed");
}

TEST(huge_and_tiny_values_do_not_overflow)
{
    const double huge[] = {1e300, 3e300, 1e300, 3e300, 2e300}, tiny[] = {1e-300, 3e-300, 1e-300, 3e-300, 2e-300};
    const ftl_predict_args args = {.horizon = 1, .levels = levels, .n_levels = 2};
    ftl_forecast *a = forecast("seasonal-naive:season=1", huge, 5, args),
                 *b = forecast("seasonal-naive:season=1", tiny, 5, args);
    double sigma = sqrt((4.0 + 4 + 4 + 1) / 4);
    CHECK_CLOSE(ftl_forecast_quantiles(a)[1] / 1e300, 2 + sigma * z90, 1e-14);
    CHECK_CLOSE(ftl_forecast_quantiles(b)[1] / 1e-300, 2 + sigma * z90, 1e-14);
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

TEST(a_constant_series_has_no_width)
{
    const double y[] = {5, 5, 5, 5};
    const ftl_predict_args args = {.horizon = 2};
    ftl_forecast *fc = forecast("seasonal-naive", y, 4, args);
    for (size_t i = 0; i < 10; i++) CHECK_NEAR(ftl_forecast_quantiles(fc)[i], 5, 0);
    ftl_forecast_free(fc);
}

TEST(sample_paths_have_the_quantiles_of_the_formula)
{ /* n = 20,000 paths: the standard error of the 0.9 quantile is sigma_h / 82; 5 of them are allowed */
    const ftl_predict_args exact = {.horizon = 9, .levels = levels, .n_levels = 2}, drawn = {.horizon = 9,
                                                                                             .levels = levels,
                                                                                             .n_levels = 2,
                                                                                             .n_samples = 20000,
                                                                                             .sampled_quantiles = true,
                                                                                             .seed = 1};
    ftl_forecast *a = forecast("seasonal-naive:season=4", quarters, 12, exact),
                 *b = forecast("seasonal-naive:season=4", quarters, 12, drawn);
    for (size_t h = 0; h < 9; h++)
        CHECK_NEAR(ftl_forecast_quantiles(b)[2 * h + 1], ftl_forecast_quantiles(a)[2 * h + 1],
                   5 * 2.0 * sqrt((double)(h / 4 + 1)) / 82);
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

TEST(intervals_cover_what_they_say)
{ /* random walks: the 80 % interval one step ahead covers 80 % of 2,000 continuations; binomial sd 0.9 %, 4 allowed */
    static const double bounds[] = {0.1, 0.9};
    unsigned long long random = 12345;
    size_t inside = 0;
    for (size_t trial = 0; trial < 2000; trial++) {
        double y[101], at = 0;
        for (size_t t = 0; t < 101; t++) {
            double sum = 0; /* nearly normal: 12 uniforms */
            for (int i = 0; i < 12; i++) {
                random = random * 6364136223846793005ULL + 1442695040888963407ULL;
                sum += (double)(random >> 11) * 0x1p-53;
            }
            y[t] = at += sum - 6;
        }
        const ftl_predict_args args = {.horizon = 1, .levels = bounds, .n_levels = 2};
        ftl_forecast *fc = forecast("seasonal-naive:season=1", y, 100, args);
        const double *q = ftl_forecast_quantiles(fc);
        inside += y[100] >= q[0] && y[100] <= q[1];
        ftl_forecast_free(fc);
    }
    CHECK_NEAR((double)inside / 2000, 0.8, 4 * 0.009);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_season_is_repeated_and_widens_each_year),
        cmocka_unit_test(a_gap_in_the_last_season_is_bridged_from_the_season_before),
        cmocka_unit_test(too_little_is_refused),
        cmocka_unit_test(huge_and_tiny_values_do_not_overflow),
        cmocka_unit_test(a_constant_series_has_no_width),
        cmocka_unit_test(sample_paths_have_the_quantiles_of_the_formula),
        cmocka_unit_test(intervals_cover_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
