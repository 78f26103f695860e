/*
 * Means: of the whole history, of a window of it, and of the same window at each place of the season.
 *
 *     y[t] = mu + e,   e ~ N(0, sigma^2),   mu estimated by the mean of the last k observations
 *
 * so a forecast has the variance sigma^2 (1 + 1/k). sigma^2 is the mean of e^2 k / (k + 1) over the one-step-ahead errors
 * e of the history, each from as many observations k as there were. For the whole history these are the recursive
 * residuals, and sigma is the usual standard deviation with divisor n - 1. Sources: Hyndman & Athanasopoulos,
 * Forecasting: Principles and Practice, 3rd ed., sections 5.2 and 5.5; Brown, Durbin & Evans (1975), J. R. Stat. Soc. B 37.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"
#include "stats/local.h"
#include "stats/stats.h"

#include <math.h>

typedef struct mean_config {
    fi_local_config local;
    int64_t window;
} mean_config;

typedef struct mean_state {
    size_t window, season;
    double sigma;
    double *means, *counts; /* [season] of the steps ahead: the mean, and of how many observations */
} mean_state;
static const fi_state_field mean_fields[] = {
    FI_FIELD(mean_state, window, FI_FIELD_COUNT), FI_FIELD(mean_state, sigma, FI_FIELD_REAL),
    FI_FIELD_ARRAY(mean_state, means, season), FI_FIELD_ARRAY(mean_state, counts, season)};

enum { USUAL_WINDOW = 10, USUAL_SEASONS = 3 };

/*
 * The rows of one place of the season, first, first + season, ...: one-step-ahead means go to fitted (NaN where there is
 * none) and the last one is returned, of *count observations. A running sum, begun anew now and then lest rounding gather.
 */
static double walk(const fi_history *past, const mean_state *s, size_t first, double *fitted, size_t *count)
{
    enum { ANEW = 256 };
    size_t k = 0, oldest = first, dropped = 0; /* oldest: row of the first observation in the window */
    double sum = 0;
    for (size_t t = first; t < past->n; t += s->season) {
        fitted[t] = k ? sum / (double)k : NAN;
        if (isnan(past->y[t])) continue;
        sum += past->y[t];
        if (k == 0) oldest = t;
        if (k < s->window) {
            k++;
            continue;
        }
        sum -= past->y[oldest];
        do oldest += s->season;
        while (isnan(past->y[oldest]));
        if (++dropped % ANEW) continue;
        sum = 0;
        for (size_t r = oldest; r <= t; r += s->season) sum += isnan(past->y[r]) ? 0 : past->y[r];
    }
    *count = k;
    return k ? sum / (double)k : NAN;
}

/* The means of a window, and sigma as the root mean square of errors weighted as above. */
static ftl_status estimate(const fi_history *past, mean_state *s, size_t window, size_t season, ftl_error *err)
{
    double *e = fi_alloc(past->n, sizeof *e);
    s->window = window;
    s->season = season;
    s->means = fi_alloc(season, sizeof *s->means);
    s->counts = fi_alloc(season, sizeof *s->counts);
    ftl_status st = e && s->means && s->counts ? FTL_OK : fi_fail_memory(err);
    for (size_t h = 0; h < season && !st; h++) {
        size_t first = (past->n + h) % season, k = 0, seen = 0;
        s->means[h] = walk(past, s, first, e, &k);
        s->counts[h] = (double)k;
        if (!k)
            st = fi_fail(err, FTL_EDATA,
                         "series '%s': some place of its season of %zu steps was never observed; choose another season",
                         past->id, season);
        for (size_t t = first; t < past->n; t += season) {
            e[t] = (past->y[t] / 2 - e[t] / 2) *
                   sqrt((double)seen / (double)(seen + 1)); /* halved: only sigma overflows */
            if (!isnan(past->y[t]) && seen < window) seen++;
        }
    }
    if (!st) s->sigma = 2 * fi_rms(e, past->n);
    fi_free(e);
    if (st) return st;
    if (isnan(s->sigma))
        return fi_fail(
            err, FTL_EDATA,
            "series '%s': it has too few observations; a mean and its variance need 2 of one place in the season",
            past->id);
    if (!isfinite(s->sigma) || !isfinite(s->means[0]))
        return fi_fail(err, FTL_ENUMERIC, "series '%s': its values are too large for the range of numbers; scale them",
                       past->id);
    return FTL_OK;
}

static ftl_status mean_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    (void)config;
    return estimate(past, state, past->n, 1, err);
}

static ftl_status window_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const mean_config *c = config;
    size_t usual = past->season > 1 ? past->season : USUAL_WINDOW;
    return estimate(past, state, c->window ? (size_t)c->window : usual, 1, err);
}

static ftl_status seasonal_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const mean_config *c = config;
    return estimate(past, state, c->window ? (size_t)c->window : USUAL_SEASONS, past->season, err);
}

static ftl_status mean_predict(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean,
                               double *sd, ftl_error *err)
{
    (void)past, (void)err;
    const mean_state *s = state;
    for (size_t h = 0; h < ahead->horizon; h++) {
        mean[h] = s->means[h % s->season];
        sd[h] = s->sigma * sqrt(1 + 1 / s->counts[h % s->season]);
    }
    return FTL_OK;
}

/* A mean is uncertain as a whole: one error for all of a path. work: [season] the means drawn. */
static void mean_path(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                      double *work)
{
    (void)past;
    const mean_state *s = state;
    for (size_t h = 0; h < ahead->horizon; h++) {
        if (h < s->season) work[h] = s->means[h] + s->sigma / sqrt(s->counts[h]) * fi_rng_normal(rng);
        path[h] = work[h % s->season] + s->sigma * fi_rng_normal(rng);
    }
}

static size_t mean_path_work(const void *state, const fi_history *past)
{
    (void)past;
    return ((const mean_state *)state)->season;
}

static ftl_status mean_fitted(const void *state, const fi_history *past, double *fitted, double *sd, ftl_error *err)
{
    (void)err;
    const mean_state *s = state;
    size_t k;
    for (size_t first = 0; first < s->season; first++) walk(past, s, first, fitted, &k);
    *sd = s->sigma * sqrt(1 + 1 / (double)s->window);
    return FTL_OK;
}

static ftl_status mean_check(const void *state, const fi_history *past, ftl_error *err)
{
    const mean_state *s = state;
    bool fine = s->window >= 1 && s->season >= 1 && s->season <= past->n && s->sigma >= 0;
    for (size_t h = 0; fine && h < s->season; h++) fine = isfinite(s->means[h]) && s->counts[h] >= 1;
    return fine ? FTL_OK : fi_fail(err, FTL_EDATA, "keys 'window', 'sigma', 'means' and 'counts' do not go together");
}

#define MEAN_METHOD                                                                                                    \
    .state_size = sizeof(mean_state), .fields = mean_fields, .n_fields = sizeof mean_fields / sizeof *mean_fields,     \
    .predict = mean_predict, .path = mean_path, .path_work = mean_path_work, .fitted = mean_fitted,                    \
    .check = mean_check
#define MEAN_SOURCE "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. (2021), sections 5.2, 5.5"

static const fi_local_method mean_method = {.name = "mean", .season_use = FI_SEASON_NONE, .fit = mean_fit, MEAN_METHOD};
FI_LOCAL_FORECASTER_PLAIN(mean, .name = "mean", .summary = "the mean of the history", .source = MEAN_SOURCE,
                          .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);

static const fi_local_method window_mean_method = {
    .name = "window-mean", .season_use = FI_SEASON_ONE, .fit = window_fit, MEAN_METHOD};
static const fi_option window_mean_options[] = {
    FI_OPTION_COUNT(mean_config, window, "0", 0, 1e9,
                    "observations in the mean; 0 takes those of one season of the frequency, or 10"),
};
FI_LOCAL_FORECASTER(window_mean, mean_config, .name = "window-mean", .summary = "the mean of the last observations",
                    .source = MEAN_SOURCE, .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);

static const fi_local_method seasonal_window_mean_method = {
    .name = "seasonal-window-mean", .season_use = FI_SEASON_NEEDED, .fit = seasonal_fit, MEAN_METHOD};
static const fi_option seasonal_window_mean_options[] = {
    FI_SEASON_OPTION,
    FI_OPTION_COUNT(mean_config, window, "0", 0, 1e9, "seasons in the mean of each place; 0 takes the last 3"),
};
FI_LOCAL_FORECASTER(seasonal_window_mean, mean_config, .name = "seasonal-window-mean",
                    .summary = "the mean of the last seasons, place by place", .source = MEAN_SOURCE,
                    .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);
