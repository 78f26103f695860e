/*
 * Fitting one seasonal ARIMA model with regressors:
 *
 *     y_t = x_t' beta + n_t,   phi(B) Phi(B^m) (1 - B)^d (1 - B^m)^D n_t = theta(B) Theta(B^m) e_t
 *
 * by conditional sum of squares, by exact Gaussian likelihood, or by the second started from the first, as R's arima().
 * beta is not searched for: at each trial of the other coefficients it is the generalised least squares estimate.
 */
#ifndef FI_STATS_ARIMA_FIT_H
#define FI_STATS_ARIMA_FIT_H

#include "math/kalman.h"

typedef struct fi_arima_order {
    size_t p, d, q, P, D, Q, m; /* m: the season, >= 1 */
    bool constant;              /* a mean where d + D = 0, a drift where it is 1, nothing beyond */
} fi_arima_order;

enum { FI_ARIMA_MAX_COEF = 2 * (FI_ARMA_MAX_ORDER + FI_ARMA_MAX_SEASONAL) };

/* Coefficients in the order phi, theta, Phi, Theta; expanded into the lags of the product. */
void fi_arima_expand(const fi_arima_order *order, const double *coef, fi_arma *out);
size_t fi_arima_n_coef(const fi_arima_order *order);
/* Whether all roots of every polynomial are further than `radius` from 0; with m > 1 as roots of the product. */
bool fi_arima_roots_beyond(const fi_arima_order *order, const double *coef, double radius);

typedef struct fi_arima_fit {
    fi_arima_order order;
    double coef[FI_ARIMA_MAX_COEF];
    double sigma2;         /* maximum likelihood; of CSS: the mean square */
    double loglik;         /* NaN for CSS */
    double aic, aicc, bic; /* of CSS: n log(sigma2) in place of -2 loglik, comparable with one another only */
} fi_arima_fit;

/*
 * One series with its differencing and regressors, prepared for fits of any p, q, P, Q with or without the constant.
 * Everything is scaled to unit size and regressors are made orthogonal, so that neither their units nor their
 * correlations matter.
 */
typedef struct fi_arima_problem {
    size_t n, first;    /* rows from the first observation on, which is row `first` of the series */
    size_t observed;    /* values */
    size_t nw;          /* rows after differencing */
    size_t n_x;         /* regressors, without the constant */
    bool can_constant;  /* the column of the constant is there, the last one */
    bool missing;       /* the likelihood is the Kalman filter's */
    double scale;       /* of y */
    fi_lags diff;       /* of d, D, m */
    double *w;          /* [1 + columns, nw] y (gaps bridged) and regressors, differenced */
    double *raw;        /* [1 + columns, n] before differencing, where values are missing */
    double *R;          /* [columns, columns] upper: differenced regressors = orthonormal columns R */
    double *e, *v;      /* [1 + columns, n] innovations, work */
    double *u, *F;      /* [n] work */
    double *beta;       /* [columns] of the last trial, for the orthonormal columns */
    double *gram;       /* [columns, columns + 1] */
    fi_arma_work exact; /* for the largest orders asked for */
    fi_kalman kalman;
    double *memory;
} fi_arima_problem;

/*
 * y [n] with at least one value; x [n, n_x] or NULL. `largest` has d, D, m and the largest orders to be fitted; its
 * constant says whether there may be one. bridge: missing values are bridged by lines for good.
 */
ftl_status fi_arima_problem_init(fi_arima_problem *problem, const double *y, size_t n, const double *x, size_t n_x,
                                 const fi_arima_order *largest, bool bridge, ftl_error *err);
void fi_arima_problem_release(fi_arima_problem *problem);

typedef enum fi_arima_method {
    FI_ARIMA_CSS_ML, /* exact likelihood from where CSS ends; refused where that is not stationary */
    FI_ARIMA_ML,     /* exact likelihood from zero */
    FI_ARIMA_CSS,
} fi_arima_method;

/*
 * Fits order->p, q, P, Q and constant (d, D, m are the problem's). FTL_ENUMERIC (without a message) where there is no
 * such fit: too few values, CSS not stationary, a perfect fit; FTL_ENOMEM.
 */
ftl_status fi_arima_fit_order(fi_arima_problem *problem, const fi_arima_order *order, fi_arima_method method,
                              fi_arima_fit *fit, ftl_error *err);

/*
 * Regression coefficients for a fit, beta [n_x + constant] in the units of y and x, the constant last, and the sum of
 * squares of standardised innovations, which may be 0. FTL_ENUMERIC where they are not finite.
 */
ftl_status fi_arima_regression(fi_arima_problem *problem, const fi_arima_fit *fit, double *beta, double *squares);

#endif
