/* The entries of a ZIP archive in memory, found through its central directory. Compressed ones are listed, not read. */
#ifndef FI_TENSOR_ZIP_H
#define FI_TENSOR_ZIP_H

#include <foretell/base.h>

typedef struct fi_zip_entry {
    const char *name; /* in the archive, without NUL */
    size_t name_size;
    const unsigned char *data; /* in the archive; NULL: compressed or encrypted */
    size_t size;
} fi_zip_entry;

typedef struct fi_zip {
    fi_zip_entry *entries; /* sorted by name */
    size_t n;
} fi_zip;

/* Borrows bytes[0, size). Messages begin with `path`. zip64 and data descriptors are understood; release in any case. */
ftl_status fi_zip_read(fi_zip *zip, const unsigned char *bytes, size_t size, const char *path, ftl_error *err);
const fi_zip_entry *fi_zip_find(const fi_zip *zip, const char *name, size_t n); /* NULL: none */
void fi_zip_release(fi_zip *zip);

#endif
