/* Running independent tasks on several threads. */
#ifndef FI_BASE_THREADS_H
#define FI_BASE_THREADS_H

#include <foretell/base.h>

/* One task: `index` in [0, n_tasks), `worker` in [0, n_threads). Tasks share nothing that changes. */
typedef void (*fi_task_fn)(void *user, size_t index, size_t worker);

/*
 * Runs all tasks, on the calling thread and up to n_threads - 1 others, and returns when all are done. Tasks are
 * handed out in order of index. With n_threads 1 (or where threads cannot be had) everything runs on the caller.
 */
void fi_parallel_for(size_t n_threads, size_t n_tasks, fi_task_fn task, void *user);

/* Number of processors this process may run on, at least 1. */
size_t fi_cpu_count(void);

#endif
