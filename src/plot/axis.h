/* Where an axis has its ticks and what stands there: round numbers, round moments of the calendar. */
#ifndef FI_PLOT_AXIS_H
#define FI_PLOT_AXIS_H

#include <foretell/calendar.h>

enum { FI_TICKS_MAX = 64 };

typedef struct fi_tick {
    double at;        /* 0 at the low end of the axis, 1 at the high end */
    char label[48];   /* UTF-8 */
    char context[32]; /* second line: the year of a month, the day of an hour; "" where it is that of the tick before */
} fi_tick;

typedef struct fi_ticks {
    size_t n;
    fi_tick tick[FI_TICKS_MAX];
} fi_ticks;

/* What an axis of times shows. */
typedef enum fi_x_kind {
    FI_X_INDEX,    /* whole numbers */
    FI_X_DATE,     /* the calendar, down to days */
    FI_X_DATETIME, /* the calendar, down to microseconds */
    FI_X_WEEKDAY,  /* names of days */
    FI_X_YEARDAY,  /* January 1, March 1 ... */
    FI_X_HOUR,     /* 00:00, 03:00 ... */
    FI_X_DAYS      /* days since the low end */
} fi_x_kind;

/* The room there is: labels keep clear of one another by `gap`, ticks by `spacing`; all in the unit of measure(). */
typedef struct fi_tick_room {
    double length, gap, spacing;
    double (*measure)(void *user, const char *text);
    void *user;
} fi_tick_room;

/* Ticks at multiples of 1, 2 or 5 times a power of ten, at most max_ticks (>= 2) of them; lo < hi, both finite. */
void fi_ticks_number(double lo, double hi, size_t max_ticks, bool percent, fi_ticks *out);

/* The finest ticks whose labels keep clear of one another; lo < hi within +-2^61. May be none where nothing fits. */
void fi_ticks_time(fi_x_kind kind, ftl_time lo, ftl_time hi, const fi_tick_room *room, fi_ticks *out);

#endif
