/* Notes, errors, exit codes, signals, the progress bar. */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool cli_json, cli_quiet, cli_verbose;

static void say(const char *format, va_list args)
{
    fputs("foretell: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void cli_note(const char *format, ...)
{
    if (cli_quiet) return;
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void cli_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void cli_note_warnings(const ftl_model *model, size_t *said)
{
    enum { SAY_AT_MOST = 10 };
    const char *id = ftl_model_id(model), *text;
    const char *remark = ftl_model_remark(model);
    if ((!remark && !ftl_model_n_warnings(model)) || (++*said > SAY_AT_MOST && !cli_verbose)) return;
    if (remark) cli_note(*id ? "series '%s': %s" : "%s%s", id, remark);
    for (size_t i = 0; (text = ftl_model_warning(model, i)); i++)
        cli_note(*id ? "warning: series '%s': %s" : "warning: %s%s", id, text);
    if (*said == SAY_AT_MOST && !cli_verbose) cli_note("further %s are shown with -v", remark ? "choices" : "warnings");
}

void cli_note_reach(const ftl_model *model, const ftl_forecast *forecast)
{
    static bool said;
    const size_t reach = ftl_model_reach(model),
                 steps = ftl_forecast_n_rows(forecast) - ftl_forecast_n_history(forecast);
    if (said || !reach || steps <= reach) return;
    said = true;
    cli_note(
        "warning: the model predicts %s steps in one pass; the %s beyond them build on its own predictions, are less "
        "sure, and their intervals tend to be too narrow",
        cli_grouped(reach), cli_grouped(steps - reach));
}

int cli_exit_code(ftl_status status)
{
    switch (status) {
    case FTL_OK: return CLI_DONE;
    case FTL_EINVAL: return CLI_USAGE;
    case FTL_EDATA: return 3;
    case FTL_EIO:
    case FTL_ENOMEM: return 4;
    case FTL_ENUMERIC: return 5;
    case FTL_ECANCELLED: return CLI_INTERRUPTED;
    case FTL_EINTERNAL: break;
    }
    return CLI_FAILED;
}

/* A JSON string. Bytes that are not UTF-8 are the file's business: they pass through. */
void cli_print_json_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(to, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(to, "\\u%04x", *p);
        else
            fputc(*p, to);
    }
    fputc('"', to);
}

static void report_json(const char *code, int rc, const char *message)
{
    printf("{\"error\":{\"code\":");
    cli_print_json_text(stdout, code);
    printf(",\"exit\":%d,\"message\":", rc);
    cli_print_json_text(stdout, message);
    printf("}}\n");
    fflush(stdout);
}

const char *cli_message(const ftl_error *err)
{
    static const char nameless[] = "series '': "; /* a file of one series: there is nothing to tell apart */
    size_t n = sizeof nameless - 1;
    return err->message + (strncmp(err->message, nameless, n) ? 0 : n);
}

int cli_report(const ftl_error *err)
{
    int rc = cli_exit_code(err->code);
    if (cli_json)
        report_json(ftl_status_name(err->code), rc, cli_message(err));
    else
        cli_warn("%s", cli_message(err));
    return rc;
}

int cli_usage_error(const char *command, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (cli_json)
        report_json("usage", CLI_USAGE, message);
    else if (command)
        fprintf(stderr, "foretell %s: %s\n'foretell %s --help' shows what can be given.\n", command, message, command);
    else
        fprintf(stderr, "foretell: %s\n'foretell --help' shows what there is.\n", message);
    return CLI_USAGE;
}

int cli_finish(void)
{
    if (!fflush(stdout) && !ferror(stdout)) return CLI_DONE;
    cli_warn("standard output: %s", strerror(errno));
    return cli_exit_code(FTL_EIO);
}

const char *cli_grouped(size_t n)
{
    static char ring[8][32];
    static unsigned turn;
    char digits[24], *out = ring[turn++ % 8], *to = out;
    int length = snprintf(digits, sizeof digits, "%zu", n);
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

/* Atomic, and free of locks, because a signal may come to any thread. */
static atomic_bool interrupted, output_begun;

static void on_interrupt(int number)
{
    /* Nothing written yet: nothing to tidy up, end at once. A second Ctrl-C ends at once, too. */
    if (!output_begun || interrupted) _exit(128 + number);
    interrupted = true;
}

void cli_signals_install(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_DFL); /* 'foretell ... | head' ends quietly, whatever the caller set */
}

void cli_signals_begin_output(void)
{
    output_begun = true;
}

bool cli_interrupted(void)
{
    return interrupted;
}

/* ---- progress --------------------------------------------------------------------------------------------------- */

/* The bar, and whether to say more behind it: on a terminal, after two seconds, ten times a second at most. */
static bool draw_bar(cli_progress *p, double share, double now)
{
    static const char full[] = "##############################";
    if (cli_quiet || now - p->start < 2 || now - p->drawn < 0.1 || !isatty(STDERR_FILENO)) return false;
    if (share >= 0 && share <= 1)
        fprintf(stderr, "\r[%-30.*s] %3.0f %%  ", (int)(30 * share), full, 100 * share);
    else
        fputc('\r', stderr);
    p->drawn = now;
    p->visible = true;
    return true;
}

void cli_progress_show(cli_progress *p, double share, size_t n_series)
{
    double now = cli_seconds();
    if (!draw_bar(p, share, now)) return;
    double rate = (double)n_series / (now - p->start);
    fprintf(stderr, "%s series, %s/s \033[K", cli_grouped(n_series), cli_grouped((size_t)rate));
    fflush(stderr);
}

void cli_progress_bytes(cli_progress *p, const char *file, double done, double total)
{
    if (!draw_bar(p, total > 0 ? done / total : -1, cli_seconds())) return;
    fprintf(stderr, "%s: %.1f MB \033[K", file, done / 1e6);
    fflush(stderr);
}

void cli_progress_clear(cli_progress *p)
{
    if (p->visible) fputs("\r\033[K", stderr);
    p->visible = false;
}
