#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_NONE, POOL_MEAN };

typedef struct job {
    const ftl_panel *panel; /* the batch being embedded */
    ftl_chronos *model;
    ftl_chronos_options options;
    cli_output out;
    cli_progress progress;
    cli_stream *stream;
    const char *options_text;
    int pool; /* POOL_NONE, POOL_MEAN */
    bool ids;
    size_t n_done;
    float *mean; /* [d_model] */
    ftl_error failure;
} job;

static bool on_progress(void *user, size_t done, size_t total)
{
    job *j = user;
    (void)done, (void)total;
    cli_progress_show(&j->progress, cli_stream_progress(j->stream), j->n_done);
    return !cli_interrupted();
}

static ftl_status put(job *j, const char *text)
{
    return cli_put_text(&j->out, text, &j->failure);
}

/* The fewest digits that read back as the same float. */
static ftl_status put_float(job *j, const char *before, float value)
{
    char text[48];
    int digits = 6;
    do snprintf(text, sizeof text, "%s%.*g", before, digits, (double)value);
    while (strtof(text + strlen(before), NULL) != value && ++digits <= 9);
    return put(j, text);
}

/* A field of CSV, quoted where it must be. */
static ftl_status put_field(job *j, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) return put(j, text);
    ftl_status st = put(j, "\"");
    for (; !st && *text; text++) {
        if (*text == '"') st = put(j, "\"");
        if (!st) st = cli_put(&j->out, text, 1, &j->failure);
    }
    return st ? st : put(j, "\"");
}

static ftl_status put_csv_header(job *j, size_t d_model)
{
    char name[32];
    ftl_status st = put(j, j->ids ? "unique_id," : "");
    if (!st) st = put(j, j->pool == POOL_NONE ? "token,loc,scale" : "loc,scale");
    for (size_t k = 1; !st && k <= d_model; k++) {
        snprintf(name, sizeof name, ",e%zu", k);
        st = put(j, name);
    }
    return st ? st : put(j, "\n");
}

static ftl_status put_csv(job *j, const char *id, const ftl_chronos_embedding *e, const float *states, size_t n_tokens)
{
    char number[32];
    ftl_status st = j->n_done ? FTL_OK : put_csv_header(j, e->d_model);
    for (size_t t = 0; !st && t < n_tokens; t++) {
        if (j->ids) st = put_field(j, id);
        if (!st && j->ids) st = put(j, ",");
        snprintf(number, sizeof number, "%zu,", t + 1);
        if (!st && j->pool == POOL_NONE) st = put(j, number);
        if (!st) st = put_float(j, "", *e->loc);
        if (!st) st = put_float(j, ",", *e->scale);
        for (size_t k = 0; !st && k < e->d_model; k++) st = put_float(j, ",", states[t * e->d_model + k]);
        if (!st) st = put(j, "\n");
    }
    return st;
}

/* Text that stdio would print, into the output. */
static ftl_status put_json_text(job *j, const char *text)
{
    char *quoted = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&quoted, &size);
    if (to) cli_print_json_text(to, text);
    ftl_status st = to && !fclose(to) ? put(j, quoted) : FTL_ENOMEM;
    free(quoted);
    return st;
}

static ftl_status put_json(job *j, const char *id, const ftl_chronos_embedding *e, const float *states, size_t n_tokens)
{
    ftl_status st = put(j, j->n_done ? ",\n" : "");
    if (!st) st = put(j, "{\"unique_id\":");
    if (!st) st = put_json_text(j, id);
    if (!st) st = put_float(j, ",\"loc\":", *e->loc);
    if (!st) st = put_float(j, ",\"scale\":", *e->scale);
    if (!st) st = put(j, ",\"states\":[");
    for (size_t t = 0; !st && t < n_tokens; t++) {
        for (size_t k = 0; !st && k < e->d_model; k++)
            st = put_float(j, k ? "," : t ? ",[" : "[", states[t * e->d_model + k]);
        if (!st) st = put(j, "]");
    }
    return st ? st : put(j, "]}");
}

static bool on_embedding(void *user, const ftl_chronos_embedding *e)
{
    job *j = user;
    const char *id = ftl_series_id(ftl_panel_series(j->panel, e->task));
    const float *states = e->states;
    size_t n_tokens = e->n_tokens;
    if (j->pool == POOL_MEAN) {
        for (size_t k = 0; k < e->d_model; k++) {
            double sum = 0;
            for (size_t t = 0; t < n_tokens; t++) sum += (double)states[t * e->d_model + k];
            j->mean[k] = (float)(sum / (double)n_tokens);
        }
        states = j->mean;
        n_tokens = 1;
    }
    ftl_status st = (cli_json ? put_json : put_csv)(j, id, e, states, n_tokens);
    if (!st) j->n_done++;
    return !st;
}

static ftl_status out_of_memory(ftl_error *err)
{
    *err = (ftl_error){FTL_ENOMEM, "out of memory"};
    return FTL_ENOMEM;
}

/* The series of a batch as tasks of one target each. */
static ftl_status embed_batch(job *j, ftl_error *err)
{
    size_t n = ftl_panel_n_series(j->panel), rows = 0;
    for (size_t i = 0; i < n; i++) rows += ftl_series_n_obs(ftl_panel_series(j->panel, i));
    ftl_chronos_task *tasks = calloc(n ? n : 1, sizeof *tasks);
    float *values = malloc((rows ? rows : 1) * sizeof *values), *at = values;
    ftl_status st = tasks && values ? FTL_OK : out_of_memory(err);
    for (size_t i = 0; !st && i < n; i++) {
        const ftl_series *s = ftl_panel_series(j->panel, i);
        size_t length = ftl_series_n_obs(s);
        tasks[i] = (ftl_chronos_task){.n_targets = 1, .length = length, .targets = at};
        for (size_t k = 0; k < length; k++) *at++ = (float)ftl_series_values(s)[k];
    }
    if (!st) st = ftl_chronos_embed(j->model, tasks, n, &j->options, on_embedding, j, err);
    if (st && j->failure.code) st = (*err = j->failure).code;
    free(tasks);
    free(values);
    return st;
}

static ftl_status run(job *j, const char *path, const cli_input *in, const ftl_config *config, ftl_error *err)
{
    ftl_status st;
    for (bool first = true; !(st = cli_stream_next(j->stream, &j->panel, err)) && j->panel; first = false) {
        if (first) {
            cli_describe(path, j->panel, cli_stream_progress(j->stream), in, config, NULL);
            j->ids = ftl_panel_has_ids(j->panel);
        }
        if ((st = embed_batch(j, err))) break;
    }
    return st;
}

static ftl_status begin_json(job *j, const char *options)
{
    ftl_status st = put(j, "{\"foretell\":{\"version\":\"");
    if (!st) st = put(j, ftl_version());
    if (!st) st = put(j, "\",\"options\":");
    if (!st) st = put_json_text(j, options);
    return st ? st : put(j, "},\"embeddings\":[\n");
}

int cmd_embed(int argc, char **argv)
{
    cli_input in = {0};
    const char *path = "-";
    cli_model model = {0};
    job j = {.progress = {.start = cli_seconds()}};
    static const cli_page page = {
        .name = "embed",
        .arguments = "FILE.csv",
        .min_args = 1,
        .max_args = 1,
        .about = "Writes what the encoder of a pretrained model makes of each series: one row a token (a step of "
                 "chronos-t5, "
                 "a patch of the others, and the tokens they add), columns loc and scale (what was subtracted from the "
                 "values, and what they were divided by), e1 .. eD. Values are taken in the order of their times; the "
                 "times themselves are not looked at.",
        .examples = "  foretell embed sales.csv -m chronos:models/chronos-bolt-tiny -o embeddings.csv\n"
                    "  # one row a series, for a classifier\n"
                    "  foretell embed sales.csv -m chronos:models/chronos-2 --pool mean\n"};
    const cli_option options[] = {
        CLI_OPT_TEXT('m', "model", &model.spec, "chronos:MODEL[,OPTION=VALUE,..]", "the pretrained model (needed)"),
        CLI_OPT_CHOICE(0, "pool", &j.pool, "none|mean", "a row for each token, or their mean (default: none)"),
        CLI_OPT_COUNT(0, "threads", &model.threads, "N", "threads (default: one a processor)"),
        CLI_OPT_TEXT('o', "output", &path, "FILE", "write there instead of to standard output, whole or not at all"),
        CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("one JSON object instead of CSV, for an error too"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (!cli_check_one_target(&in, page.name)) return CLI_USAGE;
    if (!model.spec) return cli_usage_error(page.name, "with which model? Add -m chronos:NAME_OR_DIRECTORY");
    ftl_config *config = NULL;
    char *text = NULL;
    ftl_error err = {FTL_OK, ""}, end = {FTL_OK, ""};
    j.out.path = path;
    j.options.progress = on_progress;
    j.options.progress_user = &j;
    ftl_status st = cli_config(&model, &config, &err);
    if (!st) st = cli_output_check(path, &err);
    if (!st) st = cli_open_chronos(config, model.threads, &j.options, &j.model, &err);
    if (!st) st = ftl_config_text(config, &text, &err);
    if (!st && !(j.mean = calloc(ftl_chronos_about(j.model).d_model, sizeof *j.mean))) st = out_of_memory(&err);
    if (!st) st = cli_stream_open(args.v[0], &in, &j.stream, &err);
    if (!st && cli_json && (st = begin_json(&j, text))) err = j.failure;
    if (!st) st = run(&j, args.v[0], &in, config, &err);
    if (!st && cli_json && (st = put(&j, "\n]}\n"))) err = j.failure;
    cli_progress_clear(&j.progress);
    if (st && cli_json) j.out.used = 0; /* half an object helps nobody */
    if (cli_output_end(&j.out, !st, &end) && !st) st = (err = end).code;
    rc = st ? cli_report(&err) : cli_finish();
    cli_stream_close(j.stream);
    ftl_chronos_close(j.model);
    ftl_config_free(config);
    ftl_text_free(text);
    free(j.mean);
    return rc;
}
