/* The forecast plot, alone or as a grid of small multiples. */
#include "plot/parts.h"

#include "base/alloc.h"
#include "base/error.h"
#include "forecast/forecaster.h"
#include "series/series.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { MAX_CHARTS = 100 };

/* ---- one item ---- */

/* Observations to show: all, or the last ones. */
static size_t first_observation(const ftl_series *s, size_t history_rows)
{
    return history_rows && history_rows < s->n_obs ? s->n_obs - history_rows : 0;
}

/* The first row of the forecast that is not before what is shown of the series. */
static size_t first_row(const ftl_plot_item *item, size_t history_rows)
{
    const ftl_forecast *fc = item->forecast;
    const ftl_series *s = item->series;
    size_t row = 0, first = s ? first_observation(s, history_rows) : 0;
    if (s && first)
        while (row < fc->n_rows && fc->ds[row] < fi_series_ds(s)[first]) row++;
    if (!s && history_rows && fc->n_history > history_rows) row = fc->n_history - history_rows;
    return row;
}

/* As Prophet stacks them: bands, observations, line, limits, changepoints. */
static ftl_status item_layers(const ftl_plot_item *item, const ftl_plot_style *style, fi_layers *out, ftl_error *err)
{
    const ftl_forecast *fc = item->forecast;
    const ftl_series *s = item->series;
    ftl_status st = fi_layers_init(out, fc, 5, err);
    if (st) return st;
    size_t row = fc ? first_row(item, style->history_rows) : 0;
    if (fc) fi_layers_add_bands(out, fc, fc->q, row);
    if (s) {
        size_t first = first_observation(s, style->history_rows);
        out->layer[out->n++] =
            (fi_layer){FI_MARK_DOTS, fi_series_ds(s) + first, fi_series_y(s) + first, NULL, s->n_obs - first, 1, 0};
    }
    if (fc) {
        fi_layers_add_row(out, fc, FI_MARK_LINE, fc->point, row);
        fi_layers_add_row(out, fc, FI_MARK_LIMIT, fc->cap, row);
        fi_layers_add_row(out, fc, FI_MARK_LIMIT, fc->floor, row);
    }
    if (style->changepoints && item->model) {
        size_t n = 0;
        const ftl_time *at = ftl_model_changepoints(item->model, &n);
        if (n) out->layer[out->n++] = (fi_layer){FI_MARK_EVENT, at, NULL, NULL, n, 1, 0};
    }
    return FTL_OK;
}

static fi_x_kind item_x_kind(const ftl_plot_item *item)
{
    return fi_x_kind_of(item->forecast ? item->forecast->kind : item->series->table->kind);
}

static const char *item_id(const ftl_plot_item *item)
{
    return item->series ? item->series->id : item->forecast->id;
}

/* ---- the page ---- */

typedef struct grid {
    size_t n, n_columns, n_rows;
    double width, height; /* of the page */
} grid;

static grid make_grid(size_t n, const ftl_plot_style *style)
{
    static const double cell_width[] = {720, 400, 320, 270, 250, 240};
    grid g = {.n = n};
    g.n_columns = n == 1 ? 1 : n <= 4 ? 2 : n <= 9 ? 3 : n <= 24 ? 4 : n <= 60 ? 5 : 6;
    g.n_rows = (n + g.n_columns - 1) / g.n_columns;
    g.width = style->width != 0 ? style->width : cell_width[g.n_columns - 1] * (double)g.n_columns;
    double cell_height = g.width / (double)g.n_columns * (n == 1 ? 0.6 : 0.64);
    g.height = style->height != 0 ? style->height : fi_page_height(cell_height * (double)g.n_rows + (n == 1 ? 0 : 24));
    return g;
}

/* The chart of one item; its layers are borrowed from `layers`. Those of a grid go without axis titles. */
static fi_chart item_chart(const ftl_plot_item *item, const ftl_plot_style *style, bool alone, double font,
                           const fi_layers *layers)
{
    return (fi_chart){.title = alone ? NULL : item_id(item),
                      .x_label = alone ? fi_label_or(style->x_label, "ds") : NULL,
                      .y_label = alone ? fi_label_or(style->y_label, "y") : NULL,
                      .x_kind = item_x_kind(item),
                      .font = font,
                      .right = alone ? 0 : font * 1.5,
                      .layers = layers->layer,
                      .n_layers = layers->n};
}

/* Twice over the items: to find the left margin that suits all, and to draw them. The head has the first one's legend. */
static ftl_status draw_items(fi_canvas *canvas, const ftl_plot_item *items, const grid *g, const ftl_plot_style *style,
                             ftl_error *err)
{
    bool alone = g->n == 1;
    const char *title = style->title ? style->title : alone ? item_id(items) : "";
    double width = canvas->width / (double)g->n_columns, height = canvas->height / (double)g->n_rows, top = 0, left = 0;
    double font = fi_font_for(width, height), gap = alone ? 0 : font * 0.8;
    ftl_status st = FTL_OK;
    for (size_t k = 0; k < 2 * g->n && st == FTL_OK; k++) {
        size_t i = k % g->n;
        fi_layers layers;
        if ((st = item_layers(&items[i], style, &layers, err))) break;
        if (k == g->n) {
            top = fi_page_head(canvas, title, &layers,
                               alone ? font : fmin(fi_font_for(canvas->width, canvas->height), 11));
            height = fmax((canvas->height - top) / (double)g->n_rows, 1);
        }
        fi_chart chart = item_chart(&items[i], style, alone, font, &layers);
        fi_box box = {(double)(i % g->n_columns) * width, top + (double)(i / g->n_columns) * height, width,
                      fmax(height - gap, 1)};
        if (k < g->n) {
            left = fmin(fmax(left, fi_chart_left(canvas, &chart, box)), width / 4);
        } else {
            chart.left = left;
            st = fi_chart_draw(canvas, &chart, box, err);
        }
        fi_layers_release(&layers);
    }
    return st;
}

static ftl_status check_items(const ftl_plot_item *items, size_t n, ftl_error *err)
{
    if (n == 0) return fi_fail(err, FTL_EINVAL, "there is nothing to plot: give at least one series or forecast");
    if (n > MAX_CHARTS)
        return fi_fail(err, FTL_EINVAL,
                       "%zu charts are too many for one picture (at most %d); choose some of the series, or draw "
                       "several pictures",
                       n, MAX_CHARTS);
    for (size_t i = 0; i < n; i++) {
        const ftl_plot_item *item = &items[i];
        if (!item->series && !item->forecast)
            return fi_fail(err, FTL_EINVAL, "chart %zu has neither a series nor a forecast", i + 1);
        if (item->series && item->forecast &&
            (item->series->table->kind == FTL_TIME_INDEX) != (item->forecast->kind == FTL_TIME_INDEX))
            return fi_fail(err, FTL_EINVAL,
                           "series '%s': of the series and its forecast one has dates and the other a whole-number "
                           "index; plot a forecast with the series it was made from",
                           item->series->id);
    }
    return FTL_OK;
}

ftl_status ftl_plot_forecast(const ftl_plot_item *items, size_t n_items, const ftl_plot_style *style,
                             ftl_plot_format format, const char *path, ftl_error *err)
{
    static const ftl_plot_style defaults = {0};
    if (!style) style = &defaults;
    ftl_status st = check_items(items, n_items, err);
    if (st) return st;
    grid g = make_grid(n_items, style);
    fi_canvas canvas;
    st = fi_canvas_init(&canvas, g.width, g.height, style, format, err);
    if (st == FTL_OK) st = draw_items(&canvas, items, &g, style, err);
    if (st == FTL_OK) st = fi_canvas_save(&canvas, path, err);
    fi_canvas_release(&canvas);
    return st;
}

ftl_status ftl_plot_format_of(const char *path, ftl_plot_format *out, ftl_error *err)
{
    static const struct {
        const char *ending;
        ftl_plot_format format;
    } formats[] = {{".svg", FTL_PLOT_SVG}, {".png", FTL_PLOT_PNG}, {".pdf", FTL_PLOT_PDF}};
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (n <= 4 || strcasecmp(path + n - 4, formats[i].ending)) continue;
        *out = formats[i].format;
        return FTL_OK;
    }
    return fi_fail(err, FTL_EINVAL, "'%s': cannot tell the picture's format; end the name with .svg, .png or .pdf",
                   path);
}
