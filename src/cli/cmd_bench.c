#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    size_t n_series, n_rows, horizon, repeat;
    double load, fit, both; /* best seconds */
    size_t failed, bytes;
} bench;

/* Noise that is the same everywhere: a 64-bit linear congruential generator, uniform on [-1, 1). */
static double noise(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-52 - 1;
}

/* Daily series with trend, weekly and yearly seasons and noise, as CSV text. */
static char *generate(size_t n_series, size_t n_rows, size_t *size)
{
    char *text = NULL, date[FTL_TIME_TEXT_MAX];
    FILE *to = open_memstream(&text, size);
    if (!to) return NULL;
    fprintf(to, "unique_id,ds,y\n");
    for (size_t s = 0; s < n_series; s++) {
        uint64_t state = 2026 + s;
        double level = 100 + 20 * noise(&state), slope = 0.02 * noise(&state);
        for (size_t t = 0; t < n_rows; t++) {
            double day = (double)t, y = level + slope * day + 8 * sin(day * 2 * 3.14159265358979 / 7) +
                                        15 * sin(day * 2 * 3.14159265358979 / 365.25) + 6 * noise(&state);
            ftl_time_format(ftl_time_of((ftl_date){2020, 1, 1}) + (ftl_time)t * FTL_DAY, FTL_TIME_DATE, date);
            fprintf(to, "series-%zu,%s,%.4f\n", s + 1, date, y);
        }
    }
    if (fclose(to)) {
        free(text);
        return NULL;
    }
    return text;
}

static bool count_failures(void *user, const ftl_panel_result *r)
{
    *(size_t *)user += r->error->code != 0;
    return true;
}

static ftl_status measure(bench *b, const cli_model *model, const ftl_config *config, const char *text,
                          const char *name, const cli_input *in, ftl_error *err)
{
    const ftl_csv_options csv = cli_csv_options(in, false);
    ftl_panel *panel = NULL;
    double start = cli_seconds();
    ftl_status st = ftl_panel_parse_csv(text, b->bytes, name, &csv, &panel, err);
    if (st) return st;
    double loaded = cli_seconds();
    ftl_fit_args fit = {.seed = model->seed};
    ftl_predict_args predict = FTL_PREDICT_DEFAULTS;
    predict.horizon = b->horizon;
    b->n_series = ftl_panel_n_series(panel);
    b->n_rows = b->failed = 0;
    for (size_t i = 0; i < b->n_series; i++) b->n_rows += ftl_series_n_obs(ftl_panel_series(panel, i));
    st = cli_freq((cli_input *)in, &fit.freq, err);
    if (!st) st = ftl_forecast_panel(config, panel, NULL, &fit, NULL, model->threads, count_failures, &b->failed, err);
    double fitted = cli_seconds();
    b->failed = 0;
    if (!st)
        st = ftl_forecast_panel(config, panel, NULL, &fit, &predict, model->threads, count_failures, &b->failed, err);
    double done = cli_seconds();
    b->load = fmin(b->load, loaded - start);
    b->fit = fmin(b->fit, fitted - loaded);
    b->both = fmin(b->both, done - fitted);
    ftl_panel_free(panel);
    return st;
}

static void print_result(const bench *b, const char *model)
{
    double n = (double)b->n_series;
    if (cli_json) {
        printf("{\"version\":\"%s\",\"model\":", ftl_version());
        cli_print_json_text(stdout, model);
        printf(",\"series\":%zu,\"rows\":%zu,\"bytes\":%zu,\"horizon\":%zu,\"failed\":%zu,\"load_seconds\":%.6g,"
               "\"fit_seconds\":%.6g,\"fit_predict_seconds\":%.6g,\"series_per_second\":%.6g}\n",
               b->n_series, b->n_rows, b->bytes, b->horizon, b->failed, b->load, b->fit, b->both, n / b->both);
        return;
    }
    printf("model            %s\n", model);
    printf("data             %s series, %s rows, %.1f MB\n", cli_grouped(b->n_series), cli_grouped(b->n_rows),
           (double)b->bytes * 1e-6);
    printf("load             %.4f s   %.0f MB/s\n", b->load, (double)b->bytes * 1e-6 / b->load);
    printf("fit              %.4f s   %.0f series/s\n", b->fit, n / b->fit);
    printf("fit and predict  %.4f s   %.0f series/s (%zu steps, 80 and 95 %% intervals)\n", b->both, n / b->both,
           b->horizon);
    if (b->failed) printf("failed           %s series\n", cli_grouped(b->failed));
}

int cmd_bench(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "kernels")) return cmd_bench_kernels(argc - 1, argv + 1);
    cli_input in = {0};
    cli_model model = {0};
    size_t n_series = 200, n_rows = 1000;
    bench b = {.horizon = 30, .repeat = 1, .load = INFINITY, .fit = INFINITY, .both = INFINITY};
    static const cli_page page = {
        .name = "bench",
        .arguments = "[FILE.csv]",
        .max_args = 1,
        .about = "Measures how fast series are read, fitted and forecast: those of a file, "
                 "or daily series made for the purpose. "
                 "The best of --repeat runs counts. 'foretell bench kernels' measures the engine of "
                 "the networks instead.",
        .examples = "  foretell bench\n  foretell bench sales.csv -H 28 --threads 1 --repeat 5\n"};
    const cli_option options[] = {
        CLI_OPT_COUNT('H', "horizon", &b.horizon, "N", "steps ahead to forecast (default: 30)"),
        CLI_OPT_COUNT(0, "series", &n_series, "N", "series to make (default: 200)"),
        CLI_OPT_COUNT(0, "rows", &n_rows, "N", "rows of each (default: 1000)"),
        CLI_OPT_COUNT(0, "repeat", &b.repeat, "N", "runs (default: 1)"),
        CLI_MODEL_OPTIONS(&model),
        CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("one JSON object, for an error too"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (!cli_check_one_target(&in, page.name)) return CLI_USAGE;
    if (!b.horizon || !b.repeat || (!args.n && (!n_series || n_rows < 2 || n_rows > 2000000 || n_series > 10000000)))
        return cli_usage_error(page.name, "--horizon, --series and --repeat must be at least 1, --rows at least 2");
    ftl_error err = {FTL_OK, ""};
    ftl_config *config = NULL;
    char *made = NULL, *read = NULL, *name = NULL;
    ftl_status st = cli_config(&model, &config, &err);
    if (!st && args.n) st = ftl_file_read(args.v[0], SIZE_MAX / 4, &read, &b.bytes, &err);
    if (!st && !args.n && !(made = generate(n_series, n_rows, &b.bytes)))
        err = (ftl_error){FTL_ENOMEM, "out of memory"}, st = FTL_ENOMEM;
    for (size_t i = 0; i < b.repeat && !st && !cli_interrupted(); i++)
        st = measure(&b, &model, config, made ? made : read, args.n ? args.v[0] : "generated", &in, &err);
    if (!st) st = ftl_config_text(config, &name, &err);
    if (!st) print_result(&b, name);
    free(made);
    ftl_text_free(read);
    ftl_text_free(name);
    ftl_config_free(config);
    return st ? cli_report(&err) : cli_finish();
}
