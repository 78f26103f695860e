/*
 * The command line: main.c finds the subcommand, cmd_NAME.c is one each. What they share:
 *
 *   options.c  option tables: parsing, --help, manual page, completion      report.c  notes, errors, exit codes, signals
 *   input.c    reading series, what was found in them                       output.c  buffered all-or-nothing output
 *   benchmark.c   the report of 'evaluate'
 *   pretrained.c  opening and describing pretrained models
 *
 * Only public headers of foretell are used here: what is lacking, the library's interface lacks.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <foretell/foretell.h>

#include <stdio.h>

/* ---- option tables (options.c) ---------------------------------------------------------------------------------- */

typedef enum cli_type {
    CLI_FLAG,    /* bool */
    CLI_COUNT,   /* size_t */
    CLI_SEED,    /* uint64_t */
    CLI_REAL,    /* double */
    CLI_TEXT,    /* const char *, borrowed from argv */
    CLI_TEXTS,   /* cli_texts; may be given several times */
    CLI_NAMES,   /* cli_names: texts separated by commas, one within a text being written "\," */
    CLI_LIST,    /* cli_list: numbers separated by commas */
    CLI_CHOICE,  /* int, index into value_name "long|prophet" */
    CLI_HEADING, /* begins a group in --help */
    CLI_STOP
} cli_type;

typedef struct cli_option {
    cli_type type;
    char letter; /* 0: none */
    const char *name;
    void *value;
    const char *value_name, *help;
} cli_option;

enum { CLI_MAX_LIST = 64, CLI_MAX_TEXTS = 32 };
typedef struct cli_list {
    double v[CLI_MAX_LIST];
    size_t n;
} cli_list;
typedef struct cli_texts {
    const char *v[CLI_MAX_TEXTS];
    size_t n;
} cli_texts;

typedef struct cli_names {
    cli_texts texts;
    char room[1024]; /* where they stand */
} cli_names;

#define CLI_OPT_FLAG(letter, name, value, help)                                                                        \
    {                                                                                                                  \
        CLI_FLAG, letter, name, value, NULL, help                                                                      \
    }
#define CLI_OPT_COUNT(letter, name, value, value_name, help)                                                           \
    {                                                                                                                  \
        CLI_COUNT, letter, name, value, value_name, help                                                               \
    }
#define CLI_OPT_SEED(letter, name, value, value_name, help)                                                            \
    {                                                                                                                  \
        CLI_SEED, letter, name, value, value_name, help                                                                \
    }
#define CLI_OPT_REAL(letter, name, value, value_name, help)                                                            \
    {                                                                                                                  \
        CLI_REAL, letter, name, value, value_name, help                                                                \
    }
#define CLI_OPT_TEXT(letter, name, value, value_name, help)                                                            \
    {                                                                                                                  \
        CLI_TEXT, letter, name, value, value_name, help                                                                \
    }
#define CLI_OPT_TEXTS(letter, name, value, value_name, help)                                                           \
    {                                                                                                                  \
        CLI_TEXTS, letter, name, value, value_name, help                                                               \
    }
#define CLI_OPT_NAMES(letter, name, value, value_name, help)                                                           \
    {                                                                                                                  \
        CLI_NAMES, letter, name, value, value_name, help                                                               \
    }
#define CLI_OPT_LIST(letter, name, value, value_name, help)                                                            \
    {                                                                                                                  \
        CLI_LIST, letter, name, value, value_name, help                                                                \
    }
#define CLI_OPT_CHOICE(letter, name, value, choices, help)                                                             \
    {                                                                                                                  \
        CLI_CHOICE, letter, name, value, choices, help                                                                 \
    }
#define CLI_OPT_HEADING(text)                                                                                          \
    {                                                                                                                  \
        CLI_HEADING, 0, text, NULL, NULL, NULL                                                                         \
    }
#define CLI_END                                                                                                        \
    {                                                                                                                  \
        CLI_STOP, 0, NULL, NULL, NULL, NULL                                                                            \
    }

/* What --help says around the options. */
typedef struct cli_page {
    const char *name, *arguments; /* "forecast", "FILE.csv" */
    const char *about;            /* paragraphs */
    const char *examples;         /* lines: commands, each explained by a '#' line before it; NULL: none */
    size_t min_args, max_args;
} cli_page;

/*
 * Parses argv[1..argc) by a table; words that are no options go to `args`. False if the command is over: help was shown
 * or a mistake explained, and *rc is the exit code. In the modes below it describes the command instead of parsing.
 */
bool cli_parse(int argc, char **argv, const cli_page *page, const cli_option *options, cli_texts *args, int *rc);
typedef enum cli_mode { CLI_RUN, CLI_MANUAL, CLI_COMPLETION } cli_mode;
extern cli_mode cli_parse_mode;

typedef struct cli_command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} cli_command;
extern const cli_command cli_commands[];
extern const size_t cli_n_commands;
/* What 'foretell --help' prints. */
void cli_overview(FILE *to);

int cmd_forecast(int argc, char **argv);
int cmd_fit(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_embed(int argc, char **argv);
int cmd_describe(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_models(int argc, char **argv);
/* Where models are kept: $FORETELL_MODELS, else $XDG_DATA_HOME/foretell/models, else ~/.local/share/foretell/models. */
const char *cli_store(void);
int cmd_holidays(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_bench_kernels(int argc, char **argv); /* 'bench kernels' */
int cmd_help(int argc, char **argv);

/* ---- messages and signals (report.c) ---------------------------------------------------------------------------- */

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };
extern bool cli_json; /* --json is among the arguments: errors become a JSON object on standard output */
extern bool cli_quiet, cli_verbose;

/* A remark on standard error, unless -q. */
void cli_note(const char *format, ...) FTL_PRINTF(1, 2);
/* A line on standard error whatever -q says. */
void cli_warn(const char *format, ...) FTL_PRINTF(1, 2);
/* What a fit chose and its warnings, as remarks; after ten series with some, `said` counting them, only with -v. */
void cli_note_warnings(const ftl_model *model, size_t *said);
/* Once in a run: that a forecast goes beyond what its model predicts in one pass. */
void cli_note_reach(const ftl_model *model, const ftl_forecast *forecast);
/* Says what went wrong (text or JSON) and returns the exit code that goes with it. */
int cli_report(const ftl_error *err);
int cli_exit_code(ftl_status status);
/* The message without the name of a series that has none. */
const char *cli_message(const ftl_error *err);
/* A mistake in the arguments of `command` (NULL: of foretell itself): says so and where help is; returns CLI_USAGE. */
int cli_usage_error(const char *command, const char *format, ...) FTL_PRINTF(2, 3);
/* Standard output is flushed and checked: what a command that prints by stdio returns. */
int cli_finish(void);

/* "1,234,567" in a static ring of buffers, enough for a few in one message. */
const char *cli_grouped(size_t n);
double cli_seconds(void);
void cli_print_json_text(FILE *to, const char *text);

/* Ctrl-C: until cli_signals_begin_output() the process simply ends; then cli_interrupted() turns true. */
void cli_signals_install(void);
void cli_signals_begin_output(void);
bool cli_interrupted(void);

/* The progress bar: on a terminal, after two seconds. share < 0: not known. */
typedef struct cli_progress {
    double start, drawn;
    bool visible;
} cli_progress;
void cli_progress_show(cli_progress *progress, double share, size_t n_series);
void cli_progress_bytes(cli_progress *progress, const char *file, double done, double total);
void cli_progress_clear(cli_progress *progress);

/* ---- output (output.c) ------------------------------------------------------------------------------------------ */

typedef struct cli_output {
    const char *path; /* "-": standard output */
    ftl_file *file;   /* made with the first byte */
    char *buffer;
    size_t used;
} cli_output;
/* Is there a folder to write `path` into? Asked before the work begins, so that a slip does not cost an hour of it. */
ftl_status cli_output_check(const char *path, ftl_error *err);
ftl_status cli_put(cli_output *out, const char *bytes, size_t n, ftl_error *err);
ftl_status cli_put_text(cli_output *out, const char *text, ftl_error *err);
/* Ends the output: whole on success; otherwise standard output keeps what was written, a file its old content. */
ftl_status cli_output_end(cli_output *out, bool success, ftl_error *err);

/* How forecasts are written: the options that forecast and predict share. */
typedef struct cli_style {
    cli_list percents, quantiles;
    bool components, history, paths;
    size_t samples;
    int format; /* ftl_csv_layout */
    double levels[2 * CLI_MAX_LIST + 1];
    size_t n_levels;
} cli_style;
#define CLI_STYLE_OPTIONS(s)                                                                                           \
    CLI_OPT_HEADING("Output"),                                                                                         \
        CLI_OPT_LIST(0, "level", &(s)->percents, "P,..", "central intervals in percent (default: 80,95)"),             \
        CLI_OPT_LIST(0, "quantiles", &(s)->quantiles, "Q,..",                                                          \
                     "quantiles in (0, 1) instead of intervals: 0.1,0.5,0.9"),                                         \
        CLI_OPT_FLAG(0, "components", &(s)->components, "also trend, seasonalities and other components"),             \
        CLI_OPT_FLAG(0, "history", &(s)->history, "also the rows of the history, before the future"),                  \
        CLI_OPT_COUNT(0, "samples", &(s)->samples, "N", "intervals from N simulated paths instead of exact ones"),     \
        CLI_OPT_FLAG(0, "paths", &(s)->paths, "also the simulated paths themselves (with --samples)"),                 \
        CLI_OPT_CHOICE(0, "format", &(s)->format, "long|prophet",                                                      \
                       "columns: long (ds,MODEL,MODEL-lo-80 ..) or those of Prophet's predict()")
/* Checks the options against one another and fills levels; on a mistake explains it and returns false. */
/* Where no levels were asked for: the interval_width of the model, if its options name one. */
void cli_style_from_model(cli_style *style, const char *spec);
bool cli_style_check(cli_style *style, const char *command);
/* The arguments of a prediction in that style. */
ftl_predict_args cli_style_args(const cli_style *style, const ftl_forecaster *forecaster, uint64_t seed);

/* Writes forecasts one after another, CSV or the members of a JSON object. */
typedef struct cli_writer {
    cli_output out;
    const cli_style *style;
    bool ids, json;
    char *about; /* JSON: the members before "forecasts" */
    size_t n;    /* forecasts written */
} cli_writer;
ftl_status cli_write_forecast(cli_writer *writer, const ftl_forecast *forecast, ftl_error *err);
/* Ends the output; `failure` (NULL: none) joins a JSON object that was begun. Returns the exit code. */
int cli_writer_end(cli_writer *writer, const ftl_error *failure);

/* Tables and pictures of results in a folder, made if it is not there (benchmark.c). */
ftl_status cli_benchmark_report(const ftl_results *results, const char *baseline, const char *folder, ftl_error *err);

/* ---- input (input.c) -------------------------------------------------------------------------------------------- */

typedef struct cli_input {
    const char *id_column, *time_column, *null_text, *freq_text, *future_path;
    cli_names targets;
    cli_texts ignored;
    bool keep_text; /* columns of text are of use to the model */
    ftl_freq freq;
} cli_input;
#define CLI_INPUT_OPTIONS(in)                                                                                          \
    CLI_OPT_HEADING("Input"),                                                                                          \
        CLI_OPT_TEXT(0, "freq", &(in)->freq_text, "FREQ",                                                              \
                     "step of the times, by its pandas name: D, B, W-MON, MS, 15min (default: inferred)"),             \
        CLI_OPT_TEXT(0, "id-col", &(in)->id_column, "NAME", "column that names the series (default: unique_id)"),      \
        CLI_OPT_TEXT(0, "time-col", &(in)->time_column, "NAME", "column of times (default: ds)"),                      \
        CLI_OPT_NAMES(0, "target-col", &(in)->targets, "NAME[,NAME..]",                                                \
                      "column of values (default: y); several are forecast together, by models that can"),             \
        CLI_OPT_TEXTS(0, "ignore-col", &(in)->ignored, "NAME", "a column to leave out; may be given several times"),   \
        CLI_OPT_TEXT(0, "null", &(in)->null_text, "TEXT", "a further spelling of a missing value")
#define CLI_FUTURE_OPTION(in)                                                                                          \
    CLI_OPT_TEXT(0, "future", &(in)->future_path, "FILE.csv", "future times and values of the further columns")

typedef struct cli_model {
    const char *spec;
    const char *country;
    cli_texts holidays;
    uint64_t seed;
    size_t threads;
    int on_error; /* 0 stop, 1 skip */
} cli_model;
#define CLI_MODEL_OPTIONS(m)                                                                                           \
    CLI_OPT_HEADING("Model"),                                                                                          \
        CLI_OPT_TEXT('m', "model", &(m)->spec, "NAME[:OPTION=VALUE,..]",                                               \
                     "the model and its options; 'foretell models' lists them"),                                       \
        CLI_OPT_TEXT(0, "country", &(m)->country, "CC",                                                                \
                     "public holidays of a country or subdivision: US, DE-BY; 'foretell holidays --list'"),            \
        CLI_OPT_TEXTS(0, "holidays", &(m)->holidays, "FILE.csv",                                                       \
                      "further holidays: columns ds, holiday[, lower_window, upper_window, prior_scale]"),             \
        CLI_OPT_SEED(0, "seed", &(m)->seed, "N", "seed of random numbers (default: 0)"),                               \
        CLI_OPT_COUNT(0, "threads", &(m)->threads, "N", "threads (default: one a processor)"),                         \
        CLI_OPT_CHOICE(0, "on-error", &(m)->on_error, "stop|skip", "what to do when a series fails (default: stop)")
#define CLI_COMMON_OPTIONS(json_help)                                                                                  \
    CLI_OPT_HEADING("Messages"), CLI_OPT_FLAG(0, "json", &cli_json, json_help),                                        \
        CLI_OPT_FLAG('q', "quiet", &cli_quiet, "no remarks on standard error"),                                        \
        CLI_OPT_FLAG('v', "verbose", &cli_verbose, "more remarks on standard error")

/* The CSV options that the flags ask for. */
ftl_csv_options cli_csv_options(const cli_input *in, bool future);
/* Reads --freq into in->freq; *freq is NULL when it was not given. */
ftl_status cli_freq(cli_input *in, const ftl_freq **freq, ftl_error *err);
/* Keeps columns of text where the model takes them. */
void cli_keep_text(cli_input *in, const ftl_config *config);
/* Whether one target is named, or none; on a mistake explains it and returns false. */
bool cli_check_one_target(const cli_input *in, const char *command);
/* A configuration from -m, --country and --holidays; spec NULL: the default model. */
ftl_status cli_config(const cli_model *model, ftl_config **out, ftl_error *err);
/* Puts directories in place of the names of pretrained models and adapters in a configuration. */
ftl_status cli_resolve_model(ftl_config *config, ftl_error *err);
/*
 * The pretrained model of a configuration, with its precision and adapter; its context_length and batch_size go to
 * `options`. FTL_EINVAL where it is none.
 */
ftl_status cli_open_chronos(const ftl_config *config, size_t threads, ftl_chronos_options *options, ftl_chronos **out,
                            ftl_error *err);
/* Opens the pretrained model and prints what it is; returns the exit code. */
int cli_model_info(const ftl_config *config);
/* Reads --future; *out stays NULL when it was not given. */
/* Exactly one of -H and --future must say how far to forecast; on a mistake explains it and returns false. */
bool cli_check_horizon(size_t horizon, const cli_input *in, const char *command);
ftl_status cli_read_future(const cli_input *in, ftl_panel **out, ftl_error *err);
/* What was found in a batch of series and what becomes of it, on standard error; `share` of the input has been read. */
void cli_describe(const char *path, const ftl_panel *panel, double share, const cli_input *in, const ftl_config *config,
                  const ftl_panel *future);
/* Columns that the model would need in the future: refused with a remedy when there is no --future. */
ftl_status cli_check_columns(const ftl_panel *panel, const ftl_config *config, ftl_error *err);

/* Series in batches: the next one is read by another thread while one is worked on. */
typedef struct cli_stream cli_stream;
ftl_status cli_stream_open(const char *path, const cli_input *in, cli_stream **out, ftl_error *err);
/* The next batch, owned by the stream until the next call; NULL at the end. FTL_ECANCELLED after Ctrl-C. */
ftl_status cli_stream_next(cli_stream *stream, const ftl_panel **out, ftl_error *err);
double cli_stream_progress(const cli_stream *stream);
void cli_stream_close(cli_stream *stream);

#endif
