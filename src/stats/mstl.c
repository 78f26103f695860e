/*
 * Series of several seasons: what loess finds of each season is taken out, any other model forecasts what is left, and
 * the seasons return as they were in their last round.
 *
 *     y = S_1 + ... + S_k + A,   S_i by STL of the period m_i, in ascending order, twice over
 *
 * so that each season is estimated with the others taken out. Settings are those of R's mstl(): seasonal windows 11, 15,
 * 19 ..., one round for one season. Missing values are bridged for the decomposition only. Source: Bandara, Hyndman &
 * Bergmeir (2021), MSTL: A seasonal-trend decomposition algorithm for time series with multiple seasonal patterns.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "stats/nested.h"
#include "stats/stats.h"
#include "stats/stl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SEASONS = 8 };

typedef struct mstl_config {
    char *seasons;  /* mstl; "": those of the frequency */
    int64_t season; /* stl; 0: that of the frequency */
    char *trend;
    int64_t window, passes; /* 0: as R has them */
    bool periodic, robust, exact;
} mstl_config;

typedef struct mstl_model {
    ftl_model *rest; /* of the series without its seasons */
    size_t n, n_seasons, periods[MAX_SEASONS];
    double *seasonal;          /* [n_seasons, n] */
    double *trend, *remainder; /* [n]; the remainder is NaN where y is */
    char note[160];
} mstl_model;

/* ---- seasons ---------------------------------------------------------------------------------------------------- */

/* The seasons of a frequency: those of sub-daily steps are a day, a week and a year. */
static size_t usual_seasons(const ftl_freq *freq, size_t *periods)
{
    size_t n = 0, first = ftl_freq_season(freq);
    if (freq->unit == FTL_FREQ_WEEK && freq->multiple == 1) first = 52;
    if (first < 2) return 0;
    periods[n++] = first;
    if (freq->unit == FTL_FREQ_TICK && freq->multiple < FTL_DAY && freq->multiple >= 60 * FTL_SECOND)
        periods[n++] = 7 * first;
    if (freq->unit == FTL_FREQ_TICK && freq->multiple <= FTL_DAY && freq->multiple >= 60 * FTL_SECOND)
        periods[n++] = (size_t)lround(365.25 * (double)FTL_DAY / (double)freq->multiple);
    if (freq->unit == FTL_FREQ_BUSINESS_DAY && freq->multiple == 1) periods[n++] = 261;
    return n;
}

/* Reads "24+168" (also with commas or blanks) into an ascending list without repeats. */
static ftl_status parse_seasons(const char *text, size_t *periods, size_t *n, ftl_error *err)
{
    *n = 0;
    for (const char *p = text; *p;) {
        size_t value = 0, digits = 0, place = 0;
        for (; *p >= '0' && *p <= '9' && digits < 10; p++, digits++) value = 10 * value + (size_t)(*p - '0');
        if (!digits || value < 2 || (*p && !strchr("+, ", *p)) || *n == MAX_SEASONS)
            return fi_fail(err, FTL_EINVAL,
                           "mstl: seasons '%s': up to %d whole numbers of steps from 2 on are expected, as 24+168",
                           text, MAX_SEASONS);
        while (*p && strchr("+, ", *p)) p++;
        while (place < *n && periods[place] < value) place++;
        if (place < *n && periods[place] == value) continue;
        memmove(periods + place + 1, periods + place, (*n - place) * sizeof *periods);
        periods[place] = value;
        ++*n;
    }
    return FTL_OK;
}

/* Keeps the seasons of which the series has more than two; says so if a longer one was `asked` for. */
static void keep_seasons(mstl_model *m, const size_t *periods, size_t n_periods, bool asked)
{
    for (size_t i = 0; i < n_periods; i++)
        if (periods[i] > 1 && periods[i] <= (m->n - 1) / 2) m->periods[m->n_seasons++] = periods[i];
    if (asked && m->n_seasons < n_periods)
        snprintf(m->note, sizeof m->note,
                 "the series is not longer than two seasons of %zu; what is too long for it was left out",
                 periods[m->n_seasons]);
}

/* ---- fit -------------------------------------------------------------------------------------------------------- */

static void mstl_free(void *model)
{
    mstl_model *m = model;
    if (!m) return;
    ftl_model_free(m->rest);
    fi_free(m->seasonal);
    fi_free(m->trend);
    fi_free(m->remainder);
    fi_free(m);
}

/* The model of the rest: where it could look for a season itself, it is told that there is none. */
static ftl_status rest_config(const ftl_forecaster *host, const mstl_config *c, ftl_config **out, ftl_error *err)
{
    char *season = NULL;
    ftl_status st = fi_nested_config(host, c->trend ? c->trend : "", out, err);
    if (st) return st;
    const ftl_forecaster *f = ftl_config_forecaster(*out);
    for (size_t i = 0; i < ftl_forecaster_n_options(f) && !st; i++) {
        if (strcmp(ftl_forecaster_option(f, i).name, "season") != 0) continue;
        st = ftl_config_get(*out, "season", &season, err);
        if (!st && !strcmp(season, "0")) st = ftl_config_set(*out, "season", "1", err);
        ftl_text_free(season);
    }
    if (st) {
        ftl_config_free(*out);
        *out = NULL;
    }
    return st;
}

static fi_stl_options stl_options(const mstl_config *c, const mstl_model *m, size_t i)
{
    size_t window = c->periodic ? 0 : c->window ? (size_t)c->window | 1 : 11 + 4 * i;
    fi_stl_options o = fi_stl_defaults(m->n, m->periods[i], window, c->robust);
    if (c->passes) o.inner = (size_t)c->passes;
    if (c->exact) o.season.jump = o.trend.jump = o.low_pass.jump = 1;
    return o;
}

/* Takes y [n], without gaps, apart into seasons, trend and the rest, which stays in y. */
static void take_apart(const mstl_config *c, mstl_model *m, double *y, double *work)
{
    size_t n = m->n, rounds = m->n_seasons > 1 ? 2 : 1;
    memset(m->seasonal, 0, m->n_seasons * n * sizeof *m->seasonal);
    memcpy(m->trend, y, n * sizeof *y); /* without any season the trend is the series */
    for (size_t i = 0; i < rounds * m->n_seasons; i++) {
        double *season = m->seasonal + i % m->n_seasons * n;
        const fi_stl_options o = stl_options(c, m, i % m->n_seasons);
        for (size_t t = 0; t < n; t++) y[t] += season[t];
        fi_stl(y, n, &o, season, m->trend, NULL, work);
        for (size_t t = 0; t < n; t++) y[t] -= season[t];
    }
    for (size_t t = 0; t < n; t++) m->remainder[t] = y[t] - m->trend[t];
}

static ftl_status decompose(const mstl_config *c, mstl_model *m, const ftl_series *s, double *rest, ftl_error *err)
{
    size_t n = m->n, longest = m->n_seasons ? m->periods[m->n_seasons - 1] : 1;
    const double *y = fi_series_y(s);
    bool finite = true;
    m->seasonal = n > (size_t)-1 / MAX_SEASONS ? NULL : fi_alloc(m->n_seasons * n, sizeof *m->seasonal);
    m->trend = fi_alloc(n, sizeof *m->trend);
    m->remainder = fi_alloc(n, sizeof *m->remainder);
    double *work = fi_alloc(fi_stl_work(n, longest), sizeof *work);
    ftl_status st = m->seasonal && m->trend && m->remainder && work ? FTL_OK : fi_fail_memory(err);
    if (!st) {
        fi_bridge_gaps(y, n, rest);
        take_apart(c, m, rest, work);
        for (size_t t = 0; t < n; t++) {
            finite = finite && isfinite(rest[t]) && isfinite(m->remainder[t]);
            if (isnan(y[t])) rest[t] = m->remainder[t] = NAN;
        }
        for (size_t i = 0; i < m->n_seasons * n; i++) finite = finite && isfinite(m->seasonal[i]);
    }
    if (!st && !finite)
        st = fi_fail(err, FTL_ENUMERIC,
                     "series '%s': its values are too far apart for the range of numbers; scale them", s->id);
    fi_free(work);
    return st;
}

/* A copy of the series with other values. */
static ftl_status with_values(const ftl_series *s, const double *y, ftl_series **out, ftl_error *err)
{
    const fi_table *t = s->table;
    const double **columns = fi_alloc(t->n_columns, sizeof *columns);
    *out = NULL;
    if (!columns) return fi_fail_memory(err);
    for (size_t i = 0; i < t->n_columns; i++) columns[i] = ftl_series_column(s, i);
    ftl_status st = ftl_series_new_full(s->id, t->kind, fi_series_ds(s), y, s->n_obs, (const char *const *)t->names,
                                        columns, t->n_columns, out, err);
    fi_free(columns);
    return st;
}

static ftl_status fit_seasons(const ftl_forecaster *host, const mstl_config *c, const ftl_series *s,
                              const ftl_fit_args *args, const size_t *periods, size_t n_periods, bool asked, void **out,
                              ftl_error *err)
{
    mstl_model *m = fi_calloc(1, sizeof *m);
    double *y = fi_alloc(s->n_obs, sizeof *y);
    ftl_series *rest = NULL;
    ftl_config *config = NULL;
    *out = NULL;
    ftl_status st = m && y ? FTL_OK : fi_fail_memory(err);
    if (!st) {
        m->n = s->n_obs;
        keep_seasons(m, periods, n_periods, asked);
        st = decompose(c, m, s, y, err);
    }
    if (!st) st = with_values(s, y, &rest, err);
    if (!st) st = rest_config(host, c, &config, err);
    if (!st) st = ftl_model_fit(config, rest, args, &m->rest, err);
    if (!st) {
        *out = m;
        m = NULL;
    }
    ftl_config_free(config);
    ftl_series_free(rest);
    fi_free(y);
    mstl_free(m);
    return st;
}

static ftl_status mstl_fit(const void *config, const ftl_series *s, const ftl_fit_args *args, void **out,
                           ftl_error *err)
{
    const mstl_config *c = config;
    size_t periods[MAX_SEASONS], n = 0;
    ftl_status st = FTL_OK;
    *out = NULL;
    if (c->seasons)
        st = parse_seasons(c->seasons, periods, &n, err);
    else if (args->freq)
        n = usual_seasons(args->freq, periods);
    return st ? st : fit_seasons(&mstl_forecaster, c, s, args, periods, n, c->seasons != NULL, out, err);
}

static ftl_status stl_fit(const void *config, const ftl_series *s, const ftl_fit_args *args, void **out, ftl_error *err)
{
    const mstl_config *c = config;
    size_t period = c->season ? (size_t)c->season : args->freq ? ftl_freq_season(args->freq) : 1;
    return fit_seasons(&stl_forecaster, c, s, args, &period, 1, c->season > 0, out, err);
}

/* ---- predict ---------------------------------------------------------------------------------------------------- */

/* The i-th season at a row of the history or after it. */
static double season_at(const mstl_model *m, size_t i, size_t row)
{
    size_t period = m->periods[i];
    return m->seasonal[i * m->n + (row < m->n ? row : m->n - period + (row - m->n) % period)];
}

/* The components of a forecast that is still that of the rest: its future is that of the trend. */
static ftl_status add_components(const mstl_model *m, ftl_forecast *fc, ftl_error *err)
{
    size_t first = fc->n_history ? 0 : m->n, levels = fc->n_levels;
    ftl_status st = fi_forecast_add_components(fc, m->n_seasons + 2, err);
    if (st) return st;
    fi_component *trend = &fc->components[0], *remainder = &fc->components[m->n_seasons + 1];
    trend->name = fi_strdup("trend");
    remainder->name = fi_strdup("remainder");
    trend->q = fi_alloc(fc->n_rows * levels, sizeof *trend->q); /* no overflow: as large as fc->q */
    if (!trend->name || !remainder->name || !trend->q) return fi_fail_memory(err);
    for (size_t r = 0; r < fc->n_rows; r++) {
        size_t row = first + r;
        trend->value[r] = row < m->n ? m->trend[row] : fc->point[r];
        remainder->value[r] = row < m->n ? m->remainder[row] : 0;
        for (size_t k = 0; k < levels; k++)
            trend->q[r * levels + k] = row < m->n ? m->trend[row] : fc->q[r * levels + k];
    }
    for (size_t i = 0; i < m->n_seasons; i++) {
        char name[40];
        snprintf(name, sizeof name, "seasonal%zu", m->periods[i]);
        fi_component *c = &fc->components[1 + i];
        c->name = fi_strdup(name);
        if (!c->name) return fi_fail_memory(err);
        for (size_t r = 0; r < fc->n_rows; r++) c->value[r] = season_at(m, i, first + r);
    }
    return FTL_OK;
}

static void add_seasons(const mstl_model *m, ftl_forecast *fc)
{
    size_t first = fc->n_history ? 0 : m->n;
    for (size_t r = 0; r < fc->n_rows; r++) {
        double season = 0;
        for (size_t i = 0; i < m->n_seasons; i++) season += season_at(m, i, first + r);
        fc->point[r] += season;
        for (size_t k = 0; k < fc->n_levels; k++) fc->q[r * fc->n_levels + k] += season;
        for (size_t k = 0; k < fc->n_samples; k++) fc->samples[r * fc->n_samples + k] += season;
    }
}

static ftl_status mstl_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err)
{
    const mstl_model *m = model;
    ftl_predict_args own = *args;
    ftl_forecast *fc = NULL;
    *out = NULL;
    own.components = false;
    ftl_status st = ftl_model_predict(m->rest, &own, &fc, err);
    if (!st && args->history && fc->n_history != m->n)
        st = fi_fail(err, FTL_EDATA, "series '%s': the saved parts of its model have histories of %zu and %zu rows",
                     fc->id, m->n, fc->n_history);
    if (!st && args->components) st = add_components(m, fc, err);
    if (!st) {
        add_seasons(m, fc);
        *out = fc;
        fc = NULL;
    }
    ftl_forecast_free(fc);
    return st;
}

/* ---- files and explanations ------------------------------------------------------------------------------------- */

static json_t *periods_json(const mstl_model *m)
{
    json_t *array = json_array();
    int bad = 0;
    for (size_t i = 0; i < m->n_seasons; i++)
        bad |= json_array_append_new(array, json_integer((json_int_t)m->periods[i]));
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

static ftl_status mstl_save(const void *model, json_t **out, ftl_error *err)
{
    const mstl_model *m = model;
    json_t *object = json_object(), *rest;
    *out = NULL;
    ftl_status st = object ? fi_nested_save(m->rest, &rest, err) : fi_fail_memory(err);
    if (!st) {
        int bad = json_object_set_new(object, "seasons", periods_json(m));
        bad |= json_object_set_new(object, "note", json_string(m->note));
        bad |= json_object_set_new(object, "seasonal", fi_json_reals(m->seasonal, m->n_seasons * m->n));
        bad |= json_object_set_new(object, "trend", fi_json_reals(m->trend, m->n));
        bad |= json_object_set_new(object, "remainder", fi_json_reals(m->remainder, m->n));
        bad |= json_object_set_new(object, "trend_model", rest);
        if (bad) st = fi_fail_memory(err);
    }
    if (st)
        json_decref(object);
    else
        *out = object;
    return st;
}

static ftl_status load_parts(mstl_model *m, const json_t *object, ftl_error *err)
{
    const json_t *periods = json_object_get(object, "seasons");
    const char *note = "";
    size_t n_seasonal, n_remainder;
    ftl_status st = fi_json_get_text(object, "note", &note, err);
    if (!st) st = fi_json_get_reals(object, "seasonal", &m->seasonal, &n_seasonal, err);
    if (!st) st = fi_json_get_reals(object, "trend", &m->trend, &m->n, err);
    if (!st) st = fi_json_get_reals(object, "remainder", &m->remainder, &n_remainder, err);
    if (st) return st;
    m->n_seasons = json_array_size(periods);
    bool fine = json_is_array(periods) && m->n_seasons <= MAX_SEASONS && strlen(note) < sizeof m->note && m->n > 0 &&
                n_remainder == m->n && n_seasonal / m->n == m->n_seasons && n_seasonal % m->n == 0;
    for (size_t i = 0; i < m->n_seasons && fine; i++) {
        json_int_t period = json_integer_value(json_array_get(periods, i)); /* 0 for what is none */
        fine = period > 1 && (uint64_t)period <= m->n;
        m->periods[i] = fine ? (size_t)period : 2;
    }
    if (!fine)
        return fi_fail(err, FTL_EDATA,
                       "keys 'seasons', 'note', 'seasonal', 'trend' and 'remainder' do not go together");
    strcpy(m->note, note);
    return FTL_OK;
}

static ftl_status load(const ftl_forecaster *host, const json_t *object, void **out, ftl_error *err)
{
    mstl_model *m = fi_calloc(1, sizeof *m);
    *out = NULL;
    ftl_status st = m ? load_parts(m, object, err) : fi_fail_memory(err);
    if (!st) st = fi_nested_load(host, json_object_get(object, "trend_model"), &m->rest, err);
    if (!st) {
        *out = m;
        m = NULL;
    }
    mstl_free(m);
    return st;
}

static ftl_status mstl_load(const json_t *object, void **out, ftl_error *err)
{
    return load(&mstl_forecaster, object, out, err);
}

static ftl_status stl_load(const json_t *object, void **out, ftl_error *err)
{
    return load(&stl_forecaster, object, out, err);
}

static const char *mstl_warning(const void *model, size_t i)
{
    const mstl_model *m = model;
    if (*m->note && i == 0) return m->note;
    return ftl_model_warning(m->rest, *m->note ? i - 1 : i);
}

static ftl_status mstl_explain(const void *model, json_t **out, ftl_error *err)
{
    const mstl_model *m = model;
    json_t *object = json_object(), *warnings = json_array(), *rest = NULL;
    int bad = json_object_set_new(object, "seasons", periods_json(m));
    bad |= json_object_set(object, "warnings", warnings);
    for (size_t i = 0; mstl_warning(m, i); i++) bad |= json_array_append_new(warnings, json_string(mstl_warning(m, i)));
    ftl_status st = bad ? fi_fail_memory(err) : fi_nested_explain(m->rest, &rest, err);
    if (!st && json_object_set_new(object, "trend_model", rest)) st = fi_fail_memory(err);
    json_decref(warnings);
    if (st)
        json_decref(object);
    else
        *out = object;
    return st;
}

/* ---- the forecasters -------------------------------------------------------------------------------------------- */

enum { OWN = FTL_TAKES_MISSING | FTL_GIVES_COMPONENTS };
static const unsigned of_rest = FTL_TAKES_REGRESSORS | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY;

static ftl_status config_capabilities(const ftl_forecaster *host, const void *config, unsigned *out, ftl_error *err)
{
    ftl_config *rest;
    ftl_status st = rest_config(host, config, &rest, err);
    if (!st) st = ftl_config_capabilities(rest, out, err);
    *out = OWN | (*out & of_rest);
    if (!st) ftl_config_free(rest);
    return st;
}

static ftl_status mstl_config_capabilities(const void *config, unsigned *out, ftl_error *err)
{
    return config_capabilities(&mstl_forecaster, config, out, err);
}

static ftl_status stl_config_capabilities(const void *config, unsigned *out, ftl_error *err)
{
    return config_capabilities(&stl_forecaster, config, out, err);
}

static unsigned model_capabilities(const void *model)
{
    const mstl_model *m = model;
    return OWN | (ftl_model_capabilities(m->rest) & of_rest);
}

static ftl_status check(const ftl_forecaster *host, const mstl_config *c, ftl_error *err)
{
    ftl_config *rest;
    size_t periods[MAX_SEASONS], n;
    ftl_status st = c->seasons ? parse_seasons(c->seasons, periods, &n, err) : FTL_OK;
    if (!st && c->periodic && c->window)
        st = fi_fail(err, FTL_EINVAL, "%s: 'periodic' has no window; leave out one of the two", host->name);
    if (!st) st = rest_config(host, c, &rest, err);
    if (!st) ftl_config_free(rest);
    return st;
}

static ftl_status mstl_check(const void *config, ftl_error *err)
{
    return check(&mstl_forecaster, config, err);
}

static ftl_status stl_check(const void *config, ftl_error *err)
{
    return check(&stl_forecaster, config, err);
}

#define SHARED_OPTIONS                                                                                                 \
    FI_OPTION_TEXT(mstl_config, trend, "auto-ets", "MODEL",                                                            \
                   "the model of what is left without seasons, with options as in auto-arima:max_p=2 (a comma "        \
                   "between several needs a backslash before it); its own season is 1 unless it says one"),            \
        FI_OPTION_COUNT(mstl_config, window, "0", 0, 100001,                                                           \
                        "rounds of a season that are smoothed together, odd; 0 takes 11, and 15, 19 ... for longer "   \
                        "seasons"),                                                                                    \
        FI_OPTION_FLAG(mstl_config, periodic, "false", "seasons repeat exactly"),                                      \
        FI_OPTION_FLAG(mstl_config, robust, "false", "outliers count less: 15 weighted rounds"),                       \
        FI_OPTION_FLAG(mstl_config, exact, "false", "loess at every row instead of every tenth of its window"),        \
        FI_OPTION_COUNT(mstl_config, passes, "0", 0, 1000,                                                             \
                        "inner passes of STL; 0 takes those of R: 2, and 1 where robust")

static const fi_option mstl_options[] = {
    FI_OPTION_TEXT(mstl_config, seasons, "", "N+N",
                   "steps of the seasons, as 24+168; none given: those of the frequency (7 and 365 for days, 24, 168 "
                   "and 8766 for hours); those of which the series has not more than two are left out"),
    SHARED_OPTIONS,
};
static const fi_option stl_options_table[] = {
    FI_OPTION_COUNT(mstl_config, season, "0", 0, 1e9,
                    "steps of the season; 0 takes the frequency's usual one (7 for days, 12 for months); none where "
                    "the series has not more than two"),
    SHARED_OPTIONS,
};

#define MSTL_FORECASTER(table, NAME)                                                                                   \
    .options = table, .n_options = sizeof table / sizeof *table, .config_size = sizeof(mstl_config),                   \
    .point_kind = "mean", .capabilities = OWN | FTL_TAKES_REGRESSORS | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY,          \
    .check = NAME##_check, .config_capabilities = NAME##_config_capabilities,                                          \
    .model_capabilities = model_capabilities, .fit = NAME##_fit, .predict = mstl_predict, .save = mstl_save,           \
    .load = NAME##_load, .explain = mstl_explain, .free = mstl_free, .warning = mstl_warning

const ftl_forecaster mstl_forecaster = {
    MSTL_FORECASTER(mstl_options, mstl),
    .name = "mstl",
    .summary = "several seasons taken out by loess, and any other model for what is left",
    .source = "Bandara, Hyndman & Bergmeir (2021), MSTL: a seasonal-trend decomposition algorithm, arXiv:2107.13462",
};

const ftl_forecaster stl_forecaster = {
    MSTL_FORECASTER(stl_options_table, stl),
    .name = "stl",
    .summary = "one season taken out by loess, and any other model for what is left",
    .source = "Cleveland, Cleveland, McRae & Terpenning (1990), STL, Journal of Official Statistics 6",
};
