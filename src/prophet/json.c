/*
 * Writing a model as Python prophet 1.5 serialises it: plain attributes, pandas frames as JSON text within the JSON,
 * parameters as nested lists. What Prophet has no key for stands under "foretell_fit". Reading is in json_load.c.
 */
#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/error.h"
#include "forecast/driver.h"

#include <math.h>
#include <string.h>

#define PROPHET_VERSION "1.5.0" /* whose format this is */

static const char *const growths[] = {"linear", "logistic", "flat"};
static const char *const modes[] = {"additive", "multiplicative"};
static const char *const scalings[] = {"absmax", "minmax"};

static const char *mode_name(int mode)
{
    return modes[mode == PROPHET_MULTIPLICATIVE];
}

static int holidays_mode(const prophet_config *c)
{
    return c->holidays_mode ? c->holidays_mode - 1 : c->seasonality_mode;
}

/* "auto", true, false or an order, as the constructor's argument was. */
static json_t *order_json(const char *text)
{
    int order = PROPHET_ORDER_AUTO;
    const int on = -2; /* tells "true" from any number */
    prophet_parse_order("", text, on, &order, NULL);
    if (order == PROPHET_ORDER_AUTO) return json_string("auto");
    if (order == on || (order == 0 && text && *text != '0')) return json_boolean(order == on);
    return json_integer(order);
}

/* Text that needs no escapes and no check, as most names are. */
static bool is_simple(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7E || *text == '"' || *text == '\\') return false;
    return true;
}

static void put_name(fi_buf *out, const char *name)
{
    if (is_simple(name)) {
        fi_buf_char(out, '"');
        fi_buf_text(out, name);
        fi_buf_char(out, '"');
        return;
    }
    json_t *text = fi_json_name(name);
    if (text)
        fi_json_write(text, out);
    else
        out->failed = true;
    json_decref(text);
}

static void put_real(fi_buf *out, double value)
{
    if (value == 0)
        fi_buf_text(out, signbit(value) ? "-0.0" : "0"); /* "-0" would be read as the integer 0 */
    else if (isfinite(value))
        fi_buf_double(out, value);
    else
        fi_buf_text(out, "null");
}

/* `n` decimal digits and a character after them. */
static char *put_digits(char *to, int value, int n, char after)
{
    for (int i = n; i-- > 0; value /= 10) to[i] = (char)('0' + value % 10);
    to[n] = after;
    return to + n + 1;
}

/* "2020-01-31T13:45:00.000", as pandas writes it; microseconds where milliseconds do not do. */
static void put_time(fi_buf *out, ftl_time time, bool micros)
{
    ftl_time of_day = time % FTL_DAY;
    if (of_day < 0) of_day += FTL_DAY;
    ftl_date d = ftl_date_of(time);
    int seconds = (int)(of_day / FTL_SECOND), fraction = (int)(of_day % FTL_SECOND);
    char text[32] = "\"", *p = text + 1;
    p = put_digits(p, d.year, 4, '-');
    p = put_digits(p, d.month, 2, '-');
    p = put_digits(p, d.day, 2, 'T');
    p = put_digits(p, seconds / 3600, 2, ':');
    p = put_digits(p, seconds / 60 % 60, 2, ':');
    p = put_digits(p, seconds % 60, 2, '.');
    p = micros ? put_digits(p, fraction, 6, '"') : put_digits(p, fraction / 1000, 3, '"');
    fi_buf_put(out, text, (size_t)(p - text));
}

static bool needs_micros(const ftl_time *times, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (times[i] % 1000) return true;
    return false;
}

/* Text as a JSON string, emptying the buffer; NULL without memory. */
static json_t *text_json(fi_buf *text)
{
    json_t *value = text->failed ? NULL : json_stringn(text->data ? text->data : "", text->size);
    fi_buf_release(text);
    return value;
}

/* A pandas Series of times, orient='split'. rows: its index; NULL counts from 0. */
static json_t *times_json(const ftl_time *times, const size_t *rows, size_t n)
{
    fi_buf out = {0};
    bool micros = needs_micros(times, n);
    fi_buf_text(&out, "{\"name\":\"ds\",\"index\":[");
    for (size_t i = 0; i < n; i++) fi_buf_printf(&out, "%s%zu", i ? "," : "", rows ? rows[i] : i);
    fi_buf_text(&out, "],\"data\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) fi_buf_char(&out, ',');
        put_time(&out, times[i], micros);
    }
    fi_buf_text(&out, "]}");
    return text_json(&out);
}

static json_t *names_json(char *const *names, size_t n)
{
    if (!n) return json_null();
    fi_buf out = {0};
    fi_buf_text(&out, "{\"name\":null,\"index\":[");
    for (size_t i = 0; i < n; i++) fi_buf_printf(&out, "%s%zu", i ? "," : "", i);
    fi_buf_text(&out, "],\"data\":[");
    for (size_t i = 0; i < n; i++) {
        if (i) fi_buf_char(&out, ',');
        put_name(&out, names[i]);
    }
    fi_buf_text(&out, "]}");
    return text_json(&out);
}

/* ---- pandas tables: orient='table', index=False ------------------------------------------------------------------ */

static void put_field(fi_buf *out, const char *name, const char *type)
{
    if (out->data && out->data[out->size - 1] == '}') fi_buf_char(out, ',');
    fi_buf_text(out, "{\"name\":");
    put_name(out, name);
    fi_buf_printf(out, ",\"type\":\"%s\"}", type);
}

static void begin_fields(fi_buf *out)
{
    fi_buf_text(out, "{\"schema\":{\"fields\":[");
}

static void end_fields(fi_buf *out)
{
    fi_buf_text(out, "],\"pandas_version\":\"1.4.0\"},\"data\":[");
}

static void put_key(fi_buf *out, const char *name)
{
    if (out->data && out->data[out->size - 1] != '{') fi_buf_char(out, ',');
    put_name(out, name);
    fi_buf_char(out, ':');
}

static void put_cell(fi_buf *out, const char *name, double value)
{
    put_key(out, name);
    put_real(out, value);
}

static json_t *history_json(const prophet_model *m)
{
    const prophet_frame *h = &m->history;
    fi_buf out = {0};
    bool micros = needs_micros(h->ds, h->n);
    begin_fields(&out);
    put_field(&out, "ds", "datetime");
    put_field(&out, "y", "number");
    for (size_t e = 0; e < h->n_extra; e++)
        put_field(&out, h->extra_names[e], e < m->n_regressors ? "number" : "boolean");
    if (h->cap) put_field(&out, "cap", "number");
    put_field(&out, "floor", "number");
    if (h->cap_scaled) put_field(&out, "cap_scaled", "number");
    put_field(&out, "t", "number");
    put_field(&out, "y_scaled", "number");
    end_fields(&out);
    for (size_t i = 0; i < h->n; i++) {
        fi_buf_text(&out, i ? ",{" : "{");
        put_key(&out, "ds");
        put_time(&out, h->ds[i], micros);
        put_cell(&out, "y", h->y[i]);
        for (size_t e = 0; e < h->n_extra; e++) {
            put_key(&out, h->extra_names[e]);
            if (e < m->n_regressors)
                put_real(&out, h->extra[e][i]);
            else
                fi_buf_text(&out, h->extra[e][i] != 0 ? "true" : "false");
        }
        if (h->cap) put_cell(&out, "cap", h->cap[i]);
        put_cell(&out, "floor", h->floor[i]);
        if (h->cap_scaled) put_cell(&out, "cap_scaled", h->cap_scaled[i]);
        put_cell(&out, "t", h->t[i]);
        put_cell(&out, "y_scaled", h->y_scaled[i]);
        fi_buf_char(&out, '}');
    }
    fi_buf_text(&out, "]}");
    return text_json(&out);
}

static void put_holiday(fi_buf *out, const char *name, ftl_time date, int lower, int upper, double prior_scale)
{
    if (out->data[out->size - 1] == '}') fi_buf_char(out, ',');
    fi_buf_char(out, '{');
    put_key(out, "holiday");
    put_name(out, name);
    put_key(out, "ds");
    put_time(out, date, false);
    fi_buf_printf(out, ",\"lower_window\":%d,\"upper_window\":%d", lower, upper);
    put_cell(out, "prior_scale", prior_scale);
    fi_buf_char(out, '}');
}

/* The country as Python prophet would take it, or NULL. It knows no subdivisions and few names beside the codes, it has
   days in years that our table lacks, and it cannot read a model that names a country but has no holiday of it. */
static const char *country_for_python(const prophet_model *m)
{
    const char *country = m->config.country_holidays;
    if (!country || !m->n_train_holiday_names || prophet_country_lacks_years(m)) return NULL;
    for (size_t i = 0; i < ftl_country_count(); i++)
        if (!strcmp(country, ftl_country_at(i, NULL, NULL))) return country;
    return NULL;
}

static ftl_status holidays_json(const prophet_model *m, json_t **to, ftl_error *err)
{
    const char *country = m->config.country_holidays;
    ftl_holiday *days = NULL;
    size_t n = 0;
    if (country && *country && m->n_train_holiday_names && !country_for_python(m)) { /* written out as own holidays */
        ftl_status st = ftl_holidays_of(country, PROPHET_HOLIDAYS_FROM, PROPHET_HOLIDAYS_TO, &days, &n, err);
        if (st) return st;
    }
    if (!m->n_holidays && !n) {
        *to = json_null();
        return FTL_OK;
    }
    fi_buf out = {0};
    begin_fields(&out);
    put_field(&out, "holiday", "string");
    put_field(&out, "ds", "datetime");
    put_field(&out, "lower_window", "integer");
    put_field(&out, "upper_window", "integer");
    put_field(&out, "prior_scale", "number");
    end_fields(&out);
    for (size_t i = 0; i < m->n_holidays && !out.failed; i++)
        put_holiday(&out, m->holidays[i].name, m->holidays[i].date, m->holidays[i].lower, m->holidays[i].upper,
                    m->holidays[i].prior_scale);
    for (size_t i = 0; i < n && !out.failed; i++) put_holiday(&out, days[i].name, days[i].date, 0, 0, NAN);
    fi_buf_text(&out, "]}");
    ftl_holidays_free(days);
    *to = text_json(&out);
    return FTL_OK;
}

static json_t *component_columns_json(const prophet_model *m)
{
    fi_buf out = {0};
    begin_fields(&out);
    for (size_t c = 0; c < m->n_components; c++) put_field(&out, m->components[c].name, "integer");
    end_fields(&out);
    for (size_t j = 0; j < m->n_columns; j++) {
        fi_buf_text(&out, j ? ",{" : "{");
        for (size_t c = 0; c < m->n_components; c++) {
            put_key(&out, m->components[c].name);
            fi_buf_char(&out, m->components[c].uses[j] ? '1' : '0');
        }
        fi_buf_char(&out, '}');
    }
    fi_buf_text(&out, "]}");
    return text_json(&out);
}

/* ---- dictionaries ------------------------------------------------------------------------------------------------ */

static json_t *standardize_json(ftl_prophet_standardize standardize)
{
    if (standardize == FTL_PROPHET_STANDARDIZE_AUTO) return json_string("auto");
    return json_boolean(standardize == FTL_PROPHET_STANDARDIZE_YES);
}

/* Prophet's ordered dictionaries: [keys in order, dictionary]. */
static json_t *ordered(json_t **keys, json_t **dictionary)
{
    json_t *pair = json_array();
    *keys = json_array();
    *dictionary = json_object();
    json_array_append_new(pair, *keys);
    json_array_append_new(pair, *dictionary);
    return pair;
}

static int put_entry(json_t *keys, json_t *dictionary, const char *name, json_t *value)
{
    json_t *key = fi_json_name(name);
    int bad = !key || json_object_set_new(dictionary, json_string_value(key), value);
    return bad | json_array_append_new(keys, key);
}

static int put_seasonalities(json_t *to, const prophet_model *m)
{
    json_t *keys, *dictionary;
    int bad = json_object_set_new(to, "seasonalities", ordered(&keys, &dictionary));
    for (size_t i = 0; i < m->n_seasonalities; i++) {
        const prophet_seasonality *s = &m->seasonalities[i];
        json_t *item = json_object();
        bad |= json_object_set_new(item, "period", json_real(s->period));
        bad |= json_object_set_new(item, "fourier_order", json_integer((json_int_t)s->order));
        bad |= json_object_set_new(item, "prior_scale", json_real(s->prior_scale));
        bad |= json_object_set_new(item, "mode", json_string(mode_name(s->mode)));
        bad |= json_object_set_new(item, "condition_name", s->condition ? fi_json_name(s->condition) : json_null());
        bad |= put_entry(keys, dictionary, s->name, item);
    }
    return bad;
}

static int put_regressors(json_t *to, const prophet_model *m)
{
    json_t *keys, *dictionary;
    int bad = json_object_set_new(to, "extra_regressors", ordered(&keys, &dictionary));
    for (size_t i = 0; i < m->n_regressors; i++) {
        const prophet_regressor *r = &m->regressors[i];
        json_t *item = json_object();
        bad |= json_object_set_new(item, "prior_scale", json_real(r->prior_scale));
        bad |= json_object_set_new(item, "standardize", standardize_json(r->standardize));
        bad |= json_object_set_new(item, "mu", json_real(r->mu));
        bad |= json_object_set_new(item, "std", json_real(r->std));
        bad |= json_object_set_new(item, "mode", json_string(mode_name(r->mode)));
        bad |= json_object_set_new(item, "predictor_spec", json_null());
        bad |= json_object_set_new(item, "predictor", json_null());
        bad |= put_entry(keys, dictionary, r->name, item);
    }
    return bad;
}

/* Names of the components of each mode, in Prophet's order. */
static int put_component_modes(json_t *to, const prophet_model *m)
{
    json_t *object = json_object();
    int bad = json_object_set_new(to, "component_modes", object);
    for (int mode = 0; mode < 2; mode++) {
        json_t *names = json_array();
        bad |= json_object_set_new(object, modes[mode], names);
        for (size_t i = 0; i < m->n_seasonalities; i++)
            if (m->seasonalities[i].mode == mode)
                bad |= json_array_append_new(names, fi_json_name(m->seasonalities[i].name));
        for (size_t i = 0; i < m->n_train_holiday_names && holidays_mode(&m->config) == mode; i++)
            bad |= json_array_append_new(names, fi_json_name(m->train_holiday_names[i]));
        for (size_t i = 0; i < m->n_regressors; i++)
            if (m->regressors[i].mode == mode) bad |= json_array_append_new(names, fi_json_name(m->regressors[i].name));
        bad |= json_array_append_new(names, json_string(mode ? "multiplicative_terms" : "additive_terms"));
        bad |= json_array_append_new(
            names, json_string(mode ? "extra_regressors_multiplicative" : "extra_regressors_additive"));
        if (holidays_mode(&m->config) == mode) bad |= json_array_append_new(names, json_string("holidays"));
    }
    return bad;
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */

/* [n_draws][width] */
static json_t *matrix_json(const double *values, size_t n_rows, size_t width)
{
    json_t *rows = json_array();
    int bad = !rows;
    for (size_t i = 0; i < n_rows && !bad; i++)
        bad = json_array_append_new(rows, fi_json_reals(values + i * width, width));
    if (!bad) return rows;
    json_decref(rows);
    return NULL;
}

/* Scalars: [[k]] under MAP, [k, k, ...] of MCMC. */
static json_t *scalar_json(const double *values, size_t n_draws)
{
    return n_draws == 1 ? matrix_json(values, 1, 1) : fi_json_reals(values, n_draws);
}

static int put_params(json_t *to, const prophet_model *m)
{
    json_t *params = json_object();
    int bad = json_object_set_new(to, "params", params);
    bad |= json_object_set_new(params, "k", scalar_json(m->k, m->n_draws));
    bad |= json_object_set_new(params, "m", scalar_json(m->m, m->n_draws));
    bad |= json_object_set_new(params, "delta", matrix_json(m->delta, m->n_draws, m->n_changepoints));
    bad |= json_object_set_new(params, "sigma_obs", scalar_json(m->sigma_obs, m->n_draws));
    bad |= json_object_set_new(params, "beta", matrix_json(m->beta, m->n_draws, m->n_columns));
    return bad;
}

/* What Prophet's format has no place for; Python leaves the key alone. */
static int put_own(json_t *to, const prophet_model *m)
{
    json_t *own = json_object(), *warnings = json_array();
    int bad = json_object_set_new(to, "foretell_fit", own);
    bad |= json_object_set_new(own, "solver", json_integer(m->config.solver));
    bad |= json_object_set_new(own, "intervals", json_integer(m->config.intervals));
    bad |= json_object_set_new(own, "vectorized", json_boolean(m->config.vectorized));
    bad |= prophet_certificate_put(own, &m->certificate);
    for (size_t i = 0; i < m->n_warnings; i++) bad |= json_array_append_new(warnings, fi_json_name(m->warnings[i]));
    return bad | json_object_set_new(own, "warnings", warnings);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int put_plain(json_t *to, const prophet_model *m)
{
    const prophet_config *c = &m->config;
    const char *country = country_for_python(m);
    int bad = json_object_set_new(to, "growth", json_string(growths[c->growth]));
    bad |= json_object_set_new(to, "n_changepoints", json_integer(c->n_changepoints));
    bad |= json_object_set_new(to, "specified_changepoints", json_boolean(m->specified_changepoints));
    bad |= json_object_set_new(to, "changepoint_range", json_real(c->changepoint_range));
    bad |= json_object_set_new(to, "yearly_seasonality", order_json(c->yearly_seasonality));
    bad |= json_object_set_new(to, "weekly_seasonality", order_json(c->weekly_seasonality));
    bad |= json_object_set_new(to, "daily_seasonality", order_json(c->daily_seasonality));
    bad |= json_object_set_new(to, "seasonality_mode", json_string(mode_name(c->seasonality_mode)));
    bad |= json_object_set_new(to, "seasonality_prior_scale", json_real(c->seasonality_prior_scale));
    bad |= json_object_set_new(to, "changepoint_prior_scale", json_real(c->changepoint_prior_scale));
    bad |= json_object_set_new(to, "holidays_prior_scale", json_real(c->holidays_prior_scale));
    bad |= json_object_set_new(to, "mcmc_samples", json_integer(m->n_draws > 1 ? (json_int_t)m->n_draws : 0));
    bad |= json_object_set_new(to, "interval_width", json_real(c->interval_width));
    bad |= json_object_set_new(to, "uncertainty_samples", json_integer(c->uncertainty_samples));
    bad |= json_object_set_new(to, "y_scale", json_real(m->y_scale));
    bad |= json_object_set_new(to, "y_min", json_real(m->y_min));
    bad |= json_object_set_new(to, "scaling", json_string(scalings[c->scaling]));
    bad |= json_object_set_new(to, "logistic_floor", json_boolean(m->logistic_floor));
    bad |= json_object_set_new(to, "country_holidays", country ? fi_json_name(country) : json_null());
    bad |= put_component_modes(to, m);
    return bad | json_object_set_new(to, "holidays_mode", json_string(mode_name(holidays_mode(c))));
}

ftl_status prophet_save(const void *model, json_t **out, ftl_error *err)
{
    const prophet_model *m = model;
    json_t *to = json_object(), *holidays = NULL;
    *out = NULL;
    ftl_status st = to ? holidays_json(m, &holidays, err) : fi_fail_memory(err);
    if (st) {
        json_decref(to);
        return st;
    }
    int bad = put_plain(to, m);
    bad |= json_object_set_new(to, "changepoints",
                               times_json(m->changepoints, m->changepoint_rows, m->n_changepoint_dates));
    bad |= json_object_set_new(to, "history_dates", times_json(m->history_dates, NULL, m->n_history_dates));
    bad |= json_object_set_new(to, "train_holiday_names", names_json(m->train_holiday_names, m->n_train_holiday_names));
    bad |= json_object_set_new(to, "start", json_real((double)m->start / (double)FTL_SECOND));
    bad |= json_object_set_new(to, "t_scale", json_real(m->t_scale / (double)FTL_SECOND));
    bad |= json_object_set_new(to, "holidays", holidays);
    bad |= json_object_set_new(to, "history", history_json(m));
    bad |= json_object_set_new(to, "train_component_cols", component_columns_json(m));
    bad |= json_object_set_new(to, "changepoints_t", fi_json_reals(m->changepoints_t, m->n_changepoints));
    bad |= put_seasonalities(to, m);
    bad |= put_regressors(to, m);
    bad |= json_object_set_new(to, "fit_kwargs", json_object());
    bad |= put_params(to, m);
    bad |= json_object_set_new(to, "__prophet_version", json_string(PROPHET_VERSION));
    bad |= put_own(to, m);
    if (bad) {
        json_decref(to);
        return fi_fail_memory(err);
    }
    *out = to;
    return FTL_OK;
}
