#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MEDIAN = FTL_SCORED_LEVELS / 2 };

const double fi_scored_levels[FTL_SCORED_LEVELS] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

double fi_season_scale(const double *history, size_t n, size_t season)
{
    size_t m = season < n ? season : 1, pairs = 0;
    double sum = 0;
    for (size_t t = m; t < n; t++) {
        double d = fabs(history[t] - history[t - m]);
        if (isnan(d)) continue;
        sum += d;
        pairs++;
    }
    return pairs ? sum / (double)pairs : NAN;
}

double fi_baseline(const double *history, size_t n, size_t season, size_t h)
{
    size_t m = season <= n ? season : 1;
    return n ? history[n - m + h % m] : NAN;
}

static double pinball(double y, double q, double level)
{
    return y >= q ? level * (y - q) : (1 - level) * (q - y);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* E|X - y| - E|X - X'| / 2 of an empirical distribution; sorts x. Source: Gneiting & Raftery 2007, eq. 21. */
static double crps_of_samples(double *x, size_t n, double y)
{
    double distance = 0, spread = 0;
    qsort(x, n, sizeof *x, by_value);
    for (size_t i = 0; i < n; i++) {
        distance += fabs(x[i] - y);
        spread += (2.0 * (double)i + 1.0 - (double)n) * x[i]; /* sum over pairs of |x_i - x_j|, sorted */
    }
    return distance / (double)n - spread / ((double)n * (double)n);
}

/* Which of the intervals between quantiles holds y: on a border, the upper one. */
static size_t pit_bin(const double *q, double y)
{
    size_t bin = 0;
    while (bin < FTL_SCORED_LEVELS && y >= q[bin]) bin++;
    return bin;
}

void fi_score_window(const fi_window *w, fi_sums *out)
{
    double scale = fi_season_scale(w->history, w->n, w->season);
    *out = (fi_sums){0};
    for (size_t h = 0; h < w->horizon; h++) {
        const double *q = w->q + h * FTL_SCORED_LEVELS;
        double y = w->y[h], loss = 0, low = q[0], high = q[FTL_SCORED_LEVELS - 1];
        if (isnan(y)) continue;
        out->abs_y += fabs(y);
        if (isnan(q[MEDIAN]) || isnan(w->point[h])) continue;
        double error = fabs(y - q[MEDIAN]), level = y - w->point[h];
        for (size_t k = 0; k < FTL_SCORED_LEVELS; k++) {
            double p = 2 * pinball(y, q[k], fi_scored_levels[k]);
            out->pinball[k] += p;
            loss += p / FTL_SCORED_LEVELS;
        }
        if (w->samples) {
            memcpy(w->work, w->samples + h * w->n_samples, w->n_samples * sizeof *w->work);
            loss = crps_of_samples(w->work, w->n_samples, y);
        }
        out->points++;
        out->squares += level * level;
        out->smape += error > 0 ? 2 * error / (fabs(y) + fabs(q[MEDIAN])) : 0;
        out->crps += loss;
        out->inside += low <= y && y <= high;
        out->pit[pit_bin(q, y)]++;
        if (y != 0) {
            out->mape += error / fabs(y);
            out->mape_points++;
        }
        if (!(scale > 0)) continue;
        out->scaled_points++;
        out->mase += error / scale;
        out->scrps += loss / scale;
        out->msis += (high - low + 10 * (fmax(low - y, 0) + fmax(y - high, 0))) / scale;
    }
}

void fi_sums_add(fi_sums *to, const fi_sums *from)
{
    double *a = (double *)to;
    const double *b = (const double *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *a; i++) a[i] += b[i]; /* all members are double */
}

void fi_sums_finish(const fi_sums *s, ftl_scores *out)
{
    out->n_points = (size_t)s->points;
    out->wql = 0;
    for (size_t k = 0; k < FTL_SCORED_LEVELS; k++) {
        out->pinball[k] = s->pinball[k] / s->abs_y;
        out->wql += out->pinball[k] / FTL_SCORED_LEVELS;
    }
    for (size_t k = 0; k <= FTL_SCORED_LEVELS; k++) out->pit[k] = s->pit[k] / s->points;
    out->mase = s->mase / s->scaled_points; /* 0 / 0: NaN, nothing to score */
    out->smape = s->smape / s->points;
    out->mape = s->mape / s->mape_points;
    out->rmse = sqrt(s->squares / s->points);
    out->crps = s->crps / s->points;
    out->scrps = s->scrps / s->scaled_points;
    out->coverage = s->inside / s->points;
    out->msis = s->msis / s->scaled_points;
}
