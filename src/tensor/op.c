#include "tensor/op.h"

#include <math.h>
#include <stdio.h>

fi_node *fi_fail_shapes(fi_graph *g, const char *op, const fi_node *a, const fi_node *b, const char *rule)
{
    char text_a[FI_SHAPE_TEXT], text_b[FI_SHAPE_TEXT];
    fi_shape_text(a->n_dims, a->shape, text_a);
    if (!b) return fi_graph_fail(g, "%s: %s: %s", op, text_a, rule);
    return fi_graph_fail(g, "%s: %s and %s: %s", op, text_a, fi_shape_text(b->n_dims, b->shape, text_b), rule);
}

fi_dropout_mask fi_dropout_of(const fi_graph *g, const fi_node *node, float p)
{
    float share = fminf(fmaxf(roundf(p * 65536.0f), 1.0f), 65535.0f); /* of 65536; the scale makes up for just those */
    fi_dropout_mask mask = {
        .stream = (uint32_t)node->index, .threshold = (uint32_t)share, .scale = 65536.0f / (65536.0f - share)};
    mask.seed = fi_graph_key(g, &mask.step);
    return mask;
}

typedef struct chunked {
    fi_chunk_fn *fn;
    void *user;
    size_t n, grain;
} chunked;

static void run_chunk(void *user, size_t i, float *scratch)
{
    const chunked *c = user;
    size_t from = i * c->grain, left = c->n - from;
    c->fn(c->user, from, from + (left < c->grain ? left : c->grain), scratch);
}

void fi_each_chunk(fi_engine *engine, size_t n, size_t grain, fi_chunk_fn *fn, void *user)
{
    chunked c = {fn, user, n, grain};
    if (n == 0) return;
    if (n <= grain)
        fn(user, 0, n, engine->scratch[0]); /* a small array does not wake the pool */
    else
        fi_engine_run(engine, (n - 1) / grain + 1, run_chunk, &c);
}

typedef struct parts_run {
    const fi_row_kernels *k;
    float *out;
    const float *parts;
    size_t chunks, d;
    bool add;
} parts_run;

static void add_columns(void *user, size_t from, size_t to, float *scratch)
{
    const parts_run *r = user;
    (void)scratch;
    for (size_t i = 0; i < r->chunks; i++)
        r->k->affine(r->out + from, r->parts + i * r->d + from, 1.0f, 0.0f, to - from, r->add || i > 0);
}

void fi_add_parts(fi_engine *engine, float *out, const float *parts, size_t chunks, size_t d, bool add)
{
    parts_run run = {fi_rows_best(), out, parts, chunks, d, add};
    fi_each_chunk(engine, d, FI_GRAIN, add_columns, &run);
}

typedef struct column_run {
    const fi_row_kernels *k;
    float *out;
    const float *a, *b;
    size_t rows, d, grain, chunks, blocks;
    bool add;
} column_run;

enum { COLUMNS = 1024 }; /* in a task: 4 KB of a row, so that sums stay in the first cache */

/* One block of columns over one chunk of one group's rows. */
static void sum_columns(void *user, size_t i, float *scratch)
{
    const column_run *r = user;
    (void)scratch;
    size_t part = i / r->blocks, column = i % r->blocks * COLUMNS; /* part: group and chunk */
    size_t from = part % r->chunks * r->grain, first = part / r->chunks * r->rows;
    size_t rows = from >= r->rows ? 0 : r->rows - from < r->grain ? r->rows - from : r->grain;
    size_t at = (first + from) * r->d + column, width = r->d - column < COLUMNS ? r->d - column : COLUMNS;
    r->k->column_sum(r->out + part * r->d + column, r->a + at, r->b ? r->b + at : NULL, rows, width, r->d, r->add);
}

void fi_column_sums(fi_engine *engine, float *out, const float *a, const float *b, size_t groups, size_t rows, size_t d,
                    float *parts, bool add)
{
    size_t chunks = fi_sum_chunks(rows), blocks = (d + COLUMNS - 1) / COLUMNS, n = groups * chunks * blocks;
    column_run run = {fi_rows_best(), chunks > 1 ? parts : out, a, b, rows, d, fi_sum_grain(rows), chunks,
                      blocks,         add && chunks == 1};
    if (groups * rows * d <= FI_GRAIN)
        for (size_t i = 0; i < n; i++) sum_columns(&run, i, NULL);
    else
        fi_engine_run(engine, n, sum_columns, &run);
    for (size_t i = 0; chunks > 1 && i < groups; i++)
        fi_add_parts(engine, out + i * d, parts + i * chunks * d, chunks, d, add);
}
