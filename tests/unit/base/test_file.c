#include "check.h"

#include "base/alloc.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

static char folder[] = "/tmp/foretell-file-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[2][512];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void check_content(const char *path, const char *expected)
{
    char *data;
    size_t size;
    ftl_error err;
    if (fi_file_read(path, 1 << 20, &data, &size, &err)) fail_msg("%s", err.message);
    CHECK_INT(size, strlen(expected));
    CHECK_TEXT(data, expected);
    fi_free(data);
}

/* Files in the folder: nothing temporary may stay behind. */
static int count_files(void)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

static ftl_status write_new(const char *path, const char *text, ftl_error *err)
{
    fi_file *file;
    ftl_status st = fi_file_create(path, &file, err);
    if (st) return st;
    st = fi_file_write(file, text, strlen(text), err);
    if (!st) return fi_file_commit(file, err);
    fi_file_discard(file);
    return st;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int clear_folder(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) remove(in_folder(e->d_name));
    closedir(d);
    return 0;
}

static int remove_folder(void **state)
{
    return clear_folder(state) || rmdir(folder);
}

TEST(new_content_appears_only_at_commit)
{
    const char *path = in_folder("out.csv");
    fi_file *file;
    CHECK_INT(fi_file_create(path, &file, NULL), FTL_OK);
    CHECK_INT(fi_file_write(file, "a,b\n", 4, NULL), FTL_OK);
    CHECK(access(path, F_OK) != 0);
    CHECK_INT(fi_file_commit(file, NULL), FTL_OK);
    check_content(path, "a,b\n");
    CHECK_INT(count_files(), 1);

    CHECK_INT(fi_file_create(path, &file, NULL), FTL_OK);
    for (int i = 0; i < 100000; i++) CHECK_INT(fi_file_write(file, "0123456789", 10, NULL), FTL_OK);
    check_content(path, "a,b\n"); /* a megabyte is on the disk, elsewhere */
    fi_file_discard(file);
    check_content(path, "a,b\n");
    CHECK_INT(count_files(), 1);

    static char big[200001];
    memset(big, 'x', sizeof big - 1);
    CHECK_INT(write_new(path, big, NULL), FTL_OK); /* larger than the buffer in one go */
    check_content(path, big);
    CHECK_INT(write_new(path, "", NULL), FTL_OK);
    check_content(path, "");
}

TEST(killed_while_writing_the_old_file_stays)
{
    const char *path = in_folder("kept.csv");
    write_file(path, "old\n");
    int ready[2];
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        fi_file *file;
        if (fi_file_create(path, &file, NULL)) _exit(1);
        static char block[1 << 17];
        fi_file_write(file, block, sizeof block, NULL);
        if (write(ready[1], "r", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    char c;
    CHECK(read(ready[0], &c, 1) == 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    check_content(path, "old\n");
}

TEST(permission_bits_stay_or_follow_the_umask)
{
    struct stat info;
    mode_t old = umask(027);
    CHECK_INT(write_new(in_folder("new"), "x", NULL), FTL_OK);
    CHECK(stat(in_folder("new"), &info) == 0);
    CHECK_INT(info.st_mode & 07777, 0640);
    CHECK(chmod(in_folder("new"), 0604) == 0);
    CHECK_INT(write_new(in_folder("new"), "y", NULL), FTL_OK);
    CHECK(stat(in_folder("new"), &info) == 0);
    CHECK_INT(info.st_mode & 07777, 0604);
    umask(old);
}

TEST(links_stay_and_their_target_is_replaced)
{
    struct stat info;
    write_file(in_folder("target"), "old");
    CHECK(symlink("target", in_folder("link")) == 0);
    CHECK(symlink(in_folder("link"), in_folder("link2")) == 0);
    CHECK_INT(write_new(in_folder("link2"), "new", NULL), FTL_OK);
    CHECK(lstat(in_folder("link2"), &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(lstat(in_folder("link"), &info) == 0 && S_ISLNK(info.st_mode));
    check_content(in_folder("target"), "new");
    CHECK(symlink("later", in_folder("dangling")) == 0);
    CHECK_INT(write_new(in_folder("dangling"), "made", NULL), FTL_OK);
    check_content(in_folder("later"), "made");
    CHECK(symlink("loop", in_folder("loop")) == 0);
    ftl_error err;
    CHECK_INT(write_new(in_folder("loop"), "x", &err), FTL_EIO);
}

static void *read_pipe(void *path)
{
    char buffer[64] = "";
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(buffer, 1, sizeof buffer - 1, f) : 0;
    if (f) fclose(f);
    return n == 5 && memcmp(buffer, "hello", 5) == 0 ? path : NULL;
}

TEST(devices_and_pipes_are_written_through)
{
    struct stat info;
    CHECK_INT(write_new("/dev/null", "gone", NULL), FTL_OK);
    CHECK(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
    char path[512];
    snprintf(path, sizeof path, "%s", in_folder("fifo"));
    CHECK(mkfifo(path, 0600) == 0);
    pthread_t thread;
    void *got = NULL;
    CHECK(pthread_create(&thread, NULL, read_pipe, path) == 0);
    CHECK_INT(write_new(path, "hello", NULL), FTL_OK);
    pthread_join(thread, &got);
    CHECK(got != NULL);
    CHECK(stat(path, &info) == 0 && S_ISFIFO(info.st_mode));
    ftl_error err;
    if (access("/dev/full", W_OK) == 0) {
        CHECK_INT(write_new("/dev/full", "x", &err), FTL_EIO);
        CHECK_CONTAINS(err.message, "/dev/full: cannot write: No space left");
    }
}

TEST(standard_output_and_its_broken_pipe)
{
    int ends[2], old = dup(STDOUT_FILENO);
    ftl_error err = {FTL_OK, ""};
    char buffer[16] = "";
    fflush(stdout);
    CHECK(pipe(ends) == 0);
    dup2(ends[1], STDOUT_FILENO);
    ftl_status st = write_new("-", "to stdout", &err);
    ssize_t n = read(ends[0], buffer, sizeof buffer - 1);
    signal(SIGPIPE, SIG_IGN);
    close(ends[0]);
    ftl_status broken = write_new("-", "to nobody", &err);
    signal(SIGPIPE, SIG_DFL);
    dup2(old, STDOUT_FILENO);
    close(old);
    close(ends[1]);
    CHECK_INT(st, FTL_OK);
    CHECK_INT(n, 9);
    CHECK_TEXT(buffer, "to stdout");
    CHECK_INT(broken, FTL_EIO);
    CHECK_CONTAINS(err.message, "standard output: cannot write: Broken pipe");
}

TEST(failures_leave_no_file_behind)
{
    ftl_error err;
    fi_file *file;
    CHECK_INT(write_new(in_folder("no/such/folder"), "x", &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "cannot write: there is no such folder");
    CHECK_INT(write_new(folder, "x", &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "is a directory");
    CHECK_INT(write_new(in_folder("new/"), "x", &err), FTL_EIO);
    CHECK_INT(fi_file_create("", &file, &err), FTL_EIO);
    CHECK(file == NULL);

    const char *path = in_folder("full"); /* as on a full disk */
    write_file(path, "old");
    struct rlimit before, small = {1 << 16, RLIM_INFINITY};
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    static char big[1 << 18];
    memset(big, 'x', sizeof big - 1);
    ftl_status st = write_new(path, big, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_INT(st, FTL_EIO);
    CHECK_CONTAINS(err.message, "full: cannot write: File too large");
    check_content(path, "old");
    CHECK_INT(count_files(), 1);

    for (long n = 0; n < 4; n++) {
        fi_alloc_fail_after(n);
        st = write_new(path, "new", &err);
        fi_alloc_fail_after(-1);
        CHECK(st == (n < 3 ? FTL_ENOMEM : FTL_OK));
        check_content(path, n < 3 ? "old" : "new");
        CHECK_INT(count_files(), 1);
    }
}

TEST(reading_checks_the_size)
{
    const char *path = in_folder("in");
    write_file(path, "12345");
    char *data;
    size_t size;
    ftl_error err;
    CHECK_INT(fi_file_read(path, 5, &data, &size, &err), FTL_OK);
    CHECK_TEXT(data, "12345");
    fi_free(data);
    CHECK_INT(fi_file_read(path, 4, &data, &size, &err), FTL_EDATA);
    CHECK(data == NULL);
    CHECK_CONTAINS(err.message, "longer than 4 bytes");
    CHECK_INT(fi_file_read(in_folder("absent"), 4, &data, &size, &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "absent: cannot open: No such file");

    gzFile gz = gzopen(path, "wb"); /* a bomb: ten megabytes of zeros in ten kilobytes */
    static char zeros[1 << 16];
    for (int i = 0; i < 160; i++) CHECK(gzwrite(gz, zeros, sizeof zeros) == sizeof zeros);
    CHECK(gzclose(gz) == Z_OK);
    CHECK_INT(fi_file_read(path, 1 << 20, &data, &size, &err), FTL_EDATA);
    CHECK_INT(fi_file_read(path, 1 << 24, &data, &size, &err), FTL_OK);
    CHECK_INT(size, 160 * sizeof zeros);
    fi_free(data);
    for (long n = 0; n < 3; n++) {
        fi_alloc_fail_after(n);
        CHECK_INT(fi_file_read(path, 1 << 24, &data, &size, &err), FTL_ENOMEM);
        fi_alloc_fail_after(-1);
        CHECK(data == NULL);
    }
}

TEST(input_tells_how_far_it_is)
{
    fi_stream *in;
    char buffer[4];
    size_t got;
    CHECK_INT(fi_stream_memory("12345678", 8, "m", &in, NULL), FTL_OK);
    CHECK_NEAR(fi_stream_progress(in), 0, 0);
    for (int i = 1; i <= 2; i++) {
        CHECK_INT(fi_stream_read(in, buffer, 4, &got, NULL), FTL_OK);
        CHECK_INT(got, 4);
        CHECK_NEAR(fi_stream_progress(in), i / 2.0, 0);
    }
    CHECK_INT(fi_stream_read(in, buffer, 4, &got, NULL), FTL_OK);
    CHECK_INT(got, 0);
    fi_stream_close(in);
    fi_stream_close(NULL);
    write_file(in_folder("p"), "abcd");
    CHECK_INT(fi_stream_open(in_folder("p"), &in, NULL), FTL_OK);
    CHECK_INT(fi_stream_read(in, buffer, 3, &got, NULL), FTL_OK);
    CHECK(got == 3 && memcmp(buffer, "abc", 3) == 0);
    CHECK_NEAR(fi_stream_progress(in), 0.75, 0);
    CHECK_INT(fi_stream_read(in, buffer, 3, &got, NULL), FTL_OK);
    CHECK(got == 1 && buffer[0] == 'd');
    fi_stream_close(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(new_content_appears_only_at_commit, clear_folder),
        cmocka_unit_test_teardown(killed_while_writing_the_old_file_stays, clear_folder),
        cmocka_unit_test_teardown(permission_bits_stay_or_follow_the_umask, clear_folder),
        cmocka_unit_test_teardown(links_stay_and_their_target_is_replaced, clear_folder),
        cmocka_unit_test_teardown(devices_and_pipes_are_written_through, clear_folder),
        cmocka_unit_test_teardown(standard_output_and_its_broken_pipe, clear_folder),
        cmocka_unit_test_teardown(failures_leave_no_file_behind, clear_folder),
        cmocka_unit_test_teardown(reading_checks_the_size, clear_folder),
        cmocka_unit_test_teardown(input_tells_how_far_it_is, clear_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
