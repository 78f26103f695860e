#include "base/pool.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/*
 * One run is a generation. The ticket holds the generation (high half) and the next index of its run (low half), so that
 * taking an index is one compare-and-swap, which fails for a worker that looks at a run already over. Between runs the
 * index is CLOSED, and only then do fn, user and n change.
 */
enum { SPINS = 4096 }; /* of some 20 to 60 ns each, before sleeping */
static const uint32_t CLOSED = UINT32_MAX;

typedef void task(void *user, size_t i, size_t thread);

typedef struct worker {
    fi_pool *pool;
    size_t thread;
    pthread_t id;
} worker;

struct fi_pool {
    size_t n_threads, n_started;
    _Atomic uint64_t ticket;
    _Atomic(task *) fn;
    _Atomic(void *) user;
    _Atomic uint32_t n;
    char apart[64];        /* what all write in one line, what all read in another */
    _Atomic uint32_t done; /* tasks of this run that have returned */
    atomic_uint sleepers;
    atomic_bool stop, caller_sleeps;
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    worker *workers;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static uint32_t generation(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

/* Runs tasks until none is left. */
static void work(fi_pool *pool, size_t thread)
{
    uint64_t ticket = atomic_load(&pool->ticket);
    for (;;) {
        uint32_t n = atomic_load(&pool->n), i = (uint32_t)ticket;
        task *fn = atomic_load(&pool->fn);
        void *user = atomic_load(&pool->user);
        if (i == CLOSED || i >= n) return;
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket + 1)) continue;
        fn(user, i, thread);
        if (atomic_fetch_add(&pool->done, 1) + 1 == n && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
        ticket = atomic_load(&pool->ticket);
    }
}

/* Until a run begins after that of generation `seen`, or the pool ends. */
static void wait_for_run(fi_pool *pool, uint32_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (generation(atomic_load(&pool->ticket)) != seen || atomic_load(&pool->stop)) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (generation(atomic_load(&pool->ticket)) == seen && !atomic_load(&pool->stop))
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    worker *w = argument;
    for (uint32_t seen = 0; !atomic_load(&w->pool->stop);) {
        wait_for_run(w->pool, seen);
        seen = generation(atomic_load(&w->pool->ticket));
        work(w->pool, w->thread);
    }
    return NULL;
}

static void wait_until_done(fi_pool *pool, uint32_t n)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->done) == n) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->done) != n) pthread_cond_wait(&pool->finished, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

static void wake_workers(fi_pool *pool)
{
    if (!atomic_load(&pool->sleepers)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void fi_pool_run(fi_pool *pool, size_t n, void (*fn)(void *user, size_t i, size_t thread), void *user)
{
    if (n <= 1 || pool->n_threads == 1) {
        for (size_t i = 0; i < n; i++) fn(user, i, 0);
        return;
    }
    atomic_store(&pool->fn, fn);
    atomic_store(&pool->user, user);
    atomic_store(&pool->n, (uint32_t)n);
    atomic_store(&pool->done, 0);
    uint64_t run = (uint64_t)(generation(atomic_load(&pool->ticket)) + 1u) << 32;
    atomic_store(&pool->ticket, run);
    wake_workers(pool);
    work(pool, 0);
    wait_until_done(pool, (uint32_t)n);
    atomic_store(&pool->ticket, run | CLOSED);
}

static ftl_status start_workers(fi_pool *pool, ftl_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals stay with the threads of the host */
    int failed = 0;
    for (size_t i = 0; i + 1 < pool->n_threads && !failed; i++) {
        pool->workers[i] = (worker){.pool = pool, .thread = i + 1};
        failed = pthread_create(&pool->workers[i].id, NULL, worker_main, &pool->workers[i]);
        if (!failed) pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!failed) return FTL_OK;
    return fi_fail(err, FTL_EIO, "cannot start thread %zu of %zu: %s; ask for fewer threads", pool->n_started + 2,
                   pool->n_threads, strerror(failed));
}

ftl_status fi_pool_new(size_t n_threads, fi_pool **out, ftl_error *err)
{
    *out = NULL;
    if (!n_threads) n_threads = fi_cpu_count();
    fi_pool *pool = fi_calloc(1, sizeof *pool);
    if (!pool) return fi_fail_memory(err);
    pool->n_threads = n_threads;
    atomic_store(&pool->ticket, CLOSED);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->workers = fi_calloc(n_threads, sizeof *pool->workers);
    ftl_status st = pool->workers ? start_workers(pool, err) : fi_fail_memory(err);
    if (st)
        fi_pool_free(pool);
    else
        *out = pool;
    return st;
}

void fi_pool_free(fi_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->n_started; i++) pthread_join(pool->workers[i].id, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    fi_free(pool->workers);
    fi_free(pool);
}

size_t fi_pool_n_threads(const fi_pool *pool)
{
    return pool->n_threads;
}
