#include "stats/arima_search.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { LONGEST_SEASON = 350 }; /* of seasonal ARIMA terms, as in R */

typedef struct candidate {
    fi_arima_order order;
    double criterion;
} candidate;

typedef struct state {
    const fi_history *past;
    const fi_arima_search *search;
    fi_arima_problem problem;
    fi_arima_order most, base; /* bounds; d, D, m for all */
    fi_arima_criterion criterion;
    bool approximate, may_constant;
    candidate *tried; /* [room] */
    size_t n_tried, room;
    fi_arima_fit best;
    double best_criterion;
} state;

/* ---- differences ------------------------------------------------------------------------------------------------ */

/* out = y differenced d times at lag 1 and D times at lag m; returns its length. */
static size_t differenced(const double *y, size_t n, size_t d, size_t D, size_t m, double *out)
{
    fi_lags diff;
    fi_difference_lags(d, D, m, &diff);
    if (n <= diff.degree) return 0;
    fi_difference(&diff, y, n, out);
    return n - diff.degree;
}

static bool all_missing(const double *y, size_t n)
{
    for (size_t t = 0; t < n; t++)
        if (!isnan(y[t])) return false;
    return true;
}

/* Does differencing leave nothing of some regressor that varied (or of the series)? work [2 n] */
static bool differences_too_often(const state *s, const double *y, size_t d, size_t D, double *work)
{
    const fi_history *past = s->past;
    double *column = work + past->n;
    for (size_t j = 0; j < past->n_x; j++) {
        for (size_t t = 0; t < past->n; t++) column[t] = past->x[t * past->n_x + j];
        if (fi_is_constant(column, past->n)) continue;
        size_t left = differenced(column, past->n, d, D, s->base.m, work);
        if (fi_is_constant(work, left)) return true;
    }
    return all_missing(work, differenced(y, past->n, d, D, s->base.m, work));
}

/* rest [n] = y less its regression on a constant and the regressors: what the tests look at. */
static ftl_status remove_regression(const fi_history *past, double *rest, ftl_error *err)
{
    fi_arima_problem problem;
    fi_arima_fit nothing = {.order = {.m = 1, .constant = true}};
    double squares, *beta = fi_alloc(past->n_x + 1, sizeof *beta);
    ftl_status st = beta ? FTL_OK : fi_fail_memory(err);
    memcpy(rest, past->y, past->n * sizeof *rest);
    if (!st && past->n_x > 0) {
        st = fi_arima_problem_init(&problem, past->y, past->n, past->x, past->n_x, &nothing.order, true, err);
        bool fitted = !st && fi_arima_regression(&problem, &nothing, beta, &squares) == FTL_OK;
        for (size_t t = 0; fitted && t < past->n; t++)
            for (size_t j = 0; j < past->n_x; j++) rest[t] -= past->x[t * past->n_x + j] * beta[j];
        fi_arima_problem_release(&problem);
    }
    fi_free(beta);
    return st;
}

/* Sets d and D of the base order. rest [n] from remove_regression(); work [2 n]. */
static ftl_status choose_differences(state *s, const double *rest, double *work, ftl_error *err)
{
    const fi_arima_search *o = s->search;
    fi_arima_order *base = &s->base;
    size_t n = s->past->n;
    ftl_status st = FTL_OK;
    if (o->D >= 0)
        base->D = (size_t)o->D;
    else if (base->m > 1 && !o->stationary && n > 2 * base->m)
        st = fi_count_seasonal_differences(rest, n, base->m, o->seasonal_test, o->max_D, &base->D, err);
    if (base->m == 1) base->D = 0;
    if (!st && o->D < 0 && base->D > 0 && differences_too_often(s, rest, 0, base->D, work)) base->D--;
    if (st || o->d >= 0) {
        base->d = st ? 0 : (size_t)o->d;
        return st;
    }
    size_t left = differenced(rest, n, 0, base->D, base->m, work);
    if (!o->stationary) st = fi_count_differences(work, left, o->test, o->max_d, &base->d, err);
    if (!st && base->d > 0 && differences_too_often(s, rest, base->d, base->D, work)) base->d--;
    return st;
}

/* ---- one model -------------------------------------------------------------------------------------------------- */

static double criterion_of(const fi_arima_fit *fit, fi_arima_criterion criterion)
{
    return criterion == FI_AIC ? fit->aic : criterion == FI_BIC ? fit->bic : fit->aicc;
}

/* Fits an order; its criterion is infinite where there is no fit or a root is near the unit circle. */
static ftl_status fit_one(state *s, const fi_arima_order *order, bool approximate, fi_arima_fit *fit, double *criterion,
                          ftl_error *err)
{
    static const fi_arima_method methods[] = {FI_ARIMA_CSS_ML, FI_ARIMA_CSS_ML, FI_ARIMA_ML, FI_ARIMA_CSS};
    fi_arima_estimator estimator = s->search->estimator;
    fi_arima_method method = estimator == FI_ESTIMATE_AUTO && approximate ? FI_ARIMA_CSS : methods[estimator];
    *criterion = INFINITY;
    ftl_status st = fi_history_go_on(s->past, err);
    if (!st) st = fi_arima_fit_order(&s->problem, order, method, fit, err);
    if (st == FTL_ENUMERIC) return FTL_OK;
    if (!st && fi_arima_roots_beyond(order, fit->coef, 1.01)) *criterion = criterion_of(fit, s->criterion);
    if (isnan(*criterion)) *criterion = INFINITY;
    return st;
}

static bool is_tried(const state *s, const fi_arima_order *o)
{
    for (size_t i = 0; i < s->n_tried; i++) {
        const fi_arima_order *t = &s->tried[i].order;
        if (t->p == o->p && t->q == o->q && t->P == o->P && t->Q == o->Q && t->constant == o->constant) return true;
    }
    return false;
}

/* Fits an order and keeps it if it is the best; *better says so. */
static ftl_status try_order(state *s, fi_arima_order order, bool *better, ftl_error *err)
{
    fi_arima_fit fit;
    double criterion;
    *better = false;
    if (s->n_tried == s->room) return FTL_OK;
    ftl_status st = fit_one(s, &order, s->approximate, &fit, &criterion, err);
    if (st) return st;
    s->tried[s->n_tried++] = (candidate){order, criterion};
    if (criterion < s->best_criterion) {
        s->best = fit;
        s->best_criterion = criterion;
        *better = true;
    }
    return FTL_OK;
}

/* ---- searches --------------------------------------------------------------------------------------------------- */

static fi_arima_order with_orders(const state *s, size_t p, size_t q, size_t P, size_t Q, bool constant)
{
    fi_arima_order o = s->base;
    o.p = p < s->most.p ? p : s->most.p;
    o.q = q < s->most.q ? q : s->most.q;
    o.P = P < s->most.P ? P : s->most.P;
    o.Q = Q < s->most.Q ? Q : s->most.Q;
    o.constant = constant;
    return o;
}

/* The models a stepwise search starts from; *at becomes the orders it goes on with. */
static ftl_status try_first(state *s, fi_arima_order *at, ftl_error *err)
{
    fi_arima_order start = s->search->start;
    bool c = s->may_constant, better, seasonal = s->base.m > 1;
    if (s->past->n - s->problem.first < 10) start = (fi_arima_order){.p = start.p > 0, .q = start.q > 0};
    fi_arima_order first[5] = {with_orders(s, start.p, start.q, start.P, start.Q, c), with_orders(s, 0, 0, 0, 0, c),
                               with_orders(s, 1, 0, seasonal, 0, c), with_orders(s, 0, 1, 0, seasonal, c),
                               with_orders(s, 0, 0, 0, 0, false)};
    bool wanted[5] = {true, true, s->most.p + s->most.P > 0, s->most.q + s->most.Q > 0, c};
    ftl_status st = FTL_OK;
    *at = first[0];
    for (size_t i = 0; i < 5 && !st; i++) {
        if (!wanted[i]) continue;
        st = try_order(s, first[i], &better, err);
        if (better) {
            *at = first[i];
            at->constant = c; /* the steps go on with it, as R's do */
        }
    }
    return st;
}

/* The neighbour of `at` by a step, if it lies within the bounds. */
static bool neighbour(const state *s, const fi_arima_order *at, const signed char step[4], fi_arima_order *out)
{
    const size_t from[4] = {at->p, at->q, at->P, at->Q}, most[4] = {s->most.p, s->most.q, s->most.P, s->most.Q};
    size_t to[4];
    for (size_t i = 0; i < 4; i++) {
        if (step[i] < 0 ? from[i] == 0 : step[i] > 0 && from[i] >= most[i]) return false;
        to[i] = step[i] < 0 ? from[i] - 1 : from[i] + (size_t)step[i];
    }
    *out = with_orders(s, to[0], to[1], to[2], to[3], at->constant);
    return true;
}

/* Hyndman and Khandakar's: to the first better neighbour, until there is none. */
static ftl_status step_by_step(state *s, ftl_error *err)
{
    static const signed char steps[16][4] = {{0, 0, -1, 0},  {0, 0, 0, -1}, {0, 0, 1, 0},  {0, 0, 0, 1},
                                             {0, 0, -1, -1}, {0, 0, -1, 1}, {0, 0, 1, -1}, {0, 0, 1, 1},
                                             {-1, 0, 0, 0},  {0, -1, 0, 0}, {1, 0, 0, 0},  {0, 1, 0, 0},
                                             {-1, -1, 0, 0}, {-1, 1, 0, 0}, {1, -1, 0, 0}, {1, 1, 0, 0}};
    fi_arima_order at, next;
    ftl_status st = try_first(s, &at, err);
    for (bool moved = true; moved && !st && s->n_tried < s->room;) {
        moved = false;
        for (size_t i = 0; i < 16 && !moved && !st; i++)
            if (neighbour(s, &at, steps[i], &next) && !is_tried(s, &next)) st = try_order(s, next, &moved, err);
        next = moved ? next : at;
        if (!moved && !st && s->may_constant) {
            next.constant = !at.constant;
            if (!is_tried(s, &next)) st = try_order(s, next, &moved, err);
        }
        if (moved) at = next;
    }
    return st;
}

static ftl_status try_all(state *s, ftl_error *err)
{
    const fi_arima_order *most = &s->most;
    ftl_status st = FTL_OK;
    bool better;
    for (size_t p = 0; p <= most->p; p++)
        for (size_t q = 0; q <= most->q; q++)
            for (size_t P = 0; P <= most->P; P++)
                for (size_t Q = 0; Q <= most->Q; Q++)
                    for (int c = 0; c <= s->may_constant; c++)
                        if (!st && p + q + P + Q <= s->search->max_order)
                            st = try_order(s, with_orders(s, p, q, P, Q, c), &better, err);
    return st;
}

/* After an approximate search: the best candidate that the exact likelihood accepts. */
static ftl_status refit(state *s, ftl_error *err)
{
    s->best_criterion = INFINITY;
    for (;;) {
        size_t best = s->n_tried;
        for (size_t i = 0; i < s->n_tried; i++)
            if (s->tried[i].criterion < (best < s->n_tried ? s->tried[best].criterion : INFINITY)) best = i;
        if (best == s->n_tried) return FTL_OK;
        ftl_status st = fit_one(s, &s->tried[best].order, false, &s->best, &s->best_criterion, err);
        if (st || s->best_criterion < INFINITY) return st;
        s->tried[best].criterion = INFINITY;
    }
}

static ftl_status run_search(state *s, ftl_error *err)
{
    const fi_arima_search *o = s->search;
    s->room = o->stepwise ? o->n_models : 2 * (s->most.p + 1) * (s->most.q + 1) * (s->most.P + 1) * (s->most.Q + 1);
    s->tried = fi_alloc(s->room, sizeof *s->tried);
    if (!s->tried) return fi_fail_memory(err);
    ftl_status st = o->stepwise ? step_by_step(s, err) : try_all(s, err);
    return st || !s->approximate ? st : refit(s, err);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bounds of the orders from the number of values between the first and the last. */
static void set_bounds(state *s, size_t observed)
{
    fi_arima_order most = s->search->most;
    size_t m = s->base.m;
    most.p = least(most.p, observed / 3);
    most.q = least(most.q, observed / 3);
    most.P = m > 1 ? least(most.P, observed / 3 / m) : 0;
    most.Q = m > 1 ? least(most.Q, observed / 3 / m) : 0;
    if (most.P > 0) most.p = least(most.p, m - 1);
    if (most.Q > 0) most.q = least(most.q, m - 1);
    s->most = most;
}

/* The model of differences alone, with a constant where the rest is not 0 by nature. */
static void only_differences(const state *s, bool constant, fi_arima_choice *choice)
{
    choice->fit = (fi_arima_fit){.order = s->base, .loglik = NAN, .aic = NAN, .aicc = NAN, .bic = NAN};
    choice->fit.order.constant = constant;
}

bool fi_arima_bridges(const fi_history *past, const fi_arima_order *largest)
{
    size_t p = largest->p + largest->P * largest->m, q = largest->q + largest->Q * largest->m + 1;
    double dimension = (double)(p > q ? p : q) + (double)(largest->d + largest->D * largest->m);
    return (double)past->n * dimension * dimension > 2e6;
}

ftl_status fi_arima_choose(const fi_history *past, const fi_arima_search *search, fi_arima_choice *choice,
                           ftl_error *err)
{
    state s = {.past = past, .search = search, .criterion = search->criterion, .best_criterion = INFINITY};
    size_t observed = 0;
    *choice = (fi_arima_choice){0};
    for (size_t t = 0; t < past->n; t++) observed += isnan(past->y[t]) ? 0 : 1;
    s.base.m = search->seasonal && past->season <= LONGEST_SEASON ? past->season : 1;
    if (fi_is_constant(past->y, past->n)) {
        choice->certain = true;
        only_differences(&s, search->mean, choice);
        return FTL_OK;
    }
    double *rest = fi_alloc(past->n, 3 * sizeof *rest);
    if (!rest) return fi_fail_memory(err);
    ftl_status st = remove_regression(past, rest, err);
    if (!st) st = choose_differences(&s, rest, rest + past->n, err);
    if (st) goto done;
    size_t order = s.base.d + s.base.D, left = differenced(rest, past->n, s.base.d, s.base.D, s.base.m, rest + past->n);
    s.may_constant = order == 0 ? search->mean : order == 1 && search->drift;
    set_bounds(&s, observed);
    if (fi_is_constant(rest + past->n, left)) {
        choice->certain = true;
        only_differences(&s, order < 2 && (past->n_x == 0 || order == 0), choice);
        goto done;
    }
    if (observed <= 3) s.criterion = FI_AIC;
    s.approximate = search->approximation == FI_APPROXIMATE_YES ||
                    (search->approximation == FI_APPROXIMATE_AUTO && (past->n > 150 || past->season > 12));
    fi_arima_order largest = s.most;
    largest.d = s.base.d;
    largest.D = s.base.D;
    largest.m = s.base.m;
    largest.constant = s.may_constant;
    st = fi_arima_problem_init(&s.problem, past->y, past->n, past->x, past->n_x, &largest,
                               fi_arima_bridges(past, &largest), err);
    if (!st) st = run_search(&s, err);
    choice->fit = s.best;
    choice->n_models = s.n_tried;
    choice->approximate = s.approximate;
    choice->fallback = !(s.best_criterion < INFINITY);
    if (choice->fallback) only_differences(&s, s.may_constant, choice);
done:
    fi_arima_problem_release(&s.problem);
    fi_free(s.tried);
    fi_free(rest);
    return st;
}
