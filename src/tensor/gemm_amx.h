/*
 * AMX: a tile is up to two by two of the processor's own, each of 16 rows by 16 sums, fed with 16 lanes at a time. Panels of B
 * are what it takes as they are; A stays in rows. Part of gemm_avx512.c.
 */
#ifndef FI_TENSOR_GEMM_AMX_H
#define FI_TENSOR_GEMM_AMX_H

/* Registers 0 to 3 are sums, 4 and 5 A, 6 and 7 B. Above 16 rows both halves have as many; the last row may be waste. */
static size_t amx_half(size_t rows)
{
    return rows > 16 ? (rows + 1) / 2 : rows;
}

static void amx_begin(size_t rows)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = i < 6 ? (uint8_t)amx_half(rows) : 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
}

static void amx_end(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

/* One half of the sums: `low` and `high` are the registers of its two halves of a panel. */
#define AMX_LOAD(low, high, sums)                                                                                      \
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm" #low "\n tileloaddt1 64(%0,%1,1), %%tmm" #high                     \
                     :                                                                                                 \
                     : "r"(sums), "r"(AMX_ROW)                                                                         \
                     : "memory")
#define AMX_STORE(low, high, sums)                                                                                     \
    __asm__ volatile("tilestored %%tmm" #low ", (%0,%1,1)\n tilestored %%tmm" #high ", 64(%0,%1,1)"                    \
                     :                                                                                                 \
                     : "r"(sums), "r"(AMX_ROW)                                                                         \
                     : "memory")
#define AMX_CLEAR(low, high) __asm__ volatile("tilezero %%tmm" #low "\n tilezero %%tmm" #high ::: "memory")
#define AMX_ROW              ((size_t)FI_PANEL * 4) /* bytes from row to row, of sums and of B */

/*
 * 16 lanes. What is read once (A, where a panel serves several tiles; else B) is loaded past the first cache, tileloaddt1:
 * it holds what is read again. A quarter to a third faster than with plain loads.
 */
#define AMX_STEP(load, ...) __asm__ volatile(load : : __VA_ARGS__ : "memory")
#define AMX_A               [a] "r"(upper), [low] "r"(lower), [row] "r"(a_row), [b] "r"(panel), [b_row] "r"(AMX_ROW)
#define AMX_TWO_PASSING_A(op)                                                                                          \
    "tileloaddt1 (%[a],%[row],1), %%tmm4\n tileloadd (%[b],%[b_row],1), %%tmm6\n" op " %%tmm6, %%tmm4, %%tmm0\n"       \
    "tileloadd 64(%[b],%[b_row],1), %%tmm7\n" op " %%tmm7, %%tmm4, %%tmm1\n"                                           \
    "tileloaddt1 (%[low],%[row],1), %%tmm5\n" op " %%tmm6, %%tmm5, %%tmm2\n" op " %%tmm7, %%tmm5, %%tmm3\n"
#define AMX_TWO_PASSING_B(op)                                                                                          \
    "tileloaddt1 (%[b],%[b_row],1), %%tmm6\n tileloadd (%[a],%[row],1), %%tmm4\n" op " %%tmm6, %%tmm4, %%tmm0\n"       \
    "tileloadd (%[low],%[row],1), %%tmm5\n" op " %%tmm6, %%tmm5, %%tmm2\n"                                             \
    "tileloaddt1 64(%[b],%[b_row],1), %%tmm7\n" op " %%tmm7, %%tmm4, %%tmm1\n" op " %%tmm7, %%tmm5, %%tmm3\n"
#define AMX_ONE(op)                                                                                                    \
    "tileloaddt1 (%[b],%[b_row],1), %%tmm6\n tileloadd (%[a],%[row],1), %%tmm4\n" op " %%tmm6, %%tmm4, %%tmm0\n"       \
    "tileloaddt1 64(%[b],%[b_row],1), %%tmm7\n" op " %%tmm7, %%tmm4, %%tmm1\n"

#define AMX_TILE(type, op, numbers)                                                                                    \
    static void amx_##type(size_t rows, const void *a, size_t a_ld, const void *b, size_t lanes, void *sums,           \
                           bool more, const void *ahead, size_t ahead_step)                                            \
    {                                                                                                                  \
        const size_t half = amx_half(rows), a_row = a_ld * 4;                                                          \
        const char *upper = a, *lower = upper + half * a_row, *panel = b, *next = ahead;                               \
        char *lower_sums = (char *)sums + half * AMX_ROW;                                                              \
        const bool two = half < rows;                                                                                  \
        AMX_CLEAR(0, 1);                                                                                               \
        AMX_CLEAR(2, 3);                                                                                               \
        if (more) AMX_LOAD(0, 1, sums);                                                                                \
        if (more && two) AMX_LOAD(2, 3, lower_sums);                                                                   \
        for (size_t l = 0; l < lanes; l += 16) {                                                                       \
            for (size_t at = 0; at < 16 * ahead_step; at += 64) __builtin_prefetch(next + at, 0, 2);                   \
            if (!two)                                                                                                  \
                AMX_STEP(AMX_ONE(op), AMX_A);                                                                          \
            else if (ahead_step == AMX_ROW)                                                                            \
                AMX_STEP(AMX_TWO_PASSING_B(op), AMX_A);                                                                \
            else                                                                                                       \
                AMX_STEP(AMX_TWO_PASSING_A(op), AMX_A);                                                                \
            upper += 64;                                                                                               \
            lower += 64;                                                                                               \
            panel += 16 * AMX_ROW;                                                                                     \
            next += 16 * ahead_step;                                                                                   \
        }                                                                                                              \
        AMX_STORE(0, 1, sums);                                                                                         \
        if (two) AMX_STORE(2, 3, lower_sums);                                                                          \
    }                                                                                                                  \
    static double amx_spin_##type(size_t passes)                                                                       \
    {                                                                                                                  \
        uint32_t zeros[16 * 16] = {0};                                                                                 \
        amx_begin(16);                                                                                                 \
        __asm__ volatile("tileloadd (%0,%1,1), %%tmm4\n tileloadd (%0,%1,1), %%tmm5\n"                                 \
                         "tileloadd (%0,%1,1), %%tmm6\n tileloadd (%0,%1,1), %%tmm7\n"                                 \
                         :                                                                                             \
                         : "r"(zeros), "r"((size_t)64)                                                                 \
                         : "memory");                                                                                  \
        for (size_t i = 0; i < passes; i++)                                                                            \
            __asm__ volatile(op " %%tmm6, %%tmm4, %%tmm0\n" op " %%tmm7, %%tmm4, %%tmm1\n" op                          \
                                " %%tmm6, %%tmm5, %%tmm2\n" op " %%tmm7, %%tmm5, %%tmm3\n" ::                          \
                                    : "memory");                                                                       \
        amx_end();                                                                                                     \
        return (double)passes * 4 * 16 * 16 * 16 * 2 * (numbers);                                                      \
    }

AMX_TILE(bf16, "tdpbf16ps", 2)
AMX_TILE(i8, "tdpbusd", 4)

/* Members of an fi_arithmetic. */
#define AMX(type, of_lane)                                                                                             \
    .rows = 32, .stretch = 256, .numbers = of_lane, .row_major = true, .tile = amx_##type, .begin = amx_begin,         \
    .end = amx_end, .spin = amx_spin_##type

#endif
