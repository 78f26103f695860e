/**
 * @file calendar.h
 * Times, frequencies by their pandas names, and public holidays.
 */
#ifndef FORETELL_CALENDAR_H
#define FORETELL_CALENDAR_H

#include <foretell/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Microseconds since 1970-01-01T00:00:00 UTC (proleptic Gregorian, no leap seconds); in an indexed series, the index. */
typedef int64_t ftl_time;

#define FTL_SECOND INT64_C(1000000)
#define FTL_DAY    (86400 * FTL_SECOND)

/** How the times of a series were written, and so how its forecast is. */
typedef enum ftl_time_kind {
    FTL_TIME_INDEX,   /**< a whole number without a calendar: 1, 2, 3 */
    FTL_TIME_DATE,    /**< 2024-02-29 */
    FTL_TIME_DATETIME /**< 2024-02-29 13:45:00[.ffffff] */
} ftl_time_kind;

/** Room that ftl_time_format() needs, with the NUL. */
#define FTL_TIME_TEXT_MAX 40

/**
 * Reads YYYY-MM-DD (also YYYY/MM/DD and YYYYMMDD), that followed by 'T' or a space and HH:MM[:SS[.f{1,9}]], YYYY-MM (the
 * first of the month), or a whole number. Years 1 to 9999. Digits past the microsecond must be zero.
 *
 * @param text  [n] bytes, surrounding spaces allowed
 * @param kind  what it was; eight digits that are a date in 1800..2299 are a date, any other integer an index
 * @return FTL_OK; FTL_EDATA with a message that names the text and says what is expected (a time zone, an impossible
 *         date, anything else)
 */
FTL_API ftl_status ftl_time_parse(const char *text, size_t n, ftl_time *out, ftl_time_kind *kind, ftl_error *err);

/**
 * Writes a time as its kind says: "2024-02-29", "2024-02-29 13:45:00" (fraction only where it is not zero, shortest),
 * or the integer.
 * @param out  at least FTL_TIME_TEXT_MAX bytes
 * @return length without the NUL
 */
FTL_API size_t ftl_time_format(ftl_time time, ftl_time_kind kind, char *out);

/** A calendar date; month and day from 1. */
typedef struct ftl_date {
    int year, month, day;
} ftl_date;

/** @return the date of a time (floor to the day). */
FTL_API ftl_date ftl_date_of(ftl_time time);
/** @return midnight of a date; month and day may lie outside their range and carry over. */
FTL_API ftl_time ftl_time_of(ftl_date date);

/** Units of a frequency. */
typedef enum ftl_freq_unit {
    FTL_FREQ_INDEX,         /**< steps of an indexed series */
    FTL_FREQ_TICK,          /**< a fixed number of microseconds: us, ms, s, min, h, D */
    FTL_FREQ_BUSINESS_DAY,  /**< B: Monday to Friday */
    FTL_FREQ_WEEK,          /**< W-SUN .. W-SAT: weeks ending on the anchor, 0 = Monday */
    FTL_FREQ_MONTH_START,   /**< MS */
    FTL_FREQ_MONTH_END,     /**< ME */
    FTL_FREQ_QUARTER_START, /**< QS-JAN ..: quarters, one of which starts in the anchor month, 1..12 */
    FTL_FREQ_QUARTER_END,   /**< QE-DEC ..: quarters, one of which ends with the anchor month */
    FTL_FREQ_YEAR_START,    /**< YS-JAN .. */
    FTL_FREQ_YEAR_END       /**< YE-DEC .. */
} ftl_freq_unit;

/** A frequency: `multiple` units. For ticks `multiple` counts microseconds. Plain data, copied freely. */
typedef struct ftl_freq {
    ftl_freq_unit unit;
    int64_t multiple; /**< >= 1 */
    int anchor;       /**< weekday (0 = Monday) or month (1..12); 0 where there is none */
} ftl_freq;

/**
 * Reads a pandas offset name with an optional multiple: s min h D B W W-MON MS ME QS QE QS-FEB QE-NOV YS YE YS-APR
 * YE-JUN ms us, and the older spellings S T min L U H M Q Q-DEC A Y A-DEC Y-DEC AS AS-JAN BAS is not one of them; a
 * whole number is a step of an indexed series.
 * @return FTL_OK; FTL_EINVAL with the names that are known (and the nearest)
 */
FTL_API ftl_status ftl_freq_parse(const char *text, ftl_freq *out, ftl_error *err);

/**
 * Writes a frequency by its current pandas name ("15min", "W-MON", "MS", "QE-DEC", "2D"), or the step of an index.
 * @param out  at least 32 bytes
 */
FTL_API size_t ftl_freq_format(const ftl_freq *freq, char *out);

/**
 * The frequency of times that may have gaps: of the candidates (calendar ones first, then the greatest common divisor
 * of the steps) the coarsest one of which all times are members; business days are recognised by weekdays without any
 * weekend, one weekend at least between them. Duplicate times are passed over.
 *
 * @param times  [n] ascending
 * @return FTL_OK; FTL_EDATA when there are fewer than 2 distinct times; FTL_EINVAL when they do not ascend
 */
FTL_API ftl_status ftl_freq_infer(const ftl_time *times, size_t n, ftl_time_kind kind, ftl_freq *out, ftl_error *err);

/**
 * The next n times of a frequency strictly after `last`, as pandas' date_range(start=last, freq=...) makes them when
 * those not after `last` are dropped: an anchored frequency keeps the time of day of `last`.
 *
 * @param out  [n]
 * A business day and an anchored frequency first roll forward from `last` to the nearest anchor, multiples then step from
 * there (2MS after 2024-01-15: 2024-02-01, 2024-04-01, ...).
 *
 * @param freq  of the same kind as `last`: the caller knows whether that is an index or a date
 * @return FTL_OK; FTL_EINVAL (a multiple below 1, an anchor that does not exist); FTL_ENUMERIC (past the year 9999, or
 *         the largest index)
 */
FTL_API ftl_status ftl_freq_after(const ftl_freq *freq, ftl_time last, size_t n, ftl_time *out, ftl_error *err);

/**
 * Steps a season of this frequency usually has: a year of months and quarters (12, 4), a week of days (7, 5 for B), a day
 * of hours and minutes (24, 1440), an hour of seconds (3600), divided by the multiple; 1 where that is no whole number or
 * no season is usual (weeks, years, indices).
 */
FTL_API size_t ftl_freq_season(const ftl_freq *freq);

/** One public holiday. */
typedef struct ftl_holiday {
    ftl_time date;    /**< midnight */
    const char *name; /**< UTF-8, English; static, never freed */
} ftl_holiday;

/**
 * Public holidays of a country or of one of its subdivisions, from a table built into the library (1995 to 2050).
 * They are those of the Python package `holidays` as Prophet asks for them: observed days included, several holidays
 * of one day apart, names in English where the package has them.
 *
 * @param country  alpha-2 or alpha-3 code, English name, or an alias that Prophet knows ("US", "USA", "United States",
 *                 "TU"); also a financial market ("XNYS", "NYSE"). A subdivision, by code or name, follows after '-'
 *                 or '_': "US-CA", "DE_Bayern". Case does not matter; blank, '-' and '_' are the same.
 * @param from_year, to_year  inclusive; years outside the table have no entries
 * @param out    new array in order of date then name, to be freed with ftl_holidays_free(); NULL on failure
 * @param n_out  its length
 * @return FTL_OK; FTL_EINVAL (unknown country or subdivision: the message names the nearest and where to list them);
 *         FTL_ENOMEM
 */
FTL_API ftl_status ftl_holidays_of(const char *country, int from_year, int to_year, ftl_holiday **out, size_t *n_out,
                                   ftl_error *err);
FTL_API void ftl_holidays_free(ftl_holiday *holidays);

/** Number of countries and financial markets in the table. */
FTL_API size_t ftl_country_count(void);
/** @return the i-th country's ISO 3166-1 alpha-2 code (after the countries, a financial market's ISO 10383 code); its
 *  English name and its subdivisions ("CA TX ...", blank separated, may be empty) where the pointers are not NULL.
 *  Static. NULL when i is out of range. */
FTL_API const char *ftl_country_at(size_t i, const char **name, const char **subdivisions);

#ifdef __cplusplus
}
#endif
#endif
