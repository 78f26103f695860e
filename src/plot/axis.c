#include "plot/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const months[12] = {"January", "February", "March",     "April",   "May",      "June",
                                       "July",    "August",   "September", "October", "November", "December"};
static const char *const weekdays[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* ---- numbers ---- */

static double power_of_ten(int e)
{
    return e < -300 ? pow(10, e + 150) * 1e-150 : pow(10, e);
}

/* Multiples of mantissa * 10^exponent, held as whole numbers so that labels are exact. */
typedef struct steps {
    int64_t first, last; /* ticks are first .. last times the step */
    int mantissa, exponent;
} steps;

static double step_times(const steps *s, int64_t k)
{
    double digits = (double)(k * s->mantissa);
    if (s->exponent >= 0) return digits * power_of_ten(s->exponent);
    if (s->exponent >= -300) return digits / power_of_ten(-s->exponent); /* 3 / 10 is 0.3, 3 * 0.1 is not */
    return digits * power_of_ten(s->exponent);
}

/* The smallest nice step that gives at most max_ticks ticks. Halves, because hi - lo may overflow. */
static steps choose_steps(double lo, double hi, size_t max_ticks, int least_exponent)
{
    static const int nice[3] = {1, 2, 5};
    double raw = (hi / 2 - lo / 2) / (double)max_ticks * 2;
    int exponent = (int)floor(log10(raw)) - 1;
    if (exponent < least_exponent) exponent = least_exponent;
    for (;; exponent++) {
        for (int i = 0; i < 3; i++) {
            double step = nice[i] * power_of_ten(exponent);
            double first = ceil(lo / step - 1e-9), last = floor(hi / step + 1e-9);
            if (!(fabs(first) < 1e15 && fabs(last) < 1e15) || last - first + 1 > (double)max_ticks) continue;
            return (steps){(int64_t)first, (int64_t)last, nice[i], exponent};
        }
    }
}

static char *put(char *out, const char *text)
{
    size_t n = strlen(text);
    memcpy(out, text, n + 1);
    return out + n;
}

/* ×10⁶ */
static char *put_power(char *out, int power)
{
    static const char *const digit[10] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char text[16];
    snprintf(text, sizeof text, "%d", power);
    out = put(out, "×10");
    for (const char *c = text; *c; c++) out = put(out, *c == '-' ? "⁻" : digit[*c - '0']);
    return out;
}

/* value / 10^decimals in plain digits, with a proper minus sign and no help of the locale. */
static char *put_decimal(char *out, int64_t value, int decimals)
{
    char digits[48];
    int n = snprintf(digits, sizeof digits, "%0*lld", decimals + 1, (long long)(value < 0 ? -value : value));
    if (value < 0) out = put(out, "−");
    memcpy(out, digits, (size_t)(n - decimals));
    out += n - decimals;
    *out = '\0';
    if (!decimals) return out;
    *out++ = '.';
    return put(out, digits + (n - decimals));
}

/*
 * Labels of one axis share a power of ten: none while the largest stays in 0.0001 .. 9999999 or where they would still
 * need many digits, else a multiple of three. Percent is the power -2 with another name.
 */
static int shared_power(double largest, int exponent, bool percent, bool *show_percent)
{
    *show_percent = percent && largest < 1e5 && largest >= 1e-7;
    if (*show_percent) return -2;
    if (largest == 0 || (largest >= 1e-4 && largest < 1e7)) return 0;
    int power = 3 * (int)floor(log10(largest) / 3 + 1e-9);
    return largest > 1 && largest < 1e15 && power - exponent > 3 ? 0 : power;
}

static void label_step(const steps *s, int64_t k, int power, bool percent, char *out)
{
    int64_t value = k * s->mantissa;
    int shift = value ? s->exponent - power : 0; /* of the last digit, in what is written */
    for (; shift > 0; shift--) value *= 10;
    out = put_decimal(out, value, -shift);
    if (percent)
        put(out, "%");
    else if (power && value)
        put_power(out, power);
}

static void fill_numbers(const steps *s, double lo, double hi, bool percent, fi_ticks *out)
{
    double largest = fmax(fabs(step_times(s, s->first)), fabs(step_times(s, s->last)));
    bool show_percent;
    int power = shared_power(largest, s->exponent, percent, &show_percent);
    out->n = 0;
    for (int64_t k = s->first; k <= s->last && out->n < FI_TICKS_MAX; k++) {
        fi_tick *t = &out->tick[out->n++];
        t->at = (step_times(s, k) / 2 - lo / 2) / (hi / 2 - lo / 2);
        t->context[0] = '\0';
        label_step(s, k, power, show_percent, t->label);
    }
}

void fi_ticks_number(double lo, double hi, size_t max_ticks, bool percent, fi_ticks *out)
{
    steps s = choose_steps(lo, hi, max_ticks < 2 ? 2 : max_ticks > FI_TICKS_MAX ? FI_TICKS_MAX : max_ticks, -320);
    fill_numbers(&s, lo, hi, percent, out);
}

/* ---- room ---- */

/* Whether no two labels touch. The first context gives way to the second where there is no room for both. */
static bool fits(fi_ticks *ticks, const fi_tick_room *room)
{
    double before_at = 0, before_label = 0, context_end = -INFINITY;
    fi_tick *before = NULL; /* the last one with a context */
    for (size_t i = 0; i < ticks->n; i++) {
        fi_tick *t = &ticks->tick[i];
        double at = t->at * room->length, label = room->measure(room->user, t->label) / 2;
        if (i && (at - before_at < room->spacing || at - before_at < label + before_label + room->gap)) return false;
        before_at = at;
        before_label = label;
        if (!t->context[0]) continue;
        double context = room->measure(room->user, t->context) / 2;
        if (at - context < context_end + room->gap) {
            if (before != ticks->tick) return false;
            before->context[0] = '\0';
        }
        context_end = at + context;
        before = t;
    }
    return true;
}

static double share(ftl_time t, ftl_time lo, ftl_time hi)
{
    return (double)(t - lo) / (double)(hi - lo);
}

/* Whole numbers of `unit` above `origin`. */
static void count_ticks(ftl_time lo, ftl_time hi, ftl_time origin, double unit, int least_exponent,
                        const fi_tick_room *room, fi_ticks *out)
{
    double from = (double)(lo - origin) / unit, to = (double)(hi - origin) / unit;
    out->n = 0;
    if (!(from < to)) return; /* so far from the origin that doubles cannot tell them apart */
    for (size_t max_ticks = 12; max_ticks >= 2; max_ticks--) {
        steps s = choose_steps(from, to, max_ticks, least_exponent);
        fill_numbers(&s, from, to, false, out);
        if (fits(out, room)) return;
    }
    out->n = 0;
}

/* ---- the calendar ---- */

#define MS     INT64_C(1000)
#define SECOND FTL_SECOND
#define MINUTE (60 * FTL_SECOND)
#define HOUR   (3600 * FTL_SECOND)

typedef enum cal_unit { CAL_TIME, CAL_DAY, CAL_MONTH } cal_unit;
typedef enum cal_text { TEXT_CALENDAR, TEXT_WEEKDAY, TEXT_YEARDAY, TEXT_CLOCK } cal_text;

/* One way to divide an axis: a tick every so many units (microseconds, days, months), and what is written there. */
typedef struct cal_style {
    cal_unit unit;
    int64_t every;
    cal_text text;
    int letters; /* of a name */
} cal_style;

#define TIME(n)                                                                                                        \
    {                                                                                                                  \
        CAL_TIME, n, TEXT_CALENDAR, 3                                                                                  \
    }
#define DAYS(n)                                                                                                        \
    {                                                                                                                  \
        CAL_DAY, n, TEXT_CALENDAR, 3                                                                                   \
    }
#define MONTHS(n)                                                                                                      \
    {                                                                                                                  \
        CAL_MONTH, n, TEXT_CALENDAR, 3                                                                                 \
    }
#define YEARS(n) MONTHS(12 * (n))
/* clang-format off */
static const cal_style calendar_styles[] = { /* from fine to coarse */
    TIME(1), TIME(2), TIME(5), TIME(10), TIME(20), TIME(50), TIME(100), TIME(200), TIME(500),
    TIME(MS), TIME(2 * MS), TIME(5 * MS), TIME(10 * MS), TIME(20 * MS), TIME(50 * MS), TIME(100 * MS), TIME(200 * MS),
    TIME(500 * MS), TIME(SECOND), TIME(2 * SECOND), TIME(5 * SECOND), TIME(10 * SECOND), TIME(15 * SECOND),
    TIME(30 * SECOND), TIME(MINUTE), TIME(2 * MINUTE), TIME(5 * MINUTE), TIME(10 * MINUTE), TIME(15 * MINUTE),
    TIME(30 * MINUTE), TIME(HOUR), TIME(2 * HOUR), TIME(3 * HOUR), TIME(6 * HOUR), TIME(12 * HOUR),
    DAYS(1), DAYS(2), DAYS(7), DAYS(14), MONTHS(1), MONTHS(2), MONTHS(3), MONTHS(6),
    YEARS(1), YEARS(2), YEARS(5), YEARS(10), YEARS(20), YEARS(50), YEARS(100), YEARS(200), YEARS(500), YEARS(1000),
    YEARS(2000), YEARS(5000), YEARS(10000), YEARS(20000), YEARS(50000), YEARS(100000)};
static const cal_style weekday_styles[] = {
    {CAL_DAY, 1, TEXT_WEEKDAY, 9}, {CAL_DAY, 1, TEXT_WEEKDAY, 3}, {CAL_DAY, 1, TEXT_WEEKDAY, 1}};
static const cal_style yearday_styles[] = {
    {CAL_MONTH, 2, TEXT_YEARDAY, 9}, {CAL_MONTH, 2, TEXT_YEARDAY, 3}, {CAL_MONTH, 3, TEXT_YEARDAY, 3},
    {CAL_MONTH, 6, TEXT_YEARDAY, 3}};
static const cal_style hour_styles[] = {
    {CAL_TIME, 2 * HOUR, TEXT_CLOCK, 0}, {CAL_TIME, 3 * HOUR, TEXT_CLOCK, 0}, {CAL_TIME, 6 * HOUR, TEXT_CLOCK, 0},
    {CAL_TIME, 12 * HOUR, TEXT_CLOCK, 0}, {CAL_TIME, 24 * HOUR, TEXT_CLOCK, 0}};
/* clang-format on */
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static double style_length(const cal_style *s)
{
    double unit = s->unit == CAL_TIME ? 1 : (s->unit == CAL_DAY ? 1 : 30.436875) * (double)FTL_DAY;
    return (double)s->every * unit;
}

/* The k-th tick; those of weeks are Mondays. */
static ftl_time cal_tick(const cal_style *s, int64_t k)
{
    if (s->unit == CAL_TIME) return k * s->every;
    if (s->unit == CAL_DAY) return (k * s->every + (s->every % 7 ? 0 : 4)) * FTL_DAY; /* 1970-01-05 was a Monday */
    int64_t month = k * s->every, year = floor_div(month, 12);
    return ftl_time_of((ftl_date){(int)year, (int)(month - 12 * year) + 1, 1});
}

/* Number of the first tick at or after t. */
static int64_t cal_first(const cal_style *s, ftl_time t)
{
    int64_t k;
    if (s->unit == CAL_TIME) {
        k = floor_div(t, s->every);
    } else if (s->unit == CAL_DAY) {
        k = floor_div(floor_div(t, FTL_DAY) - 4, s->every);
    } else {
        ftl_date d = ftl_date_of(t);
        k = floor_div((int64_t)d.year * 12 + d.month - 1, s->every);
    }
    while (cal_tick(s, k) < t) k++;
    return k;
}

/* Hours and minutes, and as much more as ticks of this step need. */
static void clock_text(ftl_time t, int64_t every, char *out, size_t size)
{
    int64_t in_day = t - floor_div(t, FTL_DAY) * FTL_DAY, second = in_day / SECOND, us = in_day % SECOND;
    int n = snprintf(out, size, "%02d:%02d", (int)(second / 3600), (int)(second / 60 % 60));
    if (every % MINUTE) n += snprintf(out + n, size - (size_t)n, ":%02d", (int)(second % 60));
    if (every % MS)
        snprintf(out + n, size - (size_t)n, ".%06d", (int)us);
    else if (every % SECOND)
        snprintf(out + n, size - (size_t)n, ".%03d", (int)(us / MS));
}

static void calendar_text(const cal_style *s, ftl_time t, ftl_date d, fi_tick *tick)
{
    const char *month = months[d.month - 1];
    bool years = s->unit == CAL_MONTH && s->every % 12 == 0;
    if (s->unit == CAL_TIME) {
        clock_text(t, s->every, tick->label, sizeof tick->label);
        snprintf(tick->context, sizeof tick->context, "%.3s %d, %d", month, d.day, d.year);
        return;
    }
    if (s->unit == CAL_DAY)
        snprintf(tick->label, sizeof tick->label, "%.3s %d", month, d.day);
    else if (years)
        snprintf(tick->label, sizeof tick->label, "%d", d.year);
    else
        snprintf(tick->label, sizeof tick->label, "%.3s", month);
    if (!years) snprintf(tick->context, sizeof tick->context, "%d", d.year);
}

static void cal_text_of(const cal_style *s, ftl_time t, fi_tick *tick)
{
    ftl_date d = ftl_date_of(t);
    int64_t day = floor_div(t, FTL_DAY) + 4; /* 1970-01-01 was a Thursday */
    tick->context[0] = '\0';
    switch (s->text) {
    case TEXT_CALENDAR: calendar_text(s, t, d, tick); break;
    case TEXT_WEEKDAY:
        snprintf(tick->label, sizeof tick->label, "%.*s", s->letters, weekdays[day - 7 * floor_div(day, 7)]);
        break;
    case TEXT_YEARDAY:
        snprintf(tick->label, sizeof tick->label, "%.*s %d", s->letters, months[d.month - 1], d.day);
        break;
    case TEXT_CLOCK: clock_text(t, s->every, tick->label, sizeof tick->label); break;
    }
}

static void fill_calendar(const cal_style *s, ftl_time lo, ftl_time hi, fi_ticks *out)
{
    char context[sizeof out->tick[0].context] = "";
    out->n = 0;
    for (int64_t k = cal_first(s, lo); cal_tick(s, k) <= hi && out->n < FI_TICKS_MAX; k++) {
        fi_tick *t = &out->tick[out->n++];
        t->at = share(cal_tick(s, k), lo, hi);
        cal_text_of(s, cal_tick(s, k), t);
        if (strcmp(t->context, context))
            memcpy(context, t->context, sizeof context);
        else
            t->context[0] = '\0'; /* said already */
    }
}

/* The first style that fits; dates have no time of day to show. */
static void calendar_ticks(const cal_style *styles, size_t n_styles, bool dates, ftl_time lo, ftl_time hi,
                           const fi_tick_room *room, fi_ticks *out)
{
    for (size_t i = 0; i < n_styles; i++) {
        double count = (double)(hi - lo) / style_length(&styles[i]);
        if ((dates && styles[i].unit == CAL_TIME) || count > FI_TICKS_MAX - 2) continue;
        fill_calendar(&styles[i], lo, hi, out);
        if (fits(out, room)) return;
    }
    out->n = 0;
}

void fi_ticks_time(fi_x_kind kind, ftl_time lo, ftl_time hi, const fi_tick_room *room, fi_ticks *out)
{
    switch (kind) {
    case FI_X_INDEX: count_ticks(lo, hi, 0, 1, 0, room, out); return;
    case FI_X_DAYS: count_ticks(lo, hi, lo, (double)FTL_DAY, -9, room, out); return;
    case FI_X_WEEKDAY: calendar_ticks(weekday_styles, COUNT_OF(weekday_styles), false, lo, hi, room, out); return;
    case FI_X_YEARDAY: calendar_ticks(yearday_styles, COUNT_OF(yearday_styles), false, lo, hi, room, out); return;
    case FI_X_HOUR: calendar_ticks(hour_styles, COUNT_OF(hour_styles), false, lo, hi, room, out); return;
    case FI_X_DATE:
    case FI_X_DATETIME:
        calendar_ticks(calendar_styles, COUNT_OF(calendar_styles), kind == FI_X_DATE, lo, hi, room, out);
        return;
    }
}
