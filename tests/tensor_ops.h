/*
 * Every operation of the engine with inputs that exercise it: the table behind the gradient test and the comparison with
 * PyTorch. A new operation is a row here.
 */
#ifndef TESTS_TENSOR_OPS_H
#define TESTS_TENSOR_OPS_H

#include "tensor/ops.h"

/* What an input is filled with. All random numbers come from one seeded stream. */
typedef enum filling {
    SMOOTH,   /* uniform in (-1.5, 1.5); its gradient is wanted */
    APART,    /* as SMOOTH, but at least 0.2 from 0: on one side of a kink */
    STEPS,    /* all different, 0.15 apart, shuffled: none is near a tie */
    FIXED,    /* uniform in (-1.5, 1.5), no gradient */
    POSITIVE, /* uniform in (0.1, 1.1), no gradient: weights */
    SHARES,   /* rows that sum to 1, no gradient */
    BITS,     /* 0 or 1, the first of every row 1 */
    IDS,      /* 0 .. 4 */
    LABELS    /* -1 .. 4 */
} filling;

/* A dimension of this size is the batch: the tests of threads and batch mates make it larger. */
enum { BATCH = 3, MAX_INPUTS = 6 };

typedef struct op_input {
    filling filling;
    int n_dims;
    size_t shape[FI_MAX_DIMS];
} op_input;

typedef enum op_trait {
    ROWS_APART = 1,    /* row i of the output depends on row i of the batch only */
    TRAINING_ONLY = 2, /* inference computes something else */
    RANDOM = 4         /* draws numbers by its place in the graph */
} op_trait;

typedef struct op_case {
    const char *name;
    fi_node *(*build)(fi_graph *g, fi_node *const *in);
    unsigned traits;
    op_input inputs[MAX_INPUTS]; /* ended by n_dims 0 */
} op_case;

#define BUILD(name, call)                                                                                              \
    static fi_node *build_##name(fi_graph *g, fi_node *const *in)                                                      \
    {                                                                                                                  \
        return call;                                                                                                   \
    }

BUILD(linear, fi_linear(g, in[0], in[1], NULL, FI_LINEAR, NULL))
BUILD(linear_bias, fi_linear(g, in[0], in[1], in[2], FI_LINEAR, NULL))
BUILD(linear_relu, fi_linear(g, in[0], in[1], in[2], FI_RELU, NULL))
BUILD(linear_relu_residual, fi_linear(g, in[0], in[1], NULL, FI_RELU, in[2]))
BUILD(linear_residual, fi_linear(g, in[0], in[1], NULL, FI_LINEAR, in[2]))
BUILD(linear_heads, fi_linear_heads(g, in[0], in[1], 3, false))
BUILD(linear_heads_back, fi_linear_heads(g, in[0], in[1], 3, true))
BUILD(matmul, fi_matmul(g, in[0], false, in[1], false, 1))
BUILD(matmul_ta, fi_matmul(g, in[0], true, in[1], false, 0.5f))
BUILD(matmul_tb, fi_matmul(g, in[0], false, in[1], true, 0.5f))
BUILD(matmul_tab, fi_matmul(g, in[0], true, in[1], true, 2))

BUILD(add, fi_add(g, in[0], in[1]))
BUILD(sub, fi_sub(g, in[0], in[1]))
BUILD(mul, fi_mul(g, in[0], in[1]))
BUILD(square, fi_mul(g, in[0], in[0]))
BUILD(affine, fi_affine(g, in[0], -1.75f, 0.5f))
BUILD(relu, fi_activate(g, in[0], FI_RELU))
BUILD(gelu, fi_activate(g, in[0], FI_GELU))
BUILD(gelu_tanh, fi_activate(g, in[0], FI_GELU_TANH))
BUILD(silu, fi_activate(g, in[0], FI_SILU))
BUILD(tanh, fi_activate(g, in[0], FI_TANH))
BUILD(sigmoid, fi_activate(g, in[0], FI_SIGMOID))
BUILD(glu, fi_glu(g, in[0], FI_TANH, FI_SIGMOID))
BUILD(swiglu, fi_glu(g, in[0], FI_LINEAR, FI_SILU))
BUILD(dropout, fi_dropout(g, in[0], 0.3f))
BUILD(film, fi_film(g, in[0], in[1], in[2]))
BUILD(film_scale, fi_film(g, in[0], in[1], NULL))
BUILD(film_shift, fi_film(g, in[0], NULL, in[1]))

BUILD(reshape, fi_affine(g, fi_reshape(g, in[0], 2, (size_t[]){in[0]->shape[0], in[0]->size / in[0]->shape[0]}), 2, 0))
BUILD(rows, fi_affine(g, fi_rows(g, in[0], 1, 2), 2, 0))
BUILD(slice, fi_slice(g, in[0], 1, 1, 2))
BUILD(slice_last, fi_slice(g, in[0], 2, 2, 3))
BUILD(concat, fi_concat(g, in, 3, 1))
BUILD(concat_last, fi_concat(g, in, 2, 2))
BUILD(transpose, fi_transpose(g, in[0], 1, 2))
BUILD(transpose_outer, fi_transpose(g, in[0], 2, 0))
BUILD(repeat, fi_repeat(g, in[0], 4))
BUILD(embedding, fi_embedding(g, in[0], in[1]))

BUILD(rms_norm, fi_rms_norm(g, in[0], in[1], 1e-6f))
BUILD(layer_norm, fi_layer_norm(g, in[0], in[1], in[2], 1e-5f))
BUILD(layer_norm_no_bias, fi_layer_norm(g, in[0], in[1], NULL, 1e-5f))

BUILD(conv2d, fi_conv2d(g, in[0], in[1], in[2], 1, 1))
BUILD(conv2d_stride, fi_conv2d(g, in[0], in[1], NULL, 2, 2))
BUILD(conv1d, fi_conv1d(g, in[0], in[1], in[2], 2, 4, 1))
BUILD(conv_transpose2d, fi_conv_transpose2d(g, in[0], in[1], in[2]))
BUILD(max_pool2d, fi_max_pool2d(g, in[0], 2))
BUILD(avg_pool2d, fi_avg_pool2d(g, in[0], 2))
BUILD(group_norm, fi_group_norm(g, in[0], 3, in[1], in[2], 1e-5f, FI_LINEAR))
BUILD(group_norm_gelu, fi_group_norm(g, in[0], 2, in[1], in[2], 1e-5f, FI_GELU))
static float running_mean[21], running_var[21];
BUILD(batch_norm, fi_batch_norm(g, in[0], in[1], in[2], running_mean, running_var, 0.1f, 1e-5f, FI_LINEAR))
BUILD(batch_norm_gelu, fi_batch_norm(g, in[0], in[1], in[2], running_mean, running_var, 0.1f, 1e-5f, FI_GELU))

BUILD(cross_entropy, fi_cross_entropy(g, in[0], in[1], NULL))
BUILD(cross_entropy_weighted, fi_cross_entropy(g, in[0], in[1], in[2]))
BUILD(soft_cross_entropy, fi_soft_cross_entropy(g, in[0], in[1], NULL, 2.0f))
BUILD(soft_cross_entropy_weighted, fi_soft_cross_entropy(g, in[0], in[1], in[2], 1.0f))
BUILD(mse, fi_mse(g, in[0], in[1], NULL))
BUILD(mse_weighted, fi_mse(g, in[0], in[1], in[2]))
static const float levels[] = {0.1f, 0.4f, 0.7f, 0.95f};
BUILD(quantile_loss, fi_quantile_loss(g, in[0], in[1], NULL, levels, 4, false))
BUILD(quantile_loss_masked, fi_quantile_loss(g, in[0], in[1], in[2], levels, 4, false))
BUILD(quantile_loss_bolt, fi_quantile_loss(g, in[0], in[1], in[2], levels, 4, true))
BUILD(cdf_loss, fi_cdf_loss(g, in[0], in[1], NULL))
BUILD(cdf_loss_weighted, fi_cdf_loss(g, in[0], in[1], in[2]))

BUILD(softmax, fi_softmax(g, in[0], NULL))
BUILD(softmax_masked, fi_softmax(g, in[0], in[1]))
static const fi_attention plain_heads = {.heads = 2, .scale = 0.5f},
                          causal_heads = {.heads = 2, .scale = 0.5f, .causal = true};
BUILD(attend, fi_attend(g, in[0], in[1], in[2], NULL, NULL, &plain_heads))
BUILD(attend_masked, fi_attend(g, in[0], in[1], in[2], in[3], in[4], &plain_heads))
BUILD(attend_causal, fi_attend(g, in[0], in[1], in[2], NULL, in[3], &causal_heads))
static fi_node *build_attend_groups(fi_graph *g, fi_node *const *in)
{ /* rows see each other in pairs */
    static int32_t pairs[5000];
    static const fi_attention along_rows = {.heads = 2, .scale = 0.5f, .groups = pairs};
    for (int i = 0; i < 5000; i++) pairs[i] = i / 2;
    return fi_attend(g, in[0], in[1], in[2], NULL, NULL, &along_rows);
}
static const fi_attention dropping_heads = {.heads = 2, .scale = 0.5f, .dropout = 0.3f},
                          causal_dropping_heads = {.heads = 2, .scale = 0.5f, .causal = true, .dropout = 0.3f};
BUILD(attend_dropout, fi_attend(g, in[0], in[1], in[2], in[3], in[4], &dropping_heads))
BUILD(attend_causal_dropout, fi_attend(g, in[0], in[1], in[2], NULL, in[3], &causal_dropping_heads))
static fi_node *build_attend_groups_dropout(fi_graph *g, fi_node *const *in)
{
    static int32_t threes[5000];
    static const fi_attention along_rows = {.heads = 2, .scale = 0.5f, .groups = threes, .dropout = 0.3f};
    for (int i = 0; i < 5000; i++) threes[i] = i / 3;
    return fi_attend(g, in[0], in[1], in[2], NULL, NULL, &along_rows);
}
BUILD(relative_bias, fi_relative_bias(g, in[0], 4, 5, true, 16))
BUILD(relative_bias_causal, fi_relative_bias(g, in[0], 5, 5, false, 16))
BUILD(rope, fi_rope(g, in[0], 2, 10000.0f, NULL))

#define CASE(name) #name, build_##name
static const op_case op_cases[] = {
    {CASE(linear), ROWS_APART, {{SMOOTH, 2, {BATCH, 7}}, {SMOOTH, 2, {5, 7}}}},
    {CASE(linear_bias), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 7}}, {SMOOTH, 2, {5, 7}}, {SMOOTH, 1, {5}}}},
    {CASE(linear_relu), ROWS_APART, {{SMOOTH, 2, {BATCH, 6}}, {SMOOTH, 2, {5, 6}}, {SMOOTH, 1, {5}}}},
    {CASE(linear_relu_residual), ROWS_APART, {{SMOOTH, 2, {BATCH, 6}}, {SMOOTH, 2, {5, 6}}, {SMOOTH, 2, {BATCH, 5}}}},
    {CASE(linear_residual), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 6}}, {SMOOTH, 2, {5, 6}}, {SMOOTH, 3, {BATCH, 2, 5}}}},
    {CASE(linear_heads), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 12}}, {SMOOTH, 2, {6, 4}}}},
    {CASE(linear_heads_back), ROWS_APART, {{SMOOTH, 2, {BATCH, 6}}, {SMOOTH, 2, {6, 4}}}},
    {CASE(matmul), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 6}}, {SMOOTH, 3, {BATCH, 6, 5}}}},
    {CASE(matmul_ta), ROWS_APART, {{SMOOTH, 3, {BATCH, 6, 4}}, {SMOOTH, 3, {BATCH, 6, 5}}}},
    {CASE(matmul_tb), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 6}}, {SMOOTH, 3, {BATCH, 5, 6}}}},
    {CASE(matmul_tab), ROWS_APART, {{SMOOTH, 3, {BATCH, 6, 4}}, {SMOOTH, 3, {BATCH, 5, 6}}}},
    {CASE(add), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}, {SMOOTH, 2, {BATCH, 21}}}},
    {"add_tail", build_add, ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 7}}, {SMOOTH, 2, {2, 7}}}},
    {CASE(sub), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}, {SMOOTH, 1, {21}}}},
    {CASE(mul), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}, {SMOOTH, 2, {BATCH, 21}}}},
    {"mul_tail", build_mul, ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 5}}, {SMOOTH, 1, {5}}}},
    {CASE(square), ROWS_APART, {{SMOOTH, 2, {BATCH, 9}}}},
    {CASE(affine), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}}},
    {CASE(relu), ROWS_APART, {{APART, 2, {BATCH, 21}}}},
    {CASE(gelu), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}}},
    {CASE(gelu_tanh), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}}},
    {CASE(silu), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}}},
    {CASE(tanh), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}}},
    {CASE(sigmoid), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}}},
    {CASE(glu), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 14}}}},
    {CASE(swiglu), ROWS_APART, {{SMOOTH, 2, {BATCH, 22}}}},
    {CASE(dropout), TRAINING_ONLY | ROWS_APART | RANDOM, {{SMOOTH, 2, {BATCH, 21}}}},
    {CASE(film), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 5}}, {SMOOTH, 2, {BATCH, 5}}, {SMOOTH, 2, {BATCH, 5}}}},
    {"film_one", build_film, ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 5}}, {SMOOTH, 2, {1, 5}}, {SMOOTH, 2, {1, 5}}}},
    {CASE(film_scale), ROWS_APART, {{SMOOTH, 4, {BATCH, 2, 2, 5}}, {SMOOTH, 2, {BATCH, 5}}}},
    {CASE(film_shift), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 5}}, {SMOOTH, 2, {BATCH, 5}}}},
    {CASE(reshape), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 5}}}},
    {CASE(rows), 0, {{SMOOTH, 2, {BATCH, 5}}}},
    {CASE(slice), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 5}}}},
    {CASE(slice_last), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 7}}}},
    {CASE(concat), ROWS_APART, {{SMOOTH, 2, {BATCH, 4}}, {SMOOTH, 2, {BATCH, 1}}, {SMOOTH, 2, {BATCH, 7}}}},
    {CASE(concat_last), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 4}}, {SMOOTH, 3, {BATCH, 2, 2}}}},
    {CASE(transpose), ROWS_APART, {{SMOOTH, 4, {BATCH, 4, 5, 2}}}},
    {"transpose_last", build_transpose, ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 5}}}},
    {CASE(transpose_outer), 0, {{SMOOTH, 3, {4, BATCH, 5}}}},
    {CASE(repeat), 0, {{SMOOTH, 3, {BATCH, 2, 5}}}},
    {CASE(embedding), ROWS_APART, {{SMOOTH, 2, {5, 6}}, {IDS, 2, {BATCH, 4}}}},
    {CASE(rms_norm), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 21}}, {SMOOTH, 1, {21}}}},
    {CASE(layer_norm), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}, {SMOOTH, 1, {21}}, {SMOOTH, 1, {21}}}},
    {CASE(layer_norm_no_bias), ROWS_APART, {{SMOOTH, 2, {BATCH, 21}}, {SMOOTH, 1, {21}}}},
    {CASE(conv2d), ROWS_APART, {{SMOOTH, 4, {BATCH, 5, 6, 5}}, {SMOOTH, 4, {4, 2, 2, 5}}, {SMOOTH, 1, {4}}}},
    {"conv2d_1x1",
     build_conv2d,
     ROWS_APART,
     {{SMOOTH, 4, {BATCH, 4, 2, 5}}, {SMOOTH, 4, {6, 1, 1, 5}}, {SMOOTH, 1, {6}}}},
    {CASE(conv2d_stride), ROWS_APART, {{SMOOTH, 4, {BATCH, 6, 5, 2}}, {SMOOTH, 4, {2, 5, 4, 2}}}},
    {CASE(conv1d), ROWS_APART, {{SMOOTH, 3, {BATCH, 9, 5}}, {SMOOTH, 3, {4, 2, 5}}, {SMOOTH, 1, {4}}}},
    {CASE(conv_transpose2d), ROWS_APART, {{SMOOTH, 4, {BATCH, 2, 4, 5}}, {SMOOTH, 4, {5, 2, 2, 4}}, {SMOOTH, 1, {4}}}},
    {CASE(max_pool2d), ROWS_APART, {{STEPS, 4, {BATCH, 5, 4, 6}}}},
    {CASE(avg_pool2d), ROWS_APART, {{SMOOTH, 4, {BATCH, 4, 5, 2}}}},
    {CASE(group_norm), ROWS_APART, {{SMOOTH, 4, {BATCH, 4, 2, 6}}, {SMOOTH, 1, {6}}, {SMOOTH, 1, {6}}}},
    {CASE(group_norm_gelu), ROWS_APART, {{SMOOTH, 2, {BATCH, 6}}, {SMOOTH, 1, {6}}, {SMOOTH, 1, {6}}}},
    {CASE(batch_norm), TRAINING_ONLY, {{SMOOTH, 2, {BATCH, 21}}, {SMOOTH, 1, {21}}, {SMOOTH, 1, {21}}}},
    {CASE(batch_norm_gelu), TRAINING_ONLY, {{SMOOTH, 3, {BATCH, 4, 5}}, {SMOOTH, 1, {5}}, {SMOOTH, 1, {5}}}},
    {CASE(cross_entropy), 0, {{SMOOTH, 3, {BATCH, 2, 5}}, {LABELS, 2, {BATCH, 2}}}},
    {CASE(cross_entropy_weighted), 0, {{SMOOTH, 2, {BATCH, 5}}, {IDS, 1, {BATCH}}, {POSITIVE, 1, {BATCH}}}},
    {CASE(soft_cross_entropy), 0, {{SMOOTH, 2, {BATCH, 5}}, {SHARES, 2, {BATCH, 5}}}},
    {CASE(soft_cross_entropy_weighted), 0, {{SMOOTH, 2, {BATCH, 5}}, {SHARES, 2, {BATCH, 5}}, {POSITIVE, 1, {BATCH}}}},
    {CASE(mse), 0, {{SMOOTH, 3, {BATCH, 2, 5}}, {FIXED, 3, {BATCH, 2, 5}}}},
    {CASE(mse_weighted), 0, {{SMOOTH, 3, {BATCH, 2, 5}}, {FIXED, 3, {BATCH, 2, 5}}, {BITS, 2, {BATCH, 2}}}},
    {CASE(quantile_loss), 0, {{STEPS, 3, {BATCH, 4, 2}}, {FIXED, 2, {BATCH, 2}}}},
    {CASE(quantile_loss_masked), 0, {{STEPS, 3, {BATCH, 4, 2}}, {FIXED, 2, {BATCH, 2}}, {BITS, 2, {BATCH, 2}}}},
    {CASE(quantile_loss_bolt), 0, {{STEPS, 3, {BATCH, 4, 2}}, {FIXED, 2, {BATCH, 2}}, {BITS, 2, {BATCH, 2}}}},
    {CASE(cdf_loss), 0, {{SMOOTH, 3, {BATCH, 2, 5}}, {LABELS, 2, {BATCH, 2}}}},
    {CASE(cdf_loss_weighted), 0, {{SMOOTH, 2, {BATCH, 5}}, {IDS, 1, {BATCH}}, {POSITIVE, 1, {BATCH}}}},
    {CASE(softmax), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 7}}}},
    {CASE(softmax_masked), ROWS_APART, {{SMOOTH, 3, {BATCH, 2, 7}}, {BITS, 2, {BATCH, 7}}}},
    {CASE(attend), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 6}}, {SMOOTH, 3, {BATCH, 5, 6}}, {SMOOTH, 3, {BATCH, 5, 4}}}},
    {CASE(attend_masked),
     ROWS_APART,
     {{SMOOTH, 3, {BATCH, 4, 6}},
      {SMOOTH, 3, {BATCH, 5, 6}},
      {SMOOTH, 3, {BATCH, 5, 4}},
      {BITS, 2, {BATCH, 5}},
      {SMOOTH, 2, {2, 8}}}},
    {CASE(attend_causal),
     ROWS_APART,
     {{SMOOTH, 3, {BATCH, 4, 6}}, {SMOOTH, 3, {BATCH, 4, 6}}, {SMOOTH, 3, {BATCH, 4, 4}}, {SMOOTH, 2, {2, 7}}}},
    {CASE(attend_groups), 0, {{SMOOTH, 3, {BATCH, 2, 6}}, {SMOOTH, 3, {BATCH, 2, 6}}, {SMOOTH, 3, {BATCH, 2, 4}}}},
    {CASE(relative_bias), 0, {{SMOOTH, 2, {8, 2}}}},
    {CASE(relative_bias_causal), 0, {{SMOOTH, 2, {8, 2}}}},
    {CASE(rope), ROWS_APART, {{SMOOTH, 3, {BATCH, 4, 8}}}},
    {CASE(attend_dropout),
     TRAINING_ONLY | ROWS_APART | RANDOM,
     {{SMOOTH, 3, {BATCH, 4, 6}},
      {SMOOTH, 3, {BATCH, 5, 6}},
      {SMOOTH, 3, {BATCH, 5, 4}},
      {BITS, 2, {BATCH, 5}},
      {SMOOTH, 2, {2, 8}}}},
    {CASE(attend_causal_dropout),
     TRAINING_ONLY | ROWS_APART | RANDOM,
     {{SMOOTH, 3, {BATCH, 9, 6}}, {SMOOTH, 3, {BATCH, 9, 6}}, {SMOOTH, 3, {BATCH, 9, 4}}, {SMOOTH, 2, {2, 17}}}},
    {CASE(attend_groups_dropout),
     TRAINING_ONLY | RANDOM,
     {{SMOOTH, 3, {BATCH, 2, 6}}, {SMOOTH, 3, {BATCH, 2, 6}}, {SMOOTH, 3, {BATCH, 2, 4}}}},
};
enum { N_OP_CASES = sizeof op_cases / sizeof *op_cases };

static inline bool wants_grad(filling f)
{
    return f == SMOOTH || f == APART || f == STEPS;
}

/* A leaf for input i of the case. */
static inline fi_node *op_case_input(fi_graph *g, const op_case *c, int i, int n_dims, const size_t *shape)
{
    filling f = c->inputs[i].filling;
    fi_node *in = (f == IDS || f == LABELS ? fi_input_ids : fi_input)(g, n_dims, shape);
    if (wants_grad(f)) fi_want_grad(g, in);
    return in;
}

/* ---- a loss: the sum over its inputs of weight * value, in double; the last one is read at last_total ---- */

static double last_total;

static double total_weight(size_t i)
{
    return ((double)(37 * i % 19) - 9) / 8;
}

static void total_forward(fi_graph *g, fi_node *node)
{
    (void)g;
    last_total = 0.0;
    for (int k = 0; k < node->n_in; k++)
        for (size_t i = 0; i < node->in[k]->size; i++) last_total += total_weight(i) * (double)node->in[k]->value[i];
    *node->value = (float)last_total;
}

static void total_backward(fi_graph *g, fi_node *node)
{
    (void)g;
    for (int k = 0; k < node->n_in; k++) {
        fi_node *in = node->in[k];
        if (!fi_needs(in)) continue;
        bool add = fi_grad_begin(in);
        for (size_t i = 0; i < in->size; i++)
            in->grad[i] = (add ? in->grad[i] : 0.0f) + *node->grad * (float)total_weight(i);
    }
}

static fi_node *weighted_total(fi_graph *g, fi_node *const *in, int n)
{
    static const fi_op op = {.name = "total", .forward = total_forward, .backward = total_backward};
    fi_node *node = fi_node_new(g, &op, 1, (size_t[]){1}, 0);
    for (int i = 0; i < n; i++) fi_node_input(g, node, in[i]);
    return node;
}

#endif
