#include "tensor/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/*
 * Tiles are 8 KB of state a thread, so the system wants to be asked; its answer holds for all threads, and asking again
 * does no harm.
 */
bool fi_has_amx(void)
{
#if defined(__x86_64__) && defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25, all = bf16 | tile | int8;
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & all) != all) return false;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

/* Each set runs where all that it needs is there; the fastest first. */
const fi_kernel_set *const *fi_kernel_set_all(void)
{
#if defined(__x86_64__)
    static const fi_kernel_set *const sets[] = {&fi_kernel_set_amx,
                                                &fi_kernel_set_bf16,
                                                &fi_kernel_set_vnni,
                                                &fi_kernel_set_avx512,
                                                &fi_kernel_set_avx2,
                                                &fi_kernel_set_base,
                                                NULL};
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return sets + 5;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) return sets + 4;
    if (!__builtin_cpu_supports("avx512vnni")) return sets + 3;
    if (!__builtin_cpu_supports("avx512bf16")) return sets + 2;
    if (!fi_has_amx()) return sets + 1;
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
