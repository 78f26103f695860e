/* Fourier terms against long double, holiday columns, conditions, and the table of components. */
#include "setup.h"

#include "base/rng.h"

enum { N = 400 };
static ftl_time ds[N];
static double y[N], x[N], on[N];

static ftl_time day(int year, int month, int of_month)
{
    return ftl_time_of((ftl_date){year, month, of_month});
}

static void check_fourier(double period, size_t order)
{
    static double out[2 * 40 * N];
    prophet_fourier(ds, N, period, order, out);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 1; k <= order; k++) {
            long double turns = (long double)ds[i] / (long double)FTL_DAY / (long double)period * (long double)k;
            long double angle = 2 * 3.14159265358979323846264338327950288L * (turns - floorl(turns));
            /* the long double reference itself errs by turns * 2^-64 */
            CHECK_NEAR(out[(2 * k - 2) * N + i], (double)sinl(angle), 2e-14 * (double)k + 1e-18 * (double)fabsl(turns));
            CHECK_NEAR(out[(2 * k - 1) * N + i], (double)cosl(angle), 2e-14 * (double)k + 1e-18 * (double)fabsl(turns));
        }
}

TEST(fourier_terms_are_exact_for_any_spacing)
{
    fi_rng rng;
    fi_rng_init(&rng, 7, 0, 0);
    for (int spacing = 0; spacing < 5; spacing++) {
        ftl_time at = spacing == 3 ? day(1850, 3, 1) : day(2015, 1, 1);
        for (size_t i = 0; i < N; i++) {
            ds[i] = at;
            switch (spacing) {
            case 0: at += FTL_DAY; break;
            case 1: at = day(2015, (int)i + 2, 1); break;
            case 2: at += (ftl_time)(fi_rng_uniform(&rng) * 1e9); break;
            case 3: at += i % 5 == 4 ? 3 * FTL_DAY : FTL_DAY; break;
            default: at += i % 3 == 0 ? 0 : 300 * FTL_SECOND;
            }
        }
        check_fourier(365.25, 10);
        check_fourier(7, 3);
        check_fourier(1, 4);
        check_fourier(30.5, 5);
    }
    fill_times(ds, N, 0, FTL_DAY / 24);
    check_fourier(365.25, 40);
}

TEST(fourier_terms_of_a_known_day)
{
    /* 2012-05-18 is day 15478, a Friday: 15478 mod 7 = 1 */
    ftl_time friday = day(2012, 5, 18);
    double out[6];
    prophet_fourier(&friday, 1, 7, 3, out);
    for (int k = 1; k <= 3; k++) {
        CHECK_NEAR(out[2 * k - 2], sin(2 * M_PI * k / 7), 1e-15);
        CHECK_NEAR(out[2 * k - 1], cos(2 * M_PI * k / 7), 1e-15);
    }
}

static prophet_model prepared(const char *options, const char *names, const double *const *columns, size_t n)
{
    prophet_model model;
    ftl_error err;
    for (size_t i = 0; i < n; i++) y[i] = (double)(i % 5);
    ftl_series *s = make_series(ds, y, n, names, columns);
    if (prepare(options, s, &model, &err)) fail_msg("%s: %s", options, err.message);
    ftl_series_free(s);
    return model;
}

static const char *column_names(const prophet_model *m)
{
    static char text[1024];
    *text = '\0';
    for (size_t i = 0; i < m->n_columns; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", m->columns[i].name);
    return text;
}

static const char *component_names(const prophet_model *m)
{
    static char text[1024];
    *text = '\0';
    for (size_t i = 0; i < m->n_components; i++) {
        size_t used = 0;
        for (size_t c = 0; c < m->n_columns; c++) used += m->components[i].uses[c];
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s:%zu ", m->components[i].name,
                 m->components[i].multiplicative ? "*" : "", used);
    }
    return text;
}

static double *features(const prophet_model *m, const prophet_frame *frame)
{
    double *X = fi_alloc(m->n_columns * frame->n, sizeof *X);
    CHECK_INT(prophet_features(m, frame, X, NULL), FTL_OK);
    return X;
}

TEST(holiday_windows_become_columns_sorted_as_text)
{
    fill_times(ds, 40, day(2020, 1, 1), FTL_DAY);
    prophet_model m = prepared("weekly_seasonality=false|add_holiday=b:2020-01-05:upper=10|add_holiday=a:2020-01-20:"
                               "lower=-1:prior_scale=3|add_holiday=b:2020-02-05:lower=-2",
                               "", NULL, 40);
    CHECK_TEXT(column_names(&m), "a_delim_+0 a_delim_-1 b_delim_+0 b_delim_+1 b_delim_+10 b_delim_+2 b_delim_+3 "
                                 "b_delim_+4 b_delim_+5 b_delim_+6 b_delim_+7 b_delim_+8 b_delim_+9 b_delim_-1 "
                                 "b_delim_-2 ");
    CHECK_NEAR(m.columns[1].prior_scale, 3, 0);
    CHECK_NEAR(m.columns[2].prior_scale, 10, 0);
    CHECK_TEXT(component_names(&m), "a:2 additive_terms:15 b:13 holidays:15 multiplicative_terms*:0 ");
    double *X = features(&m, &m.history);
    for (size_t i = 0; i < 40; i++) {
        CHECK_NEAR(X[0 * 40 + i], i == 19, 0);           /* a */
        CHECK_NEAR(X[1 * 40 + i], i == 18, 0);           /* the day before */
        CHECK_NEAR(X[2 * 40 + i], i == 4 || i == 35, 0); /* b */
        CHECK_NEAR(X[4 * 40 + i], i == 14, 0);           /* ten days after the first b */
        CHECK_NEAR(X[14 * 40 + i], i == 33, 0);          /* two days before the second */
    }
    fi_free(X);
    prophet_model_release(&m);
}

TEST(a_holiday_covers_the_whole_day_of_sub_daily_data)
{
    fill_times(ds, 200, day(2017, 1, 1), 1800 * FTL_SECOND);
    prophet_model m =
        prepared("daily_seasonality=0|add_holiday=h:2017-01-02|add_holiday=never:2030-01-01", "", NULL, 200);
    double *X = features(&m, &m.history), sum[2] = {0, 0};
    for (size_t i = 0; i < 200; i++) sum[0] += X[i], sum[1] += X[200 + i];
    CHECK_NEAR(sum[0], 48, 0);
    CHECK_NEAR(X[47], 0, 0);
    CHECK_NEAR(X[48], 1, 0);
    CHECK_NEAR(sum[1], 0, 0); /* a column without a day in the data stays */
    fi_free(X);
    prophet_model_release(&m);
}

TEST(country_holidays_of_the_training_years_only)
{
    fill_times(ds, 60, day(2020, 6, 1), FTL_DAY); /* the year 2020: before Juneteenth became one */
    prophet_model m = prepared("weekly_seasonality=false|country_holidays=US|holidays_mode=multiplicative"
                               "|add_holiday=Independence Day:2020-07-04:lower=-1",
                               "", NULL, 60);
    const prophet_column *july = NULL;
    for (size_t i = 0; i < m.n_columns; i++) {
        CHECK(!strstr(m.columns[i].name, "Juneteenth"));
        CHECK(m.columns[i].multiplicative);
        if (!strcmp(m.columns[i].name, "Independence Day_delim_-1")) july = &m.columns[i];
    }
    CHECK(july != NULL);
    CHECK(m.n_train_holiday_names > 8);
    CHECK_TEXT(m.train_holiday_names[0], "Independence Day");
    ftl_time later[3] = {day(2022, 6, 20), day(2022, 7, 3),
                         day(2022, 7, 4)}; /* Juneteenth 2022 was observed on the 20th */
    ftl_series *s = make_series(later, NULL, 3, "", NULL);
    prophet_frame frame;
    CHECK_INT(prophet_prepare_future(&m, s, &frame, NULL), FTL_OK);
    double *X = features(&m, &frame), june = 0, fourth = 0;
    for (size_t c = 0; c < m.n_columns; c++) june += X[c * 3], fourth += X[c * 3 + 2];
    CHECK_NEAR(june, 0, 0);
    CHECK_NEAR(fourth, 1, 0);                                /* from the country */
    CHECK_NEAR(X[(size_t)(july - m.columns) * 3 + 1], 0, 0); /* the window belongs to 2020's own date */
    fi_free(X);
    prophet_frame_release(&frame);
    ftl_series_free(s);
    prophet_model_release(&m);
}

TEST(conditions_switch_rows_off_and_modes_make_groups)
{
    fill_times(ds, 60, day(2020, 1, 1), FTL_DAY);
    for (size_t i = 0; i < 60; i++) on[i] = i % 3 == 0, x[i] = (double)i;
    const double *columns[] = {x, on};
    prophet_model m = prepared("add_seasonality=some:5:1:mode=multiplicative:condition=on|weekly_seasonality=1"
                               "|add_regressor=Price:mode=multiplicative",
                               "Price on", columns, 60);
    CHECK_TEXT(column_names(&m), "some_delim_1 some_delim_2 weekly_delim_1 weekly_delim_2 Price ");
    CHECK_TEXT(component_names(&m), "Price*:1 additive_terms:2 extra_regressors_multiplicative*:1 "
                                    "multiplicative_terms*:3 some*:2 weekly:2 ");
    double *X = features(&m, &m.history);
    for (size_t i = 0; i < 60; i++) {
        CHECK_NEAR(X[60 + i], on[i] == 1 ? cos(2 * M_PI * (double)(ds[i] / FTL_DAY) / 5) : 0, 1e-11);
        CHECK_NEAR(X[4 * 60 + i], (x[i] - 29.5) / sqrt(305), 1e-14); /* variance of 0..59: 60 * 61 / 12 */
    }
    fi_free(X);
    prophet_model_release(&m);
}

TEST(without_any_column_there_is_one_of_zeros)
{
    fill_times(ds, 10, day(2020, 1, 1), FTL_DAY);
    prophet_model m = prepared("", "", NULL, 10);
    CHECK_TEXT(column_names(&m), "zeros ");
    CHECK_NEAR(m.columns[0].prior_scale, 1, 0);
    CHECK_TEXT(component_names(&m), "additive_terms:0 multiplicative_terms*:0 ");
    double *X = features(&m, &m.history);
    for (size_t i = 0; i < 10; i++) CHECK_NEAR(X[i], 0, 0);
    fi_free(X);
    prophet_model_release(&m);
}

TEST(a_thousand_holidays_on_thirty_rows)
{
    fill_times(ds, 30, day(2020, 1, 1), FTL_DAY);
    prophet_config config = make_config("weekly_seasonality=false");
    for (int i = 0; i < 1000; i++) {
        char text[64];
        snprintf(text, sizeof text, "h%d:2020-%02d-%02d:lower=-1", i, 1 + i % 12, 1 + i % 28);
        CHECK_INT(set_option(&config, "add_holiday", text, NULL), FTL_OK);
    }
    for (size_t i = 0; i < 30; i++) y[i] = (double)i;
    ftl_series *s = make_series(ds, y, 30, "", NULL);
    prophet_model m;
    CHECK_INT(prophet_prepare(&config, s, &m, NULL), FTL_OK);
    CHECK_INT(m.n_columns, 2000);
    double *X = features(&m, &m.history), sum = 0;
    for (size_t i = 0; i < 30 * 2000; i++) sum += X[i];
    CHECK(sum > 80);
    fi_free(X);
    prophet_model_release(&m);
    ftl_error err;
    for (int i = 0; i < 2; i++) {
        char text[64];
        snprintf(text, sizeof text, "wide%d:2020-01-01:lower=-3000:upper=3000", i);
        CHECK_INT(set_option(&config, "add_holiday", text, NULL), FTL_OK);
    }
    CHECK_INT(prophet_prepare(&config, s, &m, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "more than 10000 columns ('wide1')");
    ftl_series_free(s);
    prophet_config_release_all(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fourier_terms_are_exact_for_any_spacing),
        cmocka_unit_test(fourier_terms_of_a_known_day),
        cmocka_unit_test(holiday_windows_become_columns_sorted_as_text),
        cmocka_unit_test(a_holiday_covers_the_whole_day_of_sub_daily_data),
        cmocka_unit_test(country_holidays_of_the_training_years_only),
        cmocka_unit_test(conditions_switch_rows_off_and_modes_make_groups),
        cmocka_unit_test(without_any_column_there_is_one_of_zeros),
        cmocka_unit_test(a_thousand_holidays_on_thirty_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
