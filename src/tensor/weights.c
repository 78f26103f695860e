#include "tensor/weights_file.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers are read as they lie in the file: this needs a little-endian machine");

/* ---- what readers call ---- */

enum { SPARE_BYTES = 1 << 20, BESIDE = 80 }; /* what the allocator and the lists add to whatever is remembered */

bool fi_stored_layout(fi_stored *tensor, size_t *bytes)
{
    size_t size = 1;
    bool empty = false;
    for (int d = tensor->n_dims - 1; d >= 0; d--) {
        tensor->stride[d] = size;
        if (tensor->shape[d] == 0)
            empty = true;
        else if (__builtin_mul_overflow(size, tensor->shape[d], &size))
            return false;
    }
    tensor->size = empty ? 0 : size;
    return !__builtin_mul_overflow(tensor->size, fi_dtype_size(tensor->type), bytes);
}

ftl_status fi_weights_add(fi_weights *weights, fi_weight_file *file, char *name, const fi_stored *tensor, bool swapped,
                          ftl_error *err)
{
    ftl_status st = fi_weight_file_charge(file, sizeof(fi_entry) + BESIDE, err);
    fi_entry *entry = st ? NULL : fi_alloc(1, sizeof *entry);
    if (!st && (!name || !entry ||
                fi_grow(&weights->entries, &weights->room_entries, weights->n_entries + 1, sizeof *weights->entries)))
        st = fi_fail_memory(err);
    if (st) {
        fi_free(entry);
        fi_free(name);
        return st;
    }
    *entry = (fi_entry){.tensor = *tensor, .name = name, .file = file, .swapped = swapped};
    entry->tensor.name = name;
    weights->entries[weights->n_entries++] = entry;
    return FTL_OK;
}

ftl_status fi_weights_add_metadata(fi_weights *weights, fi_weight_file *file, char *key, char *value, ftl_error *err)
{
    ftl_status st = fi_weight_file_charge(file, 2 * BESIDE, err);
    if (!st &&
        (!key || !value ||
         fi_grow(&weights->metadata, &weights->room_metadata, weights->n_metadata + 2, sizeof *weights->metadata)))
        st = fi_fail_memory(err);
    if (st) {
        fi_free(key);
        fi_free(value);
        return st;
    }
    weights->metadata[weights->n_metadata++] = key;
    weights->metadata[weights->n_metadata++] = value;
    return FTL_OK;
}

/* ---- files ---- */

void fi_weight_file_close(fi_weight_file *file)
{
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    fi_free(file->path);
    fi_free(file);
}

static ftl_status open_file(fi_weight_file *file, ftl_error *err)
{
    struct stat info;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0) return fi_fail(err, FTL_EIO, "%s: cannot open: %s", file->path, strerror(errno));
    if (fstat(file->fd, &info)) return fi_fail(err, FTL_EIO, "%s: cannot read: %s", file->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return fi_fail(err, FTL_EDATA, "%s: weights are read from regular files only; copy them into one", file->path);
    if (info.st_size == 0)
        return fi_fail(err, FTL_EDATA, "%s: the file is empty; copy or download it again", file->path);
    file->size = (size_t)info.st_size;
    return FTL_OK;
}

/* Of the caller's memory where bytes is not NULL. */
static ftl_status new_file(const char *path, const void *bytes, size_t size, fi_weight_file **out, ftl_error *err)
{
    fi_weight_file *file = *out = fi_calloc(1, sizeof *file);
    char *copy = fi_strdup(path);
    if (!file || !copy) {
        fi_free(file);
        fi_free(copy);
        *out = NULL;
        return fi_fail_memory(err);
    }
    *file = (fi_weight_file){.path = copy, .bytes = bytes, .fd = -1, .size = size};
    ftl_status st = bytes ? FTL_OK : open_file(file, err);
    if (__builtin_add_overflow(file->size, (size_t)SPARE_BYTES, &file->budget)) file->budget = SIZE_MAX;
    if (!st) return FTL_OK;
    fi_weight_file_close(file);
    *out = NULL;
    return st;
}

ftl_status fi_weight_file_open(const char *path, fi_weight_file **out, ftl_error *err)
{
    return new_file(path, NULL, 0, out, err);
}

ftl_status fi_weight_file_charge(fi_weight_file *file, size_t bytes, ftl_error *err)
{
    if (bytes > file->budget)
        return fi_fail(
            err, FTL_EDATA,
            "%s: what it says of its tensors takes more memory than its file justifies; it is not what it seems",
            file->path);
    file->budget -= bytes;
    return FTL_OK;
}

ftl_status fi_weight_file_read(const fi_weight_file *file, size_t at, size_t n, void *out, const char *what,
                               ftl_error *err)
{
    if (file->bytes) {
        if (n) memcpy(out, file->bytes + at, n);
        return FTL_OK;
    }
    for (size_t done = 0; done < n;) {
        const size_t some = n - done < (size_t)1 << 30 ? n - done : (size_t)1 << 30;
        const ssize_t got = pread(file->fd, (char *)out + done, some, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fi_fail(err, FTL_EIO, "%s: %s: cannot read: %s", file->path, what, strerror(errno));
        if (got == 0)
            return fi_fail(err, FTL_EDATA, "%s: %s: the file ends at byte %zu now; it was cut short while it was read",
                           file->path, what, at + done);
        done += (size_t)got;
    }
    return FTL_OK;
}

ftl_status fi_weight_file_take(fi_weight_file *file, size_t at, size_t n, const char *what, unsigned char **out,
                               ftl_error *err)
{
    *out = NULL;
    ftl_status st = fi_weight_file_charge(file, n, err);
    unsigned char *bytes = st ? NULL : fi_alloc(n, 1);
    if (!st && !bytes) st = fi_fail_memory(err);
    if (!st) st = fi_weight_file_read(file, at, n, bytes, what, err);
    if (!st) {
        *out = bytes;
        bytes = NULL;
    }
    fi_free(bytes);
    return st;
}

/* By content, not by name: a .bin may be either. */
static ftl_status read_tensors(fi_weights *weights, fi_weight_file *file, ftl_error *err)
{
    unsigned char magic[8] = {0};
    const size_t n = file->size < sizeof magic ? file->size : sizeof magic;
    ftl_status st = fi_weight_file_read(file, 0, n, magic, "its beginning", err);
    if (st) return st;
    if (!memcmp(magic, "PK\3\4", 4)) return fi_pickle_read(weights, file, err);
    if (!memcmp(magic, "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46", 8))
        return fi_fail(err, FTL_EDATA,
                       "%s: written by PyTorch before 1.6; load it there and save it again, best as safetensors",
                       file->path);
    return fi_safetensors_read(weights, file, err);
}

/* Of the caller's memory where bytes is not NULL. */
static ftl_status add_file(fi_weights *weights, const char *path, const void *bytes, size_t size, ftl_error *err)
{
    fi_weight_file *file = NULL;
    if (fi_grow(&weights->files, &weights->room_files, weights->n_files + 1, sizeof *weights->files))
        return fi_fail_memory(err);
    ftl_status st = new_file(path, bytes, size, &file, err);
    if (st) return st;
    weights->files[weights->n_files++] = file;
    return read_tensors(weights, file, err);
}

ftl_status fi_weights_add_file(fi_weights *weights, const char *path, ftl_error *err)
{
    return add_file(weights, path, NULL, 0, err);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp((*(fi_entry *const *)a)->name, (*(fi_entry *const *)b)->name);
}

ftl_status fi_weights_sort(fi_weights *weights, ftl_error *err)
{
    char shown[FI_EXCERPT_MAX];
    if (weights->n_entries) qsort(weights->entries, weights->n_entries, sizeof *weights->entries, compare_entries);
    for (size_t i = 1; i < weights->n_entries; i++) {
        const fi_entry *one = weights->entries[i - 1], *two = weights->entries[i];
        if (!strcmp(one->name, two->name))
            return fi_fail(err, FTL_EDATA, "%s: tensor '%s' is there twice, also in %s", two->file->path,
                           fi_excerpt(one->name, strlen(one->name), shown), one->file->path);
    }
    return FTL_OK;
}

/* ---- opening ---- */

/* The file or index of a directory of the Hugging Face layout, as transformers looks for it. */
static ftl_status find_model(const char *directory, fi_buf *path, ftl_error *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json", "adapter_model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fi_buf_clear(path);
        fi_buf_printf(path, "%s/%s", directory, names[i]);
        if (path->failed) return fi_fail_memory(err);
        if (access(path->data, F_OK)) continue;
        if (i < 4) return FTL_OK;
        return fi_fail(
            err, FTL_EDATA,
            "%s: is a LoRA adapter without its model; open the model that adapter_config.json names and merge "
            "this into it",
            directory);
    }
    return fi_fail(err, FTL_EDATA,
                   "%s: no weights here; looked for model.safetensors, pytorch_model.bin and an index of either",
                   directory);
}

static ftl_status new_weights(const char *path, fi_weights **out, ftl_error *err)
{
    fi_weights *weights = fi_calloc(1, sizeof *weights);
    if (weights) weights->path = fi_strdup(path);
    if (!weights || !weights->path) {
        fi_free(weights);
        return fi_fail_memory(err);
    }
    *out = weights;
    return FTL_OK;
}

ftl_status fi_weights_open(const char *path, fi_weights **out, ftl_error *err)
{
    *out = NULL;
    fi_weights *weights = NULL;
    fi_buf found = {0};
    ftl_status st = FTL_OK;
    if (fi_is_directory(path)) {
        st = find_model(path, &found, err);
        path = found.data;
    }
    if (!st) st = new_weights(path, &weights, err);
    if (st) goto done;
    if (fi_text_ends(path, ".index.json")) {
        st = fi_shards_read(weights, path, err);
    } else {
        st = fi_weights_add_file(weights, path, err);
        if (!st) st = fi_weights_sort(weights, err);
    }
    if (st) goto done;
    *out = weights;
    weights = NULL;
done:
    fi_weights_close(weights);
    fi_buf_release(&found);
    return st;
}

ftl_status fi_weights_open_memory(const void *bytes, size_t size, const char *name, fi_weights **out, ftl_error *err)
{
    fi_weights *weights = NULL;
    *out = NULL;
    ftl_status st = new_weights(name, &weights, err);
    if (!st) st = add_file(weights, name, bytes, size, err);
    if (!st) st = fi_weights_sort(weights, err);
    if (st) {
        fi_weights_close(weights);
        return st;
    }
    *out = weights;
    return FTL_OK;
}

static void free_lora(fi_lora *lora)
{
    while (lora) {
        fi_lora *next = lora->next;
        fi_free(lora);
        lora = next;
    }
}

void fi_weights_close(fi_weights *weights)
{
    if (!weights) return;
    for (size_t i = 0; i < weights->n_adapters; i++) fi_weights_close(weights->adapters[i]);
    for (size_t i = 0; i < weights->n_entries; i++) {
        free_lora(weights->entries[i]->lora);
        fi_free(weights->entries[i]->name);
        fi_free(weights->entries[i]);
    }
    for (size_t i = 0; i < weights->n_files; i++) fi_weight_file_close(weights->files[i]);
    for (size_t i = 0; i < weights->n_metadata; i++) fi_free(weights->metadata[i]);
    fi_free(weights->adapters);
    fi_free(weights->entries);
    fi_free(weights->files);
    fi_free(weights->metadata);
    fi_free(weights->path);
    fi_free(weights);
}

/* ---- looking ---- */

const char *fi_weights_path(const fi_weights *weights)
{
    return weights->path;
}

size_t fi_weights_count(const fi_weights *weights)
{
    return weights->n_entries;
}

const fi_stored *fi_weights_at(const fi_weights *weights, size_t i)
{
    return &weights->entries[i]->tensor;
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, (*(fi_entry *const *)entry)->name);
}

const fi_stored *fi_weights_find(const fi_weights *weights, const char *name)
{
    if (!weights->n_entries) return NULL;
    fi_entry *const *found =
        bsearch(name, weights->entries, weights->n_entries, sizeof *weights->entries, compare_name);
    return found ? &(*found)->tensor : NULL;
}

const char *fi_weights_metadata(const fi_weights *weights, const char *key)
{
    for (size_t i = 0; i + 1 < weights->n_metadata; i += 2)
        if (!strcmp(weights->metadata[i], key)) return weights->metadata[i + 1];
    return NULL;
}

/* ---- reading ---- */

/* Reverses the bytes of each of n numbers. */
static void turn(unsigned char *bytes, size_t n, size_t width)
{
    for (size_t i = 0; i < n; i++, bytes += width)
        for (size_t low = 0, high = width - 1; low < high; low++, high--) {
            const unsigned char kept = bytes[low];
            bytes[low] = bytes[high];
            bytes[high] = kept;
        }
}

/* n numbers that lie side by side, from the element `from` on. */
static ftl_status read_run(const fi_entry *entry, size_t from, size_t n, float *out, const char *what, ftl_error *err)
{
    const size_t width = fi_dtype_size(entry->tensor.type), at = entry->tensor.at + from * width;
    if (entry->tensor.type == FI_F32 && !entry->swapped)
        return fi_weight_file_read(entry->file, at, n * width, out, what, err);
    unsigned char some[1 << 15];
    ftl_status st = FTL_OK;
    for (size_t done = 0, now; !st && done < n; done += now) {
        now = n - done < sizeof some / width ? n - done : sizeof some / width;
        st = fi_weight_file_read(entry->file, at + done * width, now * width, some, what, err);
        if (!st && entry->swapped) turn(some, now, width);
        if (!st) fi_convert_to_f32(entry->tensor.type, some, out + done, now);
    }
    return st;
}

/* In how many of its last dimensions do numbers lie side by side? *run of them do. */
static int dense_dims(const fi_stored *t, size_t *run)
{
    int outer = t->n_dims;
    *run = 1;
    while (outer > 0 && (t->shape[outer - 1] == 1 || t->stride[outer - 1] == *run)) *run *= t->shape[--outer];
    return t->n_dims - outer;
}

/* One that is not row-major: all that it spans, and then run by run. */
static ftl_status read_strided(const fi_entry *entry, float *out, const char *what, ftl_error *err)
{
    const fi_stored *t = &entry->tensor;
    const size_t width = fi_dtype_size(t->type);
    size_t run, span = 1, index[8] = {0};
    const int outer = t->n_dims - dense_dims(t, &run);
    for (int d = 0; d < t->n_dims; d++) span += (t->shape[d] - 1) * t->stride[d];
    unsigned char *bytes = fi_alloc(span, width);
    ftl_status st =
        bytes ? fi_weight_file_read(entry->file, t->at, span * width, bytes, what, err) : fi_fail_memory(err);
    if (!st && entry->swapped) turn(bytes, span, width);
    for (size_t done = 0; !st && done < t->size; done += run) {
        size_t at = 0;
        for (int d = 0; d < outer; d++) at += index[d] * t->stride[d];
        fi_convert_to_f32(t->type, bytes + at * width, out + done, run);
        for (int d = outer - 1; d >= 0 && ++index[d] == t->shape[d]; d--) index[d] = 0;
    }
    fi_free(bytes);
    return st;
}

/* out += scale * B A, summed in double. A tensor that is [in, out] gets the transpose. */
static ftl_status add_lora(const fi_lora *lora, const fi_stored *tensor, float *out, ftl_error *err)
{
    const size_t rank = lora->a->shape[0], rows = tensor->shape[0], columns = tensor->shape[1];
    float *a = fi_alloc(lora->a->size, sizeof *a), *b = fi_alloc(lora->b->size, sizeof *b);
    double *row = fi_alloc(columns, sizeof *row);
    ftl_status st = a && b && row ? FTL_OK : fi_fail_memory(err);
    if (!st) st = fi_stored_read(lora->adapter, lora->a, a, err);
    if (!st) st = fi_stored_read(lora->adapter, lora->b, b, err);
    if (st) goto done;
    for (size_t i = 0; i < rows; i++) {
        memset(row, 0, columns * sizeof *row);
        for (size_t k = 0; k < rank; k++) {
            double left = lora->transposed ? a[k * rows + i] : b[i * rank + k];
            const float *right = lora->transposed ? b + k : a + k * columns;
            size_t step = lora->transposed ? rank : 1;
            for (size_t j = 0; j < columns; j++) row[j] += left * (double)right[j * step];
        }
        for (size_t j = 0; j < columns; j++)
            out[i * columns + j] = (float)((double)out[i * columns + j] + lora->scale * row[j]);
    }
done:
    fi_free(row);
    fi_free(b);
    fi_free(a);
    return st;
}

/* The first number that is none, n: there is none such. An exponent of ones, and no other, carries into the sign. */
static size_t find_not_finite(const float *x, size_t n)
{
    enum { STRETCH = 4096, EXPONENT = 0x7F800000, ONE = 0x00800000 };
    for (size_t i = 0; i < n; i += STRETCH) {
        const size_t end = n - i < STRETCH ? n : i + STRETCH;
        uint32_t carried = 0;
        for (size_t j = i; j < end; j++) {
            uint32_t bits;
            memcpy(&bits, x + j, sizeof bits);
            carried |= (bits & EXPONENT) + ONE;
        }
        if (!(carried >> 31)) continue;
        while (isfinite(x[i])) i++;
        return i;
    }
    return n;
}

static const char *described(const fi_entry *entry, char what[FI_EXCERPT_MAX + 16])
{
    char shown[FI_EXCERPT_MAX];
    snprintf(what, FI_EXCERPT_MAX + 16, "tensor '%s'", fi_excerpt(entry->name, strlen(entry->name), shown));
    return what;
}

/* Numbers [first, first + n) of the tensor have been read to x. */
static ftl_status check_finite(const fi_entry *entry, const float *x, size_t first, size_t n, ftl_error *err)
{
    char what[FI_EXCERPT_MAX + 16];
    const size_t i = find_not_finite(x, n);
    if (i == n) return FTL_OK;
    return fi_fail(
        err, FTL_EDATA,
        "%s: %s: number %zu is %s; a model needs finite weights, so the file is damaged or its training failed",
        entry->file->path, described(entry, what), first + i, isnan(x[i]) ? "NaN" : "infinite");
}

static bool is_dense(const fi_stored *tensor)
{
    size_t run;
    return dense_dims(tensor, &run) == tensor->n_dims;
}

ftl_status fi_stored_read(const fi_weights *weights, const fi_stored *tensor, float *out, ftl_error *err)
{
    (void)weights;
    const fi_entry *entry = (const fi_entry *)tensor;
    char what[FI_EXCERPT_MAX + 16];
    if (!tensor->size) return FTL_OK;
    ftl_status st = is_dense(tensor) ? read_run(entry, 0, tensor->size, out, described(entry, what), err)
                                     : read_strided(entry, out, described(entry, what), err);
    for (const fi_lora *lora = entry->lora; lora && !st; lora = lora->next) st = add_lora(lora, tensor, out, err);
    return st ? st : check_finite(entry, out, 0, tensor->size, err);
}

bool fi_stored_has_rows(const fi_stored *tensor)
{
    return tensor->n_dims > 0 && is_dense(tensor) && !((const fi_entry *)tensor)->lora;
}

ftl_status fi_stored_read_rows(const fi_weights *weights, const fi_stored *tensor, size_t first, size_t n, float *out,
                               ftl_error *err)
{
    (void)weights;
    const fi_entry *entry = (const fi_entry *)tensor;
    const size_t row = tensor->shape[0] ? tensor->size / tensor->shape[0] : 0;
    char what[FI_EXCERPT_MAX + 16];
    ftl_status st = read_run(entry, first * row, n * row, out, described(entry, what), err);
    return st ? st : check_finite(entry, out, first * row, n * row, err);
}
