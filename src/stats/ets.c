/*
 * The forecasters of exponential smoothing: AutoETS chooses a form by information criterion as R's ets() does; SES, Holt,
 * damped Holt and Holt-Winters are forms fixed beforehand. ets_run.c has the recursions, ets_fit.c the likelihood.
 */
#include "stats/ets.h"

#include "base/alloc.h"
#include "base/error.h"
#include "stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct ets_config {
    fi_local_config local;
    char *model;
    int damped, ic, bounds, seasonal;
    bool multiplicative_trend, restricted;
    int64_t max_season;
} ets_config;
enum { DAMPED_AUTO, DAMPED_YES, DAMPED_NO };
enum { IC_AICC, IC_AIC, IC_BIC };

typedef struct ets_state {
    char form[8];                          /* "AAdN" */
    double alpha, beta, gamma, phi, sigma; /* NaN: the form has none */
    double loglik, aic, aicc, bic;
    double start_level, start_growth, level, growth;
    double *start_season, *season, *criteria; /* [m] by place, [m], [FI_ETS_FORMS] NaN = not tried */
    size_t n_season, n_criteria, season_ignored;
} ets_state;
static const fi_state_field ets_fields[] = {
    FI_FIELD_STRING(ets_state, form),
    FI_FIELD(ets_state, alpha, FI_FIELD_REAL),
    FI_FIELD(ets_state, beta, FI_FIELD_REAL),
    FI_FIELD(ets_state, gamma, FI_FIELD_REAL),
    FI_FIELD(ets_state, phi, FI_FIELD_REAL),
    FI_FIELD(ets_state, sigma, FI_FIELD_REAL),
    FI_FIELD(ets_state, loglik, FI_FIELD_REAL),
    FI_FIELD(ets_state, aic, FI_FIELD_REAL),
    FI_FIELD(ets_state, aicc, FI_FIELD_REAL),
    FI_FIELD(ets_state, bic, FI_FIELD_REAL),
    FI_FIELD(ets_state, start_level, FI_FIELD_REAL),
    FI_FIELD(ets_state, start_growth, FI_FIELD_REAL),
    FI_FIELD(ets_state, level, FI_FIELD_REAL),
    FI_FIELD(ets_state, growth, FI_FIELD_REAL),
    FI_FIELD_ARRAY(ets_state, start_season, n_season),
    FI_FIELD_ARRAY(ets_state, season, n_season),
    FI_FIELD_ARRAY(ets_state, criteria, n_criteria),
    {"season_ignored", FI_FIELD_COUNT, offsetof(ets_state, season_ignored), 0, true},
};

/* ---- forms by name ---------------------------------------------------------------------------------------------- */

static const char *const trend_names[] = {"N", "A", "Ad", "M", "Md"};
static const char season_names[] = "NAAMM"; /* by the same enum; the season has no damping */

static fi_ets_form form_at(size_t i)
{
    return (fi_ets_form){i / 15 == 1, (fi_ets_trend)(i / 3 % 5), i % 3 == 2 ? FI_ETS_MUL : (fi_ets_trend)(i % 3)};
}

static void write_form(fi_ets_form form, char *text, size_t room)
{
    snprintf(text, room, "%c%s%c", form.mul_error ? 'M' : 'A', trend_names[form.trend], season_names[form.season]);
}

static bool read_form(const char *text, fi_ets_form *form)
{
    for (size_t i = 0; i < FI_ETS_FORMS; i++) {
        char name[8];
        *form = form_at(i);
        write_form(*form, name, sizeof name);
        if (!strcmp(name, text)) return true;
    }
    return false;
}

/* What may be chosen: a letter of A, M, N or Z (any) each for error, trend and season; damping apart. */
typedef struct choice {
    char error, trend, season;
    int damped;
} choice;

static bool read_choice(const char *model, int damped, choice *c)
{
    size_t n = strlen(model);
    bool d = n == 4 && model[2] == 'd';
    if (n != 3 && !d) return false;
    *c = (choice){model[0], model[1], model[n - 1], d ? DAMPED_YES : damped};
    return strchr("AMZ", c->error) && strchr("NAMZ", c->trend) && strchr("NAMZ", c->season);
}

static bool allows(char asked, char letter)
{
    return asked == 'Z' || asked == letter;
}

/* Is a form among those asked for? Restricted: not those whose variance is infinite or ill-conditioned (R's rules). */
static bool may_be(const ets_config *c, const choice *asked, fi_ets_form form)
{
    bool damped = fi_ets_damped(form), mul_trend = fi_ets_mul_trend(form), mul_season = form.season == FI_ETS_MUL;
    if (!allows(asked->error, form.mul_error ? 'M' : 'A') || !allows(asked->trend, trend_names[form.trend][0]) ||
        !allows(asked->season, season_names[form.season]))
        return false;
    if (form.trend && asked->damped == (damped ? DAMPED_NO : DAMPED_YES)) return false;
    if (!form.trend && asked->damped == DAMPED_YES) return false;
    if (mul_trend && asked->trend == 'Z' && !c->multiplicative_trend) return false;
    if (!c->restricted) return true;
    if (!form.mul_error) return !mul_trend && !mul_season;
    return !(mul_trend && form.season == FI_ETS_ADD);
}

/* ---- choosing --------------------------------------------------------------------------------------------------- */

/* The price of a criterion: what is added to -2 log L. Infinite where the series is too short for the parameters. */
static double price(int ic, size_t observed, size_t parameters)
{
    double n = (double)observed, k = (double)parameters + 1; /* sigma too */
    if (parameters + 2 > observed) return INFINITY;
    if (ic == IC_BIC) return k * log(n);
    return 2 * k + (ic == IC_AIC ? 0 : 2 * k * (k + 1) / (n - k - 1));
}

static ftl_status copy_season(ets_state *s, const fi_ets_fit *best, size_t m, ftl_error *err)
{
    s->n_season = best->form.season ? m : 0;
    s->start_season = fi_alloc(s->n_season, sizeof(double));
    s->season = fi_alloc(s->n_season, sizeof(double));
    if (!s->start_season || !s->season) return fi_fail_memory(err);
    for (size_t i = 0; i < s->n_season; i++) s->season[i] = s->start_season[i] = best->start.season[i];
    return FTL_OK;
}

/* The model that a state holds, its states those at the start or the end. */
static fi_ets_values values_of(const ets_state *s, bool end)
{
    return (fi_ets_values){.alpha = s->alpha,
                           .beta = isnan(s->beta) ? 0 : s->beta,
                           .gamma = isnan(s->gamma) ? 0 : s->gamma,
                           .phi = isnan(s->phi) ? 1 : s->phi,
                           .level = end ? s->level : s->start_level,
                           .growth = end ? s->growth : s->start_growth,
                           .season = end ? s->season : s->start_season};
}

/* Runs a state over the history; pass->f and end [n_season, the states there] are the caller's until *memory is freed. */
static ftl_status run_state(const ets_state *s, fi_ets_form form, const fi_history *past, fi_ets_pass *pass,
                            fi_ets_values *end, double **memory, ftl_error *err)
{
    size_t n = past->n;
    double criterion;
    double *at = *memory = fi_alloc(5 * n + s->n_season, sizeof *at);
    if (!at) return fi_fail_memory(err);
    *pass = (fi_ets_pass){.y = past->y, .n = n, .m = s->n_season ? s->n_season : 1, .observed = 1, .floor = 1};
    pass->level = at, pass->growth = at + n, pass->season = at + 2 * n, pass->f = at + 3 * n, pass->e = at + 4 * n;
    *end = values_of(s, false);
    end->season = at + 5 * n;
    if (s->n_season) memcpy(end->season, s->start_season, s->n_season * sizeof *end->season);
    if (fi_ets_run(form, pass, end, &criterion)) return FTL_OK;
    return fi_fail(err, FTL_ENUMERIC, "series '%s': its values are too large or too small for ETS; scale them",
                   past->id);
}

static ftl_status keep(ets_state *s, const fi_ets_fit *best, const fi_history *past, size_t observed, ftl_error *err)
{
    fi_ets_form form = best->form;
    fi_ets_pass pass;
    fi_ets_values end;
    double *memory = NULL;
    write_form(form, s->form, sizeof s->form);
    s->alpha = best->start.alpha;
    s->beta = form.trend ? best->start.beta : NAN;
    s->gamma = form.season ? best->start.gamma : NAN;
    s->phi = fi_ets_damped(form) ? best->start.phi : NAN;
    s->sigma = sqrt(best->sum_squares / (double)(observed - best->parameters));
    s->loglik = -0.5 * best->criterion;
    s->aic = best->criterion + price(IC_AIC, observed, best->parameters);
    s->aicc = best->criterion + price(IC_AICC, observed, best->parameters);
    s->bic = best->criterion + price(IC_BIC, observed, best->parameters);
    s->start_level = best->start.level;
    s->start_growth = best->start.growth;
    ftl_status st = copy_season(s, best, past->season, err);
    if (!st) st = run_state(s, form, past, &pass, &end, &memory, err);
    if (!st) {
        s->level = end.level;
        s->growth = end.growth;
        if (s->n_season) memcpy(s->season, end.season, s->n_season * sizeof *s->season);
    }
    fi_free(memory);
    return st;
}

/*
 * Fits the forms that may be, and keeps the best by the criterion; s->form stays "" if there is none. `only`: the form
 * is wanted whatever its price.
 */
static ftl_status choose(const ets_config *c, const choice *asked, bool only, const fi_history *past, ets_state *s,
                         ftl_error *err)
{
    size_t observed = 0, m = past->season;
    bool positive = true;
    double least = INFINITY, *seasons = fi_alloc(2 * m, sizeof *seasons);
    fi_ets_fit best = {.start.season = seasons}, trial = {.start.season = seasons + m};
    fi_ets_fitter *fitter = NULL;
    for (size_t t = 0; t < past->n; t++) {
        observed += isnan(past->y[t]) ? 0 : 1;
        if (past->y[t] <= 0) positive = false;
    }
    ftl_status st = seasons ? fi_ets_fitter_new(past, (fi_ets_bounds)c->bounds, &fitter, err) : fi_fail_memory(err);
    for (size_t i = 0; i < FI_ETS_FORMS && !st; i++) {
        fi_ets_form form = form_at(i);
        size_t parameters = fi_ets_parameters(form, m);
        double cost = only ? 0 : price(c->ic, observed, parameters);
        bool fits = !(form.season && m == 1) && !(form.mul_error && !positive) && parameters < observed;
        if (!may_be(c, asked, form) || !fits || isinf(cost)) continue;
        st = fi_history_go_on(past, err);
        if (!st) st = fi_ets_fit_form(fitter, form, least - cost, &trial, err);
        if (st) break;
        if (isfinite(trial.criterion)) s->criteria[i] = trial.criterion + cost;
        if (!(trial.criterion + cost < least)) continue;
        least = trial.criterion + cost;
        fi_ets_fit old = best;
        best = trial;
        trial = old;
    }
    if (!st && isfinite(least)) st = keep(s, &best, past, observed, err);
    fi_ets_fitter_free(fitter);
    fi_free(seasons);
    return st;
}

/* A choice for a history whose season is 1 where it is not to be modelled. */
static ftl_status choose_within(const ets_config *c, const char *model, int damped, size_t max_season,
                                const fi_history *past, ets_state *s, ftl_error *err)
{
    fi_history own = *past;
    choice asked;
    s->n_criteria = FI_ETS_FORMS;
    s->criteria = fi_alloc(s->n_criteria, sizeof *s->criteria);
    if (!s->criteria) return fi_fail_memory(err);
    for (size_t i = 0; i < s->n_criteria; i++) s->criteria[i] = NAN;
    if (own.season > max_season) {
        s->season_ignored = own.season;
        own.season = 1;
    }
    read_choice(model, damped, &asked);
    if (own.season == 1) asked.season = 'N';
    bool exact = !strchr(model, 'Z'), one = exact && (asked.damped != DAMPED_AUTO || asked.trend == 'N');
    ftl_status st = choose(c, &asked, one, &own, s, err);
    if (st || *s->form) return st;
    asked = exact ? asked : (choice){'A', 'N', 'N', DAMPED_NO}; /* too short for any price: the simplest there is */
    if (!one) st = choose(c, &asked, true, &own, s, err);
    if (st || *s->form) return st;
    return fi_fail(
        err, FTL_EDATA,
        "series '%s': it has too few observations for the ETS model %s, or values that are not positive under "
        "a multiplicative one; choose a simpler model",
        past->id, model);
}

static ftl_status auto_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const ets_config *c = config;
    return choose_within(c, c->model, c->damped, (size_t)c->max_season, past, state, err);
}

/* A form fixed beforehand. Forms that R would not choose by itself are not refused. */
static ftl_status fixed_fit(const void *config, const char *model, int damped, const fi_history *past, void *state,
                            ftl_error *err)
{
    ets_config c = {.local = ((const ets_config *)config)->local};
    return choose_within(&c, model, damped, FI_ETS_MAX_SEASON, past, state, err);
}

static ftl_status ses_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    return fixed_fit(config, "ANN", DAMPED_NO, past, state, err);
}

static ftl_status holt_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    return fixed_fit(config, "AAN", DAMPED_NO, past, state, err);
}

static ftl_status damped_holt_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    return fixed_fit(config, "AAN", DAMPED_YES, past, state, err);
}

static ftl_status holt_winters_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const ets_config *c = config;
    return fixed_fit(config, c->seasonal ? "MAM" : "AAA", c->damped ? DAMPED_YES : DAMPED_NO, past, state, err);
}

/* ---- predicting ------------------------------------------------------------------------------------------------- */

static fi_ets_form form_of(const ets_state *s)
{
    fi_ets_form form;
    read_form(s->form, &form); /* checked when it was loaded */
    return form;
}

static size_t season_of(const ets_state *s)
{
    return s->n_season ? s->n_season : 1;
}

static ftl_status ets_predict(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean,
                              double *sd, ftl_error *err)
{
    const ets_state *s = state;
    size_t m = season_of(s), room = 5 * m > ahead->horizon ? 5 * m : ahead->horizon;
    fi_ets_values end = values_of(s, true);
    double *work = fi_alloc(room, sizeof *work);
    if (!work) return fi_fail_memory(err);
    fi_ets_moments(form_of(s), &end, m, past->n % m, s->sigma, ahead->horizon, mean, sd, work);
    fi_free(work);
    return FTL_OK;
}

static void ets_path(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                     double *work)
{
    const ets_state *s = state;
    fi_ets_values end = values_of(s, true);
    fi_ets_draw(form_of(s), &end, season_of(s), past->n % season_of(s), s->sigma, ahead->horizon, rng, path, work);
}

static size_t ets_path_work(const void *state, const fi_history *past)
{
    (void)past;
    return season_of(state);
}

static ftl_status ets_fitted(const void *state, const fi_history *past, double *fitted, double *sd, ftl_error *err)
{
    const ets_state *s = state;
    fi_ets_pass pass;
    fi_ets_values end;
    double *memory = NULL;
    ftl_status st = run_state(s, form_of(s), past, &pass, &end, &memory, err);
    if (!st) {
        memcpy(fitted, pass.f, past->n * sizeof *fitted);
        for (size_t t = 0; t < past->n; t++) pass.e[t] = past->y[t] - fitted[t];
        *sd = fi_rms(pass.e, past->n);
    }
    fi_free(memory);
    return st;
}

/* ---- files and words -------------------------------------------------------------------------------------------- */

static bool sound_states(fi_ets_form form, double level, double growth, const double *season, size_t m)
{
    bool fine = isfinite(level) && isfinite(growth);
    if (fi_ets_mul_trend(form)) fine = fine && level > 0 && growth > 0;
    for (size_t i = 0; form.season && i < m; i++)
        fine = fine && isfinite(season[i]) && (form.season == FI_ETS_ADD || season[i] > 0);
    return fine;
}

static ftl_status ets_check(const void *state, const fi_history *past, ftl_error *err)
{
    const ets_state *s = state;
    fi_ets_form form;
    bool fine = read_form(s->form, &form) && s->n_season == (form.season ? past->season : 0) && s->sigma >= 0;
    fine = fine && (s->n_criteria == FI_ETS_FORMS) && isfinite(s->alpha) && (!form.trend || isfinite(s->beta)) &&
           (!form.season || isfinite(s->gamma)) && (!fi_ets_damped(form) || isfinite(s->phi));
    fine = fine && sound_states(form, s->start_level, s->start_growth, s->start_season, s->n_season) &&
           sound_states(form, s->level, s->growth, s->season, s->n_season);
    return fine ? FTL_OK : fi_fail(err, FTL_EDATA, "the parameters and states of key 'form' do not go together");
}

static const char *ets_warning(const void *state, size_t i)
{
    const ets_state *s = state;
    return i == 0 && s->season_ignored
               ? "the season is longer than max_season and was left out; choose mstl, or a larger "
                 "max_season"
               : NULL;
}

/* The criteria of the forms tried. */
static ftl_status ets_explain(const void *state, json_t *object, ftl_error *err)
{
    const ets_state *s = state;
    json_t *tried = json_object();
    int bad = 0;
    for (size_t i = 0; i < s->n_criteria; i++) {
        char name[8];
        write_form(form_at(i), name, sizeof name);
        if (!isnan(s->criteria[i])) bad |= json_object_set_new(tried, name, fi_json_real(s->criteria[i]));
    }
    bad |= json_object_set_new(object, "tried", tried);
    return bad ? fi_fail_memory(err) : FTL_OK;
}

static ftl_status auto_check(const void *config, ftl_error *err)
{
    const ets_config *c = config;
    choice asked;
    if (!read_choice(c->model, c->damped, &asked))
        return fi_fail(
            err, FTL_EINVAL,
            "model '%s': three letters are expected for error (A, M or Z), trend and season (N, A, M or Z), as "
            "ZZZ or MAM; AAdN has a damped trend",
            c->model);
    for (size_t i = 0; i < FI_ETS_FORMS; i++)
        if (may_be(c, &asked, form_at(i))) return FTL_OK;
    return fi_fail(err, FTL_EINVAL, "model '%s': no form is left by restricted=true and damped; set restricted=false",
                   c->model);
}

/* ---- the forecasters -------------------------------------------------------------------------------------------- */

#define ETS_METHOD                                                                                                     \
    .state_size = sizeof(ets_state), .fields = ets_fields, .n_fields = sizeof ets_fields / sizeof *ets_fields,         \
    .predict = ets_predict, .path = ets_path, .path_work = ets_path_work, .fitted = ets_fitted, .check = ets_check
#define ETS_SOURCE "Hyndman, Koehler, Ord & Snyder, Forecasting with Exponential Smoothing (Springer 2008)"

static const fi_local_method auto_ets_method = {.name = "auto-ets",
                                                .season_use = FI_SEASON_ONE,
                                                .fit = auto_fit,
                                                .warning = ets_warning,
                                                .explain = ets_explain,
                                                ETS_METHOD};
static const fi_option auto_ets_options[] = {
    FI_SEASON_OPTION,
    FI_OPTION_TEXT(ets_config, model, "ZZZ", "ETS",
                   "letters of error (A, M), trend and season (N, A, M); Z leaves the choice to the criterion"),
    FI_OPTION_CHOICE(ets_config, damped, "auto", "auto|true|false", "whether a trend is damped"),
    FI_OPTION_CHOICE(ets_config, ic, "aicc", "aicc|aic|bic", "information criterion to choose by"),
    FI_OPTION_CHOICE(
        ets_config, bounds, "both", "both|usual|admissible",
        "region of the parameters: the usual one (beta < alpha, gamma < 1 - alpha), the forecastable, or both"),
    FI_OPTION_FLAG(ets_config, multiplicative_trend, "false", "whether Z for the trend tries multiplicative ones"),
    FI_OPTION_FLAG(ets_config, restricted, "true", "whether forms of infinite variance are left out"),
    FI_OPTION_COUNT(ets_config, max_season, "24", 1, FI_ETS_MAX_SEASON, "longer seasons are left out, with a warning"),
};
FI_LOCAL_FORECASTER(auto_ets, ets_config, .name = "auto-ets",
                    .summary = "exponential smoothing, its error, trend and season chosen by information criterion",
                    .source = ETS_SOURCE, .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES,
                    .check = auto_check);

static const fi_local_method ses_method = {.name = "ses", .season_use = FI_SEASON_NONE, .fit = ses_fit, ETS_METHOD};
FI_LOCAL_FORECASTER_PLAIN(ses, .name = "ses", .summary = "simple exponential smoothing: a level", .source = ETS_SOURCE,
                          .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);

static const fi_local_method holt_method = {.name = "holt", .season_use = FI_SEASON_NONE, .fit = holt_fit, ETS_METHOD};
FI_LOCAL_FORECASTER_PLAIN(holt, .name = "holt", .summary = "Holt's smoothing: a level and a trend",
                          .source = ETS_SOURCE, .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);

static const fi_local_method damped_holt_method = {
    .name = "damped-holt", .season_use = FI_SEASON_NONE, .fit = damped_holt_fit, ETS_METHOD};
FI_LOCAL_FORECASTER_PLAIN(damped_holt, .name = "damped-holt", .summary = "Holt's smoothing with a trend that fades",
                          .source = ETS_SOURCE, .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);

static const fi_local_method holt_winters_method = {
    .name = "holt-winters", .season_use = FI_SEASON_ONE, .fit = holt_winters_fit, ETS_METHOD};
static const fi_option holt_winters_options[] = {
    FI_SEASON_OPTION,
    FI_OPTION_CHOICE(ets_config, seasonal, "additive", "additive|multiplicative",
                     "the season: added, or a factor (with errors in proportion; positive values only)"),
    FI_OPTION_CHOICE(ets_config, damped, "false", "false|true", "whether the trend fades"),
};
FI_LOCAL_FORECASTER(holt_winters, ets_config, .name = "holt-winters",
                    .summary = "Holt-Winters' smoothing: a level, a trend and a season", .source = ETS_SOURCE,
                    .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);
