/*
 * AVX-512: one tile, three types. A 32-bit lane of A is broadcast and multiplied into two vectors of B; only the instruction
 * differs: vfmadd231ps for a float, vdpbf16ps for two bf16, vpdpbusd for four int8. In assembler, because compilers spill
 * or copy the sums (gcc 12 reaches 38 % of the peak in int8, clang 14 40 % in f32, this 90 % with both).
 */
#if defined(__x86_64__)
#include "tensor/gemm_impl.h"

/* M(op, row, first register, second register) for every row of a tile. */
#define ROWS_1(M, op)  M(op, 0, 0, 1)
#define ROWS_2(M, op)  ROWS_1(M, op) M(op, 1, 2, 3)
#define ROWS_3(M, op)  ROWS_2(M, op) M(op, 2, 4, 5)
#define ROWS_4(M, op)  ROWS_3(M, op) M(op, 3, 6, 7)
#define ROWS_5(M, op)  ROWS_4(M, op) M(op, 4, 8, 9)
#define ROWS_6(M, op)  ROWS_5(M, op) M(op, 5, 10, 11)
#define ROWS_7(M, op)  ROWS_6(M, op) M(op, 6, 12, 13)
#define ROWS_8(M, op)  ROWS_7(M, op) M(op, 7, 14, 15)
#define ROWS_9(M, op)  ROWS_8(M, op) M(op, 8, 16, 17)
#define ROWS_10(M, op) ROWS_9(M, op) M(op, 9, 18, 19)
#define ROWS_11(M, op) ROWS_10(M, op) M(op, 10, 20, 21)
#define ROWS_12(M, op) ROWS_11(M, op) M(op, 11, 22, 23)
#define ROWS_13(M, op) ROWS_12(M, op) M(op, 12, 24, 25)
#define ROWS_14(M, op) ROWS_13(M, op) M(op, 13, 26, 27)

#define CLEAR(op, r, x, y)                                                                                             \
    "vpxord %%zmm" #x ", %%zmm" #x ", %%zmm" #x "\n"                                                                   \
    "vpxord %%zmm" #y ", %%zmm" #y ", %%zmm" #y "\n"
#define LOAD(op, r, x, y)                                                                                              \
    "vmovups 128*" #r "(%[sums]), %%zmm" #x "\n"                                                                       \
    "vmovups 128*" #r "+64(%[sums]), %%zmm" #y "\n"
#define STORE(op, r, x, y)                                                                                             \
    "vmovups %%zmm" #x ", 128*" #r "(%[sums])\n"                                                                       \
    "vmovups %%zmm" #y ", 128*" #r "+64(%[sums])\n"
#define STEP(op, r, x, y)                                                                                              \
    "vpbroadcastd 4*" #r "(%[a]), %%zmm30\n" op " %%zmm28, %%zmm30, %%zmm" #x "\n" op " %%zmm29, %%zmm30, %%zmm" #y "\n"

#define ALL_VECTORS                                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",    \
        "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"

/* `body` runs once a lane over the sums in registers. */
#define LANE_LOOP(clear, load, body, store)                                                                            \
    "test %[more], %[more]\n jnz 1f\n" clear "jmp 2f\n"                                                                \
    "1:\n" load "2:\n"                                                                                                 \
    "test %[lanes], %[lanes]\n jz 4f\n"                                                                                \
    ".p2align 5\n 3:\n" body "dec %[lanes]\n jnz 3b\n"                                                                 \
    "4:\n" store

/* What is fetched ahead comes in two streams, half of it each: one stream of pages gives two thirds of the bandwidth. */
#define TILE_OF(op, n)                                                                                                 \
    case n:                                                                                                            \
        __asm__ volatile(                                                                                              \
            LANE_LOOP(ROWS_##n(CLEAR, op), ROWS_##n(LOAD, op),                                                         \
                      "prefetcht0 768(%[a])\n vmovups (%[b]), %%zmm28\n vmovups 64(%[b]), %%zmm29\n"                   \
                      "prefetcht1 (%[ahead])\n prefetcht1 (%[ahead],%[far])\n add %[step], %[ahead]\n" ROWS_##n(       \
                          STEP, op) "add $4*" #n ", %[a]\n add $128, %[b]\n",                                          \
                      ROWS_##n(STORE, op))                                                                             \
            : [a] "+r"(a), [b] "+r"(b), [lanes] "+r"(lanes), [ahead] "+r"(ahead)                                       \
            : [sums] "r"(sums), [more] "r"(go_on), [step] "r"(ahead_step / 2), [far] "r"(far)                          \
            : ALL_VECTORS, "memory", "cc");                                                                            \
        break;

/*
 * Few rows are bound by memory: four panels at once, so that loads of many lines are under way and no sum waits for the one
 * before it. M(op, rows, address of B, panel, vector of the panel, register of the sum in the first, second, third row)
 */
#define WIDE_VECTORS(M, op, n)                                                                                         \
    M(op, n, "(%[b])", 0, 0, 0, 8, 16)                                                                                 \
    M(op, n, "64(%[b])", 0, 1, 1, 9, 17)                                                                               \
    M(op, n, "(%[b],%[ld])", 1, 0, 2, 10, 18)                                                                          \
    M(op, n, "64(%[b],%[ld])", 1, 1, 3, 11, 19)                                                                        \
    M(op, n, "(%[b],%[ld],2)", 2, 0, 4, 12, 20)                                                                        \
    M(op, n, "64(%[b],%[ld],2)", 2, 1, 5, 13, 21)                                                                      \
    M(op, n, "(%[b],%[ld3])", 3, 0, 6, 14, 22)                                                                         \
    M(op, n, "64(%[b],%[ld3])", 3, 1, 7, 15, 23)
#define WIDE_SUM(n, p, r, v) "128*" #n "*" #p "+128*" #r "+64*" #v "(%[sums])"

#define CLEAR_1(op, n, b, p, v, x, y, z) "vpxord %%zmm" #x ", %%zmm" #x ", %%zmm" #x "\n"
#define CLEAR_2(op, n, b, p, v, x, y, z) CLEAR_1(op, n, b, p, v, x, , ) CLEAR_1(op, n, b, p, v, y, , )
#define CLEAR_3(op, n, b, p, v, x, y, z) CLEAR_2(op, n, b, p, v, x, y, ) CLEAR_1(op, n, b, p, v, z, , )
#define LOAD_1(op, n, b, p, v, x, y, z)  "vmovups " WIDE_SUM(n, p, 0, v) ", %%zmm" #x "\n"
#define LOAD_2(op, n, b, p, v, x, y, z)  LOAD_1(op, n, b, p, v, x, , ) "vmovups " WIDE_SUM(n, p, 1, v) ", %%zmm" #y "\n"
#define LOAD_3(op, n, b, p, v, x, y, z)  LOAD_2(op, n, b, p, v, x, y, ) "vmovups " WIDE_SUM(n, p, 2, v) ", %%zmm" #z "\n"
#define STORE_1(op, n, b, p, v, x, y, z) "vmovups %%zmm" #x ", " WIDE_SUM(n, p, 0, v) "\n"
#define STORE_2(op, n, b, p, v, x, y, z)                                                                               \
    STORE_1(op, n, b, p, v, x, , ) "vmovups %%zmm" #y ", " WIDE_SUM(n, p, 1, v) "\n"
#define STORE_3(op, n, b, p, v, x, y, z)                                                                               \
    STORE_2(op, n, b, p, v, x, y, ) "vmovups %%zmm" #z ", " WIDE_SUM(n, p, 2, v) "\n"
#define STEP_1(op, n, b, p, v, x, y, z) "vmovups " b ", %%zmm31\n" op " %%zmm31, %%zmm24, %%zmm" #x "\n"
#define STEP_2(op, n, b, p, v, x, y, z) STEP_1(op, n, b, p, v, x, , ) op " %%zmm31, %%zmm25, %%zmm" #y "\n"
#define STEP_3(op, n, b, p, v, x, y, z) STEP_2(op, n, b, p, v, x, y, ) op " %%zmm31, %%zmm26, %%zmm" #z "\n"
#define LANES_OF_A_1                    "vpbroadcastd (%[a]), %%zmm24\n"
#define LANES_OF_A_2                    LANES_OF_A_1 "vpbroadcastd 4(%[a]), %%zmm25\n"
#define LANES_OF_A_3                    LANES_OF_A_2 "vpbroadcastd 8(%[a]), %%zmm26\n"

#define WIDE_OF(op, n)                                                                                                 \
    case n:                                                                                                            \
        __asm__ volatile(LANE_LOOP(WIDE_VECTORS(CLEAR_##n, op, n), WIDE_VECTORS(LOAD_##n, op, n),                      \
                                   LANES_OF_A_##n WIDE_VECTORS(STEP_##n, op, n) "add $4*" #n                           \
                                                                                ", %[a]\n add $128, %[b]\n",           \
                                   WIDE_VECTORS(STORE_##n, op, n))                                                     \
                         : [a] "+r"(a), [b] "+r"(b), [lanes] "+r"(lanes)                                               \
                         : [sums] "r"(sums), [more] "r"(go_on), [ld] "r"(b_ld), [ld3] "r"(3 * b_ld)                    \
                         : ALL_VECTORS, "memory", "cc");                                                               \
        break;

#define SPIN(op, r, x, y) op " %%zmm28, %%zmm29, %%zmm" #x "\n" op " %%zmm28, %%zmm29, %%zmm" #y "\n"

/* The functions of a type, `numbers` of which are in a lane. */
#define TILES(type, op, numbers)                                                                                       \
    static void tile_##type(size_t rows, const void *a, size_t a_ld, const void *b, size_t lanes, void *sums,          \
                            bool more, const void *ahead, size_t ahead_step)                                           \
    {                                                                                                                  \
        size_t go_on = more, far = lanes * ahead_step / 2;                                                             \
        (void)a_ld;                                                                                                    \
        switch (rows) {                                                                                                \
            TILE_OF(op, 1)                                                                                             \
            TILE_OF(op, 2)                                                                                             \
            TILE_OF(op, 3)                                                                                             \
            TILE_OF(op, 4)                                                                                             \
            TILE_OF(op, 5)                                                                                             \
            TILE_OF(op, 6)                                                                                             \
            TILE_OF(op, 7)                                                                                             \
            TILE_OF(op, 8)                                                                                             \
            TILE_OF(op, 9)                                                                                             \
            TILE_OF(op, 10)                                                                                            \
            TILE_OF(op, 11)                                                                                            \
            TILE_OF(op, 12)                                                                                            \
            TILE_OF(op, 13)                                                                                            \
            TILE_OF(op, 14)                                                                                            \
        }                                                                                                              \
    }                                                                                                                  \
    static void wide_##type(size_t rows, const void *a, size_t a_ld, const void *b, size_t b_ld, size_t lanes,         \
                            void *sums, bool more)                                                                     \
    {                                                                                                                  \
        size_t go_on = more;                                                                                           \
        (void)a_ld;                                                                                                    \
        switch (rows) {                                                                                                \
            WIDE_OF(op, 1)                                                                                             \
            WIDE_OF(op, 2)                                                                                             \
            WIDE_OF(op, 3)                                                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    static double spin_##type(size_t passes)                                                                           \
    {                                                                                                                  \
        size_t left = passes;                                                                                          \
        __asm__ volatile(ROWS_14(CLEAR, op) CLEAR(op, 0, 28, 29) "1:\n" ROWS_12(SPIN, op) "dec %[left]\n jnz 1b\n"     \
                         : [left] "+r"(left)                                                                           \
                         :                                                                                             \
                         : ALL_VECTORS, "cc");                                                                         \
        return (double)passes * 24 * 16 * 2 * (numbers);                                                               \
    }

TILES(f32, "vfmadd231ps", 1)
TILES(bf16, "vdpbf16ps", 2)
TILES(i8, "vpdpbusd", 4)

#include "tensor/gemm_amx.h"

static void store(const fi_tile_out *out, float *sums)
{
    store_tile(out, sums, &fi_vectors_avx512);
}

/* As stage_bf16, by the processor's own rounding: it makes zeros of the smallest numbers, as its products do anyway. */
static void round_to_bf16(const float *row, size_t k, float inverse, size_t lanes, uint32_t *out)
{
    size_t i = 0;
    for (; i + 32 <= k; i += 32)
        __asm__ volatile("vmovups (%0), %%zmm0\n vmovups 64(%0), %%zmm1\n vcvtne2ps2bf16 %%zmm0, %%zmm1, %%zmm0\n"
                         "vmovups %%zmm0, (%1)"
                         :
                         : "r"(row + i), "r"(out + i / 2)
                         : "xmm0", "xmm1", "memory");
    stage_bf16(row + i, k - i, inverse, lanes - i / 2, out + i / 2);
}

/* Members of an fi_arithmetic. */
#define TILED(type, of_lane)                                                                                           \
    .rows = 14, .wide_rows = 3, .stretch = 128, .numbers = of_lane, .tile = tile_##type, .wide = wide_##type,          \
    .spin = spin_##type
#define F32                                                                                                            \
    {                                                                                                                  \
        TILED(f32, 1)                                                                                                  \
    }
#define BF16                                                                                                           \
    {                                                                                                                  \
        TILED(bf16, 2), .stage = round_to_bf16                                                                         \
    }
#define I8                                                                                                             \
    {                                                                                                                  \
        TILED(i8, 4), .stage = stage_u8, .int_sums = true                                                              \
    }

const fi_kernel_set fi_kernel_set_avx512 = {.name = "AVX-512",
                                            .f32 = F32,
                                            .bf16 = WIDENED_BF16(14, tile_f32, spin_f32),
                                            .i8 = WIDENED_I8(14, tile_f32, spin_f32),
                                            SHARED_PARTS};
const fi_kernel_set fi_kernel_set_vnni = {
    .name = "AVX-512 VNNI", .f32 = F32, .bf16 = WIDENED_BF16(14, tile_f32, spin_f32), .i8 = I8, SHARED_PARTS};
const fi_kernel_set fi_kernel_set_bf16 = {
    .name = "AVX-512 VNNI BF16", .f32 = F32, .bf16 = BF16, .i8 = I8, SHARED_PARTS};
const fi_kernel_set fi_kernel_set_amx = {
    .name = "AMX",
    .f32 = F32,
    .bf16 = {AMX(bf16, 2), .stage = round_to_bf16},
    .i8 = {AMX(i8, 4), .stage = stage_u8, .int_sums = true, .wide_rows = 1, .wide = wide_i8}, /* exact: the same sums */
    SHARED_PARTS};
#else
typedef int fi_gemm_avx512_is_empty;
#endif
