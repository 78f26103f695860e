#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MAX_THREADS = 256 };

typedef struct job {
    fi_task_fn task;
    void *user;
    size_t n_tasks;
    atomic_size_t next;
} job;

typedef struct worker {
    job *job;
    size_t number;
    pthread_t thread;
} worker;

static void *work(void *argument)
{
    worker *w = argument;
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&w->job->next, 1, memory_order_relaxed);
        if (index >= w->job->n_tasks) return NULL;
        w->job->task(w->job->user, index, w->number);
    }
}

void fi_parallel_for(size_t n_threads, size_t n_tasks, fi_task_fn task, void *user)
{
    job shared = {task, user, n_tasks, 0};
    worker workers[MAX_THREADS];
    if (n_threads > MAX_THREADS) n_threads = MAX_THREADS;
    if (n_threads > n_tasks) n_threads = n_tasks;
    size_t started = 1;
    workers[0] = (worker){&shared, 0, pthread_self()};
    for (; started < n_threads; started++) {
        workers[started] = (worker){&shared, started, pthread_self()};
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started])) break;
    }
    work(&workers[0]);
    for (size_t i = 1; i < started; i++) pthread_join(workers[i].thread, NULL);
}

size_t fi_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (size_t)n;
}
