/*
 * Convolutions, pooling and norms over channels against plain sums in double; their gradients are in test_gradients. A sum
 * of k products of numbers within (-1, 1) seldom exceeds sqrt(k) and rounds k times by up to 6e-8 of itself, at random: 3e-7 k has room.
 */
#include "check.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "tensor/channel_kernels.h"
#include "tensor/convolve.h"
#include "tensor/ops.h"

static bool coarse; /* numbers are multiples of 1/128, which bf16 holds exactly */

static float *numbers(size_t n, uint32_t stream)
{
    float *x = fi_aligned_alloc(n + 1, sizeof *x);
    fi_rng rng;
    fi_rng_init(&rng, 3, stream, 0);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(2.0 * fi_rng_uniform(&rng) - 1.0);
        if (coarse) x[i] = roundf(x[i] * 128.0f) / 128.0f;
    }
    return x;
}

static fi_conv_axis axis(size_t in, size_t taps, size_t stride, size_t pad, size_t dilation)
{
    return (fi_conv_axis){in, (in + 2 * pad - (taps - 1) * dilation - 1) / stride + 1, taps, stride, pad, dilation};
}

/* Every product that a convolution is made of: added to y, dx and dw. */
static void reference(const fi_conv *v, const float *x, const float *w, const float *g, double *y, double *dx,
                      double *dw)
{
    for (size_t n = 0; n < v->n; n++)
        for (size_t i = 0; i < v->y.out; i++)
            for (size_t j = 0; j < v->x.out; j++)
                for (size_t t = 0; t < v->y.taps; t++)
                    for (size_t u = 0; u < v->x.taps; u++) {
                        const size_t a = i * v->y.stride + t * v->y.dilation, b = j * v->x.stride + u * v->x.dilation;
                        if (a < v->y.pad || a - v->y.pad >= v->y.in || b < v->x.pad || b - v->x.pad >= v->x.in)
                            continue;
                        const size_t in = ((n * v->y.in + a - v->y.pad) * v->x.in + b - v->x.pad) * v->c,
                                     out = ((n * v->y.out + i) * v->x.out + j) * v->o;
                        for (size_t o = 0; o < v->o; o++)
                            for (size_t c = 0; c < v->c; c++) {
                                const size_t f = ((o * v->y.taps + t) * v->x.taps + u) * v->c + c;
                                y[out + o] += (double)x[in + c] * w[f];
                                dx[in + c] += (double)g[out + o] * w[f];
                                dw[f] += (double)g[out + o] * x[in + c];
                            }
                    }
}

static void compare(const fi_conv *v, const char *what, const float *a, const double *b, size_t n, size_t terms)
{
    const double most = 3e-7 * (double)terms + 1e-6;
    for (size_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= most))
            fail_msg("%s of [%zu, %zu, %zu, %zu] by [%zu, %zu, %zu] stride %zu pad %zu dilation %zu, %s: number %zu is "
                     "%.9g, expected %.9g within %g",
                     what, v->n, v->y.in, v->x.in, v->c, v->o, v->y.taps, v->x.taps, v->y.stride, v->y.pad,
                     v->y.dilation, v->k->name, i, (double)a[i], b[i], most);
}

static void check_conv(fi_engine *one, fi_engine *three, fi_conv v)
{
    const size_t nx = v.n * v.y.in * v.x.in * v.c, nw = v.o * v.y.taps * v.x.taps * v.c,
                 ny = v.n * v.y.out * v.x.out * v.o, taps = v.y.taps * v.x.taps;
    float *x = numbers(nx, 1), *w = numbers(nw, 2), *g = numbers(ny, 3), *bias = numbers(v.o + v.c, 4);
    float *y = numbers(ny, 5), *dx = numbers(nx, 6), *dw = numbers(nw, 7);
    double *ry = fi_calloc(ny, sizeof *ry), *rx = fi_calloc(nx, sizeof *rx), *rw = fi_calloc(nw, sizeof *rw);
    v.packed = fi_aligned_alloc(fi_conv_packed_size(&v, true), sizeof *v.packed);
    CHECK(x && w && g && bias && y && dx && dw && ry && rx && rw && v.packed);
    reference(&v, x, w, g, ry, rx, rw);

    for (size_t i = 0; i < ny; i++) ry[i] += bias[i % v.o];
    fi_conv_forward(one, &v, x, w, bias, y, false);
    compare(&v, "forward", y, ry, ny, v.c * taps);
    float *other = fi_aligned_alloc(nx + ny + nw + 1, sizeof *other);
    fi_conv_forward(three, &v, x, w, bias, other, false);
    CHECK(memcmp(y, other, ny * sizeof *y) == 0);
    if (v.n > 1) { /* the last image alone */
        fi_conv alone = v;
        alone.n = 1;
        fi_conv_forward(three, &alone, x + nx / v.n * (v.n - 1), w, bias, other, false);
        CHECK(memcmp(y + ny / v.n * (v.n - 1), other, ny / v.n * sizeof *y) == 0);
    }
    for (size_t i = 0; i < ny; i++) ry[i] += y[i] - (double)bias[i % v.o];
    fi_conv_forward(three, &v, x, w, NULL, y, true);
    compare(&v, "adding forward", y, ry, ny, v.c * taps + 1);

    memcpy(other, dx, nx * sizeof *dx);
    for (size_t i = 0; i < nx; i++) rx[i] += dx[i];
    fi_conv_backward_data(one, &v, g, w, NULL, dx, true);
    compare(&v, "gradient by data", dx, rx, nx, v.o * taps + 1);
    fi_conv_backward_data(three, &v, g, w, NULL, other, true);
    CHECK(memcmp(dx, other, nx * sizeof *dx) == 0);
    float *first = numbers(nx, 6);
    for (size_t i = 0; i < nx; i++) rx[i] += (double)bias[v.o + i % v.c] - first[i];
    fi_conv_backward_data(three, &v, g, w, bias + v.o, dx, false);
    compare(&v, "transposed", dx, rx, nx, v.o * taps + 1);

    memcpy(other, dw, nw * sizeof *dw);
    for (size_t i = 0; i < nw; i++) rw[i] += dw[i];
    fi_conv_backward_weights(one, &v, x, g, dw);
    compare(&v, "gradient by weights", dw, rw, nw, v.n * v.y.out * v.x.out + 1);
    fi_conv_backward_weights(three, &v, x, g, other);
    CHECK(memcmp(dw, other, nw * sizeof *dw) == 0);

    float *blocks[] = {x, w, g, bias, y, dx, dw, other, first, v.packed};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) fi_aligned_free(blocks[i]);
    fi_free(ry);
    fi_free(rx);
    fi_free(rw);
}

/* Sizes that fill tiles and that do not, more than one task, and more than one window. */
static const struct shape {
    size_t n, h, w, c, o, ky, kx, stride, pad, dilation;
} shapes[] = {
    {2, 16, 16, 64, 64, 3, 3, 1, 1, 1}, {3, 8, 8, 33, 65, 3, 3, 1, 1, 1},   {1, 1, 1, 1, 1, 1, 1, 1, 0, 1},
    {2, 17, 5, 3, 5, 3, 3, 1, 1, 1},    {1, 4, 7, 65, 3, 3, 3, 1, 1, 1},    {5, 6, 6, 16, 32, 1, 1, 1, 0, 1},
    {2, 9, 8, 5, 7, 3, 3, 2, 1, 1},     {2, 7, 10, 3, 17, 2, 2, 2, 0, 1},   {1, 11, 11, 2, 3, 5, 3, 3, 2, 1},
    {2, 12, 9, 4, 6, 3, 3, 1, 2, 2},    {1, 13, 14, 3, 4, 3, 2, 2, 3, 3},   {1, 9, 9, 2, 2, 3, 3, 4, 1, 2},
    {3, 4, 4, 6, 8, 4, 4, 4, 0, 1},     {1, 5, 5, 3, 3, 2, 2, 3, 0, 1},     {1, 3, 3, 2, 4, 3, 3, 1, 5, 1},
    {1, 1, 900, 80, 4, 1, 3, 1, 8, 8},  {2, 40, 40, 48, 8, 3, 3, 1, 1, 1},  {1, 2, 2, 300, 40, 3, 3, 1, 1, 1},
    {1, 1, 7, 1, 2, 1, 3, 1, 20, 20},   {0, 4, 4, 3, 3, 3, 3, 1, 1, 1},     {3, 7, 9, 20, 37, 3, 3, 1, 1, 1},
    {2, 5, 4, 17, 16, 3, 3, 1, 0, 1},   {4, 2, 3, 30, 18, 3, 3, 1, 2, 1},   {0, 8, 8, 32, 32, 3, 3, 1, 1, 1},
    {9, 4, 4, 16, 150, 3, 3, 1, 1, 1},  {1, 33, 40, 48, 24, 3, 3, 1, 1, 1},
};

static void check_shapes(const fi_conv_kernels *k, const fi_conv_tiles *tiles)
{
    fi_engine *one = NULL, *three = NULL;
    CHECK_INT(fi_engine_new(1, &one, NULL), FTL_OK);
    CHECK_INT(fi_engine_new(3, &three, NULL), FTL_OK);
    coarse = tiles != NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        fi_conv v = {.k = k, .tiles = tiles, .n = s->n, .c = s->c, .o = s->o};
        v.y = axis(s->h, s->ky, s->ky > 1 || s->kx == 1 ? s->stride : 1, s->ky > 1 ? s->pad : 0, s->dilation);
        v.x = axis(s->w, s->kx, s->stride, s->kx > 1 ? s->pad : 0, s->dilation);
        check_conv(one, three, v);
    }
    fi_rng rng;
    fi_rng_init(&rng, 17, 0, 0);
    for (int i = 0; i < 60; i++) {
#define PICK(n) ((size_t)(fi_rng_uniform(&rng) * (n)))
        const size_t dilation = 1 + PICK(2), ky = 1 + PICK(3), kx = 1 + PICK(3), pad = PICK(3);
        fi_conv v = {.k = k, .tiles = tiles, .n = 1 + PICK(3), .c = 1 + PICK(20), .o = 1 + PICK(70)};
        v.y = axis((ky - 1) * dilation + 1 + PICK(14), ky, 1 + PICK(3), pad, dilation);
        v.x = axis((kx - 1) * dilation + 1 + PICK(14), kx, 1 + PICK(3), pad, dilation);
        check_conv(one, three, v);
    }
    coarse = false;
    fi_engine_free(one);
    fi_engine_free(three);
}

TEST(convolutions_are_the_plain_sums_whatever_the_kernels_and_threads)
{
    for (const fi_conv_kernels *const *k = fi_conv_kernels_all(); *k; k++) check_shapes(*k, NULL);
}

TEST(tiles_give_the_plain_sums_of_numbers_that_bf16_holds)
{
    const fi_conv_tiles *tiles = fi_conv_tiles_best();
    if (!tiles) {
        print_message("SKIPPED: this processor has no matrix tiles\n");
        skip();
    }
    check_shapes(fi_conv_kernels_best(), tiles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_are_the_plain_sums_whatever_the_kernels_and_threads),
        cmocka_unit_test(tiles_give_the_plain_sums_of_numbers_that_bf16_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
