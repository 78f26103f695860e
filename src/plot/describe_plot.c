/* Descriptions as pictures: a column a series, from the series itself down to its spectrum. */
#include "base/alloc.h"
#include "base/error.h"
#include "plot/parts.h"
#include "series/series.h"

#include <math.h>

enum { MAX_SERIES = 4, PANELS = 5, MAX_LAYERS = 4 };

/* What the panels of one series borrow. */
typedef struct column {
    const ftl_description *d;
    const char *id;
    ftl_time *outlier_times, *lags;              /* [n_outliers], [n_lags + 1] */
    double *outlier_values, *outlier_remainders; /* [n_outliers] */
    ftl_time shift_times[FTL_MAX_SHIFTS];
} column;

static void column_release(column *c)
{
    fi_free(c->outlier_times);
    fi_free(c->lags);
    fi_free(c->outlier_values);
    fi_free(c->outlier_remainders);
}

static ftl_status column_init(column *c, const ftl_series *series, const ftl_description *d, ftl_error *err)
{
    *c = (column){.d = d, .id = series->id};
    c->outlier_times = fi_alloc(d->n_outliers, sizeof *c->outlier_times);
    c->outlier_values = fi_alloc(d->n_outliers, sizeof *c->outlier_values);
    c->outlier_remainders = fi_alloc(d->n_outliers, sizeof *c->outlier_remainders);
    c->lags = fi_alloc(d->n_lags + 1, sizeof *c->lags);
    if (!c->outlier_times || !c->outlier_values || !c->outlier_remainders || !c->lags) return fi_fail_memory(err);
    for (size_t i = 0; i < d->n_outliers; i++) {
        size_t row = d->outliers[i];
        c->outlier_times[i] = d->times[row];
        c->outlier_values[i] = d->y[row];
        c->outlier_remainders[i] = d->remainder[row];
    }
    for (size_t i = 0; i < d->n_shifts; i++) c->shift_times[i] = d->times[d->shifts[i].row];
    for (size_t k = 0; k <= d->n_lags; k++) c->lags[k] = (ftl_time)k;
    return FTL_OK;
}

/* The layers of a panel into layer [MAX_LAYERS]; returns how many. */
static size_t panel_layers(const column *c, size_t panel, fi_layer *layer)
{
    const ftl_description *d = c->d;
    size_t n = 0;
    switch (panel) {
    case 0: /* gaps part a line; the trend is dashed, outliers are dots, shifts verticals */
        layer[n++] = (fi_layer){FI_MARK_LINE, d->times, d->y, NULL, d->n, 1, 0};
        layer[n++] = (fi_layer){FI_MARK_LIMIT, d->times, d->trend, NULL, d->n, 1, 0};
        layer[n++] = (fi_layer){FI_MARK_DOTS, c->outlier_times, c->outlier_values, NULL, d->n_outliers, 1, 0};
        layer[n++] = (fi_layer){FI_MARK_EVENT, c->shift_times, NULL, NULL, d->n_shifts, 1, 0};
        break;
    case 1: layer[n++] = (fi_layer){FI_MARK_LINE, d->times, d->season, NULL, d->n, 1, 0}; break;
    case 2:
        layer[n++] = (fi_layer){FI_MARK_LINE, d->times, d->remainder, NULL, d->n, 1, 0};
        layer[n++] = (fi_layer){FI_MARK_DOTS, c->outlier_times, c->outlier_remainders, NULL, d->n_outliers, 1, 0};
        break;
    case 3: layer[n++] = (fi_layer){FI_MARK_LINE, c->lags, d->acf, NULL, d->n_lags + 1, 1, 0}; break;
    default: layer[n++] = (fi_layer){FI_MARK_LINE, c->lags + 2, d->spectrum + 2, NULL, d->n_lags - 1, 1, 0};
    }
    return n;
}

static ftl_status draw_column(fi_canvas *canvas, const column *c, const ftl_plot_style *style, fi_box box,
                              ftl_error *err)
{
    static const char *const names[PANELS] = {"series and trend", "season", "remainder", "autocorrelation", "spectrum"};
    size_t n = c->d->acf ? PANELS : 1;
    double height = box.h / (double)n, font = fi_font_for(box.w, height), left = 0;
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < 2 * n && !st; i++) { /* first to find the margin that suits all, then to draw */
        size_t panel = i % n;
        fi_layer layers[MAX_LAYERS];
        fi_chart chart = {.title = panel          ? NULL
                                   : style->title ? style->title
                                                  : c->id,
                          .x_label = panel == 3   ? "lag"
                                     : panel == 4 ? "period"
                                                  : NULL,
                          .y_label = names[panel],
                          .x_kind = panel >= 3 ? FI_X_INDEX : fi_x_kind_of(c->d->kind),
                          .font = font,
                          .left = left,
                          .right = 2 * font,
                          .layers = layers};
        fi_box own = {box.x, box.y + (double)panel * height, box.w, height};
        chart.n_layers = panel_layers(c, panel, layers);
        if (i < n)
            left = fmax(left, fi_chart_left(canvas, &chart, own));
        else
            st = fi_chart_draw(canvas, &chart, own, err);
    }
    return st;
}

ftl_status ftl_plot_descriptions(const ftl_series *const *series, const ftl_description *const *descriptions, size_t n,
                                 const ftl_plot_style *style, ftl_plot_format format, const char *path, ftl_error *err)
{
    static const ftl_plot_style plain;
    fi_canvas canvas = {0};
    if (!style) style = &plain;
    if (n < 1 || n > MAX_SERIES)
        return fi_fail(err, FTL_EINVAL, "%zu series were to be drawn; descriptions are drawn of 1 to %d", n,
                       MAX_SERIES);
    double width = style->width > 0 ? style->width : n == 1 ? 720 : 480 * (double)n;
    double height = style->height > 0 ? style->height : 900;
    ftl_status st = fi_canvas_init(&canvas, width, height, style, format, err);
    for (size_t i = 0; i < n && !st; i++) {
        column c;
        const fi_box box = {width / (double)n * (double)i, 0, width / (double)n, height};
        st = column_init(&c, series[i], descriptions[i], err);
        if (!st) st = draw_column(&canvas, &c, style, box, err);
        column_release(&c);
    }
    if (!st) st = fi_canvas_save(&canvas, path, err);
    fi_canvas_release(&canvas);
    return st;
}
