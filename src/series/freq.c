/* Frequencies as pandas names and steps them: pandas 3.1, tseries/offsets and date_range. */
#include "base/error.h"
#include "base/number.h"
#include "series/time.h"

#include <stdio.h>
#include <string.h>

typedef struct unit_name {
    const char *name;
    ftl_freq_unit unit;
    int64_t multiple; /* microseconds of a tick */
    int anchor;       /* what the bare name means */
} unit_name;

/* Current names first within a unit: they are the ones written. */
static const unit_name names[] = {
    {"us", FTL_FREQ_TICK, 1, 0},
    {"ms", FTL_FREQ_TICK, 1000, 0},
    {"s", FTL_FREQ_TICK, FTL_SECOND, 0},
    {"min", FTL_FREQ_TICK, 60 * FTL_SECOND, 0},
    {"h", FTL_FREQ_TICK, 3600 * FTL_SECOND, 0},
    {"D", FTL_FREQ_TICK, FTL_DAY, 0},
    {"B", FTL_FREQ_BUSINESS_DAY, 1, 0},
    {"W", FTL_FREQ_WEEK, 1, 6},
    {"MS", FTL_FREQ_MONTH_START, 1, 0},
    {"ME", FTL_FREQ_MONTH_END, 1, 0},
    {"QS", FTL_FREQ_QUARTER_START, 1, 1},
    {"QE", FTL_FREQ_QUARTER_END, 1, 12},
    {"YS", FTL_FREQ_YEAR_START, 1, 1},
    {"YE", FTL_FREQ_YEAR_END, 1, 12},
    {"U", FTL_FREQ_TICK, 1, 0},
    {"L", FTL_FREQ_TICK, 1000, 0},
    {"S", FTL_FREQ_TICK, FTL_SECOND, 0},
    {"T", FTL_FREQ_TICK, 60 * FTL_SECOND, 0},
    {"H", FTL_FREQ_TICK, 3600 * FTL_SECOND, 0},
    {"M", FTL_FREQ_MONTH_END, 1, 0},
    {"Q", FTL_FREQ_QUARTER_END, 1, 12},
    {"AS", FTL_FREQ_YEAR_START, 1, 1},
    {"A", FTL_FREQ_YEAR_END, 1, 12},
    {"Y", FTL_FREQ_YEAR_END, 1, 12},
};
enum { N_NAMES = sizeof names / sizeof *names };

static const char *const weekdays[] = {"MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"};
static const char *const months[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                     "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};

/* Months between the anchors of a unit; 0 where it does not count months. */
static int months_of(ftl_freq_unit unit)
{
    switch (unit) {
    case FTL_FREQ_MONTH_START:
    case FTL_FREQ_MONTH_END: return 1;
    case FTL_FREQ_QUARTER_START:
    case FTL_FREQ_QUARTER_END: return 3;
    case FTL_FREQ_YEAR_START:
    case FTL_FREQ_YEAR_END: return 12;
    default: return 0;
    }
}

static bool at_month_end(ftl_freq_unit unit)
{
    return unit == FTL_FREQ_MONTH_END || unit == FTL_FREQ_QUARTER_END || unit == FTL_FREQ_YEAR_END;
}

static ftl_status unknown(const char *text, const char *name, ftl_error *err)
{
    const char *known[N_NAMES];
    for (size_t i = 0; i < N_NAMES; i++) known[i] = names[i].name;
    const char *nearest = fi_nearest(name, known, N_NAMES);
    return fi_fail(err, FTL_EINVAL,
                   "frequency '%.40s' is not known%s%s%s; it is an optional multiple and one of us ms s min h D B W "
                   "W-MON MS ME QS QS-FEB QE QE-NOV YS YS-APR YE YE-JUN, or a whole number for an indexed series",
                   text, nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
}

/* The part after '-': a weekday of W, a month of quarters and years. */
static bool parse_anchor(const char *text, ftl_freq *freq)
{
    bool week = freq->unit == FTL_FREQ_WEEK;
    if (!week && months_of(freq->unit) < 3) return false;
    const char *const *list = week ? weekdays : months;
    for (int i = 0; i < (week ? 7 : 12); i++)
        if (strcmp(text, list[i]) == 0) {
            freq->anchor = week ? i : i + 1;
            return true;
        }
    return false;
}

ftl_status ftl_freq_parse(const char *text, ftl_freq *out, ftl_error *err)
{
    size_t digits = strspn(text, "0123456789");
    const char *name = text + digits, *dash = strchr(name, '-');
    size_t length = dash ? (size_t)(dash - name) : strlen(name);
    int64_t multiple = 1;
    if (digits && (!fi_parse_int64(text, digits, &multiple) || multiple < 1))
        return fi_fail(err, FTL_EINVAL, "frequency '%.40s': its multiple must be a whole number from 1", text);
    ftl_freq freq = {FTL_FREQ_INDEX, 1, 0};
    bool found = digits && *name == '\0';
    for (size_t i = 0; i < N_NAMES && !found; i++) {
        if (strlen(names[i].name) != length || strncmp(name, names[i].name, length)) continue;
        freq = (ftl_freq){names[i].unit, names[i].multiple, names[i].anchor};
        if (dash && !parse_anchor(dash + 1, &freq)) break;
        found = true;
    }
    if (!found) return unknown(text, name, err);
    if (__builtin_mul_overflow(freq.multiple, multiple, &freq.multiple))
        return fi_fail(err, FTL_EINVAL, "frequency '%.40s': its multiple is too large", text);
    *out = freq;
    return FTL_OK;
}

size_t ftl_freq_format(const ftl_freq *freq, char *out)
{
    const unit_name *unit = NULL;
    for (size_t i = 0; i < N_NAMES; i++) {
        if (names[i].unit != freq->unit) continue;
        if (freq->unit == FTL_FREQ_TICK && (freq->multiple % names[i].multiple || i >= 6)) continue;
        unit = &names[i]; /* of the ticks the coarsest that divides */
        if (freq->unit != FTL_FREQ_TICK) break;
    }
    int64_t multiple = unit ? freq->multiple / unit->multiple : freq->multiple;
    int n = unit && multiple == 1 ? 0 : snprintf(out, 32, "%lld", (long long)multiple);
    n += snprintf(out + n, 32 - (size_t)n, "%s", unit ? unit->name : "");
    if (freq->unit == FTL_FREQ_WEEK && freq->anchor >= 0 && freq->anchor < 7)
        n += snprintf(out + n, 32 - (size_t)n, "-%s", weekdays[freq->anchor]);
    else if (months_of(freq->unit) > 1 && freq->anchor >= 1 && freq->anchor <= 12)
        n += snprintf(out + n, 32 - (size_t)n, "-%s", months[freq->anchor - 1]);
    return (size_t)n;
}

size_t ftl_freq_season(const ftl_freq *freq)
{
    int64_t season = 1;
    switch (freq->unit) {
    case FTL_FREQ_INDEX: return 1;
    case FTL_FREQ_TICK:
        if (freq->multiple >= FTL_DAY)
            season = freq->multiple == FTL_DAY ? 7 : 1;
        else if (freq->multiple >= 60 * FTL_SECOND)
            season = FTL_DAY % freq->multiple ? 1 : FTL_DAY / freq->multiple;
        else if (freq->multiple >= FTL_SECOND)
            season = 3600 * FTL_SECOND % freq->multiple ? 1 : 3600 * FTL_SECOND / freq->multiple;
        return (size_t)season;
    case FTL_FREQ_BUSINESS_DAY: season = 5; break;
    case FTL_FREQ_WEEK: season = 1; break; /* 52.18 weeks are no whole season */
    default: season = 12 / months_of(freq->unit);
    }
    return season % freq->multiple ? 1 : (size_t)(season / freq->multiple);
}

/* ---- future times ---- */

/* Monday = 0 */
static int64_t weekday_of(int64_t day)
{
    return day + 3 - fi_floor_div(day + 3, 7) * 7;
}

/* The number of the first anchor not before `time`: months since year 0, weeks, business days, or microseconds. */
static int64_t first_anchor(const ftl_freq *freq, ftl_time time)
{
    int64_t day = fi_floor_div(time, FTL_DAY), weekday = weekday_of(day), monday = (day - weekday + 3) / 7;
    int period = months_of(freq->unit);
    if (period) {
        ftl_date date = ftl_date_of(time);
        int64_t month = (int64_t)date.year * 12 + date.month - 1;
        if (!at_month_end(freq->unit) && date.day > 1) month++;
        int64_t missing = (freq->anchor - 1 - month) % period;
        return month + (missing < 0 ? missing + period : missing);
    }
    switch (freq->unit) {
    case FTL_FREQ_WEEK: return monday + (weekday > freq->anchor);
    case FTL_FREQ_BUSINESS_DAY: return monday * 5 + (weekday < 5 ? weekday : 5);
    default: return time;
    }
}

/* Midnight (or, for ticks, the time) of anchor number `at`. */
static ftl_time time_of_anchor(const ftl_freq *freq, int64_t at)
{
    if (months_of(freq->unit)) {
        int64_t year = fi_floor_div(at, 12);
        int month = (int)(at - year * 12) + 1;
        return ftl_time_of((ftl_date){(int)year, month, at_month_end(freq->unit) ? fi_days_in_month(year, month) : 1});
    }
    switch (freq->unit) {
    case FTL_FREQ_WEEK: return (at * 7 - 3 + freq->anchor) * FTL_DAY;
    case FTL_FREQ_BUSINESS_DAY: return (fi_floor_div(at, 5) * 7 - 3 + at - fi_floor_div(at, 5) * 5) * FTL_DAY;
    default: return at;
    }
}

static bool valid(const ftl_freq *freq)
{
    if (freq->multiple < 1 || freq->unit < FTL_FREQ_INDEX || freq->unit > FTL_FREQ_YEAR_END) return false;
    if (freq->unit == FTL_FREQ_WEEK) return freq->anchor >= 0 && freq->anchor < 7;
    return months_of(freq->unit) < 3 || (freq->anchor >= 1 && freq->anchor <= 12);
}

ftl_status ftl_freq_after(const ftl_freq *freq, ftl_time last, size_t n, ftl_time *out, ftl_error *err)
{
    if (!valid(freq))
        return fi_fail(err, FTL_EINVAL, "the frequency has a multiple below 1, or an anchor that does not exist");
    bool calendar = freq->unit != FTL_FREQ_INDEX, anchored = calendar && freq->unit != FTL_FREQ_TICK;
    const ftl_time end = ftl_time_of((ftl_date){10000, 1, 1}), begin = ftl_time_of((ftl_date){1, 1, 1});
    if (calendar && (last < begin || last >= end))
        return fi_fail(err, FTL_ENUMERIC, "the last time lies outside the years 1 to 9999");
    int64_t step = freq->multiple, clock = anchored ? fi_clock_of(last) : 0, at = first_anchor(freq, last);
    bool overflow = months_of(freq->unit) && __builtin_mul_overflow(step, months_of(freq->unit), &step);
    for (size_t i = 0; i < n;) {
        bool past = overflow || (months_of(freq->unit) ? at >= 120000 : anchored && at > 5 * 600000);
        ftl_time time = past ? end : time_of_anchor(freq, at) + clock;
        if (past || (calendar && time >= end))
            return fi_fail(err, FTL_ENUMERIC, "%zu steps ahead lie past %s", n,
                           calendar ? "the year 9999" : "the largest index");
        if (time > last) out[i++] = time;
        overflow = __builtin_add_overflow(at, step, &at);
    }
    return FTL_OK;
}

/* ---- inference ---- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* What all of the times have in common, given that they are whole days apart. */
typedef struct pattern {
    bool month_starts, month_ends, weekdays;
    uint64_t months; /* greatest common divisor of the steps in months */
} pattern;

static pattern pattern_of(const ftl_time *times, size_t n)
{
    pattern p = {true, true, true, 0};
    int64_t first_month = 0;
    for (size_t i = 0; i < n && (p.month_starts || p.month_ends || p.weekdays); i++) {
        if (i && times[i] == times[i - 1]) continue;
        if (weekday_of(fi_floor_div(times[i], FTL_DAY)) >= 5) p.weekdays = false;
        if (!p.month_starts && !p.month_ends) continue;
        ftl_date date = ftl_date_of(times[i]);
        int64_t month = (int64_t)date.year * 12 + date.month - 1;
        if (i == 0) first_month = month;
        p.months = gcd((uint64_t)(month - first_month), p.months);
        p.month_starts &= date.day == 1;
        p.month_ends &= date.day == fi_days_in_month(date.year, date.month);
    }
    return p;
}

/* Month starts or ends: years where all steps are whole years, else quarters, else months. */
static ftl_freq month_freq(const pattern *p, ftl_time first)
{
    int month = ftl_date_of(first).month, period = p->months % 12 == 0 ? 12 : p->months % 3 == 0 ? 3 : 1;
    ftl_freq freq = {p->month_starts ? FTL_FREQ_MONTH_START : FTL_FREQ_MONTH_END, (int64_t)p->months / period, 0};
    if (period == 12) {
        freq.unit = p->month_starts ? FTL_FREQ_YEAR_START : FTL_FREQ_YEAR_END;
        freq.anchor = month;
    } else if (period == 3) { /* the anchor nearest to the usual one: QS-JAN, -FEB, -MAR; QE-OCT, -NOV, -DEC */
        freq.unit = p->month_starts ? FTL_FREQ_QUARTER_START : FTL_FREQ_QUARTER_END;
        freq.anchor = (month - 1) % 3 + (p->month_starts ? 1 : 10);
    }
    return freq;
}

ftl_status ftl_freq_infer(const ftl_time *times, size_t n, ftl_time_kind kind, ftl_freq *out, ftl_error *err)
{
    uint64_t step = 0;
    for (size_t i = 1; i < n; i++) {
        uint64_t d = (uint64_t)times[i] - (uint64_t)times[i - 1];
        if (times[i] < times[i - 1]) return fi_fail(err, FTL_EINVAL, "the times do not ascend");
        if (d != step) step = gcd(step, d);
    }
    if (step == 0)
        return fi_fail(err, FTL_EDATA,
                       "no frequency can be inferred from fewer than 2 different times; give one (--freq D, "
                       "for days)");
    if (step > INT64_MAX) return fi_fail(err, FTL_EDATA, "the times lie too far apart to infer a frequency");
    *out = (ftl_freq){kind == FTL_TIME_INDEX ? FTL_FREQ_INDEX : FTL_FREQ_TICK, (int64_t)step, 0};
    if (kind == FTL_TIME_INDEX || step % (uint64_t)FTL_DAY) return FTL_OK;

    pattern p = pattern_of(times, n);
    int64_t days = (int64_t)step / FTL_DAY, first = fi_floor_div(times[0], FTL_DAY);
    int64_t last = fi_floor_div(times[n - 1], FTL_DAY);
    bool crosses_weekend = last - weekday_of(last) > first;
    if (p.month_starts || p.month_ends)
        *out = month_freq(&p, times[0]);
    else if (days % 7 == 0)
        *out = (ftl_freq){FTL_FREQ_WEEK, days / 7, (int)weekday_of(first)};
    else if (days == 1 && p.weekdays && crosses_weekend)
        *out = (ftl_freq){FTL_FREQ_BUSINESS_DAY, 1, 0};
    return FTL_OK;
}
