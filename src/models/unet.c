#include "models/unet.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const float MOMENTUM = 0.1f, EPS = 1e-5f;

fi_unet_config fi_unet_course(size_t channels, size_t f, size_t context, size_t height)
{
    return (fi_unet_config){
        .channels = channels,
        .context = context,
        .height = height,
        .groups = 8,
        .down_blocks = 2,
        .shortcut = FI_SHORTCUT_LEARNED,
        .init = {f, f},
        .down1 = {f, f, f, f},
        .down2 = {2 * f, 2 * f, 2 * f, 2 * f},
        .up0 = 2 * f,
        .up1 = {f, f, f, f, f},
        .up2 = {f, f, f, f, f},
        .out = f,
        .time = {2 * f, f},
        .embed = {2 * f, f},
    };
}

/* ---- declaration ---- */

static void declare_vector(fi_params *params, fi_param **out, size_t n, const char *name, const char *part)
{
    *out = fi_params_add(params, FI_ROLE_OTHER, 1, (size_t[]){n}, "%s.%s", name, part);
}

/* A filter [first, k, k, last] and its bias. */
static void declare_filter(fi_params *params, fi_param **wb, size_t first, size_t k, size_t last, size_t bias,
                           const char *name)
{
    wb[0] = fi_params_add(params, FI_ROLE_FILTER, 4, (size_t[]){first, k, k, last}, "%s.weight", name);
    declare_vector(params, &wb[1], bias, name, "bias");
}

static void declare_norm(fi_params *params, fi_param **wb, size_t n, const char *name)
{
    declare_vector(params, &wb[0], n, name, "weight");
    declare_vector(params, &wb[1], n, name, "bias");
}

/* A block NAME.conv1, NAME.conv2 from `in` channels. */
static void declare_block(fi_unet *net, fi_unet_conv *conv, size_t in, const size_t *width, const char *name)
{
    char part[64];
    for (int i = 0; i < 2; in = width[i++]) {
        snprintf(part, sizeof part, "%s.conv%d.0", name, i + 1);
        declare_filter(&net->params, &conv[i].w, width[i], 3, in, width[i], part);
        snprintf(part, sizeof part, "%s.conv%d.1", name, i + 1);
        declare_norm(&net->params, &conv[i].gamma, width[i], part);
        declare_vector(&net->statistics, &conv[i].mean, width[i], part, "running_mean");
        declare_vector(&net->statistics, &conv[i].var, width[i], part, "running_var");
    }
}

/* Blocks NAME.model.FIRST ..; returns their width. */
static size_t declare_blocks(fi_unet *net, fi_unet_conv *conv, size_t n, size_t in, const size_t *width,
                             const char *name, size_t first)
{
    char part[64];
    for (size_t i = 0; i < n; i++) {
        snprintf(part, sizeof part, "%s.model.%zu", name, first + i);
        declare_block(net, conv + 2 * i, i ? width[2 * i - 1] : in, width + 2 * i, part);
    }
    return width[2 * n - 1];
}

/* Two layers NAMEi.model.0 and .2 */
static void declare_embedding(fi_params *params, fi_param **p, size_t in, size_t hidden, size_t out, const char *name,
                              int i)
{
    const size_t widths[] = {in, hidden, out};
    for (int layer = 0; layer < 2; layer++) {
        p[2 * layer] = fi_params_add(params, FI_ROLE_MATRIX, 2, (size_t[]){widths[layer + 1], widths[layer]},
                                     "%s%d.model.%d.weight", name, i, 2 * layer);
        p[2 * layer + 1] =
            fi_params_add(params, FI_ROLE_OTHER, 1, &widths[layer + 1], "%s%d.model.%d.bias", name, i, 2 * layer);
    }
}

static void declare_all(fi_unet *net)
{
    const fi_unet_config *c = &net->config;
    fi_params *params = &net->params;
    declare_block(net, net->init, c->channels, c->init, "init_conv");
    if (c->shortcut == FI_SHORTCUT_LEARNED)
        declare_filter(params, net->shortcut, c->init[1], 1, c->channels, c->init[1], "init_conv.shortcut");
    const size_t d1 = declare_blocks(net, net->down1, c->down_blocks, c->init[1], c->down1, "down1", 0);
    const size_t d2 = declare_blocks(net, net->down2, c->down_blocks, d1, c->down2, "down2", 0);
    for (int i = 0; i < 2; i++) {
        const size_t out = i ? c->up1[4] : c->up0;
        declare_embedding(params, net->time[i], 1, c->time[i], out, "timeembed", i + 1);
        declare_embedding(params, net->embed[i], c->context, c->embed[i], out, "contextembed", i + 1);
    }
    declare_filter(params, net->up0, d2, c->height / 4, c->up0, c->up0, "up0.0");
    declare_norm(params, net->up0 + 2, c->up0, "up0.1");
    declare_filter(params, net->up1_wide, c->up0 + d2, 2, c->up1[0], c->up1[0], "up1.model.0");
    declare_blocks(net, net->up1, 2, c->up1[0], c->up1 + 1, "up1", 1);
    declare_filter(params, net->up2_wide, c->up1[4] + d1, 2, c->up2[0], c->up2[0], "up2.model.0");
    declare_blocks(net, net->up2, 2, c->up2[0], c->up2 + 1, "up2", 1);
    declare_filter(params, net->out, c->out, 3, c->up2[4] + c->init[1], c->out, "out.0");
    declare_norm(params, net->out + 2, c->out, "out.1");
    declare_filter(params, net->out + 4, c->channels, 3, c->out, c->channels, "out.3");
}

static ftl_status check_config(const fi_unet_config *c, ftl_error *err)
{
    const size_t most = 1 << 16, widths[] = {c->channels, c->context, c->init[0], c->init[1],  c->up0,
                                             c->out,      c->time[0], c->time[1], c->embed[0], c->embed[1]};
    if (c->height < 4 || c->height % 4 || c->height > 4096)
        return fi_fail(err, FTL_EINVAL, "the height of images is %zu, but must be a multiple of 4 up to 4096",
                       c->height);
    if (c->down_blocks < 1 || c->down_blocks > 2)
        return fi_fail(err, FTL_EINVAL, "down_blocks is %zu, but must be 1 or 2", c->down_blocks);
    bool fits = true;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) fits = fits && widths[i] - 1 < most;
    for (size_t i = 0; i < 2 * c->down_blocks; i++) fits = fits && c->down1[i] - 1 < most && c->down2[i] - 1 < most;
    for (size_t i = 0; i < 5; i++) fits = fits && c->up1[i] - 1 < most && c->up2[i] - 1 < most;
    if (!fits) return fi_fail(err, FTL_EINVAL, "a width of the network is 0 or above %zu", most);
    if (c->groups == 0 || c->up0 % c->groups || c->out % c->groups)
        return fi_fail(err, FTL_EINVAL, "%zu groups do not divide the widths %zu of up0 and %zu of out", c->groups,
                       c->up0, c->out);
    if (c->shortcut == FI_SHORTCUT_FIRST && c->init[0] != c->init[1])
        return fi_fail(err, FTL_EINVAL, "the first block adds its convolutions, but they have %zu and %zu channels",
                       c->init[0], c->init[1]);
    return FTL_OK;
}

ftl_status fi_unet_new(const fi_unet_config *config, fi_unet **out, ftl_error *err)
{
    *out = NULL;
    ftl_status st = check_config(config, err);
    if (st) return st;
    fi_unet *net = fi_calloc(1, sizeof *net);
    if (!net) return fi_fail_memory(err);
    net->config = *config;
    net->no_context = fi_calloc(config->context, sizeof(float));
    declare_all(net);
    if (!net->no_context || net->params.failed || net->statistics.failed) {
        fi_unet_free(net);
        return fi_fail_memory(err);
    }
    *out = net;
    return FTL_OK;
}

void fi_unet_free(fi_unet *net)
{
    if (!net) return;
    fi_params_release(&net->params);
    fi_params_release(&net->statistics);
    fi_free(net->no_context);
    fi_free(net);
}

/* ---- values ---- */

/* fn for every convolution that a batch norm follows. */
static void each_conv(fi_unet *net, void (*fn)(fi_unet_conv *conv))
{
    struct {
        fi_unet_conv *conv;
        size_t n;
    } all[] = {{net->init, 2},
               {net->down1, 2 * net->config.down_blocks},
               {net->down2, 2 * net->config.down_blocks},
               {net->up1, 4},
               {net->up2, 4}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t j = 0; j < all[i].n; j++) fn(&all[i].conv[j]);
}

static void fold(fi_unet_conv *c)
{
    fi_batch_norm_fold(c->b->size, c->w->size / c->b->size, c->w->value, c->b->value, c->gamma->value, c->beta->value,
                       c->mean->value, c->var->value, EPS);
}

/* All numbers are finite, or reading would have refused them; a variance must be more than that. */
static ftl_status check_variances(const fi_unet *net, const fi_weights *weights, ftl_error *err)
{
    for (size_t i = 0; i < net->statistics.n; i++) {
        const fi_param *p = net->statistics.item[i];
        for (size_t j = 0; j < p->size && fi_text_ends(p->name, "running_var"); j++)
            if (p->value[j] < 0)
                return fi_fail(err, FTL_EDATA, "%s: tensor '%s': number %zu is %g, but no variance is negative",
                               fi_weights_path(weights), p->name, j, (double)p->value[j]);
    }
    return FTL_OK;
}

ftl_status fi_unet_load(fi_unet *net, fi_engine *engine, const fi_weights *weights, ftl_error *err)
{
    ftl_status st = fi_params_load(&net->params, engine, weights, FI_F32, err);
    if (!st) st = fi_params_load(&net->statistics, engine, weights, FI_F32, err);
    if (!st) st = check_variances(net, weights, err);
    if (st) return st;
    each_conv(net, fold);
    net->folded = true;
    return FTL_OK;
}

static void reset(fi_unet_conv *c)
{
    for (size_t j = 0; j < c->var->size; j++) c->var->value[j] = 1.0f;
}

/* Weights and the bias behind each ~ U(-1/sqrt(fan), 1/sqrt(fan)), the fan all behind the first dimension; norms 1 and 0. */
static void initialise(fi_params *params, uint64_t seed)
{
    double bound = 0;
    for (size_t i = 0; i < params->n; i++) {
        const fi_param *p = params->item[i];
        const char *dot = strrchr(p->name, '.');
        const bool gain = p->n_dims == 1 && dot && strcmp(dot, ".weight") == 0;
        if (p->n_dims > 1) bound = 1.0 / sqrt((double)(p->size / p->shape[0]));
        if (gain) bound = 0;
        fi_rng rng;
        fi_rng_init(&rng, seed, (uint32_t)i, 0);
        for (size_t j = 0; j < p->size; j++)
            p->value[j] = gain ? 1.0f : (float)(bound * (2.0 * fi_rng_uniform(&rng) - 1.0));
    }
}

ftl_status fi_unet_train(fi_unet *net, uint64_t seed, ftl_error *err)
{
    ftl_status st = fi_params_train(&net->params, err);
    if (!st) st = fi_params_train(&net->statistics, err);
    if (st) return st;
    initialise(&net->params, seed);
    each_conv(net, reset);
    return FTL_OK;
}

ftl_status fi_unet_read(fi_unet *net, const fi_weights *weights, ftl_error *err)
{
    ftl_status st = fi_params_read(&net->params, weights, err);
    if (!st) st = fi_params_read(&net->statistics, weights, err);
    return st ? st : check_variances(net, weights, err);
}

/* ---- wiring ---- */

static fi_node *convolve(fi_graph *g, fi_node *x, fi_param *const *wb, size_t padding)
{
    return fi_conv2d(g, x, fi_parameter(g, wb[0]), fi_parameter(g, wb[1]), 1, padding);
}

static fi_node *widen(fi_graph *g, fi_node *x, fi_param *const *wb)
{
    return fi_conv_transpose2d(g, x, fi_parameter(g, wb[0]), fi_parameter(g, wb[1]));
}

static fi_node *conv_norm(fi_graph *g, const fi_unet *net, fi_node *x, const fi_unet_conv *c)
{
    x = convolve(g, x, &c->w, 1);
    if (net->folded) return fi_activate(g, x, FI_GELU);
    return fi_batch_norm(g, x, fi_parameter(g, c->gamma), fi_parameter(g, c->beta), c->mean->value, c->var->value,
                         MOMENTUM, EPS, FI_GELU);
}

static fi_node *blocks(fi_graph *g, const fi_unet *net, fi_node *x, const fi_unet_conv *conv, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++) x = conv_norm(g, net, x, &conv[i]);
    return x;
}

static fi_node *first_block(fi_graph *g, const fi_unet *net, fi_node *x)
{
    fi_node *x1 = conv_norm(g, net, x, &net->init[0]), *x2 = conv_norm(g, net, x1, &net->init[1]);
    switch (net->config.shortcut) {
    case FI_SHORTCUT_LEARNED: x2 = fi_add(g, convolve(g, x, net->shortcut, 0), x2); break;
    case FI_SHORTCUT_FIRST: x2 = fi_add(g, x1, x2); break;
    case FI_SHORTCUT_NONE: break;
    }
    return fi_affine(g, x2, 1.0f / 1.414f, 0.0f); /* the course's sqrt(2) */
}

static fi_node *two_layers(fi_graph *g, fi_node *x, fi_param *const *p)
{
    x = fi_linear(g, x, fi_parameter(g, p[0]), fi_parameter(g, p[1]), FI_LINEAR, NULL);
    x = fi_activate(g, x, FI_GELU);
    return fi_linear(g, x, fi_parameter(g, p[2]), fi_parameter(g, p[3]), FI_LINEAR, NULL);
}

static fi_node *beside(fi_graph *g, fi_node *a, fi_node *b)
{
    return fi_concat(g, (fi_node *[]){a, b}, 2, 3);
}

static fi_node *group_norm(fi_graph *g, const fi_unet *net, fi_node *x, fi_param *const *wb)
{
    return fi_group_norm(g, x, net->config.groups, fi_parameter(g, wb[0]), fi_parameter(g, wb[1]), EPS, FI_RELU);
}

fi_node *fi_unet_apply(fi_graph *g, const fi_unet *net, fi_node *image, fi_node *t, fi_node *context)
{
    const fi_unet_config *c = &net->config;
    if (!context) context = fi_state(g, net->no_context, 2, (size_t[]){1, c->context});
    if (!image || !t || !context) return NULL;
    if (image->n_dims != 4 || image->shape[1] != c->height || image->shape[2] != c->height)
        return fi_graph_fail(g, "unet: images are [%zu, %zu, %zu, %zu], but must be %zu by %zu", image->shape[0],
                             image->shape[1], image->shape[2], image->shape[3], c->height, c->height);
    fi_node *x = first_block(g, net, image);
    fi_node *d1 = fi_max_pool2d(g, blocks(g, net, x, net->down1, c->down_blocks), 2);
    fi_node *d2 = fi_max_pool2d(g, blocks(g, net, d1, net->down2, c->down_blocks), 2);
    fi_node *u = fi_activate(g, fi_avg_pool2d(g, d2, c->height / 4), FI_GELU);
    u = group_norm(g, net, widen(g, u, net->up0), net->up0 + 2);
    u = fi_film(g, u, two_layers(g, context, net->embed[0]), two_layers(g, t, net->time[0]));
    u = blocks(g, net, widen(g, beside(g, u, d2), net->up1_wide), net->up1, 2);
    u = fi_film(g, u, two_layers(g, context, net->embed[1]), two_layers(g, t, net->time[1]));
    u = blocks(g, net, widen(g, beside(g, u, d1), net->up2_wide), net->up2, 2);
    u = group_norm(g, net, convolve(g, beside(g, u, x), net->out, 1), net->out + 2);
    return convolve(g, u, net->out + 4, 1);
}
