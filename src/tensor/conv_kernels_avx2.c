/* Convolution kernels for AVX2 with FMA. */
#if defined(__x86_64__)
#define CONV_LANES 8
#define CONV_ROWS  6
#define CONV_SET   fi_conv_kernels_avx2
#define CONV_NAME  "avx2"
#include "tensor/conv_kernels_impl.h"
#endif
