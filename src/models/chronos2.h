/*
 * The network of Chronos-2: an encoder over patches of time whose layers attend along time, then across the rows of a
 * group, then pass through a feed-forward block. Ansari et al. 2025, arXiv 2510.15821.
 *
 *     tokens = context patches, REG, future patches           position: 0, 1, .. over all of them
 *     x += o(attend(rope(q n), rope(k n), v n))               n = norm(x); softmax(q.k), not scaled; observed patches
 *     x += o(attend(q n, k n, v n))  across rows              a position at a time; rows of one group
 *     x += wo(act(wi n))
 *     quantiles = block(norm(x) of the future patches)
 *
 * No layer has the width of another by assumption: heads and feed-forward widths are given for each.
 */
#ifndef FI_MODELS_CHRONOS2_H
#define FI_MODELS_CHRONOS2_H

#include "models/residual_block.h"

typedef struct fi_chronos2_widths {
    size_t time_heads, group_heads, d_ff;
    bool exit; /* behind this layer, which is not the last, is an exit with norm and output block of its own */
} fi_chronos2_widths;

typedef struct fi_chronos2_config {
    size_t d_model, d_kv, n_layers;
    size_t d_patch; /* hidden width of the blocks that patches go in and out by */
    size_t patch;   /* values of a patch */
    size_t n_levels;
    float eps, rope_theta;
    fi_activation activation;
} fi_chronos2_config;

typedef struct fi_chronos2_attention {
    size_t heads;
    fi_param *norm, *q, *k, *v, *o;
} fi_chronos2_attention;

typedef struct fi_chronos2_layer {
    fi_chronos2_attention time, group;
    fi_param *norm, *wi, *wo;
    fi_param *exit_norm; /* what leaves behind this layer; NULL: no exit; of the last one the network's own */
    fi_residual_block exit;
} fi_chronos2_layer;

typedef struct fi_chronos2 {
    fi_chronos2_config config;
    fi_params params;
    fi_param *shared; /* [2, d_model]: padding (unused), REG */
    fi_residual_block in, out;
    fi_chronos2_layer *layers; /* [n_layers] */
    fi_param *final_norm;
} fi_chronos2;

/*
 * Declares the parameters under the names of the published files. widths [n_layers]. The caller fills net->params
 * (fi_params_load, fi_params_train). FTL_ENOMEM, and then net needs no release.
 */
ftl_status fi_chronos2_init(fi_chronos2 *net, const fi_chronos2_config *config, const fi_chronos2_widths *widths,
                            ftl_error *err);
void fi_chronos2_release(fi_chronos2 *net);

/* A recorded pass. The caller sets the first part and fills the inputs before each run. */
typedef struct fi_chronos2_pass {
    size_t rows, patches, ahead; /* ahead: future patches */
    const int32_t
        *groups;     /* [rows] equal ids are neighbours, read at run time; NULL: every row is alone, and what would
                              be an average of one value is left out */
    size_t depth;    /* layers up to the exit that quantiles are taken from; 0: all */
    bool all_states; /* states of all tokens and no quantiles; else what only those would need is left out */

    fi_node *x;    /* input [rows, patches + ahead, 3 patch]: time codes, values, mask */
    fi_node *seen; /* input [rows, patches + 1 + ahead]: 1 where the token has something observed; REG and future: 1 */
    fi_node *states;    /* all_states: [rows, patches + 1 + ahead, d_model], kept */
    fi_node *quantiles; /* else: [rows, ahead, n_levels patch], kept */
    size_t first_ahead; /* position of the first future patch */
} fi_chronos2_pass;

/* Appends the pass to a graph, which reports failures at fi_plan. `pass` must stay where it is as long as the graph. */
void fi_chronos2_record(fi_graph *g, const fi_chronos2 *net, fi_chronos2_pass *pass);

#endif
