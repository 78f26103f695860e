/* What Chronos-T5 and Chronos-Bolt share: the T5 part of config.json, and the order in which rows run. */
#ifndef FI_CHRONOS_T5_COMMON_H
#define FI_CHRONOS_T5_COMMON_H

#include "chronos/family.h"
#include "models/t5.h"

/* FTL_EDATA naming file and key where one of the keys (NULL at the end) is absent from the object. */
ftl_status fi_chronos_need(const fi_chronos_source *source, const json_t *object, const char *const *keys,
                           ftl_error *err);
/* The activation that the key names; `missing` where it is absent. */
ftl_status fi_chronos_get_activation_or(const fi_chronos_source *source, const char *key, fi_activation missing,
                                        fi_activation *out, ftl_error *err);
/* Widths, activation and head as config.json has them; vocab and dropout are left to the caller. */
ftl_status fi_chronos_read_t5(const fi_chronos_source *source, fi_t5_config *out, ftl_error *err);

/*
 * The rows of a batch (all, or those with an `out`), shortest first: rows of equal length run together and nothing is
 * ever padded, so that no bit of a result depends on the others. *out is a new array (fi_free) of *n rows.
 */
ftl_status fi_chronos_by_length(const fi_chronos_batch *batch, bool all, const fi_chronos_row ***out, size_t *n,
                                ftl_error *err);
/* How many of rows[0, n) to run together: those as long as the first, at most `most`, in passes of nearly equal size. */
size_t fi_chronos_together(const fi_chronos_row *const *rows, size_t n, size_t most);

#endif
