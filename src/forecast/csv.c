/* Forecasts as CSV, in the layouts of Nixtla's libraries and of Prophet's predict(). */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/number.h"
#include "forecast/forecast.h"

#include <math.h>
#include <string.h>

/* Which of the forecast's quantiles a column shows: an index into levels. */
static ftl_status find_level(const ftl_forecast *fc, double level, double percent, size_t *out, ftl_error *err)
{
    for (size_t k = 0; k < fc->n_levels; k++)
        if (fabs(fc->levels[k] - level) <= 1e-12) {
            *out = k;
            return FTL_OK;
        }
    char p[FI_NUMBER_MAX], l[FI_NUMBER_MAX];
    fi_format_double(p, percent);
    fi_format_double(l, level);
    return fi_fail(err, FTL_EINVAL, "a %s %% interval needs the quantile level %s, which the forecast does not have", p,
                   l);
}

/* lo[i] and hi[i]: indices of the levels that bound the i-th central interval. */
static ftl_status find_bounds(const ftl_forecast *fc, const ftl_csv_style *style, size_t *lo, size_t *hi,
                              ftl_error *err)
{
    for (size_t i = 0; i < style->n_percents; i++) {
        double p = style->percents[i];
        ftl_status st = p > 0 && p < 100 ? find_level(fc, (100 - p) / 200, p, &lo[i], err)
                                         : fi_fail(err, FTL_EINVAL, "interval percents must lie between 0 and 100");
        if (!st) st = find_level(fc, (100 + p) / 200, p, &hi[i], err);
        if (st) return st;
    }
    return FTL_OK;
}

/* 100 * level without the noise of the product: 0.07 is 7, not 7.000000000000001. */
static void put_percent(fi_buf *out, double percent)
{
    fi_buf_double(out, round(percent * 1e10) / 1e10);
}

static void put_name(fi_buf *out, const char *first, const char *second)
{
    fi_buf_char(out, ',');
    if (!strpbrk(first, ",\"\r\n")) { /* nearly always */
        fi_buf_text(out, first);
        fi_buf_text(out, second);
        return;
    }
    fi_buf whole = {0};
    fi_buf_text(&whole, first);
    fi_buf_text(&whole, second);
    if (whole.failed)
        out->failed = true;
    else
        fi_buf_csv(out, whole.data);
    fi_buf_release(&whole);
}

static void put_number(fi_buf *out, double value)
{
    fi_buf_char(out, ',');
    fi_buf_double(out, value);
}

static void start_header(const ftl_forecast *fc, const ftl_csv_style *style, fi_buf *out)
{
    fi_buf_text(out, style->ids ? "unique_id,ds" : "ds");
    if (fc->target) fi_buf_text(out, ",target_name");
}

static void put_start(const ftl_forecast *fc, const ftl_csv_style *style, size_t row, fi_buf *out)
{
    if (style->ids) {
        fi_buf_csv(out, fc->id);
        fi_buf_char(out, ',');
    }
    char *to = fi_buf_reserve(out, FTL_TIME_TEXT_MAX);
    if (to) out->size += ftl_time_format(fc->ds[row], fc->kind, to);
    if (fc->target) put_name(out, fc->target, "");
}

static void long_header(const ftl_forecast *fc, const ftl_csv_style *style, fi_buf *out)
{
    start_header(fc, style, out);
    put_name(out, fc->model, "");
    if (style->quantiles) {
        for (size_t k = 0; k < fc->n_levels; k++) {
            put_name(out, fc->model, "-q-");
            put_percent(out, 100 * fc->levels[k]);
        }
    } else {
        for (size_t i = 0; i < style->n_percents; i++) {
            put_name(out, fc->model, "-lo-");
            put_percent(out, style->percents[i]);
            put_name(out, fc->model, "-hi-");
            put_percent(out, style->percents[i]);
        }
    }
    if (style->components)
        for (size_t i = 0; i < fc->n_components; i++) put_name(out, fc->components[i].name, "");
    if (style->samples)
        for (size_t s = 0; s < fc->n_samples; s++) fi_buf_printf(out, ",%s-sample-%zu", fc->model, s + 1);
    fi_buf_char(out, '\n');
}

static void long_rows(const ftl_forecast *fc, const ftl_csv_style *style, const size_t *lo, const size_t *hi,
                      fi_buf *out)
{
    for (size_t r = 0; r < fc->n_rows; r++) {
        const double *q = fc->q + r * fc->n_levels;
        put_start(fc, style, r, out);
        put_number(out, fc->point[r]);
        if (style->quantiles)
            for (size_t k = 0; k < fc->n_levels; k++) put_number(out, q[k]);
        else
            for (size_t i = 0; i < style->n_percents; i++) put_number(out, q[lo[i]]), put_number(out, q[hi[i]]);
        if (style->components)
            for (size_t i = 0; i < fc->n_components; i++) put_number(out, fc->components[i].value[r]);
        if (style->samples)
            for (size_t s = 0; s < fc->n_samples; s++) put_number(out, fc->samples[r * fc->n_samples + s]);
        fi_buf_char(out, '\n');
    }
}

static size_t find_trend(const ftl_forecast *fc)
{
    size_t i = 0;
    while (i < fc->n_components && strcmp(fc->components[i].name, "trend") != 0) i++;
    return i;
}

/* Prophet's order: trend, cap, floor, bounds of yhat and of the trend, the components with theirs, yhat last. */
static void prophet_header(const ftl_forecast *fc, const ftl_csv_style *style, fi_buf *out)
{
    size_t trend = find_trend(fc);
    bool bounds = style->n_percents > 0;
    start_header(fc, style, out);
    if (trend < fc->n_components) fi_buf_text(out, ",trend");
    if (fc->cap) fi_buf_text(out, ",cap");
    if (fc->floor) fi_buf_text(out, ",floor");
    if (bounds) fi_buf_text(out, ",yhat_lower,yhat_upper");
    if (bounds && trend < fc->n_components) fi_buf_text(out, ",trend_lower,trend_upper");
    for (size_t i = 0; i < fc->n_components; i++) {
        if (i == trend) continue;
        put_name(out, fc->components[i].name, "");
        if (bounds) put_name(out, fc->components[i].name, "_lower"), put_name(out, fc->components[i].name, "_upper");
    }
    if (style->samples)
        for (size_t s = 0; s < fc->n_samples; s++) fi_buf_printf(out, ",sample-%zu", s + 1);
    fi_buf_text(out, ",yhat\n");
}

static void put_component_bounds(const ftl_forecast *fc, const fi_component *c, size_t row, size_t lo, size_t hi,
                                 fi_buf *out)
{
    const double *q = c->q ? c->q + row * fc->n_levels : NULL;
    put_number(out, q ? q[lo] : c->value[row]);
    put_number(out, q ? q[hi] : c->value[row]);
}

static void prophet_rows(const ftl_forecast *fc, const ftl_csv_style *style, const size_t *lo, const size_t *hi,
                         fi_buf *out)
{
    size_t trend = find_trend(fc);
    bool bounds = style->n_percents > 0;
    for (size_t r = 0; r < fc->n_rows; r++) {
        const double *q = fc->q + r * fc->n_levels;
        put_start(fc, style, r, out);
        if (trend < fc->n_components) put_number(out, fc->components[trend].value[r]);
        if (fc->cap) put_number(out, fc->cap[r]);
        if (fc->floor) put_number(out, fc->floor[r]);
        if (bounds) put_number(out, q[lo[0]]), put_number(out, q[hi[0]]);
        if (bounds && trend < fc->n_components) put_component_bounds(fc, &fc->components[trend], r, lo[0], hi[0], out);
        for (size_t i = 0; i < fc->n_components; i++) {
            if (i == trend) continue;
            put_number(out, fc->components[i].value[r]);
            if (bounds) put_component_bounds(fc, &fc->components[i], r, lo[0], hi[0], out);
        }
        if (style->samples)
            for (size_t s = 0; s < fc->n_samples; s++) put_number(out, fc->samples[r * fc->n_samples + s]);
        put_number(out, fc->point[r]);
        fi_buf_char(out, '\n');
    }
}

ftl_status ftl_forecast_csv(const ftl_forecast *fc, const ftl_csv_style *wanted, bool header, char **out, size_t *n_out,
                            ftl_error *err)
{
    ftl_csv_style without = *wanted; /* a model that was told to give no intervals has none to write */
    const ftl_csv_style *style = fc->n_levels ? wanted : &without;
    without.n_percents = 0;
    *out = NULL;
    *n_out = 0;
    fi_buf text = {0};
    size_t *lo = fi_calloc(2 * style->n_percents, sizeof *lo), *hi = lo ? lo + style->n_percents : NULL;
    ftl_status st = lo ? find_bounds(fc, style, lo, hi, err) : fi_fail_memory(err);
    if (st) goto done;
    if (style->layout == FTL_LAYOUT_PROPHET) {
        if (header) prophet_header(fc, style, &text);
        prophet_rows(fc, style, lo, hi, &text);
    } else {
        if (header) long_header(fc, style, &text);
        long_rows(fc, style, lo, hi, &text);
    }
    fi_buf_put(&text, "", 0); /* a forecast without rows or header is empty text, not NULL */
    if (text.failed) {
        st = fi_fail_memory(err);
        goto done;
    }
    *out = text.data;
    *n_out = text.size;
    text = (fi_buf){0};
done:
    fi_buf_release(&text);
    fi_free(lo);
    return st;
}
