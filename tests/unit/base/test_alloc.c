#include "check.h"

#include "base/alloc.h"

TEST(sizes_that_overflow_are_refused)
{
    CHECK(fi_alloc(SIZE_MAX, 2) == NULL);
    CHECK(fi_alloc(SIZE_MAX / 4, 8) == NULL);
    CHECK(fi_calloc(SIZE_MAX / 2 + 1, 2) == NULL);
    char *block = fi_alloc(4, 1);
    CHECK(fi_realloc(block, SIZE_MAX / 8 + 1, 16) == NULL); /* the block stays */
    block[3] = 'x';
    fi_free(block);
}

TEST(nothing_is_a_valid_block)
{
    void *a = fi_alloc(0, 8), *b = fi_calloc(8, 0), *c = fi_realloc(NULL, 0, 1);
    CHECK(a && b && c);
    fi_free(a);
    fi_free(b);
    fi_free(c);
    fi_free(NULL);
}

TEST(cleared_and_copied)
{
    unsigned char *zeros = fi_calloc(1000, 3);
    for (int i = 0; i < 3000; i++) CHECK_INT(zeros[i], 0);
    fi_free(zeros);
    char *a = fi_strdup("text"), *b = fi_strndup("text", 2);
    CHECK_TEXT(a, "text");
    CHECK_TEXT(b, "te");
    fi_free(a);
    fi_free(b);
}

TEST(arrays_grow_and_keep_their_content)
{
    int *array = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 10000; i++) {
        CHECK_INT(fi_grow(&array, &capacity, (size_t)i + 1, sizeof *array), 0);
        array[i] = i;
    }
    for (int i = 0; i < 10000; i++) CHECK_INT(array[i], i);
    size_t before = capacity;
    CHECK_INT(fi_grow(&array, &capacity, SIZE_MAX / 2, sizeof *array), -1);
    CHECK(capacity == before && array[9999] == 9999);
    CHECK_INT(fi_grow(&array, &capacity, 5, sizeof *array), 0);
    CHECK_INT(capacity, before);
    fi_free(array);
}

TEST(failure_on_demand)
{
    fi_alloc_fail_after(2);
    void *a = fi_alloc(1, 1), *b = fi_calloc(1, 1), *c = fi_alloc(1, 1), *d = fi_strdup("x"),
         *e = fi_realloc(NULL, 1, 1);
    fi_alloc_fail_after(-1);
    CHECK(a && b && !c && !d && !e);
    fi_free(a);
    fi_free(b);
    void *f = fi_alloc(1, 1);
    CHECK(f);
    fi_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(nothing_is_a_valid_block),
        cmocka_unit_test(cleared_and_copied),
        cmocka_unit_test(arrays_grow_and_keep_their_content),
        cmocka_unit_test(failure_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
