/* Buffered all-or-nothing output, and forecasts in the style that was asked for. */
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BUFFER_SIZE = 1 << 18 };

static ftl_status flush(cli_output *out, ftl_error *err)
{
    ftl_status st = FTL_OK;
    if (!out->file) {
        cli_signals_begin_output();
        st = ftl_file_create(out->path, &out->file, err);
    }
    if (!st && out->used) st = ftl_file_write(out->file, out->buffer, out->used, err);
    out->used = 0;
    return st;
}

ftl_status cli_output_check(const char *path, ftl_error *err)
{
    struct stat info;
    char folder[PATH_MAX] = "/";
    const char *slash = strrchr(path, '/'), *why = NULL;
    if (slash > path) snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    if (!stat(path, &info) && S_ISDIR(info.st_mode))
        why = "is a directory";
    else if (slash && stat(folder, &info) && errno == ENOENT)
        why = "there is no such folder; create it first";
    if (!why) return FTL_OK;
    snprintf(err->message, sizeof err->message, "%s: cannot write: %s", path, why);
    return err->code = FTL_EIO;
}

ftl_status cli_put(cli_output *out, const char *bytes, size_t n, ftl_error *err)
{
    if (!out->buffer && !(out->buffer = malloc(BUFFER_SIZE))) {
        *err = (ftl_error){FTL_ENOMEM, "out of memory"};
        return FTL_ENOMEM;
    }
    while (n) {
        size_t part = BUFFER_SIZE - out->used < n ? BUFFER_SIZE - out->used : n;
        memcpy(out->buffer + out->used, bytes, part);
        out->used += part;
        bytes += part;
        n -= part;
        ftl_status st = out->used == BUFFER_SIZE ? flush(out, err) : FTL_OK;
        if (st) return st;
    }
    return FTL_OK;
}

ftl_status cli_put_text(cli_output *out, const char *text, ftl_error *err)
{
    return cli_put(out, text, strlen(text), err);
}

ftl_status cli_output_end(cli_output *out, bool success, ftl_error *err)
{
    ftl_status st = FTL_OK;
    bool to_stdout = !strcmp(out->path, "-");
    if (success || (to_stdout && out->used)) st = flush(out, err);
    if (!st && (success || to_stdout) && out->file)
        st = ftl_file_commit(out->file, err);
    else
        ftl_file_discard(out->file);
    out->file = NULL;
    free(out->buffer);
    out->buffer = NULL;
    return st;
}

/* ---- style ------------------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort_distinct(double *v, size_t *n)
{
    size_t kept = 0;
    qsort(v, *n, sizeof *v, ascending);
    for (size_t i = 0; i < *n; i++)
        if (!kept || v[i] > v[kept - 1]) v[kept++] = v[i];
    *n = kept;
}

static bool all_between(const cli_list *list, double low, double high)
{
    for (size_t i = 0; i < list->n; i++)
        if (!(list->v[i] > low && list->v[i] < high)) return false;
    return true;
}

void cli_style_from_model(cli_style *s, const char *spec)
{
    const char *at = spec ? strstr(spec, "interval_width=") : NULL;
    double width = at ? strtod(at + sizeof "interval_width=" - 1, NULL) : 0;
    if (s->percents.n || s->quantiles.n || !(width > 0 && width < 1)) return;
    s->percents = (cli_list){{nearbyint(width * 1e8) / 1e6}, 1}; /* 0.57 is 57 %, not 56.99999999999999 */
}

bool cli_style_check(cli_style *s, const char *command)
{
    if (s->percents.n && s->quantiles.n)
        return cli_usage_error(command, "give --level or --quantiles, not both"), false;
    if (!all_between(&s->percents, 0, 100))
        return cli_usage_error(command, "--level takes percents between 0 and 100, such as 80,95"), false;
    if (!all_between(&s->quantiles, 0, 1))
        return cli_usage_error(command, "--quantiles takes levels between 0 and 1, such as 0.1,0.5,0.9"), false;
    if (s->quantiles.n && s->format == FTL_LAYOUT_PROPHET)
        return cli_usage_error(command, "--quantiles has no columns in --format prophet; give --level"), false;
    if (s->paths && !s->samples)
        return cli_usage_error(command, "--paths needs the number of paths: --samples N"), false;
    if (s->percents.n && all_between(&s->percents, 0, 1))
        cli_note("--level is in percent: %g is %g %%; for %g %% write --level %g", s->percents.v[0], s->percents.v[0],
                 100 * s->percents.v[0], 100 * s->percents.v[0]);
    if (s->quantiles.n) {
        memcpy(s->levels, s->quantiles.v, s->quantiles.n * sizeof(double));
        s->n_levels = s->quantiles.n;
    } else {
        if (!s->percents.n)
            s->percents = s->format == FTL_LAYOUT_PROPHET ? (cli_list){{80}, 1} : (cli_list){{80, 95}, 2};
        sort_distinct(s->percents.v, &s->percents.n);
        for (size_t i = 0; i < s->percents.n; i++) {
            s->levels[s->n_levels++] = (100 - s->percents.v[i]) / 200;
            s->levels[s->n_levels++] = (100 + s->percents.v[i]) / 200;
        }
        if (cli_json) s->levels[s->n_levels++] = 0.5;
    }
    sort_distinct(s->levels, &s->n_levels);
    return true;
}

ftl_predict_args cli_style_args(const cli_style *s, const ftl_forecaster *forecaster, uint64_t seed)
{
    ftl_predict_args a = FTL_PREDICT_DEFAULTS;
    bool gives_components = ftl_forecaster_capabilities(forecaster) & FTL_GIVES_COMPONENTS;
    a.levels = s->levels;
    a.n_levels = s->n_levels;
    a.components = s->components || (s->format == FTL_LAYOUT_PROPHET && gives_components);
    a.history = s->history;
    a.n_samples = s->samples;
    a.sampled_quantiles = s->samples > 0;
    a.seed = seed;
    return a;
}

/* ---- forecasts -------------------------------------------------------------------------------------------------- */

static ftl_status write_target(cli_writer *w, const ftl_forecast *fc, ftl_error *err)
{
    char *text = NULL;
    size_t n = 0;
    ftl_status st = FTL_OK;
    if (w->json) {
        st = ftl_forecast_json(fc, &text, err);
        if (!st && !w->n) st = cli_put_text(&w->out, w->about, err);
        if (!st) st = cli_put_text(&w->out, w->n ? ",\n" : ",\"forecasts\":[\n", err);
        n = text ? strlen(text) : 0;
    } else {
        const cli_style *s = w->style;
        ftl_csv_style style = {(ftl_csv_layout)s->format, w->ids,        s->percents.v, s->percents.n,
                               s->quantiles.n > 0,        s->components, s->paths};
        st = ftl_forecast_csv(fc, &style, w->n == 0, &text, &n, err);
    }
    if (!st) st = cli_put(&w->out, text, n, err);
    if (!st) w->n++;
    ftl_text_free(text);
    return st;
}

ftl_status cli_write_forecast(cli_writer *w, const ftl_forecast *fc, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < ftl_forecast_n_targets(fc) && !st; i++)
        st = write_target(w, ftl_forecast_target(fc, i), err);
    return st;
}

int cli_writer_end(cli_writer *w, const ftl_error *failure)
{
    ftl_error err = {FTL_OK, ""};
    int rc = CLI_DONE;
    bool to_stdout = !strcmp(w->out.path, "-");
    if (failure && w->json && w->n && to_stdout) { /* the object has begun: the error joins it */
        rc = cli_exit_code(failure->code);
        cli_put_text(&w->out, "\n],\"error\":", &err);
        fflush(stdout);
        cli_output_end(&w->out, true, &err);
        char exit_text[32];
        printf("{\"code\":");
        cli_print_json_text(stdout, ftl_status_name(failure->code));
        snprintf(exit_text, sizeof exit_text, ",\"exit\":%d", rc);
        printf("%s,\"message\":", exit_text);
        cli_print_json_text(stdout, cli_message(failure));
        printf("}}\n");
        fflush(stdout);
        return rc;
    }
    if (failure) {
        cli_output_end(&w->out, false, &err);
        return cli_report(failure);
    }
    ftl_status st = FTL_OK;
    if (w->json && !w->n) st = cli_put_text(&w->out, w->about, &err);
    if (!st && w->json) st = cli_put_text(&w->out, w->n ? "\n]}\n" : ",\"forecasts\":[]}\n", &err);
    if (st) {
        ftl_error ignored;
        cli_output_end(&w->out, false, &ignored);
    } else {
        st = cli_output_end(&w->out, true, &err);
    }
    return st ? cli_report(&err) : CLI_DONE;
}
