#include "tensor/kernels.h"

/* Each set runs where all that it needs is there; the fastest first. */
const fi_kernel_set *const *fi_kernel_set_all(void)
{
#if defined(__x86_64__)
    static const fi_kernel_set *const sets[] = {&fi_kernel_set_bf16, &fi_kernel_set_vnni, &fi_kernel_set_avx512,
                                                &fi_kernel_set_avx2, &fi_kernel_set_base, NULL};
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return sets + 4;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) return sets + 3;
    if (!__builtin_cpu_supports("avx512vnni")) return sets + 2;
    if (!__builtin_cpu_supports("avx512bf16")) return sets + 1;
#else
    static const fi_kernel_set *const sets[] = {&fi_kernel_set_base, NULL};
#endif
    return sets;
}

const fi_kernel_set *fi_kernel_set_best(void)
{
    const fi_kernel_set *best = fi_kernel_set_all()[0];
#if defined(__x86_64__)
    /* Intel's vdpbf16ps does half the work of two float FMAs in the same time: bf16 widened to float is faster there. */
    if (best == &fi_kernel_set_bf16 && __builtin_cpu_is("intel")) best = &fi_kernel_set_vnni;
#endif
    return best;
}
