/* Pictures of a benchmark: average ranks, relative scores by data set, score against time. */
#include <foretell/plot.h>

#include "base/error.h"
#include "plot/axis.h"
#include "plot/canvas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double FONT = 10, GAP = 8;

typedef struct page {
    fi_canvas canvas;
    const ftl_summary *summary;
    ftl_metric metric;
    double top; /* below the title */
} page;

static const char *metric_name(ftl_metric metric)
{
    return metric == FTL_METRIC_WQL ? "WQL" : "MASE";
}

static double longest_name(page *p)
{
    double width = 0;
    for (size_t m = 0; m < ftl_summary_n_models(p->summary); m++)
        width = fmax(width, fi_canvas_measure(&p->canvas, ftl_summary_standing(p->summary, m)->model));
    return fmin(width, 200);
}

static void draw_title(page *p, const char *title, const char *otherwise)
{
    char text[FI_TEXT_MAX];
    fi_canvas_font(&p->canvas, 1.2 * FONT, true);
    fi_canvas_color(&p->canvas, p->canvas.theme->text);
    fi_canvas_fit(&p->canvas, title ? title : otherwise, p->canvas.width - 2 * GAP, text);
    fi_canvas_text(&p->canvas, GAP, GAP + 1.2 * FONT, FI_LEFT, text);
    fi_canvas_font(&p->canvas, FONT, false);
    p->top = 2 * GAP + 1.6 * FONT;
}

static void draw_name(page *p, double x, double y, fi_anchor anchor, double width, const char *name)
{
    char text[FI_TEXT_MAX];
    fi_canvas_fit(&p->canvas, name, width, text);
    fi_canvas_color(&p->canvas, p->canvas.theme->text);
    fi_canvas_text(&p->canvas, x, y, anchor, text);
    fi_canvas_font(&p->canvas, FONT, false);
}

static void draw_line(page *p, double x0, double y0, double x1, double y1, double width, fi_rgba color)
{
    fi_canvas_color(&p->canvas, color);
    cairo_set_line_width(p->canvas.cr, width);
    cairo_move_to(p->canvas.cr, fi_round_point(x0), fi_round_point(y0));
    cairo_line_to(p->canvas.cr, fi_round_point(x1), fi_round_point(y1));
    cairo_stroke(p->canvas.cr);
}

static void draw_dot(page *p, double x, double y)
{
    fi_canvas_color(&p->canvas, p->canvas.theme->line);
    cairo_arc(p->canvas.cr, fi_round_point(x), fi_round_point(y), 4, 0, 2 * acos(-1));
    cairo_fill(p->canvas.cr);
}

/* An axis along the bottom of a box from lo to hi with its ticks and grid; returns nothing: x = box.x + w (v - lo)/(hi - lo). */
static void draw_axis(page *p, fi_box box, double lo, double hi, const char *label)
{
    fi_ticks ticks;
    fi_ticks_number(lo, hi, (size_t)fmax(2, box.w / 60), false, &ticks);
    for (size_t i = 0; i < ticks.n; i++) {
        double x = box.x + box.w * ticks.tick[i].at;
        draw_line(p, x, box.y, x, box.y + box.h, 0.5, p->canvas.theme->grid);
        draw_name(p, x, box.y + box.h + 1.4 * FONT, FI_CENTRE, 100, ticks.tick[i].label);
    }
    draw_line(p, box.x, box.y + box.h, box.x + box.w, box.y + box.h, 0.8, p->canvas.theme->axis);
    draw_name(p, box.x + box.w / 2, box.y + box.h + 3 * FONT, FI_CENTRE, box.w, label);
}

/* ---- average ranks ---------------------------------------------------------------------------------------------- */

/* The models that have ranks, best first. Returns how many. */
static size_t ranked(const page *p, size_t *order, size_t most)
{
    size_t n = 0;
    for (size_t m = 0; m < ftl_summary_n_models(p->summary) && n < most; m++) {
        double rank = ftl_summary_standing(p->summary, m)->rank[p->metric];
        if (isnan(rank)) continue;
        size_t at = n++;
        while (at && ftl_summary_standing(p->summary, order[at - 1])->rank[p->metric] > rank) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = m;
    }
    return n;
}

/* A dot at each average rank with half the critical difference either way: bars that do not meet differ significantly. */
static void draw_ranks(page *p)
{
    size_t order[256], n = ranked(p, order, 256);
    double names = longest_name(p), line = 1.9 * FONT, half = ftl_summary_critical_difference(p->summary) / 2;
    fi_box box = {GAP + names + GAP, p->top, p->canvas.width - names - 4 * GAP, line * (double)n};
    double lo = 0.5 - half, hi = (double)n + 0.5 + half;
    draw_axis(p, box, lo, hi, "average rank; bars that do not overlap differ at 5 % (Nemenyi)");
    for (size_t i = 0; i < n; i++) {
        const ftl_standing *s = ftl_summary_standing(p->summary, order[i]);
        double y = box.y + line * ((double)i + 0.5), x = box.x + box.w * (s->rank[p->metric] - lo) / (hi - lo);
        double reach = box.w * half / (hi - lo);
        draw_name(p, box.x - GAP, y + 0.35 * FONT, FI_RIGHT, names, s->model);
        draw_line(p, x - reach, y, x + reach, y, 1.5, p->canvas.theme->line);
        draw_dot(p, x, y);
    }
}

/* ---- relative scores by data set -------------------------------------------------------------------------------- */

/* Blue where a model beats the baseline, red where the baseline wins, strongest from a factor of two on. */
static fi_rgba heat(const fi_theme *theme, double relative)
{
    double x = fmax(-1, fmin(1, log2(relative)));
    fi_rgba to = x < 0 ? theme->line : theme->event;
    to.a = 0.75 * sqrt(fabs(x));
    return to;
}

static void draw_cell(page *p, fi_box cell, double relative)
{
    char text[32];
    if (isnan(relative)) return;
    fi_canvas_color(&p->canvas, heat(p->canvas.theme, relative));
    cairo_rectangle(p->canvas.cr, fi_round_point(cell.x), fi_round_point(cell.y), fi_round_point(cell.w - 1),
                    fi_round_point(cell.h - 1));
    cairo_fill(p->canvas.cr);
    snprintf(text, sizeof text, relative < 9.995 ? "%.2f" : "%.3g", relative);
    draw_name(p, cell.x + cell.w / 2, cell.y + cell.h / 2 + 0.35 * FONT, FI_CENTRE, cell.w, text);
}

static const double CELL_W = 44, CELL_H = 18;

static void draw_heat(page *p)
{
    const ftl_summary *s = p->summary;
    double left = 0, head = longest_name(p) + GAP;
    for (size_t i = 0; i < ftl_summary_n_sets(s); i++)
        left = fmax(left, fi_canvas_measure(&p->canvas, ftl_summary_set(s, i)));
    left = fmin(left, 200) + 2 * GAP;
    for (size_t m = 0; m < ftl_summary_n_models(s); m++) {
        char text[FI_TEXT_MAX];
        fi_canvas_fit(&p->canvas, ftl_summary_standing(s, m)->model, 200, text);
        fi_canvas_color(&p->canvas, p->canvas.theme->text);
        fi_canvas_text_up(&p->canvas, left + CELL_W * ((double)m + 0.5) + 0.35 * FONT, p->top + head - GAP / 2, FI_LEFT,
                          text);
        fi_canvas_font(&p->canvas, FONT, false);
    }
    for (size_t i = 0; i < ftl_summary_n_sets(s); i++) {
        double y = p->top + head + CELL_H * (double)i;
        draw_name(p, left - GAP, y + CELL_H / 2 + 0.35 * FONT, FI_RIGHT, left - 2 * GAP, ftl_summary_set(s, i));
        for (size_t m = 0; m < ftl_summary_n_models(s); m++)
            draw_cell(p, (fi_box){left + CELL_W * (double)m, y, CELL_W, CELL_H},
                      ftl_summary_relative(s, p->metric, i, m));
    }
}

/* ---- score against time ----------------------------------------------------------------------------------------- */

static void extend(double value, double *lo, double *hi)
{
    *lo = fmin(*lo, value); /* both pass over NaN */
    *hi = fmax(*hi, value);
}

/* The horizontal axis is the logarithm of seconds; models without a time are left out. */
static void draw_time(page *p)
{
    const ftl_summary *s = p->summary;
    double lo_x = INFINITY, hi_x = -INFINITY, lo = INFINITY, hi = -INFINITY;
    for (size_t m = 0; m < ftl_summary_n_models(s); m++) {
        const ftl_standing *a = ftl_summary_standing(s, m);
        if (!(a->seconds > 0)) continue;
        extend(log10(a->seconds), &lo_x, &hi_x);
        extend(a->score[p->metric], &lo, &hi);
    }
    fi_box box = {6 * FONT, p->top + GAP, p->canvas.width - 6 * FONT - 14 * FONT, p->canvas.height - p->top - 6 * FONT};
    if (!(lo <= hi)) {
        draw_name(p, box.x, box.y + FONT, FI_LEFT, box.w, "no model has a time");
        return;
    }
    lo_x = floor(lo_x - 0.05), hi_x = ceil(hi_x + 0.05);
    double pad = fmax(0.02, 0.08 * (hi - lo));
    lo -= pad, hi += pad;
    fi_ticks ticks;
    fi_ticks_number(lo, hi, (size_t)fmax(2, box.h / 40), false, &ticks);
    for (size_t i = 0; i < ticks.n; i++) {
        double y = box.y + box.h * (1 - ticks.tick[i].at);
        draw_line(p, box.x, y, box.x + box.w, y, 0.5, p->canvas.theme->grid);
        draw_name(p, box.x - GAP / 2, y + 0.35 * FONT, FI_RIGHT, 5 * FONT, ticks.tick[i].label);
    }
    for (double e = lo_x; e <= hi_x; e++) {
        char text[32];
        double x = box.x + box.w * (e - lo_x) / (hi_x - lo_x);
        snprintf(text, sizeof text, "%g s", pow(10, e));
        draw_line(p, x, box.y, x, box.y + box.h, 0.5, p->canvas.theme->grid);
        draw_name(p, x, box.y + box.h + 1.4 * FONT, FI_CENTRE, 80, text);
    }
    draw_name(p, box.x + box.w / 2, box.y + box.h + 3 * FONT, FI_CENTRE, box.w, "time of all fits and forecasts");
    for (size_t m = 0; m < ftl_summary_n_models(s); m++) {
        const ftl_standing *a = ftl_summary_standing(s, m);
        if (!(a->seconds > 0)) continue;
        double x = box.x + box.w * (log10(a->seconds) - lo_x) / (hi_x - lo_x);
        double y = box.y + box.h * (hi - a->score[p->metric]) / (hi - lo);
        draw_dot(p, x, y);
        draw_name(p, x + GAP, y + 0.35 * FONT, FI_LEFT, 160, a->model);
    }
}

/* ---- the page --------------------------------------------------------------------------------------------------- */

/* Before there is a canvas to measure on: a letter is at most so wide, in units of the font's size. */
static double name_room(const char *name)
{
    return fmin(200, 0.65 * FONT * (double)strlen(name));
}

static void natural_size(const ftl_summary *s, ftl_summary_picture picture, double *width, double *height)
{
    double n = (double)ftl_summary_n_models(s), sets = (double)ftl_summary_n_sets(s), model = 0, set = 0;
    for (size_t m = 0; m < ftl_summary_n_models(s); m++)
        model = fmax(model, name_room(ftl_summary_standing(s, m)->model));
    for (size_t i = 0; i < ftl_summary_n_sets(s); i++) set = fmax(set, name_room(ftl_summary_set(s, i)));
    *width = picture == FTL_PICTURE_HEAT ? fmax(460, set + 4 * GAP + CELL_W * n) : 720;
    *height = picture == FTL_PICTURE_HEAT    ? model + 8 * GAP + CELL_H * sets
              : picture == FTL_PICTURE_RANKS ? 90 + 1.9 * FONT * n
                                             : 432;
}

ftl_status ftl_plot_summary(const ftl_summary *summary, ftl_summary_picture picture, ftl_metric metric,
                            const ftl_plot_style *style, ftl_plot_format format, const char *path, ftl_error *err)
{
    static const ftl_plot_style plain;
    static void (*const draw[])(page *) = {draw_ranks, draw_heat, draw_time};
    static const char *const titles[] = {"%s: average ranks over %zu data sets",
                                         "%s relative to the baseline, %zu data sets (below 1 is better)",
                                         "%s relative to the baseline over %zu data sets, against time"};
    char title[128];
    page p = {.summary = summary, .metric = metric};
    double width, height;
    if (!style) style = &plain;
    if ((size_t)picture >= sizeof draw / sizeof *draw || (size_t)metric >= FTL_N_METRICS)
        return fi_fail(err, FTL_EINVAL, "there is no such picture or metric of a summary");
    natural_size(summary, picture, &width, &height);
    if (style->width > 0) width = style->width;
    if (style->height > 0) height = style->height;
    ftl_status st = fi_canvas_init(&p.canvas, width, height, style, format, err);
    if (!st) {
        snprintf(title, sizeof title, titles[picture], metric_name(metric), ftl_summary_n_sets(summary));
        draw_title(&p, style->title, title);
        draw[picture](&p);
        st = fi_canvas_save(&p.canvas, path, err);
    }
    fi_canvas_release(&p.canvas);
    return st;
}
