#include "nn/optim.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* A piece of one parameter: what one task moves. Pieces do not depend on the number of threads. */
typedef struct fi_span {
    size_t offset, n;
    bool decay;
} fi_span;
enum { SPAN = 1 << 14 };

double fi_schedule_at(const fi_schedule *s, uint64_t step)
{
    if (step < s->warmup) return (double)step / (double)s->warmup;
    if (s->kind == FI_SCHEDULE_CONSTANT) return 1;
    if (step >= s->total) return s->floor;
    double progress = (double)(step - s->warmup) / (double)(s->total - s->warmup);
    double left = s->kind == FI_SCHEDULE_LINEAR ? 1 - progress : 0.5 * (1 + cos(PI * progress));
    return s->floor + (1 - s->floor) * left;
}

static float *zeros(size_t n)
{
    float *block = fi_aligned_alloc(n + 16, sizeof *block);
    return block ? memset(block, 0, n * sizeof *block) : NULL;
}

ftl_status fi_optim_new(const fi_optim_config *config, fi_params *params, fi_optim **out, ftl_error *err)
{
    fi_optim *o = *out = fi_calloc(1, sizeof *o);
    if (!o) return fi_fail_memory(err);
    o->config = *config;
    o->params = params;
    o->m = zeros(params->size);
    if (config->kind == FI_ADAMW) o->v = zeros(params->size);
    if (config->ema_decay > 0) o->ema = zeros(params->size);
    for (size_t i = 0; i < params->n; i++) o->n_spans += (params->item[i]->size + SPAN - 1) / SPAN;
    o->spans = fi_alloc(o->n_spans, sizeof *o->spans);
    o->sums = fi_alloc(o->n_spans, sizeof *o->sums);
    if (!o->m || (config->kind == FI_ADAMW && !o->v) || (config->ema_decay > 0 && !o->ema) || !o->spans || !o->sums) {
        fi_optim_free(o);
        *out = NULL;
        return fi_fail_memory(err);
    }
    if (o->ema) memcpy(o->ema, params->values, params->size * sizeof *o->ema);
    fi_span *span = o->spans;
    for (size_t i = 0; i < params->n; i++) {
        const fi_param *p = params->item[i];
        for (size_t at = 0; at < p->size; at += SPAN)
            *span++ = (fi_span){(size_t)(p->value - params->values) + at, p->size - at < SPAN ? p->size - at : SPAN,
                                config->decay_vectors || p->n_dims > 1};
    }
    return FTL_OK;
}

void fi_optim_free(fi_optim *o)
{
    if (!o) return;
    fi_aligned_free(o->m);
    fi_aligned_free(o->v);
    fi_aligned_free(o->ema);
    fi_free(o->spans);
    fi_free(o->sums);
    fi_free(o);
}

static void sum_squares(void *user, size_t i, float *scratch)
{
    (void)scratch;
    fi_optim *o = user;
    const float *g = o->params->grads + o->spans[i].offset;
    double sum[8] = {0}; /* eight sums at a time, the same ones whatever the processor */
    size_t n = o->spans[i].n, j = 0;
    for (; j + 8 <= n; j += 8)
        for (size_t k = 0; k < 8; k++) sum[k] += (double)g[j + k] * (double)g[j + k];
    for (; j < n; j++) sum[0] += (double)g[j] * (double)g[j];
    o->sums[i] = ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/* What one step needs beside the optimiser; all numbers as float, as PyTorch's kernels have them. */
typedef struct move {
    fi_optim *o;
    float clip, rate, keep, correction2;
} move;

static void adamw(const move *s, const fi_span *span)
{
    const fi_optim *o = s->o;
    float *restrict p = o->params->values + span->offset, *restrict g = o->params->grads + span->offset;
    float *restrict m = o->m + span->offset, *restrict v = o->v + span->offset;
    const float b1 = (float)o->config.beta1, b2 = (float)o->config.beta2, c1 = (float)(1 - o->config.beta1),
                c2 = (float)(1 - o->config.beta2), eps = (float)o->config.eps, keep = span->decay ? s->keep : 1.0f,
                clip = s->clip, rate = s->rate, correction = s->correction2;
    for (size_t i = 0; i < span->n; i++) {
        float d = g[i] * clip;
        m[i] = b1 * m[i] + c1 * d;
        v[i] = b2 * v[i] + c2 * d * d;
        p[i] = p[i] * keep - rate * m[i] / (sqrtf(v[i]) / correction + eps);
        g[i] = 0;
    }
}

static void sgd(const move *s, const fi_span *span)
{
    const fi_optim *o = s->o;
    float *restrict p = o->params->values + span->offset, *restrict g = o->params->grads + span->offset;
    float *restrict m = o->m + span->offset;
    const float decay = span->decay ? (float)o->config.weight_decay : 0.0f, momentum = (float)o->config.momentum;
    for (size_t i = 0; i < span->n; i++) {
        m[i] = momentum * m[i] + (g[i] * s->clip + decay * p[i]);
        p[i] -= s->rate * m[i];
        g[i] = 0;
    }
}

static void move_span(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const move *s = user;
    const fi_optim *o = s->o;
    const fi_span *span = &o->spans[i];
    if (o->config.kind == FI_ADAMW)
        adamw(s, span);
    else
        sgd(s, span);
    if (!o->ema) return;
    const float *p = o->params->values + span->offset, d = (float)o->config.ema_decay,
                c = (float)(1 - o->config.ema_decay);
    float *ema = o->ema + span->offset;
    for (size_t j = 0; j < span->n; j++) ema[j] = d * ema[j] + c * p[j];
}

ftl_status fi_optim_step(fi_optim *o, fi_engine *engine, ftl_error *err)
{
    const fi_optim_config *c = &o->config;
    fi_engine_run(engine, o->n_spans, sum_squares, o);
    double sum = 0;
    for (size_t i = 0; i < o->n_spans; i++) sum += o->sums[i];
    o->norm = sqrt(sum);
    if (!isfinite(o->norm))
        return fi_fail(err, FTL_ENUMERIC,
                       "the gradient of step %llu is not finite; lower the learning rate or clip the gradient's norm",
                       (unsigned long long)(o->step + 1));
    double rate = c->rate * fi_schedule_at(&c->schedule, o->step), t = (double)++o->step;
    move s = {o, 1, (float)rate, (float)(1 - rate * c->weight_decay), 1};
    if (c->clip_norm > 0 && o->norm > c->clip_norm) s.clip = (float)(c->clip_norm / (o->norm + 1e-6));
    if (c->kind == FI_ADAMW) {
        s.rate = (float)(rate / (1 - pow(c->beta1, t)));
        s.correction2 = (float)sqrt(1 - pow(c->beta2, t));
    }
    fi_engine_run(engine, o->n_spans, move_span, &s);
    return FTL_OK;
}
