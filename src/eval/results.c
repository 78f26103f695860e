/* Results files: CSV in, CSV out, and rows looked up by data set and model. */
#include <foretell/evaluate.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "eval/table.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ftl_results {
    ftl_result *rows; /* their texts are owned */
    size_t n, capacity;
};

/* The columns of a results file after dataset, model, series and horizon: each a double of ftl_scores. */
typedef struct column {
    const char *name;
    size_t offset;
} column;
#define SCORE(name, member)                                                                                            \
    {                                                                                                                  \
        name, offsetof(ftl_scores, member)                                                                             \
    }
static const column columns[] = {
    SCORE("WQL", wql),         SCORE("MASE", mase),           SCORE("sMAPE", smape),
    SCORE("CRPS", crps),       SCORE("coverage80", coverage), SCORE("seconds", seconds),
    SCORE("peak_mb", peak_mb), SCORE("RMSE", rmse),           SCORE("MAPE", mape),
    SCORE("sCRPS", scrps),     SCORE("MSIS80", msis),         SCORE("QL10", pinball[0]),
    SCORE("QL20", pinball[1]), SCORE("QL30", pinball[2]),     SCORE("QL40", pinball[3]),
    SCORE("QL50", pinball[4]), SCORE("QL60", pinball[5]),     SCORE("QL70", pinball[6]),
    SCORE("QL80", pinball[7]), SCORE("QL90", pinball[8]),     SCORE("PIT10", pit[0]),
    SCORE("PIT20", pit[1]),    SCORE("PIT30", pit[2]),        SCORE("PIT40", pit[3]),
    SCORE("PIT50", pit[4]),    SCORE("PIT60", pit[5]),        SCORE("PIT70", pit[6]),
    SCORE("PIT80", pit[7]),    SCORE("PIT90", pit[8]),        SCORE("PIT100", pit[9]),
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };
#define HEADER_OF_SCORES                                                                                               \
    "WQL,MASE,sMAPE,CRPS,coverage80,seconds,peak_mb,RMSE,MAPE,sCRPS,MSIS80,QL10,QL20,QL30,QL40,QL50,QL60,QL70,QL80,"   \
    "QL90,PIT10,PIT20,PIT30,PIT40,PIT50,PIT60,PIT70,PIT80,PIT90,PIT100,points,fallbacks,version\n"

const char *ftl_result_header(bool of_series)
{
    return of_series ? "dataset,model,unique_id,window,horizon," HEADER_OF_SCORES
                     : "dataset,model,series,horizon," HEADER_OF_SCORES;
}

static double *score_at(ftl_scores *scores, size_t i)
{
    return (double *)((char *)scores + columns[i].offset);
}

ftl_status ftl_result_csv(const ftl_result *r, char **out, ftl_error *err)
{
    fi_buf text = {0};
    ftl_scores scores = r->scores;
    *out = NULL;
    fi_buf_csv(&text, r->dataset);
    fi_buf_char(&text, ',');
    fi_buf_csv(&text, r->model);
    fi_buf_char(&text, ',');
    if (r->id) fi_buf_csv(&text, r->id);
    fi_buf_printf(&text, r->id ? ",%zu,%zu" : "%zu,%zu", r->id ? r->window : scores.n_series, r->horizon);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        fi_buf_char(&text, ',');
        fi_buf_double(&text, *score_at(&scores, i));
    }
    fi_buf_printf(&text, ",%zu,%zu,%s\n", scores.n_points, scores.n_fallbacks, ftl_version());
    if (text.failed) {
        fi_buf_release(&text);
        return fi_fail_memory(err);
    }
    *out = text.data;
    return FTL_OK;
}

/* ---- in memory -------------------------------------------------------------------------------------------------- */

ftl_status ftl_results_new(ftl_results **out, ftl_error *err)
{
    *out = fi_calloc(1, sizeof **out);
    return *out ? FTL_OK : fi_fail_memory(err);
}

void ftl_results_free(ftl_results *results)
{
    if (!results) return;
    for (size_t i = 0; i < results->n; i++) {
        fi_free((char *)results->rows[i].dataset);
        fi_free((char *)results->rows[i].model);
        fi_free((char *)results->rows[i].id);
    }
    fi_free(results->rows);
    fi_free(results);
}

size_t ftl_results_n(const ftl_results *results)
{
    return results->n;
}

const ftl_result *ftl_results_at(const ftl_results *results, size_t i)
{
    return i < results->n ? &results->rows[i] : NULL;
}

static bool same_row(const ftl_result *a, const ftl_result *b)
{
    if (strcmp(a->model, b->model) || strcmp(a->dataset, b->dataset) || !a->id != !b->id) return false;
    return !a->id || (a->window == b->window && !strcmp(a->id, b->id));
}

static ftl_result *find(const ftl_results *results, const ftl_result *like)
{
    for (size_t i = 0; i < results->n; i++)
        if (same_row(&results->rows[i], like)) return &results->rows[i];
    return NULL;
}

const ftl_result *ftl_results_find(const ftl_results *results, const char *dataset, const char *model)
{
    const ftl_result like = {.dataset = dataset, .model = model};
    return find(results, &like);
}

ftl_status ftl_results_add(ftl_results *results, const ftl_result *result, ftl_error *err)
{
    ftl_result *old = find(results, result);
    if (old) {
        old->horizon = result->horizon;
        old->scores = result->scores;
        return FTL_OK;
    }
    if (fi_grow(&results->rows, &results->capacity, results->n + 1, sizeof *results->rows)) return fi_fail_memory(err);
    ftl_result row = *result;
    row.dataset = fi_strdup(result->dataset);
    row.model = fi_strdup(result->model);
    row.id = result->id ? fi_strdup(result->id) : NULL;
    if (!row.dataset || !row.model || !row.id != !result->id) {
        fi_free((char *)row.dataset);
        fi_free((char *)row.model);
        fi_free((char *)row.id);
        return fi_fail_memory(err);
    }
    results->rows[results->n++] = row;
    return FTL_OK;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* The column of one of two names; n_columns: none. */
static size_t column_of(const fi_text_table *t, const char *name, const char *other)
{
    size_t at = fi_text_table_column(t, name);
    return at < t->n_columns ? at : fi_text_table_column(t, other);
}

static ftl_status read_row(const fi_text_table *t, size_t row, const char *model, ftl_results *to, ftl_error *err)
{
    static const char prefix[] = "monash_"; /* of the data sets' names where scores are published */
    size_t dataset_at = column_of(t, "dataset", "dataset_config"), model_at = column_of(t, "model", "model_name");
    size_t id_at = fi_text_table_column(t, "unique_id");
    ftl_result r = {.dataset = fi_text_table_cell(t, row, dataset_at)};
    r.model = model ? model : fi_text_table_cell(t, row, model_at);
    if (id_at < t->n_columns) r.id = fi_text_table_cell(t, row, id_at);
    if (!strncmp(r.dataset, prefix, sizeof prefix - 1)) r.dataset += sizeof prefix - 1;
    if (!*r.dataset || !*r.model)
        return fi_text_table_fail(t, row, *r.dataset ? model_at : dataset_at, err, "is empty; every row needs one");
    const struct {
        const char *name;
        size_t *to;
    } counts[] = {{"series", &r.scores.n_series},
                  {"horizon", &r.horizon},
                  {"window", &r.window},
                  {"points", &r.scores.n_points},
                  {"fallbacks", &r.scores.n_fallbacks}};
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < sizeof counts / sizeof *counts && !st; i++)
        st = fi_text_table_count(t, row, fi_text_table_column(t, counts[i].name), 0, counts[i].to, err);
    for (size_t i = 0; i < N_COLUMNS && !st; i++)
        st = fi_text_table_real(t, row, fi_text_table_column(t, columns[i].name), score_at(&r.scores, i), err);
    return st ? st : ftl_results_add(to, &r, err);
}

ftl_status ftl_results_read(ftl_results *results, const char *path, const char *model, ftl_error *err)
{
    fi_text_table t;
    ftl_status st = fi_text_table_read(path, true, &t, err);
    if (st) return st;
    if (column_of(&t, "dataset", "dataset_config") == t.n_columns)
        st = fi_fail(err, FTL_EDATA, "%s: there is no column 'dataset'; a results file has dataset, model and scores",
                     path);
    else if (!model && column_of(&t, "model", "model_name") == t.n_columns)
        st = fi_fail(err, FTL_EDATA, "%s: there is no column 'model'; name the model of these rows, or add it", path);
    for (size_t row = 0; row < t.n_rows && !st; row++) st = read_row(&t, row, model, results, err);
    fi_text_table_release(&t);
    return st;
}

static ftl_status system_error(const char *path, const char *what, ftl_error *err)
{
    return fi_fail(err, FTL_EIO, "%s: %s: %s", path, what, strerror(errno));
}

/* Where the file ends once a last line without its end is taken away; checks that it begins with the header. */
static ftl_status end_of_file(int fd, const char *path, const char *first, off_t *end, ftl_error *err)
{
    size_t n = strlen(first);
    struct stat info;
    char *block = fi_alloc(n, 1), last = 0;
    if (!block) return fi_fail_memory(err);
    ssize_t got = pread(fd, block, n, 0);
    bool differs = got > 0 && memcmp(block, first, (size_t)got) != 0;
    fi_free(block);
    if (got < 0 || fstat(fd, &info)) return system_error(path, "cannot be read", err);
    if (differs)
        return fi_fail(err, FTL_EDATA,
                       "%s: its header is not the one of this file's kind and version; choose another file", path);
    *end = (size_t)got < n ? 0 : info.st_size; /* 0: not even the header is whole */
    while (*end > 0) {
        if (pread(fd, &last, 1, *end - 1) != 1) return system_error(path, "cannot be read", err);
        if (last == '\n') break;
        --*end;
    }
    return FTL_OK;
}

static ftl_status put(int fd, const char *path, const char *text, ftl_error *err)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t wrote = write(fd, text, left);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return system_error(path, "cannot be written", err);
        text += wrote;
        left -= (size_t)wrote;
    }
    return FTL_OK;
}

ftl_status ftl_csv_append(const char *path, const char *first, const char *lines, ftl_error *err)
{
    off_t end = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return system_error(path, "cannot be opened", err);
    ftl_status st = end_of_file(fd, path, first, &end, err);
    if (!st && (ftruncate(fd, end) || lseek(fd, end, SEEK_SET) < 0)) st = system_error(path, "cannot be written", err);
    if (!st && !end) st = put(fd, path, first, err);
    if (!st) st = put(fd, path, lines, err);
    if (!st && fsync(fd) && errno != EINVAL) st = system_error(path, "cannot be written", err);
    if (close(fd) && !st) st = system_error(path, "cannot be written", err);
    return st;
}
