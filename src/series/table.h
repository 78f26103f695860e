/* Growing and ordering the rows of a table. */
#ifndef FI_SERIES_TABLE_H
#define FI_SERIES_TABLE_H

#include "series/series.h"

/* Rows that a table may hold: they are numbered with 32 bits while they are put in order. */
#define FI_TABLE_MAX_ROWS ((size_t)UINT32_MAX - 1)

/* Frees names and columns as well; columns may be NULL. */
void fi_table_release(fi_table *table);
/* A table of n rows, not yet set, with the columns of another. `to` is to be released on failure, too. */
ftl_status fi_table_like(fi_table *to, const fi_table *from, size_t n, ftl_error *err);
/* NULL without memory. */
fi_words *fi_words_new(void);
/* NULL is fine. */
void fi_words_drop(fi_words *words);
/*
 * Moves row i of rows first .. first + n - 1 to first + to[i], for all i. `to` is overwritten. Half a byte a row beside
 * the table. FTL_ENOMEM (nothing moved).
 */
ftl_status fi_table_scatter(fi_table *table, size_t first, uint32_t *to, size_t n, ftl_error *err);
/* Sorts rows first .. first + n - 1 by time, equal times keeping their order. 8 bytes a row beside the table. */
ftl_status fi_table_sort(fi_table *table, size_t first, size_t n, ftl_error *err);

#endif
