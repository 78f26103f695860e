/*
 * Kernels of convolutions: products whose A is an image, read where it lies. One source (conv_kernels_impl.h) is compiled for
 * the baseline, AVX2 and AVX-512, and the processor chooses at run time.
 */
#ifndef FI_TENSOR_CONV_KERNELS_H
#define FI_TENSOR_CONV_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fi_conv_kernels {
    const char *name;
    size_t panel; /* output channels that are computed together */
    /*
     * y[p][j] = (init ? init[j] : y[p][j]) + sum over k < len of x[p * x_step + k] w[k * panel + j]
     * for p < n_pixels, j < cols <= panel; y[p] is at y + p * y_step.
     */
    void (*strip)(size_t len, const float *x, size_t x_step, const float *w, float *y, size_t y_step, size_t n_pixels,
                  size_t cols, const float *init);
    /*
     * d[i * ld + j] += sum over the pixels (r, p) of a rectangle, r < n_rows, p < n_pixels, in this order, of
     * g[r * g_row + p * g_step + i] x[r * x_row + p * x_step + j], for i < m, j < n.
     */
    void (*outer)(size_t n_rows, size_t n_pixels, const float *g, size_t g_row, size_t g_step, const float *x,
                  size_t x_row, size_t x_step, float *d, size_t ld, size_t m, size_t n);
    /*
     * Winograd's F(2x2, 3x3), tensor/winograd.h. Places of a tile lie in 16 planes, `plane` floats apart.
     * spread: B' d B of 4 by 4 pixels d of c channels; spread_row: one row of it, in four planes
     */
    void (*spread)(const float *const d[16], size_t c, float *to, size_t plane);
    void (*spread_row)(size_t row, const float *const d[16], size_t c, float *to, size_t plane);
    /* One row of A g A' of 2 by 2 pixels g. */
    void (*spread_grad_row)(size_t row, const float *const g[4], size_t c, float *to, size_t plane);
    /* G w G' of the filters of a panel, [9 taps][panel]. */
    void (*spread_filters)(const float *taps, float *to, size_t plane);
    /* The 2 by 2 pixels A' m A + bias (NULL: 0) become (add: are added to) out. */
    void (*gather)(const float *m, size_t plane, size_t c, const float *bias, float *const out[4], bool add);
} fi_conv_kernels;

/* The fastest set that this processor runs. */
const fi_conv_kernels *fi_conv_kernels_best(void);
/* All sets that this processor runs, the baseline first, ended by NULL; for tests and benchmarks. */
const fi_conv_kernels *const *fi_conv_kernels_all(void);

/*
 * Products of bf16 with float sums on matrix tiles: 32 rows of A by 32 columns of B, 32 numbers of k at a time. A is rows of
 * numbers; B is pairs of consecutive k: [pair][column][2].
 */
enum { FI_CONV_BLOCK = 32 };
typedef struct fi_conv_walk {
    size_t n[3];           /* steps of 32 numbers of k: n[0] n[1] n[2] of them */
    size_t a[3], b[3];     /* and how far they lie apart, in numbers */
    size_t a_row, a_half;  /* from row to row, and from row 0 to row 16 */
    size_t b_pair, b_half; /* from pair to pair, and from column 0 to column 16 */
} fi_conv_walk;

typedef struct fi_conv_tiles {
    const char *name;
    void (*begin)(void); /* around all blocks of a task */
    void (*end)(void);
    /* sums [32][32] += a b */
    void (*block)(const fi_conv_walk *walk, const uint16_t *a, const uint16_t *b, float *sums);
    void (*narrow)(const float *x, uint16_t *out, size_t n); /* to bf16, nearest even */
    /* out[2 i] = first[i], out[2 i + 1] = second[i]; n a multiple of 16 */
    void (*pair)(const uint16_t *first, const uint16_t *second, uint16_t *out, size_t n);
    /* out[i * ld] = first[i], out[i * ld + 1] = second[i] as bf16 */
    void (*spread)(const float *first, const float *second, uint16_t *out, size_t ld, size_t n);
} fi_conv_tiles;

/* NULL: this processor (or system) has no such tiles. */
const fi_conv_tiles *fi_conv_tiles_best(void);

extern const fi_conv_kernels fi_conv_kernels_base;
#if defined(__x86_64__)
extern const fi_conv_kernels fi_conv_kernels_avx2, fi_conv_kernels_avx512;
#endif

#endif
