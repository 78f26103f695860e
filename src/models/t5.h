/*
 * T5: an encoder, and a decoder that attends to it (Raffel et al. 2020, JMLR 21:140). Norms by root mean square before each
 * layer, unscaled scores, one table of relative positions per stack, no biases. Heads and feed-forward widths are given layer
 * by layer, so that a slender network is the same code; heads * d_kv need not be d_model.
 */
#ifndef FI_MODELS_T5_H
#define FI_MODELS_T5_H

#include "models/cache.h"
#include "nn/params.h"

enum { FI_T5_MAX_LAYERS = FI_CACHE_MAX_LAYERS };

/* One block; a width of 0 leaves its layer out. */
typedef struct fi_t5_width {
    size_t heads, cross_heads, d_ff; /* cross_heads: of the decoder */
} fi_t5_width;

typedef enum fi_t5_head { FI_T5_NO_HEAD, FI_T5_TIED_HEAD, FI_T5_OWN_HEAD } fi_t5_head;

typedef struct fi_t5_config {
    size_t vocab, d_model, d_kv, n_encoder, n_decoder;
    size_t buckets, max_distance; /* of relative positions */
    float eps, dropout;           /* dropout: in training only */
    fi_activation activation;
    fi_t5_head head;    /* logits from shared.weight, lm_head.weight, or none */
    bool scaled_logits; /* times d_model^-0.5 */
    bool one_token;     /* the decoder never reads but one token: its cross attention needs no keys and values of all */
    fi_t5_width encoder[FI_T5_MAX_LAYERS], decoder[FI_T5_MAX_LAYERS];
    bool
        exits[FI_T5_MAX_LAYERS]; /* behind decoder block i, before the last, is an exit with norm and head of its own */
} fi_t5_config;

typedef struct fi_t5_attention {
    fi_param *norm, *q, *k, *v, *o;
    fi_param *bias; /* [buckets, heads]; NULL: that of the stack's first block */
    size_t heads;
} fi_t5_attention;

typedef struct fi_t5_block {
    fi_t5_attention self, cross;
    fi_param *ff_norm, *wi, *wo; /* wi NULL: no feed-forward layer */
} fi_t5_block;

typedef struct fi_t5_stack {
    size_t n;
    fi_t5_block block[FI_T5_MAX_LAYERS];
    fi_param *norm;
} fi_t5_stack;

typedef struct fi_t5_exit {
    fi_param *norm, *head;
} fi_t5_exit;

typedef struct fi_t5 {
    fi_t5_config config;
    fi_param *shared, *head;
    fi_t5_stack encoder, decoder;
    fi_t5_exit exit[FI_T5_MAX_LAYERS]; /* behind decoder block i; of the last one the network's own */
} fi_t5;

/* Declares all parameters by their names in files of transformers. Failures stick to params. */
void fi_t5_declare(fi_t5 *t5, const fi_t5_config *config, fi_params *params);

/* x [b, n, d_model], mask [b, n] 1 seen, 0 not, or NULL -> [b, n, d_model]. */
fi_node *fi_t5_encode(fi_graph *g, const fi_t5 *t5, fi_node *x, fi_node *mask);

/* What the decoder sees of encoded sequences: keys and values of every block, [b, n, cross_heads d_kv]. */
typedef struct fi_t5_memory {
    fi_node *encoded; /* itself, where config.one_token */
    fi_node *mask, *k[FI_T5_MAX_LAYERS], *v[FI_T5_MAX_LAYERS];
} fi_t5_memory;
void fi_t5_remember(fi_graph *g, const fi_t5 *t5, fi_node *encoded, fi_node *mask, fi_t5_memory *out);

/* A cache for `rows` sequences of at most `capacity` decoded tokens. */
ftl_status fi_t5_cache_init(fi_cache *cache, const fi_t5 *t5, size_t rows, size_t capacity, ftl_error *err);

/*
 * x [rows, m, d_model] -> [rows, m, d_model], rows a multiple of the memory's b: row i sees memory i / (rows / b).
 * Without cache x is the whole sequence so far; with it m is 1, and rows are the cache's.
 */
fi_node *fi_t5_decode(fi_graph *g, const fi_t5 *t5, fi_node *x, const fi_t5_memory *memory, const fi_cache *cache);
/* Decoder output -> [.., vocab] */
fi_node *fi_t5_logits(fi_graph *g, const fi_t5 *t5, fi_node *x);

/*
 * The same piece by piece, for exits: blocks from .. to - 1 alone, which fi_t5_decode() goes through before its norm, and the
 * logits [.., vocab] of the exit behind block `at` from what that block gives. A cache serves the blocks that are run.
 */
fi_node *fi_t5_decode_blocks(fi_graph *g, const fi_t5 *t5, fi_node *x, const fi_t5_memory *memory,
                             const fi_cache *cache, size_t from, size_t to);
fi_node *fi_t5_leave(fi_graph *g, const fi_t5 *t5, fi_node *x, size_t at);

/*
 * What training minimises: the mean cross entropy of labels [b, m] (negative: left out) after ids [b, n] of which mask
 * [b, n] (NULL: all) are seen. shifted [b, m] is what the decoder reads: its start token, then the labels but the last.
 */
fi_node *fi_t5_loss(fi_graph *g, const fi_t5 *t5, fi_node *ids, fi_node *mask, fi_node *shifted, fi_node *labels);

#endif
