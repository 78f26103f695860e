/*
 * The law of what future changepoints do to the trend, in closed form.
 *
 * Prophet lets every future step i change the slope by a Laplace(0, lambda) shift with probability p. After h steps of
 * length d the trend has moved by lambda d D_h, where
 *
 *     D_h = sum_{j=1..h} B_j L_j a_j,   a_j = j - 1/2,   B_j ~ Bernoulli(p),   L_j ~ Laplace(0, 1), independent,
 *
 * a symmetric law with an atom (1 - p)^h at 0. Everything here is in units of lambda d.
 */
#ifndef FI_PROPHET_SHIFT_LAW_H
#define FI_PROPHET_SHIFT_LAW_H

#include "prophet/prophet.h"

typedef struct shift_law {
    double p;        /* chance of a shift per step, in [0, 1] */
    double lambda;   /* mean |delta| + 1e-8 */
    double rate;     /* changepoints per unit of t: S */
    double unit;     /* lambda d: what one unit of D_h is on the scaled trend */
    size_t lag;      /* future row i (from 0) has h = i + 1 - lag */
    size_t first, n; /* future rows are [first, first + n) */
} shift_law;

/* The law that Prophet's vectorised sampler follows for these rows. */
shift_law prophet_shift_law(const prophet_model *model, const prophet_rows *rows);

/* Variance and fourth cumulant of D_h. */
double prophet_shift_variance(double p, size_t h);
double prophet_shift_cumulant4(double p, size_t h);

/*
 * Upper quantiles: q[i * n_tails + k] is the x >= 0 with P(D_h + ratio[i] N > x) = tails[k], h = i + 1 - lag, N standard
 * normal. ratio NULL: no normal part (x is 0 where the level falls into the atom). Rows with ratio[i] NaN are left
 * alone. tails in (0, 1/2], descending. Relative error about 1e-8 for tails above 1e-9.
 */
ftl_status prophet_shift_quantiles(double p, size_t lag, size_t n, const double *ratio, const double *tails,
                                   size_t n_tails, double *q, ftl_error *err);

/* The law without a normal part, at one step after the other (ascending h, 1 <= h <= last). */
typedef struct shift_table shift_table;
ftl_status prophet_shift_table_new(double p, size_t last, shift_table **out, ftl_error *err);
void prophet_shift_table_free(shift_table *table);
void prophet_shift_table_step(shift_table *table, size_t h, size_t last);
/* At the current step: P(D > x), and the density of log D at x > 0 (half the law is below 0), by the logarithm of x. */
double prophet_shift_survival(const shift_table *table, double log_x);
double prophet_shift_density(const shift_table *table, double log_x);

/*
 * Logistic growth (logistic_law.c): the shifts bend eta, trend = cap / (1 + exp(-(eta + u D))), and draws are centred
 * on the deterministic trend. mean [law->n]: the expectation of the trend at future rows. y_q [rows->n, n_levels],
 * NULL if not wanted: quantiles of the future rows.
 */
ftl_status prophet_logistic_rows(const prophet_model *model, const prophet_rows *rows, const shift_law *law,
                                 const double *levels, size_t n_levels, double *mean, double *y_q, ftl_error *err);
/* eta at future rows, [law->n]. */
void prophet_logistic_eta(const prophet_model *model, const prophet_rows *rows, const shift_law *law, double *eta);

#endif
