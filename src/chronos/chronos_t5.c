/*
 * Chronos-T5: a language model over value tokens, and sample paths drawn from it (Ansari et al. 2024, arXiv 2403.07815);
 * also with GPT-2 as the network, which reads context and paths as one sequence.
 */
#include "chronos/chronos_t5.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "chronos/samples.h"
#include "chronos/sampling.h"
#include "chronos/t5_common.h"
#include "chronos/token_pass.h"

#include <string.h>

enum {
    CACHE_FLOATS = 1 << 28, /* of paths that run together */
    PATHS_TOGETHER = 80,    /* rows of a decoding step that make its products efficient while caches stay small */
    TOKENS_TOGETHER = 4096, /* likewise of encoding alone */
    MAX_VOCAB = 1 << 18,    /* candidates of one row fit into scratch memory */
    STREAM_PATHS = 0x5435   /* of random numbers */
};

/* ---- opening ---- */

static ftl_status read_settings(const fi_chronos_source *s, fi_chronos_t5_settings *out, bool *causal, ftl_error *err)
{
    static const char *const needed[] = {"tokenizer_class",
                                         "tokenizer_kwargs",
                                         "n_tokens",
                                         "n_special_tokens",
                                         "pad_token_id",
                                         "eos_token_id",
                                         "use_eos_token",
                                         "model_type",
                                         "num_samples",
                                         "context_length",
                                         "prediction_length",
                                         "temperature",
                                         "top_k",
                                         "top_p",
                                         NULL};
    const json_t *c = s->chronos, *limits = json_object_get(c, "tokenizer_kwargs");
    const char *class = NULL, *type = NULL;
    ftl_status st = fi_chronos_need(s, c, needed, err);
    if (!st) st = fi_chronos_need(s, limits, (const char *const[]){"low_limit", "high_limit", NULL}, err);
    if (!st) st = fi_chronos_named(s, fi_json_get_text(c, "tokenizer_class", &class, err), err);
    if (!st && strcmp(class, "MeanScaleUniformBins"))
        st = fi_fail(err, FTL_EDATA, "%s: key 'tokenizer_class' is '%.60s'; only MeanScaleUniformBins is known",
                     s->config_path, class);
    if (!st) st = fi_chronos_named(s, fi_json_get_text(c, "model_type", &type, err), err);
    *causal = !st && !strcmp(type, "causal");
    if (!st && !*causal && strcmp(type, "seq2seq"))
        st = fi_fail(err, FTL_EDATA, "%s: key 'model_type' is '%.60s', but must be seq2seq (T5) or causal (GPT-2)",
                     s->config_path, type);
    if (!st) st = fi_chronos_get_count(s, c, "n_tokens", 3, MAX_VOCAB, &out->n_tokens, err);
    if (!st) st = fi_chronos_get_count(s, c, "n_special_tokens", 1, out->n_tokens, &out->n_special, err);
    if (!st) st = fi_chronos_get_count(s, c, "pad_token_id", 0, out->n_special - 1, &out->pad, err);
    if (!st) st = fi_chronos_get_count(s, c, "eos_token_id", 0, out->n_special - 1, &out->eos, err);
    if (!st) st = fi_chronos_get_bool_or(s, c, "use_eos_token", true, &out->use_eos, err);
    if (!st) st = fi_chronos_get_count(s, c, "context_length", 1, 1 << 20, &out->context_length, err);
    if (!st) st = fi_chronos_get_count(s, c, "prediction_length", 1, 1 << 16, &out->prediction_length, err);
    if (!st) st = fi_chronos_get_count(s, c, "num_samples", 1, 1 << 16, &out->num_samples, err);
    if (!st) st = fi_chronos_get_real_or(s, c, "temperature", 1e-6, 1e6, 1, &out->temperature, err);
    if (!st) st = fi_chronos_get_count(s, c, "top_k", 0, SIZE_MAX / 2, &out->top_k, err);
    if (!st) st = fi_chronos_get_real_or(s, c, "top_p", 1e-9, 1, 1, &out->top_p, err);
    if (!st) st = fi_chronos_get_real_or(s, limits, "low_limit", -1e18, 1e18, 0, &out->low, err);
    if (!st) st = fi_chronos_get_real_or(s, limits, "high_limit", -1e18, 1e18, 0, &out->high, err);
    if (!st && out->top_k == 0) out->top_k = out->n_tokens; /* 0 turns it off */
    return st;
}

/* Settings that change what GPT-2 computes, of which no checkpoint of Chronos makes use. */
static ftl_status check_usual(const fi_chronos_source *s, const char *key, bool usual, ftl_error *err)
{
    bool value = usual;
    ftl_status st = fi_chronos_get_bool_or(s, s->config, key, usual, &value, err);
    if (st || value == usual) return st;
    return fi_fail(err, FTL_EDATA, "%s: key '%s' is %s, but only %s is known", s->config_path, key,
                   value ? "true" : "false", usual ? "true" : "false");
}

static ftl_status read_gpt2(const fi_chronos_source *s, fi_gpt2_config *out, ftl_error *err)
{
    enum { WIDTH = 1 << 16, HEADS = 1 << 10, HEAD_WIDTH = 1 << 10 };
    static const char *const needed[] = {"model_type", "n_embd", "n_layer", "n_head", "n_positions", NULL};
    const json_t *o = s->config;
    const char *type = NULL;
    size_t heads = 0, d_ff;
    double eps;
    bool tied;
    memset(out, 0, sizeof *out);
    ftl_status st = fi_chronos_need(s, o, needed, err);
    if (!st) st = fi_chronos_named(s, fi_json_get_text(o, "model_type", &type, err), err);
    if (!st && strcmp(type, "gpt2"))
        st = fi_fail(err, FTL_EDATA, "%s: key 'model_type' is '%.60s'; of causal networks only gpt2 can be run",
                     s->config_path, type);
    if (!st) st = fi_chronos_get_count(s, o, "n_embd", 1, WIDTH, &out->d_model, err);
    if (!st) st = fi_chronos_get_count(s, o, "n_layer", 1, FI_GPT2_MAX_LAYERS, &out->n_blocks, err);
    if (!st) st = fi_chronos_get_count(s, o, "n_head", 1, HEADS, &heads, err);
    if (!st) st = fi_chronos_get_count(s, o, "n_positions", 1, 1 << 21, &out->positions, err);
    if (!st) st = fi_chronos_get_count_or(s, o, "n_inner", 1, 4 * WIDTH, 4 * out->d_model, &d_ff, err);
    if (!st) st = fi_chronos_get_real_or(s, o, "layer_norm_epsilon", 0, 1, 1e-5, &eps, err);
    if (!st) st = fi_chronos_get_activation_or(s, "activation_function", FI_GELU_TANH, &out->activation, err);
    if (!st) st = fi_chronos_get_bool_or(s, o, "tie_word_embeddings", true, &tied, err);
    if (!st) st = check_usual(s, "scale_attn_weights", true, err);
    if (!st) st = check_usual(s, "scale_attn_by_inverse_layer_idx", false, err);
    if (!st && (out->d_model % heads || out->d_model / heads > HEAD_WIDTH))
        st = fi_fail(err, FTL_EDATA, "%s: key 'n_embd' is %zu, but must be n_head, %zu, times a width of at most %d",
                     s->config_path, out->d_model, heads, HEAD_WIDTH);
    if (st) return st;
    out->d_head = out->d_model / heads;
    out->eps = (float)eps;
    out->own_head = !tied && fi_weights_find(s->weights, "lm_head.weight");
    for (size_t i = 0; i < FI_GPT2_MAX_LAYERS; i++) out->block[i] = (fi_gpt2_width){.heads = heads, .d_ff = d_ff};
    return FTL_OK;
}

static ftl_status open_t5(fi_chronos_t5_model *m, const fi_chronos_source *s, size_t *d_model, ftl_error *err)
{
    fi_t5_config config;
    ftl_status st = fi_chronos_read_t5(s, &config, err);
    if (!st) st = fi_chronos_get_count_or(s, s->config, "decoder_start_token_id", 0, m->vocab - 1, 0, &m->start, err);
    if (st) return st;
    config.vocab = m->vocab;
    *d_model = config.d_model;
    fi_t5_declare(&m->t5, &config, &m->params);
    return FTL_OK;
}

static ftl_status open_gpt2(fi_chronos_t5_model *m, const fi_chronos_source *s, size_t *d_model, ftl_error *err)
{
    fi_gpt2_config config;
    const size_t most = m->settings.context_length + m->settings.prediction_length - 1; /* the last token is not read */
    ftl_status st = read_gpt2(s, &config, err);
    if (!st && config.positions < most)
        st = fi_fail(err, FTL_EDATA, "%s: key 'n_positions' is %zu, but context_length and prediction_length need %zu",
                     s->config_path, config.positions, most);
    if (st) return st;
    config.vocab = m->vocab;
    *d_model = config.d_model;
    fi_gpt2_declare(&m->gpt2, &config, &m->params);
    return FTL_OK;
}

static void model_close(void *opaque);

static ftl_status model_open(const fi_chronos_source *s, ftl_chronos_facts *facts, void **out, ftl_error *err)
{
    size_t d_model = 0;
    fi_chronos_t5_model *m = fi_calloc(1, sizeof *m);
    *out = NULL;
    if (!m) return fi_fail_memory(err);
    m->engine = s->engine;
    ftl_status st = read_settings(s, &m->settings, &m->causal, err);
    const fi_chronos_t5_settings *set = &m->settings;
    if (!st) st = fi_chronos_get_count(s, s->config, "vocab_size", set->n_tokens, MAX_VOCAB, &m->vocab, err);
    if (!st) st = m->causal ? open_gpt2(m, s, &d_model, err) : open_t5(m, s, &d_model, err);
    if (!st) st = fi_params_load(&m->params, s->engine, s->weights, s->precision, err);
    if (!st) {
        st = fi_tokenizer_init(&m->tokenizer, set->n_tokens, set->n_special, set->pad, set->low, set->high, err);
        st = fi_chronos_named(s, st, err);
    }
    if (st) {
        model_close(m);
        return st;
    }
    if (m->causal) facts->family = "chronos-gpt2";
    facts->context_length = set->context_length;
    facts->prediction_length = set->prediction_length;
    facts->d_model = d_model;
    facts->weight_bytes = m->params.bytes;
    for (size_t i = 0; i < m->params.n; i++) facts->n_parameters += m->params.item[i]->size;
    facts->num_samples = set->num_samples;
    facts->temperature = set->temperature;
    facts->top_k = set->top_k;
    facts->top_p = set->top_p;
    *out = m;
    return FTL_OK;
}

static void model_close(void *opaque)
{
    fi_chronos_t5_model *m = opaque;
    if (!m) return;
    fi_token_pass_free(m->pass);
    fi_tokenizer_release(&m->tokenizer);
    fi_params_release(&m->params);
    fi_free(m);
}

/* ---- encoding ---- */

static size_t count_tokens(const void *opaque, size_t length)
{
    const fi_chronos_t5_model *m = opaque;
    return length + (m->settings.use_eos && !m->causal);
}

/* Puts x[0, length) as row r before the network; returns its scale. */
static float enter_row(const fi_chronos_t5_model *m, size_t r, const float *x, size_t length)
{
    const fi_token_pass *p = m->pass;
    int32_t *ids = fi_ids(p->ids) + r * p->tokens;
    float *mask = p->mask->value + r * p->tokens, scale = fi_mean_scale(x, length);
    fi_tokenize(&m->tokenizer, x, length, scale, ids, mask);
    if (p->tokens > length) {
        ids[length] = (int32_t)m->settings.eos;
        mask[length] = 1;
    }
    return scale;
}

static ftl_status embed(void *opaque, const fi_chronos_batch *batch, float *const *states, float *loc, float *scale,
                        ftl_error *err)
{
    fi_chronos_t5_model *m = opaque;
    const size_t d = m->t5.config.d_model;
    const fi_chronos_row **rows;
    size_t n;
    if (m->causal)
        return fi_fail(err, FTL_EINVAL, "a causal network (GPT-2) has no encoder, whose states an embedding would be");
    ftl_status st = fi_chronos_by_length(batch, true, &rows, &n, err);
    for (size_t i = 0, together; !st && i < n; i += together) {
        const size_t tokens = count_tokens(m, rows[i]->length);
        together = fi_chronos_together(rows + i, n - i, TOKENS_TOGETHER / tokens);
        if (!batch->go_on(batch->user)) st = fi_fail(err, FTL_ECANCELLED, "cancelled");
        if (!st) st = fi_token_pass_find(m, together, tokens, 0, 0, err);
        if (st) break;
        for (size_t r = 0; r < together; r++) {
            const size_t at = (size_t)(rows[i + r] - batch->rows);
            scale[at] = enter_row(m, r, rows[i + r]->context, rows[i + r]->length);
            loc[at] = 0;
        }
        fi_forward(m->pass->encode);
        for (size_t r = 0; r < together; r++)
            memcpy(states[rows[i + r] - batch->rows], m->pass->encoded->value + r * tokens * d,
                   tokens * d * sizeof(float));
    }
    fi_free(rows);
    return st;
}

/* ---- generation ---- */

/* Rows of equal length on their way through blocks of prediction_length steps. */
typedef struct generation {
    fi_chronos_t5_model *m;
    const fi_chronos_batch *batch;
    const fi_chronos_row *const *rows;
    size_t n, length, done; /* rows; values of each context; steps of the horizon that are behind */
    float *contexts;        /* [n, context_length] */
    float *scales;          /* [n] */
    fi_rng *rng;            /* [n, paths] each path's own stream, wherever and with whomever it runs */
    int32_t *tokens;        /* [n, paths] drawn last */
    bool *lost;             /* [n, paths] logits were no numbers */
    float *column;          /* [paths] */
    fi_sampling sampling;
} generation;

/* Draws for one row of logits: in the first step that of a series and all its paths, then that of a path. */
typedef struct drawing {
    const generation *gen;
    const float *logits;
    size_t paths; /* of a row */
} drawing;

static void draw_row(void *user, size_t row, float *scratch)
{
    const drawing *d = user;
    const generation *gen = d->gen;
    const size_t vocab = gen->m->vocab;
    fi_candidate *candidates = (fi_candidate *)(void *)scratch;
    const size_t n = fi_sampling_candidates(&gen->sampling, d->logits + row * vocab, vocab, candidates);
    for (size_t i = row * d->paths; i < (row + 1) * d->paths; i++) {
        gen->lost[i] = n == 0;
        if (n) gen->tokens[i] = fi_sampling_draw(candidates, n, fi_rng_uniform(&gen->rng[i]));
    }
}

/* Draws the next token of all paths and writes their values at `step` of the horizon. */
static ftl_status draw(generation *gen, const fi_node *logits, size_t step, ftl_error *err)
{
    const size_t paths = gen->batch->n_samples, rows = logits->shape[0];
    fi_engine_run(gen->m->engine, rows, draw_row, &(drawing){gen, logits->value, gen->n * paths / rows});
    for (size_t i = 0; i < gen->n * paths; i++) {
        if (gen->lost[i])
            return fi_fail(err, FTL_ENUMERIC, "the network gave logits that are no numbers; its weights are too large");
        gen->rows[i / paths]->out[i % paths * gen->batch->horizon + step] =
            fi_token_value(&gen->m->tokenizer, gen->tokens[i], gen->scales[i / paths]);
    }
    return FTL_OK;
}

static ftl_status decode_block(generation *gen, size_t steps, ftl_error *err)
{
    const fi_token_pass *p = gen->m->pass;
    fi_token_pass_begin(gen->m);
    ftl_status st = draw(gen, p->first_logits, gen->done, err);
    for (size_t t = 1; !st && t < steps; t++) {
        if (!gen->batch->go_on(gen->batch->user)) return fi_fail(err, FTL_ECANCELLED, "cancelled");
        memcpy(fi_ids(p->next_ids), gen->tokens, gen->n * gen->batch->n_samples * sizeof *gen->tokens);
        fi_token_pass_step(gen->m, t);
        st = draw(gen, p->next_logits, gen->done + t, err);
    }
    return st;
}

/* Longer horizons go on from the medians of the paths. */
static void extend_contexts(generation *gen, size_t steps)
{
    const size_t most = gen->m->settings.context_length, paths = gen->batch->n_samples, H = gen->batch->horizon;
    const size_t added = steps < most ? steps : most, kept = gen->length < most - added ? gen->length : most - added;
    for (size_t r = 0; r < gen->n; r++) {
        float *x = gen->contexts + r * most;
        memmove(x, x + gen->length - kept, kept * sizeof *x);
        for (size_t t = 0; t < added; t++) {
            const float *at = gen->rows[r]->out + gen->done - added + t;
            for (size_t s = 0; s < paths; s++) gen->column[s] = at[s * H];
            fi_sort_samples(gen->column, paths);
            x[kept + t] = fi_lower_median(gen->column, paths);
        }
    }
    gen->length = kept + added;
}

static ftl_status generate(generation *gen, ftl_error *err)
{
    fi_chronos_t5_model *m = gen->m;
    const size_t most = m->settings.context_length, paths = gen->batch->n_samples, H = gen->batch->horizon;
    const size_t block = H < m->settings.prediction_length ? H : m->settings.prediction_length;
    for (size_t r = 0; r < gen->n; r++) {
        memcpy(gen->contexts + r * most, gen->rows[r]->context, gen->length * sizeof(float));
        for (size_t s = 0; s < paths; s++) fi_rng_init(&gen->rng[r * paths + s], gen->rows[r]->seed, STREAM_PATHS, s);
    }
    ftl_status st = FTL_OK;
    for (size_t steps; !st && gen->done < H; gen->done += steps) {
        steps = H - gen->done < block ? H - gen->done : block;
        if (gen->done) extend_contexts(gen, block);
        if (!gen->batch->go_on(gen->batch->user)) return fi_fail(err, FTL_ECANCELLED, "cancelled");
        if ((st = fi_token_pass_find(m, gen->n, count_tokens(m, gen->length), paths, block, err))) break;
        for (size_t r = 0; r < gen->n; r++) gen->scales[r] = enter_row(m, r, gen->contexts + r * most, gen->length);
        st = decode_block(gen, steps, err);
    }
    return st;
}

static size_t rows_together(const fi_chronos_t5_model *m, size_t paths)
{
    const size_t fit = CACHE_FLOATS / fi_token_pass_cache_floats(m);
    const size_t most = fit < PATHS_TOGETHER ? fit : PATHS_TOGETHER;
    return paths < most ? most / paths : 1;
}

static ftl_status predict(void *opaque, const fi_chronos_batch *batch, ftl_error *err)
{
    fi_chronos_t5_model *m = opaque;
    const size_t paths = batch->n_samples, most = rows_together(m, paths);
    const fi_chronos_row **rows;
    size_t n;
    generation gen = {.m = m, .batch = batch};
    gen.sampling = (fi_sampling){(float)batch->temperature, batch->top_k, batch->top_p, (int32_t)m->settings.eos};
    ftl_status st = fi_chronos_by_length(batch, false, &rows, &n, err);
    if (st) return st;
    gen.contexts = fi_alloc(most * m->settings.context_length, sizeof(float));
    gen.scales = fi_alloc(most, sizeof(float));
    gen.column = fi_alloc(paths, sizeof(float));
    gen.rng = fi_alloc(most * paths, sizeof *gen.rng);
    gen.tokens = fi_alloc(most * paths, sizeof *gen.tokens);
    gen.lost = fi_alloc(most * paths, sizeof *gen.lost);
    if (!gen.contexts || !gen.scales || !gen.column || !gen.rng || !gen.tokens || !gen.lost) st = fi_fail_memory(err);
    for (size_t i = 0; !st && i < n; i += gen.n) {
        gen.rows = rows + i;
        gen.n = fi_chronos_together(rows + i, n - i, most);
        gen.length = rows[i]->length;
        gen.done = 0;
        st = generate(&gen, err);
    }
    fi_free(gen.contexts);
    fi_free(gen.scales);
    fi_free(gen.column);
    fi_free(gen.rng);
    fi_free(gen.tokens);
    fi_free(gen.lost);
    fi_free(rows);
    return st;
}

static ftl_chronos_memory memory(void *opaque, size_t rows, size_t context, size_t horizon, size_t samples)
{
    fi_chronos_t5_model *m = opaque;
    const size_t most = rows_together(m, samples), steps = m->settings.prediction_length;
    ftl_chronos_memory out = {0};
    if (fi_token_pass_find(m, rows < most ? rows : most, count_tokens(m, context), samples,
                           horizon < steps ? horizon : steps, NULL))
        return out;
    const fi_token_pass *p = m->pass;
    out.activation_bytes = fi_graph_bytes(p->first);
    if (p->encode) out.activation_bytes += fi_graph_bytes(p->encode);
    if (p->next) out.activation_bytes += fi_graph_bytes(p->next);
    out.cache_bytes = p->first_cache.bytes + p->cache.bytes;
    return out;
}

const fi_chronos_family fi_chronos_t5 = {
    .name = "chronos-t5",
    .pipeline = "ChronosPipeline",
    .gives_samples = true,
    .batch_size = 32,
    .open = model_open,
    .close = model_close,
    .predict = predict,
    .n_tokens = count_tokens,
    .embed = embed,
    .memory = memory,
};
