/*
 * Prediction intervals without Monte Carlo: the quantiles of the law that Prophet's vectorised sampler draws from.
 *
 * A row of history is normal about its fitted value. A future row adds what future changepoints may do to the trend,
 * u D_h (shift_law.h), to the trend:
 *
 *     linear    y = (trend + u D_h) (1 + multiplicative) + additive + N(0, sigma)
 *     flat      no trend uncertainty
 *     logistic  logistic_law.c
 *
 * As Prophet does, h counts future rows, whatever their spacing, and d is their mean spacing.
 */
#include "prophet/shift_law.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"

#include <math.h>
#include <string.h>

/* The levels of a call: each is one side of a symmetric pair. */
typedef struct level_map {
    size_t n_tails;
    double *tails; /* descending, in (0, 1/2] */
    size_t *tail;  /* [n_levels] index into tails */
    double *sign;  /* [n_levels] -1 below the median, 0 at it, 1 above */
    double *z;     /* [n_tails] standard normal P(N > z) = tail */
} level_map;

static void level_map_release(level_map *map)
{
    fi_free(map->tails);
    fi_free(map->tail);
    fi_free(map->sign);
    fi_free(map->z);
}

static ftl_status level_map_init(level_map *map, const double *levels, size_t n, ftl_error *err)
{
    *map = (level_map){.tails = fi_alloc(n, sizeof(double)),
                       .tail = fi_alloc(n, sizeof(size_t)),
                       .sign = fi_alloc(n, sizeof(double)),
                       .z = fi_alloc(n, sizeof(double))};
    if (!map->tails || !map->tail || !map->sign || !map->z) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        if (!(levels[i] > 0.0 && levels[i] < 1.0))
            return fi_fail(err, FTL_EINVAL, "quantile level %g is not in (0, 1)", levels[i]);
        double alpha = fmin(levels[i], 1.0 - levels[i]);
        size_t k = 0; /* 0.1 and 1 - 0.9 differ in the last bit; they are one tail */
        while (k < map->n_tails && map->tails[k] > alpha + 4e-16) k++;
        if (k == map->n_tails || map->tails[k] < alpha - 4e-16) {
            memmove(map->tails + k + 1, map->tails + k, (map->n_tails++ - k) * sizeof *map->tails);
            map->tails[k] = alpha;
        }
    }
    for (size_t k = 0; k < map->n_tails; k++) map->z[k] = -fi_normal_quantile(map->tails[k]);
    for (size_t i = 0; i < n; i++) {
        double alpha = fmin(levels[i], 1.0 - levels[i]);
        map->tail[i] = 0;
        while (map->tails[map->tail[i]] > alpha + 4e-16) map->tail[i]++;
        map->sign[i] = levels[i] < 0.5 ? -1.0 : levels[i] > 0.5 ? 1.0 : 0.0;
    }
    return FTL_OK;
}

/* out[i] = centre + the quantile that lies `half[tail]` away from it. */
static void place(const level_map *map, size_t n_levels, double centre, const double *half, double scale, double *out)
{
    for (size_t i = 0; i < n_levels; i++)
        out[i] = map->sign[i] == 0.0 ? centre : centre + map->sign[i] * scale * half[map->tail[i]];
}

/* Quantiles of the linear trend's future rows. */
static ftl_status linear_rows(const shift_law *law, double sigma, const prophet_rows *rows, const level_map *map,
                              size_t n_levels, double *y_q, double *trend_q, ftl_error *err)
{
    size_t n = law->n;
    ftl_status st = FTL_OK;
    double *ratio = fi_alloc(n, sizeof *ratio), *half = fi_alloc(n, map->n_tails * sizeof *half);
    if (!ratio || !half) {
        st = fi_fail_memory(err);
        goto done;
    }
    if (trend_q) {
        if ((st = prophet_shift_quantiles(law->p, law->lag, n, NULL, map->tails, map->n_tails, half, err))) goto done;
        for (size_t i = 0; i < n; i++)
            place(map, n_levels, rows->trend[law->first + i], half + i * map->n_tails, law->unit,
                  trend_q + (law->first + i) * n_levels);
    }
    for (size_t i = 0; i < n; i++) {
        size_t r = law->first + i, h = i + 1 - law->lag;
        double unit = fabs(1.0 + rows->multiplicative[r]) * law->unit, u2 = unit * unit;
        double variance = sigma * sigma + u2 * prophet_shift_variance(law->p, h);
        /* Where the kurtosis is this small, Cornish and Fisher's expansion moves no quantile by 1e-8 of itself. */
        if (u2 * u2 * prophet_shift_cumulant4(law->p, h) <= 1e-9 * variance * variance) {
            place(map, n_levels, rows->trend[r] * (1.0 + rows->multiplicative[r]) + rows->additive[r], map->z,
                  sqrt(variance), y_q + r * n_levels);
            ratio[i] = NAN;
        } else
            ratio[i] = sigma / unit;
    }
    if ((st = prophet_shift_quantiles(law->p, law->lag, n, ratio, map->tails, map->n_tails, half, err))) goto done;
    for (size_t i = 0; i < n; i++) {
        size_t r = law->first + i;
        double factor = 1.0 + rows->multiplicative[r];
        if (!isnan(ratio[i]))
            place(map, n_levels, rows->trend[r] * factor + rows->additive[r], half + i * map->n_tails,
                  fabs(factor) * law->unit, y_q + r * n_levels);
    }
done:
    fi_free(ratio);
    fi_free(half);
    return st;
}

/* Quantiles of the logistic trend's future rows. */
static ftl_status logistic_rows(const prophet_model *model, const shift_law *law, const prophet_rows *rows,
                                const level_map *map, const double *levels, size_t n_levels, double *y_q,
                                double *trend_q, ftl_error *err)
{
    size_t n = law->n;
    double *mean = fi_alloc(n, sizeof *mean), *eta = fi_alloc(n, sizeof *eta),
           *half = fi_alloc(n, map->n_tails * sizeof *half);
    ftl_status st = mean && eta && half ? FTL_OK : fi_fail_memory(err);
    if (!st) st = prophet_logistic_rows(model, rows, law, levels, n_levels, mean, y_q, err);
    if (!st && trend_q) st = prophet_shift_quantiles(law->p, law->lag, n, NULL, map->tails, map->n_tails, half, err);
    if (st || !trend_q) goto done;
    prophet_logistic_eta(model, rows, law, eta);
    for (size_t i = 0; i < n; i++) {
        size_t r = law->first + i;
        double *q = trend_q + r * n_levels;
        place(map, n_levels, eta[i], half + i * map->n_tails, law->unit, q); /* eta + u D ... */
        for (size_t k = 0; k < n_levels; k++) /* ... and what the logistic curve makes of it */
            q[k] = rows->trend[r] + (rows->cap[r] / (1.0 + exp(-q[k])) - mean[i]);
    }
done:
    fi_free(mean);
    fi_free(eta);
    fi_free(half);
    return st;
}

ftl_status prophet_exact_quantiles(const prophet_model *model, const prophet_rows *rows, const double *levels,
                                   size_t n_levels, double *y_q, double *trend_q, ftl_error *err)
{
    if (model->n_draws != 1)
        return fi_fail(err, FTL_EINVAL,
                       "exact intervals need a single set of parameters, but the model holds %zu "
                       "posterior draws; use intervals=sampled",
                       model->n_draws);
    level_map map;
    ftl_status st = level_map_init(&map, levels, n_levels, err);
    if (st) goto done;
    shift_law law = prophet_shift_law(model, rows);
    double sigma = model->sigma_obs[0];
    size_t n_certain = law.p > 0.0 ? law.first : rows->n;
    for (size_t r = 0; r < n_certain; r++) {
        double centre = rows->trend[r] * (1.0 + rows->multiplicative[r]) + rows->additive[r];
        place(&map, n_levels, centre, map.z, sigma, y_q + r * n_levels);
        for (size_t i = 0; trend_q && i < n_levels; i++) trend_q[r * n_levels + i] = rows->trend[r];
    }
    if (n_certain < rows->n)
        st = model->config.growth == PROPHET_LOGISTIC
                 ? logistic_rows(model, &law, rows, &map, levels, n_levels, y_q, trend_q, err)
                 : linear_rows(&law, sigma, rows, &map, n_levels, y_q, trend_q, err);
done:
    level_map_release(&map);
    return st;
}
