/*
 * Writes a panel of daily series to standard output, the same one every time.
 *
 *     make_panel SERIES POINTS
 *
 * Each series has a level, a trend that bends once, a week, a year and noise, all drawn from its number.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <foretell/calendar.h>

/* splitmix64 (Steele, Lea & Flood 2014): a good stream from any starting number */
static uint64_t next(uint64_t *s)
{
    uint64_t z = (*s += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static double uniform(uint64_t *s)
{
    return (double)(next(s) >> 11) * 0x1p-53;
}
/* Near enough to normal: the sum of four uniforms, standardised. */
static double noise(uint64_t *s)
{
    return (uniform(s) + uniform(s) + uniform(s) + uniform(s) - 2.0) * 1.7320508075688772;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: make_panel SERIES POINTS\n");
        return 2;
    }
    long n_series = strtol(argv[1], NULL, 10), n_points = strtol(argv[2], NULL, 10);
    char(*days)[FTL_TIME_TEXT_MAX] = malloc((size_t)n_points * sizeof *days);
    double *year = malloc((size_t)n_points * 2 * sizeof *year);
    if (!days || !year) return 1;
    ftl_time start = ftl_time_of((ftl_date){2020, 1, 1});
    for (long i = 0; i < n_points; i++) {
        ftl_time_format(start + i * FTL_DAY, FTL_TIME_DATE, days[i]);
        year[2 * i] = sin(2.0 * 3.14159265358979323846 * (double)i / 365.25);
        year[2 * i + 1] = cos(2.0 * 3.14159265358979323846 * (double)i / 365.25);
    }
    puts("unique_id,ds,y");
    for (long k = 0; k < n_series; k++) {
        uint64_t s = (uint64_t)k * 0x100000001b3u + 1;
        double level = 50.0 + 200.0 * uniform(&s), slope = (uniform(&s) - 0.3) * level / 2000.0;
        double bend = (uniform(&s) - 0.5) * level / 1000.0, week[7], a = 0.1 * level * noise(&s);
        double b = 0.1 * level * noise(&s), sigma = 0.05 * level;
        long at = (long)(uniform(&s) * 0.8 * (double)n_points);
        for (int d = 0; d < 7; d++) week[d] = 0.08 * level * noise(&s);
        for (long i = 0; i < n_points; i++) {
            double y = level + slope * (double)i + (i > at ? bend * (double)(i - at) : 0.0) + week[i % 7] +
                       a * year[2 * i] + b * year[2 * i + 1] + sigma * noise(&s);
            printf("s%06ld,%s,%.2f\n", k, days[i], y);
        }
    }
    free(year);
    free(days);
    return ferror(stdout) ? 1 : 0;
}
