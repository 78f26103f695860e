/* Convolutions on AMX tiles (Intel, Sapphire Rapids and later). */
#include "tensor/conv_kernels.h"
#include "tensor/kernels.h"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>

/* Palette 1: eight tiles of 16 rows of 64 bytes. In memory of its own: gcc 12 takes a local one for 8 bytes that are read. */
static const struct {
    uint8_t palette, start, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} config = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

static void begin(void)
{
    _tile_loadconfig(&config);
}

static void end(void)
{
    _tile_release();
}

/* Called through a pointer only, so that no store of a caller is moved past the loads, which compilers do not see. */
static void block(const fi_conv_walk *w, const uint16_t *a, const uint16_t *b, float *sums)
{
    enum { ROW = FI_CONV_BLOCK * sizeof(float), HALF = 16 * FI_CONV_BLOCK };
    const size_t a_row = w->a_row * sizeof *a, b_pair = w->b_pair * sizeof *b;
    _tile_loadd(0, sums, ROW);
    _tile_loadd(1, sums + 16, ROW);
    _tile_loadd(2, sums + HALF, ROW);
    _tile_loadd(3, sums + HALF + 16, ROW);
    for (size_t i = 0; i < w->n[0]; i++)
        for (size_t j = 0; j < w->n[1]; j++) {
            const uint16_t *x = a + i * w->a[0] + j * w->a[1], *y = b + i * w->b[0] + j * w->b[1];
            for (size_t k = 0; k < w->n[2]; k++, x += w->a[2], y += w->b[2]) {
                _tile_loadd(4, x, a_row);
                _tile_loadd(6, y, b_pair);
                _tile_loadd(7, y + w->b_half, b_pair);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, x + w->a_half, a_row);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
    _tile_stored(0, sums, ROW);
    _tile_stored(1, sums + 16, ROW);
    _tile_stored(2, sums + HALF, ROW);
    _tile_stored(3, sums + HALF + 16, ROW);
}

static __mmask16 first(size_t n)
{
    if (n >= 16) return 0xffff;
    return (__mmask16)((1u << n) - 1u);
}

static __m256i to_bf16(const float *x, __mmask16 mask)
{
    return (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x));
}

static void narrow(const float *x, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i += 16) _mm256_mask_storeu_epi16(out + i, first(n - i), to_bf16(x + i, first(n - i)));
}

static __m512i join(__m256i low, __m256i high)
{
    return _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
}

static void pair(const uint16_t *one, const uint16_t *two, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i += 16)
        _mm512_storeu_si512(out + 2 * i, join(_mm256_loadu_si256((const __m256i *)(const void *)(one + i)),
                                              _mm256_loadu_si256((const __m256i *)(const void *)(two + i))));
}

static void spread(const float *one, const float *two, uint16_t *out, size_t ld, size_t n)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                  places = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)ld));
    for (size_t i = 0; i < n; i += 16)
        _mm512_mask_i32scatter_epi32(out + i * ld, first(n - i), places,
                                     join(to_bf16(one + i, first(n - i)), to_bf16(two + i, first(n - i))), 2);
}

const fi_conv_tiles *fi_conv_tiles_best(void)
{
    static const fi_conv_tiles tiles = {"amx", begin, end, block, narrow, pair, spread};
    const bool vectors = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512bf16");
    return vectors && fi_has_amx() ? &tiles : NULL;
}
#else
const fi_conv_tiles *fi_conv_tiles_best(void)
{
    return NULL;
}
#endif
