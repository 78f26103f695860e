/* The forecasters: the one file that knows every system. The first one is the default of the command line. */
#include "chronos/forecaster.h"
#include "eval/auto.h"
#include "prophet/prophet.h"
#include "stats/stats.h"

/* clang-format off: one a line */
const ftl_forecaster *const fi_forecasters[] = {
    &prophet_forecaster,
    &seasonal_naive_forecaster,
    &naive_forecaster,
    &drift_forecaster,
    &mean_forecaster,
    &window_mean_forecaster,
    &seasonal_window_mean_forecaster,
    &arima_forecaster,
    &auto_arima_forecaster,
    &auto_ets_forecaster,
    &ses_forecaster,
    &holt_forecaster,
    &damped_holt_forecaster,
    &holt_winters_forecaster,
    &theta_forecaster,
    &auto_theta_forecaster,
    &croston_forecaster,
    &sba_forecaster,
    &tsb_forecaster,
    &adida_forecaster,
    &imapa_forecaster,
    &mstl_forecaster,
    &stl_forecaster,
    &ensemble_forecaster,
    &chronos_forecaster,
    &auto_forecaster,
};
/* clang-format on */
const size_t fi_n_forecasters = sizeof fi_forecasters / sizeof *fi_forecasters;
