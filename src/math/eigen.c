#include "math/eigen.h"

#include "math/linalg.h"

#include <float.h>
#include <math.h>

enum { MAX_SWEEPS = 60 }; /* for one eigenvalue; two or three are usual */

static void add_scaled(double *y, double factor, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += factor * x[i];
}

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
        add_scaled(w, -tau[k] / 2 * fi_dot(v, w, m), v, m);
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
            add_scaled(row, -tau[k] * fi_dot(row, v, m), v, m);
        }
    }
}

/* Turns (x, z) into (r, 0); returns r. */
static double rotation(double x, double z, double *c, double *s)
{
    double r = hypot(x, z);
    *c = r > 0 ? x / r : 1;
    *s = r > 0 ? z / r : 0;
    return r;
}

/* One implicit QR sweep on rows [low, high] of the tridiagonal (d, e), with its rotations applied to the rows of q. */
static void qr_sweep(size_t n, size_t low, size_t high, double *d, double *e, double *q)
{
    double half = (d[high - 1] - d[high]) / (2 * e[high - 1]), root = hypot(half, 1);
    double shift = d[high] - e[high - 1] / (half + (half >= 0 ? root : -root)); /* Wilkinson's */
    double x = d[low] - shift, z = e[low];
    for (size_t k = low; k < high; k++) {
        double c, s, r = rotation(x, z, &c, &s);
        if (k > low) e[k - 1] = r;
        /* rows and columns k and k + 1 */
        double above = c * d[k] + s * e[k], beside = c * e[k] + s * d[k + 1];
        double beside_below = c * e[k] - s * d[k], below = c * d[k + 1] - s * e[k];
        d[k] = c * above + s * beside;
        d[k + 1] = c * below - s * beside_below;
        e[k] = c * beside - s * above;
        if (k + 1 < high) { /* the bulge to chase on */
            x = e[k];
            z = s * e[k + 1];
            e[k + 1] *= c;
        }
        double *upper = q + k * n, *lower = upper + n;
        for (size_t j = 0; j < n; j++) {
            double u = upper[j], v = lower[j];
            upper[j] = c * u + s * v;
            lower[j] = c * v - s * u;
        }
    }
}

bool fi_eigen_symmetric(size_t n, double *a, double *values, double *vectors, double *work)
{
    double *d = values, *e = work, *tau = work + n;
    tridiagonalise(n, a, d, e, tau);
    multiply_out(n, a, tau, vectors);
    for (size_t high = n, sweeps = 0; high-- > 1; sweeps = 0)
        for (;; sweeps++) {
            size_t low = high; /* the block that ends at `high` and does not split */
            while (low > 0 && !(fabs(e[low - 1]) <= DBL_EPSILON * (fabs(d[low - 1]) + fabs(d[low])))) low--;
            if (low == high) break;
            if (sweeps == MAX_SWEEPS) return false;
            qr_sweep(n, low, high, d, e, vectors);
        }
    for (size_t i = 0; i < n; i++)
        if (!isfinite(d[i])) return false;
    return true;
}
