/* Training T5 beside PyTorch: loss, every gradient, and the losses along six steps of AdamW. */
#include "check.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "models/t5.h"
#include "nn/optim.h"

static const char directory[] = FTL_TEST_DATA "/toy-chronos-t5";

static json_t *read_fixture(void)
{
    char *text;
    size_t size;
    json_t *fixture;
    CHECK_INT(fi_file_read(FTL_TEST_DATA "/toy-chronos-t5/training.json", 1 << 20, &text, &size, NULL), FTL_OK);
    CHECK_INT(fi_json_parse(text, size, "training.json", &fixture, NULL), FTL_OK);
    fi_free(text);
    return fixture;
}

static double at(const json_t *rows, size_t i, size_t j)
{
    return json_number_value(json_array_get(json_array_get(rows, i), j));
}

typedef struct trained {
    fi_engine *engine;
    fi_params params;
    fi_t5 t5;
    fi_graph *graph;
    fi_node *ids, *mask, *shifted, *labels, *loss;
} trained;

static void fill_ids(fi_node *node, const json_t *rows)
{
    for (size_t i = 0; i < node->size; i++) fi_ids(node)[i] = (int32_t)at(rows, i / node->shape[1], i % node->shape[1]);
}

static void start(trained *t, const json_t *fixture, fi_dtype products)
{
    fi_t5_config c = {.vocab = 64,
                      .d_model = 16,
                      .d_kv = 8,
                      .n_encoder = 2,
                      .n_decoder = 2,
                      .buckets = 8,
                      .max_distance = 20,
                      .eps = 1e-6f,
                      .activation = FI_RELU,
                      .head = FI_T5_TIED_HEAD,
                      .scaled_logits = true};
    for (int i = 0; i < 2; i++) c.encoder[i] = c.decoder[i] = (fi_t5_width){3, 3, 24};
    fi_weights *weights = NULL;
    *t = (trained){0};
    CHECK_INT(fi_engine_new(2, &t->engine, NULL), FTL_OK);
    fi_t5_declare(&t->t5, &c, &t->params);
    CHECK_INT(fi_params_train(&t->params, NULL), FTL_OK);
    CHECK_INT(fi_weights_open(directory, &weights, NULL), FTL_OK);
    CHECK_INT(fi_params_read(&t->params, weights, NULL), FTL_OK);
    fi_weights_close(weights);
    CHECK_INT(fi_graph_new(t->engine, true, &t->graph, NULL), FTL_OK);
    fi_graph_products(t->graph, products);
    t->ids = fi_input_ids(t->graph, 2, (size_t[]){3, 21});
    t->mask = fi_input(t->graph, 2, (size_t[]){3, 21});
    t->shifted = fi_input_ids(t->graph, 2, (size_t[]){3, 9});
    t->labels = fi_input_ids(t->graph, 2, (size_t[]){3, 9});
    t->loss = fi_t5_loss(t->graph, &t->t5, t->ids, t->mask, t->shifted, t->labels);
    CHECK_INT(fi_plan(t->graph, t->loss, NULL), FTL_OK);
    fill_ids(t->ids, json_object_get(fixture, "ids"));
    fill_ids(t->shifted, json_object_get(fixture, "shifted"));
    fill_ids(t->labels, json_object_get(fixture, "labels"));
    for (size_t i = 0; i < t->mask->size; i++)
        t->mask->value[i] = (float)at(json_object_get(fixture, "mask"), i / 21, i % 21);
}

static void stop(trained *t)
{
    fi_graph_free(t->graph);
    fi_params_release(&t->params);
    fi_engine_free(t->engine);
}

TEST(gradients_and_steps_are_those_of_pytorch)
{
    json_t *fixture = read_fixture();
    const json_t *losses = json_object_get(fixture, "losses"), *gradients = json_object_get(fixture, "gradients");
    trained t;
    start(&t, fixture, FI_F32);
    fi_optim_config config = FI_OPTIM_DEFAULTS;
    config.rate = 1e-2, config.weight_decay = 0.01;
    fi_optim *optim = NULL;
    CHECK_INT(fi_optim_new(&config, &t.params, &optim, NULL), FTL_OK);
    for (size_t step = 0; step < json_array_size(losses); step++) {
        fi_forward(t.graph);
        /* rounding grows with every step: Adam divides small gradients by their own size */
        CHECK_CLOSE(*t.loss->value, json_number_value(json_array_get(losses, step)), step ? 1e-4 : 1e-6);
        fi_backward(t.graph, 1);
        for (size_t i = 0; i < t.params.n && step == 0; i++) {
            const fi_param *p = t.params.item[i];
            const json_t *expected = json_object_get(gradients, p->name);
            double norm = 0, sum = 0, scale = json_number_value(json_array_get(expected, 0));
            for (size_t j = 0; j < p->size; j++) {
                norm += (double)p->grad[j] * (double)p->grad[j];
                sum += (double)p->grad[j] * (double)((int)(j * 37 % 19) - 9) / 8;
            }
            if (!(fabs(sqrt(norm) - scale) <= 1e-5 * scale) ||
                !(fabs(sum - json_number_value(json_array_get(expected, 1))) <= 2e-5 * scale))
                fail_msg("%s: norm and sum of the gradient are %.8g, %.8g; PyTorch has %.8g, %.8g", p->name, sqrt(norm),
                         sum, scale, json_number_value(json_array_get(expected, 1)));
        }
        CHECK_INT(fi_optim_step(optim, t.engine, NULL), FTL_OK);
    }
    CHECK_INT(json_object_size(gradients), t.params.n);
    fi_optim_free(optim);
    stop(&t);
    json_decref(fixture);
}

TEST(products_in_bf16_train_as_well)
{ /* factors keep 8 bits: gradients point the same way, and the parameters that move are float */
    json_t *fixture = read_fixture();
    trained exact, rounded;
    start(&exact, fixture, FI_F32);
    start(&rounded, fixture, FI_BF16);
    fi_forward(exact.graph);
    fi_backward(exact.graph, 1);
    fi_forward(rounded.graph);
    fi_backward(rounded.graph, 1);
    CHECK_NEAR(*rounded.loss->value, *exact.loss->value, 0.05);
    CHECK(*rounded.loss->value != *exact.loss->value);
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < exact.params.size; i++) {
        double a = (double)exact.params.grads[i], b = (double)rounded.params.grads[i];
        ab += a * b, aa += a * a, bb += b * b;
    }
    CHECK(ab / sqrt(aa * bb) > 0.999);
    stop(&exact);
    stop(&rounded);
    json_decref(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_and_steps_are_those_of_pytorch),
        cmocka_unit_test(products_in_bf16_train_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
