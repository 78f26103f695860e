#include "series/series.h"

#include "base/alloc.h"
#include "base/error.h"
#include "series/table.h"

#include <math.h>
#include <string.h>

static ftl_status check_finite(const char *id, const char *name, const double *values, size_t n, ftl_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (isinf(values[i]))
            return fi_fail(err, FTL_EDATA, "series '%s': value %zu of '%s' is infinite; leave it missing (NaN) instead",
                           id, i + 1, name);
    return FTL_OK;
}

static ftl_status fill_table(fi_table *t, const ftl_time *ds, const double *y, const char *const *names,
                             const double *const *columns, size_t n_columns, ftl_error *err)
{
    size_t n = t->n_rows;
    t->ds = fi_alloc(n, sizeof *t->ds);
    t->y = fi_alloc(n, sizeof *t->y);
    t->names = fi_calloc(n_columns, sizeof *t->names);
    t->columns = fi_calloc(n_columns, sizeof *t->columns);
    if (!t->ds || !t->y || !t->names || !t->columns) return fi_fail_memory(err);
    t->n_columns = n_columns;
    if (n) memcpy(t->ds, ds, n * sizeof *ds);
    for (size_t i = 0; i < n; i++) t->y[i] = y ? y[i] : NAN;
    for (size_t c = 0; c < n_columns; c++) {
        t->names[c] = fi_strdup(names[c]);
        t->columns[c] = fi_alloc(n, sizeof **t->columns);
        if (!t->names[c] || !t->columns[c]) return fi_fail_memory(err);
        if (n) memcpy(t->columns[c], columns[c], n * sizeof **columns);
    }
    return FTL_OK;
}

ftl_status ftl_series_new_full(const char *id, ftl_time_kind kind, const ftl_time *ds, const double *y, size_t n,
                               const char *const *column_names, const double *const *columns, size_t n_columns,
                               ftl_series **out, ftl_error *err)
{
    *out = NULL;
    if (n > FI_TABLE_MAX_ROWS)
        return fi_fail(err, FTL_EINVAL, "series '%s': %zu rows are more than the %zu that fit", id, n,
                       FI_TABLE_MAX_ROWS);
    ftl_status st = y ? check_finite(id, "y", y, n, err) : FTL_OK;
    for (size_t c = 0; c < n_columns && !st; c++) st = check_finite(id, column_names[c], columns[c], n, err);
    if (st) return st;

    ftl_series *s = fi_calloc(1, sizeof *s);
    fi_table *t = fi_calloc(1, sizeof *t);
    char *copy = fi_strdup(id);
    if (!s || !t || !copy) {
        fi_free(s);
        fi_free(t);
        fi_free(copy);
        return fi_fail_memory(err);
    }
    t->kind = kind;
    t->n_rows = s->n_obs = n;
    s->id = copy;
    s->table = s->owned = t;
    st = fill_table(t, ds, y, column_names, columns, n_columns, err);
    if (!st) st = fi_table_sort(t, 0, n, err);
    if (st) {
        ftl_series_free(s);
        return st;
    }
    *out = s;
    return FTL_OK;
}

ftl_status ftl_series_new(const char *id, const double *y, size_t n, ftl_series **out, ftl_error *err)
{
    *out = NULL;
    ftl_time *ds = fi_alloc(n, sizeof *ds);
    if (!ds) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++) ds[i] = (ftl_time)i + 1;
    ftl_status st = ftl_series_new_full(id, FTL_TIME_INDEX, ds, y, n, NULL, NULL, 0, out, err);
    fi_free(ds);
    return st;
}

void ftl_series_free(ftl_series *s)
{
    if (!s || !s->owned) return; /* the series of a panel go with it */
    fi_table_release(s->owned);
    fi_free(s->owned);
    fi_free((char *)(uintptr_t)s->id);
    fi_free(s);
}

const char *ftl_series_id(const ftl_series *s)
{
    return s->id;
}

size_t ftl_series_n_obs(const ftl_series *s)
{
    return s->n_obs;
}

ftl_time_kind ftl_series_time_kind(const ftl_series *s)
{
    return s->table->kind;
}

const ftl_time *ftl_series_times(const ftl_series *s)
{
    return fi_series_ds(s);
}

const double *ftl_series_values(const ftl_series *s)
{
    return fi_series_y(s);
}

size_t ftl_series_n_columns(const ftl_series *s)
{
    return s->table->n_columns;
}

const char *ftl_series_column_name(const ftl_series *s, size_t i)
{
    return i < s->table->n_columns ? s->table->names[i] : NULL;
}

const double *ftl_series_column(const ftl_series *s, size_t i)
{
    return i < s->table->n_columns ? s->table->columns[i] + s->first : NULL;
}

const double *ftl_series_column_named(const ftl_series *s, const char *name)
{
    for (size_t i = 0; i < s->table->n_columns; i++)
        if (strcmp(s->table->names[i], name) == 0) return ftl_series_column(s, i);
    return NULL;
}

static const char *name_of(const ftl_series *s, size_t from, size_t i, size_t n)
{
    return i < n ? s->table->names[from + i] : NULL;
}

size_t ftl_series_n_text(const ftl_series *s)
{
    return s->table->n_text;
}

const char *ftl_series_text_name(const ftl_series *s, size_t i)
{
    return name_of(s, s->table->n_columns, i, s->table->n_text);
}

const char *ftl_series_text(const ftl_series *s, size_t i, size_t row)
{
    if (i >= s->table->n_text || row >= s->n_obs) return NULL;
    double code = fi_series_codes(s, i)[row];
    return isnan(code) ? NULL : s->table->words[i]->ids.text[(size_t)code];
}

size_t fi_series_find_text(const ftl_series *s, const char *name)
{
    size_t i = 0, n = s->table->n_text;
    while (i < n && strcmp(ftl_series_text_name(s, i), name) != 0) i++;
    return i;
}

size_t ftl_series_n_targets(const ftl_series *s)
{
    return 1 + s->table->n_more;
}

const char *ftl_series_target_name(const ftl_series *s, size_t i)
{
    if (i == 0) return s->table->y_name ? s->table->y_name : "y";
    return name_of(s, s->table->n_columns + s->table->n_text, i - 1, s->table->n_more);
}

const double *ftl_series_target(const ftl_series *s, size_t i)
{
    if (i == 0) return fi_series_y(s);
    return i <= s->table->n_more ? s->table->columns[s->table->n_columns + s->table->n_text + i - 1] + s->first : NULL;
}

ftl_status fi_series_spread(const ftl_series *s, const ftl_time *times, const size_t *rows, size_t n, ftl_series **out,
                            ftl_error *err)
{
    const fi_table *from = s->table;
    ftl_series *copy = fi_calloc(1, sizeof *copy);
    fi_table *t = fi_calloc(1, sizeof *t);
    char *id = fi_strdup(s->id);
    *out = NULL;
    if (!copy || !t || !id) {
        fi_free(copy);
        fi_free(t);
        fi_free(id);
        return fi_fail_memory(err);
    }
    *copy = (ftl_series){id, t, 0, n, t};
    ftl_status st = fi_table_like(t, from, n, err);
    for (size_t c = 0; c <= fi_table_width(from) && !st; c++) { /* the last one is y */
        const double *x = c == fi_table_width(from) ? from->y : from->columns[c];
        double *to = c == fi_table_width(from) ? t->y : t->columns[c];
        for (size_t i = 0; i < n; i++) to[i] = rows[i] == FI_NO_ID ? NAN : x[s->first + rows[i]];
    }
    if (st) {
        ftl_series_free(copy);
        return st;
    }
    memcpy(t->ds, times, n * sizeof *times);
    *out = copy;
    return FTL_OK;
}
