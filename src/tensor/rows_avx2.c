/* Row kernels for AVX2. */
#if defined(__x86_64__)
#define ROW_SET  fi_rows_avx2
#define ROW_NAME "avx2"
#include "tensor/rows_impl.h"
#endif
