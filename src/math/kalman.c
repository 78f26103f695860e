#include "math/kalman.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static const double DIFFUSE_PRIOR = 1e6, KNOWN = 1e-11;

void fi_difference_lags(size_t d, size_t D, size_t m, fi_lags *out)
{
    /* Binomial coefficients of both factors, multiplied; the term 1 is left out and the sign turned. */
    static const double binomial[3][3] = {{1, 0, 0}, {1, -1, 0}, {1, -2, 1}};
    *out = (fi_lags){.degree = d + D * m};
    for (size_t j = 0; j <= D; j++)
        for (size_t i = 0; i <= d; i++) {
            if (i + j == 0) continue;
            out->lag[out->n] = i + j * m;
            out->c[out->n++] = -binomial[d][i] * binomial[D][j];
        }
}

void fi_difference(const fi_lags *diff, const double *y, size_t n, double *w)
{
    for (size_t t = diff->degree; t < n; t++) {
        double value = y[t];
        for (size_t k = 0; k < diff->n; k++) value -= diff->c[k] * y[t - diff->lag[k]];
        w[t - diff->degree] = value;
    }
}

ftl_status fi_kalman_init(fi_kalman *k, size_t dimension, size_t columns, ftl_error *err)
{
    *k = (fi_kalman){.dimension = dimension, .columns = columns};
    k->memory = fi_alloc(dimension, (2 * dimension + 3 + columns) * sizeof(double));
    if (!k->memory) return fi_fail_memory(err);
    k->P = k->memory;
    k->state = k->P + 2 * dimension * dimension + 3 * dimension;
    return FTL_OK;
}

void fi_kalman_release(fi_kalman *k)
{
    fi_free(k->memory);
    k->memory = NULL;
}

typedef struct filter {
    const fi_lags *ar, *diff;
    size_t r, dim;
} filter;

/* What of a state is seen: w plus the differencing of the values before. */
static double observe(const filter *f, const double *x)
{
    double sum = x[0];
    for (size_t k = 0; k < f->diff->n; k++) sum += f->diff->c[k] * x[f->r + f->diff->lag[k] - 1];
    return sum;
}

/* out = T x, out != x. */
static void transition(const filter *f, const double *x, double *out)
{
    size_t r = f->r;
    memcpy(out, x + 1, (r - 1) * sizeof *out);
    out[r - 1] = 0;
    for (size_t k = 0; k < f->ar->n; k++) out[f->ar->lag[k] - 1] += f->ar->c[k] * x[0];
    if (f->dim > r) {
        out[r] = observe(f, x);
        memcpy(out + r + 1, x + r, (f->dim - r - 1) * sizeof *out);
    }
}

/* P <- T P T', work [dim, dim]. */
static void spread(const filter *f, double *P, double *work)
{
    size_t dim = f->dim;
    for (size_t i = 0; i < dim; i++) transition(f, P + i * dim, work + i * dim); /* P T' */
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j < i; j++) { /* transposed in place: T P, whose rows are carried on */
            double x = work[i * dim + j];
            work[i * dim + j] = work[j * dim + i];
            work[j * dim + i] = x;
        }
    for (size_t i = 0; i < dim; i++) transition(f, work + i * dim, P + i * dim);
}

/* P += R R' with R = (1, ma, 0). */
static void add_innovation(const filter *f, const double *R, double *P)
{
    for (size_t i = 0; i < f->r; i++)
        if (R[i] != 0)
            for (size_t j = 0; j < f->r; j++) P[i * f->dim + j] += R[i] * R[j];
}

/* The covariance of a stationary state from its first column: P = T P T' + R R', solved from the last corner. */
static bool prior(const filter *f, const fi_arma *arma, const double *R, double *P, double *phi, double *column,
                  const fi_arma_work *work)
{
    size_t r = f->r, dim = f->dim;
    memset(P, 0, dim * dim * sizeof *P);
    if (!fi_arma_covariance(arma, column, work)) return false;
    for (size_t i = 0; i < r; i++) phi[i] = 0;
    for (size_t k = 0; k < f->ar->n; k++) phi[f->ar->lag[k] - 1] += f->ar->c[k];
    for (size_t i = r; i-- > 0;)
        for (size_t j = r; j-- > 0;) {
            double right = j + 1 < r ? column[j + 1] : 0, below = i + 1 < r ? column[i + 1] : 0;
            P[i * dim + j] = phi[i] * right + phi[j] * below + phi[i] * phi[j] * column[0] + R[i] * R[j];
            if (i + 1 < r && j + 1 < r) P[i * dim + j] += P[(i + 1) * dim + j + 1];
        }
    for (size_t i = r; i < dim; i++) P[i * dim + i] = DIFFUSE_PRIOR;
    return true;
}

/* gain = P Z; P <- P - gain gain' / F; returns F. */
static double condition(const filter *f, double *P, double *gain)
{
    size_t dim = f->dim;
    memcpy(gain, P, dim * sizeof *gain);
    for (size_t k = 0; k < f->diff->n; k++) {
        const double *row = P + (f->r + f->diff->lag[k] - 1) * dim;
        for (size_t i = 0; i < dim; i++) gain[i] += f->diff->c[k] * row[i];
    }
    double F = observe(f, gain);
    for (size_t i = 0; i < dim; i++) {
        double share = gain[i] / F, *restrict row = P + i * dim;
        if (share != 0)
            for (size_t j = 0; j < dim; j++) row[j] -= share * gain[j];
    }
    return F;
}

static bool all_known(const filter *f, const double *P)
{
    for (size_t i = 0; i < f->dim; i++)
        if (fabs(P[i * f->dim + i]) > KNOWN) return false;
    return true;
}

bool fi_kalman_filter(fi_kalman *k, const fi_arma *arma, const fi_lags *diff, const double *y, size_t ld,
                      size_t columns, size_t n, double *v, double *F, const fi_arma_work *work)
{
    filter f = {&arma->ar, diff, fi_arma_dimension(arma), fi_arma_dimension(arma) + diff->degree};
    size_t dim = f.dim;
    double *P = k->P, *M = P + dim * dim, *R = M + dim * dim, *gain = R + dim, *next = gain + dim;
    memset(k->state, 0, columns * dim * sizeof *k->state);
    memset(R, 0, dim * sizeof *R);
    R[0] = 1;
    for (size_t i = 0; i < arma->ma.n; i++) R[arma->ma.lag[i]] += arma->ma.c[i];
    if (!prior(&f, arma, R, P, gain, next, work)) return false;
    k->known = false; /* P of the state after the row at hand is 0: every past innovation is known */
    for (size_t t = 0; t < n; t++) {
        bool missing = isnan(y[t]), before = k->known;
        if (t > 0 && !before) add_innovation(&f, R, P);
        F[t] = NAN;
        if (missing && before) {
            memset(P, 0, dim * dim * sizeof *P);
            add_innovation(&f, R, P);
            k->known = false;
        } else if (!missing && before) {
            F[t] = 1;
            memcpy(gain, R, dim * sizeof *gain);
        } else if (!missing) {
            F[t] = condition(&f, P, gain);
            k->known = all_known(&f, P);
        }
        for (size_t j = 0; j < columns; j++) {
            double *s = k->state + j * dim;
            v[j * ld + t] = missing ? NAN : y[j * ld + t] - observe(&f, s);
            if (!missing)
                for (size_t i = 0; i < dim; i++) s[i] += gain[i] / F[t] * v[j * ld + t];
            transition(&f, s, next);
            memcpy(s, next, dim * sizeof *s);
        }
        if (!k->known) spread(&f, P, M);
    }
    if (k->known) memset(P, 0, dim * dim * sizeof *P);
    return true;
}
