/* Bytes into rows of fields: RFC 4180 with any line end, spaces around fields, and line numbers for messages. */
#ifndef FI_SERIES_CSV_ROWS_H
#define FI_SERIES_CSV_ROWS_H

#include "base/file.h"

typedef struct fi_field {
    const char *text; /* without the quotes and the spaces around; lives until the row is taken */
    uint32_t n;
    bool quoted, doubled; /* doubled: held "" that stood for one quote each */
} fi_field;

typedef struct fi_rows {
    fi_stream *input;            /* owned */
    char *name;                  /* of the file, for messages */
    char *buffer;                /* [capacity + 1]: the byte after the last one read is a newline, so that scans end */
    size_t capacity, begin, end; /* unread bytes: buffer[begin, end) */
    bool at_end, peeked, any_doubled;
    size_t line, line_after; /* where the peeked row begins, and the row after it */
    size_t next;             /* where in the buffer that one begins */
    fi_field *fields;        /* [max_fields] of the peeked row */
    size_t n_fields;         /* how many it has, which may be more than max_fields */
    size_t max_fields;
} fi_rows;

/* What is read at a time; a longer row enlarges the buffer. */
#define FI_ROWS_CAPACITY ((size_t)1 << 18)

/* Takes over `input`, also on failure. The first read takes in up to `capacity` bytes. */
ftl_status fi_rows_init(fi_rows *rows, fi_stream *input, const char *name, size_t max_fields, size_t capacity,
                        ftl_error *err);
/* Makes rows->fields the next row that is not blank, until fi_rows_take(). *have is false at the end of the input. */
ftl_status fi_rows_peek(fi_rows *rows, bool *have, ftl_error *err);
void fi_rows_take(fi_rows *rows);
/* The first bytes of the input, as many as are there (for a look before the first row). */
ftl_status fi_rows_look(fi_rows *rows, const char **bytes, size_t *n, ftl_error *err);
void fi_rows_release(fi_rows *rows);

#endif
