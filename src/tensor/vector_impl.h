/*
 * Bodies of the array functions. The including file defines VECTOR_SET and VECTOR_NAME and is compiled with the flags of
 * its instruction set (CMakeLists.txt).
 */
#include "tensor/attention_impl.h"
#include "tensor/vactivations.h"
#include "tensor/vector.h"

typedef fi_vf (*unary)(fi_vf x);

FI_INLINE void map(unary f, const float *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + FI_LANES <= n; i += FI_LANES) fi_v_store(y + i, f(fi_v_load(x + i)));
    if (i < n) fi_v_store_part(y + i, f(fi_v_load_part(x + i, n - i)), n - i);
}

/* dx = (dx +) dy f(x) */
FI_INLINE void map_times(unary f, const float *x, const float *dy, float *dx, size_t n, bool add)
{
    size_t i = 0;
    for (; i + FI_LANES <= n; i += FI_LANES) {
        fi_vf d = fi_v_load(dy + i) * f(fi_v_load(x + i));
        fi_v_store(dx + i, add ? fi_v_load(dx + i) + d : d);
    }
    if (i < n) {
        fi_vf d = fi_v_load_part(dy + i, n - i) * f(fi_v_load_part(x + i, n - i));
        fi_v_store_part(dx + i, add ? fi_v_load_part(dx + i, n - i) + d : d, n - i);
    }
}

FI_INLINE fi_vf exp_of(fi_vf x)
{
    return fi_v_exp(x);
}
FI_INLINE fi_vf log_of(fi_vf x)
{
    return fi_v_log(x);
}
FI_INLINE fi_vf erf_of(fi_vf x)
{
    return fi_v_erf(x);
}

FI_INLINE fi_vf same(fi_vf x)
{
    return x;
}
FI_INLINE fi_vf one(fi_vf x)
{
    (void)x;
    return fi_v_set(1.0f);
}

static void vector_exp(const float *x, float *y, size_t n)
{
    map(exp_of, x, y, n);
}
static void vector_log(const float *x, float *y, size_t n)
{
    map(log_of, x, y, n);
}
static void vector_erf(const float *x, float *y, size_t n)
{
    map(erf_of, x, y, n);
}

static void activate(fi_activation act, const float *x, float *y, size_t n)
{
    switch (act) {
    case FI_LINEAR: map(same, x, y, n); break;
#define RUN(name, function, slope)                                                                                     \
    case name: map(function, x, y, n); break;
        FI_EACH_ACTIVATION(RUN)
#undef RUN
    }
}

static void activate_back(fi_activation act, const float *x, const float *dy, float *dx, size_t n, bool add)
{
    switch (act) {
    case FI_LINEAR: map_times(one, x, dy, dx, n, add); break;
#define RUN(name, function, slope)                                                                                     \
    case name: map_times(slope, x, dy, dx, n, add); break;
        FI_EACH_ACTIVATION(RUN)
#undef RUN
    }
}

/* ---- rows ---- */

/* Lanes i .. i + FI_LANES of a row, -inf behind its end and where the mask is 0. */
FI_INLINE fi_vf seen(const float *x, const float *mask, size_t i, size_t n)
{
    fi_vf none = fi_v_set(-INFINITY), v, m = fi_v_set(1.0f);
    if (i + FI_LANES <= n) {
        v = fi_v_load(x + i);
        if (mask) m = fi_v_load(mask + i);
    } else {
        float part[FI_LANES];
        for (size_t j = 0; j < FI_LANES; j++) part[j] = i + j < n ? x[i + j] : -INFINITY;
        v = fi_v_load(part);
        if (mask) m = fi_v_load_part(mask + i, n - i);
    }
    return fi_v_select(m == 0.0f, none, v);
}

static float row_max(const float *x, const float *mask, size_t n)
{
    fi_vf m = fi_v_set(-INFINITY);
    for (size_t i = 0; i < n; i += FI_LANES) m = fi_v_max(seen(x, mask, i, n), m);
    return fi_v_max_of(m);
}

/* y = exp(x - shift) over the seen ones (y NULL: not wanted); returns the sum. */
FI_INLINE float exp_sum(const float *x, const float *mask, float shift, float *y, size_t n)
{
    fi_vf sum = {0};
    for (size_t i = 0; i < n; i += FI_LANES) {
        fi_vf e = fi_v_exp(seen(x, mask, i, n) - shift);
        sum += e;
        if (!y) continue;
        if (i + FI_LANES <= n)
            fi_v_store(y + i, e);
        else
            fi_v_store_part(y + i, e, n - i);
    }
    return fi_v_sum(sum);
}

static float softmax(const float *x, const float *mask, float *y, size_t n)
{
    float top = row_max(x, mask, n);
    if (top == -INFINITY) { /* nothing is seen, or only NaN */
        float each = 1.0f / (float)n;
        for (size_t i = 0; i < n; i++)
            if (x[i] != x[i] && (!mask || mask[i] != 0.0f)) each = NAN;
        for (size_t i = 0; i < n; i++) y[i] = each;
        return top;
    }
    float sum = exp_sum(x, mask, top, y, n), scale = 1.0f / sum;
    for (size_t i = 0; i < n; i++) y[i] *= scale;
    return top + logf(sum);
}

static void softmax_back(const float *y, const float *dy, float *dx, size_t n, bool add)
{
    fi_vf sum = {0};
    size_t i = 0;
    for (; i + FI_LANES <= n; i += FI_LANES) sum += fi_v_load(y + i) * fi_v_load(dy + i);
    if (i < n) sum += fi_v_load_part(y + i, n - i) * fi_v_load_part(dy + i, n - i);
    float mean = fi_v_sum(sum);
    for (i = 0; i < n; i++) {
        float d = y[i] * (dy[i] - mean);
        dx[i] = add ? dx[i] + d : d;
    }
}

static float log_sum_exp(const float *x, size_t n)
{
    float top = row_max(x, NULL, n);
    if (top == -INFINITY) return top;
    return top + logf(exp_sum(x, NULL, top, NULL, n));
}

const fi_vectors VECTOR_SET = {
    VECTOR_NAME,   vector_exp, vector_log,   vector_erf,  activate,
    activate_back, softmax,    softmax_back, log_sum_exp, {VECTOR_NAME, attend, attend_back, BLOCK}};
