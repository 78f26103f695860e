/*
 * Any bytes as a PyTorch file: as they are, and as data.pkl of an archive with one storage of eight numbers and a byte
 * order, so that the fuzzer need not find out what a ZIP archive is before it comes to the pickle.
 */
#include "weights.h"

#include <string.h>

typedef struct writer {
    uint8_t *at;
    uint32_t n;
} writer;

static void put(writer *w, const void *bytes, size_t n)
{
    memcpy(w->at + w->n, bytes, n);
    w->n += (uint32_t)n;
}

static void put_number(writer *w, uint64_t value, int width)
{
    for (; width > 0; width--, value >>= 8) w->at[w->n++] = (uint8_t)value;
}

enum { N_ENTRIES = 3, ROOM = 512 };

static void open_as_program(const uint8_t *pickle, size_t size)
{
    static const uint8_t numbers[32] = {0, 0, 0x80, 0x3F, 1, 2, 3};
    const char *const names[N_ENTRIES] = {"x/data.pkl", "x/data/0", "x/byteorder"};
    const void *const data[N_ENTRIES] = {pickle, numbers, "big"};
    const size_t sizes[N_ENTRIES] = {size, sizeof numbers, size % 2 ? 3 : 0};
    uint32_t at[N_ENTRIES];
    writer w = {malloc(size + ROOM), 0};
    REQUIRE(w.at);
    for (int i = 0; i < N_ENTRIES - !sizes[2]; i++) {
        at[i] = w.n;
        put_number(&w, 0x04034B50, 4);
        put_number(&w, 0, 8);
        put_number(&w, 0, 8);
        put_number(&w, 0, 6);
        put_number(&w, strlen(names[i]), 4);
        put(&w, names[i], strlen(names[i]));
        put(&w, data[i], sizes[i]);
    }
    uint32_t directory = w.n;
    for (int i = 0; i < N_ENTRIES - !sizes[2]; i++) {
        put_number(&w, 0x02014B50, 4);
        put_number(&w, 0, 8);
        put_number(&w, 0, 8);
        put_number(&w, sizes[i], 4);
        put_number(&w, sizes[i], 4);
        put_number(&w, strlen(names[i]), 2);
        put_number(&w, 0, 8);
        put_number(&w, 0, 4);
        put_number(&w, at[i], 4);
        put(&w, names[i], strlen(names[i]));
    }
    uint32_t end = w.n;
    put_number(&w, 0x06054B50, 4);
    put_number(&w, 0, 4);
    put_number(&w, N_ENTRIES - !sizes[2], 2);
    put_number(&w, N_ENTRIES - !sizes[2], 2);
    put_number(&w, end - directory, 4);
    put_number(&w, directory, 4);
    put_number(&w, 0, 2);
    open_and_read_all(w.at, w.n);
    free(w.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_and_read_all(data, size);
    open_as_program(data, size);
    return 0;
}
