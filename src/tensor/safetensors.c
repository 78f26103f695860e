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
#include "base/json_reader.h"
#include "base/text.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100000000 };

/* One tensor of the header, as it is read. */
typedef struct reader {
    fi_weights *weights;
    fi_weight_file *file;
    fi_json_reader json;
    size_t data, data_size; /* where the numbers begin, and how many bytes they have */
    fi_json_text name;
    fi_stored tensor;
    bool has_type, has_shape, has_offsets;
    size_t begin, end; /* in the data */
} reader;

static ftl_status wrong_tensor(const reader *r, const char *what)
{
    char shown[FI_EXCERPT_MAX];
    return fi_fail(r->json.err, FTL_EDATA, "%s: tensor '%s': %s", r->file->path,
                   fi_excerpt(r->name.raw, r->name.n, shown), what);
}

static ftl_status read_type(reader *r)
{
    char shown[FI_EXCERPT_MAX], what[256];
    if (fi_json_peek(&r->json) != '"')
        return r->json.failed ? r->json.failed : wrong_tensor(r, "its dtype must be text");
    const fi_json_text type = fi_json_get_string(&r->json);
    for (int t = 0; t < FI_N_DTYPES; t++)
        if (fi_json_text_is(type, fi_dtype_name((fi_dtype)t))) {
            r->tensor.type = (fi_dtype)t;
            r->has_type = true;
            return FTL_OK;
        }
    if (r->json.failed) return r->json.failed;
    snprintf(what, sizeof what, "has dtype %s, which is not read; F64, F32, F16, BF16, I64, I32, I8, U8 and BOOL are",
             fi_excerpt(type.raw, type.n, shown));
    return wrong_tensor(r, what);
}

/* An array of at most `most` whole numbers that are not negative; false where it is anything else. */
static bool read_sizes(reader *r, size_t *out, int most, int *n)
{
    fi_json_reader *json = &r->json;
    bool good = fi_json_peek(json) == '[';
    *n = 0;
    if (!good) return false;
    for (fi_json_enter(json); good && fi_json_next(json, NULL); ++*n)
        good = *n < most && fi_json_peek(json) == '0' && fi_json_get_size(json, &out[*n]);
    return good && !json->failed;
}

static ftl_status read_shape(reader *r)
{
    enum { MOST = sizeof r->tensor.shape / sizeof *r->tensor.shape };
    r->has_shape = read_sizes(r, r->tensor.shape, MOST, &r->tensor.n_dims);
    if (r->has_shape || r->json.failed) return r->json.failed;
    return wrong_tensor(r, "its shape must be at most 8 whole numbers that are not negative");
}

static ftl_status read_offsets(reader *r)
{
    size_t both[2] = {0};
    int n;
    r->has_offsets = read_sizes(r, both, 2, &n) && n == 2 && both[0] <= both[1];
    r->begin = both[0];
    r->end = both[1];
    if (r->has_offsets || r->json.failed) return r->json.failed;
    return wrong_tensor(r, "its data_offsets must be two ascending positions");
}

/* The fields of a tensor, each once; others are passed over, as Python's reader does. */
static ftl_status read_fields(reader *r)
{
    static const struct {
        const char *name;
        ftl_status (*read)(reader *r);
        size_t done; /* offset of its flag */
    } fields[] = {{"dtype", read_type, offsetof(reader, has_type)},
                  {"shape", read_shape, offsetof(reader, has_shape)},
                  {"data_offsets", read_offsets, offsetof(reader, has_offsets)}};
    fi_json_text key;
    for (fi_json_enter(&r->json); fi_json_next(&r->json, &key);) {
        size_t i = 0;
        while (i < 3 && !fi_json_text_is(key, fields[i].name)) i++;
        if (i == 3) {
            fi_json_skip(&r->json);
            continue;
        }
        if (*(const bool *)((const char *)r + fields[i].done))
            return wrong_tensor(r, "dtype, shape and data_offsets must each be given once");
        ftl_status st = fields[i].read(r);
        if (st) return st;
    }
    return r->json.failed;
}

static ftl_status check_place(reader *r)
{
    char what[256];
    size_t bytes;
    if (r->end > r->data_size) {
        snprintf(what, sizeof what,
                 "its data end at byte %zu, but the file holds only %zu bytes of data: it is cut short", r->end,
                 r->data_size);
        return wrong_tensor(r, what);
    }
    if (fi_stored_layout(&r->tensor, &bytes) && bytes == r->end - r->begin) return FTL_OK;
    snprintf(what, sizeof what, "its data_offsets span %zu bytes, which is not what its shape needs as %s",
             r->end - r->begin, fi_dtype_name(r->tensor.type));
    return wrong_tensor(r, what);
}

/* The text without escapes, as a charged copy with its NUL. */
static ftl_status copy_text(reader *r, fi_json_text text, char **out)
{
    ftl_status st = fi_weight_file_charge(r->file, text.n + 1, r->json.err);
    *out = st ? NULL : fi_alloc(text.n + 1, 1);
    if (st) return st;
    if (!*out) return fi_fail_memory(r->json.err);
    (*out)[fi_json_unescape(text, *out)] = '\0';
    return FTL_OK;
}

static ftl_status read_tensor(reader *r)
{
    r->tensor = (fi_stored){0};
    r->has_type = r->has_shape = r->has_offsets = false;
    const char kind = fi_json_peek(&r->json);
    ftl_status st = r->json.failed;
    if (!st && kind == '{') st = read_fields(r);
    if (!st && !(r->has_type && r->has_shape && r->has_offsets))
        st = wrong_tensor(r, "the header must give its dtype, shape and data_offsets");
    if (!st) st = check_place(r);
    if (st) return st;
    r->tensor.at = r->data + r->begin;
    char *name = NULL;
    st = copy_text(r, r->name, &name);
    return st ? st : fi_weights_add(r->weights, r->file, name, &r->tensor, false, r->json.err);
}

static ftl_status read_metadata(reader *r)
{
    fi_json_text key;
    const char kind = fi_json_peek(&r->json);
    if (r->json.failed) return r->json.failed;
    if (kind != '{') return fi_fail(r->json.err, FTL_EDATA, "%s: __metadata__ must be an object", r->file->path);
    for (fi_json_enter(&r->json); fi_json_next(&r->json, &key);) {
        char *copy[2] = {NULL, NULL};
        if (fi_json_peek(&r->json) != '"')
            return r->json.failed ? r->json.failed
                                  : fi_fail(r->json.err, FTL_EDATA, "%s: __metadata__ must hold text", r->file->path);
        const fi_json_text value = fi_json_get_string(&r->json);
        ftl_status st = r->json.failed ? r->json.failed : copy_text(r, key, &copy[0]);
        if (!st) st = copy_text(r, value, &copy[1]);
        if (st) {
            fi_free(copy[0]);
            return st;
        }
        st = fi_weights_add_metadata(r->weights, r->file, copy[0], copy[1], r->json.err);
        if (st) return st;
    }
    return r->json.failed;
}

static int compare_places(const void *a, const void *b)
{
    const fi_entry *x = *(fi_entry *const *)a, *y = *(fi_entry *const *)b;
    if (x->tensor.at != y->tensor.at) return x->tensor.at < y->tensor.at ? -1 : 1;
    return (x->tensor.size > y->tensor.size) - (x->tensor.size < y->tensor.size); /* empty ones first */
}

/* Tensors from number `first` on are this file's. */
static ftl_status check_places(reader *r, size_t first)
{
    fi_entry **entry = r->weights->entries + first;
    const size_t n = r->weights->n_entries - first;
    size_t covered = r->data;
    if (n) qsort(entry, n, sizeof *entry, compare_places);
    for (size_t i = 0; i < n; i++) {
        const fi_stored *t = &entry[i]->tensor;
        r->name = (fi_json_text){t->name, strlen(t->name)};
        if (t->at < covered) return wrong_tensor(r, "its data overlap those of another tensor");
        if (t->at > covered) return wrong_tensor(r, "unused bytes lie before its data");
        covered += t->size * fi_dtype_size(t->type);
    }
    if (covered < r->file->size)
        return fi_fail(r->json.err, FTL_EDATA, "%s: %zu bytes after the last tensor belong to none", r->file->path,
                       r->file->size - covered);
    return FTL_OK;
}

static ftl_status read_header(reader *r)
{
    const size_t first = r->weights->n_entries;
    bool metadata = false;
    const char kind = fi_json_peek(&r->json);
    if (!r->json.failed && kind != '{')
        return fi_fail(r->json.err, FTL_EDATA, "%s: the header must be an object", r->file->path);
    for (fi_json_enter(&r->json); fi_json_next(&r->json, &r->name);) {
        const bool is_metadata = fi_json_text_is(r->name, "__metadata__");
        if (is_metadata && metadata)
            return fi_fail(r->json.err, FTL_EDATA, "%s: __metadata__ is there twice", r->file->path);
        metadata = metadata || is_metadata;
        ftl_status st = is_metadata ? read_metadata(r) : read_tensor(r);
        if (st) return st;
    }
    ftl_status st = fi_json_end(&r->json);
    return st ? st : check_places(r, first);
}

ftl_status fi_safetensors_read(fi_weights *weights, fi_weight_file *file, ftl_error *err)
{
    uint64_t length = 0;
    unsigned char *header = NULL;
    ftl_status st = FTL_OK;
    if (file->size >= LENGTH_BYTES) st = fi_weight_file_read(file, 0, LENGTH_BYTES, &length, "the header", err);
    if (st) return st;
    if (file->size < LENGTH_BYTES || length > file->size - LENGTH_BYTES)
        return fi_fail(err, FTL_EDATA,
                       "%s: neither safetensors nor a PyTorch file, or cut short: its %zu bytes do not hold a header",
                       file->path, file->size);
    if (length > MAX_HEADER_BYTES)
        return fi_fail(err, FTL_EDATA, "%s: a header of %llu bytes; at most %d are read", file->path,
                       (unsigned long long)length, MAX_HEADER_BYTES);
    st = fi_weight_file_take(file, LENGTH_BYTES, (size_t)length, "the header", &header, err);
    if (!st) {
        reader r = {.weights = weights, .file = file, .data = LENGTH_BYTES + (size_t)length};
        r.data_size = file->size - r.data;
        r.json = fi_json_read((const char *)header, (size_t)length, file->path, err);
        st = read_header(&r);
    }
    fi_free(header);
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
