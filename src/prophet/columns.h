/*
 * A problem without columns that only cost time. Empty columns are left out (their beta is 0 by the prior). Columns of
 * one mode and prior scale that outnumber the rows span at most T directions: X_g' = Q R with Q orthonormal, the prior
 * is spherical, so the model with the T columns of R', the same prior scale and coefficients z, beta_g = Q z, is the
 * same model and looks the same to any solver that does not prefer axes.
 */
#ifndef FI_PROPHET_COLUMNS_H
#define FI_PROPHET_COLUMNS_H

#include "prophet/prophet.h"

typedef struct prophet_columns {
    prophet_problem p;       /* to be solved; shares all but its columns with the original */
    size_t K, n_groups;      /* columns of the original, groups condensed */
    int *fate;               /* [K] */
    size_t *members, *first; /* [K], [n_groups + 1] */
    double *qr, *tau, *scratch;
    double *X, *sigmas; /* of p, where they are not the original's */
    bool *multiplicative;
} prophet_columns;

/* `p` is borrowed. */
ftl_status prophet_columns_init(prophet_columns *columns, const prophet_problem *p, ftl_error *err);
void prophet_columns_release(prophet_columns *columns);
/* beta [K] of the original to that of columns->p, and back. */
void prophet_columns_condense(const prophet_columns *columns, const double *beta, double *z);
void prophet_columns_expand(const prophet_columns *columns, const double *z, double *beta);

#endif
