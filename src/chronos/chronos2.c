/*
 * Chronos-2: rows of targets and covariates, standardised and cut into patches, through the encoder of
 * models/chronos2.h. Ansari et al. 2025, arXiv 2510.15821.
 *
 * A group is run at its own length, never padded to that of others: so what comes out of it is the same to the bit
 * whoever shares its batch. Groups of equal shape share a run of the graph.
 */
#include "models/chronos2.h"
#include "base/alloc.h"
#include "base/error.h"
#include "chronos/family.h"
#include "chronos/patches.h"
#include "chronos/quantiles.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN_TOKENS = 1024, /* rows run together up to about so many tokens: enough for the products, little memory */
    N_RECORDED = 4     /* graphs that are kept for the next batch */
};

/* A graph recorded for one shape. */
typedef struct recorded {
    fi_graph *graph;
    fi_chronos2_pass pass;
    uint64_t used;    /* when: the least recent one goes first */
    int32_t groups[]; /* [pass.rows] */
} recorded;

typedef struct chronos2 {
    fi_engine *engine;
    fi_chronos2 net;
    size_t context_length, max_ahead; /* in steps; in patches */
    float time_scale;
    bool arcsinh;
    double *levels; /* [net.config.n_levels] */
    recorded *recorded[N_RECORDED];
    uint64_t clock;
    float *z; /* [z_capacity] a row, standardised */
    size_t z_capacity;
} chronos2;

/* ---- opening ---- */

static ftl_status read_activation(const fi_chronos_source *s, fi_activation *out, ftl_error *err)
{
    static const struct {
        const char *name;
        fi_activation act;
    } known[] = {{"relu", FI_RELU}, {"gelu", FI_GELU},  {"gelu_new", FI_GELU_TANH},
                 {"silu", FI_SILU}, {"swish", FI_SILU}, {"tanh", FI_TANH}};
    bool gated;
    ftl_status st = fi_chronos_get_bool_or(s, s->config, "is_gated_act", false, &gated, err);
    if (st) return st;
    const char *name = json_string_value(json_object_get(s->config, "dense_act_fn"));
    if (!name) name = json_string_value(json_object_get(s->config, "feed_forward_proj"));
    if (!name) name = "relu";
    for (size_t i = 0; !gated && i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name)) continue;
        *out = known[i].act;
        return FTL_OK;
    }
    return fi_fail(err, FTL_EDATA, "%s: %s feed-forward layers ('%s') are not what Chronos-2 has; expected relu",
                   s->config_path, gated ? "gated" : "these", name);
}

static ftl_status read_config(const fi_chronos_source *s, chronos2 *m, fi_chronos2_config *c,
                              fi_chronos2_widths *widths, ftl_error *err)
{
    double eps, theta;
    size_t output_patch, stride, scale;
    bool reg;
    ftl_status st;
    const json_t *top = s->config, *own = s->chronos;
    if ((st = fi_chronos_get_count(s, top, "d_model", 1, 65536, &c->d_model, err)) ||
        (st = fi_chronos_get_count(s, top, "d_kv", 2, 65536, &c->d_kv, err)) ||
        (st = fi_chronos_get_count(s, top, "d_ff", 1, 1 << 20, &c->d_patch, err)) ||
        (st = fi_chronos_get_count(s, top, "num_layers", 1, 1024, &c->n_layers, err)) ||
        (st = fi_chronos_check_depth(s, "encoder", "num_layers", c->n_layers, err)) ||
        (st = fi_chronos_get_count(s, top, "num_heads", 1, 4096, &widths->time_heads, err)) ||
        (st = fi_chronos_get_real_or(s, top, "layer_norm_epsilon", 0, 1, 1e-6, &eps, err)) ||
        (st = fi_chronos_get_real_or(s, top, "rope_theta", 1, 1e12, 1e4, &theta, err)) ||
        (st = read_activation(s, &c->activation, err)) ||
        (st = fi_chronos_get_count(s, own, "context_length", 1, 1 << 24, &m->context_length, err)) ||
        (st = fi_chronos_get_count(s, own, "input_patch_size", 1, 4096, &c->patch, err)) ||
        (st = fi_chronos_get_count(s, own, "input_patch_stride", 1, 4096, &stride, err)) ||
        (st = fi_chronos_get_count(s, own, "output_patch_size", 1, 4096, &output_patch, err)) ||
        (st = fi_chronos_get_count_or(s, own, "max_output_patches", 1, 1 << 20, 1, &m->max_ahead, err)) ||
        (st = fi_chronos_get_count_or(s, own, "time_encoding_scale", 1, 1 << 24, m->context_length, &scale, err)) ||
        (st = fi_chronos_get_bool_or(s, own, "use_arcsinh", false, &m->arcsinh, err)) ||
        (st = fi_chronos_get_bool_or(s, own, "use_reg_token", false, &reg, err)) ||
        (st = fi_chronos_get_levels(s, &m->levels, &c->n_levels, err)))
        return st;
    if (stride != c->patch || output_patch != c->patch)
        return fi_fail(
            err, FTL_EDATA,
            "%s: input_patch_size, input_patch_stride and output_patch_size are %zu, %zu and %zu, but must be "
            "equal: time codes are defined for whole patches only",
            s->config_path, c->patch, stride, output_patch);
    if (c->d_kv % 2)
        return fi_fail(err, FTL_EDATA, "%s: key 'd_kv' is %zu, but rotary positions need an even number",
                       s->config_path, c->d_kv);
    if (!reg)
        return fi_fail(err, FTL_EDATA, "%s: key 'use_reg_token' must be true: Chronos-2 has no other form",
                       s->config_path);
    c->eps = (float)eps;
    c->rope_theta = (float)theta;
    m->time_scale = (float)scale;
    widths->group_heads = widths->time_heads;
    widths->d_ff = c->d_patch;
    return FTL_OK;
}

static void release_recorded(recorded *r)
{
    if (r) fi_graph_free(r->graph);
    fi_free(r);
}

static void chronos2_close(void *model)
{
    chronos2 *m = model;
    if (!m) return;
    for (size_t i = 0; i < N_RECORDED; i++) release_recorded(m->recorded[i]);
    fi_chronos2_release(&m->net);
    fi_free(m->levels);
    fi_free(m->z);
    fi_free(m);
}

static ftl_status chronos2_open(const fi_chronos_source *source, ftl_chronos_facts *facts, void **out, ftl_error *err)
{
    fi_chronos2_config config = {0};
    fi_chronos2_widths all = {0}, *widths = NULL;
    *out = NULL;
    chronos2 *m = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    m->engine = source->engine;
    ftl_status st = read_config(source, m, &config, &all, err);
    if (st) goto done;
    widths = fi_alloc(config.n_layers, sizeof *widths);
    if (!widths) {
        st = fi_fail_memory(err);
        goto done;
    }
    for (size_t i = 0; i < config.n_layers; i++) widths[i] = all;
    if ((st = fi_chronos2_init(&m->net, &config, widths, err)) ||
        (st = fi_params_load(&m->net.params, m->engine, source->weights, source->precision, err)))
        goto done;
    facts->context_length = m->context_length;
    facts->prediction_length = m->max_ahead * config.patch;
    facts->d_model = config.d_model;
    for (size_t i = 0; i < m->net.params.n; i++) facts->n_parameters += m->net.params.item[i]->size;
    facts->weight_bytes = m->net.params.bytes;
    facts->levels = m->levels;
    facts->n_levels = config.n_levels;
    *out = m;
    m = NULL;
done:
    chronos2_close(m);
    fi_free(widths);
    return st;
}

/* ---- graphs ---- */

static bool has_shape(const recorded *r, const fi_chronos2_pass *shape)
{
    return r && r->pass.rows == shape->rows && r->pass.patches == shape->patches && r->pass.ahead == shape->ahead &&
           !r->pass.groups == !shape->groups && r->pass.all_states == shape->all_states;
}

static ftl_status record(chronos2 *m, const fi_chronos2_pass *shape, recorded **out, ftl_error *err)
{
    recorded *r = fi_calloc(1, sizeof *r + shape->rows * sizeof *r->groups);
    if (!r) return fi_fail_memory(err);
    r->pass = *shape;
    r->pass.groups = shape->groups ? r->groups : NULL;
    ftl_status st = fi_graph_new(m->engine, false, &r->graph, err);
    if (!st) {
        fi_chronos2_record(r->graph, &m->net, &r->pass);
        st = fi_plan(r->graph, NULL, err);
    }
    if (st) {
        release_recorded(r);
        return st;
    }
    *out = r;
    return FTL_OK;
}

/* The graph of a shape (only whether shape->groups is NULL counts), recorded now if it is not there. */
static ftl_status find_graph(chronos2 *m, const fi_chronos2_pass *shape, recorded **out, ftl_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < N_RECORDED; i++) {
        if (has_shape(m->recorded[i], shape)) {
            at = i;
            goto found;
        }
        if (!m->recorded[i] || (m->recorded[at] && m->recorded[i]->used < m->recorded[at]->used)) at = i;
    }
    release_recorded(m->recorded[at]);
    m->recorded[at] = NULL;
    ftl_status st = record(m, shape, &m->recorded[at], err);
    if (st) return st;
found:
    *out = m->recorded[at];
    (*out)->used = ++m->clock;
    return FTL_OK;
}

/* ---- one pass ---- */

/* A row of a pass. */
typedef struct row {
    const float *context; /* [length] */
    size_t length;
    const float *future; /* [n_future] NaN where unknown */
    size_t n_future;
    size_t group;
    float *out; /* quantiles [n_levels], ld_out apart, n_out steps of each; or states of all tokens; NULL: not wanted */
    size_t n_out, ld_out;
    float loc, scale; /* found on the way */
} row;

/* Neighbouring rows that see one another. */
typedef struct unit {
    row *first;
    size_t n_rows, patches;
} unit;

/* Patches of the longest row, without what all rows miss at their beginning (where `trim`). */
static size_t unit_patches(const chronos2 *m, const unit *u, bool trim)
{
    size_t longest = 1;
    for (size_t i = 0; i < u->n_rows; i++) {
        const row *r = &u->first[i];
        size_t missing = 0;
        while (trim && missing + 1 < r->length && isnan(r->context[missing])) missing++;
        if (r->length - missing > longest) longest = r->length - missing;
    }
    return (longest - 1) / m->net.config.patch + 1;
}

static int by_shape(const void *a, const void *b)
{
    const unit *x = a, *y = b;
    if (x->patches != y->patches) return x->patches < y->patches ? -1 : 1;
    if (x->n_rows != y->n_rows) return x->n_rows < y->n_rows ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static void standardise(const chronos2 *m, const row *r, const float *x, size_t n, float *z)
{
    for (size_t i = 0; i < n; i++) {
        z[i] = (float)(((double)x[i] - r->loc) / r->scale); /* double: differences of the largest floats */
        if (m->arcsinh) z[i] = asinhf(z[i]);
    }
}

/* Patches `from` .. of z[0, n), the last value at the end of the last patch; what is not there is missing. */
static void write_patches(const chronos2 *m, float *x, float *seen, size_t n_patches, const float *z, size_t n,
                          float first_code)
{
    size_t patch = m->net.config.patch, width = 3 * patch, own = n ? fi_patch_count(n, patch, patch) : 0;
    for (size_t p = 0; p < n_patches; p++) {
        float *at = x + p * width;
        for (size_t i = 0; i < patch; i++) at[i] = (first_code + (float)(p * patch + i)) / m->time_scale;
        memset(at + patch, 0, 2 * patch * sizeof *at);
        seen[p] = 0;
    }
    size_t from = n_patches - own;
    if (own) fi_patch(z, n, patch, patch, x + from * width + patch, x + from * width + 2 * patch, width, seen + from);
}

/* The inputs of one row: context, then what is known of the future. */
static ftl_status write_row(chronos2 *m, row *r, const fi_chronos2_pass *pass, float *x, float *seen, ftl_error *err)
{
    size_t patch = m->net.config.patch, steps = pass->ahead * patch, length = pass->patches * patch;
    if (fi_grow(&m->z, &m->z_capacity, length > steps ? length : steps, sizeof *m->z)) return fi_fail_memory(err);
    size_t skip = r->length > length ? r->length - length : 0; /* missing values that nobody needs */
    fi_instance_stats(r->context, r->length, &r->loc, &r->scale);
    standardise(m, r, r->context + skip, r->length - skip, m->z);
    write_patches(m, x, seen, pass->patches, m->z, r->length - skip, -(float)length);

    size_t known = r->future ? (r->n_future < steps ? r->n_future : steps) : 0;
    standardise(m, r, r->future, known, m->z);
    for (size_t i = known; i < steps; i++) m->z[i] = NAN;
    write_patches(m, x + pass->patches * 3 * patch, seen + pass->patches + 1, pass->ahead, m->z, steps, 0);
    for (size_t p = 0; p <= pass->ahead; p++) seen[pass->patches + p] = 1; /* REG and the future are always looked at */
    return FTL_OK;
}

/* Out of the network's scale into the row's. What a float cannot hold becomes infinite, which is refused with its task. */
static void read_quantiles(const chronos2 *m, const row *r, const float *q)
{
    size_t patch = m->net.config.patch, n_levels = m->net.config.n_levels;
    for (size_t k = 0; r->out && k < n_levels; k++) {
        for (size_t t = 0; t < r->n_out; t++) {
            double v = q[(t / patch * n_levels + k) * patch + t % patch];
            v = (m->arcsinh ? sinh(v) : v) * r->scale + r->loc;
            r->out[k * r->ld_out + t] = fabs(v) <= FLT_MAX ? (float)v : (float)(v * INFINITY);
        }
    }
}

/* Runs n units of one shape. */
static ftl_status run_units(chronos2 *m, const unit *units, size_t n, size_t ahead, bool states, ftl_error *err)
{
    static const int32_t grouped;
    size_t per = units->n_rows, d = m->net.config.d_model, width = 3 * m->net.config.patch;
    const fi_chronos2_pass shape = {.rows = n * per,
                                    .patches = units->patches,
                                    .ahead = ahead,
                                    .all_states = states,
                                    .groups = per > 1 ? &grouped : NULL};
    size_t n_in = shape.patches + ahead, n_tokens = n_in + 1;
    recorded *graph;
    ftl_status st = find_graph(m, &shape, &graph, err);
    for (size_t i = 0; !st && i < n * per; i++) {
        graph->groups[i] = (int32_t)(i / per);
        st = write_row(m, &units[i / per].first[i % per], &graph->pass, graph->pass.x->value + i * n_in * width,
                       graph->pass.seen->value + i * n_tokens, err);
    }
    if (st) return st;
    fi_forward(graph->graph);
    for (size_t i = 0; !st && i < n * per; i++) {
        const row *r = &units[i / per].first[i % per];
        if (states) { /* of the row's own tokens, which are the last ones */
            size_t own = n_tokens - shape.patches + fi_patch_count(r->length, width / 3, width / 3);
            memcpy(r->out, graph->pass.states->value + ((i + 1) * n_tokens - own) * d, own * d * sizeof *r->out);
        } else
            read_quantiles(m, r, graph->pass.quantiles->value + i * ahead * graph->pass.quantiles->shape[2]);
    }
    return st;
}

/* Units of one shape that run together: as many as RUN_TOKENS allow, the last run about as large as the others. */
static size_t units_per_run(size_t n, size_t rows, size_t tokens)
{
    size_t most = RUN_TOKENS / (rows * tokens), runs = most ? (n + most - 1) / most : n;
    return (n + runs - 1) / runs;
}

/*
 * All rows through the network, `ahead` patches into the future. states: those of all tokens, of contexts as they are; else
 * quantiles.
 */
static ftl_status run_pass(chronos2 *m, const fi_chronos_batch *batch, row *rows, size_t n, size_t ahead, bool states,
                           ftl_error *err)
{
    ftl_status st = FTL_OK;
    size_t n_units = 0;
    unit *units = fi_alloc(n, sizeof *units);
    if (!units) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || rows[i].group != rows[i - 1].group) units[n_units++] = (unit){&rows[i], 0, 0};
        units[n_units - 1].n_rows++;
    }
    for (size_t i = 0; i < n_units; i++) units[i].patches = unit_patches(m, &units[i], !states);
    qsort(units, n_units, sizeof *units, by_shape);
    for (size_t i = 0, same, per; !st && i < n_units; i += same) {
        const unit *u = &units[i];
        for (same = 1; i + same < n_units && u[same].patches == u->patches && u[same].n_rows == u->n_rows;) same++;
        per = units_per_run(same, u->n_rows, u->patches + 1 + ahead);
        for (size_t k = 0; !st && k < same; k += per) {
            if (!batch->go_on(batch->user))
                st = fi_fail(err, FTL_ECANCELLED, "cancelled");
            else
                st = run_units(m, u + k, same - k < per ? same - k : per, ahead, states, err);
        }
    }
    fi_free(units);
    return st;
}

/* ---- horizons beyond one pass ---- */

/*
 * A group whose horizon takes several blocks. Every row goes on as n_paths copies, one for each level that is fed back: what
 * was predicted at that level, or is known of the future, is appended to the copy's context. The quantiles that the
 * copies predict are, weighted by what path and level stand for, samples of the next block.
 */
typedef struct unroll {
    chronos2 *m;
    const fi_chronos_batch *batch;
    const fi_chronos_row *rows; /* [n_rows] the group */
    size_t n_rows, n_paths, n_levels, block;
    size_t *fed_back; /* [n_paths] places of the levels among the model's */
    double *weight;   /* [n_paths, n_levels] */
    row *first;       /* [n_rows] */
    row *copies;      /* [n_paths, n_rows] */
    float *contexts;  /* [n_paths, n_rows, capacity] */
    size_t capacity;
    float *block_of_row;  /* [n_rows, n_levels, block] */
    float *block_of_copy; /* [n_paths, n_rows, n_levels, block] */
    fi_knot *knots;       /* [n_paths n_levels] */
} unroll;

static void unroll_release(unroll *u)
{
    fi_free(u->fed_back);
    fi_free(u->weight);
    fi_free(u->first);
    fi_free(u->copies);
    fi_free(u->contexts);
    fi_free(u->block_of_row);
    fi_free(u->block_of_copy);
    fi_free(u->knots);
}

static size_t nearest_level(const chronos2 *m, double level)
{
    size_t best = 0;
    for (size_t i = 1; i < m->net.config.n_levels; i++) {
        if (fabs(m->levels[i] - level) < fabs(m->levels[best] - level)) best = i;
    }
    return best;
}

/* Steps that the contexts of copies grow to. */
static size_t unroll_capacity(const chronos2 *m, size_t length, size_t horizon)
{
    return length + horizon < m->context_length ? length + horizon : m->context_length;
}

static ftl_status unroll_init(unroll *u, chronos2 *m, const fi_chronos_batch *batch, const fi_chronos_row *rows,
                              size_t n_rows, size_t block, ftl_error *err)
{
    size_t n_paths = batch->n_unrolled, n_levels = m->net.config.n_levels, n_copies = n_paths * n_rows, longest = 0;
    for (size_t i = 0; i < n_rows; i++) longest = rows[i].length > longest ? rows[i].length : longest;
    size_t capacity = unroll_capacity(m, longest, batch->horizon);
    double *mass = fi_alloc(n_paths + n_levels, sizeof *mass);
    *u = (unroll){.m = m,
                  .batch = batch,
                  .rows = rows,
                  .n_rows = n_rows,
                  .n_paths = n_paths,
                  .n_levels = n_levels,
                  .block = block,
                  .capacity = capacity,
                  .fed_back = fi_alloc(n_paths, sizeof *u->fed_back),
                  .weight = fi_alloc(n_paths * n_levels, sizeof *u->weight),
                  .first = fi_alloc(n_rows, sizeof *u->first),
                  .copies = fi_alloc(n_copies, sizeof *u->copies),
                  .contexts = fi_alloc(n_copies, capacity * sizeof(float)),
                  .block_of_row = fi_alloc(n_rows * n_levels, block * sizeof(float)),
                  .block_of_copy = fi_alloc(n_copies * n_levels, block * sizeof(float)),
                  .knots = fi_alloc(n_paths * n_levels, sizeof *u->knots)};
    if (!mass || !u->fed_back || !u->weight || !u->first || !u->copies || !u->contexts || !u->block_of_row ||
        !u->block_of_copy || !u->knots) {
        fi_free(mass);
        unroll_release(u);
        return fi_fail_memory(err);
    }
    fi_level_masses(batch->unrolled, n_paths, mass);
    fi_level_masses(m->levels, n_levels, mass + n_paths);
    for (size_t p = 0; p < n_paths; p++) {
        u->fed_back[p] = nearest_level(m, batch->unrolled[p]);
        for (size_t k = 0; k < n_levels; k++) u->weight[p * n_levels + k] = mass[p] * mass[n_paths + k];
    }
    fi_free(mass);
    for (size_t i = 0; i < n_rows; i++)
        u->first[i] = (row){.context = rows[i].context,
                            .length = rows[i].length,
                            .group = 0,
                            .out = u->block_of_row + i * n_levels * block,
                            .n_out = block,
                            .ld_out = block};
    for (size_t i = 0; i < n_copies; i++) {
        const fi_chronos_row *of = &rows[i % n_rows];
        u->copies[i] = (row){.context = u->contexts + i * capacity,
                             .length = of->length,
                             .group = i / n_rows,
                             .out = u->block_of_copy + i * n_levels * block,
                             .n_out = block,
                             .ld_out = block};
        memcpy(u->contexts + i * capacity, of->context, of->length * sizeof(float));
    }
    return FTL_OK;
}

/* What is known of the steps from `done` on. */
static void look_ahead(const unroll *u, row *r, const fi_chronos_row *of, size_t done)
{
    r->future = of->future ? of->future + done : NULL;
    r->n_future = of->future ? u->batch->horizon - done : 0;
}

/* Moves every copy on by the block that ends before step `done`. */
static void append_block(unroll *u, size_t done)
{
    for (size_t i = 0; i < u->n_paths * u->n_rows; i++) {
        row *copy = &u->copies[i];
        const fi_chronos_row *of = &u->rows[i % u->n_rows];
        const float *known = of->future ? of->future + done - u->block : NULL;
        const float *guess = u->block_of_row + ((i % u->n_rows) * u->n_levels + u->fed_back[i / u->n_rows]) * u->block;
        float *context = u->contexts + i * u->capacity;
        size_t skip = u->block > u->capacity ? u->block - u->capacity : 0, added = u->block - skip;
        size_t kept = copy->length + added < u->capacity ? copy->length : u->capacity - added;
        memmove(context, context + copy->length - kept, kept * sizeof *context);
        for (size_t t = 0; t < added; t++)
            context[kept + t] = known && !isnan(known[skip + t]) ? known[skip + t] : guess[skip + t];
        copy->length = kept + added;
        look_ahead(u, copy, of, done);
    }
}

/* The quantiles of all copies as the next block of each row. */
static void join_paths(unroll *u, size_t steps)
{
    size_t n = u->n_paths * u->n_levels;
    for (size_t i = 0; i < u->n_rows; i++) {
        for (size_t t = 0; t < steps; t++) {
            for (size_t s = 0; s < n; s++) {
                size_t copy = s / u->n_levels * u->n_rows + i;
                u->knots[s] =
                    (fi_knot){u->weight[s], u->block_of_copy[(copy * u->n_levels + s % u->n_levels) * u->block + t]};
            }
            fi_knots_from_samples(u->knots, n);
            for (size_t k = 0; k < u->n_levels; k++)
                u->block_of_row[(i * u->n_levels + k) * u->block + t] =
                    fi_interpolate_quantile(u->knots, n, u->m->levels[k]);
        }
    }
}

static void hand_over(const unroll *u, size_t done)
{
    size_t horizon = u->batch->horizon, n = horizon - done < u->block ? horizon - done : u->block;
    for (size_t i = 0; i < u->n_rows; i++) {
        for (size_t k = 0; u->rows[i].out && k < u->n_levels; k++)
            memcpy(u->rows[i].out + k * horizon + done, u->block_of_row + (i * u->n_levels + k) * u->block,
                   n * sizeof(float));
    }
}

static ftl_status predict_long(chronos2 *m, const fi_chronos_batch *batch, const fi_chronos_row *rows, size_t n_rows,
                               size_t block, ftl_error *err)
{
    unroll u;
    size_t patch = m->net.config.patch;
    ftl_status st = unroll_init(&u, m, batch, rows, n_rows, block, err);
    if (st) return st;
    for (size_t i = 0; i < n_rows; i++) look_ahead(&u, &u.first[i], &rows[i], 0);
    st = run_pass(m, batch, u.first, n_rows, block / patch, false, err);
    for (size_t done = 0; !st;) {
        hand_over(&u, done);
        done += block;
        if (done >= batch->horizon) break;
        append_block(&u, done);
        size_t left = batch->horizon - done, ahead = left < block ? (left + patch - 1) / patch : block / patch;
        for (size_t i = 0; i < u.n_paths * n_rows; i++) u.copies[i].n_out = ahead * patch;
        st = run_pass(m, batch, u.copies, u.n_paths * n_rows, ahead, false, err);
        if (!st) join_paths(&u, ahead * patch);
    }
    unroll_release(&u);
    return st;
}

/* ---- the table ---- */

static ftl_status predict_short(chronos2 *m, const fi_chronos_batch *batch, ftl_error *err)
{
    size_t patch = m->net.config.patch;
    row *rows = fi_alloc(batch->n_rows, sizeof *rows);
    if (!rows) return fi_fail_memory(err);
    for (size_t i = 0; i < batch->n_rows; i++) {
        const fi_chronos_row *r = &batch->rows[i];
        rows[i] = (row){.context = r->context,
                        .length = r->length,
                        .future = r->future,
                        .n_future = batch->horizon,
                        .group = r->group,
                        .out = r->out,
                        .n_out = batch->horizon,
                        .ld_out = batch->horizon};
    }
    ftl_status st = run_pass(m, batch, rows, batch->n_rows, (batch->horizon + patch - 1) / patch, false, err);
    fi_free(rows);
    return st;
}

static ftl_status chronos2_predict(void *model, const fi_chronos_batch *batch, ftl_error *err)
{
    chronos2 *m = model;
    size_t block = (batch->max_output_patches ? batch->max_output_patches : m->max_ahead) * m->net.config.patch;
    if (batch->horizon <= block) return predict_short(m, batch, err);
    ftl_status st = FTL_OK;
    for (size_t i = 0, n; !st && i < batch->n_rows; i += n) {
        for (n = 1; i + n < batch->n_rows && batch->rows[i + n].group == batch->rows[i].group;) n++;
        st = predict_long(m, batch, &batch->rows[i], n, block, err);
    }
    return st;
}

static size_t chronos2_n_tokens(const void *model, size_t length)
{
    size_t patch = ((const chronos2 *)model)->net.config.patch;
    return fi_patch_count(length, patch, patch) + 2;
}

static ftl_status chronos2_embed(void *model, const fi_chronos_batch *batch, float *const *states, float *loc,
                                 float *scale, ftl_error *err)
{
    row *rows = fi_alloc(batch->n_rows, sizeof *rows);
    if (!rows) return fi_fail_memory(err);
    for (size_t i = 0; i < batch->n_rows; i++) {
        const fi_chronos_row *r = &batch->rows[i];
        rows[i] = (row){.context = r->context, .length = r->length, .group = r->group, .out = states[i]};
    }
    ftl_status st = run_pass(model, batch, rows, batch->n_rows, 1, true, err);
    for (size_t i = 0; !st && i < batch->n_rows; i++) {
        loc[i] = rows[i].loc;
        scale[i] = rows[i].scale;
    }
    fi_free(rows);
    return st;
}

/* Of rows alone. A longer horizon than one pass holds a row's paths, and what they predict, beside the graph. */
static ftl_chronos_memory chronos2_memory(void *model, size_t rows, size_t context, size_t horizon, size_t samples)
{
    (void)samples;
    enum { PATHS = 9 };
    chronos2 *m = model;
    size_t patch = m->net.config.patch, ahead = (horizon + patch - 1) / patch, cache = 0;
    if (ahead > m->max_ahead) {
        size_t capacity = unroll_capacity(m, context, horizon), block = m->net.config.n_levels * m->max_ahead * patch;
        cache = (PATHS * (capacity + block) + block) * sizeof(float);
        ahead = m->max_ahead;
        context = capacity;
        rows = PATHS;
    }
    fi_chronos2_pass shape = {.patches = fi_patch_count(context, patch, patch), .ahead = ahead};
    shape.rows = units_per_run(rows, 1, shape.patches + 1 + ahead);
    recorded *graph;
    if (find_graph(m, &shape, &graph, NULL)) return (ftl_chronos_memory){0, 0};
    return (ftl_chronos_memory){fi_graph_bytes(graph->graph), cache};
}

const fi_chronos_family fi_chronos_2 = {
    .name = "chronos-2",
    .pipeline = "Chronos2Pipeline",
    .takes_covariates = true,
    .batch_size = 32,
    .open = chronos2_open,
    .close = chronos2_close,
    .predict = chronos2_predict,
    .n_tokens = chronos2_n_tokens,
    .embed = chronos2_embed,
    .memory = chronos2_memory,
};
