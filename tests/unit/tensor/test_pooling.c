/* What the gradient test does not see of pooling: numbers that are none. */
#include "op_bench.h"

static fi_node *image(void)
{
    return fi_input(g, 4, (size_t[]){1, 2, 2, 2}); /* two channels of 2 x 2 */
}

TEST(nan_is_the_largest_wherever_it_lies)
{
    for (size_t place = 0; place < 4; place++) {
        fi_node *x = image(), *y = fi_max_pool2d(g, x, 2),
                *loss = fi_mse(g, y, fi_input(g, 4, (size_t[]){1, 1, 1, 2}), NULL);
        fi_keep(g, y);
        plan(loss);
        for (size_t i = 0; i < 8; i++) x->value[i] = (float)(i % 3);
        x->value[2 * place] = NAN;
        fi_forward(g);
        CHECK(isnan(y->value[0]));
        CHECK(y->value[1] == 2); /* of the other channel: 1, 0, 2, 1 */
        close_graph(NULL);
        open_training(NULL);
    }
}

TEST(an_average_with_nan_is_nan)
{
    fi_node *x = image(), *y = fi_avg_pool2d(g, x, 2);
    plan(NULL);
    for (size_t i = 0; i < 8; i++) x->value[i] = 1;
    x->value[5] = NAN;
    fi_forward(g);
    CHECK(y->value[0] == 1 && isnan(y->value[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_training(nan_is_the_largest_wherever_it_lies),
        in_inference(an_average_with_nan_is_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
