#include "cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MODEL_BYTES = 1 << 30 };

/*
 * The end of the JSON value that begins at text[0]: an object up to its last brace, or a string. Good enough to take a
 * file of several models apart; the parser finds what is wrong within.
 */
static const char *value_end(const char *text, const char *end)
{
    size_t depth = 0;
    bool quoted = false;
    for (const char *p = text; p < end; p++) {
        if (quoted && *p == '\\')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && (*p == '{' || *p == '['))
            depth++;
        else if (!quoted && (*p == '}' || *p == ']') && depth)
            depth--;
        if (p < end && !depth && !quoted) return p + 1;
    }
    return end;
}

typedef struct job {
    cli_writer writer;
    ftl_predict_args predict;
    const ftl_panel *future;
    const char *path;
    uint64_t seed;
} job;

static ftl_status find_future(const job *j, const ftl_model *model, const ftl_series **out, ftl_error *err)
{
    *out = NULL;
    if (!j->future) return FTL_OK;
    *out =
        ftl_panel_has_ids(j->future) ? ftl_panel_find(j->future, ftl_model_id(model)) : ftl_panel_series(j->future, 0);
    if (*out) return FTL_OK;
    snprintf(err->message, sizeof err->message, "series '%s': there are no rows of it in --future",
             ftl_model_id(model));
    return err->code = FTL_EDATA;
}

static ftl_status predict_one(job *j, const char *text, size_t n, bool alone, ftl_error *err)
{
    ftl_model *model = NULL;
    ftl_forecast *fc = NULL;
    ftl_predict_args args = j->predict;
    ftl_status st = ftl_model_load_text(text, n, j->path, &model, err);
    if (!st) st = find_future(j, model, &args.future, err);
    if (!st) {
        const bool gives = ftl_forecaster_capabilities(ftl_model_forecaster(model)) & FTL_GIVES_COMPONENTS;
        args.components = args.components || (j->writer.style->format == FTL_LAYOUT_PROPHET && gives);
        if (!j->writer.n) j->writer.ids = !alone || *ftl_model_id(model);
        st = ftl_model_predict(model, &args, &fc, err);
    }
    if (!st) st = cli_write_forecast(&j->writer, fc, err);
    ftl_forecast_free(fc);
    ftl_model_free(model);
    return st;
}

static ftl_status predict_all(job *j, const char *text, size_t size, ftl_error *err)
{
    const char *end = text + size, *p = text;
    ftl_status st = FTL_OK;
    bool any = false;
    while (!st) {
        while (p < end && isspace((unsigned char)*p)) p++;
        if (p == end && any) break;
        const char *stop = value_end(p, end), *rest = stop;
        while (rest < end && isspace((unsigned char)*rest)) rest++;
        st = predict_one(j, p, (size_t)(stop - p), !any && rest == end, err);
        any = true;
        p = stop;
        if (!st && cli_interrupted()) {
            *err = (ftl_error){FTL_ECANCELLED, "interrupted"};
            st = FTL_ECANCELLED;
        }
    }
    return st;
}

int cmd_predict(int argc, char **argv)
{
    cli_input in = {0};
    cli_style style = {0};
    size_t horizon = 0;
    const char *path = "-";
    job j = {.writer = {.style = &style}};
    static const cli_page page = {
        .name = "predict",
        .arguments = "MODELS.json",
        .min_args = 1,
        .max_args = 1,
        .about =
            "Forecasts with models that 'foretell fit' saved, or that Python prophet did (serialize.model_to_json).",
        .examples = "  foretell predict models.json -H 28\n"
                    "  # at given times, with the columns the model needs\n"
                    "  foretell predict models.json --future promotions.csv --level 90\n"
                    "  # a model of Python prophet, in the columns of its predict()\n"
                    "  foretell predict serialized_model.json -H 10 --format prophet\n"};
    const cli_option options[] = {
        CLI_OPT_COUNT('H', "horizon", &horizon, "N", "steps ahead to forecast (needed unless --future is given)"),
        CLI_FUTURE_OPTION(&in),
        CLI_OPT_TEXT('o', "output", &path, "FILE", "write there instead of to standard output, whole or not at all"),
        CLI_OPT_SEED(0, "seed", &j.seed, "N", "seed of random numbers (default: 0)"),
        CLI_STYLE_OPTIONS(&style),
        CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("one JSON object instead of CSV, for an error too"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (!cli_style_check(&style, page.name)) return CLI_USAGE;
    if (!horizon && !in.future_path)
        return cli_usage_error(page.name, "how many steps ahead? Add -H N, for instance -H 28");
    if (horizon && in.future_path)
        return cli_usage_error(page.name, "--future says which rows to forecast; leave out -H");
    ftl_panel *future = NULL;
    ftl_error err = {FTL_OK, ""};
    char *text = NULL, about[160];
    size_t size = 0;
    j.path = args.v[0];
    j.writer.out.path = path;
    j.writer.json = cli_json;
    j.writer.about = about;
    snprintf(about, sizeof about, "{\"foretell\":{\"version\":\"%s\",\"seed\":%llu}", ftl_version(),
             (unsigned long long)j.seed);
    j.predict = cli_style_args(&style, ftl_forecaster_at(0), j.seed);
    j.predict.components = style.components;
    j.predict.horizon = horizon;
    ftl_status st = cli_freq(&in, &j.predict.freq, &err);
    if (!st) st = cli_read_future(&in, &future, &err);
    if (!st) st = ftl_file_read(j.path, MAX_MODEL_BYTES, &text, &size, &err);
    j.future = future;
    if (!st) st = predict_all(&j, text, size, &err);
    rc = cli_writer_end(&j.writer, st ? &err : NULL);
    ftl_text_free(text);
    ftl_panel_free(future);
    return rc;
}
