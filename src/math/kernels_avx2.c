/* Kernels for AVX2 with FMA. */
#if defined(__x86_64__)
#define KERNEL_LANES 4
#define KERNEL_SET   fi_kernels_avx2
#define KERNEL_NAME  "avx2"
#include "math/kernels_impl.h"
#endif
