#include "prophet/shift_law.h"
#include "toy_model.h"

#include "math/distributions.h"

static const double levels4[4] = {0.025, 0.1, 0.9, 0.975};
static toy x; /* large */
static double y_q[9 * TOY_MAX], trend_q[9 * TOY_MAX], more_q[9 * TOY_MAX];

static ftl_status quantiles(const double *levels, size_t n)
{
    return prophet_exact_quantiles(&x.model, &x.rows, levels, n, y_q, trend_q, NULL);
}

TEST(the_law_of_shifts_agrees_with_partial_fractions)
{
    /*
     * phi has only simple poles, so that P(D > x) = 1/2 sum_j w_j exp(-x / a_j),
     * w_j = p prod_{i != j} (1 + p a_i^2 / (a_j^2 - a_i^2)), and each term's convolution with a normal is known. The
     * sum cancels badly; the roots were found with mpmath 1.3 at 200 digits.
     */
    static const struct {
        double p, ratio;
        size_t h;
        double tail, x;
    } cases[] = {
        {0.00843, 0, 60, 0.1, 19.153636955814317},    {0.00843, 0, 60, 0.025, 76.837231676861977},
        {0.00843, 0, 7, 0.025, 0.27934399991895687},  {0.00843, 770, 60, 0.1, 987.79937650558512},
        {0.00843, 3, 60, 0.025, 76.944559429122256},  {0.00843, 3, 2, 0.0001, 11.291060177132964},
        {0.1, 0, 3, 0.1, 0.34591332463377949},        {0.1, 0.5, 40, 0.3, 23.784573511769244},
        {0.5, 0, 60, 0.001, 883.01638068760198},      {0.5, 0.001, 20, 0.4, 11.67254527319634},
        {0.5, 100, 60, 0.0001, 1151.9743287136208},   {1.0, 0, 1, 0.1, 0.80471895621705016},
        {1.0, 0, 60, 0.1, 483.87254376303085},        {1.0, 10, 60, 0.025, 746.3342010101103},
        {1.0, 1e-07, 7, 0.0001, 69.963406604489891},  {0.0001, 10, 20, 1e-09, 227.30098441017753},
        {0.0001, 0.5, 60, 1e-09, 736.07853919992107},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ratio[60], q[60];
        for (size_t h = 0; h < 60; h++) ratio[h] = cases[i].ratio;
        ftl_status st =
            prophet_shift_quantiles(cases[i].p, 0, 60, cases[i].ratio > 0.0 ? ratio : NULL, &cases[i].tail, 1, q, NULL);
        CHECK_INT(st, FTL_OK);
        CHECK_NEAR(q[cases[i].h - 1] / cases[i].x, 1.0, cases[i].tail < 1e-6 ? 1e-5 : 1e-7);
    }
}

TEST(a_year_ahead_agrees_with_another_inversion)
{
    /* Gil-Pelaez's formula with 400 nodes in numpy, numbers to 6 decimals and lambda 0.06 to perhaps 4 digits. */
    static const struct {
        size_t h;
        double x;
    } known[4] = {{1, 0.048186}, {30, 0.048187}, {100, 0.048225}, {365, 0.050008}};
    double ratio[365], q[365], unit = 0.06 / 2963.0, tail = 0.1;
    for (size_t h = 0; h < 365; h++) ratio[h] = 0.0376 / unit;
    CHECK_INT(prophet_shift_quantiles(25.0 / 2963.0, 0, 365, ratio, &tail, 1, q, NULL), FTL_OK);
    for (size_t i = 0; i < 4; i++) CHECK_NEAR(q[known[i].h - 1] * unit, known[i].x, 2e-6);
}

TEST(levels_inside_the_atom_are_the_trend_itself)
{
    toy_init(&x, PROPHET_LINEAR, 10, 0.3, 0.05, 5, 40, 0.002); /* p = 0.02 */
    CHECK_INT(quantiles(levels4, 4), FTL_OK);
    for (size_t h = 1; h <= 40; h++) {
        double beyond = 0.5 * (1.0 - pow(0.98, (double)h)), *q = trend_q + 4 * (4 + h), trend = x.trend[4 + h];
        CHECK(beyond > 0.1 ? q[2] > trend : q[2] == trend);
        CHECK(beyond > 0.025 ? q[3] > trend && q[0] < trend : q[3] == trend && q[0] == trend);
    }
}

TEST(history_is_normal_and_flat_growth_has_no_trend_uncertainty)
{
    toy_init(&x, PROPHET_FLAT, 10, 0.3, 0.05, 20, 30, 0.01);
    x.multiplicative[3] = -0.4;
    CHECK_INT(quantiles(levels4, 4), FTL_OK);
    for (size_t r = 0; r < 50; r++)
        for (size_t i = 0; i < 4; i++) {
            double centre = x.trend[r] * (1.0 + x.multiplicative[r]) + x.additive[r];
            CHECK_NEAR(y_q[4 * r + i], centre + 0.05 * fi_normal_quantile(levels4[i]), 1e-15);
            CHECK(trend_q[4 * r + i] == x.trend[r]);
        }
    toy_init(&x, PROPHET_LINEAR, 10, 0.3, 0.05, 20, 0, 0.01);
    CHECK_INT(quantiles(levels4, 4), FTL_OK);
    CHECK_NEAR(y_q[4 * 7 + 2], x.trend[7] + x.additive[7] + 0.05 * 1.2815515655446004, 1e-15);
}

/* Largest distance, over rows and levels, of P_empirical(sample <= quantile) from its level, in standard errors. */
static double disagreement(size_t n_samples, const double *levels, size_t n_levels)
{
    size_t n = x.rows.n;
    double *y = calloc(n * n_samples, sizeof *y), *trend = calloc(n * n_samples, sizeof *trend), worst = 0.0;
    CHECK(y && trend);
    CHECK_INT(prophet_sample(&x.model, &x.rows, n_samples, 7, y, trend, NULL), FTL_OK);
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < n_levels; i++) {
            double p = levels[i], below = 0.0, trend_below = 0.0, trend_up_to = 0.0, N = (double)n_samples;
            double qt = trend_q[r * n_levels + i], slack = 1e-9 * (1.0 + fabs(qt));
            for (size_t s = 0; s < n_samples; s++) {
                below += y[r * n_samples + s] <= y_q[r * n_levels + i];
                trend_below += trend[r * n_samples + s] < qt - slack;
                trend_up_to += trend[r * n_samples + s] <= qt + slack;
            }
            double se = sqrt(p * (1.0 - p) / N);
            worst = fmax(worst, fabs(below / N - p) / se);
            worst = fmax(worst, (trend_below / N - p) / se); /* an atom: P(< q) <= p <= P(<= q) */
            worst = fmax(worst, (p - trend_up_to / N) / se);
        }
    free(y);
    free(trend);
    return worst;
}

TEST(closed_form_and_sampling_agree)
{
    /* 400,000 paths. Of some hundred binomial proportions none strays 5 standard errors: chance below 1e-4. */
    static const double levels[6] = {0.001, 0.1, 0.4, 0.8, 0.975, 0.9999};
    static const struct {
        size_t S;
        double lambda, sigma, step, multiplicative;
    } cases[] = {{25, 0.15, 0.04, 0.0004, 0.0},
                 {25, 0.5, 0.01, 0.01, -0.3},
                 {10, 2.0, 1e-4, 0.02, 0.2},
                 {25, 0.1, 0.05, 0.05, 0.0} /* S d > 1: a shift at every step */,
                 {1, 0.3, 0.02, 0.01, -1.7}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        toy_init(&x, PROPHET_LINEAR, cases[i].S, cases[i].lambda, cases[i].sigma, 1, 8, cases[i].step);
        for (size_t r = 0; r < x.rows.n; r++)
            x.multiplicative[r] = cases[i].multiplicative * (1.0 + 0.1 * (double)(r % 3));
        CHECK_INT(quantiles(levels, 6), FTL_OK);
        CHECK(disagreement(400000, levels, 6) < 5.0);
    }
}

TEST(closed_form_and_sampling_agree_under_logistic_growth)
{
    /* As above. The centring of the samples is not from samples but from prophet_logistic_rows(): their means test it. */
    static const double levels[6] = {0.001, 0.1, 0.4, 0.8, 0.975, 0.9999};
    static const struct {
        size_t S;
        double lambda, sigma, step, multiplicative, eta;
    } cases[] = {{25, 0.15, 0.04, 0.0004, 0.0, 0.0}, {25, 5.0, 0.03, 0.01, -0.3, 1.0},
                 {10, 60.0, 1e-4, 0.02, 0.2, 3.0},   {25, 3.0, 0.05, 0.05, 0.0, -2.0},
                 {5, 30.0, 1e-9, 0.01, -1.7, -2.0},  {10, 500.0, 0.05, 0.02, 0.0, 30.0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum { N = 400000 };
        toy_init(&x, PROPHET_LOGISTIC, cases[i].S, cases[i].lambda, cases[i].sigma, 1, 8, cases[i].step);
        double even = 0.0; /* of the hinges at t = 1, so that eta there is that of the case */
        for (size_t j = 0; j < cases[i].S; j++) even += x.delta[j] * (1.0 - x.changes[j]);
        x.m = 1.0 - (cases[i].eta - even) / x.k;
        toy_trend(&x);
        for (size_t r = 0; r < x.rows.n; r++)
            x.multiplicative[r] = cases[i].multiplicative * (1.0 + 0.1 * (double)(r % 3));
        CHECK_INT(quantiles(levels, 6), FTL_OK);
        CHECK(disagreement(N, levels, 6) < 5.0);
        double *trend = calloc(x.rows.n * N, sizeof *trend);
        CHECK(trend);
        CHECK_INT(prophet_sample(&x.model, &x.rows, N, 8, NULL, trend, NULL), FTL_OK);
        for (size_t r = 0; r < x.rows.n; r++) {
            double sum = 0.0, squares = 0.0;
            for (size_t s = 0; s < N; s++) {
                double off = trend[r * N + s] - x.trend[r];
                sum += off, squares += off * off;
            }
            CHECK_NEAR(sum / N, 0.0, 1e-9 + 5.0 * sqrt(squares / N / N));
        }
        free(trend);
    }
}

TEST(the_law_under_logistic_growth_agrees_with_adaptive_quadrature)
{
    /* E Phi((c - v(D)) / sigma) by mpmath 1.3 over the density of D from partial fractions, solved for the level. */
    static const double levels[6] = {0.001, 0.1, 0.4, 0.8, 0.975, 0.9999};
    static const struct {
        size_t S;
        double lambda, sigma, step, multiplicative, m;
        size_t row;
        double q[6];
    } cases[] = {
        {25,
         5.0,
         0.03,
         0.01,
         -0.3,
         0.3,
         1,
         {0.42564866139759, 0.48049176732692, 0.51157620531804, 0.54466892419441, 0.57850134388062, 0.63196470184756}},
        {25,
         5.0,
         0.03,
         0.01,
         -0.3,
         0.3,
         4,
         {0.25539142837945, 0.40854908996319, 0.45117952940269, 0.49324676167227, 0.55082256960789, 0.702332957979}},
        {10,
         60.0,
         0.001,
         0.02,
         0.2,
         -4.0,
         1,
         {0.50922473306008, 1.3144038240442, 1.3167690577953, 1.3182292333714, 1.407432850994, 1.4834165840813}},
        {10,
         60.0,
         0.001,
         0.02,
         0.2,
         -4.0,
         4,
         {0.10961393703299, 0.54095881241047, 1.3846837775606, 1.473929243801, 1.5509059966041, 1.5537795878919}},
        {25,
         3.0,
         0.05,
         0.05,
         -1.6,
         6.0,
         1,
         {-0.20693941305248, -0.11476551177574, -0.062558759383861, -0.0070256287588263, 0.049668821231452,
          0.13887518211323}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t S = cases[i].S;
        toy_init(&x, PROPHET_LOGISTIC, S, cases[i].lambda, cases[i].sigma, 0, 6, cases[i].step);
        for (size_t j = 0; j < S; j++) x.changes[j] = 0.5; /* where the deltas, which sum to 0, do nothing */
        if (S % 2) x.delta[0] = 0.0, x.delta[1] = 2.0 * cases[i].lambda, x.delta[2] = -2.0 * cases[i].lambda;
        x.m = cases[i].m;
        toy_trend(&x);
        for (size_t r = 0; r < 6; r++) x.multiplicative[r] = cases[i].multiplicative;
        CHECK_INT(quantiles(levels, 6), FTL_OK);
        for (size_t k = 0; k < 6; k++) { /* 2e-6 of the level's distance from the middle */
            double expected = cases[i].q[k],
                   width = fmax(fabs(expected - cases[i].q[2]), cases[i].q[3] - cases[i].q[1]);
            CHECK_NEAR(y_q[cases[i].row * 6 + k], expected, 2e-6 * width);
        }
    }
}

static void check_order_and_symmetry(size_t n)
{
    for (size_t r = 0; r < x.rows.n; r++) {
        double centre = x.trend[r] * (1.0 + x.multiplicative[r]) + x.additive[r];
        const double *q = y_q + r * n, *g = trend_q + r * n;
        for (size_t i = 0; i < n; i++) {
            CHECK(isfinite(q[i]) && isfinite(g[i]));
            CHECK(i == 0 || (q[i] >= q[i - 1] && g[i] >= g[i - 1]));
            CHECK_NEAR(q[i] - centre, centre - q[n - 1 - i], 1e-14 * fmax(1.0, q[n - 1] - q[0]));
            CHECK_NEAR(g[i] - x.trend[r], x.trend[r] - g[n - 1 - i], 1e-14 * fmax(1.0, g[n - 1] - g[0]));
        }
    }
}

TEST(degenerate_models_stay_ordered_symmetric_and_finite)
{
    static const double levels[9] = {1e-14, 1e-9, 0.001, 0.3, 0.5, 0.7, 0.999, 1.0 - 1e-9, 1.0 - 1e-14};
    static const struct {
        size_t S;
        double lambda, sigma, step;
        size_t n_future;
    } cases[] = {
        {25, 0.1, 1e-9, 0.01, 50},      /* no noise */ {25, 0.0, 0.05, 0.01, 50}, /* no changes in the history */
        {25, 0.0, 1e-9, 0.01, 50},      /* neither */ {0, 0.0, 0.05, 0.01, 20},
        {1, 0.0, 1e-18, 0.01, 20},      /* the dummy */ {25, 0.1, 0.05, 0.01, 1},
        {25, 0.1, 0.05, 0.0, 10},       /* equal times */ {25, 0.1, 0.05, 0.2, 30}, /* S d > 1 */
        {25, 0.1, 0.05, 0.0005, 10000}, {25, 0.1, 0.05, 0.01, 10000},
        {60, 50.0, 1e-6, 1e-7, 300},    {25, 1e6, 0.0, 0.01, 100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n_levels = cases[i].n_future > 1000 ? 4 : 9;
        const double *levels_i = n_levels == 4 ? levels4 : levels;
        toy_init(&x, PROPHET_LINEAR, cases[i].S, cases[i].lambda, cases[i].sigma, 2, cases[i].n_future, cases[i].step);
        if (cases[i].step == 0.0)
            for (size_t r = 2; r < x.rows.n; r++) x.t[r] = 1.01;
        CHECK_INT(quantiles(levels_i, n_levels), FTL_OK);
        check_order_and_symmetry(n_levels);
        for (size_t r = 3; n_levels == 4 && r < x.rows.n; r++) /* wider with every step */
            CHECK(y_q[4 * r + 3] - y_q[4 * r] > (y_q[4 * r - 1] - y_q[4 * r - 4]) * (1.0 - 1e-7));
    }
}

TEST(degenerate_logistic_models_stay_ordered_and_finite)
{
    static const double levels[7] = {1e-14, 0.001, 0.3, 0.5, 0.7, 0.999, 1.0 - 1e-14};
    static const struct {
        size_t S;
        double lambda, sigma, step;
        size_t n_future;
    } cases[] = {
        {25, 1.0, 1e-9, 0.01, 50},  {25, 0.0, 0.05, 0.01, 50}, {25, 0.0, 1e-9, 0.01, 50}, {0, 0.0, 0.05, 0.01, 20},
        {1, 0.0, 1e-18, 0.01, 20},  {25, 1.0, 0.0, 0.01, 20},  {25, 1.0, 0.05, 0.01, 1},  {25, 1.0, 0.05, 0.0, 10},
        {25, 1.0, 0.05, 0.2, 30},   {25, 1e6, 0.05, 0.01, 30}, {25, 1e6, 1e-9, 0.01, 30}, {25, 0.3, 0.05, 0.005, 600},
        {60, 50.0, 1e-6, 1e-7, 30},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int side = 0; side < 3; side++) {
            toy_init(&x, PROPHET_LOGISTIC, cases[i].S, cases[i].lambda, cases[i].sigma, 2, cases[i].n_future,
                     cases[i].step);
            for (size_t r = 0; r < x.rows.n; r++) x.multiplicative[r] = side == 0 ? 0.0 : side == 1 ? -1.0 : -2.5;
            CHECK_INT(quantiles(levels, 7), FTL_OK);
            for (size_t at = 0; at < 7 * x.rows.n; at++) {
                double slack = 1e-9 * (fabs(y_q[at]) + 1.0);
                CHECK(isfinite(y_q[at]) && isfinite(trend_q[at]));
                CHECK(at % 7 == 0 || (y_q[at] >= y_q[at - 1] - slack && trend_q[at] >= trend_q[at - 1]));
            }
        }
}

TEST(a_multiplicative_factor_of_zero_leaves_only_noise)
{
    toy_init(&x, PROPHET_LINEAR, 25, 0.3, 0.05, 0, 60, 0.01);
    for (size_t r = 0; r < 60; r++) x.multiplicative[r] = r % 2 ? -1.0 : r % 4 ? 1.5 : 1e-7;
    CHECK_INT(quantiles(levels4, 4), FTL_OK);
    check_order_and_symmetry(4);
    for (size_t r = 1; r < 60; r += 2) CHECK_NEAR(y_q[4 * r + 2], x.additive[r] + 0.05 * 1.2815515655446004, 1e-15);
    /* every row is the law of that row alone: neighbours with other factors change nothing */
    memcpy(more_q, y_q, sizeof more_q);
    for (size_t r = 0; r < 60; r++) x.multiplicative[r] = 1.5;
    CHECK_INT(quantiles(levels4, 4), FTL_OK);
    for (size_t r = 2; r < 60; r += 4)
        for (size_t i = 0; i < 4; i++) CHECK_NEAR(more_q[4 * r + i], y_q[4 * r + i], 1e-8);
}

TEST(intervals_scale_with_the_series)
{
    toy_init(&x, PROPHET_LINEAR, 25, 0.3, 0.05, 3, 60, 0.002);
    CHECK_INT(quantiles(levels4, 4), FTL_OK);
    memcpy(more_q, y_q, sizeof more_q);
    double centre[63];
    for (size_t r = 0; r < 63; r++) centre[r] = x.trend[r] + x.additive[r];
    x.sigma *= 1024.0;
    for (size_t j = 0; j < 25; j++) x.delta[j] = (j % 2 ? 1.0 : -1.0) * (1024.0 * (0.3 + 1e-8) - 1e-8);
    CHECK_INT(quantiles(levels4, 4), FTL_OK);
    for (size_t r = 0; r < 63; r++)
        for (size_t i = 0; i < 4; i++)
            CHECK_NEAR((y_q[4 * r + i] - centre[r]) / 1024.0, more_q[4 * r + i] - centre[r], 1e-9);
}

TEST(posterior_draws_and_odd_levels_are_refused)
{
    ftl_error err;
    toy_init(&x, PROPHET_LINEAR, 25, 0.3, 0.05, 3, 6, 0.002);
    double bad[2] = {0.5, 1.0};
    CHECK_INT(prophet_exact_quantiles(&x.model, &x.rows, bad, 2, y_q, trend_q, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "not in (0, 1)");
    x.model.n_draws = 2;
    CHECK_INT(prophet_exact_quantiles(&x.model, &x.rows, levels4, 4, y_q, trend_q, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "2 posterior draws");
}

TEST(lack_of_memory_is_reported_and_nothing_leaks)
{
    for (int growth = PROPHET_LINEAR; growth <= PROPHET_FLAT; growth++) {
        toy_init(&x, (prophet_growth)growth, 25, 0.3, 0.05, 3, 60, 0.002);
        ftl_status st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM && n < 100; n++) {
            fi_alloc_fail_after(n);
            st = quantiles(levels4, 4);
            fi_alloc_fail_after(-1);
        }
        CHECK_INT(st, FTL_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_law_of_shifts_agrees_with_partial_fractions),
        cmocka_unit_test(a_year_ahead_agrees_with_another_inversion),
        cmocka_unit_test(levels_inside_the_atom_are_the_trend_itself),
        cmocka_unit_test(history_is_normal_and_flat_growth_has_no_trend_uncertainty),
        cmocka_unit_test(closed_form_and_sampling_agree),
        cmocka_unit_test(the_law_under_logistic_growth_agrees_with_adaptive_quadrature),
        cmocka_unit_test(closed_form_and_sampling_agree_under_logistic_growth),
        cmocka_unit_test(degenerate_models_stay_ordered_symmetric_and_finite),
        cmocka_unit_test(degenerate_logistic_models_stay_ordered_and_finite),
        cmocka_unit_test(a_multiplicative_factor_of_zero_leaves_only_noise),
        cmocka_unit_test(intervals_scale_with_the_series),
        cmocka_unit_test(posterior_draws_and_odd_levels_are_refused),
        cmocka_unit_test(lack_of_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
