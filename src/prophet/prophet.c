/* The forecaster "prophet": fitting, what a fit tells about itself, and what pictures ask of it. */
#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Cells of a design matrix, 2 GiB: beyond it the options are a mistake. */
static const size_t max_cells = (size_t)1 << 28;

/* ---- fit --------------------------------------------------------------------------------------------------------- */

static ftl_status new_parameters(prophet_model *model, ftl_error *err)
{
    model->k = fi_calloc(1, sizeof *model->k);
    model->m = fi_calloc(1, sizeof *model->m);
    model->sigma_obs = fi_calloc(1, sizeof *model->sigma_obs);
    model->delta = fi_calloc(model->n_changepoints, sizeof *model->delta);
    model->beta = fi_calloc(model->n_columns, sizeof *model->beta);
    bool good = model->k && model->m && model->sigma_obs && model->delta && model->beta;
    return good ? FTL_OK : fi_fail_memory(err);
}

/* Prophet does not optimise a constant series: its starting values fit it exactly. */
static bool is_constant(const prophet_model *model)
{
    const prophet_frame *h = &model->history;
    if (model->config.growth == PROPHET_LOGISTIC) return false;
    for (size_t i = 1; i < h->n; i++)
        if (h->y[i] != h->y[0]) return false;
    return true;
}

static ftl_status constant_fit(const prophet_problem *p, prophet_point *x, prophet_certificate *cert, ftl_error *err)
{
    double *workspace = fi_alloc(3 * p->T, sizeof *workspace);
    if (!workspace) return fi_fail_memory(err);
    x->sigma = 1e-9;
    *cert = (prophet_certificate){.kkt_residual = NAN,
                                  .duality_gap = NAN,
                                  .barrier_sigma = NAN,
                                  .condition = NAN,
                                  .stan_log_posterior = NAN,
                                  .converged = true,
                                  .n_modes = 1};
    cert->log_posterior = cert->exact_log_posterior = prophet_log_posterior(p, x, NULL, workspace);
    snprintf(cert->stop, sizeof cert->stop, "constant series");
    fi_free(workspace);
    return FTL_OK;
}

/* Stan's stopping point, and beside it how far from the optimum it lies. */
static ftl_status stan_fit(const prophet_model *model, const prophet_problem *p, prophet_point *x,
                           prophet_certificate *cert, ftl_error *err)
{
    *cert = prophet_certificate_none();
    ftl_status st = prophet_solve_stan(p, (prophet_algorithm)model->config.algorithm, model->config.max_iterations,
                                       false, x, cert, err);
    if (st) return st;
    double *best = fi_calloc(p->S + p->K, sizeof *best);
    if (!best) return fi_fail_memory(err);
    prophet_point exact = {0, 0, 1, best, best + p->S};
    prophet_certificate other;
    bool converged = cert->converged;      /* by Stan's own rules */
    st = prophet_certify(p, x, cert, err); /* how far the stopping point is from an optimum */
    cert->converged = converged;
    if (!st && prophet_solve_exact(p, &exact, &other, NULL) == FTL_OK) /* stays unknown if the exact solver refuses */
        cert->exact_log_posterior = other.log_posterior;
    fi_free(best);
    return st;
}

static void round_parameters(prophet_model *model)
{
    int digits = (int)model->config.sig_figs;
    if (!digits) return;
    *model->k = prophet_round_significant(*model->k, digits);
    *model->m = prophet_round_significant(*model->m, digits);
    *model->sigma_obs = prophet_round_significant(*model->sigma_obs, digits);
    for (size_t i = 0; i < model->n_changepoints; i++)
        model->delta[i] = prophet_round_significant(model->delta[i], digits);
    for (size_t i = 0; i < model->n_columns; i++) model->beta[i] = prophet_round_significant(model->beta[i], digits);
}

/*
 * Without changepoints the solver still has one, a dummy at t = 0, whose delta belongs to k. For logistic growth
 * k (t - m) + delta t = (k + delta) (t - m') needs m' = m k / (k + delta), which Prophet forgets: solver=stan does too.
 */
static void fold_dummy(prophet_model *model)
{
    if (model->n_changepoint_dates) return;
    double rate = *model->k + *model->delta;
    if (model->config.growth == PROPHET_LOGISTIC && model->config.solver == PROPHET_SOLVER_EXACT) {
        if (rate == 0) return; /* a level curve, which no m' gives; delta stays */
        *model->m *= *model->k / rate;
    }
    *model->k = rate;
    *model->delta = 0;
}

static ftl_status solve(prophet_model *model, ftl_error *err)
{
    const prophet_frame *h = &model->history;
    size_t K = model->n_columns, T = h->n;
    if (K > max_cells / T)
        return fi_fail(err, FTL_EDATA,
                       "%zu rows with %zu columns are too many; lower the Fourier orders or the windows "
                       "of holidays",
                       T, K);
    double *X = fi_alloc(K * T, sizeof *X), *sigmas = fi_alloc(K, sizeof *sigmas);
    bool *multiplicative = fi_alloc(K, sizeof *multiplicative);
    ftl_status st = X && sigmas && multiplicative ? new_parameters(model, err) : fi_fail_memory(err);
    if (!st) st = prophet_features(model, h, X, err);
    for (size_t j = 0; !st && j < K; j++) {
        sigmas[j] = model->columns[j].prior_scale;
        multiplicative[j] = model->columns[j].multiplicative;
    }
    const prophet_problem p = {.T = T,
                               .S = model->n_changepoints,
                               .K = K,
                               .growth = (prophet_growth)model->config.growth,
                               .tau = model->config.changepoint_prior_scale,
                               .y = h->y_scaled,
                               .t = h->t,
                               .cap = h->cap_scaled,
                               .t_change = model->changepoints_t,
                               .X = X,
                               .sigmas = sigmas,
                               .multiplicative = multiplicative};
    if (!st) {
        prophet_point x = {0, 0, 1, model->delta, model->beta};
        prophet_initial_point(&p, &x);
        model->init_k = x.k;
        model->init_m = x.m;
        if (is_constant(model))
            st = constant_fit(&p, &x, &model->certificate, err);
        else if (model->config.solver == PROPHET_SOLVER_STAN)
            st = stan_fit(model, &p, &x, &model->certificate, err);
        else
            st = prophet_solve_exact(&p, &x, &model->certificate, err);
        *model->k = x.k;
        *model->m = x.m;
        *model->sigma_obs = x.sigma;
    }
    fi_free(X);
    fi_free(sigmas);
    fi_free(multiplicative);
    return st;
}

static ftl_status warn_about_fit(prophet_model *model, ftl_error *err)
{
    const prophet_certificate *c = &model->certificate;
    ftl_status st = FTL_OK;
    if (c->degenerate)
        st = prophet_warn(model, err,
                          "the model reproduces the data exactly: its noise has no lower bound and its "
                          "intervals mean nothing; give more rows or use fewer terms");
    if (!st && !c->converged && !c->degenerate)
        st = prophet_warn(model, err, "the optimiser stopped before it converged%s%s", *c->stop ? ": " : "", c->stop);
    return st;
}

ftl_status prophet_find_bends(prophet_model *model, ftl_error *err)
{
    double *mean = prophet_mean_parameters(model);
    model->bends = fi_alloc(model->n_changepoint_dates, sizeof *model->bends);
    ftl_status st = mean && model->bends ? FTL_OK : fi_fail_memory(err);
    ftl_time unit = model->kind == FTL_TIME_INDEX ? FTL_DAY : 1;
    for (size_t i = 0; !st && i < model->n_changepoint_dates; i++)
        if (fabs(mean[3 + i]) >= 0.01) model->bends[model->n_bends++] = model->changepoints[i] / unit;
    fi_free(mean);
    return st;
}

static void free_model(void *model)
{
    if (!model) return;
    prophet_model_release(model);
    fi_free(model);
}

static ftl_status fit(const void *config, const ftl_series *series, const ftl_fit_args *args, void **out,
                      ftl_error *err)
{
    (void)args; /* nothing here is random, and no fit is long enough to report on */
    *out = NULL;
    prophet_model *model = fi_calloc(1, sizeof *model);
    if (!model) return fi_fail_memory(err);
    ftl_status st = prophet_prepare(config, series, model, err);
    if (!st) {
        st = solve(model, err);
        if (st && *ftl_series_id(series)) fi_fail_prefix(err, "series '%s'", ftl_series_id(series));
    }
    if (!st) {
        round_parameters(model);
        fold_dummy(model);
        st = warn_about_fit(model, err);
    }
    if (!st) st = prophet_find_bends(model, err);
    if (!st) {
        *out = model;
        model = NULL;
    }
    free_model(model);
    return st;
}

/* ---- what the fit tells ------------------------------------------------------------------------------------------ */

/* A name that need not be UTF-8. */
static json_t *name_json(const char *name)
{
    json_t *text = json_string(name);
    return text ? text : json_string("?");
}

static json_t *time_json(const prophet_model *model, ftl_time time)
{
    char text[FTL_TIME_TEXT_MAX];
    ftl_time_kind kind = model->kind;
    if (kind == FTL_TIME_INDEX)
        time /= FTL_DAY;
    else if (time % FTL_DAY)
        kind = FTL_TIME_DATETIME;
    ftl_time_format(time, kind, text);
    return json_string(text);
}

static int put_changepoints(json_t *to, const prophet_model *model, const double *delta)
{
    json_t *list = json_array();
    int bad = json_object_set_new(to, "changepoints", list);
    for (size_t i = 0; !bad && i < model->n_changepoint_dates; i++) {
        if (delta[i] == 0) continue;
        json_t *item = json_object();
        bad |= json_array_append_new(list, item);
        bad |= json_object_set_new(item, "ds", time_json(model, model->changepoints[i]));
        bad |= json_object_set_new(item, "t", fi_json_real(model->changepoints_t[i]));
        bad |= json_object_set_new(item, "delta", fi_json_real(delta[i]));
    }
    return bad;
}

/* Regression coefficients in the units of the data, as Prophet's regressor_coefficients(). */
static int put_regressors(json_t *to, const prophet_model *model, const double *beta)
{
    json_t *list = json_array();
    int bad = json_object_set_new(to, "regressors", list);
    for (size_t j = 0; !bad && j < model->n_columns; j++) {
        if (model->columns[j].kind != PROPHET_COL_REGRESSOR) continue;
        const prophet_regressor *r = &model->regressors[model->columns[j].source];
        bool multiplicative = r->mode == PROPHET_MULTIPLICATIVE;
        json_t *item = json_object();
        bad |= json_array_append_new(list, item);
        bad |= json_object_set_new(item, "name", name_json(r->name));
        bad |= json_object_set_new(item, "mode", json_string(multiplicative ? "multiplicative" : "additive"));
        bad |= json_object_set_new(item, "center", fi_json_real(r->mu));
        bad |=
            json_object_set_new(item, "coef", fi_json_real(beta[j] / r->std * (multiplicative ? 1 : model->y_scale)));
    }
    return bad;
}

static int put_seasonalities(json_t *to, const prophet_model *model)
{
    json_t *list = json_array();
    int bad = json_object_set_new(to, "seasonalities", list);
    for (size_t i = 0; !bad && i < model->n_seasonalities; i++) {
        const prophet_seasonality *s = &model->seasonalities[i];
        json_t *item = json_object();
        bad |= json_array_append_new(list, item);
        bad |= json_object_set_new(item, "name", name_json(s->name));
        bad |= json_object_set_new(item, "period_days", fi_json_real(s->period));
        bad |= json_object_set_new(item, "fourier_order", json_integer((json_int_t)s->order));
        bad |= json_object_set_new(item, "prior_scale", fi_json_real(s->prior_scale));
        bad |= json_object_set_new(item, "mode",
                                   json_string(s->mode == PROPHET_MULTIPLICATIVE ? "multiplicative" : "additive"));
    }
    return bad;
}

static int put_parameters(json_t *to, const prophet_model *model, const double *mean)
{
    size_t S = model->n_changepoints;
    json_t *list = json_object(), *beta = json_object();
    int bad = json_object_set_new(to, "parameters", list);
    bad |= json_object_set_new(list, "k", fi_json_real(mean[0]));
    bad |= json_object_set_new(list, "m", fi_json_real(mean[1]));
    bad |= json_object_set_new(list, "sigma_obs", fi_json_real(mean[2]));
    bad |= json_object_set_new(list, "delta", fi_json_reals(mean + 3, S));
    bad |= json_object_set_new(list, "beta", beta);
    for (size_t j = 0; !bad && j < model->n_columns; j++)
        if (json_object_set_new(beta, model->columns[j].name, fi_json_real(mean[3 + S + j])))
            bad |= json_object_set_new_nocheck(beta, "?", fi_json_real(mean[3 + S + j])); /* not UTF-8 */
    return bad;
}

ftl_status prophet_explain(const void *of, json_t **out, ftl_error *err)
{
    static const char *const growths[] = {"linear", "logistic", "flat"};
    const prophet_model *model = of;
    double *mean = prophet_mean_parameters(model);
    json_t *to = json_object(), *warnings = json_array();
    int bad = !mean || !to || !warnings;
    *out = NULL;
    if (!bad) {
        size_t S = model->n_changepoints;
        bad |= json_object_set_new(to, "solver",
                                   model->loaded_version                         ? json_string("python")
                                   : model->config.solver == PROPHET_SOLVER_STAN ? json_string("stan")
                                                                                 : json_string("exact"));
        bad |= json_object_set_new(to, "growth", json_string(growths[model->config.growth]));
        bad |= json_object_set_new(to, "observations", json_integer((json_int_t)model->history.n));
        bad |= json_object_set_new(to, "columns", json_integer((json_int_t)model->n_columns));
        bad |= json_object_set_new(to, "draws", json_integer((json_int_t)model->n_draws));
        bad |= json_object_set_new(to, "y_scale", fi_json_real(model->y_scale));
        bad |= json_object_set_new(to, "sigma_obs", fi_json_real(mean[2]));
        bad |= prophet_certificate_put(to, &model->certificate);
        bad |= put_changepoints(to, model, mean + 3);
        bad |= put_seasonalities(to, model);
        bad |= put_regressors(to, model, mean + 3 + S);
        bad |= put_parameters(to, model, mean);
        for (size_t i = 0; i < model->n_warnings; i++)
            bad |= json_array_append_new(warnings, name_json(model->warnings[i]));
        bad |= json_object_set(to, "warnings", warnings);
    }
    fi_free(mean);
    json_decref(warnings);
    if (bad) {
        json_decref(to);
        return fi_fail_memory(err);
    }
    *out = to;
    return FTL_OK;
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static size_t n_profiles(const void *of)
{
    return ((const prophet_model *)of)->n_seasonalities;
}

static bool is_daily(const prophet_model *model)
{
    const prophet_frame *h = &model->history;
    ftl_time step = INT64_MAX;
    for (size_t i = 1; i < h->n; i++)
        if (h->ds[i] > h->ds[i - 1] && h->ds[i] - h->ds[i - 1] < step) step = h->ds[i] - h->ds[i - 1];
    return step == FTL_DAY;
}

/* The points of Prophet's plots: 7 days of a week where the data are daily, 365 of a year, else 200 over one period. */
static size_t profile_points(const prophet_model *model, const prophet_seasonality *s, double *step_days)
{
    *step_days = 1;
    if ((!strcmp(s->name, "weekly") || s->period == 7) && is_daily(model)) return 7;
    if (!strcmp(s->name, "yearly") || s->period == 365.25) return 365;
    *step_days = s->period / 199;
    return 200;
}

static ftl_status profile(const void *of, size_t i, ftl_profile **out, ftl_error *err)
{
    const prophet_model *model = of;
    const prophet_seasonality *s = &model->seasonalities[i];
    double step;
    size_t n = profile_points(model, s, &step), first = 0;
    ftl_profile *p = fi_calloc(1, sizeof *p);
    double *X = fi_alloc(2 * s->order * n, sizeof *X), *mean = prophet_mean_parameters(model);
    ftl_status st = p && X && mean ? FTL_OK : fi_fail_memory(err);
    if (!st) {
        p->times = fi_alloc(n, sizeof *p->times);
        p->values = fi_calloc(n, sizeof *p->values);
        if (!p->times || !p->values) st = fi_fail_memory(err);
    }
    if (!st) {
        snprintf(p->name, sizeof p->name, "%s", s->name);
        p->period_days = s->period;
        p->multiplicative = s->mode == PROPHET_MULTIPLICATIVE;
        p->n = n;
        ftl_time start = ftl_time_of((ftl_date){2017, 1, 1});
        if (model->kind == FTL_TIME_INDEX) start = 0;
        for (size_t r = 0; r < n; r++) p->times[r] = start + (ftl_time)llround((double)r * step * (double)FTL_DAY);
        prophet_fourier(p->times, n, s->period, s->order, X);
        while (model->columns[first].kind != PROPHET_COL_SEASONAL || model->columns[first].source != i) first++;
        const double *beta = mean + 3 + model->n_changepoints + first;
        double unit = p->multiplicative ? 1 : model->y_scale;
        for (size_t c = 0; c < 2 * s->order; c++)
            for (size_t r = 0; r < n; r++) p->values[r] += unit * beta[c] * X[c * n + r];
        *out = p;
        p = NULL;
    }
    ftl_profile_free(p);
    fi_free(X);
    fi_free(mean);
    return st;
}

static const ftl_time *changepoints(const void *of, size_t *n)
{
    const prophet_model *model = of;
    *n = model->n_bends;
    return model->bends;
}

static const ftl_time *times(const void *of, size_t *n, ftl_time_kind *kind)
{
    const prophet_model *model = of;
    *n = model->n_history_dates;
    *kind = model->kind;
    return model->history_dates;
}

static const char *warning(const void *of, size_t i)
{
    const prophet_model *model = of;
    return i < model->n_warnings ? model->warnings[i] : NULL;
}

const ftl_forecaster prophet_forecaster = {
    .name = "prophet",
    .summary = "additive model: bending trend, seasonalities, holidays, regressors",
    .source = "Taylor & Letham, Forecasting at scale, The American Statistician 72 (2018)",
    .point_kind = "mean",
    .capabilities = FTL_TAKES_REGRESSORS | FTL_TAKES_DUPLICATE_TIMES | FTL_TAKES_IRREGULAR_TIMES | FTL_TAKES_MISSING |
                    FTL_GIVES_COMPONENTS | FTL_GIVES_SAMPLES | FTL_GIVES_HISTORY,
    .options = prophet_options,
    .n_options = PROPHET_N_OPTIONS,
    .config_size = sizeof(prophet_config),
    .check = prophet_config_check,
    .release_config = prophet_config_release,
    .fit = fit,
    .predict = prophet_predict,
    .save = prophet_save,
    .load = prophet_load,
    .explain = prophet_explain,
    .free = free_model,
    .n_profiles = n_profiles,
    .profile = profile,
    .changepoints = changepoints,
    .times = times,
    .warning = warning,
};
