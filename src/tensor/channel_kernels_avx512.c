/* Channel kernels for AVX-512. */
#if defined(__x86_64__)
#define CHANNEL_SET  fi_channel_kernels_avx512
#define CHANNEL_NAME "avx512"
#include "tensor/channel_kernels_impl.h"
#endif
