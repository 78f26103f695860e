/* Trend, components, point, quantiles and sample paths for the rows of the history and of the future. */
#include "prophet/prophet.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

/* The design matrix is made for so many rows at a time: it stays in the cache, and memory does not grow with K. */
enum { BLOCK = 1024 };

double *prophet_mean_parameters(const prophet_model *model)
{
    size_t S = model->n_changepoints, K = model->n_columns, D = model->n_draws;
    double *mean = fi_calloc(3 + S + K, sizeof *mean);
    if (!mean) return NULL;
    for (size_t d = 0; d < D; d++) {
        mean[0] += model->k[d];
        mean[1] += model->m[d];
        mean[2] += model->sigma_obs[d];
        for (size_t j = 0; j < S; j++) mean[3 + j] += model->delta[d * S + j];
        for (size_t j = 0; j < K; j++) mean[3 + S + j] += model->beta[d * K + j];
    }
    for (size_t i = 0; i < 3 + S + K; i++) mean[i] /= (double)D;
    return mean;
}

/* Everything about one run of rows, the history or the future. */
typedef struct part {
    const prophet_model *model;
    const ftl_predict_args *args;
    const prophet_frame *frame;
    ftl_forecast *fc;
    size_t first; /* row of the forecast where it begins */
    uint64_t seed;
    size_t n_drawn;                            /* samples to draw; 0: none */
    bool sampled;                              /* quantiles come from them */
    double *trend, *additive, *multiplicative; /* [n] scaled, at mean parameters */
    double *terms;                             /* MCMC: X beta of each draw, by mode, [2][n_draws, n]; else NULL */
} part;

static prophet_rows rows_of(const part *p)
{
    return (prophet_rows){.n = p->frame->n,
                          .t = p->frame->t,
                          .trend = p->trend,
                          .cap = p->frame->cap_scaled,
                          .additive = p->additive,
                          .multiplicative = p->multiplicative};
}

/* ---- closed-form quantiles --------------------------------------------------------------------------------------- */

static fi_component *trend_component(const part *p)
{
    return p->args->components ? &p->fc->components[0] : NULL;
}

static ftl_status exact_quantiles(const part *p, ftl_error *err)
{
    const prophet_model *m = p->model;
    size_t n = p->frame->n, L = p->fc->n_levels;
    double *y_q = p->fc->q + p->first * L, *trend_q = trend_component(p) ? trend_component(p)->q + p->first * L : NULL;
    const prophet_rows rows = rows_of(p);
    ftl_status st = prophet_exact_quantiles(m, &rows, p->fc->levels, L, y_q, trend_q, err);
    for (size_t i = 0; !st && i < n; i++) {
        double floor = p->frame->floor[i];
        for (size_t l = 0; l < L; l++) {
            y_q[i * L + l] = y_q[i * L + l] * m->y_scale + floor * (1 + p->multiplicative[i]);
            if (trend_q) trend_q[i * L + l] = trend_q[i * L + l] * m->y_scale + floor;
        }
    }
    return st;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* From scaled units to those of y; sample s follows draw s mod n_draws. */
static void unscale_samples(const part *p, const double *multiplicative_draws, double *y, double *trend)
{
    const prophet_model *m = p->model;
    size_t n = p->frame->n, N = p->n_drawn;
    for (size_t i = 0; i < n; i++)
        for (size_t s = 0; s < N; s++) {
            double floor = p->frame->floor[i];
            double share = multiplicative_draws ? multiplicative_draws[s % m->n_draws * n + i] : p->multiplicative[i];
            y[i * N + s] = y[i * N + s] * m->y_scale + floor * (1 + share);
            if (trend) trend[i * N + s] = trend[i * N + s] * m->y_scale + floor;
        }
}

static ftl_status draw_samples(const part *p, ftl_error *err)
{
    size_t n = p->frame->n, N = p->n_drawn, L = p->fc->n_levels, kept = p->fc->n_samples;
    bool too_large = N > (size_t)-1 / 16 / n;
    fi_component *component = p->sampled ? trend_component(p) : NULL;
    double *y = too_large ? NULL : fi_alloc(n * N, sizeof *y);
    double *trend = component && !too_large ? fi_alloc(n * N, sizeof *trend) : NULL;
    prophet_rows rows = rows_of(p);
    ftl_status st = !y || (component && !trend) ? fi_fail_memory(err) : FTL_OK;
    if (p->terms) {
        rows.additive_draws = p->terms;
        rows.multiplicative_draws = p->terms + p->model->n_draws * n;
    }
    if (!st) st = prophet_sample(p->model, &rows, N, p->seed, y, trend, err);
    if (!st) unscale_samples(p, rows.multiplicative_draws, y, trend);
    if (!st && p->sampled && prophet_sampled_quantiles(y, n, N, p->fc->levels, L, p->fc->q + p->first * L))
        st = fi_fail_memory(err);
    if (!st && trend && prophet_sampled_quantiles(trend, n, N, p->fc->levels, L, component->q + p->first * L))
        st = fi_fail_memory(err);
    for (size_t i = 0; !st && kept && i < n; i++)
        memcpy(p->fc->samples + (p->first + i) * kept, y + i * N, kept * sizeof *y);
    fi_free(y);
    fi_free(trend);
    return st;
}

/* ---- terms and components, a block of rows at a time ------------------------------------------------------------- */

typedef struct block {
    size_t first, n; /* rows of the part */
    double *X;       /* [K, n] */
} block;

static void axpy(double a, const double *restrict x, size_t n, double *restrict y)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* X beta by mode, into arrays that hold 0. */
static void add_terms(const part *p, const block *b, const double *beta, double *additive, double *multiplicative)
{
    const prophet_column *columns = p->model->columns;
    for (size_t j = 0; j < p->model->n_columns; j++)
        if (beta[j] != 0)
            axpy(beta[j], b->X + j * b->n, b->n, (columns[j].multiplicative ? multiplicative : additive) + b->first);
}

static double unit_of(const prophet_model *m, const prophet_component *c)
{
    return c->multiplicative ? 1 : m->y_scale;
}

static void component_values(const part *p, const block *b, const double *beta)
{
    const prophet_model *m = p->model;
    for (size_t c = 0; c < m->n_components; c++) {
        const prophet_component *component = &m->components[c];
        double *value = p->fc->components[1 + c].value + p->first + b->first;
        if (!strcmp(component->name, "additive_terms")) {
            memcpy(value, p->additive + b->first, b->n * sizeof *value);
        } else if (!strcmp(component->name, "multiplicative_terms")) {
            memcpy(value, p->multiplicative + b->first, b->n * sizeof *value);
        } else {
            memset(value, 0, b->n * sizeof *value);
            for (size_t j = 0; j < m->n_columns; j++)
                if (component->uses[j] && beta[j] != 0) axpy(beta[j], b->X + j * b->n, b->n, value);
        }
        double unit = unit_of(m, component);
        if (unit != 1)
            for (size_t i = 0; i < b->n; i++) value[i] *= unit;
    }
}

/* Quantiles of the components over the draws of an MCMC model. */
static ftl_status component_quantiles(const part *p, const block *b, ftl_error *err)
{
    const prophet_model *m = p->model;
    size_t K = m->n_columns, D = m->n_draws, L = p->fc->n_levels;
    double *draws = fi_alloc(D, sizeof *draws);
    ftl_status st = draws ? FTL_OK : fi_fail_memory(err);
    for (size_t c = 0; c < m->n_components; c++) {
        const prophet_component *component = &m->components[c];
        double *q = p->fc->components[1 + c].q + (p->first + b->first) * L, unit = unit_of(m, component);
        for (size_t i = 0; !st && i < b->n; i++) {
            memset(draws, 0, D * sizeof *draws);
            for (size_t j = 0; j < K; j++) {
                double x = component->uses[j] ? b->X[j * b->n + i] * unit : 0;
                for (size_t d = 0; x != 0 && d < D; d++) draws[d] += x * m->beta[d * K + j];
            }
            if (prophet_sampled_quantiles(draws, 1, D, p->fc->levels, L, q + i * L)) st = fi_fail_memory(err);
        }
    }
    fi_free(draws);
    return st;
}

static ftl_status predict_block(const part *p, const block *b, const double *beta, ftl_error *err)
{
    const prophet_model *m = p->model;
    size_t n = p->frame->n, D = m->n_draws;
    add_terms(p, b, beta, p->additive, p->multiplicative);
    for (size_t d = 0; p->terms && d < D; d++)
        add_terms(p, b, m->beta + d * m->n_columns, p->terms + d * n, p->terms + (D + d) * n);
    if (!p->args->components) return FTL_OK;
    component_values(p, b, beta);
    return p->fc->n_levels && D > 1 ? component_quantiles(p, b, err) : FTL_OK;
}

static ftl_status predict_blocks(const part *p, const double *beta, ftl_error *err)
{
    const prophet_frame *f = p->frame;
    block b = {.X = fi_alloc(p->model->n_columns, (f->n < BLOCK ? f->n : BLOCK) * sizeof *b.X)};
    double **extra = fi_alloc(f->n_extra, sizeof *extra);
    ftl_status st = b.X && extra ? FTL_OK : fi_fail_memory(err);
    for (; !st && b.first < f->n; b.first += BLOCK) {
        b.n = f->n - b.first < BLOCK ? f->n - b.first : BLOCK;
        for (size_t e = 0; e < f->n_extra; e++) extra[e] = f->extra[e] + b.first;
        const prophet_frame rows = {
            .n = b.n, .ds = f->ds + b.first, .n_extra = f->n_extra, .extra_names = f->extra_names, .extra = extra};
        st = prophet_features(p->model, &rows, b.X, err);
        if (!st) st = predict_block(p, &b, beta, err);
    }
    fi_free(b.X);
    fi_free(extra);
    return st;
}

/* ---- the parts --------------------------------------------------------------------------------------------------- */

static void fill_rows(const part *p)
{
    const prophet_model *m = p->model;
    const prophet_frame *f = p->frame;
    ftl_forecast *fc = p->fc;
    ftl_time unit = m->kind == FTL_TIME_INDEX ? FTL_DAY : 1;
    for (size_t i = 0; i < f->n; i++) {
        size_t row = p->first + i;
        double trend = p->trend[i] * m->y_scale + f->floor[i];
        fc->ds[row] = f->ds[i] / unit;
        fc->point[row] = trend * (1 + p->multiplicative[i]) + p->additive[i] * m->y_scale;
        if (p->args->components) fc->components[0].value[row] = trend;
        if (fc->cap) fc->cap[row] = f->cap[i];
        if (fc->floor) fc->floor[row] = f->floor[i];
    }
}

static ftl_status predict_part(part *p, const double *mean, ftl_error *err)
{
    const prophet_model *m = p->model;
    size_t n = p->frame->n, D = m->n_draws;
    if (n == 0) return FTL_OK;
    bool many = D > 1 && p->n_drawn;
    double *space = fi_calloc(3 * n, sizeof *space);
    p->terms = many && D < (size_t)-1 / 2 / n ? fi_calloc(2 * D * n, sizeof *p->terms) : NULL;
    ftl_status st = !space || (many && !p->terms) ? fi_fail_memory(err) : FTL_OK;
    if (!st) {
        const double *delta = mean + 3;
        p->trend = space;
        p->additive = space + n;
        p->multiplicative = space + 2 * n;
        prophet_trend((prophet_growth)m->config.growth, mean[0], mean[1], delta, m->changepoints_t, m->n_changepoints,
                      p->frame->t, p->frame->cap_scaled, n, p->trend);
        st = predict_blocks(p, delta + m->n_changepoints, err);
    }
    if (!st) fill_rows(p);
    if (!st && p->fc->n_levels && !p->sampled) st = exact_quantiles(p, err);
    if (!st && p->n_drawn) st = draw_samples(p, err);
    fi_free(space);
    fi_free(p->terms);
    return st;
}

/*
 * The rows of the history. Where only times matter these are all its times, also those without y (as in Prophet's
 * make_future_dataframe); else the rows of the fit, the only ones whose columns are kept. *out is to be released only
 * if it is *own.
 */
static ftl_status history_rows(const prophet_model *m, prophet_frame *own, const prophet_frame **out, ftl_error *err)
{
    *out = &m->history;
    if (m->history.n_extra || m->config.growth == PROPHET_LOGISTIC || !m->n_history_dates) return FTL_OK;
    size_t n = own->n = m->n_history_dates;
    own->ds = fi_alloc(n, sizeof *own->ds);
    own->t = fi_alloc(n, sizeof *own->t);
    own->floor = fi_alloc(n, sizeof *own->floor);
    if (!own->ds || !own->t || !own->floor) return fi_fail_memory(err);
    memcpy(own->ds, m->history_dates, n * sizeof *own->ds);
    for (size_t i = 0; i < n; i++) {
        own->t[i] = (double)(own->ds[i] - m->start) / m->t_scale;
        own->floor[i] = m->config.scaling == PROPHET_ABSMAX ? 0 : m->y_min;
    }
    *out = own;
    return FTL_OK;
}

static ftl_status name_components(const prophet_model *m, ftl_forecast *fc, ftl_error *err)
{
    ftl_status st = fi_forecast_add_components(fc, 1 + m->n_components, err);
    for (size_t c = 0; !st && c < fc->n_components; c++) {
        fi_component *component = &fc->components[c];
        component->name = fi_strdup(c ? m->components[c - 1].name : "trend");
        component->multiplicative = c && m->components[c - 1].multiplicative;
        bool uncertain = fc->n_levels && (c == 0 || m->n_draws > 1); /* under MAP only the trend is */
        if (uncertain) component->q = fi_alloc(fc->n_rows * fc->n_levels, sizeof *component->q);
        if (!component->name || (uncertain && !component->q)) st = fi_fail_memory(err);
    }
    return st;
}

/* The forecast with room for all that is asked for. */
static ftl_status make_forecast(const prophet_model *m, const ftl_predict_args *args, const prophet_frame *history,
                                const prophet_frame *future, ftl_forecast **out, ftl_error *err)
{
    size_t past = history ? history->n : 0, n = past + future->n;
    size_t n_levels = m->config.intervals == PROPHET_INTERVALS_NONE ? 0 : args->n_levels;
    ftl_status st = fi_forecast_new("", "prophet", m->kind, n, args->levels, n_levels, out, err);
    if (st) return st;
    ftl_forecast *fc = *out;
    fc->n_history = past;
    if (args->components) st = name_components(m, fc, err);
    if (future->cap && (!history || history->cap)) fc->cap = fi_alloc(n, sizeof *fc->cap);
    if (m->logistic_floor) fc->floor = fi_alloc(n, sizeof *fc->floor);
    fc->n_samples = args->n_samples;
    if (args->n_samples && args->n_samples <= (size_t)-1 / n)
        fc->samples = fi_alloc(n * args->n_samples, sizeof(double));
    if ((future->cap && (!history || history->cap) && !fc->cap) || (m->logistic_floor && !fc->floor) ||
        (args->n_samples && !fc->samples))
        st = st ? st : fi_fail_memory(err);
    return st;
}

/* Those asked for; for sampled quantiles as many as the option says or more, every posterior draw equally often. */
static size_t samples_to_draw(const part *p)
{
    size_t n = p->args->n_samples, D = p->model->n_draws;
    if (!p->sampled || p->args->sampled_quantiles) return n;
    size_t wanted = p->model->config.uncertainty_samples > 0 ? (size_t)p->model->config.uncertainty_samples : 1000;
    if (wanted < n) wanted = n;
    return (wanted + D - 1) / D * D;
}

ftl_status prophet_predict(const void *model, const ftl_predict_args *args, ftl_forecast **out, ftl_error *err)
{
    const prophet_model *m = model;
    prophet_frame future = {0}, own = {0};
    const prophet_frame *history = NULL;
    ftl_forecast *fc = NULL;
    *out = NULL;
    double *mean = prophet_mean_parameters(m);
    ftl_status st = mean ? prophet_prepare_future(m, args->future, &future, err) : fi_fail_memory(err);
    if (!st && args->history) st = history_rows(m, &own, &history, err);
    if (!st) st = make_forecast(m, args, history, &future, &fc, err);
    if (st) goto done;
    part p = {.model = m, .args = args, .fc = fc, .frame = &future, .first = fc->n_history, .seed = args->seed};
    p.sampled =
        fc->n_levels && (args->sampled_quantiles || m->config.intervals == PROPHET_INTERVALS_SAMPLED || m->n_draws > 1);
    p.n_drawn = samples_to_draw(&p);
    st = predict_part(&p, mean, err);
    if (!st && history) { /* noise of its own, not that of the future again */
        p.frame = history;
        p.first = 0;
        p.seed = ~args->seed;
        st = predict_part(&p, mean, err);
    }
    if (!st) {
        *out = fc;
        fc = NULL;
    }
done:
    ftl_forecast_free(fc);
    prophet_frame_release(&future);
    prophet_frame_release(&own);
    fi_free(mean);
    return st;
}
