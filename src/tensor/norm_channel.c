/* Batch and group norm, with an activation behind them: channels last, statistics over rows. */
#include "tensor/channel_kernels.h"
#include "tensor/op.h"
#include "tensor/ops.h"

#include <math.h>
#include <string.h>

/* Settings, and what a forward pass leaves for the backward one. */
typedef struct norm_attr {
    const fi_channel_kernels *k;
    fi_activation act;
    float momentum, eps;
    float *running_mean, *running_var;
    size_t images, rows, c, groups; /* x as [images, rows, c]; batch norm: chunks of its rows, the last one shorter */
    size_t total;                   /* rows in all */
    float *mean, *inv;              /* [c], group norm: [images, groups] */
    float *scale, *shift, *slope, *level; /* [c], batch norm only */
    float *parts;                         /* [images, 2, c] */
    bool add;
    float room[];
} norm_attr;

static float weight_of(const fi_node *node, int i, size_t j, float otherwise)
{
    return node->in[i] ? node->in[i]->value[j] : otherwise;
}

/* Mean and squared distances of two sets that are put together: Chan, Golub & LeVeque 1983. */
typedef struct moment {
    double n, mean, m2;
} moment;

static void add_moment(moment *to, double n, double mean, double m2)
{
    const double total = to->n + n, away = mean - to->mean;
    to->m2 += m2 + away * away * to->n * n / total;
    to->mean += away * n / total;
    to->n = total;
}

static fi_node *norm_node(fi_graph *g, const fi_op *op, fi_node *x, fi_node *weight, fi_node *bias,
                          const norm_attr *attr, size_t n_room)
{
    if ((weight && weight->size != attr->c) || (bias && bias->size != attr->c))
        return fi_fail_shapes(g, op->name, x, weight ? weight : bias, "weight and bias are of one channel each");
    fi_node *node = fi_node_new(g, op, x->n_dims, x->shape, sizeof *attr + n_room * sizeof(float));
    if (!node) return NULL;
    memcpy(node->attr, attr, sizeof *attr);
    fi_node_input(g, node, x);
    fi_node_input(g, node, weight);
    fi_node_input(g, node, bias);
    return node;
}

/* ---- batch norm: rows are cut into chunks, whose sums are added in order ---- */

static size_t chunk_rows(const norm_attr *a, size_t i)
{
    const size_t left = a->total - i * a->rows;
    return left < a->rows ? left : a->rows;
}

static void batch_moments(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const norm_attr *a = node->attr;
    float *part = a->parts + i * 2 * a->c;
    a->k->moments(node->in[0]->value + i * a->rows * a->c, chunk_rows(a, i), a->c, part, part + a->c);
}

static void batch_apply(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const norm_attr *a = node->attr;
    const size_t at = i * a->rows * a->c;
    a->k->apply(a->act, node->in[0]->value + at, a->mean, a->scale, a->shift, node->value + at, chunk_rows(a, i), a->c);
}

/* Statistics of channel j over the batch; the running ones follow, unless this is the same pass again. */
static void batch_statistics(const norm_attr *a, size_t j, bool again)
{
    moment all = {0, 0, 0};
    for (size_t i = 0; i < a->images; i++)
        add_moment(&all, (double)chunk_rows(a, i), a->parts[i * 2 * a->c + j], a->parts[(i * 2 + 1) * a->c + j]);
    a->mean[j] = (float)all.mean;
    a->inv[j] = (float)(1.0 / sqrt(all.m2 / all.n + (double)a->eps));
    if (again) return;
    a->running_mean[j] += a->momentum * ((float)all.mean - a->running_mean[j]);
    a->running_var[j] += a->momentum * ((float)(all.m2 / (all.n - 1.0)) - a->running_var[j]);
}

static void batch_forward(fi_graph *g, fi_node *node)
{
    norm_attr *a = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    if (fi_graph_training(g)) fi_engine_run(engine, a->images, batch_moments, node);
    for (size_t j = 0; j < a->c; j++) {
        if (fi_graph_training(g)) {
            batch_statistics(a, j, fi_graph_recomputing(g));
        } else {
            a->mean[j] = a->running_mean[j];
            a->inv[j] = 1.0f / sqrtf(a->running_var[j] + a->eps);
        }
        a->scale[j] = weight_of(node, 1, j, 1.0f) * a->inv[j];
        a->shift[j] = weight_of(node, 2, j, 0.0f);
    }
    fi_engine_run(engine, a->images, batch_apply, node);
}

static void batch_sums(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const norm_attr *a = node->attr;
    const size_t at = i * a->rows * a->c;
    float *part = a->parts + i * 2 * a->c;
    a->k->back_sums(a->act, node->in[0]->value + at, node->grad + at, a->mean, a->scale, a->shift, part, part + a->c,
                    chunk_rows(a, i), a->c);
}

static void batch_back_apply(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const fi_node *node = user;
    const norm_attr *a = node->attr;
    const size_t at = i * a->rows * a->c;
    a->k->back_apply(node->in[0]->value + at, node->grad + at, a->mean, a->scale, a->slope, a->level,
                     node->in[0]->grad + at, chunk_rows(a, i), a->c, a->add);
}

/* dx = scale (dz - mean(dz) - xh mean(dz xh)), xh = (x - mean) inv */
static void batch_backward(fi_graph *g, fi_node *node)
{
    norm_attr *a = node->attr;
    fi_engine *engine = fi_graph_engine(g);
    fi_engine_run(engine, a->images, batch_sums, node);
    fi_node *x = node->in[0], *weight = node->in[1], *bias = node->in[2];
    const bool add_weight = fi_needs(weight) && fi_grad_begin(weight), add_bias = fi_needs(bias) && fi_grad_begin(bias);
    for (size_t j = 0; j < a->c; j++) {
        double sum = 0, along = 0;
        for (size_t i = 0; i < a->images; i++) {
            sum += a->parts[i * 2 * a->c + j];
            along += a->parts[(i * 2 + 1) * a->c + j];
        }
        const double inv = a->inv[j], n = (double)a->total;
        if (fi_needs(weight)) weight->grad[j] = (float)((add_weight ? weight->grad[j] : 0.0) + along * inv);
        if (fi_needs(bias)) bias->grad[j] = (float)((add_bias ? bias->grad[j] : 0.0) + sum);
        a->slope[j] = (float)(-a->scale[j] * inv * inv * along / n);
        a->level[j] = (float)(-a->scale[j] * sum / n);
    }
    if (!fi_needs(x)) return;
    a->add = fi_grad_begin(x);
    fi_engine_run(engine, a->images, batch_back_apply, node);
}

static const fi_op batch_op = {"batch_norm", batch_forward, batch_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), true, false};

fi_node *fi_batch_norm(fi_graph *g, fi_node *x, fi_node *weight, fi_node *bias, float *running_mean, float *running_var,
                       float momentum, float eps, fi_activation act)
{
    enum { CHUNK = 1 << 14, MOST_CHUNKS = 256 }; /* 64 KB of rows are read twice from a near cache */
    if (!x) return NULL;
    const size_t c = fi_last_dim(x), rows = fi_n_rows(x);
    if (x->n_dims < 2 || c == 0 || rows < (fi_graph_training(g) ? 2 : 1))
        return fi_fail_shapes(g, batch_op.name, x, NULL, "a batch has at least two rows to train on");
    size_t chunk = CHUNK / c > 0 ? CHUNK / c : 1;
    if (chunk < (rows + MOST_CHUNKS - 1) / MOST_CHUNKS) chunk = (rows + MOST_CHUNKS - 1) / MOST_CHUNKS;
    const size_t chunks = (rows + chunk - 1) / chunk;
    norm_attr attr = {.k = fi_channel_kernels_best(),
                      .act = act,
                      .momentum = momentum,
                      .eps = eps,
                      .running_mean = running_mean,
                      .running_var = running_var,
                      .images = chunks,
                      .rows = chunk,
                      .c = c,
                      .total = rows};
    fi_node *node = norm_node(g, &batch_op, x, weight, bias, &attr, (6 + 2 * chunks) * c);
    if (!node) return NULL;
    norm_attr *a = node->attr;
    float **vectors[] = {&a->mean, &a->inv, &a->scale, &a->shift, &a->slope, &a->level, &a->parts};
    for (size_t i = 0; i < 7; i++) *vectors[i] = a->room + i * c;
    return node;
}

void fi_batch_norm_fold(size_t o, size_t per, float *w, float *bias, const float *weight, const float *norm_bias,
                        const float *running_mean, const float *running_var, float eps)
{
    for (size_t i = 0; i < o; i++) {
        const double scale = weight[i] / sqrt((double)running_var[i] + (double)eps);
        for (size_t j = 0; j < per; j++) w[i * per + j] = (float)(w[i * per + j] * scale);
        bias[i] = (float)((bias[i] - (double)running_mean[i]) * scale + norm_bias[i]);
    }
}

/* ---- group norm: an image is a task ---- */

/* mean, scale and shift [c] of image i, as the kernels want them */
static void group_vectors(const fi_node *node, size_t i, float *mean, float *scale, float *shift)
{
    const norm_attr *a = node->attr;
    for (size_t j = 0; j < a->c; j++) {
        const size_t at = i * a->groups + j / (a->c / a->groups);
        mean[j] = a->mean[at];
        scale[j] = weight_of(node, 1, j, 1.0f) * a->inv[at];
        shift[j] = weight_of(node, 2, j, 0.0f);
    }
}

static void group_image(void *user, size_t i, float *scratch)
{
    const fi_node *node = user;
    const norm_attr *a = node->attr;
    const size_t c = a->c, size = c / a->groups, at = i * a->rows * c;
    float *mean = scratch, *scale = mean + c, *shift = scale + c, *m2 = scale;
    a->k->moments(node->in[0]->value + at, a->rows, c, mean, m2);
    for (size_t group = 0; group < a->groups; group++) {
        moment all = {0, 0, 0};
        for (size_t j = group * size; j < (group + 1) * size; j++) add_moment(&all, (double)a->rows, mean[j], m2[j]);
        a->mean[i * a->groups + group] = (float)all.mean;
        a->inv[i * a->groups + group] = (float)(1.0 / sqrt(all.m2 / all.n + (double)a->eps));
    }
    group_vectors(node, i, mean, scale, shift);
    a->k->apply(a->act, node->in[0]->value + at, mean, scale, shift, node->value + at, a->rows, c);
}

static void group_forward(fi_graph *g, fi_node *node)
{
    fi_engine_run(fi_graph_engine(g), ((norm_attr *)node->attr)->images, group_image, node);
}

static void group_back_image(void *user, size_t i, float *scratch)
{
    const fi_node *node = user;
    const norm_attr *a = node->attr;
    const size_t c = a->c, size = c / a->groups, at = i * a->rows * c;
    float *mean = scratch, *scale = mean + c, *shift = scale + c, *slope = shift + c, *level = slope + c;
    float *sum = a->parts + i * 2 * c, *along = sum + c;
    group_vectors(node, i, mean, scale, shift);
    a->k->back_sums(a->act, node->in[0]->value + at, node->grad + at, mean, scale, shift, sum, along, a->rows, c);
    for (size_t group = 0; group < a->groups; group++) {
        const double inv = a->inv[i * a->groups + group], n = (double)(a->rows * size);
        double total = 0, tilt = 0; /* of dz weight, and of it times x - mean */
        for (size_t j = group * size; j < (group + 1) * size; j++) {
            total += (double)weight_of(node, 1, j, 1.0f) * sum[j];
            tilt += (double)weight_of(node, 1, j, 1.0f) * along[j];
        }
        for (size_t j = group * size; j < (group + 1) * size; j++) {
            along[j] *= (float)inv;
            slope[j] = (float)(-inv * inv * inv * tilt / n);
            level[j] = (float)(-inv * total / n);
        }
    }
    if (fi_needs(node->in[0]))
        a->k->back_apply(node->in[0]->value + at, node->grad + at, mean, scale, slope, level, node->in[0]->grad + at,
                         a->rows, c, a->add);
}

static void group_backward(fi_graph *g, fi_node *node)
{
    norm_attr *a = node->attr;
    if (fi_needs(node->in[0])) a->add = fi_grad_begin(node->in[0]);
    fi_engine_run(fi_graph_engine(g), a->images, group_back_image, node);
    for (int w = 1; w <= 2; w++) { /* the weight's parts lie behind the bias's */
        fi_node *weight = node->in[w];
        if (!fi_needs(weight)) continue;
        const bool add = fi_grad_begin(weight);
        for (size_t j = 0; j < a->c; j++) {
            double total = 0;
            for (size_t i = 0; i < a->images; i++) total += a->parts[(i * 2 + (w == 1)) * a->c + j];
            weight->grad[j] = (float)((add ? weight->grad[j] : 0.0) + total);
        }
    }
}

static const fi_op group_op = {.name = "group_norm",
                               .forward = group_forward,
                               .backward = group_backward,
                               .keeps = FI_KEEP_IN(0) | FI_KEEP_IN(1) | FI_KEEP_IN(2),
                               .may_overwrite = true};

fi_node *fi_group_norm(fi_graph *g, fi_node *x, size_t groups, fi_node *weight, fi_node *bias, float eps,
                       fi_activation act)
{
    if (!x) return NULL;
    const size_t c = fi_last_dim(x), n = x->shape[0], rows = c && n ? x->size / c / n : 0;
    if (x->n_dims < 2 || groups == 0 || c % groups || rows == 0 || c > FI_SCRATCH_BYTES / sizeof(float) / 5)
        return fi_fail_shapes(g, group_op.name, x, NULL, "channels are to fall into groups of one size");
    norm_attr attr = {.k = fi_channel_kernels_best(),
                      .act = act,
                      .eps = eps,
                      .images = n,
                      .rows = rows,
                      .c = c,
                      .groups = groups,
                      .total = n * rows};
    fi_node *node =
        norm_node(g, &group_op, x, weight, bias, &attr, 2 * n * groups + (fi_graph_training(g) ? 2 * n * c : 0));
    if (!node) return NULL;
    norm_attr *a = node->attr;
    a->mean = a->room;
    a->inv = a->mean + n * groups;
    a->parts = a->inv + n * groups;
    return node;
}
