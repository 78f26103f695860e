#include "nn/checkpoint.h"

#include "base/alloc.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a checkpoint holds of each parameter: the optimiser's blocks, laid out alike. */
static const char *const parts[] = {"value", "m", "v", "ema"};
enum { N_PARTS = sizeof parts / sizeof *parts };

static float *part_of(const fi_optim *o, size_t i)
{
    float *const blocks[N_PARTS] = {o->params->values, o->m, o->v, o->ema};
    return blocks[i];
}

static char *tensor_name(const char *part, const char *name)
{
    size_t n = strlen(part) + strlen(name) + 2;
    char *text = fi_alloc(n, 1);
    if (text) snprintf(text, n, "%s.%s", part, name);
    return text;
}

static void name_of(uint64_t step, char name[static 64])
{
    snprintf(name, 64, "checkpoint-%010" PRIu64 ".safetensors", step);
}

/* fi_train has seen to it that the directory's name leaves room. */
static void path_of(const char *directory, uint64_t step, char *path, size_t size)
{
    char name[64];
    name_of(step, name);
    snprintf(path, size, "%s/%s", directory, name);
}

/* The step of a checkpoint's file name; false: it is none. */
static bool step_of(const char *name, uint64_t *step)
{
    static const char prefix[] = "checkpoint-";
    char whole[64];
    if (strncmp(name, prefix, sizeof prefix - 1)) return false;
    *step = strtoull(name + sizeof prefix - 1, NULL, 10);
    name_of(*step, whole);
    return strcmp(name, whole) == 0;
}

static int by_step(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The steps of all checkpoints of a directory, ascending. */
static ftl_status list_steps(const char *directory, uint64_t **out, size_t *n, ftl_error *err)
{
    size_t capacity = 0;
    *out = NULL;
    *n = 0;
    DIR *dir = opendir(directory);
    if (!dir) return fi_fail(err, FTL_EIO, "%s: cannot be read as a directory: %s", directory, strerror(errno));
    uint64_t step;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (!step_of(entry->d_name, &step)) continue;
        if (fi_grow(out, &capacity, *n + 1, sizeof **out)) {
            closedir(dir);
            fi_free(*out);
            *out = NULL;
            return fi_fail_memory(err);
        }
        (*out)[(*n)++] = step;
    }
    closedir(dir);
    if (*n) qsort(*out, *n, sizeof **out, by_step);
    return FTL_OK;
}

static ftl_status remove_old(const char *directory, size_t keep, ftl_error *err)
{
    uint64_t *steps;
    size_t n;
    ftl_status st = keep ? list_steps(directory, &steps, &n, err) : FTL_OK;
    if (st || !keep) return st;
    for (size_t i = 0; i + keep < n; i++) {
        char path[4096];
        path_of(directory, steps[i], path, sizeof path);
        if (unlink(path) && errno != ENOENT)
            st = fi_fail(err, FTL_EIO, "%s: cannot be removed: %s", path, strerror(errno));
    }
    fi_free(steps);
    return st;
}

ftl_status fi_checkpoint_write(const char *directory, const fi_optim *o, const fi_train_state *states, size_t n_states,
                               size_t keep, ftl_error *err)
{
    const fi_params *params = o->params;
    size_t n = 0, capacity = params->n * N_PARTS + n_states;
    fi_to_store *tensors = fi_calloc(capacity, sizeof *tensors);
    ftl_status st = tensors ? FTL_OK : fi_fail_memory(err);
    for (size_t i = 0; i < params->n * N_PARTS && !st; i++) {
        const fi_param *p = params->item[i / N_PARTS];
        const float *block = part_of(o, i % N_PARTS);
        if (!block) continue;
        tensors[n] = (fi_to_store){
            tensor_name(parts[i % N_PARTS], p->name), FI_F32, p->n_dims, {0}, block + (p->value - params->values)};
        memcpy(tensors[n].shape, p->shape, sizeof p->shape);
        if (!tensors[n++].name) st = fi_fail_memory(err);
    }
    for (size_t i = 0; i < n_states && !st; i++) {
        tensors[n] = (fi_to_store){tensor_name("state", states[i].name), FI_F32, 1, {states[i].n}, states[i].value};
        if (!tensors[n++].name) st = fi_fail_memory(err);
    }
    if (!st) {
        char step[32], path[4096];
        snprintf(step, sizeof step, "%" PRIu64, o->step);
        path_of(directory, o->step, path, sizeof path);
        const char *metadata[] = {"step", step, "foretell", ftl_version()};
        st = fi_weights_write(path, tensors, n, metadata, 2, err);
    }
    for (size_t i = 0; i < n; i++) fi_free((char *)(uintptr_t)tensors[i].name);
    fi_free(tensors);
    return st ? st : remove_old(directory, keep, err);
}

/* One array of a checkpoint, which must have n numbers. */
static ftl_status read_array(const fi_weights *weights, const char *part, const char *name, float *out, size_t n,
                             ftl_error *err)
{
    char *full = tensor_name(part, name);
    if (!full) return fi_fail_memory(err);
    const fi_stored *stored = fi_weights_find(weights, full);
    ftl_status st = stored && stored->size == n
                        ? fi_stored_read(weights, stored, out, err)
                        : fi_fail(err, FTL_EDATA,
                                  "%s: holds no array '%s' of %zu numbers: it is a checkpoint of another network or "
                                  "optimiser; train in another directory",
                                  fi_weights_path(weights), full, n);
    fi_free(full);
    return st;
}

static ftl_status read_all(const fi_weights *weights, fi_optim *o, const fi_train_state *states, size_t n_states,
                           ftl_error *err)
{
    ftl_status st = FTL_OK;
    const fi_params *params = o->params;
    for (size_t i = 0; i < params->n * N_PARTS && !st; i++) {
        const fi_param *p = params->item[i / N_PARTS];
        float *block = part_of(o, i % N_PARTS);
        if (block)
            st = read_array(weights, parts[i % N_PARTS], p->name, block + (p->value - params->values), p->size, err);
    }
    for (size_t i = 0; i < n_states && !st; i++)
        st = read_array(weights, "state", states[i].name, states[i].value, states[i].n, err);
    return st;
}

ftl_status fi_checkpoint_read(const char *directory, fi_optim *o, const fi_train_state *states, size_t n_states,
                              ftl_error *err)
{
    uint64_t *steps;
    size_t n;
    ftl_status st = list_steps(directory, &steps, &n, err);
    if (st || !n) return st;
    char path[4096];
    path_of(directory, steps[n - 1], path, sizeof path);
    fi_weights *weights = NULL;
    st = fi_weights_open(path, &weights, err);
    if (!st) st = read_all(weights, o, states, n_states, err);
    if (!st) o->step = steps[n - 1];
    fi_weights_close(weights);
    fi_free(steps);
    return st;
}
