/* Array functions for AVX2 with FMA. */
#if defined(__x86_64__)
#define VECTOR_SET  fi_vectors_avx2
#define VECTOR_NAME "avx2"
#include "tensor/vector_impl.h"
#endif
