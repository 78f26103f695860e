/*
 * Seasonal naive: the last season repeated. With m the season, e the innovations and j(h) the number of whole seasons
 * between the forecast and the last value observed at the same place of the season,
 *
 *     y[T+h] = y[T+h - m j(h)] + e + e + ... (j(h) of them),   e ~ N(0, sigma^2)
 *
 * so sigma_h = sigma sqrt(j(h)); without gaps j(h) = floor((h - 1) / m) + 1. sigma is the uncentred root mean square of
 * y[t] - y[t-m], as in R's forecast 9.0. The naive method is that with m = 1. Source: Hyndman & Athanasopoulos,
 * Forecasting: Principles and Practice, 3rd ed., sections 5.2 and 5.5.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"
#include "stats/local.h"
#include "stats/stats.h"

#include <math.h>

typedef struct naive_state {
    double sigma;
} naive_state;
static const fi_state_field naive_fields[] = {FI_FIELD(naive_state, sigma, FI_FIELD_REAL)};

/* The latest observation at the place of step h < season ahead, and in *seasons how many seasons before that step it
 * lies; NaN if that place was never observed. */
static double latest(const fi_history *past, size_t h, size_t *seasons)
{
    size_t back = past->season - h;
    for (*seasons = 1; back <= past->n; back += past->season, ++*seasons)
        if (!isnan(past->y[past->n - back])) return past->y[past->n - back];
    return NAN;
}

/* Is some place of the season without any observation? */
static bool has_empty_place(const fi_history *past)
{
    size_t seasons;
    for (size_t h = 0; h < past->season; h++)
        if (isnan(latest(past, h, &seasons))) return true;
    return false;
}

static ftl_status naive_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    (void)config;
    naive_state *s = state;
    size_t m = past->season, n = past->n > m ? past->n - m : 0;
    double *change = fi_alloc(n, sizeof *change);
    if (!change) return fi_fail_memory(err);
    for (size_t t = 0; t < n; t++) change[t] = past->y[t + m] / 2 - past->y[t] / 2; /* halved: only sigma overflows */
    s->sigma = 2 * fi_rms(change, n);
    fi_free(change);
    if (isinf(s->sigma))
        return fi_fail(err, FTL_ENUMERIC,
                       "series '%s': its values are too far apart for the range of numbers; scale them", past->id);
    if (isnan(s->sigma))
        return fi_fail(err, FTL_EDATA, "series '%s': no two observations lie %zu step%s apart; choose another season",
                       past->id, m, m == 1 ? "" : "s");
    if (has_empty_place(past))
        return fi_fail(err, FTL_EDATA,
                       "series '%s': some place of its season of %zu steps was never observed; choose another season",
                       past->id, m);
    return FTL_OK;
}

static ftl_status naive_predict(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean,
                                double *sd, ftl_error *err)
{
    (void)err;
    const naive_state *s = state;
    for (size_t h = 0; h < ahead->horizon; h++) {
        size_t seasons, m = past->season;
        mean[h] = latest(past, h % m, &seasons);
        sd[h] = s->sigma * sqrt((double)(h / m + seasons));
    }
    return FTL_OK;
}

static void naive_path(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                       double *work)
{
    (void)work;
    const naive_state *s = state;
    for (size_t h = 0; h < ahead->horizon; h++) {
        size_t seasons = 1;
        double from = h < past->season ? latest(past, h, &seasons) : path[h - past->season];
        path[h] = from + s->sigma * sqrt((double)seasons) * fi_rng_normal(rng);
    }
}

static ftl_status naive_fitted(const void *state, const fi_history *past, double *fitted, double *sd, ftl_error *err)
{
    (void)err;
    const naive_state *s = state;
    for (size_t t = 0; t < past->n; t++) fitted[t] = t < past->season ? NAN : past->y[t - past->season];
    *sd = s->sigma;
    return FTL_OK;
}

static ftl_status naive_check(const void *state, const fi_history *past, ftl_error *err)
{
    const naive_state *s = state;
    if (!(s->sigma >= 0)) return fi_fail(err, FTL_EDATA, "key 'sigma' must be a number that is not negative");
    if (has_empty_place(past))
        return fi_fail(err, FTL_EDATA, "key 'y' leaves a place of the season without any observation");
    return FTL_OK;
}

#define NAIVE_METHOD                                                                                                   \
    .state_size = sizeof(naive_state), .fields = naive_fields, .n_fields = sizeof naive_fields / sizeof *naive_fields, \
    .fit = naive_fit, .predict = naive_predict, .path = naive_path, .fitted = naive_fitted, .check = naive_check
#define NAIVE_SOURCE "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. (2021), sections 5.2, 5.5"

static const fi_local_method seasonal_naive_method = {
    .name = "seasonal-naive", .season_use = FI_SEASON_NEEDED, NAIVE_METHOD};
static const fi_option seasonal_naive_options[] = {FI_SEASON_OPTION};
FI_LOCAL_FORECASTER(seasonal_naive, fi_local_config, .name = "seasonal-naive",
                    .summary = "the last season repeated; the yardstick every other model has to beat",
                    .source = NAIVE_SOURCE, .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);

static const fi_local_method naive_method = {.name = "naive", .season_use = FI_SEASON_NONE, NAIVE_METHOD};
FI_LOCAL_FORECASTER_PLAIN(naive, .name = "naive", .summary = "the last value repeated: a random walk",
                          .source = NAIVE_SOURCE, .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);
