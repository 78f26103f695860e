/* Quantiles from quantiles: at other levels, and of weighted samples. */
#ifndef FI_CHRONOS_QUANTILES_H
#define FI_CHRONOS_QUANTILES_H

#include <foretell/base.h>

/* A knot of a quantile function, which is linear between its knots and flat outside them. */
typedef struct fi_knot {
    double level; /* in [0, 1], ascending from knot to knot; equal levels are a jump */
    float value;
} fi_knot;

float fi_interpolate_quantile(const fi_knot *knots, size_t n, double level);

/*
 * Turns weighted samples (level: the weight, > 0) into the knots of their distribution: sorted by value, each at the share
 * of the weight that lies at or below it.
 */
void fi_knots_from_samples(fi_knot *samples, size_t n);

/*
 * The share of probability that each of n ascending levels in (0, 1) stands for: half the distance between its neighbours,
 * with 0 and 1 beyond the ends, normalised.
 */
void fi_level_masses(const double *levels, size_t n, double *mass);

#endif
