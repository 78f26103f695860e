/**
 * @file forecaster.h
 * The one interface of all models: choose one by name, set options, fit, predict, save, load, explain.
 *
 *     ftl_config *config;  ftl_model *model;  ftl_forecast *fc;
 *     ftl_config_new("prophet:growth=flat,changepoint_prior_scale=0.1", &config, &err);
 *     ftl_model_fit(config, series, NULL, &model, &err);
 *     ftl_predict_args args = FTL_PREDICT_DEFAULTS;  args.horizon = 28;
 *     ftl_model_predict(model, &args, &fc, &err);
 */
#ifndef FORETELL_FORECASTER_H
#define FORETELL_FORECASTER_H

#include <foretell/forecast.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A kind of model in the registry. Static. */
typedef struct ftl_forecaster ftl_forecaster;
/** A forecaster and the values of its options. */
typedef struct ftl_config ftl_config;
/** A fitted model. Immutable: threads may share it. */
typedef struct ftl_model ftl_model;

FTL_API size_t ftl_forecaster_count(void);
FTL_API const ftl_forecaster *ftl_forecaster_at(size_t i);
/** @return the forecaster of that name ('_' and '-' alike), or NULL. */
FTL_API const ftl_forecaster *ftl_forecaster_find(const char *name);
FTL_API const char *ftl_forecaster_name(const ftl_forecaster *forecaster);
/** One line for a list of models. */
FTL_API const char *ftl_forecaster_summary(const ftl_forecaster *forecaster);
/** The publication it follows. */
FTL_API const char *ftl_forecaster_source(const ftl_forecaster *forecaster);

/** What a forecaster can take and give. */
typedef enum ftl_capability {
    FTL_TAKES_REGRESSORS = 1 << 0,
    FTL_TAKES_DUPLICATE_TIMES = 1 << 1, /**< several observations at one time */
    FTL_TAKES_IRREGULAR_TIMES =
        1 << 2,                 /**< any spacing; others need a regular frequency (gaps become missing values) */
    FTL_TAKES_MISSING = 1 << 3, /**< missing values anywhere */
    FTL_GIVES_COMPONENTS = 1 << 4,
    FTL_GIVES_SAMPLES = 1 << 5,
    FTL_GIVES_HISTORY = 1 << 6,        /**< can predict the rows of its history */
    FTL_TAKES_UNKNOWN_FUTURE = 1 << 7, /**< regressors may lack a future: then their past alone counts */
    FTL_TAKES_CATEGORIES = 1 << 8,     /**< regressors may be text (ftl_csv_options.keep_text); others pass it over */
    FTL_TAKES_GROUPS = 1 << 9          /**< several targets of a series, seen together (ftl_csv_options.more_targets) */
} ftl_capability;
/** All that models of the kind can; one of them may lack some of it, see ftl_config_capabilities(). */
FTL_API unsigned ftl_forecaster_capabilities(const ftl_forecaster *forecaster);

/** One row of an option table. */
typedef enum ftl_option_type {
    FTL_OPTION_FLAG,   /**< true/false (also yes/no, on/off, 1/0) */
    FTL_OPTION_COUNT,  /**< a whole number */
    FTL_OPTION_REAL,   /**< a real number */
    FTL_OPTION_CHOICE, /**< one of `choices` */
    FTL_OPTION_TEXT,   /**< any text */
    FTL_OPTION_ITEM    /**< any text; may be given several times, each adding one item */
} ftl_option_type;
typedef struct ftl_option_info {
    const char *name;
    ftl_option_type type;
    const char *default_text; /**< as it would be written; "" for none */
    double min, max;          /**< inclusive range of numbers; -inf, inf where open */
    const char *choices;      /**< "linear|logistic|flat"; NULL unless a choice */
    const char *value_name;   /**< for help: "N", "X", "NAME:PERIOD:ORDER" */
    const char *help;         /**< one sentence */
    const char *default_note; /**< what the default does, where its text does not say: "as the model says"; or NULL */
} ftl_option_info;
FTL_API size_t ftl_forecaster_n_options(const ftl_forecaster *forecaster);
FTL_API ftl_option_info ftl_forecaster_option(const ftl_forecaster *forecaster, size_t i);
/** @return the name of the option that a first value without a name sets, or NULL. */
FTL_API const char *ftl_forecaster_first_option(const ftl_forecaster *forecaster);

/**
 * A configuration from text: NAME or NAME:option=value,option=value. A flag may stand without a value. A comma or
 * backslash within a value is written with a backslash before it. Some forecasters take the first value by itself, as
 * ftl_forecaster_first_option() says: chronos:DIRECTORY,num_samples=100.
 * @return FTL_OK; FTL_EINVAL (unknown name or option: the nearest is named; value out of range); FTL_ENOMEM
 */
FTL_API ftl_status ftl_config_new(const char *spec, ftl_config **out, ftl_error *err);
/** Sets one option from text. Errors as ftl_config_new(). */
FTL_API ftl_status ftl_config_set(ftl_config *config, const char *option, const char *value, ftl_error *err);
/** The value of an option as text (not of items, which are many). ftl_text_free(). FTL_EINVAL: no such option. */
FTL_API ftl_status ftl_config_get(const ftl_config *config, const char *option, char **out, ftl_error *err);
/**
 * Tells a configuration what its user knows but did not say, as the season and the horizon of the data at hand: sets the
 * count option of that name, where there is one that is 0 by default and still is. A value out of its range is passed over.
 */
FTL_API void ftl_config_tell(ftl_config *config, const char *option, size_t value);
FTL_API const ftl_forecaster *ftl_config_forecaster(const ftl_config *config);
/**
 * What models of this configuration can (ftl_capability). Where that depends on a model file, its config is looked at.
 * @return FTL_OK; FTL_EINVAL (no file is named); FTL_EIO; FTL_EDATA (no model there); FTL_ENOMEM
 */
FTL_API ftl_status ftl_config_capabilities(const ftl_config *config, unsigned *out, ftl_error *err);
/** The configuration as text that ftl_config_new() reads back, only what differs from the defaults. ftl_text_free(). */
FTL_API ftl_status ftl_config_text(const ftl_config *config, char **out, ftl_error *err);
FTL_API void ftl_config_free(ftl_config *config);

/** How to fit. */
typedef struct ftl_fit_args {
    const ftl_freq *freq; /**< NULL: inferred */
    uint64_t seed;        /**< for models that draw random numbers */
    ftl_progress_fn progress;
    void *progress_user;
    size_t n_threads; /**< for models that compute with several; 0: one a processor. No effect on results */
} ftl_fit_args;

/**
 * Fits a model to one series.
 * @param args  NULL for the defaults
 * @param out   new model, independent of the series and config, to be freed with ftl_model_free(); NULL on failure
 * @return FTL_OK; FTL_EDATA (too short, duplicate times where the model does not take them, missing columns, ...);
 *         FTL_EINVAL; FTL_ENUMERIC; FTL_ENOMEM; FTL_ECANCELLED
 */
FTL_API ftl_status ftl_model_fit(const ftl_config *config, const ftl_series *series, const ftl_fit_args *args,
                                 ftl_model **out, ftl_error *err);
FTL_API void ftl_model_free(ftl_model *model);
FTL_API const ftl_forecaster *ftl_model_forecaster(const ftl_model *model);
/** What this model can (ftl_capability). */
FTL_API unsigned ftl_model_capabilities(const ftl_model *model);
/** The id of the series it was fitted to. */
FTL_API const char *ftl_model_id(const ftl_model *model);

/** What to predict. Start from FTL_PREDICT_DEFAULTS. */
typedef struct ftl_predict_args {
    size_t horizon;           /**< steps after the last time of the history; ignored when `future` is given. Columns
                                   cap and floor, if the history has them, keep their last values */
    const ftl_freq *freq;     /**< NULL: that of the history */
    const ftl_series *future; /**< borrowed; NULL: `horizon` steps. Else the rows to predict: times and columns */
    bool history;             /**< also the rows of the history, before the future */
    const double *levels;     /**< [n_levels] quantile levels, strictly increasing, each in (0, 1); NULL: see below */
    size_t n_levels;
    bool components;
    size_t n_samples;       /**< sample paths to return */
    bool sampled_quantiles; /**< quantiles from n_samples draws, even where the model has them in closed form */
    uint64_t seed;
} ftl_predict_args;
/** No horizon yet; levels 0.025, 0.1, 0.5, 0.9, 0.975 where `levels` stays NULL. */
#define FTL_PREDICT_DEFAULTS                                                                                           \
    {                                                                                                                  \
        0, NULL, NULL, false, NULL, 0, false, 0, false, 0                                                              \
    }

/**
 * Predicts.
 * @param out  new forecast, to be freed with ftl_forecast_free(); NULL on failure
 * @return FTL_OK; FTL_EINVAL (horizon 0 without future, levels); FTL_EDATA (the future lacks a column the model needs);
 *         FTL_ENUMERIC; FTL_ENOMEM
 */
FTL_API ftl_status ftl_model_predict(const ftl_model *model, const ftl_predict_args *args, ftl_forecast **out,
                                     ftl_error *err);

/** The fitted model as JSON text, one object (Prophet: the format of Python prophet). ftl_text_free(). */
FTL_API ftl_status ftl_model_save_text(const ftl_model *model, char **out, ftl_error *err);
/** Reads what ftl_model_save_text() wrote, or a model file of Python prophet. `name` stands for it in messages. */
FTL_API ftl_status ftl_model_load_text(const char *text, size_t size, const char *name, ftl_model **out,
                                       ftl_error *err);
/**
 * As ftl_model_load_text() for one of many models: what models of its kind share (the weights of a pretrained one) is
 * taken from `like` where both mean the same file, instead of being read again. `like` may be NULL or of another kind.
 */
FTL_API ftl_status ftl_model_load_like(const ftl_model *like, const char *text, size_t size, const char *name,
                                       ftl_model **out, ftl_error *err);
/** What the fit did, as JSON text: parameters, certificate, warnings, timings. ftl_text_free(). */
FTL_API ftl_status ftl_model_explain(const ftl_model *model, char **out, ftl_error *err);

/** How many warnings the fit has (also under "warnings" of the explanation). */
FTL_API size_t ftl_model_n_warnings(const ftl_model *model);
/** @return the i-th warning, a sentence owned by the model; NULL when there is none. */
FTL_API const char *ftl_model_warning(const ftl_model *model, size_t i);

/** @return what the fit chose and why, a sentence owned by the model; NULL for models that choose nothing. */
FTL_API const char *ftl_model_remark(const ftl_model *model);

/** A seasonal effect over one period, for a picture. */
typedef struct ftl_profile {
    char name[64];
    double period_days;
    bool multiplicative;
    size_t n;
    ftl_time *times; /**< [n] one period, from 2017-01-01 (a Sunday) as in Prophet's plots */
    double *values;  /**< [n] */
} ftl_profile;
/** Number of seasonal profiles the model can show (0 for most models). */
FTL_API size_t ftl_model_n_profiles(const ftl_model *model);
/** The i-th profile. ftl_profile_free(). FTL_EINVAL when there is none. */
FTL_API ftl_status ftl_model_profile(const ftl_model *model, size_t i, ftl_profile **out, ftl_error *err);
FTL_API void ftl_profile_free(ftl_profile *profile);

/** Times at which the model's trend bends noticeably (Prophet: |delta| >= 0.01), owned by the model; *n may be 0. */
FTL_API const ftl_time *ftl_model_changepoints(const ftl_model *model, size_t *n);

/**
 * Steps that the model predicts in one pass. Further ones follow by feeding back what was predicted, where errors add up
 * and intervals tend to be too narrow. 0: there is no such limit.
 */
FTL_API size_t ftl_model_reach(const ftl_model *model);

/** Does this forecaster predict many series faster together (ftl_models_predict) than one by one? Pretrained ones do. */
FTL_API bool ftl_forecaster_batches(const ftl_forecaster *forecaster);

/**
 * ftl_model_predict() for n models; neighbours whose forecaster batches run together, with the same bits.
 * @param args    [n]
 * @param out     [n] forecasts, NULL where there is none
 * @param errors  [n] models whose code is not FTL_OK are passed over (and may be NULL); set where a prediction fails
 * @return FTL_OK, also when some failed; FTL_ENOMEM
 */
FTL_API ftl_status ftl_models_predict(ftl_model *const *models, const ftl_predict_args *args, size_t n,
                                      ftl_forecast **out, ftl_error *errors, ftl_error *err);

/** One result of ftl_forecast_panel(); all borrowed for the time of the call. */
typedef struct ftl_panel_result {
    size_t index; /**< of the series in the panel */
    const ftl_series *series;
    const ftl_model *model;       /**< NULL if the fit failed */
    const ftl_forecast *forecast; /**< NULL if fit or predict failed, or none was asked for */
    const ftl_error *error;       /**< code FTL_OK if all went well */
} ftl_panel_result;
/** Takes results in order of index, on the calling thread. Returns false to stop (FTL_ECANCELLED). */
typedef bool (*ftl_panel_fn)(void *user, const ftl_panel_result *result);

/**
 * Fits and predicts every series of a panel on several threads; results leave in order and are freed as they leave, so
 * memory does not grow with the number of series. The bits of a result do not depend on n_threads. Models that forecast
 * many series at once (pretrained ones) get them in batches, and compute with n_threads.
 *
 * @param predict   NULL: fit only. Its `future` is ignored; see `future`
 * @param future    NULL, or the future rows of the series by id (a series without any is an error of that series)
 * @param n_threads 0: one a processor
 * @return FTL_OK (also when some series failed: each result says so); FTL_EINVAL; FTL_ENOMEM; FTL_ECANCELLED
 */
FTL_API ftl_status ftl_forecast_panel(const ftl_config *config, const ftl_panel *panel, const ftl_panel *future,
                                      const ftl_fit_args *fit, const ftl_predict_args *predict, size_t n_threads,
                                      ftl_panel_fn sink, void *user, ftl_error *err);

#ifdef __cplusplus
}
#endif
#endif
