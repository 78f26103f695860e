#include "nn/params.h"

#include "base/alloc.h"
#include "base/error.h"
#include "tensor/kernels.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A parameter with what only this file needs to know of it. */
typedef struct entry {
    fi_param param; /* first: fi_param * and entry * are one */
    fi_role role;
    size_t heads; /* 0: not used by heads */
    bool back;
} entry;

static const entry *entry_of(const fi_param *param)
{
    return (const entry *)(const void *)param;
}

static fi_role role_of(const fi_param *param)
{
    return entry_of(param)->role;
}

fi_param *fi_params_add(fi_params *params, fi_role role, int n_dims, const size_t *shape, const char *format, ...)
{
    char name[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    entry *e = fi_calloc(1, sizeof *e);
    char *copy = n < 0 || (size_t)n >= sizeof name ? NULL : fi_strdup(name);
    if (!e || !copy || fi_grow(&params->item, &params->capacity, params->n + 1, sizeof(*params->item))) {
        fi_free(e);
        fi_free(copy);
        params->failed = true;
        return NULL;
    }
    e->role = role;
    e->param = (fi_param){.name = copy, .n_dims = n_dims, .size = 1};
    for (int i = 0; i < n_dims; i++) {
        e->param.shape[i] = shape[i];
        if (shape[i] && e->param.size > SIZE_MAX / 16 / shape[i])
            params->failed = true; /* a size that no memory holds */
        else
            e->param.size *= shape[i];
    }
    return params->item[params->n++] = &e->param;
}

void fi_params_by_heads(fi_param *param, size_t heads, bool back)
{
    entry *e = (entry *)(void *)param;
    if (!e) return;
    e->heads = heads;
    e->back = back;
}

/* A parameter's shape in the file: filters have their channels second there, and last in the network; others are turned. */
static void stored_shape(const fi_param *param, size_t *shape)
{
    memcpy(shape, param->shape, sizeof param->shape);
    if (role_of(param) == FI_ROLE_TURNED) shape[0] = param->shape[1], shape[1] = param->shape[0];
    if (role_of(param) != FI_ROLE_FILTER) return;
    shape[1] = param->shape[param->n_dims - 1];
    for (int i = 2; i < param->n_dims; i++) shape[i] = param->shape[i - 1];
}

static void order_filter(const float *file, const fi_param *param, float *out)
{
    const size_t in = param->shape[param->n_dims - 1], filter = param->shape[0] ? param->size / param->shape[0] : 0;
    const size_t taps = in ? filter / in : 0;
    for (size_t o = 0; o < param->size; o += filter)
        for (size_t i = 0; i < in; i++)
            for (size_t t = 0; t < taps; t++) out[o + t * in + i] = file[o + i * taps + t];
}

static void turn(const float *file, const fi_param *param, float *out)
{
    const size_t rows = param->shape[0], columns = param->shape[1];
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) out[i * columns + j] = file[j * rows + i];
}

/* The stored numbers of a parameter, as the network has them. */
static ftl_status read_stored(const fi_weights *weights, const fi_stored *stored, const fi_param *param, float *out,
                              ftl_error *err)
{
    const fi_role role = role_of(param);
    if (role != FI_ROLE_FILTER && role != FI_ROLE_TURNED) return fi_stored_read(weights, stored, out, err);
    float *file = fi_alloc(param->size, sizeof *file);
    if (!file) return fi_fail_memory(err);
    ftl_status st = fi_stored_read(weights, stored, file, err);
    if (!st && role == FI_ROLE_FILTER) order_filter(file, param, out);
    if (!st && role == FI_ROLE_TURNED) turn(file, param, out);
    fi_free(file);
    return st;
}

/* Whole numbers would be read as they stand, but no weights are stored so: the file means something else. */
static ftl_status check_type(const fi_weights *weights, const fi_stored *stored, ftl_error *err)
{
    if (stored->type == FI_F32 || stored->type == FI_F64 || stored->type == FI_F16 || stored->type == FI_BF16)
        return FTL_OK;
    return fi_fail(err, FTL_EDATA, "%s: tensor '%s' is %s, but must be F32, F64, F16 or BF16; the file is no model's",
                   fi_weights_path(weights), stored->name, fi_dtype_name(stored->type));
}

/* The stored tensor of a parameter, its type and shape checked. */
static ftl_status find_stored(const fi_weights *weights, const fi_param *param, const fi_stored **out, ftl_error *err)
{
    const fi_stored *stored = *out = fi_weights_find(weights, param->name);
    size_t shape[FI_MAX_DIMS];
    stored_shape(param, shape);
    bool same = stored && stored->n_dims == param->n_dims;
    for (int i = 0; same && i < param->n_dims; i++) same = stored->shape[i] == shape[i];
    if (same) return check_type(weights, stored, err);
    char wanted[FI_SHAPE_TEXT], found[FI_SHAPE_TEXT];
    fi_shape_text(param->n_dims, shape, wanted);
    if (!stored)
        return fi_fail(err, FTL_EDATA,
                       "%s: tensor '%s' of shape %s is missing; the file does not belong to its config.json",
                       fi_weights_path(weights), param->name, wanted);
    return fi_fail(err, FTL_EDATA,
                   "%s: tensor '%s' should be %s by its configuration, but is %s; the file does not belong to its "
                   "config.json",
                   fi_weights_path(weights), param->name, wanted, fi_shape_text(stored->n_dims, stored->shape, found));
}

static ftl_status check_declared(const fi_params *params, ftl_error *err)
{
    return params->failed ? fi_fail_memory(err) : FTL_OK;
}

/* All shapes, before memory is taken for any: a file can claim no more than it holds. */
static ftl_status check_all(const fi_params *params, const fi_weights *weights, ftl_error *err)
{
    ftl_status st = check_declared(params, err);
    const fi_stored *stored;
    for (size_t i = 0; i < params->n && !st; i++) st = find_stored(weights, params->item[i], &stored, err);
    return st;
}

/* ---- loading for inference: all memory in one block, filled in parts by all threads ---- */

/* Some rows of a parameter, or all of it at once where its file has no rows to give. */
typedef struct part {
    fi_param *param;
    const fi_stored *stored;
    size_t first, n;
    bool whole;
} part;

typedef struct loading {
    fi_engine *engine;
    const fi_weights *weights;
    part *parts;
    size_t n, room;
    pthread_mutex_t lock;
    size_t failed_at; /* the first part that failed, and why: */
    ftl_error error;
} loading;

static bool has_values(const fi_param *p)
{
    return role_of(p) != FI_ROLE_MATRIX && role_of(p) != FI_ROLE_TURNED;
}

static bool is_packed(const fi_param *p)
{
    return !has_values(p) || role_of(p) == FI_ROLE_BOTH;
}

static size_t value_bytes(const fi_param *p)
{
    return has_values(p) ? (p->size * sizeof(float) + 63) / 64 * 64 : 0;
}

/* Of a head of a matrix used by heads: its numbers [r, c] in the file, and what is packed, n columns of k, in whole panels. */
typedef struct head_shape {
    size_t r, c, k, n, panels;
} head_shape;

static head_shape head_of(const fi_param *p)
{
    const entry *e = entry_of(p);
    head_shape s = {.r = p->shape[0] / e->heads, .c = p->shape[1]};
    s.k = e->back ? s.r : s.c;
    s.n = e->back ? s.c : s.r;
    s.panels = (s.n + FI_PANEL - 1) / FI_PANEL;
    return s;
}

/* The matrix that is packed: [n, k]. */
static void packed_shape(const fi_param *p, size_t *k, size_t *n)
{
    *k = p->shape[1];
    *n = p->shape[0];
    if (!entry_of(p)->heads) return;
    const head_shape s = head_of(p);
    *k = s.k;
    *n = entry_of(p)->heads * s.panels * FI_PANEL;
}

/* Each head is filled up with zeros to whole panels. */
static ftl_status pack_heads(const fi_engine *engine, const fi_param *p, const float *values, ftl_error *err)
{
    const entry *e = entry_of(p);
    const head_shape s = head_of(p);
    const size_t wide = s.panels * FI_PANEL;
    float *b = fi_calloc(e->heads * wide * s.k, sizeof *b);
    if (!b) return fi_fail_memory(err);
    for (size_t h = 0; h < e->heads; h++)
        for (size_t j = 0; j < s.n; j++)
            for (size_t i = 0; i < s.k; i++)
                b[(h * wide + j) * s.k + i] = values[(h * s.r + (e->back ? i : j)) * s.c + (e->back ? j : i)];
    fi_pack_rows(engine, p->packed, 0, e->heads * wide, b, s.k);
    fi_free(b);
    return FTL_OK;
}

/* Places for the values and the packing of every parameter in one block. */
static ftl_status place_all(fi_params *params, fi_dtype precision, ftl_error *err)
{
    size_t bytes = 0, k, n;
    for (size_t i = 0; i < params->n; i++) {
        const fi_param *p = params->item[i];
        if (is_packed(p)) packed_shape(p, &k, &n);
        bytes += value_bytes(p) + (is_packed(p) ? fi_packed_bytes(precision, k, n) : 0);
    }
    char *at = params->block = fi_aligned_alloc_large(bytes);
    ftl_status st = at ? FTL_OK : fi_fail_memory(err);
    for (size_t i = 0; i < params->n && !st; i++) {
        fi_param *p = params->item[i];
        if (has_values(p)) p->value = (float *)(void *)at;
        at += value_bytes(p);
        if (!is_packed(p)) continue;
        packed_shape(p, &k, &n);
        st = fi_packed_new(precision, k, n, at, &p->packed, err);
        if (!st) at += p->packed->bytes;
    }
    params->bytes = bytes;
    return st;
}

/* Parts of about a quarter of a megabyte, whole panels of those that are packed. */
static ftl_status add_parts(loading *w, fi_param *p, ftl_error *err)
{
    enum { NUMBERS = 1 << 16 };
    const fi_stored *stored = fi_weights_find(w->weights, p->name);
    const size_t rows = p->n_dims ? p->shape[0] : 1, row = rows ? p->size / rows : 0;
    const size_t unit = is_packed(p) ? FI_PANEL : 1;
    const bool fits = has_values(p) || unit * row <= FI_SCRATCH_BYTES / sizeof(float);
    part one = {.param = p, .stored = stored, .n = rows};
    one.whole = !fi_stored_has_rows(stored) || !fits || role_of(p) == FI_ROLE_FILTER || role_of(p) == FI_ROLE_TURNED ||
                entry_of(p)->heads;
    if (!one.whole && row) {
        one.n = NUMBERS / row / unit * unit;
        if (one.n < unit) one.n = unit;
    }
    for (; one.first < rows; one.first += one.n) {
        if (one.n > rows - one.first) one.n = rows - one.first;
        if (fi_grow(&w->parts, &w->room, w->n + 1, sizeof *w->parts)) return fi_fail_memory(err);
        w->parts[w->n++] = one;
    }
    return FTL_OK;
}

static ftl_status load_whole(loading *w, const part *one, ftl_error *err)
{
    const fi_param *p = one->param;
    float *own = p->value ? NULL : fi_alloc(p->size, sizeof *own), *values = p->value ? p->value : own;
    ftl_status st = values ? read_stored(w->weights, one->stored, p, values, err) : fi_fail_memory(err);
    if (!st && entry_of(p)->heads)
        st = pack_heads(w->engine, p, values, err);
    else if (!st && p->packed)
        fi_pack_rows(w->engine, p->packed, 0, p->shape[0], values, p->shape[1]);
    fi_free(own);
    return st;
}

static ftl_status load_rows(loading *w, const part *one, float *scratch, ftl_error *err)
{
    const fi_param *p = one->param;
    const size_t row = p->size / p->shape[0];
    float *values = p->value ? p->value + one->first * row : scratch;
    ftl_status st = fi_stored_read_rows(w->weights, one->stored, one->first, one->n, values, err);
    if (!st && p->packed) fi_pack_rows(w->engine, p->packed, one->first, one->n, values, row);
    return st;
}

/* Of many failures the first in order is told. */
static void load_part(void *user, size_t i, float *scratch)
{
    loading *w = user;
    const part *one = &w->parts[i];
    ftl_error error;
    if (!(one->whole ? load_whole(w, one, &error) : load_rows(w, one, scratch, &error))) return;
    pthread_mutex_lock(&w->lock);
    if (i < w->failed_at) {
        w->failed_at = i;
        w->error = error;
    }
    pthread_mutex_unlock(&w->lock);
}

ftl_status fi_params_load(fi_params *params, fi_engine *engine, const fi_weights *weights, fi_dtype precision,
                          ftl_error *err)
{
    loading w = {.engine = engine, .weights = weights, .failed_at = SIZE_MAX};
    ftl_status st = check_all(params, weights, err);
    if (!st) st = place_all(params, precision, err);
    for (size_t i = 0; i < params->n && !st; i++) st = add_parts(&w, params->item[i], err);
    if (!st) {
        pthread_mutex_init(&w.lock, NULL);
        fi_engine_run(engine, w.n, load_part, &w);
        pthread_mutex_destroy(&w.lock);
        if (w.failed_at < SIZE_MAX) st = fi_fail(err, w.error.code, "%s", w.error.message);
    }
    for (size_t i = 0; i < params->n && !st; i++) {
        fi_packed *packed = params->item[i]->packed;
        if (!packed || entry_of(params->item[i])->heads) continue;
        params->bytes -= packed->bytes; /* finishing may add to it */
        st = fi_packed_finish(engine, packed, err);
        params->bytes += packed->bytes;
    }
    fi_free(w.parts);
    return st;
}

ftl_status fi_params_train(fi_params *params, ftl_error *err)
{
    ftl_status st = check_declared(params, err);
    if (st) return st;
    size_t size = 0;
    for (size_t i = 0; i < params->n; i++)
        size += (params->item[i]->size + 15) / 16 * 16; /* every array on a cache line of its own */
    params->size = size;
    params->values = fi_aligned_alloc(size + 16, sizeof(float));
    params->grads = fi_aligned_alloc(size + 16, sizeof(float));
    if (!params->values || !params->grads) return fi_fail_memory(err);
    memset(params->values, 0, size * sizeof(float));
    memset(params->grads, 0, size * sizeof(float));
    params->bytes = 2 * size * sizeof(float);
    for (size_t i = 0, at = 0; i < params->n; i++) {
        params->item[i]->value = params->values + at;
        params->item[i]->grad = params->grads + at;
        at += (params->item[i]->size + 15) / 16 * 16;
    }
    return FTL_OK;
}

ftl_status fi_params_read(fi_params *params, const fi_weights *weights, ftl_error *err)
{
    ftl_status st = check_all(params, weights, err);
    for (size_t i = 0; i < params->n && !st; i++)
        st = read_stored(weights, fi_weights_find(weights, params->item[i]->name), params->item[i],
                         params->item[i]->value, err);
    return st;
}

void fi_params_release(fi_params *params)
{
    for (size_t i = 0; i < params->n; i++) {
        fi_param *p = params->item[i];
        fi_packed_free(p->packed);
        fi_packed_free(p->packed_back);
        fi_free((char *)(uintptr_t)p->name);
        fi_free(p);
    }
    fi_free(params->item);
    fi_aligned_free(params->block);
    fi_aligned_free(params->values);
    fi_aligned_free(params->grads);
    *params = (fi_params){0};
}
