#include "models/cache.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

ftl_status fi_cache_init(fi_cache *cache, const size_t *inner, size_t n_layers, size_t rows, size_t capacity,
                         ftl_error *err)
{
    size_t floats = 0;
    *cache = (fi_cache){.rows = rows, .capacity = capacity, .n_layers = n_layers, .n_keys = 1};
    for (size_t i = 0; i < n_layers; i++) floats += 2 * rows * capacity * inner[i];
    cache->bytes = floats * sizeof(float);
    cache->memory = fi_aligned_alloc(cache->bytes, 1);
    if (!cache->memory) return fi_fail_memory(err);
    float *at = cache->memory;
    for (size_t i = 0; i < n_layers; i++) {
        cache->inner[i] = inner[i];
        cache->k[i] = at;
        cache->v[i] = at + rows * capacity * inner[i];
        at += 2 * rows * capacity * inner[i];
    }
    return FTL_OK;
}

void fi_cache_release(fi_cache *cache)
{
    fi_aligned_free(cache->memory);
    cache->memory = NULL;
}

void fi_cache_spread(const fi_cache *from, fi_cache *to)
{
    const size_t times = to->rows / from->rows;
    for (size_t i = 0; i < from->n_layers; i++) {
        const size_t inner = from->inner[i], tokens = from->n_keys * inner;
        for (size_t r = 0; r < to->rows; r++) {
            const size_t source = r / times * from->capacity * inner, target = r * to->capacity * inner;
            memcpy(to->k[i] + target, from->k[i] + source, tokens * sizeof(float));
            memcpy(to->v[i] + target, from->v[i] + source, tokens * sizeof(float));
        }
    }
}

static fi_node *cached(fi_graph *g, const fi_cache *cache, size_t layer, float *memory)
{
    return fi_state(g, memory, 3, (size_t[]){cache->rows, cache->capacity, cache->inner[layer]});
}

fi_node *fi_cache_attend(fi_graph *g, const fi_cache *cache, size_t layer, fi_node *q, fi_node *k, fi_node *v,
                         fi_node *mask, fi_node *bias, fi_attention settings)
{
    k = fi_store(g, k, cached(g, cache, layer, cache->k[layer]), &cache->at);
    v = fi_store(g, v, cached(g, cache, layer, cache->v[layer]), &cache->at);
    settings.causal = true;
    settings.first = &cache->at;
    settings.n_keys = &cache->n_keys;
    return fi_attend(g, q, k, v, mask, bias, &settings);
}

fi_node *fi_cache_attend_shared(fi_graph *g, const fi_cache *cache, const fi_cache *shared, size_t layer, fi_node *q,
                                fi_node *k, fi_node *v, fi_node *mask, fi_attention settings)
{
    k = fi_store(g, k, cached(g, cache, layer, cache->k[layer]), &cache->at);
    v = fi_store(g, v, cached(g, cache, layer, cache->v[layer]), &cache->at);
    return fi_attend_shared(g, q, cached(g, shared, layer, shared->k[layer]),
                            cached(g, shared, layer, shared->v[layer]), mask, k, v, settings.heads, settings.scale,
                            &cache->n_keys);
}
