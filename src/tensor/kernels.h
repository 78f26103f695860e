/*
 * What matrix products are made of, once per instruction set; the processor chooses at run time.
 *
 * B lies in panels of FI_PANEL columns: [panel][lane][FI_PANEL], a lane being 32 bits of consecutive k: one float, two
 * bf16 or four int8. The layout is the same for every set, and lanes beyond k and columns beyond n are zero. A tile of sums
 * [rows][FI_PANEL] grows lane by lane, so each sum has one order, whatever tile it is in.
 */
#ifndef FI_TENSOR_KERNELS_H
#define FI_TENSOR_KERNELS_H

#include "tensor/gemm.h"

enum {
    FI_PANEL = FI_PANEL_COLUMNS,
    FI_MAX_TILE_ROWS = 32,
    FI_WIDE_PANELS = 4 /* of a wide tile */
};

/*
 * sums [rows][FI_PANEL] = (more ? sums : 0) + sum over lanes of a x b; rows in 1..fi_arithmetic.rows.
 * a: [lane][rows] or, if fi_arithmetic.row_major, [rows][a_ld]; b: [lane][FI_PANEL]
 * Memory is fetched meanwhile from `ahead` on, ahead_step bytes a lane: 128 shared out among the tiles that read b, so that
 * 128 means that this one is alone.
 */
typedef void fi_tile_fn(size_t rows, const void *a, size_t a_ld, const void *b, size_t lanes, void *sums, bool more,
                        const void *ahead, size_t ahead_step);
/* The same for FI_WIDE_PANELS panels, b_ld bytes apart: sums [panel][rows][FI_PANEL]. For few rows, bound by memory.
 * Panels are as they are stored, also where the tile wants them widened. */
typedef void fi_wide_fn(size_t rows, const void *a, size_t a_ld, const void *b, size_t b_ld, size_t lanes, void *sums,
                        bool more);

/* k numbers of a row, times `inverse` where they become integers, as lanes; what is left of `lanes` means zero. */
typedef void fi_stage_fn(const float *row, size_t k, float inverse, size_t lanes, uint32_t *out);

/* How one type is multiplied. */
typedef struct fi_arithmetic {
    size_t rows, wide_rows; /* at most, of a tile and of a wide one (0: there is none) */
    size_t numbers;         /* of A in a lane */
    size_t stretch;         /* lanes of a panel that leave room for the tile's rows in the first cache; 256 at most */
    bool row_major, int_sums;
    fi_tile_fn *tile;
    fi_wide_fn *wide;
    fi_stage_fn *stage; /* of rows of A; NULL: as they are */
    /* Lanes of a stored panel as floats, one number a lane; NULL: the tile reads panels as they are stored. */
    void (*widen)(const uint32_t *panel, size_t lanes, float *out);
    /*
     * Around the tiles of a block, none of more than `rows` rows; NULL: nothing to do. A row_major tile is then always given
     * that many rows, of which the last may be waste, and room for one more row of sums.
     */
    void (*begin)(size_t rows), (*end)(void);
    double (*spin)(
        size_t passes); /* the tile's instruction in registers alone, to measure the peak; gives the operations */
} fi_arithmetic;

/* What becomes of a tile of sums. Pointers are those of its first row and column. */
typedef struct fi_tile_out {
    size_t rows, cols; /* cols <= FI_PANEL */
    float *c;
    size_t ldc;
    bool accumulate;
    const float *bias, *residual;
    size_t ld_residual;
    fi_activation activation;
    const float *row_scale, *col_scale; /* NULL: 1 */
    const int32_t *col_sum;             /* of int sums: 128 times it is taken off */
    bool stream;                        /* C is not read again soon: it may pass the caches by */
} fi_tile_out;

typedef struct fi_kernel_set {
    const char *name;
    fi_arithmetic f32, bf16, i8;
    /* out[lane * stride + row] = in[row * ld + lane]; rows up to `width` are zero. Goes over the end by FI_PANEL at most. */
    void (*transpose)(const uint32_t *in, size_t ld, size_t rows, size_t width, size_t lanes, uint32_t *out,
                      size_t stride);
    /* out[lane * width + col] = lanes of the matrix b [k, cols], columns up to `width` zero. */
    void (*rows_f32)(const float *b, size_t ldb, size_t k, size_t cols, size_t width, uint32_t *out);
    void (*rows_bf16)(const float *b, size_t ldb, size_t k, size_t cols, size_t width, uint32_t *out);
    fi_stage_fn *stage_bf16, *stage_i8;         /* of columns of B */
    float (*largest)(const float *a, size_t k); /* absolute value; NaN if there is one */
    void (*store)(const fi_tile_out *out, float *sums);
    uint32_t (*read)(const uint32_t *words, size_t n); /* all of them, to measure bandwidth */
} fi_kernel_set;

/* Matrix tiles are there, and the system lets this process use them: it is asked. */
bool fi_has_amx(void);
/* The fastest set that this processor runs. */
const fi_kernel_set *fi_kernel_set_best(void);
/* All sets that this processor runs, the fastest first, ended by NULL; for tests and benchmarks. */
const fi_kernel_set *const *fi_kernel_set_all(void);

extern const fi_kernel_set fi_kernel_set_base;
#if defined(__x86_64__)
extern const fi_kernel_set fi_kernel_set_avx2, fi_kernel_set_avx512, fi_kernel_set_vnni, fi_kernel_set_bf16,
    fi_kernel_set_amx;
#endif

/*
 * Packs rows k0 .. k0 + k of B, columns j0 .. j0 + cols (cols <= FI_PANEL), as fi_panel_lanes(type, k) lanes at `out`.
 * inverse [cols]: of the scales, FI_I8 only. b as in fi_pack().
 */
void fi_pack_panel(const fi_kernel_set *set, fi_dtype type, const float *b, size_t ldb, bool transposed, size_t k0,
                   size_t k, size_t j0, size_t cols, const float *inverse, uint32_t *out);

/* The larger of two magnitudes; NaN as soon as there is one. */
static inline float fi_larger(float most, float x)
{
    return x <= most || most != most ? most : x;
}
/* *largest, a magnitude, becomes the step of int8 numbers up to it (NaN: it is not finite); gives 1 / step, or 0. */
float fi_int8_scale(float *largest);

static inline const fi_arithmetic *fi_arithmetic_of(const fi_kernel_set *set, fi_dtype type)
{
    return type == FI_BF16 ? &set->bf16 : type == FI_I8 ? &set->i8 : &set->f32;
}
/* Numbers that a lane of a stored panel holds. */
static inline size_t fi_lane_numbers(fi_dtype type)
{
    return type == FI_BF16 ? 2 : type == FI_I8 ? 4 : 1;
}

/* Lanes of k numbers: of bf16 and int8 a multiple of 16, as matrix units take them. */
static inline size_t fi_panel_lanes(fi_dtype type, size_t k)
{
    return type == FI_F32 ? k : (k + 16 * fi_lane_numbers(type) - 1) / (16 * fi_lane_numbers(type)) * 16;
}

#endif
