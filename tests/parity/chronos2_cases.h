/* Cases of Chronos-2 in JSON (tools/make_toy_chronos2.py tells the form) as tasks, and predictions gathered. */
#ifndef TESTS_PARITY_CHRONOS2_CASES_H
#define TESTS_PARITY_CHRONOS2_CASES_H

#include <foretell/chronos.h>

#include "base/json.h"

#include "check.h"

/* What the tasks of a case borrow; all of it is freed together. */
typedef struct case_memory {
    void *block[4096];
    size_t n;
} case_memory;

static inline void *case_alloc(case_memory *m, size_t count, size_t size)
{
    CHECK(m->n < sizeof m->block / sizeof *m->block);
    void *p = calloc(count ? count : 1, size);
    CHECK(p);
    return m->block[m->n++] = p;
}

static inline void case_release(case_memory *m)
{
    while (m->n) free(m->block[--m->n]);
}

static inline json_t *case_file(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root) fail_msg("%s: %s", path, error.text);
    return root;
}

static inline void case_numbers(const json_t *list, float *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        out[i] = json_is_null(v) ? NAN : (float)json_number_value(v);
    }
}

/* A list of numbers, or (text, booleans) of categories. */
static inline void case_values(case_memory *m, const json_t *list, const float **numbers, const char *const **text)
{
    size_t n = json_array_size(list);
    bool is_text = false;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        is_text = is_text || json_is_string(v) || json_is_boolean(v);
    }
    if (!is_text) {
        float *x = case_alloc(m, n, sizeof *x);
        case_numbers(list, x);
        *numbers = x;
        return;
    }
    const char **words = case_alloc(m, n, sizeof *words);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        words[i] = json_is_boolean(v) ? (json_is_true(v) ? "True" : "False") : json_string_value(v);
    }
    *text = words;
}

static inline int case_by_name(const void *a, const void *b)
{
    return strcmp(((const ftl_chronos_covariate *)a)->name, ((const ftl_chronos_covariate *)b)->name);
}

static inline ftl_chronos_task case_task(case_memory *m, const json_t *input)
{
    const json_t *target = json_is_object(input) ? json_object_get(input, "target") : input, *list;
    bool several = json_is_array(json_array_get(target, 0));
    ftl_chronos_task task = {0};
    task.n_targets = several ? json_array_size(target) : 1;
    task.length = json_array_size(several ? json_array_get(target, 0) : target);
    float *values = case_alloc(m, task.n_targets * task.length, sizeof *values);
    for (size_t i = 0; i < task.n_targets; i++)
        case_numbers(several ? json_array_get(target, i) : target, values + i * task.length);
    task.targets = values;
    const json_t *past = json_is_object(input) ? json_object_get(input, "past_covariates") : NULL;
    const json_t *future = json_is_object(input) ? json_object_get(input, "future_covariates") : NULL;
    ftl_chronos_covariate *covariates = case_alloc(m, json_object_size(past), sizeof *covariates);
    const char *name;
    json_object_foreach((json_t *)past, name, list)
    {
        ftl_chronos_covariate *c = &covariates[task.n_covariates++];
        c->name = name;
        case_values(m, list, &c->past, &c->text);
        if (json_object_get(future, name)) case_values(m, json_object_get(future, name), &c->future, &c->ahead);
    }
    qsort(covariates, task.n_covariates, sizeof *covariates, case_by_name);
    task.covariates = covariates;
    return task;
}

static inline ftl_chronos_task *case_tasks(case_memory *m, const json_t *inputs, size_t *n)
{
    *n = json_array_size(inputs);
    ftl_chronos_task *tasks = case_alloc(m, *n, sizeof *tasks);
    for (size_t i = 0; i < *n; i++) tasks[i] = case_task(m, json_array_get(inputs, i));
    return tasks;
}

static inline ftl_chronos_options case_options(case_memory *m, const json_t *c)
{
    const json_t *kwargs = json_object_get(c, "kwargs"), *unrolled = json_object_get(kwargs, "unrolled_quantiles");
    ftl_chronos_options o = {0};
    o.horizon = (size_t)json_integer_value(json_object_get(c, "horizon"));
    o.cross_learning = json_is_true(json_object_get(kwargs, "cross_learning"));
    o.context_length = (size_t)json_integer_value(json_object_get(kwargs, "context_length"));
    o.max_output_patches = (size_t)json_integer_value(json_object_get(kwargs, "max_output_patches"));
    if (unrolled) {
        double *levels = case_alloc(m, json_array_size(unrolled), sizeof *levels);
        for (size_t i = 0; i < json_array_size(unrolled); i++)
            levels[i] = json_number_value(json_array_get(unrolled, i));
        o.unrolled = levels;
        o.n_unrolled = json_array_size(unrolled);
    }
    return o;
}

/* The quantiles of all tasks, copied as they come. */
typedef struct case_results {
    case_memory *memory;
    float *quantiles[64], *point[64]; /* of each task */
    size_t n[64], n_tasks;            /* numbers of `quantiles` */
} case_results;

static inline bool case_collect(void *user, const ftl_chronos_result *r)
{
    case_results *all = user;
    CHECK_INT(r->task, all->n_tasks);
    CHECK(r->task < 64);
    size_t n = r->n_targets * r->n_levels * r->horizon;
    all->n[r->task] = n;
    all->quantiles[r->task] = case_alloc(all->memory, n, sizeof(float));
    all->point[r->task] = case_alloc(all->memory, r->n_targets * r->horizon, sizeof(float));
    memcpy(all->quantiles[r->task], r->quantiles, n * sizeof(float));
    memcpy(all->point[r->task], r->point, r->n_targets * r->horizon * sizeof(float));
    all->n_tasks++;
    return true;
}

static inline case_results case_predict(case_memory *memory, const ftl_chronos *model, const ftl_chronos_task *tasks,
                                        size_t n, const ftl_chronos_options *options)
{
    case_results r = {.memory = memory};
    ftl_error err;
    if (ftl_chronos_predict(model, tasks, n, options, case_collect, &r, &err)) fail_msg("%s", err.message);
    CHECK_INT(r.n_tasks, n);
    return r;
}

static inline ftl_chronos *case_model(const char *directory, const ftl_chronos_open_args *args)
{
    ftl_chronos *model;
    ftl_error err;
    if (ftl_chronos_open(directory, args, &model, &err)) fail_msg("%s", err.message);
    return model;
}

#endif
