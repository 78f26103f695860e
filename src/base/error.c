#include "base/error.h"

#include "base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ftl_status_name(ftl_status status)
{
    switch (status) {
    case FTL_OK: return "ok";
    case FTL_EINVAL: return "invalid argument";
    case FTL_EDATA: return "data";
    case FTL_EIO: return "file or system";
    case FTL_ENOMEM: return "out of memory";
    case FTL_ENUMERIC: return "numerical";
    case FTL_ECANCELLED: return "cancelled";
    case FTL_EINTERNAL: return "internal";
    }
    return "unknown";
}

const char *ftl_version(void)
{
    return FTL_VERSION_TEXT;
}

/* One line of UTF-8, whatever a hostile name held: control characters become blanks, and what is no UTF-8 (also a
 * character that the end of the buffer has torn) becomes '?'. */
static void clean_message(ftl_error *err)
{
    char *p = err->message, *end = p + strlen(p);
    bool cut = end == err->message + sizeof err->message - 1;
    while (p < end) {
        size_t length = fi_utf8_char(p, (size_t)(end - p));
        if (length == 0 && cut && end - p < 4) {
            *p = '\0';
            return;
        }
        if (length == 0) *p = '?';
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = ' ';
        p += length ? length : 1;
    }
}

static void write_message(ftl_error *err, const char *format, va_list args)
{
    vsnprintf(err->message, sizeof err->message, format, args);
    clean_message(err);
}

ftl_status fi_fail(ftl_error *err, ftl_status code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = code;
        write_message(err, format, args);
        va_end(args);
    }
    return code;
}

ftl_status fi_fail_memory(ftl_error *err)
{
    return fi_fail(err, FTL_ENOMEM, "out of memory");
}

ftl_status fi_fail_prefix(ftl_error *err, const char *format, ...)
{
    if (!err) return FTL_EINTERNAL;
    ftl_error old = *err;
    va_list args;
    va_start(args, format);
    write_message(err, format, args);
    va_end(args);
    size_t n = strlen(err->message);
    snprintf(err->message + n, sizeof err->message - n, ": %s", old.message);
    clean_message(err);
    return old.code;
}

static char fold(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

/* Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours. */
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t n = strlen(a), m = strlen(b), d[3][MAX + 1];
    if (n > MAX || m > MAX) return MAX;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t cost = fold(a[i - 1]) != fold(b[j - 1]), best = up[j - 1] + cost;
            if (up[j] + 1 < best) best = up[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]) &&
                up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            row[j] = best;
        }
    }
    return d[n % 3][m];
}

const char *fi_nearest(const char *name, const char *const *names, size_t n)
{
    size_t limit = strlen(name) / 3 < 2 ? 2 : strlen(name) / 3, best = limit + 1;
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(name, names[i]);
        if (d < best && d < strlen(names[i])) best = d, found = names[i];
    }
    return found;
}
