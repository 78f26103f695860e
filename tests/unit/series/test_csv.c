#include "check.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <foretell/series.h>

#include <unistd.h>
#include <zlib.h>

static ftl_panel *read_text(const char *text, const ftl_csv_options *options)
{
    ftl_panel *panel = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_panel_parse_csv(text, strlen(text), "f.csv", options, &panel, &err)) fail_msg("%s", err.message);
    return panel;
}

/* The text is refused with a message that holds `part`. */
static void check_refused_bytes(const char *text, size_t n, const ftl_csv_options *options, const char *part)
{
    ftl_panel *panel = NULL;
    ftl_error err = {FTL_OK, ""};
    ftl_status st = ftl_panel_parse_csv(text, n, "f.csv", options, &panel, &err);
    CHECK(st == FTL_EDATA || st == FTL_EINVAL);
    CHECK(panel == NULL);
    CHECK_INT(err.code, st);
    CHECK_CONTAINS(err.message, part);
    CHECK_INT(ftl_panel_parse_csv(text, n, "f.csv", options, &panel, NULL), st);
}

static void check_refused(const char *text, const ftl_csv_options *options, const char *part)
{
    check_refused_bytes(text, strlen(text), options, part);
}

/* "id: time=value time=value | ..." with '-' for missing */
static const char *show(const ftl_panel *panel)
{
    static char text[2048];
    fi_buf buf = {0};
    for (size_t i = 0; i < ftl_panel_n_series(panel); i++) {
        const ftl_series *s = ftl_panel_series(panel, i);
        fi_buf_printf(&buf, "%s%s:", i ? " | " : "", ftl_series_id(s));
        for (size_t k = 0; k < ftl_series_n_obs(s); k++) {
            char time[FTL_TIME_TEXT_MAX];
            ftl_time_format(ftl_series_times(s)[k], ftl_series_time_kind(s), time);
            fi_buf_printf(&buf, " %s=", time);
            if (isnan(ftl_series_values(s)[k])) fi_buf_char(&buf, '-');
            fi_buf_double(&buf, ftl_series_values(s)[k]);
        }
    }
    snprintf(text, sizeof text, "%s", buf.data);
    fi_buf_release(&buf);
    return text;
}

static void check_reads(const char *text, const char *expected)
{
    ftl_panel *panel = read_text(text, NULL);
    CHECK_TEXT(show(panel), expected);
    ftl_panel_free(panel);
}

TEST(one_series_without_an_id_column)
{
    ftl_panel *panel = read_text("ds,y\n2024-01-01,1\n2024-01-02,2.5\n", NULL);
    CHECK(!ftl_panel_has_ids(panel));
    CHECK_INT(ftl_panel_n_series(panel), 1);
    CHECK(ftl_panel_series(panel, 1) == NULL);
    CHECK(ftl_panel_find(panel, "") == ftl_panel_series(panel, 0));
    CHECK(ftl_panel_find(panel, "x") == NULL);
    CHECK_TEXT(show(panel), ": 2024-01-01=1 2024-01-02=2.5");
    CHECK_TEXT(ftl_panel_ignored(panel), "");
    ftl_panel_free(panel);
}

TEST(line_ends_spaces_quotes_and_marks)
{
    check_reads("ds,y\r1,2\r3,4\r", ": 1=2 3=4");
    check_reads("ds,y\r\n1,2\r\n3,4", ": 1=2 3=4");
    check_reads("\xEF\xBB\xBF"
                "ds,y\n1,2\n",
                ": 1=2");
    check_reads("\n\n  \nds,y\n\n1,2\n \n3,4\n\n\n", ": 1=2 3=4");
    check_reads(" ds\t, y \n 1 ,\t2\n", ": 1=2");
    check_reads("\"ds\",\"y\"\n\"1\",\"2\"\n", ": 1=2");
    check_reads("\"ds\" , \"y\"\n \"1\" , \"2\" \n", ": 1=2");
    check_reads("unique_id,ds,y\n\"a,b\",1,2\n\"c\"\"d\",1,3\n\"c\"\"d\",2,4\n\" e \",1,5\n",
                "a,b: 1=2 | c\"d: 1=3 2=4 |  e : 1=5");
    check_reads("unique_id,ds,y\n\"two\nlines\",1,2\nx\"y,1,3\n", "two\nlines: 1=2 | x\"y: 1=3");
    check_reads("ds,y\n\" 1 \",\" 2.5\t\"\n2,\" \"\n", ": 1=2.5 2=-");
    check_reads("ds,y\n1,", ": 1=-");
}

TEST(missing_values)
{
    check_reads("ds,y\n1,\n2,NA\n3,N/A\n4,NaN\n5,nan\n6,null\n7,NULL\n8,None\n9,\"\"\n10,-nan\n11,7\n",
                ": 1=- 2=- 3=- 4=- 5=- 6=- 7=- 8=- 9=- 10=- 11=7");
    ftl_panel *panel = read_text("ds,y\n1,-999\n2,5\n3,\n", &(ftl_csv_options){.null_text = "-999"});
    CHECK_TEXT(show(panel), ": 1=- 2=5 3=-");
    ftl_panel_free(panel);
    panel = read_text("ds,y\n1,n/a\n", &(ftl_csv_options){.null_text = "n/a"});
    CHECK_TEXT(show(panel), ": 1=-");
    ftl_panel_free(panel);
}

TEST(rows_in_any_order_are_sorted_stably)
{
    check_reads("ds,y\n3,1\n1,2\n3,3\n2,4\n1,5\n", ": 1=2 1=5 2=4 3=1 3=3");
    check_reads("unique_id,ds,y\nb,2,1\na,2,2\nb,1,3\na,1,4\nc,1,5\nb,2,6\n", "b: 1=3 2=1 2=6 | a: 1=4 2=2 | c: 1=5");
}

/* Interleaved, shuffled and large enough for many doublings: y tells where each row belongs. */
TEST(interleaved_series_come_apart)
{
    enum { SERIES = 97, ROWS = 50 };
    fi_buf text = {0};
    fi_buf_text(&text, "ds,extra,unique_id,y\n");
    for (size_t i = 0; i < SERIES * ROWS; i++) {
        size_t k = i * 2741 % (SERIES * ROWS), series = k % SERIES, row = k / SERIES; /* 2741 is prime: all k once */
        fi_buf_printf(&text, "%zu,%zu,s%zu,%zu\n", row, 2 * k, series, k);
    }
    ftl_panel *panel = read_text(text.data, NULL);
    fi_buf_release(&text);
    CHECK_INT(ftl_panel_n_series(panel), SERIES);
    for (size_t series = 0; series < SERIES; series++) {
        char id[32];
        snprintf(id, sizeof id, "s%zu", series);
        const ftl_series *s = ftl_panel_find(panel, id);
        CHECK(s);
        CHECK_INT(ftl_series_n_obs(s), ROWS);
        for (size_t row = 0; row < ROWS; row++) {
            CHECK_INT(ftl_series_times(s)[row], row);
            CHECK_INT(ftl_series_values(s)[row], row * SERIES + series);
            CHECK_INT(ftl_series_column_named(s, "extra")[row], 2 * (row * SERIES + series));
        }
    }
    CHECK_TEXT(ftl_series_id(ftl_panel_series(panel, 0)), "s0"); /* order of first appearance */
    CHECK_TEXT(ftl_series_id(ftl_panel_series(panel, 1)), "s25");
    ftl_panel_free(panel);
}

TEST(columns_are_numeric_or_left_out)
{
    ftl_panel *panel =
        read_text("ds,y,cap,city,flag,empty,late,,skip,both sides\n"
                  "2,1,\" 8.5\",Paris,\"True \",,,0,7,-1\n"
                  "1,2,NA,12,False,NA,3,1,7,x\n",
                  &(ftl_csv_options){.ignore_columns = (const char *const[]){"skip"}, .n_ignore = 1, .null_text = "x"});
    const ftl_series *s = ftl_panel_series(panel, 0);
    static const char *const names[] = {"cap", "flag", "empty", "late", "both sides"};
    CHECK_INT(ftl_series_n_columns(s), 5);
    for (size_t c = 0; c < 5; c++) CHECK_TEXT(ftl_series_column_name(s, c), names[c]);
    CHECK(ftl_series_column_name(s, 5) == NULL && ftl_series_column(s, 5) == NULL);
    CHECK(ftl_series_column_named(s, "city") == NULL);
    CHECK_NEAR(ftl_series_column_named(s, "cap")[0], NAN, 0);
    CHECK_NEAR(ftl_series_column_named(s, "cap")[1], 8.5, 0);
    CHECK_NEAR(ftl_series_column_named(s, "flag")[0], 0, 0);
    CHECK_NEAR(ftl_series_column_named(s, "flag")[1], 1, 0);
    CHECK(isnan(ftl_series_column_named(s, "empty")[0]) && isnan(ftl_series_column_named(s, "empty")[1]));
    CHECK_NEAR(ftl_series_column_named(s, "late")[0], 3, 0);
    CHECK(isnan(ftl_series_column_named(s, "late")[1]));
    CHECK_NEAR(ftl_series_column_named(s, "both sides")[1], -1, 0);
    CHECK_TEXT(ftl_panel_ignored(panel), "city");
    ftl_panel_free(panel);
}

TEST(columns_by_other_names_and_future_frames)
{
    const ftl_csv_options named = {.id_column = "store", .time_column = "when", .target_column = "sold"};
    ftl_panel *panel = read_text("sold,when,store,y\n5,2024-01-01,NA,9\n", &named);
    CHECK_TEXT(show(panel), "NA: 2024-01-01=5");
    CHECK_NEAR(ftl_series_column_named(ftl_panel_series(panel, 0), "y")[0], 9, 0);
    ftl_panel_free(panel);
    const ftl_csv_options future = {.no_target = true};
    panel = read_text("ds\n2024-01-01\n2024-01-02\n", &future);
    CHECK_TEXT(show(panel), ": 2024-01-01=- 2024-01-02=-");
    ftl_panel_free(panel);
    panel = read_text("ds,y,x\n2024-01-01,not read,3\n", &future);
    CHECK_TEXT(show(panel), ": 2024-01-01=-");
    CHECK_NEAR(ftl_series_column_named(ftl_panel_series(panel, 0), "x")[0], 3, 0);
    CHECK(ftl_series_column_named(ftl_panel_series(panel, 0), "y") == NULL);
    ftl_panel_free(panel);
}

TEST(wrong_fields_are_named_with_file_line_and_column)
{
    check_refused("ds,y\n1,2\n2,n/a\n", NULL,
                  "f.csv:3: column 'y': 'n/a' is not a number; leave the field empty or pass --null n/a");
    check_refused("ds,y\r1,2\r2,x\r", NULL, "f.csv:3: column 'y': 'x'");
    check_refused("ds,y\r\n1,2\r\n\r\n2,x\r\n", NULL, "f.csv:4: column 'y': 'x'");
    check_refused("unique_id,ds,y\n\"a\n\n\",1,1\n\"b\r\nc\rd\",x,1\n", NULL, "f.csv:5: column 'ds': 'x'");
    check_refused("unique_id,ds,y\n\"b\r\nc\rd\",1,1\nb,x,1\n", NULL, "f.csv:5: column 'ds': 'x'");
    check_refused("ds,y\n1,inf\n", NULL, "f.csv:2: column 'y': 'inf' is infinite; leave the field empty");
    check_refused("ds,y\n1,1e999\n", NULL, "'1e999' is infinite");
    check_refused(
        "ds,y,x\n1,1,1\n2,2,a\n", NULL,
        "f.csv:3: column 'x': 'a' is not a number; leave the field empty or pass --null a, or remove the column");
    check_refused("ds,y,x\n1,1,True\n2,2,-Infinity\n", NULL, "f.csv:3: column 'x': '-Infinity' is infinite");
    check_refused("ds,y\n1,\"1,5\"\n", NULL, "'1,5' is not a number");
    check_refused("ds,y\n1,True\n", NULL, "'True' is not a number");
    check_refused("ds,y\n2024-02-30,1\n", NULL, "f.csv:2: column 'ds': '2024-02-30' is not a date of the calendar");
    check_refused("ds,y\n2024-01-01T00:00:00Z,1\n", NULL,
                  "f.csv:2: column 'ds': '2024-01-01T00:00:00Z' has a time zone; remove it");
    check_refused("ds,y\n2024-01-01,1\n2024-01-02 10:00,2\n", NULL,
                  "f.csv:3: column 'ds': '2024-01-02 10:00' is a date with a time, but the rows before hold dates");
    check_refused("ds,y\n2024-01-01 10:00,1\n2024-01-02,2\n", NULL,
                  "is a date, but the rows before hold dates with times");
    check_refused("ds,y\n2024-01-01,1\n3,2\n", NULL, "'3' is a whole number, but the rows before hold dates");
    check_refused("ds,y\n,1\n", NULL, "f.csv:2: column 'ds' is empty; every row needs a time");
    check_refused("unique_id,ds,y\n,1,1\n", NULL, "f.csv:2: column 'unique_id' is empty; every row needs an id");
    check_refused("unique_id,ds,y\n\xE9t\xE9,1,1\n", NULL, "'?t?' is not UTF-8 text; convert the file to UTF-8");
    check_refused("ds,y\n1,2,3\n", NULL, "f.csv:2: 3 fields, but the header has 2 columns");
    check_refused("ds,y\n1\n", NULL, "f.csv:2: 1 field, but the header has 2 columns");
    check_refused("ds,y\n1,\"2\n", NULL, "f.csv:2: a quoted field in this row is not closed");
    check_refused("ds,y\n1,\"2\"x\n", NULL, "f.csv:2: there is text after the closing quote of field 2");
    check_refused_bytes("ds,y\n1,2\0\n", 10, NULL, "f.csv:2: column 'y': '2?' holds a NUL byte");
    check_refused_bytes("ds,y\n1\0,2\n", 10, NULL, "f.csv:2: column 'ds': '1?' holds a NUL byte");
    check_refused_bytes("unique_id,ds,y\na\0,1,2\n", 22, NULL, "f.csv:2: column 'unique_id': 'a?' holds a NUL byte");
}

TEST(eight_digits_among_indices_are_an_index)
{
    check_reads("ds,y\n17991231,1\n18000101,2\n", ": 17991231=1 18000101=2");
    check_reads("ds,y\n18000101,1\n18000102,2\n", ": 1800-01-01=1 1800-01-02=2");
    check_refused("ds,y\n18000101,1\n18001301,2\n", NULL,
                  "'18001301' is a whole number, but the rows before hold dates");
}

TEST(wrong_headers_are_explained)
{
    check_refused("", NULL, "f.csv: is empty; expected a header line");
    check_refused("\n \n", NULL, "f.csv: is empty");
    check_refused("ds,y\n", NULL, "f.csv: has a header but no rows");
    check_refused("date,y\n1,2\n", NULL,
                  "f.csv: there is no column 'ds'; the columns are: date, y; name the right one with --time-col");
    check_refused("ds,sales\n1,2\n", NULL,
                  "there is no column 'y'; the columns are: ds, sales; name the right one with --target-col");
    check_refused("store,ds,y\n1,2,3\n", &(ftl_csv_options){.id_column = "stores"},
                  "store, ds, y (did you mean 'store'?)");
    check_refused("ds,y,x,x\n1,2,3,4\n", NULL, "there are two columns 'x'");
    check_refused("ds;y\n1;2\n", NULL, "the fields are separated by semicolons; separate them by commas");
    check_refused("ds\ty\n1\t2\n", NULL, "the fields are separated by tabs");
    check_refused("ds,y\n1,2\n", &(ftl_csv_options){.time_column = "y"}, "must differ");
    check_refused_bytes("\xFF\xFE"
                        "d\0s\0",
                        6, NULL, "is UTF-16 text; save it as UTF-8");
    check_refused("PK\3\4xxxx", NULL, "is a zip or Excel file");
    check_refused("PAR1xxxx", NULL, "is a Parquet file");
    check_refused_bytes("ds,y\0\n1,2\n", 10, NULL, "the name of column 2 is not UTF-8 text");
    fi_buf wide = {0};
    fi_buf_text(&wide, "ds,y");
    for (int i = 0; i < 20000; i++) fi_buf_printf(&wide, ",c%d", i);
    check_refused(wide.data, NULL, "has 20002 columns, more than 10000");
    fi_buf_release(&wide);
}

TEST(long_fields_are_cut_in_messages_at_a_character)
{
    fi_buf text = {0};
    fi_buf_text(&text, "ds,y\n1,");
    for (int i = 0; i < 100000; i++) fi_buf_text(&text, "\xC3\xA9");
    ftl_panel *panel;
    ftl_error err;
    CHECK_INT(ftl_panel_parse_csv(text.data, text.size, "f.csv", NULL, &panel, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "\xC3\xA9...' is not a number");
    CHECK(strlen(err.message) < 300);
    fi_buf_release(&text);
}

/* Fields longer than the buffer of the reader, and rows that lie across its end at every offset. */
TEST(rows_across_buffers)
{
    fi_buf text = {0};
    fi_buf_text(&text, "unique_id,ds,y\r\n");
    for (int i = 0; i < 3; i++) {
        fi_buf_printf(&text, "\"s%d\"\"", i);
        for (int k = 0; k < 200000; k++) fi_buf_text(&text, k % 7 ? "x" : "\r\n");
        fi_buf_text(&text, "\",5,6\r\n");
    }
    for (int i = 0; i < 60000; i++) fi_buf_printf(&text, "t%.*s,%d,%d.5\r\n", i % 13, "aaaaaaaaaaaaa", i, i);
    fi_buf_text(&text, "u,1,oops\r\n");
    size_t lines = 1;
    for (size_t i = 0; i < text.size; i++) lines += text.data[i] == '\n';
    char expected[64];
    snprintf(expected, sizeof expected, "f.csv:%zu: column 'y': 'oops'", lines - 1);
    check_refused(text.data, NULL, expected);
    text.data[text.size - 10] = '\0';
    ftl_panel *panel = read_text(text.data, NULL);
    CHECK_INT(ftl_panel_n_series(panel), 16);
    CHECK_INT(strlen(ftl_series_id(ftl_panel_series(panel, 1))), 3 + 200000 + 28572);
    const ftl_series *s = ftl_panel_find(panel, "taaa");
    for (size_t i = 0; i < ftl_series_n_obs(s); i++) CHECK_NEAR(ftl_series_values(s)[i], 13.0 * (double)i + 3.5, 0);
    ftl_panel_free(panel);
    fi_buf_release(&text);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

TEST(files_plain_and_gzipped)
{
    char path[] = "/tmp/foretell-test-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    static const char text[] = "ds,y\n1,2\n3,4\n";
    ftl_panel *panel;
    ftl_error err;
    write_file(path, text, sizeof text - 1);
    CHECK_INT(ftl_panel_read_csv(path, NULL, &panel, &err), FTL_OK);
    CHECK_TEXT(show(panel), ": 1=2 3=4");
    ftl_panel_free(panel);

    gzFile gz = gzopen(path, "wb"); /* two members, as from cat a.gz b.gz */
    CHECK(gz && gzwrite(gz, text, 9) == 9 && gzclose(gz) == Z_OK);
    gz = gzopen(path, "ab");
    CHECK(gz && gzwrite(gz, text + 9, sizeof text - 10) == sizeof text - 10 && gzclose(gz) == Z_OK);
    CHECK_INT(ftl_panel_read_csv(path, NULL, &panel, &err), FTL_OK);
    CHECK_TEXT(show(panel), ": 1=2 3=4");
    ftl_panel_free(panel);

    FILE *f = fopen(path, "rb");
    char bytes[256];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    CHECK_INT(ftl_panel_parse_csv(bytes, n, "mem.gz", NULL, &panel, &err), FTL_OK);
    ftl_panel_free(panel);
    CHECK_INT(ftl_panel_parse_csv(bytes, n - 3, "mem.gz", NULL, &panel, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "mem.gz: the gzip data end too early");
    bytes[12] = (char)~bytes[12];
    CHECK_INT(ftl_panel_parse_csv(bytes, n, "mem.gz", NULL, &panel, &err), FTL_EDATA);
    CHECK_CONTAINS(err.message, "mem.gz: the gzip data are damaged");

    unlink(path);
    CHECK_INT(ftl_panel_read_csv(path, NULL, &panel, &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "cannot open: No such file");
    CHECK_INT(ftl_panel_read_csv("/", NULL, &panel, &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "is a directory");
}

TEST(text_is_kept_where_it_is_asked_for)
{
    static const char text[] = "unique_id,ds,y,kind,x,empty,note\nb,2,1,sale,1,,-\na,2,2,\" two, words \",,,\n"
                               "b,1,3,NA,5,,early\na,1,4,sale,6,,NaN\n";
    ftl_panel *panel = read_text(text, &(ftl_csv_options){.keep_text = true, .null_text = "-"});
    const ftl_series *a = ftl_panel_find(panel, "a"), *b = ftl_panel_find(panel, "b");
    CHECK_TEXT(ftl_panel_ignored(panel), "");
    CHECK_INT(ftl_series_n_columns(a), 2);
    CHECK_TEXT(ftl_series_column_name(a, 1), "empty");
    CHECK(ftl_series_column_named(a, "kind") == NULL);
    CHECK_INT(ftl_series_n_text(a), 2);
    CHECK_TEXT(ftl_series_text_name(a, 0), "kind");
    CHECK_TEXT(ftl_series_text_name(a, 1), "note");
    CHECK(ftl_series_text_name(a, 2) == NULL);
    CHECK_TEXT(ftl_series_text(a, 0, 0), "sale"); /* the rows of a series are in order of time */
    CHECK_TEXT(ftl_series_text(a, 0, 1), "two, words");
    CHECK_TEXT(ftl_series_text(b, 0, 1), "sale");
    CHECK(ftl_series_text(b, 0, 0) == NULL && ftl_series_text(a, 1, 0) == NULL && ftl_series_text(b, 1, 1) == NULL);
    CHECK_TEXT(ftl_series_text(b, 1, 0), "early");
    CHECK(ftl_series_text(b, 0, 2) == NULL && ftl_series_text(b, 2, 0) == NULL);
    ftl_panel_free(panel);
    check_refused("ds,y,k\n1,2,a\n2,3,\xff\n", &(ftl_csv_options){.keep_text = true}, "f.csv:3: column 'k'");
}

TEST(several_targets_are_kept_apart_from_further_columns)
{
    static const char text[] = "unique_id,b,x,ds,a,kind\ns,10,1,2,20,u\ns,NA,2,1,40,v\n";
    const ftl_csv_options options = {
        .target_column = "a", .more_targets = (const char *const[]){"b"}, .n_more_targets = 1};
    ftl_panel *panel = read_text(text, &options);
    const ftl_series *s = ftl_panel_series(panel, 0);
    CHECK_INT(ftl_series_n_targets(s), 2);
    CHECK_TEXT(ftl_series_target_name(s, 0), "a");
    CHECK_TEXT(ftl_series_target_name(s, 1), "b");
    CHECK(ftl_series_target_name(s, 2) == NULL && ftl_series_target(s, 2) == NULL);
    CHECK(ftl_series_target(s, 0) == ftl_series_values(s) && ftl_series_target(s, 0)[0] == 40);
    CHECK(isnan(ftl_series_target(s, 1)[0]) && ftl_series_target(s, 1)[1] == 10);
    CHECK_INT(ftl_series_n_columns(s), 1);
    CHECK_TEXT(ftl_panel_ignored(panel), "kind");
    ftl_panel_free(panel);
    ftl_csv_options future = options;
    future.no_target = true;
    panel = read_text(text, &future);
    CHECK_INT(ftl_series_n_targets(ftl_panel_series(panel, 0)), 1);
    CHECK_INT(ftl_series_n_columns(ftl_panel_series(panel, 0)), 1);
    ftl_panel_free(panel);
    check_refused("ds,a,b\n1,2,three\n", &options, "f.csv:2: column 'b': 'three' is not a number");
    check_refused("ds,a,b\n1,2,True\n", &options, "'True' is not a number");
    check_refused("ds,a\n1,2\n", &options, "there is no column 'b'");
    check_refused(
        "ds,a\n1,2\n",
        &(ftl_csv_options){.target_column = "a", .more_targets = (const char *const[]){"a"}, .n_more_targets = 1},
        "'a' cannot be a further target");
}

TEST(memory_may_run_out_anywhere)
{
    static const char text[] =
        "unique_id,ds,y,x,t,e\nb,2,1,1,a,\n\"a\"\"\",2,2,,b,\nb,1,3,True,c,\n\"a\"\"\",1,4,5,d,\n";
    const ftl_csv_options options = {
        .null_text = "-", .keep_text = true, .more_targets = (const char *const[]){"e"}, .n_more_targets = 1};
    ftl_status st = FTL_ENOMEM;
    long n = 0;
    for (; st == FTL_ENOMEM && n < 500; n++) {
        ftl_panel *panel = NULL;
        ftl_error err = {FTL_OK, ""};
        fi_alloc_fail_after(n);
        st = ftl_panel_parse_csv(text, sizeof text - 1, "f.csv", &options, &panel, &err);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (panel != NULL));
        if (panel) CHECK_TEXT(show(panel), "b: 1=3 2=1 | a\": 1=4 2=2");
        ftl_panel_free(panel);
    }
    CHECK_INT(st, FTL_OK);
    CHECK(n > 20);
}

TEST(memory_may_run_out_while_inflating)
{
    char path[] = "/tmp/foretell-test-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    gzFile gz = gzdopen(fd, "wb");
    CHECK(gz && gzputs(gz, "ds,y\n") > 0);
    for (int i = 0; i < 50000; i++)
        gzprintf(gz, "%d,%d\n", i, i); /* longer than the buffer, so that a window is kept */
    CHECK(gzclose(gz) == Z_OK);
    ftl_status st = FTL_ENOMEM;
    long n = 0;
    for (; st == FTL_ENOMEM && n < 200; n++) {
        ftl_panel *panel = NULL;
        fi_alloc_fail_after(n);
        st = ftl_panel_read_csv(path, NULL, &panel, NULL);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (panel != NULL));
        if (panel) CHECK_INT(ftl_series_n_obs(ftl_panel_series(panel, 0)), 50000);
        ftl_panel_free(panel);
    }
    unlink(path);
    CHECK_INT(st, FTL_OK);
}

TEST(a_row_without_end_is_refused)
{
    fi_buf text = {0};
    fi_buf_text(&text, "ds,y\n1,\"");
    char *to = fi_buf_reserve(&text, 65 << 20);
    CHECK(to);
    memset(to, 'x', 65 << 20);
    text.size += 65 << 20;
    check_refused_bytes(text.data, text.size, NULL, "f.csv:2: this row is longer than 64 MiB; is a quote left open?");
    fi_buf_release(&text);
}

TEST(prophets_example_files)
{
    if (shared_lacks("data/prophet/example_air_passengers.csv")) skip();
    static const struct {
        const char *file, *target, *freq, *last;
        size_t n;
    } cases[] = {
        {"example_air_passengers.csv", NULL, "MS", "1960-12-01", 144}, /* lines end in CR */
        {"example_wp_log_peyton_manning.csv", NULL, "D", "2016-01-20", 2905},
        {"example_wp_log_R.csv", NULL, "D", "2015-12-31", 2863},
        {"example_retail_sales.csv", NULL, "MS", "2016-05-01", 293},
        {"example_yosemite_temps.csv", NULL, "5min", "2017-07-05 00:00:00", 18721},
        {"example_pedestrians_covid.csv", NULL, "D", "2021-06-30", 1490},
        {"example_pedestrians_multivariate.csv", "location_41", "h", "2023-04-30 23:00:00", 720},
        {"tests_data.csv", NULL, "B", "2014-05-30", 510},
        {"tests_data2.csv", NULL, "5min", "2017-01-03 23:55:00", 863},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[4096], text[FTL_TIME_TEXT_MAX];
        snprintf(path, sizeof path, "%s/data/prophet/%s", shared_dir(), cases[i].file);
        ftl_panel *panel;
        ftl_error err;
        ftl_freq freq;
        if (ftl_panel_read_csv(path, &(ftl_csv_options){.target_column = cases[i].target}, &panel, &err))
            fail_msg("%s", err.message);
        const ftl_series *s = ftl_panel_series(panel, 0);
        size_t n = ftl_series_n_obs(s);
        CHECK_INT(n, cases[i].n);
        ftl_time_format(ftl_series_times(s)[n - 1], ftl_series_time_kind(s), text);
        CHECK_TEXT(text, cases[i].last);
        CHECK_INT(ftl_freq_infer(ftl_series_times(s), n, ftl_series_time_kind(s), &freq, NULL), FTL_OK);
        ftl_freq_format(&freq, text);
        CHECK_TEXT(text, cases[i].freq);
        ftl_panel_free(panel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_series_without_an_id_column),
        cmocka_unit_test(line_ends_spaces_quotes_and_marks),
        cmocka_unit_test(missing_values),
        cmocka_unit_test(rows_in_any_order_are_sorted_stably),
        cmocka_unit_test(interleaved_series_come_apart),
        cmocka_unit_test(columns_are_numeric_or_left_out),
        cmocka_unit_test(columns_by_other_names_and_future_frames),
        cmocka_unit_test(text_is_kept_where_it_is_asked_for),
        cmocka_unit_test(several_targets_are_kept_apart_from_further_columns),
        cmocka_unit_test(wrong_fields_are_named_with_file_line_and_column),
        cmocka_unit_test(eight_digits_among_indices_are_an_index),
        cmocka_unit_test(wrong_headers_are_explained),
        cmocka_unit_test(long_fields_are_cut_in_messages_at_a_character),
        cmocka_unit_test(rows_across_buffers),
        cmocka_unit_test(files_plain_and_gzipped),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(memory_may_run_out_while_inflating),
        cmocka_unit_test(a_row_without_end_is_refused),
        cmocka_unit_test(prophets_example_files), /* last: skips the program where the data are absent */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
