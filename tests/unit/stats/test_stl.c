/* STL: the numbers of R 4.2.2's stl() to its digits, exact parts, gaps, memory. */
#include "base/alloc.h"
#include "check.h"
#include "series_data.h"
#include "stats/stl.h"

enum { N = 144, WORK = 2000 };
static double season[N], trend[N], weights[N], work[WORK], y[N];
static const size_t places[7] = {0, 1, 12, 69, 99, 142, 143};

static void decompose(const fi_stl_options *o)
{
    CHECK(fi_stl_work(N, 12) <= WORK);
    fi_stl(y, N, o, season, trend, weights, work);
}

static void check_parts(const double *want_season, const double *want_trend)
{
    for (size_t i = 0; i < 7; i++) {
        CHECK_NEAR(season[places[i]], want_season[i], 1e-12);
        CHECK_NEAR(trend[places[i]], want_trend[i], 1e-11);
    }
}

TEST(air_passengers_decompose_as_in_r)
{ /* stl(log(AirPassengers), s.window = 11) and s.window = "periodic" */
    static const double season11[] = {-0.0906711738360, -0.0787778402370, -0.0901813502879, -0.0764948797510,
                                      -0.0202764808519, -0.2152399450163, -0.1127019025045};
    static const double trend11[] = {4.81545943853, 4.81928797281, 4.87225181411, 5.51729206314,
                                     5.87428880681, 6.19107218983, 6.19895258264};
    static const double seasonp[] = {-0.0916404241465, -0.1140282839203, -0.0916404241465, -0.0702483587835,
                                     -0.0140275899738, -0.2135277395930, -0.1006362506540};
    static const double trendp[] = {4.82938865395, 4.83036813990, 4.87341685822, 5.51567814797,
                                    5.87500478739, 6.19630749200, 6.20475235643};
    for (size_t i = 0; i < N; i++) y[i] = log(air_passengers[i]);
    fi_stl_options o = fi_stl_defaults(N, 12, 11, false);
    decompose(&o);
    check_parts(season11, trend11);
    o = fi_stl_defaults(N, 12, 0, false);
    decompose(&o);
    check_parts(seasonp, trendp);
    CHECK(weights[50] == 1);
}

TEST(an_outlier_loses_its_weight_as_in_r)
{ /* the first 143 with 2 added to the 50th, s.window = 7, robust = TRUE (at even lengths R's median may be off by one) */
    static const double want_season[] = {-0.0695334842836, -0.0409495021755, -0.0693646807130, -0.0726576096140,
                                         -0.0199732242930, -0.0737853161589, -0.2218573490273};
    static const double want_trend[] = {4.79772051527, 4.80421520585, 4.88383733056, 5.51934527195,
                                        5.87288994067, 6.19331224279, 6.20149128523};
    for (size_t i = 0; i < N; i++) y[i] = log(air_passengers[i]) + (i == 49 ? 2 : 0);
    fi_stl_options o = fi_stl_defaults(N - 1, 12, 7, true);
    fi_stl(y, N - 1, &o, season, trend, weights, work);
    for (size_t i = 0; i < 7; i++) {
        size_t at = places[i] - (i > 4);
        CHECK_NEAR(season[at], want_season[i], 1e-11);
        CHECK_NEAR(trend[at], want_trend[i], 1e-10);
    }
    CHECK(weights[49] == 0);
    CHECK_NEAR(weights[0], 0.954753157612, 1e-9);
    CHECK_NEAR(weights[48], 0.987254494787, 1e-9);
}

TEST(a_line_and_a_repeating_season_are_told_apart_exactly)
{
    static const double cycle[4] = {3, -1, -4, 2};
    for (size_t n = 9; n < 60; n += 5) {
        for (size_t i = 0; i < n; i++) y[i] = 5 + 0.5 * (double)i + cycle[i % 4];
        fi_stl_options o = fi_stl_defaults(n, 4, 0, false);
        o.inner = 30;
        fi_stl(y, n, &o, season, trend, NULL, work);
        for (size_t i = 0; i < n; i++) CHECK_NEAR(season[i] + trend[i], y[i], 0.01);
        for (size_t i = 4; i < n; i++) CHECK_NEAR(season[i], season[i - 4], 1e-12);
    }
}

TEST(seasonal_strength_is_that_of_r)
{ /* forecast 8.20, seas.heuristic() */
    double strength;
    CHECK_INT(fi_seasonal_strength(air_passengers, 144, 12, &strength, NULL), FTL_OK);
    CHECK_NEAR(strength, 0.9406725, 1e-6);
    CHECK_INT(fi_seasonal_strength(us_acc_deaths, 72, 12, &strength, NULL), FTL_OK);
    CHECK_NEAR(strength, 0.9447945, 1e-6);
    CHECK_INT(fi_seasonal_strength(lh, 48, 5, &strength, NULL), FTL_OK);
    CHECK_NEAR(strength, 0.1074253, 1e-6);
    CHECK_INT(fi_seasonal_strength(lh, 48, 24, &strength, NULL), FTL_OK); /* two seasons are too few */
    CHECK_NEAR(strength, 0, 0);
    for (size_t i = 0; i < N; i++) y[i] = 7;
    CHECK_INT(fi_seasonal_strength(y, N, 12, &strength, NULL), FTL_OK);
    CHECK_NEAR(strength, 0, 0);
}

TEST(gaps_are_bridged_by_lines)
{
    const double with_gaps[8] = {NAN, 2, NAN, NAN, 8, 9, NAN, NAN}, want[8] = {2, 2, 4, 6, 8, 9, 9, 9};
    double out[8];
    fi_bridge_gaps(with_gaps, 8, out);
    for (size_t i = 0; i < 8; i++) CHECK_NEAR(out[i], want[i], 1e-15);
    const double none[2] = {NAN, NAN};
    fi_bridge_gaps(none, 2, out);
    CHECK(isnan(out[0]) && isnan(out[1]));
}

TEST(lack_of_memory_is_reported)
{
    double strength;
    fi_alloc_fail_after(0);
    CHECK_INT(fi_seasonal_strength(air_passengers, 144, 12, &strength, NULL), FTL_ENOMEM);
    fi_alloc_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(air_passengers_decompose_as_in_r),
        cmocka_unit_test(an_outlier_loses_its_weight_as_in_r),
        cmocka_unit_test(a_line_and_a_repeating_season_are_told_apart_exactly),
        cmocka_unit_test(seasonal_strength_is_that_of_r),
        cmocka_unit_test(gaps_are_bridged_by_lines),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
