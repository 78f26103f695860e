/* Columns of the design matrix (Fourier terms, holidays, regressors) and the table of components they form. */
#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Fourier terms ----------------------------------------------------------------------------------------------- */

typedef struct clock {
    double period;    /* days */
    int64_t whole;    /* the period in microseconds if it is a whole number, else 0 */
    double per_whole; /* 2 pi / whole */
} clock_of;

static clock_of clock_new(double period_days)
{
    double micros = period_days * (double)FTL_DAY;
    clock_of c = {period_days, 0, 0};
    if (micros < 9e18 && micros == rint(micros)) {
        c.whole = (int64_t)micros;
        c.per_whole = 2 * M_PI / micros;
    }
    return c;
}

/* The phase of a time; reduced before it becomes an angle, so that no digits are lost to the years since 1970. */
static double angle_at(const clock_of *c, ftl_time time)
{
    if (c->whole) return (double)(time % c->whole) * c->per_whole;
    double turns = (double)time / (double)FTL_DAY / c->period;
    return 2 * M_PI * (turns - floor(turns));
}

/*
 * sin and cos of the fundamental at every row. Series step by a few gaps only (a day; 28 to 31 days), so most rows are
 * the row before turned by the angle of a gap seen before; every 32nd row starts afresh, to keep the error at 1e-15.
 */
static void fundamental(const clock_of *c, const ftl_time *ds, size_t n, double *restrict sine, double *restrict cosine)
{
    struct {
        ftl_time gap;
        double s, c;
        bool turned; /* s and c are known: the gap has come twice */
    } seen[4] = {{0, 0, 1, true}, {0, 0, 1, true}, {0, 0, 1, true}, {0, 0, 1, true}};
    size_t next = 0;
    for (size_t i = 0; i < n; i++) {
        ftl_time gap = i ? ds[i] - ds[i - 1] : 0;
        size_t k = 0;
        while (k < 4 && seen[k].gap != gap) k++;
        if (k == 4) {
            k = next++ % 4;
            seen[k].gap = gap;
            seen[k].turned = false;
        } else if (i % 32) {
            if (!seen[k].turned) {
                double angle = angle_at(c, gap);
                seen[k].s = sin(angle);
                seen[k].c = cos(angle);
                seen[k].turned = true;
            }
            sine[i] = sine[i - 1] * seen[k].c + cosine[i - 1] * seen[k].s;
            cosine[i] = cosine[i - 1] * seen[k].c - sine[i - 1] * seen[k].s;
            continue;
        }
        double angle = angle_at(c, ds[i]);
        sine[i] = sin(angle);
        cosine[i] = cos(angle);
    }
}

/* The next harmonic: the last one turned by the fundamental. */
static void turn(const double *restrict s, const double *restrict c, const double *restrict s1,
                 const double *restrict c1, size_t n, double *restrict sine, double *restrict cosine)
{
    for (size_t i = 0; i < n; i++) {
        sine[i] = s[i] * c1[i] + c[i] * s1[i];
        cosine[i] = c[i] * c1[i] - s[i] * s1[i];
    }
}

void prophet_fourier(const ftl_time *ds, size_t n, double period_days, size_t order, double *out)
{
    const clock_of c = clock_new(period_days);
    fundamental(&c, ds, n, out, out + n);
    for (size_t i = 1; i < order; i++) {
        double *last = out + 2 * (i - 1) * n;
        turn(last, last + n, out, out + n, n, last + 2 * n, last + 3 * n);
    }
}

/* ---- holidays ---------------------------------------------------------------------------------------------------- */

static const char *country_of(const prophet_model *model)
{
    const char *country = model->config.country_holidays;
    return country && *country ? country : NULL;
}

/* First row at or after a time. */
static size_t lower_bound(const ftl_time *ds, size_t n, ftl_time time)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ds[mid] < time)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static ftl_status country_days(const prophet_model *model, const prophet_frame *frame, ftl_holiday **out, size_t *n,
                               ftl_error *err)
{
    *out = NULL;
    *n = 0;
    if (!country_of(model) || frame->n == 0) return FTL_OK;
    return ftl_holidays_of(country_of(model), ftl_date_of(frame->ds[0]).year, ftl_date_of(frame->ds[frame->n - 1]).year,
                           out, n, err);
}

bool prophet_country_lacks_years(const prophet_model *model)
{
    const prophet_frame *h = &model->history;
    return country_of(model) && h->n &&
           (ftl_date_of(h->ds[0]).year < PROPHET_HOLIDAYS_FROM ||
            ftl_date_of(h->ds[h->n - 1]).year > PROPHET_HOLIDAYS_TO);
}

/* Does the frame have a row in the year of this time? Prophet asks a country only for such years. */
static bool has_year(const prophet_frame *frame, ftl_time time)
{
    int year = ftl_date_of(time).year;
    size_t row = lower_bound(frame->ds, frame->n, ftl_time_of((ftl_date){year, 1, 1}));
    return row < frame->n && frame->ds[row] < ftl_time_of((ftl_date){year + 1, 1, 1});
}

static bool is_train_name(const prophet_model *model, const char *name)
{
    for (size_t i = 0; i < model->n_train_holiday_names; i++)
        if (!strcmp(model->train_holiday_names[i], name)) return true;
    return false;
}

static ftl_status add_train_name(prophet_model *model, const char *name, size_t *capacity, ftl_error *err)
{
    if (is_train_name(model, name)) return FTL_OK;
    size_t n = model->n_train_holiday_names;
    if (fi_grow(&model->train_holiday_names, capacity, n + 1, sizeof *model->train_holiday_names) ||
        !(model->train_holiday_names[n] = fi_strdup(name)))
        return fi_fail_memory(err);
    model->n_train_holiday_names++;
    return FTL_OK;
}

ftl_status prophet_collect_holiday_names(prophet_model *model, ftl_error *err)
{
    size_t capacity = 0, n_days;
    ftl_holiday *days;
    ftl_status st = country_days(model, &model->history, &days, &n_days, err);
    for (size_t i = 0; !st && i < model->n_holidays; i++)
        st = add_train_name(model, model->holidays[i].name, &capacity, err);
    for (size_t i = 0; !st && i < n_days; i++)
        if (has_year(&model->history, days[i].date)) st = add_train_name(model, days[i].name, &capacity, err);
    ftl_holidays_free(days);
    return st;
}

/* The end of a column's name, "_delim_+1", after the name of the holiday. */
enum { OFFSET_MAX = 32 };
static void offset_text(int offset, char *out)
{
    snprintf(out, OFFSET_MAX, "_delim_%c%d", offset < 0 ? '-' : '+', offset < 0 ? -offset : offset);
}

/* The column of a holiday's day among columns first .. last-1, which are sorted by name; NULL if there is none. */
static const prophet_column *find_day(const prophet_column *first, const prophet_column *last, const char *name,
                                      const char *offset)
{
    size_t length = strlen(name);
    while (first < last) {
        const prophet_column *mid = first + (last - first) / 2;
        int order = strncmp(mid->name, name, length);
        if (!order) order = strcmp(mid->name + length, offset);
        if (!order) return mid;
        if (order < 0)
            first = mid + 1;
        else
            last = mid;
    }
    return NULL;
}

static void mark_days(const prophet_model *model, const prophet_frame *frame, const prophet_column *first,
                      const prophet_column *last, const char *name, ftl_time date, int lower, int upper, double *X)
{
    for (int offset = lower; offset <= upper; offset++) {
        ftl_time day = date + offset * FTL_DAY;
        size_t row = lower_bound(frame->ds, frame->n, day);
        if (row == frame->n || frame->ds[row] >= day + FTL_DAY) continue;
        char text[OFFSET_MAX];
        offset_text(offset, text);
        const prophet_column *column = find_day(first, last, name, text);
        if (!column) continue;
        double *x = X + (size_t)(column - model->columns) * frame->n;
        for (; row < frame->n && frame->ds[row] < day + FTL_DAY; row++) x[row] = 1;
    }
}

static ftl_status fill_holidays(const prophet_model *model, const prophet_frame *frame, double *X, ftl_error *err)
{
    const prophet_column *first = model->columns, *end = first + model->n_columns;
    while (first < end && first->kind != PROPHET_COL_HOLIDAY) first++;
    const prophet_column *last = first;
    while (last < end && last->kind == PROPHET_COL_HOLIDAY) last++;
    if (first == last) return FTL_OK;
    memset(X + (size_t)(first - model->columns) * frame->n, 0, (size_t)(last - first) * frame->n * sizeof *X);
    for (size_t i = 0; i < model->n_holidays; i++) {
        const prophet_holiday *h = &model->holidays[i];
        mark_days(model, frame, first, last, h->name, h->date, h->lower, h->upper, X);
    }
    ftl_holiday *days;
    size_t n;
    ftl_status st = country_days(model, frame, &days, &n, err);
    for (size_t i = 0; !st && i < n; i++) mark_days(model, frame, first, last, days[i].name, days[i].date, 0, 0, X);
    ftl_holidays_free(days);
    return st;
}

/* ---- the matrix -------------------------------------------------------------------------------------------------- */

/* The values of a condition; they stand after the regressors. */
static const double *condition_of(const prophet_model *model, const prophet_frame *frame, const char *name)
{
    for (size_t i = model->n_regressors; i < frame->n_extra; i++)
        if (!strcmp(frame->extra_names[i], name)) return frame->extra[i];
    return NULL;
}

static ftl_status fill_seasonality(const prophet_model *model, const prophet_frame *frame, const prophet_seasonality *s,
                                   double *X, ftl_error *err)
{
    prophet_fourier(frame->ds, frame->n, s->period, s->order, X);
    if (!s->condition) return FTL_OK;
    const double *on = condition_of(model, frame, s->condition);
    if (!on) return fi_fail(err, FTL_EDATA, "condition '%s' is not among the columns of the data", s->condition);
    for (size_t c = 0; c < 2 * s->order; c++)
        for (size_t i = 0; i < frame->n; i++)
            if (on[i] == 0) X[c * frame->n + i] = 0;
    return FTL_OK;
}

ftl_status prophet_features(const prophet_model *model, const prophet_frame *frame, double *X, ftl_error *err)
{
    ftl_status st = fill_holidays(model, frame, X, err);
    for (size_t c = 0; !st && c < model->n_columns; c++) {
        const prophet_column *column = &model->columns[c];
        double *x = X + c * frame->n;
        if (column->kind == PROPHET_COL_SEASONAL && column->term == 0)
            st = fill_seasonality(model, frame, &model->seasonalities[column->source], x, err);
        else if (column->kind == PROPHET_COL_REGRESSOR)
            memcpy(x, frame->extra[column->source], frame->n * sizeof *x);
        else if (column->kind == PROPHET_COL_ZEROS)
            memset(x, 0, frame->n * sizeof *x);
    }
    return st;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

static ftl_status add_column(prophet_model *model, size_t *capacity, const prophet_column *like, const char *name,
                             const char *suffix, ftl_error *err)
{
    if (model->n_columns == PROPHET_MAX_COLUMNS)
        return fi_fail(err, FTL_EDATA,
                       "seasonalities, holidays and regressors make more than %d columns ('%s'); lower the "
                       "Fourier orders or shorten the windows of holidays",
                       PROPHET_MAX_COLUMNS, name);
    if (fi_grow(&model->columns, capacity, model->n_columns + 1, sizeof *model->columns)) return fi_fail_memory(err);
    prophet_column *column = &model->columns[model->n_columns];
    *column = *like;
    size_t n = strlen(name), m = strlen(suffix);
    column->component = fi_strdup(name);
    column->name = fi_alloc(n + m + 1, 1);
    if (!column->component || !column->name) {
        fi_free(column->component);
        fi_free(column->name);
        return fi_fail_memory(err);
    }
    memcpy(column->name, name, n);
    memcpy(column->name + n, suffix, m + 1);
    model->n_columns++;
    return FTL_OK;
}

static ftl_status seasonal_columns(prophet_model *model, size_t *capacity, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t s = 0; s < model->n_seasonalities; s++) {
        const prophet_seasonality *from = &model->seasonalities[s];
        for (size_t term = 0; !st && term < 2 * from->order; term++) {
            char suffix[OFFSET_MAX];
            snprintf(suffix, sizeof suffix, "_delim_%zu", term + 1);
            prophet_column like = {.kind = PROPHET_COL_SEASONAL,
                                   .source = s,
                                   .term = term,
                                   .prior_scale = from->prior_scale,
                                   .multiplicative = from->mode == PROPHET_MULTIPLICATIVE};
            st = add_column(model, capacity, &like, from->name, suffix, err);
        }
    }
    return st;
}

/* The prior scale of a holiday, the same in all its rows. */
static ftl_status holiday_scale(const prophet_model *model, const char *name, bool in_country, double *out,
                                ftl_error *err)
{
    double standard = model->config.holidays_prior_scale;
    *out = in_country ? standard : NAN;
    for (size_t i = 0; i < model->n_holidays; i++) {
        if (strcmp(model->holidays[i].name, name)) continue;
        double scale = isnan(model->holidays[i].prior_scale) ? standard : model->holidays[i].prior_scale;
        if (!isnan(*out) && *out != scale)
            return fi_fail(err, FTL_EINVAL, "holiday '%s' has prior scales %g and %g; give all its dates the same one",
                           name, *out, scale);
        *out = scale;
    }
    if (isnan(*out)) *out = standard; /* a name of a saved model whose dates are not in its table */
    return FTL_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const prophet_column *)a)->name, ((const prophet_column *)b)->name);
}

/* One column for each day of each holiday's windows, in order of their names as Prophet sorts them. */
static ftl_status holiday_columns(prophet_model *model, size_t *capacity, ftl_error *err)
{
    int mode = model->config.holidays_mode;
    bool multiplicative =
        mode ? mode == 1 + PROPHET_MULTIPLICATIVE : model->config.seasonality_mode == PROPHET_MULTIPLICATIVE;
    ftl_holiday *days;
    size_t first = model->n_columns, n_days;
    ftl_status st = country_days(model, &model->history, &days, &n_days, err);
    for (size_t i = 0; !st && i < model->n_train_holiday_names; i++) {
        const char *name = model->train_holiday_names[i];
        bool in_country = false;
        for (size_t d = 0; d < n_days && !in_country; d++) in_country = !strcmp(days[d].name, name);
        prophet_column like = {.kind = PROPHET_COL_HOLIDAY, .source = i, .multiplicative = multiplicative};
        st = holiday_scale(model, name, in_country, &like.prior_scale, err);
        int lower = 0, upper = 0; /* windows hold 0, so all rows together span lower..upper without a hole */
        for (size_t r = 0; r < model->n_holidays; r++) {
            if (strcmp(model->holidays[r].name, name)) continue;
            if (model->holidays[r].lower < lower) lower = model->holidays[r].lower;
            if (model->holidays[r].upper > upper) upper = model->holidays[r].upper;
        }
        for (like.offset = lower; !st && like.offset <= upper; like.offset++) {
            char suffix[OFFSET_MAX];
            offset_text(like.offset, suffix);
            st = add_column(model, capacity, &like, name, suffix, err);
        }
    }
    ftl_holidays_free(days);
    if (!st && model->n_columns > first)
        qsort(model->columns + first, model->n_columns - first, sizeof *model->columns, by_name);
    return st;
}

static ftl_status regressor_columns(prophet_model *model, size_t *capacity, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t r = 0; !st && r < model->n_regressors; r++) {
        const prophet_regressor *from = &model->regressors[r];
        prophet_column like = {.kind = PROPHET_COL_REGRESSOR,
                               .source = r,
                               .prior_scale = from->prior_scale,
                               .multiplicative = from->mode == PROPHET_MULTIPLICATIVE};
        st = add_column(model, capacity, &like, from->name, "", err);
    }
    return st;
}

/* ---- components -------------------------------------------------------------------------------------------------- */

static const char *const groups[] = {"additive_terms", "multiplicative_terms", "extra_regressors_additive",
                                     "extra_regressors_multiplicative", "holidays"};

static bool in_group(const prophet_column *column, size_t group)
{
    switch (group) {
    case 0: return !column->multiplicative;
    case 1: return column->multiplicative;
    case 2: return column->kind == PROPHET_COL_REGRESSOR && !column->multiplicative;
    case 3: return column->kind == PROPHET_COL_REGRESSOR && column->multiplicative;
    default: return column->kind == PROPHET_COL_HOLIDAY;
    }
}

/* Marks a column as part of a component, making the component when it is new. Column K stands for none. */
static ftl_status use(prophet_model *model, size_t *capacity, const char *name, size_t column, bool multiplicative,
                      ftl_error *err)
{
    size_t i = model->n_components;
    while (i > 0 && strcmp(model->components[i - 1].name, name)) i--; /* mostly the last one */
    if (i == 0) {
        i = model->n_components + 1;
        if (fi_grow(&model->components, capacity, i, sizeof *model->components)) return fi_fail_memory(err);
        prophet_component *made = &model->components[i - 1];
        *made = (prophet_component){fi_strdup(name), multiplicative, fi_calloc(model->n_columns, sizeof *made->uses)};
        if (!made->name || !made->uses) {
            fi_free(made->name);
            fi_free(made->uses);
            return fi_fail_memory(err);
        }
        model->n_components++;
    }
    if (column < model->n_columns) model->components[i - 1].uses[column] = true;
    return FTL_OK;
}

static int by_component_name(const void *a, const void *b)
{
    return strcmp(((const prophet_component *)a)->name, ((const prophet_component *)b)->name);
}

static ftl_status build_components(prophet_model *model, ftl_error *err)
{
    size_t capacity = 0;
    ftl_status st = FTL_OK;
    const prophet_column *columns = model->columns;
    bool zeros = columns[0].kind == PROPHET_COL_ZEROS;
    for (size_t c = 0; !st && !zeros && c < model->n_columns; c++)
        st = use(model, &capacity, columns[c].component, c, columns[c].multiplicative, err);
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
        for (size_t c = 0; !st && !zeros && c < model->n_columns; c++)
            if (in_group(&columns[c], g)) st = use(model, &capacity, groups[g], c, columns[c].multiplicative, err);
    if (!st && model->n_components)
        qsort(model->components, model->n_components, sizeof *model->components, by_component_name);
    for (size_t g = 0; !st && g < 2; g++) /* at the end if nothing else made them */
        st = use(model, &capacity, groups[g], model->n_columns, g == 1, err);
    return st;
}

ftl_status prophet_build_columns(prophet_model *model, ftl_error *err)
{
    size_t capacity = 0;
    ftl_status st = seasonal_columns(model, &capacity, err);
    if (!st) st = holiday_columns(model, &capacity, err);
    if (!st) st = regressor_columns(model, &capacity, err);
    if (!st && model->n_columns == 0) {
        prophet_column like = {.kind = PROPHET_COL_ZEROS, .prior_scale = 1};
        st = add_column(model, &capacity, &like, "zeros", "", err);
    }
    return st ? st : build_components(model, err);
}
