/*
 * Bodies of the kernels. The including file defines KERNEL_LANES (doubles in a vector) and KERNEL_SET (the name of its
 * fi_kernels), and is compiled with the flags of its instruction set (CMakeLists.txt).
 */
#include "math/kernels.h"

#include <string.h>

typedef double vec __attribute__((vector_size(KERNEL_LANES * sizeof(double))));

static inline vec load(const double *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline double sum(vec v)
{
    double s[KERNEL_LANES];
    memcpy(s, &v, sizeof v);
    for (int width = KERNEL_LANES / 2; width >= 1; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}

enum { A = 4, B = 3, ROWS = 512 }; /* a tile of A x B sums; rows in blocks that stay in the first cache */

/* Sums of products of na <= A columns at X with nb <= B columns at Y over n rows, added to out[a * B + b]. */
static inline __attribute__((always_inline)) void tile(const double *X, const double *Y, size_t ld, size_t n, int na,
                                                       int nb, double *out)
{
    vec s[A][B];
    for (int a = 0; a < na; a++)
        for (int b = 0; b < nb; b++) s[a][b] = (vec){0};
    size_t i = 0;
    for (; i + KERNEL_LANES <= n; i += KERNEL_LANES) {
        vec y[B];
        for (int b = 0; b < nb; b++) y[b] = load(Y + (size_t)b * ld + i);
        for (int a = 0; a < na; a++) {
            vec x = load(X + (size_t)a * ld + i);
            for (int b = 0; b < nb; b++) s[a][b] += x * y[b];
        }
    }
    for (int a = 0; a < na; a++)
        for (int b = 0; b < nb; b++) {
            double total = sum(s[a][b]);
            for (size_t r = i; r < n; r++) total += X[(size_t)a * ld + r] * Y[(size_t)b * ld + r];
            out[a * B + b] += total;
        }
}

/* tile() with constant sizes, so that the sums live in registers. */
static void tile_of(const double *X, const double *Y, size_t ld, size_t n, size_t na, size_t nb, double *out)
{
#define CASE(a, b)                                                                                                     \
    case (a)*4 + (b): tile(X, Y, ld, n, a, b, out); break
    switch (na * 4 + nb) {
        CASE(1, 1);
        CASE(1, 2);
        CASE(1, 3);
        CASE(2, 1);
        CASE(2, 2);
        CASE(2, 3);
        CASE(3, 1);
        CASE(3, 2);
        CASE(3, 3);
        CASE(4, 1);
        CASE(4, 2);
        CASE(4, 3);
    }
#undef CASE
}

static void gram(const double *X, size_t ld, size_t n, size_t k, double *G, size_t ldg)
{
    for (size_t i = 0; i < k; i++) memset(G + i * ldg, 0, k * sizeof *G);
    for (size_t row = 0; row < n; row += ROWS) {
        size_t rows = n - row < ROWS ? n - row : ROWS;
        for (size_t i = 0; i < k; i += A)
            for (size_t j = 0; j < i + A && j < k; j += B) {
                size_t na = k - i < A ? k - i : A, nb = k - j < B ? k - j : B;
                double out[A * B] = {0};
                tile_of(X + i * ld + row, X + j * ld + row, ld, rows, na, nb, out);
                for (size_t a = 0; a < na; a++)
                    for (size_t b = 0; b < nb; b++) G[(i + a) * ldg + j + b] += out[a * B + b];
            }
    }
    for (size_t i = 0; i < k; i++)
        for (size_t j = i + 1; j < k; j++) G[i * ldg + j] = G[j * ldg + i];
}

static void dots(const double *X, size_t ld, size_t n, size_t k, const double *w, double *out)
{
    size_t j = 0;
    for (; j + 4 <= k; j += 4) {
        vec s[4] = {{0}, {0}, {0}, {0}};
        const double *x = X + j * ld;
        size_t i = 0;
        for (; i + KERNEL_LANES <= n; i += KERNEL_LANES) {
            vec v = load(w + i);
            for (size_t c = 0; c < 4; c++) s[c] += load(x + c * ld + i) * v;
        }
        for (size_t c = 0; c < 4; c++) {
            double total = sum(s[c]);
            for (size_t r = i; r < n; r++) total += x[c * ld + r] * w[r];
            out[j + c] = total;
        }
    }
    for (; j < k; j++) {
        vec s = {0};
        const double *x = X + j * ld;
        size_t i = 0;
        for (; i + KERNEL_LANES <= n; i += KERNEL_LANES) s += load(x + i) * load(w + i);
        double total = sum(s);
        for (; i < n; i++) total += x[i] * w[i];
        out[j] = total;
    }
}

static void combine(const double *X, size_t ld, size_t n, size_t k, const double *coef, double *y)
{
    for (size_t row = 0; row < n; row += ROWS) {
        size_t rows = n - row < ROWS ? n - row : ROWS, j = 0;
        double *to = y + row;
        for (; j + 4 <= k; j += 4) {
            const double *x = X + j * ld + row;
            double c0 = coef[j], c1 = coef[j + 1], c2 = coef[j + 2], c3 = coef[j + 3];
            for (size_t i = 0; i < rows; i++)
                to[i] += (c0 * x[i] + c1 * x[ld + i]) + (c2 * x[2 * ld + i] + c3 * x[3 * ld + i]);
        }
        for (; j < k; j++)
            for (size_t i = 0; i < rows; i++) to[i] += coef[j] * X[j * ld + row + i];
    }
}

static inline void store(double *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

static void solve_rows(const double *L, size_t n, size_t ldl, double *X, size_t m)
{
    for (size_t j = 0; j < m; j += KERNEL_LANES)
        for (size_t i = 0; i < n; i++) {
            const double *l = L + i * ldl;
            vec s = load(X + i * m + j), s2 = {0};
            size_t k = 0;
            for (; k + 2 <= i; k += 2) {
                s -= l[k] * load(X + k * m + j);
                s2 -= l[k + 1] * load(X + (k + 1) * m + j);
            }
            if (k < i) s -= l[k] * load(X + k * m + j);
            store(X + i * m + j, (s + s2) / l[i]);
        }
}

static void schur(double *C, size_t n, const double *W, size_t r, size_t m)
{
    for (size_t i = 0; i < n; i += 4)
        for (size_t j = 0; j < m; j += KERNEL_LANES) {
            size_t rows = n - i < 4 ? n - i : 4;
            if (j > i + 3) break; /* the lower triangle is enough */
            vec s[4] = {{0}, {0}, {0}, {0}};
            for (size_t k = 0; k < r; k++) {
                const double *w = W + k * m;
                vec x = load(w + j);
                for (size_t a = 0; a < 4; a++) s[a] += w[i + a] * x; /* W is padded: i + 3 < m */
            }
            for (size_t a = 0; a < rows; a++) store(C + (i + a) * m + j, load(C + (i + a) * m + j) - s[a]);
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) C[i * m + j] = C[j * m + i];
}

const fi_kernels KERNEL_SET = {KERNEL_NAME, gram, dots, combine, solve_rows, schur};
