#include "check.h"

#include "base/error.h"

TEST(a_failure_writes_code_and_message)
{
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(fi_fail(&err, FTL_EDATA, "%s:%d: bad", "f.csv", 17), FTL_EDATA);
    CHECK_INT(err.code, FTL_EDATA);
    CHECK_TEXT(err.message, "f.csv:17: bad");
    CHECK_INT(fi_fail(NULL, FTL_EIO, "nobody listens"), FTL_EIO);
    CHECK_INT(fi_fail_memory(&err), FTL_ENOMEM);
    CHECK_TEXT(err.message, "out of memory");
}

TEST(a_prefix_goes_before_the_message)
{
    ftl_error err = {FTL_OK, ""};
    fi_fail(&err, FTL_EDATA, "bad");
    CHECK_INT(fi_fail_prefix(&err, "series '%s'", "a"), FTL_EDATA);
    CHECK_TEXT(err.message, "series 'a': bad");
}

TEST(messages_are_one_line)
{
    ftl_error err;
    fi_fail(&err, FTL_EDATA, "'%s'", "two\nlines\r\tand\x7F\x1B[31m");
    CHECK_TEXT(err.message, "'two lines  and  [31m'");
}

/* Whatever the length, a cut message ends with a whole character. */
TEST(long_messages_are_cut_at_a_character)
{
    static const char *const characters[] = {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t kind = 0; kind < 4; kind++)
        for (size_t shift = 0; shift < 8; shift++) {
            char text[2048] = "";
            size_t width = strlen(characters[kind]), n = shift;
            memset(text, '.', shift);
            while (n + width < sizeof text) memcpy(text + n, characters[kind], width), n += width;
            text[n] = '\0';
            ftl_error err;
            fi_fail(&err, FTL_EDATA, "%s", text);
            size_t length = strlen(err.message);
            CHECK(length < sizeof err.message && length + 4 > sizeof err.message - 1);
            CHECK_INT((length - shift) % width, 0);
            fi_fail_prefix(&err, "%s", "p");
            length = strlen(err.message);
            CHECK_INT((length - 3 - shift) % width, 0);
            fi_fail_prefix(&err, "%s", text);
            CHECK(strlen(err.message) < sizeof err.message);
        }
}

TEST(the_nearest_name_is_found)
{
    static const char *const names[] = {"forecast", "fit", "predict", "plot", "changepoint_prior_scale", "horizon"};
    static const char *const cases[][2] = {
        {"forcast", "forecast"}, {"forecats", "forecast"},
        {"FIT", "fit"},          {"prdict", "predict"},
        {"plto", "plot"},        {"changepoint-prior-scale", "changepoint_prior_scale"},
        {"horizn", "horizon"},   {"change_point_prior_scale", "changepoint_prior_scale"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = fi_nearest(cases[i][0], names, 6);
        CHECK(found);
        CHECK_TEXT(found, cases[i][1]);
    }
    CHECK(fi_nearest("sample", names, 6) == NULL);
    CHECK(fi_nearest("", names, 6) == NULL);
    CHECK(fi_nearest("x", names, 0) == NULL);
    char huge[1000];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    CHECK(fi_nearest(huge, names, 6) == NULL);
}

TEST(every_status_has_its_name)
{
    for (int i = FTL_OK; i <= FTL_EINTERNAL; i++)
        for (int j = FTL_OK; j < i; j++) CHECK(strcmp(ftl_status_name((ftl_status)i), ftl_status_name((ftl_status)j)));
    CHECK_TEXT(ftl_status_name(FTL_EDATA), "data");
    CHECK(strlen(ftl_version()) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_writes_code_and_message),
        cmocka_unit_test(a_prefix_goes_before_the_message),
        cmocka_unit_test(messages_are_one_line),
        cmocka_unit_test(long_messages_are_cut_at_a_character),
        cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(every_status_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
