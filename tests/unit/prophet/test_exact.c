#include "check.h"

#include "base/alloc.h"
#include "math/distributions.h"
#include "prophet/exact.h"

/* A synthetic problem: trend with bends, a seasonality, indicator columns, noise. All of it owned by the struct. */
typedef struct toy {
    prophet_problem p;
    double *y, *t, *cap, *t_change, *X, *sigmas;
    bool *multiplicative;
    prophet_point x;
} toy;

static void toy_release(toy *g)
{
    double *const parts[] = {g->y, g->t, g->cap, g->t_change, g->X, g->sigmas, g->x.delta, g->x.beta};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) fi_free(parts[i]);
    fi_free(g->multiplicative);
}

static toy toy_new(size_t T, size_t S, size_t K, prophet_growth growth, bool multiplicative, double noise,
                   uint64_t seed)
{
    toy g = {0};
    fi_rng rng;
    fi_rng_init(&rng, seed, 0, 0);
    g.y = fi_alloc(T, 8), g.t = fi_alloc(T, 8), g.cap = fi_alloc(T, 8), g.t_change = fi_alloc(S, 8);
    g.X = fi_calloc(K * T, 8), g.sigmas = fi_alloc(K, 8), g.multiplicative = fi_calloc(K, sizeof(bool));
    g.x.delta = fi_calloc(S, 8), g.x.beta = fi_calloc(K, 8);
    for (size_t j = 0; j < S; j++) g.t_change[j] = 0.8 * (double)(j + 1) / (double)S;
    for (size_t j = 0; j < K; j++) {
        g.sigmas[j] = j % 3 ? 10.0 : 0.5;
        g.multiplicative[j] = multiplicative && j % 2 == 0;
        for (size_t i = 0; i < T; i++)
            g.X[j * T + i] = j < 6 ? sin((double)(i * (j + 1)) * 0.37 + (double)j) : fi_rng_uniform(&rng) < 0.1;
    }
    for (size_t i = 0; i < T; i++) {
        double t = (double)i / (double)(T - 1), trend = 0.3 + 0.3 * t + (t > 0.4 ? 0.4 * (t - 0.4) : 0.0);
        if (growth == PROPHET_LOGISTIC) trend = 1.0 / (1.0 + exp(-4.0 * (t - 0.3)));
        if (growth == PROPHET_FLAT) trend = 0.5;
        g.t[i] = t, g.cap[i] = 1.1;
        double season = 0.1 * (K ? g.X[i] : 0.0);
        g.y[i] = (multiplicative ? trend * (1.0 + season) : trend + season) + noise * fi_rng_normal(&rng);
    }
    g.p = (prophet_problem){T, S, K, growth, 0.05, g.y, g.t, g.cap, g.t_change, g.X, g.sigmas, g.multiplicative};
    return g;
}

static prophet_certificate solve(toy *g)
{
    prophet_certificate cert;
    ftl_error err = {0};
    if (prophet_solve_exact(&g->p, &g->x, &cert, &err)) fail_msg("%s", err.message);
    CHECK(isfinite(cert.log_posterior) && g->x.sigma > 0);
    return cert;
}

/* No small random move may raise the log posterior. */
static void check_locally_best(const toy *g, double lp)
{
    size_t S = g->p.S, K = g->p.K;
    double *work = fi_alloc(3 * g->p.T, 8);
    prophet_point near = g->x;
    near.delta = fi_alloc(S, 8), near.beta = fi_alloc(K, 8);
    fi_rng rng;
    fi_rng_init(&rng, 99, 0, 0);
    for (int trial = 0; trial < 200; trial++) {
        double size = pow(10.0, -2.0 - trial % 5);
        near.k = g->x.k + size * fi_rng_normal(&rng) * (g->p.growth != PROPHET_FLAT);
        near.m = g->x.m + size * fi_rng_normal(&rng);
        near.sigma = g->x.sigma * exp(size * fi_rng_normal(&rng));
        for (size_t j = 0; j < S; j++) near.delta[j] = g->x.delta[j] + (trial % 2) * size * fi_rng_normal(&rng);
        for (size_t j = 0; j < K; j++) near.beta[j] = g->x.beta[j] + size * fi_rng_normal(&rng);
        CHECK(prophet_log_posterior(&g->p, &near, NULL, work) <= lp + 1e-9);
    }
    fi_free(near.delta), fi_free(near.beta), fi_free(work);
}

TEST(every_kind_of_model_is_solved_to_its_kkt_conditions)
{
    for (int growth = 0; growth < 3; growth++)
        for (int multiplicative = 0; multiplicative < 2; multiplicative++)
            for (uint64_t seed = 1; seed <= 4; seed++) {
                toy g = toy_new(150 + 37 * seed, 25, 12, (prophet_growth)growth, multiplicative, 0.02, seed);
                prophet_certificate cert = solve(&g);
                CHECK(cert.converged);
                CHECK(cert.kkt_residual < 1e-6);
                CHECK(cert.convex == (growth != PROPHET_LOGISTIC && !multiplicative));
                if (cert.convex)
                    CHECK(cert.duality_gap >= 0 && cert.duality_gap < 1e-6);
                else
                    CHECK(isnan(cert.duality_gap));
                CHECK_NEAR(g.x.sigma, 0.02, 0.01); /* the noise that was put in */
                check_locally_best(&g, cert.log_posterior);
                toy_release(&g);
            }
}

/* Constant effects that multiply the trend (a daily seasonality on daily data) and the trend itself make up for one
   another: J has a long, narrow, bent valley, in which straight steps creep, and changepoints come and go on the way. */
TEST(a_bent_valley_between_trend_and_effects_is_followed_to_its_end)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        toy g = toy_new(690, 25, 12, PROPHET_LINEAR, true, 0.004, seed);
        fi_rng rng;
        fi_rng_init(&rng, seed, 0, 1);
        g.p.tau = 0.5;
        for (size_t j = 0; j < 12; j++) g.multiplicative[j] = j < 11, g.sigmas[j] = j < 11 ? 4.5 : 0.7;
        for (size_t i = 0; i < g.p.T; i++) {
            double year = 17.0 * g.t[i];
            for (size_t j = 0; j < 4; j++)
                g.X[j * g.p.T + i] = sin((double)(1 + j / 2) * year + 1.5708 * (double)(j % 2));
            for (size_t j = 6; j < 11; j++) g.X[j * g.p.T + i] = 1;
            g.y[i] = 0.96 + 0.03 * g.t[i] + 0.01 * sin(year) + 0.0045 * fi_rng_normal(&rng);
        }
        prophet_certificate cert = solve(&g);
        CHECK(cert.converged);
        CHECK(cert.kkt_residual < 1e-6);
        check_locally_best(&g, cert.log_posterior);
        toy_release(&g);
    }
}

TEST(the_gram_matrix_without_hinge_columns_is_that_with_them)
{
    for (int growth = 0; growth < 3; growth++) {
        toy g = toy_new(90, 7, 8, (prophet_growth)growth, true, 0.05, 3);
        prophet_design d;
        CHECK_INT(prophet_design_init(&d, &g.p, NULL), FTL_OK);
        double *theta = fi_alloc(d.p, 8), *J = fi_alloc(d.p * 90, 8), *G = fi_alloc(d.p * d.p, 8),
               *b = fi_alloc(d.p, 8);
        for (size_t i = 0; i < d.p; i++) theta[i] = 0.1 * sin((double)i + 1.0);
        for (size_t i = 0; i < d.p; i++) { /* J by central differences of the residual */
            double h = 1e-5, keep = theta[i];
            theta[i] = keep + h;
            prophet_design_evaluate(&d, theta);
            for (size_t r = 0; r < 90; r++) J[i * 90 + r] = -d.residual[r] / (2 * h);
            theta[i] = keep - h;
            prophet_design_evaluate(&d, theta);
            for (size_t r = 0; r < 90; r++) J[i * 90 + r] += d.residual[r] / (2 * h);
            theta[i] = keep;
        }
        prophet_design_evaluate(&d, theta);
        prophet_design_gram(&d, G);
        prophet_design_gradient(&d, b);
        for (size_t i = 0; i < d.p; i++) {
            double inner = 0;
            for (size_t r = 0; r < 90; r++) inner += J[i * 90 + r] * d.residual[r];
            CHECK_NEAR(b[i], inner, 1e-7);
            for (size_t j = 0; j < d.p; j++) {
                double product = 0;
                for (size_t r = 0; r < 90; r++) product += J[i * 90 + r] * J[j * 90 + r];
                CHECK_NEAR(G[i * d.p + j], product, 1e-6);
            }
        }
        /* Curvature: the change of J' w along each coordinate, w held. */
        double *w = fi_alloc(90, 8), *C = fi_calloc(d.p * d.p, 8), *up = fi_alloc(d.p, 8), *down = fi_alloc(d.p, 8);
        for (size_t r = 0; r < 90; r++) w[r] = cos((double)r);
        prophet_design_curvature(&d, w, C);
        for (size_t i = 0; i < d.p; i++) {
            double h = 1e-5, keep = theta[i];
            theta[i] = keep + h;
            prophet_design_evaluate(&d, theta);
            memcpy(d.residual, w, 90 * 8);
            prophet_design_gradient(&d, up);
            theta[i] = keep - h;
            prophet_design_evaluate(&d, theta);
            memcpy(d.residual, w, 90 * 8);
            prophet_design_gradient(&d, down);
            theta[i] = keep;
            for (size_t j = 0; j < d.p; j++) CHECK_NEAR(C[i * d.p + j], (up[j] - down[j]) / (2 * h), 1e-6);
        }
        fi_free(theta), fi_free(J), fi_free(G), fi_free(b), fi_free(w), fi_free(C), fi_free(up), fi_free(down);
        prophet_design_release(&d);
        toy_release(&g);
    }
}

TEST(more_columns_than_rows_is_the_same_model)
{
    for (int multiplicative = 0; multiplicative < 2; multiplicative++) { /* tight priors: a proper optimum */
        toy g = toy_new(30, 5, 1000, PROPHET_LINEAR, multiplicative, 0.05, 11);
        for (size_t j = 0; j < 1000; j++) g.sigmas[j] = 1e-3;
        prophet_certificate cert = solve(&g);
        CHECK(cert.kkt_residual < 1e-6 && !cert.degenerate);
        check_locally_best(&g, cert.log_posterior);
        toy_release(&g);
    }
    toy g = toy_new(30, 5, 1000, PROPHET_LINEAR, false, 0.05, 11); /* wide priors: interpolation, said so */
    CHECK(solve(&g).degenerate);
    for (size_t j = 0; j < 1000; j++) CHECK(fabs(g.x.beta[j]) < 0.2); /* the smoothest of all that fit */
    CHECK(fabs(g.x.k) < 1.0 && fabs(g.x.m) < 1.0);
    toy_release(&g);
    /* Ten copies of a column, prior scale s: one column with s sqrt(10), the coefficient split evenly. */
    toy many = toy_new(12, 2, 20, PROPHET_LINEAR, false, 0.05, 5),
        one = toy_new(12, 2, 2, PROPHET_LINEAR, false, 0.05, 5);
    for (size_t j = 0; j < 20; j++) {
        memcpy(many.X + j * 12, one.X + (j / 10) * 12, 12 * sizeof(double));
        many.sigmas[j] = 0.5;
    }
    memcpy(many.y, one.y, 12 * sizeof(double));
    one.sigmas[0] = one.sigmas[1] = 0.5 * sqrt(10.0);
    prophet_certificate a = solve(&many), b = solve(&one);
    CHECK_CLOSE(a.log_posterior, b.log_posterior, 1e-9);
    for (size_t j = 0; j < 20; j++) CHECK_NEAR(10.0 * many.x.beta[j], one.x.beta[j / 10], 1e-7);
    toy_release(&many), toy_release(&one);
}

TEST(the_abyss_is_not_entered)
{ /* Fewer rows than coefficients: the posterior is unbounded as sigma -> 0, a proper optimum exists above a barrier. */
    toy g = toy_new(15, 11, 6, PROPHET_LINEAR, false, 0.05, 2);
    prophet_certificate cert = solve(&g);
    CHECK(!cert.degenerate);
    CHECK(g.x.sigma > 1e-3);
    CHECK(cert.barrier_sigma > 0 && cert.barrier_sigma < g.x.sigma);
    check_locally_best(&g, cert.log_posterior);
    toy_release(&g);
}

TEST(exact_lines_and_two_rows_are_degenerate_and_finite)
{
    for (size_t T = 2; T < 60; T += 19) {
        toy g = toy_new(T, T > 3 ? 3 : 1, 1, PROPHET_LINEAR, false, 0.0, 1);
        for (size_t i = 0; i < T; i++) g.y[i] = g.t[i], g.X[i] = 0;
        prophet_certificate cert = solve(&g);
        CHECK(cert.degenerate);
        CHECK(g.x.sigma <= 1.1e-9);
        CHECK_NEAR(g.x.k, 1.0, 1e-6);
        CHECK_NEAR(g.x.m, 0.0, 1e-6);
        toy_release(&g);
    }
}

TEST(a_constant_series_under_a_logistic_trend_is_degenerate_and_finite)
{
    toy g = toy_new(92, 6, 1, PROPHET_LOGISTIC, false, 0.0, 1);
    for (size_t i = 0; i < 92; i++) g.y[i] = 0.5, g.X[i] = 0;
    prophet_certificate cert = solve(&g);
    CHECK(cert.degenerate);
    CHECK(g.x.sigma < 1e-4);
    double trend[92];
    prophet_trend(PROPHET_LOGISTIC, g.x.k, g.x.m, g.x.delta, g.t_change, 6, g.t, g.cap, 92, trend);
    for (size_t i = 0; i < 92; i++) CHECK_NEAR(trend[i], 0.5, 1e-3);
    toy_release(&g);
}

TEST(small_variation_on_a_high_level_keeps_its_digits)
{ /* y = 1 - 5e-9 ...: a Gram matrix alone would cancel */
    toy g = toy_new(60, 5, 4, PROPHET_LINEAR, false, 0.0, 8), plain = toy_new(60, 5, 4, PROPHET_LINEAR, false, 0.0, 8);
    fi_rng rng;
    fi_rng_init(&rng, 4, 0, 0);
    for (size_t i = 0; i < 60; i++) g.y[i] = 1.0 + 1e-8 * fi_rng_normal(&rng);
    prophet_certificate cert = solve(&g);
    CHECK(!cert.degenerate);
    CHECK(g.x.sigma > 0.5e-8 && g.x.sigma < 1.5e-8);
    CHECK(cert.converged);
    toy_release(&g), toy_release(&plain);
}

TEST(columns_of_any_size_are_taken)
{ /* a regressor of 1e6, unstandardised, a prior to match: the same fit as with the column divided */
    toy big = toy_new(200, 10, 5, PROPHET_LINEAR, false, 0.03, 6),
        unit = toy_new(200, 10, 5, PROPHET_LINEAR, false, 0.03, 6);
    for (size_t i = 0; i < 200; i++) big.X[4 * 200 + i] *= 1e6;
    big.sigmas[4] *= 1e-6;
    prophet_certificate a = solve(&big), b = solve(&unit);
    CHECK_CLOSE(a.log_posterior, b.log_posterior, 1e-9);
    CHECK_NEAR(big.x.beta[4] * 1e6, unit.x.beta[4], 1e-8);
    toy_release(&big), toy_release(&unit);
}

TEST(duplicate_and_useless_columns_and_changepoints_do_no_harm)
{
    toy g = toy_new(100, 8, 6, PROPHET_LINEAR, false, 0.02, 9);
    g.t_change[3] = g.t_change[2]; /* two at one time */
    g.t_change[7] = 1.0;           /* one after which nothing comes */
    memcpy(g.X + 100, g.X, 100 * sizeof(double));
    memset(g.X + 200, 0, 100 * sizeof(double));
    prophet_certificate cert = solve(&g);
    CHECK(cert.kkt_residual < 1e-6);
    CHECK(g.x.delta[7] == 0.0 && g.x.beta[2] == 0.0);
    CHECK(g.x.delta[2] == 0.0 || g.x.delta[3] == 0.0);
    toy_release(&g);
}

TEST(the_same_problem_gives_the_same_bits)
{
    toy a = toy_new(300, 25, 10, PROPHET_LOGISTIC, true, 0.02, 3),
        b = toy_new(300, 25, 10, PROPHET_LOGISTIC, true, 0.02, 3);
    solve(&a), solve(&b);
    CHECK(a.x.k == b.x.k && a.x.sigma == b.x.sigma && !memcmp(a.x.beta, b.x.beta, 80));
    toy_release(&a), toy_release(&b);
}

TEST(lack_of_memory_is_reported_and_nothing_leaks)
{
    for (int kind = 0; kind < 3; kind++) {
        toy g = toy_new(20, 4, kind == 2 ? 30 : 4, PROPHET_LINEAR, kind == 1, 0.02, 3);
        prophet_certificate cert;
        ftl_status st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM && n < 200; n++) {
            fi_alloc_fail_after(n);
            st = prophet_solve_exact(&g.p, &g.x, &cert, NULL);
            fi_alloc_fail_after(-1);
        }
        CHECK_INT(st, FTL_OK);
        toy_release(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_model_is_solved_to_its_kkt_conditions),
        cmocka_unit_test(a_bent_valley_between_trend_and_effects_is_followed_to_its_end),
        cmocka_unit_test(the_gram_matrix_without_hinge_columns_is_that_with_them),
        cmocka_unit_test(more_columns_than_rows_is_the_same_model),
        cmocka_unit_test(the_abyss_is_not_entered),
        cmocka_unit_test(exact_lines_and_two_rows_are_degenerate_and_finite),
        cmocka_unit_test(a_constant_series_under_a_logistic_trend_is_degenerate_and_finite),
        cmocka_unit_test(small_variation_on_a_high_level_keeps_its_digits),
        cmocka_unit_test(columns_of_any_size_are_taken),
        cmocka_unit_test(duplicate_and_useless_columns_and_changepoints_do_no_harm),
        cmocka_unit_test(the_same_problem_gives_the_same_bits),
        cmocka_unit_test(lack_of_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
