#include "tensor/gemm_impl.h"

PLAIN_TILE(tile)

static void store(const fi_tile_out *out, float *sums)
{
    store_tile(out, sums, &fi_vectors_base);
}

const fi_kernel_set fi_kernel_set_base = {.name = "baseline",
                                          .f32 = {.rows = 4, .numbers = 1, .tile = tile},
                                          .bf16 = WIDENED_BF16(4, tile),
                                          .i8 = WIDENED_I8(4, tile),
                                          SHARED_PARTS};
