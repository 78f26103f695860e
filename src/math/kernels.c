#include "math/kernels.h"

const fi_kernels *fi_kernels_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return &fi_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &fi_kernels_avx2;
#endif
    return &fi_kernels_base;
}

const fi_kernels *const *fi_kernels_all(void)
{
#if defined(__x86_64__)
    static const fi_kernels *const all[] = {&fi_kernels_base, &fi_kernels_avx2, &fi_kernels_avx512, NULL},
                                   *const two[] = {&fi_kernels_base, &fi_kernels_avx2, NULL};
    if (fi_kernels_best() == &fi_kernels_avx512) return all;
    if (fi_kernels_best() == &fi_kernels_avx2) return two;
#endif
    static const fi_kernels *const one[] = {&fi_kernels_base, NULL};
    return one;
}
