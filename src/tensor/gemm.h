/*
 * Matrix products: C = act(A B + bias) + residual. One micro-kernel per type and instruction set; B packed once (weights)
 * or on the fly (everything in training). Every element of C is summed over k in one fixed order that depends neither
 * on m nor on the place of the row nor on the threads: results do not depend on batch mates.
 *
 * Source of the scheme: Goto & van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34 (2008).
 */
#ifndef FI_TENSOR_GEMM_H
#define FI_TENSOR_GEMM_H

#include "tensor/engine.h"

typedef enum fi_activation { FI_LINEAR, FI_RELU, FI_GELU, FI_GELU_TANH, FI_SILU, FI_TANH, FI_SIGMOID } fi_activation;

/* The matrix B [k, n] of x B, in panels as the kernels want it. Immutable. */
typedef struct fi_packed {
    fi_dtype type; /* FI_F32, FI_BF16, FI_I8 (one scale per output channel n; rows of A are quantised as they come) */
    size_t k, n;
    void *panels;
    float *scale;                     /* [n], FI_I8 only */
    int32_t *col_sum;                 /* [n], FI_I8 only: what the offset of unsigned activations adds */
    struct fi_onednn_weights *onednn; /* the same once more, as oneDNN wants it, or NULL */
    size_t bytes;                     /* of all that; all but oneDNN's lies in one block at `panels` */
    bool borrowed;                    /* the block is not its own */
} fi_packed;

/*
 * Packs B from float. transposed: b is [n, k] with rows ldb apart, as Linear weights are stored; else [k, n].
 * @return FTL_OK, FTL_ENOMEM
 */
ftl_status fi_pack(const fi_engine *engine, fi_dtype type, size_t k, size_t n, const float *b, size_t ldb,
                   bool transposed, fi_packed **out, ftl_error *err);
/*
 * The same in parts, for what is read in parts: first the room, in `memory` of fi_packed_bytes() that is 64-byte aligned
 * and outlives it, or (NULL) in its own; then, in any order and by many threads, all rows of b, which is [n, k]: n of them
 * from number `first` on, a multiple of FI_PANEL (tensor/kernels.h), as n is but for the last ones. Then it is finished.
 */
size_t fi_packed_bytes(fi_dtype type, size_t k, size_t n);
ftl_status fi_packed_new(fi_dtype type, size_t k, size_t n, void *memory, fi_packed **out, ftl_error *err);
void fi_pack_rows(const fi_engine *engine, fi_packed *packed, size_t first, size_t n, const float *b, size_t ldb);
ftl_status fi_packed_finish(const fi_engine *engine, fi_packed *packed, ftl_error *err);
/* As fi_pack, into the same memory again (the same k, n and type): weights that an optimiser has moved. */
void fi_repack(fi_engine *engine, fi_packed *packed, const float *b, size_t ldb, bool transposed);
/* B back as float, [k, n] (of rounded weights: the rounded values). */
void fi_unpack(const fi_packed *packed, float *b);
void fi_packed_free(fi_packed *packed);

typedef struct fi_product {
    size_t m, n, k;
    const float *a; /* [m, k], rows lda apart; a_transposed: [k, m] */
    size_t lda;
    bool a_transposed;
    const fi_packed *packed; /* B; or NULL and then */
    const float *b;          /* [k, n], rows ldb apart; b_transposed: [n, k] */
    size_t ldb;
    bool b_transposed;
    fi_dtype type; /* arithmetic where B is not packed: FI_F32, or FI_BF16 with float sums */
    float *c;      /* [m, n], rows ldc apart; may be `residual`, never a or b */
    size_t ldc;
    bool accumulate;   /* C += A B instead of C = A B (bias, activation and residual are not allowed then) */
    const float *bias; /* [n] or NULL */
    fi_activation activation;
    const float *residual; /* [m, n] added after the activation, or NULL */
    size_t ld_residual;
} fi_product;

enum { FI_PANEL_COLUMNS = 32 }; /* of a packed matrix, which lie together */

/* Zero m or n does nothing; zero k means a sum of nothing. */
void fi_multiply(fi_engine *engine, const fi_product *product);
/*
 * Many small ones of equal shape, spread over the threads: product i has a + i * stride_a and so on. Of a packed B it has
 * the n columns from i * stride_b on, which is then a multiple of FI_PANEL_COLUMNS.
 */
void fi_multiply_batch(fi_engine *engine, const fi_product *first, size_t count, size_t stride_a, size_t stride_b,
                       size_t stride_c);

#endif
