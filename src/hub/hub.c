#include "hub/hub.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "tensor/weights.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME = 64, MAX_ENTRY_BYTES = 1 << 18 };

static const ftl_hub_checkpoint checkpoints[] = {
    {"chronos-t5-tiny", "amazon/chronos-t5-tiny", "8 M parameters, samples"},
    {"chronos-t5-mini", "amazon/chronos-t5-mini", "20 M parameters, samples"},
    {"chronos-t5-small", "amazon/chronos-t5-small", "46 M parameters, samples"},
    {"chronos-t5-base", "amazon/chronos-t5-base", "200 M parameters, samples"},
    {"chronos-t5-large", "amazon/chronos-t5-large", "710 M parameters, samples"},
    {"chronos-bolt-tiny", "amazon/chronos-bolt-tiny", "9 M parameters, quantiles"},
    {"chronos-bolt-mini", "amazon/chronos-bolt-mini", "21 M parameters, quantiles"},
    {"chronos-bolt-small", "amazon/chronos-bolt-small", "48 M parameters, quantiles"},
    {"chronos-bolt-base", "amazon/chronos-bolt-base", "205 M parameters, quantiles"},
    {"chronos-2-small", "autogluon/chronos-2-small", "28 M parameters, quantiles, covariates"},
    {"chronos-2", "amazon/chronos-2", "120 M parameters, quantiles, covariates"},
};
enum { N_CHECKPOINTS = sizeof checkpoints / sizeof *checkpoints };

const ftl_hub_checkpoint *ftl_hub_checkpoints(size_t *n)
{
    *n = N_CHECKPOINTS;
    return checkpoints;
}

const ftl_hub_checkpoint *fi_hub_find_checkpoint(const char *name)
{
    for (size_t i = 0; i < N_CHECKPOINTS; i++)
        if (!strcmp(checkpoints[i].name, name)) return &checkpoints[i];
    return NULL;
}

/* ---- names and paths ---- */

bool fi_hub_is_plain(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                      rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(name);
    return n >= 1 && n <= MAX_NAME && strspn(name, first) && strspn(name, rest) == n;
}

static bool is_name(const char *name)
{
    return fi_hub_is_plain(name) && !fi_text_ends(name, ".json"); /* entries of the store end so */
}

ftl_status fi_hub_check_name(const char *name, ftl_error *err)
{
    return is_name(name) ? FTL_OK
                         : fi_fail(err, FTL_EINVAL,
                                   "'%.80s' is no name for a model: up to %d letters, digits, '.', '_' and '-', "
                                   "beginning with a letter or digit",
                                   name, MAX_NAME);
}

ftl_status fi_hub_path(fi_buf *path, ftl_error *err, const char *format, ...)
{
    va_list arguments;
    char text[8192];
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof text) return fi_fail(err, FTL_EIO, "the path %.200s... is too long", text);
    fi_buf_clear(path);
    fi_buf_text(path, text);
    return path->failed ? fi_fail_memory(err) : FTL_OK;
}

bool fi_hub_exists(const char *path)
{
    return !access(path, F_OK);
}

ftl_status fi_hub_make_directory(const char *path, ftl_error *err)
{
    fi_buf part = {0};
    ftl_status st = FTL_OK;
    for (const char *end = path; !st && *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        fi_buf_clear(&part);
        fi_buf_put(&part, path, (size_t)(end - path));
        if (part.failed)
            st = fi_fail_memory(err);
        else if (mkdir(part.data, 0777) && errno != EEXIST)
            st = fi_fail(err, FTL_EIO, "%s: cannot make this directory: %s", part.data, strerror(errno));
    }
    fi_buf_release(&part);
    if (!st && !fi_is_directory(path)) st = fi_fail(err, FTL_EIO, "%s: is no directory", path);
    return st;
}

/* ---- what is a model ---- */

static ftl_status read_object(const char *path, json_t **out, ftl_error *err)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    ftl_status st = fi_file_read(path, MAX_ENTRY_BYTES, &text, &size, err);
    if (!st) st = fi_json_parse(text, size, path, out, err);
    if (!st && !json_is_object(*out)) {
        st = fi_fail(err, FTL_EDATA, "%s: must hold an object", path);
        json_decref(*out);
        *out = NULL;
    }
    fi_free(text);
    return st;
}

ftl_status fi_hub_check_model(const char *directory, ftl_error *err)
{
    fi_buf path = {0};
    json_t *config = NULL;
    fi_weights *weights = NULL;
    char *base = NULL;
    ftl_status st = fi_adapter_base(directory, &base, err);
    if (!st && !base) st = fi_hub_path(&path, err, "%s/config.json", directory);
    if (!st && !base) st = read_object(path.data, &config, err);
    if (!st) st = base ? fi_adapter_open(directory, &weights, err) : fi_weights_open(directory, &weights, err);
    fi_weights_close(weights);
    json_decref(config);
    fi_free(base);
    fi_buf_release(&path);
    return st;
}

/* ---- entries ---- */

/* Where the entry of an added model points to. */
static ftl_status read_link(const char *path, char **directory, ftl_error *err)
{
    json_t *object = NULL;
    const char *text;
    ftl_status st = read_object(path, &object, err);
    if (!st && fi_json_get_text(object, "directory", &text, err))
        st = fi_fail_prefix(err, "%s", path);
    else if (!st && !(*directory = fi_strdup(text)))
        st = fi_fail_memory(err);
    json_decref(object);
    return st;
}

static ftl_status write_link(const char *path, const char *directory, ftl_error *err)
{
    fi_file *file = NULL;
    fi_buf text = {0};
    json_t *object = json_pack("{s:s}", "directory", directory);
    if (object) fi_json_write(object, &text);
    fi_buf_char(&text, '\n');
    ftl_status st = !object || text.failed ? fi_fail_memory(err) : fi_file_create(path, &file, err);
    if (!st) st = fi_file_write(file, text.data, text.size, err);
    if (!st)
        st = fi_file_commit(file, err);
    else
        fi_file_discard(file);
    fi_buf_release(&text);
    json_decref(object);
    return st;
}

/* The model's directory in *found; *found stays NULL if the store has none of that name. */
static ftl_status look_up(const char *store, const char *name, ftl_hub_model *found, ftl_error *err)
{
    fi_buf path = {0};
    *found = (ftl_hub_model){0};
    ftl_status st = fi_hub_path(&path, err, "%s/%s.json", store, name);
    if (!st && fi_hub_exists(path.data)) {
        st = read_link(path.data, &found->directory, err);
    } else if (!st) {
        st = fi_hub_path(&path, err, "%s/%s/" FI_HUB_RECEIPT, store, name);
        if (!st && fi_hub_exists(path.data)) {
            found->downloaded = true;
            found->directory = fi_strndup(path.data, path.size - strlen("/" FI_HUB_RECEIPT));
            if (!found->directory) st = fi_fail_memory(err);
        }
    }
    fi_buf_release(&path);
    return st;
}

static const char *nearest(const char *name)
{
    const char *names[N_CHECKPOINTS];
    for (size_t i = 0; i < N_CHECKPOINTS; i++) names[i] = checkpoints[i].name;
    return fi_nearest(name, names, N_CHECKPOINTS);
}

static ftl_status not_known(const char *store, const char *name, ftl_error *err)
{
    const char *near = nearest(name);
    if (near && !strcmp(near, name))
        return fi_fail(err, FTL_EINVAL, "model '%s' is not in the store%s%s; get it with: foretell models download %s",
                       name, store ? " " : "", store ? store : "", name);
    return fi_fail(
        err, FTL_EINVAL,
        "model '%.80s' is neither a directory nor in the store%s%s%s%s%s; add it with: foretell models add NAME "
        "DIRECTORY",
        name, store ? " " : "", store ? store : "", near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

ftl_status fi_hub_no_checkpoint(const char *name, ftl_error *err)
{
    const char *near = nearest(name);
    return fi_fail(err, FTL_EINVAL, "there is no public checkpoint '%.80s'%s%s%s 'foretell models download' lists them",
                   name, near ? "; did you mean '" : ";", near ? near : "", near ? "'?" : "");
}

static ftl_status no_directory(const char *path, ftl_error *err)
{
    return fi_fail(err, FTL_EIO, "%s: %s; name the one that holds config.json and the weights", path,
                   access(path, F_OK) ? "no such directory" : "not a directory");
}

static ftl_status copy_path(const char *path, char **out, ftl_error *err)
{
    if (!fi_is_directory(path)) return no_directory(path, err);
    *out = fi_strdup(path);
    return *out ? FTL_OK : fi_fail_memory(err);
}

/* ---- the public functions ---- */

ftl_status ftl_hub_resolve(const char *store, const char *name, char **directory, ftl_error *err)
{
    ftl_hub_model found = {0};
    *directory = NULL;
    if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")) return copy_path(name, directory, err);
    ftl_status st = store && is_name(name) ? look_up(store, name, &found, err) : FTL_OK;
    if (st) return st;
    if (!found.directory) return fi_is_directory(name) ? copy_path(name, directory, err) : not_known(store, name, err);
    if (!fi_is_directory(found.directory)) {
        st = fi_fail(err, FTL_EIO,
                     "model '%s': its directory %s is gone; add it again, or remove it with: foretell models "
                     "remove %s",
                     name, found.directory, name);
        fi_free(found.directory);
        return st;
    }
    *directory = found.directory;
    return FTL_OK;
}

ftl_status ftl_hub_add(const char *store, const char *name, const char *directory, ftl_error *err)
{
    fi_buf path = {0};
    ftl_hub_model found = {0};
    char *whole = NULL;
    ftl_status st = fi_hub_check_name(name, err);
    if (!st) st = look_up(store, name, &found, err);
    if (!st && found.directory)
        st = fi_fail(err, FTL_EINVAL, "the name '%s' is taken by %s; choose another, or remove that one first", name,
                     found.directory);
    if (!st && (!fi_is_directory(directory) || !(whole = realpath(directory, NULL)))) st = no_directory(directory, err);
    if (!st) st = fi_hub_check_model(whole, err);
    if (!st) st = fi_hub_make_directory(store, err);
    if (!st) st = fi_hub_path(&path, err, "%s/%s.json", store, name);
    if (!st) st = write_link(path.data, whole, err);
    free(whole);
    fi_free(found.directory);
    fi_buf_release(&path);
    return st;
}

/* The files that the receipt names, then the receipt, then the directory if nothing else is in it. */
static ftl_status remove_download(const char *directory, ftl_error *err)
{
    fi_buf path = {0};
    json_t *receipt = NULL;
    const char *file;
    json_t *about;
    ftl_status st = fi_hub_path(&path, err, "%s/" FI_HUB_RECEIPT, directory);
    if (!st) st = read_object(path.data, &receipt, err);
    json_object_foreach(json_object_get(receipt, "files"), file, about)
    {
        if (st || !fi_hub_is_plain(file)) continue; /* a path leads elsewhere */
        st = fi_hub_path(&path, err, "%s/%s", directory, file);
        if (!st && unlink(path.data) && errno != ENOENT)
            st = fi_fail(err, FTL_EIO, "%s: cannot remove: %s", path.data, strerror(errno));
    }
    if (!st) st = fi_hub_path(&path, err, "%s/" FI_HUB_RECEIPT, directory);
    if (!st && unlink(path.data)) st = fi_fail(err, FTL_EIO, "%s: cannot remove: %s", path.data, strerror(errno));
    if (!st && rmdir(directory) && errno != ENOTEMPTY && errno != EEXIST)
        st = fi_fail(err, FTL_EIO, "%s: cannot remove: %s", directory, strerror(errno));
    json_decref(receipt);
    fi_buf_release(&path);
    return st;
}

ftl_status ftl_hub_remove(const char *store, const char *name, ftl_error *err)
{
    fi_buf path = {0};
    ftl_status st = fi_hub_check_name(name, err);
    if (!st) st = fi_hub_path(&path, err, "%s/%s.json", store, name);
    if (!st && fi_hub_exists(path.data)) { /* also a damaged one */
        if (unlink(path.data)) st = fi_fail(err, FTL_EIO, "%s: cannot remove: %s", path.data, strerror(errno));
    } else if (!st) {
        ftl_hub_model found;
        st = look_up(store, name, &found, err);
        if (!st && !found.directory)
            st = fi_fail(err, FTL_EINVAL,
                         "model '%s' is not in the store %s; 'foretell models list' lists those that are", name, store);
        if (!st) st = remove_download(found.directory, err);
        fi_free(found.directory);
    }
    fi_buf_release(&path);
    return st;
}

static int compare_models(const void *a, const void *b)
{
    return strcmp(((const ftl_hub_model *)a)->name, ((const ftl_hub_model *)b)->name);
}

/* The model's name that a directory entry of the store stands for; false for other files. */
static bool name_of(const char *file, char name[MAX_NAME + 1])
{
    size_t end = strlen(file) - (fi_text_ends(file, ".json") ? strlen(".json") : 0);
    if (end > MAX_NAME) return false;
    memcpy(name, file, end);
    name[end] = '\0';
    return is_name(name);
}

static ftl_status list_entry(const char *store, const char *file, ftl_hub_model **models, size_t *n, size_t *room,
                             ftl_error *err)
{
    char name[MAX_NAME + 1];
    ftl_hub_model found;
    if (!name_of(file, name)) return FTL_OK;
    ftl_status st = look_up(store, name, &found, err);
    if (st || !found.directory) return st;
    bool directory_entry = strlen(file) == strlen(name);
    if (found.downloaded != directory_entry) { /* the other entry of this name says it */
        fi_free(found.directory);
        return FTL_OK;
    }
    found.name = fi_strdup(name);
    if (!found.name || fi_grow(models, room, *n + 1, sizeof **models)) {
        fi_free(found.name);
        fi_free(found.directory);
        return fi_fail_memory(err);
    }
    (*models)[(*n)++] = found;
    return FTL_OK;
}

ftl_status ftl_hub_list(const char *store, ftl_hub_model **models, size_t *n, ftl_error *err)
{
    size_t room = 0;
    *models = NULL;
    *n = 0;
    DIR *folder = opendir(store);
    if (!folder) return errno == ENOENT ? FTL_OK : fi_fail(err, FTL_EIO, "%s: cannot read: %s", store, strerror(errno));
    ftl_status st = FTL_OK;
    for (struct dirent *entry; !st && (entry = readdir(folder));)
        st = list_entry(store, entry->d_name, models, n, &room, err);
    closedir(folder);
    if (st) {
        ftl_hub_models_free(*models, *n);
        *models = NULL;
        *n = 0;
    } else if (*n) {
        qsort(*models, *n, sizeof **models, compare_models);
    }
    return st;
}

void ftl_hub_models_free(ftl_hub_model *models, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fi_free(models[i].name);
        fi_free(models[i].directory);
    }
    fi_free(models);
}
