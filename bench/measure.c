/*
 * Runs a command several times and prints what it cost, as one JSON object on the last line of standard error.
 *
 *     measure RUNS COMMAND ARGUMENT...
 *
 * Medians of wall and processor seconds from before fork to after wait, and the largest peak of resident memory. The
 * command's output goes where measure's goes. Small itself, so that its own memory never shows in the peak.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

int main(int argc, char **argv)
{
    double walls[1001], cpus[1001];
    long peak = 0;
    size_t runs = argc > 2 ? (size_t)strtoul(argv[1], NULL, 10) : 0;
    if (runs < 1 || runs > 1001) {
        fprintf(stderr, "usage: measure RUNS COMMAND ARGUMENT...\n");
        return 2;
    }
    for (size_t r = 0; r < runs; r++) {
        int status = 0;
        struct rusage used;
        double start = seconds_of(CLOCK_MONOTONIC);
        pid_t child = fork();
        if (child == 0) {
            execvp(argv[2], argv + 2);
            perror(argv[2]);
            _exit(127);
        }
        if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) {
            fprintf(stderr, "measure: '%s' failed (status %d)\n", argv[2], status);
            return 1;
        }
        walls[r] = seconds_of(CLOCK_MONOTONIC) - start;
        cpus[r] = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                  1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
        if (used.ru_maxrss > peak) peak = used.ru_maxrss;
    }
    fprintf(stderr, "{\"runs\": %zu, \"seconds\": %.9g, \"cpu_seconds\": %.9g, \"peak_bytes\": %.0f}\n", runs,
            median(walls, runs), median(cpus, runs), (double)peak * 1024.0);
    return 0;
}
