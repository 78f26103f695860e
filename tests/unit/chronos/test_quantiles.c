/* Quantile functions against the definition and against upstream's numbers; the last table is one of its own. */
#include "chronos/quantiles.h"

#include "check.h"

TEST(linear_between_knots_flat_outside)
{
    const fi_knot k[3] = {{0.1, 1.0f}, {0.3, 2.0f}, {0.9, 10.0f}};
    static const double q[] = {0.0, 0.05, 0.1, 0.2, 0.3, 0.6, 0.9, 0.95, 1.0};
    static const double expected[] = {1, 1, 1, 1.5, 2, 6, 10, 10, 10};
    for (size_t i = 0; i < 9; i++) CHECK_NEAR(fi_interpolate_quantile(k, 3, q[i]), expected[i], 1e-6);
}

TEST(equal_levels_are_a_jump)
{
    const fi_knot k[4] = {{0.2, 1.0f}, {0.5, 2.0f}, {0.5, 4.0f}, {0.8, 5.0f}};
    CHECK_NEAR(fi_interpolate_quantile(k, 4, 0.5), 4, 0);
    CHECK_NEAR(fi_interpolate_quantile(k, 4, nextafter(0.5, 0)), 2, 1e-6);
}

TEST(one_knot_is_a_constant)
{
    const fi_knot k = {0.5, 3.0f};
    for (double q = 0; q <= 1; q += 0.25) CHECK_NEAR(fi_interpolate_quantile(&k, 1, q), 3, 0);
}

TEST(weighted_samples_as_upstream)
{
    static const double weight[6] = {1, 2, 3, 1, 1, 2}, q[] = {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99};
    static const float value[6] = {3, 1, 4, 1.5f, 9, 2.6f};
    static const double expected[] = {1.0, 1.0, 1.25, 2.5999999, 3.5, 3.99999976, 8.5};
    fi_knot k[6];
    for (size_t i = 0; i < 6; i++) k[i] = (fi_knot){weight[i], value[i]};
    fi_knots_from_samples(k, 6);
    CHECK_NEAR(k[5].level, 1, 1e-12);
    for (size_t i = 0; i < 7; i++) CHECK_NEAR(fi_interpolate_quantile(k, 6, q[i]), expected[i], 1e-6);
}

TEST(masses_sum_to_one_and_follow_the_distance_of_neighbours)
{
    static const double level[3] = {0.1, 0.3, 0.9};
    double mass[3];
    fi_level_masses(level, 3, mass);
    CHECK_NEAR(mass[0], 0.15 / 0.90, 1e-12); /* (0.3 - 0) / 2 of (0.3 + 0.8 + 0.7) / 2 */
    CHECK_NEAR(mass[1], 0.4 / 0.90, 1e-12);
    CHECK_NEAR(mass[2], 0.35 / 0.90, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_between_knots_flat_outside),
        cmocka_unit_test(equal_levels_are_a_jump),
        cmocka_unit_test(one_knot_is_a_constant),
        cmocka_unit_test(weighted_samples_as_upstream),
        cmocka_unit_test(masses_sum_to_one_and_follow_the_distance_of_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
