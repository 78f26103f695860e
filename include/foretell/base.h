/**
 * @file base.h
 * What every other header needs: export marks, status codes, errors, version, progress.
 *
 * The library is a guest in its program: it does not print, exit, abort on input, install signal handlers, read the
 * environment or depend on the locale. What can fail returns ftl_status and takes `ftl_error *err` last.
 */
#ifndef FORETELL_BASE_H
#define FORETELL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FTL_API                __attribute__((visibility("default")))
#define FTL_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define FTL_API
#define FTL_PRINTF(fmt, first)
#endif

/** What became of a call. The command line maps these to its exit codes. */
typedef enum ftl_status {
    FTL_OK = 0,
    FTL_EINVAL,     /**< an argument or option is wrong */
    FTL_EDATA,      /**< the data cannot be read or used */
    FTL_EIO,        /**< a file or the system failed */
    FTL_ENOMEM,     /**< out of memory */
    FTL_ENUMERIC,   /**< numbers left the range in which a result can be given */
    FTL_ECANCELLED, /**< a progress callback asked to stop */
    FTL_EINTERNAL   /**< a bug in foretell */
} ftl_status;

/** Where a failed call leaves its message. The message stands alone: where, what, expected, how to mend it. */
typedef struct ftl_error {
    ftl_status code;
    char message[512]; /**< UTF-8, one line, cut at a character boundary if longer */
} ftl_error;

/** @return a short lower-case name of a status, "ok", "invalid argument", "data", ... Static. */
FTL_API const char *ftl_status_name(ftl_status status);

/** @return the library's version, "MAJOR.MINOR.PATCH". Static. */
FTL_API const char *ftl_version(void);

/**
 * Called now and then during long work, always from the thread that called the library.
 * @param user   as given with the callback
 * @param done   units finished (series, draws, steps)
 * @param total  units in all; 0 if not known
 * @return true to go on, false to cancel: the call then returns FTL_ECANCELLED
 */
typedef bool (*ftl_progress_fn)(void *user, size_t done, size_t total);

#ifdef __cplusplus
}
#endif
#endif
