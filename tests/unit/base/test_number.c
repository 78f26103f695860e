#include "check.h"

#include "base/number.h"
#include "base/rng.h"

#include <locale.h>

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double parse(const char *text)
{
    double value = -12345.678;
    if (!fi_parse_double(text, strlen(text), &value)) fail_msg("'%s' is refused", text);
    return value;
}

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Digits without leading and trailing zeros. */
static int significant_digits(const char *text)
{
    int n = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (n == 0 && *text == '0')) continue;
        n++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

/* The fewest digits of %.*e that read back equal: the shortest length that exists. */
static int fewest_digits(double value)
{
    char text[40];
    for (int n = 1; n < 17; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, value);
        if (same(strtod(text, NULL), value)) return significant_digits(text);
    }
    return 17;
}

static void check_round_trip(double value)
{
    char text[FI_NUMBER_MAX];
    CHECK_INT(fi_format_double(text, value), strlen(text));
    if (!same(strtod(text, NULL), value) || !same(parse(text), value))
        fail_msg("%.17g is written as %s, which reads back as %.17g (strtod: %.17g)", value, text, parse(text),
                 strtod(text, NULL));
}

TEST(written_numbers_look_like_python_repr)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1.0, "1"},
        {-1.0, "-1"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {1.0 / 3.0, "0.3333333333333333"},
        {2.0 / 3.0, "0.6666666666666666"},
        {123.456, "123.456"},
        {1e15, "1000000000000000"},
        {9007199254740991.0, "9007199254740991"},
        {9007199254740992.0, "9007199254740992"},
        {9999999999999998.0, "9999999999999998"},
        {1e16, "1e+16"},
        {12345678901234567000.0, "1.2345678901234567e+19"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {1.5e300, "1.5e+300"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {9.5e-7, "9.5e-07"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {2.225073858507201e-308, "2.225073858507201e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2e-44, "2e-44"},
        {9.109e-31, "9.109e-31"},
        {2251799813685249.5, "2251799813685249.5"},
        {0x1p-1022, "2.2250738585072014e-308"},
        {0x1p1023, "8.98846567431158e+307"},
        {HUGE_VAL, "inf"},
        {-HUGE_VAL, "-inf"},
        {NAN, "nan"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
        {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[FI_NUMBER_MAX];
        CHECK_INT(fi_format_double(text, cases[i].value), strlen(cases[i].text));
        CHECK_TEXT(text, cases[i].text);
    }
}

TEST(random_doubles_are_written_shortest_and_read_back)
{
    fi_rng rng;
    fi_rng_init(&rng, 1, 0, 0);
    for (int i = 0; i < 400000; i++) {
        uint64_t bits = fi_rng_u64(&rng);
        if (i % 4 == 1) bits &= ~UINT64_C(0) << fi_rng_u64(&rng) % 53; /* few bits set */
        if (i % 4 == 2) bits &= (UINT64_C(1) << 52) - 1;               /* subnormal */
        if (i % 4 == 3) bits = (bits & ~(UINT64_C(0x7FF) << 52)) | (1023 - 64 + fi_rng_u64(&rng) % 128) << 52;
        double value = from_bits(bits);
        if (!isfinite(value)) continue;
        check_round_trip(value);
        char text[FI_NUMBER_MAX];
        fi_format_double(text, value);
        if (i % 16 == 0 && significant_digits(text) != fewest_digits(value))
            fail_msg("%s has %d digits, %d are enough", text, significant_digits(text), fewest_digits(value));
    }
}

TEST(powers_and_their_neighbours_round_trip)
{
    for (uint64_t exponent = 0; exponent < 2047; exponent++)
        for (uint64_t fraction = 0; fraction < 3; fraction++) {
            check_round_trip(from_bits(exponent << 52 | fraction));
            check_round_trip(from_bits(exponent << 52 | ((UINT64_C(1) << 52) - 1 - fraction)));
        }
    for (int k = -330; k <= 310; k++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", k);
        CHECK(same(parse(text), strtod(text, NULL)));
        check_round_trip(isfinite(strtod(text, NULL)) ? strtod(text, NULL) : 0.0);
    }
}

TEST(few_digits_are_read_as_strtod_does)
{
    fi_rng rng;
    fi_rng_init(&rng, 42, 0, 0);
    for (int i = 0; i < 400000; i++) {
        char text[64];
        uint64_t r = fi_rng_u64(&rng);
        int digits = 1 + (int)(r % 24), exponent = (int)(fi_rng_u64(&rng) % 700) - 360;
        int n = snprintf(text, sizeof text, "%s", r & 64 ? "-" : "");
        for (int k = 0; k < digits; k++) {
            if (k == (int)(r >> 8) % (digits + 1)) text[n++] = '.';
            text[n++] = (char)('0' + fi_rng_u64(&rng) % 10);
        }
        if (i % 2) n += snprintf(text + n, sizeof text - (size_t)n, "%c%d", r & 128 ? 'e' : 'E', exponent);
        text[n] = '\0';
        if (!same(parse(text), strtod(text, NULL)))
            fail_msg("%s is read as %.17g, strtod has %.17g", text, parse(text), strtod(text, NULL));
    }
}

/* The point halfway between a double and the next one, exactly: 2c+1 halves, written out by long arithmetic. */
TEST(halfway_cases_go_to_even)
{
    fi_rng rng;
    fi_rng_init(&rng, 7, 0, 0);
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = (fi_rng_u64(&rng) >> 12) | (fi_rng_u64(&rng) % 2046) << 52;
        double low = from_bits(bits), high = from_bits(bits + 1);
        long double middle = ((long double)low + (long double)high) / 2.0L; /* 64 bits hold it */
        if (sizeof(long double) < 16) return;
        char text[1200];
        snprintf(text, sizeof text, "%.1100Le", middle);
        char *e = strchr(text, 'e');
        CHECK(same(parse(text), bits & 1 ? high : low));
        e[-1] = '1'; /* one digit more far behind: above the middle */
        CHECK(same(parse(text), high));
        CHECK(same(parse(text), strtod(text, NULL)));
    }
    CHECK(same(parse("9007199254740993"), 9007199254740992.0));
    CHECK(same(parse("9007199254740993.00000000000000000000000000000000000000000000001"), 9007199254740994.0));
    CHECK(same(parse("2.4703282292062327e-324"), 0.0));
    CHECK(same(parse("2.4703282292062328e-324"), 5e-324));
    CHECK(same(parse("2.2250738585072011e-308"), 2.225073858507201e-308));
    CHECK(same(parse("1.7976931348623158e308"), 1.7976931348623157e308));
    CHECK(same(parse("1.7976931348623159e308"), HUGE_VAL));
    CHECK(same(parse("-1e99999999999999999999999"), -HUGE_VAL));
    CHECK(same(parse("1e-99999999999999999999999"), 0.0));
    CHECK(same(parse("0e99999999999999999999999"), 0.0));
    CHECK(same(parse("-0"), -0.0));
}

TEST(long_decimals_are_read_exactly)
{
    enum { N = 5000 };
    static char text[N + 16];
    memset(text, '0', N);
    text[0] = '1';
    snprintf(text + N, 16, "e-%d", N - 1);
    CHECK(same(parse(text), 1.0));
    memset(text, '3', N);
    text[1] = '.';
    text[N] = '\0';
    CHECK(same(parse(text), strtod(text, NULL)));
    memset(text, '0', N);
    text[0] = '0', text[1] = '.', text[N - 1] = '7';
    CHECK(same(parse(text), strtod(text, NULL)));
    snprintf(text + N, 16, "e%d", N - 2);
    CHECK(same(parse(text), 7.0));
}

TEST(spellings)
{
    static const char *const good[] = {"1", "+1", "-1", "1.", ".5", "1.5e3", "1E+3", "1e-3", "0", "007", "1e5"};
    static const char *const bad[] = {"",     " ",        " 1",  "1 ",    ".",    "-",    "+",   "e5",
                                      "1e",   "1e+",      "--1", "1.2.3", "1,5",  "0x10", "1_0", "1f",
                                      "nanx", "infinite", "na",  "+-1",   "1e5.", "in"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) CHECK(same(parse(good[i]), strtod(good[i], NULL)));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value = 5.0;
        if (fi_parse_double(bad[i], strlen(bad[i]), &value)) fail_msg("'%s' is read as %g", bad[i], value);
        CHECK(value == 5.0);
    }
    CHECK(isnan(parse("nan")) && isnan(parse("NaN")) && isnan(parse("-NAN")));
    CHECK(parse("inf") == HUGE_VAL && parse("-Infinity") == -HUGE_VAL && parse("+INF") == HUGE_VAL);
    double value;
    CHECK(fi_parse_double("12345", 3, &value) && value == 123.0); /* no more than n bytes */
    CHECK(!fi_parse_double("1\0", 2, &value));
}

TEST(integers_within_their_range)
{
    int64_t value;
    CHECK(fi_parse_int64("9223372036854775807", 19, &value) && value == INT64_MAX);
    CHECK(fi_parse_int64("-9223372036854775808", 20, &value) && value == INT64_MIN);
    CHECK(fi_parse_int64("+0012", 5, &value) && value == 12);
    CHECK(!fi_parse_int64("9223372036854775808", 19, &value));
    CHECK(!fi_parse_int64("-9223372036854775809", 20, &value));
    CHECK(!fi_parse_int64("18446744073709551617", 20, &value));
    CHECK(!fi_parse_int64("", 0, &value) && !fi_parse_int64("-", 1, &value) && !fi_parse_int64("1.0", 3, &value));
}

TEST(the_locale_does_not_matter)
{
    const char *const comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    for (size_t i = 0; i < sizeof comma / sizeof *comma; i++)
        if (setlocale(LC_ALL, comma[i])) break; /* where none is installed, this is as the others */
    char text[FI_NUMBER_MAX];
    fi_format_double(text, 1234.5);
    CHECK_TEXT(text, "1234.5");
    CHECK(parse("1234.5") == 1234.5);
    CHECK(parse("1234.50000000000000000000000000000000000000000000000001") == 1234.5);
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_numbers_look_like_python_repr),
        cmocka_unit_test(random_doubles_are_written_shortest_and_read_back),
        cmocka_unit_test(powers_and_their_neighbours_round_trip),
        cmocka_unit_test(few_digits_are_read_as_strtod_does),
        cmocka_unit_test(halfway_cases_go_to_even),
        cmocka_unit_test(long_decimals_are_read_exactly),
        cmocka_unit_test(spellings),
        cmocka_unit_test(integers_within_their_range),
        cmocka_unit_test(the_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
