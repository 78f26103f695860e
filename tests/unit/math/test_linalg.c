#include "check.h"

#include "base/rng.h"
#include "math/distributions.h"
#include "math/kernels.h"
#include "math/linalg.h"

static void fill(fi_rng *rng, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = fi_rng_normal(rng);
}

TEST(cholesky_reproduces_its_matrix_and_solves)
{
    enum { N = 37 };
    static double B[N * N], A[N * N], L[N * N];
    double x[N], y[N];
    fi_rng rng;
    fi_rng_init(&rng, 1, 0, 0);
    fill(&rng, B, N * N);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) A[i * N + j] = fi_dot(B + i * N, B + j * N, N) + (i == j);
    memcpy(L, A, sizeof L);
    CHECK_INT(fi_cholesky(L, N, N, 1e-15), 0);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j <= i; j++) CHECK_NEAR(fi_dot(L + i * N, L + j * N, j + 1), A[i * N + j], 1e-11);
    fill(&rng, x, N);
    for (size_t i = 0; i < N; i++) y[i] = fi_dot(A + i * N, x, N);
    fi_solve_lower(L, N, N, y);
    fi_solve_lower_transposed(L, N, N, y);
    for (size_t i = 0; i < N; i++) CHECK_NEAR(y[i], x[i], 1e-9);
}

TEST(cholesky_appends_rows_to_a_factor)
{
    enum { N = 12 };
    double A[N * N], whole[N * N], parts[N * N];
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) A[i * N + j] = 1.0 / (double)(i + j + 1) + (i == j);
    memcpy(whole, A, sizeof A);
    memcpy(parts, A, sizeof A);
    fi_cholesky(whole, N, N, 0);
    fi_cholesky_rows(parts, 0, 5, N, 0);
    fi_cholesky_rows(parts, 5, N, N, 0);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j <= i; j++) CHECK(whole[i * N + j] == parts[i * N + j]);
}

TEST(cholesky_drops_a_dependent_column)
{
    double A[9] = {1, 1, 0, 1, 1, 0, 0, 0, 2}, x[3] = {3, 3, 4};
    CHECK_INT(fi_cholesky(A, 3, 3, 1e-15), 1);
    fi_solve_lower(A, 3, 3, x);
    fi_solve_lower_transposed(A, 3, 3, x);
    CHECK_NEAR(x[0], 3, 1e-15);
    CHECK_NEAR(x[1], 0, 1e-15);
    CHECK_NEAR(x[2], 2, 1e-15);
}

TEST(condition_estimate_of_a_diagonal_matrix)
{
    double L[16] = {0}, work[8];
    const double diagonal[4] = {1e4, 1.0, 3.0, 1e-2};
    for (int i = 0; i < 4; i++) L[i * 5] = sqrt(diagonal[i]);
    CHECK_CLOSE(fi_cholesky_condition(L, 4, 4, work) / 1e6, 1.0, 0.05);
}

TEST(qr_is_orthogonal_and_reproduces_its_matrix)
{
    enum { M = 23, N = 9 };
    double A[M * N], copy[M * N], tau[N], x[M];
    fi_rng rng;
    fi_rng_init(&rng, 2, 0, 0);
    fill(&rng, A, M * N);
    memset(A + 3 * M, 0, M * sizeof *A); /* a column of zeros */
    memcpy(copy, A, sizeof A);
    fi_qr(A, M, N, M, tau);
    for (size_t j = 0; j < N; j++) { /* Q times column j of R */
        memset(x, 0, sizeof x);
        memcpy(x, A + j * M, (j + 1) * sizeof *x);
        fi_qr_apply(A, M, N, M, tau, 0, x);
        for (size_t i = 0; i < M; i++) CHECK_NEAR(x[i], copy[j * M + i], 1e-13);
    }
    double before[M];
    fill(&rng, x, M);
    memcpy(before, x, sizeof x);
    fi_qr_apply(A, M, N, M, tau, 1, x);
    CHECK_NEAR(fi_dot(x, x, M), fi_dot(before, before, M), 1e-11);
    fi_qr_apply(A, M, N, M, tau, 0, x);
    for (size_t i = 0; i < M; i++) CHECK_NEAR(x[i], before[i], 1e-13);
}

/* Every kernel set against plain loops, on awkward shapes. */
TEST(kernels_agree_with_plain_loops)
{
    static const size_t shapes[][2] = {{1, 1}, {7, 3}, {8, 4}, {33, 5}, {513, 13}, {1025, 26}, {64, 0}, {2, 9}};
    static double X[1025 * 26], w[1025], G[26 * 26], out[26], y[1025], coef[26];
    fi_rng rng;
    fi_rng_init(&rng, 3, 0, 0);
    for (const fi_kernels *const *set = fi_kernels_all(); *set; set++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            size_t n = shapes[s][0], k = shapes[s][1];
            double bound = 1e-13 * (double)(n + 10);
            fill(&rng, X, n * k);
            fill(&rng, w, n);
            fill(&rng, coef, k);
            (*set)->gram(X, n, n, k, G, 26);
            (*set)->dots(X, n, n, k, w, out);
            memcpy(y, w, n * sizeof *y);
            (*set)->combine(X, n, n, k, coef, y);
            for (size_t i = 0; i < k; i++) {
                for (size_t j = 0; j < k; j++) CHECK_NEAR(G[i * 26 + j], fi_dot(X + i * n, X + j * n, n), bound);
                CHECK_NEAR(out[i], fi_dot(X + i * n, w, n), bound);
            }
            for (size_t i = 0; i < n; i++) {
                double expected = w[i];
                for (size_t j = 0; j < k; j++) expected += coef[j] * X[j * n + i];
                CHECK_NEAR(y[i], expected, 1e-13);
            }
        }
}

TEST(small_kernels_agree_with_plain_loops)
{
    enum { R = 21, S = 19, PAD = 24 };
    static double L[R * R], W[R * PAD], before[R * PAD], C[S * PAD], C0[S * PAD];
    fi_rng rng;
    for (const fi_kernels *const *set = fi_kernels_all(); *set; set++) {
        fi_rng_init(&rng, 4, 0, 0);
        fill(&rng, L, R * R);
        for (size_t i = 0; i < R; i++) L[i * R + i] = 4.0 + fabs(L[i * R + i]);
        memset(W, 0, sizeof W);
        memset(C, 0, sizeof C);
        for (size_t i = 0; i < R; i++) fill(&rng, W + i * PAD, S);
        for (size_t i = 0; i < S; i++)
            for (size_t j = 0; j <= i; j++) C[i * PAD + j] = C[j * PAD + i] = fi_rng_normal(&rng);
        memcpy(before, W, sizeof W);
        memcpy(C0, C, sizeof C);
        (*set)->solve_rows(L, R, R, W, PAD);
        for (size_t i = 0; i < R; i++)
            for (size_t j = 0; j < S; j++) {
                double product = 0;
                for (size_t k = 0; k <= i; k++) product += L[i * R + k] * W[k * PAD + j];
                CHECK_NEAR(product, before[i * PAD + j], 1e-12);
            }
        (*set)->schur(C, S, W, R, PAD);
        for (size_t i = 0; i < S; i++)
            for (size_t j = 0; j < S; j++) {
                double expected = C0[i * PAD + j];
                for (size_t k = 0; k < R; k++) expected -= W[k * PAD + i] * W[k * PAD + j];
                CHECK_NEAR(C[i * PAD + j], expected, 1e-12);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cholesky_reproduces_its_matrix_and_solves),
        cmocka_unit_test(cholesky_appends_rows_to_a_factor),
        cmocka_unit_test(cholesky_drops_a_dependent_column),
        cmocka_unit_test(condition_estimate_of_a_diagonal_matrix),
        cmocka_unit_test(qr_is_orthogonal_and_reproduces_its_matrix),
        cmocka_unit_test(kernels_agree_with_plain_loops),
        cmocka_unit_test(small_kernels_agree_with_plain_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
