/* Processors. */
#ifndef FI_BASE_THREADS_H
#define FI_BASE_THREADS_H

#include <stddef.h>

/* Number of processors this process may run on, at least 1. */
size_t fi_cpu_count(void);

#endif
