/* Pretrained models: opening one for a command, and describing it. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static ftl_status resolve_option(ftl_config *config, const char *option, ftl_error *err)
{
    char *name = NULL, *directory = NULL;
    ftl_status st = ftl_config_get(config, option, &name, err);
    if (!st && *name) st = ftl_hub_resolve(cli_store(), name, &directory, err);
    if (!st && directory) st = ftl_config_set(config, option, directory, err);
    ftl_text_free(name);
    ftl_text_free(directory);
    return st;
}

ftl_status cli_resolve_model(ftl_config *config, ftl_error *err)
{
    if (strcmp(ftl_forecaster_name(ftl_config_forecaster(config)), "chronos") != 0) return FTL_OK;
    ftl_status st = resolve_option(config, "model", err);
    return st ? st : resolve_option(config, "adapter", err);
}

/* An option of a configuration as a number; 0 where it has none. */
static double number_of(const ftl_config *config, const char *option)
{
    char *text = NULL;
    double value = ftl_config_get(config, option, &text, NULL) ? 0 : strtod(text, NULL);
    ftl_text_free(text);
    return value;
}

static ftl_precision precision_of(const ftl_config *config)
{
    char *text = NULL;
    ftl_precision precision = FTL_F32;
    if (!ftl_config_get(config, "precision", &text, NULL))
        precision = !strcmp(text, "bf16") ? FTL_BF16 : !strcmp(text, "int8") ? FTL_INT8 : FTL_F32;
    ftl_text_free(text);
    return precision;
}

ftl_status cli_open_chronos(const ftl_config *config, size_t threads, ftl_chronos_options *options, ftl_chronos **out,
                            ftl_error *err)
{
    const char *name = ftl_forecaster_name(ftl_config_forecaster(config));
    char *directory = NULL, *adapter = NULL;
    ftl_status st = FTL_OK;
    *out = NULL;
    if (strcmp(name, "chronos") != 0) {
        snprintf(err->message, sizeof err->message, "%s is no pretrained model; name one: -m chronos:NAME_OR_DIRECTORY",
                 name);
        return err->code = FTL_EINVAL;
    }
    st = ftl_config_get(config, "model", &directory, err);
    if (!st) st = ftl_config_get(config, "adapter", &adapter, err);
    if (!st && !*directory) {
        snprintf(err->message, sizeof err->message, "which model? Name one: -m chronos:NAME_OR_DIRECTORY");
        st = err->code = FTL_EINVAL;
    }
    if (!st) {
        const ftl_chronos_open_args args = {*adapter ? adapter : NULL, precision_of(config), threads};
        options->context_length = (size_t)number_of(config, "context_length");
        options->batch_size = (size_t)number_of(config, "batch_size");
        st = ftl_chronos_open(directory, &args, out, err);
    }
    ftl_text_free(directory);
    ftl_text_free(adapter);
    return st;
}

/* "1.5 MB" in a static ring of buffers. */
static const char *megabytes(size_t bytes)
{
    static char ring[4][32];
    static unsigned turn;
    char *out = ring[turn++ % 4];
    double size = (double)bytes;
    if (bytes < 1000000)
        snprintf(out, sizeof ring[0], "%.1f kB", size / 1e3);
    else
        snprintf(out, sizeof ring[0], "%.1f MB", size / 1e6);
    return out;
}

static void print_text(const ftl_chronos *model)
{
    static const char *const precisions[] = {"f32", "bf16", "int8"};
    const ftl_chronos_facts f = ftl_chronos_about(model);
    const ftl_chronos_memory m = ftl_chronos_memory_of(model, 1, 0, 0, 0);
    printf("model        %s\n", f.directory);
    printf("family       %s\n", f.family);
    printf("parameters   %s\n", cli_grouped(f.n_parameters));
    printf("weights      %s in memory, as %s\n", megabytes(f.weight_bytes), precisions[f.precision]);
    printf("context      up to %s steps\n", cli_grouped(f.context_length));
    printf("horizon      %s steps at once, further ones by feeding back\n", cli_grouped(f.prediction_length));
    if (f.gives_samples)
        printf("output       sample paths (%zu, temperature %g, top_k %zu, top_p %g)\n", f.num_samples, f.temperature,
               f.top_k, f.top_p);
    else
        printf("output       %zu quantiles, %g to %g\n", f.n_levels, f.levels[0], f.levels[f.n_levels - 1]);
    printf("covariates   %s\n", f.takes_covariates ? "yes" : "no");
    printf("memory       %s of activations and %s of caches beside the weights, for each series of a batch\n",
           megabytes(m.activation_bytes), megabytes(m.cache_bytes));
}

int cli_model_info(const ftl_config *config)
{
    ftl_chronos *model = NULL;
    ftl_chronos_options unused = {0};
    ftl_error err = {FTL_OK, ""};
    char *text = NULL;
    ftl_status st = cli_open_chronos(config, 0, &unused, &model, &err);
    if (!st && cli_json) st = ftl_chronos_info(model, &text, &err);
    if (!st && cli_json)
        printf("%s\n", text);
    else if (!st)
        print_text(model);
    ftl_text_free(text);
    ftl_chronos_close(model);
    return st ? cli_report(&err) : cli_finish();
}
