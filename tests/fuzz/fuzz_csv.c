/* Any bytes as a CSV: the whole-file reader and the batch reader must agree, or one must have a reason to refuse. */
#include "base/file.h"
#include "series/reader.h"

#include <foretell/series.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static void check_series(const ftl_series *s)
{
    size_t n = ftl_series_n_obs(s);
    const ftl_time *ds = ftl_series_times(s);
    char text[FTL_TIME_TEXT_MAX];
    REQUIRE(n > 0);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(i == 0 || ds[i - 1] <= ds[i]);
        REQUIRE(!isinf(ftl_series_values(s)[i]));
        REQUIRE(ftl_time_format(ds[i], ftl_series_time_kind(s), text) < sizeof text);
        for (size_t c = 0; c < ftl_series_n_columns(s); c++) REQUIRE(!isinf(ftl_series_column(s, c)[i]));
    }
    ftl_freq freq;
    ftl_time next[3];
    if (!ftl_freq_infer(ds, n, ftl_series_time_kind(s), &freq, NULL) &&
        !ftl_freq_after(&freq, ds[n - 1], 3, next, NULL))
        REQUIRE(next[0] > ds[n - 1] && next[1] > next[0] && next[2] > next[1]);
}

static void check_same(const ftl_series *a, const ftl_series *b)
{
    size_t n = ftl_series_n_obs(a);
    REQUIRE(strcmp(ftl_series_id(a), ftl_series_id(b)) == 0 && ftl_series_n_obs(b) == n);
    REQUIRE(ftl_series_time_kind(a) == ftl_series_time_kind(b));
    REQUIRE(memcmp(ftl_series_times(a), ftl_series_times(b), n * sizeof(ftl_time)) == 0);
    REQUIRE(memcmp(ftl_series_values(a), ftl_series_values(b), n * sizeof(double)) == 0);
    for (size_t c = 0; c < ftl_series_n_columns(a); c++) {
        const double *other = ftl_series_column_named(b, ftl_series_column_name(a, c));
        if (other) REQUIRE(memcmp(ftl_series_column(a, c), other, n * sizeof(double)) == 0);
    }
}

/* Reads in batches of max_rows; compares with `whole` where that is not NULL. *n is how many series there were. */
static ftl_status read_batches(const char *text, size_t size, const ftl_csv_options *options, size_t whole_size,
                               size_t max_rows, const ftl_panel *whole, size_t *n, ftl_error *err)
{
    fi_stream *input = NULL;
    ftl_panel_reader *reader = NULL;
    ftl_panel *part = NULL;
    *n = 0;
    ftl_status st = fi_stream_memory(text, size, "fuzz", &input, err);
    if (!st) st = fi_panel_reader_open(input, "fuzz", options, whole_size, &reader, err);
    while (!st) {
        st = ftl_panel_reader_next(reader, max_rows, &part, err);
        if (!part) break;
        for (size_t i = 0; i < ftl_panel_n_series(part); i++, (*n)++)
            if (whole) check_same(ftl_panel_series(whole, *n), ftl_panel_series(part, i));
        ftl_panel_free(part);
    }
    ftl_panel_reader_close(reader);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_csv_options options = {0};
    if (size < 1) return 0;
    options.no_target = data[0] & 1; /* the first byte chooses the options */
    options.null_text = data[0] & 2 ? "-" : NULL;
    options.id_column = data[0] & 4 ? "y" : NULL;
    options.target_column = data[0] & 4 ? "x" : NULL;
    size_t max_rows = (data[0] >> 3) + 1u, whole_size = data[0] & 8 ? 0 : 1 << 16;
    const char *text = (const char *)data + 1;
    size--;

    ftl_panel *whole = NULL;
    ftl_error err = {FTL_OK, ""}, err2 = {FTL_OK, ""};
    ftl_status st = ftl_panel_parse_csv(text, size, "fuzz", &options, &whole, &err);
    REQUIRE((st == FTL_OK) == (whole != NULL));
    REQUIRE(st == FTL_OK || (err.code == st && err.message[0]));
    size_t n = whole ? ftl_panel_n_series(whole) : 0, n2;
    for (size_t i = 0; i < n; i++) {
        const ftl_series *s = ftl_panel_series(whole, i);
        check_series(s);
        REQUIRE(ftl_panel_find(whole, ftl_series_id(s)) == s);
    }

    ftl_status st2 = read_batches(text, size, &options, whole_size, max_rows, NULL, &n2, &err2);
    if (st) REQUIRE(st2); /* what the one refuses, the other may not take */
    if (st == FTL_OK && st2) REQUIRE(strstr(err2.message, "which had ended"));
    if (st == FTL_OK && st2 == FTL_OK) {
        REQUIRE(n2 == n); /* and only now: before that error, batches end within a series */
        REQUIRE(read_batches(text, size, &options, whole_size, max_rows, whole, &n2, &err2) == FTL_OK);
    }
    ftl_panel_free(whole);
    return 0;
}
