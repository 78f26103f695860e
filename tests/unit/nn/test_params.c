/* Loading for inference: what each role keeps, and how much memory it takes. */
#include "folder.h"

#include "nn/params.h"

#include <sys/resource.h>
#include <sys/wait.h>

static ftl_error err;

enum { ROWS = 1000, COLUMNS = 300 }; /* no whole number of panels, and more than one part */

static float number(size_t i)
{
    return (float)(i * 2654435761u % 2001) / 1000 - 1;
}

/* A file of one tensor of ROWS x COLUMNS, "w". */
static fi_weights *make_file(fi_dtype type)
{
    static float x[ROWS * COLUMNS];
    for (size_t i = 0; i < ROWS * COLUMNS; i++) x[i] = number(i);
    const fi_to_store tensor = {"w", type, 2, {ROWS, COLUMNS}, x};
    fi_weights *w = NULL;
    CHECK_INT(fi_weights_write(inside("w.safetensors"), &tensor, 1, NULL, 0, &err), FTL_OK);
    CHECK_INT(fi_weights_open(inside("w.safetensors"), &w, &err), FTL_OK);
    return w;
}

static void check_role(fi_role role, fi_dtype stored, size_t n_threads)
{
    static float back[ROWS * COLUMNS];
    fi_weights *w = make_file(stored);
    fi_engine *engine = NULL;
    fi_params params = {0};
    const bool turned = role == FI_ROLE_TURNED;
    const size_t rows = turned ? COLUMNS : ROWS, columns = turned ? ROWS : COLUMNS;
    CHECK_INT(fi_engine_new(n_threads, &engine, &err), FTL_OK);
    const fi_param *p = fi_params_add(&params, role, 2, (size_t[]){rows, columns}, "w");
    if (fi_params_load(&params, engine, w, FI_F32, &err)) fail_msg("%s", err.message);
    CHECK((p->value != NULL) == (role == FI_ROLE_TABLE || role == FI_ROLE_BOTH || role == FI_ROLE_OTHER));
    CHECK((p->packed != NULL) == (role == FI_ROLE_MATRIX || role == FI_ROLE_BOTH || turned));
    if (p->packed) fi_unpack(p->packed, back);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            const float expected = number(turned ? j * rows + i : i * columns + j);
            const float tolerance = stored == FI_F32 ? 0 : 0.004f; /* half a unit in the last place of bf16 */
            if (p->value) CHECK_NEAR(p->value[i * columns + j], expected, tolerance);
            if (p->packed) CHECK_NEAR(back[j * rows + i], expected, tolerance);
        }
    fi_params_release(&params);
    fi_engine_free(engine);
    fi_weights_close(w);
}

TEST(every_role_keeps_what_it_needs)
{
    static const fi_role roles[] = {FI_ROLE_MATRIX, FI_ROLE_TABLE, FI_ROLE_BOTH, FI_ROLE_TURNED, FI_ROLE_OTHER};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        check_role(roles[i], FI_F32, 1);
        check_role(roles[i], FI_BF16, 3);
    }
}

TEST(the_first_number_that_is_none_is_told_whatever_the_threads)
{
    static float x[ROWS * COLUMNS];
    const fi_to_store tensor = {"w", FI_F32, 2, {ROWS, COLUMNS}, x};
    for (size_t n_threads = 1; n_threads <= 3; n_threads++) {
        fi_weights *w = NULL;
        fi_engine *engine = NULL;
        fi_params params = {0};
        for (size_t i = 0; i < ROWS * COLUMNS; i++) x[i] = i >= 290000 || i == 299999 ? NAN : 1;
        CHECK_INT(fi_weights_write(inside("nan.safetensors"), &tensor, 1, NULL, 0, &err), FTL_OK);
        CHECK_INT(fi_weights_open(inside("nan.safetensors"), &w, &err), FTL_OK);
        CHECK_INT(fi_engine_new(n_threads, &engine, &err), FTL_OK);
        fi_params_add(&params, FI_ROLE_MATRIX, 2, (size_t[]){ROWS, COLUMNS}, "w");
        CHECK_INT(fi_params_load(&params, engine, w, FI_F32, &err), FTL_EDATA);
        CHECK_CONTAINS(err.message, "tensor 'w': number 290000 is NaN");
        fi_params_release(&params);
        fi_engine_free(engine);
        fi_weights_close(w);
    }
}

/* ---- memory ---- */

enum { LAYERS = 8, WIDTH = 1024 }; /* 32 MB of float */

static void write_layers(const char *path)
{
    static float x[WIDTH * WIDTH];
    static char names[LAYERS][16];
    fi_to_store tensors[LAYERS];
    for (size_t i = 0; i < WIDTH * WIDTH; i++) x[i] = number(i);
    for (size_t i = 0; i < LAYERS; i++) {
        snprintf(names[i], sizeof names[i], "w%zu", i);
        tensors[i] = (fi_to_store){names[i], FI_F32, 2, {WIDTH, WIDTH}, x};
    }
    CHECK_INT(fi_weights_write(path, tensors, LAYERS, NULL, 0, &err), FTL_OK);
}

/* Loads all layers in a child that may take `bytes` more memory than it has before it opens the file. */
static ftl_status load_within(const char *path, fi_dtype precision, size_t bytes)
{
    const pid_t child = fork();
    if (child == 0) {
        fi_engine *engine = NULL;
        fi_weights *w = NULL;
        fi_params params = {0};
        size_t pages = 0;
        if (fi_engine_new(1, &engine, NULL)) _exit(100);
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%zu", &pages) != 1 || fclose(f)) _exit(100);
        const rlim_t most = pages * (size_t)sysconf(_SC_PAGESIZE) + bytes;
        if (setrlimit(RLIMIT_AS, &(struct rlimit){most, most})) _exit(100);
        for (size_t i = 0; i < LAYERS; i++)
            fi_params_add(&params, FI_ROLE_MATRIX, 2, (size_t[]){WIDTH, WIDTH}, "w%zu", i);
        ftl_status st = fi_weights_open(path, &w, NULL);
        if (!st) st = fi_params_load(&params, engine, w, precision, NULL);
        _exit((int)st);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return (ftl_status)WEXITSTATUS(status);
}

TEST(loading_takes_the_weights_and_a_fifth_of_them_at_most)
{
    static const fi_dtype precisions[] = {FI_F32, FI_BF16, FI_I8};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they have memory of their own */
#endif
    write_layers(inside("layers.safetensors"));
    for (int i = 0; i < 3; i++) {
        const size_t weights = LAYERS * fi_packed_bytes(precisions[i], WIDTH, WIDTH);
        CHECK_INT(load_within(inside("layers.safetensors"), precisions[i], weights / 5 * 6), FTL_OK);
        CHECK_INT(load_within(inside("layers.safetensors"), precisions[i], weights / 10 * 9), FTL_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_keeps_what_it_needs),
        cmocka_unit_test(the_first_number_that_is_none_is_told_whatever_the_threads),
        cmocka_unit_test(loading_takes_the_weights_and_a_fifth_of_them_at_most),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
