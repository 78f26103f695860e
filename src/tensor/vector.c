#include "tensor/vector.h"

#include "tensor/kernels.h" /* fi_has_amx */

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

const fi_attention_kernels *const *fi_attention_all_bf16(void)
{
#if defined(__x86_64__)
    static const fi_attention_kernels *const all[] = {&fi_attention_amx, &fi_attention_avx512bf16, NULL};
    if (fi_vectors_best() == &fi_vectors_avx512 && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16"))
        return fi_has_amx() ? all : all + 1;
#endif
    static const fi_attention_kernels *const none[] = {NULL};
    return none;
}

const fi_attention_kernels *fi_attention_best(fi_dtype type)
{
    const fi_attention_kernels *plain = &fi_vectors_best()->attention, *best = NULL;
    if (type == FI_BF16) best = fi_attention_all_bf16()[0];
#if defined(__x86_64__)
    /* Intel's vdpbf16ps does half the work of two float FMAs in the same time. */
    if (best == &fi_attention_avx512bf16 && __builtin_cpu_is("intel")) best = NULL;
#endif
    return best ? best : plain;
}
