#include "tensor/rows.h"

const fi_row_kernels *fi_rows_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return &fi_rows_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &fi_rows_avx2;
#endif
    return &fi_rows_base;
}

const fi_row_kernels *const *fi_rows_all(void)
{
#if defined(__x86_64__)
    static const fi_row_kernels *const all[] = {&fi_rows_base, &fi_rows_avx2, &fi_rows_avx512, NULL}, *const two[] = {
                                                                                                          &fi_rows_base,
                                                                                                          &fi_rows_avx2,
                                                                                                          NULL};
    if (fi_rows_best() == &fi_rows_avx512) return all;
    if (fi_rows_best() == &fi_rows_avx2) return two;
#endif
    static const fi_row_kernels *const one[] = {&fi_rows_base, NULL};
    return one;
}
