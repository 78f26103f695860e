/*
 * Downloads from Hugging Face, or a mirror with its paths: URL/REPOSITORY/resolve/main/FILE. For large files the server
 * tells the SHA-256 (X-Linked-ETag, before it sends us elsewhere; a mirror that answers itself, as ETag).
 *
 * libcurl is loaded when a download is asked for and not before: it brings some thirty libraries along, which would
 * cost every forecast its start.
 */
#include "hub/hub.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

#ifndef FTL_CURL

bool ftl_hub_can_download(void)
{
    return false;
}

ftl_status ftl_hub_download(const char *store, const char *name, const ftl_hub_download_args *args, ftl_error *err)
{
    (void)args;
    const ftl_hub_checkpoint *c = fi_hub_find_checkpoint(name);
    return fi_fail(
        err, FTL_EIO,
        "this foretell was built without libcurl and cannot download; fetch config.json and model.safetensors of "
        "https://huggingface.co/%s into a directory and add it: foretell models add %s DIRECTORY (store: %s)",
        c ? c->repository : "...", name, store);
}

#else

#include "base/file.h"
#include "base/json.h"
#include "base/number.h"
#include "base/sha256.h"
#include "base/text.h"
#include "tensor/weights.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- libcurl ---- */

typedef struct curl_api {
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*perform)(CURL *);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
    void (*cleanup)(CURL *);
    const char *(*strerror)(CURLcode);
} curl_api;

bool ftl_hub_can_download(void)
{
    return true;
}

static ftl_status load_curl(curl_api *api, ftl_error *err)
{
    static const char *const libraries[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    static const char *const names[] = {"curl_easy_init",    "curl_easy_setopt",  "curl_easy_perform",
                                        "curl_easy_getinfo", "curl_easy_cleanup", "curl_easy_strerror"};
    void **functions[] = {(void **)&api->init,    (void **)&api->setopt,  (void **)&api->perform,
                          (void **)&api->getinfo, (void **)&api->cleanup, (void **)&api->strerror};
    void *library = NULL; /* stays loaded: libcurl keeps threads and tables of its own */
    for (size_t i = 0; !library && i < 2; i++) library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *functions[i] = library ? dlsym(library, names[i]) : NULL;
        if (!*functions[i])
            return fi_fail(err, FTL_EIO,
                           "downloads need libcurl, which cannot be loaded (%s); install the package libcurl4",
                           dlerror());
    }
    return FTL_OK;
}

/* ---- one file ---- */

enum { CONNECT_SECONDS = 30, IDLE_SECONDS = 60, MAX_REDIRECTS = 10 };

/* A file of a model. */
typedef struct part {
    const char *name;
    bool required;
    size_t most; /* bytes, whatever a server says; 0: any number */
} part;

typedef struct transfer {
    const curl_api *api;
    CURL *curl;
    const ftl_hub_download_args *args;
    const part *part;
    const char *url, *path; /* of the part file */
    int fd;
    uint64_t have;                                     /* bytes in the file */
    uint64_t total;                                    /* 0: not known */
    uint64_t linked_size;                              /* likewise, as told before a redirection */
    uint64_t from;                                     /* where a range begins, as the server says */
    char linked[FI_SHA256_TEXT], etag[FI_SHA256_TEXT]; /* "" where it is no SHA-256 */
    bool begun, redirected;
    long answer; /* HTTP status */
    int write_error;
    const char *refused; /* why the body is not wanted */
    char said[CURL_ERROR_SIZE];
} transfer;

/* A header's value if this line is that header, without blanks around it. */
static bool header_is(const char *line, size_t n, const char *name, char value[128])
{
    size_t m = strlen(name);
    if (n <= m || line[m] != ':' || strncasecmp(line, name, m)) return false;
    const char *from = line + m + 1, *end = line + n;
    while (from < end && (*from == ' ' || *from == '\t')) from++;
    while (end > from && (unsigned char)end[-1] <= ' ') end--;
    size_t length = (size_t)(end - from) < 127 ? (size_t)(end - from) : 127;
    memcpy(value, from, length);
    value[length] = '\0';
    return true;
}

static uint64_t size_of(const char *text)
{
    int64_t size;
    return fi_parse_int64(text, strlen(text), &size) && size > 0 ? (uint64_t)size : 0;
}

/* 64 hexadecimal digits, perhaps quoted. */
static void take_digest(const char *text, char out[FI_SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    out[0] = '\0';
    if (*text == '"') text++;
    if (strspn(text, digits) != FI_SHA256_TEXT - 1) return;
    memcpy(out, text, FI_SHA256_TEXT - 1);
    out[FI_SHA256_TEXT - 1] = '\0';
}

/* "bytes 100-199/200", "bytes * /200". */
static void take_range(transfer *t, const char *text)
{
    const char *slash = strchr(text, '/'), *dash = strchr(text, '-');
    int64_t from;
    t->total = slash ? size_of(slash + 1) : 0;
    t->from = UINT64_MAX;
    if (!strncmp(text, "bytes ", 6) && dash && fi_parse_int64(text + 6, (size_t)(dash - text) - 6, &from) && from >= 0)
        t->from = (uint64_t)from;
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    transfer *t = user;
    size_t n = size * count;
    char value[128];
    if (n > 5 && !strncmp(line, "HTTP/", 5)) { /* of the next server, after a redirection */
        t->total = 0;
        t->from = UINT64_MAX;
        t->etag[0] = '\0';
    } else if (header_is(line, n, "X-Linked-Size", value)) {
        t->linked_size = size_of(value);
    } else if (header_is(line, n, "X-Linked-ETag", value)) {
        take_digest(value, t->linked);
    } else if (header_is(line, n, "ETag", value)) {
        take_digest(value, t->etag);
    } else if (header_is(line, n, "Location", value)) {
        t->redirected = true;
    } else if (header_is(line, n, "Content-Range", value)) {
        take_range(t, value);
    } else if (header_is(line, n, "Content-Length", value) && !t->total) {
        t->total = size_of(value);
    }
    return n;
}

/* The first bytes of the body: whether they continue the file, replace it, or are not wanted. */
static bool begin_body(transfer *t)
{
    t->begun = true;
    t->api->getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->answer);
    if (t->answer == 206 && t->from != t->have) {
        t->refused = "the server sent another part of the file than it was asked for";
    } else if (t->answer == 200 && t->have) { /* the server cannot continue: from the beginning */
        t->have = 0;
        if (ftruncate(t->fd, 0) || lseek(t->fd, 0, SEEK_SET)) t->write_error = errno;
    }
    return !t->refused && !t->write_error;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    transfer *t = user;
    const size_t n = size * count;
    if (!t->begun && !begin_body(t)) return 0;
    if (t->answer != 200 && t->answer != 206) return n; /* a page that says what is wrong */
    if (t->part->most && (t->have > t->part->most || n > t->part->most - t->have)) {
        t->refused = "the server sent more than this file can hold";
        return 0;
    }
    for (size_t done = 0; done < n;) {
        ssize_t some = write(t->fd, bytes + done, n - done);
        if (some < 0 && errno == EINTR) continue;
        if (some < 0) {
            t->write_error = errno;
            return 0;
        }
        done += (size_t)some;
        t->have += (size_t)some;
    }
    return n;
}

static int on_progress(void *user, curl_off_t all, curl_off_t now, curl_off_t up_all, curl_off_t up_now)
{
    transfer *t = user;
    (void)all, (void)now, (void)up_all, (void)up_now;
    return t->args->progress && !t->args->progress(t->args->user, t->part->name, t->have, t->total);
}

static void set_options(transfer *t)
{
    CURL *c = t->curl;
    CURLcode (*set)(CURL *, CURLoption, ...) = t->api->setopt;
    char range[32];
    snprintf(range, sizeof range, "%llu-", (unsigned long long)t->have);
    const char *protocols = strncmp(t->url, "https:", 6) ? "http,https" : "https"; /* never down to plain text */
    set(c, CURLOPT_URL, t->url);
    set(c, CURLOPT_PROTOCOLS_STR, protocols);
    set(c, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    set(c, CURLOPT_FOLLOWLOCATION, 1L);
    set(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    set(c, CURLOPT_NOSIGNAL, 1L);
    set(c, CURLOPT_USERAGENT, "foretell/" FTL_VERSION_TEXT);
    set(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    set(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(c, CURLOPT_LOW_SPEED_TIME, (long)(t->args->timeout_seconds ? t->args->timeout_seconds : IDLE_SECONDS));
    set(c, CURLOPT_ERRORBUFFER, t->said);
    set(c, CURLOPT_HEADERFUNCTION, on_header);
    set(c, CURLOPT_HEADERDATA, t);
    set(c, CURLOPT_WRITEFUNCTION, on_body);
    set(c, CURLOPT_WRITEDATA, t);
    set(c, CURLOPT_NOPROGRESS, 0L);
    set(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    set(c, CURLOPT_XFERINFODATA, t);
    if (t->have)
        set(c, CURLOPT_RANGE, range); /* libcurl copies it; its own way to resume gives up where a server cannot */
}

static ftl_status explain(const transfer *t, CURLcode code, ftl_error *err)
{
    const char *said = *t->said ? t->said : t->api->strerror(code);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return fi_fail(err, FTL_ECANCELLED, "%s: cancelled after %llu bytes; the next download continues there", t->url,
                       (unsigned long long)t->have);
    if (t->write_error) return fi_fail(err, FTL_EIO, "%s: cannot write: %s", t->path, strerror(t->write_error));
    if (t->refused) return fi_fail(err, FTL_EDATA, "%s: %s", t->url, t->refused);
    if (code == CURLE_OUT_OF_MEMORY) return fi_fail_memory(err);
    if (t->have)
        return fi_fail(err, FTL_EIO, "%s: the transfer broke off after %llu bytes (%s); run it again to continue there",
                       t->url, (unsigned long long)t->have, said);
    return fi_fail(err, FTL_EIO,
                   "%s: %s; is there a network? models can also be added from a directory: foretell models "
                   "add",
                   t->url, said);
}

static ftl_status check_answer(const transfer *t, ftl_error *err)
{
    if (t->answer == 404) return fi_fail(err, FTL_EIO, "%s: the server has no such file (404)", t->url);
    if (t->answer == 401 || t->answer == 403)
        return fi_fail(err, FTL_EIO, "%s: the server does not give it to us (%ld)", t->url, t->answer);
    if (t->answer != 200 && t->answer != 206)
        return fi_fail(err, FTL_EIO, "%s: the server answers %ld; try again later", t->url, t->answer);
    return FTL_OK;
}

/* One request, from where the file ends. Asked for more than there is (416), a file is complete or none of this server. */
static ftl_status request(transfer *t, ftl_error *err)
{
    ftl_status st = FTL_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        t->begun = t->redirected = false;
        t->answer = 0;
        if (!(t->curl = t->api->init())) return fi_fail_memory(err);
        set_options(t);
        CURLcode code = t->api->perform(t->curl);
        t->api->getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->answer);
        t->api->cleanup(t->curl);
        t->curl = NULL;
        if (code) return explain(t, code, err);
        uint64_t size = t->linked_size ? t->linked_size : t->total;
        if (t->answer != 416) {
            st = check_answer(t, err);
            break;
        }
        if (size == t->have) return FTL_OK;
        t->have = 0;
        if (ftruncate(t->fd, 0) || lseek(t->fd, 0, SEEK_SET))
            return fi_fail(err, FTL_EIO, "%s: cannot write: %s", t->path, strerror(errno));
    }
    return st ? st : check_answer(t, err);
}

static ftl_status digest_of(const char *path, char out[FI_SHA256_TEXT], uint64_t *size, ftl_error *err)
{
    fi_sha256 hash;
    unsigned char *buffer = fi_alloc(1 << 16, 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    ftl_status st = buffer ? FTL_OK : fi_fail_memory(err);
    fi_sha256_init(&hash);
    while (!st && (n = fd < 0 ? -1 : read(fd, buffer, 1 << 16)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            st = fi_fail(err, FTL_EIO, "%s: cannot read: %s", path, strerror(errno));
        else
            fi_sha256_add(&hash, buffer, (size_t)n);
    }
    *size = hash.size;
    fi_sha256_text(&hash, out);
    if (fd >= 0) close(fd);
    fi_free(buffer);
    return st;
}

/* What came against what was promised. What differs is removed, so that the next download begins anew. */
static ftl_status check_content(const transfer *t, ftl_error *err)
{
    char digest[FI_SHA256_TEXT];
    const char *promised = *t->linked ? t->linked : t->redirected ? "" : t->etag; /* elsewhere ETag is anything */
    uint64_t size, promised_size = t->linked_size ? t->linked_size : t->total;
    ftl_status st = digest_of(t->path, digest, &size, err);
    if (st) return st;
    if (promised_size && size != promised_size)
        st = fi_fail(err, FTL_EDATA, "%s: has %llu bytes, but %llu came; it was removed, run the download again",
                     t->url, (unsigned long long)promised_size, (unsigned long long)size);
    else if (*promised && strcmp(promised, digest) != 0)
        st = fi_fail(err, FTL_EDATA,
                     "%s: the checksum of what came is wrong (SHA-256 %.16s..., not %.16s...); it was removed, run the "
                     "download again",
                     t->url, digest, promised);
    if (st) unlink(t->path);
    return st;
}

static ftl_status open_part_file(transfer *t, ftl_error *err)
{
    struct stat info;
    t->fd = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (t->fd < 0 || fstat(t->fd, &info))
        return fi_fail(err, FTL_EIO, "%s: cannot write: %s", t->path, strerror(errno));
    if (flock(t->fd, LOCK_EX | LOCK_NB))
        return fi_fail(err, FTL_EIO, "%s: another download of this model is under way", t->path);
    t->have = (uint64_t)info.st_size;
    return FTL_OK;
}

/* A download under way: from where to where, and what of it is there. */
typedef struct job {
    curl_api api;
    const ftl_hub_download_args *args;
    const char *repository, *directory;
    char **shards; /* [n_shards] names of files that the index names */
    size_t n_shards;
    bool single, generation; /* model.safetensors, generation_config.json came */
} job;

static const part config_part = {"config.json", true, 1 << 18},
                  generation_part = {"generation_config.json", false, 1 << 18},
                  single_part = {"model.safetensors", false, 0},
                  index_part = {"model.safetensors.index.json", true, 64 << 20};

/* DIRECTORY/PART, by way of DIRECTORY/PART.part. A part that was there stays. *came: false where the server has no optional one. */
static ftl_status fetch(const job *j, const part *wanted, bool *came, ftl_error *err)
{
    fi_buf url = {0}, path = {0}, file = {0};
    transfer t = {.api = &j->api, .args = j->args, .part = wanted, .fd = -1};
    *came = true;
    ftl_status st = fi_hub_path(&file, err, "%s/%s", j->directory, wanted->name);
    if (st || fi_hub_exists(file.data)) goto done;
    st = fi_hub_path(&path, err, "%s.part", file.data);
    if (!st)
        st = fi_hub_path(&url, err, "%s/%s/resolve/main/%s", j->args->url ? j->args->url : "https://huggingface.co",
                         j->repository, wanted->name);
    if (st) goto done;
    t.url = url.data;
    t.path = path.data;
    st = open_part_file(&t, err);
    if (!st) st = request(&t, err);
    if (st && t.answer == 404) unlink(t.path);
    *came = !st || t.answer != 404 || wanted->required;
    if (!*came) st = FTL_OK;
    if (st || !*came) goto done;
    st = check_content(&t, err);
    if (!st && (fsync(t.fd) || rename(t.path, file.data)))
        st = fi_fail(err, FTL_EIO, "%s: cannot write: %s", file.data, strerror(errno));
done:
    if (t.fd >= 0) close(t.fd);
    fi_buf_release(&url);
    fi_buf_release(&path);
    fi_buf_release(&file);
    return st;
}

/* ---- a model ---- */

static ftl_status add_to_receipt(json_t *files, const char *directory, const char *name, ftl_error *err)
{
    fi_buf path = {0};
    char digest[FI_SHA256_TEXT];
    uint64_t size;
    ftl_status st = fi_hub_path(&path, err, "%s/%s", directory, name);
    if (!st) st = digest_of(path.data, digest, &size, err);
    if (!st && json_object_set_new(files, name, json_pack("{s:I, s:s}", "size", (json_int_t)size, "sha256", digest)))
        st = fi_fail_memory(err);
    fi_buf_release(&path);
    return st;
}

/* The names of the files that came, [at most 4 + n_shards]; how many. */
static size_t files_of(const job *j, const char **names)
{
    size_t n = 0;
    names[n++] = config_part.name;
    if (j->generation) names[n++] = generation_part.name;
    names[n++] = j->single ? single_part.name : index_part.name;
    for (size_t i = 0; i < j->n_shards; i++) names[n++] = j->shards[i];
    return n;
}

static ftl_status write_receipt(const job *j, const char *const *names, size_t n, ftl_error *err)
{
    fi_buf path = {0}, text = {0};
    fi_file *file = NULL;
    json_t *files = json_object(), *receipt = json_pack("{s:s, s:O}", "repository", j->repository, "files", files);
    ftl_status st = receipt ? FTL_OK : fi_fail_memory(err);
    for (size_t i = 0; !st && i < n; i++) st = add_to_receipt(files, j->directory, names[i], err);
    if (!st) fi_json_write(receipt, &text);
    fi_buf_char(&text, '\n');
    if (!st && text.failed) st = fi_fail_memory(err);
    if (!st) st = fi_hub_path(&path, err, "%s/" FI_HUB_RECEIPT, j->directory);
    if (!st) st = fi_file_create(path.data, &file, err);
    if (!st && !(st = fi_file_write(file, text.data, text.size, err))) {
        st = fi_file_commit(file, err);
        file = NULL;
    }
    fi_file_discard(file);
    fi_buf_release(&text);
    fi_buf_release(&path);
    json_decref(receipt);
    json_decref(files);
    return st;
}

static void remove_files(const char *directory, const char *const *names, size_t n)
{
    fi_buf path = {0};
    for (size_t i = 0; i < n; i++)
        if (!fi_hub_path(&path, NULL, "%s/%s", directory, names[i])) unlink(path.data);
    fi_buf_release(&path);
}

/* Shards are what an index, which is a server's, calls so: no other file of the store may be meant. */
static ftl_status check_shards(const job *j, ftl_error *err)
{
    for (size_t i = 0; i < j->n_shards; i++)
        if (!fi_hub_is_plain(j->shards[i]) || !fi_text_ends(j->shards[i], ".safetensors"))
            return fi_fail(err, FTL_EDATA, "%s of %s names a file '%.80s', which is no name of a shard",
                           index_part.name, j->repository, j->shards[i]);
    return FTL_OK;
}

/* What model.safetensors is for smaller models. */
static ftl_status fetch_shards(job *j, ftl_error *err)
{
    fi_buf path = {0};
    bool came;
    ftl_status st = fetch(j, &index_part, &came, err);
    if (!st) st = fi_hub_path(&path, err, "%s/%s", j->directory, index_part.name);
    if (!st) {
        st = fi_weights_index_files(path.data, &j->shards, &j->n_shards, err);
        if (!st) st = check_shards(j, err);
        if (st == FTL_EDATA) unlink(path.data);
    }
    for (size_t i = 0; !st && i < j->n_shards; i++) {
        const part shard = {j->shards[i], true, 0};
        st = fetch(j, &shard, &came, err);
    }
    fi_buf_release(&path);
    return st;
}

/* All files, a look at them, and the receipt that makes them a model of the store. */
static ftl_status run_job(job *j, ftl_error *err)
{
    bool came;
    ftl_status st = load_curl(&j->api, err);
    if (!st) st = fi_hub_make_directory(j->directory, err);
    if (!st) st = fetch(j, &config_part, &came, err);
    if (!st) st = fetch(j, &generation_part, &j->generation, err);
    if (!st) st = fetch(j, &single_part, &j->single, err);
    if (!st && !j->single) st = fetch_shards(j, err);
    if (st) return st;
    const char **names = fi_alloc(4 + j->n_shards, sizeof *names);
    if (!names) return fi_fail_memory(err);
    const size_t n = files_of(j, names);
    st = fi_hub_check_model(j->directory, err);
    if (st == FTL_EDATA) {
        remove_files(j->directory, names, n);
        fi_fail_prefix(err, "what came is no model and was removed");
    }
    if (!st) st = write_receipt(j, names, n, err);
    fi_free(names);
    return st;
}

ftl_status ftl_hub_download(const char *store, const char *name, const ftl_hub_download_args *args, ftl_error *err)
{
    static const ftl_hub_download_args defaults;
    const ftl_hub_checkpoint *checkpoint = fi_hub_find_checkpoint(name);
    fi_buf path = {0};
    if (!checkpoint) return fi_hub_no_checkpoint(name, err);
    ftl_status st = fi_hub_path(&path, err, "%s/%s.json", store, name);
    if (!st && fi_hub_exists(path.data))
        st = fi_fail(err, FTL_EINVAL,
                     "the name '%s' is taken by a model that was added; remove it first: foretell models "
                     "remove %s",
                     name, name);
    if (!st) st = fi_hub_path(&path, err, "%s/%s/" FI_HUB_RECEIPT, store, name);
    if (!st && !fi_hub_exists(path.data)) {
        st = fi_hub_path(&path, err, "%s/%s", store, name);
        job j = {.args = args ? args : &defaults, .repository = checkpoint->repository, .directory = path.data};
        if (!st) st = run_job(&j, err);
        fi_weights_names_free(j.shards, j.n_shards);
    }
    fi_buf_release(&path);
    return st;
}

#endif
