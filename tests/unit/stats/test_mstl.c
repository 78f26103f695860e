/* STL and MSTL: the decompositions of R and statsforecast, forecasts of R's stlf(), nested models, gaps, files. */
#include "local_methods.h"
#include "series_data.h"

#include <stdio.h>

enum { N = 1000 };
static const size_t rows[7] = {0, 1, 167, 500, 831, 998, 999};
static const double pi = 3.14159265358979323846;

/* Hours with a day that grows, a week, a slope and noise. */
static void fill(double *y)
{
    uint64_t state = 12345;
    for (size_t i = 0; i < N; i++) {
        double t = (double)i;
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        y[i] = 100 + 0.05 * t + 10 * sin(2 * pi * t / 24) * (1 + t / N) + 6 * cos(2 * pi * t / 168) +
               2 * ((double)(state >> 11) * 0x1p-52 - 1);
    }
}

static const ftl_predict_args all = {.horizon = 30, .history = true, .components = true};

static const double *component(const ftl_forecast *fc, const char *name)
{
    for (size_t i = 0; i < ftl_forecast_n_components(fc); i++)
        if (!strcmp(ftl_forecast_component_name(fc, i), name)) return ftl_forecast_component(fc, i);
    fail_msg("no component '%s'", name);
    return NULL;
}

typedef struct parts {
    double trend[7], day[7], week[7];
} parts;

/* Of the first n values, whose last two take the places of the last two of all. */
static void check_parts(const char *spec, size_t n, const parts *want, double tolerance)
{
    double y[N];
    fill(y);
    ftl_forecast *fc = forecast(spec, y, n, all);
    const double *trend = component(fc, "trend"), *day = component(fc, "seasonal24"),
                 *week = component(fc, "seasonal168"), *rest = component(fc, "remainder");
    for (size_t i = 0; i < 7; i++) {
        size_t t = rows[i] - (i > 4 ? N - n : 0);
        CHECK_NEAR(trend[t], want->trend[i], tolerance * 100);
        CHECK_NEAR(day[t], want->day[i], tolerance * 100);
        CHECK_NEAR(week[t], want->week[i], tolerance * 100);
        CHECK_NEAR(trend[t] + day[t] + week[t] + rest[t], y[t], 1e-10);
    }
    for (size_t h = 0; h < 30; h++) {
        CHECK_NEAR(day[n + h], day[n - 24 + h % 24], 0);
        CHECK_NEAR(week[n + h], week[n - 168 + h], 0);
        CHECK_NEAR(trend[n + h] + day[n + h] + week[n + h], ftl_forecast_point(fc)[n + h], 1e-10);
        CHECK_NEAR(rest[n + h], 0, 0);
    }
    ftl_forecast_free(fc);
}

TEST(seasons_part_as_in_r)
{ /* R 4.2.2, forecast 8.20: mstl(msts(y, c(24, 168))) */
    static const parts plain = {{100.02976336255, 100.07931622033, 108.35844859527, 124.84188793149, 141.61499418991,
                                 150.35373674672, 150.40597087060},
                                {0.052511798375416, 2.436688811181755, -3.440853589464228, -13.719845835036077,
                                 -12.607755191052309, -9.443594794396164, -13.546903254254451},
                                {5.4391804172625, 5.2094811862826, 5.9749224945133, 6.9362022655793, 5.8393752482874,
                                 5.7524002394255, 5.8357979009357}};
    check_parts("mstl:seasons=168+24,trend=drift", N, &plain, 1e-12);
}

TEST(outliers_count_less_as_in_r)
{ /* of the first 999: at even lengths R's median may be off by one */
    static const parts robust = {{99.906035357790, 99.956638774046, 108.294286109786, 124.793430754897,
                                  141.635149884912, 150.544504687078, 150.599059884009},
                                 {0.033515627199421, 2.407309216921261, -3.405583053122729, -13.717175822763727,
                                  -12.544298670191008, -4.583191116305792, -9.458688520039633},
                                 {5.8380532689626, 5.2718183091160, 5.9217731312882, 7.0480205709712, 6.1908136740509,
                                  5.0694523956072, 5.4337931419052}};
    check_parts("mstl:seasons=24+168,trend=naive,robust", N - 1, &robust, 1e-12);
}

TEST(exact_loess_and_five_passes_are_statsforecast)
{ /* statsforecast 2.1.1 over statsmodels: every row, five inner passes; low-pass windows agree for even periods */
    static const parts peer = {{99.83134263665613, 99.88295406039549, 108.35808324296171, 124.83943664936615,
                                141.61312797924097, 150.54931311944594, 150.60360897994386},
                               {0.060615699496745896, 2.443511229623533, -3.422805460644605, -13.712554699636906,
                                -12.57144214439592, -9.457850019536984, -13.559993995752201},
                               {5.796870825822074, 5.56628224554783, 5.930368751521087, 6.922648716645223,
                                5.499412553044215, 5.380486760832176, 5.490097938965765}};
    check_parts("mstl:seasons=24+168,exact,passes=5,trend=theta", N, &peer, 1e-12);
}

TEST(one_season_and_a_drift_forecast_as_in_r)
{ /* R: stlf(AirPassengers, h = 24, method = "rwdrift", level = 80) */
    static const double levels[] = {0.5, 0.9};
    static const size_t ahead[] = {0, 1, 23};
    static const double mean[] = {445.937173797, 429.853499589, 490.274559590},
                        upper[] = {459.509381020, 449.114029642, 561.877868506};
    ftl_predict_args args = {.horizon = 24, .levels = levels, .n_levels = 2};
    ftl_forecast *fc = forecast("stl:season=12,trend=drift", air_passengers, 144, args),
                 *same = forecast("mstl:seasons=12,trend=drift", air_passengers, 144, args);
    for (size_t i = 0; i < 3; i++) {
        CHECK_NEAR(ftl_forecast_point(fc)[ahead[i]], mean[i], 1e-8);
        CHECK_NEAR(ftl_forecast_quantiles(fc)[2 * ahead[i] + 1], upper[i], 1e-8);
        CHECK(ftl_forecast_point(fc)[ahead[i]] == ftl_forecast_point(same)[ahead[i]]);
    }
    ftl_forecast_free(fc);
    ftl_forecast_free(same);
}

TEST(paths_and_quantiles_agree)
{ /* 5,000 paths: the standard error of a 0.9 quantile is sd / 41 */
    static const double levels[] = {0.5, 0.9};
    ftl_predict_args args = {.horizon = 15, .levels = levels, .n_levels = 2}, drawn = args;
    drawn.n_samples = 5000;
    drawn.sampled_quantiles = true;
    ftl_forecast *a = forecast("stl:season=12,trend=drift", air_passengers, 144, args),
                 *b = forecast("stl:season=12,trend=drift", air_passengers, 144, drawn);
    for (size_t h = 0; h < 15; h++) {
        const double *q = ftl_forecast_quantiles(a) + 2 * h;
        CHECK_NEAR(ftl_forecast_quantiles(b)[2 * h + 1], q[1], 5 * (q[1] - q[0]) / 1.28 / 41);
    }
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

TEST(gaps_are_bridged_for_the_seasons_only)
{ /* a drift over gaps is not that of a bridged series: its variance counts observations */
    double y[144];
    memcpy(y, air_passengers, sizeof y);
    for (size_t t = 60; t < 66; t++) y[t] = NAN;
    ftl_forecast *fc = forecast("stl:season=12,trend=naive", y, 144, all);
    const double *season = component(fc, "seasonal12"), *rest = component(fc, "remainder");
    CHECK(isnan(rest[62]) && isfinite(rest[66]) && isfinite(season[62]));
    CHECK(isnan(ftl_forecast_point(fc)[63]) && isfinite(ftl_forecast_point(fc)[67])); /* naive: the step before */
    CHECK_NEAR(ftl_forecast_point(fc)[144], y[143] - season[143] + season[132], 1e-10);
    ftl_forecast_free(fc);
}

TEST(shift_and_scale_pass_through)
{
    double y[144];
    for (size_t t = 0; t < 144; t++) y[t] = 1000 - 3 * air_passengers[t];
    const char *spec = "stl:season=12,trend=holt,periodic";
    ftl_predict_args args = {.horizon = 12};
    ftl_forecast *a = forecast(spec, air_passengers, 144, args), *b = forecast(spec, y, 144, args);
    for (size_t h = 0; h < 12; h++) CHECK_NEAR(ftl_forecast_point(b)[h], 1000 - 3 * ftl_forecast_point(a)[h], 1e-2);
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

TEST(seasons_too_long_are_left_out_with_a_warning)
{
    ftl_config *config = NULL;
    ftl_series *s = NULL;
    ftl_model *model = NULL;
    CHECK_INT(ftl_config_new("mstl:seasons=12+72,trend=naive", &config, NULL), FTL_OK);
    CHECK_INT(ftl_series_new("a", air_passengers, 144, &s, NULL), FTL_OK);
    CHECK_INT(ftl_model_fit(config, s, NULL, &model, NULL), FTL_OK);
    CHECK_INT(ftl_model_n_warnings(model), 1);
    CHECK_CONTAINS(ftl_model_warning(model, 0), "two seasons of 72");
    ftl_model_free(model);
    ftl_series_free(s);
    ftl_config_free(config);
}

static void check_config(const char *spec, const char *part)
{
    ftl_config *config = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_config_new(spec, &config, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, part);
}

TEST(what_makes_no_sense_is_refused)
{
    check_config("mstl:trend=stl", "cannot be made of stl");
    check_config("stl:trend=ensemble", "cannot be made of ensemble");
    check_config("mstl:trend=auto-etz", "did you mean 'auto-ets'");
    check_config("mstl:seasons=24+x", "whole numbers of steps");
    check_config("mstl:seasons=1", "whole numbers of steps");
    check_config("stl:periodic,window=7", "leave out one");
    check_config("mstl:trend=auto-ets:seasn=3", "did you mean 'season'");
}

static ftl_status load_changed(const char *saved, const char *from, const char *to, ftl_error *err)
{
    char *text = malloc(strlen(saved) + strlen(to) + 1);
    const char *at = strstr(saved, from);
    ftl_model *model = NULL;
    CHECK(text && at);
    sprintf(text, "%.*s%s%s", (int)(at - saved), saved, to, at + strlen(from));
    ftl_status st = ftl_model_load_text(text, strlen(text), "file", &model, err);
    ftl_model_free(model);
    free(text);
    return st;
}

TEST(hostile_files_are_refused)
{
    ftl_config *config = NULL;
    ftl_series *s = NULL;
    ftl_model *model = NULL;
    char *saved = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_config_new("stl:season=3,trend=naive", &config, NULL), FTL_OK);
    CHECK_INT(ftl_series_new("a", air_passengers, 20, &s, NULL), FTL_OK);
    CHECK_INT(ftl_model_fit(config, s, NULL, &model, NULL), FTL_OK);
    CHECK_INT(ftl_model_save_text(model, &saved, NULL), FTL_OK);
    CHECK_INT(load_changed(saved, "\"seasons\":[3]", "\"seasons\":[3]", &err), FTL_OK);
    const char *const to[] = {"\"seasons\":[21]",    "\"seasons\":[1]", "\"seasons\":[3,4]",
                              "\"seasons\":[\"x\"]", "\"seasons\":[]",  "\"seasons\":[-3]"};
    for (size_t i = 0; i < 6; i++) {
        CHECK_INT(load_changed(saved, "\"seasons\":[3]", to[i], &err), FTL_EDATA);
        CHECK_CONTAINS(err.message, "'seasons'");
    }
    CHECK_INT(load_changed(saved, "\"model\":\"naive\"", "\"model\":\"mstl\"", &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "cannot be made of mstl");
    CHECK_INT(load_changed(saved, "\"trend_model\":", "\"other\":", &err), FTL_EDATA);
    CHECK_INT(load_changed(saved, "\"remainder\":[", "\"remainder\":[1,", &err), FTL_EDATA);
    ftl_text_free(saved);
    ftl_model_free(model);
    ftl_series_free(s);
    ftl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seasons_part_as_in_r),
        cmocka_unit_test(outliers_count_less_as_in_r),
        cmocka_unit_test(exact_loess_and_five_passes_are_statsforecast),
        cmocka_unit_test(one_season_and_a_drift_forecast_as_in_r),
        cmocka_unit_test(paths_and_quantiles_agree),
        cmocka_unit_test(gaps_are_bridged_for_the_seasons_only),
        cmocka_unit_test(shift_and_scale_pass_through),
        cmocka_unit_test(seasons_too_long_are_left_out_with_a_warning),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(hostile_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
