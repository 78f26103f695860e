/**
 * @file hub.h
 * The model store: pretrained models by name, added from a directory or downloaded.
 *
 * A store is a directory of the caller's choice; the library knows no place of its own and reads no environment. In it
 *
 *     NAME.json       a model that was added: points to its directory, nothing is copied
 *     NAME/           a model that was downloaded: config.json, weights, and download.json with sizes and checksums
 *
 * The network is used by ftl_hub_download() and by nothing else. Since 0.1.
 */
#ifndef FORETELL_HUB_H
#define FORETELL_HUB_H

#include <foretell/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The directory of a model. What contains a '/' (or is "." or "..") is a path; else it is a name in the store, or a
 * directory of that name in the current one.
 * @param store      may be absent or NULL: an empty store
 * @param directory  new text, to be freed with ftl_text_free(); NULL on failure
 * @return FTL_OK; FTL_EINVAL (no such model: the message says how to get it); FTL_EIO (a path without a directory, an
 *         added model whose directory is gone); FTL_EDATA (its entry in the store is damaged); FTL_ENOMEM
 */
FTL_API ftl_status ftl_hub_resolve(const char *store, const char *name_or_path, char **directory, ftl_error *err);

/**
 * Adds a model to the store under a name: letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit.
 * The directory stays where it is. It must hold a config.json and weights that can be read, or be a LoRA adapter.
 * @return FTL_OK; FTL_EINVAL (a name that is none, or taken); FTL_EIO; FTL_EDATA (no model there); FTL_ENOMEM
 */
FTL_API ftl_status ftl_hub_add(const char *store, const char *name, const char *directory, ftl_error *err);

/**
 * Removes a model from the store: of an added one the entry, its directory stays; of a downloaded one the files.
 * @return FTL_OK; FTL_EINVAL (no such model); FTL_EIO; FTL_EDATA; FTL_ENOMEM
 */
FTL_API ftl_status ftl_hub_remove(const char *store, const char *name, ftl_error *err);

/** A model of a store. */
typedef struct ftl_hub_model {
    char *name, *directory;
    bool downloaded; /**< else added */
} ftl_hub_model;

/**
 * All models of a store, by name. An absent store has none.
 * @param models  new array [n], to be freed with ftl_hub_models_free()
 * @return FTL_OK; FTL_EIO; FTL_EDATA (a damaged entry, which is named); FTL_ENOMEM
 */
FTL_API ftl_status ftl_hub_list(const char *store, ftl_hub_model **models, size_t *n, ftl_error *err);
FTL_API void ftl_hub_models_free(ftl_hub_model *models, size_t n);

/** A public checkpoint that can be downloaded by name. */
typedef struct ftl_hub_checkpoint {
    const char *name, *repository; /**< "chronos-bolt-small", "amazon/chronos-bolt-small" on huggingface.co */
    const char *summary;           /**< "48 M parameters" */
} ftl_hub_checkpoint;
/** @return those known, [*n], static. */
FTL_API const ftl_hub_checkpoint *ftl_hub_checkpoints(size_t *n);

/** How to download. Zero is the default of every member. */
typedef struct ftl_hub_download_args {
    const char *url; /**< instead of https://huggingface.co: a mirror with the same paths */
    /** Called about ten times a second with the bytes of the file at hand and its size (0: not known); may be NULL. */
    bool (*progress)(void *user, const char *file, uint64_t done, uint64_t total);
    void *user;
    size_t timeout_seconds; /**< without a byte arriving; 0: 60 */
} ftl_hub_download_args;

/** @return whether this build can download (it was built with libcurl). */
FTL_API bool ftl_hub_can_download(void);

/**
 * Downloads a public checkpoint into STORE/NAME: one file of weights, or an index and its shards. Files that an interrupted
 * download left as *.part are continued; each is checked against the size and the SHA-256 that the server tells, and the
 * model appears when all are there.
 * @param name  one of ftl_hub_checkpoints()
 * @param args  NULL for the defaults
 * @return FTL_OK (also if it was there already); FTL_EINVAL (not known, or the name is taken by an added model); FTL_EIO
 *         (no network, the server refuses, disk full, built without libcurl); FTL_EDATA (checksum or size differ, or what
 *         came is no model); FTL_ECANCELLED (progress said so); FTL_ENOMEM
 */
FTL_API ftl_status ftl_hub_download(const char *store, const char *name, const ftl_hub_download_args *args,
                                    ftl_error *err);

#ifdef __cplusplus
}
#endif
#endif
