/* Series as patches: standardised, cut into pieces of equal length, with what is missing told apart. */
#ifndef FI_CHRONOS_PATCHES_H
#define FI_CHRONOS_PATCHES_H

#include <foretell/base.h>

/*
 * Mean and population standard deviation of the observed of x[0, n); 0 and 1 where nothing is observed. A standard
 * deviation of 0 becomes 1e-5.
 */
void fi_instance_stats(const float *x, size_t n, float *loc, float *scale);

/* Patches of a series of n >= 1 values, padded on the left to whole patches: then one every `stride` values. */
size_t fi_patch_count(size_t n, size_t size, size_t stride);

/*
 * Cuts z[0, n) into fi_patch_count() patches: the values of patch p go to values + p * ld (0 where missing), their mask
 * (1 observed, 0 missing) to mask + p * ld, and seen[p] is 1 if any of them is observed, else 0.
 */
void fi_patch(const float *z, size_t n, size_t size, size_t stride, float *values, float *mask, size_t ld, float *seen);

#endif
