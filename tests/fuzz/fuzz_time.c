/* Any text as a time, a frequency and a number: what is accepted reads back the same after it is written. */
#include "base/number.h"

#include <foretell/calendar.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static void check_time(const char *text, size_t n)
{
    ftl_time time, again;
    ftl_time_kind kind, kind_again;
    ftl_error err = {FTL_OK, ""};
    char out[FTL_TIME_TEXT_MAX];
    if (ftl_time_parse(text, n, &time, &kind, &err)) {
        REQUIRE(err.code == FTL_EDATA && err.message[0]);
        return;
    }
    size_t length = ftl_time_format(time, kind, out);
    REQUIRE(length == strlen(out) && length < sizeof out);
    if (kind == FTL_TIME_INDEX && length == 8) return; /* "+20240101" is an index, "20240101" a date */
    REQUIRE(!ftl_time_parse(out, length, &again, &kind_again, NULL) && again == time && kind_again == kind);
}

static void check_freq(const char *text, size_t n)
{
    char copy[64], out[32];
    ftl_freq freq, again;
    ftl_time next[4];
    if (n >= sizeof copy) return;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (ftl_freq_parse(copy, &freq, NULL)) return;
    REQUIRE(ftl_freq_format(&freq, out) == strlen(out));
    REQUIRE(!ftl_freq_parse(out, &again, NULL));
    REQUIRE(again.unit == freq.unit && again.multiple == freq.multiple && again.anchor == freq.anchor);
    REQUIRE(ftl_freq_season(&freq) >= 1);
    ftl_time last = (ftl_time)n * 12345678901234;
    if (!ftl_freq_after(&freq, last, 4, next, NULL))
        REQUIRE(last < next[0] && next[0] < next[1] && next[1] < next[2] && next[2] < next[3]);
}

static void check_number(const char *text, size_t n)
{
    double value, again;
    char out[FI_NUMBER_MAX];
    int64_t integer;
    if (!fi_parse_double(text, n, &value)) {
        REQUIRE(!fi_parse_int64(text, n, &integer));
        return;
    }
    size_t length = fi_format_double(out, value);
    REQUIRE(length == strlen(out) && length < sizeof out && fi_parse_double(out, length, &again));
    REQUIRE(isnan(value) ? isnan(again) : memcmp(&value, &again, sizeof value) == 0);
    if (fi_parse_int64(text, n, &integer)) REQUIRE(value == (double)integer);
    char *copy = malloc(n + 1), *end; /* strtod as the oracle, in the C locale that the fuzzer runs in */
    REQUIRE(copy);
    memcpy(copy, text, n);
    copy[n] = '\0';
    double expected = strtod(copy, &end);
    REQUIRE(end == copy + n && (isnan(value) ? isnan(expected) : memcmp(&value, &expected, sizeof value) == 0));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    check_time(text, size);
    check_freq(text, size);
    check_number(text, size);
    return 0;
}
