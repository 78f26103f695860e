#include "plot/parts.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>

/* ---- layers ---- */

/* Index of the level opposite to level k (one minus it) and above it, or k where there is none. */
static size_t opposite(const ftl_forecast *fc, size_t k)
{
    for (size_t j = fc->n_levels; j-- > k + 1;)
        if (fabs(fc->levels[j] + fc->levels[k] - 1) < 1e-9) return j;
    return k;
}

static size_t count_bands(const ftl_forecast *fc)
{
    size_t n = 0;
    for (size_t k = 0; fc && k < fc->n_levels; k++) n += opposite(fc, k) > k;
    return n;
}

ftl_status fi_layers_init(fi_layers *layers, const ftl_forecast *forecast, size_t more, ftl_error *err)
{
    size_t n_bands = count_bands(forecast);
    *layers = (fi_layers){0};
    /* Bands lie on one another, so the widest is the lightest; however many there are, the line stays visible. */
    layers->band_alpha = fmin(0.2, 1 - pow(0.4, 1 / fmax(1, (double)n_bands)));
    layers->layer = fi_alloc(n_bands + more, sizeof *layers->layer);
    return layers->layer ? FTL_OK : fi_fail_memory(err);
}

void fi_layers_release(fi_layers *layers)
{
    fi_free(layers->layer);
    *layers = (fi_layers){0};
}

void fi_layers_add_bands(fi_layers *layers, const ftl_forecast *fc, const double *q, size_t row)
{
    q += row * fc->n_levels;
    for (size_t k = 0; k < fc->n_levels; k++) {
        size_t j = opposite(fc, k);
        if (j == k) continue;
        layers->narrowest = fc->levels[j] - fc->levels[k];
        if (!layers->n_bands++) layers->widest = layers->narrowest;
        layers->layer[layers->n++] =
            (fi_layer){FI_MARK_BAND, fc->ds + row, q + k, q + j, fc->n_rows - row, fc->n_levels, layers->band_alpha};
    }
}

void fi_layers_add_row(fi_layers *layers, const ftl_forecast *fc, fi_mark mark, const double *values, size_t row)
{
    if (values) layers->layer[layers->n++] = (fi_layer){mark, fc->ds + row, values + row, NULL, fc->n_rows - row, 1, 0};
}

fi_x_kind fi_x_kind_of(ftl_time_kind kind)
{
    return kind == FTL_TIME_INDEX ? FI_X_INDEX : kind == FTL_TIME_DATE ? FI_X_DATE : FI_X_DATETIME;
}

double fi_font_for(double width, double height)
{
    double font = width > 720 ? fmin(width / 72, 24) : fmin(fmax(width / 45, 6), 10);
    return fmin(font, fmax(height / 12, 4));
}

double fi_page_height(double height)
{
    return fmin(fmax(height, 72), 14400);
}

const char *fi_label_or(const char *label, const char *otherwise)
{
    return !label ? otherwise : *label ? label : NULL;
}

/* ---- the head of a page ---- */

typedef struct legend_entry {
    fi_mark mark;
    double alpha;
    char text[32];
} legend_entry;

enum { MAX_LEGEND = 4 };

static legend_entry band_entry(double share, double alpha)
{
    legend_entry e = {FI_MARK_BAND, alpha, ""};
    int tenths = (int)lround(share * 1000);
    if (tenths % 10)
        snprintf(e.text, sizeof e.text, "%d.%d%%", tenths / 10, tenths % 10);
    else
        snprintf(e.text, sizeof e.text, "%d%%", tenths / 10);
    return e;
}

/* Dots, line, the widest and the narrowest band, as far as there are any. */
static size_t legend_entries(const fi_layers *layers, legend_entry out[MAX_LEGEND])
{
    size_t n = 0;
    for (size_t i = 0; i < layers->n; i++) {
        if (layers->layer[i].mark == FI_MARK_DOTS) out[n++] = (legend_entry){FI_MARK_DOTS, 1, "observed"};
        if (layers->layer[i].mark == FI_MARK_LINE) out[n++] = (legend_entry){FI_MARK_LINE, 1, "forecast"};
    }
    if (layers->n_bands > 1) /* as dark as the bands below it make it */
        out[n++] = band_entry(layers->narrowest, 1 - pow(1 - layers->band_alpha, (double)layers->n_bands));
    if (layers->n_bands) out[n++] = band_entry(layers->widest, layers->band_alpha);
    return n;
}

static void draw_sample(fi_canvas *canvas, const legend_entry *e, double x, double y, double font)
{
    cairo_t *cr = canvas->cr;
    fi_rgba color = e->mark == FI_MARK_DOTS ? canvas->theme->dot : canvas->theme->line;
    color.a = e->alpha;
    fi_canvas_color(canvas, color);
    if (e->mark == FI_MARK_BAND) {
        cairo_rectangle(cr, x, y - font * 0.75, font * 1.6, font * 0.8);
        cairo_fill(cr);
        return;
    }
    cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_width(cr, font * (e->mark == FI_MARK_DOTS ? 0.34 : 0.17));
    cairo_move_to(cr, x + font * (e->mark == FI_MARK_DOTS ? 0.9 : 0.1), y - font * 0.36);
    cairo_line_to(cr, x + font * (e->mark == FI_MARK_DOTS ? 0.9 : 1.5), y - font * 0.36);
    cairo_stroke(cr);
}

/* Draws from the right edge; returns where the legend begins. It is left out where it would take most of the page. */
static double draw_legend(fi_canvas *canvas, const fi_layers *layers, double y, double font)
{
    legend_entry entry[MAX_LEGEND];
    size_t n = legend_entries(layers, entry);
    double width = 0, right = canvas->width - font, x;
    fi_canvas_font(canvas, font * 0.95, false);
    for (size_t i = 0; i < n; i++) width += fi_canvas_measure(canvas, entry[i].text) + font * 3.4;
    if (width > canvas->width * 0.7) return right;
    x = right - width + font * 1.2;
    for (size_t i = 0; i < n; i++) {
        draw_sample(canvas, &entry[i], x, y, font);
        fi_canvas_color(canvas, canvas->theme->text);
        fi_canvas_text(canvas, x + font * 2.1, y, FI_LEFT, entry[i].text);
        x += fi_canvas_measure(canvas, entry[i].text) + font * 3.4;
    }
    return right - width;
}

double fi_page_head(fi_canvas *canvas, const char *title, const fi_layers *legend, double font)
{
    char clean[FI_TEXT_MAX];
    double y = font * 1.9, right = canvas->width - font;
    if (legend) right = draw_legend(canvas, legend, y, font);
    if (title && *title) {
        fi_canvas_font(canvas, font * 1.25, true);
        fi_canvas_color(canvas, canvas->theme->text);
        fi_canvas_fit(canvas, title, right - font * 2, clean);
        fi_canvas_text(canvas, font, y, FI_LEFT, clean);
    } else if (!legend) {
        return font * 0.6;
    }
    return font * 2.6;
}
