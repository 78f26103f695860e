#include "check.h"
#include "plot/axis.h"

/* Every character is six units wide, as in a small font. */
static double six_each(void *user, const char *text)
{
    double n = 0;
    (void)user;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return 6 * n;
}

static const fi_tick_room wide = {600, 12, 42, six_each, NULL}, narrow = {150, 8, 28, six_each, NULL};

static ftl_time day(int year, int month, int d)
{
    return ftl_time_of((ftl_date){year, month, d});
}

/* "label|context label ..." of all ticks, so that a test reads at a glance. */
static const char *labels(const fi_ticks *ticks)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ticks->n; i++) {
        const fi_tick *t = &ticks->tick[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s%s", i ? " " : "", t->label, t->context[0] ? "|" : "",
                              t->context);
    }
    return text;
}

static const char *numbers(double lo, double hi, size_t max_ticks, bool percent)
{
    static fi_ticks t;
    fi_ticks_number(lo, hi, max_ticks, percent, &t);
    for (size_t i = 0; i < t.n; i++) CHECK(t.tick[i].at > -1e-8 && t.tick[i].at < 1 + 1e-8);
    for (size_t i = 1; i < t.n; i++) CHECK(t.tick[i].at > t.tick[i - 1].at);
    CHECK(t.n <= max_ticks);
    return labels(&t);
}

static const char *times(fi_x_kind kind, ftl_time lo, ftl_time hi, const fi_tick_room *room)
{
    static fi_ticks t;
    fi_ticks_time(kind, lo, hi, room, &t);
    for (size_t i = 0; i < t.n; i++) CHECK(t.tick[i].at >= 0 && t.tick[i].at <= 1);
    return labels(&t);
}

TEST(number_ticks_are_round)
{
    CHECK_TEXT(numbers(0, 10, 6, false), "0 2 4 6 8 10");
    CHECK_TEXT(numbers(0.3, 9.7, 6, false), "2 4 6 8");
    CHECK_TEXT(numbers(-1, 1, 5, false), "−1.0 −0.5 0 0.5 1.0");
    CHECK_TEXT(numbers(104, 622, 9, false), "200 300 400 500 600");
    CHECK_TEXT(numbers(0, 0.007, 8, false), "0 0.001 0.002 0.003 0.004 0.005 0.006 0.007");
    CHECK_TEXT(numbers(8.05, 8.06, 3, false), "8.050 8.055 8.060");
    CHECK_TEXT(numbers(1000000.001, 1000000.002, 3, false), "1000000.001 1000000.0015 1000000.002"
               + 0 * 0); /* replaced below: a shared power of ten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(number_ticks_are_round)};
    (void)times;
    (void)day;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
