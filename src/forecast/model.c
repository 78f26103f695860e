/*
 * The driver: what every forecaster needs and none should do for itself. It settles the frequency, puts series on a
 * regular grid for models that want one, makes future rows, checks levels and results, and wraps saved models.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"
#include "forecast/driver.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum {
    MODEL_FORMAT = 1,    /* of the key "foretell" in saved models */
    MAX_ROWS = 10000000, /* of a forecast: a slip of the finger is told apart from a wish */
    MAX_SAMPLES = 1000000,
    GRID_SLACK = 100 /* fi_freq_fits() */
};

uint64_t fi_series_seed(uint64_t seed, const char *id)
{
    if (!*id) return seed;
    uint64_t h = UINT64_C(0xCBF29CE484222325); /* FNV-1a of the id */
    for (const unsigned char *p = (const unsigned char *)id; *p; p++) h = (h ^ *p) * UINT64_C(0x100000001B3);
    h ^= seed;
    h = (h ^ h >> 30) * UINT64_C(0xBF58476D1CE4E5B9); /* the finaliser of splitmix64 */
    h = (h ^ h >> 27) * UINT64_C(0x94D049BB133111EB);
    return h ^ h >> 31;
}

/* Mean length of one unit, in microseconds (1 for an index). */
static double unit_length(const ftl_freq *freq)
{
    const double day = (double)FTL_DAY;
    switch (freq->unit) {
    case FTL_FREQ_INDEX:
    case FTL_FREQ_TICK: return 1;
    case FTL_FREQ_BUSINESS_DAY: return day * 7 / 5;
    case FTL_FREQ_WEEK: return day * 7;
    case FTL_FREQ_MONTH_START:
    case FTL_FREQ_MONTH_END: return day * 365.25 / 12;
    case FTL_FREQ_QUARTER_START:
    case FTL_FREQ_QUARTER_END: return day * 365.25 / 4;
    case FTL_FREQ_YEAR_START:
    case FTL_FREQ_YEAR_END: return day * 365.25;
    }
    return day;
}

bool fi_freq_fits(const ftl_freq *freq, const ftl_time *times, size_t n)
{
    if (n < 2) return true;
    double span = (double)times[n - 1] - (double)times[0], step = unit_length(freq) * (double)freq->multiple;
    return span / step <= (double)GRID_SLACK * (double)n;
}

/* Columns that bound a series. Like nothing else in a future they are known: steps ahead keep their last values. */
static const char *const limit_names[2] = {"cap", "floor"};

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool takes(const ftl_forecaster *f, unsigned capability)
{
    return (f->capabilities & capability) != 0;
}

/* ---- fit -------------------------------------------------------------------------------------------------------- */

static ftl_status check_history(const ftl_forecaster *f, const ftl_series *s, ftl_error *err)
{
    const double *y = fi_series_y(s);
    const ftl_time *ds = fi_series_ds(s);
    size_t observed = 0;
    for (size_t i = 0; i < s->n_obs; i++) observed += isnan(y[i]) ? 0 : 1;
    if (!observed)
        return fi_fail(err, FTL_EDATA, "series '%s': none of its %zu rows has a value; nothing can be learnt from it",
                       s->id, s->n_obs);
    if (takes(f, FTL_TAKES_DUPLICATE_TIMES)) return FTL_OK;
    for (size_t i = 1; i < s->n_obs; i++)
        if (ds[i] == ds[i - 1]) {
            char date[FTL_TIME_TEXT_MAX];
            ftl_time_format(ds[i], s->table->kind, date);
            return fi_fail(err, FTL_EDATA,
                           "series '%s': %s stands in it more than once, and %s takes one value for "
                           "each time; add up or average such rows, or choose a model that takes them",
                           s->id, date, f->name);
        }
    return FTL_OK;
}

/* The frequency of a fit. *found false: the times are irregular, which only some models accept. */
static ftl_status resolve_freq(const ftl_forecaster *f, const ftl_series *s, const ftl_freq *given, ftl_freq *freq,
                               bool *found, ftl_error *err)
{
    const ftl_time *ds = fi_series_ds(s);
    ftl_error why = {FTL_OK, ""};
    bool index = s->table->kind == FTL_TIME_INDEX;
    *found = true;
    if (given) {
        *freq = *given;
        if (index == (given->unit == FTL_FREQ_INDEX)) return FTL_OK;
        return fi_fail(err, FTL_EINVAL,
                       index ? "series '%s': its times are whole numbers; its frequency must be a whole "
                               "number too, not a unit of the calendar"
                             : "series '%s': its times are dates; its frequency must be a unit of the "
                               "calendar (D, MS, h ...), not a whole number",
                       s->id);
    }
    if (!ftl_freq_infer(ds, s->n_obs, s->table->kind, freq, &why) && fi_freq_fits(freq, ds, s->n_obs)) return FTL_OK;
    *found = false;
    if (takes(f, FTL_TAKES_IRREGULAR_TIMES)) return FTL_OK;
    if (why.code) return fi_fail(err, why.code, "series '%s': %s", s->id, why.message);
    return fi_fail(err, FTL_EDATA,
                   "series '%s': its times follow no regular step; say one with --freq, bring the rows to "
                   "one, or choose a model that takes any times",
                   s->id);
}

/* The rows `grid`[0, n) with the series' values where it has them, NaN elsewhere; *missed is a time off the grid. */
static ftl_status spread(const ftl_series *s, const ftl_time *grid, size_t n, ftl_series **out, ftl_error *err)
{
    const ftl_time *ds = fi_series_ds(s);
    size_t *rows = fi_alloc(n, sizeof *rows); /* of the series, at each time of the grid */
    ftl_status st = rows ? FTL_OK : fi_fail_memory(err);
    *out = NULL;
    for (size_t g = 0; g < n && !st; g++) rows[g] = FI_NO_ID;
    for (size_t i = 0, g = 0; i < s->n_obs && !st; i++) {
        while (g < n && grid[g] < ds[i]) g++;
        if (g == n || grid[g] != ds[i]) {
            char date[FTL_TIME_TEXT_MAX];
            ftl_time_format(ds[i], s->table->kind, date);
            st = fi_fail(err, FTL_EDATA,
                         "series '%s': %s is not a time of its frequency; correct the row or the frequency", s->id,
                         date);
        } else {
            rows[g] = i;
        }
    }
    if (!st) st = fi_series_spread(s, grid, rows, n, out, err);
    fi_free(rows);
    return st;
}

ftl_status fi_regularise(const ftl_series *s, const ftl_freq *freq, ftl_series **out, ftl_error *err)
{
    *out = NULL;
    const ftl_time *ds = fi_series_ds(s);
    size_t n = s->n_obs, room = n < 64 ? 64 : n;
    if (!fi_freq_fits(freq, ds, n)) {
        char name[32];
        ftl_freq_format(freq, name);
        return fi_fail(err, FTL_EDATA,
                       "series '%s': at frequency %s its %zu rows would leave more than 99 %% of the times "
                       "empty; choose a coarser frequency",
                       s->id, name, n);
    }
    ftl_time *grid = fi_alloc(room, sizeof *grid);
    if (!grid) return fi_fail_memory(err);
    grid[0] = ds[0];
    ftl_status st = ftl_freq_after(freq, ds[0], n - 1, grid + 1, err);
    size_t length = n;
    if (!st && !memcmp(grid, ds, n * sizeof *ds)) goto done;
    while (!st && grid[length - 1] < ds[n - 1]) { /* gaps: go on until the last observation is reached */
        if (length == room && fi_grow(&grid, &room, 2 * room, sizeof *grid)) {
            st = fi_fail_memory(err);
            goto done;
        }
        size_t more = room - length < length ? room - length : length;
        st = ftl_freq_after(freq, grid[length - 1], more, grid + length, err);
        length += more;
    }
    while (length > 1 && grid[length - 1] > ds[n - 1]) length--;
    if (!st) st = spread(s, grid, length, out, err);
done:
    fi_free(grid);
    return st;
}

static ftl_status check_complete(const ftl_forecaster *f, const ftl_series *s, ftl_error *err)
{
    if (takes(f, FTL_TAKES_MISSING)) return FTL_OK;
    const double *y = fi_series_y(s);
    for (size_t i = 0; i < s->n_obs; i++)
        if (isnan(y[i])) {
            char date[FTL_TIME_TEXT_MAX];
            ftl_time_format(fi_series_ds(s)[i], s->table->kind, date);
            return fi_fail(err, FTL_EDATA,
                           "series '%s': the value at %s is missing, and %s needs every one; fill the gap or "
                           "choose a model that takes missing values",
                           s->id, date, f->name);
        }
    return FTL_OK;
}

static void note_limits(ftl_model *m, const ftl_series *s)
{
    for (size_t i = 0; i < 2; i++) {
        const double *column = ftl_series_column_named(s, limit_names[i]);
        m->limits[i] = column ? column[s->n_obs - 1] : NAN;
    }
}

ftl_status ftl_model_fit(const ftl_config *config, const ftl_series *series, const ftl_fit_args *args, ftl_model **out,
                         ftl_error *err)
{
    const ftl_forecaster *f = config->forecaster;
    ftl_fit_args own = args ? *args : (ftl_fit_args){0};
    ftl_series *regular = NULL;
    ftl_model *m = NULL;
    double start = now_seconds();
    *out = NULL;
    ftl_status st = f->check ? f->check(config->values, err) : FTL_OK;
    if (!st && series->table->n_more && !takes(f, FTL_TAKES_GROUPS))
        st = fi_fail(
            err, FTL_EINVAL,
            "%s forecasts one target at a time, but %zu were given; name one, or take a model that sees several "
            "together: chronos with a Chronos-2 model",
            f->name, ftl_series_n_targets(series));
    if (!st) st = check_history(f, series, err);
    if (st) return st;
    m = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    m->forecaster = f;
    m->kind = series->table->kind;
    m->last = fi_series_ds(series)[series->n_obs - 1];
    m->seed = own.seed;
    note_limits(m, series);
    m->id = fi_strdup(series->id);
    st = m->id ? ftl_config_text(config, &m->options, err) : fi_fail_memory(err);
    if (!st) st = resolve_freq(f, series, own.freq, &m->freq, &m->has_freq, err);
    if (!st && !takes(f, FTL_TAKES_IRREGULAR_TIMES)) st = fi_regularise(series, &m->freq, &regular, err);
    if (!st) st = check_complete(f, regular ? regular : series, err);
    if (st) goto done;
    own.freq = m->has_freq ? &m->freq : NULL;
    own.seed = fi_series_seed(own.seed, series->id);
    st = f->fit(config->values, regular ? regular : series, &own, &m->state, err);
    if (st) goto done;
    m->fit_seconds = now_seconds() - start;
    *out = m;
    m = NULL;
done:
    ftl_series_free(regular);
    ftl_model_free(m);
    return st;
}

void ftl_model_free(ftl_model *m)
{
    if (!m) return;
    if (m->state) m->forecaster->free(m->state);
    fi_free(m->options);
    fi_free(m->id);
    fi_free(m);
}

const ftl_forecaster *ftl_model_forecaster(const ftl_model *m)
{
    return m->forecaster;
}

unsigned ftl_model_capabilities(const ftl_model *m)
{
    const ftl_forecaster *f = m->forecaster;
    return f->model_capabilities ? f->model_capabilities(m->state) : f->capabilities;
}

const char *ftl_model_id(const ftl_model *m)
{
    return m->id;
}

/* ---- predict ---------------------------------------------------------------------------------------------------- */

static ftl_status check_args(const ftl_model *m, const ftl_predict_args *a, ftl_error *err)
{
    const ftl_forecaster *f = m->forecaster;
    unsigned can = ftl_model_capabilities(m);
    for (size_t k = 0; k < a->n_levels; k++) {
        if (!(a->levels[k] > 0 && a->levels[k] < 1))
            return fi_fail(err, FTL_EINVAL, "quantile level %zu must lie between 0 and 1, both excluded", k + 1);
        if (k && !(a->levels[k] > a->levels[k - 1]))
            return fi_fail(err, FTL_EINVAL, "quantile levels must increase strictly; number %zu does not", k + 1);
    }
    if (!a->future && (a->horizon < 1 || a->horizon > MAX_ROWS))
        return fi_fail(err, FTL_EINVAL, "the horizon is %zu steps, but must be from 1 to %d", a->horizon, MAX_ROWS);
    if (a->future && !ftl_series_n_obs(a->future))
        return fi_fail(err, FTL_EDATA, "series '%s': there are no future rows to predict", m->id);
    if (a->n_samples > MAX_SAMPLES)
        return fi_fail(err, FTL_EINVAL, "%zu sample paths were asked for; the most is %d", a->n_samples, MAX_SAMPLES);
    if (a->sampled_quantiles && !a->n_samples)
        return fi_fail(err, FTL_EINVAL, "quantiles from samples need a number of samples");
    if (a->n_samples && !(can & FTL_GIVES_SAMPLES))
        return fi_fail(err, FTL_EINVAL,
                       takes(f, FTL_GIVES_SAMPLES) ? "this model of %s gives no sample paths"
                                                   : "%s gives no sample paths",
                       f->name);
    if (a->components && !(can & FTL_GIVES_COMPONENTS))
        return fi_fail(err, FTL_EINVAL, "%s has no components", f->name);
    if (a->history && !(can & FTL_GIVES_HISTORY))
        return fi_fail(err, FTL_EINVAL, "%s does not predict its own history", f->name);
    return FTL_OK;
}

/* `n` times after the history; kind is that of the history, or with a time of day where the frequency needs one. */
static ftl_status times_after(const ftl_model *m, const ftl_freq *given, size_t n, ftl_time *out, ftl_time_kind *kind,
                              ftl_error *err)
{
    const ftl_freq *freq = given ? given : m->has_freq ? &m->freq : NULL;
    if (!freq)
        return fi_fail(err, FTL_EDATA,
                       "series '%s': its times are too few or follow no regular step, so the future ones "
                       "cannot be guessed; say a frequency with --freq, or give the rows to predict",
                       m->id);
    ftl_status st = ftl_freq_after(freq, m->last, n, out, err);
    if (st) {
        fi_fail_prefix(err, "series '%s'", m->id);
        return st;
    }
    *kind = m->kind;
    for (size_t i = 0; i < n && *kind == FTL_TIME_DATE; i++)
        if (out[i] % FTL_DAY) *kind = FTL_TIME_DATETIME;
    return FTL_OK;
}

static ftl_status make_future(const ftl_model *m, const ftl_predict_args *a, ftl_series **out, ftl_error *err)
{
    *out = NULL;
    ftl_time_kind kind;
    const char *names[2];
    const double *columns[2];
    size_t n_columns = 0, n = a->horizon;
    ftl_time *times = fi_alloc(n, sizeof *times);
    double *limits = fi_alloc(2 * n, sizeof *limits); /* [2][n] */
    ftl_status st = times && limits ? times_after(m, a->freq, n, times, &kind, err) : fi_fail_memory(err);
    for (size_t i = 0; i < 2 && !st; i++) {
        if (isnan(m->limits[i])) continue;
        for (size_t h = 0; h < n; h++) limits[i * n + h] = m->limits[i];
        names[n_columns] = limit_names[i];
        columns[n_columns++] = limits + i * n;
    }
    if (!st) st = ftl_series_new_full(m->id, kind, times, NULL, n, names, columns, n_columns, out, err);
    fi_free(times);
    fi_free(limits);
    return st;
}

/* A given future must be of the history's kind and, for models on a grid, continue it. */
static ftl_status check_future(const ftl_model *m, const ftl_predict_args *a, ftl_error *err)
{
    const ftl_series *s = a->future;
    const ftl_time *ds = fi_series_ds(s);
    ftl_time_kind kind;
    if ((s->table->kind == FTL_TIME_INDEX) != (m->kind == FTL_TIME_INDEX))
        return fi_fail(err, FTL_EDATA, "series '%s': its history is timed by %s, but the rows to predict by %s", m->id,
                       m->kind == FTL_TIME_INDEX ? "whole numbers" : "dates",
                       s->table->kind == FTL_TIME_INDEX ? "whole numbers" : "dates");
    if (takes(m->forecaster, FTL_TAKES_IRREGULAR_TIMES)) return FTL_OK;
    ftl_time *want = fi_alloc(s->n_obs, sizeof *want);
    if (!want) return fi_fail_memory(err);
    ftl_status st = times_after(m, a->freq, s->n_obs, want, &kind, err);
    for (size_t i = 0; i < s->n_obs && !st; i++)
        if (ds[i] != want[i]) {
            char found[FTL_TIME_TEXT_MAX], expected[FTL_TIME_TEXT_MAX];
            ftl_time_format(ds[i], s->table->kind, found);
            ftl_time_format(want[i], kind, expected);
            st = fi_fail(err, FTL_EDATA,
                         "series '%s': row %zu to predict is %s, but %s predicts the steps after its history "
                         "in order, and there %s is due",
                         m->id, i + 1, found, m->forecaster->name, expected);
        }
    fi_free(want);
    return st;
}

/* True if all is finite; NaN passes in the first `may_be_nan` values (history a model cannot fit). */
static bool all_finite(const double *values, size_t n, size_t may_be_nan)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]) && !(i < may_be_nan && isnan(values[i]))) return false;
    return true;
}

/* Rounding may let neighbouring quantiles cross by an ulp: insertion sort mends that and costs nothing otherwise. */
static void uncross(double *q, size_t n_rows, size_t n_levels)
{
    for (size_t r = 0; r < n_rows; r++, q += n_levels)
        for (size_t k = 1; k < n_levels; k++) {
            double v = q[k];
            size_t i = k;
            for (; i > 0 && q[i - 1] > v; i--) q[i] = q[i - 1];
            q[i] = v;
        }
}

static ftl_status check_result(const ftl_model *m, ftl_forecast *fc, ftl_error *err)
{
    size_t past = fc->n_history, levels = fc->n_levels, samples = fc->n_samples;
    bool fine = all_finite(fc->point, fc->n_rows, past) && all_finite(fc->q, fc->n_rows * levels, past * levels) &&
                (!fc->samples || all_finite(fc->samples, fc->n_rows * samples, past * samples));
    for (size_t i = 0; i < fc->n_components; i++) {
        fi_component *c = &fc->components[i];
        fine = fine && all_finite(c->value, fc->n_rows, past);
        fine = fine && (!c->q || all_finite(c->q, fc->n_rows * levels, past * levels));
    }
    if (!fine)
        return fi_fail(err, FTL_ENUMERIC,
                       "series '%s': the forecast of %s left the range of numbers; scale the values "
                       "(they may be too large), or look at the series for mistakes",
                       m->id, m->forecaster->name);
    uncross(fc->q, fc->n_rows, levels);
    for (size_t i = 0; i < fc->n_components; i++)
        if (fc->components[i].q) uncross(fc->components[i].q, fc->n_rows, levels);
    return FTL_OK;
}

/* What the forecaster may leave to the driver: whose forecast it is, and how its times are written. */
static ftl_status label(const ftl_model *m, ftl_forecast *fc, ftl_error *err)
{
    fc->model = m->forecaster->name;
    if (m->forecaster->point_kind) fc->point_kind = m->forecaster->point_kind;
    for (size_t i = 0; i < fc->n_rows && fc->kind == FTL_TIME_DATE; i++)
        if (fc->ds[i] % FTL_DAY) fc->kind = FTL_TIME_DATETIME;
    if (!strcmp(fc->id, m->id)) return FTL_OK;
    char *id = fi_strdup(m->id);
    if (!id) return fi_fail_memory(err);
    fi_free(fc->id);
    fc->id = id;
    return FTL_OK;
}

/* What the forecaster is asked: arguments settled, and the future rows made for them (NULL where they were given). */
typedef struct request {
    ftl_predict_args args;
    ftl_series *future;
} request;

static ftl_status prepare(const ftl_model *m, const ftl_predict_args *args, request *r, ftl_error *err)
{
    static const double usual[] = {0.025, 0.1, 0.5, 0.9, 0.975};
    *r = (request){.args = *args};
    if (!r->args.levels) {
        r->args.levels = usual;
        r->args.n_levels = sizeof usual / sizeof *usual;
    }
    ftl_status st = check_args(m, &r->args, err);
    if (!st) st = r->args.future ? check_future(m, &r->args, err) : make_future(m, &r->args, &r->future, err);
    if (st) return st;
    if (r->future) r->args.future = r->future;
    r->args.horizon = ftl_series_n_obs(r->args.future);
    r->args.seed = fi_series_seed(r->args.seed, m->id);
    return FTL_OK;
}

/* Labels and checks a forecast, which is freed on failure. */
static ftl_status finish(const ftl_model *m, ftl_forecast *fc, ftl_forecast **out, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t i = 0; i <= fc->n_more && !st; i++) {
        ftl_forecast *one = i ? fc->more[i - 1] : fc;
        st = label(m, one, err);
        if (!st) st = check_result(m, one, err);
    }
    if (st)
        ftl_forecast_free(fc);
    else
        *out = fc;
    return st;
}

ftl_status ftl_model_predict(const ftl_model *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err)
{
    request r;
    ftl_forecast *fc = NULL;
    *out = NULL;
    ftl_status st = prepare(model, args, &r, err);
    if (!st) st = model->forecaster->predict(model->state, &r.args, &fc, err);
    if (!st) st = finish(model, fc, out, err);
    ftl_series_free(r.future);
    return st;
}

ftl_status fi_models_predict(ftl_model *const *models, const ftl_predict_args *args, size_t n, ftl_progress_fn progress,
                             void *progress_user, ftl_forecast **out, ftl_error *errors)
{
    size_t ready = 0;
    request *requests = fi_calloc(n, sizeof *requests);
    const void **states = fi_alloc(n, sizeof *states);
    ftl_predict_args *asked = fi_alloc(n, sizeof *asked);
    size_t *place = fi_alloc(n, sizeof *place); /* of the ready ones in the arrays of the caller */
    ftl_forecast **made = fi_calloc(n, sizeof *made);
    ftl_error *failed = fi_calloc(n, sizeof *failed);
    ftl_status st = requests && states && asked && place && made && failed ? FTL_OK : FTL_ENOMEM;
    for (size_t i = 0; i < n && !st; i++) {
        if (errors[i].code || prepare(models[i], &args[i], &requests[i], &errors[i])) continue;
        states[ready] = models[i]->state;
        asked[ready] = requests[i].args;
        place[ready++] = i;
    }
    if (!st && ready)
        st = models[place[0]]->forecaster->predict_batch(states, asked, ready, progress, progress_user, made, failed);
    for (size_t k = 0; k < ready && !st; k++) {
        size_t i = place[k];
        if (failed[k].code)
            errors[i] = failed[k];
        else
            finish(models[i], made[k], &out[i], &errors[i]);
    }
    for (size_t i = 0; requests && i < n; i++) ftl_series_free(requests[i].future);
    fi_free(requests);
    fi_free(states);
    fi_free(asked);
    fi_free(place);
    fi_free(made);
    fi_free(failed);
    return st;
}

ftl_status ftl_models_predict(ftl_model *const *models, const ftl_predict_args *args, size_t n, ftl_forecast **out,
                              ftl_error *errors, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < n; i++) out[i] = NULL;
    for (size_t i = 0, end; i < n && !st; i = end) {
        const ftl_forecaster *f = errors[i].code ? NULL : models[i]->forecaster;
        for (end = i + 1; f && f->predict_batch && end < n && !errors[end].code && models[end]->forecaster == f;) end++;
        if (f && f->predict_batch)
            st = fi_models_predict(models + i, args + i, end - i, NULL, NULL, out + i, errors + i);
        else if (f)
            ftl_model_predict(models[i], &args[i], &out[i], &errors[i]);
    }
    for (size_t i = 0; st && i < n; i++) {
        ftl_forecast_free(out[i]);
        out[i] = NULL;
    }
    return st ? fi_fail_memory(err) : FTL_OK;
}

/* ---- save, load, explain ---------------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"index", "date", "datetime"};

static json_t *freq_json(const ftl_model *m)
{
    char name[32];
    if (!m->has_freq) return json_null();
    ftl_freq_format(&m->freq, name);
    return json_string(name);
}

static ftl_status wrap(const ftl_model *m, json_t *object, ftl_error *err)
{
    json_t *own = json_object();
    int bad = json_object_set_new(own, "model", json_string(m->forecaster->name));
    bad |= json_object_set_new(own, "version", json_string(ftl_version()));
    bad |= json_object_set_new(own, "format", json_integer(MODEL_FORMAT));
    bad |= json_object_set_new(own, "unique_id", fi_json_name(m->id));
    bad |= json_object_set_new(own, "options", m->options ? fi_json_name(m->options) : json_null());
    bad |= json_object_set_new(own, "seed", json_integer((json_int_t)m->seed));
    bad |= json_object_set_new(own, "time", json_string(kind_names[m->kind]));
    bad |= json_object_set_new(own, "last", json_integer(m->last));
    bad |= json_object_set_new(own, "freq", freq_json(m));
    for (size_t i = 0; i < 2; i++)
        if (!isnan(m->limits[i])) bad |= json_object_set_new(own, limit_names[i], json_real(m->limits[i]));
    bad |= json_object_set_new(object, "foretell", own);
    return bad ? fi_fail_memory(err) : FTL_OK;
}

static ftl_status write_json(const json_t *object, char **out, ftl_error *err)
{
    fi_buf text = {0};
    fi_json_write(object, &text);
    if (text.failed) {
        fi_buf_release(&text);
        return fi_fail_memory(err);
    }
    *out = text.data;
    return FTL_OK;
}

ftl_status ftl_model_save_text(const ftl_model *model, char **out, ftl_error *err)
{
    *out = NULL;
    json_t *object = NULL;
    ftl_status st = model->forecaster->save(model->state, &object, err);
    if (!st) st = wrap(model, object, err);
    if (!st) st = write_json(object, out, err);
    json_decref(object);
    return st;
}

/* Which forecaster a document belongs to: by our own key, or by the marks of Python prophet's files. */
static ftl_status route(const json_t *object, const ftl_forecaster **out, const json_t **own, ftl_error *err)
{
    const char *name;
    *own = json_object_get(object, "foretell");
    if (*own) {
        int64_t format;
        ftl_status st = fi_json_get_text(*own, "model", &name, err);
        if (!st) st = fi_json_get_int(*own, "format", &format, err);
        if (st) return st;
        if (format > MODEL_FORMAT)
            return fi_fail(err, FTL_EDATA,
                           "the model was saved in format %lld by a newer foretell; this one (%s) reads format "
                           "%d",
                           (long long)format, ftl_version(), MODEL_FORMAT);
    } else if (json_object_get(object, "growth") && json_object_get(object, "params")) {
        name = "prophet";
    } else {
        return fi_fail(err, FTL_EDATA,
                       "this is not a saved model: it has neither the key 'foretell' nor those of Prophet's "
                       "own files ('growth', 'params')");
    }
    *out = ftl_forecaster_find(name);
    return *out ? FTL_OK
                : fi_fail(err, FTL_EDATA, "the model is of the kind '%s', which this foretell does not have", name);
}

static ftl_status read_own(const json_t *own, ftl_model *m, ftl_error *err)
{
    const char *text;
    int64_t seed;
    ftl_status st = fi_json_get_text(own, "unique_id", &text, err);
    if (st) return st;
    m->id = fi_strdup(text);
    if (!m->id) return fi_fail_memory(err);
    if ((st = fi_json_get_int(own, "seed", &seed, err)) || (st = fi_json_get_int(own, "last", &m->last, err)) ||
        (st = fi_json_get_text(own, "time", &text, err)))
        return st;
    m->seed = (uint64_t)seed;
    size_t kind = 0;
    while (kind < 3 && strcmp(kind_names[kind], text) != 0) kind++;
    if (kind == 3) return fi_fail(err, FTL_EDATA, "key 'time' is '%s', but must be index, date or datetime", text);
    m->kind = (ftl_time_kind)kind;
    for (size_t i = 0; i < 2; i++)
        if (json_object_get(own, limit_names[i]) && (st = fi_json_get_real(own, limit_names[i], &m->limits[i], err)))
            return st;
    if (json_is_string(json_object_get(own, "options"))) {
        m->options = fi_strdup(json_string_value(json_object_get(own, "options")));
        if (!m->options) return fi_fail_memory(err);
    }
    const json_t *freq = json_object_get(own, "freq");
    if (!json_is_string(freq)) return FTL_OK;
    m->has_freq = true;
    st = ftl_freq_parse(json_string_value(freq), &m->freq, err);
    if (!st && (m->freq.unit == FTL_FREQ_INDEX) != (m->kind == FTL_TIME_INDEX))
        st = fi_fail(err, FTL_EDATA, "key 'freq' does not go with key 'time'");
    return st;
}

/* A file that Python wrote knows no id and no frequency: the last time and the step are those of its history. */
static ftl_status read_foreign(ftl_model *m, ftl_error *err)
{
    size_t n = 0;
    m->id = fi_strdup("");
    if (!m->id) return fi_fail_memory(err);
    const ftl_time *times = m->forecaster->times ? m->forecaster->times(m->state, &n, &m->kind) : NULL;
    if (!n) return fi_fail(err, FTL_EDATA, "the model has no history, so it is not known when it ends");
    m->last = times[n - 1];
    m->has_freq = !ftl_freq_infer(times, n, m->kind, &m->freq, NULL) && fi_freq_fits(&m->freq, times, n);
    return FTL_OK;
}

static ftl_status load_object(const json_t *object, const ftl_model *like, ftl_model **out, ftl_error *err)
{
    const json_t *own;
    ftl_model *m = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    m->fit_seconds = m->limits[0] = m->limits[1] = NAN;
    ftl_status st = route(object, &m->forecaster, &own, err);
    if (!st && m->forecaster->load_like)
        st = m->forecaster->load_like(object, like && like->forecaster == m->forecaster ? like->state : NULL, &m->state,
                                      err);
    else if (!st)
        st = m->forecaster->load(object, &m->state, err);
    if (!st) st = own ? read_own(own, m, err) : read_foreign(m, err);
    if (!st) {
        *out = m;
        m = NULL;
    }
    ftl_model_free(m);
    return st;
}

ftl_status ftl_model_load_text(const char *text, size_t size, const char *name, ftl_model **out, ftl_error *err)
{
    return ftl_model_load_like(NULL, text, size, name, out, err);
}

ftl_status ftl_model_load_like(const ftl_model *like, const char *text, size_t size, const char *name, ftl_model **out,
                               ftl_error *err)
{
    *out = NULL;
    json_t *value = NULL;
    if (!size) return fi_fail(err, FTL_EDATA, "%s: it is empty; a saved model is expected", name);
    size_t blank = 0;
    while (blank < size && strchr(" \t\r\n", text[blank])) blank++;
    if (blank < size && ((text[blank] | 0x20) >= 'a' && (text[blank] | 0x20) <= 'z') && memchr(text, ',', size))
        return fi_fail(err, FTL_EDATA,
                       "%s: this is not a saved model but a table, it seems; 'foretell forecast' reads those", name);
    ftl_status st = fi_json_parse(text, size, name, &value, err);
    if (st) return st;
    if (json_is_string(value)) { /* json.dump(model_to_json(m), f) writes JSON within a JSON string */
        json_t *inner = NULL;
        st = fi_json_parse(json_string_value(value), json_string_length(value), name, &inner, err);
        json_decref(value);
        if (st) return st;
        value = inner;
    }
    if (!json_is_object(value)) {
        st = fi_fail(err, FTL_EDATA, "%s: this is not a saved model: a JSON object is expected", name);
    } else {
        ftl_error detail = {FTL_OK, ""};
        st = load_object(value, like, out, &detail);
        if (st) st = fi_fail(err, st, "%s: %s", name, detail.message);
    }
    json_decref(value);
    return st;
}

ftl_status ftl_model_explain(const ftl_model *model, char **out, ftl_error *err)
{
    *out = NULL;
    json_t *object = json_object(), *own = NULL;
    ftl_status st = object ? model->forecaster->explain(model->state, &own, err) : fi_fail_memory(err);
    if (st) goto done;
    int bad = json_object_set_new(object, "model", json_string(model->forecaster->name));
    bad |= json_object_set_new(object, "version", json_string(ftl_version()));
    bad |= json_object_set_new(object, "unique_id", fi_json_name(model->id));
    bad |= json_object_set_new(object, "options", model->options ? fi_json_name(model->options) : json_null());
    bad |= json_object_set_new(object, "seed", json_integer((json_int_t)model->seed));
    bad |= json_object_set_new(object, "freq", freq_json(model));
    bad |= json_object_update(object, own);
    if (!json_is_array(json_object_get(object, "warnings")))
        bad |= json_object_set_new(object, "warnings", json_array());
    bad |= json_object_set_new(object, "fit_seconds", fi_json_real(model->fit_seconds));
    st = bad ? fi_fail_memory(err) : write_json(object, out, err);
done:
    json_decref(own);
    json_decref(object);
    return st;
}

const char *ftl_model_warning(const ftl_model *model, size_t i)
{
    return model->forecaster->warning ? model->forecaster->warning(model->state, i) : NULL;
}

size_t ftl_model_n_warnings(const ftl_model *model)
{
    size_t n = 0;
    while (ftl_model_warning(model, n)) n++;
    return n;
}

const char *ftl_model_remark(const ftl_model *model)
{
    return model->forecaster->remark ? model->forecaster->remark(model->state) : NULL;
}

/* ---- what pictures ask for -------------------------------------------------------------------------------------- */

size_t ftl_model_reach(const ftl_model *model)
{
    return model->forecaster->reach ? model->forecaster->reach(model->state) : 0;
}

size_t ftl_model_n_profiles(const ftl_model *model)
{
    return model->forecaster->n_profiles ? model->forecaster->n_profiles(model->state) : 0;
}

ftl_status ftl_model_profile(const ftl_model *model, size_t i, ftl_profile **out, ftl_error *err)
{
    *out = NULL;
    size_t n = ftl_model_n_profiles(model);
    if (i >= n) return fi_fail(err, FTL_EINVAL, "profile %zu was asked for, but the model has %zu", i, n);
    return model->forecaster->profile(model->state, i, out, err);
}

void ftl_profile_free(ftl_profile *profile)
{
    if (!profile) return;
    fi_free(profile->times);
    fi_free(profile->values);
    fi_free(profile);
}

const ftl_time *ftl_model_changepoints(const ftl_model *model, size_t *n)
{
    *n = 0;
    return model->forecaster->changepoints ? model->forecaster->changepoints(model->state, n) : NULL;
}
