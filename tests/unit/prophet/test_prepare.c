/* Scales, changepoints, automatic seasonalities, regressors and refusals of a fit's preparation. */
#include "setup.h"

enum { MAX_ROWS = 3000 };
static ftl_time ds[MAX_ROWS];
static double y[MAX_ROWS], x[MAX_ROWS], z[MAX_ROWS];

static ftl_time day(int year, int month, int of_month)
{
    return ftl_time_of((ftl_date){year, month, of_month});
}

/* n rows `step` apart with y = 1, 2, 3 ... */
static ftl_series *ramp(size_t n, ftl_time step)
{
    fill_times(ds, n, day(2020, 1, 1), step);
    for (size_t i = 0; i < n; i++) y[i] = (double)(i + 1);
    return make_series(ds, y, n, "", NULL);
}

static prophet_model prepared(const char *options, ftl_series *series)
{
    prophet_model model;
    ftl_error err;
    if (prepare(options, series, &model, &err)) fail_msg("%s: %s", options, err.message);
    ftl_series_free(series);
    return model;
}

TEST(scales_follow_prophet)
{
    static const struct {
        const char *options;
        double y_scale, y_min, floor, first, last;
    } cases[] = {
        {"scaling=absmax", 10, 0, 0, 0.1, 1},
        {"scaling=minmax", 9, 1, 1, 0, 1},
    };
    for (size_t i = 0; i < 2; i++) {
        prophet_model m = prepared(cases[i].options, ramp(10, FTL_DAY));
        CHECK_NEAR(m.y_scale, cases[i].y_scale, 0);
        CHECK_NEAR(m.y_min, cases[i].y_min, 0);
        CHECK_NEAR(m.history.floor[3], cases[i].floor, 0);
        CHECK_NEAR(m.history.y_scaled[0], cases[i].first, 1e-16);
        CHECK_NEAR(m.history.y_scaled[9], cases[i].last, 1e-16);
        CHECK_NEAR(m.history.t[0], 0, 0);
        CHECK_NEAR(m.history.t[3], 3.0 / 9, 1e-16);
        CHECK_NEAR(m.history.t[9], 1, 0);
        prophet_model_release(&m);
    }
}

TEST(logistic_floor_and_cap_scale_the_series)
{
    for (size_t i = 0; i < 10; i++) x[i] = 30, z[i] = 0.5;
    const double *columns[] = {x, z};
    ftl_series_free(ramp(10, FTL_DAY));
    prophet_model m = prepared("growth=logistic", make_series(ds, y, 10, "cap floor", columns));
    CHECK(m.logistic_floor);
    CHECK_NEAR(m.y_scale, 9.5, 0);
    CHECK_NEAR(m.y_min, 0.5, 0);
    CHECK_NEAR(m.history.cap_scaled[4], 29.5 / 9.5, 1e-15);
    CHECK_NEAR(m.history.y_scaled[0], 0.5 / 9.5, 1e-16);
    CHECK_INT(m.n_regressors, 0);
    prophet_model_release(&m);
    m = prepared("growth=logistic|scaling=minmax", make_series(ds, y, 10, "cap floor", columns));
    CHECK_NEAR(m.y_scale, 29.5, 0);
    CHECK_NEAR(m.y_min, 0.5, 0);
    prophet_model_release(&m);
    m = prepared("growth=logistic|scaling=minmax", make_series(ds, y, 10, "cap", columns));
    CHECK(!m.logistic_floor);
    CHECK_NEAR(m.history.floor[2], 1, 0); /* the smallest y */
    CHECK_NEAR(m.history.cap_scaled[2], 29.0 / 9, 1e-15);
    prophet_model_release(&m);
}

static void check_rows(const char *options, size_t n_rows, const size_t *rows, size_t n)
{
    prophet_model m = prepared(options, ramp(n_rows, FTL_DAY));
    CHECK_INT(m.n_changepoint_dates, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(m.changepoint_rows[i], rows[i]);
        CHECK_INT(m.changepoints[i], ds[rows[i]]);
        CHECK_NEAR(m.changepoints_t[i], (double)rows[i] / (double)(n_rows - 1), 1e-16);
    }
    prophet_model_release(&m);
}

TEST(changepoints_stand_where_numpy_puts_them)
{
    /* numpy.linspace(0, floor(rows * range) - 1, n + 1).round()[1:], run in Python */
    check_rows("n_changepoints=3", 59, (size_t[]){15, 31, 46}, 3);
    check_rows("n_changepoints=2", 8, (size_t[]){2, 5}, 2);                              /* 2.5 goes to the even 2 */
    check_rows("n_changepoints=4|changepoint_range=1", 15, (size_t[]){4, 7, 10, 14}, 4); /* 3.5, 7, 10.5, 14 */
    check_rows("", 9, (size_t[]){1, 2, 3, 4, 5, 6}, 6);
}

TEST(too_many_changepoints_are_reduced_with_a_warning)
{
    prophet_model m = prepared("", ramp(9, FTL_DAY));
    CHECK_INT(m.config.n_changepoints, 6);
    CHECK_INT(m.n_warnings, 1);
    CHECK_CONTAINS(m.warnings[0], "n_changepoints is 6 instead of 25");
    prophet_model_release(&m);
    m = prepared("", ramp(2, FTL_DAY)); /* floor(1.6) - 1 */
    CHECK_INT(m.config.n_changepoints, 0);
    CHECK_INT(m.n_changepoint_dates, 0);
    CHECK_INT(m.n_changepoints, 1);
    CHECK_NEAR(m.changepoints_t[0], 0, 0);
    prophet_model_release(&m);
}

TEST(given_changepoints_are_sorted_and_must_lie_inside)
{
    prophet_model m = prepared("changepoints=2020-01-07;2020-01-03", ramp(11, FTL_DAY));
    CHECK_INT(m.n_changepoints, 2);
    CHECK(m.specified_changepoints);
    CHECK_NEAR(m.changepoints_t[0], 0.2, 1e-16);
    CHECK_NEAR(m.changepoints_t[1], 0.6, 1e-16);
    prophet_model_release(&m);
    m = prepared("changepoints=none", ramp(11, FTL_DAY));
    CHECK_INT(m.n_changepoint_dates, 0);
    CHECK_INT(m.n_changepoints, 1);
    prophet_model_release(&m);
    ftl_series *s = ramp(11, FTL_DAY);
    ftl_error err;
    CHECK_INT(prepare("changepoints=2020-01-07;2020-02-03", s, &m, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "2020-02-03 lies outside the history, 2020-01-01 to 2020-01-11");
    ftl_series_free(s);
}

static void check_auto(const char *options, size_t n, ftl_time step, const char *expected)
{
    char found[256] = "";
    prophet_model m = prepared(options, ramp(n, step));
    for (size_t i = 0; i < m.n_seasonalities; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s:%g:%zu ", m.seasonalities[i].name,
                 m.seasonalities[i].period, m.seasonalities[i].order);
    CHECK_TEXT(found, expected);
    prophet_model_release(&m);
}

TEST(automatic_seasonalities_follow_span_and_spacing)
{
    const ftl_time hour = FTL_DAY / 24;
    check_auto("", 731, FTL_DAY, "yearly:365.25:10 weekly:7:3 ");
    check_auto("", 730, FTL_DAY, "weekly:7:3 ");
    check_auto("", 15, FTL_DAY, "weekly:7:3 ");
    check_auto("", 14, FTL_DAY, "");
    check_auto("", 150, 7 * FTL_DAY, "yearly:365.25:10 ");
    check_auto("", 49, hour, "daily:1:4 ");
    check_auto("", 48, hour, "");
    check_auto("", 24 * 14 + 1, hour, "weekly:7:3 daily:1:4 ");
    check_auto("yearly_seasonality=true|weekly_seasonality=5|daily_seasonality=off", 20, FTL_DAY,
               "yearly:365.25:10 weekly:7:5 ");
    check_auto("yearly_seasonality=1|weekly_seasonality=0", 20, FTL_DAY, "yearly:365.25:1 ");
    check_auto("add_seasonality=monthly:30.5:5|add_seasonality=weekly:7:2", 20, FTL_DAY, "monthly:30.5:5 weekly:7:2 ");
    check_auto("add_seasonality=weekly:7.5:2|add_seasonality=m:30:1|weekly_seasonality=true", 20, FTL_DAY,
               "weekly:7:3 m:30:1 "); /* replaced in its place */
}

TEST(short_yearly_seasonality_warns)
{
    prophet_model m = prepared("yearly_seasonality=true", ramp(100, FTL_DAY));
    CHECK_INT(m.n_warnings, 1);
    CHECK_CONTAINS(m.warnings[0], "less than 730 days");
    prophet_model_release(&m);
}

TEST(regressors_are_standardised_as_prophet_does)
{
    /* the numbers of Prophet's own test: 0..509 has mean 254.5 and sample standard deviation 147.368585 */
    static double binary[MAX_ROWS], constant[MAX_ROWS];
    const double *columns[] = {x, binary, constant, z};
    size_t n = 510;
    ftl_series_free(ramp(n, FTL_DAY));
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)i;
        binary[i] = i < 100;
        constant[i] = 5;
        z[i] = i < 100;
    }
    prophet_model m = prepared("add_regressor=b2:standardize=true:prior_scale=2:mode=multiplicative",
                               make_series(ds, y, n, "num binary constant b2", columns));
    CHECK_INT(m.n_regressors, 4);
    CHECK_TEXT(m.regressors[0].name, "b2"); /* explicit ones first */
    CHECK_NEAR(m.regressors[0].mu, 0.1960784313725490, 1e-15);
    CHECK_NEAR(m.regressors[0].std, sqrt(100.0 * 410 / 510 / 509), 1e-14); /* 0.39741838 */
    CHECK_INT(m.regressors[0].mode, PROPHET_MULTIPLICATIVE);
    CHECK_NEAR(m.regressors[0].prior_scale, 2, 0);
    CHECK_TEXT(m.regressors[1].name, "num");
    CHECK_NEAR(m.regressors[1].mu, 254.5, 1e-12);
    CHECK_NEAR(m.regressors[1].std, 147.368585, 1e-6);
    CHECK_NEAR(m.history.extra[1][509], 254.5 / sqrt(21717.5), 1e-12);
    CHECK_NEAR(m.regressors[2].std, 1, 0); /* 0/1 */
    CHECK_NEAR(m.regressors[3].mu, 0, 0);  /* constant */
    CHECK_NEAR(m.regressors[3].prior_scale, 10, 0);
    prophet_model_release(&m);
    m = prepared("regressors=false", make_series(ds, y, n, "num binary constant b2", columns));
    CHECK_INT(m.n_regressors, 0);
    prophet_model_release(&m);
}

TEST(rows_without_y_are_left_out_of_the_fit_but_kept_as_dates)
{
    ftl_series_free(ramp(30, FTL_DAY));
    y[0] = y[7] = NAN;
    for (size_t i = 0; i < 30; i++) x[i] = (double)i;
    x[7] = NAN; /* needed only where y is known */
    const double *columns[] = {x};
    prophet_model m = prepared("", make_series(ds, y, 30, "x", columns));
    CHECK_INT(m.history.n, 28);
    CHECK_INT(m.n_history_dates, 30);
    CHECK_INT(m.start, ds[1]);
    CHECK_NEAR(m.history.y[6], 9, 0);
    prophet_model_release(&m);
}

TEST(an_index_counts_days_without_automatic_seasonalities)
{
    ftl_series *s = NULL;
    for (size_t i = 0; i < 2000; i++) y[i] = (double)(i % 7);
    CHECK_INT(ftl_series_new("a", y, 2000, &s, NULL), FTL_OK);
    prophet_model m = prepared("add_seasonality=week:7:3|changepoints=10 20", s);
    CHECK_INT(m.n_seasonalities, 1);
    CHECK_INT(m.history.ds[4], 5 * FTL_DAY);
    CHECK_INT(m.changepoints[1], 20 * FTL_DAY);
    prophet_model_release(&m);
}

static void refused(const char *options, const char *names, const double *const *columns, size_t n, const char *why)
{
    prophet_model m;
    ftl_error err = {FTL_OK, ""};
    ftl_series *s = make_series(ds, y, n, names, columns);
    CHECK(prepare(options, s, &m, &err) != FTL_OK);
    CHECK_CONTAINS(err.message, why);
    ftl_series_free(s);
}

TEST(what_cannot_be_fitted_is_refused_by_name_and_date)
{
    const double *columns[] = {x, z};
    ftl_series_free(ramp(10, FTL_DAY));
    for (size_t i = 0; i < 10; i++) x[i] = (double)i, z[i] = 2;
    refused("growth=logistic", "", NULL, 10, "needs a column 'cap'");
    refused("growth=logistic", "cap", columns, 10, "cap at 2020-01-01 is 0, but must be greater than the floor");
    refused("add_regressor=price", "", NULL, 10, "regressor 'price' is not a column");
    refused("", "trend", columns, 10, "column 'trend' cannot be a regressor");
    refused("add_seasonality=m:30:2:condition=on", "", NULL, 10, "condition 'on' is not a column");
    refused("add_seasonality=m:30:2:condition=on", "on", &columns[1], 10, "condition 'on' at 2020-01-01 is 2");
    refused("changepoints=3 5", "", NULL, 10, "plain numbers, but the times of the series are dates");
    x[4] = NAN;
    refused("", "x", columns, 10, "regressor 'x' is missing at 2020-01-05");
    refused("add_holiday=a:2020-01-02:prior_scale=3|add_holiday=a:2020-01-05", "", NULL, 10, "prior scales 3 and 10");
    y[0] = 1.7e308;
    y[1] = -1.7e308;
    refused("scaling=minmax", "", NULL, 10, "cannot be scaled");
    for (size_t i = 1; i < 10; i++) y[i] = NAN;
    refused("", "", NULL, 10, "only 1 of 10 rows");
    y[3] = 2;
    for (size_t i = 0; i < 10; i++) ds[i] = ds[0];
    refused("", "", NULL, 10, "all 2 observations are of one time");
}

TEST(the_future_needs_the_columns_of_the_history)
{
    const double *columns[] = {x, z};
    ftl_series_free(ramp(10, FTL_DAY));
    for (size_t i = 0; i < 10; i++) x[i] = (double)i, z[i] = 20;
    prophet_model m = prepared("growth=logistic", make_series(ds, y, 10, "x cap", columns));
    ftl_time later[2] = {ds[9] + FTL_DAY, ds[9] + 2 * FTL_DAY};
    const double fx[2] = {10, 11}, cap[2] = {30, 40}, *future[] = {fx, cap};
    ftl_series *s = make_series(later, NULL, 2, "x cap", future);
    prophet_frame frame;
    ftl_error err;
    CHECK_INT(prophet_prepare_future(&m, s, &frame, NULL), FTL_OK);
    CHECK_NEAR(frame.t[1], 11.0 / 9, 1e-15);
    CHECK_NEAR(frame.cap_scaled[1], 4, 1e-15);
    CHECK_NEAR(frame.extra[0][0], (10 - 4.5) / sqrt(55.0 / 6), 1e-14); /* var of 0..9 is 82.5 / 9 */
    prophet_frame_release(&frame);
    ftl_series_free(s);
    s = make_series(later, NULL, 2, "x", future);
    CHECK_INT(prophet_prepare_future(&m, s, &frame, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "cap");
    ftl_series_free(s);
    s = make_series(later, NULL, 2, "cap", future);
    CHECK_INT(prophet_prepare_future(&m, s, &frame, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "regressor 'x' is not a column of the future rows");
    ftl_series_free(s);
    prophet_model_release(&m);
}

TEST(lack_of_memory_is_reported_and_leaks_nothing)
{
    const double *columns[] = {x, z};
    ftl_series_free(ramp(40, FTL_DAY));
    for (size_t i = 0; i < 40; i++) x[i] = (double)i, z[i] = (double)(i % 2);
    ftl_series *s = make_series(ds, y, 40, "x on", columns);
    prophet_config config = make_config("add_seasonality=m:30:2:condition=on|add_holiday=h:2020-01-05:lower=-1"
                                        "|country_holidays=US|yearly_seasonality=true");
    prophet_model m;
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
        fi_alloc_fail_after(n);
        st = prophet_prepare(&config, s, &m, NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    prophet_model_release(&m);
    prophet_config_release_all(&config);
    ftl_series_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_follow_prophet),
        cmocka_unit_test(logistic_floor_and_cap_scale_the_series),
        cmocka_unit_test(changepoints_stand_where_numpy_puts_them),
        cmocka_unit_test(too_many_changepoints_are_reduced_with_a_warning),
        cmocka_unit_test(given_changepoints_are_sorted_and_must_lie_inside),
        cmocka_unit_test(automatic_seasonalities_follow_span_and_spacing),
        cmocka_unit_test(short_yearly_seasonality_warns),
        cmocka_unit_test(regressors_are_standardised_as_prophet_does),
        cmocka_unit_test(rows_without_y_are_left_out_of_the_fit_but_kept_as_dates),
        cmocka_unit_test(an_index_counts_days_without_automatic_seasonalities),
        cmocka_unit_test(what_cannot_be_fitted_is_refused_by_name_and_date),
        cmocka_unit_test(the_future_needs_the_columns_of_the_history),
        cmocka_unit_test(lack_of_memory_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
