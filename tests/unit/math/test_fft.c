#include "check.h"

#include "math/fft.h"

TEST(it_is_the_sum_it_stands_for)
{
    enum { N = 16 };
    double re[N], im[N], x[N], y[N];
    for (size_t t = 0; t < N; t++) {
        x[t] = re[t] = sin(1.3 * (double)t * (double)t);
        y[t] = im[t] = cos(0.7 * (double)t) - 0.2;
    }
    fi_fft(re, im, N);
    for (size_t k = 0; k < N; k++) {
        double a = 0, b = 0;
        for (size_t t = 0; t < N; t++) {
            double angle = -6.283185307179586 * (double)(k * t) / N;
            a += x[t] * cos(angle) - y[t] * sin(angle);
            b += x[t] * sin(angle) + y[t] * cos(angle);
        }
        CHECK_NEAR(re[k], a, 1e-12);
        CHECK_NEAR(im[k], b, 1e-12);
    }
}

TEST(lengths_one_and_two)
{
    double re[2] = {3, 5}, im[2] = {1, 0};
    fi_fft(re, im, 1);
    CHECK(re[0] == 3 && im[0] == 1);
    fi_fft(re, im, 2);
    CHECK(re[0] == 8 && re[1] == -2 && im[0] == 1 && im[1] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_sum_it_stands_for),
        cmocka_unit_test(lengths_one_and_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
