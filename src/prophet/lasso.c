#include "prophet/lasso.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"

#include <math.h>
#include <string.h>

/* Pivots below this share of their diagonal are noise: columns that depend on others to rounding. */
static const double PIVOT_FLOOR = 4e-16;

ftl_status prophet_lasso_init(prophet_lasso *l, size_t r, size_t S, ftl_error *err)
{
    size_t p = r + S;
    size_t pad = (S + FI_KERNEL_PAD - 1) / FI_KERNEL_PAD * FI_KERNEL_PAD;
    *l = (prophet_lasso){.r = r, .S = S, .p = p, .pad = pad, .kernels = fi_kernels_best()};
    size_t doubles = p * p + 6 * p + r + r * r + r * pad + S * pad + S * S + 3 * S;
    l->memory = fi_calloc(doubles, sizeof(double));
    l->active = fi_alloc(S, sizeof *l->active);
    if (!l->memory || !l->active) {
        prophet_lasso_release(l);
        return fi_fail_memory(err);
    }
    double *next = l->memory;
    double **const parts[] = {&l->G, &l->b, &l->center, &l->theta, &l->z,     &l->x, &l->work,
                              &l->D, &l->L, &l->W,      &l->C,     &l->small, &l->c, &l->sign};
    const size_t sizes[] = {p * p, p, p, p, p, p, p, r, r * r, r * pad, S * pad, S * S, S, 2 * S};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) *parts[i] = next, next += sizes[i];
    return FTL_OK;
}

void prophet_lasso_release(prophet_lasso *l)
{
    fi_free(l->memory);
    fi_free(l->active);
    l->memory = NULL, l->active = NULL;
}

/* Factors the ridge block for v; z = L^-1 of its right-hand side. */
static void factor_ridge(prophet_lasso *l, double v)
{
    size_t r = l->r, p = l->p;
    for (size_t i = 0; i < r; i++) {
        memcpy(l->L + i * r, l->G + i * p, (i + 1) * sizeof(double));
        l->L[i * r + i] += v * l->D[i];
        l->z[i] = l->b[i] - v * l->D[i] * l->center[i];
    }
    l->dropped += fi_cholesky(l->L, r, r, PIVOT_FLOOR);
    l->factorisations++;
    fi_solve_lower(l->L, r, r, l->z);
}

/* Reduces the problem to delta: C = Schur complement of the ridge block, c its right-hand side. */
static void eliminate_ridge(prophet_lasso *l)
{
    size_t r = l->r, S = l->S, p = l->p, pad = l->pad;
    for (size_t i = 0; i < r; i++) memcpy(l->W + i * pad, l->G + i * p + r, S * sizeof(double));
    for (size_t i = 0; i < S; i++) memcpy(l->C + i * pad, l->G + (r + i) * p + r, S * sizeof(double));
    memcpy(l->c, l->b + r, S * sizeof(double));
    l->kernels->solve_rows(l->L, r, r, l->W, pad);
    l->kernels->schur(l->C, S, l->W, r, pad);
    for (size_t k = 0; k < r; k++)
        for (size_t i = 0; i < S; i++) l->c[i] -= l->W[k * pad + i] * l->z[k];
}

/* Minus the gradient of the smooth part at delta_j: c_j - sum_i C_ji (delta_i - center_i). */
static double correlation(const prophet_lasso *l, size_t j, const double *delta)
{
    const double *row = l->C + j * l->pad, *center = l->center + l->r;
    double s = l->c[j];
    for (size_t i = 0; i < l->S; i++) s -= row[i] * (delta[i] - center[i]);
    return s;
}

/* The minimiser over the active deltas with their signs held, into l->x; its factor stays in l->small. */
static void solve_active(prophet_lasso *l, double threshold)
{
    size_t n = l->n_active, S = l->S;
    const double *center = l->center + l->r;
    for (size_t a = 0; a < n; a++) {
        size_t j = l->active[a];
        const double *row = l->C + j * l->pad;
        l->x[a] = l->c[j] - threshold * l->sign[j];
        for (size_t i = 0; i < S; i++)
            if (l->sign[i] == 0) l->x[a] += row[i] * center[i]; /* inactive: delta_i = 0 */
        for (size_t b = 0; a >= l->n_factored && b <= a; b++) l->small[a * S + b] = row[l->active[b]];
    }
    l->dropped += fi_cholesky_rows(l->small, l->n_factored, n, S, PIVOT_FLOOR);
    l->n_factored = n;
    l->factorisations++;
    fi_solve_lower(l->small, n, S, l->x);
    fi_solve_lower_transposed(l->small, n, S, l->x);
    for (size_t a = 0; a < n; a++) l->x[a] += center[l->active[a]];
}

static void drop(prophet_lasso *l, size_t a, double *delta)
{
    size_t j = l->active[a];
    delta[j] = 0;
    l->sign[j] = 0;
    memmove(l->active + a, l->active + a + 1, (l->n_active - a - 1) * sizeof *l->active);
    l->n_active--;
    if (l->n_factored > a) l->n_factored = a;
}

/* Moves delta towards l->x until a sign would change; that coordinate leaves. Returns true if all of the way. */
static bool advance(prophet_lasso *l, double *delta)
{
    double fraction = 1.0;
    size_t first = (size_t)-1;
    for (size_t a = 0; a < l->n_active; a++) {
        size_t j = l->active[a];
        if (l->x[a] * l->sign[j] > 0) continue;
        double gap = delta[j] - l->x[a], f = gap != 0 ? delta[j] / gap : 0.0;
        if (f < fraction || first == (size_t)-1) fraction = f, first = a;
    }
    for (size_t a = 0; a < l->n_active; a++) {
        size_t j = l->active[a];
        delta[j] = first == (size_t)-1 ? l->x[a] : delta[j] + fraction * (l->x[a] - delta[j]);
    }
    if (first == (size_t)-1) return true;
    drop(l, first, delta);
    return false;
}

static void active_set(prophet_lasso *l, double threshold)
{
    double *delta = l->theta + l->r;
    size_t S = l->S;
    l->n_active = l->n_factored = 0;
    for (size_t j = 0; j < S; j++) {
        l->sign[j] = delta[j] > 0 ? 1.0 : delta[j] < 0 ? -1.0 : 0.0;
        if (l->sign[j] != 0) l->active[l->n_active++] = j;
    }
    size_t last_dropped = (size_t)-1;
    for (size_t round = 0; round < 50 + 20 * S; round++) {
        if (l->n_active) {
            size_t before = l->n_active, newest = l->active[before - 1];
            solve_active(l, threshold);
            if (!advance(l, delta)) {
                if (l->n_active == before - 1 && l->sign[newest] == 0) last_dropped = newest;
                continue;
            }
        }
        size_t worst = (size_t)-1;
        double excess = 0;
        for (size_t j = 0; j < S; j++) {
            if (l->sign[j] != 0) continue;
            double c = correlation(l, j, delta), over = fabs(c) - threshold * (1.0 + 1e-10);
            if (over > excess && (j != last_dropped || over > 1e-6 * threshold)) {
                excess = over;
                worst = j;
                l->sign[S + j] = c > 0 ? 1.0 : -1.0;
            }
        }
        if (worst == (size_t)-1) return;
        l->sign[worst] = l->sign[S + worst];
        l->active[l->n_active++] = worst;
    }
}

/* d ssr / dv = 2 v g' H^-1 g, g the gradient of the penalty on the active coordinates, H the active Hessian. */
static double path_slope(prophet_lasso *l, double v)
{
    size_t r = l->r, n = l->n_active;
    double *g = l->work, *x = l->x;
    for (size_t i = 0; i < r; i++) g[i] = l->D[i] * l->theta[i];
    fi_solve_lower(l->L, r, r, g);
    double total = fi_dot(g, g, r);
    for (size_t a = 0; a < n; a++) {
        size_t j = l->active[a];
        x[a] = l->sign[j] / l->tau;
        for (size_t k = 0; k < r; k++) x[a] -= l->W[k * l->pad + j] * g[k];
    }
    if (n) {
        fi_solve_lower(l->small, n, l->S, x); /* the factor of the last solve: same active set */
        total += fi_dot(x, x, n);
    }
    return 2.0 * v * total;
}

/* |r - Z d|^2 from the quadratic form. */
static double quadratic_ssr(const prophet_lasso *l, const double *d)
{
    double quadratic = 0, linear = fi_dot(l->b, d, l->p);
    for (size_t i = 0; i < l->p; i++)
        if (d[i] != 0) quadratic += d[i] * fi_dot(l->G + i * l->p, d, l->p);
    return fmax(l->rr - 2.0 * linear + quadratic, 0.0);
}

void prophet_lasso_solve(prophet_lasso *l, double v)
{
    size_t r = l->r, S = l->S;
    double *d = l->work;
    factor_ridge(l, v);
    if (S) eliminate_ridge(l);
    active_set(l, v / l->tau);
    l->slope = path_slope(l, v);
    for (size_t j = 0; j < S; j++) d[r + j] = l->theta[r + j] - l->center[r + j];
    for (size_t k = 0; k < r; k++) d[k] = l->z[k] - fi_dot(l->W + k * l->pad, d + r, S);
    fi_solve_lower_transposed(l->L, r, r, d);
    for (size_t i = 0; i < r; i++) l->theta[i] = l->center[i] + d[i];
    l->ssr = quadratic_ssr(l, d);
}

double prophet_lasso_ridge_only(prophet_lasso *l, double v, double *penalty)
{
    double *d = l->work;
    factor_ridge(l, v);
    memcpy(d, l->z, l->r * sizeof *d);
    memset(d + l->r, 0, l->S * sizeof *d);
    fi_solve_lower_transposed(l->L, l->r, l->r, d);
    *penalty = 0;
    for (size_t i = 0; i < l->r; i++) *penalty += 0.5 * l->D[i] * (l->center[i] + d[i]) * (l->center[i] + d[i]);
    for (size_t j = l->r; j < l->p; j++) *penalty += fabs(l->center[j]) / l->tau;
    return quadratic_ssr(l, d);
}

double prophet_lasso_unpenalised(prophet_lasso *l, double v)
{
    double *d = l->work;
    size_t r = l->r, S = l->S;
    factor_ridge(l, v);
    if (S) eliminate_ridge(l);
    for (size_t j = 0; j < S; j++) {
        memcpy(l->small + j * S, l->C + j * l->pad, (j + 1) * sizeof(double));
        d[r + j] = l->c[j];
    }
    fi_cholesky(l->small, S, S, PIVOT_FLOOR);
    fi_solve_lower(l->small, S, S, d + r);
    fi_solve_lower_transposed(l->small, S, S, d + r);
    for (size_t k = 0; k < r; k++) d[k] = l->z[k] - fi_dot(l->W + k * l->pad, d + r, S);
    fi_solve_lower_transposed(l->L, r, r, d);
    return quadratic_ssr(l, d);
}
