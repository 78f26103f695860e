/*
 * Sample paths of the posterior predictive law: Prophet's Monte Carlo in its two variants.
 *
 *   vectorised   shifts of slope fall on whole future steps (the law of shift_law.h)
 *   paths        changepoints arrive as a Poisson process of rate S on (1, last t], as in Taylor & Letham (2018)
 *
 * Sample s has two random streams of its own, for the trend and for the noise, and belongs to posterior draw
 * s mod n_draws, so that it is the same whatever the number of samples, and every draw gets its share of any number.
 */
#include "prophet/shift_law.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"

#include <math.h>
#include <string.h>

enum { TREND_STREAM, NOISE_STREAM };
enum { BLOCK = 16 }; /* paths made together, so that a row of the output is written in whole cache lines */

/* What one posterior draw fixes. */
typedef struct draw_rows {
    double sigma, lambda, rate;                            /* rate: new changepoints per unit of t */
    const double *trend, *cap, *additive, *multiplicative; /* [n]; trend is the deterministic one */
} draw_rows;

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
static void poisson_shifts(fi_rng *rng, const draw_rows *d, const double *t, size_t n, double *path)
{
    double level = 0.0, slope = 0.0, now = 1.0;
    double next = d->rate > 0.0 ? 1.0 - log(fi_rng_uniform(rng)) / d->rate : INFINITY;
    for (size_t i = 0; i < n; i++) {
        for (; next <= t[i]; next -= log(fi_rng_uniform(rng)) / d->rate) {
            level += slope * (next - now);
            slope += d->lambda * fi_rng_laplace(rng);
            now = next;
        }
        level += slope * (t[i] - now);
        now = t[i];
        path[i] = level;
    }
}

static void linear_path(const draw_rows *d, size_t first, size_t n, double *path)
{
    for (size_t i = 0; i < n; i++) path[i] += d->trend[first + i];
}

/* Paths of one posterior draw: samples first_sample, first_sample + n_draws, ... */
static void sample_draw(const prophet_model *model, const prophet_rows *rows, const shift_law *law, const draw_rows *d,
                        size_t draw, size_t n_samples, uint64_t seed, double *paths, double *y, double *trend)
{
    size_t n = rows->n, stride = model->n_draws;
    for (size_t s0 = draw; s0 < n_samples; s0 += BLOCK * stride) {
        size_t n_block = (n_samples - s0 + stride - 1) / stride;
        if (n_block > BLOCK) n_block = BLOCK;
        for (size_t b = 0; b < n_block; b++) {
            double *path = paths + b * n;
            fi_rng rng;
            fi_rng_init(&rng, seed, TREND_STREAM, s0 + b * stride);
            memcpy(path, d->trend, law->first * sizeof *path);
            if (model->config.growth == PROPHET_FLAT)
                memset(path + law->first, 0, law->n * sizeof *path);
            else if (model->config.vectorized)
                step_shifts(&rng, law, path + law->first);
            else
                poisson_shifts(&rng, d, rows->t + law->first, law->n, path + law->first);
            linear_path(d, law->first, law->n, path + law->first);
        }
        for (size_t r = 0; trend && r < n; r++)
            for (size_t b = 0; b < n_block; b++) trend[r * n_samples + s0 + b * stride] = paths[b * n + r];
        if (!y) continue;
        for (size_t b = 0; b < n_block; b++) {
            double *path = paths + b * n;
            fi_rng rng;
            fi_rng_init(&rng, seed, NOISE_STREAM, s0 + b * stride);
            for (size_t r = 0; r < n; r++)
                path[r] = path[r] * (1.0 + d->multiplicative[r]) + d->additive[r] + d->sigma * fi_rng_normal(&rng);
        }
        for (size_t r = 0; r < n; r++)
            for (size_t b = 0; b < n_block; b++) y[r * n_samples + s0 + b * stride] = paths[b * n + r];
    }
}

ftl_status prophet_sample(const prophet_model *model, const prophet_rows *rows, size_t n_samples, uint64_t seed,
                          double *y, double *trend, ftl_error *err)
{
    size_t n = rows->n, S = model->n_changepoints, n_draws = model->n_draws;
    double *paths = fi_alloc(n, BLOCK * sizeof *paths), *mean = fi_alloc(n, sizeof *mean);
    ftl_status st = FTL_OK;
    if (!paths || !mean) {
        st = fi_fail_memory(err);
        goto done;
    }
    for (size_t draw = 0; draw < n_draws && draw < n_samples; draw++) {
        shift_law law = prophet_shift_law(model, rows, draw);
        draw_rows d = {.sigma = model->sigma_obs[draw],
                       .lambda = law.lambda,
                       .rate = (double)S,
                       .trend = rows->trend,
                       .cap = rows->cap,
                       .additive = rows->additive_draws ? rows->additive_draws + draw * n : rows->additive,
                       .multiplicative =
                           rows->multiplicative_draws ? rows->multiplicative_draws + draw * n : rows->multiplicative};
        if (n_draws > 1) {
            prophet_trend((prophet_growth)model->config.growth, model->k[draw], model->m[draw], model->delta + draw * S,
                          model->changepoints_t, S, rows->t, rows->cap, n, mean);
            d.trend = mean;
        }
        sample_draw(model, rows, &law, &d, draw, n_samples, seed, paths, y, trend);
    }
done:
    fi_free(paths);
    fi_free(mean);
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
