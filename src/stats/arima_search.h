/*
 * Choosing an ARIMA model: differences by tests, orders by a search over an information criterion.
 *
 * Source: Hyndman & Khandakar (2008), Automatic time series forecasting: the forecast package for R, Journal of
 * Statistical Software 27(3), with the later rules of R's forecast 8 and 9.
 */
#ifndef FI_STATS_ARIMA_SEARCH_H
#define FI_STATS_ARIMA_SEARCH_H

#include "stats/arima_fit.h"
#include "stats/local.h"
#include "stats/unit_root.h"

typedef enum fi_arima_criterion { FI_AICC, FI_AIC, FI_BIC } fi_arima_criterion;
typedef enum fi_arima_estimator {
    FI_ESTIMATE_AUTO,
    FI_ESTIMATE_CSS_ML,
    FI_ESTIMATE_ML,
    FI_ESTIMATE_CSS
} fi_arima_estimator;
typedef enum fi_arima_approximation {
    FI_APPROXIMATE_AUTO,
    FI_APPROXIMATE_YES,
    FI_APPROXIMATE_NO
} fi_arima_approximation;

typedef struct fi_arima_search {
    fi_arima_order start, most; /* orders p, q, P, Q only */
    int64_t d, D;               /* -1: by tests */
    size_t max_d, max_D, max_order, n_models;
    bool stepwise, seasonal, stationary, mean, drift;
    fi_arima_criterion criterion;
    fi_root_test test;
    fi_season_test seasonal_test;
    fi_arima_estimator estimator;         /* auto: CSS in an approximate search, else CSS-ML */
    fi_arima_approximation approximation; /* auto: where there are more than 150 values or 12 steps in a season */
} fi_arima_search;

typedef struct fi_arima_choice {
    fi_arima_fit fit;
    size_t n_models;  /* fitted */
    bool approximate; /* the search went by conditional sums of squares */
    bool certain;     /* the values follow their differences exactly: nothing was there to fit */
    bool fallback;    /* no model passed the checks: only differences (and a constant) are left */
} fi_arima_choice;

/* The history must hold a value. FTL_ENOMEM, FTL_ECANCELLED. */
ftl_status fi_arima_choose(const fi_history *past, const fi_arima_search *search, fi_arima_choice *choice,
                           ftl_error *err);

/* Whether the Kalman filter over gaps would take too long in a fit, so that gaps are bridged there. */
bool fi_arima_bridges(const fi_history *past, const fi_arima_order *largest);

#endif
