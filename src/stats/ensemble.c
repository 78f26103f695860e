/*
 * Ensembles: several models of one series, and one forecast of theirs.
 *
 * Quantiles are combined level by level (Vincentization), by the median or by weights, so they never cross and keep the
 * members' shape where the members agree. Sample paths are a mixture: each is a path of one member, drawn by the weights.
 *
 *     inverse-error  w_i ~ 1 / L_i,  L_i the mean pinball loss over the levels 0.1 ... 0.9
 *     stack          w = argmin sum (y - sum w_i f_i)^2 over w >= 0, sum w_i = 1,  f_i the point forecasts
 *
 * both from a backtest in the history: each member is fitted anew up to the beginning of each of the last `windows` runs
 * of `steps` values and forecasts them. Sources: Genest (1992), Vincentization revisited, Annals of Statistics 20; Bates &
 * Granger (1969), The combination of forecasts, Operational Research Quarterly 20; Breiman (1996), Stacked regressions,
 * Machine Learning 24.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "stats/nested.h"
#include "stats/simplex.h"
#include "stats/stats.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MEMBERS = 16, LEVELS = 9, STREAM_MIXTURE = 3 };
enum { MEDIAN, MEAN, INVERSE_ERROR, STACK };

typedef struct ensemble_config {
    char *models;
    int combine;
    int64_t steps, windows;
} ensemble_config;

typedef struct ensemble {
    size_t n; /* members */
    ftl_model *members[MAX_MEMBERS];
    double weights[MAX_MEMBERS]; /* of sum 1 */
    bool median;
    size_t n_warnings;
    char *warnings[MAX_MEMBERS + 1];
} ensemble;

static void ensemble_free(void *model)
{
    ensemble *e = model;
    if (!e) return;
    for (size_t i = 0; i < e->n; i++) ftl_model_free(e->members[i]);
    for (size_t i = 0; i < e->n_warnings; i++) fi_free(e->warnings[i]);
    fi_free(e);
}

static ftl_status warn(ensemble *e, const char *text, ftl_error *err)
{
    char *copy = fi_strdup(text);
    if (!copy) return fi_fail_memory(err);
    e->warnings[e->n_warnings++] = copy;
    return FTL_OK;
}

/* ---- the members' configurations -------------------------------------------------------------------------------- */

typedef struct cast {
    size_t n;
    ftl_config *configs[MAX_MEMBERS];
} cast;

static void cast_release(cast *c)
{
    for (size_t i = 0; i < c->n; i++) ftl_config_free(c->configs[i]);
    c->n = 0;
}

/* "a+b:x=1+c": a plus before a letter parts two models (one before a digit is part of a value). After failure empty. */
static ftl_status read_cast(const ensemble_config *config, cast *c, ftl_error *err)
{
    char *text = fi_strdup(config->models ? config->models : "");
    ftl_status st = text ? FTL_OK : fi_fail_memory(err);
    c->n = 0;
    for (char *next = text; next && !st;) {
        char *spec = next;
        do next = strchr(next + (next != spec), '+');
        while (next && !isalpha((unsigned char)next[1]));
        if (next) *next++ = '\0';
        if (c->n == MAX_MEMBERS)
            st = fi_fail(err, FTL_EINVAL, "ensemble: it has more than %d models", MAX_MEMBERS);
        else if (!(st = fi_nested_config(&ensemble_forecaster, spec, &c->configs[c->n], err)))
            c->n++;
    }
    fi_free(text);
    if (st) cast_release(c);
    return st;
}

static ftl_status ensemble_check(const void *config, ftl_error *err)
{
    cast c;
    ftl_status st = read_cast(config, &c, err);
    if (!st) cast_release(&c);
    return st;
}

/* What every member can; missing values are for each member to refuse. */
static const unsigned of_all = FTL_TAKES_REGRESSORS | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY;

static ftl_status cast_capabilities(const cast *c, unsigned *out, ftl_error *err)
{
    ftl_status st = FTL_OK;
    *out = of_all;
    for (size_t i = 0; i < c->n && !st; i++) {
        unsigned one = 0;
        st = ftl_config_capabilities(c->configs[i], &one, err);
        *out &= one;
    }
    *out |= FTL_TAKES_MISSING;
    return st;
}

static ftl_status ensemble_config_capabilities(const void *config, unsigned *out, ftl_error *err)
{
    cast c;
    ftl_status st = read_cast(config, &c, err);
    if (!st) st = cast_capabilities(&c, out, err);
    if (!st) cast_release(&c);
    return st;
}

static unsigned ensemble_model_capabilities(const void *model)
{
    const ensemble *e = model;
    unsigned can = of_all;
    for (size_t i = 0; i < e->n; i++) can &= ftl_model_capabilities(e->members[i]);
    return can | FTL_TAKES_MISSING;
}

/* ---- fit -------------------------------------------------------------------------------------------------------- */

/* The first n rows, with the columns that all members use (cap and floor are no regressors). */
static ftl_status first_rows(const ftl_series *s, size_t n, bool regressors, ftl_series **out, ftl_error *err)
{
    const fi_table *t = s->table;
    size_t k = 0;
    const double **columns = fi_alloc(t->n_columns, sizeof *columns);
    const char **names = fi_alloc(t->n_columns, sizeof *names);
    *out = NULL;
    ftl_status st = columns && names ? FTL_OK : fi_fail_memory(err);
    for (size_t i = 0; i < t->n_columns && !st; i++)
        if (regressors || !strcmp(t->names[i], "cap") || !strcmp(t->names[i], "floor")) {
            names[k] = t->names[i];
            columns[k++] = ftl_series_column(s, i);
        }
    if (!st) st = ftl_series_new_full(s->id, t->kind, fi_series_ds(s), fi_series_y(s), n, names, columns, k, out, err);
    fi_free(columns);
    fi_free(names);
    return st;
}

/* A failure that says something of the series, and not of memory, files or the user's patience. */
static bool refuses(ftl_status st)
{
    return st == FTL_EDATA || st == FTL_ENUMERIC;
}

/* Leaves out member i, with a warning. */
static ftl_status leave_out(ensemble *e, cast *c, size_t i, const char *why, ftl_error *err)
{
    char text[1200];
    snprintf(text, sizeof text, "%s was left out: %s", ftl_forecaster_name(ftl_config_forecaster(c->configs[i])), why);
    ftl_model_free(e->members[i]);
    ftl_config_free(c->configs[i]);
    c->n--;
    e->n--;
    memmove(e->members + i, e->members + i + 1, (e->n - i) * sizeof *e->members);
    memmove(c->configs + i, c->configs + i + 1, (c->n - i) * sizeof *c->configs);
    return warn(e, text, err);
}

/* Fits every member; those that refuse the series leave both lists. */
static ftl_status fit_members(ensemble *e, cast *c, const ftl_series *s, const ftl_fit_args *args, ftl_error *err)
{
    ftl_error why = {FTL_OK, ""};
    ftl_status st = FTL_OK;
    e->n = c->n; /* those not yet fitted are NULL */
    for (size_t i = 0; i < e->n && !st;) {
        ftl_status one = ftl_model_fit(c->configs[i], s, args, &e->members[i], &why);
        if (!one)
            i++;
        else if (refuses(one))
            st = leave_out(e, c, i, why.message, err);
        else
            st = fi_fail(err, one, "%s", why.message);
    }
    if (!st && !e->n)
        st = fi_fail(err, FTL_EDATA, "series '%s': every model of the ensemble refused it; the last one says: %s",
                     s->id, why.message);
    return st;
}

/* The errors of the backtest. */
typedef struct backtest {
    size_t steps, windows, n; /* n: rows so far, the same for every member */
    double *errors;           /* [MAX_MEMBERS, windows * steps] of the points, in units of `scale` */
    double loss[MAX_MEMBERS]; /* sums of pinball losses, in the same units */
    double scale;
} backtest;

/* How far the history reaches: no more than a third of it is forecast. */
static void plan(backtest *b, const ensemble_config *c, size_t n, const ftl_freq *freq)
{
    size_t season = freq ? ftl_freq_season(freq) : 1;
    b->windows = (size_t)c->windows;
    b->steps = c->steps ? (size_t)c->steps : season > 6 ? season : 6;
    if (b->windows > n / 3) b->windows = n / 3 ? n / 3 : 1;
    if (b->steps > n / 3 / b->windows) b->steps = n / 3 / b->windows;
}

static double pinball(double level, double error)
{
    return error > 0 ? level * error : (level - 1) * error;
}

/* One member's forecast of the rows of y: its errors into out (at most `steps`), its loss added up. */
static ftl_status judge(const backtest *b, const ftl_config *config, const ftl_series *before, const double *y,
                        const ftl_fit_args *args, const ftl_series *future, double *out, double *loss, ftl_error *err)
{
    double levels[LEVELS];
    ftl_predict_args ahead = {.horizon = b->steps, .levels = levels, .n_levels = LEVELS, .future = future};
    ftl_model *model = NULL;
    ftl_forecast *fc = NULL;
    ahead.seed = args->seed;
    for (size_t k = 0; k < LEVELS; k++) levels[k] = (double)(k + 1) / (LEVELS + 1);
    ftl_status st = ftl_model_fit(config, before, args, &model, err);
    if (!st) st = ftl_model_predict(model, &ahead, &fc, err);
    for (size_t h = 0; h < b->steps && !st; h++) {
        if (isnan(y[h])) continue;
        *out++ = y[h] / b->scale - fc->point[h] / b->scale;
        for (size_t k = 0; k < LEVELS; k++)
            *loss += pinball(levels[k], y[h] / b->scale - fc->q[h * LEVELS + k] / b->scale);
    }
    ftl_forecast_free(fc);
    ftl_model_free(model);
    return st;
}

/* The rows from..to of a series as a future: without its values. */
static ftl_status future_rows(const ftl_series *s, size_t from, size_t n, ftl_series **out, ftl_error *err)
{
    const fi_table *t = s->table;
    const double **columns = fi_alloc(t->n_columns, sizeof *columns);
    *out = NULL;
    if (!columns) return fi_fail_memory(err);
    for (size_t i = 0; i < t->n_columns; i++) columns[i] = ftl_series_column(s, i) + from;
    ftl_status st = ftl_series_new_full(s->id, t->kind, fi_series_ds(s) + from, NULL, n, (const char *const *)t->names,
                                        columns, t->n_columns, out, err);
    fi_free(columns);
    return st;
}

/* One window: every member forecasts rows from..from + steps; members that cannot are left out. */
static ftl_status run_window(ensemble *e, cast *c, backtest *b, const ftl_series *s, size_t from,
                             const ftl_fit_args *args, ftl_error *err)
{
    ftl_series *before = NULL, *after = NULL;
    const double *y = fi_series_y(s) + from;
    size_t width = b->windows * b->steps, counted = 0;
    for (size_t h = 0; h < b->steps; h++) counted += isnan(y[h]) ? 0 : 1;
    ftl_status st = first_rows(s, from, true, &before, err);
    if (!st) st = future_rows(s, from, b->steps, &after, err);
    for (size_t i = 0; i < c->n && counted && !st;) {
        ftl_error why = {FTL_OK, ""};
        ftl_status one =
            judge(b, c->configs[i], before, y, args, after, b->errors + i * width + b->n, &b->loss[i], &why);
        if (!one) {
            i++;
        } else if (!refuses(one) || c->n == 1) {
            st = fi_fail(err, one, "%s", why.message);
        } else {
            memmove(b->errors + i * width, b->errors + (i + 1) * width, (c->n - i - 1) * width * sizeof *b->errors);
            memmove(b->loss + i, b->loss + i + 1, (c->n - i - 1) * sizeof *b->loss);
            st = leave_out(e, c, i, why.message, err);
        }
    }
    b->n += counted;
    ftl_series_free(before);
    ftl_series_free(after);
    return st;
}

static void equal_weights(ensemble *e)
{
    for (size_t i = 0; i < e->n; i++) e->weights[i] = 1 / (double)e->n;
}

/* Members without any error share all weight. */
static void inverse_weights(ensemble *e, const backtest *b)
{
    double sum = 0, least = INFINITY;
    for (size_t i = 0; i < e->n; i++) least = fmin(least, b->loss[i]);
    for (size_t i = 0; i < e->n; i++) {
        e->weights[i] = least > 0 ? least / b->loss[i] : b->loss[i] > 0 ? 0 : 1;
        sum += e->weights[i];
    }
    for (size_t i = 0; i < e->n; i++) e->weights[i] /= sum;
}

static void stacked_weights(ensemble *e, const backtest *b)
{
    double gram[MAX_MEMBERS * MAX_MEMBERS];
    size_t width = b->windows * b->steps;
    for (size_t i = 0; i < e->n; i++)
        for (size_t j = 0; j < e->n; j++) {
            double sum = 0;
            for (size_t t = 0; t < b->n; t++) sum += b->errors[i * width + t] * b->errors[j * width + t];
            gram[i * e->n + j] = sum;
        }
    fi_simplex_least_squares(gram, e->n, e->weights);
}

/* Weights by a backtest in the history; equal ones where it is too short. */
static ftl_status learn_weights(ensemble *e, cast *c, const ensemble_config *config, const ftl_series *s,
                                const ftl_fit_args *args, ftl_error *err)
{
    const double *y = fi_series_y(s);
    backtest b = {0};
    plan(&b, config, s->n_obs, args->freq);
    size_t width = b.windows * b.steps;
    for (size_t t = 0; t < s->n_obs; t++) b.scale = fmax(b.scale, fabs(y[t])); /* passes over NaN */
    if (!(b.scale > 0)) b.scale = 1;
    b.errors = fi_alloc(MAX_MEMBERS * width, sizeof *b.errors);
    ftl_status st = b.errors ? FTL_OK : fi_fail_memory(err);
    ftl_error why = {FTL_OK, ""};
    for (size_t w = b.windows; w > 0 && width && !st; w--)
        st = run_window(e, c, &b, s, s->n_obs - w * b.steps, args, &why);
    bool fine = !st && b.n > 0;
    for (size_t i = 0; i < e->n && fine; i++) fine = isfinite(b.loss[i]);
    equal_weights(e);
    if (fine && config->combine == INVERSE_ERROR) inverse_weights(e, &b);
    if (fine && config->combine == STACK) stacked_weights(e, &b);
    if (!fine && (!st || refuses(st)))
        st = warn(e, "the history is too short, or too odd, for a backtest; all models weigh the same", err);
    else if (st)
        st = fi_fail(err, st, "%s", why.message);
    fi_free(b.errors);
    return st;
}

static ftl_status ensemble_fit(const void *config, const ftl_series *s, const ftl_fit_args *args, void **out,
                               ftl_error *err)
{
    const ensemble_config *own = config;
    unsigned can = 0;
    cast c = {0};
    ftl_series *used = NULL;
    ensemble *e = fi_calloc(1, sizeof *e);
    *out = NULL;
    ftl_status st = e ? read_cast(own, &c, err) : fi_fail_memory(err);
    if (!st) st = cast_capabilities(&c, &can, err);
    if (!st) st = first_rows(s, s->n_obs, (can & FTL_TAKES_REGRESSORS) != 0, &used, err);
    if (!st) st = fit_members(e, &c, used, args, err);
    if (!st) {
        e->median = own->combine == MEDIAN;
        equal_weights(e);
        if (own->combine >= INVERSE_ERROR && e->n > 1) st = learn_weights(e, &c, own, used, args, err);
    }
    if (!st) {
        *out = e;
        e = NULL;
    }
    cast_release(&c);
    ftl_series_free(used);
    ensemble_free(e);
    return st;
}

/* ---- predict ---------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One number of the members' ones; NaN where a member has none. */
static double combine(const ensemble *e, const double *values)
{
    double sorted[MAX_MEMBERS], sum = 0;
    for (size_t i = 0; i < e->n; i++) {
        if (isnan(values[i])) return NAN;
        sum += e->weights[i] * values[i];
        sorted[i] = values[i];
    }
    if (!e->median) return sum;
    qsort(sorted, e->n, sizeof *sorted, ascending);
    return sorted[(e->n - 1) / 2] / 2 + sorted[e->n / 2] / 2;
}

/* The paths of all members become a mixture of them, in the first one's place. */
static void mix_paths(const ensemble *e, ftl_forecast *const *fc, uint64_t seed)
{
    size_t n_samples = fc[0]->n_samples;
    for (size_t s = 0; s < n_samples; s++) {
        fi_rng rng;
        fi_rng_init(&rng, seed, STREAM_MIXTURE, s);
        double u = fi_rng_uniform(&rng);
        size_t i = 0;
        for (double sum = e->weights[0]; i + 1 < e->n && u >= sum; sum += e->weights[i]) i++;
        for (size_t r = 0; i > 0 && r < fc[0]->n_rows; r++)
            fc[0]->samples[r * n_samples + s] = fc[i]->samples[r * n_samples + s];
    }
}

static void merge(const ensemble *e, ftl_forecast *const *fc)
{
    double values[MAX_MEMBERS];
    for (size_t r = 0; r < fc[0]->n_rows; r++) {
        for (size_t i = 0; i < e->n; i++) values[i] = fc[i]->point[r];
        fc[0]->point[r] = combine(e, values);
    }
    for (size_t q = 0; q < fc[0]->n_rows * fc[0]->n_levels; q++) {
        for (size_t i = 0; i < e->n; i++) values[i] = fc[i]->q[q];
        fc[0]->q[q] = combine(e, values);
    }
}

/* With sampled quantiles each member's are those of its own draws, combined like any others. */
static ftl_status ensemble_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err)
{
    const ensemble *e = model;
    ftl_forecast *fc[MAX_MEMBERS] = {0};
    ftl_status st = FTL_OK;
    *out = NULL;
    for (size_t i = 0; i < e->n && !st; i++) {
        st = ftl_model_predict(e->members[i], args, &fc[i], err);
        if (!st && fc[i]->n_rows != fc[0]->n_rows)
            st = fi_fail(err, FTL_EDATA, "series '%s': the saved models of its ensemble differ in their history",
                         fc[0]->id);
    }
    if (!st) {
        mix_paths(e, fc, args->seed);
        merge(e, fc);
        *out = fc[0];
        fc[0] = NULL;
    }
    for (size_t i = 0; i < e->n; i++) ftl_forecast_free(fc[i]);
    return st;
}

/* ---- files and explanations ------------------------------------------------------------------------------------- */

/* The i-th warning: the ensemble's own, then the members'. */
static const char *ensemble_warning(const void *model, size_t i)
{
    const ensemble *e = model;
    if (i < e->n_warnings) return e->warnings[i];
    i -= e->n_warnings;
    for (size_t k = 0; k < e->n; k++) {
        size_t n = ftl_model_n_warnings(e->members[k]);
        if (i < n) return ftl_model_warning(e->members[k], i);
        i -= n;
    }
    return NULL;
}

typedef ftl_status (*part_fn)(const ftl_model *model, json_t **out, ftl_error *err);

/* Members by `part`, weights, how they are combined, and the first n warnings. */
static ftl_status as_json(const ensemble *e, part_fn part, size_t n_warnings, json_t **out, ftl_error *err)
{
    json_t *object = json_object(), *warnings = json_array(), *members = json_array(), *one;
    int bad = json_object_set_new(object, "quantiles", json_string(e->median ? "median" : "weighted"));
    bad |= json_object_set_new(object, "weights", fi_json_reals(e->weights, e->n));
    bad |= json_object_set(object, "warnings", warnings);
    bad |= json_object_set(object, "members", members);
    for (size_t i = 0; i < n_warnings; i++) bad |= json_array_append_new(warnings, json_string(ensemble_warning(e, i)));
    ftl_status st = bad ? fi_fail_memory(err) : FTL_OK;
    for (size_t i = 0; i < e->n && !st; i++) {
        st = part(e->members[i], &one, err);
        if (!st && json_array_append_new(members, one)) st = fi_fail_memory(err);
    }
    json_decref(warnings);
    json_decref(members);
    if (st) json_decref(object);
    *out = st ? NULL : object;
    return st;
}

static ftl_status ensemble_save(const void *model, json_t **out, ftl_error *err)
{
    const ensemble *e = model;
    return as_json(e, fi_nested_save, e->n_warnings, out, err);
}

static ftl_status ensemble_explain(const void *model, json_t **out, ftl_error *err)
{
    size_t n = 0;
    while (ensemble_warning(model, n)) n++;
    return as_json(model, fi_nested_explain, n, out, err);
}

static ftl_status load_weights(ensemble *e, const json_t *object, size_t n, ftl_error *err)
{
    double *weights = NULL, sum = 0;
    const char *quantiles = "";
    size_t n_weights = 0;
    ftl_status st = fi_json_get_text(object, "quantiles", &quantiles, err);
    if (!st) st = fi_json_get_reals(object, "weights", &weights, &n_weights, err);
    if (st) return st;
    bool fine = n > 0 && n <= MAX_MEMBERS && n_weights == n;
    for (size_t i = 0; i < n && fine; i++) {
        fine = weights[i] >= 0;
        sum += e->weights[i] = weights[i];
    }
    fi_free(weights);
    e->median = !strcmp(quantiles, "median");
    fine = fine && fabs(sum - 1) < 1e-9 && (e->median || !strcmp(quantiles, "weighted"));
    return fine ? FTL_OK : fi_fail(err, FTL_EDATA, "keys 'quantiles', 'weights' and 'members' do not go together");
}

static ftl_status ensemble_load(const json_t *object, void **out, ftl_error *err)
{
    const json_t *members = json_object_get(object, "members"), *warnings = json_object_get(object, "warnings");
    ensemble *e = fi_calloc(1, sizeof *e);
    *out = NULL;
    ftl_status st = e ? load_weights(e, object, json_array_size(members), err) : fi_fail_memory(err);
    if (!st && json_array_size(warnings) > MAX_MEMBERS + 1)
        st = fi_fail(err, FTL_EDATA, "key 'warnings' has more than %d members", MAX_MEMBERS + 1);
    for (size_t i = 0; i < json_array_size(warnings) && !st; i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        st = text ? warn(e, text, err) : fi_fail(err, FTL_EDATA, "key 'warnings' must hold texts");
    }
    for (size_t i = 0; i < json_array_size(members) && !st; i++) {
        st = fi_nested_load(&ensemble_forecaster, json_array_get(members, i), &e->members[i], err);
        if (!st) e->n++;
    }
    if (!st) {
        *out = e;
        e = NULL;
    }
    ensemble_free(e);
    return st;
}

static const fi_option ensemble_options[] = {
    FI_OPTION_TEXT(
        ensemble_config, models, "auto-ets+auto-arima+auto-theta", "MODEL+MODEL",
        "its members, at most 16, with options as in auto-ets+theta:model=otm (a comma between several needs a "
        "backslash before it)"),
    FI_OPTION_CHOICE(
        ensemble_config, combine, "median", "median|mean|inverse-error|stack",
        "how: the median or the mean of each quantile, or weighted by how the members did in a backtest: by "
        "1 / pinball loss, or by least squares"),
    FI_OPTION_COUNT(ensemble_config, steps, "0", 0, 1e6,
                    "length of a window of the backtest; 0 takes a season, at least 6, and at most what leaves two "
                    "thirds of the history"),
    FI_OPTION_COUNT(ensemble_config, windows, "2", 1, 100, "windows of the backtest, the last ones of the history"),
};

const ftl_forecaster ensemble_forecaster = {
    .name = "ensemble",
    .summary = "several models combined, evenly or by how they did in the history",
    .source = "Bates & Granger (1969), The combination of forecasts, Operational Research Quarterly 20",
    .point_kind = "mean",
    .capabilities = FTL_TAKES_MISSING | FTL_TAKES_REGRESSORS | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY,
    .options = ensemble_options,
    .n_options = sizeof ensemble_options / sizeof *ensemble_options,
    .config_size = sizeof(ensemble_config),
    .check = ensemble_check,
    .config_capabilities = ensemble_config_capabilities,
    .model_capabilities = ensemble_model_capabilities,
    .fit = ensemble_fit,
    .predict = ensemble_predict,
    .save = ensemble_save,
    .load = ensemble_load,
    .explain = ensemble_explain,
    .free = ensemble_free,
    .warning = ensemble_warning,
};
