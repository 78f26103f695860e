/*
 * The operations, each with forward and backward. Shapes in brackets; [.., d] is any number of leading dimensions
 * (rows). Images and sequences keep channels last: [n, height, width, channels], [n, length, channels].
 * A new operation is one fi_op, its building call here, and its row in the gradient test.
 */
#ifndef FI_TENSOR_OPS_H
#define FI_TENSOR_OPS_H

#include "tensor/graph.h"

/* ---- linear.c: products ---- */
/* y [.., out] = act(x [.., in] W^T + bias) + residual; W [out, in]; bias [out] or NULL; residual [.., out] or NULL. */
fi_node *fi_linear(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias, fi_activation act, fi_node *residual);
/*
 * Each head of x by its rows of W [heads r, c]: x [.., heads c] -> y [.., heads r], y_h = W_h x_h. back: by their transpose,
 * x [.., heads r] -> [.., heads c]. W is packed by fi_params_by_heads() or not at all.
 */
fi_node *fi_linear_heads(fi_graph *g, fi_node *x, fi_node *w, size_t heads, bool back);
/* y [b, m, n] = scale * A B per batch; a [b, m, k] ([b, k, m] if ta), b [b, k, n] ([b, n, k] if tb). */
fi_node *fi_matmul(fi_graph *g, fi_node *a, bool ta, fi_node *b, bool tb, float scale);

/* ---- pointwise.c ---- */
fi_node *fi_add(fi_graph *g, fi_node *a, fi_node *b); /* equal shapes, or b's shape is the tail of a's (broadcast) */
fi_node *fi_sub(fi_graph *g, fi_node *a, fi_node *b);
fi_node *fi_mul(fi_graph *g, fi_node *a, fi_node *b); /* gating; broadcast as fi_add */
fi_node *fi_affine(fi_graph *g, fi_node *x, float scale, float shift);
fi_node *fi_scale_grad(fi_graph *g, fi_node *x, float factor); /* x itself, whose gradient is scaled */
fi_node *fi_activate(fi_graph *g, fi_node *x, fi_activation act);
fi_node *fi_glu(fi_graph *g, fi_node *x, fi_activation act,
                fi_activation gate);                   /* [.., 2d] -> act(first d) * gate(last d) */
fi_node *fi_dropout(fi_graph *g, fi_node *x, float p); /* x itself outside training; masks from (seed, step, node) */
fi_node *fi_film(fi_graph *g, fi_node *x, fi_node *scale,
                 fi_node *shift); /* x [n, .., c], scale and shift [n or 1, c] or NULL */

/* ---- shape.c ---- */
fi_node *fi_reshape(fi_graph *g, fi_node *x, int n_dims, const size_t *shape); /* a view */
fi_node *fi_rows(fi_graph *g, fi_node *x, size_t from, size_t n); /* x[from .. from+n) of dimension 0: a view */
fi_node *fi_slice(fi_graph *g, fi_node *x, int dim, size_t from, size_t n); /* a copy */
fi_node *fi_concat(fi_graph *g, fi_node *const *parts, int n_parts, int dim);
fi_node *fi_transpose(fi_graph *g, fi_node *x, int dim_a, int dim_b); /* a copy */
fi_node *fi_repeat(fi_graph *g, fi_node *x, size_t times); /* each x[i] of dimension 0 `times` times in a row */
fi_node *fi_embedding(fi_graph *g, fi_node *table,
                      fi_node *ids); /* [vocab, d], ids [..] -> [.., d]; ids outside: row 0 */
/* Writes x [b, n, d] into cache [b, capacity, d] at rows *at .. *at + n of each batch, read at run time; no gradient. */
fi_node *fi_store(fi_graph *g, fi_node *x, fi_node *cache, const size_t *at);

/* ---- norm.c: over the last dimension unless said; weight [d], bias [d] or NULL ---- */
fi_node *fi_rms_norm(fi_graph *g, fi_node *x, fi_node *weight, float eps);
fi_node *fi_layer_norm(fi_graph *g, fi_node *x, fi_node *weight, fi_node *bias, float eps);
/* norm_channel.c: x [n, .., c]; the activation comes after weight and bias, in the same passes over memory. */
fi_node *fi_group_norm(fi_graph *g, fi_node *x, size_t groups, fi_node *weight, fi_node *bias, float eps,
                       fi_activation act);
/* Training: the batch's mean and biased variance, and moves the running ones (unbiased variance); else the running ones. */
fi_node *fi_batch_norm(fi_graph *g, fi_node *x, fi_node *weight, fi_node *bias, float *running_mean, float *running_var,
                       float momentum, float eps, fi_activation act);
/* Batch norm by running statistics put into the convolution before it: w [o, per], bias [o]. */
void fi_batch_norm_fold(size_t o, size_t per, float *w, float *bias, const float *weight, const float *norm_bias,
                        const float *running_mean, const float *running_var, float eps);

/* ---- attention.c ---- */
fi_node *fi_softmax(fi_graph *g, fi_node *x,
                    fi_node *key_mask); /* rows; mask as below with [b, n_k] for x [b, .., n_k], or NULL */
typedef struct fi_attention {
    size_t heads;
    float scale; /* of q.k: 1 in T5 and Chronos-2, 1/sqrt(d) elsewhere */
    bool causal; /* key position <= query position */
    /*
     * Cached decoding: *first is the position of the first query, and keys beyond *n_keys are not there. NULL: 0, n_k.
     */
    const size_t *first, *n_keys;
    /*
     * Attention along the first dimension instead of the second: q, k, v are [n, positions, h d], every position is a
     * batch of its own, and row i sees row j where groups[i] == groups[j] (equal ids are neighbours); Chronos-2.
     */
    const int32_t *groups; /* [n] or NULL; the caller's memory, read at run time */
    float dropout;         /* of the weights behind the softmax, in training; masks from (seed, step, node) */
} fi_attention;
/*
 * softmax(scale q k^T + bias + mask) v per head, fused: scores of a block of queries at a time, nothing of [n_q, n_k] is kept;
 * backward computes them again from the saved log sums. A query that sees no key gets the mean of all its values (as in
 * PyTorch's finite mask; with groups, of the values of its group). Keys that are not seen cost nothing and change no bit.
 *   q [b, n_q, h d], k [b, n_k, h d], v [b, n_k, h dv] -> [b, n_q, h dv]
 *   key_mask [b, n_k] 1 seen, 0 not, or NULL (with groups: [n, positions])
 *   rel_bias [h, n_q + n_k - 1] added to head h where key - query = r at index r + n_q - 1, or NULL. With `first`: the
 *     last dimension is 2 cap - 1 with cap = k's capacity and the index r + cap - 1.
 */
fi_node *fi_attend(fi_graph *g, fi_node *q, fi_node *k, fi_node *v, fi_node *key_mask, fi_node *rel_bias,
                   const fi_attention *settings);
/*
 * attention_shared.c: one new token of each of many paths. Queries q [b p, 1, h d] see the keys k [b, n, h d] of their series
 * (key_mask [b, n] or NULL) and the first *n_own >= 1, read at run time, of their own in own_k [b p, capacity, h d]; one softmax
 * over both. No gradient.
 */
fi_node *fi_attend_shared(fi_graph *g, fi_node *q, fi_node *k, fi_node *v, fi_node *key_mask, fi_node *own_k,
                          fi_node *own_v, size_t heads, float scale, const size_t *n_own);
/* T5's relative position bias from its table [buckets, heads]: [heads, n_q + n_k - 1] as above (Raffel et al. 2020, 2.1). */
fi_node *fi_relative_bias(fi_graph *g, fi_node *table, size_t n_q, size_t n_k, bool bidirectional, size_t max_distance);
/* Rotary positions, half-split: x [b, n, h d], positions *first + 0 .. n-1 (first NULL: 0). Su et al. 2021. */
fi_node *fi_rope(fi_graph *g, fi_node *x, size_t heads, float theta, const size_t *first);

/* ---- conv.c, pooling.c: channels last, weights [out, kh, kw, in] (1-D: [out, k, in]), bias [out] or NULL ---- */
fi_node *fi_conv2d(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias, size_t stride, size_t padding);
fi_node *fi_conv1d(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias, size_t dilation, size_t pad_left,
                   size_t pad_right);
/* kernel = stride = k: x [n, h, w, c] -> [n, k h, k w, out]; w [in, k, k, out]. */
fi_node *fi_conv_transpose2d(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias);
fi_node *fi_max_pool2d(fi_graph *g, fi_node *x, size_t kernel); /* stride = kernel; the first of equals */
fi_node *fi_avg_pool2d(fi_graph *g, fi_node *x, size_t kernel);

/*
 * ---- loss.c: one number; weights [rows] or NULL, 0 leaves a row out whatever it holds ----
 * Nothing flows back to targets, labels, weights and masks. Where no row counts, loss and gradient are 0. Rows are summed
 * in double. A label beyond the last column counts as the last.
 */
/* Mean over weighted rows of -log softmax(logits [rows, n])[label]; label < 0 leaves the row out. */
fi_node *fi_cross_entropy(fi_graph *g, fi_node *logits, fi_node *labels, fi_node *weights);
/* Mean over rows of -sum p log softmax(logits / temperature), p = soft [rows, n] probabilities. */
fi_node *fi_soft_cross_entropy(fi_graph *g, fi_node *logits, fi_node *soft, fi_node *weights, float temperature);
fi_node *fi_mse(fi_graph *g, fi_node *y, fi_node *target,
                fi_node *weights); /* mean over all elements of weighted rows */
/*
 * Pinball: sum over quantiles, mean over steps, mean over rows of 2 |(y - q)(1[y <= q] - level)|; q [rows, levels, steps],
 * target and mask [rows, steps] (NULL: all; a masked step costs nothing but counts in the mean). mean_over_levels: mean over
 * levels and sum over steps instead (Bolt's code).
 */
fi_node *fi_quantile_loss(fi_graph *g, fi_node *q, fi_node *target, fi_node *mask, const float *levels, size_t n_levels,
                          bool mean_over_levels);
/* Cumulative-distribution loss over ordered bins: mean over rows of sum_j (F_j - 1[label <= j])^2, F = cumsum softmax. */
fi_node *fi_cdf_loss(fi_graph *g, fi_node *logits, fi_node *labels, fi_node *weights);

#endif
