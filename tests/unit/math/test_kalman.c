/* The filter with gaps and differences against dense algebra and against the fast likelihood. */
#include "base/alloc.h"
#include "base/rng.h"
#include "check.h"
#include "math/distributions.h"
#include "math/kalman.h"
#include "math/linalg.h"

enum { N = 48 };

static fi_arma seasonal_arma(void)
{
    const double ar[1] = {0.6}, ma[1] = {-0.3}, MA[1] = {-0.5};
    fi_arma arma;
    fi_lags_multiply(ar, 1, NULL, 0, 4, -1, &arma.ar);
    fi_lags_multiply(ma, 1, MA, 1, 4, 1, &arma.ma);
    return arma;
}

static void noise(double *y, size_t n, uint64_t seed)
{
    fi_rng rng;
    fi_rng_init(&rng, seed, 0, 0);
    for (size_t t = 0; t < n; t++) y[t] = fi_rng_normal(&rng);
}

typedef struct machine {
    fi_arma arma;
    fi_lags diff;
    fi_kalman kalman;
    fi_arma_work work;
    double v[2 * N], F[N];
} machine;

static void build(machine *k, size_t d, size_t D)
{
    k->arma = seasonal_arma();
    fi_difference_lags(d, D, 4, &k->diff);
    CHECK_INT(fi_kalman_init(&k->kalman, fi_arma_dimension(&k->arma) + k->diff.degree, 2, NULL), FTL_OK);
    CHECK_INT(fi_arma_work_init(&k->work, N, fi_arma_dimension(&k->arma), 1, NULL), FTL_OK);
}

static void tear_down(machine *k)
{
    fi_kalman_release(&k->kalman);
    fi_arma_work_release(&k->work);
}

static bool run(machine *k, const double *y, size_t columns)
{
    return fi_kalman_filter(&k->kalman, &k->arma, &k->diff, y, N, columns, N, k->v, k->F, &k->work);
}

/* Sums behind the likelihood: of squares over F and of log F, leaving diffuse and missing rows out. */
static void sums(const machine *k, double *squares, double *log_det, size_t *count)
{
    *squares = *log_det = 0;
    *count = 0;
    for (size_t t = 0; t < N; t++) {
        if (!(k->F[t] < FI_KALMAN_DIFFUSE)) continue;
        *squares += k->v[t] * k->v[t] / k->F[t];
        *log_det += log(k->F[t]);
        ++*count;
    }
}

TEST(differences_are_binomials)
{
    const double y[8] = {1, 4, 9, 16, 25, 36, 49, 64};
    double w[8];
    fi_lags diff;
    fi_difference_lags(2, 0, 1, &diff);
    fi_difference(&diff, y, 8, w);
    for (size_t t = 0; t < 6; t++) CHECK(w[t] == 2);
    fi_difference_lags(1, 1, 4, &diff); /* y_t - y_{t-1} - y_{t-4} + y_{t-5} */
    CHECK_INT(diff.degree, 5);
    fi_difference(&diff, y, 8, w);
    CHECK(w[0] == 36 - 25 - 4 + 1);
}

TEST(without_gaps_it_is_the_fast_likelihood)
{
    machine k;
    double y[2 * N], e[N], log_det, squares, logs;
    size_t count;
    build(&k, 0, 0);
    noise(y, 2 * N, 1);
    CHECK(run(&k, y, 2));
    CHECK(fi_arma_exact(&k.arma, y, N, 1, N, e, &log_det, &k.work));
    for (size_t t = 0; t < N; t++) CHECK_NEAR(k.v[t] / sqrt(k.F[t]), e[t], 1e-10);
    sums(&k, &squares, &logs, &count);
    CHECK_INT(count, N);
    CHECK_NEAR(logs, log_det, 1e-10);
    CHECK(fi_arma_exact(&k.arma, y + N, N, 1, N, e, &log_det, &k.work));
    for (size_t t = 0; t < N; t++) CHECK_NEAR(k.v[N + t] / sqrt(k.F[t]), e[t], 1e-10);
    tear_down(&k);
}

/* Covariance of two rows of the process, by its impulse response. */
static double covariance(const fi_arma *arma, size_t lag)
{
    enum { FAR = 400 };
    double psi[FAR], sum = 0;
    for (size_t j = 0; j < FAR; j++) {
        psi[j] = j == 0;
        for (size_t i = 0; i < arma->ma.n; i++) psi[j] += arma->ma.lag[i] == j ? arma->ma.c[i] : 0;
        for (size_t i = 0; i < arma->ar.n; i++)
            if (arma->ar.lag[i] <= j) psi[j] += arma->ar.c[i] * psi[j - arma->ar.lag[i]];
    }
    for (size_t j = 0; j + lag < FAR; j++) sum += psi[j] * psi[j + lag];
    return sum;
}

TEST(gaps_leave_rows_out_of_the_dense_gaussian)
{
    machine k;
    double y[N], z[N], V[N * N], squares, logs, dense = 0;
    size_t rows[N], n = 0, count;
    build(&k, 0, 0);
    noise(y, N, 2);
    for (size_t t = 0; t < N; t++) {
        if (t == 0 || t % 7 == 3 || (t > 25 && t < 33)) y[t] = NAN;
        if (!isnan(y[t])) rows[n] = t, z[n++] = y[t];
    }
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < n; c++) {
            size_t a = rows[r], b = rows[c];
            V[r * N + c] = covariance(&k.arma, a > b ? a - b : b - a);
        }
    CHECK_INT(fi_cholesky(V, n, N, 0), 0);
    fi_solve_lower(V, n, N, z);
    for (size_t r = 0; r < n; r++) dense += 2 * log(V[r * N + r]);
    CHECK(run(&k, y, 1));
    sums(&k, &squares, &logs, &count);
    CHECK_INT(count, n);
    CHECK_NEAR(logs, dense, 1e-9);
    CHECK_NEAR(squares, fi_dot(z, z, n), 1e-9);
    for (size_t r = 0; r < n; r++) CHECK_NEAR(k.v[rows[r]] / sqrt(k.F[rows[r]]), z[r], 1e-9);
    tear_down(&k);
}

TEST(differences_within_the_filter_are_differences_before_it)
{
    machine k;
    double y[N], w[N], e[N], log_det, squares, logs, sum = 0;
    size_t count;
    build(&k, 1, 1);
    noise(y, N, 3);
    for (size_t t = 1; t < N; t++) y[t] += y[t - 1];
    for (size_t t = 4; t < N; t++) y[t] += y[t - 4];
    fi_difference(&k.diff, y, N, w);
    CHECK(run(&k, y, 1));
    sums(&k, &squares, &logs, &count);
    CHECK_INT(count, N - 5);
    CHECK(fi_arma_exact(&k.arma, w, N, 1, N - 5, e, &log_det, &k.work));
    for (size_t t = 0; t < N - 5; t++) sum += e[t] * e[t];
    CHECK_CLOSE(squares, sum, 1e-3); /* a diffuse prior of 1e6 is not quite flat */
    CHECK_NEAR(logs, log_det, 1e-3);
    tear_down(&k);
}

TEST(a_gap_at_the_end_spreads_as_the_process_does)
{ /* after h missing rows what is uncertain of the next value, its own innovation aside, is that of h + 1 steps ahead */
    machine k;
    double y[N], psi = 1, variance = 0;
    build(&k, 0, 0);
    k.arma.ma = (fi_lags){0}; /* AR(1): psi_j = 0.6^j */
    noise(y, N, 4);
    for (size_t t = N - 3; t < N; t++) y[t] = NAN;
    fi_kalman_release(&k.kalman);
    CHECK_INT(fi_kalman_init(&k.kalman, 1, 1, NULL), FTL_OK);
    CHECK(run(&k, y, 1));
    for (size_t j = 1; j <= 3; j++) {
        psi *= 0.6;
        variance += psi * psi;
    }
    CHECK(!k.kalman.known);
    CHECK_NEAR(k.kalman.P[0], variance, 1e-12);
    CHECK_NEAR(k.kalman.state[0], y[N - 4] * 0.6 * 0.6 * 0.6 * 0.6, 1e-12);
    y[N - 1] = 1;
    CHECK(run(&k, y, 1));
    CHECK(k.kalman.known && k.kalman.P[0] == 0);
    tear_down(&k);
}

TEST(lack_of_memory_is_reported)
{
    fi_kalman k;
    fi_alloc_fail_after(0);
    CHECK_INT(fi_kalman_init(&k, 5, 1, NULL), FTL_ENOMEM);
    fi_alloc_fail_after(-1);
    fi_kalman_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_binomials),
        cmocka_unit_test(without_gaps_it_is_the_fast_likelihood),
        cmocka_unit_test(gaps_leave_rows_out_of_the_dense_gaussian),
        cmocka_unit_test(differences_within_the_filter_are_differences_before_it),
        cmocka_unit_test(a_gap_at_the_end_spreads_as_the_process_does),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
