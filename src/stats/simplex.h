/* Weights of an ensemble: quadratic programs over the simplex. */
#ifndef FI_STATS_SIMPLEX_H
#define FI_STATS_SIMPLEX_H

#include <stddef.h>

/*
 * The weights w [n], not negative and of sum 1, that make w' G w least. G [n, n] is symmetric and positive
 * semidefinite; w begins as equal weights, so that members that are alike keep equal shares. Moves weight between the
 * two members whose gradients differ most, exactly, until none would gain: the gap that is left bounds the error.
 */
void fi_simplex_least_squares(const double *g, size_t n, double *w);

#endif
