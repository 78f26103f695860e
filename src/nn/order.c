#include "nn/order.h"

#include "base/rng.h"

uint64_t fi_order_at(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i)
{
    unsigned half = 1; /* bits of a half; both halves together hold at least n numbers */
    while (half < 32 && (n - 1) >> (2 * half)) half++;
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint32_t round = 0; round < 6; round++) {
            const uint32_t counter[4] = {(uint32_t)right, round, (uint32_t)epoch, (uint32_t)(epoch >> 32)};
            uint32_t out[4];
            fi_philox(counter, key, out);
            uint64_t next = left ^ (out[0] & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}
