/* Options of Prophet, and what is added beside them: seasonalities, regressors, holidays. */
#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const mode_names[] = {"additive", "multiplicative"};

/* ---- items as text: fields between colons, a colon or backslash within a field behind a backslash ---------------- */

enum { MAX_FIELDS = 8 };

typedef struct fields {
    char *text; /* owned; the fields point into it */
    size_t n;
    char *at[MAX_FIELDS];
} fields;

static ftl_status split(const char *text, const char *option, const char *usage, size_t n_required, fields *out,
                        ftl_error *err)
{
    *out = (fields){.text = fi_strdup(text)};
    if (!out->text) return fi_fail_memory(err);
    char *to = out->text;
    out->at[out->n++] = to;
    for (const char *from = text; *from; from++) {
        if (*from == '\\' && (from[1] == ':' || from[1] == '\\')) {
            *to++ = *++from;
        } else if (*from != ':') {
            *to++ = *from;
        } else if (out->n == MAX_FIELDS) {
            break;
        } else {
            *to++ = '\0';
            out->at[out->n++] = to;
        }
    }
    *to = '\0';
    if (out->n >= n_required && *out->at[0]) return FTL_OK;
    fi_free(out->text);
    return fi_fail(err, FTL_EINVAL, "%s: '%s' should be %s", option, text, usage);
}

/* The value of a field "key=value", or NULL. */
static const char *value_of(const char *field, const char *key)
{
    size_t n = strlen(key);
    return !strncmp(field, key, n) && field[n] == '=' ? field + n + 1 : NULL;
}

static ftl_status bad_field(const char *option, const char *field, const char *usage, ftl_error *err)
{
    return fi_fail(err, FTL_EINVAL, "%s: '%s' is not understood; write %s", option, field, usage);
}

static bool parse_real(const char *text, double *out)
{
    return fi_parse_double(text, strlen(text), out) && isfinite(*out);
}

/* A mode by name; false if it is none. */
static bool parse_mode(const char *text, ftl_prophet_mode *out)
{
    for (size_t i = 0; i < 2; i++)
        if (!strcmp(text, mode_names[i])) {
            *out = i == PROPHET_ADDITIVE ? FTL_PROPHET_ADDITIVE : FTL_PROPHET_MULTIPLICATIVE;
            return true;
        }
    return false;
}

static void put_field(fi_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == ':' || *text == '\\') fi_buf_char(out, '\\');
        fi_buf_char(out, *text);
    }
}

static void put_settings(fi_buf *out, double prior_scale, int mode)
{
    if (!isnan(prior_scale)) {
        fi_buf_text(out, ":prior_scale=");
        fi_buf_double(out, prior_scale);
    }
    if (mode >= 0) fi_buf_printf(out, ":mode=%s", mode_names[mode]);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool is_reserved(const char *name)
{
    static const char *const words[] = {"trend",
                                        "additive_terms",
                                        "daily",
                                        "weekly",
                                        "yearly",
                                        "holidays",
                                        "zeros",
                                        "extra_regressors_additive",
                                        "yhat",
                                        "extra_regressors_multiplicative",
                                        "multiplicative_terms"};
    static const char *const columns[] = {"ds", "y", "cap", "floor", "y_scaled", "cap_scaled"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (strncmp(name, words[i], n)) continue;
        if (!name[n] || !strcmp(name + n, "_lower") || !strcmp(name + n, "_upper")) return true;
    }
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (!strcmp(name, columns[i])) return true;
    return false;
}

static bool is_builtin_seasonality(const char *name)
{
    return !strcmp(name, "yearly") || !strcmp(name, "weekly") || !strcmp(name, "daily");
}

ftl_status prophet_check_name(const prophet_config *config, const char *name, bool check_holidays,
                              bool check_seasonalities, bool check_regressors, ftl_error *err)
{
    if (!*name) return fi_fail(err, FTL_EINVAL, "a holiday, seasonality, regressor or condition needs a name");
    if (strstr(name, "_delim_"))
        return fi_fail(err, FTL_EINVAL, "name '%s' contains '_delim_', which separates names inside Prophet; rename it",
                       name);
    if (is_reserved(name))
        return fi_fail(err, FTL_EINVAL, "name '%s' is reserved for a column of the forecast; choose another", name);
    for (size_t i = 0; check_holidays && i < config->n_holidays; i++)
        if (!strcmp(name, config->holidays[i].name))
            return fi_fail(err, FTL_EINVAL, "name '%s' is already used for a holiday; choose another", name);
    for (size_t i = 0; check_seasonalities && i < config->n_seasonalities; i++)
        if (!strcmp(name, config->seasonalities[i].name))
            return fi_fail(err, FTL_EINVAL, "name '%s' is already used for a seasonality; choose another", name);
    for (size_t i = 0; check_regressors && i < config->n_regressors; i++)
        if (!strcmp(name, config->regressor_list[i].name))
            return fi_fail(err, FTL_EINVAL, "name '%s' is already used for a regressor; choose another", name);
    return FTL_OK;
}

static ftl_status check_prior_scale(const char *what, const char *name, double prior_scale, ftl_error *err)
{
    if (isnan(prior_scale) || (prior_scale > 0 && isfinite(prior_scale))) return FTL_OK;
    return fi_fail(err, FTL_EINVAL, "%s '%s': prior_scale is %g, but must be a number greater than 0", what, name,
                   prior_scale);
}

/* ---- seasonalities ----------------------------------------------------------------------------------------------- */

static ftl_status add_seasonality(prophet_config *config, const char *name, double period, size_t order,
                                  double prior_scale, ftl_prophet_mode mode, const char *condition, ftl_error *err)
{
    ftl_status st = is_builtin_seasonality(name) ? FTL_OK : prophet_check_name(config, name, true, false, true, err);
    if (!st) st = check_prior_scale("seasonality", name, prior_scale, err);
    if (!st && condition) st = prophet_check_name(config, condition, true, true, true, err);
    if (st) return st;
    if (!(period * (double)FTL_DAY >= 1) || !isfinite(period))
        return fi_fail(err, FTL_EINVAL, "seasonality '%s': its period is %g days, but must be a microsecond at least",
                       name, period);
    if (order < 1 || order > PROPHET_MAX_ORDER)
        return fi_fail(err, FTL_EINVAL, "seasonality '%s': its Fourier order is %zu, but must lie between 1 and %d",
                       name, order, PROPHET_MAX_ORDER);
    prophet_seasonality item = {fi_strdup(name), period, order, prior_scale, (int)mode - 1, NULL};
    if (condition) item.condition = fi_strdup(condition);
    size_t i = 0; /* one of the same name is replaced where it stands */
    while (i < config->n_seasonalities && strcmp(config->seasonalities[i].name, name)) i++;
    if (!item.name || (condition && !item.condition) ||
        fi_grow(&config->seasonalities, &config->cap_seasonalities, i + 1, sizeof item)) {
        fi_free(item.name);
        fi_free(item.condition);
        return fi_fail_memory(err);
    }
    if (i < config->n_seasonalities) {
        fi_free(config->seasonalities[i].name);
        fi_free(config->seasonalities[i].condition);
    } else {
        config->n_seasonalities++;
    }
    config->seasonalities[i] = item;
    return FTL_OK;
}

#define SEASONALITY_USAGE "NAME:PERIOD_DAYS:ORDER[:prior_scale=X][:mode=additive|multiplicative][:condition=COLUMN]"

static ftl_status parse_seasonality(void *to, const char *text, ftl_error *err)
{
    fields f;
    ftl_status st = split(text, "add_seasonality", SEASONALITY_USAGE, 3, &f, err);
    if (st) return st;
    double period, prior_scale = NAN;
    int64_t order;
    ftl_prophet_mode mode = FTL_PROPHET_MODE_DEFAULT;
    const char *condition = NULL, *value;
    if (!parse_real(f.at[1], &period)) st = bad_field("add_seasonality", f.at[1], SEASONALITY_USAGE, err);
    if (!st && (!fi_parse_int64(f.at[2], strlen(f.at[2]), &order) || order < 0))
        st = bad_field("add_seasonality", f.at[2], SEASONALITY_USAGE, err);
    for (size_t i = 3; !st && i < f.n; i++) {
        bool good = true;
        if ((value = value_of(f.at[i], "prior_scale")))
            good = parse_real(value, &prior_scale);
        else if ((value = value_of(f.at[i], "mode")))
            good = parse_mode(value, &mode);
        else if (!(condition = value_of(f.at[i], "condition")))
            good = false;
        if (!good) st = bad_field("add_seasonality", f.at[i], SEASONALITY_USAGE, err);
    }
    if (!st) st = add_seasonality(to, f.at[0], period, (size_t)order, prior_scale, mode, condition, err);
    fi_free(f.text);
    return st;
}

static ftl_status format_seasonality(const void *from, size_t index, fi_buf *out, ftl_error *err)
{
    (void)err;
    const prophet_config *config = from;
    if (index >= config->n_seasonalities) return FTL_OK;
    const prophet_seasonality *s = &config->seasonalities[index];
    put_field(out, s->name);
    fi_buf_char(out, ':');
    fi_buf_double(out, s->period);
    fi_buf_printf(out, ":%zu", s->order);
    put_settings(out, s->prior_scale, s->mode);
    if (s->condition) {
        fi_buf_text(out, ":condition=");
        put_field(out, s->condition);
    }
    return FTL_OK;
}

/* ---- regressors -------------------------------------------------------------------------------------------------- */

static ftl_status add_regressor(prophet_config *config, const char *name, double prior_scale,
                                ftl_prophet_standardize standardize, ftl_prophet_mode mode, ftl_error *err)
{
    ftl_status st = prophet_check_name(config, name, true, true, false, err);
    if (!st) st = check_prior_scale("regressor", name, prior_scale, err);
    if (st) return st;
    prophet_regressor item = {NULL, prior_scale, standardize, (int)mode - 1, 0, 1};
    size_t i = 0;
    while (i < config->n_regressors && strcmp(config->regressor_list[i].name, name)) i++;
    if (fi_grow(&config->regressor_list, &config->cap_regressors, i + 1, sizeof item) || !(item.name = fi_strdup(name)))
        return fi_fail_memory(err);
    if (i < config->n_regressors)
        fi_free(config->regressor_list[i].name);
    else
        config->n_regressors++;
    config->regressor_list[i] = item;
    return FTL_OK;
}

#define REGRESSOR_USAGE "NAME[:prior_scale=X][:mode=additive|multiplicative][:standardize=auto|true|false]"
static const char *const standardize_names[] = {"auto", "true", "false"};

static bool parse_standardize(const char *text, ftl_prophet_standardize *out)
{
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(text, standardize_names[i])) {
            *out = (ftl_prophet_standardize)i;
            return true;
        }
    return false;
}

static ftl_status parse_regressor(void *to, const char *text, ftl_error *err)
{
    fields f;
    ftl_status st = split(text, "add_regressor", REGRESSOR_USAGE, 1, &f, err);
    if (st) return st;
    double prior_scale = NAN;
    ftl_prophet_mode mode = FTL_PROPHET_MODE_DEFAULT;
    ftl_prophet_standardize standardize = FTL_PROPHET_STANDARDIZE_AUTO;
    for (size_t i = 1; !st && i < f.n; i++) {
        const char *value;
        bool good = false;
        if ((value = value_of(f.at[i], "prior_scale")))
            good = parse_real(value, &prior_scale);
        else if ((value = value_of(f.at[i], "mode")))
            good = parse_mode(value, &mode);
        else if ((value = value_of(f.at[i], "standardize")))
            good = parse_standardize(value, &standardize);
        if (!good) st = bad_field("add_regressor", f.at[i], REGRESSOR_USAGE, err);
    }
    if (!st) st = add_regressor(to, f.at[0], prior_scale, standardize, mode, err);
    fi_free(f.text);
    return st;
}

static ftl_status format_regressor(const void *from, size_t index, fi_buf *out, ftl_error *err)
{
    (void)err;
    const prophet_config *config = from;
    if (index >= config->n_regressors) return FTL_OK;
    const prophet_regressor *r = &config->regressor_list[index];
    put_field(out, r->name);
    put_settings(out, r->prior_scale, r->mode);
    if (r->standardize != FTL_PROPHET_STANDARDIZE_AUTO)
        fi_buf_printf(out, ":standardize=%s", standardize_names[r->standardize]);
    return FTL_OK;
}

/* ---- holidays ---------------------------------------------------------------------------------------------------- */

static ftl_status add_holiday(prophet_config *config, const char *name, ftl_time date, int lower, int upper,
                              double prior_scale, ftl_error *err)
{
    ftl_status st = prophet_check_name(config, name, false, true, true, err);
    if (!st) st = check_prior_scale("holiday", name, prior_scale, err);
    if (st) return st;
    if (lower > 0 || lower < -PROPHET_MAX_WINDOW)
        return fi_fail(err, FTL_EINVAL, "holiday '%s': lower_window is %d, but must lie between -%d and 0", name, lower,
                       PROPHET_MAX_WINDOW);
    if (upper < 0 || upper > PROPHET_MAX_WINDOW)
        return fi_fail(err, FTL_EINVAL, "holiday '%s': upper_window is %d, but must lie between 0 and %d", name, upper,
                       PROPHET_MAX_WINDOW);
    prophet_holiday item = {NULL, ftl_time_of(ftl_date_of(date)), lower, upper, prior_scale};
    if (fi_grow(&config->holidays, &config->cap_holidays, config->n_holidays + 1, sizeof item) ||
        !(item.name = fi_strdup(name)))
        return fi_fail_memory(err);
    config->holidays[config->n_holidays++] = item;
    return FTL_OK;
}

#define HOLIDAY_USAGE "NAME:YYYY-MM-DD[:lower=-N][:upper=N][:prior_scale=X]"

static bool parse_window(const char *text, int *out)
{
    int64_t value;
    if (!fi_parse_int64(text, strlen(text), &value) || value < -1000000 || value > 1000000) return false;
    *out = (int)value;
    return true;
}

static ftl_status parse_holiday(void *to, const char *text, ftl_error *err)
{
    fields f;
    ftl_status st = split(text, "add_holiday", HOLIDAY_USAGE, 2, &f, err);
    if (st) return st;
    ftl_time date = 0;
    ftl_time_kind kind;
    int lower = 0, upper = 0;
    double prior_scale = NAN;
    st = ftl_time_parse(f.at[1], strlen(f.at[1]), &date, &kind, err);
    if (st) {
        fi_fail_prefix(err, "add_holiday: '%s'", text);
        st = FTL_EINVAL;
    } else if (kind == FTL_TIME_INDEX) {
        st = bad_field("add_holiday", f.at[1], HOLIDAY_USAGE, err);
    }
    for (size_t i = 2; !st && i < f.n; i++) {
        const char *value;
        bool good = false;
        if ((value = value_of(f.at[i], "lower")))
            good = parse_window(value, &lower);
        else if ((value = value_of(f.at[i], "upper")))
            good = parse_window(value, &upper);
        else if ((value = value_of(f.at[i], "prior_scale")))
            good = parse_real(value, &prior_scale);
        if (!good) st = bad_field("add_holiday", f.at[i], HOLIDAY_USAGE, err);
    }
    if (!st) st = add_holiday(to, f.at[0], date, lower, upper, prior_scale, err);
    fi_free(f.text);
    return st;
}

static ftl_status format_holiday(const void *from, size_t index, fi_buf *out, ftl_error *err)
{
    (void)err;
    const prophet_config *config = from;
    if (index >= config->n_holidays) return FTL_OK;
    const prophet_holiday *h = &config->holidays[index];
    char date[FTL_TIME_TEXT_MAX];
    ftl_time_format(h->date, FTL_TIME_DATE, date);
    put_field(out, h->name);
    fi_buf_printf(out, ":%s", date);
    if (h->lower) fi_buf_printf(out, ":lower=%d", h->lower);
    if (h->upper) fi_buf_printf(out, ":upper=%d", h->upper);
    put_settings(out, h->prior_scale, -1);
    return FTL_OK;
}

/* Windows of one row of a holiday table. As in Prophet a missing one switches off both. */
static ftl_status window_of(const double *column, size_t row, const char *path, const char *what, double *out,
                            ftl_error *err)
{
    *out = column ? column[row] : 0;
    if (isnan(*out) || (*out == floor(*out) && fabs(*out) <= 1e6)) return FTL_OK;
    return fi_fail(err, FTL_EDATA, "%s: %s %g is not a whole number of days", path, what, *out);
}

static ftl_status add_holiday_rows(prophet_config *config, const ftl_series *s, const char *path, ftl_error *err)
{
    const double *lower = ftl_series_column_named(s, "lower_window"),
                 *upper = ftl_series_column_named(s, "upper_window"),
                 *prior_scale = ftl_series_column_named(s, "prior_scale");
    if (!lower != !upper)
        return fi_fail(err, FTL_EDATA, "%s: holidays need both columns lower_window and upper_window, or neither",
                       path);
    if (ftl_series_time_kind(s) == FTL_TIME_INDEX)
        return fi_fail(err, FTL_EDATA, "%s: column 'ds' holds plain numbers; holidays need dates (YYYY-MM-DD)", path);
    ftl_status st = FTL_OK;
    for (size_t i = 0; !st && i < ftl_series_n_obs(s); i++) {
        double lo, up;
        st = window_of(lower, i, path, "lower_window", &lo, err);
        if (!st) st = window_of(upper, i, path, "upper_window", &up, err);
        if (st) break;
        if (isnan(lo) || isnan(up)) lo = up = 0;
        st = add_holiday(config, ftl_series_id(s), ftl_series_times(s)[i], (int)lo, (int)up,
                         prior_scale ? prior_scale[i] : NAN, err);
        if (st) {
            fi_fail_prefix(err, "%s", path);
            st = st == FTL_ENOMEM ? st : FTL_EDATA;
        }
    }
    return st;
}

/* One "series" a holiday: the CSV reader then checks dates, numbers and missing names with file and line. */
static ftl_status read_holidays(void *config, const char *path, ftl_error *err)
{
    const ftl_csv_options options = {.id_column = "holiday", .no_target = true};
    ftl_panel *panel = NULL;
    ftl_status st = ftl_panel_read_csv(path, &options, &panel, err);
    for (size_t i = 0; !st && i < ftl_panel_n_series(panel); i++)
        st = add_holiday_rows(config, ftl_panel_series(panel, i), path, err);
    ftl_panel_free(panel);
    return st;
}

/* The dates of a file are written out by add_holiday. */
static ftl_status format_nothing(const void *config, size_t index, fi_buf *out, ftl_error *err)
{
    (void)config, (void)index, (void)out, (void)err;
    return FTL_OK;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define C prophet_config
const fi_option prophet_options[] = {
    FI_OPTION_CHOICE(C, growth, "linear", "linear|logistic|flat",
                     "Shape of the trend; logistic needs a column 'cap' and may have a column 'floor'."),
    FI_OPTION_TEXT(C, changepoints, "", "DATES",
                   "Dates at which the trend may bend, separated by blanks or ';'; 'none' for no bends."),
    FI_OPTION_COUNT(C, n_changepoints, "25", 0, 100000, "Number of changepoints placed automatically."),
    FI_OPTION_REAL(C, changepoint_range, "0.8", 0, 1, "Share of the history in which they are placed."),
    FI_OPTION_TEXT(C, yearly_seasonality, "auto", "auto|BOOL|ORDER",
                   "Yearly seasonality: auto, on, off, or its order."),
    FI_OPTION_TEXT(C, weekly_seasonality, "auto", "auto|BOOL|ORDER",
                   "Weekly seasonality: auto, on, off, or its order."),
    FI_OPTION_TEXT(C, daily_seasonality, "auto", "auto|BOOL|ORDER", "Daily seasonality: auto, on, off, or its order."),
    FI_OPTION_ITEM("holidays", "FILE",
                   "CSV of holidays: ds, holiday and optionally lower_window, upper_window, prior_scale.",
                   read_holidays, format_nothing),
    FI_OPTION_CHOICE(C, seasonality_mode, "additive", "additive|multiplicative",
                     "Whether seasonality is added to the trend or multiplies it."),
    FI_OPTION_REAL(C, seasonality_prior_scale, "10", 1e-100, 1e100, "Strength of seasonality; smaller is smoother."),
    FI_OPTION_REAL(C, holidays_prior_scale, "10", 1e-100, 1e100, "Strength of holidays and regressors."),
    FI_OPTION_REAL(C, changepoint_prior_scale, "0.05", 1e-100, 1e100, "Flexibility of the trend; smaller is stiffer."),
    FI_OPTION_REAL(C, interval_width, "0.8", 0, 1,
                   "Width of the interval, unless --level or --quantiles say; noted in saved models."),
    FI_OPTION_COUNT(C, uncertainty_samples, "1000", 0, 10000000, "Draws of sampled intervals; 0: none."),
    FI_OPTION_CHOICE(C, scaling, "absmax", "absmax|minmax", "How y is scaled before the fit."),
    FI_OPTION_CHOICE(C, holidays_mode, "auto", "auto|additive|multiplicative",
                     "Whether holidays add or multiply; auto: as seasonality_mode."),
    FI_OPTION_TEXT(C, country_holidays, "", "COUNTRY", "Public holidays of a country or subdivision: US, DE-BY."),
    FI_OPTION_FLAG(C, regressors, "true", "Use every further column of the data as a regressor."),
    FI_OPTION_ITEM("add_seasonality", SEASONALITY_USAGE, "A further seasonality.", parse_seasonality,
                   format_seasonality),
    FI_OPTION_ITEM("add_regressor", REGRESSOR_USAGE, "A column to use as a regressor, with its settings.",
                   parse_regressor, format_regressor),
    FI_OPTION_ITEM("add_holiday", HOLIDAY_USAGE, "One date of a holiday.", parse_holiday, format_holiday),
    FI_OPTION_CHOICE(C, solver, "exact", "exact|stan",
                     "exact: the certified optimum; stan: stop where Stan's optimisers stop."),
    FI_OPTION_CHOICE(C, algorithm, "auto", "auto|lbfgs|newton",
                     "Optimiser of solver=stan; auto: newton below 100 rows."),
    FI_OPTION_CHOICE(C, intervals, "exact", "exact|sampled|none",
                     "Closed-form intervals, Prophet's sampling, or none."),
    FI_OPTION_FLAG(C, vectorized, "true", "Sample the trend as Prophet's vectorized variant does."),
    FI_OPTION_COUNT(C, max_iterations, "10000", 1, 1000000000, "Iterations of solver=stan."),
    FI_OPTION_COUNT(C, sig_figs, "0", 0, 18, "Round parameters to so many digits, as CmdStan's files do; 0: do not."),
};
#undef C

/* The automatic seasonalities stay NULL, which means "auto". */
void prophet_config_defaults(prophet_config *config)
{
    *config = (prophet_config){.n_changepoints = 25,
                               .changepoint_range = 0.8,
                               .changepoint_prior_scale = 0.05,
                               .seasonality_prior_scale = 10,
                               .holidays_prior_scale = 10,
                               .regressors = true,
                               .interval_width = 0.8,
                               .uncertainty_samples = 1000,
                               .vectorized = true,
                               .max_iterations = 10000};
}

ftl_status prophet_parse_order(const char *option, const char *text, int default_order, int *order, ftl_error *err)
{
    static const char *const on[] = {"true", "yes", "on"}, *const off[] = {"false", "no", "off"};
    *order = PROPHET_ORDER_AUTO;
    if (!text || !strcasecmp(text, "auto")) return FTL_OK;
    for (size_t i = 0; i < 3; i++) {
        if (!strcasecmp(text, on[i])) *order = default_order;
        if (!strcasecmp(text, off[i])) *order = 0;
    }
    if (*order != PROPHET_ORDER_AUTO) return FTL_OK;
    int64_t value;
    if (!fi_parse_int64(text, strlen(text), &value) || value < 0 || value > PROPHET_MAX_ORDER)
        return fi_fail(err, FTL_EINVAL, "option %s: '%s' is neither auto, true, false nor a Fourier order of 0 to %d",
                       option, text, PROPHET_MAX_ORDER);
    *order = (int)value;
    return FTL_OK;
}

int prophet_compare_times(const void *a, const void *b)
{
    ftl_time x = *(const ftl_time *)a, y = *(const ftl_time *)b;
    return (x > y) - (x < y);
}

ftl_status prophet_parse_changepoints(const char *text, ftl_time **out, size_t *n, bool *indexed, ftl_error *err)
{
    static const char separators[] = " ;\t";
    *out = NULL;
    *n = 0;
    *indexed = false;
    if (!strcmp(text, "none")) return FTL_OK;
    size_t capacity = 0;
    ftl_status st = FTL_OK;
    for (const char *p = text + strspn(text, separators); *p; p += strspn(p, separators)) {
        size_t length = strcspn(p, separators);
        ftl_time_kind kind;
        if (fi_grow(out, &capacity, *n + 1, sizeof **out)) {
            st = fi_fail_memory(err);
            break;
        }
        st = ftl_time_parse(p, length, &(*out)[*n], &kind, err);
        if (st) {
            fi_fail_prefix(err, "option changepoints");
            st = FTL_EINVAL;
            break;
        }
        if (*n && *indexed != (kind == FTL_TIME_INDEX)) {
            st = fi_fail(err, FTL_EINVAL, "option changepoints: '%s' mixes dates and plain numbers", text);
            break;
        }
        *indexed = kind == FTL_TIME_INDEX;
        ++*n;
        p += length;
    }
    if (st) {
        fi_free(*out);
        *out = NULL;
        return st;
    }
    if (*n) qsort(*out, *n, sizeof **out, prophet_compare_times);
    return FTL_OK;
}

/* Of Prophet's rules: no seasonality, regressor or condition may bear the name of a holiday of the country. */
static ftl_status check_country(const prophet_config *config, ftl_error *err)
{
    bool names = config->n_seasonalities || config->n_regressors;
    ftl_holiday *days = NULL;
    size_t n = 0;
    ftl_status st = ftl_holidays_of(config->country_holidays, names ? PROPHET_HOLIDAYS_FROM : 2020,
                                    names ? PROPHET_HOLIDAYS_TO : 2020, &days, &n, err);
    if (st) return st;
    for (size_t d = 0; !st && names && d < n; d++) {
        const char *used = NULL;
        for (size_t i = 0; i < config->n_seasonalities; i++) {
            const prophet_seasonality *s = &config->seasonalities[i];
            if (!strcmp(s->name, days[d].name) || (s->condition && !strcmp(s->condition, days[d].name)))
                used = "seasonality or condition";
        }
        for (size_t i = 0; i < config->n_regressors; i++)
            if (!strcmp(config->regressor_list[i].name, days[d].name)) used = "regressor";
        if (used)
            st = fi_fail(err, FTL_EINVAL, "the %s '%s' has the name of a holiday in %s; rename it", used, days[d].name,
                         config->country_holidays);
    }
    ftl_holidays_free(days);
    return st;
}

ftl_status prophet_config_check(const void *from, ftl_error *err)
{
    const prophet_config *config = from;
    int order;
    ftl_status st = prophet_parse_order("yearly_seasonality", config->yearly_seasonality, 0, &order, err);
    if (!st) st = prophet_parse_order("weekly_seasonality", config->weekly_seasonality, 0, &order, err);
    if (!st) st = prophet_parse_order("daily_seasonality", config->daily_seasonality, 0, &order, err);
    if (!st && config->changepoints && *config->changepoints) {
        ftl_time *times;
        size_t n;
        bool indexed;
        st = prophet_parse_changepoints(config->changepoints, &times, &n, &indexed, err);
        fi_free(times);
    }
    if (!st && config->country_holidays && *config->country_holidays) st = check_country(config, err);
    return st;
}

/* ---- public functions -------------------------------------------------------------------------------------------- */

static ftl_status prophet_of(ftl_config *config, prophet_config **out, ftl_error *err)
{
    *out = config->values;
    if (config->forecaster->options == prophet_options) return FTL_OK;
    return fi_fail(err, FTL_EINVAL, "the configuration is of the forecaster '%s', but must be of 'prophet'",
                   config->forecaster->name);
}

ftl_status ftl_prophet_add_seasonality(ftl_config *config, const char *name, double period_days, size_t fourier_order,
                                       double prior_scale, ftl_prophet_mode mode, const char *condition, ftl_error *err)
{
    prophet_config *to;
    ftl_status st = prophet_of(config, &to, err);
    return st ? st : add_seasonality(to, name, period_days, fourier_order, prior_scale, mode, condition, err);
}

ftl_status ftl_prophet_add_regressor(ftl_config *config, const char *name, double prior_scale,
                                     ftl_prophet_standardize standardize, ftl_prophet_mode mode, ftl_error *err)
{
    prophet_config *to;
    ftl_status st = prophet_of(config, &to, err);
    return st ? st : add_regressor(to, name, prior_scale, standardize, mode, err);
}

ftl_status ftl_prophet_add_holiday(ftl_config *config, const char *name, ftl_time date, int lower_window,
                                   int upper_window, double prior_scale, ftl_error *err)
{
    prophet_config *to;
    ftl_status st = prophet_of(config, &to, err);
    return st ? st : add_holiday(to, name, date, lower_window, upper_window, prior_scale, err);
}

ftl_status ftl_prophet_set_country(ftl_config *config, const char *country, ftl_error *err)
{
    prophet_config *to;
    ftl_status st = prophet_of(config, &to, err);
    if (st) return st;
    char *old = to->country_holidays, *copy = fi_strdup(country);
    if (!copy) return fi_fail_memory(err);
    to->country_holidays = copy;
    st = check_country(to, err);
    if (st) to->country_holidays = old;
    fi_free(st ? copy : old);
    return st;
}

ftl_status ftl_prophet_read_holidays(ftl_config *config, const char *path, ftl_error *err)
{
    prophet_config *to;
    ftl_status st = prophet_of(config, &to, err);
    return st ? st : read_holidays(to, path, err);
}

/* ---- copying ----------------------------------------------------------------------------------------------------- */

void prophet_config_release(void *of)
{
    prophet_config *config = of;
    for (size_t i = 0; i < config->n_seasonalities; i++) {
        fi_free(config->seasonalities[i].name);
        fi_free(config->seasonalities[i].condition);
    }
    for (size_t i = 0; i < config->n_regressors; i++) fi_free(config->regressor_list[i].name);
    for (size_t i = 0; i < config->n_holidays; i++) fi_free(config->holidays[i].name);
    fi_free(config->seasonalities);
    fi_free(config->regressor_list);
    fi_free(config->holidays);
    config->seasonalities = NULL;
    config->regressor_list = NULL;
    config->holidays = NULL;
    config->n_seasonalities = config->n_regressors = config->n_holidays = 0;
    config->cap_seasonalities = config->cap_regressors = config->cap_holidays = 0;
}

static char **text_field(prophet_config *config, size_t option)
{
    return (char **)((char *)config + prophet_options[option].offset);
}

void prophet_config_release_all(prophet_config *config)
{
    prophet_config_release(config);
    for (size_t i = 0; i < PROPHET_N_OPTIONS; i++)
        if (prophet_options[i].info.type == FTL_OPTION_TEXT) {
            fi_free(*text_field(config, i));
            *text_field(config, i) = NULL;
        }
}

bool prophet_seasonality_copy(const prophet_seasonality *from, prophet_seasonality *to)
{
    *to = *from;
    to->name = fi_strdup(from->name);
    to->condition = from->condition ? fi_strdup(from->condition) : NULL;
    if (to->name && (to->condition || !from->condition)) return true;
    fi_free(to->name);
    fi_free(to->condition);
    return false;
}

ftl_status prophet_config_copy(const prophet_config *from, prophet_config *to, ftl_error *err)
{
    *to = *from;
    to->seasonalities = NULL;
    to->regressor_list = NULL;
    to->holidays = NULL;
    to->n_seasonalities = to->n_regressors = to->n_holidays = 0;
    to->cap_seasonalities = to->cap_regressors = to->cap_holidays = 0;
    bool good = true;
    for (size_t i = 0; i < PROPHET_N_OPTIONS; i++)
        if (prophet_options[i].info.type == FTL_OPTION_TEXT) *text_field(to, i) = NULL;
    for (size_t i = 0; i < PROPHET_N_OPTIONS; i++) {
        if (prophet_options[i].info.type != FTL_OPTION_TEXT) continue;
        const char *text = *(char *const *)((const char *)from + prophet_options[i].offset);
        if (text && good) good = (*text_field(to, i) = fi_strdup(text)) != NULL;
    }
    good =
        good && !fi_grow(&to->seasonalities, &to->cap_seasonalities, from->n_seasonalities, sizeof *to->seasonalities);
    good = good && !fi_grow(&to->regressor_list, &to->cap_regressors, from->n_regressors, sizeof *to->regressor_list);
    good = good && !fi_grow(&to->holidays, &to->cap_holidays, from->n_holidays, sizeof *to->holidays);
    for (size_t i = 0; good && i < from->n_seasonalities; i++)
        if ((good = prophet_seasonality_copy(&from->seasonalities[i], &to->seasonalities[i]))) to->n_seasonalities++;
    for (size_t i = 0; good && i < from->n_regressors; i++) {
        to->regressor_list[i] = from->regressor_list[i];
        if ((good = (to->regressor_list[i].name = fi_strdup(from->regressor_list[i].name)) != NULL)) to->n_regressors++;
    }
    for (size_t i = 0; good && i < from->n_holidays; i++) {
        to->holidays[i] = from->holidays[i];
        if ((good = (to->holidays[i].name = fi_strdup(from->holidays[i].name)) != NULL)) to->n_holidays++;
    }
    if (good) return FTL_OK;
    prophet_config_release_all(to);
    return fi_fail_memory(err);
}
