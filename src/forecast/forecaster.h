/* What every forecaster is: a table of functions and an option table over a plain configuration struct. */
#ifndef FI_FORECAST_FORECASTER_H
#define FI_FORECAST_FORECASTER_H

#include <foretell/forecaster.h>

#include "base/json.h"
#include "forecast/forecast.h"
#include "series/series.h"

/*
 * One option: a field of the configuration struct, or (FTL_OPTION_ITEM) a function that adds an item to it.
 * Field types: FLAG bool, COUNT int64_t, REAL double, CHOICE int (index into choices), TEXT char * (owned, fi_free).
 */
typedef struct fi_option {
    ftl_option_info info;
    size_t offset;
    ftl_status (*parse)(void *config, const char *text, ftl_error *err);                 /* ITEM, or NULL */
    ftl_status (*format)(const void *config, size_t index, fi_buf *out, ftl_error *err); /* ITEM: the index-th item as
                                                                       text; leaves out untouched past the last one */
} fi_option;

/* Rows of an option table: FI_OPTION_REAL(prophet_config, changepoint_prior_scale, "0.05", 1e-300, INFINITY, "..."). */
#define FI_OPTION_FLAG(type, field, def, help)                                                                         \
    {                                                                                                                  \
        {#field, FTL_OPTION_FLAG, def, 0, 1, NULL, "BOOL", help, NULL}, offsetof(type, field), NULL, NULL              \
    }
#define FI_OPTION_COUNT(type, field, def, lo, hi, help)                                                                \
    {                                                                                                                  \
        {#field, FTL_OPTION_COUNT, def, lo, hi, NULL, "N", help, NULL}, offsetof(type, field), NULL, NULL              \
    }
#define FI_OPTION_REAL(type, field, def, lo, hi, help)                                                                 \
    {                                                                                                                  \
        {#field, FTL_OPTION_REAL, def, lo, hi, NULL, "X", help, NULL}, offsetof(type, field), NULL, NULL               \
    }
#define FI_OPTION_CHOICE(type, field, def, choices, help)                                                              \
    {                                                                                                                  \
        {#field, FTL_OPTION_CHOICE, def, 0, 0, choices, choices, help, NULL}, offsetof(type, field), NULL, NULL        \
    }
#define FI_OPTION_TEXT(type, field, def, value_name, help)                                                             \
    {                                                                                                                  \
        {#field, FTL_OPTION_TEXT, def, 0, 0, NULL, value_name, help, NULL}, offsetof(type, field), NULL, NULL          \
    }
#define FI_OPTION_ITEM(name, value_name, help, parse, format)                                                          \
    {                                                                                                                  \
        {name, FTL_OPTION_ITEM, "", 0, 0, NULL, value_name, help, NULL}, 0, parse, format                              \
    }

struct ftl_forecaster {
    const char *name, *summary, *source, *point_kind;
    unsigned capabilities; /* ftl_capability */
    const fi_option *options;
    size_t n_options, config_size;
    const char *first_option; /* the option that a first value without a name sets; may be NULL */

    /* Checks options against one another; may be NULL. Single ranges are checked from the table. */
    ftl_status (*check)(const void *config, ftl_error *err);
    /* Sets up what is no option in a configuration of defaults; may be NULL. release_config follows failure too. */
    ftl_status (*init_config)(void *config, ftl_error *err);
    /* Releases what items and init_config allocated in the configuration; may be NULL. */
    void (*release_config)(void *config);
    /* Where abilities depend on the configuration, or on the model: the subset of capabilities it has. May be NULL. */
    ftl_status (*config_capabilities)(const void *config, unsigned *out, ftl_error *err);
    unsigned (*model_capabilities)(const void *model);

    /*
     * Fits one series. `args` is never NULL and its freq is resolved (given or inferred; NULL only when times are
     * irregular and the model takes those). For models that take neither irregular times nor gaps the driver has put
     * the series on a regular grid. *out owns all it needs.
     */
    ftl_status (*fit)(const void *config, const ftl_series *series, const ftl_fit_args *args, void **out,
                      ftl_error *err);
    /*
     * Predicts the rows of `args->future` (never NULL: the driver has made it from the horizon), after those of the
     * history if args->history. levels is never NULL. Fills *out, which the driver checks for NaN and crossings.
     */
    ftl_status (*predict)(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err);
    /* The model as a JSON object (new reference), and back. The driver adds the key "foretell" (name, version, id). */
    ftl_status (*save)(const void *model, json_t **out, ftl_error *err);
    ftl_status (*load)(const json_t *object, void **out, ftl_error *err);
    /* Optional: as load, sharing with `like`, a model of the same forecaster (or NULL), what both have in common. */
    ftl_status (*load_like)(const json_t *object, const void *like, void **out, ftl_error *err);
    /* Parameters, certificate, warnings, timings as a JSON object. */
    ftl_status (*explain)(const void *model, json_t **out, ftl_error *err);
    void (*free)(void *model);

    /*
     * Optional, for models that forecast many series at once: how many like this one make a good batch; and n models,
     * each with arguments as for predict. out[i] or errors[i] (code FTL_OK if all went well) is set for each. The bits
     * of a forecast are those that predict gives, unless the configuration couples the series on purpose.
     * progress (may be NULL): only asked whether to go on. @return FTL_OK, or FTL_ECANCELLED (no out is set then)
     */
    size_t (*batch_size)(const void *model);
    ftl_status (*predict_batch)(const void *const *models, const ftl_predict_args *args, size_t n,
                                ftl_progress_fn progress, void *progress_user, ftl_forecast **out, ftl_error *errors);

    /* Optional: seasonal profiles and changepoints for pictures. */
    size_t (*n_profiles)(const void *model);
    ftl_status (*profile)(const void *model, size_t i, ftl_profile **out, ftl_error *err);
    const ftl_time *(*changepoints)(const void *model, size_t *n);
    /* Optional: ascending times of the history, for models read from files that the driver did not write. */
    const ftl_time *(*times)(const void *model, size_t *n, ftl_time_kind *kind);
    /* Optional: steps of one pass, beyond which predictions are fed back (ftl_model_reach). */
    size_t (*reach)(const void *model);
    /* Optional: the i-th warning of the fit; NULL past the last one. */
    const char *(*warning)(const void *model, size_t i);
    /* Optional: what the fit chose and why, one sentence. */
    const char *(*remark)(const void *model);
};

struct ftl_config {
    const ftl_forecaster *forecaster;
    void *values; /* [config_size] */
};

struct ftl_model {
    const ftl_forecaster *forecaster;
    char *id;
    ftl_time_kind kind;
    ftl_time last; /* last time of the history */
    bool has_freq;
    ftl_freq freq;
    double limits[2];   /* last cap and floor of the history; NaN where it has none */
    uint64_t seed;      /* the seed really used */
    double fit_seconds; /* NaN: not known (read from a file) */
    char *options;      /* the configuration as text (ftl_config_text); NULL: not known */
    void *state;        /* the forecaster's own */
};

/* All forecasters, from src/foretell.c. */
extern const ftl_forecaster *const fi_forecasters[];
extern const size_t fi_n_forecasters;

#endif
