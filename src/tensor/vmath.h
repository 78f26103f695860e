/*
 * Vector mathematics for kernel files: fi_vf holds FI_LANES floats, as many as the -m flags of the including file allow
 * (compile kernel files with -ffp-contract=fast). Functions are within a few units in the last place of the true value
 * over their whole range and treat NaN, infinities, signed zeros and subnormal numbers as libm does.
 *
 * Coefficients: tools/fit_vmath.py. Reduction of the argument after Cody & Waite, "Software Manual for the Elementary
 * Functions" (1980).
 */
#ifndef FI_TENSOR_VMATH_H
#define FI_TENSOR_VMATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define FI_LANES 16
#elif defined(__AVX2__)
#define FI_LANES 8
#else
#define FI_LANES 4
#endif

typedef float fi_vf __attribute__((vector_size(FI_LANES * 4)));
typedef int32_t fi_vi __attribute__((vector_size(FI_LANES * 4))); /* comparisons give 0 or -1 */
typedef uint32_t fi_vu __attribute__((vector_size(FI_LANES * 4)));

#define FI_INLINE static inline __attribute__((always_inline, unused))

FI_INLINE fi_vf fi_v_set(float x)
{
    return x - (fi_vf){0};
}

FI_INLINE fi_vf fi_v_load(const float *p)
{
    fi_vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

FI_INLINE void fi_v_store(float *p, fi_vf v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n < FI_LANES numbers, zeros behind them. */
FI_INLINE fi_vf fi_v_load_part(const float *p, size_t n)
{
    float part[FI_LANES] = {0};
    for (size_t i = 0; i < n; i++) part[i] = p[i];
    return fi_v_load(part);
}

FI_INLINE void fi_v_store_part(float *p, fi_vf v, size_t n)
{
    float part[FI_LANES];
    fi_v_store(part, v);
    for (size_t i = 0; i < n; i++) p[i] = part[i];
}

FI_INLINE fi_vf fi_v_select(fi_vi mask, fi_vf yes, fi_vf no)
{
    return (fi_vf)((mask & (fi_vi)yes) | (~mask & (fi_vi)no));
}

/* The larger; b where either is NaN. */
FI_INLINE fi_vf fi_v_max(fi_vf a, fi_vf b)
{
#if defined(__AVX512F__)
    return (fi_vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (fi_vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return fi_v_select(a > b, a, b);
#endif
}

FI_INLINE fi_vf fi_v_abs(fi_vf x)
{
    return (fi_vf)((fi_vi)x & 0x7fffffff);
}

FI_INLINE fi_vf fi_v_copysign(fi_vf x, fi_vf sign)
{
    return (fi_vf)(((fi_vi)x & 0x7fffffff) | ((fi_vi)sign & INT32_MIN));
}

/* Halves added to halves: one fixed order. */
FI_INLINE float fi_v_sum(fi_vf v)
{
    float s[FI_LANES];
    fi_v_store(s, v);
    for (int width = FI_LANES / 2; width >= 1; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}

FI_INLINE float fi_v_max_of(fi_vf v)
{
    float s[FI_LANES];
    fi_v_store(s, v);
    for (int width = FI_LANES / 2; width >= 1; width /= 2)
        for (int i = 0; i < width; i++) s[i] = s[i] > s[i + width] ? s[i] : s[i + width];
    return s[0];
}

#if FI_LANES == 16
#define FI_ZIP(a, b, from)                                                                                             \
    __builtin_shufflevector(a, b, from, from + 16, from + 1, from + 17, from + 2, from + 18, from + 3, from + 19,      \
                            from + 4, from + 20, from + 5, from + 21, from + 6, from + 22, from + 7, from + 23)
#elif FI_LANES == 8
#define FI_ZIP(a, b, from)                                                                                             \
    __builtin_shufflevector(a, b, from, from + 8, from + 1, from + 9, from + 2, from + 10, from + 3, from + 11)
#else
#define FI_ZIP(a, b, from) __builtin_shufflevector(a, b, from, from + 4, from + 1, from + 5)
#endif

/* Rows become columns: log2(FI_LANES) perfect shuffles of all numbers. */
FI_INLINE void fi_v_transpose(fi_vf v[FI_LANES])
{
    fi_vf t[FI_LANES];
#pragma GCC unroll 4
    for (int step = 1; step < FI_LANES; step *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < FI_LANES / 2; i++) {
            t[2 * i] = FI_ZIP(v[i], v[i + FI_LANES / 2], 0);
            t[2 * i + 1] = FI_ZIP(v[i], v[i + FI_LANES / 2], FI_LANES / 2);
        }
#pragma GCC unroll 16
        for (int i = 0; i < FI_LANES; i++) v[i] = t[i];
    }
}

/* The sum over the lanes of each v, halves added to halves, in one vector; v is used up. */
FI_INLINE fi_vf fi_v_sums(fi_vf v[FI_LANES])
{
#pragma GCC unroll 4
    for (int half = FI_LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) v[i] = FI_ZIP(v[i], v[i + half], 0) + FI_ZIP(v[i], v[i + half], FI_LANES / 2);
    return v[0];
}

/* p * 2^n for whole n within -252 .. 252, rounded once where the result is subnormal. */
FI_INLINE fi_vf fi_v_scale(fi_vf p, fi_vf n)
{
#if defined(__AVX512F__)
    return (fi_vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    fi_vi whole = __builtin_convertvector(fi_v_select(n == n, n, (fi_vf){0}), fi_vi), half = whole >> 1;
    return p * (fi_vf)((half + 127) << 23) * (fi_vf)((whole - half + 127) << 23);
#endif
}

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns e^r - 1. |x| <= 128. */
FI_INLINE fi_vf fi_v_exp_reduced(fi_vf x, fi_vf *n)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to whole numbers */
    *n = (x * 1.44269504f + round) - round;
    fi_vf r = x - *n * 0.693359375f; /* the upper bits of ln 2: the product is exact */
    r = r + *n * 2.12194440e-4f;
    fi_vf q = fi_v_set(0.00138198258f);
    q = q * r + 0.00836868677f;
    q = q * r + 0.0416682772f;
    q = q * r + 0.166665211f;
    q = q * r + 0.49999994f;
    return q * (r * r) + r;
}

FI_INLINE fi_vf fi_v_exp(fi_vf x)
{
    fi_vf n;
    x = fi_v_select(x > 89.0f, fi_v_set(89.0f), x);     /* e^89 overflows */
    x = fi_v_select(x < -104.0f, fi_v_set(-104.0f), x); /* e^-104 is nothing */
    fi_vf p = fi_v_exp_reduced(x, &n);
    return fi_v_scale(p + 1.0f, n);
}

/* e^x for x <= 88, 0 below -87: what a softmax needs, without the care for the ends of the range. */
FI_INLINE fi_vf fi_v_exp_low(fi_vf x)
{
    fi_vf n, p = fi_v_exp_reduced(x, &n) + 1.0f;
#if defined(__AVX512F__)
    const __mmask16 counts = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-87.0f), _CMP_NLT_UQ);
    return (fi_vf)_mm512_maskz_scalef_ps(counts, (__m512)p, (__m512)n);
#else
    p *= (fi_vf)((fi_vu)(__builtin_convertvector(n, fi_vi) + 127) << 23);
    return fi_v_select(x < -87.0f, (fi_vf){0}, p);
#endif
}

FI_INLINE fi_vf fi_v_log(fi_vf x)
{
    fi_vi tiny = x < 1.17549435e-38f;
    fi_vf y = fi_v_select(tiny, x * 8388608.0f, x); /* subnormal: 2^23 times as much is normal */
    fi_vi bits = (fi_vi)((fi_vu)y - 0x3f3504f3u);   /* of sqrt(1/2): the mantissa shall lie in [sqrt(1/2), sqrt(2)) */
    fi_vf e = __builtin_convertvector((bits >> 23) - (tiny & 23), fi_vf);
    fi_vf f = (fi_vf)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f, s = f * f;
    fi_vf p = fi_v_set(0.067492716f);
    p = p * f + -0.116700992f;
    p = p * f + 0.118835486f;
    p = p * f + -0.124062337f;
    p = p * f + 0.142203584f;
    p = p * f + -0.166679889f;
    p = p * f + 0.200020716f;
    p = p * f + -0.250000089f;
    p = p * f + 0.333333135f;
    fi_vf low = p * f * s + e * -2.12194440e-4f; /* small terms first */
    fi_vf r = e * 0.693359375f + (f + (low - 0.5f * s));
    r = fi_v_select(x == 0.0f, fi_v_set(-INFINITY), r);
    r = fi_v_select(x < 0.0f, fi_v_set(NAN), r);
    return fi_v_select((x == INFINITY) | (x != x), x, r);
}

/* (e^2x - 1) / (e^2x + 1) from e^2x - 1, which keeps its digits near 0. */
FI_INLINE fi_vf fi_v_tanh(fi_vf x)
{
    fi_vf a = fi_v_abs(x), n;
    a = fi_v_select(a > 10.0f, fi_v_set(10.0f), a); /* 1 to all digits */
    fi_vf p = fi_v_exp_reduced(a + a, &n), power = fi_v_scale(fi_v_set(1.0f), n);
    fi_vf m = p * power + (power - 1.0f);
    return fi_v_copysign(m / (m + 2.0f), x);
}

FI_INLINE fi_vf fi_v_sigmoid(fi_vf x)
{
    fi_vf e = fi_v_exp(-fi_v_abs(x));
    return fi_v_select(x < 0.0f, e, fi_v_set(1.0f)) / (e + 1.0f);
}

FI_INLINE fi_vf fi_v_erf(fi_vf x)
{
    fi_vf a = fi_v_abs(x), s = x * x, p = fi_v_set(7.80690316e-05f), q = fi_v_set(1.70606512e-07f);
    a = fi_v_select(a > 4.0f, fi_v_set(4.0f), a); /* 1 to all digits */
    p = p * s + -0.00079978531f;
    p = p * s + 0.0051871622f;
    p = p * s + -0.0268533472f;
    p = p * s + 0.112835787f;
    p = p * s + -0.37612626f;
    p = p * s + 0.128379166f;
    q = q * a + -2.4148836e-05f;
    q = q * a + 0.000456563052f;
    q = q * a + -0.00425729342f;
    q = q * a + 0.0253201369f;
    q = q * a + -0.108567558f;
    q = q * a + -0.633098245f;
    q = q * a + -1.12963414f;
    q = q * a + 0.000199006536f; /* log erfc(a) */
    return fi_v_select(a < 1.0f, p * x + x, fi_v_copysign(1.0f - fi_v_exp(q), x));
}

#endif
