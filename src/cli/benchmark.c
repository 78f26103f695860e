/* The report of 'foretell evaluate': tables and pictures of results in a folder. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct report {
    const char *folder;
    const ftl_summary *summary;
    ftl_error *err;
} report;

/* "FOLDER/name" in a static buffer. */
static const char *inside(const report *r, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    return path;
}

static ftl_status write_file(const report *r, const char *name, const char *text)
{
    cli_output out = {.path = inside(r, name)};
    ftl_error ignored;
    ftl_status st = cli_put_text(&out, text, r->err);
    ftl_status end = cli_output_end(&out, !st, st ? &ignored : r->err);
    return st ? st : end;
}

static ftl_status write_tables(const report *r)
{
    static const struct {
        ftl_summary_table table;
        const char *name;
    } tables[] = {{FTL_TABLE_STANDINGS, "standings.csv"}, {FTL_TABLE_SETS, "sets.csv"}, {FTL_TABLE_PAIRS, "pairs.csv"}};
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !st; i++) {
        char *text;
        st = ftl_summary_text(r->summary, tables[i].table, false, &text, r->err);
        if (st) break;
        st = write_file(r, tables[i].name, text);
        ftl_text_free(text);
    }
    return st;
}

static const struct {
    ftl_summary_picture picture;
    ftl_metric metric;
    const char *name, *alt;
} pictures[] = {
    {FTL_PICTURE_RANKS, FTL_METRIC_WQL, "ranks-wql", "average ranks by WQL"},
    {FTL_PICTURE_RANKS, FTL_METRIC_MASE, "ranks-mase", "average ranks by MASE"},
    {FTL_PICTURE_HEAT, FTL_METRIC_WQL, "sets-wql", "relative WQL by data set"},
    {FTL_PICTURE_HEAT, FTL_METRIC_MASE, "sets-mase", "relative MASE by data set"},
    {FTL_PICTURE_TIME, FTL_METRIC_WQL, "time-wql", "relative WQL against time"},
    {FTL_PICTURE_TIME, FTL_METRIC_MASE, "time-mase", "relative MASE against time"},
};
enum { N_PICTURES = sizeof pictures / sizeof *pictures };

static ftl_status draw_pictures(const report *r)
{
    static const struct {
        ftl_plot_format format;
        const char *ending;
    } formats[] = {{FTL_PLOT_SVG, "svg"}, {FTL_PLOT_PNG, "png"}};
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < N_PICTURES && !st; i++)
        for (size_t f = 0; f < sizeof formats / sizeof *formats && !st; f++) {
            char name[64];
            snprintf(name, sizeof name, "%s.%s", pictures[i].name, formats[f].ending);
            st = ftl_plot_summary(r->summary, pictures[i].picture, pictures[i].metric, NULL, formats[f].format,
                                  inside(r, name), r->err);
        }
    return st;
}

static ftl_status write_page(const report *r, const char *baseline)
{
    char *tables[3] = {NULL, NULL, NULL}, *page = NULL;
    size_t size;
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < 3 && !st; i++)
        st = ftl_summary_text(r->summary, (ftl_summary_table)i, true, &tables[i], r->err);
    FILE *to = st ? NULL : open_memstream(&page, &size);
    if (!st && !to) st = r->err->code = FTL_ENOMEM;
    if (!st) {
        fprintf(to, "# Benchmark\n\nModels: %zu. Data sets: %zu. foretell %s.\n\n", ftl_summary_n_models(r->summary),
                ftl_summary_n_sets(r->summary), ftl_version());
        fprintf(
            to,
            "## Standings\n\nScores are geometric means over the data sets of the score divided by that of %s; low and "
            "high are a 95 %% interval (bootstrap over data sets). Ranks and the critical difference of %.2f (Nemenyi, "
            "5 %%) count models that have every set; wins are the share of comparisons with another model on a data "
            "set. "
            "Seconds and memory are this machine's.\n\n%s\n",
            baseline, ftl_summary_critical_difference(r->summary), tables[0]);
        for (size_t i = 0; i < N_PICTURES; i++) fprintf(to, "![%s](%s.svg)\n", pictures[i].alt, pictures[i].name);
        fprintf(to,
                "\n## By data set\n\n%s\n## Pairs\n\nWins and the p value of Wilcoxon's signed-rank test over the data "
                "sets that both models have.\n\n%s",
                tables[1], tables[2]);
        if (fclose(to)) st = r->err->code = FTL_ENOMEM;
    }
    if (!st) st = write_file(r, "report.md", page);
    free(page);
    for (size_t i = 0; i < 3; i++) ftl_text_free(tables[i]);
    return st;
}

ftl_status cli_benchmark_report(const ftl_results *results, const char *baseline, const char *folder, ftl_error *err)
{
    ftl_summary *summary;
    if (mkdir(folder, 0777) && errno != EEXIST) {
        snprintf(err->message, sizeof err->message, "%.400s: cannot make the folder: %s", folder, strerror(errno));
        return err->code = FTL_EIO;
    }
    ftl_status st = ftl_results_summarise(results, baseline, 0, &summary, err);
    if (st) return st;
    const report r = {folder, summary, err};
    st = write_tables(&r);
    if (!st) st = draw_pictures(&r);
    if (!st) st = write_page(&r, baseline);
    if (!st) cli_note("report in %s", inside(&r, "report.md"));
    ftl_summary_free(summary);
    return st;
}
