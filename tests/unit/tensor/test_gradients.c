/*
 * Every operation of tests/tensor_ops.h: its gradients against central differences, and that neither threads, nor batch
 * mates, nor recomputation, nor the lack of a backward pass change a bit.
 *
 * The loss is a sum of the outputs with random weights, in double. Differences are taken over steps of h and 2 h and
 * extrapolated, so their error is of order h^4: below 1e-6 at h = 1/32. Outputs are floats: their rounding, 6e-8 each,
 * divided by h gives errors of about 2e-6 times the square root of the number of outputs that change. 3e-4 of the largest
 * gradient is far above both and far below what a wrong term would change.
 */
#include "check.h"

#include "tensor_ops.h"

#include "base/alloc.h"
#include "base/rng.h"

static const double TOLERANCE = 3e-4;

/* ---- running a case ---- */

typedef struct setting {
    size_t threads, batch;
    bool inference, recompute;
    bool twice;    /* computed two times over the same inputs, so that gradients are added */
    bool computed; /* the inputs are results themselves, whose memory the operation may take */
} setting;

typedef struct bench {
    fi_engine *engine;
    fi_graph *g;
    fi_node *in[MAX_INPUTS], *out, *loss;
    int n_in;
} bench;

static void fill(fi_node *in, filling f, uint32_t stream)
{
    fi_rng rng;
    fi_rng_init(&rng, 11, stream, 0);
    size_t d = in->shape[in->n_dims - 1];
    float sum = 0.0f;
    for (size_t i = 0; i < in->size; i++) {
        float u = (float)fi_rng_uniform(&rng), around = 3.0f * u - 1.5f;
        switch (f) {
        case SMOOTH:
        case FIXED: in->value[i] = around; break;
        case APART: in->value[i] = around + (around < 0 ? -0.2f : 0.2f); break;
        case STEPS: in->value[i] = 0.15f * (float)(i * 7 % 23) - 1.6f; break;
        case POSITIVE: in->value[i] = u + 0.1f; break;
        case BITS: in->value[i] = i % d == 0 || u < 0.6f; break;
        case IDS: fi_ids(in)[i] = (int32_t)(5 * u); break;
        case LABELS: fi_ids(in)[i] = (int32_t)(6 * u) - 1; break;
        case SHARES:
            in->value[i] = u;
            sum += u;
            if (i % d < d - 1) break;
            for (size_t k = 0; k < d; k++) in->value[i - k] /= sum;
            sum = 0.0f;
        }
    }
}

/* Records the case; the plan's status. Without memory some nodes are NULL. */
static ftl_status record(bench *b, const op_case *c, setting s)
{
    fi_node *outs[2] = {NULL, NULL}, *in[MAX_INPUTS] = {NULL};
    if (fi_graph_new(b->engine, !s.inference, &b->g, NULL)) return FTL_ENOMEM;
    fi_graph_seed(b->g, 5, 6);
    for (b->n_in = 0; b->n_in < MAX_INPUTS && c->inputs[b->n_in].n_dims; b->n_in++) {
        const op_input *input = &c->inputs[b->n_in];
        size_t shape[FI_MAX_DIMS];
        for (int k = 0; k < input->n_dims; k++) shape[k] = input->shape[k] == BATCH ? s.batch : input->shape[k];
        b->in[b->n_in] = op_case_input(b->g, c, b->n_in, input->n_dims, shape);
    }
    for (int k = 0; k < b->n_in; k++)
        in[k] = s.computed && wants_grad(c->inputs[k].filling) ? fi_affine(b->g, b->in[k], 1.0f, 0.0f) : b->in[k];
    for (int k = 0; k < (s.twice ? 2 : 1); k++) {
        if (s.recompute) fi_recompute_begin(b->g);
        /* an operation behind it, so that its own value need not be kept */
        outs[k] = fi_affine(b->g, in[0] ? c->build(b->g, in) : NULL, 1.0f, 0.0f);
        if (s.recompute) fi_recompute_end(b->g);
    }
    b->out = outs[0];
    fi_keep(b->g, b->out);
    b->loss = weighted_total(b->g, outs, s.twice ? 2 : 1);
    return fi_plan(b->g, s.inference ? NULL : b->loss, NULL);
}

static void start(bench *b, const op_case *c, setting s)
{
    *b = (bench){0};
    CHECK_INT(fi_engine_new(s.threads, &b->engine, NULL), FTL_OK);
    ftl_error err = {0};
    if (record(b, c, s)) {
        fi_plan(b->g, NULL, &err);
        fail_msg("%s: %s", c->name, err.message);
    }
    for (int i = 0; i < b->n_in; i++) fill(b->in[i], c->inputs[i].filling, (uint32_t)i);
    fi_forward(b->g);
    fi_backward(b->g, 1.0f);
}

static void stop(bench *b)
{
    fi_graph_free(b->g);
    fi_engine_free(b->engine);
}

/* The loss with element i of an input moved by h. */
static double moved(bench *b, int k, size_t i, float h)
{
    float before = b->in[k]->value[i];
    b->in[k]->value[i] = before + h;
    fi_forward(b->g);
    b->in[k]->value[i] = before;
    return last_total;
}

static void check_gradients(const op_case *c)
{
    const float h = 0.03125f;
    bench b;
    start(&b, c, (setting){.threads = 1, .batch = BATCH});
    float *grad[MAX_INPUTS] = {NULL}; /* copies: the next forward pass uses that memory again */
    for (int k = 0; k < b.n_in; k++) {
        if (!wants_grad(c->inputs[k].filling)) continue;
        grad[k] = malloc(b.in[k]->size * sizeof(float));
        memcpy(grad[k], b.in[k]->grad, b.in[k]->size * sizeof(float));
    }
    for (int k = 0; k < b.n_in; k++) {
        if (!grad[k]) continue;
        double largest = 1e-3;
        for (size_t i = 0; i < b.in[k]->size; i++) largest = fmax(largest, fabs((double)grad[k][i]));
        for (size_t i = 0; i < b.in[k]->size; i++) {
            double near = (moved(&b, k, i, h) - moved(&b, k, i, -h)) / (2 * (double)h);
            double far = (moved(&b, k, i, 2 * h) - moved(&b, k, i, -2 * h)) / (4 * (double)h);
            double expected = (4 * near - far) / 3, got = (double)grad[k][i];
            if (!(fabs(got - expected) <= TOLERANCE * largest))
                fail_msg("%s: gradient of input %d at %zu is %g, differences say %g", c->name, k, i, got, expected);
        }
        free(grad[k]);
    }
    stop(&b);
}

static void same_bits(const op_case *c, const char *what, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(a[i] == b[i])) /* but for the sign of a zero, which 1 x + 0 may change */
            fail_msg("%s: %s: number %zu is %.9g, was %.9g", c->name, what, i, (double)b[i], (double)a[i]);
}

static void same_run(const op_case *c, const char *what, setting one, setting other)
{
    bench a, b;
    start(&a, c, one);
    start(&b, c, other);
    same_bits(c, what, a.out->value, b.out->value, a.out->size);
    for (int k = 0; k < a.n_in && !other.inference; k++)
        if (wants_grad(c->inputs[k].filling)) same_bits(c, what, a.in[k]->grad, b.in[k]->grad, a.in[k]->size);
    stop(&a);
    stop(&b);
}

TEST(gradients_are_those_of_central_differences)
{
    for (int i = 0; i < N_OP_CASES; i++) check_gradients(&op_cases[i]);
}

TEST(one_thread_and_three_give_the_same_bits)
{
    for (int i = 0; i < N_OP_CASES; i++)
        same_run(&op_cases[i], "threads", (setting){.threads = 1, .batch = 4099},
                 (setting){.threads = 3, .batch = 4099});
}

TEST(recomputing_gives_the_same_bits)
{
    for (int i = 0; i < N_OP_CASES; i++)
        same_run(&op_cases[i], "recompute", (setting){.threads = 1, .batch = BATCH},
                 (setting){.threads = 1, .batch = BATCH, .recompute = true});
}

TEST(taking_the_memory_of_an_input_gives_the_same_bits)
{
    for (int i = 0; i < N_OP_CASES; i++)
        if (!(op_cases[i].traits & RANDOM))
            same_run(&op_cases[i], "overwriting", (setting){.threads = 1, .batch = 50},
                     (setting){.threads = 1, .batch = 50, .computed = true});
}

TEST(inference_gives_the_same_bits)
{
    for (int i = 0; i < N_OP_CASES; i++)
        for (int computed = 0; computed < 2 && !(op_cases[i].traits & TRAINING_ONLY); computed++)
            same_run(&op_cases[i], "inference", (setting){.threads = 1, .batch = 50},
                     (setting){.threads = 1, .batch = 50, .inference = true, .computed = computed});
}

TEST(a_row_does_not_depend_on_its_batch_mates)
{
    for (int i = 0; i < N_OP_CASES; i++) {
        const op_case *c = &op_cases[i];
        bench one, many;
        if (!(c->traits & ROWS_APART)) continue;
        start(&one, c, (setting){.threads = 1, .batch = 1});
        start(&many, c, (setting){.threads = 2, .batch = 4099});
        same_bits(c, "batch mates", one.out->value, many.out->value, one.out->size);
        stop(&one);
        stop(&many);
    }
}

TEST(gradients_of_two_readers_are_added)
{
    for (int i = 0; i < N_OP_CASES; i++) {
        bench one, two;
        if (op_cases[i].traits & RANDOM) continue;
        start(&one, &op_cases[i], (setting){.threads = 1, .batch = BATCH});
        start(&two, &op_cases[i], (setting){.threads = 1, .batch = BATCH, .twice = true});
        for (int k = 0; k < one.n_in; k++)
            for (size_t j = 0; wants_grad(op_cases[i].inputs[k].filling) && j < one.in[k]->size; j++)
                CHECK_CLOSE(two.in[k]->grad[j], 2.0f * one.in[k]->grad[j], 1e-5);
        stop(&one);
        stop(&two);
    }
}

TEST(without_memory_a_graph_fails_and_loses_nothing)
{
    for (int i = 0; i < N_OP_CASES; i++) {
        bench b = {0};
        CHECK_INT(fi_engine_new(1, &b.engine, NULL), FTL_OK);
        ftl_status st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM && n < 100; n++) {
            fi_alloc_fail_after(n);
            st = record(&b, &op_cases[i], (setting){.batch = BATCH});
            fi_alloc_fail_after(-1);
            fi_graph_free(b.g);
            b.g = NULL;
        }
        CHECK_INT(st, FTL_OK);
        fi_engine_free(b.engine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_central_differences),
        cmocka_unit_test(one_thread_and_three_give_the_same_bits),
        cmocka_unit_test(recomputing_gives_the_same_bits),
        cmocka_unit_test(taking_the_memory_of_an_input_gives_the_same_bits),
        cmocka_unit_test(inference_gives_the_same_bits),
        cmocka_unit_test(a_row_does_not_depend_on_its_batch_mates),
        cmocka_unit_test(gradients_of_two_readers_are_added),
        cmocka_unit_test(without_memory_a_graph_fails_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
