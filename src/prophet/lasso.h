/*
 * The convex heart of the exact solver: for a fixed variance v, minimise over theta = (ridge part, delta)
 *
 *     1/2 |r - Z (theta - center)|^2 + v ( 1/2 sum D_i theta_i^2 + sum |delta_j| / tau )
 *
 * known only through G = Z'Z (plus any quadratic term the caller added) and b = Z'r, r the residual at `center`. Taking
 * a centre near the solution keeps full accuracy where y varies by little of its level. The ridge part is eliminated
 * by one Cholesky factorisation a variance; what is left is a small lasso in delta, solved by an active set with sign
 * control (feature-sign search, Lee et al. 2007), warm-started.
 */
#ifndef FI_PROPHET_LASSO_H
#define FI_PROPHET_LASSO_H

#include "math/kernels.h"

#include <foretell/base.h>

typedef struct prophet_lasso {
    size_t r, S, p; /* ridge coordinates, L1 coordinates, p = r + S; ridge first */
    size_t pad;     /* S rounded up for the kernels: row length of W and C */
    const fi_kernels *kernels;
    double *G;      /* [p, p] row-major, both triangles */
    double *b;      /* [p] */
    double *center; /* [p] */
    double *D;      /* [r] */
    double tau;
    double rr; /* |r|^2 at the centre */
    /* solution */
    double *theta;               /* [p]; delta on entry: the warm start */
    double ssr;                  /* |r - Z (theta - center)|^2 by the quadratic form */
    double slope;                /* d ssr / d v along the path */
    size_t *active;              /* [n_active] indices into delta, in order of arrival */
    size_t n_active, n_factored; /* `small` holds the factor of the first n_factored of them */
    size_t factorisations;
    size_t dropped; /* pivots that were not positive, counted up: columns dependent or the model not convex */
    /* workspace */
    double *L, *W, *C, *c, *z, *small, *x, *sign, *work;
    void *memory;
} prophet_lasso;

ftl_status prophet_lasso_init(prophet_lasso *l, size_t r, size_t S, ftl_error *err);
void prophet_lasso_release(prophet_lasso *l);
void prophet_lasso_solve(prophet_lasso *l, double v);
/* The same with delta held at that of the centre: a cheap start. Returns SSR; *penalty = 1/2 sum D theta^2 + L1 / tau. */
double prophet_lasso_ridge_only(prophet_lasso *l, double v, double *penalty);
/* SSR with v in the ridge terms and no penalty on delta: below that of every larger variance. Leaves theta alone. */
double prophet_lasso_unpenalised(prophet_lasso *l, double v);

#endif
