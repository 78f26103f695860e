/*
 * Bodies of the parts of matrix products that plain vectors serve well: packing, conversion, the last step over a tile, and
 * (where there is no better one) the tile itself. Compiled once per instruction set, whose file includes this one with
 * -ffp-contract=fast; what a set does not use is dropped.
 */
#include "tensor/kernels.h"
#include "tensor/vector.h"
#include "tensor/vmath.h"

enum { W = FI_LANES };

typedef uint32_t lanes_u32 __attribute__((vector_size(W * 4)));

FI_INLINE lanes_u32 load_u32(const uint32_t *p)
{
    lanes_u32 v;
    memcpy(&v, p, sizeof v);
    return v;
}

FI_INLINE void store_u32(uint32_t *p, lanes_u32 v)
{
    memcpy(p, &v, sizeof v);
}

FI_INLINE lanes_u32 load_u32_part(const uint32_t *p, size_t n)
{
    uint32_t part[W] = {0};
    for (size_t i = 0; i < n; i++) part[i] = p[i];
    return load_u32(part);
}

/* ---- Packing ---- */

#if FI_LANES == 16
#define ZIP_LOW(a, b)  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif FI_LANES == 8
#define ZIP_LOW(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define ZIP_LOW(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* One perfect shuffle of all W * W numbers: after log2(W) of them rows are columns. */
FI_INLINE void zip(const lanes_u32 *in, lanes_u32 *out)
{
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; i++) {
        out[2 * i] = ZIP_LOW(in[i], in[i + W / 2]);
        out[2 * i + 1] = ZIP_HIGH(in[i], in[i + W / 2]);
    }
}

FI_INLINE void transpose_square(lanes_u32 *v)
{
    lanes_u32 t[W];
    zip(v, t);
    zip(t, v);
#if FI_LANES == 16
    zip(v, t);
    zip(t, v);
#elif FI_LANES == 8
    zip(v, t);
#pragma GCC unroll 8
    for (int i = 0; i < W; i++) v[i] = t[i];
#endif
}

static void transpose(const uint32_t *in, size_t ld, size_t rows, size_t width, size_t lanes, uint32_t *out,
                      size_t stride)
{
    for (size_t r = 0; r < width; r += W) {
        const uint32_t *row[W];
        lanes_u32 there[W]; /* all bits or none: is the row within `rows`? */
        for (size_t i = 0; i < W; i++) {
            row[i] = in + (r + i < rows ? r + i : 0) * ld;
            there[i] = (lanes_u32){0} - (uint32_t)(r + i < rows);
        }
        uint32_t *to = out + r;
        size_t l = 0;
        for (; l + W <= lanes; l += W, to += W * stride) {
            lanes_u32 v[W];
#pragma GCC unroll 16
            for (size_t i = 0; i < W; i++) v[i] = load_u32(row[i] + l) & there[i];
            transpose_square(v);
#pragma GCC unroll 16
            for (size_t i = 0; i < W; i++) store_u32(to + i * stride, v[i]);
        }
        if (l == lanes) continue;
        lanes_u32 v[W];
        for (size_t i = 0; i < W; i++) v[i] = load_u32_part(row[i] + l, lanes - l) & there[i];
        transpose_square(v);
        for (size_t i = 0; l + i < lanes; i++) store_u32(to + i * stride, v[i]);
    }
}

static void rows_f32(const float *b, size_t ldb, size_t k, size_t cols, size_t width, uint32_t *out)
{
    for (size_t i = 0; i < k; i++, b += ldb, out += width) {
        if (cols == FI_PANEL) {
            memcpy(out, b, FI_PANEL * sizeof *b);
            continue;
        }
        size_t j = 0;
        for (size_t piece = 16; piece; piece /= 2)
            if (cols & piece) {
                for (size_t e = 0; e < piece; e++) memcpy(out + j + e, b + j + e, sizeof *b);
                j += piece;
            }
        for (; j < width; j++) out[j] = 0;
    }
}

/* The upper halves are the numbers as bf16, rounded to nearest, ties to even; NaN stays NaN. */
FI_INLINE lanes_u32 round_bf16(fi_vf x)
{
    lanes_u32 bits = (lanes_u32)x, rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return (lanes_u32)fi_v_select((fi_vi)(x == x), (fi_vf)rounded, (fi_vf)(bits | 0x400000));
}

static void rows_bf16(const float *b, size_t ldb, size_t k, size_t cols, size_t width, uint32_t *out)
{
    for (size_t i = 0; i < k; i += 2, out += width)
        for (size_t j = 0; j < width; j += W) {
            const float *p = b + i * ldb + j;
            size_t n = j >= cols ? 0 : cols - j < W ? cols - j : W;
            fi_vf even = n == W ? fi_v_load(p) : fi_v_load_part(p, n), odd = {0};
            if (i + 1 < k) odd = n == W ? fi_v_load(p + ldb) : fi_v_load_part(p + ldb, n);
            store_u32(out + j, (round_bf16(even) >> 16) | (round_bf16(odd) & 0xffff0000));
        }
}

/* A stage function: out = expression of x, vector by vector, `per` numbers a lane; zeros stand where the row has ended. */
#define STAGE(per, type, expression)                                                                                   \
    {                                                                                                                  \
        typedef type small __attribute__((vector_size(W * sizeof(type))));                                             \
        type *to = (type *)(void *)out;                                                                                \
        const size_t n = lanes * (per);                                                                                \
        size_t i = 0;                                                                                                  \
        for (; i + W <= k; i += W) {                                                                                   \
            fi_vf x = fi_v_load(row + i);                                                                              \
            small s = __builtin_convertvector(expression, small);                                                      \
            memcpy(to + i, &s, sizeof s);                                                                              \
        }                                                                                                              \
        for (; i < n; i += W) {                                                                                        \
            fi_vf x = i < k ? fi_v_load_part(row + i, k - i) : (fi_vf){0};                                             \
            small s = __builtin_convertvector(expression, small);                                                      \
            memcpy(to + i, &s, (n - i < W ? n - i : W) * sizeof(type));                                                \
        }                                                                                                              \
        (void)inverse;                                                                                                 \
    }

/* The integer nearest to x, |x| < 2^22, in the low bits. */
FI_INLINE fi_vi nearest(fi_vf x)
{
    return (fi_vi)(x + 0x1.8p23f) - 0x4b400000;
}

static void stage_bf16(const float *row, size_t k, float inverse, size_t lanes, uint32_t *out)
    STAGE(2, uint16_t, round_bf16(x) >> 16)

        static void stage_i8(const float *row, size_t k, float inverse, size_t lanes, uint32_t *out)
            STAGE(4, int8_t, nearest(x *inverse))

                FI_INLINE void stage_u8(const float *row, size_t k, float inverse, size_t lanes, uint32_t *out)
                    STAGE(4, uint8_t, nearest(x *inverse) + 128)

                        FI_INLINE
    void stage_bf16_as_f32(const float *row, size_t k, float inverse, size_t lanes, uint32_t *out)
        STAGE(1, uint32_t, round_bf16(x) & 0xffff0000)

            FI_INLINE void stage_i8_as_f32(const float *row, size_t k, float inverse, size_t lanes, uint32_t *out)
                STAGE(1, float, nearest(x *inverse))

                    static float largest(const float *a, size_t k)
{
    lanes_u32 most = {0};
    for (size_t i = 0; i < k; i += W) {
        fi_vf x = i + W <= k ? fi_v_load(a + i) : fi_v_load_part(a + i, k - i);
        lanes_u32 bits = (lanes_u32)x & 0x7fffffff; /* magnitudes order like integers, NaN above all */
        most = (lanes_u32)fi_v_select((fi_vi)(bits > most), (fi_vf)bits, (fi_vf)most);
    }
    uint32_t top = 0;
    for (int i = 0; i < W; i++) top = most[i] > top ? most[i] : top;
    float value;
    memcpy(&value, &top, sizeof value);
    return value;
}

/* Number i of each lane, which holds `numbers`: two bf16 or four int8. */
FI_INLINE fi_vf number_of(lanes_u32 lane, size_t numbers, size_t i)
{
    if (numbers == 2) return (fi_vf)(i ? lane & 0xffff0000 : lane << 16);
    return __builtin_convertvector((fi_vi)(lane << (24 - 8 * i)) >> 24, fi_vf);
}

FI_INLINE void widen(const uint32_t *panel, size_t lanes, size_t numbers, float *out)
{
    for (size_t l = 0; l < lanes; l++, panel += FI_PANEL, out += numbers * FI_PANEL)
        for (size_t j = 0; j < FI_PANEL; j += W)
            for (size_t i = 0; i < numbers; i++)
                fi_v_store(out + i * FI_PANEL + j, number_of(load_u32(panel + j), numbers, i));
}

static void widen_bf16(const uint32_t *panel, size_t lanes, float *out)
{
    widen(panel, lanes, 2, out);
}

static void widen_i8(const uint32_t *panel, size_t lanes, float *out)
{
    widen(panel, lanes, 4, out);
}

/* The wide tile of one row, by numbers in the order of the tile. Eight sums at a time: as many panels as have them. */
FI_INLINE void widening_row(const float *a, const char *b, size_t b_ld, size_t lanes, size_t numbers, float *sums,
                            bool more)
{
    enum { SUMS = 8, IN_PANEL = FI_PANEL / W };
    for (size_t at = 0; at < FI_WIDE_PANELS * IN_PANEL; at += SUMS) {
        fi_vf s[SUMS];
        for (size_t v = 0; v < SUMS; v++) s[v] = more ? fi_v_load(sums + (at + v) * W) : (fi_vf){0};
        const char *panel = b + at / IN_PANEL * b_ld + at % IN_PANEL * W * 4;
        for (size_t l = 0; l < lanes; l += numbers, panel += FI_PANEL * 4)
#pragma GCC unroll 8
            for (size_t v = 0; v < SUMS; v++) {
                const lanes_u32 lane =
                    load_u32((const uint32_t *)(const void *)(panel + v / IN_PANEL * b_ld) + v % IN_PANEL * W);
#pragma GCC unroll 4
                for (size_t i = 0; i < numbers; i++) s[v] += a[l + i] * number_of(lane, numbers, i);
            }
        for (size_t v = 0; v < SUMS; v++) fi_v_store(sums + (at + v) * W, s[v]);
    }
}

static void wide_bf16_as_f32(size_t rows, const void *a, size_t a_ld, const void *b, size_t b_ld, size_t lanes,
                             void *sums, bool more)
{
    (void)rows, (void)a_ld;
    widening_row(a, b, b_ld, lanes, 2, sums, more);
}

static void wide_i8_as_f32(size_t rows, const void *a, size_t a_ld, const void *b, size_t b_ld, size_t lanes,
                           void *sums, bool more)
{
    (void)rows, (void)a_ld;
    widening_row(a, b, b_ld, lanes, 4, sums, more);
}

/* ---- What becomes of a tile ---- */

#if defined(__x86_64__)
#include <immintrin.h>
#if FI_LANES == 16
#define STREAM(p, v) _mm512_stream_ps(p, (__m512)(v))
#elif FI_LANES == 8
#define STREAM(p, v) _mm256_stream_ps(p, (__m256)(v))
#else
#define STREAM(p, v) _mm_stream_ps(p, (__m128)(v))
#endif
#else
#define STREAM(p, v) fi_v_store(p, v)
#endif

/* Columns of a panel, so that loops over tiles have no ends to care for: from[0 .. cols], or a copy with zeros behind. */
FI_INLINE const void *whole(const void *from, size_t cols, void *copy)
{
    if (cols == FI_PANEL || !from) return from;
    memset(copy, 0, FI_PANEL * 4);
    return memcpy(copy, from, cols * 4);
}

static void store_row(const fi_tile_out *o, size_t row, const float *sums)
{
    const float *other = o->accumulate ? o->c + row * o->ldc : o->residual ? o->residual + row * o->ld_residual : NULL;
    float *c = o->c + row * o->ldc;
    if (o->stream && !other && o->cols == FI_PANEL && (uintptr_t)c % 64 == 0) { /* whole lines */
        for (size_t j = 0; j < FI_PANEL; j += W) STREAM(c + j, fi_v_load(sums + j));
        return;
    }
    size_t j = 0;
    for (; j + W <= o->cols; j += W) {
        fi_vf v = fi_v_load(sums + j);
        fi_v_store(c + j, other ? v + fi_v_load(other + j) : v);
    }
    if (j < o->cols) {
        fi_vf v = fi_v_load(sums + j);
        fi_v_store_part(c + j, other ? v + fi_v_load_part(other + j, o->cols - j) : v, o->cols - j);
    }
}

static void store_tile(const fi_tile_out *o, float *sums, const fi_vectors *vectors)
{
    float padded[3][FI_PANEL];
    const float *scale = whole(o->col_scale, o->cols, padded[0]), *bias = whole(o->bias, o->cols, padded[1]);
    const uint32_t *taken = whole(o->col_sum, o->cols, padded[2]);
    for (size_t r = 0; r < o->rows && (scale || bias); r++)
        for (size_t j = 0; j < FI_PANEL; j += W) {
            float *at = sums + r * FI_PANEL + j;
            fi_vf v = fi_v_load(at);
            if (taken) v = __builtin_convertvector((fi_vi)((lanes_u32)v - (load_u32(taken + j) << 7)), fi_vf);
            if (scale) v *= o->row_scale[r] * fi_v_load(scale + j);
            if (bias) v += fi_v_load(bias + j);
            fi_v_store(at, v);
        }
    if (o->activation != FI_LINEAR) vectors->activate(o->activation, sums, sums, o->rows * FI_PANEL);
    for (size_t r = 0; r < o->rows; r++) store_row(o, r, sums + r * FI_PANEL);
}

/* ---- The tile, in plain vectors: `rows` rows by `vectors` vectors at a time ---- */

FI_INLINE void plain_tile(size_t rows, size_t vectors, const float *a, const float *b, size_t lanes, float *sums,
                          bool more)
{
    for (size_t j = 0; j < FI_PANEL; j += vectors * W) {
        fi_vf s[6][4];
        for (size_t r = 0; r < rows; r++)
            for (size_t v = 0; v < vectors; v++)
                s[r][v] = more ? fi_v_load(sums + r * FI_PANEL + j + v * W) : (fi_vf){0};
        for (size_t l = 0; l < lanes; l++) {
            fi_vf x[4];
            for (size_t v = 0; v < vectors; v++) x[v] = fi_v_load(b + l * FI_PANEL + j + v * W);
            for (size_t r = 0; r < rows; r++) {
                const fi_vf y = fi_v_set(a[l * rows + r]);
                for (size_t v = 0; v < vectors; v++) s[r][v] += y * x[v];
            }
        }
        for (size_t r = 0; r < rows; r++)
            for (size_t v = 0; v < vectors; v++) fi_v_store(sums + r * FI_PANEL + j + v * W, s[r][v]);
    }
}

/* A tile function of 1 to 6 rows. */
#define PLAIN_TILE(name)                                                                                               \
    static void name(size_t rows, const void *a, size_t a_ld, const void *b, size_t lanes, void *sums, bool more,      \
                     const void *ahead, size_t ahead_step)                                                             \
    {                                                                                                                  \
        (void)a_ld, (void)ahead, (void)ahead_step;                                                                     \
        switch (rows) {                                                                                                \
        case 1: plain_tile(1, 4, a, b, lanes, sums, more); break;                                                      \
        case 2: plain_tile(2, 2, a, b, lanes, sums, more); break;                                                      \
        case 3: plain_tile(3, 2, a, b, lanes, sums, more); break;                                                      \
        case 4: plain_tile(4, 2, a, b, lanes, sums, more); break;                                                      \
        case 5: plain_tile(5, 2, a, b, lanes, sums, more); break;                                                      \
        case 6: plain_tile(6, 2, a, b, lanes, sums, more); break;                                                      \
        }                                                                                                              \
    }

/* ---- For measurements ---- */

FI_INLINE double plain_spin(size_t passes)
{
    enum { SUMS = 10 };
    static volatile float factor = 0.5f, sink;
    fi_vf s[SUMS], x = fi_v_set(factor);
    for (int i = 0; i < SUMS; i++) s[i] = x + (float)i;
    for (size_t pass = 0; pass < passes; pass++)
#pragma GCC unroll 16
        for (int i = 0; i < SUMS; i++) s[i] = s[i] * x + x;
    for (int i = 1; i < SUMS; i++) s[0] += s[i];
    sink = s[0][0];
    (void)sink;
    return (double)passes * SUMS * W * 2;
}

static uint32_t read_words(const uint32_t *words, size_t n)
{
    lanes_u32 s[4] = {{0}, {0}, {0}, {0}};
    for (size_t i = 0; i + 4 * W <= n; i += 4 * W)
        for (size_t v = 0; v < 4; v++) s[v] ^= load_u32(words + i + v * W);
    s[0] ^= s[1] ^ s[2] ^ s[3];
    return s[0][0];
}

/* What all sets of a file share. */
#define SHARED_PARTS                                                                                                   \
    .transpose = transpose, .rows_f32 = rows_f32, .rows_bf16 = rows_bf16, .stage_bf16 = stage_bf16,                    \
    .stage_i8 = stage_i8, .largest = largest, .store = store, .read = read_words

/* bf16 and int8 by way of a float tile: panels are widened as they come. Sums of int8 are exact up to 2^24. */
#define WIDENED_BF16(max_rows, tile_f32, spin_f32)                                                                     \
    {                                                                                                                  \
        .rows = max_rows, .stretch = 128, .numbers = 1, .tile = tile_f32, .stage = stage_bf16_as_f32,                  \
        .widen = widen_bf16, .wide_rows = 1, .wide = wide_bf16_as_f32, .spin = spin_f32                                \
    }
#define WIDENED_I8(max_rows, tile_f32, spin_f32)                                                                       \
    {                                                                                                                  \
        .rows = max_rows, .stretch = 128, .numbers = 1, .tile = tile_f32, .stage = stage_i8_as_f32, .widen = widen_i8, \
        .wide_rows = 1, .wide = wide_i8_as_f32, .spin = spin_f32                                                       \
    }
