/*
 * Random walk with drift: a line from the last value on, with the mean change per step.
 *
 *     y[t] = y[t-1] + b + e,   e ~ N(0, sigma^2)
 *
 * b is estimated with variance sigma^2 / (steps observed), so the forecast h steps after the last observation has the
 * variance sigma^2 (h + h^2 / steps). Over a gap of g steps the change is g b and its variance g sigma^2; without gaps
 * the numbers are those of R's forecast 9.0, rwf(drift = TRUE). Source: Hyndman & Athanasopoulos, Forecasting:
 * Principles and Practice, 3rd ed., sections 5.2 and 5.5.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"
#include "stats/local.h"
#include "stats/stats.h"

#include <math.h>

typedef struct drift_state {
    double drift, drift_error, sigma; /* drift_error: its standard error */
} drift_state;
static const fi_state_field drift_fields[] = {FI_FIELD(drift_state, drift, FI_FIELD_REAL),
                                              FI_FIELD(drift_state, drift_error, FI_FIELD_REAL),
                                              FI_FIELD(drift_state, sigma, FI_FIELD_REAL)};

/* Row of the first observation from t on (n: none), and of the last one. */
static size_t next_observed(const fi_history *past, size_t t)
{
    while (t < past->n && isnan(past->y[t])) t++;
    return t;
}

static size_t last_observed(const fi_history *past)
{
    size_t t = past->n;
    while (t > 0 && isnan(past->y[t - 1])) t--;
    return t ? t - 1 : past->n;
}

static ftl_status drift_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    (void)config;
    drift_state *s = state;
    const double *y = past->y;
    size_t first = next_observed(past, 0), last = last_observed(past), n = 0;
    double *rest = fi_alloc(past->n, sizeof *rest), steps = (double)last - (double)first;
    if (!rest) return fi_fail_memory(err);
    s->drift = (y[last] / 2 - y[first] / 2) / steps * 2;
    for (size_t t = first, next; t < last; t = next) {
        next = next_observed(past, t + 1);
        double gap = (double)(next - t);
        rest[n++] = (y[next] / 2 - y[t] / 2 - gap * s->drift / 2) / sqrt(gap);
    }
    s->sigma = n > 1 ? 2 * fi_rms(rest, n) * sqrt((double)n / (double)(n - 1)) : NAN;
    s->drift_error = s->sigma / sqrt(steps);
    fi_free(rest);
    if (n < 2)
        return fi_fail(err, FTL_EDATA, "series '%s': it has %zu observation%s, but a drift and its variance need 3",
                       past->id, first < past->n ? n + 1 : 0, n == 0 ? "" : "s");
    if (!isfinite(s->sigma) || !isfinite(s->drift))
        return fi_fail(err, FTL_ENUMERIC,
                       "series '%s': its values are too far apart for the range of numbers; scale them", past->id);
    return FTL_OK;
}

static ftl_status drift_predict(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean,
                                double *sd, ftl_error *err)
{
    (void)err;
    const drift_state *s = state;
    size_t last = last_observed(past);
    for (size_t h = 0; h < ahead->horizon; h++) {
        double steps = (double)(past->n + h - last);
        mean[h] = past->y[last] + steps * s->drift;
        sd[h] = sqrt(steps) * hypot(s->sigma, sqrt(steps) * s->drift_error);
    }
    return FTL_OK;
}

static void drift_path(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                       double *work)
{
    (void)work;
    const drift_state *s = state;
    size_t last = last_observed(past);
    double drift = s->drift + s->drift_error * fi_rng_normal(rng), at = past->y[last];
    double steps = (double)(past->n - last); /* to the first row; then 1 each */
    for (size_t h = 0; h < ahead->horizon; h++, steps = 1)
        path[h] = at += steps * drift + s->sigma * sqrt(steps) * fi_rng_normal(rng);
}

static ftl_status drift_fitted(const void *state, const fi_history *past, double *fitted, double *sd, ftl_error *err)
{
    (void)err;
    const drift_state *s = state;
    double at = NAN;
    for (size_t t = 0; t < past->n; t++) {
        at = fitted[t] = at + s->drift;
        if (!isnan(past->y[t])) at = past->y[t];
    }
    *sd = s->sigma;
    return FTL_OK;
}

static ftl_status drift_check(const void *state, const fi_history *past, ftl_error *err)
{
    const drift_state *s = state;
    if (!isfinite(s->drift) || !(s->sigma >= 0) || !(s->drift_error >= 0) || last_observed(past) == past->n)
        return fi_fail(err, FTL_EDATA, "keys 'drift', 'drift_error', 'sigma' and 'y' do not go together");
    return FTL_OK;
}

static const fi_local_method drift_method = {
    .name = "drift",
    .state_size = sizeof(drift_state),
    .fields = drift_fields,
    .n_fields = sizeof drift_fields / sizeof *drift_fields,
    .season_use = FI_SEASON_NONE,
    .fit = drift_fit,
    .predict = drift_predict,
    .path = drift_path,
    .fitted = drift_fitted,
    .check = drift_check,
};
FI_LOCAL_FORECASTER_PLAIN(
    drift, .name = "drift", .summary = "a random walk with drift: a line from the last value, as steep as the history",
    .source = "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. (2021), sections 5.2, 5.5",
    .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);
