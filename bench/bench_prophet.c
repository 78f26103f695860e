/*
 * Times Prophet through the library on one file: our side of bench/run.
 *
 *     bench_prophet FILE TARGET FREQ HORIZON RUNS
 *
 * Prints one JSON object with the keys of prophet_peer.py: medians over RUNS, each the mean of as many repetitions as
 * fill a twentieth of a second, of the seconds for a fit, and for a fit with a forecast of history and future with its
 * 80 % interval and all components.
 */
#include <stdio.h>
#include <string.h>

#include <foretell/foretell.h>

#include "clock.h"

static ftl_error err;

static void must(ftl_status status)
{
    if (status == FTL_OK) return;
    fprintf(stderr, "bench_prophet: %s\n", err.message);
    exit(1);
}

typedef struct job {
    const ftl_config *config;
    const ftl_series *series;
    ftl_fit_args fit;
    ftl_predict_args predict;
    size_t rows;
} job;

static void fit_once(job *j, bool predict)
{
    ftl_model *model = NULL;
    ftl_forecast *forecast = NULL;
    must(ftl_model_fit(j->config, j->series, &j->fit, &model, &err));
    if (predict) {
        must(ftl_model_predict(model, &j->predict, &forecast, &err));
        j->rows = ftl_forecast_n_rows(forecast);
    }
    ftl_forecast_free(forecast);
    ftl_model_free(model);
}

/* Medians of wall and processor seconds of one repetition; least also of wall. */
static void measure(job *j, bool predict, size_t runs, double *wall, double *cpu, double *least)
{
    double walls[101], cpus[101];
    fit_once(j, predict); /* warm: caches filled, memory mapped */
    for (size_t r = 0; r < runs; r++) {
        double start = seconds_of(CLOCK_MONOTONIC), start_cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), now;
        size_t n = 0;
        do {
            fit_once(j, predict);
            n++;
            now = seconds_of(CLOCK_MONOTONIC);
        } while (now - start < 0.05);
        walls[r] = (now - start) / (double)n;
        cpus[r] = (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start_cpu) / (double)n;
    }
    *wall = median(walls, runs);
    *cpu = median(cpus, runs);
    *least = walls[0];
}

static size_t observed(const ftl_series *s)
{
    size_t n = 0;
    for (size_t i = 0; i < ftl_series_n_obs(s); i++) n += ftl_series_values(s)[i] == ftl_series_values(s)[i];
    return n;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench_prophet FILE TARGET FREQ HORIZON RUNS\n");
        return 2;
    }
    size_t runs = (size_t)strtoul(argv[5], NULL, 10);
    if (runs < 1 || runs > 101) runs = 11;
    ftl_csv_options csv = {.target_column = argv[2]};
    ftl_panel *panel = NULL;
    ftl_config *config = NULL;
    ftl_freq freq;
    const double levels[2] = {0.1, 0.9};
    must(ftl_panel_read_csv(argv[1], &csv, &panel, &err));
    must(ftl_config_new("prophet:regressors=false", &config, &err)); /* Python prophet takes none unasked either */
    must(ftl_freq_parse(argv[3], &freq, &err));
    job j = {config, ftl_panel_series(panel, 0), {.freq = &freq}, FTL_PREDICT_DEFAULTS, 0};
    j.predict.horizon = (size_t)strtoul(argv[4], NULL, 10);
    j.predict.history = true;
    j.predict.components = true;
    j.predict.levels = levels;
    j.predict.n_levels = 2;

    double fit, fit_cpu, fit_min, both, both_cpu, both_min;
    measure(&j, false, runs, &fit, &fit_cpu, &fit_min);
    measure(&j, true, runs, &both, &both_cpu, &both_min);
    printf("{\"version\": \"%s\", \"observations\": %zu, \"rows\": %zu, \"runs\": %zu, \"fit_seconds\": %.9g, "
           "\"fit_cpu_seconds\": %.9g, \"fit_min_seconds\": %.9g, \"both_seconds\": %.9g, \"both_cpu_seconds\": %.9g, "
           "\"both_min_seconds\": %.9g}\n",
           ftl_version(), observed(j.series), j.rows, runs, fit, fit_cpu, fit_min, both, both_cpu, both_min);
    ftl_config_free(config);
    ftl_panel_free(panel);
    return 0;
}
