/* What makes a forecaster of a method: src/stats/local.h says what each side owes the other. */
#include "stats/local.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    PATHS = 5000,       /* behind quantiles without a closed form, as in R's forecast and statsforecast */
    STREAM_FUTURE = 0,  /* of random numbers: draw i of the future is (seed, STREAM_FUTURE, i) */
    STREAM_HISTORY = 1, /* apart, so that asking for the history does not change the future */
};

struct fi_local {
    const fi_local_method *method;
    fi_history past; /* borrows what follows */
    ftl_time_kind kind;
    ftl_time *ds;  /* [n] */
    double *y, *x; /* [n], [n, n_x] */
    char **names;  /* [n_x] of the regressors */
    char *id;
    char note[160]; /* a warning of the layer's own, or "" */
    void *state;
};

/* ---- small tools ------------------------------------------------------------------------------------------------ */

ftl_status fi_history_go_on(const fi_history *past, ftl_error *err)
{
    if (!past->go_on || past->go_on(past->go_on_user)) return FTL_OK;
    return fi_fail(err, FTL_ECANCELLED, "series '%s': cancelled", past->id);
}

double fi_rms(const double *values, size_t n)
{
    double scale = 0, sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs(values[i])); /* passes over NaN */
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i])) continue;
        count++;
        if (scale > 0) sum += values[i] / scale * (values[i] / scale);
    }
    return count ? scale * sqrt(sum / (double)count) : NAN;
}

/* Brings the k-th smallest of values[first..last] to its place, none larger before it. Hoare's quickselect. */
static double select_value(double *values, size_t first, size_t last, size_t k)
{
    ptrdiff_t left = (ptrdiff_t)first, right = (ptrdiff_t)last, at = (ptrdiff_t)k;
    while (left < right) {
        double pivot = values[at];
        ptrdiff_t i = left, j = right;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i > j) break;
            double t = values[i];
            values[i++] = values[j];
            values[j--] = t;
        }
        if (j < at) left = i;
        if (at < i) right = j;
    }
    return values[at];
}

void fi_sample_quantiles(double *values, size_t n, const double *levels, size_t n_levels, double *q)
{
    size_t from = 0; /* values before it are no larger than those from it on */
    for (size_t k = 0; k < n_levels; k++) {
        double at = levels[k] * (double)(n - 1);
        size_t i = (size_t)at;
        double low = select_value(values, from, n - 1, i), next = low;
        if (i + 1 < n) next = select_value(values, i, n - 1, i + 1);
        q[k] = low + (at - (double)i) * (next - low);
        from = i;
    }
}

/* ---- states ----------------------------------------------------------------------------------------------------- */

static void *at(const void *state, size_t offset)
{
    return (char *)state + offset; /* fields are written only by those who own the state */
}

void fi_local_release_state(const fi_local_method *method, void *state)
{
    for (size_t i = 0; state && i < method->n_fields; i++)
        if (method->fields[i].type == FI_FIELD_REALS) fi_free(*(double **)at(state, method->fields[i].offset));
}

static json_t *field_json(const fi_state_field *f, const void *state)
{
    const void *value = at(state, f->offset);
    switch (f->type) {
    case FI_FIELD_REAL: return fi_json_real(*(const double *)value);
    case FI_FIELD_COUNT: return json_integer((json_int_t) * (const size_t *)value);
    case FI_FIELD_FLAG: return json_boolean(*(const bool *)value);
    case FI_FIELD_TEXT: return json_string(value);
    case FI_FIELD_REALS: break;
    }
    return fi_json_reals(*(double *const *)value, *(const size_t *)at(state, f->count));
}

/* The fields of a state, all or those to show, added to an object. */
static ftl_status add_fields(const fi_local_method *method, const void *state, bool all, json_t *object, ftl_error *err)
{
    int bad = 0;
    for (size_t i = 0; i < method->n_fields; i++)
        if (all || !method->fields[i].hidden)
            bad |= json_object_set_new(object, method->fields[i].name, field_json(&method->fields[i], state));
    return bad ? fi_fail_memory(err) : FTL_OK;
}

ftl_status fi_local_save_state(const fi_local_method *method, const void *state, json_t **out, ftl_error *err)
{
    json_t *object = json_object();
    ftl_status st = object ? add_fields(method, state, true, object, err) : fi_fail_memory(err);
    if (st) json_decref(object);
    *out = st ? NULL : object;
    return st;
}

/* An array, whose length must be that of the arrays before it that share its count. */
static ftl_status load_reals(const fi_local_method *method, const fi_state_field *f, const json_t *object, void *state,
                             ftl_error *err)
{
    size_t n = 0, *count = at(state, f->count);
    ftl_status st = fi_json_get_reals(object, f->name, at(state, f->offset), &n, err);
    if (st) return st;
    for (const fi_state_field *g = method->fields; g < f; g++)
        if (g->type == FI_FIELD_REALS && g->count == f->count && n != *count)
            return fi_fail(err, FTL_EDATA, "keys '%s' and '%s' must be arrays of one length", g->name, f->name);
    *count = n;
    return FTL_OK;
}

static ftl_status load_field(const fi_local_method *method, const fi_state_field *f, const json_t *object, void *state,
                             ftl_error *err)
{
    void *value = at(state, f->offset);
    const char *text;
    int64_t whole;
    ftl_status st;
    switch (f->type) {
    case FI_FIELD_REAL: return fi_json_get_real(object, f->name, value, err);
    case FI_FIELD_FLAG: return fi_json_get_bool(object, f->name, value, err);
    case FI_FIELD_REALS: return load_reals(method, f, object, state, err);
    case FI_FIELD_COUNT:
        st = fi_json_get_int(object, f->name, &whole, err);
        if (!st && whole < 0) st = fi_fail(err, FTL_EDATA, "key '%s' must not be negative", f->name);
        if (!st) *(size_t *)value = (size_t)whole;
        return st;
    case FI_FIELD_TEXT:
        st = fi_json_get_text(object, f->name, &text, err);
        if (!st && strlen(text) >= f->count)
            st = fi_fail(err, FTL_EDATA, "key '%s' must be shorter than %zu bytes", f->name, f->count);
        if (!st) strcpy(value, text);
        return st;
    }
    return FTL_OK;
}

ftl_status fi_local_load_state(const fi_local_method *method, const json_t *object, const fi_history *past, void *state,
                               ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < method->n_fields && !st; i++)
        st = load_field(method, &method->fields[i], object, state, err);
    return st ? st : method->check(state, past, err);
}

/* ---- the history ------------------------------------------------------------------------------------------------ */

void fi_local_free(void *model)
{
    fi_local *m = model;
    if (!m) return;
    fi_local_release_state(m->method, m->state);
    fi_free(m->state);
    for (size_t i = 0; m->names && i < m->past.n_x; i++) fi_free(m->names[i]);
    fi_free(m->names);
    fi_free(m->id);
    fi_free(m->ds);
    fi_free(m->y);
    fi_free(m->x);
    fi_free(m);
}

/* An empty model of n rows and n_x regressors. */
static ftl_status new_model(const fi_local_method *method, const char *id, size_t n, size_t n_x, fi_local **out,
                            ftl_error *err)
{
    fi_local *m = fi_calloc(1, sizeof *m);
    *out = m;
    if (!m) return fi_fail_memory(err);
    m->method = method;
    m->id = fi_strdup(id);
    m->ds = fi_alloc(n, sizeof *m->ds);
    m->y = fi_alloc(n, sizeof *m->y);
    m->names = fi_calloc(n_x, sizeof *m->names);
    m->x = n_x && n > (size_t)-1 / n_x ? NULL : fi_alloc(n * n_x, sizeof *m->x);
    m->state = fi_calloc(1, method->state_size);
    m->past = (fi_history){.y = m->y, .n = n, .season = 1, .id = m->id};
    m->past.n_x = m->names ? n_x : 0;
    m->past.x = n_x ? m->x : NULL;
    return m->id && m->ds && m->y && m->names && m->x && m->state ? FTL_OK : fi_fail_memory(err);
}

/* Cap and floor bound Prophet's growth; they explain nothing. */
static bool is_regressor(const char *name)
{
    return strcmp(name, "cap") != 0 && strcmp(name, "floor") != 0;
}

/* The i-th regressor's values into x [rows, n_x]; every one must be known. */
static ftl_status take_column(const char *id, const char *name, const double *column, size_t rows, size_t i, size_t n_x,
                              double *x, ftl_error *err)
{
    if (!column)
        return fi_fail(err, FTL_EDATA,
                       "series '%s': the model was fitted with the column '%s'; give its values in the rows to predict",
                       id, name);
    for (size_t t = 0; t < rows; t++) {
        if (isnan(column[t]))
            return fi_fail(err, FTL_EDATA, "series '%s': column '%s' has no value in row %zu; every one is needed", id,
                           name, t + 1);
        x[t * n_x + i] = column[t];
    }
    return FTL_OK;
}

static ftl_status take_series(fi_local *m, const ftl_series *s, ftl_error *err)
{
    size_t n_x = 0;
    m->kind = s->table->kind;
    memcpy(m->ds, fi_series_ds(s), s->n_obs * sizeof *m->ds);
    memcpy(m->y, fi_series_y(s), s->n_obs * sizeof *m->y);
    for (size_t c = 0; c < s->table->n_columns && n_x < m->past.n_x; c++) {
        const char *name = s->table->names[c];
        if (!is_regressor(name)) continue;
        m->names[n_x] = fi_strdup(name);
        if (!m->names[n_x]) return fi_fail_memory(err);
        ftl_status st = take_column(m->id, name, ftl_series_column(s, c), s->n_obs, n_x, m->past.n_x, m->x, err);
        if (st) return st;
        n_x++;
    }
    return FTL_OK;
}

/* ---- seasons ---------------------------------------------------------------------------------------------------- */

/* Do two observations lie a season apart? */
static bool reaches(const fi_history *past, size_t season)
{
    for (size_t t = season; t < past->n; t++)
        if (!isnan(past->y[t]) && !isnan(past->y[t - season])) return true;
    return false;
}

static ftl_status choose_season(fi_local *m, int64_t asked, const ftl_freq *freq, ftl_error *err)
{
    fi_history *past = &m->past;
    size_t season = asked ? (size_t)asked : freq ? ftl_freq_season(freq) : 1;
    if (asked && m->method->season_use == FI_SEASON_NEEDED) {
        past->season = season;
        if (season < past->n) return FTL_OK;
        return fi_fail(err, FTL_EDATA, "series '%s': it has %zu observation%s, but a season of %zu needs more than %zu",
                       m->id, past->n, past->n == 1 ? "" : "s", season, season);
    }
    past->season = reaches(past, season) ? season : 1;
    if (asked && past->season != season)
        snprintf(m->note, sizeof m->note, "no two observations lie a season of %zu apart, so no season was fitted",
                 season);
    return FTL_OK;
}

/* ---- fit, save, load -------------------------------------------------------------------------------------------- */

static bool ask_progress(void *user)
{
    const ftl_fit_args *args = user;
    return args->progress(args->progress_user, 0, 1);
}

ftl_status fi_local_fit(const fi_local_method *method, const void *config, const ftl_series *s,
                        const ftl_fit_args *args, void **out, ftl_error *err)
{
    const fi_local_config *c = config;
    ftl_fit_args own = *args;
    fi_local *m;
    size_t n_x = 0;
    *out = NULL;
    for (size_t i = 0; method->takes_regressors && i < s->table->n_columns; i++)
        n_x += is_regressor(s->table->names[i]) ? 1 : 0;
    ftl_status st = new_model(method, s->id, s->n_obs, n_x, &m, err);
    if (!st) st = take_series(m, s, err);
    if (!st && method->season_use <= FI_SEASON_NEEDED) st = choose_season(m, c->season, args->freq, err);
    if (!st) {
        m->past.seed = args->seed;
        m->past.go_on = args->progress ? ask_progress : NULL;
        m->past.go_on_user = &own;
        st = method->fit(config, &m->past, m->state, err);
        m->past.go_on = NULL;
        m->past.go_on_user = NULL;
    }
    if (!st) {
        *out = m;
        m = NULL;
    }
    fi_local_free(m);
    return st;
}

static json_t *times_json(const ftl_time *ds, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(array, json_integer(ds[i]))) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *names_json(const fi_local *m)
{
    json_t *array = json_array();
    for (size_t i = 0; i < m->past.n_x; i++)
        if (json_array_append_new(array, json_string(m->names[i]))) {
            json_decref(array);
            return NULL;
        }
    return array;
}

ftl_status fi_local_save(const void *model, json_t **out, ftl_error *err)
{
    const fi_local *m = model;
    json_t *object = json_object(), *state = NULL;
    *out = NULL;
    ftl_status st = object ? fi_local_save_state(m->method, m->state, &state, err) : fi_fail_memory(err);
    if (!st) {
        int bad = json_object_set_new(object, "kind", json_integer(m->kind));
        bad |= json_object_set_new(object, "season", json_integer((json_int_t)m->past.season));
        bad |= json_object_set_new(object, "seed", json_integer((json_int_t)m->past.seed));
        if (*m->note) bad |= json_object_set_new(object, "note", json_string(m->note));
        bad |= json_object_set_new(object, "state", state);
        bad |= json_object_set_new(object, "ds", times_json(m->ds, m->past.n));
        bad |= json_object_set_new(object, "y", fi_json_reals(m->y, m->past.n));
        if (m->past.n_x) {
            bad |= json_object_set_new(object, "regressors", names_json(m));
            bad |= json_object_set_new(object, "x", fi_json_reals(m->x, m->past.n * m->past.n_x));
        }
        if (bad) st = fi_fail_memory(err);
    }
    if (!st) {
        *out = object;
        object = NULL;
    }
    json_decref(object);
    return st;
}

/* Keys "regressors", "x" and "note" are written only where there are any. */
static ftl_status load_names(fi_local *m, const json_t *names, ftl_error *err)
{
    for (size_t i = 0; i < m->past.n_x; i++) {
        const json_t *name = json_array_get(names, i);
        if (!json_is_string(name)) return fi_fail(err, FTL_EDATA, "key 'regressors' must hold names of columns");
        m->names[i] = fi_strdup(json_string_value(name));
        if (!m->names[i]) return fi_fail_memory(err);
    }
    return FTL_OK;
}

/* The rows; `y` and `x` were read before, and are given here to the model. */
static ftl_status load_rows(fi_local *m, const json_t *ds, const double *y, const double *x, ftl_error *err)
{
    for (size_t i = 0; i < m->past.n; i++) {
        const json_t *time = json_array_get(ds, i);
        if (!json_is_integer(time) || (i && json_integer_value(time) <= m->ds[i - 1]))
            return fi_fail(err, FTL_EDATA, "key 'ds' must hold ascending whole numbers");
        m->ds[i] = json_integer_value(time);
        m->y[i] = y[i];
    }
    for (size_t i = 0; i < m->past.n * m->past.n_x; i++) {
        if (isnan(x[i])) return fi_fail(err, FTL_EDATA, "key 'x' must hold numbers only");
        m->x[i] = x[i];
    }
    return FTL_OK;
}

ftl_status fi_local_load(const fi_local_method *method, const json_t *object, void **out, ftl_error *err)
{
    *out = NULL;
    double *y = NULL, *x = NULL;
    size_t n = 0, n_xs = 0;
    int64_t kind, season, seed;
    const char *note = NULL, *id = json_string_value(json_object_get(json_object_get(object, "foretell"), "unique_id"));
    const json_t *ds = json_object_get(object, "ds"), *names = json_object_get(object, "regressors");
    const json_t *state = json_object_get(object, "state");
    size_t n_x = json_array_size(names);
    fi_local *m = NULL;
    ftl_status st = fi_json_get_int(object, "kind", &kind, err);
    if (!st) st = fi_json_get_int(object, "season", &season, err);
    if (!st) st = fi_json_get_int(object, "seed", &seed, err);
    if (!st && json_object_get(object, "note")) st = fi_json_get_text(object, "note", &note, err);
    if (!st) st = fi_json_get_reals(object, "y", &y, &n, err);
    if (!st && n_x) st = fi_json_get_reals(object, "x", &x, &n_xs, err);
    if (!st && (kind < 0 || kind > 2 || !n || json_array_size(ds) != n || (note && strlen(note) >= sizeof m->note) ||
                (n_x && !method->takes_regressors) || n_xs / n != n_x || n_xs % n || !json_is_object(state)))
        st =
            fi_fail(err, FTL_EDATA, "keys 'kind', 'note', 'ds', 'y', 'x', 'regressors' and 'state' do not go together");
    if (!st && (season < 1 || (season > 1 && (uint64_t)season >= n)))
        st = fi_fail(err, FTL_EDATA,
                     "keys 'season' and 'y' do not go with each other: a season of %lld and a history of %zu",
                     (long long)season, n);
    if (!st) st = new_model(method, id ? id : "", n, n_x, &m, err);
    if (!st) {
        m->kind = (ftl_time_kind)kind;
        m->past.seed = (uint64_t)seed;
        m->past.season = (size_t)season;
        snprintf(m->note, sizeof m->note, "%s", note ? note : "");
        st = load_names(m, names, err);
    }
    if (!st) st = load_rows(m, ds, y, x, err);
    if (!st) st = fi_local_load_state(method, state, &m->past, m->state, err);
    if (!st) {
        *out = m;
        m = NULL;
    }
    fi_local_free(m);
    fi_free(y);
    fi_free(x);
    return st;
}

/* ---- explain ---------------------------------------------------------------------------------------------------- */

const char *fi_local_warning(const void *model, size_t i)
{
    const fi_local *m = model;
    if (*m->note && i == 0) return m->note;
    return m->method->warning ? m->method->warning(m->state, *m->note ? i - 1 : i) : NULL;
}

const ftl_time *fi_local_times(const void *model, size_t *n, ftl_time_kind *kind)
{
    const fi_local *m = model;
    *n = m->past.n;
    *kind = m->kind;
    return m->ds;
}

static json_t *warnings_json(const void *model)
{
    json_t *array = json_array();
    const char *text;
    for (size_t i = 0; (text = fi_local_warning(model, i)); i++)
        if (json_array_append_new(array, json_string(text))) {
            json_decref(array);
            return NULL;
        }
    return array;
}

ftl_status fi_local_explain(const void *model, json_t **out, ftl_error *err)
{
    const fi_local *m = model;
    size_t observed = 0;
    for (size_t i = 0; i < m->past.n; i++) observed += isnan(m->y[i]) ? 0 : 1;
    json_t *object = json_object();
    int bad = 0;
    if (m->method->season_use != FI_SEASON_NONE)
        bad |= json_object_set_new(object, "season", json_integer((json_int_t)m->past.season));
    ftl_status st = bad ? fi_fail_memory(err) : add_fields(m->method, m->state, false, object, err);
    bad = json_object_set_new(object, "n_obs", json_integer((json_int_t)observed));
    bad |= json_object_set_new(object, "n_missing", json_integer((json_int_t)(m->past.n - observed)));
    if (m->past.n_x) bad |= json_object_set_new(object, "regressors", names_json(m));
    bad |= json_object_set_new(object, "warnings", warnings_json(m));
    if (!st && bad) st = fi_fail_memory(err);
    if (!st && m->method->explain) st = m->method->explain(m->state, object, err);
    *out = st ? NULL : object;
    if (st) json_decref(object);
    return st;
}

/* ---- predict ---------------------------------------------------------------------------------------------------- */

/* What one call of predict works with. */
typedef struct prediction {
    const fi_local *m;
    const ftl_predict_args *args;
    fi_ahead ahead;
    double *x;             /* [horizon, n_x] */
    double *mean, *sd, *z; /* [horizon], [horizon], [n_levels] */
    double *fitted;        /* [n]; NULL unless asked for */
    double *paths, *row;   /* [n_paths, horizon], [n_paths] */
    double *work;          /* of the method's path() */
    double fitted_sd;
    size_t n_paths;
} prediction;

static ftl_status read_ahead(prediction *p, ftl_error *err)
{
    const fi_local *m = p->m;
    size_t n_x = m->past.n_x, horizon = p->ahead.horizon;
    p->x = n_x && horizon > (size_t)-1 / n_x ? NULL : fi_alloc(horizon * n_x, sizeof *p->x);
    if (!p->x) return fi_fail_memory(err);
    p->ahead.x = n_x ? p->x : NULL;
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < n_x && !st; i++)
        st = take_column(m->id, m->names[i], ftl_series_column_named(p->args->future, m->names[i]), horizon, i, n_x,
                         p->x, err);
    return st;
}

/* Draws the paths that samples and quantiles without a closed form need. */
static ftl_status draw_paths(prediction *p, ftl_error *err)
{
    const fi_local *m = p->m;
    size_t horizon = p->ahead.horizon;
    p->n_paths = p->args->n_samples;
    if (isnan(p->sd[0]) && !p->args->sampled_quantiles && p->n_paths < PATHS) p->n_paths = PATHS;
    if (!p->n_paths) return FTL_OK;
    p->paths = horizon > (size_t)-1 / p->n_paths ? NULL : fi_alloc(horizon * p->n_paths, sizeof *p->paths);
    p->row = fi_alloc(p->n_paths, sizeof *p->row);
    p->work = fi_alloc(m->method->path_work ? m->method->path_work(m->state, &m->past) : 0, sizeof *p->work);
    if (!p->paths || !p->row || !p->work) return fi_fail_memory(err);
    for (size_t i = 0; i < p->n_paths; i++) {
        fi_rng rng;
        fi_rng_init(&rng, p->args->seed, STREAM_FUTURE, i);
        m->method->path(m->state, &m->past, &p->ahead, &rng, p->paths + i * horizon, p->work);
    }
    return FTL_OK;
}

static ftl_status compute(prediction *p, ftl_error *err)
{
    const fi_local *m = p->m;
    size_t horizon = p->ahead.horizon;
    p->mean = fi_alloc(horizon, sizeof *p->mean);
    p->sd = fi_alloc(horizon, sizeof *p->sd);
    p->z = fi_alloc(p->args->n_levels, sizeof *p->z);
    if (p->args->history) p->fitted = fi_alloc(m->past.n, sizeof *p->fitted);
    if (!p->mean || !p->sd || !p->z || (p->args->history && !p->fitted)) return fi_fail_memory(err);
    for (size_t k = 0; k < p->args->n_levels; k++) p->z[k] = fi_normal_quantile(p->args->levels[k]);
    ftl_status st = read_ahead(p, err);
    if (!st) st = m->method->predict(m->state, &m->past, &p->ahead, p->mean, p->sd, err);
    if (!st) st = draw_paths(p, err);
    if (!st && p->fitted) st = m->method->fitted(m->state, &m->past, p->fitted, &p->fitted_sd, err);
    return st;
}

/* Rows of the history: Gaussian around the one-step-ahead means. */
static void fill_past(const prediction *p, ftl_forecast *fc)
{
    size_t n = fc->n_history, n_levels = fc->n_levels, n_samples = fc->n_samples;
    for (size_t r = 0; r < n; r++) {
        fc->point[r] = p->fitted[r];
        for (size_t k = 0; k < n_levels; k++) fc->q[r * n_levels + k] = p->fitted[r] + p->fitted_sd * p->z[k];
    }
    for (size_t i = 0; i < n_samples; i++) {
        fi_rng rng;
        fi_rng_init(&rng, p->args->seed, STREAM_HISTORY, i);
        for (size_t r = 0; r < n; r++)
            fc->samples[r * n_samples + i] = p->fitted[r] + p->fitted_sd * fi_rng_normal(&rng);
    }
}

static void fill_future(const prediction *p, ftl_forecast *fc)
{
    size_t horizon = p->ahead.horizon, n_levels = fc->n_levels, n_samples = fc->n_samples;
    bool drawn = p->args->sampled_quantiles || isnan(p->sd[0]);
    size_t n_drawn = p->args->sampled_quantiles ? n_samples : PATHS;
    for (size_t h = 0; h < horizon; h++) {
        size_t r = fc->n_history + h;
        double *q = fc->q + r * n_levels;
        fc->point[r] = p->mean[h];
        for (size_t i = 0; i < p->n_paths; i++) p->row[i] = p->paths[i * horizon + h];
        if (n_samples) memcpy(fc->samples + r * n_samples, p->row, n_samples * sizeof *p->row);
        if (drawn)
            fi_sample_quantiles(p->row, n_drawn, fc->levels, n_levels, q);
        else
            for (size_t k = 0; k < n_levels; k++) q[k] = p->mean[h] + p->sd[h] * p->z[k];
    }
}

ftl_status fi_local_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err)
{
    const fi_local *m = model;
    ftl_forecast *fc = NULL;
    prediction p = {.m = m, .args = args, .fitted_sd = NAN, .ahead = {.horizon = ftl_series_n_obs(args->future)}};
    size_t past = args->history ? m->past.n : 0, rows = past + p.ahead.horizon;
    *out = NULL;
    ftl_status st = compute(&p, err);
    if (!st) st = fi_forecast_new(m->id, m->method->name, m->kind, rows, args->levels, args->n_levels, &fc, err);
    if (!st && args->n_samples) {
        fc->n_samples = args->n_samples;
        fc->samples =
            rows > (size_t)-1 / args->n_samples ? NULL : fi_alloc(rows * args->n_samples, sizeof *fc->samples);
        if (!fc->samples) st = fi_fail_memory(err);
    }
    if (!st) {
        fc->n_history = past;
        if (past) memcpy(fc->ds, m->ds, past * sizeof *fc->ds);
        memcpy(fc->ds + past, ftl_series_times(args->future), p.ahead.horizon * sizeof *fc->ds);
        fill_past(&p, fc);
        fill_future(&p, fc);
        *out = fc;
        fc = NULL;
    }
    ftl_forecast_free(fc);
    double *const owned[] = {p.x, p.mean, p.sd, p.z, p.fitted, p.paths, p.row, p.work};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fi_free(owned[i]);
    return st;
}
