/*
 * Methods for intermittent demand: mostly zeros, now and then a demand.
 *
 *     croston  level = z / p: exponential smoothing z of the demands, and p of the intervals between them
 *     sba      the same times 1 - alpha / 2, which takes its bias away (Syntetos & Boylan)
 *     tsb      level = q z: the probability q of a demand is smoothed in every step, so that it fades in a dead series
 *     adida    smoothing of sums over blocks as long as the mean interval, shared out again
 *     imapa    the mean of that over all block lengths up to the mean interval
 *
 * Exponential smoothing begins with the first value. Numbers are those of statsforecast; any other value than zero is a
 * demand, and missing rows are passed over as if they were not there. For none of these did its authors give a
 * distribution. Ours: in every step there is a demand with probability q, and its size is one of those seen, scaled so that
 * the mean is the level.
 *
 * Sources: Croston (1972), Operational Research Quarterly 23; Syntetos & Boylan (2005), Int. J. Forecasting 21; Teunter,
 * Syntetos & Babai (2011), Eur. J. Operational Research 214; Nikolopoulos et al. (2011), J. Operational Research Society
 * 62; Petropoulos & Kourentzes (2015), ibid. 66.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "stats/local.h"
#include "stats/stats.h"

#include <math.h>

static const double ALPHA_LOW = 0.1, ALPHA_HIGH = 0.3; /* where optimised smoothing looks, as in statsforecast */

typedef struct demand_config {
    fi_local_config local;
    double alpha, alpha_demand, alpha_probability;
    bool optimise;
} demand_config;

typedef struct demand_state {
    double level, probability; /* mean of a step; that there is a demand in it */
    double alpha, alpha_interval;
    size_t n_sizes;
    double *sizes; /* [n_sizes] demands of the history */
} demand_state;
static const fi_state_field demand_fields[] = {
    FI_FIELD(demand_state, level, FI_FIELD_REAL), FI_FIELD(demand_state, probability, FI_FIELD_REAL),
    FI_FIELD(demand_state, alpha, FI_FIELD_REAL), FI_FIELD(demand_state, alpha_interval, FI_FIELD_REAL),
    FI_FIELD_ARRAY(demand_state, sizes, n_sizes)};

/* ---- exponential smoothing -------------------------------------------------------------------------------------- */

/* The level after x [n]; the sum of the squared one-step errors goes to *sse. */
static double smooth(const double *x, size_t n, double alpha, double *sse)
{
    double level = n ? x[0] : 0;
    *sse = 0;
    for (size_t t = 1; t < n; t++) {
        *sse += (x[t] - level) * (x[t] - level);
        level += alpha * (x[t] - level);
    }
    return level;
}

/* The level with the alpha of the least squares in [low, high]: the best of a grid, then golden sections around it. */
static double smooth_optimally(const double *x, size_t n, double low, double high, double *alpha)
{
    enum { GRID = 20, STEPS = 40 };
    const double golden = 0.6180339887498949, width = (high - low) / GRID;
    double sse, least = INFINITY;
    for (size_t i = 0; i <= GRID; i++) {
        smooth(x, n, low + width * (double)i, &sse);
        if (sse >= least) continue;
        least = sse;
        *alpha = low + width * (double)i;
    }
    double a = fmax(low, *alpha - width), b = fmin(high, *alpha + width);
    for (size_t i = 0; i < STEPS; i++) {
        double left = b - golden * (b - a), right = a + golden * (b - a), sse_left, sse_right;
        smooth(x, n, left, &sse_left);
        smooth(x, n, right, &sse_right);
        if (sse_left <= sse_right)
            b = right;
        else
            a = left;
    }
    double level = smooth(x, n, (a + b) / 2, &sse);
    if (sse <= least) {
        *alpha = (a + b) / 2;
        return level;
    }
    return smooth(x, n, *alpha, &sse);
}

/* ---- fitting ---------------------------------------------------------------------------------------------------- */

/* The observed values, and the intervals between demands, the first one from the beginning. */
typedef struct demands {
    double *y, *intervals;
    size_t n, n_demands;
} demands;

static void demands_release(demands *d)
{
    fi_free(d->y);
    fi_free(d->intervals);
}

/* Takes the history apart; the demands go to the state. */
static ftl_status take_apart(const fi_history *past, demand_state *s, demands *d, ftl_error *err)
{
    *d = (demands){.y = fi_alloc(past->n, sizeof *d->y), .intervals = fi_alloc(past->n, sizeof *d->intervals)};
    s->sizes = fi_alloc(past->n, sizeof *s->sizes);
    if (!d->y || !d->intervals || !s->sizes) return fi_fail_memory(err);
    size_t last = 0;
    for (size_t t = 0; t < past->n; t++) {
        double y = past->y[t];
        if (isnan(y)) continue;
        d->y[d->n++] = y;
        if (y == 0) continue;
        s->sizes[d->n_demands] = y;
        d->intervals[d->n_demands++] = (double)(d->n - last);
        last = d->n;
    }
    s->n_sizes = d->n_demands;
    if (!d->n) return fi_fail(err, FTL_EDATA, "series '%s': all of its values are missing", past->id);
    s->probability = (double)d->n_demands / (double)d->n;
    return FTL_OK;
}

static ftl_status croston(const demand_config *c, const fi_history *past, demand_state *s, bool sba, ftl_error *err)
{
    demands d;
    double sse, interval;
    ftl_status st = take_apart(past, s, &d, err);
    if (!st && d.n_demands) {
        s->alpha = s->alpha_interval = c->alpha;
        if (c->optimise) {
            s->level = smooth_optimally(s->sizes, d.n_demands, ALPHA_LOW, ALPHA_HIGH, &s->alpha);
            interval = smooth_optimally(d.intervals, d.n_demands, ALPHA_LOW, ALPHA_HIGH, &s->alpha_interval);
        } else {
            s->level = smooth(s->sizes, d.n_demands, c->alpha, &sse);
            interval = smooth(d.intervals, d.n_demands, c->alpha, &sse);
        }
        s->probability = 1 / interval;
        s->level *= s->probability * (sba ? 1 - s->alpha_interval / 2 : 1);
    }
    demands_release(&d);
    return st;
}

static ftl_status croston_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    return croston(config, past, state, false, err);
}

static ftl_status sba_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    return croston(config, past, state, true, err);
}

static ftl_status tsb_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const demand_config *c = config;
    demand_state *s = state;
    demands d;
    double sse;
    ftl_status st = take_apart(past, s, &d, err);
    if (!st && d.n_demands) {
        s->alpha = c->alpha_demand;
        s->alpha_interval = c->alpha_probability;
        for (size_t t = 0; t < d.n; t++) d.y[t] = d.y[t] != 0;
        s->probability = smooth(d.y, d.n, c->alpha_probability, &sse);
        s->level = s->probability * smooth(s->sizes, d.n_demands, c->alpha_demand, &sse);
    }
    demands_release(&d);
    return st;
}

/* The level of blocks of a length, the last one ending with the series, over the length. */
static double of_blocks(const demands *d, size_t length, double *alpha)
{
    size_t n = d->n / length, first = d->n - n * length;
    double *sum = d->intervals; /* no longer needed, and long enough */
    for (size_t b = 0; b < n; b++) {
        sum[b] = 0;
        for (size_t i = 0; i < length; i++) sum[b] += d->y[first + b * length + i];
    }
    return smooth_optimally(sum, n, ALPHA_LOW, ALPHA_HIGH, alpha) / (double)length;
}

static size_t mean_interval(const demands *d)
{
    double sum = 0;
    for (size_t i = 0; i < d->n_demands; i++) sum += d->intervals[i];
    double mean = nearbyint(sum / (double)d->n_demands);
    return mean < 1 ? 1 : (size_t)mean;
}

static ftl_status adida_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    (void)config;
    demand_state *s = state;
    demands d;
    ftl_status st = take_apart(past, s, &d, err);
    if (!st && d.n_demands) s->level = of_blocks(&d, mean_interval(&d), &s->alpha);
    demands_release(&d);
    return st;
}

static ftl_status imapa_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    (void)config;
    demand_state *s = state;
    demands d;
    ftl_status st = take_apart(past, s, &d, err);
    size_t longest = !st && d.n_demands ? mean_interval(&d) : 0;
    for (size_t length = 1; length <= longest; length++) s->level += of_blocks(&d, length, &s->alpha) / (double)longest;
    demands_release(&d);
    return st;
}

/* ---- predicting ------------------------------------------------------------------------------------------------- */

static ftl_status demand_predict(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean,
                                 double *sd, ftl_error *err)
{
    (void)past, (void)err;
    const demand_state *s = state;
    for (size_t h = 0; h < ahead->horizon; h++) {
        mean[h] = s->level;
        sd[h] = s->n_sizes ? NAN : 0; /* never a demand: zero for certain */
    }
    return FTL_OK;
}

static void demand_path(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                        double *work)
{
    (void)past, (void)work;
    const demand_state *s = state;
    double mean = 0, wanted = s->level / s->probability;
    for (size_t i = 0; i < s->n_sizes; i++) mean += s->sizes[i] / (double)s->n_sizes;
    double scale = wanted / mean, shift = 0;
    if (!(scale > 0 && isfinite(scale))) { /* demands of both signs */
        scale = 1;
        shift = wanted - mean;
    }
    for (size_t h = 0; h < ahead->horizon; h++) {
        double u = fi_rng_uniform(rng), v = fi_rng_uniform(rng);
        bool any = u < s->probability && s->n_sizes;
        path[h] = any ? shift + scale * s->sizes[(size_t)(v * (double)s->n_sizes)] : 0;
    }
}

static ftl_status demand_check(const void *state, const fi_history *past, ftl_error *err)
{
    const demand_state *s = state;
    bool fine = s->n_sizes <= past->n && isfinite(s->level) && s->probability >= 0 && s->probability <= 1 &&
                (s->n_sizes == 0 || s->probability > 0);
    for (size_t i = 0; fine && i < s->n_sizes; i++) fine = isfinite(s->sizes[i]);
    return fine ? FTL_OK : fi_fail(err, FTL_EDATA, "keys 'level', 'probability' and 'sizes' do not go together");
}

#define DEMAND_METHOD                                                                                                  \
    .state_size = sizeof(demand_state), .fields = demand_fields,                                                       \
    .n_fields = sizeof demand_fields / sizeof *demand_fields, .season_use = FI_SEASON_NONE, .predict = demand_predict, \
    .path = demand_path, .check = demand_check
#define DEMAND_CAPABILITIES (FTL_TAKES_MISSING | FTL_GIVES_SAMPLES)

#define CROSTON_OPTIONS                                                                                                \
    FI_OPTION_REAL(demand_config, alpha, "0.1", 0, 1, "smoothing of demands and of intervals"),                        \
        FI_OPTION_FLAG(demand_config, optimise, "false", "choose both from 0.1 to 0.3 by least squares instead")
static const fi_option croston_options[] = {CROSTON_OPTIONS};
static const fi_option sba_options[] = {CROSTON_OPTIONS};
static const fi_option tsb_options[] = {
    FI_OPTION_REAL(demand_config, alpha_demand, "0.1", 0, 1, "smoothing of the demands"),
    FI_OPTION_REAL(demand_config, alpha_probability, "0.1", 0, 1, "smoothing of the probability of a demand"),
};

static const fi_local_method croston_method = {.name = "croston", .fit = croston_fit, DEMAND_METHOD};
FI_LOCAL_FORECASTER(croston, demand_config, .name = "croston",
                    .summary = "intermittent demand: demands and the intervals between them smoothed apart",
                    .source = "Croston (1972), Operational Research Quarterly 23", .point_kind = "mean",
                    .capabilities = DEMAND_CAPABILITIES);
static const fi_local_method sba_method = {.name = "sba", .fit = sba_fit, DEMAND_METHOD};
FI_LOCAL_FORECASTER(sba, demand_config, .name = "sba",
                    .summary = "intermittent demand: Croston's method without its bias",
                    .source = "Syntetos & Boylan (2005), Int. J. Forecasting 21", .point_kind = "mean",
                    .capabilities = DEMAND_CAPABILITIES);
static const fi_local_method tsb_method = {.name = "tsb", .fit = tsb_fit, DEMAND_METHOD};
FI_LOCAL_FORECASTER(tsb, demand_config, .name = "tsb",
                    .summary = "intermittent demand that may die out: the probability of a demand is smoothed",
                    .source = "Teunter, Syntetos & Babai (2011), Eur. J. Operational Research 214",
                    .point_kind = "mean", .capabilities = DEMAND_CAPABILITIES);
static const fi_local_method adida_method = {.name = "adida", .fit = adida_fit, DEMAND_METHOD};
FI_LOCAL_FORECASTER_PLAIN(adida, .name = "adida", .summary = "intermittent demand: smoothing of sums over blocks",
                          .source = "Nikolopoulos et al. (2011), J. Operational Research Society 62",
                          .point_kind = "mean", .capabilities = DEMAND_CAPABILITIES);
static const fi_local_method imapa_method = {.name = "imapa", .fit = imapa_fit, DEMAND_METHOD};
FI_LOCAL_FORECASTER_PLAIN(imapa, .name = "imapa",
                          .summary = "intermittent demand: the mean of smoothings over blocks of all lengths",
                          .source = "Petropoulos & Kourentzes (2015), J. Operational Research Society 66",
                          .point_kind = "mean", .capabilities = DEMAND_CAPABILITIES);
