/*
 * Times reading a CSV file into a panel.
 *
 *     bench_load FILE RUNS
 *
 * Prints one JSON object: rows, series, bytes of the file, the median of wall seconds, and the process's peak memory
 * during the first reading (of all kinds, and of its own anonymous pages as the kernel counts them afterwards).
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <foretell/foretell.h>

#include "clock.h"

/* A line such as "RssAnon:   1234 kB" of /proc/self/status, in bytes; 0 if there is none. */
static double status_bytes(const char *key)
{
    char line[256];
    double kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key))) kilobytes = strtod(line + strlen(key), NULL);
    if (f) fclose(f);
    return kilobytes * 1024.0;
}

int main(int argc, char **argv)
{
    struct stat file;
    if (argc != 3 || stat(argv[1], &file)) {
        fprintf(stderr, "usage: bench_load FILE RUNS\n");
        return 2;
    }
    size_t runs = (size_t)strtoul(argv[2], NULL, 10), rows = 0, series = 0;
    double walls[101], before = status_bytes("VmHWM:"), peak = 0, kept = 0;
    if (runs < 1 || runs > 101) runs = 5;
    for (size_t r = 0; r < runs; r++) {
        ftl_error err = {FTL_OK, ""};
        ftl_panel *panel = NULL;
        double start = seconds_of(CLOCK_MONOTONIC);
        if (ftl_panel_read_csv(argv[1], NULL, &panel, &err)) {
            fprintf(stderr, "bench_load: %s\n", err.message);
            return 1;
        }
        walls[r] = seconds_of(CLOCK_MONOTONIC) - start;
        if (r == 0) {
            peak = status_bytes("VmHWM:") - before;
            kept = status_bytes("RssAnon:");
            series = ftl_panel_n_series(panel);
            for (size_t i = 0; i < series; i++) rows += ftl_series_n_obs(ftl_panel_series(panel, i));
        }
        ftl_panel_free(panel);
    }
    printf("{\"rows\": %zu, \"series\": %zu, \"bytes\": %lld, \"runs\": %zu, \"seconds\": %.9g, \"peak_bytes\": %.0f, "
           "\"kept_bytes\": %.0f}\n",
           rows, series, (long long)file.st_size, runs, median(walls, runs), peak, kept);
    return 0;
}
