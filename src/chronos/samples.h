/* Statistics of sorted samples, as upstream takes them. */
#ifndef FI_CHRONOS_SAMPLES_H
#define FI_CHRONOS_SAMPLES_H

#include <foretell/base.h>

/* Puts numbers into ascending order. */
void fi_sort_samples(float *samples, size_t n);
/* The quantile of n >= 1 sorted samples at level in [0, 1]: linear between ranks, rank = level (n - 1). */
float fi_sample_quantile(const float *sorted, size_t n, double level);
/* The median of n >= 1 sorted samples that is one of them: the lower one of two. */
float fi_lower_median(const float *sorted, size_t n);

#endif
