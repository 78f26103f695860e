/* A graph on one thread, for tests of single operations. */
#ifndef TESTS_OP_BENCH_H
#define TESTS_OP_BENCH_H

#include "check.h"

#include "tensor/ops.h"

static fi_engine *engine;
static fi_graph *g;

static inline int open_graph(bool training)
{
    if (fi_engine_new(1, &engine, NULL) || fi_graph_new(engine, training, &g, NULL)) return -1;
    return 0;
}

static inline int open_training(void **state)
{
    (void)state;
    return open_graph(true);
}

static inline int open_inference(void **state)
{
    (void)state;
    return open_graph(false);
}

static inline int close_graph(void **state)
{
    (void)state;
    fi_graph_free(g);
    fi_engine_free(engine);
    return 0;
}

#define in_training(test)  cmocka_unit_test_setup_teardown(test, open_training, close_graph)
#define in_inference(test) cmocka_unit_test_setup_teardown(test, open_inference, close_graph)

static inline fi_node *vector(size_t n)
{
    return fi_input(g, 1, &n);
}

static inline fi_node *matrix(size_t rows, size_t columns)
{
    return fi_input(g, 2, (size_t[]){rows, columns});
}

static inline void plan(fi_node *loss)
{
    ftl_error err;
    if (fi_plan(g, loss, &err)) fail_msg("%s", err.message);
}

static inline void set(fi_node *x, const float *values)
{
    memcpy(x->value, values, x->size * sizeof *values);
}

/* The graph is refused with a message that has `part` in it. */
static inline void check_refused(const char *part)
{
    ftl_error err;
    CHECK_INT(fi_plan(g, NULL, &err), FTL_EINTERNAL);
    CHECK_CONTAINS(err.message, part);
}

#endif
