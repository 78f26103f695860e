/*
 * Kernels over arrays [rows, c] channel by channel: what batch and group norm are made of, an activation behind them
 * included. Each channel is summed over the rows in an order that follows from their number.
 */
#ifndef FI_TENSOR_CHANNEL_KERNELS_H
#define FI_TENSOR_CHANNEL_KERNELS_H

#include "tensor/gemm.h" /* fi_activation */

typedef struct fi_channel_kernels {
    const char *name;
    /* mean [c], and m2 [c]: the sum of squared distances from it. rows > 0 */
    void (*moments)(const float *x, size_t rows, size_t c, float *mean, float *m2);
    /* y = act(z), z = (x - mean) scale + shift */
    void (*apply)(fi_activation act, const float *x, const float *mean, const float *scale, const float *shift,
                  float *y, size_t rows, size_t c);
    /* g <- g act'(z) = dz in place (not for FI_LINEAR); sum [c] of dz, and along [c] of dz (x - mean) */
    void (*back_sums)(fi_activation act, const float *x, float *g, const float *mean, const float *scale,
                      const float *shift, float *sum, float *along, size_t rows, size_t c);
    /* dx = (add: dx +) dz scale + (x - mean) slope + level */
    void (*back_apply)(const float *x, const float *dz, const float *mean, const float *scale, const float *slope,
                       const float *level, float *dx, size_t rows, size_t c, bool add);
} fi_channel_kernels;

/* The fastest set that this processor runs. */
const fi_channel_kernels *fi_channel_kernels_best(void);
/* All sets that this processor runs, the baseline first, ended by NULL; for tests and benchmarks. */
const fi_channel_kernels *const *fi_channel_kernels_all(void);

extern const fi_channel_kernels fi_channel_kernels_base;
#if defined(__x86_64__)
extern const fi_channel_kernels fi_channel_kernels_avx2, fi_channel_kernels_avx512;
#endif

#endif
