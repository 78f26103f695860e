/* Chronos-T5 against upstream: tokens, encoder, logits, greedy paths. */
#include "chronos.h"

#include "chronos/chronos_t5.h"

static char directory[4200];

/* ---- the tokenizer of the official checkpoints ---- */

/* Bins, {"0": value, ...}. */
static void check_table(const json_t *table, const float *actual)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)table, key, value)
    {
        double expected = json_number_value(value);
        CHECK_CLOSE(actual[atol(key)], expected, 2e-6);
    }
}

static void check_tokens(const fi_tokenizer *t, const float *x, size_t n, float scale, const json_t *object, bool eos)
{
    int32_t *ids = fi_alloc(n + 1, sizeof *ids);
    float *mask = fi_alloc(n + 1, sizeof *mask);
    fi_tokenize(t, x, n, scale, ids, mask);
    const json_t *expected = json_object_get(object, "token_ids"), *seen = json_object_get(object, "mask");
    CHECK_INT(json_array_size(expected), n + eos);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(ids[i], json_integer_value(json_array_get(expected, i)));
        if (seen) CHECK_INT(mask[i] == 1, json_integer_value(json_array_get(seen, i)));
    }
    fi_free(ids);
    fi_free(mask);
}

TEST(tokens_of_the_official_tokenizer)
{
    if (shared_lacks("reference/chronos-golden/tokenizer.json")) return;
    json_t *golden = read_json(shared_path("reference/chronos-golden/tokenizer.json")), *c;
    fi_tokenizer t;
    CHECK_INT(fi_tokenizer_init(&t, 4096, 2, 0, -15, 15, NULL), FTL_OK);
    CHECK_INT(t.n_centers, json_integer_value(json_object_get(golden, "n_centers")));
    check_table(json_object_get(golden, "centers"), t.centers);
    check_table(json_object_get(golden, "boundaries"), t.boundaries);
    size_t i, n;
    json_array_foreach(json_object_get(golden, "cases"), i, c)
    {
        float *x = floats(c, "context", &n), scale;
        const size_t kept = n < 512 ? n : 512;
        scale = fi_mean_scale(x + n - kept, kept);
        CHECK_CLOSE(scale, number(c, "scale"), 1e-6);
        check_tokens(&t, x + n - kept, kept, scale, c, true);
        const json_t *ids = json_object_get(c, "token_ids"), *decoded = json_object_get(c, "decoded");
        for (size_t k = 0; k < json_array_size(ids); k++)
            CHECK_NEAR(fi_token_value(&t, (int32_t)json_integer_value(json_array_get(ids, k)), scale) / scale,
                       json_number_value(json_array_get(decoded, k)) / number(c, "scale"), 3e-6);
        fi_free(x);
    }
    c = json_object_get(golden, "edge_scale1");
    json_t *values = json_object_get(c, "values"), *value;
    float edges[64];
    json_array_foreach(values, i, value) edges[i] =
        json_is_string(value) ? strtof(json_string_value(value), NULL) : (float)json_number_value(value);
    check_tokens(&t, edges, json_array_size(values), 1, c, false);
    c = json_object_get(golden, "decode_scale2.5");
    json_t *token;
    json_array_foreach(json_object_get(c, "tokens"), i, token)
        CHECK_CLOSE(fi_token_value(&t, (int32_t)json_integer_value(token), 2.5f),
                    json_number_value(json_array_get(json_object_get(c, "values"), i)), 2e-6);
    fi_tokenizer_release(&t);
    json_decref(golden);
}

/* ---- the network ---- */

/* Logits of the whole decoder input at once, as in training. */
static void check_logits(const opened *o, const char *name, const fi_chronos_row *row, const json_t *c)
{
    const fi_chronos_t5_model *m = o->model;
    const json_t *start = json_object_get(c, "decoder_input");
    const size_t n = row->length, tokens = n + m->settings.use_eos, steps = json_array_size(start);
    fi_graph *g;
    CHECK_INT(fi_graph_new(m->engine, false, &g, NULL), FTL_OK);
    fi_node *ids = fi_input_ids(g, 2, (size_t[]){1, tokens}), *mask = fi_input(g, 2, (size_t[]){1, tokens});
    fi_node *given = fi_input_ids(g, 2, (size_t[]){1, steps}), *table = fi_parameter(g, m->t5.shared);
    fi_t5_memory memory;
    fi_t5_remember(g, &m->t5, fi_t5_encode(g, &m->t5, fi_embedding(g, table, ids), mask), mask, &memory);
    fi_node *logits = fi_t5_logits(g, &m->t5, fi_t5_decode(g, &m->t5, fi_embedding(g, table, given), &memory, NULL));
    fi_keep(g, logits);
    ftl_error err = {0};
    if (fi_plan(g, NULL, &err)) fail_msg("%s", err.message);
    const float scale = fi_mean_scale(row->context, n);
    CHECK_CLOSE(scale, number(c, "scale"), 1e-6);
    fi_tokenize(&m->tokenizer, row->context, n, scale, fi_ids(ids), mask->value);
    fi_ids(ids)[tokens - 1] = 1;
    mask->value[tokens - 1] = 1;
    for (size_t i = 0; i < tokens; i++) {
        CHECK_INT(fi_ids(ids)[i], json_integer_value(json_array_get(json_object_get(c, "token_ids"), i)));
        CHECK_INT(mask->value[i], json_integer_value(json_array_get(json_object_get(c, "mask"), i)));
    }
    for (size_t i = 0; i < steps; i++) fi_ids(given)[i] = (int32_t)json_integer_value(json_array_get(start, i));
    fi_forward(g);
    check_floats(name, logits->value, c, "logits");
    fi_graph_free(g);
}

static void check_embedding(const opened *o, const char *name, const fi_chronos_row *row, const json_t *c)
{
    const size_t tokens = o->family->n_tokens(o->model, row->length), d = o->facts.d_model;
    float *states = fi_alloc(tokens * d, sizeof *states), loc, scale;
    fi_chronos_batch batch = batch_of(o, row, 1, 1);
    CHECK_INT(o->family->embed(o->model, &batch, &states, &loc, &scale, NULL), FTL_OK);
    CHECK_INT(tokens, json_array_size(json_object_get(c, "token_ids")));
    CHECK_CLOSE(scale, number(c, "scale"), 1e-6);
    CHECK(loc == 0);
    check_floats(name, states, c, "encoder_first_row");
    check_floats(name, states + (tokens - 1) * d, c, "encoder_last_row");
    fi_free(states);
}

/* Paths that always take the most probable token: all equal, and upstream's. */
static void check_greedy(const opened *o, const char *name, fi_chronos_row row, const json_t *c)
{
    const size_t H = json_array_size(json_object_get(c, "greedy_values")), paths = 3;
    row.out = fi_alloc(paths * H, sizeof(float));
    fi_chronos_batch batch = batch_of(o, &row, 1, H);
    batch.n_samples = paths;
    batch.top_k = 1;
    must_predict(o, &batch);
    for (size_t s = 0; s < paths; s++) check_floats(name, row.out + s * H, c, "greedy_values");
    fi_free(row.out);
}

static void check_model(const char *model, const char *expected)
{
    json_t *golden = read_json(expected), *c;
    for (size_t threads = 1; threads <= 2; threads++) {
        opened o;
        must_open(&fi_chronos_t5, model, threads, FI_F32, &o);
        size_t i, n;
        json_array_foreach(json_object_get(golden, "cases"), i, c)
        {
            const char *name = json_string_value(json_object_get(c, "name"));
            float *x = floats(c, "context", &n);
            fi_chronos_row row = row_of(&o, x, n, NULL);
            check_logits(&o, name, &row, c);
            check_embedding(&o, name, &row, c);
            check_greedy(&o, name, row, c);
            fi_free(x);
        }
        close_family(&o);
    }
    json_decref(golden);
}

TEST(the_toy_model_gives_upstreams_numbers)
{
    check_model(FTL_TEST_DATA "/toy-chronos-t5", FTL_TEST_DATA "/toy-chronos-t5/expected.json");
}

TEST(the_dummy_model_gives_upstreams_numbers)
{
    if (shared_lacks("models/dummy-chronos-model/model.safetensors")) return;
    snprintf(directory, sizeof directory, "%s", shared_path("models/dummy-chronos-model"));
    check_model(directory, shared_path("reference/chronos-golden/t5-dummy.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_toy_model_gives_upstreams_numbers),
        cmocka_unit_test(the_dummy_model_gives_upstreams_numbers),
        cmocka_unit_test(tokens_of_the_official_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
