#include "models/residual_block.h"

static fi_param *layer(fi_params *params, const char *name, const char *part, size_t d_in, size_t d_out,
                       fi_param **bias)
{
    *bias = fi_params_add(params, FI_ROLE_OTHER, 1, (size_t[]){d_out}, "%s.%s_layer.bias", name, part);
    return fi_params_add(params, FI_ROLE_MATRIX, 2, (size_t[]){d_out, d_in}, "%s.%s_layer.weight", name, part);
}

fi_residual_block fi_residual_block_declare(fi_params *params, const char *name, size_t d_in, size_t d_hidden,
                                            size_t d_out)
{
    fi_residual_block b;
    b.hidden = layer(params, name, "hidden", d_in, d_hidden, &b.hidden_bias);
    b.output = layer(params, name, "output", d_hidden, d_out, &b.output_bias);
    b.residual = layer(params, name, "residual", d_in, d_out, &b.residual_bias);
    return b;
}

fi_node *fi_residual_block_apply(fi_graph *g, const fi_residual_block *block, fi_node *x, fi_activation activation)
{
    fi_node *straight =
        fi_linear(g, x, fi_parameter(g, block->residual), fi_parameter(g, block->residual_bias), FI_LINEAR, NULL);
    fi_node *hidden =
        fi_linear(g, x, fi_parameter(g, block->hidden), fi_parameter(g, block->hidden_bias), activation, NULL);
    return fi_linear(g, hidden, fi_parameter(g, block->output), fi_parameter(g, block->output_bias), FI_LINEAR,
                     straight);
}
