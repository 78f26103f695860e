/* The forecasters of this room. */
#ifndef FI_STATS_STATS_H
#define FI_STATS_STATS_H

#include "forecast/forecaster.h"

extern const ftl_forecaster seasonal_naive_forecaster, naive_forecaster;                              /* naive.c */
extern const ftl_forecaster drift_forecaster;                                                         /* drift.c */
extern const ftl_forecaster mean_forecaster, window_mean_forecaster, seasonal_window_mean_forecaster; /* mean.c */
extern const ftl_forecaster arima_forecaster, auto_arima_forecaster; /* "arima", "auto-arima" */
extern const ftl_forecaster auto_ets_forecaster, ses_forecaster, holt_forecaster, damped_holt_forecaster,
    holt_winters_forecaster;                                         /* ets.c */
extern const ftl_forecaster theta_forecaster, auto_theta_forecaster; /* theta.c */
extern const ftl_forecaster croston_forecaster, sba_forecaster, tsb_forecaster, adida_forecaster,
    imapa_forecaster;                                        /* intermittent.c */
extern const ftl_forecaster mstl_forecaster, stl_forecaster; /* mstl.c */
extern const ftl_forecaster ensemble_forecaster;             /* ensemble.c */

#endif
