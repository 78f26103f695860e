/*
 * Row kernels of every instruction set against plain loops in double, on lengths around the width of vectors and on
 * unaligned memory; what lies behind a row is left alone.
 */
#include "check.h"

#include "base/rng.h"
#include "tensor/rows.h"

enum { LONGEST = 300, ROWS = 3, GUARD = 8, ROOM = ROWS * LONGEST + 2 * GUARD };
static const size_t lengths[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 256, 300};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };
static const float SENTINEL = -77.0f;

static float a[ROOM], b[ROOM], w[ROOM], y[ROOM], before[ROOM];

static void fill(float *x, uint32_t stream, float low, float high)
{
    fi_rng rng;
    fi_rng_init(&rng, 3, stream, 0);
    for (size_t i = 0; i < ROOM; i++) x[i] = low + (high - low) * (float)fi_rng_uniform(&rng);
}

/* y starts as some numbers, between sentinels at odd addresses. */
static float *fresh(size_t n)
{
    fill(before, 9, -1, 1);
    for (size_t i = 0; i < ROOM; i++) y[i] = i >= 1 && i < 1 + n ? before[i] : SENTINEL;
    return y + 1;
}

static void guards_hold(size_t n)
{
    for (size_t i = 0; i < ROOM; i++)
        if (i < 1 || i >= 1 + n) CHECK(y[i] == SENTINEL);
}

/* y[i] is expected (+ what was there before). A few roundings of numbers below 4. */
static void check(const char *what, size_t i, double expected, bool add)
{
    expected += add ? (double)before[1 + i] : 0.0;
    if (!(fabs((double)y[1 + i] - expected) <= 2e-6))
        fail_msg("%s at %zu: %g, expected %g", what, i, (double)y[1 + i], expected);
}

typedef void on_set(const fi_row_kernels *k, size_t n, bool add);

static void over_all(on_set *test)
{
    fill(a, 1, -2, 2);
    fill(b, 2, -2, 2);
    fill(w, 3, 0.5f, 1.5f);
    for (const fi_row_kernels *const *k = fi_rows_all(); *k; k++)
        for (size_t i = 0; i < N_LENGTHS; i++)
            for (int add = 0; add < 2; add++) test(*k, lengths[i], add);
}

static void elements(const fi_row_kernels *k, size_t n, bool add)
{
    k->affine(fresh(n), a + 3, 1.5f, -0.25f, n, add);
    guards_hold(n);
    for (size_t i = 0; i < n; i++) check("affine", i, 1.5 * (double)a[3 + i] - 0.25, add);
    k->product(fresh(n), a + 3, b + 2, n, add);
    guards_hold(n);
    for (size_t i = 0; i < n; i++) check("product", i, (double)a[3 + i] * (double)b[2 + i], add);
    k->sum(fresh(n), a + 3, b + 2, n);
    guards_hold(n);
    for (size_t i = 0; i < n; i++) check("sum", i, (double)a[3 + i] + (double)b[2 + i], false);
    k->scaled_exp(fresh(n), a + 3, 0.5f, 0.75f, 1.25f, n, add);
    guards_hold(n);
    for (size_t i = 0; i < n; i++) check("scaled_exp", i, 1.25 * exp(0.5 * (double)a[3 + i] - 0.75), add);
}

TEST(elementwise_kernels_are_plain_loops)
{
    over_all(elements);
}

static void sums(const fi_row_kernels *k, size_t n, bool add)
{
    double total = 0, dot = 0, distance = 0;
    for (size_t i = 0; i < n; i++) {
        double p = (double)a[1 + i], q = (double)b[2 + i];
        total += p, dot += p * q, distance += (p - q) * (p - q);
    }
    CHECK_NEAR((double)k->total(a + 1, n), total, 1e-6 * (double)n);
    CHECK_NEAR((double)k->dot(a + 1, b + 2, n), dot, 1e-6 * (double)n);
    CHECK_NEAR((double)k->squared_distance(a + 1, b + 2, n), distance, 4e-6 * (double)n);
    for (int by = 0; by < 2; by++) {
        k->column_sum(fresh(n), a + 1, by ? b + 2 : NULL, ROWS, n, n, add);
        guards_hold(n);
        for (size_t i = 0; i < n; i++) {
            double s = 0;
            for (size_t r = 0; r < ROWS; r++) s += (double)a[1 + r * n + i] * (by ? (double)b[2 + r * n + i] : 1.0);
            check("column_sum", i, s, add);
        }
    }
}

TEST(sums_are_plain_loops)
{
    over_all(sums);
}

static void rms(const fi_row_kernels *k, size_t n, bool add)
{
    float inv[ROWS], dw[LONGEST] = {0};
    k->rms_norm(fresh(ROWS * n), inv, a + 1, w + 1, 1e-6f, ROWS, n);
    guards_hold(ROWS * n);
    double expected_inv[ROWS];
    for (size_t r = 0; r < ROWS; r++) {
        double s = 0;
        for (size_t i = 0; i < n; i++) s += (double)a[1 + r * n + i] * (double)a[1 + r * n + i];
        expected_inv[r] = 1 / sqrt(s / (double)n + 1e-6);
        CHECK_CLOSE((double)inv[r], expected_inv[r], 1e-6);
        for (size_t i = 0; i < n; i++)
            check("rms_norm", r * n + i, (double)a[1 + r * n + i] * expected_inv[r] * (double)w[1 + i], false);
    }
    if (n < 4) return; /* gradients of so few are large differences */
    k->rms_norm_back(fresh(ROWS * n), dw, a + 1, w + 1, inv, b + 2, ROWS, n, add);
    guards_hold(ROWS * n);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t r = 0; r < ROWS; r++) sum += (double)b[2 + r * n + i] * (double)a[1 + r * n + i] * expected_inv[r];
        CHECK_NEAR((double)dw[i], sum, 1e-5);
    }
    for (size_t r = 0; r < ROWS; r++) {
        double along = 0;
        const float *x = a + 1 + r * n, *dy = b + 2 + r * n;
        for (size_t i = 0; i < n; i++) along += (double)dy[i] * (double)w[1 + i] * (double)x[i];
        along *= pow(expected_inv[r], 3) / (double)n;
        for (size_t i = 0; i < n; i++)
            CHECK_NEAR((double)y[1 + r * n + i] - (add ? (double)before[1 + r * n + i] : 0.0),
                       (double)dy[i] * (double)w[1 + i] * expected_inv[r] - (double)x[i] * along, 1e-5);
    }
}

static void layer(const fi_row_kernels *k, size_t n, bool add)
{
    float saved[2 * ROWS];
    if (n < 4) return;
    k->layer_norm(fresh(ROWS * n), saved, a + 1, w + 1, add ? b : NULL, 1e-5f, ROWS, n);
    guards_hold(ROWS * n);
    for (size_t r = 0; r < ROWS; r++) {
        double mean = 0, variance = 0;
        const float *x = a + 1 + r * n;
        for (size_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
        for (size_t i = 0; i < n; i++) variance += pow((double)x[i] - mean, 2) / (double)n;
        double inv = 1 / sqrt(variance + 1e-5);
        CHECK_NEAR((double)saved[2 * r], mean, 1e-6);
        CHECK_CLOSE((double)saved[2 * r + 1], inv, 2e-6);
        for (size_t i = 0; i < n; i++)
            check("layer_norm", r * n + i, ((double)x[i] - mean) * inv * (double)w[1 + i] + (add ? (double)b[i] : 0.0),
                  false);
    }
}

TEST(norms_are_plain_loops)
{
    over_all(rms);
    over_all(layer);
}

TEST(a_large_mean_does_not_drown_the_variance)
{
    float x[64], out[64], saved[2];
    for (int i = 0; i < 64; i++) x[i] = 1000.0f + (float)(i % 2);
    for (const fi_row_kernels *const *k = fi_rows_all(); *k; k++) {
        float one[64];
        for (int i = 0; i < 64; i++) one[i] = 1.0f;
        (*k)->layer_norm(out, saved, x, one, NULL, 0.0f, 1, 64);
        for (int i = 0; i < 64; i++) CHECK_NEAR((double)out[i], i % 2 ? 1.0 : -1.0, 1e-6);
    }
}

static void quantiles(const fi_row_kernels *k, size_t n, bool add)
{
    double sum = 0;
    float mask[LONGEST];
    for (size_t i = 0; i < n; i++) mask[i] = (float)(i % 3);
    a[1] = b[2]; /* a tie: no slope */
    for (size_t i = 0; i < n; i++) {
        double q = (double)a[1 + i], t = (double)b[2 + i];
        sum += (double)mask[i] * 2 * fabs((t - q) * ((t <= q) - (double)0.3f));
    }
    CHECK_NEAR((double)k->pinball(a + 1, b + 2, mask, 0.3f, n), sum, 4e-6 * (double)n);
    k->pinball_back(fresh(n), a + 1, b + 2, mask, 0.3f, 0.5f, n, add);
    guards_hold(n);
    for (size_t i = 0; i < n; i++) {
        double slope = a[1 + i] > b[2 + i] ? 1.4 : a[1 + i] < b[2 + i] ? -0.6 : 0.0;
        check("pinball_back", i, 0.5 * slope * (double)mask[i], add);
    }
}

TEST(pinball_is_a_plain_loop)
{
    over_all(quantiles);
}

TEST(dropout_draws_the_bits_of_philox_on_every_processor)
{
    const fi_dropout_mask mask = {
        .seed = 0x123456789ABCDEFull, .step = 0x500000007ull, .stream = 42, .threshold = 0x4000u, .scale = 4.0f / 3.0f};
    float x[LONGEST];
    for (int i = 0; i < LONGEST; i++) x[i] = 1.0f;
    for (const fi_row_kernels *const *k = fi_rows_all(); *k; k++)
        for (size_t i = 0; i < N_LENGTHS; i++)
            for (size_t first = 0; first <= 256; first += 128) {
                (*k)->dropout(fresh(lengths[i]), x, &mask, first, lengths[i], false);
                guards_hold(lengths[i]);
                for (size_t j = 0; j < lengths[i]; j++) {
                    uint32_t e = (uint32_t)(first + j), out[4], key[2] = {0x89ABCDEFu, 0x1234567u};
                    uint32_t counter[4] = {e / 128 * 16 + e % 16, 5, 7, 42};
                    fi_philox(counter, key, out);
                    check("dropout", j, (out[e / 32 % 4] >> e / 16 % 2 * 16 & 0xFFFF) >= 0x4000 ? 4.0 / 3.0 : 0.0,
                          false);
                }
            }
}

TEST(elements_do_not_depend_on_where_a_row_ends)
{
    static float whole[LONGEST];
    fill(a, 1, -2, 2);
    for (const fi_row_kernels *const *k = fi_rows_all(); *k; k++) {
        (*k)->scaled_exp(whole, a, 1.1f, 0.3f, 0.7f, LONGEST, false);
        for (size_t i = 0; i < N_LENGTHS; i++) {
            (*k)->scaled_exp(y, a, 1.1f, 0.3f, 0.7f, lengths[i], false);
            CHECK(!memcmp(y, whole, lengths[i] * sizeof *y));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_kernels_are_plain_loops),
        cmocka_unit_test(sums_are_plain_loops),
        cmocka_unit_test(norms_are_plain_loops),
        cmocka_unit_test(a_large_mean_does_not_drown_the_variance),
        cmocka_unit_test(pinball_is_a_plain_loop),
        cmocka_unit_test(dropout_draws_the_bits_of_philox_on_every_processor),
        cmocka_unit_test(elements_do_not_depend_on_where_a_row_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
