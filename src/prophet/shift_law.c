/*
 * Quantiles of D_h + r N by inversion of the moment generating function
 *
 *     phi_h(s) exp(r^2 s^2 / 2),   phi_h(s) = prod_{j=1..h} (1 - p + p / (1 - a_j^2 s^2)),
 *
 *     P(X > x) = 1/(2 pi i) int phi(s) e^{-x s} ds / s   over a curve from -i inf to +i inf, right of 0.
 *
 * The poles +-1/a_j lie on the real axis, the largest a_h far from the smallest. We integrate by the trapezoidal rule
 * over the hyperbola s(w) = b sin(beta + i w), which passes between 0 and the first pole and bends around all of them:
 * |s| grows as e^w, so that all scales between r (or a_1) and a_h cost a logarithmic number of nodes, and the rule
 * converges geometrically (Weideman & Trefethen, Math. Comp. 76, 2007). The nodes stay while h grows: a step multiplies
 * the integrand by one factor. From row to row the quantile is followed on a Taylor polynomial in x, whose coefficients
 * are sums over the same nodes; exponentials are needed only when the polynomial has to be centred anew.
 */
#include "prophet/shift_law.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"
#include "math/kernels.h"

#include <math.h>
#include <string.h>

enum { TAYLOR = 8 }; /* coefficients of the polynomial (taylor_solve() knows it is 8) */

typedef struct tail {
    double alpha, x, centre; /* quantile of the last row; centre of the polynomial, NaN: none */
    double *weights;         /* [TAYLOR][capacity, 2] */
} tail;

typedef struct contour {
    double p, ratio, beta, spacing, b;
    size_t step, last; /* phi is that of `step`; the nodes suit steps up to `last` */
    size_t n, capacity;
    double *sr, *si, *qr, *qi; /* s and s^2 */
    double *cr, *ci;           /* spacing / pi * cot(beta + i w): the rule's weight times ds / s */
    double *fr, *fi;           /* phi(s) */
    double *er, *ei;           /* exp(ratio^2 s^2 / 2) */
    double *g;                 /* what is inverted at this row, real and imaginary parts interleaved */
    double *xr, *xi;           /* exp(-x s), for a moment */
    double *block;
    const fi_kernels *kernels;
} contour;

/*
 * exp(zr + i zi) for |z| up to some hundred, as the 2^9-th power of a Taylor polynomial: relative error 1e-13, no
 * branches and no calls, so that loops over nodes run on vector units. Where zr < -48 it is 0.
 */
static inline void complex_exp(double zr, double zi, double *er, double *ei)
{
    double keep = zr < -48.0 ? 0.0 : 1.0, r = 1.0, i = 0.0;
    zr *= keep / 512.0, zi *= keep / 512.0;
    for (int n = 11; n > 0; n--) {
        double over = 1.0 / n, next = 1.0 + over * (zr * r - zi * i);
        i = over * (zr * i + zi * r);
        r = next;
    }
    for (int n = 0; n < 9; n++) {
        double next = (r - i) * (r + i);
        i *= 2.0 * r;
        r = next;
    }
    *er = keep * r, *ei = keep * i;
}

double prophet_shift_variance(double p, size_t h)
{
    double n = (double)h;
    return 2.0 * p * n * (4.0 * n * n - 1.0) / 12.0;
}

double prophet_shift_cumulant4(double p, size_t h)
{
    double n = (double)h;
    return 12.0 * p * (2.0 - p) * n * (4.0 * n * n - 1.0) * (12.0 * n * n - 7.0) / 240.0;
}

shift_law prophet_shift_law(const prophet_model *model, const prophet_rows *rows)
{
    const double *delta = model->delta, *history = model->history.t;
    shift_law law = {.lag = model->config.growth == PROPHET_LOGISTIC};
    while (law.first < rows->n && rows->t[law.first] <= 1.0) law.first++;
    law.n = rows->n - law.first;
    double d = 0.0, sum = 0.0;
    if (law.n > 1)
        d = (rows->t[rows->n - 1] - rows->t[law.first]) / (double)(law.n - 1);
    else if (model->history.n > 1)
        d = (history[model->history.n - 1] - history[0]) / (double)(model->history.n - 1);
    for (size_t j = 0; j < model->n_changepoints; j++) sum += fabs(delta[j]);
    law.lambda = 1e-8 + (model->n_changepoints ? sum / (double)model->n_changepoints : 0.0);
    law.rate = (double)model->n_changepoints;
    law.p = model->config.growth == PROPHET_FLAT ? 0.0 : fmin(1.0, law.rate * d);
    law.unit = law.lambda * d;
    return law;
}

/* ---- the contour ---------------------------------------------------------------------------------------------- */

/* Vertex parameter: left of the first pole, and not so far right that E exp(s X) grows beyond e^2 or so. */
static double contour_b(const contour *c, size_t last, double ratio)
{
    double sd = sqrt(prophet_shift_variance(c->p, last) + ratio * ratio);
    return fmin(1.0 / ((double)last - 0.5), 2.0 / (sd * sin(c->beta)));
}

/* Nodes until the integrand is below 1e-15 of its start: by the normal factor, or by e^{-x s} and phi's decay as 1/s^2. */
static size_t contour_nodes(const contour *c, double b, double smallest_ratio)
{
    double reach = 1e6 / b;
    if (smallest_ratio > 0.0) {
        double rb = smallest_ratio * b, cos_beta = cos(c->beta);
        reach = sqrt((cos_beta * cos_beta + 70.0 / (rb * rb)) / cos(2.0 * c->beta));
    }
    return (size_t)(acosh(fmin(fmax(reach, 2.0), 1e18)) / c->spacing) + 2;
}

/* Lets go of nodes that no longer matter: from now on x >= lowest_x. */
static void contour_trim(contour *c, double lowest_x)
{
    while (c->n > 1 && c->sr[c->n - 1] * lowest_x > 44.0) c->n--;
}

static ftl_status contour_new(contour *c, double p, size_t last, double smallest_ratio, double largest_ratio,
                              ftl_error *err)
{
    *c = (contour){.p = p, .ratio = NAN, .kernels = fi_kernels_best()};
    /* The middle of the strip where the integrand is analytic and bounded: beta in (0, pi/2) between the poles at 0 and
       1/a_j; in (0, pi/4) if the normal factor must decay there, or phi does as a normal law's (many shifts). The
       rule's error is exp(-2 pi (strip / 2) / spacing), about 1e-13. */
    bool normal = smallest_ratio > 0.0 || p * (double)last > 4.0;
    c->beta = normal ? M_PI / 8.0 : M_PI / 4.0;
    c->spacing = normal ? 0.08 : 0.16;
    c->capacity = contour_nodes(c, contour_b(c, last, largest_ratio), smallest_ratio);
    c->block = fi_alloc(c->capacity, 14 * sizeof(double));
    if (!c->block) return fi_fail_memory(err);
    double **parts[13] = {&c->sr, &c->si, &c->qr, &c->qi, &c->cr, &c->ci, &c->fr,
                          &c->fi, &c->er, &c->ei, &c->xr, &c->xi, &c->g};
    for (size_t i = 0; i < 13; i++) *parts[i] = c->block + i * c->capacity;
    return FTL_OK;
}

/* Lays nodes for steps up to `last` and normal parts in the given range. */
static void contour_open(contour *c, size_t last, double smallest_ratio, double largest_ratio)
{
    c->last = last;
    c->step = 0;
    c->ratio = NAN;
    c->b = contour_b(c, last, largest_ratio);
    c->n = contour_nodes(c, c->b, smallest_ratio);
    if (c->n > c->capacity) c->n = c->capacity;
    double sin_beta = sin(c->beta), cos_beta = cos(c->beta);
    for (size_t k = 0; k < c->n; k++) {
        double w = ((double)k + 0.5) * c->spacing, ch = cosh(w), sh = sinh(w);
        double sr = sin_beta * ch, si = cos_beta * sh, /* sin(beta + i w) */
            kr = cos_beta * ch, ki = -sin_beta * sh,   /* cos(beta + i w) */
            scale = c->spacing / M_PI / (sr * sr + si * si);
        c->cr[k] = scale * (kr * sr + ki * si);
        c->ci[k] = scale * (ki * sr - kr * si);
        c->sr[k] = c->b * sr, c->si[k] = c->b * si;
        c->qr[k] = c->b * c->b * (sr * sr - si * si), c->qi[k] = 2.0 * c->b * c->b * sr * si;
        c->fr[k] = 1.0, c->fi[k] = 0.0;
    }
}

/* Multiplies phi by the factors of steps up to h: 1 + p z / (1 - z), z = (a_j s)^2. */
static void contour_advance(contour *c, size_t h)
{
    double p = c->p;
    const double *restrict qr = c->qr, *restrict qi = c->qi;
    double *restrict fr = c->fr, *restrict fi = c->fi;
    while (c->step < h) {
        double a = (double)c->step + 0.5, a2 = a * a;
        for (size_t k = 0; k < c->n; k++) {
            double zr = a2 * qr[k], zi = a2 * qi[k], one_minus = 1.0 - zr;
            double over = p / (one_minus * one_minus + zi * zi);
            double ur = 1.0 + over * (zr * one_minus - zi * zi), ui = over * zi;
            double r = fr[k] * ur - fi[k] * ui;
            fi[k] = fr[k] * ui + fi[k] * ur;
            fr[k] = r;
        }
        c->step++;
    }
}

/* What is inverted at this row: phi times the normal factor, or phi without its atom, which is no mass beyond x > 0. */
static void contour_target(contour *c, double ratio)
{
    if (ratio == 0.0) {
        double atom = pow(1.0 - c->p, (double)c->step);
        for (size_t k = 0; k < c->n; k++) c->g[2 * k] = c->fr[k] - atom, c->g[2 * k + 1] = c->fi[k];
        return;
    }
    if (ratio != c->ratio) {
        c->ratio = ratio;
        double half = 0.5 * ratio * ratio, *restrict er = c->er, *restrict ei = c->ei;
        const double *restrict qr = c->qr, *restrict qi = c->qi;
        for (size_t k = 0; k < c->n; k++) complex_exp(half * qr[k], half * qi[k], &er[k], &ei[k]);
    }
    for (size_t k = 0; k < c->n; k++) {
        c->g[2 * k] = c->fr[k] * c->er[k] - c->fi[k] * c->ei[k];
        c->g[2 * k + 1] = c->fr[k] * c->ei[k] + c->fi[k] * c->er[k];
    }
}

/* ---- quantiles ------------------------------------------------------------------------------------------------ */

/*
 * Columns w [terms][n, 2] of length ld such that P(X > x + d) = sum_m coef[m] d^m, coef[m] = column m times what is
 * inverted (real and imaginary parts interleaved).
 */
static inline void weigh(const contour *c, double x, int terms, double *w)
{
    const double *restrict sr = c->sr, *restrict si = c->si;
    double *restrict er = c->xr, *restrict ei = c->xi;
    size_t ld = 2 * c->capacity;
    for (size_t k = 0; k < c->n; k++) complex_exp(-x * sr[k], -x * si[k], &er[k], &ei[k]);
    for (size_t k = 0; k < c->n; k++) {
        double r = c->cr[k] * er[k] - c->ci[k] * ei[k], i = c->cr[k] * ei[k] + c->ci[k] * er[k];
        for (int m = 0; m < terms; m++) { /* times (-s)^m / m! */
            double *at = w + (size_t)m * ld + 2 * k, over = -1.0 / (m + 1);
            at[0] = r, at[1] = -i;
            double next = over * (r * sr[k] - i * si[k]);
            i = over * (r * si[k] + i * sr[k]);
            r = next;
        }
    }
}

static void tail_centre(const contour *c, tail *v, double x)
{
    v->centre = x;
    weigh(c, x, TAYLOR, v->weights);
}

static void tail_taylor(const contour *c, const tail *v, double coef[TAYLOR])
{
    c->kernels->dots(v->weights, 2 * c->capacity, 2 * c->n, TAYLOR, c->g, coef);
}

/* Solves the polynomial for alpha from `*x` (absolute). False if it is not to be trusted there. */
static bool taylor_solve(const double coef[TAYLOR], double centre, double alpha, double floor, double *x)
{
    double u = *x - centre;
    for (int iteration = 0; iteration < 12; iteration++) {
        double value = coef[TAYLOR - 1], slope = 0.0;
        for (int m = TAYLOR - 2; m >= 0; m--) {
            slope = slope * u + value;
            value = value * u + coef[m];
        }
        double move = (alpha - value) / slope, scale = fmax(fabs(centre + u), floor);
        if (!(slope < 0.0) || !(fabs(move) < scale)) return false;
        u += move;
        if (fabs(move) > 1e-9 * scale) continue;
        double u2 = u * u, u6 = u2 * u2 * u2, unit = scale * fabs(coef[1]);
        /* The last two terms, since a single coefficient may happen to be near 0. */
        bool small = fabs(coef[TAYLOR - 1] * u6 * u) <= 1e-8 * unit && fabs(coef[TAYLOR - 2] * u6) <= 1e-7 * unit;
        if (!small || centre + u < 0.0) return false;
        *x = centre + u;
        return true;
    }
    return false;
}

/* The x >= 0 with P(X > x) = alpha: along the polynomial if it holds, else by Newton on log P inside a bracket. */
static void tail_solve(const contour *c, tail *v, double sd)
{
    double coef[TAYLOR], low = 0.0, high = INFINITY, x = v->x, floor = 1e-4 * sd;
    if (!isnan(v->centre)) {
        tail_taylor(c, v, coef);
        if (taylor_solve(coef, v->centre, v->alpha, floor, &v->x)) return;
        double jump = (coef[0] - v->alpha) / -coef[1]; /* a better start than the last row where the slope is sane */
        if (fabs(jump) < 0.5 * v->centre) x = v->centre + jump;
    }
    if (!(x > 0.0)) x = floor;
    for (int iteration = 0; iteration < 100 && high - low > 1e-13 * low; iteration++) {
        tail_centre(c, v, x);
        tail_taylor(c, v, coef);
        double root = x;
        if (taylor_solve(coef, x, v->alpha, floor, &root) && root > low && root < high) {
            v->x = root;
            return;
        }
        if (coef[0] > v->alpha)
            low = x;
        else
            high = x;
        double next = coef[0] > 0.0 && coef[1] < 0.0 ? x + log(coef[0] / v->alpha) * coef[0] / -coef[1] : NAN;
        bool creeps = iteration % 4 == 3 && isfinite(high); /* far out Newton may: halve the bracket now and then */
        if (!creeps && next > low && next < high && next < 20.0 * x)
            x = next;
        else if (isinf(high))
            x *= 4.0;
        else
            x = low > 0.0 && high > 4.0 * low ? sqrt(low * high) : 0.5 * (low + high);
    }
    v->x = x;
}

/* The range of normal parts among rows [i, end); false if none of them needs inversion. */
static bool ratio_range(const double *ratio, size_t i, size_t end, double *smallest, double *largest)
{
    *smallest = ratio ? INFINITY : 0.0;
    *largest = 0.0;
    for (; ratio && i < end; i++) {
        if (isnan(ratio[i])) continue;
        *smallest = fmin(*smallest, ratio[i]);
        *largest = fmax(*largest, ratio[i]);
    }
    return isfinite(*smallest);
}

/* Opens the contour for rows from i on: for twice as many steps, or for all if that costs the vertex little. */
static void contour_reopen(contour *c, size_t lag, size_t n, size_t i, const double *ratio)
{
    size_t end = i + 1 < 16 ? 32 : 2 * (i + 1);
    double smallest, largest, all_smallest, all_largest;
    if (end > n) end = n;
    ratio_range(ratio, i, end, &smallest, &largest);
    ratio_range(ratio, i, n, &all_smallest, &all_largest);
    if (contour_b(c, n - lag, all_largest) > 0.6 * contour_b(c, end - lag, largest))
        end = n, smallest = all_smallest, largest = all_largest;
    contour_open(c, end - lag, smallest, largest);
}

ftl_status prophet_shift_quantiles(double p, size_t lag, size_t n, const double *ratio, const double *tails,
                                   size_t n_tails, double *q, ftl_error *err)
{
    double smallest, largest;
    contour c = {0};
    tail *tail_list = NULL;
    double *weights = NULL;
    size_t n_before = 0; /* how many tails the last row had beyond the atom */
    ftl_status st = FTL_OK;
    if (!ratio_range(ratio, 0, n, &smallest, &largest) || n_tails == 0) goto done;
    if (n > lag && (st = contour_new(&c, p, n - lag, smallest, largest, err))) goto done;
    tail_list = fi_alloc(n_tails, sizeof *tail_list);
    weights = fi_alloc(n_tails, 2 * TAYLOR * c.capacity * sizeof *weights);
    if (!tail_list || !weights) {
        st = fi_fail_memory(err);
        goto done;
    }
    for (size_t k = 0; k < n_tails; k++)
        tail_list[k] = (tail){tails[k], 0.0, NAN, weights + k * 2 * TAYLOR * c.capacity};
    for (size_t i = 0; i < n; i++) {
        if (ratio && isnan(ratio[i])) continue;
        size_t h = i + 1 - lag;
        double *row = q + i * n_tails, r = ratio ? ratio[i] : 0.0;
        double beyond = 0.5 * -expm1((double)h * log1p(-p)); /* P(D_h > 0) */
        if (h == 0 || p == 0.0 || (r == 0.0 && tails[n_tails - 1] >= beyond)) {
            for (size_t k = 0; k < n_tails; k++) row[k] = r == 0.0 ? 0.0 : r * -fi_normal_quantile(tails[k]);
            continue;
        }
        size_t n_apart = 0; /* tails beyond the atom */
        while (n_apart < n_tails && tails[n_apart] >= (r == 0.0 ? beyond : 0.5)) n_apart++;
        n_apart = n_tails - n_apart;
        if (h > c.last || n_apart > n_before) {
            contour_reopen(&c, lag, n, i, ratio);
            for (size_t k = 0; k < n_tails; k++) tail_list[k].centre = NAN;
        }
        if (!ratio && n_apart == n_before) contour_trim(&c, tail_list[n_tails - n_apart].x); /* x grows with h */
        n_before = n_apart;
        contour_advance(&c, h);
        contour_target(&c, r);
        double sd = sqrt(prophet_shift_variance(p, h) + r * r);
        for (size_t k = 0; k < n_tails; k++) {
            row[k] = 0.0;
            if (k + n_apart < n_tails) continue;
            tail_solve(&c, &tail_list[k], sd);
            row[k] = k > 0 ? fmax(tail_list[k].x, row[k - 1]) : tail_list[k].x;
        }
    }
done:
    fi_free(c.block);
    fi_free(tail_list);
    fi_free(weights);
    return st;
}

/* ---- a table of the law ----------------------------------------------------------------------------------------- */

/*
 * At nodes of log x: P(D > x), then the density of log D, x g(x), and its first and second derivative in log x. Quintic
 * polynomials between the nodes are exact to about 1e-8.
 */
enum { TABLE_TERMS = 4 };

struct shift_table {
    contour c;
    double lowest, spacing; /* of log x */
    size_t n;
    double *weights, *value; /* [n, TABLE_TERMS][capacity of the contour, 2]; [n, TABLE_TERMS] */
};

ftl_status prophet_shift_table_new(double p, size_t last, shift_table **out, ftl_error *err)
{
    *out = NULL;
    shift_table *t = fi_calloc(1, sizeof *t);
    if (!t) return fi_fail_memory(err);
    t->lowest = log(0.02); /* a_1 is 1/2: below, the law is smooth */
    t->spacing = 0.25;
    double top = 40.0 * (double)last + 9.0 * sqrt(prophet_shift_variance(p, last));
    t->n = (size_t)((log(top) - t->lowest) / t->spacing) + 2;
    ftl_status st = contour_new(&t->c, p, last, 0.0, 0.0, err);
    if (st) goto done;
    t->weights = fi_alloc(t->n, 2 * TABLE_TERMS * t->c.capacity * sizeof *t->weights);
    t->value = fi_alloc(t->n, TABLE_TERMS * sizeof *t->value);
    if (!t->weights || !t->value) st = fi_fail_memory(err);
done:
    if (st)
        prophet_shift_table_free(t);
    else
        *out = t;
    return st;
}

void prophet_shift_table_free(shift_table *t)
{
    if (!t) return;
    fi_free(t->c.block);
    fi_free(t->weights);
    fi_free(t->value);
    fi_free(t);
}

void prophet_shift_table_step(shift_table *t, size_t h, size_t last)
{
    if (h > t->c.last) {
        size_t end = h < 16 ? 32 : 2 * h;
        contour_open(&t->c, end < last ? end : last, 0.0, 0.0);
        for (size_t i = 0; i < t->n; i++)
            weigh(&t->c, exp(t->lowest + (double)i * t->spacing), TABLE_TERMS,
                  t->weights + i * 2 * TABLE_TERMS * t->c.capacity);
    }
    contour_advance(&t->c, h);
    contour_target(&t->c, 0.0);
    t->c.kernels->dots(t->weights, 2 * t->c.capacity, 2 * t->c.n, TABLE_TERMS * t->n, t->c.g, t->value);
    for (size_t i = 0; i < t->n; i++) {
        double x = exp(t->lowest + (double)i * t->spacing), *v = t->value + i * TABLE_TERMS;
        double g = -v[1] * x, g1 = -2.0 * v[2] * x * x, g2 = -6.0 * v[3] * x * x * x;
        v[1] = g;
        v[2] = g + g1;
        v[3] = g + 3.0 * g1 + g2;
    }
}

/* The quintic through values, slopes and curvatures at both ends; s in [0, 1] between them, w their distance. */
static double quintic(double w, double s, double f0, double d0, double c0, double f1, double d1, double c1)
{
    double b0 = w * d0, a0 = 0.5 * w * w * c0, b1 = w * d1, a1 = 0.5 * w * w * c1;
    double rest = f1 - f0 - b0 - a0, slope = b1 - b0 - 2.0 * a0, bend = a1 - a0;
    double k3 = 10.0 * rest - 4.0 * slope + bend, k4 = -15.0 * rest + 7.0 * slope - 2.0 * bend,
           k5 = 6.0 * rest - 3.0 * slope + bend;
    return f0 + s * (b0 + s * (a0 + s * (k3 + s * (k4 + s * k5))));
}

/* Below the table the law is smooth on the scale of a_1: the Taylor polynomial at its first node. */
static double below_table(const shift_table *t, double log_x, bool density)
{
    const double *v = t->value;
    double x0 = exp(t->lowest), x = exp(log_x), d = (x - x0) / x0, g0 = v[1], g1 = v[2] - g0, g2 = v[3] - g0 - 3.0 * g1;
    return density ? x / x0 * (g0 + d * (g1 + 0.5 * d * g2)) : v[0] - d * (g0 + d * (g1 / 2.0 + d * g2 / 6.0));
}

double prophet_shift_survival(const shift_table *t, double log_x)
{
    double at = (log_x - t->lowest) / t->spacing;
    if (at >= (double)(t->n - 1)) return 0.0;
    if (at < 0.0) return below_table(t, log_x, false);
    const double *a = t->value + (size_t)at * TABLE_TERMS, *b = a + TABLE_TERMS;
    return fmax(0.0, quintic(t->spacing, at - floor(at), a[0], -a[1], -a[2], b[0], -b[1], -b[2]));
}

double prophet_shift_density(const shift_table *t, double log_x)
{
    double at = (log_x - t->lowest) / t->spacing;
    if (at >= (double)(t->n - 1)) return 0.0;
    if (at < 0.0) return below_table(t, log_x, true);
    const double *a = t->value + (size_t)at * TABLE_TERMS, *b = a + TABLE_TERMS;
    return fmax(0.0, quintic(t->spacing, at - floor(at), a[1], a[2], a[3], b[1], b[2], b[3]));
}
