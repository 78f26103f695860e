/*
 * Values and gradients of every operation against PyTorch, which computed tests/data/tensor_ops.json in double from the same
 * inputs (tools/make_op_fixtures.py). A float's rounding is 6e-8; sums of some tens of terms near 1 stay below 2e-6.
 */
#include "check.h"

#include "tensor_ops.h"

#include <jansson.h>

static const double TOLERANCE = 2e-6;

static json_t *fixture;

static int read_fixture(void **state)
{
    (void)state;
    json_error_t problem;
    fixture = json_load_file(FTL_TEST_DATA "/tensor_ops.json", 0, &problem);
    return fixture ? 0 : -1;
}

static int free_fixture(void **state)
{
    (void)state;
    json_decref(fixture);
    return 0;
}

static const json_t *find(const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(fixture, i, one) if (!strcmp(json_string_value(json_object_get(one, "name")), name)) return one;
    return NULL;
}

static void check_numbers(const char *name, const char *what, int which, const float *got, size_t n,
                          const json_t *expected)
{
    CHECK_INT(n, json_array_size(expected));
    for (size_t i = 0; i < n; i++) {
        double e = json_number_value(json_array_get(expected, i));
        if (!(fabs((double)got[i] - e) <= TOLERANCE * fmax(1.0, fabs(e))))
            fail_msg("%s: %s %d at %zu is %.9g, PyTorch says %.9g", name, what, which, i, (double)got[i], e);
    }
}

static fi_node *read_input(fi_graph *g, const op_case *c, int i, const json_t *given)
{
    const json_t *dims = json_object_get(given, "shape");
    size_t shape[FI_MAX_DIMS];
    for (size_t k = 0; k < json_array_size(dims); k++) shape[k] = (size_t)json_integer_value(json_array_get(dims, k));
    return op_case_input(g, c, i, (int)json_array_size(dims), shape);
}

static void fill_input(fi_node *in, const json_t *given)
{
    const json_t *values = json_object_get(given, "values");
    CHECK_INT(in->size, json_array_size(values));
    for (size_t i = 0; i < in->size; i++) {
        double v = json_number_value(json_array_get(values, i));
        if (in->type == FI_I32)
            fi_ids(in)[i] = (int32_t)v;
        else
            in->value[i] = (float)v;
    }
}

static void compare(fi_engine *engine, const op_case *c, const json_t *expected)
{
    const json_t *inputs = json_object_get(expected, "inputs"), *grads = json_object_get(expected, "grads");
    int n = (int)json_array_size(inputs);
    fi_graph *g = NULL;
    fi_node *in[MAX_INPUTS], *out;
    ftl_error err;
    CHECK_INT(fi_graph_new(engine, true, &g, NULL), FTL_OK);
    for (int i = 0; i < n; i++) in[i] = read_input(g, c, i, json_array_get(inputs, (size_t)i));
    out = c->build(g, in);
    fi_keep(g, out);
    if (fi_plan(g, weighted_total(g, &out, 1), &err)) fail_msg("%s: %s", c->name, err.message);
    for (int i = 0; i < n; i++) fill_input(in[i], json_array_get(inputs, (size_t)i));
    fi_forward(g);
    fi_backward(g, 1.0f);
    check_numbers(c->name, "output", 0, out->value, out->size,
                  json_object_get(json_object_get(expected, "output"), "values"));
    for (int i = 0; i < n; i++)
        if (wants_grad(c->inputs[i].filling))
            check_numbers(c->name, "gradient of input", i, in[i]->grad, in[i]->size, json_array_get(grads, (size_t)i));
    fi_graph_free(g);
}

TEST(values_and_gradients_are_those_of_pytorch)
{
    fi_engine *engine = NULL;
    size_t n_random = 0;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    for (int i = 0; i < N_OP_CASES; i++) {
        const json_t *expected = find(op_cases[i].name);
        if (expected)
            compare(engine, &op_cases[i], expected);
        else if (op_cases[i].traits & RANDOM)
            n_random++;
        else
            fail_msg("%s: not in tensor_ops.json; add it to tools/make_op_fixtures.py", op_cases[i].name);
    }
    CHECK_INT(json_array_size(fixture) + n_random, N_OP_CASES);
    fi_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_and_gradients_are_those_of_pytorch)};
    return cmocka_run_group_tests(tests, read_fixture, free_fixture);
}
