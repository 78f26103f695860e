/* Steps and schedules beside PyTorch 2.13 and transformers 5.23, whose numbers stand here as they printed them. */
#include "check.h"

#include "base/alloc.h"
#include "nn/optim.h"
#include "nn/order.h"

static fi_engine *engine;

/* A matrix of four and a vector of one, as in the numbers below. */
static void start(fi_params *params)
{
    fi_params_add(params, FI_ROLE_MATRIX, 2, (size_t[]){2, 2}, "p");
    fi_params_add(params, FI_ROLE_OTHER, 1, (size_t[]){1}, "b");
    CHECK_INT(fi_params_train(params, NULL), FTL_OK);
    memcpy(params->item[0]->value, (float[]){1, -2, 3, 0.5f}, 4 * sizeof(float));
    *params->item[1]->value = 0.25f;
}

/* Five steps with gradients that change from step to step. */
static fi_optim *five_steps(fi_params *params, const fi_optim_config *config)
{
    fi_optim *o = NULL;
    CHECK_INT(fi_optim_new(config, params, &o, NULL), FTL_OK);
    for (int t = 0; t < 5; t++) {
        for (int i = 0; i < 4; i++) params->item[0]->grad[i] = (float)(sin(i + 1.7 * t) * (i + 1));
        *params->item[1]->grad = (float)(cos(0.3 * t) * 1e-3);
        CHECK_INT(fi_optim_step(o, engine, NULL), FTL_OK);
        CHECK_NEAR(params->item[0]->grad[2], 0, 0); /* ready for the next */
    }
    return o;
}

static void check_values(const fi_params *params, const double expected[5])
{
    for (int i = 0; i < 5; i++)
        CHECK_CLOSE(i < 4 ? params->item[0]->value[i] : *params->item[1]->value, expected[i], 3e-7);
}

TEST(steps_are_those_of_pytorch)
{
    static const struct {
        fi_optim_config config;
        double values[5];
    } cases[] = {
        {{.kind = FI_ADAMW,
          .rate = 0.01,
          .beta1 = 0.9,
          .beta2 = 0.999,
          .eps = 1e-8,
          .weight_decay = 0.1,
          .decay_vectors = true},
         {0.984448731, -2.01251483, 2.97169685, 0.496769875, 0.200190738}},
        {{.kind = FI_SGD, .rate = 0.01, .momentum = 0.9, .weight_decay = 0.1, .decay_vectors = true},
         {0.97242856, -2.03326893, 2.90759921, 0.535982907, 0.246610418}},
        {{.kind = FI_ADAMW,
          .rate = 0.01,
          .beta1 = 0.9,
          .beta2 = 0.999,
          .eps = 1e-8,
          .clip_norm = 1,
          .schedule = {FI_SCHEDULE_LINEAR, 2, 6, 0}},
         {0.994024098, -2.00499558, 2.99878788, 0.505410492, 0.223743081}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fi_params params = {0};
        start(&params);
        fi_optim *o = five_steps(&params, &cases[i].config);
        check_values(&params, cases[i].values);
        if (cases[i].config.clip_norm > 0) CHECK_CLOSE(o->norm, 3.075803518295288, 1e-6);
        fi_optim_free(o);
        fi_params_release(&params);
    }
}

TEST(vectors_are_spared_the_decay_where_asked)
{ /* with no gradient at all, only the decay moves: (1 - 0.01 * 0.5)^5 */
    fi_params params = {0};
    start(&params);
    fi_optim_config config = FI_OPTIM_DEFAULTS;
    config.rate = 0.01, config.weight_decay = 0.5, config.decay_vectors = false;
    fi_optim *o = NULL;
    CHECK_INT(fi_optim_new(&config, &params, &o, NULL), FTL_OK);
    for (int t = 0; t < 5; t++) CHECK_INT(fi_optim_step(o, engine, NULL), FTL_OK);
    CHECK_NEAR(params.item[0]->value[1], -2 * pow(0.995, 5), 1e-6);
    CHECK_NEAR(*params.item[1]->value, 0.25, 0);
    fi_optim_free(o);
    fi_params_release(&params);
}

TEST(the_average_follows_the_values)
{
    fi_params params = {0};
    start(&params);
    fi_optim_config config = {.kind = FI_SGD, .rate = 0.1, .ema_decay = 0.75};
    fi_optim *o = NULL;
    CHECK_INT(fi_optim_new(&config, &params, &o, NULL), FTL_OK);
    double value = 0.25, mean = 0.25;
    for (int t = 0; t < 4; t++) {
        *params.item[1]->grad = 1;
        CHECK_INT(fi_optim_step(o, engine, NULL), FTL_OK);
        value -= 0.1;
        mean = 0.75 * mean + 0.25 * value;
        CHECK_NEAR(o->ema[params.item[1]->value - params.values], mean, 1e-6);
    }
    fi_optim_free(o);
    fi_params_release(&params);
}

TEST(a_gradient_that_is_not_finite_moves_nothing)
{
    fi_params params = {0};
    ftl_error err;
    start(&params);
    fi_optim_config config = FI_OPTIM_DEFAULTS;
    fi_optim *o = NULL;
    CHECK_INT(fi_optim_new(&config, &params, &o, NULL), FTL_OK);
    params.item[0]->grad[3] = NAN;
    CHECK_INT(fi_optim_step(o, engine, &err), FTL_ENUMERIC);
    CHECK_CONTAINS(err.message, "the gradient of step 1 is not finite");
    CHECK_NEAR(params.item[0]->value[0], 1, 0);
    CHECK_INT(o->step, 0);
    fi_optim_free(o);
    fi_params_release(&params);
}

TEST(schedules_are_those_of_transformers)
{
    static const double linear[11] = {0,           0.333333333, 0.666666667, 1, 0.857142857, 0.714285714, 0.571428571,
                                      0.428571429, 0.285714286, 0.142857143, 0},
                        cosine[11] = {0,           0.333333333, 0.666666667, 1, 0.950484434, 0.811744901, 0.611260467,
                                      0.388739533, 0.188255099, 0.049515566, 0};
    const fi_schedule l = {FI_SCHEDULE_LINEAR, 3, 10, 0}, c = {FI_SCHEDULE_COSINE, 3, 10, 0},
                      half = {FI_SCHEDULE_LINEAR, 0, 10, 0.5}, flat = {FI_SCHEDULE_CONSTANT, 2, 0, 0};
    for (uint64_t t = 0; t < 11; t++) {
        CHECK_NEAR(fi_schedule_at(&l, t), linear[t], 1e-9);
        CHECK_NEAR(fi_schedule_at(&c, t), cosine[t], 1e-9);
        CHECK_NEAR(fi_schedule_at(&half, t), 1 - 0.05 * (double)t, 1e-12);
        CHECK_NEAR(fi_schedule_at(&flat, t), t < 2 ? 0.5 * (double)t : 1, 0);
    }
    CHECK_NEAR(fi_schedule_at(&half, 1000), 0.5, 0);
}

TEST(an_epoch_shows_every_example_once_in_an_order_of_its_own)
{
    for (uint64_t n = 1; n < 600; n = n < 20 ? n + 1 : n * 3) {
        char *seen = fi_calloc(n, 1);
        size_t same = 0, in_place = 0;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t at = fi_order_at(7, 3, n, i);
            CHECK(at < n && !seen[at]);
            seen[at] = 1;
            same += at == fi_order_at(7, 4, n, i);
            in_place += at == i;
        }
        if (n > 100) CHECK(same < 10 && in_place < 10); /* about one each */
        fi_free(seen);
    }
    double sum = 0; /* neighbours are not kept together: places of 0..99 among 10,000 average 5,000 +- 290 */
    for (uint64_t i = 0; i < 100; i++) sum += (double)fi_order_at(1, 0, 10000, i);
    CHECK_NEAR(sum / 100, 5000, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_pytorch),
        cmocka_unit_test(vectors_are_spared_the_decay_where_asked),
        cmocka_unit_test(the_average_follows_the_values),
        cmocka_unit_test(a_gradient_that_is_not_finite_moves_nothing),
        cmocka_unit_test(schedules_are_those_of_transformers),
        cmocka_unit_test(an_epoch_shows_every_example_once_in_an_order_of_its_own),
    };
    if (fi_engine_new(2, &engine, NULL)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fi_engine_free(engine);
    return failed;
}
