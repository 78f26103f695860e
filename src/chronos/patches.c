#include "chronos/patches.h"

#include <math.h>

void fi_instance_stats(const float *x, size_t n, float *loc, float *scale)
{
    double sum = 0, squares = 0; /* double: a sum of thousands of equal floats must give their mean back */
    size_t observed = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) sum += (double)x[i], observed++;
    *loc = observed ? (float)(sum / (double)observed) : 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) squares += ((double)x[i] - (double)*loc) * ((double)x[i] - (double)*loc);
    *scale = observed ? (float)sqrt(squares / (double)observed) : 1;
    if (*scale == 0) *scale = 1e-5f;
}

/* What the left padding adds: only to lengths that are no multiple of the patch, whatever the stride. */
static size_t padded(size_t n, size_t size)
{
    return (n + size - 1) / size * size;
}

size_t fi_patch_count(size_t n, size_t size, size_t stride)
{
    return (padded(n, size) - size) / stride + 1;
}

void fi_patch(const float *z, size_t n, size_t size, size_t stride, float *values, float *mask, size_t ld, float *seen)
{
    size_t padding = padded(n, size) - n, count = fi_patch_count(n, size, stride);
    for (size_t p = 0; p < count; p++) {
        seen[p] = 0;
        for (size_t i = 0; i < size; i++) {
            size_t at = p * stride + i;
            float x = at < padding ? NAN : z[at - padding];
            values[p * ld + i] = isnan(x) ? 0.0f : x;
            mask[p * ld + i] = isnan(x) ? 0.0f : 1.0f;
            if (!isnan(x)) seen[p] = 1;
        }
    }
}
