/* From a series to what the solver sees: scales, changepoints, seasonalities, scaled rows. Prophet's preprocess(). */
#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Range of an index: taken as days since 1970 it can be written as a date, as Prophet's files need. */
static const ftl_time min_index = -700000, max_index = 2900000;

void prophet_frame_release(prophet_frame *frame)
{
    fi_free(frame->ds);
    fi_free(frame->y);
    fi_free(frame->t);
    fi_free(frame->y_scaled);
    fi_free(frame->floor);
    fi_free(frame->cap);
    fi_free(frame->cap_scaled);
    for (size_t i = 0; i < frame->n_extra; i++) {
        if (frame->extra_names) fi_free(frame->extra_names[i]);
        if (frame->extra) fi_free(frame->extra[i]);
    }
    fi_free(frame->extra_names);
    fi_free(frame->extra);
    *frame = (prophet_frame){0};
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; texts && i < n; i++) fi_free(texts[i]);
    fi_free(texts);
}

void prophet_model_release(prophet_model *model)
{
    prophet_config_release_all(&model->config);
    for (size_t i = 0; i < model->n_seasonalities; i++) {
        fi_free(model->seasonalities[i].name);
        fi_free(model->seasonalities[i].condition);
    }
    for (size_t i = 0; i < model->n_regressors; i++) fi_free(model->regressors[i].name);
    for (size_t i = 0; i < model->n_holidays; i++) fi_free(model->holidays[i].name);
    fi_free(model->seasonalities);
    fi_free(model->regressors);
    fi_free(model->holidays);
    free_texts(model->train_holiday_names, model->n_train_holiday_names);
    fi_free(model->changepoints);
    fi_free(model->changepoint_rows);
    fi_free(model->changepoints_t);
    prophet_frame_release(&model->history);
    fi_free(model->history_dates);
    for (size_t i = 0; i < model->n_columns; i++) {
        fi_free(model->columns[i].name);
        fi_free(model->columns[i].component);
    }
    for (size_t i = 0; i < model->n_components; i++) {
        fi_free(model->components[i].name);
        fi_free(model->components[i].uses);
    }
    fi_free(model->columns);
    fi_free(model->components);
    fi_free(model->k);
    fi_free(model->m);
    fi_free(model->sigma_obs);
    fi_free(model->delta);
    fi_free(model->beta);
    fi_free(model->trend_history);
    fi_free(model->loaded_version);
    fi_free(model->bends);
    free_texts(model->warnings, model->n_warnings);
    *model = (prophet_model){0};
}

ftl_status prophet_warn(prophet_model *model, ftl_error *err, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char **grown = fi_realloc(model->warnings, model->n_warnings + 1, sizeof *grown);
    if (grown) model->warnings = grown;
    if (!grown || !(grown[model->n_warnings] = fi_strdup(text))) return fi_fail_memory(err);
    model->n_warnings++;
    return FTL_OK;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* A date for messages, as the series writes it. */
static const char *date_text(const prophet_model *model, const prophet_frame *frame, size_t row, char *out)
{
    bool index = model->kind == FTL_TIME_INDEX;
    ftl_time_format(index ? frame->ds[row] / FTL_DAY : frame->ds[row], model->kind, out);
    return out;
}

/* Values of a column in the rows to keep: all, or those where y is known. */
static double *gather(const double *column, const double *y, size_t n_rows, size_t n_kept)
{
    double *out = fi_alloc(n_kept, sizeof *out);
    if (!out) return NULL;
    if (n_kept == n_rows)
        memcpy(out, column, n_kept * sizeof *out);
    else
        for (size_t i = 0, k = 0; i < n_rows; i++)
            if (!isnan(y[i])) out[k++] = column[i];
    return out;
}

static ftl_status gather_times(const prophet_model *model, const ftl_series *rows, const double *y,
                               prophet_frame *frame, ftl_error *err)
{
    const ftl_time *ds = ftl_series_times(rows);
    if (!(frame->ds = fi_alloc(frame->n, sizeof *frame->ds))) return fi_fail_memory(err);
    for (size_t i = 0, k = 0; i < ftl_series_n_obs(rows); i++)
        if (!y || !isnan(y[i])) frame->ds[k++] = ds[i];
    if (model->kind != FTL_TIME_INDEX) return FTL_OK;
    for (size_t i = 0; i < frame->n; i++) {
        if (frame->ds[i] < min_index || frame->ds[i] > max_index)
            return fi_fail(err, FTL_EDATA, "index %lld lies outside %lld..%lld; number the rows from 1, or use dates",
                           (long long)frame->ds[i], (long long)min_index, (long long)max_index);
        frame->ds[i] *= FTL_DAY;
    }
    return FTL_OK;
}

/* The names that a frame must hold: regressors, then the distinct conditions. */
static size_t extra_names(const prophet_model *model, const char **names)
{
    size_t n = 0;
    for (size_t i = 0; i < model->n_regressors; i++) names[n++] = model->regressors[i].name;
    for (size_t i = 0; i < model->n_seasonalities; i++) {
        const char *condition = model->seasonalities[i].condition;
        size_t j = model->n_regressors;
        while (condition && j < n && strcmp(names[j], condition)) j++;
        if (condition && j == n) names[n++] = condition;
    }
    return n;
}

static ftl_status gather_extra(const prophet_model *model, const ftl_series *rows, const double *y, const char *what,
                               prophet_frame *frame, ftl_error *err)
{
    const char **names = fi_alloc(model->n_regressors + model->n_seasonalities, sizeof *names);
    ftl_status st = names ? FTL_OK : fi_fail_memory(err);
    if (st) return st;
    frame->n_extra = extra_names(model, names);
    frame->extra_names = fi_calloc(frame->n_extra, sizeof *frame->extra_names);
    frame->extra = fi_calloc(frame->n_extra, sizeof *frame->extra);
    if (!frame->extra_names || !frame->extra) st = fi_fail_memory(err);
    for (size_t i = 0; !st && i < frame->n_extra; i++) {
        bool regressor = i < model->n_regressors;
        const double *column = ftl_series_column_named(rows, names[i]);
        if (!column) {
            st = fi_fail(err, FTL_EDATA, "%s '%s' is not a column of the %s; add the column%s",
                         regressor ? "regressor" : "condition", names[i], what,
                         regressor && model->config.regressors ? ", or fit with regressors=false" : "");
            break;
        }
        frame->extra_names[i] = fi_strdup(names[i]);
        frame->extra[i] = gather(column, y, ftl_series_n_obs(rows), frame->n);
        if (!frame->extra_names[i] || !frame->extra[i]) {
            st = fi_fail_memory(err);
            break;
        }
        char date[FTL_TIME_TEXT_MAX];
        for (size_t r = 0; !st && r < frame->n; r++) {
            double v = frame->extra[i][r];
            if (regressor && isnan(v))
                st = fi_fail(err, FTL_EDATA, "regressor '%s' is missing at %s; fill it in or leave the row out%s",
                             names[i], date_text(model, frame, r, date),
                             model->config.regressors ? ", or set regressors=false" : "");
            if (!regressor && v != 0 && v != 1)
                st = fi_fail(err, FTL_EDATA, "condition '%s' at %s is %g, but must be true (1) or false (0)", names[i],
                             date_text(model, frame, r, date), v);
        }
    }
    fi_free(names);
    return st;
}

static bool has_nan(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i])) return true;
    return false;
}

/* Copies the rows of a series that count: those with y (history), or all (y NULL). */
static ftl_status gather_rows(const prophet_model *model, const ftl_series *rows, const double *y, size_t n,
                              const char *what, prophet_frame *frame, ftl_error *err)
{
    size_t n_rows = ftl_series_n_obs(rows);
    bool logistic = model->config.growth == PROPHET_LOGISTIC;
    const double *cap = ftl_series_column_named(rows, "cap"), *floor = ftl_series_column_named(rows, "floor");
    frame->n = n;
    ftl_status st = gather_times(model, rows, y, frame, err);
    if (!st) st = gather_extra(model, rows, y, what, frame, err);
    if (st) return st;
    frame->t = fi_alloc(n, sizeof *frame->t);
    frame->has_floor_column = floor != NULL;
    frame->floor = floor ? gather(floor, y, n_rows, n) : fi_alloc(n, sizeof *frame->floor);
    if (cap) frame->cap = gather(cap, y, n_rows, n);
    if (y) frame->y = gather(y, y, n_rows, n);
    if (!frame->t || !frame->floor || (cap && !frame->cap) || (y && !frame->y)) return fi_fail_memory(err);
    if (frame->cap && !logistic && has_nan(frame->cap, n)) { /* shown, but not needed */
        fi_free(frame->cap);
        frame->cap = NULL;
    }
    return FTL_OK;
}

/* ---- scales ------------------------------------------------------------------------------------------------------ */

static void range_of(const double *v, size_t n, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (v[i] < *low) *low = v[i];
        if (v[i] > *high) *high = v[i];
    }
}

static ftl_status set_y_scale(prophet_model *model, ftl_error *err)
{
    const prophet_frame *h = &model->history;
    bool absmax = model->config.scaling == PROPHET_ABSMAX;
    double low, high;
    range_of(h->y, h->n, &low, &high);
    if (model->logistic_floor && absmax) {
        model->y_min = INFINITY; /* kept as Prophet keeps it, though nothing uses it */
        for (size_t i = 0; i < h->n; i++) {
            double above = fabs(h->y[i] - h->floor[i]);
            if (above > model->y_scale) model->y_scale = above;
            if (above < model->y_min) model->y_min = above;
        }
    } else if (model->logistic_floor) {
        double cap_low, cap_high;
        range_of(h->cap, h->n, &cap_low, &cap_high);
        range_of(h->floor, h->n, &low, &high);
        model->y_min = low;
        model->y_scale = cap_high - low;
    } else if (absmax) {
        model->y_min = 0;
        model->y_scale = fmax(fabs(low), fabs(high));
    } else {
        model->y_min = low;
        model->y_scale = high - low;
    }
    if (model->y_scale == 0) model->y_scale = 1;
    if (!isfinite(model->y_scale) || !(model->y_scale > 0))
        return fi_fail(err, FTL_ENUMERIC, "y ranges from %g to %g, which cannot be scaled; divide it by a constant",
                       low, high);
    return FTL_OK;
}

static ftl_status check_caps(const prophet_model *model, const prophet_frame *frame, const char *what, ftl_error *err)
{
    if (!frame->cap)
        return fi_fail(err, FTL_EDATA,
                       "logistic growth needs a column 'cap' in the %s: the saturating maximum of each row", what);
    if (model->logistic_floor && !frame->has_floor_column)
        return fi_fail(err, FTL_EDATA, "the model was fitted with a column 'floor', but the %s has none; add it", what);
    return FTL_OK;
}

/* floor, cap_scaled, t, y_scaled; the regressors standardised. */
static ftl_status scale_rows(const prophet_model *model, prophet_frame *frame, ftl_error *err)
{
    char date[FTL_TIME_TEXT_MAX];
    if (!model->logistic_floor)
        for (size_t i = 0; i < frame->n; i++)
            frame->floor[i] = model->config.scaling == PROPHET_ABSMAX ? 0 : model->y_min;
    if (model->config.growth == PROPHET_LOGISTIC) {
        if (!(frame->cap_scaled = fi_alloc(frame->n, sizeof *frame->cap_scaled))) return fi_fail_memory(err);
        for (size_t i = 0; i < frame->n; i++) {
            if (!(frame->cap[i] > frame->floor[i]))
                return fi_fail(err, FTL_EDATA, "cap at %s is %g, but must be greater than the floor, which is %g",
                               date_text(model, frame, i, date), frame->cap[i], frame->floor[i]);
            frame->cap_scaled[i] = (frame->cap[i] - frame->floor[i]) / model->y_scale;
        }
    }
    for (size_t i = 0; i < frame->n; i++) frame->t[i] = (double)(frame->ds[i] - model->start) / model->t_scale;
    if (frame->y) {
        if (!(frame->y_scaled = fi_alloc(frame->n, sizeof *frame->y_scaled))) return fi_fail_memory(err);
        for (size_t i = 0; i < frame->n; i++) frame->y_scaled[i] = (frame->y[i] - frame->floor[i]) / model->y_scale;
    }
    for (size_t r = 0; r < model->n_regressors; r++) {
        double mu = model->regressors[r].mu, std = model->regressors[r].std, *x = frame->extra[r];
        for (size_t i = 0; i < frame->n; i++) {
            x[i] = (x[i] - mu) / std;
            if (!isfinite(x[i]))
                return fi_fail(err, FTL_ENUMERIC,
                               "regressor '%s' at %s overflows when standardised; divide it by a constant",
                               model->regressors[r].name, date_text(model, frame, i, date));
        }
    }
    return FTL_OK;
}

/* Mean and sample standard deviation, in units of the largest value so that nothing overflows. */
static ftl_status standardise(prophet_regressor *r, const double *x, size_t n, ftl_error *err)
{
    double low, high, sum = 0, squares = 0;
    range_of(x, n, &low, &high);
    bool binary = true; /* exactly the values 0 and 1 */
    for (size_t i = 0; i < n; i++) binary = binary && (x[i] == 0 || x[i] == 1);
    bool wanted = r->standardize == FTL_PROPHET_STANDARDIZE_YES ||
                  (r->standardize == FTL_PROPHET_STANDARDIZE_AUTO && !(binary && low != high));
    if (!wanted || low == high) return FTL_OK;
    double unit = fmax(fabs(low), fabs(high));
    for (size_t i = 0; i < n; i++) sum += x[i] / unit;
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += (x[i] / unit - mean) * (x[i] / unit - mean);
    r->mu = mean * unit;
    r->std = sqrt(squares / (double)(n - 1)) * unit;
    if (r->std > 0 && isfinite(r->std)) return FTL_OK;
    return fi_fail(err, FTL_ENUMERIC,
                   "regressor '%s' varies only between %g and %g and cannot be standardised; shift it or use "
                   "standardize=false",
                   r->name, low, high);
}

/* ---- seasonalities and regressors -------------------------------------------------------------------------------- */

static ftl_status add_regressor(prophet_model *model, const prophet_regressor *item, ftl_error *err)
{
    prophet_regressor *grown = fi_realloc(model->regressors, model->n_regressors + 1, sizeof *grown);
    if (!grown) return fi_fail_memory(err);
    model->regressors = grown;
    prophet_regressor *r = &grown[model->n_regressors];
    *r = *item;
    if (!(r->name = fi_strdup(item->name))) return fi_fail_memory(err);
    if (isnan(r->prior_scale)) r->prior_scale = model->config.holidays_prior_scale;
    if (r->mode < 0) r->mode = model->config.seasonality_mode;
    r->mu = 0;
    r->std = 1;
    model->n_regressors++;
    return FTL_OK;
}

/* The explicit ones, then, if wanted, every further column in its order. */
static ftl_status resolve_regressors(prophet_model *model, const ftl_series *series, ftl_error *err)
{
    const prophet_config *config = &model->config;
    ftl_status st = FTL_OK;
    for (size_t i = 0; !st && i < config->n_regressors; i++) st = add_regressor(model, &config->regressor_list[i], err);
    for (size_t c = 0; !st && config->regressors && c < ftl_series_n_columns(series); c++) {
        const char *name = ftl_series_column_name(series, c);
        bool taken = !strcmp(name, "cap") || !strcmp(name, "floor");
        for (size_t i = 0; i < config->n_regressors; i++) taken |= !strcmp(name, config->regressor_list[i].name);
        for (size_t i = 0; i < config->n_seasonalities; i++)
            taken |= config->seasonalities[i].condition && !strcmp(name, config->seasonalities[i].condition);
        if (taken) continue;
        prophet_regressor item = {(char *)name, NAN, FTL_PROPHET_STANDARDIZE_AUTO, -1, 0, 1};
        st = prophet_check_name(config, name, true, true, true, err);
        if (st) {
            fi_fail_prefix(err, "column '%s' cannot be a regressor (leave it out, or set regressors=false)", name);
            st = FTL_EDATA;
        } else {
            st = add_regressor(model, &item, err);
        }
    }
    return st;
}

static ftl_status put_seasonality(prophet_model *model, const prophet_seasonality *item, ftl_error *err)
{
    size_t i = 0;
    while (i < model->n_seasonalities && strcmp(model->seasonalities[i].name, item->name)) i++;
    prophet_seasonality copy;
    if (!prophet_seasonality_copy(item, &copy)) return fi_fail_memory(err);
    if (isnan(copy.prior_scale)) copy.prior_scale = model->config.seasonality_prior_scale;
    if (copy.mode < 0) copy.mode = model->config.seasonality_mode;
    if (i == model->n_seasonalities) {
        prophet_seasonality *grown = fi_realloc(model->seasonalities, i + 1, sizeof *grown);
        if (!grown) {
            fi_free(copy.name);
            fi_free(copy.condition);
            return fi_fail_memory(err);
        }
        model->seasonalities = grown;
        model->n_seasonalities++;
    } else {
        fi_free(model->seasonalities[i].name);
        fi_free(model->seasonalities[i].condition);
    }
    model->seasonalities[i] = copy;
    return FTL_OK;
}

/* One of yearly, weekly, daily: by its option, or on when the history is long and dense enough for it. */
static ftl_status auto_seasonality(prophet_model *model, const char *option, const char *text, double period,
                                   int default_order, bool too_short, ftl_error *err)
{
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(option, "_"), option);
    int order;
    ftl_status st = prophet_parse_order(option, text, default_order, &order, err);
    if (st) return st;
    if (order == PROPHET_ORDER_AUTO) {
        order = too_short || model->kind == FTL_TIME_INDEX ? 0 : default_order;
        for (size_t i = 0; i < model->n_seasonalities; i++)
            if (!strcmp(model->seasonalities[i].name, name)) return FTL_OK; /* a custom one of that name stands */
    }
    if (order == 0) return FTL_OK;
    if (too_short && period > 300)
        st = prophet_warn(model, err,
                          "yearly seasonality on less than 730 days of history: trend and seasonality cannot be told "
                          "apart well; switch it off or give more history");
    prophet_seasonality item = {name, period, (size_t)order, NAN, -1, NULL};
    return st ? st : put_seasonality(model, &item, err);
}

static ftl_status set_auto_seasonalities(prophet_model *model, ftl_error *err)
{
    const prophet_frame *h = &model->history;
    ftl_time span = h->ds[h->n - 1] - h->ds[0], step = INT64_MAX;
    for (size_t i = 1; i < h->n; i++) {
        ftl_time gap = h->ds[i] - h->ds[i - 1];
        if (gap > 0 && gap < step) step = gap;
    }
    const prophet_config *c = &model->config;
    ftl_status st = auto_seasonality(model, "yearly_seasonality", c->yearly_seasonality, 365.25, PROPHET_YEARLY_ORDER,
                                     span < 730 * FTL_DAY, err);
    if (!st)
        st = auto_seasonality(model, "weekly_seasonality", c->weekly_seasonality, 7, PROPHET_WEEKLY_ORDER,
                              span < 14 * FTL_DAY || step >= 7 * FTL_DAY, err);
    if (!st)
        st = auto_seasonality(model, "daily_seasonality", c->daily_seasonality, 1, PROPHET_DAILY_ORDER,
                              span < 2 * FTL_DAY || step >= FTL_DAY, err);
    return st;
}

/* ---- changepoints ------------------------------------------------------------------------------------------------ */

static ftl_status given_changepoints(prophet_model *model, ftl_error *err)
{
    const prophet_frame *h = &model->history;
    bool indexed;
    size_t n;
    ftl_status st = prophet_parse_changepoints(model->config.changepoints, &model->changepoints, &n, &indexed, err);
    if (st) return st;
    model->specified_changepoints = true;
    model->n_changepoint_dates = n;
    model->config.n_changepoints = (int64_t)n;
    if (n && indexed != (model->kind == FTL_TIME_INDEX))
        return fi_fail(err, FTL_EINVAL, "option changepoints holds %s, but the times of the series are %s",
                       indexed ? "plain numbers" : "dates", indexed ? "dates" : "plain numbers");
    if (!(model->changepoint_rows = fi_alloc(n, sizeof *model->changepoint_rows))) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        ftl_time at = model->changepoints[i], low = h->ds[0], high = h->ds[h->n - 1];
        if (indexed) low /= FTL_DAY, high /= FTL_DAY;
        char text[FTL_TIME_TEXT_MAX], from[FTL_TIME_TEXT_MAX], to[FTL_TIME_TEXT_MAX];
        if (at < low || at > high) {
            ftl_time_format(at, model->kind, text);
            ftl_time_format(low, model->kind, from);
            ftl_time_format(high, model->kind, to);
            return fi_fail(err, FTL_EINVAL, "changepoint %s lies outside the history, %s to %s", text, from, to);
        }
        if (indexed) model->changepoints[i] = at * FTL_DAY;
        model->changepoint_rows[i] = i;
    }
    return FTL_OK;
}

/* Evenly over the first part of the rows, in the arithmetic of numpy's linspace().round(). */
static ftl_status place_changepoints(prophet_model *model, ftl_error *err)
{
    const prophet_frame *h = &model->history;
    prophet_config *c = &model->config;
    int64_t size = (int64_t)floor((double)h->n * c->changepoint_range);
    ftl_status st = FTL_OK;
    if (c->n_changepoints + 1 > size) {
        st = prophet_warn(model, err,
                          "n_changepoints is %lld instead of %lld: there are only %lld rows to place them on",
                          (long long)(size > 1 ? size - 1 : 0), (long long)c->n_changepoints, (long long)size);
        c->n_changepoints = size - 1; /* may be 0 or -1, as in Prophet */
    }
    size_t n = c->n_changepoints > 0 ? (size_t)c->n_changepoints : 0;
    model->n_changepoint_dates = n;
    model->changepoints = fi_alloc(n, sizeof *model->changepoints);
    model->changepoint_rows = fi_alloc(n, sizeof *model->changepoint_rows);
    if (!model->changepoints || !model->changepoint_rows) return st ? st : fi_fail_memory(err);
    double step = n ? (double)(size - 1) / (double)n : 0;
    for (size_t i = 0; i < n; i++) {
        double at = i + 1 == n ? (double)(size - 1) : (double)(i + 1) * step;
        model->changepoint_rows[i] = (size_t)rint(at); /* halves to even */
        model->changepoints[i] = h->ds[model->changepoint_rows[i]];
    }
    return st;
}

static ftl_status set_changepoints(prophet_model *model, ftl_error *err)
{
    bool given = model->config.changepoints && *model->config.changepoints;
    ftl_status st = given ? given_changepoints(model, err) : place_changepoints(model, err);
    if (st) return st;
    size_t n = model->n_changepoint_dates;
    model->n_changepoints = n ? n : 1; /* without any: a dummy at t = 0 */
    model->changepoints_t = fi_calloc(model->n_changepoints, sizeof *model->changepoints_t);
    if (!model->changepoints_t) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        model->changepoints_t[i] = (double)(model->changepoints[i] - model->start) / model->t_scale;
    return FTL_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static ftl_status set_history_dates(prophet_model *model, const ftl_series *series, ftl_error *err)
{
    const ftl_time *ds = ftl_series_times(series);
    size_t n = ftl_series_n_obs(series);
    ftl_time unit = model->kind == FTL_TIME_INDEX ? FTL_DAY : 1;
    if (!(model->history_dates = fi_alloc(n, sizeof *model->history_dates))) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        if (unit > 1 && (ds[i] < min_index || ds[i] > max_index)) continue; /* its y is missing, or we had refused it */
        if (i == 0 || ds[i] != ds[i - 1]) model->history_dates[model->n_history_dates++] = ds[i] * unit;
    }
    return FTL_OK;
}

static ftl_status copy_holidays(prophet_model *model, ftl_error *err)
{
    const prophet_config *c = &model->config;
    bool country = c->country_holidays && *c->country_holidays;
    if (model->kind == FTL_TIME_INDEX && (c->n_holidays || country))
        return fi_fail(err, FTL_EINVAL, "holidays need dates, but the times of the series are plain numbers");
    if (!(model->holidays = fi_alloc(c->n_holidays, sizeof *model->holidays))) return fi_fail_memory(err);
    for (size_t i = 0; i < c->n_holidays; i++) {
        model->holidays[i] = c->holidays[i];
        if (!(model->holidays[i].name = fi_strdup(c->holidays[i].name))) return fi_fail_memory(err);
        model->n_holidays++;
    }
    ftl_status st = FTL_OK;
    if (prophet_country_lacks_years(model))
        st =
            prophet_warn(model, err,
                         "public holidays are known from %d to %d only: earlier and later rows have none of '%s'; give "
                         "theirs in a table of holidays",
                         PROPHET_HOLIDAYS_FROM, PROPHET_HOLIDAYS_TO, c->country_holidays);
    return st ? st : prophet_collect_holiday_names(model, err);
}

static ftl_status scale_history(prophet_model *model, ftl_error *err)
{
    prophet_frame *h = &model->history;
    bool logistic = model->config.growth == PROPHET_LOGISTIC;
    model->logistic_floor = logistic && h->has_floor_column;
    model->start = h->ds[0];
    model->t_scale = (double)(h->ds[h->n - 1] - h->ds[0]);
    if (model->t_scale == 0)
        return fi_fail(err, FTL_EDATA, "all %zu observations are of one time; a trend needs two times at least", h->n);
    ftl_status st = logistic ? check_caps(model, h, "data", err) : FTL_OK;
    if (!st && model->logistic_floor && has_nan(h->floor, h->n))
        st = fi_fail(err, FTL_EDATA, "column 'floor' has missing values; fill them in");
    if (!st) st = set_y_scale(model, err);
    for (size_t r = 0; !st && r < model->n_regressors; r++)
        st = standardise(&model->regressors[r], h->extra[r], h->n, err);
    return st ? st : scale_rows(model, h, err);
}

static ftl_status prepare(const prophet_config *config, const ftl_series *series, prophet_model *model, ftl_error *err)
{
    *model = (prophet_model){.kind = ftl_series_time_kind(series), .n_draws = 1, .init_k = NAN, .init_m = NAN};
    const double *y = ftl_series_values(series);
    size_t n = 0;
    for (size_t i = 0; i < ftl_series_n_obs(series); i++) n += isnan(y[i]) ? 0 : 1;
    if (n < 2)
        return fi_fail(err, FTL_EDATA, "only %zu of %zu rows have a value; Prophet needs 2 at least", n,
                       ftl_series_n_obs(series));
    ftl_status st = prophet_config_copy(config, &model->config, err);
    if (!st) st = resolve_regressors(model, series, err);
    for (size_t i = 0; !st && i < config->n_seasonalities; i++)
        st = put_seasonality(model, &config->seasonalities[i], err);
    if (!st) st = gather_rows(model, series, y, n, "data", &model->history, err);
    if (!st) st = set_history_dates(model, series, err);
    if (!st) st = scale_history(model, err);
    if (!st) st = set_auto_seasonalities(model, err);
    if (!st) st = set_changepoints(model, err);
    if (!st) st = copy_holidays(model, err);
    if (!st) st = prophet_build_columns(model, err);
    return st;
}

ftl_status prophet_prepare(const prophet_config *config, const ftl_series *series, prophet_model *model, ftl_error *err)
{
    ftl_status st = prepare(config, series, model, err);
    if (!st) return FTL_OK;
    prophet_model_release(model);
    if (*ftl_series_id(series)) fi_fail_prefix(err, "series '%s'", ftl_series_id(series));
    return st;
}

ftl_status prophet_prepare_future(const prophet_model *model, const ftl_series *rows, prophet_frame *out,
                                  ftl_error *err)
{
    *out = (prophet_frame){0};
    if (ftl_series_n_obs(rows) == 0) return fi_fail(err, FTL_EDATA, "there are no rows to predict");
    bool index = model->kind == FTL_TIME_INDEX;
    if (index != (ftl_series_time_kind(rows) == FTL_TIME_INDEX))
        return fi_fail(err, FTL_EDATA, "the history has %s, but the rows to predict have %s",
                       index ? "plain numbers for times" : "dates", index ? "dates" : "plain numbers");
    ftl_status st = gather_rows(model, rows, NULL, ftl_series_n_obs(rows), "future rows", out, err);
    if (!st && model->config.growth == PROPHET_LOGISTIC) st = check_caps(model, out, "future rows", err);
    if (!st) st = scale_rows(model, out, err);
    if (st) prophet_frame_release(out);
    return st;
}
