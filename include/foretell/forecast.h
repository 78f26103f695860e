/**
 * @file forecast.h
 * What a forecaster gives: dates, a point, quantiles, and where asked components and sample paths.
 */
#ifndef FORETELL_FORECAST_H
#define FORETELL_FORECAST_H

#include <foretell/series.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One type for every model. Immutable; owns all that its accessors return. */
typedef struct ftl_forecast ftl_forecast;

FTL_API void ftl_forecast_free(ftl_forecast *forecast);

/** The id of the series. */
FTL_API const char *ftl_forecast_id(const ftl_forecast *forecast);
/** Name of the forecaster that made it, for instance "prophet". */
FTL_API const char *ftl_forecast_model(const ftl_forecast *forecast);
/** Rows: those of the history, if they were asked for, then the future. */
FTL_API size_t ftl_forecast_n_rows(const ftl_forecast *forecast);
/** How many of the rows are history (0 unless asked for). */
FTL_API size_t ftl_forecast_n_history(const ftl_forecast *forecast);
FTL_API ftl_time_kind ftl_forecast_time_kind(const ftl_forecast *forecast);
/** @return [n_rows] times. */
FTL_API const ftl_time *ftl_forecast_times(const ftl_forecast *forecast);
/** @return [n_rows] point forecast. */
FTL_API const double *ftl_forecast_point(const ftl_forecast *forecast);
/** What the point is: "mean", "median". */
FTL_API const char *ftl_forecast_point_kind(const ftl_forecast *forecast);
FTL_API size_t ftl_forecast_n_levels(const ftl_forecast *forecast);
/** @return [n_levels] quantile levels, strictly increasing, each in (0, 1). */
FTL_API const double *ftl_forecast_levels(const ftl_forecast *forecast);
/** @return [n_rows, n_levels] quantiles, never crossing within a row. */
FTL_API const double *ftl_forecast_quantiles(const ftl_forecast *forecast);

/** Components, if asked for: trend, seasonalities, holidays ... in the order of the model's output. */
FTL_API size_t ftl_forecast_n_components(const ftl_forecast *forecast);
FTL_API const char *ftl_forecast_component_name(const ftl_forecast *forecast, size_t i);
/** @return true if the component multiplies the trend (its values are shares of it), false if it is added. */
FTL_API bool ftl_forecast_component_multiplicative(const ftl_forecast *forecast, size_t i);
/** @return [n_rows] values of the i-th component. */
FTL_API const double *ftl_forecast_component(const ftl_forecast *forecast, size_t i);
/** @return [n_rows, n_levels] quantiles of the i-th component; NULL when it is certain (every quantile is the value). */
FTL_API const double *ftl_forecast_component_quantiles(const ftl_forecast *forecast, size_t i);

/** Sample paths, if asked for. */
FTL_API size_t ftl_forecast_n_samples(const ftl_forecast *forecast);
/** @return [n_rows, n_samples], column s being one path; NULL without. */
FTL_API const double *ftl_forecast_samples(const ftl_forecast *forecast);

/** @return [n_rows] saturating maximum and minimum, or NULL where the model has none. */
FTL_API const double *ftl_forecast_cap(const ftl_forecast *forecast);
FTL_API const double *ftl_forecast_floor(const ftl_forecast *forecast);

/** Targets that were forecast together: 1 for most models. A forecast is that of its first target. */
FTL_API size_t ftl_forecast_n_targets(const ftl_forecast *forecast);
/** @return the forecast of the i-th target, owned by the first, which is `forecast` itself; NULL past the last one. */
FTL_API const ftl_forecast *ftl_forecast_target(const ftl_forecast *forecast, size_t i);
/** @return the name of the target it is of, where there are several; else NULL. */
FTL_API const char *ftl_forecast_target_name(const ftl_forecast *forecast);

/** Layouts of forecast CSV. */
typedef enum ftl_csv_layout {
    FTL_LAYOUT_LONG,   /**< [unique_id,]ds,MODEL,MODEL-lo-80,MODEL-hi-80 ... (Nixtla's) */
    FTL_LAYOUT_PROPHET /**< [unique_id,]ds,trend,yhat_lower,yhat_upper,trend_lower,... components ...,yhat */
} ftl_csv_layout;

typedef struct ftl_csv_style {
    ftl_csv_layout layout;
    bool ids;               /**< begin with a unique_id column */
    const double *percents; /**< [n_percents] central intervals to write as -lo-P and -hi-P, widest last; their two
                                    quantile levels must be among the forecast's (the first one names yhat_lower) */
    size_t n_percents;
    bool quantiles;  /**< instead: every level as MODEL-q-10 */
    bool components; /**< further columns: components (long layout) */
    bool samples;    /**< further columns: MODEL-sample-1 ... */
} ftl_csv_style;

/**
 * Writes the forecast of one target as CSV rows, with a column target_name where there are several (numbers in the shortest form that reads back equal, NaN as empty). A forecast that has
 * no quantile levels at all (Prophet with intervals=none) gets no interval columns.
 * @param header  write the header line first
 * @param out     new text, to be freed with ftl_text_free()
 */
FTL_API ftl_status ftl_forecast_csv(const ftl_forecast *forecast, const ftl_csv_style *style, bool header, char **out,
                                    size_t *n_out, ftl_error *err);
/** The forecast of one target as a JSON object (compact text): id, target_name where there are several, model, ds, point, levels, quantiles, components, samples. */
FTL_API ftl_status ftl_forecast_json(const ftl_forecast *forecast, char **out, ftl_error *err);

/** Frees text that the library returned. NULL is fine. */
FTL_API void ftl_text_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
