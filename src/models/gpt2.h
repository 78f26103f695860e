/*
 * The GPT-2 network (Radford et al. 2019): a decoder alone, with learned positions, layer norms before each part and biases
 * everywhere. Widths are given block by block, as in t5.h; heads * d_head need not be d_model.
 */
#ifndef FI_MODELS_GPT2_H
#define FI_MODELS_GPT2_H

#include "models/cache.h"
#include "nn/params.h"

enum { FI_GPT2_MAX_LAYERS = FI_CACHE_MAX_LAYERS };

/* One block; a width of 0 leaves its part out. */
typedef struct fi_gpt2_width {
    size_t heads, d_ff;
} fi_gpt2_width;

typedef struct fi_gpt2_config {
    size_t vocab, positions, d_model, d_head, n_blocks;
    float eps;
    fi_activation activation;
    bool own_head; /* logits from lm_head.weight, else from the embeddings */
    fi_gpt2_width block[FI_GPT2_MAX_LAYERS];
    bool exits[FI_GPT2_MAX_LAYERS]; /* behind block i, before the last, is an exit with norm and head of its own */
} fi_gpt2_config;

typedef struct fi_gpt2_pair {
    fi_param *weight, *bias;
} fi_gpt2_pair;

typedef struct fi_gpt2_block {
    fi_gpt2_pair norm, qkv, o, ff_norm, wi, wo;
} fi_gpt2_block;

typedef struct fi_gpt2_exit {
    fi_gpt2_pair norm;
    fi_param *head;
} fi_gpt2_exit;

typedef struct fi_gpt2 {
    fi_gpt2_config config;
    fi_param *tokens, *positions, *head;
    fi_gpt2_block block[FI_GPT2_MAX_LAYERS];
    fi_gpt2_pair norm;
    fi_gpt2_exit exit[FI_GPT2_MAX_LAYERS]; /* behind block i; of the last one the network's own */
} fi_gpt2;

/* Declares all parameters by their names in files of transformers. Failures stick to params. */
void fi_gpt2_declare(fi_gpt2 *gpt2, const fi_gpt2_config *config, fi_params *params);

/* A cache for `rows` sequences of at most `capacity` tokens. */
ftl_status fi_gpt2_cache_init(fi_cache *cache, const fi_gpt2 *gpt2, size_t rows, size_t capacity, ftl_error *err);

/*
 * ids, places [rows, m] -> [rows, m, d_model]: m tokens that stand in the cache from cache->at on, where cache->n_keys
 * counts them in. places: which learned position each one has. mask [rows, capacity]: of the whole cache, 1 seen, 0 not; a
 * token that sees none, not even itself, attends to nothing. With the mask of m = capacity tokens alone, or one after one.
 * shared (or NULL): a cache filled before, whose tokens come before those of `cache`, each of its rows for as many of ids; then
 * m is 1 and the mask [shared->rows, shared->capacity] that of the shared ones.
 */
fi_node *fi_gpt2_decode(fi_graph *g, const fi_gpt2 *gpt2, fi_node *ids, fi_node *places, fi_node *mask,
                        const fi_cache *cache, const fi_cache *shared);
/* What fi_gpt2_decode() gives -> [.., vocab] */
fi_node *fi_gpt2_logits(fi_graph *g, const fi_gpt2 *gpt2, fi_node *x);
/* As fi_gpt2_decode(), up to and with block `last`; and the logits [.., vocab] of the exit behind that block. */
fi_node *fi_gpt2_decode_to(fi_graph *g, const fi_gpt2 *gpt2, fi_node *ids, fi_node *places, fi_node *mask,
                           const fi_cache *cache, const fi_cache *shared, size_t last);
fi_node *fi_gpt2_leave(fi_graph *g, const fi_gpt2 *gpt2, fi_node *x, size_t at);

#endif
