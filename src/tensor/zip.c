/* Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 (structure) and 4.5.3 (zip64 extra field). */
#include "tensor/zip.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    MAX_COMMENT = 65535,
    FLAG_ENCRYPTED = 1
};

typedef struct archive {
    fi_weight_file *file;
    uint64_t n, directory, directory_size; /* entries, where their directory lies */
} archive;

/* A little-endian number of `width` bytes; the caller has checked that they are there. */
static uint64_t number(const unsigned char *at, int width)
{
    uint64_t value = 0;
    for (int i = width - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static ftl_status damaged(const archive *a, const char *what, ftl_error *err)
{
    return fi_fail(err, FTL_EDATA, "%s: the ZIP archive is damaged or cut short: %s", a->file->path, what);
}

static bool inside(uint64_t at, uint64_t n, uint64_t size)
{
    return at <= size && n <= size - at;
}

static ftl_status read_bytes(const archive *a, uint64_t at, size_t n, unsigned char *out, ftl_error *err)
{
    return fi_weight_file_read(a->file, (size_t)at, n, out, "the ZIP archive", err);
}

/* The end record is the last thing in the file but for a comment. Of tail[0, n), the file's end: SIZE_MAX: it has none. */
static size_t find_end(const unsigned char *tail, size_t n)
{
    for (size_t at = n < END_SIZE ? 0 : n - END_SIZE + 1; at-- > 0;)
        if (number(tail + at, 4) == 0x06054B50 && number(tail + at + 20, 2) == n - END_SIZE - at) return at;
    return SIZE_MAX;
}

/* What the end record at tail + end says, or the zip64 one that the locator before it leads to; `base` is where tail lies. */
static ftl_status read_end(archive *a, const unsigned char *tail, size_t end, size_t base, ftl_error *err)
{
    const unsigned char *record = tail + end;
    a->n = number(record + 10, 2);
    a->directory_size = number(record + 12, 4);
    a->directory = number(record + 16, 4);
    if (end >= LOCATOR_SIZE && number(record - LOCATOR_SIZE, 4) == 0x07064B50) {
        unsigned char wide[END64_SIZE];
        const uint64_t at = number(record - LOCATOR_SIZE + 8, 8);
        const bool there = inside(at, END64_SIZE, base + end);
        ftl_status st = there ? read_bytes(a, at, END64_SIZE, wide, err) : FTL_OK;
        if (st) return st;
        if (!there || number(wide, 4) != 0x06064B50)
            return damaged(a, "its zip64 end record is not where it should be", err);
        a->n = number(wide + 32, 8);
        a->directory_size = number(wide + 40, 8);
        a->directory = number(wide + 48, 8);
    }
    if (!inside(a->directory, a->directory_size, base + end) || a->n > a->directory_size / CENTRAL_SIZE)
        return damaged(a, "its directory lies outside of it", err);
    return FTL_OK;
}

static ftl_status find_directory(archive *a, ftl_error *err)
{
    const size_t most = LOCATOR_SIZE + END_SIZE + MAX_COMMENT, n = a->file->size < most ? a->file->size : most;
    unsigned char *tail = fi_alloc(n, 1);
    if (!tail) return fi_fail_memory(err);
    ftl_status st = read_bytes(a, a->file->size - n, n, tail, err);
    if (!st) {
        const size_t end = find_end(tail, n);
        st = end == SIZE_MAX ? damaged(a, "it has no end record", err) : read_end(a, tail, end, a->file->size - n, err);
    }
    fi_free(tail);
    return st;
}

/* Sizes and offset of 32 bits that are all ones stand, in this order, in the zip64 extra field. */
static bool widen(const unsigned char *extra, size_t n, uint64_t *const fields[3])
{
    while (n >= 4) {
        uint64_t id = number(extra, 2), size = number(extra + 2, 2), used = 0;
        if (size > n - 4) return false;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*fields[i] != 0xFFFFFFFFu) continue;
            if (size - used < 8) return false;
            *fields[i] = number(extra + 4 + used, 8);
            used += 8;
        }
        extra += 4 + size;
        n -= 4 + (size_t)size;
    }
    return true;
}

/* Reads the directory record at `at`, which the caller has found to be there, and says how long it is. */
static ftl_status read_entry(const archive *a, const unsigned char *at, uint64_t left, fi_zip_entry *entry,
                             uint64_t *length, ftl_error *err)
{
    uint64_t flags = number(at + 8, 2), method = number(at + 10, 2), packed = number(at + 20, 4),
             size = number(at + 24, 4), name = number(at + 28, 2), extra = number(at + 30, 2),
             local = number(at + 42, 4);
    *length = CENTRAL_SIZE + name + extra + number(at + 32, 2);
    if (number(at, 4) != 0x02014B50 || *length > left) return damaged(a, "an entry of its directory is none", err);
    if (!widen(at + CENTRAL_SIZE + name, (size_t)extra, (uint64_t *const[3]){&size, &packed, &local}))
        return damaged(a, "the zip64 field of an entry is too short", err);
    *entry = (fi_zip_entry){.name = (const char *)at + CENTRAL_SIZE, .name_size = (size_t)name, .size = (size_t)size};
    unsigned char head[LOCAL_SIZE] = {0};
    ftl_status st = inside(local, LOCAL_SIZE, a->directory) ? read_bytes(a, local, LOCAL_SIZE, head, err) : FTL_OK;
    if (st) return st;
    if (number(head, 4) != 0x04034B50) return damaged(a, "an entry is not where its directory says", err);
    uint64_t data = local + LOCAL_SIZE + number(head + 26, 2) + number(head + 28, 2);
    if (method != 0 || flags & FLAG_ENCRYPTED) return FTL_OK;
    if (packed != size || !inside(data, size, a->directory)) return damaged(a, "an entry leaves the file", err);
    entry->stored = true;
    entry->at = (size_t)data;
    return FTL_OK;
}

static int compare_names(const char *a, size_t n, const char *b, size_t m)
{
    int order = memcmp(a, b, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

static int compare_entries(const void *a, const void *b)
{
    const fi_zip_entry *x = a, *y = b;
    return compare_names(x->name, x->name_size, y->name, y->name_size);
}

ftl_status fi_zip_read(fi_zip *zip, fi_weight_file *file, ftl_error *err)
{
    archive a = {.file = file};
    char shown[FI_EXCERPT_MAX];
    *zip = (fi_zip){0};
    ftl_status st = find_directory(&a, err);
    if (!st)
        st = fi_weight_file_take(file, (size_t)a.directory, (size_t)a.directory_size, "the ZIP directory",
                                 &zip->directory, err);
    if (!st) st = fi_weight_file_charge(file, (size_t)a.n * sizeof *zip->entries, err);
    if (st) return st;
    zip->entries = fi_alloc((size_t)a.n, sizeof *zip->entries);
    if (!zip->entries) return fi_fail_memory(err);
    const unsigned char *at = zip->directory;
    for (uint64_t left = a.directory_size, length; zip->n < a.n; left -= length, at += length) {
        if (left < CENTRAL_SIZE) return damaged(&a, "its directory ends too early", err);
        st = read_entry(&a, at, left, &zip->entries[zip->n], &length, err);
        if (st) return st;
        zip->n++;
    }
    if (zip->n) qsort(zip->entries, zip->n, sizeof *zip->entries, compare_entries);
    for (size_t i = 1; i < zip->n; i++)
        if (!compare_entries(&zip->entries[i - 1], &zip->entries[i]))
            return fi_fail(err, FTL_EDATA, "%s: the ZIP archive has two entries '%s'", file->path,
                           fi_excerpt(zip->entries[i].name, zip->entries[i].name_size, shown));
    return FTL_OK;
}

const fi_zip_entry *fi_zip_find(const fi_zip *zip, const char *name, size_t n)
{
    const fi_zip_entry wanted = {.name = name, .name_size = n};
    return zip->n ? bsearch(&wanted, zip->entries, zip->n, sizeof *zip->entries, compare_entries) : NULL;
}

void fi_zip_release(fi_zip *zip)
{
    fi_free(zip->entries);
    fi_free(zip->directory);
    *zip = (fi_zip){0};
}
