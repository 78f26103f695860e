#include "tensor/gemm.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static uint16_t to_bf16(float x)
{
    uint16_t y;
    fi_convert_from_f32(FI_BF16, &x, &y, 1);
    return y;
}

static float from_bf16(uint16_t x)
{
    float y;
    fi_convert_to_f32(FI_BF16, &x, &y, 1);
    return y;
}

ftl_status fi_pack(const fi_engine *engine, fi_dtype type, size_t k, size_t n, const float *b, size_t ldb,
                   bool transposed, fi_packed **out, ftl_error *err)
{
    (void)engine;
    *out = NULL;
    fi_packed *packed = fi_calloc(1, sizeof *packed);
    if (!packed) return fi_fail_memory(err);
    packed->type = type;
    packed->k = k;
    packed->n = n;
    packed->panels = fi_aligned_alloc(k * n, fi_dtype_size(type));
    packed->bytes = k * n * fi_dtype_size(type);
    if (type == FI_I8) {
        packed->scale = fi_aligned_alloc(n, sizeof *packed->scale);
        packed->col_sum = fi_aligned_alloc(n, sizeof *packed->col_sum);
        packed->bytes += n * (sizeof *packed->scale + sizeof *packed->col_sum);
    }
    if (!packed->panels || (type == FI_I8 && (!packed->scale || !packed->col_sum))) {
        fi_packed_free(packed);
        return fi_fail_memory(err);
    }
    fi_repack(NULL, packed, b, ldb, transposed);
    *out = packed;
    return FTL_OK;
}

void fi_repack(fi_engine *engine, fi_packed *packed, const float *b, size_t ldb, bool transposed)
{
    (void)engine;
    const size_t k = packed->k, n = packed->n;
    for (size_t j = 0; j < n; j++) {
        float largest = 0;
        int32_t sum = 0;
        for (size_t i = 0; i < k; i++) largest = fmaxf(largest, fabsf(transposed ? b[j * ldb + i] : b[i * ldb + j]));
        if (packed->type == FI_I8) packed->scale[j] = largest / 127;
        for (size_t i = 0; i < k; i++) {
            float value = transposed ? b[j * ldb + i] : b[i * ldb + j];
            if (packed->type == FI_F32) ((float *)packed->panels)[i * n + j] = value;
            if (packed->type == FI_BF16) ((uint16_t *)packed->panels)[i * n + j] = to_bf16(value);
            if (packed->type == FI_I8)
                sum += ((int8_t *)packed->panels)[i * n + j] =
                    (int8_t)(largest > 0 ? lrintf(value * (127 / largest)) : 0);
        }
        if (packed->type == FI_I8) packed->col_sum[j] = sum;
    }
}

static float packed_at(const fi_packed *p, size_t i, size_t j)
{
    if (p->type == FI_F32) return ((const float *)p->panels)[i * p->n + j];
    if (p->type == FI_BF16) return from_bf16(((const uint16_t *)p->panels)[i * p->n + j]);
    return (float)((const int8_t *)p->panels)[i * p->n + j] * p->scale[j];
}

void fi_unpack(const fi_packed *packed, float *b)
{
    for (size_t i = 0; i < packed->k; i++)
        for (size_t j = 0; j < packed->n; j++) b[i * packed->n + j] = packed_at(packed, i, j);
}

void fi_packed_free(fi_packed *packed)
{
    if (!packed) return;
    fi_aligned_free(packed->panels);
    fi_aligned_free(packed->scale);
    fi_aligned_free(packed->col_sum);
    fi_free(packed);
}

static float activate(fi_activation activation, float x)
{
    switch (activation) {
    case FI_LINEAR: break;
    case FI_RELU: return x > 0 ? x : 0;
    case FI_GELU: return 0.5f * x * (1 + erff(x * 0.70710678f));
    case FI_GELU_TANH: return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case FI_SILU: return x / (1 + expf(-x));
    case FI_TANH: return tanhf(x);
    case FI_SIGMOID: return 1 / (1 + expf(-x));
    }
    return x;
}

static float element(const fi_product *p, size_t row, size_t col)
{
    const fi_dtype type = p->packed ? p->packed->type : p->type;
    float sum = 0, step = 1, largest = 0;
    if (type == FI_I8) {
        for (size_t i = 0; i < p->k; i++)
            largest = fmaxf(largest, fabsf(p->a_transposed ? p->a[i * p->lda + row] : p->a[row * p->lda + i]));
        step = largest > 0 ? largest / 127 : 1;
    }
    for (size_t i = 0; i < p->k; i++) {
        float a = p->a_transposed ? p->a[i * p->lda + row] : p->a[row * p->lda + i], b;
        if (p->packed)
            b = packed_at(p->packed, i, col);
        else
            b = p->b_transposed ? p->b[col * p->ldb + i] : p->b[i * p->ldb + col];
        if (type == FI_BF16) a = from_bf16(to_bf16(a)), b = from_bf16(to_bf16(b));
        if (type == FI_I8) a = (float)lrintf(a / step) * step;
        sum += a * b;
    }
    return sum;
}

static void multiply_row(void *user, size_t row, float *scratch)
{
    const fi_product *p = user;
    (void)scratch;
    for (size_t j = 0; j < p->n; j++) {
        float *c = p->c + row * p->ldc + j, sum = element(p, row, j);
        if (p->accumulate)
            *c += sum;
        else
            *c = activate(p->activation, sum + (p->bias ? p->bias[j] : 0)) +
                 (p->residual ? p->residual[row * p->ld_residual + j] : 0);
    }
}

void fi_multiply(fi_engine *engine, const fi_product *product)
{
    fi_engine_run(engine, product->m, multiply_row, (void *)product);
}

void fi_multiply_batch(fi_engine *engine, const fi_product *first, size_t count, size_t stride_a, size_t stride_b,
                       size_t stride_c)
{
    for (size_t i = 0; i < count; i++) {
        fi_product p = *first;
        p.a += i * stride_a;
        p.b += i * stride_b;
        p.c += i * stride_c;
        fi_multiply(engine, &p);
    }
}
