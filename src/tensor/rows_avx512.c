/* Row kernels for AVX-512. */
#if defined(__x86_64__)
#define ROW_SET  fi_rows_avx512
#define ROW_NAME "avx512"
#include "tensor/rows_impl.h"
#endif
