/* What prepares a problem for Stan's optimisers: fewer columns, fewer rows, one vector of parameters. */
#ifndef FI_PROPHET_STAN_H
#define FI_PROPHET_STAN_H

#include "prophet/columns.h"

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
