#include "base/alloc.h"
#include "tensor/kernels.h"
#include "tensor/onednn.h"

#include <math.h>
#include <string.h>

/*
 * A product is cut into blocks of rows and panels, each one task. A task packs a stretch of its rows of A (BLOCK_LANES of k
 * at a time), then goes over its panels of B, packing those that are not yet, and for each over its tiles of rows: a panel
 * stays in the first cache, the block of A in the second. Sums wait in scratch memory while there is more of k to come.
 */
enum {
    BLOCK_LANES = 512,
    BLOCK_ROWS = 256,          /* of packed B */
    UNPACKED_BLOCK_ROWS = 448, /* more rows to share the work of packing a panel */
    LEAST_TASK = 1 << 16,      /* multiplications worth another thread */
    SUM_FLOATS = 1 << 18
};

/* Scratch memory of a task. */
typedef struct block_memory {
    uint32_t a[UNPACKED_BLOCK_ROWS * (BLOCK_LANES + 16) + FI_PANEL];
    float sums[SUM_FLOATS];
    uint32_t panel[BLOCK_LANES * FI_PANEL];
    float widened[BLOCK_LANES * FI_PANEL];
    float turned[FI_MAX_TILE_ROWS * BLOCK_LANES * 4 + FI_PANEL]; /* rows of a transposed A */
    uint32_t staged[FI_MAX_TILE_ROWS * BLOCK_LANES];
    float scale[UNPACKED_BLOCK_ROWS], inverse[UNPACKED_BLOCK_ROWS];
} block_memory;
_Static_assert(sizeof(block_memory) <= FI_SCRATCH_BYTES, "a task's memory must fit its scratch");

typedef struct product_job {
    const fi_product *first;
    size_t stride_a, stride_b, stride_c;
    const fi_kernel_set *set;
    const fi_arithmetic *how;
    fi_dtype type;
    size_t panels, row_blocks, col_blocks;
} product_job;

/* What one task works on. */
typedef struct block {
    const product_job *job;
    fi_product p;
    size_t row, rows, panel, panels; /* of the block */
    size_t column;                   /* where this product's B begins in the packed one */
    size_t k0, k, lanes;             /* the stretch of k, and lanes of it as the tile takes them */
    size_t a_ld;
    block_memory *memory;
} block;

static size_t quotient_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Where part i of n begins of `total` shared out evenly. */
static size_t share(size_t total, size_t i, size_t n)
{
    return total * i / n;
}

static size_t block_numbers(const product_job *job)
{
    return BLOCK_LANES * job->how->numbers;
}

float fi_int8_scale(float *largest)
{
    if (*largest < 1e-35f) *largest = 0; /* its inverse would overflow */
    float inverse = *largest > 0 && isfinite(*largest) ? 127 / *largest : 0;
    *largest = isfinite(*largest) ? *largest / 127 : NAN;
    return inverse;
}

static const float *a_at(const block *b, size_t row, size_t k)
{
    return b->p.a_transposed ? b->p.a + k * b->p.lda + row : b->p.a + row * b->p.lda + k;
}

static void scale_rows(block *b)
{
    float *scale = b->memory->scale;
    const size_t k = b->p.k, lda = b->p.lda;
    for (size_t r = 0; r < b->rows; r++) {
        scale[r] = 0;
        if (!b->p.a_transposed) scale[r] = b->job->set->largest(a_at(b, b->row + r, 0), k);
        for (size_t i = 0; i < k && b->p.a_transposed; i++)
            scale[r] = fi_larger(scale[r], fabsf(b->p.a[i * lda + b->row + r]));
        b->memory->inverse[r] = fi_int8_scale(&scale[r]);
    }
}

/* Packs `rows` rows from row `first` of the block on, this stretch of k, as one tile takes them. */
static void pack_tile_rows(block *b, size_t first, size_t rows, uint32_t *out)
{
    const fi_kernel_set *set = b->job->set;
    const fi_arithmetic *how = b->job->how;
    block_memory *m = b->memory;
    const float *from = a_at(b, b->row + first, b->k0);
    size_t ld = b->p.lda;
    if (b->p.a_transposed && !how->stage) {
        set->rows_f32(from, ld, b->k, rows, rows, out);
        return;
    }
    if (b->p.a_transposed) {
        const size_t width = quotient_up(b->k, FI_PANEL) * FI_PANEL;
        set->transpose((const uint32_t *)(const void *)from, ld, b->k, width, rows, (uint32_t *)(void *)m->turned,
                       width);
        from = m->turned;
        ld = width;
    }
    if (!how->stage) {
        set->transpose((const uint32_t *)(const void *)from, ld, rows, rows, b->lanes, out, rows);
        return;
    }
    const bool in_rows = how->row_major || rows == 1;
    uint32_t *staged = in_rows ? out : m->staged;
    const size_t staged_ld = how->row_major ? b->a_ld : b->lanes;
    for (size_t r = 0; r < rows; r++)
        how->stage(from + r * ld, b->k, b->job->type == FI_I8 ? m->inverse[first + r] : 1, b->lanes,
                   staged + r * staged_ld);
    if (!in_rows) set->transpose(staged, staged_ld, rows, rows, b->lanes, out, rows);
}

/* This stretch of k of a panel, as it is stored or as the tile takes it. */
static const void *panel_of(const block *b, size_t panel, bool as_stored)
{
    const fi_product *p = &b->p;
    const fi_dtype type = b->job->type;
    const uint32_t *stored;
    if (p->packed) {
        const size_t panel_lanes = fi_panel_lanes(type, p->k);
        stored = (const uint32_t *)p->packed->panels +
                 ((b->column / FI_PANEL + panel) * panel_lanes + b->k0 / fi_lane_numbers(type)) * FI_PANEL;
    } else {
        const size_t j0 = panel * FI_PANEL, cols = p->n - j0 < FI_PANEL ? p->n - j0 : FI_PANEL;
        fi_pack_panel(b->job->set, type, p->b, p->ldb, p->b_transposed, b->k0, b->k, j0, cols, NULL, b->memory->panel);
        stored = b->memory->panel;
    }
    if (as_stored || !b->job->how->widen) return stored;
    b->job->how->widen(stored, fi_panel_lanes(type, b->k), b->memory->widened);
    return b->memory->widened;
}

static void store(const block *b, size_t first, size_t rows, size_t panel, float *sums)
{
    const fi_product *p = &b->p;
    const size_t row = b->row + first, col = panel * FI_PANEL;
    fi_tile_out out = {.rows = rows,
                       .cols = p->n - col < FI_PANEL ? p->n - col : FI_PANEL,
                       .c = p->c + row * p->ldc + col,
                       .ldc = p->ldc,
                       .accumulate = p->accumulate,
                       .bias = p->bias ? p->bias + col : NULL,
                       .residual = p->residual ? p->residual + row * p->ld_residual + col : NULL,
                       .ld_residual = p->ld_residual,
                       .activation = p->activation};
    if (b->job->type == FI_I8) {
        out.row_scale = b->memory->scale + first;
        out.col_scale = p->packed->scale + b->column + col;
        out.col_sum = b->job->how->int_sums ? p->packed->col_sum + b->column + col : NULL;
    }
    b->job->set->store(&out, sums);
}

/* Asks for the memory that a tile is going to be written to, in time. */
static void fetch_output(const block *b, size_t first, size_t rows, size_t panel)
{
    float *c = b->p.c + (b->row + first) * b->p.ldc + panel * FI_PANEL;
    const size_t last = b->p.n - panel * FI_PANEL < FI_PANEL ? b->p.n - panel * FI_PANEL - 1 : FI_PANEL - 1;
    for (size_t r = 0; r < rows; r++, c += b->p.ldc) {
        __builtin_prefetch(c, 1);
        __builtin_prefetch(c + last / 2, 1);
        __builtin_prefetch(c + last, 1);
    }
}

/* All tiles of one stretch of k; `last`: then the sums are complete. */
static void multiply_stretch(block *b, bool more, bool last)
{
    const fi_arithmetic *how = b->job->how;
    const size_t tiles = quotient_up(b->rows, how->rows), row_lanes = how->row_major ? b->a_ld : b->lanes;
    const bool as_is = b->rows == 1 && !how->stage && !b->p.a_transposed;
    const void *a = as_is ? (const void *)a_at(b, b->row, b->k0) : b->memory->a;
    for (size_t t = 0; t < tiles && !as_is; t++) {
        size_t first = share(b->rows, t, tiles);
        pack_tile_rows(b, first, share(b->rows, t + 1, tiles) - first, b->memory->a + first * row_lanes);
    }
    const bool kept = more || !last; /* sums of every panel have their own place */
    const size_t most = quotient_up(b->rows, tiles), room = most + (how->row_major && b->rows > 1);
    const size_t tile_sums = room * FI_PANEL, panel_sums = tiles * tile_sums;
    const size_t panel_bytes = fi_panel_lanes(b->job->type, b->p.k) * FI_PANEL * sizeof(uint32_t);
    if (how->begin) how->begin(most);
    for (size_t j = 0; j < b->panels;) {
        float *sums = b->memory->sums + (kept ? j * panel_sums : 0);
        const bool wide = b->rows <= how->wide_rows && b->p.packed && j + FI_WIDE_PANELS <= b->panels;
        const void *panel = panel_of(b, b->panel + j, wide);
        const size_t n = wide ? FI_WIDE_PANELS : 1, panel_index = b->panel + j;
        const char *next = (const char *)panel + (j + 1 < b->panels && b->p.packed && !how->widen ? panel_bytes : 0);
        const size_t next_step = quotient_up(128, tiles);
        if (wide) how->wide(b->rows, a, b->a_ld, panel, panel_bytes, b->lanes, sums, more);
        for (size_t t = 0; t < tiles; t++) {
            const size_t first = share(b->rows, t, tiles), rows = share(b->rows, t + 1, tiles) - first;
            float *tile = sums + (kept ? t * tile_sums : 0);
            if (last) fetch_output(b, first, rows, panel_index);
            if (!wide)
                how->tile(how->row_major ? most : rows, (const uint32_t *)a + first * row_lanes, b->a_ld, panel,
                          b->lanes, tile, more, next + t * b->lanes * next_step, next_step);
            for (size_t i = 0; i < n && last; i++) store(b, first, rows, b->panel + j + i, tile + i * panel_sums);
        }
        j += n;
    }
    if (how->end) how->end();
}

static void multiply_block(void *user, size_t index, float *scratch)
{
    const product_job *job = user;
    const size_t per_product = job->row_blocks * job->col_blocks, i = index / per_product;
    const size_t at = index % per_product, row_at = at / job->col_blocks, col_at = at % job->col_blocks;
    block b = {.job = job, .p = *job->first, .memory = (block_memory *)(void *)scratch};
    b.p.a += i * job->stride_a;
    if (b.p.packed)
        b.column = i * job->stride_b;
    else
        b.p.b += i * job->stride_b;
    b.p.c += i * job->stride_c;
    b.row = share(b.p.m, row_at, job->row_blocks);
    b.rows = share(b.p.m, row_at + 1, job->row_blocks) - b.row;
    b.panel = share(job->panels, col_at, job->col_blocks);
    b.panels = share(job->panels, col_at + 1, job->col_blocks) - b.panel;
    if (job->type == FI_I8) scale_rows(&b);
    const size_t step = block_numbers(job);
    for (b.k0 = 0; b.k0 == 0 || b.k0 < b.p.k; b.k0 += step) {
        b.k = b.p.k - b.k0 < step ? b.p.k - b.k0 : step;
        b.lanes = fi_panel_lanes(job->type, b.k) * fi_lane_numbers(job->type) / job->how->numbers;
        b.a_ld = b.lanes + 16; /* rows not a power of two apart: they would share few places of the cache */
        multiply_stretch(&b, b.k0 > 0, b.k0 + b.k >= b.p.k);
    }
}

/* The cut into blocks that takes least time: the longest row of tasks on a thread, packing of A and B included. */
static void cut(product_job *job, size_t count, size_t n_threads)
{
    enum { PACKING = 13 }; /* multiplications that packing a number takes */
    const fi_product *p = job->first;
    const size_t most_rows = p->packed ? BLOCK_ROWS : UNPACKED_BLOCK_ROWS;
    const size_t least_rows = quotient_up(p->m, most_rows), most_tasks = p->m * p->n * (p->k + 1) / LEAST_TASK + 1;
    if (n_threads > count * most_tasks) n_threads = count * most_tasks;
    double best = INFINITY;
    for (size_t rows = least_rows; rows < least_rows + 2 * n_threads && rows <= p->m; rows++) {
        const size_t r = quotient_up(p->m, rows), sum_rows = r + 2 * quotient_up(r, job->how->rows);
        const size_t sums = p->k > block_numbers(job) ? sum_rows * FI_PANEL : 0;
        const size_t least_cols = sums ? quotient_up(job->panels, SUM_FLOATS / sums) : 1;
        for (size_t cols = least_cols; cols < least_cols + 2 * n_threads && cols <= job->panels; cols++) {
            const size_t c = quotient_up(job->panels, cols) * FI_PANEL,
                         turns = quotient_up(count * rows * cols, n_threads);
            double task = (double)r * (double)c + PACKING * (double)(r + (p->packed ? 0 : c));
            if ((double)turns * task >= best) continue;
            best = (double)turns * task;
            job->row_blocks = rows;
            job->col_blocks = cols;
        }
    }
}

void fi_multiply_batch(fi_engine *engine, const fi_product *first, size_t count, size_t stride_a, size_t stride_b,
                       size_t stride_c)
{
    if (!first->m || !first->n || !count) return;
    product_job job = {.first = first,
                       .stride_a = stride_a,
                       .stride_b = stride_b,
                       .stride_c = stride_c,
                       .set = engine->k,
                       .type = first->packed ? first->packed->type : first->type,
                       .panels = quotient_up(first->n, FI_PANEL)};
    job.how = fi_arithmetic_of(job.set, job.type);
    cut(&job, count, engine->n_threads);
    fi_engine_run(engine, count * job.row_blocks * job.col_blocks, multiply_block, &job);
}

void fi_multiply(fi_engine *engine, const fi_product *product)
{
    if (!engine->onednn || !fi_onednn_multiply(engine, product)) fi_multiply_batch(engine, product, 1, 0, 0, 0);
}
