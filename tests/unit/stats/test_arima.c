/* The forecasters arima and auto-arima: the models and forecasts of R's forecast 8.20, and what holds for any series. */
#include "base/alloc.h"
#include "local_methods.h"
#include "series_data.h"

static const double levels[2] = {0.5, 0.9};
static const double Z90 = 1.2815515655446004;

/* The explanation of a fit names this model. */
static void check_model(const char *spec, const double *y, size_t n, const char *name)
{
    ftl_model *model = fit(spec, y, n);
    char *text = NULL;
    CHECK_INT(ftl_model_explain(model, &text, NULL), FTL_OK);
    CHECK_CONTAINS(text, name);
    ftl_text_free(text);
    ftl_model_free(model);
}

/* Point and 0.9 quantile of the first steps, each within `tolerance` of its size. */
static void check_forecast(const char *spec, const double *y, size_t n, size_t horizon, const double *mean,
                           const double *high, double tolerance)
{
    ftl_forecast *fc = forecast(spec, y, n, (ftl_predict_args){.horizon = horizon, .levels = levels, .n_levels = 2});
    for (size_t h = 0; h < horizon; h++) {
        CHECK_CLOSE(ftl_forecast_point(fc)[h], mean[h], tolerance);
        if (high) CHECK_CLOSE(ftl_forecast_quantiles(fc)[2 * h + 1], high[h], tolerance);
    }
    ftl_forecast_free(fc);
}

TEST(automatic_choices_are_those_of_r)
{
    double logs[144];
    for (size_t t = 0; t < 144; t++) logs[t] = log(air_passengers[t]);
    check_model("auto-arima:season=12", logs, 144, "\"ARIMA(0,1,1)(0,1,1)[12]\"");
    check_model("auto-arima:season=12", air_passengers, 144, "\"ARIMA(2,1,1)(0,1,0)[12]\"");
    check_model("auto-arima:season=12", us_acc_deaths, 72, "\"ARIMA(0,1,1)(0,1,1)[12]\"");
    check_model("auto-arima", lh, 48, "\"ARIMA(1,0,0) with non-zero mean\"");
    check_model("auto-arima:stepwise=no", lh, 48, "\"ARIMA(0,0,2) with non-zero mean\"");
    check_model("auto-arima:criterion=bic", lh, 48, "\"ARIMA(1,0,0) with non-zero mean\"");
    check_model("auto-arima:season=4", presidents, 120, "\"ARIMA(1,0,0)(0,0,1)[4] with non-zero mean\"");
}

TEST(forecasts_are_those_of_r)
{ /* forecast(auto.arima(AirPassengers), 3, level = 80) and that of presidents, which has gaps */
    check_forecast("auto-arima:season=12", air_passengers, 144, 3, (double[]){445.6349, 420.3950, 449.1983},
                   (double[]){460.3795, 437.6993, 468.6241}, 2e-6);
    check_forecast("auto-arima:season=4", presidents, 120, 3, (double[]){29.35600, 33.89535, 37.27396},
                   (double[]){41.20691, 49.09437, 54.28772}, 3e-4);
    check_forecast("arima:season=12,d=1,q=1,seasonal_d=1,seasonal_q=1", us_acc_deaths, 72, 2,
                   (double[]){8336.061266, 7531.829141}, (double[]){8747.410488, 8005.194093}, 2e-5);
}

TEST(a_random_walk_with_drift_is_the_drift_method)
{
    double mean[3], step = (nile[99] - nile[0]) / 99;
    for (size_t h = 0; h < 3; h++) mean[h] = nile[99] + (double)(h + 1) * step;
    check_forecast("arima:d=1,drift=yes", nile, 100, 3, mean, NULL, 1e-12);
}

TEST(rows_of_the_history_are_one_step_ahead)
{ /* of an ARIMA(1,0,0) with gaps: mean + phi (y - mean) one row on, phi^2 after one missing row */
    double y[40];
    for (size_t t = 0; t < 40; t++) y[t] = t % 9 == 4 ? NAN : lh[t];
    ftl_model *model = fit("arima:p=1", y, 40);
    char *text = NULL;
    double phi, mean;
    CHECK_INT(ftl_model_save_text(model, &text, NULL), FTL_OK);
    CHECK_INT(sscanf(strstr(text, "\"coefficients\""), "\"coefficients\":[%lf]", &phi), 1);
    CHECK_INT(sscanf(strstr(text, "\"regression\""), "\"regression\":[%lf]", &mean), 1);
    ftl_text_free(text);
    ftl_forecast *fc = NULL;
    CHECK_INT(ftl_model_predict(model, &(ftl_predict_args){.horizon = 1, .history = true}, &fc, NULL), FTL_OK);
    const double *point = ftl_forecast_point(fc);
    CHECK_NEAR(point[0], mean, 1e-12);
    for (size_t t = 1; t < 40; t++)
        if (!isnan(y[t]) && !isnan(y[t - 1])) CHECK_NEAR(point[t], mean + phi * (y[t - 1] - mean), 1e-9);
    CHECK_NEAR(point[5], mean + phi * phi * (y[3] - mean), 1e-9);
    CHECK_NEAR(point[40], mean + phi * (y[39] - mean), 1e-9);
    ftl_forecast_free(fc);
    ftl_model_free(model);
}

/* Means and deviations of paths are those of the formula. */
static void check_paths(const char *spec, const double *y, size_t n, size_t horizon)
{
    const ftl_predict_args exact = {.horizon = horizon, .levels = levels, .n_levels = 2};
    ftl_predict_args drawn = exact;
    drawn.n_samples = 4000; /* standard errors: of the mean sd / 63, of the deviation sd / 89; 5 of them are allowed */
    ftl_forecast *a = forecast(spec, y, n, exact), *b = forecast(spec, y, n, drawn);
    for (size_t h = 0; h < horizon; h++) {
        const double *path = ftl_forecast_samples(b) + h * 4000;
        double point = ftl_forecast_point(a)[h], sd = (ftl_forecast_quantiles(a)[2 * h + 1] - point) / Z90;
        double mean = 0, squares = 0;
        for (size_t i = 0; i < 4000; i++) mean += path[i] / 4000;
        for (size_t i = 0; i < 4000; i++) squares += (path[i] - mean) * (path[i] - mean) / 4000;
        CHECK_NEAR(mean, point, 5 * sd / 63);
        CHECK_NEAR(sqrt(squares), sd, 5 * sd / 89);
    }
    ftl_forecast_free(a);
    ftl_forecast_free(b);
}

TEST(paths_have_the_moments_of_the_formula)
{
    double gap_at_end[72];
    memcpy(gap_at_end, us_acc_deaths, sizeof gap_at_end);
    for (size_t t = 66; t < 72; t++) gap_at_end[t] = NAN; /* the filter's last state is uncertain */
    check_paths("arima:season=12,d=1,q=1,seasonal_d=1,seasonal_q=1", us_acc_deaths, 72, 14);
    check_paths("arima:season=12,d=1,q=1,seasonal_d=1,seasonal_q=1", gap_at_end, 72, 14);
    check_paths("arima:p=2,q=1", lh, 48, 5);
}

TEST(regressors_explain_what_they_made)
{
    enum { N = 90, H = 5 };
    double y[N], x[N], ahead[H], *columns[1] = {x}, *future[1] = {ahead};
    const char *names[1] = {"price"};
    ftl_time ds[N + H];
    for (size_t t = 0; t < N + H; t++) {
        double price = sin((double)(t * t % 17)) + 0.1 * (double)(t % 5);
        ds[t] = (ftl_time)t;
        if (t < N)
            x[t] = price, y[t] = lh[t % 48] + 20 * price;
        else
            ahead[t - N] = price;
    }
    ftl_series *s = NULL, *f = NULL;
    ftl_config *config = NULL;
    ftl_model *model = NULL;
    ftl_forecast *fc = NULL;
    CHECK_INT(ftl_series_new_full("a", FTL_TIME_INDEX, ds, y, N, names, (const double *const *)columns, 1, &s, NULL),
              FTL_OK);
    CHECK_INT(
        ftl_series_new_full("a", FTL_TIME_INDEX, ds + N, NULL, H, names, (const double *const *)future, 1, &f, NULL),
        FTL_OK);
    CHECK_INT(ftl_config_new("auto-arima", &config, NULL), FTL_OK);
    CHECK_INT(ftl_model_fit(config, s, NULL, &model, NULL), FTL_OK);
    CHECK_INT(ftl_model_predict(model, &(ftl_predict_args){.future = f}, &fc, NULL), FTL_OK);
    for (size_t h = 0; h < H; h++) CHECK_NEAR(ftl_forecast_point(fc)[h], 2.4 + 20 * ahead[h], 1.5);
    ftl_forecast_free(fc);
    ftl_model_free(model);
    ftl_config_free(config);
    ftl_series_free(s);
    ftl_series_free(f);
}

TEST(scale_and_shift_carry_over)
{
    double y[72], scaled[6], shifted[6];
    ftl_forecast *fc = forecast("auto-arima:season=12", us_acc_deaths, 72, (ftl_predict_args){.horizon = 6});
    for (size_t h = 0; h < 6; h++) {
        scaled[h] = 1024 * ftl_forecast_point(fc)[h];
        shifted[h] = ftl_forecast_point(fc)[h] - 5000;
    }
    ftl_forecast_free(fc);
    for (size_t t = 0; t < 72; t++) y[t] = 1024 * us_acc_deaths[t];
    check_forecast("auto-arima:season=12", y, 72, 6, scaled, NULL, 1e-13);
    for (size_t t = 0; t < 72; t++) y[t] = us_acc_deaths[t] - 5000;
    check_forecast("auto-arima:season=12", y, 72, 6, shifted, NULL, 1e-6);
}

TEST(degenerate_series_get_the_plain_answer)
{
    double y[30], line[3];
    for (size_t n = 2; n <= 30; n += 28) {
        for (size_t t = 0; t < n; t++) y[t] = 0;
        check_forecast("auto-arima", y, n, 2, (double[]){0, 0}, (double[]){0, 0}, 0);
        for (size_t t = 0; t < n; t++) y[t] = 7.25;
        check_forecast("auto-arima:season=4", y, n, 2, (double[]){7.25, 7.25}, (double[]){7.25, 7.25}, 1e-14);
    }
    for (size_t t = 0; t < 30; t++) y[t] = 3 + 2 * (double)t;
    for (size_t h = 0; h < 3; h++) line[h] = 63 + 2 * (double)h;
    check_forecast("auto-arima", y, 30, 3, line, line, 1e-9);
    for (size_t t = 0; t < 30; t++) y[t] = (double)(t % 4) + (double)t / 8;
    for (size_t h = 0; h < 3; h++) line[h] = (double)((30 + h) % 4) + (double)(30 + h) / 8;
    check_forecast("auto-arima:season=4", y, 30, 3, line, NULL, 1e-9);
}

TEST(any_length_gets_a_forecast)
{
    for (size_t n = 2; n <= 40; n += 1 + n / 8) {
        double y[40];
        for (size_t t = 0; t < n; t++) y[t] = n > 4 && t % 7 == 2 ? NAN : us_acc_deaths[t];
        ftl_forecast *fc = forecast("auto-arima:season=12", y, n, (ftl_predict_args){.horizon = 3});
        for (size_t h = 0; h < 3; h++) CHECK(isfinite(ftl_forecast_point(fc)[h]));
        ftl_forecast_free(fc);
    }
    const double none[3] = {NAN, NAN, NAN};
    check_unfit("auto-arima", none, 3, "has a value");
    check_unfit("arima:p=3,d=1", us_acc_deaths, 4, "cannot be fitted");
}

TEST(memory_failures_leave_nothing_behind)
{
    ftl_config *config = NULL;
    ftl_series *s = NULL;
    ftl_model *model = NULL;
    ftl_status st = FTL_ENOMEM;
    CHECK_INT(
        ftl_config_new("auto-arima:season=4,start_p=1,start_q=0,start_seasonal_p=0,start_seasonal_q=0", &config, NULL),
        FTL_OK);
    CHECK_INT(ftl_series_new("a", presidents, 40, &s, NULL), FTL_OK);
    for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
        fi_alloc_fail_after(n);
        st = ftl_model_fit(config, s, NULL, &model, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (model != NULL));
    }
    CHECK_INT(st, FTL_OK);
    ftl_model_free(model);
    ftl_series_free(s);
    ftl_config_free(config);
}

TEST(hostile_files_are_refused)
{
    ftl_model *model = fit("arima:p=1,d=1,q=1", lh, 48), *loaded = NULL;
    static const char *const changes[][2] = {{"\"p\":1", "\"p\":7"},
                                             {"\"d\":1", "\"d\":2"},
                                             {"\"q\":1", "\"q\":25"},
                                             {"\"seasonal_p\":0", "\"seasonal_p\":5"},
                                             {"\"seasonal_d\":0", "\"seasonal_d\":1"},
                                             {"\"arima_season\":1", "\"arima_season\":0"},
                                             {"\"regression\":[", "\"regression\":[0.5,"},
                                             {"\"filter\":[", "\"filter\":[0.5,"},
                                             {"\"factor\":[", "\"factor\":[0.5,"},
                                             {"\"coefficients\":[", "\"coefficients\":[null,"},
                                             {"\"sigma2\":", "\"sigma2\":-"}};
    char *text = NULL;
    CHECK_INT(ftl_model_save_text(model, &text, NULL), FTL_OK);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *at = strstr(text, changes[i][0]), *changed = malloc(strlen(text) + 40);
        CHECK(at != NULL && changed != NULL);
        sprintf(changed, "%.*s%s%s", (int)(at - text), text, changes[i][1], at + strlen(changes[i][0]));
        CHECK_INT(ftl_model_load_text(changed, strlen(changed), "hostile", &loaded, NULL), FTL_EDATA);
        free(changed);
    }
    ftl_text_free(text);
    ftl_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(automatic_choices_are_those_of_r),
        cmocka_unit_test(forecasts_are_those_of_r),
        cmocka_unit_test(a_random_walk_with_drift_is_the_drift_method),
        cmocka_unit_test(rows_of_the_history_are_one_step_ahead),
        cmocka_unit_test(paths_have_the_moments_of_the_formula),
        cmocka_unit_test(regressors_explain_what_they_made),
        cmocka_unit_test(scale_and_shift_carry_over),
        cmocka_unit_test(degenerate_series_get_the_plain_answer),
        cmocka_unit_test(any_length_gets_a_forecast),
        cmocka_unit_test(memory_failures_leave_nothing_behind),
        cmocka_unit_test(hostile_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
