#include "folder.h"
#include "unit/tensor/stored.h"

#include "base/alloc.h"

#define DATA FTL_TEST_DATA "/weights/"

/* NAME: the folder of a model, its adapter, and what PEFT makes of both (tools/make_weight_fixtures.py). */
static void check_merged(const char *name, size_t expected_changes)
{
    char path[512];
    fi_weights *w = NULL, *expected = NULL, *plain = NULL;
    size_t changed = 0;
    snprintf(path, sizeof path, DATA "%s", name);
    CHECK_INT(fi_weights_open(path, &w, &err), FTL_OK);
    CHECK_INT(fi_weights_open(path, &plain, &err), FTL_OK);
    snprintf(path, sizeof path, DATA "%s/adapter", name);
    if (fi_weights_merge(w, path, &err)) fail_msg("%s", err.message);
    snprintf(path, sizeof path, DATA "%s/merged.safetensors", name);
    CHECK_INT(fi_weights_open(path, &expected, &err), FTL_OK);
    CHECK_INT(fi_weights_count(w), fi_weights_count(expected));
    for (size_t i = 0; i < fi_weights_count(w); i++) {
        float x[64], y[64], z[64];
        const fi_stored *t = fi_weights_at(w, i);
        CHECK(t->size <= 64);
        read_named(w, t->name, x);
        read_named(expected, t->name, y);
        read_named(plain, t->name, z);
        for (size_t k = 0; k < t->size; k++) CHECK_CLOSE(x[k], y[k], 3e-7); /* PEFT adds in float */
        changed += memcmp(x, z, t->size * sizeof *x) != 0;
    }
    CHECK_INT(changed, expected_changes);
    fi_weights_close(w);
    fi_weights_close(expected);
    fi_weights_close(plain);
}

TEST(merged_weights_are_those_of_peft)
{
    check_merged("lora", 5); /* embed, up, down with a rank and an alpha of its own, and head (weight, bias) replaced */
    check_merged("rslora", 1);
}

TEST(what_cannot_be_merged_is_refused)
{
    fi_weights *w = NULL;
    CHECK_INT(fi_weights_open(DATA "dora", &w, &err), FTL_OK);
    CHECK_INT(fi_weights_merge(w, DATA "dora/adapter", &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "adapter_config.json: 'use_dora' is not supported");
    fi_weights_close(w);
    CHECK_INT(fi_weights_open(DATA "shards", &w, &err), FTL_OK);
    CHECK_INT(fi_weights_merge(w, DATA "lora/adapter", &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "adapter of another model");
    fi_weights_close(w);
    CHECK_INT(fi_weights_open(DATA "lora", &w, &err), FTL_OK);
    CHECK_INT(fi_weights_merge(w, DATA "shards", &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "adapter_config.json");
    fi_weights_close(w);
}

/* ---- adapters made here, for a model of one tensor "m.weight" [2, 3] ---- */

static void check_own(const char *config, const fi_to_store *tensors, size_t n, const char *why)
{
    static const float zeros[6];
    const fi_to_store model = {"m.weight", FI_F32, 2, {2, 3}, zeros};
    fi_weights *w = NULL;
    FILE *f = fopen(inside("adapter_config.json"), "w");
    CHECK(f && fputs(config, f) >= 0 && !fclose(f));
    CHECK_INT(fi_weights_write(inside("adapter_model.safetensors"), tensors, n, NULL, 0, &err), FTL_OK);
    CHECK_INT(fi_weights_write(inside("m.safetensors"), &model, 1, NULL, 0, &err), FTL_OK);
    CHECK_INT(fi_weights_open(inside("m.safetensors"), &w, &err), FTL_OK);
    ftl_status st = fi_weights_merge(w, folder, &err);
    if (why) {
        CHECK_INT(st, FTL_EDATA);
        CHECK_CONTAINS(err.message, why);
    } else {
        float x[6];
        if (st) fail_msg("%s", err.message);
        read_named(w, "m.weight", x);
        CHECK(x[0] == 2 && x[2] == 6 && x[3] == 4 && x[5] == 12);
    }
    fi_weights_close(w);
}

#define P      "base_model.model."
#define CONFIG "{\"peft_type\":\"LORA\",\"lora_alpha\":2"

TEST(adapters_that_fit_nothing_are_refused)
{
    static const float a[3] = {1, 2, 3}, b[2] = {1, 2}, bad[3] = {1, NAN, 3};
    fi_to_store good[] = {{P "m.lora_A.weight", FI_F32, 2, {1, 3}, a}, {P "m.lora_B.weight", FI_F32, 2, {2, 1}, b}};
    check_own(CONFIG "}", good, 2, NULL);
    check_own(CONFIG ",\"lora_bias\":false,\"layer_replication\":null,\"alpha_pattern\":{\"xm\":7}}", good, 2, NULL);
    check_own("{\"peft_type\":\"LORA\",\"lora_alpha\":9,\"alpha_pattern\":{\"m\":2}}", good, 2, NULL);
    check_own("[]", good, 2, "must be an object");
    check_own("{}", good, 2, "peft_type LORA");
    check_own("{\"peft_type\":\"IA3\"}", good, 2, "peft_type LORA");
    check_own("{\"peft_type\":\"LORA\"}", good, 2, "lora_alpha must be");
    check_own("{\"peft_type\":\"LORA\",\"lora_alpha\":-1}", good, 2, "lora_alpha must be");
    check_own(CONFIG ",\"lora_bias\":true}", good, 2, "'lora_bias' is not supported");
    check_own(CONFIG ",\"layer_replication\":[[0,1]]}", good, 2, "'layer_replication'");
    check_own(CONFIG ",\"alpha_pattern\":{\"m.*\":2}}", good, 2, "regular expression");
    check_own(CONFIG "}", good, 1, "(lora_B) is missing");
    check_own(CONFIG "}", good + 1, 1, "(lora_A) is missing");
    fi_to_store other[] = {{P "n.lora_A.weight", FI_F32, 2, {1, 3}, a}, {P "n.lora_B.weight", FI_F32, 2, {2, 1}, b}};
    check_own(CONFIG "}", other, 2, "no such module");
    fi_to_store shape[] = {{P "m.lora_A.weight", FI_F32, 2, {3, 1}, a}, {P "m.lora_B.weight", FI_F32, 2, {2, 1}, b}};
    check_own(CONFIG "}", shape, 2, "does not fit");
    fi_to_store flat[] = {{P "m.lora_A.weight", FI_F32, 1, {3}, a}, {P "m.lora_B.weight", FI_F32, 2, {2, 1}, b}};
    check_own(CONFIG "}", flat, 2, "does not fit");
    fi_to_store none[] = {{P "m.lora_A.weight", FI_F32, 2, {0, 3}, a}, {P "m.lora_B.weight", FI_F32, 2, {2, 0}, b}};
    check_own(CONFIG "}", none, 2, "does not fit");
    fi_to_store plain = {"m.lora_A.weight", FI_F32, 2, {1, 3}, a};
    check_own(CONFIG "}", &plain, 1, "base_model.model.");
    fi_to_store extra = {P "m.lora_magnitude_vector", FI_F32, 1, {3}, a};
    check_own(CONFIG "}", &extra, 1, "fits nothing");
    fi_to_store replaced = {P "m.weight", FI_F32, 2, {3, 1}, a};
    check_own(CONFIG "}", &replaced, 1, "fits nothing");
    good[0].data = bad; /* found on reading, and told of the adapter's tensor */
    fi_weights *w = NULL;
    float x[6];
    CHECK_INT(fi_weights_write(inside("adapter_model.safetensors"), good, 2, NULL, 0, &err), FTL_OK);
    CHECK_INT(fi_weights_open(inside("m.safetensors"), &w, &err), FTL_OK);
    CHECK_INT(fi_weights_merge(w, folder, &err), FTL_OK);
    CHECK_INT(fi_stored_read(w, fi_weights_at(w, 0), x, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "adapter_model.safetensors: tensor '" P "m.lora_A.weight': number 1 is NaN");
    fi_weights_close(w);
}

TEST(an_adapter_says_what_it_is_for)
{
    char *base = (char *)1;
    CHECK_INT(fi_adapter_base(DATA "shards", &base, &err), FTL_OK);
    CHECK(base == NULL);
    CHECK_INT(fi_adapter_base(DATA "lora/adapter", &base, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "base_model_name_or_path");
    FILE *f = fopen(inside("adapter_config.json"), "w");
    CHECK(f && fputs("{\"base_model_name_or_path\":\"amazon/chronos-2\"}", f) >= 0 && !fclose(f));
    CHECK_INT(fi_adapter_base(folder, &base, &err), FTL_OK);
    CHECK_TEXT(base, "amazon/chronos-2");
    fi_free(base);
    fi_weights *w = (void *)1;
    CHECK_INT(fi_weights_open(folder, &w, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "is a LoRA adapter without its model");
}

TEST(merging_survives_lack_of_memory)
{
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 2000; n++) {
        fi_weights *w = NULL;
        float x[64];
        fi_alloc_fail_after(n);
        st = fi_weights_open(DATA "lora", &w, &err);
        if (!st) st = fi_weights_merge(w, DATA "lora/adapter", &err);
        if (!st) st = fi_stored_read(w, fi_weights_find(w, "up.weight"), x, &err);
        fi_alloc_fail_after(-1);
        fi_weights_close(w);
    }
    CHECK_INT(st, FTL_OK);
}

TEST(the_adapter_of_the_small_chronos_2_adds_twice_b_a)
{
    const char *model = "models/dummy-chronos2-model", *adapter = "models/dummy-chronos2-lora";
    if (shared_lacks(adapter)) skip();
    static const char *const modules[] = {"encoder.block.1.layer.0.self_attention.q",
                                          "output_patch_embedding.output_layer"};
    fi_weights *w = NULL, *plain = NULL, *lora = NULL;
    char name[256];
    CHECK_INT(fi_weights_open(shared_path(model), &w, &err), FTL_OK);
    CHECK_INT(fi_weights_open(shared_path(model), &plain, &err), FTL_OK);
    if (fi_weights_merge(w, shared_path(adapter), &err)) fail_msg("%s", err.message);
    CHECK_INT(fi_weights_open(shared_path("models/dummy-chronos2-lora/adapter_model.safetensors"), &lora, &err),
              FTL_OK);
    for (int i = 0; i < 2; i++) {
        static float x[4096], y[4096], a[4096], b[4096];
        snprintf(name, sizeof name, "%s.weight", modules[i]);
        const fi_stored *t = fi_weights_find(w, name);
        CHECK(t && t->n_dims == 2 && t->size <= 4096);
        read_named(w, name, x);
        read_named(plain, name, y);
        snprintf(name, sizeof name, P "%s.lora_A.weight", modules[i]);
        read_named(lora, name, a);
        snprintf(name, sizeof name, P "%s.lora_B.weight", modules[i]);
        read_named(lora, name, b);
        for (size_t r = 0; r < t->shape[0]; r++)
            for (size_t c = 0; c < t->shape[1]; c++) {
                double sum = y[r * t->shape[1] + c];
                for (size_t k = 0; k < 8; k++) sum += 2.0 * (double)b[r * 8 + k] * (double)a[k * t->shape[1] + c];
                CHECK_CLOSE(x[r * t->shape[1] + c], sum, 1e-7);
            }
    }
    fi_weights_close(w);
    fi_weights_close(plain);
    fi_weights_close(lora);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_weights_are_those_of_peft),
        cmocka_unit_test(what_cannot_be_merged_is_refused),
        cmocka_unit_test(adapters_that_fit_nothing_are_refused),
        cmocka_unit_test(an_adapter_says_what_it_is_for),
        cmocka_unit_test(merging_survives_lack_of_memory),
        cmocka_unit_test(the_adapter_of_the_small_chronos_2_adds_twice_b_a),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
