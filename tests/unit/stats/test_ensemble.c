/* Ensembles: combination by hand, weights from a backtest, members that refuse, mixtures, files. */
#include "local_methods.h"
#include "series_data.h"
#include "stats/simplex.h"

#include "base/alloc.h"

#include <stdio.h>

static const double levels[] = {0.1, 0.5, 0.9};
static const ftl_predict_args ahead = {.horizon = 6, .levels = levels, .n_levels = 3};

/* The weights in a model's explanation. */
static void weights_of(const char *spec, const double *y, size_t n, double *weights, size_t n_weights)
{
    ftl_model *model = fit(spec, y, n);
    char *text = NULL;
    CHECK_INT(ftl_model_explain(model, &text, NULL), FTL_OK);
    const char *at = strstr(text, "\"weights\":[");
    CHECK(at != NULL);
    at += strlen("\"weights\":[");
    for (size_t i = 0; i < n_weights; i++) {
        char *end;
        weights[i] = strtod(at, &end);
        CHECK(*end == (i + 1 < n_weights ? ',' : ']'));
        at = end + 1;
    }
    ftl_text_free(text);
    ftl_model_free(model);
}

TEST(quantiles_are_averaged_level_by_level)
{
    ftl_forecast *a = forecast("naive", nile, 100, ahead), *b = forecast("drift", nile, 100, ahead),
                 *c = forecast("mean", nile, 100, ahead),
                 *mean = forecast("ensemble:models=naive+drift+mean,combine=mean", nile, 100, ahead),
                 *median = forecast("ensemble:models=naive+drift+mean", nile, 100, ahead);
    for (size_t i = 0; i < 18; i++) {
        double x = ftl_forecast_quantiles(a)[i], y = ftl_forecast_quantiles(b)[i], z = ftl_forecast_quantiles(c)[i];
        CHECK_NEAR(ftl_forecast_quantiles(mean)[i], (x + y + z) / 3, 1e-10);
        CHECK_NEAR(ftl_forecast_quantiles(median)[i], fmax(fmin(x, y), fmin(fmax(x, y), z)), 1e-10);
    }
    ftl_forecast_free(a), ftl_forecast_free(b), ftl_forecast_free(c);
    ftl_forecast_free(mean), ftl_forecast_free(median);
}

TEST(options_of_members_reach_them)
{
    ftl_forecast *a = forecast("window-mean:window=5", nile, 100, ahead),
                 *b = forecast("theta:model=otm,season=1", nile, 100, ahead),
                 *both = forecast("ensemble:models=window-mean:window=5+theta:model=otm\\,season=1,combine=mean", nile,
                                  100, ahead);
    for (size_t h = 0; h < 6; h++)
        CHECK_NEAR(ftl_forecast_point(both)[h], (ftl_forecast_point(a)[h] + ftl_forecast_point(b)[h]) / 2, 1e-10);
    ftl_forecast_free(a), ftl_forecast_free(b), ftl_forecast_free(both);
    ftl_model *nested = fit("ensemble:models=mstl:seasons=4+12\\,trend=naive+naive", air_passengers, 144);
    ftl_model_free(nested); /* a plus before a digit parts no models */
}

TEST(weights_go_by_the_inverse_pinball_loss)
{ /* the last 5 of 40: losses by hand, of each member fitted to the first 35 */
    static const char *const members[] = {"naive", "mean", "drift"};
    double nine[9], loss[3] = {0}, sum = 0, w[3];
    for (size_t k = 0; k < 9; k++) nine[k] = (double)(k + 1) / 10;
    for (size_t i = 0; i < 3; i++) {
        ftl_forecast *fc =
            forecast(members[i], nile, 35, (ftl_predict_args){.horizon = 5, .levels = nine, .n_levels = 9});
        for (size_t h = 0; h < 5; h++)
            for (size_t k = 0; k < 9; k++) {
                double e = nile[35 + h] - ftl_forecast_quantiles(fc)[9 * h + k];
                loss[i] += e > 0 ? nine[k] * e : (nine[k] - 1) * e;
            }
        sum += 1 / loss[i];
        ftl_forecast_free(fc);
    }
    weights_of("ensemble:models=naive+mean+drift,combine=inverse-error,steps=5,windows=1", nile, 40, w, 3);
    for (size_t i = 0; i < 3; i++) CHECK_NEAR(w[i], 1 / loss[i] / sum, 1e-10);
}

TEST(stacked_weights_are_least_squares_on_the_simplex)
{ /* of two members w = e_2 (e_2 - e_1) / |e_2 - e_1|^2, cut off at 0 and 1 */
    double w[2], top = 0, bottom = 0;
    for (size_t origin = 90; origin < 100; origin += 5) {
        ftl_forecast *a = forecast("naive", nile, origin, ahead), *b = forecast("mean", nile, origin, ahead);
        for (size_t h = 0; h < 5; h++) {
            double e1 = nile[origin + h] - ftl_forecast_point(a)[h], e2 = nile[origin + h] - ftl_forecast_point(b)[h];
            top += e2 * (e2 - e1);
            bottom += (e2 - e1) * (e2 - e1);
        }
        ftl_forecast_free(a), ftl_forecast_free(b);
    }
    weights_of("ensemble:models=naive+mean,combine=stack,steps=5", nile, 100, w, 2);
    CHECK_NEAR(w[0], fmin(1, fmax(0, top / bottom)), 1e-9);
    CHECK_NEAR(w[0] + w[1], 1, 1e-12);
    /* a line is a drift, and nothing else */
    double line[60];
    for (size_t t = 0; t < 60; t++) line[t] = 3 + 2 * (double)t;
    double three[3];
    weights_of("ensemble:models=naive+drift+mean,combine=stack", line, 60, three, 3);
    CHECK_NEAR(three[1], 1, 1e-6);
}

TEST(the_simplex_solver_meets_its_conditions)
{ /* w' G w is least where no gradient of a member lies under that of those with weight */
    uint64_t seed = 7;
    for (size_t run = 0; run < 200; run++) {
        enum { MEMBERS = 7, ROWS = 9 };
        double e[MEMBERS][ROWS], g[MEMBERS * MEMBERS], w[MEMBERS], sum = 0, value = 0;
        for (size_t i = 0; i < MEMBERS; i++)
            for (size_t t = 0; t < ROWS; t++) {
                seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                e[i][t] = (double)(seed >> 11) * 0x1p-53 - (run % 2 ? 0.5 : 0.1);
            }
        if (run % 3 == 0) memcpy(e[3], e[2], sizeof e[3]); /* singular */
        for (size_t i = 0; i < MEMBERS; i++)
            for (size_t j = 0; j < MEMBERS; j++) {
                g[i * MEMBERS + j] = 0;
                for (size_t t = 0; t < ROWS; t++) g[i * MEMBERS + j] += e[i][t] * e[j][t];
            }
        fi_simplex_least_squares(g, MEMBERS, w);
        for (size_t i = 0; i < MEMBERS; i++) {
            CHECK(w[i] >= 0);
            sum += w[i];
            for (size_t j = 0; j < MEMBERS; j++) value += w[i] * g[i * MEMBERS + j] * w[j];
        }
        CHECK_NEAR(sum, 1, 1e-12);
        for (size_t i = 0; i < MEMBERS; i++) {
            double d = 0;
            for (size_t j = 0; j < MEMBERS; j++) d += g[i * MEMBERS + j] * w[j];
            CHECK(d >= value - 1e-9);
            if (w[i] > 1e-9) CHECK_NEAR(d, value, 1e-9);
        }
    }
}

TEST(paths_are_a_mixture_by_the_weights)
{ /* an even mixture of levels far apart: half of the paths lie on either side */
    double y[60];
    for (size_t t = 0; t < 60; t++) y[t] = t < 58 ? (double)(t % 2) : 1000 + (double)(t % 2);
    ftl_predict_args drawn = ahead;
    drawn.n_samples = 4000;
    ftl_forecast *fc = forecast("ensemble:models=window-mean:window=2+seasonal-window-mean:season=1\\,window=50,"
                                "combine=mean",
                                y, 60, drawn);
    size_t high = 0;
    for (size_t s = 0; s < 4000; s++) high += ftl_forecast_samples(fc)[s] > 520 ? 1 : 0;
    CHECK(high > 1000 && high < 3000);
    ftl_forecast_free(fc);
}

TEST(a_member_that_refuses_is_left_out_with_a_warning)
{
    ftl_model *model = fit("ensemble:models=seasonal-naive:season=50+naive", nile, 40);
    ftl_predict_args args = ahead;
    ftl_forecast *fc = NULL, *naive = forecast("naive", nile, 40, ahead);
    CHECK_INT(ftl_model_n_warnings(model), 1);
    CHECK_CONTAINS(ftl_model_warning(model, 0), "seasonal-naive was left out");
    CHECK_CONTAINS(ftl_model_warning(model, 0), "a season of 50 needs more");
    CHECK_INT(ftl_model_predict(model, &args, &fc, NULL), FTL_OK);
    for (size_t h = 0; h < 6; h++) CHECK_NEAR(ftl_forecast_point(fc)[h], ftl_forecast_point(naive)[h], 1e-10);
    ftl_forecast_free(fc), ftl_forecast_free(naive);
    ftl_model_free(model);
    /* one that can fit all but not the backtest's history is left out, too */
    model = fit("ensemble:models=seasonal-naive:season=35+naive+mean,combine=stack,steps=5", nile, 40);
    CHECK_CONTAINS(ftl_model_warning(model, 0), "seasonal-naive was left out");
    ftl_model_free(model);
    check_unfit("ensemble:models=seasonal-naive:season=50+drift", nile, 2, "every model of the ensemble refused it");
}

TEST(a_history_without_room_for_a_backtest_gives_equal_weights)
{
    const double y[] = {3, 5};
    double w[2];
    weights_of("ensemble:models=naive+mean,combine=stack", y, 2, w, 2);
    CHECK(w[0] == 0.5 && w[1] == 0.5);
    ftl_model *model = fit("ensemble:models=naive+mean,combine=stack", y, 2);
    CHECK_CONTAINS(ftl_model_warning(model, 0), "all models weigh the same");
    ftl_model_free(model);
}

TEST(scale_changes_no_weights)
{
    static const char *const specs[] = {"ensemble:models=naive+mean+drift,combine=stack",
                                        "ensemble:models=naive+mean+drift,combine=inverse-error"};
    double y[100], w[3], v[3];
    for (size_t t = 0; t < 100; t++) y[t] = 1e200 * nile[t];
    for (size_t i = 0; i < 2; i++) {
        weights_of(specs[i], nile, 100, w, 3);
        weights_of(specs[i], y, 100, v, 3);
        for (size_t k = 0; k < 3; k++) CHECK_NEAR(w[k], v[k], 1e-9);
    }
    CHECK(w[0] > 0.1 && w[1] > 0.1 && w[2] > 0.1);
}

static void check_config(const char *spec, const char *part)
{
    ftl_config *config = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_config_new(spec, &config, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, part);
}

TEST(what_makes_no_sense_is_refused)
{
    check_config("ensemble:models=naive+ensemble", "cannot be made of ensemble");
    check_config("ensemble:models=naive+dritf", "did you mean 'drift'");
    check_config("ensemble:models=", "no model ''");
    check_config(
        "ensemble:models=naive+mean+naive+mean+naive+mean+naive+mean+naive+mean+naive+mean+naive+mean+naive+mean+"
        "naive",
        "more than 16 models");
}

TEST(hostile_files_are_refused)
{
    ftl_model *model = fit("ensemble:models=naive+mean,combine=mean", nile, 20), *loaded = NULL;
    char *saved = NULL, changed[20000];
    ftl_error err = {FTL_OK, ""};
    static const char *const to[] = {"\"weights\":[0.5]", "\"weights\":[-0.5,1.5]", "\"weights\":[1,1]",
                                     "\"weights\":[null,1]", "\"weights\":[]"};
    CHECK_INT(ftl_model_save_text(model, &saved, NULL), FTL_OK);
    const char *from = "\"weights\":[0.5,0.5]", *at = strstr(saved, from);
    CHECK(at && strlen(saved) + 100 < sizeof changed);
    for (size_t i = 0; i < 5; i++) {
        sprintf(changed, "%.*s%s%s", (int)(at - saved), saved, to[i], at + strlen(from));
        CHECK_INT(ftl_model_load_text(changed, strlen(changed), "file", &loaded, &err), FTL_EDATA);
        CHECK_CONTAINS(err.message, "'weights'");
    }
    ftl_text_free(saved);
    ftl_model_free(model);
}

TEST(memory_may_run_out_in_a_backtest)
{
    ftl_config *config = NULL;
    ftl_series *s = NULL;
    CHECK_INT(ftl_config_new("ensemble:models=naive+drift+seasonal-naive:season=18,combine=stack", &config, NULL),
              FTL_OK);
    CHECK_INT(ftl_series_new("a", nile, 20, &s, NULL), FTL_OK);
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 5000; n++) {
        ftl_model *model = NULL;
        fi_alloc_fail_after(n);
        st = ftl_model_fit(config, s, NULL, &model, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (model != NULL));
        ftl_model_free(model);
    }
    CHECK_INT(st, FTL_OK);
    ftl_series_free(s);
    ftl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_averaged_level_by_level),
        cmocka_unit_test(options_of_members_reach_them),
        cmocka_unit_test(weights_go_by_the_inverse_pinball_loss),
        cmocka_unit_test(stacked_weights_are_least_squares_on_the_simplex),
        cmocka_unit_test(the_simplex_solver_meets_its_conditions),
        cmocka_unit_test(paths_are_a_mixture_by_the_weights),
        cmocka_unit_test(a_member_that_refuses_is_left_out_with_a_warning),
        cmocka_unit_test(a_history_without_room_for_a_backtest_gives_equal_weights),
        cmocka_unit_test(scale_changes_no_weights),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(hostile_files_are_refused),
        cmocka_unit_test(memory_may_run_out_in_a_backtest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
