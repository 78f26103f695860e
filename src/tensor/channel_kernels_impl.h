/*
 * Bodies of the channel kernels. The including file defines CHANNEL_SET and CHANNEL_NAME and is compiled with the flags of
 * its instruction set. Channels are taken BLOCK vectors at a time, so that rows are read in order and sums stay in registers.
 */
#include "tensor/channel_kernels.h"
#include "tensor/vactivations.h"

enum { BLOCK = 4 };

/* Vector v of `vecs`, the last of which holds `part` numbers (0: all). */
FI_INLINE fi_vf get(const float *p, size_t v, size_t vecs, size_t part)
{
    return part && v == vecs - 1 ? fi_v_load_part(p + v * FI_LANES, part) : fi_v_load(p + v * FI_LANES);
}
FI_INLINE void put(float *p, fi_vf x, size_t v, size_t vecs, size_t part)
{
    if (part && v == vecs - 1)
        fi_v_store_part(p + v * FI_LANES, x, part);
    else
        fi_v_store(p + v * FI_LANES, x);
}

/* RUN(first channel, vecs, part) over all channels: blocks, then single vectors, then what is left. */
#define EACH_BLOCK(c, RUN)                                                                                             \
    do {                                                                                                               \
        size_t at = 0;                                                                                                 \
        for (; at + BLOCK * FI_LANES <= (c); at += BLOCK * FI_LANES) RUN(at, BLOCK, 0);                                \
        for (; at + FI_LANES <= (c); at += FI_LANES) RUN(at, 1, 0);                                                    \
        if (at < (c)) RUN(at, 1, (c)-at);                                                                              \
    } while (0)
#define EACH(v, vecs) for (size_t v = 0; v < (vecs); v++)

FI_INLINE void moments_block(const float *x, size_t rows, size_t c, float *mean, float *m2, size_t vecs, size_t part)
{
    fi_vf m[BLOCK] = {0}, s[BLOCK] = {0};
    for (size_t r = 0; r < rows; r++) EACH(v, vecs) m[v] += get(x + r * c, v, vecs, part);
    EACH(v, vecs) m[v] = m[v] / (float)rows;
    for (size_t r = 0; r < rows; r++) EACH(v, vecs)
        {
            fi_vf d = get(x + r * c, v, vecs, part) - m[v];
            s[v] += d * d;
        }
    EACH(v, vecs) put(mean, m[v], v, vecs, part);
    EACH(v, vecs) put(m2, s[v], v, vecs, part);
}

static void moments(const float *x, size_t rows, size_t c, float *mean, float *m2)
{
#define RUN(at, vecs, part) moments_block(x + at, rows, c, mean + at, m2 + at, vecs, part)
    EACH_BLOCK(c, RUN);
#undef RUN
}

typedef fi_vf (*unary)(fi_vf x);

FI_INLINE fi_vf same(fi_vf x)
{
    return x;
}

FI_INLINE void apply_block(unary f, const float *x, const float *mean, const float *scale, const float *shift, float *y,
                           size_t rows, size_t c, size_t vecs, size_t part)
{
    fi_vf m[BLOCK], a[BLOCK], b[BLOCK];
    EACH(v, vecs)
    {
        m[v] = get(mean, v, vecs, part);
        a[v] = get(scale, v, vecs, part);
        b[v] = get(shift, v, vecs, part);
    }
    for (size_t r = 0; r < rows; r++, x += c, y += c)
        EACH(v, vecs) put(y, f((get(x, v, vecs, part) - m[v]) * a[v] + b[v]), v, vecs, part);
}

FI_INLINE void apply_all(unary f, const float *x, const float *mean, const float *scale, const float *shift, float *y,
                         size_t rows, size_t c)
{
#define RUN(at, vecs, part) apply_block(f, x + at, mean + at, scale + at, shift + at, y + at, rows, c, vecs, part)
    EACH_BLOCK(c, RUN);
#undef RUN
}

static void apply(fi_activation act, const float *x, const float *mean, const float *scale, const float *shift,
                  float *y, size_t rows, size_t c)
{
    switch (act) {
    case FI_LINEAR: apply_all(same, x, mean, scale, shift, y, rows, c); break;
#define RUN_ACT(name, function, slope)                                                                                 \
    case name: apply_all(function, x, mean, scale, shift, y, rows, c); break;
        FI_EACH_ACTIVATION(RUN_ACT)
#undef RUN_ACT
    }
}

/* slope NULL: g is dz already. */
FI_INLINE void sums_block(unary slope, const float *x, float *g, const float *mean, const float *scale,
                          const float *shift, float *sum, float *along, size_t rows, size_t c, size_t vecs, size_t part)
{
    fi_vf m[BLOCK], a[BLOCK], b[BLOCK], s[BLOCK] = {0}, t[BLOCK] = {0};
    EACH(v, vecs)
    {
        m[v] = get(mean, v, vecs, part);
        a[v] = get(scale, v, vecs, part);
        b[v] = get(shift, v, vecs, part);
    }
    for (size_t r = 0; r < rows; r++, x += c, g += c) EACH(v, vecs)
        {
            fi_vf d = get(x, v, vecs, part) - m[v], dz = get(g, v, vecs, part);
            if (slope) {
                dz = dz * slope(d * a[v] + b[v]);
                put(g, dz, v, vecs, part);
            }
            s[v] += dz;
            t[v] += dz * d;
        }
    EACH(v, vecs) put(sum, s[v], v, vecs, part);
    EACH(v, vecs) put(along, t[v], v, vecs, part);
}

FI_INLINE void sums_all(unary slope, const float *x, float *g, const float *mean, const float *scale,
                        const float *shift, float *sum, float *along, size_t rows, size_t c)
{
#define RUN(at, vecs, part)                                                                                            \
    sums_block(slope, x + at, g + at, mean + at, scale + at, shift + at, sum + at, along + at, rows, c, vecs, part)
    EACH_BLOCK(c, RUN);
#undef RUN
}

static void back_sums(fi_activation act, const float *x, float *g, const float *mean, const float *scale,
                      const float *shift, float *sum, float *along, size_t rows, size_t c)
{
    switch (act) {
    case FI_LINEAR: sums_all(NULL, x, g, mean, scale, shift, sum, along, rows, c); break;
#define RUN_ACT(name, function, slope)                                                                                 \
    case name: sums_all(slope, x, g, mean, scale, shift, sum, along, rows, c); break;
        FI_EACH_ACTIVATION(RUN_ACT)
#undef RUN_ACT
    }
}

FI_INLINE void back_block(const float *x, const float *dz, const float *mean, const float *scale, const float *slope,
                          const float *level, float *dx, size_t rows, size_t c, bool add, size_t vecs, size_t part)
{
    fi_vf m[BLOCK], a[BLOCK], b[BLOCK], l[BLOCK];
    EACH(v, vecs)
    {
        m[v] = get(mean, v, vecs, part);
        a[v] = get(scale, v, vecs, part);
        b[v] = get(slope, v, vecs, part);
        l[v] = get(level, v, vecs, part);
    }
    for (size_t r = 0; r < rows; r++, x += c, dz += c, dx += c) EACH(v, vecs)
        {
            fi_vf d = get(dz, v, vecs, part) * a[v] + ((get(x, v, vecs, part) - m[v]) * b[v] + l[v]);
            put(dx, add ? get(dx, v, vecs, part) + d : d, v, vecs, part);
        }
}

static void back_apply(const float *x, const float *dz, const float *mean, const float *scale, const float *slope,
                       const float *level, float *dx, size_t rows, size_t c, bool add)
{
#define RUN(at, vecs, part)                                                                                            \
    back_block(x + at, dz + at, mean + at, scale + at, slope + at, level + at, dx + at, rows, c, add, vecs, part)
    EACH_BLOCK(c, RUN);
#undef RUN
}

const fi_channel_kernels CHANNEL_SET = {CHANNEL_NAME, moments, apply, back_sums, back_apply};
