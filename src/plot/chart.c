/*
 * Drawing one chart. A picture has finitely many points whatever the data: lines and bands are thinned to their extremes
 * per half point of width, dots to one a cell, so that a million rows draw as fast as a screen of them and look the same.
 */
#include "plot/chart.h"

#include "base/alloc.h"
#include "base/error.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Times beyond are drawn at the edge, so that differences never overflow. */
static const ftl_time far_time = INT64_C(1) << 61;
static const double column = 0.5; /* points: a pixel at the default scale */

typedef struct frame {
    fi_box box; /* of the marks */
    ftl_time x_lo, x_hi;
    double y_lo, y_hi;
    double font;
    bool empty; /* there is no value to draw */
} frame;

static ftl_time clamp_time(ftl_time t)
{
    return t < -far_time ? -far_time : t > far_time ? far_time : t;
}

static double map_x(const frame *f, ftl_time t)
{
    return f->box.x + f->box.w * (double)(clamp_time(t) - f->x_lo) / (double)(f->x_hi - f->x_lo);
}

/* In halves, because y_hi - y_lo may overflow. */
static double map_y(const frame *f, double y)
{
    return f->box.y + f->box.h * (1 - (y / 2 - f->y_lo / 2) / (f->y_hi / 2 - f->y_lo / 2));
}

/* ---- ranges ---- */

static void stretch(double y, frame *f)
{
    if (!isfinite(y)) return;
    if (y < f->y_lo) f->y_lo = y;
    if (y > f->y_hi) f->y_hi = y;
}

static void cover_layer(const fi_layer *layer, frame *f)
{
    for (size_t i = 0; i < layer->n; i++) {
        ftl_time t = clamp_time(layer->x[i]);
        if (t < f->x_lo) f->x_lo = t;
        if (t > f->x_hi) f->x_hi = t;
        if (layer->y) stretch(layer->y[i * layer->stride], f);
        if (layer->y2) stretch(layer->y2[i * layer->stride], f);
    }
}

/* Nothing at all gives 0..1; a single value gets room on both sides; else a margin, as wide as Prophet's. */
static void pad_y(frame *f)
{
    f->empty = f->y_lo > f->y_hi;
    if (f->empty) {
        f->y_lo = 0;
        f->y_hi = 1;
        return;
    }
    double size = fmax(fabs(f->y_lo), fabs(f->y_hi)), half = f->y_hi / 2 - f->y_lo / 2;
    double pad = half * 0.1;
    if (f->y_lo == f->y_hi)
        pad = size > 0 ? size * 0.1 : 1;
    else if (half < size * 1e-12)
        pad = size * 1e-12;
    if (pad < 1e-300) pad = 1e-300; /* below this, steps between ticks are no longer numbers */
    f->y_lo = fmax(f->y_lo - pad, -DBL_MAX);
    f->y_hi = fmin(f->y_hi + pad, DBL_MAX);
}

/* Axes of one period have no margin: they begin and end with it. */
static bool seasonal(fi_x_kind kind)
{
    return kind >= FI_X_WEEKDAY;
}

static void pad_x(fi_x_kind kind, frame *f)
{
    ftl_time unit = kind == FI_X_INDEX ? 1 : kind == FI_X_DATETIME ? FTL_DAY / 24 : FTL_DAY;
    if (f->x_lo > f->x_hi) f->x_lo = f->x_hi = 0;
    ftl_time pad = seasonal(kind) ? 0 : (f->x_hi - f->x_lo) / 40;
    if (f->x_lo == f->x_hi || (kind == FI_X_INDEX && pad < 1)) pad = unit;
    f->x_lo = clamp_time(f->x_lo - pad);
    f->x_hi = clamp_time(f->x_hi + pad);
    if (f->x_lo == f->x_hi) f->x_lo -= unit; /* all at the end of time */
}

static frame cover(const fi_chart *chart)
{
    frame f = {.x_lo = INT64_MAX, .x_hi = INT64_MIN, .y_lo = INFINITY, .y_hi = -INFINITY, .font = chart->font};
    for (size_t i = 0; i < chart->n_layers; i++)
        if (chart->layers[i].mark != FI_MARK_EVENT) cover_layer(&chart->layers[i], &f);
    pad_x(chart->x_kind, &f);
    pad_y(&f);
    return f;
}

/* ---- axes ---- */

static double measure(void *canvas, const char *text)
{
    return fi_canvas_measure(canvas, text);
}

static double widest_label(fi_canvas *canvas, const fi_ticks *ticks)
{
    double widest = 0;
    for (size_t i = 0; i < ticks->n; i++) widest = fmax(widest, fi_canvas_measure(canvas, ticks->tick[i].label));
    return widest;
}

/* One hairline from edge to edge for each tick. */
static void draw_grid(fi_canvas *canvas, const frame *f, const fi_ticks *x, const fi_ticks *y)
{
    cairo_t *cr = canvas->cr;
    for (size_t i = 0; i < x->n; i++) {
        double at = fi_round_point(f->box.x + x->tick[i].at * f->box.w);
        cairo_move_to(cr, at, f->box.y);
        cairo_line_to(cr, at, f->box.y + f->box.h);
    }
    for (size_t i = 0; i < y->n; i++) {
        double at = fi_round_point(f->box.y + (1 - y->tick[i].at) * f->box.h);
        cairo_move_to(cr, f->box.x, at);
        cairo_line_to(cr, f->box.x + f->box.w, at);
    }
    fi_canvas_color(canvas, canvas->theme->grid);
    cairo_set_line_width(cr, fmin(1, f->font * 0.09));
    cairo_stroke(cr);
    cairo_rectangle(cr, f->box.x, f->box.y, f->box.w, f->box.h);
    fi_canvas_color(canvas, canvas->theme->axis);
    cairo_set_line_width(cr, 0.7);
    cairo_stroke(cr);
}

static bool has_contexts(const fi_ticks *ticks)
{
    for (size_t i = 0; i < ticks->n; i++)
        if (ticks->tick[i].context[0]) return true;
    return false;
}

static void draw_x_labels(fi_canvas *canvas, const fi_chart *chart, const frame *f, const fi_ticks *ticks)
{
    double y = f->box.y + f->box.h + chart->font * 1.35;
    char label[FI_TEXT_MAX];
    for (size_t i = 0; i < ticks->n; i++) {
        const fi_tick *t = &ticks->tick[i];
        double x = f->box.x + t->at * f->box.w, half = fi_canvas_measure(canvas, t->label) / 2;
        x = fmin(fmax(x, half), canvas->width - half); /* a label stays on the page */
        fi_canvas_text(canvas, x, y, FI_CENTRE, t->label);
        if (!t->context[0]) continue;
        half = fi_canvas_measure(canvas, t->context) / 2;
        fi_canvas_text(canvas, fmin(fmax(x, half), canvas->width - half), y + chart->font * 1.2, FI_CENTRE, t->context);
    }
    if (!chart->x_label) return;
    fi_canvas_fit(canvas, chart->x_label, f->box.w, label);
    fi_canvas_text(canvas, f->box.x + f->box.w / 2, y + chart->font * (has_contexts(ticks) ? 2.7 : 1.5), FI_CENTRE,
                   label);
    fi_canvas_font(canvas, chart->font, false);
}

static void draw_y_labels(fi_canvas *canvas, const fi_chart *chart, const frame *f, const fi_ticks *ticks)
{
    for (size_t i = 0; i < ticks->n; i++)
        fi_canvas_text(canvas, f->box.x - chart->font * 0.5,
                       f->box.y + (1 - ticks->tick[i].at) * f->box.h + chart->font * 0.36, FI_RIGHT,
                       ticks->tick[i].label);
}

static void draw_y_title(fi_canvas *canvas, const fi_chart *chart, const frame *f, fi_box box)
{
    char label[FI_TEXT_MAX];
    if (!chart->y_label) return;
    fi_canvas_fit(canvas, chart->y_label, f->box.h, label);
    fi_canvas_text_up(canvas, box.x + chart->font * 1.3, f->box.y + f->box.h / 2, FI_CENTRE, label);
}

static void draw_title(fi_canvas *canvas, const fi_chart *chart, const frame *f)
{
    char title[FI_TEXT_MAX];
    if (!chart->title || !*chart->title) return;
    fi_canvas_font(canvas, chart->font * 1.15, true);
    fi_canvas_fit(canvas, chart->title, f->box.w, title);
    fi_canvas_text(canvas, f->box.x, f->box.y - chart->font * 0.6, FI_LEFT, title);
    fi_canvas_font(canvas, chart->font, false);
}

/* Heights above and below the marks; `contexts`: whether the labels of x have a second line. */
static double space_above(const fi_chart *chart)
{
    return chart->font * (chart->title && *chart->title ? 2.1 : 0.6);
}

static double space_below(const fi_chart *chart, bool contexts)
{
    return chart->font * (2 + (contexts ? 1.2 : 0) + (chart->x_label ? 1.5 : 0));
}

/* The ticks of y, for the height there is in any case, and the margin their labels need. */
static double y_ticks(fi_canvas *canvas, const fi_chart *chart, const frame *f, fi_box box, fi_ticks *out)
{
    double height = box.h - space_above(chart) - space_below(chart, true), most = height / (chart->font * 2.2);
    fi_canvas_font(canvas, chart->font, false);
    fi_ticks_number(f->y_lo, f->y_hi, (size_t)fmin(fmax(most, 2), 9), chart->percent, out);
    return fmax(widest_label(canvas, out), chart->font * 2) + chart->font * (chart->y_label ? 2.6 : 1);
}

double fi_chart_left(fi_canvas *canvas, const fi_chart *chart, fi_box box)
{
    fi_ticks ticks;
    frame f = cover(chart);
    return y_ticks(canvas, chart, &f, box, &ticks);
}

/* Lays the axes out, draws them and leaves f->box where the marks go. */
static void draw_axes(fi_canvas *canvas, const fi_chart *chart, fi_box box, frame *f)
{
    fi_ticks x, y;
    double font = chart->font, left = fmax(y_ticks(canvas, chart, f, box, &y), chart->left);
    f->box.x = box.x + left;
    f->box.w = fmax(box.w - left - fmax(font, chart->right), 1);
    fi_tick_room room = {f->box.w, font * 1.2, font * 4.2, measure, canvas};
    fi_ticks_time(chart->x_kind, f->x_lo, f->x_hi, &room, &x);
    f->box.y = box.y + space_above(chart);
    f->box.h = fmax(box.h - space_above(chart) - space_below(chart, has_contexts(&x)), 1);

    draw_grid(canvas, f, &x, &y);
    fi_canvas_color(canvas, canvas->theme->text);
    draw_x_labels(canvas, chart, f, &x);
    if (f->empty) {
        fi_canvas_color(canvas, canvas->theme->axis);
        fi_canvas_text(canvas, f->box.x + f->box.w / 2, f->box.y + f->box.h / 2, FI_CENTRE, "no values");
        fi_canvas_color(canvas, canvas->theme->text);
    } else {
        draw_y_labels(canvas, chart, f, &y);
    }
    draw_y_title(canvas, chart, f, box);
    draw_title(canvas, chart, f);
}

/* ---- lines ---- */

/* The rows that fall into one column: its first, lowest, highest and last point, in the order they came. */
typedef struct bucket {
    double column;
    size_t n;
    double x[4], y[4]; /* first, lowest, highest, last */
    bool low_first;
} bucket;

static void pen_to(cairo_t *cr, double x, double y)
{
    if (cairo_has_current_point(cr))
        cairo_line_to(cr, fi_round_point(x), fi_round_point(y));
    else
        cairo_move_to(cr, fi_round_point(x), fi_round_point(y));
}

static void flush_bucket(cairo_t *cr, bucket *b)
{
    int low = b->low_first ? 1 : 2, order[4] = {0, low, 3 - low, 3};
    for (int i = 0; i < 4 && b->n; i++) {
        int j = order[i], before = i ? order[i - 1] : j;
        if (i == 0 || b->x[j] != b->x[before] || b->y[j] != b->y[before]) pen_to(cr, b->x[j], b->y[j]);
    }
    b->n = 0;
}

static void bucket_add(cairo_t *cr, bucket *b, double x, double y)
{
    double at = floor(x / column);
    if (b->n && at != b->column) flush_bucket(cr, b);
    if (!b->n) {
        b->column = at;
        for (int i = 0; i < 4; i++) b->x[i] = x, b->y[i] = y;
    }
    if (y > b->y[1]) b->x[1] = x, b->y[1] = y, b->low_first = false;
    if (y < b->y[2]) b->x[2] = x, b->y[2] = y, b->low_first = true;
    b->x[3] = x;
    b->y[3] = y;
    b->n++;
}

static void dot(cairo_t *cr, double x, double y)
{
    cairo_move_to(cr, x, y); /* with round caps, a line of no length is a disc */
    cairo_line_to(cr, x, y);
}

/* How far the pen travels up and down, in points. */
static double rise_and_fall(const frame *f, const fi_layer *layer)
{
    double before = NAN, sum = 0;
    for (size_t i = 0; i < layer->n; i++) {
        double y = layer->y[i * layer->stride], at = isfinite(y) ? map_y(f, y) : NAN;
        if (!isnan(before) && !isnan(at)) sum += fabs(at - before);
        before = at;
    }
    return sum;
}

static void draw_line(fi_canvas *canvas, const frame *f, const fi_layer *layer, bool dashed)
{
    cairo_t *cr = canvas->cr;
    bool dense =
        rise_and_fall(f, layer) > 12 * f->box.w; /* a ribbon rather than a line: it should not drown the dots */
    const double width = f->font * (dense ? 0.1 : 0.15), dashes[2] = {f->font * 0.6, f->font * 0.35};
    bucket b = {0};
    size_t run = 0;
    cairo_new_path(cr);
    for (size_t i = 0; i <= layer->n; i++) {
        double y = i < layer->n ? layer->y[i * layer->stride] : NAN;
        if (isfinite(y)) {
            bucket_add(cr, &b, map_x(f, layer->x[i]), map_y(f, y));
            run++;
            continue;
        }
        flush_bucket(cr, &b); /* a gap, or the end */
        if (run == 1) {       /* a row alone would not be seen */
            double x, at_y;
            cairo_get_current_point(cr, &x, &at_y);
            cairo_new_sub_path(cr);
            cairo_arc(cr, x, at_y, width / 2, 0, 6.283185307179586);
        }
        cairo_new_sub_path(cr);
        run = 0;
    }
    fi_canvas_color(canvas, dashed ? canvas->theme->limit : canvas->theme->line);
    cairo_set_line_width(cr, dashed ? width * 0.8 : width);
    cairo_set_line_cap(cr, dashed ? CAIRO_LINE_CAP_BUTT : CAIRO_LINE_CAP_ROUND);
    if (dashed) cairo_set_dash(cr, dashes, 2, 0);
    cairo_stroke(cr);
    cairo_set_dash(cr, NULL, 0, 0);
}

/* ---- bands ---- */

static bool in_band(const fi_layer *layer, size_t i)
{
    return i < layer->n && isfinite(layer->y[i * layer->stride]) && isfinite(layer->y2[i * layer->stride]);
}

/* One edge of rows first .. last, walked in either direction: per column the value farthest out. */
static void band_edge(cairo_t *cr, const frame *f, const fi_layer *layer, size_t first, size_t last, bool upper)
{
    double at = 0, far_y = 0, x = 0;
    for (size_t k = 0; k <= last - first; k++) {
        size_t i = upper ? first + k : last - k;
        double next_x = map_x(f, layer->x[i]), y = map_y(f, (upper ? layer->y2 : layer->y)[i * layer->stride]);
        if (k && floor(next_x / column) == at) {
            far_y = upper ? fmin(far_y, y) : fmax(far_y, y);
            continue;
        }
        if (k) pen_to(cr, x, far_y);
        at = floor(next_x / column);
        x = next_x;
        far_y = y;
    }
    pen_to(cr, x, far_y);
}

static void draw_band(fi_canvas *canvas, const frame *f, const fi_layer *layer)
{
    cairo_t *cr = canvas->cr;
    fi_rgba color = canvas->theme->line;
    color.a = layer->alpha;
    cairo_new_path(cr);
    for (size_t first = 0; first < layer->n; first++) {
        if (!in_band(layer, first)) continue;
        size_t last = first;
        while (in_band(layer, last + 1)) last++;
        cairo_new_sub_path(cr);
        if (first == last) { /* a row alone gets some width */
            double x = map_x(f, layer->x[first]), low = map_y(f, layer->y[first * layer->stride]);
            double high = map_y(f, layer->y2[first * layer->stride]);
            cairo_rectangle(cr, x - f->font * 0.3, high, f->font * 0.6, low - high);
        } else {
            band_edge(cr, f, layer, first, last, true);
            band_edge(cr, f, layer, first, last, false);
            cairo_close_path(cr);
        }
        first = last;
    }
    fi_canvas_color(canvas, color);
    cairo_fill(cr);
}

/* ---- dots ---- */

enum { FEW_DOTS = 3000, MANY_DOTS = 50000, DOTS_A_STROKE = 1000 };

static void start_dots(fi_canvas *canvas, double size)
{
    fi_canvas_color(canvas, canvas->theme->dot);
    cairo_set_line_cap(canvas->cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_width(canvas->cr, size);
    cairo_new_path(canvas->cr);
}

static void draw_few_dots(fi_canvas *canvas, const frame *f, const fi_layer *layer)
{
    for (size_t i = 0; i < layer->n; i++) {
        double y = layer->y[i * layer->stride];
        if (isfinite(y)) dot(canvas->cr, fi_round_point(map_x(f, layer->x[i])), fi_round_point(map_y(f, y)));
        if (i % DOTS_A_STROKE == 0) cairo_stroke(canvas->cr); /* one path of all would cost cairo quadratic time */
    }
    cairo_stroke(canvas->cr);
}

/* The runs of occupied cells of one column, each as one stroke; gaps that dots cover anyway do not end a run. */
static size_t stroke_column(cairo_t *cr, const unsigned char *cells, size_t n, double x, double top, size_t covered)
{
    size_t strokes = 0;
    for (size_t first = 0; first < n; first++) {
        if (!cells[first]) continue;
        size_t last = first;
        for (size_t i = first + 1; i < n && i <= last + covered; i++)
            if (cells[i]) last = i;
        cairo_move_to(cr, x, fi_round_point(top + (double)first * column));
        cairo_line_to(cr, x, fi_round_point(top + (double)last * column));
        strokes++;
        first = last;
    }
    return strokes;
}

static ftl_status draw_many_dots(fi_canvas *canvas, const frame *f, const fi_layer *layer, double size, ftl_error *err)
{
    double across = layer->n > MANY_DOTS ? 2 * column : column; /* dots are wider than either */
    size_t n_columns = (size_t)(f->box.w / across) + 2, n_rows = (size_t)(f->box.h / column) + 2;
    size_t covered = (size_t)fmax(1, size / 2 / column), waiting = 0;
    unsigned char *cells = fi_calloc(n_columns, n_rows); /* [n_columns, n_rows] */
    if (!cells) return fi_fail_memory(err);
    for (size_t i = 0; i < layer->n; i++) {
        double y = layer->y[i * layer->stride];
        if (!isfinite(y)) continue;
        size_t c = (size_t)((map_x(f, layer->x[i]) - f->box.x) / across + 0.5);
        size_t r = (size_t)((map_y(f, y) - f->box.y) / column + 0.5);
        if (c < n_columns && r < n_rows) cells[c * n_rows + r] = 1;
    }
    for (size_t c = 0; c < n_columns; c++) {
        waiting += stroke_column(canvas->cr, cells + c * n_rows, n_rows, fi_round_point(f->box.x + (double)c * across),
                                 f->box.y, covered);
        if (waiting < DOTS_A_STROKE) continue;
        cairo_stroke(canvas->cr);
        waiting = 0;
    }
    cairo_stroke(canvas->cr);
    fi_free(cells);
    return FTL_OK;
}

static ftl_status draw_dots(fi_canvas *canvas, const frame *f, const fi_layer *layer, ftl_error *err)
{
    double size = f->font * (layer->n > FEW_DOTS ? 0.22 : 0.28);
    start_dots(canvas, size);
    if (layer->n > FEW_DOTS) return draw_many_dots(canvas, f, layer, size, err);
    draw_few_dots(canvas, f, layer);
    return FTL_OK;
}

static void draw_events(fi_canvas *canvas, const frame *f, const fi_layer *layer)
{
    const double dashes[2] = {f->font * 0.5, f->font * 0.35};
    cairo_new_path(canvas->cr);
    for (size_t i = 0; i < layer->n; i++) {
        if (layer->x[i] < f->x_lo || layer->x[i] > f->x_hi) continue;
        double x = fi_round_point(map_x(f, layer->x[i]));
        cairo_move_to(canvas->cr, x, f->box.y);
        cairo_line_to(canvas->cr, x, f->box.y + f->box.h);
    }
    fi_canvas_color(canvas, canvas->theme->event);
    cairo_set_line_cap(canvas->cr, CAIRO_LINE_CAP_BUTT);
    cairo_set_line_width(canvas->cr, f->font * 0.11);
    cairo_set_dash(canvas->cr, dashes, 2, 0);
    cairo_stroke(canvas->cr);
    cairo_set_dash(canvas->cr, NULL, 0, 0);
}

ftl_status fi_chart_draw(fi_canvas *canvas, const fi_chart *chart, fi_box box, ftl_error *err)
{
    frame f = cover(chart);
    ftl_status st = FTL_OK;
    draw_axes(canvas, chart, box, &f);
    for (size_t i = 0; i < chart->n_layers && st == FTL_OK; i++) {
        const fi_layer *layer = &chart->layers[i];
        switch (layer->mark) {
        case FI_MARK_BAND: draw_band(canvas, &f, layer); break;
        case FI_MARK_LINE: draw_line(canvas, &f, layer, false); break;
        case FI_MARK_LIMIT: draw_line(canvas, &f, layer, true); break;
        case FI_MARK_DOTS: st = draw_dots(canvas, &f, layer, err); break;
        case FI_MARK_EVENT: draw_events(canvas, &f, layer); break;
        }
    }
    return st;
}
