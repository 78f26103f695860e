#include "check.h"

#include "eval/metrics.h"

enum { L = FTL_SCORED_LEVELS };

/* Every score of one window, by the formulas of evaluate.h worked out by hand. */
TEST(scores_of_one_window)
{
    /* history 1 3 2 6, season 2: scale mean(|2-1|, |6-3|) = 2; test 4, missing, 0; quantiles q_k = k, then 2, then k - 5 */
    const double history[] = {1, 3, 2, 6}, y[] = {4, NAN, 0}, point[] = {6, 0, 1};
    double q[3 * L];
    fi_sums sums;
    ftl_scores s = {0};
    for (size_t k = 0; k < L; k++) q[k] = (double)k + 1, q[L + k] = 2, q[2 * L + k] = (double)k - 4;
    fi_score_window(&(fi_window){.history = history, .n = 4, .season = 2, .y = y, .horizon = 3, .q = q, .point = point},
                    &sums);
    fi_sums_finish(&sums, &s);
    CHECK_INT(s.n_points, 2);
    CHECK_NEAR(s.mase, (1.0 / 2 + 0) / 2, 1e-15);
    CHECK_NEAR(s.smape, 2.0 / 9 / 2, 1e-15);
    CHECK_NEAR(s.mape, 0.25, 1e-15);
    CHECK_NEAR(s.rmse, sqrt((4.0 + 1) / 2), 1e-15);
    /* pinball at y = 4: levels .1 .. .4 below: .1*3 .2*2 .3*1 0, above: .5*1 .4*2 .3*3 .2*4 .1*5 */
    CHECK_NEAR(s.pinball[0], 2 * (0.1 * 3 + 0.1 * 4) / 4, 1e-15);
    CHECK_NEAR(s.pinball[8], 2 * (0.1 * 5 + 0.1 * 4) / 4, 1e-15);
    double at_4 = 0.3 + 0.4 + 0.3 + 0 + 0.5 + 0.8 + 0.9 + 0.8 + 0.5;
    double at_0 = 2 * (0.1 * 4 + 0.2 * 3 + 0.3 * 2 + 0.4 * 1);
    CHECK_NEAR(s.wql, 2 * (at_4 + at_0) / 9 / 4, 1e-14);
    CHECK_NEAR(s.crps, (at_4 + at_0) / 9, 1e-14);
    CHECK_NEAR(s.scrps, (at_4 + at_0) / 9 / 2, 1e-14);
    CHECK_NEAR(s.coverage, 1, 0);
    CHECK_NEAR(s.msis, 8.0 / 2, 1e-15);
    CHECK_NEAR(s.pit[4], 0.5, 0); /* 4 is the 0.4 quantile: it lies between the 4th and the 5th */
    CHECK_NEAR(s.pit[5], 0.5, 0); /* 0 is the median */
}

TEST(an_interval_that_misses_costs_ten_times_the_distance)
{
    const double history[] = {0, 1, 0}, y[] = {12}, point[] = {5};
    double q[L];
    fi_sums sums;
    ftl_scores s = {0};
    for (size_t k = 0; k < L; k++) q[k] = (double)k + 1;
    fi_score_window(&(fi_window){.history = history, .n = 3, .season = 1, .y = y, .horizon = 1, .q = q, .point = point},
                    &sums);
    fi_sums_finish(&sums, &s);
    CHECK_NEAR(s.msis, 8 + 10 * 3, 1e-13);
    CHECK_NEAR(s.coverage, 0, 0);
    CHECK_NEAR(s.pit[9], 1, 0);
}

/* E|X - y| - E|X - X'| / 2 for X uniform on {0, 1, 3} and y = 2: (2 + 1 + 1)/3 - (2 (1 + 3 + 2))/9/2 */
TEST(crps_of_samples_is_the_energy_form)
{
    const double history[] = {0, 2}, y[] = {2}, point[] = {1}, samples[] = {3, 0, 1};
    double q[L] = {0, 0, 0, 1, 1, 1, 3, 3, 3}, work[3];
    fi_sums sums;
    ftl_scores s = {0};
    fi_window w = {.history = history, .n = 2, .season = 1, .y = y, .horizon = 1, .q = q, .point = point};
    w.samples = samples;
    w.n_samples = 3;
    w.work = work;
    fi_score_window(&w, &sums);
    fi_sums_finish(&sums, &s);
    CHECK_NEAR(s.crps, 4.0 / 3 - 12.0 / 18, 1e-15);
    CHECK_NEAR(s.scrps, s.crps / 2, 1e-15);
}

/* 1,000 draws of a standard normal: the sample form nears the closed form sigma (2 phi(z) + z (2 Phi(z) - 1) - 1/sqrt(pi)). */
TEST(crps_of_many_normal_draws_is_that_of_the_normal)
{
    enum { N = 4000 };
    static double samples[N], work[N];
    double q[L] = {0}, y = 0.7, z = 0.7;
    for (size_t i = 0; i < N; i++) { /* quantiles at the middles of N equal parts */
        double lo = -8, hi = 8, p = ((double)i + 0.5) / N;
        for (int k = 0; k < 60; k++) {
            double mid = (lo + hi) / 2;
            if (0.5 * erfc(-mid / sqrt(2)) < p)
                lo = mid;
            else
                hi = mid;
        }
        samples[i] = lo;
    }
    fi_sums sums;
    fi_window w = {.history = (double[]){0, 1}, .n = 2, .season = 1, .y = &y, .horizon = 1, .q = q, .point = q};
    w.samples = samples;
    w.n_samples = N;
    w.work = work;
    fi_score_window(&w, &sums);
    double phi = exp(-z * z / 2) / sqrt(2 * M_PI), cdf = 0.5 * erfc(-z / sqrt(2));
    CHECK_NEAR(sums.crps, 2 * phi + z * (2 * cdf - 1) - 1 / sqrt(M_PI), 2e-4);
}

TEST(scale_of_short_constant_and_gappy_histories)
{
    const double y[] = {1, NAN, 4, 4, NAN, 10}, flat[] = {5, 5, 5}, holes[] = {1, NAN, 3};
    CHECK_NEAR(fi_season_scale(y, 6, 3), (3.0 + 6) / 2, 1e-15); /* pairs (1,4) and (4,10) */
    CHECK_NEAR(fi_season_scale(y, 4, 12), 0, 0);                /* not longer than a season: 4 - 4 alone */
    CHECK_NEAR(fi_season_scale(flat, 3, 1), 0, 0);
    CHECK_NEAR(fi_season_scale(holes, 3, 1), NAN, 0);
    CHECK_NEAR(fi_season_scale(y, 1, 1), NAN, 0);
}

TEST(baseline_repeats_the_last_season_with_its_gaps)
{
    const double y[] = {9, 1, NAN, 3};
    CHECK_NEAR(fi_baseline(y, 4, 3, 0), 1, 0);
    CHECK_NEAR(fi_baseline(y, 4, 3, 1), NAN, 0);
    CHECK_NEAR(fi_baseline(y, 4, 3, 5), 3, 0);
    CHECK_NEAR(fi_baseline(y, 4, 7, 2), 3, 0); /* shorter than a season: the last value */
    CHECK_NEAR(fi_baseline(y, 0, 7, 2), NAN, 0);
}

/* A constant series has no scale: it counts for WQL, not for MASE. */
TEST(a_series_without_scale_is_left_out_of_scaled_scores)
{
    const double history[] = {5, 5, 5}, y[] = {6};
    double q[L];
    fi_sums sums;
    ftl_scores s = {0};
    for (size_t k = 0; k < L; k++) q[k] = 5;
    fi_score_window(&(fi_window){.history = history, .n = 3, .season = 1, .y = y, .horizon = 1, .q = q, .point = q},
                    &sums);
    fi_sums_finish(&sums, &s);
    CHECK_NEAR(s.mase, NAN, 0);
    CHECK_NEAR(s.wql, 1.0 / 6, 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_of_one_window),
        cmocka_unit_test(an_interval_that_misses_costs_ten_times_the_distance),
        cmocka_unit_test(crps_of_samples_is_the_energy_form),
        cmocka_unit_test(crps_of_many_normal_draws_is_that_of_the_normal),
        cmocka_unit_test(scale_of_short_constant_and_gappy_histories),
        cmocka_unit_test(baseline_repeats_the_last_season_with_its_gaps),
        cmocka_unit_test(a_series_without_scale_is_left_out_of_scaled_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
