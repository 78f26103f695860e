/* A growing byte buffer for building text. Failures stick: check fi_buf_failed() once, at the end. */
#ifndef FI_BASE_BUF_H
#define FI_BASE_BUF_H

#include <foretell/base.h>

typedef struct fi_buf {
    char *data; /* NUL-terminated when not NULL */
    size_t size, capacity;
    bool failed; /* memory ran out; later calls do nothing */
} fi_buf;

void fi_buf_put(fi_buf *buf, const void *bytes, size_t n);
void fi_buf_text(fi_buf *buf, const char *text);
void fi_buf_char(fi_buf *buf, char c);
void fi_buf_printf(fi_buf *buf, const char *format, ...) FTL_PRINTF(2, 3);
/* The shortest decimal that reads back equal; nothing for NaN. */
void fi_buf_double(fi_buf *buf, double value);
/* One CSV field, quoted where it must be (RFC 4180). */
void fi_buf_csv(fi_buf *buf, const char *text);
/* Makes room for `more` bytes and returns where they go (advance buf->size yourself); NULL without memory. */
char *fi_buf_reserve(fi_buf *buf, size_t more);
void fi_buf_clear(fi_buf *buf);
void fi_buf_release(fi_buf *buf);

#endif
