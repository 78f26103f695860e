/* Chronos-Bolt against upstream: standardisation, encoder, quantiles of one pass and of many. */
#include "chronos.h"

static char directory[4200];

static void check_case(const opened *o, const json_t *c)
{
    const char *name = json_string_value(json_object_get(c, "name"));
    const size_t H = (size_t)number(c, "horizon"), d = o->facts.d_model;
    size_t n;
    float *x = floats(c, "context", &n), *out = fi_alloc(o->facts.n_levels * H, sizeof *out), loc, scale;
    fi_chronos_row row = row_of(o, x, n, out);
    fi_chronos_batch batch = batch_of(o, &row, 1, H);
    must_predict(o, &batch);
    check_floats(name, out, c, "quantiles");
    const size_t tokens = o->family->n_tokens(o->model, row.length);
    float *states = fi_alloc(tokens * d, sizeof *states);
    CHECK_INT(o->family->embed(o->model, &batch, &states, &loc, &scale, NULL), FTL_OK);
    CHECK_INT(tokens, number(c, "n_tokens"));
    CHECK_CLOSE(loc, number(c, "loc"), 1e-6);
    CHECK_NEAR(scale / number(c, "scale"), 1, 1e-5);
    check_floats(name, states + (tokens - 1) * d, c, "embed_last_row");
    fi_free(states);
    fi_free(out);
    fi_free(x);
}

static void check_model(const char *model, const char *expected)
{
    json_t *golden = read_json(expected), *c;
    for (size_t threads = 1; threads <= 2; threads++) {
        opened o;
        size_t i;
        must_open(&fi_chronos_bolt, model, threads, FI_F32, &o);
        json_array_foreach(json_object_get(golden, "cases"), i, c) check_case(&o, c);
        close_family(&o);
    }
    json_decref(golden);
}

TEST(the_toy_model_gives_upstreams_numbers)
{
    check_model(FTL_TEST_DATA "/toy-chronos-bolt", FTL_TEST_DATA "/toy-chronos-bolt/expected.json");
}

TEST(the_dummy_model_gives_upstreams_numbers)
{
    if (shared_lacks("models/dummy-chronos-bolt-model/model.safetensors")) return;
    snprintf(directory, sizeof directory, "%s", shared_path("models/dummy-chronos-bolt-model"));
    check_model(directory, shared_path("reference/chronos-golden/bolt-dummy.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_toy_model_gives_upstreams_numbers),
        cmocka_unit_test(the_dummy_model_gives_upstreams_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
