/*
 * Sample paths of the posterior predictive law: Prophet's Monte Carlo in its two variants.
 *
 *   vectorised   shifts of slope fall on whole future steps (the law of shift_law.h)
 *   paths        changepoints arrive as a Poisson process of rate S on (1, last t], as in Taylor & Letham (2018)
 *
 * Sample s has two random streams of its own, for the trend and for the noise, so that it is the same whatever the
 * number of samples. Under logistic growth the vectorised variant is centred as logistic_law.c says.
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

ftl_status prophet_sample(const prophet_model *model, const prophet_rows *rows, size_t n_samples, uint64_t seed,
                          double *y, double *trend, ftl_error *err)
{
    if (model->n_draws != 1)
        return fi_fail(err, FTL_EINTERNAL, "samples are drawn for one set of parameters at a time, not %zu",
                       model->n_draws);
    size_t n = rows->n;
    shift_law law = prophet_shift_law(model, rows);
    bool logistic = model->config.growth == PROPHET_LOGISTIC;
    double *paths = fi_alloc(n, BLOCK * sizeof *paths), *eta = fi_alloc(law.n, sizeof *eta),
           *mean = fi_alloc(law.n, sizeof *mean), sigma = model->sigma_obs[0];
    ftl_status st = paths && eta && mean ? FTL_OK : fi_fail_memory(err);
    if (!st && logistic && law.n) {
        prophet_logistic_eta(model, rows, &law, eta);
        if (model->config.vectorized) st = prophet_logistic_rows(model, rows, &law, NULL, 0, mean, NULL, err);
    }
    if (st) goto done;
    for (size_t s0 = 0; s0 < n_samples; s0 += BLOCK) {
        size_t n_block = n_samples - s0 < BLOCK ? n_samples - s0 : BLOCK;
        fi_rng rng;
        for (size_t b = 0; b < n_block; b++) {
            double *path = paths + b * n, *future = path + law.first;
            fi_rng_init(&rng, seed, TREND_STREAM, s0 + b);
            memcpy(path, rows->trend, law.first * sizeof *path);
            if (model->config.growth == PROPHET_FLAT)
                memset(future, 0, law.n * sizeof *path);
            else if (model->config.vectorized)
                step_shifts(&rng, &law, future);
            else
                poisson_shifts(&rng, law.rate, law.lambda, rows->t + law.first, law.n, future);
            shifted_trend(model, rows, &law, eta, mean, future);
        }
        for (size_t r = 0; trend && r < n; r++)
            for (size_t b = 0; b < n_block; b++) trend[r * n_samples + s0 + b] = paths[b * n + r];
        if (!y) continue;
        for (size_t b = 0; b < n_block; b++) {
            double *path = paths + b * n;
            fi_rng_init(&rng, seed, NOISE_STREAM, s0 + b);
            for (size_t r = 0; r < n; r++)
                path[r] = path[r] * (1.0 + rows->multiplicative[r]) + rows->additive[r] + sigma * fi_rng_normal(&rng);
        }
        for (size_t r = 0; r < n; r++)
            for (size_t b = 0; b < n_block; b++) y[r * n_samples + s0 + b] = paths[b * n + r];
    }
done:
    fi_free(paths);
    fi_free(eta);
    fi_free(mean);
    return st;
}
