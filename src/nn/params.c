#include "nn/params.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A parameter with what only this file needs to know of it. */
typedef struct entry {
    fi_param param; /* first: fi_param * and entry * are one */
    fi_role role;
} entry;

static fi_role role_of(const fi_param *param)
{
    return ((const entry *)(const void *)param)->role;
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

static void shape_text(fi_buf *buf, int n_dims, const size_t *shape)
{
    fi_buf_char(buf, '[');
    for (int i = 0; i < n_dims; i++) fi_buf_printf(buf, "%s%zu", i ? ", " : "", shape[i]);
    fi_buf_char(buf, ']');
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

static void order_filter(const float *file, const fi_param *param)
{
    const size_t in = param->shape[param->n_dims - 1], filter = param->shape[0] ? param->size / param->shape[0] : 0;
    const size_t taps = in ? filter / in : 0;
    for (size_t o = 0; o < param->size; o += filter)
        for (size_t i = 0; i < in; i++)
            for (size_t t = 0; t < taps; t++) param->value[o + t * in + i] = file[o + i * taps + t];
}

static void turn(const float *file, const fi_param *param)
{
    const size_t rows = param->shape[0], columns = param->shape[1];
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) param->value[i * columns + j] = file[j * rows + i];
}

/* The stored numbers of a parameter, as the network has them. */
static ftl_status read_stored(const fi_weights *weights, const fi_stored *stored, const fi_param *param, ftl_error *err)
{
    const fi_role role = role_of(param);
    if (role != FI_ROLE_FILTER && role != FI_ROLE_TURNED) return fi_stored_read(weights, stored, param->value, err);
    float *file = fi_alloc(param->size, sizeof *file);
    if (!file) return fi_fail_memory(err);
    ftl_status st = fi_stored_read(weights, stored, file, err);
    if (!st && role == FI_ROLE_FILTER) order_filter(file, param);
    if (!st && role == FI_ROLE_TURNED) turn(file, param);
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
    fi_buf text = {0};
    shape_text(&text, param->n_dims, shape);
    if (stored) {
        fi_buf_text(&text, " by its configuration, but is ");
        shape_text(&text, stored->n_dims, stored->shape);
    }
    ftl_status st =
        text.failed
            ? fi_fail_memory(err)
            : fi_fail(err, FTL_EDATA,
                      stored ? "%s: tensor '%s' should be %s; the file does not belong to its config.json"
                             : "%s: tensor '%s' of shape %s is missing; the file does not belong to its config.json",
                      fi_weights_path(weights), param->name, text.data);
    fi_buf_release(&text);
    return st;
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

static ftl_status load_one(fi_params *params, fi_engine *engine, const fi_weights *weights, fi_param *p,
                           fi_dtype precision, ftl_error *err)
{
    fi_role role = role_of(p);
    const fi_stored *stored = fi_weights_find(weights, p->name);
    p->value = fi_aligned_alloc(p->size, sizeof *p->value);
    if (!p->value) return fi_fail_memory(err);
    ftl_status st = read_stored(weights, stored, p, err);
    const bool only_packed = role == FI_ROLE_MATRIX || role == FI_ROLE_TURNED;
    if (!st && (only_packed || role == FI_ROLE_BOTH))
        st = fi_pack(engine, precision, p->shape[1], p->shape[0], p->value, p->shape[1], true, &p->packed, err);
    if (st) return st;
    fi_weights_forget(weights, stored);
    if (only_packed) {
        fi_aligned_free(p->value);
        p->value = NULL;
    }
    params->bytes += (p->value ? p->size * sizeof *p->value : 0) + (p->packed ? p->packed->bytes : 0);
    return FTL_OK;
}

ftl_status fi_params_load(fi_params *params, fi_engine *engine, const fi_weights *weights, fi_dtype precision,
                          ftl_error *err)
{
    ftl_status st = check_all(params, weights, err);
    for (size_t i = 0; i < params->n && !st; i++)
        st = load_one(params, engine, weights, params->item[i], precision, err);
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
        st = read_stored(weights, fi_weights_find(weights, params->item[i]->name), params->item[i], err);
    return st;
}

void fi_params_release(fi_params *params)
{
    for (size_t i = 0; i < params->n; i++) {
        fi_param *p = params->item[i];
        if (!params->values) fi_aligned_free(p->value);
        fi_packed_free(p->packed);
        fi_packed_free(p->packed_back);
        fi_free((char *)(uintptr_t)p->name);
        fi_free(p);
    }
    fi_free(params->item);
    fi_aligned_free(params->values);
    fi_aligned_free(params->grads);
    *params = (fi_params){0};
}
