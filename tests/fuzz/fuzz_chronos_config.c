/*
 * config.json of a pretrained model, and tasks for it: whatever opens must forecast or refuse. The weights are those of a
 * toy model, so that a config that changes a shape must be found out. The input is the config, a NUL, and the task.
 */
#include <foretell/foretell.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static void die(const char *what)
{
    perror(what);
    abort();
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *to = fopen(path, "wb");
    if (!to || fwrite(bytes, 1, n, to) != n || fclose(to)) die(path);
}

static void clean_up(void)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    char path[128];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    snprintf(directory, sizeof directory, "/tmp/fuzz_chronos.XXXXXX");
    if (!mkdtemp(directory)) die(directory);
    atexit(clean_up);
    return 0;
}

/* The toy whose pipeline the config names, so that some inputs get as far as the network. */
static const char *weights_for(const char *config)
{
    if (strstr(config, "ChronosBolt")) return FTL_TEST_DATA "/toy-chronos-bolt/model.safetensors";
    if (strstr(config, "Chronos2")) return FTL_TEST_DATA "/toy-chronos2/model.safetensors";
    if (strstr(config, "causal")) return FTL_TEST_DATA "/toy-chronos-gpt2/model.safetensors";
    return FTL_TEST_DATA "/toy-chronos-t5/model.safetensors";
}

static bool ignore(void *user, const ftl_chronos_result *result)
{
    (void)user;
    for (size_t i = 0; i < result->n_targets * result->horizon; i++)
        if (!(result->point[i] - result->point[i] == 0)) abort(); /* a result is finite */
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 64 };
    char path[128], *config = malloc(size + 1);
    float values[MOST];
    ftl_chronos *model = NULL;
    if (!config) return 0;
    memcpy(config, data, size);
    config[size] = '\0';
    size_t n_config = strlen(config), from = n_config < size ? n_config + 1 : size, n = (size - from) / sizeof *values;
    n = n > MOST ? MOST : n;
    memcpy(values, config + from, n * sizeof *values);
    snprintf(path, sizeof path, "%s/config.json", directory);
    write_file(path, config, n_config);
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    unlink(path);
    if (symlink(weights_for(config), path)) die(path);
    const ftl_chronos_open_args args = {NULL, FTL_F32, 1};
    if (!ftl_chronos_open(directory, &args, &model, NULL)) {
        const ftl_chronos_task task = {.n_targets = 1 + n % 2, .length = n / (1 + n % 2), .targets = values};
        const ftl_chronos_options options = {.horizon = 1 + n % 20, .num_samples = 2};
        ftl_chronos_predict(model, &task, 1, &options, ignore, NULL, NULL);
    }
    ftl_chronos_close(model);
    free(config);
    return 0;
}
