/* Pooling of images, kernel = stride; rows and columns that fill no kernel are left out, as in PyTorch. */
#include "tensor/ops.h"

#include <string.h>

typedef struct pool_attr {
    size_t kernel;
    bool add; /* the backward pass adds to the input's gradient */
} pool_attr;

/* One row of outputs and the rows of the input that it covers. */
typedef struct pool_row {
    size_t kernel, columns, c, pitch; /* pitch: numbers in a row of the input */
    size_t in, out;                   /* where they begin */
} pool_row;

static pool_row row_of(const fi_node *node, size_t i)
{
    const fi_node *in = node->in[0];
    const size_t kernel = ((const pool_attr *)node->attr)->kernel, image = i / node->shape[1], y = i % node->shape[1];
    const size_t pitch = in->shape[2] * in->shape[3];
    return (pool_row){kernel,
                      node->shape[2],
                      node->shape[3],
                      pitch,
                      (image * in->shape[1] + y * kernel) * pitch,
                      i * node->shape[2] * node->shape[3]};
}

/* The gradient of the rows that output row i covers, cleared where nothing is added to; the rest of an image goes with its last. */
static float *grad_rows(const fi_node *node, size_t i, const pool_row *r)
{
    float *grad = node->in[0]->grad + r->in;
    const size_t y = i % node->shape[1], left = node->in[0]->shape[1] - y * r->kernel;
    if (!((const pool_attr *)node->attr)->add)
        memset(grad, 0, (y + 1 == node->shape[1] ? left : r->kernel) * r->pitch * sizeof(float));
    return grad;
}

static fi_node *pool_node(fi_graph *g, const fi_op *op, fi_node *x, size_t kernel)
{
    if (!x) return NULL;
    if (x->n_dims != 4 || kernel == 0 || kernel > x->shape[1] || kernel > x->shape[2])
        return fi_graph_fail(g, "%s: a kernel of %zu does not fit images [%zu, %zu, %zu, %zu]", op->name, kernel,
                             x->shape[0], x->shape[1], x->shape[2], x->shape[3]);
    const size_t shape[] = {x->shape[0], x->shape[1] / kernel, x->shape[2] / kernel, x->shape[3]};
    fi_node *node = fi_node_new(g, op, 4, shape, sizeof(pool_attr));
    if (node) *(pool_attr *)node->attr = (pool_attr){kernel, false};
    fi_node_input(g, node, x);
    return node;
}

static void forward_rows(fi_graph *g, fi_node *node, void (*row)(void *user, size_t i, float *scratch))
{
    fi_engine_run(fi_graph_engine(g), node->shape[0] * node->shape[1], row, node);
}

static void backward_rows(fi_graph *g, fi_node *node, void (*row)(void *user, size_t i, float *scratch))
{
    if (!fi_needs(node->in[0])) return;
    ((pool_attr *)node->attr)->add = fi_grad_begin(node->in[0]);
    fi_engine_run(fi_graph_engine(g), node->shape[0] * node->shape[1], row, node);
}

/* ---- maximum: saved is the place of each in its kernel, as a whole number in a float's memory ---- */

/* NaN, once met, is the largest, as PyTorch has it. */
static inline bool larger(float x, float most)
{
    return (x > most) | (x != x);
}

static void max_row(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const pool_row r = row_of(node, i);
    for (size_t x = 0; x < r.columns; x++) {
        const float *in = node->in[0]->value + r.in + x * r.kernel * r.c;
        float *out = node->value + r.out + x * r.c;
        uint32_t *place = node->saved ? (uint32_t *)(void *)(node->saved + r.out + x * r.c) : NULL;
        memcpy(out, in, r.c * sizeof(float));
        if (place) memset(place, 0, r.c * sizeof *place);
        for (size_t k = 1; k < r.kernel * r.kernel; k++) {
            const float *other = in + k / r.kernel * r.pitch + k % r.kernel * r.c;
            for (size_t j = 0; place && j < r.c; j++) place[j] = larger(other[j], out[j]) ? (uint32_t)k : place[j];
            for (size_t j = 0; j < r.c; j++) out[j] = larger(other[j], out[j]) ? other[j] : out[j];
        }
    }
}

static void max_back_row(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const pool_row r = row_of(node, i);
    float *grad = grad_rows(node, i, &r);
    for (size_t x = 0; x < r.columns; x++) {
        const uint32_t *place = (const uint32_t *)(const void *)(node->saved + r.out + x * r.c);
        const float *g = node->grad + r.out + x * r.c;
        for (size_t j = 0; j < r.c; j++)
            grad[place[j] / r.kernel * r.pitch + (x * r.kernel + place[j] % r.kernel) * r.c + j] += g[j];
    }
}

static void max_forward(fi_graph *g, fi_node *node)
{
    forward_rows(g, node, max_row);
}
static void max_backward(fi_graph *g, fi_node *node)
{
    backward_rows(g, node, max_back_row);
}
static const fi_op max_op = {"max_pool2d", max_forward, max_backward, 0, false, false};

fi_node *fi_max_pool2d(fi_graph *g, fi_node *x, size_t kernel)
{
    fi_node *node = pool_node(g, &max_op, x, kernel);
    if (node) node->n_saved = node->size;
    return node;
}

/* ---- mean ---- */

static void avg_row(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const pool_row r = row_of(node, i);
    const float share = 1.0f / (float)(r.kernel * r.kernel);
    for (size_t x = 0; x < r.columns; x++) {
        const float *in = node->in[0]->value + r.in + x * r.kernel * r.c;
        float *out = node->value + r.out + x * r.c;
        memset(out, 0, r.c * sizeof(float));
        for (size_t k = 0; k < r.kernel * r.kernel; k++)
            for (size_t j = 0; j < r.c; j++) out[j] += in[k / r.kernel * r.pitch + k % r.kernel * r.c + j];
        for (size_t j = 0; j < r.c; j++) out[j] *= share;
    }
}

static void avg_back_row(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const pool_row r = row_of(node, i);
    const float share = 1.0f / (float)(r.kernel * r.kernel);
    float *grad = grad_rows(node, i, &r);
    for (size_t x = 0; x < r.columns; x++) {
        const float *g = node->grad + r.out + x * r.c;
        for (size_t k = 0; k < r.kernel * r.kernel; k++)
            for (size_t j = 0; j < r.c; j++)
                grad[k / r.kernel * r.pitch + (x * r.kernel + k % r.kernel) * r.c + j] += share * g[j];
    }
}

static void avg_forward(fi_graph *g, fi_node *node)
{
    forward_rows(g, node, avg_row);
}
static void avg_backward(fi_graph *g, fi_node *node)
{
    backward_rows(g, node, avg_back_row);
}
static const fi_op avg_op = {"avg_pool2d", avg_forward, avg_backward, 0, false, false};

fi_node *fi_avg_pool2d(fi_graph *g, fi_node *x, size_t kernel)
{
    return pool_node(g, &avg_op, x, kernel);
}
