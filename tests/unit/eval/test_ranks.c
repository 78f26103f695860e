#include "check.h"

#include "eval/ranks.h"

TEST(ranks_share_ties)
{
    double rank[5];
    fi_ranks((double[]){3, 1, 3, 2, 3}, 5, rank);
    const double expected[] = {4, 1, 4, 2, 4};
    for (size_t i = 0; i < 5; i++) CHECK_NEAR(rank[i], expected[i], 0);
}

/* R 4.2: wilcox.test(x, y, paired = TRUE) of Hollander & Wolfe's depression data: V = 40, p = 0.03906 (exact). */
TEST(wilcoxon_exact_is_that_of_r)
{
    const double x[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
    const double y[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
    double d[9], work[18];
    for (size_t i = 0; i < 9; i++) d[i] = x[i] - y[i];
    CHECK_NEAR(fi_wilcoxon(d, 9, work), 0.0390625, 1e-12);
    for (size_t i = 0; i < 9; i++) d[i] = -d[i];
    CHECK_NEAR(fi_wilcoxon(d, 9, work), 0.0390625, 1e-12);
}

/* scipy 1.17: wilcoxon([1,1,2,-2,3,4,5,0], correction=True, method="approx"), which leaves the zero out. */
TEST(wilcoxon_with_ties_and_zeros_is_the_approximation)
{
    const double d[] = {1, 1, 2, -2, 3, 4, 5, 0, NAN};
    double work[18];
    CHECK_NEAR(fi_wilcoxon(d, 9, work), 0.08981434395829534, 1e-12);
    CHECK_NEAR(fi_wilcoxon(d, 1, work), NAN, 0);
}

/* Demsar 2006, table 5a: q_0.05 for 2, 5 and 10 classifiers, which is the range's quantile over sqrt(2). */
TEST(nemenyi_constants)
{
    CHECK_NEAR(fi_range_quantile(2) / sqrt(2), 1.960, 5e-4);
    CHECK_NEAR(fi_range_quantile(5) / sqrt(2), 2.728, 5e-4);
    CHECK_NEAR(fi_range_quantile(10) / sqrt(2), 3.164, 5e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_share_ties),
        cmocka_unit_test(wilcoxon_exact_is_that_of_r),
        cmocka_unit_test(wilcoxon_with_ties_and_zeros_is_the_approximation),
        cmocka_unit_test(nemenyi_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
