/* Chronos-Bolt: T5 over patches of a standardised series; one decoder token gives all quantiles of all steps at once. */
#include "base/alloc.h"
#include "base/error.h"
#include "chronos/patches.h"
#include "chronos/samples.h"
#include "chronos/t5_common.h"
#include "models/residual_block.h"

#include <string.h>

enum { TOKENS_TOGETHER = 2048 }; /* of a pass: enough for efficient products, and its values stay in the caches */

/* One recorded shape: rows series of `patches` patches. */
typedef struct pass {
    size_t rows, patches, tokens;
    fi_graph *graph;
    fi_node *patch, *mask, *encoded, *quantiles; /* quantiles [rows, n_levels * horizon] */
} pass;

typedef struct bolt {
    fi_engine *engine;
    size_t context_length, prediction_length, patch_size, patch_stride, n_levels;
    double *levels;
    bool use_reg;
    size_t start, reg; /* rows of shared.weight */
    fi_params params;
    fi_t5 t5;
    fi_residual_block in, out;
    pass *pass; /* the last one recorded */
} bolt;

/* ---- opening ---- */

static void pass_free(pass *p)
{
    if (!p) return;
    fi_graph_free(p->graph);
    fi_free(p);
}

static void bolt_close(void *opaque)
{
    bolt *b = opaque;
    if (!b) return;
    pass_free(b->pass);
    fi_params_release(&b->params);
    fi_free(b->levels);
    fi_free(b);
}

static ftl_status read_config(bolt *b, fi_t5_config *config, const fi_chronos_source *s, ftl_error *err)
{
    enum { MOST = 1 << 16 };
    const json_t *c = s->chronos;
    ftl_status st = fi_chronos_read_t5(s, config, err);
    if (!st) st = fi_chronos_get_count(s, c, "context_length", 1, 1 << 20, &b->context_length, err);
    if (!st) st = fi_chronos_get_count(s, c, "prediction_length", 1, MOST, &b->prediction_length, err);
    if (!st) st = fi_chronos_get_count(s, c, "input_patch_size", 1, MOST, &b->patch_size, err);
    if (!st) st = fi_chronos_get_count(s, c, "input_patch_stride", 1, b->patch_size, &b->patch_stride, err);
    if (!st) st = fi_chronos_get_levels(s, &b->levels, &b->n_levels, err);
    if (!st) st = fi_chronos_get_bool_or(s, c, "use_reg_token", false, &b->use_reg, err);
    config->vocab = b->use_reg ? 2 : 1;
    b->reg = 1;
    if (!st)
        st = fi_chronos_get_count_or(s, s->config, "decoder_start_token_id", 0, config->vocab - 1, 0, &b->start, err);
    config->head = FI_T5_NO_HEAD;
    return st;
}

static ftl_status bolt_open(const fi_chronos_source *s, ftl_chronos_facts *facts, void **out, ftl_error *err)
{
    fi_t5_config config;
    bolt *b = fi_calloc(1, sizeof *b);
    *out = NULL;
    if (!b) return fi_fail_memory(err);
    b->engine = s->engine;
    ftl_status st = read_config(b, &config, s, err);
    if (!st) {
        const size_t d_ff = config.encoder[0].d_ff;
        fi_t5_declare(&b->t5, &config, &b->params);
        b->in = fi_residual_block_declare(&b->params, "input_patch_embedding", 2 * b->patch_size, d_ff, config.d_model);
        b->out = fi_residual_block_declare(&b->params, "output_patch_embedding", config.d_model, d_ff,
                                           b->n_levels * b->prediction_length);
        st = fi_params_load(&b->params, s->engine, s->weights, s->precision, err);
    }
    if (st) {
        bolt_close(b);
        return st;
    }
    facts->context_length = b->context_length;
    facts->prediction_length = b->prediction_length;
    facts->d_model = config.d_model;
    facts->weight_bytes = b->params.bytes;
    for (size_t i = 0; i < b->params.n; i++) facts->n_parameters += b->params.item[i]->size;
    facts->levels = b->levels;
    facts->n_levels = b->n_levels;
    *out = b;
    return FTL_OK;
}

/* ---- the network ---- */

static fi_node *token(fi_graph *g, const bolt *b, size_t row, size_t times)
{
    const size_t d = b->t5.config.d_model;
    fi_node *x = fi_rows(g, fi_parameter(g, b->t5.shared), row, 1);
    return fi_repeat(g, fi_reshape(g, x, 3, (size_t[]){1, 1, d}), times);
}

static ftl_status record(bolt *b, pass *p, ftl_error *err)
{
    const size_t n = p->rows, tokens = p->tokens;
    ftl_status st = fi_graph_new(b->engine, false, &p->graph, err);
    if (st) return st;
    fi_graph *g = p->graph;
    p->patch = fi_input(g, 3, (size_t[]){n, p->patches, 2 * b->patch_size});
    p->mask = fi_input(g, 2, (size_t[]){n, tokens});
    fi_node *x = fi_residual_block_apply(g, &b->in, p->patch, b->t5.config.activation);
    if (b->use_reg) x = fi_concat(g, (fi_node *[]){x, token(g, b, b->reg, n)}, 2, 1);
    p->encoded = fi_t5_encode(g, &b->t5, x, p->mask);
    fi_keep(g, p->encoded);
    fi_t5_memory memory;
    fi_t5_remember(g, &b->t5, p->encoded, p->mask, &memory);
    x = fi_t5_decode(g, &b->t5, token(g, b, b->start, n), &memory, NULL);
    p->quantiles = fi_residual_block_apply(g, &b->out, x, b->t5.config.activation);
    fi_keep(g, p->quantiles);
    return fi_plan(g, NULL, err);
}

/* The pass of that shape: the model's last one, or a new one in its place. */
static ftl_status find_pass(bolt *b, size_t rows, size_t patches, ftl_error *err)
{
    if (b->pass && b->pass->rows == rows && b->pass->patches == patches) return FTL_OK;
    pass_free(b->pass);
    pass *p = b->pass = fi_calloc(1, sizeof *p);
    if (!p) return fi_fail_memory(err);
    p->rows = rows;
    p->patches = patches;
    p->tokens = patches + b->use_reg;
    ftl_status st = record(b, p, err);
    if (!st) return FTL_OK;
    pass_free(p);
    b->pass = NULL;
    return st;
}

static size_t count_patches(const bolt *b, size_t length)
{
    return fi_patch_count(length, b->patch_size, b->patch_stride);
}

static size_t count_tokens(const void *opaque, size_t length)
{
    const bolt *b = opaque;
    return count_patches(b, length) + b->use_reg;
}

/* Rows of equal length on their way through the network. */
typedef struct entry {
    const float *context;
    float loc, scale;
    float *out; /* [n_levels, out_stride] */
} entry;

/* Standardises a context into z and puts it as row r before the encoder. */
static void enter_row(const bolt *b, entry *e, size_t r, size_t length, float *z)
{
    const pass *p = b->pass;
    const size_t width = 2 * b->patch_size;
    float *patch = p->patch->value + r * p->patches * width, *mask = p->mask->value + r * p->tokens;
    fi_instance_stats(e->context, length, &e->loc, &e->scale);
    for (size_t i = 0; i < length; i++) z[i] = (e->context[i] - e->loc) / e->scale;
    fi_patch(z, length, b->patch_size, b->patch_stride, patch, patch + b->patch_size, width, mask);
    if (b->use_reg) mask[p->patches] = 1;
}

static size_t rows_together(const bolt *b, size_t length)
{
    const size_t tokens = count_tokens(b, length);
    return tokens < TOKENS_TOGETHER ? TOKENS_TOGETHER / tokens : 1;
}

/* The quantiles of one block for n contexts of equal length, [n_levels] rows of out_stride apart; z has room for one context. */
static ftl_status run(bolt *b, const fi_chronos_batch *batch, entry *entries, size_t n, size_t length,
                      size_t out_stride, size_t steps, float *z, ftl_error *err)
{
    const size_t most = rows_together(b, length), passes = (n + most - 1) / most, together = (n + passes - 1) / passes;
    for (size_t first = 0, rows; first < n; first += rows) {
        rows = n - first < together ? n - first : together;
        if (!batch->go_on(batch->user)) return fi_fail(err, FTL_ECANCELLED, "cancelled");
        ftl_status st = find_pass(b, rows, count_patches(b, length), err);
        if (st) return st;
        for (size_t r = 0; r < rows; r++) enter_row(b, &entries[first + r], r, length, z);
        fi_forward(b->pass->graph);
        for (size_t r = 0; r < rows; r++) {
            const entry *e = &entries[first + r];
            const float *y = b->pass->quantiles->value + r * b->n_levels * b->prediction_length;
            for (size_t k = 0; k < b->n_levels; k++)
                for (size_t t = 0; t < steps; t++)
                    e->out[k * out_stride + t] = y[k * b->prediction_length + t] * e->scale + e->loc;
        }
    }
    return FTL_OK;
}
