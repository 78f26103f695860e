/*
 * Chronos-2 against chronos-forecasting: a toy model of our own (tools/make_toy_chronos2.py), and the dummy checkpoints of
 * upstream's tests, from the folder of shared data. Tolerance: 1e-5 + 1e-5 |expected|, rounding of float32.
 */
#include "chronos2_cases.h"

#define TOY FTL_TEST_DATA "/toy-chronos2"

static void check_number(const char *what, size_t i, double found, double expected)
{
    if (fabs(found - expected) <= 1e-5 + 1e-5 * fabs(expected)) return;
    fail_msg("%s: number %zu is %.9g, expected %.9g", what, i, found, expected);
}

/* predictions [n_targets][n_levels][n_steps] of one task against quantiles [n_targets, n_levels, horizon]. */
static void check_task(const char *name, const json_t *predictions, const json_t *steps, size_t horizon,
                       const float *quantiles)
{
    for (size_t i = 0, at = 0; i < json_array_size(predictions); i++) {
        const json_t *target = json_array_get(predictions, i);
        for (size_t k = 0; k < json_array_size(target); k++, at += horizon) {
            const json_t *level = json_array_get(target, k);
            for (size_t s = 0; s < json_array_size(level); s++) {
                size_t step = steps ? (size_t)json_integer_value(json_array_get(steps, s)) : s;
                check_number(name, at + step, quantiles[at + step], json_number_value(json_array_get(level, s)));
            }
        }
    }
}

static void check_case(const ftl_chronos *model, const json_t *c)
{
    static case_memory memory;
    size_t n;
    const ftl_chronos_task *tasks = case_tasks(&memory, json_object_get(c, "inputs"), &n);
    const ftl_chronos_options options = case_options(&memory, c);
    const char *name = json_string_value(json_object_get(c, "name"));
    const json_t *predictions = json_object_get(c, "predictions");
    const case_results found = case_predict(&memory, model, tasks, n, &options);
    CHECK_INT(json_array_size(predictions), n);
    for (size_t t = 0; t < n; t++)
        check_task(name, json_array_get(predictions, t), json_object_get(c, "steps"), options.horizon,
                   found.quantiles[t]);
    case_release(&memory);
}

static void check_cases(const char *directory, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", directory); /* shared_path has one buffer */
    ftl_chronos *model = case_model(path, NULL);
    json_t *root = case_file(file);
    const json_t *cases = json_object_get(root, "cases");
    CHECK(json_array_size(cases) > 0);
    for (size_t i = 0; i < json_array_size(cases); i++) check_case(model, json_array_get(cases, i));
    json_decref(root);
    ftl_chronos_close(model);
}

TEST(every_case_of_the_toy_model)
{
    check_cases(TOY, TOY "/expected.json");
}

TEST(every_case_of_the_dummy_model)
{
    char directory[4096];
    if (shared_lacks("models/dummy-chronos2-model/config.json")) skip();
    snprintf(directory, sizeof directory, "%s", shared_path("models/dummy-chronos2-model"));
    check_cases(directory, shared_path("reference/chronos-golden/chronos2-dummy.json"));
}

/* ---- levels between the model's ---- */

static void check_levels(const char *directory, const json_t *expected)
{
    static case_memory memory;
    double levels[32];
    float context[256];
    const json_t *list = json_object_get(expected, "levels"), *quantiles = json_object_get(expected, "quantiles");
    const json_t *steps = json_array_get(quantiles, 0), *mean = json_array_get(json_object_get(expected, "mean"), 0);
    size_t n = 0, from = 0, horizon = json_array_size(steps);
    for (size_t k = 0; k < json_array_size(list); k++) {
        double level = json_number_value(json_array_get(list, k));
        if (level <= 0 && k == from) from++; /* upstream takes the levels 0 and 1; we refuse them */
        if (level > 0 && level < 1) levels[n++] = level;
    }
    case_numbers(json_object_get(expected, "context"), context);
    const ftl_chronos_task task = FTL_CHRONOS_TASK(context, json_array_size(json_object_get(expected, "context")));
    const ftl_chronos_options options = {.horizon = horizon, .levels = levels, .n_levels = n};
    ftl_chronos *model = case_model(directory, NULL);
    const case_results found = case_predict(&memory, model, &task, 1, &options);
    for (size_t t = 0; t < horizon; t++) {
        for (size_t k = 0; k < n; k++)
            check_number("levels", t, found.quantiles[0][k * horizon + t],
                         json_number_value(json_array_get(json_array_get(steps, t), from + k)));
        check_number("point", t, found.point[0][t], json_number_value(json_array_get(mean, t)));
    }
    ftl_chronos_close(model);
    case_release(&memory);
}

TEST(levels_between_those_of_the_model)
{
    json_t *root = case_file(TOY "/expected.json");
    check_levels(TOY, json_object_get(root, "interpolated"));
    json_decref(root);
    if (shared_lacks("models/dummy-chronos2-model/config.json")) skip();
    char directory[4096];
    snprintf(directory, sizeof directory, "%s", shared_path("models/dummy-chronos2-model"));
    root = case_file(shared_path("reference/chronos-golden/chronos2-dummy-extra.json"));
    check_levels(directory, json_object_get(root, "interp"));
    json_decref(root);
}

/* ---- adapters ---- */

TEST(a_lora_adapter_is_merged)
{
    static case_memory memory;
    char directory[4096], adapter[4096];
    if (shared_lacks("models/dummy-chronos2-lora/adapter_config.json")) skip();
    snprintf(directory, sizeof directory, "%s", shared_path("models/dummy-chronos2-model"));
    snprintf(adapter, sizeof adapter, "%s", shared_path("models/dummy-chronos2-lora"));
    json_t *root = case_file(shared_path("reference/chronos-golden/chronos2-dummy-extra.json"));
    const json_t *lora = json_object_get(root, "lora_merged"), *predictions = json_object_get(lora, "predictions");
    const ftl_chronos_open_args args = {.adapter = adapter};
    ftl_chronos *model = case_model(directory, &args);
    size_t n, horizon = (size_t)json_integer_value(json_object_get(lora, "horizon"));
    const ftl_chronos_task *tasks = case_tasks(&memory, json_object_get(lora, "contexts"), &n);
    const ftl_chronos_options options = {.horizon = horizon};
    const case_results found = case_predict(&memory, model, tasks, n, &options);
    for (size_t t = 0; t < n; t++)
        check_task("lora", json_array_get(predictions, t), NULL, horizon, found.quantiles[t]);
    ftl_chronos_close(model);
    json_decref(root);
    case_release(&memory);
}

/* ---- embeddings ---- */

static bool check_embedding(void *user, const ftl_chronos_embedding *e)
{
    const json_t *expected = user, *rows = json_object_get(expected, "embedding");
    CHECK_INT(e->n_rows, json_array_size(rows));
    for (size_t i = 0; i < e->n_rows; i++) {
        const json_t *tokens = json_array_get(rows, i);
        CHECK_INT(e->n_tokens, json_array_size(tokens));
        for (size_t p = 0; p < e->n_tokens; p++) {
            const json_t *state = json_array_get(tokens, p);
            CHECK_INT(e->d_model, json_array_size(state));
            for (size_t d = 0; d < e->d_model; d++)
                check_number("state", d, e->states[(i * e->n_tokens + p) * e->d_model + d],
                             json_number_value(json_array_get(state, d)));
        }
        const json_t *loc = json_array_get(json_object_get(expected, "loc"), i);
        const json_t *scale = json_array_get(json_object_get(expected, "scale"), i);
        check_number("loc", i, e->loc[i], json_number_value(json_is_array(loc) ? json_array_get(loc, 0) : loc));
        check_number("scale", i, e->scale[i],
                     json_number_value(json_is_array(scale) ? json_array_get(scale, 0) : scale));
    }
    return true;
}

static void check_embed(const char *directory, json_t *expected)
{
    static case_memory memory;
    const ftl_chronos_task task = case_task(&memory, json_object_get(expected, "context"));
    ftl_chronos *model = case_model(directory, NULL);
    ftl_error err;
    if (ftl_chronos_embed(model, &task, 1, NULL, check_embedding, expected, &err)) fail_msg("%s", err.message);
    ftl_chronos_close(model);
    case_release(&memory);
}

TEST(embeddings)
{
    json_t *root = case_file(TOY "/expected.json");
    check_embed(TOY, json_object_get(root, "embed"));
    json_decref(root);
    if (shared_lacks("models/dummy-chronos2-model/config.json")) skip();
    char directory[4096];
    snprintf(directory, sizeof directory, "%s", shared_path("models/dummy-chronos2-model"));
    root = case_file(shared_path("reference/chronos-golden/chronos2-dummy.json"));
    check_embed(directory, json_object_get(root, "embed"));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_of_the_toy_model),
        cmocka_unit_test(every_case_of_the_dummy_model),
        cmocka_unit_test(levels_between_those_of_the_model),
        cmocka_unit_test(a_lora_adapter_is_merged),
        cmocka_unit_test(embeddings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
