/* What the fuzzers of weight files share: opened or refused with a message, and every tensor read to its last byte. */
#ifndef TESTS_FUZZ_WEIGHTS_H
#define TESTS_FUZZ_WEIGHTS_H

#include "base/alloc.h"
#include "tensor/weights.h"

#include <stdlib.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static inline void open_and_read_all(const uint8_t *data, size_t size)
{
    fi_weights *weights = NULL;
    ftl_error err = {FTL_OK, ""};
    if (fi_weights_open_memory(data, size, "fuzz", &weights, &err)) {
        REQUIRE(!weights && err.code && *err.message);
        return;
    }
    size_t left = 1 << 22; /* many names may stand for one storage */
    for (size_t i = 0; i < fi_weights_count(weights); i++) {
        const fi_stored *tensor = fi_weights_at(weights, i);
        REQUIRE(tensor->size <= size);
        REQUIRE(fi_weights_find(weights, tensor->name) == tensor);
        if (tensor->size > left) break;
        left -= tensor->size;
        float *numbers = fi_alloc(tensor->size, sizeof *numbers);
        REQUIRE(numbers);
        if (fi_stored_read(weights, tensor, numbers, &err)) REQUIRE(err.code == FTL_EDATA);
        fi_free(numbers);
    }
    fi_weights_close(weights);
}

#endif
