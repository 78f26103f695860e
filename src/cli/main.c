/* foretell: finds the subcommand and runs it. */
#include "cli.h"

#include <string.h>
#include <unistd.h>

const cli_command cli_commands[] = {
    {"forecast", "forecast series from a CSV file", cmd_forecast},
    {"fit", "fit models and save them", cmd_fit},
    {"predict", "forecast with saved models", cmd_predict},
    {"embed", "what a pretrained model makes of each series, as numbers", cmd_embed},
    {"describe", "seasons, trend, gaps, outliers of each series, and models that suit", cmd_describe},
    {"evaluate", "judge models on the data sets of a benchmark", cmd_evaluate},
    {"plot", "draw forecasts and their components", cmd_plot},
    {"models", "list the models, or the options of one", cmd_models},
    {"holidays", "list the public holidays of a country", cmd_holidays},
    {"info", "describe a CSV file, or this program", cmd_info},
    {"bench", "measure how fast series are read, fitted and predicted", cmd_bench},
    {"help", "help on a command, manual page, shell completion", cmd_help},
};
const size_t cli_n_commands = sizeof cli_commands / sizeof *cli_commands;

void cli_overview(FILE *to)
{
    fprintf(to, "Usage: foretell COMMAND [options] [FILE]\n\nProbabilistic forecasts of series in CSV files.\n\n");
    for (size_t i = 0; i < cli_n_commands; i++)
        fprintf(to, "  %-10s %s\n", cli_commands[i].name, cli_commands[i].summary);
    fprintf(
        to,
        "\nTry:\n"
        "  foretell forecast sales.csv -H 28          # 28 steps ahead, CSV to standard output\n"
        "  foretell plot sales.csv -H 28 -o sales.svg # the same as a picture\n"
        "\nA file has a header and columns ds (time) and y (value); unique_id names the series if there are several.\n"
        "'foretell COMMAND --help' explains a command.\n");
}

static int unknown_command(const char *word)
{
    enum { MOST = 32 };
    const char *names[MOST];
    for (size_t i = 0; i < cli_n_commands && i < MOST; i++) names[i] = cli_commands[i].name;
    if (word[0] != '-' && !access(word, R_OK))
        return cli_usage_error(NULL, "'%s' is a file, not a command; did you mean: foretell forecast %s -H 28", word,
                               word);
    const char *near = ftl_nearest(word, names, cli_n_commands);
    if (near) return cli_usage_error(NULL, "there is no command '%s'; did you mean '%s'?", word, near);
    return cli_usage_error(NULL, "there is no command '%s'", word);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--json")) cli_json = true; /* even for mistakes in the options before it */
    if (argc < 2) {
        cli_overview(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        cli_overview(stdout);
        return cli_finish();
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        printf("foretell %s\n", ftl_version());
        return cli_finish();
    }
    cli_signals_install();
    for (size_t i = 0; i < cli_n_commands; i++)
        if (!strcmp(cli_commands[i].name, word)) return cli_commands[i].run(argc - 1, argv + 1);
    return unknown_command(word);
}
