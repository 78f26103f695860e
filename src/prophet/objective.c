/*
 * The posterior of Prophet's Stan program: trend, log density and gradient, starting values.
 *
 * Every trend is a function of its rate integrated once. With B_j(t) = max(0, t - s_j),
 *
 *     linear    g = m + eta(t),            eta(t) = k t + sum_j delta_j B_j(t)
 *     logistic  g = cap / (1 + exp(-eta)), eta(t) = k (t - m) + sum_j delta_j B_j(t)
 *     flat      g = m
 *
 * Prophet writes the logistic eta as rate * (t - offset) and finds the offsets by a recursion (its "gamma"). Both agree
 * wherever Prophet's is defined; where a segment's rate is exactly 0 its recursion divides by it and yields NaN, and
 * the form used here its finite limit.
 */
#include "math/linalg.h"
#include "prophet/prophet.h"

#include <math.h>
#include <string.h>

/* out = rate(t) * t + offset(t), piecewise linear and continuous, in one pass over ascending times. */
static void hinges(double k, double offset, const double *delta, const double *t_change, size_t S, const double *t,
                   size_t n, double *out)
{
    double rate_change = 0, offset_change = 0; /* summed apart from k and m, as Prophet does */
    for (size_t i = 0, j = 0; i < n; i++) {
        for (; j < S && t_change[j] <= t[i]; j++) {
            rate_change += delta[j];
            offset_change -= delta[j] * t_change[j];
        }
        out[i] = (k + rate_change) * t[i] + (offset + offset_change);
    }
}

void prophet_trend(prophet_growth growth, double k, double m, const double *delta, const double *t_change, size_t S,
                   const double *t, const double *cap, size_t n, double *trend)
{
    switch (growth) {
    case PROPHET_FLAT:
        for (size_t i = 0; i < n; i++) trend[i] = m;
        break;
    case PROPHET_LINEAR: hinges(k, m, delta, t_change, S, t, n, trend); break;
    case PROPHET_LOGISTIC:
        hinges(k, -k * m, delta, t_change, S, t, n, trend);
        for (size_t i = 0; i < n; i++) trend[i] = cap[i] / (1 + exp(-trend[i]));
        break;
    }
}

/* The transpose of hinges(): from h = dlp/d out to k, offset and delta, by sums running backwards in time. */
static void hinges_transposed(const double *h, const double *t_change, size_t S, const double *t, size_t n, double *k,
                              double *offset, double *delta)
{
    double sum = 0, sum_t = 0;
    size_t i = n;
    for (size_t j = S; j-- > 0;) {
        for (; i > 0 && t[i - 1] >= t_change[j]; i--) {
            sum += h[i - 1];
            sum_t += h[i - 1] * t[i - 1];
        }
        delta[j] = sum_t - t_change[j] * sum;
    }
    for (; i > 0; i--) {
        sum += h[i - 1];
        sum_t += h[i - 1] * t[i - 1];
    }
    *k = sum_t;
    *offset = sum;
}

static double sign(double x)
{
    return (double)((x > 0) - (x < 0));
}

/*
 * Gradient of the likelihood in all but sigma, from w = (y - mu) / sigma^2. On entry w_trend is w * trend and h the
 * derivative by the trend or, for logistic growth, by its eta.
 */
static void likelihood_gradient(const prophet_problem *p, const prophet_point *x, const double *w,
                                const double *w_trend, const double *h, double *grad)
{
    double *delta = grad + 2, *beta = grad + 3 + p->S, k = 0, offset = 0;
    for (size_t j = 0; j < p->K; j++) beta[j] = fi_dot(p->X + j * p->T, p->multiplicative[j] ? w_trend : w, p->T);
    if (p->growth == PROPHET_FLAT) {
        for (size_t i = 0; i < p->T; i++) offset += h[i];
        memset(delta, 0, p->S * sizeof *delta);
    } else {
        hinges_transposed(h, p->t_change, p->S, p->t, p->T, &k, &offset, delta);
    }
    bool logistic = p->growth == PROPHET_LOGISTIC; /* its offset is -k m */
    grad[0] = logistic ? k - x->m * offset : k;
    grad[1] = logistic ? -x->k * offset : offset;
}

double prophet_log_posterior_of_ssr(const prophet_problem *p, const prophet_point *x, double ssr, double *grad)
{
    double sigma2 = x->sigma * x->sigma, count = (double)p->T;
    double lp = -count * log(x->sigma) - ssr / (2 * sigma2) - (x->k * x->k + x->m * x->m) / 50 - 2 * sigma2;
    for (size_t j = 0; j < p->S; j++) lp -= fabs(x->delta[j]) / p->tau;
    for (size_t j = 0; j < p->K; j++) {
        double z = x->beta[j] / p->sigmas[j];
        lp -= z * z / 2;
    }
    if (!grad) return lp;
    grad[0] -= x->k / 25;
    grad[1] -= x->m / 25;
    for (size_t j = 0; j < p->S; j++) grad[2 + j] -= sign(x->delta[j]) / p->tau;
    grad[2 + p->S] = -count + ssr / sigma2 - 4 * sigma2;
    for (size_t j = 0; j < p->K; j++) grad[3 + p->S + j] -= x->beta[j] / (p->sigmas[j] * p->sigmas[j]);
    return lp;
}

double prophet_log_posterior(const prophet_problem *p, const prophet_point *x, double *grad, double *workspace)
{
    double *trend = workspace, *factor = trend + p->T, *e = factor + p->T; /* each [T] */
    prophet_trend(p->growth, x->k, x->m, x->delta, p->t_change, p->S, p->t, p->cap, p->T, trend);
    for (size_t i = 0; i < p->T; i++) {
        factor[i] = 1;
        e[i] = p->y[i];
    }
    for (size_t j = 0; j < p->K; j++) {
        const double *column = p->X + j * p->T;
        double b = x->beta[j];
        if (p->multiplicative[j])
            for (size_t i = 0; i < p->T; i++) factor[i] += b * column[i];
        else
            for (size_t i = 0; i < p->T; i++) e[i] -= b * column[i];
    }
    for (size_t i = 0; i < p->T; i++) e[i] -= trend[i] * factor[i];
    double ssr = fi_dot(e, e, p->T);
    if (grad) {
        double *w = e, *h = factor, *w_trend = trend,
               sigma2 = x->sigma * x->sigma; /* each takes its place row by row */
        for (size_t i = 0; i < p->T; i++) {
            w[i] = e[i] / sigma2;
            h[i] = w[i] * factor[i];
            if (p->growth == PROPHET_LOGISTIC) h[i] *= trend[i] * (1 - trend[i] / p->cap[i]);
            w_trend[i] = w[i] * trend[i];
        }
        likelihood_gradient(p, x, w, w_trend, h, grad);
    }
    return prophet_log_posterior_of_ssr(p, x, ssr, grad);
}

/* y pulled into the open interval (0, cap), so that its logit exists. */
static double inside_cap(double y, double cap)
{
    return fmax(0.01 * cap, fmin(0.99 * cap, y));
}

void prophet_initial_point(const prophet_problem *p, prophet_point *x)
{
    x->k = x->m = 0;
    x->sigma = 1;
    for (size_t j = 0; j < p->S; j++) x->delta[j] = 0;
    for (size_t j = 0; j < p->K; j++) x->beta[j] = 0;
    if (p->T == 0) return;

    size_t last = p->T - 1; /* of several rows at the last time Prophet takes the first */
    while (last > 0 && p->t[last - 1] == p->t[last]) last--;
    double span = p->t[last] - p->t[0], y0 = p->y[0], y1 = p->y[last];
    if (p->growth == PROPHET_FLAT) {
        for (size_t i = 0; i < p->T; i++) x->m += p->y[i];
        x->m /= (double)p->T;
    } else if (p->growth == PROPHET_LINEAR) {
        x->k = span > 0 ? (y1 - y0) / span : 0;
        x->m = y0 - x->k * p->t[0];
    } else {
        double r0 = p->cap[0] / inside_cap(y0, p->cap[0]), r1 = p->cap[last] / inside_cap(y1, p->cap[last]);
        if (fabs(r0 - r1) <= 0.01) r0 *= 1.05; /* equal ends would leave the offset undefined */
        double l0 = log(r0 - 1), l1 = log(r1 - 1);
        if (!(span > 0)) span = 1;
        x->m = l0 * span / (l0 - l1);
        x->k = (l0 - l1) / span;
    }
}
