/*
 * The closed form against Prophet's own sampler, for the exact fit of the Peyton Manning example that
 * golden_map_exact.json holds, 365 days ahead.
 */
#include "prophet/shift_law.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "check.h"

enum { DAYS = 365 };
static double t[DAYS], trend[DAYS], none[DAYS], q[DAYS * 4], trend_q[DAYS * 4];

TEST(peyton_manning_365_days_ahead)
{
    const char *path = shared_path("data/prophet/golden_map_exact.json");
    char *text = NULL;
    size_t size = 0, S = 0, n_changes = 0;
    json_t *all = NULL;
    CHECK_INT(fi_file_read(path, 100000000, &text, &size, NULL), FTL_OK);
    CHECK_INT(fi_json_parse(text, size, path, &all, NULL), FTL_OK);
    const json_t *fit = json_array_get(all, 0);
    const char *name = "";
    double k = 0, m = 0, sigma = 0, span = 0, *delta = NULL, *changes = NULL;
    CHECK_INT(fi_json_get_text(fit, "name", &name, NULL), FTL_OK);
    CHECK_TEXT(name, "peyton_additive");
    CHECK_INT(fi_json_get_real(fit, "k", &k, NULL), FTL_OK);
    CHECK_INT(fi_json_get_real(fit, "m", &m, NULL), FTL_OK);
    CHECK_INT(fi_json_get_real(fit, "sigma_obs", &sigma, NULL), FTL_OK);
    CHECK_INT(fi_json_get_real(fit, "t_scale_seconds", &span, NULL), FTL_OK);
    CHECK_INT(fi_json_get_reals(fit, "delta", &delta, &S, NULL), FTL_OK);
    CHECK_INT(fi_json_get_reals(fit, "changepoints_t", &changes, &n_changes, NULL), FTL_OK);
    CHECK_INT(S, n_changes);

    for (size_t i = 0; i < DAYS; i++) t[i] = 1.0 + (double)(i + 1) * 86400.0 / span;
    prophet_trend(PROPHET_LINEAR, k, m, delta, changes, S, t, NULL, DAYS, trend);
    const prophet_model model = {.config = {.growth = PROPHET_LINEAR, .vectorized = true},
                                 .n_changepoints = S,
                                 .changepoints_t = changes,
                                 .n_draws = 1,
                                 .k = &k,
                                 .m = &m,
                                 .sigma_obs = &sigma,
                                 .delta = delta};
    const prophet_rows rows = {.n = DAYS, .t = t, .trend = trend, .additive = none, .multiplicative = none};
    static const double levels[4] = {0.025, 0.1, 0.9, 0.975};
    CHECK_INT(prophet_exact_quantiles(&model, &rows, levels, 4, q, trend_q, NULL), FTL_OK);

    /*
     * 400,000 paths of Python prophet 1.5's sample_predictive_trend_vectorized with these parameters, normal noise
     * added: quantiles minus the trend. Of a level p their standard error is sqrt(p (1 - p) / 400000) / density; the
     * densities are those at h = 1 or smaller, which 1.4e-4 and 1.8e-4 allow for, and 5 of these never occur.
     */
    static const struct {
        size_t h;
        double y[4], trend[4];
    } prophet[5] = {
        {1, {-0.07371155, -0.04819412, 0.04818297, 0.07362638}, {0.0, 0.0, 0.0, 0.0}},
        {30, {-0.0736548, -0.04809177, 0.04827802, 0.07369724}, {-1.16557e-03, -4.5963e-05, 4.4524e-05, 1.16556e-03}},
        {100, {-0.07407069, -0.04839378, 0.04833361, 0.07425572}, {-0.00828887, -0.00297554, 0.00299541, 0.00831736}},
        {200, {-0.07675429, -0.05002381, 0.04983661, 0.07652218}, {-0.02311748, -0.01063737, 0.0106159, 0.02298704}},
        {365, {-0.0898715, -0.05734053, 0.05729167, 0.08967977}, {-0.05532601, -0.02888627, 0.02865783, 0.05509557}},
    };
    for (size_t i = 0; i < 5; i++)
        for (size_t l = 0; l < 4; l++) {
            size_t at = 4 * (prophet[i].h - 1) + l;
            double se = l == 1 || l == 2 ? 1.4e-4 : 1.8e-4;
            CHECK_NEAR(q[at] - trend[prophet[i].h - 1], prophet[i].y[l], 5.0 * se);
            CHECK_NEAR(trend_q[at] - trend[prophet[i].h - 1], prophet[i].trend[l], 5.0 * se);
        }
    fi_free(delta);
    fi_free(changes);
    fi_free(text);
    json_decref(all);
}

int main(void)
{
    require_shared("data/prophet/golden_map_exact.json");
    const struct CMUnitTest tests[] = {cmocka_unit_test(peyton_manning_365_days_ahead)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
