/* The causal variant of Chronos-T5 (GPT-2) against upstream: tokens, logits, greedy paths. */
#include "chronos.h"

#include "chronos/token_pass.h"

/* Logits of the first steps, with the tokens that upstream drew. */
static void check_logits(const opened *o, const char *name, const fi_chronos_row *row, const json_t *c)
{
    enum { STEPS = 3, PATHS = 2, VOCAB = 32 };
    fi_chronos_t5_model *m = o->model;
    const size_t n = row->length;
    const json_t *drawn = json_object_get(c, "drawn"), *ids = json_object_get(c, "token_ids");
    const float scale = fi_mean_scale(row->context, n);
    float logits[STEPS * VOCAB], *path = logits;
    CHECK_CLOSE(scale, number(c, "scale"), 1e-6);
    CHECK_INT(json_array_size(ids), n); /* no end token */
    CHECK_INT(o->family->n_tokens(m, n), n);
    CHECK_INT(m->vocab, VOCAB);
    CHECK_INT(fi_token_pass_find(m, 1, n, PATHS, STEPS, NULL), FTL_OK);
    const fi_token_pass *p = m->pass;
    fi_tokenize(&m->tokenizer, row->context, n, scale, fi_ids(p->ids), p->mask->value);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(fi_ids(p->ids)[i], json_integer_value(json_array_get(ids, i)));
        CHECK_INT(p->mask->value[i], json_integer_value(json_array_get(json_object_get(c, "mask"), i)));
    }
    fi_token_pass_begin(m);
    memcpy(path, p->first_logits->value, VOCAB * sizeof *path);
    for (size_t t = 1; t < STEPS; t++) {
        for (size_t s = 0; s < PATHS; s++)
            fi_ids(p->next_ids)[s] = (int32_t)json_integer_value(json_array_get(drawn, t - 1));
        fi_token_pass_step(m, t);
        memcpy(path += VOCAB, p->next_logits->value + (PATHS - 1) * VOCAB, VOCAB * sizeof *path);
    }
    check_floats(name, logits, c, "logits");
}

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

TEST(the_toy_model_gives_upstreams_numbers)
{
    json_t *golden = read_json(FTL_TEST_DATA "/toy-chronos-gpt2/expected.json"), *c;
    for (size_t threads = 1; threads <= 2; threads++) {
        opened o;
        must_open(&fi_chronos_t5, FTL_TEST_DATA "/toy-chronos-gpt2", threads, FI_F32, &o);
        CHECK_TEXT(o.facts.family, "chronos-gpt2");
        size_t i, n;
        json_array_foreach(json_object_get(golden, "cases"), i, c)
        {
            const char *name = json_string_value(json_object_get(c, "name"));
            float *x = floats(c, "context", &n);
            fi_chronos_row row = row_of(&o, x, n, NULL);
            check_logits(&o, name, &row, c);
            check_greedy(&o, name, row, c);
            fi_free(x);
        }
        CHECK_INT(i, 17);
        close_family(&o);
    }
    json_decref(golden);
}

TEST(without_an_encoder_there_is_no_embedding)
{
    const float x[] = {1, 2, 3};
    float loc, scale, states[3 * 16], *rows = states;
    ftl_error err = {0};
    opened o;
    must_open(&fi_chronos_t5, FTL_TEST_DATA "/toy-chronos-gpt2", 1, FI_F32, &o);
    const fi_chronos_row row = row_of(&o, x, 3, NULL);
    const fi_chronos_batch batch = batch_of(&o, &row, 1, 1);
    CHECK_INT(o.family->embed(o.model, &batch, &rows, &loc, &scale, &err), FTL_EINVAL);
    CHECK(strstr(err.message, "no encoder") != NULL);
    close_family(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_toy_model_gives_upstreams_numbers),
        cmocka_unit_test(without_an_encoder_there_is_no_embedding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
