/* What the gradient test does not see of the pointwise operations: masks of dropout, gradients scaled, shapes refused. */
#include "op_bench.h"

enum { MANY = 100000 };

static fi_node *dropped, *source;

static void drop(float p, uint64_t seed, uint64_t step)
{
    source = vector(MANY);
    fi_want_grad(g, source);
    dropped = fi_dropout(g, source, p);
    fi_keep(g, dropped);
    plan(fi_mse(g, dropped, fi_affine(g, source, 0.0f, 0.0f), NULL));
    for (size_t i = 0; i < MANY; i++) source->value[i] = 1.0f;
    fi_graph_seed(g, seed, step);
    fi_forward(g);
}

TEST(dropout_keeps_the_share_it_says_and_the_mean)
{
    drop(0.1f, 1, 1);
    size_t kept = 0;
    for (size_t i = 0; i < MANY; i++) {
        CHECK(dropped->value[i] == 0.0f || fabsf(dropped->value[i] - 1.0f / 0.9f) < 2e-5f);
        kept += dropped->value[i] != 0.0f;
    }
    CHECK_NEAR((double)kept / MANY, 0.9, 4 * sqrt(0.09 / MANY)); /* four standard deviations of a binomial share */
}

TEST(dropout_passes_gradients_where_it_passed_values)
{
    drop(0.5f, 1, 1);
    fi_backward(g, MANY);
    for (size_t i = 0; i < MANY; i++) CHECK_NEAR(source->grad[i], dropped->value[i] != 0.0f ? 8.0 : 0.0, 1e-5);
}

TEST(dropout_follows_seed_and_step)
{
    static float first[MANY];
    drop(0.5f, 7, 8);
    memcpy(first, dropped->value, sizeof first);
    fi_graph_seed(g, 7, 9);
    fi_forward(g);
    size_t equal = 0;
    for (size_t i = 0; i < MANY; i++) equal += first[i] == dropped->value[i];
    CHECK_NEAR((double)equal / MANY, 0.5, 4 * sqrt(0.25 / MANY));
    fi_graph_seed(g, 7, 8);
    fi_forward(g);
    CHECK(!memcmp(first, dropped->value, sizeof first));
}

TEST(two_dropouts_have_masks_of_their_own)
{
    fi_node *x = vector(MANY), *a = fi_dropout(g, x, 0.5f), *b = fi_dropout(g, x, 0.5f);
    fi_keep(g, a);
    fi_keep(g, b);
    plan(NULL);
    for (size_t i = 0; i < MANY; i++) x->value[i] = 1.0f;
    fi_forward(g);
    size_t equal = 0;
    for (size_t i = 0; i < MANY; i++) equal += a->value[i] == b->value[i];
    CHECK_NEAR((double)equal / MANY, 0.5, 4 * sqrt(0.25 / MANY));
}

TEST(dropout_does_nothing_in_inference)
{
    fi_node *x = vector(3);
    CHECK(fi_dropout(g, x, 0.5f) == x);
}

/*
 * Gradient equilibrium (Li et al. 2019) on h_i = tanh(w_i h_{i-1}) with a loss 0.5 (h_i - t_i)^2 at every layer: the gradient
 * of w_i is to be the mean over the losses at and behind layer i. Layer i scales its own gradients by 1 / (L - i + 1) and the
 * path to the next layer by L - i.
 */
TEST(scaled_gradients_bring_three_exits_into_equilibrium)
{
    static const float w[3] = {0.7f, -1.2f, 0.9f}, t[3] = {0.1f, 0.2f, -0.3f};
    static const double expected[3] = {0.2234709666, -0.1527079372, 0.0664070840};
    fi_node *h = vector(1), *weight[3], *target[3], *loss = NULL, *x = h;
    for (int i = 0; i < 3; i++) {
        weight[i] = vector(1);
        target[i] = vector(1);
        fi_want_grad(g, weight[i]);
        h = fi_scale_grad(g, fi_activate(g, fi_mul(g, h, weight[i]), FI_TANH), 1.0f / (float)(3 - i));
        fi_node *exit = fi_affine(g, fi_mse(g, h, target[i], NULL), 0.5f, 0.0f);
        loss = loss ? fi_add(g, loss, exit) : exit;
        h = fi_scale_grad(g, h, (float)(2 - i));
    }
    plan(loss);
    *x->value = 0.8f;
    double plain = 0.0, value = 0.8;
    for (int i = 0; i < 3; i++) {
        *weight[i]->value = w[i];
        *target[i]->value = t[i];
        value = tanh((double)w[i] * value);
        plain += 0.5 * pow(value - (double)t[i], 2);
    }
    fi_forward(g);
    fi_backward(g, 1.0f);
    CHECK_NEAR(*loss->value, plain, 1e-7); /* values are left alone */
    for (int i = 0; i < 3; i++) CHECK_NEAR(*weight[i]->grad, expected[i], 1e-7);
}

TEST(gelu_and_silu_of_large_numbers_are_those_numbers_or_nothing)
{
    static const float x[4] = {-90.0f, -30.0f, 30.0f, 90.0f};
    static const fi_activation kinds[3] = {FI_GELU, FI_GELU_TANH, FI_SILU};
    fi_node *in = vector(4), *out[3];
    fi_want_grad(g, in);
    for (int k = 0; k < 3; k++) {
        out[k] = fi_activate(g, in, kinds[k]);
        fi_keep(g, out[k]);
    }
    plan(fi_mse(g, fi_add(g, fi_add(g, out[0], out[1]), out[2]), in, NULL));
    set(in, x);
    fi_forward(g);
    fi_backward(g, 1.0f);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 4; i++) CHECK_NEAR(out[k]->value[i], i < 2 ? 0.0 : (double)x[i], 1e-6);
    for (int i = 0; i < 4; i++) CHECK(isfinite(in->grad[i]));
}

TEST(a_second_operand_is_no_larger_than_the_first)
{
    CHECK(!fi_add(g, vector(3), matrix(2, 3)));
    check_refused("add: [3] and [2, 3]");
}

TEST(a_second_operand_repeats_behind_not_before)
{
    CHECK(!fi_mul(g, matrix(2, 3), vector(2)));
    check_refused("mul: [2, 3] and [2]");
}

TEST(a_gated_unit_needs_two_halves)
{
    CHECK(!fi_glu(g, matrix(2, 3), FI_TANH, FI_SIGMOID));
    check_refused("glu: [2, 3]");
}

TEST(modulation_is_by_channel)
{
    CHECK(!fi_film(g, matrix(2, 3), matrix(2, 4), NULL));
    check_refused("film: [2, 3] and [2, 4]");
}

TEST(modulation_needs_something_to_modulate_by)
{
    CHECK(!fi_film(g, matrix(0, 3), matrix(0, 3), NULL));
    check_refused("film: [0, 3] and [0, 3]");
}

TEST(modulation_is_of_one_sample_or_of_all)
{
    CHECK(!fi_film(g, matrix(4, 3), NULL, matrix(2, 3)));
    check_refused("film: [4, 3] and [2, 3]");
}

TEST(dropout_leaves_something)
{
    CHECK(!fi_dropout(g, vector(3), 1.0f));
    check_refused("dropout: 1");
}

TEST(what_is_built_on_nothing_is_nothing)
{
    CHECK(!fi_add(g, NULL, vector(2)));
    CHECK(!fi_sub(g, vector(2), NULL));
    CHECK(!fi_mul(g, vector(2), NULL));
    CHECK(!fi_affine(g, NULL, 1, 0));
    CHECK(!fi_activate(g, NULL, FI_RELU));
    CHECK(!fi_glu(g, NULL, FI_TANH, FI_TANH));
    CHECK(!fi_dropout(g, NULL, 0.1f));
    CHECK(!fi_film(g, NULL, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_training(dropout_keeps_the_share_it_says_and_the_mean),
        in_training(dropout_passes_gradients_where_it_passed_values),
        in_training(dropout_follows_seed_and_step),
        in_training(two_dropouts_have_masks_of_their_own),
        in_inference(dropout_does_nothing_in_inference),
        in_training(scaled_gradients_bring_three_exits_into_equilibrium),
        in_training(gelu_and_silu_of_large_numbers_are_those_numbers_or_nothing),
        in_training(a_second_operand_is_no_larger_than_the_first),
        in_training(a_second_operand_repeats_behind_not_before),
        in_training(a_gated_unit_needs_two_halves),
        in_training(modulation_is_by_channel),
        in_training(modulation_needs_something_to_modulate_by),
        in_training(modulation_is_of_one_sample_or_of_all),
        in_training(dropout_leaves_something),
        in_training(what_is_built_on_nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
