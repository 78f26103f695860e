/* A Chronos family opened from a directory, and numbers compared with those of upstream. */
#ifndef TESTS_CHRONOS_H
#define TESTS_CHRONOS_H

#include "check.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "chronos/family.h"

static inline json_t *read_json(const char *path)
{
    char *text;
    size_t size;
    ftl_error err = {0};
    json_t *out = NULL;
    if (fi_file_read(path, 64 << 20, &text, &size, &err) || fi_json_parse(text, size, path, &out, &err))
        fail_msg("%s", err.message);
    fi_free(text);
    return out;
}

/* The member `key` of an object as floats, flat (null: NaN); goes to fi_free. */
static inline float *floats(const json_t *object, const char *key, size_t *n)
{
    double *x;
    ftl_error err = {0};
    if (fi_json_get_reals(object, key, &x, n, &err)) fail_msg("%s", err.message);
    float *out = fi_alloc(*n, sizeof *out);
    for (size_t i = 0; i < *n; i++) out[i] = (float)x[i];
    fi_free(x);
    return out;
}

static inline double number(const json_t *object, const char *key)
{
    double x;
    ftl_error err = {0};
    if (fi_json_get_real(object, key, &x, &err)) fail_msg("%s", err.message);
    return x;
}

/* Within 1e-5 and 1e-5 of the size; returns the largest error relative to that. */
static inline double check_floats(const char *what, const float *actual, const json_t *object, const char *key)
{
    size_t n;
    double worst = 0;
    float *expected = floats(object, key, &n);
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)actual[i] - (double)expected[i]) / (1e-5 + 1e-5 * fabs((double)expected[i]));
        if (!(error <= 1) && !(isnan(actual[i]) && isnan(expected[i])))
            fail_msg("%s: %s[%zu] is %.9g, expected %.9g", what, key, i, (double)actual[i], (double)expected[i]);
        if (error > worst) worst = error;
    }
    fi_free(expected);
    return worst;
}

typedef struct opened {
    const fi_chronos_family *family;
    fi_engine *engine;
    ftl_chronos_facts facts;
    void *model;
} opened;

static inline ftl_status open_family(const fi_chronos_family *family, const char *directory, size_t threads,
                                     fi_dtype precision, opened *out, ftl_error *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/config.json", directory);
    json_t *config = read_json(path);
    fi_weights *weights = NULL;
    *out = (opened){.family = family};
    ftl_status st = fi_engine_new(threads, &out->engine, err);
    if (!st) st = fi_weights_open(directory, &weights, err);
    fi_chronos_source source = {config,   json_object_get(config, "chronos_config"), path, weights, out->engine,
                                precision};
    if (!st) st = family->open(&source, &out->facts, &out->model, err);
    fi_weights_close(weights);
    json_decref(config);
    return st;
}

static inline void must_open(const fi_chronos_family *family, const char *directory, size_t threads, fi_dtype precision,
                             opened *out)
{
    ftl_error err = {0};
    if (open_family(family, directory, threads, precision, out, &err)) fail_msg("%s", err.message);
}

static inline void close_family(opened *o)
{
    o->family->close(o->model);
    fi_engine_free(o->engine);
}

static inline bool go_on(void *user)
{
    (void)user;
    return true;
}

/* A batch with the settings of the model's config. */
static inline fi_chronos_batch batch_of(const opened *o, const fi_chronos_row *rows, size_t n, size_t horizon)
{
    return (fi_chronos_batch){.rows = rows,
                              .n_rows = n,
                              .horizon = horizon,
                              .n_samples = o->facts.num_samples,
                              .top_k = o->facts.top_k,
                              .temperature = o->facts.temperature,
                              .top_p = o->facts.top_p,
                              .go_on = go_on};
}

static inline void must_predict(const opened *o, const fi_chronos_batch *batch)
{
    ftl_error err = {0};
    if (o->family->predict(o->model, batch, &err)) fail_msg("%s", err.message);
}

/* A context as chronos.c hands it over: the end that the model looks at. */
static inline fi_chronos_row row_of(const opened *o, const float *x, size_t n, float *out)
{
    const size_t most = o->facts.context_length, length = n < most ? n : most;
    return (fi_chronos_row){.context = x + (n - length), .length = length, .seed = 1, .out = out};
}

#endif
