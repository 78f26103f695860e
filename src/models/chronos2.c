/* The wiring of Chronos-2. */
#include "models/chronos2.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>

/* ---- parameters ---- */

static fi_param *vector(fi_params *params, size_t n, const char *block, size_t layer, const char *name)
{
    return fi_params_add(params, FI_ROLE_OTHER, 1, &n, "encoder.block.%zu.layer.%s.%s.weight", layer, block, name);
}

static fi_param *matrix(fi_params *params, size_t out, size_t in, const char *block, size_t layer, const char *name)
{
    const size_t shape[2] = {out, in};
    return fi_params_add(params, FI_ROLE_MATRIX, 2, shape, "encoder.block.%zu.layer.%s.%s.weight", layer, block, name);
}

static fi_chronos2_attention declare_attention(fi_params *p, const fi_chronos2_config *c, size_t heads,
                                               const char *block, size_t layer)
{
    size_t inner = heads * c->d_kv;
    return (fi_chronos2_attention){
        .heads = heads,
        .norm = vector(p, c->d_model, block, layer, "layer_norm"),
        .q = matrix(p, inner, c->d_model, block, layer, "self_attention.q"),
        .k = matrix(p, inner, c->d_model, block, layer, "self_attention.k"),
        .v = matrix(p, inner, c->d_model, block, layer, "self_attention.v"),
        .o = matrix(p, c->d_model, inner, block, layer, "self_attention.o"),
    };
}

static void declare_exit(fi_params *p, const fi_chronos2_config *c, fi_chronos2_layer *layer, size_t i)
{
    char name[64];
    snprintf(name, sizeof name, "exits.%zu.output_patch_embedding", i);
    layer->exit_norm = fi_params_add(p, FI_ROLE_OTHER, 1, &c->d_model, "exits.%zu.layer_norm.weight", i);
    layer->exit = fi_residual_block_declare(p, name, c->d_model, c->d_patch, c->n_levels * c->patch);
}

ftl_status fi_chronos2_init(fi_chronos2 *net, const fi_chronos2_config *config, const fi_chronos2_widths *widths,
                            ftl_error *err)
{
    const fi_chronos2_config *c = config;
    *net = (fi_chronos2){.config = *config, .layers = fi_calloc(config->n_layers, sizeof *net->layers)};
    if (!net->layers) return fi_fail_memory(err);
    fi_params *p = &net->params;
    net->shared = fi_params_add(p, FI_ROLE_TABLE, 2, (size_t[]){2, c->d_model}, "shared.weight");
    net->in = fi_residual_block_declare(p, "input_patch_embedding", 3 * c->patch, c->d_patch, c->d_model);
    for (size_t i = 0; i < c->n_layers; i++) {
        net->layers[i] = (fi_chronos2_layer){
            .time = declare_attention(p, c, widths[i].time_heads, "0", i),
            .group = declare_attention(p, c, widths[i].group_heads, "1", i),
            .norm = vector(p, c->d_model, "2", i, "layer_norm"),
            .wi = matrix(p, widths[i].d_ff, c->d_model, "2", i, "mlp.wi"),
            .wo = matrix(p, c->d_model, widths[i].d_ff, "2", i, "mlp.wo"),
        };
        if (widths[i].exit && i + 1 < c->n_layers) declare_exit(p, c, &net->layers[i], i);
    }
    net->final_norm = fi_params_add(p, FI_ROLE_OTHER, 1, &c->d_model, "encoder.final_layer_norm.weight");
    net->out = fi_residual_block_declare(p, "output_patch_embedding", c->d_model, c->d_patch, c->n_levels * c->patch);
    net->layers[c->n_layers - 1].exit_norm = net->final_norm;
    net->layers[c->n_layers - 1].exit = net->out;
    if (!p->failed) return FTL_OK;
    fi_chronos2_release(net);
    return fi_fail_memory(err);
}

void fi_chronos2_release(fi_chronos2 *net)
{
    fi_params_release(&net->params);
    fi_free(net->layers);
    *net = (fi_chronos2){0};
}

/* ---- wiring ---- */

static fi_node *project(fi_graph *g, fi_node *x, fi_param *w, fi_node *residual)
{
    return fi_linear(g, x, fi_parameter(g, w), NULL, FI_LINEAR, residual);
}

/*
 * x [rows, n, d] + attention along time. The last `keep` tokens are those whose result is wanted; keys and values are those
 * of all.
 */
static fi_node *attend_time(fi_graph *g, const fi_chronos2 *net, const fi_chronos2_attention *a, fi_node *x,
                            fi_node *seen, size_t keep, const size_t *first)
{
    size_t n = x->shape[1];
    fi_node *all = fi_rms_norm(g, x, fi_parameter(g, a->norm), net->config.eps), *asking = all;
    if (keep < n) {
        asking = fi_slice(g, all, 1, n - keep, keep);
        x = fi_slice(g, x, 1, n - keep, keep);
    }
    float theta = net->config.rope_theta;
    fi_node *q = fi_rope(g, project(g, asking, a->q, NULL), a->heads, theta, keep < n ? first : NULL);
    fi_node *k = fi_rope(g, project(g, all, a->k, NULL), a->heads, theta, NULL);
    fi_node *v = project(g, all, a->v, NULL);
    const fi_attention settings = {.heads = a->heads, .scale = 1};
    return project(g, fi_attend(g, q, k, v, seen, NULL, &settings), a->o, x);
}

/* x + attention across the rows of a group, for every position by itself. A row alone gets its own value. */
static fi_node *attend_group(fi_graph *g, const fi_chronos2 *net, const fi_chronos2_attention *a, fi_node *x,
                             fi_node *seen, const int32_t *groups)
{
    fi_node *n = fi_rms_norm(g, x, fi_parameter(g, a->norm), net->config.eps);
    fi_node *v = project(g, n, a->v, NULL);
    if (groups) {
        const fi_attention settings = {.heads = a->heads, .scale = 1, .groups = groups};
        v = fi_attend(g, project(g, n, a->q, NULL), project(g, n, a->k, NULL), v, seen, NULL, &settings);
    }
    return project(g, v, a->o, x);
}

static fi_node *feed_forward(fi_graph *g, const fi_chronos2 *net, const fi_chronos2_layer *layer, fi_node *x)
{
    fi_node *n = fi_rms_norm(g, x, fi_parameter(g, layer->norm), net->config.eps);
    n = fi_linear(g, n, fi_parameter(g, layer->wi), NULL, net->config.activation, NULL);
    return project(g, n, layer->wo, x);
}

/* Embedded patches with REG between context and future: [rows, patches + 1 + ahead, d_model]. */
static fi_node *tokens(fi_graph *g, const fi_chronos2 *net, const fi_chronos2_pass *pass)
{
    size_t d = net->config.d_model;
    fi_node *patches = fi_residual_block_apply(g, &net->in, pass->x, net->config.activation);
    fi_node *reg = fi_repeat(g, fi_rows(g, fi_parameter(g, net->shared), 1, 1), pass->rows);
    fi_node *parts[3] = {fi_slice(g, patches, 1, 0, pass->patches), fi_reshape(g, reg, 3, (size_t[]){pass->rows, 1, d}),
                         fi_slice(g, patches, 1, pass->patches, pass->ahead)};
    return fi_concat(g, parts, 3, 1);
}

void fi_chronos2_record(fi_graph *g, const fi_chronos2 *net, fi_chronos2_pass *pass)
{
    const fi_chronos2_config *c = &net->config;
    size_t n = pass->patches + 1 + pass->ahead, depth = pass->depth ? pass->depth : c->n_layers;
    if (depth > c->n_layers || !net->layers[depth - 1].exit_norm) {
        fi_graph_fail(g, "Chronos-2 has no exit behind layer %zu", depth);
        return;
    }
    pass->first_ahead = pass->patches + 1;
    pass->states = pass->quantiles = NULL;
    pass->x = fi_input(g, 3, (size_t[]){pass->rows, pass->patches + pass->ahead, 3 * c->patch});
    pass->seen = fi_input(g, 2, (size_t[]){pass->rows, n});
    fi_node *x = tokens(g, net, pass);
    for (size_t i = 0; x && i < depth; i++) {
        const fi_chronos2_layer *layer = &net->layers[i];
        bool last = i + 1 == depth && !pass->all_states;
        x = attend_time(g, net, &layer->time, x, pass->seen, last ? pass->ahead : n, &pass->first_ahead);
        x = attend_group(g, net, &layer->group, x, last ? NULL : pass->seen, pass->groups);
        x = feed_forward(g, net, layer, x);
    }
    x = fi_rms_norm(g, x, fi_parameter(g, net->layers[depth - 1].exit_norm), c->eps);
    if (pass->all_states) {
        pass->states = x;
        fi_keep(g, x);
        return;
    }
    pass->quantiles = fi_residual_block_apply(g, &net->layers[depth - 1].exit, x, c->activation);
    fi_keep(g, pass->quantiles);
}
