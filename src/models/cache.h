/* Keys and values of tokens decoded before, of all blocks of a decoder. */
#ifndef FI_MODELS_CACHE_H
#define FI_MODELS_CACHE_H

#include "tensor/ops.h"

enum { FI_CACHE_MAX_LAYERS = 64 };

/* Graphs that use a cache read `at` and `n_keys` as they run. */
typedef struct fi_cache {
    size_t rows, capacity, n_layers;
    size_t at, n_keys;                                      /* place of the token being decoded, and at + 1 */
    float *k[FI_CACHE_MAX_LAYERS], *v[FI_CACHE_MAX_LAYERS]; /* [rows, capacity, inner] */
    size_t inner[FI_CACHE_MAX_LAYERS], bytes;
    float *memory;
} fi_cache;

/* inner [n_layers]: widths of keys and values; 0 where a block has none. Starts with one token at place 0. */
ftl_status fi_cache_init(fi_cache *cache, const size_t *inner, size_t n_layers, size_t rows, size_t capacity,
                         ftl_error *err);
void fi_cache_release(fi_cache *cache);
/* Every row of `to` starts with the first n_keys tokens of its row of `from`: to->rows / from->rows equal rows each. */
void fi_cache_spread(const fi_cache *from, fi_cache *to);

/*
 * Attention of queries q [rows, m, inner] at places `at` on to the cached tokens and to themselves, whose k and v go into
 * the cache as block `layer`; causal. mask [rows, capacity] or NULL, bias as in fi_attend.
 */
fi_node *fi_cache_attend(fi_graph *g, const fi_cache *cache, size_t layer, fi_node *q, fi_node *k, fi_node *v,
                         fi_node *mask, fi_node *bias, fi_attention settings);

/*
 * Attention of one new token of every row of the cache to those cached and, before them, to all that is cached in `shared`,
 * of which each row serves cache->rows / shared->rows rows. mask [shared->rows, shared->capacity] or NULL.
 */
fi_node *fi_cache_attend_shared(fi_graph *g, const fi_cache *cache, const fi_cache *shared, size_t layer, fi_node *q,
                                fi_node *k, fi_node *v, fi_node *mask, fi_attention settings);

#endif
