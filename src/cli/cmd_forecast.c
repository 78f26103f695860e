#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct job {
    cli_model model;
    cli_writer writer;
    cli_progress progress;
    cli_stream *stream;
    size_t n_done, n_failed, n_warned, n_batches;
    ftl_error failure;    /* that ends the run */
    ftl_error last_error; /* of a series that was skipped */
} job;

/* Series done; also what Ctrl-C stops. */
static bool on_progress(void *user, size_t done, size_t total)
{
    job *j = user;
    (void)done, (void)total;
    cli_progress_show(&j->progress, cli_stream_progress(j->stream), j->n_done);
    return !cli_interrupted();
}

static bool on_result(void *user, const ftl_panel_result *r)
{
    enum { SAY_AT_MOST = 10 };
    job *j = user;
    if (r->error->code) {
        if (j->model.on_error == 0) {
            j->failure = *r->error;
            return false;
        }
        j->last_error = *r->error;
        if (++j->n_failed <= SAY_AT_MOST || cli_verbose) {
            cli_progress_clear(&j->progress);
            cli_note("skipped: %s", r->error->message);
        }
        return on_progress(j, 0, 0);
    }
    j->n_done++;
    if (ftl_model_n_warnings(r->model)) cli_progress_clear(&j->progress);
    cli_note_warnings(r->model, &j->n_warned);
    cli_note_reach(r->model, r->forecast);
    return !cli_write_forecast(&j->writer, r->forecast, &j->failure) && on_progress(j, 0, 0);
}

/* {"foretell":{...} with what is needed to repeat the run. */
static ftl_status describe_run(const ftl_config *config, const job *j, size_t horizon, char **out, ftl_error *err)
{
    char *options = NULL, *text = NULL;
    size_t size;
    ftl_status st = ftl_config_text(config, &options, err);
    if (st) return st;
    FILE *to = open_memstream(&text, &size);
    if (to) {
        fprintf(to, "{\"foretell\":{\"version\":\"%s\",\"model\":", ftl_version());
        cli_print_json_text(to, ftl_forecaster_name(ftl_config_forecaster(config)));
        fprintf(to, ",\"options\":");
        cli_print_json_text(to, options);
        fprintf(to, ",\"seed\":%llu,\"horizon\":", (unsigned long long)j->model.seed);
        fprintf(to, horizon ? "%zu" : "null", horizon);
        fprintf(to, ",\"samples\":%zu}", j->writer.style->samples);
    }
    ftl_text_free(options);
    if (to && !fclose(to)) {
        *out = text;
        return FTL_OK;
    }
    free(text);
    *err = (ftl_error){FTL_ENOMEM, "out of memory"};
    return FTL_ENOMEM;
}

static void announce(const job *j, const ftl_config *config, size_t horizon)
{
    enum { SHOWN = 160 }; /* of the options: a thousand holidays are no news */
    if (cli_quiet) return;
    char *text = NULL, steps[48] = "the rows of --future", levels[CLI_MAX_LIST * 8] = "";
    size_t used = 0;
    const cli_style *s = j->writer.style;
    if (horizon) snprintf(steps, sizeof steps, "%s step%s", cli_grouped(horizon), horizon == 1 ? "" : "s");
    if (ftl_config_text(config, &text, NULL)) return;
    for (size_t i = 0; i < s->percents.n && used < sizeof levels && !strstr(text, "intervals=none"); i++)
        used += (size_t)snprintf(levels + used, sizeof levels - used, "%s%g %%", i ? ", " : "; intervals of ",
                                 s->percents.v[i]);
    cli_note("model %.*s%s, %s%s", SHOWN, text, strlen(text) > SHOWN ? " ..." : "", steps, levels);
    ftl_text_free(text);
}

/* Forecasts batch after batch while the next one is being read. */
static ftl_status run(job *j, const char *path, const ftl_config *config, cli_input *in, const ftl_panel *future,
                      const ftl_fit_args *fit, const ftl_predict_args *predict, ftl_error *err)
{
    const ftl_panel *batch;
    ftl_status st;
    for (bool first = true; !(st = cli_stream_next(j->stream, &batch, err)) && batch; first = false) {
        j->n_batches++;
        if (first) {
            cli_describe(path, batch, cli_stream_progress(j->stream), in, config, future);
            announce(j, config, predict->horizon);
            j->writer.ids = ftl_panel_has_ids(batch);
            if (!future && (st = cli_check_columns(batch, config, err))) return st;
        }
        st = ftl_forecast_panel(config, batch, future, fit, predict, j->model.threads, on_result, j, err);
        if (st && j->failure.code) *err = j->failure;
        if (st) return err->code;
    }
    return st;
}

static void summarise(const job *j)
{
    double seconds = cli_seconds() - j->progress.start;
    if (j->n_failed)
        cli_note("%s of %s series failed and were skipped", cli_grouped(j->n_failed),
                 cli_grouped(j->n_failed + j->n_done));
    if (seconds > 2 || j->n_batches > 1 || cli_verbose)
        cli_note("%s series in %.2f s (%s a second)", cli_grouped(j->n_done), seconds,
                 cli_grouped((size_t)((double)j->n_done / seconds)));
}

int cmd_forecast(int argc, char **argv)
{
    size_t horizon = 0;
    const char *path = "-";
    cli_input in = {0};
    cli_style style = {0};
    job j = {.writer = {.style = &style}, .progress = {.start = cli_seconds()}};
    static const cli_page page = {
        .name = "forecast",
        .arguments = "FILE.csv",
        .min_args = 1,
        .max_args = 1,
        .about =
            "Fits a model to every series of a CSV file and forecasts it. The file has columns ds (date, date and "
            "time, or "
            "whole number) and y (empty = missing); unique_id names the series if there are several; further numeric "
            "columns are regressors, whose future --future gives; columns of text are categories for models that take "
            "them (Chronos-2). '-' reads standard input; gzip is unpacked.",
        .examples =
            "  # four weeks ahead, intervals of 80 and 95 %\n  foretell forecast sales.csv -H 28\n"
            "  # other columns, other intervals, into a file that appears whole or not at all\n"
            "  foretell forecast shop.csv -H 12 --time-col month --target-col turnover --level 50,90 -o out.csv\n"
            "  # Prophet with options and holidays, in Prophet's own columns\n"
            "  foretell forecast wiki.csv -H 365 -m prophet:changepoint_prior_scale=0.1 --country US --format prophet\n"
            "  # regressors: their future decides how far the forecast goes\n"
            "  foretell forecast sales.csv --future promotions.csv\n"
            "  # two targets that are forecast together, each in rows of its own (target_name)\n"
            "  foretell forecast shop.csv -H 28 --target-col sales,visitors -m chronos:chronos-2\n"
            "  # a million series, skipping those that cannot be forecast\n"
            "  zcat all.csv.gz | foretell forecast - -H 28 --on-error skip -o all-forecasts.csv\n"};
    const cli_option options[] = {
        CLI_OPT_COUNT('H', "horizon", &horizon, "N", "steps ahead to forecast (needed unless --future is given)"),
        CLI_FUTURE_OPTION(&in),
        CLI_OPT_TEXT('o', "output", &path, "FILE", "write there instead of to standard output, whole or not at all"),
        CLI_MODEL_OPTIONS(&j.model),
        CLI_STYLE_OPTIONS(&style),
        CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("one JSON object instead of CSV, for an error too"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    cli_style_from_model(&style, j.model.spec);
    if (!cli_style_check(&style, page.name)) return CLI_USAGE;
    if (!cli_check_horizon(horizon, &in, page.name)) return CLI_USAGE;
    ftl_config *config = NULL;
    ftl_panel *future = NULL;
    ftl_error err = {FTL_OK, ""};
    ftl_fit_args fit = {.seed = j.model.seed, .progress = on_progress, .progress_user = &j};
    j.writer.out.path = path;
    j.writer.json = cli_json;
    ftl_status st = cli_freq(&in, &fit.freq, &err);
    if (!st) st = cli_config(&j.model, &config, &err);
    if (!st) ftl_config_tell(config, "horizon", horizon);
    if (!st) st = cli_output_check(path, &err);
    if (!st) st = describe_run(config, &j, horizon, &j.writer.about, &err);
    if (!st) cli_keep_text(&in, config);
    if (!st) st = cli_read_future(&in, &future, &err);
    if (!st) st = cli_stream_open(args.v[0], &in, &j.stream, &err);
    if (!st) {
        ftl_predict_args predict = cli_style_args(&style, ftl_config_forecaster(config), j.model.seed);
        predict.horizon = horizon;
        predict.freq = fit.freq;
        st = run(&j, args.v[0], config, &in, future, &fit, &predict, &err);
    }
    if (!st && !j.n_done && j.n_failed) { /* every series failed: that is no success */
        err = j.last_error;
        st = err.code;
    }
    cli_progress_clear(&j.progress);
    rc = cli_writer_end(&j.writer, st ? &err : NULL);
    if (!rc) summarise(&j);
    cli_stream_close(j.stream);
    ftl_panel_free(future);
    ftl_config_free(config);
    free(j.writer.about);
    return rc;
}
