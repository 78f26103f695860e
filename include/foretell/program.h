/**
 * @file program.h
 * For programs built on the library: whole-or-nothing files, and the nearest name for a typing mistake.
 */
#ifndef FORETELL_PROGRAM_H
#define FORETELL_PROGRAM_H

#include <foretell/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Reads a whole file ("-" is standard input), unpacking gzip.
 * @param data  new text with a NUL after it that *size does not count, to be freed with ftl_text_free()
 * @return FTL_OK; FTL_EIO; FTL_EDATA (more than max_size bytes, damaged gzip); FTL_ENOMEM
 */
FTL_API ftl_status ftl_file_read(const char *path, size_t max_size, char **data, size_t *size, ftl_error *err);

/**
 * A file read piece by piece ("-" is standard input), gzip unpacked.
 * ftl_input_read() fills buffer[0, n) as far as the file goes: *got < n only at its end. ftl_input_close() takes NULL.
 */
typedef struct ftl_input ftl_input;
FTL_API ftl_status ftl_input_open(const char *path, ftl_input **out, ftl_error *err);
FTL_API ftl_status ftl_input_read(ftl_input *input, void *buffer, size_t n, size_t *got, ftl_error *err);
FTL_API void ftl_input_close(ftl_input *input);

/**
 * A file that appears whole or not at all: bytes go to a temporary file beside `path`, which ftl_file_commit() flushes
 * to disk and renames over it. Killed at any moment, `path` holds its old content or all of the new. "-" is standard
 * output, written as it comes.
 */
typedef struct ftl_file ftl_file;
FTL_API ftl_status ftl_file_create(const char *path, ftl_file **out, ftl_error *err);
FTL_API ftl_status ftl_file_write(ftl_file *file, const void *bytes, size_t n, ftl_error *err);
/** Ends the file and frees the handle, also on failure (which leaves the old file and no temporary one). */
FTL_API ftl_status ftl_file_commit(ftl_file *file, ftl_error *err);
/** Throws the new content away and frees the handle. NULL is fine. */
FTL_API void ftl_file_discard(ftl_file *file);

/**
 * @return of n names the one nearest to `name` by edit distance (regardless of case, '-' and '_'), or NULL when none is
 *         near. For "did you mean".
 */
FTL_API const char *ftl_nearest(const char *name, const char *const *names, size_t n);

#ifdef __cplusplus
}
#endif
#endif
