#include "check.h"

#include "base/alloc.h"
#include "base/json.h"

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    ftl_error err;
    if (fi_json_parse(text, strlen(text), "m.json", &value, &err)) fail_msg("%s", err.message);
    return value;
}

static void check_written(json_t *value, const char *expected)
{
    fi_buf buf = {0};
    fi_json_write(value, &buf);
    CHECK(!buf.failed);
    CHECK_TEXT(buf.data, expected);
    fi_buf_release(&buf);
    json_decref(value);
}

TEST(documents_are_written_as_they_were)
{
    static const char *const same[] = {
        "{}",
        "[]",
        "null",
        "true",
        "{\"b\":1,\"a\":[1.5,-2,null,true,false,\"x\"],\"c\":{\"d\":{}}}",
        "[0.1,1e-07,1e+300,1.0,-0.0,5e-324]",
        "\"\xC3\xA9 \\\" \\\\ \\n \\u0001\"",
        "[9007199254740993]",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) check_written(parse(same[i]), same[i]);
}

TEST(what_is_no_json_is_refused_with_its_place)
{
    static const char *const bad[] = {"",      "{",   "[1,]",    "{\"a\":1,\"a\":2}", "{a:1}",
                                      "[1] x", "nan", "[1e999]", "\"\xFF\""};
    json_t *value;
    ftl_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(fi_json_parse(bad[i], strlen(bad[i]), "m.json", &value, &err), FTL_EDATA);
        CHECK(value == NULL);
        CHECK_CONTAINS(err.message, "m.json:");
    }
    CHECK_INT(fi_json_parse("{\n\"a\": ?}", 9, "m.json", &value, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "m.json:2: column ");
    static char deep[100000];
    memset(deep, '[', sizeof deep);
    CHECK_INT(fi_json_parse(deep, sizeof deep, "m.json", &value, &err), FTL_EDATA);
}

TEST(numbers_that_json_lacks_are_null)
{
    static const double values[] = {1.0, NAN, 0.25, INFINITY};
    check_written(fi_json_reals(values, 4), "[1.0,null,0.25,null]");
    check_written(fi_json_real(-INFINITY), "null");
    check_written(fi_json_reals(NULL, 0), "[]");
}

TEST(members_are_got_with_their_type_checked)
{
    json_t *o = parse("{\"r\":1.5,\"i\":7,\"n\":null,\"b\":true,\"t\":\"x\",\"a\":[[1,2.5],[null,4]],\"e\":[]}");
    double real, *reals;
    int64_t integer;
    bool flag;
    const char *text;
    size_t n;
    ftl_error err;
    CHECK_INT(fi_json_get_real(o, "r", &real, &err), FTL_OK);
    CHECK_NEAR(real, 1.5, 0);
    CHECK_INT(fi_json_get_real(o, "i", &real, &err), FTL_OK);
    CHECK_NEAR(real, 7, 0);
    CHECK_INT(fi_json_get_real(o, "n", &real, &err), FTL_OK);
    CHECK(isnan(real));
    CHECK_INT(fi_json_get_int(o, "i", &integer, &err), FTL_OK);
    CHECK_INT(integer, 7);
    CHECK_INT(fi_json_get_bool(o, "b", &flag, &err), FTL_OK);
    CHECK(flag);
    CHECK_INT(fi_json_get_text(o, "t", &text, &err), FTL_OK);
    CHECK_TEXT(text, "x");
    CHECK_INT(fi_json_get_reals(o, "a", &reals, &n, &err), FTL_OK);
    CHECK_INT(n, 4);
    CHECK(reals[0] == 1 && reals[1] == 2.5 && isnan(reals[2]) && reals[3] == 4);
    fi_free(reals);
    CHECK_INT(fi_json_get_reals(o, "e", &reals, &n, &err), FTL_OK);
    CHECK_INT(n, 0);
    fi_free(reals);
    CHECK_INT(fi_json_get_int(o, "r", &integer, &err), FTL_EDATA);
    CHECK_TEXT(err.message, "key 'r': expected an integer, found a real");
    CHECK_INT(fi_json_get_real(o, "absent", &real, &err), FTL_EDATA);
    CHECK_TEXT(err.message, "key 'absent': expected a number, found nothing");
    CHECK_INT(fi_json_get_bool(o, "t", &flag, &err), FTL_EDATA);
    CHECK_INT(fi_json_get_text(o, "b", &text, &err), FTL_EDATA);
    CHECK_INT(fi_json_get_reals(o, "r", &reals, &n, &err), FTL_EDATA);
    CHECK(reals == NULL);
    fi_alloc_fail_after(0);
    CHECK_INT(fi_json_get_reals(o, "a", &reals, &n, &err), FTL_ENOMEM);
    fi_alloc_fail_after(-1);
    CHECK(reals == NULL);
    json_decref(o);
    o = parse("{\"a\":[1,\"x\"]}");
    CHECK_INT(fi_json_get_reals(o, "a", &reals, &n, &err), FTL_EDATA);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_written_as_they_were),
        cmocka_unit_test(what_is_no_json_is_refused_with_its_place),
        cmocka_unit_test(numbers_that_json_lacks_are_null),
        cmocka_unit_test(members_are_got_with_their_type_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
