/* Opening a directory: which family it is, and what it says of itself. */
#include "chronos/chronos.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "forecast/driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const fi_chronos_family *const families[] = {&fi_chronos_t5, &fi_chronos_bolt, &fi_chronos_2};
enum { N_FAMILIES = sizeof families / sizeof *families, MAX_CONFIG = 1 << 18 };

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static bool exists(const char *directory, const char *file)
{
    struct stat info;
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", directory, file);
    return n > 0 && (size_t)n < sizeof path && !stat(path, &info);
}

static ftl_status check_directory(const char *directory, ftl_error *err)
{
    struct stat info;
    if (stat(directory, &info))
        return fi_fail(err, FTL_EIO, "%s: %s; a directory with config.json and model.safetensors is expected",
                       directory, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return fi_fail(err, FTL_EDATA, "%s: this is a file; name the directory that holds config.json and the weights",
                       directory);
    if (exists(directory, "config.json")) return FTL_OK;
    if (exists(directory, "adapter_config.json"))
        return fi_fail(
            err, FTL_EDATA,
            "%s: this is a LoRA adapter; name the directory of the model it adapts, and this one as its adapter",
            directory);
    return fi_fail(err, FTL_EDATA, "%s: there is no config.json in it, so it holds no model of the Hugging Face layout",
                   directory);
}

static ftl_status read_config(const char *path, json_t **out, ftl_error *err)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    ftl_status st = fi_file_read(path, MAX_CONFIG, &text, &size, err);
    if (!st) st = fi_json_parse(text, size, path, out, err);
    fi_free(text);
    if (!st && !json_is_object(*out)) st = fi_fail(err, FTL_EDATA, "%s: a JSON object is expected", path);
    return st;
}

/* The family that a config names; "ChronosPipeline" where it only has a chronos_config. */
static ftl_status route(const json_t *config, const char *path, const fi_chronos_family **out, ftl_error *err)
{
    const json_t *class = json_object_get(config, "chronos_pipeline_class"),
                 *own = json_object_get(config, "chronos_config");
    if (!class && !own)
        return fi_fail(err, FTL_EDATA,
                       "%s: not a Chronos model: it has neither 'chronos_pipeline_class' nor 'chronos_config'", path);
    const char *name = class ? json_string_value(class) : "ChronosPipeline";
    for (size_t i = 0; name && i < N_FAMILIES; i++)
        if (!strcmp(families[i]->pipeline, name)) *out = families[i];
    if (!*out)
        return fi_fail(err, FTL_EDATA,
                       "%s: key 'chronos_pipeline_class' is '%s', but must be ChronosPipeline, ChronosBoltPipeline or "
                       "Chronos2Pipeline",
                       path, name ? name : "no text");
    if (!json_is_object(own))
        return fi_fail(err, FTL_EDATA,
                       "%s: key 'chronos_config' must be an object, which describes a model of the family %s", path,
                       (*out)->name);
    return FTL_OK;
}

ftl_status fi_chronos_peek(const char *directory, const fi_chronos_family **out, ftl_error *err)
{
    fi_buf path = {0};
    json_t *config = NULL;
    *out = NULL;
    ftl_status st = check_directory(directory, err);
    if (!st) fi_buf_printf(&path, "%s/config.json", directory);
    if (!st && path.failed) st = fi_fail_memory(err);
    if (!st) st = read_config(path.data, &config, err);
    if (!st) st = route(config, path.data, out, err);
    json_decref(config);
    fi_buf_release(&path);
    return st;
}

static ftl_status open_files(ftl_chronos *m, const ftl_chronos_open_args *args, const char *config_path, ftl_error *err)
{
    static const fi_dtype types[] = {FI_F32, FI_BF16, FI_I8};
    json_t *config = NULL;
    fi_weights *weights = NULL;
    ftl_status st = read_config(config_path, &config, err);
    if (!st) st = route(config, config_path, &m->family, err);
    if (!st) st = fi_weights_open(m->directory, &weights, err);
    if (!st && args->adapter) st = fi_weights_merge(weights, args->adapter, err);
    if (!st) st = fi_engine_new(args->n_threads, &m->engine, err);
    if (!st) {
        const fi_chronos_source source = {.config = config,
                                          .chronos = json_object_get(config, "chronos_config"),
                                          .config_path = config_path,
                                          .weights = weights,
                                          .engine = m->engine,
                                          .precision = types[args->precision]};
        m->facts = (ftl_chronos_facts){.directory = m->directory,
                                       .family = m->family->name,
                                       .precision = args->precision,
                                       .gives_samples = m->family->gives_samples,
                                       .takes_covariates = m->family->takes_covariates};
        st = m->family->open(&source, &m->facts, &m->state, err);
    }
    fi_weights_close(weights);
    json_decref(config);
    return st;
}

ftl_status ftl_chronos_open(const char *directory, const ftl_chronos_open_args *args, ftl_chronos **out, ftl_error *err)
{
    static const ftl_chronos_open_args usual;
    fi_buf path = {0};
    ftl_chronos *m = NULL;
    *out = NULL;
    if (!args) args = &usual;
    if ((unsigned)args->precision > FTL_INT8)
        return fi_fail(err, FTL_EINVAL, "the precision is %d, but must be FTL_F32, FTL_BF16 or FTL_INT8",
                       (int)args->precision);
    ftl_status st = check_directory(directory, err);
    if (st) return st;
    m = fi_calloc(1, sizeof *m);
    if (!m) return fi_fail_memory(err);
    pthread_mutex_init(&m->lock, NULL);
    m->directory = fi_strdup(directory);
    fi_buf_printf(&path, "%s/config.json", directory);
    st = m->directory && !path.failed ? open_files(m, args, path.data, err) : fi_fail_memory(err);
    if (!st) {
        *out = m;
        m = NULL;
    }
    ftl_chronos_close(m);
    fi_buf_release(&path);
    return st;
}

void ftl_chronos_close(ftl_chronos *m)
{
    if (!m) return;
    if (m->state) m->family->close(m->state);
    fi_engine_free(m->engine);
    pthread_mutex_destroy(&m->lock);
    fi_free(m->directory);
    fi_free(m);
}

/* ---- what it is ------------------------------------------------------------------------------------------------- */

ftl_chronos_facts ftl_chronos_about(const ftl_chronos *m)
{
    return m->facts;
}

ftl_chronos_memory ftl_chronos_memory_of(const ftl_chronos *model, size_t rows, size_t context, size_t horizon,
                                         size_t samples)
{
    ftl_chronos *m = (ftl_chronos *)model; /* its lock moves, what it is does not */
    const ftl_chronos_facts *f = &m->facts;
    if (!context || context > f->context_length) context = f->context_length;
    pthread_mutex_lock(&m->lock);
    ftl_chronos_memory memory =
        m->family->memory(m->state, rows ? rows : 1, context, horizon ? horizon : f->prediction_length,
                          samples ? samples : f->num_samples);
    pthread_mutex_unlock(&m->lock);
    return memory;
}

static int put_count(json_t *object, const char *key, size_t value)
{
    return json_object_set_new(object, key, json_integer((json_int_t)value));
}

ftl_status ftl_chronos_info(const ftl_chronos *m, char **out, ftl_error *err)
{
    static const char *const precisions[] = {"f32", "bf16", "int8"};
    const ftl_chronos_facts *f = &m->facts;
    const ftl_chronos_memory memory = ftl_chronos_memory_of(m, 1, 0, 0, 0);
    json_t *o = json_object();
    fi_buf text = {0};
    *out = NULL;
    int bad = json_object_set_new(o, "directory", fi_json_name(f->directory));
    bad |= json_object_set_new(o, "family", json_string(f->family));
    bad |= json_object_set_new(o, "precision", json_string(precisions[f->precision]));
    bad |= put_count(o, "context_length", f->context_length);
    bad |= put_count(o, "prediction_length", f->prediction_length);
    bad |= put_count(o, "d_model", f->d_model);
    bad |= put_count(o, "parameters", f->n_parameters);
    bad |= put_count(o, "weight_bytes", f->weight_bytes);
    bad |= put_count(o, "activation_bytes", memory.activation_bytes);
    bad |= put_count(o, "cache_bytes", memory.cache_bytes);
    if (f->gives_samples) {
        bad |= put_count(o, "num_samples", f->num_samples);
        bad |= json_object_set_new(o, "temperature", fi_json_real(f->temperature));
        bad |= put_count(o, "top_k", f->top_k);
        bad |= json_object_set_new(o, "top_p", fi_json_real(f->top_p));
    } else {
        bad |= json_object_set_new(o, "levels", fi_json_reals(f->levels, f->n_levels));
    }
    if (!bad) fi_json_write(o, &text);
    json_decref(o);
    if (bad || text.failed || !text.data) {
        fi_buf_release(&text);
        return fi_fail_memory(err);
    }
    *out = text.data;
    return FTL_OK;
}
