/* The planner alone, on two operations of its own whose derivatives are plain to see. */
#include "check.h"

#include "base/alloc.h"
#include "tensor/graph.h"

#include <string.h>

static int n_forward; /* how many nodes were computed, again included */

static void square_forward(fi_graph *g, fi_node *node)
{
    (void)g;
    n_forward++;
    for (size_t i = 0; i < node->size; i++) node->value[i] = node->in[0]->value[i] * node->in[0]->value[i];
}
static void square_backward(fi_graph *g, fi_node *node)
{
    (void)g;
    fi_node *in = node->in[0];
    bool add = fi_grad_begin(in);
    for (size_t i = 0; i < node->size; i++) in->grad[i] = (add ? in->grad[i] : 0) + 2 * in->value[i] * node->grad[i];
}
static const fi_op square_op = {"square", square_forward, square_backward, FI_KEEP_IN(0), true, false};

static fi_node *square(fi_graph *g, fi_node *x)
{
    fi_node *node = x ? fi_node_new(g, &square_op, x->n_dims, x->shape, 0) : NULL;
    fi_node_input(g, node, x);
    return node;
}

/* y[0] = sum of a * b */
static void dot_forward(fi_graph *g, fi_node *node)
{
    (void)g;
    n_forward++;
    *node->value = 0;
    for (size_t i = 0; i < node->in[0]->size; i++) *node->value += node->in[0]->value[i] * node->in[1]->value[i];
}
static void dot_backward(fi_graph *g, fi_node *node)
{
    (void)g;
    for (int j = 0; j < 2; j++) {
        fi_node *in = node->in[j], *other = node->in[1 - j];
        if (!fi_needs(in)) continue;
        bool add = fi_grad_begin(in);
        for (size_t i = 0; i < in->size; i++) in->grad[i] = (add ? in->grad[i] : 0) + other->value[i] * *node->grad;
    }
}
static const fi_op dot_op = {"dot", dot_forward, dot_backward, FI_KEEP_IN(0) | FI_KEEP_IN(1), false, false};

static fi_node *dot(fi_graph *g, fi_node *a, fi_node *b)
{
    if (!a || !b || a->size != b->size) return a && b ? fi_graph_fail(g, "dot: %zu meets %zu", a->size, b->size) : NULL;
    fi_node *node = fi_node_new(g, &dot_op, 1, (size_t[]){1}, 0);
    fi_node_input(g, node, a);
    fi_node_input(g, node, b);
    return node;
}

static const fi_op part_op = {"part", NULL, NULL, 0, false, true};

static fi_node *part(fi_graph *g, fi_node *x, size_t from, size_t n)
{
    fi_node *node = x ? fi_node_new(g, &part_op, 1, &n, 0) : NULL;
    if (node) node->offset = from;
    fi_node_input(g, node, x);
    return node;
}

static float value[4] = {1, -2, 0.5f, 3}, grad[4];
static fi_param param = {.name = "p", .n_dims = 1, .shape = {4}, .size = 4, .value = value, .grad = grad};

/* (x^2)^2 chained `depth` times over a parameter, dotted with an input of ones; every two squares are a segment. */
static fi_graph *chain(fi_engine *engine, bool training, int depth, bool recompute, fi_node **ones, fi_node **loss)
{
    fi_graph *g = NULL;
    CHECK_INT(fi_graph_new(engine, training, &g, NULL), FTL_OK);
    fi_node *x = fi_parameter(g, &param);
    for (int i = 0; i < depth; i++) {
        if (recompute) fi_recompute_begin(g);
        x = square(g, square(g, x));
        if (recompute) fi_recompute_end(g);
    }
    *ones = fi_input(g, 1, (size_t[]){4});
    *loss = dot(g, x, *ones);
    return g;
}

TEST(gradients_follow_the_chain_and_recomputing_gives_the_same_bits)
{
    fi_engine *engine = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    float first[4];
    for (int recompute = 0; recompute < 2; recompute++) {
        fi_node *ones, *loss;
        fi_graph *g = chain(engine, true, 2, recompute, &ones, &loss);
        CHECK_INT(fi_plan(g, loss, NULL), FTL_OK);
        for (int i = 0; i < 4; i++) ones->value[i] = 1;
        for (int run = 0; run < 2; run++) { /* a second run starts from nothing */
            memset(grad, 0, sizeof grad);
            n_forward = 0;
            fi_forward(g);
            CHECK_NEAR(*loss->value, 1 + 65536 + 1.0 / 65536 + 43046721, 8);
            fi_backward(g, 1);
            CHECK_INT(n_forward, recompute ? 7 : 5); /* the last square of a segment is read outside it and stays */
            for (int i = 0; i < 4; i++) {
                double v = value[i];
                CHECK_NEAR(grad[i], 16 * pow(v, 15), 1e-6 * fabs(16 * pow(v, 15)));
            }
            if (!recompute && run == 0) memcpy(first, grad, sizeof first);
            CHECK(memcmp(first, grad, sizeof first) == 0);
        }
        fi_graph_free(g);
    }
    fi_engine_free(engine);
}

TEST(gradients_add_up_over_readers_views_and_passes)
{ /* loss = p.p + q.q with q the middle two of p: d = 2 p, twice that in the middle; then scaled, and added once more */
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(engine, true, &g, NULL), FTL_OK);
    fi_node *x = square(g, fi_parameter(g, &param)), *q = part(g, x, 1, 2);
    fi_node *two = fi_input(g, 1, (size_t[]){2}), *both[2] = {dot(g, x, x), dot(g, q, q)};
    (void)two;
    fi_node *loss = dot(g, square(g, both[0]), both[1]);
    CHECK_INT(fi_plan(g, loss, NULL), FTL_OK);
    memset(grad, 0, sizeof grad);
    fi_forward(g);
    fi_backward(g, 0.5f);
    fi_forward(g);
    fi_backward(g, 0.5f);
    double sum = 0, middle = 0;
    for (int i = 0; i < 4; i++) sum += pow(value[i], 4), middle += i == 1 || i == 2 ? pow(value[i], 4) : 0;
    for (int i = 0; i < 4; i++) {
        double d = 2 * sum * middle * 4 * pow(value[i], 3);
        if (i == 1 || i == 2) d += sum * sum * 4 * pow(value[i], 3);
        CHECK_NEAR(grad[i], d, 1e-5 * fabs(d));
    }
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(memory_is_used_again)
{ /* a chain of any depth needs the same memory for inference, and less with recomputing than without */
    fi_engine *engine = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    fi_node *ones, *loss;
    size_t bytes[4];
    for (int i = 0; i < 4; i++) { /* inference of 4 and 40, training of 40 without and with recomputing */
        fi_graph *g = chain(engine, i > 1, i ? 40 : 4, i == 3, &ones, &loss);
        if (i < 2) fi_keep(g, loss);
        CHECK_INT(fi_plan(g, i > 1 ? loss : NULL, NULL), FTL_OK);
        bytes[i] = fi_graph_bytes(g);
        fi_graph_free(g);
    }
    CHECK_INT(bytes[0], bytes[1]);
    CHECK(bytes[1] <= 3 * 64); /* input, one running value, result */
    CHECK(bytes[3] < bytes[2] * 3 / 4);
    fi_engine_free(engine);
}

TEST(a_kept_value_survives_the_run)
{
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(engine, false, &g, NULL), FTL_OK);
    fi_node *x = fi_input(g, 1, (size_t[]){4}), *y = square(g, x), *z = y;
    fi_keep(g, part(g, y, 1, 2)); /* keeping a view keeps what it shows */
    for (int i = 0; i < 5; i++) z = square(g, z);
    CHECK_INT(fi_plan(g, NULL, NULL), FTL_OK);
    memcpy(x->value, value, sizeof value);
    fi_forward(g);
    for (int i = 0; i < 4; i++) CHECK_NEAR(y->value[i], value[i] * value[i], 0);
    CHECK_NEAR(x->value[3], 3, 0); /* and an input is never written over */
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(a_loss_stays_what_it_is_where_something_is_computed_from_it)
{
    fi_engine *engine = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    fi_node *ones, *loss;
    fi_graph *g = chain(engine, true, 1, false, &ones, &loss);
    fi_node *squared = square(g, loss); /* would take the loss's place */
    fi_keep(g, squared);
    CHECK_INT(fi_plan(g, loss, NULL), FTL_OK);
    for (int i = 0; i < 4; i++) ones->value[i] = 1;
    fi_forward(g);
    CHECK_NEAR(*loss->value, 1 + 16 + 1.0 / 16 + 81, 1e-4);
    CHECK_NEAR(*squared->value, (double)*loss->value * (double)*loss->value, 1);
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(the_first_failure_is_told_and_nothing_leaks_without_memory)
{
    fi_engine *engine = NULL;
    ftl_error err;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    fi_graph *g = NULL;
    CHECK_INT(fi_graph_new(engine, false, &g, NULL), FTL_OK);
    fi_node *x = fi_input(g, 1, (size_t[]){3}), *bad = dot(g, x, fi_parameter(g, &param));
    CHECK(!bad && !square(g, bad));
    CHECK_INT(fi_plan(g, bad, &err), FTL_EINTERNAL);
    CHECK_TEXT(err.message, "dot: 3 meets 4");
    fi_graph_free(g);
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 200; n++) {
        fi_alloc_fail_after(n);
        st = fi_graph_new(engine, true, &g, NULL);
        if (!st) {
            fi_node *y = fi_parameter(g, &param);
            for (int i = 0; i < 200; i++) y = square(g, y);
            st = fi_plan(g, dot(g, y, y), &err);
        }
        fi_alloc_fail_after(-1);
        if (st) fi_graph_free(g);
        if (st) g = NULL;
    }
    CHECK_INT(st, FTL_OK);
    fi_graph_free(g);
    fi_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_follow_the_chain_and_recomputing_gives_the_same_bits),
        cmocka_unit_test(gradients_add_up_over_readers_views_and_passes),
        cmocka_unit_test(memory_is_used_again),
        cmocka_unit_test(a_kept_value_survives_the_run),
        cmocka_unit_test(a_loss_stays_what_it_is_where_something_is_computed_from_it),
        cmocka_unit_test(the_first_failure_is_told_and_nothing_leaks_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
