#include "stats/arima_fit.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/kernels.h"
#include "math/lbfgs.h"
#include "math/linalg.h"
#include "stats/stl.h"

#include <math.h>
#include <string.h>

/* ---- orders and coefficients ------------------------------------------------------------------------------------ */

size_t fi_arima_n_coef(const fi_arima_order *o)
{
    return o->p + o->q + o->P + o->Q;
}

void fi_arima_expand(const fi_arima_order *o, const double *coef, fi_arma *out)
{
    const double *theta = coef + o->p, *Phi = theta + o->q, *Theta = Phi + o->P;
    fi_lags_multiply(coef, o->p, Phi, o->P, o->m, -1, &out->ar);
    fi_lags_multiply(theta, o->q, Theta, o->Q, o->m, 1, &out->ma);
}

bool fi_arima_roots_beyond(const fi_arima_order *o, const double *coef, double radius)
{
    double negative[FI_ARIMA_MAX_COEF], seasonal = pow(radius, (double)o->m);
    size_t n = fi_arima_n_coef(o);
    for (size_t i = 0; i < n; i++) negative[i] = -coef[i];
    return fi_ar_roots_beyond(coef, o->p, radius) && fi_ar_roots_beyond(negative + o->p, o->q, radius) &&
           fi_ar_roots_beyond(coef + o->p + o->q, o->P, seasonal) &&
           fi_ar_roots_beyond(negative + o->p + o->q + o->P, o->Q, seasonal);
}

/* ---- the problem ------------------------------------------------------------------------------------------------ */

static size_t problem_columns(const fi_arima_problem *p)
{
    return p->n_x + p->can_constant;
}

/* Column j of regressors at row t of the series: x, then the constant (1 or the count of rows). */
static double regressor(const double *x, size_t n_x, size_t t, size_t j, bool drift)
{
    return j < n_x ? x[t * n_x + j] : drift ? (double)(t + 1) : 1;
}

/* Columns 1.. of w made orthogonal with mean square 1, R with them; what depends on columns before becomes 0. */
static void orthogonalise(fi_arima_problem *p)
{
    size_t n = p->nw, k = problem_columns(p);
    memset(p->R, 0, k * k * sizeof *p->R);
    for (size_t j = 0; j < k; j++) {
        double *a = p->w + (1 + j) * n, before = sqrt(fi_dot(a, a, n) / (double)n);
        for (int pass = 0; pass < 2; pass++) /* Gram-Schmidt, twice: orthogonal to rounding */
            for (size_t i = 0; i < j; i++) {
                const double *b = p->w + (1 + i) * n;
                double r = fi_dot(a, b, n) / (double)n;
                for (size_t t = 0; t < n; t++) a[t] -= r * b[t];
                p->R[i * k + j] += r;
            }
        double size = sqrt(fi_dot(a, a, n) / (double)n);
        if (!(size > 1e-10 * before)) size = 0;
        for (size_t t = 0; t < n; t++) a[t] = size > 0 ? a[t] / size : 0;
        p->R[j * k + j] = size;
    }
}

/* raw <- raw R^-1, as the differenced columns became. */
static void transform_raw(fi_arima_problem *p)
{
    size_t k = problem_columns(p);
    for (size_t j = 0; j < k; j++) {
        double *a = p->raw + (1 + j) * p->n, size = p->R[j * k + j];
        for (size_t t = 0; t < p->n; t++) {
            for (size_t i = 0; i < j; i++) a[t] -= p->R[i * k + j] * p->raw[(1 + i) * p->n + t];
            a[t] = size > 0 ? a[t] / size : 0;
        }
    }
}

/* Divides the values by a power of two near their root mean square, so that nothing overflows and no bit is lost. */
static double choose_scale(const double *w, size_t n)
{
    double largest = 0, sum = 0;
    for (size_t t = 0; t < n; t++) largest = fmax(largest, fabs(w[t]));
    if (!(largest > 0)) return 1;
    for (size_t t = 0; t < n; t++) sum += w[t] / largest * (w[t] / largest);
    return exp2(round(log2(largest * sqrt(sum / (double)n))));
}

static ftl_status allocate(fi_arima_problem *p, const fi_arima_order *largest, ftl_error *err)
{
    size_t k = problem_columns(p), rows = 1 + k, p_max = largest->p + largest->P * largest->m;
    size_t q_max = largest->q + largest->Q * largest->m, r = p_max > q_max ? p_max : q_max + 1;
    size_t total = rows * p->nw + 3 * rows * p->n + 2 * p->n + k * (2 * k + 2);
    p->memory = fi_calloc(total, sizeof *p->memory);
    if (!p->memory) return fi_fail_memory(err);
    p->w = p->memory;
    p->raw = p->w + rows * p->nw;
    p->e = p->raw + rows * p->n;
    p->v = p->e + rows * p->n;
    p->u = p->v + rows * p->n;
    p->F = p->u + p->n;
    p->R = p->F + p->n;
    p->gram = p->R + k * k;
    p->beta = p->gram + k * (k + 1);
    ftl_status st = fi_arma_work_init(&p->exact, p->n, r, rows, err);
    return !st && p->missing ? fi_kalman_init(&p->kalman, r + p->diff.degree, rows, err) : st;
}

ftl_status fi_arima_problem_init(fi_arima_problem *p, const double *y, size_t n, const double *x, size_t n_x,
                                 const fi_arima_order *largest, bool bridge, ftl_error *err)
{
    *p = (fi_arima_problem){.n_x = n_x, .scale = 1};
    size_t order = largest->d + largest->D;
    p->can_constant = largest->constant && order < 2;
    while (p->first < n && isnan(y[p->first])) p->first++;
    p->n = n - p->first;
    for (size_t t = p->first; t < n; t++) p->observed += isnan(y[t]) ? 0 : 1;
    p->missing = p->observed < p->n && !bridge;
    fi_difference_lags(largest->d, largest->D, largest->m, &p->diff);
    p->nw = p->n > p->diff.degree ? p->n - p->diff.degree : 0;
    ftl_status st = allocate(p, largest, err);
    if (st || p->nw == 0) return st;
    double *column = p->v; /* one column as it is */
    fi_bridge_gaps(y + p->first, p->n, column);
    fi_difference(&p->diff, column, p->n, p->w);
    p->scale = choose_scale(p->w, p->nw);
    for (size_t t = 0; t < p->nw; t++) p->w[t] /= p->scale;
    double origin = order > 0 ? y[p->first] : 0; /* differencing does not see it, the diffuse prior would */
    for (size_t t = 0; t < p->n; t++) p->raw[t] = (y[p->first + t] - origin) / p->scale;
    for (size_t j = 0; j < problem_columns(p); j++) {
        double *raw = p->raw + (1 + j) * p->n;
        for (size_t t = 0; t < p->n; t++) raw[t] = regressor(x, n_x, p->first + t, j, order > 0);
        fi_difference(&p->diff, raw, p->n, p->w + (1 + j) * p->nw);
    }
    orthogonalise(p);
    if (p->missing) transform_raw(p);
    return FTL_OK;
}

void fi_arima_problem_release(fi_arima_problem *p)
{
    fi_free(p->memory);
    fi_arma_work_release(&p->exact);
    fi_kalman_release(&p->kalman);
    *p = (fi_arima_problem){0};
}

/* ---- one trial -------------------------------------------------------------------------------------------------- */

typedef struct trial {
    fi_arima_problem *problem;
    const fi_arima_order *order;
    size_t columns; /* regressors in use */
    double squares; /* of innovations, after regression */
    double count;   /* of innovations */
    double log_det; /* of their variances over sigma^2 */
    fi_arma arma;
} trial;

/*
 * Regresses column 0 of e (rows ld apart) on the others over rows from..n: beta, and column 0 becomes the rest.
 * Returns its sum of squares.
 */
static double regress(fi_arima_problem *p, size_t columns, double *e, size_t ld, size_t from, size_t n)
{
    const fi_kernels *k = fi_kernels_best();
    double squares;
    if (columns > 0) {
        k->dots(e + ld + from, ld, n - from, columns, e + from, p->beta);
        k->gram(e + ld + from, ld, n - from, columns, p->gram, columns);
        fi_cholesky(p->gram, columns, columns, 1e-12);
        fi_solve_lower(p->gram, columns, columns, p->beta);
        fi_solve_lower_transposed(p->gram, columns, columns, p->beta);
        for (size_t j = 0; j < columns; j++) p->gram[j] = -p->beta[j];
        k->combine(e + ld + from, ld, n - from, columns, p->gram, e + from);
    }
    k->dots(e + from, ld, n - from, 1, e + from, &squares);
    return squares;
}

/* Conditional residuals of all columns into e, and their regression. */
static bool css_trial(trial *t, const double *coef)
{
    fi_arima_problem *p = t->problem;
    size_t start = t->order->p + t->order->m * t->order->P, n = p->nw;
    fi_arima_expand(t->order, coef, &t->arma);
    for (size_t j = 0; j <= t->columns; j++) fi_arma_residuals(&t->arma, p->w + j * n, n, start, p->e + j * p->n);
    t->squares = regress(p, t->columns, p->e, p->n, start, n);
    t->count = (double)(n - start);
    t->log_det = 0;
    return isfinite(t->squares);
}

/* Standardised innovations of all columns into e, and their regression. */
static bool exact_trial(trial *t, const double *coef)
{
    fi_arima_problem *p = t->problem;
    fi_arima_expand(t->order, coef, &t->arma);
    if (!p->missing) {
        if (!fi_arma_exact(&t->arma, p->w, p->nw, t->columns + 1, p->nw, p->e, &t->log_det, &p->exact)) return false;
        t->count = (double)p->nw;
        t->squares = regress(p, t->columns, p->e, p->nw, 0, p->nw);
        return isfinite(t->squares);
    }
    if (!fi_kalman_filter(&p->kalman, &t->arma, &p->diff, p->raw, p->n, t->columns + 1, p->n, p->v, p->F, &p->exact))
        return false;
    size_t count = 0;
    t->log_det = 0;
    for (size_t row = 0; row < p->n; row++) {
        if (!(p->F[row] < FI_KALMAN_DIFFUSE)) continue; /* also NaN: missing */
        double root = sqrt(p->F[row]);
        for (size_t j = 0; j <= t->columns; j++) p->e[j * p->n + count] = p->v[j * p->n + row] / root;
        t->log_det += log(p->F[row]);
        count++;
    }
    t->count = (double)count;
    t->squares = regress(p, t->columns, p->e, p->n, 0, count);
    return count > 0 && isfinite(t->squares);
}

/* Half the concentrated -2 log likelihood per value, without constants: what R's arima() minimises. */
static double objective(const trial *t)
{
    return 0.5 * (log(t->squares / t->count) + t->log_det / t->count); /* a perfect fit: not finite */
}

/* u = the residual's adjoint; derivatives of the objective by the expanded coefficients, then by the others. */
static bool css_objective(void *user, const double *coef, double *f, double *gradient)
{
    trial *t = user;
    fi_arima_problem *p = t->problem;
    const fi_arima_order *o = t->order;
    const fi_kernels *k = fi_kernels_best();
    if (!css_trial(t, coef)) return false;
    *f = objective(t);
    if (!isfinite(*f)) return false;
    size_t n = p->nw, start = o->p + o->m * o->P;
    double *e = p->e, *w = p->v, by_lag[FI_LAGS_MAX];
    memcpy(w, p->w, n * sizeof *w);
    for (size_t j = 0; j < t->columns; j++) p->gram[j] = -p->beta[j];
    if (t->columns) k->combine(p->w + n, n, n, t->columns, p->gram, w);
    fi_arma_adjoint(&t->arma.ma, e, n, start, p->u);
    memset(gradient, 0, fi_arima_n_coef(o) * sizeof *gradient);
    double *by_phi = gradient, *by_theta = by_phi + o->p, *by_Phi = by_theta + o->q, *by_Theta = by_Phi + o->P;
    const double *theta = coef + o->p, *Phi = theta + o->q, *Theta = Phi + o->P;
    for (size_t i = 0; i < t->arma.ar.n; i++) {
        k->dots(w + start - t->arma.ar.lag[i], n, n - start, 1, p->u + start, &by_lag[i]);
        by_lag[i] *= -1 / t->squares;
    }
    fi_lags_chain(coef, o->p, Phi, o->P, -1, by_lag, by_phi, by_Phi);
    for (size_t i = 0; i < t->arma.ma.n; i++) {
        size_t from = start + t->arma.ma.lag[i];
        by_lag[i] = 0;
        if (from < n) k->dots(e + start, n, n - from, 1, p->u + from, &by_lag[i]);
        by_lag[i] *= -1 / t->squares;
    }
    fi_lags_chain(theta, o->q, Theta, o->Q, 1, by_lag, by_theta, by_Theta);
    return true;
}

/* The search goes over partial autocorrelations (their inverse hyperbolic tangents), so that AR parts stay stationary.
 */
static void untransform(const fi_arima_order *o, const double *x, double *coef)
{
    memcpy(coef, x, fi_arima_n_coef(o) * sizeof *coef);
    double *parts[2] = {coef, coef + o->p + o->q};
    size_t sizes[2] = {o->p, o->P};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizes[k]; i++) parts[k][i] = tanh(parts[k][i]);
        fi_partial_to_ar(parts[k], sizes[k], parts[k]);
    }
}

/* False where an AR part is not stationary. */
static bool transform(const fi_arima_order *o, const double *coef, double *x)
{
    memcpy(x, coef, fi_arima_n_coef(o) * sizeof *x);
    double *parts[2] = {x, x + o->p + o->q};
    size_t sizes[2] = {o->p, o->P};
    for (size_t k = 0; k < 2; k++) {
        if (!fi_ar_to_partial(parts[k], sizes[k], parts[k])) return false;
        for (size_t i = 0; i < sizes[k]; i++) parts[k][i] = atanh(parts[k][i]);
    }
    return true;
}

static bool exact_value(trial *t, const double *x, double *f)
{
    double coef[FI_ARIMA_MAX_COEF];
    untransform(t->order, x, coef);
    if (!exact_trial(t, coef)) return false;
    *f = objective(t);
    return isfinite(*f);
}

/* Forward differences; their step is larger where the diffuse prior has eaten digits. */
static bool exact_objective(void *user, const double *x, double *f, double *gradient)
{
    trial *t = user;
    double at[FI_ARIMA_MAX_COEF], step = t->problem->missing ? 1e-5 : 1e-7;
    size_t n = fi_arima_n_coef(t->order);
    if (!exact_value(t, x, f)) return false;
    memcpy(at, x, n * sizeof *at);
    for (size_t i = 0; i < n; i++) {
        double moved;
        at[i] = x[i] + step;
        if (!exact_value(t, at, &moved)) return false;
        gradient[i] = (moved - *f) / (at[i] - x[i]);
        at[i] = x[i];
    }
    return true;
}

/* ---- fits ------------------------------------------------------------------------------------------------------- */

static const fi_lbfgs_options SEARCH = {.history = 12,
                                        .max_iterations = 100,
                                        .first_step = 0.3,
                                        .f_change = 1e-10,
                                        .gradient_norm = 1e-6,
                                        .x_change = 1e-9};

static ftl_status minimise(fi_objective_fn function, trial *t, double *x, ftl_error *err)
{
    size_t n = fi_arima_n_coef(t->order);
    fi_lbfgs_result result = {.stop = FI_LBFGS_F_CHANGE};
    if (n == 0) return FTL_OK;
    ftl_status st = fi_lbfgs_minimise(function, t, n, x, &SEARCH, &result, err);
    return st ? st : result.stop == FI_LBFGS_BAD_START ? FTL_ENUMERIC : FTL_OK;
}

static void invert_ma(const fi_arima_order *o, double *coef)
{
    fi_ma_invert(coef + o->p, o->q);
    fi_ma_invert(coef + o->p + o->q + o->P, o->Q);
}

/* The criteria from -2 log likelihood or what stands for it. */
static void set_criteria(const fi_arima_problem *p, size_t n_parameters, double deviance, fi_arima_fit *fit)
{
    double k = (double)n_parameters, n = (double)p->observed - (double)p->diff.degree;
    fit->aic = deviance + 2 * k;
    fit->bic = deviance + k * log(n);
    fit->aicc = n - k - 1 > 0 ? fit->aic + 2 * k * (k + 1) / (n - k - 1) : INFINITY;
}

static ftl_status fit_css(trial *t, fi_arima_fit *fit, ftl_error *err)
{
    size_t start = t->order->p + t->order->m * t->order->P;
    if (t->problem->nw <= start + t->columns) return FTL_ENUMERIC;
    ftl_status st = minimise(css_objective, t, fit->coef, err);
    if (st) return st;
    if (!css_trial(t, fit->coef) || !isfinite(objective(t))) return FTL_ENUMERIC;
    fit->sigma2 = t->squares / t->count * t->problem->scale * t->problem->scale;
    return FTL_OK;
}

static ftl_status fit_exact(trial *t, fi_arima_fit *fit, ftl_error *err)
{
    fi_arima_problem *p = t->problem;
    double x[FI_ARIMA_MAX_COEF];
    invert_ma(t->order, fit->coef);
    if (!transform(t->order, fit->coef, x)) return FTL_ENUMERIC;
    ftl_status st = minimise(exact_objective, t, x, err);
    if (st) return st;
    untransform(t->order, x, fit->coef);
    invert_ma(t->order, fit->coef);
    if (!exact_trial(t, fit->coef) || !isfinite(objective(t))) return FTL_ENUMERIC;
    double n = (double)p->observed - (double)p->diff.degree;
    fit->sigma2 = t->squares / t->count * p->scale * p->scale;
    fit->loglik = -0.5 * n * (2 * objective(t) + 2 * log(p->scale) + 1 + log(2 * acos(-1)));
    return FTL_OK;
}

/*
 * Exact likelihood from where CSS ended. Where that is not invertible, the conditional sum was lessened by what it leaves
 * out rather than by a better model, and says little: then from zero too, and the better one stays.
 */
static ftl_status fit_from_css(trial *t, fi_arima_fit *fit, ftl_error *err)
{
    const fi_arima_order *o = t->order;
    const fi_arima_order ma = {.q = o->q, .Q = o->Q, .m = 1};
    double theta[FI_ARIMA_MAX_COEF];
    fi_arima_fit plain = {.order = *o};
    memcpy(theta, fit->coef + o->p, o->q * sizeof *theta);
    memcpy(theta + o->q, fit->coef + o->p + o->q + o->P, o->Q * sizeof *theta);
    bool doubtful = !fi_arima_roots_beyond(&ma, theta, 1);
    ftl_status st = fit_exact(t, fit, err);
    if (st || !doubtful) return st;
    ftl_status again = fit_exact(t, &plain, err);
    if (again == FTL_OK && plain.loglik > fit->loglik) *fit = plain;
    return again == FTL_ENOMEM ? again : FTL_OK;
}

ftl_status fi_arima_fit_order(fi_arima_problem *p, const fi_arima_order *order, fi_arima_method method,
                              fi_arima_fit *fit, ftl_error *err)
{
    trial t = {.problem = p, .order = order, .columns = p->n_x + (order->constant && p->can_constant)};
    size_t n_parameters = fi_arima_n_coef(order) + t.columns + 1;
    ftl_status st = FTL_OK;
    *fit = (fi_arima_fit){.order = *order, .loglik = NAN};
    if (p->nw == 0 || p->observed < p->diff.degree + n_parameters) return FTL_ENUMERIC;
    if (method != FI_ARIMA_ML) st = fit_css(&t, fit, err);
    if (!st && method != FI_ARIMA_CSS)
        st = method == FI_ARIMA_ML ? fit_exact(&t, fit, err) : fit_from_css(&t, fit, err);
    if (st) return st;
    double n = (double)p->observed - (double)p->diff.degree;
    set_criteria(p, n_parameters, method == FI_ARIMA_CSS ? n * log(fit->sigma2) : -2 * fit->loglik, fit);
    return FTL_OK;
}

ftl_status fi_arima_regression(fi_arima_problem *p, const fi_arima_fit *fit, double *beta, double *squares)
{
    size_t k = problem_columns(p);
    trial t = {.problem = p, .order = &fit->order, .columns = p->n_x + (fit->order.constant && p->can_constant)};
    if (!exact_trial(&t, fit->coef) && !css_trial(&t, fit->coef)) return FTL_ENUMERIC;
    *squares = t.squares * p->scale * p->scale;
    for (size_t j = t.columns; j-- > 0;) { /* beta of the orthonormal columns, back through R */
        double sum = p->beta[j] * p->scale;
        for (size_t i = j + 1; i < t.columns; i++) sum -= p->R[j * k + i] * beta[i];
        beta[j] = p->R[j * k + j] > 0 ? sum / p->R[j * k + j] : 0;
    }
    return FTL_OK;
}
