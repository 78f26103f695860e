/*
 * Sample paths of the posterior predictive law: Prophet's Monte Carlo in its two variants.
 *
 *   vectorised   shifts of slope fall on whole future steps (the law of shift_law.h)
 *   paths        changepoints arrive as a Poisson process of rate S on (1, last t], as in Taylor & Letham (2018)
 *
 * Sample s has two random streams of its own, for the trend and for the noise, and follows posterior draw s mod
 * n_draws, so that it is the same whatever the number of samples, and all draws take part evenly. Under logistic growth the vectorised variant is centred as logistic_law.c says.
 */
#include "prophet/shift_law.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"

#include <math.h>
#include <string.h>

enum { TREND_STREAM, NOISE_STREAM };
enum { BLOCK = 16 }; /* paths made together, so that a row of the output is written in whole cache lines */

/* Steps to the next shift, 1, 2, ...: geometric with chance p; more than any horizon if p is 0. */
static double steps_to_shift(fi_rng *rng, double log_none)
{
    return 1.0 + floor(log(fi_rng_uniform(rng)) / log_none);
}

/* path[n] = sum_{i <= h} shift_i (h - i + 1/2) times the law's unit, h = row + 1 - lag: two running sums. */
static void step_shifts(fi_rng *rng, const shift_law *law, double *path)
{
    double log_none = log1p(-law->p), level = 0.0, slope = 0.0;
    double next = law->p > 0.0 ? steps_to_shift(rng, log_none) : INFINITY;
    for (size_t i = 0; i < law->n; i++) {
        if (i + 1 <= law->lag) {
            path[i] = 0.0;
            continue;
        }
        level += slope;
        if ((double)(i + 1 - law->lag) == next) {
            double shift = fi_rng_laplace(rng);
            level += 0.5 * shift;
            slope += shift;
            next += steps_to_shift(rng, log_none);
        }
        path[i] = law->unit * level;
    }
}

/* path[n] = sum_j delta_j max(0, t - s_j), the changepoints s_j arriving after t = 1 with exponential waits. */
static void poisson_shifts(fi_rng *rng, double rate, double lambda, const double *t, size_t n, double *path)
{
    double level = 0.0, slope = 0.0, now = 1.0;
    double next = rate > 0.0 ? 1.0 - log(fi_rng_uniform(rng)) / rate : INFINITY;
    for (size_t i = 0; i < n; i++) {
        for (; next <= t[i]; next -= log(fi_rng_uniform(rng)) / rate) {
            level += slope * (next - now);
            slope += lambda * fi_rng_laplace(rng);
            now = next;
        }
        level += slope * (t[i] - now);
        now = t[i];
        path[i] = level;
    }
}

/* From shifts of level (of eta, for logistic growth) to the trend of future rows. */
static void shifted_trend(const prophet_model *model, const prophet_rows *rows, const shift_law *law, const double *eta,
                          const double *mean, double *path)
{
    for (size_t i = 0; i < law->n; i++) {
        size_t r = law->first + i;
        if (model->config.growth == PROPHET_LOGISTIC) {
            double curve = rows->cap[r] / (1.0 + exp(-(eta[i] + path[i])));
            path[i] = model->config.vectorized ? rows->trend[r] + (curve - mean[i]) : curve;
        } else
            path[i] += rows->trend[r];
    }
}

typedef struct sampler {
    size_t n_samples, n_draws;
    uint64_t seed;
    double *y, *trend;  /* [n, n_samples] or NULL */
    double *paths;      /* [BLOCK, n] */
    double *fitted;     /* [n] deterministic trend of a draw */
    double *eta, *mean; /* [n] of future rows, logistic growth */
} sampler;

static void write_block(const double *paths, size_t n, size_t n_block, size_t first, size_t stride, size_t n_samples,
                        double *out)
{
    for (size_t r = 0; r < n; r++)
        for (size_t b = 0; b < n_block; b++) out[r * n_samples + first + b * stride] = paths[b * n + r];
}

/* Samples first, first + n_draws, ... of one draw: a model and rows with nothing else in them. */
static ftl_status sample_draw(const sampler *w, const prophet_model *model, const prophet_rows *rows, size_t first,
                              ftl_error *err)
{
    size_t n = rows->n, stride = w->n_draws;
    shift_law law = prophet_shift_law(model, rows);
    double sigma = model->sigma_obs[0];
    if (model->config.growth == PROPHET_LOGISTIC && law.n) {
        ftl_status st = FTL_OK;
        prophet_logistic_eta(model, rows, &law, w->eta);
        if (model->config.vectorized) st = prophet_logistic_rows(model, rows, &law, NULL, 0, w->mean, NULL, err);
        if (st) return st;
    }
    for (size_t s0 = first; s0 < w->n_samples; s0 += BLOCK * stride) {
        size_t left = (w->n_samples - s0 + stride - 1) / stride, n_block = left < BLOCK ? left : BLOCK;
        fi_rng rng;
        for (size_t b = 0; b < n_block; b++) {
            double *path = w->paths + b * n, *future = path + law.first;
            fi_rng_init(&rng, w->seed, TREND_STREAM, s0 + b * stride);
            memcpy(path, rows->trend, law.first * sizeof *path);
            if (model->config.growth == PROPHET_FLAT)
                memset(future, 0, law.n * sizeof *path);
            else if (model->config.vectorized)
                step_shifts(&rng, &law, future);
            else
                poisson_shifts(&rng, law.rate, law.lambda, rows->t + law.first, law.n, future);
            shifted_trend(model, rows, &law, w->eta, w->mean, future);
        }
        if (w->trend) write_block(w->paths, n, n_block, s0, stride, w->n_samples, w->trend);
        if (!w->y) continue;
        for (size_t b = 0; b < n_block; b++) {
            double *path = w->paths + b * n;
            fi_rng_init(&rng, w->seed, NOISE_STREAM, s0 + b * stride);
            for (size_t r = 0; r < n; r++)
                path[r] = path[r] * (1.0 + rows->multiplicative[r]) + rows->additive[r] + sigma * fi_rng_normal(&rng);
        }
        write_block(w->paths, n, n_block, s0, stride, w->n_samples, w->y);
    }
    return FTL_OK;
}

ftl_status prophet_sample(const prophet_model *model, const prophet_rows *rows, size_t n_samples, uint64_t seed,
                          double *y, double *trend, ftl_error *err)
{
    size_t n = rows->n, S = model->n_changepoints, n_draws = model->n_draws;
    sampler w = {n_samples, n_draws, seed, y, trend, NULL, NULL, NULL, NULL};
    double *block = fi_alloc(n, (BLOCK + 3) * sizeof *block);
    if (!block) return fi_fail_memory(err);
    w.paths = block;
    w.fitted = block + BLOCK * n, w.eta = w.fitted + n, w.mean = w.eta + n;
    ftl_status st = FTL_OK;
    for (size_t d = 0; !st && d < n_draws && d < n_samples; d++) {
        prophet_model one = *model;
        prophet_rows own = *rows;
        one.n_draws = 1;
        one.k += d, one.m += d, one.sigma_obs += d;
        if (S) one.delta += d * S;
        if (n_draws > 1) {
            prophet_trend((prophet_growth)model->config.growth, one.k[0], one.m[0], one.delta, model->changepoints_t, S,
                          rows->t, rows->cap, n, w.fitted);
            own.trend = w.fitted;
        }
        if (rows->additive_draws) own.additive = rows->additive_draws + d * n;
        if (rows->multiplicative_draws) own.multiplicative = rows->multiplicative_draws + d * n;
        st = sample_draw(&w, &one, &own, d, err);
    }
    fi_free(block);
    return st;
}

/* ---- quantiles of samples --------------------------------------------------------------------------------------- */

/* Rearranges x[low..high] so that x[k] is what sorting would put there, smaller ones before it (Hoare's find). */
static void select_rank(double *x, size_t low, size_t high, size_t k)
{
    while (low < high) {
        double pivot = x[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (x[i] < pivot) i++;
            while (x[j] > pivot) j--;
            if (i >= j) break;
            double swap = x[i];
            x[i++] = x[j], x[j--] = swap;
        }
        /* x[low..j] <= pivot <= x[j+1..high] */
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
}

ftl_status prophet_sampled_quantiles(const double *samples, size_t n, size_t n_samples, const double *levels,
                                     size_t n_levels, double *q)
{
    if (n_samples == 0) return FTL_EINVAL;
    double *row = fi_alloc(n_samples, sizeof *row);
    if (!row) return FTL_ENOMEM;
    for (size_t r = 0; r < n; r++) {
        memcpy(row, samples + r * n_samples, n_samples * sizeof *row);
        size_t low = 0; /* x[0..low) hold the smallest: levels usually ascend, and need only search further up */
        double last = 0.0;
        for (size_t i = 0; i < n_levels; i++) {
            double place = levels[i] * (double)(n_samples - 1);
            size_t k = (size_t)place;
            if (levels[i] < last) low = 0;
            last = levels[i];
            select_rank(row, low, n_samples - 1, k);
            low = k;
            double above = row[k], part = place - (double)k;
            if (k + 1 < n_samples) {
                above = row[k + 1];
                for (size_t j = k + 2; j < n_samples; j++) above = fmin(above, row[j]);
            }
            /* numpy's interpolation, which is exact at both ends and monotone */
            double gap = above - row[k];
            q[r * n_levels + i] = part >= 0.5 ? above - gap * (1.0 - part) : row[k] + gap * part;
        }
    }
    fi_free(row);
    return FTL_OK;
}
