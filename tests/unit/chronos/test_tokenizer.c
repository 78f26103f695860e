#include "check.h"

#include "base/alloc.h"
#include "chronos/tokenizer.h"

TEST(every_center_survives_and_everything_beyond_saturates)
{
    static const size_t bins[] = {5, 10, 27, 4094}, specials[] = {2, 5, 13};
    for (size_t b = 0; b < 4; b++)
        for (size_t s = 0; s < 3; s++) {
            fi_tokenizer t;
            CHECK_INT(fi_tokenizer_init(&t, bins[b] + specials[s], specials[s], 0, -15, 15, NULL), FTL_OK);
            CHECK_INT(t.n_centers, bins[b] - 1);
            CHECK(t.boundaries[0] == -1e20f && t.boundaries[t.n_centers] == 1e20f);
            CHECK(t.centers[0] == -15 && t.centers[t.n_centers - 1] == 15);
            int32_t id;
            float mask;
            for (size_t i = 0; i < t.n_centers; i++) {
                fi_tokenize(&t, &t.centers[i], 1, 1, &id, &mask);
                CHECK_INT(id, i + specials[s] + 1);
                CHECK(fi_token_value(&t, id, 1) == t.centers[i] && mask == 1);
            }
            static const float beyond[] = {-1e22f, -1e19f, -15.1f, 15.1f, 1e19f, 1e22f};
            static const int from_end[] = {0, 0, 0, 1, 1, 1}, offset[] = {0, 1, 1, 0, 0, 0};
            for (size_t i = 0; i < 6; i++) { /* below -1e20 the bin that no center has; above 1e20 the last token */
                fi_tokenize(&t, &beyond[i], 1, 1, &id, &mask);
                CHECK_INT(id, from_end[i] ? t.n_tokens - 1 : specials[s] + (size_t)offset[i]);
            }
            for (int32_t special = 0; special <= (int32_t)specials[s]; special++)
                CHECK(fi_token_value(&t, special, 2) == -30);
            CHECK(fi_token_value(&t, INT32_MAX, 2) == 30 && fi_token_value(&t, -1, 2) == -30);
            fi_tokenizer_release(&t);
        }
}

TEST(a_value_on_a_boundary_belongs_to_the_bin_above)
{
    fi_tokenizer t;
    CHECK_INT(fi_tokenizer_init(&t, 8, 2, 0, -2, 2, NULL), FTL_OK); /* centers -2 -1 0 1 2 */
    static const float x[] = {-1.5f, -0.5f, 0.49f, 0.5f, NAN}, scaled[] = {-3, -1, 0.98f, 1, NAN};
    int32_t ids[5];
    float mask[5];
    for (int twice = 0; twice < 2; twice++) {
        fi_tokenize(&t, twice ? scaled : x, 5, twice ? 2 : 1, ids, mask);
        CHECK(ids[0] == 4 && ids[1] == 5 && ids[2] == 5 && ids[3] == 6 && ids[4] == 0);
        CHECK(mask[3] == 1 && mask[4] == 0);
    }
    fi_tokenizer_release(&t);
}

TEST(scale_is_the_mean_absolute_value_of_what_is_observed)
{
    static const float x[] = {NAN, -3, 1, NAN, 0, 4}, zeros[] = {0, NAN, -0.0f}, nothing[] = {NAN, NAN};
    static const float large[] = {3e38f, -3e38f, 3e38f}, tiny[] = {1e-45f, 0, 0, 0};
    CHECK(fi_mean_scale(x, 6) == 2);
    CHECK(fi_mean_scale(zeros, 3) == 1 && fi_mean_scale(nothing, 2) == 1 && fi_mean_scale(x, 0) == 1);
    CHECK(fi_mean_scale(large, 3) == 3e38f); /* a float sum would be infinite */
    CHECK(fi_mean_scale(tiny, 4) == 1);      /* too small for a float */
}

TEST(impossible_tokenizers_are_refused)
{
    static const struct {
        size_t n, special, pad;
        double low, high;
        const char *says;
    } bad[] = {{3, 2, 0, -15, 15, "no bin"},       {0, 0, 0, -15, 15, "no bin"},     {2, 5, 0, -15, 15, "no bin"},
               {9, 2, 2, -15, 15, "pad_token_id"}, {9, 2, 0, 15, -15, "low_limit"},  {9, 2, 0, 1, 1, "low_limit"},
               {9, 2, 0, NAN, 1, "low_limit"},     {9, 2, 0, 0, INFINITY, "ascend"}, {9, SIZE_MAX, 0, 0, 1, "no bin"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fi_tokenizer t;
        ftl_error err;
        CHECK_INT(fi_tokenizer_init(&t, bad[i].n, bad[i].special, bad[i].pad, bad[i].low, bad[i].high, &err),
                  FTL_EDATA);
        CHECK_CONTAINS(err.message, bad[i].says);
        fi_tokenizer_release(&t);
    }
    for (long n = 0; n < 2; n++) {
        fi_tokenizer t;
        fi_alloc_fail_after(n);
        CHECK_INT(fi_tokenizer_init(&t, 9, 2, 0, -1, 1, NULL), FTL_ENOMEM);
        fi_alloc_fail_after(-1);
        fi_tokenizer_release(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_center_survives_and_everything_beyond_saturates),
        cmocka_unit_test(a_value_on_a_boundary_belongs_to_the_bin_above),
        cmocka_unit_test(scale_is_the_mean_absolute_value_of_what_is_observed),
        cmocka_unit_test(impossible_tokenizers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
