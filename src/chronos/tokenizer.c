#include "chronos/tokenizer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>

/* Float arithmetic from both ends, as PyTorch's linspace. */
static void linspace(float low, float high, size_t n, float *out)
{
    float step = n > 1 ? (high - low) / (float)(n - 1) : 0;
    for (size_t i = 0; i < n; i++) out[i] = i < n / 2 ? low + step * (float)i : high - step * (float)(n - 1 - i);
}

ftl_status fi_tokenizer_init(fi_tokenizer *t, size_t n_tokens, size_t n_special, size_t pad, double low, double high,
                             ftl_error *err)
{
    *t = (fi_tokenizer){.n_tokens = n_tokens, .n_special = n_special, .pad = (int32_t)pad};
    if (n_tokens > INT32_MAX || n_tokens < 2 || n_special >= n_tokens - 1)
        return fi_fail(err, FTL_EDATA, "n_tokens is %zu and n_special_tokens %zu, which leaves no bin for numbers",
                       n_tokens, n_special);
    if (pad >= n_special)
        return fi_fail(err, FTL_EDATA, "pad_token_id is %zu, but must be below n_special_tokens, %zu", pad, n_special);
    if (!(low < high && low >= -1e18 && high <= 1e18))
        return fi_fail(err, FTL_EDATA, "low_limit is %g and high_limit %g, but must ascend and lie within 1e18 of 0",
                       low, high);
    t->n_centers = n_tokens - n_special - 1;
    t->centers = fi_alloc(t->n_centers, sizeof *t->centers);
    t->boundaries = fi_alloc(t->n_centers + 1, sizeof *t->boundaries);
    if (!t->centers || !t->boundaries) return fi_fail_memory(err);
    linspace((float)low, (float)high, t->n_centers, t->centers);
    t->boundaries[0] = -1e20f;
    for (size_t i = 1; i < t->n_centers; i++) t->boundaries[i] = (t->centers[i] + t->centers[i - 1]) / 2;
    t->boundaries[t->n_centers] = 1e20f;
    return FTL_OK;
}

void fi_tokenizer_release(fi_tokenizer *t)
{
    fi_free(t->centers);
    fi_free(t->boundaries);
    t->centers = t->boundaries = NULL;
}

float fi_mean_scale(const float *x, size_t n)
{
    double sum = 0;
    size_t observed = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) sum += fabs((double)x[i]), observed++;
    float scale = observed ? (float)(sum / (double)observed) : 0;
    return scale > 0 ? scale : 1;
}

/* How many boundaries are at or below v. */
static size_t bin(const fi_tokenizer *t, float v)
{
    size_t first = 0, end = t->n_centers + 1;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (t->boundaries[middle] <= v)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

void fi_tokenize(const fi_tokenizer *t, const float *x, size_t n, float scale, int32_t *ids, float *mask)
{
    for (size_t i = 0; i < n; i++) {
        mask[i] = isnan(x[i]) ? 0.0f : 1.0f;
        size_t token = isnan(x[i]) ? (size_t)t->pad : bin(t, x[i] / scale) + t->n_special;
        ids[i] = (int32_t)(token < t->n_tokens ? token : t->n_tokens - 1);
    }
}

float fi_token_value(const fi_tokenizer *t, int32_t token, float scale)
{
    size_t first = t->n_special + 1, i = (size_t)token > first && token > 0 ? (size_t)token - first : 0;
    return t->centers[i < t->n_centers ? i : t->n_centers - 1] * scale;
}
