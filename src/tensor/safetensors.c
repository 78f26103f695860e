/*
 * safetensors: 8 bytes of header length, a JSON header {"name": {"dtype", "shape", "data_offsets"}}, then the numbers,
 * offsets counted from the end of the header. Source: the format's README, huggingface/safetensors 0.5; as there, the
 * tensors must cover the data without overlap and without gaps.
 */
#include "tensor/weights_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100000000 };

typedef struct span {
    size_t begin, end;
    const char *name;
} span;

typedef struct reader {
    fi_weights *weights;
    const fi_weight_file *file;
    const unsigned char *data;
    size_t data_size;
    span *spans; /* [n_spans] where the tensors lie in the data */
    size_t n_spans;
} reader;

static ftl_status wrong_tensor(const reader *r, const char *name, ftl_error *err, const char *what)
{
    char shown[FI_EXCERPT_MAX];
    return fi_fail(err, FTL_EDATA, "%s: tensor '%s': %s", r->file->path, fi_excerpt(name, strlen(name), shown), what);
}

/* A whole number that is not negative. */
static bool get_size(const json_t *value, size_t *out)
{
    *out = json_is_integer(value) && json_integer_value(value) >= 0 ? (size_t)json_integer_value(value) : 0;
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool find_type(const char *name, fi_dtype *type)
{
    for (int t = 0; t < FI_N_DTYPES; t++)
        if (!strcmp(name, fi_dtype_name((fi_dtype)t))) {
            *type = (fi_dtype)t;
            return true;
        }
    return false;
}

static ftl_status read_tensor(reader *r, const char *name, const json_t *value, ftl_error *err)
{
    fi_stored tensor = {0};
    char what[256], shown[FI_EXCERPT_MAX];
    const json_t *shape = json_object_get(value, "shape"), *offsets = json_object_get(value, "data_offsets");
    const char *type = json_string_value(json_object_get(value, "dtype"));
    if (!type || !json_is_array(shape) || !json_is_array(offsets))
        return wrong_tensor(r, name, err, "the header must give its dtype, shape and data_offsets");
    if (!find_type(type, &tensor.type)) {
        snprintf(what, sizeof what,
                 "has dtype %s, which is not read; F64, F32, F16, BF16, I64, I32, I8, U8 and BOOL are",
                 fi_excerpt(type, strlen(type), shown));
        return wrong_tensor(r, name, err, what);
    }
    if (json_array_size(shape) > sizeof tensor.shape / sizeof *tensor.shape)
        return wrong_tensor(r, name, err, "has more than 8 dimensions");
    tensor.n_dims = (int)json_array_size(shape);
    for (int d = 0; d < tensor.n_dims; d++)
        if (!get_size(json_array_get(shape, (size_t)d), &tensor.shape[d]))
            return wrong_tensor(r, name, err, "its shape must be whole numbers that are not negative");
    span *s = &r->spans[r->n_spans++];
    size_t bytes;
    s->name = name;
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &s->begin) ||
        !get_size(json_array_get(offsets, 1), &s->end) || s->begin > s->end)
        return wrong_tensor(r, name, err, "data_offsets must be two ascending positions");
    if (s->end > r->data_size) {
        snprintf(what, sizeof what,
                 "its data end at byte %zu, but the file holds only %zu bytes of data: it is cut short", s->end,
                 r->data_size);
        return wrong_tensor(r, name, err, what);
    }
    if (!fi_stored_layout(&tensor, &bytes) || bytes != s->end - s->begin) {
        snprintf(what, sizeof what, "its data_offsets span %zu bytes, which is not what its shape needs as %s",
                 s->end - s->begin, type);
        return wrong_tensor(r, name, err, what);
    }
    tensor.data = r->data + s->begin;
    return fi_weights_add(r->weights, r->file, name, strlen(name), &tensor, false, err);
}

static ftl_status read_metadata(const reader *r, const json_t *object, ftl_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return fi_fail(err, FTL_EDATA, "%s: __metadata__ must be an object", r->file->path);
    json_object_foreach((json_t *)object, key, value)
    {
        if (!json_is_string(value)) return fi_fail(err, FTL_EDATA, "%s: __metadata__ must hold text", r->file->path);
        ftl_status st = fi_weights_add_metadata(r->weights, key, json_string_value(value), err);
        if (st) return st;
    }
    return FTL_OK;
}

static int compare_spans(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); /* empty ones first */
}

static ftl_status check_spans(reader *r, ftl_error *err)
{
    size_t covered = 0;
    if (r->n_spans) qsort(r->spans, r->n_spans, sizeof *r->spans, compare_spans);
    for (size_t i = 0; i < r->n_spans; i++) {
        if (r->spans[i].begin < covered)
            return wrong_tensor(r, r->spans[i].name, err, "its data overlap those of another tensor");
        if (r->spans[i].begin > covered)
            return wrong_tensor(r, r->spans[i].name, err, "unused bytes lie before its data");
        covered = r->spans[i].end;
    }
    if (covered < r->data_size)
        return fi_fail(err, FTL_EDATA, "%s: %zu bytes after the last tensor belong to none", r->file->path,
                       r->data_size - covered);
    return FTL_OK;
}

static ftl_status read_header(reader *r, const json_t *header, ftl_error *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(header)) return fi_fail(err, FTL_EDATA, "%s: the header must be an object", r->file->path);
    r->spans = fi_alloc(json_object_size(header), sizeof *r->spans);
    if (!r->spans) return fi_fail_memory(err);
    json_object_foreach((json_t *)header, name, value)
    {
        ftl_status st = strcmp(name, "__metadata__") ? read_tensor(r, name, value, err) : read_metadata(r, value, err);
        if (st) return st;
    }
    return check_spans(r, err);
}

ftl_status fi_safetensors_read(fi_weights *weights, const fi_weight_file *file, ftl_error *err)
{
    uint64_t length = 0;
    if (file->size >= LENGTH_BYTES) memcpy(&length, file->bytes, LENGTH_BYTES);
    if (file->size < LENGTH_BYTES || length > file->size - LENGTH_BYTES)
        return fi_fail(err, FTL_EDATA,
                       "%s: neither safetensors nor a PyTorch file, or cut short: its %zu bytes do not hold a header",
                       file->path, file->size);
    if (length > MAX_HEADER_BYTES)
        return fi_fail(err, FTL_EDATA, "%s: a header of %llu bytes; at most %d are read", file->path,
                       (unsigned long long)length, MAX_HEADER_BYTES);
    const unsigned char *text = file->bytes + LENGTH_BYTES;
    reader r = {.weights = weights, .file = file, .data = text + length};
    r.data_size = file->size - LENGTH_BYTES - (size_t)length;
    json_t *header = NULL;
    ftl_status st = fi_json_parse((const char *)text, (size_t)length, file->path, &header, err);
    if (!st) st = read_header(&r, header, err);
    fi_free(r.spans);
    json_decref(header);
    return st;
}

/* ---- writing ---- */

/* As Python's safetensors orders tensors: the types of wider numbers first, so that all lie aligned; then by name. */
static int type_rank(fi_dtype type)
{
    static const int ranks[FI_N_DTYPES] = {[FI_I64] = 8, [FI_F64] = 7, [FI_F32] = 6, [FI_I32] = 5, [FI_BF16] = 4,
                                           [FI_F16] = 3, [FI_I8] = 2,  [FI_U8] = 1,  [FI_BOOL] = 0};
    return ranks[type];
}

static int compare_to_store(const void *a, const void *b)
{
    const fi_to_store *x = *(const fi_to_store *const *)a, *y = *(const fi_to_store *const *)b;
    int order = type_rank(y->type) - type_rank(x->type);
    return order ? order : strcmp(x->name, y->name);
}

static json_t *texts_of(const char *const *pairs, size_t n)
{
    json_t *object = json_object();
    if (object && json_object_set_new(object, "format", json_string("pt"))) /* transformers asks for it */
        goto failed;
    for (size_t i = 0; object && i < n; i++)
        if (json_object_set_new(object, pairs[2 * i], json_string(pairs[2 * i + 1]))) goto failed;
    return object;
failed:
    json_decref(object);
    return NULL;
}

static json_t *describe(const fi_stored *tensor, size_t begin, size_t bytes)
{
    json_t *shape = json_array();
    for (int d = 0; shape && d < tensor->n_dims; d++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]))) {
            json_decref(shape);
            shape = NULL;
        }
    return shape ? json_pack("{s:s, s:o, s:[I, I]}", "dtype", fi_dtype_name(tensor->type), "shape", shape,
                             "data_offsets", (json_int_t)begin, (json_int_t)(begin + bytes))
                 : NULL;
}

static ftl_status header_of(const fi_to_store *const *sorted, size_t n, json_t *header, ftl_error *err)
{
    size_t at = 0, bytes, end;
    for (size_t i = 0; i < n; i++) {
        fi_stored tensor = {.type = sorted[i]->type, .n_dims = sorted[i]->n_dims};
        memcpy(tensor.shape, sorted[i]->shape, sizeof tensor.shape);
        if (!fi_stored_layout(&tensor, &bytes) || __builtin_add_overflow(at, bytes, &end) || end > INT64_MAX)
            return fi_fail(err, FTL_EINVAL, "tensor '%s': its shape is too large", sorted[i]->name);
        if (json_object_get(header, sorted[i]->name))
            return fi_fail(err, FTL_EINVAL, "tensor '%s': the name is given twice, or not free", sorted[i]->name);
        if (!fi_utf8_valid(sorted[i]->name, strlen(sorted[i]->name)))
            return fi_fail(err, FTL_EINVAL, "tensor %zu: its name is not UTF-8", i);
        if (json_object_set_new(header, sorted[i]->name, describe(&tensor, at, bytes))) return fi_fail_memory(err);
        at = end;
    }
    return FTL_OK;
}

static ftl_status write_numbers(fi_file *file, const fi_to_store *tensor, ftl_error *err)
{
    fi_stored layout = {.type = tensor->type, .n_dims = tensor->n_dims};
    size_t bytes, width = fi_dtype_size(tensor->type);
    memcpy(layout.shape, tensor->shape, sizeof layout.shape);
    fi_stored_layout(&layout, &bytes); /* header_of has checked it */
    if (tensor->type != FI_F16 && tensor->type != FI_BF16) return fi_file_write(file, tensor->data, bytes, err);
    uint16_t rounded[4096];
    for (size_t done = 0, some; done < layout.size; done += some) {
        some = layout.size - done < 4096 ? layout.size - done : 4096;
        fi_convert_from_f32(tensor->type, (const float *)tensor->data + done, rounded, some);
        ftl_status st = fi_file_write(file, rounded, some * width, err);
        if (st) return st;
    }
    return FTL_OK;
}

static ftl_status write_file(const char *path, const fi_buf *header, const fi_to_store *const *sorted, size_t n,
                             ftl_error *err)
{
    fi_file *file = NULL;
    uint64_t length = header->size;
    ftl_status st = fi_file_create(path, &file, err);
    if (st) return st;
    st = fi_file_write(file, &length, LENGTH_BYTES, err);
    if (!st) st = fi_file_write(file, header->data, header->size, err);
    for (size_t i = 0; !st && i < n; i++) st = write_numbers(file, sorted[i], err);
    if (!st) return fi_file_commit(file, err);
    fi_file_discard(file);
    return st;
}

ftl_status fi_weights_write(const char *path, const fi_to_store *tensors, size_t n, const char *const *metadata,
                            size_t n_metadata, ftl_error *err)
{
    fi_buf text = {0};
    ftl_status st = FTL_OK;
    const fi_to_store **sorted = fi_alloc(n, sizeof *sorted);
    json_t *header = json_object();
    if (!sorted || !header || json_object_set_new(header, "__metadata__", texts_of(metadata, n_metadata))) {
        st = fi_fail_memory(err);
        goto done;
    }
    for (size_t i = 0; i < n; i++) sorted[i] = &tensors[i];
    if (n) qsort(sorted, n, sizeof *sorted, compare_to_store);
    st = header_of(sorted, n, header, err);
    if (st) goto done;
    fi_json_write(header, &text);
    while (!text.failed && text.size % 8) fi_buf_char(&text, ' '); /* the numbers begin aligned */
    st = text.failed ? fi_fail_memory(err) : write_file(path, &text, sorted, n, err);
done:
    fi_buf_release(&text);
    json_decref(header);
    fi_free(sorted);
    return st;
}
