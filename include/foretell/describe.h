/**
 * @file describe.h
 * What a forecaster wants to know of a series before choosing a model.
 *
 *     ftl_description *d;
 *     ftl_describe(series, NULL, &d, &err);
 *     printf("%s\n", d->advice);
 */
#ifndef FORETELL_DESCRIBE_H
#define FORETELL_DESCRIBE_H

#include <foretell/series.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * How demand comes: by the mean interval between demands (ADI) and the squared coefficient of variation of their sizes
 * (CV^2), with the borders 1.32 and 0.49 of Syntetos, Boylan & Croston (2005).
 */
typedef enum ftl_demand {
    FTL_DEMAND_NONE,         /**< not demand: negative values, or no positive one */
    FTL_DEMAND_SMOOTH,       /**< ADI < 1.32, CV^2 < 0.49 */
    FTL_DEMAND_ERRATIC,      /**< ADI < 1.32, CV^2 >= 0.49 */
    FTL_DEMAND_INTERMITTENT, /**< ADI >= 1.32, CV^2 < 0.49 */
    FTL_DEMAND_LUMPY         /**< ADI >= 1.32, CV^2 >= 0.49 */
} ftl_demand;
/** @return "none", "smooth", "erratic", "intermittent" or "lumpy". Static. */
FTL_API const char *ftl_demand_name(ftl_demand demand);

/** A season that was found, or the usual one of the frequency. */
typedef struct ftl_period {
    size_t steps;
    double autocorrelation; /**< at that lag, the linear trend taken out */
    double power;    /**< share of the spectrum's power at the period and its harmonics, shorter seasons taken out */
    double strength; /**< 0..1: 1 - Var(remainder) / Var(season + remainder) of an STL (Wang, Smith & Hyndman 2006) */
    bool usual;      /**< the usual one of the frequency */
    bool found;      /**< by autocorrelation and spectrum */
} ftl_period;

/** A lasting change of the level: from this row on. */
typedef struct ftl_shift {
    size_t row; /**< of the grid */
    double before, after;
} ftl_shift;

enum { FTL_MAX_PERIODS = 6, FTL_MAX_SHIFTS = 5 };

/**
 * A series described. Rows are those of its regular grid: one for every time of the frequency between the first and the
 * last observation, or the series' own rows where the times follow no regular step. Owns its arrays.
 */
typedef struct ftl_description {
    char freq[32];                                     /**< "MS", "D" ...; "irregular" */
    size_t n;                                          /**< rows of the grid */
    size_t n_observed, n_missing, n_gaps, longest_gap; /**< observed and missing rows; runs of missing ones */
    size_t n_duplicates;                               /**< rows of the series at the time of another one */
    size_t n_zeros, n_negative;
    double mean, sd, min, max; /**< NaN without an observation */
    bool constant;
    double adi, cv2; /**< NaN without demand */
    ftl_demand demand;
    ftl_period periods[FTL_MAX_PERIODS]; /**< [n_periods], ascending */
    size_t n_periods;
    double trend_strength; /**< as that of a season, for the trend; NaN where the series is too short */
    size_t differences, seasonal_differences; /**< by KPSS and by seasonal strength */
    ftl_shift shifts[FTL_MAX_SHIFTS];         /**< [n_shifts] in order of row */
    size_t n_shifts;
    size_t *outliers; /**< [n_outliers] rows whose remainder lies more than 3 interquartile ranges beyond a quartile */
    size_t n_outliers;
    char advice[320]; /**< one line: which models, and why */

    /* for pictures */
    ftl_time_kind kind;
    ftl_time *times;                        /**< [n] */
    double *y, *trend, *season, *remainder; /**< [n] y has NaN in gaps; the parts of an STL of the strongest season */
    size_t n_lags;
    double *acf; /**< [n_lags + 1] autocorrelations from lag 0 on */
    double
        *spectrum; /**< [n_lags + 1] highest line of the spectrum (Hann taper) at periods that round to k, the highest
                           of all being 1 */
} ftl_description;

/**
 * Describes a series.
 * @param freq  NULL: inferred
 * @return FTL_OK; FTL_EDATA (no rows, a time off the grid of the frequency); FTL_ENOMEM
 */
FTL_API ftl_status ftl_describe(const ftl_series *series, const ftl_freq *freq, ftl_description **out, ftl_error *err);
FTL_API void ftl_description_free(ftl_description *description);

#ifdef __cplusplus
}
#endif
#endif
