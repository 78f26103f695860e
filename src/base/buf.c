#include "base/buf.h"

#include "base/alloc.h"
#include "base/number.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *fi_buf_reserve(fi_buf *buf, size_t more)
{
    if (buf->failed) return NULL;
    if (more > (size_t)-1 / 4 || fi_grow(&buf->data, &buf->capacity, buf->size + more + 1, 1)) {
        buf->failed = true;
        return NULL;
    }
    return buf->data + buf->size;
}

void fi_buf_put(fi_buf *buf, const void *bytes, size_t n)
{
    char *to = fi_buf_reserve(buf, n);
    if (!to) return;
    if (n) memcpy(to, bytes, n);
    to[n] = '\0';
    buf->size += n;
}

void fi_buf_text(fi_buf *buf, const char *text)
{
    fi_buf_put(buf, text, strlen(text));
}

void fi_buf_char(fi_buf *buf, char c)
{
    fi_buf_put(buf, &c, 1);
}

void fi_buf_printf(fi_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = n < 0 ? NULL : fi_buf_reserve(buf, (size_t)n);
    if (!to) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(to, (size_t)n + 1, format, args);
    va_end(args);
    buf->size += (size_t)n;
}

void fi_buf_double(fi_buf *buf, double value)
{
    char *to = isnan(value) ? NULL : fi_buf_reserve(buf, FI_NUMBER_MAX);
    if (to) buf->size += fi_format_double(to, value);
}

void fi_buf_csv(fi_buf *buf, const char *text)
{
    size_t n = strlen(text);
    bool quote = n && (text[0] == ' ' || text[n - 1] == ' ');
    if (!quote && !strpbrk(text, ",\"\r\n")) {
        fi_buf_put(buf, text, n);
        return;
    }
    fi_buf_char(buf, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"') fi_buf_char(buf, '"');
        fi_buf_char(buf, *p);
    }
    fi_buf_char(buf, '"');
}

void fi_buf_clear(fi_buf *buf)
{
    buf->size = 0;
    if (buf->data) buf->data[0] = '\0';
}

void fi_buf_release(fi_buf *buf)
{
    fi_free(buf->data);
    *buf = (fi_buf){0};
}
