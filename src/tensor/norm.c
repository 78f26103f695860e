#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

#include <string.h>

/*
 * saved: statistics of every row (n_stats numbers each), then room for the sums of gradients of weight and bias over chunks
 * of rows ([chunks, d] each).
 */
typedef struct norm_attr {
    float eps;
    size_t n_stats;
} norm_attr;

typedef struct norm_run {
    const fi_row_kernels *k;
    fi_node *node;
    float *dweight, *dbias; /* [chunks, d] or NULL */
    bool dx, add;
} norm_run;

static float *stats_of(const fi_node *node, size_t row)
{
    return node->saved ? node->saved + row * ((const norm_attr *)node->attr)->n_stats : NULL;
}

static void norm_rows(void *user, size_t from, size_t to, float *scratch)
{
    const norm_run *r = user;
    const fi_node *node = r->node, *weight = node->in[1], *bias = node->in[2];
    size_t d = fi_last_dim(node);
    const float *x = node->in[0]->value + from * d;
    float *y = node->value + from * d, *stats = stats_of(node, from), eps = ((const norm_attr *)node->attr)->eps;
    (void)scratch;
    if (((const norm_attr *)node->attr)->n_stats == 1)
        r->k->rms_norm(y, stats, x, weight->value, eps, to - from, d);
    else
        r->k->layer_norm(y, stats, x, weight->value, bias ? bias->value : NULL, eps, to - from, d);
}

static void norm_forward(fi_graph *g, fi_node *node)
{
    norm_run r = {.k = fi_rows_best(), .node = node};
    fi_each_chunk(fi_graph_engine(g), fi_n_rows(node), fi_row_grain(fi_last_dim(node)), norm_rows, &r);
}

/* One chunk of rows: their part of dx, and the chunk's row of the sums. */
static void norm_rows_back(void *user, size_t from, size_t to, float *scratch)
{
    const norm_run *r = user;
    fi_node *node = r->node, *in = node->in[0];
    size_t d = fi_last_dim(node), chunk = from / fi_sum_grain(fi_n_rows(node));
    const float *x = in->value + from * d, *dy = node->grad + from * d, *weight = node->in[1]->value;
    float *dx = r->dx ? in->grad + from * d : NULL, *stats = stats_of(node, from);
    float *dweight = r->dweight ? r->dweight + chunk * d : NULL, *dbias = r->dbias ? r->dbias + chunk * d : NULL;
    (void)scratch;
    if (((const norm_attr *)node->attr)->n_stats == 1)
        r->k->rms_norm_back(dx, dweight, x, weight, stats, dy, to - from, d, r->add);
    else
        r->k->layer_norm_back(dx, dweight, dbias, x, weight, stats, dy, to - from, d, r->add);
}

static void norm_backward(fi_graph *g, fi_node *node)
{
    fi_engine *engine = fi_graph_engine(g);
    fi_node *x = node->in[0], *weight = node->in[1], *bias = node->in[2];
    size_t d = fi_last_dim(node), rows = fi_n_rows(node), chunks = fi_sum_chunks(rows);
    float *parts = stats_of(node, rows);
    norm_run r = {.k = fi_rows_best(), .node = node, .dx = fi_needs(x)};
    r.add = r.dx && fi_grad_begin(x);
    r.dweight = fi_needs(weight) ? parts : NULL;
    r.dbias = fi_needs(bias) ? parts + chunks * d : NULL;
    memset(parts, 0, 2 * chunks * d * sizeof *parts);
    fi_each_chunk(engine, rows, fi_sum_grain(rows), norm_rows_back, &r);
    if (r.dweight) fi_add_parts(engine, weight->grad, r.dweight, chunks, d, fi_grad_begin(weight));
    if (r.dbias) fi_add_parts(engine, bias->grad, r.dbias, chunks, d, fi_grad_begin(bias));
}

static fi_node *norm(fi_graph *g, const fi_op *op, fi_node *x, fi_node *weight, fi_node *bias, norm_attr attr)
{
    if (!x || !weight) return NULL;
    size_t d = fi_last_dim(x), rows = fi_n_rows(x);
    if (d == 0 || weight->size != d)
        return fi_fail_shapes(g, op->name, x, weight, "the weight is to be [last dimension]");
    if (bias && bias->size != d) return fi_fail_shapes(g, op->name, x, bias, "the bias is to be [last dimension]");
    fi_node *node = fi_node_new(g, op, x->n_dims, x->shape, sizeof attr);
    if (!node) return NULL;
    *(norm_attr *)node->attr = attr;
    node->n_saved = rows * attr.n_stats + 2 * fi_sum_chunks(rows) * d;
    fi_node_input(g, node, x);
    fi_node_input(g, node, weight);
    fi_node_input(g, node, bias);
    return node;
}

fi_node *fi_rms_norm(fi_graph *g, fi_node *x, fi_node *weight, float eps)
{
    static const fi_op op = {"rms_norm", norm_forward, norm_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), true, false};
    return norm(g, &op, x, weight, NULL, (norm_attr){eps, 1});
}

fi_node *fi_layer_norm(fi_graph *g, fi_node *x, fi_node *weight, fi_node *bias, float eps)
{
    static const fi_op op = {"layer_norm", norm_forward, norm_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), true, false};
    return norm(g, &op, x, weight, bias, (norm_attr){eps, 2});
}
