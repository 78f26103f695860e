/* Methods for intermittent demand, against statsforecast 2.1.1 and by hand. */
#include "local_methods.h"

static const double demand[24] = {0, 2, 0, 0, 1, 0, 4, 0, 0, 0, 3, 1, 0, 0, 0, 0, 2, 0, 5, 0, 0, 1, 0, 0};
static const double levels[2] = {0.5, 0.9};

TEST(levels_are_those_of_statsforecast)
{ /* CrostonClassic, CrostonOptimized, CrostonSBA, TSB(0.1, 0.1), ADIDA, IMAPA of statsforecast on `demand` */
    static const struct {
        const char *spec;
        double level;
    } methods[] = {{"croston", 0.9075968558676415}, {"croston:optimise", 0.8828505181078161},
                   {"sba", 0.8622170130742594},     {"tsb", 0.6272515885765257},
                   {"adida", 0.740124633333494},    {"imapa", 0.7541346221301528}};
    for (size_t i = 0; i < 6; i++) {
        ftl_forecast *fc = forecast(methods[i].spec, demand, 24, (ftl_predict_args){.horizon = 3});
        for (size_t h = 0; h < 3; h++) CHECK_NEAR(ftl_forecast_point(fc)[h], methods[i].level, 2e-5);
        ftl_forecast_free(fc);
    }
}

TEST(the_distribution_has_the_mean_and_the_zeros_it_should)
{ /* 40,000 draws: the standard error of the share of zeros is at most 0.0025, 5 of them are allowed */
    enum { N = 40000 };
    ftl_forecast *fc = forecast("croston", demand, 24,
                                (ftl_predict_args){.horizon = 1, .n_samples = N, .levels = levels, .n_levels = 2});
    const double *x = ftl_forecast_samples(fc);
    double zeros = 0, sum = 0, level = ftl_forecast_point(fc)[0];
    for (size_t i = 0; i < N; i++) {
        zeros += x[i] == 0;
        sum += x[i];
    }
    CHECK_NEAR(sum / N, level, 5 * 1.7 / sqrt(N));
    CHECK_NEAR(zeros / N, 1 - 1 / 2.4544641, 0.0125);
    CHECK_NEAR(ftl_forecast_quantiles(fc)[0], 0, 0);
    ftl_forecast_free(fc);
}

TEST(gaps_are_passed_over)
{
    double y[26];
    memcpy(y + 2, demand, sizeof demand);
    y[0] = y[1] = NAN;
    ftl_forecast *with = forecast("tsb", y, 26, (ftl_predict_args){.horizon = 1});
    ftl_forecast *without = forecast("tsb", demand, 24, (ftl_predict_args){.horizon = 1});
    CHECK_NEAR(ftl_forecast_point(with)[0], ftl_forecast_point(without)[0], 0);
    ftl_forecast_free(with);
    ftl_forecast_free(without);
}

TEST(never_a_demand_is_zero_for_certain)
{
    static const char *const specs[] = {"croston", "sba", "tsb", "adida", "imapa"};
    const double zeros[12] = {0};
    for (size_t i = 0; i < 5; i++) {
        ftl_forecast *fc =
            forecast(specs[i], zeros, 12, (ftl_predict_args){.horizon = 2, .levels = levels, .n_levels = 2});
        for (size_t k = 0; k < 4; k++) CHECK_NEAR(ftl_forecast_quantiles(fc)[k], 0, 0);
        ftl_forecast_free(fc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_those_of_statsforecast),
        cmocka_unit_test(the_distribution_has_the_mean_and_the_zeros_it_should),
        cmocka_unit_test(gaps_are_passed_over),
        cmocka_unit_test(never_a_demand_is_zero_for_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
