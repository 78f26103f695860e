/* The forecaster as a whole: special series, what a fit tells, pictures' hooks, hostile input. */
#include "model.h"

#include "base/json.h"

enum { N = 900 };
static ftl_time ds[N];
static double y[N];

static ftl_series *make_daily(size_t n)
{
    fill_times(ds, n, ftl_time_of((ftl_date){2019, 1, 1}), FTL_DAY);
    return make_series(ds, y, n, "", NULL);
}

/* A bent trend with a week, a year and noise that is not random. */
static ftl_series *usual(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d = (double)i;
        y[i] = 20 + 0.02 * d - (d > 450 ? 0.05 * (d - 450) : 0) + 2 * sin(d * 2 * M_PI / 7) +
               3 * cos(d * 2 * M_PI / 365.25) + 0.5 * sin(1e4 * d * d);
    }
    return make_daily(n);
}

static json_t *explain(const ftl_model *m)
{
    char *text = NULL;
    json_t *object = NULL;
    CHECK_INT(ftl_model_explain(m, &text, NULL), FTL_OK);
    CHECK_INT(fi_json_parse(text, strlen(text), "explain", &object, NULL), FTL_OK);
    ftl_text_free(text);
    return object;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!value) fail_msg("explain lacks '%s'", key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

TEST(a_constant_series_is_predicted_exactly)
{
    static const char *const specs[] = {"prophet", "prophet:growth=flat", "prophet:scaling=minmax",
                                        "prophet:solver=stan"};
    static const double values[] = {0, 20, -3.7, 1e-300, 1e300};
    for (size_t i = 0; i < 4; i++)
        for (size_t v = 0; v < 5; v++) {
            for (size_t r = 0; r < 40; r++) y[r] = values[v];
            ftl_series *s = make_daily(40);
            ftl_model *m = fit_model(specs[i], s);
            ftl_predict_args args = {.horizon = 3};
            ftl_forecast *fc = predict_model(m, &args);
            CHECK_NEAR(ftl_forecast_point(fc)[2], values[v], 0);
            json_t *told = explain(m);
            CHECK_NEAR(number(told, "sigma_obs"), 1e-9, 0);
            json_decref(told);
            ftl_forecast_free(fc);
            ftl_model_free(m);
            ftl_series_free(s);
        }
}

TEST(a_fit_tells_what_it_did)
{
    ftl_series *s = usual(N);
    ftl_model *m = fit_model("prophet:yearly_seasonality=4", s);
    json_t *told = explain(m);
    CHECK(number(told, "log_posterior") > 0);
    CHECK(number(told, "kkt_residual") < 1e-6);
    CHECK(number(told, "duality_gap") < 1e-6);
    CHECK(number(told, "sigma_obs") > 0);
    CHECK_INT(number(told, "observations"), N);
    CHECK_INT(number(told, "columns"), 8 + 6);
    CHECK_TEXT(json_string_value(json_object_get(told, "solver")), "exact");
    CHECK_INT(json_array_size(json_object_get(told, "warnings")), 0);
    size_t active = json_array_size(json_object_get(told, "changepoints"));
    CHECK(active >= 1);
    CHECK_INT(active, number(told, "active_changepoints"));
    json_decref(told);
    ftl_model *stan = fit_model("prophet:yearly_seasonality=4,solver=stan", s);
    json_t *other = explain(stan);
    CHECK(number(other, "exact_log_posterior") >= number(other, "stan_log_posterior"));
    CHECK_NEAR(number(other, "log_posterior"), number(other, "stan_log_posterior"), 0);
    json_decref(other);
    ftl_model_free(stan);
    ftl_model_free(m);
    ftl_series_free(s);
}

TEST(the_dummy_changepoint_is_folded_into_the_slope)
{
    ftl_series *s = usual(60);
    ftl_model *m = fit_model("prophet:n_changepoints=0", s);
    char *text = save_model(m);
    CHECK_CONTAINS(text, "\"delta\":[[0.0]]");
    CHECK_CONTAINS(text, "\"changepoints_t\":[0.0]");
    size_t n;
    ftl_model_changepoints(m, &n);
    CHECK_INT(n, 0);
    ftl_text_free(text);
    ftl_model_free(m);
    ftl_series_free(s);
}

TEST(a_folded_logistic_fit_keeps_its_curve)
{
    /* exact mode moves m along with k; the same data without the fold: one given changepoint at the first day */
    double cap[80];
    for (size_t i = 0; i < 80; i++) {
        cap[i] = 10;
        y[i] = 10 / (1 + exp(-0.2 * ((double)i - 35))) + 0.3 * sin((double)i * 5);
    }
    const double *columns[] = {cap};
    fill_times(ds, 80, ftl_time_of((ftl_date){2019, 1, 1}), FTL_DAY);
    ftl_series *s = make_series(ds, y, 80, "cap", columns), *f = make_series(ds, NULL, 80, "cap", columns);
    ftl_predict_args args = {.future = f};
    ftl_model *folded = fit_model("prophet:growth=logistic,weekly_seasonality=0,changepoints=none", s);
    ftl_model *given = fit_model("prophet:growth=logistic,weekly_seasonality=0,changepoints=2019-01-01", s);
    ftl_forecast *a = predict_model(folded, &args), *b = predict_model(given, &args);
    for (size_t i = 0; i < 80; i++) CHECK_NEAR(ftl_forecast_point(a)[i], ftl_forecast_point(b)[i], 1e-9);
    ftl_forecast_free(a);
    ftl_forecast_free(b);
    ftl_model_free(folded);
    ftl_model_free(given);
    ftl_series_free(s);
    ftl_series_free(f);
}

TEST(parameters_can_be_rounded_like_cmdstan)
{
    ftl_series *s = usual(100);
    ftl_model *m = fit_model("prophet:sig_figs=4", s), *full = fit_model("prophet", s);
    json_t *a = explain(m), *b = explain(full);
    double rounded = number(json_object_get(a, "parameters"), "k"), k = number(json_object_get(b, "parameters"), "k");
    char text[32];
    snprintf(text, sizeof text, "%.3e", k);
    CHECK_NEAR(rounded, strtod(text, NULL), 0);
    CHECK(rounded != k);
    json_decref(a);
    json_decref(b);
    ftl_model_free(m);
    ftl_model_free(full);
    ftl_series_free(s);
}

TEST(seasonal_profiles_for_pictures)
{
    ftl_series *s = usual(N);
    ftl_model *m = fit_model("prophet:add_seasonality=fort:14:2:mode=multiplicative", s);
    CHECK_INT(ftl_model_n_profiles(m), 3);
    static const struct {
        const char *name;
        size_t n;
        double last_days;
    } expected[] = {{"fort", 200, 14}, {"yearly", 365, 364}, {"weekly", 7, 6}};
    for (size_t i = 0; i < 3; i++) {
        ftl_profile *p = NULL;
        CHECK_INT(ftl_model_profile(m, i, &p, NULL), FTL_OK);
        CHECK_TEXT(p->name, expected[i].name);
        CHECK_INT(p->n, expected[i].n);
        CHECK_INT(p->multiplicative, i == 0);
        CHECK_INT(p->times[0], ftl_time_of((ftl_date){2017, 1, 1}));
        CHECK_NEAR((double)(p->times[p->n - 1] - p->times[0]) / (double)FTL_DAY, expected[i].last_days, 1e-9);
        if (i == 2) /* the same as the component of a forecast on a Sunday */
        {
            ftl_time sunday = ftl_time_of((ftl_date){2021, 8, 1});
            ftl_series *f = make_series(&sunday, NULL, 1, "", NULL);
            ftl_predict_args args = {.future = f, .components = true};
            ftl_forecast *fc = predict_model(m, &args);
            CHECK_NEAR(p->values[0], component_named(fc, "weekly")[0], 1e-12);
            ftl_forecast_free(fc);
            ftl_series_free(f);
        }
        ftl_profile_free(p);
    }
    ftl_profile *p = NULL;
    CHECK_INT(ftl_model_profile(m, 3, &p, NULL), FTL_EINVAL);
    size_t n;
    const ftl_time *bends = ftl_model_changepoints(m, &n);
    CHECK(n >= 1);
    for (size_t i = 0; i < n; i++) CHECK(bends[i] > ds[0] && bends[i] < ds[N - 1]);
    ftl_model_free(m);
    ftl_series_free(s);
}

TEST(series_that_break_others_give_numbers_or_a_refusal)
{
    static const char *const specs[] = {"prophet",
                                        "prophet:growth=flat",
                                        "prophet:scaling=minmax",
                                        "prophet:seasonality_mode=multiplicative",
                                        "prophet:solver=stan",
                                        "prophet:yearly_seasonality=true"};
    for (int shape = 0; shape < 9; shape++)
        for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
            size_t n = shape == 0 ? 2 : shape == 1 ? 3 : 25;
            ftl_time first = ftl_time_of((ftl_date){shape == 7 ? 1802 : shape == 8 ? 9998 : 2020, 1, 1});
            for (size_t i = 0; i < n; i++) {
                double d = (double)i;
                y[i] = shape < 3    ? 5 + 2 * d
                       : shape == 3 ? 1e300 * (d + 1) / 30
                       : shape == 4 ? 1e-300 * sin(d)
                       : shape == 5 ? (i == 12 ? 1e9 : 0)
                                    : 6e8 + sin(d);
            }
            fill_times(ds, n, first, FTL_DAY);
            ftl_series *s = make_series(ds, y, n, "", NULL);
            ftl_config *config = NULL;
            ftl_model *m = NULL;
            ftl_forecast *fc = NULL;
            ftl_error err = {FTL_OK, ""};
            CHECK_INT(ftl_config_new(specs[k], &config, NULL), FTL_OK);
            ftl_status st = ftl_model_fit(config, s, NULL, &m, &err);
            ftl_predict_args args = {.horizon = 10, .history = true, .components = true};
            if (!st) st = ftl_model_predict(m, &args, &fc, &err);
            if (st) CHECK(*err.message);
            for (size_t i = 0; fc && i < ftl_forecast_n_rows(fc); i++) CHECK(isfinite(ftl_forecast_point(fc)[i]));
            if (st && shape != 3 && shape != 4) fail_msg("shape %d, %s: %s", shape, specs[k], err.message);
            ftl_forecast_free(fc);
            ftl_model_free(m);
            ftl_config_free(config);
            ftl_series_free(s);
        }
}

TEST(items_from_c_and_their_errors)
{
    ftl_config *config = NULL;
    ftl_error err;
    CHECK_INT(ftl_config_new("prophet", &config, NULL), FTL_OK);
    CHECK_INT(ftl_prophet_add_seasonality(config, "monthly", 30.5, 5, NAN, FTL_PROPHET_MODE_DEFAULT, NULL, &err),
              FTL_OK);
    CHECK_INT(
        ftl_prophet_add_regressor(config, "price", 2, FTL_PROPHET_STANDARDIZE_NO, FTL_PROPHET_MULTIPLICATIVE, &err),
        FTL_OK);
    CHECK_INT(ftl_prophet_add_holiday(config, "fair", ftl_time_of((ftl_date){2020, 5, 1}) + 5, -1, 2, NAN, &err),
              FTL_OK);
    CHECK_INT(ftl_prophet_set_country(config, "US", &err), FTL_OK);
    CHECK_INT(ftl_prophet_set_country(config, "Atlantis", &err), FTL_EINVAL);
    CHECK_INT(ftl_prophet_add_seasonality(config, "price", 30.5, 5, NAN, FTL_PROPHET_ADDITIVE, NULL, &err), FTL_EINVAL);
    char *text = NULL;
    CHECK_INT(ftl_config_text(config, &text, NULL), FTL_OK);
    CHECK_TEXT(text, "prophet:country_holidays=US,add_seasonality=monthly:30.5:5,"
                     "add_regressor=price:prior_scale=2:mode=multiplicative:standardize=false,"
                     "add_holiday=fair:2020-05-01:lower=-1:upper=2");
    ftl_config *again = NULL;
    CHECK_INT(ftl_config_new(text, &again, NULL), FTL_OK);
    char *twice = NULL;
    CHECK_INT(ftl_config_text(again, &twice, NULL), FTL_OK);
    CHECK_TEXT(twice, text);
    ftl_text_free(text);
    ftl_text_free(twice);
    ftl_config_free(again);
    ftl_config_free(config);
    CHECK_INT(ftl_config_new("seasonal-naive", &config, NULL), FTL_OK);
    CHECK_INT(ftl_prophet_set_country(config, "US", &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "'seasonal-naive'");
    ftl_config_free(config);
}

TEST(lack_of_memory_is_reported)
{
    ftl_series *s = usual(40);
    ftl_config *config = NULL;
    CHECK_INT(ftl_config_new("prophet:country_holidays=US", &config, NULL), FTL_OK);
    ftl_model *m = NULL;
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 2000; n++) {
        fi_alloc_fail_after(n);
        st = ftl_model_fit(config, s, NULL, &m, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (m != NULL));
    }
    CHECK_INT(st, FTL_OK);
    ftl_model_free(m);
    ftl_config_free(config);
    ftl_series_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_series_is_predicted_exactly),
        cmocka_unit_test(a_fit_tells_what_it_did),
        cmocka_unit_test(the_dummy_changepoint_is_folded_into_the_slope),
        cmocka_unit_test(a_folded_logistic_fit_keeps_its_curve),
        cmocka_unit_test(parameters_can_be_rounded_like_cmdstan),
        cmocka_unit_test(seasonal_profiles_for_pictures),
        cmocka_unit_test(series_that_break_others_give_numbers_or_a_refusal),
        cmocka_unit_test(items_from_c_and_their_errors),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
