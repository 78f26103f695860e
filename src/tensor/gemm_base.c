#include "tensor/gemm_impl.h"

PLAIN_TILE(tile)

static double spin(size_t passes)
{
    return plain_spin(passes);
}

static void store(const fi_tile_out *out, float *sums)
{
    store_tile(out, sums, &fi_vectors_base);
}

const fi_kernel_set fi_kernel_set_base = {.name = "baseline",
                                          .f32 = {.rows = 4, .stretch = 128, .numbers = 1, .tile = tile, .spin = spin},
                                          .bf16 = WIDENED_BF16(4, tile, spin),
                                          .i8 = WIDENED_I8(4, tile, spin),
                                          SHARED_PARTS};
