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
    /* Queries from .. to of a head; scratch of FI_SCRATCH_BYTES. */
    void (*attend)(const fi_head *head, size_t from, size_t to, float *scratch);
    void (*attend_back)(const fi_head *head, float *scratch);
    size_t queries; /* that attend takes together: from is to be a multiple */
} fi_vectors;

/* The fastest set that this processor runs. */
const fi_vectors *fi_vectors_best(void);
/* All sets that this processor runs, the baseline first, ended by NULL; for tests and benchmarks. */
const fi_vectors *const *fi_vectors_all(void);

extern const fi_vectors fi_vectors_base;
#if defined(__x86_64__)
extern const fi_vectors fi_vectors_avx2, fi_vectors_avx512;
#endif

#endif
