/*
 * Small dense linear algebra, up to a few hundred unknowns: plain C, no blocking. Matrices are row-major unless said
 * otherwise; `ld` is the distance between rows (or columns) in elements.
 */
#ifndef FI_MATH_LINALG_H
#define FI_MATH_LINALG_H

#include <stddef.h>

/*
 * Cholesky factor of a symmetric positive matrix: on return the lower triangle of A [n, ld] holds L with A = L L'.
 * A pivot below `floor_ratio` times its diagonal entry (a column that depends on earlier ones to rounding) is made
 * infinite, which holds its coordinate at 0 in solves. Returns the number of such pivots.
 */
size_t fi_cholesky(double *A, size_t n, size_t ld, double floor_ratio);
/* The same where rows before `from` are factored already: appending rows to a factor costs O(n^2) each. */
size_t fi_cholesky_rows(double *A, size_t from, size_t n, size_t ld, double floor_ratio);
/* x <- L^-1 x and x <- L^-T x for the factor left by fi_cholesky. */
void fi_solve_lower(const double *L, size_t n, size_t ld, double *x);
void fi_solve_lower_transposed(const double *L, size_t n, size_t ld, double *x);
/* Estimate of the 2-norm condition of A = L L' by a few power and inverse iterations; work [2 * n]. */
double fi_cholesky_condition(const double *L, size_t n, size_t ld, double *work);

/*
 * Householder QR of a column-major matrix A [m rows, n columns, ld], m >= n: R in the upper triangle, the reflectors
 * below it and in tau [n].
 */
void fi_qr(double *A, size_t m, size_t n, size_t ld, double *tau);
/* x [m] <- Q x, or Q' x. */
void fi_qr_apply(const double *A, size_t m, size_t n, size_t ld, const double *tau, int transposed, double *x);

double fi_dot(const double *a, const double *b, size_t n);

#endif
