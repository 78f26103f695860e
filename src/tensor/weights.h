/*
 * Weight files: safetensors (one file, or shards with an index) and PyTorch's zip of a pickle, read only inside their
 * bounds. What they say of their tensors takes no more memory than the file has bytes (and 1 MB); numbers are read when
 * they are asked for. Nothing is executed: the pickle is read by a small interpreter of the opcodes and globals that state
 * dicts are made of, and refuses all others.
 */
#ifndef FI_TENSOR_WEIGHTS_H
#define FI_TENSOR_WEIGHTS_H

#include "tensor/dtype.h"

typedef struct fi_weights fi_weights;

typedef struct fi_stored {
    const char *name;
    fi_dtype type;
    int n_dims; /* 0..8: a scalar has none */
    size_t shape[8], size;
    size_t stride[8]; /* in elements; row-major unless the file says otherwise (pickles) */
    size_t at;        /* byte of its file where the first one lies */
} fi_stored;

/*
 * Opens a file (.safetensors, .pth, .pt, .bin), an index (.safetensors.index.json), or a directory of the Hugging Face
 * layout (model.safetensors, its index, else pytorch_model.bin). Merged LoRA adapters are added by fi_weights_merge.
 * @return FTL_OK; FTL_EIO; FTL_EDATA (file and tensor are named); FTL_ENOMEM
 */
ftl_status fi_weights_open(const char *path, fi_weights **out, ftl_error *err);
/* The same of a file's bytes in memory, borrowed until closing; `name` stands for it in messages. */
ftl_status fi_weights_open_memory(const void *bytes, size_t size, const char *name, fi_weights **out, ftl_error *err);
void fi_weights_close(fi_weights *weights);
const char *fi_weights_path(const fi_weights *weights);
size_t fi_weights_count(const fi_weights *weights);
const fi_stored *fi_weights_at(const fi_weights *weights, size_t i);           /* in order of their names */
const fi_stored *fi_weights_find(const fi_weights *weights, const char *name); /* NULL: none */
/* The __metadata__ entry, or NULL. */
const char *fi_weights_metadata(const fi_weights *weights, const char *key);

/*
 * All numbers of a tensor as float, row-major, LoRA included; FTL_EDATA for NaN or infinite ones, or where the file was cut
 * short since it was opened. Any number of threads may read.
 */
ftl_status fi_stored_read(const fi_weights *weights, const fi_stored *tensor, float *out, ftl_error *err);
/* Can it be read in rows (of its first dimension) as well, which spares the memory for all? Strided and adapted ones cannot. */
bool fi_stored_has_rows(const fi_stored *tensor);
ftl_status fi_stored_read_rows(const fi_weights *weights, const fi_stored *tensor, size_t first, size_t n, float *out,
                               ftl_error *err);

/* The names of the files that an index names, each once and all of them beside it. Errors as fi_weights_open. */
ftl_status fi_weights_index_files(const char *index, char ***names, size_t *n, ftl_error *err);
void fi_weights_names_free(char **names, size_t n);

/*
 * Adds a PEFT LoRA adapter directory (adapter_config.json and its tensors): W + (alpha / r) B A on reading.
 * After a failure the weights are only good for closing.
 */
ftl_status fi_weights_merge(fi_weights *weights, const char *adapter_directory, ftl_error *err);
/*
 * Is `directory` an adapter? Then *base is what its config calls the model that it is for (a path or a name), and goes to
 * fi_free(); else NULL.
 */
ftl_status fi_adapter_base(const char *directory, char **base, ftl_error *err);
/* An adapter's own tensors: adapter_model.bin, else adapter_model.safetensors. Errors as fi_weights_open. */
ftl_status fi_adapter_open(const char *directory, fi_weights **out, ftl_error *err);

/* Writing safetensors that Python's safetensors and transformers read; the file appears whole or not at all. */
typedef struct fi_to_store {
    const char *name;
    fi_dtype
        type; /* as it is to be stored; FI_F32, FI_F16, FI_BF16 are converted from float, FI_I32 and FI_I64 from int32, int64 */
    int n_dims;
    size_t shape[8];
    const void *data;
} fi_to_store;
/* metadata: n_metadata pairs of key and value; "format": "pt", which transformers asks for, is added where it is missing. */
ftl_status fi_weights_write(const char *path, const fi_to_store *tensors, size_t n, const char *const *metadata,
                            size_t n_metadata, ftl_error *err);

#endif
