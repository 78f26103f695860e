/**
 * @file prophet.h
 * What Prophet takes beyond its option table: seasonalities, holidays and regressors, from C without text.
 *
 * Source: Taylor & Letham, "Forecasting at scale", The American Statistician 72 (2018); the Python package prophet 1.5.
 */
#ifndef FORETELL_PROPHET_H
#define FORETELL_PROPHET_H

#include <foretell/forecaster.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_prophet_mode {
    FTL_PROPHET_MODE_DEFAULT, /**< that of the option seasonality_mode (holidays: holidays_mode) */
    FTL_PROPHET_ADDITIVE,
    FTL_PROPHET_MULTIPLICATIVE
} ftl_prophet_mode;

/**
 * Adds a seasonality, as Prophet.add_seasonality().
 * @param config         of the forecaster "prophet"
 * @param name           not reserved, not a holiday or regressor; "yearly", "weekly", "daily" replace the automatic ones
 * @param period_days    > 0
 * @param fourier_order  >= 1
 * @param prior_scale    > 0, or NaN for the option seasonality_prior_scale
 * @param condition      NULL, or the name of a 0/1 column that says where it applies
 */
FTL_API ftl_status ftl_prophet_add_seasonality(ftl_config *config, const char *name, double period_days,
                                               size_t fourier_order, double prior_scale, ftl_prophet_mode mode,
                                               const char *condition, ftl_error *err);

/** Standardising a regressor: as Prophet's 'auto' (unless it is 0/1), always, never. */
typedef enum ftl_prophet_standardize {
    FTL_PROPHET_STANDARDIZE_AUTO,
    FTL_PROPHET_STANDARDIZE_YES,
    FTL_PROPHET_STANDARDIZE_NO
} ftl_prophet_standardize;

/** Adds a regressor, as Prophet.add_regressor(): a column of the series. prior_scale NaN: option holidays_prior_scale. */
FTL_API ftl_status ftl_prophet_add_regressor(ftl_config *config, const char *name, double prior_scale,
                                             ftl_prophet_standardize standardize, ftl_prophet_mode mode,
                                             ftl_error *err);

/**
 * Adds one date of a holiday.
 * @param date         its calendar day counts
 * @param lower_window <= 0, upper_window >= 0: days around it that have an effect of their own
 * @param prior_scale  > 0, the same for all dates of a name, or NaN for the option holidays_prior_scale
 */
FTL_API ftl_status ftl_prophet_add_holiday(ftl_config *config, const char *name, ftl_time date, int lower_window,
                                           int upper_window, double prior_scale, ftl_error *err);

/** Adds all holidays of a country or subdivision ("US", "DE-BY"); the names are those of ftl_holidays_of(). */
FTL_API ftl_status ftl_prophet_set_country(ftl_config *config, const char *country, ftl_error *err);

/** Reads a holiday table: CSV with columns ds, holiday and optionally lower_window, upper_window, prior_scale. */
FTL_API ftl_status ftl_prophet_read_holidays(ftl_config *config, const char *path, ftl_error *err);

#ifdef __cplusplus
}
#endif
#endif
