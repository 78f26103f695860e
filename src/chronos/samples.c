#include "chronos/samples.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void fi_sort_samples(float *samples, size_t n)
{
    qsort(samples, n, sizeof *samples, ascending);
}

float fi_sample_quantile(const float *sorted, size_t n, double level)
{
    double rank = level * (double)(n - 1), below = floor(rank);
    size_t i = (size_t)below;
    if (i + 1 >= n) return sorted[n - 1];
    return (float)(sorted[i] + (rank - below) * ((double)sorted[i + 1] - (double)sorted[i]));
}

float fi_lower_median(const float *sorted, size_t n)
{
    return sorted[(n - 1) / 2];
}
