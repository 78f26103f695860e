#include "base/alloc.h"
#include "base/pool.h"
#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef struct counts {
    size_t n_threads, runs[1000], bad_thread;
    uint64_t value[1000];
} counts;

static void count(void *user, size_t i, size_t thread)
{
    counts *c = user;
    c->runs[i]++;
    c->value[i] = i * i;
    if (thread >= c->n_threads) c->bad_thread++;
}

TEST(every_task_runs_once_whatever_the_number_of_threads)
{
    for (size_t n_threads = 1; n_threads <= 5; n_threads++) {
        fi_pool *pool;
        CHECK_INT(fi_pool_new(n_threads, &pool, NULL), FTL_OK);
        CHECK_INT(fi_pool_n_threads(pool), n_threads);
        for (size_t n = 0; n <= 1000; n = n * 3 + 1) {
            static counts c;
            c = (counts){.n_threads = n_threads};
            fi_pool_run(pool, n, count, &c);
            for (size_t i = 0; i < 1000; i++) {
                CHECK_INT(c.runs[i], i < n);
                CHECK_INT(c.value[i], i < n ? i * i : 0);
            }
            CHECK_INT(c.bad_thread, 0);
        }
        fi_pool_free(pool);
    }
}

static void add(void *user, size_t i, size_t thread)
{
    (void)thread;
    ((uint32_t *)user)[i]++;
}

TEST(many_short_runs_follow_one_another_without_a_lost_or_repeated_task)
{
    fi_pool *pool;
    CHECK_INT(fi_pool_new(3, &pool, NULL), FTL_OK);
    uint32_t sums[7] = {0};
    for (size_t run = 0; run < 20000; run++) fi_pool_run(pool, run % 8, add, sums);
    for (size_t i = 0; i < 7; i++) CHECK_INT(sums[i], 20000 / 8 * (7 - i));
    fi_pool_free(pool);
}

static void doze(void *user, size_t i, size_t thread)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    add(user, i, thread);
}

TEST(workers_and_callers_that_fell_asleep_are_woken)
{
    fi_pool *pool;
    CHECK_INT(fi_pool_new(4, &pool, NULL), FTL_OK);
    uint32_t sums[9] = {0};
    for (size_t run = 0; run < 5; run++) {
        fi_pool_run(pool, 9, doze, sums);
        nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    }
    for (size_t i = 0; i < 9; i++) CHECK_INT(sums[i], 5);
    fi_pool_free(pool);
}

TEST(zero_threads_means_one_a_processor_and_lack_of_memory_is_told)
{
    fi_pool *pool = NULL;
    CHECK_INT(fi_pool_new(0, &pool, NULL), FTL_OK);
    CHECK(fi_pool_n_threads(pool) >= 1);
    fi_pool_free(pool);
    for (long n = 0; n < 2; n++) {
        fi_alloc_fail_after(n);
        ftl_status st = fi_pool_new(2, &pool, NULL);
        fi_alloc_fail_after(-1);
        CHECK_INT(st, FTL_ENOMEM);
        CHECK(!pool);
    }
    fi_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once_whatever_the_number_of_threads),
        cmocka_unit_test(many_short_runs_follow_one_another_without_a_lost_or_repeated_task),
        cmocka_unit_test(workers_and_callers_that_fell_asleep_are_woken),
        cmocka_unit_test(zero_threads_means_one_a_processor_and_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
