#include "prophet/columns.h"

#include "base/alloc.h"
#include "base/error.h"
#include "math/linalg.h"

#include <string.h>

enum { KEPT = -1, EMPTY = -2 }; /* what becomes of a column, where it does not go into group 0, 1, ... */

static bool is_empty(const prophet_problem *p, size_t j)
{
    for (size_t i = 0; i < p->T; i++)
        if (p->X[j * p->T + i] != 0) return false;
    return true;
}

static bool same_kind(const prophet_problem *p, size_t j, size_t k)
{
    return p->sigmas[j] == p->sigmas[k] && p->multiplicative[j] == p->multiplicative[k];
}

/* Decides on every column; members of group g are listed in members[first[g]] and on. */
static void sort_out(prophet_columns *c, const prophet_problem *p)
{
    size_t live = 0;
    for (size_t j = 0; j < p->K; j++) {
        c->fate[j] = is_empty(p, j) ? EMPTY : KEPT;
        live += c->fate[j] == KEPT;
    }
    c->n_groups = c->first[0] = 0;
    for (size_t j = 0; live > p->T && j < p->K; j++) {
        if (c->fate[j] != KEPT) continue;
        size_t end = c->first[c->n_groups];
        for (size_t k = j; k < p->K; k++)
            if (c->fate[k] == KEPT && same_kind(p, j, k)) c->members[end++] = k;
        if (end - c->first[c->n_groups] <= p->T) continue;
        for (size_t m = c->first[c->n_groups]; m < end; m++) c->fate[c->members[m]] = (int)c->n_groups;
        c->first[++c->n_groups] = end;
    }
}

static size_t group_size(const prophet_columns *c, size_t g)
{
    return c->first[g + 1] - c->first[g];
}

/* Factors X_g' = Q R and writes the columns of R' behind `column`. */
static void condense_group(prophet_columns *c, const prophet_problem *p, size_t g, double *column)
{
    size_t size = group_size(c, g), T = p->T;
    double *A = c->qr + c->first[g] * T; /* [T columns, size rows] */
    for (size_t i = 0; i < T; i++)
        for (size_t m = 0; m < size; m++) A[i * size + m] = p->X[c->members[c->first[g] + m] * T + i];
    fi_qr(A, size, T, size, c->tau + g * T);
    for (size_t r = 0; r < T; r++)
        for (size_t i = 0; i < T; i++) column[r * T + i] = i >= r ? A[i * size + r] : 0;
}

ftl_status prophet_columns_init(prophet_columns *c, const prophet_problem *p, ftl_error *err)
{
    size_t T = p->T;
    *c = (prophet_columns){.p = *p, .K = p->K};
    c->fate = fi_alloc(p->K, sizeof *c->fate);
    c->members = fi_alloc(p->K, sizeof *c->members);
    c->first = fi_alloc(p->K + 1, sizeof *c->first);
    if (!c->fate || !c->members || !c->first) goto fail;
    sort_out(c, p);
    size_t kept = 0;
    for (size_t j = 0; j < p->K; j++) kept += c->fate[j] == KEPT;
    if (kept == p->K) return FTL_OK; /* as it is */

    size_t K = kept + c->n_groups * T;
    c->qr = fi_alloc(c->first[c->n_groups] + c->n_groups, T * sizeof *c->qr);
    c->scratch = fi_alloc(p->K, sizeof *c->scratch);
    c->X = fi_alloc(K, T * sizeof *c->X);
    c->sigmas = fi_alloc(K, sizeof *c->sigmas);
    c->multiplicative = fi_alloc(K, sizeof *c->multiplicative);
    if (!c->qr || !c->scratch || !c->X || !c->sigmas || !c->multiplicative) goto fail;
    c->tau = c->qr + c->first[c->n_groups] * T;
    size_t k = 0;
    for (size_t j = 0; j < p->K; j++) {
        if (c->fate[j] != KEPT) continue;
        memcpy(c->X + k * T, p->X + j * T, T * sizeof *c->X);
        c->sigmas[k] = p->sigmas[j];
        c->multiplicative[k++] = p->multiplicative[j];
    }
    for (size_t g = 0; g < c->n_groups; g++) {
        condense_group(c, p, g, c->X + k * T);
        for (size_t r = 0; r < T; r++, k++) {
            c->sigmas[k] = p->sigmas[c->members[c->first[g]]];
            c->multiplicative[k] = p->multiplicative[c->members[c->first[g]]];
        }
    }
    c->p.K = K;
    c->p.X = c->X;
    c->p.sigmas = c->sigmas;
    c->p.multiplicative = c->multiplicative;
    return FTL_OK;
fail:
    prophet_columns_release(c);
    return fi_fail_memory(err);
}

void prophet_columns_release(prophet_columns *c)
{
    fi_free(c->fate);
    fi_free(c->members);
    fi_free(c->first);
    fi_free(c->qr);
    fi_free(c->scratch);
    fi_free(c->X);
    fi_free(c->sigmas);
    fi_free(c->multiplicative);
    *c = (prophet_columns){0};
}

void prophet_columns_condense(const prophet_columns *c, const double *beta, double *z)
{
    size_t T = c->p.T;
    for (size_t j = 0; j < c->K; j++)
        if (c->fate[j] == KEPT) *z++ = beta[j];
    for (size_t g = 0; g < c->n_groups; g++, z += T) {
        size_t size = group_size(c, g);
        for (size_t m = 0; m < size; m++) c->scratch[m] = beta[c->members[c->first[g] + m]];
        fi_qr_apply(c->qr + c->first[g] * T, size, T, size, c->tau + g * T, 1, c->scratch);
        memcpy(z, c->scratch, T * sizeof *z);
    }
}

void prophet_columns_expand(const prophet_columns *c, const double *z, double *beta)
{
    size_t T = c->p.T;
    for (size_t j = 0; j < c->K; j++) beta[j] = c->fate[j] == KEPT ? *z++ : 0;
    for (size_t g = 0; g < c->n_groups; g++, z += T) {
        size_t size = group_size(c, g);
        memcpy(c->scratch, z, T * sizeof *z);
        memset(c->scratch + T, 0, (size - T) * sizeof *z);
        fi_qr_apply(c->qr + c->first[g] * T, size, T, size, c->tau + g * T, 0, c->scratch);
        for (size_t m = 0; m < size; m++) beta[c->members[c->first[g] + m]] = c->scratch[m];
    }
}
