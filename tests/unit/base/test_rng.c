#include "check.h"

#include "base/rng.h"

/* The known answers for philox4x32 with 10 rounds of the Random123 distribution (kat_vectors). */
TEST(philox_gives_the_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        fi_philox(cases[i].counter, cases[i].key, out);
        for (int k = 0; k < 4; k++) CHECK_INT(out[k], cases[i].out[k]);
    }
}

TEST(a_stream_is_the_blocks_of_its_counter)
{
    const uint64_t seed = 0x123456789abcdef0, index = 0xfedcba9876543210;
    fi_rng rng;
    fi_rng_init(&rng, seed, 7, index);
    for (uint32_t block = 0; block < 5; block++) {
        const uint32_t counter[4] = {block, 0x76543210, 0xfedcba98, 7}, key[2] = {0x9abcdef0, 0x12345678};
        uint32_t out[4];
        fi_philox(counter, key, out);
        for (int k = 0; k < 4; k++) CHECK_INT(fi_rng_u32(&rng), out[k]);
    }
}

TEST(streams_differ_and_repeat)
{
    static const uint64_t keys[][3] = {{1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1, 0, 1}, {1, 0, UINT64_C(1) << 32}};
    uint64_t first[5];
    for (size_t i = 0; i < 5; i++) {
        fi_rng a, b;
        fi_rng_init(&a, keys[i][0], (uint32_t)keys[i][1], keys[i][2]);
        fi_rng_init(&b, keys[i][0], (uint32_t)keys[i][1], keys[i][2]);
        first[i] = fi_rng_u64(&a);
        CHECK(first[i] == fi_rng_u64(&b));
        for (size_t j = 0; j < i; j++) CHECK(first[i] != first[j]);
    }
}

/* Mean, variance and ten equal cells of 10^6 draws; the bounds are 5 standard deviations. */
TEST(uniform_draws_are_uniform)
{
    enum { N = 1000000 };
    double sum = 0.0, squares = 0.0;
    int cells[10] = {0};
    fi_rng rng;
    fi_rng_init(&rng, 3, 0, 0);
    for (int i = 0; i < N; i++) {
        double u = fi_rng_uniform(&rng);
        CHECK(u > 0.0 && u < 1.0);
        sum += u;
        squares += (u - 0.5) * (u - 0.5);
        cells[(int)(10.0 * u)]++;
    }
    CHECK_NEAR(sum / N, 0.5, 5.0 * sqrt(1.0 / 12.0 / N));
    CHECK_NEAR(squares / N, 1.0 / 12.0, 5.0 * sqrt(1.0 / 180.0 / N));
    for (int i = 0; i < 10; i++) CHECK_NEAR(cells[i], N / 10, 5.0 * sqrt(N * 0.09));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(a_stream_is_the_blocks_of_its_counter),
        cmocka_unit_test(streams_differ_and_repeat),
        cmocka_unit_test(uniform_draws_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
