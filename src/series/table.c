#include "series/table.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

fi_words *fi_words_new(void)
{
    fi_words *words = fi_calloc(1, sizeof *words);
    if (words) atomic_init(&words->holders, 1);
    return words;
}

void fi_words_drop(fi_words *words)
{
    if (!words || atomic_fetch_sub(&words->holders, 1) > 1) return;
    fi_ids_release(&words->ids);
    fi_free(words);
}

void fi_table_release(fi_table *t)
{
    for (size_t c = 0; c < fi_table_width(t); c++) {
        if (t->names) fi_free(t->names[c]);
        if (t->columns) fi_free(t->columns[c]);
    }
    for (size_t i = 0; t->words && i < t->n_text; i++) fi_words_drop(t->words[i]);
    fi_free(t->names);
    fi_free(t->columns);
    fi_free(t->words);
    fi_free(t->ds);
    fi_free(t->y);
    fi_free(t->y_name);
    *t = (fi_table){0};
}

ftl_status fi_table_like(fi_table *to, const fi_table *from, size_t n, ftl_error *err)
{
    size_t width = fi_table_width(from);
    *to = (fi_table){.kind = from->kind, .n_rows = n};
    to->ds = fi_alloc(n, sizeof *to->ds);
    to->y = fi_alloc(n, sizeof *to->y);
    to->names = fi_calloc(width, sizeof *to->names);
    to->columns = fi_calloc(width, sizeof *to->columns);
    to->words = fi_calloc(from->n_text, sizeof *to->words);
    to->y_name = from->y_name ? fi_strdup(from->y_name) : NULL;
    if (!to->ds || !to->y || !to->names || !to->columns || !to->words || (from->y_name && !to->y_name))
        return fi_fail_memory(err);
    to->n_columns = from->n_columns;
    to->n_text = from->n_text;
    to->n_more = from->n_more;
    for (size_t i = 0; i < from->n_text; i++) {
        to->words[i] = from->words[i];
        if (to->words[i]) atomic_fetch_add(&to->words[i]->holders, 1);
    }
    for (size_t c = 0; c < width; c++) {
        to->names[c] = fi_strdup(from->names[c]);
        to->columns[c] = fi_alloc(n, sizeof **to->columns);
        if (!to->names[c] || !to->columns[c]) return fi_fail_memory(err);
    }
    return FTL_OK;
}

/*
 * Takes the values a[i], i < n, with to[i] >= low out of the array, in their order in `part`, moves the others to its
 * front and puts the part behind them, where they belong.
 */
static void move_part(void *array, const uint32_t *to, size_t n, size_t low, uint64_t *part)
{
    unsigned char *a = array; /* times or doubles, moved as bytes */
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t value;
        memcpy(&value, a + 8 * i, 8);
        if (to[i] >= low)
            part[to[i] - low] = value;
        else
            memcpy(a + 8 * kept++, &value, 8);
    }
    memcpy(a + 8 * low, part, 8 * (n - low));
}

ftl_status fi_table_scatter(fi_table *t, size_t first, uint32_t *to, size_t n, ftl_error *err)
{
    /* From the last part to the first: a part fits into the cache, so that writing all over it is cheap, and the
     * memory for it does not count. */
    size_t size = n / 16 > 4096 ? n / 16 : 4096;
    uint64_t *part = fi_alloc(n < size ? n : size, sizeof *part);
    if (!part) return fi_fail_memory(err);
    for (size_t left = n; left;) {
        size_t low = left > size ? left - size : 0, kept = 0;
        move_part(t->ds + first, to, left, low, part);
        move_part(t->y + first, to, left, low, part);
        for (size_t c = 0; c < fi_table_width(t); c++)
            if (t->columns[c]) move_part(t->columns[c] + first, to, left, low, part);
        for (size_t i = 0; i < left; i++)
            if (to[i] < low) to[kept++] = to[i];
        left = low;
    }
    fi_free(part);
    return FTL_OK;
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
    uint32_t *rows = fi_alloc(n, sizeof *rows), *other = fi_alloc(n, sizeof *other);
    ftl_status st = rows && other ? FTL_OK : fi_fail_memory(err);
    for (size_t i = 0; !st && i < n; i++) rows[i] = (uint32_t)i;
    for (size_t width = 1; !st && width < n; width *= 2) {
        for (size_t a = 0; a < n; a += 2 * width) {
            size_t m = a + width < n ? a + width : n, b = m + width < n ? m + width : n;
            merge(ds, rows, a, m, b, other);
        }
        uint32_t *swap = rows;
        rows = other;
        other = swap;
    }
    for (size_t i = 0; !st && i < n; i++) other[rows[i]] = (uint32_t)i;
    fi_free(rows);
    if (!st) st = fi_table_scatter(t, first, other, n, err);
    fi_free(other);
    return st;
}
