#include "cli.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 18, MAX_THREADS = 64, WINDOW_PER_THREAD = 8 };

/* ---- models, one JSON value after another ----------------------------------------------------------------------- */

typedef struct source {
    ftl_input *input;
    char *text; /* text[start, end) is not yet handed out */
    size_t start, end, capacity;
    bool at_end;
} source;

static ftl_status out_of_memory(ftl_error *err)
{
    *err = (ftl_error){FTL_ENOMEM, "out of memory"};
    return FTL_ENOMEM;
}

/* Reads a further piece behind `end`. */
static ftl_status read_on(source *s, ftl_error *err)
{
    size_t got = 0;
    if (s->start) memmove(s->text, s->text + s->start, s->end - s->start);
    s->end -= s->start;
    s->start = 0;
    if (s->capacity - s->end < PIECE) {
        char *more = realloc(s->text, 2 * s->capacity + PIECE);
        if (!more) return out_of_memory(err);
        s->text = more;
        s->capacity = 2 * s->capacity + PIECE;
    }
    ftl_status st = ftl_input_read(s->input, s->text + s->end, PIECE, &got, err);
    s->end += got;
    s->at_end = !st && got < PIECE;
    return st;
}

/*
 * Length of the JSON value at the start of the text: an object up to its last brace, or a string. Only brackets and
 * quotes are looked at; the parser finds what is wrong within. A value that the file tears off ends with the file.
 */
static ftl_status value_length(source *s, size_t *length, ftl_error *err)
{
    size_t depth = 0, i = 0;
    bool quoted = false, escaped = false;
    for (;; i++) {
        while (s->start + i == s->end) {
            ftl_status st = s->at_end ? FTL_OK : read_on(s, err);
            if (st || (s->at_end && s->start + i == s->end)) {
                *length = i;
                return st;
            }
        }
        char c = s->text[s->start + i];
        if (quoted) {
            if (escaped)
                escaped = false;
            else if (c == '\\')
                escaped = true;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        } else if (!depth) { /* no JSON value: the parser shall say so of the rest */
            *length = s->end - s->start;
            s->at_end = true;
            return FTL_OK;
        } else {
            continue;
        }
        if (!depth && !quoted && !escaped && (c == '}' || c == ']' || c == '"')) {
            i++;
            break;
        }
    }
    *length = i;
    return FTL_OK;
}

/* The next value as a copy of its own; NULL at the end. */
static ftl_status next_value(source *s, char **out, size_t *n, ftl_error *err)
{
    ftl_status st = FTL_OK;
    *out = NULL;
    for (;;) {
        while (s->start < s->end && isspace((unsigned char)s->text[s->start])) s->start++;
        if (s->start < s->end) break;
        if (s->at_end) return FTL_OK;
        if ((st = read_on(s, err))) return st;
    }
    if ((st = value_length(s, n, err))) return st;
    *out = malloc(*n + 1);
    if (!*out) return out_of_memory(err);
    memcpy(*out, s->text + s->start, *n);
    s->start += *n;
    return FTL_OK;
}

/* ---- predictions on several threads, written in order ----------------------------------------------------------- */

typedef struct item {
    char *text;
    size_t n, number; /* of the model in the file, from 1 */
    ftl_model *model;
    ftl_forecast *forecast;
    ftl_error error;
} item;

typedef struct job {
    cli_writer writer;
    ftl_predict_args predict;
    const ftl_panel *future;
    const char *path;
    uint64_t seed;
    size_t threads;
    bool alone;       /* the file holds one model */
    ftl_model *first; /* of the file: others share its weights, if it has any */
    item *items;
    size_t n_items;
    atomic_size_t next;
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

static void load_item(const job *j, item *it)
{
    char name[300];
    if (j->alone)
        snprintf(name, sizeof name, "%s", j->path);
    else
        snprintf(name, sizeof name, "%.250s: model %zu", j->path, it->number);
    ftl_model_load_like(j->first, it->text, it->n, name, &it->model, &it->error);
}

/* Loads the item, unless it is, and asks for what is to be predicted; an error stays with the item. */
static void prepare_item(const job *j, item *it, ftl_predict_args *args)
{
    *args = j->predict;
    if (!it->model) load_item(j, it);
    if (it->error.code || find_future(j, it->model, &args->future, &it->error)) return;
    bool gives = ftl_forecaster_capabilities(ftl_model_forecaster(it->model)) & FTL_GIVES_COMPONENTS;
    args->components = args->components || (j->writer.style->format == FTL_LAYOUT_PROPHET && gives);
}

static void predict_item(const job *j, item *it)
{
    ftl_predict_args args;
    prepare_item(j, it, &args);
    if (!it->error.code) ftl_model_predict(it->model, &args, &it->forecast, &it->error);
}

/* The whole window in one call, for models that use the threads by themselves. */
static ftl_status predict_together(job *j, ftl_error *err)
{
    enum { MOST = MAX_THREADS * WINDOW_PER_THREAD };
    ftl_predict_args args[MOST];
    ftl_model *models[MOST];
    ftl_forecast *forecasts[MOST];
    ftl_error *errors = calloc(j->n_items, sizeof *errors);
    if (!errors) return out_of_memory(err);
    for (size_t i = 0; i < j->n_items; i++) {
        prepare_item(j, &j->items[i], &args[i]);
        models[i] = j->items[i].model;
        errors[i] = j->items[i].error;
    }
    ftl_status st = ftl_models_predict(models, args, j->n_items, forecasts, errors, err);
    for (size_t i = 0; i < j->n_items; i++) {
        j->items[i].forecast = forecasts[i];
        j->items[i].error = errors[i];
    }
    free(errors);
    return st;
}

static void *work(void *argument)
{
    job *j = argument;
    for (;;) {
        size_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->n_items) return NULL;
        predict_item(j, &j->items[i]);
    }
}

static ftl_status predict_window(job *j, ftl_error *err)
{
    pthread_t threads[MAX_THREADS];
    size_t started = 0;
    j->next = 0;
    if (!j->first) {
        load_item(j, &j->items[0]);
        j->first = j->items[0].model;
    }
    if (j->first && ftl_forecaster_batches(ftl_model_forecaster(j->first))) return predict_together(j, err);
    while (started + 1 < j->threads && started + 1 < j->n_items && !pthread_create(&threads[started], NULL, work, j))
        started++;
    work(j);
    for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    return FTL_OK;
}

static void clear_window(job *j)
{
    for (size_t i = 0; i < j->n_items; i++) {
        free(j->items[i].text);
        ftl_forecast_free(j->items[i].forecast);
        if (j->items[i].model != j->first) ftl_model_free(j->items[i].model);
    }
    j->n_items = 0;
}

static ftl_status write_window(job *j, ftl_error *err)
{
    for (size_t i = 0; i < j->n_items; i++) {
        const item *it = &j->items[i];
        if (it->error.code) {
            *err = it->error;
            return err->code;
        }
        if (!j->writer.n) j->writer.ids = !j->alone || *ftl_model_id(it->model);
        cli_note_reach(it->model, it->forecast);
        ftl_status st = cli_write_forecast(&j->writer, it->forecast, err);
        if (st) return st;
    }
    return FTL_OK;
}

static ftl_status predict_all(job *j, source *s, ftl_error *err)
{
    size_t window = j->threads * WINDOW_PER_THREAD, number = 0;
    ftl_status st = FTL_OK;
    j->items = calloc(window, sizeof *j->items);
    if (!j->items) return out_of_memory(err);
    for (bool more = true; more && !st;) {
        while (j->n_items < window && more && !st) {
            item *it = &j->items[j->n_items];
            *it = (item){.number = ++number};
            st = next_value(s, &it->text, &it->n, err);
            more = it->text != NULL;
            j->n_items += more;
        }
        if (!st && number == 1) { /* an empty file holds no model: let the reader say so */
            j->items[0] = (item){.number = 1};
            j->n_items = 1;
        }
        j->alone = !more && number <= 2;
        if (!st) st = predict_window(j, err);
        if (!st) st = write_window(j, err);
        clear_window(j);
        if (!st && cli_interrupted()) st = (*err = (ftl_error){FTL_ECANCELLED, "interrupted"}).code;
    }
    free(j->items);
    ftl_model_free(j->first);
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
        CLI_OPT_COUNT(0, "threads", &j.threads, "N", "threads (default: one a processor)"),
        CLI_OPT_SEED(0, "seed", &j.seed, "N", "seed of random numbers (default: 0)"),
        CLI_STYLE_OPTIONS(&style),
        CLI_INPUT_OPTIONS(&in),
        CLI_COMMON_OPTIONS("one JSON object instead of CSV, for an error too"),
        CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (!cli_style_check(&style, page.name)) return CLI_USAGE;
    if (!cli_check_horizon(horizon, &in, page.name)) return CLI_USAGE;
    in.keep_text = true; /* for those of the models that take it */
    ftl_panel *future = NULL;
    ftl_error err = {FTL_OK, ""};
    char about[160];
    source from = {0};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (!j.threads) j.threads = processors > 0 ? (size_t)processors : 1;
    if (j.threads > MAX_THREADS) j.threads = MAX_THREADS;
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
    if (!st) st = cli_output_check(path, &err);
    if (!st) st = cli_read_future(&in, &future, &err);
    if (!st) st = ftl_input_open(j.path, &from.input, &err);
    j.future = future;
    if (!st) st = predict_all(&j, &from, &err);
    rc = cli_writer_end(&j.writer, st ? &err : NULL);
    ftl_input_close(from.input);
    free(from.text);
    ftl_panel_free(future);
    return rc;
}
