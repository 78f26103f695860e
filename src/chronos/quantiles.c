/* Quantiles at other levels, and of weighted samples. */
#include "chronos/quantiles.h"

#include <stdlib.h>

float fi_interpolate_quantile(const fi_knot *knots, size_t n, double level)
{
    size_t above = 0, end = n; /* the first knot beyond `level` */
    while (above < end) {
        size_t middle = above + (end - above) / 2;
        if (knots[middle].level > level)
            end = middle;
        else
            above = middle + 1;
    }
    if (above == 0) return knots[0].value;
    if (above == n) return knots[n - 1].value;
    const fi_knot *a = &knots[above - 1], *b = &knots[above];
    return (float)(a->value + (level - a->level) / (b->level - a->level) * ((double)b->value - a->value));
}

static int by_value(const void *a, const void *b)
{
    float x = ((const fi_knot *)a)->value, y = ((const fi_knot *)b)->value;
    return (x > y) - (x < y);
}

void fi_knots_from_samples(fi_knot *samples, size_t n)
{
    qsort(samples, n, sizeof *samples, by_value);
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) total += samples[i].level;
    for (size_t i = 0; i < n; i++) samples[i].level = (sum += samples[i].level) / total;
}

void fi_level_masses(const double *levels, size_t n, double *mass)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        mass[i] = ((i + 1 < n ? levels[i + 1] : 1.0) - (i ? levels[i - 1] : 0.0)) / 2;
        total += mass[i];
    }
    for (size_t i = 0; i < n; i++) mass[i] /= total;
}
