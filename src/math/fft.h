/* The fast Fourier transform, for lengths that are powers of two. */
#ifndef FI_MATH_FFT_H
#define FI_MATH_FFT_H

#include <stddef.h>

/* In place: X[k] = sum over t of x[t] exp(-2 pi i k t / n); n a power of two, real and imaginary parts [n] apart. */
void fi_fft(double *re, double *im, size_t n);

#endif
