#include "check.h"

#include "base/json.h"
#include "base/json_reader.h"

static ftl_error err;

static ftl_status skip_all(const char *text, size_t n)
{
    fi_json_reader r = fi_json_read(text, n, "x.json", &err);
    fi_json_skip(&r);
    return fi_json_end(&r);
}

TEST(what_jansson_takes_is_taken_and_what_it_refuses_is_refused)
{
    static const char *const texts[] = {"0",
                                        "-0",
                                        "10",
                                        "01",
                                        "-",
                                        "+1",
                                        "1.",
                                        ".5",
                                        "1.5e3",
                                        "1e",
                                        "1E-2",
                                        "1e+",
                                        "0x1",
                                        "true",
                                        "truex",
                                        "tru",
                                        "null",
                                        "nul",
                                        "false",
                                        "\"\"",
                                        "\"a",
                                        "\"\\u0041\"",
                                        "\"\\u004\"",
                                        "\"\\ud83d\\ude00\"",
                                        "\"\\ud83d\"",
                                        "\"\\ude00\"",
                                        "\"\\ud83d\\u0041\"",
                                        "\"\\q\"",
                                        "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
                                        "\"\t\"",
                                        "\"\xC3\xA9\"",
                                        "\"\xC3\"",
                                        "\"\xC0\x80\"",
                                        "\"\xED\xA0\x80\"",
                                        "\"\xF4\x90\x80\x80\"",
                                        "[]",
                                        "[1]",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "[",
                                        "]",
                                        "[]]",
                                        "{}",
                                        "{\"a\":1}",
                                        "{\"a\":1,}",
                                        "{\"a\"}",
                                        "{a:1}",
                                        "{\"a\":1 \"b\":2}",
                                        "{1:2}",
                                        "{\"a\":}",
                                        "{]",
                                        "[}",
                                        "",
                                        " ",
                                        "\r\n\t 1 \n",
                                        "1 2",
                                        "\v1",
                                        "\xEF\xBB\xBF[1]",
                                        "[[[[]]],{\"a\":[{}]}]",
                                        "{\"a\":{\"b\":[1,\"}\"]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t cut = 0; cut < 2; cut++) {
            const size_t n = strlen(texts[i]) - (cut && *texts[i]);
            json_t *value = NULL;
            const ftl_status expected = fi_json_parse(texts[i], n, "x.json", &value, NULL);
            json_decref(value);
            if (skip_all(texts[i], n) != expected) fail_msg("'%.*s': expected %d", (int)n, texts[i], (int)expected);
        }
    CHECK_INT(skip_all("1\0", 2), FTL_EDATA);
    CHECK_CONTAINS(err.message, "x.json: not valid JSON at byte 1: something follows the end");
}

TEST(values_are_read_in_turn)
{
    static const char text[] =
        " {\"n\" : [0, 18446744073709551615, 18446744073709551616, -1, 1.0], \"\\u0061b\":\"\\u20AC\"} ";
    fi_json_reader r = fi_json_read(text, sizeof text - 1, "x", &err);
    fi_json_text key;
    size_t n;
    char plain[16];
    CHECK(fi_json_peek(&r) == '{');
    fi_json_enter(&r);
    CHECK(fi_json_next(&r, &key) && fi_json_text_is(key, "n") && !fi_json_text_is(key, "N"));
    fi_json_enter(&r);
    CHECK(fi_json_next(&r, &key) && fi_json_get_size(&r, &n) && n == 0);
    CHECK(key.n == 0); /* of an array */
    CHECK(fi_json_next(&r, NULL) && fi_json_get_size(&r, &n) && n == SIZE_MAX);
    for (int i = 0; i < 3; i++) CHECK(fi_json_next(&r, NULL) && !fi_json_get_size(&r, &n) && !r.failed);
    CHECK(!fi_json_next(&r, NULL));
    CHECK(fi_json_next(&r, &key) && fi_json_text_is(key, "ab"));
    CHECK(fi_json_unescape(fi_json_get_string(&r), plain) == 3 && !memcmp(plain, "\xE2\x82\xAC", 3));
    CHECK(!fi_json_next(&r, &key));
    CHECK_INT(fi_json_end(&r), FTL_OK);
}

TEST(failures_stick_and_end_every_loop)
{
    fi_json_reader r = fi_json_read("[1]", 3, "x", &err);
    size_t n;
    CHECK(!fi_json_get_size(&r, &n));
    CHECK_CONTAINS(err.message, "a number is expected");
    fi_json_enter(&r);
    CHECK(!fi_json_next(&r, NULL) && !fi_json_peek(&r) && !fi_json_get_string(&r).n);
    fi_json_skip(&r);
    CHECK_INT(fi_json_end(&r), FTL_EDATA);
    CHECK_CONTAINS(err.message, "a number is expected");
}

TEST(depth_is_limited)
{
    char text[200];
    for (size_t n = 60; n < 70; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);
        CHECK_INT(skip_all(text, 2 * n), n <= 63 ? FTL_OK : FTL_EDATA);
    }
    CHECK_CONTAINS(err.message, "nests too deep");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_jansson_takes_is_taken_and_what_it_refuses_is_refused),
        cmocka_unit_test(values_are_read_in_turn),
        cmocka_unit_test(failures_stick_and_end_every_loop),
        cmocka_unit_test(depth_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
