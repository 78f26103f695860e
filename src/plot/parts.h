/* What the two kinds of picture share: layers out of a forecast, and the head of a page. */
#ifndef FI_PLOT_PARTS_H
#define FI_PLOT_PARTS_H

#include "forecast/forecast.h"
#include "plot/chart.h"

/* Layers of one chart, from back to front. */
typedef struct fi_layers {
    fi_layer *layer;
    size_t n, n_bands;
    double widest, narrowest; /* share of probability in the first and in the last band */
    double band_alpha;
} fi_layers;

/* Room for the bands of a forecast (NULL: of none) and `more` layers. fi_layers_release(). */
ftl_status fi_layers_init(fi_layers *layers, const ftl_forecast *forecast, size_t more, ftl_error *err);
void fi_layers_release(fi_layers *layers);
/* The central intervals among quantiles q [n_rows, n_levels] as bands, the widest first. Rows before `row` are left out. */
void fi_layers_add_bands(fi_layers *layers, const ftl_forecast *forecast, const double *q, size_t row);
/* values [n_rows] of the forecast as one layer; nothing where values is NULL. */
void fi_layers_add_row(fi_layers *layers, const ftl_forecast *forecast, fi_mark mark, const double *values, size_t row);

fi_x_kind fi_x_kind_of(ftl_time_kind kind);
/* Size of the labels of a chart of that size. */
double fi_font_for(double width, double height);
/* A height that nobody asked for, kept within what can be drawn. */
double fi_page_height(double height);
/* The text of an axis: NULL is `otherwise`, "" is none (NULL). */
const char *fi_label_or(const char *label, const char *otherwise);

/*
 * Draws the title and, right of it, a legend of the first bands, lines and dots of `legend` (NULL: none) along the top of
 * the page. Returns the height this took.
 */
double fi_page_head(fi_canvas *canvas, const char *title, const fi_layers *legend, double font);

#endif
