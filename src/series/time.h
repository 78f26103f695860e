/* Calendar arithmetic shared within src/series. */
#ifndef FI_SERIES_TIME_H
#define FI_SERIES_TIME_H

#include <foretell/calendar.h>

/* floor(a / b), b > 0 */
static inline int64_t fi_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Microseconds since midnight. */
static inline int64_t fi_clock_of(ftl_time time)
{
    int64_t clock = time % FTL_DAY;
    return clock < 0 ? clock + FTL_DAY : clock;
}

/* month 1..12 */
int fi_days_in_month(int64_t year, int month);

#endif
