#include "chronos/token_pass.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

void fi_token_pass_free(fi_token_pass *p)
{
    if (!p) return;
    fi_graph_free(p->next);
    fi_graph_free(p->first);
    fi_graph_free(p->encode);
    fi_cache_release(&p->first_cache);
    fi_cache_release(&p->cache);
    fi_free(p);
}

/* ---- T5: series are encoded, and all paths see the memory of their series ---- */

static ftl_status record_encoder(fi_chronos_t5_model *m, fi_token_pass *p, fi_t5_memory *memory, ftl_error *err)
{
    const fi_t5 *t5 = &m->t5;
    const size_t shape[] = {p->rows, p->tokens};
    ftl_status st = fi_graph_new(m->engine, false, &p->encode, err);
    if (st) return st;
    fi_graph *g = p->encode;
    p->ids = fi_input_ids(g, 2, shape);
    p->mask = fi_input(g, 2, shape);
    p->encoded = fi_t5_encode(g, t5, fi_embedding(g, fi_parameter(g, t5->shared), p->ids), p->mask);
    if (!p->paths) fi_keep(g, p->encoded);
    if (p->paths) fi_t5_remember(g, t5, p->encoded, p->mask, memory);
    for (size_t i = 0; p->paths && i < t5->decoder.n; i++) {
        fi_keep(g, memory->k[i]);
        fi_keep(g, memory->v[i]);
    }
    return fi_plan(g, NULL, err);
}

/* A node of another graph as a state of this one. */
static fi_node *seen_from(fi_graph *g, const fi_node *node)
{
    return node ? fi_state(g, node->value, node->n_dims, node->shape) : NULL;
}

/* One step of `rows` paths with their cache. */
static ftl_status record_step(fi_chronos_t5_model *m, const fi_t5_memory *memory, fi_cache *cache, fi_graph **graph,
                              fi_node **ids, fi_node **logits, ftl_error *err)
{
    fi_t5_memory seen = {0};
    ftl_status st = fi_graph_new(m->engine, false, graph, err);
    if (st) return st;
    fi_graph *g = *graph;
    seen.mask = seen_from(g, memory->mask);
    for (size_t i = 0; i < m->t5.decoder.n; i++) {
        seen.k[i] = seen_from(g, memory->k[i]);
        seen.v[i] = seen_from(g, memory->v[i]);
    }
    *ids = fi_input_ids(g, 2, (size_t[]){cache->rows, 1});
    fi_node *x = fi_embedding(g, fi_parameter(g, m->t5.shared), *ids);
    *logits = fi_t5_logits(g, &m->t5, fi_t5_decode(g, &m->t5, x, &seen, cache));
    fi_keep(g, *logits);
    return fi_plan(g, NULL, err);
}

static ftl_status record_t5(fi_chronos_t5_model *m, fi_token_pass *p, ftl_error *err)
{
    fi_t5_memory memory = {0};
    ftl_status st = record_encoder(m, p, &memory, err);
    if (st || !p->paths) return st;
    memory.mask = p->mask;
    st = fi_t5_cache_init(&p->first_cache, &m->t5, p->rows, 1, err);
    if (!st) st = record_step(m, &memory, &p->first_cache, &p->first, &p->first_ids, &p->first_logits, err);
    if (st || p->steps == 1) return st;
    st = fi_t5_cache_init(&p->cache, &m->t5, p->rows * p->paths, p->steps, err);
    return st ? st : record_step(m, &memory, &p->cache, &p->next, &p->next_ids, &p->next_logits, err);
}

/* ---- GPT-2: all paths see what is cached of their series ---- */

static ftl_status record_context(fi_chronos_t5_model *m, fi_token_pass *p, ftl_error *err)
{
    const size_t shape[] = {p->rows, p->tokens};
    ftl_status st = fi_gpt2_cache_init(&p->first_cache, &m->gpt2, p->rows, p->tokens, err);
    if (!st) st = fi_graph_new(m->engine, false, &p->first, err);
    if (st) return st;
    fi_graph *g = p->first;
    p->first_cache.n_keys = p->tokens;
    p->ids = fi_input_ids(g, 2, shape);
    p->places = fi_input_ids(g, 2, shape);
    p->mask = fi_input(g, 2, shape);
    fi_node *x = fi_gpt2_decode(g, &m->gpt2, p->ids, p->places, p->mask, &p->first_cache, NULL);
    p->first_logits = fi_gpt2_logits(g, &m->gpt2, fi_slice(g, x, 1, p->tokens - 1, 1));
    fi_keep(g, p->first_logits);
    return fi_plan(g, NULL, err);
}

static ftl_status record_gpt2(fi_chronos_t5_model *m, fi_token_pass *p, ftl_error *err)
{
    ftl_status st = record_context(m, p, err);
    if (st || p->steps == 1) return st;
    const size_t rows = p->rows * p->paths, shape[] = {rows, 1};
    st = fi_gpt2_cache_init(&p->cache, &m->gpt2, rows, p->steps - 1, err);
    if (!st) st = fi_graph_new(m->engine, false, &p->next, err);
    if (st) return st;
    fi_graph *g = p->next;
    p->next_ids = fi_input_ids(g, 2, shape);
    p->next_places = fi_input_ids(g, 2, shape);
    fi_node *x =
        fi_gpt2_decode(g, &m->gpt2, p->next_ids, p->next_places, seen_from(g, p->mask), &p->cache, &p->first_cache);
    p->next_logits = fi_gpt2_logits(g, &m->gpt2, x);
    fi_keep(g, p->next_logits);
    return fi_plan(g, NULL, err);
}

/* As transformers counts positions: observed values on from 0, missing ones 0. */
static void find_places(const fi_token_pass *p)
{
    for (size_t r = 0; r < p->rows; r++) {
        const float *mask = p->mask->value + r * p->tokens;
        int32_t *places = fi_ids(p->places) + r * p->tokens, next = 0;
        for (size_t i = 0; i < p->tokens; i++) places[i] = mask[i] != 0 ? next++ : 0;
    }
}

/* ---- both ---- */

/* The pass of that shape: the model's last one, or a new one in its place. */
ftl_status fi_token_pass_find(fi_chronos_t5_model *m, size_t rows, size_t tokens, size_t paths, size_t steps,
                              ftl_error *err)
{
    fi_token_pass *p = m->pass;
    if (p && p->rows == rows && p->tokens == tokens && p->paths == paths && p->steps == steps) return FTL_OK;
    fi_token_pass_free(m->pass);
    m->pass = NULL;
    p = fi_calloc(1, sizeof *p);
    if (!p) return fi_fail_memory(err);
    p->rows = rows, p->tokens = tokens, p->paths = paths, p->steps = steps;
    ftl_status st = m->causal ? record_gpt2(m, p, err) : record_t5(m, p, err);
    if (st) {
        fi_token_pass_free(p);
        return st;
    }
    m->pass = p;
    return FTL_OK;
}

void fi_token_pass_begin(fi_chronos_t5_model *m)
{
    fi_token_pass *p = m->pass;
    if (m->causal) {
        find_places(p);
    } else {
        fi_forward(p->encode);
        for (size_t r = 0; r < p->rows; r++) fi_ids(p->first_ids)[r] = (int32_t)m->start;
    }
    fi_forward(p->first);
    if (p->next && !m->causal) fi_cache_spread(&p->first_cache, &p->cache);
}

void fi_token_pass_step(fi_chronos_t5_model *m, size_t t)
{
    fi_token_pass *p = m->pass;
    p->cache.at = m->causal ? t - 1 : t; /* T5's start token stands first */
    p->cache.n_keys = p->cache.at + 1;
    for (size_t i = 0; m->causal && i < p->cache.rows; i++) /* also after a missing value, whose place is 0 */
        fi_ids(p->next_places)[i] = fi_ids(p->places)[(i / p->paths + 1) * p->tokens - 1] + (int32_t)t;
    fi_forward(p->next);
}

size_t fi_token_pass_cache_floats(const fi_chronos_t5_model *m)
{
    const fi_chronos_t5_settings *s = &m->settings;
    size_t inner = 0;
    for (size_t i = 0; !m->causal && i < m->t5.decoder.n; i++)
        inner += m->t5.decoder.block[i].self.heads * m->t5.config.d_kv;
    for (size_t i = 0; m->causal && i < m->gpt2.config.n_blocks; i++)
        inner += m->gpt2.config.block[i].heads * m->gpt2.config.d_head;
    return 2 * inner * s->prediction_length;
}
