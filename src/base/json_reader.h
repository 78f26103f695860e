/*
 * JSON read value by value: nothing is built, so that a document costs no memory beside its text, however large or odd.
 * RFC 8259 to the letter: UTF-8, no lone surrogates, no NUL in text; containers nest 63 deep at most.
 *
 *     fi_json_reader r = fi_json_read(text, size, "model.safetensors", err);
 *     for (fi_json_enter(&r); fi_json_next(&r, &key);) ... one value is read or skipped ...
 *     st = fi_json_end(&r);
 *
 * Failures stick: after the first all calls do nothing, fi_json_peek() gives 0 and fi_json_next() false.
 */
#ifndef FI_BASE_JSON_READER_H
#define FI_BASE_JSON_READER_H

#include <foretell/base.h>

typedef struct fi_json_reader {
    const char *name, *begin, *at, *end;
    unsigned depth;        /* containers that are open */
    uint64_t object, more; /* a bit for each of them: is it an object? has it had a value? */
    ftl_status failed;
    ftl_error *err;
} fi_json_reader;

/* Text between its quotes, checked, its escapes as they stand. */
typedef struct fi_json_text {
    const char *raw;
    size_t n;
} fi_json_text;

/* Borrows text[0, size); `name` stands for it in messages. */
fi_json_reader fi_json_read(const char *text, size_t size, const char *name, ftl_error *err);
/* What the next value begins with: '{', '[', '"', '0' for any number, 't', 'f', 'n'. */
char fi_json_peek(fi_json_reader *r);
/* Into the object or array that comes next. */
void fi_json_enter(fi_json_reader *r);
/* Is there another value? Its key is left in *key, which is empty in an array. At the end of the container false, and out of it. */
bool fi_json_next(fi_json_reader *r, fi_json_text *key);
/* The next value, which must be text, or a number: true where that is whole, not negative, and fits. */
fi_json_text fi_json_get_string(fi_json_reader *r);
bool fi_json_get_size(fi_json_reader *r, size_t *out);
void fi_json_skip(fi_json_reader *r);
/* Nothing may follow. The status of all that was read. */
ftl_status fi_json_end(fi_json_reader *r);

bool fi_json_text_is(fi_json_text text, const char *expected);
/* The text without escapes, at most text.n bytes at `out`, no NUL after them; how many. */
size_t fi_json_unescape(fi_json_text text, char *out);

#endif
