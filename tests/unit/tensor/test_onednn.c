/*
 * oneDNN against our baseline kernels on what it is given: within 4e-7 of sum |a b| (f32, and bf16 with equal rounding of the
 * factors), the stated tolerance. Skipped where it is not built in.
 */
#include "tensor/onednn.h"

#include "base/alloc.h"
#include "check.h"
#include "tensor/kernels.h"

static float *random_numbers(size_t n, uint64_t seed)
{
    float *x = fi_aligned_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x[i] = (float)((double)(seed >> 11) * 0x1p-52 - 1);
    }
    return x;
}

static void magnitudes(const float *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = fabsf(x[i]);
}

/* The baseline, and (where it is built in) oneDNN on `threads` threads. */
static bool engines(size_t threads, fi_engine **plain, fi_engine **fast)
{
    ftl_error err = {0};
    CHECK_INT(fi_engine_new(1, plain, NULL), FTL_OK);
    (*plain)->k = &fi_kernel_set_base;
    CHECK_INT(fi_engine_new(threads, fast, NULL), FTL_OK);
    ftl_status st = fi_engine_onednn(*fast, &err);
    if (!st) return true;
    CHECK_INT(st, FTL_EINVAL);
    CHECK(strstr(err.message, "FORETELL_ONEDNN") != NULL);
    fi_engine_free(*plain);
    fi_engine_free(*fast);
    return false;
}

static void check_near(const char *what, const float *got, const float *expected, const float *size, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)expected[i]) <= 4e-7 * ((double)size[i] + fabs((double)expected[i]) + 1)))
            fail_msg("%s: number %zu is %.9g, expected %.9g", what, i, (double)got[i], (double)expected[i]);
}

typedef struct product_case {
    size_t m, k, n;
    fi_dtype type;
    bool transposed, bias, accumulate, residual, onto;
    fi_activation activation;
} product_case;

static const product_case product_cases[] = {
    {512, 512, 512, FI_F32, true, false, false, false, false, FI_LINEAR},
    {512, 512, 512, FI_BF16, true, true, false, false, false, FI_LINEAR},
    {65, 301, 257, FI_F32, false, true, false, true, false, FI_RELU},
    {600, 256, 384, FI_F32, true, true, false, true, false, FI_GELU},
    {333, 384, 256, FI_BF16, false, false, false, true, false, FI_SILU},
    {257, 512, 130, FI_F32, true, true, false, true, true, FI_LINEAR},
    {900, 260, 260, FI_BF16, true, false, true, false, false, FI_LINEAR},
    {300, 700, 100, FI_F32, false, false, true, false, false, FI_LINEAR},
};

static void product(const product_case *c, fi_engine *plain, fi_engine *fast)
{
    const size_t lda = c->k, ldc = c->n, ldb = c->transposed ? c->k : c->n;
    float *a = random_numbers(c->m * lda, 1), *b = random_numbers(c->k * c->n, 2), *bias = random_numbers(c->n, 3);
    float *residual = random_numbers(c->m * ldc, 4), *got = random_numbers(c->m * ldc, 5);
    float *expected = random_numbers(c->m * ldc, 5), *size = random_numbers(c->m * ldc, 6);
    float *other = random_numbers(c->k * c->n, 7);
    fi_packed *ours, *theirs;
    fi_product p = {.m = c->m, .n = c->n, .k = c->k, .a = a, .lda = lda, .ldc = ldc, .accumulate = c->accumulate};
    p.bias = c->bias ? bias : NULL;
    p.activation = c->activation;
    p.residual = c->residual ? residual : NULL;
    p.ld_residual = ldc;
    CHECK_INT(fi_pack(plain, c->type, c->k, c->n, b, ldb, c->transposed, &ours, NULL), FTL_OK);
    CHECK_INT(fi_pack(fast, c->type, c->k, c->n, other, ldb, c->transposed, &theirs, NULL), FTL_OK);
    CHECK(theirs->onednn && theirs->bytes > ours->bytes && !ours->onednn);
    fi_repack(fast, theirs, b, ldb, c->transposed); /* what was packed before is gone */
    p.packed = ours;
    p.c = expected;
    if (c->onto) p.residual = expected;
    fi_multiply(plain, &p);
    p.packed = theirs;
    p.c = got;
    if (c->onto) p.residual = got;
    CHECK(fi_onednn_multiply(fast, &p));
    /* the size of the sums: the product of magnitudes */
    p = (fi_product){.m = c->m, .n = c->n, .k = c->k, .a = a, .lda = lda, .ldc = ldc, .b = b, .ldb = ldb};
    p.b_transposed = c->transposed;
    p.c = size;
    magnitudes(a, c->m * lda, a);
    magnitudes(b, c->k * c->n, b);
    fi_multiply(plain, &p);
    check_near("product", got, expected, size, c->m * c->n);
    fi_packed_free(ours);
    fi_packed_free(theirs);
    float *const all[] = {a, b, bias, residual, got, expected, size, other};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) fi_aligned_free(all[i]);
}

TEST(products_are_within_the_tolerance)
{
    fi_engine *plain, *fast;
    if (!engines(2, &plain, &fast)) skip();
    for (size_t i = 0; i < sizeof product_cases / sizeof *product_cases; i++) product(&product_cases[i], plain, fast);
    fi_engine_free(plain);
    fi_engine_free(fast);
}

TEST(what_is_small_or_in_int8_stays_ours)
{
    fi_engine *plain, *fast;
    if (!engines(1, &plain, &fast)) skip();
    float *x = random_numbers(512 * 512, 1), *out = random_numbers(512 * 512, 1);
    fi_packed *large, *small, *i8;
    CHECK_INT(fi_pack(fast, FI_F32, 512, 512, x, 512, true, &large, NULL), FTL_OK);
    CHECK_INT(fi_pack(fast, FI_F32, 128, 128, x, 128, true, &small, NULL), FTL_OK);
    CHECK_INT(fi_pack(fast, FI_I8, 512, 512, x, 512, true, &i8, NULL), FTL_OK);
    CHECK(large->onednn && !small->onednn && !i8->onednn);
    fi_product p = {.m = 20, .n = 512, .k = 512, .a = x, .lda = 512, .packed = large, .c = out, .ldc = 512};
    CHECK(!fi_onednn_multiply(fast, &p));
    p.m = 512;
    CHECK(fi_onednn_multiply(fast, &p));
    p.lda = 510;
    CHECK(!fi_onednn_multiply(fast, &p)); /* rows apart */
    p.lda = 512;
    p.a_transposed = true;
    CHECK(!fi_onednn_multiply(fast, &p));
    fi_packed_free(large);
    fi_packed_free(small);
    fi_packed_free(i8);
    fi_aligned_free(x);
    fi_aligned_free(out);
    fi_engine_free(plain);
    fi_engine_free(fast);
}

TEST(missing_numbers_stay_missing)
{
    enum { N = 256 };
    fi_engine *plain, *fast;
    if (!engines(2, &plain, &fast)) skip();
    float *a = random_numbers(N * N, 1), *b = random_numbers(N * N, 2), *c = random_numbers(N * N, 3);
    fi_packed *packed;
    CHECK_INT(fi_pack(fast, FI_F32, N, N, b, N, true, &packed, NULL), FTL_OK);
    a[5 * N + 7] = NAN;
    fi_product p = {
        .m = N, .n = N, .k = N, .a = a, .lda = N, .packed = packed, .c = c, .ldc = N, .activation = FI_RELU};
    CHECK(fi_onednn_multiply(fast, &p));
    for (size_t i = 0; i < N * N; i++) CHECK(isnan(c[i]) == (i / N == 5));
    fi_packed_free(packed);
    fi_aligned_free(a);
    fi_aligned_free(b);
    fi_aligned_free(c);
    fi_engine_free(plain);
    fi_engine_free(fast);
}

TEST(threads_do_not_change_a_bit)
{
    enum { M = 700, N = 300 };
    fi_engine *plain, *fast, *more;
    if (!engines(1, &plain, &fast)) skip();
    CHECK_INT(fi_engine_new(3, &more, NULL), FTL_OK);
    CHECK_INT(fi_engine_onednn(more, NULL), FTL_OK);
    float *a = random_numbers(M * N, 1), *b = random_numbers(N * N, 2), *c = random_numbers(M * N, 3);
    float *again = random_numbers(M * N, 4);
    fi_packed *packed;
    CHECK_INT(fi_pack(fast, FI_F32, N, N, b, N, true, &packed, NULL), FTL_OK);
    fi_product p = {.m = M, .n = N, .k = N, .a = a, .lda = N, .packed = packed, .c = c, .ldc = N};
    CHECK(fi_onednn_multiply(fast, &p));
    p.c = again;
    CHECK(fi_onednn_multiply(more, &p));
    CHECK(!memcmp(c, again, M * N * sizeof *c));
    fi_packed_free(packed);
    float *const all[] = {a, b, c, again};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) fi_aligned_free(all[i]);
    fi_engine_free(plain);
    fi_engine_free(fast);
    fi_engine_free(more);
}

typedef struct conv_case {
    size_t n, c, o, side, taps, stride, pad;
    bool bias, add;
} conv_case;

static const conv_case conv_cases[] = {
    {100, 64, 64, 16, 3, 1, 1, false, false},
    {33, 32, 64, 9, 3, 1, 1, true, false},
    {7, 64, 128, 14, 3, 2, 1, true, false},
    {19, 40, 64, 12, 1, 1, 0, false, true},
};

static void convolution(const conv_case *c, fi_engine *plain, fi_engine *fast)
{
    const size_t out_side = (c->side + 2 * c->pad - c->taps) / c->stride + 1;
    const size_t in = c->n * c->side * c->side * c->c, out = c->n * out_side * out_side * c->o;
    const fi_conv_axis axis = {c->side, out_side, c->taps, c->stride, c->pad, 1};
    const size_t n_weights = c->taps * c->taps * c->c * c->o;
    fi_conv v = {.k = &fi_conv_kernels_base, .n = c->n, .c = c->c, .o = c->o, .y = axis, .x = axis};
    float *x = random_numbers(in, 1), *w = random_numbers(n_weights, 2), *bias = random_numbers(c->o, 3);
    float *got = random_numbers(out, 4), *expected = random_numbers(out, 4), *size = random_numbers(out, 4);
    float *base = v.packed = random_numbers(fi_conv_packed_size(&v, false), 5);
    fi_conv_forward(plain, &v, x, w, c->bias ? bias : NULL, expected, c->add);
    v.k = fi_conv_kernels_best();
    v.packed = random_numbers(fi_conv_packed_size(&v, false), 5);
    CHECK(fi_onednn_convolve(fast, &v, x, w, c->bias ? bias : NULL, got, c->add));
    magnitudes(x, in, x);
    magnitudes(w, n_weights, w);
    float *best = v.packed;
    v.k = &fi_conv_kernels_base;
    v.packed = base;
    fi_conv_forward(plain, &v, x, w, NULL, size, false);
    check_near("convolution", got, expected, size, out);
    float *const all[] = {x, w, bias, got, expected, size, base, best};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) fi_aligned_free(all[i]);
}

TEST(convolutions_are_within_the_tolerance)
{
    fi_engine *plain, *fast;
    if (!engines(2, &plain, &fast)) skip();
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++) convolution(&conv_cases[i], plain, fast);
    fi_engine_free(plain);
    fi_engine_free(fast);
}

TEST(lack_of_memory_is_told)
{
    fi_engine *plain, *fast;
    if (!engines(1, &plain, &fast)) skip();
    float *b = random_numbers(256 * 256, 1);
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 20; n++) {
        fi_packed *packed = NULL;
        fi_alloc_fail_after(n);
        st = fi_pack(fast, FI_F32, 256, 256, b, 256, true, &packed, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (packed != NULL));
        fi_packed_free(packed);
    }
    CHECK_INT(st, FTL_OK);
    fi_aligned_free(b);
    fi_engine_free(plain);
    fi_engine_free(fast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_within_the_tolerance),     cmocka_unit_test(what_is_small_or_in_int8_stays_ours),
        cmocka_unit_test(missing_numbers_stay_missing),          cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(convolutions_are_within_the_tolerance), cmocka_unit_test(lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
