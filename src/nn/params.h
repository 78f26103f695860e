/* The parameters of a network: named arrays in one block, so that an optimiser and a sum over nodes are one loop. */
#ifndef FI_NN_PARAMS_H
#define FI_NN_PARAMS_H

#include "tensor/graph.h"
#include "tensor/weights.h"

typedef struct fi_params {
    fi_param **item; /* [n] stable addresses, in order of declaration */
    size_t n, capacity;
    void *block;           /* values and packings of a network in inference */
    float *values, *grads; /* the blocks of one in training */
    size_t size;           /* numbers in all */
    size_t bytes;          /* memory of values and packings */
    bool failed;           /* a declaration ran out of memory */
} fi_params;

/* How a parameter is used, which decides how it is kept. */
typedef enum fi_role {
    FI_ROLE_MATRIX, /* only as W of fi_linear: inference keeps it packed, in the precision asked for */
    FI_ROLE_TABLE,  /* rows are looked up: float */
    FI_ROLE_BOTH,   /* looked up and used as W of fi_linear (tied embeddings): float and packed */
    FI_ROLE_FILTER, /* of a convolution, [out, kernel.., in]; PyTorch's files have [out, in, kernel..] (transposed: in, out) */
    FI_ROLE_TURNED, /* as MATRIX, [out, in]; but the file has [in, out] (Conv1D of GPT-2) */
    FI_ROLE_OTHER   /* norms, biases, bias tables: float */
} fi_role;

/*
 * Declares a parameter named by the format; NULL (and failed) without memory. Shape as in the file, but of filters and
 * turned ones.
 */
fi_param *fi_params_add(fi_params *params, fi_role role, int n_dims, const size_t *shape, const char *format, ...)
    FTL_PRINTF(5, 6);

/* A matrix [heads r, c] that fi_linear_heads() alone uses, so that inference packs it head by head. NULL is fine. */
void fi_params_by_heads(fi_param *param, size_t heads, bool back);

/*
 * Fills all from a weight file for inference, packing matrices as `precision` (FI_F32, FI_BF16, FI_I8).
 * @return FTL_OK; FTL_EDATA (a tensor is missing or has another shape: file, name and both shapes are told; NaN or
 *         infinite weights); FTL_ENOMEM
 */
ftl_status fi_params_load(fi_params *params, fi_engine *engine, const fi_weights *weights, fi_dtype precision,
                          ftl_error *err);
/* Values and gradients in two blocks for training, zero; then the caller initialises or loads them. */
ftl_status fi_params_train(fi_params *params, ftl_error *err);
/* Copies from a weight file into the values of a network in training. Errors as fi_params_load. */
ftl_status fi_params_read(fi_params *params, const fi_weights *weights, ftl_error *err);
void fi_params_release(fi_params *params);

#endif
