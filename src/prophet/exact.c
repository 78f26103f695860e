/*
 * The certified optimum of Prophet's posterior.
 *
 * Additive models with linear or flat growth are a convex lasso for every fixed variance v = sigma^2; along v the best
 * theta(v) has SSR(v) non-decreasing, and stationary points of the posterior are the roots of
 *
 *     F(v) = 4 v^2 + T v - SSR(v),
 *
 * a minimum of J = -log posterior where F rises through 0. The map v -> phi(SSR(v)) is increasing, so iterating it from
 * above gives the largest root and from below the smallest; where the two agree the optimum is proved unique, where
 * they differ the modes between are searched and the best is kept. Where the design can interpolate the data J falls
 * without bound as v -> 0; that abyss is never entered: only roots with a barrier below them are admissible.
 *
 * Multiplicative and logistic models: see exact_nonlinear.c.
 */
#include "prophet/exact.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"
#include "prophet/columns.h"

#include <math.h>
#include <string.h>

/* Below this variance (of y scaled to 1) a fit is interpolation: sigma 1e-9, Prophet's own value for constant series. */
const double PROPHET_VARIANCE_FLOOR = 1e-18;

double prophet_profile_variance(size_t T, double ssr)
{
    double t = (double)T; /* the positive root of 4 v^2 + T v = SSR, without cancellation */
    return 2.0 * ssr / (t + sqrt(t * t + 16.0 * ssr));
}

ftl_status prophet_exact_init(prophet_exact *s, const prophet_problem *p, ftl_error *err)
{
    *s = (prophet_exact){.problem = p};
    ftl_status st = prophet_design_init(&s->design, p, err);
    if (!st) st = prophet_lasso_init(&s->lasso, s->design.r, s->design.S, err);
    if (!st && !(s->best = fi_calloc(s->design.p, sizeof *s->best))) st = fi_fail_memory(err);
    if (st) {
        prophet_exact_release(s);
        return st;
    }
    prophet_lasso *l = &s->lasso;
    l->tau = p->tau;
    for (size_t i = 0; i < s->design.n_trend; i++) l->D[i] = 1.0 / 25.0; /* k, m ~ N(0, 5) */
    for (size_t j = 0; j < p->K; j++) l->D[s->design.n_trend + j] = 1.0 / (p->sigmas[j] * p->sigmas[j]);
    return FTL_OK;
}

void prophet_exact_release(prophet_exact *s)
{
    prophet_design_release(&s->design);
    prophet_lasso_release(&s->lasso);
    fi_free(s->best);
    s->best = NULL;
}

double prophet_exact_objective(const prophet_exact *s, const double *theta, double ssr, double v)
{
    const prophet_lasso *l = &s->lasso;
    double ridge = 0, l1 = 0;
    for (size_t i = 0; i < l->r; i++) ridge += l->D[i] * theta[i] * theta[i];
    for (size_t j = 0; j < l->S; j++) l1 += fabs(theta[l->r + j]);
    return 0.5 * (double)s->problem->T * log(v) + ssr / (2.0 * v) + 0.5 * ridge + l1 / l->tau + 2.0 * v;
}

/* Largest violation of the KKT conditions at theta with data gradient b = J'residual, and the duality gap in nats. */
double prophet_exact_kkt(const prophet_exact *s, const double *theta, const double *b, double ssr, double v,
                         double *gap)
{
    const prophet_lasso *l = &s->lasso;
    double T = (double)s->problem->T, worst = fabs(T - ssr / v + 4.0 * v), shrink = 1.0, duality = 0;
    for (size_t j = l->r; j < l->p; j++)
        if (fabs(b[j]) * l->tau > v * shrink)
            shrink = v / (fabs(b[j]) * l->tau) < shrink ? v / (fabs(b[j]) * l->tau) : shrink;
    for (size_t i = 0; i < l->r; i++) {
        double smooth = l->D[i] * theta[i] - b[i] / v, off = theta[i] - shrink * b[i] / (v * l->D[i]);
        worst = fmax(worst, fabs(smooth));
        duality += 0.5 * l->D[i] * off * off;
    }
    for (size_t j = l->r; j < l->p; j++) {
        double w = b[j] / v, delta = theta[j], bound = 1.0 / l->tau;
        worst = fmax(worst, delta != 0 ? fabs(copysign(bound, delta) - w) : fmax(0.0, fabs(w) - bound));
        duality += fabs(delta) * bound - delta * shrink * w;
    }
    if (gap) *gap = duality + 0.5 * (1.0 - shrink) * (1.0 - shrink) * ssr / v;
    return worst;
}

void prophet_exact_recenter(prophet_exact *s, const double *theta)
{
    prophet_lasso *l = &s->lasso;
    prophet_design_evaluate(&s->design, theta);
    prophet_design_gradient(&s->design, l->b);
    l->rr = s->design.ssr;
    memcpy(l->center, theta, l->p * sizeof *theta);
}

/* ---- additive models ---------------------------------------------------------------------------------------------- */

/* theta(v) into lasso.theta; returns F(v). Recentres where the quadratic form would cancel. */
static double solve_at(prophet_exact *s, double v)
{
    prophet_lasso *l = &s->lasso;
    prophet_lasso_solve(l, v);
    s->iterations++;
    for (int again = 0; again < 3 && l->ssr < 1e-7 * l->rr && l->rr > 0; again++) {
        prophet_exact_recenter(s, l->theta);
        prophet_lasso_solve(l, v);
    }
    return v * (4.0 * v + (double)s->problem->T) - l->ssr;
}

/*
 * The root reached by v <- phi(SSR(v)) from `v`, sped up by Newton steps on F once they are small. From above the
 * iterates fall, from below they rise, and no root is passed while steps are larger. Returns 0 if v falls to the floor.
 */
static double fixed_point(prophet_exact *s, double v)
{
    double T = (double)s->problem->T;
    for (int step = 0; step < 500; step++) {
        if (v < PROPHET_VARIANCE_FLOOR) return 0;
        double F = solve_at(s, v), next = prophet_profile_variance(s->problem->T, s->lasso.ssr);
        double change = fabs(next - v) / v, slope = 8.0 * v + T - s->lasso.slope;
        if (change <= 1e-13) return v;
        if (change < 0.5 && slope > 0) {
            double newton = v - F / slope;
            if (fabs(newton - v) < 0.6 * v) next = newton;
        }
        if (fabs(next - v) <= 1e-11 * v) return v; /* the last digits come from the rows: refine_additive() */
        v = next;
    }
    return v;
}

typedef struct mode {
    double v, objective;
} mode;

/* Keeps the solution at v, the one just computed, if it beats the best mode so far. */
static void consider(prophet_exact *s, double v, mode *best)
{
    double objective = prophet_exact_objective(s, s->lasso.theta, s->lasso.ssr, v);
    s->n_modes++;
    if (objective >= best->objective) return;
    *best = (mode){v, objective};
    memcpy(s->best, s->lasso.theta, s->lasso.p * sizeof(double));
}

/*
 * Looks at the path between `low` and `high` (high a root, F < 0 just below it) for further modes: going down, F
 * changing from - to + is a barrier, from + to - another minimum.
 */
static void scan(prophet_exact *s, double low, double high, mode *best)
{
    int n = (int)ceil(log(high / low) / log(1.6));
    if (n < 8) n = 8;
    double ratio = pow(low / high, 1.0 / n), previous = high, sign = -1.0;
    for (int i = 1; i <= n; i++) {
        double v = high * pow(ratio, i), F = solve_at(s, v);
        if (F > 0 && sign < 0 && !(s->barrier > 0)) s->barrier = v;
        if (F < 0 && sign > 0) {
            double root = fixed_point(s, previous);
            if (root > v && root <= previous) consider(s, root, best);
        }
        sign = F > 0 ? 1.0 : -1.0;
        previous = v;
    }
}

/*
 * A variance above every root, from candidates theta' without changepoints: theta(v) does no worse on the penalised
 * objective, so SSR(v) <= SSR' + 2 v penalty', and a root obeys 4 v^2 + (T - 2 penalty') v <= SSR'.
 */
static double upper_bound(prophet_exact *s)
{
    double T = (double)s->problem->T, bound = prophet_profile_variance(s->problem->T, s->lasso.rr), v = bound;
    for (int i = 0; i < 4; i++) {
        double penalty, ssr = prophet_lasso_ridge_only(&s->lasso, v, &penalty), left = T - 2.0 * penalty;
        double candidate = left > 0 ? 2.0 * ssr / (left + sqrt(left * left + 16.0 * ssr)) : bound;
        bool settled = !(candidate < 0.7 * bound);
        bound = fmin(bound, candidate);
        v = fmax(prophet_profile_variance(s->problem->T, ssr), PROPHET_VARIANCE_FLOOR);
        if (settled) break;
    }
    return bound;
}

/*
 * The smallest root: v <- phi(SSR(v)) started below all roots, at the variance of least squares without a penalty on
 * delta, rises to it and never passes it. Stops at 0.99 `high`: a root that near is the same mode. 0 where least squares
 * leaves no residual, so that no such bound exists.
 */
static double smallest_root(prophet_exact *s, double high)
{
    size_t T = s->problem->T;
    if (T <= s->lasso.p) return 0;
    double v = prophet_profile_variance(T, prophet_lasso_unpenalised(&s->lasso, 1e-6 * high));
    if (!(v > 1e-6 * high)) return 0;
    for (int i = 0; i < 6; i++) {
        if (v > 0.99 * high) return high;
        solve_at(s, v);
        double next = prophet_profile_variance(T, s->lasso.ssr);
        if (!(next > v)) return v;
        v = next;
    }
    return fixed_point(s, v);
}

/*
 * No proper optimum: the model reproduces the data. Of all parameters that do, those with the least penalty are taken,
 * which is the limit of theta(v) as v falls; a v that is small but not lost in rounding gives it.
 */
static void interpolate(prophet_exact *s)
{
    prophet_lasso *l = &s->lasso;
    size_t T = s->problem->T;
    memset(l->theta, 0, l->p * sizeof(double));
    prophet_exact_recenter(s, l->theta);
    prophet_lasso_solve(l, fmax(1e-10 * l->rr / (double)T, PROPHET_VARIANCE_FLOOR));
    memcpy(s->best, l->theta, l->p * sizeof(double));
    prophet_exact_recenter(s, s->best);
    s->v = fmax(prophet_profile_variance(T, l->rr), PROPHET_VARIANCE_FLOOR);
}

static void additive(prophet_exact *s)
{
    prophet_lasso *l = &s->lasso;
    memset(l->theta, 0, l->p * sizeof(double));
    prophet_exact_recenter(s, l->theta);
    prophet_design_gram(&s->design, l->G);
    double high = fixed_point(s, upper_bound(s));
    if (!(high > PROPHET_VARIANCE_FLOOR)) {
        s->degenerate = true;
        interpolate(s);
        return;
    }
    mode best = {high, INFINITY};
    consider(s, high, &best);
    double low = smallest_root(s, high);
    if (low == 0) {
        scan(s, fmax(PROPHET_VARIANCE_FLOOR, 1e-13 * high), high, &best);
    } else if (low < 0.99 * high) {
        solve_at(s, low);
        consider(s, low, &best);
        scan(s, low * (1.0 + 1e-6), high, &best);
    }
    s->v = best.v;
}

/* Newton on the rows themselves: the Gram matrix may have lost digits, residuals have not. */
static void refine_additive(prophet_exact *s)
{
    prophet_lasso *l = &s->lasso;
    double before = INFINITY;
    for (int round = 0; round < 6; round++) {
        prophet_exact_recenter(s, s->best);
        s->v = fmax(prophet_profile_variance(s->problem->T, l->rr), PROPHET_VARIANCE_FLOOR);
        double kkt = prophet_exact_kkt(s, s->best, l->b, l->rr, s->v, NULL);
        if (kkt < 1e-8 || !(kkt < 0.5 * before)) return;
        before = kkt;
        memcpy(l->theta, s->best, l->p * sizeof(double));
        prophet_lasso_solve(l, s->v);
        memcpy(s->best, l->theta, l->p * sizeof(double));
    }
}

/* ---- the solver ------------------------------------------------------------------------------------------------------ */

static ftl_status solve(const prophet_problem *p, prophet_point *x, prophet_certificate *cert, ftl_error *err)
{
    prophet_exact s;
    ftl_status st = prophet_exact_init(&s, p, err);
    if (st) return st;
    if (s.design.nonlinear) {
        st = prophet_exact_nonlinear(&s, err);
    } else {
        additive(&s);
        if (!s.degenerate) refine_additive(&s);
    }
    if (!st) {
        prophet_design_unpack(&s.design, s.best, x);
        x->sigma = sqrt(s.v);
        cert->barrier_sigma = s.barrier > 0 ? sqrt(s.barrier) : NAN;
        cert->n_modes = s.n_modes;
        cert->iterations = s.iterations;
        cert->factorisations = s.lasso.factorisations;
        cert->degenerate = s.degenerate;
        cert->condition = fi_cholesky_condition(s.lasso.L, s.lasso.r, s.lasso.r, s.lasso.work);
    }
    prophet_exact_release(&s);
    return st;
}

ftl_status prophet_solve_exact(const prophet_problem *p, prophet_point *x, prophet_certificate *cert, ftl_error *err)
{
    *cert = prophet_certificate_none();
    prophet_columns columns;
    ftl_status st = prophet_columns_init(&columns, p, err);
    if (st) return st;
    prophet_point reduced = *x;
    reduced.beta = fi_alloc(columns.p.K, sizeof *reduced.beta);
    if (!reduced.beta) st = fi_fail_memory(err);
    if (!st && !(st = solve(&columns.p, &reduced, cert, err))) {
        prophet_columns_expand(&columns, reduced.beta, x->beta);
        x->k = reduced.k, x->m = reduced.m, x->sigma = reduced.sigma;
    }
    fi_free(reduced.beta);
    prophet_columns_release(&columns);
    if (st) return st;
    if ((st = prophet_certify(p, x, cert, err))) return st;
    cert->exact_log_posterior = cert->log_posterior;
    if (!isfinite(cert->log_posterior) || !isfinite(x->sigma))
        return fi_fail(err, FTL_ENUMERIC,
                       "prophet: the posterior could not be evaluated (log posterior %g, sigma %g); "
                       "check for values many orders of magnitude apart",
                       cert->log_posterior, x->sigma);
    return FTL_OK;
}

ftl_status prophet_certify(const prophet_problem *p, const prophet_point *x, prophet_certificate *cert, ftl_error *err)
{
    prophet_exact s;
    ftl_status st = prophet_exact_init(&s, p, err);
    if (st) return st;
    prophet_design_pack(&s.design, x, s.best);
    prophet_exact_recenter(&s, s.best);
    double v = x->sigma * x->sigma, gap = NAN;
    cert->convex = !s.design.nonlinear;
    cert->kkt_residual = prophet_exact_kkt(&s, s.best, s.lasso.b, s.lasso.rr, v, &gap);
    cert->duality_gap = cert->convex ? gap : NAN;
    cert->log_posterior = -prophet_exact_objective(&s, s.best, s.lasso.rr, v);
    /* Rounding alone leaves about eps |J|'|r| / v in the gradient: the bar for "converged" where v is tiny. */
    double attainable = 1e-15 * sqrt((double)p->T) / v;
    cert->converged = cert->kkt_residual <= fmax(1e-6, attainable);
    cert->n_active = 0;
    for (size_t j = 0; j < s.design.S; j++) cert->n_active += s.best[s.design.r + j] != 0;
    prophet_exact_release(&s);
    return FTL_OK;
}
