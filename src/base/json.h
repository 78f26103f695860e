/* JSON through jansson, with checks that name the place of what is wrong. */
#ifndef FI_BASE_JSON_H
#define FI_BASE_JSON_H

#include "base/buf.h"

#include <jansson.h>

/* Parses one JSON document (depth and syntax checked). `name` stands for it in messages: "model.json:3: ...". */
ftl_status fi_json_parse(const char *text, size_t size, const char *name, json_t **out, ftl_error *err);
/* Writes compact JSON: keys in insertion order, reals in the shortest form that reads back equal, NaN/inf as null. */
void fi_json_write(const json_t *value, fi_buf *out);

/* A real, or null for NaN and infinities (new reference). */
json_t *fi_json_real(double value);
json_t *fi_json_reals(const double *values, size_t n);

/*
 * Getters: the member `key` of `object`, with its type checked; FTL_EDATA names the key, what was found and what is
 * expected. Reals accept integers, and null as NaN.
 */
ftl_status fi_json_get_real(const json_t *object, const char *key, double *out, ftl_error *err);
ftl_status fi_json_get_int(const json_t *object, const char *key, int64_t *out, ftl_error *err);
ftl_status fi_json_get_bool(const json_t *object, const char *key, bool *out, ftl_error *err);
ftl_status fi_json_get_text(const json_t *object, const char *key, const char **out, ftl_error *err);
/* A new array of reals (fi_free), flat; nested arrays are flattened in order. */
ftl_status fi_json_get_reals(const json_t *object, const char *key, double **out, size_t *n, ftl_error *err);

#endif
