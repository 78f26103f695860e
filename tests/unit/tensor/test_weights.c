#include "folder.h"
#include "unit/tensor/stored.h"

#include "base/alloc.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- files made here ---- */

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, n, f) == n && !fclose(f));
}

/* A safetensors file of a header and n zero bytes of data; returns its size. */
static size_t compose(unsigned char *out, const char *header, size_t n)
{
    uint64_t length = strlen(header);
    memcpy(out, &length, 8);
    memcpy(out + 8, header, length);
    memset(out + 8 + length, 0, n);
    return 8 + (size_t)length + n;
}

/* ---- reading ---- */

TEST(a_file_of_all_types_is_read)
{
    fi_weights *w = NULL;
    CHECK_INT(fi_weights_open(FTL_TEST_DATA "/weights/types.safetensors", &w, &err), FTL_OK);
    check_types(w);
    CHECK_TEXT(fi_weights_path(w), FTL_TEST_DATA "/weights/types.safetensors");
    CHECK_TEXT(fi_weights_metadata(w, "format"), "pt");
    CHECK(fi_weights_metadata(w, "pt") == NULL);
    float x[12];
    const fi_stored *t = fi_weights_find(w, "f32");
    CHECK(fi_stored_has_rows(t));
    CHECK_INT(fi_stored_read_rows(w, t, 1, 1, x, &err), FTL_OK); /* the second of [2, 3, 4] */
    CHECK(x[0] == 12.0f / 8 - 1 && x[11] == 23.0f / 8 - 1);
    fi_weights_close(w);
    fi_weights_close(NULL);
}

TEST(shards_are_found_through_their_index_and_folder)
{
    static const char *const paths[] = {FTL_TEST_DATA "/weights/shards/model.safetensors.index.json",
                                        FTL_TEST_DATA "/weights/shards"};
    for (int i = 0; i < 2; i++) {
        fi_weights *w = NULL;
        float x[4];
        if (fi_weights_open(paths[i], &w, &err)) fail_msg("%s", err.message);
        CHECK_INT(fi_weights_count(w), 2);
        read_named(w, "a.weight", x);
        CHECK(x[3] == 1.5f);
        read_named(w, "b.weight", x);
        CHECK(x[0] == -2.0f);
        fi_weights_close(w);
    }
}

static void check_index(const char *text, ftl_status status, const char *why)
{
    fi_weights *w = (void *)1;
    write_file(inside("x.safetensors.index.json"), text, strlen(text));
    CHECK_INT(fi_weights_open(inside("x.safetensors.index.json"), &w, &err), status);
    CHECK(w == NULL);
    CHECK_CONTAINS(err.message, why);
}

TEST(an_index_stays_in_its_folder_and_must_fit_its_shards)
{
    unsigned char bytes[256];
    size_t n = compose(bytes, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    write_file(inside("s1"), bytes, n);
    write_file(inside("s2"), bytes, n);
    check_index("{}", FTL_EDATA, "weight_map");
    check_index("[", FTL_EDATA, "index.json");
    check_index("[{\"weight_map\":{\"a\":\"s1\"}}, 1]", FTL_EDATA, "weight_map");
    check_index("{\"weight_map\":{\"a\":\"s1\"}", FTL_EDATA, "not valid JSON at byte 24");
    check_index("{\"weight_map\":{\"a\":\"s1\"}}}", FTL_EDATA, "something follows");
    check_index("{\"weight_map\":{\"a\":\"s1\"},\"weight_map\":{}}", FTL_EDATA, "one object");
    check_index("{\"weight_map\":{\"a\":\"s1\",\"a\":\"s1\"}}", FTL_EDATA, "names tensor 'a' twice");
    check_index("{\"weight_map\":{\"a\":\"s\\u0000\"}}", FTL_EDATA, "an escape that is none");
    check_index("{\"weight_map\":{\"a\":\"../s1\"}}", FTL_EDATA, "beside the index");
    check_index("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", FTL_EDATA, "beside the index");
    check_index("{\"weight_map\":{\"a\":\"..\"}}", FTL_EDATA, "beside the index");
    check_index("{\"weight_map\":{\"a\":\"\"}}", FTL_EDATA, "beside the index");
    check_index("{\"weight_map\":{\"a\":7}}", FTL_EDATA, "tensor 'a'");
    check_index("{\"weight_map\":{\"a\":\"s3\"}}", FTL_EIO, "s3: cannot open");
    check_index("{\"weight_map\":{\"b\":\"s1\"}}", FTL_EDATA, "s1: has no tensor 'b'");
    check_index("{\"weight_map\":{\"a\":\"s1\",\"b\":\"s2\"}}", FTL_EDATA, "'a' is there twice");
    fi_weights *w = NULL;
    static const char odd[] = "{\"b\":[{}],\"weight_map\":{\"\\u0061\":\"s\\u0031\"}} ";
    write_file(inside("x.safetensors.index.json"), odd, sizeof odd - 1);
    CHECK_INT(fi_weights_open(inside("x.safetensors.index.json"), &w, &err), FTL_OK);
    fi_weights_close(w);
}

TEST(paths_without_weights_are_refused)
{
    fi_weights *w = (void *)1;
    CHECK_INT(fi_weights_open(inside("absent"), &w, &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "absent: cannot open");
    CHECK_INT(fi_weights_open(folder, &w, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "no weights here");
    write_file(inside("empty"), "", 0);
    CHECK_INT(fi_weights_open(inside("empty"), &w, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "is empty");
    CHECK_INT(mkfifo(inside("pipe"), 0600), 0);
    CHECK_INT(fi_weights_open(inside("pipe"), &w, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "regular files");
    CHECK(w == NULL);
}

TEST(headers_that_lie_are_refused)
{
    static const struct {
        const char *header;
        size_t n; /* bytes of data */
        const char *why;
    } bad[] = {
        {"[]", 0, "must be an object"},
        {"", 0, "a value is expected"},
        {"{}{}", 0, "something follows the end"},
        {"{\"a\":", 0, "a value is expected"},
        {"{\"a\"}", 0, "':' is expected"},
        {"{a:1}", 0, "text is expected"},
        {"{\"__metadata__\":{\"a\":\"\xFF\"}}", 0, "not UTF-8"},
        {"{\"__metadata__\":{\"a\":\"\n\"}}", 0, "a control character"},
        {"{\"__metadata__\":{\"a\":\"\\x\"}}", 0, "an escape that is none"},
        {"{\"__metadata__\":{\"a\":\"\\uD800\"}}", 0, "an escape that is none"},
        {"{\"__metadata__\":{\"a\":\"\\u00g0\"}}", 0, "an escape that is none"},
        {"{\"__metadata__\":{\"a\":\"b\" \"c\":\"d\"}}", 0, "',' or '}' is expected"},
        {"{\"__metadata__\":{\"a\":\"b\",}}", 0, "text is expected"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice"},
        {"{\"a\":{\"x\":tru}}", 0, "a value is expected"},
        {"{\"a\":{\"x\":01}}", 0, "a number that is none"},
        {"{\"a\":{\"x\":1.}}", 0, "a number that is none"},
        {"{\"a\":{\"x\":[1 2]}}", 0, "',' or ']' is expected"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0, "must each be given once"},
        {"{\"a\":{\"dtype\":8}}", 0, "its dtype must be text"},
        {"{\"a\":3}", 0, "tensor 'a'"},
        {"{\"a\":{}}", 0, "dtype, shape and data_offsets"},
        {"{", 0, "not valid JSON"},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "F8_E4M3"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1, "not negative"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, "whole numbers"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
         "at most 8 whole numbers"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "ascending"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1, "ascending"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}}", 1, "ascending"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1, "cut short"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", 1, "cut short"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}}", 1, "ascending"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "not what its shape needs"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, "not what its shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "not what its"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, "tensor 'b': its data overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
         3, "tensor 'b': unused bytes"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2, "belong to none"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, "'a' is there twice"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__"},
        {"{\"__metadata__\":[]}", 0, "__metadata__"},
    };
    unsigned char bytes[1024];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bytes, compose(bytes, bad[i].header, bad[i].n), bad[i].why);
    check_refused("", 0, "cut short");
    check_refused("1234567", 7, "cut short");
    static const uint64_t lengths[] = {1, 100, 0x7FFFFFFFFFFFFFFFu, 0xFFFFFFFFFFFFFFFFu, 0xFFFFFFFFFFFFFFF8u};
    for (size_t i = 0; i < 5; i++) {
        memcpy(bytes, &lengths[i], 8);
        check_refused(bytes, 8, "cut short");
    }
    size_t n = compose(bytes, "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
    for (size_t cut = 0; cut < n; cut++) check_refused(bytes, cut, "");
}

TEST(a_deep_header_is_refused)
{
    size_t n = 100000;
    unsigned char *bytes = malloc(n + 8);
    memcpy(bytes, &(uint64_t){n}, 8);
    memset(bytes + 8, '[', n);
    check_refused(bytes, n + 8, "must be an object");
    memcpy(bytes + 8, "{\"a\":{\"b\":", 10);
    check_refused(bytes, n + 8, "nests too deep");
    free(bytes);
}

TEST(odd_but_valid_headers_are_read)
{
    unsigned char bytes[512];
    fi_weights *w = NULL;
    float x;
    size_t n =
        compose(bytes,
                " { \"\\u0061\\ud83d\\ude00\\n\" : {\"x\":{\"y\":[-1.5e+3,null,true,[],{}]}, \"\\u0064type\":\"U8\","
                "\"shape\":[ ],\"data_offsets\":[0,1]},\r\n\"__metadata__\":{\"a\\\"\":\"\\u00e9\\u20ac\"}} ",
                1);
    bytes[n - 1] = 7;
    if (fi_weights_open_memory(bytes, n, "odd", &w, &err)) fail_msg("%s", err.message);
    CHECK_INT(fi_weights_count(w), 1);
    read_named(w, "a\xF0\x9F\x98\x80\n", &x);
    CHECK(x == 7);
    CHECK_TEXT(fi_weights_metadata(w, "a\""), "\xC3\xA9\xE2\x82\xAC");
    fi_weights_close(w);
}

/* ---- memory ---- */

enum {
    BIG = 20 << 20,
    SPARE = 3 << 20
}; /* what reading may take beside the size of the file: buffers, the allocator */

/* Opens the file in a child that may take no more memory than the file has bytes, and a little. */
static ftl_status open_frugally(const char *path)
{
    struct stat info;
    size_t pages = 0;
    CHECK(!stat(path, &info));
    const pid_t child = fork();
    if (child == 0) {
        fi_weights *w = NULL;
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%zu", &pages) != 1) _exit(100);
        fclose(f);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they have memory of their own */
        const rlim_t most = pages * (size_t)sysconf(_SC_PAGESIZE) + (size_t)info.st_size + SPARE;
        if (setrlimit(RLIMIT_AS, &(struct rlimit){most, most})) _exit(100);
#endif
        _exit((int)fi_weights_open(path, &w, NULL));
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return (ftl_status)WEXITSTATUS(status);
}

/* A file of `before`, then `part` again and again up to about BIG bytes, then `after`; a header where it is safetensors. */
static const char *big_file(const char *name, const char *before, const char *part, const char *after)
{
    const bool counts = strchr(part, '%') != NULL; /* "%07x": four characters that are written as seven */
    const size_t n = strlen(part), written = n + (counts ? 3 : 0), times = BIG / written;
    const uint64_t length = strlen(before) + written * times + strlen(after);
    FILE *f = fopen(inside(name), "wb");
    CHECK(f != NULL);
    if (strstr(name, ".safetensors") && !strstr(name, ".json")) CHECK(fwrite(&length, sizeof length, 1, f) == 1);
    fputs(before, f);
    for (size_t i = 0; i < times && counts; i++) fprintf(f, part, (unsigned)i);
    enum { AT_ONCE = 4096 };
    char *many = counts ? NULL : malloc(n * AT_ONCE);
    for (size_t i = 0; many && i < AT_ONCE; i++) memcpy(many + i * n, part, n);
    for (size_t left = many ? times : 0, some; left; left -= some) {
        some = left < AT_ONCE ? left : AT_ONCE;
        CHECK(fwrite(many, n, some, f) == some);
    }
    free(many);
    fputs(after, f);
    CHECK(!fclose(f));
    return inside(name);
}

TEST(hostile_files_take_no_more_memory_than_they_have_bytes)
{
    static const struct {
        const char *name, *before, *part, *after;
        ftl_status status;
    } files[] = {
        {"zeros.safetensors", "{\"a\":{\"x\":[0", ",0", "]}}", FTL_EDATA},
        {"shape.safetensors", "{\"a\":{\"shape\":[0", ",0", "]}}", FTL_EDATA},
        {"nested.safetensors", "{\"a\":{\"x\":[[]", ",[[[[]]]]", "]}}", FTL_EDATA},
        {"objects.safetensors", "{\"a\":{\"x\":[[]", ",{\"\":{}}", "]}}", FTL_EDATA},
        {"deep.safetensors", "{\"a\":{\"x\":[", "[", "]}}", FTL_EDATA},
        {"tiny.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,0]}",
         ",\"%07x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", "}", FTL_EDATA},
        {"name.safetensors", "{\"", "n", "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", FTL_EDATA},
        {"text.safetensors", "{\"__metadata__\":{\"a\":\"", "\\u00e9", "\"}}", FTL_EDATA},
        {"texts.safetensors", "{\"__metadata__\":{\"a\":\"\"", ",\"\":\"\"", "}}", FTL_EDATA},
        {"dtype.safetensors", "{\"a\":{\"dtype\":\"", "F", "\"}}", FTL_EDATA},
        {"blank.safetensors", "{", " ", "}", FTL_OK},
        {"zeros.safetensors.index.json", "{\"x\":[0", ",0", "]}", FTL_EDATA},
        {"map.safetensors.index.json", "{\"weight_map\":{\"a\":\"s\"", ",\"%07x\":\"s\"", "}}", FTL_EIO},
        {"files.safetensors.index.json", "{\"weight_map\":{\"a\":\"s\"", ",\"\":\"%07x\"", "}}", FTL_EDATA},
        {"name.safetensors.index.json", "{\"weight_map\":{\"a\":\"", "s", "\"}}", FTL_EDATA},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = big_file(files[i].name, files[i].before, files[i].part, files[i].after);
        const ftl_status st = open_frugally(path);
        if (st != files[i].status) fail_msg("%s: status %d, expected %d", path, (int)st, (int)files[i].status);
        unlink(path);
    }
}

TEST(a_tensor_larger_than_its_file_takes_no_memory)
{
    unsigned char bytes[256];
    size_t n =
        compose(bytes, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2500000000],\"data_offsets\":[0,10000000000]}}", 100);
    write_file(inside("claim"), bytes, n);
    CHECK_INT(open_frugally(inside("claim")), FTL_EDATA);
    memcpy(bytes, &(uint64_t){10000000000u}, 8);
    write_file(inside("claim"), bytes, n);
    CHECK_INT(open_frugally(inside("claim")), FTL_EDATA);
}

/* Tensors that are really there cost what they need: ten thousand small ones of a file of 1 MB of numbers. */
TEST(many_real_tensors_are_read)
{
    enum { N = 10000 };
    static fi_to_store tensors[N];
    static char names[N][32];
    static const float x[64] = {1, 2};
    fi_weights *w = NULL;
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "layer.%d.weight", i);
        tensors[i] = (fi_to_store){names[i], FI_F32, 1, {64}, x};
    }
    CHECK_INT(fi_weights_write(inside("many"), tensors, N, NULL, 0, &err), FTL_OK);
    CHECK_INT(open_frugally(inside("many")), FTL_OK);
    CHECK_INT(fi_weights_open(inside("many"), &w, &err), FTL_OK);
    CHECK_INT(fi_weights_count(w), N);
    fi_weights_close(w);
}

TEST(weights_that_are_no_numbers_are_refused_by_name)
{
    static const uint16_t patterns[] = {0x7FC0, 0x7F80, 0xFF80};
    unsigned char bytes[256];
    for (int i = 0; i < 3; i++) {
        float x[2];
        fi_weights *w = NULL;
        size_t n = compose(bytes, "{\"layer.weight\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4);
        memcpy(bytes + n - 2, &patterns[i], 2);
        CHECK_INT(fi_weights_open_memory(bytes, n, "m.safetensors", &w, &err), FTL_OK);
        CHECK_INT(fi_stored_read(w, fi_weights_at(w, 0), x, &err), FTL_EDATA);
        CHECK_CONTAINS(err.message, "m.safetensors: tensor 'layer.weight': number 1 is ");
        CHECK_CONTAINS(err.message, i ? "infinite" : "NaN");
        fi_weights_close(w);
    }
}

TEST(opening_survives_lack_of_memory)
{
    static const char *const paths[] = {FTL_TEST_DATA "/weights/types.safetensors", FTL_TEST_DATA "/weights/shards"};
    for (int i = 0; i < 2; i++) {
        ftl_status st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
            fi_weights *w = NULL;
            fi_alloc_fail_after(n);
            st = fi_weights_open(paths[i], &w, &err);
            fi_alloc_fail_after(-1);
            CHECK((st == FTL_OK) == (w != NULL));
            fi_weights_close(w);
        }
        CHECK_INT(st, FTL_OK);
    }
}

/* ---- writing ---- */

static const int64_t longs[] = {-3, -2, -1, 0, 1, 2};
static const int32_t ints[] = {-3, -2, -1, 0, 1, 2};
static const signed char bytes8[] = {-128, 0, 127};
static const unsigned char bytes_u8[] = {0, 255}, booleans[] = {1, 0, 1};
static float ramp[24];
static double thirds[24];

/* The same tensors as tools/make_weight_fixtures.py, in another order. */
static size_t own_types(fi_to_store *out)
{
    static const float scalar = 2.5f, one = 1.0f;
    for (int i = 0; i < 24; i++) {
        ramp[i] = (float)i / 8 - 1;
        thirds[i] = ((double)i / 8 - 1) / 3;
    }
    const fi_to_store all[] = {
        {"u8", FI_U8, 1, {2}, bytes_u8},        {"scalar", FI_F32, 0, {0}, &scalar},
        {"bool", FI_BOOL, 1, {3}, booleans},    {"i8", FI_I8, 1, {3}, bytes8},
        {"i32", FI_I32, 2, {3, 2}, ints},       {"i64", FI_I64, 1, {6}, longs},
        {"f16", FI_F16, 2, {1, 24}, ramp},      {"f64", FI_F64, 2, {4, 6}, thirds},
        {"empty", FI_F32, 2, {0, 5}, NULL},     {"f32", FI_F32, 3, {2, 3, 4}, ramp},
        {"na\xC3\xAFve", FI_F32, 1, {1}, &one}, {"bf16", FI_BF16, 4, {2, 2, 2, 3}, ramp},
    };
    memcpy(out, all, sizeof all);
    return sizeof all / sizeof *all;
}

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    char *bytes = malloc(100000);
    *n = fread(bytes, 1, 100000, f);
    fclose(f);
    return bytes;
}

TEST(a_written_file_is_byte_for_byte_what_python_writes)
{
    fi_to_store own[12];
    size_t n = own_types(own), size, expected_size;
    CHECK_INT(fi_weights_write(inside("own.safetensors"), own, n, NULL, 0, &err), FTL_OK);
    char *bytes = slurp(inside("own.safetensors"), &size);
    char *expected = slurp(FTL_TEST_DATA "/weights/types.safetensors", &expected_size);
    CHECK_INT(size, expected_size);
    CHECK(!memcmp(bytes, expected, size));
    free(bytes);
    free(expected);
}

TEST(large_tensors_and_metadata_come_back)
{
    size_t n = 10001;
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    for (size_t i = 0; i < n; i++) x[i] = (float)(i % 2000) * 0.125f - 100.0f;
    static const char *const metadata[] = {"config", "{\"a\": \"\xC3\xA9\"}", "format", "own"};
    fi_to_store half = {"h", FI_F16, 1, {n}, x};
    fi_weights *w = NULL;
    CHECK_INT(fi_weights_write(inside("h.safetensors"), &half, 1, metadata, 2, &err), FTL_OK);
    CHECK_INT(fi_weights_open(inside("h.safetensors"), &w, &err), FTL_OK);
    read_named(w, "h", y);
    CHECK(!memcmp(x, y, n * sizeof *x));
    CHECK_TEXT(fi_weights_metadata(w, "config"), "{\"a\": \"\xC3\xA9\"}");
    CHECK_TEXT(fi_weights_metadata(w, "format"), "own");
    CHECK(fi_weights_at(w, 0)->at % 8 == 0);
    memset(y, 0, n * sizeof *y);
    CHECK_INT(fi_stored_read_rows(w, fi_weights_at(w, 0), 5000, 5001, y, &err), FTL_OK);
    CHECK(!memcmp(x + 5000, y, 5001 * sizeof *x));
    memset(y, 0, n * sizeof *y);
    CHECK_INT(truncate(inside("h.safetensors"), 10000), 0); /* no signal, but a message */
    CHECK_INT(fi_stored_read(w, fi_weights_at(w, 0), y, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "h.safetensors: tensor 'h': the file ends at byte 10000 now");
    fi_weights_close(w);
    free(x);
    free(y);
}

TEST(what_cannot_be_stored_is_refused_and_leaves_the_old_file)
{
    static const float x[2] = {1, 2};
    fi_weights *w = NULL;
    fi_to_store good = {"a", FI_F32, 1, {2}, x}, bad[2] = {good, good};
    const char *path = inside("kept.safetensors");
    char kept[256];
    snprintf(kept, sizeof kept, "%s", path);
    CHECK_INT(fi_weights_write(kept, &good, 1, NULL, 0, &err), FTL_OK);
    CHECK_INT(fi_weights_write(kept, bad, 2, NULL, 0, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "tensor 'a': the name is given twice");
    bad[0].name = "__metadata__";
    CHECK_INT(fi_weights_write(kept, bad, 1, NULL, 0, &err), FTL_EINVAL);
    bad[0].name = "\xFF";
    CHECK_INT(fi_weights_write(kept, bad, 1, NULL, 0, &err), FTL_EINVAL);
    bad[0].name = "b";
    bad[0].shape[0] = SIZE_MAX / 2;
    CHECK_INT(fi_weights_write(kept, bad, 1, NULL, 0, &err), FTL_EINVAL);
    CHECK_INT(fi_weights_write(inside("no/where.safetensors"), &good, 1, NULL, 0, &err), FTL_EIO);
    CHECK_INT(fi_weights_open(kept, &w, &err), FTL_OK);
    CHECK_INT(fi_weights_count(w), 1);
    fi_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_all_types_is_read),
        cmocka_unit_test(shards_are_found_through_their_index_and_folder),
        cmocka_unit_test(an_index_stays_in_its_folder_and_must_fit_its_shards),
        cmocka_unit_test(paths_without_weights_are_refused),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(a_deep_header_is_refused),
        cmocka_unit_test(odd_but_valid_headers_are_read),
        cmocka_unit_test(hostile_files_take_no_more_memory_than_they_have_bytes),
        cmocka_unit_test(a_tensor_larger_than_its_file_takes_no_memory),
        cmocka_unit_test(many_real_tensors_are_read),
        cmocka_unit_test(weights_that_are_no_numbers_are_refused_by_name),
        cmocka_unit_test(opening_survives_lack_of_memory),
        cmocka_unit_test(a_written_file_is_byte_for_byte_what_python_writes),
        cmocka_unit_test(large_tensors_and_metadata_come_back),
        cmocka_unit_test(what_cannot_be_stored_is_refused_and_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
