/* Array functions for AVX-512. */
#if defined(__x86_64__)
#define VECTOR_SET  fi_vectors_avx512
#define VECTOR_NAME "avx512"
#include "tensor/vector_impl.h"
#endif
