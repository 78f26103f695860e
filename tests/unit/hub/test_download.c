/* Downloads from a server of our own on the loopback interface, whose first path component says how it behaves. */
#include "folder.h"

#include "base/sha256.h"
#include "tensor/weights.h"

#include <foretell/foretell.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define NAME "chronos-bolt-tiny"
enum { N_NUMBERS = 100000 };

static ftl_error err;

/* ---- the server ---- */

/* A safetensors file: the whole model, then the two shards of the same. */
typedef struct served {
    const char *name, *tensor;
    int numbers;
    char *bytes;
    size_t size;
    char digest[FI_SHA256_TEXT];
} served;
static served models[] = {{.name = "model.safetensors", .tensor = "w", .numbers = N_NUMBERS},
                          {.name = "model-00001-of-00002.safetensors", .tensor = "w", .numbers = N_NUMBERS},
                          {.name = "model-00002-of-00002.safetensors", .tensor = "v", .numbers = 1000}};
#define model        (models[0].bytes)
#define model_size   (models[0].size)
#define model_digest (models[0].digest)
static int listener, port;
static _Atomic int n_requests, n_bytes; /* of model.safetensors asked for, and sent */

static void send_text(int to, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (send(to, text, (size_t)n, MSG_NOSIGNAL) != n) return;
}

static size_t send_bytes(int to, const char *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t some = send(to, bytes + done, n - done, MSG_NOSIGNAL);
        if (some <= 0) break;
        done += (size_t)some;
    }
    return done;
}

static void send_empty(int to, const char *status)
{
    send_text(to, "HTTP/1.1 %s\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsorry", status);
}

static void wait_for_end(int to)
{
    char byte;
    while (recv(to, &byte, 1, 0) > 0) continue;
}

/* The model from `from`; `more` are further headers. */
static void send_model(int to, const char *mode, const served *m, size_t from, bool ranged, const char *more)
{
    size_t n = m->size - from;
    bool cut = !strcmp(mode, "cut"), slow = !strcmp(mode, "slow");
    n_requests++;
    if (ranged && from >= m->size) {
        send_text(to, "HTTP/1.1 416 Range\r\nContent-Range: bytes */%zu\r\nContent-Length: 0\r\n\r\n", m->size);
        return;
    }
    if (ranged)
        send_text(to, "HTTP/1.1 206 Part\r\nContent-Range: bytes %zu-%zu/%zu\r\n",
                  from + (strcmp(mode, "shifted") ? 0 : 1), m->size - 1, m->size);
    else
        send_text(to, "HTTP/1.1 200 OK\r\n");
    send_text(to, "Content-Length: %zu\r\nConnection: close\r\n%s\r\n", n, more);
    n_bytes += (int)send_bytes(to, m->bytes + from, cut ? n / 2 : slow ? 100 : n);
    if (slow) wait_for_end(to);
}

static void answer_model(int to, const char *mode, const served *m, const char *path, size_t from, bool ranged)
{
    char more[256];
    if (!strcmp(mode, "direct")) {
        snprintf(more, sizeof more, "ETag: \"%s\"\r\n", m->digest);
        send_model(to, mode, m, from, ranged, more);
    } else if (!strcmp(mode, "norange")) {
        send_model(to, mode, m, 0, false, "");
    } else if (!strncmp(path, "/sent/", 6)) { /* where the redirection leads; its ETag is something else */
        send_model(to, mode, m, from, ranged,
                   "ETag: \"0000000000000000000000000000000000000000000000000000000000000000\"\r\n");
    } else if (!strcmp(mode, "away")) {
        send_text(to, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
    } else if (!strcmp(mode, "loop")) {
        send_text(to, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", path);
    } else {
        send_text(to,
                  "HTTP/1.1 302 Found\r\nLocation: /sent%s\r\nX-Linked-Size: %zu\r\nX-Linked-ETag: \"%s\"\r\n"
                  "Content-Length: 0\r\nConnection: close\r\n\r\n",
                  path, m->size + !strcmp(mode, "longer"),
                  strcmp(mode, "lie") ? m->digest : "11111111111111111111111111111111111111111111111111111111111111aa");
    }
}

/* The index, which in some modes names what it may not. */
static void answer_index(int to, const char *mode)
{
    const char *second = !strcmp(mode, "out")   ? "../config.json"
                         : !strcmp(mode, "odd") ? "download.json"
                                                : models[2].name;
    char text[512];
    const int n = snprintf(text, sizeof text, "{\"weight_map\":{\"w\":\"%s\",\"%s\":\"%s\"}}", models[1].name,
                           strcmp(mode, "lacks") ? "v" : "u", second);
    send_text(to, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, text);
}

/* Modes that begin with "shards" have no model.safetensors, but an index and shards, sent as the rest of the mode says. */
static void answer(int to, const char *path, size_t from, bool ranged)
{
    char all[32] = "";
    sscanf(strncmp(path, "/sent/", 6) ? path : path + 5, "/%31[^/]", all);
    const bool sharded = !strncmp(all, "shards", 6);
    const char *file = strrchr(path, '/') + 1, *mode = sharded ? all + 6 : all;
    if (sharded && !strcmp(file, "model.safetensors.index.json")) {
        answer_index(to, mode);
        return;
    }
    for (int i = 1; i < 3 && sharded; i++)
        if (!strcmp(file, models[i].name)) {
            answer_model(to, i == 1 ? "ok" : mode, &models[i], path, from, ranged);
            return;
        }
    if (!strcmp(mode, "gone"))
        send_empty(to, "404 Not Found");
    else if (!strcmp(mode, "denied"))
        send_empty(to, "403 Forbidden");
    else if (!strcmp(mode, "broken"))
        send_empty(to, "500 Oops");
    else if (!strcmp(mode, "page"))
        send_text(to, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>");
    else if (!strcmp(mode, "endless")) {
        send_text(to, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while (send_bytes(to, model, model_size) == model_size) continue;
    } else if (!strcmp(file, "config.json"))
        send_text(to, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"abc\"\r\nConnection: close\r\n\r\n{}");
    else if (!sharded && !strcmp(file, "model.safetensors"))
        answer_model(to, mode, &models[0], path, from, ranged);
    else if (!strcmp(mode, "direct"))
        send_text(to, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    else
        send_empty(to, "404 Not Found");
}

static void *serve(void *unused)
{
    for (int to; (to = accept(listener, NULL, NULL)) >= 0; close(to)) {
        char request[8192] = "", path[512];
        size_t n = 0, from = 0;
        ssize_t some;
        while (n < sizeof request - 1 && !strstr(request, "\r\n\r\n") &&
               (some = recv(to, request + n, sizeof request - 1 - n, 0)) > 0)
            n += (size_t)some;
        const char *range = strstr(request, "\r\nRange: bytes=");
        if (range) from = strtoul(range + 15, NULL, 10);
        if (sscanf(request, "GET %511s", path) == 1) answer(to, path, from, range != NULL);
    }
    return unused;
}

static void start_server(pthread_t *thread)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0 && !bind(listener, (struct sockaddr *)&address, size) && !listen(listener, 8));
    CHECK(!getsockname(listener, (struct sockaddr *)&address, &size));
    port = ntohs(address.sin_port);
    CHECK(!pthread_create(thread, NULL, serve, NULL));
}

/* ---- the tests ---- */

/* A download into the store `mode` of this test (or another), from the server in that mode. */
static ftl_status download(const char *store, const char *mode, ftl_hub_download_args args)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", port, mode);
    args.url = url;
    n_requests = n_bytes = 0;
    return ftl_hub_download(inside(store), NAME, &args, &err);
}

static const char *part_of(const char *store, const char *file)
{
    static char path[8][512];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(path[turn], sizeof path[turn], "%s/" NAME "/%s", inside(store), file);
    return path[turn];
}

static off_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) ? -1 : info.st_size;
}

static void check_there(const char *store)
{
    char *directory = NULL;
    fi_weights *w = NULL;
    ftl_hub_model *list;
    size_t n;
    if (ftl_hub_resolve(inside(store), NAME, &directory, &err)) fail_msg("%s", err.message);
    CHECK_INT(fi_weights_open(directory, &w, &err), FTL_OK);
    CHECK_INT(fi_weights_at(w, 0)->size, N_NUMBERS);
    fi_weights_close(w);
    ftl_text_free(directory);
    CHECK_INT(ftl_hub_list(inside(store), &list, &n, &err), FTL_OK);
    CHECK(n == 1 && list[0].downloaded);
    ftl_hub_models_free(list, n);
    CHECK(size_of(part_of(store, "model.safetensors.part")) < 0);
    FILE *f = fopen(part_of(store, "download.json"), "r");
    char receipt[1024] = "";
    CHECK(f && fread(receipt, 1, sizeof receipt - 1, f) > 0 && !fclose(f));
    CHECK_CONTAINS(receipt, model_digest);
    CHECK_CONTAINS(receipt, "amazon/chronos-bolt-tiny");
}

static void check_absent(const char *store)
{
    char *directory;
    CHECK_INT(ftl_hub_resolve(inside(store), NAME, &directory, NULL), FTL_EINVAL);
}

static void check_failed(const char *mode, ftl_status status, const char *why)
{
    CHECK_INT(download(mode, mode, (ftl_hub_download_args){0}), status);
    CHECK_CONTAINS(err.message, why);
    check_absent(mode);
}

static bool count(void *user, const char *file, uint64_t done, uint64_t total)
{
    CHECK(total == 0 || done <= total);
    *(int *)user += !strcmp(file, "model.safetensors");
    return true;
}

TEST(a_model_is_downloaded_checked_listed_and_removed)
{
    int calls = 0;
    if (download("ok", "ok", (ftl_hub_download_args){.progress = count, .user = &calls})) fail_msg("%s", err.message);
    CHECK(calls > 0);
    check_there("ok");
    CHECK(size_of(part_of("ok", "generation_config.json")) < 0);           /* the server has none */
    CHECK_INT(download("ok", "gone", (ftl_hub_download_args){0}), FTL_OK); /* is there: nobody is asked */
    CHECK_INT(n_requests, 0);
    CHECK_INT(ftl_hub_remove(inside("ok"), NAME, &err), FTL_OK);
    check_absent("ok");
    CHECK(access(inside("ok/" NAME), F_OK));
    if (download("ok", "direct", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    check_there("ok");
    CHECK_INT(size_of(part_of("ok", "generation_config.json")), 2);
}

TEST(shards_are_downloaded_each_continued_and_checked)
{
    CHECK_INT(download("sharded", "shardscut", (ftl_hub_download_args){0}), FTL_EIO);
    CHECK_CONTAINS(err.message, "model-00002-of-00002.safetensors: the transfer broke off");
    check_absent("sharded");
    CHECK(size_of(part_of("sharded", models[1].name)) == (off_t)models[1].size);
    CHECK_INT(download("sharded", "shardslie", (ftl_hub_download_args){0}), FTL_EDATA);
    CHECK_CONTAINS(err.message, "model-00002-of-00002.safetensors: the checksum of what came is wrong");
    CHECK_INT(download("sharded", "shardscut", (ftl_hub_download_args){0}), FTL_EIO);
    if (download("sharded", "shards", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    CHECK(n_bytes <= (int)(models[2].size / 2 + 1)); /* the second half of the second shard */
    char *directory = NULL;
    fi_weights *w = NULL;
    CHECK_INT(ftl_hub_resolve(inside("sharded"), NAME, &directory, &err), FTL_OK);
    CHECK_INT(fi_weights_open(directory, &w, &err), FTL_OK);
    CHECK_INT(fi_weights_count(w), 2);
    fi_weights_close(w);
    ftl_text_free(directory);
    CHECK_INT(ftl_hub_remove(inside("sharded"), NAME, &err), FTL_OK);
    CHECK(access(inside("sharded/" NAME), F_OK)); /* nothing is left of it */
    CHECK_INT(download("sharded", "shardslacks", (ftl_hub_download_args){0}), FTL_EDATA);
    CHECK_CONTAINS(err.message, "what came is no model and was removed: ");
    CHECK(size_of(part_of("sharded", models[1].name)) < 0);
    CHECK_INT(download("sharded", "shardsout", (ftl_hub_download_args){0}), FTL_EDATA);
    CHECK_CONTAINS(err.message, "a file beside the index");
    CHECK_INT(download("sharded", "shardsodd", (ftl_hub_download_args){0}), FTL_EDATA);
    CHECK_CONTAINS(err.message, "'download.json', which is no name of a shard");
    check_absent("sharded");
    if (download("sharded", "shards", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
}

TEST(a_broken_off_download_goes_on_where_it_ended)
{
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(download("resumed", "cut", (ftl_hub_download_args){0}), FTL_EIO);
        CHECK_CONTAINS(err.message, "broke off");
        check_absent("resumed");
        CHECK(size_of(part_of("resumed", "model.safetensors.part")) == (off_t)(model_size - (model_size >> i)) ||
              size_of(part_of("resumed", "model.safetensors.part")) == (off_t)(model_size - (model_size >> i)) - 1);
    }
    if (download("resumed", "ok", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    CHECK(n_bytes < (int)(model_size / 4)); /* only the rest */
    check_there("resumed");
}

TEST(a_server_without_ranges_sends_all_again)
{
    CHECK_INT(download("again", "cut", (ftl_hub_download_args){0}), FTL_EIO);
    if (download("again", "norange", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    CHECK_INT(n_bytes, (int)model_size);
    check_there("again");
}

/* What an interrupted run left of `n` bytes, of the model or of something else. */
static void leave_part(const char *store, size_t n, bool right)
{
    CHECK_INT(download(store, "cut", (ftl_hub_download_args){0}), FTL_EIO);
    FILE *f = fopen(part_of(store, "model.safetensors.part"), "w");
    for (size_t i = 0; i < n; i++) CHECK(fputc(right && i < model_size ? (unsigned char)model[i] : 'x', f) != EOF);
    CHECK(!fclose(f));
}

TEST(parts_that_are_whole_or_wrong_are_found_out)
{
    leave_part("whole", model_size, true); /* ended just before it was renamed */
    if (download("whole", "ok", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    CHECK_INT(n_bytes, 0);
    check_there("whole");
    leave_part("beyond", model_size + 10, true);
    if (download("beyond", "ok", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    check_there("beyond");
    leave_part("wrong", model_size / 2, false);
    CHECK_INT(download("wrong", "ok", (ftl_hub_download_args){0}), FTL_EDATA);
    CHECK_CONTAINS(err.message, "checksum");
    check_absent("wrong");
    if (download("wrong", "ok", (ftl_hub_download_args){0})) fail_msg("%s", err.message); /* it was removed */
    check_there("wrong");
    leave_part("shifted", 1000, true);
    check_failed("shifted", FTL_EDATA, "another part of the file");
}

TEST(what_a_server_can_do_wrong_is_told)
{
    check_failed("gone", FTL_EIO, "no such file (404)");
    check_failed("denied", FTL_EIO, "does not give it to us (403)");
    check_failed("broken", FTL_EIO, "answers 500");
    check_failed("lie", FTL_EDATA, "the checksum of what came is wrong");
    check_failed("longer", FTL_EDATA, "came; it was removed");
    check_failed("page", FTL_EDATA, "what came is no model and was removed: ");
    CHECK(size_of(part_of("page", "config.json")) < 0);
    check_failed("endless", FTL_EDATA, "more than this file can hold");
    check_failed("loop", FTL_EIO, "redirects");
    check_failed("away", FTL_EIO, "rotocol");
    ftl_hub_download_args nowhere = {.url = "http://127.0.0.1:1"};
    CHECK_INT(ftl_hub_download(inside("nowhere"), NAME, &nowhere, &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "is there a network?");
    CHECK_INT(ftl_hub_download(inside("nowhere"), "chronos-bolt-smal", NULL, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "did you mean 'chronos-bolt-small'?");
}

TEST(a_silent_server_is_left)
{
    CHECK_INT(download("slow", "slow", (ftl_hub_download_args){.timeout_seconds = 1}), FTL_EIO);
    CHECK_CONTAINS(err.message, "broke off after 100 bytes");
    if (download("slow", "ok", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    check_there("slow");
}

static bool refuse(void *user, const char *file, uint64_t done, uint64_t total)
{
    (void)user, (void)file, (void)total;
    return done < 50;
}

TEST(a_download_can_be_cancelled)
{
    CHECK_INT(download("cancelled", "slow", (ftl_hub_download_args){.progress = refuse}), FTL_ECANCELLED);
    CHECK_CONTAINS(err.message, "cancelled after");
    check_absent("cancelled");
}

TEST(a_full_disk_is_told)
{
    struct rlimit before, small;
    CHECK(!getrlimit(RLIMIT_FSIZE, &before));
    small = before;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(!setrlimit(RLIMIT_FSIZE, &small));
    ftl_status st = download("full", "ok", (ftl_hub_download_args){0});
    CHECK(!setrlimit(RLIMIT_FSIZE, &before));
    CHECK_INT(st, FTL_EIO);
    CHECK_CONTAINS(err.message, "model.safetensors.part: cannot write: File too large");
    if (download("full", "ok", (ftl_hub_download_args){0})) fail_msg("%s", err.message);
    check_there("full");
}

TEST(a_name_that_was_added_is_not_overwritten)
{
    CHECK_INT(ftl_hub_add(inside("taken"), NAME, inside("ok/" NAME), &err), FTL_OK);
    CHECK_INT(download("taken", "ok", (ftl_hub_download_args){0}), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "foretell models remove " NAME);
}

static void make_model(served *m)
{
    float *numbers = calloc((size_t)m->numbers, sizeof *numbers);
    const fi_to_store tensor = {m->tensor, FI_F32, 1, {(size_t)m->numbers}, numbers};
    fi_sha256 hash;
    for (int i = 0; i < m->numbers; i++) numbers[i] = (float)i;
    CHECK_INT(fi_weights_write(inside("m.safetensors"), &tensor, 1, NULL, 0, &err), FTL_OK);
    m->size = (size_t)size_of(inside("m.safetensors"));
    m->bytes = malloc(m->size);
    FILE *f = fopen(inside("m.safetensors"), "rb");
    CHECK(f && fread(m->bytes, 1, m->size, f) == m->size && !fclose(f));
    fi_sha256_init(&hash);
    fi_sha256_add(&hash, m->bytes, m->size);
    fi_sha256_text(&hash, m->digest);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_downloaded_checked_listed_and_removed),
        cmocka_unit_test(shards_are_downloaded_each_continued_and_checked),
        cmocka_unit_test(a_broken_off_download_goes_on_where_it_ended),
        cmocka_unit_test(a_server_without_ranges_sends_all_again),
        cmocka_unit_test(parts_that_are_whole_or_wrong_are_found_out),
        cmocka_unit_test(what_a_server_can_do_wrong_is_told),
        cmocka_unit_test(a_silent_server_is_left),
        cmocka_unit_test(a_download_can_be_cancelled),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_name_that_was_added_is_not_overwritten),
    };
    pthread_t server;
    if (!ftl_hub_can_download()) {
        fprintf(stderr, "SKIPPED: built without libcurl; install libcurl4-openssl-dev to run this test\n");
        return 77;
    }
    static const char *const proxies[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    for (int i = 0; i < 3; i++) unsetenv(proxies[i]); /* libcurl would ask them for the loopback interface, too */
    if (make_folder(NULL)) return 1;                  /* the server's files need it before the tests do */
    for (int i = 0; i < 3; i++) make_model(&models[i]);
    start_server(&server);
    int failed = cmocka_run_group_tests(tests, NULL, remove_folder);
    shutdown(listener, SHUT_RDWR);
    pthread_join(server, NULL);
    close(listener);
    for (int i = 0; i < 3; i++) free(models[i].bytes);
    return failed;
}
