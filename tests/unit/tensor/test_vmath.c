/* Vector functions of every compiled width against libm in double: units in the last place over all floats, special values. */
#include "check.h"

#include "tensor/vector.h"

enum { STRIDE = 997, BLOCK = 4096 }; /* every 997th of the 2^32 bit patterns */

typedef double (*truth)(double x);
typedef struct function {
    const char *name;
    void (*vector)(const float *x, float *y, size_t n);
    fi_activation activation; /* where vector is NULL */
    truth of;
    double max_ulp; /* 0: max_error instead, relative to max(1, |x|) */
    double max_error;
} function;

static double d_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double d_relu(double x)
{
    return x <= 0 ? 0 : x;
}
static double d_gelu(double x)
{
    return x * 0.5 * erfc(-x * sqrt(0.5));
}
static double d_gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
static double d_silu(double x)
{
    return x * d_sigmoid(x);
}
static double d_one(double x)
{
    return x;
}

/* Distance from the true value in units of the last place of its float. */
static double ulps(float got, double want)
{
    float rounded = (float)want;
    if (isnan(want) || isinf(rounded) || isinf(got) || isnan(got))
        return (isnan(want) && isnan(got)) || got == rounded ? 0 : INFINITY;
    int e;
    frexp(want, &e);
    return fabs(got - want) / ldexp(1, e - 24 < -149 ? -149 : e - 24);
}

static void run(const fi_vectors *v, const function *f, const float *x, float *y, size_t n)
{
    if (f->vector)
        f->vector(x, y, n);
    else
        v->activate(f->activation, x, y, n);
}

static void check_range(const fi_vectors *v, const function *f)
{
    static float x[BLOCK], y[BLOCK];
    double worst = 0;
    float at = 0;
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += (uint64_t)STRIDE * BLOCK) {
        for (size_t i = 0; i < BLOCK; i++) {
            uint32_t u = (uint32_t)(bits + i * STRIDE);
            memcpy(&x[i], &u, sizeof u);
        }
        run(v, f, x, y, BLOCK);
        for (size_t i = 0; i < BLOCK; i++) {
            if (f->max_ulp == 0 && !isfinite(x[i])) continue;
            double want = f->of(x[i]),
                   off = f->max_ulp > 0 ? ulps(y[i], want) : fabs(y[i] - want) / fmax(1, fabs(x[i]));
            if (f->max_ulp == 0 && y[i] == want) off = 0;
            if (!(off <= worst)) worst = off, at = x[i];
        }
    }
    if (!(worst <= (f->max_ulp > 0 ? f->max_ulp : f->max_error)))
        fail_msg("%s of %s is off by %g at %.9g", f->name, v->name, worst, at);
}

TEST(every_function_is_close_to_libm_over_all_floats)
{
    for (const fi_vectors *const *v = fi_vectors_all(); *v; v++) {
        const function all[] = {
            {"exp", (*v)->exp, FI_LINEAR, exp, 1.0, 0},
            {"log", (*v)->log, FI_LINEAR, log, 1.0, 0},
            {"erf", (*v)->erf, FI_LINEAR, erf, 1.5, 0},
            {"tanh", NULL, FI_TANH, tanh, 2.5, 0},
            {"sigmoid", NULL, FI_SIGMOID, d_sigmoid, 2.5, 0},
            {"relu", NULL, FI_RELU, d_relu, 0.5, 0},
            {"linear", NULL, FI_LINEAR, d_one, 0.5, 0},
            /* these subtract nearly equal numbers on the left, as everybody's do: absolute there */
            {"gelu", NULL, FI_GELU, d_gelu, 0, 2e-7},
            {"gelu_tanh", NULL, FI_GELU_TANH, d_gelu_tanh, 0, 3e-7},
            {"silu", NULL, FI_SILU, d_silu, 0, 2e-7},
        };
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) check_range(*v, &all[i]);
    }
}

TEST(special_values_are_as_in_libm)
{
    static const float special[] = {0.0f,     -0.0f,   INFINITY,      -INFINITY,       NAN,    1e-45f,
                                    -1e-45f,  1.0f,    -1.0f,         1.17549435e-38f, 88.72f, 88.73f,
                                    -103.97f, -104.1f, 3.4028234e38f, -3.4028234e38f};
    enum { N = sizeof special / sizeof *special };
    for (const fi_vectors *const *v = fi_vectors_all(); *v; v++) {
        const function all[] = {{"exp", (*v)->exp, FI_LINEAR, exp, 0, 0},
                                {"log", (*v)->log, FI_LINEAR, log, 0, 0},
                                {"erf", (*v)->erf, FI_LINEAR, erf, 0, 0},
                                {"tanh", NULL, FI_TANH, tanh, 0, 0},
                                {"sigmoid", NULL, FI_SIGMOID, d_sigmoid, 0, 0}};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            float y[N];
            run(*v, &all[k], special, y, N);
            for (size_t i = 0; i < N; i++) {
                double want = all[k].of(special[i]);
                CHECK(ulps(y[i], want) <= 2.5);
                if (want == 0 && special[i] == 0) CHECK(!signbit(y[i]) == !signbit(want));
            }
        }
    }
}

TEST(derivatives_are_those_of_the_functions)
{
    static const struct {
        fi_activation act;
        truth of;
    } all[] = {{FI_LINEAR, d_one}, {FI_RELU, d_relu}, {FI_GELU, d_gelu},      {FI_GELU_TANH, d_gelu_tanh},
               {FI_SILU, d_silu},  {FI_TANH, tanh},   {FI_SIGMOID, d_sigmoid}};
    enum { N = 157 }; /* a tail for every width */
    for (const fi_vectors *const *v = fi_vectors_all(); *v; v++)
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            float x[N], dy[N], dx[N];
            for (size_t i = 0; i < N; i++) {
                x[i] = ((float)i - 78.5f) * 0.1f;
                dy[i] = 1 + (float)(i % 7);
                dx[i] = (float)i;
            }
            for (int add = 0; add < 2; add++) {
                (*v)->activate_back(all[k].act, x, dy, dx, N, add);
                for (size_t i = 0; i < N; i++) {
                    double h = 1e-5, slope = (all[k].of(x[i] + h) - all[k].of(x[i] - h)) / (2 * h);
                    CHECK_NEAR(dx[i], (add ? 2 : 1) * (double)dy[i] * slope, 1e-5);
                }
            }
            (*v)->activate_back(all[k].act, x, dy, dy, N, false); /* in place */
            for (size_t i = 0; i < N; i++) CHECK_NEAR(2 * dy[i], dx[i], 1e-6);
        }
}

TEST(elements_do_not_depend_on_their_place)
{
    float x[67], y[67], z;
    for (const fi_vectors *const *v = fi_vectors_all(); *v; v++)
        for (int act = FI_LINEAR; act <= FI_SIGMOID; act++) {
            for (size_t i = 0; i < 67; i++) x[i] = sinf((float)i * 1.7f) * 5;
            (*v)->activate((fi_activation)act, x, y, 67);
            for (size_t i = 0; i < 67; i++) {
                (*v)->activate((fi_activation)act, x + i, &z, 1);
                CHECK(z == y[i]);
            }
        }
}

TEST(softmax_of_rows_of_every_length_masked_and_not)
{
    enum { MAX = 70 };
    float x[MAX], mask[MAX], y[MAX + 1], dy[MAX], dx[MAX];
    for (const fi_vectors *const *v = fi_vectors_all(); *v; v++)
        for (size_t n = 1; n <= MAX; n++)
            for (int masked = 0; masked < 3; masked++) { /* 2: nothing is seen */
                double sum = 0, top = -INFINITY, dot = 0;
                for (size_t i = 0; i < n; i++) {
                    x[i] = cosf((float)(i * n)) * 40;
                    dy[i] = sinf((float)(i + n));
                    mask[i] = masked == 2 || (masked && i % 3 == 1) ? 0.0f : 1.0f;
                    if (mask[i] != 0) top = fmax(top, x[i]);
                }
                for (size_t i = 0; i < n; i++) sum += mask[i] != 0 ? exp(x[i] - top) : 0;
                y[n] = 17;
                float lse = (*v)->softmax(x, masked ? mask : NULL, y, n);
                CHECK(y[n] == 17);
                if (masked < 2) CHECK_CLOSE(lse, top + log(sum), 1e-6);
                if (!masked) CHECK((*v)->log_sum_exp(x, n) == lse);
                for (size_t i = 0; i < n; i++) {
                    double p = masked == 2 ? 1.0 / (double)n : mask[i] != 0 ? exp(x[i] - top) / sum : 0;
                    CHECK_NEAR(y[i], p, 1e-6 * p + 1e-12);
                    dot += (double)y[i] * dy[i];
                }
                (*v)->softmax_back(y, dy, dx, n, false);
                (*v)->softmax_back(y, dy, dx, n, true);
                for (size_t i = 0; i < n; i++) CHECK_NEAR(dx[i], 2 * y[i] * (dy[i] - dot), 1e-6);
            }
    float bad[3] = {NAN, NAN, NAN};
    fi_vectors_best()->softmax(bad, NULL, y, 3);
    CHECK(isnan(y[0]) && isnan(y[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_close_to_libm_over_all_floats),
        cmocka_unit_test(special_values_are_as_in_libm),
        cmocka_unit_test(derivatives_are_those_of_the_functions),
        cmocka_unit_test(elements_do_not_depend_on_their_place),
        cmocka_unit_test(softmax_of_rows_of_every_length_masked_and_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
