#include "base/rng.h"

void fi_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void fi_rng_init(fi_rng *rng, uint64_t seed, uint32_t stream, uint64_t index)
{
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32);
    rng->counter[0] = 0; /* counts blocks within the stream */
    rng->counter[1] = (uint32_t)index;
    rng->counter[2] = (uint32_t)(index >> 32);
    rng->counter[3] = stream;
    rng->used = 4;
}

uint32_t fi_rng_u32(fi_rng *rng)
{
    if (rng->used == 4) {
        fi_philox(rng->counter, rng->key, rng->out);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->out[rng->used++];
}

uint64_t fi_rng_u64(fi_rng *rng)
{
    uint64_t low = fi_rng_u32(rng);
    return (uint64_t)fi_rng_u32(rng) << 32 | low;
}

double fi_rng_uniform(fi_rng *rng)
{
    return ((double)(fi_rng_u64(rng) >> 12) + 0.5) * 0x1p-52;
}
