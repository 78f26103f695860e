/* Categories as numbers: the cases of upstream's own tests and those it lacks. */
#include "base/alloc.h"
#include "chronos/covariates.h"

#include "check.h"

#define TEXT(array)                                                                                                    \
    {                                                                                                                  \
        array, NULL, sizeof array / sizeof *array                                                                      \
    }
#define CODES(array)                                                                                                   \
    {                                                                                                                  \
        NULL, array, sizeof array / sizeof *array                                                                      \
    }

static void check_by_target(const float *target, const fi_labels *past, const fi_labels *ahead, const double *expected,
                            const double *expected_ahead)
{
    float out[16], out_ahead[16];
    CHECK_INT(fi_encode_by_target(target, past, ahead, out, out_ahead, NULL), FTL_OK);
    for (size_t i = 0; i < past->n; i++) CHECK_NEAR(out[i], expected[i], 1e-5);
    for (size_t i = 0; ahead && i < ahead->n; i++) CHECK_NEAR(out_ahead[i], expected_ahead[i], 1e-5);
}

TEST(smoothed_means_of_the_target)
{ /* mean 25; a: (25 + 10 + 20) / 3, b: (25 + 30 + 40) / 3; c was never seen */
    static const float target[4] = {10, 20, 30, 40};
    static const char *const past_text[4] = {"a", "a", "b", "b"}, *const ahead_text[3] = {"b", "c", "a"};
    const fi_labels past = TEXT(past_text), ahead = TEXT(ahead_text);
    check_by_target(target, &past, &ahead, (double[]){55 / 3., 55 / 3., 95 / 3., 95 / 3.},
                    (double[]){95 / 3., 25, 55 / 3.});
}

TEST(missing_is_a_category_and_missing_targets_do_not_count)
{ /* observed 10, 30, 50: mean 30; missing label: (30 + 50) / 2; a: (30 + 10) / 2; b: (30 + 30) / 2 */
    static const float target[5] = {10, NAN, 30, 50, NAN};
    static const char *const past_text[5] = {"a", "a", "b", NULL, NULL}, *const ahead_text[2] = {NULL, "z"};
    const fi_labels past = TEXT(past_text), ahead = TEXT(ahead_text);
    check_by_target(target, &past, &ahead, (double[]){20, 20, 30, 40, 40}, (double[]){40, 30});
}

TEST(without_any_target_all_codes_are_zero)
{
    static const float target[2] = {NAN, NAN};
    static const float codes[2] = {1, NAN}, codes_ahead[1] = {7};
    const fi_labels past = CODES(codes), ahead = CODES(codes_ahead);
    check_by_target(target, &past, &ahead, (double[]){0, 0}, (double[]){0});
    check_by_target(target, &past, NULL, (double[]){0, 0}, NULL);
}

TEST(ranks_over_all_series_with_missing_last)
{
    static const char *const first[3] = {"pear", NULL, "fig"}, *const second[3] = {"fig", "apple", "\xc3\xa4pfel"};
    static const char *const query[6] = {"apple", "fig", "pear", "\xc3\xa4pfel", NULL, "kiwi"};
    const fi_labels a = TEXT(first), b = TEXT(second), q = TEXT(query);
    fi_categories set = {0};
    float out[6];
    CHECK_INT(fi_categories_add(&set, &a, NULL), FTL_OK);
    CHECK_INT(fi_categories_add(&set, &b, NULL), FTL_OK);
    fi_categories_settle(&set);
    CHECK_INT(set.n, 4);
    fi_encode_ordinal(&set, &q, out);
    for (size_t i = 0; i < 5; i++) CHECK_NEAR(out[i], (double)i, 0);
    CHECK(isnan(out[5]));
    fi_categories_release(&set);
}

TEST(codes_are_ranked_by_value_and_sets_stay_as_small_as_their_categories)
{
    enum { N = 10000 };
    static float codes[N];
    for (size_t i = 0; i < N; i++) codes[i] = (float)((i * 7) % 13) - 6;
    const fi_labels labels = CODES(codes);
    fi_categories set = {0};
    for (int k = 0; k < 20; k++) CHECK_INT(fi_categories_add(&set, &labels, NULL), FTL_OK);
    CHECK(set.capacity < 128);
    fi_categories_settle(&set);
    CHECK_INT(set.n, 13);
    static float out[N];
    fi_encode_ordinal(&set, &labels, out);
    for (size_t i = 0; i < N; i++) CHECK_NEAR(out[i], codes[i] + 6.0, 0);
    fi_categories_release(&set);
}

TEST(lack_of_memory_is_told_and_nothing_leaks)
{
    static const float target[3] = {1, 2, 3};
    static const char *const text[3] = {"a", "b", "c"};
    const fi_labels past = TEXT(text);
    float out[3];
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 20; n++) {
        fi_alloc_fail_after(n);
        st = fi_encode_by_target(target, &past, NULL, out, NULL, NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothed_means_of_the_target),
        cmocka_unit_test(missing_is_a_category_and_missing_targets_do_not_count),
        cmocka_unit_test(without_any_target_all_codes_are_zero),
        cmocka_unit_test(ranks_over_all_series_with_missing_last),
        cmocka_unit_test(codes_are_ranked_by_value_and_sets_stay_as_small_as_their_categories),
        cmocka_unit_test(lack_of_memory_is_told_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
