#include "stats/classical.h"

#include <math.h>

/* Mean over one season around row t; for an even period the two outer rows count half. */
static double centred_mean(const double *y, size_t t, size_t m)
{
    size_t half = m / 2;
    double sum = 0;
    for (size_t i = t - half + (m % 2 ? 0 : 1); i < t + half + (m % 2 ? 1 : 0); i++) sum += y[i];
    if (m % 2 == 0) sum += (y[t - half] + y[t + half]) / 2;
    return sum / (double)m;
}

void fi_classical_season(const double *y, size_t n, size_t m, bool multiplicative, double *effect)
{
    size_t half = m / 2;
    double total = 0;
    for (size_t p = 0; p < m; p++) {
        double sum = 0, count = 0;
        for (size_t t = p; t + half < n; t += m) {
            if (t < half) continue;
            double trend = centred_mean(y, t, m);
            sum += multiplicative ? y[t] / trend : y[t] - trend;
            count++;
        }
        effect[p] = sum / count;
        total += effect[p];
    }
    for (size_t p = 0; p < m; p++)
        effect[p] = multiplicative ? effect[p] * (double)m / total : effect[p] - total / (double)m;
}

double fi_autocorrelation(const double *y, size_t n, size_t k)
{
    double mean = 0, products = 0, squares = 0;
    for (size_t t = 0; t < n; t++) mean += y[t] / (double)n;
    for (size_t t = 0; t < n; t++) {
        squares += (y[t] - mean) * (y[t] - mean);
        if (t >= k) products += (y[t] - mean) * (y[t - k] - mean);
    }
    return squares > 0 ? products / squares : NAN;
}

bool fi_is_seasonal(const double *y, size_t n, size_t m)
{
    double sum = 0;
    if (m < 2 || n < 2 * m) return false;
    for (size_t k = 1; k < m; k++) {
        double r = fi_autocorrelation(y, n, k);
        sum += r * r;
    }
    /* 1.6449 is the normal's 0.95 quantile; NaN of a constant series compares false */
    return fabs(fi_autocorrelation(y, n, m)) > 1.6448536269514722 * sqrt((1 + 2 * sum) / (double)n);
}
