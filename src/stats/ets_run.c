/*
 * The recursions of exponential smoothing and their derivatives. Each is written once, with the form as a constant of
 * the compiler, so that every form gets a loop of its own without branches or memory.
 */
#include "stats/ets.h"

#include "math/distributions.h"

#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef struct step {
    double q, growth; /* level and growth before the observation */
    double f;         /* forecast */
} step;

INLINE bool is_mul(fi_ets_trend trend)
{
    return trend >= FI_ETS_MUL;
}

/* One step ahead of a state. */
INLINE step predict(fi_ets_trend trend, fi_ets_trend season, double level, double growth, double s, double phi)
{
    step p = {level, 0, level};
    if (trend == FI_ETS_ADD || trend == FI_ETS_ADD_DAMPED) {
        p.growth = phi * growth;
        p.q = level + p.growth;
    } else if (is_mul(trend)) {
        p.growth = trend == FI_ETS_MUL ? growth : pow(growth, phi);
        p.q = level * p.growth;
    }
    p.f = season == FI_ETS_NONE ? p.q : season == FI_ETS_ADD ? p.q + s : p.q * s;
    return p;
}

/* A running product of positive factors: one logarithm for many of them. */
typedef struct log_sum {
    double product, sum;
} log_sum;

INLINE void log_add(log_sum *l, double factor)
{
    l->product *= factor;
    if (l->product > 0x1p500 || l->product < 0x1p-500) {
        l->sum += log(l->product);
        l->product = 1;
    }
}

INLINE bool run(bool mul_error, fi_ets_trend trend, fi_ets_trend season, fi_ets_pass *p, fi_ets_values *v,
                double *criterion)
{
    const double alpha = v->alpha, beta = v->beta, gamma = v->gamma, phi = v->phi;
    double level = v->level, growth = v->growth, squares = 0;
    double *ring = v->season;
    log_sum logs = {1, 0};
    for (size_t t = 0, place = 0; t < p->n; t++, place = place + 1 == p->m ? 0 : place + 1) {
        double y = p->y[t], s = season == FI_ETS_NONE ? 0 : ring[place];
        step next = predict(trend, season, level, growth, s, phi);
        p->level[t] = level;
        p->growth[t] = growth;
        p->season[t] = s;
        p->f[t] = next.f;
        if (mul_error && !(next.f > 0)) return false;
        if (is_mul(trend) && !(level > 0 && growth > 0)) return false;
        if (season == FI_ETS_MUL && !(next.q != 0 && s > 0)) return false;
        if (isnan(y)) { /* nothing is learnt */
            p->e[t] = 0;
            level = next.q;
            growth = next.growth;
            continue;
        }
        double d = (season == FI_ETS_MUL ? y / s : y - s) - next.q;
        double e = mul_error ? (y - next.f) / next.f : y - next.f;
        p->e[t] = e;
        squares += e * e;
        if (mul_error) log_add(&logs, next.f);
        if (trend != FI_ETS_NONE) growth = next.growth + beta * (is_mul(trend) ? d / level : d);
        level = next.q + alpha * d;
        if (season == FI_ETS_ADD) ring[place] = s + gamma * d;
        if (season == FI_ETS_MUL) ring[place] = s + gamma * (y / next.q - s);
    }
    if (!isfinite(squares) || !isfinite(level)) return false;
    v->level = level;
    v->growth = growth;
    p->sum_squares = squares;
    *criterion = (double)p->observed * log(fmax(squares, p->floor)) + 2 * (logs.sum + log(logs.product));
    return isfinite(*criterion);
}

INLINE void gradient(bool mul_error, fi_ets_trend trend, fi_ets_trend season, const fi_ets_pass *p,
                     const fi_ets_values *v, fi_ets_values *g)
{
    const double alpha = v->alpha, beta = v->beta, gamma = v->gamma, phi = v->phi;
    const double weight = p->sum_squares > p->floor ? 2 * (double)p->observed / p->sum_squares : 0;
    double a = 0, b = 0, c = 0, damping = 0, L = 0, B = 0; /* adjoints of level and growth after the step */
    double *S = g->season;                                 /* and of the seasons */
    for (size_t i = 0; season != FI_ETS_NONE && i < p->m; i++) S[i] = 0;
    for (size_t t = p->n, place = p->n % p->m; t-- > 0;) {
        place = place == 0 ? p->m - 1 : place - 1;
        double y = p->y[t], level = p->level[t], growth = p->growth[t], s = p->season[t], f = p->f[t], e = p->e[t];
        step next = predict(trend, season, level, growth, s, phi);
        double Q = L, G = B, D = 0, F = 0, s_adjoint = season == FI_ETS_NONE ? 0 : S[place];
        double level_adjoint = 0;
        if (!isnan(y)) {
            double d = (season == FI_ETS_MUL ? y / s : y - s) - next.q;
            F = mul_error ? (2 - weight * e * y / f) / f : -weight * e;
            a += L * d;
            D = alpha * L;
            if (trend == FI_ETS_ADD || trend == FI_ETS_ADD_DAMPED) {
                b += B * d;
                D += beta * B;
            } else if (is_mul(trend)) {
                b += B * d / level;
                D += beta * B / level;
                level_adjoint = -beta * B * d / (level * level);
            }
            if (season == FI_ETS_ADD) {
                c += s_adjoint * d;
                D += gamma * s_adjoint;
                s_adjoint += F - D;
                Q += F - D;
            } else if (season == FI_ETS_MUL) {
                double ratio = y / next.q;
                c += s_adjoint * (ratio - s);
                Q += F * s - D - gamma * s_adjoint * ratio / next.q;
                s_adjoint += F * next.q - gamma * s_adjoint - D * y / (s * s);
            } else {
                Q += F - D;
            }
        }
        if (season != FI_ETS_NONE) S[place] = s_adjoint;
        if (trend == FI_ETS_NONE) {
            L = Q;
        } else if (!is_mul(trend)) {
            G += Q;
            L = Q;
            B = phi * G;
            damping += G * growth;
        } else {
            G += Q * level;
            L = Q * next.growth + level_adjoint;
            B = G * phi * next.growth / growth;
            if (trend == FI_ETS_MUL_DAMPED) damping += G * next.growth * log(growth);
        }
    }
    g->alpha = a;
    g->beta = b;
    g->gamma = c;
    g->phi = damping;
    g->level = L;
    g->growth = B;
}

/* Calls `what` with the form as constants: 2 errors, 5 trends, 3 seasons. */
#define SEASONS(what, error, trend, ...)                                                                               \
    switch (form.season) {                                                                                             \
    case FI_ETS_NONE: return what(error, trend, FI_ETS_NONE, __VA_ARGS__);                                             \
    case FI_ETS_ADD: return what(error, trend, FI_ETS_ADD, __VA_ARGS__);                                               \
    default: return what(error, trend, FI_ETS_MUL, __VA_ARGS__);                                                       \
    }
#define TRENDS(what, error, ...)                                                                                       \
    switch (form.trend) {                                                                                              \
    case FI_ETS_NONE: SEASONS(what, error, FI_ETS_NONE, __VA_ARGS__)                                                   \
    case FI_ETS_ADD: SEASONS(what, error, FI_ETS_ADD, __VA_ARGS__)                                                     \
    case FI_ETS_ADD_DAMPED: SEASONS(what, error, FI_ETS_ADD_DAMPED, __VA_ARGS__)                                       \
    case FI_ETS_MUL: SEASONS(what, error, FI_ETS_MUL, __VA_ARGS__)                                                     \
    default: SEASONS(what, error, FI_ETS_MUL_DAMPED, __VA_ARGS__)                                                      \
    }

static bool run_add(fi_ets_form form, fi_ets_pass *p, fi_ets_values *v, double *criterion)
{
    TRENDS(run, false, p, v, criterion)
}

static bool run_mul(fi_ets_form form, fi_ets_pass *p, fi_ets_values *v, double *criterion)
{
    TRENDS(run, true, p, v, criterion)
}

bool fi_ets_run(fi_ets_form form, fi_ets_pass *p, fi_ets_values *v, double *criterion)
{
    return form.mul_error ? run_mul(form, p, v, criterion) : run_add(form, p, v, criterion);
}

static void gradient_add(fi_ets_form form, const fi_ets_pass *p, const fi_ets_values *v, fi_ets_values *g)
{
    TRENDS(gradient, false, p, v, g)
}

static void gradient_mul(fi_ets_form form, const fi_ets_pass *p, const fi_ets_values *v, fi_ets_values *g)
{
    TRENDS(gradient, true, p, v, g)
}

void fi_ets_gradient(fi_ets_form form, const fi_ets_pass *p, const fi_ets_values *v, fi_ets_values *g)
{
    if (form.mul_error)
        gradient_mul(form, p, v, g);
    else
        gradient_add(form, p, v, g);
}

/* ---- ahead of the data ------------------------------------------------------------------------------------------ */

/*
 * The mean and the mean square of level x season are not products under a multiplicative error and season, because one
 * error moves both. With x = (l, b), x' = (F + G e) x and s' = (1 + gamma e) s, the first moments M [2] and second moments
 * Q [3] of x s are carried on for every place of the season: what R's class3() does with large matrices. (HKOS, 6.5.)
 */
static void moments_of_products(const fi_ets_values *end, size_t m, size_t place, double sigma, size_t horizon,
                                double *mean, double *sd, double *work)
{
    const double phi = end->phi, v = sigma * sigma, a = end->alpha, b = end->beta, c = end->gamma;
    const double F[4] = {1, phi, 0, phi}, G[4] = {a, a * phi, b, b * phi};
    for (size_t i = 0; i < m; i++) {
        double *w = work + 5 * i, x = end->level * end->season[i], z = end->growth * end->season[i];
        w[0] = x, w[1] = z, w[2] = x * x, w[3] = x * z, w[4] = z * z;
    }
    for (size_t h = 0; h < horizon; h++, place = place + 1 == m ? 0 : place + 1) {
        const double *now = work + 5 * place;
        mean[h] = now[0] + phi * now[1];
        double square = now[2] + 2 * phi * now[3] + phi * phi * now[4];
        sd[h] = sqrt(fmax((1 + v) * square - mean[h] * mean[h], 0));
        for (size_t i = 0; i < m; i++) {
            double *w = work + 5 * i, own = i == place ? c : 0; /* the season moves with the error at its place only */
            double K[4], S[4] = {w[2], w[3], w[3], w[4]}, out[4] = {0}, first[2];
            for (size_t k = 0; k < 4; k++) K[k] = G[k] + own * F[k];
            for (size_t k = 0; k < 2; k++)
                first[k] = (F[2 * k] + own * v * G[2 * k]) * w[0] + (F[2 * k + 1] + own * v * G[2 * k + 1]) * w[1];
            /* E (F + K e + own G e^2) S (...)', with E e^2 = v, E e^4 = 3 v^2 */
            for (size_t r = 0; r < 2; r++)
                for (size_t q = 0; q < 2; q++)
                    for (size_t j = 0; j < 2; j++)
                        for (size_t k = 0; k < 2; k++) {
                            size_t rj = 2 * r + j, qk = 2 * q + k;
                            out[2 * r + q] += S[2 * j + k] * (F[rj] * F[qk] + v * K[rj] * K[qk] +
                                                              own * v * (F[rj] * G[qk] + G[rj] * F[qk]) +
                                                              3 * own * own * v * v * G[rj] * G[qk]);
                        }
            w[0] = first[0], w[1] = first[1], w[2] = out[0], w[3] = out[1], w[4] = out[3];
        }
    }
}

/* Zero errors from here on; for the linear forms these are the means. */
static void point_forecasts(fi_ets_form form, const fi_ets_values *end, size_t m, size_t place, size_t horizon,
                            double *mean)
{
    double level = end->level, growth = end->growth;
    for (size_t h = 0; h < horizon; h++, place = place + 1 == m ? 0 : place + 1) {
        double s = form.season == FI_ETS_NONE ? 0 : end->season[place];
        step next = predict(form.trend, form.season, level, growth, s, end->phi);
        mean[h] = next.f;
        level = next.q;
        growth = next.growth;
    }
}

/*
 * The weight c_j = alpha + beta (phi + .. + phi^j) + gamma [m divides j] of an error j steps later (HKOS, table 6.1),
 * and with it the variance: sigma^2 (1 + sum c_j^2), or for the multiplicative error (1 + sigma^2) theta_h - mean_h^2,
 * theta_h = mean_h^2 + sigma^2 sum c_j^2 theta_{h-j} (section 6.4), which costs horizon^2.
 */
static void linear_deviations(fi_ets_form form, const fi_ets_values *end, size_t m, double sigma, size_t horizon,
                              const double *mean, double *sd, double *weight)
{
    const double v = sigma * sigma;
    double share = 0, power = 1, sum = 1;
    for (size_t h = 0; h < horizon; h++) {
        double c = end->alpha + end->beta * (share += power *= end->phi);
        if (form.season != FI_ETS_NONE && (h + 1) % m == 0) c += end->gamma;
        weight[h] = c * c; /* of an error h + 1 steps later */
        sd[h] = sigma * sqrt(sum);
        sum += weight[h];
    }
    if (!form.mul_error) return;
    for (size_t h = 0; h < horizon; h++) { /* sd holds theta meanwhile */
        sum = 0;
        for (size_t j = 1; j <= h; j++) sum += weight[j - 1] * sd[h - j];
        sd[h] = mean[h] * mean[h] + v * sum;
    }
    for (size_t h = 0; h < horizon; h++) sd[h] = sqrt(fmax((1 + v) * sd[h] - mean[h] * mean[h], 0));
}

void fi_ets_moments(fi_ets_form form, const fi_ets_values *end, size_t m, size_t place, double sigma, size_t horizon,
                    double *mean, double *sd, double *work)
{
    bool linear = !fi_ets_mul_trend(form) && form.season != FI_ETS_MUL;
    point_forecasts(form, end, m, place, horizon, mean);
    if (linear)
        linear_deviations(form, end, m, sigma, horizon, mean, sd, work);
    else if (form.mul_error && !fi_ets_mul_trend(form))
        moments_of_products(end, m, place, sigma, horizon, mean, sd, work);
    else
        sd[0] = NAN;
}

void fi_ets_draw(fi_ets_form form, const fi_ets_values *end, size_t m, size_t place, double sigma, size_t horizon,
                 fi_rng *rng, double *path, double *work)
{
    double level = end->level, growth = end->growth;
    if (form.season != FI_ETS_NONE) memcpy(work, end->season, m * sizeof *work);
    for (size_t h = 0; h < horizon; h++, place = place + 1 == m ? 0 : place + 1) {
        double s = form.season == FI_ETS_NONE ? 0 : work[place];
        step next = predict(form.trend, form.season, level, growth, s, end->phi);
        double e = sigma * fi_rng_normal(rng);
        if (form.mul_error) e = fmax(e, -1) * next.f; /* as R's simulate(): y does not fall below 0 */
        double y = path[h] = next.f + e, d = form.season == FI_ETS_MUL ? y / s - next.q : e;
        double lower = next.q + end->alpha * d, factor = next.growth + end->beta * d / level;
        growth = next.growth + end->beta * d;
        if (fi_ets_mul_trend(form)) { /* states that must stay positive do, however unlikely the errors */
            growth = factor > 0 ? factor : next.growth;
            level = lower > 0 ? lower : next.q;
        } else {
            level = lower;
        }
        if (form.season == FI_ETS_ADD) work[place] = s + end->gamma * e;
        if (form.season == FI_ETS_MUL) {
            double moved = s + end->gamma * (y / next.q - s);
            if (moved > 0) work[place] = moved;
        }
    }
}
