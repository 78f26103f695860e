/*
 * Bodies of the row kernels. The including file defines ROW_SET and ROW_NAME and is compiled with the flags of its
 * instruction set (CMakeLists.txt).
 */
#include "tensor/rows.h"
#include "tensor/vrandom.h"

/* The first m lanes, zeros behind them; whole vectors where m is the constant FI_LANES. */
FI_INLINE fi_vf load(const float *p, size_t m)
{
    return m == FI_LANES ? fi_v_load(p) : fi_v_load_part(p, m);
}

FI_INLINE void store(float *p, size_t m, fi_vf v)
{
    if (m == FI_LANES)
        fi_v_store(p, v);
    else
        fi_v_store_part(p, v, m);
}

/* y[i] = value for i < n: `value` is a vector, in which V(p) stands for p[i]; the last, partial vector is computed alike. */
#define V(p) load((p) + i, m)
#define MAP(n, y, value)                                                                                               \
    do {                                                                                                               \
        size_t i = 0;                                                                                                  \
        for (const size_t m = FI_LANES; i + FI_LANES <= (n); i += FI_LANES) fi_v_store((y) + i, value);                \
        if (i < (n)) {                                                                                                 \
            const size_t m = (n)-i;                                                                                    \
            store((y) + i, m, value);                                                                                  \
        }                                                                                                              \
    } while (0)
#define MAP_ADD(n, y, add, value)                                                                                      \
    do {                                                                                                               \
        if (add)                                                                                                       \
            MAP(n, y, V(y) + (value));                                                                                 \
        else                                                                                                           \
            MAP(n, y, value);                                                                                          \
    } while (0)
/* out = sum of value for i < n, which is to be zero where all V are; four sums hide the latency of an addition. */
#define SUM(n, out, value)                                                                                             \
    do {                                                                                                               \
        fi_vf s0_ = {0}, s1_ = {0}, s2_ = {0}, s3_ = {0};                                                              \
        size_t i = 0;                                                                                                  \
        for (const size_t m = FI_LANES; i + 4 * FI_LANES <= (n);) {                                                    \
            s0_ += (value), i += FI_LANES;                                                                             \
            s1_ += (value), i += FI_LANES;                                                                             \
            s2_ += (value), i += FI_LANES;                                                                             \
            s3_ += (value), i += FI_LANES;                                                                             \
        }                                                                                                              \
        for (const size_t m = FI_LANES; i + FI_LANES <= (n); i += FI_LANES) s0_ += (value);                            \
        if (i < (n)) {                                                                                                 \
            const size_t m = (n)-i;                                                                                    \
            s1_ += (value);                                                                                            \
        }                                                                                                              \
        (out) = fi_v_sum((s0_ + s1_) + (s2_ + s3_));                                                                   \
    } while (0)

/* ---- arithmetic ---- */

static void affine(float *y, const float *x, float scale, float shift, size_t n, bool add)
{
    MAP_ADD(n, y, add, V(x) * scale + shift);
}

static void sum(float *y, const float *a, const float *b, size_t n)
{
    MAP(n, y, V(a) + V(b));
}

static void product(float *y, const float *a, const float *b, size_t n, bool add)
{
    MAP_ADD(n, y, add, V(a) * V(b));
}

/* ---- dropout ---- */

/* Element 128 b + 32 k + 16 h + l has half h of word k of block 16 b + l, whatever FI_LANES is. */
static void dropout(float *y, const float *x, const fi_dropout_mask *mask, size_t first, size_t n, bool add)
{
    const fi_vi threshold = (fi_vi){0} + (int32_t)mask->threshold;
    for (size_t j = 0; j < n; j += 128)
        for (size_t l = 0; l < 16; l += FI_LANES) {
            fi_vi bits[4];
            fi_v_random(mask, (first + j) / 8 + l, bits);
            for (size_t k = 0, i = j + l; k < 8 && i < n; k++, i += 16) {
                const size_t m = n - i < FI_LANES ? n - i : FI_LANES;
                fi_vf kept = fi_v_select(fi_v_half(bits, k) >= threshold, V(x) * mask->scale, fi_v_set(0.0f));
                store(y + i, m, add ? V(y) + kept : kept);
            }
        }
}

/* ---- sums ---- */

/* `width` vectors of columns, or the m < FI_LANES last columns. */
FI_INLINE void column_block(float *out, const float *a, const float *b, size_t rows, size_t ld, int width, size_t m,
                            bool add)
{
    fi_vf s[4];
    for (int j = 0; j < width; j++) s[j] = add ? load(out + j * FI_LANES, m) : fi_v_set(0.0f);
    for (size_t r = 0; r < rows; r++)
        for (int j = 0; j < width; j++) {
            size_t at = r * ld + (size_t)j * FI_LANES;
            fi_vf x = load(a + at, m);
            s[j] += b ? x * load(b + at, m) : x;
        }
    for (int j = 0; j < width; j++) store(out + j * FI_LANES, m, s[j]);
}

static void column_sum(float *out, const float *a, const float *b, size_t rows, size_t d, size_t ld, bool add)
{
    size_t i = 0;
#define AT(p) ((p) ? (p) + i : NULL)
    for (; i + 4 * FI_LANES <= d; i += 4 * FI_LANES) column_block(out + i, a + i, AT(b), rows, ld, 4, FI_LANES, add);
    for (; i + FI_LANES <= d; i += FI_LANES) column_block(out + i, a + i, AT(b), rows, ld, 1, FI_LANES, add);
    if (i < d) column_block(out + i, a + i, AT(b), rows, ld, 1, d - i, add);
#undef AT
}

static float total(const float *x, size_t n)
{
    float s;
    SUM(n, s, V(x));
    return s;
}

static float dot(const float *a, const float *b, size_t n)
{
    float s;
    SUM(n, s, V(a) * V(b));
    return s;
}

static float squared_distance(const float *a, const float *b, size_t n)
{
    float s;
    SUM(n, s, (V(a) - V(b)) * (V(a) - V(b)));
    return s;
}

/* ---- norms ---- */

static void rms_norm(float *y, float *saved, const float *x, const float *weight, float eps, size_t rows, size_t d)
{
    for (size_t r = 0; r < rows; r++, x += d, y += d) {
        float inv = 1.0f / sqrtf(dot(x, x, d) / (float)d + eps);
        if (saved) saved[r] = inv;
        MAP(d, y, V(x) * inv * V(weight));
    }
}

static void rms_norm_back(float *dx, float *dweight, const float *x, const float *weight, const float *saved,
                          const float *dy, size_t rows, size_t d, bool add)
{
    for (size_t r = 0; r < rows; r++, x += d, dy += d) {
        float inv = saved[r], along;
        if (dweight) MAP_ADD(d, dweight, true, V(dy) * (V(x) * inv));
        if (!dx) continue;
        SUM(d, along, V(dy) * V(weight) * V(x));
        along *= inv * inv * inv / (float)d;
        MAP_ADD(d, dx, add, V(dy) * V(weight) * inv - V(x) * along);
        dx += d;
    }
}

static void layer_norm(float *y, float *saved, const float *x, const float *weight, const float *bias, float eps,
                       size_t rows, size_t d)
{
    for (size_t r = 0; r < rows; r++, x += d, y += d) {
        float mean = total(x, d) / (float)d, variance = 0.0f;
        MAP(d, y, V(x) - mean); /* y may be x: what follows reads the centred row */
        SUM(d, variance, V(y) * V(y));
        float inv = 1.0f / sqrtf(variance / (float)d + eps);
        if (saved) saved[2 * r] = mean, saved[2 * r + 1] = inv;
        if (bias)
            MAP(d, y, V(y) * inv * V(weight) + V(bias));
        else
            MAP(d, y, V(y) * inv * V(weight));
    }
}

static void layer_norm_back(float *dx, float *dweight, float *dbias, const float *x, const float *weight,
                            const float *saved, const float *dy, size_t rows, size_t d, bool add)
{
    for (size_t r = 0; r < rows; r++, x += d, dy += d) {
        float mean = saved[2 * r], inv = saved[2 * r + 1], along, level;
        if (dweight) MAP_ADD(d, dweight, true, V(dy) * ((V(x) - mean) * inv));
        if (dbias) MAP_ADD(d, dbias, true, V(dy));
        if (!dx) continue;
        level = dot(dy, weight, d) / (float)d;
        SUM(d, along, V(dy) * V(weight) * (V(x) - mean)); /* weight is 0 beyond the row */
        along *= inv * inv / (float)d;
        MAP_ADD(d, dx, add, (V(dy) * V(weight) - level - (V(x) - mean) * along) * inv);
        dx += d;
    }
}

/* ---- losses ---- */

static void scaled_exp(float *y, const float *x, float scale, float shift, float factor, size_t n, bool add)
{
    MAP_ADD(n, y, add, factor * fi_v_exp(V(x) * scale - shift));
}

/* d pinball / dq: 2 (1 - level) above y, -2 level below, 0 at y. */
FI_INLINE fi_vf pinball_slope(fi_vf q, fi_vf y, float level)
{
    return fi_v_select(q > y, fi_v_set(2.0f - 2.0f * level),
                       fi_v_select(q < y, fi_v_set(-2.0f * level), fi_v_set(0.0f)));
}

/* weight * value, 0 where weight is 0 even if the value is NaN */
FI_INLINE fi_vf masked(fi_vf weight, fi_vf value)
{
    return fi_v_select(weight == 0.0f, fi_v_set(0.0f), weight * value);
}

static float pinball(const float *q, const float *y, const float *weight, float level, size_t n)
{
    float s;
    if (weight)
        SUM(n, s, masked(V(weight), (V(q) - V(y)) * pinball_slope(V(q), V(y), level)));
    else
        SUM(n, s, (V(q) - V(y)) * pinball_slope(V(q), V(y), level));
    return s;
}

static void pinball_back(float *dq, const float *q, const float *y, const float *weight, float level, float factor,
                         size_t n, bool add)
{
    if (weight)
        MAP_ADD(n, dq, add, factor * masked(V(weight), pinball_slope(V(q), V(y), level)));
    else
        MAP_ADD(n, dq, add, factor * pinball_slope(V(q), V(y), level));
}

const fi_row_kernels ROW_SET = {
    ROW_NAME,         affine,   sum,           product,    dropout,         column_sum, total,   dot,
    squared_distance, rms_norm, rms_norm_back, layer_norm, layer_norm_back, scaled_exp, pinball, pinball_back};
