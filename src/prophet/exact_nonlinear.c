/*
 * Multiplicative and logistic models: the posterior is not convex. From each of several starts a proximal Gauss-Newton
 * method (the model linearised, the same lasso solved, Levenberg-Marquardt damping where a step fails) finds the active
 * set; then Newton's method on the active coordinates and ln sigma with the exact Hessian makes the point stationary to
 * rounding. What is claimed of the result: a certified local optimum, the best of those found.
 */
#include "prophet/exact.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"

#include <math.h>
#include <string.h>

typedef struct search {
    prophet_exact *s;
    double *theta, *trial, *b; /* [p] */
    double *H, *step;          /* [(p + 1), (p + 1)], [p + 1] */
    double *weights;           /* [T] */
    double v, ssr, objective;
    void *memory;
} search;

static ftl_status search_init(search *q, prophet_exact *s, ftl_error *err)
{
    size_t p = s->design.p, T = s->problem->T;
    *q = (search){.s = s};
    q->memory = fi_alloc(3 * p + (p + 1) * (p + 2) + T, sizeof(double));
    if (!q->memory) return fi_fail_memory(err);
    q->theta = q->memory;
    q->trial = q->theta + p;
    q->b = q->trial + p;
    q->step = q->b + p;
    q->H = q->step + p + 1;
    q->weights = q->H + (p + 1) * (p + 1);
    return FTL_OK;
}

/* Evaluates `theta`; returns the objective with sigma at its best, the variance through *v. */
static double evaluate(search *q, const double *theta, double *v)
{
    prophet_exact *s = q->s;
    prophet_design_evaluate(&s->design, theta);
    *v = fmax(prophet_profile_variance(s->problem->T, s->design.ssr), PROPHET_VARIANCE_FLOOR);
    double objective = prophet_exact_objective(s, theta, s->design.ssr, *v);
    return isfinite(objective) ? objective : INFINITY;
}

static void start_at(search *q, const double *theta)
{
    memcpy(q->theta, theta, q->s->design.p * sizeof(double));
    q->objective = evaluate(q, q->theta, &q->v);
    q->ssr = q->s->design.ssr;
}

/* One accepted Gauss-Newton step, damped as needed. Returns the decrease of the objective, 0 if none can be had. */
static double gauss_newton_step(search *q, double *damping)
{
    prophet_exact *s = q->s;
    prophet_lasso *l = &s->lasso;
    size_t p = l->p;
    prophet_exact_recenter(s, q->theta);
    prophet_design_gram(&s->design, l->G);
    double *diagonal = q->step;
    for (size_t i = 0; i < p; i++) diagonal[i] = l->G[i * p + i];
    for (int attempt = 0; attempt < 40; attempt++) {
        for (size_t i = 0; i < p; i++) l->G[i * p + i] = diagonal[i] * (1.0 + *damping);
        memcpy(l->theta, q->theta, p * sizeof(double));
        double v = q->v;
        for (int inner = 0; inner < 3; inner++) { /* the linear model's own variance: a few cheap solves */
            prophet_lasso_solve(l, v);
            double next = fmax(prophet_profile_variance(s->problem->T, l->ssr), PROPHET_VARIANCE_FLOOR);
            bool settled = fabs(next - v) < 0.02 * v;
            v = fmax(next, 0.05 * v); /* never far below the variance that has been reached */
            if (settled) break;
        }
        s->iterations++;
        memcpy(q->trial, l->theta, p * sizeof(double));
        double trial_v, objective = evaluate(q, q->trial, &trial_v), decrease = q->objective - objective;
        if (decrease > 0) {
            memcpy(q->theta, q->trial, p * sizeof(double));
            q->objective = objective, q->v = trial_v, q->ssr = s->design.ssr;
            *damping = *damping < 1e-6 ? 0.0 : *damping * 0.1;
            return decrease;
        }
        *damping = *damping > 0 ? *damping * 10.0 : 1e-4;
        if (*damping > 1e12) break;
    }
    return 0;
}

/* Coordinates that Newton may move: ridge ones and deltas that are not zero. Returns their number. */
static size_t active_coordinates(const search *q, size_t *index)
{
    const prophet_lasso *l = &q->s->lasso;
    size_t n = 0;
    for (size_t i = 0; i < l->p; i++)
        if (i < l->r || q->theta[i] != 0) index[n++] = i;
    return n;
}

/* The Hessian of J in the active coordinates and u = ln sigma (last), and minus its gradient into q->step. */
static void newton_system(search *q, const size_t *index, size_t n, double *H)
{
    prophet_exact *s = q->s;
    prophet_lasso *l = &s->lasso;
    size_t p = l->p, T = s->problem->T;
    prophet_exact_recenter(s, q->theta);
    double ssr = l->rr, v = q->v;
    prophet_design_gram(&s->design, l->G);
    for (size_t i = 0; i < T; i++) q->weights[i] = -s->design.residual[i];
    prophet_design_curvature(&s->design, q->weights, l->G);
    for (size_t a = 0; a < n; a++) {
        size_t i = index[a];
        double penalty = i < l->r ? l->D[i] * q->theta[i] : copysign(1.0 / l->tau, q->theta[i]);
        q->step[a] = l->b[i] / v - penalty;
        for (size_t c = 0; c <= a; c++) H[a * (n + 1) + c] = l->G[i * p + index[c]] / v;
        if (i < l->r) H[a * (n + 1) + a] += l->D[i];
        H[n * (n + 1) + a] = 2.0 * l->b[i] / v;
    }
    H[n * (n + 1) + n] = 2.0 * ssr / v + 8.0 * v;
    q->step[n] = -((double)T - ssr / v + 4.0 * v);
}

/* Newton steps while they improve. Returns false if the Hessian is not positive or a sign wants to change. */
static bool newton(search *q, size_t *index)
{
    prophet_exact *s = q->s;
    double last = INFINITY;
    for (int iteration = 0; iteration < 30; iteration++) {
        size_t n = active_coordinates(q, index);
        newton_system(q, index, n, q->H);
        double residual = 0;
        for (size_t a = 0; a <= n; a++) residual = fmax(residual, fabs(q->step[a]));
        if (residual < 1e-9 || (residual < 1e-6 && residual > 0.5 * last)) return true;
        last = residual;
        if (fi_cholesky(q->H, n + 1, n + 1, 1e-14)) return false;
        fi_solve_lower(q->H, n + 1, n + 1, q->step);
        fi_solve_lower_transposed(q->H, n + 1, n + 1, q->step);
        s->lasso.factorisations++;
        bool accepted = false;
        for (double f = 1.0; f > 1e-4 && !accepted; f *= 0.5) {
            memcpy(q->trial, q->theta, s->lasso.p * sizeof(double));
            bool flips = false;
            for (size_t a = 0; a < n; a++) {
                size_t i = index[a];
                q->trial[i] += f * q->step[a];
                flips |= i >= s->lasso.r && q->trial[i] * q->theta[i] <= 0;
            }
            if (flips) continue;
            double v, objective = evaluate(q, q->trial, &v);
            if (!(objective <= q->objective + 1e-12 * fabs(q->objective))) continue;
            accepted = true;
            memcpy(q->theta, q->trial, s->lasso.p * sizeof(double));
            q->objective = objective, q->v = v, q->ssr = s->design.ssr;
        }
        s->iterations++;
        if (!accepted) return false;
    }
    return true;
}

static void descend(search *q, size_t *index)
{
    double damping = 0;
    for (int round = 0; round < 20; round++) {
        for (int step = 0; step < 60; step++) {
            double decrease = gauss_newton_step(q, &damping);
            if (decrease <= (round ? 1e-9 : 1e-3) * (1.0 + fabs(q->objective) * 1e-3)) break;
            if (q->v <= PROPHET_VARIANCE_FLOOR) return; /* interpolation */
        }
        newton(q, index);
        prophet_exact_recenter(q->s, q->theta);
        if (prophet_exact_kkt(q->s, q->theta, q->s->lasso.b, q->s->lasso.rr, q->v, NULL) < 1e-7) return;
    }
}

/* ---- starts ---------------------------------------------------------------------------------------------------------- */

/* Prophet's own starting values: the curve through the first and the last point. */
static void start_prophet(const prophet_exact *s, const prophet_problem *p, double *theta)
{
    prophet_point x = {0};
    memset(theta, 0, s->design.p * sizeof(double));
    double none = 0;
    prophet_problem bare = *p; /* the values depend on y, t and cap only */
    bare.S = bare.K = 0;
    x.delta = x.beta = &none;
    prophet_initial_point(&bare, &x);
    if (s->design.n_trend == 2) theta[0] = x.k;
    theta[s->design.n_trend - 1] = x.m;
}

/* The same through the means of the first and the last tenth. */
static void start_tenths(const prophet_exact *s, double *theta)
{
    const prophet_problem *p = s->problem;
    size_t n = p->T / 10 + 1;
    double y[2] = {0}, t[2] = {0}, cap[2] = {0};
    for (size_t i = 0; i < n; i++)
        for (int end = 0; end < 2; end++) {
            size_t row = end ? p->T - 1 - i : i;
            y[end] += p->y[row] / (double)n;
            t[end] += p->t[row] / (double)n;
            if (p->growth == PROPHET_LOGISTIC) cap[end] += p->cap[row] / (double)n;
        }
    prophet_problem ends = *p;
    ends.T = 2, ends.y = y, ends.t = t, ends.cap = cap;
    start_prophet(s, &ends, theta);
}

/* For linear and flat trends: the global optimum of the model with every column additive, its effects made relative. */
static ftl_status start_additive(const prophet_exact *s, double *theta, ftl_error *err)
{
    const prophet_problem *p = s->problem;
    prophet_problem additive = *p;
    prophet_certificate cert;
    prophet_point x = {0};
    double mean = 0;
    ftl_status st = FTL_OK;
    bool *flags = fi_calloc(p->K, sizeof *flags);
    double *delta = fi_alloc(p->S, sizeof *delta), *beta = fi_alloc(p->K, sizeof *beta);
    x.delta = delta, x.beta = beta;
    if (!flags || !delta || !beta) st = fi_fail_memory(err);
    additive.multiplicative = flags;
    if (!st) st = prophet_solve_exact(&additive, &x, &cert, err);
    for (size_t i = 0; i < p->T; i++) mean += p->y[i] / (double)p->T;
    if (!st) {
        for (size_t j = 0; j < p->K && mean != 0; j++)
            if (p->multiplicative[j]) beta[j] /= mean;
        prophet_design_pack(&s->design, &x, theta);
    }
    fi_free(flags), fi_free(delta), fi_free(beta);
    return st;
}

ftl_status prophet_exact_nonlinear(prophet_exact *s, ftl_error *err)
{
    search q;
    ftl_status st = search_init(&q, s, err);
    if (st) return st;
    size_t p = s->design.p;
    double *start = fi_alloc(p, sizeof *start), best = INFINITY;
    size_t *index = fi_alloc(p, sizeof *index);
    if (!start || !index) st = fi_fail_memory(err);
    int n_starts = s->problem->growth == PROPHET_LOGISTIC ? 2 : 3;
    for (int i = 0; !st && i < n_starts; i++) {
        if (i == 0)
            start_prophet(s, s->problem, start);
        else if (i == 1)
            start_tenths(s, start);
        else
            st = start_additive(s, start, err);
        if (st) break;
        start_at(&q, start);
        if (!isfinite(q.objective)) continue;
        descend(&q, index);
        bool floor = q.v <= PROPHET_VARIANCE_FLOOR;
        if (floor && isfinite(best) && !s->degenerate) continue; /* interpolation is no optimum: spec of the abyss */
        bool better = q.objective < best - 1e-7 || (s->degenerate && !floor);
        if (!isfinite(best) || fabs(q.objective - best) > 1e-4) s->n_modes++;
        if (!better) continue;
        best = q.objective;
        s->degenerate = floor;
        s->v = q.v;
        memcpy(s->best, q.theta, p * sizeof(double));
    }
    if (!st && !isfinite(best))
        st = fi_fail(err, FTL_ENUMERIC,
                     "prophet: no starting point has a finite posterior; check cap, floor and the "
                     "size of the values");
    fi_free(start), fi_free(index), fi_free(q.memory);
    return st;
}
