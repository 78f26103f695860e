/* Rows of CSV into panels: what the whole-file reader and the batch reader share. */
#ifndef FI_SERIES_CSV_H
#define FI_SERIES_CSV_H

#include "series/csv_rows.h"
#include "series/panel.h"

typedef enum column_state { COLUMN_UNKNOWN, COLUMN_NUMERIC, COLUMN_TEXT } column_state;

typedef struct csv_column {
    char *name;
    size_t at; /* which field */
    column_state state;
    bool target;
} csv_column;

/* An open CSV whose header has been read. */
typedef struct fi_csv {
    fi_rows rows;
    size_t n_fields;                                /* of the header */
    size_t id_at, time_at, y_at;                    /* which field; FI_NO_ID: none */
    char *id_name, *time_name, *y_name, *null_text; /* null_text may be NULL */
    size_t null_size;
    csv_column *columns; /* the further ones */
    size_t n_columns;
    bool keep_text;
    bool kind_known;
    ftl_time_kind kind;
} fi_csv;

/*
 * Takes over `input`, also on failure, and reads the header. `options` may be NULL and is not needed afterwards. The
 * first read takes in up to `look` bytes; csv->rows.at_end then says whether that was all.
 */
ftl_status fi_csv_open(fi_csv *csv, fi_stream *input, const char *name, const ftl_csv_options *options, size_t look,
                       ftl_error *err);
void fi_csv_close(fi_csv *csv);

/* Called with the id of each row that has another than the row before; may refuse it. */
typedef ftl_status (*fi_csv_id_fn)(void *user, const char *id, size_t n, ftl_error *err);

/*
 * Reads rows into a new panel: all of them, or (max_rows > 0) until at least max_rows are there and a series ends.
 * *out is NULL at the end of the input. on_id may be NULL.
 */
ftl_status fi_csv_read(fi_csv *csv, size_t max_rows, fi_csv_id_fn on_id, void *user, ftl_panel **out, ftl_error *err);
/* FTL_EDATA: the first panel is NULL. */
ftl_status fi_csv_no_rows(const fi_csv *csv, ftl_error *err);

#endif
