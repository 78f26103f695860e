#include "check.h"

#include "base/alloc.h"
#include "math/distributions.h"

#include <foretell/foretell.h>

enum { N = 144 };
static const double levels[] = {0.1, 0.5, 0.9};

/* Months with a season, a trend and noise: seasonal naive is beaten by any model of a trend. */
static ftl_series *months(size_t n, double trend, double noise, uint64_t seed)
{
    ftl_time ds[N];
    double y[N];
    fi_rng rng;
    ftl_series *s = NULL;
    fi_rng_init(&rng, seed, 0, 0);
    for (size_t t = 0; t < n; t++) {
        ds[t] = ftl_time_of((ftl_date){2010, 1 + (int)t, 1});
        y[t] = 100 + trend * (double)t + 10 * sin((double)t * 6.283185307179586 / 12) + noise * fi_rng_normal(&rng);
    }
    CHECK_INT(ftl_series_new_full("", FTL_TIME_DATE, ds, y, n, NULL, NULL, 0, &s, NULL), FTL_OK);
    return s;
}

static ftl_model *fit(const char *spec, const ftl_series *s)
{
    ftl_config *config = NULL;
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_config_new(spec, &config, &err) || ftl_model_fit(config, s, NULL, &model, &err))
        fail_msg("%s", err.message);
    ftl_config_free(config);
    return model;
}

static ftl_forecast *predict(const ftl_model *model, size_t n_samples)
{
    ftl_forecast *fc = NULL;
    const ftl_predict_args args = {.horizon = 6, .levels = levels, .n_levels = 3, .n_samples = n_samples};
    CHECK_INT(ftl_model_predict(model, &args, &fc, NULL), FTL_OK);
    return fc;
}

/* The loss that the explanation tells of a candidate; NaN: none. */
static double loss_of(const char *explanation, const char *model)
{
    char key[64];
    double loss = NAN;
    snprintf(key, sizeof key, "{\"model\":\"%s\",\"score\":", model);
    const char *at = strstr(explanation, key);
    if (at && (at = strstr(at, "\"loss\":"))) sscanf(at + 7, "%lf", &loss);
    return loss;
}

TEST(the_best_on_the_windows_is_chosen_and_forecasts_as_itself)
{
    ftl_series *s = months(N, 1, 1, 3);
    ftl_model *model = fit("auto:models=auto-ets+auto-theta+naive,combine=best", s), *alone;
    char *told = NULL;
    CHECK_INT(ftl_model_explain(model, &told, NULL), FTL_OK);
    const char *names[] = {"seasonal-naive", "naive", "auto-theta", "auto-ets"}, *best = names[0];
    for (size_t i = 0; i < 4; i++) {
        CHECK(loss_of(told, names[i]) > 0);
        if (loss_of(told, names[i]) < loss_of(told, best)) best = names[i];
    }
    CHECK(strcmp(best, names[0]) != 0);
    CHECK_CONTAINS(ftl_model_remark(model), best);
    CHECK_CONTAINS(ftl_model_remark(model), "against seasonal-naive (WQL ");
    alone = fit(best, s);
    ftl_forecast *a = predict(model, 7), *b = predict(alone, 0);
    for (size_t i = 0; i < 18; i++) CHECK(ftl_forecast_quantiles(a)[i] == ftl_forecast_quantiles(b)[i]);
    CHECK_TEXT(ftl_forecast_model(a), "auto");
    CHECK_INT(ftl_forecast_n_samples(a), 7);
    ftl_forecast_free(a), ftl_forecast_free(b);
    ftl_text_free(told);
    ftl_model_free(model), ftl_model_free(alone);
    ftl_series_free(s);
}

TEST(the_loss_is_that_of_a_rolling_origin)
{ /* by hand: seasonal naive of a series that only repeats and rises by 12 a year, windows of 12: every median is 12 off */
    ftl_series *s = months(N, 1, 0, 0);
    ftl_model *model = fit("auto:models=naive,metric=mase,windows=3,horizon=12", s);
    char *told = NULL;
    CHECK_INT(ftl_model_explain(model, &told, NULL), FTL_OK);
    CHECK_CLOSE(loss_of(told, "seasonal-naive"), 36, 1e-9); /* MASE 1 of 36 points */
    CHECK_CONTAINS(told, "\"windows\":3,\"horizon\":12");
    ftl_text_free(told);
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(seasonal_naive_wins_where_nothing_beats_it)
{
    ftl_series *s = months(N, 0, 0.001, 1);
    ftl_model *model = fit("auto:models=naive+drift+mean,combine=weighted", s);
    CHECK_CONTAINS(ftl_model_remark(model), "auto chose seasonal-naive");
    CHECK(!strstr(ftl_model_remark(model), " + "));
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(a_combination_is_the_weighted_mean_of_what_beats_seasonal_naive)
{
    ftl_series *s = months(N, 1, 1, 5);
    ftl_model *model = fit("auto:models=auto-ets+auto-theta+mean,combine=weighted", s);
    ftl_model *ets = fit("auto-ets", s), *theta = fit("auto-theta", s);
    char *told = NULL;
    CHECK_INT(ftl_model_explain(model, &told, NULL), FTL_OK);
    double base = loss_of(told, "seasonal-naive"), a = loss_of(told, "auto-ets"), b = loss_of(told, "auto-theta");
    CHECK(a < base && b < base && loss_of(told, "mean") > base);
    ftl_forecast *all = predict(model, 100), *x = predict(ets, 100), *y = predict(theta, 100);
    for (size_t i = 0; i < 18; i++)
        CHECK_CLOSE(ftl_forecast_quantiles(all)[i],
                    (ftl_forecast_quantiles(x)[i] / a + ftl_forecast_quantiles(y)[i] / b) / (1 / a + 1 / b), 1e-12);
    size_t first = 0; /* paths are drawn by turns: the better one's first */
    const ftl_forecast *better = a < b ? x : y;
    while (first < 100 && ftl_forecast_samples(all)[first] == ftl_forecast_samples(better)[first]) first++;
    CHECK_NEAR((double)first, 100 * (1 / fmin(a, b)) / (1 / a + 1 / b), 1);
    ftl_forecast_free(all), ftl_forecast_free(x), ftl_forecast_free(y);
    ftl_text_free(told);
    ftl_model_free(model), ftl_model_free(ets), ftl_model_free(theta);
    ftl_series_free(s);
}

TEST(the_budget_leaves_dear_candidates_out)
{
    ftl_series *s = months(N, 1, 1, 5);
    ftl_model *model = fit("auto:models=auto-ets+auto-arima,budget=0.01", s);
    char *told = NULL;
    CHECK_INT(ftl_model_explain(model, &told, NULL), FTL_OK);
    CHECK(loss_of(told, "auto-ets") > 0 && isnan(loss_of(told, "auto-arima")));
    CHECK_CONTAINS(told, "more than the budget has left");
    ftl_text_free(told);
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(too_short_to_judge_is_said)
{
    ftl_series *s = months(4, 1, 1, 5);
    ftl_model *model = fit("auto", s);
    CHECK_CONTAINS(ftl_model_remark(model), "too short to judge");
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(mistakes_in_the_list_are_refused)
{
    ftl_series *s = months(N, 1, 1, 5);
    static const char *const specs[] = {"auto:models=auto", "auto:models=auto-etz", "auto:models=prophet:growth=none"};
    static const char *const words[] = {"itself", "auto-ets", "growth"};
    for (size_t i = 0; i < 3; i++) {
        ftl_config *config = NULL;
        ftl_model *model = NULL;
        ftl_error err = {FTL_OK, ""};
        ftl_status st = ftl_config_new(specs[i], &config, &err);
        if (!st) st = ftl_model_fit(config, s, NULL, &model, &err);
        CHECK_INT(st, FTL_EINVAL);
        CHECK_CONTAINS(err.message, words[i]);
        ftl_config_free(config);
    }
    ftl_series_free(s);
}

TEST(an_auto_within_an_auto_is_refused)
{
    ftl_series *s = months(60, 1, 1, 5);
    ftl_model *model = fit("auto:models=naive", s), *loaded = NULL;
    char *saved = NULL;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_model_save_text(model, &saved, NULL), FTL_OK);
    char *name = strstr(saved, "\"foretell\":{\"model\":\"");
    CHECK(name != NULL);
    size_t length = strcspn(name + 21, "\"");
    memset(name + 21, ' ', length); /* the nested model's name */
    memcpy(name + 21, "auto", 4);
    name[25] = '"';
    memset(name + 26, ' ', length - 4);
    CHECK_INT(ftl_model_load_text(saved, strlen(saved), "bad", &loaded, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "members");
    CHECK(loaded == NULL);
    ftl_text_free(saved);
    ftl_model_free(model);
    ftl_series_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_on_the_windows_is_chosen_and_forecasts_as_itself),
        cmocka_unit_test(the_loss_is_that_of_a_rolling_origin),
        cmocka_unit_test(seasonal_naive_wins_where_nothing_beats_it),
        cmocka_unit_test(a_combination_is_the_weighted_mean_of_what_beats_seasonal_naive),
        cmocka_unit_test(the_budget_leaves_dear_candidates_out),
        cmocka_unit_test(too_short_to_judge_is_said),
        cmocka_unit_test(mistakes_in_the_list_are_refused),
        cmocka_unit_test(an_auto_within_an_auto_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
