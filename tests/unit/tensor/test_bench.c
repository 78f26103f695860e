/* What ftl_bench_kernels measures is looked at by tests/cli/bench_kernels.sh; here, how it ends early. */
#include "base/alloc.h"
#include "check.h"

#include <foretell/bench.h>

static bool stop_at_third(void *user, const ftl_kernel_speed *row)
{
    CHECK_TEXT(row->group, "limit");
    CHECK_INT(row->threads, 2);
    CHECK(row->per_second > 0);
    return ++*(size_t *)user < 3;
}

TEST(it_stops_when_told_to)
{
    size_t rows = 0;
    ftl_error err;
    CHECK_INT(ftl_bench_kernels(2, 1e-4, stop_at_third, &rows, &err), FTL_ECANCELLED);
    CHECK_INT(rows, 3);
}

TEST(time_must_be_positive_and_lack_of_memory_is_told)
{
    size_t rows = 0;
    ftl_error err;
    CHECK_INT(ftl_bench_kernels(2, 0, stop_at_third, &rows, &err), FTL_EINVAL);
    CHECK_INT(ftl_bench_kernels(2, (double)NAN, stop_at_third, &rows, &err), FTL_EINVAL);
    for (long n = 0; n < 6; n++) {
        fi_alloc_fail_after(n);
        ftl_status st = ftl_bench_kernels(2, 1e-4, stop_at_third, &rows, &err);
        fi_alloc_fail_after(-1);
        CHECK_INT(st, FTL_ENOMEM);
    }
    CHECK_INT(rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stops_when_told_to),
        cmocka_unit_test(time_must_be_positive_and_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
