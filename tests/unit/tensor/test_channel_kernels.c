/* Every set of channel kernels against plain formulas in double, on channels that fill blocks and vectors and do not. */
#include "check.h"

#include "base/rng.h"
#include "tensor/channel_kernels.h"

#include <string.h>

enum { ROWS = 37, MOST = 150 };

static float x[ROWS * MOST], before[ROWS * MOST], g[ROWS * MOST], y[ROWS * MOST + 1];
static float mean[MOST], m2[MOST], scale[MOST], shift[MOST], slope[MOST], level[MOST], sum[MOST], along[MOST];

static void randomise(fi_rng *rng, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = (float)(2 * fi_rng_uniform(rng) - 1);
}

static double act_of(fi_activation act, double z)
{
    return act == FI_RELU ? fmax(z, 0) : act == FI_GELU ? 0.5 * z * (1 + erf(z / sqrt(2))) : z;
}

static double slope_of(fi_activation act, double z)
{
    if (act == FI_RELU) return z > 0;
    if (act == FI_LINEAR) return 1;
    return 0.5 * (1 + erf(z / sqrt(2))) + z * exp(-z * z / 2) / sqrt(2 * 3.14159265358979323846);
}

static double normed(size_t at, size_t j)
{
    return ((double)x[at] - (double)mean[j]) * (double)scale[j] + (double)shift[j];
}

static void check_moments(const fi_channel_kernels *k, size_t rows, size_t c)
{
    k->moments(x, rows, c, mean, m2);
    for (size_t j = 0; j < c; j++) {
        double m = 0, s = 0;
        for (size_t r = 0; r < rows; r++) m += (double)x[r * c + j] / (double)rows;
        for (size_t r = 0; r < rows; r++) s += pow((double)x[r * c + j] - m, 2);
        CHECK_NEAR(mean[j], m, 1e-6);
        CHECK_NEAR(m2[j], s, 1e-5);
    }
}

static void check_apply(const fi_channel_kernels *k, fi_activation act, size_t rows, size_t c)
{
    y[rows * c] = 7; /* nobody's */
    k->apply(act, x, mean, scale, shift, y, rows, c);
    for (size_t i = 0; i < rows * c; i++) CHECK_NEAR(y[i], act_of(act, normed(i, i % c)), 1e-5);
    CHECK(y[rows * c] == 7);
}

static void check_back(const fi_channel_kernels *k, fi_activation act, size_t rows, size_t c)
{
    memcpy(g, before, sizeof g);
    k->back_sums(act, x, g, mean, scale, shift, sum, along, rows, c);
    for (size_t j = 0; j < c; j++) {
        double s = 0, a = 0;
        for (size_t r = 0, i = j; r < rows; r++, i += c) {
            double dz = (double)before[i] * slope_of(act, normed(i, j));
            CHECK_NEAR(g[i], dz, 1e-5);
            s += dz;
            a += dz * ((double)x[i] - (double)mean[j]);
        }
        CHECK_NEAR(sum[j], s, 1e-4);
        CHECK_NEAR(along[j], a, 1e-4);
    }
    for (int add = 0; add < 2; add++) {
        memcpy(y, before, sizeof before);
        k->back_apply(x, g, mean, scale, slope, level, y, rows, c, add);
        for (size_t i = 0; i < rows * c; i++) {
            size_t j = i % c;
            double away = (double)x[i] - (double)mean[j];
            double dx = (double)g[i] * (double)scale[j] + away * (double)slope[j] + (double)level[j];
            CHECK_NEAR(y[i], dx + (add ? (double)before[i] : 0), 1e-5);
        }
    }
}

TEST(every_set_computes_the_formulas)
{
    static const size_t channels[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 150}, rows[] = {1, 2, ROWS};
    static const fi_activation acts[] = {FI_LINEAR, FI_RELU, FI_GELU};
    fi_rng rng;
    fi_rng_init(&rng, 5, 0, 0);
    for (const fi_channel_kernels *const *k = fi_channel_kernels_all(); *k; k++)
        for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
            for (size_t r = 0; r < 3; r++) {
                float *const all[] = {scale, shift, slope, level};
                randomise(&rng, x, ROWS * MOST);
                randomise(&rng, before, ROWS * MOST);
                for (size_t v = 0; v < 4; v++) randomise(&rng, all[v], MOST);
                check_moments(*k, rows[r], channels[i]);
                for (size_t a = 0; a < 3; a++) {
                    check_apply(*k, acts[a], rows[r], channels[i]);
                    check_back(*k, acts[a], rows[r], channels[i]);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_set_computes_the_formulas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
