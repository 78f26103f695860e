/*
 * Multiplicative and logistic models: the posterior is not convex. From each of several starts a proximal Gauss-Newton
 * method (the model linearised, the same lasso solved, Levenberg-Marquardt damping where a step fails) descends at a
 * fixed variance, which then falls to phi(SSR): the path is followed from above, as in the convex case, and stops at the
 * first root instead of jumping over a barrier towards sigma = 0. Then Newton's method on the active coordinates and
 * ln sigma with the exact Hessian makes the point stationary to rounding. What is claimed of the result: a certified
 * local optimum, the best of those found.
 */
#include "prophet/exact.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"

#include <math.h>
#include <string.h>

enum { MAX_STEPS = 150, STEPS_BEFORE_NEWTON = 10 }; /* proximal steps from one start; a dozen are usual */

/* A variance that fell to this share of the start's, or of the mean square of y, with no optimum met is on its way to 0. */
static const double ABYSS = 1e-8;

typedef struct search {
    prophet_exact *s;
    double *theta, *trial, *b; /* [p] */
    double *H, *step;          /* [(p + 1), (p + 1)], [p + 1] */
    double *A;                 /* [K, K] */
    double *weights;           /* [T] */
    double v, ssr, objective;
    bool second_order; /* full Gauss-Newton steps no longer succeed */
    bool bent;         /* straight steps have run out: follow a bent valley by refitting the effects */
    void *memory;
} search;

static ftl_status search_init(search *q, prophet_exact *s, ftl_error *err)
{
    size_t p = s->design.p, T = s->problem->T, K = s->problem->K;
    *q = (search){.s = s};
    q->memory = fi_alloc(3 * p + (p + 1) * (p + 2) + K * K + T, sizeof(double));
    if (!q->memory) return fi_fail_memory(err);
    q->theta = q->memory;
    q->trial = q->theta + p;
    q->b = q->trial + p;
    q->step = q->b + p;
    q->H = q->step + p + 1;
    q->A = q->H + (p + 1) * (p + 1);
    q->weights = q->A + K * K;
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

/*
 * The effects beta at their best for the trend of `theta`, which is a linear problem, at the variance of the search. Where
 * effects and trend make up for one another, J has a narrow valley bent like a hyperbola: a straight step along it
 * leaves its floor, and this brings it back. Moves the lasso's centre, overwrites its G. Returns false if the system is not positive.
 */
static bool refit_effects(search *q, double *theta)
{
    prophet_exact *s = q->s;
    prophet_lasso *l = &s->lasso;
    size_t first = s->design.n_trend, K = l->r - first, p = l->p;
    double *A = q->A, *x = q->b;
    if (!K || !q->bent) return false;
    prophet_exact_recenter(s, theta);
    prophet_design_gram(&s->design, l->G);
    for (size_t i = 0; i < K; i++) {
        x[i] = l->b[first + i] - q->v * l->D[first + i] * theta[first + i];
        for (size_t j = 0; j <= i; j++) A[i * K + j] = l->G[(first + i) * p + first + j];
        A[i * K + i] += q->v * l->D[first + i];
    }
    if (fi_cholesky(A, K, K, 1e-14)) return false;
    fi_solve_lower(A, K, K, x);
    fi_solve_lower_transposed(A, K, K, x);
    for (size_t i = 0; i < K; i++) theta[first + i] += x[i];
    return true;
}

static void start_at(search *q, const double *theta)
{
    memcpy(q->theta, theta, q->s->design.p * sizeof(double));
    q->objective = evaluate(q, q->theta, &q->v);
    q->second_order = q->bent = false;
    q->ssr = q->s->design.ssr;
}

/*
 * Solves the lasso of the current quadratic model and moves towards its solution, halving the way until J at the old
 * variance falls, `tries` times at most; with `refit`, the effects are fitted anew where that alone does not do. Returns
 * the decrease, 0 if there is none or the model is not convex.
 */
static double model_step(search *q, int tries, bool refit)
{
    prophet_exact *s = q->s;
    prophet_lasso *l = &s->lasso;
    double before = prophet_exact_objective(s, q->theta, q->ssr, q->v), v;
    memcpy(l->theta, q->theta, l->p * sizeof(double));
    l->dropped = 0;
    prophet_lasso_solve(l, q->v);
    s->iterations++;
    if (q->second_order && l->dropped) return 0;
    for (double f = 1.0; tries > 0; tries--, f *= 0.5) {
        for (size_t i = 0; i < l->p; i++) q->trial[i] = q->theta[i] + f * (l->theta[i] - q->theta[i]);
        if (f == 1.0) memcpy(q->trial, l->theta, l->p * sizeof(double)); /* zeros stay zeros */
        evaluate(q, q->trial, &v);
        double decrease = before - prophet_exact_objective(s, q->trial, s->design.ssr, q->v);
        if (refit && !(f == 1.0 && decrease > 0 && q->second_order) && refit_effects(q, q->trial)) {
            evaluate(q, q->trial, &v);
            decrease = before - prophet_exact_objective(s, q->trial, s->design.ssr, q->v);
        }
        if (!(decrease > 0)) continue;
        memcpy(q->theta, q->trial, l->p * sizeof(double));
        q->ssr = s->design.ssr;
        q->v = v;
        q->objective = prophet_exact_objective(s, q->theta, q->ssr, v);
        return decrease;
    }
    if (refit) prophet_exact_recenter(s, q->theta);
    return 0;
}

/*
 * One accepted step: Gauss-Newton as long as its full steps succeed; then the exact Hessian (proximal Newton) where that
 * is positive, which the curved valleys of multiplicative models need; else Levenberg-Marquardt damping. Returns the
 * decrease of J at the old variance, 0 if there is none.
 */
static double proximal_step(search *q)
{
    prophet_exact *s = q->s;
    prophet_lasso *l = &s->lasso;
    size_t p = l->p;
    double *gauss_newton = q->H, decrease = 0;
    prophet_exact_recenter(s, q->theta);
    prophet_design_gram(&s->design, l->G);
    if (!q->second_order && (decrease = model_step(q, 1, false)) > 0) return decrease;
    if (!q->second_order) {
        q->second_order = true;
        prophet_exact_recenter(s, q->theta); /* the trial was evaluated last */
    }
    memcpy(gauss_newton, l->G, p * p * sizeof(double));
    for (size_t i = 0; i < s->problem->T; i++) q->weights[i] = -s->design.residual[i];
    prophet_design_curvature(&s->design, q->weights, l->G);
    if ((decrease = model_step(q, 4, true)) > 0) return decrease;
    q->second_order = false; /* from here on the model is convex by construction */
    for (double damping = q->bent ? 0 : 1e-4; damping < 1e10 && !(decrease > 0);
         damping = damping > 0 ? damping * 10.0 : 1e-4) {
        memcpy(l->G, gauss_newton, p * p * sizeof(double));
        for (size_t i = 0; i < p; i++) l->G[i * p + i] *= 1.0 + damping;
        decrease = model_step(q, damping > 0 ? 1 : 4, true);
    }
    q->second_order = true;
    return decrease;
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

/* Newton steps while they improve; a delta that wants to change its sign halves the step, or in a bent valley stops at 0.
   Returns false if the Hessian is not positive or no step improves. */
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
            bool flips = false;
            memcpy(q->trial, q->theta, s->lasso.p * sizeof(double));
            for (size_t a = 0; a < n; a++) {
                size_t i = index[a];
                q->trial[i] += f * q->step[a];
                if (i < s->lasso.r || q->trial[i] * q->theta[i] > 0) continue;
                if (q->bent) q->trial[i] = 0; /* it leaves the active ones */
                flips = true;
            }
            if (flips && !q->bent) continue;
            double v, objective = evaluate(q, q->trial, &v), enough = q->objective + 1e-12 * fabs(q->objective);
            if (!(f == 1.0 && objective <= enough) && refit_effects(q, q->trial)) objective = evaluate(q, q->trial, &v);
            if (!(objective <= enough)) continue;
            accepted = true;
            memcpy(q->theta, q->trial, s->lasso.p * sizeof(double));
            q->objective = objective, q->v = v, q->ssr = s->design.ssr;
        }
        s->iterations++;
        if (!accepted) return false;
    }
    return true;
}

/*
 * From q->theta to a stationary point. Returns false if there is none on the way: the steps ran out, or the variance fell
 * to the floor, or to nothing of what it was in a model that can interpolate its rows.
 */
static bool descend(search *q, size_t *index)
{
    size_t T = q->s->problem->T, p = q->s->design.p;
    double abyss = T > 2 * p ? PROPHET_VARIANCE_FLOOR : fmax(PROPHET_VARIANCE_FLOOR, ABYSS * q->v);
    for (int step = 0; step < MAX_STEPS;) {
        double least = (step ? 1e-9 : 1e-3) * (1.0 + fabs(q->objective) * 1e-3), decrease = INFINITY;
        for (int i = 0; i < STEPS_BEFORE_NEWTON && decrease > least; i++, step++) {
            decrease = proximal_step(q);
            if (q->v <= abyss) return false;
        }
        newton(q, index);
        prophet_exact_recenter(q->s, q->theta);
        if (prophet_exact_kkt(q->s, q->theta, q->s->lasso.b, q->s->lasso.rr, q->v, NULL) < 1e-7) return true;
    }
    return false;
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
    bool found = false;
    double level = fi_dot(s->problem->y, s->problem->y, s->problem->T) / (double)s->problem->T;
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
        double v = q.v;
        bool stationary = descend(&q, index);
        if (!stationary && q.v > ABYSS * v) { /* the steps ran out */
            q.bent = true;
            stationary = descend(&q, index);
        }
        if (stationary && (!found || fabs(q.objective - best) > 1e-4)) s->n_modes++;
        /* A stationary point beats any depth reached on the way into the abyss. */
        if (stationary < found || (stationary == found && !(q.objective < best - 1e-7))) continue;
        found = stationary;
        best = q.objective;
        s->degenerate = !stationary && (s->problem->T <= 2 * p || q.v <= fmax(PROPHET_VARIANCE_FLOOR, ABYSS * level));
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
