/*
 * STL: a series as season + trend + remainder, by loess.
 *
 * Source: Cleveland, Cleveland, McRae & Terpenning (1990), STL: A seasonal-trend decomposition procedure based on
 * loess, Journal of Official Statistics 6, 3-73. Settings, jumps and the treatment of ends are those of R's stl().
 */
#ifndef FI_STATS_STL_H
#define FI_STATS_STL_H

#include <foretell/base.h>

/* One loess smoother: points of a window, degree of the local polynomial (0 or 1), and computed every `jump` points. */
typedef struct fi_loess {
    size_t window, degree, jump;
} fi_loess;

typedef struct fi_stl_options {
    size_t period; /* >= 2 */
    fi_loess season, trend, low_pass;
    bool periodic;       /* the season repeats exactly: averaged over the years at the end */
    size_t inner, outer; /* passes; outer > 0 down-weights outliers */
} fi_stl_options;

/*
 * R's settings for a seasonal window (odd; 0: periodic): degrees 0, 1, 1, jumps of a tenth of the window, two inner
 * passes; robust: one inner and 15 outer ones. `n` is the length of the series.
 */
fi_stl_options fi_stl_defaults(size_t n, size_t period, size_t seasonal_window, bool robust);

/* Doubles of work memory that fi_stl() needs. */
size_t fi_stl_work(size_t n, size_t period);

/*
 * y [n] without missing values, n > 2 period; season and trend [n] are written, the remainder is what is left.
 * weights: NULL, or [n], the robustness weights of the last outer pass (1 without). work [fi_stl_work(n, period)].
 */
void fi_stl(const double *y, size_t n, const fi_stl_options *options, double *season, double *trend, double *weights,
            double *work);

/* out [n] = y with runs of NaN bridged by straight lines, and by the nearest value at the ends. All NaN stay NaN. */
void fi_bridge_gaps(const double *y, size_t n, double *out);

/*
 * Strength of the season of period m, in [0, 1]: 1 - Var(remainder) / Var(season + remainder) of an STL with a seasonal
 * window of 11 (Wang, Smith & Hyndman 2006, as in R's forecast). y may have gaps; 0 where n <= 2 m. FTL_ENOMEM.
 */
ftl_status fi_seasonal_strength(const double *y, size_t n, size_t m, double *strength, ftl_error *err);

#endif
