#include "forecast/forecast.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

ftl_status fi_forecast_new(const char *id, const char *model, ftl_time_kind kind, size_t n_rows, const double *levels,
                           size_t n_levels, ftl_forecast **out, ftl_error *err)
{
    *out = NULL;
    ftl_forecast *fc = fi_calloc(1, sizeof *fc);
    if (!fc) return fi_fail_memory(err);
    fc->model = model;
    fc->point_kind = "mean";
    fc->kind = kind;
    fc->n_rows = n_rows;
    fc->n_levels = n_levels;
    fc->id = fi_strdup(id);
    fc->ds = fi_calloc(n_rows, sizeof *fc->ds);
    fc->point = fi_alloc(n_rows, sizeof *fc->point);
    fc->levels = fi_alloc(n_levels, sizeof *fc->levels);
    fc->q = n_levels && n_rows > (size_t)-1 / n_levels ? NULL : fi_alloc(n_rows * n_levels, sizeof *fc->q);
    if (!fc->id || !fc->ds || !fc->point || !fc->levels || !fc->q) {
        ftl_forecast_free(fc);
        return fi_fail_memory(err);
    }
    if (n_levels) memcpy(fc->levels, levels, n_levels * sizeof *levels);
    for (size_t i = 0; i < n_rows; i++) fc->point[i] = NAN;
    for (size_t i = 0; i < n_rows * n_levels; i++) fc->q[i] = NAN;
    *out = fc;
    return FTL_OK;
}

ftl_status fi_forecast_add_components(ftl_forecast *fc, size_t n, ftl_error *err)
{
    fc->components = fi_calloc(n, sizeof *fc->components);
    if (!fc->components) return fi_fail_memory(err);
    fc->n_components = n;
    for (size_t i = 0; i < n; i++) {
        double *value = fc->components[i].value = fi_alloc(fc->n_rows, sizeof *value);
        if (!value) return fi_fail_memory(err); /* ftl_forecast_free() takes what was made so far */
        for (size_t r = 0; r < fc->n_rows; r++) value[r] = NAN;
    }
    return FTL_OK;
}

void ftl_forecast_free(ftl_forecast *fc)
{
    if (!fc) return;
    for (size_t i = 0; i < fc->n_components; i++) {
        fi_free(fc->components[i].name);
        fi_free(fc->components[i].value);
        fi_free(fc->components[i].q);
    }
    fi_free(fc->components);
    fi_free(fc->id);
    fi_free(fc->ds);
    fi_free(fc->point);
    fi_free(fc->levels);
    fi_free(fc->q);
    fi_free(fc->samples);
    fi_free(fc->cap);
    fi_free(fc->floor);
    fi_free(fc->target);
    for (size_t i = 0; i < fc->n_more; i++) ftl_forecast_free(fc->more[i]);
    fi_free(fc->more);
    fi_free(fc);
}

const char *ftl_forecast_id(const ftl_forecast *fc)
{
    return fc->id;
}

const char *ftl_forecast_model(const ftl_forecast *fc)
{
    return fc->model;
}

size_t ftl_forecast_n_rows(const ftl_forecast *fc)
{
    return fc->n_rows;
}

size_t ftl_forecast_n_history(const ftl_forecast *fc)
{
    return fc->n_history;
}

ftl_time_kind ftl_forecast_time_kind(const ftl_forecast *fc)
{
    return fc->kind;
}

const ftl_time *ftl_forecast_times(const ftl_forecast *fc)
{
    return fc->ds;
}

const double *ftl_forecast_point(const ftl_forecast *fc)
{
    return fc->point;
}

const char *ftl_forecast_point_kind(const ftl_forecast *fc)
{
    return fc->point_kind;
}

size_t ftl_forecast_n_levels(const ftl_forecast *fc)
{
    return fc->n_levels;
}

const double *ftl_forecast_levels(const ftl_forecast *fc)
{
    return fc->levels;
}

const double *ftl_forecast_quantiles(const ftl_forecast *fc)
{
    return fc->q;
}

size_t ftl_forecast_n_components(const ftl_forecast *fc)
{
    return fc->n_components;
}

const char *ftl_forecast_component_name(const ftl_forecast *fc, size_t i)
{
    return i < fc->n_components ? fc->components[i].name : NULL;
}

bool ftl_forecast_component_multiplicative(const ftl_forecast *fc, size_t i)
{
    return i < fc->n_components && fc->components[i].multiplicative;
}

const double *ftl_forecast_component(const ftl_forecast *fc, size_t i)
{
    return i < fc->n_components ? fc->components[i].value : NULL;
}

const double *ftl_forecast_component_quantiles(const ftl_forecast *fc, size_t i)
{
    return i < fc->n_components ? fc->components[i].q : NULL;
}

size_t ftl_forecast_n_samples(const ftl_forecast *fc)
{
    return fc->n_samples;
}

const double *ftl_forecast_samples(const ftl_forecast *fc)
{
    return fc->samples;
}

const double *ftl_forecast_cap(const ftl_forecast *fc)
{
    return fc->cap;
}

const double *ftl_forecast_floor(const ftl_forecast *fc)
{
    return fc->floor;
}

size_t ftl_forecast_n_targets(const ftl_forecast *fc)
{
    return 1 + fc->n_more;
}

const ftl_forecast *ftl_forecast_target(const ftl_forecast *fc, size_t i)
{
    return i == 0 ? fc : i <= fc->n_more ? fc->more[i - 1] : NULL;
}

const char *ftl_forecast_target_name(const ftl_forecast *fc)
{
    return fc->target;
}

void ftl_text_free(char *text)
{
    fi_free(text);
}
