/* Convolution kernels for any processor, and the choice among the sets. */
#define CONV_LANES 4
#define CONV_ROWS  6
#define CONV_SET   fi_conv_kernels_base
#define CONV_NAME  "base"
#include "tensor/conv_kernels_impl.h"

const fi_conv_kernels *fi_conv_kernels_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return &fi_conv_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &fi_conv_kernels_avx2;
#endif
    return &fi_conv_kernels_base;
}

const fi_conv_kernels *const *fi_conv_kernels_all(void)
{
#if defined(__x86_64__)
    static const fi_conv_kernels *const all[] = {&fi_conv_kernels_base, &fi_conv_kernels_avx2, &fi_conv_kernels_avx512,
                                                 NULL},
                                        *const two[] = {&fi_conv_kernels_base, &fi_conv_kernels_avx2, NULL};
    if (fi_conv_kernels_best() == &fi_conv_kernels_avx512) return all;
    if (fi_conv_kernels_best() == &fi_conv_kernels_avx2) return two;
#endif
    static const fi_conv_kernels *const one[] = {&fi_conv_kernels_base, NULL};
    return one;
}
