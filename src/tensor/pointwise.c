#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/rows.h"
#include "tensor/vector.h"

#include <math.h>

/* What a task computes: y [n] from a [n] and b, which is repeated after `period` numbers. */
typedef struct run {
    const fi_row_kernels *k;
    float *y;
    const float *a, *b;
    size_t period;
    float scale, shift;
    bool add;
    fi_activation act;
    const fi_dropout_mask *mask;
} run;

static void start(fi_graph *g, run r, size_t n, fi_chunk_fn *fn)
{
    r.k = fi_rows_best();
    fi_each_chunk(fi_graph_engine(g), n, FI_GRAIN, fn, &r);
}

/* The numbers of [from, to) that lie in one repetition of b, and the place in it. */
static size_t stretch(const run *r, size_t from, size_t to, size_t *at)
{
    *at = from % r->period;
    return to - from < r->period - *at ? to - from : r->period - *at;
}

static void sum_chunk(void *user, size_t from, size_t to, float *scratch)
{
    const run *r = user;
    (void)scratch;
    for (size_t n, at; from < to; from += n) {
        n = stretch(r, from, to, &at);
        r->k->sum(r->y + from, r->a + from, r->b + at, n);
    }
}

static void product_chunk(void *user, size_t from, size_t to, float *scratch)
{
    const run *r = user;
    (void)scratch;
    for (size_t n, at; from < to; from += n) {
        n = stretch(r, from, to, &at);
        r->k->product(r->y + from, r->a + from, r->b + at, n, r->add);
    }
}

static void affine_chunk(void *user, size_t from, size_t to, float *scratch)
{
    const run *r = user;
    (void)scratch;
    r->k->affine(r->y + from, r->a + from, r->scale, r->shift, to - from, r->add);
}

/* grad of `in` (+)= scale * the node's gradient */
static void pass_scaled(fi_graph *g, const fi_node *node, fi_node *in, float scale)
{
    if (!fi_needs(in)) return;
    run r = {.add = fi_grad_begin(in), .y = in->grad, .a = node->grad, .scale = scale};
    start(g, r, node->size, affine_chunk);
}

/* ---- add, sub, mul: b has the shape of a or its tail ---- */

static fi_node *binary(fi_graph *g, const fi_op *op, fi_node *a, fi_node *b)
{
    if (!a || !b) return NULL;
    int lead = a->n_dims - b->n_dims;
    bool fits = lead >= 0 && b->size > 0;
    for (int i = 0; fits && i < b->n_dims; i++) fits = b->shape[i] == a->shape[lead + i];
    if (!fits) return fi_fail_shapes(g, op->name, a, b, "the second is to have the shape of the first, or its tail");
    fi_node *node = fi_node_new(g, op, a->n_dims, a->shape, 0);
    if (!node) return NULL;
    if (b->size < a->size) node->n_saved = fi_column_parts(1, a->size / b->size, b->size);
    fi_node_input(g, node, a);
    fi_node_input(g, node, b);
    return node;
}

/* grad of a repeated b (+)= sign * the sum over its repetitions of the node's gradient, times `by` where given */
static void pass_summed(fi_graph *g, const fi_node *node, fi_node *b, const float *by)
{
    if (!fi_needs(b)) return;
    bool add = fi_grad_begin(b);
    fi_column_sums(fi_graph_engine(g), b->grad, node->grad, by, 1, node->size / b->size, b->size, node->saved, add);
}

static void add_forward(fi_graph *g, fi_node *node)
{
    const fi_node *a = node->in[0], *b = node->in[1];
    start(g, (run){.y = node->value, .a = a->value, .b = b->value, .period = b->size}, node->size, sum_chunk);
}

static void add_backward(fi_graph *g, fi_node *node)
{
    fi_node *b = node->in[1];
    pass_scaled(g, node, node->in[0], 1.0f);
    if (b->size == node->size)
        pass_scaled(g, node, b, 1.0f);
    else
        pass_summed(g, node, b, NULL);
}

fi_node *fi_add(fi_graph *g, fi_node *a, fi_node *b)
{
    static const fi_op op = {"add", add_forward, add_backward, 0, true, false};
    return binary(g, &op, a, b);
}

fi_node *fi_sub(fi_graph *g, fi_node *a, fi_node *b)
{
    return fi_add(g, a, fi_affine(g, b, -1.0f, 0.0f));
}

static void mul_forward(fi_graph *g, fi_node *node)
{
    const fi_node *a = node->in[0], *b = node->in[1];
    start(g, (run){.y = node->value, .a = a->value, .b = b->value, .period = b->size}, node->size, product_chunk);
}

/* grad of `in` (+)= the node's gradient * by, repeated after `period` */
static void pass_product(fi_graph *g, const fi_node *node, fi_node *in, const float *by, size_t period)
{
    if (!fi_needs(in)) return;
    run r = {.add = fi_grad_begin(in), .y = in->grad, .a = node->grad, .b = by, .period = period};
    start(g, r, node->size, product_chunk);
}

static void mul_backward(fi_graph *g, fi_node *node)
{
    fi_node *a = node->in[0], *b = node->in[1];
    pass_product(g, node, a, b->value, b->size);
    if (b->size == node->size)
        pass_product(g, node, b, a->value, a->size);
    else
        pass_summed(g, node, b, a->value);
}

fi_node *fi_mul(fi_graph *g, fi_node *a, fi_node *b)
{
    static const fi_op op = {"mul", mul_forward, mul_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), true, false};
    return binary(g, &op, a, b);
}

/* ---- affine; gradients of another size than their values ---- */

typedef struct affine_attr {
    float scale, shift, back;
} affine_attr;

static void affine_forward(fi_graph *g, fi_node *node)
{
    const affine_attr *attr = node->attr;
    run r = {.y = node->value, .a = node->in[0]->value, .scale = attr->scale, .shift = attr->shift};
    start(g, r, node->size, affine_chunk);
}

static void affine_backward(fi_graph *g, fi_node *node)
{
    pass_scaled(g, node, node->in[0], ((const affine_attr *)node->attr)->back);
}

static fi_node *affine(fi_graph *g, fi_node *x, affine_attr how)
{
    static const fi_op op = {"affine", affine_forward, affine_backward, 0, true, false};
    fi_node *node = x ? fi_node_new(g, &op, x->n_dims, x->shape, sizeof how) : NULL;
    if (!node) return NULL;
    *(affine_attr *)node->attr = how;
    fi_node_input(g, node, x);
    return node;
}

fi_node *fi_affine(fi_graph *g, fi_node *x, float scale, float shift)
{
    return affine(g, x, (affine_attr){scale, shift, scale});
}

fi_node *fi_scale_grad(fi_graph *g, fi_node *x, float factor)
{
    return affine(g, x, (affine_attr){1.0f, 0.0f, factor});
}

/* ---- activations ---- */

static void activate_chunk(void *user, size_t from, size_t to, float *scratch)
{
    const run *r = user;
    (void)scratch;
    fi_vectors_best()->activate(r->act, r->a + from, r->y + from, to - from);
}

static void activate_back_chunk(void *user, size_t from, size_t to, float *scratch)
{
    const run *r = user;
    (void)scratch;
    fi_vectors_best()->activate_back(r->act, r->b + from, r->a + from, r->y + from, to - from, r->add);
}

static void activate_forward(fi_graph *g, fi_node *node)
{
    run r = {.y = node->value, .a = node->in[0]->value, .act = *(const fi_activation *)node->attr};
    start(g, r, node->size, activate_chunk);
}

static void activate_backward(fi_graph *g, fi_node *node)
{
    fi_node *x = node->in[0];
    run r = {.act = *(const fi_activation *)node->attr, .add = fi_grad_begin(x), .y = x->grad, .a = node->grad};
    r.b = r.act == FI_RELU ? node->value : x->value;
    start(g, r, node->size, activate_back_chunk);
}

fi_node *fi_activate(fi_graph *g, fi_node *x, fi_activation act)
{
    static const fi_op op = {"activation", activate_forward, activate_backward, FI_KEEP_IN(0), true, false};
    static const fi_op relu = {"relu", activate_forward, activate_backward, FI_KEEP_OUT, true, false}; /* in place */
    if (!x || act == FI_LINEAR) return x;
    fi_node *node = fi_node_new(g, act == FI_RELU ? &relu : &op, x->n_dims, x->shape, sizeof act);
    if (!node) return NULL;
    *(fi_activation *)node->attr = act;
    fi_node_input(g, node, x);
    return node;
}

/* ---- gated linear units: [.., 2 d] -> act(first d) * gate(last d) ---- */

typedef struct glu_attr {
    fi_activation act, gate;
} glu_attr;

typedef struct glu_run {
    const fi_row_kernels *k;
    const fi_vectors *v;
    const fi_node *node;
    bool add;
} glu_run;

static void glu_rows(void *user, size_t from, size_t to, float *scratch)
{
    const glu_run *r = user;
    const glu_attr *attr = r->node->attr;
    size_t d = fi_last_dim(r->node);
    for (size_t i = from; i < to; i++) {
        const float *x = r->node->in[0]->value + i * 2 * d;
        float *y = r->node->value + i * d;
        r->v->activate(attr->gate, x + d, scratch, d);
        r->v->activate(attr->act, x, y, d);
        r->k->product(y, y, scratch, d, false);
    }
}

/* dx (+)= dy other act'(x), where other = f(z) is the other half */
static void glu_half_back(const glu_run *r, fi_activation act, const float *x, fi_activation f, const float *z,
                          const float *dy, float *dx, float *product, size_t d)
{
    r->v->activate(f, z, product, d);
    r->k->product(product, product, dy, d, false);
    r->v->activate_back(act, x, product, dx, d, r->add);
}

static void glu_rows_back(void *user, size_t from, size_t to, float *scratch)
{
    const glu_run *r = user;
    const glu_attr *attr = r->node->attr;
    size_t d = fi_last_dim(r->node);
    for (size_t i = from; i < to; i++) {
        const float *x = r->node->in[0]->value + i * 2 * d, *dy = r->node->grad + i * d;
        float *dx = r->node->in[0]->grad + i * 2 * d;
        glu_half_back(r, attr->act, x, attr->gate, x + d, dy, dx, scratch, d);
        glu_half_back(r, attr->gate, x + d, attr->act, x, dy, dx + d, scratch, d);
    }
}

static void glu_forward(fi_graph *g, fi_node *node)
{
    glu_run r = {fi_rows_best(), fi_vectors_best(), node, false};
    fi_each_chunk(fi_graph_engine(g), fi_n_rows(node), fi_row_grain(2 * fi_last_dim(node)), glu_rows, &r);
}

static void glu_backward(fi_graph *g, fi_node *node)
{
    glu_run r = {fi_rows_best(), fi_vectors_best(), node, fi_grad_begin(node->in[0])};
    fi_each_chunk(fi_graph_engine(g), fi_n_rows(node), fi_row_grain(2 * fi_last_dim(node)), glu_rows_back, &r);
}

fi_node *fi_glu(fi_graph *g, fi_node *x, fi_activation act, fi_activation gate)
{
    static const fi_op op = {"glu", glu_forward, glu_backward, FI_KEEP_IN(0), false, false};
    if (!x) return NULL;
    size_t d = fi_last_dim(x) / 2, shape[FI_MAX_DIMS];
    if (x->n_dims < 1 || fi_last_dim(x) % 2 || d > FI_SCRATCH_BYTES / sizeof(float))
        return fi_fail_shapes(g, "glu", x, NULL, "the last dimension is to be even, and at most 2,097,152");
    for (int i = 0; i < x->n_dims; i++) shape[i] = x->shape[i];
    shape[x->n_dims - 1] = d;
    fi_node *node = fi_node_new(g, &op, x->n_dims, shape, sizeof(glu_attr));
    if (!node) return NULL;
    *(glu_attr *)node->attr = (glu_attr){act, gate};
    fi_node_input(g, node, x);
    return node;
}

/* ---- dropout: the mask is computed again in the backward pass, so nothing is kept ---- */

static void dropout_chunk(void *user, size_t from, size_t to, float *scratch)
{
    const run *r = user;
    (void)scratch;
    r->k->dropout(r->y + from, r->a + from, r->mask, from, to - from, r->add);
}

static void run_dropout(fi_graph *g, const fi_node *node, float *y, const float *x, bool add)
{
    fi_dropout_mask mask = fi_dropout_of(g, node, *(const float *)node->attr);
    start(g, (run){.y = y, .a = x, .add = add, .mask = &mask}, node->size, dropout_chunk);
}

static void dropout_forward(fi_graph *g, fi_node *node)
{
    run_dropout(g, node, node->value, node->in[0]->value, false);
}

static void dropout_backward(fi_graph *g, fi_node *node)
{
    bool add = fi_grad_begin(node->in[0]);
    run_dropout(g, node, node->in[0]->grad, node->grad, add);
}

fi_node *fi_dropout(fi_graph *g, fi_node *x, float p)
{
    static const fi_op op = {"dropout", dropout_forward, dropout_backward, 0, true, false};
    if (!x || !fi_graph_training(g) || p == 0.0f) return x;
    if (!(p > 0.0f && p < 1.0f)) return fi_graph_fail(g, "dropout: %g is not in [0, 1)", (double)p);
    fi_node *node = fi_node_new(g, &op, x->n_dims, x->shape, sizeof p);
    if (!node) return NULL;
    *(float *)node->attr = p;
    fi_node_input(g, node, x);
    return node;
}

/* ---- feature-wise linear modulation (Perez et al. 2018): y = scale x + shift per channel ---- */

typedef struct film_run {
    const fi_row_kernels *k;
    float *y;
    const float *x;
    const fi_node *scale, *shift; /* [n or 1, c] or NULL */
    size_t positions, c;
    bool add;
} film_run;

/* The row of `by` for a row of x. */
static const float *film_row(const film_run *r, const fi_node *by, size_t row)
{
    return by->value + (by->size == r->c ? 0 : row / r->positions * r->c);
}

static void film_rows(void *user, size_t from, size_t to, float *scratch)
{
    const film_run *r = user;
    (void)scratch;
    for (size_t i = from; i < to; i++) {
        const float *x = r->x + i * r->c;
        float *y = r->y + i * r->c;
        if (r->scale) r->k->product(y, x, film_row(r, r->scale, i), r->c, r->add);
        if (r->shift) r->k->sum(y, r->scale ? y : x, film_row(r, r->shift, i), r->c);
        if (!r->scale && !r->shift) r->k->affine(y, x, 1.0f, 0.0f, r->c, r->add);
    }
}

static void run_film(fi_graph *g, const fi_node *node, film_run r)
{
    r.k = fi_rows_best();
    r.c = fi_last_dim(node);
    r.positions = node->shape[0] ? fi_n_rows(node) / node->shape[0] : 0;
    fi_each_chunk(fi_graph_engine(g), fi_n_rows(node), fi_row_grain(r.c), film_rows, &r);
}

static void film_forward(fi_graph *g, fi_node *node)
{
    run_film(g, node,
             (film_run){.y = node->value, .x = node->in[0]->value, .scale = node->in[1], .shift = node->in[2]});
}

/* grad of scale or shift (+)= the sums over positions (and, where there is one row, samples) of dy (times x) */
static void film_pass_summed(fi_graph *g, const fi_node *node, fi_node *in, const float *x)
{
    if (!fi_needs(in)) return;
    size_t c = fi_last_dim(node), groups = in->size / c;
    bool add = fi_grad_begin(in);
    fi_column_sums(fi_graph_engine(g), in->grad, node->grad, x, groups, fi_n_rows(node) / groups, c, node->saved, add);
}

static void film_backward(fi_graph *g, fi_node *node)
{
    fi_node *x = node->in[0];
    film_pass_summed(g, node, node->in[1], x->value);
    film_pass_summed(g, node, node->in[2], NULL);
    if (!fi_needs(x)) return;
    bool add = fi_grad_begin(x);
    run_film(g, node, (film_run){.y = x->grad, .x = node->grad, .scale = node->in[1], .add = add});
}

static bool film_fits(fi_graph *g, const fi_node *x, fi_node *node, fi_node *by)
{
    size_t c = fi_last_dim(x), rows = by ? fi_n_rows(by) : 1;
    if (rows == 0 || (by && (fi_last_dim(by) != c || (rows != 1 && rows != x->shape[0])))) {
        fi_fail_shapes(g, "film", x, by, "scale and shift are to be [n or 1, channels]");
        return false;
    }
    size_t parts = fi_column_parts(rows, fi_n_rows(x) / rows, c);
    if (parts > node->n_saved) node->n_saved = parts;
    fi_node_input(g, node, by);
    return true;
}

fi_node *fi_film(fi_graph *g, fi_node *x, fi_node *scale, fi_node *shift)
{
    static const fi_op op = {"film", film_forward, film_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), true, false};
    fi_node *node = x ? fi_node_new(g, &op, x->n_dims, x->shape, 0) : NULL;
    if (!node) return NULL;
    fi_node_input(g, node, x);
    return film_fits(g, x, node, scale) && film_fits(g, x, node, shift) ? node : NULL;
}
