#include "base/file.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- reading ---- */

enum { CHUNK = 1 << 16 }; /* bytes asked of the system at a time, where they go through the inflater */

struct fi_stream {
    char *name;
    int fd;     /* -1: memory */
    bool owned; /* fd is ours to close */
    bool gzip, begun, ended;
    z_stream inflater;
    unsigned char *chunk;      /* [CHUNK], what was read ahead: the magic, then compressed bytes */
    const unsigned char *next; /* unread bytes: in chunk, or the caller's memory */
    size_t left;
    uint64_t size; /* 0: not known */
    _Atomic uint64_t done;
};

static const char *display_name(const char *path)
{
    return strcmp(path, "-") ? path : "standard input";
}

static ftl_status read_fd(fi_stream *in, void *buffer, size_t n, size_t *got, ftl_error *err)
{
    *got = 0;
    while (*got < n) {
        size_t want = n - *got < (size_t)1 << 30 ? n - *got : (size_t)1 << 30;
        ssize_t k = read(in->fd, (char *)buffer + *got, want);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return fi_fail(err, FTL_EIO, "%s: cannot read: %s", in->name, strerror(errno));
        if (k == 0) break;
        *got += (size_t)k;
    }
    atomic_fetch_add_explicit(&in->done, *got, memory_order_relaxed);
    return FTL_OK;
}

/* Raw bytes: those read ahead first, then the file. */
static ftl_status read_raw(fi_stream *in, void *buffer, size_t n, size_t *got, ftl_error *err)
{
    size_t ahead = in->left < n ? in->left : n, more = 0;
    if (ahead) memcpy(buffer, in->next, ahead);
    in->next += ahead;
    in->left -= ahead;
    ftl_status st = FTL_OK;
    if (in->fd >= 0 && ahead < n)
        st = read_fd(in, (char *)buffer + ahead, n - ahead, &more, err);
    else if (in->fd < 0)
        atomic_fetch_add_explicit(&in->done, ahead, memory_order_relaxed);
    *got = ahead + more;
    return st;
}

/* Makes sure that compressed bytes are at hand, if there are any left. */
static ftl_status refill(fi_stream *in, ftl_error *err)
{
    if (in->left || in->fd < 0) return FTL_OK;
    in->next = in->chunk;
    return read_fd(in, in->chunk, CHUNK, &in->left, err);
}

static ftl_status read_gzip(fi_stream *in, void *buffer, size_t n, size_t *got, ftl_error *err)
{
    z_stream *z = &in->inflater;
    *got = 0;
    while (*got < n && !in->ended) {
        ftl_status st = refill(in, err);
        if (st) return st;
        if (in->left == 0)
            return fi_fail(err, FTL_EDATA, "%s: the gzip data end too early; the file is cut short", in->name);
        size_t in_now = in->left < INT_MAX ? in->left : INT_MAX, out_now = n - *got < INT_MAX ? n - *got : INT_MAX;
        z->next_in = (unsigned char *)(uintptr_t)in->next; /* zlib does not write here */
        z->avail_in = (uInt)in_now;
        z->next_out = (unsigned char *)buffer + *got;
        z->avail_out = (uInt)out_now;
        int rc = inflate(z, Z_NO_FLUSH);
        size_t used = in_now - z->avail_in;
        in->next += used;
        in->left -= used;
        if (in->fd < 0) atomic_fetch_add_explicit(&in->done, used, memory_order_relaxed);
        *got += out_now - z->avail_out;
        if (rc == Z_MEM_ERROR) return fi_fail_memory(err);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return fi_fail(err, FTL_EDATA, "%s: the gzip data are damaged (%s)", in->name, z->msg ? z->msg : "inflate");
        if (rc == Z_STREAM_END) { /* another member may follow; zero padding may not, but is found in the wild */
            st = refill(in, err);
            if (st) return st;
            if (in->left == 0 || *in->next != 0x1F)
                in->ended = true;
            else
                inflateReset(z);
        }
    }
    return FTL_OK;
}

static void *zlib_alloc(void *opaque, uInt count, uInt size)
{
    (void)opaque;
    return fi_alloc(count, size);
}

static void zlib_free(void *opaque, void *block)
{
    (void)opaque;
    fi_free(block);
}

/* Looks at the first two bytes: gzip or not. */
static ftl_status begin(fi_stream *in, ftl_error *err)
{
    in->begun = true;
    if (in->fd >= 0) {
        in->next = in->chunk;
        ftl_status st = read_fd(in, in->chunk, 2, &in->left, err);
        if (st) return st;
    }
    in->gzip = in->left >= 2 && in->next[0] == 0x1F && in->next[1] == 0x8B;
    if (!in->gzip) return FTL_OK;
    in->inflater.zalloc = zlib_alloc;
    in->inflater.zfree = zlib_free;
    if (inflateInit2(&in->inflater, 15 + 16) != Z_OK) {
        in->gzip = false;
        return fi_fail_memory(err);
    }
    return FTL_OK;
}

ftl_status fi_stream_read(fi_stream *in, void *buffer, size_t n, size_t *got, ftl_error *err)
{
    *got = 0;
    ftl_status st = in->begun ? FTL_OK : begin(in, err);
    if (st) return st;
    return in->gzip ? read_gzip(in, buffer, n, got, err) : read_raw(in, buffer, n, got, err);
}

static ftl_status new_input(const char *name, fi_stream **out, ftl_error *err)
{
    fi_stream *in = fi_calloc(1, sizeof *in);
    *out = NULL;
    if (!in) return fi_fail_memory(err);
    in->fd = -1;
    in->name = fi_strdup(name);
    if (!in->name) {
        fi_free(in);
        return fi_fail_memory(err);
    }
    *out = in;
    return FTL_OK;
}

ftl_status fi_stream_open(const char *path, fi_stream **out, ftl_error *err)
{
    ftl_status st = new_input(display_name(path), out, err);
    if (st) return st;
    fi_stream *in = *out;
    struct stat info;
    *out = NULL;
    in->chunk = fi_alloc(CHUNK, 1);
    if (!in->chunk) {
        st = fi_fail_memory(err);
        goto fail;
    }
    in->owned = strcmp(path, "-") != 0;
    in->fd = in->owned ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (in->fd < 0) {
        st = fi_fail(err, FTL_EIO, "%s: cannot open: %s", path, strerror(errno));
        goto fail;
    }
    if (fstat(in->fd, &info)) {
        st = fi_fail(err, FTL_EIO, "%s: cannot read: %s", in->name, strerror(errno));
        goto fail;
    }
    if (S_ISREG(info.st_mode)) in->size = (uint64_t)info.st_size;
    if (S_ISDIR(info.st_mode)) {
        st = fi_fail(err, FTL_EIO, "%s: is a directory, not a file", in->name);
        goto fail;
    }
    *out = in;
    return FTL_OK;
fail:
    fi_stream_close(in);
    return st;
}

ftl_status fi_stream_memory(const char *text, size_t size, const char *name, fi_stream **out, ftl_error *err)
{
    ftl_status st = new_input(name, out, err);
    if (st) return st;
    (*out)->next = (const unsigned char *)text;
    (*out)->left = (*out)->size = size;
    return FTL_OK;
}

double fi_stream_progress(const fi_stream *in)
{
    uint64_t done = atomic_load_explicit(&in->done, memory_order_relaxed);
    if (in->size == 0) return -1.0;
    return done < in->size ? (double)done / (double)in->size : 1.0;
}

void fi_stream_close(fi_stream *in)
{
    if (!in) return;
    if (in->gzip) inflateEnd(&in->inflater);
    if (in->owned && in->fd >= 0) close(in->fd);
    fi_free(in->chunk);
    fi_free(in->name);
    fi_free(in);
}

ftl_status fi_file_read(const char *path, size_t max_size, char **data, size_t *size, ftl_error *err)
{
    fi_stream *in = NULL;
    char *text = NULL;
    size_t n = 0, capacity = 0, got = 0;
    *data = NULL;
    ftl_status st = fi_stream_open(path, &in, err);
    while (!st) {
        if (fi_grow(&text, &capacity, n + CHUNK + 1, 1)) {
            st = fi_fail_memory(err);
            break;
        }
        st = fi_stream_read(in, text + n, CHUNK, &got, err);
        n += got;
        if (!st && n > max_size)
            st = fi_fail(err, FTL_EDATA, "%s: is longer than %zu bytes, the most that is read here", display_name(path),
                         max_size);
        if (got < CHUNK) break;
    }
    if (!st) {
        text[n] = '\0';
        *data = text;
        *size = n;
        text = NULL;
    }
    fi_free(text);
    fi_stream_close(in);
    return st;
}

/* ---- writing ---- */

struct fi_file {
    char *target;    /* what is replaced, links followed; the display name where nothing is */
    char *temporary; /* NULL: written through */
    int fd;
    bool owned; /* fd is ours to close: not standard output */
    size_t pending;
    char buffer[1 << 16];
};

static ftl_status cannot_write(const char *name, ftl_error *err)
{
    return fi_fail(err, FTL_EIO, "%s: cannot write: %s", name,
                   errno == ENOENT ? "there is no such folder; create it first" : strerror(errno));
}

static ftl_status write_all(fi_file *file, const char *bytes, size_t n, ftl_error *err)
{
    while (n) {
        ssize_t k = write(file->fd, bytes, n < (size_t)1 << 30 ? n : (size_t)1 << 30);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return cannot_write(file->target, err);
        bytes += k;
        n -= (size_t)k;
    }
    return FTL_OK;
}

/* Follows symbolic links, also to a file that does not exist yet: a new string, or NULL with errno set. */
static char *follow_links(const char *path)
{
    char *at = fi_strdup(path);
    for (int depth = 0; at; depth++) {
        char link[PATH_MAX];
        ssize_t n = readlink(at, link, sizeof link - 1);
        if (n < 0) return at; /* no link, or nothing there */
        if (depth == 40) {
            fi_free(at);
            errno = ELOOP;
            return NULL;
        }
        link[n] = '\0';
        const char *slash = strrchr(at, '/');
        size_t folder = link[0] == '/' || !slash ? 0 : (size_t)(slash + 1 - at);
        char *next = fi_alloc(folder + (size_t)n + 1, 1);
        if (next) {
            memcpy(next, at, folder);
            memcpy(next + folder, link, (size_t)n + 1);
        }
        fi_free(at);
        at = next;
    }
    errno = ENOMEM;
    return NULL;
}

/* Opens a new file of an unpredictable name in the folder of the target. */
static ftl_status open_temporary(fi_file *file, ftl_error *err)
{
    const char *slash = strrchr(file->target, '/');
    size_t folder = slash ? (size_t)(slash + 1 - file->target) : 0, room = folder + 40;
    file->temporary = fi_alloc(room, 1);
    if (!file->temporary) return fi_fail_memory(err);
    memcpy(file->temporary, file->target, folder);
    for (int attempt = 0; attempt < 16; attempt++) {
        uint64_t number;
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) break;
        snprintf(file->temporary + folder, room - folder, ".foretell-%016llx.tmp", (unsigned long long)number);
        file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd >= 0) return FTL_OK;
        if (errno != EEXIST) break;
    }
    ftl_status st = cannot_write(file->target, err);
    fi_free(file->temporary);
    file->temporary = NULL;
    return st;
}

static ftl_status open_target(fi_file *file, ftl_error *err)
{
    struct stat info;
    size_t n = strlen(file->target);
    if (n == 0) return fi_fail(err, FTL_EIO, "the name of the file to write is empty");
    if (file->target[n - 1] == '/') return fi_fail(err, FTL_EIO, "%s: cannot write: is a directory", file->target);
    if (stat(file->target, &info)) return errno == ENOENT ? open_temporary(file, err) : cannot_write(file->target, err);
    if (S_ISDIR(info.st_mode)) return fi_fail(err, FTL_EIO, "%s: cannot write: is a directory", file->target);
    if (!S_ISREG(info.st_mode)) {
        file->fd = open(file->target, O_WRONLY | O_CLOEXEC);
        return file->fd < 0 ? cannot_write(file->target, err) : FTL_OK;
    }
    if (access(file->target, W_OK)) return cannot_write(file->target, err); /* rename() alone would not mind */
    ftl_status st = open_temporary(file, err);
    if (!st && fchmod(file->fd, info.st_mode & 07777)) st = cannot_write(file->target, err);
    return st;
}

ftl_status fi_file_create(const char *path, fi_file **out, ftl_error *err)
{
    *out = NULL;
    fi_file *file = fi_alloc(1, sizeof *file);
    if (!file) return fi_fail_memory(err);
    bool to_stdout = strcmp(path, "-") == 0;
    file->temporary = NULL;
    file->fd = -1;
    file->owned = !to_stdout;
    file->pending = 0;
    file->target = to_stdout ? fi_strdup("standard output") : follow_links(path);
    ftl_status st = FTL_OK;
    if (!file->target)
        st = errno == ELOOP ? cannot_write(path, err) : fi_fail_memory(err);
    else if (to_stdout)
        file->fd = STDOUT_FILENO;
    else
        st = open_target(file, err);
    if (st) {
        fi_file_discard(file);
        return st;
    }
    *out = file;
    return FTL_OK;
}

static ftl_status flush(fi_file *file, ftl_error *err)
{
    size_t n = file->pending;
    file->pending = 0;
    return write_all(file, file->buffer, n, err);
}

ftl_status fi_file_write(fi_file *file, const void *bytes, size_t n, ftl_error *err)
{
    if (n > sizeof file->buffer - file->pending) {
        ftl_status st = flush(file, err);
        if (st) return st;
        if (n >= sizeof file->buffer) return write_all(file, bytes, n, err);
    }
    if (n) memcpy(file->buffer + file->pending, bytes, n);
    file->pending += n;
    return FTL_OK;
}

/* So that the new name survives a power cut. Not every file system can; then the rename is as safe as it gets. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX] = ".";
    size_t n = slash ? (size_t)(slash + 1 - path) : 0;
    if (n >= sizeof folder) return;
    if (n) memcpy(folder, path, n), folder[n] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

ftl_status fi_file_commit(fi_file *file, ftl_error *err)
{
    ftl_status st = flush(file, err);
    if (!st && file->temporary) {
        int closed = fsync(file->fd);
        if (close(file->fd)) closed = -1;
        file->fd = -1;
        if (closed || rename(file->temporary, file->target)) {
            st = cannot_write(file->target, err);
        } else {
            sync_folder(file->target);
            fi_free(file->temporary);
            file->temporary = NULL;
        }
    } else if (!st && file->owned) {
        int closed = close(file->fd);
        file->fd = -1;
        if (closed) st = cannot_write(file->target, err);
    }
    fi_file_discard(file);
    return st;
}

void fi_file_discard(fi_file *file)
{
    if (!file) return;
    if (file->owned && file->fd >= 0) close(file->fd);
    if (file->temporary) unlink(file->temporary);
    fi_free(file->temporary);
    fi_free(file->target);
    fi_free(file);
}

bool fi_is_directory(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}
