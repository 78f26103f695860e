/* Memory. Every allocation of the library goes through here, checked for overflow and able to fail on demand. */
#ifndef FI_BASE_ALLOC_H
#define FI_BASE_ALLOC_H

#include <stddef.h>

/* count * size bytes, not cleared; NULL on overflow or lack of memory. A request of 0 bytes gives a valid block. */
void *fi_alloc(size_t count, size_t size);
/* As fi_alloc, all bits zero. */
void *fi_calloc(size_t count, size_t size);
/* As realloc, checked; on failure the old block stays. */
void *fi_realloc(void *block, size_t count, size_t size);
char *fi_strdup(const char *text);
char *fi_strndup(const char *text, size_t n);
void fi_free(void *block);

/* Makes room for `need` elements in a growing array: doubles *cap. Returns 0, or -1 without memory (nothing changed). */
int fi_grow(void *array_pointer, size_t *cap, size_t need, size_t size);

/* For tests: n more allocations of the calling thread succeed, then all of its fail; negative: never. */
void fi_alloc_fail_after(long n);

#endif
