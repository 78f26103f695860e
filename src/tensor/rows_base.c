/* Row kernels for any processor. */
#define ROW_SET  fi_rows_base
#define ROW_NAME "base"
#include "tensor/rows_impl.h"
