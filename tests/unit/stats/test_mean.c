/* Means of the history, of windows, and by place of the season. */
#include "local_methods.h"

static const double levels[2] = {0.5, 0.9};
static const double z90 = 1.2815515655446004;
static const ftl_predict_args ahead = {.horizon = 5, .levels = levels, .n_levels = 2};

TEST(the_mean_and_its_deviation_are_the_usual_ones)
{ /* R 4.2.2: mean(Nile), sd(Nile) */
    ftl_forecast *fc = forecast("mean", nile, 100, ahead);
    CHECK_NEAR(ftl_forecast_point(fc)[4], 919.35, 1e-10);
    CHECK_NEAR(ftl_forecast_quantiles(fc)[9], 919.35 + z90 * 169.227500631 * sqrt(1.01), 1e-6);
    ftl_forecast_free(fc);
}

TEST(a_window_counts_observations)
{
    const double y[] = {100, 1, 2, NAN, 4, 8, NAN};
    ftl_forecast *fc = forecast("window-mean:window=3", y, 7, (ftl_predict_args){.horizon = 1, .history = true});
    CHECK_NEAR(ftl_forecast_point(fc)[7], (2.0 + 4 + 8) / 3, 1e-12);
    CHECK_NEAR(ftl_forecast_point(fc)[5], (1.0 + 2 + 4) / 3, 1e-12);
    CHECK_NEAR(ftl_forecast_point(fc)[1], 100, 0);
    ftl_forecast_free(fc);
}

TEST(a_long_window_gathers_no_rounding)
{ /* 1e15 passes through the running sum again and again */
    enum { N = 5000 };
    double y[N];
    for (size_t t = 0; t < N; t++) y[t] = t % 97 == 0 && t < 4990 ? 1e15 : (double)(t % 5);
    ftl_forecast *fc = forecast("window-mean:window=10", y, N, (ftl_predict_args){.horizon = 1, .history = true});
    CHECK_NEAR(ftl_forecast_point(fc)[N], 2, 3); /* sums of 1e15 are exact to 0.1, and begun anew each 256 rows */
    ftl_forecast_free(fc);
}

TEST(seasons_have_a_mean_for_each_place)
{
    const double y[] = {0, 10, 20, 2, NAN, 22, 4, 14, 24, 6, 16};
    ftl_forecast *fc = forecast("seasonal-window-mean:season=3,window=2", y, 11, ahead);
    const double mean[] = {23, 5, 15, 23, 5};
    for (size_t h = 0; h < 5; h++) CHECK_NEAR(ftl_forecast_point(fc)[h], mean[h], 1e-12);
    /* one-step errors: 2, 2 (of 1), 3 (of 2 each: 4 - 1, 6 - 3); 4, 4 (10, 12: of 2); 2, 3 (24 - 21) */
    double squares[] = {4. / 2, 9. * 2 / 3, 9. * 2 / 3, 16. / 2, 16. * 2 / 3, 4. / 2, 9. * 2 / 3}, sum = 0;
    for (size_t i = 0; i < 7; i++) sum += squares[i];
    CHECK_NEAR(ftl_forecast_quantiles(fc)[1], 23 + z90 * sqrt(sum / 7 * 1.5), 1e-12);
    ftl_forecast_free(fc);
}

TEST(sample_paths_have_the_quantiles_of_the_formula)
{ /* n = 20,000 paths: the standard error of the 0.9 quantile is sd / 82; 5 of them are allowed */
    ftl_predict_args drawn = ahead;
    drawn.n_samples = 20000;
    drawn.sampled_quantiles = true;
    ftl_forecast *a = forecast("seasonal-window-mean:season=4", nile, 100, ahead),
                 *b = forecast("seasonal-window-mean:season=4", nile, 100, drawn);
    for (size_t h = 0; h < 5; h++) {
        const double *q = ftl_forecast_quantiles(a) + 2 * h;
        CHECK_NEAR(ftl_forecast_quantiles(b)[2 * h + 1], q[1], 5 * (q[1] - q[0]) / z90 / 82);
    }
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

TEST(too_little_is_refused)
{
    const double y[] = {1, NAN, NAN, 4};
    check_unfit("mean", y, 3, "too few observations");
    check_unfit("seasonal-window-mean:season=4", y, 4, "a season of 4 needs more than 4");
    check_unfit("seasonal-window-mean:season=3", y, 4, "some place of its season of 3 steps was never observed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_and_its_deviation_are_the_usual_ones),
        cmocka_unit_test(a_window_counts_observations),
        cmocka_unit_test(a_long_window_gathers_no_rounding),
        cmocka_unit_test(seasons_have_a_mean_for_each_place),
        cmocka_unit_test(sample_paths_have_the_quantiles_of_the_formula),
        cmocka_unit_test(too_little_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
