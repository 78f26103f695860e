#include "series/table.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

void fi_table_release(fi_table *t)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        if (t->names) fi_free(t->names[c]);
        if (t->columns) fi_free(t->columns[c]);
    }
    fi_free(t->names);
    fi_free(t->columns);
    fi_free(t->ds);
    fi_free(t->y);
    *t = (fi_table){0};
}

static void swap_doubles(double *a, size_t i, size_t j)
{
    double x = a[i];
    a[i] = a[j];
    a[j] = x;
}

static void swap_rows(fi_table *t, size_t i, size_t j)
{
    ftl_time time = t->ds[i];
    t->ds[i] = t->ds[j];
    t->ds[j] = time;
    swap_doubles(t->y, i, j);
    for (size_t c = 0; c < t->n_columns; c++)
        if (t->columns[c]) swap_doubles(t->columns[c], i, j);
}

void fi_table_scatter(fi_table *t, size_t first, uint32_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        while (to[i] != i) { /* each swap brings one row home, so there are at most n of them */
            uint32_t home = to[i];
            swap_rows(t, first + i, first + home);
            to[i] = to[home];
            to[home] = home;
        }
}

/* Merges the ascending runs [a, m) and [m, b) of row numbers. */
static void merge(const ftl_time *ds, const uint32_t *from, size_t a, size_t m, size_t b, uint32_t *into)
{
    size_t i = a, j = m;
    for (size_t k = a; k < b; k++) into[k] = j == b || (i < m && ds[from[i]] <= ds[from[j]]) ? from[i++] : from[j++];
}

ftl_status fi_table_sort(fi_table *t, size_t first, size_t n, ftl_error *err)
{
    const ftl_time *ds = t->ds + first;
    size_t sorted = 1;
    while (sorted < n && ds[sorted - 1] <= ds[sorted]) sorted++;
    if (sorted >= n) return FTL_OK;
    uint32_t *rows = fi_alloc(n, 2 * sizeof *rows), *other = rows + n;
    if (!rows) return fi_fail_memory(err);
    uint32_t *block = rows;
    for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t a = 0; a < n; a += 2 * width) {
            size_t m = a + width < n ? a + width : n, b = m + width < n ? m + width : n;
            merge(ds, rows, a, m, b, other);
        }
        uint32_t *swap = rows;
        rows = other;
        other = swap;
    }
    for (size_t i = 0; i < n; i++) other[rows[i]] = (uint32_t)i;
    fi_table_scatter(t, first, other, n);
    fi_free(block);
    return FTL_OK;
}
