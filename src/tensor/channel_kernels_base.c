/* Channel kernels for any processor, and the choice among the sets. */
#define CHANNEL_SET  fi_channel_kernels_base
#define CHANNEL_NAME "base"
#include "tensor/channel_kernels_impl.h"

const fi_channel_kernels *fi_channel_kernels_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return &fi_channel_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &fi_channel_kernels_avx2;
#endif
    return &fi_channel_kernels_base;
}

const fi_channel_kernels *const *fi_channel_kernels_all(void)
{
#if defined(__x86_64__)
    static const fi_channel_kernels *const all[] = {&fi_channel_kernels_base, &fi_channel_kernels_avx2,
                                                    &fi_channel_kernels_avx512, NULL},
                                           *const two[] = {&fi_channel_kernels_base, &fi_channel_kernels_avx2, NULL};
    if (fi_channel_kernels_best() == &fi_channel_kernels_avx512) return all;
    if (fi_channel_kernels_best() == &fi_channel_kernels_avx2) return two;
#endif
    static const fi_channel_kernels *const one[] = {&fi_channel_kernels_base, NULL};
    return one;
}
