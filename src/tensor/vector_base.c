/* Array functions for any processor: four lanes are SSE2 on x86-64 and NEON on ARM64. */
#define VECTOR_SET  fi_vectors_base
#define VECTOR_NAME "base"
#include "tensor/vector_impl.h"
