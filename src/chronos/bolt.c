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
    config->one_token = true;
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

/* ---- forecasts ---- */

/*
 * Horizons beyond one pass: every quantile goes on from a context of its own, to which its values were appended; of the
 * n_levels^2 values that come out for a step the quantiles at the model's levels are its forecast.
 */
typedef struct unrolling {
    float *contexts; /* [rows * n_levels, capacity] */
    float *values;   /* [rows, n_levels contexts, n_levels, prediction_length] */
    float *column;   /* [n_levels^2] values of a step */
    entry *entries;  /* [rows * n_levels] */
    size_t length, capacity;
} unrolling;

static void unrolling_release(unrolling *u)
{
    fi_free(u->contexts);
    fi_free(u->values);
    fi_free(u->column);
    fi_free(u->entries);
}

static ftl_status unrolling_init(unrolling *u, const bolt *b, const fi_chronos_row *const *rows, size_t n,
                                 size_t horizon, ftl_error *err)
{
    const size_t levels = b->n_levels, length = rows[0]->length, most = b->context_length;
    *u = (unrolling){.length = length, .capacity = length < most && horizon < most - length ? length + horizon : most};
    u->contexts = fi_alloc(n * levels, u->capacity * sizeof(float));
    u->values = fi_alloc(n * levels, levels * b->prediction_length * sizeof(float));
    u->column = fi_alloc(levels * levels, sizeof(float));
    u->entries = fi_alloc(n * levels, sizeof *u->entries);
    if (!u->contexts || !u->values || !u->column || !u->entries) return fi_fail_memory(err);
    for (size_t i = 0; i < n * levels; i++) {
        memcpy(u->contexts + i * u->capacity, rows[i / levels]->context, length * sizeof(float));
        u->entries[i] =
            (entry){.context = u->contexts + i * u->capacity, .out = u->values + i * levels * b->prediction_length};
    }
    return FTL_OK;
}

/* Appends what was forecast for the last block before `done` to every context, cut to what the model looks at. */
static void extend_contexts(unrolling *u, const bolt *b, const fi_chronos_row *const *rows, size_t n, size_t horizon,
                            size_t done)
{
    const size_t block = b->prediction_length, most = u->capacity, levels = b->n_levels;
    const size_t added = block < most ? block : most, kept = u->length < most - added ? u->length : most - added;
    for (size_t i = 0; i < n * levels; i++) {
        float *x = u->contexts + i * most;
        memmove(x, x + u->length - kept, kept * sizeof *x);
        memcpy(x + kept, rows[i / levels]->out + i % levels * horizon + done - added, added * sizeof *x);
    }
    u->length = kept + added;
}

static void pool_values(unrolling *u, const bolt *b, const fi_chronos_row *row, size_t r, size_t horizon, size_t done,
                        size_t steps)
{
    const size_t block = b->prediction_length, levels = b->n_levels, pooled = levels * levels;
    const float *values = u->values + r * pooled * block;
    for (size_t t = 0; t < steps; t++) {
        for (size_t i = 0; i < pooled; i++) u->column[i] = values[i * block + t];
        fi_sort_samples(u->column, pooled);
        for (size_t k = 0; k < levels; k++)
            row->out[k * horizon + done + t] = fi_sample_quantile(u->column, pooled, b->levels[k]);
    }
}

static ftl_status unroll(bolt *b, const fi_chronos_batch *batch, const fi_chronos_row *const *rows, size_t n, float *z,
                         ftl_error *err)
{
    const size_t H = batch->horizon, block = b->prediction_length;
    unrolling u;
    ftl_status st = unrolling_init(&u, b, rows, n, H, err);
    for (size_t done = block, steps; !st && done < H; done += steps) {
        steps = H - done < block ? H - done : block;
        extend_contexts(&u, b, rows, n, H, done);
        st = run(b, batch, u.entries, n * b->n_levels, u.length, block, steps, z, err);
        for (size_t r = 0; !st && r < n; r++) pool_values(&u, b, rows[r], r, H, done, steps);
    }
    unrolling_release(&u);
    return st;
}

static ftl_status predict(void *opaque, const fi_chronos_batch *batch, ftl_error *err)
{
    bolt *b = opaque;
    const size_t H = batch->horizon, steps = H < b->prediction_length ? H : b->prediction_length;
    const fi_chronos_row **rows;
    size_t n;
    ftl_status st = fi_chronos_by_length(batch, false, &rows, &n, err);
    entry *entries = fi_alloc(batch->n_rows, sizeof *entries);
    float *z = fi_alloc(b->context_length, sizeof *z);
    if (!st && (!entries || !z)) st = fi_fail_memory(err);
    for (size_t i = 0, together; !st && i < n; i += together) {
        together = fi_chronos_together(rows + i, n - i, rows_together(b, rows[i]->length));
        for (size_t r = 0; r < together; r++)
            entries[r] = (entry){.context = rows[i + r]->context, .out = rows[i + r]->out};
        st = run(b, batch, entries, together, rows[i]->length, H, steps, z, err);
        if (!st && H > steps) st = unroll(b, batch, rows + i, together, z, err);
    }
    fi_free(z);
    fi_free(entries);
    fi_free(rows);
    return st;
}

static ftl_status embed(void *opaque, const fi_chronos_batch *batch, float *const *states, float *loc, float *scale,
                        ftl_error *err)
{
    bolt *b = opaque;
    const fi_chronos_row **rows;
    size_t n;
    ftl_status st = fi_chronos_by_length(batch, true, &rows, &n, err);
    float *z = fi_alloc(b->context_length, sizeof *z);
    if (!st && !z) st = fi_fail_memory(err);
    for (size_t i = 0, together; !st && i < n; i += together) {
        const size_t length = rows[i]->length, size = count_tokens(b, length) * b->t5.config.d_model;
        together = fi_chronos_together(rows + i, n - i, rows_together(b, length));
        if (!batch->go_on(batch->user)) st = fi_fail(err, FTL_ECANCELLED, "cancelled");
        if (!st) st = find_pass(b, together, count_patches(b, length), err);
        if (st) break;
        for (size_t r = 0; r < together; r++) {
            const size_t at = (size_t)(rows[i + r] - batch->rows);
            entry e = {.context = rows[i + r]->context};
            enter_row(b, &e, r, length, z);
            loc[at] = e.loc;
            scale[at] = e.scale;
        }
        fi_forward(b->pass->graph);
        for (size_t r = 0; r < together; r++)
            memcpy(states[rows[i + r] - batch->rows], b->pass->encoded->value + r * size, size * sizeof(float));
    }
    fi_free(z);
    fi_free(rows);
    return st;
}

static ftl_chronos_memory memory(void *opaque, size_t rows, size_t context, size_t horizon, size_t samples)
{
    bolt *b = opaque;
    const size_t most = rows_together(b, context);
    (void)samples;
    if (horizon > b->prediction_length) rows *= b->n_levels;
    if (find_pass(b, rows < most ? rows : most, count_patches(b, context), NULL)) return (ftl_chronos_memory){0};
    return (ftl_chronos_memory){.activation_bytes = fi_graph_bytes(b->pass->graph)};
}

const fi_chronos_family fi_chronos_bolt = {
    .name = "chronos-bolt",
    .pipeline = "ChronosBoltPipeline",
    .sorts_levels = true,
    .batch_size = 64,
    .open = bolt_open,
    .close = bolt_close,
    .predict = predict,
    .n_tokens = count_tokens,
    .embed = embed,
    .memory = memory,
};
