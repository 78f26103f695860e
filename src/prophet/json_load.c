/*
 * Reading models: our own files and those of Python's prophet and fbprophet (from 0.6.1 on), MAP and MCMC. Every key
 * is checked for type, range and agreement with the others before anything is computed from it; a refusal names it.
 */
#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static ftl_status bad_key(const char *key, const char *expected, ftl_error *err)
{
    return fi_fail(err, FTL_EDATA, "key '%s': expected %s", key, expected);
}

/* ---- plain values ------------------------------------------------------------------------------------------------ */

static bool present(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

/* A finite real in [low, high]. */
static ftl_status get_real(const json_t *object, const char *key, double low, double high, double *out, ftl_error *err)
{
    ftl_status st = fi_json_get_real(object, key, out, err);
    if (st) return st;
    if (*out >= low && *out <= high) return FTL_OK;
    return fi_fail(err, FTL_EDATA, "key '%s': %g lies outside %g..%g", key, *out, low, high);
}

static ftl_status get_count(const json_t *object, const char *key, int64_t low, int64_t high, int64_t *out,
                            ftl_error *err)
{
    ftl_status st = fi_json_get_int(object, key, out, err);
    if (st) return st;
    if (*out >= low && *out <= high) return FTL_OK;
    return fi_fail(err, FTL_EDATA, "key '%s': %lld lies outside %lld..%lld", key, (long long)*out, (long long)low,
                   (long long)high);
}

static ftl_status get_choice(const json_t *object, const char *key, const char *const *words, int n, int *out,
                             ftl_error *err)
{
    const char *text;
    ftl_status st = fi_json_get_text(object, key, &text, err);
    if (st) return st;
    for (*out = 0; *out < n; ++*out)
        if (!strcmp(text, words[*out])) return FTL_OK;
    return fi_fail(err, FTL_EDATA, "key '%s': '%s' is not one of %s, %s%s%s", key, text, words[0], words[1],
                   n > 2 ? ", " : "", n > 2 ? words[2] : "");
}

static ftl_status copy_text(const char *text, char **out, ftl_error *err)
{
    *out = fi_strdup(text);
    return *out ? FTL_OK : fi_fail_memory(err);
}

/* "auto", a boolean or an order becomes the text of the option. */
static ftl_status get_order(const json_t *object, const char *key, char **out, ftl_error *err)
{
    const json_t *value = json_object_get(object, key);
    char text[32];
    if (json_is_string(value)) {
        int order;
        ftl_status st = prophet_parse_order(key, json_string_value(value), 1, &order, err);
        return st ? FTL_EDATA : copy_text(json_string_value(value), out, err);
    }
    if (json_is_boolean(value)) return copy_text(json_is_true(value) ? "true" : "false", out, err);
    int64_t order;
    ftl_status st = get_count(object, key, INT32_MIN, PROPHET_MAX_ORDER, &order, err);
    if (st) return st;
    snprintf(text, sizeof text, "%d", order < 0 ? 0 : (int)order);
    return copy_text(text, out, err);
}

static const char *const growths[] = {"linear", "logistic", "flat"};
static const char *const modes[] = {"additive", "multiplicative"};
static const char *const scalings[] = {"absmax", "minmax"};

static ftl_status load_config(const json_t *from, prophet_config *c, ftl_error *err)
{
    ftl_status st = get_choice(from, "growth", growths, 3, &c->growth, err);
    if (!st) st = get_count(from, "n_changepoints", -1, INT32_MAX, &c->n_changepoints, err);
    if (!st) st = get_real(from, "changepoint_range", 0, 1, &c->changepoint_range, err);
    if (!st) st = get_order(from, "yearly_seasonality", &c->yearly_seasonality, err);
    if (!st) st = get_order(from, "weekly_seasonality", &c->weekly_seasonality, err);
    if (!st) st = get_order(from, "daily_seasonality", &c->daily_seasonality, err);
    if (!st) st = get_choice(from, "seasonality_mode", modes, 2, &c->seasonality_mode, err);
    if (!st) st = get_real(from, "seasonality_prior_scale", 1e-300, 1e300, &c->seasonality_prior_scale, err);
    if (!st) st = get_real(from, "changepoint_prior_scale", 1e-300, 1e300, &c->changepoint_prior_scale, err);
    if (!st) st = get_real(from, "holidays_prior_scale", 1e-300, 1e300, &c->holidays_prior_scale, err);
    if (!st) st = get_real(from, "interval_width", 0, 1, &c->interval_width, err);
    if (!st && present(from, "holidays_mode")) { /* from prophet 1.1.5 on */
        st = get_choice(from, "holidays_mode", modes, 2, &c->holidays_mode, err);
        c->holidays_mode++;
    }
    if (!st && present(from, "scaling")) st = get_choice(from, "scaling", scalings, 2, &c->scaling, err);
    if (st) return st;
    const json_t *samples = json_object_get(from, "uncertainty_samples");
    double n = json_is_boolean(samples) ? json_is_true(samples) : json_number_value(samples);
    if ((!json_is_boolean(samples) && !json_is_number(samples)) || !(n >= 0 && n <= 1e7))
        return bad_key("uncertainty_samples", "a number from 0 to 10000000, or false", err);
    c->uncertainty_samples = (int64_t)n;
    if (!present(from, "country_holidays")) return FTL_OK;
    const char *country;
    st = fi_json_get_text(from, "country_holidays", &country, err);
    return st ? st : copy_text(country, &c->country_holidays, err);
}

/* ---- JSON within JSON -------------------------------------------------------------------------------------------- */

/* The member "data" of a pandas frame held as text under a key; *root owns it. */
static ftl_status parse_frame(const json_t *object, const char *key, json_t **root, const json_t **data, ftl_error *err)
{
    *root = NULL;
    const json_t *text = json_object_get(object, key);
    if (!json_is_string(text)) return bad_key(key, "a pandas frame as JSON text", err);
    ftl_status st = fi_json_parse(json_string_value(text), json_string_length(text), "text", root, err);
    if (st) return fi_fail_prefix(err, "key '%s'", key), st;
    *data = json_object_get(*root, "data");
    if (json_is_array(*data)) return FTL_OK;
    json_decref(*root);
    *root = NULL;
    return bad_key(key, "a pandas frame with a list 'data'", err);
}

/* A time: ISO text, also with a Z, or milliseconds since 1970. */
static bool time_of(const json_t *value, ftl_time *out)
{
    if (json_is_number(value)) {
        double ms = json_number_value(value);
        if (!(fabs(ms) < 2.5e14)) return false; /* the year 9999 */
        *out = (ftl_time)llround(ms * 1000);
        return true;
    }
    if (!json_is_string(value)) return false;
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    if (n && (text[n - 1] == 'Z' || text[n - 1] == 'z')) n--;
    ftl_time_kind kind;
    return ftl_time_parse(text, n, out, &kind, NULL) == FTL_OK && kind != FTL_TIME_INDEX;
}

static ftl_status load_times(const json_t *from, const char *key, ftl_time **out, size_t *n_out, ftl_error *err)
{
    json_t *root;
    const json_t *data;
    *n_out = 0;
    ftl_status st = parse_frame(from, key, &root, &data, err);
    if (st) return st;
    size_t n = json_array_size(data);
    *out = fi_alloc(n, sizeof **out);
    if (!*out) st = fi_fail_memory(err);
    for (size_t i = 0; !st && i < n; i++)
        if (!time_of(json_array_get(data, i), &(*out)[i])) st = bad_key(key, "a list of times", err);
    *n_out = st ? 0 : n;
    json_decref(root);
    return st;
}

static bool ascending(const ftl_time *times, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (times[i] < times[i - 1]) return false;
    return true;
}

/* ---- changepoints ------------------------------------------------------------------------------------------------ */

/* Row numbers of the changepoints: pandas' index of the Series, or 0, 1, 2 ... where it is something else. */
static void load_rows(const json_t *from, size_t n, size_t *rows)
{
    json_t *root;
    const json_t *data;
    for (size_t i = 0; i < n; i++) rows[i] = i;
    if (parse_frame(from, "changepoints", &root, &data, NULL)) return;
    const json_t *index = json_object_get(root, "index");
    bool good = json_array_size(index) == n;
    for (size_t i = 0; i < n && good; i++)
        good = json_is_integer(json_array_get(index, i)) && json_integer_value(json_array_get(index, i)) >= 0;
    for (size_t i = 0; i < n && good; i++) rows[i] = (size_t)json_integer_value(json_array_get(index, i));
    json_decref(root);
}

static ftl_status load_changepoints(const json_t *from, prophet_model *m, ftl_error *err)
{
    ftl_status st = FTL_OK;
    if (present(from, "specified_changepoints"))
        st = fi_json_get_bool(from, "specified_changepoints", &m->specified_changepoints, err);
    if (!st && present(from, "changepoints"))
        st = load_times(from, "changepoints", &m->changepoints, &m->n_changepoint_dates, err);
    if (!st) st = fi_json_get_reals(from, "changepoints_t", &m->changepoints_t, &m->n_changepoints, err);
    if (st) return st;
    size_t n = m->n_changepoint_dates, S = m->n_changepoints;
    if (S != (n ? n : 1))
        return bad_key("changepoints_t", "one number for each of 'changepoints' (a 0 where there are none)", err);
    for (size_t i = 0; i < S; i++)
        if (!isfinite(m->changepoints_t[i]) || (i && m->changepoints_t[i] < m->changepoints_t[i - 1]))
            return bad_key("changepoints_t", "finite numbers in ascending order", err);
    m->changepoint_rows = fi_alloc(n, sizeof *m->changepoint_rows);
    if (!m->changepoint_rows) return fi_fail_memory(err);
    load_rows(from, n, m->changepoint_rows);
    if (n) qsort(m->changepoints, n, sizeof *m->changepoints, prophet_compare_times);
    return FTL_OK;
}

/* ---- seasonalities, regressors, holidays ------------------------------------------------------------------------- */

/* Prophet's [keys, dictionary]. */
static ftl_status ordered(const json_t *from, const char *key, const json_t **keys, const json_t **dictionary,
                          ftl_error *err)
{
    const json_t *pair = json_object_get(from, key);
    *keys = json_array_get(pair, 0);
    *dictionary = json_array_get(pair, 1);
    if (json_is_array(*keys) && json_is_object(*dictionary)) return FTL_OK;
    return bad_key(key, "[list of names, dictionary]", err);
}

static ftl_status entry(const json_t *keys, const json_t *dictionary, size_t i, const char *key, const char **name,
                        const json_t **props, ftl_error *err)
{
    *name = json_string_value(json_array_get(keys, i));
    *props = *name ? json_object_get(dictionary, *name) : NULL;
    if (*name && **name && json_is_object(*props)) return FTL_OK;
    return bad_key(key, "names that the dictionary beside them has", err);
}

static ftl_status load_seasonality(const char *name, const json_t *props, prophet_seasonality *s, ftl_error *err)
{
    int64_t order = 0;
    const char *condition = NULL;
    ftl_status st = get_real(props, "period", 1.5e-11, 1e9, &s->period, err);
    if (!st) st = get_count(props, "fourier_order", 1, PROPHET_MAX_ORDER, &order, err);
    if (!st) st = get_real(props, "prior_scale", 1e-300, 1e300, &s->prior_scale, err);
    if (!st) st = get_choice(props, "mode", modes, 2, &s->mode, err);
    if (!st && present(props, "condition_name")) st = fi_json_get_text(props, "condition_name", &condition, err);
    if (!st && condition) st = copy_text(condition, &s->condition, err);
    if (st) return fi_fail_prefix(err, "key 'seasonalities': '%s'", name), st;
    s->order = (size_t)order;
    return copy_text(name, &s->name, err);
}

static ftl_status load_seasonalities(const json_t *from, prophet_model *m, ftl_error *err)
{
    const json_t *keys, *dictionary, *props;
    const char *name;
    ftl_status st = ordered(from, "seasonalities", &keys, &dictionary, err);
    if (st) return st;
    size_t n = json_array_size(keys);
    if (!(m->seasonalities = fi_calloc(n, sizeof *m->seasonalities))) return fi_fail_memory(err);
    m->n_seasonalities = n;
    for (size_t i = 0; !st && i < n; i++) {
        st = entry(keys, dictionary, i, "seasonalities", &name, &props, err);
        if (!st) st = load_seasonality(name, props, &m->seasonalities[i], err);
    }
    return st;
}

static ftl_status load_regressor(const char *name, const json_t *props, const prophet_model *m, prophet_regressor *r,
                                 ftl_error *err)
{
    ftl_status st = get_real(props, "prior_scale", 1e-300, 1e300, &r->prior_scale, err);
    if (!st) st = get_real(props, "mu", -1.7e308, 1.7e308, &r->mu, err);
    if (!st) st = get_real(props, "std", 1e-307, 1.7e308, &r->std, err);
    r->mode = m->config.seasonality_mode;
    if (!st && present(props, "mode")) st = get_choice(props, "mode", modes, 2, &r->mode, err);
    const json_t *standardize = json_object_get(props, "standardize");
    r->standardize = json_is_true(standardize)    ? FTL_PROPHET_STANDARDIZE_YES
                     : json_is_false(standardize) ? FTL_PROPHET_STANDARDIZE_NO
                                                  : FTL_PROPHET_STANDARDIZE_AUTO;
    if (st) return fi_fail_prefix(err, "key 'extra_regressors': '%s'", name), st;
    return copy_text(name, &r->name, err);
}

static ftl_status load_regressors(const json_t *from, prophet_model *m, ftl_error *err)
{
    const json_t *keys, *dictionary, *props;
    const char *name;
    ftl_status st = ordered(from, "extra_regressors", &keys, &dictionary, err);
    if (st) return st;
    size_t n = json_array_size(keys);
    if (!(m->regressors = fi_calloc(n, sizeof *m->regressors))) return fi_fail_memory(err);
    m->n_regressors = n;
    for (size_t i = 0; !st && i < n; i++) {
        st = entry(keys, dictionary, i, "extra_regressors", &name, &props, err);
        if (!st) st = load_regressor(name, props, m, &m->regressors[i], err);
    }
    return st;
}

/* A window of days; a missing one is NaN. */
static bool window_of(const json_t *row, const char *key, double *out)
{
    const json_t *value = json_object_get(row, key);
    *out = json_is_number(value) ? json_number_value(value) : NAN;
    if (!value) *out = 0; /* no such column */
    if (value && !json_is_number(value) && !json_is_null(value)) return false;
    return isnan(*out) || (*out == floor(*out) && fabs(*out) <= PROPHET_MAX_WINDOW);
}

static ftl_status load_holiday(const json_t *row, prophet_holiday *h, ftl_error *err)
{
    const char *name = json_string_value(json_object_get(row, "holiday"));
    const json_t *scale = json_object_get(row, "prior_scale");
    double lower, upper;
    if (!name || !*name || !time_of(json_object_get(row, "ds"), &h->date))
        return bad_key("holidays", "rows with a date 'ds' and a name 'holiday'", err);
    if (!window_of(row, "lower_window", &lower) || !window_of(row, "upper_window", &upper) || lower > 0 || upper < 0)
        return bad_key("holidays", "windows of whole days, lower_window <= 0 and upper_window >= 0", err);
    h->prior_scale = json_is_number(scale) ? json_number_value(scale) : NAN;
    if (scale && !json_is_null(scale) && !(h->prior_scale > 0 && h->prior_scale < 1e300))
        return bad_key("holidays", "prior scales greater than 0", err);
    bool both = !isnan(lower) && !isnan(upper); /* as in Prophet, a missing one switches off both */
    h->lower = both ? (int)lower : 0;
    h->upper = both ? (int)upper : 0;
    h->date = ftl_time_of(ftl_date_of(h->date));
    return copy_text(name, &h->name, err);
}

static ftl_status load_holidays(const json_t *from, prophet_model *m, ftl_error *err)
{
    if (!present(from, "holidays")) return FTL_OK;
    json_t *root;
    const json_t *data;
    ftl_status st = parse_frame(from, "holidays", &root, &data, err);
    if (st) return st;
    size_t n = json_array_size(data);
    m->holidays = fi_calloc(n, sizeof *m->holidays);
    if (!m->holidays) st = fi_fail_memory(err);
    if (!st) m->n_holidays = n;
    for (size_t i = 0; !st && i < n; i++) st = load_holiday(json_array_get(data, i), &m->holidays[i], err);
    json_decref(root);
    return st;
}

static ftl_status load_holiday_names(const json_t *from, prophet_model *m, ftl_error *err)
{
    if (!present(from, "train_holiday_names")) return FTL_OK;
    json_t *root;
    const json_t *data;
    ftl_status st = parse_frame(from, "train_holiday_names", &root, &data, err);
    if (st) return st;
    size_t n = json_array_size(data);
    m->train_holiday_names = fi_calloc(n, sizeof *m->train_holiday_names);
    if (!m->train_holiday_names) st = fi_fail_memory(err);
    if (!st) m->n_train_holiday_names = n;
    for (size_t i = 0; !st && i < n; i++) {
        const char *name = json_string_value(json_array_get(data, i));
        bool again = false;
        for (size_t j = 0; name && j < i; j++) again |= !strcmp(m->train_holiday_names[j], name);
        st = name && *name && !again ? copy_text(name, &m->train_holiday_names[i], err)
                                     : bad_key("train_holiday_names", "a list of different names", err);
    }
    json_decref(root);
    return st;
}

/* ---- history ----------------------------------------------------------------------------------------------------- */

/* Finite reals (or booleans) of a column of the history. */
static ftl_status load_column(const json_t *data, const char *name, size_t n, double **out, ftl_error *err)
{
    *out = fi_alloc(n, sizeof **out);
    if (!*out) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(json_array_get(data, i), name);
        double x = json_is_boolean(value)  ? json_is_true(value)
                   : json_is_number(value) ? json_number_value(value)
                                           : NAN;
        if (!isfinite(x))
            return fi_fail(err, FTL_EDATA, "key 'history': row %zu has no number in its column '%s'", i + 1, name);
        (*out)[i] = x;
    }
    return FTL_OK;
}

/* Regressors (standardised already), then the distinct conditions. */
static ftl_status load_extra(const json_t *data, prophet_model *m, ftl_error *err)
{
    prophet_frame *h = &m->history;
    size_t most = m->n_regressors + m->n_seasonalities;
    h->extra_names = fi_calloc(most, sizeof *h->extra_names);
    h->extra = fi_calloc(most, sizeof *h->extra);
    if (!h->extra_names || !h->extra) return fi_fail_memory(err);
    ftl_status st = FTL_OK;
    for (size_t i = 0; !st && i < most; i++) {
        const char *name =
            i < m->n_regressors ? m->regressors[i].name : m->seasonalities[i - m->n_regressors].condition;
        bool again = !name;
        for (size_t j = m->n_regressors; name && j < h->n_extra; j++) again |= !strcmp(h->extra_names[j], name);
        if (again) continue;
        size_t e = h->n_extra++;
        st = copy_text(name, &h->extra_names[e], err);
        if (!st) st = load_column(data, name, h->n, &h->extra[e], err);
        for (size_t r = 0; !st && i >= m->n_regressors && r < h->n; r++)
            if (h->extra[e][r] != 0 && h->extra[e][r] != 1)
                st = fi_fail(err, FTL_EDATA, "key 'history': column '%s' is a condition but holds %g", name,
                             h->extra[e][r]);
    }
    return st;
}

/* t, y_scaled and cap_scaled are computed anew: Python writes them with ten digits only. */
static ftl_status scale_history(prophet_model *m, ftl_error *err)
{
    prophet_frame *h = &m->history;
    h->t = fi_alloc(h->n, sizeof *h->t);
    h->y_scaled = fi_alloc(h->n, sizeof *h->y_scaled);
    bool logistic = m->config.growth == PROPHET_LOGISTIC;
    if (logistic && !(h->cap_scaled = fi_alloc(h->n, sizeof *h->cap_scaled))) return fi_fail_memory(err);
    if (!h->t || !h->y_scaled) return fi_fail_memory(err);
    for (size_t i = 0; i < h->n; i++) {
        h->t[i] = (double)(h->ds[i] - m->start) / m->t_scale;
        h->y_scaled[i] = (h->y[i] - h->floor[i]) / m->y_scale;
        if (logistic && !(h->cap[i] > h->floor[i])) return bad_key("history", "every 'cap' above its 'floor'", err);
        if (logistic) h->cap_scaled[i] = (h->cap[i] - h->floor[i]) / m->y_scale;
    }
    return FTL_OK;
}

/* Needed for logistic growth; else kept to be shown, if it is whole. */
static ftl_status load_cap(const json_t *data, prophet_model *m, ftl_error *err)
{
    prophet_frame *h = &m->history;
    if (m->config.growth == PROPHET_LOGISTIC) return load_column(data, "cap", h->n, &h->cap, err);
    if (!json_object_get(json_array_get(data, 0), "cap")) return FTL_OK;
    ftl_status st = load_column(data, "cap", h->n, &h->cap, NULL);
    if (st == FTL_ENOMEM) return fi_fail_memory(err);
    if (st) {
        fi_free(h->cap);
        h->cap = NULL;
    }
    return FTL_OK;
}

static ftl_status load_history(const json_t *from, prophet_model *m, ftl_error *err)
{
    json_t *root;
    const json_t *data;
    prophet_frame *h = &m->history;
    ftl_status st = parse_frame(from, "history", &root, &data, err);
    if (st) return st;
    h->n = json_array_size(data);
    if (h->n < 2) {
        st = bad_key("history", "at least 2 rows", err);
        goto done;
    }
    h->ds = fi_alloc(h->n, sizeof *h->ds);
    if (!h->ds) {
        st = fi_fail_memory(err);
        goto done;
    }
    for (size_t i = 0; i < h->n; i++)
        if (!time_of(json_object_get(json_array_get(data, i), "ds"), &h->ds[i]) || (i && h->ds[i] < h->ds[i - 1])) {
            st = bad_key("history", "a time 'ds' in every row, ascending", err);
            goto done;
        }
    h->has_floor_column = m->logistic_floor;
    st = load_column(data, "y", h->n, &h->y, err);
    if (!st) st = load_column(data, "floor", h->n, &h->floor, err);
    if (!st) st = load_cap(data, m, err);
    if (!st) st = load_extra(data, m, err);
done:
    json_decref(root);
    return st;
}

/* start and t_scale in seconds, read as the whole microseconds of the history where they mean the same. */
static ftl_status load_scales(const json_t *from, prophet_model *m, ftl_error *err)
{
    const prophet_frame *h = &m->history;
    double start = 0, span = 0, first = (double)h->ds[0], whole = (double)(h->ds[h->n - 1] - h->ds[0]);
    ftl_status st = get_real(from, "start", -1e11, 3e11, &start, err);
    if (!st) st = get_real(from, "t_scale", 1e-6, 1e12, &span, err);
    if (st) return st;
    start *= (double)FTL_SECOND;
    span *= (double)FTL_SECOND;
    m->start = fabs(start - first) <= 1e-15 * fabs(first) + 0.5 ? h->ds[0] : (ftl_time)llround(start);
    m->t_scale = fabs(span - whole) <= 1e-15 * whole + 0.5 && whole > 0 ? whole : span;
    return FTL_OK;
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */

static ftl_status get_params(const json_t *params, const char *key, double low, double **out, size_t *n, ftl_error *err)
{
    ftl_status st = fi_json_get_reals(params, key, out, n, err);
    if (st) return fi_fail_prefix(err, "key 'params'"), st;
    for (size_t i = 0; i < *n; i++)
        if (!isfinite((*out)[i]) || (*out)[i] < low)
            return fi_fail(err, FTL_EDATA, "key 'params': '%s' holds %g", key, (*out)[i]);
    return FTL_OK;
}

static ftl_status load_params(const json_t *from, prophet_model *m, ftl_error *err)
{
    const json_t *params = json_object_get(from, "params");
    size_t n_m = 0, n_sigma = 0, n_delta = 0, n_beta = 0;
    ftl_status st = get_params(params, "k", -INFINITY, &m->k, &m->n_draws, err);
    if (!st) st = get_params(params, "m", -INFINITY, &m->m, &n_m, err);
    if (!st) st = get_params(params, "sigma_obs", 0, &m->sigma_obs, &n_sigma, err);
    if (!st) st = get_params(params, "delta", -INFINITY, &m->delta, &n_delta, err);
    if (!st) st = get_params(params, "beta", -INFINITY, &m->beta, &n_beta, err);
    if (st) return st;
    size_t D = m->n_draws, S = m->n_changepoints, K = m->n_columns;
    if (!D || n_m != D || n_sigma != D)
        return fi_fail(err, FTL_EDATA,
                       "key 'params': 'k', 'm' and 'sigma_obs' hold %zu, %zu and %zu numbers; they should "
                       "be as many",
                       D, n_m, n_sigma);
    if (n_delta / S != D || n_delta % S)
        return fi_fail(err, FTL_EDATA,
                       "key 'params': 'delta' holds %zu numbers, expected %zu draws of %zu changepoints", n_delta, D,
                       S);
    if (n_beta / K != D || n_beta % K)
        return fi_fail(err, FTL_EDATA, "key 'params': 'beta' holds %zu numbers, expected %zu draws of %zu columns",
                       n_beta, D, K);
    return FTL_OK;
}

/* The file's own table of columns must be as long as ours, or coefficients would meet the wrong columns. */
static ftl_status check_columns(const json_t *from, const prophet_model *m, ftl_error *err)
{
    if (!present(from, "train_component_cols")) return FTL_OK;
    json_t *root;
    const json_t *data;
    ftl_status st = parse_frame(from, "train_component_cols", &root, &data, err);
    if (st) return st;
    size_t n = json_array_size(data);
    if (n != m->n_columns)
        st = fi_fail(err, FTL_EDATA,
                     "key 'train_component_cols' has %zu rows, but seasonalities, holidays and regressors "
                     "make %zu columns",
                     n, m->n_columns);
    for (size_t j = 0; !st && j < n; j++)
        for (size_t c = 0; !st && c < m->n_components; c++) {
            const json_t *value = json_object_get(json_array_get(data, j), m->components[c].name);
            bool uses = json_is_number(value) && json_number_value(value) != 0;
            if (uses != m->components[c].uses[j])
                st = fi_fail(err, FTL_EDATA, "key 'train_component_cols': row %zu %s '%s', but column '%s' %s", j + 1,
                             uses ? "is part of" : "is not part of", m->components[c].name, m->columns[j].name,
                             uses ? "is not" : "is");
        }
    json_decref(root);
    return st;
}

/* ---- what only our own files hold -------------------------------------------------------------------------------- */

static size_t own_count(const json_t *own, const char *key, size_t most)
{
    json_int_t value = json_integer_value(json_object_get(own, key));
    return value > 0 && (uint64_t)value <= most ? (size_t)value : 0;
}

static ftl_status load_own(const json_t *from, prophet_model *m, ftl_error *err)
{
    const json_t *own = json_object_get(from, "foretell_fit"), *warnings = json_object_get(own, "warnings");
    const char *kind = json_string_value(json_object_get(json_object_get(from, "foretell"), "time"));
    ftl_status st = FTL_OK;
    prophet_certificate_get(own, &m->certificate);
    m->config.solver = (int)own_count(own, "solver", PROPHET_SOLVER_STAN);
    m->config.intervals = (int)own_count(own, "intervals", PROPHET_INTERVALS_NONE);
    m->config.vectorized = !json_is_false(json_object_get(own, "vectorized"));
    for (size_t i = 0; !st && i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        if (text) st = prophet_warn(m, err, "%s", text);
    }
    m->kind = FTL_TIME_DATE;
    for (size_t i = 0; i < m->history.n && m->kind == FTL_TIME_DATE; i++)
        if (m->history.ds[i] % FTL_DAY) m->kind = FTL_TIME_DATETIME;
    if (kind && !strcmp(kind, "index") && m->kind == FTL_TIME_DATE) m->kind = FTL_TIME_INDEX;
    if (kind && !strcmp(kind, "datetime")) m->kind = FTL_TIME_DATETIME;
    const char *version = json_string_value(json_object_get(from, "__prophet_version"));
    if (!version) version = json_string_value(json_object_get(from, "__fbprophet_version"));
    if (!st && !own) st = copy_text(version ? version : "unknown", &m->loaded_version, err);
    return st;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static ftl_status load(const json_t *from, prophet_model *m, ftl_error *err)
{
    prophet_config_defaults(&m->config);
    m->init_k = m->init_m = NAN;
    m->n_draws = 0;
    ftl_status st = load_config(from, &m->config, err);
    if (!st) st = get_real(from, "y_scale", 5e-324, 1.7e308, &m->y_scale, err);
    if (!st && present(from, "y_min")) st = get_real(from, "y_min", -1.7e308, 1.7e308, &m->y_min, err);
    if (!st) st = fi_json_get_bool(from, "logistic_floor", &m->logistic_floor, err);
    if (!st && m->logistic_floor && m->config.growth != PROPHET_LOGISTIC)
        st = bad_key("logistic_floor", "false, because the growth is not logistic", err);
    if (!st) st = load_seasonalities(from, m, err);
    if (!st) st = load_regressors(from, m, err);
    if (!st) st = load_holidays(from, m, err);
    if (!st) st = load_holiday_names(from, m, err);
    if (!st) st = load_history(from, m, err);
    if (!st) st = load_scales(from, m, err);
    if (!st) st = scale_history(m, err);
    if (!st) st = load_times(from, "history_dates", &m->history_dates, &m->n_history_dates, err);
    if (!st && !ascending(m->history_dates, m->n_history_dates)) st = bad_key("history_dates", "ascending times", err);
    if (!st) st = load_changepoints(from, m, err);
    if (!st) st = prophet_build_columns(m, err);
    if (!st) st = check_columns(from, m, err);
    if (!st) st = load_params(from, m, err);
    if (!st) st = load_own(from, m, err);
    return st ? st : prophet_find_bends(m, err);
}

ftl_status prophet_load(const json_t *object, void **out, ftl_error *err)
{
    *out = NULL;
    prophet_model *m = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    ftl_status st = load(object, m, err);
    if (!st) {
        *out = m;
        return FTL_OK;
    }
    prophet_model_release(m);
    fi_free(m);
    return st == FTL_EINVAL ? FTL_EDATA : st;
}
