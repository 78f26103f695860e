/* A CSV file of text cells with a header: manifests and results. */
#ifndef FI_EVAL_TABLE_H
#define FI_EVAL_TABLE_H

#include <foretell/base.h>

typedef struct fi_text_table {
    char *name; /* of the file, for messages */
    size_t n_rows, n_columns;
    char **header; /* [n_columns] */
    char **cells;  /* [n_rows, n_columns] */
    size_t *lines; /* [n_rows] where each begins in the file */
    size_t cell_capacity, line_capacity;
} fi_text_table;

/* Reads a whole file. A ragged row is FTL_EDATA, but where `cut` is set and it is the last one, it is left out. */
ftl_status fi_text_table_read(const char *path, bool cut, fi_text_table *out, ftl_error *err);
void fi_text_table_release(fi_text_table *table);

/* Which column has that name; n_columns: none. */
size_t fi_text_table_column(const fi_text_table *table, const char *name);
/* The cell, "" where the column is none. */
const char *fi_text_table_cell(const fi_text_table *table, size_t row, size_t column);
/* The cell as a number: NaN where empty or where the column is none; FTL_EDATA with place where it is something else. */
ftl_status fi_text_table_real(const fi_text_table *table, size_t row, size_t column, double *out, ftl_error *err);
/* The same as a whole number >= 0; `otherwise` where empty. */
ftl_status fi_text_table_count(const fi_text_table *table, size_t row, size_t column, size_t otherwise, size_t *out,
                               ftl_error *err);
/* FTL_EDATA: "file:line: column 'c': " and the message. */
ftl_status fi_text_table_fail(const fi_text_table *table, size_t row, size_t column, ftl_error *err, const char *format,
                              ...) FTL_PRINTF(5, 6);

#endif
