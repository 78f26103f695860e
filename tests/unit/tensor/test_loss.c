/* The losses by hand, and their edges: rows left out, nothing left, ties, certainty, what is refused. */
#include "op_bench.h"

static fi_node *ids(size_t n)
{
    return fi_input_ids(g, 1, &n);
}

static fi_node *wanted(fi_node *x)
{
    fi_want_grad(g, x);
    return x;
}

static void run(fi_node *loss)
{
    fi_forward(g);
    fi_backward(g, 1.0f);
    CHECK(isfinite(*loss->value));
}

TEST(cross_entropy_of_equal_logits_is_the_log_of_their_number)
{
    fi_node *x = wanted(matrix(2, 8)), *labels = ids(2), *loss = fi_cross_entropy(g, x, labels, NULL);
    plan(loss);
    for (size_t i = 0; i < 16; i++) x->value[i] = 500.0f; /* far from where exp overflows, if it is done right */
    memcpy(fi_ids(labels), (int32_t[]){0, 7}, 2 * sizeof(int32_t));
    run(loss);
    CHECK_NEAR(*loss->value, log(8), 1e-4); /* a float near 500 has steps of 3e-5 */
    CHECK_NEAR(x->grad[0], (0.125 - 1) / 2, 1e-5);
    CHECK_NEAR(x->grad[1], 0.125 / 2, 1e-5);
}

TEST(labels_below_0_and_weights_of_0_leave_rows_out_even_if_they_are_nan)
{
    static const float logits[8] = {1, 2, NAN, NAN, NAN, NAN, 0, 3}, weight[4] = {2, 1, 0, 1};
    fi_node *x = wanted(matrix(4, 2)), *labels = ids(4), *w = vector(4), *loss = fi_cross_entropy(g, x, labels, w);
    plan(loss);
    set(x, logits);
    set(w, weight);
    memcpy(fi_ids(labels), (int32_t[]){1, -100, 0, 0}, 4 * sizeof(int32_t));
    run(loss);
    CHECK_NEAR(*loss->value, (2 * log1p(exp(-1)) + log1p(exp(3))) / 3, 1e-6);
    for (int i = 2; i < 6; i++) CHECK_NEAR(x->grad[i], 0, 0);
    CHECK_NEAR(x->grad[0] + x->grad[1], 0, 1e-7);
    CHECK_NEAR(x->grad[7], (1 / (1 + exp(-3))) / 3, 1e-6);
}

TEST(where_no_row_counts_the_loss_is_0)
{
    fi_node *x = wanted(matrix(2, 3)), *labels = ids(2), *loss = fi_cdf_loss(g, x, labels, NULL);
    plan(loss);
    for (size_t i = 0; i < 6; i++) x->value[i] = (float)i;
    fi_ids(labels)[0] = fi_ids(labels)[1] = -1;
    run(loss);
    CHECK_NEAR(*loss->value, 0, 0);
    for (int i = 0; i < 6; i++) CHECK_NEAR(x->grad[i], 0, 0);
}

TEST(temperature_softens_but_does_not_rescale)
{ /* cost: -sum p log softmax(z / 2); gradient (softmax(z / 2) - p) / 2 */
    fi_node *x = wanted(matrix(1, 2)), *p = matrix(1, 2), *loss = fi_soft_cross_entropy(g, x, p, NULL, 2.0f);
    plan(loss);
    set(x, (float[]){2, 0});
    set(p, (float[]){0.25f, 0.75f});
    run(loss);
    double s = 1 / (1 + exp(-1));
    CHECK_NEAR(*loss->value, -0.25 * log(s) - 0.75 * log(1 - s), 1e-6);
    CHECK_NEAR(x->grad[0], (s - 0.25) / 2, 1e-7);
}

TEST(a_prediction_in_the_right_bin_costs_nothing_and_one_bin_off_costs_one)
{
    fi_node *x = wanted(matrix(1, 5)), *labels = ids(1), *loss = fi_cdf_loss(g, x, labels, NULL);
    plan(loss);
    set(x, (float[]){-60, -60, 60, -60, -60});
    for (int label = 0; label < 5; label++) {
        fi_ids(labels)[0] = label;
        run(loss);
        CHECK_NEAR(*loss->value, abs(label - 2), 1e-6); /* unlike cross entropy it knows that bins are ordered */
    }
    fi_ids(labels)[0] = 9; /* beyond the last bin: the last */
    run(loss);
    CHECK_NEAR(*loss->value, 2, 1e-6);
}

TEST(squared_errors_are_averaged_over_what_counts)
{
    fi_node *y = wanted(matrix(3, 2)), *t = matrix(3, 2), *w = vector(3), *all = fi_mse(g, y, t, NULL),
            *some = fi_mse(g, y, t, w);
    fi_keep(g, all);
    fi_keep(g, some);
    plan(some);
    set(y, (float[]){1, 2, 3, 4, 5, 6});
    set(t, (float[]){0, 0, 3, 3, 5, 4});
    set(w, (float[]){1, 0, 3});
    run(some);
    CHECK_NEAR(*all->value, (5.0 + 1 + 4) / 6, 1e-6);
    CHECK_NEAR(*some->value, (5.0 / 2 + 3 * 4.0 / 2) / 4, 1e-6);
    CHECK_NEAR(y->grad[0], 2 * 1.0 / 2 / 4, 1e-7);
    CHECK_NEAR(y->grad[2], 0, 0);
    CHECK_NEAR(y->grad[5], 2 * 2.0 / 2 * 3 / 4, 1e-6);
}

TEST(a_missing_target_under_its_mask_costs_nothing)
{ /* one row, levels 0.2 and 0.8, three steps: 2 max(level (y - q), (level - 1) (y - q)) */
    static const float levels[2] = {0.2f, 0.8f};
    fi_node *q = wanted(fi_input(g, 3, (size_t[]){1, 2, 3})), *t = matrix(1, 3), *mask = matrix(1, 3);
    fi_node *mean = fi_quantile_loss(g, q, t, mask, levels, 2, false);
    fi_node *bolt = fi_quantile_loss(g, q, t, mask, levels, 2, true);
    fi_keep(g, mean);
    plan(bolt);
    set(q, (float[]){1, 1, 1, 2, 2, 2});
    set(t, (float[]){3, NAN, 1});
    set(mask, (float[]){1, 0, 1});
    run(bolt);
    double sum = 2 * 0.2 * 2 + 2 * 0.8 * 1 + 0 + 2 * 0.2 * 1;
    CHECK_NEAR(*mean->value, sum / 3, 1e-6); /* masked steps count in the mean, as upstream has it */
    CHECK_NEAR(*bolt->value, sum / 2, 1e-6);
    static const double slope[6] = {-0.4, 0, 0, -1.6, 0, 0.4}; /* none at a tie */
    for (int i = 0; i < 6; i++) CHECK_NEAR(q->grad[i], slope[i] / 2, 1e-6);
}

TEST(levels_are_copied)
{
    float level = 0.5f;
    fi_node *q = wanted(fi_input(g, 3, (size_t[]){1, 1, 1})), *t = matrix(1, 1);
    fi_node *loss = fi_quantile_loss(g, q, t, NULL, &level, 1, false);
    plan(loss);
    level = 0.9f;
    set(q, (float[]){0});
    set(t, (float[]){1});
    run(loss);
    CHECK_NEAR(*loss->value, 1, 1e-7);
}

TEST(many_rows_are_averaged_without_losing_digits)
{ /* 200,000 rows, whose running sum in float would lose three digits */
    enum { ROWS = 200000 };
    fi_node *x = wanted(matrix(ROWS, 2)), *labels = ids(ROWS), *loss = fi_cross_entropy(g, x, labels, NULL);
    plan(loss);
    double sum = 0;
    for (size_t r = 0; r < ROWS; r++) {
        x->value[2 * r] = (float)(r % 17) / 4;
        x->value[2 * r + 1] = 0;
        fi_ids(labels)[r] = 0;
        sum += log1p(exp(-(double)x->value[2 * r]));
    }
    run(loss);
    CHECK_CLOSE(*loss->value, sum / ROWS, 1e-6);
}

/* ---- what is refused ---- */

TEST(there_is_a_label_for_every_row)
{
    CHECK(!fi_cross_entropy(g, matrix(3, 4), ids(2), NULL));
    check_refused("cross_entropy: [3, 4] and [2]");
}

TEST(labels_are_whole_numbers)
{
    CHECK(!fi_cdf_loss(g, matrix(3, 4), vector(3), NULL));
    check_refused("cdf_loss: [3, 4] and [3]");
}

TEST(there_is_a_weight_for_every_row)
{
    CHECK(!fi_cross_entropy(g, matrix(3, 4), ids(3), vector(4)));
    check_refused("cross_entropy: [3, 4] and [4]");
}

TEST(soft_labels_are_as_many_as_logits)
{
    CHECK(!fi_soft_cross_entropy(g, matrix(3, 4), matrix(3, 3), NULL, 1.0f));
    check_refused("soft_cross_entropy: [3, 4] and [3, 3]");
}

TEST(temperature_is_positive)
{
    CHECK(!fi_soft_cross_entropy(g, matrix(3, 4), matrix(3, 4), NULL, 0.0f));
    check_refused("temperature 0");
}

TEST(a_target_has_the_size_of_what_meets_it)
{
    CHECK(!fi_mse(g, matrix(3, 4), matrix(4, 4), NULL));
    check_refused("mse: [3, 4] and [4, 4]");
}

TEST(there_is_a_quantile_for_every_level)
{
    static const float levels[2] = {0.1f, 0.9f};
    CHECK(!fi_quantile_loss(g, fi_input(g, 3, (size_t[]){2, 3, 4}), matrix(2, 4), NULL, levels, 2, false));
    check_refused("quantile_loss: [2, 3, 4]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_training(cross_entropy_of_equal_logits_is_the_log_of_their_number),
        in_training(labels_below_0_and_weights_of_0_leave_rows_out_even_if_they_are_nan),
        in_training(where_no_row_counts_the_loss_is_0),
        in_training(temperature_softens_but_does_not_rescale),
        in_training(a_prediction_in_the_right_bin_costs_nothing_and_one_bin_off_costs_one),
        in_training(squared_errors_are_averaged_over_what_counts),
        in_training(a_missing_target_under_its_mask_costs_nothing),
        in_training(levels_are_copied),
        in_training(many_rows_are_averaged_without_losing_digits),
        in_training(there_is_a_label_for_every_row),
        in_training(labels_are_whole_numbers),
        in_training(there_is_a_weight_for_every_row),
        in_training(soft_labels_are_as_many_as_logits),
        in_training(temperature_is_positive),
        in_training(a_target_has_the_size_of_what_meets_it),
        in_training(there_is_a_quantile_for_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
