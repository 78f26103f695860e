/*
 * Bodies of the convolution kernels. The including file defines CONV_LANES (floats in a vector), CONV_ROWS (rows of a tile;
 * CONV_ROWS * 2 sums, two vectors of B and one of A are to fit into the registers), CONV_SET and CONV_NAME, and is
 * compiled with the flags of its instruction set (CMakeLists.txt).
 */
#include "tensor/conv_kernels.h"

#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(CONV_LANES * sizeof(float))));
enum { LANES = CONV_LANES, ROWS = CONV_ROWS, PANEL = 2 * LANES };

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n < LANES floats; nothing beyond them is touched. */
INLINE vec load_part(const float *p, size_t n)
{
#if defined(__AVX512F__)
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
#else
    float all[LANES] = {0};
    for (size_t i = 0; i < n; i++) all[i] = p[i];
    return load(all);
#endif
}
INLINE void store_part(float *p, vec v, size_t n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), (__m512)v);
#else
    float all[LANES];
    store(all, v);
    for (size_t i = 0; i < n; i++) p[i] = all[i];
#endif
}

/* n floats of vector v of a row: part says whether the last of `vecs` vectors is shorter. */
INLINE vec load_of(const float *p, size_t v, size_t vecs, size_t part)
{
    return part && v == vecs - 1 ? load_part(p + v * LANES, part) : load(p + v * LANES);
}
INLINE void store_of(float *p, vec x, size_t v, size_t vecs, size_t part)
{
    if (part && v == vecs - 1)
        store_part(p + v * LANES, x, part);
    else
        store(p + v * LANES, x);
}

/*
 * Chooses among the bodies by constants, so that sums live in registers: rows of the tile 1 .. ROWS, one or two vectors, the last
 * one whole or not.
 */
#if CONV_ROWS >= 8
#define CONV_MANY_ROWS(RUN) RUN(7) RUN(8)
#else
#define CONV_MANY_ROWS(RUN)
#endif
#define CONV_EACH_ROWS(RUN) RUN(1) RUN(2) RUN(3) RUN(4) RUN(5) RUN(6) CONV_MANY_ROWS(RUN)

INLINE void strip_tile(size_t rows, size_t vecs, size_t part, size_t len, const float *x, size_t x_step, const float *w,
                       float *y, size_t y_step, const float *init)
{
    vec s[ROWS][2];
    for (size_t i = 0; i < rows; i++)
        for (size_t v = 0; v < vecs; v++) s[i][v] = load_of(init ? init : y + i * y_step, v, vecs, part);
    for (size_t k = 0; k < len; k++, w += PANEL) {
        vec b[2];
        for (size_t v = 0; v < vecs; v++) b[v] = load(w + v * LANES);
        for (size_t i = 0; i < rows; i++)
            for (size_t v = 0; v < vecs; v++) s[i][v] += x[i * x_step + k] * b[v];
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t v = 0; v < vecs; v++) store_of(y + i * y_step, s[i][v], v, vecs, part);
}

INLINE void strip_rows(size_t vecs, size_t part, size_t len, const float *x, size_t x_step, const float *w, float *y,
                       size_t y_step, size_t n_pixels, const float *init)
{
    for (size_t tiles = (n_pixels + ROWS - 1) / ROWS, left = n_pixels; tiles > 0; tiles--) { /* tiles of like size */
        const size_t rows = (left + tiles - 1) / tiles;
        switch (rows) {
#define RUN(n)                                                                                                         \
    case n: strip_tile(n, vecs, part, len, x, x_step, w, y, y_step, init); break;
            CONV_EACH_ROWS(RUN)
#undef RUN
        }
        left -= rows;
        x += rows * x_step;
        y += rows * y_step;
    }
}

static void strip(size_t len, const float *x, size_t x_step, const float *w, float *y, size_t y_step, size_t n_pixels,
                  size_t cols, const float *init)
{
    if (cols == PANEL)
        strip_rows(2, 0, len, x, x_step, w, y, y_step, n_pixels, init);
    else if (cols > LANES)
        strip_rows(2, cols - LANES, len, x, x_step, w, y, y_step, n_pixels, init);
    else if (cols == LANES)
        strip_rows(1, 0, len, x, x_step, w, y, y_step, n_pixels, init);
    else
        strip_rows(1, cols, len, x, x_step, w, y, y_step, n_pixels, init);
}

INLINE void outer_tile(size_t rows, size_t vecs, size_t part, size_t n_rows, size_t n_pixels, const float *g,
                       size_t g_row, size_t g_step, const float *x, size_t x_row, size_t x_step, float *d, size_t ld)
{
    vec s[ROWS][2];
    for (size_t i = 0; i < rows; i++)
        for (size_t v = 0; v < vecs; v++) s[i][v] = load_of(d + i * ld, v, vecs, part);
    for (size_t r = 0; r < n_rows; r++) {
        const float *a = g + r * g_row, *c = x + r * x_row;
        for (size_t p = 0; p < n_pixels; p++, a += g_step, c += x_step) {
            vec b[2];
            for (size_t v = 0; v < vecs; v++) b[v] = load_of(c, v, vecs, part);
            for (size_t i = 0; i < rows; i++)
                for (size_t v = 0; v < vecs; v++) s[i][v] += a[i] * b[v];
        }
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t v = 0; v < vecs; v++) store_of(d + i * ld, s[i][v], v, vecs, part);
}

INLINE void outer_rows(size_t vecs, size_t part, size_t n_rows, size_t n_pixels, const float *g, size_t g_row,
                       size_t g_step, const float *x, size_t x_row, size_t x_step, float *d, size_t ld, size_t m)
{
    for (size_t tiles = (m + ROWS - 1) / ROWS, left = m; tiles > 0; tiles--) {
        const size_t rows = (left + tiles - 1) / tiles;
        switch (rows) {
#define RUN(n)                                                                                                         \
    case n: outer_tile(n, vecs, part, n_rows, n_pixels, g, g_row, g_step, x, x_row, x_step, d, ld); break;
            CONV_EACH_ROWS(RUN)
#undef RUN
        }
        left -= rows;
        g += rows;
        d += rows * ld;
    }
}

static void outer(size_t n_rows, size_t n_pixels, const float *g, size_t g_row, size_t g_step, const float *x,
                  size_t x_row, size_t x_step, float *d, size_t ld, size_t m, size_t n)
{
    for (; n >= PANEL; n -= PANEL, x += PANEL, d += PANEL)
        outer_rows(2, 0, n_rows, n_pixels, g, g_row, g_step, x, x_row, x_step, d, ld, m);
    if (n > LANES)
        outer_rows(2, n - LANES, n_rows, n_pixels, g, g_row, g_step, x, x_row, x_step, d, ld, m);
    else if (n == LANES)
        outer_rows(1, 0, n_rows, n_pixels, g, g_row, g_step, x, x_row, x_step, d, ld, m);
    else if (n > 0)
        outer_rows(1, n, n_rows, n_pixels, g, g_row, g_step, x, x_row, x_step, d, ld, m);
}

/* RUN(first channel, vectors, part) for all channels. */
#define CONV_EACH_VECTOR(c, RUN)                                                                                       \
    do {                                                                                                               \
        size_t at = 0;                                                                                                 \
        for (; at + LANES <= (c); at += LANES) RUN(at, 0);                                                             \
        if (at < (c)) RUN(at, (c)-at);                                                                                 \
    } while (0)

/* One row of B' d B from one of B' d. */
INLINE void store_spread(const vec r[4], float *to, size_t plane, size_t part)
{
    store_of(to, r[0] - r[2], 0, 1, part);
    store_of(to + plane, r[1] + r[2], 0, 1, part);
    store_of(to + 2 * plane, r[2] - r[1], 0, 1, part);
    store_of(to + 3 * plane, r[1] - r[3], 0, 1, part);
}

INLINE void spread_row_vector(const float *const *a, const float *const *b, float sign, float *to, size_t plane,
                              size_t at, size_t part)
{
    vec r[4];
    for (size_t q = 0; q < 4; q++) r[q] = load_of(a[q] + at, 0, 1, part) + sign * load_of(b[q] + at, 0, 1, part);
    store_spread(r, to + at, plane, part);
}

static void spread_row(size_t row, const float *const d[16], size_t c, float *to, size_t plane)
{
    static const struct {
        size_t a, b;
        float sign;
    } rows[4] = {{0, 8, -1}, {4, 8, 1}, {8, 4, -1}, {4, 12, -1}};
    const float *const *a = d + rows[row].a, *const *b = d + rows[row].b, sign = rows[row].sign;
#define RUN(at, part) spread_row_vector(a, b, sign, to, plane, at, part)
    CONV_EACH_VECTOR(c, RUN);
#undef RUN
}

INLINE void spread_vector(const float *const d[16], float *to, size_t plane, size_t at, size_t part)
{
    vec r[4][4];
    for (size_t q = 0; q < 4; q++) {
        vec x[4];
        for (size_t i = 0; i < 4; i++) x[i] = load_of(d[4 * i + q] + at, 0, 1, part);
        r[0][q] = x[0] - x[2];
        r[1][q] = x[1] + x[2];
        r[2][q] = x[2] - x[1];
        r[3][q] = x[1] - x[3];
    }
    for (size_t i = 0; i < 4; i++) store_spread(r[i], to + 4 * i * plane + at, plane, part);
}

static void spread(const float *const d[16], size_t c, float *to, size_t plane)
{
#define RUN(at, part) spread_vector(d, to, plane, at, part)
    CONV_EACH_VECTOR(c, RUN);
#undef RUN
}

static void spread_filters(const float *taps, float *to, size_t plane)
{
    for (size_t at = 0; at < PANEL; at += LANES, taps += LANES, to += LANES) {
        vec r[4][3];
        for (size_t u = 0; u < 3; u++) {
            const vec a = load(taps + u * PANEL), b = load(taps + (3 + u) * PANEL), c = load(taps + (6 + u) * PANEL);
            r[0][u] = a;
            r[1][u] = 0.5f * (a + b + c);
            r[2][u] = 0.5f * (a - b + c);
            r[3][u] = c;
        }
        for (size_t i = 0; i < 4; i++) {
            float *row = to + 4 * i * plane;
            store(row, r[i][0]);
            store(row + plane, 0.5f * (r[i][0] + r[i][1] + r[i][2]));
            store(row + 2 * plane, 0.5f * (r[i][0] - r[i][1] + r[i][2]));
            store(row + 3 * plane, r[i][2]);
        }
    }
}

INLINE void spread_grad_vector(const float *const g[4], float upper, float lower, float *to, size_t plane, size_t at,
                               size_t part)
{
    vec r[2];
    for (size_t q = 0; q < 2; q++)
        r[q] = upper * load_of(g[q] + at, 0, 1, part) + lower * load_of(g[2 + q] + at, 0, 1, part);
    store_of(to + at, r[0], 0, 1, part);
    store_of(to + plane + at, r[0] + r[1], 0, 1, part);
    store_of(to + 2 * plane + at, r[0] - r[1], 0, 1, part);
    store_of(to + 3 * plane + at, -r[1], 0, 1, part);
}

static void spread_grad_row(size_t row, const float *const g[4], size_t c, float *to, size_t plane)
{
    static const float upper[4] = {1, 1, 1, 0}, lower[4] = {0, 1, -1, -1};
#define RUN(at, part) spread_grad_vector(g, upper[row], lower[row], to, plane, at, part)
    CONV_EACH_VECTOR(c, RUN);
#undef RUN
}

INLINE void gather_vector(const float *m, size_t plane, const float *bias, float *const out[4], bool add, size_t at,
                          size_t part)
{
    vec r[2][4];
    for (size_t q = 0; q < 4; q++) {
        vec d[4];
        for (size_t i = 0; i < 4; i++) d[i] = load_of(m + (4 * i + q) * plane + at, 0, 1, part);
        r[0][q] = d[0] + d[1] + d[2];
        r[1][q] = d[1] - d[2] - d[3];
    }
    for (size_t i = 0; i < 2; i++) {
        vec y[2] = {r[i][0] + r[i][1] + r[i][2], r[i][1] - r[i][2] - r[i][3]};
        for (size_t q = 0; q < 2; q++) {
            float *to = out[2 * i + q] + at;
            if (bias) y[q] += load_of(bias + at, 0, 1, part);
            if (add) y[q] += load_of(to, 0, 1, part);
            store_of(to, y[q], 0, 1, part);
        }
    }
}

static void gather(const float *m, size_t plane, size_t c, const float *bias, float *const out[4], bool add)
{
#define RUN(at, part) gather_vector(m, plane, bias, out, add, at, part)
    CONV_EACH_VECTOR(c, RUN);
#undef RUN
}

const fi_conv_kernels CONV_SET = {CONV_NAME,  PANEL,           strip,          outer, spread,
                                  spread_row, spread_grad_row, spread_filters, gather};
