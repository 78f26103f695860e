/*
 * The constants below are Stan's, among them two that look like slips and matter for where a search ends: the first
 * Wolfe condition compares with the decrease promised for the first trial step, also at later, longer trials; and a
 * curvature pair is kept whatever the sign of s'y.
 */
#include "math/lbfgs.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double DECREASE = 1e-4, CURVATURE = 0.9; /* of the Wolfe conditions */
static const double MIN_STEP = 1e-12, MIN_BRACKET = 1e-16, STEP_GROWTH = 10;
enum { MAX_EXTRAPOLATIONS = 20, MAX_RETREATS = 10 };

const fi_lbfgs_options fi_lbfgs_stan = {5, 10000, 1e-3, 1e-12, 1e-8, 1e-8, 1e4, 1e7, 0, 0};

/* A point with its value and gradient. */
typedef struct place {
    double f;
    double *x, *g; /* [n] */
} place;

/* Along a search direction: a step length, f there and its slope. */
typedef struct trial {
    double step, f, slope;
} trial;

typedef struct search {
    fi_objective_fn objective;
    void *user;
    size_t n, evaluations;
    place here, there; /* where the search stands, and its trial */
    double *p;         /* [n] direction */
    double slope;      /* of f along p, here */
} search;

/* Moves `there` to here + step p. */
static bool try_step(search *s, double step)
{
    for (size_t i = 0; i < s->n; i++) s->there.x[i] = s->here.x[i] + step * s->p[i];
    s->evaluations++;
    return s->objective(s->user, s->there.x, &s->there.f, s->there.g);
}

/* Where in [low, high] the cubic with value 0 and slope slope0 at 0, value f1 and slope slope1 at x1, is least. */
static double cubic_minimiser(double slope0, double x1, double f1, double slope1, double low, double high)
{
    double c3 = (-12 * f1 + 6 * x1 * (slope0 + slope1)) / (x1 * x1 * x1);
    double c2 = -(4 * slope0 + 2 * slope1) / x1 + 6 * f1 / (x1 * x1);
    double root = sqrt(c2 * c2 - 2 * slope0 * c3);
    double candidates[4] = {low, high, -(c2 + root) / c3, -(c2 - root) / c3}, best = low, least = INFINITY;
    for (size_t i = 0; i < 4; i++) {
        double x = candidates[i], value = x * (x * (x * c3 / 3 + c2) / 2 + slope0);
        if (i >= 2 && !(low < x && x < high)) continue; /* also where the cubic has no stationary point: NaN */
        if (value < least) {
            least = value;
            best = x;
        }
    }
    return best;
}

/* The next trial inside a bracket: the minimiser of the cubic through its ends, or the middle where that is near one. */
static double interpolate(const trial *low, const trial *high)
{
    double d1 = low->slope + high->slope - 3 * (low->f - high->f) / (low->step - high->step);
    double d2 = sqrt(d1 * d1 - low->slope * high->slope);
    if (high->step < low->step) d2 = -d2;
    double step = high->step - (high->step - low->step) * (high->slope + d2 - d1) / (high->slope - low->slope + 2 * d2);
    double margin = 0.01 * fabs(low->step - high->step);
    bool inside = step >= fmin(low->step, high->step) + margin && step <= fmax(low->step, high->step) - margin;
    return inside ? step : 0.5 * (low->step + high->step);
}

/*
 * Closes a bracket until its trial satisfies the strong Wolfe conditions (Nocedal & Wright, algorithm 3.6). `low` is
 * the end with the lesser f. Returns false if the bracket shrinks to nothing first.
 */
static bool zoom(search *s, trial low, trial high, double *step)
{
    for (int round = 1;; round++) {
        if (fabs(low.step - high.step) < MIN_BRACKET || nextafter(low.step, high.step) == high.step) return false;
        *step = round % 5 == 0 ? 0.5 * (low.step + high.step) : interpolate(&low, &high);
        while (!try_step(s, *step)) {
            double nearest = fmin(low.step, high.step), half = 0.5 * (*step + nearest);
            if (fabs(nearest - half) < MIN_BRACKET || half == *step) return false;
            *step = half;
        }
        trial now = {*step, s->there.f, fi_dot(s->there.g, s->p, s->n)};
        if (now.f > s->here.f + *step * DECREASE * s->slope || now.f >= low.f) {
            high = now;
            continue;
        }
        if (fabs(now.slope) <= -CURVATURE * s->slope) return true;
        if (now.slope * (high.step - low.step) >= 0) high = low;
        low = now;
    }
}

/* A step along p from *step on that satisfies the strong Wolfe conditions (Nocedal & Wright, algorithm 3.5). */
static bool line_search(search *s, double *step)
{
    s->slope = fi_dot(s->here.g, s->p, s->n);
    double promised = s->here.f + *step * DECREASE * s->slope;
    trial before = {MIN_STEP, s->here.f, s->slope};
    double next = *step;
    for (int grown = 0, retreats = 0; grown < MAX_EXTRAPOLATIONS;) {
        if (!try_step(s, next)) {
            if (retreats++ == MAX_RETREATS) return false;
            next = 0.5 * (before.step + next);
            continue;
        }
        retreats = 0;
        trial now = {next, s->there.f, fi_dot(s->there.g, s->p, s->n)};
        if (now.f > promised || (now.f >= before.f && grown > 0)) return zoom(s, before, now, step);
        if (fabs(now.slope) <= -CURVATURE * s->slope) {
            *step = next;
            return true;
        }
        if (now.slope >= 0) return zoom(s, now, before, step);
        before = now;
        next *= STEP_GROWTH;
        grown++;
    }
    return false;
}

/* The last pairs s = x - previous x, y = g - previous g, in a ring. */
typedef struct pairs {
    size_t n, room, count, next;
    double *s, *y, *rho, *alpha; /* [room, n], [room, n], [room], [room] */
    double gamma;                /* s'y / y'y of the newest */
} pairs;

/* Returns y'y / s'y, the curvature along the step. */
static double remember(pairs *h, const place *here, const place *before)
{
    double *s = h->s + h->next * h->n, *y = h->y + h->next * h->n;
    for (size_t i = 0; i < h->n; i++) {
        s[i] = here->x[i] - before->x[i];
        y[i] = here->g[i] - before->g[i];
    }
    double sy = fi_dot(y, s, h->n), yy = fi_dot(y, y, h->n);
    h->rho[h->next] = 1 / sy;
    h->gamma = sy / yy;
    h->next = (h->next + 1) % h->room;
    if (h->count < h->room) h->count++;
    return yy / sy;
}

/* p = -H g by the two-loop recursion. */
static void direction(pairs *h, const double *g, double *p)
{
    for (size_t i = 0; i < h->n; i++) p[i] = -g[i];
    for (size_t age = 1; age <= h->count; age++) { /* newest first */
        size_t at = (h->next + h->room - age) % h->room;
        const double *s = h->s + at * h->n, *y = h->y + at * h->n;
        h->alpha[at] = h->rho[at] * fi_dot(s, p, h->n);
        for (size_t i = 0; i < h->n; i++) p[i] -= h->alpha[at] * y[i];
    }
    for (size_t i = 0; i < h->n; i++) p[i] *= h->gamma;
    for (size_t age = h->count; age >= 1; age--) {
        size_t at = (h->next + h->room - age) % h->room;
        const double *s = h->s + at * h->n, *y = h->y + at * h->n;
        double beta = h->rho[at] * fi_dot(y, p, h->n);
        for (size_t i = 0; i < h->n; i++) p[i] += (h->alpha[at] - beta) * s[i];
    }
}

/* The last step as seen from its end: `there` is where it began. */
static bool finished(const search *s, const fi_lbfgs_options *o, size_t iterations, fi_lbfgs_stop *stop)
{
    double f = s->here.f, change = fabs(s->there.f - f), moved = 0;
    for (size_t i = 0; i < s->n; i++) moved += (s->here.x[i] - s->there.x[i]) * (s->here.x[i] - s->there.x[i]);
    double scale = fmax(fabs(f), 1), decrement = -fi_dot(s->p, s->here.g, s->n);
    if (change < o->f_change)
        *stop = FI_LBFGS_F_CHANGE;
    else if (sqrt(fi_dot(s->here.g, s->here.g, s->n)) < o->gradient_norm)
        *stop = FI_LBFGS_GRADIENT_NORM;
    else if (sqrt(moved) < o->x_change)
        *stop = FI_LBFGS_X_CHANGE;
    else if (iterations >= o->max_iterations)
        *stop = FI_LBFGS_MAX_ITERATIONS;
    else if (change / fmax(fabs(s->there.f), scale) < o->relative_f_change * DBL_EPSILON)
        *stop = FI_LBFGS_RELATIVE_F_CHANGE;
    else if (o->patience && iterations >= o->patience && f - 10 * decrement > o->hopeless)
        *stop = FI_LBFGS_HOPELESS;
    else if (decrement / scale < o->relative_gradient_norm * DBL_EPSILON)
        *stop = FI_LBFGS_RELATIVE_GRADIENT_NORM;
    else
        return false;
    return true;
}

/* Iterates until a stopping rule holds; s->here is then the result. */
static fi_lbfgs_stop minimise(search *s, pairs *h, const fi_lbfgs_options *o, size_t *iterations)
{
    fi_lbfgs_stop stop = FI_LBFGS_BAD_START;
    s->evaluations = 1;
    if (!s->objective(s->user, s->here.x, &s->here.f, s->here.g)) return stop;
    trial last = {0, 0, 0}; /* the step before: its length, f and slope where it began; slope_after at its end */
    double slope_after = 0;
    for (*iterations = 1;; ++*iterations) {
        bool fresh = *iterations == 1;
        double step = o->first_step;
        if (!fresh)
            step = fmin(1, 1.01 * cubic_minimiser(last.slope, last.step, s->here.f - last.f, slope_after, MIN_STEP, 1));
        for (;; fresh = true, step = o->first_step) {
            if (fresh) { /* no curvature yet, or one that misled the last search */
                for (size_t i = 0; i < s->n; i++) s->p[i] = -s->here.g[i];
                h->count = h->next = 0;
            }
            if (line_search(s, &step)) break;
            if (fresh) return FI_LBFGS_LINE_SEARCH;
        }
        place before = s->here;
        s->here = s->there;
        s->there = before;
        slope_after = fi_dot(s->here.g, s->p, s->n);
        double curvature = remember(h, &s->here, &s->there);
        /* A first step is retold as one of a direction scaled by the curvature found, to predict the next length. */
        double scale = fresh ? curvature : 1;
        last = (trial){step * scale, s->there.f, s->slope / scale};
        slope_after /= scale;
        direction(h, s->here.g, s->p);
        if (finished(s, o, *iterations, &stop)) return stop;
    }
}

ftl_status fi_lbfgs_minimise(fi_objective_fn objective, void *user, size_t n, double *x,
                             const fi_lbfgs_options *options, fi_lbfgs_result *result, ftl_error *err)
{
    size_t room = options->history > 0 ? options->history : 1;
    ftl_status st = FTL_OK;
    *result = (fi_lbfgs_result){.f = NAN, .stop = FI_LBFGS_BAD_START};
    double *vectors = fi_alloc(5 + 2 * room, n * sizeof *vectors), *scalars = fi_alloc(2 * room, sizeof *scalars);
    if (!vectors || !scalars) {
        st = fi_fail_memory(err);
        goto done;
    }
    double *at = vectors;
    search s = {.objective = objective, .user = user, .n = n};
    s.here = (place){NAN, at, at + n};
    s.there = (place){NAN, at + 2 * n, at + 3 * n};
    s.p = at + 4 * n;
    pairs h = {.n = n, .room = room, .rho = scalars, .alpha = scalars + room};
    h.s = at + 5 * n;
    h.y = h.s + room * n;
    memcpy(s.here.x, x, n * sizeof *x);
    result->stop = minimise(&s, &h, options, &result->iterations);
    result->evaluations = s.evaluations;
    result->f = s.here.f;
    memcpy(x, s.here.x, n * sizeof *x);
done:
    fi_free(vectors);
    fi_free(scalars);
    return st;
}

const char *fi_lbfgs_stop_text(fi_lbfgs_stop stop)
{
    switch (stop) {
    case FI_LBFGS_F_CHANGE: return "change of the objective below tolerance";
    case FI_LBFGS_GRADIENT_NORM: return "gradient below tolerance";
    case FI_LBFGS_X_CHANGE: return "change of the parameters below tolerance";
    case FI_LBFGS_MAX_ITERATIONS: return "iteration limit reached";
    case FI_LBFGS_RELATIVE_F_CHANGE: return "relative change of the objective below tolerance";
    case FI_LBFGS_RELATIVE_GRADIENT_NORM: return "relative gradient below tolerance";
    case FI_LBFGS_HOPELESS: return "no prospect of the value asked for";
    case FI_LBFGS_LINE_SEARCH: return "line search failed";
    case FI_LBFGS_BAD_START: return "not finite at the start";
    }
    return "";
}
