/**
 * @file plot.h
 * Pictures of forecasts: SVG, PNG and PDF from one drawing code.
 */
#ifndef FORETELL_PLOT_H
#define FORETELL_PLOT_H

#include <foretell/describe.h>
#include <foretell/evaluate.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_plot_format { FTL_PLOT_SVG, FTL_PLOT_PNG, FTL_PLOT_PDF } ftl_plot_format;

/** How a picture looks. Zero-initialise for the defaults (so does a NULL style). */
typedef struct ftl_plot_style {
    double width, height; /**< of the whole picture, in points (1/72 inch), 72 to 14400; 0: 720 x 432 for one chart,
                               720 x 216 a panel for components, 400 to 240 wide a chart in grids */
    double scale;         /**< PNG pixels per point; 0: 2. At most 32767 pixels a side, 2^27 in all */
    bool dark;            /**< light strokes on a dark ground */
    const char *title;    /**< NULL: the id of the series, if any */
    bool changepoints;    /**< mark the changepoints of the items' models */
    size_t history_rows;  /**< show only the last so many observations; 0: all */
    const char *x_label;  /**< NULL: "ds"; "": none. Grids and seasonal panels do without */
    const char *y_label;  /**< NULL: "y"; "": none. Grids do without, panels have their component's name */
} ftl_plot_style;

/** One chart: a series with its forecast. Both borrowed. */
typedef struct ftl_plot_item {
    const ftl_series *series;     /**< observations as dots; NULL: none */
    const ftl_forecast *forecast; /**< line, bands of its central intervals, cap and floor; NULL: the series alone */
    const ftl_model *model;       /**< for its changepoints; NULL: none are marked */
} ftl_plot_item;

/**
 * Draws the forecast plot: observations as dots, the point forecast as a line, central intervals as bands (the widest
 * lightest), cap and floor dashed. Several items become a grid of small multiples, titled by their ids. Values that are not
 * finite are left out; times may lie anywhere. However many rows there are, the picture stays small.
 *
 * The same items, style and fonts give the same bytes.
 * @param items  [n_items], 1 to 100; the legend is that of the first
 * @param path   written whole or not at all; "-" is standard output
 * @return FTL_OK; FTL_EINVAL (no items or too many, size or scale, a series by index with a forecast by date);
 *         FTL_EIO; FTL_ENOMEM
 */
FTL_API ftl_status ftl_plot_forecast(const ftl_plot_item *items, size_t n_items, const ftl_plot_style *style,
                                     ftl_plot_format format, const char *path, ftl_error *err);

/**
 * Draws the components of one forecast as Prophet does: trend, holidays, weekly, yearly, other seasonalities over one
 * period, regressors; multiplicative ones in percent.
 * @param model     borrowed: its seasonal profiles are asked of it (ftl_model_profile()); NULL: none are drawn
 * @param forecast  made with components; a model other than Prophet shows all of them in their order
 * @return as ftl_plot_forecast(); FTL_EINVAL also when there are no components
 */
FTL_API ftl_status ftl_plot_components(const ftl_model *model, const ftl_forecast *forecast,
                                       const ftl_plot_style *style, ftl_plot_format format, const char *path,
                                       ftl_error *err);

/**
 * Draws descriptions (ftl_describe()): for each series its values with trend, outliers (dots) and shifts of the level
 * (verticals), the season and remainder of its STL, autocorrelations, and the spectrum by period.
 * @param series  [n], 1 to 4, the series that the descriptions [n] are of
 * @return as ftl_plot_forecast()
 */
FTL_API ftl_status ftl_plot_descriptions(const ftl_series *const *series, const ftl_description *const *descriptions,
                                         size_t n, const ftl_plot_style *style, ftl_plot_format format,
                                         const char *path, ftl_error *err);

/** Pictures of a benchmark. */
typedef enum ftl_summary_picture {
    FTL_PICTURE_RANKS, /**< average ranks with the critical difference; models that have all data sets */
    FTL_PICTURE_HEAT,  /**< relative scores, data sets down, models across */
    FTL_PICTURE_TIME   /**< relative score against time; models whose results say how long they took */
} ftl_summary_picture;
/** Draws one of them. Of the style width, height, scale, dark and title count. @return as ftl_plot_forecast() */
FTL_API ftl_status ftl_plot_summary(const ftl_summary *summary, ftl_summary_picture picture, ftl_metric metric,
                                    const ftl_plot_style *style, ftl_plot_format format, const char *path,
                                    ftl_error *err);

/** The format that a file name's ending asks for (.svg .png .pdf, any case). FTL_EINVAL for another one. */
FTL_API ftl_status ftl_plot_format_of(const char *path, ftl_plot_format *out, ftl_error *err);

#ifdef __cplusplus
}
#endif
#endif
