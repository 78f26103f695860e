/*
 * One training step of the course's U-Net: forward, backward, AdamW. The peer is unet_peer.py.
 *
 *     bench_unet [threads [batch [features [steps]]]] [bf16]
 *
 * Prints the fastest of `steps` steps as JSON: milliseconds in all and of the three parts, and the least processor time of a
 * step, which tells more on a machine that others use too.
 */
#include "clock.h"
#include "models/unet.h"
#include "nn/optim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t argument(int argc, char **argv, int i, size_t otherwise)
{
    return i < argc && atoi(argv[i]) > 0 ? (size_t)atoi(argv[i]) : otherwise;
}

int main(int argc, char **argv)
{
    const bool bf16 = argc > 1 && strcmp(argv[argc - 1], "bf16") == 0;
    const size_t threads = argument(argc, argv, 1, 2), n = argument(argc, argv, 2, 100),
                 features = argument(argc, argv, 3, 64), steps = argument(argc, argv, 4, 7);
    const fi_unet_config config = fi_unet_course(3, features, 5, 16);
    const fi_optim_config adam = FI_OPTIM_DEFAULTS;
    ftl_error err = {FTL_OK, ""};
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    fi_unet *net = NULL;
    fi_optim *optim = NULL;
    ftl_status st = fi_engine_new(threads, &engine, &err);
    if (!st) st = fi_unet_new(&config, &net, &err);
    if (!st) st = fi_unet_train(net, 1, &err);
    if (!st) st = fi_optim_new(&adam, &net->params, &optim, &err);
    if (!st) st = fi_graph_new(engine, true, &g, &err);
    if (st) goto done;
    fi_graph_products(g, bf16 ? FI_BF16 : FI_F32);
    const size_t images[] = {n, 16, 16, 3}, times[] = {n, 1}, contexts[] = {n, 5};
    fi_node *in[] = {fi_input(g, 4, images), fi_input(g, 2, times), fi_input(g, 2, contexts), fi_input(g, 4, images)};
    fi_node *loss = fi_mse(g, fi_unet_apply(g, net, in[0], in[1], in[2]), in[3], NULL);
    if ((st = fi_plan(g, loss, &err))) goto done;
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < in[k]->size; i++) in[k]->value[i] = (float)((i * 7919 + k * 31) % 1000) * 0.004f - 2.0f;
    double best = 1e30, processor = 1e30, parts[3] = {0};
    for (size_t i = 0; i <= steps && !st; i++) { /* the first warms up */
        const double used = seconds_of(CLOCK_PROCESS_CPUTIME_ID), begin = seconds_of(CLOCK_MONOTONIC);
        fi_forward(g);
        const double forward = seconds_of(CLOCK_MONOTONIC);
        fi_backward(g, 1.0f);
        const double backward = seconds_of(CLOCK_MONOTONIC);
        st = fi_optim_step(optim, engine, &err);
        const double end = seconds_of(CLOCK_MONOTONIC), taken = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - used;
        if (i > 0 && taken < processor) processor = taken;
        if (i == 0 || end - begin >= best) continue;
        best = end - begin;
        parts[0] = forward - begin, parts[1] = backward - forward, parts[2] = end - backward;
    }
    printf("{\"threads\": %zu, \"batch\": %zu, \"parameters\": %zu, \"products\": \"%s\", \"milliseconds\": %.1f, "
           "\"forward\": %.1f, \"backward\": %.1f, \"adamw\": %.1f, \"processor\": %.1f, \"megabytes\": %.0f, "
           "\"loss\": %.6f}\n",
           threads, n, net->params.size, bf16 ? "bf16" : "f32", 1e3 * best, 1e3 * parts[0], 1e3 * parts[1],
           1e3 * parts[2], 1e3 * processor, (double)fi_graph_bytes(g) / 1e6, (double)*loss->value);
done:
    if (st) fprintf(stderr, "bench_unet: %s\n", err.message);
    fi_graph_free(g);
    fi_optim_free(optim);
    fi_unet_free(net);
    fi_engine_free(engine);
    return st != FTL_OK;
}
