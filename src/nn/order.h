/*
 * The order of examples in an epoch, without a list of it: a permutation of 0 .. n-1 keyed by (seed, epoch), any place
 * of which can be asked for. A run that resumes needs no more than the number of its step.
 *
 * Source: a Feistel network with cycle walking (Black & Rogaway, "Ciphers with arbitrary finite domains", 2002) over
 * Philox as the round function.
 */
#ifndef FI_NN_ORDER_H
#define FI_NN_ORDER_H

#include <stdint.h>

/* Which example comes at place i < n. */
uint64_t fi_order_at(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i);

#endif
