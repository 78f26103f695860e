#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/rows.h"
#include "tensor/vector.h"

#include <math.h>
#include <string.h>

/*
 * Every loss is a weighted mean over rows: a kind of loss says what one row costs and how its gradient is passed on. Rows are
 * summed in fixed chunks, in double. Nothing flows back to targets, labels, weights and masks. Where no row counts, the loss
 * and its gradient are 0.
 */
typedef struct loss_attr loss_attr;
typedef struct loss_run {
    const fi_row_kernels *k;
    fi_node *node;
    loss_attr *attr;
    size_t grain;
    float factor; /* backward: what a row of weight 1 is multiplied by */
    bool add;
} loss_run;

typedef struct loss_kind {
    double (*row)(const loss_run *run, size_t r, float *scratch);
    /* gradient of in[0]'s row r (+)= factor * derivative */
    void (*back)(const loss_run *run, size_t r, float factor, float *scratch);
} loss_kind;

enum { CHUNKS = 64 };

struct loss_attr {
    const loss_kind *kind;
    size_t rows, d;
    bool weighted;       /* in[2] holds a weight for each row */
    bool labelled;       /* in[1] holds labels; rows of negative ones do not count */
    float scale;         /* of logits: 1 / temperature */
    const float *levels; /* behind the attributes */
    size_t n_levels, steps;
    bool mean_over_levels;
    double sum[CHUNKS], weight[CHUNKS], inverse;
};

static float weight_of(const loss_run *run, size_t r)
{
    if (run->attr->labelled && fi_ids(run->node->in[1])[r] < 0) return 0.0f;
    return run->attr->weighted ? run->node->in[2]->value[r] : 1.0f;
}

static const float *row_of(const loss_run *run, size_t r)
{
    return run->node->in[0]->value + r * run->attr->d;
}

static float *grad_row(const loss_run *run, size_t r)
{
    return run->node->in[0]->grad + r * run->attr->d;
}

static const float *target_row(const loss_run *run, size_t r)
{
    return run->node->in[1]->value + r * run->attr->d;
}

static void loss_rows(void *user, size_t from, size_t to, float *scratch)
{
    const loss_run *run = user;
    double sum = 0.0, weight = 0.0;
    for (size_t r = from; r < to; r++) {
        double w = weight_of(run, r);
        if (w == 0.0) continue; /* whatever such a row holds */
        sum += w * run->attr->kind->row(run, r, scratch);
        weight += w;
    }
    run->attr->sum[from / run->grain] = sum;
    run->attr->weight[from / run->grain] = weight;
}

static loss_run run_of(fi_node *node)
{
    loss_attr *a = node->attr;
    size_t by_size = fi_row_grain(a->d), by_number = (a->rows + CHUNKS - 1) / CHUNKS;
    return (loss_run){fi_rows_best(), node, a, by_size > by_number ? by_size : by_number, 0.0f, false};
}

static void loss_forward(fi_graph *g, fi_node *node)
{
    loss_run run = run_of(node);
    double sum = 0.0, weight = 0.0;
    fi_each_chunk(fi_graph_engine(g), run.attr->rows, run.grain, loss_rows, &run);
    for (size_t i = 0; i * run.grain < run.attr->rows; i++) {
        sum += run.attr->sum[i];
        weight += run.attr->weight[i];
    }
    run.attr->inverse = weight != 0.0 ? 1.0 / weight : 0.0;
    *node->value = (float)(sum * run.attr->inverse);
}

static void loss_rows_back(void *user, size_t from, size_t to, float *scratch)
{
    const loss_run *run = user;
    for (size_t r = from; r < to; r++) {
        float w = weight_of(run, r);
        if (w != 0.0f)
            run->attr->kind->back(run, r, w * run->factor, scratch);
        else if (!run->add)
            memset(grad_row(run, r), 0, run->attr->d * sizeof(float));
    }
}

static void loss_backward(fi_graph *g, fi_node *node)
{
    loss_run run = run_of(node);
    run.add = fi_grad_begin(node->in[0]);
    run.factor = (float)(*node->grad * run.attr->inverse);
    fi_each_chunk(fi_graph_engine(g), run.attr->rows, run.grain, loss_rows_back, &run);
}

/* A loss over rows of x; `third`: weights or mask. */
static fi_node *loss(fi_graph *g, const fi_op *op, fi_node *x, fi_node *target, fi_node *third, loss_attr settings)
{
    static const size_t one = 1;
    size_t values = settings.labelled ? settings.rows : settings.n_levels ? settings.rows * settings.steps : x->size;
    if (target->size != values || (target->type == FI_I32) != settings.labelled)
        return fi_fail_shapes(g, op->name, x, target, "the targets do not fit");
    if (third && third->size != (settings.weighted ? settings.rows : values))
        return fi_fail_shapes(g, op->name, x, third, settings.weighted ? "one weight a row" : "one mask a target");
    fi_node *node = fi_node_new(g, op, 1, &one, sizeof settings + settings.n_levels * sizeof(float));
    if (!node) return NULL;
    loss_attr *attr = node->attr;
    *attr = settings;
    if (settings.n_levels) attr->levels = memcpy(attr + 1, settings.levels, settings.n_levels * sizeof(float));
    node->n_saved = settings.scale != 0.0f ? settings.rows : 0;
    fi_node_input(g, node, x);
    fi_node_input(g, node, target);
    fi_node_input(g, node, third);
    return node;
}

#define LOSS(text)                                                                                                     \
    {                                                                                                                  \
        text, loss_forward, loss_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1) | FI_KEEP_IN(2), false, false                 \
    }

/* ---- over logits; saved: log sum exp of every row ---- */

static float log_sum(const loss_run *run, size_t r, float *scratch)
{
    const float *x = row_of(run, r);
    if (run->attr->scale != 1.0f) run->k->affine(scratch, x, run->attr->scale, 0.0f, run->attr->d, false);
    float lse = fi_vectors_best()->log_sum_exp(run->attr->scale != 1.0f ? scratch : x, run->attr->d);
    if (run->node->saved) run->node->saved[r] = lse;
    return lse;
}

/* The label of row r; one beyond the logits counts as the last. */
static size_t label_of(const loss_run *run, size_t r)
{
    size_t label = (size_t)fi_ids(run->node->in[1])[r];
    return label < run->attr->d ? label : run->attr->d - 1;
}

static double hard_row(const loss_run *run, size_t r, float *scratch)
{
    return (double)log_sum(run, r, scratch) - (double)row_of(run, r)[label_of(run, r)];
}

static void hard_back(const loss_run *run, size_t r, float factor, float *scratch)
{
    (void)scratch;
    run->k->scaled_exp(grad_row(run, r), row_of(run, r), 1.0f, run->node->saved[r], factor, run->attr->d, run->add);
    grad_row(run, r)[label_of(run, r)] -= factor;
}

static fi_node *over_logits(fi_graph *g, const fi_op *op, fi_node *logits, fi_node *target, fi_node *weights,
                            const loss_kind *kind, bool labelled, float scale)
{
    if (!logits || !target) return NULL;
    if (logits->size == 0 || fi_last_dim(logits) > FI_SCRATCH_BYTES / sizeof(float))
        return fi_fail_shapes(g, op->name, logits, NULL, "1 to 1,048,576 logits a row");
    return loss(g, op, logits, target, weights,
                (loss_attr){.kind = kind,
                            .rows = fi_n_rows(logits),
                            .d = fi_last_dim(logits),
                            .weighted = weights != NULL,
                            .labelled = labelled,
                            .scale = scale});
}

fi_node *fi_cross_entropy(fi_graph *g, fi_node *logits, fi_node *labels, fi_node *weights)
{
    static const fi_op op = LOSS("cross_entropy");
    static const loss_kind kind = {hard_row, hard_back};
    return over_logits(g, &op, logits, labels, weights, &kind, true, 1.0f);
}

static double soft_row(const loss_run *run, size_t r, float *scratch)
{
    const float *p = target_row(run, r);
    size_t d = run->attr->d;
    return (double)log_sum(run, r, scratch) * (double)run->k->total(p, d) -
           (double)run->attr->scale * (double)run->k->dot(p, row_of(run, r), d);
}

static void soft_back(const loss_run *run, size_t r, float factor, float *scratch)
{
    const float *p = target_row(run, r);
    float scale = run->attr->scale, *dx = grad_row(run, r);
    size_t d = run->attr->d;
    (void)scratch;
    run->k->scaled_exp(dx, row_of(run, r), scale, run->node->saved[r], factor * scale * run->k->total(p, d), d,
                       run->add);
    run->k->affine(dx, p, -factor * scale, 0.0f, d, true);
}

fi_node *fi_soft_cross_entropy(fi_graph *g, fi_node *logits, fi_node *soft, fi_node *weights, float temperature)
{
    static const fi_op op = LOSS("soft_cross_entropy");
    static const loss_kind kind = {soft_row, soft_back};
    if (!(temperature > 0.0f)) return fi_graph_fail(g, "soft_cross_entropy: temperature %g", (double)temperature);
    return over_logits(g, &op, logits, soft, weights, &kind, false, 1.0f / temperature);
}

/*
 * With H_j = 1[label <= j], D_j = 2 (F_j - H_j): d/dp_i = sum_{j >= i} D_j = G_i, and through the softmax
 * d/dlogit_i = p_i (G_i - sum_k p_k G_k), where the last sum is sum_j D_j F_j.
 */
static double cdf_row(const loss_run *run, size_t r, float *scratch)
{
    size_t d = run->attr->d, label = label_of(run, r);
    double f = 0.0, sum = 0.0;
    run->k->scaled_exp(scratch, row_of(run, r), 1.0f, log_sum(run, r, scratch), 1.0f, d, false);
    for (size_t j = 0; j < d; j++) {
        f += (double)scratch[j];
        double gap = f - (label <= j ? 1.0 : 0.0);
        sum += gap * gap;
    }
    return sum;
}

static void cdf_back(const loss_run *run, size_t r, float factor, float *scratch)
{
    size_t d = run->attr->d, label = label_of(run, r);
    double f = 0.0, rest = 0.0, along = 0.0;
    float *dx = grad_row(run, r);
    run->k->scaled_exp(scratch, row_of(run, r), 1.0f, run->node->saved[r], 1.0f, d, false);
    for (size_t j = 0; j < d; j++) {
        f += (double)scratch[j];
        double slope = 2.0 * (f - (label <= j ? 1.0 : 0.0));
        rest += slope; /* G_0 in the end */
        along += slope * f;
    }
    f = 0.0;
    for (size_t j = 0; j < d; j++) {
        float value = (float)((double)factor * (double)scratch[j] * (rest - along));
        dx[j] = run->add ? dx[j] + value : value;
        f += (double)scratch[j];
        rest -= 2.0 * (f - (label <= j ? 1.0 : 0.0));
    }
}

fi_node *fi_cdf_loss(fi_graph *g, fi_node *logits, fi_node *labels, fi_node *weights)
{
    static const fi_op op = LOSS("cdf_loss");
    static const loss_kind kind = {cdf_row, cdf_back};
    return over_logits(g, &op, logits, labels, weights, &kind, true, 1.0f);
}

/* ---- mean squared error ---- */

static double mse_row(const loss_run *run, size_t r, float *scratch)
{
    (void)scratch;
    return (double)run->k->squared_distance(row_of(run, r), target_row(run, r), run->attr->d) / (double)run->attr->d;
}

static void mse_back(const loss_run *run, size_t r, float factor, float *scratch)
{
    float twice = 2.0f * factor / (float)run->attr->d;
    size_t d = run->attr->d;
    (void)scratch;
    run->k->affine(grad_row(run, r), row_of(run, r), twice, 0.0f, d, run->add);
    run->k->affine(grad_row(run, r), target_row(run, r), -twice, 0.0f, d, true);
}

fi_node *fi_mse(fi_graph *g, fi_node *y, fi_node *target, fi_node *weights)
{
    static const fi_op op = LOSS("mse");
    static const loss_kind kind = {mse_row, mse_back};
    if (!y || !target) return NULL;
    size_t rows = weights ? weights->size : y->n_dims > 1 ? y->shape[0] : 1;
    if (rows == 0 || y->size == 0 || y->size % rows)
        return fi_fail_shapes(g, op.name, y, weights, "no weights that fit");
    return loss(g, &op, y, target, weights,
                (loss_attr){.kind = &kind, .rows = rows, .d = y->size / rows, .weighted = weights != NULL});
}

/* ---- quantiles ---- */

/* Target and mask of row r. */
static const float *steps_of(const loss_run *run, int in, size_t r)
{
    return run->node->in[in] ? run->node->in[in]->value + r * run->attr->steps : NULL;
}

static double quantile_row(const loss_run *run, size_t r, float *scratch)
{
    const loss_attr *a = run->attr;
    double sum = 0.0;
    (void)scratch;
    for (size_t k = 0; k < a->n_levels; k++)
        sum += (double)run->k->pinball(row_of(run, r) + k * a->steps, steps_of(run, 1, r), steps_of(run, 2, r),
                                       a->levels[k], a->steps);
    return sum / (double)(a->mean_over_levels ? a->n_levels : a->steps);
}

static void quantile_back(const loss_run *run, size_t r, float factor, float *scratch)
{
    const loss_attr *a = run->attr;
    (void)scratch;
    factor /= (float)(a->mean_over_levels ? a->n_levels : a->steps);
    for (size_t k = 0; k < a->n_levels; k++)
        run->k->pinball_back(grad_row(run, r) + k * a->steps, row_of(run, r) + k * a->steps, steps_of(run, 1, r),
                             steps_of(run, 2, r), a->levels[k], factor, a->steps, run->add);
}

fi_node *fi_quantile_loss(fi_graph *g, fi_node *q, fi_node *target, fi_node *mask, const float *levels, size_t n_levels,
                          bool mean_over_levels)
{
    static const fi_op op = LOSS("quantile_loss");
    static const loss_kind kind = {quantile_row, quantile_back};
    if (!q || !target) return NULL;
    if (q->n_dims != 3 || q->size == 0 || q->shape[1] != n_levels)
        return fi_fail_shapes(g, op.name, q, NULL, "quantiles are to be [rows, levels, steps]");
    return loss(g, &op, q, target, mask,
                (loss_attr){.kind = &kind,
                            .rows = q->shape[0],
                            .d = q->size / q->shape[0],
                            .levels = levels,
                            .n_levels = n_levels,
                            .steps = q->shape[2],
                            .mean_over_levels = mean_over_levels});
}
