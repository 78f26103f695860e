/* Exits: what leaves behind block 1 of a deep network is what a network of one block gives that has the exit's norm and head. */
#include "check.h"

#include "models/chronos2.h"
#include "models/gpt2.h"
#include "models/t5.h"

enum { DEPTH = 3, VOCAB = 11, D = 8, ROWS = 2, TOKENS = 5 };

/* Exit 0's parameters by the names that the shallow network has for its end. */
static void shallow_name(const char *name, const char *norm, char *out, size_t size)
{
    const char *rest = strncmp(name, "exits.0.", 8) ? NULL : name + 8;
    if (rest && !strncmp(rest, "layer_norm", 10))
        snprintf(out, size, "%s%s", norm, rest + 10);
    else
        snprintf(out, size, "%s", rest ? rest : name);
}

/* Values that follow from names, so that two networks agree in what they share. norm: the shallow one's name of its last. */
static void fill(fi_params *params, const char *norm)
{
    CHECK_INT(fi_params_train(params, NULL), FTL_OK);
    for (size_t i = 0; i < params->n; i++) {
        char name[256];
        uint32_t seed = 2166136261u;
        shallow_name(params->item[i]->name, norm, name, sizeof name);
        for (const char *c = name; *c; c++) seed = (seed ^ (unsigned char)*c) * 16777619u;
        for (size_t j = 0; j < params->item[i]->size; j++) {
            seed = seed * 1664525u + 1013904223u;
            params->item[i]->value[j] = (float)(seed >> 8) / (1 << 24) - 0.4f;
        }
    }
}

static void ramp(fi_node *x)
{
    for (size_t i = 0; i < x->size; i++) x->value[i] = (float)(i * 7 % 13) / 13;
}

static void ids_of(fi_node *x)
{
    for (size_t i = 0; i < x->size; i++) fi_ids(x)[i] = (int32_t)(i * 5 % VOCAB);
}

static fi_engine *engine;

static int open_engine(void **state)
{
    (void)state;
    return fi_engine_new(1, &engine, NULL) != FTL_OK;
}

static int close_engine(void **state)
{
    (void)state;
    fi_engine_free(engine);
    return 0;
}

static fi_graph *new_graph(void)
{
    fi_graph *g = NULL;
    CHECK_INT(fi_graph_new(engine, false, &g, NULL), FTL_OK);
    return g;
}

static void run(fi_graph *g)
{
    ftl_error err;
    if (fi_plan(g, NULL, &err)) fail_msg("%s", err.message);
}

static void check_same(const fi_node *a, const fi_node *b)
{
    CHECK_INT(a->size, b->size);
    CHECK(!memcmp(a->value, b->value, a->size * sizeof(float)));
}

/* ---- T5 ---- */

static fi_t5_config t5_config(size_t blocks)
{
    fi_t5_config c = {.vocab = VOCAB,
                      .d_model = D,
                      .d_kv = 4,
                      .n_encoder = 1,
                      .n_decoder = blocks,
                      .buckets = 8,
                      .max_distance = 16,
                      .eps = 1e-6f,
                      .head = FI_T5_OWN_HEAD};
    for (size_t i = 0; i < DEPTH; i++) c.encoder[i] = c.decoder[i] = (fi_t5_width){2, 2, 12};
    c.exits[0] = true;
    return c;
}

/* What the decoder reads, and what it sees. */
static fi_node *t5_input(fi_graph *g, const fi_t5 *t5, fi_node **ids, fi_node **encoded, fi_t5_memory *memory)
{
    *encoded = fi_input(g, 3, (size_t[]){ROWS, TOKENS, D});
    *ids = fi_input_ids(g, 2, (size_t[]){ROWS, 3});
    fi_t5_remember(g, t5, *encoded, NULL, memory);
    return fi_embedding(g, fi_parameter(g, t5->shared), *ids);
}

TEST(t5_leaves_as_a_shallow_one)
{
    const fi_t5_config deep_config = t5_config(DEPTH), shallow_config = t5_config(1);
    fi_t5 deep, shallow;
    fi_params p = {0}, q = {0};
    fi_t5_memory memory, other;
    fi_node *ids, *encoded, *ids2, *encoded2;
    fi_t5_declare(&deep, &deep_config, &p);
    fi_t5_declare(&shallow, &shallow_config, &q);
    fill(&p, "decoder.final_layer_norm");
    fill(&q, "decoder.final_layer_norm");
    fi_graph *g = new_graph();
    fi_node *x = t5_input(g, &deep, &ids, &encoded, &memory),
            *first = fi_t5_decode_blocks(g, &deep, x, &memory, NULL, 0, 1);
    fi_node *early = fi_t5_leave(g, &deep, first, 0);
    fi_node *pieces = fi_t5_leave(g, &deep, fi_t5_decode_blocks(g, &deep, first, &memory, NULL, 1, DEPTH), DEPTH - 1);
    fi_node *whole = fi_t5_logits(g, &deep, fi_t5_decode(g, &deep, x, &memory, NULL));
    fi_node *y = t5_input(g, &shallow, &ids2, &encoded2, &other);
    fi_node *small = fi_t5_logits(g, &shallow, fi_t5_decode(g, &shallow, y, &other, NULL));
    fi_node *const kept[] = {early, pieces, whole, small};
    for (size_t i = 0; i < 4; i++) fi_keep(g, kept[i]);
    run(g);
    ids_of(ids), ids_of(ids2), ramp(encoded), ramp(encoded2);
    fi_forward(g);
    check_same(early, small);
    check_same(pieces, whole);
    CHECK(memcmp(early->value, whole->value, early->size * sizeof(float)));
    fi_graph_free(g);
    g = new_graph();
    CHECK(!fi_t5_leave(g, &deep, fi_input(g, 3, (size_t[]){1, 1, D}), 1)); /* no exit was declared there */
    fi_graph_free(g);
    fi_params_release(&p);
    fi_params_release(&q);
}

/* ---- GPT-2 ---- */

static fi_node *gpt2_logits(const fi_gpt2 *net, fi_cache *cache, size_t at, fi_graph *g)
{
    fi_node *ids = fi_input_ids(g, 2, (size_t[]){ROWS, TOKENS}), *places = fi_input_ids(g, 2, (size_t[]){ROWS, TOKENS});
    fi_node *mask = fi_input(g, 2, (size_t[]){ROWS, TOKENS});
    CHECK_INT(fi_gpt2_cache_init(cache, net, ROWS, TOKENS, NULL), FTL_OK);
    cache->n_keys = TOKENS;
    fi_node *y = fi_gpt2_leave(g, net, fi_gpt2_decode_to(g, net, ids, places, mask, cache, NULL, at), at);
    fi_keep(g, y);
    run(g);
    ids_of(ids);
    for (size_t i = 0; i < places->size; i++) fi_ids(places)[i] = (int32_t)(i % TOKENS);
    for (size_t i = 0; i < mask->size; i++) mask->value[i] = 1;
    fi_forward(g);
    return y;
}

TEST(gpt2_leaves_as_a_shallow_one)
{
    fi_gpt2_config c = {
        .vocab = VOCAB, .positions = 16, .d_model = D, .d_head = 4, .n_blocks = DEPTH, .eps = 1e-5f, .own_head = true};
    for (size_t i = 0; i < DEPTH; i++) c.block[i] = (fi_gpt2_width){2, 12};
    c.exits[0] = true;
    fi_gpt2 deep, shallow;
    fi_params p = {0}, q = {0};
    fi_cache cache[2];
    fi_gpt2_declare(&deep, &c, &p);
    c.n_blocks = 1;
    fi_gpt2_declare(&shallow, &c, &q);
    fill(&p, "");
    fill(&q, "");
    for (size_t i = 0; i < p.n; i++) /* norms by their names: the shallow one's is the network's */
        for (size_t j = 0; j < q.n; j++)
            if (strstr(p.item[i]->name, "exits.0.ln_f") && strstr(q.item[j]->name, "transformer.ln_f") &&
                !strcmp(strrchr(p.item[i]->name, '.'), strrchr(q.item[j]->name, '.')))
                memcpy(p.item[i]->value, q.item[j]->value, D * sizeof(float));
    fi_graph *g = new_graph(), *h = new_graph();
    check_same(gpt2_logits(&deep, &cache[0], 0, g), gpt2_logits(&shallow, &cache[1], 0, h));
    fi_graph_free(g);
    fi_graph_free(h);
    for (size_t i = 0; i < 2; i++) fi_cache_release(&cache[i]);
    fi_params_release(&p);
    fi_params_release(&q);
}

/* ---- Chronos-2 ---- */

static fi_node *chronos2_quantiles(const fi_chronos2 *net, fi_chronos2_pass *pass, fi_graph *g)
{
    fi_chronos2_record(g, net, pass);
    run(g);
    ramp(pass->x);
    for (size_t i = 0; i < pass->seen->size; i++) pass->seen->value[i] = 1;
    fi_forward(g);
    return pass->quantiles;
}

TEST(chronos2_leaves_as_a_shallow_one)
{
    fi_chronos2_config c = {.d_model = D,
                            .d_kv = 4,
                            .n_layers = DEPTH,
                            .d_patch = 12,
                            .patch = 4,
                            .n_levels = 3,
                            .eps = 1e-6f,
                            .rope_theta = 1e4f};
    fi_chronos2_widths widths[DEPTH];
    for (size_t i = 0; i < DEPTH; i++)
        widths[i] = (fi_chronos2_widths){.time_heads = 2, .group_heads = 2, .d_ff = 12, .exit = i == 0};
    fi_chronos2 deep, shallow;
    CHECK_INT(fi_chronos2_init(&deep, &c, widths, NULL), FTL_OK);
    c.n_layers = 1;
    CHECK_INT(fi_chronos2_init(&shallow, &c, widths, NULL), FTL_OK);
    fill(&deep.params, "encoder.final_layer_norm");
    fill(&shallow.params, "encoder.final_layer_norm");
    fi_chronos2_pass early = {.rows = ROWS, .patches = 4, .ahead = 2, .depth = 1}, all = early, none = early;
    all.depth = 0;
    none.depth = 2;
    fi_graph *g = new_graph(), *h = new_graph(), *no = new_graph();
    check_same(chronos2_quantiles(&deep, &early, g), chronos2_quantiles(&shallow, &all, h));
    fi_chronos2_record(no, &deep, &none);
    CHECK_INT(fi_plan(no, NULL, NULL), FTL_EINTERNAL);
    fi_graph_free(g);
    fi_graph_free(h);
    fi_graph_free(no);
    fi_chronos2_release(&deep);
    fi_chronos2_release(&shallow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(t5_leaves_as_a_shallow_one, open_engine, close_engine),
        cmocka_unit_test_setup_teardown(gpt2_leaves_as_a_shallow_one, open_engine, close_engine),
        cmocka_unit_test_setup_teardown(chronos2_leaves_as_a_shallow_one, open_engine, close_engine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
