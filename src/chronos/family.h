/*
 * What a Chronos family is: a table of functions over rows of numbers. chronos.c does all that families share: it reads
 * the directory, checks tasks and options, turns categories into numbers, cuts histories to the context, packs tasks into
 * batches, interpolates levels and hands results over in order. A family knows only its network and its rules of
 * scaling, decoding and unrolling.
 *
 * A new family is one file with one table, and a line in chronos.c.
 */
#ifndef FI_CHRONOS_FAMILY_H
#define FI_CHRONOS_FAMILY_H

#include <foretell/chronos.h>

#include "base/json.h"
#include "tensor/engine.h"
#include "tensor/weights.h"

/* What a family opens from: all borrowed for the time of the call, but the engine, which outlives the model. */
typedef struct fi_chronos_source {
    const json_t *config;      /* the whole of config.json, an object */
    const json_t *chronos;     /* its chronos_config: an object, never NULL */
    const char *config_path;   /* for messages: "DIR/config.json: key 'd_kv' ..." */
    const fi_weights *weights; /* adapter merged; let go by chronos.c after open */
    fi_engine *engine;
    fi_dtype precision; /* FI_F32, FI_BF16, FI_I8 */
} fi_chronos_source;

/* Puts the path of the config before the message of a failed check; returns st. */
ftl_status fi_chronos_named(const fi_chronos_source *source, ftl_status st, ftl_error *err);
/* Getters of config keys whose messages name the file: "DIR/config.json: key 'd_model' is 0, but must be 1 to 65536". */
ftl_status fi_chronos_get_count(const fi_chronos_source *source, const json_t *object, const char *key, size_t low,
                                size_t high, size_t *out, ftl_error *err);
/* FTL_EDATA where the weights go on after the n layers that config.json[key] tells: half a model forecasts nonsense. */
ftl_status fi_chronos_check_depth(const fi_chronos_source *source, const char *stack, const char *key, size_t n,
                                  ftl_error *err);
/* As above; `missing` where the key is absent or null. */
ftl_status fi_chronos_get_count_or(const fi_chronos_source *source, const json_t *object, const char *key, size_t low,
                                   size_t high, size_t missing, size_t *out, ftl_error *err);
ftl_status fi_chronos_get_real_or(const fi_chronos_source *source, const json_t *object, const char *key, double low,
                                  double high, double missing, double *out, ftl_error *err);
ftl_status fi_chronos_get_bool_or(const fi_chronos_source *source, const json_t *object, const char *key, bool missing,
                                  bool *out, ftl_error *err);
/* The key "quantiles": 1 to 256 levels in (0, 1), strictly increasing. *out goes to fi_free. */
ftl_status fi_chronos_get_levels(const fi_chronos_source *source, double **out, size_t *n, ftl_error *err);

/* One row of a batch: a target, or (chronos-2) a covariate. */
typedef struct fi_chronos_row {
    const float *context; /* [length] oldest first, NaN missing, never infinite */
    size_t length;        /* 1 .. facts.context_length (or less, where the caller asked for it) */
    const float *future;  /* [horizon] known ahead, NaN unknown; NULL: nothing is known */
    size_t group;         /* rows of equal group see one another; they are neighbours */
    uint64_t seed;        /* key of the row's random numbers: seed, stream and target in one */
    float *out;           /* where the forecast goes: [n_samples or n_levels, horizon]; NULL: not wanted */
} fi_chronos_row;

/* Rows that run together. What comes out of a row depends on its group only, never on other rows of the batch. */
typedef struct fi_chronos_batch {
    const fi_chronos_row *rows;
    size_t n_rows, horizon;
    size_t n_samples, top_k; /* settled: never 0 (chronos-t5) */
    double temperature, top_p;
    size_t max_output_patches; /* 0: the model's own (chronos-2) */
    const double *unrolled; /* [n_unrolled] levels to feed back, all among the model's (chronos-2); never NULL there */
    size_t n_unrolled;
    /* To be asked between decoding steps and blocks: false means to give up with FTL_ECANCELLED. Never NULL. */
    bool (*go_on)(void *user);
    void *user;
} fi_chronos_batch;

typedef struct fi_chronos_family {
    const char *name;     /* "chronos-t5" */
    const char *pipeline; /* "ChronosPipeline": what chronos_pipeline_class says */
    bool gives_samples, takes_covariates;
    bool sorts_levels; /* upstream interpolates levels between sorted quantiles (chronos-bolt) */
    size_t batch_size; /* rows of a batch that suit it, where the caller says nothing */

    /*
     * Reads the config, then the weights. Fills family's part of *facts: context_length, prediction_length, d_model,
     * n_parameters, weight_bytes, levels (owned by the model) and n_levels, or the defaults of sampling. Everything in
     * the config is hostile: check each number before it is used as a size.
     * FTL_EDATA names file and key or tensor.
     */
    ftl_status (*open)(const fi_chronos_source *source, ftl_chronos_facts *facts, void **out, ftl_error *err);
    void (*close)(void *model); /* NULL is fine */
    /*
     * Fills rows[i].out. The model is used by one thread at a time (chronos.c holds a lock), so it may keep recorded
     * graphs of earlier shapes.
     */
    ftl_status (*predict)(void *model, const fi_chronos_batch *batch, ftl_error *err);
    /* Tokens of the embedding of a row of that length. */
    size_t (*n_tokens)(const void *model, size_t length);
    /* Fills states[i] [n_tokens(rows[i].length), d_model], loc[i] and scale[i] for every row. */
    ftl_status (*embed)(void *model, const fi_chronos_batch *batch, float *const *states, float *loc, float *scale,
                        ftl_error *err);
    /* The memory of a batch of `rows` rows, each a group of its own; arguments are settled, never 0. */
    ftl_chronos_memory (*memory)(void *model, size_t rows, size_t context, size_t horizon, size_t samples);
} fi_chronos_family;

extern const fi_chronos_family fi_chronos_t5, fi_chronos_bolt, fi_chronos_2;

#endif
