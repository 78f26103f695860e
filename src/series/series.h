/* What a series is made of. Rooms that forecast read these fields; only src/series makes them. */
#ifndef FI_SERIES_SERIES_H
#define FI_SERIES_SERIES_H

#include <foretell/series.h>

/* The columns shared by the series of a panel: each series is a run of rows in them. */
typedef struct fi_table {
    ftl_time_kind kind;
    size_t n_rows, n_columns;
    ftl_time *ds;     /* [n_rows] */
    double *y;        /* [n_rows] */
    char **names;     /* [n_columns] */
    double **columns; /* [n_columns][n_rows] */
} fi_table;

struct ftl_series {
    const char *id;
    const fi_table *table;
    size_t first, n_obs; /* rows first .. first + n_obs - 1 of the table */
    void *owned;         /* the table, where the series stands alone; NULL within a panel */
};

static inline const ftl_time *fi_series_ds(const ftl_series *s)
{
    return s->table->ds + s->first;
}

static inline const double *fi_series_y(const ftl_series *s)
{
    return s->table->y + s->first;
}

#endif
