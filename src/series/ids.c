#include "series/ids.h"

#include "base/alloc.h"

#include <string.h>
#include <sys/random.h>

/* Multiplies two words and folds the product, as wyhash does. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)(p >> 64) ^ (uint64_t)p;
}

uint64_t fi_hash(const char *text, size_t n, uint64_t key)
{
    uint64_t h = key ^ n * UINT64_C(0x9E3779B97F4A7C15);
    for (; n > 8; text += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        h = mix(h ^ word, key | 1) + key;
    }
    uint64_t word = 0;
    memcpy(&word, text, n);
    return mix(mix(h ^ word, UINT64_C(0xD6E8FEB86659FD93)) + key, UINT64_C(0xA0761D6478BD642F));
}

uint64_t fi_hash_key(void)
{
    uint64_t key = UINT64_C(0x2545F4914F6CDD1D); /* where the system has no randomness to give */
    return getrandom(&key, sizeof key, GRND_NONBLOCK) == (ssize_t)sizeof key ? key : UINT64_C(0x2545F4914F6CDD1D);
}

/* Where the id is in slots, or the free slot where it belongs. */
static size_t slot_of(const fi_ids *ids, const char *text, size_t n)
{
    size_t slot = (size_t)fi_hash(text, n, ids->key) & (ids->n_slots - 1);
    for (; ids->slots[slot]; slot = (slot + 1) & (ids->n_slots - 1)) {
        const char *other = ids->text[ids->slots[slot] - 1];
        if (strncmp(other, text, n) == 0 && other[n] == '\0') break;
    }
    return slot;
}

size_t fi_ids_find(const fi_ids *ids, const char *text, size_t n)
{
    if (ids->n_slots == 0) return FI_NO_ID;
    uint32_t found = ids->slots[slot_of(ids, text, n)];
    return found ? found - 1 : FI_NO_ID;
}

static int grow_slots(fi_ids *ids)
{
    size_t n_slots = ids->n_slots ? 2 * ids->n_slots : 16;
    uint32_t *slots = fi_calloc(n_slots, sizeof *slots);
    if (!slots) return -1;
    if (ids->n_slots == 0) ids->key = fi_hash_key();
    fi_free(ids->slots);
    ids->slots = slots;
    ids->n_slots = n_slots;
    for (size_t i = 0; i < ids->n; i++) slots[slot_of(ids, ids->text[i], strlen(ids->text[i]))] = (uint32_t)(i + 1);
    return 0;
}

static char *keep(fi_ids *ids, const char *text, size_t n)
{
    if (n + 1 > ids->room) {
        size_t size = ids->n_blocks == 0 ? 256 : 1 << 16; /* small panels stay small */
        if (size < n + 1) size = n + 1;
        if (fi_grow(&ids->blocks, &ids->block_capacity, ids->n_blocks + 1, sizeof *ids->blocks)) return NULL;
        char *block = fi_alloc(size, 1);
        if (!block) return NULL;
        ids->blocks[ids->n_blocks++] = ids->next = block;
        ids->room = size;
    }
    char *copy = ids->next;
    memcpy(copy, text, n);
    copy[n] = '\0';
    ids->next += n + 1;
    ids->room -= n + 1;
    return copy;
}

int fi_ids_add(fi_ids *ids, const char *text, size_t n)
{
    if (2 * (ids->n + 1) > ids->n_slots && grow_slots(ids)) return -1;
    if (fi_grow(&ids->text, &ids->text_capacity, ids->n + 1, sizeof *ids->text)) return -1;
    char *copy = keep(ids, text, n);
    if (!copy) return -1;
    ids->text[ids->n] = copy;
    ids->slots[slot_of(ids, text, n)] = (uint32_t)++ids->n;
    return 0;
}

void fi_ids_release(fi_ids *ids)
{
    for (size_t i = 0; i < ids->n_blocks; i++) fi_free(ids->blocks[i]);
    fi_free(ids->blocks);
    fi_free(ids->text);
    fi_free(ids->slots);
    *ids = (fi_ids){0};
}
