/* A fitted model with nothing in it but what intervals and samples read: linear growth, rows one step of 1/100 apart. */
#ifndef TESTS_TOY_MODEL_H
#define TESTS_TOY_MODEL_H

#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "check.h"

enum { TOY_HISTORY = 101, TOY_MAX = 12000, TOY_CHANGES = 64 };

typedef struct toy {
    prophet_model model;
    prophet_rows rows;
    double k, m, sigma, delta[TOY_CHANGES], changes[TOY_CHANGES], history[TOY_HISTORY];
    double t[TOY_MAX], trend[TOY_MAX], cap[TOY_MAX], additive[TOY_MAX], multiplicative[TOY_MAX];
} toy;

static inline void toy_trend(toy *x)
{
    prophet_trend((prophet_growth)x->model.config.growth, x->k, x->m, x->delta, x->changes, x->model.n_changepoints,
                  x->t, x->cap, x->rows.n, x->trend);
}

/* S changepoints of mean size lambda; n_past rows up to t = 1, then n_future of spacing `step`. */
static inline void toy_init(toy *x, prophet_growth growth, size_t S, double lambda, double sigma, size_t n_past,
                            size_t n_future, double step)
{
    memset(x, 0, sizeof *x);
    x->k = 0.4, x->m = 0.3, x->sigma = sigma;
    for (size_t i = 0; i < TOY_HISTORY; i++) x->history[i] = (double)i / (TOY_HISTORY - 1);
    for (size_t j = 0; j < S; j++) {
        x->changes[j] = 0.8 * (double)(j + 1) / (double)S;
        x->delta[j] = j % 2 ? lambda : -lambda;
    }
    x->model = (prophet_model){.config = {.growth = (int)growth, .vectorized = true},
                               .n_changepoints = S,
                               .changepoints_t = x->changes,
                               .history = {.n = TOY_HISTORY, .t = x->history},
                               .n_draws = 1,
                               .k = &x->k,
                               .m = &x->m,
                               .sigma_obs = &x->sigma,
                               .delta = x->delta};
    x->rows = (prophet_rows){.n = n_past + n_future,
                             .t = x->t,
                             .trend = x->trend,
                             .cap = x->cap,
                             .additive = x->additive,
                             .multiplicative = x->multiplicative};
    for (size_t i = 0; i < x->rows.n; i++) {
        double ahead = (double)i - (double)n_past + 1.0;
        x->t[i] = ahead <= 0.0 ? 1.0 + 0.01 * ahead : 1.0 + step * ahead;
        x->cap[i] = 1.2;
        x->additive[i] = 0.05 * sin(0.9 * (double)i);
    }
    toy_trend(x);
}

#endif
