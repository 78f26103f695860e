/*
 * Kernels of convolutions: products whose A is an image, read where it lies. One source (conv_kernels_impl.h) is compiled for
 * the baseline, AVX2 and AVX-512, and the processor chooses at run time.
 */
#ifndef FI_TENSOR_CONV_KERNELS_H
#define FI_TENSOR_CONV_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fi_conv_kernels {
    const char *name;
    size_t panel; /* output channels that are computed together */
    /*
     * y[p][j] = (init ? init[j] : y[p][j]) + sum over k < len of x[p * x_step + k] w[k * panel + j]
     * for p < n_pixels, j < cols <= panel; y[p] is at y + p * y_step.
     */
    void (*strip)(size_t len, const float *x, size_t x_step, const float *w, float *y, size_t y_step, size_t n_pixels,
                  size_t cols, const float *init);
    /*
     * d[i * ld + j] += sum over the pixels (r, p) of a rectangle, r < n_rows, p < n_pixels, in this order, of
     * g[r * g_row + p * g_step + i] x[r * x_row + p * x_step + j], for i < m, j < n.
     */
    void (*outer)(size_t n_rows, size_t n_pixels, const float *g, size_t g_row, size_t g_step, const float *x,
                  size_t x_row, size_t x_step, float *d, size_t ld, size_t m, size_t n);
} fi_conv_kernels;

/* The fastest set that this processor runs. */
const fi_conv_kernels *fi_conv_kernels_best(void);
/* All sets that this processor runs, the baseline first, ended by NULL; for tests and benchmarks. */
const fi_conv_kernels *const *fi_conv_kernels_all(void);

extern const fi_conv_kernels fi_conv_kernels_base;
#if defined(__x86_64__)
extern const fi_conv_kernels fi_conv_kernels_avx2, fi_conv_kernels_avx512;
#endif

#endif
