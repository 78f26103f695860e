/*
 * Seasonal naive: the last season repeated. With m the season, e the innovations and j(h) the number of whole seasons
 * between the forecast and the last value observed at the same place of the season,
 *
 *     y[T+h] = y[T+h - m j(h)] + e + e + ... (j(h) of them),   e ~ N(0, sigma^2)
 *
 * so sigma_h = sigma sqrt(j(h)); without gaps j(h) = floor((h - 1) / m) + 1. sigma is the uncentred root mean square of
 * y[t] - y[t-m], as in R's forecast 9.0. Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice,
 * 3rd ed., sections 5.2 and 5.5.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"
#include "math/distributions.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct naive_config {
    int64_t season;
} naive_config;

static const fi_option naive_options[] = {
    FI_OPTION_COUNT(
        naive_config, season, "0", 0, 1e9,
        "steps of a season; 0 takes the frequency's usual one (7 for days, 12 for months), or 1 if the series "
        "is too short for it"),
};

typedef struct naive_model {
    ftl_time_kind kind;
    size_t n, season;
    double sigma;
    ftl_time *ds; /* [n] regular */
    double *y;    /* [n] NaN = missing */
    double *last; /* [season] latest value observed at each place; place 0 is that of the step after the history */
    size_t *age;  /* [season] its distance j(h) in seasons from the first forecast at that place, >= 1 */
} naive_model;

static void naive_free(void *model)
{
    naive_model *m = model;
    if (!m) return;
    fi_free(m->ds);
    fi_free(m->y);
    fi_free(m->last);
    fi_free(m->age);
    fi_free(m);
}

/* Root mean square of y[t] - y[t - season]; NaN without any pair. Halved and scaled, so that only the result overflows. */
static double naive_sigma(const double *y, size_t n, size_t season)
{
    double scale = 0, sum = 0;
    size_t pairs = 0;
    for (size_t t = season; t < n; t++) scale = fmax(scale, fabs(y[t] / 2 - y[t - season] / 2)); /* passes over NaN */
    for (size_t t = season; t < n; t++) {
        double d = y[t] / 2 - y[t - season] / 2;
        if (isnan(d)) continue;
        pairs++;
        if (scale > 0) sum += d / scale * (d / scale);
    }
    return pairs ? 2 * (scale * sqrt(sum / (double)pairs)) : NAN;
}

/* Finds the latest observation at each place of the season; false if some place has none. */
static bool find_last(naive_model *m)
{
    for (size_t p = 0; p < m->season; p++) {
        size_t back = m->season - p, seasons = 1; /* place p lies `back` rows before the end */
        while (back <= m->n && isnan(m->y[m->n - back])) back += m->season, seasons++;
        if (back > m->n) return false;
        m->last[p] = m->y[m->n - back];
        m->age[p] = seasons;
    }
    return true;
}

/* An empty model for n observations and a season. */
static ftl_status naive_new(size_t n, size_t season, naive_model **out, ftl_error *err)
{
    naive_model *m = fi_calloc(1, sizeof *m);
    *out = m;
    if (!m) return fi_fail_memory(err);
    m->n = n;
    m->season = season;
    m->ds = fi_alloc(n, sizeof *m->ds);
    m->y = fi_alloc(n, sizeof *m->y);
    m->last = fi_alloc(season, sizeof *m->last);
    m->age = fi_alloc(season, sizeof *m->age);
    return m->ds && m->y && m->last && m->age ? FTL_OK : fi_fail_memory(err);
}

static size_t choose_season(const naive_config *c, const ftl_series *s, const ftl_fit_args *args)
{
    if (c->season) return (size_t)c->season;
    size_t usual = args->freq ? ftl_freq_season(args->freq) : 1;
    return usual > 1 && usual < s->n_obs && !isnan(naive_sigma(fi_series_y(s), s->n_obs, usual)) ? usual : 1;
}

static ftl_status naive_fit(const void *config, const ftl_series *s, const ftl_fit_args *args, void **out,
                            ftl_error *err)
{
    *out = NULL;
    size_t season = choose_season(config, s, args), n = s->n_obs;
    if (season >= n)
        return fi_fail(err, FTL_EDATA, "series '%s': it has %zu observation%s, but a season of %zu needs more than %zu",
                       s->id, n, n == 1 ? "" : "s", season, season);
    naive_model *m;
    ftl_status st = naive_new(n, season, &m, err);
    if (st) goto done;
    m->kind = s->table->kind;
    memcpy(m->ds, fi_series_ds(s), n * sizeof *m->ds);
    memcpy(m->y, fi_series_y(s), n * sizeof *m->y);
    m->sigma = naive_sigma(m->y, n, season);
    if (isinf(m->sigma))
        st = fi_fail(err, FTL_ENUMERIC,
                     "series '%s': its values are too far apart for the range of numbers; scale them", s->id);
    else if (isnan(m->sigma))
        st = fi_fail(err, FTL_EDATA, "series '%s': no two observations lie %zu step%s apart; choose another season",
                     s->id, season, season == 1 ? "" : "s");
    else if (!find_last(m))
        st = fi_fail(err, FTL_EDATA,
                     "series '%s': some place of its season of %zu steps was never observed; choose another "
                     "season",
                     s->id, season);
    if (st) goto done;
    *out = m;
    m = NULL;
done:
    naive_free(m);
    return st;
}

/* One path of row r = n_history .. : each step adds an innovation to the value a season before. */
static void draw_path(const naive_model *m, size_t n_rows, size_t n_history, uint64_t seed, uint64_t sample,
                      size_t stride, double *path)
{
    fi_rng rng;
    fi_rng_init(&rng, seed, 0, sample);
    for (size_t r = 0; r < n_rows; r++) {
        double from, steps = 1;
        if (r < n_history) {
            from = r < m->season ? NAN : m->y[r - m->season];
        } else if (r - n_history < m->season) {
            from = m->last[r - n_history];
            steps = (double)m->age[r - n_history];
        } else {
            from = path[(r - m->season) * stride];
        }
        path[r * stride] = from + m->sigma * sqrt(steps) * fi_rng_normal(&rng);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Quantiles of n values by linear interpolation between order statistics (numpy's default). Sorts the values. */
static void sample_quantiles(double *values, size_t n, const double *levels, size_t n_levels, double *q)
{
    qsort(values, n, sizeof *values, by_value);
    for (size_t k = 0; k < n_levels; k++) {
        double at = levels[k] * (double)(n - 1);
        size_t i = (size_t)at, next = i + 1 < n ? i + 1 : i;
        q[k] = values[i] + (at - (double)i) * (values[next] - values[i]);
    }
}

static ftl_status add_samples(const naive_model *m, const ftl_predict_args *a, ftl_forecast *fc, ftl_error *err)
{
    size_t n = a->n_samples;
    if (!n) return FTL_OK;
    double *row = fi_alloc(n, sizeof *row);
    fc->samples = fc->n_rows > (size_t)-1 / n ? NULL : fi_alloc(fc->n_rows * n, sizeof *fc->samples);
    fc->n_samples = n;
    if (row && fc->samples) {
        for (size_t s = 0; s < n; s++) draw_path(m, fc->n_rows, fc->n_history, a->seed, s, n, fc->samples + s);
        for (size_t r = 0; r < fc->n_rows && a->sampled_quantiles; r++) {
            if (isnan(fc->point[r])) continue;
            memcpy(row, fc->samples + r * n, n * sizeof *row);
            sample_quantiles(row, n, fc->levels, fc->n_levels, fc->q + r * fc->n_levels);
        }
    }
    ftl_status st = row && fc->samples ? FTL_OK : fi_fail_memory(err);
    fi_free(row);
    return st;
}

static ftl_status naive_predict(const void *model, const ftl_predict_args *a, ftl_forecast **out, ftl_error *err)
{
    const naive_model *m = model;
    ftl_forecast *fc = NULL;
    size_t past = a->history ? m->n : 0, ahead = ftl_series_n_obs(a->future);
    double *z = fi_alloc(a->n_levels, sizeof *z);
    *out = NULL;
    ftl_status st = z ? fi_forecast_new("", "seasonal-naive", m->kind, past + ahead, a->levels, a->n_levels, &fc, err)
                      : fi_fail_memory(err);
    if (st) goto done;
    fc->n_history = past;
    for (size_t k = 0; k < a->n_levels; k++) z[k] = fi_normal_quantile(a->levels[k]);
    if (past) memcpy(fc->ds, m->ds, past * sizeof *fc->ds);
    memcpy(fc->ds + past, ftl_series_times(a->future), ahead * sizeof *fc->ds);
    for (size_t r = 0; r < fc->n_rows; r++) {
        size_t h = r - past, place = h % m->season; /* meaningful for the future only */
        double sigma = m->sigma;
        if (r < past) {
            fc->point[r] = r < m->season ? NAN : m->y[r - m->season];
        } else {
            fc->point[r] = m->last[place];
            sigma *= sqrt((double)(h / m->season + m->age[place]));
        }
        for (size_t k = 0; k < a->n_levels; k++) fc->q[r * a->n_levels + k] = fc->point[r] + sigma * z[k];
    }
    st = add_samples(m, a, fc, err);
    if (st) goto done;
    *out = fc;
    fc = NULL;
done:
    ftl_forecast_free(fc);
    fi_free(z);
    return st;
}

static ftl_status naive_save(const void *model, json_t **out, ftl_error *err)
{
    const naive_model *m = model;
    json_t *object = json_object(), *ds = json_array();
    int bad = 0;
    for (size_t i = 0; i < m->n; i++) bad |= json_array_append_new(ds, json_integer(m->ds[i]));
    bad |= json_object_set_new(object, "season", json_integer((json_int_t)m->season));
    bad |= json_object_set_new(object, "sigma", fi_json_real(m->sigma));
    bad |= json_object_set_new(object, "kind", json_integer(m->kind));
    bad |= json_object_set_new(object, "ds", ds);
    bad |= json_object_set_new(object, "y", fi_json_reals(m->y, m->n));
    *out = object;
    if (!bad) return FTL_OK;
    json_decref(object);
    *out = NULL;
    return fi_fail_memory(err);
}

static ftl_status naive_load(const json_t *object, void **out, ftl_error *err)
{
    *out = NULL;
    int64_t season = 0, kind = 0;
    double sigma = 0, *y = NULL;
    size_t n = 0;
    naive_model *m = NULL;
    const json_t *ds = json_object_get(object, "ds");
    ftl_status st = fi_json_get_int(object, "season", &season, err);
    if (!st) st = fi_json_get_int(object, "kind", &kind, err);
    if (!st) st = fi_json_get_real(object, "sigma", &sigma, err);
    if (!st) st = fi_json_get_reals(object, "y", &y, &n, err);
    if (!st &&
        (season < 1 || (uint64_t)season >= n || !(sigma >= 0) || kind < 0 || kind > 2 || json_array_size(ds) != n))
        st = fi_fail(err, FTL_EDATA, "keys 'season', 'sigma', 'kind', 'ds' and 'y' do not go together");
    if (!st) st = naive_new(n, (size_t)season, &m, err);
    if (st) goto done;
    m->kind = (ftl_time_kind)kind;
    m->sigma = sigma;
    memcpy(m->y, y, n * sizeof *y);
    for (size_t i = 0; i < n; i++) m->ds[i] = json_integer_value(json_array_get(ds, i));
    if (!find_last(m)) st = fi_fail(err, FTL_EDATA, "key 'y' leaves a place of the season without any observation");
    if (st) goto done;
    *out = m;
    m = NULL;
done:
    naive_free(m);
    fi_free(y);
    return st;
}

static ftl_status naive_explain(const void *model, json_t **out, ftl_error *err)
{
    const naive_model *m = model;
    size_t observed = 0;
    for (size_t i = 0; i < m->n; i++) observed += isnan(m->y[i]) ? 0 : 1;
    json_t *object = json_object();
    int bad = json_object_set_new(object, "season", json_integer((json_int_t)m->season));
    bad |= json_object_set_new(object, "sigma", fi_json_real(m->sigma));
    bad |= json_object_set_new(object, "n_obs", json_integer((json_int_t)observed));
    bad |= json_object_set_new(object, "n_missing", json_integer((json_int_t)(m->n - observed)));
    *out = object;
    if (!bad) return FTL_OK;
    json_decref(object);
    *out = NULL;
    return fi_fail_memory(err);
}

static const ftl_time *naive_times(const void *model, size_t *n, ftl_time_kind *kind)
{
    const naive_model *m = model;
    *n = m->n;
    *kind = m->kind;
    return m->ds;
}

const ftl_forecaster naive_forecaster = {
    .name = "seasonal-naive",
    .summary = "the last season repeated; the yardstick every other model has to beat",
    .source = "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. (2021), sections 5.2, 5.5",
    .point_kind = "mean",
    .capabilities = FTL_TAKES_MISSING | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY,
    .options = naive_options,
    .n_options = sizeof naive_options / sizeof *naive_options,
    .config_size = sizeof(naive_config),
    .fit = naive_fit,
    .predict = naive_predict,
    .save = naive_save,
    .load = naive_load,
    .explain = naive_explain,
    .free = naive_free,
    .times = naive_times,
};
