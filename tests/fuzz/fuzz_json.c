/* Any bytes as JSON: the reader that builds nothing takes and refuses what jansson does, but for what the two limit. */
#include "base/json_reader.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_error_t why;
    ftl_error err = {FTL_OK, ""};
    fi_json_reader r = fi_json_read((const char *)data, size, "fuzz", &err);
    fi_json_skip(&r);
    const ftl_status st = fi_json_end(&r);
    if (size && memchr(data, 0, size)) return 0; /* jansson passes over NUL */
    json_t *value = json_loadb((const char *)data, size, JSON_DECODE_ANY, &why);
    if (st && (!*err.message || err.code != st)) abort();
    if (st && value && !strstr(err.message, "nests too deep")) abort();
    if (!st && !value && !strstr(why.text, "too big") && !strstr(why.text, "too large") &&
        !strstr(why.text, "overflow"))
        abort();
    json_decref(value);
    if (st || !size) return 0;
    r = fi_json_read((const char *)data, size, "fuzz", &err); /* text comes out as jansson has it */
    if (fi_json_peek(&r) != '"') return 0;
    const fi_json_text text = fi_json_get_string(&r);
    char *plain = malloc(text.n + 1);
    const size_t n = fi_json_unescape(text, plain);
    value = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    if (!value || json_string_length(value) != n || memcmp(json_string_value(value), plain, n) != 0) abort();
    json_decref(value);
    free(plain);
    return 0;
}
