/* Stan's optimisers: the target they see, how they start and end, and what they do when it goes wrong. */
#include "base/alloc.h"
#include "base/rng.h"
#include "check.h"
#include "math/distributions.h"
#include "prophet/stan.h"

enum { T = 150, S = 5, K = 4, D = 3 + S + K };

/* A line with one bend, a wave in two columns, a column of noise and an empty one; noise of sigma 0.05. */
typedef struct sample {
    double y[T], t[T], cap[T], s[S], X[K * T], sigmas[K], workspace[3 * T];
    bool multiplicative[K];
    prophet_problem p;
    double delta[S], beta[K];
    prophet_point x;
    prophet_certificate cert;
} sample;

static void sample_init(sample *r, prophet_growth growth, bool multiplicative, size_t n)
{
    fi_rng rng;
    fi_rng_init(&rng, 11, 0, 0);
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / (double)(n - 1), *column = r->X + i;
        column[0] = sin(40 * t);
        column[n] = cos(40 * t);
        column[2 * n] = fi_rng_normal(&rng);
        column[3 * n] = 0;
        r->t[i] = t;
        r->cap[i] = 1.5;
        r->y[i] = 0.3 + 0.5 * t + (t > 0.5 ? 0.6 * (t - 0.5) : 0) + 0.1 * column[0] - 0.05 * column[n] +
                  0.05 * fi_rng_normal(&rng);
    }
    for (size_t j = 0; j < S; j++) r->s[j] = (double)(j + 1) / (S + 1);
    for (size_t j = 0; j < K; j++) {
        r->sigmas[j] = 10;
        r->multiplicative[j] = multiplicative;
    }
    r->p = (prophet_problem){n, S, K, growth, 0.05, r->y, r->t, r->cap, r->s, r->X, r->sigmas, r->multiplicative};
    r->x = (prophet_point){.delta = r->delta, .beta = r->beta};
}

static ftl_status solve(sample *r, prophet_algorithm algorithm, int64_t max_iterations, bool warm)
{
    return prophet_solve_stan(&r->p, algorithm, max_iterations, warm, &r->x, &r->cert, NULL);
}

/* Evaluations through the target agree with the log posterior, whether rows were condensed or not. */
TEST(target_is_the_log_posterior)
{
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++)
        for (int multiplicative = 0; multiplicative < 2; multiplicative++)
            for (size_t n = 5; n <= T; n += T - 5) { /* fewer rows than columns, and two blocks of rows */
                sample r;
                stan_target target;
                double theta[D], grad[D], expected[D], lp;
                fi_rng rng;
                sample_init(&r, (prophet_growth)growth, multiplicative, n);
                CHECK_INT(stan_target_init(&target, &r.p, NULL), FTL_OK);
                CHECK((target.q > 0) == (growth != PROPHET_LOGISTIC && !multiplicative && n == T));
                fi_rng_init(&rng, 12, 0, 0);
                for (size_t d = 0; d < D; d++) theta[d] = 0.3 * fi_rng_normal(&rng);
                prophet_point x = {theta[0], theta[1], exp(theta[2 + S]), theta + 2, theta + 3 + S};
                CHECK(stan_target_evaluate(&target, theta, &lp, grad));
                CHECK_CLOSE(lp, prophet_log_posterior(&r.p, &x, expected, r.workspace), 1e-12);
                for (size_t d = 0; d < D; d++) CHECK_CLOSE(grad[d], expected[d], 1e-11);
                theta[2 + S] = -1000; /* sigma = 0 */
                CHECK(!stan_target_evaluate(&target, theta, &lp, grad));
                stan_target_release(&target);
            }
}

TEST(both_algorithms_climb_to_the_same_top)
{
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++)
        for (int multiplicative = 0; multiplicative < 2; multiplicative++) {
            sample newton, lbfgs;
            sample_init(&newton, (prophet_growth)growth, multiplicative, T);
            sample_init(&lbfgs, (prophet_growth)growth, multiplicative, T);
            CHECK_INT(solve(&newton, PROPHET_NEWTON, 10000, false), FTL_OK);
            CHECK_INT(solve(&lbfgs, PROPHET_LBFGS, 10000, false), FTL_OK);
            CHECK(newton.cert.converged && lbfgs.cert.converged);
            CHECK_CONTAINS(newton.cert.stop, "Newton: ");
            CHECK_CONTAINS(lbfgs.cert.stop, "L-BFGS: ");
            double short_of = newton.cert.stan_log_posterior - lbfgs.cert.stan_log_posterior;
            CHECK(short_of > -1e-3 && short_of < 5); /* L-BFGS halts on the kinks of the prior, Newton hardly */
            CHECK_NEAR(newton.x.sigma, lbfgs.x.sigma, 0.005);
            CHECK_NEAR(newton.cert.stan_log_posterior,
                       prophet_log_posterior(&newton.p, &newton.x, NULL, newton.workspace), 0);
            CHECK_NEAR(newton.x.beta[K - 1], 0, 0); /* the empty column */
            if (growth != PROPHET_LINEAR || multiplicative) continue;
            CHECK_NEAR(newton.x.sigma, 0.05, 0.01);
            CHECK_NEAR(newton.x.beta[0], 0.1, 0.02);
            CHECK_NEAR(newton.x.beta[1], -0.05, 0.02);
        }
}

TEST(auto_is_newton_below_100_rows)
{
    sample r;
    sample_init(&r, PROPHET_LINEAR, false, 99);
    CHECK_INT(solve(&r, PROPHET_AUTO, 10000, false), FTL_OK);
    CHECK_CONTAINS(r.cert.stop, "Newton: ");
    sample_init(&r, PROPHET_LINEAR, false, 100);
    CHECK_INT(solve(&r, PROPHET_AUTO, 10000, false), FTL_OK);
    CHECK_CONTAINS(r.cert.stop, "L-BFGS: ");
}

TEST(the_iteration_limit_is_kept_and_told)
{
    for (int algorithm = PROPHET_LBFGS; algorithm <= PROPHET_NEWTON; algorithm++) {
        sample r;
        sample_init(&r, PROPHET_LINEAR, false, T);
        CHECK_INT(solve(&r, (prophet_algorithm)algorithm, 3, false), FTL_OK);
        CHECK_INT(r.cert.iterations, 3);
        CHECK(!r.cert.converged);
        CHECK_CONTAINS(r.cert.stop, "iteration limit reached");
    }
}

TEST(a_warm_start_begins_where_the_last_fit_ended)
{
    sample r;
    sample_init(&r, PROPHET_LINEAR, false, T);
    CHECK_INT(solve(&r, PROPHET_NEWTON, 10000, false), FTL_OK);
    double lp = r.cert.stan_log_posterior;
    size_t cold = r.cert.iterations;
    CHECK_INT(solve(&r, PROPHET_NEWTON, 10000, true), FTL_OK);
    CHECK(r.cert.iterations < cold / 2);
    CHECK(r.cert.stan_log_posterior > lp - 1e-9);
    CHECK_NEAR(r.cert.stan_log_posterior, lp, 1e-4);
}

/* An empty column is taken out before the search; a column that is almost empty is not, and must change as little. */
TEST(empty_columns_do_not_change_the_fit)
{
    sample r, q;
    sample_init(&r, PROPHET_LINEAR, false, T);
    sample_init(&q, PROPHET_LINEAR, false, T);
    q.p.K--;
    CHECK_INT(solve(&r, PROPHET_NEWTON, 10000, false), FTL_OK);
    CHECK_INT(solve(&q, PROPHET_NEWTON, 10000, false), FTL_OK);
    CHECK_NEAR(r.cert.stan_log_posterior, q.cert.stan_log_posterior, 0);
    CHECK_INT(r.cert.iterations, q.cert.iterations);
    sample_init(&r, PROPHET_LINEAR, false, T);
    r.X[(K - 1) * T] = 1e-200;
    CHECK_INT(solve(&r, PROPHET_NEWTON, 10000, false), FTL_OK);
    CHECK_NEAR(r.cert.stan_log_posterior, q.cert.stan_log_posterior, 1e-6);
}

enum { ROWS = 30, WIDE = 100 }; /* more columns than rows can tell apart, most with few entries, some empty */

static double wide_X[WIDE * ROWS], wide_sigmas[WIDE], wide_beta[2][WIDE];
static bool wide_multiplicative[WIDE];

/* Solves with prior scales 0.002; `apart` makes each different, by parts in 1e12, so that no two can be condensed. */
static prophet_point solve_wide(sample *r, prophet_algorithm algorithm, bool apart, double *beta)
{
    fi_rng rng;
    fi_rng_init(&rng, 13, 0, 0);
    sample_init(r, PROPHET_LINEAR, false, ROWS);
    for (size_t j = 0; j < WIDE; j++) {
        wide_sigmas[j] = 0.002 * (1 + (apart ? 1e-12 * (double)j : 0));
        wide_multiplicative[j] = j % 5 == 4; /* 20 of them: fewer than rows, left alone */
        for (size_t i = 0; i < ROWS; i++)
            wide_X[j * ROWS + i] = j % 7 != 3 && fi_rng_uniform(&rng) < 0.2 ? fi_rng_normal(&rng) : 0;
    }
    r->p.K = WIDE;
    r->p.X = wide_X;
    r->p.sigmas = wide_sigmas;
    r->p.multiplicative = wide_multiplicative;
    r->x.beta = beta;
    CHECK_INT(solve(r, algorithm, 10000, false), FTL_OK);
    return r->x;
}

TEST(more_columns_than_rows_are_condensed_and_the_fit_is_the_same)
{
    sample condensed, plain;
    prophet_columns columns;
    double z[WIDE], back[WIDE];
    solve_wide(&condensed, PROPHET_NEWTON, false, wide_beta[0]);
    CHECK_INT(prophet_columns_init(&columns, &condensed.p, NULL), FTL_OK);
    CHECK_INT(columns.n_groups, 1);
    CHECK_INT(columns.p.K, ROWS + 17); /* 20 multiplicative columns, 3 of them empty */
    prophet_columns_condense(&columns, wide_beta[0], z);
    prophet_columns_expand(&columns, z, back);
    for (size_t j = 0; j < WIDE; j++) CHECK_NEAR(back[j], wide_beta[0][j], 1e-15);
    prophet_columns_release(&columns);

    solve_wide(&plain, PROPHET_NEWTON, true, wide_beta[1]);
    CHECK_INT(prophet_columns_init(&columns, &plain.p, NULL), FTL_OK);
    CHECK_INT(columns.n_groups, 0);
    prophet_columns_release(&columns);
    CHECK_NEAR(condensed.cert.stan_log_posterior, plain.cert.stan_log_posterior, 1e-7);
    CHECK_NEAR(condensed.x.sigma, plain.x.sigma, 1e-6);
    for (size_t j = 0; j < WIDE; j++) CHECK_NEAR(wide_beta[0][j], wide_beta[1][j], 1e-6);

    solve_wide(&condensed, PROPHET_LBFGS, false, wide_beta[0]);
    solve_wide(&plain, PROPHET_LBFGS, true, wide_beta[1]);
    CHECK_NEAR(condensed.cert.stan_log_posterior, plain.cert.stan_log_posterior, 0.1);
}

TEST(lbfgs_that_fails_falls_back_to_newton)
{ /* at a sigma this small the gradient is so long that ten halvings of the first step still leave sigma infinite */
    sample fallen, newton;
    sample_init(&fallen, PROPHET_LINEAR, false, T);
    fallen.x.sigma = 1e-7;
    CHECK_INT(solve(&fallen, PROPHET_LBFGS, 10000, true), FTL_OK);
    CHECK_CONTAINS(fallen.cert.stop, "L-BFGS failed, Newton: ");
    CHECK(fallen.cert.converged);
    sample_init(&newton, PROPHET_LINEAR, false, T);
    newton.x.sigma = 1e-7;
    CHECK_INT(solve(&newton, PROPHET_NEWTON, 10000, true), FTL_OK);
    CHECK_NEAR(fallen.cert.stan_log_posterior, newton.cert.stan_log_posterior, 0); /* from the same start */
}

TEST(values_beyond_all_measure_are_refused_with_advice)
{
    for (int algorithm = PROPHET_LBFGS; algorithm <= PROPHET_NEWTON; algorithm++) {
        sample r;
        ftl_error err = {FTL_OK, ""};
        sample_init(&r, PROPHET_LINEAR, false, T);
        r.X[5] = 1e300;
        r.y[5] = 1e300;
        ftl_status st = prophet_solve_stan(&r.p, (prophet_algorithm)algorithm, 10000, false, &r.x, &r.cert, &err);
        CHECK_INT(st, FTL_ENUMERIC);
        CHECK_CONTAINS(err.message, "solver=exact");
    }
}

TEST(lack_of_memory_is_reported_and_nothing_leaks)
{
    for (int algorithm = PROPHET_LBFGS; algorithm <= PROPHET_NEWTON; algorithm++)
        for (int wide = 0; wide < 2; wide++) {
            sample r;
            if (wide)
                solve_wide(&r, PROPHET_NEWTON, false, wide_beta[0]);
            else
                sample_init(&r, PROPHET_LINEAR, false, T);
            ftl_status st = FTL_ENOMEM;
            for (long n = 0; st == FTL_ENOMEM; n++) {
                fi_alloc_fail_after(n);
                st = solve(&r, (prophet_algorithm)algorithm, 2, false);
                fi_alloc_fail_after(-1);
                CHECK(n < 50);
            }
            CHECK_INT(st, FTL_OK);
        }
}

TEST(numbers_are_rounded_to_significant_digits)
{
    CHECK_NEAR(prophet_round_significant(123456.5, 6), 123456, 0); /* a tie goes to even, as printf rounds */
    CHECK_NEAR(prophet_round_significant(-0.00012345678, 4), -0.0001235, 0);
    CHECK_NEAR(prophet_round_significant(9.99, 1), 10, 0);
    CHECK_NEAR(prophet_round_significant(1.0 / 3, 17), 1.0 / 3, 0);
    CHECK_NEAR(prophet_round_significant(0, 6), 0, 0);
    CHECK_NEAR(prophet_round_significant(5e-324, 3), 5e-324, 0);
    CHECK(isnan(prophet_round_significant(NAN, 6)));
    CHECK_NEAR(prophet_round_significant(-INFINITY, 6), -INFINITY, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_is_the_log_posterior),
        cmocka_unit_test(both_algorithms_climb_to_the_same_top),
        cmocka_unit_test(auto_is_newton_below_100_rows),
        cmocka_unit_test(the_iteration_limit_is_kept_and_told),
        cmocka_unit_test(a_warm_start_begins_where_the_last_fit_ended),
        cmocka_unit_test(empty_columns_do_not_change_the_fit),
        cmocka_unit_test(more_columns_than_rows_are_condensed_and_the_fit_is_the_same),
        cmocka_unit_test(lbfgs_that_fails_falls_back_to_newton),
        cmocka_unit_test(values_beyond_all_measure_are_refused_with_advice),
        cmocka_unit_test(lack_of_memory_is_reported_and_nothing_leaks),
        cmocka_unit_test(numbers_are_rounded_to_significant_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
