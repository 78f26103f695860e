/* Products as operations: linear layers over parameters, and batched products of values. */
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/rows.h"
#include "tensor/vector.h"

typedef struct linear {
    fi_activation activation;
    size_t rows, in, out;
} linear;

enum { X, W, BIAS, RESIDUAL };

static void linear_forward(fi_graph *g, fi_node *node)
{
    const linear *l = node->attr;
    const fi_node *w = node->in[W], *bias = node->in[BIAS], *residual = node->in[RESIDUAL];
    fi_multiply(fi_graph_engine(g), &(fi_product){.m = l->rows,
                                                  .n = l->out,
                                                  .k = l->in,
                                                  .a = node->in[X]->value,
                                                  .lda = l->in,
                                                  .packed = w->param ? w->param->packed : NULL,
                                                  .b = w->value,
                                                  .ldb = l->in,
                                                  .b_transposed = true,
                                                  .type = fi_graph_product_type(g),
                                                  .c = node->value,
                                                  .ldc = l->out,
                                                  .bias = bias ? bias->value : NULL,
                                                  .activation = l->activation,
                                                  .residual = residual ? residual->value : NULL,
                                                  .ld_residual = l->out});
}

/* A piece of the pass over dy [rows, out] before the products: through the ramp, and on to the residual. */
typedef struct pass {
    fi_node *node, *residual;
    bool ramp, add;
} pass;

static void pass_chunk(void *user, size_t from, size_t to, float *scratch)
{
    (void)scratch;
    const pass *p = user;
    float *dy = p->node->grad + from;
    /* the node's own gradient is needed no more: what passes the ramp takes its place */
    if (p->ramp) fi_vectors_best()->activate_back(FI_RELU, p->node->value + from, dy, dy, to - from, false);
    if (p->residual) fi_rows_best()->affine(p->residual->grad + from, dy, 1, 0, to - from, p->add);
}

static void linear_backward(fi_graph *g, fi_node *node)
{
    const linear *l = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    fi_dtype type = fi_graph_product_type(g);
    fi_node *x = node->in[X], *w = node->in[W], *bias = node->in[BIAS], *residual = node->in[RESIDUAL];
    pass p = {node, fi_needs(residual) ? residual : NULL, l->activation == FI_RELU, false};
    if (p.residual) p.add = fi_grad_begin(residual);
    if (p.ramp || p.residual) fi_each_chunk(engine, node->size, FI_GRAIN, pass_chunk, &p);
    if (fi_needs(bias))
        fi_column_sums(engine, bias->grad, node->grad, NULL, 1, l->rows, l->out, node->saved, fi_grad_begin(bias));
    if (fi_needs(w))
        fi_multiply(engine, &(fi_product){.m = l->out,
                                          .n = l->in,
                                          .k = l->rows,
                                          .a = node->grad,
                                          .lda = l->out,
                                          .a_transposed = true,
                                          .b = x->value,
                                          .ldb = l->in,
                                          .type = type,
                                          .accumulate = fi_grad_begin(w),
                                          .c = w->grad,
                                          .ldc = l->in});
    if (fi_needs(x))
        fi_multiply(engine, &(fi_product){.m = l->rows,
                                          .n = l->in,
                                          .k = l->out,
                                          .a = node->grad,
                                          .lda = l->out,
                                          .packed = w->param ? w->param->packed_back : NULL,
                                          .b = w->value,
                                          .ldb = l->in,
                                          .type = type,
                                          .accumulate = fi_grad_begin(x),
                                          .c = x->grad,
                                          .ldc = l->in});
}

static const fi_op linear_op = {"linear", linear_forward, linear_backward, FI_KEEP_IN(X) | FI_KEEP_IN(W), false, false};
static const fi_op linear_relu_op = {
    "linear", linear_forward, linear_backward, FI_KEEP_IN(X) | FI_KEEP_IN(W) | FI_KEEP_OUT, false, false};

fi_node *fi_linear(fi_graph *g, fi_node *x, fi_node *w, fi_node *bias, fi_activation act, fi_node *residual)
{
    if (!x || !w) return NULL;
    size_t in = x->shape[x->n_dims - 1], out = w->shape[0], shape[FI_MAX_DIMS];
    if (w->n_dims != 2 || w->shape[1] != in || (bias && bias->size != out) ||
        (residual && residual->size != (in ? x->size / in * out : 0)))
        return fi_graph_fail(g, "linear: %zu features meet weights [%zu, %zu], bias %zu, residual %zu", in, w->shape[0],
                             w->shape[1], bias ? bias->size : 0, residual ? residual->size : 0);
    /* What backward can tell from the output is fused when training, the rest computed as nodes of their own. */
    bool apart = fi_graph_training(g) && act != FI_LINEAR && (act != FI_RELU || residual);
    for (int i = 0; i < FI_MAX_DIMS; i++) shape[i] = x->shape[i];
    shape[x->n_dims - 1] = out;
    fi_node *node =
        fi_node_new(g, act == FI_RELU && !apart ? &linear_relu_op : &linear_op, x->n_dims, shape, sizeof(linear));
    if (!node) return NULL;
    *(linear *)node->attr = (linear){apart ? FI_LINEAR : act, in ? x->size / in : 0, in, out};
    fi_node_input(g, node, x);
    fi_node_input(g, node, w);
    fi_node_input(g, node, bias);
    fi_node_input(g, node, apart ? NULL : residual);
    if (fi_needs(bias)) node->n_saved = fi_column_parts(1, in ? x->size / in : 0, out);
    if (!apart) return node;
    node = fi_activate(g, node, act);
    return residual ? fi_add(g, node, residual) : node;
}

typedef struct linear_heads {
    size_t rows, heads, r, c; /* W is [heads r, c] */
    bool back;
} linear_heads;

static void linear_heads_forward(fi_graph *g, fi_node *node)
{
    const linear_heads *l = node->attr;
    const fi_node *w = node->in[W];
    const fi_packed *packed = w->param ? w->param->packed : NULL;
    const size_t n = l->back ? l->c : l->r, k = l->back ? l->r : l->c;
    fi_multiply_batch(fi_graph_engine(g),
                      &(fi_product){.m = l->rows,
                                    .n = n,
                                    .k = k,
                                    .a = node->in[X]->value,
                                    .lda = l->heads * k,
                                    .packed = packed,
                                    .b = w->value,
                                    .ldb = l->c,
                                    .b_transposed = !l->back,
                                    .type = fi_graph_product_type(g),
                                    .c = node->value,
                                    .ldc = l->heads * n},
                      l->heads, k, packed ? packed->n / l->heads : l->r * l->c, n);
}

/* dW_h = u_h' v_h with u [rows, heads r] and v [rows, heads c], which are y and x or x and y. */
static void linear_heads_backward(fi_graph *g, fi_node *node)
{
    const linear_heads *l = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    fi_dtype type = fi_graph_product_type(g);
    fi_node *x = node->in[X], *w = node->in[W];
    const size_t n = l->back ? l->c : l->r, k = l->back ? l->r : l->c;
    if (fi_needs(w))
        fi_multiply_batch(engine,
                          &(fi_product){.m = l->r,
                                        .n = l->c,
                                        .k = l->rows,
                                        .a = l->back ? x->value : node->grad,
                                        .lda = l->heads * l->r,
                                        .a_transposed = true,
                                        .b = l->back ? node->grad : x->value,
                                        .ldb = l->heads * l->c,
                                        .type = type,
                                        .accumulate = fi_grad_begin(w),
                                        .c = w->grad,
                                        .ldc = l->c},
                          l->heads, l->r, l->c, l->r * l->c);
    if (fi_needs(x))
        fi_multiply_batch(engine,
                          &(fi_product){.m = l->rows,
                                        .n = k,
                                        .k = n,
                                        .a = node->grad,
                                        .lda = l->heads * n,
                                        .b = w->value,
                                        .ldb = l->c,
                                        .b_transposed = l->back,
                                        .type = type,
                                        .accumulate = fi_grad_begin(x),
                                        .c = x->grad,
                                        .ldc = l->heads * k},
                          l->heads, n, l->r * l->c, k);
}

static const fi_op linear_heads_op = {
    "linear by heads", linear_heads_forward, linear_heads_backward, FI_KEEP_IN(X) | FI_KEEP_IN(W), false, false};

fi_node *fi_linear_heads(fi_graph *g, fi_node *x, fi_node *w, size_t heads, bool back)
{
    if (!x || !w) return NULL;
    const size_t in = x->shape[x->n_dims - 1], r = heads ? w->shape[0] / heads : 0, c = w->shape[1];
    if (w->n_dims != 2 || !r || r * heads != w->shape[0] || in != heads * (back ? r : c))
        return fi_graph_fail(g, "linear by %zu heads: %zu features meet weights [%zu, %zu]%s", heads, in, w->shape[0],
                             w->shape[1], back ? "'" : "");
    size_t shape[FI_MAX_DIMS];
    for (int i = 0; i < FI_MAX_DIMS; i++) shape[i] = x->shape[i];
    shape[x->n_dims - 1] = heads * (back ? c : r);
    fi_node *node = fi_node_new(g, &linear_heads_op, x->n_dims, shape, sizeof(linear_heads));
    if (!node) return NULL;
    *(linear_heads *)node->attr = (linear_heads){in ? x->size / in : 0, heads, r, c, back};
    fi_node_input(g, node, x);
    fi_node_input(g, node, w);
    return node;
}

typedef struct matmul {
    size_t batch, m, n, k, a_size, b_size;
    bool ta, tb;
    float scale;
} matmul;

static void scale_by(float *x, size_t n, float scale)
{
    if (scale != 1) fi_rows_best()->affine(x, x, scale, 0, n, false);
}

static void matmul_forward(fi_graph *g, fi_node *node)
{
    const matmul *p = node->attr;
    fi_multiply_batch(fi_graph_engine(g),
                      &(fi_product){.m = p->m,
                                    .n = p->n,
                                    .k = p->k,
                                    .a = node->in[0]->value,
                                    .lda = p->ta ? p->m : p->k,
                                    .a_transposed = p->ta,
                                    .b = node->in[1]->value,
                                    .ldb = p->tb ? p->k : p->n,
                                    .b_transposed = p->tb,
                                    .type = fi_graph_product_type(g),
                                    .c = node->value,
                                    .ldc = p->n},
                      p->batch, p->a_size, p->b_size, p->m * p->n);
    scale_by(node->value, node->size, p->scale);
}

/* C = A B: dA = dC B', dB = A' dC; the stored transposes swap the factors. */
static void matmul_backward(fi_graph *g, fi_node *node)
{
    const matmul *p = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    fi_node *a = node->in[0], *b = node->in[1];
    fi_dtype type = fi_graph_product_type(g);
    size_t c_size = p->m * p->n, lda = p->ta ? p->m : p->k, ldb = p->tb ? p->k : p->n;
    scale_by(node->grad, node->size, p->scale);
    fi_product d = {.type = type};
    if (fi_needs(a)) {
        d.accumulate = fi_grad_begin(a);
        d.c = a->grad, d.ldc = lda;
        if (p->ta) { /* dA' [k, m] = B dC' */
            d.m = p->k, d.n = p->m, d.k = p->n;
            d.a = b->value, d.lda = ldb, d.a_transposed = p->tb;
            d.b = node->grad, d.ldb = p->n, d.b_transposed = true;
            fi_multiply_batch(engine, &d, p->batch, p->b_size, c_size, p->a_size);
        } else { /* dA [m, k] = dC B' */
            d.m = p->m, d.n = p->k, d.k = p->n;
            d.a = node->grad, d.lda = p->n, d.a_transposed = false;
            d.b = b->value, d.ldb = ldb, d.b_transposed = !p->tb;
            fi_multiply_batch(engine, &d, p->batch, c_size, p->b_size, p->a_size);
        }
    }
    if (fi_needs(b)) {
        d.accumulate = fi_grad_begin(b);
        d.c = b->grad, d.ldc = ldb;
        if (p->tb) { /* dB' [n, k] = dC' A */
            d.m = p->n, d.n = p->k, d.k = p->m;
            d.a = node->grad, d.lda = p->n, d.a_transposed = true;
            d.b = a->value, d.ldb = lda, d.b_transposed = p->ta;
            fi_multiply_batch(engine, &d, p->batch, c_size, p->a_size, p->b_size);
        } else { /* dB [k, n] = A' dC */
            d.m = p->k, d.n = p->n, d.k = p->m;
            d.a = a->value, d.lda = lda, d.a_transposed = !p->ta;
            d.b = node->grad, d.ldb = p->n, d.b_transposed = false;
            fi_multiply_batch(engine, &d, p->batch, p->a_size, c_size, p->b_size);
        }
    }
}

static const fi_op matmul_op = {"matmul", matmul_forward, matmul_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), false, false};

fi_node *fi_matmul(fi_graph *g, fi_node *a, bool ta, fi_node *b, bool tb, float scale)
{
    if (!a || !b) return NULL;
    matmul p = {.batch = a->shape[0], .ta = ta, .tb = tb, .scale = scale};
    p.m = a->shape[ta ? 2 : 1];
    p.k = a->shape[ta ? 1 : 2];
    p.n = b->shape[tb ? 1 : 2];
    p.a_size = p.m * p.k;
    p.b_size = p.k * p.n;
    if (a->n_dims != 3 || b->n_dims != 3 || b->shape[0] != p.batch || b->shape[tb ? 2 : 1] != p.k)
        return fi_graph_fail(g, "matmul: [%zu, %zu, %zu]%s meets [%zu, %zu, %zu]%s", a->shape[0], a->shape[1],
                             a->shape[2], ta ? "'" : "", b->shape[0], b->shape[1], b->shape[2], tb ? "'" : "");
    fi_node *node = fi_node_new(g, &matmul_op, 3, (size_t[]){p.batch, p.m, p.n}, sizeof p);
    if (!node) return NULL;
    *(matmul *)node->attr = p;
    fi_node_input(g, node, a);
    fi_node_input(g, node, b);
    return node;
}
