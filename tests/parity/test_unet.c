/*
 * The U-Net against PyTorch: outputs, loss, every gradient and the running statistics of an uneven network
 * (tests/data/unet.safetensors, tools/make_unet_fixture.py), and of the course's with 8 features, three steps of Adam included
 * (shared data). Gradients go through 20 layers of float sums on both sides: 1e-4 of the largest of an array has room, and a
 * bias before a batch norm, whose gradient is nothing but rounding, is measured by 1e-4 of the largest of all.
 */
#include "check.h"

#include "models/unet.h"
#include "nn/optim.h"

#define GOLDEN "data/sprites/golden/golden_f8.safetensors"

static fi_weights *open_file(const char *path)
{
    fi_weights *weights = NULL;
    ftl_error err = {0};
    if (fi_weights_open(path, &weights, &err)) fail_msg("%s", err.message);
    return weights;
}

/* A tensor of a file as float, to be freed. */
static float *stored(const fi_weights *file, const char *prefix, const char *name, size_t size)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const fi_stored *tensor = fi_weights_find(file, full);
    if (!tensor || tensor->size != size) fail_msg("%s: no %s of %zu numbers", fi_weights_path(file), full, size);
    float *out = malloc((size + 1) * sizeof *out);
    CHECK(out && fi_stored_read(file, tensor, out, NULL) == FTL_OK);
    return out;
}

/* Where number j of an array with channels last lies in PyTorch's: [a, c, taps] for [a, taps, c]. */
static size_t torch_place(size_t j, size_t taps, size_t c)
{
    return (j / (taps * c) * c + j % c) * taps + j / c % taps;
}
static size_t param_place(const fi_param *p, size_t j)
{
    return p->n_dims == 4 ? torch_place(j, p->shape[1] * p->shape[2], p->shape[3]) : j;
}

/* |a - b| <= tolerance times the largest of b, at least `least`. */
static void near_all(const char *what, const float *a, const float *b, size_t n, size_t (*place)(const void *, size_t),
                     const void *shape, double tolerance, double least)
{
    double top = least;
    for (size_t i = 0; i < n; i++) top = fmax(top, fabs(b[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[place(shape, i)]) <= tolerance * top))
            fail_msg("%s: number %zu is %.9g, PyTorch has %.9g; the largest is %g", what, i, a[i], b[place(shape, i)],
                     top);
}

static size_t place_of_param(const void *shape, size_t j)
{
    return param_place(shape, j);
}
static size_t place_of_image(const void *shape, size_t j)
{
    const size_t *s = ((const fi_node *)shape)->shape;
    return torch_place(j, s[1] * s[2], s[3]);
}

static void check_image(const fi_weights *file, const char *name, const fi_node *node, double tolerance)
{
    float *expected = stored(file, "", name, node->size);
    near_all(name, node->value, expected, node->size, place_of_image, node, tolerance, 0);
    free(expected);
}

static void check_params(const fi_weights *file, const char *prefix, const fi_params *params, bool grads,
                         double tolerance, double least)
{
    for (size_t i = 0; i < params->n; i++) {
        const fi_param *p = params->item[i];
        float *expected = stored(file, prefix, p->name, p->size);
        near_all(p->name, grads ? p->grad : p->value, expected, p->size, place_of_param, p, tolerance, least);
        free(expected);
    }
}

/* A graph of the network over a batch: with a loss in training. */
typedef struct run {
    fi_engine *engine;
    fi_graph *g;
    fi_node *x, *t, *context, *target, *out, *loss;
} run;

static run start_of(const fi_unet *net, size_t n, bool training, bool context, size_t threads, fi_dtype products)
{
    const fi_unet_config *c = &net->config;
    run r = {0};
    ftl_error err = {0};
    CHECK_INT(fi_engine_new(threads, &r.engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(r.engine, training, &r.g, NULL), FTL_OK);
    fi_graph_products(r.g, products);
    r.x = fi_input(r.g, 4, (size_t[]){n, c->height, c->height, c->channels});
    r.t = fi_input(r.g, 2, (size_t[]){n, 1});
    r.context = context ? fi_input(r.g, 2, (size_t[]){n, c->context}) : NULL;
    r.out = fi_unet_apply(r.g, net, r.x, r.t, r.context);
    fi_keep(r.g, r.out);
    if (training) {
        r.target = fi_input(r.g, 4, r.x->shape);
        r.loss = fi_mse(r.g, r.out, r.target, NULL);
    }
    if (fi_plan(r.g, r.loss, &err)) fail_msg("%s", err.message);
    return r;
}

static run start(const fi_unet *net, size_t n, bool training, bool context, size_t threads)
{
    return start_of(net, n, training, context, threads, FI_F32);
}

static void stop(run *r)
{
    fi_graph_free(r->g);
    fi_engine_free(r->engine);
}

/* ---- the small network: formulas of tools/make_unet_fixture.py ---- */

static const fi_unet_config SMALL = {.channels = 2,
                                     .context = 3,
                                     .height = 8,
                                     .groups = 2,
                                     .down_blocks = 2,
                                     .init = {4, 5},
                                     .down1 = {3, 6, 5, 4},
                                     .down2 = {7, 5, 6, 8},
                                     .up0 = 6,
                                     .up1 = {5, 4, 3, 6, 7},
                                     .up2 = {4, 6, 5, 3, 5},
                                     .out = 6,
                                     .time = {3, 5},
                                     .embed = {4, 3}};

static float wave(size_t i, double phase, double scale)
{
    return (float)(scale * sin(0.7 * (double)i + phase));
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(fi_param *const *)a)->name, (*(fi_param *const *)b)->name);
}

/* The network's weights as PyTorch saves them, in a file. */
static void write_small(const fi_unet *net, const char *path, float var)
{
    fi_to_store tensors[256];
    float *blocks[256];
    size_t n = net->params.n, all = n + net->statistics.n;
    fi_param *sorted[256];
    CHECK(all <= 256);
    memcpy(sorted, net->params.item, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 0; i < all; i++) {
        const fi_param *p = i < n ? sorted[i] : net->statistics.item[i - n];
        const size_t length = strlen(p->name);
        const bool gain = p->n_dims == 1 && strcmp(p->name + length - 6, "weight") == 0;
        const bool variance = i >= n && strcmp(p->name + length - 3, "var") == 0;
        blocks[i] = malloc(p->size * sizeof(float));
        for (size_t j = 0; j < p->size; j++)
            blocks[i][j] = i < n ? wave(j, (double)i, 0.3) + (gain ? 1.0f : 0.0f) : variance ? var : 0.0f;
        tensors[i] = (fi_to_store){p->name, FI_F32, p->n_dims, {p->shape[0]}, blocks[i]};
        if (p->n_dims > 1) tensors[i].shape[1] = p->shape[p->n_dims - 1];
        for (int d = 2; d < p->n_dims; d++) tensors[i].shape[d] = p->shape[d - 1];
    }
    CHECK_INT(fi_weights_write(path, tensors, all, NULL, 0, NULL), FTL_OK);
    for (size_t i = 0; i < all; i++) free(blocks[i]);
}

static void fill_small(const run *r)
{
    for (size_t i = 0; i < r->x->size; i++) {
        r->x->value[i] = wave(place_of_image(r->x, i), 0.1, 1.0);
        if (r->target) r->target->value[i] = wave(place_of_image(r->x, i), 0.5, 1.0);
    }
    memcpy(r->t->value, (float[]){0.1f, 0.5f, 1.0f}, 3 * sizeof(float));
    for (size_t i = 0; r->context && i < r->context->size; i++) r->context->value[i] = wave(i, 0.2, 1.0);
}

TEST(an_uneven_network_trains_as_in_pytorch)
{
    fi_weights *file = open_file(FTL_TEST_DATA "/unet.safetensors");
    char path[] = "/tmp/unet-XXXXXX.safetensors";
    const int fd = mkstemps(path, 12);
    CHECK(fd >= 0);
    close(fd);
    fi_unet *net = NULL, *same = NULL;
    CHECK_INT(fi_unet_new(&SMALL, &net, NULL), FTL_OK);
    write_small(net, path, 1.0f);
    fi_weights *weights = open_file(path);
    CHECK_INT(fi_unet_train(net, 1, NULL), FTL_OK);
    CHECK_INT(fi_unet_read(net, weights, NULL), FTL_OK);
    CHECK_INT(fi_unet_new(&SMALL, &same, NULL), FTL_OK);
    CHECK_INT(fi_unet_train(same, 2, NULL), FTL_OK);
    CHECK_INT(fi_unet_read(same, weights, NULL), FTL_OK);
    fi_weights_close(weights);
    unlink(path);

    run one = start(net, 3, true, true, 1), three = start(same, 3, true, true, 3);
    fill_small(&one);
    fill_small(&three);
    fi_forward(one.g);
    fi_forward(three.g);
    check_image(file, "train", one.out, 2e-5);
    float *loss = stored(file, "", "loss", 1);
    CHECK_CLOSE(*one.loss->value, *loss, 1e-5);
    free(loss);
    fi_backward(one.g, 1.0f);
    fi_backward(three.g, 1.0f);
    check_params(file, "grad.", &net->params, true, 1e-4, 0.1);
    check_params(file, "after.", &net->statistics, false, 1e-5, 0);
    CHECK(memcmp(net->params.grads, same->params.grads, net->params.size * sizeof(float)) == 0);
    CHECK(memcmp(net->statistics.values, same->statistics.values, net->statistics.size * sizeof(float)) == 0);

    run eval = start(net, 3, false, true, 2), none = start(net, 3, false, false, 2);
    fill_small(&eval);
    fill_small(&none);
    fi_forward(eval.g);
    fi_forward(none.g);
    check_image(file, "eval", eval.out, 2e-5);
    check_image(file, "eval.nocontext", none.out, 2e-5);
    run *all[] = {&one, &three, &eval, &none};
    for (int i = 0; i < 4; i++) stop(all[i]);
    fi_unet_free(net);
    fi_unet_free(same);
    fi_weights_close(file);
}

/* ---- the course's network ---- */

/* The parameters of the golden file under their own names, in a file of their own. */
static fi_weights *golden_weights(const fi_weights *golden, const char *prefix)
{
    char path[] = "/tmp/unet-XXXXXX.safetensors";
    const int fd = mkstemps(path, 12);
    CHECK(fd >= 0);
    close(fd);
    static fi_to_store tensors[256];
    size_t n = 0;
    for (size_t i = 0; i < fi_weights_count(golden); i++) {
        const fi_stored *t = fi_weights_at(golden, i);
        if (strncmp(t->name, prefix, strlen(prefix)) || t->type != FI_F32) continue;
        CHECK(n < 256);
        tensors[n] =
            (fi_to_store){t->name + strlen(prefix), FI_F32, t->n_dims, {0}, malloc((t->size + 1) * sizeof(float))};
        memcpy(tensors[n].shape, t->shape, sizeof t->shape);
        CHECK_INT(fi_stored_read(golden, t, (float *)(uintptr_t)tensors[n++].data, NULL), FTL_OK);
    }
    CHECK_INT(fi_weights_write(path, tensors, n, NULL, 0, NULL), FTL_OK);
    for (size_t i = 0; i < n; i++) free((void *)(uintptr_t)tensors[i].data);
    fi_weights *weights = open_file(path);
    unlink(path);
    return weights;
}

static void fill_image(fi_node *node, const fi_weights *file, const char *name)
{
    float *values = stored(file, "", name, node->size);
    for (size_t i = 0; i < node->size; i++) node->value[i] = values[place_of_image(node, i)];
    free(values);
}

static void fill_golden(const run *r, const fi_weights *golden)
{
    fill_image(r->x, golden, "in.x_t");
    if (r->target) fill_image(r->target, golden, "in.eps");
    float *t = stored(golden, "", "in.t", 4), *label = stored(golden, "", "in.label", 20);
    for (size_t i = 0; i < 4; i++) r->t->value[i] = t[i] / 500.0f;
    if (r->context) memcpy(r->context->value, label, 20 * sizeof(float));
    free(t);
    free(label);
}

TEST(the_courses_network_forecasts_noise_as_in_pytorch)
{
    if (shared_lacks(GOLDEN)) skip();
    fi_weights *golden = open_file(shared_path(GOLDEN)), *weights = golden_weights(golden, "param.");
    const fi_unet_config config = fi_unet_course(3, 8, 5, 16);
    fi_unet *plain = NULL, *folded = NULL;
    fi_engine *engine = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    CHECK_INT(fi_unet_new(&config, &plain, NULL), FTL_OK);
    CHECK_INT(fi_unet_train(plain, 1, NULL), FTL_OK);
    CHECK_INT(fi_unet_read(plain, weights, NULL), FTL_OK);
    CHECK_INT(fi_unet_new(&config, &folded, NULL), FTL_OK);
    CHECK_INT(fi_unet_load(folded, engine, weights, NULL), FTL_OK);
    for (int i = 0; i < 4; i++) {
        run r = start(i & 1 ? folded : plain, 4, false, i < 2, 2);
        fill_golden(&r, golden);
        fi_forward(r.g);
        check_image(golden, i < 2 ? "eval.out" : "eval.out_nocontext", r.out, 1e-5);
        stop(&r);
    }
    fi_unet_free(plain);
    fi_unet_free(folded);
    fi_engine_free(engine);
    fi_weights_close(weights);
    fi_weights_close(golden);
}

TEST(three_steps_of_adam_are_pytorchs)
{
    if (shared_lacks(GOLDEN)) skip();
    fi_weights *golden = open_file(shared_path(GOLDEN)), *weights = golden_weights(golden, "param.");
    const fi_unet_config config = fi_unet_course(3, 8, 5, 16);
    fi_unet *net = NULL;
    CHECK_INT(fi_unet_new(&config, &net, NULL), FTL_OK);
    CHECK_INT(fi_unet_train(net, 1, NULL), FTL_OK);
    CHECK_INT(fi_unet_read(net, weights, NULL), FTL_OK);
    run r = start(net, 4, true, true, 2);
    fi_optim_config adam = FI_OPTIM_DEFAULTS;
    fi_optim *optim = NULL;
    CHECK_INT(fi_optim_new(&adam, &net->params, &optim, NULL), FTL_OK);
    for (int step = 1; step <= 3; step++) {
        char name[32];
        fill_golden(&r, golden);
        fi_forward(r.g);
        snprintf(name, sizeof name, "train%d.loss", step);
        float *loss = stored(golden, "", name, 1);
        CHECK_CLOSE(*r.loss->value, *loss, 1e-4);
        free(loss);
        if (step == 1) check_image(golden, "train1.out", r.out, 1e-5);
        fi_backward(r.g, 1.0f);
        if (step == 1) check_params(golden, "train1.grad.", &net->params, true, 1e-4, 0.01);
        CHECK_INT(fi_optim_step(optim, r.engine, NULL), FTL_OK);
    }
    /* A bias before a batch norm moves by the signs of rounding errors; nothing else does, and nothing feels it but the means. */
    for (size_t i = 0; i < net->params.n; i++) {
        const fi_param *p = net->params.item[i];
        if (strstr(p->name, ".0.bias") && (strstr(p->name, ".conv") || strstr(p->name, "out."))) continue;
        float *expected = stored(golden, "after3.", p->name, p->size);
        near_all(p->name, p->value, expected, p->size, place_of_param, p, 1e-4, 1.0);
        free(expected);
    }
    fi_optim_free(optim);
    stop(&r);
    fi_unet_free(net);
    fi_weights_close(weights);
    fi_weights_close(golden);
}

/* bf16 rounds by up to 2^-9; a gradient of thousands of such products keeps its direction, and its bits with any threads. */
TEST(products_of_bf16_give_nearly_the_same_gradient)
{
    const fi_unet_config config = fi_unet_course(3, 16, 5, 16);
    static const struct {
        size_t threads;
        fi_dtype products;
    } settings[] = {{2, FI_F32}, {1, FI_BF16}, {3, FI_BF16}};
    fi_unet *net[3];
    for (int k = 0; k < 3; k++) {
        CHECK_INT(fi_unet_new(&config, &net[k], NULL), FTL_OK);
        CHECK_INT(fi_unet_train(net[k], 7, NULL), FTL_OK);
        run r = start_of(net[k], 4, true, false, settings[k].threads, settings[k].products);
        for (size_t i = 0; i < r.x->size; i++) {
            r.x->value[i] = wave(i, 0.1, 1.0);
            r.target->value[i] = wave(i, 0.5, 1.0);
        }
        for (size_t i = 0; i < 4; i++) r.t->value[i] = 0.2f * (float)(i + 1);
        fi_forward(r.g);
        fi_backward(r.g, 1.0f);
        stop(&r);
    }
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < net[0]->params.size; i++) {
        const double a = net[0]->params.grads[i], b = net[1]->params.grads[i];
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    CHECK(aa > 0 && ab > 0.995 * sqrt(aa * bb)); /* 0.9985 on AMX */
    CHECK_CLOSE(sqrt(bb / aa), 1.0, 0.05);
    CHECK(memcmp(net[1]->params.grads, net[2]->params.grads, net[1]->params.size * sizeof(float)) == 0);
    for (int k = 0; k < 3; k++) fi_unet_free(net[k]);
}

TEST(running_variances_must_be_variances)
{
    static const float bad[] = {-0.5f, NAN, INFINITY};
    static const char *const words[] = {"no variance is negative", "is NaN", "is infinite"};
    fi_engine *engine;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    for (int i = 0; i < 6; i++) {
        char path[] = "/tmp/unet-XXXXXX.safetensors";
        const int fd = mkstemps(path, 12);
        ftl_error err = {0};
        fi_unet *net = NULL;
        CHECK(fd >= 0);
        close(fd);
        CHECK_INT(fi_unet_new(&SMALL, &net, NULL), FTL_OK);
        write_small(net, path, bad[i % 3]);
        fi_weights *weights = open_file(path);
        if (i < 3) CHECK_INT(fi_unet_train(net, 1, NULL), FTL_OK);
        CHECK_INT(i < 3 ? fi_unet_read(net, weights, &err) : fi_unet_load(net, engine, weights, &err), FTL_EDATA);
        CHECK_CONTAINS(err.message, "running_var': number 0 is ");
        CHECK_CONTAINS(err.message, words[i % 3]);
        fi_weights_close(weights);
        unlink(path);
        fi_unet_free(net);
    }
    fi_engine_free(engine);
}

TEST(a_config_that_does_not_fit_is_refused)
{
    ftl_error err = {0};
    fi_unet *net = NULL;
    fi_unet_config config = SMALL;
    config.up0 = 7;
    CHECK_INT(fi_unet_new(&config, &net, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "2 groups do not divide the widths 7 of up0");
    config = SMALL;
    config.height = 10;
    CHECK_INT(fi_unet_new(&config, &net, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "height of images is 10");
    config = SMALL;
    config.down2[3] = 0;
    CHECK_INT(fi_unet_new(&config, &net, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "a width of the network is 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_uneven_network_trains_as_in_pytorch),
        cmocka_unit_test(the_courses_network_forecasts_noise_as_in_pytorch),
        cmocka_unit_test(three_steps_of_adam_are_pytorchs),
        cmocka_unit_test(products_of_bf16_give_nearly_the_same_gradient),
        cmocka_unit_test(running_variances_must_be_variances),
        cmocka_unit_test(a_config_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
