/* The entries of a ZIP archive, found through its central directory. Compressed ones are listed, not read. */
#ifndef FI_TENSOR_ZIP_H
#define FI_TENSOR_ZIP_H

#include "tensor/weights_file.h"

typedef struct fi_zip_entry {
    const char *name; /* without NUL */
    size_t name_size;
    bool stored;     /* else compressed or encrypted */
    size_t at, size; /* of its bytes in the file */
} fi_zip_entry;

typedef struct fi_zip {
    fi_zip_entry *entries; /* sorted by name */
    size_t n;
    unsigned char *directory; /* as it stands in the file: it has the names */
} fi_zip;

/* zip64 and data descriptors are understood. Release in any case. */
ftl_status fi_zip_read(fi_zip *zip, fi_weight_file *file, ftl_error *err);
const fi_zip_entry *fi_zip_find(const fi_zip *zip, const char *name, size_t n); /* NULL: none */
void fi_zip_release(fi_zip *zip);

#endif
