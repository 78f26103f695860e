/* Options, items as text and back, names, copies. */
#include "setup.h"

#include "base/buf.h"

static const ftl_error no_error = {FTL_OK, ""};

TEST(defaults_of_the_table_and_of_the_function_agree)
{
    prophet_config plain, table;
    prophet_config_defaults(&plain);
    prophet_config_defaults(&table);
    for (size_t i = 0; i < PROPHET_N_OPTIONS; i++) {
        const ftl_option_info *info = &prophet_options[i].info;
        CHECK(info->name && *info->help);
        if (info->type == FTL_OPTION_ITEM || info->type == FTL_OPTION_TEXT) continue;
        CHECK_INT(set_option(&table, info->name, info->default_text, NULL), FTL_OK);
        static const size_t sizes[] = {[FTL_OPTION_FLAG] = sizeof(bool),
                                       [FTL_OPTION_COUNT] = sizeof(int64_t),
                                       [FTL_OPTION_REAL] = sizeof(double),
                                       [FTL_OPTION_CHOICE] = sizeof(int)};
        size_t at = prophet_options[i].offset;
        if (memcmp((char *)&plain + at, (char *)&table + at, sizes[info->type]) != 0)
            fail_msg("the default of %s is not %s", info->name, info->default_text);
    }
}

TEST(an_item_reads_back_what_it_writes)
{
    static const struct {
        const char *option, *text;
    } items[] = {
        {"add_seasonality", "monthly:30.5:5:prior_scale=0.25:mode=multiplicative:condition=summer"},
        {"add_seasonality", "fort\\:nightly\\\\:14:2"},
        {"add_regressor", "price:prior_scale=0.5:mode=additive:standardize=false"},
        {"add_regressor", "temperature"},
        {"add_holiday", "superbowl:2014-02-02:lower=-1:upper=2:prior_scale=20"},
        {"add_holiday", "superbowl:2016-02-07"},
    };
    prophet_config config = make_config("");
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        CHECK_INT(set_option(&config, items[i].option, items[i].text, NULL), FTL_OK);
        for (size_t o = 0; o < PROPHET_N_OPTIONS; o++) {
            if (strcmp(prophet_options[o].info.name, items[i].option) != 0) continue;
            fi_buf out = {0};
            CHECK_INT(prophet_options[o].format(&config, i % 2, &out, NULL), FTL_OK);
            CHECK_TEXT(out.data, items[i].text);
            fi_buf_clear(&out);
            CHECK_INT(prophet_options[o].format(&config, 9, &out, NULL), FTL_OK);
            CHECK_INT(out.size, 0);
            fi_buf_release(&out);
        }
    }
    CHECK_INT(config.n_seasonalities, 2);
    CHECK_TEXT(config.seasonalities[1].name, "fort:nightly\\");
    CHECK_INT(config.n_regressors, 2);
    CHECK_INT(config.holidays[0].date, ftl_time_of((ftl_date){2014, 2, 2}));
    prophet_config_release_all(&config);
}

static void refused(const char *before, const char *option, const char *text, const char *why)
{
    prophet_config config = make_config(before);
    ftl_error err = no_error;
    CHECK_INT(set_option(&config, option, text, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, why);
    prophet_config_release_all(&config);
}

TEST(mistakes_are_refused_with_the_remedy)
{
    refused("", "add_seasonality", "monthly:30.5", "NAME:PERIOD_DAYS:ORDER");
    refused("", "add_seasonality", "monthly:x:5", "'x' is not understood");
    refused("", "add_seasonality", "monthly:30.5:0", "Fourier order is 0");
    refused("", "add_seasonality", "monthly:30.5:-1", "'-1' is not understood");
    refused("", "add_seasonality", "monthly:0:3", "period is 0");
    refused("", "add_seasonality", "monthly:1e-13:3", "period is 1e-13");
    refused("", "add_seasonality", "monthly:30.5:3:prior_scale=0", "greater than 0");
    refused("", "add_seasonality", "monthly:30.5:3:mode=both", "'mode=both'");
    refused("", "add_seasonality", "monthly:30.5:3:scale=3", "'scale=3'");
    refused("", "add_seasonality", "a_delim_b:30.5:3", "_delim_");
    refused("", "add_seasonality", "trend:30.5:3", "reserved");
    refused("", "add_seasonality", "yhat_lower:30.5:3", "reserved");
    refused("", "add_seasonality", "m:30.5:3:condition=weekly_upper", "reserved");
    refused("add_regressor=price", "add_seasonality", "price:30.5:3", "already used for a regressor");
    refused("add_seasonality=monthly:30.5:5", "add_regressor", "monthly", "already used for a seasonality");
    refused("add_holiday=xmas:2020-12-25", "add_regressor", "xmas", "already used for a holiday");
    refused("add_regressor=xmas", "add_holiday", "xmas:2020-12-25", "already used for a regressor");
    refused("", "add_regressor", "cap", "reserved");
    refused("", "add_regressor", "", "NAME[");
    refused("", "add_regressor", "x:standardize=maybe", "'standardize=maybe'");
    refused("", "add_holiday", "xmas", "NAME:YYYY-MM-DD");
    refused("", "add_holiday", "xmas:2020-13-25", "2020-13-25");
    refused("", "add_holiday", "xmas:12", "'12'");
    refused("", "add_holiday", "xmas:2020-12-25:lower=1", "between -3660 and 0");
    refused("", "add_holiday", "xmas:2020-12-25:upper=-1", "between 0 and 3660");
    refused("", "add_holiday", "xmas:2020-12-25:prior_scale=-1", "greater than 0");
}

TEST(built_in_names_may_be_overwritten_and_items_replaced)
{
    prophet_config config = make_config("add_seasonality=weekly:7:4|add_seasonality=monthly:30.5:5"
                                        "|add_seasonality=weekly:7:2|add_regressor=x|add_regressor=x:prior_scale=3");
    CHECK_INT(config.n_seasonalities, 2);
    CHECK_INT(config.seasonalities[0].order, 2);
    CHECK_INT(config.n_regressors, 1);
    CHECK_NEAR(config.regressor_list[0].prior_scale, 3, 0);
    prophet_config_release_all(&config);
}

TEST(options_are_checked_against_one_another)
{
    static const struct {
        const char *options, *why;
    } cases[] = {
        {"yearly_seasonality=sometimes", "yearly_seasonality"},
        {"daily_seasonality=-3", "daily_seasonality"},
        {"changepoints=2020-01-01 nonsense", "changepoints"},
        {"changepoints=2020-01-01 17", "mixes"},
        {"country_holidays=ZZ", "ZZ"},
        {"country_holidays=US|add_regressor=Christmas Day", "Christmas Day"},
        {"country_holidays=US|add_seasonality=a:3:1:condition=Christmas Day", "Christmas Day"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prophet_config config = make_config(cases[i].options);
        ftl_error err = no_error;
        CHECK_INT(prophet_config_check(&config, &err), FTL_EINVAL);
        CHECK_CONTAINS(err.message, cases[i].why);
        prophet_config_release_all(&config);
    }
    prophet_config good = make_config("country_holidays=US|add_regressor=price|changepoints=2020-01-05;2020-01-03 "
                                      "2020-01-04T12:00|yearly_seasonality=true|weekly_seasonality=5");
    CHECK_INT(prophet_config_check(&good, NULL), FTL_OK);
    ftl_time *times;
    size_t n;
    bool indexed;
    CHECK_INT(prophet_parse_changepoints(good.changepoints, &times, &n, &indexed, NULL), FTL_OK);
    CHECK_INT(n, 3);
    CHECK(!indexed);
    CHECK_INT(times[1], ftl_time_of((ftl_date){2020, 1, 4}) + FTL_DAY / 2);
    fi_free(times);
    prophet_config_release_all(&good);
}

TEST(holiday_tables_are_read_and_refused)
{
    static const struct {
        const char *text;
        ftl_status status;
        const char *why;
    } files[] = {
        {"ds,holiday,lower_window,upper_window,prior_scale\n2020-01-10,a,-1,1,5\n2020-02-01,b,,2,\n", FTL_OK, ""},
        {"holiday,ds,lower_window\na,2020-01-10,-1\n", FTL_EDATA, "or neither"},
        {"holiday,ds\na,12\n", FTL_EDATA, "need dates"},
        {"holiday,ds\n,2020-01-10\n", FTL_EDATA, "holiday"},
        {"holiday,ds,lower_window,upper_window\na,2020-01-10,1,1\n", FTL_EDATA, "lower_window"},
        {"holiday,ds,lower_window,upper_window\na,2020-01-10,-0.5,1\n", FTL_EDATA, "whole number"},
        {"holiday,ds\ntrend,2020-01-10\n", FTL_EDATA, "reserved"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[] = "/tmp/foretell-holidays-XXXXXX";
        int fd = mkstemp(path);
        CHECK(fd >= 0 && write(fd, files[i].text, strlen(files[i].text)) == (ssize_t)strlen(files[i].text));
        close(fd);
        prophet_config config = make_config("");
        ftl_error err = no_error;
        CHECK_INT(set_option(&config, "holidays", path, &err), files[i].status);
        CHECK_CONTAINS(err.message, files[i].why);
        if (i == 0) {
            CHECK_INT(config.n_holidays, 2);
            CHECK_INT(config.holidays[0].lower, -1);
            CHECK_NEAR(config.holidays[0].prior_scale, 5, 0);
            CHECK_INT(config.holidays[1].upper, 0); /* one side missing: none */
            CHECK(isnan(config.holidays[1].prior_scale));
        }
        prophet_config_release_all(&config);
        unlink(path);
    }
}

TEST(a_copy_is_deep_and_survives_lack_of_memory)
{
    prophet_config config = make_config("add_seasonality=m:30.5:5:condition=c|add_regressor=x|add_holiday=h:2020-01-01"
                                        "|country_holidays=US|changepoints=none"),
                   copy;
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 100; n++) {
        fi_alloc_fail_after(n);
        st = prophet_config_copy(&config, &copy, NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    prophet_config_release_all(&config);
    CHECK_TEXT(copy.seasonalities[0].condition, "c");
    CHECK_TEXT(copy.country_holidays, "US");
    CHECK_TEXT(copy.holidays[0].name, "h");
    prophet_config_release_all(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_of_the_table_and_of_the_function_agree),
        cmocka_unit_test(an_item_reads_back_what_it_writes),
        cmocka_unit_test(mistakes_are_refused_with_the_remedy),
        cmocka_unit_test(built_in_names_may_be_overwritten_and_items_replaced),
        cmocka_unit_test(options_are_checked_against_one_another),
        cmocka_unit_test(holiday_tables_are_read_and_refused),
        cmocka_unit_test(a_copy_is_deep_and_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
