/* One chart: layers of marks over a pair of axes. Knows nothing of forecasts. */
#ifndef FI_PLOT_CHART_H
#define FI_PLOT_CHART_H

#include "plot/axis.h"
#include "plot/canvas.h"

typedef enum fi_mark {
    FI_MARK_BAND, /* between y and y2 */
    FI_MARK_LINE,
    FI_MARK_LIMIT, /* a dashed line */
    FI_MARK_DOTS,
    FI_MARK_EVENT /* dashed verticals at x; no y */
} fi_mark;

/* Rows that are not finite are left out. All borrowed. */
typedef struct fi_layer {
    fi_mark mark;
    const ftl_time *x;    /* [n] */
    const double *y, *y2; /* element i at [i * stride] */
    size_t n, stride;
    double alpha; /* of a band */
} fi_layer;

typedef struct fi_chart {
    const char *title, *x_label, *y_label; /* NULL: none */
    fi_x_kind x_kind;
    bool percent;           /* the values are shares */
    double font;            /* size of the labels, in points; marks follow it */
    double left, right;     /* least margins in points, to line charts up */
    const fi_layer *layers; /* [n_layers] from back to front */
    size_t n_layers;
} fi_chart;

/* The left margin the chart needs for its labels in a box. */
double fi_chart_left(fi_canvas *canvas, const fi_chart *chart, fi_box box);
/* Draws a chart into a box, margins included. Fails only without memory. */
ftl_status fi_chart_draw(fi_canvas *canvas, const fi_chart *chart, fi_box box, ftl_error *err);

#endif
