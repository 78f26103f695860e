/* Predictions against arithmetic by hand, samples, history rows, several draws. */
#include "model.h"

#include "math/distributions.h"

enum { N = 15 };
static const double eps = 1e-12;

/*
 * A model written by hand: 15 days from 2020-01-06 (a Monday), minmax scale 20 above 5, one changepoint in the middle,
 * a seasonality of period 2 whose cosine is +-1, once added and once multiplied. %s: parameters.
 */
static const char by_hand[] =
    "{\"growth\":\"linear\",\"n_changepoints\":1,\"specified_changepoints\":false,\"changepoint_range\":0.8,"
    "\"yearly_seasonality\":\"auto\",\"weekly_seasonality\":false,\"daily_seasonality\":3,"
    "\"seasonality_mode\":\"additive\",\"seasonality_prior_scale\":10.0,\"changepoint_prior_scale\":0.05,"
    "\"holidays_prior_scale\":10.0,\"mcmc_samples\":0,\"interval_width\":0.8,\"uncertainty_samples\":400,"
    "\"y_scale\":20,\"y_min\":5,\"scaling\":\"minmax\",\"logistic_floor\":false,\"country_holidays\":null,"
    "\"changepoints\":\"{\\\"name\\\":\\\"ds\\\",\\\"index\\\":[7],\\\"data\\\":[\\\"2020-01-13T00:00:00.000\\\"]}\","
    "\"history_dates\":\"{\\\"data\\\":[1578268800000,1578355200000,\\\"2020-01-25\\\"]}\","
    "\"train_holiday_names\":null,\"start\":1578268800.0,\"t_scale\":1209600.0,\"holidays\":null,"
    "\"history\":\"{\\\"data\\\":[%s]}\",\"changepoints_t\":[0.5],"
    "\"seasonalities\":[[\"add\",\"mult\"],{"
    "\"add\":{\"period\":2,\"fourier_order\":1,\"prior_scale\":10,\"mode\":\"additive\",\"condition_name\":null},"
    "\"mult\":{\"period\":2,\"fourier_order\":1,\"prior_scale\":10,\"mode\":\"multiplicative\",\"condition_name\":null}"
    "}],"
    "\"extra_regressors\":[[],{}],\"fit_kwargs\":{},\"params\":%s,\"__prophet_version\":\"1.1.5\"}";

static ftl_model *hand_model(const char *params)
{
    static char rows[4096], text[8192];
    *rows = '\0';
    for (int i = 0; i < N; i++)
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows),
                 "%s{\\\"ds\\\":\\\"2020-01-%02dT00:00:00.000Z\\\",\\\"y\\\":%d,\\\"floor\\\":5}", i ? "," : "", 6 + i,
                 5 + i);
    snprintf(text, sizeof text, by_hand, rows, params);
    return load_model(text);
}

#define ONE_DRAW "{\"k\":[[1.0]],\"m\":[[0.25]],\"delta\":[[-0.5]],\"sigma_obs\":[[0.1]],\"beta\":[[0.0,0.05,0.0,0.2]]}"

TEST(trend_components_and_point_by_hand)
{
    ftl_model *m = hand_model(ONE_DRAW);
    ftl_time ds[4] = {ftl_time_of((ftl_date){2020, 1, 6}), 0, 0, 0};
    for (int i = 1; i < 4; i++) ds[i] = ds[0] + i * 7 * FTL_DAY; /* t = 0, 0.5, 1, 1.5 */
    ftl_series *s = make_series(ds, NULL, 4, "", NULL);
    const double level = 0.5;
    ftl_predict_args args = {.future = s, .components = true, .levels = &level, .n_levels = 1};
    ftl_forecast *fc = predict_model(m, &args);
    const double scaled[4] = {0.25, 0.75, 1, 1.25}; /* k t + m, bent by -0.5 at t = 0.5 */
    /* days since 1970 of 2020-01-06: 18267, odd, so the cosine of period 2 is -1; a week later it is +1 */
    for (int i = 0; i < 4; i++) {
        double sign = i % 2 ? 1 : -1, trend = scaled[i] * 20 + 5;
        CHECK_NEAR(component_named(fc, "trend")[i], trend, eps);
        CHECK_NEAR(component_named(fc, "add")[i], sign * 0.05 * 20, eps);
        CHECK_NEAR(component_named(fc, "mult")[i], sign * 0.2, eps);
        CHECK_NEAR(component_named(fc, "additive_terms")[i], sign, eps);
        CHECK_NEAR(component_named(fc, "multiplicative_terms")[i], sign * 0.2, eps);
        CHECK_NEAR(ftl_forecast_point(fc)[i], trend * (1 + sign * 0.2) + sign, eps);
    }
    CHECK_TEXT(ftl_forecast_component_name(fc, 0), "trend");
    CHECK_TEXT(ftl_forecast_component_name(fc, 1), "add");
    CHECK_TEXT(ftl_forecast_component_name(fc, 2), "additive_terms");
    CHECK(ftl_forecast_component_multiplicative(fc, 3));
    CHECK(ftl_forecast_component_quantiles(fc, 0) != NULL);
    CHECK(ftl_forecast_component_quantiles(fc, 1) == NULL); /* certain under MAP */
    ftl_forecast_free(fc);
    ftl_series_free(s);
    ftl_model_free(m);
}

TEST(history_rows_have_normal_quantiles)
{
    ftl_model *m = hand_model(ONE_DRAW);
    const double levels[3] = {0.1, 0.5, 0.975};
    ftl_predict_args args = {.horizon = 3, .history = true, .levels = levels, .n_levels = 3, .components = true};
    ftl_forecast *fc = predict_model(m, &args);
    CHECK_INT(ftl_forecast_n_rows(fc), 6); /* history_dates of the file: three, one of them without y */
    CHECK_INT(ftl_forecast_n_history(fc), 3);
    CHECK_INT(ftl_forecast_times(fc)[2], ftl_time_of((ftl_date){2020, 1, 25}));
    const double *q = ftl_forecast_quantiles(fc), *trend_q = ftl_forecast_component_quantiles(fc, 0);
    for (size_t i = 0; i < 2; i++)
        for (size_t l = 0; l < 3; l++) {
            double expected = ftl_forecast_point(fc)[i] + 20 * 0.1 * fi_normal_quantile(levels[l]);
            CHECK_NEAR(q[i * 3 + l], expected, 1e-9);
            CHECK_NEAR(trend_q[i * 3 + l], component_named(fc, "trend")[i], eps);
        }
    for (size_t i = 3; i < 6; i++) {
        CHECK_NEAR(q[i * 3 + 1], ftl_forecast_point(fc)[i], 1e-6); /* symmetric */
        CHECK(q[i * 3] < q[i * 3 + 1] && q[i * 3 + 1] < q[i * 3 + 2]);
        CHECK(trend_q[i * 3 + 2] > trend_q[i * 3]);
    }
    ftl_forecast_free(fc);
    ftl_model_free(m);
}

TEST(samples_are_reproducible_and_agree_with_the_closed_form)
{
    ftl_model *m = hand_model(ONE_DRAW);
    const double levels[3] = {0.1, 0.5, 0.9};
    ftl_predict_args args = {
        .horizon = 5, .levels = levels, .n_levels = 3, .components = true, .n_samples = 20000, .seed = 11};
    ftl_forecast *exact = predict_model(m, &args);
    args.sampled_quantiles = true;
    ftl_forecast *sampled = predict_model(m, &args);
    args.n_samples = 7;
    ftl_forecast *few = predict_model(m, &args);
    CHECK_INT(ftl_forecast_n_samples(few), 7);
    for (size_t i = 0; i < 5; i++) {
        for (size_t s = 0; s < 7; s++)
            CHECK_NEAR(ftl_forecast_samples(few)[i * 7 + s], ftl_forecast_samples(exact)[i * 20000 + s], 0);
        for (size_t l = 0; l < 3;
             l++) /* sd of y about 2.5: a quantile of 20,000 draws errs by 0.03, here by 5 of those */
            CHECK_NEAR(ftl_forecast_quantiles(sampled)[i * 3 + l], ftl_forecast_quantiles(exact)[i * 3 + l], 0.16);
    }
    ftl_forecast_free(exact);
    ftl_forecast_free(sampled);
    ftl_forecast_free(few);
    ftl_model_free(m);
}

TEST(future_rows_may_lie_in_the_history)
{
    ftl_model *m = hand_model(ONE_DRAW);
    ftl_time ds[2] = {ftl_time_of((ftl_date){2020, 1, 7}), ftl_time_of((ftl_date){2020, 2, 1})};
    ftl_series *s = make_series(ds, NULL, 2, "", NULL);
    const double levels[2] = {0.1, 0.9};
    ftl_predict_args args = {.future = s, .history = true, .levels = levels, .n_levels = 2};
    ftl_forecast *fc = predict_model(m, &args);
    CHECK_INT(ftl_forecast_n_rows(fc), 5);
    CHECK_INT(ftl_forecast_times(fc)[3], ds[0]);
    CHECK_NEAR(ftl_forecast_point(fc)[3], ftl_forecast_point(fc)[1], 0);
    CHECK_NEAR(ftl_forecast_quantiles(fc)[6], ftl_forecast_quantiles(fc)[2], 1e-12);
    CHECK_INT(ftl_forecast_n_components(fc), 0);
    ftl_forecast_free(fc);
    ftl_series_free(s);
    ftl_model_free(m);
}

TEST(a_row_is_the_same_in_a_long_forecast_and_alone)
{
    enum { T = 2600 }; /* more than two of the blocks in which rows are worked on */
    static ftl_time ds[2 * T];
    static double y[T], x[2 * T], on[2 * T];
    fill_times(ds, 2 * T, ftl_time_of((ftl_date){2005, 3, 1}), FTL_DAY);
    for (size_t i = 0; i < 2 * T; i++) {
        x[i] = cos((double)i / 9);
        on[i] = (double)(i / 3 % 2);
        if (i < T) y[i] = sin((double)i / 50) + 0.001 * (double)i + x[i] * (1 + 0.1 * sin((double)i * 7));
    }
    const double *columns[] = {x, on}, *later[] = {x + T, on + T};
    ftl_series *s = make_series(ds, y, T, "x on", columns), *f = make_series(ds + T, NULL, T, "x on", later);
    ftl_model *m = fit_model("prophet:add_seasonality=q:91:3:condition=on:mode=multiplicative,country_holidays=US", s);
    ftl_predict_args args = {.future = f, .history = true, .components = true};
    ftl_forecast *all = predict_model(m, &args);
    for (size_t row = 0; row < T; row += 517) {
        const double *one[] = {x + T + row, on + T + row};
        ftl_series *g = make_series(ds + T + row, NULL, 1, "x on", one);
        ftl_predict_args single = {.future = g, .components = true};
        ftl_forecast *fc = predict_model(m, &single);
        CHECK_NEAR(ftl_forecast_point(fc)[0], ftl_forecast_point(all)[T + row], 1e-12);
        for (size_t c = 0; c < ftl_forecast_n_components(fc); c++)
            CHECK_NEAR(ftl_forecast_component(fc, c)[0], ftl_forecast_component(all, c)[T + row], 1e-12);
        ftl_forecast_free(fc);
        ftl_series_free(g);
    }
    ftl_forecast_free(all);
    ftl_model_free(m);
    ftl_series_free(s);
    ftl_series_free(f);
}

TEST(several_draws_give_means_and_quantiles_of_components)
{
    ftl_model *m = hand_model("{\"k\":[1.0,2.0,3.0],\"m\":[0.25,0.25,0.25],\"delta\":[[0.0],[0.0],[0.3]],"
                              "\"sigma_obs\":[0.0,0.0,0.0],\"beta\":[[0,0.1,0,0],[0,0.2,0,0],[0,0.6,0,0.3]]}");
    ftl_time ds = ftl_time_of((ftl_date){2020, 1, 13}); /* t = 0.5, cosine +1 */
    ftl_series *s = make_series(&ds, NULL, 1, "", NULL);
    const double levels[2] = {0.25, 0.5};
    ftl_predict_args args = {.future = s, .levels = levels, .n_levels = 2, .components = true};
    ftl_forecast *fc = predict_model(m, &args);
    CHECK_NEAR(component_named(fc, "trend")[0], 1.25 * 20 + 5, eps); /* mean k = 2 */
    CHECK_NEAR(component_named(fc, "add")[0], 0.3 * 20, eps);
    CHECK_NEAR(component_named(fc, "mult")[0], 0.1, eps);
    const double *q = ftl_forecast_component_quantiles(fc, 1);
    CHECK_NEAR(q[0], 0.15 * 20, eps); /* numpy: halfway between 0.1 and 0.2 */
    CHECK_NEAR(q[1], 0.2 * 20, eps);
    /* without noise y takes three values: (0.75, 1.25, 1.75) * 20 + 5 and what belongs to each draw */
    CHECK_NEAR(ftl_forecast_quantiles(fc)[1], 30 + 0.2 * 20, 1e-9);
    ftl_forecast_free(fc);
    ftl_series_free(s);
    ftl_model_free(m);
}

TEST(cap_floor_and_regressors_pass_through_a_logistic_model)
{
    enum { T = 60 };
    ftl_time ds[T + 3];
    double y[T], cap[T + 3], low[T + 3], x[T + 3];
    fill_times(ds, T + 3, ftl_time_of((ftl_date){2021, 3, 1}), FTL_DAY);
    for (size_t i = 0; i < T + 3; i++) {
        cap[i] = 20 + (double)(i % 2);
        low[i] = 2;
        x[i] = sin((double)i);
        if (i < T) y[i] = 2 + 15 / (1 + exp(-0.1 * ((double)i - 30))) + 0.5 * x[i];
    }
    const double *columns[] = {cap, low, x}, *later[] = {cap + T, low + T, x + T};
    ftl_series *s = make_series(ds, y, T, "cap floor x", columns),
               *f = make_series(ds + T, NULL, 3, "cap floor x", later);
    ftl_model *m = fit_model("prophet:growth=logistic,weekly_seasonality=false", s);
    const double level = 0.5;
    ftl_predict_args args = {.future = f, .history = true, .components = true, .levels = &level, .n_levels = 1};
    ftl_forecast *fc = predict_model(m, &args);
    CHECK_INT(ftl_forecast_n_rows(fc), T + 3);
    for (size_t i = 0; i < T + 3; i++) {
        CHECK_NEAR(ftl_forecast_cap(fc)[i], cap[i], 0);
        CHECK_NEAR(ftl_forecast_floor(fc)[i], 2, 0);
        double sum = component_named(fc, "trend")[i] + component_named(fc, "extra_regressors_additive")[i];
        CHECK_NEAR(ftl_forecast_point(fc)[i], sum, 1e-9);
        CHECK(component_named(fc, "trend")[i] > 2 && component_named(fc, "trend")[i] < cap[i]);
        CHECK_NEAR(component_named(fc, "x")[i], component_named(fc, "extra_regressors_additive")[i], 0);
    }
    ftl_forecast_free(fc);
    ftl_model_free(m);
    ftl_series_free(s);
    ftl_series_free(f);
}

TEST(lack_of_memory_is_reported)
{
    ftl_model *m = hand_model(ONE_DRAW);
    ftl_predict_args args = {.horizon = 4, .history = true, .components = true, .n_samples = 3};
    ftl_forecast *fc = NULL;
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 500; n++) {
        fi_alloc_fail_after(n);
        st = ftl_model_predict(m, &args, &fc, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (fc != NULL));
    }
    CHECK_INT(st, FTL_OK);
    ftl_forecast_free(fc);
    ftl_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trend_components_and_point_by_hand),
        cmocka_unit_test(history_rows_have_normal_quantiles),
        cmocka_unit_test(samples_are_reproducible_and_agree_with_the_closed_form),
        cmocka_unit_test(future_rows_may_lie_in_the_history),
        cmocka_unit_test(a_row_is_the_same_in_a_long_forecast_and_alone),
        cmocka_unit_test(several_draws_give_means_and_quantiles_of_components),
        cmocka_unit_test(cap_floor_and_regressors_pass_through_a_logistic_model),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
