#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct job {
    cli_model model;
    const ftl_panel *panel, *future;
    ftl_model **models;           /* [max_series] kept for the picture */
    ftl_forecast **forecasts;     /* [max_series] */
    ftl_plot_item *items;         /* [max_series] */
    size_t n_models, n, n_warned; /* n: items */
} job;

static ftl_status find_future(const job *j, const ftl_series *s, const ftl_series **out, ftl_error *err)
{
    *out = NULL;
    if (!j->future) return FTL_OK;
    *out = ftl_panel_has_ids(j->future) ? ftl_panel_find(j->future, ftl_series_id(s)) : ftl_panel_series(j->future, 0);
    if (*out) return FTL_OK;
    snprintf(err->message, sizeof err->message, "series '%s': there are no rows of it in --future", ftl_series_id(s));
    return err->code = FTL_EDATA;
}

/* Of what is ready, models[i] and forecasts[i], the items of the picture. */
static ftl_status collect(job *j, const ftl_error *errors, size_t n, ftl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (errors[i].code) {
            *err = errors[i];
            if (j->model.on_error == 0) return err->code;
            cli_note("skipped: %s", err->message);
            continue;
        }
        cli_note_warnings(j->models[i], &j->n_warned);
        cli_note_reach(j->models[i], j->forecasts[i]);
        j->items[j->n++] = (ftl_plot_item){ftl_panel_series(j->panel, i), j->forecasts[i], j->models[i]};
    }
    return j->n ? FTL_OK : err->code;
}

static ftl_status forecast_all(job *j, size_t most, const ftl_config *config, const ftl_fit_args *fit,
                               const ftl_predict_args *predict, ftl_error *err)
{
    size_t n = ftl_panel_n_series(j->panel);
    if (n > most) {
        cli_note("%s series; the first %s are drawn (--max-series)", cli_grouped(n), cli_grouped(most));
        n = most;
    }
    j->n_models = n;
    j->models = calloc(n + 1, sizeof *j->models);
    j->forecasts = calloc(n + 1, sizeof *j->forecasts);
    j->items = calloc(n + 1, sizeof *j->items);
    ftl_predict_args *args = calloc(n + 1, sizeof *args);
    ftl_error *errors = calloc(n + 1, sizeof *errors);
    ftl_status st = FTL_ENOMEM;
    *err = (ftl_error){FTL_ENOMEM, "out of memory"};
    if (!j->models || !j->forecasts || !j->items || !args || !errors) goto done;
    *err = (ftl_error){FTL_OK, ""};
    for (size_t i = 0; i < n; i++) {
        const ftl_series *s = ftl_panel_series(j->panel, i);
        args[i] = *predict;
        if (!find_future(j, s, &args[i].future, &errors[i])) ftl_model_fit(config, s, fit, &j->models[i], &errors[i]);
        if (!errors[i].code || j->model.on_error) continue;
        *err = errors[i];
        st = err->code;
        goto done;
    }
    st = ftl_models_predict(j->models, args, n, j->forecasts, errors, err);
    if (!st) st = collect(j, errors, n, err);
done:
    free(args);
    free(errors);
    return st;
}

static ftl_status draw(const job *j, bool components, const ftl_plot_style *style, ftl_plot_format format,
                       const char *path, ftl_error *err)
{
    return components ? ftl_plot_components(j->items[0].model, j->items[0].forecast, style, format, path, err)
                      : ftl_plot_forecast(j->items, j->n, style, format, path, err);
}

int cmd_plot(int argc, char **argv)
{
    cli_input in = {0};
    cli_list percents = {0};
    size_t horizon = 0, most = 64;
    bool components = false;
    const char *path = NULL;
    ftl_plot_style style = {0};
    job j = {0};
    static const cli_page page = {.name = "plot",
                                  .arguments = "FILE.csv",
                                  .min_args = 1,
                                  .max_args = 1,
                                  .about = "Forecasts and draws: observations as dots, the forecast as a line, its "
                                           "intervals as bands. Several series make "
                                           "a grid. The ending of the file's name decides between SVG, PNG and PDF.",
                                  .examples = "  foretell plot sales.csv -H 28 -o sales.svg\n"
                                              "  # trend, holidays, weekly and yearly pattern\n"
                                              "  foretell plot sales.csv -H 28 --components -o parts.png --country US\n"
                                              "  # only the last half year of the history, on a dark ground\n"
                                              "  foretell plot sales.csv -H 28 --last 180 --dark -o sales.pdf\n"};
    const cli_option options[] = {
        CLI_OPT_COUNT('H', "horizon", &horizon, "N", "steps ahead to forecast (needed unless --future is given)"),
        CLI_FUTURE_OPTION(&in),
        CLI_OPT_TEXT('o', "output", &path, "FILE", "picture to write: FILE.svg, .png or .pdf (needed)"),
        CLI_OPT_HEADING("Picture"),
        CLI_OPT_FLAG(0, "components", &components, "draw the components of the (first) forecast"),
        CLI_OPT_LIST(0, "level", &percents, "P,..", "central intervals in percent (default: 80,95)"),
        CLI_OPT_COUNT(0, "last", &style.history_rows, "N", "show only the last N observations"),
        CLI_OPT_FLAG(0, "changepoints", &style.changepoints, "mark where the trend bends"),
        CLI_OPT_FLAG(0, "dark", &style.dark, "light strokes on a dark ground"),
        CLI_OPT_TEXT(0, "title", &style.title, "TEXT", "title (default: the id of the series)"),
        CLI_OPT_REAL(0, "width", &style.width, "POINTS", "width in points of 1/72 inch"),
        CLI_OPT_REAL(0, "height", &style.height, "POINTS", "height in points"),
        CLI_OPT_REAL(0, "scale", &style.scale, "X", "PNG pixels a point (default: 2)"),
        CLI_OPT_COUNT(0, "max-series", &most, "N", "draw at most N series (default: 64)"),
        CLI_MODEL_OPTIONS(&j.model),
        CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("errors as one JSON object"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (!path) return cli_usage_error(page.name, "where to? Add -o FILE.svg (or .png, .pdf)");
    if (!cli_check_horizon(horizon, &in, page.name) || !cli_check_one_target(&in, page.name)) return CLI_USAGE;
    cli_style levels = {.percents = percents};
    cli_style_from_model(&levels, j.model.spec);
    if (!cli_style_check(&levels, page.name)) return CLI_USAGE;
    ftl_config *config = NULL;
    ftl_panel *panel = NULL, *future = NULL;
    ftl_error err = {FTL_OK, ""};
    ftl_fit_args fit = {.seed = j.model.seed};
    ftl_plot_format format = FTL_PLOT_SVG;
    ftl_status st = cli_freq(&in, &fit.freq, &err);
    if (!st) st = ftl_plot_format_of(path, &format, &err);
    if (!st) st = cli_output_check(path, &err);
    if (!st) st = cli_config(&j.model, &config, &err);
    if (!st) ftl_config_tell(config, "horizon", horizon);
    if (!st) {
        cli_keep_text(&in, config);
        const ftl_csv_options csv = cli_csv_options(&in, false);
        st = cli_read_future(&in, &future, &err);
        if (!st) st = ftl_panel_read_csv(args.v[0], &csv, &panel, &err);
    }
    if (!st && !future) st = cli_check_columns(panel, config, &err);
    if (!st) {
        unsigned can = ftl_forecaster_capabilities(ftl_config_forecaster(config));
        ftl_predict_args predict = cli_style_args(&levels, ftl_config_forecaster(config), j.model.seed);
        predict.horizon = horizon;
        predict.freq = fit.freq;
        predict.components = components;
        predict.history = can & FTL_GIVES_HISTORY;
        j.panel = panel;
        j.future = future;
        cli_describe(args.v[0], panel, 1, &in, config, future);
        st = forecast_all(&j, components ? 1 : most, config, &fit, &predict, &err);
    }
    if (!st) st = draw(&j, components, &style, format, path, &err);
    for (size_t i = 0; j.forecasts && i < j.n_models; i++)
        ftl_forecast_free(j.forecasts[i]), ftl_model_free(j.models[i]);
    free(j.models), free(j.forecasts), free(j.items);
    ftl_panel_free(panel);
    ftl_panel_free(future);
    ftl_config_free(config);
    return st ? cli_report(&err) : cli_finish();
}
