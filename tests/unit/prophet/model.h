/* Fitting and predicting through the public interface, for tests. */
#ifndef TESTS_PROPHET_MODEL_H
#define TESTS_PROPHET_MODEL_H

#include "setup.h"

static inline ftl_model *fit_model(const char *spec, const ftl_series *series)
{
    ftl_config *config = NULL;
    ftl_model *model = NULL;
    ftl_error err;
    if (ftl_config_new(spec, &config, &err) || ftl_model_fit(config, series, NULL, &model, &err))
        fail_msg("%s: %s", spec, err.message);
    ftl_config_free(config);
    return model;
}

static inline ftl_forecast *predict_model(const ftl_model *model, const ftl_predict_args *args)
{
    ftl_forecast *fc = NULL;
    ftl_error err;
    if (ftl_model_predict(model, args, &fc, &err)) fail_msg("%s", err.message);
    return fc;
}

static inline char *save_model(const ftl_model *model)
{
    char *text = NULL;
    ftl_error err;
    if (ftl_model_save_text(model, &text, &err)) fail_msg("%s", err.message);
    return text;
}

static inline ftl_model *load_model(const char *text)
{
    ftl_model *model = NULL;
    ftl_error err;
    if (ftl_model_load_text(text, strlen(text), "test", &model, &err)) fail_msg("%s", err.message);
    return model;
}

static inline const double *component_named(const ftl_forecast *fc, const char *name)
{
    for (size_t i = 0; i < ftl_forecast_n_components(fc); i++)
        if (!strcmp(ftl_forecast_component_name(fc, i), name)) return ftl_forecast_component(fc, i);
    fail_msg("no component '%s'", name);
    return NULL;
}

/* Whether two forecasts agree to the last bit. */
static inline bool same_forecast(const ftl_forecast *a, const ftl_forecast *b)
{
    size_t n = ftl_forecast_n_rows(a), L = ftl_forecast_n_levels(a), C = ftl_forecast_n_components(a);
    bool same = n == ftl_forecast_n_rows(b) && L == ftl_forecast_n_levels(b) && C == ftl_forecast_n_components(b);
    same = same && !memcmp(ftl_forecast_times(a), ftl_forecast_times(b), n * sizeof(ftl_time));
    same = same && !memcmp(ftl_forecast_point(a), ftl_forecast_point(b), n * sizeof(double));
    same = same && !memcmp(ftl_forecast_quantiles(a), ftl_forecast_quantiles(b), n * L * sizeof(double));
    for (size_t i = 0; same && i < C; i++)
        same = !memcmp(ftl_forecast_component(a, i), ftl_forecast_component(b, i), n * sizeof(double));
    return same;
}

#endif
