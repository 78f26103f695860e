/* Reading series, and saying what was found in them. */
#include "cli.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH_ROWS = 200000 };
enum { SHEET_1990 = 32874, SHEET_2060 = 58441 }; /* days of spreadsheets: 1990-01-01 and 2060-01-01 since 1899-12-30 */

ftl_csv_options cli_csv_options(const cli_input *in, bool future)
{
    return (ftl_csv_options){.id_column = in->id_column,
                             .time_column = in->time_column,
                             .target_column = in->targets.texts.n ? in->targets.texts.v[0] : NULL,
                             .more_targets = in->targets.texts.v + 1,
                             .n_more_targets = in->targets.texts.n ? in->targets.texts.n - 1 : 0,
                             .keep_text = in->keep_text,
                             .null_text = in->null_text,
                             .ignore_columns = in->ignored.v,
                             .n_ignore = in->ignored.n,
                             .no_target = future};
}

void cli_keep_text(cli_input *in, const ftl_config *config)
{
    unsigned can = 0; /* a model that cannot be opened will say why when it is */
    in->keep_text = !ftl_config_capabilities(config, &can, NULL) && can & FTL_TAKES_CATEGORIES;
}

bool cli_check_one_target(const cli_input *in, const char *command)
{
    if (in->targets.texts.n <= 1) return true;
    return cli_usage_error(command, "--target-col names %zu columns, but this command works on one target at a time",
                           in->targets.texts.n),
           false;
}

ftl_status cli_freq(cli_input *in, const ftl_freq **freq, ftl_error *err)
{
    *freq = NULL;
    if (!in->freq_text) return FTL_OK;
    ftl_status st = ftl_freq_parse(in->freq_text, &in->freq, err);
    if (!st) *freq = &in->freq;
    return st;
}

ftl_status cli_config(const cli_model *model, ftl_config **out, ftl_error *err)
{
    const char *spec = model->spec ? model->spec : ftl_forecaster_name(ftl_forecaster_at(0));
    ftl_status st = ftl_config_new(spec, out, err);
    if (st) return st;
    const char *name = ftl_forecaster_name(ftl_config_forecaster(*out));
    if ((model->country || model->holidays.n) && strcmp(name, "prophet") != 0) {
        snprintf(err->message, sizeof err->message, "model %s takes no holidays; leave out --country and --holidays",
                 name);
        st = err->code = FTL_EINVAL;
    }
    if (!st) st = cli_resolve_model(*out, err);
    if (!st && model->country) st = ftl_config_set(*out, "country_holidays", model->country, err);
    for (size_t i = 0; i < model->holidays.n && !st; i++)
        st = ftl_prophet_read_holidays(*out, model->holidays.v[i], err);
    if (st) {
        ftl_config_free(*out);
        *out = NULL;
    }
    return st;
}

bool cli_check_horizon(size_t horizon, const cli_input *in, const char *command)
{
    if (!horizon && !in->future_path)
        return cli_usage_error(command, "how many steps ahead? Add -H N, for instance -H 28"), false;
    if (horizon && in->future_path)
        return cli_usage_error(command, "--future says which rows to forecast; leave out -H"), false;
    return true;
}

ftl_status cli_read_future(const cli_input *in, ftl_panel **out, ftl_error *err)
{
    *out = NULL;
    if (!in->future_path) return FTL_OK;
    const ftl_csv_options options = cli_csv_options(in, true);
    return ftl_panel_read_csv(in->future_path, &options, out, err);
}

/* ---- what was found --------------------------------------------------------------------------------------------- */

/* Columns that are data of the model itself, not regressors. */
static bool is_limit(const char *name)
{
    return !strcmp(name, "cap") || !strcmp(name, "floor");
}

/* What becomes of further columns. The option "regressors" may say no; a model that cannot be opened will say why. */
static bool uses_columns(const ftl_config *config, bool *need_future)
{
    unsigned can = 0;
    if (ftl_config_capabilities(config, &can, NULL) || !(can & FTL_TAKES_REGRESSORS)) return false;
    *need_future = !(can & FTL_TAKES_UNKNOWN_FUTURE);
    char *text = NULL;
    bool uses = !ftl_config_text(config, &text, NULL) && !strstr(text, "regressors=false");
    ftl_text_free(text);
    return uses;
}

/* The further columns: numbers, then text. */
static size_t count_columns(const ftl_series *s)
{
    return ftl_series_n_columns(s) + ftl_series_n_text(s);
}

static const char *column_name(const ftl_series *s, size_t i)
{
    size_t n = ftl_series_n_columns(s);
    return i < n ? ftl_series_column_name(s, i) : ftl_series_text_name(s, i - n);
}

static bool has_column(const ftl_series *s, const char *name)
{
    for (size_t i = 0; i < count_columns(s); i++)
        if (!strcmp(column_name(s, i), name)) return true;
    return false;
}

/* "price, promo": the regressors of a series; only those that the other one has or, as wanted, has not (NULL: all). */
static void list_regressors(const ftl_series *s, const ftl_series *other, bool wanted, char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count_columns(s) && used < room; i++) {
        const char *name = column_name(s, i);
        if (!is_limit(name) && (!other || has_column(other, name) == wanted))
            used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "", name);
    }
}

/* The name of the frequency of all series ("D"), "mixed", or "irregular". */
static void name_frequency(const ftl_panel *panel, const cli_input *in, char *out)
{
    enum { LOOK_AT = 100 };
    out[0] = '\0';
    if (in->freq_text) {
        ftl_freq_format(&in->freq, out);
        return;
    }
    for (size_t i = 0; i < ftl_panel_n_series(panel) && i < LOOK_AT; i++) {
        const ftl_series *s = ftl_panel_series(panel, i);
        char name[32] = "irregular";
        ftl_freq freq;
        if (ftl_series_n_obs(s) < 2) continue;
        if (!ftl_freq_infer(ftl_series_times(s), ftl_series_n_obs(s), ftl_series_time_kind(s), &freq, NULL))
            ftl_freq_format(&freq, name);
        if (!out[0])
            strcpy(out, name);
        else if (strcmp(out, name) != 0)
            strcpy(out, "mixed");
    }
    if (!out[0]) strcpy(out, "unknown");
}

static void note_text(const ftl_series *s)
{
    char names[300] = "";
    size_t used = 0;
    for (size_t i = 0; i < ftl_series_n_text(s) && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", ftl_series_text_name(s, i));
    if (used) cli_note("columns of text, taken as categories: %s", names);
}

/* What becomes of the further columns of the data and of --future. */
static void note_columns(const ftl_series *s, const ftl_series *future, const ftl_config *config)
{
    char columns[300];
    bool need_future = true, uses = uses_columns(config, &need_future);
    list_regressors(s, NULL, true, columns, sizeof columns);
    if (columns[0] && !uses)
        cli_note("columns the model does not use: %s", columns);
    else if (columns[0] && need_future)
        cli_note("columns used as regressors: %s", columns);
    if (!uses) return;
    note_text(s);
    if (!need_future && future) {
        list_regressors(s, future, true, columns, sizeof columns);
        if (columns[0]) cli_note("columns known ahead: %s", columns);
        list_regressors(s, future, false, columns, sizeof columns);
        if (columns[0]) cli_note("columns of which the past is used, as --future has them not: %s", columns);
    } else if (!need_future && columns[0]) {
        cli_note("columns of which the past is used: %s (--future gives what is known ahead)", columns);
    }
    if (!future) return;
    list_regressors(future, s, false, columns, sizeof columns);
    if (columns[0]) cli_note("columns of --future that the data do not have, so they are left out: %s", columns);
}

static bool has_limits(const ftl_series *s, char *out)
{
    bool cap = has_column(s, "cap"), lower = has_column(s, "floor");
    sprintf(out, "%s%s%s", cap ? "cap" : "", cap && lower ? ", " : "", lower ? "floor" : "");
    return cap || lower;
}

void cli_describe(const char *path, const ftl_panel *panel, double share, const cli_input *in, const ftl_config *config,
                  const ftl_panel *future)
{
    if (cli_quiet || !ftl_panel_n_series(panel)) return;
    size_t rows = 0, n = ftl_panel_n_series(panel);
    ftl_time first = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        const ftl_series *s = ftl_panel_series(panel, i);
        const ftl_time *ds = ftl_series_times(s);
        size_t length = ftl_series_n_obs(s);
        if (!length) continue;
        if (!rows || ds[0] < first) first = ds[0];
        if (!rows || ds[length - 1] > last) last = ds[length - 1];
        rows += length;
    }
    /* Where the size of the input is not known, a batch that is not full was the only one. */
    bool all = share >= 1 || (share < 0 && rows < BATCH_ROWS / 2);
    const ftl_series *s = ftl_panel_series(panel, 0);
    char from[FTL_TIME_TEXT_MAX], to[FTL_TIME_TEXT_MAX], freq[32], limits[16];
    ftl_time_format(first, ftl_series_time_kind(s), from);
    ftl_time_format(last, ftl_series_time_kind(s), to);
    name_frequency(panel, in, freq);
    cli_note("%s: %s%s series, %s row%s, %s to %s, frequency %s%s", strcmp(path, "-") ? path : "standard input",
             all ? "" : "first ", cli_grouped(n), cli_grouped(rows), rows == 1 ? "" : "s", from, to, freq,
             in->freq_text || !strcmp(freq, "unknown") ? "" : " (inferred)");
    if (ftl_series_time_kind(s) == FTL_TIME_INDEX && first >= SHEET_1990 && last < SHEET_2060)
        cli_note("the times are whole numbers, not dates; if a spreadsheet's days are meant, save them as YYYY-MM-DD");
    note_columns(s, future && ftl_panel_n_series(future) ? ftl_panel_series(future, 0) : NULL, config);
    if (!future && has_limits(s, limits)) cli_note("held at their last values: %s", limits);
    if (ftl_panel_ignored(panel)[0]) cli_note("columns left out, not being numbers: %s", ftl_panel_ignored(panel));
}

ftl_status cli_check_columns(const ftl_panel *panel, const ftl_config *config, ftl_error *err)
{
    bool need_future = true;
    if (!ftl_panel_n_series(panel) || !uses_columns(config, &need_future) || !need_future) return FTL_OK;
    char columns[200];
    list_regressors(ftl_panel_series(panel, 0), NULL, true, columns, sizeof columns);
    if (!columns[0]) return FTL_OK;
    snprintf(
        err->message, sizeof err->message,
        "the file has further columns (%s), which the model uses as regressors, so it needs their future: give it with "
        "--future FILE.csv, or leave out one with --ignore-col or all with -m %s:regressors=false",
        columns, ftl_forecaster_name(ftl_config_forecaster(config)));
    return err->code = FTL_EDATA;
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

struct cli_stream {
    ftl_panel_reader *reader;
    ftl_panel *current, *ahead; /* ahead: what the reading thread got */
    pthread_t thread;
    bool reading, begun;
    ftl_status status;
    ftl_error error;
};

ftl_status cli_stream_open(const char *path, const cli_input *in, cli_stream **out, ftl_error *err)
{
    *out = NULL;
    const ftl_csv_options options = cli_csv_options(in, false);
    cli_stream *s = calloc(1, sizeof *s);
    if (!s) {
        *err = (ftl_error){FTL_ENOMEM, "out of memory"};
        return FTL_ENOMEM;
    }
    ftl_status st = ftl_panel_reader_open(path, &options, &s->reader, err);
    if (st)
        free(s);
    else
        *out = s;
    return st;
}

static void *read_batch(void *argument)
{
    cli_stream *s = argument;
    s->status = ftl_panel_reader_next(s->reader, BATCH_ROWS, &s->ahead, &s->error);
    return NULL;
}

/* Waits for the reading thread, but not beyond Ctrl-C. */
static bool wait_for_batch(cli_stream *s)
{
    while (s->reading) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        if (!pthread_timedjoin_np(s->thread, NULL, &until))
            s->reading = false;
        else if (cli_interrupted())
            return false;
    }
    return true;
}

ftl_status cli_stream_next(cli_stream *s, const ftl_panel **out, ftl_error *err)
{
    *out = NULL;
    ftl_panel_free(s->current);
    s->current = NULL;
    if (!s->begun) read_batch(s); /* nothing to do meanwhile */
    s->begun = true;
    if (!wait_for_batch(s)) {
        *err = (ftl_error){FTL_ECANCELLED, "interrupted"};
        return FTL_ECANCELLED;
    }
    s->current = s->ahead;
    s->ahead = NULL;
    if (s->status) {
        *err = s->error;
        return s->status;
    }
    *out = s->current;
    if (!s->current) return FTL_OK;
    bool at_end = ftl_panel_reader_progress(s->reader) >= 1; /* then a thread would cost more than it saves */
    if (at_end || pthread_create(&s->thread, NULL, read_batch, s))
        read_batch(s);
    else
        s->reading = true;
    return FTL_OK;
}

double cli_stream_progress(const cli_stream *s)
{
    return ftl_panel_reader_progress(s->reader);
}

void cli_stream_close(cli_stream *s)
{
    if (!s) return;
    if (s->reading && !wait_for_batch(s)) { /* interrupted in the midst of reading: the process is about to end */
        pthread_detach(s->thread);
        return;
    }
    ftl_panel_free(s->current);
    ftl_panel_free(s->ahead);
    ftl_panel_reader_close(s->reader);
    free(s);
}
