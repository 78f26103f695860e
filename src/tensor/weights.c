#include "tensor/weights_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weight files are read in place: this needs a little-endian machine");

/* ---- what readers call ---- */

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

ftl_status fi_weights_add(fi_weights *weights, const fi_weight_file *file, const char *name, size_t n,
                          const fi_stored *tensor, bool swapped, ftl_error *err)
{
    if (fi_grow(&weights->entries, &weights->room_entries, weights->n_entries + 1, sizeof *weights->entries))
        return fi_fail_memory(err);
    fi_entry *entry = fi_alloc(1, sizeof *entry);
    char *copy = fi_strndup(name, n);
    if (!entry || !copy) {
        fi_free(entry);
        fi_free(copy);
        return fi_fail_memory(err);
    }
    *entry = (fi_entry){.tensor = *tensor, .name = copy, .file = file, .swapped = swapped};
    entry->tensor.name = copy;
    weights->entries[weights->n_entries++] = entry;
    return FTL_OK;
}

ftl_status fi_weights_add_metadata(fi_weights *weights, const char *key, const char *value, ftl_error *err)
{
    if (fi_grow(&weights->metadata, &weights->room_metadata, weights->n_metadata + 2, sizeof *weights->metadata))
        return fi_fail_memory(err);
    for (int i = 0; i < 2; i++) {
        char *copy = fi_strdup(i ? value : key);
        if (!copy) return fi_fail_memory(err);
        weights->metadata[weights->n_metadata++] = copy; /* a key alone is released, and never seen: opening fails */
    }
    return FTL_OK;
}

/* ---- files ---- */

static void close_file(fi_weight_file *file)
{
    if (file->mapped) munmap((void *)(uintptr_t)file->bytes, file->size);
    fi_free(file->path);
    fi_free(file);
}

static ftl_status map_file(fi_weight_file *file, ftl_error *err)
{
    struct stat info;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fi_fail(err, FTL_EIO, "%s: cannot open: %s", file->path, strerror(errno));
    ftl_status st = FTL_OK;
    if (fstat(fd, &info))
        st = fi_fail(err, FTL_EIO, "%s: cannot read: %s", file->path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        st = fi_fail(err, FTL_EDATA, "%s: weights are read from regular files only; copy them into one", file->path);
    else if (info.st_size == 0)
        st = fi_fail(err, FTL_EDATA, "%s: the file is empty; copy or download it again", file->path);
    if (!st) {
        void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            st = fi_fail(err, FTL_EIO, "%s: cannot map into memory: %s", file->path, strerror(errno));
        } else {
            file->bytes = map;
            file->size = (size_t)info.st_size;
            file->mapped = true;
        }
    }
    close(fd);
    return st;
}

static bool begins_with(const fi_weight_file *file, const char *magic, size_t n)
{
    return file->size >= n && !memcmp(file->bytes, magic, n);
}

/* By content, not by name: a .bin may be either. */
static ftl_status read_tensors(fi_weights *weights, const fi_weight_file *file, ftl_error *err)
{
    if (begins_with(file, "PK\3\4", 4)) return fi_pickle_read(weights, file, err);
    if (begins_with(file, "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46", 8))
        return fi_fail(err, FTL_EDATA,
                       "%s: written by PyTorch before 1.6; load it there and save it again, best as safetensors",
                       file->path);
    return fi_safetensors_read(weights, file, err);
}

/* Reads one file: of the caller's memory where bytes is not NULL. */
static ftl_status add_file(fi_weights *weights, const char *path, const void *bytes, size_t size, ftl_error *err)
{
    if (fi_grow(&weights->files, &weights->room_files, weights->n_files + 1, sizeof *weights->files))
        return fi_fail_memory(err);
    fi_weight_file *file = fi_calloc(1, sizeof *file);
    char *copy = fi_strdup(path);
    if (!file || !copy) {
        fi_free(file);
        fi_free(copy);
        return fi_fail_memory(err);
    }
    *file = (fi_weight_file){.path = copy, .bytes = bytes, .size = size};
    weights->files[weights->n_files++] = file;
    ftl_status st = bytes ? FTL_OK : map_file(file, err);
    return st ? st : read_tensors(weights, file, err);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp((*(fi_entry *const *)a)->name, (*(fi_entry *const *)b)->name);
}

static ftl_status sort_entries(fi_weights *weights, ftl_error *err)
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

/* ---- shards ---- */

enum { MAX_INDEX_BYTES = 64 << 20 };

/* An index may name files beside it and no others. */
static bool plain_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

static const fi_weight_file *file_named(const fi_weights *weights, const char *path)
{
    for (size_t i = weights->n_files; i-- > 0;) /* the last is the likeliest */
        if (!strcmp(weights->files[i]->path, path)) return weights->files[i];
    return NULL;
}

/* "DIRECTORY/name" for the directory that `path` lies in. */
static ftl_status beside(const char *path, const char *name, fi_buf *out, ftl_error *err)
{
    const char *slash = strrchr(path, '/');
    fi_buf_clear(out);
    if (slash) fi_buf_put(out, path, (size_t)(slash + 1 - path));
    fi_buf_text(out, name);
    return out->failed ? fi_fail_memory(err) : FTL_OK;
}

static ftl_status open_shards(fi_weights *weights, const char *index, const json_t *map, fi_buf *path, ftl_error *err)
{
    const char *name;
    json_t *value;
    char shown[FI_EXCERPT_MAX];
    json_object_foreach((json_t *)map, name, value)
    {
        const char *file = json_string_value(value);
        if (!file || !plain_name(file))
            return fi_fail(err, FTL_EDATA, "%s: tensor '%s': weight_map must give the name of a file beside the index",
                           index, fi_excerpt(name, strlen(name), shown));
        ftl_status st = beside(index, file, path, err);
        if (!st && !file_named(weights, path->data)) st = add_file(weights, path->data, NULL, 0, err);
        if (st) return st;
    }
    return sort_entries(weights, err);
}

static ftl_status check_shards(const fi_weights *weights, const char *index, const json_t *map, fi_buf *path,
                               ftl_error *err)
{
    const char *name;
    json_t *value;
    char shown[FI_EXCERPT_MAX];
    json_object_foreach((json_t *)map, name, value)
    {
        const fi_entry *entry = (const fi_entry *)fi_weights_find(weights, name);
        ftl_status st = beside(index, json_string_value(value), path, err);
        if (st) return st;
        if (!entry || strcmp(entry->file->path, path->data))
            return fi_fail(err, FTL_EDATA, "%s: has no tensor '%s', which %s says it holds", path->data,
                           fi_excerpt(name, strlen(name), shown), index);
    }
    return FTL_OK;
}

static ftl_status open_index(fi_weights *weights, const char *index, ftl_error *err)
{
    char *text = NULL;
    size_t size;
    json_t *root = NULL;
    fi_buf path = {0};
    ftl_status st = fi_file_read(index, MAX_INDEX_BYTES, &text, &size, err);
    if (!st) st = fi_json_parse(text, size, index, &root, err);
    if (st) goto done;
    const json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map) || !json_object_size(map)) {
        st = fi_fail(err, FTL_EDATA, "%s: 'weight_map' must be an object of tensor names and files", index);
        goto done;
    }
    st = open_shards(weights, index, map, &path, err);
    if (!st) st = check_shards(weights, index, map, &path, err);
done:
    fi_buf_release(&path);
    json_decref(root);
    fi_free(text);
    return st;
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
        st = open_index(weights, path, err);
    } else {
        st = add_file(weights, path, NULL, 0, err);
        if (!st) st = sort_entries(weights, err);
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
    if (!st) st = sort_entries(weights, err);
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
    for (size_t i = 0; i < weights->n_files; i++) close_file(weights->files[i]);
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

/* n numbers lying side by side. */
static void convert(const fi_entry *entry, const unsigned char *src, float *out, size_t n)
{
    const size_t width = fi_dtype_size(entry->tensor.type);
    if (!entry->swapped || width == 1) {
        fi_convert_to_f32(entry->tensor.type, src, out, n);
        return;
    }
    unsigned char turned[4096];
    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < sizeof turned / width ? n - done : sizeof turned / width;
        for (size_t i = 0; i < some * width; i++) turned[i] = src[done * width + (i ^ (width - 1))];
        fi_convert_to_f32(entry->tensor.type, turned, out + done, some);
    }
}

/* Runs of numbers that lie side by side are converted at once: all of a row-major tensor, one by one at worst. */
static void read_numbers(const fi_entry *entry, float *out)
{
    const fi_stored *t = &entry->tensor;
    const size_t width = fi_dtype_size(t->type);
    size_t run = 1, index[8] = {0};
    int outer = t->n_dims;
    while (outer > 0 && (t->shape[outer - 1] == 1 || t->stride[outer - 1] == run)) run *= t->shape[--outer];
    for (size_t done = 0; done < t->size; done += run) {
        size_t at = 0;
        for (int d = 0; d < outer; d++) at += index[d] * t->stride[d];
        convert(entry, (const unsigned char *)t->data + at * width, out + done, run);
        for (int d = outer - 1; d >= 0 && ++index[d] == t->shape[d]; d--) index[d] = 0;
    }
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

ftl_status fi_stored_read(const fi_weights *weights, const fi_stored *tensor, float *out, ftl_error *err)
{
    (void)weights;
    const fi_entry *entry = (const fi_entry *)tensor;
    char shown[FI_EXCERPT_MAX];
    read_numbers(entry, out);
    for (const fi_lora *lora = entry->lora; lora; lora = lora->next) {
        ftl_status st = add_lora(lora, tensor, out, err);
        if (st) return st;
    }
    for (size_t i = 0; i < tensor->size; i++)
        if (!isfinite(out[i]))
            return fi_fail(err, FTL_EDATA,
                           "%s: tensor '%s': number %zu is %s; a model needs finite weights, so the file is damaged or "
                           "its training failed",
                           entry->file->path, fi_excerpt(entry->name, strlen(entry->name), shown), i,
                           isnan(out[i]) ? "NaN" : "infinite");
    return FTL_OK;
}

void fi_weights_forget(const fi_weights *weights, const fi_stored *tensor)
{
    (void)weights;
    const fi_entry *entry = (const fi_entry *)tensor;
    if (!entry->file->mapped || !tensor->size) return;
    size_t last = 0, page = (size_t)sysconf(_SC_PAGESIZE);
    for (int d = 0; d < tensor->n_dims; d++) last += (tensor->shape[d] - 1) * tensor->stride[d];
    uintptr_t begin = (uintptr_t)tensor->data, end = begin + (last + 1) * fi_dtype_size(tensor->type);
    begin = (begin + page - 1) / page * page; /* pages shared with neighbours stay */
    end = end / page * page;
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}
