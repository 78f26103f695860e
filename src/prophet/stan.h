/* What prepares a problem for Stan's optimisers: fewer columns, fewer rows, one vector of parameters. */
#ifndef FI_PROPHET_STAN_H
#define FI_PROPHET_STAN_H

#include "prophet/prophet.h"

/*
 * The problem with no more columns than its rows can tell apart. A search that starts at beta = 0 never moves the beta
 * of an empty column; and where more than T columns share mode and prior scale (a thousand holidays on thirty rows),
 * X_g' = Q R makes X_g beta_g = R' z with z = Q' beta_g of T entries, under the same round prior. Both optimisers move
 * in z as they would have moved in beta, at the cost of T unknowns.
 */
typedef struct stan_columns {
    prophet_problem p;       /* to be solved; shares all but its columns with the original */
    size_t K, n_groups;      /* columns of the original, groups condensed */
    int *fate;               /* [K] */
    size_t *members, *first; /* [K], [n_groups + 1] */
    double *qr, *tau, *scratch;
    double *X, *sigmas; /* of p, where they are not the original's */
    bool *multiplicative;
} stan_columns;

/* `p` is borrowed. */
ftl_status stan_columns_init(stan_columns *columns, const prophet_problem *p, ftl_error *err);
void stan_columns_release(stan_columns *columns);
/* beta [K] of the original to that of columns->p, and back. */
void stan_columns_condense(const stan_columns *columns, const double *beta, double *z);
void stan_columns_expand(const stan_columns *columns, const double *z, double *beta);

/* The log posterior as a function of one vector k, m, delta (S), ln sigma, beta (K). */
typedef struct stan_target {
    const prophet_problem *p;
    size_t n;          /* parameters, 3 + S + K */
    size_t q;          /* additive models: columns of Z, where y - Z theta are the residuals; else 0 */
    double *factor;    /* [q + 1, q + 1] upper triangle R with |R (theta, -1)| = |Z theta - y|, by row */
    double *workspace; /* [q + 1], or [3 * T] where q is 0 */
} stan_target;

/* `p` is borrowed. Where the model is additive and long, its rows are condensed to q + 1 once (O(T q^2)), and every
   evaluation then costs O(q^2) whatever T is. */
ftl_status stan_target_init(stan_target *target, const prophet_problem *p, ftl_error *err);
void stan_target_release(stan_target *target);
/* lp and its gradient [n]; false where either is not finite. */
bool stan_target_evaluate(stan_target *target, const double *theta, double *lp, double *grad);

#endif
