/* SHA-256 (FIPS 180-4), for the checksums of downloads. */
#ifndef FI_BASE_SHA256_H
#define FI_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { FI_SHA256_TEXT = 65 }; /* room for the digest in hexadecimal, with its NUL */

typedef struct fi_sha256 {
    uint32_t state[8];
    uint64_t size; /* bytes so far */
    unsigned char block[64];
} fi_sha256;

void fi_sha256_init(fi_sha256 *hash);
void fi_sha256_add(fi_sha256 *hash, const void *bytes, size_t n);
/* The digest in lower-case hexadecimal; the hash is used up. */
void fi_sha256_text(fi_sha256 *hash, char out[FI_SHA256_TEXT]);

#endif
