/* The few checks that cmocka lacks, and the frame of a test program. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST(name) static void name(void **state __attribute__((unused)))

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) fail_msg("%s:%d: %s does not hold", __FILE__, __LINE__, #condition);                         \
    } while (0)
#define CHECK_INT(actual, expected)                                                                                    \
    do {                                                                                                               \
        long long a_ = (long long)(actual), e_ = (long long)(expected);                                                \
        if (a_ != e_) fail_msg("%s:%d: %s is %lld, expected %lld", __FILE__, __LINE__, #actual, a_, e_);               \
    } while (0)
#define CHECK_TEXT(actual, expected)                                                                                   \
    do {                                                                                                               \
        const char *a_ = (actual), *e_ = (expected);                                                                   \
        if (strcmp(a_, e_)) fail_msg("%s:%d: %s is\n  %s\nexpected\n  %s", __FILE__, __LINE__, #actual, a_, e_);       \
    } while (0)
#define CHECK_CONTAINS(actual, part)                                                                                   \
    do {                                                                                                               \
        const char *a_ = (actual), *e_ = (part);                                                                       \
        if (!strstr(a_, e_)) fail_msg("%s:%d: %s is\n  %s\nwithout\n  %s", __FILE__, __LINE__, #actual, a_, e_);       \
    } while (0)
/* |actual - expected| <= tolerance; both NaN is a pass. */
#define CHECK_NEAR(actual, expected, tolerance)                                                                        \
    do {                                                                                                               \
        double a_ = (actual), e_ = (expected), t_ = (tolerance);                                                       \
        if (!(fabs(a_ - e_) <= t_) && !(isnan(a_) && isnan(e_)) && !(a_ == e_))                                        \
            fail_msg("%s:%d: %s is %.17g, expected %.17g within %g (off by %g)", __FILE__, __LINE__, #actual, a_, e_,  \
                     t_, a_ - e_);                                                                                     \
    } while (0)
/* Equal within `tolerance` times max(1, |expected|). */
#define CHECK_CLOSE(actual, expected, tolerance)                                                                       \
    CHECK_NEAR(actual, expected, (tolerance) * (fabs((double)(expected)) > 1.0 ? fabs((double)(expected)) : 1.0))

/* The folder of shared data. */
static inline const char *shared_dir(void)
{
    const char *dir = getenv("FORETELL_SHARED");
    return dir && *dir ? dir : FTL_SHARED_DEFAULT;
}
/* True, with a word on standard error, if a file of the shared folder is not there: `if (shared_lacks(f)) skip();` */
static inline bool shared_lacks(const char *inside)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", shared_dir(), inside);
    if (access(path, R_OK) == 0) return false;
    fprintf(stderr, "SKIPPED: %s is absent; set FORETELL_SHARED to the folder of shared data to run this test\n", path);
    return true;
}
/* For a program all of whose tests need the file: it ends as skipped. */
static inline void require_shared(const char *inside)
{
    if (shared_lacks(inside)) exit(77);
}
/* "DIR/inside" in a static buffer. */
static inline const char *shared_path(const char *inside)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", shared_dir(), inside);
    return path;
}

#endif
