/* Forecasts as CSV and JSON. */
#include "check.h"

#include "base/alloc.h"
#include "base/json.h"
#include "forecast/forecast.h"

static const double levels[] = {0.05, 0.1, 0.9, 0.95};

/* Two days, a trend with bounds and a certain weekly component. */
static ftl_forecast *example(const char *id, const char *model)
{
    ftl_forecast *fc = NULL;
    CHECK_INT(fi_forecast_new(id, model, FTL_TIME_DATE, 2, levels, 4, &fc, NULL), FTL_OK);
    CHECK_INT(fi_forecast_add_components(fc, 2, NULL), FTL_OK);
    fc->components[0].name = fi_strdup("weekly");
    fc->components[1].name = fi_strdup("trend");
    fc->components[1].q = fi_alloc(8, sizeof(double));
    for (size_t r = 0; r < 2; r++) {
        fc->ds[r] = ftl_time_of((ftl_date){2024, 2, 28 + (int)r});
        fc->point[r] = 10.5 + (double)r;
        fc->components[0].value[r] = 0.1;
        fc->components[1].value[r] = 10;
        for (size_t k = 0; k < 4; k++) {
            fc->q[r * 4 + k] = fc->point[r] + (double)k - 1.5;
            fc->components[1].q[r * 4 + k] = 9 + (double)k;
        }
    }
    return fc;
}

static void check_csv(const ftl_forecast *fc, const ftl_csv_style *style, bool header, const char *expected)
{
    char *text = NULL;
    size_t n;
    CHECK_INT(ftl_forecast_csv(fc, style, header, &text, &n, NULL), FTL_OK);
    CHECK_TEXT(text, expected);
    CHECK_INT(n, strlen(expected));
    ftl_text_free(text);
}

TEST(long_layout)
{
    static const double percents[] = {80, 90};
    ftl_forecast *fc = example("a", "toy");
    ftl_csv_style style = {.ids = true, .percents = percents, .n_percents = 2};
    check_csv(fc, &style, true,
              "unique_id,ds,toy,toy-lo-80,toy-hi-80,toy-lo-90,toy-hi-90\n"
              "a,2024-02-28,10.5,10,11,9,12\n"
              "a,2024-02-29,11.5,11,12,10,13\n");
    style = (ftl_csv_style){.quantiles = true, .components = true};
    check_csv(fc, &style, false, "2024-02-28,10.5,9,10,11,12,0.1,10\n2024-02-29,11.5,10,11,12,13,0.1,10\n");
    check_csv(fc, &style, true,
              "ds,toy,toy-q-5,toy-q-10,toy-q-90,toy-q-95,weekly,trend\n"
              "2024-02-28,10.5,9,10,11,12,0.1,10\n2024-02-29,11.5,10,11,12,13,0.1,10\n");
    ftl_forecast_free(fc);
}

TEST(prophet_layout)
{
    static const double percents[] = {80};
    ftl_forecast *fc = example("a", "prophet");
    ftl_csv_style style = {.layout = FTL_LAYOUT_PROPHET, .percents = percents, .n_percents = 1};
    fc->cap = fi_alloc(2, sizeof(double));
    fc->cap[0] = fc->cap[1] = 20;
    check_csv(fc, &style, true,
              "ds,trend,cap,yhat_lower,yhat_upper,trend_lower,trend_upper,weekly,weekly_lower,weekly_upper,yhat\n"
              "2024-02-28,10,20,10,11,10,11,0.1,0.1,0.1,10.5\n"
              "2024-02-29,10,20,11,12,10,11,0.1,0.1,0.1,11.5\n");
    style.n_percents = 0;
    check_csv(fc, &style, true, "ds,trend,cap,weekly,yhat\n2024-02-28,10,20,0.1,10.5\n2024-02-29,10,20,0.1,11.5\n");
    ftl_forecast_free(fc);
}

TEST(names_are_quoted_and_nan_is_empty)
{
    ftl_forecast *fc = example("a,\"b\"", "toy");
    ftl_csv_style style = {.ids = true};
    fc->point[0] = NAN;
    check_csv(fc, &style, true, "unique_id,ds,toy\n\"a,\"\"b\"\"\",2024-02-28,\n\"a,\"\"b\"\"\",2024-02-29,11.5\n");
    ftl_forecast_free(fc);
}

TEST(an_interval_the_forecast_lacks_is_refused)
{
    static const double percents[] = {50, 0, 100};
    ftl_forecast *fc = example("a", "toy");
    ftl_error err;
    char *text = NULL;
    size_t n;
    for (size_t i = 0; i < 3; i++) {
        ftl_csv_style style = {.percents = percents + i, .n_percents = 1};
        CHECK_INT(ftl_forecast_csv(fc, &style, true, &text, &n, &err), FTL_EINVAL);
        CHECK(text == NULL);
        CHECK_CONTAINS(err.message, i ? "between 0 and 100" : "needs the quantile level 0.25");
    }
    ftl_forecast_free(fc);
}

TEST(sample_paths_are_columns)
{
    ftl_forecast *fc = example("a", "toy");
    ftl_csv_style style = {.samples = true};
    fc->n_samples = 2;
    fc->samples = fi_alloc(4, sizeof(double));
    for (size_t i = 0; i < 4; i++) fc->samples[i] = (double)i;
    check_csv(fc, &style, true, "ds,toy,toy-sample-1,toy-sample-2\n2024-02-28,10.5,0,1\n2024-02-29,11.5,2,3\n");
    ftl_forecast_free(fc);
}

TEST(json_is_one_object_that_parses)
{
    ftl_forecast *fc = example("caf\xC3\xA9 \xFF \"x\"", "toy");
    char *text = NULL;
    json_t *object = NULL;
    fc->point[1] = NAN;
    CHECK_INT(ftl_forecast_json(fc, &text, NULL), FTL_OK);
    CHECK_INT(fi_json_parse(text, strlen(text), "forecast", &object, NULL), FTL_OK);
    CHECK_TEXT(json_string_value(json_object_get(object, "unique_id")), "caf\xC3\xA9 \xEF\xBF\xBD \"x\"");
    CHECK_TEXT(json_string_value(json_array_get(json_object_get(object, "ds"), 1)), "2024-02-29");
    CHECK(json_is_null(json_array_get(json_object_get(object, "point"), 1)));
    const json_t *high = json_array_get(json_object_get(object, "quantiles"), 3); /* one list a level */
    CHECK_NEAR(json_number_value(json_array_get(high, 0)), 12, 0);
    const json_t *trend = json_object_get(json_object_get(object, "components"), "trend");
    CHECK_INT(json_array_size(json_object_get(trend, "quantiles")), 4);
    json_decref(object);
    ftl_text_free(text);
    ftl_forecast_free(fc);
}

TEST(memory_may_run_out_anywhere)
{
    static const double percents[] = {80};
    ftl_forecast *fc = example("a,b", "toy");
    ftl_csv_style style = {.ids = true, .percents = percents, .n_percents = 1};
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 200; n++) {
        char *csv = NULL, *json = NULL;
        size_t size;
        ftl_forecast *made = NULL;
        fi_alloc_fail_after(n);
        st = fi_forecast_new("x", "toy", FTL_TIME_DATE, 3, levels, 4, &made, NULL);
        if (!st) st = fi_forecast_add_components(made, 3, NULL);
        if (!st) st = ftl_forecast_csv(fc, &style, true, &csv, &size, NULL);
        if (!st) st = ftl_forecast_json(fc, &json, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (json != NULL));
        ftl_text_free(csv);
        ftl_text_free(json);
        ftl_forecast_free(made);
    }
    CHECK_INT(st, FTL_OK);
    ftl_forecast_free(fc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_layout),
        cmocka_unit_test(prophet_layout),
        cmocka_unit_test(names_are_quoted_and_nan_is_empty),
        cmocka_unit_test(an_interval_the_forecast_lacks_is_refused),
        cmocka_unit_test(sample_paths_are_columns),
        cmocka_unit_test(json_is_one_object_that_parses),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
