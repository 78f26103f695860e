#include "check.h"

#include "base/threads.h"

TEST(there_is_a_processor)
{
    CHECK(fi_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_a_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
