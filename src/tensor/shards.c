/*
 * An index of shards: {"metadata": .., "weight_map": {"tensor": "model-00001-of-00002.safetensors", ..}}. It may name files
 * beside it and no others; each tensor that it names must be in the file that it says, and be named once.
 */
#include "tensor/weights_file.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/text.h"

#include <string.h>

enum { MAX_INDEX_BYTES = 64 << 20, MAX_NAME = 255 };

/* The names of files, each once, in order. */
typedef struct names {
    char **name;
    size_t n, room;
} names;

/* The place of a name among them, or where it would be. */
static size_t place_of(const names *set, const char *name)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(set->name[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static ftl_status add_name(names *set, fi_weight_file *index, const char *name, ftl_error *err)
{
    enum { BESIDE = 64 }; /* what the allocator and the list add */
    const size_t at = place_of(set, name);
    if (at < set->n && !strcmp(set->name[at], name)) return FTL_OK;
    ftl_status st = fi_weight_file_charge(index, strlen(name) + BESIDE, err);
    if (st) return st;
    char *copy = fi_strdup(name);
    if (!copy || fi_grow(&set->name, &set->room, set->n + 1, sizeof *set->name)) {
        fi_free(copy);
        return fi_fail_memory(err);
    }
    memmove(set->name + at + 1, set->name + at, (set->n++ - at) * sizeof *set->name);
    set->name[at] = copy;
    return FTL_OK;
}

/* ---- going through an index ---- */

typedef struct walk {
    const char *index; /* its path */
    fi_weight_file *file;
    unsigned char *text;
    fi_weights *weights;
    names files;
    fi_buf tensor;
    ftl_status (*visit)(struct walk *w, fi_json_text tensor, const char *file, ftl_error *err);
} walk;

/* A file beside the index, and nothing hidden. */
static bool plain_name(fi_json_text text, char name[MAX_NAME + 1])
{
    if (text.n > MAX_NAME) return false;
    name[fi_json_unescape(text, name)] = '\0';
    return *name && *name != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

static ftl_status walk_map(walk *w, fi_json_reader *r)
{
    char file[MAX_NAME + 1], shown[FI_EXCERPT_MAX];
    fi_json_text tensor;
    ftl_status st = FTL_OK;
    for (fi_json_enter(r); !st && fi_json_next(r, &tensor);) {
        const char kind = fi_json_peek(r);
        if (r->failed) break;
        if (kind != '"' || !plain_name(fi_json_get_string(r), file))
            return r->failed ? r->failed
                             : fi_fail(r->err, FTL_EDATA,
                                       "%s: tensor '%s': weight_map must give the name of a file beside the index",
                                       w->index, fi_excerpt(tensor.raw, tensor.n, shown));
        st = w->visit(w, tensor, file, r->err);
    }
    return st ? st : r->failed;
}

static ftl_status walk_index(walk *w, ftl_error *err)
{
    fi_json_reader r = fi_json_read((const char *)w->text, w->file->size, w->index, err);
    fi_json_text key;
    size_t maps = 0;
    for (fi_json_enter(&r); fi_json_next(&r, &key);) {
        if (!fi_json_text_is(key, "weight_map")) {
            fi_json_skip(&r);
        } else if (fi_json_peek(&r) == '{' && !maps++) {
            ftl_status st = walk_map(w, &r);
            if (st) return st;
        } else if (!r.failed) {
            return fi_fail(err, FTL_EDATA, "%s: 'weight_map' must be one object of tensor names and files", w->index);
        }
    }
    ftl_status st = fi_json_end(&r);
    if (!st && !w->files.n)
        st = fi_fail(err, FTL_EDATA, "%s: 'weight_map' must be an object of tensor names and files", w->index);
    return st;
}

static ftl_status visit_file(walk *w, fi_json_text tensor, const char *file, ftl_error *err)
{
    (void)tensor;
    return add_name(&w->files, w->file, file, err);
}

/* Files were read in the order of their names. */
static ftl_status visit_tensor(walk *w, fi_json_text tensor, const char *file, ftl_error *err)
{
    char shown[FI_EXCERPT_MAX];
    fi_buf_clear(&w->tensor);
    char *name = fi_buf_reserve(&w->tensor, tensor.n + 1);
    if (!name) return fi_fail_memory(err);
    name[fi_json_unescape(tensor, name)] = '\0';
    fi_entry *entry = (fi_entry *)(uintptr_t)fi_weights_find(w->weights, name);
    const fi_weight_file *holder = w->weights->files[place_of(&w->files, file)];
    if (!entry || entry->file != holder)
        return fi_fail(err, FTL_EDATA, "%s: has no tensor '%s', which %s says it holds", holder->path,
                       fi_excerpt(name, strlen(name), shown), w->index);
    if (entry->listed)
        return fi_fail(err, FTL_EDATA, "%s: weight_map names tensor '%s' twice", w->index,
                       fi_excerpt(name, strlen(name), shown));
    entry->listed = true;
    return FTL_OK;
}

/* ---- reading ---- */

/* Reads the index, and the names of its files. */
static ftl_status begin(walk *w, ftl_error *err)
{
    w->visit = visit_file;
    ftl_status st = fi_weight_file_open(w->index, &w->file, err);
    if (!st && w->file->size > MAX_INDEX_BYTES)
        st = fi_fail(err, FTL_EDATA, "%s: an index of %zu bytes; at most %d are read", w->index, w->file->size,
                     MAX_INDEX_BYTES);
    if (!st) st = fi_weight_file_take(w->file, 0, w->file->size, "the index", &w->text, err);
    return st ? st : walk_index(w, err);
}

static void end(walk *w)
{
    fi_weights_names_free(w->files.name, w->files.n);
    fi_buf_release(&w->tensor);
    fi_free(w->text);
    fi_weight_file_close(w->file);
}

/* "DIRECTORY/name" for the directory that the index lies in. */
static ftl_status add_file_beside(walk *w, const char *name, fi_buf *path, ftl_error *err)
{
    const char *slash = strrchr(w->index, '/');
    fi_buf_clear(path);
    if (slash) fi_buf_put(path, w->index, (size_t)(slash + 1 - w->index));
    fi_buf_text(path, name);
    return path->failed ? fi_fail_memory(err) : fi_weights_add_file(w->weights, path->data, err);
}

ftl_status fi_shards_read(fi_weights *weights, const char *index, ftl_error *err)
{
    fi_buf path = {0};
    walk w = {.index = index, .weights = weights};
    ftl_status st = begin(&w, err);
    for (size_t i = 0; !st && i < w.files.n; i++) st = add_file_beside(&w, w.files.name[i], &path, err);
    if (!st) st = fi_weights_sort(weights, err);
    w.visit = visit_tensor;
    if (!st) st = walk_index(&w, err);
    fi_buf_release(&path);
    end(&w);
    return st;
}

ftl_status fi_weights_index_files(const char *index, char ***out, size_t *n, ftl_error *err)
{
    walk w = {.index = index};
    *out = NULL;
    *n = 0;
    ftl_status st = begin(&w, err);
    if (!st) {
        *out = w.files.name;
        *n = w.files.n;
        w.files = (names){0};
    }
    end(&w);
    return st;
}

void fi_weights_names_free(char **names_of, size_t n)
{
    for (size_t i = 0; i < n; i++) fi_free(names_of[i]);
    fi_free(names_of);
}
