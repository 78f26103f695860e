#include "check.h"

#include "base/alloc.h"
#include "math/distributions.h"
#include "series_data.h"

#include <foretell/describe.h>

enum { N = 480 };

static double normal(fi_rng *rng)
{
    return fi_rng_normal(rng);
}

static ftl_description *describe(const double *y, size_t n)
{
    ftl_series *s = NULL;
    ftl_description *d = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_series_new("a", y, n, &s, NULL), FTL_OK);
    if (ftl_describe(s, NULL, &d, &err)) fail_msg("%s", err.message);
    ftl_series_free(s);
    return d;
}

static const ftl_period *period_of(const ftl_description *d, size_t steps)
{
    for (size_t i = 0; i < d->n_periods; i++)
        if (d->periods[i].steps == steps && d->periods[i].found) return &d->periods[i];
    return NULL;
}

TEST(a_season_of_24_is_found_in_noise_and_nothing_else)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        double y[N];
        fi_rng rng;
        fi_rng_init(&rng, seed, 0, 0);
        for (size_t t = 0; t < N; t++) /* not a sine: a harmonic of 12 lies in it */
            y[t] = 100 + 8 * sin((double)t * 6.283185307179586 / 24) + 4 * cos((double)t * 6.283185307179586 / 12) +
                   3 * normal(&rng);
        ftl_description *d = describe(y, N);
        CHECK_INT(d->n_periods, 1);
        CHECK(period_of(d, 24));
        CHECK(d->periods[0].strength > 0.7 && d->periods[0].autocorrelation > 0.6 && d->periods[0].power > 0.6);
        CHECK_INT(d->n_shifts, 0);
        CHECK_INT(d->n_outliers, 0);
        CHECK_CONTAINS(d->advice, "one season of 24");
        ftl_description_free(d);
    }
}

TEST(two_seasons_are_told_apart)
{
    double y[1680];
    fi_rng rng;
    fi_rng_init(&rng, 5, 0, 0);
    for (size_t t = 0; t < 1680; t++)
        y[t] = 50 + 10 * sin((double)t * 6.283185307179586 / 24) + (t / 24 % 7 >= 5 ? 12 : 0) + 2 * normal(&rng);
    ftl_description *d = describe(y, 1680);
    CHECK_INT(d->n_periods, 2);
    CHECK(period_of(d, 24) && period_of(d, 168));
    CHECK_CONTAINS(d->advice, "24 and 168");
    ftl_description_free(d);
}

TEST(noise_and_random_walks_have_no_season)
{
    size_t found = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        double y[200], level = 0;
        fi_rng rng;
        fi_rng_init(&rng, seed, 1, 0);
        for (size_t t = 0; t < 200; t++) {
            level += normal(&rng);
            y[t] = seed % 2 ? level : 10 + normal(&rng);
        }
        ftl_description *d = describe(y, 200);
        found += d->n_periods > 0;
        if (seed % 2 == 0) CHECK(d->n_shifts == 0 && d->trend_strength < 0.6);
        ftl_description_free(d);
    }
    CHECK(found <= 4); /* of 40: what seems a season now and then in a walk */
}

TEST(a_level_shift_at_60_is_found_where_it_is)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        double y[144];
        fi_rng rng;
        fi_rng_init(&rng, seed, 2, 0);
        for (size_t t = 0; t < 144; t++)
            y[t] = (t < 60 ? 100 : 130) + 6 * sin((double)t * 6.283185307179586 / 12) + 4 * normal(&rng);
        ftl_description *d = describe(y, 144);
        CHECK_INT(d->n_shifts, 1);
        CHECK(d->shifts[0].row >= 58 && d->shifts[0].row <= 62);
        CHECK_NEAR(d->shifts[0].before, 100, 4);
        CHECK_NEAR(d->shifts[0].after, 130, 4);
        CHECK_CONTAINS(d->advice, "level shifts");
        ftl_description_free(d);
    }
}

TEST(a_straight_trend_is_no_shift)
{
    double y[200];
    fi_rng rng;
    fi_rng_init(&rng, 3, 3, 0);
    for (size_t t = 0; t < 200; t++) y[t] = 0.5 * (double)t + normal(&rng);
    ftl_description *d = describe(y, 200);
    CHECK_INT(d->n_shifts, 0);
    CHECK(d->trend_strength > 0.95);
    CHECK_INT(d->differences, 1);
    ftl_description_free(d);
}

TEST(three_outliers_are_the_three)
{
    double y[N];
    fi_rng rng;
    fi_rng_init(&rng, 4, 4, 0);
    for (size_t t = 0; t < N; t++) y[t] = 20 + 5 * sin((double)t * 6.283185307179586 / 24) + normal(&rng);
    y[100] += 15;
    y[101] += 12;
    y[333] -= 14;
    ftl_description *d = describe(y, N);
    CHECK_INT(d->n_outliers, 3);
    CHECK(d->outliers[0] == 100 && d->outliers[1] == 101 && d->outliers[2] == 333);
    CHECK_INT(d->n_shifts, 0);
    ftl_description_free(d);
}

TEST(demand_is_classed_by_its_intervals_and_sizes)
{
    double y[60] = {0};
    for (size_t t = 0; t < 60; t += 3) y[t] = t % 2 ? 3 : 5;
    ftl_description *d = describe(y, 60);
    CHECK_INT(d->demand, FTL_DEMAND_INTERMITTENT);
    CHECK_NEAR(d->adi, 3, 1e-12);
    CHECK_NEAR(d->cv2, 20.0 / 19 / 16, 1e-12); /* sizes 3 and 5, ten each: variance 20 / 19, mean 4 */
    CHECK_INT(d->n_zeros, 40);
    CHECK_CONTAINS(d->advice, "sba");
    ftl_description_free(d);
    for (size_t t = 0; t < 60; t += 3) y[t] = t % 2 ? 1 : 40;
    d = describe(y, 60);
    CHECK_TEXT(ftl_demand_name(d->demand), "lumpy");
    ftl_description_free(d);
    y[4] = -1;
    d = describe(y, 60);
    CHECK_INT(d->demand, FTL_DEMAND_NONE);
    CHECK(isnan(d->adi));
    ftl_description_free(d);
}

TEST(gaps_are_counted_on_the_grid)
{
    ftl_time ds[20];
    double y[20];
    ftl_series *s = NULL;
    ftl_description *d = NULL;
    for (int i = 0; i < 20; i++) {
        ds[i] = ftl_time_of((ftl_date){2024, 1, 1 + i + (i >= 10 ? 3 : 0)}); /* three days without a row */
        y[i] = i % 7;
    }
    y[3] = NAN;
    CHECK_INT(ftl_series_new_full("a", FTL_TIME_DATE, ds, y, 20, NULL, NULL, 0, &s, NULL), FTL_OK);
    CHECK_INT(ftl_describe(s, NULL, &d, NULL), FTL_OK);
    CHECK_TEXT(d->freq, "D");
    CHECK_INT(d->n, 23);
    CHECK_INT(d->n_observed, 19);
    CHECK_INT(d->n_missing, 4);
    CHECK_INT(d->n_gaps, 2);
    CHECK_INT(d->longest_gap, 3);
    CHECK(d->times[10] == ds[9] + FTL_DAY && isnan(d->y[10]));
    ftl_description_free(d);
    ftl_series_free(s);
}

TEST(odd_series_are_described_too)
{
    double y[40];
    for (int kind = 0; kind < 7; kind++) {
        for (size_t t = 0; t < 40; t++)
            y[t] = kind == 0   ? 7
                   : kind == 1 ? NAN
                   : kind == 2 ? (t % 2 ? 1.5e308 : -1.5e308)
                   : kind == 3 ? 1e-310 * (double)(t % 5)
                   : kind == 4 ? (double)t
                   : kind == 5 ? (t == 39 ? 1e12 : 0)
                               : (t % 9 ? NAN : (double)t);
        for (size_t n = 1; n <= 40; n += n < 30 ? 1 : 5) {
            ftl_description *d = describe(y, n);
            CHECK(d->advice[0] && d->n_outliers <= n && d->n_periods <= FTL_MAX_PERIODS);
            ftl_description_free(d);
        }
    }
    ftl_description *d = describe(air_passengers, 144);
    CHECK(period_of(d, 12) && d->periods[0].strength > 0.9);
    CHECK(d->trend_strength > 0.9);
    CHECK_INT(d->differences, 1); /* R: ndiffs(AirPassengers), nsdiffs() */
    CHECK_INT(d->seasonal_differences, 1);
    ftl_description_free(d);
}

TEST(memory_may_run_out_anywhere)
{
    ftl_series *s = NULL;
    ftl_status st = FTL_ENOMEM;
    CHECK_INT(ftl_series_new("a", air_passengers, 144, &s, NULL), FTL_OK);
    for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
        ftl_description *d = NULL;
        fi_alloc_fail_after(n);
        st = ftl_describe(s, NULL, &d, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (d != NULL));
        ftl_description_free(d);
    }
    CHECK_INT(st, FTL_OK);
    ftl_series_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_season_of_24_is_found_in_noise_and_nothing_else),
        cmocka_unit_test(two_seasons_are_told_apart),
        cmocka_unit_test(noise_and_random_walks_have_no_season),
        cmocka_unit_test(a_level_shift_at_60_is_found_where_it_is),
        cmocka_unit_test(a_straight_trend_is_no_shift),
        cmocka_unit_test(three_outliers_are_the_three),
        cmocka_unit_test(demand_is_classed_by_its_intervals_and_sizes),
        cmocka_unit_test(gaps_are_counted_on_the_grid),
        cmocka_unit_test(odd_series_are_described_too),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
