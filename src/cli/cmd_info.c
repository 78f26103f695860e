#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct facts {
    size_t n_series, rows, shortest, longest, missing, duplicates, gaps, unclear;
    ftl_time first, last;
    ftl_time_kind kind;
    double low, high, sum;
    char freq[32];
} facts;

/* Times of the frequency between the first and the last row that have no row; SIZE_MAX if they are too many to count. */
static size_t count_gaps(const ftl_time *ds, size_t n, const ftl_freq *freq)
{
    enum { CHUNK = 4096, MOST = 10000000 };
    ftl_time *grid = malloc(CHUNK * sizeof *grid), at = ds[0];
    size_t gaps = 0, seen = 0;
    for (size_t i = 1; grid && i < n && seen < MOST;) {
        if (ftl_freq_after(freq, at, CHUNK, grid, NULL)) break;
        for (size_t g = 0; g < CHUNK && i < n; g++) {
            while (i < n && ds[i] < grid[g]) i++; /* duplicates */
            if (i == n) break;
            if (ds[i] == grid[g])
                i++;
            else
                gaps++;
        }
        at = grid[CHUNK - 1];
        seen += CHUNK;
    }
    free(grid);
    return seen >= MOST ? SIZE_MAX : gaps;
}

static void add_values(facts *f, const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(y[i])) {
            f->missing++;
            continue;
        }
        f->low = fmin(f->low, y[i]);
        f->high = fmax(f->high, y[i]);
        f->sum += y[i];
    }
}

static void add_series(facts *f, const ftl_series *s)
{
    const ftl_time *ds = ftl_series_times(s);
    size_t n = ftl_series_n_obs(s);
    char name[32] = "irregular";
    ftl_freq freq;
    if (!n) return;
    if (!f->rows || ds[0] < f->first) f->first = ds[0];
    if (!f->rows || ds[n - 1] > f->last) f->last = ds[n - 1];
    if (!f->rows || n < f->shortest) f->shortest = n;
    if (n > f->longest) f->longest = n;
    f->kind = ftl_series_time_kind(s);
    f->n_series++;
    f->rows += n;
    for (size_t i = 1; i < n; i++) f->duplicates += ds[i] == ds[i - 1];
    add_values(f, ftl_series_values(s), n);
    if (!ftl_freq_infer(ds, n, f->kind, &freq, NULL)) {
        ftl_freq_format(&freq, name);
        size_t gaps = count_gaps(ds, n, &freq);
        if (gaps == SIZE_MAX)
            f->unclear++;
        else
            f->gaps += gaps;
    }
    if (n < 2) return; /* no step to speak of */
    if (!f->freq[0])
        strcpy(f->freq, name);
    else if (strcmp(f->freq, name) != 0)
        strcpy(f->freq, "mixed");
}

static void list_columns(const ftl_panel *panel, const char *quote)
{
    const ftl_series *s = ftl_panel_n_series(panel) ? ftl_panel_series(panel, 0) : NULL;
    for (size_t i = 0; s && i < ftl_series_n_columns(s); i++) {
        fputs(i ? (*quote ? "," : ", ") : "", stdout);
        if (*quote)
            cli_print_json_text(stdout, ftl_series_column_name(s, i));
        else
            fputs(ftl_series_column_name(s, i), stdout);
    }
}

static void print_text(const char *path, const facts *f, const ftl_panel *panel)
{
    char from[FTL_TIME_TEXT_MAX], to[FTL_TIME_TEXT_MAX];
    ftl_time_format(f->first, f->kind, from);
    ftl_time_format(f->last, f->kind, to);
    size_t observed = f->rows - f->missing;
    printf("file         %s\n", path);
    printf("series       %s\n", cli_grouped(f->n_series));
    printf("rows         %s", cli_grouped(f->rows));
    if (f->n_series > 1) printf(" (%s to %s a series)", cli_grouped(f->shortest), cli_grouped(f->longest));
    printf("\ntimes        %s to %s\n", from, to);
    printf("frequency    %s\n", f->freq);
    if (f->unclear)
        printf("gaps         too many to count: the times follow no regular step\n");
    else
        printf("gaps         %s times without a row\n", cli_grouped(f->gaps));
    printf("duplicates   %s rows at the time of another one\n", cli_grouped(f->duplicates));
    printf("missing      %s values\n", cli_grouped(f->missing));
    if (observed) printf("values       %g to %g, mean %g\n", f->low, f->high, f->sum / (double)observed);
    if (ftl_panel_n_series(panel) && ftl_series_n_columns(ftl_panel_series(panel, 0))) {
        printf("columns      ");
        list_columns(panel, "");
        printf("\n");
    }
    if (ftl_panel_ignored(panel)[0]) printf("left out     %s (not numbers)\n", ftl_panel_ignored(panel));
}

static void print_json(const char *path, const facts *f, const ftl_panel *panel)
{
    char from[FTL_TIME_TEXT_MAX], to[FTL_TIME_TEXT_MAX];
    ftl_time_format(f->first, f->kind, from);
    ftl_time_format(f->last, f->kind, to);
    printf("{\"file\":");
    cli_print_json_text(stdout, path);
    printf(
        ",\"series\":%zu,\"rows\":%zu,\"shortest\":%zu,\"longest\":%zu,\"from\":\"%s\",\"to\":\"%s\",\"freq\":\"%s\"",
        f->n_series, f->rows, f->shortest, f->longest, from, to, f->freq);
    if (f->unclear)
        printf(",\"gaps\":null");
    else
        printf(",\"gaps\":%zu", f->gaps);
    printf(",\"duplicates\":%zu,\"missing\":%zu", f->duplicates, f->missing);
    if (f->rows > f->missing)
        printf(",\"min\":%.17g,\"max\":%.17g,\"mean\":%.17g", f->low, f->high, f->sum / (double)(f->rows - f->missing));
    printf(",\"columns\":[");
    list_columns(panel, "\"");
    printf("],\"left_out\":");
    cli_print_json_text(stdout, ftl_panel_ignored(panel));
    printf("}\n");
}

static int build_info(void)
{
    const char *form =
        cli_json ? "{\"version\":\"%s\",\"models\":%zu,\"countries\":%zu,\"processors\":%ld,\"compiler\":\"%s\"}\n"
                 : "version      %s\nmodels       %zu\ncountries    %zu with holidays\nprocessors   %ld\n"
                   "compiler     %s\n";
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    printf(form, ftl_version(), ftl_forecaster_count(), ftl_country_count(), sysconf(_SC_NPROCESSORS_ONLN), compiler);
    return cli_finish();
}

/* The directory of a pretrained model: as given, or what the store has by this name. NULL: it is something else. */
static char *find_model(const char *argument)
{
    struct stat info;
    char *directory = NULL;
    if (!stat(argument, &info) && !S_ISDIR(info.st_mode)) return NULL;
    return ftl_hub_resolve(cli_store(), argument, &directory, NULL) ? NULL : directory;
}

/* A pretrained model, by -m or by its directory. */
static int model_info(const char *spec, const char *directory)
{
    const cli_model model = {.spec = spec ? spec : "chronos"};
    ftl_config *config = NULL;
    ftl_error err;
    ftl_status st = cli_config(&model, &config, &err);
    if (!st && directory) st = ftl_config_set(config, "model", directory, &err);
    int rc = st ? cli_report(&err) : cli_model_info(config);
    ftl_config_free(config);
    return rc;
}

int cmd_info(int argc, char **argv)
{
    cli_input in = {0};
    const char *spec = NULL;
    static const cli_page page = {.name = "info",
                                  .arguments = "[FILE.csv | DIRECTORY | NAME]",
                                  .max_args = 1,
                                  .about = "Describes a CSV file: series, rows, frequency, gaps, missing values, "
                                           "columns. A directory, a name of the model store, or -m: a pretrained "
                                           "model, its sizes and the memory it takes. "
                                           "With neither: this program.",
                                  .examples = "  foretell info sales.csv\n  foretell info --json sales.csv\n"
                                              "  # a pretrained model, with weights of 8 bits\n"
                                              "  foretell info -m chronos:models/chronos-bolt-small,precision=int8\n"};
    const cli_option options[] = {
        CLI_OPT_TEXT('m', "model", &spec, "chronos:MODEL[,OPTION=VALUE,..]", "a pretrained model to describe"),
        CLI_INPUT_OPTIONS(&in), CLI_OPT_HEADING("Messages"),
        CLI_OPT_FLAG(0, "json", &cli_json, "one JSON object, for an error too"), CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (!cli_check_one_target(&in, page.name)) return CLI_USAGE;
    if (spec && args.n) return cli_usage_error(page.name, "give a file or a model (-m), not both");
    char *directory = args.n ? find_model(args.v[0]) : NULL;
    if (spec || directory) {
        rc = model_info(spec, directory);
        ftl_text_free(directory);
        return rc;
    }
    if (!args.n) return build_info();
    ftl_panel *panel = NULL;
    ftl_error err;
    const ftl_csv_options csv = cli_csv_options(&in, false);
    if (ftl_panel_read_csv(args.v[0], &csv, &panel, &err)) return cli_report(&err);
    facts f = {.low = INFINITY, .high = -INFINITY};
    for (size_t i = 0; i < ftl_panel_n_series(panel); i++) add_series(&f, ftl_panel_series(panel, i));
    (cli_json ? print_json : print_text)(args.v[0], &f, panel);
    ftl_panel_free(panel);
    return cli_finish();
}
