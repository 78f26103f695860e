/*
 * What the local methods of this room share. A method is small: how to fit a regular series, what it predicts, and a
 * table of the fields of its state. This layer makes a forecaster of it: the history, seasons, levels, sample paths,
 * JSON, explanations and warnings are the same for all. A new method is one file, one FI_LOCAL_FORECASTER and one
 * line in src/foretell.c.
 */
#ifndef FI_STATS_LOCAL_H
#define FI_STATS_LOCAL_H

#include "base/rng.h"
#include "forecast/forecaster.h"

/* A regular series as a method sees it. Borrowed. */
typedef struct fi_history {
    const double *y; /* [n] NaN = missing */
    size_t n;
    size_t season;   /* >= 1 */
    const double *x; /* [n, n_x] regressors; NULL where n_x = 0 */
    size_t n_x;
    uint64_t seed;
    const char *id;            /* for messages */
    bool (*go_on)(void *user); /* NULL, or asked now and then in long fits: false ends the fit with FTL_ECANCELLED */
    void *go_on_user;
} fi_history;

/* The rows to predict. Borrowed. */
typedef struct fi_ahead {
    size_t horizon;
    const double *x; /* [horizon, n_x] */
} fi_ahead;

/* One field of a method's state, for JSON and explanations. */
typedef enum fi_state_field_type {
    FI_FIELD_REAL,  /* double */
    FI_FIELD_COUNT, /* size_t */
    FI_FIELD_FLAG,  /* bool */
    FI_FIELD_TEXT,  /* char[length] within the state, zero-terminated */
    FI_FIELD_REALS, /* double *, owned (fi_free), `count` says where the size_t with its length lies */
} fi_state_field_type;
typedef struct fi_state_field {
    const char *name;
    fi_state_field_type type;
    size_t offset, count; /* count: REALS, offset of the length; TEXT, its capacity */
    bool hidden;          /* left out of explanations (long arrays) */
} fi_state_field;
#define FI_FIELD(type, field, kind)                                                                                    \
    {                                                                                                                  \
#field, kind, offsetof(type, field), 0, false                                                                  \
    }
#define FI_FIELD_ARRAY(type, field, length)                                                                            \
    {                                                                                                                  \
#field, FI_FIELD_REALS, offsetof(type, field), offsetof(type, length), true                                    \
    }
#define FI_FIELD_STRING(type, field)                                                                                   \
    {                                                                                                                  \
#field, FI_FIELD_TEXT, offsetof(type, field), sizeof(((type *)0)->field), false                                \
    }

/* What a method makes of seasons. */
typedef enum fi_season_use {
    FI_SEASON_ONE,    /* one; 1 where the series is too short for it, with a warning if it was asked for */
    FI_SEASON_NEEDED, /* one; a season that was asked for and is too long is refused */
    FI_SEASON_NONE
} fi_season_use;

/*
 * A method. A state is a plain struct of `state_size` zeroed bytes, whose REALS fields are freed by the layer;
 * everything that predict and path read lies in fields, so that a loaded state gives the same bits.
 */
typedef struct fi_local_method {
    const char *name;
    size_t state_size;
    const fi_state_field *fields;
    size_t n_fields;
    fi_season_use season_use;
    bool takes_regressors; /* all columns but cap and floor; the forecaster then says FTL_TAKES_REGRESSORS */

    /* Fills the state. After failure the layer frees what it holds. The values of y that are not NaN are finite. */
    ftl_status (*fit)(const void *config, const fi_history *past, void *state, ftl_error *err);
    /*
     * mean [horizon], and in sd [horizon] the standard deviations of a Gaussian; sd[0] = NaN where the distribution has
     * no closed form: quantiles then come from paths. `past` is the history of the fit (season, seed and id too).
     */
    ftl_status (*predict)(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean, double *sd,
                          ftl_error *err);
    /* One draw of the future, path [horizon], from the predictive distribution. Work memory: NULL, or path_work(...)
     * doubles. */
    void (*path)(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                 double *work);
    size_t (*path_work)(const void *state, const fi_history *past); /* may be NULL: none */
    /* Optional: one-step-ahead means of the history, fitted [n] (NaN where there is none), and their deviation (a scalar;
     * NaN: none). */
    ftl_status (*fitted)(const void *state, const fi_history *past, double *fitted, double *sd, ftl_error *err);
    /*
     * Whether a loaded state is sound (lengths, ranges): what a hostile file could break. FTL_EDATA. The history is sound,
     * and arrays that share a `count` are of one length, already.
     */
    ftl_status (*check)(const void *state, const fi_history *past, ftl_error *err);
    /* Optional: the i-th warning of the fit; NULL past the last one. */
    const char *(*warning)(const void *state, size_t i);
    /* Optional: further members of the explanation (tables of candidates and the like). */
    ftl_status (*explain)(const void *state, json_t *object, ftl_error *err);
} fi_local_method;

/* The state of a nested method: zeroed by the caller, released here (the struct itself stays), as JSON and back. */
void fi_local_release_state(const fi_local_method *method, void *state);
ftl_status fi_local_save_state(const fi_local_method *method, const void *state, json_t **out, ftl_error *err);
ftl_status fi_local_load_state(const fi_local_method *method, const json_t *object, const fi_history *past, void *state,
                               ftl_error *err);

/* Whether a long fit may go on; if not, sets FTL_ECANCELLED. */
ftl_status fi_history_go_on(const fi_history *past, ftl_error *err);

/* Root mean square of the values that are not NaN (NaN without any); only a result beyond the range overflows. */
double fi_rms(const double *values, size_t n);
/* Quantiles of n values by linear interpolation between order statistics (numpy's default). Reorders the values. */
void fi_sample_quantiles(double *values, size_t n, const double *levels, size_t n_levels, double *q);

/*
 * Every configuration of a local method begins with this struct, and its option table with FI_SEASON_OPTION (without
 * it the season is that of the frequency).
 */
typedef struct fi_local_config {
    int64_t season; /* 0: the frequency's usual one, or 1 where the series is too short for it */
} fi_local_config;
#define FI_SEASON_OPTION                                                                                               \
    FI_OPTION_COUNT(                                                                                                   \
        fi_local_config, season, "0", 0, 1e9,                                                                          \
        "steps of a season; 0 takes the frequency's usual one (7 for days, 12 for months), or 1 if the series "        \
        "is too short for it")
/* The model that the layer makes of a method: what ftl_forecaster's functions get. */
typedef struct fi_local fi_local;

/* The functions behind FI_LOCAL_FORECASTER. */
ftl_status fi_local_fit(const fi_local_method *method, const void *config, const ftl_series *series,
                        const ftl_fit_args *args, void **out, ftl_error *err);
ftl_status fi_local_load(const fi_local_method *method, const json_t *object, void **out, ftl_error *err);
ftl_status fi_local_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err);
ftl_status fi_local_save(const void *model, json_t **out, ftl_error *err);
ftl_status fi_local_explain(const void *model, json_t **out, ftl_error *err);
void fi_local_free(void *model);
const ftl_time *fi_local_times(const void *model, size_t *n, ftl_time_kind *kind);
const char *fi_local_warning(const void *model, size_t i);

#define FI_LOCAL_CAPABILITIES (FTL_TAKES_MISSING | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY)
/* Defines `NAME_forecaster` of the method `NAME_method` with the option table `NAME_options`. The other members (name,
 * summary, source, point_kind, capabilities, check, ...) follow as designated initialisers. */
#define FI_LOCAL_FORECASTER(NAME, config_type, ...)                                                                    \
    FI_LOCAL_FORECASTER_OF(NAME, config_type, NAME##_options, sizeof NAME##_options / sizeof *NAME##_options,          \
                           __VA_ARGS__)
/* The same of a method without options. */
#define FI_LOCAL_FORECASTER_PLAIN(NAME, ...) FI_LOCAL_FORECASTER_OF(NAME, fi_local_config, NULL, 0, __VA_ARGS__)
#define FI_LOCAL_FORECASTER_OF(NAME, config_type, table, rows, ...)                                                    \
    static ftl_status NAME##_fit_series(const void *config, const ftl_series *s, const ftl_fit_args *args, void **out, \
                                        ftl_error *err)                                                                \
    {                                                                                                                  \
        return fi_local_fit(&NAME##_method, config, s, args, out, err);                                                \
    }                                                                                                                  \
    static ftl_status NAME##_load(const json_t *object, void **out, ftl_error *err)                                    \
    {                                                                                                                  \
        return fi_local_load(&NAME##_method, object, out, err);                                                        \
    }                                                                                                                  \
    const ftl_forecaster NAME##_forecaster = {.options = table,                                                        \
                                              .n_options = rows,                                                       \
                                              .config_size = sizeof(config_type),                                      \
                                              .fit = NAME##_fit_series,                                                \
                                              .predict = fi_local_predict,                                             \
                                              .save = fi_local_save,                                                   \
                                              .load = NAME##_load,                                                     \
                                              .explain = fi_local_explain,                                             \
                                              .free = fi_local_free,                                                   \
                                              .times = fi_local_times,                                                 \
                                              .warning = fi_local_warning,                                             \
                                              __VA_ARGS__}

#endif
