#include "check.h"

#include <foretell/calendar.h>

static ftl_status parse(const char *text, ftl_time *time, ftl_time_kind *kind, ftl_error *err)
{
    return ftl_time_parse(text, strlen(text), time, kind, err);
}

TEST(accepted_forms_are_read_and_written_back)
{
    static const struct {
        const char *text;
        ftl_time_kind kind;
        int64_t time;
        const char *written;
    } cases[] = {
        {"1970-01-01", FTL_TIME_DATE, 0, "1970-01-01"},
        {"1970/01/02", FTL_TIME_DATE, FTL_DAY, "1970-01-02"},
        {"19700103", FTL_TIME_DATE, 2 * FTL_DAY, "1970-01-03"},
        {"1970-02", FTL_TIME_DATE, 31 * FTL_DAY, "1970-02-01"}, /* months, as statistical offices write them */
        {"1970/02", FTL_TIME_DATE, 31 * FTL_DAY, "1970-02-01"},
        {"  1970-01-04\t", FTL_TIME_DATE, 3 * FTL_DAY, "1970-01-04"},
        {"1969-12-31", FTL_TIME_DATE, -FTL_DAY, "1969-12-31"},
        {"2000-02-29", FTL_TIME_DATE, 11016 * FTL_DAY, "2000-02-29"},
        {"0001-01-01", FTL_TIME_DATE, -719162 * FTL_DAY, "0001-01-01"},
        {"9999-12-31", FTL_TIME_DATE, 2932896 * FTL_DAY, "9999-12-31"},
        {"1970-01-01 00:00", FTL_TIME_DATETIME, 0, "1970-01-01 00:00:00"},
        {"1970-01-01T01:02", FTL_TIME_DATETIME, 3720 * FTL_SECOND, "1970-01-01 01:02:00"},
        {"19700101T010203", FTL_TIME_INDEX, -1, NULL},
        {"19700101 01:02:03", FTL_TIME_DATETIME, 3723 * FTL_SECOND, "1970-01-01 01:02:03"},
        {"1970-01-01 00:00:00.5", FTL_TIME_DATETIME, 500000, "1970-01-01 00:00:00.5"},
        {"1970-01-01 00:00:00.000001", FTL_TIME_DATETIME, 1, "1970-01-01 00:00:00.000001"},
        {"1970-01-01 00:00:00.123456000", FTL_TIME_DATETIME, 123456, "1970-01-01 00:00:00.123456"},
        {"1969-12-31 23:59:59.999999", FTL_TIME_DATETIME, -1, "1969-12-31 23:59:59.999999"},
        {"42", FTL_TIME_INDEX, 42, "42"},
        {"-7", FTL_TIME_INDEX, -7, "-7"},
        {"17991231", FTL_TIME_INDEX, 17991231, "17991231"}, /* not a date in 1800..2299 */
        {"20230229", FTL_TIME_INDEX, 20230229, "20230229"}, /* no such day */
        {"22991231", FTL_TIME_DATE, 120529 * FTL_DAY, "2299-12-31"},
        {"23000101", FTL_TIME_INDEX, 23000101, "23000101"},
        {"2024010100", FTL_TIME_INDEX, 2024010100, "2024010100"}, /* ten digits */
        {"9223372036854775807", FTL_TIME_INDEX, INT64_MAX, "9223372036854775807"},
        {"-9223372036854775808", FTL_TIME_INDEX, INT64_MIN, "-9223372036854775808"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ftl_time time = -1;
        ftl_time_kind kind = FTL_TIME_INDEX;
        ftl_error err = {FTL_OK, ""};
        char text[FTL_TIME_TEXT_MAX];
        ftl_status st = parse(cases[i].text, &time, &kind, &err);
        CHECK_INT(st, cases[i].written ? FTL_OK : FTL_EDATA);
        if (st) continue;
        CHECK_INT(kind, cases[i].kind);
        CHECK_INT(time, cases[i].time);
        CHECK_INT(ftl_time_format(time, kind, text), strlen(cases[i].written));
        CHECK_TEXT(text, cases[i].written);
    }
}

TEST(refusals_say_what_is_wrong)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"2023-02-29", "not a date of the calendar"},
        {"2023-13-01", "not a date of the calendar"},
        {"2023-00-01", "not a date of the calendar"},
        {"2023-13", "not a date of the calendar"},
        {"2023-1x", "is not a time"},
        {"2023 01", "is not a time"},
        {"2023-01-00", "not a date of the calendar"},
        {"0000-01-01", "years run from 1 to 9999"},
        {"1900-02-29", "not a date of the calendar"},
        {"2023-01-01 24:00", "not a time of day"},
        {"2023-01-01 12:60", "not a time of day"},
        {"2023-01-01 12:00:60", "not a time of day"},
        {"2023-01-01 12:00:00.1234567", "finer than a microsecond"},
        {"2023-01-01T12:00:00Z", "has a time zone; remove it"},
        {"2023-01-01T12:00:00+01:00", "has a time zone; remove it"},
        {"2023-01-01 12:00:00-0530", "has a time zone; remove it"},
        {"2023-01-01 12:00 UTC", "has a time zone; remove it"},
        {"2023-01-01 12:00:00.5 Europe/Paris", "has a time zone; remove it"},
        {"2023-01-01Z", "has a time zone; remove it"},
        {"2023-01-01 12:00:00 PM", "is not a time"},
        {"2023-01-01T", "is not a time"},
        {"2023-01-01Tnoon", "is not a time"},
        {"2023-01-01 ", NULL},
        {"", "is empty"},
        {"   ", "is empty"},
        {"01/02/2023", "is not a time; expected YYYY-MM-DD"},
        {"2023-1-5", "is not a time"},
        {"2023-01/05", "is not a time"},
        {"yesterday", "is not a time"},
        {"12.5", "is not a time"},
        {"2023-01-01 12", "is not a time"},
        {"2023-01-01 12:00:00.", "is not a time"},
        {"2023-01-01 12:00:0", "is not a time"},
        {"2023-01-01 12:00:00.1234567890", "is not a time"},
        {"9223372036854775808", "is not a time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ftl_time time;
        ftl_time_kind kind;
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(parse(cases[i].text, &time, &kind, &err), cases[i].message ? FTL_EDATA : FTL_OK);
        if (cases[i].message) CHECK_CONTAINS(err.message, cases[i].message);
    }
    ftl_time time;
    ftl_time_kind kind;
    CHECK_INT(parse("x", &time, &kind, NULL), FTL_EDATA); /* without a place for the message */
}

TEST(every_day_of_four_centuries_is_the_next_of_the_one_before)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    ftl_time time = ftl_time_of((ftl_date){1799, 12, 31});
    for (int year = 1800; year < 2200; year++)
        for (int month = 1; month <= 12; month++) {
            int leap = month == 2 && (year % 4 == 0) && (year % 100 != 0 || year % 400 == 0);
            for (int day = 1; day <= days[month - 1] + leap; day++) {
                ftl_time next = ftl_time_of((ftl_date){year, month, day});
                CHECK_INT(next, time + FTL_DAY);
                ftl_date back = ftl_date_of(next + FTL_DAY - 1);
                CHECK(back.year == year && back.month == month && back.day == day);
                time = next;
            }
        }
}

TEST(dates_carry_over_and_saturate)
{
    CHECK_INT(ftl_time_of((ftl_date){2023, 14, 1}), ftl_time_of((ftl_date){2024, 2, 1}));
    CHECK_INT(ftl_time_of((ftl_date){2024, 2, 30}), ftl_time_of((ftl_date){2024, 3, 1}));
    CHECK_INT(ftl_time_of((ftl_date){2024, 3, 0}), ftl_time_of((ftl_date){2024, 2, 29}));
    CHECK_INT(ftl_time_of((ftl_date){2024, 0, 31}), ftl_time_of((ftl_date){2023, 12, 31}));
    CHECK_INT(ftl_time_of((ftl_date){2024, -11, 1}), ftl_time_of((ftl_date){2023, 1, 1}));
    CHECK(ftl_time_of((ftl_date){2147483647, 2147483647, 2147483647}) == INT64_MAX);
    CHECK(ftl_time_of((ftl_date){-2147483647, -2147483647, -2147483647}) == INT64_MIN);
    char text[FTL_TIME_TEXT_MAX]; /* the longest that can be asked for */
    CHECK(ftl_time_format(INT64_MIN, FTL_TIME_DATETIME, text) < sizeof text);
    CHECK_TEXT(text, "-290308-12-21 19:59:05.224192");
    CHECK(ftl_time_format(INT64_MAX, FTL_TIME_DATETIME, text) < sizeof text);
    CHECK_TEXT(text, "294247-01-10 04:00:54.775807");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_forms_are_read_and_written_back),
        cmocka_unit_test(refusals_say_what_is_wrong),
        cmocka_unit_test(every_day_of_four_centuries_is_the_next_of_the_one_before),
        cmocka_unit_test(dates_carry_over_and_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
