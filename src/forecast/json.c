/* Forecasts as JSON. */
#include "base/json.h"
#include "base/alloc.h"
#include "base/error.h"
#include "forecast/driver.h"
#include "forecast/forecast.h"

#include <math.h>
#include <string.h>

/* Length of the UTF-8 sequence at s (n bytes left), 0 if it is none. As RFC 3629: no surrogates, nothing overlong. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) return 1;
    size_t k = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : s[0] >= 0xC0 ? 2 : 0;
    if (k == 0 || k > n || s[0] >= 0xF8) return 0;
    uint32_t code = s[0] & (0xFFu >> (k + 1));
    for (size_t i = 1; i < k; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        code = code << 6 | (s[i] & 0x3F);
    }
    return code < least[k] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) ? 0 : k;
}

json_t *fi_json_name(const char *text)
{
    json_t *value = json_string(text); /* NULL for what is not UTF-8 */
    if (value) return value;
    fi_buf clean = {0};
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        size_t k = utf8_length((const unsigned char *)text + i, n - i);
        if (k)
            fi_buf_put(&clean, text + i, k);
        else
            fi_buf_text(&clean, "\xEF\xBF\xBD"); /* U+FFFD, the replacement character */
        i += k ? k : 1;
    }
    value = clean.failed || !clean.data ? NULL : json_string(clean.data);
    fi_buf_release(&clean);
    return value;
}

static void put_text(fi_buf *out, const char *text)
{
    json_t *value = fi_json_name(text);
    if (value)
        fi_json_write(value, out);
    else
        out->failed = true;
    json_decref(value);
}

static void put_key(fi_buf *out, const char *key)
{
    if (out->size && out->data[out->size - 1] != '{') fi_buf_char(out, ',');
    put_text(out, key);
    fi_buf_char(out, ':');
}

static void put_real(fi_buf *out, double value)
{
    if (isfinite(value))
        fi_buf_double(out, value);
    else
        fi_buf_text(out, "null");
}

/* values[stride * i], i < n, as an array. */
static void put_column(fi_buf *out, const double *values, size_t n, size_t stride)
{
    fi_buf_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) fi_buf_char(out, ',');
        put_real(out, values[i * stride]);
    }
    fi_buf_char(out, ']');
}

/* [n_columns][n_rows] from a row-major [n_rows, n_columns] array: one list per level or path. */
static void put_columns(fi_buf *out, const double *values, size_t n_rows, size_t n_columns)
{
    fi_buf_char(out, '[');
    for (size_t k = 0; k < n_columns; k++) {
        if (k) fi_buf_char(out, ',');
        put_column(out, values + k, n_rows, n_columns);
    }
    fi_buf_char(out, ']');
}

static void put_times(fi_buf *out, const ftl_forecast *fc)
{
    char text[FTL_TIME_TEXT_MAX];
    const char *quote = fc->kind == FTL_TIME_INDEX ? "" : "\"";
    fi_buf_char(out, '[');
    for (size_t i = 0; i < fc->n_rows; i++) {
        ftl_time_format(fc->ds[i], fc->kind, text);
        fi_buf_text(out, i ? "," : "");
        fi_buf_text(out, quote);
        fi_buf_text(out, text);
        fi_buf_text(out, quote);
    }
    fi_buf_char(out, ']');
}

static void put_components(fi_buf *out, const ftl_forecast *fc)
{
    fi_buf_char(out, '{');
    for (size_t i = 0; i < fc->n_components; i++) {
        const fi_component *c = &fc->components[i];
        put_key(out, c->name);
        fi_buf_char(out, '{');
        put_key(out, "multiplicative");
        fi_buf_text(out, c->multiplicative ? "true" : "false");
        put_key(out, "value");
        put_column(out, c->value, fc->n_rows, 1);
        if (c->q) {
            put_key(out, "quantiles");
            put_columns(out, c->q, fc->n_rows, fc->n_levels);
        }
        fi_buf_char(out, '}');
    }
    fi_buf_char(out, '}');
}

ftl_status ftl_forecast_json(const ftl_forecast *fc, char **out, ftl_error *err)
{
    *out = NULL;
    fi_buf text = {0};
    fi_buf_char(&text, '{');
    put_key(&text, "unique_id"), put_text(&text, fc->id);
    if (fc->target) put_key(&text, "target_name"), put_text(&text, fc->target);
    put_key(&text, "model"), put_text(&text, fc->model);
    put_key(&text, "n_history"), fi_buf_printf(&text, "%zu", fc->n_history);
    put_key(&text, "ds"), put_times(&text, fc);
    put_key(&text, "point_kind"), put_text(&text, fc->point_kind);
    put_key(&text, "point"), put_column(&text, fc->point, fc->n_rows, 1);
    put_key(&text, "levels"), put_column(&text, fc->levels, fc->n_levels, 1);
    put_key(&text, "quantiles"), put_columns(&text, fc->q, fc->n_rows, fc->n_levels);
    if (fc->cap) put_key(&text, "cap"), put_column(&text, fc->cap, fc->n_rows, 1);
    if (fc->floor) put_key(&text, "floor"), put_column(&text, fc->floor, fc->n_rows, 1);
    if (fc->n_components) put_key(&text, "components"), put_components(&text, fc);
    if (fc->samples) put_key(&text, "samples"), put_columns(&text, fc->samples, fc->n_rows, fc->n_samples);
    fi_buf_char(&text, '}');
    if (text.failed) {
        fi_buf_release(&text);
        return fi_fail_memory(err);
    }
    *out = text.data;
    return FTL_OK;
}
