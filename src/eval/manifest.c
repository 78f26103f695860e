/* The data sets of a benchmark, from a CSV file. */
#include <foretell/evaluate.h>

#include "base/alloc.h"
#include "base/error.h"
#include "eval/table.h"

#include <math.h>
#include <string.h>

struct ftl_manifest {
    fi_text_table table; /* holds the texts of the sets */
    ftl_dataset *sets;   /* [table.n_rows] */
    char **paths;        /* [table.n_rows] */
};

/* Columns of a manifest. */
typedef struct columns {
    size_t name, file, horizon, season, natural, freq, offset, group, mase, wql;
} columns;

static ftl_status find_columns(const fi_text_table *t, columns *c, ftl_error *err)
{
    const struct {
        size_t *at;
        const char *name;
        bool needed;
    } wanted[] = {
        {&c->name, "name", true},
        {&c->file, "file", true},
        {&c->horizon, "horizon", true},
        {&c->season, "season_length", false},
        {&c->natural, "natural_season", false},
        {&c->freq, "freq", false},
        {&c->offset, "test_offset", false},
        {&c->group, "in_benchmark", false},
        {&c->mase, "snaive_mase", false},
        {&c->wql, "snaive_wql", false},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].at = fi_text_table_column(t, wanted[i].name);
        if (wanted[i].needed && *wanted[i].at == t->n_columns)
            return fi_fail(err, FTL_EDATA, "%s: there is no column '%s'; a manifest has name, file and horizon",
                           t->name, wanted[i].name);
    }
    return FTL_OK;
}

/* A relative path is relative to the folder of the manifest. */
static char *beside(const char *manifest, const char *file)
{
    const char *slash = strrchr(manifest, '/');
    size_t folder = slash && file[0] != '/' ? (size_t)(slash - manifest) + 1 : 0, n = strlen(file);
    char *path = fi_alloc(folder + n + 1, 1);
    if (!path) return NULL;
    memcpy(path, manifest, folder);
    memcpy(path + folder, file, n + 1);
    return path;
}

/* pandas' names, in which quarters and years may also go by their first letter; "O" is no calendar. */
static ftl_status read_freq(const fi_text_table *t, size_t row, size_t column, ftl_dataset *set, ftl_error *err)
{
    static const char *const starts[][2] = {{"M", "MS"}, {"Q", "QS"}, {"Y", "YS"}, {"A", "YS"}};
    const char *text = set->freq_text = fi_text_table_cell(t, row, column);
    if (!*text || !strcmp(text, "O")) return FTL_OK;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (!strcmp(text, starts[i][0])) text = starts[i][1]; /* times are the first day of the period */
    ftl_error cause;
    if (ftl_freq_parse(text, &set->freq, &cause)) return fi_text_table_fail(t, row, column, err, "%s", cause.message);
    set->has_freq = true;
    return FTL_OK;
}

static ftl_status read_set(ftl_manifest *m, const columns *c, size_t row, ftl_error *err)
{
    const fi_text_table *t = &m->table;
    ftl_dataset *set = &m->sets[row];
    set->name = fi_text_table_cell(t, row, c->name);
    set->group = fi_text_table_cell(t, row, c->group);
    const char *file = fi_text_table_cell(t, row, c->file);
    if (!*set->name) return fi_text_table_fail(t, row, c->name, err, "is empty; every data set needs a name");
    if (!*file) return fi_text_table_fail(t, row, c->file, err, "is empty; every data set needs a file");
    for (size_t i = 0; i < row; i++)
        if (!strcmp(m->sets[i].name, set->name))
            return fi_text_table_fail(t, row, c->name, err, "'%.60s' was there before; rename or remove one",
                                      set->name);
    ftl_status st = fi_text_table_count(t, row, c->horizon, 0, &set->horizon, err);
    if (!st && !set->horizon) st = fi_text_table_fail(t, row, c->horizon, err, "must be at least 1");
    if (!st) st = fi_text_table_count(t, row, c->offset, set->horizon, &set->offset, err);
    if (!st && set->offset < set->horizon)
        st = fi_text_table_fail(t, row, c->offset, err, "%zu is less than the horizon of %zu", set->offset,
                                set->horizon);
    if (!st) st = fi_text_table_count(t, row, c->season, 0, &set->season, err);
    if (!st) st = fi_text_table_count(t, row, c->natural, 0, &set->natural_season, err);
    if (!st) st = fi_text_table_real(t, row, c->mase, &set->snaive_mase, err);
    if (!st) st = fi_text_table_real(t, row, c->wql, &set->snaive_wql, err);
    if (!st) st = read_freq(t, row, c->freq, set, err);
    if (st) return st;
    set->path = m->paths[row] = beside(t->name, file);
    return set->path ? FTL_OK : fi_fail_memory(err);
}

ftl_status ftl_manifest_read(const char *path, ftl_manifest **out, ftl_error *err)
{
    columns c;
    *out = NULL;
    ftl_manifest *m = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    ftl_status st = fi_text_table_read(path, false, &m->table, err);
    if (!st) st = find_columns(&m->table, &c, err);
    if (!st && !m->table.n_rows) st = fi_fail(err, FTL_EDATA, "%s: names no data set", path);
    if (!st) {
        m->sets = fi_calloc(m->table.n_rows, sizeof *m->sets);
        m->paths = fi_calloc(m->table.n_rows, sizeof *m->paths);
        if (!m->sets || !m->paths) st = fi_fail_memory(err);
    }
    for (size_t row = 0; !st && row < m->table.n_rows; row++) st = read_set(m, &c, row, err);
    if (st) {
        ftl_manifest_free(m);
        return st;
    }
    *out = m;
    return FTL_OK;
}

void ftl_manifest_free(ftl_manifest *m)
{
    if (!m) return;
    for (size_t i = 0; m->paths && i < m->table.n_rows; i++) fi_free(m->paths[i]);
    fi_free(m->paths);
    fi_free(m->sets);
    fi_text_table_release(&m->table);
    fi_free(m);
}

size_t ftl_manifest_n_datasets(const ftl_manifest *m)
{
    return m->table.n_rows;
}

const ftl_dataset *ftl_manifest_dataset(const ftl_manifest *m, size_t i)
{
    return i < m->table.n_rows ? &m->sets[i] : NULL;
}

const ftl_dataset *ftl_manifest_find(const ftl_manifest *m, const char *name)
{
    for (size_t i = 0; i < m->table.n_rows; i++)
        if (!strcmp(m->sets[i].name, name)) return &m->sets[i];
    return NULL;
}
