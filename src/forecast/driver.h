/* What the files of this room share: names as JSON, seeds, and the frequency of a series. */
#ifndef FI_FORECAST_DRIVER_H
#define FI_FORECAST_DRIVER_H

#include "forecast/forecaster.h"

/* A JSON string of any text: bytes that are not UTF-8 become U+FFFD. NULL only without memory. */
json_t *fi_json_name(const char *text);

/* The seed of one series of a run: the run's own where the id is "", else mixed with a hash of the id. */
uint64_t fi_series_seed(uint64_t seed, const char *id);

/*
 * Whether `freq` is a believable step of these ascending times: the grid between the first and the last has at most
 * 100 times as many points as there are rows. Times measured at any second of some years pass no such test.
 */
bool fi_freq_fits(const ftl_freq *freq, const ftl_time *times, size_t n);

/* *out is NULL when the series is already regular, else a copy on the grid of its frequency with NaN in the gaps. */
ftl_status fi_regularise(const ftl_series *series, const ftl_freq *freq, ftl_series **out, ftl_error *err);

/*
 * ftl_model_predict() for n models of one forecaster that has predict_batch, passing over those whose errors[i] has a
 * code. out[i] or errors[i] is set for each. FTL_OK, FTL_ECANCELLED or FTL_ENOMEM; after failure no out is set.
 */
ftl_status fi_models_predict(ftl_model *const *models, const ftl_predict_args *args, size_t n, ftl_progress_fn progress,
                             void *progress_user, ftl_forecast **out, ftl_error *errors);

/* Of the future rows of a panel those of a series; NULL `future` gives NULL. FTL_EDATA: there are none. */
ftl_status fi_find_future(const ftl_panel *future, const ftl_series *series, const ftl_series **out, ftl_error *err);

/* ftl_forecast_panel() for a forecaster that has predict_batch (batches.c). */
ftl_status fi_forecast_batches(const ftl_config *config, const ftl_panel *panel, const ftl_panel *future,
                               const ftl_fit_args *fit, const ftl_predict_args *predict, ftl_panel_fn sink, void *user,
                               ftl_error *err);

#endif
