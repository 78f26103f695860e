/* Public holidays: looking up a country and unfolding its days. The table is src/series/holidays_table.c. */
#include "series/holidays.h"

#include "base/alloc.h"
#include "base/error.h"

#include <foretell/calendar.h>

#include <stdlib.h>
#include <string.h>

/* Names ----------------------------------------------------------------------------------------------------------- */

static const char *after(const char *text)
{
    return text + strlen(text) + 1;
}

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    return c == ' ' || c == '-' ? '_' : c;
}

/* text[0, n) is `name`, whatever the case and the kind of separator? */
static bool same(const char *text, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && name[i] && fold(text[i]) == fold(name[i])) i++;
    return i == n && !name[i];
}

static bool in_list(const char *text, size_t n, const char *list)
{
    for (; *list; list = after(list))
        if (same(text, n, list)) return true;
    return false;
}

static const char *after_list(const char *list)
{
    while (*list) list = after(list);
    return list + 1;
}

static const fi_country *find_country(const char *text, size_t n)
{
    for (size_t i = 0; i < fi_n_countries; i++) /* nearly always it is the code: look no further than there first */
        if (same(text, n, fi_countries[i].code)) return &fi_countries[i];
    for (size_t i = 0; i < fi_n_countries; i++)
        if (in_list(text, n, fi_countries[i].names)) return &fi_countries[i];
    return NULL;
}

/* The code of a subdivision, or NULL. */
static const char *find_subdivision(const fi_country *country, const char *text)
{
    for (const char *list = country->subdivision_names; *list; list = after_list(list))
        if (in_list(text, strlen(text), list)) return list;
    return NULL;
}

/* Names to choose the nearest from. Below three letters everything is near and nothing is meant. */
typedef struct names {
    const char *v[2048];
    size_t n;
} names;

static void add_list(names *all, const char *list)
{
    for (; *list && all->n < sizeof all->v / sizeof *all->v; list = after(list)) all->v[all->n++] = list;
}

static const char *nearest(const char *text, const names *all)
{
    return strlen(text) < 3 ? NULL : fi_nearest(text, all->v, all->n);
}

static ftl_status unknown_country(const char *text, ftl_error *err)
{
    names all = {.n = 0};
    for (size_t i = 0; i < fi_n_countries; i++) add_list(&all, fi_countries[i].names);
    const char *near = nearest(text, &all);
    return fi_fail(err, FTL_EINVAL,
                   "no holidays are known for country '%.100s'%s%s%s; 'foretell holidays --list' prints "
                   "the known ones",
                   text, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static ftl_status unknown_subdivision(const fi_country *country, const char *text, ftl_error *err)
{
    const char *code = country->code, *name = country->names;
    if (!*country->subdivision_names)
        return fi_fail(err, FTL_EINVAL,
                       "no holidays are known for '%.100s', a part of %s (%s): only those of the whole "
                       "country are, use '%s'",
                       text, name, code, code);
    names all = {.n = 0};
    for (const char *list = country->subdivision_names; *list; list = after_list(list)) add_list(&all, list);
    const char *near = nearest(text, &all);
    return fi_fail(err, FTL_EINVAL, "no holidays are known for '%.100s', a part of %s (%s)%s%s%s; known are %s", text,
                   name, code, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "",
                   country->subdivisions);
}

/* "US", "us-ca", "United_States-California": what is not a country as a whole is split at the last separator that
   leaves one. */
static ftl_status find_place(const char *text, const fi_country **country, const char **subdivision, ftl_error *err)
{
    size_t n = strlen(text);
    *subdivision = NULL;
    if ((*country = find_country(text, n))) return FTL_OK;
    while (n > 0) {
        n--;
        if (fold(text[n]) != '_' || !(*country = find_country(text, n))) continue;
        *subdivision = find_subdivision(*country, text + n + 1);
        return *subdivision ? FTL_OK : unknown_subdivision(*country, text + n + 1, err);
    }
    return unknown_country(text, err);
}

/* Days ------------------------------------------------------------------------------------------------------------ */

enum { MONTH = 31, YEAR = 12 * MONTH }; /* the calendar of the table, in which every month has 31 days */

/* Reads the days of one row, in order. */
typedef struct days {
    const char *at;
    int day;  /* the present one, counted from 1 January of the first year */
    int step; /* what led to it */
    int more; /* how often the step is still to be repeated */
} days;

static int digit(days *d)
{
    return *d->at++ - '#';
}

static bool next_day(days *d)
{
    if (d->more > 0) {
        d->more--;
    } else {
        if (!*d->at) return false;
        int v = digit(d);
        if (v <= 83) {
            d->step = 330 + v;
        } else if (v <= 87) {
            d->step = (v - 84) * 92 + digit(d);
        } else if (v <= 90) {
            d->step = (v - 88) * 92 * 92 + digit(d) * 92;
            d->step += digit(d);
        } else {
            d->more = digit(d);
        }
    }
    d->day += d->step;
    return true;
}

static ftl_time midnight(int day)
{
    return ftl_time_of((ftl_date){fi_holidays_first_year + day / YEAR, day % YEAR / MONTH + 1, day % MONTH + 1});
}

/* The result while it grows: days from <= day < to. */
typedef struct result {
    ftl_holiday *v;
    size_t n, capacity;
    int from, to;
} result;

static ftl_status add_row(result *r, const char *name, const char *steps, ftl_error *err)
{
    days d = {.at = steps};
    while (next_day(&d) && d.day < r->to) {
        if (d.day < r->from) continue;
        if (fi_grow(&r->v, &r->capacity, r->n + 1, sizeof *r->v)) return fi_fail_memory(err);
        r->v[r->n++] = (ftl_holiday){midnight(d.day), name};
    }
    return FTL_OK;
}

/* Does a blank-separated list hold a word? */
static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = strstr(words, word); at; at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n])) return true;
    return false;
}

/* A block of rows ends with the text or where the next subdivision's begins; NULL is an empty one. */
static bool is_row(const char *at)
{
    return at && *at && *at != '=';
}

static const char *after_row(const char *row)
{
    return after(after(row));
}

/* The rows that stand in place of the country's, or NULL. */
static const char *rows_of_subdivision(const char *rows, const char *code)
{
    for (; *rows; rows = *rows == '=' ? after(rows) : after_row(rows))
        if (*rows == '=' && has_word(rows + 1, code)) return after(rows);
    return NULL;
}

static bool has_row(const char *rows, const char *name)
{
    for (; is_row(rows); rows = after_row(rows))
        if (strcmp(rows, name) == 0) return true;
    return false;
}

static int by_date_and_name(const void *a, const void *b)
{
    const ftl_holiday *x = a, *y = b;
    return x->date != y->date ? (x->date > y->date ? 1 : -1) : strcmp(x->name, y->name);
}

ftl_status ftl_holidays_of(const char *country, int from_year, int to_year, ftl_holiday **out, size_t *n_out,
                           ftl_error *err)
{
    *out = NULL;
    *n_out = 0;
    const fi_country *place;
    const char *subdivision;
    ftl_status st = find_place(country, &place, &subdivision, err);
    if (st) return st;
    int first = from_year > fi_holidays_first_year ? from_year : fi_holidays_first_year;
    int last = to_year < fi_holidays_last_year ? to_year : fi_holidays_last_year;
    result r = {.capacity = 0};
    if (first <= last) {
        r.from = (first - fi_holidays_first_year) * YEAR;
        r.to = (last - fi_holidays_first_year + 1) * YEAR;
    }
    const char *own = subdivision ? rows_of_subdivision(place->rows, subdivision) : NULL;
    if (fi_grow(&r.v, &r.capacity, 1, sizeof *r.v)) st = fi_fail_memory(err); /* an array even where none is found */
    for (const char *row = place->rows; !st && is_row(row); row = after_row(row))
        if (!has_row(own, row)) st = add_row(&r, row, after(row), err);
    for (const char *row = own; !st && is_row(row); row = after_row(row)) st = add_row(&r, row, after(row), err);
    if (st) {
        fi_free(r.v);
        return st;
    }
    qsort(r.v, r.n, sizeof *r.v, by_date_and_name);
    *out = r.v;
    *n_out = r.n;
    return FTL_OK;
}

void ftl_holidays_free(ftl_holiday *holidays)
{
    fi_free(holidays);
}

size_t ftl_country_count(void)
{
    return fi_n_countries;
}

const char *ftl_country_at(size_t i, const char **name, const char **subdivisions)
{
    if (i >= fi_n_countries) return NULL;
    const fi_country *country = &fi_countries[i];
    if (name) *name = country->names;
    if (subdivisions) *subdivisions = country->subdivisions;
    return country->code;
}
