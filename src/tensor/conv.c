/* Convolutions as nodes: shapes and roles; the work is in tensor/convolve.h. */
#include "tensor/convolve.h"
#include "tensor/op.h"
#include "tensor/ops.h"

#include <stdint.h>
#include <string.h>

typedef struct conv_attr {
    fi_conv conv;
    float room[]; /* for conv.packed */
} conv_attr;

/* A node with room for packed weights; conv is complete but for that. */
static fi_node *conv_node(fi_graph *g, const fi_op *op, fi_conv *conv, bool backward, int n_dims, const size_t *shape,
                          fi_node *x, fi_node *w, fi_node *bias)
{
    if (fi_graph_product_type(g) == FI_BF16) conv->tiles = fi_conv_tiles_best();
    size_t size = fi_conv_packed_size(conv, backward);
    if (size == 0)
        return fi_graph_fail(g, "%s: %zu by %zu taps of %zu channels are more than one task can hold", op->name,
                             conv->y.taps, conv->x.taps, conv->c > conv->o ? conv->c : conv->o);
    if (backward && bias) { /* for the sums of bias_backward too */
        const size_t rows = shape[0] * shape[1] * (n_dims == 4 ? shape[2] : 1);
        const size_t parts = fi_column_parts(1, rows, bias->size);
        size = parts > size ? parts : size;
    }
    fi_node *node = fi_node_new(g, op, n_dims, shape, sizeof(conv_attr) + (size + 16) * sizeof(float));
    if (!node) return NULL;
    conv_attr *attr = node->attr;
    attr->conv = *conv;
    attr->conv.packed = (float *)(((uintptr_t)attr->room + 63) / 64 * 64);
    fi_node_input(g, node, x);
    fi_node_input(g, node, w);
    fi_node_input(g, node, bias);
    return node;
}

/* node->grad, ready to be added to. */
static float *grad_to_add(fi_node *node)
{
    if (!fi_grad_begin(node)) memset(node->grad, 0, node->size * sizeof(float));
    return node->grad;
}

/* Parts of sums take the room of packed weights, which only the other passes use. */
static void bias_backward(fi_engine *engine, const fi_node *node)
{
    fi_node *bias = node->in[2];
    if (!fi_needs(bias)) return;
    const conv_attr *attr = node->attr;
    fi_column_sums(engine, bias->grad, node->grad, NULL, 1, node->size / bias->size, bias->size, attr->conv.packed,
                   fi_grad_begin(bias));
}

/* ---- convolution ---- */

static void conv_forward(fi_graph *g, fi_node *node)
{
    const conv_attr *attr = node->attr;
    const fi_node *bias = node->in[2];
    fi_conv_forward(fi_graph_engine(g), &attr->conv, node->in[0]->value, node->in[1]->value, bias ? bias->value : NULL,
                    node->value, false);
}

static void conv_backward(fi_graph *g, fi_node *node)
{
    const conv_attr *attr = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    fi_node *x = node->in[0], *w = node->in[1];
    if (fi_needs(x)) fi_conv_backward_data(engine, &attr->conv, node->grad, w->value, NULL, x->grad, fi_grad_begin(x));
    if (fi_needs(w)) fi_conv_backward_weights(engine, &attr->conv, x->value, node->grad, grad_to_add(w));
    bias_backward(engine, node);
}

static const fi_op conv2d_op = {"conv2d", conv_forward, conv_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), false, false},
                   conv1d_op = {"conv1d", conv_forward, conv_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), false, false};

/* Outputs along an axis; false: the taps reach beyond the padded input, or there are none. */
static bool fit_axis(fi_conv_axis *a, size_t pad_after)
{
    const size_t most = SIZE_MAX / 8;
    if (a->in > most || a->pad > most || pad_after > most || a->taps == 0 || a->stride == 0 || a->dilation == 0 ||
        a->taps - 1 > most / a->dilation)
        return false;
    const size_t padded = a->in + a->pad + pad_after, span = (a->taps - 1) * a->dilation + 1;
    if (span > padded) return false;
    a->out = (padded - span) / a->stride + 1;
    return true;
}

fi_node *fi_conv2d(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias, size_t stride, size_t padding)
{
    if (!x || !w) return NULL;
    fi_conv conv = {.k = fi_conv_kernels_best(), .n = x->shape[0], .c = x->shape[3], .o = w->shape[0]};
    conv.y = (fi_conv_axis){x->shape[1], 0, w->shape[1], stride, padding, 1};
    conv.x = (fi_conv_axis){x->shape[2], 0, w->shape[2], stride, padding, 1};
    if (x->n_dims != 4 || w->n_dims != 4 || w->shape[3] != conv.c || (bias && bias->size != conv.o) ||
        !fit_axis(&conv.y, padding) || !fit_axis(&conv.x, padding))
        return fi_graph_fail(g,
                             "conv2d: images [%zu, %zu, %zu, %zu] do not fit filters [%zu, %zu, %zu, %zu] with %zu "
                             "biases, stride %zu and padding %zu",
                             x->shape[0], x->shape[1], x->shape[2], x->shape[3], w->shape[0], w->shape[1], w->shape[2],
                             w->shape[3], bias ? bias->size : conv.o, stride, padding);
    return conv_node(g, &conv2d_op, &conv, fi_graph_training(g), 4, (size_t[]){conv.n, conv.y.out, conv.x.out, conv.o},
                     x, w, bias);
}

fi_node *fi_conv1d(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias, size_t dilation, size_t pad_left,
                   size_t pad_right)
{
    if (!x || !w) return NULL;
    fi_conv conv = {.k = fi_conv_kernels_best(), .n = x->shape[0], .c = x->shape[2], .o = w->shape[0]};
    conv.y = (fi_conv_axis){1, 1, 1, 1, 0, 1};
    conv.x = (fi_conv_axis){x->shape[1], 0, w->shape[1], 1, pad_left, dilation};
    if (x->n_dims != 3 || w->n_dims != 3 || w->shape[2] != conv.c || (bias && bias->size != conv.o) ||
        !fit_axis(&conv.x, pad_right))
        return fi_graph_fail(g,
                             "conv1d: sequences [%zu, %zu, %zu] do not fit filters [%zu, %zu, %zu] with %zu biases, "
                             "dilation %zu and padding %zu and %zu",
                             x->shape[0], x->shape[1], x->shape[2], w->shape[0], w->shape[1], w->shape[2],
                             bias ? bias->size : conv.o, dilation, pad_left, pad_right);
    return conv_node(g, &conv1d_op, &conv, fi_graph_training(g), 3, (size_t[]){conv.n, conv.x.out, conv.o}, x, w, bias);
}

/* ---- transposed convolution: the convolution [n, k h, k w, out] -> [n, h, w, in] in the other direction ---- */

static void transposed_forward(fi_graph *g, fi_node *node)
{
    const conv_attr *attr = node->attr;
    const fi_node *bias = node->in[2];
    fi_conv_backward_data(fi_graph_engine(g), &attr->conv, node->in[0]->value, node->in[1]->value,
                          bias ? bias->value : NULL, node->value, false);
}

static void transposed_backward(fi_graph *g, fi_node *node)
{
    const conv_attr *attr = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    fi_node *x = node->in[0], *w = node->in[1];
    if (fi_needs(x)) fi_conv_forward(engine, &attr->conv, node->grad, w->value, NULL, x->grad, fi_grad_begin(x));
    if (fi_needs(w)) fi_conv_backward_weights(engine, &attr->conv, node->grad, x->value, grad_to_add(w));
    bias_backward(engine, node);
}

static const fi_op transposed_op = {
    "conv_transpose2d", transposed_forward, transposed_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), false, false};

fi_node *fi_conv_transpose2d(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias)
{
    if (!x || !w) return NULL;
    const size_t k = w->shape[1];
    fi_conv conv = {.k = fi_conv_kernels_best(), .n = x->shape[0], .c = w->shape[3], .o = x->shape[3]};
    if (x->n_dims != 4 || w->n_dims != 4 || w->shape[0] != conv.o || w->shape[2] != k || k == 0 ||
        (bias && bias->size != conv.c) || x->shape[1] > SIZE_MAX / k || x->shape[2] > SIZE_MAX / k)
        return fi_graph_fail(g,
                             "conv_transpose2d: images [%zu, %zu, %zu, %zu] do not fit square filters "
                             "[%zu, %zu, %zu, %zu] with %zu biases",
                             x->shape[0], x->shape[1], x->shape[2], x->shape[3], w->shape[0], w->shape[1], w->shape[2],
                             w->shape[3], bias ? bias->size : conv.c);
    conv.y = (fi_conv_axis){x->shape[1] * k, x->shape[1], k, k, 0, 1};
    conv.x = (fi_conv_axis){x->shape[2] * k, x->shape[2], k, k, 0, 1};
    return conv_node(g, &transposed_op, &conv, true, 4, (size_t[]){conv.n, conv.y.in, conv.x.in, conv.c}, x, w, bias);
}
