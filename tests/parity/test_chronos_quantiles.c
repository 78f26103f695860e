/* Quantiles at levels that are not the model's, and the functions they are made of, against upstream's numbers. */
#include "chronos.h"

#include "chronos/quantiles.h"

#include <foretell/chronos.h>

/* Quantiles [levels, H] and the point [H] of every task. */
typedef struct log_of {
    float *quantiles, *point;
} log_of;

static bool keep(void *user, const ftl_chronos_result *r)
{
    log_of *l = (log_of *)user + r->task;
    l->quantiles = fi_alloc(r->n_levels * r->horizon, sizeof(float));
    l->point = fi_alloc(r->horizon, sizeof(float));
    memcpy(l->quantiles, r->quantiles, r->n_levels * r->horizon * sizeof(float));
    memcpy(l->point, r->point, r->horizon * sizeof(float));
    return true;
}

/* Ours [levels, H] against upstream's rows of steps, [H][levels]. */
static void check_rows(const float *ours, const json_t *rows, size_t H, size_t levels)
{
    CHECK_INT(json_array_size(rows), H);
    for (size_t h = 0; h < H; h++)
        for (size_t k = 0; k < levels; k++) {
            const double expected = json_number_value(json_array_get(json_array_get(rows, h), k));
            CHECK_NEAR(ours[k * H + h], expected, 1e-5 + 1e-5 * fabs(expected));
        }
}

TEST(bolt_at_any_levels_and_in_batches)
{
    if (shared_lacks("models/dummy-chronos-bolt-model/model.safetensors")) return;
    char directory[4200];
    ftl_chronos *model;
    ftl_error err = {0};
    snprintf(directory, sizeof directory, "%s", shared_path("models/dummy-chronos-bolt-model"));
    json_t *golden = read_json(shared_path("reference/chronos-golden/bolt-dummy-quantiles.json"));
    json_t *both = json_object_get(golden, "batch2"), *list = json_object_get(both, "contexts");
    if (ftl_chronos_open(directory, NULL, &model, &err)) fail_msg("%s", err.message);
    size_t n, n_levels;
    double *levels;
    float *x = floats(golden, "context", &n), *mean = floats(golden, "mean_h4", &n_levels);
    CHECK_INT(n_levels, 4);
    CHECK_INT(fi_json_get_reals(golden, "levels", &levels, &n_levels, NULL), FTL_OK);
    log_of one = {0}, two[2] = {{0}};
    const ftl_chronos_task task = FTL_CHRONOS_TASK(x, n);
    CHECK_INT(ftl_chronos_predict(model, &task, 1,
                                  &(ftl_chronos_options){.horizon = 4, .levels = levels, .n_levels = n_levels}, keep,
                                  &one, &err),
              FTL_OK);
    check_rows(one.quantiles, json_object_get(golden, "quantiles_h4"), 4, n_levels);
    for (size_t h = 0; h < 4; h++) CHECK_NEAR(one.point[h], mean[h], 1e-5 + 1e-5 * fabs((double)mean[h]));
    fi_free(levels);

    const size_t H = (size_t)number(both, "horizon");
    ftl_chronos_task tasks[2];
    float *contexts[2];
    CHECK_INT(json_array_size(list), 2);
    CHECK_INT(fi_json_get_reals(both, "levels", &levels, &n_levels, NULL), FTL_OK);
    for (size_t i = 0; i < 2; i++) {
        json_t *named = json_pack("{s:O}", "context", json_array_get(list, i));
        contexts[i] = floats(named, "context", &n);
        tasks[i] = (ftl_chronos_task)FTL_CHRONOS_TASK(contexts[i], n);
        json_decref(named);
    }
    CHECK_INT(ftl_chronos_predict(model, tasks, 2,
                                  &(ftl_chronos_options){.horizon = H, .levels = levels, .n_levels = n_levels}, keep,
                                  two, &err),
              FTL_OK);
    for (size_t i = 0; i < 2; i++) {
        check_rows(two[i].quantiles, json_array_get(json_object_get(both, "quantiles"), i), H, n_levels);
        fi_free(two[i].quantiles), fi_free(two[i].point), fi_free(contexts[i]);
    }
    fi_free(levels), fi_free(one.quantiles), fi_free(one.point), fi_free(x), fi_free(mean);
    ftl_chronos_close(model);
    json_decref(golden);
}

/* The quantile function of `knots` at the levels "query" gives "out". */
static void check_table(const json_t *table, const fi_knot *knots, size_t n)
{
    size_t n_queries, n_out;
    double *query;
    float *out = floats(table, "out", &n_out);
    CHECK_INT(fi_json_get_reals(table, "query", &query, &n_queries, NULL), FTL_OK);
    CHECK_INT(n_queries, n_out);
    for (size_t i = 0; i < n_out; i++) CHECK_NEAR(fi_interpolate_quantile(knots, n, query[i]), out[i], 1e-6);
    fi_free(out);
    fi_free(query);
}

TEST(the_tables_of_quantile_functions)
{
    enum { MOST = 16 };
    if (shared_lacks("reference/chronos-golden/quantile-utils.json")) return;
    json_t *golden = read_json(shared_path("reference/chronos-golden/quantile-utils.json"));
    const struct {
        const char *name, *at, *values;
        bool weighted;
    } tables[] = {{"interpolate", "levels", "values", false}, {"weighted", "weights", "samples", true}};
    CHECK_INT(json_object_size(golden), 2);
    for (size_t t = 0; t < 2; t++) {
        const json_t *table = json_object_get(golden, tables[t].name);
        size_t n, m;
        double *at;
        float *values = floats(table, tables[t].values, &n);
        fi_knot knots[MOST];
        CHECK_INT(fi_json_get_reals(table, tables[t].at, &at, &m, NULL), FTL_OK);
        CHECK(n == m && n <= MOST);
        for (size_t i = 0; i < n; i++) knots[i] = (fi_knot){at[i], values[i]};
        if (tables[t].weighted) fi_knots_from_samples(knots, n);
        check_table(table, knots, n);
        fi_free(at);
        fi_free(values);
    }
    json_decref(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bolt_at_any_levels_and_in_batches),
        cmocka_unit_test(the_tables_of_quantile_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
