/* What a forecast is made of. Forecasters fill it; everybody else uses the accessors or reads. */
#ifndef FI_FORECAST_FORECAST_H
#define FI_FORECAST_FORECAST_H

#include <foretell/forecast.h>

typedef struct fi_component {
    char *name;
    bool multiplicative;
    double *value; /* [n_rows] */
    double *q;     /* [n_rows, n_levels]; NULL when certain */
} fi_component;

struct ftl_forecast {
    char *id;
    const char *model, *point_kind; /* static */
    ftl_time_kind kind;
    size_t n_rows, n_history, n_levels, n_components, n_samples;
    ftl_time *ds;   /* [n_rows] */
    double *point;  /* [n_rows] */
    double *levels; /* [n_levels] */
    double *q;      /* [n_rows, n_levels] */
    fi_component *components;
    double *samples;     /* [n_rows, n_samples]; NULL without */
    double *cap, *floor; /* [n_rows] or NULL */
    char *target;        /* name of the target; NULL where there is but one */
    ftl_forecast **more; /* [n_more] of the further targets; owned */
    size_t n_more;
};

/* A forecast with all but components, samples, cap and floor allocated; point and q are NaN, ds unset. */
ftl_status fi_forecast_new(const char *id, const char *model, ftl_time_kind kind, size_t n_rows, const double *levels,
                           size_t n_levels, ftl_forecast **out, ftl_error *err);
/* Adds n components (names NULL, values NaN, q NULL) to a forecast that has none. */
ftl_status fi_forecast_add_components(ftl_forecast *forecast, size_t n, ftl_error *err);

#endif
