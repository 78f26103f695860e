/* Sums over short vectors, inlined into the loops that live on them. */
#ifndef FI_MATH_VECTOR_H
#define FI_MATH_VECTOR_H

#include <stddef.h>

/* sum x[i] y[i] in four interleaved sums: an order fixed on every machine that vector units can follow. */
static inline double fi_dot(const double *x, const double *y, size_t n)
{
    double a = 0, b = 0, c = 0, d = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        a += x[i] * y[i];
        b += x[i + 1] * y[i + 1];
        c += x[i + 2] * y[i + 2];
        d += x[i + 3] * y[i + 3];
    }
    for (; i < n; i++) a += x[i] * y[i];
    return (a + b) + (c + d);
}

/* y += factor x */
static inline void fi_add_scaled(double *y, double factor, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += factor * x[i];
}

#endif
