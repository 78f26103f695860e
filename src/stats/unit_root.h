/* How often to difference a series: tests of unit roots and seasonal strength, with the rules of R's forecast. */
#ifndef FI_STATS_UNIT_ROOT_H
#define FI_STATS_UNIT_ROOT_H

#include <foretell/base.h>

typedef enum fi_root_test { FI_TEST_KPSS, FI_TEST_ADF } fi_root_test;
typedef enum fi_season_test { FI_TEST_STRENGTH, FI_TEST_OCSB } fi_season_test;

/* Whether y [n] is one value up to a mean relative deviation of 1.5e-8; missing values are passed over. */
bool fi_is_constant(const double *y, size_t n);

/*
 * KPSS statistic of level stationarity with trunc(3 sqrt(n) / 13) lags of the Bartlett kernel; its 5 % critical value
 * is 0.463. Source: Kwiatkowski, Phillips, Schmidt & Shin (1992). y without missing values, n >= 1.
 */
double fi_kpss(const double *y, size_t n, double *work /* [n] */);
/* t value of y_{t-1} in y_t - y_{t-1} = a + b y_{t-1} + c (y_{t-1} - y_{t-2}) + e: Dickey & Fuller, one lag. NaN: none. */
double fi_adf(const double *y, size_t n);
/*
 * Statistic and 5 % critical value of Osborn, Chui, Smith & Birchenhall (1988) for a seasonal unit root of period m; at
 * most three lags, by AIC. A statistic above the critical value says that a seasonal difference is needed; NaN where
 * the series is too short. y without missing values. FTL_ENOMEM.
 */
ftl_status fi_ocsb(const double *y, size_t n, size_t m, double *statistic, double *critical, ftl_error *err);

/* First differences (up to max) until y is stationary at 5 %; seasonal ones. Missing values are left out, as R does
 * (the seasonal tests: bridged). FTL_ENOMEM. */
ftl_status fi_count_differences(const double *y, size_t n, fi_root_test test, size_t max, size_t *d, ftl_error *err);
ftl_status fi_count_seasonal_differences(const double *y, size_t n, size_t m, fi_season_test test, size_t max,
                                         size_t *D, ftl_error *err);

#endif
