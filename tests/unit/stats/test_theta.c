/* The theta models, against statsforecast 2.1.1 and by hand. */
#include "local_methods.h"
#include "series_data.h"
#include "stats/classical.h"

static const double levels[2] = {0.5, 0.9};

/* statsforecast.theta.auto_theta(AirPassengers, 12, model=...), forecast_theta(.., 4)["mean"] */
TEST(the_four_forms_are_those_of_statsforecast)
{
    static const struct {
        const char *spec;
        double mean[4];
    } forms[] = {{"theta:season=12", {440.96919545, 429.24924183, 490.69318724, 476.65992046}},
                 {"theta:season=12,model=otm", {442.94253202, 432.23101568, 495.30793451, 482.30800284}},
                 {"theta:season=12,model=dstm", {440.77411379, 429.06186084, 490.4832683, 476.4612905}},
                 {"theta:season=12,model=dotm", {442.92719487, 432.29840082, 495.48245438, 482.57534129}}};
    for (size_t i = 0; i < 4; i++) {
        ftl_forecast *fc = forecast(forms[i].spec, air_passengers, 144,
                                    (ftl_predict_args){.horizon = 4, .levels = levels, .n_levels = 2});
        /* their descent stops short of the least squares: up to 0.24 of 480 apart */
        for (size_t h = 0; h < 4; h++) CHECK_NEAR(ftl_forecast_point(fc)[h], forms[i].mean[h], 6e-4 * 480);
        ftl_forecast_free(fc);
    }
}

/* The same on a yearly series without season, whose parameters lie at the bounds of both: to every digit printed. */
TEST(a_yearly_series_is_forecast_alike)
{
    const double y[] = {940.66,  1084.86, 1244.98, 1445.02, 1683.17, 2038.15, 2342.52,
                        2602.45, 2927.87, 3103.96, 3360.27, 3807.63, 4387.88, 4936.99};
    const double stm[] = {5081.05653118, 5229.17647623, 5377.29642128};
    const double dstm[] = {5081.05653118, 5232.89508461, 5385.49386104};
    ftl_forecast *a = forecast("theta", y, 14, (ftl_predict_args){.horizon = 3});
    ftl_forecast *b = forecast("theta:model=dstm", y, 14, (ftl_predict_args){.horizon = 3});
    for (size_t h = 0; h < 3; h++) {
        CHECK_NEAR(ftl_forecast_point(a)[h], stm[h], 1e-3);
        CHECK_NEAR(ftl_forecast_point(b)[h], dstm[h], 1e-3);
    }
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

/* Variances in closed form against 20,000 paths: the standard error of the 0.9 quantile is sd / 82; 5 are allowed. */
TEST(sample_paths_have_the_quantiles_of_the_formula)
{
    static const char *const specs[] = {"theta:season=12,model=otm", "theta:season=12,model=dotm",
                                        "theta:season=12,model=dstm,decomposition=additive"};
    for (size_t i = 0; i < 3; i++) {
        const ftl_predict_args exact = {.horizon = 14, .levels = levels, .n_levels = 2};
        ftl_predict_args drawn = exact;
        drawn.n_samples = 20000;
        drawn.sampled_quantiles = true;
        ftl_forecast *a = forecast(specs[i], air_passengers, 60, exact);
        ftl_forecast *b = forecast(specs[i], air_passengers, 60, drawn);
        for (size_t h = 0; h < 14; h++) {
            const double *q = ftl_forecast_quantiles(a) + 2 * h;
            CHECK_NEAR(ftl_forecast_quantiles(b)[2 * h + 1], q[1], 5 * (q[1] - q[0]) / 1.2815515655446004 / 82);
        }
        ftl_forecast_free(a);
        ftl_forecast_free(b);
    }
}

/* The future as the model's own history: predicting on equals fitting the same parameters to the extended series. */
TEST(a_line_is_continued)
{ /* y = 5 + 2 t: every form has no error, the dynamic line is the line itself */
    double y[30];
    for (int t = 0; t < 30; t++) y[t] = 5 + 2 * (t + 1);
    ftl_forecast *fc = forecast("theta:model=dotm", y, 30, (ftl_predict_args){.horizon = 5, .history = true});
    for (size_t h = 0; h < 5; h++) CHECK_NEAR(ftl_forecast_point(fc)[30 + h], 5 + 2 * (31 + (double)h), 0.2);
    ftl_forecast_free(fc);
}

TEST(constant_and_zero_series_stay_what_they_are)
{
    const double flat[] = {7, 7, 7, 7, 7, 7, 7, 7, 7}, zeros[9] = {0};
    for (size_t i = 0; i < 2; i++) {
        ftl_forecast *fc = forecast("auto-theta", i ? zeros : flat, 9,
                                    (ftl_predict_args){.horizon = 3, .levels = levels, .n_levels = 2});
        for (size_t k = 0; k < 6; k++) CHECK_NEAR(ftl_forecast_quantiles(fc)[k], i ? 0 : 7, 1e-6);
        ftl_forecast_free(fc);
    }
}

TEST(gaps_are_bridged_and_do_not_count)
{
    double y[144];
    memcpy(y, air_passengers, sizeof y);
    y[0] = y[50] = y[51] = y[100] = NAN;
    ftl_forecast *with = forecast("auto-theta:season=12", y, 144, (ftl_predict_args){.horizon = 12});
    ftl_forecast *without = forecast("auto-theta:season=12", air_passengers, 144, (ftl_predict_args){.horizon = 12});
    for (size_t h = 0; h < 12; h++) CHECK_CLOSE(ftl_forecast_point(with)[h], ftl_forecast_point(without)[h], 0.02);
    ftl_forecast_free(with);
    ftl_forecast_free(without);
}

TEST(too_little_is_refused)
{
    const double y[] = {1, NAN, 3, 4};
    check_unfit("auto-theta", y, 4, "it has 3 observations; the theta method needs at least 4");
}

/* R 4.2.2: decompose(USAccDeaths)$figure, decompose(AirPassengers, "multiplicative")$figure, first three; acf(lh) */
TEST(classical_decomposition_is_that_of_r)
{
    double effect[12];
    const double additive[] = {-805.8923611, -1523.3090278, -740.8423611},
                 product[] = {0.910230367, 0.883625321, 1.007366288};
    fi_classical_season(us_acc_deaths, 72, 12, false, effect);
    for (size_t i = 0; i < 3; i++) CHECK_NEAR(effect[i], additive[i], 1e-5);
    fi_classical_season(air_passengers, 144, 12, true, effect);
    for (size_t i = 0; i < 3; i++) CHECK_NEAR(effect[i], product[i], 1e-9);
    CHECK_NEAR(fi_autocorrelation(lh, 48, 1), 0.57552448, 1e-8);
    CHECK(fi_is_seasonal(air_passengers, 144, 12));
    CHECK(!fi_is_seasonal(lh, 48, 12));
    CHECK(!fi_is_seasonal((double[]){5, 5, 5, 5, 5, 5, 5, 5}, 8, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_forms_are_those_of_statsforecast),
        cmocka_unit_test(a_yearly_series_is_forecast_alike),
        cmocka_unit_test(sample_paths_have_the_quantiles_of_the_formula),
        cmocka_unit_test(a_line_is_continued),
        cmocka_unit_test(constant_and_zero_series_stay_what_they_are),
        cmocka_unit_test(gaps_are_bridged_and_do_not_count),
        cmocka_unit_test(too_little_is_refused),
        cmocka_unit_test(classical_decomposition_is_that_of_r),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
