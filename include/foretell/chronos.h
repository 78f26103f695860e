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
 * of forecaster.h is simpler; this interface is for what a class with upstream's methods needs. Since 0.1.
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

/**
 * Opens a model: config.json and the weights (model.safetensors, shards with an index, or pytorch_model.bin; F32, F16 or
 * BF16) of a directory. Nothing of the files is executed.
 * @param args  NULL for the defaults
 * @param out   new model, to be closed with ftl_chronos_close(); NULL on failure
 * @return FTL_OK; FTL_EIO (no such directory or file); FTL_EDATA (not a Chronos model, a damaged or wrongly shaped file:
 *         the file and the key or tensor are named); FTL_ENOMEM
 */
FTL_API ftl_status ftl_chronos_open(const char *directory, const ftl_chronos_open_args *args, ftl_chronos **out,
                                    ftl_error *err);
/** NULL is fine. */
FTL_API void ftl_chronos_close(ftl_chronos *model);

/** What a model is. Pointers are owned by the model. */
typedef struct ftl_chronos_facts {
    const char *directory, *family; /**< family: "chronos-t5", "chronos-gpt2", "chronos-bolt", "chronos-2" */
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
FTL_API ftl_chronos_facts ftl_chronos_about(const ftl_chronos *model);

/** Memory of a prediction beside the weights, at its peak: values inside the network, and caches of decoding. */
typedef struct ftl_chronos_memory {
    size_t activation_bytes, cache_bytes;
} ftl_chronos_memory;
/**
 * @param rows     series in one batch
 * @param context  steps of history; 0: the model's context_length
 * @param horizon  steps ahead; 0: the model's prediction_length
 * @param samples  paths of each (chronos-t5); 0: the model's default
 */
FTL_API ftl_chronos_memory ftl_chronos_memory_of(const ftl_chronos *model, size_t rows, size_t context, size_t horizon,
                                                 size_t samples);

/** The facts, and the memory of a batch of one series at full context and horizon, as JSON text. ftl_text_free(). */
FTL_API ftl_status ftl_chronos_info(const ftl_chronos *model, char **out, ftl_error *err);

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
    /** [n_covariates], the same ones in every task of a call. Those that are known ahead make rows after all others. */
    const ftl_chronos_covariate *covariates;
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
    size_t context_length; /**< steps of history to look at, at most the model's; 0: the model's */
    size_t batch_size;     /**< rows (targets, covariates) that run together: tasks are added until there are so many;
                                     0: a few that suit the family, 256 with cross_learning. No effect on results except
                                     with cross_learning */
    size_t num_samples;    /**< paths of each target (chronos-t5) */
    double temperature;    /**< above 0: logits are divided by it */
    size_t top_k;          /**< tokens to choose among; the vocabulary's size or more: all */
    double top_p;          /**< in (0, 1]: the most probable tokens that together have this probability */
    uint64_t seed;         /**< of the sample paths */
    bool cross_learning;   /**< all rows of a batch see one another (chronos-2): results depend on the batch */
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

/**
 * Forecasts tasks batch after batch; memory does not grow with their number.
 *
 * Quantiles at levels that are not the model's: chronos-t5 interpolates linearly between sorted paths (rank q (n - 1)),
 * chronos-bolt between its sorted quantiles, chronos-2 between its quantiles as they are; outside the model's levels the
 * nearest one stands. A level given twice or out of order is refused.
 *
 * What upstream takes silently and wrongly is refused: infinite values, a series of no values, tasks whose covariates
 * differ. The result of a task depends on no other task, on no batch size and on no number of threads (but see
 * cross_learning, and ranks of categories of several targets).
 *
 * @param tasks    [n_tasks]
 * @param options  NULL for the defaults
 * @return FTL_OK; FTL_EINVAL (options; covariates for a family without them); FTL_EDATA (task, row and position are
 *         named); FTL_ENUMERIC (weights that give no finite forecast); FTL_ENOMEM; FTL_ECANCELLED
 */
FTL_API ftl_status ftl_chronos_predict(const ftl_chronos *model, const ftl_chronos_task *tasks, size_t n_tasks,
                                       const ftl_chronos_options *options, ftl_chronos_fn sink, void *user,
                                       ftl_error *err);

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

/**
 * Embeds tasks. Of the options context_length, batch_size and progress count. Rows are the targets; covariates are
 * refused. Errors as ftl_chronos_predict().
 */
FTL_API ftl_status ftl_chronos_embed(const ftl_chronos *model, const ftl_chronos_task *tasks, size_t n_tasks,
                                     const ftl_chronos_options *options, ftl_chronos_embedding_fn sink, void *user,
                                     ftl_error *err);

#ifdef __cplusplus
}
#endif
#endif
