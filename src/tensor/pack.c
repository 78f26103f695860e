#include "base/alloc.h"
#include "base/error.h"
#include "tensor/kernels.h"
#include "tensor/onednn.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 64, MAX_K_I8 = 1 << 17 }; /* lanes staged at a time; beyond that k sums of int8 may overflow */

static size_t n_panels(const fi_packed *packed)
{
    return (packed->n + FI_PANEL - 1) / FI_PANEL;
}

static uint32_t *panel_at(const fi_packed *packed, size_t panel)
{
    return (uint32_t *)packed->panels + panel * fi_panel_lanes(packed->type, packed->k) * FI_PANEL;
}

/* By way of rows of k: bf16 of a transposed B, and int8. */
static void pack_staged(const fi_kernel_set *set, fi_dtype type, const float *b, size_t ldb, bool transposed, size_t k,
                        size_t cols, const float *inverse, uint32_t *out)
{
    uint32_t staged[FI_PANEL * CHUNK], turned[(FI_PANEL + 1) * CHUNK * 4];
    const size_t numbers = fi_lane_numbers(type), step = CHUNK * numbers;
    for (size_t i = 0; i < k; i += step, out += CHUNK * FI_PANEL) {
        const size_t count = k - i < step ? k - i : step, lanes = fi_panel_lanes(type, count);
        const float *rows = transposed ? b + i : (const float *)(const void *)turned;
        if (!transposed) /* here the rows are those of k */
            set->transpose((const uint32_t *)(const void *)(b + i * ldb), ldb, count, (count + 15) / 16 * 16, cols,
                           turned, step);
        for (size_t j = 0; j < cols; j++)
            (type == FI_I8 ? set->stage_i8 : set->stage_bf16)(rows + j * (transposed ? ldb : step), count,
                                                              inverse ? inverse[j] : 1, lanes, staged + j * CHUNK);
        set->transpose(staged, CHUNK, cols, FI_PANEL, lanes, out, FI_PANEL);
    }
}

void fi_pack_panel(const fi_kernel_set *set, fi_dtype type, const float *b, size_t ldb, bool transposed, size_t k0,
                   size_t k, size_t j0, size_t cols, const float *inverse, uint32_t *out)
{
    const float *from = transposed ? b + j0 * ldb + k0 : b + k0 * ldb + j0;
    const size_t lanes = fi_panel_lanes(type, k);
    if (type == FI_F32 && transposed) {
        set->transpose((const uint32_t *)(const void *)from, ldb, cols, FI_PANEL, k, out, FI_PANEL);
    } else if (type == FI_F32) {
        set->rows_f32(from, ldb, k, cols, FI_PANEL, out);
    } else if (type == FI_BF16 && !transposed) {
        set->rows_bf16(from, ldb, k, cols, FI_PANEL, out);
        size_t full = (k + 1) / 2;
        memset(out + full * FI_PANEL, 0, (lanes - full) * FI_PANEL * sizeof *out);
    } else {
        pack_staged(set, type, from, ldb, transposed, k, cols, inverse, out);
    }
}

typedef struct packing {
    const fi_kernel_set *set;
    fi_packed *packed;
    const float *b;
    size_t ldb;
    bool transposed;
    size_t first; /* column of the packed matrix that b begins with */
} packing;

/* The largest magnitude of every column, counted from where b begins. */
static void largest_of(const packing *w, size_t j0, size_t cols, float *most)
{
    const size_t k = w->packed->k;
    for (size_t j = 0; j < cols; j++) most[j] = w->transposed ? w->set->largest(w->b + (j0 + j) * w->ldb, k) : 0;
    for (size_t i = 0; i < k && !w->transposed; i++)
        for (size_t j = 0; j < cols; j++) most[j] = fi_larger(most[j], fabsf(w->b[i * w->ldb + j0 + j]));
}

static int32_t sum_of_bytes(uint32_t lane)
{
    int8_t q[4];
    memcpy(q, &lane, sizeof lane);
    return q[0] + q[1] + q[2] + q[3];
}

static void pack_one(void *user, size_t panel, float *scratch)
{
    const packing *w = user;
    fi_packed *to = w->packed;
    const size_t j0 = panel * FI_PANEL, cols = to->n - j0 < FI_PANEL ? to->n - j0 : FI_PANEL;
    uint32_t *out = panel_at(to, panel);
    float inverse[FI_PANEL];
    (void)scratch;
    if (to->type == FI_I8) {
        largest_of(w, j0 - w->first, cols, to->scale + j0);
        for (size_t j = 0; j < cols; j++) inverse[j] = fi_int8_scale(&to->scale[j0 + j]);
    }
    fi_pack_panel(w->set, to->type, w->b, w->ldb, w->transposed, 0, to->k, j0 - w->first, cols,
                  to->type == FI_I8 ? inverse : NULL, out);
    for (size_t j = 0; j < cols && to->type == FI_I8; j++) {
        to->col_sum[j0 + j] = 0;
        for (size_t l = 0; l < fi_panel_lanes(to->type, to->k); l++)
            to->col_sum[j0 + j] += sum_of_bytes(out[l * FI_PANEL + j]);
    }
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

size_t fi_packed_bytes(fi_dtype type, size_t k, size_t n)
{
    const size_t panels = (n + FI_PANEL - 1) / FI_PANEL * fi_panel_lanes(type, k) * FI_PANEL * sizeof(uint32_t);
    return round_up(panels) + (type == FI_I8 ? 2 * round_up(n * sizeof(float)) : 0);
}

ftl_status fi_packed_new(fi_dtype type, size_t k, size_t n, void *memory, fi_packed **out, ftl_error *err)
{
    *out = NULL;
    if (type == FI_I8 && k > MAX_K_I8)
        return fi_fail(err, FTL_EINVAL, "a matrix of %zu rows is too long for int8, whose sums hold %d; use bf16", k,
                       MAX_K_I8);
    fi_packed *packed = fi_calloc(1, sizeof *packed);
    if (!packed) return fi_fail_memory(err);
    *packed = (fi_packed){.type = type, .k = k, .n = n, .bytes = fi_packed_bytes(type, k, n), .borrowed = memory};
    packed->panels = memory ? memory : fi_aligned_alloc(packed->bytes, 1);
    if (!packed->panels) {
        fi_packed_free(packed);
        return fi_fail_memory(err);
    }
    if (type == FI_I8) {
        const size_t row = round_up(n * sizeof(float));
        packed->scale = (float *)(void *)((char *)packed->panels + packed->bytes - 2 * row);
        packed->col_sum = (int32_t *)(void *)((char *)packed->panels + packed->bytes - row);
    }
    *out = packed;
    return FTL_OK;
}

void fi_pack_rows(const fi_engine *engine, fi_packed *packed, size_t first, size_t n, const float *b, size_t ldb)
{
    const packing work = {engine->k, packed, b, ldb, true, first};
    for (size_t i = first / FI_PANEL; i * FI_PANEL < first + n; i++) pack_one((void *)(uintptr_t)&work, i, NULL);
}

ftl_status fi_pack(const fi_engine *engine, fi_dtype type, size_t k, size_t n, const float *b, size_t ldb,
                   bool transposed, fi_packed **out, ftl_error *err)
{
    ftl_status st = fi_packed_new(type, k, n, NULL, out, err);
    if (st) return st;
    packing work = {engine->k, *out, b, ldb, transposed, 0};
    for (size_t i = 0; i < n_panels(*out); i++) pack_one(&work, i, NULL);
    st = engine->onednn ? fi_onednn_pack(engine->onednn, *out, b, ldb, transposed, err) : FTL_OK;
    if (!st) return FTL_OK;
    fi_packed_free(*out);
    *out = NULL;
    return st;
}

void fi_repack(fi_engine *engine, fi_packed *packed, const float *b, size_t ldb, bool transposed)
{
    packing work = {engine->k, packed, b, ldb, transposed, 0};
    fi_engine_run(engine, n_panels(packed), pack_one, &work);
    if (packed->onednn && (!engine->onednn || fi_onednn_pack(engine->onednn, packed, b, ldb, transposed, NULL))) {
        fi_onednn_weights_free(packed->onednn); /* the old ones would be wrong */
        packed->onednn = NULL;
    }
}

static float number_at(const fi_packed *packed, size_t i, size_t j)
{
    const size_t numbers = fi_lane_numbers(packed->type);
    const char *at = (const char *)(panel_at(packed, j / FI_PANEL) + i / numbers * FI_PANEL + j % FI_PANEL) +
                     i % numbers * fi_dtype_size(packed->type);
    float x;
    fi_convert_to_f32(packed->type, at, &x, 1);
    return packed->type == FI_I8 ? x * packed->scale[j] : x;
}

void fi_unpack(const fi_packed *packed, float *b)
{
    for (size_t i = 0; i < packed->k; i++)
        for (size_t j = 0; j < packed->n; j++) b[i * packed->n + j] = number_at(packed, i, j);
}

ftl_status fi_packed_finish(const fi_engine *engine, fi_packed *packed, ftl_error *err)
{
    if (!engine->onednn) return FTL_OK;
    float *b = fi_alloc(packed->k * packed->n, sizeof *b);
    if (!b) return fi_fail_memory(err);
    fi_unpack(packed, b);
    ftl_status st = fi_onednn_pack(engine->onednn, packed, b, packed->n, false, err);
    fi_free(b);
    return st;
}

void fi_packed_free(fi_packed *packed)
{
    if (!packed) return;
    if (!packed->borrowed) fi_aligned_free(packed->panels);
    fi_onednn_weights_free(packed->onednn);
    fi_free(packed);
}
