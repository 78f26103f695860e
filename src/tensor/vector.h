/*
 * Functions over arrays of floats: one source (vector_impl.h, on tensor/vmath.h) compiled for the baseline, AVX2 and
 * AVX-512, and the processor chooses at run time. Outputs may be inputs (y == x, dx == dy); pointers need no alignment.
 * Each element depends on its own row only, and a row is summed in an order that follows from its length.
 */
#ifndef FI_TENSOR_VECTOR_H
#define FI_TENSOR_VECTOR_H

#include "tensor/attention.h"
#include "tensor/gemm.h" /* fi_activation */

typedef struct fi_vectors {
    const char *name;
    void (*exp)(const float *x, float *y, size_t n);
    void (*log)(const float *x, float *y, size_t n);
    void (*erf)(const float *x, float *y, size_t n);
    void (*activate)(fi_activation act, const float *x, float *y, size_t n);
    /* dx = (add: dx +) dy f'(x) */
    void (*activate_back)(fi_activation act, const float *x, const float *dy, float *dx, size_t n, bool add);
    /*
     * y = softmax(x) over one row, of the elements whose mask is not 0 (mask NULL: all); 1/n each if no element is seen.
     * Returns log sum exp of the seen ones.
     */
    float (*softmax)(const float *x, const float *mask, float *y, size_t n);
    /* dx = (add: dx +) y (dy - sum y dy), over one row */
    void (*softmax_back)(const float *y, const float *dy, float *dx, size_t n, bool add);
    float (*log_sum_exp)(const float *x, size_t n); /* of one row */
    fi_attention_kernels attention;
} fi_vectors;

/* The fastest set that this processor runs. */
const fi_vectors *fi_vectors_best(void);
/* All sets that this processor runs, the baseline first, ended by NULL; for tests and benchmarks. */
const fi_vectors *const *fi_vectors_all(void);

/*
 * Attention with products of that type: FI_F32, or FI_BF16, which is float too where the processor has nothing faster. All of
 * FI_BF16 that it has, ended by NULL, for tests.
 */
const fi_attention_kernels *fi_attention_best(fi_dtype type);
const fi_attention_kernels *const *fi_attention_all_bf16(void);

extern const fi_vectors fi_vectors_base;
#if defined(__x86_64__)
extern const fi_vectors fi_vectors_avx2, fi_vectors_avx512;
extern const fi_attention_kernels fi_attention_avx512bf16, fi_attention_amx;
#endif

#endif
