#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_MODELS = 64 };
static const char naive[] = "seasonal-naive"; /* the baseline as the benchmark defines it, unless options follow */

/* A model of the list: what it is called in the results, and its configuration (NULL: the benchmark's baseline). */
typedef struct entry {
    char *label;
    ftl_config *config;
} entry;

typedef struct job {
    const char *manifest_path, *models, *datasets, *group, *out, *per_series, *report, *baseline;
    cli_texts published;
    size_t threads, samples, windows;
    uint64_t seed;
    int on_error; /* 0 stop, 1 skip */
    entry entries[MAX_MODELS];
    size_t n_entries;
    ftl_manifest *manifest;
    ftl_results *known; /* rows of the results file */
    cli_progress progress;
    const ftl_dataset *set; /* at hand */
    const entry *entry;
    FILE *series_rows; /* in memory, of the pair at hand */
    char *series_text;
    size_t series_size, n_done, n_kept, n_skipped;
} job;

/* ---- the list of models ----------------------------------------------------------------------------------------- */

/* The name that a piece of the list begins with, up to `end` or one of ":=". */
static const ftl_forecaster *forecaster_named(const char *text, size_t n)
{
    char name[64];
    if (n >= sizeof name) return NULL;
    memcpy(name, text, n);
    name[n] = 0;
    return ftl_forecaster_find(name);
}

static bool has_option(const ftl_forecaster *f, const char *name, size_t n)
{
    for (size_t i = 0; f && i < ftl_forecaster_n_options(f); i++) {
        const char *option = ftl_forecaster_option(f, i).name;
        if (strlen(option) == n && !strncmp(option, name, n)) return true;
    }
    return false;
}

/*
 * Where the model that begins at `text` ends: at the comma before the next one. Models hold commas themselves, between
 * options: a piece begins the next model if it is the name of a forecaster, or NAME= and one that is no option here.
 */
static const char *model_end(const char *text)
{
    size_t label = strcspn(text, "=:,");
    const char *spec = text[label] == '=' ? text + label + 1 : text, *at = spec;
    const ftl_forecaster *f = forecaster_named(spec, strcspn(spec, ":,"));
    while (*(at += strcspn(at, ","))) {
        const char *next = at + 1;
        size_t n = strcspn(next, "=:,");
        bool named =
            next[n] == '=' && !has_option(f, next, n) && forecaster_named(next + n + 1, strcspn(next + n + 1, ":,"));
        if (at[-1] != '\\' && (named || (next[n] != '=' && !has_option(f, next, n)))) break;
        at++;
    }
    return at;
}

static int add_model(job *j, const char *text, size_t n)
{
    ftl_error err = {FTL_OK, ""};
    if (j->n_entries == MAX_MODELS) return cli_usage_error("evaluate", "at most %d models at a time", MAX_MODELS);
    entry *e = &j->entries[j->n_entries];
    char *copy = strndup(text, n), *spec = copy;
    size_t head = copy ? strcspn(copy, "=:") : 0;
    if (copy && copy[head] == '=' && !forecaster_named(copy, head)) { /* LABEL=MODEL */
        copy[head] = 0;
        spec = copy + head + 1;
    }
    e->label = copy ? strdup(copy) : NULL;
    ftl_status st = e->label ? FTL_OK : (err.code = FTL_ENOMEM);
    bool bare = copy && !strcmp(spec, naive);
    if (!st && !bare) st = ftl_config_new(spec, &e->config, &err);
    if (!st && !bare) st = cli_resolve_model(e->config, &err);
    free(copy);
    if (st) {
        free(e->label);
        return cli_report(&err);
    }
    j->n_entries++;
    for (size_t i = 0; i + 1 < j->n_entries; i++)
        if (!strcmp(j->entries[i].label, e->label))
            return cli_usage_error("evaluate", "'%s' is there twice; give one of them a name: NAME=%s", e->label,
                                   e->label);
    return CLI_DONE;
}

static int read_models(job *j)
{
    const char *text = j->models ? j->models : naive;
    for (int rc; *text;) {
        const char *end = model_end(text);
        if (end > text && (rc = add_model(j, text, (size_t)(end - text)))) return rc;
        text = *end ? end + 1 : end;
    }
    return j->n_entries ? CLI_DONE : cli_usage_error("evaluate", "--models is empty");
}

/* ---- one data set, one model ------------------------------------------------------------------------------------ */

static bool on_progress(void *user, size_t done, size_t total)
{
    job *j = user;
    cli_progress_show(&j->progress, total ? (double)done / (double)total : -1, done);
    return !cli_interrupted();
}

static bool on_series(void *user, const char *id, size_t window, const ftl_scores *scores)
{
    job *j = user;
    ftl_result result = {.dataset = j->set->name, .model = j->entry->label, .id = id, .window = window};
    char *row;
    result.horizon = j->set->horizon;
    result.scores = *scores;
    if (ftl_result_csv(&result, &row, NULL)) return false;
    fputs(row, j->series_rows);
    ftl_text_free(row);
    return true;
}

/* The scores of each series go out before the row that says the pair is done. */
static ftl_status write_result(job *j, const ftl_result *result, ftl_error *err)
{
    char *row;
    ftl_status st = FTL_OK;
    if (j->series_rows && (fflush(j->series_rows) || ferror(j->series_rows))) st = err->code = FTL_ENOMEM;
    if (!st && j->series_rows && j->series_size)
        st = ftl_csv_append(j->per_series, ftl_result_header(true), j->series_text, err);
    if (!st) st = ftl_result_csv(result, &row, err);
    if (st) return st;
    if (j->out) {
        st = ftl_csv_append(j->out, ftl_result_header(false), row, err);
    } else {
        if (!j->n_done) fputs(ftl_result_header(false), stdout);
        fputs(row, stdout);
        fflush(stdout);
    }
    ftl_text_free(row);
    return st ? st : ftl_results_add(j->known, result, err);
}

static ftl_status evaluate(job *j, const ftl_panel *panel, ftl_error *err)
{
    const ftl_evaluate_args args = {.seed = j->seed,
                                    .n_threads = j->threads,
                                    .n_samples = j->samples,
                                    .windows = j->windows,
                                    .progress = on_progress,
                                    .progress_user = j};
    ftl_result result = {.dataset = j->set->name, .model = j->entry->label, .horizon = j->set->horizon};
    if (j->per_series && !(j->series_rows = open_memstream(&j->series_text, &j->series_size)))
        return err->code = FTL_ENOMEM;
    j->progress.start = cli_seconds();
    ftl_status st =
        ftl_evaluate(j->entry->config, panel, j->set, &args, j->series_rows ? on_series : NULL, j, &result.scores, err);
    cli_progress_clear(&j->progress);
    if (!st) st = write_result(j, &result, err);
    if (j->series_rows) fclose(j->series_rows);
    free(j->series_text);
    j->series_rows = NULL;
    j->series_text = NULL;
    if (st) return st;
    j->n_done++;
    cli_note("%s, %s: WQL %.6f, MASE %.6f, %.2f s", result.dataset, result.model, result.scores.wql, result.scores.mase,
             result.scores.seconds);
    if (result.scores.n_fallbacks)
        cli_note("  %s of %s series were refused and got the baseline; the first: %s",
                 cli_grouped(result.scores.n_fallbacks), cli_grouped(result.scores.n_series),
                 result.scores.first_failure);
    return FTL_OK;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at && *at; at += strspn(at, ",")) {
        size_t piece = strcspn(at, ",");
        if (piece == n && !strncmp(at, name, n)) return true;
        at += piece;
    }
    return false;
}

static bool wanted(const job *j, const ftl_dataset *set)
{
    return (!j->datasets || in_list(j->datasets, set->name)) && (!j->group || in_list(j->group, set->group));
}

/* Every name of --datasets is in the manifest. */
static ftl_status check_names(const job *j, ftl_error *err)
{
    for (const char *at = j->datasets; at && *at; at += strspn(at, ",")) {
        char name[256];
        size_t n = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), at);
        if (!ftl_manifest_find(j->manifest, name)) {
            snprintf(err->message, sizeof err->message, "%.200s: there is no data set '%.200s'", j->manifest_path,
                     name);
            return err->code = FTL_EINVAL;
        }
        at += n;
    }
    return FTL_OK;
}

static ftl_status evaluate_set(job *j, const ftl_dataset *set, ftl_error *err)
{
    ftl_panel *panel = NULL;
    ftl_status st = FTL_OK;
    j->set = set;
    for (size_t m = 0; m < j->n_entries && !st; m++) {
        j->entry = &j->entries[m];
        if (ftl_results_find(j->known, set->name, j->entry->label)) {
            j->n_kept++;
            continue;
        }
        if (!panel) st = ftl_panel_read_csv(set->path, NULL, &panel, err);
        if (!st) st = evaluate(j, panel, err);
        if (st && st != FTL_ECANCELLED && j->on_error == 1) {
            cli_warn("skipped: %s, %s: %s", set->name, j->entry->label, err->message);
            j->n_skipped++;
            st = FTL_OK;
        }
    }
    ftl_panel_free(panel);
    return st;
}

static ftl_status run(job *j, ftl_error *err)
{
    size_t n_sets = 0;
    ftl_status st = ftl_manifest_read(j->manifest_path, &j->manifest, err);
    if (!st) st = check_names(j, err);
    cli_signals_begin_output();
    for (size_t i = 0; !st && i < ftl_manifest_n_datasets(j->manifest); i++) {
        const ftl_dataset *set = ftl_manifest_dataset(j->manifest, i);
        if (!wanted(j, set)) continue;
        n_sets++;
        st = evaluate_set(j, set, err);
    }
    if (!st && !n_sets) {
        snprintf(err->message, sizeof err->message, "%.300s: no data set is in group '%.100s'", j->manifest_path,
                 j->group ? j->group : "");
        st = err->code = FTL_EINVAL;
    }
    if (j->n_kept) cli_note("rows that %s had already: %s", j->out, cli_grouped(j->n_kept));
    return st;
}

/* Scores that others published, FILE or NAME=FILE, beside our own. */
static ftl_status read_published(job *j, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < j->published.n && !st; i++) {
        const char *text = j->published.v[i], *equals = strchr(text, '=');
        char *name = equals ? strndup(text, (size_t)(equals - text)) : NULL;
        if (equals && !name) return err->code = FTL_ENOMEM;
        st = ftl_results_read(j->known, equals ? equals + 1 : text, name, err);
        free(name);
    }
    return st;
}

static ftl_status work(job *j, ftl_error *err)
{
    ftl_status st = ftl_results_new(&j->known, err);
    if (!st && j->out) st = cli_output_check(j->out, err);
    if (!st && j->out && (!access(j->out, F_OK) || !j->manifest_path))
        st = ftl_results_read(j->known, j->out, NULL, err);
    if (!st && j->manifest_path) st = run(j, err);
    if (!st && j->report) st = read_published(j, err);
    if (!st && j->report) st = cli_benchmark_report(j->known, j->baseline ? j->baseline : naive, j->report, err);
    return st;
}

int cmd_evaluate(int argc, char **argv)
{
    job j = {0};
    static const cli_page page = {
        .name = "evaluate",
        .arguments = "",
        .max_args = 0,
        .about =
            "Judges models on the data sets of a manifest: forecasts the last part of every series from what came "
            "before "
            "it, and nothing else, and scores the forecasts as GluonTS and the Chronos paper do (WQL, MASE, and more). "
            "The "
            "manifest is a CSV file with columns name, file and horizon, and perhaps season_length, natural_season, "
            "freq, "
            "test_offset and in_benchmark; each file has columns unique_id, ds and y.\n"
            "A row for each data set and model is appended to --out as soon as it is known; rows that are there are "
            "not "
            "computed again, so that a run can be broken off and taken up. Without --out rows go to standard output. "
            "'seasonal-naive' without options is the baseline of the benchmark: the last season's values at all "
            "levels. A "
            "series that a model refuses gets the baseline's forecast; the column 'fallbacks' counts them.",
        .examples = "  # two models on all data sets; run it again to go on after a break\n"
                    "  foretell evaluate --manifest manifest.csv --models seasonal-naive,prophet --out results.csv\n"
                    "  # options, a name for the results, some data sets, every series' own scores\n"
                    "  foretell evaluate --manifest manifest.csv --datasets hospital,m3_monthly --out results.csv \\\n"
                    "      --models calm=prophet:changepoint_prior_scale=0.01,seasonal-naive --per-series series.csv\n"
                    "  # tables and pictures of what is there, beside published scores\n"
                    "  foretell evaluate --out results.csv --report report --published "
                    "'Bolt=chronos-bolt-base-zero-shot.csv'\n"};
    const cli_option options[] = {
        CLI_OPT_TEXT(0, "manifest", &j.manifest_path, "M.csv", "the data sets"),
        CLI_OPT_TEXT('m', "models", &j.models, "M[:O=V,..],..",
                     "models with their options; NAME=MODEL names one (default: seasonal-naive)"),
        CLI_OPT_TEXT(0, "datasets", &j.datasets, "NAME,..", "only these data sets"),
        CLI_OPT_TEXT(0, "group", &j.group, "NAME,..", "only data sets whose in_benchmark is one of these: I, II, none"),
        CLI_OPT_TEXT('o', "out", &j.out, "FILE", "append results there, passing over rows that it has"),
        CLI_OPT_TEXT(0, "per-series", &j.per_series, "FILE", "append the scores of each series there"),
        CLI_OPT_TEXT(0, "report", &j.report, "DIR",
                     "then tables and pictures of all rows there: report.md, *.csv, *.svg"),
        CLI_OPT_TEXTS(0, "published", &j.published, "[NAME=]FILE",
                      "scores of others for the report: columns dataset, model, WQL, MASE"),
        CLI_OPT_TEXT(0, "baseline", &j.baseline, "NAME", "what the report compares with (default: seasonal-naive)"),
        CLI_OPT_COUNT(0, "samples", &j.samples, "N", "CRPS from N sample paths, for models that give them"),
        CLI_OPT_COUNT(0, "windows", &j.windows, "N", "rolling origins, each a horizon earlier (default: 1)"),
        CLI_OPT_SEED(0, "seed", &j.seed, "N", "seed of random numbers (default: 0)"),
        CLI_OPT_COUNT(0, "threads", &j.threads, "N", "threads (default: one a processor)"),
        CLI_OPT_CHOICE(0, "on-error", &j.on_error, "stop|skip", "what to do when a data set fails (default: stop)"),
        CLI_COMMON_OPTIONS("an error as a JSON object"),
        CLI_END};
    cli_texts args;
    ftl_error err = {FTL_OK, ""};
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (!j.manifest_path && !(j.report && j.out))
        return cli_usage_error(page.name, "which data sets? Add --manifest FILE (or, for a report of results that are "
                                          "there, --out and --report)");
    rc = read_models(&j);
    if (!rc && work(&j, &err)) rc = cli_report(&err);
    if (!rc && j.n_skipped) rc = CLI_FAILED;
    for (size_t i = 0; i < j.n_entries; i++) {
        ftl_config_free(j.entries[i].config);
        free(j.entries[i].label);
    }
    ftl_results_free(j.known);
    ftl_manifest_free(j.manifest);
    return rc ? rc : cli_finish();
}
