#include "check.h"

#include <foretell/calendar.h>

enum { MAX_TIMES = 64 };

static ftl_time time_of(const char *text)
{
    ftl_time time = 0;
    ftl_time_kind kind;
    ftl_error err = {FTL_OK, ""};
    if (ftl_time_parse(text, strlen(text), &time, &kind, &err)) fail_msg("%s", err.message);
    return time;
}

static ftl_freq freq_of(const char *text)
{
    ftl_freq freq = {FTL_FREQ_INDEX, 0, 0};
    ftl_error err = {FTL_OK, ""};
    if (ftl_freq_parse(text, &freq, &err)) fail_msg("%s", err.message);
    return freq;
}

static const char *name_of(const ftl_freq *freq)
{
    static char text[32];
    CHECK_INT(ftl_freq_format(freq, text), strlen(text));
    return text;
}

/* Reads a fixture line by line, splitting it into three fields. */
static size_t for_each_line(const char *file, void (*check)(const char *freq, const char *last, char *rest))
{
    char path[512], line[1024];
    snprintf(path, sizeof path, "%s/series/%s", FTL_TEST_DATA, file);
    FILE *in = fopen(path, "r");
    CHECK(in);
    size_t n = 0;
    CHECK(fgets(line, sizeof line, in)); /* header */
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        char *last = strchr(line, ',');
        *last++ = '\0';
        char *rest = strchr(last, ',');
        *rest++ = '\0';
        check(line, last, rest);
        n++;
    }
    fclose(in);
    return n;
}

static void check_next(const char *name, const char *last, char *next)
{
    ftl_freq freq = freq_of(name);
    ftl_time out[5];
    ftl_error err = {FTL_OK, ""};
    if (ftl_freq_after(&freq, time_of(last), 5, out, &err)) fail_msg("%s after %s: %s", name, last, err.message);
    size_t i = 0;
    for (char *save, *text = strtok_r(next, " ", &save); text; text = strtok_r(NULL, " ", &save), i++)
        if (out[i] != time_of(text)) {
            char ours[FTL_TIME_TEXT_MAX];
            ftl_time_format(out[i], FTL_TIME_DATETIME, ours);
            fail_msg("%s after %s: time %zu is %s, pandas has %s", name, last, i + 1, ours, text);
        }
    CHECK_INT(i, 5);
}

TEST(future_times_are_those_of_pandas_date_range)
{
    CHECK(for_each_line("date_range.csv", check_next) > 700);
}

/* Quarters three months apart are the same quarters. */
static bool same_freq(const ftl_freq *a, const ftl_freq *b)
{
    bool quarters = a->unit == FTL_FREQ_QUARTER_START || a->unit == FTL_FREQ_QUARTER_END;
    return a->unit == b->unit && a->multiple == b->multiple &&
           (quarters ? (a->anchor - b->anchor) % 3 == 0 : a->anchor == b->anchor);
}

static void check_inferred(const char *name, const char *last, char *inferred)
{
    ftl_freq freq = freq_of(name), ours;
    ftl_time times[12];
    CHECK_INT(ftl_freq_after(&freq, time_of(last), 12, times, NULL), FTL_OK);
    CHECK_INT(ftl_freq_infer(times, 12, FTL_TIME_DATE, &ours, NULL), FTL_OK);
    if (!*inferred) return; /* pandas finds none */
    ftl_freq theirs = freq_of(inferred);
    if (!same_freq(&ours, &theirs))
        fail_msg("%s from %s: inferred %s, pandas %s", name, last, name_of(&ours), inferred);
}

TEST(inference_without_gaps_agrees_with_pandas)
{
    CHECK(for_each_line("infer_freq.csv", check_inferred) > 200);
}

TEST(old_spellings_mean_the_new_ones)
{
    static const char *const pairs[][2] = {
        {"S", "s"},          {"T", "min"},        {"H", "h"},          {"L", "ms"},          {"U", "us"},
        {"M", "ME"},         {"Q", "QE-DEC"},     {"Q-FEB", "QE-FEB"}, {"A", "YE-DEC"},      {"Y", "YE-DEC"},
        {"A-JUN", "YE-JUN"}, {"Y-JUN", "YE-JUN"}, {"AS", "YS-JAN"},    {"AS-APR", "YS-APR"}, {"W", "W-SUN"},
        {"QS", "QS-JAN"},    {"15T", "15min"},    {"60min", "h"},      {"24h", "D"},         {"36h", "36h"},
        {"2D", "2D"},        {"1D", "D"},         {"3MS", "3MS"},      {"2W-FRI", "2W-FRI"}, {"B", "B"},
        {"1", "1"},          {"7", "7"},          {"1000ms", "s"},     {"1500us", "1500us"}, {"90s", "90s"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ftl_freq freq = freq_of(pairs[i][0]);
        CHECK_TEXT(name_of(&freq), pairs[i][1]);
        ftl_freq again = freq_of(pairs[i][1]);
        CHECK(same_freq(&freq, &again));
    }
}

TEST(unknown_names_are_refused_with_the_nearest)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "BAS",
                                      "D-MON",
                                      "W-JAN",
                                      "MS-JAN",
                                      "QS-MON",
                                      "YE-XXX",
                                      "0D",
                                      "-1D",
                                      "1.5h",
                                      "W-",
                                      "D ",
                                      "BME",
                                      "SMS",
                                      "1h30min",
                                      "99999999999999999999D",
                                      "9999999999999D"};
    ftl_error err;
    ftl_freq freq;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(ftl_freq_parse(bad[i], &freq, &err), FTL_EINVAL);
        CHECK(strlen(err.message) > 20);
    }
    ftl_freq_parse("mins", &freq, &err);
    CHECK_CONTAINS(err.message, "did you mean min?");
    CHECK_CONTAINS(err.message, "W-MON");
}

static void check_infer(const char *text, ftl_time_kind kind, const char *expected)
{
    ftl_time times[MAX_TIMES];
    char copy[1024];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *save, *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save)) times[n++] = time_of(p);
    ftl_freq freq;
    ftl_error err = {FTL_OK, ""};
    if (ftl_freq_infer(times, n, kind, &freq, &err)) fail_msg("%s: %s", text, err.message);
    if (strcmp(name_of(&freq), expected)) fail_msg("%s: inferred %s, expected %s", text, name_of(&freq), expected);
}

TEST(inference_sees_through_gaps)
{
    static const struct {
        const char *times, *freq;
    } cases[] = {
        {"2020-01-01 2020-02-01 2020-05-01 2020-06-01", "MS"}, /* months missing */
        {"2019-11-30 2020-02-29 2020-03-31 2020-06-30", "ME"}, /* ends on 28..31 */
        {"2020-04-30 2020-06-30 2020-09-30 2020-11-30", "ME"}, /* only ends on the 30th */
        {"2020-01-01 2020-07-01 2020-10-01", "QS-JAN"},        /* a quarter missing */
        {"2020-02-29 2020-05-31 2020-11-30", "QE-NOV"},        /* quarter ends of another year */
        {"2015-04-01 2016-04-01 2018-04-01", "YS-APR"},        /* a year missing */
        {"2015-12-31 2016-12-31 2019-12-31", "YE-DEC"},
        {"2020-01-01 2022-01-01 2026-01-01", "2YS-JAN"},             /* biennial */
        {"2024-01-05 2024-01-12 2024-02-02", "W-FRI"},               /* weeks missing */
        {"2024-01-01 2024-01-02 2024-01-03", "D"},                   /* weekdays, but no weekend between */
        {"2024-01-04 2024-01-05 2024-01-08 2024-01-10", "B"},        /* a weekend and a holiday missing */
        {"2024-01-04 2024-01-06 2024-01-08 2024-01-09", "D"},        /* a Saturday: days with gaps */
        {"2024-01-01T00:00 2024-01-01T01:00 2024-01-01T03:00", "h"}, /* an hour missing */
        {"2024-01-01T00:05 2024-01-01T00:10 2024-01-01T00:25 2024-01-02", "5min"},
        {"2024-01-01T06:00 2024-02-01T06:00 2024-03-01T06:00", "MS"},    /* the time of day stays */
        {"2024-01-01T06:00 2024-02-01T06:00 2024-03-01T07:00", "h"},     /* it does not */
        {"2024-01-01 2024-01-01 2024-01-02 2024-01-02 2024-01-03", "D"}, /* duplicates */
        {"1969-12-28 1970-01-04", "W-SUN"},                              /* across the epoch */
        {"2024-01-01T00:00:00.25 2024-01-01T00:00:00.5 2024-01-01T00:00:01", "250ms"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_infer(cases[i].times, FTL_TIME_DATETIME, cases[i].freq);
    check_infer("1 2 3 7", FTL_TIME_INDEX, "1");
    check_infer("10 30 50 110", FTL_TIME_INDEX, "20");
    check_infer("-9223372036854775807 0", FTL_TIME_INDEX, "9223372036854775807");
}

TEST(inference_needs_two_different_times)
{
    ftl_error err;
    ftl_freq freq;
    const ftl_time same[3] = {5, 5, 5}, down[2] = {2, 1}, far[2] = {INT64_MIN, INT64_MAX};
    CHECK_INT(ftl_freq_infer(same, 0, FTL_TIME_DATE, &freq, &err), FTL_EDATA);
    CHECK_INT(ftl_freq_infer(same, 1, FTL_TIME_DATE, &freq, &err), FTL_EDATA);
    CHECK_INT(ftl_freq_infer(same, 3, FTL_TIME_DATE, &freq, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "fewer than 2 different times");
    CHECK_INT(ftl_freq_infer(down, 2, FTL_TIME_DATE, &freq, &err), FTL_EINVAL);
    CHECK_INT(ftl_freq_infer(far, 2, FTL_TIME_INDEX, &freq, &err), FTL_EDATA);
}

TEST(stepping_stops_at_the_ends_of_time)
{
    ftl_error err;
    ftl_time out[4];
    static const char *const names[] = {
        "D", "B", "W-MON", "ME", "QS", "YE", "us", "1000000000YS", "9000000000000000000MS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ftl_freq freq = freq_of(names[i]);
        CHECK_INT(ftl_freq_after(&freq, time_of("9999-12-31T23:59:59.999998"), 4, out, &err), FTL_ENUMERIC);
        CHECK_CONTAINS(err.message, "9999");
        CHECK_INT(ftl_freq_after(&freq, INT64_MAX, 1, out, &err), FTL_ENUMERIC);
        CHECK_INT(ftl_freq_after(&freq, INT64_MIN, 1, out, &err), FTL_ENUMERIC);
        CHECK_INT(ftl_freq_after(&freq, 0, 0, out, &err), FTL_OK);
    }
    ftl_freq index = freq_of("5");
    CHECK_INT(ftl_freq_after(&index, INT64_MAX - 11, 2, out, &err), FTL_OK);
    CHECK(out[1] == INT64_MAX - 1);
    CHECK_INT(ftl_freq_after(&index, INT64_MAX - 11, 3, out, &err), FTL_ENUMERIC);
    ftl_freq bad = {FTL_FREQ_WEEK, 1, 7}, zero = {FTL_FREQ_TICK, 0, 0};
    CHECK_INT(ftl_freq_after(&bad, 0, 1, out, &err), FTL_EINVAL);
    CHECK_INT(ftl_freq_after(&zero, 0, 1, out, &err), FTL_EINVAL);
    ftl_freq day = freq_of("D"), month = freq_of("ME");
    CHECK_INT(ftl_freq_after(&day, time_of("0001-01-01"), 1, out, &err), FTL_OK);
    CHECK(out[0] == time_of("0001-01-02"));
    CHECK_INT(ftl_freq_after(&month, time_of("9999-11-30"), 1, out, &err), FTL_OK);
    CHECK(out[0] == time_of("9999-12-31"));
}

TEST(seasons_are_the_usual_ones)
{
    static const struct {
        const char *freq;
        size_t season;
    } cases[] = {{"MS", 12},  {"ME", 12},    {"QS", 4},     {"YE", 1},   {"W-MON", 1}, {"B", 5},   {"D", 7},
                 {"h", 24},   {"30min", 48}, {"min", 1440}, {"s", 3600}, {"2MS", 6},   {"5MS", 1}, {"2D", 1},
                 {"7min", 1}, {"2h", 12},    {"ms", 1},     {"1", 1},    {"3QE", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ftl_freq freq = freq_of(cases[i].freq);
        CHECK_INT(ftl_freq_season(&freq), cases[i].season);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(future_times_are_those_of_pandas_date_range),
        cmocka_unit_test(inference_without_gaps_agrees_with_pandas),
        cmocka_unit_test(old_spellings_mean_the_new_ones),
        cmocka_unit_test(unknown_names_are_refused_with_the_nearest),
        cmocka_unit_test(inference_sees_through_gaps),
        cmocka_unit_test(inference_needs_two_different_times),
        cmocka_unit_test(stepping_stops_at_the_ends_of_time),
        cmocka_unit_test(seasons_are_the_usual_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
