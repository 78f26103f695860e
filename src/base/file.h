/* Files: reading whole ones, and writing so that a reader sees all of the new content or all of the old. */
#ifndef FI_BASE_FILE_H
#define FI_BASE_FILE_H

#include <foretell/base.h>

/*
 * A stream of bytes from a file, standard input ("-") or memory, gunzipped where it begins with the gzip magic.
 * fi_stream_read() fills buffer[0, n) as far as the stream goes: *got < n only at its end.
 */
typedef struct fi_stream fi_stream;
ftl_status fi_stream_open(const char *path, fi_stream **out, ftl_error *err);
/* Borrows text[0, size); `name` stands for it in messages. */
ftl_status fi_stream_memory(const char *text, size_t size, const char *name, fi_stream **out, ftl_error *err);
ftl_status fi_stream_read(fi_stream *input, void *buffer, size_t n, size_t *got, ftl_error *err);
/* Share of the stream read, 0..1; negative if its size is not known. May be called while another thread reads. */
double fi_stream_progress(const fi_stream *input);
void fi_stream_close(fi_stream *input);

/*
 * Reads a whole file ("-" is standard input), gunzipping it if it begins with the gzip magic. *data is NUL-terminated
 * (the NUL not counted in *size) and goes to fi_free(). More than max_size bytes of content is FTL_EDATA.
 */
ftl_status fi_file_read(const char *path, size_t max_size, char **data, size_t *size, ftl_error *err);

/*
 * An atomic writer: bytes go to a temporary file beside `path`, and fi_file_commit() flushes it to disk and renames it
 * over `path`. Killed at any moment, `path` holds its old content or all of the new. "-" writes to standard output.
 * A symbolic link stays, its target is replaced; what is no regular file (a pipe, /dev/null) is written through.
 */
typedef struct fi_file fi_file;
ftl_status fi_file_create(const char *path, fi_file **out, ftl_error *err);
ftl_status fi_file_write(fi_file *file, const void *bytes, size_t n, ftl_error *err);
/* Ends the file and frees the handle, also on failure (which then leaves the old file and no temporary). */
ftl_status fi_file_commit(fi_file *file, ftl_error *err);
/* Throws the new content away and frees the handle. NULL is fine. */
void fi_file_discard(fi_file *file);

/* Whether there is a directory (or a link to one) at `path`. */
bool fi_is_directory(const char *path);

#endif
