#include "tensor/op.h"
#include "tensor/ops.h"

#include "tensor/vector.h"

#include <math.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- softmax ---- */

enum { ROWS_PER_TASK = 32 };

typedef struct softmax_run {
    const fi_node *node;
    const float *x, *mask, *y, *dy;
    float *out;
    size_t rows, n, rows_per_mask;
    bool add;
} softmax_run;

static void softmax_rows(void *user, size_t task, float *scratch)
{
    (void)scratch;
    const softmax_run *r = user;
    const fi_vectors *v = fi_vectors_best();
    for (size_t i = task * ROWS_PER_TASK; i < least((task + 1) * ROWS_PER_TASK, r->rows); i++)
        v->softmax(r->x + i * r->n, r->mask ? r->mask + i / r->rows_per_mask * r->n : NULL, r->out + i * r->n, r->n);
}

static void softmax_rows_back(void *user, size_t task, float *scratch)
{
    (void)scratch;
    const softmax_run *r = user;
    const fi_vectors *v = fi_vectors_best();
    for (size_t i = task * ROWS_PER_TASK; i < least((task + 1) * ROWS_PER_TASK, r->rows); i++)
        v->softmax_back(r->y + i * r->n, r->dy + i * r->n, r->out + i * r->n, r->n, r->add);
}

static void softmax_forward(fi_graph *g, fi_node *node)
{
    const fi_node *x = node->in[0], *mask = node->in[1];
    size_t n = node->shape[node->n_dims - 1], rows = n ? node->size / n : 0;
    softmax_run r = {.x = x->value,
                     .mask = mask ? mask->value : NULL,
                     .out = node->value,
                     .rows = rows,
                     .n = n,
                     .rows_per_mask = mask && rows ? rows / node->shape[0] : 1};
    fi_engine_run(fi_graph_engine(g), (rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, softmax_rows, &r);
}

static void softmax_backward(fi_graph *g, fi_node *node)
{
    fi_node *x = node->in[0];
    if (!fi_needs(x)) return;
    size_t n = node->shape[node->n_dims - 1], rows = n ? node->size / n : 0;
    softmax_run r = {.y = node->value, .dy = node->grad, .rows = rows, .n = n, .add = fi_grad_begin(x)};
    r.out = x->grad;
    fi_engine_run(fi_graph_engine(g), (rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, softmax_rows_back, &r);
}

static const fi_op softmax_op = {"softmax", softmax_forward, softmax_backward, FI_KEEP_OUT, true, false};

fi_node *fi_softmax(fi_graph *g, fi_node *x, fi_node *key_mask)
{
    if (!x) return NULL;
    size_t n = x->shape[x->n_dims ? x->n_dims - 1 : 0];
    if (key_mask &&
        (x->n_dims < 2 || key_mask->n_dims != 2 || key_mask->shape[0] != x->shape[0] || key_mask->shape[1] != n))
        return fi_graph_fail(g, "softmax: a mask of [%zu, %zu] does not fit rows of %zu in a batch of %zu",
                             key_mask->shape[0], key_mask->shape[1], n, x->shape[0]);
    fi_node *node = fi_node_new(g, &softmax_op, x->n_dims, x->shape, 0);
    fi_node_input(g, node, x);
    fi_node_input(g, node, key_mask);
    return node;
}

/* ---- attention ---- */

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_BIAS };

typedef struct attend {
    fi_attention s;
    size_t n, n_q, n_k, d, dv; /* with groups: n rows and n_q = n_k = positions */
    size_t distances;          /* of the bias of one head */
    float *bias;               /* [heads, distances + FI_HEAD_PAD] each head's bias in falling order of key - query */
    size_t *runs, n_runs;      /* with groups, [n + 1]: where each run of equal ids begins */
    fi_dropout_mask mask;      /* of this run, where s.dropout is not 0 */
} attend;

/* Head `which` of batch i, or of run i at one position. */
static fi_head head_of(const fi_node *node, size_t i, size_t position, size_t which)
{
    const attend *a = node->attr;
    const bool grouped = a->s.groups;
    const size_t heads = a->s.heads, wide = grouped ? a->n_q : 1; /* rows from one query to the next */
    const size_t row = grouped ? a->runs[i] * wide + position : i * a->n_q, key_row = grouped ? row : i * a->n_k;
    fi_head h = {
        .n_q = grouped ? a->runs[i + 1] - a->runs[i] : a->n_q,
        .n_k = grouped ? a->runs[i + 1] - a->runs[i] : a->n_k,
        .d = a->d,
        .dv = a->dv,
        .first = a->s.first ? *a->s.first : 0,
        .q = node->in[IN_Q]->value + (row * heads + which) * a->d,
        .k = node->in[IN_K]->value + (key_row * heads + which) * a->d,
        .v = node->in[IN_V]->value + (key_row * heads + which) * a->dv,
        .mask = node->in[IN_MASK] ? node->in[IN_MASK]->value + key_row : NULL,
        .bias = a->bias ? a->bias + which * (a->distances + FI_HEAD_PAD) + a->n_k - 1 : NULL,
        .ld_q = wide * heads * a->d,
        .ld_k = wide * heads * a->d,
        .ld_v = wide * heads * a->dv,
        .ld_mask = wide,
        .scale = a->s.scale,
        .causal = a->s.causal,
        .out = node->value + (row * heads + which) * a->dv,
        .ld_out = wide * heads * a->dv,
        .lse = node->saved ? node->saved + (grouped ? row * heads + which : (i * heads + which) * a->n_q) : NULL,
        .ld_lse = grouped ? wide * heads : 1,
    };
    if (a->s.n_keys) h.n_k = least(h.n_k, *a->s.n_keys);
    if (a->s.dropout > 0) {
        const size_t most_q = grouped ? a->n : a->n_q, most_k = grouped ? a->n : a->n_k;
        h.dropout = &a->mask;
        h.dropout_ld = (most_q + 15) / 16 * 16;
        h.dropout_from = (grouped ? row * heads + which : i * heads + which) * ((most_k + 7) / 8) * h.dropout_ld;
    }
    return h;
}

typedef struct attend_run {
    const fi_node *node;
    const fi_attention_kernels *plain, *best; /* with float products, and with those of the graph's type */
    size_t parts, step;                       /* tasks of one head, and the queries of each */
    float *bias_parts;                        /* [n, heads, distances + FI_HEAD_PAD] as attend.bias */
    bool add_bias;
} attend_run;

static attend_run run_of(const fi_graph *g, const fi_node *node)
{
    return (attend_run){
        .node = node, .plain = fi_attention_best(FI_F32), .best = fi_attention_best(fi_graph_product_type(g))};
}

/* Few queries, or a narrow head, leave most of a matrix unit empty. */
static const fi_attention_kernels *kernels_for(const attend_run *r, const fi_head *h)
{
    enum { FEW = 8, NARROW = 16 };
    return h->n_q <= FEW || h->d < NARROW || h->dv < NARROW ? r->plain : r->best;
}

static void attend_task(void *user, size_t task, float *scratch)
{
    const attend_run *r = user;
    const attend *a = r->node->attr;
    const size_t from = task % r->parts * r->step, to = least(from + r->step, a->n_q), head = task / r->parts;
    fi_head h = head_of(r->node, head / a->s.heads, 0, head % a->s.heads);
    if (from < to) kernels_for(r, &h)->attend(&h, from, to, scratch);
}

static void attend_group_task(void *user, size_t task, float *scratch)
{
    const attend_run *r = user;
    const attend *a = r->node->attr;
    for (size_t which = 0; which < a->s.heads; which++) {
        fi_head h = head_of(r->node, task / a->n_q, task % a->n_q, which);
        kernels_for(r, &h)->attend(&h, 0, h.n_q, scratch);
    }
}

/* Equal ids are neighbours: finds where they change. */
static void find_runs(attend *a)
{
    a->n_runs = 0;
    for (size_t i = 0; i < a->n; i++)
        if (i == 0 || a->s.groups[i] != a->s.groups[i - 1]) a->runs[a->n_runs++] = i;
    a->runs[a->n_runs] = a->n;
}

/* Cuts the queries of a head into as many tasks as the threads need; what a task computes does not depend on that. */
static void cut_queries(attend_run *r, const attend *a, size_t n_threads)
{
    const size_t block = kernels_for(r, &(fi_head){.n_q = a->n_q, .d = a->d, .dv = a->dv})->queries;
    const size_t blocks = (a->n_q + block - 1) / block, heads = a->n * a->s.heads;
    const size_t wanted = heads >= 4 * n_threads ? 1 : (4 * n_threads + heads - 1) / (heads ? heads : 1);
    r->parts = wanted < blocks / 2 ? wanted
               : blocks / 2        ? blocks / 2
                                   : 1; /* two blocks share what is copied for both */
    r->step = (blocks + r->parts - 1) / r->parts * block;
}

static void attend_forward(fi_graph *g, fi_node *node)
{
    attend *a = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    const fi_node *bias = node->in[IN_BIAS];
    attend_run r = run_of(g, node);
    if (a->s.dropout > 0) a->mask = fi_dropout_of(g, node, a->s.dropout);
    if (a->s.groups) {
        find_runs(a);
        fi_engine_run(engine, a->n_runs * a->n_q, attend_group_task, &r);
        return;
    }
    for (size_t h = 0; bias && h < a->s.heads; h++)
        for (size_t i = 0; i < a->distances; i++)
            a->bias[h * (a->distances + FI_HEAD_PAD) + i] = bias->value[(h + 1) * a->distances - 1 - i];
    cut_queries(&r, a, engine->n_threads);
    fi_engine_run(engine, a->n * a->s.heads * r.parts, attend_task, &r);
}

static void attend_head_back(const attend_run *r, size_t i, size_t position, size_t which, float *scratch)
{
    const fi_node *node = r->node, *q = node->in[IN_Q], *k = node->in[IN_K], *v = node->in[IN_V];
    const attend *a = node->attr;
    fi_head h = head_of(node, i, position, which);
    h.dout = node->grad + (h.out - node->value);
    if (fi_needs(q)) h.dq = q->grad + (h.q - q->value);
    if (fi_needs(k)) h.dk = k->grad + (h.k - k->value);
    if (fi_needs(v)) h.dv_ = v->grad + (h.v - v->value);
    if (r->bias_parts) h.dbias = r->bias_parts + (i * a->s.heads + which) * (a->distances + FI_HEAD_PAD) + a->n_k - 1;
    kernels_for(r, &h)->attend_back(&h, scratch);
}

static void attend_task_back(void *user, size_t task, float *scratch)
{
    const attend_run *r = user;
    const attend *a = r->node->attr;
    attend_head_back(r, task / a->s.heads, 0, task % a->s.heads, scratch);
}

static void attend_group_task_back(void *user, size_t task, float *scratch)
{
    const attend_run *r = user;
    const attend *a = r->node->attr;
    for (size_t which = 0; which < a->s.heads; which++)
        attend_head_back(r, task / a->n_q, task % a->n_q, which, scratch);
}

/* The bias of one head gathers over the batch, in the order of the batch. */
static void gather_bias(void *user, size_t which, float *scratch)
{
    (void)scratch;
    const attend_run *r = user;
    const attend *a = r->node->attr;
    const size_t n = a->distances;
    float *to = r->node->in[IN_BIAS]->grad + which * n;
    if (!r->add_bias) memset(to, 0, n * sizeof *to);
    for (size_t i = 0; i < a->n; i++) {
        const float *part = r->bias_parts + (i * a->s.heads + which) * (n + FI_HEAD_PAD);
        for (size_t j = 0; j < n; j++) to[j] += part[n - 1 - j];
    }
}

static void attend_backward(fi_graph *g, fi_node *node)
{
    const attend *a = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    fi_node *bias = node->in[IN_BIAS];
    attend_run r = run_of(g, node);
    for (int i = IN_Q; i <= IN_V; i++) { /* the heads add: some of the three may be one node */
        fi_node *in = node->in[i];
        if (fi_needs(in) && !fi_grad_begin(in)) memset(in->grad, 0, in->size * sizeof(float));
    }
    if (a->s.groups) {
        fi_engine_run(engine, a->n_runs * a->n_q, attend_group_task_back, &r);
        return;
    }
    if (fi_needs(bias)) {
        r.bias_parts = node->saved + a->n * a->s.heads * a->n_q;
        memset(r.bias_parts, 0, a->n * a->s.heads * (a->distances + FI_HEAD_PAD) * sizeof(float));
    }
    fi_engine_run(engine, a->n * a->s.heads, attend_task_back, &r);
    if (!fi_needs(bias)) return;
    r.add_bias = fi_grad_begin(bias);
    fi_engine_run(engine, a->s.heads, gather_bias, &r);
}

static const fi_op attend_op = {"attention",
                                attend_forward,
                                attend_backward,
                                FI_KEEP_OUT | FI_KEEP_IN(IN_Q) | FI_KEEP_IN(IN_K) | FI_KEEP_IN(IN_V) |
                                    FI_KEEP_IN(IN_MASK) | FI_KEEP_IN(IN_BIAS),
                                false,
                                false};

/* NULL, or what is wrong with the shapes. */
static const char *attend_misfit(const fi_node *q, const fi_node *k, const fi_node *v, const fi_node *mask,
                                 const fi_node *bias, const fi_attention *s)
{
    if (q->n_dims != 3 || k->n_dims != 3 || v->n_dims != 3) return "q, k and v have three dimensions";
    if (!s->heads || !q->shape[2] || q->shape[2] % s->heads || !v->shape[2] || v->shape[2] % s->heads)
        return "the last dimension is heads x width";
    if (q->shape[2] / s->heads > FI_HEAD_WIDTH || v->shape[2] / s->heads > FI_HEAD_WIDTH)
        return "a head is at most 1024 wide";
    if (q->shape[2] != k->shape[2]) return "q and k have equal widths";
    if (k->shape[0] != v->shape[0] || k->shape[1] != v->shape[1]) return "every key has a value";
    if (q->shape[0] != k->shape[0]) return "q and k have equal batches";
    if (!k->shape[1]) return "there is a key";
    if (mask && (mask->n_dims != 2 || mask->shape[0] != k->shape[0] || mask->shape[1] != k->shape[1]))
        return "a mask is [batch, keys]";
    if (s->groups)
        return bias || s->causal || s->first || s->n_keys || q->shape[1] != k->shape[1]
                   ? "attention along the first dimension has neither bias nor order nor cache"
                   : NULL;
    size_t length = s->first ? 2 * k->shape[1] - 1 : q->shape[1] + k->shape[1] - 1;
    if (bias && (bias->n_dims != 2 || bias->shape[0] != s->heads || bias->shape[1] != length))
        return "a relative bias is [heads, distances]";
    return NULL;
}

fi_node *fi_attend(fi_graph *g, fi_node *q, fi_node *k, fi_node *v, fi_node *key_mask, fi_node *rel_bias,
                   const fi_attention *settings)
{
    if (!q || !k || !v) return NULL;
    if (!(settings->dropout >= 0 && settings->dropout < 1))
        return fi_graph_fail(g, "attention: a dropout of %g is not in [0, 1)", (double)settings->dropout);
    const char *misfit = attend_misfit(q, k, v, key_mask, rel_bias, settings);
    if (misfit)
        return fi_graph_fail(g,
                             "attention of %zu heads over q [%zu, %zu, %zu], k [%zu, %zu, %zu], v [%zu, %zu, %zu], "
                             "mask [%zu, %zu], bias [%zu, %zu]: %s",
                             settings->heads, q->shape[0], q->shape[1], q->shape[2], k->shape[0], k->shape[1],
                             k->shape[2], v->shape[0], v->shape[1], v->shape[2], key_mask ? key_mask->shape[0] : 0,
                             key_mask ? key_mask->shape[1] : 0, rel_bias ? rel_bias->shape[0] : 0,
                             rel_bias ? rel_bias->shape[1] : 0, misfit);
    size_t shape[3] = {q->shape[0], q->shape[1], v->shape[2]};
    const size_t heads = settings->heads, n_runs = settings->groups ? q->shape[0] + 1 : 0;
    const size_t distances = !rel_bias ? 0 : rel_bias->shape[1], n_bias = rel_bias ? distances + FI_HEAD_PAD : 0;
    fi_node *node =
        fi_node_new(g, &attend_op, 3, shape, sizeof(attend) + n_runs * sizeof(size_t) + heads * n_bias * sizeof(float));
    if (!node) return NULL;
    attend *a = node->attr;
    *a = (attend){.s = *settings,
                  .n = q->shape[0],
                  .n_q = q->shape[1],
                  .n_k = k->shape[1],
                  .d = q->shape[2] / heads,
                  .dv = v->shape[2] / heads,
                  .distances = distances};
    if (!fi_graph_training(g)) a->s.dropout = 0;
    a->runs = (size_t *)(a + 1);
    if (rel_bias) a->bias = (float *)(a->runs + n_runs);
    fi_node_input(g, node, q);
    fi_node_input(g, node, k);
    fi_node_input(g, node, v);
    fi_node_input(g, node, key_mask);
    fi_node_input(g, node, rel_bias);
    node->n_saved = a->n * heads * (a->n_q + n_bias);
    return node;
}

/* ---- T5's relative positions ---- */

typedef struct relative {
    size_t heads, n;
    int32_t bucket[]; /* [n] of each distance */
} relative;

/* In float, as transformers computes it: another rounding would move some distances to the next bucket. */
static int32_t bucket_of(long distance, size_t buckets, bool bidirectional, size_t max_distance)
{
    size_t half = bidirectional ? buckets / 2 : buckets, exact = half / 2;
    size_t base = bidirectional && distance > 0 ? half : 0;
    size_t away = distance < 0 ? (size_t)-distance : bidirectional ? (size_t)distance : 0;
    if (away < exact) return (int32_t)(base + away);
    float steps =
        logf((float)away / (float)exact) / (float)log((double)max_distance / (double)exact) * (float)(half - exact);
    return (int32_t)(base + least(exact + (size_t)steps, half - 1));
}

static void relative_forward(fi_graph *g, fi_node *node)
{
    (void)g;
    const relative *a = node->attr;
    const float *table = node->in[0]->value;
    for (size_t h = 0; h < a->heads; h++)
        for (size_t i = 0; i < a->n; i++) node->value[h * a->n + i] = table[(size_t)a->bucket[i] * a->heads + h];
}

static void relative_backward(fi_graph *g, fi_node *node)
{
    (void)g;
    const relative *a = node->attr;
    fi_node *table = node->in[0];
    if (!fi_needs(table)) return;
    if (!fi_grad_begin(table)) memset(table->grad, 0, table->size * sizeof(float));
    for (size_t h = 0; h < a->heads; h++)
        for (size_t i = 0; i < a->n; i++) table->grad[(size_t)a->bucket[i] * a->heads + h] += node->grad[h * a->n + i];
}

static const fi_op relative_op = {"relative bias", relative_forward, relative_backward, 0, false, false};

fi_node *fi_relative_bias(fi_graph *g, fi_node *table, size_t n_q, size_t n_k, bool bidirectional, size_t max_distance)
{
    if (!table) return NULL;
    size_t buckets = table->shape[0], exact = buckets / (bidirectional ? 4 : 2);
    if (table->n_dims != 2 || exact < 1 || max_distance <= exact || !n_q || !n_k)
        return fi_graph_fail(g, "relative bias: %zu buckets for distances up to %zu of %zu queries and %zu keys",
                             buckets, max_distance, n_q, n_k);
    size_t n = n_q + n_k - 1, heads = table->shape[1], shape[2] = {heads, n};
    fi_node *node = fi_node_new(g, &relative_op, 2, shape, sizeof(relative) + n * sizeof(int32_t));
    if (!node) return NULL;
    relative *a = node->attr;
    a->heads = heads;
    a->n = n;
    for (size_t i = 0; i < n; i++)
        a->bucket[i] = bucket_of((long)i - (long)(n_q - 1), buckets, bidirectional, max_distance);
    fi_node_input(g, node, table);
    return node;
}

/* ---- rotary positions ---- */

typedef struct rope {
    size_t heads, d;
    const size_t *first;
    bool filled;
    size_t at;     /* position of the first row of the table, once filled */
    float table[]; /* [n, d / 2] cosines and sines, then [d / 2] frequencies */
} rope;

static void fill_table(rope *a, size_t n)
{
    const size_t half = a->d / 2, first = a->first ? *a->first : 0;
    const float *frequency = a->table + n * a->d;
    if (a->filled && a->at == first) return;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < half; j++) {
            float angle = (float)(first + i) * frequency[j];
            a->table[i * a->d + j] = cosf(angle);
            a->table[i * a->d + half + j] = sinf(angle);
        }
    a->at = first;
    a->filled = true;
}

typedef struct rope_run {
    const rope *a;
    const float *x;
    float *y;
    size_t n;   /* rows of one batch */
    float sign; /* -1 turns back */
    bool add;
} rope_run;

/* Row `task` of [b, n]. */
static void rope_row(void *user, size_t task, float *scratch)
{
    (void)scratch;
    const rope_run *r = user;
    const size_t d = r->a->d, half = d / 2;
    const float *cosine = r->a->table + task % r->n * d, *sine = cosine + half;
    for (size_t h = 0; h < r->a->heads; h++) {
        const float *x = r->x + (task * r->a->heads + h) * d;
        float *y = r->y + (task * r->a->heads + h) * d;
        for (size_t j = 0; j < half; j++) {
            float c = cosine[j], s = r->sign * sine[j], low = x[j], high = x[half + j];
            float to_low = low * c - high * s, to_high = high * c + low * s;
            y[j] = r->add ? y[j] + to_low : to_low;
            y[half + j] = r->add ? y[half + j] + to_high : to_high;
        }
    }
}

static void rope_forward(fi_graph *g, fi_node *node)
{
    fill_table(node->attr, node->shape[1]);
    rope_run r = {node->attr, node->in[0]->value, node->value, node->shape[1], 1.0f, false};
    fi_engine_run(fi_graph_engine(g), node->shape[0] * node->shape[1], rope_row, &r);
}

static void rope_backward(fi_graph *g, fi_node *node)
{
    fi_node *x = node->in[0];
    if (!fi_needs(x)) return;
    fill_table(node->attr, node->shape[1]);
    rope_run r = {node->attr, node->grad, NULL, node->shape[1], -1.0f, fi_grad_begin(x)};
    r.y = x->grad;
    fi_engine_run(fi_graph_engine(g), node->shape[0] * node->shape[1], rope_row, &r);
}

static const fi_op rope_op = {"rotary positions", rope_forward, rope_backward, 0, true, false};

fi_node *fi_rope(fi_graph *g, fi_node *x, size_t heads, float theta, const size_t *first)
{
    if (!x) return NULL;
    if (x->n_dims != 3 || !heads || x->shape[2] % (2 * heads))
        return fi_graph_fail(g, "rotary positions: [%zu, %zu, %zu] is not [batch, n, %zu heads x an even width]",
                             x->shape[0], x->shape[1], x->shape[2], heads);
    const size_t d = x->shape[2] / heads, half = d / 2;
    fi_node *node = fi_node_new(g, &rope_op, 3, x->shape, sizeof(rope) + (x->shape[1] * d + half) * sizeof(float));
    if (!node) return NULL;
    rope *a = node->attr;
    a->heads = heads;
    a->d = d;
    a->first = first;
    for (size_t j = 0; j < half; j++) /* in float, as PyTorch does: the angle of a far position is its rounding */
        a->table[x->shape[1] * d + j] = 1.0f / powf(theta, (float)(2 * j) / (float)d);
    fi_node_input(g, node, x);
    return node;
}
