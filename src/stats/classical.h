/* Classical decomposition, and the test for a season that goes with it. */
#ifndef FI_STATS_CLASSICAL_H
#define FI_STATS_CLASSICAL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Seasonal effects of period m by classical decomposition: the means, place by place, of y less (or over) its centred
 * moving average, adjusted to mean 0 (or 1). y [n] without gaps, n >= 2 m; effect [m], of row t at t mod m. Source:
 * Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., section 3.4.
 */
void fi_classical_season(const double *y, size_t n, size_t m, bool multiplicative, double *effect);

/* Autocorrelation of y [n] at lag k, by the sum of all squares; NaN for a constant series. */
double fi_autocorrelation(const double *y, size_t n, size_t k);

/*
 * Whether the autocorrelation at lag m is significant at 10 %, two-sided, against those at smaller lags (Bartlett's
 * formula), as for the M3 and M4 competitions. False below two seasons. y without gaps.
 */
bool fi_is_seasonal(const double *y, size_t n, size_t m);

#endif
