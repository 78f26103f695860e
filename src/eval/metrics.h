/* Scores as running sums: of one series, and of many by adding them up in their order. */
#ifndef FI_EVAL_METRICS_H
#define FI_EVAL_METRICS_H

#include <foretell/evaluate.h>

/* 0.1, 0.2 ... 0.9 */
extern const double fi_scored_levels[FTL_SCORED_LEVELS];

/* Numerators and counts of ftl_scores; adding two adds all members. */
typedef struct fi_sums {
    double points, abs_y, pinball[FTL_SCORED_LEVELS], squares, smape, crps, inside, pit[FTL_SCORED_LEVELS + 1];
    double mape_points, mape;
    double scaled_points, mase, scrps, msis; /* of series that have a scale */
} fi_sums;

/* What is scored: one series' test window. Borrowed. */
typedef struct fi_window {
    const double *history; /* [n] NaN = missing */
    size_t n, season;
    const double *y; /* [horizon] NaN = missing */
    size_t horizon;
    const double *q;       /* [horizon, FTL_SCORED_LEVELS] */
    const double *point;   /* [horizon] */
    const double *samples; /* [horizon, n_samples], or NULL */
    size_t n_samples;
    double *work; /* [n_samples] */
} fi_window;

/* mean |y[t] - y[t-m]| over the history, m = season, or 1 where the history is not longer; NaN without any pair. */
double fi_season_scale(const double *history, size_t n, size_t season);
/* The sums of one window. A point whose forecast is NaN (the baseline beside a gap) is left out, but |y| counts. */
void fi_score_window(const fi_window *window, fi_sums *out);
void fi_sums_add(fi_sums *to, const fi_sums *from);
/* Turns sums into means; n_series, fallbacks, time and memory are the caller's. */
void fi_sums_finish(const fi_sums *sums, ftl_scores *out);

/* The benchmark's seasonal naive: place h of the last `season` values (the last value where the history is not longer). */
double fi_baseline(const double *history, size_t n, size_t season, size_t h);

#endif
