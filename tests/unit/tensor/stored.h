/* What the tests of weight files share. */
#ifndef TESTS_UNIT_TENSOR_STORED_H
#define TESTS_UNIT_TENSOR_STORED_H

#include "check.h"

#include "tensor/weights.h"

static ftl_error err;

/* The bytes are refused with a message that says why. */
static inline void check_refused(const void *bytes, size_t size, const char *why)
{
    fi_weights *w = (void *)1;
    void *copy = malloc(size ? size : 1); /* so that a sanitizer sees reads past the end */
    memcpy(copy, bytes, size);
    CHECK_INT(fi_weights_open_memory(copy, size, "bad file", &w, &err), FTL_EDATA);
    CHECK(w == NULL);
    CHECK_CONTAINS(err.message, "bad file");
    CHECK_CONTAINS(err.message, why);
    free(copy);
}

static inline void read_named(const fi_weights *w, const char *name, float *out)
{
    const fi_stored *t = fi_weights_find(w, name);
    if (!t) fail_msg("no tensor %s", name);
    if (fi_stored_read(w, t, out, &err)) fail_msg("%s", err.message);
}

/* The tensors of tools/make_weight_fixtures.py. */
static inline void check_types(const fi_weights *w)
{
    float x[24];
    CHECK_INT(fi_weights_count(w), 12);
    for (size_t i = 1; i < 12; i++) CHECK(strcmp(fi_weights_at(w, i - 1)->name, fi_weights_at(w, i)->name) < 0);
    static const char *const ramps[] = {"f32", "f16", "bf16"};
    for (int k = 0; k < 3; k++) {
        read_named(w, ramps[k], x);
        for (int i = 0; i < 24; i++) CHECK(x[i] == (float)i / 8 - 1);
    }
    read_named(w, "f64", x);
    for (int i = 0; i < 24; i++) CHECK(x[i] == (float)(((double)i / 8 - 1) / 3));
    read_named(w, "i64", x);
    CHECK(x[0] == -3 && x[5] == 2);
    read_named(w, "i32", x);
    CHECK(x[0] == -3 && x[5] == 2);
    read_named(w, "i8", x);
    CHECK(x[0] == -128 && x[1] == 0 && x[2] == 127);
    read_named(w, "u8", x);
    CHECK(x[0] == 0 && x[1] == 255);
    read_named(w, "bool", x);
    CHECK(x[0] == 1 && x[1] == 0 && x[2] == 1);
    read_named(w, "scalar", x);
    CHECK(x[0] == 2.5f);
    read_named(w, "empty", NULL);
    read_named(w, "na\xC3\xAFve", x);
    CHECK(x[0] == 1);
    const fi_stored *t = fi_weights_find(w, "bf16");
    CHECK(t->type == FI_BF16 && t->n_dims == 4 && t->size == 24);
    CHECK(t->shape[0] == 2 && t->shape[3] == 3 && t->stride[0] == 12 && t->stride[3] == 1);
    t = fi_weights_find(w, "empty");
    CHECK(t->n_dims == 2 && t->shape[0] == 0 && t->shape[1] == 5 && t->size == 0);
    t = fi_weights_find(w, "scalar");
    CHECK(t->n_dims == 0 && t->size == 1);
    CHECK(fi_weights_find(w, "absent") == NULL);
}

#endif
