/*
 * The networks behind Chronos' tokens: T5, or (causal) GPT-2. A pass is one shape of a generation, recorded once: `rows`
 * series of `tokens` tokens are read once and give the logits of the first step; in the further ones all paths are rows of
 * one product; they share what is known of their series, and each has a cache of what it drew itself.
 */
#ifndef FI_CHRONOS_TOKEN_PASS_H
#define FI_CHRONOS_TOKEN_PASS_H

#include "chronos/chronos_t5.h"

typedef struct fi_token_pass {
    size_t rows, tokens, paths, steps; /* paths 0: T5's encoding only */
    fi_node *ids, *mask;               /* [rows, tokens] to be filled by the caller */
    fi_node *first_logits;             /* [rows, 1, vocab] */
    fi_node *next_ids, *next_logits;   /* [rows * paths, 1], [rows * paths, 1, vocab]; NULL: one step is all */
    fi_node *encoded;                  /* [rows, tokens, d_model]; T5 */

    fi_graph *encode, *first, *next;
    fi_node *first_ids;            /* what T5's decoder starts with */
    fi_node *places, *next_places; /* GPT-2: which learned positions tokens have */
    fi_cache first_cache, cache;   /* of series, of paths */
} fi_token_pass;

/* Makes m->pass one of that shape, recorded anew if it is another. */
ftl_status fi_token_pass_find(fi_chronos_t5_model *m, size_t rows, size_t tokens, size_t paths, size_t steps,
                              ftl_error *err);
void fi_token_pass_free(fi_token_pass *pass);
/* After ids and mask are filled: the first logits. */
void fi_token_pass_begin(fi_chronos_t5_model *m);
/* After next_ids are filled with the tokens of step t - 1, t >= 1: the logits of step t. */
void fi_token_pass_step(fi_chronos_t5_model *m, size_t t);
/* Numbers in the caches of one path. */
size_t fi_token_pass_cache_floats(const fi_chronos_t5_model *m);

#endif
