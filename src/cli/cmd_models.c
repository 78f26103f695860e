#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    unsigned bit;
    const char *text;
} capabilities[] = {
    {FTL_TAKES_REGRESSORS, "takes regressors"},
    {FTL_TAKES_UNKNOWN_FUTURE, "takes regressors whose future is not known"},
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
        if (o.default_note) print_pair("default_note", o.default_note), printf(",");
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
        if (*o.default_text) printf("   (default: %s)", o.default_note ? o.default_note : o.default_text);
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

/* ---- the store -------------------------------------------------------------------------------------------------- */

const char *cli_store(void)
{
    static char path[4096];
    const char *own = getenv("FORETELL_MODELS"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (own && *own) return own;
    if (data && *data)
        snprintf(path, sizeof path, "%s/foretell/models", data);
    else
        snprintf(path, sizeof path, "%s/.local/share/foretell/models", home && *home ? home : ".");
    return path;
}

static int list_store(void)
{
    ftl_hub_model *models;
    size_t n;
    ftl_error err;
    if (ftl_hub_list(cli_store(), &models, &n, &err)) return cli_report(&err);
    if (cli_json) printf("{"), print_pair("store", cli_store()), printf(",\"models\":[");
    for (size_t i = 0; i < n; i++) {
        const char *how = models[i].downloaded ? "downloaded" : "added";
        if (cli_json) {
            printf("%s{", i ? "," : "");
            print_pair("name", models[i].name), printf(",");
            print_pair("directory", models[i].directory), printf(",");
            print_pair("how", how), printf("}");
        } else {
            printf("%-24s %-11s %s\n", models[i].name, how, models[i].directory);
        }
    }
    if (cli_json) printf("]}\n");
    if (!n && !cli_json)
        cli_note("No models in %s; 'foretell models download' lists what can be downloaded.", cli_store());
    ftl_hub_models_free(models, n);
    return cli_finish();
}

static int list_checkpoints(void)
{
    size_t n;
    const ftl_hub_checkpoint *all = ftl_hub_checkpoints(&n);
    if (cli_json) printf("{\"checkpoints\":[");
    for (size_t i = 0; i < n; i++) {
        if (cli_json) {
            printf("%s{", i ? "," : "");
            print_pair("name", all[i].name), printf(",");
            print_pair("repository", all[i].repository), printf(",");
            print_pair("summary", all[i].summary), printf("}");
        } else {
            printf("%-20s %-28s %s\n", all[i].name, all[i].repository, all[i].summary);
        }
    }
    if (cli_json) printf("]}\n");
    return cli_finish();
}

static bool show_download(void *progress, const char *file, uint64_t done, uint64_t total)
{
    cli_progress_bytes(progress, file, (double)done, (double)total);
    return true;
}

static int download(const char *name, const char *url)
{
    cli_progress progress = {.start = cli_seconds()};
    const ftl_hub_download_args args = {.url = url, .progress = show_download, .user = &progress};
    ftl_error err;
    ftl_status st = ftl_hub_download(cli_store(), name, &args, &err);
    cli_progress_clear(&progress);
    return st ? cli_report(&err) : 0;
}

/* Says where the model now is, as a note and as JSON. */
static int tell_model(const char *name, const char *what)
{
    char *directory = NULL;
    ftl_error err;
    if (ftl_hub_resolve(cli_store(), name, &directory, &err)) return cli_report(&err);
    if (cli_json) {
        printf("{"), print_pair("name", name), printf(",");
        print_pair("directory", directory), printf("}\n");
    }
    cli_note("%s %s: %s", what, name, directory);
    ftl_text_free(directory);
    return cli_finish();
}

static int add(const char *name, const char *directory)
{
    ftl_error err;
    if (ftl_hub_add(cli_store(), name, directory, &err)) return cli_report(&err);
    return tell_model(name, "Added");
}

static int drop(const char *name)
{
    ftl_error err;
    if (ftl_hub_remove(cli_store(), name, &err)) return cli_report(&err);
    if (cli_json) printf("{"), print_pair("removed", name), printf("}\n");
    cli_note("Removed %s.", name);
    return cli_finish();
}

static int list_models(void)
{
    if (cli_json) printf("{\"models\":[");
    for (size_t i = 0; i < ftl_forecaster_count(); i++) {
        const ftl_forecaster *f = ftl_forecaster_at(i);
        if (cli_json)
            printf("%s", i ? "," : ""), json_model(f);
        else
            printf("%-21s %s%s\n", ftl_forecaster_name(f), ftl_forecaster_summary(f), i ? "" : " (default)");
    }
    if (cli_json) printf("]}\n");
    return cli_finish();
}

int cmd_models(int argc, char **argv)
{
    static const cli_page page = {
        .name = "models",
        .arguments = "[NAME | list | add NAME DIR | remove NAME | download [NAME]]",
        .max_args = 3,
        .about = "Lists the kinds of models, or explains one and its options. Keeps the pretrained models that '-m "
                 "chronos:NAME' finds by name: add one that lies in a directory (nothing is copied), download a public "
                 "checkpoint from Hugging Face, list them, remove one. They are kept in $FORETELL_MODELS, else in "
                 "$XDG_DATA_HOME/foretell/models, else in ~/.local/share/foretell/models.",
        .examples = "  foretell models\n  foretell models prophet\n"
                    "  # what can be downloaded, and one of it; once begun, a download can be continued\n"
                    "  foretell models download\n  foretell models download chronos-bolt-small\n"
                    "  foretell models add mine runs/finetuned\n  foretell models list\n"};
    const char *url = NULL;
    const cli_option options[] = {
        CLI_OPT_TEXT(0, "url", &url, "URL", "download from a mirror of https://huggingface.co"),
        CLI_OPT_FLAG('q', "quiet", &cli_quiet, "no notes, no progress"),
        CLI_OPT_FLAG(0, "json", &cli_json, "one JSON object"), CLI_END};
    cli_texts args;
    int rc;
    if (!cli_parse(argc, argv, &page, options, &args, &rc)) return rc;
    const char *verb = args.n ? args.v[0] : "";
    if (!*verb) return list_models();
    if (!strcmp(verb, "list") && args.n == 1) return list_store();
    if (!strcmp(verb, "add") && args.n == 3) return add(args.v[1], args.v[2]);
    if (!strcmp(verb, "remove") && args.n == 2) return drop(args.v[1]);
    if (!strcmp(verb, "download") && args.n == 1) return list_checkpoints();
    if (!strcmp(verb, "download") && args.n == 2) {
        rc = download(args.v[1], url);
        return rc ? rc : tell_model(args.v[1], "Downloaded");
    }
    if (args.n == 1 && strcmp(verb, "add") != 0 && strcmp(verb, "remove") != 0) return one_model(verb);
    return cli_usage_error(page.name, "expected: foretell models %s", page.arguments);
}
