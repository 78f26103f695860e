/* Results of many models on many data sets, put together: relative scores, ranks, comparisons, tables. */
#include <foretell/evaluate.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/rng.h"
#include "eval/ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BOOTSTRAPS = 10000 };

struct ftl_summary {
    const ftl_results *results;
    size_t n_sets, n_models, n_complete;
    const char **sets;               /* [n_sets] */
    ftl_standing *standings;         /* [n_models] */
    double *relative[FTL_N_METRICS]; /* [n_models, n_sets] NaN where there is no score */
    double *work;                    /* [3 * max(n_sets, n_models)] of comparisons that the summary itself makes */
};

static double metric_of(const ftl_scores *scores, ftl_metric metric)
{
    return metric == FTL_METRIC_WQL ? scores->wql : scores->mase;
}

static const char *const metric_names[FTL_N_METRICS] = {"WQL", "MASE"};

static double *row_of(const ftl_summary *s, size_t metric, size_t model)
{
    return s->relative[metric] + model * s->n_sets;
}

/* ---- what there is ---------------------------------------------------------------------------------------------- */

static bool usable(const ftl_result *r)
{
    return !r->id && r->scores.wql > 0 && r->scores.mase > 0;
}

/* The sets that the baseline has, and the models that have one of them, each in order of appearance. */
static ftl_status collect(ftl_summary *s, const char *baseline, ftl_error *err)
{
    size_t n = ftl_results_n(s->results);
    s->sets = fi_alloc(n, sizeof *s->sets);
    s->standings = fi_calloc(n, sizeof *s->standings);
    if (!s->sets || !s->standings) return fi_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const ftl_result *r = ftl_results_at(s->results, i);
        if (usable(r) && !strcmp(r->model, baseline)) s->sets[s->n_sets++] = r->dataset;
    }
    if (!s->n_sets)
        return fi_fail(err, FTL_EDATA, "there are no scores of the baseline '%.100s'; evaluate it too, or name another",
                       baseline);
    for (size_t i = 0; i < n; i++) {
        const ftl_result *r = ftl_results_at(s->results, i);
        size_t m = 0;
        if (!usable(r) || !ftl_results_find(s->results, r->dataset, baseline)) continue;
        while (m < s->n_models && strcmp(s->standings[m].model, r->model) != 0) m++;
        if (m == s->n_models) s->standings[s->n_models++].model = r->model;
    }
    return FTL_OK;
}

static ftl_status make_room(ftl_summary *s, ftl_error *err)
{
    size_t cells = s->n_sets * s->n_models, most = s->n_sets > s->n_models ? s->n_sets : s->n_models;
    for (size_t k = 0; k < FTL_N_METRICS; k++)
        if (!(s->relative[k] = fi_alloc(cells, sizeof **s->relative))) return fi_fail_memory(err);
    s->work = fi_alloc(3 * most > BOOTSTRAPS ? 3 * most : BOOTSTRAPS, sizeof *s->work);
    return s->work ? FTL_OK : fi_fail_memory(err);
}

/* Relative scores of one model, and what its rows add up to. */
static void read_model(ftl_summary *s, size_t m, const char *baseline)
{
    ftl_standing *standing = &s->standings[m];
    standing->seconds = standing->peak_mb = NAN;
    for (size_t i = 0; i < s->n_sets; i++) {
        const ftl_result *own = ftl_results_find(s->results, s->sets[i], standing->model);
        const ftl_result *base = ftl_results_find(s->results, s->sets[i], baseline);
        bool have = own && usable(own);
        for (size_t k = 0; k < FTL_N_METRICS; k++)
            row_of(s, k, m)[i] =
                have ? metric_of(&own->scores, (ftl_metric)k) / metric_of(&base->scores, (ftl_metric)k) : NAN;
        if (!have) continue;
        standing->n_sets++;
        standing->n_fallbacks += own->scores.n_fallbacks;
        standing->peak_mb = fmax(standing->peak_mb, own->scores.peak_mb); /* fmax passes over NaN */
        if (!isnan(own->scores.seconds))
            standing->seconds = (isnan(standing->seconds) ? 0 : standing->seconds) + own->scores.seconds;
    }
}

/* ---- aggregates ------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Geometric mean of the scores of one model. */
static void aggregate(ftl_summary *s, size_t m, size_t k)
{
    const double *relative = row_of(s, k, m);
    double sum = 0;
    for (size_t i = 0; i < s->n_sets; i++) sum += isnan(relative[i]) ? 0 : log(relative[i]);
    s->standings[m].score[k] = exp(sum / (double)s->standings[m].n_sets);
}

/* Its interval over sets drawn anew; the same draws for every model. */
static void find_interval(ftl_summary *s, size_t m, size_t k, uint64_t seed)
{
    ftl_standing *standing = &s->standings[m];
    const double *relative = row_of(s, k, m);
    for (size_t b = 0; b < BOOTSTRAPS; b++) {
        fi_rng rng;
        size_t drawn = 0;
        double sum = 0;
        fi_rng_init(&rng, seed, 0, b);
        for (size_t i = 0; i < s->n_sets; i++) {
            double x = relative[(size_t)(fi_rng_uniform(&rng) * (double)s->n_sets)];
            if (isnan(x)) continue;
            sum += log(x);
            drawn++;
        }
        s->work[b] = drawn ? sum / (double)drawn : log(standing->score[k]);
    }
    qsort(s->work, BOOTSTRAPS, sizeof *s->work, by_value);
    standing->low[k] = exp(s->work[BOOTSTRAPS / 40]);
    standing->high[k] = exp(s->work[BOOTSTRAPS - 1 - BOOTSTRAPS / 40]);
}

/* Average ranks among the models that have all sets. */
static void rank_models(ftl_summary *s, size_t k)
{
    double *value = s->work, *rank = s->work + s->n_models;
    for (size_t m = 0; m < s->n_models; m++) s->standings[m].rank[k] = s->standings[m].n_sets == s->n_sets ? 0 : NAN;
    for (size_t i = 0; i < s->n_sets; i++) {
        size_t n = 0;
        for (size_t m = 0; m < s->n_models; m++)
            if (s->standings[m].n_sets == s->n_sets) value[n++] = row_of(s, k, m)[i];
        fi_ranks(value, n, rank);
        for (size_t m = 0, at = 0; m < s->n_models; m++)
            if (s->standings[m].n_sets == s->n_sets) s->standings[m].rank[k] += rank[at++] / (double)s->n_sets;
    }
}

static void count_wins(ftl_summary *s, size_t m, size_t k)
{
    double won = 0, met = 0;
    for (size_t other = 0; other < s->n_models; other++)
        for (size_t i = 0; i < s->n_sets && other != m; i++) {
            double a = row_of(s, k, m)[i], b = row_of(s, k, other)[i];
            if (isnan(a) || isnan(b)) continue;
            won += a < b ? 1 : a == b ? 0.5 : 0;
            met++;
        }
    s->standings[m].win_rate[k] = met > 0 ? won / met : NAN;
}

static int by_score(const void *a, const void *b)
{
    const ftl_standing *x = a, *y = b;
    int order = (x->score[0] > y->score[0]) - (x->score[0] < y->score[0]);
    return order ? order : strcmp(x->model, y->model);
}

ftl_status ftl_results_summarise(const ftl_results *results, const char *baseline, uint64_t seed, ftl_summary **out,
                                 ftl_error *err)
{
    if (!baseline) baseline = "seasonal-naive";
    *out = NULL;
    ftl_summary *s = fi_calloc(1, sizeof *s);
    if (!s) return fi_fail_memory(err);
    s->results = results;
    ftl_status st = collect(s, baseline, err);
    if (!st) st = make_room(s, err);
    if (st) {
        ftl_summary_free(s);
        return st;
    }
    /* Twice: the first pass finds the order, the second fills the rows in it. */
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t m = 0; m < s->n_models; m++) {
            s->standings[m] = (ftl_standing){.model = s->standings[m].model};
            read_model(s, m, baseline);
            for (size_t k = 0; k < FTL_N_METRICS; k++) aggregate(s, m, k);
        }
        if (!pass) qsort(s->standings, s->n_models, sizeof *s->standings, by_score);
    }
    for (size_t m = 0; m < s->n_models; m++) s->n_complete += s->standings[m].n_sets == s->n_sets;
    for (size_t k = 0; k < FTL_N_METRICS; k++) {
        rank_models(s, k);
        for (size_t m = 0; m < s->n_models; m++) {
            find_interval(s, m, k, seed);
            count_wins(s, m, k);
        }
    }
    *out = s;
    return FTL_OK;
}

void ftl_summary_free(ftl_summary *s)
{
    if (!s) return;
    for (size_t k = 0; k < FTL_N_METRICS; k++) fi_free(s->relative[k]);
    fi_free(s->sets);
    fi_free(s->standings);
    fi_free(s->work);
    fi_free(s);
}

size_t ftl_summary_n_sets(const ftl_summary *s)
{
    return s->n_sets;
}

const char *ftl_summary_set(const ftl_summary *s, size_t set)
{
    return set < s->n_sets ? s->sets[set] : NULL;
}

size_t ftl_summary_n_models(const ftl_summary *s)
{
    return s->n_models;
}

const ftl_standing *ftl_summary_standing(const ftl_summary *s, size_t i)
{
    return i < s->n_models ? &s->standings[i] : NULL;
}

double ftl_summary_relative(const ftl_summary *s, ftl_metric metric, size_t set, size_t model)
{
    return set < s->n_sets && model < s->n_models ? row_of(s, metric, model)[set] : NAN;
}

/* ---- comparisons ------------------------------------------------------------------------------------------------ */

double ftl_summary_wins(const ftl_summary *s, ftl_metric metric, size_t a, size_t b)
{
    double won = 0, met = 0;
    for (size_t i = 0; i < s->n_sets; i++) {
        double x = row_of(s, metric, a)[i], y = row_of(s, metric, b)[i];
        if (isnan(x) || isnan(y)) continue;
        won += x < y ? 1 : x == y ? 0.5 : 0;
        met++;
    }
    return met > 0 ? won / met : NAN;
}

double ftl_summary_p_value(const ftl_summary *s, ftl_metric metric, size_t a, size_t b)
{
    double *difference = fi_alloc(3 * s->n_sets, sizeof *difference), p = NAN;
    if (!difference) return NAN;
    for (size_t i = 0; i < s->n_sets; i++) difference[i] = log(row_of(s, metric, a)[i] / row_of(s, metric, b)[i]);
    p = fi_wilcoxon(difference, s->n_sets, difference + s->n_sets);
    fi_free(difference);
    return p;
}

double ftl_summary_critical_difference(const ftl_summary *s)
{
    double k = (double)s->n_complete;
    return k < 2 ? NAN : fi_range_quantile(s->n_complete) / sqrt(2) * sqrt(k * (k + 1) / (6 * (double)s->n_sets));
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

/* A table being written: cells as CSV, or as Markdown with rounded numbers. */
typedef struct sheet {
    fi_buf text;
    bool markdown;
    size_t column;
} sheet;

static void put_cell(sheet *t, const char *text)
{
    if (t->markdown) {
        fi_buf_text(&t->text, t->column ? " | " : "| ");
        for (; *text; text++) fi_buf_printf(&t->text, *text == '|' ? "\\%c" : "%c", *text);
    } else {
        if (t->column) fi_buf_char(&t->text, ',');
        fi_buf_csv(&t->text, text);
    }
    t->column++;
}

static void put_number(sheet *t, double value, int decimals)
{
    fi_buf cell = {0};
    if (t->markdown && !isnan(value))
        fi_buf_printf(&cell, "%.*f", decimals, value);
    else
        fi_buf_double(&cell, value);
    put_cell(t, cell.data ? cell.data : "");
    t->text.failed |= cell.failed;
    fi_buf_release(&cell);
}

static void put_score(sheet *t, const char *name, const char *part)
{
    fi_buf cell = {0};
    fi_buf_printf(&cell, "%s%s", name, part);
    put_cell(t, cell.data ? cell.data : "");
    t->text.failed |= cell.failed;
    fi_buf_release(&cell);
}

static void end_row(sheet *t, bool header)
{
    fi_buf_text(&t->text, t->markdown ? " |\n" : "\n");
    for (size_t i = 0; header && t->markdown && i < t->column; i++) fi_buf_text(&t->text, i ? "---|" : "|---|");
    if (header && t->markdown) fi_buf_char(&t->text, '\n');
    t->column = 0;
}

static void write_standings(const ftl_summary *s, sheet *t)
{
    static const char *const parts[] = {"", " low", " high", " rank", " wins"};
    put_cell(t, "model");
    put_cell(t, "sets");
    for (size_t k = 0; k < FTL_N_METRICS; k++)
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) put_score(t, metric_names[k], parts[i]);
    put_cell(t, "seconds");
    put_cell(t, "peak_mb");
    put_cell(t, "fallbacks");
    end_row(t, true);
    for (size_t m = 0; m < s->n_models; m++) {
        const ftl_standing *x = &s->standings[m];
        put_cell(t, x->model);
        put_number(t, (double)x->n_sets, 0);
        for (size_t k = 0; k < FTL_N_METRICS; k++) {
            const double values[] = {x->score[k], x->low[k], x->high[k], x->rank[k], x->win_rate[k]};
            for (size_t i = 0; i < sizeof values / sizeof *values; i++) put_number(t, values[i], i == 3 ? 2 : 3);
        }
        put_number(t, x->seconds, 1);
        put_number(t, x->peak_mb, 0);
        put_number(t, (double)x->n_fallbacks, 0);
        end_row(t, false);
    }
}

static void write_sets(const ftl_summary *s, sheet *t)
{
    put_cell(t, "dataset");
    put_cell(t, "metric");
    for (size_t m = 0; m < s->n_models; m++) put_cell(t, s->standings[m].model);
    end_row(t, true);
    for (size_t k = 0; k < FTL_N_METRICS; k++)
        for (size_t i = 0; i < s->n_sets; i++) {
            put_cell(t, s->sets[i]);
            put_cell(t, metric_names[k]);
            for (size_t m = 0; m < s->n_models; m++) {
                const ftl_result *r = ftl_results_find(s->results, s->sets[i], s->standings[m].model);
                put_number(t, r && usable(r) ? metric_of(&r->scores, (ftl_metric)k) : NAN, 4);
            }
            end_row(t, false);
        }
}

static void write_pairs(const ftl_summary *s, sheet *t)
{
    put_cell(t, "model");
    put_cell(t, "against");
    for (size_t k = 0; k < FTL_N_METRICS; k++) {
        put_score(t, metric_names[k], " wins");
        put_score(t, metric_names[k], " p");
    }
    end_row(t, true);
    for (size_t a = 0; a < s->n_models; a++)
        for (size_t b = a + 1; b < s->n_models; b++) {
            put_cell(t, s->standings[a].model);
            put_cell(t, s->standings[b].model);
            for (size_t k = 0; k < FTL_N_METRICS; k++) {
                put_number(t, ftl_summary_wins(s, (ftl_metric)k, a, b), 3);
                put_number(t, ftl_summary_p_value(s, (ftl_metric)k, a, b), 4);
            }
            end_row(t, false);
        }
}

ftl_status ftl_summary_text(const ftl_summary *summary, ftl_summary_table table, bool markdown, char **out,
                            ftl_error *err)
{
    static void (*const write[])(const ftl_summary *, sheet *) = {write_standings, write_sets, write_pairs};
    sheet t = {.markdown = markdown};
    *out = NULL;
    write[table](summary, &t);
    if (t.text.failed) {
        fi_buf_release(&t.text);
        return fi_fail_memory(err);
    }
    *out = t.text.data;
    return FTL_OK;
}
