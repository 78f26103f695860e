/* State shared by the two halves of the exact solver. */
#ifndef FI_PROPHET_EXACT_H
#define FI_PROPHET_EXACT_H

#include "prophet/design.h"
#include "prophet/lasso.h"

typedef struct prophet_exact {
    const prophet_problem *problem;
    prophet_design design;
    prophet_lasso lasso;
    double *best;   /* [p] the solution */
    double v;       /* its variance */
    double barrier; /* variance at which J begins to fall towards 0, 0 if none was met */
    bool degenerate;
    size_t n_modes, iterations;
} prophet_exact;

extern const double PROPHET_VARIANCE_FLOOR;

ftl_status prophet_exact_init(prophet_exact *s, const prophet_problem *p, ftl_error *err);
void prophet_exact_release(prophet_exact *s);
/* The v that minimises J for a given sum of squares. */
double prophet_profile_variance(size_t T, double ssr);
/* J = -log posterior. */
double prophet_exact_objective(const prophet_exact *s, const double *theta, double ssr, double v);
double prophet_exact_kkt(const prophet_exact *s, const double *theta, const double *b, double ssr, double v,
                         double *gap);
/* Evaluates the rows at theta and makes it the centre of the lasso (b, rr, centre; not G). */
void prophet_exact_recenter(prophet_exact *s, const double *theta);

/* exact_nonlinear.c: best and v by proximal Gauss-Newton and Newton from several starts. */
ftl_status prophet_exact_nonlinear(prophet_exact *s, ftl_error *err);

#endif
