/* Minimisation of smooth functions of many variables by limited-memory BFGS. */
#ifndef FI_MATH_LBFGS_H
#define FI_MATH_LBFGS_H

#include <foretell/base.h>

/* Writes f(x) and its gradient [n]; returns false where either is not finite, which a search then steps back from. */
typedef bool (*fi_objective_fn)(void *user, const double *x, double *f, double *gradient);

typedef struct fi_lbfgs_options {
    size_t history; /* pairs kept */
    size_t max_iterations;
    double first_step;        /* of the line search along -gradient, at the start and after a restart */
    double f_change;          /* stops when |f - previous f| is less; likewise the others, each by its own measure */
    double gradient_norm;     /* |g| */
    double x_change;          /* |x - previous x| */
    double relative_f_change; /* |f - previous f| / max(|f|, |previous f|, 1), in units of machine epsilon */
    double
        relative_gradient_norm; /* g'Hg / max(|f|, 1), in units of machine epsilon; H the inverse Hessian's estimate */
    /* From iteration `patience` on (0: never) stops where even a decrease of 10 g'Hg would leave f above `hopeless`. */
    size_t patience;
    double hopeless;
} fi_lbfgs_options;

typedef enum fi_lbfgs_stop {
    FI_LBFGS_F_CHANGE,
    FI_LBFGS_GRADIENT_NORM,
    FI_LBFGS_X_CHANGE,
    FI_LBFGS_MAX_ITERATIONS,
    FI_LBFGS_RELATIVE_F_CHANGE,
    FI_LBFGS_RELATIVE_GRADIENT_NORM,
    FI_LBFGS_HOPELESS,
    FI_LBFGS_LINE_SEARCH, /* no step along -gradient improves f enough */
    FI_LBFGS_BAD_START,   /* f or its gradient is not finite at the start */
} fi_lbfgs_stop;

typedef struct fi_lbfgs_result {
    double f;
    size_t iterations, evaluations;
    fi_lbfgs_stop stop;
} fi_lbfgs_result;

/* The settings of CmdStan's `optimize algorithm=lbfgs`. */
extern const fi_lbfgs_options fi_lbfgs_stan;

/*
 * Minimises from x [n], which is replaced by the last point accepted. The search is that of Stan in every rule that
 * decides where it ends: first trial step by the minimiser of a cubic through the last step, strong Wolfe conditions
 * (1e-4, 0.9), one restart along -gradient where a search fails.
 *
 * Source: Nocedal & Wright, Numerical Optimization, 2nd ed., algorithms 3.5, 3.6 and 7.4; Stan Reference Manual,
 * "Optimization". Returns FTL_OK (see result->stop) or FTL_ENOMEM.
 */
ftl_status fi_lbfgs_minimise(fi_objective_fn objective, void *user, size_t n, double *x,
                             const fi_lbfgs_options *options, fi_lbfgs_result *result, ftl_error *err);

/* What a stop means, in words. */
const char *fi_lbfgs_stop_text(fi_lbfgs_stop stop);

#endif
