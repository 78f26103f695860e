#include "chronos/sampling.h"

#include <math.h>
#include <stdlib.h>

enum { LANES = 16 };

/* Puts `value` into the place of the least of heap[0, n), which lies on top. */
static void replace_least(float *heap, size_t n, float value)
{
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[i] = heap[child];
    }
    heap[i] = value;
}

static bool all_finite(const float *x, size_t n)
{
    float zero[LANES] = {0}; /* NaN where one of them is not */
    for (size_t i = 0; i < n; i++) zero[i % LANES] += x[i] * 0;
    for (size_t j = 0; j < LANES; j++)
        if (zero[j] != 0) return false;
    return true;
}

/* The k-th largest of x[0, n), 1 <= k <= n. heap has room for k. */
static float kth_largest(const float *x, size_t n, size_t k, float *heap)
{
    for (size_t i = 0; i < k; i++) heap[i] = -INFINITY;
    for (size_t i = 0; i < n; i += LANES) {
        const size_t end = n - i < LANES ? n : i + LANES;
        const float least = heap[0];
        int any = 0; /* few pieces have one that is large enough, and this loop is a vector's work */
        for (size_t j = i; j < end; j++) any |= x[j] > least;
        if (!any) continue;
        for (size_t j = i; j < end; j++)
            if (x[j] > heap[0]) replace_least(heap, k, x[j]);
    }
    return heap[0];
}

static int by_weight(const void *a, const void *b)
{
    const fi_candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

/* Drops the least probable while together they have at most 1 - top_p; one always stays. */
static size_t nucleus(fi_candidate *c, size_t n, double total, double top_p)
{
    qsort(c, n, sizeof *c, by_weight);
    size_t dropped = 0;
    double sum = 0;
    while (dropped + 1 < n && (sum += (double)c[dropped].weight) <= (1 - top_p) * total) dropped++;
    for (size_t i = dropped; i < n; i++) c[i - dropped] = c[i];
    return n - dropped;
}

size_t fi_sampling_candidates(const fi_sampling *s, const float *logits, size_t n, fi_candidate *out)
{
    float least = -INFINITY, largest = -INFINITY;
    const bool forbids = s->forbidden >= 0 && (size_t)s->forbidden < n;
    if (!all_finite(logits, n)) return 0;
    if (s->top_k < n) {
        /* The forbidden one would take a place among the k: where it is one of k + 1, they are the k others. */
        const size_t k = s->top_k;
        least = kth_largest(logits, n, k, (float *)(void *)out);
        if (forbids && logits[s->forbidden] >= least) least = kth_largest(logits, n, k + 1, (float *)(void *)out);
    }
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(logits[i] >= least) || (forbids && i == (size_t)s->forbidden)) continue;
        out[count++] = (fi_candidate){logits[i], (int32_t)i};
        if (logits[i] > largest) largest = logits[i];
    }
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        out[i].weight = expf((out[i].weight - largest) / s->temperature);
        total += (double)out[i].weight;
    }
    return s->top_p < 1 && count ? nucleus(out, count, total, s->top_p) : count;
}

int32_t fi_sampling_draw(const fi_candidate *c, size_t n, double uniform)
{
    double total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) total += (double)c[i].weight;
    size_t last = 0; /* the last one with any probability, lest rounding falls off the end */
    for (size_t i = 0; i < n; i++) {
        if (c[i].weight > 0) last = i;
        if ((sum += (double)c[i].weight) > uniform * total) break;
    }
    return c[last].token;
}
