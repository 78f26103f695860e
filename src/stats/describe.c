/* What a forecaster wants to know of a series: counts, seasons, trend, differences, outliers, shifts, advice. */
#include <foretell/describe.h>

#include "base/alloc.h"
#include "base/error.h"
#include "forecast/driver.h"
#include "math/fft.h"
#include "series/series.h"
#include "stats/local.h"
#include "stats/stl.h"
#include "stats/unit_root.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_CANDIDATES = 48, /* of periods */
    PEAKS = 10,          /* of the spectrum that become candidates */
    SHORTEST = 8         /* observations below which nothing is said of the series' shape */
};
/* A season counts as found from these on: clear of what noise and random walks show (tests/unit/stats/test_describe.c). */
static const double LEAST_STRENGTH = 0.3, LEAST_PROMINENCE = 0.15;

const char *ftl_demand_name(ftl_demand demand)
{
    static const char *const names[] = {"none", "smooth", "erratic", "intermittent", "lumpy"};
    return (size_t)demand < sizeof names / sizeof *names ? names[demand] : "";
}

void ftl_description_free(ftl_description *d)
{
    if (!d) return;
    void *const owned[] = {d->outliers, d->times, d->y, d->trend, d->season, d->remainder, d->acf, d->spectrum};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fi_free(owned[i]);
    fi_free(d);
}

/* ---- counts ----------------------------------------------------------------------------------------------------- */

static void count_values(ftl_description *d)
{
    size_t run = 0;
    double sum = 0, squares = 0;
    d->min = d->max = d->mean = d->sd = NAN;
    for (size_t t = 0; t < d->n; t++) {
        double y = d->y[t];
        run = isnan(y) ? run + 1 : 0;
        d->n_gaps += run == 1;
        if (run > d->longest_gap) d->longest_gap = run;
        if (isnan(y)) continue;
        d->n_observed++;
        d->n_zeros += y == 0;
        d->n_negative += y < 0;
        d->min = fmin(d->min, y);
        d->max = fmax(d->max, y);
        sum += y;
    }
    d->n_missing = d->n - d->n_observed;
    if (!d->n_observed) return;
    d->mean = sum / (double)d->n_observed;
    for (size_t t = 0; t < d->n; t++)
        if (!isnan(d->y[t])) squares += (d->y[t] - d->mean) * (d->y[t] - d->mean);
    if (d->n_observed > 1) d->sd = sqrt(squares / (double)(d->n_observed - 1));
    d->constant = fi_is_constant(d->y, d->n);
}

/* Sizes of the demands that are not zero, and how far they lie apart. */
static void class_demand(ftl_description *d)
{
    double sum = 0, squares = 0;
    size_t demands = 0;
    d->adi = d->cv2 = NAN;
    for (size_t t = 0; t < d->n; t++) {
        if (!(d->y[t] > 0)) continue;
        demands++;
        sum += d->y[t];
    }
    if (!demands || d->n_negative) return;
    double mean = sum / (double)demands;
    for (size_t t = 0; t < d->n; t++)
        if (d->y[t] > 0) squares += (d->y[t] / mean - 1) * (d->y[t] / mean - 1);
    d->adi = (double)d->n_observed / (double)demands;
    d->cv2 = demands > 1 ? squares / (double)(demands - 1) : 0;
    bool rare = d->adi >= 1.32, uneven = d->cv2 >= 0.49;
    d->demand = rare ? (uneven ? FTL_DEMAND_LUMPY : FTL_DEMAND_INTERMITTENT)
                     : (uneven ? FTL_DEMAND_ERRATIC : FTL_DEMAND_SMOOTH);
}

/* ---- autocorrelation and spectrum ------------------------------------------------------------------------------- */

/* y less its least-squares line, over its standard deviation; all 0 for a straight line. */
static void detrend(const double *y, size_t n, double *out)
{
    double centre = ((double)n - 1) / 2, mean = 0, slope = 0, spread = 0, squares = 0;
    for (size_t t = 0; t < n; t++) mean += y[t] / (double)n;
    for (size_t t = 0; t < n; t++) {
        slope += ((double)t - centre) * (y[t] - mean);
        spread += ((double)t - centre) * ((double)t - centre);
    }
    slope = spread > 0 ? slope / spread : 0;
    double scale = 0;
    for (size_t t = 0; t < n; t++) {
        out[t] = y[t] - mean - slope * ((double)t - centre);
        squares += out[t] * out[t];
        scale = fmax(scale, fabs(y[t]));
    }
    double sd = sqrt(squares / (double)n);
    for (size_t t = 0; t < n; t++) out[t] = sd > 1e-12 * scale ? out[t] / sd : 0;
}

/* Work of one series: everything in arrays of a power of two beyond twice its length. */
typedef struct waves {
    size_t n, size, n_lags;
    double *x;           /* [n] bridged, without its line */
    double *re, *im;     /* [size] */
    double *acf, *power; /* [n_lags + 1], [size / 2 + 1] power adds up to 1 */
} waves;

static ftl_status waves_init(waves *w, size_t n, ftl_error *err)
{
    *w = (waves){.n = n, .size = 2, .n_lags = n / 2};
    while (w->size < 2 * n) w->size *= 2;
    w->x = fi_alloc(n, sizeof *w->x);
    w->re = fi_alloc(w->size, sizeof *w->re);
    w->im = fi_alloc(w->size, sizeof *w->im);
    w->acf = fi_alloc(w->n_lags + 1, sizeof *w->acf);
    w->power = fi_alloc(w->size / 2 + 1, sizeof *w->power);
    return w->x && w->re && w->im && w->acf && w->power ? FTL_OK : fi_fail_memory(err);
}

static void waves_release(waves *w)
{
    double *const owned[] = {w->x, w->re, w->im, w->acf, w->power};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fi_free(owned[i]);
}

/* x, times a Hann window if `taper`, with zeros up to a power of two, transformed; re becomes |X|^2 and im 0. */
static void transform(waves *w, bool taper)
{
    for (size_t t = 0; t < w->size; t++) {
        double hann = taper ? 0.5 - 0.5 * cos(6.283185307179586 * ((double)t + 0.5) / (double)w->n) : 1;
        w->re[t] = t < w->n ? w->x[t] * hann : 0;
        w->im[t] = 0;
    }
    fi_fft(w->re, w->im, w->size);
    for (size_t k = 0; k < w->size; k++) {
        w->re[k] = w->re[k] * w->re[k] + w->im[k] * w->im[k];
        w->im[k] = 0;
    }
}

/* Autocorrelation is the transform of the plain periodogram (Wiener & Khinchin); the spectrum is that of the tapered x. */
static void analyse(waves *w, const double *y)
{
    detrend(y, w->n, w->x);
    transform(w, false);
    fi_fft(w->re, w->im, w->size);
    for (size_t k = 0; k <= w->n_lags; k++) w->acf[k] = w->re[0] > 0 ? w->re[k] / w->re[0] : k == 0;
    transform(w, true);
    double total = 0;
    for (size_t k = 0; k <= w->size / 2; k++) total += w->re[k];
    for (size_t k = 0; k <= w->size / 2; k++) w->power[k] = total > 0 ? w->re[k] / total : 0;
}

/* Share of power within the main lobe of the taper around the period and its first harmonics. */
static double power_at(const waves *w, size_t period)
{
    double at = (double)w->size / (double)period, lobe = 2 * (double)w->size / (double)w->n, sum = 0;
    size_t done = 0; /* lobes may touch: a line is counted once */
    for (double k = at; k <= (double)w->size / 2 + 0.5; k += at) {
        size_t first = (size_t)fmax(ceil(k - lobe), (double)done), last = (size_t)floor(k + lobe);
        for (size_t i = first; i <= last && i <= w->size / 2; i++) sum += w->power[i];
        done = last + 1;
    }
    return fmin(sum, 1);
}

/* ---- seasons ---------------------------------------------------------------------------------------------------- */

static void add_candidate(size_t *list, size_t *n, size_t period, size_t longest)
{
    size_t place = 0;
    while (place < *n && list[place] < period) place++;
    if (period < 2 || period > longest || *n == MAX_CANDIDATES || (place < *n && list[place] == period)) return;
    memmove(list + place + 1, list + place, (*n - place) * sizeof *list);
    list[place] = period;
    ++*n;
}

/* The lag of the highest autocorrelation near `period`: a spectral line tells it only to within its width. */
static size_t climb(const waves *w, size_t period)
{
    size_t reach = period * period / w->n + 1, best = period; /* the width of a line, as a period */
    for (size_t k = period > reach + 1 ? period - reach : 2; k <= period + reach && k <= w->n_lags; k++)
        if (w->acf[k] > w->acf[best]) best = k;
    return best;
}

/* The periods of the highest peaks of the spectrum, and twice and three times as long ones. */
static void spectral_candidates(const waves *w, size_t *list, size_t *n, size_t longest)
{
    double before = INFINITY;
    for (size_t peak = 0; peak < PEAKS; peak++) {
        size_t at = 0;
        for (size_t k = 1; k < w->size / 2; k++)
            if (w->power[k] >= w->power[k - 1] && w->power[k] > w->power[k + 1] && w->power[k] < before &&
                (!at || w->power[k] > w->power[at]))
                at = k;
        if (!at) return;
        before = w->power[at];
        size_t period = (size_t)((double)w->size / (double)at + 0.5);
        for (size_t times = 1; times <= 3; times++)
            if (period >= 2 && times * period <= longest) add_candidate(list, n, climb(w, times * period), longest);
    }
}

/* How far the autocorrelation at a lag stands above the lowest of the half period before it. */
static double prominence(const waves *w, size_t period)
{
    double lowest = w->acf[period];
    for (size_t k = period - period / 2; k < period; k++) lowest = fmin(lowest, w->acf[k]);
    return w->acf[period] - lowest;
}

/*
 * Does the series repeat after so many steps, rather than a part or a multiple of them? A harmonic repeats less well than
 * its season: some multiple of it has a clearly higher autocorrelation.
 */
static bool repeats(const waves *w, size_t period)
{
    double noise = 2 / sqrt((double)w->n), r = w->acf[period];
    if (r < 2 * noise || prominence(w, period) < LEAST_PROMINENCE + noise) return false;
    if (period < w->n_lags && w->acf[period + 1] > r) return false;
    if (period > 2 && w->acf[period - 1] > r) return false;
    for (size_t times = 2; times <= 5 && times * period <= w->n_lags; times++)
        if (w->acf[times * period] > r + 0.05 + noise) return false;
    return true;
}

/* Takes the mean of each place of the season out of y. */
static void take_out(double *y, size_t n, size_t period)
{
    for (size_t place = 0; place < period; place++) {
        double sum = 0;
        size_t count = 0;
        for (size_t t = place; t < n; t += period, count++) sum += y[t];
        for (size_t t = place; t < n; t += period) y[t] -= sum / (double)count;
    }
}

static void add_period(ftl_description *d, ftl_period period)
{
    size_t place = 0;
    if (d->n_periods == FTL_MAX_PERIODS) return;
    while (place < d->n_periods && d->periods[place].steps < period.steps) place++;
    memmove(d->periods + place + 1, d->periods + place, (d->n_periods - place) * sizeof period);
    d->periods[place] = period;
    d->n_periods++;
}

static bool is_known(const ftl_description *d, size_t steps)
{
    for (size_t i = 0; i < d->n_periods; i++)
        if (d->periods[i].steps == steps) return true;
    return false;
}

/* What pictures show: autocorrelations, and for each period the highest line of the spectrum that rounds to it. */
static ftl_status show_waves(ftl_description *d, const waves *w, ftl_error *err)
{
    double highest = 0, size = (double)w->size;
    d->n_lags = w->n_lags < 400 ? w->n_lags : 400;
    d->acf = fi_alloc(d->n_lags + 1, sizeof *d->acf);
    d->spectrum = fi_calloc(d->n_lags + 1, sizeof *d->spectrum);
    if (!d->acf || !d->spectrum) return fi_fail_memory(err);
    memcpy(d->acf, w->acf, (d->n_lags + 1) * sizeof *d->acf);
    for (size_t k = 2; k <= d->n_lags; k++) {
        size_t from = (size_t)ceil(size / ((double)k + 0.5)), to = (size_t)floor(size / ((double)k - 0.5));
        if (from > to) from = to = (size_t)(size / (double)k + 0.5); /* no line falls there: the nearest */
        for (size_t i = from; i <= to && i <= w->size / 2; i++) d->spectrum[k] = fmax(d->spectrum[k], w->power[i]);
        highest = fmax(highest, d->spectrum[k]);
    }
    for (size_t k = 0; k <= d->n_lags && highest > 0; k++) d->spectrum[k] /= highest;
    return FTL_OK;
}

/*
 * Candidates in ascending order, each judged on what the shorter seasons left over, so that a week's pattern does not
 * make every multiple of 7 a season.
 */
static ftl_status find_periods(ftl_description *d, const double *bridged, size_t usual, ftl_error *err)
{
    size_t list[MAX_CANDIDATES], n_list = 0, longest = d->n / 3;
    double *left = fi_alloc(d->n, sizeof *left);
    waves first, w;
    ftl_status st = waves_init(&first, d->n, err), second = waves_init(&w, d->n, err);
    if (!left || st || second) {
        st = fi_fail_memory(err);
        goto done;
    }
    memcpy(left, bridged, d->n * sizeof *left);
    analyse(&first, bridged);
    analyse(&w, bridged);
    add_candidate(list, &n_list, usual, d->n / 2);
    if (usual >= 24) add_candidate(list, &n_list, 7 * usual, d->n / 2); /* parts of a day: the week */
    spectral_candidates(&first, list, &n_list, longest);
    for (size_t i = 0; i < n_list && !st; i++) {
        bool is_usual = list[i] == usual;
        size_t steps =
            is_usual || !d->n_periods ? list[i] : climb(&w, list[i]); /* clearer without the shorter seasons */
        ftl_period p = {.steps = steps, .autocorrelation = first.acf[steps], .usual = is_usual};
        p.found = repeats(&w, steps);
        if ((!p.found && !p.usual) || is_known(d, steps)) continue;
        st = fi_seasonal_strength(left, d->n, p.steps, &p.strength, err);
        p.found = p.found && p.strength >= LEAST_STRENGTH;
        p.power = power_at(&w, p.steps);
        if (p.found || p.usual) add_period(d, p);
        if (!p.found) continue;
        take_out(left, d->n, p.steps);
        analyse(&w, left);
        size_t before = n_list; /* what the stronger season hid */
        spectral_candidates(&w, list, &n_list, longest);
        while (n_list > before && list[i] < p.steps) i++;
    }
    if (!st) st = show_waves(d, &first, err);
done:
    waves_release(&first);
    waves_release(&w);
    fi_free(left);
    return st;
}

/* The strongest season that was found; 0: none. */
static size_t main_period(const ftl_description *d)
{
    const ftl_period *best = NULL;
    for (size_t i = 0; i < d->n_periods; i++)
        if (d->periods[i].found && (!best || d->periods[i].strength > best->strength)) best = &d->periods[i];
    return best ? best->steps : 0;
}

/* ---- parts, outliers, shifts ------------------------------------------------------------------------------------ */

/* A straight loess trend through a series without season: the window that an STL of a season of 7 would have. */
static ftl_status decompose(ftl_description *d, const double *bridged, ftl_error *err)
{
    size_t found = main_period(d), period = found && d->n > 2 * found ? found : 0, used = period ? period : 7;
    double *work = fi_alloc(fi_stl_work(d->n, used), sizeof *work);
    if (!work) return fi_fail_memory(err);
    if (d->n > 2 * used) {
        fi_stl_options o = fi_stl_defaults(d->n, used, 23, true);
        fi_stl(bridged, d->n, &o, d->season, d->trend, NULL, work);
    } else {
        for (size_t t = 0; t < d->n; t++) d->trend[t] = d->mean, d->season[t] = 0;
    }
    for (size_t t = 0; t < d->n; t++) {
        if (!period) d->season[t] = 0; /* what was found there is noise */
        d->remainder[t] = d->y[t] - d->trend[t] - d->season[t];
    }
    fi_free(work);
    return FTL_OK;
}

/* Variance of a + b (b NULL: of a), missing ones left out. */
static double variance(const double *a, const double *b, size_t n)
{
    double mean = 0, m2 = 0;
    size_t count = 0;
    for (size_t t = 0; t < n; t++) {
        double x = a[t] + (b ? b[t] : 0), off = x - mean;
        if (isnan(x)) continue;
        mean += off / (double)++count; /* Welford 1962 */
        m2 += off * (x - mean);
    }
    return count ? m2 / (double)count : 0;
}

/*
 * Remainders beyond 3 interquartile ranges. One that is next to nothing beside the values is rounding. Where most values
 * are 0 the demands are what counts, none of them an outlier.
 */
static ftl_status find_outliers(ftl_description *d, double *work, ftl_error *err)
{
    static const double quarters[2] = {0.25, 0.75};
    double q[2];
    size_t n = 0;
    for (size_t t = 0; t < d->n; t++)
        if (!isnan(d->remainder[t])) work[n++] = d->remainder[t];
    fi_sample_quantiles(work, n, quarters, 2, q);
    double reach = 3 * (q[1] - q[0]), least = 1e-9 * fmax(fabs(d->min), fabs(d->max));
    d->outliers = fi_alloc(n, sizeof *d->outliers);
    if (!d->outliers) return fi_fail_memory(err);
    for (size_t t = 0; t < d->n && !(d->adi >= 1.32); t++) {
        double r = d->remainder[t];
        if (r < q[0] - reach - least || r > q[1] + reach + least) d->outliers[d->n_outliers++] = t;
    }
    return FTL_OK;
}

static int by_row(const void *a, const void *b)
{
    size_t x = ((const ftl_shift *)a)->row, y = ((const ftl_shift *)b)->row;
    return (x > y) - (x < y);
}

/* The least and greatest outlier-proof value that counts for a level: a spike is no shift. */
static void clip(double *x, size_t n, double *sorted)
{
    static const double ends[2] = {0.02, 0.98};
    double q[2];
    memcpy(sorted, x, n * sizeof *x);
    fi_sample_quantiles(sorted, n, ends, 2, q);
    for (size_t t = 0; t < n; t++) x[t] = fmin(fmax(x[t], q[0]), q[1]);
}

/* Sum of squares of x [n] about its least-squares line. */
static double squares_about_line(const double *x, size_t n)
{
    double centre = ((double)n - 1) / 2, mean = 0, product = 0, spread = 0, squares = 0;
    for (size_t t = 0; t < n; t++) mean += x[t] / (double)n;
    for (size_t t = 0; t < n; t++) {
        product += ((double)t - centre) * (x[t] - mean);
        spread += ((double)t - centre) * ((double)t - centre);
        squares += (x[t] - mean) * (x[t] - mean);
    }
    return spread > 0 ? squares - product * product / spread : 0;
}

/*
 * Where x[from, to) is best cut into two levels, by the greatest standardised cumulative sum; 0: nowhere. Noise that is
 * correlated makes sums wander, so the deviation is the long-run one of an AR(1) about the two levels. What a line fits
 * better is a trend.
 */
static size_t cut_point(const double *x, size_t from, size_t to, double *before, double *after)
{
    size_t n = to - from, best = 0, least = n / 10 > 5 ? n / 10 : 5;
    double total = 0, sum = 0, greatest = 0;
    if (n < 4 * least) least = 5;
    if (n < 20) return 0;
    for (size_t t = from; t < to; t++) total += x[t];
    for (size_t k = 1; k < n; k++) {
        sum += x[from + k - 1];
        if (k < least || n - k < least) continue;
        double a = sum / (double)k, b = (total - sum) / (double)(n - k);
        double gain = fabs(a - b) * sqrt((double)k * (double)(n - k) / (double)n);
        if (gain > greatest) {
            greatest = gain;
            best = k;
            *before = a;
            *after = b;
        }
    }
    if (!best) return 0;
    /* residuals about the two levels, and how they go on from one to the next */
    double squares = 0, products = 0, last = 0;
    for (size_t k = 0; k < n; k++) {
        double e = x[from + k] - (k < best ? *before : *after);
        squares += e * e;
        if (k) products += e * last;
        last = e;
    }
    double rho = squares > 0 ? fmin(fmax(products / squares, 0), 0.98) : 0, sd = sqrt(squares / (double)n);
    double long_run = sd / (1 - rho) + 1e-9 * (fabs(*before) + fabs(*after)); /* of an AR(1) */
    if (squares > 0.8 * squares_about_line(x + from, n)) return 0;
    return greatest > 5 * long_run && fabs(*after - *before) > 1.5 * sd ? from + best : 0;
}

/* Halves again and again while a cut is clear (binary segmentation: Vostrikova 1981). */
static void find_shifts(ftl_description *d, const double *x, size_t from, size_t to)
{
    double before = NAN, after = NAN;
    size_t row = d->n_shifts < FTL_MAX_SHIFTS ? cut_point(x, from, to, &before, &after) : 0;
    if (!row) return;
    d->shifts[d->n_shifts++] = (ftl_shift){row, before, after};
    find_shifts(d, x, from, row);
    find_shifts(d, x, row, to);
}

/* Strength of the trend, outliers, and shifts of the level in the series without its season. */
static ftl_status find_shape(ftl_description *d, const double *bridged, ftl_error *err)
{
    double *x = fi_alloc(d->n, sizeof *x), *work = fi_alloc(d->n, sizeof *work);
    ftl_status st = x && work ? find_outliers(d, work, err) : fi_fail_memory(err);
    if (!st) {
        double rest = variance(d->remainder, NULL, d->n), with = variance(d->trend, d->remainder, d->n);
        d->trend_strength = with > 0 ? fmax(0, 1 - rest / with) : 0;
        for (size_t t = 0; t < d->n; t++) x[t] = bridged[t] - d->season[t];
        clip(x, d->n, work);
        find_shifts(d, x, 0, d->n);
        qsort(d->shifts, d->n_shifts, sizeof *d->shifts, by_row);
    }
    fi_free(x);
    fi_free(work);
    return st;
}

/* ---- advice ----------------------------------------------------------------------------------------------------- */

static void advise(ftl_description *d)
{
    char seasons[96] = "";
    size_t n = 0, longest = 0, used = 0;
    for (size_t i = 0; i < d->n_periods; i++) {
        if (!d->periods[i].found) continue;
        used +=
            (size_t)snprintf(seasons + used, sizeof seasons - used, "%s%zu", n++ ? " and " : "", d->periods[i].steps);
        longest = d->periods[i].steps;
    }
    const char *note = d->n_shifts     ? "; the level shifts, so judge by the rows since"
                       : d->n_outliers ? "; outliers widen intervals, look at them first"
                                       : "";
    char *to = d->advice;
    if (!d->n_observed)
        snprintf(to, sizeof d->advice, "nothing is observed: there is nothing to learn from");
    else if (d->constant)
        snprintf(to, sizeof d->advice, "naive: every observation has the same value");
    else if (d->n_observed < SHORTEST)
        snprintf(to, sizeof d->advice, "naive or drift: %zu observations are too few for a model", d->n_observed);
    else if (d->demand == FTL_DEMAND_INTERMITTENT || d->demand == FTL_DEMAND_LUMPY)
        snprintf(to, sizeof d->advice,
                 "sba, tsb or imapa: demand comes every %.2g steps (%s); read quantiles, not the mean", d->adi,
                 ftl_demand_name(d->demand));
    else if (n > 1)
        snprintf(to, sizeof d->advice, "mstl or prophet: several seasons (%s)%s", seasons, note);
    else if (longest > 24)
        snprintf(to, sizeof d->advice, "mstl, prophet or auto-theta: a long season of %s, beyond what auto-ets takes%s",
                 seasons, note);
    else if (n)
        snprintf(to, sizeof d->advice, "auto-ets, auto-theta or auto-arima: one season of %s%s%s", seasons,
                 d->trend_strength > 0.6 ? " with a trend" : "", note);
    else if (d->differences && d->trend_strength > 0.6)
        snprintf(to, sizeof d->advice,
                 "auto-theta, auto-ets or auto-arima: a trend or wandering level without season%s", note);
    else
        snprintf(to, sizeof d->advice, "ses or window-mean: neither season nor trend stands out of the noise%s", note);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* The frequency, and the series on its grid: *regular stays NULL where it is on it already or has none. */
static ftl_status lay_grid(ftl_description *d, const ftl_series *s, const ftl_freq *given, size_t *usual,
                           ftl_series **regular, ftl_error *err)
{
    const ftl_time *ds = fi_series_ds(s);
    ftl_freq freq;
    bool regular_step = given != NULL;
    for (size_t i = 1; i < s->n_obs; i++) d->n_duplicates += ds[i] == ds[i - 1];
    if (given)
        freq = *given;
    else
        regular_step = !ftl_freq_infer(ds, s->n_obs, s->table->kind, &freq, NULL) && fi_freq_fits(&freq, ds, s->n_obs);
    *usual = 0;
    strcpy(d->freq, "irregular");
    if (!regular_step) return FTL_OK;
    ftl_freq_format(&freq, d->freq);
    *usual = ftl_freq_season(&freq);
    return fi_regularise(s, &freq, regular, err);
}

static ftl_status copy_rows(ftl_description *d, const ftl_series *s, ftl_error *err)
{
    d->n = s->n_obs;
    d->kind = s->table->kind;
    d->times = fi_alloc(d->n, sizeof *d->times);
    d->y = fi_alloc(d->n, sizeof *d->y);
    d->trend = fi_alloc(d->n, sizeof *d->trend);
    d->season = fi_alloc(d->n, sizeof *d->season);
    d->remainder = fi_alloc(d->n, sizeof *d->remainder);
    if (!d->times || !d->y || !d->trend || !d->season || !d->remainder) return fi_fail_memory(err);
    memcpy(d->times, fi_series_ds(s), d->n * sizeof *d->times);
    memcpy(d->y, fi_series_y(s), d->n * sizeof *d->y);
    for (size_t t = 0; t < d->n; t++) d->trend[t] = d->season[t] = d->remainder[t] = NAN;
    return FTL_OK;
}

/* What needs values that differ, and enough of them. */
static ftl_status describe_shape(ftl_description *d, size_t usual, ftl_error *err)
{
    double *bridged = fi_alloc(d->n, sizeof *bridged);
    if (!bridged) return fi_fail_memory(err);
    fi_bridge_gaps(d->y, d->n, bridged);
    ftl_status st = find_periods(d, bridged, usual > 1 ? usual : 0, err);
    if (!st) st = decompose(d, bridged, err);
    if (!st) st = find_shape(d, bridged, err);
    if (!st) st = fi_count_differences(d->y, d->n, FI_TEST_KPSS, 2, &d->differences, err);
    size_t season = main_period(d);
    if (!st && season)
        st = fi_count_seasonal_differences(d->y, d->n, season, FI_TEST_STRENGTH, 1, &d->seasonal_differences, err);
    fi_free(bridged);
    return st;
}

ftl_status ftl_describe(const ftl_series *series, const ftl_freq *freq, ftl_description **out, ftl_error *err)
{
    ftl_series *regular = NULL;
    size_t usual;
    *out = NULL;
    if (!series->n_obs) return fi_fail(err, FTL_EDATA, "series '%s': it has no rows", series->id);
    ftl_description *d = fi_calloc(1, sizeof *d);
    if (!d) return fi_fail_memory(err);
    d->trend_strength = NAN;
    ftl_status st = lay_grid(d, series, freq, &usual, &regular, err);
    if (!st) st = copy_rows(d, regular ? regular : series, err);
    if (!st) {
        count_values(d);
        class_demand(d);
        if (d->n_observed >= SHORTEST && !d->constant) st = describe_shape(d, usual, err);
        advise(d);
    }
    if (!st) {
        *out = d;
        d = NULL;
    }
    ftl_series_free(regular);
    ftl_description_free(d);
    return st;
}
