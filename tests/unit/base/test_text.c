#include "check.h"

#include "base/error.h"
#include "base/text.h"

TEST(utf8_is_told_from_what_is_not)
{
    static const char *const good[] = {"",
                                       "abc",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "a\xC3\xA9z"};
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC3",
                                      "\xC3(",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xE2\x82",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "a\xE9"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) CHECK(fi_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!fi_utf8_valid(bad[i], strlen(bad[i])));
    CHECK(!fi_utf8_valid("a\0b", 3));
    CHECK_INT(fi_utf8_char("\xE2\x82\xAC!", 4), 3);
    CHECK_INT(fi_utf8_char("\xE2\x82\xAC!", 2), 0);
}

TEST(an_ending_is_found_at_the_end_only)
{
    CHECK(fi_text_ends("a.json", ".json") && fi_text_ends(".json", ".json") && fi_text_ends("a", ""));
    CHECK(!fi_text_ends("json", ".json") && !fi_text_ends("a.json.gz", ".json") && !fi_text_ends("", "a"));
}

TEST(excerpts_are_short_and_valid)
{
    char out[FI_EXCERPT_MAX], text[400];
    CHECK_TEXT(fi_excerpt("abc", 3, out), "abc");
    CHECK_TEXT(fi_excerpt("abc", 2, out), "ab");
    CHECK_TEXT(fi_excerpt("a\0\xFFz", 4, out), "a??z");
    CHECK_TEXT(fi_excerpt("", 0, out), "");
    for (size_t shift = 0; shift < 8; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 <= sizeof text; i += 4) memcpy(text + i, "\xF0\x9F\x98\x80", 4);
        fi_excerpt(text, shift + 360, out);
        CHECK(strlen(out) < sizeof out && strlen(out) > 57);
        CHECK(fi_utf8_valid(out, strlen(out)));
        CHECK_TEXT(out + strlen(out) - 3, "...");
    }
    memset(text, 'x', 60);
    CHECK_INT(strlen(fi_excerpt(text, 60, out)), 60);
    CHECK_INT(strlen(fi_excerpt(text, 61, out)), 63);
}

TEST(messages_are_utf8_whatever_they_hold)
{
    ftl_error err;
    fi_fail(&err, FTL_EDATA, "'%s' and '%s'", "\xE9t\xE9", "\xC3\xA9");
    CHECK_TEXT(err.message, "'?t?' and '\xC3\xA9'");
    char junk[2000];
    for (size_t i = 0; i < sizeof junk - 1; i++) junk[i] = (char)(i * 7 % 255 + 1);
    junk[sizeof junk - 1] = '\0';
    fi_fail(&err, FTL_EDATA, "%s", junk);
    CHECK(fi_utf8_valid(err.message, strlen(err.message)));
    fi_fail_prefix(&err, "%s", junk + 3);
    CHECK(fi_utf8_valid(err.message, strlen(err.message)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_told_from_what_is_not),
        cmocka_unit_test(an_ending_is_found_at_the_end_only),
        cmocka_unit_test(excerpts_are_short_and_valid),
        cmocka_unit_test(messages_are_utf8_whatever_they_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
