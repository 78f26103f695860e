/*
 * The predictive law under logistic growth. Prophet's vectorised sampler draws
 *
 *     trend = expected + f(D_h) - mean over paths of f(D_h),   f(D) = cap / (1 + exp(-(eta + u D))),
 *
 * D_h the law of shift_law.h, one step behind that of linear growth: Prophet adds the (averaged) shifts once to the
 * rate and lets the logistic offsets follow, so that a shift acts only from the next row on. Here the mean over paths
 * is the expectation, and eta is that of the fitted trend. (Prophet moves the fitted changepoints to the next point of
 * a grid of future steps, where two of them may fall together and one is lost, and measures a shift's age by the
 * rows' own times instead of steps; both vanish as steps become small and regular.)
 *
 * With v(D) = (expected + f(D) - E f) (1 + multiplicative) + additive, monotone in D, what is needed is
 *
 *     P(y <= c) = E Phi((c - v(D)) / sigma),
 *
 * an integral over log |D| by Gauss and Legendre's rule on panels short enough for the law and for Phi. If sigma is so
 * small that this takes many panels, only the D that put v within reach of c are integrated over.
 */
#include "prophet/shift_law.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"

#include <math.h>

enum { RULE = 6, MAX_PANELS = 256, MANY_PANELS = 64 }; /* panels on one side of 0: at most; when to look around */
static const double rule_x[RULE] = {-0.9324695142031521, -0.6612093864662645, -0.2386191860831969,
                                    0.2386191860831969,  0.6612093864662645,  0.9324695142031521};
static const double rule_w[RULE] = {0.1713244923791704, 0.3607615730481386, 0.4679139345726910,
                                    0.4679139345726910, 0.3607615730481386, 0.1713244923791704};
static const double reach = 9.0; /* standard deviations beyond which Phi is 0 or 1 */

/* One future row. */
typedef struct logistic_row {
    double eta, unit, cap, sigma;
    double base, factor; /* v(D) = base + factor f(D) */
    double side;         /* +1, or -1 where the factor is negative: D is turned round so that v ascends */
    double start, stop;  /* of log |D|: nearer to 0 is 0, farther is never */
    const shift_table *law;
} logistic_row;

/* The law of v within a range as masses at points, and the mass below and above the range. */
typedef struct mass_list {
    size_t n;
    bool coarse; /* a side took more panels than allowed, and the rest of it became one mass */
    double below, above;
    double v[2 * MAX_PANELS * RULE + 3], mass[2 * MAX_PANELS * RULE + 3];
} mass_list;

void prophet_logistic_eta(const prophet_model *model, const prophet_rows *rows, const shift_law *law, double *eta)
{
    for (size_t i = 0; i < law->n; i++) {
        double t = rows->t[law->first + i], sum = model->k[0] * (t - model->m[0]);
        for (size_t j = 0; j < model->n_changepoints; j++)
            sum += model->delta[j] * fmax(0.0, t - model->changepoints_t[j]);
        eta[i] = sum;
    }
}

static double value(const logistic_row *r, double d)
{
    return r->base + r->factor * r->cap / (1.0 + exp(-(r->eta + r->side * r->unit * d)));
}

/* dv / dD, without its sign. */
static double steepness(const logistic_row *r, double d)
{
    double e = exp(-fabs(r->eta + r->side * r->unit * d));
    return fabs(r->factor) * r->cap * r->unit * e / ((1.0 + e) * (1.0 + e));
}

/* The D at which v is c, infinite beyond its range. */
static double inverse(const logistic_row *r, double c)
{
    double f = (c - r->base) / (r->factor * r->cap);
    if (!(f > 0.0 && f < 1.0)) return (f >= 1.0) == (r->side > 0.0) ? INFINITY : -INFINITY;
    return (log(f / (1.0 - f)) - r->eta) / (r->side * r->unit);
}

/* Where the panel from log x = u ends: short for the law, for f and for Phi. */
static double panel_end(const logistic_row *r, double sign, double u, double stop)
{
    double x = exp(u), end = fmin(stop, u + (r->sigma > 0.0 ? 1.0 : 0.5));
    double arg = r->eta + sign * r->side * r->unit * x, rise = sign * r->side; /* of arg with x */
    if (fabs(arg) > 45.0) { /* f is level here; but it may not be at the end of the panel */
        double left = (fabs(arg) - 44.0) / r->unit;
        return arg * rise < 0.0 ? fmin(end, log(x + left)) : end;
    }
    end = fmin(end, log(x + 1.5 / r->unit));
    if (r->sigma > 0.0)
        for (int pass = 0; pass < 2; pass++) { /* the steepness inside is at most e^1.5 of that at the ends */
            double steep = fmax(steepness(r, sign * x), steepness(r, sign * exp(end)));
            end = fmin(end, log(x + fmax(2.0 * r->sigma / steep, 1e-6 * x)));
        }
    return end;
}

/* Adds the masses of sign * D with log |D| in [u, stop]. */
static void add_side(const logistic_row *r, double sign, double u, double stop, size_t limit, mass_list *list)
{
    for (size_t panels = 0; u < stop; panels++) {
        if (panels == limit) {
            list->coarse = true;
            list->v[list->n] = value(r, sign * exp(0.5 * (u + stop)));
            list->mass[list->n++] = prophet_shift_survival(r->law, u) - prophet_shift_survival(r->law, stop);
            return;
        }
        double end = panel_end(r, sign, u, stop), half = 0.5 * (end - u);
        for (size_t i = 0; i < RULE; i++) {
            double at = u + half * (1.0 + rule_x[i]);
            list->v[list->n] = value(r, sign * exp(at));
            list->mass[list->n++] = half * rule_w[i] * prophet_shift_density(r->law, at);
        }
        u = end;
    }
}

/* P(D > d), D as the row sees it: what is nearer to 0 than its start is 0. */
static double survival(const logistic_row *r, double d)
{
    double u = fmax(log(fabs(d)), r->start), s = u < r->stop ? prophet_shift_survival(r->law, u) : 0.0;
    return d < 0.0 ? 1.0 - s : s;
}

/* Lists the law of v in [from, to]. */
static void list_fill(const logistic_row *r, double from, double to, size_t limit, mass_list *list)
{
    double low = inverse(r, from), high = inverse(r, to);
    list->n = 0;
    list->coarse = false;
    list->below = 1.0 - survival(r, low);
    list->above = survival(r, high);
    if (high > 0.0) add_side(r, 1.0, fmax(log(fmax(low, 0.0)), r->start), fmin(log(high), r->stop), limit, list);
    if (low < 0.0) add_side(r, -1.0, fmax(log(fmax(-high, 0.0)), r->start), fmin(log(-low), r->stop), limit, list);
    if (low <= 0.0 && high >= 0.0) {
        list->v[list->n] = value(r, 0.0);
        list->mass[list->n++] = 1.0 - 2.0 * prophet_shift_survival(r->law, r->start);
    }
}

/* P(y > c), or P(y < c) if `lower`, and the density at c. */
static double tail(const mass_list *list, double sigma, double c, bool lower, double *density)
{
    double sum = lower ? list->below : list->above, slope = 0.0;
    for (size_t i = 0; i < list->n; i++) {
        double z = (lower ? c - list->v[i] : list->v[i] - c) / sigma;
        if (z > reach) {
            sum += list->mass[i];
        } else if (z > -reach) {
            sum += list->mass[i] * fi_normal_cdf(z);
            slope += list->mass[i] * exp(-0.5 * z * z);
        }
    }
    *density = slope / (sigma * sqrt(2.0 * M_PI));
    return sum;
}

/* The c with P(y <= c) = level, by Newton's method on the logarithm of the smaller tail, inside a bracket. */
static double solve(const logistic_row *r, double level, double start, mass_list *list)
{
    bool lower = level < 0.5, local = list->coarse;
    double alpha = lower ? level : 1.0 - level, centre = value(r, 0.0), c = start;
    double low = value(r, -exp(r->stop)) - 40.0 * r->sigma, high = value(r, exp(r->stop)) + 40.0 * r->sigma;
    if (!(c > low && c < high)) c = centre;
    for (int iteration = 0; iteration < 200; iteration++) {
        double density;
        if (local) list_fill(r, c - reach * r->sigma, c + reach * r->sigma, MAX_PANELS, list);
        double found = tail(list, r->sigma, c, lower, &density);
        if ((found > alpha) == lower)
            high = c;
        else
            low = c;
        double step = log(found / alpha) * found / density, next = lower ? c - step : c + step;
        double scale = fmax(r->sigma, fabs(c - centre));
        /* Newton doubles the digits: a step of 1e-5 leaves an error near 1e-10. */
        if (fabs(next - c) <= 1e-5 * scale || high - low <= 1e-9 * scale) return next;
        /* Far out Newton may creep, so every fourth step halves the bracket. */
        if (!(next > low && next < high) || iteration % 4 == 3) next = 0.5 * (low + high);
        c = next;
    }
    return c;
}

/* E f(D). */
static double mean_of(logistic_row r, mass_list *list)
{
    r.base = 0.0, r.factor = r.side = 1.0, r.sigma = 0.0;
    list_fill(&r, -INFINITY, INFINITY, MAX_PANELS, list);
    double sum = 0.0;
    for (size_t i = 0; i < list->n; i++) sum += list->mass[i] * list->v[i];
    return sum;
}

/* Quantiles of one row; offset [2][n_levels] are their distances from v(0) at the row before and the one before that. */
static void row_quantiles(logistic_row *r, double p, size_t h, const double *levels, size_t n_levels, double *offset,
                          mass_list *list, double *q)
{
    double steep = 0.25 * fabs(r->factor) * r->cap * r->unit, s2 = steep * steep, noise = r->sigma * r->sigma;
    double centre = value(r, 0.0), variance = s2 * prophet_shift_variance(p, h);
    if (variance <= 1e-6 * noise && s2 * s2 * prophet_shift_cumulant4(p, h) <= 1e-9 * noise * noise) {
        double here = steepness(r, 0.0), sd = sqrt(noise + here * here * prophet_shift_variance(p, h));
        for (size_t k = 0; k < n_levels; k++) {
            offset[n_levels + k] = offset[k] = sd * fi_normal_quantile(levels[k]);
            q[k] = centre + offset[k];
        }
        return;
    }
    r->sigma = fmax(r->sigma, 1e-10 * fabs(r->factor) * r->cap);
    r->start = fmin(log(1e-3 * r->sigma / steep), r->stop);
    list_fill(r, -INFINITY, INFINITY, MANY_PANELS, list);
    bool coarse = list->coarse;
    for (size_t k = 0; k < n_levels; k++) {
        list->coarse = coarse;
        q[k] = solve(r, levels[k], centre + 2.0 * offset[k] - offset[n_levels + k], list);
        offset[n_levels + k] = offset[k];
        offset[k] = q[k] - centre;
    }
}

ftl_status prophet_logistic_rows(const prophet_model *model, const prophet_rows *rows, const shift_law *law,
                                 const double *levels, size_t n_levels, double *mean, double *y_q, ftl_error *err)
{
    size_t last = law->n > law->lag ? law->n - law->lag : 0;
    prophet_logistic_eta(model, rows, law, mean);
    shift_table *table = NULL;
    mass_list *list = fi_alloc(1, sizeof *list);
    double *offset = fi_calloc(n_levels, 2 * sizeof *offset);
    ftl_status st = !list || !offset ? fi_fail_memory(err) : FTL_OK;
    if (!st && last && law->p > 0.0) st = prophet_shift_table_new(law->p, last, &table, err);
    for (size_t i = 0; !st && i < law->n; i++) {
        size_t row = law->first + i, h = i + 1 - law->lag;
        bool uncertain = table && i + 1 > law->lag;
        double factor = 1.0 + rows->multiplicative[row], expected = rows->trend[row];
        double fixed = expected * factor + rows->additive[row], *q = y_q ? y_q + row * n_levels : NULL;
        if (uncertain) {
            prophet_shift_table_step(table, h, last);
            logistic_row r = {.eta = mean[i],
                              .unit = law->unit,
                              .cap = rows->cap[row],
                              .sigma = model->sigma_obs[0],
                              .factor = factor,
                              .side = factor < 0.0 ? -1.0 : 1.0,
                              .start = log(1e-3), /* for the mean */
                              .stop = log(40.0 * (double)h + 9.0 * sqrt(prophet_shift_variance(law->p, h))),
                              .law = table};
            mean[i] = mean_of(r, list);
            r.base = fixed - factor * mean[i];
            if (q && factor != 0.0) {
                row_quantiles(&r, law->p, h, levels, n_levels, offset, list, q);
                continue;
            }
        } else
            mean[i] = expected;
        for (size_t k = 0; q && k < n_levels; k++) q[k] = fixed + model->sigma_obs[0] * fi_normal_quantile(levels[k]);
    }
    prophet_shift_table_free(table);
    fi_free(list);
    fi_free(offset);
    return st;
}
