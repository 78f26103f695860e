/* What programs get of this room: the public faces of file.h and error.h. */
#include <foretell/program.h>

#include "base/error.h"
#include "base/file.h"

ftl_status ftl_input_open(const char *path, ftl_input **out, ftl_error *err)
{
    fi_stream *input = NULL;
    ftl_status st = fi_stream_open(path, &input, err);
    *out = (ftl_input *)input;
    return st;
}

ftl_status ftl_input_read(ftl_input *input, void *buffer, size_t n, size_t *got, ftl_error *err)
{
    return fi_stream_read((fi_stream *)input, buffer, n, got, err);
}

void ftl_input_close(ftl_input *input)
{
    fi_stream_close((fi_stream *)input);
}

/* ftl_file and ftl_input are never defined: a handle of the one type is a handle of the other. */
static fi_file *inner(ftl_file *file)
{
    return (fi_file *)file;
}

ftl_status ftl_file_read(const char *path, size_t max_size, char **data, size_t *size, ftl_error *err)
{
    return fi_file_read(path, max_size, data, size, err);
}

ftl_status ftl_file_create(const char *path, ftl_file **out, ftl_error *err)
{
    fi_file *file = NULL;
    ftl_status st = fi_file_create(path, &file, err);
    *out = (ftl_file *)file;
    return st;
}

ftl_status ftl_file_write(ftl_file *file, const void *bytes, size_t n, ftl_error *err)
{
    return fi_file_write(inner(file), bytes, n, err);
}

ftl_status ftl_file_commit(ftl_file *file, ftl_error *err)
{
    return fi_file_commit(inner(file), err);
}

void ftl_file_discard(ftl_file *file)
{
    fi_file_discard(inner(file));
}

const char *ftl_nearest(const char *name, const char *const *names, size_t n)
{
    return fi_nearest(name, names, n);
}
