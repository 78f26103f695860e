/*
 * A training step of Chronos-T5: forward, backward and AdamW on random tokens; medians over steps of the time and of the
 * processors' time, in milliseconds.
 *
 *     bench_t5_train tiny|mini|small [--threads N] [--batch N] [--context N] [--steps N] [--dropout P] [--bf16]
 *
 * t5_train_peer.py is the same in PyTorch.
 */
#include "clock.h"

#include "base/rng.h"
#include "models/t5.h"
#include "nn/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct size_row {
    const char *name;
    size_t d_model, d_ff, heads, layers;
} size_row;
static const size_row sizes[] = {{"tiny", 256, 1024, 4, 4}, {"mini", 384, 1536, 8, 4}, {"small", 512, 2048, 8, 6}};

typedef struct setting {
    const size_row *size;
    size_t threads, batch, context, steps;
    float dropout;
    bool bf16;
} setting;

enum { VOCAB = 4096, LABELS = 65 };

static bool parse(int argc, char **argv, setting *s)
{
    *s = (setting){NULL, 2, 32, 512, 5, 0.0f, false};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && argc > 1; i++)
        if (!strcmp(argv[1], sizes[i].name)) s->size = &sizes[i];
    for (int i = 2; i < argc; i++) {
        size_t *number = !strcmp(argv[i], "--threads")   ? &s->threads
                         : !strcmp(argv[i], "--batch")   ? &s->batch
                         : !strcmp(argv[i], "--context") ? &s->context
                         : !strcmp(argv[i], "--steps")   ? &s->steps
                                                         : NULL;
        if (number && i + 1 < argc)
            *number = strtoul(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--dropout") && i + 1 < argc)
            s->dropout = strtof(argv[++i], NULL);
        else if (!strcmp(argv[i], "--bf16"))
            s->bf16 = true;
        else
            return false;
    }
    return s->size && s->steps;
}

static fi_t5_config config_of(const size_row *size, float dropout)
{
    fi_t5_config c = {.vocab = VOCAB,
                      .d_model = size->d_model,
                      .d_kv = 64,
                      .n_encoder = size->layers,
                      .n_decoder = size->layers,
                      .buckets = 32,
                      .max_distance = 128,
                      .eps = 1e-6f,
                      .dropout = dropout,
                      .activation = FI_RELU,
                      .head = FI_T5_TIED_HEAD,
                      .scaled_logits = true};
    for (size_t i = 0; i < size->layers; i++)
        c.encoder[i] = c.decoder[i] = (fi_t5_width){size->heads, size->heads, size->d_ff};
    return c;
}

/* Uniform weights of about the deviation that the layers start with. */
static void fill_weights(fi_params *params)
{
    fi_rng rng;
    fi_rng_init(&rng, 1, 0, 0);
    for (size_t i = 0; i < params->n; i++) {
        fi_param *p = params->item[i];
        for (size_t j = 0; j < p->size; j++)
            p->value[j] =
                p->n_dims == 1 ? 1.0f : (float)((fi_rng_uniform(&rng) - 0.5) * 0.2 / sqrt((double)p->shape[1]));
    }
}

static void fill_ids(fi_node *node, uint32_t stream, int32_t first)
{
    fi_rng rng;
    fi_rng_init(&rng, 2, stream, 0);
    for (size_t i = 0; i < node->size; i++) fi_ids(node)[i] = 3 + (int32_t)(fi_rng_u32(&rng) % (VOCAB - 3));
    for (size_t i = 0; first >= 0 && i < node->shape[0]; i++) fi_ids(node)[i * node->shape[1]] = first;
}

static int run(const setting *s)
{
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    fi_params params = {0};
    fi_optim *optim = NULL;
    fi_optim_config optimiser = FI_OPTIM_DEFAULTS;
    ftl_error err;
    static fi_t5 t5;
    fi_t5_config config = config_of(s->size, s->dropout);
    if (fi_engine_new(s->threads, &engine, &err)) goto failed;
    fi_t5_declare(&t5, &config, &params);
    if (fi_params_train(&params, &err) || fi_graph_new(engine, true, &g, &err)) goto failed;
    fill_weights(&params);
    if (fi_optim_new(&optimiser, &params, &optim, &err)) goto failed;
    fi_graph_products(g, s->bf16 ? FI_BF16 : FI_F32);
    fi_node *ids = fi_input_ids(g, 2, (size_t[]){s->batch, s->context + 1}),
            *shifted = fi_input_ids(g, 2, (size_t[]){s->batch, LABELS}),
            *labels = fi_input_ids(g, 2, (size_t[]){s->batch, LABELS});
    fi_node *loss = fi_t5_loss(g, &t5, ids, NULL, shifted, labels);
    if (fi_plan(g, loss, &err)) goto failed;
    fill_ids(ids, 0, -1);
    fill_ids(shifted, 1, 0);
    fill_ids(labels, 1, -1);
    double *seconds = malloc(2 * s->steps * sizeof *seconds), *cpu = seconds ? seconds + s->steps : NULL;
    for (size_t i = 0; seconds && i <= s->steps; i++) { /* the first one warms up */
        double start = seconds_of(CLOCK_MONOTONIC), start_cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
        fi_graph_seed(g, 3, i);
        fi_forward(g);
        fi_backward(g, 1);
        if (fi_optim_step(optim, engine, &err)) goto failed;
        if (!i) continue;
        seconds[i - 1] = seconds_of(CLOCK_MONOTONIC) - start;
        cpu[i - 1] = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
    }
    if (seconds)
        printf("{\"model\": \"%s\", \"threads\": %zu, \"batch\": %zu, \"dropout\": %g, \"bf16\": %s, \"ms\": %.1f, "
               "\"cpu_ms\": %.1f, \"loss\": %.4f, \"activations_mb\": %.0f}\n",
               s->size->name, s->threads, s->batch, (double)s->dropout, s->bf16 ? "true" : "false",
               1e3 * median(seconds, s->steps), 1e3 * median(cpu, s->steps), (double)*loss->value,
               (double)fi_graph_bytes(g) / 1e6);
    free(seconds);
    fi_optim_free(optim);
    fi_graph_free(g);
    fi_params_release(&params);
    fi_engine_free(engine);
    return 0;
failed:
    fprintf(stderr, "bench_t5_train: %s\n", err.message);
    return 1;
}

int main(int argc, char **argv)
{
    setting s;
    if (!parse(argc, argv, &s)) {
        fprintf(stderr, "usage: bench_t5_train tiny|mini|small [--threads N] [--batch N] [--context N] [--steps N] "
                        "[--dropout P] [--bf16]\n");
        return 2;
    }
    return run(&s);
}
