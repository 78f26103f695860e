#include "base/text.h"

#include <string.h>

size_t fi_utf8_char(const char *text, size_t n)
{
    if (n == 0) return 0;
    const unsigned char *p = (const unsigned char *)text, c = p[0];
    size_t length = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (c == 0 || length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    bool too_long = (c == 0xE0 && p[1] < 0xA0) || (c == 0xF0 && p[1] < 0x90);
    bool surrogate = c == 0xED && p[1] > 0x9F, beyond = c == 0xF4 && p[1] > 0x8F;
    return too_long || surrogate || beyond ? 0 : length;
}

bool fi_utf8_valid(const char *text, size_t n)
{
    for (size_t i = 0, length; i < n; i += length) {
        length = fi_utf8_char(text + i, n - i);
        if (length == 0) return false;
    }
    return true;
}

bool fi_text_ends(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

const char *fi_excerpt(const char *text, size_t n, char out[FI_EXCERPT_MAX])
{
    size_t at = 0, limit = FI_EXCERPT_MAX - 4;
    while (at < n) {
        size_t length = fi_utf8_char(text + at, n - at);
        if (at + (length ? length : 1) > limit) break;
        if (length)
            memcpy(out + at, text + at, length);
        else
            out[at] = '?';
        at += length ? length : 1;
    }
    strcpy(out + at, at < n ? "..." : "");
    return out;
}
