#include "unit/tensor/stored.h"

#include "base/alloc.h"

#define DATA FTL_TEST_DATA "/weights/"

TEST(files_of_pytorch_are_read)
{
    static const char *const paths[] = {DATA "types.pth", DATA "protocol4.pth", DATA "big_endian.pth",
                                        DATA "zip64.pth"};
    for (int i = 0; i < 4; i++) {
        fi_weights *w = NULL;
        if (fi_weights_open(paths[i], &w, &err)) fail_msg("%s", err.message);
        check_types(w);
        fi_weights_close(w);
    }
    fi_weights *w = NULL;
    CHECK_INT(fi_weights_open(paths[0], &w, &err), FTL_OK);
    const fi_stored *t = fi_weights_find(w, "f32"); /* [2, 3, 4] stored as [4, 2, 3] */
    CHECK(t->stride[0] == 3 && t->stride[1] == 1 && t->stride[2] == 6);
    CHECK(!fi_stored_has_rows(t));
    check_types(w);
    fi_weights_close(w);
}

TEST(a_checkpoint_gives_its_state_dict)
{
    fi_weights *w = NULL;
    float x[2];
    if (fi_weights_open(DATA "checkpoint.pth", &w, &err)) fail_msg("%s", err.message);
    CHECK_INT(fi_weights_count(w), 2);
    read_named(w, "weight", x);
    CHECK(x[0] == 0.5f && x[1] == 0.5f);
    read_named(w, "bias", x);
    CHECK(x[0] == -1.5f);
    fi_weights_close(w);
}

static void check_file_refused(const char *path, const char *why)
{
    fi_weights *w = (void *)1;
    CHECK_INT(fi_weights_open(path, &w, &err), FTL_EDATA);
    CHECK(w == NULL);
    CHECK_CONTAINS(err.message, path);
    CHECK_CONTAINS(err.message, why);
}

TEST(files_that_would_run_code_or_are_of_other_kinds_are_refused)
{
    check_file_refused(DATA "hostile.pth", "posix.system");
    CHECK(access("/tmp/foretell-was-here", F_OK) != 0);
    check_file_refused(DATA "deflated.pth", "is compressed");
    check_file_refused(DATA "before_1_6.pth", "before 1.6");
    check_file_refused(DATA "no_dict.pth", "no state dict");
}

/* ---- archives made here ---- */

typedef struct made {
    unsigned char bytes[1 << 16];
    size_t n, directory, end;
} made;

static void put(made *a, const void *bytes, size_t n)
{
    if (n) memcpy(a->bytes + a->n, bytes, n);
    a->n += n;
}

static void put_number(made *a, uint64_t value, size_t width)
{
    for (; width; width--, value >>= 8) a->bytes[a->n++] = (unsigned char)value;
}

/* A ZIP archive of stored entries; NULL ends their names. */
static void make_zip(made *a, const char *const *names, const void *const *data, const size_t *sizes)
{
    size_t at[8], n = 0;
    a->n = 0;
    for (; names[n]; n++) {
        at[n] = a->n;
        put_number(a, 0x04034B50, 4);
        put_number(a, 0, 22);
        put_number(a, strlen(names[n]), 4);
        put(a, names[n], strlen(names[n]));
        put(a, data[n], sizes[n]);
    }
    a->directory = a->n;
    for (size_t i = 0; i < n; i++) {
        put_number(a, 0x02014B50, 4);
        put_number(a, 0, 8);
        put_number(a, 0, 8);
        put_number(a, sizes[i], 4);
        put_number(a, sizes[i], 4);
        put_number(a, strlen(names[i]), 2);
        put_number(a, 0, 8);
        put_number(a, 0, 4);
        put_number(a, at[i], 4);
        put(a, names[i], strlen(names[i]));
    }
    a->end = a->n;
    put_number(a, 0x06054B50, 4);
    put_number(a, 0, 4);
    put_number(a, n, 2);
    put_number(a, n, 2);
    put_number(a, a->end - a->directory, 4);
    put_number(a, a->directory, 4);
    put_number(a, 0, 2);
}

/* An archive of a pickle and one storage of four floats, 1 to 4, under the key 0. */
static void make_file(made *a, const char *pickle, size_t n)
{
    static const float numbers[4] = {1, 2, 3, 4};
    make_zip(a, (const char *const[]){"x/data.pkl", "x/data/0", NULL}, (const void *const[]){pickle, numbers},
             (const size_t[]){n, sizeof numbers});
}

static made archive;

static void check_pickle_refused(const char *pickle, size_t n, const char *why)
{
    make_file(&archive, pickle, n);
    check_refused(archive.bytes, archive.n, why);
}

#define REFUSED(pickle, why) check_pickle_refused(pickle, sizeof(pickle) - 1, why)

/* {"w": tensor} in pieces: what comes before the number of elements, the offset, the shape and the strides, and after. */
#define BEFORE                                                                                                         \
    "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"    \
    "0X\x03\0\0\0cpu"
#define AFTER "\x89)tRs."

TEST(a_pickle_made_by_hand_is_read)
{
    static const char pickle[] = BEFORE "K\x04tQK\x01K\x03\x85K\x01\x85" AFTER;
    fi_weights *w = NULL;
    float x[3];
    make_file(&archive, pickle, sizeof pickle - 1);
    if (fi_weights_open_memory(archive.bytes, archive.n, "own", &w, &err)) fail_msg("%s", err.message);
    read_named(w, "w", x);
    CHECK(x[0] == 2 && x[1] == 3 && x[2] == 4);
    read_named(w, "w", x);
    CHECK(x[2] == 4);
    fi_weights_close(w);
    for (size_t cut = 0; cut + 1 < sizeof pickle; cut++) check_pickle_refused(pickle, cut, "");
    size_t whole = archive.n;
    make_file(&archive, pickle, sizeof pickle - 1);
    for (size_t cut = 4; cut < whole; cut++) check_refused(archive.bytes, cut, "cut short");
}

TEST(tensors_that_leave_their_storage_are_refused)
{
    REFUSED(BEFORE "K\x05tQK\0K\x01\x85K\x01\x85" AFTER, "storage '0' has 16 bytes, which are not 5 numbers");
    REFUSED(BEFORE "J\xFF\xFF\xFF\xFFtQK\0K\x01\x85K\x01\x85" AFTER, "persistent id");
    REFUSED(BEFORE "\x8A\x08\x04\0\0\0\0\0\0\x40tQK\0K\x01\x85K\x01\x85" AFTER, "storage '0' has 16 bytes");
    REFUSED(BEFORE "K\x04tQK\x02K\x03\x85K\x01\x85" AFTER, "leaves its storage");
    REFUSED(BEFORE "K\x04tQK\x05K\0\x85K\x01\x85" AFTER, "leaves its storage");
    REFUSED(BEFORE "K\x04tQK\0K\x02\x85K\x04\x85" AFTER, "leaves its storage");
    REFUSED(BEFORE "K\x04tQK\0K\x02\x85\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x85" AFTER, "leaves its storage");
    REFUSED(BEFORE "K\x04tQK\0K\x03\x85\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x85" AFTER, "leaves its storage");
    REFUSED(BEFORE "K\x04tQK\0J\0\0\0\x7F\x85K\0\x85" AFTER, "repeats it");
    REFUSED(BEFORE "K\x04tQK\0\x8A\x08\0\0\0\0\0\0\0\x40\x85K\0\x85" AFTER, "leaves its storage");
    REFUSED(BEFORE "K\x04tQJ\xFF\xFF\xFF\xFFK\x01\x85K\x01\x85" AFTER, "not described");
    REFUSED(BEFORE "K\x04tQK\0J\xFF\xFF\xFF\xFF\x85K\x01\x85" AFTER, "not described");
    REFUSED(BEFORE "K\x04tQK\0K\x01\x85J\xFF\xFF\xFF\xFF\x85" AFTER, "not described");
    REFUSED(BEFORE "K\x04tQK\0K\x01\x85)" AFTER, "not described");
    REFUSED(BEFORE "K\x04tQK\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t)" AFTER, "not described");
    REFUSED("\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n()" AFTER, "described");
    REFUSED("\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"
            "7X\x03\0\0\0cpuK\x04tQ.",
            "storage '7' is not in the archive");
    REFUSED("\x80\x02(X\x07\0\0\0storageccollections\nOrderedDict\nX\x01\0\0\0"
            "0X\x03\0\0\0cpuK\x04tQ.",
            "persistent id");
}

TEST(all_that_no_state_dict_needs_is_refused_by_name)
{
    REFUSED("\x80\x02"
            "cos\nsystem\nX\x04\0\0\0true\x85R.",
            "os.system");
    REFUSED("\x80\x04\x8C\x08"
            "builtins\x8C\x04"
            "eval\x93.",
            "builtins.eval");
    REFUSED("\x80\x02"
            "ctorch\nComplexFloatStorage\n.",
            "torch.ComplexFloatStorage");
    REFUSED("\x80\x02ios\nsystem\n.", "opcode 0x69");
    REFUSED("\x80\x02"
            "ccollections\nOrderedDict\n)\x81.",
            "opcode 0x81");
    REFUSED("\x80\x02P1\n.", "opcode 0x50");
    REFUSED("\x80\x02\x82\x01.", "opcode 0x82");
    REFUSED("\x80\x01.", "protocol 1");
    REFUSED("\x80\x06.", "protocol 6");
    REFUSED("\x80\x02"
            "ctorch\nFloatStorage\n)R.",
            "torch.FloatStorage in a way");
    REFUSED("\x80\x02"
            "ccollections\nOrderedDict\nN\x85R.",
            "collections.OrderedDict in a way");
    REFUSED("\x80\x02"
            "ctorch._utils\n_rebuild_parameter\nN\x85R.",
            "_rebuild_parameter in a way");
}

TEST(programs_that_make_no_sense_are_refused)
{
    static const char *const bad[] = {".",
                                      ").",
                                      "0",
                                      "(.",
                                      "t.",
                                      "\x85.",
                                      "(\x85.",
                                      "N\x86.",
                                      "N}u.",
                                      "(Nu.",
                                      "}(Nu.",
                                      "}(u(u.",
                                      "]Ns.",
                                      "Na.",
                                      "(a.",
                                      "]s.",
                                      "]Nb.",
                                      "}b.",
                                      "Q.",
                                      "NQ.",
                                      ")Q.",
                                      "R.",
                                      "N)R.",
                                      ")NR.",
                                      "q.",
                                      "hq.",
                                      "(qa.",
                                      "Kaq\xFF.",
                                      "j\xFF\xFF\xFF\xFF.",
                                      "\x94.",
                                      "\x93.",
                                      "Kaka\x93",
                                      "cos\n",
                                      "cos",
                                      "X\xFF\xFF\xFF\xFF.",
                                      "\x8A\x09",
                                      "\x8Czz",
                                      "Gabc",
                                      "\x95"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) check_pickle_refused(bad[i], strlen(bad[i]), "");
    static char many[60000];
    memset(many, '(', sizeof many);
    check_pickle_refused(many, sizeof many, "cut short");
    memset(many, '}', sizeof many);
    check_pickle_refused(many, sizeof many, "more memory than its file justifies");
    memset(many, ']', sizeof many);
    many[59999] = '.';
    check_pickle_refused(many, sizeof many, "more memory than its file justifies");
    REFUSED("\x80\x02}.", "no state dict");
    REFUSED("\x80\x02}q\0X\x05\0\0\0modelh\0s.", "no state dict"); /* a dict in itself */
    REFUSED(BEFORE "K\x04tQK\x01K\x03\x85K\x01\x85\x89)tR.", "no state dict");
    REFUSED("\x80\x02}X\x01\0\0\0\xFFN\x85.", "no state dict");
}

/* Every tensor has a copy of its name: 28 KB of name and 5 bytes for each of 5,000 tensors are not to become 140 MB. */
TEST(a_long_name_of_many_tensors_is_refused)
{
    enum { NAME = 28000, TENSORS = 5000 };
    static const char tensor[] = BEFORE "K\x04tQK\0K\x01\x85K\x01\x85\x89)tRq\x01s";
    static char pickle[NAME + 5 * TENSORS + 200];
    const size_t own = sizeof "\x80\x02}X\x01\0\0\0w" - 1;
    char *to = pickle + sizeof "\x80\x02}X\x60\x6D\0\0" - 1; /* 28000 */
    memcpy(pickle, "\x80\x02}X\x60\x6D\0\0", (size_t)(to - pickle));
    memset(to, 'n', NAME);
    to += NAME;
    memcpy(to, "q\0", 2);
    memcpy(to + 2, tensor + own, sizeof tensor - 1 - own);
    to += 2 + sizeof tensor - 1 - own;
    for (int i = 0; i < TENSORS; i++, to += 5) memcpy(to, "h\0h\x01s", 5);
    *to++ = '.';
    check_pickle_refused(pickle, (size_t)(to - pickle), "more memory than its file justifies");
}

TEST(a_name_that_is_no_text_is_refused)
{
    static const char pickle[] = BEFORE "K\x04tQK\x01K\x03\x85K\x01\x85" AFTER;
    char bad[sizeof pickle];
    memcpy(bad, pickle, sizeof pickle);
    *(char *)memchr(bad, 'w', sizeof bad) = '\0';
    check_pickle_refused(bad, sizeof bad - 1, "not UTF-8");
}

TEST(archives_that_lie_are_refused)
{
    static const char pickle[] = BEFORE "K\x04tQK\x01K\x03\x85K\x01\x85" AFTER;
    static const struct {
        size_t at; /* from the directory or from the end record */
        bool end;
        uint32_t value;
        size_t width;
        const char *why;
    } bad[] = {
        {10, false, 8, 2, "is compressed"},
        {8, false, 1, 2, "encrypted"},
        {20, false, 17, 4, "leaves the file"},
        {20, false, 0xFFFFFFFF, 4, "leaves the file"},
        {24, false, 0xFFFFFFFF, 4, "leaves the file"},
        {28, false, 0xFFFF, 2, "an entry of its directory"},
        {30, false, 0xFFFF, 2, "an entry of its"},
        {32, false, 0xFFFF, 2, "an entry of its directory"},
        {42, false, 1, 4, "not where its directory"},
        {42, false, 0xFFFFFFFF, 4, "not where"},
        {42, false, 0x7FFFFFFF, 4, "not where"},
        {0, false, 0, 4, "an entry of its directory"},
        {10, true, 3, 2, "outside"},
        {10, true, 0xFFFF, 2, "outside"},
        {12, true, 0xFFFF, 4, "outside"},
        {16, true, 0xFFFFFFFF, 4, "outside"},
        {0, true, 0, 4, "no end record"},
        {20, true, 1, 2, "no end record"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        make_file(&archive, pickle, sizeof pickle - 1);
        size_t at = (bad[i].end ? archive.end : archive.directory) + bad[i].at;
        memcpy(archive.bytes + at, &bad[i].value, bad[i].width);
        check_refused(archive.bytes, archive.n, bad[i].why);
    }
    const char *const twice[] = {"x/data.pkl", "x/data.pkl", NULL}, *const other[] = {"x/data", NULL},
                      *const order[] = {"x/data.pkl", "x/byteorder", NULL};
    const size_t sizes[] = {sizeof pickle - 1, 3};
    make_zip(&archive, twice, (const void *const[]){pickle, pickle}, sizes);
    check_refused(archive.bytes, archive.n, "two entries 'x/data.pkl'");
    make_zip(&archive, other, (const void *const[]){pickle}, sizes);
    check_refused(archive.bytes, archive.n, "no data.pkl");
    make_zip(&archive, order, (const void *const[]){pickle, "odd"}, sizes);
    check_refused(archive.bytes, archive.n, "little or big");
}

TEST(opening_survives_lack_of_memory)
{
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
        fi_weights *w = NULL;
        fi_alloc_fail_after(n);
        st = fi_weights_open(DATA "checkpoint.pth", &w, &err);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (w != NULL));
        fi_weights_close(w);
    }
    CHECK_INT(st, FTL_OK);
}

TEST(the_file_of_a_u_net_equals_its_golden_copy)
{
    const char *pth = "data/sprites/golden/contextunet_f8.pth", *golden = "data/sprites/golden/golden_f8.safetensors";
    if (shared_lacks(pth) || shared_lacks(golden)) skip();
    fi_weights *w = NULL, *g = NULL;
    float *x = malloc(sizeof *x << 20), *y = malloc(sizeof *y << 20);
    size_t compared = 0;
    if (fi_weights_open(shared_path(pth), &w, &err)) fail_msg("%s", err.message);
    if (fi_weights_open(shared_path(golden), &g, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < fi_weights_count(w); i++) {
        const fi_stored *t = fi_weights_at(w, i), *u;
        char name[256];
        snprintf(name, sizeof name, "param.%s", t->name);
        u = fi_weights_find(g, name);
        if (!u) continue;
        CHECK_INT(t->size, u->size);
        CHECK(t->size < 1 << 20);
        CHECK_INT(fi_stored_read(w, t, x, &err), FTL_OK);
        CHECK_INT(fi_stored_read(g, u, y, &err), FTL_OK);
        CHECK(!memcmp(x, y, t->size * sizeof *x));
        compared++;
    }
    CHECK(compared > 100);
    free(x);
    free(y);
    fi_weights_close(w);
    fi_weights_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_pytorch_are_read),
        cmocka_unit_test(a_checkpoint_gives_its_state_dict),
        cmocka_unit_test(files_that_would_run_code_or_are_of_other_kinds_are_refused),
        cmocka_unit_test(a_pickle_made_by_hand_is_read),
        cmocka_unit_test(tensors_that_leave_their_storage_are_refused),
        cmocka_unit_test(all_that_no_state_dict_needs_is_refused_by_name),
        cmocka_unit_test(programs_that_make_no_sense_are_refused),
        cmocka_unit_test(a_long_name_of_many_tensors_is_refused),
        cmocka_unit_test(a_name_that_is_no_text_is_refused),
        cmocka_unit_test(archives_that_lie_are_refused),
        cmocka_unit_test(opening_survives_lack_of_memory),
        cmocka_unit_test(the_file_of_a_u_net_equals_its_golden_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
