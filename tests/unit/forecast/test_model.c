/* The driver, seen through the seasonal naive forecaster: frequencies, grids, futures, saved models, panels. */
#include "check.h"

#include "base/alloc.h"
#include "forecast/driver.h"

#define DAY(y, m, d) ftl_time_of((ftl_date){y, m, d})

static ftl_series *series(const char *id, ftl_time_kind kind, const ftl_time *ds, const double *y, size_t n)
{
    ftl_series *s = NULL;
    CHECK_INT(ftl_series_new_full(id, kind, ds, y, n, NULL, NULL, 0, &s, NULL), FTL_OK);
    return s;
}

static ftl_series *months(size_t n)
{
    ftl_time ds[64];
    double y[64];
    for (size_t i = 0; i < n; i++) {
        ds[i] = DAY(2020, 1 + (int)i, 1);
        y[i] = (double)(i % 12) + 0.1 * (double)i;
    }
    return series("m", FTL_TIME_DATE, ds, y, n);
}

static ftl_model *fit(const char *spec, const ftl_series *s, const ftl_freq *freq)
{
    ftl_config *config = NULL;
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    ftl_fit_args args = {.freq = freq};
    CHECK_INT(ftl_config_new(spec, &config, NULL), FTL_OK);
    if (ftl_model_fit(config, s, &args, &model, &err)) fail_msg("fit: %s", err.message);
    ftl_config_free(config);
    return model;
}

static void check_unfit(const ftl_series *s, const ftl_freq *freq, ftl_status status, const char *part)
{
    ftl_config *config = NULL;
    ftl_model *model = NULL;
    ftl_error err = {FTL_OK, ""};
    ftl_fit_args args = {.freq = freq};
    CHECK_INT(ftl_config_new("seasonal-naive:season=1", &config, NULL), FTL_OK);
    CHECK_INT(ftl_model_fit(config, s, &args, &model, &err), status);
    CHECK(model == NULL);
    CHECK_CONTAINS(err.message, part);
    ftl_config_free(config);
}

static ftl_status predict(const ftl_model *model, ftl_predict_args args, ftl_forecast **fc, ftl_error *err)
{
    return ftl_model_predict(model, &args, fc, err);
}

TEST(the_frequency_is_inferred_and_continued)
{
    ftl_series *s = months(30);
    ftl_model *model = fit("seasonal-naive", s, NULL);
    ftl_forecast *fc = NULL;
    CHECK_INT(predict(model, (ftl_predict_args){.horizon = 3}, &fc, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_n_rows(fc), 3);
    CHECK(ftl_forecast_times(fc)[0] == DAY(2022, 7, 1) && ftl_forecast_times(fc)[2] == DAY(2022, 9, 1));
    CHECK_NEAR(ftl_forecast_point(fc)[0], 6 + 1.8, 1e-12); /* July 2021, the season being 12 */
    CHECK_INT(ftl_forecast_n_levels(fc), 5);
    CHECK_TEXT(ftl_forecast_id(fc), "m");
    CHECK_TEXT(ftl_forecast_model(fc), "seasonal-naive");
    ftl_forecast_free(fc);
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(gaps_become_missing_values_on_a_grid)
{
    const ftl_time ds[] = {DAY(2024, 1, 1), DAY(2024, 1, 2), DAY(2024, 1, 5), DAY(2024, 1, 6)};
    const double y[] = {1, 2, 5, 7};
    ftl_series *s = series("g", FTL_TIME_DATE, ds, y, 4);
    ftl_model *model = fit("seasonal-naive:season=1", s, NULL);
    ftl_forecast *fc = NULL;
    CHECK_INT(predict(model, (ftl_predict_args){.horizon = 1, .history = true}, &fc, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_n_history(fc), 6);
    CHECK(ftl_forecast_times(fc)[2] == DAY(2024, 1, 3));
    CHECK_NEAR(ftl_forecast_point(fc)[1], 1, 0);
    CHECK_NEAR(ftl_forecast_point(fc)[4], NAN, 0); /* the day before is missing */
    CHECK_NEAR(ftl_forecast_point(fc)[5], 5, 0);
    CHECK_NEAR(ftl_forecast_point(fc)[6], 7, 0);
    ftl_forecast_free(fc);
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(long_gaps_are_filled_and_absurd_ones_refused)
{
    const ftl_time ds[] = {DAY(2024, 1, 1), DAY(2024, 1, 2), DAY(2024, 5, 4)}, far[] = {0, 1, DAY(2024, 1, 1)};
    const double y[] = {1, 2, 5};
    const ftl_freq second = {FTL_FREQ_TICK, FTL_SECOND, 0};
    ftl_series *s = series("g", FTL_TIME_DATE, ds, y, 3), *t = series("t", FTL_TIME_DATETIME, far, y, 3);
    ftl_model *model = fit("seasonal-naive:season=1", s, NULL);
    ftl_forecast *fc = NULL;
    CHECK_INT(predict(model, (ftl_predict_args){.horizon = 1, .history = true}, &fc, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_n_history(fc), 125);
    check_unfit(t, NULL, FTL_EDATA, "no regular step");
    check_unfit(s, &second, FTL_EDATA, "more than 99 % of the times empty");
    ftl_forecast_free(fc);
    ftl_model_free(model);
    ftl_series_free(s);
    ftl_series_free(t);
}

TEST(what_cannot_be_fitted_is_named)
{
    const ftl_time twice[] = {DAY(2024, 1, 1), DAY(2024, 1, 2), DAY(2024, 1, 2)},
                   mid[] = {DAY(2024, 1, 1), DAY(2024, 1, 15), DAY(2024, 2, 1)};
    const double y[] = {1, 2, 3}, none[] = {NAN, NAN, NAN};
    const ftl_freq month = {FTL_FREQ_MONTH_START, 1, 0}, step = {FTL_FREQ_INDEX, 1, 0};
    ftl_series *s = series("twice", FTL_TIME_DATE, twice, y, 3);
    check_unfit(s, NULL, FTL_EDATA, "series 'twice': 2024-01-02 stands in it more than once");
    ftl_series_free(s);
    s = series("none", FTL_TIME_DATE, mid, none, 3);
    check_unfit(s, NULL, FTL_EDATA, "none of its 3 rows has a value");
    ftl_series_free(s);
    s = series("mid", FTL_TIME_DATE, mid, y, 3);
    check_unfit(s, &month, FTL_EDATA, "2024-01-15 is not a time of its frequency");
    check_unfit(s, &step, FTL_EINVAL, "its times are dates");
    ftl_series_free(s);
    s = series("one", FTL_TIME_DATE, mid, y, 1);
    check_unfit(s, NULL, FTL_EDATA, "series 'one'");
    ftl_series_free(s);
    CHECK_INT(ftl_series_new("i", y, 3, &s, NULL), FTL_OK);
    check_unfit(s, &month, FTL_EINVAL, "its times are whole numbers");
    ftl_series_free(s);
}

TEST(bad_arguments_of_a_prediction_are_refused)
{
    static const double down[] = {0.5, 0.4}, edge[] = {0.0, 0.5}, nan[] = {NAN};
    ftl_series *s = months(30);
    ftl_model *model = fit("seasonal-naive", s, NULL);
    ftl_forecast *fc = NULL;
    const ftl_predict_args bad[] = {
        {.horizon = 0},
        {.horizon = 20000000},
        {.horizon = 1, .levels = down, .n_levels = 2},
        {.horizon = 1, .levels = edge, .n_levels = 2},
        {.horizon = 1, .levels = nan, .n_levels = 1},
        {.horizon = 1, .components = true},
        {.horizon = 1, .sampled_quantiles = true},
        {.horizon = 1, .n_samples = 2000000},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(predict(model, bad[i], &fc, &err), FTL_EINVAL);
        CHECK(fc == NULL && err.message[0]);
    }
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(a_given_future_must_continue_the_history)
{
    const ftl_time good[] = {DAY(2022, 7, 1), DAY(2022, 8, 1)}, hole[] = {DAY(2022, 7, 1), DAY(2022, 9, 1)};
    ftl_series *s = months(30), *future = series("", FTL_TIME_DATE, good, NULL, 2), *index = NULL;
    ftl_model *model = fit("seasonal-naive", s, NULL);
    ftl_forecast *fc = NULL;
    ftl_error err;
    CHECK_INT(predict(model, (ftl_predict_args){.future = future}, &fc, &err), FTL_OK);
    CHECK_INT(ftl_forecast_n_rows(fc), 2);
    ftl_forecast_free(fc);
    ftl_series_free(future);
    future = series("", FTL_TIME_DATE, hole, NULL, 2);
    CHECK_INT(predict(model, (ftl_predict_args){.future = future}, &fc, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "row 2 to predict is 2022-09-01");
    CHECK_CONTAINS(err.message, "2022-08-01 is due");
    CHECK_INT(ftl_series_new("", (const double[]){1}, 1, &index, NULL), FTL_OK);
    CHECK_INT(predict(model, (ftl_predict_args){.future = index}, &fc, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "whole numbers");
    ftl_series_free(index);
    ftl_series_free(future);
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(dates_get_a_time_of_day_where_the_frequency_needs_one)
{
    const ftl_freq half_day = {FTL_FREQ_TICK, FTL_DAY / 2, 0};
    const ftl_time ds[] = {DAY(2024, 1, 1), DAY(2024, 1, 2), DAY(2024, 1, 3)};
    const double y[] = {1, 2, 3};
    ftl_series *s = series("d", FTL_TIME_DATE, ds, y, 3);
    ftl_model *model = fit("seasonal-naive:season=1", s, NULL);
    ftl_forecast *fc = NULL;
    CHECK_INT(predict(model, (ftl_predict_args){.horizon = 2, .freq = &half_day}, &fc, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_time_kind(fc), FTL_TIME_DATETIME);
    CHECK(ftl_forecast_times(fc)[0] == DAY(2024, 1, 3) + FTL_DAY / 2);
    ftl_forecast_free(fc);
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(a_saved_model_predicts_the_same_bits)
{
    ftl_series *s = months(30);
    ftl_model *model = fit("seasonal-naive:season=6", s, NULL), *again = NULL;
    char *text = NULL, *second = NULL, *a = NULL, *b = NULL;
    ftl_forecast *fc = NULL;
    CHECK_INT(ftl_model_save_text(model, &text, NULL), FTL_OK);
    CHECK_CONTAINS(text, "\"foretell\":{\"model\":\"seasonal-naive\"");
    CHECK_CONTAINS(text, "\"options\":\"seasonal-naive:season=6\"");
    CHECK_INT(ftl_model_load_text(text, strlen(text), "model.json", &again, NULL), FTL_OK);
    CHECK_INT(ftl_model_save_text(again, &second, NULL), FTL_OK);
    CHECK_TEXT(second, text);
    const ftl_predict_args args = {.horizon = 9, .history = true, .n_samples = 3, .seed = 5};
    CHECK_INT(predict(model, args, &fc, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_json(fc, &a, NULL), FTL_OK);
    ftl_forecast_free(fc);
    CHECK_INT(predict(again, args, &fc, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_json(fc, &b, NULL), FTL_OK);
    CHECK_TEXT(a, b);
    ftl_forecast_free(fc);
    ftl_text_free(text), ftl_text_free(second), ftl_text_free(a), ftl_text_free(b);
    ftl_model_free(model), ftl_model_free(again);
    ftl_series_free(s);
}

TEST(what_is_no_model_is_refused)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"", "it is empty"},
        {"[1]", "a JSON object is expected"},
        {"\"{\"", "not valid JSON"},
        {"\"3\"", "a JSON object is expected"},
        {"{}", "neither the key 'foretell'"},
        {"{\"foretell\":{\"model\":\"nonesuch\",\"format\":1}}", "of the kind 'nonesuch'"},
        {"{\"foretell\":{\"model\":\"seasonal-naive\",\"format\":99}}", "newer foretell"},
        {"{\"foretell\":3}", "key 'model'"},
        {"{\"foretell\":{\"model\":\"seasonal-naive\",\"format\":1}}", "key 'kind'"},
        {"{\"season\":9,\"seed\":0,\"state\":{\"sigma\":1},\"kind\":1,\"ds\":[1,2],\"y\":[1,2],\"foretell\":{\"model\":"
         "\"seasonal-naive\","
         "\"format\":1}}",
         "do not go with"},
        {"{\"season\":1,\"seed\":0,\"state\":{\"sigma\":1},\"kind\":1,\"ds\":[1,2],\"y\":[1,null],\"foretell\":{"
         "\"model\":\"seasonal-naive\","
         "\"format\":1}}",
         "key 'unique_id'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ftl_model *model = NULL;
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(ftl_model_load_text(bad[i].text, strlen(bad[i].text), "m.json", &model, &err), FTL_EDATA);
        CHECK(model == NULL);
        CHECK_CONTAINS(err.message, bad[i].part);
        CHECK_CONTAINS(err.message, "m.json:");
    }
}

TEST(an_explanation_says_what_was_done)
{
    ftl_series *s = months(30);
    ftl_model *model = fit("seasonal-naive", s, NULL);
    char *text = NULL;
    CHECK_INT(ftl_model_explain(model, &text, NULL), FTL_OK);
    CHECK_CONTAINS(text, "\"season\":12");
    CHECK_CONTAINS(text, "\"freq\":\"MS\"");
    CHECK_CONTAINS(text, "\"warnings\":[]");
    CHECK_CONTAINS(text, "\"fit_seconds\":");
    ftl_text_free(text);
    ftl_model_free(model);
    ftl_series_free(s);
}

TEST(a_seed_is_mixed_with_the_id)
{
    CHECK(fi_series_seed(7, "") == 7);
    CHECK(fi_series_seed(7, "a") != fi_series_seed(7, "b") && fi_series_seed(7, "a") != fi_series_seed(8, "a"));
}

/* ---- panels ----------------------------------------------------------------------------------------------------- */

typedef struct seen {
    size_t next, stop_at, failed;
    char *text; /* all forecasts as CSV */
    size_t size;
} seen;

static bool collect(void *user, const ftl_panel_result *r)
{
    seen *s = user;
    CHECK_INT(r->index, s->next);
    s->next++;
    s->failed += r->error->code != FTL_OK;
    if (r->forecast) {
        const ftl_csv_style style = {.ids = true, .quantiles = true, .samples = true};
        char *text = NULL;
        size_t n;
        CHECK_INT(ftl_forecast_csv(r->forecast, &style, false, &text, &n, NULL), FTL_OK);
        s->text = realloc(s->text, s->size + n + 1);
        memcpy(s->text + s->size, text, n + 1);
        s->size += n;
        ftl_text_free(text);
    }
    return s->next != s->stop_at;
}

static ftl_panel *panel(size_t n_series)
{
    char *text = NULL;
    size_t size;
    ftl_panel *p = NULL;
    FILE *to = open_memstream(&text, &size);
    fprintf(to, "unique_id,ds,y\n");
    for (size_t s = 0; s < n_series; s++)
        for (int t = 0; t < (s == 5 ? 1 : 20); t++) fprintf(to, "s%zu,%d,%g\n", s, t + 1, (double)t * (double)(s + 1));
    fclose(to);
    CHECK_INT(ftl_panel_parse_csv(text, size, "panel", NULL, &p, NULL), FTL_OK);
    free(text);
    return p;
}

TEST(results_leave_in_order_with_the_same_bits_for_any_number_of_threads)
{
    ftl_panel *p = panel(200);
    ftl_config *config = NULL;
    seen one = {0}, four = {0};
    const ftl_fit_args fit_args = {.seed = 3};
    const ftl_predict_args args = {.horizon = 4, .n_samples = 5, .sampled_quantiles = true, .seed = 3};
    CHECK_INT(ftl_config_new("seasonal-naive", &config, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_panel(config, p, NULL, &fit_args, &args, 1, collect, &one, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_panel(config, p, NULL, &fit_args, &args, 4, collect, &four, NULL), FTL_OK);
    CHECK_INT(one.next, 200);
    CHECK_INT(one.failed, 1); /* the series of one row, and only that */
    CHECK_INT(four.failed, 1);
    CHECK_TEXT(four.text, one.text);
    free(one.text), free(four.text);
    ftl_config_free(config);
    ftl_panel_free(p);
}

static bool stop_after_ten(void *user, size_t done, size_t total)
{
    CHECK_INT(total, 200);
    *(size_t *)user = done;
    return done < 10;
}

TEST(the_sink_and_the_progress_can_stop_the_work)
{
    ftl_panel *p = panel(200);
    ftl_config *config = NULL;
    ftl_error err;
    size_t done = 0;
    seen s = {.stop_at = 7}, t = {0};
    const ftl_fit_args args = {.progress = stop_after_ten, .progress_user = &done};
    CHECK_INT(ftl_config_new("seasonal-naive", &config, NULL), FTL_OK);
    CHECK_INT(ftl_forecast_panel(config, p, NULL, NULL, NULL, 3, collect, &s, &err), FTL_ECANCELLED);
    CHECK_INT(s.next, 7);
    CHECK_CONTAINS(err.message, "cancelled after 7 of 200");
    CHECK_INT(ftl_forecast_panel(config, p, NULL, &args, NULL, 3, collect, &t, &err), FTL_ECANCELLED);
    CHECK_INT(t.next, 10);
    CHECK_INT(done, 10);
    ftl_config_free(config);
    ftl_panel_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frequency_is_inferred_and_continued),
        cmocka_unit_test(gaps_become_missing_values_on_a_grid),
        cmocka_unit_test(long_gaps_are_filled_and_absurd_ones_refused),
        cmocka_unit_test(what_cannot_be_fitted_is_named),
        cmocka_unit_test(bad_arguments_of_a_prediction_are_refused),
        cmocka_unit_test(a_given_future_must_continue_the_history),
        cmocka_unit_test(dates_get_a_time_of_day_where_the_frequency_needs_one),
        cmocka_unit_test(a_saved_model_predicts_the_same_bits),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(an_explanation_says_what_was_done),
        cmocka_unit_test(a_seed_is_mixed_with_the_id),
        cmocka_unit_test(results_leave_in_order_with_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(the_sink_and_the_progress_can_stop_the_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
