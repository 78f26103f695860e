#include "series/time.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

#include <string.h>

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar: Hinnant, "chrono-compatible low-level date
 * algorithms". Years run from March, so that the leap day is the last. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

int fi_days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

ftl_date ftl_date_of(ftl_time time)
{
    int64_t z = fi_floor_div(time, FTL_DAY) + 719468, era = fi_floor_div(z, 146097);
    unsigned day_of_era = (unsigned)(z - era * 146097);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned m = (5 * day_of_year + 2) / 153;
    ftl_date date;
    date.day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    date.month = (int)(m < 10 ? m + 3 : m - 9);
    date.year = (int)(era * 400 + year_of_era + (date.month <= 2));
    return date;
}

ftl_time ftl_time_of(ftl_date date)
{
    int64_t months = (int64_t)date.year * 12 + date.month - 1, year = fi_floor_div(months, 12), time;
    int64_t days = days_of(year, (unsigned)(months - year * 12 + 1), 1) + date.day - 1;
    if (__builtin_mul_overflow(days, FTL_DAY, &time)) return days < 0 ? INT64_MIN : INT64_MAX;
    return time;
}

static bool is_digit(char c)
{
    return (unsigned)(c - '0') <= 9;
}

static unsigned two_digits(const char *p)
{
    return (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
}

/* Takes YYYY-MM-DD, YYYY/MM/DD, YYYYMMDD or all of a lone YYYY-MM from text[0, n): its length, or 0. *ok: such a day exists. */
static size_t take_date(const char *p, size_t n, ftl_time *midnight, bool *ok)
{
    if (n < 7) return 0;
    for (int i = 0; i < 4; i++)
        if (!is_digit(p[i])) return 0;
    bool separated = p[4] == '-' || p[4] == '/';
    if (n == 7) { /* a month stands for its first day, as in pandas */
        if (!separated || !is_digit(p[5]) || !is_digit(p[6])) return 0;
        unsigned y = two_digits(p) * 100 + two_digits(p + 2), only_month = two_digits(p + 5);
        *ok = y >= 1 && only_month >= 1 && only_month <= 12;
        if (*ok) *midnight = days_of(y, only_month, 1) * FTL_DAY;
        return n;
    }
    size_t length = separated ? 10 : 8;
    if (n < length || (separated && p[7] != p[4]) || (n > length && is_digit(p[length]))) return 0;
    const char *m = p + 4 + separated, *d = m + 2 + separated;
    if (!is_digit(m[0]) || !is_digit(m[1]) || !is_digit(d[0]) || !is_digit(d[1])) return 0;
    unsigned year = two_digits(p) * 100 + two_digits(p + 2), month = two_digits(m), day = two_digits(d);
    *ok = year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
          (day <= 28 || day <= (unsigned)fi_days_in_month(year, (int)month));
    if (*ok) *midnight = days_of(year, month, day) * FTL_DAY;
    return length;
}

/* Takes HH:MM[:SS[.f{1,9}]] from text[0, n): its length, or 0. *ok: such a time of day exists, in microseconds. */
static size_t take_clock(const char *p, size_t n, int64_t *clock, bool *ok)
{
    if (n < 5 || !is_digit(p[0]) || !is_digit(p[1]) || p[2] != ':' || !is_digit(p[3]) || !is_digit(p[4])) return 0;
    unsigned hour = two_digits(p), minute = two_digits(p + 3), second = 0;
    int64_t micros = 0, unit = FTL_SECOND / 10;
    size_t at = 5;
    *ok = true;
    if (n >= 8 && p[5] == ':' && is_digit(p[6]) && is_digit(p[7])) {
        second = two_digits(p + 6);
        at = 8;
        if (n > 9 && p[8] == '.' && is_digit(p[9])) {
            for (at = 9; at < n && at < 18 && is_digit(p[at]); at++, unit /= 10) {
                micros += unit * (p[at] - '0');
                if (unit == 0 && p[at] != '0') *ok = false;
            }
        }
    }
    *ok = *ok && hour < 24 && minute < 60 && second < 60;
    *clock = ((int64_t)hour * 3600 + minute * 60 + second) * FTL_SECOND + micros;
    return at;
}

/* After a date and time: does text[0, n) look like a time zone (Z, UTC, +01:00, -0530, Europe/Paris)? */
static bool looks_like_zone(const char *p, size_t n)
{
    while (n && *p == ' ') p++, n--;
    if (n == 0 || *p == 'T' || (n == 2 && (p[1] | 0x20) == 'm')) return false; /* no time of day, AM, PM */
    if (*p == '+' || *p == '-') return n >= 3 && is_digit(p[1]) && is_digit(p[2]);
    for (size_t i = 0; i < n; i++)
        if (!((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z') && !(i && strchr("/_+-0123456789", p[i]))) return false;
    return true;
}

static ftl_status bad_time(const char *text, size_t n, const char *why, ftl_error *err)
{
    char excerpt[FI_EXCERPT_MAX];
    return fi_fail(err, FTL_EDATA, "'%s' %s", fi_excerpt(text, n, excerpt), why);
}

static const char not_a_time[] = "is not a time; expected YYYY-MM-DD, YYYY-MM-DD HH:MM:SS or a whole number";

ftl_status ftl_time_parse(const char *text, size_t n, ftl_time *out, ftl_time_kind *kind, ftl_error *err)
{
    while (n && (*text == ' ' || *text == '\t')) text++, n--;
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
    ftl_time midnight = 0;
    int64_t clock = 0;
    bool date_ok = false, clock_ok = false;
    size_t at = take_date(text, n, &midnight, &date_ok);
    if (at == n && n == 8) { /* eight digits: a date where they make one of these centuries */
        unsigned century = two_digits(text);
        if (date_ok && century >= 18 && century <= 22) return *out = midnight, *kind = FTL_TIME_DATE, FTL_OK;
        at = 0;
    }
    if (at == 0) {
        int64_t index;
        if (fi_parse_int64(text, n, &index)) return *out = index, *kind = FTL_TIME_INDEX, FTL_OK;
        return bad_time(text, n, n ? not_a_time : "is empty; expected a time", err);
    }
    if (!date_ok) return bad_time(text, n, "is not a date of the calendar; years run from 1 to 9999", err);
    if (at == n) return *out = midnight, *kind = FTL_TIME_DATE, FTL_OK;
    if (text[at] == 'T' || text[at] == 't' || text[at] == ' ') {
        size_t length = take_clock(text + at + 1, n - at - 1, &clock, &clock_ok);
        if (length) {
            at += 1 + length;
            if (!clock_ok) return bad_time(text, n, "is not a time of day, or is finer than a microsecond", err);
            if (at == n) return *out = midnight + clock, *kind = FTL_TIME_DATETIME, FTL_OK;
        }
    }
    if (looks_like_zone(text + at, n - at))
        return bad_time(text, n, "has a time zone; remove it, after converting all times to one zone", err);
    return bad_time(text, n, not_a_time, err);
}

static char *put_two(char *p, int64_t value)
{
    p[0] = (char)('0' + value / 10);
    p[1] = (char)('0' + value % 10);
    return p + 2;
}

size_t ftl_time_format(ftl_time time, ftl_time_kind kind, char *out)
{
    char digits[24], *p = out;
    if (kind == FTL_TIME_INDEX) {
        uint64_t size = time < 0 ? 0 - (uint64_t)time : (uint64_t)time;
        int n = 0;
        do digits[n++] = (char)('0' + size % 10);
        while (size /= 10);
        if (time < 0) *p++ = '-';
        while (n) *p++ = digits[--n];
        *p = '\0';
        return (size_t)(p - out);
    }
    ftl_date date = ftl_date_of(time);
    int64_t year = date.year;
    if (year < 0) *p++ = '-', year = -year;
    int n = 0;
    do digits[n++] = (char)('0' + year % 10);
    while ((year /= 10) || n < 4);
    while (n) *p++ = digits[--n];
    *p++ = '-';
    p = put_two(p, date.month);
    *p++ = '-';
    p = put_two(p, date.day);
    if (kind == FTL_TIME_DATETIME) {
        int64_t clock = fi_clock_of(time), seconds = clock / FTL_SECOND, micros = clock % FTL_SECOND;
        *p++ = ' ';
        p = put_two(p, seconds / 3600);
        *p++ = ':';
        p = put_two(p, seconds / 60 % 60);
        *p++ = ':';
        p = put_two(p, seconds % 60);
        if (micros) *p++ = '.';
        for (int64_t unit = FTL_SECOND / 10; micros; unit /= 10) {
            *p++ = (char)('0' + micros / unit);
            micros %= unit;
        }
    }
    *p = '\0';
    return (size_t)(p - out);
}
