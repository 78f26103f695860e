#include "series/csv_rows.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { MAX_ROW = 1 << 26 };

typedef enum split { SPLIT_ROW, SPLIT_BLANK, SPLIT_END, SPLIT_MORE, SPLIT_BAD } split;

ftl_status fi_rows_init(fi_rows *rows, fi_stream *input, const char *name, size_t max_fields, size_t capacity,
                        ftl_error *err)
{
    *rows = (fi_rows){.input = input, .line = 1, .line_after = 1, .max_fields = max_fields};
    rows->name = fi_strdup(name);
    rows->fields = fi_alloc(max_fields, sizeof *rows->fields);
    rows->buffer = fi_alloc(capacity + 1, 1);
    if (rows->name && rows->fields && rows->buffer) {
        rows->capacity = capacity;
        rows->buffer[0] = '\n';
        return FTL_OK;
    }
    fi_rows_release(rows);
    return fi_fail_memory(err);
}

void fi_rows_release(fi_rows *rows)
{
    fi_stream_close(rows->input);
    fi_free(rows->name);
    fi_free(rows->fields);
    fi_free(rows->buffer);
    *rows = (fi_rows){0};
}

/* Reads until the buffer is full or the input ends. */
static ftl_status fill(fi_rows *rows, ftl_error *err)
{
    size_t got;
    ftl_status st = fi_stream_read(rows->input, rows->buffer + rows->end, rows->capacity - rows->end, &got, err);
    rows->end += got;
    rows->at_end = rows->end < rows->capacity;
    rows->buffer[rows->end] = '\n';
    return st;
}

/* Moves the unread bytes to the front and reads on behind them; a row longer than the buffer doubles it. */
static ftl_status refill(fi_rows *rows, ftl_error *err)
{
    size_t kept = rows->end - rows->begin, capacity = rows->capacity;
    if (kept >= MAX_ROW)
        return fi_fail(err, FTL_EDATA, "%s:%zu: this row is longer than %d MiB; is a quote left open?", rows->name,
                       rows->line, MAX_ROW >> 20);
    if (kept) memmove(rows->buffer, rows->buffer + rows->begin, kept);
    rows->begin = 0;
    rows->end = kept;
    if (kept == capacity) capacity *= 2;
    if (kept < FI_ROWS_CAPACITY / 2) capacity = FI_ROWS_CAPACITY; /* a long row, or the long first read, is over */
    if (capacity != rows->capacity) {
        char *buffer = fi_realloc(rows->buffer, capacity + 1, 1);
        if (!buffer) return fi_fail_memory(err);
        rows->buffer = buffer;
        rows->capacity = capacity;
    }
    return fill(rows, err);
}

ftl_status fi_rows_look(fi_rows *rows, const char **bytes, size_t *n, ftl_error *err)
{
    ftl_status st = fill(rows, err);
    *bytes = rows->buffer + rows->begin;
    *n = rows->end - rows->begin;
    return st;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Bytes at which an unquoted field ends. */
static const bool ends_field[256] = {[','] = true, ['\n'] = true, ['\r'] = true};

/* From behind the opening quote to behind the closing one and the spaces after it; counts the lines within. */
static split take_quoted(fi_rows *rows, const char **at, fi_field *field, size_t *lines, ftl_error *err)
{
    const char *p = *at, *end = rows->buffer + rows->end;
    field->text = p;
    field->quoted = true;
    for (; p < end; p++) {
        if (*p == '"') {
            if (p + 1 == end && !rows->at_end) return SPLIT_MORE;
            if (p + 1 == end || p[1] != '"') break;
            field->doubled = rows->any_doubled = true;
            p++;
        } else {
            *lines += *p == '\n' || (*p == '\r' && p[1] != '\n'); /* "\r" at the very end is looked at again */
        }
    }
    if (p == end && !rows->at_end) return SPLIT_MORE;
    if (p == end) {
        fi_fail(err, FTL_EDATA, "%s:%zu: a quoted field in this row is not closed before the file ends", rows->name,
                rows->line);
        return SPLIT_BAD;
    }
    field->n = (uint32_t)(p - field->text);
    for (p++; is_space(*p);) p++; /* ends at the newline behind the buffer */
    if (p == end && !rows->at_end) return SPLIT_MORE;
    if (p < end && !ends_field[(unsigned char)*p]) {
        fi_fail(err, FTL_EDATA,
                "%s:%zu: there is text after the closing quote of field %zu; write a quote within quotes twice",
                rows->name, rows->line, rows->n_fields + 1);
        return SPLIT_BAD;
    }
    *at = p;
    return SPLIT_ROW;
}

/* Splits the row at buffer[begin]; SPLIT_MORE if the buffer does not hold all of it. */
static split split_row(fi_rows *rows, ftl_error *err)
{
    const char *p = rows->buffer + rows->begin, *end = rows->buffer + rows->end;
    size_t lines = 1, n = 0;
    fi_field spill; /* fields beyond max_fields are only counted */
    rows->any_doubled = false;
    if (p == end) return rows->at_end ? SPLIT_END : SPLIT_MORE;
    for (;; p++) {
        fi_field *field = n < rows->max_fields ? &rows->fields[n] : &spill;
        while (is_space(*p)) p++;
        field->quoted = field->doubled = false;
        if (*p == '"') {
            rows->n_fields = n;
            p++;
            split got = take_quoted(rows, &p, field, &lines, err);
            if (got != SPLIT_ROW) return got;
        } else {
            field->text = p;
            while (!ends_field[(unsigned char)*p]) p++;
            const char *last = p;
            while (last > field->text && is_space(last[-1])) last--;
            field->n = (uint32_t)(last - field->text);
        }
        n++;
        if (*p != ',') break;
    }
    rows->n_fields = n;
    if (p == end) { /* the newline that we put there */
        if (!rows->at_end) return SPLIT_MORE;
    } else if (*p == '\r') {
        if (p + 1 == end && !rows->at_end) return SPLIT_MORE; /* is it followed by '\n'? */
        p += p + 1 < end && p[1] == '\n' ? 2 : 1;
    } else {
        p++;
    }
    rows->next = (size_t)(p - rows->buffer);
    rows->line_after = rows->line + lines;
    return n == 1 && rows->fields[0].n == 0 && !rows->fields[0].quoted ? SPLIT_BLANK : SPLIT_ROW;
}

void fi_rows_take(fi_rows *rows)
{
    rows->begin = rows->next;
    rows->line = rows->line_after;
    rows->peeked = false;
}

/* Makes "" one quote, in the buffer: a row is split again only before it is whole. */
static void undouble(fi_rows *rows)
{
    for (size_t i = 0; i < rows->n_fields && i < rows->max_fields; i++) {
        fi_field *field = &rows->fields[i];
        if (!field->doubled) continue;
        char *text = rows->buffer + (field->text - rows->buffer);
        uint32_t n = 0;
        for (uint32_t k = 0; k < field->n; k++) {
            text[n++] = text[k];
            if (text[k] == '"') k++;
        }
        field->n = n;
    }
}

ftl_status fi_rows_peek(fi_rows *rows, bool *have, ftl_error *err)
{
    *have = true;
    if (rows->peeked) return FTL_OK;
    for (;;) {
        ftl_status st;
        switch (split_row(rows, err)) {
        case SPLIT_ROW:
            if (rows->any_doubled) undouble(rows);
            rows->peeked = true;
            return FTL_OK;
        case SPLIT_BLANK: fi_rows_take(rows); break;
        case SPLIT_END: *have = false; return FTL_OK;
        case SPLIT_BAD: *have = false; return FTL_EDATA;
        case SPLIT_MORE:
            st = refill(rows, err);
            if (st) return *have = false, st;
        }
    }
}
