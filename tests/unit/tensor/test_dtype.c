#include "check.h"

#include "tensor/dtype.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

/* What a half stands for, by its definition. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double magnitude = exponent == 31  ? (mantissa ? (double)NAN : (double)INFINITY)
                       : exponent == 0 ? ldexp(mantissa, -24)
                                       : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -magnitude : magnitude;
}

TEST(every_half_is_read_exactly_and_written_back)
{
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t half = (uint16_t)h, back;
        float x;
        fi_convert_to_f32(FI_F16, &half, &x, 1);
        CHECK(isnan(x) ? isnan(half_value(half)) : (double)x == half_value(half));
        CHECK(!!signbit(x) == half >> 15);
        fi_convert_from_f32(FI_F16, &x, &back, 1);
        CHECK(isnan(x) ? (back & 0x7C00) == 0x7C00 && (back & 0x3FF) : back == half);
    }
}

/* Between neighbours a and b of the target type: the middle goes to the even one, a hair to either side to the nearer. */
static void check_rounding(fi_dtype type, uint16_t a)
{
    uint16_t b = (uint16_t)(a + 1), got[3];
    float low, high;
    fi_convert_to_f32(type, &a, &low, 1);
    fi_convert_to_f32(type, &b, &high, 1);
    float middle = low + (high - low) / 2; /* exact: a float has far more places */
    if (isinf(high)) middle = type == FI_F16 ? 65520.0f : 3.3961775292304957e38f;
    float x[3] = {nextafterf(middle, 0.0f), middle, nextafterf(middle, INFINITY)};
    fi_convert_from_f32(type, x, got, 3);
    CHECK_INT(got[0], a);
    CHECK_INT(got[1], a & 1 ? b : a);
    CHECK_INT(got[2], b);
}

TEST(rounding_is_to_nearest_with_ties_to_even)
{
    for (uint32_t h = 0; h < 0x7C00; h++) check_rounding(FI_F16, (uint16_t)h);
    for (uint32_t h = 0; h < 0x7F80; h++) check_rounding(FI_BF16, (uint16_t)h);
    float x[3] = {-65519.99f, 1e30f, -INFINITY};
    uint16_t half[3];
    fi_convert_from_f32(FI_F16, x, half, 3);
    CHECK_INT(half[0], 0xFBFF);
    CHECK_INT(half[1], 0x7C00);
    CHECK_INT(half[2], 0xFC00);
}

TEST(nan_stays_nan_in_every_type)
{
    static const uint32_t patterns[] = {0x7F800001u, 0x7FC00000u, 0xFF800001u, 0x7FFFFFFFu};
    for (size_t i = 0; i < 4; i++) {
        float x, y;
        uint16_t narrow;
        memcpy(&x, &patterns[i], 4);
        fi_convert_from_f32(FI_F16, &x, &narrow, 1);
        fi_convert_to_f32(FI_F16, &narrow, &y, 1);
        CHECK(isnan(y));
        fi_convert_from_f32(FI_BF16, &x, &narrow, 1);
        fi_convert_to_f32(FI_BF16, &narrow, &y, 1);
        CHECK(isnan(y));
    }
}

TEST(bfloats_are_the_upper_half_of_floats)
{
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t narrow = (uint16_t)h;
        float x;
        fi_convert_to_f32(FI_BF16, &narrow, &x, 1);
        CHECK(bits_of(x) == h << 16);
    }
}

TEST(other_types_are_read_from_any_address)
{
    unsigned char block[65];
    float x[4];
    static const double wide[] = {0.1, -1e300, 1.0 + 0x1p-24, 3.5};
    static const int64_t longs[] = {INT64_MIN, INT64_MAX, 16777217, -5};
    static const int32_t ints[] = {INT32_MIN, 7, -9, 16777219};
    static const int8_t bytes[] = {-128, 127, 0, -1};
    static const uint8_t unsigned_bytes[] = {0, 255, 128, 2};
    memcpy(block + 1, wide, sizeof wide);
    fi_convert_to_f32(FI_F64, block + 1, x, 4);
    CHECK(x[0] == 0.1f && isinf(x[1]) && x[2] == 1.0f && x[3] == 3.5f);
    memcpy(block + 3, longs, sizeof longs);
    fi_convert_to_f32(FI_I64, block + 3, x, 4);
    CHECK(x[0] == -0x1p63f && x[1] == 0x1p63f && x[2] == 16777216.0f && x[3] == -5.0f);
    memcpy(block + 1, ints, sizeof ints);
    fi_convert_to_f32(FI_I32, block + 1, x, 4);
    CHECK(x[0] == -0x1p31f && x[1] == 7.0f && x[2] == -9.0f && x[3] == 16777220.0f);
    fi_convert_to_f32(FI_I8, bytes, x, 4);
    CHECK(x[0] == -128.0f && x[1] == 127.0f && x[2] == 0.0f && x[3] == -1.0f);
    fi_convert_to_f32(FI_U8, unsigned_bytes, x, 4);
    CHECK(x[0] == 0.0f && x[1] == 255.0f && x[2] == 128.0f && x[3] == 2.0f);
    fi_convert_to_f32(FI_BOOL, unsigned_bytes, x, 4);
    CHECK(x[0] == 0.0f && x[1] == 1.0f && x[2] == 1.0f && x[3] == 1.0f);
    static const float same[] = {1.5f, -0.0f};
    memcpy(block + 1, same, sizeof same);
    fi_convert_to_f32(FI_F32, block + 1, x, 2);
    CHECK(x[0] == 1.5f && bits_of(x[1]) == 0x80000000u);
    fi_convert_to_f32(FI_F32, NULL, x, 0);
}

TEST(names_and_sizes_are_those_of_safetensors)
{
    static const char *const names[] = {"F32", "F64", "F16", "BF16", "I64", "I32", "I8", "U8", "BOOL"};
    static const size_t sizes[] = {4, 8, 2, 2, 8, 4, 1, 1, 1};
    for (int t = 0; t < FI_N_DTYPES; t++) {
        CHECK_TEXT(fi_dtype_name((fi_dtype)t), names[t]);
        CHECK_INT(fi_dtype_size((fi_dtype)t), sizes[t]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_read_exactly_and_written_back),
        cmocka_unit_test(rounding_is_to_nearest_with_ties_to_even),
        cmocka_unit_test(nan_stays_nan_in_every_type),
        cmocka_unit_test(bfloats_are_the_upper_half_of_floats),
        cmocka_unit_test(other_types_are_read_from_any_address),
        cmocka_unit_test(names_and_sizes_are_those_of_safetensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
