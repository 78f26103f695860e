/*
 * ARMA processes with sparse polynomials, as seasonal models have:
 *
 *     w_t = sum ar_l w_{t-l} + e_t + sum ma_l e_{t-l},   e_t ~ N(0, sigma^2)
 *
 * Their residuals, exact likelihood, covariances, and the maps between coefficients and partial autocorrelations.
 */
#ifndef FI_MATH_ARMA_H
#define FI_MATH_ARMA_H

#include <foretell/base.h>

enum { FI_ARMA_MAX_ORDER = 24, FI_ARMA_MAX_SEASONAL = 4 };
enum { FI_LAGS_MAX = (FI_ARMA_MAX_ORDER + 1) * (FI_ARMA_MAX_SEASONAL + 1) - 1 };

/* sum_i c[i] B^lag[i]; lags may repeat (their terms add up). */
typedef struct fi_lags {
    size_t n, degree; /* degree: the largest lag, 0 if n = 0 */
    size_t lag[FI_LAGS_MAX];
    double c[FI_LAGS_MAX];
} fi_lags;

typedef struct fi_arma {
    fi_lags ar, ma;
} fi_arma;

/* Of the state-space form: max(degree of ar, degree of ma + 1). */
size_t fi_arma_dimension(const fi_arma *arma);

/*
 * The terms of a (lags 1..na), of b (lags m, 2m, ..nb m) and of sign * a b: with sign -1 the expansion of
 * (1 - a)(1 - b), with 1 that of (1 + a)(1 + b). Zero coefficients stay, so that terms have fixed places.
 */
void fi_lags_multiply(const double *a, size_t na, const double *b, size_t nb, size_t m, double sign, fi_lags *out);
/* Adds to da [na] and db [nb] the derivatives of a function whose derivatives by out->c are dc. */
void fi_lags_chain(const double *a, size_t na, const double *b, size_t nb, double sign, const double *dc, double *da,
                   double *db);

/*
 * e [n] = residuals of w [n] from `start` on, given the values before it and e = 0 there: conditional sums of squares.
 * start >= degree of ar.
 */
void fi_arma_residuals(const fi_arma *arma, const double *w, size_t n, size_t start, double *e);
/* The transposed recursion: u [n] such that sum_t e_t (x filtered by 1/ma)_t = sum_t u_t x_t for all x zero before start.
 */
void fi_arma_adjoint(const fi_lags *ma, const double *e, size_t n, size_t start, double *u);

/* AR coefficients [p] from partial autocorrelations [p], each in (-1, 1): the process is then stationary. */
void fi_partial_to_ar(const double *partial, size_t p, double *phi);
/* And back; returns false where phi is not stationary. Both may be the same array; p <= FI_ARMA_MAX_ORDER. */
bool fi_ar_to_partial(const double *phi, size_t p, double *partial);
/* Whether all roots of 1 - sum phi_i z^i lie outside the circle of this radius. */
bool fi_ar_roots_beyond(const double *phi, size_t p, double radius);
/* Replaces theta [q] by the invertible polynomial of the same autocorrelations (roots inside the circle flipped). */
void fi_ma_invert(double *theta, size_t q);

/* Memory of the exact methods for series up to n, dimensions up to `dimension`, `columns` series at once. */
typedef struct fi_arma_work {
    size_t n, dimension, columns;
    double *memory;
} fi_arma_work;
ftl_status fi_arma_work_init(fi_arma_work *work, size_t n, size_t dimension, size_t columns, ftl_error *err);
void fi_arma_work_release(fi_arma_work *work);

/*
 * column [dimension] = covariances, in units of sigma^2, of w_t with the state: s_0 = w_t and
 * s_j = sum_{k>j} ar_k w_{t+j-k} + sum_{k>=j} ma_k e_{t+j-k}. Returns false where ar is not stationary.
 */
bool fi_arma_covariance(const fi_arma *arma, double *column, const fi_arma_work *work);

/*
 * Exact Gaussian likelihood without missing values. For each of `columns` series w + j * ld [n] its innovations divided
 * by their standard deviations over sigma, e + j * ld, and log_det = sum of the logarithms of their variances: with S
 * the sum of squares of e, -2 log L = n log(2 pi sigma^2) + log_det + S / sigma^2. Linear in w, so columns of
 * regressors go along. Returns false where ar is not stationary or the numbers overflow. O(n dimension).
 *
 * Method: the Kalman filter in the fast form of Morf, Sidhu & Kailath (1974) for stationary processes, as in Melard
 * (1984, AS 197): the covariance of the state changes by rank one each step, and the change, being that of a
 * stationary process, has weight -1/F. It ends when the innovations reach the variance of e.
 */
bool fi_arma_exact(const fi_arma *arma, const double *w, size_t ld, size_t columns, size_t n, double *e,
                   double *log_det, const fi_arma_work *work);

#endif
