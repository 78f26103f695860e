#include "math/linalg.h"

#include <math.h>

double fi_dot(const double *a, const double *b, size_t n)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0; /* four chains: the order of the sum is fixed, and the adds overlap */
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
        s2 += a[i + 2] * b[i + 2];
        s3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

size_t fi_cholesky_rows(double *A, size_t from, size_t n, size_t ld, double floor_ratio)
{
    size_t dropped = 0;
    for (size_t j = from; j < n; j++) {
        double *row = A + j * ld, diagonal = row[j];
        for (size_t k = 0; k < j; k++) row[k] = (row[k] - fi_dot(row, A + k * ld, k)) / A[k * ld + k];
        double pivot = diagonal - fi_dot(row, row, j), least = floor_ratio * fabs(diagonal);
        if (!(pivot > least)) { /* dependent to rounding: an infinite pivot leaves this coordinate at 0 */
            pivot = 1e100 * fmax(fabs(diagonal), 1.0);
            dropped++;
        }
        row[j] = sqrt(pivot);
    }
    return dropped;
}

size_t fi_cholesky(double *A, size_t n, size_t ld, double floor_ratio)
{
    return fi_cholesky_rows(A, 0, n, ld, floor_ratio);
}

void fi_solve_lower(const double *L, size_t n, size_t ld, double *x)
{
    for (size_t i = 0; i < n; i++) x[i] = (x[i] - fi_dot(L + i * ld, x, i)) / L[i * ld + i];
}

void fi_solve_lower_transposed(const double *L, size_t n, size_t ld, double *x)
{
    for (size_t i = n; i-- > 0;) {
        double value = x[i] /= L[i * ld + i];
        const double *row = L + i * ld;
        for (size_t k = 0; k < i; k++) x[k] -= row[k] * value;
    }
}

static double normalise(double *x, size_t n)
{
    double norm = sqrt(fi_dot(x, x, n));
    for (size_t i = 0; i < n && norm > 0; i++) x[i] /= norm;
    return norm;
}

double fi_cholesky_condition(const double *L, size_t n, size_t ld, double *work)
{
    double *x = work, *y = work + n, largest = 0, smallest_inverse = 0;
    if (n == 0) return 1.0;
    for (size_t i = 0; i < n; i++) x[i] = 1.0 + 0.1 * (double)(i % 7);
    normalise(x, n);
    for (int step = 0; step < 6; step++) { /* power iteration on L L' */
        for (size_t k = 0; k < n; k++) y[k] = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k <= i; k++) y[k] += L[i * ld + k] * x[i];
        for (size_t i = 0; i < n; i++) x[i] = fi_dot(L + i * ld, y, i + 1);
        largest = normalise(x, n);
    }
    for (size_t i = 0; i < n; i++) x[i] = (i % 2 ? -1.0 : 1.0) * (1.0 + 0.1 * (double)(i % 5));
    normalise(x, n);
    for (int step = 0; step < 6; step++) { /* and on its inverse */
        fi_solve_lower(L, n, ld, x);
        fi_solve_lower_transposed(L, n, ld, x);
        smallest_inverse = normalise(x, n);
    }
    return largest * smallest_inverse;
}

void fi_qr(double *A, size_t m, size_t n, size_t ld, double *tau)
{
    for (size_t j = 0; j < n; j++) {
        double *v = A + j * ld + j;
        size_t length = m - j;
        double scale = 0;
        for (size_t i = 0; i < length; i++) scale = fmax(scale, fabs(v[i]));
        tau[j] = 0;
        if (scale == 0 || length < 2) continue;
        double tail = 0;
        for (size_t i = 1; i < length; i++) tail += (v[i] / scale) * (v[i] / scale);
        if (tail == 0) continue;
        double head = v[0] / scale, norm = sqrt(head * head + tail), beta = head > 0 ? -norm : norm;
        tau[j] = (beta - head) / beta;
        double inverse = 1.0 / ((head - beta) * scale);
        for (size_t i = 1; i < length; i++) v[i] *= inverse;
        v[0] = beta * scale;
        for (size_t k = j + 1; k < n; k++) {
            double *c = A + k * ld + j, f = tau[j] * (c[0] + fi_dot(v + 1, c + 1, length - 1));
            c[0] -= f;
            for (size_t i = 1; i < length; i++) c[i] -= f * v[i];
        }
    }
}

void fi_qr_apply(const double *A, size_t m, size_t n, size_t ld, const double *tau, int transposed, double *x)
{
    for (size_t step = 0; step < n; step++) {
        size_t j = transposed ? step : n - 1 - step;
        const double *v = A + j * ld + j;
        double *c = x + j, f = tau[j] * (c[0] + fi_dot(v + 1, c + 1, m - j - 1));
        c[0] -= f;
        for (size_t i = 1; i < m - j; i++) c[i] -= f * v[i];
    }
}
