#include "stats/simplex.h"

#include <math.h>

/* (G w)[i]: half the gradient. */
static double gradient(const double *g, const double *w, size_t n, size_t i)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++) sum += g[i * n + j] * w[j];
    return sum;
}

void fi_simplex_least_squares(const double *g, size_t n, double *w)
{
    enum { MOVES = 20000 };
    double scale = 0;
    for (size_t i = 0; i < n; i++) {
        w[i] = 1 / (double)n;
        scale = fmax(scale, g[i * n + i]);
    }
    for (size_t move = 0; move < MOVES; move++) {
        size_t to = 0, from = n; /* the steepest descent, and the steepest ascent among those with weight to give */
        double low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            double d = gradient(g, w, n, i);
            if (d < low) low = d, to = i;
            if (w[i] > 0 && d > high) high = d, from = i;
        }
        if (from == n || to == from || !(high - low > 1e-13 * scale)) return;
        double bend = g[to * n + to] + g[from * n + from] - 2 * g[to * n + from];
        double step = bend > 0 ? fmin(w[from], (high - low) / bend) : w[from];
        w[to] += step;
        w[from] = step < w[from] ? w[from] - step : 0;
    }
}
