/* The ids of a panel: a list in order of first appearance, and a hash table over it. */
#ifndef FI_SERIES_IDS_H
#define FI_SERIES_IDS_H

#include <foretell/base.h>

typedef struct fi_ids {
    const char **text; /* [n] each NUL-terminated, in `blocks` */
    size_t n, text_capacity;
    uint32_t *slots; /* [n_slots], a power of two: 1 + number of an id, 0 where free */
    size_t n_slots;
    uint64_t key; /* of the hash: drawn at random, so that no file can be made to collide */
    char **blocks;
    size_t n_blocks, block_capacity, room; /* bytes free at the end of the last block */
    char *next;
} fi_ids;

#define FI_NO_ID SIZE_MAX

uint64_t fi_hash(const char *text, size_t n, uint64_t key);
uint64_t fi_hash_key(void);
size_t fi_ids_find(const fi_ids *ids, const char *text, size_t n);
/* Adds an id that is not there yet. Returns 0, or -1 without memory (nothing changed). */
int fi_ids_add(fi_ids *ids, const char *text, size_t n);
void fi_ids_release(fi_ids *ids);

#endif
