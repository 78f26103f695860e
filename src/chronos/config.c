/* Keys of config.json: types and ranges checked, messages that name file and key. */
#include "chronos/family.h"

#include "base/alloc.h"
#include "base/error.h"

enum { MAX_LEVELS = 256 };

static bool absent(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return !value || json_is_null(value);
}

/* The same of a key of `object`, which may be the config's inner one. */
static ftl_status named(const fi_chronos_source *s, const json_t *object, ftl_status st, ftl_error *err)
{
    if (st && object == s->chronos) fi_fail_prefix(err, "chronos_config");
    return fi_chronos_named(s, st, err);
}

ftl_status fi_chronos_named(const fi_chronos_source *s, ftl_status st, ftl_error *err)
{
    if (st) fi_fail_prefix(err, "%s", s->config_path);
    return st;
}

ftl_status fi_chronos_get_count(const fi_chronos_source *s, const json_t *object, const char *key, size_t low,
                                size_t high, size_t *out, ftl_error *err)
{
    int64_t value = 0;
    ftl_status st = fi_json_get_int(object, key, &value, err);
    if (!st && (value < 0 || (uint64_t)value < low || (uint64_t)value > high))
        st = fi_fail(err, FTL_EDATA, "key '%s' is %lld, but must be from %zu to %zu", key, (long long)value, low, high);
    *out = st ? 0 : (size_t)value;
    return named(s, object, st, err);
}

ftl_status fi_chronos_get_count_or(const fi_chronos_source *s, const json_t *object, const char *key, size_t low,
                                   size_t high, size_t missing, size_t *out, ftl_error *err)
{
    *out = missing;
    return absent(object, key) ? FTL_OK : fi_chronos_get_count(s, object, key, low, high, out, err);
}

ftl_status fi_chronos_check_depth(const fi_chronos_source *s, const char *stack, const char *key, size_t n,
                                  ftl_error *err)
{
    char next[80];
    snprintf(next, sizeof next, "%s.block.%zu.layer.0.layer_norm.weight", stack, n);
    if (!fi_weights_find(s->weights, next)) return FTL_OK;
    return fi_fail(err, FTL_EDATA,
                   "%s: key '%s' is %zu, but the weights have more layers ('%s'); it does not belong to these weights",
                   s->config_path, key, n, next);
}

ftl_status fi_chronos_get_real_or(const fi_chronos_source *s, const json_t *object, const char *key, double low,
                                  double high, double missing, double *out, ftl_error *err)
{
    *out = missing;
    if (absent(object, key)) return FTL_OK;
    ftl_status st = fi_json_get_real(object, key, out, err);
    if (!st && !(*out >= low && *out <= high))
        st = fi_fail(err, FTL_EDATA, "key '%s' is %g, but must be from %g to %g", key, *out, low, high);
    return named(s, object, st, err);
}

ftl_status fi_chronos_get_bool_or(const fi_chronos_source *s, const json_t *object, const char *key, bool missing,
                                  bool *out, ftl_error *err)
{
    *out = missing;
    return absent(object, key) ? FTL_OK : named(s, object, fi_json_get_bool(object, key, out, err), err);
}

ftl_status fi_chronos_get_levels(const fi_chronos_source *s, double **out, size_t *n, ftl_error *err)
{
    *n = 0;
    ftl_status st = fi_json_get_reals(s->chronos, "quantiles", out, n, err);
    if (!st && (*n < 1 || *n > MAX_LEVELS))
        st = fi_fail(err, FTL_EDATA, "key 'quantiles' has %zu levels, but must have from 1 to %d", *n, MAX_LEVELS);
    for (size_t k = 0; !st && k < *n; k++)
        if (!((*out)[k] > (k ? (*out)[k - 1] : 0) && (*out)[k] < 1))
            st = fi_fail(err, FTL_EDATA,
                         "key 'quantiles': levels must lie between 0 and 1 and increase; number %zu does not", k + 1);
    if (!st) return FTL_OK;
    fi_free(*out);
    *out = NULL;
    *n = 0;
    return named(s, s->chronos, st, err);
}
