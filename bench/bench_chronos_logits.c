/*
 * Teacher-forced logits of a Chronos-T5 checkpoint, for tools/chronos_parity.py: bench_chronos_logits MODEL f32|bf16|int8.
 * Standard input: int32 n, n floats of context, int32 m, m int32 tokens for the decoder. Standard output: [m, vocab] floats.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "chronos/chronos_t5.h"

#include <stdio.h>
#include <string.h>

static int fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    return 1;
}

static void *read_array(size_t *n)
{
    int32_t count;
    if (fread(&count, sizeof count, 1, stdin) != 1 || count < 1) return NULL;
    *n = (size_t)count;
    void *out = fi_alloc(*n, 4);
    return out && fread(out, 4, *n, stdin) == *n ? out : NULL;
}

static ftl_status print_logits(fi_chronos_t5_model *m, const float *x, size_t n, const int32_t *given, size_t steps,
                               ftl_error *err)
{
    fi_graph *g;
    ftl_status st = fi_graph_new(m->engine, false, &g, err);
    if (st) return st;
    const size_t tokens = n + m->settings.use_eos;
    fi_node *ids = fi_input_ids(g, 2, (size_t[]){1, tokens}), *mask = fi_input(g, 2, (size_t[]){1, tokens});
    fi_node *start = fi_input_ids(g, 2, (size_t[]){1, steps}), *table = fi_parameter(g, m->t5.shared);
    fi_t5_memory memory;
    fi_t5_remember(g, &m->t5, fi_t5_encode(g, &m->t5, fi_embedding(g, table, ids), mask), mask, &memory);
    fi_node *logits = fi_t5_logits(g, &m->t5, fi_t5_decode(g, &m->t5, fi_embedding(g, table, start), &memory, NULL));
    fi_keep(g, logits);
    if (!(st = fi_plan(g, NULL, err))) {
        fi_tokenize(&m->tokenizer, x, n, fi_mean_scale(x, n), fi_ids(ids), mask->value);
        if (tokens > n) {
            fi_ids(ids)[n] = (int32_t)m->settings.eos;
            mask->value[n] = 1;
        }
        memcpy(fi_ids(start), given, steps * sizeof *given);
        fi_forward(g);
        fwrite(logits->value, sizeof(float), logits->size, stdout);
    }
    fi_graph_free(g);
    return st;
}

int main(int argc, char **argv)
{
    if (argc != 3) return fail("usage: bench_chronos_logits MODEL f32|bf16|int8 < context and tokens > logits");
    const fi_dtype precision = !strcmp(argv[2], "bf16") ? FI_BF16 : !strcmp(argv[2], "int8") ? FI_I8 : FI_F32;
    char path[4096], *text = NULL;
    size_t size = 0, n = 0, steps = 0;
    json_t *config = NULL;
    fi_engine *engine = NULL;
    fi_weights *weights = NULL;
    void *model = NULL;
    ftl_error err = {0};
    ftl_chronos_facts facts = {0};
    float *x = read_array(&n);
    int32_t *given = x ? read_array(&steps) : NULL;
    if (!given) return fail("the input is cut short");
    snprintf(path, sizeof path, "%s/config.json", argv[1]);
    ftl_status st = fi_file_read(path, 1 << 20, &text, &size, &err);
    if (!st) st = fi_json_parse(text, size, path, &config, &err);
    if (!st) st = fi_engine_new(0, &engine, &err);
    if (!st) st = fi_weights_open(argv[1], &weights, &err);
    fi_chronos_source source = {config, json_object_get(config, "chronos_config"), path, weights, engine, precision};
    if (!st) st = fi_chronos_t5.open(&source, &facts, &model, &err);
    if (!st) st = print_logits(model, x, n, given, steps, &err);
    fi_chronos_t5.close(model);
    fi_weights_close(weights);
    fi_engine_free(engine);
    json_decref(config);
    fi_free(text);
    fi_free(x);
    fi_free(given);
    return st ? fail(err.message) : 0;
}
