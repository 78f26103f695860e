/*
 * The Kalman filter of an ARIMA process, with missing values: the exact way where fi_arma_exact() cannot go.
 *
 *     y_t = w_t + sum diff_l y_{t-l},   w an ARMA process
 *
 * The state is that of Harvey (1989) as in R's arima(): s_0 = w_t, s_j the part of w_{t+j} known at t; then the values
 * y_{t-1}, y_{t-2} ... that diff needs, whose prior is diffuse: variance 1e6 in units of sigma^2.
 */
#ifndef FI_MATH_KALMAN_H
#define FI_MATH_KALMAN_H

#include "math/arma.h"

/* Differencing (1 - B)^d (1 - B^m)^D as y_t = w_t + sum c_l y_{t-l}; d <= 2, D <= 2. */
void fi_difference_lags(size_t d, size_t D, size_t m, fi_lags *out);
/* w [n - degree] = y differenced; NaN where a value is missing. */
void fi_difference(const fi_lags *diff, const double *y, size_t n, double *w);

typedef struct fi_kalman {
    size_t dimension, columns;
    double *state; /* [columns, dimension] after fi_kalman_filter: the state predicted for the row after the last */
    double *P;     /* [dimension, dimension] its covariance less that of the last innovation; see below */
    bool known;    /* P is 0 */
    double *memory;
} fi_kalman;
/* For the dimension of the ARMA process plus the degree of the differencing. */
ftl_status fi_kalman_init(fi_kalman *k, size_t dimension, size_t columns, ftl_error *err);
void fi_kalman_release(fi_kalman *k);

/* Variances of innovations above this come from the diffuse prior: such values do not count in the likelihood. */
#define FI_KALMAN_DIFFUSE 1e4

/*
 * Filters `columns` series y + j * ld [n]; NaN in the first one is a missing row. Writes the innovations v + j * ld [n]
 * (NaN where missing) and their variances F [n] in units of sigma^2. Afterwards k->P is what is uncertain of the state
 * of the next row before its own innovation e enters by (1, ma_1, ...). Returns false where ar is not stationary.
 */
bool fi_kalman_filter(fi_kalman *k, const fi_arma *arma, const fi_lags *diff, const double *y, size_t ld,
                      size_t columns, size_t n, double *v, double *F, const fi_arma_work *work);

#endif
