#include "models/t5.h"

#include "tensor/attention.h"

#include <math.h>
#include <string.h>

/* ---- parameters ---- */

static fi_t5_attention declare_attention(fi_params *p, const fi_t5_config *c, const char *stack, size_t block,
                                         int layer, const char *name, size_t heads)
{
    fi_t5_attention a = {.heads = heads};
    if (!heads) return a;
    const size_t inner = heads * c->d_kv, in[] = {inner, c->d_model}, out[] = {c->d_model, inner};
    a.q = fi_params_add(p, FI_ROLE_MATRIX, 2, in, "%s.block.%zu.layer.%d.%s.q.weight", stack, block, layer, name);
    a.k = fi_params_add(p, FI_ROLE_MATRIX, 2, in, "%s.block.%zu.layer.%d.%s.k.weight", stack, block, layer, name);
    a.v = fi_params_add(p, FI_ROLE_MATRIX, 2, in, "%s.block.%zu.layer.%d.%s.v.weight", stack, block, layer, name);
    a.o = fi_params_add(p, FI_ROLE_MATRIX, 2, out, "%s.block.%zu.layer.%d.%s.o.weight", stack, block, layer, name);
    a.norm =
        fi_params_add(p, FI_ROLE_OTHER, 1, &c->d_model, "%s.block.%zu.layer.%d.layer_norm.weight", stack, block, layer);
    return a;
}

/* Cross attention of one token asks the encoder's states themselves, as long as an attention's head holds one. */
static bool asks_states(const fi_t5_config *c)
{
    return c->one_token && c->d_model <= FI_HEAD_WIDTH;
}

static void declare_stack(fi_t5_stack *s, fi_params *p, const fi_t5_config *c, bool decoder)
{
    const char *name = decoder ? "decoder" : "encoder";
    const fi_t5_width *width = decoder ? c->decoder : c->encoder;
    s->n = decoder ? c->n_decoder : c->n_encoder;
    for (size_t i = 0; i < s->n; i++) {
        fi_t5_block *b = &s->block[i];
        b->self = declare_attention(p, c, name, i, 0, "SelfAttention", width[i].heads);
        if (b->self.heads && (i == 0 || b->self.heads != width[0].heads)) /* a pruned block has a table of its own */
            b->self.bias = fi_params_add(p, FI_ROLE_OTHER, 2, (size_t[]){c->buckets, b->self.heads},
                                         "%s.block.%zu.layer.0.SelfAttention.relative_attention_bias.weight", name, i);
        if (decoder) b->cross = declare_attention(p, c, name, i, 1, "EncDecAttention", width[i].cross_heads);
        if (decoder && asks_states(c)) {
            fi_params_by_heads(b->cross.k, b->cross.heads, true);
            fi_params_by_heads(b->cross.v, b->cross.heads, false);
        }
        if (!width[i].d_ff) continue;
        const int layer = decoder ? 2 : 1;
        b->wi = fi_params_add(p, FI_ROLE_MATRIX, 2, (size_t[]){width[i].d_ff, c->d_model},
                              "%s.block.%zu.layer.%d.DenseReluDense.wi.weight", name, i, layer);
        b->wo = fi_params_add(p, FI_ROLE_MATRIX, 2, (size_t[]){c->d_model, width[i].d_ff},
                              "%s.block.%zu.layer.%d.DenseReluDense.wo.weight", name, i, layer);
        b->ff_norm =
            fi_params_add(p, FI_ROLE_OTHER, 1, &c->d_model, "%s.block.%zu.layer.%d.layer_norm.weight", name, i, layer);
    }
    s->norm = fi_params_add(p, FI_ROLE_OTHER, 1, &c->d_model, "%s.final_layer_norm.weight", name);
}

void fi_t5_declare(fi_t5 *t5, const fi_t5_config *config, fi_params *params)
{
    memset(t5, 0, sizeof *t5);
    t5->config = *config;
    const size_t table[] = {config->vocab, config->d_model};
    t5->shared = fi_params_add(params, config->head == FI_T5_TIED_HEAD ? FI_ROLE_BOTH : FI_ROLE_TABLE, 2, table,
                               "shared.weight");
    declare_stack(&t5->encoder, params, config, false);
    declare_stack(&t5->decoder, params, config, true);
    if (config->head == FI_T5_TIED_HEAD) t5->head = t5->shared;
    if (config->head == FI_T5_OWN_HEAD) t5->head = fi_params_add(params, FI_ROLE_MATRIX, 2, table, "lm_head.weight");
    for (size_t i = 0; i + 1 < config->n_decoder; i++) {
        if (!config->exits[i]) continue;
        t5->exit[i].norm = fi_params_add(params, FI_ROLE_OTHER, 1, &config->d_model, "exits.%zu.layer_norm.weight", i);
        t5->exit[i].head = fi_params_add(params, FI_ROLE_MATRIX, 2, table, "exits.%zu.lm_head.weight", i);
    }
    if (config->n_decoder && t5->head) t5->exit[config->n_decoder - 1] = (fi_t5_exit){t5->decoder.norm, t5->head};
}

/* ---- wiring ---- */

static fi_node *norm(fi_graph *g, const fi_t5 *t5, fi_node *x, fi_param *weight)
{
    return fi_rms_norm(g, x, fi_parameter(g, weight), t5->config.eps);
}

static fi_node *project(fi_graph *g, fi_node *x, fi_param *w)
{
    return fi_linear(g, x, fi_parameter(g, w), NULL, FI_LINEAR, NULL);
}

/* x + dropout(y W^T): one product where nothing is dropped. */
static fi_node *add_product(fi_graph *g, const fi_t5 *t5, fi_node *x, fi_node *y, fi_param *w)
{
    if (!fi_graph_training(g) || t5->config.dropout == 0)
        return fi_linear(g, y, fi_parameter(g, w), NULL, FI_LINEAR, x);
    return fi_add(g, x, fi_dropout(g, project(g, y, w), t5->config.dropout));
}

static fi_node *feed_forward(fi_graph *g, const fi_t5 *t5, fi_node *x, const fi_t5_block *b)
{
    if (!b->wi) return x;
    fi_node *hidden =
        fi_linear(g, norm(g, t5, x, b->ff_norm), fi_parameter(g, b->wi), NULL, t5->config.activation, NULL);
    return add_product(g, t5, x, fi_dropout(g, hidden, t5->config.dropout), b->wo);
}

/* The positions' bias of block i, [heads, 2 n - 1]; blocks without a table share the first one's. */
static fi_node *position_bias(fi_graph *g, const fi_t5 *t5, const fi_t5_stack *s, size_t i, size_t n, bool both_ways,
                              fi_node **of_first)
{
    fi_param *own = s->block[i].self.bias, *table = own ? own : s->block[0].self.bias;
    if (!own && *of_first) return *of_first;
    fi_node *bias = fi_relative_bias(g, fi_parameter(g, table), n, n, both_ways, t5->config.max_distance);
    if (table == s->block[0].self.bias) *of_first = bias;
    return bias;
}

fi_node *fi_t5_encode(fi_graph *g, const fi_t5 *t5, fi_node *x, fi_node *mask)
{
    const fi_t5_stack *s = &t5->encoder;
    fi_node *first = NULL;
    x = fi_dropout(g, x, t5->config.dropout);
    for (size_t i = 0; x && i < s->n; i++) {
        const fi_t5_attention *a = &s->block[i].self;
        if (a->heads) {
            fi_node *y = norm(g, t5, x, a->norm), *bias = position_bias(g, t5, s, i, x->shape[1], true, &first);
            y = fi_attend(g, project(g, y, a->q), project(g, y, a->k), project(g, y, a->v), mask, bias,
                          &(fi_attention){.heads = a->heads, .scale = 1, .dropout = t5->config.dropout});
            x = add_product(g, t5, x, y, a->o);
        }
        x = feed_forward(g, t5, x, &s->block[i]);
    }
    return fi_dropout(g, norm(g, t5, x, s->norm), t5->config.dropout);
}

void fi_t5_remember(fi_graph *g, const fi_t5 *t5, fi_node *encoded, fi_node *mask, fi_t5_memory *out)
{
    memset(out, 0, sizeof *out);
    out->mask = mask;
    if (asks_states(&t5->config)) out->encoded = encoded;
    for (size_t i = 0; i < t5->decoder.n; i++) {
        const fi_t5_attention *a = &t5->decoder.block[i].cross;
        if (!a->heads || out->encoded) continue;
        out->k[i] = project(g, encoded, a->k);
        out->v[i] = project(g, encoded, a->v);
    }
}

/* Attention of decoded tokens to themselves and those before them: y [rows, m, d_model] is normed. */
static fi_node *attend_self(fi_graph *g, const fi_t5 *t5, const fi_t5_attention *a, fi_node *y, size_t block,
                            fi_node *bias, const fi_cache *cache)
{
    if (!y) return NULL;
    if (!cache && y->shape[1] == 1 && !fi_graph_training(g)) return project(g, y, a->v); /* a softmax of one */
    fi_node *q = project(g, y, a->q), *k = project(g, y, a->k), *v = project(g, y, a->v);
    const fi_attention settings = {.heads = a->heads, .scale = 1, .causal = true, .dropout = t5->config.dropout};
    if (cache) return fi_cache_attend(g, cache, block, q, k, v, NULL, bias, settings);
    return fi_attend(g, q, k, v, NULL, bias, &settings);
}

/*
 * One query a sequence: q.(K x_j) = (K' q).x_j and sum p_j V x_j = V sum p_j x_j, so neither keys nor values of all x_j are
 * needed. The heads are queries of one attention over the encoder's states.
 */
static fi_node *attend_states(fi_graph *g, const fi_t5_attention *a, fi_node *y, const fi_t5_memory *memory)
{
    fi_node *q = fi_linear_heads(g, project(g, y, a->q), fi_parameter(g, a->k), a->heads, true), *x = memory->encoded;
    if (!q || !x) return NULL;
    const size_t heads[] = {x->shape[0], a->heads, x->shape[2]}, token[] = {x->shape[0], 1, a->heads * x->shape[2]};
    y = fi_attend(g, fi_reshape(g, q, 3, heads), x, x, memory->mask, NULL, &(fi_attention){.heads = 1, .scale = 1});
    return fi_linear_heads(g, fi_reshape(g, y, 3, token), fi_parameter(g, a->v), a->heads, false);
}

/* Paths of one memory are queries of one attention. */
static fi_node *attend_memory(fi_graph *g, const fi_t5 *t5, const fi_t5_attention *a, fi_node *y, size_t block,
                              const fi_t5_memory *memory)
{
    if (memory->encoded) return attend_states(g, a, y, memory);
    fi_node *q = project(g, y, a->q), *k = memory->k[block];
    if (!q || !k) return NULL;
    const size_t b = k->shape[0], own[] = {q->shape[0], q->shape[1], q->shape[2]};
    const size_t shared[] = {b, own[0] / b * own[1], own[2]};
    y = fi_attend(g, fi_reshape(g, q, 3, shared), k, memory->v[block], memory->mask, NULL,
                  &(fi_attention){.heads = a->heads, .scale = 1, .dropout = t5->config.dropout});
    return fi_reshape(g, y, 3, own);
}

fi_node *fi_t5_decode_blocks(fi_graph *g, const fi_t5 *t5, fi_node *x, const fi_t5_memory *memory,
                             const fi_cache *cache, size_t from, size_t to)
{
    const fi_t5_stack *s = &t5->decoder;
    fi_node *first = NULL;
    for (size_t i = from; x && i < to; i++) {
        const fi_t5_attention *self = &s->block[i].self, *cross = &s->block[i].cross;
        const size_t span = cache ? cache->capacity : x->shape[1];
        if (self->heads) {
            fi_node *bias = position_bias(g, t5, s, i, span, false, &first);
            x = add_product(g, t5, x, attend_self(g, t5, self, norm(g, t5, x, self->norm), i, bias, cache), self->o);
        }
        if (cross->heads)
            x = add_product(g, t5, x, attend_memory(g, t5, cross, norm(g, t5, x, cross->norm), i, memory), cross->o);
        x = feed_forward(g, t5, x, &s->block[i]);
    }
    return x;
}

/* What leaves behind the last block of the decoder goes through `weight`. */
static fi_node *leave_decoder(fi_graph *g, const fi_t5 *t5, fi_node *x, fi_param *weight)
{
    return fi_dropout(g, norm(g, t5, x, weight), t5->config.dropout);
}

static fi_node *logits(fi_graph *g, const fi_t5 *t5, fi_node *x, fi_param *head)
{
    if (t5->config.scaled_logits) x = fi_affine(g, x, 1 / sqrtf((float)t5->config.d_model), 0);
    return project(g, x, head);
}

fi_node *fi_t5_decode(fi_graph *g, const fi_t5 *t5, fi_node *x, const fi_t5_memory *memory, const fi_cache *cache)
{
    x = fi_dropout(g, x, t5->config.dropout);
    x = fi_t5_decode_blocks(g, t5, x, memory, cache, 0, t5->decoder.n);
    return leave_decoder(g, t5, x, t5->decoder.norm);
}

fi_node *fi_t5_logits(fi_graph *g, const fi_t5 *t5, fi_node *x)
{
    return logits(g, t5, x, t5->head);
}

fi_node *fi_t5_leave(fi_graph *g, const fi_t5 *t5, fi_node *x, size_t at)
{
    if (at >= t5->decoder.n || !t5->exit[at].norm) return fi_graph_fail(g, "T5 has no exit behind block %zu", at);
    return logits(g, t5, leave_decoder(g, t5, x, t5->exit[at].norm), t5->exit[at].head);
}

fi_node *fi_t5_loss(fi_graph *g, const fi_t5 *t5, fi_node *ids, fi_node *mask, fi_node *shifted, fi_node *labels)
{
    fi_t5_memory memory;
    fi_node *table = fi_parameter(g, t5->shared);
    fi_t5_remember(g, t5, fi_t5_encode(g, t5, fi_embedding(g, table, ids), mask), mask, &memory);
    fi_node *decoded = fi_t5_decode(g, t5, fi_embedding(g, table, shifted), &memory, NULL);
    return fi_cross_entropy(g, fi_t5_logits(g, t5, decoded), labels, NULL);
}

/* ---- cache ---- */

ftl_status fi_t5_cache_init(fi_cache *cache, const fi_t5 *t5, size_t rows, size_t capacity, ftl_error *err)
{
    size_t inner[FI_T5_MAX_LAYERS];
    for (size_t i = 0; i < t5->decoder.n; i++) inner[i] = t5->decoder.block[i].self.heads * t5->config.d_kv;
    return fi_cache_init(cache, inner, t5->decoder.n, rows, capacity, err);
}
