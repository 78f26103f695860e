#include "check.h"

#include "base/alloc.h"
#include "base/buf.h"

TEST(pieces_are_put_together)
{
    fi_buf buf = {0};
    fi_buf_text(&buf, "a");
    fi_buf_char(&buf, 'b');
    fi_buf_printf(&buf, "%d-%s", 7, "c");
    fi_buf_put(&buf, "xyz", 2);
    fi_buf_double(&buf, 0.1);
    fi_buf_double(&buf, NAN); /* nothing: an empty field */
    fi_buf_double(&buf, -1e300);
    CHECK_TEXT(buf.data, "ab7-cxy0.1-1e+300");
    CHECK_INT(buf.size, strlen(buf.data));
    fi_buf_clear(&buf);
    CHECK_TEXT(buf.data, "");
    fi_buf_release(&buf);
    CHECK(buf.data == NULL && buf.capacity == 0);
}

TEST(fields_are_quoted_where_they_must_be)
{
    static const char *const cases[][2] = {
        {"plain", "plain"},   {"", ""},         {"a,b", "\"a,b\""}, {"a\"b", "\"a\"\"b\""}, {"a\nb", "\"a\nb\""},
        {"a\rb", "\"a\rb\""}, {" a", "\" a\""}, {"a ", "\"a \""},   {"a b", "a b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fi_buf buf = {0};
        fi_buf_csv(&buf, cases[i][0]);
        CHECK_TEXT(buf.data ? buf.data : "", cases[i][1]);
        fi_buf_release(&buf);
    }
}

TEST(long_text_grows_the_buffer)
{
    fi_buf buf = {0};
    for (int i = 0; i < 20000; i++) fi_buf_printf(&buf, "%d,", i);
    CHECK_INT(buf.size, 10 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 10000 * 6);
    CHECK_INT(buf.data[buf.size], '\0');
    char *to = fi_buf_reserve(&buf, 1000000);
    CHECK(to == buf.data + buf.size && buf.capacity > buf.size + 1000000);
    fi_buf_release(&buf);
}

TEST(a_failure_sticks)
{
    fi_buf buf = {0};
    fi_buf_text(&buf, "kept");
    fi_alloc_fail_after(0);
    for (int i = 0; i < 100; i++) fi_buf_text(&buf, "more");
    fi_alloc_fail_after(-1);
    CHECK(buf.failed);
    size_t size = buf.size;
    fi_buf_text(&buf, "after");
    fi_buf_char(&buf, 'x');
    fi_buf_printf(&buf, "%d", 1);
    fi_buf_double(&buf, 1.0);
    fi_buf_csv(&buf, "a,b");
    CHECK(fi_buf_reserve(&buf, 1) == NULL);
    CHECK_INT(buf.size, size);
    fi_buf_release(&buf);
    CHECK(fi_buf_reserve(&buf, (size_t)-1) == NULL && buf.failed); /* too much to ask for */
    fi_buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_put_together),
        cmocka_unit_test(fields_are_quoted_where_they_must_be),
        cmocka_unit_test(long_text_grows_the_buffer),
        cmocka_unit_test(a_failure_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
