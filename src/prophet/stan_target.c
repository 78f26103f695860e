#include "prophet/stan.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"

#include <math.h>
#include <string.h>

enum { BLOCK_ROWS = 128 }; /* a block of 128 rows and 60 columns stays in the second-level cache */

/* Rows [begin, end) of [Z y] by column: t, 1, hinges, X for linear growth; 1, X for flat growth; each column `rows` long. */
static void design_rows(const prophet_problem *p, size_t begin, size_t end, double *block)
{
    size_t rows = end - begin;
    double *column = block;
    if (p->growth == PROPHET_LINEAR) {
        memcpy(column, p->t + begin, rows * sizeof *column);
        column += rows;
    }
    for (size_t i = 0; i < rows; i++) column[i] = 1;
    column += rows;
    if (p->growth == PROPHET_LINEAR)
        for (size_t j = 0; j < p->S; j++, column += rows)
            for (size_t i = 0; i < rows; i++) column[i] = fmax(0, p->t[begin + i] - p->t_change[j]);
    for (size_t j = 0; j < p->K; j++, column += rows) memcpy(column, p->X + j * p->T + begin, rows * sizeof *column);
    memcpy(column, p->y + begin, rows * sizeof *column);
}

/* The triangular factor of R stacked on a block [columns][rows], which is destroyed. Householder: reflection j mixes
   row j of R with all of the block. */
static void append_rows(double *R, size_t columns, double *block, size_t rows)
{
    for (size_t j = 0; j < columns; j++) {
        double *v = block + j * rows, *row = R + j * columns, below = fi_dot(v, v, rows);
        if (below == 0) continue;
        double norm = sqrt(row[j] * row[j] + below), head = row[j] > 0 ? row[j] + norm : row[j] - norm;
        double scale = 2 / (head * head + below);
        for (size_t c = j + 1; c < columns; c++) {
            double *other = block + c * rows, along = scale * (head * row[c] + fi_dot(v, other, rows));
            row[c] -= along * head;
            for (size_t i = 0; i < rows; i++) other[i] -= along * v[i];
        }
        row[j] = row[j] > 0 ? -norm : norm;
    }
}

static bool additive(const prophet_problem *p)
{
    if (p->growth == PROPHET_LOGISTIC) return false;
    for (size_t j = 0; j < p->K; j++)
        if (p->multiplicative[j]) return false;
    return true;
}

ftl_status stan_target_init(stan_target *target, const prophet_problem *p, ftl_error *err)
{
    size_t columns = (p->growth == PROPHET_LINEAR ? 2 + p->S : 1) + p->K + 1; /* of [Z y] */
    *target = (stan_target){.p = p, .n = 3 + p->S + p->K};
    if (!additive(p) || p->T <= columns) {
        target->workspace = fi_alloc(3 * p->T, sizeof(double));
        return target->workspace ? FTL_OK : fi_fail_memory(err);
    }
    target->q = columns - 1;
    target->workspace = fi_alloc(columns, sizeof(double));
    target->factor = fi_calloc(columns, columns * sizeof(double));
    double *block = fi_alloc(columns, BLOCK_ROWS * sizeof(double));
    ftl_status st = target->workspace && target->factor && block ? FTL_OK : fi_fail_memory(err);
    for (size_t begin = 0; st == FTL_OK && begin < p->T; begin += BLOCK_ROWS) {
        size_t end = begin + BLOCK_ROWS < p->T ? begin + BLOCK_ROWS : p->T;
        design_rows(p, begin, end, block);
        append_rows(target->factor, columns, block, end - begin);
    }
    fi_free(block);
    if (st) stan_target_release(target);
    return st;
}

void stan_target_release(stan_target *target)
{
    fi_free(target->factor);
    fi_free(target->workspace);
    *target = (stan_target){0};
}

/* |Z theta - y|^2, and its gradient times -1 / (2 sigma^2): that of the likelihood. */
static double condensed_ssr(const stan_target *target, const double *theta, double sigma, double *grad)
{
    const prophet_problem *p = target->p;
    size_t q = target->q, columns = q + 1, head = q - p->K; /* coefficients of the trend */
    const double *trend = p->growth == PROPHET_LINEAR ? theta : theta + 1, *beta = theta + 3 + p->S;
    double *trend_grad = p->growth == PROPHET_LINEAR ? grad : grad + 1, *beta_grad = grad + 3 + p->S;
    double *e = target->workspace, scale = 1 / (sigma * sigma);
    memset(grad, 0, target->n * sizeof *grad);
    for (size_t i = 0; i < columns; i++) {
        const double *row = target->factor + i * columns;
        e[i] = row[q];
        if (i < head) e[i] -= fi_dot(row + i, trend + i, head - i);
        size_t first = i > head ? i - head : 0;
        e[i] -= fi_dot(row + head + first, beta + first, p->K - first);
        double w = e[i] * scale;
        for (size_t j = i; j < head; j++) trend_grad[j] += w * row[j];
        for (size_t j = first; j < p->K; j++) beta_grad[j] += w * row[head + j];
    }
    return fi_dot(e, e, columns);
}

bool stan_target_evaluate(stan_target *target, const double *theta, double *lp, double *grad)
{
    const prophet_problem *p = target->p;
    double *values = (double *)theta; /* a point could change; this one is only read */
    prophet_point x = {theta[0], theta[1], exp(theta[2 + p->S]), values + 2, values + 3 + p->S};
    *lp = target->q ? prophet_log_posterior_of_ssr(p, &x, condensed_ssr(target, theta, x.sigma, grad), grad)
                    : prophet_log_posterior(p, &x, grad, target->workspace);
    bool finite = isfinite(*lp);
    for (size_t i = 0; i < target->n; i++) finite = finite && isfinite(grad[i]);
    return finite;
}
