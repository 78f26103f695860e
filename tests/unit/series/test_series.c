#include "check.h"

#include "base/alloc.h"
#include "series/ids.h"
#include "series/table.h"

#include <foretell/series.h>

TEST(values_alone_get_times_from_one)
{
    static const double y[4] = {1, NAN, 3, -4};
    ftl_series *s = NULL;
    CHECK_INT(ftl_series_new("a", y, 4, &s, NULL), FTL_OK);
    CHECK_TEXT(ftl_series_id(s), "a");
    CHECK_INT(ftl_series_time_kind(s), FTL_TIME_INDEX);
    CHECK_INT(ftl_series_n_obs(s), 4);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(ftl_series_times(s)[i], i + 1);
        CHECK_NEAR(ftl_series_values(s)[i], y[i], 0);
    }
    CHECK_INT(ftl_series_n_columns(s), 0);
    CHECK(ftl_series_column_named(s, "x") == NULL);
    ftl_series_free(s);
    CHECK_INT(ftl_series_new("", NULL, 0, &s, NULL), FTL_OK);
    CHECK_INT(ftl_series_n_obs(s), 0);
    ftl_series_free(s);
    ftl_series_free(NULL);
}

TEST(rows_are_sorted_by_time_and_stay_in_order_where_equal)
{
    static const ftl_time ds[6] = {30, 10, 20, 10, 30, -5};
    static const double y[6] = {0, 1, 2, 3, 4, 5}, x[6] = {0, -1, -2, -3, -4, -5}, by_time[6] = {5, 1, 3, 2, 0, 4};
    const char *const names[] = {"x", "z"};
    const double *const columns[] = {x, y};
    ftl_series *s = NULL;
    CHECK_INT(ftl_series_new_full("", FTL_TIME_DATE, ds, y, 6, names, columns, 2, &s, NULL), FTL_OK);
    for (int i = 0; i < 6; i++) {
        CHECK_NEAR(ftl_series_values(s)[i], by_time[i], 0);
        CHECK_NEAR(ftl_series_column(s, 0)[i], -by_time[i], 0);
        CHECK_NEAR(ftl_series_column_named(s, "z")[i], by_time[i], 0);
        CHECK(i == 0 || ftl_series_times(s)[i - 1] <= ftl_series_times(s)[i]);
    }
    ftl_series_free(s);
    CHECK_INT(ftl_series_new_full("f", FTL_TIME_DATE, ds, NULL, 6, NULL, NULL, 0, &s, NULL), FTL_OK);
    CHECK(isnan(ftl_series_values(s)[0])); /* a future frame */
    ftl_series_free(s);
}

TEST(long_series_sort_as_qsort_does)
{
    enum { N = 10007 };
    static ftl_time ds[N];
    static double y[N];
    for (size_t i = 0; i < N; i++) ds[i] = (ftl_time)(i * 7919 % N / 3), y[i] = (double)i; /* thrice each */
    ftl_series *s = NULL;
    CHECK_INT(ftl_series_new_full("", FTL_TIME_INDEX, ds, y, N, NULL, NULL, 0, &s, NULL), FTL_OK);
    for (size_t i = 0; i < N; i++) {
        CHECK_INT(ftl_series_times(s)[i], i / 3);
        CHECK_INT(ftl_series_times(s)[i], ds[(size_t)ftl_series_values(s)[i]]); /* rows stayed whole */
        CHECK(i % 3 == 0 || ftl_series_values(s)[i - 1] < ftl_series_values(s)[i]);
    }
    ftl_series_free(s);
}

TEST(infinities_are_refused_by_name)
{
    static const double bad[3] = {1, 2, -INFINITY}, good[3] = {1, 2, 3};
    static const ftl_time ds[3] = {1, 2, 3};
    const char *const names[] = {"price"};
    const double *const columns[] = {bad};
    ftl_series *s = NULL;
    ftl_error err;
    CHECK_INT(ftl_series_new("a", bad, 3, &s, &err), FTL_EDATA);
    CHECK(s == NULL);
    CHECK_CONTAINS(err.message, "series 'a': value 3 of 'y' is infinite");
    CHECK_INT(ftl_series_new_full("a", FTL_TIME_INDEX, ds, good, 3, names, columns, 1, &s, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "'price'");
}

TEST(memory_may_run_out_anywhere)
{
    static const ftl_time ds[3] = {3, 2, 1};
    static const double y[3] = {1, 2, 3};
    const char *const names[] = {"x"};
    const double *const columns[] = {y};
    ftl_status st = FTL_ENOMEM;
    long n = 0;
    for (; st == FTL_ENOMEM && n < 100; n++) {
        ftl_series *s = NULL;
        fi_alloc_fail_after(n);
        st = ftl_series_new_full("a", FTL_TIME_INDEX, ds, y, 3, names, columns, 1, &s, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (s != NULL));
        ftl_series_free(s);
    }
    CHECK_INT(st, FTL_OK);
    CHECK_INT(n, 13); /* series, table, id, ds, y, names, columns, a name, a column, three to sort; then all is well */
}

TEST(scatter_moves_every_row_to_its_place)
{
    enum { N = 100000 };
    static ftl_time ds[N];
    static double y[N], x[N];
    static uint32_t to[N];
    double *columns[] = {x, NULL};
    fi_table t = {.kind = FTL_TIME_INDEX, .n_rows = N, .n_columns = 2, .ds = ds, .y = y, .columns = columns};
    for (size_t i = 0; i < N; i++) ds[i] = (ftl_time)i, y[i] = x[i] = (double)i;
    for (size_t i = 0; i + 10 < N; i++)
        to[i] = (uint32_t)(i * 367 % (N - 10)); /* 367 is a prime that does not divide N - 10 */
    CHECK_INT(fi_table_scatter(&t, 10, to, N - 10, NULL), FTL_OK);
    for (size_t i = 0; i < 10; i++) CHECK_INT(ds[i], i);
    for (size_t i = 0; i + 10 < N; i++) {
        size_t place = 10 + i * 367 % (N - 10);
        CHECK_INT(ds[place], i + 10);
        CHECK_INT(y[place], i + 10);
        CHECK_INT(x[place], i + 10);
    }
}

TEST(ids_are_found_again)
{
    enum { N = 20000 };
    fi_ids ids = {0};
    char text[32];
    CHECK(fi_ids_find(&ids, "a", 1) == FI_NO_ID);
    for (size_t i = 0; i < N; i++) {
        int n = snprintf(text, sizeof text, "series_%zu", i);
        CHECK(fi_ids_find(&ids, text, (size_t)n) == FI_NO_ID);
        CHECK_INT(fi_ids_add(&ids, text, (size_t)n), 0);
    }
    for (size_t i = 0; i < N; i++) {
        int n = snprintf(text, sizeof text, "series_%zu and more", i) - 9;
        CHECK_INT(fi_ids_find(&ids, text, (size_t)n), i);
        CHECK(fi_ids_find(&ids, text, (size_t)n + 1) == FI_NO_ID);
    }
    CHECK_TEXT(ids.text[N - 1], "series_19999");
    fi_ids_release(&ids);
}

TEST(hashes_depend_on_every_byte_and_on_the_key)
{
    char text[40];
    for (size_t n = 0; n < sizeof text; n++) {
        memset(text, 'a', sizeof text);
        uint64_t h = fi_hash(text, n, 1);
        CHECK(fi_hash(text, n + 1, 1) != h && fi_hash(text, n, 2) != h && fi_hash(text, n, 1) == h);
        for (size_t i = 0; i < n; i++) {
            text[i] ^= 1;
            CHECK(fi_hash(text, n, 1) != h);
            text[i] ^= 1;
        }
    }
    CHECK(fi_hash_key() != fi_hash_key());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_alone_get_times_from_one),
        cmocka_unit_test(rows_are_sorted_by_time_and_stay_in_order_where_equal),
        cmocka_unit_test(long_series_sort_as_qsort_does),
        cmocka_unit_test(infinities_are_refused_by_name),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(scatter_moves_every_row_to_its_place),
        cmocka_unit_test(ids_are_found_again),
        cmocka_unit_test(hashes_depend_on_every_byte_and_on_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
