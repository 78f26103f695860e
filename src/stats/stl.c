#include "stats/stl.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t odd(size_t n)
{
    return n | 1;
}

static fi_loess loess(size_t window, size_t degree)
{
    return (fi_loess){window, degree, (window + 9) / 10};
}

fi_stl_options fi_stl_defaults(size_t n, size_t period, size_t seasonal_window, bool robust)
{
    fi_stl_options o = {.period = period, .periodic = seasonal_window == 0};
    size_t window = seasonal_window ? seasonal_window : 10 * n + 1;
    o.season = loess(window, 0);
    o.trend = loess(odd((size_t)ceil(1.5 * (double)period / (1 - 1.5 / (double)window))), 1);
    o.low_pass = loess(odd(period), 1);
    o.inner = robust ? 1 : 2;
    o.outer = robust ? 15 : 0;
    return o;
}

static double cube(double x)
{
    return x * x * x;
}

/*
 * The loess value at x from points first..last (positions from 0; x may lie one beyond an end), into *value. Returns
 * false, and leaves it, where all weights are 0. w [n] is scratch; robust may be NULL.
 */
static bool loess_at(const double *y, size_t n, const fi_loess *s, double x, size_t first, size_t last, double *w,
                     const double *robust, double *value)
{
    double h = fmax(x - (double)first, (double)last - x), total = 0;
    if (s->window > n) h += (double)((s->window - n) / 2);
    for (size_t j = first; j <= last; j++) {
        double r = fabs((double)j - x);
        w[j] = r <= 0.001 * h ? 1 : r <= 0.999 * h ? cube(1 - cube(r / h)) : 0;
        if (robust) w[j] *= robust[j];
        total += w[j];
    }
    if (total <= 0) return false;
    double slope = 0, centre = 0, spread = 0;
    if (h > 0 && s->degree > 0) {
        for (size_t j = first; j <= last; j++) centre += w[j] / total * (double)j;
        for (size_t j = first; j <= last; j++) spread += w[j] / total * ((double)j - centre) * ((double)j - centre);
        if (sqrt(spread) > 0.001 * (double)(n - 1)) slope = (x - centre) / spread;
    }
    double sum = 0;
    for (size_t j = first; j <= last; j++) sum += w[j] / total * (1 + slope * ((double)j - centre)) * y[j];
    *value = sum;
    return true;
}

/* out [n] = loess of y [n], computed every `jump` points and at the last, straight lines between them. */
static void smooth(const double *y, size_t n, const fi_loess *s, const double *robust, double *out, double *w)
{
    if (n < 2) {
        out[0] = y[0];
        return;
    }
    size_t jump = s->jump < n - 1 ? s->jump : n - 1, half = (s->window + 1) / 2, before = 0;
    if (jump == 0) jump = 1;
    for (size_t i = 0;; i = i + jump < n ? i + jump : n - 1) {
        size_t first = 0, last = n - 1;
        if (s->window < n) {
            /* The last point, where the jumps miss it, takes the window of the one before it, as R does. */
            size_t at = i == n - 1 && i % jump ? before : i;
            first = at + 1 < half ? 0 : at + 1 - half;
            if (first > n - s->window) first = n - s->window;
            last = first + s->window - 1;
        }
        if (!loess_at(y, n, s, (double)i, first, last, w, robust, &out[i])) out[i] = y[i];
        double step = i > before ? (out[i] - out[before]) / (double)(i - before) : 0;
        for (size_t j = before + 1; j < i; j++) out[j] = out[before] + step * (double)(j - before);
        before = i;
        if (i == n - 1) return;
    }
}

/* out [n - length + 1]: moving averages of y [n]. */
static void moving_average(const double *y, size_t n, size_t length, double *out)
{
    double sum = 0;
    for (size_t i = 0; i < length; i++) sum += y[i];
    out[0] = sum / (double)length;
    for (size_t i = length; i < n; i++) {
        sum += y[i] - y[i - length];
        out[i - length + 1] = sum / (double)length;
    }
}

/* out [n + 2 period]: each place of the season smoothed over the years, and one year more at both ends. */
static void smooth_cycles(const double *y, size_t n, const fi_stl_options *o, const double *robust, double *out,
                          double *work)
{
    size_t years = (n - 1) / o->period + 1;
    double *part = work, *weight = part + years, *smoothed = weight + years, *w = smoothed + years + 2;
    for (size_t place = 0; place < o->period; place++) {
        size_t k = (n - 1 - place) / o->period + 1, window = o->season.window;
        for (size_t i = 0; i < k; i++) {
            part[i] = y[i * o->period + place];
            if (robust) weight[i] = robust[i * o->period + place];
        }
        const double *r = robust ? weight : NULL;
        smooth(part, k, &o->season, r, smoothed + 1, w);
        size_t last = window < k ? window - 1 : k - 1, first = window < k ? k - window : 0;
        if (!loess_at(part, k, &o->season, -1, 0, last, w, r, &smoothed[0])) smoothed[0] = smoothed[1];
        if (!loess_at(part, k, &o->season, (double)k, first, k - 1, w, r, &smoothed[k + 1]))
            smoothed[k + 1] = smoothed[k];
        for (size_t i = 0; i < k + 2; i++) out[i * o->period + place] = smoothed[i];
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Bisquare weights of the remainders, whose scale is 6 median |remainder|. */
static void robust_weights(const double *y, size_t n, const double *season, const double *trend, double *weights,
                           double *sorted)
{
    for (size_t i = 0; i < n; i++) sorted[i] = weights[i] = fabs(y[i] - season[i] - trend[i]);
    qsort(sorted, n, sizeof *sorted, ascending);
    double scale = 3 * (sorted[n / 2] + sorted[n - n / 2 - 1]);
    for (size_t i = 0; i < n; i++) {
        double r = weights[i], u = 1 - r / scale * (r / scale);
        weights[i] = r <= 0.001 * scale ? 1 : r <= 0.999 * scale ? u * u : 0;
    }
}

/* A season that repeats: the mean of each place over the years. */
static void make_periodic(double *season, size_t n, size_t period)
{
    for (size_t place = 0; place < period; place++) {
        double sum = 0, count = 0;
        for (size_t i = place; i < n; i += period) sum += season[i], count++;
        for (size_t i = place; i < n; i += period) season[i] = sum / count;
    }
}

size_t fi_stl_work(size_t n, size_t period)
{
    return 4 * (n + 2 * period) + 4 * (n / period + 4) + n;
}

void fi_stl(const double *y, size_t n, const fi_stl_options *o, double *season, double *trend, double *weights,
            double *work)
{
    size_t long_n = n + 2 * o->period;
    double *cycle = work, *a = cycle + long_n, *b = a + long_n, *own_weights = b + long_n, *rest = own_weights + long_n;
    double *robust = weights ? weights : own_weights;
    memset(trend, 0, n * sizeof *trend);
    for (size_t i = 0; i < n; i++) robust[i] = 1;
    for (size_t outer = 0;; outer++) {
        const double *r = outer > 0 ? robust : NULL;
        for (size_t inner = 0; inner < o->inner; inner++) {
            for (size_t i = 0; i < n; i++) a[i] = y[i] - trend[i];
            smooth_cycles(a, n, o, r, cycle, rest);
            moving_average(cycle, long_n, o->period, a);
            moving_average(a, n + o->period + 1, o->period, b);
            moving_average(b, n + 2, 3, a);
            smooth(a, n, &o->low_pass, NULL, b, rest);
            for (size_t i = 0; i < n; i++) season[i] = cycle[o->period + i] - b[i];
            for (size_t i = 0; i < n; i++) a[i] = y[i] - season[i];
            smooth(a, n, &o->trend, r, trend, rest);
        }
        if (outer == o->outer) break;
        robust_weights(y, n, season, trend, robust, a);
    }
    if (o->periodic) make_periodic(season, n, o->period);
}

void fi_bridge_gaps(const double *y, size_t n, double *out)
{
    size_t last = n; /* the latest value seen */
    for (size_t i = 0; i < n; i++) {
        out[i] = y[i];
        if (isnan(y[i])) continue;
        double from = last < n ? y[last] : y[i];
        size_t begin = last < n ? last : 0;
        for (size_t j = last < n ? last + 1 : 0; j < i; j++)
            out[j] = from + (y[i] - from) * (double)(j - begin) / (double)(i - begin);
        last = i;
    }
    if (last < n)
        for (size_t j = last + 1; j < n; j++) out[j] = y[last];
}

/* Of the values of a [n] plus, where b is not NULL, b [n], at the places where y is not missing. */
static double variance(const double *a, const double *b, const double *y, size_t n)
{
    double mean = 0, count = 0, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(y[i])) mean += a[i] + (b ? b[i] : 0), count++;
    mean /= count;
    for (size_t i = 0; i < n; i++)
        if (!isnan(y[i])) {
            double d = a[i] + (b ? b[i] : 0) - mean;
            sum += d * d;
        }
    return sum / (count - 1);
}

ftl_status fi_seasonal_strength(const double *y, size_t n, size_t m, double *strength, ftl_error *err)
{
    *strength = 0;
    if (m < 2 || n / 2 < m || n <= 2 * m) return FTL_OK;
    double *work = fi_alloc(3 * n + fi_stl_work(n, m), sizeof *work);
    if (!work) return fi_fail_memory(err);
    double *filled = work, *season = filled + n, *trend = season + n;
    fi_bridge_gaps(y, n, filled);
    fi_stl_options options = fi_stl_defaults(n, m, 11, false);
    fi_stl(filled, n, &options, season, trend, NULL, trend + n);
    for (size_t i = 0; i < n; i++) filled[i] -= season[i] + trend[i];
    double largest = 0, whole = variance(filled, season, y, n), share = variance(filled, NULL, y, n) / whole;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(y[i]));
    bool varies = sqrt(whole) > 1e-12 * largest; /* else both are rounding errors */
    *strength = varies && share <= 1 ? 1 - share : 0;
    fi_free(work);
    return FTL_OK;
}
