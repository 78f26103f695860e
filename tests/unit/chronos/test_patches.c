#include "check.h"

#include "chronos/patches.h"
#include "chronos/samples.h"

TEST(instance_statistics_are_those_of_what_is_observed)
{
    static const float x[] = {1, NAN, 2, 3, 4, 5, NAN}, nothing[] = {NAN, NAN};
    float loc, scale;
    fi_instance_stats(x, 7, &loc, &scale);
    CHECK(loc == 3);
    CHECK_NEAR(scale, 1.41421356, 1e-7); /* population, not sample */
    fi_instance_stats(nothing, 2, &loc, &scale);
    CHECK(loc == 0 && scale == 1);
    float constant[600]; /* 0.1 is no float: a careless sum gives another mean, and noise instead of zeros */
    for (int i = 0; i < 600; i++) constant[i] = i % 7 ? 0.1f : NAN;
    fi_instance_stats(constant, 600, &loc, &scale);
    CHECK(loc == 0.1f && scale == 1e-5f);
    static const float outlier[] = {1e30f, 0, -1e30f};
    fi_instance_stats(outlier, 3, &loc, &scale); /* squares beyond float */
    CHECK_CLOSE(scale, 1e30 * sqrt(2.0 / 3.0), 1e-6);
}

TEST(patches_are_padded_on_the_left_and_overlap_by_the_stride)
{
    float x[40], values[24 * 8], mask[24 * 8], seen[24];
    for (int i = 0; i < 40; i++) x[i] = (float)(i + 1);
    x[20] = x[21] = x[22] = x[23] = NAN; /* a whole patch of 4 */
    CHECK_INT(fi_patch_count(1, 16, 16), 1);
    CHECK_INT(fi_patch_count(16, 16, 16), 1);
    CHECK_INT(fi_patch_count(17, 16, 16), 2);
    CHECK_INT(fi_patch_count(32, 16, 8), 3);
    CHECK_INT(fi_patch_count(17, 16, 8), 3); /* padded to 32 whatever the stride */
    CHECK_INT(fi_patch_count(39, 4, 4), 10);
    fi_patch(x + 1, 39, 4, 4, values, mask, 5, seen); /* rows 5 apart */
    CHECK(mask[0] == 0 && values[0] == 0 && mask[1] == 1 && values[1] == 2 && values[3] == 4 && seen[0] == 1);
    CHECK(values[5] == 5 && values[9 * 5 + 3] == 40 && seen[9] == 1);
    CHECK(seen[5] == 0 && values[25] == 0 && mask[25] == 0 && mask[28] == 0 && mask[30] == 1);
    CHECK_INT(fi_patch_count(40, 8, 4), 9);
    fi_patch(x, 40, 8, 4, values, mask, 8, seen);
    CHECK(values[0] == 1 && values[8] == 5 && values[64 + 7] == 40 && seen[4] == 1 && seen[8] == 1);
    CHECK(mask[4 * 8 + 3] == 1 && mask[4 * 8 + 4] == 0);
}

TEST(quantiles_of_samples_are_linear_between_ranks)
{
    float x[5] = {3, -1, 7, 2, 2};
    fi_sort_samples(x, 5);
    CHECK(x[0] == -1 && x[1] == 2 && x[2] == 2 && x[3] == 3 && x[4] == 7);
    CHECK(fi_sample_quantile(x, 5, 0) == -1 && fi_sample_quantile(x, 5, 1) == 7 && fi_sample_quantile(x, 5, 0.5) == 2);
    CHECK_NEAR(fi_sample_quantile(x, 5, 0.9), 5.4, 1e-6);
    CHECK_NEAR(fi_sample_quantile(x, 5, 0.1), 0.2, 1e-6);
    CHECK(fi_sample_quantile(x, 1, 0.3) == -1);
    CHECK(fi_lower_median(x, 5) == 2 && fi_lower_median(x, 4) == 2 && fi_lower_median(x, 2) == -1 &&
          fi_lower_median(x, 1) == -1);
    float grid[81];
    for (int i = 0; i < 81; i++) grid[i] = (float)i;
    for (int k = 1; k < 10; k++) CHECK_NEAR(fi_sample_quantile(grid, 81, 0.1 * k), 8 * k, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instance_statistics_are_those_of_what_is_observed),
        cmocka_unit_test(patches_are_padded_on_the_left_and_overlap_by_the_stride),
        cmocka_unit_test(quantiles_of_samples_are_linear_between_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
