/* Random walk with drift, against R and by hand. */
#include "local_methods.h"

static const double levels[2] = {0.5, 0.9};

TEST(the_numbers_are_those_of_r)
{ /* R 4.2.2, forecast 8.20: rwf(Nile, drift = TRUE, h = 3, level = 80) */
    const double mean[] = {736.161616162, 732.323232323, 728.484848485},
                 high[] = {952.716832142, 1040.106023213, 1107.301762572};
    ftl_forecast *fc = forecast("drift", nile, 100, (ftl_predict_args){.horizon = 3, .levels = levels, .n_levels = 2});
    for (size_t h = 0; h < 3; h++) {
        CHECK_NEAR(ftl_forecast_point(fc)[h], mean[h], 1e-8);
        CHECK_NEAR(ftl_forecast_quantiles(fc)[2 * h + 1], high[h], 1e-8);
    }
    ftl_forecast_free(fc);
}

TEST(gaps_leave_the_line_where_it_is)
{ /* on y = 3 t nothing is random, whatever is missing; the last row is a gap, so the first step ahead is the second */
    const double y[] = {NAN, 3, 6, NAN, NAN, 15, 18, 21, NAN};
    ftl_forecast *fc =
        forecast("drift", y, 9, (ftl_predict_args){.horizon = 2, .history = true, .levels = levels, .n_levels = 2});
    CHECK_NEAR(ftl_forecast_point(fc)[9], 27, 1e-12);
    CHECK_NEAR(ftl_forecast_quantiles(fc)[2 * 10 + 1], 30, 1e-9);
    CHECK(isnan(ftl_forecast_point(fc)[1]));
    CHECK_NEAR(ftl_forecast_point(fc)[5], 15, 1e-12);
    ftl_forecast_free(fc);
}

TEST(sample_paths_have_the_quantiles_of_the_formula)
{ /* n = 20,000 paths: the standard error of the 0.9 quantile is sd / 82; 5 of them are allowed */
    const ftl_predict_args exact = {.horizon = 9, .levels = levels, .n_levels = 2};
    ftl_predict_args drawn = exact;
    drawn.n_samples = 20000;
    drawn.sampled_quantiles = true;
    ftl_forecast *a = forecast("drift", nile, 12, exact), *b = forecast("drift", nile, 12, drawn);
    for (size_t h = 0; h < 9; h++) {
        const double *q = ftl_forecast_quantiles(a) + 2 * h;
        CHECK_NEAR(ftl_forecast_quantiles(b)[2 * h + 1], q[1], 5 * (q[1] - q[0]) / 1.2815515655446004 / 82);
    }
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

TEST(too_little_is_refused)
{
    const double y[] = {1, NAN, 3};
    check_unfit("drift", y, 3, "it has 2 observations, but a drift and its variance need 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_those_of_r),
        cmocka_unit_test(gaps_leave_the_line_where_it_is),
        cmocka_unit_test(sample_paths_have_the_quantiles_of_the_formula),
        cmocka_unit_test(too_little_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
