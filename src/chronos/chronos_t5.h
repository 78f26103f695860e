/* Chronos-T5 and its causal variant inside: for its training, and for tests that look at logits. */
#ifndef FI_CHRONOS_CHRONOS_T5_H
#define FI_CHRONOS_CHRONOS_T5_H

#include "chronos/family.h"
#include "chronos/tokenizer.h"
#include "models/gpt2.h"
#include "models/t5.h"

/* chronos_config of config.json, but for the tokenizer's part. */
typedef struct fi_chronos_t5_settings {
    size_t context_length, prediction_length, n_tokens, n_special, pad, eos, num_samples, top_k;
    bool use_eos;
    double temperature, top_p, low, high;
} fi_chronos_t5_settings;

typedef struct fi_chronos_t5_model {
    fi_engine *engine;
    fi_chronos_t5_settings settings;
    size_t start; /* the token that T5's decoding starts with */
    fi_tokenizer tokenizer;
    fi_params params;
    bool causal; /* the network is gpt2, else t5 */
    fi_t5 t5;
    fi_gpt2 gpt2;
    size_t vocab;
    struct fi_token_pass *pass; /* the last one recorded */
} fi_chronos_t5_model;

#endif
