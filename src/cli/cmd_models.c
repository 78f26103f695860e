#include "cli.h"

#include <math.h>
#include <string.h>

static const struct {
    unsigned bit;
    const char *text;
} capabilities[] = {
    {FTL_TAKES_REGRESSORS, "takes regressors"},
    {FTL_TAKES_DUPLICATE_TIMES, "takes several values at one time"},
    {FTL_TAKES_IRREGULAR_TIMES, "takes irregular times"},
    {FTL_TAKES_MISSING, "takes missing values"},
    {FTL_GIVES_COMPONENTS, "gives components"},
    {FTL_GIVES_SAMPLES, "gives sample paths"},
    {FTL_GIVES_HISTORY, "predicts its history"},
};

static void print_pair(const char *key, const char *value)
{
    printf("\"%s\":", key);
    cli_print_json_text(stdout, value ? value : "");
}

static const char *type_name(ftl_option_type type)
{
    static const char *const names[] = {"flag", "count", "real", "choice", "text", "item"};
    return names[type];
}

static void json_options(const ftl_forecaster *f)
{
    for (size_t i = 0; i < ftl_forecaster_n_options(f); i++) {
        ftl_option_info o = ftl_forecaster_option(f, i);
        printf("%s{", i ? "," : "");
        print_pair("name", o.name), printf(",");
        print_pair("type", type_name(o.type)), printf(",");
        print_pair("default", o.default_text), printf(",");
        print_pair("value", o.value_name), printf(",");
        print_pair("help", o.help);
        printf("}");
    }
}

static void json_model(const ftl_forecaster *f)
{
    const char *separator = "";
    printf("{");
    print_pair("name", ftl_forecaster_name(f)), printf(",");
    print_pair("summary", ftl_forecaster_summary(f)), printf(",");
    print_pair("source", ftl_forecaster_source(f));
    printf(",\"capabilities\":[");
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        if (ftl_forecaster_capabilities(f) & capabilities[i].bit) {
            printf("%s\"%s\"", separator, capabilities[i].text);
            separator = ",";
        }
    printf("],\"options\":[");
    json_options(f);
    printf("]}");
}

static void text_model(const ftl_forecaster *f)
{
    const char *separator = "";
    printf("%s: %s\n", ftl_forecaster_name(f), ftl_forecaster_summary(f));
    if (ftl_forecaster_source(f)) printf("%s\n", ftl_forecaster_source(f));
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        if (ftl_forecaster_capabilities(f) & capabilities[i].bit) {
            printf("%s%s", separator, capabilities[i].text);
            separator = ", ";
        }
    printf("\n\nOptions, as in -m %s:OPTION=VALUE,OPTION=VALUE\n", ftl_forecaster_name(f));
    for (size_t i = 0; i < ftl_forecaster_n_options(f); i++) {
        ftl_option_info o = ftl_forecaster_option(f, i);
        printf("\n  %s=%s", o.name, o.value_name ? o.value_name : "");
        if (o.type == FTL_OPTION_ITEM) printf("   (may be given several times)");
        if (*o.default_text) printf("   (default: %s)", o.default_text);
        printf("\n      %s\n", o.help);
    }
}

static int one_model(const char *name)
{
    const ftl_forecaster *f = ftl_forecaster_find(name);
    if (f) {
        if (cli_json)
            json_model(f), printf("\n");
        else
            text_model(f);
        return cli_finish();
    }
    ftl_config *none = NULL;
    ftl_error err;
    ftl_config_new(name, &none, &err); /* for its message, which names the nearest model */
    ftl_config_free(none);
    return cli_report(&err);
}

int cmd_models(int argc, char **argv)
{
    static const cli_page page = {.name = "models",
                                  .arguments = "[NAME]",
                                  .max_args = 1,
                                  .about = "Lists the models, or explains one and its options.",
                                  .examples = "  foretell models\n  foretell models prophet\n"};
    const cli_option options[] = {CLI_OPT_FLAG(0, "json", &cli_json, "one JSON object"), CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    if (args.n) return one_model(args.v[0]);
    if (cli_json) printf("{\"models\":[");
    for (size_t i = 0; i < ftl_forecaster_count(); i++) {
        const ftl_forecaster *f = ftl_forecaster_at(i);
        if (cli_json)
            printf("%s", i ? "," : ""), json_model(f);
        else
            printf("%-16s %s%s\n", ftl_forecaster_name(f), ftl_forecaster_summary(f), i ? "" : " (default)");
    }
    if (cli_json) printf("]}\n");
    return cli_finish();
}
