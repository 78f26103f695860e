/* Filling an ftl_error. */
#ifndef FI_BASE_ERROR_H
#define FI_BASE_ERROR_H

#include <foretell/base.h>

/* Writes code and message to err (NULL is fine) and returns code, so that `return fi_fail(...)` reads well. */
ftl_status fi_fail(ftl_error *err, ftl_status code, const char *format, ...) FTL_PRINTF(3, 4);

/* fi_fail(err, FTL_ENOMEM, "out of memory"). */
ftl_status fi_fail_memory(ftl_error *err);

/* Puts "prefix: " before the message that err already holds and returns its code. */
ftl_status fi_fail_prefix(ftl_error *err, const char *format, ...) FTL_PRINTF(2, 3);

/*
 * Of `n` names the one nearest to `name` by edit distance, or NULL when none is near (distance above a third of its
 * length, at least 2). For "did you mean". Names are compared without regard to case, '-' and '_'.
 */
const char *fi_nearest(const char *name, const char *const *names, size_t n);

#endif
