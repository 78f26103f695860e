/*
 * Maximum likelihood for one form: starting values, a search on variables without bounds, the admissible region.
 *
 * Starting values are those of R's forecast (its initparam() and initstate(), from HKOS section 2.6.1), with gaps passed
 * over. The search is L-BFGS with exact derivatives. Bounds are met by x = low + (high - low) sin^2 u, which reaches them
 * at finite u; the season is sought in m variables of which the mean is taken off.
 */
#include "stats/ets.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/lbfgs.h"

#include <math.h>
#include <string.h>

static const double LOW = 1e-4, HIGH = 0.9999, PHI_LOW = 0.8, PHI_HIGH = 0.98; /* as in R's forecast */

struct fi_ets_fitter {
    fi_ets_bounds bounds;
    size_t m;  /* the season of the series */
    double *y; /* [n] in units of `unit`, a power of two near the mean size */
    double unit;
    fi_ets_pass pass;
    double *rest;                      /* [n] the series without its trend, or without its season */
    double *start_season;              /* [m] */
    double *season, *first, *gradient; /* [m] of values, values at the start, derivatives */
    double *x, *roots;                 /* [6 + m]; [2 m + 4] */
    double *memory;                    /* of all these arrays */
    fi_ets_form form;                  /* of the present search */
    fi_ets_values origin, scale;       /* states = origin + scale x; the season's scale is scale.gamma */
};

/* ---- starting values -------------------------------------------------------------------------------------------- */

/* Least squares line through the first rows of z that are not NaN: z = a + b t, t = 1 .. */
static bool line(const double *z, size_t rows, double *a, double *b)
{
    double n = 0, t_sum = 0, z_sum = 0, tt = 0, tz = 0;
    for (size_t t = 0; t < rows; t++)
        if (!isnan(z[t])) n++, t_sum += (double)(t + 1), z_sum += z[t];
    if (n < 1) return false;
    for (size_t t = 0; t < rows; t++) {
        double dt = (double)(t + 1) - t_sum / n;
        if (!isnan(z[t])) tt += dt * dt, tz += dt * (z[t] - z_sum / n);
    }
    *b = n > 1 ? tz / tt : 0;
    *a = z_sum / n - *b * t_sum / n;
    return true;
}

/* The trend by centred moving averages over a season (gaps passed over), or a line where there are not two seasons. */
static double trend_at(const fi_ets_fitter *f, size_t t, double a, double b)
{
    size_t m = f->m, n = f->pass.n, half = m / 2;
    if (n < 2 * m) return a + b * (double)(t + 1);
    if (t < half || t + half >= n) return NAN;
    double sum = 0, weights = 0;
    for (size_t i = t - half; i <= t + half; i++) {
        double w = m % 2 == 0 && (i == t - half || i == t + half) ? 0.5 : 1;
        if (!isnan(f->y[i])) sum += w * f->y[i], weights += w;
    }
    return sum / weights;
}

/* f->start_season: means by place of the series without its trend, normalised. */
static void start_season(fi_ets_fitter *f, bool mul)
{
    size_t m = f->m, n = f->pass.n;
    double a = 0, b = 0, total = 0, *s = f->start_season, none = mul ? 1 : 0;
    line(f->y, n, &a, &b);
    for (size_t t = 0; t < n; t++) {
        double trend = trend_at(f, t, a, b);
        f->rest[t] = !mul ? f->y[t] - trend : trend > 0 ? f->y[t] / trend : NAN;
    }
    for (size_t place = 0; place < m; place++) {
        double sum = 0, count = 0;
        for (size_t t = place; t < n; t += m)
            if (isfinite(f->rest[t])) sum += f->rest[t], count++;
        s[place] = count > 0 ? sum / count : none;
        if (mul) s[place] = fmax(s[place], 0.01);
        total += s[place];
    }
    for (size_t place = 0; place < m; place++)
        s[place] = mul ? s[place] * (double)m / total : s[place] - total / (double)m;
}

/* Level and growth from the first rows of the series without its season, or from all. */
static void start_states(fi_ets_fitter *f, bool all, fi_ets_values *v)
{
    fi_ets_form form = f->form;
    size_t n = f->pass.n, m = form.season ? f->m : 1, rows = all ? n : 2 * m > 10 ? 2 * m : 10, seen = 0;
    double a = 0, b = 0;
    for (size_t t = 0; t < n; t++) {
        double s = form.season ? f->start_season[t % m] : 0;
        f->rest[t] = form.season == FI_ETS_MUL ? f->y[t] / s : f->y[t] - s;
        seen += t < rows && !isnan(f->y[t]) ? 1 : 0;
    }
    line(f->rest, rows < n && seen >= 2 ? rows : n, &a, &b);
    v->level = a;
    v->growth = b;
    if (form.trend == FI_ETS_NONE) {
        v->level = a + b * (1 + (double)(rows < n ? rows : n)) / 2; /* the mean, of rows without gaps */
        v->growth = 0;
    } else if (fi_ets_mul_trend(form)) {
        v->growth = (a + 2 * b) / (a + b);
        v->level = (a + b) / v->growth;
        if (!(v->level > 1e-8 && v->growth > 1e-8)) v->level = fmax(a + b, 0.001), v->growth = 1;
    }
}

static double between(double low, double high, double share)
{
    return low + share * (high - low);
}

/* ---- the variables of the search -------------------------------------------------------------------------------- */

/* What bounds a parameter: low, high, and how high moves with alpha. */
typedef struct range {
    double low, high, slope;
} range;

static range alpha_range(const fi_ets_fitter *f)
{
    return f->bounds == FI_ETS_ADMISSIBLE ? (range){0, 2, 0} : (range){LOW, HIGH, 0};
}
static range beta_range(const fi_ets_fitter *f, double alpha)
{
    if (f->bounds == FI_ETS_ADMISSIBLE) return (range){0, 4, 0};
    return alpha < HIGH ? (range){LOW, alpha, 1} : (range){LOW, HIGH, 0};
}
static range gamma_range(const fi_ets_fitter *f, double alpha)
{
    if (f->bounds == FI_ETS_ADMISSIBLE) return (range){0, 2, 0};
    return 1 - alpha < HIGH ? (range){LOW, 1 - alpha, -1} : (range){LOW, HIGH, 0};
}

static double to_angle(double x, range r)
{
    return asin(sqrt(fmin(fmax((x - r.low) / (r.high - r.low), 0), 1)));
}
static double from_angle(double u, range r)
{
    return r.low + (r.high - r.low) * (sin(u) * sin(u));
}
/* dx/du */
static double angle_slope(double u, range r)
{
    return (r.high - r.low) * sin(2 * u);
}

enum { ALPHA, BETA, GAMMA, PHI, LEVEL, GROWTH, SEASON }; /* in x; what a form lacks stays where it is */

static size_t n_variables(const fi_ets_fitter *f)
{
    return SEASON + (f->form.season ? f->m : 0);
}

/* The model that x stands for. */
static void to_values(const fi_ets_fitter *f, const double *x, fi_ets_values *v)
{
    fi_ets_form form = f->form;
    double mean = 0;
    *v = (fi_ets_values){.phi = 1, .season = v->season};
    v->alpha = from_angle(x[ALPHA], alpha_range(f));
    if (form.trend) v->beta = from_angle(x[BETA], beta_range(f, v->alpha));
    if (form.season) v->gamma = from_angle(x[GAMMA], gamma_range(f, v->alpha));
    if (fi_ets_damped(form)) v->phi = from_angle(x[PHI], (range){PHI_LOW, PHI_HIGH, 0});
    v->level = f->origin.level + f->scale.level * x[LEVEL];
    v->growth = f->origin.growth + f->scale.growth * x[GROWTH];
    if (!form.season) return;
    for (size_t i = 0; i < f->m; i++) mean += x[SEASON + i] / (double)f->m;
    for (size_t i = 0; i < f->m; i++) v->season[i] = f->origin.season[i] + f->scale.gamma * (x[SEASON + i] - mean);
}

/* Derivatives by the values into those by x. */
static void to_gradient(const fi_ets_fitter *f, const double *x, const fi_ets_values *d, double *g)
{
    fi_ets_form form = f->form;
    range a = alpha_range(f);
    double alpha = from_angle(x[ALPHA], a), d_alpha = d->alpha, mean = 0;
    memset(g, 0, n_variables(f) * sizeof *g);
    if (form.trend) {
        range r = beta_range(f, alpha);
        g[BETA] = d->beta * angle_slope(x[BETA], r);
        d_alpha += d->beta * r.slope * sin(x[BETA]) * sin(x[BETA]);
        g[GROWTH] = d->growth * f->scale.growth;
    }
    if (form.season) {
        range r = gamma_range(f, alpha);
        g[GAMMA] = d->gamma * angle_slope(x[GAMMA], r);
        d_alpha += d->gamma * r.slope * sin(x[GAMMA]) * sin(x[GAMMA]);
        for (size_t i = 0; i < f->m; i++) mean += d->season[i] / (double)f->m;
        for (size_t i = 0; i < f->m; i++) g[SEASON + i] = (d->season[i] - mean) * f->scale.gamma;
    }
    if (fi_ets_damped(form)) g[PHI] = d->phi * angle_slope(x[PHI], (range){PHI_LOW, PHI_HIGH, 0});
    g[ALPHA] = d_alpha * angle_slope(x[ALPHA], a);
    g[LEVEL] = d->level * f->scale.level;
}

static bool value_at(fi_ets_fitter *f, const double *x, double *criterion, fi_ets_values *start)
{
    fi_ets_values v = {.season = f->season};
    to_values(f, x, &v);
    if (f->bounds != FI_ETS_USUAL && !fi_ets_admissible(f->form, &v, f->m, f->roots)) return false;
    *start = v;
    start->season = f->first;
    if (f->form.season) memcpy(f->first, f->season, f->m * sizeof *f->first);
    return fi_ets_run(f->form, &f->pass, &v, criterion);
}

static bool objective(void *user, const double *x, double *criterion, double *g)
{
    fi_ets_fitter *f = user;
    fi_ets_values start, d = {.season = f->gradient};
    if (!value_at(f, x, criterion, &start)) return false;
    fi_ets_gradient(f->form, &f->pass, &start, &d);
    to_gradient(f, x, &d, g);
    return true;
}

/* ---- the search ------------------------------------------------------------------------------------------------- */

/*
 * Smoothing parameters to begin from, as shares of their ranges: alpha (R's is divided by the season), beta, gamma. The
 * likelihood has several maxima; of 3,200 fits to real series R's alone missed the best by more than 0.02 in 11 %, the
 * first six in less than 1 %.
 */
static const double beginnings[][3] = {{0.2, 0.1, 0.05}, {0.3, 0.02, 0.02}, {0.97, 0.06, 0.5}, {0.99, 0.97, 0.05},
                                       {0.02, 0.1, 0.3}, {0.01, 0.9, 0.05}, {0.002, 0.1, 0.02}};
enum { BEGINNINGS = 7, STEADY = 6, STATES = 3 }; /* STEADY: hardly smoothed, on a line through all rows */

/* f->origin: the states of R; or 1: a level and no growth; or 2: no season either. */
static void set_origin(fi_ets_fitter *f, bool all, int kind)
{
    fi_ets_form form = f->form;
    f->origin.season = f->start_season;
    if (form.season && kind < 2) start_season(f, form.season == FI_ETS_MUL);
    for (size_t i = 0; form.season && kind == 2 && i < f->m; i++)
        f->start_season[i] = form.season == FI_ETS_MUL ? 1 : 0;
    start_states(f, all, &f->origin);
    if (kind == 0) return;
    double sum = 0, count = 0;
    for (size_t t = 0; t < f->pass.n; t++)
        if (!isnan(f->rest[t])) sum += f->rest[t], count++;
    f->origin.level = sum / count;
    f->origin.growth = fi_ets_mul_trend(form) ? 1 : 0;
}

/* Puts x at one of the beginnings, with the states of f->origin. False if the form cannot run there. */
static bool begin(fi_ets_fitter *f, size_t which)
{
    fi_ets_form form = f->form;
    double *x = f->x, criterion;
    fi_ets_values start;
    double share = beginnings[which][0] / (which == 0 && form.season ? (double)f->m : 1);
    double alpha = between(LOW, HIGH, share);
    memset(x, 0, n_variables(f) * sizeof *x);
    x[ALPHA] = to_angle(alpha, alpha_range(f));
    x[BETA] = to_angle(between(LOW, alpha, beginnings[which][1]), beta_range(f, alpha));
    x[GAMMA] = to_angle(between(LOW, 1 - alpha, beginnings[which][2]), gamma_range(f, alpha));
    x[PHI] = to_angle(between(PHI_LOW, PHI_HIGH, 0.99), (range){PHI_LOW, PHI_HIGH, 0});
    f->scale.level = f->scale.growth = f->scale.gamma = 1;
    if (!value_at(f, x, &criterion, &start)) return false;
    /* One unit of x is about one error. */
    double error = sqrt(f->pass.sum_squares / (double)f->pass.observed), size = fabs(f->origin.level);
    if (form.mul_error) error *= fmax(size, 1e-3);
    error = fmax(error, 1e-9);
    f->scale.level = error;
    f->scale.growth = 0.1 * error / (fi_ets_mul_trend(form) ? fmax(size, 1e-3) : 1);
    f->scale.gamma = error / (form.season == FI_ETS_MUL ? fmax(size, 1e-3) : 1);
    return true;
}

/* One search from a beginning, with the first states that can run; *out keeps the best of several. */
static ftl_status search(fi_ets_fitter *f, size_t which, double hopeless, fi_ets_fit *out, ftl_error *err)
{
    const fi_lbfgs_options options = {.history = 20,
                                      .max_iterations = 400,
                                      .first_step = 0.1 / (double)f->pass.observed,
                                      .f_change = 1e-6,
                                      .gradient_norm = 1e-7,
                                      .patience = 12,
                                      .hopeless = hopeless};
    fi_lbfgs_result result;
    fi_ets_values start;
    double criterion;
    bool ready = false;
    for (int kind = 0; kind < STATES && !ready; kind++) {
        set_origin(f, which == STEADY, kind);
        ready = begin(f, which);
    }
    if (!ready) return FTL_OK;
    ftl_status st = fi_lbfgs_minimise(objective, f, n_variables(f), f->x, &options, &result, err);
    if (st || !value_at(f, f->x, &criterion, &start) || !(criterion < out->criterion)) return st;
    double *season = out->start.season;
    out->criterion = criterion;
    out->sum_squares = f->pass.sum_squares;
    out->start = start;
    out->start.season = season;
    if (f->form.season) memcpy(season, start.season, f->m * sizeof *season);
    return FTL_OK;
}

ftl_status fi_ets_fit_form(fi_ets_fitter *f, fi_ets_form form, double hopeless, fi_ets_fit *out, ftl_error *err)
{
    const double far = 50, own = (double)f->pass.observed * 2 * log(f->unit); /* of the criterion: its units */
    ftl_status st = FTL_OK;
    double *season = out->start.season;
    f->form = form;
    f->pass.m = form.season ? f->m : 1;
    *out = (fi_ets_fit){.form = form, .criterion = INFINITY, .parameters = fi_ets_parameters(form, f->m)};
    out->start.season = season;
    for (size_t i = 0; i < BEGINNINGS && !st; i++)
        if (i == 0 || isinf(out->criterion) || out->criterion < hopeless - own + far)
            st = search(f, i, hopeless - own, out, err);
    if (st || isinf(out->criterion)) return st;
    out->criterion += own;
    out->sum_squares *= form.mul_error ? 1 : f->unit * f->unit;
    out->start.level *= f->unit;
    out->start.growth *= fi_ets_mul_trend(form) ? 1 : f->unit;
    for (size_t i = 0; form.season == FI_ETS_ADD && i < f->m; i++) season[i] *= f->unit;
    return FTL_OK;
}

/* ---- the fitter ------------------------------------------------------------------------------------------------- */

void fi_ets_fitter_free(fi_ets_fitter *f)
{
    if (!f) return;
    fi_free(f->memory);
    fi_free(f);
}

static double *take(double **memory, size_t n)
{
    double *at = *memory;
    *memory += n;
    return at;
}

ftl_status fi_ets_fitter_new(const fi_history *past, fi_ets_bounds bounds, fi_ets_fitter **out, ftl_error *err)
{
    size_t n = past->n, m = past->season;
    double sum = 0;
    fi_ets_fitter *f = fi_calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return fi_fail_memory(err);
    f->memory = fi_alloc(7 * n + 9 * m + 32, sizeof *f->memory);
    if (!f->memory) {
        fi_free(f);
        return fi_fail_memory(err);
    }
    double *memory = f->memory;
    f->bounds = bounds;
    f->m = m;
    f->y = take(&memory, n);
    f->pass = (fi_ets_pass){.y = f->y, .n = n};
    f->pass.level = take(&memory, n), f->pass.growth = take(&memory, n), f->pass.season = take(&memory, n);
    f->pass.f = take(&memory, n), f->pass.e = take(&memory, n);
    f->rest = take(&memory, n);
    f->start_season = take(&memory, m), f->season = take(&memory, m);
    f->first = take(&memory, m), f->gradient = take(&memory, m);
    f->x = take(&memory, SEASON + m), f->roots = take(&memory, 2 * m + 4);
    for (size_t t = 0; t < n; t++)
        if (!isnan(past->y[t])) sum += fabs(past->y[t]) / (double)n, f->pass.observed++;
    sum *= (double)n / (double)f->pass.observed;
    f->unit = sum > 0 && isfinite(sum) ? exp2(floor(log2(sum))) : 1;
    f->pass.floor = 1e-24 * (double)f->pass.observed;
    for (size_t t = 0; t < n; t++) f->y[t] = past->y[t] / f->unit;
    *out = f;
    return FTL_OK;
}

/* ---- the admissible region -------------------------------------------------------------------------------------- */

/*
 * Do all roots of z^d + a[d-1] z^(d-1) + .. + a[0] lie within the unit circle? The recursion of Schur and Cohn; a [d] is
 * destroyed, work [d].
 */
static bool within_unit_circle(double *a, size_t d, double *work)
{
    for (; d > 0; d--) {
        double k = a[0], scale = 1 - k * k;
        if (!(fabs(k) < 1)) return false;
        for (size_t i = 0; i + 1 < d; i++) work[i] = (a[i + 1] - k * a[d - 1 - i]) / scale;
        memcpy(a, work, (d - 1) * sizeof *a);
    }
    return true;
}

bool fi_ets_admissible(fi_ets_form form, const fi_ets_values *v, size_t m, double *work)
{
    const double alpha = v->alpha, beta = v->beta, gamma = v->gamma, phi = v->phi;
    if (!form.season) {
        if (alpha < 1 - 1 / phi || alpha > 1 + 1 / phi) return false;
        return !form.trend || (beta >= alpha * (phi - 1) && beta <= (1 + phi) * (2 - alpha));
    }
    if (gamma < fmax(1 - 1 / phi - alpha, 0) || gamma > 1 + 1 / phi - alpha) return false;
    if (alpha < 1 - 1 / phi - gamma * (1 - (double)m + phi + phi * (double)m) / (2 * phi * (double)m)) return false;
    if (beta < -(1 - phi) * (gamma / (double)m + alpha)) return false;
    if (!form.trend) { /* the general polynomial below has the root 1 here; this is what is left of it */
        work[0] = alpha + gamma - 1;
        for (size_t i = 1; i < m; i++) work[i] = alpha;
        return within_unit_circle(work, m, work + m + 2);
    }
    work[0] = phi * (1 - alpha - gamma);
    work[1] = alpha + beta - alpha * phi + gamma - 1;
    for (size_t i = 2; i < m; i++) work[i] = alpha + beta - alpha * phi;
    work[m] = alpha + beta - phi;
    return within_unit_circle(work, m + 1, work + m + 2);
}
