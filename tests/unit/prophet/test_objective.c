/* Trend, log posterior, gradient and starting values against other ways to compute them. */
#include "base/rng.h"
#include "check.h"
#include "math/distributions.h"
#include "prophet/prophet.h"

enum { T = 37, S = 4, K = 5, D = 3 + S + K };

/* A random problem with columns of both modes, repeated times and a changepoint that falls on a time. */
typedef struct random_problem {
    double y[T], t[T], cap[T], s[S], X[K * T], sigmas[K], workspace[3 * T];
    bool multiplicative[K];
    prophet_problem p;
} random_problem;

static void random_problem_init(random_problem *r, prophet_growth growth, uint64_t seed)
{
    fi_rng rng;
    fi_rng_init(&rng, seed, 0, 0);
    for (size_t i = 0; i < T; i++) {
        r->t[i] = (double)(i / 2) / (double)((T - 1) / 2);
        r->y[i] = 0.5 + 0.2 * fi_rng_normal(&rng);
        r->cap[i] = 1.2 + fi_rng_uniform(&rng);
    }
    for (size_t j = 0; j < S; j++) r->s[j] = j == 2 ? r->t[20] : (0.2 + (double)j) / (double)S;
    for (size_t j = 0; j < K; j++) {
        r->sigmas[j] = 0.5 + fi_rng_uniform(&rng);
        r->multiplicative[j] = j % 2;
        for (size_t i = 0; i < T; i++) r->X[j * T + i] = fi_rng_normal(&rng);
    }
    r->p = (prophet_problem){T, S, K, growth, 0.3, r->y, r->t, r->cap, r->s, r->X, r->sigmas, r->multiplicative};
}

/* A point as one vector k, m, delta, ln sigma, beta. */
static prophet_point unpack(double *theta)
{
    return (prophet_point){theta[0], theta[1], exp(theta[2 + S]), theta + 2, theta + 3 + S};
}

static void random_theta(double *theta, uint64_t seed)
{
    fi_rng rng;
    fi_rng_init(&rng, seed, 1, 0);
    for (size_t d = 0; d < D; d++) theta[d] = 0.4 * fi_rng_normal(&rng);
}

static double log_posterior(random_problem *r, double *theta, double *grad)
{
    prophet_point x = unpack(theta);
    return prophet_log_posterior(&r->p, &x, grad, r->workspace);
}

/* The model written out term by term, the logistic trend with Prophet's offsets. */
static double log_posterior_plain(const prophet_problem *p, const prophet_point *x)
{
    double rate = x->k, sum_gamma = 0, gamma[S];
    for (size_t j = 0; j < p->S; j++) {
        gamma[j] = (p->t_change[j] - x->m - sum_gamma) * (1 - rate / (rate + x->delta[j]));
        sum_gamma += gamma[j];
        rate += x->delta[j];
    }
    double lp = -(double)p->T * log(x->sigma) - 2 * x->sigma * x->sigma - (x->k * x->k + x->m * x->m) / 50;
    for (size_t i = 0; i < p->T; i++) {
        double k = x->k, m = x->m, factor = 1, sum = 0;
        for (size_t j = 0; j < p->S; j++)
            if (p->t_change[j] <= p->t[i]) {
                k += x->delta[j];
                m += p->growth == PROPHET_LOGISTIC ? gamma[j] : -p->t_change[j] * x->delta[j];
            }
        for (size_t j = 0; j < p->K; j++) *(p->multiplicative[j] ? &factor : &sum) += x->beta[j] * p->X[j * p->T + i];
        double trend = p->growth == PROPHET_FLAT     ? x->m
                       : p->growth == PROPHET_LINEAR ? k * p->t[i] + m
                                                     : p->cap[i] / (1 + exp(-k * (p->t[i] - m)));
        double e = (p->y[i] - trend * factor - sum) / x->sigma;
        lp -= e * e / 2;
    }
    for (size_t j = 0; j < p->S; j++) lp -= fabs(x->delta[j]) / p->tau;
    for (size_t j = 0; j < p->K; j++) lp -= x->beta[j] * x->beta[j] / (2 * p->sigmas[j] * p->sigmas[j]);
    return lp;
}

TEST(log_posterior_is_the_models_sum_of_terms)
{
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++) {
            random_problem r;
            double theta[D];
            random_problem_init(&r, (prophet_growth)growth, seed);
            random_theta(theta, seed);
            prophet_point x = unpack(theta);
            CHECK_CLOSE(log_posterior(&r, theta, NULL), log_posterior_plain(&r.p, &x), 1e-11);
        }
}

TEST(gradient_matches_central_differences)
{
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++) {
            random_problem r;
            double theta[D], grad[D];
            random_problem_init(&r, (prophet_growth)growth, seed);
            random_theta(theta, seed);
            CHECK_NEAR(log_posterior(&r, theta, grad), log_posterior(&r, theta, NULL), 0);
            for (size_t d = 0; d < D; d++) { /* five-point rule: error O(h^4), rounding 1e-16 |lp| / h */
                double h = 1e-4, at = theta[d], f[4];
                static const double steps[4] = {-2, -1, 1, 2};
                for (size_t i = 0; i < 4; i++) {
                    theta[d] = at + steps[i] * h;
                    f[i] = log_posterior(&r, theta, NULL);
                }
                theta[d] = at;
                CHECK_CLOSE(grad[d], (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h), 1e-7);
            }
        }
}

TEST(gradient_takes_the_middle_of_the_kink_at_zero)
{
    random_problem r;
    double theta[D], grad[D], above[D], below[D];
    random_problem_init(&r, PROPHET_LINEAR, 3);
    random_theta(theta, 3);
    theta[3] = 0;
    log_posterior(&r, theta, grad);
    theta[3] = 1e-13;
    log_posterior(&r, theta, above);
    theta[3] = -1e-13;
    log_posterior(&r, theta, below);
    CHECK_NEAR(below[3] - above[3], 2 / r.p.tau, 1e-8);
    CHECK_NEAR(grad[3], (above[3] + below[3]) / 2, 1e-8);
}

/* Points of equal density: what a change of units or of order must not change. */
TEST(log_posterior_does_not_depend_on_units_or_order_of_columns)
{
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++) {
        random_problem r, q;
        double theta[D], moved[D], grad[D], grad_moved[D];
        random_problem_init(&r, (prophet_growth)growth, 9);
        random_problem_init(&q, (prophet_growth)growth, 9);
        random_theta(theta, 9);
        memcpy(moved, theta, sizeof moved);
        for (size_t j = 0; j < K; j++) { /* column j of q: column K - 1 - j of r in units 1000 times smaller */
            size_t from = K - 1 - j;
            q.multiplicative[j] = r.multiplicative[from];
            q.sigmas[j] = r.sigmas[from] / 1000;
            moved[3 + S + j] = theta[3 + S + from] / 1000;
            for (size_t i = 0; i < T; i++) q.X[j * T + i] = 1000 * r.X[from * T + i];
        }
        CHECK_CLOSE(log_posterior(&q, moved, grad_moved), log_posterior(&r, theta, grad), 1e-12);
        for (size_t d = 0; d < 3 + S; d++) CHECK_CLOSE(grad_moved[d], grad[d], 1e-10);
        for (size_t j = 0; j < K; j++) CHECK_CLOSE(grad_moved[3 + S + j] / 1000, grad[3 + S + K - 1 - j], 1e-10);
    }
}

TEST(a_changepoint_of_size_zero_and_an_empty_column_change_nothing)
{
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++) {
        random_problem r;
        double theta[D];
        random_problem_init(&r, (prophet_growth)growth, 5);
        random_theta(theta, 5);
        theta[2 + S - 1] = 0;
        for (size_t i = 0; i < T; i++) r.X[(K - 1) * T + i] = 0;
        theta[D - 1] = 0;
        double with = log_posterior(&r, theta, NULL);
        prophet_point x = unpack(theta);
        r.p.S--;
        r.p.K--;
        CHECK_CLOSE(prophet_log_posterior(&r.p, &x, NULL, r.workspace), with, 1e-13);
    }
}

TEST(rows_of_equal_time_may_change_places)
{ /* rows 2i and 2i + 1 share their time; swapping everything in them is the same data */
    random_problem r, q;
    double theta[D], grad[D], grad_swapped[D];
    random_problem_init(&r, PROPHET_LOGISTIC, 6);
    random_problem_init(&q, PROPHET_LOGISTIC, 6);
    random_theta(theta, 6);
    for (size_t i = 0; i + 1 < T; i++) {
        size_t other = i ^ 1;
        q.y[i] = r.y[other];
        q.cap[i] = r.cap[other];
        for (size_t j = 0; j < K; j++) q.X[j * T + i] = r.X[j * T + other];
    }
    CHECK_CLOSE(log_posterior(&q, theta, grad_swapped), log_posterior(&r, theta, grad), 1e-13);
    for (size_t d = 0; d < D; d++) CHECK_CLOSE(grad_swapped[d], grad[d], 1e-11);
}

/* Numbers: Python prophet 1.5.0, Prophet.piecewise_linear and Prophet.piecewise_logistic. */
static const double TIMES[10] = {0, 0.1, 0.2, 0.2, 0.35, 0.5, 0.75, 0.9, 1, 1.25};
static const double CHANGES[3] = {0.2, 0.4, 0.75};

TEST(trend_is_that_of_python_prophet)
{
    static const double delta[3] = {0.3, -0.9, 0.7};
    static const double linear[10] = {-0.2, -0.12, -0.04, -0.04, 0.125, 0.2, 0.25, 0.385, 0.475, 0.7};
    static const double logistic[10] = {0.5399148845555657, 0.6840944602154582, 0.8368016975481938, 0.9655404202479158,
                                        1.169085947955915,  1.3436220294833068, 1.511861871521517,  1.7328921932986034,
                                        1.9372530955441174, 2.2280716359080572};
    double cap[10], trend[10];
    for (size_t i = 0; i < 10; i++) cap[i] = 1 + 2 * (double)i / 9;
    prophet_trend(PROPHET_LINEAR, 0.8, -0.2, delta, CHANGES, 3, TIMES, NULL, 10, trend);
    for (size_t i = 0; i < 10; i++) CHECK_NEAR(trend[i], linear[i], 1e-15);
    prophet_trend(PROPHET_LOGISTIC, 0.8, -0.2, delta, CHANGES, 3, TIMES, cap, 10, trend);
    for (size_t i = 0; i < 10; i++) CHECK_NEAR(trend[i], logistic[i], 1e-14);
    prophet_trend(PROPHET_FLAT, 0.8, -0.2, delta, CHANGES, 3, TIMES, NULL, 10, trend);
    for (size_t i = 0; i < 10; i++) CHECK_NEAR(trend[i], -0.2, 0);
}

TEST(logistic_trend_is_finite_where_a_segment_has_rate_zero)
{ /* Prophet's own recursion divides by the rate and gives NaN; the neighbours show the limit */
    static const double exact[3] = {0.25, -0.75, 0.5}, near[3] = {0.25, -0.75 + 1e-9, 0.5};
    double cap[10], trend[10], limit[10];
    for (size_t i = 0; i < 10; i++) cap[i] = 2;
    prophet_trend(PROPHET_LOGISTIC, 0.5, 0.1, exact, CHANGES, 3, TIMES, cap, 10, trend);
    prophet_trend(PROPHET_LOGISTIC, 0.5, 0.1, near, CHANGES, 3, TIMES, cap, 10, limit);
    for (size_t i = 0; i < 10; i++) CHECK_NEAR(trend[i], limit[i], 1e-9);
    CHECK_NEAR(trend[5], trend[6], 1e-15); /* level between the changepoints at 0.4 and 0.75 */
}

TEST(logistic_trend_saturates_without_overflow)
{
    static const double t[2] = {0, 1}, cap[2] = {3, 3};
    double trend[2];
    prophet_trend(PROPHET_LOGISTIC, 1e6, 0.5, NULL, NULL, 0, t, cap, 2, trend);
    CHECK_NEAR(trend[0], 0, 0);
    CHECK_NEAR(trend[1], 3, 0);
}

/* Numbers: Python prophet 1.5.0, linear_growth_init, logistic_growth_init and flat_growth_init. The last time comes
   twice, and the first of its rows counts. */
TEST(initial_point_is_that_of_python_prophet)
{
    static const double t[6] = {0, 0.125, 0.375, 0.5, 1, 1}, cap[6] = {1.2, 1.2, 1.3, 1.4, 1.5, 1.6};
    double y[6] = {0.3, 0.9, 1, 0.2, 0.7, 0.1}, delta[1] = {7}, beta[1] = {7};
    prophet_problem p = {.T = 6, .S = 1, .K = 1, .growth = PROPHET_LINEAR, .y = y, .t = t, .cap = cap};
    prophet_point x = {.delta = delta, .beta = beta};
    prophet_initial_point(&p, &x);
    CHECK_NEAR(x.k, 0.4, 1e-15);
    CHECK_NEAR(x.m, 0.3, 1e-15);
    CHECK(delta[0] == 0 && beta[0] == 0 && x.sigma == 1);
    p.growth = PROPHET_FLAT;
    prophet_initial_point(&p, &x);
    CHECK_NEAR(x.k, 0, 0);
    CHECK_NEAR(x.m, 0.5333333333333334, 1e-15);
    p.growth = PROPHET_LOGISTIC;
    prophet_initial_point(&p, &x);
    CHECK_NEAR(x.k, 0.9650808960435873, 1e-14);
    CHECK_NEAR(x.m, 1.1383629011536165, 1e-14);
    y[4] = 0.375; /* the same part of the cap at both ends */
    prophet_initial_point(&p, &x);
    CHECK_NEAR(x.k, 0.06453852113757108, 1e-13);
    CHECK_NEAR(x.m, 18.02258231678868, 1e-11);
    y[0] = -1; /* outside (0, cap) at both ends */
    y[4] = 1.6;
    prophet_initial_point(&p, &x);
    CHECK_NEAR(x.k, 9.190239700269174, 1e-13);
    CHECK_NEAR(x.m, 0.5, 1e-14);
}

TEST(initial_point_is_finite_when_all_times_are_equal)
{
    static const double t[3] = {0, 0, 0}, y[3] = {0.2, 0.4, 0.9}, cap[3] = {1, 1, 1};
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++) {
        prophet_problem p = {.T = 3, .growth = (prophet_growth)growth, .y = y, .t = t, .cap = cap};
        prophet_point x;
        prophet_initial_point(&p, &x);
        CHECK(isfinite(x.k) && isfinite(x.m));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_posterior_is_the_models_sum_of_terms),
        cmocka_unit_test(gradient_matches_central_differences),
        cmocka_unit_test(gradient_takes_the_middle_of_the_kink_at_zero),
        cmocka_unit_test(log_posterior_does_not_depend_on_units_or_order_of_columns),
        cmocka_unit_test(a_changepoint_of_size_zero_and_an_empty_column_change_nothing),
        cmocka_unit_test(rows_of_equal_time_may_change_places),
        cmocka_unit_test(trend_is_that_of_python_prophet),
        cmocka_unit_test(logistic_trend_is_finite_where_a_segment_has_rate_zero),
        cmocka_unit_test(logistic_trend_saturates_without_overflow),
        cmocka_unit_test(initial_point_is_that_of_python_prophet),
        cmocka_unit_test(initial_point_is_finite_when_all_times_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
