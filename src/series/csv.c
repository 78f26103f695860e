#include "series/csv.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/number.h"
#include "base/text.h"
#include "series/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 10000 };

/* ---- the header ---- */

static ftl_status check_encoding(fi_rows *rows, ftl_error *err)
{
    const char *bytes;
    size_t n;
    ftl_status st = fi_rows_look(rows, &bytes, &n, err);
    if (st) return st;
    if (n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) rows->begin += 3;
    if (n >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0))
        return fi_fail(err, FTL_EDATA, "%s: is UTF-16 text; save it as UTF-8", rows->name);
    if (n >= 1 && bytes[0] == '{')
        return fi_fail(err, FTL_EDATA, "%s: is JSON, not CSV; 'foretell predict' reads saved models", rows->name);
    if (n >= 4 && memcmp(bytes, "PAR1", 4) == 0)
        return fi_fail(err, FTL_EDATA, "%s: is a Parquet file; convert it to CSV", rows->name);
    if (n >= 4 && memcmp(bytes, "PK\3\4", 4) == 0)
        return fi_fail(err, FTL_EDATA, "%s: is a zip or Excel file; save the table in it as CSV", rows->name);
    return FTL_OK;
}

/* All names of the header, in *names[n_fields] (each owned). */
static ftl_status read_names(fi_csv *csv, char ***names, ftl_error *err)
{
    bool have;
    fi_rows *rows = &csv->rows;
    ftl_status st = fi_rows_peek(rows, &have, err);
    if (st) return st;
    if (!have) return fi_fail(err, FTL_EDATA, "%s: is empty; expected a header line such as ds,y", rows->name);
    if (rows->n_fields > MAX_COLUMNS)
        return fi_fail(err, FTL_EDATA,
                       "%s:%zu: has %zu columns, more than %d; write one row an observation with columns "
                       "unique_id,ds,y",
                       rows->name, rows->line, rows->n_fields, MAX_COLUMNS);
    csv->n_fields = rows->n_fields;
    *names = fi_calloc(csv->n_fields, sizeof **names);
    if (!*names) return fi_fail_memory(err);
    for (size_t i = 0; i < csv->n_fields; i++) {
        const fi_field *field = &rows->fields[i];
        if (!fi_utf8_valid(field->text, field->n))
            return fi_fail(err, FTL_EDATA,
                           "%s:%zu: the name of column %zu is not UTF-8 text; save the file as CSV in UTF-8",
                           rows->name, rows->line, i + 1);
        (*names)[i] = fi_strndup(field->text, field->n);
        if (!(*names)[i]) return fi_fail_memory(err);
    }
    fi_rows_take(rows);
    return FTL_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ftl_status check_unique(const fi_csv *csv, char **names, ftl_error *err)
{
    const char **sorted = fi_alloc(csv->n_fields, sizeof *sorted);
    if (!sorted) return fi_fail_memory(err);
    for (size_t i = 0; i < csv->n_fields; i++) sorted[i] = names[i];
    qsort(sorted, csv->n_fields, sizeof *sorted, compare_names);
    ftl_status st = FTL_OK;
    for (size_t i = 1; i < csv->n_fields && !st; i++)
        if (*sorted[i] && strcmp(sorted[i - 1], sorted[i]) == 0)
            st = fi_fail(err, FTL_EDATA, "%s: there are two columns '%.60s'; rename or remove one", csv->rows.name,
                         sorted[i]);
    fi_free(sorted);
    return st;
}

static size_t find_name(const fi_csv *csv, char **names, const char *name)
{
    for (size_t i = 0; i < csv->n_fields; i++)
        if (strcmp(names[i], name) == 0) return i;
    return FI_NO_ID;
}

static ftl_status no_column(const fi_csv *csv, char **names, const char *name, const char *option, ftl_error *err)
{
    const char *nearest = fi_nearest(name, (const char *const *)names, csv->n_fields);
    fi_buf list = {0};
    for (size_t i = 0; i < csv->n_fields && list.size < 200; i++)
        fi_buf_printf(&list, "%s%.60s", i ? ", " : "", names[i]);
    const char *separator = csv->n_fields > 1        ? NULL
                            : strchr(names[0], ';')  ? "semicolons"
                            : strchr(names[0], '\t') ? "tabs"
                                                     : NULL;
    ftl_time time;
    ftl_time_kind kind;
    ftl_status st;
    if (separator)
        st = fi_fail(err, FTL_EDATA,
                     "%s: there is no column '%.60s', and the fields are separated by %s; separate "
                     "them by commas",
                     csv->rows.name, name, separator);
    else if (!ftl_time_parse(names[0], strlen(names[0]), &time, &kind, NULL))
        st = fi_fail(err, FTL_EDATA,
                     "%s: there is no column '%.60s', and the first line (%s) holds no names; write a header above it, "
                     "such as ds,y",
                     csv->rows.name, name, list.data ? list.data : "");
    else
        st = fi_fail(err, FTL_EDATA, "%s: there is no column '%.60s'; the columns are: %s%s%s%s%s%s", csv->rows.name,
                     name, list.data ? list.data : "", option ? "; name the right one with " : "", option ? option : "",
                     nearest ? " (did you mean '" : "", nearest ? nearest : "", nearest ? "'?)" : "");
    fi_buf_release(&list);
    return st;
}

static ftl_status find_roles(fi_csv *csv, char **names, const ftl_csv_options *o, ftl_error *err)
{
    const char *time = o->time_column ? o->time_column : "ds", *y = o->target_column ? o->target_column : "y";
    const char *id = o->id_column ? o->id_column : "unique_id";
    csv->time_name = fi_strdup(time);
    csv->y_name = fi_strdup(y);
    csv->id_name = fi_strdup(id);
    csv->null_text = o->null_text ? fi_strdup(o->null_text) : NULL;
    if (!csv->time_name || !csv->y_name || !csv->id_name || (o->null_text && !csv->null_text))
        return fi_fail_memory(err);
    csv->null_size = o->null_text ? strlen(o->null_text) : 0;
    if (strcmp(time, y) == 0 || strcmp(time, id) == 0 || strcmp(y, id) == 0)
        return fi_fail(err, FTL_EINVAL,
                       "the columns of ids ('%.60s'), times ('%.60s') and values ('%.60s') must differ", id, time, y);
    csv->time_at = find_name(csv, names, time);
    csv->y_at = find_name(csv, names, y);
    csv->id_at = find_name(csv, names, id);
    if (csv->time_at == FI_NO_ID) return no_column(csv, names, time, "--time-col", err);
    if (csv->y_at == FI_NO_ID && !o->no_target) return no_column(csv, names, y, "--target-col", err);
    if (csv->id_at == FI_NO_ID && o->id_column) return no_column(csv, names, id, NULL, err);
    for (size_t i = 0; i < o->n_more_targets; i++) {
        const char *more = o->more_targets[i];
        bool taken = !strcmp(more, time) || !strcmp(more, y) || !strcmp(more, id);
        for (size_t k = 0; k < i; k++) taken = taken || !strcmp(more, o->more_targets[k]);
        if (taken)
            return fi_fail(err, FTL_EINVAL, "the column '%.60s' cannot be a further target: it has a part already",
                           more);
        if (!o->no_target && find_name(csv, names, more) == FI_NO_ID)
            return no_column(csv, names, more, "--target-col", err);
    }
    return FTL_OK;
}

static bool among(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

/* The columns without a role of their own. One without a name is the row number that pandas writes: left out. */
static ftl_status find_columns(fi_csv *csv, char **names, const ftl_csv_options *o, ftl_error *err)
{
    csv->columns = fi_calloc(csv->n_fields, sizeof *csv->columns);
    if (!csv->columns) return fi_fail_memory(err);
    for (size_t i = 0; i < csv->n_fields; i++) {
        if (i == csv->id_at || i == csv->time_at || i == csv->y_at) continue;
        bool target = among(names[i], o->more_targets, o->n_more_targets);
        if (target ? o->no_target : !*names[i] || among(names[i], o->ignore_columns, o->n_ignore)) continue;
        csv->columns[csv->n_columns++] = (csv_column){names[i], i, target ? COLUMN_NUMERIC : COLUMN_UNKNOWN, target};
        names[i] = NULL;
    }
    csv->keep_text = o->keep_text;
    if (o->no_target) csv->y_at = FI_NO_ID; /* not to be read even where it is there */
    return FTL_OK;
}

ftl_status fi_csv_open(fi_csv *csv, fi_stream *input, const char *name, const ftl_csv_options *options, size_t look,
                       ftl_error *err)
{
    static const ftl_csv_options defaults = {0};
    const ftl_csv_options *o = options ? options : &defaults;
    char **names = NULL;
    *csv = (fi_csv){0};
    ftl_status st = fi_rows_init(&csv->rows, input, name, MAX_COLUMNS, look, err);
    if (st) return st;
    st = check_encoding(&csv->rows, err);
    if (!st) st = read_names(csv, &names, err);
    if (!st) st = check_unique(csv, names, err);
    if (!st) st = find_roles(csv, names, o, err);
    if (!st) st = find_columns(csv, names, o, err);
    for (size_t i = 0; names && i < csv->n_fields; i++) fi_free(names[i]);
    fi_free(names);
    if (st) fi_csv_close(csv);
    return st;
}

void fi_csv_close(fi_csv *csv)
{
    fi_rows_release(&csv->rows);
    for (size_t c = 0; c < csv->n_columns; c++) fi_free(csv->columns[c].name);
    fi_free(csv->columns);
    fi_free(csv->id_name);
    fi_free(csv->time_name);
    fi_free(csv->y_name);
    fi_free(csv->null_text);
    *csv = (fi_csv){0};
}

/* ---- fields ---- */

/* "file:line: column 'c': 'text' WHAT" */
static ftl_status bad_field(const fi_csv *csv, const char *column, const fi_field *field, const char *what,
                            ftl_error *err)
{
    char text[FI_EXCERPT_MAX];
    if (memchr(field->text, '\0', field->n)) what = "holds a NUL byte; is this a text file?";
    return fi_fail(err, FTL_EDATA, "%s:%zu: column '%.60s': '%s' %s", csv->rows.name, csv->rows.line, column,
                   fi_excerpt(field->text, field->n, text), what);
}

static bool is_null_text(const fi_csv *csv, const fi_field *field)
{
    return csv->null_text && field->n == csv->null_size && memcmp(field->text, csv->null_text, field->n) == 0;
}

/* The built-in spellings; those of NaN are numbers. */
static bool is_missing(const fi_field *field)
{
    static const char *const spellings[] = {"NA", "N/A", "null", "NULL", "None"};
    if (field->n == 0) return true;
    for (size_t i = 0; field->n <= 4 && i < sizeof spellings / sizeof *spellings; i++)
        if (strlen(spellings[i]) == field->n && memcmp(field->text, spellings[i], field->n) == 0) return true;
    return false;
}

static bool parse_flag(const fi_field *field, double *value)
{
    static const char *const spellings[] = {"false", "False", "FALSE", "true", "True", "TRUE"};
    if (field->n < 4 || !strchr("fFtT", field->text[0])) return false;
    for (size_t i = 0; i < 6; i++)
        if (strlen(spellings[i]) == field->n && memcmp(field->text, spellings[i], field->n) == 0) {
            *value = i >= 3;
            return true;
        }
    return false;
}

/* Without the spaces within its quotes. */
static fi_field trimmed(const fi_field *field)
{
    fi_field f = *field;
    while (f.n && (f.text[0] == ' ' || f.text[0] == '\t')) f.text++, f.n--;
    while (f.n && (f.text[f.n - 1] == ' ' || f.text[f.n - 1] == '\t')) f.n--;
    return f;
}

/* 1.234,5 or 12% or $12 is a number to its writer, who would lose it by following the advice for missing values. */
static const char plain_number[] = "write it like 1234.5: a point before the decimals, no other separators, no unit";

static bool holds_digit(const fi_field *field)
{
    for (size_t i = 0; i < field->n; i++)
        if (field->text[i] >= '0' && field->text[i] <= '9') return true;
    return false;
}

/* A value of the column of that name, which is a target or a further one. */
static ftl_status parse_value(const fi_csv *csv, const char *name, bool target, const fi_field *field, double *value,
                              ftl_error *err)
{
    fi_field inner;
    if (field->quoted) inner = trimmed(field), field = &inner;
    bool number = field->n && fi_parse_double(field->text, field->n, value);
    if (is_null_text(csv, field) || (number ? isnan(*value) : is_missing(field))) *value = NAN, number = true;
    if (number && !isinf(*value)) return FTL_OK;
    if (number) return bad_field(csv, name, field, "is infinite; leave the field empty where there is no number", err);
    char text[FI_EXCERPT_MAX], remedy[FI_EXCERPT_MAX + 40], what[FI_EXCERPT_MAX + 200];
    snprintf(remedy, sizeof remedy, "leave the field empty or pass --null %s", fi_excerpt(field->text, field->n, text));
    snprintf(what, sizeof what, "is not a number; %s%s", holds_digit(field) ? plain_number : remedy,
             target ? "" : ", or remove the column if it is no regressor");
    return bad_field(csv, name, field, what, err);
}

static ftl_status parse_time(fi_csv *csv, const fi_field *field, ftl_time *time, ftl_error *err)
{
    static const char *const kinds[] = {"a whole number", "a date", "a date with a time"};
    static const char *const plural[] = {"whole numbers", "dates", "dates with times"};
    ftl_time_kind kind;
    if (field->n == 0)
        return fi_fail(err, FTL_EDATA, "%s:%zu: column '%.60s' is empty; every row needs a time", csv->rows.name,
                       csv->rows.line, csv->time_name);
    if (csv->kind_known && csv->kind == FTL_TIME_INDEX && fi_parse_int64(field->text, field->n, time))
        return FTL_OK; /* among indices, eight digits are one more */
    ftl_status st = ftl_time_parse(field->text, field->n, time, &kind, err);
    if (st && memchr(field->text, '\0', field->n)) return bad_field(csv, csv->time_name, field, "", err);
    if (st) {
        fi_fail_prefix(err, "%s:%zu: column '%.60s'", csv->rows.name, csv->rows.line, csv->time_name);
        return st;
    }
    if (csv->kind_known && kind != csv->kind) {
        char text[FI_EXCERPT_MAX];
        return fi_fail(err, FTL_EDATA,
                       "%s:%zu: column '%.60s': '%s' is %s, but the rows before hold %s; write all "
                       "times the same way",
                       csv->rows.name, csv->rows.line, csv->time_name, fi_excerpt(field->text, field->n, text),
                       kinds[kind], plural[csv->kind]);
    }
    csv->kind = kind;
    csv->kind_known = true;
    return FTL_OK;
}

/* ---- rows into a panel ---- */

/* A stretch of rows of one series. */
typedef struct run {
    uint32_t series, n;
} run;

typedef struct builder {
    fi_csv *csv;
    ftl_panel *panel;
    size_t capacity;  /* rows that the arrays of the table hold */
    double **values;  /* [csv->n_columns] the further columns, until it is known what they are; NULL before a value */
    fi_words **words; /* [csv->n_columns] of those that are text, NULL before a word */
    run *runs;        /* until a series appears for the second time, one a series */
    size_t n_runs, run_capacity;
    uint32_t *series_of; /* [n_rows] after that: the series of each row */
    size_t series_capacity;
    uint32_t series; /* of the row before */
    const char *id;  /* its id */
    size_t id_size;
} builder;

static ftl_status make_room(builder *b, ftl_error *err)
{
    fi_table *t = &b->panel->table;
    if (t->n_rows < b->capacity) return FTL_OK;
    if (t->n_rows >= FI_TABLE_MAX_ROWS)
        return fi_fail(err, FTL_EDATA, "%s:%zu: more than %zu rows; split the file", b->csv->rows.name,
                       b->csv->rows.line, FI_TABLE_MAX_ROWS);
    size_t capacity = b->capacity ? 2 * b->capacity : 64;
    void **arrays[2] = {(void **)&t->ds, (void **)&t->y};
    for (size_t c = 0; c < b->csv->n_columns + 2; c++) {
        void **array = c < 2 ? arrays[c] : (void **)&b->values[c - 2];
        if (c >= 2 && !*array) continue; /* nothing in this column yet */
        void *grown = fi_realloc(*array, capacity, sizeof(double));
        if (!grown) return fi_fail_memory(err);
        *array = grown;
    }
    b->capacity = capacity;
    return FTL_OK;
}

/* From now on every row remembers its series: they do not stand together. */
static ftl_status spell_out_runs(builder *b, ftl_error *err)
{
    b->series_of = fi_alloc(b->capacity, sizeof *b->series_of);
    if (!b->series_of) return fi_fail_memory(err);
    b->series_capacity = b->capacity;
    size_t row = 0;
    for (size_t i = 0; i < b->n_runs; i++)
        for (uint32_t k = 0; k < b->runs[i].n; k++) b->series_of[row++] = b->runs[i].series;
    return FTL_OK;
}

/* The first row of a series. */
static ftl_status begin_series(builder *b, const fi_field *id, ftl_error *err)
{
    const fi_csv *csv = b->csv;
    if (id->n == 0 && csv->id_at != FI_NO_ID)
        return fi_fail(err, FTL_EDATA, "%s:%zu: column '%.60s' is empty; every row needs an id", csv->rows.name,
                       csv->rows.line, csv->id_name);
    if (!fi_utf8_valid(id->text, id->n))
        return bad_field(csv, csv->id_name, id, "is not UTF-8 text; convert the file to UTF-8", err);
    if (fi_ids_add(&b->panel->ids, id->text, id->n)) return fi_fail_memory(err);
    return FTL_OK;
}

/* The series of an id, FI_NO_ID if it is new. Where the file goes through all series at each time, it is the next. */
static size_t find_series(const builder *b, const fi_field *id)
{
    const fi_ids *ids = &b->panel->ids;
    if (b->series_of) {
        size_t next = b->series + 1 < ids->n ? b->series + 1 : 0;
        const char *text = ids->text[next];
        if (strncmp(text, id->text, id->n) == 0 && text[id->n] == '\0') return next;
    }
    return fi_ids_find(ids, id->text, id->n);
}

/* A row of another series than the row before. */
static ftl_status begin_run(builder *b, const fi_field *id, fi_csv_id_fn on_id, void *user, ftl_error *err)
{
    const fi_ids *ids = &b->panel->ids;
    size_t found = find_series(b, id);
    ftl_status st = on_id ? on_id(user, id->text, id->n, err) : FTL_OK;
    if (st) fi_fail_prefix(err, "%s:%zu", b->csv->rows.name, b->csv->rows.line);
    if (st) return st;
    if (found == FI_NO_ID) {
        st = begin_series(b, id, err);
        found = ids->n - 1;
    } else if (!b->series_of) {
        st = spell_out_runs(b, err);
    }
    if (st) return st;
    b->series = (uint32_t)found;
    b->id = ids->text[found];
    b->id_size = id->n;
    if (b->series_of) return FTL_OK;
    if (fi_grow(&b->runs, &b->run_capacity, b->n_runs + 1, sizeof *b->runs)) return fi_fail_memory(err);
    b->runs[b->n_runs++] = (run){b->series, 0};
    return FTL_OK;
}

/* Whether a further column is numeric shows with its first value. *flag: the field is a word for true or false. */
static void settle_state(const fi_csv *csv, csv_column *column, const fi_field *field, bool flag)
{
    double value = NAN;
    if (column->state != COLUMN_UNKNOWN) return;
    if (!flag && (is_null_text(csv, field) || is_missing(field))) return;
    bool number = flag || fi_parse_double(field->text, field->n, &value);
    if (number && !flag && isnan(value)) return;
    column->state = number ? COLUMN_NUMERIC : COLUMN_TEXT;
}

/* The place of a word among those of its column, where a new one is added; NaN if it is missing. */
static ftl_status parse_word(builder *b, size_t c, const fi_field *field, double *value, ftl_error *err)
{
    double number;
    fi_words **words = &b->words[c];
    if (is_null_text(b->csv, field) || is_missing(field)) return FTL_OK;
    if (fi_parse_double(field->text, field->n, &number) && isnan(number)) return FTL_OK;
    if (!fi_utf8_valid(field->text, field->n) || memchr(field->text, '\0', field->n))
        return bad_field(b->csv, b->csv->columns[c].name, field, "is not UTF-8 text; convert the file to UTF-8", err);
    if (!*words) *words = fi_words_new();
    if (!*words) return fi_fail_memory(err);
    size_t at = fi_ids_find(&(*words)->ids, field->text, field->n);
    if (at == FI_NO_ID) {
        if (fi_ids_add(&(*words)->ids, field->text, field->n)) return fi_fail_memory(err);
        at = (*words)->ids.n - 1;
    }
    *value = (double)at;
    return FTL_OK;
}

/* The i-th further column of the current row. */
static ftl_status take_column(builder *b, size_t c, ftl_error *err)
{
    csv_column *column = &b->csv->columns[c];
    const fi_field *field = &b->csv->rows.fields[column->at];
    size_t row = b->panel->table.n_rows;
    double value = NAN;
    fi_field inner;
    if (column->state == COLUMN_TEXT && !b->csv->keep_text) return FTL_OK;
    if (field->quoted) inner = trimmed(field), field = &inner;
    bool flag = !column->target && parse_flag(field, &value);
    settle_state(b->csv, column, field, flag);
    if (column->state == COLUMN_UNKNOWN || (column->state == COLUMN_TEXT && !b->csv->keep_text)) return FTL_OK;
    if (!b->values[c]) {
        b->values[c] = fi_alloc(b->capacity, sizeof **b->values);
        if (!b->values[c]) return fi_fail_memory(err);
        for (size_t i = 0; i < row; i++) b->values[c][i] = NAN;
    }
    ftl_status st = FTL_OK;
    if (column->state == COLUMN_TEXT)
        value = NAN, st = parse_word(b, c, field, &value, err);
    else if (!flag)
        st = parse_value(b->csv, column->name, column->target, field, &value, err);
    b->values[c][row] = value;
    return st;
}

static ftl_status take_row(builder *b, ftl_error *err)
{
    fi_csv *csv = b->csv;
    fi_table *t = &b->panel->table;
    const fi_field *fields = csv->rows.fields;
    ftl_status st = make_room(b, err);
    if (st) return st;
    st = parse_time(csv, &fields[csv->time_at], &t->ds[t->n_rows], err);
    t->y[t->n_rows] = NAN;
    if (!st && csv->y_at != FI_NO_ID)
        st = parse_value(csv, csv->y_name, true, &fields[csv->y_at], &t->y[t->n_rows], err);
    for (size_t c = 0; c < csv->n_columns && !st; c++) st = take_column(b, c, err);
    if (st) return st;
    if (b->series_of) {
        if (fi_grow(&b->series_of, &b->series_capacity, t->n_rows + 1, sizeof *b->series_of))
            return fi_fail_memory(err);
        b->series_of[t->n_rows] = b->series;
    } else {
        b->runs[b->n_runs - 1].n++;
    }
    t->n_rows++;
    return FTL_OK;
}

static ftl_status ragged(const fi_csv *csv, ftl_error *err)
{
    return fi_fail(err, FTL_EDATA, "%s:%zu: %zu field%s, but the header has %zu column%s; %s", csv->rows.name,
                   csv->rows.line, csv->rows.n_fields, csv->rows.n_fields == 1 ? "" : "s", csv->n_fields,
                   csv->n_fields == 1 ? "" : "s",
                   csv->rows.n_fields < csv->n_fields ? "keep the comma of a field that is left empty"
                                                      : "quote fields that hold commas, write decimals with a point");
}

static ftl_status take_rows(builder *b, size_t max_rows, fi_csv_id_fn on_id, void *user, ftl_error *err)
{
    fi_csv *csv = b->csv;
    static const fi_field no_id = {"", 0, false, false};
    for (;;) {
        bool have;
        ftl_status st = fi_rows_peek(&csv->rows, &have, err);
        if (st || !have) return st;
        if (csv->rows.n_fields != csv->n_fields) return ragged(csv, err);
        const fi_field *id = csv->id_at == FI_NO_ID ? &no_id : &csv->rows.fields[csv->id_at];
        bool same = b->id && id->n == b->id_size && memcmp(id->text, b->id, id->n) == 0;
        if (!same) {
            if (max_rows && b->panel->table.n_rows >= max_rows) return FTL_OK;
            st = begin_run(b, id, on_id, user, err);
        }
        if (!st) st = take_row(b, err);
        if (st) return st;
        fi_rows_take(&csv->rows);
    }
}

/* The rows of each series together, in the order in which the series appeared. */
static ftl_status gather(builder *b, ftl_error *err)
{
    fi_table *t = &b->panel->table;
    ftl_series *series = b->panel->series;
    for (size_t r = 0; r < t->n_rows; r++) series[b->series_of[r]].n_obs++;
    size_t first = 0;
    for (size_t i = 0; i < b->panel->n_series; i++) {
        series[i].first = first;
        first += series[i].n_obs;
        series[i].n_obs = 0;
    }
    for (size_t r = 0; r < t->n_rows; r++) { /* the row's place takes the place of its series */
        ftl_series *s = &series[b->series_of[r]];
        b->series_of[r] = (uint32_t)(s->first + s->n_obs++);
    }
    return fi_table_scatter(t, 0, b->series_of, t->n_rows, err);
}

static ftl_status make_series(builder *b, ftl_error *err)
{
    ftl_panel *panel = b->panel;
    panel->n_series = panel->ids.n;
    panel->series = fi_calloc(panel->n_series, sizeof *panel->series);
    if (!panel->series) return fi_fail_memory(err);
    ftl_status st = b->series_of ? gather(b, err) : FTL_OK;
    size_t first = 0;
    for (size_t i = 0; i < panel->n_series && !st; i++) {
        ftl_series *s = &panel->series[i];
        s->id = panel->ids.text[i];
        s->table = &panel->table;
        if (!b->series_of) {
            s->first = first;
            s->n_obs = b->runs[i].n;
            first += s->n_obs;
        }
        st = fi_table_sort(&panel->table, s->first, s->n_obs, err);
    }
    return st;
}

/* Gives back what the growing arrays have too much. */
static void trim(void *array_pointer, size_t n, size_t size)
{
    void *array;
    memcpy(&array, array_pointer, sizeof array);
    void *less = fi_realloc(array, n, size);
    if (less) memcpy(array_pointer, &less, sizeof less);
}

/* The group of the table that a column belongs to: numbers, text, further targets; or none. */
typedef enum group { GROUP_NUMBERS, GROUP_TEXT, GROUP_TARGETS, GROUP_NONE } group;

static group group_of(const fi_csv *csv, const csv_column *column)
{
    if (column->target) return GROUP_TARGETS;
    if (column->state != COLUMN_TEXT) return GROUP_NUMBERS;
    return csv->keep_text ? GROUP_TEXT : GROUP_NONE;
}

/* Moves a column of the file into the table, to its place; all missing where the file had nothing. */
static ftl_status settle_column(builder *b, size_t c, size_t to, ftl_error *err)
{
    fi_table *t = &b->panel->table;
    if (!b->values[c]) {
        b->values[c] = fi_alloc(t->n_rows, sizeof **b->values);
        if (!b->values[c]) return fi_fail_memory(err);
        for (size_t i = 0; i < t->n_rows; i++) b->values[c][i] = NAN;
    }
    t->names[to] = fi_strdup(b->csv->columns[c].name);
    if (!t->names[to]) return fi_fail_memory(err);
    t->columns[to] = b->values[c];
    b->values[c] = NULL;
    trim(&t->columns[to], t->n_rows, sizeof **t->columns);
    if (b->csv->columns[c].state != COLUMN_TEXT) return FTL_OK;
    t->words[to - t->n_columns] = b->words[c];
    b->words[c] = NULL;
    return FTL_OK;
}

/* Columns get their names and places; text that is not to be kept is left out. */
static ftl_status settle_columns(builder *b, ftl_error *err)
{
    fi_csv *csv = b->csv;
    fi_table *t = &b->panel->table;
    fi_buf ignored = {0};
    size_t count[GROUP_NONE + 1] = {0}, kept = 0;
    ftl_status st = FTL_OK;
    for (size_t c = 0; c < csv->n_columns; c++) {
        count[group_of(csv, &csv->columns[c])]++;
        if (group_of(csv, &csv->columns[c]) == GROUP_NONE)
            fi_buf_printf(&ignored, "%s%s", ignored.size ? " " : "", csv->columns[c].name);
    }
    b->panel->ignored = ignored.data;
    t->names = fi_calloc(csv->n_columns, sizeof *t->names);
    t->columns = fi_calloc(csv->n_columns, sizeof *t->columns);
    t->words = fi_calloc(count[GROUP_TEXT], sizeof *t->words);
    t->y_name = fi_strdup(csv->y_name);
    if (!t->names || !t->columns || !t->words || !t->y_name || ignored.failed) return fi_fail_memory(err);
    t->n_columns = count[GROUP_NUMBERS];
    t->n_text = count[GROUP_TEXT];
    t->n_more = count[GROUP_TARGETS];
    for (group g = GROUP_NUMBERS; g < GROUP_NONE; g++)
        for (size_t c = 0; c < csv->n_columns && !st; c++)
            if (group_of(csv, &csv->columns[c]) == g) st = settle_column(b, c, kept++, err);
    return st;
}

ftl_status fi_csv_read(fi_csv *csv, size_t max_rows, fi_csv_id_fn on_id, void *user, ftl_panel **out, ftl_error *err)
{
    builder b = {.csv = csv};
    *out = NULL;
    b.panel = fi_calloc(1, sizeof *b.panel);
    if (!b.panel) return fi_fail_memory(err);
    fi_table *t = &b.panel->table;
    ftl_status st = FTL_OK;
    b.values = fi_calloc(csv->n_columns, sizeof *b.values);
    b.words = fi_calloc(csv->n_columns, sizeof *b.words);
    if (!b.values || !b.words) {
        st = fi_fail_memory(err);
        goto done;
    }
    st = take_rows(&b, max_rows, on_id, user, err);
    if (st || t->n_rows == 0) goto done;
    t->kind = csv->kind;
    trim(&t->ds, t->n_rows, sizeof *t->ds);
    trim(&t->y, t->n_rows, sizeof *t->y);
    st = settle_columns(&b, err);
    if (!st) st = make_series(&b, err);
    if (st) goto done;
    b.panel->has_ids = csv->id_at != FI_NO_ID;
    *out = b.panel;
    b.panel = NULL;
done:
    for (size_t c = 0; c < csv->n_columns; c++) {
        if (b.values) fi_free(b.values[c]);
        if (b.words) fi_words_drop(b.words[c]);
    }
    fi_free(b.values);
    fi_free(b.words);
    fi_free(b.runs);
    fi_free(b.series_of);
    ftl_panel_free(b.panel);
    return st;
}

ftl_status fi_csv_no_rows(const fi_csv *csv, ftl_error *err)
{
    return fi_fail(err, FTL_EDATA, "%s: has a header but no rows", csv->rows.name);
}

static ftl_status read_whole(fi_stream *input, const char *name, const ftl_csv_options *options, ftl_panel **out,
                             ftl_error *err)
{
    fi_csv csv;
    *out = NULL;
    ftl_status st = fi_csv_open(&csv, input, name, options, FI_ROWS_CAPACITY, err);
    if (st) return st;
    st = fi_csv_read(&csv, 0, NULL, NULL, out, err);
    if (!st && !*out) st = fi_csv_no_rows(&csv, err);
    fi_csv_close(&csv);
    return st;
}

ftl_status ftl_panel_read_csv(const char *path, const ftl_csv_options *options, ftl_panel **out, ftl_error *err)
{
    fi_stream *input;
    *out = NULL;
    ftl_status st = fi_stream_open(path, &input, err);
    return st ? st : read_whole(input, strcmp(path, "-") ? path : "standard input", options, out, err);
}

ftl_status ftl_panel_parse_csv(const char *text, size_t size, const char *name, const ftl_csv_options *options,
                               ftl_panel **out, ftl_error *err)
{
    fi_stream *input;
    *out = NULL;
    ftl_status st = fi_stream_memory(text, size, name, &input, err);
    return st ? st : read_whole(input, name, options, out, err);
}
