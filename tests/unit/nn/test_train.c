/* A small regression trained to the end, stopped half way, and killed: always the same bits. */
#include "check.h"

#include "base/rng.h"
#include "nn/order.h"
#include "nn/train.h"
#include "tensor/ops.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { ROWS = 200, IN = 3, HIDDEN = 8, BATCH = 16 };

/* y = sin(x0) + x1 x2, learnt by two layers with dropout between them; a counter stands for running statistics. */
typedef struct net {
    fi_engine *engine;
    fi_params params;
    fi_graph *graph;
    fi_node *x, *y, *loss;
    float counter[2];
    uint64_t stop_at, kill_at; /* steps after which progress says stop, or the process dies */
} net;

static const char *bias_name = "b1";

static void init(fi_param *p, uint32_t stream)
{
    fi_rng rng;
    fi_rng_init(&rng, 5, stream, 0);
    for (size_t i = 0; i < p->size; i++) p->value[i] = (float)(fi_rng_uniform(&rng) - 0.5);
}

static void net_start(net *n, size_t threads)
{
    *n = (net){.stop_at = UINT64_MAX, .kill_at = UINT64_MAX};
    CHECK_INT(fi_engine_new(threads, &n->engine, NULL), FTL_OK);
    fi_param *w1 = fi_params_add(&n->params, FI_ROLE_MATRIX, 2, (size_t[]){HIDDEN, IN}, "w1"),
             *b1 = fi_params_add(&n->params, FI_ROLE_OTHER, 1, (size_t[]){HIDDEN}, "%s", bias_name),
             *w2 = fi_params_add(&n->params, FI_ROLE_MATRIX, 2, (size_t[]){1, HIDDEN}, "w2");
    CHECK_INT(fi_params_train(&n->params, NULL), FTL_OK);
    init(w1, 1);
    init(w2, 2);
    CHECK_INT(fi_graph_new(n->engine, true, &n->graph, NULL), FTL_OK);
    fi_graph *g = n->graph;
    n->x = fi_input(g, 2, (size_t[]){BATCH, IN});
    n->y = fi_input(g, 2, (size_t[]){BATCH, 1});
    fi_node *h = fi_linear(g, n->x, fi_parameter(g, w1), fi_parameter(g, b1), FI_TANH, NULL);
    h = fi_linear(g, fi_dropout(g, h, 0.1f), fi_parameter(g, w2), NULL, FI_LINEAR, NULL);
    n->loss = fi_mse(g, h, n->y, NULL);
    CHECK_INT(fi_plan(g, n->loss, NULL), FTL_OK);
}

static void net_end(net *n)
{
    fi_graph_free(n->graph);
    fi_params_release(&n->params);
    fi_engine_free(n->engine);
}

static ftl_status batch(void *user, uint64_t step, size_t micro, fi_graph **graph, fi_node **loss, ftl_error *err)
{
    (void)err;
    net *n = user;
    for (uint64_t i = 0; i < BATCH; i++) {
        uint64_t at = (step * 2 + micro) * BATCH + i, example = fi_order_at(3, at / ROWS, ROWS, at % ROWS);
        fi_rng rng;
        fi_rng_init(&rng, 9, 0, example);
        float *x = n->x->value + i * IN;
        for (size_t j = 0; j < IN; j++) x[j] = (float)(2 * fi_rng_uniform(&rng) - 1);
        n->y->value[i] = sinf(x[0]) + x[1] * x[2];
    }
    n->counter[0] += 1; /* moves with every batch, so must come back from a checkpoint */
    *graph = n->graph;
    *loss = n->loss;
    return FTL_OK;
}

static bool go_on(void *user, size_t done, size_t total)
{
    (void)total;
    const net *n = user;
    if (done >= n->kill_at) raise(SIGKILL);
    return done < n->stop_at;
}

static ftl_status train(net *n, const char *directory, float *ema, fi_train_result *result, ftl_error *err)
{
    const fi_train_state states[] = {{"counter", n->counter, 2}};
    const fi_train_task task = {&n->params, states, 1, batch, n};
    fi_train_config config = {.optim = FI_OPTIM_DEFAULTS,
                              .steps = 60,
                              .accumulate = 2,
                              .seed = 4,
                              .directory = directory,
                              .checkpoint_every = 7,
                              .keep = 2,
                              .progress = go_on,
                              .progress_user = n};
    config.optim.rate = 0.02, config.optim.clip_norm = 1, config.optim.ema_decay = 0.9;
    config.optim.schedule = (fi_schedule){FI_SCHEDULE_COSINE, 5, 60, 0.1};
    return fi_train(n->engine, &task, &config, ema, result, err);
}

static char folder[64];
static size_t count_checkpoints(void)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) n += strstr(e->d_name, "checkpoint-") == e->d_name;
    if (dir) closedir(dir);
    return n;
}
static void clear_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK_INT(system(command), 0);
}

static float last[64], last_ema[64]; /* values and average of a run that nobody stopped */

TEST(training_learns_and_threads_change_nothing)
{
    for (size_t threads = 1; threads <= 2; threads++) {
        net n;
        fi_train_result result;
        net_start(&n, threads);
        CHECK(n.params.size <= 64);
        float ema[64];
        CHECK_INT(train(&n, NULL, ema, &result, NULL), FTL_OK);
        CHECK_INT(result.steps, 60);
        CHECK(result.loss < 0.2); /* the variance of y is 0.38 */
        if (threads == 1)
            memcpy(last, n.params.values, n.params.size * sizeof *last), memcpy(last_ema, ema, sizeof ema);
        CHECK(memcmp(last, n.params.values, n.params.size * sizeof *last) == 0);
        CHECK(memcmp(last_ema, ema, n.params.size * sizeof *ema) == 0);
        net_end(&n);
    }
}

/* Goes on to the end in a new process's state, and compares. */
static void finish_and_compare(uint64_t first_step)
{
    net n;
    fi_train_result result;
    float ema[64];
    net_start(&n, 2);
    CHECK_INT(train(&n, folder, ema, &result, NULL), FTL_OK);
    CHECK_INT(result.first_step, first_step);
    CHECK(memcmp(last, n.params.values, n.params.size * sizeof *last) == 0);
    CHECK(memcmp(last_ema, ema, n.params.size * sizeof *ema) == 0);
    CHECK_NEAR(n.counter[0], 120, 0);
    CHECK_INT(count_checkpoints(), 2);
    net_end(&n);
    char path[96], line[256];
    snprintf(path, sizeof path, "%s/log.csv", folder);
    FILE *log = fopen(path, "r");
    CHECK(log != NULL);
    for (int step = 0; step <= 60; step++) { /* every step once, in order */
        CHECK(fgets(line, sizeof line, log) != NULL);
        CHECK_INT(strtol(line, NULL, 10), step);
    }
    CHECK(!fgets(line, sizeof line, log));
    fclose(log);
}

TEST(a_run_that_was_stopped_ends_with_the_same_bits)
{
    clear_folder();
    net n;
    fi_train_result result;
    ftl_error err;
    net_start(&n, 1);
    n.stop_at = 25;
    CHECK_INT(train(&n, folder, NULL, &result, &err), FTL_ECANCELLED);
    CHECK_CONTAINS(err.message, "stopped after step 25");
    net_end(&n);
    finish_and_compare(25);
}

TEST(a_run_that_was_killed_ends_with_the_same_bits)
{
    clear_folder();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        net n;
        fi_train_result result;
        net_start(&n, 1);
        n.kill_at = 31;
        train(&n, folder, NULL, &result, NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    finish_and_compare(28); /* the last multiple of seven */
}

TEST(a_checkpoint_of_another_network_is_refused)
{ /* the folder still holds the run of the test before */
    net n;
    fi_train_result result;
    ftl_error err;
    bias_name = "bias";
    net_start(&n, 1);
    CHECK_INT(train(&n, folder, NULL, &result, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "no array 'value.bias' of 8 numbers");
    bias_name = "b1";
    net_end(&n);
    clear_folder();
}

TEST(a_directory_whose_name_is_too_long_is_refused)
{
    static char name[4098];
    memset(name, 'x', 4097);
    net n;
    fi_train_result result;
    ftl_error err;
    net_start(&n, 1);
    CHECK_INT(train(&n, name, NULL, &result, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "longer than 4000 bytes");
    net_end(&n);
}

TEST(what_is_no_checkpoint_is_passed_over)
{ /* another program's names: neither read nor removed */
    clear_folder();
    char path[128];
    static const char *const names[] = {"checkpoint-5.safetensors", "checkpoint-x.safetensors",
                                        "checkpoint-0000000009.safetensors.bak"};
    CHECK_INT(mkdir(folder, 0777), 0);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FILE *file = fopen(path, "w");
        CHECK(file && !fclose(file));
    }
    net n;
    fi_train_result result;
    net_start(&n, 1);
    CHECK_INT(train(&n, folder, NULL, &result, NULL), FTL_OK);
    CHECK_INT(result.first_step, 0);
    CHECK_INT(count_checkpoints(), 3 + 2);
    net_end(&n);
    clear_folder();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_learns_and_threads_change_nothing),
        cmocka_unit_test(a_run_that_was_stopped_ends_with_the_same_bits),
        cmocka_unit_test(a_run_that_was_killed_ends_with_the_same_bits),
        cmocka_unit_test(a_checkpoint_of_another_network_is_refused),
        cmocka_unit_test(a_directory_whose_name_is_too_long_is_refused),
        cmocka_unit_test(what_is_no_checkpoint_is_passed_over),
    };
    snprintf(folder, sizeof folder, "/tmp/foretell-train-%ld", (long)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
