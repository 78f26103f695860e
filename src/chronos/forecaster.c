/*
 * The forecaster "chronos": series of a panel as tasks of a pretrained model. Fitting keeps the context, predicting runs
 * many contexts together. The weights are opened once per configuration, on first use, and shared by all that is fitted
 * with it.
 */
#include "chronos/forecaster.h"

#include "base/alloc.h"
#include "base/error.h"
#include "chronos/chronos.h"
#include "chronos/samples.h"
#include "forecast/driver.h"
#include "math/distributions.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { TAILS_NORMAL, TAILS_CLAMP };
static const char *const precision_names[] = {"f32", "bf16", "int8"};
static const char *const tails_names[] = {"normal", "clamp"};

/* Options that have no text; 0 is the model's own. */
typedef struct settings {
    int precision, tails;
    int64_t num_samples, top_k, context_length, batch_size;
    double temperature, top_p;
    bool cross_learning, regressors;
} settings;

typedef struct chronos_config {
    char *model, *adapter, *categorical;
    settings s;
    struct slot *slot; /* where the weights are kept once they are needed */
} chronos_config;

#define FIELD_COUNT(field, lo, hi, note, help)                                                                         \
    {                                                                                                                  \
        {#field, FTL_OPTION_COUNT, "0", lo, hi, NULL, "N", help, note}, offsetof(chronos_config, s.field), NULL, NULL  \
    }
#define FIELD_REAL(field, lo, hi, note, help)                                                                          \
    {                                                                                                                  \
        {#field, FTL_OPTION_REAL, "0", lo, hi, NULL, "X", help, note}, offsetof(chronos_config, s.field), NULL, NULL   \
    }
#define FIELD_FLAG(field, def, help)                                                                                   \
    {                                                                                                                  \
        {#field, FTL_OPTION_FLAG, def, 0, 1, NULL, "BOOL", help, NULL}, offsetof(chronos_config, s.field), NULL, NULL  \
    }
#define FIELD_CHOICE(field, def, choices, help)                                                                        \
    {                                                                                                                  \
        {#field, FTL_OPTION_CHOICE, def, 0, 0, choices, choices, help, NULL}, offsetof(chronos_config, s.field), NULL, \
            NULL                                                                                                       \
    }

static const fi_option chronos_options[] = {
    FI_OPTION_TEXT(
        chronos_config, model, "", "DIRECTORY",
        "Directory of the model: config.json and weights, as published. Also the first value without a name."),
    FI_OPTION_TEXT(chronos_config, adapter, "", "DIRECTORY", "LoRA adapter to merge into the weights."),
    FIELD_CHOICE(
        precision, "f32", "f32|bf16|int8",
        "How products with the weights are computed; bf16 and int8 are faster and smaller, f32 is the reference."),
    FIELD_COUNT(num_samples, 0, 1e6, "0, as many as the model says", "Sample paths of a series (chronos-t5)."),
    FIELD_REAL(temperature, 0, 1e6, "0, as the model says",
               "Above 1 flattens the probabilities of tokens (chronos-t5)."),
    FIELD_COUNT(top_k, 0, 1e9, "0, as many as the model says", "Tokens to choose among (chronos-t5)."),
    FIELD_REAL(top_p, 0, 1, "0, as the model says",
               "Choose among the most probable tokens that together have this probability (chronos-t5)."),
    FIELD_COUNT(context_length, 0, 1e9, "0, as many as the model can", "Steps of history to look at."),
    FIELD_COUNT(batch_size, 0, 1e6, "0, a few that suit the model; 256 with cross_learning",
                "Series and covariates that run together. No effect on results except with cross_learning."),
    FIELD_FLAG(cross_learning, "false",
               "Series of a batch learn from one another (chronos-2); results then depend on batch_size."),
    FIELD_FLAG(regressors, "true", "Use every further column of the data as a covariate (chronos-2)."),
    FI_OPTION_TEXT(chronos_config, categorical, "", "NAME;NAME",
                   "Columns whose numbers are codes of categories, separated by ';' (chronos-2)."),
    FIELD_CHOICE(tails, "normal", "normal|clamp",
                 "Levels beyond the model's outermost quantiles: go on like a normal distribution, or stop there as "
                 "upstream does."),
};

/* ---- weights, shared -------------------------------------------------------------------------------------------- */

/* An open model and how it was opened. */
typedef struct weights {
    atomic_size_t holders;
    ftl_chronos *model;
    char *directory, *adapter; /* as given; adapter "" for none */
    int precision;
    size_t n_threads;
} weights;

/* Where a configuration keeps its weights. */
typedef struct slot {
    pthread_mutex_t lock;
    weights *held;
} slot;

static void weights_drop(weights *w)
{
    if (!w || atomic_fetch_sub(&w->holders, 1) > 1) return;
    ftl_chronos_close(w->model);
    fi_free(w->directory);
    fi_free(w->adapter);
    fi_free(w);
}

static weights *weights_hold(weights *w)
{
    atomic_fetch_add(&w->holders, 1);
    return w;
}

static ftl_status weights_open(const char *directory, const char *adapter, int precision, size_t n_threads,
                               weights **out, ftl_error *err)
{
    weights *w = fi_calloc(1, sizeof *w);
    *out = NULL;
    if (!w) return fi_fail_memory(err);
    atomic_init(&w->holders, 1);
    w->precision = precision;
    w->n_threads = n_threads;
    w->directory = fi_strdup(directory);
    w->adapter = fi_strdup(adapter);
    const ftl_chronos_open_args args = {*adapter ? adapter : NULL, (ftl_precision)precision, n_threads};
    ftl_status st =
        w->directory && w->adapter ? ftl_chronos_open(directory, &args, &w->model, err) : fi_fail_memory(err);
    if (st)
        weights_drop(w);
    else
        *out = w;
    return st;
}

/* n_threads 0: whatever they are. */
static bool weights_are(const weights *w, const char *directory, const char *adapter, int precision, size_t n_threads)
{
    return !strcmp(w->directory, directory) && !strcmp(w->adapter, adapter) && w->precision == precision &&
           (!n_threads || w->n_threads == n_threads);
}

static ftl_status refuse_nameless(ftl_error *err)
{
    return fi_fail(err, FTL_EINVAL,
                   "chronos: which model? Name one or its directory: -m chronos:NAME_OR_DIRECTORY; 'foretell models "
                   "download' and 'foretell models add' bring models in");
}

/* The weights of a configuration, opened now if they are not yet. Goes to weights_drop(). */
static ftl_status weights_of(const chronos_config *c, size_t n_threads, weights **out, ftl_error *err)
{
    slot *s = c->slot;
    const char *adapter = c->adapter ? c->adapter : "";
    ftl_status st = FTL_OK;
    *out = NULL;
    if (!c->model) return refuse_nameless(err);
    pthread_mutex_lock(&s->lock);
    if (!s->held || !weights_are(s->held, c->model, adapter, c->s.precision, n_threads)) {
        weights_drop(s->held);
        s->held = NULL;
        st = weights_open(c->model, adapter, c->s.precision, n_threads, &s->held, err);
    }
    if (!st) *out = weights_hold(s->held);
    pthread_mutex_unlock(&s->lock);
    return st;
}

static ftl_status chronos_init_config(void *config, ftl_error *err)
{
    slot *s = fi_calloc(1, sizeof *s);
    if (!s) return fi_fail_memory(err);
    pthread_mutex_init(&s->lock, NULL);
    ((chronos_config *)config)->slot = s;
    return FTL_OK;
}

static void chronos_release_config(void *config)
{
    slot *s = ((chronos_config *)config)->slot;
    if (!s) return;
    weights_drop(s->held);
    pthread_mutex_destroy(&s->lock);
    fi_free(s);
}

static unsigned capabilities_of(bool gives_samples, bool takes_groups, bool takes_covariates)
{
    return FTL_TAKES_MISSING | (gives_samples ? FTL_GIVES_SAMPLES : 0u) | (takes_groups ? FTL_TAKES_GROUPS : 0u) |
           (takes_covariates ? FTL_TAKES_REGRESSORS | FTL_TAKES_CATEGORIES | FTL_TAKES_UNKNOWN_FUTURE : 0u);
}

static unsigned capabilities_with(const weights *w, const settings *s)
{
    const ftl_chronos_facts f = ftl_chronos_about(w->model);
    return capabilities_of(f.gives_samples, f.takes_covariates, f.takes_covariates && s->regressors);
}

static ftl_status chronos_config_capabilities(const void *config, unsigned *out, ftl_error *err)
{
    const chronos_config *c = config;
    const fi_chronos_family *family;
    if (!c->model) return refuse_nameless(err);
    ftl_status st = fi_chronos_peek(c->model, &family, err);
    if (!st)
        *out = capabilities_of(family->gives_samples, family->takes_covariates,
                               family->takes_covariates && c->s.regressors);
    return st;
}

/* ---- fitted: the context ---------------------------------------------------------------------------------------- */

/* One row of the context: a target, or a column. */
typedef struct line {
    char *name;
    double *values; /* [n] numbers, or places among the words */
    double unit;    /* a power of two that brings huge and tiny numbers into float's range; 1 for all others */
    bool categorical;
    bool text;    /* a column of text */
    fi_ids words; /* of it; with several targets all that the panel has, in their order */
} line;

typedef struct chronos_model {
    weights *w;
    settings s;
    char *id, *categorical;
    ftl_time_kind kind;
    size_t n;         /* values of each line */
    size_t n_targets; /* lines that are forecast */
    size_t n_lines;   /* they, the columns of numbers, and those of text */
    line *lines;      /* [n_lines] */
    size_t n_unseen;  /* rows of the history before the context */
} chronos_model;

static void chronos_free(void *model)
{
    chronos_model *m = model;
    if (!m) return;
    for (size_t i = 0; m->lines && i < m->n_lines; i++) {
        fi_free(m->lines[i].name);
        fi_free(m->lines[i].values);
        fi_ids_release(&m->lines[i].words);
    }
    fi_free(m->lines);
    fi_free(m->id);
    fi_free(m->categorical);
    weights_drop(m->w);
    fi_free(m);
}

static double unit_of(const double *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i])); /* passes over NaN */
    return most == 0 || (most > 1e-30 && most < 1e30) ? 1 : ldexp(1, ilogb(most));
}

static ftl_status line_set(line *l, const char *name, const double *x, size_t n, bool categorical, ftl_error *err)
{
    l->categorical = categorical;
    l->unit = unit_of(x, n);
    l->name = fi_strdup(name);
    l->values = fi_alloc(n, sizeof *l->values);
    if (!l->name || !l->values) return fi_fail_memory(err);
    memcpy(l->values, x, n * sizeof *x);
    return FTL_OK;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ftl_status add_words_in_order(fi_ids *words, const fi_words *from, ftl_error *err)
{
    size_t n = from ? from->ids.n : 0;
    const char **sorted = fi_alloc(n, sizeof *sorted);
    ftl_status st = sorted ? FTL_OK : fi_fail_memory(err);
    if (!st && n) {
        memcpy(sorted, from->ids.text, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_words);
    }
    for (size_t i = 0; i < n && !st; i++)
        if (fi_ids_add(words, sorted[i], strlen(sorted[i]))) st = fi_fail_memory(err);
    fi_free(sorted);
    return st;
}

/*
 * A column of text as a line. Upstream encodes it by the target where there is one: any numbers for the words will do. For
 * several it takes ranks among all words of the call, a missing word being the last and a new one missing: the values of
 * the line are these ranks, so that they depend on the file and not on the batch.
 */
static ftl_status line_set_text(line *l, const ftl_series *s, size_t column, size_t first, size_t n, bool ranked,
                                ftl_error *err)
{
    ftl_status st = FTL_OK;
    l->text = true;
    l->categorical = !ranked;
    l->unit = 1;
    l->name = fi_strdup(ftl_series_text_name(s, column));
    l->values = fi_alloc(n, sizeof *l->values);
    if (!l->name || !l->values) return fi_fail_memory(err);
    if (ranked) st = add_words_in_order(&l->words, s->table->words[column], err);
    for (size_t i = 0; i < n && !st; i++) {
        const char *word = ftl_series_text(s, column, first + i);
        size_t at = word ? fi_ids_find(&l->words, word, strlen(word)) : FI_NO_ID;
        if (word && at == FI_NO_ID && fi_ids_add(&l->words, word, strlen(word))) return fi_fail_memory(err);
        if (word && at == FI_NO_ID) at = l->words.n - 1;
        l->values[i] = word ? (double)at : ranked ? (double)l->words.n : NAN;
    }
    return st;
}

/* Is the name one of "NAME;NAME"? */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p; p = strchr(p, ';') ? strchr(p, ';') + 1 : NULL)
        if (!strncmp(p, name, n) && (p[n] == ';' || !p[n])) return true;
    return false;
}

/* Columns that bound a series for other models are no covariates. */
static bool is_covariate(const char *name)
{
    return strcmp(name, "cap") != 0 && strcmp(name, "floor") != 0;
}

static ftl_status check_observed(const chronos_model *m, ftl_error *err)
{
    for (size_t t = 0; t < m->n_targets; t++) {
        const line *l = &m->lines[t];
        size_t i = 0;
        while (i < m->n && isnan(l->values[i])) i++;
        if (i == m->n)
            return fi_fail(
                err, FTL_EDATA,
                "series '%s': none of its last %zu rows has a value%s%.60s, and the model looks at no more of "
                "them",
                m->id, m->n, m->n_targets > 1 ? " of " : "", m->n_targets > 1 ? l->name : "");
    }
    return FTL_OK;
}

static ftl_status model_new(const char *id, const settings *s, const char *categorical, size_t n_targets,
                            size_t n_lines, chronos_model **out, ftl_error *err)
{
    chronos_model *m = *out = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    m->s = *s;
    m->n_targets = n_targets;
    m->n_lines = n_lines;
    m->id = fi_strdup(id);
    m->categorical = fi_strdup(categorical ? categorical : "");
    m->lines = fi_calloc(n_lines, sizeof *m->lines);
    return m->id && m->categorical && m->lines ? FTL_OK : fi_fail_memory(err);
}

/* Steps that the model looks at. FTL_EINVAL: more were asked for than it can. */
static ftl_status settle_context(const settings *s, const ftl_chronos *model, size_t *out, ftl_error *err)
{
    const ftl_chronos_facts f = ftl_chronos_about(model);
    *out = s->context_length ? (size_t)s->context_length : f.context_length;
    if (*out <= f.context_length) return FTL_OK;
    return fi_fail(err, FTL_EINVAL, "chronos: option 'context_length' is %zu, but the model of %s looks at %zu at most",
                   *out, f.directory, f.context_length);
}

/* FTL_EINVAL: an option of another family, which would do nothing. */
static ftl_status check_family(const chronos_config *c, const ftl_chronos *model, ftl_error *err)
{
    const ftl_chronos_facts f = ftl_chronos_about(model);
    const struct {
        const char *name, *needs;
        bool given, can;
    } options[] = {{"num_samples", "draw samples", c->s.num_samples > 0, f.gives_samples},
                   {"temperature", "draw samples", c->s.temperature > 0, f.gives_samples},
                   {"top_k", "draw samples", c->s.top_k > 0, f.gives_samples},
                   {"top_p", "draw samples", c->s.top_p > 0, f.gives_samples},
                   {"categorical", "take covariates", c->categorical && *c->categorical, f.takes_covariates},
                   {"cross_learning", "take covariates", c->s.cross_learning, f.takes_covariates}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].given && !options[i].can)
            return fi_fail(
                err, FTL_EINVAL,
                "chronos: option '%s' is for models that %s, but the one in %s is a %s; leave the option out",
                options[i].name, options[i].needs, f.directory, f.family);
    return FTL_OK;
}

/* Every one of "NAME;NAME" must be a column: a slip of the pen would turn codes into numbers without a word. */
static ftl_status check_categorical(const char *list, const ftl_series *s, ftl_error *err)
{
    for (const char *p = list; p && *p; p += strcspn(p, ";"), p += *p == ';') {
        size_t n = strcspn(p, ";");
        bool found = n == 0;
        for (size_t i = 0; i < ftl_series_n_columns(s) && !found; i++) {
            const char *name = ftl_series_column_name(s, i);
            found = is_covariate(name) && strlen(name) == n && !strncmp(name, p, n);
        }
        for (size_t i = 0; i < ftl_series_n_text(s) && !found; i++) { /* is so anyhow */
            const char *name = ftl_series_text_name(s, i);
            found = strlen(name) == n && !strncmp(name, p, n);
        }
        if (!found)
            return fi_fail(err, FTL_EINVAL,
                           "chronos: option 'categorical' names '%.*s', but the data have no such column",
                           n < 80 ? (int)n : 80, p);
    }
    return FTL_OK;
}

/* Several targets are for models that see them together. */
static ftl_status check_targets(const ftl_series *s, const ftl_chronos *model, ftl_error *err)
{
    const ftl_chronos_facts f = ftl_chronos_about(model);
    if (f.takes_covariates || ftl_series_n_targets(s) == 1) return FTL_OK;
    return fi_fail(
        err, FTL_EINVAL,
        "%zu targets were given, but the model in %s is a %s, which forecasts one at a time; name one, or take "
        "a chronos-2",
        ftl_series_n_targets(s), f.directory, f.family);
}

/* Means at categories are those of the whole history, whatever the model looks at. */
static bool has_categories(const chronos_config *c, const ftl_series *s)
{
    for (size_t i = 0; i < ftl_series_n_columns(s); i++) {
        const char *name = ftl_series_column_name(s, i);
        if (is_covariate(name) && listed(c->categorical, name)) return true;
    }
    return ftl_series_n_text(s) > 0;
}

/* The lines of a series: targets, columns of numbers, columns of text; and how many they are. */
static ftl_status set_lines(chronos_model *m, const ftl_series *s, bool columns, ftl_error *err)
{
    size_t k = 0, first = m->n_unseen;
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < m->n_targets && !st; i++)
        st = line_set(&m->lines[k++], ftl_series_target_name(s, i), ftl_series_target(s, i) + first, m->n, false, err);
    for (size_t i = 0; columns && i < ftl_series_n_columns(s) && !st; i++) {
        const char *name = ftl_series_column_name(s, i);
        if (!is_covariate(name)) continue;
        st = line_set(&m->lines[k++], name, ftl_series_column(s, i) + first, m->n, listed(m->categorical, name), err);
    }
    for (size_t i = 0; columns && i < ftl_series_n_text(s) && !st; i++) {
        if (!is_covariate(ftl_series_text_name(s, i))) continue;
        st = line_set_text(&m->lines[k++], s, i, first, m->n, m->n_targets > 1, err);
    }
    if (!st) m->n_lines = k;
    return st;
}

static ftl_status chronos_fit(const void *config, const ftl_series *s, const ftl_fit_args *args, void **out,
                              ftl_error *err)
{
    const chronos_config *c = config;
    chronos_model *m = NULL;
    weights *w = NULL;
    size_t context = 0, n_targets = ftl_series_n_targets(s);
    *out = NULL;
    ftl_status st = weights_of(c, args->n_threads, &w, err);
    if (!st) st = settle_context(&c->s, w->model, &context, err);
    if (!st) st = check_family(c, w->model, err);
    if (!st) st = check_targets(s, w->model, err);
    if (!st && c->s.regressors) st = check_categorical(c->categorical, s, err);
    if (st) goto done;
    bool columns = capabilities_with(w, &c->s) & FTL_TAKES_REGRESSORS;
    size_t most = n_targets + (columns ? ftl_series_n_columns(s) + ftl_series_n_text(s) : 0);
    st = model_new(s->id, &c->s, c->categorical, n_targets, most, &m, err);
    if (st) goto done;
    m->w = w;
    w = NULL;
    m->kind = s->table->kind;
    m->n = (columns && has_categories(c, s)) || s->n_obs < context ? s->n_obs : context;
    m->n_unseen = s->n_obs - m->n;
    st = set_lines(m, s, columns, err);
    if (!st) st = check_observed(m, err);
    if (st) goto done;
    *out = m;
    m = NULL;
done:
    weights_drop(w);
    chronos_free(m);
    return st;
}

static unsigned chronos_model_capabilities(const void *model)
{
    const chronos_model *m = model;
    return capabilities_with(m->w, &m->s);
}

/* ---- predict ---------------------------------------------------------------------------------------------------- */

static size_t chronos_reach(const void *model)
{
    return ftl_chronos_about(((const chronos_model *)model)->w->model).prediction_length;
}

static size_t chronos_batch_size(const void *model)
{
    const chronos_model *m = model;
    size_t rows = m->s.batch_size ? (size_t)m->s.batch_size : fi_chronos_batch_size(m->w->model, m->s.cross_learning);
    return rows / m->n_lines + (rows % m->n_lines != 0);
}

/* One call of ftl_chronos_predict(): neighbours that ask for the same. */
typedef struct call {
    const chronos_model *const *models;
    const ftl_predict_args *args;
    size_t n;
    ftl_chronos_task *tasks;           /* [n] */
    float *context;                    /* the lines of all, in their units */
    ftl_chronos_covariate *covariates; /* [n, n_lines - n_targets] */
    float *future;                     /* [n, n_lines - n_targets, horizon] */
    double *column;                    /* quantiles of one step at the model's levels, as sorted floats */
    ftl_progress_fn progress;
    void *progress_user;
    ftl_forecast **out; /* [n] */
    ftl_error *err;
    ftl_status status; /* of making a forecast */
} call;

static const double *future_column(const ftl_predict_args *a, const char *name)
{
    return ftl_series_column_named(a->future, name);
}

/* Do the rows to predict have the column of a line? */
static bool is_known(const ftl_predict_args *a, const line *l)
{
    return future_column(a, l->name) || fi_series_find_text(a->future, l->name) < ftl_series_n_text(a->future);
}

static bool same_settings(const settings *a, const settings *b)
{
    return a->tails == b->tails && a->num_samples == b->num_samples && a->top_k == b->top_k &&
           a->context_length == b->context_length && a->batch_size == b->batch_size &&
           memcmp(&a->temperature, &b->temperature, sizeof a->temperature) == 0 &&
           memcmp(&a->top_p, &b->top_p, sizeof a->top_p) == 0 && a->cross_learning == b->cross_learning;
}

/* May model j run in one call with model i? */
static bool go_together(const call *c, size_t i, size_t j)
{
    const chronos_model *a = c->models[i], *b = c->models[j];
    const ftl_predict_args *x = &c->args[i], *y = &c->args[j];
    if (a->w != b->w || !same_settings(&a->s, &b->s) || a->n_lines != b->n_lines || a->n_targets != b->n_targets ||
        x->horizon != y->horizon || x->n_samples != y->n_samples || x->n_levels != y->n_levels ||
        memcmp(x->levels, y->levels, x->n_levels * sizeof *x->levels) != 0)
        return false;
    for (size_t k = a->n_targets; k < a->n_lines; k++) {
        const line *l = &a->lines[k], *o = &b->lines[k];
        if (strcmp(l->name, o->name) != 0 || l->categorical != o->categorical || is_known(x, l) != is_known(y, o) ||
            (l->categorical && a->n_targets > 1)) /* codes would be ranked among those of all series of the call */
            return false;
    }
    return true;
}

static ftl_chronos_options options_of(const call *c)
{
    const settings *s = &c->models[0]->s;
    const ftl_predict_args *a = &c->args[0];
    bool samples = ftl_chronos_about(c->models[0]->w->model).gives_samples;
    return (ftl_chronos_options){
        .horizon = a->horizon,
        .levels = samples && a->n_levels ? a->levels : NULL, /* else the model's own, to be sorted first */
        .n_levels = a->n_levels,
        .context_length = (size_t)s->context_length,
        .batch_size = (size_t)s->batch_size,
        .num_samples = a->n_samples ? a->n_samples : (size_t)s->num_samples,
        .temperature = s->temperature,
        .top_k = (size_t)s->top_k,
        .top_p = s->top_p,
        .cross_learning = s->cross_learning,
        .progress = c->progress,
        .progress_user = c->progress_user,
    };
}

/* Numbers in a unit, as floats, and where the next ones go. */
static float *scaled(const double *x, size_t n, double unit, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)(x[i] / unit);
    return out + n;
}

/* The words of a column of the rows to predict, as the line numbers its own. */
static void put_words(const line *l, const ftl_series *future, size_t column, float *out)
{
    double missing = l->categorical ? NAN : (double)l->words.n, unseen = l->categorical ? (double)l->words.n : NAN;
    for (size_t h = 0; h < ftl_series_n_obs(future); h++) {
        const char *word = ftl_series_text(future, column, h);
        size_t at = word ? fi_ids_find(&l->words, word, strlen(word)) : FI_NO_ID;
        out[h] = (float)(!word ? missing : at == FI_NO_ID ? unseen : (double)at);
    }
}

static bool all_missing(const double *x, size_t n)
{
    while (n && isnan(x[n - 1])) n--;
    return n == 0;
}

/* What the rows to predict know of a line. A column without a value may be either kind. */
static ftl_status put_future(const line *l, const ftl_predict_args *a, float *out, ftl_error *err)
{
    size_t n = a->horizon, text = fi_series_find_text(a->future, l->name);
    const double *numbers = future_column(a, l->name);
    if (l->text && !numbers) {
        put_words(l, a->future, text, out);
    } else if (l->text && all_missing(numbers, n)) {
        for (size_t h = 0; h < n; h++) out[h] = l->categorical ? NAN : (float)l->words.n;
    } else if (!l->text && numbers) {
        scaled(numbers, n, l->unit, out);
    } else {
        return fi_fail(err, FTL_EDATA,
                       "column '%.60s' holds %s in the data, but %s in the rows to predict; write both alike", l->name,
                       l->text ? "text" : "numbers", l->text ? "numbers" : "text");
    }
    return FTL_OK;
}

/* Model i as a task: its lines, which go to *context, and what the rows to predict know of them. */
static ftl_status make_task(call *c, size_t i, float **context, ftl_error *err)
{
    const chronos_model *m = c->models[i];
    const ftl_predict_args *a = &c->args[i];
    size_t n_covariates = m->n_lines - m->n_targets;
    ftl_chronos_covariate *v = c->covariates + i * n_covariates;
    float *future = c->future + i * n_covariates * a->horizon;
    ftl_status st = FTL_OK;
    c->tasks[i] = (ftl_chronos_task){m->n_targets, m->n, *context, v, n_covariates, a->seed};
    for (size_t t = 0; t < m->n_targets; t++) *context = scaled(m->lines[t].values, m->n, m->lines[t].unit, *context);
    for (size_t k = 0; k < n_covariates && !st; k++, future += a->horizon) {
        const line *l = &m->lines[m->n_targets + k];
        bool known = is_known(a, l);
        if (known) st = put_future(l, a, future, err);
        v[k] = (ftl_chronos_covariate){
            .name = l->name, .past = *context, .future = known ? future : NULL, .categorical = l->categorical};
        *context = scaled(l->values, m->n, l->unit, *context);
    }
    return st;
}

/* Beyond the outermost of n quantiles: the normal distribution through it and its neighbour. */
static double tail(const double *levels, const double *q, size_t n, double level)
{
    size_t edge = level < levels[0] ? 0 : n - 1, next = edge ? n - 2 : 1;
    if (n < 2) return q[0];
    double z = fi_normal_quantile(levels[edge]), step = z - fi_normal_quantile(levels[next]);
    return q[edge] + (fi_normal_quantile(level) - z) * (q[edge] - q[next]) / step;
}

static double level_of(const double *levels, const double *q, size_t n, double level, int tails)
{
    size_t k = 0;
    if (tails == TAILS_NORMAL && (level < levels[0] || level > levels[n - 1])) return tail(levels, q, n, level);
    while (k < n && levels[k] < level) k++;
    if (k == 0 || k == n) return q[k ? n - 1 : 0];
    return q[k - 1] + (level - levels[k - 1]) / (levels[k] - levels[k - 1]) * (q[k] - q[k - 1]);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/*
 * Point and quantiles of row h: mean and quantiles of the paths as they are; a network's own quantiles, which may cross,
 * are sorted, then taken at the levels asked for, the point being their median.
 */
static void put_row(const call *c, const settings *s, double unit, const ftl_chronos_result *r, size_t h,
                    ftl_forecast *fc)
{
    double *q = fc->q + h * fc->n_levels;
    if (r->samples) {
        for (size_t k = 0; k < fc->n_levels; k++) q[k] = unit * (double)r->quantiles[k * r->horizon + h];
        fc->point[h] = unit * (double)r->point[h];
        return;
    }
    for (size_t k = 0; k < r->n_levels; k++) c->column[k] = unit * (double)r->quantiles[k * r->horizon + h];
    qsort(c->column, r->n_levels, sizeof *c->column, ascending);
    for (size_t k = 0; k < fc->n_levels; k++)
        q[k] = level_of(r->levels, c->column, r->n_levels, fc->levels[k], s->tails);
    fc->point[h] = level_of(r->levels, c->column, r->n_levels, 0.5, s->tails);
}

static ftl_status put_samples(double unit, const ftl_predict_args *a, const ftl_chronos_result *r, ftl_forecast *fc,
                              ftl_error *err)
{
    if (!a->n_samples) return FTL_OK;
    fc->samples = fi_alloc(r->horizon * r->n_samples, sizeof *fc->samples);
    if (!fc->samples) return fi_fail_memory(err);
    fc->n_samples = r->n_samples;
    for (size_t h = 0; h < r->horizon; h++)
        for (size_t s = 0; s < r->n_samples; s++)
            fc->samples[h * r->n_samples + s] = unit * (double)r->samples[s * r->horizon + h];
    return FTL_OK;
}

/* The forecast of one target from what the model says of all. */
static ftl_status make_forecast(const call *c, const ftl_chronos_result *all, size_t target, ftl_forecast **out)
{
    const chronos_model *m = c->models[all->task];
    const ftl_predict_args *a = &c->args[all->task];
    const line *l = &m->lines[target];
    ftl_chronos_result r = *all; /* of this target */
    r.quantiles += target * r.n_levels * r.horizon;
    r.point += target * r.horizon;
    if (r.samples) r.samples += target * r.n_samples * r.horizon;
    ftl_forecast *fc = NULL;
    *out = NULL;
    ftl_status st = fi_forecast_new(m->id, "chronos", m->kind, r.horizon, a->levels, a->n_levels, &fc, c->err);
    if (!st) st = put_samples(l->unit, a, &r, fc, c->err);
    if (!st && m->n_targets > 1 && !(fc->target = fi_strdup(l->name))) st = fi_fail_memory(c->err);
    if (st) {
        ftl_forecast_free(fc);
        return st;
    }
    fc->point_kind = r.samples ? "mean" : "median";
    memcpy(fc->ds, ftl_series_times(a->future), r.horizon * sizeof *fc->ds);
    for (size_t h = 0; h < r.horizon; h++) put_row(c, &m->s, l->unit, &r, h, fc);
    *out = fc;
    return FTL_OK;
}

/* Takes a result as the forecast of its model. */
static bool take(void *user, const ftl_chronos_result *r)
{
    call *c = user;
    ftl_forecast *fc = NULL;
    c->status = make_forecast(c, r, 0, &fc);
    if (!c->status && r->n_targets > 1) {
        fc->more = fi_calloc(r->n_targets - 1, sizeof *fc->more);
        if (!fc->more) c->status = fi_fail_memory(c->err);
    }
    for (size_t t = 1; t < r->n_targets && !c->status; t++) {
        c->status = make_forecast(c, r, t, &fc->more[t - 1]);
        if (!c->status) fc->n_more = t;
    }
    if (c->status) {
        ftl_forecast_free(fc);
        return false;
    }
    c->out[r->task] = fc;
    return true;
}

static ftl_status run_call(call *c, ftl_error *err)
{
    const ftl_chronos *model = c->models[0]->w->model;
    const ftl_chronos_options options = options_of(c);
    size_t n_covariates = c->n * (c->models[0]->n_lines - c->models[0]->n_targets),
           n_levels = ftl_chronos_about(model).n_levels;
    size_t n_values = 0;
    for (size_t i = 0; i < c->n; i++) n_values += c->models[i]->n * c->models[i]->n_lines;
    c->err = err;
    c->context = fi_alloc(n_values, sizeof *c->context);
    c->tasks = fi_alloc(c->n, sizeof *c->tasks);
    c->covariates = fi_calloc(n_covariates, sizeof *c->covariates);
    c->future = n_covariates && options.horizon > (size_t)-1 / n_covariates
                    ? NULL
                    : fi_alloc(n_covariates * options.horizon, sizeof *c->future);
    c->column = fi_alloc(n_levels, sizeof *c->column);
    ftl_status st = c->context && c->tasks && c->covariates && c->future && c->column ? FTL_OK : fi_fail_memory(err);
    float *at = c->context;
    for (size_t i = 0; !st && i < c->n; i++) st = make_task(c, i, &at, err);
    if (!st) st = ftl_chronos_predict(model, c->tasks, c->n, &options, take, c, err);
    fi_free(c->context);
    fi_free(c->tasks);
    fi_free(c->covariates);
    fi_free(c->future);
    fi_free(c->column);
    if (!c->status) return st;
    return c->status == FTL_ENOMEM ? fi_fail_memory(err) : c->status; /* what made the sink stop */
}

/* Models from..from + n of a batch in one call; where that fails for one of them, each by itself. */
static ftl_status run_together(const call *all, size_t from, size_t n, ftl_error *errors)
{
    call c = {.models = all->models + from,
              .args = all->args + from,
              .n = n,
              .progress = all->progress,
              .progress_user = all->progress_user,
              .out = all->out + from};
    ftl_error err = {FTL_OK, ""};
    ftl_status st = run_call(&c, &err);
    if (!st || st == FTL_ECANCELLED) return st;
    if (n == 1) {
        fi_fail_prefix(&err, "series '%s'", c.models[0]->id);
        errors[from] = err;
        return FTL_OK;
    }
    st = FTL_OK;
    for (size_t i = from; i < from + n && !st; i++)
        if (!all->out[i]) st = run_together(all, i, 1, errors);
    return st;
}

static ftl_status chronos_predict_batch(const void *const *models, const ftl_predict_args *args, size_t n,
                                        ftl_progress_fn progress, void *progress_user, ftl_forecast **out,
                                        ftl_error *errors)
{
    const call all = {.models = (const chronos_model *const *)models,
                      .args = args,
                      .progress = progress,
                      .progress_user = progress_user,
                      .out = out};
    ftl_status st = FTL_OK;
    for (size_t from = 0, to; from < n && !st; from = to) {
        for (to = from + 1; to < n && go_together(&all, from, to);) to++;
        st = run_together(&all, from, to - from, errors);
    }
    for (size_t i = 0; st && i < n; i++) {
        ftl_forecast_free(out[i]);
        out[i] = NULL;
    }
    return st;
}

static ftl_status chronos_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err)
{
    ftl_error own = {FTL_OK, ""};
    *out = NULL;
    ftl_status st = chronos_predict_batch(&model, args, 1, NULL, NULL, out, &own);
    if (!st) st = own.code;
    if (st && err) *err = own;
    return st;
}

/* ---- save, load, explain ---------------------------------------------------------------------------------------- */

static json_t *words_json(const fi_ids *words)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < words->n; i++) bad |= json_array_append_new(list, json_string(words->text[i]));
    if (!bad) return list;
    json_decref(list);
    return NULL;
}

static json_t *lines_json(const chronos_model *m)
{
    json_t *all = json_array();
    for (size_t i = 0; i < m->n_lines; i++) {
        const line *l = &m->lines[i];
        json_t *one = json_object();
        int bad = json_object_set_new(one, "name", fi_json_name(l->name));
        bad |= json_object_set_new(one, "categorical", json_boolean(l->categorical));
        bad |= json_object_set_new(one, "values", fi_json_reals(l->values, m->n));
        if (l->text) bad |= json_object_set_new(one, "words", words_json(&l->words));
        bad |= json_array_append_new(all, one);
        if (bad) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static ftl_status chronos_save(const void *model, json_t **out, ftl_error *err)
{
    const chronos_model *m = model;
    const settings *s = &m->s;
    char *path = realpath(m->w->directory, NULL), *adapter = *m->w->adapter ? realpath(m->w->adapter, NULL) : NULL;
    json_t *o = json_object();
    int bad = json_object_set_new(o, "directory", fi_json_name(path ? path : m->w->directory));
    bad |= json_object_set_new(o, "adapter", fi_json_name(adapter ? adapter : m->w->adapter));
    bad |= json_object_set_new(o, "precision", json_string(precision_names[s->precision]));
    bad |= json_object_set_new(o, "num_samples", json_integer(s->num_samples));
    bad |= json_object_set_new(o, "temperature", fi_json_real(s->temperature));
    bad |= json_object_set_new(o, "top_k", json_integer(s->top_k));
    bad |= json_object_set_new(o, "top_p", fi_json_real(s->top_p));
    bad |= json_object_set_new(o, "context_length", json_integer(s->context_length));
    bad |= json_object_set_new(o, "batch_size", json_integer(s->batch_size));
    bad |= json_object_set_new(o, "cross_learning", json_boolean(s->cross_learning));
    bad |= json_object_set_new(o, "regressors", json_boolean(s->regressors));
    bad |= json_object_set_new(o, "tails", json_string(tails_names[s->tails]));
    bad |= json_object_set_new(o, "categorical", fi_json_name(m->categorical));
    bad |= json_object_set_new(o, "id", fi_json_name(m->id));
    bad |= json_object_set_new(o, "kind", json_integer(m->kind));
    bad |= json_object_set_new(o, "rows_before", json_integer((json_int_t)m->n_unseen));
    bad |= json_object_set_new(o, "n_targets", json_integer((json_int_t)m->n_targets));
    bad |= json_object_set_new(o, "lines", lines_json(m));
    free(path);
    free(adapter);
    *out = o;
    if (!bad) return FTL_OK;
    json_decref(o);
    *out = NULL;
    return fi_fail_memory(err);
}

static ftl_status get_word(const json_t *o, const char *key, const char *const *words, size_t n, int *out,
                           ftl_error *err)
{
    const char *word;
    ftl_status st = fi_json_get_text(o, key, &word, err);
    if (st) return st;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(words[i], word)) {
            *out = (int)i;
            return FTL_OK;
        }
    return fi_fail(err, FTL_EDATA, "key '%s' is '%s', which is none of its words", key, word);
}

static ftl_status get_amount(const json_t *o, const char *key, int64_t *out, ftl_error *err)
{
    ftl_status st = fi_json_get_int(o, key, out, err);
    if (st || *out >= 0) return st;
    return fi_fail(err, FTL_EDATA, "key '%s' is %lld, but must not be negative", key, (long long)*out);
}

static ftl_status get_settings(const json_t *o, settings *s, ftl_error *err)
{
    ftl_status st = get_word(o, "precision", precision_names, 3, &s->precision, err);
    if (!st) st = get_word(o, "tails", tails_names, 2, &s->tails, err);
    if (!st) st = get_amount(o, "num_samples", &s->num_samples, err);
    if (!st) st = fi_json_get_real(o, "temperature", &s->temperature, err);
    if (!st) st = get_amount(o, "top_k", &s->top_k, err);
    if (!st) st = fi_json_get_real(o, "top_p", &s->top_p, err);
    if (!st) st = get_amount(o, "context_length", &s->context_length, err);
    if (!st) st = get_amount(o, "batch_size", &s->batch_size, err);
    if (!st) st = fi_json_get_bool(o, "cross_learning", &s->cross_learning, err);
    if (!st) st = fi_json_get_bool(o, "regressors", &s->regressors, err);
    if (!st && !(s->temperature >= 0 && s->top_p >= 0 && s->top_p <= 1))
        st = fi_fail(err, FTL_EDATA, "keys 'temperature' and 'top_p' are out of range");
    return st;
}

/* The words of a line of text, and that its values are places among them (or, with several targets, behind them). */
static ftl_status get_words(const json_t *list, line *l, size_t n, bool ranked, ftl_error *err)
{
    l->text = true;
    l->unit = 1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        if (!word || fi_ids_find(&l->words, word, strlen(word)) != FI_NO_ID)
            return fi_fail(err, FTL_EDATA, "key 'words': entry %zu is no text or stands there twice", i + 1);
        if (fi_ids_add(&l->words, word, strlen(word))) return fi_fail_memory(err);
    }
    double most = (double)l->words.n + (ranked ? 0 : -1);
    for (size_t i = 0; i < n; i++) {
        double v = l->values[i];
        if (isnan(v) ? ranked : !(v >= 0 && v <= most && v == floor(v)))
            return fi_fail(err, FTL_EDATA, "key 'lines': value %zu of '%.60s' is no place among its words", i + 1,
                           l->name);
    }
    return FTL_OK;
}

static ftl_status get_line(const json_t *lines, size_t i, chronos_model *m, ftl_error *err)
{
    const json_t *o = json_array_get(lines, i);
    const char *name;
    bool categorical;
    double *values = NULL;
    size_t n = 0;
    ftl_status st = fi_json_get_text(o, "name", &name, err);
    if (!st) st = fi_json_get_bool(o, "categorical", &categorical, err);
    if (!st) st = fi_json_get_reals(o, "values", &values, &n, err);
    if (!st && !i) m->n = n;
    if (!st && (!n || n != m->n)) st = fi_fail(err, FTL_EDATA, "key 'lines': they must have the same number of values");
    for (size_t k = 0; !st && k < n; k++)
        if (isinf(values[k])) st = fi_fail(err, FTL_EDATA, "key 'lines': value %zu of '%s' is infinite", k + 1, name);
    if (!st) st = line_set(&m->lines[i], name, values, n, categorical, err);
    const json_t *words = json_object_get(o, "words");
    if (!st && words && (!json_is_array(words) || i < m->n_targets || categorical == (m->n_targets > 1)))
        st = fi_fail(err, FTL_EDATA, "key 'words' of '%.60s' does not describe a column of text", name);
    if (!st && words) st = get_words(words, &m->lines[i], n, m->n_targets > 1, err);
    fi_free(values);
    return st;
}

static ftl_status chronos_load_like(const json_t *object, const void *like, void **out, ftl_error *err)
{
    const chronos_model *other = like;
    const char *directory, *adapter, *categorical, *id;
    const json_t *lines = json_object_get(object, "lines");
    settings s = {0};
    int64_t kind = 0, before = 0, n_targets = 1;
    chronos_model *m = NULL;
    *out = NULL;
    ftl_status st = fi_json_get_text(object, "directory", &directory, err);
    if (!st) st = fi_json_get_text(object, "adapter", &adapter, err);
    if (!st) st = fi_json_get_text(object, "categorical", &categorical, err);
    if (!st) st = fi_json_get_text(object, "id", &id, err);
    if (!st) st = get_settings(object, &s, err);
    if (!st) st = get_amount(object, "kind", &kind, err);
    if (!st) st = get_amount(object, "rows_before", &before, err);
    if (!st && json_object_get(object, "n_targets")) st = get_amount(object, "n_targets", &n_targets, err);
    if (!st && (kind > FTL_TIME_DATETIME || n_targets < 1 || (size_t)n_targets > json_array_size(lines)))
        st = fi_fail(err, FTL_EDATA, "keys 'kind', 'n_targets' and 'lines' do not describe a series");
    if (!st) st = model_new(id, &s, categorical, (size_t)n_targets, json_array_size(lines), &m, err);
    for (size_t i = 0; !st && i < m->n_lines; i++) st = get_line(lines, i, m, err);
    if (!st) st = check_observed(m, err);
    if (st) goto done;
    m->kind = (ftl_time_kind)kind;
    m->n_unseen = (size_t)before;
    if (other && weights_are(other->w, directory, adapter, s.precision, 0))
        m->w = weights_hold(other->w);
    else
        st = weights_open(directory, adapter, s.precision, 0, &m->w, err);
    size_t context;
    if (!st) st = settle_context(&s, m->w->model, &context, err);
    if (!st && m->n_lines > 1 && !ftl_chronos_about(m->w->model).takes_covariates)
        st = fi_fail(err, FTL_EDATA,
                     "the model was saved with covariates or several targets, but the one of %s takes none", directory);
    if (st) goto done;
    *out = m;
    m = NULL;
done:
    chronos_free(m);
    return st;
}

static ftl_status chronos_load(const json_t *object, void **out, ftl_error *err)
{
    return chronos_load_like(object, NULL, out, err);
}

static ftl_status chronos_explain(const void *model, json_t **out, ftl_error *err)
{
    const chronos_model *m = model;
    char *text = NULL;
    json_t *weights_json = NULL, *o = json_object();
    size_t missing = 0;
    *out = NULL;
    ftl_status st = ftl_chronos_info(m->w->model, &text, err);
    if (!st) st = fi_json_parse(text, strlen(text), "info", &weights_json, err);
    ftl_text_free(text);
    if (st) goto done;
    for (size_t t = 0; t < m->n_targets; t++)
        for (size_t i = 0; i < m->n; i++) missing += isnan(m->lines[t].values[i]) ? 1 : 0;
    int bad = json_object_set(o, "weights", weights_json);
    bad |= json_object_set_new(o, "n_context", json_integer((json_int_t)m->n));
    bad |= json_object_set_new(o, "n_before_context", json_integer((json_int_t)m->n_unseen));
    bad |= json_object_set_new(o, "n_missing", json_integer((json_int_t)missing));
    json_t *names = json_array(), *targets = json_array();
    for (size_t i = 0; i < m->n_lines; i++)
        bad |= json_array_append_new(i < m->n_targets ? targets : names, fi_json_name(m->lines[i].name));
    bad |= json_object_set_new(o, "targets", targets);
    bad |= json_object_set_new(o, "covariates", names);
    if (bad) st = fi_fail_memory(err);
done:
    json_decref(weights_json);
    if (st)
        json_decref(o);
    else
        *out = o;
    return st;
}

const ftl_forecaster chronos_forecaster = {
    .name = "chronos",
    .summary = "pretrained: Chronos-T5, Chronos-Bolt or Chronos-2 from a directory of weights",
    .source = "Ansari et al., Chronos: learning the language of time series (2024), arXiv 2403.07815; Chronos-2: from "
              "univariate to universal forecasting (2025), arXiv 2510.15821",
    .capabilities = FTL_TAKES_MISSING | FTL_TAKES_REGRESSORS | FTL_TAKES_CATEGORIES | FTL_TAKES_UNKNOWN_FUTURE |
                    FTL_TAKES_GROUPS | FTL_GIVES_SAMPLES,
    .options = chronos_options,
    .n_options = sizeof chronos_options / sizeof *chronos_options,
    .config_size = sizeof(chronos_config),
    .first_option = "model",
    .init_config = chronos_init_config,
    .release_config = chronos_release_config,
    .config_capabilities = chronos_config_capabilities,
    .model_capabilities = chronos_model_capabilities,
    .fit = chronos_fit,
    .predict = chronos_predict,
    .save = chronos_save,
    .load = chronos_load,
    .load_like = chronos_load_like,
    .explain = chronos_explain,
    .free = chronos_free,
    .reach = chronos_reach,
    .batch_size = chronos_batch_size,
    .predict_batch = chronos_predict_batch,
};
