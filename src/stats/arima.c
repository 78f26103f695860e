/*
 * ARIMA with seasons and regressors, orders given or chosen: the forecasters "arima" and "auto-arima".
 *
 * The state keeps the coefficients and what the Kalman filter knows after the last row: the state of that model, and the
 * columns of a factor of its covariance (none, where the past is known well enough). From there mean, variance and paths
 * follow step by step. Variances take the coefficients for certain, as everybody's do.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"
#include "stats/arima_search.h"
#include "stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct arima_state {
    char model[96]; /* "ARIMA(0,1,1)(0,1,1)[12] with drift" */
    size_t p, d, q, P, D, Q, season;
    bool constant;
    size_t n_coef, n_beta, n_filter, n_factor, n_models;
    double *coef;   /* [n_coef] phi, theta, Phi, Theta */
    double *beta;   /* [n_beta] of regressors, then the constant */
    double *filter; /* [n_filter] state of the filter for the row after the last */
    double *factor; /* [n_factor] columns, each [n_filter]: its covariance is sigma2 times their sum of squares */
    double sigma2, loglik, aic, aicc, bic;
    bool approximate, certain, fallback, bridged;
} arima_state;

#define SEASONAL(name, field)                                                                                          \
    {                                                                                                                  \
        name, FI_FIELD_COUNT, offsetof(arima_state, field), 0, false                                                   \
    }
static const fi_state_field arima_fields[] = {
    FI_FIELD_STRING(arima_state, model),
    FI_FIELD(arima_state, p, FI_FIELD_COUNT),
    FI_FIELD(arima_state, d, FI_FIELD_COUNT),
    FI_FIELD(arima_state, q, FI_FIELD_COUNT),
    SEASONAL("seasonal_p", P),
    SEASONAL("seasonal_d", D),
    SEASONAL("seasonal_q", Q),
    SEASONAL("arima_season", season),
    FI_FIELD(arima_state, constant, FI_FIELD_FLAG),
    FI_FIELD(arima_state, sigma2, FI_FIELD_REAL),
    FI_FIELD(arima_state, loglik, FI_FIELD_REAL),
    FI_FIELD(arima_state, aic, FI_FIELD_REAL),
    FI_FIELD(arima_state, aicc, FI_FIELD_REAL),
    FI_FIELD(arima_state, bic, FI_FIELD_REAL),
    FI_FIELD(arima_state, n_models, FI_FIELD_COUNT),
    FI_FIELD(arima_state, approximate, FI_FIELD_FLAG),
    FI_FIELD(arima_state, certain, FI_FIELD_FLAG),
    FI_FIELD(arima_state, fallback, FI_FIELD_FLAG),
    FI_FIELD(arima_state, bridged, FI_FIELD_FLAG),
    {"coefficients", FI_FIELD_REALS, offsetof(arima_state, coef), offsetof(arima_state, n_coef), false},
    {"regression", FI_FIELD_REALS, offsetof(arima_state, beta), offsetof(arima_state, n_beta), false},
    FI_FIELD_ARRAY(arima_state, filter, n_filter),
    FI_FIELD_ARRAY(arima_state, factor, n_factor),
};

static fi_arima_order order_of(const arima_state *s)
{
    return (fi_arima_order){s->p, s->d, s->q, s->P, s->D, s->Q, s->season, s->constant};
}

/* A mean or a drift: beyond one difference a constant has no place. */
static bool has_constant(const arima_state *s)
{
    return s->constant && s->d + s->D < 2;
}

/* What regression and constant say of a row, counted from the first of the history; x are its regressors. */
static double explained(const arima_state *s, const double *x, size_t row)
{
    size_t n_x = s->n_beta - has_constant(s);
    double sum = has_constant(s) ? s->beta[n_x] * (s->d + s->D == 1 ? (double)(row + 1) : 1) : 0;
    for (size_t j = 0; j < n_x; j++) sum += s->beta[j] * x[j];
    return sum;
}

static const double *row_of(const double *x, size_t n_x, size_t row)
{
    return n_x ? x + row * n_x : NULL;
}

/* ---- steps into the future -------------------------------------------------------------------------------------- */

typedef struct stepper {
    fi_arma arma;
    fi_lags diff;
    size_t r, at, place; /* `at` in the ring of w to come, `place` in the ring of values past */
    double *w, *y;       /* [r], [degree of diff] */
} stepper;

static void stepper_init(stepper *k, const arima_state *s, double *work)
{
    fi_arima_order order = order_of(s);
    fi_arima_expand(&order, s->coef, &k->arma);
    fi_difference_lags(s->d, s->D, s->season, &k->diff);
    k->r = fi_arma_dimension(&k->arma);
    k->w = work;
    k->y = work + k->r;
}

/* Starts at sum_j weight[j] columns[j] of states [columns, n_filter]; none is the zero state. */
static void stepper_start(stepper *k, const double *columns, size_t n, const double *weight)
{
    size_t lags = k->diff.degree, size = k->r + lags;
    memset(k->w, 0, size * sizeof *k->w);
    k->at = k->place = 0;
    for (size_t j = 0; j < n; j++) {
        const double *column = columns + j * size;
        for (size_t i = 0; i < k->r; i++) k->w[i] += weight[j] * column[i];
        for (size_t l = 1; l <= lags; l++) k->y[lags - l] += weight[j] * column[k->r + l - 1];
    }
}

/* The next value, given its innovation. */
static double step(stepper *k, double e)
{
    double w = k->w[k->at] + e, y = w;
    size_t r = k->r, lags = k->diff.degree;
    k->w[k->at] = 0;
    for (size_t i = 0; i < k->arma.ar.n; i++) k->w[(k->at + k->arma.ar.lag[i]) % r] += k->arma.ar.c[i] * w;
    for (size_t i = 0; i < k->arma.ma.n; i++) k->w[(k->at + k->arma.ma.lag[i]) % r] += k->arma.ma.c[i] * e;
    k->at = k->at + 1 < r ? k->at + 1 : 0;
    for (size_t i = 0; i < k->diff.n; i++) {
        size_t lag = k->diff.lag[i];
        y += k->diff.c[i] * k->y[k->place >= lag ? k->place - lag : k->place + lags - lag];
    }
    if (lags) {
        k->y[k->place] = y;
        k->place = k->place + 1 < lags ? k->place + 1 : 0;
    }
    return y;
}

static ftl_status arima_predict(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean,
                                double *sd, ftl_error *err)
{
    const arima_state *s = state;
    const double one = 1;
    stepper k;
    double *work = fi_alloc(s->n_filter, sizeof *work);
    if (!work) return fi_fail_memory(err);
    stepper_init(&k, s, work);
    stepper_start(&k, s->filter, 1, &one);
    for (size_t h = 0; h < ahead->horizon; h++)
        mean[h] = step(&k, 0) + explained(s, row_of(ahead->x, past->n_x, h), past->n + h);
    stepper_start(&k, NULL, 0, NULL);
    double variance = 0; /* of the innovations from the first step on: the sum of squares of the psi weights */
    for (size_t h = 0; h < ahead->horizon; h++) {
        double psi = step(&k, h == 0 ? 1 : 0);
        sd[h] = variance += psi * psi;
    }
    for (size_t j = 0; j * s->n_filter < s->n_factor; j++) {
        stepper_start(&k, s->factor + j * s->n_filter, 1, &one);
        for (size_t h = 0; h < ahead->horizon; h++) {
            double part = step(&k, 0);
            sd[h] += part * part;
        }
    }
    for (size_t h = 0; h < ahead->horizon; h++) sd[h] = sqrt(s->sigma2 * sd[h]);
    fi_free(work);
    return FTL_OK;
}

static size_t arima_path_work(const void *state, const fi_history *past)
{
    (void)past;
    const arima_state *s = state;
    return s->n_filter + s->n_factor / s->n_filter + 1;
}

static void arima_path(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                       double *work)
{
    const arima_state *s = state;
    stepper k;
    double sigma = sqrt(s->sigma2), *weight = work + s->n_filter;
    size_t columns = s->n_factor / s->n_filter, lags;
    stepper_init(&k, s, work);
    for (size_t j = 0; j < columns; j++) weight[j] = sigma * fi_rng_normal(rng);
    stepper_start(&k, s->factor, columns, weight);
    lags = k.diff.degree;
    for (size_t i = 0; i < k.r; i++) k.w[i] += s->filter[i];
    for (size_t l = 1; l <= lags; l++) k.y[lags - l] += s->filter[k.r + l - 1];
    for (size_t h = 0; h < ahead->horizon; h++)
        path[h] = step(&k, sigma * fi_rng_normal(rng)) + explained(s, row_of(ahead->x, past->n_x, h), past->n + h);
}

/* ---- the filter over the history -------------------------------------------------------------------------------- */

typedef struct filtered {
    size_t first, n; /* rows from the first observation on */
    double *y;       /* [n] less what is explained */
    double *v, *F;   /* [n] innovations and variances over sigma^2; NaN where none */
    fi_kalman kalman;
    fi_arma_work work;
    double *memory;
} filtered;

static void filtered_release(filtered *f)
{
    fi_free(f->memory);
    fi_kalman_release(&f->kalman);
    fi_arma_work_release(&f->work);
}

/* Without gaps the filter runs on the differences: the values before them are known, and it is smaller. */
static ftl_status run_filter(const arima_state *s, const fi_history *past, bool *gaps, filtered *f, ftl_error *err)
{
    fi_arima_order order = order_of(s);
    fi_arma arma;
    fi_lags diff, none = {0};
    *f = (filtered){0};
    fi_arima_expand(&order, s->coef, &arma);
    fi_difference_lags(s->d, s->D, s->season, &diff);
    while (f->first < past->n && isnan(past->y[f->first])) f->first++;
    f->n = past->n - f->first;
    f->memory = fi_alloc(f->n, 4 * sizeof *f->memory);
    if (!f->memory) return fi_fail_memory(err);
    f->y = f->memory;
    f->v = f->y + f->n;
    f->F = f->v + f->n;
    double *w = f->F + f->n;
    *gaps = false;
    for (size_t t = 0; t < f->n; t++) {
        size_t row = f->first + t;
        f->y[t] = past->y[row] - explained(s, row_of(past->x, past->n_x, row), row);
        f->v[t] = f->F[t] = NAN;
        *gaps |= isnan(f->y[t]);
    }
    size_t r = fi_arma_dimension(&arma), skip = *gaps ? 0 : diff.degree < f->n ? diff.degree : f->n;
    const fi_lags *within = *gaps ? &diff : &none;
    double origin = *gaps && diff.degree ? f->y[0] : 0; /* differencing does not see it, the diffuse prior would */
    if (*gaps)
        for (size_t t = 0; t < f->n; t++) w[t] = f->y[t] - origin;
    else if (skip < f->n)
        fi_difference(&diff, f->y, f->n, w);
    ftl_status st = fi_kalman_init(&f->kalman, r + within->degree, 1, err);
    if (!st) st = fi_arma_work_init(&f->work, f->n, r, 1, err);
    if (!st &&
        !fi_kalman_filter(&f->kalman, &arma, within, w, f->n, 1, f->n - skip, f->v + skip, f->F + skip, &f->work))
        st = fi_fail(err, FTL_ENUMERIC, "series '%s': the autoregressive part of %s is not stationary", past->id,
                     s->model);
    for (size_t l = 0; !st && l < within->degree; l++) f->kalman.state[r + l] += origin;
    return st;
}

/*
 * P = sum of columns, the largest pivots first, until what is left is nothing beside an innovation; P is used up.
 * Returns the number of columns written to `columns`, each [dimension]; they may be P itself's size.
 */
static size_t factorise(double *P, size_t dimension, double *columns)
{
    const double nothing = 1e-9;
    size_t n = 0;
    for (; n < dimension; n++) {
        size_t pivot = 0;
        for (size_t i = 1; i < dimension; i++)
            if (P[i * dimension + i] > P[pivot * dimension + pivot]) pivot = i;
        double size = P[pivot * dimension + pivot], *c = columns + n * dimension;
        if (!(size > nothing)) break;
        for (size_t i = 0; i < dimension; i++) c[i] = P[pivot * dimension + i] / sqrt(size);
        for (size_t i = 0; i < dimension; i++)
            for (size_t j = 0; j < dimension; j++) P[i * dimension + j] -= c[i] * c[j];
    }
    return n;
}

/* Fills filter and factor. */
static ftl_status keep_filter(arima_state *s, const fi_history *past, ftl_error *err)
{
    filtered f;
    bool gaps;
    double *columns = NULL;
    ftl_status st = run_filter(s, past, &gaps, &f, err);
    if (st) goto done;
    size_t known = f.kalman.dimension, lags = s->d + s->D * s->season;
    s->n_filter = gaps ? known : known + lags;
    s->filter = fi_calloc(s->n_filter, sizeof *s->filter);
    columns = fi_alloc(known, known * sizeof *columns);
    st = s->filter && columns ? FTL_OK : fi_fail_memory(err);
    if (st) goto done;
    memcpy(s->filter, f.kalman.state, known * sizeof *s->filter);
    for (size_t l = 0; !gaps && l < lags && l < f.n; l++) s->filter[known + l] = f.y[f.n - 1 - l];
    size_t n = factorise(f.kalman.P, known, columns);
    s->n_factor = n * s->n_filter;
    s->factor = fi_calloc(s->n_factor, sizeof *s->factor);
    if (!s->factor) {
        st = fi_fail_memory(err);
        goto done;
    }
    for (size_t j = 0; j < n; j++) memcpy(s->factor + j * s->n_filter, columns + j * known, known * sizeof *columns);
done:
    filtered_release(&f);
    fi_free(columns);
    return st;
}

static ftl_status arima_fitted(const void *state, const fi_history *past, double *fitted, double *sd, ftl_error *err)
{
    const arima_state *s = state;
    filtered f;
    bool gaps;
    ftl_status st = run_filter(s, past, &gaps, &f, err);
    for (size_t t = 0; t < past->n; t++) fitted[t] = NAN;
    for (size_t t = 0; !st && t < f.n; t++)
        if (f.F[t] < FI_KALMAN_DIFFUSE) fitted[f.first + t] = past->y[f.first + t] - f.v[t];
    *sd = sqrt(s->sigma2);
    filtered_release(&f);
    return st;
}

/* ---- fits ------------------------------------------------------------------------------------------------------- */

static void name_model(arima_state *s)
{
    char season[64] = "";
    const char *constant = !has_constant(s)   ? s->d + s->D == 0 ? " with zero mean" : ""
                           : s->d + s->D == 0 ? " with non-zero mean"
                                              : " with drift";
    if (s->P + s->D + s->Q > 0) snprintf(season, sizeof season, "(%zu,%zu,%zu)[%zu]", s->P, s->D, s->Q, s->season);
    snprintf(s->model, sizeof s->model, "ARIMA(%zu,%zu,%zu)%s%s%s", s->p, s->d, s->q, season, constant,
             s->n_beta > has_constant(s) ? " and regressors" : "");
}

/* The state of a fit: coefficients, regression, innovations, filter. */
static ftl_status take_fit(arima_state *s, const fi_history *past, const fi_arima_fit *fit, ftl_error *err)
{
    const fi_arima_order *o = &fit->order;
    fi_arima_problem problem = {0};
    double squares = 0;
    s->p = o->p, s->d = o->d, s->q = o->q, s->P = o->P, s->D = o->D, s->Q = o->Q, s->season = o->m;
    s->constant = o->constant && o->d + o->D < 2;
    s->n_coef = fi_arima_n_coef(o);
    s->n_beta = past->n_x + s->constant;
    s->coef = fi_alloc(s->n_coef, sizeof *s->coef);
    s->beta = fi_calloc(s->n_beta, sizeof *s->beta);
    if (!s->coef || !s->beta) return fi_fail_memory(err);
    memcpy(s->coef, fit->coef, s->n_coef * sizeof *s->coef);
    s->loglik = fit->loglik, s->aic = fit->aic, s->aicc = fit->aicc, s->bic = fit->bic;
    name_model(s);
    s->bridged = fi_arima_bridges(past, o);
    ftl_status st = fi_arima_problem_init(&problem, past->y, past->n, past->x, past->n_x, o, s->bridged, err);
    s->bridged &= problem.observed < problem.n;
    if (!st && problem.nw > 0 && fi_arima_regression(&problem, fit, s->beta, &squares))
        st = fi_fail(err, FTL_ENUMERIC, "series '%s': %s leaves residuals that are not finite; scale its values",
                     past->id, s->model);
    double left = (double)problem.observed - (double)(problem.diff.degree + s->n_coef + s->n_beta);
    s->sigma2 = s->certain ? 0 : squares / fmax(left, 1);
    fi_arima_problem_release(&problem);
    if (!st && !isfinite(s->sigma2))
        st = fi_fail(err, FTL_ENUMERIC,
                     "series '%s': its values are too far apart for the range of numbers; scale them", past->id);
    return st ? st : keep_filter(s, past, err);
}

/* A value to begin with. */
static ftl_status need_value(const fi_history *past, ftl_error *err)
{
    for (size_t t = 0; t < past->n; t++)
        if (!isnan(past->y[t])) return FTL_OK;
    return fi_fail(err, FTL_EDATA, "series '%s': all its values are missing; a model needs at least one", past->id);
}

static ftl_status arima_check(const void *state, const fi_history *past, ftl_error *err)
{
    const arima_state *s = state;
    fi_arima_order order = order_of(s);
    bool sound = s->p <= FI_ARMA_MAX_ORDER && s->q <= FI_ARMA_MAX_ORDER && s->P <= FI_ARMA_MAX_SEASONAL &&
                 s->Q <= FI_ARMA_MAX_SEASONAL && s->d <= 2 && s->D <= 2 && s->season >= 1 &&
                 (s->season <= past->n || s->season == 1) && s->n_coef == fi_arima_n_coef(&order) &&
                 s->n_beta == past->n_x + has_constant(s) && s->sigma2 >= 0 && isfinite(s->sigma2);
    if (sound) {
        size_t p = s->p + s->P * s->season, q = s->q + s->Q * s->season + 1;
        sound = s->n_filter == (p > q ? p : q) + s->d + s->D * s->season && s->n_factor % s->n_filter == 0 &&
                s->n_factor / s->n_filter <= s->n_filter;
    }
    const double *arrays[4] = {s->coef, s->beta, s->filter, s->factor};
    const size_t sizes[4] = {s->n_coef, s->n_beta, s->n_filter, s->n_factor};
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; sound && i < sizes[k]; i++) sound = isfinite(arrays[k][i]);
    if (sound) return FTL_OK;
    return fi_fail(err, FTL_EDATA,
                   "the orders, 'coefficients', 'regression', 'filter', 'factor' and 'sigma2' do not go "
                   "together");
}

static const char *arima_warning(const void *state, size_t i)
{
    const arima_state *s = state;
    const char *given[2];
    size_t n = 0;
    if (s->fallback)
        given[n++] =
            "no ARIMA model passed the checks (too few values, or roots near the unit circle): only differences "
            "and a constant were taken";
    if (s->bridged)
        given[n++] = "missing values were bridged by lines for the fit, which would take too long with them; the "
                     "forecast leaves them out";
    return i < n ? given[i] : NULL;
}

/* ---- arima ------------------------------------------------------------------------------------------------------ */

typedef struct arima_config {
    fi_local_config local;
    int64_t p, d, q, seasonal_p, seasonal_d, seasonal_q;
    bool mean, drift;
    int method;
} arima_config;

static const fi_option arima_options[] = {
    FI_SEASON_OPTION,
    FI_OPTION_COUNT(arima_config, p, "0", 0, FI_ARMA_MAX_ORDER, "autoregressive terms"),
    FI_OPTION_COUNT(arima_config, d, "0", 0, 2, "first differences"),
    FI_OPTION_COUNT(arima_config, q, "0", 0, FI_ARMA_MAX_ORDER, "moving-average terms"),
    FI_OPTION_COUNT(arima_config, seasonal_p, "0", 0, FI_ARMA_MAX_SEASONAL, "seasonal autoregressive terms"),
    FI_OPTION_COUNT(arima_config, seasonal_d, "0", 0, 2, "seasonal differences"),
    FI_OPTION_COUNT(arima_config, seasonal_q, "0", 0, FI_ARMA_MAX_SEASONAL, "seasonal moving-average terms"),
    FI_OPTION_FLAG(arima_config, mean, "true", "a mean, where there is no difference"),
    FI_OPTION_FLAG(arima_config, drift, "false", "a drift, where there is one difference"),
    FI_OPTION_CHOICE(
        arima_config, method, "css-ml", "css-ml|ml|css",
        "exact likelihood from where the conditional sum of squares ends, or from zero, or that sum alone"),
};

static ftl_status fit_given(fi_arima_problem *problem, const fi_arima_order *order, fi_arima_method method,
                            fi_arima_fit *fit, ftl_error *err)
{
    ftl_status st = fi_arima_fit_order(problem, order, method, fit, err);
    if (st == FTL_ENUMERIC && method == FI_ARIMA_CSS_ML) st = fi_arima_fit_order(problem, order, FI_ARIMA_ML, fit, err);
    return st;
}

static ftl_status arima_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const arima_config *c = config;
    arima_state *s = state;
    fi_arima_problem problem = {0};
    fi_arima_fit fit;
    fi_arima_order o = {(size_t)c->p, (size_t)c->d, (size_t)c->q, 0, 0, 0, past->season, false};
    if (past->season > 1) {
        o.P = (size_t)c->seasonal_p;
        o.D = (size_t)c->seasonal_d;
        o.Q = (size_t)c->seasonal_q;
    }
    o.constant = o.d + o.D == 0 ? c->mean : o.d + o.D == 1 && c->drift;
    ftl_status st = need_value(past, err);
    if (st) return st;
    st = fi_arima_problem_init(&problem, past->y, past->n, past->x, past->n_x, &o, fi_arima_bridges(past, &o), err);
    if (!st) st = fit_given(&problem, &o, (fi_arima_method)c->method, &fit, err);
    if (st == FTL_ENUMERIC && problem.nw > 0 && fi_arima_n_coef(&o) == 0) { /* differences explain all there is */
        fit = (fi_arima_fit){.order = o, .loglik = NAN, .aic = NAN, .aicc = NAN, .bic = NAN};
        st = FTL_OK;
    }
    if (st == FTL_ENUMERIC)
        st = fi_fail(err, FTL_EDATA,
                     "series '%s': an ARIMA(%zu,%zu,%zu)(%zu,%zu,%zu)[%zu] cannot be fitted to its %zu values; choose "
                     "smaller orders, or auto-arima",
                     past->id, o.p, o.d, o.q, o.P, o.D, o.Q, o.m, problem.observed);
    fi_arima_problem_release(&problem);
    s->n_models = 1;
    return st ? st : take_fit(s, past, &fit, err);
}

#define ARIMA_METHOD                                                                                                   \
    .state_size = sizeof(arima_state), .fields = arima_fields, .n_fields = sizeof arima_fields / sizeof *arima_fields, \
    .season_use = FI_SEASON_ONE, .takes_regressors = true, .predict = arima_predict, .path = arima_path,               \
    .path_work = arima_path_work, .fitted = arima_fitted, .check = arima_check, .warning = arima_warning

static const fi_local_method arima_method = {.name = "arima", .fit = arima_fit, ARIMA_METHOD};
FI_LOCAL_FORECASTER(arima, arima_config, .name = "arima",
                    .summary = "ARIMA of given orders, with seasons, regressors, exact likelihood",
                    .source = "Box & Jenkins (1970), Time Series Analysis: Forecasting and Control; Harvey (1989), "
                              "Forecasting, Structural Time Series Models and the Kalman Filter",
                    .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES | FTL_TAKES_REGRESSORS);

/* ---- auto-arima ------------------------------------------------------------------------------------------------- */

typedef struct auto_arima_config {
    fi_local_config local;
    int64_t d, seasonal_d, max_p, max_q, max_seasonal_p, max_seasonal_q, max_order, max_d, max_seasonal_d;
    int64_t start_p, start_q, start_seasonal_p, start_seasonal_q, models;
    bool stepwise, seasonal, stationary, mean, drift;
    int criterion, test, seasonal_test, method, approximation;
} auto_arima_config;

static const fi_option auto_arima_options[] = {
    FI_SEASON_OPTION,
    FI_OPTION_COUNT(auto_arima_config, d, "-1", -1, 2, "first differences; -1: by the test"),
    FI_OPTION_COUNT(auto_arima_config, seasonal_d, "-1", -1, 2, "seasonal differences; -1: by the seasonal test"),
    FI_OPTION_COUNT(auto_arima_config, max_p, "5", 0, FI_ARMA_MAX_ORDER, "most autoregressive terms"),
    FI_OPTION_COUNT(auto_arima_config, max_q, "5", 0, FI_ARMA_MAX_ORDER, "most moving-average terms"),
    FI_OPTION_COUNT(auto_arima_config, max_seasonal_p, "2", 0, FI_ARMA_MAX_SEASONAL,
                    "most seasonal autoregressive terms"),
    FI_OPTION_COUNT(auto_arima_config, max_seasonal_q, "2", 0, FI_ARMA_MAX_SEASONAL,
                    "most seasonal moving-average terms"),
    FI_OPTION_COUNT(auto_arima_config, max_order, "5", 0, 1000, "most terms together; only without stepwise"),
    FI_OPTION_COUNT(auto_arima_config, max_d, "2", 0, 2, "most first differences by the test"),
    FI_OPTION_COUNT(auto_arima_config, max_seasonal_d, "1", 0, 2, "most seasonal differences by the seasonal test"),
    FI_OPTION_COUNT(auto_arima_config, start_p, "2", 0, FI_ARMA_MAX_ORDER, "where the stepwise search begins"),
    FI_OPTION_COUNT(auto_arima_config, start_q, "2", 0, FI_ARMA_MAX_ORDER, "where the stepwise search begins"),
    FI_OPTION_COUNT(auto_arima_config, start_seasonal_p, "1", 0, FI_ARMA_MAX_SEASONAL,
                    "where the stepwise search begins"),
    FI_OPTION_COUNT(auto_arima_config, start_seasonal_q, "1", 0, FI_ARMA_MAX_SEASONAL,
                    "where the stepwise search begins"),
    FI_OPTION_COUNT(auto_arima_config, models, "94", 5, 100000, "most models of a stepwise search"),
    FI_OPTION_FLAG(auto_arima_config, stepwise, "true", "search from neighbour to neighbour; else every model"),
    FI_OPTION_FLAG(auto_arima_config, seasonal, "true", "consider seasonal terms"),
    FI_OPTION_FLAG(auto_arima_config, stationary, "false", "no differences"),
    FI_OPTION_FLAG(auto_arima_config, mean, "true", "consider a mean"),
    FI_OPTION_FLAG(auto_arima_config, drift, "true", "consider a drift"),
    FI_OPTION_CHOICE(auto_arima_config, criterion, "aicc", "aicc|aic|bic", "what the chosen model has the least of"),
    FI_OPTION_CHOICE(auto_arima_config, test, "kpss", "kpss|adf", "unit-root test that counts first differences"),
    FI_OPTION_CHOICE(auto_arima_config, seasonal_test, "strength", "strength|ocsb",
                     "what counts seasonal differences: the strength of the season, or the test of Osborn et al."),
    FI_OPTION_CHOICE(auto_arima_config, method, "auto", "auto|css-ml|ml|css",
                     "how models are fitted; auto: css in an approximate search, css-ml for the model chosen"),
    FI_OPTION_CHOICE(auto_arima_config, approximation, "auto", "auto|yes|no",
                     "search by conditional sums of squares; auto: for more than 150 values or 12 steps in a season"),
};

static ftl_status auto_arima_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const auto_arima_config *c = config;
    arima_state *s = state;
    fi_arima_search search = {
        .start = {.p = (size_t)c->start_p,
                  .q = (size_t)c->start_q,
                  .P = (size_t)c->start_seasonal_p,
                  .Q = (size_t)c->start_seasonal_q},
        .most = {.p = (size_t)c->max_p,
                 .q = (size_t)c->max_q,
                 .P = (size_t)c->max_seasonal_p,
                 .Q = (size_t)c->max_seasonal_q},
        .d = c->stationary ? 0 : c->d,
        .D = c->stationary ? 0 : c->seasonal_d,
        .max_d = (size_t)c->max_d,
        .max_D = (size_t)c->max_seasonal_d,
        .max_order = (size_t)c->max_order,
        .n_models = (size_t)c->models,
        .stepwise = c->stepwise,
        .seasonal = c->seasonal,
        .stationary = c->stationary,
        .mean = c->mean,
        .drift = c->drift,
        .criterion = (fi_arima_criterion)c->criterion,
        .test = (fi_root_test)c->test,
        .seasonal_test = (fi_season_test)c->seasonal_test,
        .estimator = (fi_arima_estimator)c->method,
        .approximation = (fi_arima_approximation)c->approximation,
    };
    fi_arima_choice choice;
    ftl_status st = need_value(past, err);
    if (!st) st = fi_arima_choose(past, &search, &choice, err);
    if (st) return st;
    s->n_models = choice.n_models;
    s->approximate = choice.approximate;
    s->certain = choice.certain && past->n_x == 0;
    s->fallback = choice.fallback;
    return take_fit(s, past, &choice.fit, err);
}

static const fi_local_method auto_arima_method = {.name = "auto-arima", .fit = auto_arima_fit, ARIMA_METHOD};
FI_LOCAL_FORECASTER(auto_arima, auto_arima_config, .name = "auto-arima",
                    .summary = "ARIMA with the orders that an information criterion prefers, season and regressors",
                    .source = "Hyndman & Khandakar (2008), Automatic time series forecasting: the forecast package for "
                              "R, Journal of Statistical Software 27(3)",
                    .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES | FTL_TAKES_REGRESSORS);
