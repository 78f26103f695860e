/*
 * The design of the (linearised) Prophet model without its matrix: hinge columns B_j(t) = max(0, t - s_j) enter sums
 * through suffix moments, so a Gram matrix costs O(T K^2 + T K + S^2) and not O(T (S + K)^2).
 *
 * Coordinates of theta, in this order: k, m (only m for flat growth), beta [K], delta [S] (none for flat growth).
 */
#ifndef FI_PROPHET_DESIGN_H
#define FI_PROPHET_DESIGN_H

#include "math/kernels.h"
#include "prophet/prophet.h"

typedef struct prophet_design {
    const prophet_problem *problem;
    const fi_kernels *kernels;
    size_t n_trend, S, r, p; /* 2 or 1; changepoints in use; r = n_trend + K; p = r + S */
    size_t *start;           /* [S + 1] first row with t > s_j; start[S] = T */
    double *scaled_X;        /* [K, T]: X for additive columns, trend * X for multiplicative ones; or problem->X */
    bool owns_X, nonlinear;  /* nonlinear: some column is multiplicative, or growth is logistic */
    /* state of the last prophet_design_evaluate() */
    double *trend, *factor, *residual; /* [T] g; M = 1 + X_m beta; y - mu */
    double ssr, k, m;
    /* workspace */
    double *row, *row_t;    /* [T] */
    double *moments, *mask; /* [4 * (K + 1)], [K] */
    double *block, *cross;  /* [2 + S, 2 + S], [2 + S, K + 1] */
    void *memory;
} prophet_design;

ftl_status prophet_design_init(prophet_design *d, const prophet_problem *p, ftl_error *err);
void prophet_design_release(prophet_design *d);

/* theta [p] <-> a point (flat growth: k and delta are 0). */
void prophet_design_pack(const prophet_design *d, const prophet_point *x, double *theta);
void prophet_design_unpack(const prophet_design *d, const double *theta, prophet_point *x);

/* Trend, factor, residual and their sum of squares at theta. */
void prophet_design_evaluate(prophet_design *d, const double *theta);
/* J' residual [p] at the evaluated theta, J = d mu / d theta. */
void prophet_design_gradient(prophet_design *d, double *b);
/* J'J [p, p] at the evaluated theta. */
void prophet_design_gram(prophet_design *d, double *G);
/* G += sum_i w_i d2 mu_i / d theta2, w [T]: what Gauss-Newton leaves out. */
void prophet_design_curvature(prophet_design *d, const double *w, double *G);

#endif
