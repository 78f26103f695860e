/**
 * @file bench.h
 * How fast the engine's kernels are on this machine, as fractions of what the machine can do.
 */
#ifndef FORETELL_BENCH_H
#define FORETELL_BENCH_H

#include <foretell/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * One measurement. `fraction` compares with a limit measured in the same moments, before and after the kernel: the peak of
 * the type's multiply-add instruction in registers alone, or, for what is bound by memory, reading as many bytes again and
 * again. Rows whose `limit` is "" are those limits themselves.
 */
typedef struct ftl_kernel_speed {
    const char *group;  /**< "limit", "product", "one row", "convolution", "attention"; "product, by oneDNN" */
    const char *kernel; /**< what was done: "20 x 512 x 2048" */
    const char *type;   /**< "F32", "BF16", "I8" */
    const char *set;    /**< the instruction set that was chosen: "AVX2"; or "oneDNN" */
    size_t threads;
    double seconds;    /**< of one run, the median */
    double per_second; /**< 1e9 operations (an addition is one, a multiplication another), or 1e9 bytes */
    const char *unit;  /**< "GF/s", "GB/s" */
    double fraction;   /**< of the limit, the median of several; 1 for limits */
    const char *limit; /**< "peak", "bandwidth", "" */
} ftl_kernel_speed;

/** Takes a row, whose strings last as long as the program; false: to stop. */
typedef bool ftl_kernel_speed_fn(void *user, const ftl_kernel_speed *row);

/**
 * Measures every kernel shape of the engine's tables and hands the rows over as they come.
 *
 * @param n_threads  threads to use; 0: one a processor
 * @param seconds    to spend on each row; every kernel runs twice at least. > 0
 * @return FTL_OK; FTL_EINVAL (seconds); FTL_ECANCELLED (row returned false); FTL_EIO (a thread could not be started);
 *         FTL_ENOMEM
 * Since 0.2.
 */
FTL_API ftl_status ftl_bench_kernels(size_t n_threads, double seconds, ftl_kernel_speed_fn *row, void *user,
                                     ftl_error *err);

#ifdef __cplusplus
}
#endif
#endif
