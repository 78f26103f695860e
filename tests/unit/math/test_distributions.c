#include "check.h"

#include "math/distributions.h"

TEST(normal_quantile_inverts_the_distribution_function)
{
    /* Reference values: Wichura (1988), algorithm AS 241, and tables to 16 digits. */
    CHECK_NEAR(fi_normal_quantile(0.5), 0.0, 1e-16);
    CHECK_NEAR(fi_normal_quantile(0.9), 1.2815515655446004, 2e-15);
    CHECK_NEAR(fi_normal_quantile(0.975), 1.9599639845400545, 2e-15);
    CHECK_NEAR(fi_normal_quantile(1e-10), -6.361340902404056, 1e-14);
    CHECK(fi_normal_quantile(0.0) == -INFINITY && fi_normal_quantile(1.0) == INFINITY);
    CHECK(isnan(fi_normal_quantile(-0.1)) && isnan(fi_normal_quantile(NAN)));
    for (double p = 1e-300; p < 0.5; p *= 3.7) CHECK_CLOSE(fi_normal_cdf(fi_normal_quantile(p)) / p, 1.0, 1e-12);
    for (double p = 0.01; p < 1.0; p += 0.01) CHECK_NEAR(fi_normal_quantile(p), -fi_normal_quantile(1.0 - p), 1e-13);
}

/* Mean, variance and share below 1 of n draws, each within 4.5 standard errors of its expectation. */
static void check_moments(const double *x, size_t n, double mean, double variance, double fourth, double below_one)
{
    double m = 0, v = 0, below = 0, size = (double)n;
    for (size_t i = 0; i < n; i++)
        m += x[i] / size, v += (x[i] - mean) * (x[i] - mean) / size, below += (x[i] < 1) / size;
    CHECK_NEAR(m, mean, 4.5 * sqrt(variance / size));
    CHECK_NEAR(v, variance, 4.5 * sqrt((fourth - variance * variance) / size));
    CHECK_NEAR(below, below_one, 4.5 * sqrt(below_one * (1 - below_one) / size));
}

TEST(draws_have_their_moments)
{
    enum { N = 100000 };
    static double x[N];
    fi_rng rng;
    fi_rng_init(&rng, 7, 1, 2);
    for (size_t i = 0; i < N; i++) x[i] = fi_rng_normal(&rng);
    check_moments(x, N, 0, 1, 3, fi_normal_cdf(1.0));
    for (size_t i = 0; i < N; i++) x[i] = fi_rng_laplace(&rng);
    check_moments(x, N, 0, 2, 24, 1 - 0.5 * exp(-1.0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_quantile_inverts_the_distribution_function),
        cmocka_unit_test(draws_have_their_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
