#include "base/json.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

ftl_status fi_json_parse(const char *text, size_t size, const char *name, json_t **out, ftl_error *err)
{
    json_error_t e;
    *out = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &e);
    if (!*out) return fi_fail(err, FTL_EDATA, "%s:%d: column %d: not valid JSON: %s", name, e.line, e.column, e.text);
    return FTL_OK;
}

static void write_string(const char *s, size_t n, fi_buf *out)
{
    fi_buf_char(out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            fi_buf_char(out, '\\'), fi_buf_char(out, (char)c);
        else if (c == '\n')
            fi_buf_text(out, "\\n");
        else if (c < 0x20 || c == 0x7F)
            fi_buf_printf(out, "\\u%04x", c);
        else
            fi_buf_char(out, (char)c);
    }
    fi_buf_char(out, '"');
}

static void write_real(double value, fi_buf *out)
{
    if (!isfinite(value)) {
        fi_buf_text(out, "null");
        return;
    }
    size_t start = out->size;
    fi_buf_double(out, value);
    if (!out->failed && !strpbrk(out->data + start, ".e")) fi_buf_text(out, ".0"); /* stays a real for every reader */
}

void fi_json_write(const json_t *value, fi_buf *out)
{
    const char *key, *separator = "";
    json_t *child;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        fi_buf_char(out, '{');
        json_object_foreach((json_t *)value, key, child)
        {
            fi_buf_text(out, separator);
            write_string(key, strlen(key), out);
            fi_buf_char(out, ':');
            fi_json_write(child, out);
            separator = ",";
        }
        fi_buf_char(out, '}');
        break;
    case JSON_ARRAY:
        fi_buf_char(out, '[');
        json_array_foreach(value, i, child)
        {
            fi_buf_text(out, separator);
            fi_json_write(child, out);
            separator = ",";
        }
        fi_buf_char(out, ']');
        break;
    case JSON_STRING: write_string(json_string_value(value), json_string_length(value), out); break;
    case JSON_INTEGER: fi_buf_printf(out, "%lld", (long long)json_integer_value(value)); break;
    case JSON_REAL: write_real(json_real_value(value), out); break;
    case JSON_TRUE: fi_buf_text(out, "true"); break;
    case JSON_FALSE: fi_buf_text(out, "false"); break;
    case JSON_NULL: fi_buf_text(out, "null"); break;
    }
}

json_t *fi_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *fi_json_reals(const double *values, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(array, fi_json_real(values[i]))) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "text",  "an integer",
                                        "a real",    "true",     "false", "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

static ftl_status wrong_type(const char *key, const json_t *value, const char *expected, ftl_error *err)
{
    return fi_fail(err, FTL_EDATA, "key '%s': expected %s, found %s", key, expected, type_name(value));
}

ftl_status fi_json_get_real(const json_t *object, const char *key, double *out, ftl_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value) && !json_is_null(value)) return wrong_type(key, value, "a number", err);
    *out = json_is_null(value) ? NAN : json_number_value(value);
    return FTL_OK;
}

ftl_status fi_json_get_int(const json_t *object, const char *key, int64_t *out, ftl_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value)) return wrong_type(key, value, "an integer", err);
    *out = json_integer_value(value);
    return FTL_OK;
}

ftl_status fi_json_get_bool(const json_t *object, const char *key, bool *out, ftl_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value)) return wrong_type(key, value, "true or false", err);
    *out = json_is_true(value);
    return FTL_OK;
}

ftl_status fi_json_get_text(const json_t *object, const char *key, const char **out, ftl_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) return wrong_type(key, value, "text", err);
    *out = json_string_value(value);
    return FTL_OK;
}

static size_t count_reals(const json_t *value)
{
    if (json_is_number(value) || json_is_null(value)) return 1;
    if (!json_is_array(value)) return (size_t)-1;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(value); i++) {
        size_t more = count_reals(json_array_get(value, i));
        if (more == (size_t)-1) return more;
        n += more;
    }
    return n;
}

static double *fill_reals(const json_t *value, double *out)
{
    if (!json_is_array(value)) {
        *out = json_is_null(value) ? NAN : json_number_value(value);
        return out + 1;
    }
    for (size_t i = 0; i < json_array_size(value); i++) out = fill_reals(json_array_get(value, i), out);
    return out;
}

ftl_status fi_json_get_reals(const json_t *object, const char *key, double **out, size_t *n, ftl_error *err)
{
    *out = NULL;
    const json_t *value = json_object_get(object, key);
    size_t count = json_is_array(value) ? count_reals(value) : (size_t)-1;
    if (count == (size_t)-1) return wrong_type(key, value, "an array of numbers", err);
    *out = fi_alloc(count, sizeof **out);
    if (!*out) return fi_fail_memory(err);
    fill_reals(value, *out);
    *n = count;
    return FTL_OK;
}
