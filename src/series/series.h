/* What a series is made of. Rooms that forecast read these fields; only src/series makes them. */
#ifndef FI_SERIES_SERIES_H
#define FI_SERIES_SERIES_H

#include "series/ids.h"

#include <foretell/series.h>

#include <stdatomic.h>

/* The different words of a column of text; tables that were made of one another share them. */
typedef struct fi_words {
    atomic_size_t holders;
    fi_ids ids;
} fi_words;

/*
 * The columns shared by the series of a panel: each series is a run of rows in them. All columns are numbers, in three
 * groups one after another: those that are numbers, those of text (each word as its place among `words`), and further
 * targets.
 */
typedef struct fi_table {
    ftl_time_kind kind;
    size_t n_rows, n_columns, n_text, n_more;
    ftl_time *ds;     /* [n_rows] */
    double *y;        /* [n_rows] */
    char *y_name;     /* NULL: "y" */
    char **names;     /* [n_columns + n_text + n_more] */
    double **columns; /* [n_columns + n_text + n_more][n_rows] */
    fi_words **words; /* [n_text] NULL where there is no word; NULL without text */
} fi_table;

struct ftl_series {
    const char *id;
    const fi_table *table;
    size_t first, n_obs; /* rows first .. first + n_obs - 1 of the table */
    void *owned;         /* the table, where the series stands alone; NULL within a panel */
};

static inline size_t fi_table_width(const fi_table *t)
{
    return t->n_columns + t->n_text + t->n_more;
}

static inline const ftl_time *fi_series_ds(const ftl_series *s)
{
    return s->table->ds + s->first;
}

static inline const double *fi_series_y(const ftl_series *s)
{
    return s->table->y + s->first;
}

/* [n_obs] places of the words of the i-th column of text among those of the table, NaN where one is missing. */
static inline const double *fi_series_codes(const ftl_series *s, size_t i)
{
    return s->table->columns[s->table->n_columns + i] + s->first;
}

/* Among the columns of text, the one of that name; n_text if there is none. */
size_t fi_series_find_text(const ftl_series *s, const char *name);
/*
 * The series on n other times: row i is row rows[i] of `s`, or missing throughout where that is FI_NO_ID. The times
 * ascend.
 */
ftl_status fi_series_spread(const ftl_series *s, const ftl_time *times, const size_t *rows, size_t n, ftl_series **out,
                            ftl_error *err);

#endif
