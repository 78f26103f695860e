#include "base/json_reader.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

enum { MAX_DEPTH = 63 };

static void fail(fi_json_reader *r, const char *what)
{
    if (r->failed) return;
    r->failed =
        fi_fail(r->err, FTL_EDATA, "%s: not valid JSON at byte %zu: %s", r->name, (size_t)(r->at - r->begin), what);
    r->at = r->end;
}

fi_json_reader fi_json_read(const char *text, size_t size, const char *name, ftl_error *err)
{
    return (fi_json_reader){.name = name, .begin = text, .at = text, .end = text + size, .err = err};
}

static void blanks(fi_json_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) r->at++;
}

/* The next byte that is no blank, 0 at the end. */
static char look(fi_json_reader *r)
{
    blanks(r);
    return r->at < r->end ? *r->at : '\0';
}

static bool accept(fi_json_reader *r, char c)
{
    bool is = look(r) == c && r->at < r->end;
    r->at += is;
    return is;
}

char fi_json_peek(fi_json_reader *r)
{
    const char c = look(r);
    if (c == '-' || (c >= '0' && c <= '9')) return '0';
    if (c && strchr("{[\"tfn", c)) return c;
    fail(r, "a value is expected");
    return '\0';
}

/* ---- containers ---- */

void fi_json_enter(fi_json_reader *r)
{
    const char c = fi_json_peek(r);
    if (c != '{' && c != '[') fail(r, "an object or an array is expected");
    if (r->depth == MAX_DEPTH) fail(r, "it nests too deep");
    if (r->failed) return;
    const uint64_t bit = (uint64_t)1 << r->depth++;
    r->at++;
    r->more &= ~bit;
    r->object = c == '{' ? r->object | bit : r->object & ~bit;
}

bool fi_json_next(fi_json_reader *r, fi_json_text *key)
{
    if (r->failed || !r->depth) return false;
    const uint64_t bit = (uint64_t)1 << (r->depth - 1);
    const bool object = r->object & bit;
    if (accept(r, object ? '}' : ']')) {
        r->depth--;
        return false;
    }
    if (r->more & bit && !accept(r, ',')) fail(r, object ? "',' or '}' is expected" : "',' or ']' is expected");
    r->more |= bit;
    const fi_json_text found = object ? fi_json_get_string(r) : (fi_json_text){"", 0};
    if (object && !accept(r, ':')) fail(r, "':' is expected");
    if (key) *key = found;
    return !r->failed;
}

/* ---- text ---- */

/* The code unit of the four digits at s; -1: they are none. */
static int hex4(const char *s, const char *end)
{
    int unit = 0;
    if (end - s < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char c = s[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) return out[0] = (char)c, 1;
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00 >> n) | c);
    return n;
}

/* What the escape after a backslash at s stands for goes to out, *n bytes; how long it is, 0: it is none. */
static size_t unescape(const char *s, const char *end, char out[4], size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = s < end && *s ? strchr(from, *s) : NULL;
    *n = 1;
    if (simple) return out[0] = to[simple - from], 1;
    if (s == end || *s != 'u') return 0;
    const int high = hex4(s + 1, end);
    if (high <= 0 || (high >= 0xDC00 && high <= 0xDFFF)) return 0;
    if (high < 0xD800 || high > 0xDBFF) return *n = put_utf8((uint32_t)high, out), 5;
    const int low = end - s >= 11 && s[5] == '\\' && s[6] == 'u' ? hex4(s + 7, end) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return 0;
    *n = put_utf8(0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00), out);
    return 11;
}

fi_json_text fi_json_get_string(fi_json_reader *r)
{
    char scratch[4];
    size_t n;
    if (!r->failed && !accept(r, '"')) fail(r, "text is expected");
    const char *raw = r->at;
    while (!r->failed) {
        if (r->at == r->end) {
            fail(r, "text without an end");
        } else if (*r->at == '"') {
            return (fi_json_text){raw, (size_t)(r->at++ - raw)};
        } else if ((unsigned char)*r->at < 0x20) {
            fail(r, "a control character in text");
        } else if (*r->at == '\\') {
            size_t length = unescape(r->at + 1, r->end, scratch, &n);
            if (length)
                r->at += 1 + length;
            else
                fail(r, "an escape that is none");
        } else {
            size_t length = fi_utf8_char(r->at, (size_t)(r->end - r->at));
            if (length)
                r->at += length;
            else
                fail(r, "text that is not UTF-8");
        }
    }
    return (fi_json_text){"", 0};
}

size_t fi_json_unescape(fi_json_text text, char *out)
{
    const char *s = text.raw, *end = text.raw + text.n;
    char *to = out;
    while (s < end) {
        const char *backslash = memchr(s, '\\', (size_t)(end - s));
        const size_t plain = (size_t)((backslash ? backslash : end) - s);
        memcpy(to, s, plain);
        to += plain;
        s += plain;
        if (!backslash) break;
        char character[4] = {0};
        size_t n;
        s += 1 + unescape(s + 1, end, character, &n);
        memcpy(to, character, n);
        to += n;
    }
    return (size_t)(to - out);
}

bool fi_json_text_is(fi_json_text text, const char *expected)
{
    char plain[128]; /* an escape is at most six times as long as what it stands for */
    if (text.n > sizeof plain) return false;
    const size_t n = fi_json_unescape(text, plain);
    return n == strlen(expected) && !memcmp(plain, expected, n);
}

/* ---- numbers and words ---- */

static size_t digits(fi_json_reader *r)
{
    const char *begin = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
    return (size_t)(r->at - begin);
}

/* Past a number; was it whole? */
static bool scan_number(fi_json_reader *r)
{
    bool whole = true;
    if (*r->at == '-') r->at++;
    const char *first = r->at;
    const size_t n = digits(r);
    if (!n || (n > 1 && *first == '0')) return fail(r, "a number that is none"), false;
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        whole = false;
        if (!digits(r)) fail(r, "a number that is none");
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        whole = false;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
        if (!digits(r)) fail(r, "a number that is none");
    }
    return whole && !r->failed;
}

bool fi_json_get_size(fi_json_reader *r, size_t *out)
{
    *out = 0;
    if (fi_json_peek(r) != '0') fail(r, "a number is expected");
    if (r->failed) return false;
    const char *s = r->at;
    if (!scan_number(r) || *s == '-') return false;
    for (; s < r->at; s++)
        if (__builtin_mul_overflow(*out, (size_t)10, out) || __builtin_add_overflow(*out, (size_t)(*s - '0'), out))
            return false;
    return true;
}

static void scan_word(fi_json_reader *r, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        fail(r, "a value is expected");
    else
        r->at += n;
}

void fi_json_skip(fi_json_reader *r)
{
    const unsigned depth = r->depth;
    do {
        switch (fi_json_peek(r)) {
        case '{':
        case '[': fi_json_enter(r); break;
        case '"': fi_json_get_string(r); break;
        case '0': scan_number(r); break;
        case 't': scan_word(r, "true"); break;
        case 'f': scan_word(r, "false"); break;
        case 'n': scan_word(r, "null"); break;
        default: return;
        }
        while (r->depth > depth && !fi_json_next(r, NULL) && !r->failed) continue; /* out of what has ended */
    } while (r->depth > depth && !r->failed);
}

ftl_status fi_json_end(fi_json_reader *r)
{
    if (!r->failed && look(r)) fail(r, "something follows the end");
    if (!r->failed && r->at < r->end) fail(r, "something follows the end"); /* a NUL */
    return r->failed;
}
