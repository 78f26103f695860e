/* What every registered forecaster must do, whoever wrote it. A new one is tested here unasked. */
#include "check.h"

#include "base/alloc.h"

#include <foretell/foretell.h>

#include <glob.h>

enum { N = 120 };
static const double levels[] = {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99};
static const size_t n_levels = sizeof levels / sizeof *levels;

/*
 * What the suite runs over: every forecaster by its name, or, where it needs a model file, with each of the toy models in
 * tests/data whose name begins with "toy-" and the forecaster's.
 */
typedef struct subject {
    char spec[4200];
    const ftl_forecaster *forecaster;
    unsigned can; /* ftl_capability */
} subject;
static subject subjects[64];
static size_t n_subjects;

static void add_subject(const ftl_forecaster *f, const char *file)
{
    subject *s = &subjects[n_subjects++];
    ftl_config *config = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK(n_subjects <= sizeof subjects / sizeof *subjects);
    snprintf(s->spec, sizeof s->spec, "%s%s%s", ftl_forecaster_name(f), file ? ":" : "", file ? file : "");
    s->forecaster = f;
    if (ftl_config_new(s->spec, &config, &err) || ftl_config_capabilities(config, &s->can, &err))
        fail_msg("%s: %s", s->spec, err.message);
    CHECK_INT(s->can & ~ftl_forecaster_capabilities(f), 0);
    ftl_config_free(config);
}

static int find_subjects(void **state __attribute__((unused)))
{
    for (size_t i = 0; i < ftl_forecaster_count(); i++) {
        const ftl_forecaster *f = ftl_forecaster_at(i);
        if (!ftl_forecaster_first_option(f)) {
            add_subject(f, NULL);
            continue;
        }
        char pattern[4096];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/toy-%s*", FTL_TEST_DATA, ftl_forecaster_name(f));
        CHECK_INT(glob(pattern, 0, NULL, &found), 0);
        for (size_t k = 0; k < found.gl_pathc; k++) add_subject(f, found.gl_pathv[k]);
        globfree(&found);
    }
    return 0;
}

#define FOR_EVERY_FORECASTER(f)                                                                                        \
    for (size_t f_index = 0; f_index < n_subjects; f_index++)                                                          \
        for (const subject *f = &subjects[f_index]; f; f = NULL)

static bool can(const subject *f, unsigned capability)
{
    return (f->can & capability) != 0;
}

static double noise(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-52 - 1;
}

/* Days with a trend, a weekly pattern and noise, times `scale`. */
static void fill(double *y, size_t n, double scale, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        y[i] = scale * (50 + 0.1 * (double)i + 5 * sin((double)i * 6.283185307179586 / 7) + noise(&seed));
}

static ftl_series *days(const char *id, const double *y, size_t n)
{
    ftl_time ds[N];
    ftl_series *s = NULL;
    for (size_t i = 0; i < n; i++) ds[i] = ftl_time_of((ftl_date){2023, 1, 1 + (int)i});
    CHECK_INT(ftl_series_new_full(id, FTL_TIME_DATE, ds, y, n, NULL, NULL, 0, &s, NULL), FTL_OK);
    return s;
}

static ftl_series *usual(const char *id, double scale)
{
    double y[N];
    fill(y, N, scale, 7);
    return days(id, y, N);
}

static ftl_config *config_of(const subject *f)
{
    ftl_config *config = NULL;
    CHECK_INT(ftl_config_new(f->spec, &config, NULL), FTL_OK);
    return config;
}

static ftl_model *fit(const subject *f, const ftl_series *s)
{
    ftl_config *config = config_of(f);
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_model_fit(config, s, NULL, &model, &err)) fail_msg("%s: %s", f->spec, err.message);
    ftl_config_free(config);
    return model;
}

static ftl_forecast *predict(const ftl_model *model, ftl_predict_args args)
{
    ftl_forecast *fc = NULL;
    ftl_error err = {FTL_OK, ""};
    if (!args.levels) args.levels = levels, args.n_levels = n_levels;
    if (ftl_model_predict(model, &args, &fc, &err))
        fail_msg("%s: %s", ftl_forecaster_name(ftl_model_forecaster(model)), err.message);
    return fc;
}

/* All that a model can give at once. */
static ftl_predict_args everything(const subject *f)
{
    return (ftl_predict_args){.horizon = 10,
                              .history = can(f, FTL_GIVES_HISTORY),
                              .components = can(f, FTL_GIVES_COMPONENTS),
                              .n_samples = can(f, FTL_GIVES_SAMPLES) ? 20 : 0,
                              .seed = 11};
}

static char *as_json(const ftl_forecast *fc)
{
    char *text = NULL;
    CHECK_INT(ftl_forecast_json(fc, &text, NULL), FTL_OK);
    return text;
}

TEST(names_are_unique_and_options_readable)
{
    CHECK(ftl_forecaster_count() > 0 && n_subjects >= ftl_forecaster_count());
    for (size_t k = 0; k < ftl_forecaster_count(); k++) {
        const ftl_forecaster *f = ftl_forecaster_at(k);
        CHECK(ftl_forecaster_find(ftl_forecaster_name(f)) == f);
        CHECK(ftl_forecaster_summary(f) && *ftl_forecaster_summary(f) && ftl_forecaster_source(f));
        for (size_t i = 0; i < ftl_forecaster_n_options(f); i++) {
            ftl_option_info o = ftl_forecaster_option(f, i);
            CHECK(o.name && o.help && *o.help && o.value_name && o.default_text);
            if (o.type == FTL_OPTION_ITEM) continue;
            ftl_config *config = NULL;
            char *value = NULL;
            CHECK_INT(ftl_config_new(ftl_forecaster_name(f), &config, NULL), FTL_OK);
            CHECK_INT(ftl_config_set(config, o.name, o.default_text, NULL), FTL_OK);
            CHECK_INT(ftl_config_get(config, o.name, &value, NULL), FTL_OK);
            CHECK_TEXT(value, o.default_text);
            ftl_text_free(value);
            ftl_config_free(config);
        }
    }
}

TEST(horizon_and_levels_are_honoured)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        static const size_t horizons[] = {1, 2, 7, 8, 50};
        ftl_model *model = fit(f, s);
        for (size_t i = 0; i < 5; i++) {
            ftl_forecast *fc = predict(model, (ftl_predict_args){.horizon = horizons[i]});
            CHECK_INT(ftl_forecast_n_rows(fc), horizons[i]);
            CHECK_INT(ftl_forecast_n_history(fc), 0);
            CHECK_INT(ftl_forecast_n_levels(fc), n_levels);
            CHECK_TEXT(ftl_forecast_id(fc), "a");
            CHECK_TEXT(ftl_forecast_model(fc), ftl_forecaster_name(f->forecaster));
            for (size_t k = 0; k < n_levels; k++) CHECK(ftl_forecast_levels(fc)[k] == levels[k]);
            for (size_t h = 0; h < horizons[i]; h++)
                CHECK(ftl_forecast_times(fc)[h] == ftl_time_of((ftl_date){2023, 1, N + 1 + (int)h}));
            ftl_forecast_free(fc);
        }
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

TEST(quantiles_are_finite_and_never_cross)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_model *model = fit(f, s);
        ftl_forecast *fc = predict(model, (ftl_predict_args){.horizon = 60});
        for (size_t h = 0; h < 60; h++) {
            const double *q = ftl_forecast_quantiles(fc) + h * n_levels;
            CHECK(isfinite(ftl_forecast_point(fc)[h]));
            CHECK(q[0] <= ftl_forecast_point(fc)[h] && ftl_forecast_point(fc)[h] <= q[n_levels - 1]);
            for (size_t k = 0; k < n_levels; k++) CHECK(isfinite(q[k]) && (k == 0 || q[k] >= q[k - 1]));
            CHECK(q[n_levels - 1] > q[0]);
        }
        ftl_forecast_free(fc);
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

TEST(any_one_level_is_that_of_many)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_model *model = fit(f, s);
        ftl_forecast *all = predict(model, (ftl_predict_args){.horizon = 5});
        ftl_forecast *one = predict(model, (ftl_predict_args){.horizon = 5, .levels = levels + 5, .n_levels = 1});
        for (size_t h = 0; h < 5; h++)
            CHECK_CLOSE(ftl_forecast_quantiles(one)[h], ftl_forecast_quantiles(all)[h * n_levels + 5], 1e-9);
        ftl_forecast_free(all);
        ftl_forecast_free(one);
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

TEST(history_comes_before_the_future)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        if (!can(f, FTL_GIVES_HISTORY)) continue;
        ftl_model *model = fit(f, s);
        ftl_forecast *with = predict(model, (ftl_predict_args){.horizon = 4, .history = true}),
                     *without = predict(model, (ftl_predict_args){.horizon = 4});
        CHECK_INT(ftl_forecast_n_history(with), N);
        CHECK_INT(ftl_forecast_n_rows(with), N + 4);
        for (size_t i = 0; i < N; i++) CHECK(ftl_forecast_times(with)[i] == ftl_series_times(s)[i]);
        for (size_t h = 0; h < 4; h++)
            CHECK_CLOSE(ftl_forecast_point(with)[N + h], ftl_forecast_point(without)[h], 1e-12);
        ftl_forecast_free(with);
        ftl_forecast_free(without);
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

TEST(what_is_asked_for_is_given_and_what_cannot_be_is_refused)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_model *model = fit(f, s);
        ftl_forecast *fc = predict(model, everything(f));
        CHECK((ftl_forecast_n_components(fc) > 0) == can(f, FTL_GIVES_COMPONENTS));
        CHECK_INT(ftl_forecast_n_samples(fc), can(f, FTL_GIVES_SAMPLES) ? 20 : 0);
        for (size_t i = 0; i < ftl_forecast_n_components(fc); i++) CHECK(*ftl_forecast_component_name(fc, i));
        ftl_forecast_free(fc);
        ftl_predict_args beyond[] = {
            {.horizon = 1, .components = true}, {.horizon = 1, .n_samples = 1}, {.horizon = 1, .history = true}};
        const unsigned needs[] = {FTL_GIVES_COMPONENTS, FTL_GIVES_SAMPLES, FTL_GIVES_HISTORY};
        for (size_t i = 0; i < 3; i++) {
            if (can(f, needs[i])) continue;
            ftl_error err = {FTL_OK, ""};
            CHECK_INT(ftl_model_predict(model, &beyond[i], &fc, &err), FTL_EINVAL);
            CHECK(fc == NULL && err.message[0]);
        }
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

TEST(save_load_predict_gives_the_same_bits)
{
    ftl_series *s = usual("a, \"b\"", 1);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_model *model = fit(f, s), *loaded = NULL;
        char *saved = NULL, *again = NULL;
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(ftl_model_save_text(model, &saved, NULL), FTL_OK);
        if (ftl_model_load_text(saved, strlen(saved), "saved", &loaded, &err)) fail_msg("%s", err.message);
        CHECK_TEXT(ftl_model_id(loaded), "a, \"b\"");
        CHECK(ftl_model_forecaster(loaded) == f->forecaster);
        CHECK_INT(ftl_model_capabilities(model), f->can);
        ftl_forecast *a = predict(model, everything(f)), *b = predict(loaded, everything(f));
        char *x = as_json(a), *y = as_json(b);
        CHECK_TEXT(x, y);
        CHECK_INT(ftl_model_save_text(loaded, &again, NULL), FTL_OK);
        CHECK_TEXT(again, saved);
        ftl_text_free(x), ftl_text_free(y), ftl_text_free(saved), ftl_text_free(again);
        ftl_forecast_free(a), ftl_forecast_free(b);
        ftl_model_free(model), ftl_model_free(loaded);
    }
    ftl_series_free(s);
}

TEST(a_torn_model_file_is_refused)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_model *model = fit(f, s), *loaded = NULL;
        char *saved = NULL;
        CHECK_INT(ftl_model_save_text(model, &saved, NULL), FTL_OK);
        size_t size = strlen(saved);
        for (size_t cut = 0; cut < size; cut += 1 + size / 50) {
            ftl_error err = {FTL_OK, ""};
            CHECK(ftl_model_load_text(saved, cut, "torn", &loaded, &err) != FTL_OK);
            CHECK(loaded == NULL);
            CHECK_CONTAINS(err.message, "torn");
        }
        ftl_text_free(saved);
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

TEST(explanations_are_json)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_model *model = fit(f, s);
        char *text = NULL;
        CHECK_INT(ftl_model_explain(model, &text, NULL), FTL_OK);
        CHECK(text[0] == '{' && text[strlen(text) - 1] == '}');
        CHECK_CONTAINS(text, "\"warnings\":[");
        CHECK_CONTAINS(text, "\"fit_seconds\":");
        ftl_text_free(text);
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

TEST(ten_times_the_values_give_ten_times_the_forecast)
{
    ftl_series *s = usual("a", 1), *t = usual("a", 10);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_model *one = fit(f, s), *ten = fit(f, t);
        ftl_forecast *a = predict(one, (ftl_predict_args){.horizon = 14}),
                     *b = predict(ten, (ftl_predict_args){.horizon = 14});
        for (size_t h = 0; h < 14; h++) CHECK_CLOSE(ftl_forecast_point(b)[h] / 10, ftl_forecast_point(a)[h], 1e-6);
        for (size_t i = 0; i < 14 * n_levels; i++)
            CHECK_CLOSE(ftl_forecast_quantiles(b)[i] / 10, ftl_forecast_quantiles(a)[i], 1e-6);
        ftl_forecast_free(a), ftl_forecast_free(b);
        ftl_model_free(one), ftl_model_free(ten);
    }
    ftl_series_free(s);
    ftl_series_free(t);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

/* A right forecast or a refusal with a message; never a number that is not finite. Returns whether it was a forecast. */
static bool forecast_or_refusal(const subject *f, const ftl_series *s)
{
    ftl_config *config = config_of(f);
    ftl_model *model = NULL;
    ftl_forecast *fc = NULL;
    ftl_error err = {FTL_OK, ""};
    const ftl_predict_args args = {.horizon = 5, .levels = levels, .n_levels = n_levels};
    ftl_status st = ftl_model_fit(config, s, NULL, &model, &err);
    CHECK((st == FTL_OK) == (model != NULL));
    if (!st) st = ftl_model_predict(model, &args, &fc, &err);
    CHECK((st == FTL_OK) == (fc != NULL));
    if (st) {
        CHECK(st == err.code && (st == FTL_EDATA || st == FTL_ENUMERIC));
        CHECK_CONTAINS(err.message, ftl_series_id(s));
    }
    for (size_t h = 0; fc && h < 5; h++) {
        CHECK(isfinite(ftl_forecast_point(fc)[h]));
        for (size_t k = 0; k < n_levels; k++) CHECK(isfinite(ftl_forecast_quantiles(fc)[h * n_levels + k]));
    }
    ftl_forecast_free(fc);
    ftl_model_free(model);
    ftl_config_free(config);
    return st == FTL_OK;
}

TEST(too_short_and_all_missing_series_are_refused)
{
    double y[N], none[N];
    fill(y, N, 1, 3);
    for (size_t i = 0; i < N; i++) none[i] = NAN;
    FOR_EVERY_FORECASTER(f)
    {
        ftl_series *one = days("the-one", y, 1), *missing = days("the-missing", none, N),
                   *empty = days("the-empty", y, 0);
        CHECK(!forecast_or_refusal(f, one));
        CHECK(!forecast_or_refusal(f, missing));
        CHECK(!forecast_or_refusal(f, empty));
        for (size_t n = 2; n < 40; n++) { /* at some length it must begin to work */
            ftl_series *s = days("growing", y, n);
            bool fine = forecast_or_refusal(f, s);
            CHECK(fine || n < 30);
            ftl_series_free(s);
        }
        ftl_series_free(one), ftl_series_free(missing), ftl_series_free(empty);
    }
}

TEST(odd_values_give_a_forecast_or_a_refusal)
{
    double y[N];
    FOR_EVERY_FORECASTER(f)
    {
        for (int kind = 0; kind < 9; kind++) {
            static const double scales[] = {1e-300, 1e300, 1e-12, 1e12};
            fill(y, N, kind < 4 ? scales[kind] : 1, 5);
            for (size_t i = 0; i < N; i++) {
                if (kind == 4) y[i] = 0;
                if (kind == 5) y[i] = -3.25;
                if (kind == 6) y[i] = 2.0 + 0.5 * (double)i;
                if (kind == 7) y[i] = i == N - 1 ? 1e9 : 0;
                if (kind == 8) y[i] = i % 2 ? 1.7e308 : -1.7e308;
            }
            ftl_series *s = days("odd", y, N);
            bool fine = forecast_or_refusal(f, s);
            CHECK(fine || kind < 2 || kind == 8); /* ordinary numbers must work */
            ftl_series_free(s);
        }
    }
}

TEST(missing_values_are_taken_or_refused_as_promised)
{
    double y[N];
    fill(y, N, 1, 3);
    for (size_t i = 10; i < N; i += 11) y[i] = NAN;
    ftl_series *s = days("holes", y, N);
    FOR_EVERY_FORECASTER(f) CHECK(forecast_or_refusal(f, s) == can(f, FTL_TAKES_MISSING));
    ftl_series_free(s);
}

TEST(duplicates_are_taken_or_refused_as_promised)
{
    ftl_time ds[N];
    double y[N];
    ftl_series *s = NULL;
    fill(y, N, 1, 3);
    for (size_t i = 0; i < N; i++) ds[i] = ftl_time_of((ftl_date){2023, 1, 1 + (int)(i / 2)});
    CHECK_INT(ftl_series_new_full("twice", FTL_TIME_DATE, ds, y, N, NULL, NULL, 0, &s, NULL), FTL_OK);
    FOR_EVERY_FORECASTER(f) CHECK(forecast_or_refusal(f, s) == can(f, FTL_TAKES_DUPLICATE_TIMES));
    ftl_series_free(s);
}

TEST(irregular_times_are_taken_or_refused_as_promised)
{
    ftl_time ds[N];
    double y[N];
    ftl_series *s = NULL;
    fill(y, N, 1, 3);
    for (size_t i = 0; i < N; i++) ds[i] = (ftl_time)(i * i * i) * 7919 * FTL_SECOND + (ftl_time)(i * 37 % 11);
    CHECK_INT(ftl_series_new_full("irregular", FTL_TIME_DATETIME, ds, y, N, NULL, NULL, 0, &s, NULL), FTL_OK);
    FOR_EVERY_FORECASTER(f)
    {
        const ftl_freq day = {FTL_FREQ_TICK, FTL_DAY, 0};
        ftl_config *config = config_of(f);
        ftl_model *model = NULL;
        ftl_forecast *fc = NULL;
        ftl_error err = {FTL_OK, ""};
        ftl_predict_args args = {.horizon = 3};
        CHECK_INT(ftl_model_fit(config, s, NULL, &model, &err), can(f, FTL_TAKES_IRREGULAR_TIMES) ? FTL_OK : FTL_EDATA);
        if (model) { /* no step can be inferred, so one must be given */
            CHECK_INT(ftl_model_predict(model, &args, &fc, &err), FTL_EDATA);
            CHECK_CONTAINS(err.message, "frequency");
            args.freq = &day;
            CHECK_INT(ftl_model_predict(model, &args, &fc, &err), FTL_OK);
            CHECK(ftl_forecast_times(fc)[2] == ds[N - 1] + 3 * FTL_DAY);
        }
        ftl_forecast_free(fc);
        ftl_model_free(model);
        ftl_config_free(config);
    }
    ftl_series_free(s);
}

TEST(further_columns_are_used_or_passed_over_as_promised)
{
    static const char *const names[] = {"x"};
    ftl_time ds[N], next[4];
    double y[N], x[N], ahead[] = {0, 0, 1, 1};
    const double *columns[] = {x}, *future_columns[] = {ahead};
    ftl_series *s = NULL, *future = NULL;
    fill(y, N, 1, 3);
    for (size_t i = 0; i < N; i++) {
        ds[i] = ftl_time_of((ftl_date){2023, 1, 1 + (int)i});
        x[i] = i % 5 < 2;
        y[i] += 20 * x[i];
    }
    for (size_t h = 0; h < 4; h++) next[h] = ftl_time_of((ftl_date){2023, 1, N + 1 + (int)h});
    CHECK_INT(ftl_series_new_full("with x", FTL_TIME_DATE, ds, y, N, names, columns, 1, &s, NULL), FTL_OK);
    CHECK_INT(ftl_series_new_full("", FTL_TIME_DATE, next, NULL, 4, names, future_columns, 1, &future, NULL), FTL_OK);
    FOR_EVERY_FORECASTER(f)
    {
        bool uses = can(f, FTL_TAKES_REGRESSORS), blindly = can(f, FTL_TAKES_UNKNOWN_FUTURE);
        ftl_model *model = fit(f, s);
        ftl_forecast *fc = NULL;
        ftl_error err = {FTL_OK, ""};
        const ftl_predict_args blind = {.horizon = 4};
        CHECK_INT(ftl_model_predict(model, &blind, &fc, &err), uses && !blindly ? FTL_EDATA : FTL_OK);
        if (!fc) CHECK_CONTAINS(err.message, "x");
        double without = fc ? ftl_forecast_point(fc)[2] : NAN;
        ftl_forecast_free(fc);
        fc = predict(model, (ftl_predict_args){.future = future});
        double step = ftl_forecast_point(fc)[2] - ftl_forecast_point(fc)[1];
        if (uses && !blindly) CHECK(step > 10); /* the effect is 20, the week's pattern and noise a few */
        if (uses && blindly) CHECK(ftl_forecast_point(fc)[2] != without); /* a toy has learnt nothing, but it looks */
        if (!uses) CHECK(ftl_forecast_point(fc)[2] == without);
        CHECK_TEXT(ftl_forecast_id(fc), "with x");
        ftl_forecast_free(fc);
        ftl_model_free(model);
    }
    ftl_series_free(s);
    ftl_series_free(future);
}

TEST(any_kind_of_time_works)
{
    double y[N];
    ftl_time ds[N];
    fill(y, N, 1, 3);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_series *index = NULL, *old = NULL, *late = NULL, *hours = NULL;
        CHECK_INT(ftl_series_new("index", y, N, &index, NULL), FTL_OK);
        for (size_t i = 0; i < N; i++) ds[i] = ftl_time_of((ftl_date){1700, 1 + (int)i, 1});
        CHECK_INT(ftl_series_new_full("old", FTL_TIME_DATE, ds, y, N, NULL, NULL, 0, &old, NULL), FTL_OK);
        for (size_t i = 0; i < N; i++) ds[i] = ftl_time_of((ftl_date){2500, 1, 1 + (int)i});
        CHECK_INT(ftl_series_new_full("late", FTL_TIME_DATE, ds, y, N, NULL, NULL, 0, &late, NULL), FTL_OK);
        for (size_t i = 0; i < N; i++) ds[i] = (ftl_time)i * 3600 * FTL_SECOND;
        CHECK_INT(ftl_series_new_full("hours", FTL_TIME_DATETIME, ds, y, N, NULL, NULL, 0, &hours, NULL), FTL_OK);
        CHECK(forecast_or_refusal(f, index) && forecast_or_refusal(f, old) && forecast_or_refusal(f, late) &&
              forecast_or_refusal(f, hours));
        ftl_series_free(index), ftl_series_free(old), ftl_series_free(late), ftl_series_free(hours);
    }
}

/* ---- memory, threads -------------------------------------------------------------------------------------------- */

TEST(memory_may_run_out_anywhere)
{
    double y[40];
    fill(y, 40, 1, 3);
    ftl_series *s = days("a", y, 40);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_config *config = config_of(f);
        ftl_predict_args args = everything(f);
        args.levels = levels;
        args.n_levels = n_levels;
        ftl_status st = FTL_ENOMEM;
        /* each of the first, then one in fifty: models made of models allocate thousands of times */
        for (long n = 0; st == FTL_ENOMEM && n < 200000; n += 1 + n / 50) {
            ftl_model *model = NULL, *loaded = NULL;
            ftl_forecast *fc = NULL;
            char *saved = NULL;
            fi_alloc_fail_after(n);
            st = ftl_model_fit(config, s, NULL, &model, NULL);
            if (!st) st = ftl_model_predict(model, &args, &fc, NULL);
            if (!st) st = ftl_model_save_text(model, &saved, NULL);
            if (!st) st = ftl_model_load_text(saved, strlen(saved), "saved", &loaded, NULL);
            fi_alloc_fail_after(-1);
            CHECK((st == FTL_OK) == (loaded != NULL));
            ftl_text_free(saved);
            ftl_forecast_free(fc);
            ftl_model_free(model);
            ftl_model_free(loaded);
        }
        CHECK_INT(st, FTL_OK);
        ftl_config_free(config);
    }
    ftl_series_free(s);
}

typedef struct collected {
    char *text;
    size_t size, next;
} collected;

static bool collect(void *user, const ftl_panel_result *r)
{
    collected *c = user;
    CHECK_INT(r->index, c->next);
    c->next++;
    if (r->error->code) fail_msg("%s", r->error->message);
    char *text = as_json(r->forecast);
    size_t n = strlen(text);
    c->text = realloc(c->text, c->size + n + 1);
    memcpy(c->text + c->size, text, n + 1);
    c->size += n;
    ftl_text_free(text);
    return true;
}

static ftl_panel *panel(size_t n_series)
{
    char *text = NULL, date[FTL_TIME_TEXT_MAX];
    size_t size;
    ftl_panel *p = NULL;
    double y[N];
    FILE *to = open_memstream(&text, &size);
    fprintf(to, "unique_id,ds,y\n");
    for (size_t s = 0; s < n_series; s++) {
        fill(y, N, (double)(s + 1), s);
        for (int t = 0; t < N; t++) {
            ftl_time_format(ftl_time_of((ftl_date){2023, 1, 1 + t}), FTL_TIME_DATE, date);
            fprintf(to, "s%zu,%s,%.6f\n", s, date, y[t]);
        }
    }
    fclose(to);
    CHECK_INT(ftl_panel_parse_csv(text, size, "panel", NULL, &p, NULL), FTL_OK);
    free(text);
    return p;
}

TEST(one_and_four_threads_give_the_same_bits)
{
    ftl_panel *p = panel(40);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_config *config = config_of(f);
        collected one = {0}, four = {0};
        ftl_predict_args args = everything(f);
        args.levels = levels;
        args.n_levels = n_levels;
        args.sampled_quantiles = args.n_samples > 0;
        const ftl_fit_args fit_args = {.seed = 11};
        CHECK_INT(ftl_forecast_panel(config, p, NULL, &fit_args, &args, 1, collect, &one, NULL), FTL_OK);
        CHECK_INT(ftl_forecast_panel(config, p, NULL, &fit_args, &args, 4, collect, &four, NULL), FTL_OK);
        CHECK_INT(one.next, 40);
        CHECK_TEXT(four.text, one.text);
        free(one.text), free(four.text);
        ftl_config_free(config);
    }
    ftl_panel_free(p);
}

TEST(another_seed_gives_other_paths)
{
    ftl_series *s = usual("a", 1);
    FOR_EVERY_FORECASTER(f)
    {
        if (!can(f, FTL_GIVES_SAMPLES)) continue;
        ftl_model *model = fit(f, s);
        ftl_forecast *a = predict(model, (ftl_predict_args){.horizon = 3, .n_samples = 4, .seed = 1}),
                     *b = predict(model, (ftl_predict_args){.horizon = 3, .n_samples = 4, .seed = 1}),
                     *c = predict(model, (ftl_predict_args){.horizon = 3, .n_samples = 4, .seed = 2});
        CHECK(!memcmp(ftl_forecast_samples(a), ftl_forecast_samples(b), 12 * sizeof(double)));
        CHECK(memcmp(ftl_forecast_samples(a), ftl_forecast_samples(c), 12 * sizeof(double)));
        ftl_forecast_free(a), ftl_forecast_free(b), ftl_forecast_free(c);
        ftl_model_free(model);
    }
    ftl_series_free(s);
}

static bool stop(void *user, const ftl_panel_result *r)
{
    (void)r;
    return ++*(size_t *)user < 3;
}

TEST(a_run_can_be_cancelled)
{
    ftl_panel *p = panel(40);
    FOR_EVERY_FORECASTER(f)
    {
        ftl_config *config = config_of(f);
        size_t seen = 0;
        CHECK_INT(ftl_forecast_panel(config, p, NULL, NULL, NULL, 2, stop, &seen, NULL), FTL_ECANCELLED);
        CHECK_INT(seen, 3);
        ftl_config_free(config);
    }
    ftl_panel_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_options_readable),
        cmocka_unit_test(horizon_and_levels_are_honoured),
        cmocka_unit_test(quantiles_are_finite_and_never_cross),
        cmocka_unit_test(any_one_level_is_that_of_many),
        cmocka_unit_test(history_comes_before_the_future),
        cmocka_unit_test(what_is_asked_for_is_given_and_what_cannot_be_is_refused),
        cmocka_unit_test(save_load_predict_gives_the_same_bits),
        cmocka_unit_test(a_torn_model_file_is_refused),
        cmocka_unit_test(explanations_are_json),
        cmocka_unit_test(ten_times_the_values_give_ten_times_the_forecast),
        cmocka_unit_test(too_short_and_all_missing_series_are_refused),
        cmocka_unit_test(odd_values_give_a_forecast_or_a_refusal),
        cmocka_unit_test(missing_values_are_taken_or_refused_as_promised),
        cmocka_unit_test(duplicates_are_taken_or_refused_as_promised),
        cmocka_unit_test(irregular_times_are_taken_or_refused_as_promised),
        cmocka_unit_test(further_columns_are_used_or_passed_over_as_promised),
        cmocka_unit_test(any_kind_of_time_works),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(one_and_four_threads_give_the_same_bits),
        cmocka_unit_test(another_seed_gives_other_paths),
        cmocka_unit_test(a_run_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, find_subjects, NULL);
}
