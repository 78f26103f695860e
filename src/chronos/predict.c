/*
 * Tasks in, forecasts out: checks, batches, levels. Tasks are added to a batch until it has batch_size rows, as upstream
 * packs them; each result leaves as soon as its batch is done, so memory is that of one batch.
 */
#include "chronos/chronos.h"

#include "base/alloc.h"
#include "base/error.h"
#include "chronos/covariates.h"
#include "chronos/quantiles.h"
#include "chronos/samples.h"

#include <math.h>

enum { CROSS_LEARNING_ROWS = 256, MAX_SAMPLES = 1000000 };
#define SAME_LEVEL 1e-9 /* two spellings of one level: 0.9 and (100 + 80) / 200 */

static const double tenths[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
enum { N_TENTHS = sizeof tenths / sizeof *tenths };

typedef struct job {
    const ftl_chronos *model;
    const ftl_chronos_task *tasks;
    size_t n_tasks;
    ftl_chronos_options o; /* settled */
    fi_categories *ranks;  /* [n_covariates] of several targets; empty where not categorical */
    size_t first, n;       /* the tasks of the batch */
    size_t n_rows, rows_capacity, encoded_capacity, values_capacity;
    size_t per_row; /* numbers that come out of a target: samples or levels times horizon */
    fi_chronos_row *rows;
    float *encoded;           /* categories of the batch as numbers */
    float *values;            /* [targets of the batch, per_row] */
    float *quantiles, *point; /* of one task */
    float *column;            /* of one step: paths, or quantiles at the model's levels and two more */
    fi_knot *knots;           /* [n_levels of the model + 2] */
    size_t result_capacity, point_capacity;
} job;

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static ftl_status check_levels(const double *levels, size_t n, const char *what, ftl_error *err)
{
    if (levels && !n) return fi_fail(err, FTL_EINVAL, "%s: there are none", what);
    for (size_t k = 0; levels && k < n; k++) {
        if (!(levels[k] > 0 && levels[k] < 1))
            return fi_fail(err, FTL_EINVAL, "%s: number %zu is %g, but must lie between 0 and 1, both excluded", what,
                           k + 1, levels[k]);
        if (k && !(levels[k] > levels[k - 1]))
            return fi_fail(err, FTL_EINVAL, "%s must increase strictly; number %zu does not", what, k + 1);
    }
    return FTL_OK;
}

static size_t find_level(const double *levels, size_t n, double level)
{
    size_t k = 0;
    while (k < n && fabs(levels[k] - level) > SAME_LEVEL) k++;
    return k;
}

static ftl_status settle_unrolled(const ftl_chronos_facts *f, ftl_chronos_options *o, ftl_error *err)
{
    if (!o->unrolled) {
        o->unrolled = tenths;
        o->n_unrolled = N_TENTHS;
    }
    ftl_status st = check_levels(o->unrolled, o->n_unrolled, "levels to feed back", err);
    for (size_t k = 0; !st && k < o->n_unrolled && o->horizon > f->prediction_length; k++)
        if (find_level(f->levels, f->n_levels, o->unrolled[k]) == f->n_levels)
            st = fi_fail(err, FTL_EINVAL, "level %g is to be fed back, but the model of %s does not have it",
                         o->unrolled[k], f->directory);
    return st;
}

static ftl_status settle_sampling(const ftl_chronos_facts *f, ftl_chronos_options *o, ftl_error *err)
{
    if (!o->num_samples) o->num_samples = f->num_samples;
    if (o->temperature == 0) o->temperature = f->temperature;
    if (!o->top_k) o->top_k = f->top_k;
    if (o->top_p == 0) o->top_p = f->top_p;
    if (o->num_samples > MAX_SAMPLES)
        return fi_fail(err, FTL_EINVAL, "%zu sample paths were asked for; the most is %d", o->num_samples, MAX_SAMPLES);
    if (!(o->temperature > 0 && isfinite(o->temperature)))
        return fi_fail(err, FTL_EINVAL, "the temperature is %g, but must be above 0", o->temperature);
    if (!(o->top_p > 0 && o->top_p <= 1))
        return fi_fail(err, FTL_EINVAL, "top_p is %g, but must be above 0 and at most 1", o->top_p);
    return FTL_OK;
}

size_t fi_chronos_batch_size(const ftl_chronos *model, bool cross_learning)
{
    return cross_learning ? CROSS_LEARNING_ROWS : model->family->batch_size;
}

static ftl_status settle(job *j, const ftl_chronos_options *options, ftl_error *err)
{
    const ftl_chronos_facts *f = &j->model->facts;
    ftl_chronos_options *o = &j->o;
    if (options) *o = *options;
    if (!o->horizon) o->horizon = f->prediction_length;
    if (!o->context_length) o->context_length = f->context_length;
    if (!o->batch_size) o->batch_size = fi_chronos_batch_size(j->model, o->cross_learning);
    if (o->context_length > f->context_length)
        return fi_fail(err, FTL_EINVAL,
                       "a context of %zu steps was asked for, but the model of %s looks at %zu at most",
                       o->context_length, f->directory, f->context_length);
    if (o->limit_horizon && o->horizon > f->prediction_length)
        return fi_fail(
            err, FTL_EINVAL,
            "the horizon is %zu steps, but the model of %s was trained for %zu; allow longer ones, or ask for "
            "fewer steps",
            o->horizon, f->directory, f->prediction_length);
    if (o->cross_learning && !f->takes_covariates)
        return fi_fail(err, FTL_EINVAL, "models of the family %s forecast every series by itself: no cross learning",
                       f->family);
    if (!o->levels) {
        o->levels = f->gives_samples ? tenths : f->levels;
        o->n_levels = f->gives_samples ? N_TENTHS : f->n_levels;
    }
    ftl_status st = check_levels(o->levels, o->n_levels, "quantile levels", err);
    if (!st && f->gives_samples) st = settle_sampling(f, o, err);
    if (!st && f->takes_covariates) st = settle_unrolled(f, o, err);
    size_t each = f->gives_samples ? o->num_samples : f->n_levels;
    if (!st && o->horizon > (size_t)-1 / sizeof(float) / each) st = fi_fail_memory(err);
    j->per_row = each * o->horizon;
    return st;
}

/* The first value that is infinite, or n. */
static size_t find_infinite(const float *values, size_t n)
{
    size_t i = 0;
    while (i < n && !isinf(values[i])) i++;
    return i;
}

static ftl_status refuse_infinite(const float *values, size_t n, size_t task, const char *what, size_t number,
                                  ftl_error *err)
{
    size_t i = values ? find_infinite(values, n) : n;
    if (i == n) return FTL_OK;
    return fi_fail(err, FTL_EDATA,
                   "task %zu, %s %zu: value %zu is infinite; write NaN for what is missing, or scale what is too large",
                   task + 1, what, number + 1, i + 1);
}

static bool is_categorical(const ftl_chronos_covariate *c)
{
    return c->categorical || c->text;
}

static bool is_known_ahead(const ftl_chronos_covariate *c)
{
    return c->future || c->ahead;
}

static ftl_status check_covariate(const job *j, size_t t, size_t c, ftl_error *err)
{
    const ftl_chronos_covariate *v = &j->tasks[t].covariates[c], *model = &j->tasks[0].covariates[c];
    const char *name = v->name ? v->name : "";
    if (!v->past == !v->text || (v->future && v->text) || (v->ahead && v->past))
        return fi_fail(
            err, FTL_EINVAL,
            "task %zu, covariate %zu '%s': its values must be either all numbers or all text, and its past be "
            "given",
            t + 1, c + 1, name);
    if (is_categorical(v) != is_categorical(model) || is_known_ahead(v) != is_known_ahead(model) ||
        !v->text != !model->text)
        return fi_fail(
            err, FTL_EDATA,
            "task %zu, covariate %zu '%s': it is not of the same kind as in the first task; covariates must be "
            "numeric or categorical, and known ahead or not, in all tasks alike",
            t + 1, c + 1, name);
    ftl_status st = refuse_infinite(v->past, j->tasks[t].length, t, "covariate", c, err);
    return st ? st : refuse_infinite(v->future, j->o.horizon, t, "future of covariate", c, err);
}

static ftl_status check_task(const job *j, size_t t, ftl_error *err)
{
    const ftl_chronos_task *task = &j->tasks[t];
    ftl_status st = FTL_OK;
    if (!task->n_targets || !task->length || task->length > (size_t)-1 / sizeof(float) / task->n_targets)
        return fi_fail(err, FTL_EDATA, "task %zu: it has %zu targets of %zu values; there must be at least one of each",
                       t + 1, task->n_targets, task->length);
    if (task->n_covariates && !j->model->facts.takes_covariates)
        return fi_fail(err, FTL_EINVAL,
                       "task %zu has covariates, but models of the family %s take none; leave them out, or use one of "
                       "chronos-2",
                       t + 1, j->model->facts.family);
    if (task->n_covariates != j->tasks[0].n_covariates)
        return fi_fail(err, FTL_EDATA,
                       "task %zu has %zu covariates, but the first task %zu; all tasks must have the same", t + 1,
                       task->n_covariates, j->tasks[0].n_covariates);
    for (size_t i = 0; !st && i < task->n_targets; i++)
        st = refuse_infinite(task->targets + i * task->length, task->length, t, "target", i, err);
    for (size_t c = 0; !st && c < task->n_covariates; c++) st = check_covariate(j, t, c, err);
    return st;
}

static fi_labels past_labels(const ftl_chronos_task *task, size_t c)
{
    return (fi_labels){task->covariates[c].text, task->covariates[c].past, task->length};
}

/* Several targets: categories are ranked among all tasks of the call. */
static ftl_status rank_categories(job *j, ftl_error *err)
{
    bool several = false;
    size_t n = j->n_tasks ? j->tasks[0].n_covariates : 0;
    for (size_t t = 0; t < j->n_tasks; t++) several = several || j->tasks[t].n_targets > 1;
    if (!several || !n) return FTL_OK;
    j->ranks = fi_calloc(n, sizeof *j->ranks);
    if (!j->ranks) return fi_fail_memory(err);
    for (size_t c = 0; c < n; c++) {
        if (!is_categorical(&j->tasks[0].covariates[c])) continue;
        for (size_t t = 0; t < j->n_tasks; t++) {
            const fi_labels labels = past_labels(&j->tasks[t], c);
            ftl_status st = fi_categories_add(&j->ranks[c], &labels, err);
            if (st) return st;
        }
        fi_categories_settle(&j->ranks[c]);
    }
    return FTL_OK;
}

/* Covariate c of a task as numbers: past [length] and, unless NULL, future [horizon]. */
static ftl_status encode(const job *j, const ftl_chronos_task *task, size_t c, float *past, float *future,
                         ftl_error *err)
{
    const ftl_chronos_covariate *v = &task->covariates[c];
    const fi_labels labels = past_labels(task, c), ahead = {v->ahead, v->future, j->o.horizon};
    if (task->n_targets == 1)
        return fi_encode_by_target(task->targets, &labels, future ? &ahead : NULL, past, future, err);
    fi_encode_ordinal(&j->ranks[c], &labels, past);
    if (future) fi_encode_ordinal(&j->ranks[c], &ahead, future);
    return FTL_OK;
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The next tasks that make a batch, and room for their rows, categories and values (per_row numbers a target). */
static ftl_status next_batch(job *j, size_t per_row, ftl_error *err)
{
    size_t rows = 0, targets = 0, encoded = 0;
    j->first += j->n;
    for (j->n = 0; j->first + j->n < j->n_tasks && rows < j->o.batch_size; j->n++) {
        const ftl_chronos_task *task = &j->tasks[j->first + j->n];
        rows += task->n_targets + task->n_covariates;
        targets += task->n_targets;
        for (size_t c = 0; c < task->n_covariates; c++)
            if (is_categorical(&task->covariates[c])) encoded += task->length + j->o.horizon;
    }
    j->n_rows = rows;
    if (per_row && targets > (size_t)-1 / sizeof(float) / per_row) return fi_fail_memory(err);
    if (fi_grow(&j->rows, &j->rows_capacity, rows, sizeof *j->rows) ||
        fi_grow(&j->encoded, &j->encoded_capacity, encoded, sizeof *j->encoded) ||
        fi_grow(&j->values, &j->values_capacity, targets * per_row, sizeof *j->values))
        return fi_fail_memory(err);
    return FTL_OK;
}

/* One key for the random numbers of a target: splitmix64's finaliser over seed, stream and target. */
static uint64_t row_seed(uint64_t seed, uint64_t stream, uint64_t target)
{
    const uint64_t parts[] = {stream, target};
    for (size_t i = 0; i < 2; i++) {
        seed += UINT64_C(0x9E3779B97F4A7C15) ^ parts[i];
        seed = (seed ^ seed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        seed = (seed ^ seed >> 27) * UINT64_C(0x94D049BB133111EB);
        seed ^= seed >> 31;
    }
    return seed;
}

/* A row of the last `context_length` values. */
static fi_chronos_row make_row(const job *j, const float *values, size_t length, size_t group)
{
    size_t n = least(length, j->o.context_length);
    return (fi_chronos_row){.context = values + (length - n), .length = n, .group = j->o.cross_learning ? 0 : group};
}

/* Rows of covariates: first those whose future is not known, then the others. */
static ftl_status covariate_rows(const job *j, size_t t, fi_chronos_row **row, float **encoded, ftl_error *err)
{
    const ftl_chronos_task *task = &j->tasks[j->first + t];
    for (int ahead = 0; ahead < 2; ahead++)
        for (size_t c = 0; c < task->n_covariates; c++) {
            const ftl_chronos_covariate *v = &task->covariates[c];
            if (is_known_ahead(v) != (ahead == 1)) continue;
            const float *past = v->past, *future = v->future;
            if (is_categorical(v)) {
                float *own = *encoded, *own_future = ahead ? own + task->length : NULL;
                ftl_status st = encode(j, task, c, own, own_future, err);
                if (st) return st;
                *encoded += task->length + j->o.horizon;
                past = own;
                future = own_future;
            }
            **row = make_row(j, past, task->length, t);
            (*row)++->future = future;
        }
    return FTL_OK;
}

static ftl_status make_rows(job *j, size_t per_row, ftl_error *err)
{
    fi_chronos_row *row = j->rows;
    float *encoded = j->encoded, *out = j->values;
    ftl_status st = FTL_OK;
    for (size_t t = 0; !st && t < j->n; t++) {
        const ftl_chronos_task *task = &j->tasks[j->first + t];
        for (size_t i = 0; i < task->n_targets; i++, row++) {
            *row = make_row(j, task->targets + i * task->length, task->length, t);
            row->seed = row_seed(j->o.seed, task->stream, i);
            if (!per_row) continue; /* embedding: nothing is forecast */
            row->out = out;
            out += per_row;
        }
        st = covariate_rows(j, t, &row, &encoded, err);
    }
    return st;
}

static bool go_on(void *user)
{
    const job *j = user;
    return !j->o.progress || j->o.progress(j->o.progress_user, j->first, 0);
}

static fi_chronos_batch batch_of(job *j)
{
    return (fi_chronos_batch){.rows = j->rows,
                              .n_rows = j->n_rows,
                              .horizon = j->o.horizon,
                              .n_samples = j->o.num_samples,
                              .top_k = j->o.top_k,
                              .temperature = j->o.temperature,
                              .top_p = j->o.top_p,
                              .max_output_patches = j->o.max_output_patches,
                              .unrolled = j->o.unrolled,
                              .n_unrolled = j->o.n_unrolled,
                              .go_on = go_on,
                              .user = j};
}

/* After each batch. */
static ftl_status report(const job *j, ftl_error *err)
{
    if (!j->o.progress || j->o.progress(j->o.progress_user, j->first + j->n, j->n_tasks)) return FTL_OK;
    return fi_fail(err, FTL_ECANCELLED, "cancelled after %zu of %zu tasks", j->first + j->n, j->n_tasks);
}

static void job_release(job *j)
{
    for (size_t c = 0; j->ranks && c < j->tasks[0].n_covariates; c++) fi_categories_release(&j->ranks[c]);
    fi_free(j->ranks);
    fi_free(j->rows);
    fi_free(j->encoded);
    fi_free(j->values);
    fi_free(j->quantiles);
    fi_free(j->point);
    fi_free(j->column);
    fi_free(j->knots);
}

/* ---- levels ----------------------------------------------------------------------------------------------------- */

/* One target's paths [n_samples, horizon] as quantiles [n_levels, horizon] and their mean. */
static void levels_of_paths(const job *j, const float *paths, float *q, float *point)
{
    size_t n = j->o.num_samples, horizon = j->o.horizon;
    for (size_t h = 0; h < horizon; h++) {
        double sum = 0;
        for (size_t s = 0; s < n; s++) sum += (double)(j->column[s] = paths[s * horizon + h]);
        fi_sort_samples(j->column, n);
        for (size_t k = 0; k < j->o.n_levels; k++)
            q[k * horizon + h] = fi_sample_quantile(j->column, n, j->o.levels[k]);
        point[h] = (float)(sum / (double)n);
    }
}

/* Are all levels asked for among the model's? Then they are picked, not interpolated. */
static bool levels_are_the_models(const job *j)
{
    const ftl_chronos_facts *f = &j->model->facts;
    for (size_t k = 0; k < j->o.n_levels; k++)
        if (find_level(f->levels, f->n_levels, j->o.levels[k]) == f->n_levels) return false;
    return true;
}

/*
 * One target's quantiles at the model's levels as those at the levels asked for, and the median. Where upstream sorts, it
 * does so with the outermost quantiles once more at levels 0 and 1, which matters where they cross others.
 */
static void levels_of_levels(const job *j, const float *given, float *q, float *point)
{
    const ftl_chronos_facts *f = &j->model->facts;
    const bool pick = levels_are_the_models(j), sorts = !pick && j->model->family->sorts_levels;
    const size_t n = f->n_levels, horizon = j->o.horizon, edge = sorts ? 1 : 0, n_knots = n + 2 * edge;
    for (size_t h = 0; h < horizon; h++) {
        for (size_t i = 0; i < n_knots; i++) {
            const size_t k = i < edge ? 0 : i - edge < n ? i - edge : n - 1;
            const double level = i < edge ? 0 : i - edge < n ? f->levels[k] : 1;
            j->column[i] = given[k * horizon + h];
            j->knots[i] = (fi_knot){level, j->column[i]};
        }
        point[h] = fi_interpolate_quantile(j->knots, n_knots, 0.5);
        if (sorts) fi_sort_samples(j->column, n_knots);
        for (size_t i = 0; i < n_knots && sorts; i++) j->knots[i].value = j->column[i];
        for (size_t k = 0; k < j->o.n_levels; k++)
            q[k * horizon + h] = pick ? given[find_level(f->levels, n, j->o.levels[k]) * horizon + h]
                                      : fi_interpolate_quantile(j->knots, n_knots, j->o.levels[k]);
    }
}

static bool all_missing(const float *values, size_t n)
{
    while (n && isnan(values[n - 1])) n--;
    return n == 0;
}

/* The result of the t-th task of the batch, whose first row is `row`. */
static ftl_status finish_task(job *j, size_t t, const fi_chronos_row *row, ftl_chronos_result *out, ftl_error *err)
{
    const ftl_chronos_task *task = &j->tasks[j->first + t];
    size_t horizon = j->o.horizon, n = task->n_targets, each = j->o.n_levels * horizon;
    if (fi_grow(&j->quantiles, &j->result_capacity, n * each, sizeof *j->quantiles) ||
        fi_grow(&j->point, &j->point_capacity, n * horizon, sizeof *j->point))
        return fi_fail_memory(err);
    *out = (ftl_chronos_result){
        .task = j->first + t, .n_targets = n, .horizon = horizon, .n_levels = j->o.n_levels, .levels = j->o.levels};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < j->per_row; k++)
            if (!isfinite(row[i].out[k]))
                return fi_fail(
                    err, FTL_ENUMERIC,
                    "task %zu, target %zu: the model of %s gave a number that is not finite; scale the values "
                    "(they may be too large), or look at its weights",
                    j->first + t + 1, i + 1, j->model->facts.directory);
        (j->model->facts.gives_samples ? levels_of_paths : levels_of_levels)(j, row[i].out, j->quantiles + i * each,
                                                                             j->point + i * horizon);
        out->blind = out->blind || all_missing(row[i].context, row[i].length);
    }
    out->quantiles = j->quantiles;
    out->point = j->point;
    if (!j->model->facts.gives_samples) return FTL_OK;
    out->n_samples = j->o.num_samples;
    out->samples = row->out;
    return FTL_OK;
}

/* ---- predict ---------------------------------------------------------------------------------------------------- */

static ftl_status run_batch(job *j, ftl_error *err)
{
    ftl_chronos *m = (ftl_chronos *)j->model; /* its engine and graphs serve one call at a time */
    const fi_chronos_batch batch = batch_of(j);
    pthread_mutex_lock(&m->lock);
    ftl_status st = m->family->predict(m->state, &batch, err);
    pthread_mutex_unlock(&m->lock);
    return st == FTL_ENUMERIC ? fi_fail_prefix(err, "the model of %s", m->facts.directory) : st;
}

static ftl_status deliver(job *j, ftl_chronos_fn sink, void *user, ftl_error *err)
{
    const fi_chronos_row *row = j->rows;
    for (size_t t = 0; t < j->n; t++) {
        const ftl_chronos_task *task = &j->tasks[j->first + t];
        ftl_chronos_result result;
        ftl_status st = finish_task(j, t, row, &result, err);
        if (st) return st;
        if (!sink(user, &result))
            return fi_fail(err, FTL_ECANCELLED, "cancelled after %zu of %zu tasks", j->first + t + 1, j->n_tasks);
        row += task->n_targets + task->n_covariates;
    }
    return FTL_OK;
}

ftl_status ftl_chronos_predict(const ftl_chronos *model, const ftl_chronos_task *tasks, size_t n_tasks,
                               const ftl_chronos_options *options, ftl_chronos_fn sink, void *user, ftl_error *err)
{
    job j = {.model = model, .tasks = tasks, .n_tasks = n_tasks};
    ftl_status st = settle(&j, options, err);
    for (size_t t = 0; !st && t < n_tasks; t++) st = check_task(&j, t, err);
    if (!st) st = rank_categories(&j, err);
    if (!st) {
        size_t n = model->facts.gives_samples ? j.o.num_samples : model->facts.n_levels;
        j.column = fi_alloc(n + 2, sizeof *j.column);
        j.knots = fi_alloc(model->facts.n_levels + 2, sizeof *j.knots);
        if (!j.column || !j.knots) st = fi_fail_memory(err);
    }
    while (!st && j.first + j.n < n_tasks) {
        st = next_batch(&j, j.per_row, err);
        if (!st) st = make_rows(&j, j.per_row, err);
        if (!st) st = run_batch(&j, err);
        if (!st) st = deliver(&j, sink, user, err);
        if (!st) st = report(&j, err);
    }
    job_release(&j);
    return st;
}

/* ---- embed ------------------------------------------------------------------------------------------------------ */

static ftl_status check_for_embedding(const job *j, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t t = 0; !st && t < j->n_tasks; t++)
        st = j->tasks[t].n_covariates
                 ? fi_fail(err, FTL_EINVAL, "task %zu has covariates, which cannot be embedded; leave them out", t + 1)
                 : check_task(j, t, err);
    return st;
}

typedef struct states {
    float **row;        /* [rows] */
    float *block;       /* where they point */
    float *loc, *scale; /* [rows] */
} states;

static ftl_status states_new(const job *j, states *s, ftl_error *err)
{
    const ftl_chronos *m = j->model;
    size_t total = 0;
    s->row = fi_alloc(j->n_rows, sizeof *s->row);
    s->loc = fi_alloc(j->n_rows, sizeof *s->loc);
    s->scale = fi_alloc(j->n_rows, sizeof *s->scale);
    for (size_t r = 0; r < j->n_rows; r++) total += m->family->n_tokens(m->state, j->rows[r].length);
    s->block = total > (size_t)-1 / sizeof(float) / m->facts.d_model
                   ? NULL
                   : fi_alloc(total * m->facts.d_model, sizeof *s->block);
    if (!s->row || !s->loc || !s->scale || !s->block) return fi_fail_memory(err);
    float *at = s->block;
    for (size_t r = 0; r < j->n_rows; r++) {
        s->row[r] = at;
        at += m->family->n_tokens(m->state, j->rows[r].length) * m->facts.d_model;
    }
    return FTL_OK;
}

static void states_release(states *s)
{
    fi_free(s->row);
    fi_free(s->block);
    fi_free(s->loc);
    fi_free(s->scale);
    *s = (states){0};
}

static ftl_status embed_batch(job *j, ftl_chronos_embedding_fn sink, void *user, ftl_error *err)
{
    ftl_chronos *m = (ftl_chronos *)j->model;
    const fi_chronos_batch batch = batch_of(j);
    states s = {0};
    ftl_status st = states_new(j, &s, err);
    if (!st) {
        pthread_mutex_lock(&m->lock);
        st = m->family->embed(m->state, &batch, s.row, s.loc, s.scale, err);
        pthread_mutex_unlock(&m->lock);
    }
    for (size_t t = 0, r = 0; !st && t < j->n; t++) {
        size_t rows = j->tasks[j->first + t].n_targets;
        const ftl_chronos_embedding e = {j->first + t,     rows,     m->family->n_tokens(m->state, j->rows[r].length),
                                         m->facts.d_model, s.row[r], s.loc + r,
                                         s.scale + r};
        if (!sink(user, &e))
            st = fi_fail(err, FTL_ECANCELLED, "cancelled after %zu of %zu tasks", j->first + t + 1, j->n_tasks);
        r += rows;
    }
    states_release(&s);
    return st;
}

ftl_status ftl_chronos_embed(const ftl_chronos *model, const ftl_chronos_task *tasks, size_t n_tasks,
                             const ftl_chronos_options *options, ftl_chronos_embedding_fn sink, void *user,
                             ftl_error *err)
{
    job j = {.model = model, .tasks = tasks, .n_tasks = n_tasks};
    ftl_status st = settle(&j, options, err);
    if (!st) st = check_for_embedding(&j, err);
    while (!st && j.first + j.n < n_tasks) {
        st = next_batch(&j, 0, err);
        if (!st) st = make_rows(&j, 0, err);
        if (!st) st = embed_batch(&j, sink, user, err);
        if (!st) st = report(&j, err);
    }
    job_release(&j);
    return st;
}
