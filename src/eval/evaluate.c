/* Test windows cut off panels, forecasts of them by any forecaster, scores. */
#include <foretell/evaluate.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/memory.h"
#include "eval/metrics.h"
#include "forecast/forecast.h"
#include "series/panel.h"
#include "series/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The series of a panel that are long enough, once cut at the window's start and once the window alone. */
typedef struct cut {
    ftl_panel *past, *future;
    const double **y; /* [n] the observations of the window, in the panel that was cut */
} cut;

typedef struct evaluation {
    const ftl_dataset *set;
    size_t season, window, n_samples;
    const double *const *y; /* of the cut at hand */
    const ftl_panel *past;
    double *q, *point, *work; /* [horizon, levels], [horizon], [n_samples] */
    fi_sums total;
    ftl_scores *scores;
    ftl_series_scores_fn each;
    void *user;
    ftl_progress_fn progress;
    void *progress_user;
    size_t done, n_series;
} evaluation;

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- cutting ---------------------------------------------------------------------------------------------------- */

/* An empty panel with room for n series and that many rows. */
static ftl_status panel_new(size_t n, size_t rows, ftl_time_kind kind, bool has_ids, ftl_panel **out, ftl_error *err)
{
    ftl_panel *p = *out = fi_calloc(1, sizeof *p);
    if (!p) return fi_fail_memory(err);
    p->has_ids = has_ids;
    p->table.kind = kind;
    p->table.ds = fi_alloc(rows, sizeof *p->table.ds);
    p->table.y = fi_alloc(rows, sizeof *p->table.y);
    p->series = fi_calloc(n, sizeof *p->series);
    return p->table.ds && p->table.y && p->series ? FTL_OK : fi_fail_memory(err);
}

/* Adds rows [from, from + n) of a series; the observations only where `observed`. Times are `nominal` ones if given. */
static ftl_status panel_add(ftl_panel *p, const ftl_series *s, size_t from, size_t n, bool observed,
                            const ftl_time *nominal, ftl_error *err)
{
    fi_table *t = &p->table;
    if (fi_ids_add(&p->ids, s->id, strlen(s->id))) return fi_fail_memory(err);
    ftl_series *to = &p->series[p->n_series++];
    *to = (ftl_series){.id = p->ids.text[p->ids.n - 1], .table = t, .first = t->n_rows, .n_obs = n};
    memcpy(t->ds + t->n_rows, (nominal ? nominal : fi_series_ds(s)) + from, n * sizeof *t->ds);
    for (size_t i = 0; i < n; i++) t->y[t->n_rows + i] = observed ? fi_series_y(s)[from + i] : NAN;
    t->n_rows += n;
    return FTL_OK;
}

static void cut_release(cut *c)
{
    ftl_panel_free(c->past);
    ftl_panel_free(c->future);
    fi_free(c->y);
}

/* Dates for series by index, as many as the longest has; NULL where times are dates or the data set has no calendar. */
static ftl_status nominal_times(const ftl_panel *panel, const ftl_dataset *set, ftl_time **out, ftl_error *err)
{
    size_t longest = 0;
    *out = NULL;
    if (!set->has_freq || set->freq.unit == FTL_FREQ_INDEX || panel->table.kind != FTL_TIME_INDEX) return FTL_OK;
    for (size_t i = 0; i < panel->n_series; i++)
        if (panel->series[i].n_obs > longest) longest = panel->series[i].n_obs;
    *out = fi_alloc(longest, sizeof **out);
    if (!*out) return fi_fail_memory(err);
    ftl_status st = ftl_freq_after(&set->freq, ftl_time_of((ftl_date){1999, 12, 31}), longest, *out, err);
    if (st != FTL_ENUMERIC) return st;
    fi_free(*out); /* more years than the calendar has: they stay what they are */
    *out = NULL;
    return FTL_OK;
}

static ftl_status make_cut(const ftl_panel *panel, const ftl_dataset *set, size_t offset, const ftl_time *nominal,
                           cut *c, ftl_error *err)
{
    ftl_time_kind kind = !nominal                                                          ? panel->table.kind
                         : set->freq.unit == FTL_FREQ_TICK && set->freq.multiple % FTL_DAY ? FTL_TIME_DATETIME
                                                                                           : FTL_TIME_DATE;
    size_t n = panel->n_series, rows = 0;
    for (size_t i = 0; i < n; i++)
        if (panel->series[i].n_obs > offset) rows += panel->series[i].n_obs - offset;
    *c = (cut){.y = fi_alloc(n, sizeof *c->y)};
    if (!c->y) return fi_fail_memory(err);
    ftl_status st = panel_new(n, rows, kind, panel->has_ids, &c->past, err);
    if (!st) st = panel_new(n, n * set->horizon, kind, panel->has_ids, &c->future, err);
    for (size_t i = 0; i < n && !st; i++) {
        const ftl_series *s = &panel->series[i];
        if (s->n_obs <= offset) continue;
        size_t past = s->n_obs - offset;
        c->y[c->past->n_series] = fi_series_y(s) + past;
        st = panel_add(c->past, s, 0, past, true, nominal, err);
        if (!st) st = panel_add(c->future, s, past, set->horizon, false, nominal, err);
    }
    return st;
}

/* ---- scoring ---------------------------------------------------------------------------------------------------- */

static void score(evaluation *e, size_t index, const ftl_forecast *fc, fi_sums *sums)
{
    const ftl_series *s = &e->past->series[index];
    const double *history = fi_series_y(s);
    fi_window w = {
        .history = history, .n = s->n_obs, .season = e->season, .y = e->y[index], .horizon = e->set->horizon};
    w.q = e->q;
    w.point = e->point;
    if (fc) {
        w.q = fc->q;
        w.point = fc->point;
        w.samples = e->n_samples ? fc->samples : NULL;
        w.n_samples = fc->n_samples;
        w.work = e->work;
    }
    for (size_t h = 0; h < w.horizon && !fc; h++) {
        double y = fi_baseline(history, w.n, e->season, h);
        e->point[h] = y;
        for (size_t k = 0; k < FTL_SCORED_LEVELS; k++) e->q[h * FTL_SCORED_LEVELS + k] = y;
    }
    fi_score_window(&w, sums);
}

static bool take(evaluation *e, size_t index, const ftl_forecast *fc, const ftl_error *failure)
{
    fi_sums sums;
    score(e, index, fc, &sums);
    fi_sums_add(&e->total, &sums);
    if (failure && failure->code && !e->scores->n_fallbacks++)
        snprintf(e->scores->first_failure, sizeof e->scores->first_failure, "%s", failure->message);
    e->done++;
    if (e->each) {
        ftl_scores own = {.n_series = 1, .n_fallbacks = failure && failure->code, .seconds = NAN, .peak_mb = NAN};
        fi_sums_finish(&sums, &own);
        if (!e->each(e->user, e->past->series[index].id, e->window, &own)) return false;
    }
    return !e->progress || e->progress(e->progress_user, e->done, e->n_series);
}

static bool on_result(void *user, const ftl_panel_result *r)
{
    return take(user, r->index, r->forecast, r->error);
}

static bool go_on(void *user, size_t done, size_t total)
{
    const evaluation *e = user;
    (void)done, (void)total;
    return !e->progress || e->progress(e->progress_user, e->done, e->n_series);
}

static ftl_status run_window(evaluation *e, const ftl_config *config, const cut *c, const ftl_evaluate_args *args,
                             ftl_error *err)
{
    e->past = c->past;
    e->y = c->y;
    if (!config) {
        for (size_t i = 0; i < c->past->n_series; i++)
            if (!take(e, i, NULL, NULL)) return fi_fail(err, FTL_ECANCELLED, "cancelled");
        return FTL_OK;
    }
    ftl_fit_args fit = {.seed = args->seed, .progress = go_on, .progress_user = e, .n_threads = args->n_threads};
    ftl_predict_args predict = FTL_PREDICT_DEFAULTS;
    predict.levels = fi_scored_levels;
    predict.n_levels = FTL_SCORED_LEVELS;
    predict.n_samples = e->n_samples;
    predict.seed = args->seed;
    return ftl_forecast_panel(config, c->past, c->future, &fit, &predict, args->n_threads, on_result, e, err);
}

/* A copy of the configuration that is told the season and horizon of the data set, where it leaves them open. */
static ftl_status told_config(const ftl_config *config, const ftl_dataset *set, ftl_config **out, ftl_error *err)
{
    char *spec = NULL;
    *out = NULL;
    ftl_status st = ftl_config_text(config, &spec, err);
    if (!st) st = ftl_config_new(spec, out, err);
    ftl_text_free(spec);
    if (st) return st;
    ftl_config_tell(*out, "season", set->natural_season ? set->natural_season : set->season);
    ftl_config_tell(*out, "horizon", set->horizon);
    return FTL_OK;
}

/* The season of the scale and the baseline: the data set's, or the usual one of the frequency. */
static size_t scoring_season(const ftl_panel *panel, const ftl_dataset *set)
{
    ftl_freq freq = set->freq;
    if (set->season) return set->season;
    for (size_t i = 0; i < panel->n_series && !set->has_freq; i++) {
        const ftl_series *s = &panel->series[i];
        if (!ftl_freq_infer(fi_series_ds(s), s->n_obs, panel->table.kind, &freq, NULL)) return ftl_freq_season(&freq);
    }
    return set->has_freq ? ftl_freq_season(&freq) : 1;
}

static ftl_status check_dataset(const ftl_dataset *set, size_t windows, ftl_error *err)
{
    if (set->horizon < 1 || set->offset < set->horizon)
        return fi_fail(err, FTL_EINVAL,
                       "data set '%s': the horizon is %zu and the test window begins %zu rows before the "
                       "end; it needs a horizon of at least 1, and as many rows",
                       set->name, set->horizon, set->offset);
    if (windows > 1 && windows > ((size_t)-1 / 2 - set->offset) / set->horizon)
        return fi_fail(err, FTL_EINVAL, "data set '%s': %zu windows of %zu steps are too many", set->name, windows,
                       set->horizon);
    return FTL_OK;
}

ftl_status ftl_evaluate(const ftl_config *config, const ftl_panel *panel, const ftl_dataset *set,
                        const ftl_evaluate_args *args, ftl_series_scores_fn each, void *user, ftl_scores *out,
                        ftl_error *err)
{
    static const ftl_evaluate_args no_args;
    unsigned abilities = 0;
    ftl_config *told = NULL;
    ftl_time *nominal = NULL;
    if (!args) args = &no_args;
    size_t windows = args->windows ? args->windows : 1, horizon = set->horizon;
    *out = (ftl_scores){0};
    ftl_status st = check_dataset(set, windows, err);
    if (!st && config) st = ftl_config_capabilities(config, &abilities, err);
    if (st) return st;
    evaluation e = {.set = set, .season = scoring_season(panel, set), .scores = out};
    e.each = each;
    e.user = user;
    e.progress = args->progress;
    e.progress_user = args->progress_user;
    e.n_series = panel->n_series * windows;
    if (abilities & FTL_GIVES_SAMPLES) e.n_samples = args->n_samples;
    e.q = fi_alloc(horizon > (size_t)-1 / FTL_SCORED_LEVELS ? (size_t)-1 : horizon * FTL_SCORED_LEVELS, sizeof *e.q);
    e.point = fi_alloc(horizon, sizeof *e.point);
    e.work = fi_alloc(e.n_samples, sizeof *e.work);
    if (!e.q || !e.point || !e.work) st = fi_fail_memory(err);
    if (!st && config) st = told_config(config, set, &told, err);
    if (!st) st = nominal_times(panel, set, &nominal, err);
    fi_peak_memory_reset();
    for (size_t w = 0; w < windows && !st; w++) {
        cut c;
        e.window = w;
        st = make_cut(panel, set, set->offset + (windows - 1 - w) * horizon, nominal, &c, err);
        double start = now_seconds();
        if (!st) st = run_window(&e, told ? told : config, &c, args, err);
        out->seconds += now_seconds() - start;
        cut_release(&c);
    }
    out->peak_mb = fi_peak_memory() / 1e6;
    out->n_series = e.done;
    if (!st && !e.done)
        st = fi_fail(err, FTL_EDATA,
                     "data set '%s': no series has more than the %zu rows after which its test window "
                     "begins; choose a shorter horizon",
                     set->name, set->offset);
    if (!st) fi_sums_finish(&e.total, out);
    ftl_config_free(told);
    fi_free(nominal);
    fi_free(e.q);
    fi_free(e.point);
    fi_free(e.work);
    return st;
}
