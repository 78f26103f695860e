#include "math/eigen.h"

#include "math/vector.h"

#include <float.h>
#include <math.h>

/*
 * Turns x [n] into the vector v of a reflection I - tau v v' that maps it to (*image, 0, ..., 0); returns tau.
 * Scaled by the largest entry, so that squares neither overflow nor vanish.
 */
static double reflector(double *x, size_t n, double *image)
{
    double largest = 0, tail = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(x[i]));
    *image = x[0];
    for (size_t i = 1; i < n; i++) tail = fmax(tail, fabs(x[i]));
    if (tail == 0) return 0; /* nothing to clear */
    for (size_t i = 0; i < n; i++) x[i] /= largest;
    double norm = sqrt(fi_dot(x, x, n)), target = x[0] > 0 ? -norm : norm;
    *image = target * largest;
    x[0] -= target;
    return 2 / fi_dot(x, x, n);
}

/*
 * Q' a Q = tridiagonal with diagonal d and off-diagonal e (e[n - 1] = 0). Reflection k acts on coordinates k + 1 and
 * up; its vector stays in row k of a, its tau in tau[k].
 */
static void tridiagonalise(size_t n, double *a, double *d, double *e, double *tau)
{
    for (size_t k = 0; k + 1 < n; k++) {
        double *v = a + k * n + k + 1, *w = e + k + 1; /* e is free from k + 1 on; w[m] needs n - 1 - k places */
        size_t m = n - 1 - k;
        d[k] = a[k * n + k];
        tau[k] = reflector(v, m, &e[k]);
        if (tau[k] == 0) continue;
        /* a <- (I - tau v v') a (I - tau v v') = a - v w' - w v', w = tau (a v) - (tau^2 / 2)(v' a v) v */
        for (size_t i = 0; i < m; i++) w[i] = tau[k] * fi_dot(a + (k + 1 + i) * n + k + 1, v, m);
        fi_add_scaled(w, -tau[k] / 2 * fi_dot(v, w, m), v, m);
        for (size_t i = 0; i < m; i++) {
            double *row = a + (k + 1 + i) * n + k + 1, vi = v[i], wi = w[i];
            for (size_t j = 0; j < m; j++) row[j] -= vi * w[j] + wi * v[j];
        }
    }
    if (n > 0) {
        d[n - 1] = a[n * n - 1];
        e[n - 1] = 0;
        tau[n - 1] = 0;
    }
}

/* q = Q': the reflections multiplied out, last one first, so that each touches only the block already filled. */
static void multiply_out(size_t n, const double *a, const double *tau, double *q)
{
    for (size_t i = 0; i < n * n; i++) q[i] = 0;
    for (size_t i = 0; i < n; i++) q[i * n + i] = 1;
    for (size_t k = n; k-- > 0;) {
        if (tau[k] == 0) continue;
        const double *v = a + k * n + k + 1;
        size_t m = n - 1 - k;
        for (size_t i = k + 1; i < n; i++) {
            double *row = q + i * n + k + 1;
            fi_add_scaled(row, -tau[k] * fi_dot(row, v, m), v, m);
        }
    }
}

/* One implicit QL sweep on rows [l, m] of the tridiagonal (d, e), with its rotations applied to the rows of q. */
static void ql_sweep(size_t n, size_t l, size_t m, double *d, double *e, double *q)
{
    double half = (d[l + 1] - d[l]) / (2 * e[l]), root = hypot(half, 1);
    double g = d[m] - d[l] + e[l] / (half + (half >= 0 ? root : -root)); /* d[m] minus Wilkinson's shift */
    double s = 1, c = 1, p = 0;
    for (size_t i = m; i-- > l;) {
        double f = s * e[i], b = c * e[i], r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0) { /* the matrix splits here */
            d[i + 1] -= p;
            e[m] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        double *low = q + i * n, *high = low + n;
        for (size_t j = 0; j < n; j++) {
            double x = high[j], y = low[j];
            high[j] = s * y + c * x;
            low[j] = c * y - s * x;
        }
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
}

bool fi_eigen_symmetric(size_t n, double *a, double *values, double *vectors, double *work)
{
    double *d = values, *e = work, *tau = work + n;
    tridiagonalise(n, a, d, e, tau);
    multiply_out(n, a, tau, vectors);
    for (size_t l = 0; l < n; l++)
        for (int sweeps = 0;; sweeps++) {
            size_t m = l; /* the end of the unreduced block that begins at l */
            while (m + 1 < n && !(fabs(e[m]) <= DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])))) m++;
            if (m == l) break;
            if (sweeps == 60) return false;
            ql_sweep(n, l, m, d, e, vectors);
        }
    for (size_t i = 0; i < n; i++)
        if (!isfinite(d[i])) return false;
    return true;
}
