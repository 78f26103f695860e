/*
 * LoRA adapters as PEFT saves them: W + scale * B A with scale = alpha / rank, or alpha / sqrt(rank) (rsLoRA), and whole
 * tensors (modules_to_save) that take the place of the model's. What else PEFT knows is refused.
 *
 * Source: Hu et al. 2021, arXiv 2106.09685; Kalajdzievski 2023, arXiv 2312.03732; peft 0.21, tuners/lora/{model,layer}.py.
 */
#include "tensor/weights_file.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CONFIG_BYTES = 1 << 18 };

typedef struct adapter {
    fi_weights *model, *weights;
    const char *path; /* of its config */
    const json_t *config;
    fi_buf name; /* of a tensor */
} adapter;

static ftl_status read_config(const char *directory, fi_buf *path, json_t **out, ftl_error *err)
{
    char *text = NULL;
    size_t size = 0;
    fi_buf_clear(path);
    fi_buf_printf(path, "%s/adapter_config.json", directory);
    if (path->failed) return fi_fail_memory(err);
    ftl_status st = fi_file_read(path->data, MAX_CONFIG_BYTES, &text, &size, err);
    if (!st) st = fi_json_parse(text, size, path->data, out, err);
    if (!st && !json_is_object(*out)) st = fi_fail(err, FTL_EDATA, "%s: must be an object", path->data);
    fi_free(text);
    return st;
}

static bool is_set(const json_t *value)
{
    return value && !json_is_null(value) && !json_is_false(value) &&
           json_object_size(value) + json_array_size(value) > 0;
}

static ftl_status check_config(const adapter *a, ftl_error *err)
{
    static const char *const refused[] = {"use_dora",
                                          "use_qalora",
                                          "lora_bias",
                                          "layer_replication",
                                          "target_parameters",
                                          "trainable_token_indices",
                                          "alora_invocation_tokens"};
    const char *type = json_string_value(json_object_get(a->config, "peft_type"));
    if (!type || strcmp(type, "LORA"))
        return fi_fail(err, FTL_EDATA, "%s: only adapters of peft_type LORA can be merged", a->path);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const json_t *value = json_object_get(a->config, refused[i]);
        if (json_is_true(value) || is_set(value))
            return fi_fail(err, FTL_EDATA,
                           "%s: '%s' is not supported; merge the adapter in Python (merge_and_unload) and "
                           "save the whole model",
                           a->path, refused[i]);
    }
    return FTL_OK;
}

/* Keys of alpha_pattern are regular expressions; those that are names stand for all modules that end in them. */
static ftl_status alpha_of(const adapter *a, const char *module, double *alpha, ftl_error *err)
{
    const char *key;
    json_t *value;
    const size_t n = strlen(module);
    *alpha = NAN;
    json_object_foreach(json_object_get(a->config, "alpha_pattern"), key, value)
    {
        char shown[FI_EXCERPT_MAX];
        size_t m = strlen(key);
        if (strpbrk(key, "*+?[](){}|^$\\"))
            return fi_fail(err, FTL_EDATA,
                           "%s: alpha_pattern: '%s' is a regular expression; only names of modules are "
                           "read: merge the adapter in Python (merge_and_unload) and save the whole model",
                           a->path, fi_excerpt(key, m, shown));
        if (m <= n && !strcmp(module + n - m, key) && (m == n || module[n - m - 1] == '.') && isnan(*alpha))
            *alpha = json_number_value(value);
    }
    if (isnan(*alpha)) *alpha = json_number_value(json_object_get(a->config, "lora_alpha"));
    if (!(*alpha > 0) || !isfinite(*alpha))
        return fi_fail(err, FTL_EDATA, "%s: lora_alpha must be a number above 0", a->path);
    return FTL_OK;
}

static ftl_status wrong_tensor(const adapter *a, const fi_stored *tensor, const char *what, ftl_error *err)
{
    char shown[FI_EXCERPT_MAX];
    return fi_fail(err, FTL_EDATA, "%s: tensor '%s': %s", fi_weights_path(a->weights),
                   fi_excerpt(tensor->name, strlen(tensor->name), shown), what);
}

/* Of `weights` the tensor called `name` with `from` at its end replaced by `to`; NULL: none, or a->name.failed. */
static const fi_stored *find_renamed(adapter *a, const fi_weights *weights, const char *name, const char *from,
                                     const char *to)
{
    fi_buf_clear(&a->name);
    fi_buf_put(&a->name, name, strlen(name) - strlen(from));
    fi_buf_text(&a->name, to);
    return a->name.failed ? NULL : fi_weights_find(weights, a->name.data);
}

/* What the two matrices of a module are called, and whether the model's tensor is [in, out]: embeddings are. */
static const struct naming {
    const char *a, *b;
    bool transposed;
} namings[] = {{".lora_A.weight", ".lora_B.weight", false}, {".lora_embedding_A", ".lora_embedding_B", true}};

static ftl_status add_pair(adapter *a, const fi_stored *down, const char *name, const struct naming *naming,
                           ftl_error *err)
{
    double alpha;
    const fi_stored *target = find_renamed(a, a->model, name, naming->a, ".weight"),
                    *up = find_renamed(a, a->weights, down->name, naming->a, naming->b);
    find_renamed(a, a->model, name, naming->a, ""); /* leaves the module's name in a->name */
    if (a->name.failed) return fi_fail_memory(err);
    ftl_status st = alpha_of(a, a->name.data, &alpha, err);
    if (st) return st;
    if (!up) return wrong_tensor(a, down, "its other half (lora_B) is missing", err);
    if (!target) return wrong_tensor(a, down, "the model has no such module; is it the adapter of another model?", err);
    bool transposed = naming->transposed || json_is_true(json_object_get(a->config, "fan_in_fan_out"));
    size_t in = target->shape[transposed ? 0 : 1], out = target->shape[transposed ? 1 : 0], rank = down->shape[0];
    if (target->n_dims != 2 || down->n_dims != 2 || up->n_dims != 2 || rank == 0 || up->shape[1] != rank ||
        down->shape[1] != in || up->shape[0] != out)
        return wrong_tensor(a, down, "does not fit the model's matrix; is it the adapter of another model?", err);
    bool rs = json_is_true(json_object_get(a->config, "use_rslora"));
    fi_lora *lora = fi_alloc(1, sizeof *lora), **last = &((fi_entry *)(uintptr_t)target)->lora;
    if (!lora) return fi_fail_memory(err);
    *lora = (fi_lora){a->weights, down, up, alpha / (rs ? sqrt((double)rank) : (double)rank), transposed, NULL};
    while (*last) last = &(*last)->next; /* added in the order of merging */
    *last = lora;
    return FTL_OK;
}

/* A whole tensor in the place of the model's. */
static ftl_status replace(adapter *a, const fi_stored *tensor, const char *name, ftl_error *err)
{
    fi_entry *target = (fi_entry *)(uintptr_t)fi_weights_find(a->model, name);
    if (!target || target->tensor.n_dims != tensor->n_dims ||
        memcmp(target->tensor.shape, tensor->shape, sizeof tensor->shape))
        return wrong_tensor(a, tensor, "fits nothing in the model; is it the adapter of another model?", err);
    const fi_entry *from = (const fi_entry *)tensor;
    target->tensor = *tensor;
    target->tensor.name = target->name;
    target->file = from->file;
    target->swapped = from->swapped;
    return FTL_OK;
}

static ftl_status merge_tensor(adapter *a, const fi_stored *tensor, ftl_error *err)
{
    static const char prefix[] = "base_model.model.";
    const char *name = tensor->name + sizeof prefix - 1;
    if (strncmp(tensor->name, prefix, sizeof prefix - 1))
        return wrong_tensor(a, tensor, "its name does not begin with base_model.model., as PEFT's do", err);
    for (size_t i = 0; i < sizeof namings / sizeof *namings; i++) {
        if (fi_text_ends(name, namings[i].a)) return add_pair(a, tensor, name, &namings[i], err);
        if (!fi_text_ends(name, namings[i].b)) continue;
        const fi_stored *down = find_renamed(a, a->weights, tensor->name, namings[i].b, namings[i].a);
        if (a->name.failed) return fi_fail_memory(err);
        return down ? FTL_OK : wrong_tensor(a, tensor, "its other half (lora_A) is missing", err); /* comes with it */
    }
    return replace(a, tensor, name, err);
}

ftl_status fi_adapter_open(const char *directory, fi_weights **out, ftl_error *err)
{
    static const char *const names[] = {"adapter_model.bin", "adapter_model.safetensors"};
    fi_buf path = {0};
    *out = NULL;
    for (size_t i = 0; i < 2; i++) { /* the last name is the one that is then complained about */
        fi_buf_clear(&path);
        fi_buf_printf(&path, "%s/%s", directory, names[i]);
        if (path.failed || !access(path.data, F_OK)) break;
    }
    ftl_status st = path.failed ? fi_fail_memory(err) : fi_weights_open(path.data, out, err);
    fi_buf_release(&path);
    return st;
}

/* The adapter's file, which the model then owns. */
static ftl_status take_adapter(fi_weights *model, const char *directory, fi_weights **out, ftl_error *err)
{
    if (fi_grow(&model->adapters, &model->room_adapters, model->n_adapters + 1, sizeof *model->adapters))
        return fi_fail_memory(err);
    ftl_status st = fi_adapter_open(directory, out, err);
    if (!st) model->adapters[model->n_adapters++] = *out;
    return st;
}

ftl_status fi_weights_merge(fi_weights *weights, const char *adapter_directory, ftl_error *err)
{
    json_t *config = NULL;
    fi_buf path = {0};
    adapter a = {.model = weights};
    ftl_status st = read_config(adapter_directory, &path, &config, err);
    if (st) goto done;
    a.config = config;
    a.path = path.data;
    st = check_config(&a, err);
    if (!st) st = take_adapter(weights, adapter_directory, &a.weights, err);
    for (size_t i = 0; !st && i < fi_weights_count(a.weights); i++)
        st = merge_tensor(&a, fi_weights_at(a.weights, i), err);
done:
    fi_buf_release(&a.name);
    fi_buf_release(&path);
    json_decref(config);
    return st;
}

ftl_status fi_adapter_base(const char *directory, char **base, ftl_error *err)
{
    json_t *config = NULL;
    fi_buf path = {0};
    *base = NULL;
    fi_buf_printf(&path, "%s/adapter_config.json", directory);
    ftl_status st = path.failed ? fi_fail_memory(err) : FTL_OK;
    if (st || access(path.data, F_OK)) goto done;
    st = read_config(directory, &path, &config, err);
    if (st) goto done;
    const char *name = json_string_value(json_object_get(config, "base_model_name_or_path"));
    if (!name || !*name)
        st = fi_fail(err, FTL_EDATA, "%s: base_model_name_or_path does not name the model that this adapter is for",
                     path.data);
    else if (!(*base = fi_strdup(name)))
        st = fi_fail_memory(err);
done:
    json_decref(config);
    fi_buf_release(&path);
    return st;
}
