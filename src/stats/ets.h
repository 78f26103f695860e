/*
 * Exponential smoothing as state space models: 30 forms of error, trend and season (Hyndman, Koehler, Ord & Snyder,
 * Forecasting with Exponential Smoothing, Springer 2008; "HKOS" below).
 *
 * With l the level, b the growth, s the season of m places, q = l + phi b or l b^phi and the forecast f = q + s or q s,
 *
 *     d = y - s - q or y / s - q                       the error of the level, in its units
 *     l' = q + alpha d
 *     b' = phi b + beta d    or   b^phi + beta d / l
 *     s' = s + gamma d       or   s + gamma (y / q - s)
 *
 * whichever the error; that decides the likelihood only: with e = y - f or (y - f) / f and n observations,
 * -2 log L = n log(sum e^2) + 2 sum log f (the last term for the multiplicative error), as R's forecast defines it.
 */
#ifndef FI_STATS_ETS_H
#define FI_STATS_ETS_H

#include "stats/local.h"

typedef enum fi_ets_trend { FI_ETS_NONE, FI_ETS_ADD, FI_ETS_ADD_DAMPED, FI_ETS_MUL, FI_ETS_MUL_DAMPED } fi_ets_trend;
enum { FI_ETS_TRENDS = 5, FI_ETS_SEASONS = 3, FI_ETS_FORMS = 30, FI_ETS_MAX_SEASON = 1000 };

/* One of the forms. The season is FI_ETS_NONE, FI_ETS_ADD or FI_ETS_MUL. */
typedef struct fi_ets_form {
    bool mul_error;
    fi_ets_trend trend, season;
} fi_ets_form;

static inline bool fi_ets_damped(fi_ets_form form)
{
    return form.trend == FI_ETS_ADD_DAMPED || form.trend == FI_ETS_MUL_DAMPED;
}
static inline bool fi_ets_mul_trend(fi_ets_form form)
{
    return form.trend == FI_ETS_MUL || form.trend == FI_ETS_MUL_DAMPED;
}

/* Smoothing parameters and states: of a model, or derivatives by them. What a form lacks is 0 (phi: 1). */
typedef struct fi_ets_values {
    double alpha, beta, gamma, phi, level, growth;
    double *season; /* [m] by place: the i-th observation has place i mod m */
} fi_ets_values;

/* How many smoothing parameters and free states a form has. */
static inline size_t fi_ets_parameters(fi_ets_form form, size_t m)
{
    size_t trend = form.trend ? 2 : 0, season = form.season ? m : 0, damping = fi_ets_damped(form) ? 1 : 0;
    return 2 + trend + season + damping;
}

/* A series, and the memory of a pass over it. */
typedef struct fi_ets_pass {
    const double *y; /* [n] NaN = missing */
    size_t n, m;     /* m = 1 for forms without a season */
    size_t observed;
    double floor;                    /* of the sum of squares: rounding of a perfect fit */
    double *level, *growth, *season; /* [n] before each step */
    double *f, *e;                   /* [n] forecasts and errors; e is 0 where y is missing */
    double *ring;                    /* [m] */
    double sum_squares;
} fi_ets_pass;

/*
 * Runs a model over the series. *criterion = -2 log L; `states` is moved from the start of the series to its end. False
 * where the model cannot take the series: a forecast that is not positive under a multiplicative error, and the like.
 */
bool fi_ets_run(fi_ets_form form, fi_ets_pass *pass, fi_ets_values *states, double *criterion);
/* Derivatives of the criterion by the values at the start, after fi_ets_run() has filled the pass. */
void fi_ets_gradient(fi_ets_form form, const fi_ets_pass *pass, const fi_ets_values *start, fi_ets_values *gradient);

/* Is a model with these parameters forecastable (HKOS, chapter 10), as R's forecast decides? work [2 m + 4]. */
bool fi_ets_admissible(fi_ets_form form, const fi_ets_values *values, size_t m, double *work);

/* The region that parameters are sought in: the usual one (beta < alpha, gamma < 1 - alpha), the admissible, or both. */
typedef enum fi_ets_bounds { FI_ETS_BOTH, FI_ETS_USUAL, FI_ETS_ADMISSIBLE } fi_ets_bounds;

typedef struct fi_ets_fit {
    fi_ets_form form;
    fi_ets_values start;
    double criterion; /* -2 log L in the units of y; INFINITY where the form cannot be fitted */
    double sum_squares;
    size_t parameters; /* fi_ets_parameters() */
} fi_ets_fit;

/* What fits the forms of one series one after another. */
typedef struct fi_ets_fitter fi_ets_fitter;
ftl_status fi_ets_fitter_new(const fi_history *past, fi_ets_bounds bounds, fi_ets_fitter **out, ftl_error *err);
void fi_ets_fitter_free(fi_ets_fitter *fitter);
/*
 * The maximum likelihood fit of a form, whose start.season [m] is the caller's. Stops early where the criterion has no
 * prospect of falling below `hopeless` (INFINITY: never).
 */
ftl_status fi_ets_fit_form(fi_ets_fitter *fitter, fi_ets_form form, double hopeless, fi_ets_fit *out, ftl_error *err);

/*
 * Means and standard deviations h = 1.. ahead of the states at the end; sigma is that of the error. sd[0] = NaN for the
 * forms without a closed form. work [max(5 m, horizon)]. `place` is that of the first step.
 */
void fi_ets_moments(fi_ets_form form, const fi_ets_values *end, size_t m, size_t place, double sigma, size_t horizon,
                    double *mean, double *sd, double *work);
/* One draw of the future. work [m]. */
void fi_ets_draw(fi_ets_form form, const fi_ets_values *end, size_t m, size_t place, double sigma, size_t horizon,
                 fi_rng *rng, double *path, double *work);

#endif
