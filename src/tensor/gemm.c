#include "base/alloc.h"
#include "tensor/kernels.h"
#include "tensor/onednn.h"

#include <math.h>
#include <string.h>

/*
 * A product is cut into blocks of rows and panels, each one task. A task packs a chunk of its rows of A, which then stays in
 * the second cache, and goes over its panels of B, packing those that are not yet: for each stretch of a panel, which stays
 * in the first cache, over its tiles of rows. Sums wait in scratch memory while there is more of k to come.
 */
enum {
    STRETCH_LANES = 256,        /* at most */
    CHUNK_LANES = 2048,         /* of packed B */
    UNPACKED_CHUNK_LANES = 512, /* so that many rows share the work of packing a panel */
    PAD_LANES = 16,             /* rows not a power of two apart: they would share few places of the cache */
    BLOCK_ROWS = 448,           /* with the longest chunk of unpacked B; a quarter with that of packed */
    BLOCK_WORDS = BLOCK_ROWS * (UNPACKED_CHUNK_LANES + UNPACKED_CHUNK_LANES / STRETCH_LANES * PAD_LANES),
    LEAST_TASK = 1 << 16, /* multiplications worth another thread */
    SUM_FLOATS = 1 << 18,
    LEAST_STREAMED = 1 << 18 /* numbers of C too many for the second cache beside A and B */
};

/* Scratch memory of a task. */
typedef struct block_memory {
    uint32_t a[BLOCK_WORDS + STRETCH_LANES + PAD_LANES]; /* [stretch][tile of rows], and a row of waste */
    float sums[SUM_FLOATS];
    uint32_t panel[STRETCH_LANES * FI_PANEL];
    float widened[STRETCH_LANES * FI_PANEL];
    float turned[FI_MAX_TILE_ROWS * STRETCH_LANES * 4 + FI_PANEL]; /* rows of a transposed A */
    uint32_t staged[FI_MAX_TILE_ROWS * STRETCH_LANES];
    float scale[BLOCK_ROWS], inverse[BLOCK_ROWS];
} block_memory;
_Static_assert(sizeof(block_memory) <= FI_SCRATCH_BYTES, "a task's memory must fit its scratch");

typedef struct product_job {
    const fi_product *first;
    size_t stride_a, stride_b, stride_c;
    const fi_kernel_set *set;
    const fi_arithmetic *how;
    fi_dtype type;
    size_t panels, row_blocks, col_blocks;
    bool streams; /* C passes the caches by */
} product_job;

/* What one task works on. */
typedef struct block {
    const product_job *job;
    fi_product p;
    size_t row, rows, panel, panels; /* of the block */
    size_t column;                   /* where this product's B begins in the packed one */
    size_t tiles, most;              /* of rows; in the largest tile */
    size_t tile_sums, panel_sums;    /* floats */
    block_memory *memory;
} block;

/* A part of k: its numbers, and lanes of them as the tile takes them. */
typedef struct stretch {
    size_t k0, k, lanes;
    uint32_t *a; /* the block's rows, packed */
} stretch;

static size_t quotient_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Where part i of n begins of `total` shared out evenly. */
static size_t share(size_t total, size_t i, size_t n)
{
    return total * i / n;
}

/* The longest stretch and chunk of k. */
static size_t stretch_numbers(const product_job *job)
{
    return job->how->stretch * job->how->numbers;
}

/* From a packed row of so many lanes to the next. */
static size_t row_lanes(const product_job *job, size_t lanes)
{
    return lanes + (job->how->row_major ? PAD_LANES : 0);
}

static size_t chunk_numbers(const product_job *job)
{
    return (job->first->packed ? CHUNK_LANES : UNPACKED_CHUNK_LANES) * job->how->numbers;
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

/* Scales of int8 for rows `first` on of the block. */
static void scale_rows(block *b, size_t first, size_t rows)
{
    float *scale = b->memory->scale;
    const size_t k = b->p.k, lda = b->p.lda;
    for (size_t r = first; r < first + rows; r++) {
        scale[r] = 0;
        if (!b->p.a_transposed) scale[r] = b->job->set->largest(a_at(b, b->row + r, 0), k);
        for (size_t i = 0; i < k && b->p.a_transposed; i++)
            scale[r] = fi_larger(scale[r], fabsf(b->p.a[i * lda + b->row + r]));
        b->memory->inverse[r] = fi_int8_scale(&scale[r]);
    }
}

/* Packs `rows` rows from row `first` of the block on, a stretch of k, as one tile takes them. */
static void pack_tile_rows(block *b, const stretch *s, size_t first, size_t rows)
{
    const fi_kernel_set *set = b->job->set;
    const fi_arithmetic *how = b->job->how;
    block_memory *m = b->memory;
    const float *from = a_at(b, b->row + first, s->k0);
    size_t ld = b->p.lda;
    uint32_t *out = s->a + first * row_lanes(b->job, s->lanes);
    if (b->p.a_transposed && !how->stage) {
        set->rows_f32(from, ld, s->k, rows, rows, out);
        return;
    }
    if (b->p.a_transposed) {
        const size_t width = quotient_up(s->k, FI_PANEL) * FI_PANEL;
        set->transpose((const uint32_t *)(const void *)from, ld, s->k, width, rows, (uint32_t *)(void *)m->turned,
                       width);
        from = m->turned;
        ld = width;
    }
    if (!how->stage) {
        set->transpose((const uint32_t *)(const void *)from, ld, rows, rows, s->lanes, out, rows);
        return;
    }
    const bool in_rows = how->row_major || rows == 1;
    uint32_t *staged = in_rows ? out : m->staged;
    const size_t staged_ld = in_rows ? row_lanes(b->job, s->lanes) : s->lanes;
    for (size_t r = 0; r < rows; r++)
        how->stage(from + r * ld, s->k, b->job->type == FI_I8 ? m->inverse[first + r] : 1, s->lanes,
                   staged + r * staged_ld);
    if (!in_rows) set->transpose(staged, staged_ld, rows, rows, s->lanes, out, rows);
}

/* A stretch of k of a panel, as it is stored or as the tile takes it. */
static const void *panel_of(const block *b, const stretch *s, size_t panel, bool as_stored)
{
    const fi_product *p = &b->p;
    const fi_dtype type = b->job->type;
    const uint32_t *stored;
    if (p->packed) {
        const size_t panel_lanes = fi_panel_lanes(type, p->k);
        stored = (const uint32_t *)p->packed->panels +
                 ((b->column / FI_PANEL + panel) * panel_lanes + s->k0 / fi_lane_numbers(type)) * FI_PANEL;
    } else {
        const size_t j0 = panel * FI_PANEL, cols = p->n - j0 < FI_PANEL ? p->n - j0 : FI_PANEL;
        fi_pack_panel(b->job->set, type, p->b, p->ldb, p->b_transposed, s->k0, s->k, j0, cols, NULL, b->memory->panel);
        stored = b->memory->panel;
    }
    if (as_stored || !b->job->how->widen) return stored;
    b->job->how->widen(stored, fi_panel_lanes(type, s->k), b->memory->widened);
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
                       .activation = p->activation,
                       .stream = b->job->streams};
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

/* Stretch i of the chunk from k0 on. */
static stretch stretch_of(const block *b, size_t k0, size_t i)
{
    const product_job *job = b->job;
    const size_t step = stretch_numbers(job), from = k0 + i * step;
    stretch s = {.k0 = from, .k = b->p.k - from < step ? b->p.k - from : step};
    s.lanes = fi_panel_lanes(job->type, s.k) * fi_lane_numbers(job->type) / job->how->numbers;
    s.a = b->memory->a + i * b->rows * row_lanes(job, job->how->stretch);
    return s;
}

/* Packs a tile's rows, and asks for those of the next, whose numbers lie far apart. */
static void pack_tile(block *b, const stretch *s, size_t tile)
{
    const size_t first = share(b->rows, tile, b->tiles), next = share(b->rows, tile + 1, b->tiles);
    if (b->job->type == FI_I8 && s->k0 == 0) scale_rows(b, first, next - first);
    pack_tile_rows(b, s, first, next - first);
    if (b->p.a_transposed || !b->p.packed) return;
    for (size_t r = next; r < next + b->most && r < b->rows; r++)
        for (size_t i = 0; i < s->k; i += 16) __builtin_prefetch(a_at(b, b->row + r, s->k0 + i), 0, 2);
}

/* A stretch of k of one panel and all tiles of rows; what is complete then is stored. */
static void multiply_stretch(block *b, const stretch *s, size_t panel, const void *a, float *sums)
{
    const fi_arithmetic *how = b->job->how;
    const bool last = s->k0 + s->k == b->p.k, more = s->k0 > 0;
    const void *lanes_of_b = panel_of(b, s, panel, false);
    /* What follows in memory comes next, unless it has to be packed or widened. */
    const bool follows = b->p.packed && !how->widen && (!last || panel + 1 < b->panel + b->panels);
    const size_t step = quotient_up(128, b->tiles);
    const char *ahead = (const char *)lanes_of_b + (follows ? s->lanes * FI_PANEL * sizeof(uint32_t) : 0);
    for (size_t t = 0; t < b->tiles; t++) {
        const size_t first = share(b->rows, t, b->tiles), rows = share(b->rows, t + 1, b->tiles) - first;
        float *tile = sums + t * b->tile_sums;
        if (panel == b->panel && a == s->a && b->p.packed) pack_tile(b, s, t);
        if (last && !b->job->streams) fetch_output(b, first, rows, panel);
        how->tile(how->row_major ? b->most : rows, (const uint32_t *)a + first * row_lanes(b->job, s->lanes),
                  row_lanes(b->job, s->lanes), lanes_of_b, s->lanes, tile, more, ahead + t * s->lanes * step, step);
        if (last) store(b, first, rows, panel, tile);
    }
}

/* The chunk of k from k0 on; sums of all panels are kept where it is not the only one. */
static void multiply_chunk(block *b, size_t k0, size_t k)
{
    const fi_arithmetic *how = b->job->how;
    const fi_product *p = &b->p;
    const bool as_is = b->rows == 1 && !how->stage && !p->a_transposed, kept = k < p->k;
    const size_t n_stretches = k ? quotient_up(k, stretch_numbers(b->job)) : 1;
    const size_t panel_bytes = fi_panel_lanes(b->job->type, p->k) * FI_PANEL * sizeof(uint32_t);
    /* Beside packed B, rows are packed as the first panel comes to them, for the next to be fetched meanwhile. */
    for (size_t i = 0; i < n_stretches * b->tiles && !as_is && !p->packed; i++) {
        const stretch s = stretch_of(b, k0, i / b->tiles); /* upwards in memory: packing goes over the end */
        pack_tile(b, &s, i % b->tiles);
    }
    if (how->begin) how->begin(b->most);
    for (size_t j = 0, n; j < b->panels; j += n) {
        float *sums = b->memory->sums + (kept ? j * b->panel_sums : 0);
        const bool wide = b->rows <= how->wide_rows && p->packed && j + FI_WIDE_PANELS <= b->panels;
        n = wide ? FI_WIDE_PANELS : 1;
        for (size_t i = 0; i < n_stretches; i++) {
            const stretch s = stretch_of(b, k0, i);
            const void *a = as_is ? (const void *)a_at(b, b->row, s.k0) : s.a;
            if (wide && j == 0 && !as_is) pack_tile(b, &s, 0);
            if (!wide)
                multiply_stretch(b, &s, b->panel + j, a, sums);
            else
                how->wide(b->rows, a, row_lanes(b->job, s.lanes), panel_of(b, &s, b->panel + j, true), panel_bytes,
                          s.lanes, sums, s.k0 > 0);
        }
        for (size_t i = 0; i < n && wide && k0 + k == p->k; i++)
            store(b, 0, b->rows, b->panel + j + i, sums + i * b->panel_sums);
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
    b.tiles = quotient_up(b.rows, job->how->rows);
    b.most = quotient_up(b.rows, b.tiles);
    b.tile_sums = (b.most + (job->how->row_major && b.rows > 1)) * FI_PANEL;
    b.panel_sums = b.tiles * b.tile_sums;
    const size_t step = chunk_numbers(job), k = b.p.k;
    for (size_t k0 = 0; k0 == 0 || k0 < k; k0 += step) multiply_chunk(&b, k0, k - k0 < step ? k - k0 : step);
    if (job->streams) __atomic_thread_fence(__ATOMIC_SEQ_CST); /* such stores are not ordered by themselves */
}

/* The cut into blocks that takes least time: the longest row of tasks on a thread, packing of A and B included. */
static void cut(product_job *job, size_t count, size_t n_threads)
{
    enum { PACKING = 13 }; /* multiplications that packing a number takes */
    const fi_product *p = job->first;
    const size_t chunk = p->k < chunk_numbers(job) ? p->k : chunk_numbers(job);
    const size_t stretches = chunk ? quotient_up(chunk, stretch_numbers(job)) : 1;
    const size_t room = BLOCK_WORDS / (stretches * row_lanes(job, job->how->stretch));
    const size_t least_rows = quotient_up(p->m, room < BLOCK_ROWS ? room : BLOCK_ROWS),
                 most_tasks = p->m * p->n * (p->k + 1) / LEAST_TASK + 1;
    if (n_threads > count * most_tasks) n_threads = count * most_tasks;
    double best = INFINITY;
    for (size_t rows = least_rows; rows < least_rows + 2 * n_threads && rows <= p->m; rows++) {
        const size_t r = quotient_up(p->m, rows), sum_rows = r + 2 * quotient_up(r, job->how->rows);
        const size_t sums = p->k > chunk ? sum_rows * FI_PANEL : 0;
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
                       .panels = quotient_up(first->n, FI_PANEL),
                       .streams = first->m * first->n >= LEAST_STREAMED};
    job.how = fi_arithmetic_of(job.set, job.type);
    cut(&job, count, engine->n_threads);
    fi_engine_run(engine, count * job.row_blocks * job.col_blocks, multiply_block, &job);
}

void fi_multiply(fi_engine *engine, const fi_product *product)
{
    if (!engine->onednn || !fi_onednn_multiply(engine, product)) fi_multiply_batch(engine, product, 1, 0, 0, 0);
}
