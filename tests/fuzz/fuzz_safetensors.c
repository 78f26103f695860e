/* Any bytes as a safetensors file. */
#include "weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_and_read_all(data, size);
    return 0;
}
