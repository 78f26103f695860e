/* Saved models: what Python wrote, what we wrote, and what nobody should have written. */
#include "model.h"

#include "base/file.h"
#include "base/json.h"

/* ---- a model that Python prophet 1.5 fitted and wrote ------------------------------------------------------------ */

static json_t *read_json(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    json_t *value = NULL;
    CHECK_INT(fi_file_read(path, 1 << 24, &text, &size, NULL), FTL_OK);
    CHECK_INT(fi_json_parse(text, size, path, &value, NULL), FTL_OK);
    fi_free(text);
    return value;
}

/* The rows to predict that stand beside the model. */
static ftl_series *fixture_rows(const json_t *fixture)
{
    enum { MOST = 32, COLUMNS = 8 };
    static double values[COLUMNS][MOST];
    static ftl_time ds[MOST];
    const double *columns[COLUMNS];
    char names[256] = "";
    const json_t *dates = json_object_get(fixture, "ds");
    size_t n = json_array_size(dates), c = 0, i;
    const char *name;
    json_t *list, *item;
    json_array_foreach(dates, i, item)
    {
        ftl_time_kind kind;
        CHECK_INT(ftl_time_parse(json_string_value(item), json_string_length(item), &ds[i], &kind, NULL), FTL_OK);
    }
    json_object_foreach(json_object_get(fixture, "columns"), name, list)
    {
        json_array_foreach(list, i, item) values[c][i] = json_number_value(item);
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", name);
        columns[c] = values[c];
        c++;
    }
    return make_series(ds, NULL, n, names, columns);
}

static void check_as_python(const ftl_forecast *fc, const json_t *expected)
{
    const char *name;
    json_t *list, *item;
    size_t i, n = 0;
    json_object_foreach((json_t *)expected, name, list)
    {
        const double *ours = strcmp(name, "yhat") != 0 ? component_named(fc, name) : ftl_forecast_point(fc);
        json_array_foreach(list, i, item) CHECK_CLOSE(ours[i], json_number_value(item), 1e-9);
        n++;
    }
    CHECK_INT(n, ftl_forecast_n_components(fc) + 1);
}

TEST(a_model_of_python_predicts_as_in_python)
{
    json_t *fixture = read_json(FTL_TEST_DATA "/prophet_1_5.json");
    const char *text = json_string_value(json_object_get(fixture, "model"));
    ftl_model *m = load_model(text);
    ftl_series *s = fixture_rows(fixture);
    ftl_predict_args args = {.future = s, .components = true};
    ftl_forecast *fc = predict_model(m, &args);
    check_as_python(fc, json_object_get(fixture, "expected"));
    ftl_forecast_free(fc);
    char *ours = save_model(m); /* once through our writer */
    ftl_model *again = load_model(ours);
    fc = predict_model(again, &args);
    check_as_python(fc, json_object_get(fixture, "expected"));
    ftl_forecast_free(fc);
    ftl_text_free(ours);
    ftl_model_free(again);
    ftl_model_free(m);
    ftl_series_free(s);
    json_decref(fixture);
}

/* ---- our own, there and back ------------------------------------------------------------------------------------- */

enum { T = 120 };
static ftl_time ds[T + 5];
static double y[T], x[T + 5], on[T + 5], cap[T + 5], low[T + 5];

static void make_data(ftl_time step)
{
    fill_times(ds, T + 5, ftl_time_of((ftl_date){2021, 11, 3}) + 13 * FTL_SECOND + 7, step);
    if (step == FTL_DAY) fill_times(ds, T + 5, ftl_time_of((ftl_date){2021, 11, 3}), step);
    for (size_t i = 0; i < T + 5; i++) {
        x[i] = sin((double)i / 3);
        on[i] = (double)(i / 2 % 2);
        cap[i] = 30;
        low[i] = -1;
        if (i < T) y[i] = 3 + 0.1 * (double)i + sin((double)i * 2 * M_PI / 7) + 0.3 * x[i] + 0.2 * sin(1e3 * (double)i);
    }
}

static void check_round_trip(const char *spec, ftl_time step)
{
    make_data(step);
    const double *columns[] = {x, on, cap, low}, *later[] = {x + T, on + T, cap + T, low + T};
    bool plain = !strchr(spec, ':') || strstr(spec, "plain");
    char real_spec[512];
    snprintf(real_spec, sizeof real_spec, "%s", strstr(spec, "plain") ? spec + 6 : spec);
    ftl_series *s = make_series(ds, y, T, plain ? "" : "x on cap floor", columns);
    ftl_series *f = make_series(ds + T, NULL, 5, plain ? "" : "x on cap floor", later);
    ftl_model *m = fit_model(real_spec, s);
    ftl_predict_args args = {.future = f, .history = true, .components = true, .seed = 3};
    char *text = save_model(m);
    ftl_model *again = load_model(text);
    ftl_forecast *a = predict_model(m, &args), *b = predict_model(again, &args);
    if (!same_forecast(a, b)) fail_msg("%s: the loaded model predicts something else", spec);
    char *twice = save_model(again);
    CHECK_TEXT(twice, text);
    ftl_text_free(text);
    ftl_text_free(twice);
    ftl_forecast_free(a);
    ftl_forecast_free(b);
    ftl_model_free(m);
    ftl_model_free(again);
    ftl_series_free(s);
    ftl_series_free(f);
}

TEST(a_saved_model_predicts_the_same_bits)
{
    check_round_trip("prophet", FTL_DAY);
    check_round_trip("prophet", 3601 * FTL_SECOND + 1); /* times to the microsecond */
    check_round_trip("prophet:growth=logistic,scaling=minmax,add_seasonality=m:30.5:2:condition=on:mode=multiplicative",
                     FTL_DAY);
    check_round_trip("prophet:growth=flat,seasonality_mode=multiplicative,add_regressor=x:standardize=false,"
                     "add_seasonality=z:3:1:condition=on,yearly_seasonality=2,weekly_seasonality=false",
                     FTL_DAY);
    check_round_trip("plain:prophet:changepoints=none,scaling=minmax,holidays_mode=multiplicative,country_holidays=US,"
                     "add_holiday=Shopping:2021-11-26:lower=-2:upper=3:prior_scale=2",
                     FTL_DAY);
    check_round_trip("plain:prophet:changepoints=2021-12-01 2022-01-04T12:00,intervals=sampled,vectorized=false,"
                     "uncertainty_samples=50,solver=stan,sig_figs=8",
                     FTL_DAY);
}

/* Python takes only the codes of countries, and has their days in all years; a model without any of them must name none. */
static void check_written_out(const char *model, ftl_time shift, const char *holding)
{
    ftl_time moved[T];
    make_data(FTL_DAY);
    for (size_t i = 0; i < T; i++) moved[i] = ds[i] + shift;
    ftl_series *s = make_series(moved, y, T, "", NULL);
    ftl_model *m = fit_model(model, s);
    char *text = save_model(m);
    CHECK_CONTAINS(text, "\"country_holidays\":null");
    CHECK_CONTAINS(text, holding);
    ftl_model *again = load_model(text);
    ftl_predict_args args = {.horizon = 400, .history = true, .components = true};
    ftl_forecast *a = predict_model(m, &args), *b = predict_model(again, &args);
    CHECK(same_forecast(a, b));
    ftl_forecast_free(a);
    ftl_forecast_free(b);
    ftl_text_free(text);
    ftl_model_free(m);
    ftl_model_free(again);
    ftl_series_free(s);
}

TEST(holidays_that_python_would_not_find_are_written_out)
{
    check_written_out("prophet:country_holidays=DE-BY", 0, "2022-01-06T00:00:00.000");
    check_written_out("prophet:country_holidays=united states", 0, "2022-07-04T00:00:00.000");
    check_written_out("prophet:country_holidays=US", -27 * 366 * FTL_DAY, "public holidays are known from 1995");
    check_written_out("prophet:country_holidays=US", -27 * 366 * FTL_DAY, "1996-07-04T00:00:00.000");
    check_written_out("prophet:country_holidays=US", -50 * 366 * FTL_DAY, "\"holidays\":null");
}

TEST(an_indexed_series_comes_back_as_one)
{
    make_data(FTL_DAY);
    ftl_series *s = NULL;
    CHECK_INT(ftl_series_new("shop", y, T, &s, NULL), FTL_OK);
    ftl_model *m = fit_model("prophet:add_seasonality=week:7:3", s);
    char *text = save_model(m);
    ftl_model *again = load_model(text);
    ftl_predict_args args = {.horizon = 4, .history = true};
    ftl_forecast *a = predict_model(m, &args), *b = predict_model(again, &args);
    CHECK(same_forecast(a, b));
    CHECK_INT(ftl_forecast_times(b)[T + 3], T + 4);
    ftl_forecast_free(a);
    ftl_forecast_free(b);
    ftl_text_free(text);
    ftl_model_free(m);
    ftl_model_free(again);
    ftl_series_free(s);
}

TEST(json_within_a_json_string_is_read)
{
    make_data(FTL_DAY);
    ftl_series *s = make_series(ds, y, T, "", NULL);
    ftl_model *m = fit_model("prophet", s);
    char *text = save_model(m);
    json_t *wrapped = json_string(text);
    fi_buf out = {0};
    fi_json_write(wrapped, &out);
    ftl_model *again = load_model(out.data);
    char *back = save_model(again);
    CHECK_TEXT(back, text);
    ftl_text_free(back);
    ftl_text_free(text);
    fi_buf_release(&out);
    json_decref(wrapped);
    ftl_model_free(m);
    ftl_model_free(again);
    ftl_series_free(s);
}

/* ---- hostile files ----------------------------------------------------------------------------------------------- */

static json_t *good_model(void)
{
    make_data(FTL_DAY);
    const double *columns[] = {x, on};
    ftl_series *s = make_series(ds, y, 30, "x on", columns);
    ftl_model *m = fit_model("prophet:n_changepoints=3,add_seasonality=z:3:1:condition=on,add_holiday=h:2021-11-09", s);
    char *text = save_model(m);
    json_t *object = NULL;
    CHECK_INT(fi_json_parse(text, strlen(text), "good", &object, NULL), FTL_OK);
    ftl_text_free(text);
    ftl_model_free(m);
    ftl_series_free(s);
    return object;
}

/* Loads a document and, where that works, predicts with it. Neither may crash; *err tells why it did not. */
static bool survives(const json_t *object, ftl_error *err)
{
    fi_buf out = {0};
    fi_json_write(object, &out);
    ftl_model *m = NULL;
    *err = (ftl_error){FTL_OK, ""};
    bool loaded = !ftl_model_load_text(out.data, out.size, "evil", &m, err);
    CHECK(loaded == (m != NULL));
    if (m) {
        ftl_forecast *fc = NULL;
        double zeros[3] = {0, 0, 0};
        const double *columns[] = {zeros, zeros, zeros, zeros};
        ftl_time later[3] = {ds[29] + FTL_DAY, ds[29] + 2 * FTL_DAY, ds[29] + 3 * FTL_DAY};
        ftl_series *f = make_series(later, NULL, 3, "x on cap floor", columns);
        ftl_predict_args args = {.future = f, .history = true, .components = true};
        ftl_model_predict(m, &args, &fc, NULL);
        ftl_forecast_free(fc);
        ftl_series_free(f);
        ftl_model_free(m);
    }
    fi_buf_release(&out);
    return loaded;
}

static json_t *replacement(int kind)
{
    switch (kind) {
    case 0: return json_null();
    case 1: return json_true();
    case 2: return json_integer(-1);
    case 3: return json_real(1e300);
    case 4: return json_integer(INT64_MAX);
    case 5: return json_string("nonsense");
    case 6: return json_string("{\"data\":[1,2,3]}");
    case 7: return json_string("{\"data\":[{},[],null]}");
    case 8: return json_array();
    case 9: return json_object();
    case 10: return json_pack("[[s,s],{s:{},s:n}]", "a", "b", "a", "b");
    case 11:
        return json_pack("[[s],{s:{s:i,s:i,s:f,s:s}}]", "a", "a", "period", 7, "fourier_order", 1000000000,
                         "prior_scale", 1.0, "mode", "additive");
    default: return json_pack("[f,f,[f],[[f]]]", 1.0, 2.0, 3.0, 4.0);
    }
}

TEST(every_key_is_checked)
{
    json_t *good = good_model();
    ftl_error err;
    CHECK(survives(good, &err));
    const char *key;
    json_t *value;
    size_t refused = 0;
    json_object_foreach(good, key, value)
    {
        for (int kind = 0; kind < 13; kind++) {
            json_t *evil = json_copy(good);
            json_object_set_new(evil, key, replacement(kind));
            if (!survives(evil, &err)) refused++;
            json_decref(evil);
        }
        json_t *evil = json_copy(good);
        json_object_del(evil, key);
        bool loaded = survives(evil, &err);
        static const char *const optional[] = {"scaling",
                                               "y_min",
                                               "holidays_mode",
                                               "component_modes",
                                               "fit_kwargs",
                                               "mcmc_samples",
                                               "country_holidays",
                                               "foretell",
                                               "foretell_fit",
                                               "__prophet_version",
                                               "specified_changepoints",
                                               "train_component_cols",
                                               "holidays"};
        bool may_lack = false;
        for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) may_lack |= !strcmp(key, optional[i]);
        if (loaded != may_lack) fail_msg("without the key '%s': %s", key, loaded ? "loaded" : err.message);
        json_decref(evil);
    }
    CHECK(refused > 200);
    json_decref(good);
}

static void refused(const char *key, json_t *value, const char *why)
{
    json_t *evil = good_model();
    ftl_error err;
    json_object_set_new(evil, key, value);
    if (survives(evil, &err)) fail_msg("'%s' was accepted", key);
    CHECK_CONTAINS(err.message, why);
    json_decref(evil);
}

TEST(sizes_and_ranges_must_agree)
{
    refused("growth", json_string("cubic"), "'cubic' is not one of linear, logistic, flat");
    refused("y_scale", json_real(0), "key 'y_scale'");
    refused("t_scale", json_real(-5), "key 't_scale'");
    refused("changepoints_t", json_pack("[f,f]", 0.1, 0.2), "one number for each of 'changepoints'");
    refused("changepoints_t", json_pack("[f,f,f]", 0.1, 0.3, 0.2), "ascending order");
    refused("changepoints", json_string("{\"data\":[\"2021-11-05\"]}"), "changepoints_t");
    refused("changepoints", json_string("{\"data\":[\"yesterday\",1,2]}"),
            "key 'changepoints': expected a list of times");
    refused("history", json_string("{\"data\":[{\"ds\":\"2021-11-05\",\"y\":1,\"floor\":0}]}"), "at least 2 rows");
    refused("history", json_string("{\"data\":[{\"ds\":\"2021-11-05\",\"y\":1},{\"ds\":\"2021-11-04\",\"y\":1}]}"),
            "ascending");
    refused("history", json_string("{\"data\":[{\"ds\":\"2021-11-05\",\"y\":1},{\"ds\":\"2021-11-06\",\"y\":\"2\"}]}"),
            "row 2 has no number in its column 'y'");
    refused("history", json_string("[[[["), "key 'history'");
    refused("params",
            json_pack("{s:[[f]],s:[[f]],s:[[f]],s:[[f,f,f]],s:[[f]]}", "k", 1.0, "m", 1.0, "sigma_obs", 1.0, "delta",
                      0.0, 0.0, 0.0, "beta", 1.0),
            "'beta' holds 1 numbers");
    refused("params",
            json_pack("{s:[f,f],s:[[f]],s:[[f]],s:[[f,f,f]],s:[[f]]}", "k", 1.0, 2.0, "m", 1.0, "sigma_obs", 1.0,
                      "delta", 0.0, 0.0, 0.0, "beta", 1.0),
            "should be as many");
    refused("params", json_pack("{s:[[n]]}", "k"), "'k' holds");
    refused("params", json_pack("{s:[[f]],s:[[f]],s:[[f]]}", "k", 1.0, "m", 1.0, "sigma_obs", -1.0),
            "'sigma_obs' holds -1");
    refused("train_component_cols", json_string("{\"data\":[{},{},{}]}"), "has 3 rows");
    refused("seasonalities",
            json_pack("[[s],{s:{s:i,s:i,s:f,s:s}}]", "a", "a", "period", 0, "fourier_order", 3, "prior_scale", 1.0,
                      "mode", "additive"),
            "'a': key 'period'");
    refused("holidays",
            json_string("{\"data\":[{\"ds\":\"2021-11-09\",\"holiday\":\"h\",\"lower_window\":-1e9,"
                        "\"upper_window\":0}]}"),
            "key 'holidays'");
    refused("train_holiday_names", json_string("{\"data\":[\"h\",\"h\"]}"), "different names");
    refused("country_holidays", json_string("Atlantis"), "Atlantis");
    refused("foretell", json_pack("{s:s,s:i}", "model", "prophet", "format", 99), "newer foretell");
}

TEST(lack_of_memory_is_reported)
{
    json_t *good = good_model();
    fi_buf out = {0};
    fi_json_write(good, &out);
    ftl_model *m = NULL;
    char *text = NULL;
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 2000; n++) {
        fi_alloc_fail_after(n);
        st = ftl_model_load_text(out.data, out.size, "test", &m, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (m != NULL));
    }
    CHECK_INT(st, FTL_OK);
    st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 2000; n++) {
        fi_alloc_fail_after(n);
        st = ftl_model_save_text(m, &text, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (text != NULL));
    }
    CHECK_INT(st, FTL_OK);
    ftl_text_free(text);
    fi_buf_release(&out);
    ftl_model_free(m);
    json_decref(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_of_python_predicts_as_in_python),
        cmocka_unit_test(a_saved_model_predicts_the_same_bits),
        cmocka_unit_test(holidays_that_python_would_not_find_are_written_out),
        cmocka_unit_test(an_indexed_series_comes_back_as_one),
        cmocka_unit_test(json_within_a_json_string_is_read),
        cmocka_unit_test(every_key_is_checked),
        cmocka_unit_test(sizes_and_ranges_must_agree),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
