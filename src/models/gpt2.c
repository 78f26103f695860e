#include "models/gpt2.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- parameters ---- */

static fi_gpt2_pair declare_norm(fi_params *p, size_t d, const char *name)
{
    return (fi_gpt2_pair){fi_params_add(p, FI_ROLE_OTHER, 1, &d, "%s.weight", name),
                          fi_params_add(p, FI_ROLE_OTHER, 1, &d, "%s.bias", name)};
}

static fi_gpt2_pair declare_product(fi_params *p, size_t out, size_t in, size_t block, const char *name)
{
    return (fi_gpt2_pair){
        fi_params_add(p, FI_ROLE_TURNED, 2, (size_t[]){out, in}, "transformer.h.%zu.%s.weight", block, name),
        fi_params_add(p, FI_ROLE_OTHER, 1, &out, "transformer.h.%zu.%s.bias", block, name)};
}

void fi_gpt2_declare(fi_gpt2 *gpt2, const fi_gpt2_config *config, fi_params *params)
{
    const size_t d = config->d_model, table[] = {config->vocab, d}, places[] = {config->positions, d};
    char name[64];
    memset(gpt2, 0, sizeof *gpt2);
    gpt2->config = *config;
    gpt2->tokens =
        fi_params_add(params, config->own_head ? FI_ROLE_TABLE : FI_ROLE_BOTH, 2, table, "transformer.wte.weight");
    gpt2->positions = fi_params_add(params, FI_ROLE_TABLE, 2, places, "transformer.wpe.weight");
    for (size_t i = 0; i < config->n_blocks; i++) {
        fi_gpt2_block *b = &gpt2->block[i];
        const size_t inner = config->block[i].heads * config->d_head, d_ff = config->block[i].d_ff;
        if (inner) {
            snprintf(name, sizeof name, "transformer.h.%zu.ln_1", i);
            b->norm = declare_norm(params, d, name);
            b->qkv = declare_product(params, 3 * inner, d, i, "attn.c_attn");
            b->o = declare_product(params, d, inner, i, "attn.c_proj");
        }
        if (d_ff) {
            snprintf(name, sizeof name, "transformer.h.%zu.ln_2", i);
            b->ff_norm = declare_norm(params, d, name);
            b->wi = declare_product(params, d_ff, d, i, "mlp.c_fc");
            b->wo = declare_product(params, d, d_ff, i, "mlp.c_proj");
        }
    }
    gpt2->norm = declare_norm(params, d, "transformer.ln_f");
    gpt2->head = config->own_head ? fi_params_add(params, FI_ROLE_MATRIX, 2, table, "lm_head.weight") : gpt2->tokens;
    for (size_t i = 0; i + 1 < config->n_blocks; i++) {
        if (!config->exits[i]) continue;
        snprintf(name, sizeof name, "exits.%zu.ln_f", i);
        gpt2->exit[i].norm = declare_norm(params, d, name);
        gpt2->exit[i].head = fi_params_add(params, FI_ROLE_MATRIX, 2, table, "exits.%zu.lm_head.weight", i);
    }
    if (config->n_blocks) gpt2->exit[config->n_blocks - 1] = (fi_gpt2_exit){gpt2->norm, gpt2->head};
}

ftl_status fi_gpt2_cache_init(fi_cache *cache, const fi_gpt2 *gpt2, size_t rows, size_t capacity, ftl_error *err)
{
    size_t inner[FI_GPT2_MAX_LAYERS];
    for (size_t i = 0; i < gpt2->config.n_blocks; i++) inner[i] = gpt2->config.block[i].heads * gpt2->config.d_head;
    return fi_cache_init(cache, inner, gpt2->config.n_blocks, rows, capacity, err);
}

/* ---- wiring ---- */

static fi_node *norm(fi_graph *g, const fi_gpt2 *gpt2, fi_node *x, const fi_gpt2_pair *p)
{
    return fi_layer_norm(g, x, fi_parameter(g, p->weight), fi_parameter(g, p->bias), gpt2->config.eps);
}

static fi_node *product(fi_graph *g, fi_node *x, const fi_gpt2_pair *p, fi_activation activation, fi_node *residual)
{
    return fi_linear(g, x, fi_parameter(g, p->weight), fi_parameter(g, p->bias), activation, residual);
}

/*
 * Values of tokens that are not seen count only for a token that sees none, which gets their mean: zeros make it attend to
 * nothing, as PyTorch's scaled_dot_product_attention has it. Tokens decoded one by one are all seen.
 */
static fi_node *only_seen(fi_graph *g, fi_node *v, fi_node *mask)
{
    if (!v || !mask || v->shape[1] != mask->shape[1]) return v;
    fi_node *each = fi_repeat(g, fi_reshape(g, mask, 1, &mask->size), v->shape[2]);
    return fi_mul(g, v, fi_reshape(g, each, 3, v->shape));
}

static fi_node *attend(fi_graph *g, const fi_gpt2 *gpt2, fi_node *x, size_t i, fi_node *mask, const fi_cache *cache,
                       const fi_cache *shared)
{
    const fi_gpt2_block *b = &gpt2->block[i];
    const size_t heads = gpt2->config.block[i].heads, inner = cache->inner[i];
    fi_node *qkv = product(g, norm(g, gpt2, x, &b->norm), &b->qkv, FI_LINEAR, NULL);
    fi_node *q = fi_slice(g, qkv, 2, 0, inner), *k = fi_slice(g, qkv, 2, inner, inner);
    fi_node *v = fi_slice(g, qkv, 2, 2 * inner, inner), *y;
    const fi_attention settings = {.heads = heads, .scale = 1 / sqrtf((float)gpt2->config.d_head)};
    if (shared)
        y = fi_cache_attend_shared(g, cache, shared, i, q, k, v, mask, settings);
    else
        y = fi_cache_attend(g, cache, i, q, k, only_seen(g, v, mask), mask, NULL, settings);
    return product(g, y, &b->o, FI_LINEAR, x);
}

fi_node *fi_gpt2_decode_to(fi_graph *g, const fi_gpt2 *gpt2, fi_node *ids, fi_node *places, fi_node *mask,
                           const fi_cache *cache, const fi_cache *shared, size_t last)
{
    fi_node *x = fi_add(g, fi_embedding(g, fi_parameter(g, gpt2->tokens), ids),
                        fi_embedding(g, fi_parameter(g, gpt2->positions), places));
    for (size_t i = 0; x && i < gpt2->config.n_blocks && i <= last; i++) {
        const fi_gpt2_block *b = &gpt2->block[i];
        if (b->qkv.weight) x = attend(g, gpt2, x, i, mask, cache, shared);
        if (!b->wi.weight) continue;
        fi_node *hidden = product(g, norm(g, gpt2, x, &b->ff_norm), &b->wi, gpt2->config.activation, NULL);
        x = product(g, hidden, &b->wo, FI_LINEAR, x);
    }
    return x;
}

fi_node *fi_gpt2_decode(fi_graph *g, const fi_gpt2 *gpt2, fi_node *ids, fi_node *places, fi_node *mask,
                        const fi_cache *cache, const fi_cache *shared)
{
    return fi_gpt2_decode_to(g, gpt2, ids, places, mask, cache, shared, gpt2->config.n_blocks);
}

fi_node *fi_gpt2_leave(fi_graph *g, const fi_gpt2 *gpt2, fi_node *x, size_t at)
{
    if (at >= gpt2->config.n_blocks || !gpt2->exit[at].head)
        return fi_graph_fail(g, "GPT-2 has no exit behind block %zu", at);
    const fi_gpt2_exit *e = &gpt2->exit[at];
    return fi_linear(g, norm(g, gpt2, x, &e->norm), fi_parameter(g, e->head), NULL, FI_LINEAR, NULL);
}

fi_node *fi_gpt2_logits(fi_graph *g, const fi_gpt2 *gpt2, fi_node *x)
{
    return fi_linear(g, norm(g, gpt2, x, &gpt2->norm), fi_parameter(g, gpt2->head), NULL, FI_LINEAR, NULL);
}
