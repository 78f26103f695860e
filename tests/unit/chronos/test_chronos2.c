/* What must hold of Chronos-2 beside upstream's numbers, on the toy checkpoint, through the public interface. */
#include "parity/chronos2_cases.h"

#include "base/alloc.h"
#include "tensor/weights.h"

#include <sys/stat.h>

#define TOY FTL_TEST_DATA "/toy-chronos2"

/* The tasks of the toy's case of that name. */
static ftl_chronos_task *toy_tasks(case_memory *memory, const json_t *root, const char *name, size_t *n)
{
    const json_t *cases = json_object_get(root, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        if (!strcmp(json_string_value(json_object_get(c, "name")), name))
            return case_tasks(memory, json_object_get(c, "inputs"), n);
    }
    fail_msg("there is no case '%s'", name);
    return NULL;
}

typedef struct toy {
    case_memory memory;
    json_t *root;
} toy;

static int toy_begin(void **state)
{
    static toy t;
    t.root = case_file(TOY "/expected.json");
    *state = &t;
    return 0;
}

static int toy_end(void **state)
{
    toy *t = *state;
    json_decref(t->root);
    case_release(&t->memory);
    return 0;
}

/* All tasks without covariates: 18 of many lengths and one to three targets, with gaps, constants, nothing at all. */
static ftl_chronos_task *many_tasks(toy *t, size_t *n)
{
    static const char *const names[] = {"lengths", "missing", "multivariate"};
    ftl_chronos_task *all = case_alloc(&t->memory, 32, sizeof *all);
    *n = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t k;
        const ftl_chronos_task *some = toy_tasks(&t->memory, t->root, names[i], &k);
        memcpy(all + *n, some, k * sizeof *all);
        *n += k;
    }
    return all;
}

static void check_same_bits(const case_results *a, size_t i, const case_results *b, size_t k)
{
    CHECK_INT(a->n[i], b->n[k]);
    CHECK(!memcmp(a->quantiles[i], b->quantiles[k], a->n[i] * sizeof(float)));
}

static bool differs(const case_results *a, size_t i, const case_results *b, size_t k)
{
    double most = 0;
    for (size_t j = 0; j < a->n[i]; j++) {
        double d = fabs((double)a->quantiles[i][j] - (double)b->quantiles[k][j]);
        most = d > most ? d : most;
    }
    return most > 1e-3;
}

static void no_bit_depends(toy *t, ftl_precision precision, size_t horizon)
{
    size_t n;
    ftl_chronos_task *tasks = many_tasks(t, &n), *reversed = case_alloc(&t->memory, n, sizeof *reversed);
    for (size_t i = 0; i < n; i++) reversed[i] = tasks[n - 1 - i];
    ftl_chronos_open_args args = {.precision = precision, .n_threads = 1};
    ftl_chronos_options o = {.horizon = horizon, .batch_size = 1000};
    ftl_chronos *model = case_model(TOY, &args);
    const case_results together = case_predict(&t->memory, model, tasks, n, &o);
    const case_results backwards = case_predict(&t->memory, model, reversed, n, &o);
    o.batch_size = 3;
    const case_results by_threes = case_predict(&t->memory, model, tasks, n, &o);
    for (size_t i = 0; i < n; i++) {
        check_same_bits(&together, i, &backwards, n - 1 - i);
        check_same_bits(&together, i, &by_threes, i);
        const case_results alone = case_predict(&t->memory, model, &tasks[i], 1, &o);
        check_same_bits(&together, i, &alone, 0);
    }
    ftl_chronos_close(model);
    for (args.n_threads = 2; args.n_threads < 5; args.n_threads++) {
        model = case_model(TOY, &args);
        const case_results threads = case_predict(&t->memory, model, tasks, n, &o);
        for (size_t i = 0; i < n; i++) check_same_bits(&together, i, &threads, i);
        ftl_chronos_close(model);
    }
}

TEST(no_bit_depends_on_batch_order_or_threads)
{
    for (ftl_precision p = FTL_F32; p <= FTL_INT8; p++) no_bit_depends(*state, p, 11);
    no_bit_depends(*state, FTL_F32, 75); /* beyond one pass */
}

TEST(missing_values_before_a_series_change_no_bit)
{
    toy *t = *state;
    size_t n;
    ftl_chronos_task *tasks = many_tasks(t, &n), *padded = case_alloc(&t->memory, n, sizeof *padded);
    for (size_t i = 0; i < n; i++) {
        size_t length = tasks[i].length, more = length < 90 ? 1 + i % (96 - length) : 0;
        float *values = case_alloc(&t->memory, tasks[i].n_targets * (length + more), sizeof *values);
        for (size_t r = 0; r < tasks[i].n_targets; r++) {
            for (size_t k = 0; k < more; k++) values[r * (length + more) + k] = NAN;
            memcpy(values + r * (length + more) + more, tasks[i].targets + r * length, length * sizeof *values);
        }
        padded[i] = tasks[i];
        padded[i].targets = values;
        padded[i].length += more;
    }
    ftl_chronos *model = case_model(TOY, NULL);
    const ftl_chronos_options o = {.horizon = 20};
    const case_results plain = case_predict(&t->memory, model, tasks, n, &o);
    const case_results with = case_predict(&t->memory, model, padded, n, &o);
    for (size_t i = 0; i < n; i++) check_same_bits(&plain, i, &with, i);
    ftl_chronos_close(model);
}

TEST(who_is_seen_matters_and_who_is_not_does_not)
{
    toy *t = *state;
    size_t n;
    ftl_chronos_task *tasks = toy_tasks(&t->memory, t->root, "covariates", &n);
    ftl_chronos *model = case_model(TOY, NULL);
    ftl_chronos_options o = {.horizon = 9};
    const case_results all = case_predict(&t->memory, model, tasks, n, &o);
    o.cross_learning = true;
    const case_results crossed = case_predict(&t->memory, model, tasks, n, &o);
    o.batch_size = 1; /* a batch of one task: nobody else to learn from */
    const case_results lonely = case_predict(&t->memory, model, tasks, n, &o);
    o = (ftl_chronos_options){.horizon = 9};
    for (size_t i = 0; i < n; i++) {
        CHECK(differs(&all, i, &crossed, i));
        check_same_bits(&all, i, &lonely, i);
    }
    for (size_t i = 0; i < n; i++) { /* without the covariates; each without its future; with other values ahead */
        ftl_chronos_task bare = tasks[i];
        bare.n_covariates = 0;
        const case_results without = case_predict(&t->memory, model, &bare, 1, &o);
        CHECK(differs(&all, i, &without, 0));
        for (size_t c = 0; c < tasks[i].n_covariates; c++) {
            ftl_chronos_covariate covariates[3];
            float other[9] = {1, -2, 30, 4, -5, 60, 7, 8, 9};
            memcpy(covariates, tasks[i].covariates, sizeof covariates);
            if (!covariates[c].future) continue;
            ftl_chronos_task changed = tasks[i];
            changed.covariates = covariates;
            covariates[c].future = NULL;
            const case_results unknown = case_predict(&t->memory, model, &changed, 1, &o);
            covariates[c].future = other;
            const case_results another = case_predict(&t->memory, model, &changed, 1, &o);
            CHECK(differs(&all, i, &unknown, 0));
            CHECK(differs(&all, i, &another, 0));
        }
    }
    ftl_chronos_close(model);
}

TEST(targets_of_one_task_see_one_another)
{
    toy *t = *state;
    size_t n;
    ftl_chronos_task *tasks = toy_tasks(&t->memory, t->root, "multivariate", &n), *single;
    ftl_chronos *model = case_model(TOY, NULL);
    const ftl_chronos_options o = {.horizon = 13};
    const case_results joint = case_predict(&t->memory, model, tasks, 1, &o);
    single = case_alloc(&t->memory, tasks->n_targets, sizeof *single);
    for (size_t i = 0; i < tasks->n_targets; i++)
        single[i] = (ftl_chronos_task)FTL_CHRONOS_TASK(tasks->targets + i * tasks->length, tasks->length);
    const case_results alone = case_predict(&t->memory, model, single, tasks->n_targets, &o);
    for (size_t i = 0; i < tasks->n_targets; i++) {
        double most = 0;
        for (size_t k = 0; k < alone.n[i]; k++)
            most = fmax(most, fabs((double)alone.quantiles[i][k] - (double)joint.quantiles[0][i * alone.n[i] + k]));
        CHECK(most > 1e-3);
    }
    ftl_chronos_close(model);
}

TEST(a_constant_series_stays_near_itself_and_extremes_are_finite_or_refused)
{
    toy *t = *state;
    float constant[40], extreme[40], tiny[40], huge[40];
    for (size_t i = 0; i < 40; i++) {
        constant[i] = 0.1f;
        extreme[i] = i % 2 ? 1e38f : -1e38f;
        huge[i] = i % 2 ? 3.3e38f : -3.3e38f;
        tiny[i] = i % 3 ? 1e-42f : -1e-40f;
    }
    const ftl_chronos_task tasks[3] = {FTL_CHRONOS_TASK(constant, 40), FTL_CHRONOS_TASK(extreme, 40),
                                       FTL_CHRONOS_TASK(tiny, 40)};
    ftl_chronos *model = case_model(TOY, NULL);
    const ftl_chronos_options o = {.horizon = 75};
    const case_results r = case_predict(&t->memory, model, tasks, 3, &o);
    for (size_t k = 0; k < r.n[0]; k++) CHECK_NEAR(r.quantiles[0][k], 0.1, 1e-2);
    for (size_t i = 1; i < 3; i++)
        for (size_t k = 0; k < r.n[i]; k++) CHECK(isfinite(r.quantiles[i][k]));
    const ftl_chronos_task beyond[2] = {tasks[0], FTL_CHRONOS_TASK(huge, 40)};
    for (size_t h = 13; h <= 75; h += 62) { /* what no float can hold is said, and whose it is */
        const ftl_chronos_options longer = {.horizon = h};
        case_results done = {.memory = &t->memory};
        ftl_error err;
        CHECK_INT(ftl_chronos_predict(model, beyond, 2, &longer, case_collect, &done, &err), FTL_ENUMERIC);
        CHECK(strstr(err.message, "task 2, target 1"));
        CHECK_INT(done.n_tasks, 1);
    }
    ftl_chronos_close(model);
}

TEST(inputs_are_not_touched_and_results_come_again)
{
    toy *t = *state;
    size_t n;
    ftl_chronos_task *tasks = toy_tasks(&t->memory, t->root, "long covariates", &n);
    ftl_chronos *model = case_model(TOY, NULL);
    const ftl_chronos_options o = {.horizon = 70};
    float before[2][64], *values[2];
    for (size_t i = 0; i < n; i++) memcpy(before[i], tasks[i].targets, tasks[i].length * sizeof(float));
    const case_results first = case_predict(&t->memory, model, tasks, n, &o);
    const case_results second = case_predict(&t->memory, model, tasks, n, &o);
    for (size_t i = 0; i < n; i++) {
        values[i] = before[i];
        CHECK(!memcmp(values[i], tasks[i].targets, tasks[i].length * sizeof(float)));
        check_same_bits(&first, i, &second, i);
    }
    ftl_chronos_close(model);
}

/* ---- precision ---- */

/* The toy's directory again, its weights stored as `type`. */
static const char *stored_as(fi_dtype type, bool widened)
{
    static char directory[256];
    char path[512];
    fi_weights *weights;
    ftl_error err;
    static fi_to_store tensors[128];
    snprintf(directory, sizeof directory, "%s/foretell-toy-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    CHECK(mkdtemp(directory));
    if (fi_weights_open(TOY, &weights, &err)) fail_msg("%s", err.message);
    size_t n = fi_weights_count(weights);
    CHECK(n <= 128);
    for (size_t i = 0; i < n; i++) {
        const fi_stored *s = fi_weights_at(weights, i);
        float *values = malloc(s->size * sizeof *values);
        CHECK_INT(fi_stored_read(weights, s, values, &err), FTL_OK);
        if (widened) { /* rounded to the type, stored as float */
            uint16_t *rounded = malloc(s->size * sizeof *rounded);
            fi_convert_from_f32(type, values, rounded, s->size);
            fi_convert_to_f32(type, rounded, values, s->size);
            free(rounded);
        }
        tensors[i] =
            (fi_to_store){.name = s->name, .type = widened ? FI_F32 : type, .n_dims = s->n_dims, .data = values};
        memcpy(tensors[i].shape, s->shape, sizeof s->shape);
    }
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    if (fi_weights_write(path, tensors, n, NULL, 0, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < n; i++) free((void *)(uintptr_t)tensors[i].data);
    fi_weights_close(weights);
    snprintf(path, sizeof path, "%s/config.json", directory);
    CHECK(symlink(TOY "/config.json", path) == 0);
    return directory;
}

static void remove_stored(const char *directory)
{
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/config.json", directory);
    unlink(path);
    rmdir(directory);
}

TEST(half_precision_files_give_what_their_widened_weights_give)
{
    toy *t = *state;
    size_t n;
    const ftl_chronos_task *tasks = many_tasks(t, &n);
    const ftl_chronos_options o = {.horizon = 11};
    ftl_chronos *model = case_model(TOY, NULL);
    const case_results f32 = case_predict(&t->memory, model, tasks, n, &o);
    ftl_chronos_close(model);
    for (fi_dtype type = FI_F16; type <= FI_BF16; type++) {
        case_results r[2];
        for (int widened = 0; widened < 2; widened++) {
            const char *directory = stored_as(type, widened);
            model = case_model(directory, NULL);
            r[widened] = case_predict(&t->memory, model, tasks, n, &o);
            ftl_chronos_close(model);
            remove_stored(directory);
        }
        bool any = false;
        for (size_t i = 0; i < n; i++) {
            check_same_bits(&r[0], i, &r[1], i);
            any = any || differs(&f32, i, &r[0], i);
        }
        CHECK(any); /* or nothing was rounded */
    }
}

TEST(reduced_precision_stays_near)
{ /* in units of the largest forecast of a task: bf16 keeps 8 bits, int8 quantises weights and activations */
    static const double limit[] = {0, 0.05, 0.1};
    toy *t = *state;
    size_t n;
    const ftl_chronos_task *tasks = toy_tasks(&t->memory, t->root, "multivariate", &n);
    const ftl_chronos_options o = {.horizon = 13};
    ftl_chronos *model = case_model(TOY, NULL);
    const case_results f32 = case_predict(&t->memory, model, tasks, n, &o);
    ftl_chronos_close(model);
    for (ftl_precision p = FTL_BF16; p <= FTL_INT8; p++) {
        const ftl_chronos_open_args args = {.precision = p};
        model = case_model(TOY, &args);
        const case_results r = case_predict(&t->memory, model, tasks, n, &o);
        for (size_t i = 0; i < n; i++) {
            double sum = 0, size = 0;
            for (size_t k = 0; k < r.n[i]; k++) {
                sum += fabs((double)r.quantiles[i][k] - (double)f32.quantiles[i][k]);
                size = fmax(size, fabs((double)f32.quantiles[i][k]));
            }
            CHECK(sum > 0 && sum / (double)r.n[i] < limit[p] * size);
        }
        ftl_chronos_close(model);
    }
}

/* ---- what is refused, stopped, or lacks memory ---- */

static ftl_status open_with(const char *key, const char *value, ftl_error *err)
{
    char directory[256], path[512], weights[512];
    json_t *config = case_file(TOY "/config.json"), *own = json_object_get(config, "chronos_config");
    json_t *holder = json_object_get(own, key) ? own : config;
    if (*value)
        json_object_set_new(holder, key, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(holder, key);
    snprintf(directory, sizeof directory, "%s/foretell-toy-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    CHECK(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/config.json", directory);
    snprintf(weights, sizeof weights, "%s/model.safetensors", directory);
    CHECK(json_dump_file(config, path, 0) == 0);
    CHECK(symlink(TOY "/model.safetensors", weights) == 0);
    json_decref(config);
    ftl_chronos *model;
    ftl_status st = ftl_chronos_open(directory, NULL, &model, err);
    CHECK((st == FTL_OK) == (model != NULL));
    ftl_chronos_close(model);
    remove_stored(directory);
    return st;
}

TEST(configs_that_cannot_be_are_refused_by_key)
{
    static const struct {
        const char *key, *value, *named;
    } bad[] = {
        {"d_model", "", "d_model"},
        {"d_model", "0", "d_model"},
        {"d_model", "-1", "d_model"},
        {"d_model", "13", "shared.weight"}, /* not the file's */
        {"d_model", "65536", "shared.weight"},
        {"d_model", "1e300", "d_model"},
        {"d_model", "\"12\"", "d_model"},
        {"d_kv", "5", "d_kv"},
        {"d_kv", "65536", "self_attention.q"},
        {"d_ff", "1048576", "input_patch_embedding"},
        {"num_layers", "0", "num_layers"},
        {"num_layers", "1024", "encoder.block.2"},
        {"num_layers", "1000000000000", "num_layers"},
        {"num_heads", "4096", "self_attention.q"},
        {"layer_norm_epsilon", "-1", "layer_norm_epsilon"},
        {"rope_theta", "0", "rope_theta"},
        {"is_gated_act", "true", "gated"},
        {"dense_act_fn", "\"mish\"", "mish"},
        {"context_length", "0", "context_length"},
        {"context_length", "null", "context_length"},
        {"input_patch_size", "16", "input_patch_size"},
        {"input_patch_stride", "4", "input_patch_stride"},
        {"output_patch_size", "16", "output_patch_size"},
        {"max_output_patches", "0", "max_output_patches"},
        {"max_output_patches", "9223372036854775807", "max_output_patches"},
        {"time_encoding_scale", "0", "time_encoding_scale"},
        {"quantiles", "[]", "quantiles"},
        {"quantiles", "[0.5, 0.1]", "quantiles"},
        {"quantiles", "[0.1, 1.5]", "quantiles"},
        {"quantiles", "[0.1, 0.5, 0.9]", "output_patch_embedding"}, /* not the file's */
        {"use_reg_token", "false", "use_reg_token"},
        {"use_arcsinh", "3", "use_arcsinh"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ftl_error err;
        CHECK_INT(open_with(bad[i].key, bad[i].value, &err), FTL_EDATA);
        CHECK_CONTAINS(err.message, bad[i].named);
    }
    CHECK_INT(open_with("time_encoding_scale", "", NULL), FTL_OK); /* the context's length */
    CHECK_INT(open_with("d_unknown", "1", NULL), FTL_OK);
}

TEST(infinite_values_are_refused)
{
    toy *t = *state;
    float y[5] = {1, 2, INFINITY, 4, 5};
    const ftl_chronos_task task = FTL_CHRONOS_TASK(y, 5);
    ftl_chronos *model = case_model(TOY, NULL);
    case_results r = {.memory = &t->memory};
    ftl_error err;
    CHECK_INT(ftl_chronos_predict(model, &task, 1, NULL, case_collect, &r, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "infinite");
    ftl_chronos_close(model);
}

static bool stop_after(void *user, size_t done, size_t total)
{
    (void)done, (void)total;
    return --*(int *)user > 0;
}

TEST(a_caller_can_stop_anywhere)
{
    toy *t = *state;
    size_t n;
    const ftl_chronos_task *tasks = many_tasks(t, &n);
    ftl_chronos *model = case_model(TOY, NULL);
    ftl_status st = FTL_ECANCELLED;
    int asked = 0;
    for (; st == FTL_ECANCELLED && asked < 1000; asked++) {
        int left = asked;
        const ftl_chronos_options o = {.horizon = 40, .progress = stop_after, .progress_user = &left};
        case_results r = {.memory = &t->memory};
        st = ftl_chronos_predict(model, tasks, n, &o, case_collect, &r, NULL);
    }
    CHECK_INT(st, FTL_OK);
    CHECK(asked > 20); /* asked within the work, not only at its end */
    ftl_chronos_close(model);
}

TEST(lack_of_memory_is_an_error_and_leaves_a_model_that_works)
{
    toy *t = *state;
    size_t n;
    const ftl_chronos_task *tasks = toy_tasks(&t->memory, t->root, "long covariates", &n);
    const ftl_chronos_open_args args = {.n_threads = 1};
    const ftl_chronos_options o = {.horizon = 70};
    ftl_chronos *model = NULL;
    ftl_status st = FTL_ENOMEM;
    for (long k = 0; st == FTL_ENOMEM; k++) {
        fi_alloc_fail_after(k);
        st = ftl_chronos_open(TOY, &args, &model, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (model != NULL));
    }
    CHECK_INT(st, FTL_OK);
    st = FTL_ENOMEM;
    for (long k = 0; st == FTL_ENOMEM; k++) { /* the model keeps graphs: each time a few more allocations succeed */
        case_results r = {.memory = &t->memory};
        fi_alloc_fail_after(k);
        st = ftl_chronos_predict(model, tasks, 1, &o, case_collect, &r, NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    const case_results after = case_predict(&t->memory, model, tasks, n, &o);
    ftl_chronos_close(model);
    model = case_model(TOY, &args);
    const case_results fresh = case_predict(&t->memory, model, tasks, n, &o);
    for (size_t i = 0; i < n; i++) check_same_bits(&after, i, &fresh, i);
    ftl_chronos_close(model);
}

TEST(facts_and_memory_are_stated)
{
    (void)state;
    ftl_chronos *model = case_model(TOY, NULL);
    const ftl_chronos_facts f = ftl_chronos_about(model);
    CHECK_TEXT(f.family, "chronos-2");
    CHECK(f.takes_covariates && !f.gives_samples);
    CHECK_INT(f.context_length, 96);
    CHECK_INT(f.prediction_length, 32);
    CHECK_INT(f.n_levels, 11);
    CHECK_INT(f.d_model, 12);
    const ftl_chronos_memory one = ftl_chronos_memory_of(model, 1, 96, 16, 0);
    const ftl_chronos_memory many = ftl_chronos_memory_of(model, 8, 96, 16, 0);
    const ftl_chronos_memory further = ftl_chronos_memory_of(model, 1, 96, 64, 0);
    CHECK(one.activation_bytes > 1000 && many.activation_bytes > 4 * one.activation_bytes);
    CHECK(one.cache_bytes == 0 && further.cache_bytes > 0);
    ftl_chronos_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bit_depends_on_batch_order_or_threads),
        cmocka_unit_test(missing_values_before_a_series_change_no_bit),
        cmocka_unit_test(who_is_seen_matters_and_who_is_not_does_not),
        cmocka_unit_test(targets_of_one_task_see_one_another),
        cmocka_unit_test(a_constant_series_stays_near_itself_and_extremes_are_finite_or_refused),
        cmocka_unit_test(inputs_are_not_touched_and_results_come_again),
        cmocka_unit_test(half_precision_files_give_what_their_widened_weights_give),
        cmocka_unit_test(reduced_precision_stays_near),
        cmocka_unit_test(configs_that_cannot_be_are_refused_by_key),
        cmocka_unit_test(infinite_values_are_refused),
        cmocka_unit_test(a_caller_can_stop_anywhere),
        cmocka_unit_test(lack_of_memory_is_an_error_and_leaves_a_model_that_works),
        cmocka_unit_test(facts_and_memory_are_stated),
    };
    return cmocka_run_group_tests(tests, toy_begin, toy_end);
}
