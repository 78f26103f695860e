/* Kernels for AVX-512. */
#if defined(__x86_64__)
#define KERNEL_LANES 8
#define KERNEL_SET   fi_kernels_avx512
#define KERNEL_NAME  "avx512"
#include "math/kernels_impl.h"
#endif
