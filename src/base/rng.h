/*
 * Random numbers: Philox 4x32-10, a counter-based generator. A stream is keyed by (seed, stream, index), so any
 * number can be drawn by any thread and comes out the same.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
#ifndef FI_BASE_RNG_H
#define FI_BASE_RNG_H

#include <stdint.h>

typedef struct fi_rng {
    uint32_t key[2], counter[4], out[4];
    unsigned used; /* of out[4] */
} fi_rng;

/* Starts stream `stream`, element `index` (for instance a series, a sample) of `seed`. */
void fi_rng_init(fi_rng *rng, uint64_t seed, uint32_t stream, uint64_t index);
uint32_t fi_rng_u32(fi_rng *rng);
uint64_t fi_rng_u64(fi_rng *rng);
/* Uniform on the open interval (0, 1), 53 bits. */
double fi_rng_uniform(fi_rng *rng);

/* One block of the cipher: out = philox4x32_10(counter, key). For the known-answer test. */
void fi_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
