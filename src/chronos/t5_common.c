#include "chronos/t5_common.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

ftl_status fi_chronos_need(const fi_chronos_source *s, const json_t *object, const char *const *keys, ftl_error *err)
{
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (!value || json_is_null(value))
            return fi_fail(err, FTL_EDATA, "%s: %skey '%s' is missing", s->config_path,
                           object == s->config ? "" : "chronos_config: ", *keys);
    }
    return FTL_OK;
}

ftl_status fi_chronos_get_activation_or(const fi_chronos_source *s, const char *key, fi_activation missing,
                                        fi_activation *out, ftl_error *err)
{
    static const struct {
        const char *name;
        fi_activation activation;
    } known[] = {{"relu", FI_RELU}, {"gelu", FI_GELU},  {"gelu_new", FI_GELU_TANH}, {"gelu_pytorch_tanh", FI_GELU_TANH},
                 {"silu", FI_SILU}, {"swish", FI_SILU}, {"tanh", FI_TANH}};
    const char *name;
    *out = missing;
    if (!json_object_get(s->config, key)) return FTL_OK;
    ftl_status st = fi_json_get_text(s->config, key, &name, err);
    if (st) return fi_chronos_named(s, st, err);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) {
            *out = known[i].activation;
            return FTL_OK;
        }
    return fi_fail(err, FTL_EDATA, "%s: key '%s' is '%.60s'; known are relu, gelu, gelu_new, silu and tanh%s",
                   s->config_path, key, name, strncmp(name, "gated", 5) ? "" : ", and no gated ones");
}

/*
 * Logits times d_model^-0.5? transformers 5 says so itself; before, a head that is not tied meant no. And such a head may be
 * in the file or not.
 */
static ftl_status read_head(const fi_chronos_source *s, fi_t5_config *c, ftl_error *err)
{
    bool tied;
    ftl_status st = fi_chronos_get_bool_or(s, s->config, "tie_word_embeddings", true, &tied, err);
    if (!st) st = fi_chronos_get_bool_or(s, s->config, "scale_decoder_outputs", tied, &c->scaled_logits, err);
    c->head = c->scaled_logits || !fi_weights_find(s->weights, "lm_head.weight") ? FI_T5_TIED_HEAD : FI_T5_OWN_HEAD;
    return st;
}

ftl_status fi_chronos_read_t5(const fi_chronos_source *s, fi_t5_config *out, ftl_error *err)
{
    enum { WIDTH = 1 << 16, HEADS = 1 << 10 }; /* far above any T5; products of two stay far below SIZE_MAX */
    static const char *const needed[] = {"d_model", "d_kv", "d_ff", "num_layers", "num_heads", NULL};
    const json_t *o = s->config;
    size_t heads, d_ff;
    double eps;
    memset(out, 0, sizeof *out);
    ftl_status st = fi_chronos_need(s, o, needed, err);
    if (!st) st = fi_chronos_get_count(s, o, "d_model", 1, WIDTH, &out->d_model, err);
    if (!st) st = fi_chronos_get_count(s, o, "d_kv", 1, HEADS, &out->d_kv, err);
    if (!st) st = fi_chronos_get_count(s, o, "d_ff", 1, WIDTH, &d_ff, err);
    if (!st) st = fi_chronos_get_count(s, o, "num_heads", 1, HEADS, &heads, err);
    if (!st) st = fi_chronos_get_count(s, o, "num_layers", 1, FI_T5_MAX_LAYERS, &out->n_encoder, err);
    if (!st)
        st = fi_chronos_get_count_or(s, o, "num_decoder_layers", 1, FI_T5_MAX_LAYERS, out->n_encoder, &out->n_decoder,
                                     err);
    if (!st) st = fi_chronos_check_depth(s, "encoder", "num_layers", out->n_encoder, err);
    if (!st) st = fi_chronos_check_depth(s, "decoder", "num_decoder_layers", out->n_decoder, err);
    if (!st) st = fi_chronos_get_count_or(s, o, "relative_attention_num_buckets", 4, 4096, 32, &out->buckets, err);
    if (!st) /* the far buckets are spread over the logarithms of distances from buckets / 2 on */
        st = fi_chronos_get_count_or(s, o, "relative_attention_max_distance", out->buckets / 2 + 1, 1 << 20, 128,
                                     &out->max_distance, err);
    if (!st) st = fi_chronos_get_real_or(s, o, "layer_norm_epsilon", 0, 1, 1e-6, &eps, err);
    /* "relu", or "gated-gelu" and the like: upstream derives all else (dense_act_fn, is_gated_act) from this one key */
    if (!st) st = fi_chronos_get_activation_or(s, "feed_forward_proj", FI_RELU, &out->activation, err);
    if (!st) st = read_head(s, out, err);
    if (st) return st;
    out->eps = (float)eps;
    for (size_t i = 0; i < FI_T5_MAX_LAYERS; i++)
        out->encoder[i] = out->decoder[i] = (fi_t5_width){.heads = heads, .cross_heads = heads, .d_ff = d_ff};
    return FTL_OK;
}

static int shorter(const void *a, const void *b)
{
    const fi_chronos_row *x = *(const fi_chronos_row *const *)a, *y = *(const fi_chronos_row *const *)b;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return (x > y) - (x < y);
}

ftl_status fi_chronos_by_length(const fi_chronos_batch *batch, bool all, const fi_chronos_row ***out, size_t *n,
                                ftl_error *err)
{
    *n = 0;
    *out = fi_alloc(batch->n_rows, sizeof **out);
    if (!*out) return fi_fail_memory(err);
    for (size_t i = 0; i < batch->n_rows; i++)
        if (all || batch->rows[i].out) (*out)[(*n)++] = &batch->rows[i];
    qsort(*out, *n, sizeof **out, shorter);
    return FTL_OK;
}

size_t fi_chronos_together(const fi_chronos_row *const *rows, size_t n, size_t most)
{
    size_t equal = 1;
    while (equal < n && rows[equal]->length == rows[0]->length) equal++;
    if (most < 1) most = 1;
    const size_t passes = (equal + most - 1) / most;
    return (equal + passes - 1) / passes;
}
