/* Channel kernels for AVX2 with FMA. */
#if defined(__x86_64__)
#define CHANNEL_SET  fi_channel_kernels_avx2
#define CHANNEL_NAME "avx2"
#include "tensor/channel_kernels_impl.h"
#endif
