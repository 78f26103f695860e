/*
 * The few long loops of least squares, vectorised. Matrices are column-major: column j is X + j * ld, n rows long.
 * One source (kernels_impl.h) is compiled for the baseline, AVX2 and AVX-512, and the processor chooses at run time;
 * results differ between processors by rounding only, and on one processor never.
 */
#ifndef FI_MATH_KERNELS_H
#define FI_MATH_KERNELS_H

#include <stddef.h>

typedef struct fi_kernels {
    const char *name;
    /* G [k, ldg] row-major, both triangles: G_ij = sum over rows of X_i X_j. */
    void (*gram)(const double *X, size_t ld, size_t n, size_t k, double *G, size_t ldg);
    /* out[j] = sum over rows of X_j w, j < k. */
    void (*dots)(const double *X, size_t ld, size_t n, size_t k, const double *w, double *out);
    /* y <- y + sum_j coef[j] X_j. */
    void (*combine)(const double *X, size_t ld, size_t n, size_t k, const double *coef, double *y);
    /* X [n, m] row-major <- L^-1 X, L [n, ldl] lower triangular; m a multiple of FI_KERNEL_PAD. */
    void (*solve_rows)(const double *L, size_t n, size_t ldl, double *X, size_t m);
    /* C [n, m] <- C - W'W for W [r, m] row-major, C symmetric in its first n columns; m >= n as above. */
    void (*schur)(double *C, size_t n, const double *W, size_t r, size_t m);
} fi_kernels;

enum { FI_KERNEL_PAD = 8 };

/* The fastest set this processor runs. */
const fi_kernels *fi_kernels_best(void);
/* All sets this processor runs, the baseline first, ended by NULL; for tests and benchmarks. */
const fi_kernels *const *fi_kernels_all(void);

extern const fi_kernels fi_kernels_base;
#if defined(__x86_64__)
extern const fi_kernels fi_kernels_avx2, fi_kernels_avx512;
#endif

#endif
