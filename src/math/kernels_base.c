/* Kernels for any processor: two lanes are SSE2 on x86-64 and NEON on ARM64. */
#define KERNEL_LANES 2
#define KERNEL_SET   fi_kernels_base
#define KERNEL_NAME  "base"
#include "math/kernels_impl.h"
