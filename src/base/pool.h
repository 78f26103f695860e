/*
 * The one thread pool of the library: workers spin a moment, then sleep. What a task computes may depend on its index,
 * never on which thread runs it nor on how many there are, so that every thread count gives the same bits.
 */
#ifndef FI_BASE_POOL_H
#define FI_BASE_POOL_H

#include <foretell/base.h>

typedef struct fi_pool fi_pool;

/* n_threads - 1 workers beside the caller; 0: one a processor. Asking for 1 makes a pool without workers. */
ftl_status fi_pool_new(size_t n_threads, fi_pool **out, ftl_error *err);
void fi_pool_free(fi_pool *pool);
size_t fi_pool_n_threads(const fi_pool *pool);

/*
 * Calls fn(user, i, thread) once for every i in [0, n), thread in [0, n_threads), and returns when all have returned.
 * n < 2^32 - 1. Indices are handed out in ascending order. Not to be called from inside a task, nor from two threads at once.
 */
void fi_pool_run(fi_pool *pool, size_t n, void (*fn)(void *user, size_t i, size_t thread), void *user);

#endif
