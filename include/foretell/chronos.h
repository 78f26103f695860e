/**
 * @file chronos.h
 * Pretrained forecasters of the Chronos families, read from directories of the Hugging Face layout.
 *
 *     ftl_chronos *model;  ftl_error err;
 *     ftl_chronos_open("models/chronos-bolt-small", NULL, &model, &err);
 *     ftl_chronos_task task = FTL_CHRONOS_TASK(values, n);
 *     ftl_chronos_options options = {0};  options.horizon = 64;
 *     ftl_chronos_predict(model, &task, 1, &options, on_result, user, &err);
 *     ftl_chronos_close(model);
 *
 * Three families, told apart by config.json ("chronos_pipeline_class"):
 *
 *   chronos-t5    language model over value tokens; gives sample paths       Ansari et al. 2024, arXiv 2403.07815
 *   chronos-bolt  T5 over patches of values; gives quantiles                 Amazon 2024
 *   chronos-2     encoder over time and over the rows of a task; quantiles,  Ansari et al. 2025, arXiv 2510.15821
 *                 several targets, covariates
 *
 * Outputs equal those of the Python package chronos-forecasting 2.3 in float32 up to rounding (sample paths: in
 * distribution), with the differences that are named below. For ordinary forecasts of series the forecaster "chronos"
 * of forecaster.h is simpler; this interface is for what a class with upstream's methods needs. Since 0.2.
 */
#ifndef FORETELL_CHRONOS_H
#define FORETELL_CHRONOS_H

#include <foretell/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A loaded model. Immutable; threads may share it, and calls of several threads take turns. */
typedef struct ftl_chronos ftl_chronos;

/** How products with the model's matrices are computed. All else is float32 in every precision. */
typedef enum ftl_precision {
    FTL_F32,  /**< as the reference */
    FTL_BF16, /**< weights and activations rounded to bfloat16 in products, sums in float32 */
    FTL_INT8  /**< weights int8 with a scale per output, activations uint8 with a scale per row; sums exact */
} ftl_precision;

/** How to open. Zero is the default of every member. */
typedef struct ftl_chronos_open_args {
    const char *adapter; /**< directory of a LoRA adapter (PEFT) that is merged into the weights; NULL: none */
    ftl_precision precision;
    size_t n_threads; /**< 0: one a processor. The bits of a result do not depend on it */
} ftl_chronos_open_args;

/** What a model is. Pointers are owned by the model. */
typedef struct ftl_chronos_facts {
    const char *directory, *family; /**< family: "chronos-t5", "chronos-bolt", "chronos-2" */
    ftl_precision precision;
    bool gives_samples;       /**< chronos-t5 */
    bool takes_covariates;    /**< chronos-2: covariates, and targets of one task that see one another */
    size_t context_length;    /**< steps of history that are looked at */
    size_t prediction_length; /**< steps of one pass; further ones follow by feeding back what was predicted */
    size_t d_model;
    size_t n_parameters;
    size_t weight_bytes;  /**< of memory, as packed for the precision */
    const double *levels; /**< [n_levels] quantile levels of the model's output; empty for chronos-t5 */
    size_t n_levels;
    size_t num_samples; /**< defaults of sampling in config.json (chronos-t5) */
    double temperature;
    size_t top_k;
    double top_p;
} ftl_chronos_facts;

/** Memory of a prediction beside the weights, at its peak: values inside the network, and caches of decoding. */
typedef struct ftl_chronos_memory {
    size_t activation_bytes, cache_bytes;
} ftl_chronos_memory;

/**
 * A covariate of a task: numbers, or categories as text or as numeric codes. Categories become numbers as upstream
 * encodes them: for one target the mean of the target at that category, (mean + sum) / (1 + count) over observed values,
 * a missing category being one of its own and an unseen one the mean; for several targets the rank of the category among
 * all that the tasks of the call have, a missing one being the last and an unseen one missing.
 */
typedef struct ftl_chronos_covariate {
    const char *name;         /**< for messages; may be NULL */
    const float *past;        /**< [length] NaN is missing; NULL for text */
    const float *future;      /**< [horizon] values known ahead, NaN is unknown; NULL: not known */
    bool categorical;         /**< the numbers in past and future are codes of categories */
    const char *const *text;  /**< [length] categories, NULL is missing; in place of past */
    const char *const *ahead; /**< [horizon] categories known ahead; in place of future */
} ftl_chronos_covariate;

/**
 * What to forecast: one series, or several that belong together. Everything is borrowed for the time of a call.
 * Families other than chronos-2 forecast each target by itself and refuse covariates.
 */
typedef struct ftl_chronos_task {
    size_t n_targets, length;
    const float *targets; /**< [n_targets, length] oldest first, NaN is missing; infinities are refused */
    const ftl_chronos_covariate
        *covariates; /**< [n_covariates]; the same ones, in this order, in every task of a call */
    size_t n_covariates;
    uint64_t stream; /**< which random numbers: paths are drawn from (seed, stream, target), never from the place in a
                          batch. Tasks that share a stream share their luck */
} ftl_chronos_task;
/** A task of one series: FTL_CHRONOS_TASK(values, n). */
#define FTL_CHRONOS_TASK(values, n)                                                                                    \
    {                                                                                                                  \
        1, (n), (values), NULL, 0, 0                                                                                   \
    }

/** How to predict. Zero-initialise for the defaults: zero is the model's own or usual value of every member. */
typedef struct ftl_chronos_options {
    size_t horizon;       /**< steps ahead; 0: prediction_length */
    bool limit_horizon;   /**< a horizon above prediction_length is an error (upstream: limit_prediction_length) */
    const double *levels; /**< [n_levels] quantile levels, increasing, each in (0, 1); NULL: the model's levels,
                                     0.1 .. 0.9 for chronos-t5 */
    size_t n_levels;
    size_t context_length;     /**< steps of history to look at, at most the model's; 0: the model's */
    size_t batch_size;         /**< rows (targets, covariates) that run together; 0: 32. No effect on results except
                                     with cross_learning */
    size_t num_samples;        /**< paths of each target (chronos-t5) */
    double temperature;        /**< above 0: logits are divided by it */
    size_t top_k;              /**< tokens to choose among; the vocabulary's size or more: all */
    double top_p;              /**< in (0, 1]: the most probable tokens that together have this probability */
    uint64_t seed;             /**< of the sample paths */
    bool cross_learning;       /**< all rows of a batch see one another (chronos-2): results depend on the batch */
    size_t max_output_patches; /**< patches of one pass, at most the model's (chronos-2) */
    const double *unrolled;    /**< [n_unrolled] levels that horizons beyond one pass are fed back at, among the model's
                                 (chronos-2); NULL: 0.1 .. 0.9 */
    size_t n_unrolled;
    ftl_progress_fn progress; /**< tasks done, after each batch; total 0 within a batch of long work, where only the
                                     answer counts. False: FTL_ECANCELLED */
    void *progress_user;
} ftl_chronos_options;

/** The forecast of one task, borrowed for the time of the call that gets it. */
typedef struct ftl_chronos_result {
    size_t task; /**< index of the task */
    size_t n_targets, horizon, n_levels, n_samples;
    const double *levels;   /**< [n_levels] */
    const float *quantiles; /**< [n_targets, n_levels, horizon] as the network gives them: they may cross (ftl_forecast
                                 sorts them) */
    const float *point;     /**< [n_targets, horizon] mean of the paths (chronos-t5), else the 0.5 quantile */
    const float *samples;   /**< [n_targets, n_samples, horizon] (chronos-t5); NULL otherwise */
    bool blind;             /**< some target has no observed value at all: the forecast is that of "nothing known" */
} ftl_chronos_result;
/** Takes results in order of the tasks, on the calling thread. False: stop (FTL_ECANCELLED). */
typedef bool (*ftl_chronos_fn)(void *user, const ftl_chronos_result *result);

/** The inner states of the encoder for one task, borrowed for the time of the call that gets them. */
typedef struct ftl_chronos_embedding {
    size_t task;
    size_t n_rows, n_tokens, d_model;
    const float *states; /**< [n_rows, n_tokens, d_model]. Tokens: chronos-t5 one a step, and the end token if the model
                              has one; chronos-bolt one a patch of 16 steps, and REG if the model has it; chronos-2 one a
                              patch, REG, and one future patch. Steps of a left padding with NaN count */
    const float *loc;    /**< [n_rows] what was subtracted from each row (chronos-t5: 0) */
    const float *scale;  /**< [n_rows] what it was divided by */
} ftl_chronos_embedding;
typedef bool (*ftl_chronos_embedding_fn)(void *user, const ftl_chronos_embedding *embedding);

#ifdef __cplusplus
}
#endif
#endif
