#include "tensor/engine.h"

#include "base/alloc.h"
#include "base/error.h"
#include "tensor/kernels.h"
#include "tensor/onednn.h"

#include <stdint.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64 };

/* The block that fi_alloc gave is noted just before the aligned one. */
void *fi_aligned_alloc(size_t count, size_t size)
{
    if (size && count > (SIZE_MAX / 2) / size) return NULL;
    char *block = fi_alloc(count * size + ALIGNMENT + sizeof(void *), 1);
    if (!block) return NULL;
    uintptr_t aligned = ((uintptr_t)block + sizeof(void *) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    ((void **)aligned)[-1] = block;
    return (void *)aligned;
}

void *fi_aligned_alloc_large(size_t bytes)
{
    enum { LARGE_PAGE = 2 << 20 };
    char *block = fi_aligned_alloc(bytes, 1);
#ifdef MADV_HUGEPAGE
    const uintptr_t begin = ((uintptr_t)block + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE,
                    end = ((uintptr_t)block + bytes) / LARGE_PAGE * LARGE_PAGE;
    if (block && begin < end)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE); /* a wish: what it answers is no matter */
#endif
    return block;
}

void fi_aligned_free(void *block)
{
    if (block) fi_free(((void **)block)[-1]);
}

ftl_status fi_engine_new(size_t n_threads, fi_engine **out, ftl_error *err)
{
    *out = NULL;
    fi_engine *engine = fi_calloc(1, sizeof *engine);
    if (!engine) return fi_fail_memory(err);
    engine->k = fi_kernel_set_best();
    ftl_status st = fi_pool_new(n_threads, &engine->pool, err);
    if (st) goto done;
    engine->n_threads = fi_pool_n_threads(engine->pool);
    engine->scratch = fi_calloc(engine->n_threads, sizeof *engine->scratch);
    if (!engine->scratch) st = fi_fail_memory(err);
    for (size_t i = 0; i < engine->n_threads && !st; i++)
        if (!(engine->scratch[i] = fi_aligned_alloc(FI_SCRATCH_BYTES, 1))) st = fi_fail_memory(err);
done:
    if (st)
        fi_engine_free(engine);
    else
        *out = engine;
    return st;
}

void fi_engine_free(fi_engine *engine)
{
    if (!engine) return;
    for (size_t i = 0; engine->scratch && i < engine->n_threads; i++) fi_aligned_free(engine->scratch[i]);
    fi_free(engine->scratch);
    fi_onednn_free(engine->onednn);
    fi_pool_free(engine->pool);
    fi_free(engine);
}

typedef struct scratch_run {
    fi_engine *engine;
    void (*fn)(void *user, size_t i, float *scratch);
    void *user;
} scratch_run;

static void run_one(void *user, size_t i, size_t thread)
{
    const scratch_run *run = user;
    run->fn(run->user, i, run->engine->scratch[thread]);
}

void fi_engine_run(fi_engine *engine, size_t n, void (*fn)(void *user, size_t i, float *scratch), void *user)
{
    scratch_run run = {engine, fn, user};
    fi_pool_run(engine->pool, n, run_one, &run);
}
