#include "cli.h"

#include <string.h>

typedef struct job {
    cli_model model;
    cli_output out; /* models, one JSON object a line */
    bool save;      /* models are written (not only explained) */
    bool several;   /* explanations form a list */
    cli_progress progress;
    cli_stream *stream;
    size_t n_done, n_failed, n_warned;
    ftl_error failure, last_error;
} job;

static bool on_progress(void *user, size_t done, size_t total)
{
    job *j = user;
    (void)done, (void)total;
    cli_progress_show(&j->progress, cli_stream_progress(j->stream), j->n_done);
    return !cli_interrupted();
}

static ftl_status save(job *j, const ftl_model *model, ftl_error *err)
{
    char *text = NULL;
    ftl_status st = ftl_model_save_text(model, &text, err);
    if (!st) st = cli_put_text(&j->out, text, err);
    if (!st) st = cli_put(&j->out, "\n", 1, err);
    ftl_text_free(text);
    return st;
}

static ftl_status explain(job *j, const ftl_model *model, ftl_error *err)
{
    char *text = NULL;
    ftl_status st = ftl_model_explain(model, &text, err);
    if (!st) printf("%s%s", !j->several ? "" : j->n_done ? ",\n" : "{\"models\":[\n", text);
    ftl_text_free(text);
    return st;
}

static bool on_result(void *user, const ftl_panel_result *r)
{
    job *j = user;
    if (r->error->code) {
        if (j->model.on_error == 0) {
            j->failure = *r->error;
            return false;
        }
        j->n_failed++;
        j->last_error = *r->error;
        cli_note("skipped: %s", r->error->message);
        return on_progress(j, 0, 0);
    }
    ftl_status st = j->save ? save(j, r->model, &j->failure) : FTL_OK;
    if (!st && cli_json) st = explain(j, r->model, &j->failure);
    if (!st) j->n_done++;
    cli_note_warnings(r->model, &j->n_warned);
    return !st && on_progress(j, 0, 0);
}

static ftl_status run(job *j, const char *path, const ftl_config *config, const cli_input *in, const ftl_fit_args *fit,
                      ftl_error *err)
{
    const ftl_panel *batch;
    ftl_status st;
    for (bool first = true; !(st = cli_stream_next(j->stream, &batch, err)) && batch; first = false) {
        if (first) {
            cli_describe(path, batch, cli_stream_progress(j->stream), in, config, NULL);
            j->several = ftl_panel_has_ids(batch);
        }
        st = ftl_forecast_panel(config, batch, NULL, fit, NULL, j->model.threads, on_result, j, err);
        if (st && j->failure.code) *err = j->failure;
        if (st) return err->code;
    }
    return st;
}

/* Closes the list of explanations. */
static void end_explanations(const job *j)
{
    if (!cli_json || (!j->n_done && !j->several)) return;
    if (j->several) printf("%s]}", j->n_done ? "\n" : "{\"models\":[");
    printf("\n");
}

int cmd_fit(int argc, char **argv)
{
    cli_input in = {0};
    const char *path = NULL;
    job j = {.progress = {.start = cli_seconds()}};
    static const cli_page page = {
        .name = "fit",
        .arguments = "FILE.csv",
        .min_args = 1,
        .max_args = 1,
        .about =
            "Fits a model to every series of a CSV file and writes the models as JSON, one object a line. 'foretell "
            "predict' reads them. Models of prophet are in the format of Python prophet, and its files are read, too. "
            "With --json, what the fits did is printed instead: parameters, certificate, warnings, timings.",
        .examples = "  # fit now, predict later\n  foretell fit sales.csv -o models.json\n"
                    "  foretell predict models.json -H 28\n"
                    "  # how good is the optimum?\n  foretell fit sales.csv --json\n"};
    const cli_option options[] = {
        CLI_OPT_TEXT('o', "output", &path, "FILE",
                     "write the models there, whole or not at all (default: standard output)"),
        CLI_MODEL_OPTIONS(&j.model), CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("print what the fits did as one JSON object; models are then written only with -o"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (cli_json && path && !strcmp(path, "-"))
        return cli_usage_error(page.name, "with --json standard output is taken; name a file for the models");
    ftl_config *config = NULL;
    ftl_error err = {FTL_OK, ""};
    ftl_fit_args fit = {.seed = j.model.seed, .progress = on_progress, .progress_user = &j};
    j.save = path || !cli_json;
    j.out.path = path ? path : "-";
    ftl_status st = cli_freq(&in, &fit.freq, &err);
    if (!st) st = cli_config(&j.model, &config, &err);
    if (!st) cli_keep_text(&in, config);
    if (!st) st = cli_output_check(j.out.path, &err);
    if (!st) st = cli_stream_open(args.v[0], &in, &j.stream, &err);
    if (!st) st = run(&j, args.v[0], config, &in, &fit, &err);
    if (!st && !j.n_done && j.n_failed) st = (err = j.last_error).code;
    cli_progress_clear(&j.progress);
    if (j.save) {
        ftl_error end = {FTL_OK, ""};
        if (cli_output_end(&j.out, !st, &end) && !st) st = (err = end).code;
    }
    if (!st || j.n_done) end_explanations(&j);
    if (st && cli_json && j.n_done) { /* standard output already holds the object */
        cli_warn("%s", err.message);
        rc = cli_exit_code(st);
    } else {
        rc = st ? cli_report(&err) : cli_finish();
    }
    cli_stream_close(j.stream);
    ftl_config_free(config);
    return rc;
}
