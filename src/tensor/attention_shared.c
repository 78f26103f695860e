/* Attention of a decoding step whose paths share what came before them. */
#include "tensor/ops.h"

#include "tensor/vector.h"

#include <math.h>

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_OWN_K, IN_OWN_V };

typedef struct shared {
    size_t b, paths, n, capacity, heads, d;
    float scale;
    const size_t *n_own;
    float *lse; /* [b, heads, paths] of the shared part */
} shared;

/*
 * One head of all paths of a series. The part that is shared is one attention of many queries; then each path's own part,
 * and the two are joined in proportion to their sums of exponentials.
 */
static void shared_task(void *user, size_t task, float *scratch)
{
    const fi_node *node = user;
    const shared *s = node->attr;
    const fi_attention_kernels *kernels = fi_attention_best(FI_F32);
    const size_t series = task / s->heads, width = s->heads * s->d, column = task % s->heads * s->d;
    const size_t first = series * s->paths;
    float *lse = s->lse + task * s->paths, own[FI_HEAD_WIDTH], own_lse;
    const fi_head common = {
        .n_q = s->paths,
        .n_k = s->n,
        .d = s->d,
        .dv = s->d,
        .q = node->in[IN_Q]->value + first * width + column,
        .k = node->in[IN_K]->value + series * s->n * width + column,
        .v = node->in[IN_V]->value + series * s->n * width + column,
        .mask = node->in[IN_MASK] ? node->in[IN_MASK]->value + series * s->n : NULL,
        .ld_q = width,
        .ld_k = width,
        .ld_v = width,
        .ld_mask = 1,
        .scale = s->scale,
        .out = node->value + first * width + column,
        .ld_out = width,
        .lse = lse,
        .ld_lse = 1,
    };
    kernels->attend(&common, 0, s->paths, scratch);
    for (size_t i = 0; i < s->paths; i++) {
        fi_head h = common;
        float *out = common.out + i * width;
        h.n_q = 1;
        h.n_k = *s->n_own;
        h.q += i * width;
        h.k = node->in[IN_OWN_K]->value + (first + i) * s->capacity * width + column;
        h.v = node->in[IN_OWN_V]->value + (first + i) * s->capacity * width + column;
        h.mask = NULL;
        h.out = own;
        h.lse = &own_lse;
        kernels->attend(&h, 0, 1, scratch);
        const float seen = lse[i] == INFINITY ? -INFINITY : lse[i]; /* INFINITY: no shared key is seen */
        const float to_own = 1 / (1 + expf(seen - own_lse)), to_shared = 1 - to_own;
        for (size_t c = 0; c < s->d; c++) out[c] = to_shared == 0 ? own[c] : to_shared * out[c] + to_own * own[c];
    }
}

static void shared_forward(fi_graph *g, fi_node *node)
{
    const shared *s = node->attr;
    fi_engine_run(fi_graph_engine(g), s->b * s->heads, shared_task, node);
}

static const fi_op shared_op = {.name = "shared attention", .forward = shared_forward};

fi_node *fi_attend_shared(fi_graph *g, fi_node *q, fi_node *k, fi_node *v, fi_node *key_mask, fi_node *own_k,
                          fi_node *own_v, size_t heads, float scale, const size_t *n_own)
{
    if (!q || !k || !v || !own_k || !own_v) return NULL;
    const size_t b = k->shape[0], rows = q->shape[0], width = q->shape[2], n = k->shape[1];
    bool fit = b && rows % b == 0 && q->shape[1] == 1 && heads && width % heads == 0 && width / heads <= FI_HEAD_WIDTH;
    for (int i = 0; i < 3; i++) fit = fit && k->shape[i] == v->shape[i] && own_k->shape[i] == own_v->shape[i];
    fit = fit && k->shape[2] == width && own_k->shape[0] == rows && own_k->shape[2] == width;
    if (!fit || (key_mask && (key_mask->shape[0] != b || key_mask->shape[1] != n)))
        return fi_graph_fail(g, "shared attention of %zu heads: queries [%zu, %zu, %zu] meet keys [%zu, %zu, %zu]",
                             heads, rows, q->shape[1], width, b, n, k->shape[2]);
    const size_t n_lse = rows * heads;
    fi_node *node = fi_node_new(g, &shared_op, 3, q->shape, sizeof(shared) + n_lse * sizeof(float));
    if (!node) return NULL;
    shared *s = node->attr;
    *s = (shared){b, rows / b, n, own_k->shape[1], heads, width / heads, scale, n_own, (float *)(s + 1)};
    fi_node *const in[] = {q, k, v, key_mask, own_k, own_v};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) fi_node_input(g, node, in[i]);
    return node;
}
