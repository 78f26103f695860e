/*
 * CmdStan's optimisers as Prophet runs them. Both end short of the optimum (the Laplace prior has kinks that they take
 * for curvature), and where they end is what Prophet's users know as its fit; so every rule that decides it is kept.
 *
 * Source: Stan Reference Manual and CmdStan User's Guide, "Optimization"; behaviour compared with CmdStan 2.37.
 */
#include "prophet/stan.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/eigen.h"
#include "math/lbfgs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEWTON_BELOW = 100 }; /* Prophet: fewer observations than this go to Newton */

/* ---- Newton ------------------------------------------------------------------------------------------------------- */

typedef struct newton {
    stan_target *target;
    size_t n;
    double *theta, *trial, *grad, *grad_beside, *step; /* [n] */
    double *hessian, *vectors, *values, *work;         /* [n, n], [n, n], [n], [2 n] */
} newton;

/*
 * The Hessian by a four-point rule on the gradient, made symmetric. Stan multiplies by the spacing where it should
 * divide, so that this is the Hessian times spacing^2 and the first trial step a million times too long; the halving
 * below makes up for it. At a kink the rule sees a curvature spread over 2 * spacing.
 */
static bool finite_difference_hessian(newton *s)
{
    static const double spacing = 1e-3, at[4] = {-2, -1, 1, 2}, weight[4] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    double lp;
    memset(s->hessian, 0, s->n * s->n * sizeof *s->hessian);
    memcpy(s->trial, s->theta, s->n * sizeof *s->trial);
    for (size_t d = 0; d < s->n; d++) {
        for (size_t i = 0; i < 4; i++) {
            s->trial[d] = s->theta[d] + at[i] * spacing;
            if (!stan_target_evaluate(s->target, s->trial, &lp, s->grad_beside)) return false;
            for (size_t e = 0; e < s->n; e++) {
                double increment = 0.5 * spacing * weight[i] * s->grad_beside[e];
                s->hessian[d * s->n + e] += increment;
                s->hessian[e * s->n + d] += increment;
            }
        }
        s->trial[d] = s->theta[d];
    }
    return true;
}

/* step = |H|^-1 grad, with |H| as H but for the signs of its eigenvalues: uphill also where lp is not concave. */
static bool newton_direction(newton *s)
{
    if (!finite_difference_hessian(s) || !fi_eigen_symmetric(s->n, s->hessian, s->values, s->vectors, s->work))
        return false;
    memset(s->step, 0, s->n * sizeof *s->step);
    for (size_t i = 0; i < s->n; i++) {
        const double *v = s->vectors + i * s->n;
        double along = 0;
        for (size_t d = 0; d < s->n; d++) along += v[d] * s->grad[d];
        along /= fabs(s->values[i]);
        for (size_t d = 0; d < s->n; d++) s->step[d] += along * v[d];
    }
    return true;
}

/* Halves the step until lp does not fall; leaves all as it is if it always does. lp and grad belong to theta. */
static void newton_climb(newton *s, double *lp)
{
    for (double size = 1; size >= 1e-50; size /= 2) {
        double there;
        for (size_t d = 0; d < s->n; d++) s->trial[d] = s->theta[d] + size * s->step[d];
        if (!stan_target_evaluate(s->target, s->trial, &there, s->grad_beside) || there < *lp) continue;
        memcpy(s->theta, s->trial, s->n * sizeof *s->theta);
        memcpy(s->grad, s->grad_beside, s->n * sizeof *s->grad);
        *lp = there;
        return;
    }
}

typedef enum newton_stop { NEWTON_CONVERGED, NEWTON_MAX_ITERATIONS, NEWTON_NOT_FINITE } newton_stop;

static newton_stop newton_run(newton *s, size_t max_iterations, size_t *iterations)
{
    double lp;
    *iterations = 0;
    if (!stan_target_evaluate(s->target, s->theta, &lp, s->grad)) return NEWTON_NOT_FINITE;
    while (*iterations < max_iterations) {
        double before = lp;
        if (!newton_direction(s)) return NEWTON_NOT_FINITE;
        newton_climb(s, &lp);
        ++*iterations;
        if (fabs(lp - before) <= 1e-8) return NEWTON_CONVERGED;
    }
    return NEWTON_MAX_ITERATIONS;
}

static ftl_status maximise_newton(stan_target *target, double *theta, size_t max_iterations, newton_stop *stop,
                                  size_t *iterations, ftl_error *err)
{
    size_t n = target->n;
    double *memory = fi_alloc(2 * n + 7, n * sizeof *memory);
    if (!memory) return fi_fail_memory(err);
    double *rows = memory + 2 * n * n;
    newton s = {.target = target, .n = n, .theta = theta, .hessian = memory, .vectors = memory + n * n};
    s.trial = rows;
    s.grad = rows + n;
    s.grad_beside = rows + 2 * n;
    s.step = rows + 3 * n;
    s.values = rows + 4 * n;
    s.work = rows + 5 * n;
    *stop = newton_run(&s, max_iterations, iterations);
    fi_free(memory);
    return FTL_OK;
}

/* ---- L-BFGS ------------------------------------------------------------------------------------------------------- */

static bool minus_log_posterior(void *user, const double *theta, double *f, double *gradient)
{
    stan_target *target = user;
    bool finite = stan_target_evaluate(target, theta, f, gradient);
    *f = -*f;
    for (size_t i = 0; i < target->n; i++) gradient[i] = -gradient[i];
    return finite;
}

/* ---- both --------------------------------------------------------------------------------------------------------- */

/* Runs the algorithms on theta, from where it is; fills the certificate's account of it. */
static ftl_status maximise(stan_target *target, prophet_algorithm algorithm, size_t max_iterations, double *theta,
                           double *start, prophet_certificate *cert, ftl_error *err)
{
    const char *prefix = "";
    if (algorithm == PROPHET_LBFGS) {
        fi_lbfgs_options options = fi_lbfgs_stan;
        fi_lbfgs_result result;
        options.max_iterations = max_iterations;
        memcpy(start, theta, target->n * sizeof *start);
        ftl_status st = fi_lbfgs_minimise(minus_log_posterior, target, target->n, theta, &options, &result, err);
        if (st) return st;
        cert->iterations = result.iterations;
        cert->converged = result.stop != FI_LBFGS_MAX_ITERATIONS;
        snprintf(cert->stop, sizeof cert->stop, "L-BFGS: %s", fi_lbfgs_stop_text(result.stop));
        if (result.stop != FI_LBFGS_LINE_SEARCH && result.stop != FI_LBFGS_BAD_START) return FTL_OK;
        memcpy(theta, start, target->n * sizeof *start);
        prefix = "L-BFGS failed, ";
    }
    newton_stop stop = NEWTON_NOT_FINITE;
    ftl_status st = maximise_newton(target, theta, max_iterations, &stop, &cert->iterations, err);
    if (st) return st;
    if (stop == NEWTON_NOT_FINITE)
        return fi_fail(err, FTL_ENUMERIC,
                       "%sNewton met a log posterior that is not finite after %zu iterations: y or a regressor has "
                       "extreme values, or the columns fit so few rows exactly; use solver=exact",
                       prefix, cert->iterations);
    cert->converged = stop == NEWTON_CONVERGED;
    snprintf(cert->stop, sizeof cert->stop, "%sNewton: %s", prefix,
             cert->converged ? "change of lp below tolerance" : "iteration limit reached");
    return FTL_OK;
}

ftl_status prophet_solve_stan(const prophet_problem *p, prophet_algorithm algorithm, int64_t max_iterations, bool warm,
                              prophet_point *x, prophet_certificate *cert, ftl_error *err)
{
    prophet_columns columns;
    stan_target target = {0};
    double *theta = NULL, *workspace = NULL;
    ftl_status st = prophet_columns_init(&columns, p, err);
    if (st) return st;
    if ((st = stan_target_init(&target, &columns.p, err))) goto done;
    theta = fi_alloc(target.n, 2 * sizeof *theta);
    workspace = fi_alloc(p->T, 3 * sizeof *workspace);
    if (!theta || !workspace) {
        st = fi_fail_memory(err);
        goto done;
    }

    if (!warm) prophet_initial_point(p, x);
    theta[0] = x->k;
    theta[1] = x->m;
    for (size_t j = 0; j < p->S; j++) theta[2 + j] = x->delta[j];
    theta[2 + p->S] = log(x->sigma);
    prophet_columns_condense(&columns, x->beta, theta + 3 + p->S);

    if (algorithm == PROPHET_AUTO) algorithm = p->T < NEWTON_BELOW ? PROPHET_NEWTON : PROPHET_LBFGS;
    size_t limit = max_iterations > 0 ? (size_t)max_iterations : 1;
    if ((st = maximise(&target, algorithm, limit, theta, theta + target.n, cert, err))) goto done;

    x->k = theta[0];
    x->m = theta[1];
    x->sigma = exp(theta[2 + p->S]);
    for (size_t j = 0; j < p->S; j++) x->delta[j] = theta[2 + j];
    prophet_columns_expand(&columns, theta + 3 + p->S, x->beta);
    cert->stan_log_posterior = prophet_log_posterior(p, x, NULL, workspace);
done:
    stan_target_release(&target);
    prophet_columns_release(&columns);
    fi_free(theta);
    fi_free(workspace);
    return st;
}

double prophet_round_significant(double x, int digits)
{
    char text[64]; /* written and read under the same locale, so its decimal point does not matter */
    snprintf(text, sizeof text, "%.*e", digits - 1, x);
    return strtod(text, NULL);
}
