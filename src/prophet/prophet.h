/*
 * Inside Prophet: the configuration, the data record that solvers see, the fitted model, and who does what.
 *
 *   config.c     options, added seasonalities, regressors, holidays
 *   prepare.c    a series and a configuration -> scales, changepoints, columns (Prophet's setup_dataframe, fit)
 *   features.c   Fourier, holiday and regressor columns for any rows; component table
 *   objective.c  log posterior and its gradient
 *   certificate.c  what a fit proves, to JSON and back
 *   exact*.c     the certified optimum          stan*.c  Stan's L-BFGS and Newton
 *   predict.c    trend, components, point       intervals.c  closed-form quantiles (shift_law.c, logistic_law.c)
 *   samples.c    Monte Carlo
 *   json.c       Prophet's serialised models    prophet.c    the forecaster table
 *
 * Notation is that of Taylor & Letham (2018) and of Prophet's Stan program: T observations, S changepoints, K columns.
 */
#ifndef FI_PROPHET_PROPHET_H
#define FI_PROPHET_PROPHET_H

#include "forecast/forecaster.h"

#include <foretell/prophet.h>

typedef enum prophet_growth {
    PROPHET_LINEAR,
    PROPHET_LOGISTIC,
    PROPHET_FLAT
} prophet_growth; /* Stan's trend_indicator */
typedef enum prophet_scaling { PROPHET_ABSMAX, PROPHET_MINMAX } prophet_scaling;
typedef enum prophet_mode { PROPHET_ADDITIVE, PROPHET_MULTIPLICATIVE } prophet_mode;
typedef enum prophet_solver { PROPHET_SOLVER_EXACT, PROPHET_SOLVER_STAN } prophet_solver;
typedef enum prophet_algorithm { PROPHET_AUTO, PROPHET_LBFGS, PROPHET_NEWTON } prophet_algorithm; /* solver=stan only */
typedef enum prophet_intervals {
    PROPHET_INTERVALS_EXACT,
    PROPHET_INTERVALS_SAMPLED,
    PROPHET_INTERVALS_NONE
} prophet_intervals;

/* ---- configuration -------------------------------------------------------------------------------------------- */

/* Order of an automatic seasonality: PROPHET_ORDER_AUTO, or the Fourier order (0: off). */
enum { PROPHET_ORDER_AUTO = -1 };
enum { PROPHET_YEARLY_ORDER = 10, PROPHET_WEEKLY_ORDER = 3, PROPHET_DAILY_ORDER = 4 };
/* Fourier terms of a seasonality; days around a holiday; columns in all. More of any is a mistake, or an attack. */
enum { PROPHET_MAX_ORDER = 1000, PROPHET_MAX_WINDOW = 3660, PROPHET_MAX_COLUMNS = 10000 };

typedef struct prophet_seasonality {
    char *name;
    double period; /* days */
    size_t order;
    double prior_scale; /* in a configuration NaN: the default */
    int mode;           /* prophet_mode; in a configuration -1: the default */
    char *condition;    /* NULL: none */
} prophet_seasonality;

typedef struct prophet_regressor {
    char *name;
    double prior_scale; /* in a configuration NaN: the default */
    ftl_prophet_standardize standardize;
    int mode;       /* prophet_mode; in a configuration -1: the default */
    double mu, std; /* of the training data; 0 and 1 when not standardised */
} prophet_regressor;

typedef struct prophet_holiday {
    char *name;
    ftl_time date;      /* midnight */
    int lower, upper;   /* window */
    double prior_scale; /* NaN: the default */
} prophet_holiday;

typedef struct prophet_config {
    /* Fields of the option table (config.c). CHOICE fields are int and hold the enums above. */
    int growth, seasonality_mode, holidays_mode /* 0: as seasonality_mode, 1 additive, 2 multiplicative */, scaling;
    char *changepoints; /* NULL: automatic; else dates separated by blanks or ';', "none" for an empty list */
    int64_t n_changepoints;
    double changepoint_range, changepoint_prior_scale, seasonality_prior_scale, holidays_prior_scale;
    char *yearly_seasonality, *weekly_seasonality, *daily_seasonality; /* "auto", "true", "false" or an order */
    char *country_holidays;                                            /* NULL or "US", "DE-BY" */
    bool regressors;       /* use every further column of the series as a regressor (default true) */
    double interval_width; /* kept for Prophet's files */
    int64_t uncertainty_samples;
    int solver, algorithm, intervals;
    bool vectorized;        /* which of Prophet's two Monte Carlo variants (default true) */
    int64_t max_iterations; /* solver=stan: iter, default 10000 */
    int64_t sig_figs;       /* solver=stan: round parameters as CmdStan's CSV does; 0: full precision (default) */
    /* Items. */
    size_t n_seasonalities, n_regressors, n_holidays;
    prophet_seasonality *seasonalities;
    prophet_regressor *regressor_list;
    prophet_holiday *holidays;
    size_t cap_seasonalities, cap_regressors, cap_holidays;
} prophet_config;

/* ---- what solvers see (Prophet's Stan data block) ---------------------------------------------------------------- */

typedef struct prophet_problem {
    size_t T, S, K;
    prophet_growth growth;
    double tau;                 /* scale of the Laplace prior on delta */
    const double *y, *t, *cap;  /* [T] scaled; t ascending in [0, 1]; cap only for logistic growth */
    const double *t_change;     /* [S] ascending */
    const double *X;            /* [K, T]: column j is X + j * T */
    const double *sigmas;       /* [K] prior standard deviations of beta */
    const bool *multiplicative; /* [K] Stan's s_m (s_a is its complement) */
} prophet_problem;

/* A point of the parameter space; delta [S] and beta [K] belong to the caller. */
typedef struct prophet_point {
    double k, m, sigma;
    double *delta, *beta;
} prophet_point;

/* How well a fit is certified (spec: KKT conditions of the posterior in k, m, delta, beta, ln sigma). */
typedef struct prophet_certificate {
    double log_posterior; /* up to Stan's dropped constants, no Jacobian */
    double kkt_residual;  /* largest violation over all coordinates of J = -log posterior, ln sigma among them */
    double duality_gap;   /* of the convex problem at the final sigma; NaN where the problem is not convex */
    double barrier_sigma; /* where the posterior begins to rise towards sigma = 0; NaN if it does not */
    double condition;     /* estimated 2-norm condition of the active normal equations, NaN if not computed */
    size_t n_active;      /* changepoints with delta != 0 */
    size_t n_modes;       /* admissible local maxima seen */
    size_t iterations, factorisations;
    bool convex, degenerate, converged;
    double stan_log_posterior;  /* solver=stan: lp of the stopping point as Stan would report it; else NaN */
    double exact_log_posterior; /* solver=stan: lp of the exact solution; else that of this fit */
    char stop[64];              /* solver=stan: which stopping rule ended it; else "" */
} prophet_certificate;

/* objective.c. lp = log posterior up to constants (spec section 3). grad may be NULL; else
   [k, m, delta (S), u = ln sigma, beta (K)], the gradient of lp, sign(0) = 0, no Jacobian. workspace: [3 * T]. */
double prophet_log_posterior(const prophet_problem *p, const prophet_point *x, double *grad, double *workspace);
/* The same where the residuals' sum of squares is known; on entry grad (may be NULL) holds the likelihood's gradient by
   all but u. */
double prophet_log_posterior_of_ssr(const prophet_problem *p, const prophet_point *x, double ssr, double *grad);
/* trend[T] at times t (with caps for logistic growth); the one place that knows the three growths. */
void prophet_trend(prophet_growth growth, double k, double m, const double *delta, const double *t_change, size_t S,
                   const double *t, const double *cap, size_t n, double *trend);
/* Prophet's starting values (spec section 2, calculate_initial_params): k and m; delta, beta 0, sigma 1. */
void prophet_initial_point(const prophet_problem *p, prophet_point *x);

/* exact.c: the certified optimum. x is written whole; its arrays must have their size. */
ftl_status prophet_solve_exact(const prophet_problem *p, prophet_point *x, prophet_certificate *cert, ftl_error *err);
/* Of any point: log_posterior, kkt_residual, duality_gap, convex, converged, n_active; leaves the other fields alone. */
ftl_status prophet_certify(const prophet_problem *p, const prophet_point *x, prophet_certificate *cert, ftl_error *err);

/* Nothing known yet: reals NaN, counts 0. */
prophet_certificate prophet_certificate_none(void);
/* certificate.c: its members put into a JSON object (0, or -1 without memory), and read from one (absent: NaN, 0, false). */
int prophet_certificate_put(json_t *to, const prophet_certificate *c);
void prophet_certificate_get(const json_t *from, prophet_certificate *c);

/* stan.c: emulates CmdStan's optimisers from Prophet's starting values (or x, where `warm`). algorithm AUTO: Newton if
   T < 100 else L-BFGS; an L-BFGS that fails falls back to Newton and says so in cert->stop. */
ftl_status prophet_solve_stan(const prophet_problem *p, prophet_algorithm algorithm, int64_t max_iterations, bool warm,
                              prophet_point *x, prophet_certificate *cert, ftl_error *err);
/* x rounded to so many significant decimal digits (1 to 17), as CmdStan rounds what it writes. */
double prophet_round_significant(double x, int digits);

/* ---- the fitted model --------------------------------------------------------------------------------------------- */

typedef enum prophet_column_kind {
    PROPHET_COL_SEASONAL,
    PROPHET_COL_HOLIDAY,
    PROPHET_COL_REGRESSOR,
    PROPHET_COL_ZEROS
} prophet_column_kind;

/* One column of the design matrix. */
typedef struct prophet_column {
    char *name;      /* Prophet's: "yearly_delim_1", "superbowl_delim_+1", "price", "zeros" */
    char *component; /* "yearly", "superbowl", "price", "zeros" */
    prophet_column_kind kind;
    size_t source; /* index into seasonalities or regressors */
    size_t term;   /* seasonal: 0 sin, 1 cos, 2 sin ... */
    int offset;    /* holiday: days from the date */
    double prior_scale;
    bool multiplicative;
} prophet_column;

/* One component of the output, alphabetical as Prophet orders them. */
typedef struct prophet_component {
    char *name;
    bool multiplicative;
    bool *uses; /* [n_columns] */
} prophet_component;

/* Rows in Prophet's sense: a history or a future, prepared (setup_dataframe). Arrays may be NULL where not needed. */
typedef struct prophet_frame {
    size_t n;
    ftl_time *ds;                     /* [n] ascending */
    double *y, *t, *y_scaled;         /* [n]; y and y_scaled NULL for a future */
    double *floor, *cap, *cap_scaled; /* [n]; cap NULL where absent */
    bool has_floor_column;
    size_t n_extra; /* regressors (standardised) then conditions (0/1), as named */
    char **extra_names;
    double **extra; /* [n_extra][n] */
} prophet_frame;

typedef struct prophet_model {
    prophet_config config; /* deep copy; n_changepoints as adjusted by the fit */
    ftl_time_kind kind;
    bool specified_changepoints;
    bool logistic_floor;
    double y_scale, y_min;
    ftl_time start;
    double t_scale; /* microseconds */
    size_t n_seasonalities, n_regressors, n_holidays, n_train_holiday_names;
    prophet_seasonality *seasonalities; /* resolved, in Prophet's order */
    prophet_regressor *regressors;
    prophet_holiday *holidays;  /* own dates (not those of the country), as given */
    char **train_holiday_names; /* all names seen in training, in order of first appearance */
    size_t n_changepoints;      /* S; at least 1 (a dummy at t = 0) except where Prophet has none */
    ftl_time *changepoints;     /* [n_changepoint_dates] */
    size_t *changepoint_rows;   /* [n_changepoint_dates] row numbers in the history (index of Prophet's Series) */
    size_t n_changepoint_dates; /* 0 when none were requested */
    double *changepoints_t;     /* [S] */
    prophet_frame history;      /* rows with y, standardised regressors */
    size_t n_history_dates;
    ftl_time *history_dates; /* unique times of all rows, also those without y */
    size_t n_columns, n_components;
    prophet_column *columns; /* [K] */
    prophet_component *components;
    /* Parameters: n_draws sets (1 for MAP). */
    size_t n_draws;
    double *k, *m, *sigma_obs; /* [n_draws] */
    double *delta;             /* [n_draws, S] */
    double *beta;              /* [n_draws, K] */
    double *trend_history;     /* [n of history] scaled trend, Stan's transformed parameter; may be NULL */
    prophet_certificate certificate;
    double init_k, init_m; /* Prophet's starting values, as stored in its JSON; NaN if unknown */
    char *loaded_version;  /* __prophet_version of a file, NULL for our own fits */
    size_t n_bends;
    ftl_time *bends; /* changepoints with |mean delta| >= 0.01, in the units of the series' times */
    size_t n_warnings;
    char **warnings;
} prophet_model;

void prophet_model_release(prophet_model *model);
void prophet_frame_release(prophet_frame *frame);

/* config.c */
enum { PROPHET_N_OPTIONS = 27 };
extern const fi_option prophet_options[PROPHET_N_OPTIONS];
ftl_status prophet_config_check(const void *config, ftl_error *err);
void prophet_config_release(void *config); /* the items; the driver frees TEXT fields */
/* What the option table says, for those that have no driver: NULL texts, no items. */
void prophet_config_defaults(prophet_config *config);
void prophet_config_release_all(prophet_config *config); /* items and TEXT fields: for copies */
ftl_status prophet_config_copy(const prophet_config *from, prophet_config *to, ftl_error *err);
bool prophet_seasonality_copy(const prophet_seasonality *from, prophet_seasonality *to); /* false: no memory */
/* The order that an option such as yearly_seasonality asks for, or PROPHET_ORDER_AUTO. */
ftl_status prophet_parse_order(const char *option, const char *text, int default_order, int *order, ftl_error *err);
/* Ascending times, for qsort. */
int prophet_compare_times(const void *a, const void *b);
/* The option changepoints: a new ascending array (fi_free), empty for "none"; *indexed: plain numbers, not dates. */
ftl_status prophet_parse_changepoints(const char *text, ftl_time **out, size_t *n, bool *indexed, ftl_error *err);
/* Checks a name as Prophet's validate_column_name does; the flags switch off single checks. */
ftl_status prophet_check_name(const prophet_config *config, const char *name, bool check_holidays,
                              bool check_seasonalities, bool check_regressors, ftl_error *err);

/* prepare.c: everything of a fit before the solver: scales, seasonalities, changepoints, columns, history frame.
   On success `model` is complete but for parameters and certificate. */
ftl_status prophet_prepare(const prophet_config *config, const ftl_series *series, prophet_model *model,
                           ftl_error *err);
/* Years of which public holidays are known; has the history rows outside them, though it wants a country's? */
enum { PROPHET_HOLIDAYS_FROM = 1995, PROPHET_HOLIDAYS_TO = 2050 };
bool prophet_country_lacks_years(const prophet_model *model);

/* Adds a warning to a model. */
ftl_status prophet_warn(prophet_model *model, ftl_error *err, const char *format, ...) FTL_PRINTF(3, 4);
/* Prepares rows to predict (checks columns, scales t, cap and regressors); kept rows are sorted by time. */
ftl_status prophet_prepare_future(const prophet_model *model, const ftl_series *rows, prophet_frame *out,
                                  ftl_error *err);

/* features.c: fills X [K, n] for the rows of a frame. */
ftl_status prophet_features(const prophet_model *model, const prophet_frame *frame, double *X, ftl_error *err);
/* Fourier terms of one seasonality: out [2 * order, n], sin and cos of 2 pi i days / period. */
void prophet_fourier(const ftl_time *ds, size_t n, double period_days, size_t order, double *out);
/* Collects model->train_holiday_names: the own ones, then those of the country in the years of the history. */
ftl_status prophet_collect_holiday_names(prophet_model *model, ftl_error *err);
/* Builds model->columns and model->components (seasonalities, holidays with their names, regressors resolved). */
ftl_status prophet_build_columns(prophet_model *model, ftl_error *err);

/* intervals.c and samples.c work on these rows, all in scaled units. */
typedef struct prophet_rows {
    size_t n;
    const double *t;              /* [n] ascending; t <= 1 is history */
    const double *trend;          /* [n] deterministic trend, scaled, without floor */
    const double *cap;            /* [n] scaled; NULL unless logistic */
    const double *additive;       /* [n] X_a beta */
    const double *multiplicative; /* [n] X_m beta */
    /* For prophet_sample() of n_draws > 1: [n_draws, n], X beta of each draw; NULL: the above serve every draw. (The
       trend of each draw is made from its parameters.) */
    const double *additive_draws, *multiplicative_draws;
} prophet_rows;

/*
 * Closed-form quantiles of the predictive law at each row (spec section 5): y_q [n, n_levels] of
 * trend * (1 + multiplicative) + additive + N(0, sigma), trend_q [n, n_levels] of the trend alone (NULL: not wanted);
 * scaled units. Deterministic. Only for n_draws = 1.
 */
ftl_status prophet_exact_quantiles(const prophet_model *model, const prophet_rows *rows, const double *levels,
                                   size_t n_levels, double *y_q, double *trend_q, ftl_error *err);
/*
 * Prophet's Monte Carlo, both variants (config.vectorized): y [n, n_samples], trend [n, n_samples] (either may be
 * NULL), scaled units. Sample s of a given seed is the same whatever n_samples is (Philox stream per sample); of
 * n_draws posterior draws it uses number s mod n_draws.
 */
ftl_status prophet_sample(const prophet_model *model, const prophet_rows *rows, size_t n_samples, uint64_t seed,
                          double *y, double *trend, ftl_error *err);
/* Of each row of samples [n, n_samples] the quantiles q [n, n_levels], interpolated linearly as by numpy.
   FTL_ENOMEM, or FTL_EINVAL if n_samples is 0. */
ftl_status prophet_sampled_quantiles(const double *samples, size_t n, size_t n_samples, const double *levels,
                                     size_t n_levels, double *q);

/* predict.c, json.c: the functions of the forecaster table. */
ftl_status prophet_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err);
ftl_status prophet_save(const void *model, json_t **out, ftl_error *err);
ftl_status prophet_load(const json_t *object, void **out, ftl_error *err);
ftl_status prophet_explain(const void *model, json_t **out, ftl_error *err);
/* Means over the draws (the draw itself for MAP): a new array [3 + S + K] of k, m, sigma_obs, delta, beta (fi_free). */
double *prophet_mean_parameters(const prophet_model *model);
/* Fills model->bends; to be called when the parameters are known. */
ftl_status prophet_find_bends(prophet_model *model, ftl_error *err);

extern const ftl_forecaster prophet_forecaster;

#endif
