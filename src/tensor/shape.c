#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/rows.h"

#include <string.h>

/* ---- views ---- */

static fi_node *view(fi_graph *g, fi_node *x, int n_dims, const size_t *shape, size_t offset)
{
    static const fi_op op = {.name = "view", .view = true};
    fi_node *node = fi_node_new(g, &op, n_dims, shape, 0);
    if (!node) return NULL;
    node->offset = offset;
    node->type = x->type;
    fi_node_input(g, node, x);
    return node;
}

fi_node *fi_reshape(fi_graph *g, fi_node *x, int n_dims, const size_t *shape)
{
    if (!x) return NULL;
    size_t size = 1;
    for (int i = 0; i < n_dims; i++) size *= shape[i];
    if (size != x->size) return fi_fail_shapes(g, "reshape", x, NULL, "the new shape has another size");
    return view(g, x, n_dims, shape, 0);
}

fi_node *fi_rows(fi_graph *g, fi_node *x, size_t from, size_t n)
{
    if (!x) return NULL;
    size_t shape[FI_MAX_DIMS], d = x->shape[0] ? x->size / x->shape[0] : 0;
    if (n > x->shape[0] || from > x->shape[0] - n)
        return fi_graph_fail(g, "rows: %zu .. %zu of %zu", from, from + n, x->shape[0]);
    memcpy(shape, x->shape, sizeof shape);
    shape[0] = n;
    return view(g, x, x->n_dims, shape, from * d);
}

/* ---- copies: an array seen as [outer, dim, inner], whose stretches of inner numbers stay together ---- */

/* y (+)= x for `n` stretches of `length`, which lie `step_y` and `step_x` apart. */
typedef struct copy {
    const fi_row_kernels *k;
    float *y;
    const float *x;
    size_t length, step_y, step_x;
    bool add;
} copy;

static void copy_stretches(void *user, size_t from, size_t to, float *scratch)
{
    const copy *c = user;
    (void)scratch;
    for (size_t i = from; i < to; i++) {
        float *y = c->y + i * c->step_y;
        const float *x = c->x + i * c->step_x;
        if (c->add)
            c->k->sum(y, y, x, c->length);
        else
            memcpy(y, x, c->length * sizeof *y);
    }
}

static void run_copy(fi_graph *g, size_t n, copy c)
{
    c.k = fi_rows_best();
    fi_each_chunk(fi_graph_engine(g), n, fi_row_grain(c.length), copy_stretches, &c);
}

/* Numbers behind dimension `dim`. */
static size_t inner_of(const fi_node *x, int dim)
{
    size_t inner = 1;
    for (int i = dim + 1; i < x->n_dims; i++) inner *= x->shape[i];
    return inner;
}

/* Room for one row of `dim` and all behind it. */
static size_t row_of(const fi_node *x, int dim)
{
    return x->shape[dim] * inner_of(x, dim);
}

static size_t n_of(const fi_node *x, int dim)
{
    size_t row = row_of(x, dim);
    return row ? x->size / row : 0;
}

static bool bad_dim(fi_graph *g, const char *op, const fi_node *x, int dim)
{
    if (dim >= 0 && dim < x->n_dims) return false;
    fi_fail_shapes(g, op, x, NULL, "there is no such dimension");
    return true;
}

/* ---- slice ---- */

typedef struct slice_attr {
    int dim;
    size_t from;
} slice_attr;

static void slice_forward(fi_graph *g, fi_node *node)
{
    const slice_attr *a = node->attr;
    const fi_node *x = node->in[0];
    size_t row = row_of(node, a->dim), row_x = row_of(x, a->dim);
    run_copy(g, n_of(node, a->dim),
             (copy){.y = node->value,
                    .x = x->value + a->from * inner_of(x, a->dim),
                    .length = row,
                    .step_y = row,
                    .step_x = row_x});
}

static void slice_backward(fi_graph *g, fi_node *node)
{
    const slice_attr *a = node->attr;
    fi_node *x = node->in[0];
    size_t row = row_of(node, a->dim), row_x = row_of(x, a->dim);
    if (!fi_grad_begin(x)) memset(x->grad, 0, x->size * sizeof *x->grad);
    run_copy(g, n_of(node, a->dim),
             (copy){.y = x->grad + a->from * inner_of(x, a->dim),
                    .x = node->grad,
                    .length = row,
                    .step_y = row_x,
                    .step_x = row,
                    .add = true});
}

fi_node *fi_slice(fi_graph *g, fi_node *x, int dim, size_t from, size_t n)
{
    static const fi_op op = {.name = "slice", .forward = slice_forward, .backward = slice_backward};
    if (!x || bad_dim(g, op.name, x, dim)) return NULL;
    if (n > x->shape[dim] || from > x->shape[dim] - n)
        return fi_graph_fail(g, "slice: %zu .. %zu of %zu", from, from + n, x->shape[dim]);
    size_t shape[FI_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    shape[dim] = n;
    fi_node *node = fi_node_new(g, &op, x->n_dims, shape, sizeof(slice_attr));
    if (!node) return NULL;
    *(slice_attr *)node->attr = (slice_attr){dim, from};
    fi_node_input(g, node, x);
    return node;
}

/* ---- concat ---- */

static void concat_forward(fi_graph *g, fi_node *node)
{
    int dim = *(const int *)node->attr;
    float *y = node->value;
    for (int i = 0; i < node->n_in; i++) {
        const fi_node *x = node->in[i];
        size_t row = row_of(x, dim);
        run_copy(g, n_of(x, dim),
                 (copy){.y = y, .x = x->value, .length = row, .step_y = row_of(node, dim), .step_x = row});
        y += row;
    }
}

static void concat_backward(fi_graph *g, fi_node *node)
{
    int dim = *(const int *)node->attr;
    const float *dy = node->grad;
    for (int i = 0; i < node->n_in; i++) {
        fi_node *x = node->in[i];
        size_t row = row_of(x, dim);
        if (fi_needs(x)) {
            bool add = fi_grad_begin(x);
            run_copy(
                g, n_of(x, dim),
                (copy){.y = x->grad, .x = dy, .length = row, .step_y = row, .step_x = row_of(node, dim), .add = add});
        }
        dy += row;
    }
}

fi_node *fi_concat(fi_graph *g, fi_node *const *parts, int n_parts, int dim)
{
    static const fi_op op = {.name = "concat", .forward = concat_forward, .backward = concat_backward};
    if (n_parts < 1 || n_parts > FI_MAX_INPUTS) return fi_graph_fail(g, "concat: 1 to %d parts", FI_MAX_INPUTS);
    size_t shape[FI_MAX_DIMS], total = 0;
    for (int i = 0; i < n_parts; i++) {
        if (!parts[i] || bad_dim(g, op.name, parts[i], dim)) return NULL;
        bool fits = parts[i]->n_dims == parts[0]->n_dims;
        for (int k = 0; k < FI_MAX_DIMS; k++) fits = fits && (k == dim || parts[i]->shape[k] == parts[0]->shape[k]);
        if (!fits) return fi_fail_shapes(g, op.name, parts[0], parts[i], "all other dimensions are to be equal");
        total += parts[i]->shape[dim];
    }
    memcpy(shape, parts[0]->shape, sizeof shape);
    shape[dim] = total;
    fi_node *node = fi_node_new(g, &op, parts[0]->n_dims, shape, sizeof dim);
    if (!node) return NULL;
    *(int *)node->attr = dim;
    for (int i = 0; i < n_parts; i++) fi_node_input(g, node, parts[i]);
    return node;
}

/* ---- transpose: [outer, a, middle, b, inner] -> [outer, b, middle, a, inner] ---- */

typedef struct transposition {
    const fi_row_kernels *k;
    float *y;
    const float *x;
    size_t a, middle, b, inner; /* of x */
    bool add;
} transposition;

enum { TILE = 16 }; /* a cache line of single numbers */

/* y[p][q] (+)= x[q][p] for single numbers. */
static void transpose_singles(float *restrict y, const float *restrict x, size_t n_p, size_t n_q, size_t ld_y,
                              size_t ld_x, bool add)
{
    for (size_t p = 0; p < n_p; p++)
        for (size_t q = 0; q < n_q; q++) y[p * ld_y + q] = add ? y[p * ld_y + q] + x[q * ld_x + p] : x[q * ld_x + p];
}

/* The same for pieces of `inner` numbers. */
static void transpose_tile(const transposition *t, float *y, const float *x, size_t n_p, size_t n_q, size_t ld_y,
                           size_t ld_x)
{
    if (t->inner == 1) {
        transpose_singles(y, x, n_p, n_q, ld_y, ld_x, t->add);
        return;
    }
    for (size_t p = 0; p < n_p; p++)
        for (size_t q = 0; q < n_q; q++) {
            float *to = y + p * ld_y + q * t->inner;
            const float *from = x + q * ld_x + p * t->inner;
            if (t->add)
                t->k->sum(to, to, from, t->inner);
            else
                memcpy(to, from, t->inner * sizeof *to);
        }
}

/* Planes from .. to of y, of [outer, b]: tiles of neighbouring planes, so that lines of memory are read and written whole. */
static void transpose_planes(void *user, size_t from, size_t to, float *scratch)
{
    const transposition *t = user;
    size_t plane = t->a * t->middle * t->inner, row = t->b * t->inner, n;
    (void)scratch;
    for (size_t i = from; i < to; i += n) {
        size_t left = t->b - i % t->b;
        n = to - i < left ? to - i : left;
        n = n < TILE ? n : TILE;
        const float *x = t->x + i / t->b * t->a * t->middle * row + i % t->b * t->inner;
        for (size_t m = 0; m < t->middle; m++)
            for (size_t a = 0; a < t->a; a += TILE)
                transpose_tile(t, t->y + i * plane + (m * t->a + a) * t->inner, x + (a * t->middle + m) * row, n,
                               t->a - a < TILE ? t->a - a : TILE, plane, t->middle * row);
    }
}

/* y (+)= x with two dimensions changed; the shape is that of x. */
static void run_transpose(fi_graph *g, float *y, const float *value, const fi_node *x, const int dim[2], bool add)
{
    transposition t = {fi_rows_best(), y, value, x->shape[dim[0]], 1, x->shape[dim[1]], inner_of(x, dim[1]), add};
    for (int i = dim[0] + 1; i < dim[1]; i++) t.middle *= x->shape[i];
    size_t plane = t.a * t.middle * t.inner;
    size_t tiles = (fi_row_grain(plane) + TILE - 1) / TILE;
    fi_each_chunk(fi_graph_engine(g), plane ? x->size / plane : 0, tiles * TILE, transpose_planes, &t);
}

static void transpose_forward(fi_graph *g, fi_node *node)
{
    run_transpose(g, node->value, node->in[0]->value, node->in[0], node->attr, false);
}

static void transpose_backward(fi_graph *g, fi_node *node)
{
    bool add = fi_grad_begin(node->in[0]);
    run_transpose(g, node->in[0]->grad, node->grad, node, node->attr, add);
}

fi_node *fi_transpose(fi_graph *g, fi_node *x, int dim_a, int dim_b)
{
    static const fi_op op = {.name = "transpose", .forward = transpose_forward, .backward = transpose_backward};
    if (!x || bad_dim(g, op.name, x, dim_a) || bad_dim(g, op.name, x, dim_b)) return NULL;
    if (dim_a == dim_b) return x;
    int dim[2] = {dim_a < dim_b ? dim_a : dim_b, dim_a < dim_b ? dim_b : dim_a};
    size_t shape[FI_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    shape[dim_a] = x->shape[dim_b];
    shape[dim_b] = x->shape[dim_a];
    fi_node *node = fi_node_new(g, &op, x->n_dims, shape, sizeof dim);
    if (!node) return NULL;
    memcpy(node->attr, dim, sizeof dim);
    fi_node_input(g, node, x);
    return node;
}

/* ---- repeat ---- */

static void repeat_forward(fi_graph *g, fi_node *node)
{
    const fi_node *x = node->in[0];
    size_t times = *(const size_t *)node->attr, d = row_of(node, 0) / node->shape[0];
    for (size_t t = 0; t < times; t++)
        run_copy(g, x->shape[0],
                 (copy){.y = node->value + t * d, .x = x->value, .length = d, .step_y = times * d, .step_x = d});
}

static void repeat_backward(fi_graph *g, fi_node *node)
{
    fi_node *x = node->in[0];
    bool add = fi_grad_begin(x);
    fi_column_sums(fi_graph_engine(g), x->grad, node->grad, NULL, x->shape[0], *(const size_t *)node->attr,
                   x->size / x->shape[0], node->saved, add);
}

fi_node *fi_repeat(fi_graph *g, fi_node *x, size_t times)
{
    static const fi_op op = {.name = "repeat", .forward = repeat_forward, .backward = repeat_backward};
    if (!x || times == 1) return x;
    if (times == 0 || x->size == 0) return fi_fail_shapes(g, op.name, x, NULL, "nothing to repeat");
    size_t shape[FI_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    shape[0] *= times;
    fi_node *node = fi_node_new(g, &op, x->n_dims, shape, sizeof times);
    if (!node) return NULL;
    *(size_t *)node->attr = times;
    node->n_saved = fi_column_parts(x->shape[0], times, x->size / x->shape[0]);
    fi_node_input(g, node, x);
    return node;
}

/* ---- embedding ---- */

static size_t row_of_id(const fi_node *table, int32_t id)
{
    return id >= 0 && (size_t)id < table->shape[0] ? (size_t)id : 0;
}

static void look_up(void *user, size_t from, size_t to, float *scratch)
{
    const fi_node *node = user, *table = node->in[0];
    size_t d = table->shape[1];
    (void)scratch;
    for (size_t i = from; i < to; i++)
        memcpy(node->value + i * d, table->value + row_of_id(table, fi_ids(node->in[1])[i]) * d, d * sizeof(float));
}

static void embedding_forward(fi_graph *g, fi_node *node)
{
    fi_each_chunk(fi_graph_engine(g), node->in[1]->size, fi_row_grain(node->in[0]->shape[1]), look_up, node);
}

typedef struct scatter {
    const fi_row_kernels *k;
    const fi_node *node;
} scatter;

/* Columns from .. to of the table's gradient: every number is summed in the order of the ids. */
static void add_to_table(void *user, size_t from, size_t to, float *scratch)
{
    const scatter *s = user;
    const fi_node *table = s->node->in[0];
    size_t d = table->shape[1];
    (void)scratch;
    for (size_t i = 0; i < s->node->in[1]->size; i++) {
        float *row = table->grad + row_of_id(table, fi_ids(s->node->in[1])[i]) * d + from;
        s->k->sum(row, row, s->node->grad + i * d + from, to - from);
    }
}

static void embedding_backward(fi_graph *g, fi_node *node)
{
    enum { COLUMNS = 64 };
    fi_node *table = node->in[0];
    scatter s = {fi_rows_best(), node};
    size_t d = table->shape[1];
    if (!fi_grad_begin(table)) memset(table->grad, 0, table->size * sizeof *table->grad);
    fi_each_chunk(fi_graph_engine(g), d, node->size <= FI_GRAIN ? d : COLUMNS, add_to_table, &s);
}

fi_node *fi_embedding(fi_graph *g, fi_node *table, fi_node *ids)
{
    static const fi_op op = {"embedding", embedding_forward, embedding_backward, FI_KEEP_IN(1), false, false};
    if (!table || !ids) return NULL;
    if (table->n_dims != 2 || table->size == 0 || ids->type != FI_I32 || ids->n_dims == FI_MAX_DIMS)
        return fi_fail_shapes(g, op.name, table, ids, "a table [rows, d] and integer ids are needed");
    size_t shape[FI_MAX_DIMS];
    memcpy(shape, ids->shape, sizeof shape);
    shape[ids->n_dims] = table->shape[1];
    fi_node *node = fi_node_new(g, &op, ids->n_dims + 1, shape, 0);
    fi_node_input(g, node, table);
    fi_node_input(g, node, ids);
    return node;
}

/* ---- store: a view of the cache, whose forward writes into it; what does not fit is left out ---- */

static void store_forward(fi_graph *g, fi_node *node)
{
    const fi_node *cache = node->in[0], *x = node->in[1];
    size_t at = **(const size_t *const *)node->attr, capacity = cache->shape[1], d = cache->shape[2];
    size_t n = at > capacity ? 0 : capacity - at < x->shape[1] ? capacity - at : x->shape[1];
    run_copy(g, x->shape[0],
             (copy){.y = cache->value + at * d,
                    .x = x->value,
                    .length = n * d,
                    .step_y = capacity * d,
                    .step_x = x->shape[1] * d});
}

fi_node *fi_store(fi_graph *g, fi_node *x, fi_node *cache, const size_t *at)
{
    static const fi_op op = {.name = "store", .forward = store_forward, .view = true};
    if (!x || !cache) return NULL;
    if (x->n_dims != 3 || cache->n_dims != 3 || x->shape[0] != cache->shape[0] || x->shape[2] != cache->shape[2] ||
        x->shape[1] > cache->shape[1])
        return fi_fail_shapes(g, op.name, x, cache, "[b, n, d] does not fit into [b, capacity, d]");
    fi_node *node = fi_node_new(g, &op, 3, cache->shape, sizeof at);
    if (!node) return NULL;
    *(const size_t **)node->attr = at;
    fi_node_input(g, node, cache);
    fi_node_input(g, node, x);
    node->needs_grad = false;
    return node;
}
