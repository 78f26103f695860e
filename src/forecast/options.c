/* Option tables: defaults, parsing, ranges, formatting. One walk over a table serves every forecaster. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/number.h"
#include "forecast/forecaster.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static void *field(const ftl_config *config, const fi_option *o)
{
    return (char *)config->values + o->offset;
}

static char fold(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static bool same_name(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b)) a++, b++;
    return !*a && !*b;
}

size_t ftl_forecaster_count(void)
{
    return fi_n_forecasters;
}

const ftl_forecaster *ftl_forecaster_at(size_t i)
{
    return i < fi_n_forecasters ? fi_forecasters[i] : NULL;
}

const ftl_forecaster *ftl_forecaster_find(const char *name)
{
    for (size_t i = 0; i < fi_n_forecasters; i++)
        if (same_name(fi_forecasters[i]->name, name)) return fi_forecasters[i];
    return NULL;
}

const char *ftl_forecaster_name(const ftl_forecaster *f)
{
    return f->name;
}

const char *ftl_forecaster_summary(const ftl_forecaster *f)
{
    return f->summary;
}

const char *ftl_forecaster_source(const ftl_forecaster *f)
{
    return f->source;
}

unsigned ftl_forecaster_capabilities(const ftl_forecaster *f)
{
    return f->capabilities;
}

bool ftl_forecaster_batches(const ftl_forecaster *f)
{
    return f->predict_batch != NULL;
}

size_t ftl_forecaster_n_options(const ftl_forecaster *f)
{
    return f->n_options;
}

const char *ftl_forecaster_first_option(const ftl_forecaster *f)
{
    return f->first_option;
}

ftl_option_info ftl_forecaster_option(const ftl_forecaster *f, size_t i)
{
    return i < f->n_options ? f->options[i].info : (ftl_option_info){0};
}

/* ---- values from text ------------------------------------------------------------------------------------------- */

static bool parse_flag(const char *text, bool *out)
{
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    for (size_t i = 0; i < 8; i++)
        if (!strcasecmp(text, words[i])) {
            *out = i < 4;
            return true;
        }
    return false;
}

/* The position of a word in "linear|logistic|flat", or -1. */
static int find_choice(const char *choices, const char *word)
{
    size_t n = strlen(word);
    int i = 0;
    for (const char *p = choices;; i++) {
        size_t length = strcspn(p, "|");
        if (length == n && !strncasecmp(p, word, n)) return i;
        if (!p[length]) return -1;
        p += length + 1;
    }
}

static ftl_status parse_choice(const ftl_option_info *info, const char *text, int *out, ftl_error *err)
{
    int i = *text ? find_choice(info->choices, text) : -1;
    if (i >= 0) {
        *out = i;
        return FTL_OK;
    }
    enum { MOST = 32 };
    char words[512];
    const char *names[MOST];
    size_t n = 0, length = strlen(info->choices);
    const char *near = NULL;
    if (length < sizeof words) {
        memcpy(words, info->choices, length + 1);
        for (char *p = words; p && n < MOST;) {
            names[n++] = p;
            p = strchr(p, '|');
            if (p) *p++ = '\0';
        }
        near = fi_nearest(text, names, n);
    }
    if (near)
        return fi_fail(err, FTL_EINVAL, "option '%s' is '%s', but must be one of %s; did you mean '%s'?", info->name,
                       text, info->choices, near);
    return fi_fail(err, FTL_EINVAL, "option '%s' is '%s', but must be one of %s", info->name, text, info->choices);
}

/* "at least 0 and at most 1", with the open ends left out. Tiny positive minima mean "above 0". */
static void describe_range(const ftl_option_info *info, fi_buf *out)
{
    bool low = info->min > -INFINITY, high = info->max < INFINITY;
    if (low && info->min > 0 && info->min < 1e-200) {
        fi_buf_text(out, "above 0");
    } else if (low) {
        fi_buf_text(out, "at least ");
        fi_buf_double(out, info->min);
    }
    if (low && high) fi_buf_text(out, " and ");
    if (high) {
        fi_buf_text(out, "at most ");
        fi_buf_double(out, info->max);
    }
}

static ftl_status out_of_range(const ftl_option_info *info, const char *text, ftl_error *err)
{
    fi_buf range = {0};
    describe_range(info, &range);
    ftl_status st = range.failed || !range.data
                        ? fi_fail_memory(err)
                        : fi_fail(err, FTL_EINVAL, "option '%s' is '%s', but must be %s", info->name, text, range.data);
    fi_buf_release(&range);
    return st;
}

static ftl_status set_value(ftl_config *config, const fi_option *o, const char *text, ftl_error *err)
{
    const ftl_option_info *info = &o->info;
    switch (info->type) {
    case FTL_OPTION_FLAG:
        if (!parse_flag(text, field(config, o)))
            return fi_fail(err, FTL_EINVAL, "option '%s' is '%s', but must be true or false", info->name, text);
        return FTL_OK;
    case FTL_OPTION_COUNT: {
        int64_t value;
        if (!fi_parse_int64(text, strlen(text), &value))
            return fi_fail(err, FTL_EINVAL, "option '%s' is '%s', but must be a whole number", info->name, text);
        if (!((double)value >= info->min && (double)value <= info->max)) return out_of_range(info, text, err);
        memcpy(field(config, o), &value, sizeof value);
        return FTL_OK;
    }
    case FTL_OPTION_REAL: {
        double value;
        if (!fi_parse_double(text, strlen(text), &value) || !isfinite(value))
            return fi_fail(err, FTL_EINVAL, "option '%s' is '%s', but must be a number", info->name, text);
        if (!(value >= info->min && value <= info->max)) return out_of_range(info, text, err);
        memcpy(field(config, o), &value, sizeof value);
        return FTL_OK;
    }
    case FTL_OPTION_CHOICE: return parse_choice(info, text, field(config, o), err);
    case FTL_OPTION_TEXT: {
        char **slot = field(config, o), *copy = *text ? fi_strdup(text) : NULL;
        if (*text && !copy) return fi_fail_memory(err);
        fi_free(*slot);
        *slot = copy;
        return FTL_OK;
    }
    case FTL_OPTION_ITEM: return o->parse(config->values, text, err);
    }
    return fi_fail(err, FTL_EINTERNAL, "option '%s' has no type", info->name);
}

static const fi_option *find_option(const ftl_forecaster *f, const char *name)
{
    for (size_t i = 0; i < f->n_options; i++)
        if (same_name(f->options[i].info.name, name)) return &f->options[i];
    return NULL;
}

static ftl_status unknown_option(const ftl_forecaster *f, const char *name, ftl_error *err)
{
    enum { MOST = 128 };
    const char *names[MOST];
    size_t n = f->n_options < MOST ? f->n_options : MOST;
    for (size_t i = 0; i < n; i++) names[i] = f->options[i].info.name;
    const char *near = fi_nearest(name, names, n);
    if (near) return fi_fail(err, FTL_EINVAL, "%s has no option '%s'; did you mean '%s'?", f->name, name, near);
    return fi_fail(err, FTL_EINVAL, "%s has no option '%s'; 'foretell models %s' lists its options", f->name, name,
                   f->name);
}

ftl_status ftl_config_set(ftl_config *config, const char *option, const char *value, ftl_error *err)
{
    const fi_option *o = find_option(config->forecaster, option);
    if (!o) return unknown_option(config->forecaster, option, err);
    ftl_error detail;
    ftl_status st = set_value(config, o, value, &detail);
    return st ? fi_fail(err, st, "%s: %s", config->forecaster->name, detail.message) : FTL_OK;
}

/* ---- configurations --------------------------------------------------------------------------------------------- */

static ftl_status unknown_forecaster(const char *name, ftl_error *err)
{
    enum { MOST = 64 };
    const char *names[MOST];
    size_t n = fi_n_forecasters < MOST ? fi_n_forecasters : MOST;
    for (size_t i = 0; i < n; i++) names[i] = fi_forecasters[i]->name;
    const char *near = fi_nearest(name, names, n);
    if (near) return fi_fail(err, FTL_EINVAL, "there is no model '%s'; did you mean '%s'?", name, near);
    if (strchr(name, '/'))
        return fi_fail(err, FTL_EINVAL,
                       "there is no model '%s'; the directory of a pretrained one is given as chronos:%s", name, name);
    return fi_fail(err, FTL_EINVAL, "there is no model '%s'; 'foretell models' lists them", name);
}

static ftl_status set_defaults(ftl_config *config, ftl_error *err)
{
    const ftl_forecaster *f = config->forecaster;
    for (size_t i = 0; i < f->n_options; i++) {
        const fi_option *o = &f->options[i];
        ftl_status st = o->info.type == FTL_OPTION_ITEM ? FTL_OK : set_value(config, o, o->info.default_text, err);
        if (st) return st;
    }
    return FTL_OK;
}

static ftl_status config_new(const ftl_forecaster *f, ftl_config **out, ftl_error *err)
{
    *out = NULL;
    ftl_config *config = fi_calloc(1, sizeof *config);
    if (!config) return fi_fail_memory(err);
    config->forecaster = f;
    config->values = fi_calloc(1, f->config_size);
    ftl_status st = config->values ? set_defaults(config, err) : fi_fail_memory(err);
    if (!st && f->init_config) st = f->init_config(config->values, err);
    if (st) {
        ftl_config_free(config);
        return st;
    }
    *out = config;
    return FTL_OK;
}

/* Is a first word the value of the option that needs no name? A path may contain '='. */
static bool is_bare(const ftl_forecaster *f, const char *pair)
{
    const char *equals = strchr(pair, '='), *slash = strchr(pair, '/');
    if (equals) return slash && slash < equals;
    return !find_option(f, pair);
}

/* Sets "option=value" or a bare "flag", already free of backslashes; the first one may be a value alone. */
static ftl_status set_pair(ftl_config *config, char *pair, bool first, ftl_error *err)
{
    char *equals = strchr(pair, '=');
    const char *first_option = config->forecaster->first_option;
    if (first && first_option && is_bare(config->forecaster, pair))
        return ftl_config_set(config, first_option, pair, err);
    if (equals) {
        *equals = '\0';
        return ftl_config_set(config, pair, equals + 1, err);
    }
    const fi_option *o = find_option(config->forecaster, pair);
    if (o && o->info.type != FTL_OPTION_FLAG)
        return fi_fail(err, FTL_EINVAL, "%s: option '%s' needs a value: %s=%s", config->forecaster->name, o->info.name,
                       o->info.name, o->info.value_name ? o->info.value_name : "VALUE");
    return ftl_config_set(config, pair, "true", err);
}

/* Sets option=value,option=value; `text` is taken apart in place. */
static ftl_status set_pairs(ftl_config *config, char *text, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (char *next = text; next && !st;) {
        char *pair = next, *to = next, *from = next;
        for (; *from && *from != ','; from++) {
            if (*from == '\\' && from[1]) from++;
            *to++ = *from;
        }
        next = *from ? from + 1 : NULL;
        *to = '\0';
        if (*pair) st = set_pair(config, pair, pair == text, err);
    }
    return st;
}

ftl_status ftl_config_new(const char *spec, ftl_config **out, ftl_error *err)
{
    *out = NULL;
    ftl_config *config = NULL;
    char *text = fi_strdup(spec);
    if (!text) return fi_fail_memory(err);
    char *pairs = strchr(text, ':');
    if (pairs) *pairs++ = '\0';
    const ftl_forecaster *f = ftl_forecaster_find(text);
    ftl_status st = f ? config_new(f, &config, err) : unknown_forecaster(text, err);
    if (!st && pairs) st = set_pairs(config, pairs, err);
    if (!st && f->check) st = f->check(config->values, err);
    if (!st) {
        *out = config;
        config = NULL;
    }
    ftl_config_free(config);
    fi_free(text);
    return st;
}

ftl_status ftl_config_capabilities(const ftl_config *config, unsigned *out, ftl_error *err)
{
    const ftl_forecaster *f = config->forecaster;
    *out = f->capabilities;
    return f->config_capabilities ? f->config_capabilities(config->values, out, err) : FTL_OK;
}

const ftl_forecaster *ftl_config_forecaster(const ftl_config *config)
{
    return config->forecaster;
}

void ftl_config_free(ftl_config *config)
{
    if (!config) return;
    const ftl_forecaster *f = config->forecaster;
    if (config->values) {
        for (size_t i = 0; i < f->n_options; i++)
            if (f->options[i].info.type == FTL_OPTION_TEXT) fi_free(*(char **)field(config, &f->options[i]));
        if (f->release_config) f->release_config(config->values);
    }
    fi_free(config->values);
    fi_free(config);
}

/* ---- text from values ------------------------------------------------------------------------------------------- */

static void put_choice(fi_buf *out, const char *choices, int index)
{
    const char *p = choices;
    for (int i = 0; i < index; i++) p += strcspn(p, "|") + 1;
    fi_buf_put(out, p, strcspn(p, "|"));
}

/* The value of a plain option as text. */
static void put_value(const ftl_config *config, const fi_option *o, fi_buf *out)
{
    const void *at = field(config, o);
    switch (o->info.type) {
    case FTL_OPTION_FLAG: fi_buf_text(out, *(const bool *)at ? "true" : "false"); break;
    case FTL_OPTION_COUNT: fi_buf_printf(out, "%lld", (long long)*(const int64_t *)at); break;
    case FTL_OPTION_REAL: fi_buf_double(out, *(const double *)at); break;
    case FTL_OPTION_CHOICE: put_choice(out, o->info.choices, *(const int *)at); break;
    case FTL_OPTION_TEXT: fi_buf_text(out, *(char *const *)at ? *(char *const *)at : ""); break;
    case FTL_OPTION_ITEM: break;
    }
}

ftl_status ftl_config_get(const ftl_config *config, const char *option, char **out, ftl_error *err)
{
    fi_buf text = {0};
    const fi_option *o = find_option(config->forecaster, option);
    *out = NULL;
    if (!o) return unknown_option(config->forecaster, option, err);
    if (o->info.type == FTL_OPTION_ITEM)
        return fi_fail(err, FTL_EINVAL, "%s: option '%s' has no single value", config->forecaster->name, o->info.name);
    fi_buf_text(&text, "");
    put_value(config, o, &text);
    if (text.failed || !text.data) {
        fi_buf_release(&text);
        return fi_fail_memory(err);
    }
    *out = text.data;
    return FTL_OK;
}

static bool same_value(const ftl_config *a, const ftl_config *b, const fi_option *o)
{
    const void *x = field(a, o), *y = field(b, o);
    switch (o->info.type) {
    case FTL_OPTION_FLAG: return *(const bool *)x == *(const bool *)y;
    case FTL_OPTION_COUNT: return *(const int64_t *)x == *(const int64_t *)y;
    case FTL_OPTION_REAL: return !memcmp(x, y, sizeof(double));
    case FTL_OPTION_CHOICE: return *(const int *)x == *(const int *)y;
    case FTL_OPTION_TEXT: {
        const char *s = *(char *const *)x, *t = *(char *const *)y;
        return !strcmp(s ? s : "", t ? t : "");
    }
    case FTL_OPTION_ITEM: break;
    }
    return true;
}

static void put_pair(const char *name, const fi_buf *value, char *separator, fi_buf *out)
{
    fi_buf_char(out, *separator);
    *separator = ',';
    fi_buf_text(out, name);
    fi_buf_char(out, '=');
    for (size_t i = 0; i < value->size; i++) {
        if (value->data[i] == ',' || value->data[i] == '\\') fi_buf_char(out, '\\');
        fi_buf_char(out, value->data[i]);
    }
    if (value->failed) out->failed = true;
}

/* One pair for each item of an option. */
static ftl_status put_items(const ftl_config *config, const fi_option *o, char *separator, fi_buf *out, ftl_error *err)
{
    ftl_status st = FTL_OK;
    fi_buf value = {0};
    for (size_t index = 0; !st; index++) {
        fi_buf_clear(&value);
        st = o->format(config->values, index, &value, err);
        if (st || !value.size) break;
        put_pair(o->info.name, &value, separator, out);
    }
    if (value.failed) out->failed = true;
    fi_buf_release(&value);
    return st;
}

void ftl_config_tell(ftl_config *config, const char *option, size_t value)
{
    const fi_option *o = find_option(config->forecaster, option);
    int64_t *field_value = o && o->info.type == FTL_OPTION_COUNT ? field(config, o) : NULL;
    if (!field_value || *field_value || strcmp(o->info.default_text, "0") != 0) return;
    if ((double)value <= o->info.max) *field_value = (int64_t)value;
}

ftl_status ftl_config_text(const ftl_config *config, char **out, ftl_error *err)
{
    *out = NULL;
    const ftl_forecaster *f = config->forecaster;
    fi_buf text = {0}, value = {0};
    char separator = ':';
    ftl_config *plain = NULL;
    ftl_status st = config_new(f, &plain, err);
    fi_buf_text(&text, f->name);
    for (size_t i = 0; i < f->n_options && !st; i++) {
        const fi_option *o = &f->options[i];
        if (o->info.type == FTL_OPTION_ITEM) {
            if (o->format) st = put_items(config, o, &separator, &text, err);
        } else if (!same_value(config, plain, o)) {
            fi_buf_clear(&value);
            put_value(config, o, &value);
            put_pair(o->info.name, &value, &separator, &text);
        }
    }
    if (!st && text.failed) st = fi_fail_memory(err);
    if (!st) {
        *out = text.data;
        text = (fi_buf){0};
    }
    ftl_config_free(plain);
    fi_buf_release(&text);
    fi_buf_release(&value);
    return st;
}
