/* Rank tests that compare models over data sets. */
#ifndef FI_EVAL_RANKS_H
#define FI_EVAL_RANKS_H

#include <stddef.h>

/*
 * Two-sided p value of Wilcoxon's signed-rank test for n differences; zeros and NaN are left out. Exact up to 25 without
 * ties, else the normal approximation with continuity and tie corrections. NaN below 2. `work` is [2 * n].
 */
double fi_wilcoxon(const double *difference, size_t n, double *work);
/* Ranks of n values, from 1, ties sharing their mean. */
void fi_ranks(const double *value, size_t n, double *rank);
/* Upper 5 % point of the range of k standard normals (Tukey's studentised range with infinite degrees of freedom). */
double fi_range_quantile(size_t k);

#endif
