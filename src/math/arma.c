#include "math/arma.h"

#include "base/alloc.h"
#include "base/error.h"

#include <complex.h>
#include <math.h>
#include <string.h>

size_t fi_arma_dimension(const fi_arma *arma)
{
    return arma->ar.degree > arma->ma.degree ? arma->ar.degree : arma->ma.degree + 1;
}

void fi_lags_multiply(const double *a, size_t na, const double *b, size_t nb, size_t m, double sign, fi_lags *out)
{
    size_t k = 0;
    for (size_t j = 0; j <= nb; j++)
        for (size_t i = 0; i <= na; i++) {
            if (i + j == 0) continue;
            out->lag[k] = i + j * m;
            out->c[k++] = j == 0 ? a[i - 1] : i == 0 ? b[j - 1] : sign * a[i - 1] * b[j - 1];
        }
    out->n = k;
    out->degree = na + nb * m;
}

void fi_lags_chain(const double *a, size_t na, const double *b, size_t nb, double sign, const double *dc, double *da,
                   double *db)
{
    size_t k = 0;
    for (size_t j = 0; j <= nb; j++)
        for (size_t i = 0; i <= na; i++) {
            if (i + j == 0) continue;
            double d = dc[k++];
            if (i > 0) da[i - 1] += j > 0 ? sign * b[j - 1] * d : d;
            if (j > 0) db[j - 1] += i > 0 ? sign * a[i - 1] * d : d;
        }
}

void fi_arma_residuals(const fi_arma *arma, const double *w, size_t n, size_t start, double *e)
{
    const fi_lags *ar = &arma->ar, *ma = &arma->ma;
    for (size_t t = 0; t < n; t++) e[t] = t < start ? 0 : w[t];
    for (size_t k = 0; k < ar->n; k++) {
        double c = ar->c[k];
        size_t lag = ar->lag[k];
        for (size_t t = start; t < n; t++) e[t] -= c * w[t - lag];
    }
    if (ma->n == 0) return;
    size_t early = start + ma->degree < n ? start + ma->degree : n;
    for (size_t t = start; t < early; t++)
        for (size_t k = 0; k < ma->n; k++)
            if (ma->lag[k] <= t) e[t] -= ma->c[k] * e[t - ma->lag[k]];
    for (size_t t = early; t < n; t++) {
        double sum = e[t];
        for (size_t k = ma->n; k-- > 0;) sum -= ma->c[k] * e[t - ma->lag[k]]; /* the newest last: it arrives last */
        e[t] = sum;
    }
}

void fi_arma_adjoint(const fi_lags *ma, const double *e, size_t n, size_t start, double *u)
{
    memcpy(u, e, n * sizeof *u);
    if (ma->n == 0) return;
    for (size_t t = n; t-- > start;) {
        double sum = u[t];
        for (size_t k = ma->n; k-- > 0;)
            if (t + ma->lag[k] < n) sum -= ma->c[k] * u[t + ma->lag[k]];
        u[t] = sum;
    }
}

void fi_partial_to_ar(const double *partial, size_t p, double *phi)
{
    double next[FI_ARMA_MAX_ORDER];
    if (phi != partial) memcpy(phi, partial, p * sizeof *phi);
    for (size_t k = 1; k < p; k++) { /* Durbin-Levinson */
        double r = phi[k];
        for (size_t i = 0; i < k; i++) next[i] = phi[i] - r * phi[k - 1 - i];
        memcpy(phi, next, k * sizeof *phi);
    }
}

/* Durbin-Levinson backwards: phi [p], changed in place, becomes its partial autocorrelations; next [p] is scratch. */
static bool step_down(double *phi, size_t p, double *next)
{
    for (size_t k = p; k-- > 0;) {
        double r = phi[k], scale = 1 - r * r;
        if (!(fabs(r) < 1) || !(scale > 0)) return false;
        for (size_t i = 0; i < k; i++) next[i] = (phi[i] + r * phi[k - 1 - i]) / scale;
        memcpy(phi, next, k * sizeof *phi);
    }
    return true;
}

bool fi_ar_to_partial(const double *phi, size_t p, double *partial)
{
    double next[FI_ARMA_MAX_ORDER];
    if (partial != phi) memcpy(partial, phi, p * sizeof *phi);
    return step_down(partial, p, next);
}

bool fi_ar_roots_beyond(const double *phi, size_t p, double radius)
{
    double scaled[FI_ARMA_MAX_ORDER], power = 1;
    for (size_t i = 0; i < p; i++) scaled[i] = phi[i] * (power *= radius);
    return fi_ar_to_partial(scaled, p, scaled);
}

/* All roots of 1 + sum c_i z^i, c[q-1] != 0, by the simultaneous iteration of Durand and Kerner. */
static void find_roots(const double *c, size_t q, double complex *roots)
{
    double size = pow(fabs(c[q - 1]), -1.0 / (double)q); /* geometric mean of their absolute values */
    for (size_t i = 0; i < q; i++) roots[i] = size * cexp(I * (0.4 + 6.283185307179586 * (double)i / (double)q));
    for (int round = 0; round < 500; round++) {
        double moved = 0;
        for (size_t i = 0; i < q; i++) {
            double complex value = c[q - 1], others = c[q - 1];
            for (size_t k = q - 1; k-- > 0;) value = value * roots[i] + c[k];
            value = value * roots[i] + 1;
            for (size_t j = 0; j < q; j++)
                if (j != i) others *= roots[i] - roots[j];
            if (cabs(others) == 0) others = 1e-300;
            double complex step = value / others;
            roots[i] -= step;
            moved = fmax(moved, cabs(step) / (1e-300 + cabs(roots[i])));
        }
        if (moved < 1e-15) return;
    }
}

void fi_ma_invert(double *theta, size_t q)
{
    double negative[FI_ARMA_MAX_ORDER];
    while (q > 0 && theta[q - 1] == 0) q--;
    for (size_t i = 0; i < q; i++) negative[i] = -theta[i];
    if (q == 0 || fi_ar_to_partial(negative, q, negative)) return; /* invertible as it is */
    double complex roots[FI_ARMA_MAX_ORDER], product[FI_ARMA_MAX_ORDER + 1] = {1};
    find_roots(theta, q, roots);
    for (size_t i = 0; i < q; i++) {
        double complex r = cabs(roots[i]) < 1 ? 1 / conj(roots[i]) : roots[i]; /* partners flip alike */
        for (size_t k = i + 1; k > 0; k--) product[k] -= product[k - 1] / r;
    }
    for (size_t i = 0; i < q; i++) theta[i] = creal(product[i + 1]);
}

/*
 * Memory: dense ar and its predictors of lower order (triangle), covariances of the AR process, of the MA operator, of
 * the process, psi weights; then for the recursions: the start column, the gain, and the moving windows of the change
 * of covariance and of the state of each column, n + dimension long.
 */
ftl_status fi_arma_work_init(fi_arma_work *work, size_t n, size_t dimension, size_t columns, ftl_error *err)
{
    size_t d = dimension + 1;
    *work = (fi_arma_work){n, dimension, columns, NULL};
    work->memory = fi_alloc(9 * d + d * d / 2 + d + (1 + columns) * (n + d), sizeof(double));
    return work->memory ? FTL_OK : fi_fail_memory(err);
}

void fi_arma_work_release(fi_arma_work *work)
{
    fi_free(work->memory);
    work->memory = NULL;
}

/*
 * gamma [count] = autocovariances of the AR process, sigma = 1. rows holds p (p + 1) / 2: the predictors of all orders,
 * made by Durbin-Levinson backwards, give the covariances forwards.
 */
static bool ar_covariances(const fi_lags *ar, size_t count, double *gamma, double *rows)
{
    size_t p = ar->degree;
    double *top = rows + p * (p - (p > 0)) / 2; /* row k, of length k, begins at k (k - 1) / 2 */
    for (size_t i = 0; i < p; i++) top[i] = 0;
    for (size_t k = 0; k < ar->n; k++) top[ar->lag[k] - 1] += ar->c[k];
    double variance = 1; /* of the process: 1 / product of (1 - r^2) */
    for (size_t k = p; k > 0; k--) {
        double *row = rows + k * (k - 1) / 2, *lower = row - (k - 1), r = row[k - 1], scale = 1 - r * r;
        if (!(fabs(r) < 1) || !(scale > 0)) return false;
        variance /= scale;
        for (size_t i = 0; i + 1 < k; i++) lower[i] = (row[i] + r * row[k - 2 - i]) / scale;
    }
    if (!isfinite(variance)) return false;
    gamma[0] = variance;
    double left = variance; /* prediction variance of order k */
    for (size_t k = 1; k < count; k++) {
        double sum = 0;
        if (k <= p) {
            const double *row = rows + k * (k - 1) / 2, *lower = row - (k - 1);
            for (size_t i = 1; i < k; i++) sum += lower[i - 1] * gamma[k - i];
            sum += row[k - 1] * left;
            left *= 1 - row[k - 1] * row[k - 1];
        } else {
            for (size_t i = 0; i < ar->n; i++) sum += ar->c[i] * gamma[k - ar->lag[i]];
        }
        gamma[k] = sum;
    }
    return true;
}

bool fi_arma_covariance(const fi_arma *arma, double *column, const fi_arma_work *work)
{
    const fi_lags *ar = &arma->ar, *ma = &arma->ma;
    size_t p = ar->degree, q = ma->degree, r = fi_arma_dimension(arma), d = work->dimension + 1;
    double *theta = work->memory, *gx = theta + d, *cross = gx + 2 * d, *gw = cross + d, *psi = gw + d;
    double *rows = work->memory + 9 * d;
    if (!ar_covariances(ar, p + q + 1, gx, rows)) return false;
    for (size_t i = 1; i <= q; i++) theta[i] = 0;
    theta[0] = 1;
    for (size_t k = 0; k < ma->n; k++) theta[ma->lag[k]] += ma->c[k];
    for (size_t l = 0; l <= q; l++) {
        cross[l] = 0;
        for (size_t i = 0; i + l <= q; i++) cross[l] += theta[i] * theta[i + l];
    }
    for (size_t k = 0; k <= p; k++) {
        gw[k] = cross[0] * gx[k];
        for (size_t l = 1; l <= q; l++)
            if (cross[l] != 0) gw[k] += cross[l] * (gx[k + l] + gx[k > l ? k - l : l - k]);
    }
    for (size_t j = 0; j < r; j++) {
        psi[j] = j <= q ? theta[j] : 0;
        for (size_t k = 0; k < ar->n; k++)
            if (ar->lag[k] <= j) psi[j] += ar->c[k] * psi[j - ar->lag[k]];
    }
    column[0] = gw[0];
    for (size_t j = 1; j < r; j++) {
        double sum = j <= q ? theta[j] : 0;
        for (size_t k = 0; k < ar->n; k++)
            if (ar->lag[k] > j) sum += ar->c[k] * gw[ar->lag[k] - j];
        for (size_t k = 0; k < ma->n; k++)
            if (ma->lag[k] > j) sum += ma->c[k] * psi[ma->lag[k] - j];
        column[j] = sum;
    }
    return true;
}

/* The state before one more observation with the gain at its limit, ar + ma: only its sparse part changes. */
static void settled_steps(const fi_arma *arma, const double *w, size_t from, size_t n, double *state, double *e)
{
    const fi_lags *ar = &arma->ar, *ma = &arma->ma;
    for (size_t t = from; t < n; t++) {
        double v = w[t] - state[t];
        e[t] = v;
        for (size_t k = 0; k < ar->n; k++) state[t + ar->lag[k]] += ar->c[k] * w[t];
        for (size_t k = 0; k < ma->n; k++) state[t + ma->lag[k]] += ma->c[k] * v;
    }
}

/* to = T from in the moving window: the shift is the window's, what comes in is sparse. */
static void carry(const fi_lags *ar, double *window)
{
    double first = window[0];
    for (size_t k = 0; k < ar->n; k++) window[ar->lag[k]] += ar->c[k] * first;
}

static void add(double *restrict to, const double *restrict from, double factor, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] += factor * from[i];
}

bool fi_arma_exact(const fi_arma *arma, const double *w, size_t ld, size_t columns, size_t n, double *e,
                   double *log_det, const fi_arma_work *work)
{
    const double settled = 1e-14;
    size_t r = fi_arma_dimension(arma), d = work->dimension + 1, length = n + d;
    double *start = work->memory + 6 * d, *gain = start + d, *change = work->memory + 10 * d + d * d / 2;
    double *state = change + length;
    if (!fi_arma_covariance(arma, start, work)) return false;
    memset(change, 0, (1 + columns) * length * sizeof *change);
    memcpy(change, start, r * sizeof *start);
    carry(&arma->ar, change);
    memcpy(gain, change + 1, r * sizeof *gain); /* T P Z; the gain is this over F */
    memmove(change, change + 1, r * sizeof *change);
    change[r] = 0;
    double F = start[0], product = 1;
    *log_det = 0;
    size_t t = 0;
    for (; t < n && F - 1 > settled; t++) {
        if ((product *= F) > 1e200) {
            *log_det += log(product);
            product = 1;
        }
        double root = sqrt(F);
        for (size_t j = 0; j < columns; j++) {
            double *s = state + j * length + t, v = w[j * ld + t] - s[0];
            e[j * ld + t] = v / root;
            carry(&arma->ar, s);
            add(s + 1, gain, v / F, r);
        }
        /* A hyperbolic rotation of the gain against the change of the covariance. */
        double *restrict next = change + t + 1, *restrict g = gain, f = change[t] / F;
        F = fmax(F - change[t] * f, 1);
        carry(&arma->ar, change + t);
        for (size_t i = 0; i < r; i++) {
            double moved = next[i], before = g[i];
            g[i] = before - f * moved;
            next[i] = moved - f * before;
        }
    }
    *log_det += log(product);
    for (size_t j = 0; j < columns; j++) settled_steps(arma, w + j * ld, t, n, state + j * length, e + j * ld);
    return isfinite(*log_det);
}
