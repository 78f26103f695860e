#include "check.h"

#include "base/threads.h"

#include <stdatomic.h>

enum { N = 5000, WORKERS = 7 };

typedef struct shared {
    atomic_int runs[N];
    size_t order[N];
    atomic_size_t started;
    atomic_int bad_worker;
    size_t limit;
} shared;

static void task(void *user, size_t index, size_t worker)
{
    shared *s = user;
    atomic_fetch_add(&s->runs[index], 1);
    s->order[atomic_fetch_add(&s->started, 1)] = index;
    if (worker >= s->limit) atomic_store(&s->bad_worker, 1);
}

static void check_all_run_once(size_t n_threads, size_t n)
{
    static shared s;
    memset(&s, 0, sizeof s);
    s.limit = n_threads ? n_threads : 1;
    fi_parallel_for(n_threads, n, task, &s);
    CHECK_INT(s.started, n);
    CHECK(!s.bad_worker);
    for (size_t i = 0; i < N; i++) CHECK_INT(s.runs[i], i < n);
    for (size_t i = 0; n_threads <= 1 && i < n; i++) CHECK_INT(s.order[i], i); /* one thread: in order */
}

TEST(every_task_runs_once)
{
    for (size_t threads = 0; threads <= WORKERS; threads++)
        for (size_t n = 0; n <= 10; n++) check_all_run_once(threads, n);
    check_all_run_once(WORKERS, N);
    check_all_run_once(1000, N); /* more threads than there may be */
}

static void nested(void *user, size_t index, size_t worker)
{
    (void)index;
    (void)worker;
    static shared inner[WORKERS];
    shared *s = &inner[index];
    memset(s, 0, sizeof *s);
    s->limit = 2;
    fi_parallel_for(2, 100, task, s);
    if (s->started == 100) atomic_fetch_add((atomic_int *)user, 1);
}

TEST(tasks_may_start_tasks)
{
    atomic_int done = 0;
    fi_parallel_for(3, WORKERS, nested, &done);
    CHECK_INT(done, WORKERS);
}

TEST(there_is_a_processor)
{
    CHECK(fi_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(tasks_may_start_tasks),
        cmocka_unit_test(there_is_a_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
