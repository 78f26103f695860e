#include "eval/table.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "series/csv_rows.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_COLUMNS = 4096 };

/* A field as text of its own, doubled quotes undone. */
static char *field_text(const fi_field *field)
{
    char *text = fi_strndup(field->text, field->n), *to = text;
    if (!text || !field->doubled) return text;
    for (const char *from = text; *from; from++) {
        *to++ = *from;
        if (*from == '"' && from[1] == '"') from++;
    }
    *to = 0;
    return text;
}

static ftl_status read_header(fi_text_table *t, fi_rows *rows, ftl_error *err)
{
    bool have;
    ftl_status st = fi_rows_peek(rows, &have, err);
    if (st) return st;
    if (!have) return fi_fail(err, FTL_EDATA, "%s: is empty; expected a header line", t->name);
    if (rows->n_fields > MAX_COLUMNS)
        return fi_fail(err, FTL_EDATA, "%s: has %zu columns; at most %d are read", t->name, rows->n_fields,
                       MAX_COLUMNS);
    t->header = fi_calloc(rows->n_fields, sizeof *t->header);
    if (!t->header) return fi_fail_memory(err);
    t->n_columns = rows->n_fields;
    for (size_t c = 0; c < t->n_columns; c++) {
        t->header[c] = field_text(&rows->fields[c]);
        if (!t->header[c]) return fi_fail_memory(err);
    }
    fi_rows_take(rows);
    return FTL_OK;
}

/* The peeked row as cells. A failure leaves the cells made so far in the table, which frees them. */
static ftl_status take_row(fi_text_table *t, fi_rows *rows, ftl_error *err)
{
    size_t first = t->n_rows * t->n_columns;
    if (fi_grow(&t->cells, &t->cell_capacity, first + t->n_columns, sizeof *t->cells) ||
        fi_grow(&t->lines, &t->line_capacity, t->n_rows + 1, sizeof *t->lines))
        return fi_fail_memory(err);
    memset(t->cells + first, 0, t->n_columns * sizeof *t->cells);
    t->lines[t->n_rows++] = rows->line;
    for (size_t c = 0; c < t->n_columns; c++) {
        t->cells[first + c] = field_text(&rows->fields[c]);
        if (!t->cells[first + c]) return fi_fail_memory(err);
    }
    fi_rows_take(rows);
    return FTL_OK;
}

static ftl_status read_rows(fi_text_table *t, fi_rows *rows, bool cut, ftl_error *err)
{
    bool have;
    ftl_status st;
    while (!(st = fi_rows_peek(rows, &have, err)) && have) {
        size_t n = rows->n_fields, line = rows->line;
        if (n == t->n_columns) {
            if ((st = take_row(t, rows, err))) return st;
            continue;
        }
        fi_rows_take(rows);
        if (cut && n < t->n_columns && !(st = fi_rows_peek(rows, &have, err)) && !have) return FTL_OK;
        return st ? st
                  : fi_fail(err, FTL_EDATA,
                            "%s:%zu: %zu field%s, but the header has %zu columns; mend or remove the line", t->name,
                            line, n, n == 1 ? "" : "s", t->n_columns);
    }
    return st;
}

ftl_status fi_text_table_read(const char *path, bool cut, fi_text_table *out, ftl_error *err)
{
    fi_stream *stream;
    fi_rows rows = {0};
    *out = (fi_text_table){.name = fi_strdup(path)};
    ftl_status st = out->name ? fi_stream_open(path, &stream, err) : fi_fail_memory(err);
    if (st) goto done;
    st = fi_rows_init(&rows, stream, path, MAX_COLUMNS, FI_ROWS_CAPACITY, err);
    if (!st) st = read_header(out, &rows, err);
    if (!st) st = read_rows(out, &rows, cut, err);
    fi_rows_release(&rows);
done:
    if (st) fi_text_table_release(out);
    return st;
}

void fi_text_table_release(fi_text_table *t)
{
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) fi_free(t->cells[i]);
    for (size_t c = 0; t->header && c < t->n_columns; c++) fi_free(t->header[c]);
    fi_free(t->cells);
    fi_free(t->header);
    fi_free(t->lines);
    fi_free(t->name);
    *t = (fi_text_table){0};
}

size_t fi_text_table_column(const fi_text_table *t, const char *name)
{
    size_t c = 0;
    while (c < t->n_columns && strcmp(t->header[c], name) != 0) c++;
    return c;
}

const char *fi_text_table_cell(const fi_text_table *t, size_t row, size_t column)
{
    return column < t->n_columns ? t->cells[row * t->n_columns + column] : "";
}

ftl_status fi_text_table_fail(const fi_text_table *t, size_t row, size_t column, ftl_error *err, const char *format,
                              ...)
{
    char message[256];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return fi_fail(err, FTL_EDATA, "%s:%zu: column '%.60s': %s", t->name, t->lines[row],
                   column < t->n_columns ? t->header[column] : "", message);
}

ftl_status fi_text_table_real(const fi_text_table *t, size_t row, size_t column, double *out, ftl_error *err)
{
    const char *text = fi_text_table_cell(t, row, column);
    *out = NAN;
    if (!*text || fi_parse_double(text, strlen(text), out)) return FTL_OK;
    return fi_text_table_fail(t, row, column, err, "'%.60s' is not a number", text);
}

ftl_status fi_text_table_count(const fi_text_table *t, size_t row, size_t column, size_t otherwise, size_t *out,
                               ftl_error *err)
{
    const char *text = fi_text_table_cell(t, row, column);
    int64_t value;
    *out = otherwise;
    if (!*text) return FTL_OK;
    if (!fi_parse_int64(text, strlen(text), &value) || value < 0)
        return fi_text_table_fail(t, row, column, err, "'%.60s' is not a whole number", text);
    *out = (size_t)value;
    return FTL_OK;
}
