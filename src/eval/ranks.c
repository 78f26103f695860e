#include "eval/ranks.h"

#include <math.h>

void fi_ranks(const double *value, size_t n, double *rank)
{
    for (size_t i = 0; i < n; i++) {
        size_t below = 0, equal = 0;
        for (size_t j = 0; j < n; j++) {
            below += value[j] < value[i];
            equal += value[j] == value[i];
        }
        rank[i] = (double)below + ((double)equal + 1) / 2;
    }
}

enum { EXACT = 25 };

/* P(W <= w) for the sum W of the ranks 1..n that carry a plus: of the 2^n signs all are equally likely. */
static double exact_lower_tail(size_t n, double w)
{
    double ways[EXACT * (EXACT + 1) / 2 + 1] = {1}, below = 0;
    size_t most = n * (n + 1) / 2;
    for (size_t r = 1; r <= n; r++)
        for (size_t s = most; s >= r; s--) ways[s] += ways[s - r];
    for (size_t s = 0; s <= most && (double)s <= w; s++) below += ways[s];
    return below / pow(2, (double)n);
}

double fi_wilcoxon(const double *difference, size_t n, double *work)
{
    double *size = work, *rank = work + n, plus = 0, ties = 0;
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (difference[i] != 0 && !isnan(difference[i])) size[m++] = fabs(difference[i]);
    if (m < 2) return NAN;
    fi_ranks(size, m, rank);
    for (size_t i = 0, k = 0; i < n; i++) {
        if (difference[i] == 0 || isnan(difference[i])) continue;
        if (difference[i] > 0) plus += rank[k];
        size_t equal = 0;
        for (size_t j = 0; j < m; j++) equal += size[j] == size[k];
        ties += (double)equal * (double)equal - 1; /* over the members of a tie: t^3 - t in all */
        k++;
    }
    double count = (double)m, total = count * (count + 1) / 2, least = fmin(plus, total - plus);
    if (m <= EXACT && ties == 0) return fmin(1, 2 * exact_lower_tail(m, least));
    double variance = count * (count + 1) * (2 * count + 1) / 24 - ties / 48;
    double z = (total / 2 - least - 0.5) / sqrt(variance);
    return variance > 0 ? fmin(1, erfc(z / sqrt(2))) : 1;
}

/* P(range of k standard normals <= q) = k int phi(z) (Phi(z) - Phi(z - q))^(k-1) dz, by Simpson's rule. */
static double range_probability(size_t k, double q)
{
    enum { PANELS = 400 };
    double low = -8, step = (8 + q - low) / PANELS, sum = 0;
    for (int i = 0; i <= PANELS; i++) {
        double z = low + step * i, inside = 0.5 * (erfc(-z / sqrt(2)) - erfc(-(z - q) / sqrt(2)));
        double weight = i == 0 || i == PANELS ? 1 : i % 2 ? 4 : 2;
        sum += weight * exp(-z * z / 2) / sqrt(2 * acos(-1)) * pow(inside, (double)(k - 1));
    }
    return (double)k * sum * step / 3;
}

double fi_range_quantile(size_t k)
{
    double low = 0, high = 20;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (range_probability(k, middle) < 0.95)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}
