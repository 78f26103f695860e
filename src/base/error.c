#include "base/error.h"

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

/* A message cut by the buffer may end within a UTF-8 sequence; drop the torn character. */
static void trim_torn_utf8(char *s)
{
    size_t n = strlen(s), i = n;
    while (i > 0 && n - i < 4 && ((unsigned char)s[i - 1] & 0xC0) == 0x80) i--;
    if (i == 0) return;
    unsigned char lead = (unsigned char)s[i - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (n - (i - 1) < want) s[i - 1] = '\0';
}

static void write_message(ftl_error *err, const char *format, va_list args)
{
    vsnprintf(err->message, sizeof err->message, format, args);
    for (char *p = err->message; *p; p++) /* one line, whatever a hostile name held */
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = ' ';
    trim_torn_utf8(err->message);
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
    trim_torn_utf8(err->message);
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
