#include "cli.h"

#include <string.h>

typedef struct table {
    size_t n;
    const char *group;
} table;

static bool print_row(void *user, const ftl_kernel_speed *r)
{
    table *t = user;
    if (cli_json) {
        printf("%s{\"group\":\"%s\",\"kernel\":\"%s\",\"type\":\"%s\",\"set\":\"%s\",\"threads\":%zu,\"seconds\":%.6g,"
               "\"per_second\":%.6g,\"unit\":\"%s\",\"fraction\":%.4g,\"limit\":\"%s\"}",
               t->n ? ",\n" : "", r->group, r->kernel, r->type, r->set, r->threads, r->seconds, r->per_second, r->unit,
               r->fraction, r->limit);
    } else {
        if (!t->group || strcmp(t->group, r->group)) printf("%s%s\n", t->n ? "\n" : "", r->group);
        printf("  %-36s %-5s %zu thread%s", r->kernel, r->type, r->threads, r->threads == 1 ? " " : "s");
        if (*r->limit)
            printf(" %10.1f us %8.1f %s  %3.0f %% of %s\n", r->seconds * 1e6, r->per_second, r->unit, r->fraction * 100,
                   r->limit);
        else
            printf(" %22.1f %s  %s\n", r->per_second, r->unit, r->set);
    }
    fflush(stdout);
    t->group = r->group;
    t->n++;
    return !cli_interrupted();
}

int cmd_bench_kernels(int argc, char **argv)
{
    size_t threads = 0;
    double seconds = 0.2;
    static const cli_page page = {
        .name = "bench kernels",
        .arguments = "",
        .about =
            "Measures the engine's kernels: matrix products, convolutions and attention at the shapes of the networks, "
            "each as a fraction of what the processor's instruction or its memory can do at most, measured in the "
            "same moments. With one thread, then with --threads.",
        .examples = "  foretell bench kernels\n  foretell bench kernels --threads 1 --seconds 1 --json\n"};
    const cli_option options[] = {
        CLI_OPT_COUNT(0, "threads", &threads, "N", "threads of the second half (default: one a processor)"),
        CLI_OPT_REAL(0, "seconds", &seconds, "S", "time for each kernel (default: 0.2)"), CLI_OPT_HEADING("Messages"),
        CLI_OPT_FLAG(0, "json", &cli_json, "one JSON object, for an error too"), CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    ftl_error err = {FTL_OK, ""};
    table t = {0};
    if (!(seconds > 0)) return cli_usage_error(page.name, "--seconds must be positive");
    if (cli_json) printf("{\"version\":\"%s\",\"kernels\":[\n", ftl_version());
    ftl_status st = ftl_bench_kernels(1, seconds, print_row, &t, &err);
    if (!st && threads != 1) st = ftl_bench_kernels(threads, seconds, print_row, &t, &err);
    if (cli_json && !st) printf("\n]}\n");
    return st ? cli_report(&err) : cli_finish();
}
