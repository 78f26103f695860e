/*
 * The engine: kernels for this processor, threads, and scratch memory for each. One engine serves one caller at a time;
 * models and packed weights are immutable and may be shared by many engines.
 */
#ifndef FI_TENSOR_ENGINE_H
#define FI_TENSOR_ENGINE_H

#include "base/pool.h"
#include "tensor/dtype.h"

struct fi_kernel_set; /* tensor/kernels.h */

typedef struct fi_engine {
    const struct fi_kernel_set *k;
    fi_pool *pool; /* owned */
    size_t n_threads;
    struct fi_onednn *onednn; /* owned; NULL: every kernel is ours (tensor/onednn.h) */
    float **scratch;          /* [n_threads] blocks of FI_SCRATCH_BYTES, 64-byte aligned, for the length of one task */
} fi_engine;

enum { FI_SCRATCH_BYTES = 4 << 20 };

/* n_threads 0: one a processor. The kernels are the fastest that this processor runs. */
ftl_status fi_engine_new(size_t n_threads, fi_engine **out, ftl_error *err);
void fi_engine_free(fi_engine *engine);

/* fi_pool_run over the engine's pool, fn getting the thread's scratch block. */
void fi_engine_run(fi_engine *engine, size_t n, void (*fn)(void *user, size_t i, float *scratch), void *user);

/* 64-byte aligned memory through fi_alloc's bookkeeping; NULL without memory or on overflow. Goes to fi_aligned_free. */
void *fi_aligned_alloc(size_t count, size_t size);
/* The same for a block that is large and used whole: in large pages where the system has them. */
void *fi_aligned_alloc_large(size_t bytes);
void fi_aligned_free(void *block);

#endif
