#include "prophet/design.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"

#include <math.h>
#include <string.h>

enum { BLOCKS = 4 }; /* vectors of moments */
static const size_t NOWHERE = (size_t)-1;

ftl_status prophet_design_init(prophet_design *d, const prophet_problem *p, ftl_error *err)
{
    size_t T = p->T, K = p->K, S = p->growth == PROPHET_FLAT ? 0 : p->S, n_trend = p->growth == PROPHET_FLAT ? 1 : 2,
           n = S + 2;
    *d = (prophet_design){.problem = p,
                          .kernels = fi_kernels_best(),
                          .n_trend = n_trend,
                          .S = S,
                          .r = n_trend + K,
                          .p = n_trend + K + S,
                          .nonlinear = p->growth == PROPHET_LOGISTIC};
    for (size_t j = 0; j < K; j++) d->owns_X |= p->multiplicative[j];
    d->nonlinear |= d->owns_X;
    d->memory = fi_alloc(5 * T + BLOCKS * (K + 1) + K + n * n + n * (K + 1) + (d->owns_X ? K * T : 0), sizeof(double));
    d->start = fi_alloc(S + 1, sizeof *d->start);
    if (!d->memory || !d->start) {
        prophet_design_release(d);
        return fi_fail_memory(err);
    }
    double *next = d->memory;
    d->trend = next, next += T;
    d->factor = next, next += T;
    d->residual = next, next += T;
    d->row = next, next += T;
    d->row_t = next, next += T;
    d->moments = next, next += BLOCKS * (K + 1);
    d->mask = next, next += K;
    d->block = next, next += n * n;
    d->cross = next, next += n * (K + 1);
    d->scaled_X = d->owns_X ? next : (double *)p->X; /* only written where owned */
    for (size_t j = 0, i = 0; j < S; j++) {
        while (i < T && p->t[i] <= p->t_change[j]) i++;
        d->start[j] = i;
    }
    d->start[S] = T;
    return FTL_OK;
}

void prophet_design_release(prophet_design *d)
{
    fi_free(d->memory);
    fi_free(d->start);
    d->memory = NULL, d->start = NULL;
}

void prophet_design_pack(const prophet_design *d, const prophet_point *x, double *theta)
{
    size_t K = d->problem->K;
    if (d->n_trend == 2) *theta++ = x->k;
    *theta++ = x->m;
    if (K) memcpy(theta, x->beta, K * sizeof *theta);
    if (d->S) memcpy(theta + K, x->delta, d->S * sizeof *theta);
}

void prophet_design_unpack(const prophet_design *d, const double *theta, prophet_point *x)
{
    size_t K = d->problem->K, S = d->problem->S;
    x->k = d->n_trend == 2 ? *theta++ : 0.0;
    x->m = *theta++;
    if (K) memcpy(x->beta, theta, K * sizeof *theta);
    for (size_t j = 0; j < S; j++) x->delta[j] = d->S ? theta[K + j] : 0.0;
}

/* mask[j] = beta_j for the columns of one mode, 0 for the others; false if there is none. */
static bool select_mode(const prophet_design *d, const double *beta, bool multiplicative, double *mask)
{
    bool any = false;
    for (size_t j = 0; j < d->problem->K; j++) {
        bool take = d->problem->multiplicative[j] == multiplicative;
        mask[j] = take ? beta[j] : 0.0;
        any |= take && beta[j] != 0;
    }
    return any;
}

void prophet_design_evaluate(prophet_design *d, const double *theta)
{
    const prophet_problem *p = d->problem;
    size_t T = p->T, K = p->K;
    const double *beta = theta + d->n_trend, *delta = beta + K;
    d->k = d->n_trend == 2 ? theta[0] : 0.0;
    d->m = theta[d->n_trend - 1];
    prophet_trend(p->growth, d->k, d->m, delta, p->t_change, d->S, p->t, p->cap, T, d->trend);
    double *additive = d->residual;
    for (size_t i = 0; i < T; i++) d->factor[i] = 1.0, additive[i] = 0.0;
    if (d->owns_X && select_mode(d, beta, true, d->mask)) d->kernels->combine(p->X, T, T, K, d->mask, d->factor);
    if (select_mode(d, beta, false, d->mask)) d->kernels->combine(p->X, T, T, K, d->mask, additive);
    for (size_t i = 0; i < T; i++) d->residual[i] = p->y[i] - (d->trend[i] * d->factor[i] + additive[i]);
    d->ssr = fi_dot(d->residual, d->residual, T);
    if (d->owns_X)
        for (size_t j = 0; j < K; j++) {
            double *to = d->scaled_X + j * T;
            const double *from = p->X + j * T;
            if (!p->multiplicative[j])
                memcpy(to, from, T * sizeof *to);
            else
                for (size_t i = 0; i < T; i++) to[i] = d->trend[i] * from[i];
        }
}

/* d mu / d (linear predictor of the trend) at row i: M for linear and flat growth, g (1 - g / cap) M for logistic. */
static double trend_slope(const prophet_design *d, size_t i)
{
    const prophet_problem *p = d->problem;
    double g = d->trend[i];
    return p->growth == PROPHET_LOGISTIC ? g * (1.0 - g / p->cap[i]) * d->factor[i] : d->factor[i];
}

/* Row of the h-th hinge in raw order (t, 1, B_0, B_1 ..), t being the hinge at 0. */
static size_t hinge_row(size_t h)
{
    return h ? h + 1 : 0;
}

static double hinge_origin(const prophet_design *d, size_t h)
{
    return h ? d->problem->t_change[h - 1] : 0.0;
}

/*
 * For n columns at X (column-major, ld T) and row weights w: out [(2 + S), n] = sums of w X times t, 1, B_0 .. B_S-1.
 * Walks the segments between changepoints backwards and moves the origin of the first moment from each changepoint to
 * the one before, which adds terms of like sign and so cancels nothing.
 */
static void cross_moments(prophet_design *d, const double *w, const double *X, size_t n, double *out)
{
    const prophet_problem *p = d->problem;
    size_t T = p->T, S = d->S;
    double *zero = d->moments, *one = zero + n, *seg0 = one + n, *seg1 = seg0 + n;
    memset(zero, 0, 2 * n * sizeof *zero);
    for (size_t h = S + 1; h-- > 0;) { /* segment h begins at hinge h */
        size_t begin = h ? d->start[h - 1] : 0, end = d->start[h];
        double origin = hinge_origin(d, h), gap = h < S ? hinge_origin(d, h + 1) - origin : 0.0;
        double *to = out + hinge_row(h) * n;
        for (size_t i = begin; i < end; i++) d->row_t[i] = w[i] * (p->t[i] - origin);
        memset(seg0, 0, 2 * n * sizeof *seg0);
        if (end > begin) {
            d->kernels->dots(X + begin, T, end - begin, n, w + begin, seg0);
            d->kernels->dots(X + begin, T, end - begin, n, d->row_t + begin, seg1);
        }
        for (size_t l = 0; l < n; l++) {
            one[l] += gap * zero[l] + seg1[l];
            zero[l] += seg0[l];
            to[l] = one[l];
        }
    }
    memcpy(out + n, zero, n * sizeof *out);
}

/* out [(2 + S), (2 + S)] = sums of w times products of the columns t, 1, B_j, in the same manner. */
static void trend_moments(prophet_design *d, const double *w, double *out)
{
    const prophet_problem *p = d->problem;
    size_t n = d->S + 2;
    double a0 = 0, a1 = 0, a2 = 0; /* moments about the origin of the segment */
    for (size_t h = d->S + 1; h-- > 0;) {
        double origin = hinge_origin(d, h), gap = h < d->S ? hinge_origin(d, h + 1) - origin : 0.0;
        a2 += gap * (2.0 * a1 + gap * a0);
        a1 += gap * a0;
        for (size_t i = h ? d->start[h - 1] : 0; i < d->start[h]; i++) {
            double u = p->t[i] - origin;
            a0 += w[i];
            a1 += w[i] * u;
            a2 += w[i] * u * u;
        }
        size_t row = hinge_row(h);
        for (size_t g = 0; g <= h; g++) {
            double value = a2 + (origin - hinge_origin(d, g)) * a1;
            out[row * n + hinge_row(g)] = out[hinge_row(g) * n + row] = value;
        }
        out[row * n + 1] = out[n + row] = a1;
    }
    out[n + 1] = a0;
}

/*
 * From raw trend columns (t, 1) to those of k and m: the same for linear growth, (t - m, -k) for logistic. `rows` has
 * `n` entries in each of the two rows.
 */
static void to_logistic(const prophet_design *d, double *row_t, double *row_1, size_t n, size_t stride)
{
    if (d->problem->growth != PROPHET_LOGISTIC) return;
    for (size_t i = 0; i < n; i++) {
        double t = row_t[i * stride], one = row_1[i * stride];
        row_t[i * stride] = t - d->m * one;
        row_1[i * stride] = -d->k * one;
    }
}

/* Where raw trend row a (0: t, 1: 1, 2 + j: B_j) stands in theta; NOWHERE for t when growth is flat. */
static size_t place(const prophet_design *d, size_t a)
{
    if (a >= 2) return d->r + (a - 2);
    return d->n_trend == 2 ? a : a == 1 ? 0 : NOWHERE;
}

void prophet_design_gradient(prophet_design *d, double *b)
{
    const prophet_problem *p = d->problem;
    size_t T = p->T;
    double *raw = d->cross; /* [2 + S]: one column of cross moments, that of the residual */
    for (size_t i = 0; i < T; i++) d->row[i] = trend_slope(d, i);
    cross_moments(d, d->row, d->residual, 1, raw);
    to_logistic(d, raw, raw + 1, 1, 1);
    for (size_t a = 0; a < d->S + 2; a++)
        if (place(d, a) != NOWHERE) b[place(d, a)] = raw[a];
    if (p->K) d->kernels->dots(d->scaled_X, T, T, p->K, d->residual, b + d->n_trend);
}

/* Adds the raw trend block [n, n] to G. */
static void add_trend(const prophet_design *d, double *block, double *G)
{
    size_t n = d->S + 2, p = d->p;
    to_logistic(d, block, block + n, n, 1);
    to_logistic(d, block, block + 1, n, n);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            if (place(d, a) != NOWHERE && place(d, b) != NOWHERE) G[place(d, a) * p + place(d, b)] += block[a * n + b];
}

/* Adds the raw block of trend rows against the columns of X (all, or the multiplicative ones) to G, both triangles. */
static void add_cross(const prophet_design *d, double *block, bool only_multiplicative, double *G)
{
    size_t n = d->S + 2, K = d->problem->K, p = d->p;
    to_logistic(d, block, block + K, K, 1);
    for (size_t a = 0; a < n; a++) {
        size_t row = place(d, a);
        for (size_t l = 0; l < K && row != NOWHERE; l++) {
            if (only_multiplicative && !d->problem->multiplicative[l]) continue;
            G[row * p + d->n_trend + l] += block[a * K + l];
            G[(d->n_trend + l) * p + row] += block[a * K + l];
        }
    }
}

void prophet_design_gram(prophet_design *d, double *G)
{
    const prophet_problem *p = d->problem;
    size_t T = p->T, K = p->K;
    memset(G, 0, d->p * d->p * sizeof *G);
    if (K) d->kernels->gram(d->scaled_X, T, T, K, G + d->n_trend * d->p + d->n_trend, d->p);
    for (size_t i = 0; i < T; i++) d->row[i] = trend_slope(d, i);
    if (K) {
        cross_moments(d, d->row, d->scaled_X, K, d->cross);
        add_cross(d, d->cross, false, G);
    }
    for (size_t i = 0; i < T; i++) d->row[i] *= d->row[i];
    trend_moments(d, d->row, d->block);
    add_trend(d, d->block, G);
}

void prophet_design_curvature(prophet_design *d, const double *w, double *G)
{
    const prophet_problem *p = d->problem;
    size_t T = p->T, K = p->K;
    bool logistic = p->growth == PROPHET_LOGISTIC;
    if (d->owns_X) { /* d2 mu / d trend d beta_m = (slope / M) X_m */
        for (size_t i = 0; i < T; i++)
            d->row[i] = w[i] * (logistic ? d->trend[i] * (1.0 - d->trend[i] / p->cap[i]) : 1.0);
        cross_moments(d, d->row, p->X, K, d->cross);
        add_cross(d, d->cross, true, G);
    }
    if (!logistic) return;
    double twist = 0; /* d2 eta / dk dm = -1 */
    for (size_t i = 0; i < T; i++) {
        double g = d->trend[i], q = w[i] * trend_slope(d, i);
        twist -= q;
        d->row[i] = q * (1.0 - 2.0 * g / p->cap[i]);
    }
    trend_moments(d, d->row, d->block);
    add_trend(d, d->block, G);
    G[1] += twist;
    G[d->p] += twist;
}
