/* How much memory this process has used. */
#ifndef FI_BASE_MEMORY_H
#define FI_BASE_MEMORY_H

/* Forgets the highest resident memory seen so far, where the system can (Linux); elsewhere it does nothing. */
void fi_peak_memory_reset(void);
/* The highest resident memory since then, in bytes; NaN where the system does not say. */
double fi_peak_memory(void);

#endif
