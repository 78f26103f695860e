#include "math/fft.h"

#include <math.h>

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Cooley & Tukey 1965: order by reversed bits, then butterflies of spans 2, 4 ... n. */
void fi_fft(double *re, double *im, size_t n)
{
    for (size_t i = 1, j = 0; i < n; i++) {
        size_t bit = n >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i >= j) continue;
        swap(&re[i], &re[j]);
        swap(&im[i], &im[j]);
    }
    for (size_t span = 2; span <= n; span *= 2)
        for (size_t k = 0; k < span / 2; k++) {
            double angle = -6.283185307179586 * (double)k / (double)span, c = cos(angle), s = sin(angle);
            for (size_t a = k; a < n; a += span) {
                size_t b = a + span / 2;
                double x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
                re[b] = re[a] - x;
                im[b] = im[a] - y;
                re[a] += x;
                im[a] += y;
            }
        }
}
