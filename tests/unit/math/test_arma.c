/* ARMA recursions against dense algebra: covariances, likelihood, adjoint, the maps of coefficients. */
#include "base/alloc.h"
#include "base/rng.h"
#include "check.h"
#include "math/arma.h"
#include "math/distributions.h"
#include "math/linalg.h"

enum { N = 60, FAR = 4000 };

static fi_rng rng;

/* Coefficients of a stationary or invertible polynomial. */
static void random_part(size_t n, double *out, double sign)
{
    for (size_t i = 0; i < n; i++) out[i] = 1.8 * (fi_rng_uniform(&rng) - 0.5);
    fi_partial_to_ar(out, n, out);
    for (size_t i = 0; i < n; i++) out[i] *= sign;
}

static fi_arma random_arma(size_t p, size_t q, size_t P, size_t Q, size_t m)
{
    double ar[4] = {0}, ma[4] = {0}, AR[2] = {0}, MA[2] = {0};
    fi_arma arma;
    random_part(p, ar, 1);
    random_part(q, ma, -1);
    random_part(P, AR, 1);
    random_part(Q, MA, -1);
    fi_lags_multiply(ar, p, AR, P, m, -1, &arma.ar);
    fi_lags_multiply(ma, q, MA, Q, m, 1, &arma.ma);
    return arma;
}

/* Autocovariances gamma [count] from a long run of psi weights. */
static void brute_covariances(const fi_arma *arma, double *gamma, size_t count)
{
    static double psi[FAR];
    for (size_t j = 0; j < FAR; j++) {
        psi[j] = j == 0;
        for (size_t k = 0; k < arma->ma.n; k++) psi[j] += arma->ma.lag[k] == j ? arma->ma.c[k] : 0;
        for (size_t k = 0; k < arma->ar.n; k++)
            if (arma->ar.lag[k] <= j) psi[j] += arma->ar.c[k] * psi[j - arma->ar.lag[k]];
    }
    for (size_t l = 0; l < count; l++) gamma[l] = fi_dot(psi, psi + l, FAR - l);
}

static const size_t orders[][5] = {{1, 0, 0, 0, 1}, {0, 1, 0, 0, 1}, {2, 1, 0, 0, 1}, {0, 0, 0, 0, 1}, {3, 2, 0, 0, 1},
                                   {0, 1, 0, 1, 4}, {1, 0, 1, 0, 4}, {2, 1, 1, 1, 6}, {1, 3, 2, 1, 5}, {0, 2, 1, 2, 7}};
enum { ORDERS = sizeof orders / sizeof *orders };

TEST(the_exact_likelihood_is_that_of_the_dense_gaussian)
{
    fi_rng_init(&rng, 3, 0, 0);
    for (size_t i = 0; i < ORDERS; i++) {
        const size_t *o = orders[i];
        fi_arma arma = random_arma(o[0], o[1], o[2], o[3], o[4]);
        double gamma[N], V[N * N], w[2 * N], e[2 * N], z[2 * N], log_det, dense = 0;
        fi_arma_work work;
        brute_covariances(&arma, gamma, N);
        for (size_t r = 0; r < N; r++)
            for (size_t c = 0; c < N; c++) V[r * N + c] = gamma[r > c ? r - c : c - r];
        CHECK_INT(fi_cholesky(V, N, N, 0), 0);
        for (size_t t = 0; t < 2 * N; t++) w[t] = z[t] = fi_rng_normal(&rng);
        for (size_t j = 0; j < 2; j++) fi_solve_lower(V, N, N, z + j * N);
        for (size_t t = 0; t < N; t++) dense += 2 * log(V[t * N + t]);
        CHECK_INT(fi_arma_work_init(&work, N, fi_arma_dimension(&arma), 2, NULL), FTL_OK);
        CHECK(fi_arma_exact(&arma, w, N, 2, N, e, &log_det, &work));
        CHECK_CLOSE(log_det, dense, 1e-10);
        for (size_t t = 0; t < 2 * N; t++) CHECK_NEAR(e[t], z[t], 1e-9); /* the factor is unique: so are they */
        fi_arma_work_release(&work);
    }
}

TEST(covariances_of_the_state_are_those_of_its_definition)
{
    fi_rng_init(&rng, 4, 0, 0);
    for (size_t i = 0; i < ORDERS; i++) {
        const size_t *o = orders[i];
        fi_arma arma = random_arma(o[0], o[1], o[2], o[3], o[4]);
        double gamma[N], column[N];
        fi_arma_work work;
        CHECK_INT(fi_arma_work_init(&work, N, fi_arma_dimension(&arma), 1, NULL), FTL_OK);
        CHECK(fi_arma_covariance(&arma, column, &work));
        brute_covariances(&arma, gamma, N);
        CHECK_CLOSE(column[0], gamma[0], 1e-11);
        /* E[w_t w_{t+h}] = column carried h steps by the transition, seen in its first element */
        for (size_t h = 1; h < 12; h++) {
            double first = column[0];
            size_t r = fi_arma_dimension(&arma);
            for (size_t j = 0; j < r; j++) column[j] = j + 1 < r ? column[j + 1] : 0;
            for (size_t k = 0; k < arma.ar.n; k++) column[arma.ar.lag[k] - 1] += arma.ar.c[k] * first;
            CHECK_NEAR(column[0], gamma[h], 1e-11 * gamma[0]);
        }
        fi_arma_work_release(&work);
    }
}

TEST(residuals_solve_the_equation_and_the_adjoint_is_their_transpose)
{
    fi_rng_init(&rng, 5, 0, 0);
    for (size_t i = 0; i < ORDERS; i++) {
        const size_t *o = orders[i];
        fi_arma arma = random_arma(o[0], o[1], o[2], o[3], o[4]), ma_only = arma;
        double w[N], e[N], u[N], g[N];
        size_t start = arma.ar.degree;
        for (size_t t = 0; t < N; t++) w[t] = fi_rng_normal(&rng), g[t] = t < start ? 0 : fi_rng_normal(&rng);
        fi_arma_residuals(&arma, w, N, start, e);
        for (size_t t = 0; t < start; t++) CHECK(e[t] == 0);
        for (size_t t = start; t < N; t++) {
            double sum = e[t];
            for (size_t k = 0; k < arma.ar.n; k++) sum += arma.ar.c[k] * w[t - arma.ar.lag[k]];
            for (size_t k = 0; k < arma.ma.n; k++)
                if (arma.ma.lag[k] <= t) sum += arma.ma.c[k] * e[t - arma.ma.lag[k]];
            CHECK_NEAR(sum, w[t], 1e-11);
        }
        ma_only.ar = (fi_lags){0};
        fi_arma_residuals(&ma_only, w, N, start, e);
        fi_arma_adjoint(&arma.ma, g, N, start, u);
        CHECK_NEAR(fi_dot(g, e, N), fi_dot(u + start, w + start, N - start), 1e-10);
    }
}

TEST(products_and_their_derivatives_agree)
{
    double a[2] = {0.4, -0.3}, b[2] = {0.5, 0.2}, weight[FI_LAGS_MAX], da[2] = {0}, db[2] = {0};
    fi_lags lags;
    fi_lags_multiply(a, 2, b, 2, 12, -1, &lags);
    CHECK_INT(lags.n, 8);
    CHECK_INT(lags.degree, 26);
    CHECK_INT(lags.lag[7], 26);
    CHECK_NEAR(lags.c[7], 0.06, 1e-15); /* (1 - .4 B + .3 B^2)(1 - .5 B^12 - .2 B^24) */
    for (size_t k = 0; k < lags.n; k++) weight[k] = (double)(k + 1);
    fi_lags_chain(a, 2, b, 2, -1, weight, da, db);
    double *x[4] = {&a[0], &a[1], &b[0], &b[1]};
    for (size_t i = 0; i < 4; i++) {
        double sides[2], keep = *x[i];
        for (size_t s = 0; s < 2; s++) {
            *x[i] = keep + (s ? 1e-4 : -1e-4);
            fi_lags_multiply(a, 2, b, 2, 12, -1, &lags);
            sides[s] = fi_dot(weight, lags.c, lags.n);
        }
        *x[i] = keep;
        CHECK_NEAR(i < 2 ? da[i] : db[i - 2], (sides[1] - sides[0]) / 2e-4, 1e-9);
    }
}

TEST(partial_autocorrelations_go_both_ways_and_know_stationarity)
{
    const double partial[5] = {0.9, -0.5, 0.3, -0.99, 0.1}, unit[2] = {0.5, 0.5}, beyond[1] = {1.01};
    double phi[5], back[5];
    fi_partial_to_ar(partial, 5, phi);
    CHECK(fi_ar_to_partial(phi, 5, back));
    for (size_t i = 0; i < 5; i++) CHECK_NEAR(back[i], partial[i], 1e-12);
    CHECK(!fi_ar_to_partial(unit, 2, back));
    CHECK(!fi_ar_to_partial(beyond, 1, back));
    CHECK(fi_ar_to_partial(NULL, 0, NULL) && fi_ar_roots_beyond(NULL, 0, 1.01));
    const double near[1] = {1 / 1.005};
    CHECK(fi_ar_roots_beyond(near, 1, 1.0) && !fi_ar_roots_beyond(near, 1, 1.01));
}

TEST(inversion_keeps_the_autocorrelations)
{
    double one[1] = {-4}, done[3] = {-0.5, 0.2, 0}, with_zero[3] = {2.5, 1, 0};
    fi_ma_invert(one, 1);
    CHECK_NEAR(one[0], -0.25, 1e-15);
    fi_ma_invert(done, 3);
    CHECK(done[0] == -0.5 && done[1] == 0.2 && done[2] == 0);
    fi_ma_invert(with_zero, 3); /* (1 + 2 z)(1 + z / 2) becomes (1 + z / 2)^2 */
    CHECK_NEAR(with_zero[0], 1, 1e-7);
    CHECK_NEAR(with_zero[1], 0.25, 1e-7);
    fi_rng_init(&rng, 6, 0, 0);
    for (size_t round = 0; round < 200; round++) {
        double theta[6] = {1}, before[6] = {1}, negative[5], scale[2] = {0, 0};
        for (size_t i = 1; i < 6; i++) before[i] = theta[i] = 4 * (fi_rng_uniform(&rng) - 0.5);
        fi_ma_invert(theta + 1, 5);
        for (size_t i = 0; i < 5; i++) negative[i] = -theta[i + 1] / pow(1.0001, (double)i + 1);
        CHECK(fi_ar_to_partial(negative, 5, negative));
        for (size_t l = 0; l < 6; l++) {
            double x = fi_dot(before, before + l, 6 - l), y = fi_dot(theta, theta + l, 6 - l);
            if (l == 0) scale[0] = x, scale[1] = y;
            CHECK_NEAR(x / scale[0], y / scale[1], 1e-9);
        }
    }
}

TEST(what_is_not_stationary_is_refused)
{
    double phi[1] = {1}, w[4] = {1, 2, 3, 4}, e[4], log_det;
    fi_arma arma;
    fi_arma_work work;
    fi_lags_multiply(phi, 1, NULL, 0, 1, -1, &arma.ar);
    arma.ma = (fi_lags){0};
    CHECK_INT(fi_arma_work_init(&work, 4, 1, 1, NULL), FTL_OK);
    CHECK(!fi_arma_exact(&arma, w, 4, 1, 4, e, &log_det, &work));
    fi_arma_work_release(&work);
    fi_alloc_fail_after(0);
    CHECK_INT(fi_arma_work_init(&work, 4, 1, 1, NULL), FTL_ENOMEM);
    fi_alloc_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_likelihood_is_that_of_the_dense_gaussian),
        cmocka_unit_test(covariances_of_the_state_are_those_of_its_definition),
        cmocka_unit_test(residuals_solve_the_equation_and_the_adjoint_is_their_transpose),
        cmocka_unit_test(products_and_their_derivatives_agree),
        cmocka_unit_test(partial_autocorrelations_go_both_ways_and_know_stationarity),
        cmocka_unit_test(inversion_keeps_the_autocorrelations),
        cmocka_unit_test(what_is_not_stationary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
