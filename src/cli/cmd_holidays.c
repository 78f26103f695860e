#include "cli.h"

#include <string.h>
#include <time.h>

/* One CSV field. */
static void print_csv(const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static int list_countries(void)
{
    printf(cli_json ? "{\"countries\":[" : "code,name,subdivisions\n");
    for (size_t i = 0; i < ftl_country_count(); i++) {
        const char *name, *subdivisions, *code = ftl_country_at(i, &name, &subdivisions);
        if (cli_json) {
            printf("%s{\"code\":\"%s\",\"name\":", i ? "," : "", code);
            cli_print_json_text(stdout, name);
            printf(",\"subdivisions\":");
            cli_print_json_text(stdout, subdivisions);
            printf("}");
        } else {
            printf("%s,", code);
            print_csv(name);
            printf(",%s\n", subdivisions);
        }
    }
    if (cli_json) printf("]}\n");
    return cli_finish();
}

static void print_holidays(const ftl_holiday *holidays, size_t n)
{
    printf(cli_json ? "{\"holidays\":[" : "ds,holiday\n");
    for (size_t i = 0; i < n; i++) {
        char date[FTL_TIME_TEXT_MAX];
        ftl_time_format(holidays[i].date, FTL_TIME_DATE, date);
        if (cli_json) {
            printf("%s{\"ds\":\"%s\",\"holiday\":", i ? "," : "", date);
            cli_print_json_text(stdout, holidays[i].name);
            printf("}");
        } else {
            printf("%s,", date);
            print_csv(holidays[i].name);
            printf("\n");
        }
    }
    if (cli_json) printf("]}\n");
}

int cmd_holidays(int argc, char **argv)
{
    size_t from = 0, to = 0;
    bool list = false;
    static const cli_page page = {
        .name = "holidays",
        .arguments = "[COUNTRY]",
        .max_args = 1,
        .about = "Lists public holidays as CSV (ds, holiday), a form that 'foretell forecast --holidays' reads. "
                 "COUNTRY is a code "
                 "such as US, or of a subdivision such as DE-BY; the table covers 1995 to 2050.",
        .examples = "  foretell holidays US --from 2024 --to 2025\n  foretell holidays DE-BY --from 2026\n"
                    "  foretell holidays --list\n"};
    const cli_option options[] = {CLI_OPT_COUNT(0, "from", &from, "YEAR", "first year (default: this year)"),
                                  CLI_OPT_COUNT(0, "to", &to, "YEAR", "last year (default: the first)"),
                                  CLI_OPT_FLAG(0, "list", &list, "list countries and their subdivisions"),
                                  CLI_OPT_FLAG(0, "json", &cli_json, "one JSON object instead of CSV"), CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (list) return list_countries();
    if (!args.n) return cli_usage_error(page.name, "which country? Name one (US, DE-BY), or list them with --list");
    time_t now = time(NULL);
    struct tm today;
    if (!from) from = to ? to : gmtime_r(&now, &today) ? (size_t)today.tm_year + 1900 : 2026;
    if (!to) to = from;
    if (from > 9999 || to > 9999 || from > to)
        return cli_usage_error(page.name, "--from and --to are years, the first not after the last");
    ftl_holiday *holidays = NULL;
    size_t n = 0;
    ftl_error err;
    if (ftl_holidays_of(args.v[0], (int)from, (int)to, &holidays, &n, &err)) return cli_report(&err);
    print_holidays(holidays, n);
    ftl_holidays_free(holidays);
    return cli_finish();
}
