/*
 * "auto": candidates forecast the last windows of the series from the rows before each, as they would have at the time;
 * the one that did best is fitted again to all of the history. Its forecasts, files and paths are those of that model.
 *
 * Seasonal naive is always a candidate, so what is chosen did no worse on the windows. This holds for the weighted
 * combination too: both losses are convex in the forecast, and only candidates that beat seasonal naive have a weight.
 * What is tried depends on the series and the options alone, never on the clock.
 */
#include "eval/auto.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"
#include "eval/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 24, MOST_MEMBERS = 5, SPEC_MAX = 256, WHY_MAX = 400 };
enum { METRIC_WQL, METRIC_MASE };
enum { COMBINE_BEST, COMBINE_WEIGHTED };

typedef struct auto_config {
    int64_t season, horizon, windows;
    char *models; /* NULL or "": by default_models() */
    int metric, combine;
    double budget;
} auto_config;

static const fi_option auto_options[] = {
    FI_OPTION_TEXT(auto_config, models, "", "NAME+NAME",
                   "the candidates, with options where needed (prophet:growth=flat); none given: chosen by length and "
                   "intermittency. Seasonal naive always joins them"),
    FI_OPTION_CHOICE(auto_config, metric, "wql", "wql|mase", "what candidates are judged by"),
    FI_OPTION_CHOICE(auto_config, combine, "weighted", "best|weighted",
                     "the best one, or up to five that beat seasonal naive, weighted by their inverse score"),
    FI_OPTION_COUNT(
        auto_config, windows, "0", 0, 20,
        "rolling windows to judge by, fewer where the series is short; 0: two, or up to six that cover a season"),
    FI_OPTION_COUNT(auto_config, horizon, "0", 0, 1e6,
                    "steps of a window; 0: those that are to be forecast where they are known, else a season"),
    FI_OPTION_COUNT(auto_config, season, "0", 0, 1e9, "steps of a season; 0 takes the frequency's usual one"),
    FI_OPTION_REAL(auto_config, budget, "1", 0, INFINITY,
                   "nominal seconds a series; candidates are tried from cheap to dear while their usual cost fits"),
};

/* ---- candidates ------------------------------------------------------------------------------------------------- */

typedef struct candidate {
    char spec[SPEC_MAX];
    double cost;        /* nominal seconds of all its fits */
    double loss;        /* sum over the windows, what is compared; NaN: not judged */
    double score;       /* the metric as it is known; NaN where it is not defined */
    char note[WHY_MAX]; /* why it was not judged, or "" */
} candidate;

typedef struct member {
    double weight;
    size_t candidate; /* its place among the candidates */
    ftl_model *model;
} member;

/* The fitted model. Candidates stand in the order in which they were tried. */
typedef struct auto_model {
    candidate *candidates; /* [n] */
    member members[MOST_MEMBERS];
    size_t n, n_members, windows, horizon;
    unsigned capabilities;
    int metric;
    char *why; /* one sentence */
} auto_model;

#define ABILITIES (FTL_TAKES_MISSING | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY)

/* Nominal seconds of a fit and a forecast, as measured on one core of 2023: to tell milliseconds from minutes. */
static double usual_cost(const char *spec, size_t n, size_t season)
{
    static const struct {
        const char *name;
        double fixed, row, season; /* seconds; an observation; an observation and step of the season */
    } table[] = {
        {"seasonal-naive", 0, 1e-7, 0},
        {"naive", 0, 1e-7, 0},
        {"drift", 0, 1e-7, 0},
        {"mean", 0, 1e-7, 0},
        {"theta", 0, 5e-6, 0},
        {"auto-theta", 0, 5e-6, 0},
        {"ses", 0, 5e-6, 0},
        {"holt", 0, 5e-6, 0},
        {"auto-ets", 0, 1e-5, 0},
        {"prophet", 0, 5e-6, 0},
        {"sba", 2e-2, 1e-7, 0},
        {"croston", 2e-2, 1e-7, 0},
        {"tsb", 2e-2, 1e-7, 0},
        {"adida", 2e-2, 1e-6, 0},
        {"imapa", 2e-2, 5e-5, 0},
        {"auto-arima", 0, 2e-4, 1e-5},
        {"arima", 0, 1e-4, 1e-5},
        {"mstl", 0, 5e-5, 0},
        {"chronos", 0.2, 0, 0},
    };
    size_t length = strcspn(spec, ":");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == length && !strncmp(table[i].name, spec, length))
            return table[i].fixed + (double)n * (table[i].row + (double)season * table[i].season);
    return (double)n * 1e-4; /* not measured */
}

/* Adds a candidate that is not among them yet. */
static ftl_status add_candidate(candidate *list, size_t *n, const char *spec, size_t length, ftl_error *err)
{
    if (length >= SPEC_MAX || *n == MOST)
        return fi_fail(err, FTL_EINVAL, "option 'models': at most %d candidates of fewer than %d bytes each", MOST,
                       SPEC_MAX);
    candidate *c = &list[*n];
    *c = (candidate){.loss = NAN, .score = NAN};
    memcpy(c->spec, spec, length);
    for (char *p = c->spec; *p && *p != ':'; p++) /* names are written one way, as they are compared */
        if (*p == '_') *p = '-';
    for (size_t i = 0; i < *n; i++)
        if (!strcmp(list[i].spec, c->spec)) return FTL_OK;
    ++*n;
    return FTL_OK;
}

/* Seasonal naive and the models of a list "a+b:option=value+c". */
static ftl_status list_candidates(const char *models, candidate *list, size_t *n, ftl_error *err)
{
    static const char baseline[] = "seasonal-naive";
    *n = 0;
    ftl_status st = add_candidate(list, n, baseline, strlen(baseline), err);
    for (const char *p = models ? models : ""; *p && !st;) {
        size_t length = strcspn(p, "+");
        if (length) st = add_candidate(list, n, p, length, err);
        p += length + (p[length] == '+');
    }
    return st;
}

static ftl_status candidate_config(const candidate *c, size_t season, ftl_config **out, ftl_error *err)
{
    ftl_status st = ftl_config_new(c->spec, out, err);
    if (st) return st;
    if (ftl_config_forecaster(*out) == &auto_forecaster)
        st = fi_fail(err, FTL_EINVAL, "option 'models': auto cannot be a candidate of itself");
    if (!st) {
        ftl_config_tell(*out, "season", season);
        return FTL_OK;
    }
    ftl_config_free(*out);
    *out = NULL;
    return st;
}

/* What all candidates of a list can. */
static ftl_status auto_capabilities(const void *config, unsigned *out, ftl_error *err)
{
    const auto_config *c = config;
    candidate *list = fi_alloc(MOST, sizeof *list);
    size_t n = 0;
    *out = ABILITIES;
    ftl_status st = list ? list_candidates(c->models, list, &n, err) : fi_fail_memory(err);
    for (size_t i = 0; i < n && !st; i++) {
        ftl_config *own = NULL;
        unsigned can = 0;
        st = candidate_config(&list[i], 0, &own, err);
        if (!st) st = ftl_config_capabilities(own, &can, err);
        *out &= can;
        ftl_config_free(own);
    }
    fi_free(list);
    return st;
}

static ftl_status auto_check(const void *config, ftl_error *err)
{
    unsigned can;
    return auto_capabilities(config, &can, err);
}

/* ---- the plan of a series --------------------------------------------------------------------------------------- */

typedef struct plan {
    const auto_config *config;
    const ftl_series *series;
    const ftl_fit_args *args;
    const double *y;
    size_t n, season, horizon, windows; /* windows 0: too short to judge anybody */
} plan;

/* Demand that comes now and then: at least a quarter zeros, nothing below, an interval of 1.32 or more (Syntetos & Boylan). */
static bool is_intermittent(const double *y, size_t n)
{
    size_t observed = 0, demands = 0;
    for (size_t t = 0; t < n; t++) {
        if (isnan(y[t])) continue;
        if (y[t] < 0) return false;
        observed++;
        demands += y[t] > 0;
    }
    return demands && (double)observed >= 1.32 * (double)demands;
}

static const char *default_models(const plan *p)
{
    size_t observed = 0;
    for (size_t t = 0; t < p->n; t++) observed += isnan(p->y[t]) ? 0 : 1;
    if (is_intermittent(p->y, p->n)) return "sba+tsb+adida+imapa+auto-theta+auto-ets";
    if (observed < 24 || observed < 2 * p->season) return "drift+auto-theta+auto-ets";
    if (p->season > 24) return "auto-theta+mstl+auto-arima+prophet"; /* more than the forms of auto-ets take */
    return "auto-theta+auto-ets+auto-arima+prophet";
}

/* At most two fifths of the rows are held out: where that is too little, windows are given up, then steps. */
static void lay_windows(plan *p)
{
    size_t most = p->n * 2 / 5, season = p->season > 1 ? p->season : 6;
    p->windows = (size_t)p->config->windows;
    p->horizon = p->config->horizon ? (size_t)p->config->horizon : season < 60 ? season : 60;
    if (p->horizon > most) p->horizon = most;
    if (!p->windows && p->horizon) p->windows = (season + p->horizon - 1) / p->horizon;
    if (!p->config->windows) p->windows = p->windows < 2 ? 2 : p->windows > 6 ? 6 : p->windows;
    if (p->horizon && p->windows > most / p->horizon) p->windows = most / p->horizon;
    if (!p->horizon || p->n - p->windows * p->horizon < 4) p->windows = 0;
}

static int by_cost(const void *a, const void *b)
{
    double x = ((const candidate *)a)->cost, y = ((const candidate *)b)->cost;
    return x != y ? (x > y) - (x < y) : strcmp(((const candidate *)a)->spec, ((const candidate *)b)->spec);
}

/* Candidates from cheap to dear, seasonal naive first; notes say which the budget has no room for. */
static ftl_status choose_candidates(const plan *p, auto_model *m, ftl_error *err)
{
    const char *asked = p->config->models, *models = asked && *asked ? asked : default_models(p);
    double spent = 0;
    ftl_status st = list_candidates(models, m->candidates, &m->n, err);
    if (st) return st;
    for (size_t i = 0; i < m->n; i++)
        m->candidates[i].cost = (double)(p->windows + 1) * usual_cost(m->candidates[i].spec, p->n, p->season);
    qsort(m->candidates + 1, m->n - 1, sizeof *m->candidates, by_cost);
    for (size_t i = 0; i < m->n; i++) {
        candidate *c = &m->candidates[i];
        spent += c->cost;
        if (i && spent > p->config->budget)
            snprintf(c->note, sizeof c->note, "left out: about %.2g s is more than the budget has left", c->cost);
    }
    return FTL_OK;
}

/* The first n rows of the series, without further columns. */
static ftl_status cut_series(const plan *p, size_t n, ftl_series **out, ftl_error *err)
{
    return ftl_series_new_full(p->series->id, p->series->table->kind, fi_series_ds(p->series), p->y, n, NULL, NULL, 0,
                               out, err);
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

/* Is a failure one of this candidate with these data, rather than one of the whole run? */
static bool is_refusal(ftl_status st)
{
    return st == FTL_EDATA || st == FTL_EINVAL || st == FTL_ENUMERIC;
}

static ftl_status judge_window(const plan *p, const ftl_config *config, size_t cut, fi_sums *total, ftl_error *err)
{
    ftl_series *past = NULL;
    ftl_model *model = NULL;
    ftl_forecast *fc = NULL;
    ftl_predict_args predict = FTL_PREDICT_DEFAULTS;
    predict.horizon = p->horizon;
    predict.freq = p->args->freq;
    predict.levels = fi_scored_levels;
    predict.n_levels = FTL_SCORED_LEVELS;
    predict.seed = p->args->seed;
    ftl_status st = cut_series(p, cut, &past, err);
    if (!st) st = ftl_model_fit(config, past, p->args, &model, err);
    if (!st) st = ftl_model_predict(model, &predict, &fc, err);
    if (!st) {
        fi_sums sums;
        const fi_window w = {.history = p->y,
                             .n = cut,
                             .season = p->season,
                             .y = p->y + cut,
                             .horizon = p->horizon,
                             .q = ftl_forecast_quantiles(fc),
                             .point = ftl_forecast_point(fc)};
        fi_score_window(&w, &sums);
        fi_sums_add(total, &sums);
    }
    ftl_forecast_free(fc);
    ftl_model_free(model);
    ftl_series_free(past);
    return st;
}

/* The losses of all points, without the divisors that all candidates share. */
static double loss_of(const fi_sums *s, int metric)
{
    double loss = 0;
    if (metric == METRIC_MASE) return s->scaled_points == s->points ? s->mase : s->pinball[FTL_SCORED_LEVELS / 2];
    for (size_t k = 0; k < FTL_SCORED_LEVELS; k++) loss += s->pinball[k];
    return loss;
}

static ftl_status judge(const plan *p, candidate *c, ftl_error *err)
{
    ftl_config *config = NULL;
    ftl_error why = {FTL_OK, ""};
    fi_sums total = {0};
    ftl_scores scores = {0};
    ftl_status st = candidate_config(c, p->season, &config, &why);
    for (size_t w = 0; w < p->windows && !st; w++)
        st = judge_window(p, config, p->n - (p->windows - w) * p->horizon, &total, &why);
    ftl_config_free(config);
    if (st && !is_refusal(st)) return fi_fail(err, st, "%s", why.message);
    if (st) {
        snprintf(c->note, sizeof c->note, "%.*s", WHY_MAX - 1, why.message);
    } else if (total.points > 0) {
        fi_sums_finish(&total, &scores);
        c->loss = loss_of(&total, p->config->metric);
        c->score = p->config->metric == METRIC_MASE ? scores.mase : scores.wql;
        if (!isfinite(c->score)) c->score = NAN;
    } else {
        snprintf(c->note, sizeof c->note, "nothing is observed in the windows");
    }
    return FTL_OK;
}

/* The judged candidate of least loss that is not yet taken, the earlier one of equals; NULL: none is left. */
static candidate *best_left(const auto_model *m, const bool *taken)
{
    candidate *best = NULL;
    for (size_t i = 0; i < m->n; i++) {
        candidate *c = &m->candidates[i];
        if (!taken[i] && !isnan(c->loss) && (!best || c->loss < best->loss)) best = c;
    }
    return best;
}

/* ---- the fit ---------------------------------------------------------------------------------------------------- */

/* Fits a candidate to all of the history and makes it a member; a refusal goes to its note. */
static ftl_status engage(const plan *p, auto_model *m, candidate *c, double weight, ftl_error *err)
{
    ftl_config *config = NULL;
    ftl_series *all = NULL;
    ftl_error why = {FTL_OK, ""};
    member *to = &m->members[m->n_members];
    ftl_status st = candidate_config(c, p->season, &config, &why);
    if (!st) st = cut_series(p, p->n, &all, &why);
    if (!st) st = ftl_model_fit(config, all, p->args, &to->model, &why);
    if (!st) {
        to->weight = weight;
        to->candidate = (size_t)(c - m->candidates);
        m->n_members++;
        m->capabilities &= ftl_model_capabilities(to->model);
    }
    ftl_series_free(all);
    ftl_config_free(config);
    if (!st) return FTL_OK;
    snprintf(c->note, sizeof c->note, "%.*s", WHY_MAX - 1, why.message);
    return is_refusal(st) ? FTL_OK : fi_fail(err, st, "%s", why.message);
}

/* The best ones, as many as the combination takes: after the first only those that beat seasonal naive. */
static ftl_status engage_best(const plan *p, auto_model *m, ftl_error *err)
{
    bool taken[MOST] = {false};
    size_t most = p->config->combine == COMBINE_WEIGHTED ? MOST_MEMBERS : 1;
    double baseline = m->candidates[0].loss;
    ftl_status st = FTL_OK;
    while (!st && m->n_members < most) {
        candidate *c = best_left(m, taken);
        if (!c || (m->n_members && !(c->loss < baseline))) break;
        taken[c - m->candidates] = true;
        st = engage(p, m, c, c->loss > 0 ? 1 / c->loss : 1, err);
        if (c->loss <= 0) break; /* nothing is better than none */
    }
    double total = 0;
    for (size_t i = 0; i < m->n_members; i++) total += m->members[i].weight;
    for (size_t i = 0; i < m->n_members; i++) m->members[i].weight /= total;
    return st;
}

/* Nobody could be judged: the first that can be fitted at all. */
static ftl_status engage_any(const plan *p, auto_model *m, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < m->n && !st && !m->n_members; i++) st = engage(p, m, &m->candidates[i], 1, err);
    if (!st && !m->n_members)
        st = fi_fail(err, FTL_EDATA, "series '%s': no candidate could be fitted; %s", p->series->id,
                     m->candidates[0].note);
    return st;
}

static const char *metric_name(int metric)
{
    return metric == METRIC_MASE ? "MASE" : "WQL";
}

static void put_score(fi_buf *text, const candidate *c, int metric)
{
    if (isnan(c->score))
        fi_buf_printf(text, "%s", c->spec);
    else
        fi_buf_printf(text, "%s (%s %.4g)", c->spec, metric_name(metric), c->score);
}

/* The sentence that tells what was chosen and why. */
static ftl_status explain_choice(auto_model *m, ftl_error *err)
{
    fi_buf text = {0};
    for (size_t i = 0; i < m->n_members; i++) {
        fi_buf_text(&text, i ? " + " : "auto chose ");
        put_score(&text, &m->candidates[m->members[i].candidate], m->metric);
    }
    if (!m->windows) {
        fi_buf_text(&text, ": the series is too short to judge candidates by");
    } else {
        fi_buf_printf(&text, ": the best of %zu over %zu window%s of %zu step%s", m->n, m->windows,
                      m->windows == 1 ? "" : "s", m->horizon, m->horizon == 1 ? "" : "s");
        if (m->members[0].candidate) {
            fi_buf_text(&text, ", against ");
            put_score(&text, &m->candidates[0], m->metric);
        }
    }
    if (!text.failed) {
        m->why = text.data;
        return FTL_OK;
    }
    fi_buf_release(&text);
    return fi_fail_memory(err);
}

static void auto_free(void *model)
{
    auto_model *m = model;
    if (!m) return;
    for (size_t i = 0; i < MOST_MEMBERS; i++) ftl_model_free(m->members[i].model);
    fi_free(m->candidates);
    fi_free(m->why);
    fi_free(m);
}

static ftl_status auto_new(auto_model **out, ftl_error *err)
{
    auto_model *m = *out = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    m->capabilities = ABILITIES;
    m->candidates = fi_calloc(MOST, sizeof *m->candidates);
    return m->candidates ? FTL_OK : fi_fail_memory(err);
}

static ftl_status auto_fit(const void *config, const ftl_series *series, const ftl_fit_args *args, void **out,
                           ftl_error *err)
{
    const auto_config *c = config;
    size_t season = c->season ? (size_t)c->season : ftl_freq_season(args->freq);
    plan p = {.config = c, .series = series, .args = args, .y = fi_series_y(series), .n = series->n_obs};
    auto_model *m;
    p.season = season;
    lay_windows(&p);
    *out = NULL;
    ftl_status st = auto_new(&m, err);
    if (!st) {
        m->metric = c->metric;
        m->windows = p.windows;
        m->horizon = p.horizon;
        st = choose_candidates(&p, m, err);
    }
    for (size_t i = 0; !st && p.windows && i < m->n; i++)
        if (!*m->candidates[i].note) st = judge(&p, &m->candidates[i], err);
    if (!st) st = engage_best(&p, m, err);
    if (!st && !m->n_members) {
        m->windows = 0;
        st = engage_any(&p, m, err);
    }
    if (!st) st = explain_choice(m, err);
    if (!st) {
        *out = m;
        m = NULL;
    }
    auto_free(m);
    return st;
}

/* ---- predict ---------------------------------------------------------------------------------------------------- */

/* Adds weight times `from` to `to`, which `first` clears. */
static void add_weighted(double *to, const double *from, size_t n, double weight, bool first)
{
    for (size_t i = 0; i < n; i++) to[i] = (first ? 0 : to[i]) + weight * from[i];
}

/* How many of n paths the members up to and with i draw. */
static size_t paths_up_to(const auto_model *m, size_t i, size_t n)
{
    double share = 0;
    for (size_t k = 0; k <= i; k++) share += m->members[k].weight;
    return i + 1 == m->n_members ? n : (size_t)fmin((double)n, share * (double)n + 0.5);
}

/*
 * Joins the forecast of member i to that of the first: quantiles and points are weighted means, of the paths each member
 * gives its share.
 */
static void join(const auto_model *m, size_t i, ftl_forecast *to, const ftl_forecast *from)
{
    double weight = m->members[i].weight;
    size_t n_samples = to->n_samples, begin = n_samples && i ? paths_up_to(m, i - 1, n_samples) : 0;
    size_t end = n_samples ? paths_up_to(m, i, n_samples) : 0;
    add_weighted(to->point, from->point, to->n_rows, weight, i == 0);
    add_weighted(to->q, from->q, to->n_rows * to->n_levels, weight, i == 0);
    for (size_t r = 0; r < to->n_rows; r++)
        for (size_t s = begin; s < end; s++) to->samples[r * n_samples + s] = from->samples[r * n_samples + s];
}

static ftl_status auto_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err)
{
    const auto_model *m = model;
    ftl_forecast *fc = NULL;
    *out = NULL;
    ftl_status st = ftl_model_predict(m->members[0].model, args, &fc, err);
    for (size_t i = 0; i < m->n_members && m->n_members > 1 && !st; i++) {
        ftl_forecast *own = NULL;
        if (i) st = ftl_model_predict(m->members[i].model, args, &own, err);
        if (!st) join(m, i, fc, i ? own : fc);
        ftl_forecast_free(own);
    }
    if (st) {
        ftl_forecast_free(fc);
        fc = NULL;
    }
    *out = fc;
    return st;
}

static unsigned auto_model_capabilities(const void *model)
{
    return ((const auto_model *)model)->capabilities;
}

static size_t auto_reach(const void *model)
{
    const auto_model *m = model;
    size_t least = 0;
    for (size_t i = 0; i < m->n_members; i++) {
        size_t reach = ftl_model_reach(m->members[i].model);
        if (reach && (!least || reach < least)) least = reach;
    }
    return least;
}

/* ---- files and explanations ------------------------------------------------------------------------------------- */

static const char *auto_remark(const void *model)
{
    return ((const auto_model *)model)->why;
}

static const char *auto_warning(const void *model, size_t i)
{
    const auto_model *m = model;
    for (size_t k = 0; k < m->n_members; k++) {
        size_t n = ftl_model_n_warnings(m->members[k].model);
        if (i < n) return ftl_model_warning(m->members[k].model, i);
        i -= n;
    }
    return NULL;
}

static json_t *candidates_json(const auto_model *m)
{
    json_t *array = json_array();
    int bad = 0;
    for (size_t i = 0; i < m->n; i++) {
        const candidate *c = &m->candidates[i];
        json_t *row = json_object();
        bad |= json_object_set_new(row, "model", json_string(c->spec));
        bad |= json_object_set_new(row, "score", fi_json_real(c->score));
        bad |= json_object_set_new(row, "loss", fi_json_real(c->loss));
        if (*c->note) bad |= json_object_set_new(row, "note", json_string(c->note));
        bad |= json_array_append_new(array, row);
    }
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

/* A member with the text that `write` makes of its model, as JSON. */
static ftl_status member_json(const auto_model *m, size_t i,
                              ftl_status (*write)(const ftl_model *, char **, ftl_error *), json_t **out,
                              ftl_error *err)
{
    char *text = NULL;
    json_t *model = NULL;
    *out = NULL;
    ftl_status st = write(m->members[i].model, &text, err);
    if (!st) st = fi_json_parse(text, strlen(text), "member", &model, err);
    ftl_text_free(text);
    if (st) return st;
    *out = json_object();
    int bad = json_object_set_new(*out, "weight", json_real(m->members[i].weight));
    bad |= json_object_set_new(*out, "candidate", json_integer((json_int_t)m->members[i].candidate));
    bad |= json_object_set_new(*out, "model", model);
    if (!bad) return FTL_OK;
    json_decref(*out);
    *out = NULL;
    return fi_fail_memory(err);
}

static ftl_status model_json(const auto_model *m, ftl_status (*write)(const ftl_model *, char **, ftl_error *),
                             json_t **out, ftl_error *err)
{
    json_t *object = json_object(), *members = json_array();
    int bad = 0;
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < m->n_members && !st; i++) {
        json_t *own = NULL;
        st = member_json(m, i, write, &own, err);
        if (!st) bad |= json_array_append_new(members, own);
    }
    bad |= json_object_set_new(object, "why", json_string(m->why));
    bad |= json_object_set_new(object, "metric", json_string(metric_name(m->metric)));
    bad |= json_object_set_new(object, "windows", json_integer((json_int_t)m->windows));
    bad |= json_object_set_new(object, "horizon", json_integer((json_int_t)m->horizon));
    bad |= json_object_set_new(object, "candidates", candidates_json(m));
    bad |= json_object_set_new(object, "members", members);
    if (!st && bad) st = fi_fail_memory(err);
    *out = st ? NULL : object;
    if (st) json_decref(object);
    return st;
}

static ftl_status auto_save(const void *model, json_t **out, ftl_error *err)
{
    return model_json(model, ftl_model_save_text, out, err);
}

static ftl_status auto_explain(const void *model, json_t **out, ftl_error *err)
{
    const auto_model *m = model;
    int bad = 0;
    ftl_status st = model_json(m, ftl_model_explain, out, err);
    if (st) return st;
    json_t *warnings = json_array();
    const char *text;
    for (size_t i = 0; (text = auto_warning(m, i)); i++) bad |= json_array_append_new(warnings, json_string(text));
    bad |= json_object_set_new(*out, "warnings", warnings);
    if (!bad) return FTL_OK;
    json_decref(*out);
    *out = NULL;
    return fi_fail_memory(err);
}

static ftl_status load_candidate(const json_t *row, candidate *c, ftl_error *err)
{
    const char *spec, *note = json_string_value(json_object_get(row, "note"));
    ftl_status st = fi_json_get_text(row, "model", &spec, err);
    if (!st) st = fi_json_get_real(row, "score", &c->score, err);
    if (!st) st = fi_json_get_real(row, "loss", &c->loss, err);
    if (st) return st;
    if (strlen(spec) >= sizeof c->spec) return fi_fail(err, FTL_EDATA, "key 'model' is longer than %d", SPEC_MAX - 1);
    strcpy(c->spec, spec);
    snprintf(c->note, sizeof c->note, "%s", note ? note : "");
    return FTL_OK;
}

/* A nested model; never an auto within an auto, which would have no end in a hostile file. */
static ftl_status load_member(const json_t *row, auto_model *m, ftl_error *err)
{
    member *to = &m->members[m->n_members++];
    const json_t *object = json_object_get(row, "model");
    const char *name = json_string_value(json_object_get(json_object_get(object, "foretell"), "model"));
    int64_t place = 0;
    fi_buf text = {0};
    ftl_status st = fi_json_get_real(row, "weight", &to->weight, err);
    if (!st) st = fi_json_get_int(row, "candidate", &place, err);
    if (st) return st;
    to->candidate = (size_t)place;
    if (!(to->weight > 0 && to->weight <= 1) || place < 0 || to->candidate >= m->n || !json_is_object(object) ||
        (name && ftl_forecaster_find(name) == &auto_forecaster))
        return fi_fail(err, FTL_EDATA, "key 'members' must hold models with weights up to 1 and places of candidates");
    fi_json_write(object, &text);
    st = text.failed ? fi_fail_memory(err) : ftl_model_load_text(text.data, text.size, "member", &to->model, err);
    fi_buf_release(&text);
    if (!st) m->capabilities &= ftl_model_capabilities(to->model);
    return st;
}

static ftl_status auto_load(const json_t *object, void **out, ftl_error *err)
{
    const json_t *candidates = json_object_get(object, "candidates"), *members = json_object_get(object, "members");
    const char *metric, *why;
    int64_t windows, horizon;
    auto_model *m;
    *out = NULL;
    ftl_status st = auto_new(&m, err);
    if (!st) st = fi_json_get_text(object, "metric", &metric, err);
    if (!st) st = fi_json_get_text(object, "why", &why, err);
    if (!st) st = fi_json_get_int(object, "windows", &windows, err);
    if (!st) st = fi_json_get_int(object, "horizon", &horizon, err);
    size_t n = json_array_size(candidates), n_members = json_array_size(members);
    if (!st && (!n || n > MOST || !n_members || n_members > MOST_MEMBERS || windows < 0 || horizon < 0))
        st = fi_fail(err, FTL_EDATA, "keys 'candidates', 'members', 'windows' and 'horizon' do not go together");
    for (; !st && m->n < n; m->n++) st = load_candidate(json_array_get(candidates, m->n), &m->candidates[m->n], err);
    for (size_t i = 0; i < n_members && !st; i++) st = load_member(json_array_get(members, i), m, err);
    if (!st) {
        m->metric = strcmp(metric, metric_name(METRIC_MASE)) ? METRIC_WQL : METRIC_MASE;
        m->windows = (size_t)windows;
        m->horizon = (size_t)horizon;
        m->why = fi_strdup(why);
        if (!m->why) st = fi_fail_memory(err);
    }
    if (!st) {
        *out = m;
        m = NULL;
    }
    auto_free(m);
    return st;
}

const ftl_forecaster auto_forecaster = {
    .name = "auto",
    .summary = "the best of several models on the last windows of each series, or their weighted combination",
    .source = "Tashman (2000), Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16",
    .capabilities = ABILITIES,
    .options = auto_options,
    .n_options = sizeof auto_options / sizeof *auto_options,
    .config_size = sizeof(auto_config),
    .check = auto_check,
    .config_capabilities = auto_capabilities,
    .model_capabilities = auto_model_capabilities,
    .fit = auto_fit,
    .predict = auto_predict,
    .save = auto_save,
    .load = auto_load,
    .explain = auto_explain,
    .free = auto_free,
    .reach = auto_reach,
    .warning = auto_warning,
    .remark = auto_remark,
};
