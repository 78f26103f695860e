/* Eigenvectors: the matrix put together again, and matrices whose eigenvalues are known. */
#include "base/rng.h"
#include "check.h"
#include "math/distributions.h"
#include "math/eigen.h"

enum { MAX = 40 };

static double a[MAX * MAX], copy[MAX * MAX], values[MAX], vectors[MAX * MAX], work[2 * MAX];

/* Largest error of sum_i values[i] v_i v_i' = copy and of v_i' v_j = [i = j]. */
static void check_decomposition(size_t n, double scale)
{
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < n; c++) {
            double sum = 0, product = 0;
            for (size_t i = 0; i < n; i++) {
                sum += values[i] * vectors[i * n + r] * vectors[i * n + c];
                product += vectors[r * n + i] * vectors[c * n + i];
            }
            CHECK_NEAR(sum, copy[r * n + c], 1e-14 * (double)(n + 1) * scale);
            CHECK_NEAR(product, r == c, 1e-14 * (double)(n + 1));
        }
}

static void decompose(size_t n)
{
    memcpy(copy, a, n * n * sizeof *a);
    CHECK(fi_eigen_symmetric(n, a, values, vectors, work));
}

TEST(random_matrices_are_put_together_again)
{
    fi_rng rng;
    fi_rng_init(&rng, 1, 0, 0);
    for (size_t n = 0; n <= MAX; n++) {
        for (size_t r = 0; r < n; r++)
            for (size_t c = 0; c <= r; c++) a[r * n + c] = a[c * n + r] = fi_rng_normal(&rng);
        decompose(n);
        check_decomposition(n, 10);
    }
}

static int ascending(const void *x, const void *y)
{
    double p = *(const double *)x, q = *(const double *)y;
    return (p > q) - (p < q);
}

TEST(second_difference_matrix_has_the_known_eigenvalues)
{ /* 2 on the diagonal, -1 beside it: 2 - 2 cos(i pi / (n + 1)) */
    enum { N = 31 };
    memset(a, 0, sizeof a);
    for (size_t i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i > 0) a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    decompose(N);
    check_decomposition(N, 4);
    qsort(values, N, sizeof *values, ascending);
    for (size_t i = 0; i < N; i++) CHECK_NEAR(values[i], 2 - 2 * cos((double)(i + 1) * M_PI / (N + 1)), 1e-14);
}

TEST(multiple_eigenvalues_get_orthonormal_vectors)
{ /* I + ones: n + 1 once, 1 otherwise */
    enum { N = 12 };
    for (size_t i = 0; i < N * N; i++) a[i] = 1 + (i % (N + 1) == 0);
    decompose(N);
    check_decomposition(N, N);
    qsort(values, N, sizeof *values, ascending);
    for (size_t i = 0; i + 1 < N; i++) CHECK_NEAR(values[i], 1, 1e-13);
    CHECK_NEAR(values[N - 1], N + 1, 1e-13);
}

TEST(large_and_tiny_eigenvalues_live_together)
{ /* rank 10 of size 1e4 plus 1e-8 I, as ridge problems with more columns than rows have */
    enum { N = MAX, RANK = 10 };
    static double x[N];
    fi_rng rng;
    fi_rng_init(&rng, 3, 0, 0);
    memset(a, 0, sizeof a);
    for (size_t k = 0; k < RANK; k++) {
        for (size_t i = 0; i < N; i++) x[i] = 100 * fi_rng_normal(&rng);
        for (size_t i = 0; i < N * N; i++) a[i] -= x[i / N] * x[i % N];
    }
    for (size_t i = 0; i < N; i++) a[i * N + i] -= 1e-8;
    decompose(N);
    check_decomposition(N, 1e6);
    size_t small = 0;
    for (size_t i = 0; i < N; i++) small += fabs(values[i]) < 1e-6;
    CHECK_INT(small, N - RANK);
}

TEST(diagonal_and_zero_matrices_are_left_alone)
{
    enum { N = 5 };
    memset(a, 0, sizeof a);
    decompose(N);
    check_decomposition(N, 1);
    for (size_t i = 0; i < N; i++) CHECK(values[i] == 0);
    for (size_t i = 0; i < N; i++) a[i * N + i] = -3 + (double)i;
    decompose(N);
    for (size_t i = 0; i < N; i++) CHECK_NEAR(values[i], -3 + (double)i, 0);
}

TEST(entries_from_1e_minus_300_to_1e150_neither_overflow_nor_vanish)
{
    static const double scales[3] = {1e-300, 1, 1e150};
    fi_rng rng;
    fi_rng_init(&rng, 2, 0, 0);
    for (size_t s = 0; s < 3; s++) {
        enum { N = 9 };
        for (size_t r = 0; r < N; r++)
            for (size_t c = 0; c <= r; c++) a[r * N + c] = a[c * N + r] = scales[s] * fi_rng_normal(&rng);
        decompose(N);
        check_decomposition(N, 10 * scales[s]);
    }
}

TEST(nan_and_infinity_are_reported)
{
    static const double bad[2] = {NAN, INFINITY};
    for (size_t k = 0; k < 2; k++)
        for (size_t n = 1; n < 6; n++) {
            for (size_t i = 0; i < n * n; i++) a[i] = 1 / (double)(1 + i % n + i / n);
            a[n * n - 1] = bad[k];
            CHECK(!fi_eigen_symmetric(n, a, values, vectors, work));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_matrices_are_put_together_again),
        cmocka_unit_test(second_difference_matrix_has_the_known_eigenvalues),
        cmocka_unit_test(multiple_eigenvalues_get_orthonormal_vectors),
        cmocka_unit_test(large_and_tiny_eigenvalues_live_together),
        cmocka_unit_test(diagonal_and_zero_matrices_are_left_alone),
        cmocka_unit_test(entries_from_1e_minus_300_to_1e150_neither_overflow_nor_vanish),
        cmocka_unit_test(nan_and_infinity_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
