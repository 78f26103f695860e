/* What must hold of Chronos-T5 (also its causal variant) and Chronos-Bolt beside upstream's numbers, on the toy checkpoints. */
#include "chronos.h"

#include "base/rng.h"
#include "chronos/chronos_t5.h"

#define TOY_T5   FTL_TEST_DATA "/toy-chronos-t5"
#define TOY_BOLT FTL_TEST_DATA "/toy-chronos-bolt"
#define TOY_GPT2 FTL_TEST_DATA "/toy-chronos-gpt2"

enum { N_ROWS = 9, LONGEST = 90 };
static const size_t lengths[N_ROWS] = {64, 3, 17, 64, 90, 17, 1, 64, 33};
static const struct {
    const fi_chronos_family *family;
    const char *directory;
    size_t out; /* samples or quantiles */
} toys[] = {{&fi_chronos_t5, TOY_T5, 5}, {&fi_chronos_bolt, TOY_BOLT, 9}, {&fi_chronos_t5, TOY_GPT2, 5}};
enum { N_TOYS = sizeof toys / sizeof *toys };

/* Noise with gaps; the last row of length 64 is all missing, the row of length 33 constant. */
static void some_series(float x[N_ROWS][LONGEST])
{
    fi_rng rng;
    fi_rng_init(&rng, 5, 0, 0);
    for (size_t r = 0; r < N_ROWS; r++)
        for (size_t i = 0; i < LONGEST; i++) {
            double u = fi_rng_uniform(&rng);
            x[r][i] = r == 7 || u < 0.1 ? NAN : r == 8 ? 0.1f : (float)((double)r - 3 + 5 * u);
        }
}

/* Forecasts of rows[0, n) with those places in the batch; out[i] belongs to row i. */
static void forecast(const opened *o, const size_t *rows, size_t n, float x[N_ROWS][LONGEST], size_t H, size_t out_rows,
                     float **out)
{
    fi_chronos_row batch_rows[N_ROWS];
    for (size_t i = 0; i < n; i++) {
        batch_rows[i] = row_of(o, x[rows[i]], lengths[rows[i]], out[rows[i]]);
        batch_rows[i].seed = 100 + rows[i];
    }
    fi_chronos_batch batch = batch_of(o, batch_rows, n, H);
    batch.n_samples = out_rows;
    must_predict(o, &batch);
}

TEST(no_bit_depends_on_batch_order_or_threads)
{
    static const size_t orders[][N_ROWS] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3, 2, 1, 0}, {4, 0, 8, 2, 7, 5, 1, 3, 6}};
    static const fi_dtype precisions[] = {FI_F32, FI_BF16, FI_I8};
    float x[N_ROWS][LONGEST];
    some_series(x);
    for (size_t f = 0; f < N_TOYS; f++)
        for (size_t p = 0; p < 3; p++)
            for (size_t H = 7; H < 50; H += 28) {
                const size_t size = toys[f].out * H;
                float *alone[N_ROWS], *got[N_ROWS];
                opened one, two;
                must_open(toys[f].family, toys[f].directory, 1, precisions[p], &one);
                must_open(toys[f].family, toys[f].directory, 2, precisions[p], &two);
                for (size_t r = 0; r < N_ROWS; r++) {
                    alone[r] = fi_calloc(size, sizeof(float));
                    got[r] = fi_calloc(size, sizeof(float));
                }
                for (size_t r = 0; r < N_ROWS; r++) forecast(&one, &r, 1, x, H, toys[f].out, alone);
                for (size_t k = 0; k < 6; k++) {
                    forecast(k % 2 ? &two : &one, orders[k / 2], N_ROWS - k / 2, x, H, toys[f].out, got);
                    for (size_t i = 0; i < N_ROWS - k / 2; i++)
                        CHECK(!memcmp(got[orders[k / 2][i]], alone[orders[k / 2][i]], size * sizeof(float)));
                }
                for (size_t r = 0; r < N_ROWS; r++) {
                    for (size_t i = 0; i < size; i++) CHECK(isfinite(alone[r][i]));
                    fi_free(alone[r]);
                    fi_free(got[r]);
                }
                close_family(&one);
                close_family(&two);
            }
}

TEST(more_paths_leave_the_first_ones_as_they_are)
{
    float x[N_ROWS][LONGEST], few[3 * 9], many[130 * 9];
    opened o;
    some_series(x);
    const size_t row = 2;
    for (size_t f = 0; f < N_TOYS; f += 2) {
        must_open(toys[f].family, toys[f].directory, 1, FI_F32, &o);
        float *out[N_ROWS] = {[2] = few};
        forecast(&o, &row, 1, x, 9, 3, out);
        out[2] = many; /* more than run together */
        forecast(&o, &row, 1, x, 9, 130, out);
        CHECK(!memcmp(few, many, sizeof few));
        CHECK(memcmp(few, few + 9, 9 * sizeof(float)) != 0); /* and they differ from one another */
        close_family(&o);
    }
}

TEST(a_constant_series_stays_near_itself_and_one_of_nothing_is_forecast_too)
{
    float x[N_ROWS][LONGEST], q[9 * 12], nothing[9 * 12];
    opened o;
    some_series(x);
    must_open(&fi_chronos_bolt, TOY_BOLT, 1, FI_F32, &o);
    float *out[N_ROWS] = {[7] = nothing, [8] = q};
    static const size_t rows[] = {7, 8};
    forecast(&o, rows, 2, x, 12, 9, out);
    for (size_t i = 0; i < 9 * 12; i++) {
        CHECK_NEAR(q[i], 0.1, 1e-3); /* the scale of a constant is 1e-5 */
        CHECK(isfinite(nothing[i]));
    }
    close_family(&o);
}

/* Probabilities of the first token from logits that the wiring gives apart from generation. */
static void first_logits(const opened *o, const fi_chronos_row *row, float *out)
{
    const fi_chronos_t5_model *m = o->model;
    const size_t n = row->length, tokens = n + 1;
    fi_graph *g;
    CHECK_INT(fi_graph_new(m->engine, false, &g, NULL), FTL_OK);
    fi_node *ids = fi_input_ids(g, 2, (size_t[]){1, tokens}), *mask = fi_input(g, 2, (size_t[]){1, tokens});
    fi_node *start = fi_input_ids(g, 2, (size_t[]){1, 1}), *table = fi_parameter(g, m->t5.shared);
    fi_t5_memory memory;
    fi_t5_remember(g, &m->t5, fi_t5_encode(g, &m->t5, fi_embedding(g, table, ids), mask), mask, &memory);
    fi_node *logits = fi_t5_logits(g, &m->t5, fi_t5_decode(g, &m->t5, fi_embedding(g, table, start), &memory, NULL));
    fi_keep(g, logits);
    CHECK_INT(fi_plan(g, NULL, NULL), FTL_OK);
    fi_tokenize(&m->tokenizer, row->context, n, fi_mean_scale(row->context, n), fi_ids(ids), mask->value);
    fi_ids(ids)[n] = 1;
    mask->value[n] = 1;
    fi_ids(start)[0] = 0;
    fi_forward(g);
    memcpy(out, logits->value, logits->size * sizeof(float));
    fi_graph_free(g);
}

TEST(paths_are_drawn_with_the_probabilities_of_the_network)
{
    enum { PATHS = 4000, VOCAB = 64 };
    float x[N_ROWS][LONGEST], logits[VOCAB], *out = fi_alloc(PATHS, sizeof *out);
    opened o;
    some_series(x);
    must_open(&fi_chronos_t5, TOY_T5, 2, FI_F32, &o);
    const fi_chronos_t5_model *m = o.model;
    fi_chronos_row row = row_of(&o, x[2], lengths[2], out);
    first_logits(&o, &row, logits);
    const float scale = fi_mean_scale(row.context, row.length);
    for (int greedy = 0; greedy < 2; greedy++) {
        fi_chronos_batch batch = batch_of(&o, &row, 1, 1);
        batch.n_samples = PATHS;
        batch.top_k = greedy ? 1 : VOCAB;
        batch.temperature = 1.3;
        must_predict(&o, &batch);
        double p[VOCAB], total = 0, chi = 0;
        int best = 0, freedom = -1;
        for (int i = 0; i < VOCAB; i++) {
            total += p[i] = i == 1 ? 0 : exp((double)logits[i] / 1.3); /* never the end token */
            if (i != 1 && logits[i] > logits[best]) best = i;
        }
        double rest = 1;
        int rest_count = PATHS;
        for (int i = 4; i < VOCAB; i++) { /* tokens 0 to 3 share one value */
            const float value = fi_token_value(&m->tokenizer, i, scale);
            int count = 0;
            for (int s = 0; s < PATHS; s++) count += out[s] == value;
            if (greedy) CHECK_INT(count, i == best ? PATHS : 0);
            if (p[i] / total * PATHS < 8) continue;
            chi += pow(count - p[i] / total * PATHS, 2) / (p[i] / total * PATHS);
            rest -= p[i] / total;
            rest_count -= count;
            freedom++;
        }
        if (greedy) break;
        chi += pow(rest_count - rest * PATHS, 2) / (rest * PATHS);
        freedom++;
        CHECK(freedom > 5 && chi <= freedom + 4 * sqrt(2.0 * freedom));
    }
    fi_free(out);
    close_family(&o);
}

static bool refuse(void *user)
{
    return --*(int *)user >= 0;
}

TEST(a_caller_can_stop_anywhere)
{
    float x[N_ROWS][LONGEST], out[9 * 40];
    some_series(x);
    for (size_t f = 0; f < N_TOYS; f++) {
        opened o;
        must_open(toys[f].family, toys[f].directory, 1, FI_F32, &o);
        fi_chronos_row row = row_of(&o, x[0], 60, out);
        fi_chronos_batch batch = batch_of(&o, &row, 1, 40);
        batch.n_samples = 4;
        batch.go_on = refuse;
        ftl_status st = FTL_ECANCELLED;
        int patience = 0;
        for (; st == FTL_ECANCELLED; patience++) {
            int left = patience;
            batch.user = &left;
            st = o.family->predict(o.model, &batch, NULL);
        }
        CHECK_INT(st, FTL_OK);
        CHECK(patience >
              (toys[f].family->gives_samples ? 40 : 4)); /* asked at every block, and at every step that is decoded */
        close_family(&o);
    }
}

TEST(lack_of_memory_is_an_error_and_leaves_a_model_that_works)
{
    float x[N_ROWS][LONGEST], out[9 * 30], again[9 * 30];
    some_series(x);
    for (size_t f = 0; f < N_TOYS; f++) {
        opened o;
        ftl_status st = FTL_ENOMEM;
        char path[4200];
        snprintf(path, sizeof path, "%s/config.json", toys[f].directory);
        json_t *config = read_json(path);
        fi_weights *weights;
        fi_engine *engine;
        CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
        CHECK_INT(fi_weights_open(toys[f].directory, &weights, NULL), FTL_OK);
        fi_chronos_source source = {config, json_object_get(config, "chronos_config"), path, weights, engine, FI_F32};
        for (long n = 0; st == FTL_ENOMEM; n++) {
            ftl_chronos_facts facts = {0};
            void *model;
            fi_alloc_fail_after(n);
            st = toys[f].family->open(&source, &facts, &model, NULL);
            fi_alloc_fail_after(-1);
            CHECK((st == FTL_OK) == (model != NULL));
            toys[f].family->close(model);
        }
        CHECK_INT(st, FTL_OK);
        fi_weights_close(weights);
        json_decref(config);
        fi_engine_free(engine);

        must_open(toys[f].family, toys[f].directory, 1, FI_F32, &o);
        fi_chronos_row row = row_of(&o, x[0], 60, out);
        fi_chronos_batch batch = batch_of(&o, &row, 1, 30);
        batch.n_samples = 4;
        st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM; n++) {
            fi_alloc_fail_after(n);
            ftl_error err = {0};
            st = o.family->predict(o.model, &batch, &err);
            fi_alloc_fail_after(-1);
            if (st && st != FTL_ENOMEM) fail_msg("allocation %ld: %s", n, err.message);
        }
        CHECK_INT(st, FTL_OK);
        row.out = again;
        must_predict(&o, &batch);
        CHECK(!memcmp(out, again, (toys[f].family->gives_samples ? 4u : 9u) * 30 * sizeof(float)));
        close_family(&o);
    }
}

TEST(memory_is_stated_for_every_shape)
{
    for (size_t f = 0; f < N_TOYS; f++) {
        opened o;
        must_open(toys[f].family, toys[f].directory, 1, FI_F32, &o);
        ftl_chronos_memory one = o.family->memory(o.model, 1, 64, 12, 20),
                           many = o.family->memory(o.model, 3, 64, 12, 20);
        CHECK(one.activation_bytes > 1000 && many.activation_bytes > 2 * one.activation_bytes);
        if (f == 0) CHECK(one.cache_bytes == (20 * 12 + 1) * 2 * 2 * 24 * sizeof(float));
        if (f == 2) CHECK(one.cache_bytes == (64 + 20 * (9 - 1)) * 2 * 2 * 16 * sizeof(float));
        close_family(&o);
    }
}

/* The config with one key of it, or of chronos_config, set to a JSON value ("": taken away). */
static ftl_status open_with(size_t f, const char *key, const char *value, ftl_error *err)
{
    json_t *config, *chronos, *set = NULL;
    char path[4200];
    snprintf(path, sizeof path, "%s/config.json", toys[f].directory);
    config = read_json(path);
    chronos = json_object_get(config, "chronos_config");
    json_t *holder = json_object_get(chronos, key) ? chronos : config;
    if (!strcmp(key, "low_limit")) holder = json_object_get(chronos, "tokenizer_kwargs");
    if (*value) {
        CHECK_INT(fi_json_parse(value, strlen(value), "value", &set, NULL), FTL_OK);
        json_object_set_new(holder, key, set);
    } else {
        json_object_del(holder, key);
    }
    fi_weights *weights;
    fi_engine *engine;
    ftl_chronos_facts facts = {0};
    void *model;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    CHECK_INT(fi_weights_open(toys[f].directory, &weights, NULL), FTL_OK);
    fi_chronos_source source = {config, chronos, "DIR/config.json", weights, engine, FI_F32};
    ftl_status st = toys[f].family->open(&source, &facts, &model, err);
    CHECK((st == FTL_OK) == (model != NULL));
    toys[f].family->close(model);
    fi_weights_close(weights);
    fi_engine_free(engine);
    json_decref(config);
    return st;
}

TEST(configs_that_cannot_be_are_refused_by_file_and_key)
{
    static const struct {
        size_t toy;
        const char *key, *value;
    } bad[] = {
        {0, "d_model", ""},
        {0, "d_model", "0"},
        {0, "d_model", "-16"},
        {0, "d_model", "16.0"},
        {0, "d_model", "\"16\""},
        {0, "d_model", "1000000000000"},
        {0, "d_kv", "null"},
        {0, "d_ff", "[24]"},
        {0, "num_heads", "true"},
        {0, "num_layers", "65"},
        {0, "num_decoder_layers", "0"},
        {0, "vocab_size", "63"},
        {0, "vocab_size", "9223372036854775807"},
        {0, "relative_attention_num_buckets", "3"},
        {0, "relative_attention_max_distance", "4"},
        {0, "layer_norm_epsilon", "-1e-6"},
        {0, "feed_forward_proj", "\"gated-gelu\""},
        {0, "feed_forward_proj", "7"},
        {0, "tie_word_embeddings", "1"},
        {0, "decoder_start_token_id", "64"},
        {0, "tokenizer_class", "\"Other\""},
        {0, "tokenizer_kwargs", "3"},
        {0, "tokenizer_kwargs", "{\"low_limit\": -4}"},
        {0, "low_limit", "4"},
        {0, "low_limit", "1e300"},
        {0, "low_limit", "null"},
        {0, "model_type", "\"causal\""},
        {0, "n_tokens", ""},
        {0, "n_tokens", "65"},
        {0, "n_tokens", "3000000000"},
        {0, "n_special_tokens", "64"},
        {0, "n_special_tokens", "63"},
        {0, "pad_token_id", "2"},
        {0, "eos_token_id", "2"},
        {0, "use_eos_token", "\"yes\""},
        {0, "context_length", "0"},
        {0, "context_length", "99999999999"},
        {0, "prediction_length", "1.5"},
        {0, "num_samples", "0"},
        {0, "num_samples", ""},
        {0, "temperature", "0"},
        {0, "temperature", ""},
        {0, "top_k", "-1"},
        {0, "top_p", "0"},
        {0, "top_p", "1.5"},
        {1, "context_length", ""},
        {1, "prediction_length", "0"},
        {1, "prediction_length", "13"},
        {1, "input_patch_size", "0"},
        {1, "input_patch_size", "7"},
        {1, "input_patch_size", "65537"},
        {1, "input_patch_stride", "0"},
        {1, "input_patch_stride", "9"},
        {1, "quantiles", "[]"},
        {1, "quantiles", "[0.5, 0.5]"},
        {1, "quantiles", "[0.1]"},
        {1, "use_reg_token", "false"},
        {1, "decoder_start_token_id", "2"},
        {2, "model_type", "\"seq2seq\""},
        {2, "model_type", "\"other\""},
        {2, "n_embd", ""},
        {2, "n_embd", "15"},
        {2, "n_embd", "70000"},
        {2, "n_head", "0"},
        {2, "n_head", "3"},
        {2, "n_layer", "65"},
        {2, "n_inner", "0"},
        {2, "n_positions", "47"},
        {2, "n_positions", "49"},
        {2, "vocab_size", "31"},
        {2, "layer_norm_epsilon", "2"},
        {2, "activation_function", "\"mish\""},
        {2, "tie_word_embeddings", "1"},
        {2, "scale_attn_weights", "false"},
        {2, "scale_attn_by_inverse_layer_idx", "true"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ftl_error err = {0};
        if (open_with(bad[i].toy, bad[i].key, bad[i].value, &err) != FTL_EDATA)
            fail_msg("%s = %s is accepted: %s", bad[i].key, bad[i].value, err.message);
        /* what the config alone cannot tell, the shapes of the weights do */
        CHECK(strstr(err.message, "DIR/config.json: ") || strstr(err.message, "model.safetensors"));
        if (strstr(err.message, "DIR/config.json"))
            CHECK(strstr(err.message, "key '") || strstr(err.message, "n_tokens is") ||
                  strstr(err.message, "low_limit is"));
    }
    CHECK_INT(open_with(0, "num_decoder_layers", "null", NULL), FTL_OK);
    CHECK_INT(open_with(0, "layer_norm_epsilon", "", NULL), FTL_OK);
    CHECK_INT(open_with(0, "top_k", "0", NULL), FTL_OK);
    CHECK_INT(open_with(1, "input_patch_stride", "4", NULL), FTL_OK);
    CHECK_INT(open_with(2, "activation_function", "", NULL), FTL_OK);
    CHECK_INT(open_with(2, "tie_word_embeddings", "false", NULL), FTL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bit_depends_on_batch_order_or_threads),
        cmocka_unit_test(more_paths_leave_the_first_ones_as_they_are),
        cmocka_unit_test(a_constant_series_stays_near_itself_and_one_of_nothing_is_forecast_too),
        cmocka_unit_test(paths_are_drawn_with_the_probabilities_of_the_network),
        cmocka_unit_test(a_caller_can_stop_anywhere),
        cmocka_unit_test(lack_of_memory_is_an_error_and_leaves_a_model_that_works),
        cmocka_unit_test(memory_is_stated_for_every_shape),
        cmocka_unit_test(configs_that_cannot_be_are_refused_by_file_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
