/*
 * Random bits for kernel files: Philox 4x32-10 (base/rng.h) of FI_LANES counters at a time, the same numbers whatever FI_LANES
 * is (Salmon et al. 2011).
 */
#ifndef FI_TENSOR_VRANDOM_H
#define FI_TENSOR_VRANDOM_H

#include "tensor/rows.h"
#include "tensor/vmath.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

typedef uint64_t fi_vw
    __attribute__((vector_size(FI_LANES * 4))); /* half as many lanes, of which the lower halves count */

/* The lower halves times m, in full. */
FI_INLINE fi_vw fi_v_multiply(fi_vw x, uint32_t m)
{
#if defined(__AVX512F__)
    return (fi_vw)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64(m));
#elif defined(__AVX2__)
    return (fi_vw)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x(m));
#elif defined(__SSE2__)
    return (fi_vw)_mm_mul_epu32((__m128i)x, _mm_set1_epi64x(m));
#else
    return (x & 0xFFFFFFFFu) * m;
#endif
}

/* Philox 4x32-10 (base/rng.h) of the counters in c; upper halves hold what the multiplications left there. */
FI_INLINE void fi_v_philox(fi_vw c[4], uint64_t seed)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        fi_vw p0 = fi_v_multiply(c[0], 0xD2511F53u), p1 = fi_v_multiply(c[2], 0xCD9E8D57u);
        c[0] = (p1 >> 32) ^ c[1] ^ k0;
        c[1] = p1;
        c[2] = (p0 >> 32) ^ c[3] ^ k1;
        c[3] = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* bits[k]: word k of the blocks counter .. counter + FI_LANES - 1; counter is a multiple of FI_LANES. */
FI_INLINE void fi_v_random(const fi_dropout_mask *mask, uint64_t counter, fi_vi bits[4])
{
    fi_vw even[4], odd[4], step = {0};
    for (int l = 0; l < FI_LANES / 2; l++) step[l] = 2 * (uint64_t)l;
    even[0] = step + (uint32_t)counter; /* no carry */
    even[1] = (fi_vw){0} + ((uint32_t)(counter >> 32) ^ (uint32_t)(mask->step >> 32));
    even[2] = (fi_vw){0} + (uint32_t)mask->step;
    even[3] = (fi_vw){0} + mask->stream;
    memcpy(odd, even, sizeof odd);
    odd[0] += 1;
    fi_v_philox(even, mask->seed);
    fi_v_philox(odd, mask->seed);
    for (int k = 0; k < 4; k++) bits[k] = (fi_vi)((even[k] & 0xFFFFFFFFu) | odd[k] << 32);
}

/* Half k of the eight 16-bit halves of each lane's block. */
FI_INLINE fi_vi fi_v_half(const fi_vi bits[4], size_t k)
{
    return (k % 2 ? bits[k / 2] >> 16 : bits[k / 2]) & 0xFFFF;
}

#endif
