/* The inside of fi_weights, for the readers of its formats. */
#ifndef FI_TENSOR_WEIGHTS_FILE_H
#define FI_TENSOR_WEIGHTS_FILE_H

#include "tensor/weights.h"

/*
 * A file is read by pread(), never mapped: one that is cut short or replaced while it is read is then an error and no signal.
 * What is remembered of it is charged to a budget, the file's own size and 1 MB.
 */
typedef struct fi_weight_file {
    char *path;
    const unsigned char *bytes; /* the caller's memory; NULL: read from fd */
    int fd;                     /* -1: none */
    size_t size, budget;
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
    bool listed;  /* an index has named it */
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

ftl_status fi_weight_file_open(const char *path, fi_weight_file **out, ftl_error *err);
void fi_weight_file_close(fi_weight_file *file);
/* `bytes` of memory are about to be taken for what the file says; FTL_EDATA where its size does not justify them. */
ftl_status fi_weight_file_charge(fi_weight_file *file, size_t bytes, ftl_error *err);
/* Bytes [at, at + n) of the file, which it has by its size. `what` stands for them in messages: "data.pkl". */
ftl_status fi_weight_file_read(const fi_weight_file *file, size_t at, size_t n, void *out, const char *what,
                               ftl_error *err);
/* The same in new memory, charged; goes to fi_free(). */
ftl_status fi_weight_file_take(fi_weight_file *file, size_t at, size_t n, const char *what, unsigned char **out,
                               ftl_error *err);

/*
 * What a reader found: its name, which is taken, also on failure (and NULL: no memory for it), and type, shape, strides and
 * place, which it has checked to lie inside the file. The name in `tensor` is not looked at. The name's bytes are charged by
 * the reader, all else here.
 */
ftl_status fi_weights_add(fi_weights *weights, fi_weight_file *file, char *name, const fi_stored *tensor, bool swapped,
                          ftl_error *err);
/* Likewise takes key and value. */
ftl_status fi_weights_add_metadata(fi_weights *weights, fi_weight_file *file, char *key, char *value, ftl_error *err);
/* size = product of the shape, its bytes, and row-major strides; false where that leaves size_t. */
bool fi_stored_layout(fi_stored *tensor, size_t *bytes);

/* Opens a file and reads what tensors it has, whichever its format; then, after the last one, they are put in order. */
ftl_status fi_weights_add_file(fi_weights *weights, const char *path, ftl_error *err);
ftl_status fi_weights_sort(fi_weights *weights, ftl_error *err);

/* The readers. Messages begin with the file's path. fi_shards_read() reads an index and all files that it names. */
ftl_status fi_shards_read(fi_weights *weights, const char *index, ftl_error *err);
ftl_status fi_safetensors_read(fi_weights *weights, fi_weight_file *file, ftl_error *err);
ftl_status fi_pickle_read(fi_weights *weights, fi_weight_file *file, ftl_error *err);

#endif
