/* Prophet problems built straight from golden files: series, changepoints and Fourier terms, nothing of prepare.c. */
#ifndef TESTS_PARITY_GOLDEN_H
#define TESTS_PARITY_GOLDEN_H

#include "check.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "prophet/prophet.h"

typedef struct golden_problem {
    prophet_problem p;
    double *y, *t, *cap, *t_change, *X, *sigmas;
    bool *multiplicative;
    prophet_point x; /* zeros, of the right size */
} golden_problem;

static inline void golden_release(golden_problem *g)
{
    double *const parts[] = {g->y, g->t, g->cap, g->t_change, g->X, g->sigmas, g->x.delta, g->x.beta};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) fi_free(parts[i]);
    fi_free(g->multiplicative);
}

/*
 * `file` under prophet/, its first `rows` observed rows (0: all); growth, mode; cap in units of y (NaN: none); minmax
 * scaling or absmax; `seasons` pairs (period in days, order); S changepoints t_change.
 */
static inline void golden_build(golden_problem *g, const char *file, size_t rows, prophet_growth growth,
                                bool multiplicative, double cap, bool minmax, const double (*seasons)[2],
                                size_t n_seasons, const double *t_change, size_t S)
{
    char inside[256];
    ftl_panel *panel = NULL;
    ftl_error err = {0};
    snprintf(inside, sizeof inside, "data/prophet/%s", file);
    if (ftl_panel_read_csv(shared_path(inside), NULL, &panel, &err)) fail_msg("%s", err.message);
    const ftl_series *s = ftl_panel_series(panel, 0);
    const double *y = ftl_series_values(s);
    const ftl_time *all = ftl_series_times(s);
    size_t T = 0, K = 0, n = ftl_series_n_obs(s);
    ftl_time *ds = fi_alloc(n, sizeof *ds);
    *g = (golden_problem){0};
    g->y = fi_alloc(n, sizeof(double));
    for (size_t i = 0; i < n && (!rows || T < rows); i++)
        if (!isnan(y[i])) g->y[T] = y[i], ds[T++] = all[i];
    double low = INFINITY, high = -INFINITY, largest = 0;
    for (size_t i = 0; i < T; i++)
        low = fmin(low, g->y[i]), high = fmax(high, g->y[i]), largest = fmax(largest, fabs(g->y[i]));
    double floor = minmax ? low : 0.0, scale = minmax ? high - low : largest;
    for (size_t i = 0; i < n_seasons; i++) K += 2 * (size_t)seasons[i][1];
    g->t = fi_alloc(T, sizeof(double));
    g->cap = fi_alloc(T, sizeof(double));
    for (size_t i = 0; i < T; i++) {
        g->y[i] = (g->y[i] - floor) / scale;
        g->t[i] = (double)(ds[i] - ds[0]) / (double)(ds[T - 1] - ds[0]);
        g->cap[i] = (cap - floor) / scale;
    }
    g->t_change = fi_alloc(S, sizeof(double));
    memcpy(g->t_change, t_change, S * sizeof(double));
    if (K == 0) K = 1; /* Prophet's column of zeros */
    g->X = fi_calloc(K * T, sizeof(double));
    g->sigmas = fi_alloc(K, sizeof(double));
    g->multiplicative = fi_calloc(K, sizeof(bool));
    for (size_t j = 0; j < K; j++) g->sigmas[j] = n_seasons ? 10.0 : 1.0, g->multiplicative[j] = multiplicative;
    for (size_t i = 0, column = 0; i < n_seasons; column += 2 * (size_t)seasons[i][1], i++)
        prophet_fourier(ds, T, seasons[i][0], (size_t)seasons[i][1], g->X + column * T);
    g->x.delta = fi_calloc(S, sizeof(double));
    g->x.beta = fi_calloc(K, sizeof(double));
    g->p = (prophet_problem){T,           S,    K,         growth,
                             0.05,        g->y, g->t,      growth == PROPHET_LOGISTIC ? g->cap : NULL,
                             g->t_change, g->X, g->sigmas, g->multiplicative};
    fi_free(ds);
    ftl_panel_free(panel);
}

#endif
