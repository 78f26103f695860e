#if defined(__x86_64__)
#include "tensor/gemm_impl.h"

PLAIN_TILE(tile)

static double spin(size_t passes)
{
    return plain_spin(passes);
}

static void store(const fi_tile_out *out, float *sums)
{
    store_tile(out, sums, &fi_vectors_avx2);
}

const fi_kernel_set fi_kernel_set_avx2 = {.name = "AVX2",
                                          .f32 = {.rows = 6, .stretch = 128, .numbers = 1, .tile = tile, .spin = spin},
                                          .bf16 = WIDENED_BF16(6, tile, spin),
                                          .i8 = WIDENED_I8(6, tile, spin),
                                          SHARED_PARTS};
#else
typedef int fi_gemm_avx2_is_empty;
#endif
