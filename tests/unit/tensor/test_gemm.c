/*
 * Every kernel set of this processor against sums in double of numbers rounded in the same way. Bounds are relative to
 * sum |a b|: a float sum of k terms in one order errs by at most k 2^-24 of it, in practice by sqrt(k) 2^-24.
 */
#include "base/alloc.h"
#include "check.h"
#include "tensor/kernels.h"

#include <math.h>

enum { PAD = 3 }; /* between rows, and never to be touched */
static const float UNTOUCHED = 12345.5f;

typedef struct shape {
    size_t m, n, k;
} shape;

typedef struct problem {
    fi_product p;
    float *a, *b, *c, *bias, *residual, *before;
    fi_packed *packed;
} problem;

static uint64_t random_state = 1;

static float random_number(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)((double)(random_state >> 11) * 0x1p-52 - 1);
}

static float *random_matrix(size_t rows, size_t cols, size_t *ld)
{
    *ld = cols + PAD;
    float *x = malloc((rows * *ld + 1) * sizeof *x);
    for (size_t i = 0; i < rows * *ld; i++) x[i] = i % *ld < cols ? random_number() : UNTOUCHED;
    return x;
}

static problem make(const fi_engine *engine, shape s, fi_dtype type, bool packed, bool ta, bool tb)
{
    problem q = {.p = {.m = s.m, .n = s.n, .k = s.k, .a_transposed = ta, .b_transposed = tb, .type = type}};
    q.a = random_matrix(ta ? s.k : s.m, ta ? s.m : s.k, &q.p.lda);
    q.b = random_matrix(tb ? s.n : s.k, tb ? s.k : s.n, &q.p.ldb);
    q.c = random_matrix(s.m, s.n, &q.p.ldc);
    q.residual = random_matrix(s.m, s.n, &q.p.ld_residual);
    size_t unused;
    q.bias = random_matrix(1, s.n, &unused);
    q.before = malloc((s.m * q.p.ldc + 1) * sizeof *q.before);
    memcpy(q.before, q.c, s.m * q.p.ldc * sizeof *q.c);
    q.p.a = q.a;
    q.p.c = q.c;
    if (packed)
        CHECK_INT(fi_pack(engine, type, s.k, s.n, q.b, q.p.ldb, tb, &q.packed, NULL), FTL_OK);
    else
        q.p.b = q.b;
    q.p.packed = q.packed;
    return q;
}

static void discard(problem *q)
{
    fi_packed_free(q->packed);
    free(q->a);
    free(q->b);
    free(q->c);
    free(q->bias);
    free(q->residual);
    free(q->before);
}

static double rounded(float x, fi_dtype type)
{
    if (type == FI_BF16) {
        uint16_t bits;
        fi_convert_from_f32(FI_BF16, &x, &bits, 1);
        fi_convert_to_f32(FI_BF16, &bits, &x, 1);
    }
    return x;
}

static double activated(fi_activation activation, double x)
{
    switch (activation) {
    case FI_LINEAR: return x;
    case FI_RELU: return x > 0 ? x : 0;
    case FI_GELU: return 0.5 * x * (1 + erf(x * sqrt(0.5)));
    case FI_GELU_TANH: return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case FI_SILU: return x / (1 + exp(-x));
    case FI_TANH: return tanh(x);
    case FI_SIGMOID: return 1 / (1 + exp(-x));
    }
    return NAN;
}

/* The numbers of a row (or column) of k, `step` apart, as the product is to round them; the largest. */
static double round_all(const float *x, size_t k, size_t step, fi_dtype type, double *out)
{
    float most = 0;
    for (size_t i = 0; i < k; i++) most = fmaxf(most, fabsf(x[i * step]));
    for (size_t i = 0; i < k; i++) {
        out[i] = rounded(x[i * step], type);
        if (type == FI_I8)
            out[i] = most > 0 ? (double)nearbyintf(x[i * step] * (127 / most)) * (double)(most / 127) : 0;
    }
    return (double)most;
}

static void check(const problem *q, const char *name)
{
    const fi_product *p = &q->p;
    const fi_dtype type = p->packed ? p->packed->type : p->type;
    double *a = malloc((p->k + 1) * sizeof *a), *b = malloc((p->k * p->n + 1) * sizeof *b), b_most = 0;
    for (size_t j = 0; j < p->n; j++)
        b_most = fmax(b_most, round_all(q->b + j * (p->b_transposed ? p->ldb : 1), p->k, p->b_transposed ? 1 : p->ldb,
                                        type, b + j * p->k));
    for (size_t i = 0; i < p->m; i++) {
        const double a_most =
            round_all(q->a + i * (p->a_transposed ? 1 : p->lda), p->k, p->a_transposed ? p->lda : 1, type, a);
        for (size_t j = 0; j < p->n; j++) {
            double sum = 0, size = 0;
            for (size_t l = 0; l < p->k; l++) {
                double term = a[l] * b[j * p->k + l];
                sum += term;
                size += fabs(term);
            }
            double expected = p->accumulate ? (double)q->before[i * p->ldc + j] + sum
                                            : activated(p->activation, sum + (p->bias ? (double)p->bias[j] : 0));
            if (p->residual) expected += (double)p->residual[i * p->ld_residual + j];
            double got = (double)p->c[i * p->ldc + j];
            double bound = 4e-7 * (size + fabs(expected) + 1);
            if (type == FI_I8)
                bound += 2 * a_most * b_most / 127; /* two numbers just between steps went the other way */
            if (!(fabs(got - expected) <= bound))
                fail_msg("%s, %s, m %zu n %zu k %zu, ta %d tb %d packed %d: c[%zu, %zu] is %.9g, expected %.9g", name,
                         fi_dtype_name(type), p->m, p->n, p->k, p->a_transposed, p->b_transposed, p->packed != NULL, i,
                         j, got, expected);
        }
        for (size_t j = p->n; j < p->ldc; j++) CHECK(p->c[i * p->ldc + j] == UNTOUCHED);
    }
    free(a);
    free(b);
}

/* Runs body for every kernel set, with an engine of `threads` threads. */
#define FOR_EVERY_SET(engine, threads, body)                                                                           \
    for (const fi_kernel_set *const *set = fi_kernel_set_all(); *set; set++) {                                         \
        fi_engine *engine;                                                                                             \
        CHECK_INT(fi_engine_new(threads, &engine, NULL), FTL_OK);                                                      \
        engine->k = *set;                                                                                              \
        body;                                                                                                          \
        fi_engine_free(engine);                                                                                        \
    }

static const shape awkward[] = {{1, 1, 1},      {1, 1, 0},      {2, 33, 0},    {1, 32, 7},    {1, 131, 64},
                                {2, 129, 65},   {3, 260, 31},   {4, 31, 33},   {5, 32, 16},   {6, 64, 17},
                                {7, 65, 3},     {13, 40, 100},  {14, 96, 40},  {15, 47, 129}, {16, 16, 16},
                                {17, 1, 50},    {20, 70, 48},   {28, 2, 64},   {33, 100, 34}, {225, 36, 520},
                                {70, 33, 1025}, {1, 129, 2100}, {3, 140, 2090}};
enum { N_AWKWARD = sizeof awkward / sizeof *awkward };

static void all_shapes(fi_engine *engine)
{
    for (size_t s = 0; s < N_AWKWARD; s++)
        for (int how = 0; how < 20; how++) {
            bool ta = how & 1, tb = how & 2;
            fi_dtype type = how < 8 ? FI_F32 : how < 16 ? FI_BF16 : FI_I8;
            problem q = make(engine, awkward[s], type, how & 4 || type == FI_I8, ta, tb);
            fi_multiply(engine, &q.p);
            check(&q, engine->k->name);
            discard(&q);
        }
}

TEST(products_of_all_shapes_types_and_transposes)
{
    FOR_EVERY_SET(engine, 2, all_shapes(engine))
}

static void all_endings(fi_engine *engine)
{
    static const shape shapes[] = {{1, 130, 40}, {19, 37, 64}, {5, 70, 2064}};
    for (size_t s = 0; s < 3; s++)
        for (int how = 0; how < 7 * 12; how++) {
            fi_dtype type = how % 3 == 0 ? FI_F32 : how % 3 == 1 ? FI_BF16 : FI_I8;
            problem q = make(engine, shapes[s], type, true, false, true);
            q.p.activation = (fi_activation)(how / 12);
            if (how / 3 & 1) q.p.bias = q.bias;
            if (how / 3 & 2) q.p.residual = q.residual;
            fi_multiply(engine, &q.p);
            check(&q, engine->k->name);
            if (!q.p.bias && !q.p.residual && !q.p.activation) {
                memcpy(q.before, q.c, q.p.m * q.p.ldc * sizeof *q.c);
                q.p.accumulate = true;
                fi_multiply(engine, &q.p);
                check(&q, engine->k->name);
                q.p.accumulate = false; /* the residual may be the output */
                memcpy(q.residual, q.c, q.p.m * q.p.ldc * sizeof *q.c);
                memcpy(q.before, q.c, q.p.m * q.p.ldc * sizeof *q.c);
                q.p.residual = q.p.c;
                fi_multiply(engine, &q.p);
                q.p.residual = q.residual;
                check(&q, engine->k->name);
            }
            discard(&q);
        }
}

TEST(bias_activations_residual_and_accumulation)
{
    FOR_EVERY_SET(engine, 1, all_endings(engine))
}

static void rows_alone(fi_engine *engine)
{
    static const shape s = {227, 170, 1060};
    for (int how = 0; how < 6; how++) {
        fi_dtype type = how % 3 == 0 ? FI_F32 : how % 3 == 1 ? FI_BF16 : FI_I8;
        problem q = make(engine, s, type, how < 3 || type == FI_I8, false, how & 1);
        q.p.bias = q.bias;
        fi_multiply(engine, &q.p);
        float *alone = malloc(31 * s.n * sizeof *alone);
        for (size_t rows = 1; rows <= 31; rows += rows < 5 ? 1 : 5)
            for (size_t from = rows % 3; from + rows <= s.m; from += 71) {
                fi_product part = q.p;
                part.m = rows;
                part.a = q.a + from * q.p.lda;
                part.c = alone;
                part.ldc = s.n;
                fi_multiply(engine, &part);
                for (size_t r = 0; r < rows; r++)
                    CHECK(!memcmp(alone + r * s.n, q.c + (from + r) * q.p.ldc, s.n * sizeof *alone));
            }
        free(alone);
        discard(&q);
    }
}

TEST(a_row_is_the_same_bits_alone_and_in_any_batch)
{
    FOR_EVERY_SET(engine, 1, rows_alone(engine))
}

static void threads_and_packing(fi_engine *engine)
{
    static const shape shapes[] = {{1, 700, 520}, {20, 513, 300}, {300, 160, 600}};
    for (size_t s = 0; s < 3; s++)
        for (int how = 0; how < 3; how++) {
            fi_dtype type = how == 0 ? FI_F32 : how == 1 ? FI_BF16 : FI_I8;
            problem q = make(engine, shapes[s], type, true, false, true);
            fi_multiply(engine, &q.p);
            const size_t bytes = q.p.m * q.p.ldc * sizeof *q.c;
            memcpy(q.before, q.c, bytes);
            for (size_t threads = 2; threads <= 3; threads++) {
                fi_engine *more;
                CHECK_INT(fi_engine_new(threads, &more, NULL), FTL_OK);
                more->k = engine->k;
                memset(q.c, 0, bytes);
                fi_multiply(more, &q.p);
                for (size_t i = 0; i < q.p.m; i++)
                    CHECK(!memcmp(q.c + i * q.p.ldc, q.before + i * q.p.ldc, q.p.n * sizeof *q.c));
                fi_engine_free(more);
            }
            if (type != FI_I8) {
                q.p.packed = NULL;
                q.p.b = q.b;
                memset(q.c, 0, bytes);
                fi_multiply(engine, &q.p);
                for (size_t i = 0; i < q.p.m; i++)
                    CHECK(!memcmp(q.c + i * q.p.ldc, q.before + i * q.p.ldc, q.p.n * sizeof *q.c));
            }
            discard(&q);
        }
}

TEST(any_number_of_threads_and_any_packing_give_the_same_bits)
{
    FOR_EVERY_SET(engine, 1, threads_and_packing(engine))
}

static void batches(fi_engine *engine)
{
    for (int how = 0; how < 8; how++) {
        const size_t m = 21, n = 37, k = 24, count = 9;
        fi_dtype type = how & 4 ? FI_BF16 : FI_F32;
        problem q = make(engine, (shape){m * count, n, k}, type, false, false, false), one;
        float *b = malloc(count * k * n * sizeof *b);
        for (size_t i = 0; i < count * k * n; i++) b[i] = random_number();
        one = q;
        one.p.m = m;
        one.p.b = b;
        one.p.ldb = how & 2 ? k : n;
        one.p.b_transposed = how & 2;
        const size_t stride_a = m * q.p.lda, stride_c = m * q.p.ldc;
        fi_multiply_batch(engine, &one.p, count, stride_a, k * n, stride_c);
        for (size_t i = 0; i < count; i++) {
            problem each = one;
            each.a += i * stride_a;
            each.b = b + i * k * n;
            each.p.c += i * stride_c;
            check(&each, engine->k->name);
        }
        free(b);
        discard(&q);
    }
}

TEST(a_batch_is_its_products){FOR_EVERY_SET(engine, 2, batches(engine))}

TEST(rounded_weights_come_back_as_they_are_used)
{
    fi_engine *engine;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    static const shape s = {1, 75, 131};
    for (int how = 0; how < 6; how++) {
        fi_dtype type = how % 3 == 0 ? FI_F32 : how % 3 == 1 ? FI_BF16 : FI_I8;
        problem q = make(engine, s, type, true, false, how & 1), r = make(engine, s, type, true, false, how & 1);
        float *back = malloc(s.n * s.k * sizeof *back), *again = malloc(s.n * s.k * sizeof *again);
        fi_unpack(q.packed, back);
        for (size_t i = 0; i < s.k; i++)
            for (size_t j = 0; j < s.n; j++) {
                float value = how & 1 ? q.b[j * q.p.ldb + i] : q.b[i * q.p.ldb + j];
                double slack = type == FI_I8 ? 1.0 / 127 : 0;
                CHECK_NEAR(back[i * s.n + j], rounded(value, type), slack / 2 + 1e-7);
            }
        fi_repack(engine, r.packed, q.b, q.p.ldb, how & 1);
        fi_unpack(r.packed, again);
        CHECK(!memcmp(back, again, s.n * s.k * sizeof *back));
        free(back);
        free(again);
        discard(&q);
        discard(&r);
    }
    fi_engine_free(engine);
}

/* What is not finite shows in its row and nowhere else; bf16 keeps NaN, and rounds ties to even. */
TEST(numbers_that_are_not_finite_stay_in_their_row){
    FOR_EVERY_SET(engine, 1,
                  {
                      for (int how = 0; how < 6; how++) {
                          fi_dtype type = how % 3 == 0 ? FI_F32 : how % 3 == 1 ? FI_BF16 : FI_I8;
                          problem q = make(engine, (shape){5, 40, 33}, type, true, false, true);
                          q.a[2 * q.p.lda + 32] = how < 3 ? NAN : INFINITY;
                          memset(q.a + 3 * q.p.lda, 0, q.p.k * sizeof *q.a);
                          fi_multiply(engine, &q.p);
                          for (size_t i = 0; i < 5; i++)
                              for (size_t j = 0; j < 40; j++) {
                                  CHECK((bool)isfinite(q.c[i * q.p.ldc + j]) == (i != 2));
                                  if (i == 3) CHECK(q.c[i * q.p.ldc + j] == 0);
                              }
                          discard(&q);
                      }
                      for (int side = 0; side < 2; side++) { /* of int8, whose scales come from what is not turned */
                          problem q = make(engine, (shape){5, 40, 33}, FI_I8, true, true, false);
                          if (side) {
                              q.b[3 * q.p.ldb + 7] = NAN;
                              fi_repack(engine, q.packed, q.b, q.p.ldb, false);
                          } else {
                              q.a[3 * q.p.lda + 2] = NAN;
                          }
                          fi_multiply(engine, &q.p);
                          for (size_t i = 0; i < 5; i++)
                              for (size_t j = 0; j < 40; j++)
                                  CHECK((bool)isfinite(q.c[i * q.p.ldc + j]) == (side ? j != 7 : i != 2));
                          discard(&q);
                      }
                  })}

TEST(lack_of_memory_and_too_long_sums_are_told)
{
    fi_engine *engine = NULL;
    fi_packed *packed = NULL;
    float b[40] = {0};
    for (long n = 0, st = FTL_ENOMEM; st == FTL_ENOMEM; n++) {
        fi_alloc_fail_after(n);
        st = fi_engine_new(3, &engine, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (engine != NULL));
        CHECK(n < 20);
    }
    for (long n = 0, st = FTL_ENOMEM; st == FTL_ENOMEM; n++) {
        fi_alloc_fail_after(n);
        st = fi_pack(engine, FI_I8, 8, 5, b, 5, false, &packed, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (packed != NULL));
        CHECK(n < 20);
    }
    fi_packed_free(packed);
    CHECK_INT(fi_pack(engine, FI_I8, 1 << 18, 5, b, 5, false, &packed, NULL), FTL_EINVAL);
    CHECK(!packed);
    CHECK(!fi_aligned_alloc(SIZE_MAX / 2, 4));
    fi_packed_free(NULL);
    fi_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_all_shapes_types_and_transposes),
        cmocka_unit_test(bias_activations_residual_and_accumulation),
        cmocka_unit_test(a_row_is_the_same_bits_alone_and_in_any_batch),
        cmocka_unit_test(any_number_of_threads_and_any_packing_give_the_same_bits),
        cmocka_unit_test(a_batch_is_its_products),
        cmocka_unit_test(rounded_weights_come_back_as_they_are_used),
        cmocka_unit_test(numbers_that_are_not_finite_stay_in_their_row),
        cmocka_unit_test(lack_of_memory_and_too_long_sums_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
