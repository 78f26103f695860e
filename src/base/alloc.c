#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local long fail_after = -1;

void fi_alloc_fail_after(long n)
{
    fail_after = n;
}

static int may_allocate(size_t count, size_t size)
{
    if (size && count > (SIZE_MAX / 2) / size) return 0;
    if (fail_after < 0) return 1;
    if (fail_after == 0) return 0;
    fail_after--;
    return 1;
}

void *fi_alloc(size_t count, size_t size)
{
    if (!may_allocate(count, size)) return NULL;
    size_t bytes = count * size;
    return malloc(bytes > 0 ? bytes : 1);
}

void *fi_calloc(size_t count, size_t size)
{
    if (!may_allocate(count, size)) return NULL;
    return calloc(count ? count : 1, size ? size : 1);
}

void *fi_realloc(void *block, size_t count, size_t size)
{
    if (!may_allocate(count, size)) return NULL;
    size_t bytes = count * size;
    return realloc(block, bytes > 0 ? bytes : 1);
}

char *fi_strndup(const char *text, size_t n)
{
    char *copy = fi_alloc(n + 1, 1);
    if (!copy) return NULL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

char *fi_strdup(const char *text)
{
    return fi_strndup(text, strlen(text));
}

void fi_free(void *block)
{
    free(block);
}

int fi_grow(void *array_pointer, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) return 0;
    size_t next = *cap ? *cap : 16;
    while (next < need) next = next > SIZE_MAX / 4 ? need : next * 2;
    void *old;
    memcpy(&old, array_pointer, sizeof old);
    void *grown = fi_realloc(old, next, size);
    if (!grown) return -1;
    memcpy(array_pointer, &grown, sizeof grown);
    *cap = next;
    return 0;
}
