/* Option tables: one row an option serves parsing, --help, the manual page and completion. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

cli_mode cli_parse_mode = CLI_RUN;

enum { HELP_COLUMN = 30, LINE_WIDTH = 100, MAX_OPTIONS = 64 };

static bool has_value(const cli_option *o)
{
    return o->type != CLI_FLAG;
}

/* ---- --help ----------------------------------------------------------------------------------------------------- */

/* Prints words wrapped to the line width, `indent` columns in, the cursor being at column `at`. */
static void wrap(const char *text, int indent, int at)
{
    while (*text) {
        int n = (int)strcspn(text, " \n");
        if (at > indent && at + 1 + n > LINE_WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            putchar(' ');
            at++;
        }
        printf("%.*s", n, text);
        at += n;
        text += n;
        if (*text == '\n') {
            printf("\n%*s", text[1] ? indent : 0, "");
            at = indent;
        }
        if (*text) text++;
    }
    putchar('\n');
}

static void help_option(const cli_option *o)
{
    int at = o->letter ? printf("  -%c, --%s", o->letter, o->name) : printf("      --%s", o->name);
    if (has_value(o)) at += printf(" %s", o->value_name);
    if (at >= HELP_COLUMN)
        printf("\n%*s", HELP_COLUMN, "");
    else
        printf("%*s", HELP_COLUMN - at, "");
    wrap(o->help, HELP_COLUMN, HELP_COLUMN);
}

static void help(const cli_page *page, const cli_option *options)
{
    printf("Usage: foretell %s [options] %s\n\n", page->name, page->arguments);
    wrap(page->about, 0, 0);
    if (options->type != CLI_HEADING && options->type != CLI_STOP) printf("\nOptions\n");
    for (const cli_option *o = options; o->type != CLI_STOP; o++) {
        if (o->type == CLI_HEADING)
            printf("\n%s\n", o->name);
        else
            help_option(o);
    }
    printf("  -h, --help%*s\n", HELP_COLUMN - 12 + (int)sizeof "this help" - 1, "this help");
    if (page->examples) printf("\nExamples\n%s", page->examples);
}

/* ---- manual page and completion --------------------------------------------------------------------------------- */

static void roff(const char *text)
{
    for (bool start = true; *text; text++) {
        if (start && (*text == '.' || *text == '\'')) printf("\\&");
        if (*text == '-')
            printf("\\-");
        else if (*text == '\\')
            printf("\\e");
        else
            putchar(*text);
        start = *text == '\n';
    }
}

static void manual(const cli_page *page, const cli_option *options)
{
    printf(".SS \"foretell %s [options] ", page->name);
    roff(page->arguments);
    printf("\"\n");
    roff(page->about);
    printf("\n");
    for (const cli_option *o = options; o->type != CLI_STOP; o++) {
        if (o->type == CLI_HEADING) continue;
        printf(".TP\n");
        if (o->letter) printf("\\fB\\-%c\\fR, ", o->letter);
        printf("\\fB\\-\\-");
        roff(o->name);
        printf("\\fR");
        if (has_value(o)) {
            printf(" \\fI");
            roff(o->value_name);
            printf("\\fR");
        }
        printf("\n");
        roff(o->help);
        printf("\n");
    }
    printf(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nthis help\n");
    if (!page->examples) return;
    printf(".PP\nExamples:\n.PP\n.nf\n");
    roff(page->examples);
    printf(".fi\n");
}

static void completion(const cli_page *page, const cli_option *options)
{
    printf("    %s)\n        case $prev in\n", page->name);
    for (const cli_option *o = options; o->type != CLI_STOP; o++) {
        if (o->type != CLI_CHOICE && strcmp(o->name, "model") != 0) continue;
        if (o->letter) printf("        -%c) ;&\n", o->letter);
        printf("        --%s) COMPREPLY=($(compgen -W \"", o->name);
        if (o->type == CLI_CHOICE)
            for (const char *p = o->value_name; *p; p++) putchar(*p == '|' ? ' ' : *p);
        else
            for (size_t i = 0; i < ftl_forecaster_count(); i++)
                printf("%s%s", i ? " " : "", ftl_forecaster_name(ftl_forecaster_at(i)));
        printf("\" -- \"$cur\")); return ;;\n");
    }
    printf("        esac\n        words=\"");
    for (const cli_option *o = options; o->type != CLI_STOP; o++)
        if (o->type != CLI_HEADING) printf("--%s ", o->name);
    printf("--help\" ;;\n");
}

/* ---- parsing ---------------------------------------------------------------------------------------------------- */

static bool parse_u64(const char *text, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !*end && !errno;
}

static bool parse_real(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end); /* the program never leaves the "C" locale */
    return end != text && !*end && isfinite(*out);
}

static bool parse_list(const char *text, cli_list *out)
{
    char item[64];
    for (out->n = 0; out->n < CLI_MAX_LIST;) {
        size_t n = strcspn(text, ",");
        if (n >= sizeof item) return false;
        memcpy(item, text, n);
        item[n] = '\0';
        if (!parse_real(item, &out->v[out->n++])) return false;
        if (!text[n]) return true;
        text += n + 1;
    }
    return false;
}

static bool parse_choice(const char *choices, const char *text, int *out)
{
    size_t n = strlen(text);
    *out = 0;
    for (const char *p = choices;; (*out)++) {
        size_t length = strcspn(p, "|");
        if (length == n && !strncmp(p, text, n)) return true;
        if (!p[length]) return false;
        p += length + 1;
    }
}

/* Stores a value; returns what was expected instead if it cannot be. */
/* Texts separated by commas; a backslash takes a comma or another backslash as it stands. */
static const char *parse_names(const char *text, cli_names *names)
{
    char *to = names->room;
    if (strlen(text) >= sizeof names->room) return "at most 1023 bytes";
    names->texts.n = 0;
    for (bool more = true; more; text++) {
        if (names->texts.n == CLI_MAX_TEXTS) return "at most 32 names";
        names->texts.v[names->texts.n++] = to;
        for (; *text && *text != ','; text++) {
            if (*text == '\\' && (text[1] == ',' || text[1] == '\\')) text++;
            *to++ = *text;
        }
        *to++ = '\0';
        more = *text;
    }
    return NULL;
}

static const char *store(const cli_option *o, const char *text)
{
    uint64_t number;
    switch (o->type) {
    case CLI_FLAG: *(bool *)o->value = true; return NULL;
    case CLI_COUNT:
        if (!parse_u64(text, &number) || number > SIZE_MAX / 2) return "a whole number, not negative";
        *(size_t *)o->value = (size_t)number;
        return NULL;
    case CLI_SEED: return parse_u64(text, o->value) ? NULL : "a whole number below 2^64";
    case CLI_REAL: return parse_real(text, o->value) ? NULL : "a number";
    case CLI_TEXT: *(const char **)o->value = text; return NULL;
    case CLI_TEXTS: {
        cli_texts *texts = o->value;
        if (texts->n == CLI_MAX_TEXTS) return "given fewer times";
        texts->v[texts->n++] = text;
        return NULL;
    }
    case CLI_NAMES: return parse_names(text, o->value);
    case CLI_LIST: return parse_list(text, o->value) ? NULL : "up to 64 numbers separated by commas";
    case CLI_CHOICE: return parse_choice(o->value_name, text, o->value) ? NULL : o->value_name;
    case CLI_HEADING:
    case CLI_STOP: break;
    }
    return "an option";
}

static const cli_option *find_long(const cli_option *options, const char *name, size_t n)
{
    for (const cli_option *o = options; o->type != CLI_STOP; o++)
        if (o->type != CLI_HEADING && strlen(o->name) == n && !memcmp(o->name, name, n)) return o;
    return NULL;
}

static const cli_option *find_short(const cli_option *options, char letter)
{
    for (const cli_option *o = options; o->type != CLI_STOP; o++)
        if (o->type != CLI_HEADING && o->letter == letter) return o;
    return NULL;
}

static int unknown_long(const cli_page *page, const cli_option *options, const char *name, size_t n)
{
    const char *names[MAX_OPTIONS];
    char wrong[64];
    size_t count = 0;
    snprintf(wrong, sizeof wrong, "%.*s", (int)(n < 60 ? n : 60), name);
    for (const cli_option *o = options; o->type != CLI_STOP && count + 1 < MAX_OPTIONS; o++)
        if (o->type != CLI_HEADING) names[count++] = o->name;
    names[count++] = "help";
    const char *near = ftl_nearest(wrong, names, count);
    if (near) return cli_usage_error(page->name, "there is no option --%s; did you mean --%s?", wrong, near);
    return cli_usage_error(page->name, "there is no option --%s", wrong);
}

static int set(const cli_page *page, const cli_option *o, const char *text)
{
    const char *expected = store(o, text);
    return expected ? cli_usage_error(page->name, "--%s is '%s', but must be %s%s", o->name, text,
                                      o->type == CLI_CHOICE ? "one of " : "", expected)
                    : 0;
}

/* One "--name", "--name=value" or "--name value". Returns 0 or the exit code; *next is the index behind it. */
static int parse_long(int argc, char **argv, int *next, const cli_page *page, const cli_option *options)
{
    const char *name = argv[*next] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *o = find_long(options, name, n);
    (*next)++;
    if (!o) return unknown_long(page, options, name, n);
    if (!has_value(o)) return equals ? cli_usage_error(page->name, "--%s takes no value", o->name) : set(page, o, "");
    if (equals) return set(page, o, equals + 1);
    if (*next == argc) return cli_usage_error(page->name, "--%s needs a value: %s", o->name, o->value_name);
    return set(page, o, argv[(*next)++]);
}

/* A cluster of letters: "-q", "-qv", "-H28", "-H 28". */
static int parse_short(int argc, char **argv, int *next, const cli_page *page, const cli_option *options)
{
    const char *p = argv[(*next)++] + 1;
    for (; *p; p++) {
        const cli_option *o = find_short(options, *p);
        if (!o) return cli_usage_error(page->name, "there is no option -%c", *p);
        if (has_value(o)) {
            if (p[1]) return set(page, o, p[1] == '=' ? p + 2 : p + 1);
            if (*next == argc) return cli_usage_error(page->name, "-%c needs a value: %s", *p, o->value_name);
            return set(page, o, argv[(*next)++]);
        }
        int rc = set(page, o, "");
        if (rc) return rc;
    }
    return 0;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

static int check_count(const cli_page *page, size_t n)
{
    if (n < page->min_args)
        return cli_usage_error(page->name, "%s is missing ('-' reads standard input)", page->arguments);
    if (n > page->max_args)
        return cli_usage_error(page->name,
                               page->max_args ? "too many words; expected: foretell %s [options] %s"
                                              : "no further words are expected after 'foretell %s'%s",
                               page->name, page->max_args ? page->arguments : "");
    return 0;
}

bool cli_parse(int argc, char **argv, const cli_page *page, const cli_option *options, cli_texts *args, int *rc)
{
    *rc = 0;
    args->n = 0;
    if (cli_parse_mode != CLI_RUN) {
        (cli_parse_mode == CLI_MANUAL ? manual : completion)(page, options);
        return false;
    }
    if (asks_help(argc, argv)) {
        help(page, options);
        *rc = cli_finish();
        return false;
    }
    bool words_only = false;
    for (int i = 1; i < argc && !*rc;) {
        const char *word = argv[i];
        if (!words_only && !strcmp(word, "--")) {
            words_only = true;
            i++;
        } else if (!words_only && word[0] == '-' && word[1] == '-') {
            *rc = parse_long(argc, argv, &i, page, options);
        } else if (!words_only && word[0] == '-' && word[1]) {
            *rc = parse_short(argc, argv, &i, page, options);
        } else if (args->n == CLI_MAX_TEXTS) {
            *rc = cli_usage_error(page->name, "too many words");
        } else {
            args->v[args->n++] = word;
            i++;
        }
    }
    if (!*rc) *rc = check_count(page, args->n);
    return !*rc;
}
