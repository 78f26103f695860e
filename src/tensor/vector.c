#include "tensor/vector.h"

const fi_vectors *fi_vectors_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return &fi_vectors_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &fi_vectors_avx2;
#endif
    return &fi_vectors_base;
}

const fi_vectors *const *fi_vectors_all(void)
{
#if defined(__x86_64__)
    static const fi_vectors *const all[] = {&fi_vectors_base, &fi_vectors_avx2, &fi_vectors_avx512, NULL},
                                   *const two[] = {&fi_vectors_base, &fi_vectors_avx2, NULL};
    if (fi_vectors_best() == &fi_vectors_avx512) return all;
    if (fi_vectors_best() == &fi_vectors_avx2) return two;
#endif
    static const fi_vectors *const one[] = {&fi_vectors_base, NULL};
    return one;
}
