/* Distributions: functions of them, and draws from them. */
#ifndef FI_MATH_DISTRIBUTIONS_H
#define FI_MATH_DISTRIBUTIONS_H

#include "base/rng.h"

/* Standard normal distribution function; accurate in the lower tail. */
double fi_normal_cdf(double x);
/* Standard normal quantile, |error| a few ulp; -inf at 0, inf at 1, NaN outside [0, 1]. */
double fi_normal_quantile(double p);

/* Standard normal (inverse distribution function, one uniform each). */
double fi_rng_normal(fi_rng *rng);
/* Laplace with mean 0 and scale 1. */
double fi_rng_laplace(fi_rng *rng);

#endif
