#include "check.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "series/reader.h"

#include <pthread.h>
#include <unistd.h>

/* n series s0.. of `rows` rows each, standing together; y counts the rows. */
static fi_buf make_text(size_t n, size_t rows)
{
    fi_buf text = {0};
    fi_buf_text(&text, "unique_id,ds,y,x\n");
    for (size_t i = 0; i < n * rows; i++)
        fi_buf_printf(&text, "s%zu,%zu,%zu,%zu\n", i / rows, rows - i % rows, i, i % rows);
    return text;
}

static ftl_status open_text(const fi_buf *text, size_t whole_size, ftl_panel_reader **reader, ftl_error *err)
{
    fi_stream *input = NULL;
    *reader = NULL;
    ftl_status st = fi_stream_memory(text->data, text->size, "f.csv", &input, err);
    return st ? st : fi_panel_reader_open(input, "f.csv", NULL, whole_size, reader, err);
}

/* Reads all batches and checks that they hold what make_text() wrote; returns how many they were. */
static size_t check_batches(ftl_panel_reader *reader, size_t max_rows, size_t n, size_t rows)
{
    size_t at = 0, batches = 0;
    ftl_error err;
    double progress = -1.0;
    for (;; batches++) {
        ftl_panel *panel;
        if (ftl_panel_reader_next(reader, max_rows, &panel, &err)) fail_msg("%s", err.message);
        if (!panel) break;
        CHECK(ftl_panel_reader_progress(reader) >= progress);
        progress = ftl_panel_reader_progress(reader);
        CHECK(ftl_panel_has_ids(panel));
        for (size_t i = 0; i < ftl_panel_n_series(panel); i++, at++) {
            char id[32];
            snprintf(id, sizeof id, "s%zu", at);
            const ftl_series *s = ftl_panel_series(panel, i);
            CHECK_TEXT(ftl_series_id(s), id);
            CHECK(ftl_panel_find(panel, id) == s);
            CHECK_INT(ftl_series_n_obs(s), rows);
            for (size_t k = 0; k < rows; k++) {
                CHECK_INT(ftl_series_times(s)[k], k + 1);
                CHECK_INT(ftl_series_values(s)[k], at * rows + rows - 1 - k);
                CHECK_INT(ftl_series_column_named(s, "x")[k], rows - 1 - k);
            }
        }
        ftl_panel_free(panel);
    }
    CHECK_INT(at, n);
    CHECK_NEAR(ftl_panel_reader_progress(reader), 1.0, 0);
    return batches;
}

TEST(batches_hold_whole_series)
{
    fi_buf text = make_text(1000, 7);
    static const struct {
        size_t whole_size, max_rows, batches;
    } cases[] = {
        {0, 1, 1000},       {0, 7, 1000},       {0, 8, 500},
        {0, 70, 100}, /* streamed: until max_rows are there */
        {1 << 20, 1, 1000}, {1 << 20, 7, 1000}, {1 << 20, 70, 100},
        {1 << 20, 6999, 2}, /* read whole, in parts */
        {1 << 20, 7000, 1}, {0, 1 << 30, 1},    {1 << 20, 0, 1000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ftl_panel_reader *reader;
        CHECK_INT(open_text(&text, cases[i].whole_size, &reader, NULL), FTL_OK);
        CHECK_INT(check_batches(reader, cases[i].max_rows, 1000, 7), cases[i].batches);
        ftl_panel_reader_close(reader);
    }
    fi_buf_release(&text);
}

TEST(text_and_further_targets_go_with_their_batch)
{
    enum { SERIES = 60, ROWS = 5 };
    const ftl_csv_options options = {
        .keep_text = true, .more_targets = (const char *const[]){"other"}, .n_more_targets = 1};
    fi_buf text = {0};
    fi_buf_text(&text, "unique_id,ds,word,y,other\n");
    for (size_t i = 0; i < SERIES * ROWS; i++)
        fi_buf_printf(&text, "s%zu,%zu,w%zu,%zu,%zu\n", i / ROWS, ROWS - i % ROWS, i % 11, i, 2 * i);
    for (int whole = 0; whole < 2; whole++) { /* streamed, and read whole and handed out in parts */
        fi_stream *input;
        ftl_panel_reader *reader;
        ftl_panel *panel;
        size_t seen = 0;
        CHECK_INT(fi_stream_memory(text.data, text.size, "f.csv", &input, NULL), FTL_OK);
        CHECK_INT(fi_panel_reader_open(input, "f.csv", &options, whole ? 1 << 20 : 0, &reader, NULL), FTL_OK);
        while (!ftl_panel_reader_next(reader, 3 * ROWS, &panel, NULL) && panel) {
            CHECK_INT(ftl_panel_n_series(panel), 3);
            for (size_t k = 0; k < (size_t)3 * ROWS; k++, seen++) {
                const ftl_series *s = ftl_panel_series(panel, k / ROWS);
                size_t row = k % ROWS, i = seen - row + ROWS - 1 - row; /* of the file */
                char word[32];
                snprintf(word, sizeof word, "w%zu", i % 11);
                CHECK_TEXT(ftl_series_text(s, 0, row), word);
                CHECK_INT(ftl_series_values(s)[row], i);
                CHECK_INT(ftl_series_target(s, 1)[row], 2 * i);
            }
            ftl_panel_free(panel);
        }
        CHECK_INT(seen, SERIES * ROWS);
        ftl_panel_reader_close(reader);
    }
    fi_buf_release(&text);
}

TEST(a_series_that_turns_up_again_is_refused_only_in_large_files)
{
    fi_buf text = make_text(3, 4);
    fi_buf_text(&text, "s0,99,1,1\n");
    for (size_t max_rows = 1; max_rows < 20; max_rows += 6) {
        ftl_panel_reader *reader;
        ftl_panel *panel;
        ftl_error err;
        ftl_status st;
        CHECK_INT(open_text(&text, 0, &reader, &err), FTL_OK);
        while (!(st = ftl_panel_reader_next(reader, max_rows, &panel, &err)) && panel) ftl_panel_free(panel);
        CHECK_INT(st, FTL_EDATA);
        CHECK(panel == NULL);
        CHECK_CONTAINS(err.message, "f.csv:14: more rows of series 's0', which had ended");
        CHECK_CONTAINS(err.message, "sort it by id");
        CHECK_INT(ftl_panel_reader_next(reader, max_rows, &panel, NULL), FTL_EDATA); /* and stays so */
        ftl_panel_reader_close(reader);
    }
    ftl_panel_reader *reader;
    ftl_panel *panel;
    CHECK_INT(open_text(&text, 1 << 20, &reader, NULL), FTL_OK);
    CHECK_INT(ftl_panel_reader_next(reader, 100, &panel, NULL), FTL_OK);
    CHECK_INT(ftl_series_n_obs(ftl_panel_series(panel, 0)), 5);
    ftl_panel_free(panel);
    ftl_panel_reader_close(reader);
    fi_buf_release(&text);
}

TEST(a_large_file_in_another_order_is_read_whole)
{
    fi_buf text = {0};
    fi_buf_text(&text, "unique_id,ds,y\n");
    for (int t = 1; t <= 50; t++)
        for (int s = 0; s < 3; s++) fi_buf_printf(&text, "s%d,%d,%d\n", s, t, 100 * s + t);
    ftl_panel_reader *reader;
    ftl_panel *panel;
    CHECK_INT(open_text(&text, 0, &reader, NULL), FTL_OK);
    for (int s = 0; s < 3; s++) {
        CHECK_INT(ftl_panel_reader_next(reader, 10, &panel, NULL), FTL_OK);
        CHECK_INT(ftl_panel_n_series(panel), 1);
        const ftl_series *series = ftl_panel_series(panel, 0);
        CHECK_INT(ftl_series_n_obs(series), 50);
        for (int t = 1; t <= 50; t++) CHECK_NEAR(ftl_series_values(series)[t - 1], 100 * s + t, 0);
        ftl_panel_free(panel);
    }
    CHECK_INT(ftl_panel_reader_next(reader, 10, &panel, NULL), FTL_OK);
    CHECK(panel == NULL);
    ftl_panel_reader_close(reader);
    fi_buf_release(&text);
}

TEST(a_file_without_ids_is_one_batch)
{
    fi_buf text = {0};
    fi_buf_text(&text, "ds,y\n");
    for (int i = 0; i < 100; i++) fi_buf_printf(&text, "%d,%d\n", i, i);
    for (size_t whole = 0; whole <= 1 << 20; whole += 1 << 20) {
        ftl_panel_reader *reader;
        ftl_panel *panel;
        CHECK_INT(open_text(&text, whole, &reader, NULL), FTL_OK);
        CHECK_INT(ftl_panel_reader_next(reader, 10, &panel, NULL), FTL_OK);
        CHECK(!ftl_panel_has_ids(panel));
        CHECK_INT(ftl_series_n_obs(ftl_panel_series(panel, 0)), 100);
        ftl_panel_free(panel);
        CHECK_INT(ftl_panel_reader_next(reader, 10, &panel, NULL), FTL_OK);
        CHECK(panel == NULL);
        ftl_panel_reader_close(reader);
    }
    fi_buf_release(&text);
}

TEST(errors_of_the_rows_come_with_their_batch)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"unique_id,ds,y\na,1,1\nb,2,x\n", "f.csv:3: column 'y': 'x' is not a number"},
        {"unique_id,ds,y\na,1,1\nb,2024-01-01,1\n", "f.csv:3: column 'ds': '2024-01-01' is a date, but"},
        {"unique_id,ds,y\n", "f.csv: has a header but no rows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t whole = 0; whole <= 1 << 20; whole += 1 << 20) {
            fi_buf text = {0};
            fi_buf_text(&text, cases[i].text);
            ftl_panel_reader *reader;
            ftl_panel *panel;
            ftl_error err = {FTL_OK, ""};
            CHECK_INT(open_text(&text, whole, &reader, &err), FTL_OK);
            while (!ftl_panel_reader_next(reader, 1, &panel, &err) && panel) ftl_panel_free(panel);
            CHECK_INT(err.code, FTL_EDATA);
            CHECK_CONTAINS(err.message, cases[i].message);
            ftl_panel_reader_close(reader);
            fi_buf_release(&text);
        }
    ftl_panel_reader *reader;
    ftl_error err;
    CHECK_INT(ftl_panel_reader_open("/does/not/exist", NULL, &reader, &err), FTL_EIO);
    CHECK(reader == NULL);
}

typedef struct producer {
    int fd;
    fi_buf text;
} producer;

static void *feed(void *argument)
{
    producer *p = argument;
    for (size_t at = 0; at < p->text.size;) { /* in odd pieces, as a pipe gives them */
        size_t n = p->text.size - at < 1013 ? p->text.size - at : 1013;
        ssize_t k = write(p->fd, p->text.data + at, n);
        if (k <= 0) break;
        at += (size_t)k;
    }
    close(p->fd);
    return NULL;
}

typedef struct consumer {
    ftl_panel_reader *reader;
    size_t batches;
} consumer;

static void *consume(void *argument)
{
    consumer *c = argument;
    c->batches = check_batches(c->reader, 100, 500, 10);
    return NULL;
}

/* Standard input is a pipe, and the reader runs on another thread than the one that opened it. */
TEST(a_pipe_is_read_on_another_thread)
{
    int ends[2], old = dup(STDIN_FILENO);
    CHECK(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) == STDIN_FILENO && close(ends[0]) == 0);
    producer p = {ends[1], make_text(500, 10)};
    pthread_t thread, other;
    CHECK(pthread_create(&thread, NULL, feed, &p) == 0);
    consumer c = {NULL, 0};
    ftl_error err;
    CHECK_INT(ftl_panel_reader_open("-", NULL, &c.reader, &err), FTL_OK);
    CHECK(pthread_create(&other, NULL, consume, &c) == 0);
    pthread_join(other, NULL);
    CHECK_INT(c.batches, 50);
    ftl_panel_reader_close(c.reader);
    pthread_join(thread, NULL);
    fi_buf_release(&p.text);
    CHECK(dup2(old, STDIN_FILENO) == STDIN_FILENO);
    close(old);
}

TEST(memory_may_run_out_anywhere)
{
    fi_buf text = make_text(20, 3);
    for (size_t whole = 0; whole <= 1 << 20; whole += 1 << 20) {
        ftl_status st = FTL_ENOMEM;
        long n = 0;
        for (; st == FTL_ENOMEM && n < 2000; n++) {
            ftl_panel_reader *reader = NULL;
            ftl_panel *panel = NULL;
            fi_alloc_fail_after(n);
            st = open_text(&text, whole, &reader, NULL);
            CHECK((st == FTL_OK) == (reader != NULL));
            while (!st) {
                st = ftl_panel_reader_next(reader, 12, &panel, NULL);
                if (!panel) break;
                ftl_panel_free(panel);
            }
            fi_alloc_fail_after(-1);
            ftl_panel_reader_close(reader);
        }
        CHECK_INT(st, FTL_OK);
        CHECK(n > 30);
    }
    fi_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_hold_whole_series),
        cmocka_unit_test(text_and_further_targets_go_with_their_batch),
        cmocka_unit_test(a_series_that_turns_up_again_is_refused_only_in_large_files),
        cmocka_unit_test(a_large_file_in_another_order_is_read_whole),
        cmocka_unit_test(a_file_without_ids_is_one_batch),
        cmocka_unit_test(errors_of_the_rows_come_with_their_batch),
        cmocka_unit_test(a_pipe_is_read_on_another_thread),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
