#include "tensor/dtype.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[FI_N_DTYPES] = {
    [FI_F32] = {"F32", 4}, [FI_F64] = {"F64", 8}, [FI_F16] = {"F16", 2}, [FI_BF16] = {"BF16", 2}, [FI_I64] = {"I64", 8},
    [FI_I32] = {"I32", 4}, [FI_I8] = {"I8", 1},   [FI_U8] = {"U8", 1},   [FI_BOOL] = {"BOOL", 1},
};

size_t fi_dtype_size(fi_dtype type)
{
    return types[type].size;
}

const char *fi_dtype_name(fi_dtype type)
{
    return types[type].name;
}

const char *fi_shape_text(int n_dims, const size_t *shape, char text[FI_SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(text, FI_SHAPE_TEXT, "[");
    for (int i = 0; i < n_dims; i++)
        used += (size_t)snprintf(text + used, FI_SHAPE_TEXT - used, "%s%zu", i ? ", " : "", shape[i]);
    snprintf(text + used, FI_SHAPE_TEXT - used, "]");
    return text;
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/*
 * A half is 1 + 5 + 10 bits, a float 1 + 8 + 23: the exponent moves from bias 15 to 127. Subnormal halves m 2^-24 are
 * normal floats: with exponent -14 put before m, the float is 2^-14 (1 + m / 1024), and 2^-14 is taken off again.
 */
static float float_of_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7FFFu) << 13, exponent = h & 0x7C00u;
    uint32_t normal = rest + (112u << 23), special = rest | 0x7F800000u;
    uint32_t subnormal = bits_of_float(float_of_bits(rest | 113u << 23) - float_of_bits(113u << 23));
    uint32_t bits = exponent == 0x7C00u ? special : exponent ? normal : subnormal;
    return float_of_bits(sign | bits);
}

/* Adding just under half of the last kept place, plus its own bit, rounds to nearest with ties to even. */
static uint16_t half_of_float(float x)
{
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000u;
    bits &= 0x7FFFFFFFu;
    if (bits > 0x7F800000u) return (uint16_t)(sign | 0x7E00u | (bits >> 13 & 0x1FFu)); /* NaN */
    if (bits >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u);                        /* 65520 and more: infinity */
    if (bits >= 113u << 23)                                                            /* 2^-14: normal */
        return (uint16_t)(sign | ((bits - (112u << 23) + 0xFFFu + (bits >> 13 & 1u)) >> 13));
    /* In 0.5 + x the last place is 2^-24, that of subnormal halves, and the addition rounds as we wish. */
    return (uint16_t)(sign | (bits_of_float(float_of_bits(bits) + 0.5f) - bits_of_float(0.5f)));
}

static uint16_t bfloat_of_float(float x)
{
    uint32_t bits = bits_of_float(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u); /* NaN stays one */
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/* dst[i] = the expression of x, the i-th number at src, which may lie at any address. */
#define CONVERT(source_type, target_type, expression)                                                                  \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        source_type x;                                                                                                 \
        memcpy(&x, (const char *)src + i * sizeof x, sizeof x);                                                        \
        target_type y = expression;                                                                                    \
        memcpy((char *)dst + i * sizeof y, &y, sizeof y);                                                              \
    }                                                                                                                  \
    break

void fi_convert_to_f32(fi_dtype type, const void *src, float *dst, size_t n)
{
    switch (type) {
    case FI_F32:
        if (n) memcpy(dst, src, n * sizeof *dst);
        break;
    case FI_F64: CONVERT(double, float, (float)x);
    case FI_F16: CONVERT(uint16_t, float, float_of_half(x));
    case FI_BF16: CONVERT(uint16_t, float, float_of_bits((uint32_t)x << 16));
    case FI_I64: CONVERT(int64_t, float, (float)x);
    case FI_I32: CONVERT(int32_t, float, (float)x);
    case FI_I8: CONVERT(int8_t, float, (float)x);
    case FI_U8: CONVERT(uint8_t, float, (float)x);
    case FI_BOOL: CONVERT(uint8_t, float, x ? 1.0f : 0.0f);
    case FI_N_DTYPES: break;
    }
}

void fi_convert_from_f32(fi_dtype type, const float *src, void *dst, size_t n)
{
    switch (type) {
    case FI_F16: CONVERT(float, uint16_t, half_of_float(x));
    case FI_BF16: CONVERT(float, uint16_t, bfloat_of_float(x));
    default:
        if (n) memcpy(dst, src, n * sizeof *src);
    }
}
