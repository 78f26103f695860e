/* Two layers beside a straight one: W_o act(W_h x + b_h) + b_o + W_r x + b_r. Patches go in and out of Chronos by it. */
#ifndef FI_MODELS_RESIDUAL_BLOCK_H
#define FI_MODELS_RESIDUAL_BLOCK_H

#include "nn/params.h"
#include "tensor/ops.h"

typedef struct fi_residual_block {
    fi_param *hidden, *hidden_bias, *output, *output_bias, *residual, *residual_bias;
} fi_residual_block;

/* Declares NAME.{hidden,output,residual}_layer.{weight,bias}. Failures stick to params. */
fi_residual_block fi_residual_block_declare(fi_params *params, const char *name, size_t d_in, size_t d_hidden,
                                            size_t d_out);
/* x [.., d_in] -> [.., d_out] */
fi_node *fi_residual_block_apply(fi_graph *g, const fi_residual_block *block, fi_node *x, fi_activation activation);

#endif
