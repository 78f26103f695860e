#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>

void fi_peak_memory_reset(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file); /* proc(5): resets VmHWM to the current resident size */
    fclose(file);
}

double fi_peak_memory(void)
{
    char line[256];
    long kilobytes = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && kilobytes < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld kB", &kilobytes) != 1) kilobytes = -1;
    if (file) fclose(file);
    struct rusage usage;
    if (kilobytes < 0 && !getrusage(RUSAGE_SELF, &usage)) kilobytes = usage.ru_maxrss; /* since the process began */
    return kilobytes < 0 ? NAN : 1024.0 * (double)kilobytes;
}
