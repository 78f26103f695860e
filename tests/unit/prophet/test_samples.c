#include "prophet/shift_law.h"
#include "toy_model.h"

enum { N = 40000, ROWS = 40 };
static toy x;
static double y[N * 2 * ROWS], trend[N * 2 * ROWS];

static ftl_status sample(size_t n, uint64_t seed)
{
    return prophet_sample(&x.model, &x.rows, n, seed, y, trend, NULL);
}

/* Mean and variance of a row's draws about its deterministic trend. */
static void moments(size_t row, double *mean, double *variance)
{
    double sum = 0.0, squares = 0.0;
    for (size_t s = 0; s < N; s++) {
        double off = trend[row * N + s] - x.trend[row];
        sum += off, squares += off * off;
    }
    *mean = sum / N, *variance = squares / N;
}

TEST(a_sample_depends_on_seed_and_number_alone)
{
    static double few[2 * ROWS * 5], few_trend[2 * ROWS * 5];
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++)
        for (int vectorized = 0; vectorized < 2; vectorized++) {
            toy_init(&x, (prophet_growth)growth, 25, 0.3, 0.05, ROWS, ROWS, 0.01);
            x.model.config.vectorized = vectorized;
            CHECK_INT(sample(100, 11), FTL_OK);
            CHECK_INT(prophet_sample(&x.model, &x.rows, 5, 11, few, NULL, NULL), FTL_OK);
            CHECK_INT(prophet_sample(&x.model, &x.rows, 5, 11, NULL, few_trend, NULL), FTL_OK);
            for (size_t r = 0; r < x.rows.n; r++)
                for (size_t s = 0; s < 5; s++) {
                    CHECK(few[r * 5 + s] == y[r * 100 + s]);
                    CHECK(few_trend[r * 5 + s] == trend[r * 100 + s]);
                    CHECK(r >= ROWS || trend[r * 100 + s] == x.trend[r]); /* the past is certain */
                }
            CHECK_INT(prophet_sample(&x.model, &x.rows, 5, 12, few, NULL, NULL), FTL_OK);
            for (size_t r = 0; r < x.rows.n; r++) CHECK(few[r * 5] != y[r * 100]);
        }
}

TEST(flat_trends_stay_flat)
{
    toy_init(&x, PROPHET_FLAT, 25, 0.3, 0.05, 3, ROWS, 0.01);
    CHECK_INT(sample(50, 1), FTL_OK);
    for (size_t i = 0; i < x.rows.n * 50; i++) CHECK(trend[i] == x.m);
}

TEST(vectorised_shifts_have_the_moments_of_their_law)
{
    toy_init(&x, PROPHET_LINEAR, 20, 0.3, 0.05, 0, ROWS, 0.005); /* p = 0.1 */
    CHECK_INT(sample(N, 3), FTL_OK);
    double unit = (0.3 + 1e-8) * 0.005;
    for (size_t r = 0; r < ROWS; r++) {
        double mean, found, variance = unit * unit * prophet_shift_variance(0.1, r + 1);
        double fourth = pow(unit, 4.0) * prophet_shift_cumulant4(0.1, r + 1) + 3.0 * variance * variance;
        moments(r, &mean, &found);
        CHECK_NEAR(mean, 0.0, 5.0 * sqrt(variance / N)); /* 5 standard errors */
        CHECK_NEAR(found, variance, 5.0 * sqrt((fourth - variance * variance) / N));
    }
}

TEST(changepoints_of_whole_paths_arrive_as_a_poisson_process)
{
    toy_init(&x, PROPHET_LINEAR, 20, 0.3, 0.05, 2, ROWS, 0.005);
    x.model.config.vectorized = false;
    CHECK_INT(sample(N, 4), FTL_OK);
    for (size_t r = 2; r < x.rows.n; r++) {
        /* Campbell: the sum over arrivals of Laplace (t - s) has cumulants 20 int E (L (t - s))^k ds. */
        double ahead = x.t[r] - 1.0, variance = 20.0 * 2.0 * 0.09 * pow(ahead, 3.0) / 3.0;
        double fourth = 20.0 * 24.0 * 0.0081 * pow(ahead, 5.0) / 5.0 + 3.0 * variance * variance;
        double mean, found, none = 0.0, p = exp(-20.0 * ahead);
        moments(r, &mean, &found);
        CHECK_NEAR(mean, 0.0, 5.0 * sqrt(variance / N));
        CHECK_NEAR(found, variance, 5.0 * sqrt((fourth - variance * variance) / N));
        for (size_t s = 0; s < N; s++) none += trend[r * N + s] == x.trend[r];
        CHECK_NEAR(none / N, p, 5.0 * sqrt(p * (1.0 - p) / N));
    }
}

TEST(logistic_paths_keep_between_floor_and_cap)
{
    toy_init(&x, PROPHET_LOGISTIC, 20, 30.0, 0.05, 2, ROWS, 0.05);
    x.model.config.vectorized = false;
    CHECK_INT(sample(1000, 5), FTL_OK);
    double low = 1.0, high = 0.0;
    for (size_t i = 0; i < 1000 * x.rows.n; i++) {
        CHECK(trend[i] >= 0.0 && trend[i] <= 1.2);
        low = fmin(low, trend[i]), high = fmax(high, trend[i]);
    }
    CHECK(low < 0.01 && high > 1.19);
    /* rates that cancel: where Prophet's recursion of offsets would divide by 0 */
    x.k = x.delta[0] = 0.0;
    toy_trend(&x);
    CHECK_INT(sample(10, 5), FTL_OK);
    for (size_t i = 0; i < 10 * x.rows.n; i++) CHECK(isfinite(y[i]));
}

TEST(noise_and_factors_enter_as_in_the_model)
{
    toy_init(&x, PROPHET_LINEAR, 20, 0.3, 0.0, 4, 4, 0.01);
    for (size_t r = 0; r < 8; r++) x.multiplicative[r] = 0.1 * (double)r - 0.2;
    CHECK_INT(sample(20, 6), FTL_OK);
    for (size_t r = 0; r < 8; r++)
        for (size_t s = 0; s < 20; s++)
            CHECK_NEAR(y[r * 20 + s], trend[r * 20 + s] * (0.8 + 0.1 * (double)r) + x.additive[r], 1e-15);
}

TEST(posterior_draws_take_turns)
{
    enum { DRAWS = 3 };
    double k[DRAWS] = {0.0, 0.0, 0.0}, m[DRAWS] = {1.0, 2.0, 3.0}, sigma[DRAWS] = {0.0, 0.0, 0.0},
           delta[DRAWS] = {0.0, 0.0, 0.0}, additive[DRAWS * 8], multiplicative[DRAWS * 8];
    toy_init(&x, PROPHET_LINEAR, 1, 0.3, 0.0, 4, 4, 0.01);
    x.model.n_draws = DRAWS;
    x.model.k = k, x.model.m = m, x.model.sigma_obs = sigma, x.model.delta = delta;
    for (size_t d = 0; d < DRAWS; d++)
        for (size_t r = 0; r < 8; r++) additive[d * 8 + r] = 0.1 * (double)d, multiplicative[d * 8 + r] = (double)d;
    x.rows.additive_draws = additive, x.rows.multiplicative_draws = multiplicative;
    CHECK_INT(sample(50, 6), FTL_OK);
    for (size_t s = 0; s < 50; s++) {
        double d = (double)(s % DRAWS);
        CHECK_NEAR(trend[7 * 50 + s], 1.0 + d, 1e-6); /* the shifts are of size 1e-8 */
        CHECK_NEAR(y[7 * 50 + s], (1.0 + d) * (1.0 + d) + 0.1 * d, 1e-6);
    }
}

TEST(quantiles_of_samples_are_those_of_numpy)
{
    static const double samples[2][5] = {{3.0, -1.0, 4.0, 1.0, 5.0}, {2.0, 2.0, 7.0, 2.0, 2.0}};
    static const double levels[6] = {0.0001, 0.1, 0.5, 0.6, 0.9, 0.9999};
    static const double expected[2][6] = {/* np.quantile(samples, levels, axis=1), numpy 2.4 */
                                          {-0.9992, -0.2, 3.0, 3.4, 4.6, 4.9996},
                                          {2.0, 2.0, 2.0, 2.0, 5.0, 6.998}};
    double q[12], one = 3.5;
    CHECK_INT(prophet_sampled_quantiles(samples[0], 2, 5, levels, 6, q), FTL_OK);
    for (size_t i = 0; i < 12; i++) CHECK_NEAR(q[i], expected[i / 6][i % 6], 1e-14);
    CHECK_INT(prophet_sampled_quantiles(&one, 1, 1, levels, 6, q), FTL_OK);
    for (size_t i = 0; i < 6; i++) CHECK(q[i] == 3.5);
    /* any order of levels, many ties: against sorting */
    static double many[1001];
    fi_rng rng;
    fi_rng_init(&rng, 1, 2, 3);
    for (size_t i = 0; i < 1001; i++) many[i] = floor(300.0 * fi_rng_uniform(&rng));
    double back[3] = {0.95, 0.25, 0.5};
    CHECK_INT(prophet_sampled_quantiles(many, 1, 1001, back, 3, q), FTL_OK);
    for (size_t l = 0; l < 3; l++) {
        size_t below = 0, up_to = 0, rank = (size_t)(back[l] * 1000.0);
        for (size_t i = 0; i < 1001; i++) below += many[i] < q[l], up_to += many[i] <= q[l];
        CHECK(below <= rank && rank < up_to);
    }
    many[3] = many[700] = NAN; /* no promise but to end */
    CHECK_INT(prophet_sampled_quantiles(many, 1, 1001, levels, 6, q), FTL_OK);
    CHECK_INT(prophet_sampled_quantiles(many, 1, 0, levels, 6, q), FTL_EINVAL);
}

TEST(lack_of_memory_is_reported_and_nothing_leaks)
{
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_LOGISTIC; growth++) {
        toy_init(&x, (prophet_growth)growth, 20, 0.3, 0.0, 4, 4, 0.01);
        ftl_status st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM && n < 100; n++) {
            fi_alloc_fail_after(n);
            st = sample(10, 1);
            fi_alloc_fail_after(-1);
        }
        CHECK_INT(st, FTL_OK);
    }
    double q;
    fi_alloc_fail_after(0);
    ftl_status st = prophet_sampled_quantiles(y, 1, 10, &(double){0.5}, 1, &q);
    fi_alloc_fail_after(-1);
    CHECK_INT(st, FTL_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_depends_on_seed_and_number_alone),
        cmocka_unit_test(flat_trends_stay_flat),
        cmocka_unit_test(vectorised_shifts_have_the_moments_of_their_law),
        cmocka_unit_test(changepoints_of_whole_paths_arrive_as_a_poisson_process),
        cmocka_unit_test(logistic_paths_keep_between_floor_and_cap),
        cmocka_unit_test(noise_and_factors_enter_as_in_the_model),
        cmocka_unit_test(posterior_draws_take_turns),
        cmocka_unit_test(quantiles_of_samples_are_those_of_numpy),
        cmocka_unit_test(lack_of_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
