/*
 * Kernels over rows of floats: what the operations beside products are made of. One source (rows_impl.h), compiled once per
 * instruction set and chosen by the processor. Numbers are computed alike wherever in a row they stand, and
 * sums over a row have one fixed order.
 */
#ifndef FI_TENSOR_ROWS_H
#define FI_TENSOR_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which elements dropout keeps: element i by 16 random bits of (seed, step, stream, i), the same on every processor. */
typedef struct fi_dropout_mask {
    uint64_t seed, step;
    uint32_t stream, threshold; /* kept where the bits are >= threshold, of 65536 */
    float scale;
} fi_dropout_mask;

/* `add`: y += result, else y = result. y may be one of the inputs. */
typedef struct fi_row_kernels {
    const char *name;
    void (*affine)(float *y, const float *x, float scale, float shift, size_t n, bool add); /* scale x + shift */
    void (*sum)(float *y, const float *a, const float *b, size_t n);                        /* a + b */
    void (*product)(float *y, const float *a, const float *b, size_t n, bool add);
    /* Elements first .. first + n of an array; first is a multiple of 128. */
    void (*dropout)(float *y, const float *x, const fi_dropout_mask *mask, size_t first, size_t n, bool add);

    /* out [d] (+)= sum over rows, ld apart, of a b (b NULL: of a) */
    void (*column_sum)(float *out, const float *a, const float *b, size_t rows, size_t d, size_t ld, bool add);
    float (*total)(const float *x, size_t n);
    float (*dot)(const float *a, const float *b, size_t n);
    float (*squared_distance)(const float *a, const float *b, size_t n);

    /* Rows of d. saved [rows] 1/rms, or NULL. */
    void (*rms_norm)(float *y, float *saved, const float *x, const float *weight, float eps, size_t rows, size_t d);
    /* dx, dweight: NULL where not wanted; dweight [d] is added to, dx by `add`. */
    void (*rms_norm_back)(float *dx, float *dweight, const float *x, const float *weight, const float *saved,
                          const float *dy, size_t rows, size_t d, bool add);
    /* saved [rows, 2]: mean and 1/deviation, or NULL; bias may be NULL. */
    void (*layer_norm)(float *y, float *saved, const float *x, const float *weight, const float *bias, float eps,
                       size_t rows, size_t d);
    void (*layer_norm_back)(float *dx, float *dweight, float *dbias, const float *x, const float *weight,
                            const float *saved, const float *dy, size_t rows, size_t d, bool add);

    /* y (+)= factor exp(scale x - shift) */
    void (*scaled_exp)(float *y, const float *x, float scale, float shift, float factor, size_t n, bool add);
    /* Sum of mask 2 |(y - q)(1[y <= q] - level)|, mask NULL: ones; and dq (+)= factor times its derivative. */
    float (*pinball)(const float *q, const float *y, const float *mask, float level, size_t n);
    void (*pinball_back)(float *dq, const float *q, const float *y, const float *mask, float level, float factor,
                         size_t n, bool add);
} fi_row_kernels;

/* The fastest set that this processor runs. */
const fi_row_kernels *fi_rows_best(void);
/* All sets that this processor runs, the baseline first, ended by NULL. */
const fi_row_kernels *const *fi_rows_all(void);

extern const fi_row_kernels fi_rows_base;
#if defined(__x86_64__)
extern const fi_row_kernels fi_rows_avx2, fi_rows_avx512;
#endif

#endif
