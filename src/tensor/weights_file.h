/* The inside of fi_weights, for the readers of its formats. */
#ifndef FI_TENSOR_WEIGHTS_FILE_H
#define FI_TENSOR_WEIGHTS_FILE_H

#include "tensor/weights.h"

typedef struct fi_weight_file {
    char *path;
    const unsigned char *bytes;
    size_t size;
    bool mapped; /* else the caller's memory */
} fi_weight_file;

/* scale * B A is added to a tensor; both matrices are tensors of an adapter's file. */
typedef struct fi_lora {
    const fi_weights *adapter;
    const fi_stored *a, *b; /* [rank, in], [out, rank] */
    double scale;
    bool transposed; /* the tensor is [in, out] */
    struct fi_lora *next;
} fi_lora;

typedef struct fi_entry {
    fi_stored tensor; /* first: the address of one is that of the other */
    char *name;       /* owned */
    const fi_weight_file *file;
    bool swapped; /* big endian */
    fi_lora *lora;
} fi_entry;

struct fi_weights {
    char *path;
    fi_weight_file **files;
    fi_entry **entries;    /* sorted by name once opened */
    char **metadata;       /* key, value, key, value */
    fi_weights **adapters; /* merged ones */
    size_t n_files, n_entries, n_metadata, n_adapters;
    size_t room_files, room_entries, room_metadata, room_adapters;
};

/*
 * What a reader found: the name (copied) and type, shape, strides and data, which it has checked to lie inside the file.
 * fi_weights_add works out the sizes; the name is not copied from tensor->name but from name[0, n).
 */
ftl_status fi_weights_add(fi_weights *weights, const fi_weight_file *file, const char *name, size_t n,
                          const fi_stored *tensor, bool swapped, ftl_error *err);
ftl_status fi_weights_add_metadata(fi_weights *weights, const char *key, const char *value, ftl_error *err);
/* size = product of the shape, its bytes, and row-major strides; false where that leaves size_t. */
bool fi_stored_layout(fi_stored *tensor, size_t *bytes);

/* The readers. Messages begin with the file's path. */
ftl_status fi_safetensors_read(fi_weights *weights, const fi_weight_file *file, ftl_error *err);
ftl_status fi_pickle_read(fi_weights *weights, const fi_weight_file *file, ftl_error *err);

#endif
