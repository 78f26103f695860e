/* Convolution kernels for AVX-512. */
#if defined(__x86_64__)
#define CONV_LANES 16
#define CONV_ROWS  8
#define CONV_SET   fi_conv_kernels_avx512
#define CONV_NAME  "avx512"
#include "tensor/conv_kernels_impl.h"
#endif
