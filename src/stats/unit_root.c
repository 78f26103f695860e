#include "stats/unit_root.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"
#include "stats/stl.h"

#include <math.h>
#include <string.h>

bool fi_is_constant(const double *y, size_t n)
{
    double first = NAN, differences = 0, size = 0;
    for (size_t t = 0; t < n; t++) {
        if (isnan(y[t])) continue;
        if (isnan(first)) first = y[t];
        if (y[t] != first) {
            differences += fabs(y[t] / 2 - first / 2);
            size += fabs(y[t] / 2);
        }
    }
    return differences <= 1.5e-8 * size; /* also where nothing differs */
}

double fi_kpss(const double *y, size_t n, double *work)
{
    size_t lags = (size_t)(3 * sqrt((double)n) / 13);
    double mean = 0, partial = 0, squares = 0, variance = 0;
    for (size_t t = 0; t < n; t++) mean += y[t] / (double)n;
    for (size_t t = 0; t < n; t++) work[t] = y[t] - mean;
    for (size_t t = 0; t < n; t++) {
        partial += work[t];
        squares += partial * partial;
    }
    for (size_t lag = 0; lag <= lags; lag++) {
        double weight = lag == 0 ? 1 : 2 * (1 - (double)lag / (double)(lags + 1));
        variance += weight * fi_dot(work, work + lag, n - lag);
    }
    return squares / (double)n / variance;
}

/*
 * Least squares of y [n] on k columns X [n, k] row-major by the normal equations (the columns here are differences of
 * one series: few and alike). Returns the residual sum of squares; NaN where the columns are dependent. coef [k];
 * t_value, where wanted, is the t value of coefficient `of`. k <= 6.
 */
static double regress(const double *X, const double *y, size_t n, size_t k, double *coef, size_t of, double *t_value)
{
    double gram[36] = {0}, unit[6] = {0}, rss = 0;
    if (n <= k) return NAN;
    memset(coef, 0, k * sizeof *coef);
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < k; i++) {
            coef[i] += X[t * k + i] * y[t];
            for (size_t j = 0; j <= i; j++) gram[i * k + j] += X[t * k + i] * X[t * k + j];
        }
    if (k > 0 && fi_cholesky(gram, k, k, 1e-12)) return NAN;
    fi_solve_lower(gram, k, k, coef);
    fi_solve_lower_transposed(gram, k, k, coef);
    for (size_t t = 0; t < n; t++) {
        double e = y[t];
        for (size_t i = 0; i < k; i++) e -= coef[i] * X[t * k + i];
        rss += e * e;
    }
    if (t_value) {
        unit[of] = 1;
        fi_solve_lower(gram, k, k, unit);
        *t_value = coef[of] / sqrt(rss / (double)(n - k) * fi_dot(unit, unit, k));
    }
    return rss;
}

double fi_adf(const double *y, size_t n)
{
    /* The constant goes by centring, so that levels far from 0 do no harm; one degree of freedom less remains. */
    if (n < 6) return NAN;
    size_t rows = n - 2;
    double mean[3] = {0}, gram[4] = {0}, right[2] = {0}, syy = 0;
    for (size_t t = 2; t < n; t++) {
        double row[3] = {y[t - 1], y[t - 1] - y[t - 2], y[t] - y[t - 1]};
        for (size_t i = 0; i < 3; i++) mean[i] += row[i] / (double)rows;
    }
    for (size_t t = 2; t < n; t++) {
        double level = y[t - 1] - mean[0], step = y[t - 1] - y[t - 2] - mean[1], z = y[t] - y[t - 1] - mean[2];
        gram[0] += level * level;
        gram[2] += level * step;
        gram[3] += step * step;
        right[0] += level * z;
        right[1] += step * z;
        syy += z * z;
    }
    double determinant = gram[0] * gram[3] - gram[2] * gram[2];
    if (!(determinant > 1e-12 * gram[0] * gram[3])) return NAN;
    double b = (gram[3] * right[0] - gram[2] * right[1]) / determinant;
    double c = (gram[0] * right[1] - gram[2] * right[0]) / determinant;
    double rss = syy - b * right[0] - c * right[1];
    return b / sqrt(rss / (double)(rows - 3) * gram[3] / determinant);
}

/* 5 % critical value of the Dickey-Fuller t with a constant (Fuller 1976), for n observations. */
static double adf_critical(size_t n)
{
    static const struct {
        size_t below;
        double value;
    } table[] = {{25, -3.00}, {50, -2.93}, {100, -2.89}, {250, -2.88}, {500, -2.87}};
    for (size_t i = 0; i < 5; i++)
        if (n < table[i].below) return table[i].value;
    return -2.86;
}

static bool has_unit_root(const double *y, size_t n, fi_root_test test, double *work)
{
    if (n == 0 || fi_is_constant(y, n)) return false;
    if (test == FI_TEST_KPSS) return fi_kpss(y, n, work) > 0.463;
    return fi_adf(y, n) > adf_critical(n - 1);
}

ftl_status fi_count_differences(const double *y, size_t n, fi_root_test test, size_t max, size_t *d, ftl_error *err)
{
    *d = 0;
    double *values = fi_alloc(2 * n, sizeof *values);
    if (!values) return fi_fail_memory(err);
    size_t count = 0;
    for (size_t t = 0; t < n; t++)
        if (!isnan(y[t])) values[count++] = y[t];
    while (*d < max && count > 1 && has_unit_root(values, count, test, values + n)) {
        for (size_t t = 0; t + 1 < count; t++) values[t] = values[t + 1] - values[t];
        count--;
        ++*d;
    }
    fi_free(values);
    return FTL_OK;
}

/* A series by the lag operators of the OCSB test, from the row where all of them exist. */
typedef struct ocsb_data {
    const double *y;
    size_t n, m, lags;
    double ar[3]; /* of the doubly differenced series */
    double *X, *z;
} ocsb_data;

static double both(const ocsb_data *o, size_t t)
{
    return o->y[t] - o->y[t - 1] - o->y[t - o->m] + o->y[t - o->m - 1];
}

/* A difference of y less what the autoregression of the double difference says of it. */
static double filtered(const ocsb_data *o, size_t t, size_t lag)
{
    double value = o->y[t] - o->y[t - lag];
    for (size_t k = 0; k < o->lags; k++) value -= o->ar[k] * (o->y[t - 1 - k] - o->y[t - 1 - k - lag]);
    return value;
}

/* Fits the test regression with rows from `first` on; returns its AIC (NaN: impossible) and the statistic. */
static double ocsb_fit(ocsb_data *o, size_t skip, double *statistic)
{
    size_t first = o->m + 1 + (o->lags > skip ? o->lags : skip), k = o->lags + 2, rows = 0;
    double coef[6];
    *statistic = NAN;
    for (size_t t = first; t < o->n; t++, rows++) {
        for (size_t i = 0; i < o->lags; i++) o->X[rows * o->lags + i] = both(o, t - 1 - i);
        o->z[rows] = both(o, t);
    }
    if (isnan(regress(o->X, o->z, rows, o->lags, coef, 0, NULL))) return NAN;
    memcpy(o->ar, coef, o->lags * sizeof *coef);
    rows = 0;
    for (size_t t = first; t < o->n; t++) {
        double *row = o->X + rows * k;
        for (size_t i = 0; i < o->lags; i++) row[i] = both(o, t - 1 - i);
        row[o->lags] = filtered(o, t - 1, o->m);
        row[o->lags + 1] = filtered(o, t - o->m, 1);
        o->z[rows++] = both(o, t);
    }
    double rss = regress(o->X, o->z, rows, k, coef, k - 1, statistic);
    return (double)rows * log(rss / (double)rows) + 2 * (double)(k + 1);
}

ftl_status fi_ocsb(const double *y, size_t n, size_t m, double *statistic, double *critical, ftl_error *err)
{
    double log_m = log((double)m) - 0.7656451;
    *statistic = NAN;
    *critical = -0.2937411 * exp(-0.2850853 * log_m - 0.05983644 * log_m * log_m) - 1.652202;
    ocsb_data o = {.y = y, .n = n, .m = m};
    o.X = fi_alloc(n, 6 * sizeof *o.X);
    if (!o.X) return fi_fail_memory(err);
    o.z = o.X + 5 * n;
    /* As in R's forecast: 1 to 3 lags compete, over the rows all have, and the test has one lag less than the best. */
    double least = INFINITY, ignored;
    size_t best = 1;
    for (o.lags = 1; o.lags <= 3; o.lags++) {
        double aic = ocsb_fit(&o, 3, &ignored);
        if (aic < least) {
            least = aic;
            best = o.lags;
        }
    }
    o.lags = best - 1;
    ocsb_fit(&o, 0, statistic);
    fi_free(o.X);
    return FTL_OK;
}

ftl_status fi_count_seasonal_differences(const double *y, size_t n, size_t m, fi_season_test test, size_t max,
                                         size_t *D, ftl_error *err)
{
    *D = 0;
    double *x = fi_alloc(n, sizeof *x);
    if (!x) return fi_fail_memory(err);
    fi_bridge_gaps(y, n, x);
    ftl_status st = FTL_OK;
    while (m > 1 && *D < max && n > 2 * m && !fi_is_constant(x, n)) {
        double statistic, critical = 0.64;
        if (test == FI_TEST_STRENGTH)
            st = fi_seasonal_strength(*D == 0 ? y : x, n, m, &statistic, err);
        else
            st = fi_ocsb(x, n, m, &statistic, &critical, err);
        if (st || !(statistic > critical)) break;
        for (size_t t = 0; t + m < n; t++) x[t] = x[t + m] - x[t];
        n -= m;
        ++*D;
    }
    fi_free(x);
    return st;
}
