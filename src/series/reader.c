/* Reading in batches: the rows and columns of csv.c, a panel at a time. */
#include "series/reader.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "series/csv.h"
#include "series/table.h"

#include <stdatomic.h>
#include <string.h>

enum { LOOK_AT_ORDER = 16 << 20 }; /* bytes: rows of some 100,000s of series */

struct ftl_panel_reader {
    fi_csv csv;
    bool whole, begun; /* the input is small, or not in the order of its series: it is read whole */
    ftl_panel *panel;  /* where whole: what has been read, handed out from series `next` on */
    size_t next;
    uint64_t *seen; /* [n_slots] hashes of the ids that have begun, 0 where free */
    size_t n_slots, n_seen;
    uint64_t key;
    _Atomic double progress; /* is looked at from other threads */
};

/* ---- ids that have begun ---- */

/* Puts a hash into the table; false if it is there already. (2^64 hashes of a million ids collide once in 10^7
 * files; the key is drawn at random.) */
static bool put_hash(uint64_t *slots, size_t n_slots, uint64_t hash)
{
    size_t slot = (size_t)hash & (n_slots - 1);
    for (; slots[slot]; slot = (slot + 1) & (n_slots - 1))
        if (slots[slot] == hash) return false;
    slots[slot] = hash;
    return true;
}

static ftl_status grow_seen(ftl_panel_reader *r, ftl_error *err)
{
    size_t n_slots = r->n_slots ? 2 * r->n_slots : 1024;
    uint64_t *slots = fi_calloc(n_slots, sizeof *slots);
    if (!slots) return fi_fail_memory(err);
    for (size_t i = 0; i < r->n_slots; i++)
        if (r->seen[i]) put_hash(slots, n_slots, r->seen[i]);
    fi_free(r->seen);
    r->seen = slots;
    r->n_slots = n_slots;
    return FTL_OK;
}

/* Notes that a series begins; *again tells whether it had begun before. */
static ftl_status note_id(ftl_panel_reader *r, const char *id, size_t n, bool *again, ftl_error *err)
{
    if (4 * (r->n_seen + 1) > 3 * r->n_slots) {
        ftl_status st = grow_seen(r, err);
        if (st) return st;
    }
    uint64_t hash = fi_hash(id, n, r->key);
    *again = !put_hash(r->seen, r->n_slots, hash ? hash : 1);
    r->n_seen += !*again;
    return FTL_OK;
}

static ftl_status begin_id(void *user, const char *id, size_t n, ftl_error *err)
{
    bool again;
    char text[FI_EXCERPT_MAX];
    ftl_status st = note_id(user, id, n, &again, err);
    if (st || !again) return st;
    return fi_fail(err, FTL_EDATA,
                   "more rows of series '%s', which had ended; the file is too large to be read whole, so sort it "
                   "by id",
                   fi_excerpt(id, n, text));
}

/*
 * Does a series turn up again after it ended among the bytes that are in memory already? Then the file is in another
 * order, by date for instance, and only reading it whole will do. Rows that cannot be read are left to the reader proper.
 */
static ftl_status look_for_order(ftl_panel_reader *r, bool *mixed, ftl_error *err)
{
    const fi_rows *from = &r->csv.rows;
    const char *begin = from->buffer + from->begin;
    size_t n = from->end - from->begin, at = r->csv.id_at, last = 0, last_size = 0;
    if (n > LOOK_AT_ORDER) n = LOOK_AT_ORDER;
    while (n && begin[n - 1] != '\n' && begin[n - 1] != '\r') n--; /* whole rows only */
    *mixed = false;
    if (at == FI_NO_ID || !n) return FTL_OK;
    fi_stream *input;
    fi_rows rows;
    char *previous = NULL;
    ftl_status st = fi_stream_memory(begin, n, from->name, &input, err);
    if (!st) st = fi_rows_init(&rows, input, from->name, from->max_fields, FI_ROWS_CAPACITY, err);
    if (st) return st;
    for (bool have; !*mixed && !fi_rows_peek(&rows, &have, NULL) && have && at < rows.n_fields; fi_rows_take(&rows)) {
        const fi_field *id = &rows.fields[at];
        if (previous && id->n == last_size && !memcmp(id->text, previous, last_size)) continue;
        if (fi_grow(&previous, &last, id->n + (size_t)1, 1)) {
            st = fi_fail_memory(err);
            break;
        }
        memcpy(previous, id->text, last_size = id->n);
        if ((st = note_id(r, id->text, id->n, mixed, err))) break;
    }
    fi_free(previous);
    fi_rows_release(&rows);
    if (r->n_slots) memset(r->seen, 0, r->n_slots * sizeof *r->seen);
    r->n_seen = 0;
    return st;
}

/* ---- parts of a panel ---- */

static ftl_status copy_table(fi_table *to, const fi_table *from, size_t first, size_t n, ftl_error *err)
{
    ftl_status st = fi_table_like(to, from, n, err);
    if (st) return st;
    memcpy(to->ds, from->ds + first, n * sizeof *to->ds);
    memcpy(to->y, from->y + first, n * sizeof *to->y);
    for (size_t c = 0; c < fi_table_width(to); c++)
        memcpy(to->columns[c], from->columns[c] + first, n * sizeof **to->columns);
    return FTL_OK;
}

/* A panel of its own with the series [first, last) of another. */
static ftl_status copy_series(const ftl_panel *from, size_t first, size_t last, ftl_panel **out, ftl_error *err)
{
    const ftl_series *begin = &from->series[first], *end = &from->series[last - 1];
    *out = NULL;
    ftl_panel *panel = fi_calloc(1, sizeof *panel);
    if (!panel) return fi_fail_memory(err);
    panel->n_series = last - first;
    panel->has_ids = from->has_ids;
    panel->ignored = fi_strdup(ftl_panel_ignored(from));
    panel->series = fi_calloc(panel->n_series, sizeof *panel->series);
    ftl_status st = panel->ignored && panel->series ? FTL_OK : fi_fail_memory(err);
    if (!st) st = copy_table(&panel->table, &from->table, begin->first, end->first + end->n_obs - begin->first, err);
    for (size_t i = 0; i < panel->n_series && !st; i++) {
        const ftl_series *s = begin + i;
        if (fi_ids_add(&panel->ids, s->id, strlen(s->id))) st = fi_fail_memory(err);
        if (!st)
            panel->series[i] = (ftl_series){panel->ids.text[i], &panel->table, s->first - begin->first, s->n_obs, NULL};
    }
    if (st)
        ftl_panel_free(panel);
    else
        *out = panel;
    return st;
}

/* ---- the reader ---- */

ftl_status fi_panel_reader_open(fi_stream *input, const char *name, const ftl_csv_options *options, size_t whole_size,
                                ftl_panel_reader **out, ftl_error *err)
{
    *out = NULL;
    ftl_panel_reader *r = fi_calloc(1, sizeof *r);
    if (!r) {
        fi_stream_close(input);
        return fi_fail_memory(err);
    }
    size_t look = whole_size < 64 ? 64 : whole_size + 1; /* enough to tell what kind of file it is */
    ftl_status st = fi_csv_open(&r->csv, input, name, options, look, err);
    if (st) {
        fi_free(r);
        return st;
    }
    r->key = fi_hash_key();
    r->whole = r->csv.rows.at_end && r->csv.rows.end <= whole_size;
    if (!r->whole) st = look_for_order(r, &r->whole, err);
    if (st)
        ftl_panel_reader_close(r);
    else
        *out = r;
    return st;
}

ftl_status ftl_panel_reader_open(const char *path, const ftl_csv_options *options, ftl_panel_reader **out,
                                 ftl_error *err)
{
    fi_stream *input;
    *out = NULL;
    ftl_status st = fi_stream_open(path, &input, err);
    return st ? st
              : fi_panel_reader_open(input, strcmp(path, "-") ? path : "standard input", options, (size_t)64 << 20, out,
                                     err);
}

/* Hands out series of r->panel, all at once or a copy of some, and lets it go with the last of them. */
static ftl_status next_part(ftl_panel_reader *r, size_t max_rows, ftl_panel **out, ftl_error *err)
{
    const ftl_panel *panel = r->panel;
    size_t last = r->next, rows = 0, n = panel->n_series;
    for (; last < n && (last == r->next || rows + panel->series[last].n_obs <= max_rows); last++)
        rows += panel->series[last].n_obs;
    bool all = r->next == 0 && last == n;
    ftl_status st = all ? FTL_OK : copy_series(panel, r->next, last, out, err);
    if (st) return st;
    if (all)
        *out = r->panel;
    else if (last == n)
        ftl_panel_free(r->panel);
    if (last == n) r->panel = NULL;
    r->next = last;
    atomic_store(&r->progress, (double)last / (double)n);
    return FTL_OK;
}

ftl_status ftl_panel_reader_next(ftl_panel_reader *r, size_t max_rows, ftl_panel **out, ftl_error *err)
{
    ftl_status st = FTL_OK;
    *out = NULL;
    if (max_rows == 0) max_rows = 1;
    if (r->whole) {
        if (!r->begun) st = fi_csv_read(&r->csv, 0, NULL, NULL, &r->panel, err);
        if (!st && !r->panel && !r->begun) st = fi_csv_no_rows(&r->csv, err);
        if (!st && !r->begun) fi_csv_close(&r->csv);
        r->begun = r->begun || !st;
        return !st && r->panel ? next_part(r, max_rows, out, err) : st;
    }
    st = fi_csv_read(&r->csv, max_rows, begin_id, r, out, err);
    if (!st && !*out && !r->begun) st = fi_csv_no_rows(&r->csv, err);
    r->begun = r->begun || *out;
    atomic_store(&r->progress, fi_stream_progress(r->csv.rows.input));
    return st;
}

double ftl_panel_reader_progress(const ftl_panel_reader *r)
{
    return atomic_load(&r->progress);
}

void ftl_panel_reader_close(ftl_panel_reader *r)
{
    if (!r) return;
    fi_csv_close(&r->csv);
    ftl_panel_free(r->panel);
    fi_free(r->seen);
    fi_free(r);
}
