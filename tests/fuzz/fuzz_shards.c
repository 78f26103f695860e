/* Any bytes as the index of the two shards of tests/data/weights/shards. */
#include "base/alloc.h"
#include "tensor/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static char directory[64];
static const char *const shards[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
static const char index_name[] = "model.safetensors.index.json";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void clean_up(void)
{
    unlink(path_of(index_name));
    for (int i = 0; i < 2; i++) unlink(path_of(shards[i]));
    rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char from[512];
    (void)argc, (void)argv;
    snprintf(directory, sizeof directory, "/tmp/fuzz_shards.XXXXXX");
    REQUIRE(mkdtemp(directory));
    atexit(clean_up);
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, FTL_TEST_DATA "/weights/shards/%s", shards[i]);
        REQUIRE(!symlink(from, path_of(shards[i])));
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fi_weights *weights = NULL;
    char **names;
    size_t n;
    ftl_error err = {FTL_OK, ""};
    FILE *to = fopen(path_of(index_name), "wb");
    REQUIRE(to && fwrite(data, 1, size, to) == size && !fclose(to));
    const ftl_status st = fi_weights_index_files(path_of(index_name), &names, &n, &err);
    REQUIRE(st ? !names && !n && *err.message : n > 0);
    const ftl_status opened = fi_weights_open(path_of(index_name), &weights, &err);
    REQUIRE(opened ? !weights && *err.message : !st && fi_weights_count(weights) >= 1);
    fi_weights_names_free(names, n);
    fi_weights_close(weights);
    return 0;
}
