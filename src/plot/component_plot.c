/* The component plot: one panel below the other, as Prophet draws them. */
#include "plot/component_plot.h"

#include "base/alloc.h"
#include "base/error.h"
#include "forecast/forecaster.h"
#include "plot/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A panel is a component of the forecast over time, or a profile over its period; the other pointer is NULL. */
typedef struct panel {
    const fi_component *component;
    const ftl_profile *profile;
} panel;

typedef struct panels {
    panel *panel;
    size_t n;
} panels;

/* ---- which panels ---- */

static const fi_component *find_component(const ftl_forecast *fc, const char *name)
{
    for (size_t i = 0; i < fc->n_components; i++)
        if (!strcmp(fc->components[i].name, name)) return &fc->components[i];
    return NULL;
}

static void add_component(panels *p, const fi_component *component)
{
    if (component) p->panel[p->n++] = (panel){component, NULL};
}

/* Weekly, yearly, then the others by name. */
static int compare_profiles(const void *a, const void *b)
{
    const char *name[2] = {((const panel *)a)->profile->name, ((const panel *)b)->profile->name};
    int rank[2];
    for (int i = 0; i < 2; i++) rank[i] = !strcmp(name[i], "weekly") ? 0 : !strcmp(name[i], "yearly") ? 1 : 2;
    return rank[0] != rank[1] ? rank[0] - rank[1] : strcmp(name[0], name[1]);
}

static void add_profiles(panels *p, ftl_profile *const *profiles, size_t n)
{
    size_t first = p->n;
    for (size_t i = 0; i < n; i++)
        if (profiles[i]->n) p->panel[p->n++] = (panel){NULL, profiles[i]};
    qsort(p->panel + first, p->n - first, sizeof *p->panel, compare_profiles);
}

static void choose_panels(const ftl_forecast *fc, ftl_profile *const *profiles, size_t n_profiles, panels *p)
{
    if (find_component(fc, "additive_terms") || find_component(fc, "multiplicative_terms")) {
        add_component(p, find_component(fc, "trend"));
        add_component(p, find_component(fc, "holidays"));
        add_profiles(p, profiles, n_profiles);
        add_component(p, find_component(fc, "extra_regressors_additive"));
        add_component(p, find_component(fc, "extra_regressors_multiplicative"));
        return;
    }
    for (size_t i = 0; i < fc->n_components; i++) add_component(p, &fc->components[i]);
    add_profiles(p, profiles, n_profiles);
}

/* ---- one panel ---- */

static ftl_status component_layers(const ftl_forecast *fc, const fi_component *c, size_t row, fi_layers *out,
                                   ftl_error *err)
{
    bool trend = !strcmp(c->name, "trend");
    ftl_status st = fi_layers_init(out, fc, 3, err);
    if (st) return st;
    if (c->q) fi_layers_add_bands(out, fc, c->q, row);
    fi_layers_add_row(out, fc, FI_MARK_LINE, c->value, row);
    if (trend) fi_layers_add_row(out, fc, FI_MARK_LIMIT, fc->cap, row);
    if (trend) fi_layers_add_row(out, fc, FI_MARK_LIMIT, fc->floor, row);
    return FTL_OK;
}

static ftl_status profile_layers(const ftl_profile *p, fi_layers *out, ftl_error *err)
{
    ftl_status st = fi_layers_init(out, NULL, 1, err);
    if (st) return st;
    out->layer[out->n++] = (fi_layer){FI_MARK_LINE, p->times, p->values, NULL, p->n, 1, 0};
    return FTL_OK;
}

/* What the horizontal axis of a season says depends on its period alone. */
static void profile_axis(const ftl_profile *p, fi_chart *chart)
{
    if (p->period_days == 7) {
        chart->x_kind = FI_X_WEEKDAY;
        chart->x_label = "Day of week";
    } else if (p->period_days > 365 && p->period_days < 366.5) {
        chart->x_kind = FI_X_YEARDAY;
        chart->x_label = "Day of year";
    } else if (p->period_days >= 0.5 && p->period_days <= 2) {
        chart->x_kind = FI_X_HOUR;
        chart->x_label = p->period_days == 1 ? "Hour of day" : "Hours";
    } else {
        chart->x_kind = FI_X_DAYS;
        chart->x_label = "Days";
    }
}

/* Makes the chart of a panel; its layers are borrowed from `layers`. */
static ftl_status panel_chart(const panel *p, const ftl_forecast *fc, const ftl_plot_style *style, size_t row,
                              fi_chart *chart, fi_layers *layers, ftl_error *err)
{
    ftl_status st;
    if (p->component) {
        st = component_layers(fc, p->component, row, layers, err);
        chart->x_kind = fi_x_kind_of(fc->kind);
        chart->x_label = fi_label_or(style->x_label, "ds");
        chart->y_label = p->component->name;
        chart->percent = p->component->multiplicative;
    } else {
        st = profile_layers(p->profile, layers, err);
        profile_axis(p->profile, chart);
        chart->y_label = p->profile->name;
        chart->percent = p->profile->multiplicative;
    }
    chart->layers = layers->layer;
    chart->n_layers = layers->n;
    return st;
}

/* ---- the page ---- */

/* Twice over the panels: to find the left margin that suits all, and to draw them. */
static ftl_status draw_panels(fi_canvas *canvas, const panels *p, const ftl_forecast *fc, const ftl_plot_style *style,
                              ftl_error *err)
{
    size_t keep = style->history_rows, row = keep && fc->n_history > keep ? fc->n_history - keep : 0;
    double font = fi_font_for(canvas->width, canvas->height / (double)p->n), left = 0;
    double top = fi_page_head(canvas, style->title ? style->title : fc->id, NULL, font);
    double height = fmax((canvas->height - top) / (double)p->n, 1);
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < 2 * p->n && st == FTL_OK; i++) {
        bool draw = i >= p->n;
        fi_box box = {0, top + (double)(i % p->n) * height, canvas->width, height};
        fi_chart chart = {.font = font, .left = left, .right = font * 3};
        fi_layers layers;
        st = panel_chart(&p->panel[i % p->n], fc, style, row, &chart, &layers, err);
        if (st == FTL_OK && draw) st = fi_chart_draw(canvas, &chart, box, err);
        if (st == FTL_OK && !draw) left = fmax(left, fi_chart_left(canvas, &chart, box));
        fi_layers_release(&layers);
    }
    return st;
}

ftl_status fi_plot_panels(const ftl_forecast *fc, ftl_profile *const *profiles, size_t n_profiles,
                          const ftl_plot_style *style, ftl_plot_format format, const char *path, ftl_error *err)
{
    static const ftl_plot_style defaults = {0};
    if (!style) style = &defaults;
    panels p = {fi_alloc(fc->n_components + n_profiles, sizeof *p.panel), 0};
    fi_canvas canvas = {0};
    ftl_status st = p.panel ? FTL_OK : fi_fail_memory(err);
    if (st) goto done;
    choose_panels(fc, profiles, n_profiles, &p);
    if (!p.n) {
        st = fi_fail(err, FTL_EINVAL,
                     "forecast '%s' has no components to plot; predict with components, with a model that gives them",
                     fc->id ? fc->id : "");
        goto done;
    }
    double width = style->width != 0 ? style->width : 720;
    double height = style->height != 0 ? style->height : fi_page_height(width * 0.3 * (double)p.n + 24);
    st = fi_canvas_init(&canvas, width, height, style, format, err);
    if (st == FTL_OK) st = draw_panels(&canvas, &p, fc, style, err);
    if (st == FTL_OK) st = fi_canvas_save(&canvas, path, err);
done:
    fi_canvas_release(&canvas);
    fi_free(p.panel);
    return st;
}

ftl_status ftl_plot_components(const ftl_model *model, const ftl_forecast *forecast, const ftl_plot_style *style,
                               ftl_plot_format format, const char *path, ftl_error *err)
{
    size_t n = model ? ftl_model_n_profiles(model) : 0;
    ftl_profile **profiles = fi_calloc(n, sizeof *profiles);
    ftl_status st = profiles ? FTL_OK : fi_fail_memory(err);
    for (size_t i = 0; i < n && st == FTL_OK; i++) st = ftl_model_profile(model, i, &profiles[i], err);
    if (st == FTL_OK) st = fi_plot_panels(forecast, profiles, n, style, format, path, err);
    for (size_t i = 0; profiles && i < n; i++) ftl_profile_free(profiles[i]);
    fi_free(profiles);
    return st;
}
