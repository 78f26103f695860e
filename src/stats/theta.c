/*
 * The theta method in its four forms: standard and optimised, with the line of the whole history or one that moves on
 * with every observation (dynamic).
 *
 *     y[t]   = mu[t] + e[t],   e ~ N(0, sigma^2)
 *     mu[t]  = l[t-1] + w ((1-a)^(t-1) A[t-1] + (1 - (1-a)^t) / a B[t-1]),   w = 1 - 1/theta
 *     l[t]   = a y[t] + (1-a) l[t-1]
 *     static:   A, B intercept and slope of the regression of y on t = 1..n
 *     dynamic:  mean[t] = ((t-1) mean[t-1] + y[t]) / t,  B[t] = ((t-2) B[t-1] + 6 (y[t] - mean[t-1]) / t) / (t+1),
 *               A[t] = mean[t] - B[t] (t+1) / 2
 *
 * Standard forms have theta = 2. Sources: Assimakopoulos & Nikolopoulos (2000), The theta model, Int. J. Forecasting 16;
 * Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016), Models for optimising the theta method, ibid. 32. As in
 * the package forecTheta and in statsforecast the errors of the first three rows do not count, and a season that shows in
 * the autocorrelation is taken out by classical decomposition.
 *
 * For a given a the mean is linear in l[0] and w, so both are solved for exactly, and what is searched is a alone: no
 * start values, and no local optimum of a descent. l[0] is kept within the range of y, widened by itself on either side:
 * without that it may bend the level arbitrarily to please the first errors that count. Of the four forms that of the
 * least AICc is chosen (static ones have two parameters more, A and B): the least squares, which statsforecast
 * goes by, favour the static optimised form, which has seen all of the history (docs/statistics.md).
 */
#include "base/alloc.h"
#include "base/error.h"
#include "math/distributions.h"
#include "stats/classical.h"
#include "stats/local.h"
#include "stats/stats.h"
#include "stats/stl.h"

#include <math.h>
#include <string.h>

enum { LEFT_OUT = 3 }; /* rows at the beginning whose errors do not count */
static const double A_LOW = 0.1, A_HIGH = 0.99;

typedef struct theta_config {
    fi_local_config local;
    int model, decomposition, criterion; /* 0: AICc, 1: least squares */
} theta_config;

typedef struct theta_state {
    char form[8]; /* STM OTM DSTM DOTM */
    bool dynamic, multiplicative, seasonal;
    double alpha, theta, w, level0;
    double sigma, mse, aicc;
    double level, mean, intercept, slope; /* after the last row */
    size_t season;
    double *effects; /* [season] of row t at t mod season; none of a series without season */
} theta_state;
static const fi_state_field theta_fields[] = {
    FI_FIELD_STRING(theta_state, form),
    FI_FIELD(theta_state, dynamic, FI_FIELD_FLAG),
    FI_FIELD(theta_state, seasonal, FI_FIELD_FLAG),
    FI_FIELD(theta_state, multiplicative, FI_FIELD_FLAG),
    FI_FIELD(theta_state, alpha, FI_FIELD_REAL),
    FI_FIELD(theta_state, theta, FI_FIELD_REAL),
    FI_FIELD(theta_state, w, FI_FIELD_REAL),
    FI_FIELD(theta_state, level0, FI_FIELD_REAL),
    FI_FIELD(theta_state, sigma, FI_FIELD_REAL),
    FI_FIELD(theta_state, mse, FI_FIELD_REAL),
    FI_FIELD(theta_state, aicc, FI_FIELD_REAL),
    FI_FIELD(theta_state, level, FI_FIELD_REAL),
    FI_FIELD(theta_state, mean, FI_FIELD_REAL),
    FI_FIELD(theta_state, intercept, FI_FIELD_REAL),
    FI_FIELD(theta_state, slope, FI_FIELD_REAL),
    FI_FIELD_ARRAY(theta_state, effects, season),
};

/* The line: static, or after row t. */
typedef struct line {
    double mean, a, b;
} line;

/* Moves a dynamic line on by y, the observation of row t, from 1. */
static void line_move(line *l, double y, double t)
{
    double before = l->mean;
    l->mean = ((t - 1) * l->mean + y) / t;
    l->b = t < 2 ? 0 : ((t - 2) * l->b + 6 * (y - before) / t) / (t + 1);
    l->a = l->mean - l->b * (t + 1) / 2;
}

static line regression(const double *y, size_t n)
{
    double mean = 0, moment = 0, count = (double)n, b;
    for (size_t t = 0; t < n; t++) mean += y[t] / count;
    for (size_t t = 0; t < n; t++) moment += ((double)t + 1 - (count + 1) / 2) * (y[t] - mean);
    b = n > 1 ? 12 * moment / (count * (count * count - 1)) : 0;
    return (line){mean, mean - b * (count + 1) / 2, b};
}

typedef struct problem {
    const double *y;    /* [n] seasonally adjusted, without gaps */
    const bool *counts; /* [n] observed: gaps were bridged, and their errors do not count */
    size_t n;
    const line *lines; /* [n] that row t is predicted with: of t - 1; static: [1], of all */
    bool dynamic;
    double level_low, level_high, w_low, w_high; /* where l[0] and w may lie */
} problem;

/* What one value of a gives. */
typedef struct solution {
    double alpha, w, level0, sse;
} solution;

/* The sum of squares as a quadratic form in l[0] and w. */
typedef struct quadratic {
    double zz, zg, gg, zr, gr, rr;
} quadratic;

static double clip(double x, double low, double high)
{
    return x >= low ? (x <= high ? x : high) : low; /* NaN: low */
}

/* Takes a point if it is the best so far. */
static void consider(const quadratic *f, double level0, double w, solution *best)
{
    double sse =
        f->rr - 2 * (level0 * f->zr + w * f->gr) + level0 * level0 * f->zz + 2 * level0 * w * f->zg + w * w * f->gg;
    if (isnan(best->sse) || sse < best->sse) {
        best->level0 = level0;
        best->w = w;
        best->sse = sse;
    }
}

/* The least of a convex quadratic form over a box: inside, or on one of its four sides. */
static void minimise(const quadratic *f, const problem *p, solution *best)
{
    const double levels[] = {p->level_low, p->level_high}, ws[] = {p->w_low, p->w_high};
    double determinant = f->zz * f->gg - f->zg * f->zg;
    best->sse = NAN;
    for (size_t i = 0; i < 2; i++) {
        consider(f, clip((f->zr - ws[i] * f->zg) / f->zz, p->level_low, p->level_high), ws[i], best);
        consider(f, levels[i], clip((f->gr - levels[i] * f->zg) / f->gg, p->w_low, p->w_high), best);
    }
    if (!(determinant > 1e-12 * f->zz * f->gg)) return; /* a line through the box, which a side meets */
    double level0 = (f->zr * f->gg - f->gr * f->zg) / determinant, w = (f->gr * f->zz - f->zr * f->zg) / determinant;
    if (level0 >= p->level_low && level0 <= p->level_high && w >= p->w_low && w <= p->w_high)
        consider(f, level0, w, best);
}

/*
 * Least squares in l[0] and w for a given a. With l[0] = 0 the level is s[t], so e[t] = y - s[t-1] - z[t] l[0] - g[t] w,
 * z = (1-a)^(t-1). The first row of a dynamic form is its own prediction and stands outside.
 */
static solution solve(const problem *p, double a)
{
    quadratic f = {0};
    double level = 0, power = 1;
    for (size_t t = 0; t < p->n; t++) {
        const line *l = p->dynamic ? &p->lines[t] : p->lines;
        double next = power * (1 - a);
        if (t >= LEFT_OUT && p->counts[t]) {
            double z = power, r = p->y[t] - level, g = power * l->a + (1 - next) / a * l->b;
            f.zz += z * z, f.zg += z * g, f.gg += g * g;
            f.zr += z * r, f.gr += g * r, f.rr += r * r;
        }
        level = a * p->y[t] + (1 - a) * level;
        power = next;
    }
    solution s = {.alpha = a};
    minimise(&f, p, &s);
    return s;
}

/* The best a: the best of a grid, then golden sections around it. */
static solution search(const problem *p)
{
    enum { GRID = 24, STEPS = 40 };
    const double golden = 0.6180339887498949, width = (A_HIGH - A_LOW) / GRID;
    solution best = solve(p, A_LOW);
    for (size_t i = 1; i <= GRID; i++) {
        solution s = solve(p, A_LOW + width * (double)i);
        if (s.sse < best.sse) best = s;
    }
    double low = fmax(A_LOW, best.alpha - width), high = fmin(A_HIGH, best.alpha + width);
    solution left = solve(p, high - golden * (high - low)), right = solve(p, low + golden * (high - low));
    for (size_t i = 0; i < STEPS && high - low > 1e-9; i++) {
        if (left.sse <= right.sse) {
            high = right.alpha;
            right = left;
            left = solve(p, high - golden * (high - low));
        } else {
            low = left.alpha;
            left = right;
            right = solve(p, low + golden * (high - low));
        }
    }
    if (left.sse < best.sse) best = left;
    return right.sse < best.sse ? right : best;
}

/* One step: the mean of row t (from 1), given what came before. */
static double step_mean(const theta_state *s, double level, const line *l, double t)
{
    double power = pow(1 - s->alpha, t - 1);
    return level + s->w * (power * l->a + (1 - power * (1 - s->alpha)) / s->alpha * l->b);
}

/*
 * Runs the model over the history: one-step means to mu (may be NULL) and the last state into s. Returns the sum of the
 * squared errors that count, and how many they are.
 */
static double run(theta_state *s, const double *y, const bool *counts, size_t n, double *mu, size_t *n_counted)
{
    line l = s->dynamic ? (line){0} : regression(y, n);
    double level = s->level0, sse = 0;
    *n_counted = 0;
    for (size_t t = 0; t < n; t++) {
        double m = s->dynamic && t == 0 ? y[0] : step_mean(s, level, &l, (double)t + 1);
        if (mu) mu[t] = m;
        if (t >= LEFT_OUT && counts[t]) {
            sse += (y[t] - m) * (y[t] - m);
            ++*n_counted;
        }
        level = s->alpha * y[t] + (1 - s->alpha) * level;
        if (s->dynamic) line_move(&l, y[t], (double)t + 1);
    }
    s->level = level;
    s->mean = l.mean;
    s->intercept = l.a;
    s->slope = l.b;
    return sse;
}

/* ---- fitting ---------------------------------------------------------------------------------------------------- */

static const char *const forms[] = {"STM", "OTM", "DSTM", "DOTM"};

/* y [n]: the history without gaps, and without season once its effects are known. */
typedef struct adjusted {
    double *y;
    bool *counts;
    line *lines; /* [n] dynamic */
} adjusted;

static void adjusted_release(adjusted *a)
{
    fi_free(a->y);
    fi_free(a->counts);
    fi_free(a->lines);
}

static ftl_status bridge(const fi_history *past, adjusted *a, ftl_error *err)
{
    size_t n = past->n;
    *a = (adjusted){fi_alloc(n, sizeof *a->y), fi_alloc(n, sizeof *a->counts), fi_alloc(n, sizeof *a->lines)};
    if (!a->y || !a->counts || !a->lines) return fi_fail_memory(err);
    fi_bridge_gaps(past->y, n, a->y);
    for (size_t t = 0; t < n; t++) a->counts[t] = !isnan(past->y[t]);
    return FTL_OK;
}

static void take_season_out(const theta_state *s, double *y, size_t n)
{
    for (size_t t = 0; t < n && s->seasonal; t++) {
        double effect = s->effects[t % s->season];
        y[t] = s->multiplicative ? y[t] / effect : y[t] - effect;
    }
}

/* Finds out whether there is a season, and of which kind. */
static ftl_status find_season(const theta_config *c, const fi_history *past, const double *y, theta_state *s,
                              ftl_error *err)
{
    size_t n = past->n, m = past->season;
    double least = INFINITY;
    s->seasonal = m >= 4 && fi_is_seasonal(y, n, m);
    s->season = s->seasonal ? m : 0;
    s->effects = fi_alloc(s->season, sizeof *s->effects);
    if (!s->effects) return fi_fail_memory(err);
    if (!s->seasonal) return FTL_OK;
    for (size_t t = 0; t < n; t++) least = fmin(least, y[t]);
    s->multiplicative = c->decomposition == 0 && least > 0;
    fi_classical_season(y, n, m, s->multiplicative, s->effects);
    for (size_t p = 0; p < m; p++)
        if (s->multiplicative && !(s->effects[p] >= 0.01)) {
            s->multiplicative = false;
            fi_classical_season(y, n, m, false, s->effects);
        }
    return FTL_OK;
}

/* The problem of one form: where its parameters may lie. */
static problem pose(const adjusted *a, size_t n, size_t form, const line *whole)
{
    double low = INFINITY, high = -INFINITY;
    problem p = {.y = a->y, .counts = a->counts, .n = n, .lines = form < 2 ? whole : a->lines, .dynamic = form >= 2};
    for (size_t t = 0; t < n; t++) {
        low = fmin(low, a->y[t]);
        high = fmax(high, a->y[t]);
    }
    p.level_low = low - (high - low);
    p.level_high = high + (high - low);
    p.w_low = p.w_high = 0.5; /* theta = 2 */
    if (form % 2) {
        p.w_low = 0;
        p.w_high = 1 - 1e-10; /* theta from 1 to 1e10 */
    }
    return p;
}

/* Puts one form into s if it is better than what is there. */
static void fit_form(const adjusted *a, size_t n, size_t form, int criterion, theta_state *s)
{
    theta_state found = *s;
    line whole = regression(a->y, n);
    problem p = pose(a, n, form, &whole);
    solution best = search(&p);
    size_t count;
    found.dynamic = p.dynamic;
    found.alpha = best.alpha;
    found.w = best.w;
    found.theta = 1 / (1 - best.w);
    found.level0 = best.level0;
    double sse = run(&found, a->y, a->counts, n, NULL, &count), rows = fmax(1, (double)count);
    double k = 2 + (form % 2 ? 1 : 0) + (form < 2 ? 2 : 0); /* a, l[0]; theta; A, B */
    found.mse = sse / rows;
    found.sigma = sqrt(sse / fmax(1, rows - k));
    found.aicc = rows * log(fmax(found.mse, 1e-300)) + 2 * k + 2 * k * (k + 1) / fmax(rows - k - 1, 0.5);
    memcpy(found.form, forms[form], strlen(forms[form]) + 1);
    if (isnan(s->mse) || (criterion ? found.mse < s->mse : found.aicc < s->aicc)) *s = found;
}

static ftl_status theta_fit(const void *config, const fi_history *past, void *state, ftl_error *err)
{
    const theta_config *c = config;
    theta_state *s = state;
    adjusted a = {0};
    size_t observed = 0, n = past->n;
    for (size_t t = 0; t < n; t++) observed += isnan(past->y[t]) ? 0 : 1;
    if (observed <= LEFT_OUT)
        return fi_fail(err, FTL_EDATA, "series '%s': it has %zu observation%s; the theta method needs at least %d",
                       past->id, observed, observed == 1 ? "" : "s", LEFT_OUT + 1);
    ftl_status st = bridge(past, &a, err);
    if (!st) st = find_season(c, past, a.y, s, err);
    if (!st) {
        take_season_out(s, a.y, n);
        line l = {0};
        for (size_t t = 0; t < n; t++) {
            a.lines[t] = l;
            line_move(&l, a.y[t], (double)t + 1);
        }
        s->mse = NAN;
        for (size_t form = 0; form < 4; form++)
            if (c->model == 0 || c->model == (int)form + 1) fit_form(&a, n, form, c->criterion, s);
        if (!isfinite(s->mse) || !isfinite(s->level))
            st = fi_fail(err, FTL_ENUMERIC,
                         "series '%s': its values are too large for the range of numbers; scale them", past->id);
    }
    adjusted_release(&a);
    return st;
}

/* ---- predicting ------------------------------------------------------------------------------------------------- */

/*
 * The future is linear in its innovations: the state (level, mean, slope) of a dynamic form, (level) of a static one, has a
 * covariance that moves on with each step. C is that covariance, in units of sigma^2.
 */
typedef struct spread {
    double c[3][3];
} spread;

/* u: gradient of the mean of row t in the state before it. */
static void mean_gradient(const theta_state *s, double t, double u[3])
{
    double power = pow(1 - s->alpha, t - 1), slope = (1 - power * (1 - s->alpha)) / s->alpha;
    u[0] = 1;
    u[1] = s->dynamic ? s->w * power : 0;
    u[2] = s->dynamic ? s->w * (slope - power * t / 2) : 0; /* A[t-1] = mean - B t / 2 */
}

/* Moves the covariance past row t, where y = mu + e and state <- F state + k y. Returns the variance of y. */
static double spread_move(const theta_state *s, spread *p, double t)
{
    double u[3], k[3] = {s->alpha, 0, 0}, f[3][3] = {{1 - s->alpha, 0, 0}, {0, 0, 0}, {0, 0, 0}}, g[3][3], h[3][3];
    double variance = 1;
    mean_gradient(s, t, u);
    if (s->dynamic) {
        k[1] = 1 / t;
        f[1][1] = (t - 1) / t;
        k[2] = 6 / t / (t + 1);
        f[2][1] = -k[2];
        f[2][2] = (t - 2) / (t + 1);
    }
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) variance += u[i] * p->c[i][j] * u[j];
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) f[i][j] += k[i] * u[j];
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            g[i][j] = 0;
            for (size_t q = 0; q < 3; q++) g[i][j] += f[i][q] * p->c[q][j];
        }
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            h[i][j] = k[i] * k[j];
            for (size_t q = 0; q < 3; q++) h[i][j] += g[i][q] * f[j][q];
        }
    memcpy(p->c, h, sizeof h);
    return variance;
}

static double season_back(const theta_state *s, size_t t, double y)
{
    if (!s->seasonal) return y;
    double effect = s->effects[t % s->season];
    return s->multiplicative ? y * effect : y + effect;
}

static ftl_status theta_predict(const void *state, const fi_history *past, const fi_ahead *ahead, double *mean,
                                double *sd, ftl_error *err)
{
    (void)err;
    const theta_state *s = state;
    line l = {s->mean, s->intercept, s->slope};
    spread p = {{{0}}};
    double level = s->level;
    for (size_t h = 0; h < ahead->horizon; h++) {
        size_t row = past->n + h;
        double t = (double)row + 1, y = step_mean(s, level, &l, t);
        double scale = s->seasonal && s->multiplicative ? fabs(s->effects[row % s->season]) : 1;
        mean[h] = season_back(s, row, y);
        sd[h] = scale * s->sigma * sqrt(spread_move(s, &p, t));
        level = s->alpha * y + (1 - s->alpha) * level;
        if (s->dynamic) line_move(&l, y, t);
    }
    return FTL_OK;
}

static void theta_path(const void *state, const fi_history *past, const fi_ahead *ahead, fi_rng *rng, double *path,
                       double *work)
{
    (void)work;
    const theta_state *s = state;
    line l = {s->mean, s->intercept, s->slope};
    double level = s->level;
    for (size_t h = 0; h < ahead->horizon; h++) {
        double t = (double)(past->n + h) + 1, y = step_mean(s, level, &l, t) + s->sigma * fi_rng_normal(rng);
        path[h] = season_back(s, past->n + h, y);
        level = s->alpha * y + (1 - s->alpha) * level;
        if (s->dynamic) line_move(&l, y, t);
    }
}

static ftl_status theta_fitted(const void *state, const fi_history *past, double *fitted, double *sd, ftl_error *err)
{
    theta_state s = *(const theta_state *)state;
    adjusted a;
    size_t count;
    ftl_status st = bridge(past, &a, err);
    if (!st) {
        take_season_out(&s, a.y, past->n);
        run(&s, a.y, a.counts, past->n, fitted, &count);
        for (size_t t = 0; t < past->n; t++) fitted[t] = season_back(&s, t, fitted[t]);
    }
    adjusted_release(&a);
    *sd = s.sigma;
    return st;
}

static ftl_status theta_check(const void *state, const fi_history *past, ftl_error *err)
{
    const theta_state *s = state;
    (void)past;
    bool fine = s->alpha >= A_LOW && s->alpha <= A_HIGH && s->w >= 0 && s->w < 1 && s->sigma >= 0 &&
                isfinite(s->level0) && isfinite(s->level) && isfinite(s->mean) && isfinite(s->intercept) &&
                isfinite(s->slope) && s->seasonal == (s->season > 0);
    for (size_t p = 0; fine && p < s->season; p++)
        fine = isfinite(s->effects[p]) && (!s->multiplicative || s->effects[p] > 0);
    return fine ? FTL_OK
                : fi_fail(err, FTL_EDATA, "keys 'alpha', 'w', 'sigma', 'level' and 'effects' do not go together");
}

#define THETA_METHOD                                                                                                   \
    .state_size = sizeof(theta_state), .fields = theta_fields, .n_fields = sizeof theta_fields / sizeof *theta_fields, \
    .season_use = FI_SEASON_ONE, .fit = theta_fit, .predict = theta_predict, .path = theta_path,                       \
    .fitted = theta_fitted, .check = theta_check
#define THETA_SOURCE "Fiorucci et al. (2016), Models for optimising the theta method, Int. J. Forecasting 32"
#define THETA_OPTIONS(form)                                                                                            \
    {                                                                                                                  \
        FI_SEASON_OPTION,                                                                                              \
            FI_OPTION_CHOICE(theta_config, model, form, "auto|stm|otm|dstm|dotm",                                      \
                             "standard, optimised, dynamic standard, dynamic optimised theta model; auto takes the "   \
                             "best by the criterion"),                                                                 \
            FI_OPTION_CHOICE(theta_config, criterion, "aicc", "aicc|mse",                                              \
                             "what auto chooses by: AICc, or the mean squared error as statsforecast does"),           \
            FI_OPTION_CHOICE(theta_config, decomposition, "multiplicative", "multiplicative|additive",                 \
                             "how a season is taken out; multiplicative becomes additive where values are not "        \
                             "positive"),                                                                              \
    }

static const fi_local_method auto_theta_method = {.name = "auto-theta", THETA_METHOD};
static const fi_option auto_theta_options[] = THETA_OPTIONS("auto");
FI_LOCAL_FORECASTER(auto_theta, theta_config, .name = "auto-theta",
                    .summary = "the best of four theta models: half a line, half exponential smoothing",
                    .source = THETA_SOURCE, .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);

static const fi_local_method theta_method = {.name = "theta", THETA_METHOD};
static const fi_option theta_options[] = THETA_OPTIONS("stm");
FI_LOCAL_FORECASTER(theta, theta_config, .name = "theta",
                    .summary = "the theta method that won the M3 competition (standard theta model)",
                    .source = "Assimakopoulos & Nikolopoulos (2000), The theta model, Int. J. Forecasting 16",
                    .point_kind = "mean", .capabilities = FI_LOCAL_CAPABILITIES);
