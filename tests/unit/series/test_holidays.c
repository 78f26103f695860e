#include "check.h"

#include "base/alloc.h"
#include "series/holidays.h"

#include <foretell/calendar.h>

/* "2024-07-04", in a static buffer */
static const char *day_text(ftl_time day)
{
    static char text[FTL_TIME_TEXT_MAX];
    ftl_time_format(day, FTL_TIME_DATE, text);
    return text;
}

static size_t count_of(const char *country, int from, int to)
{
    ftl_holiday *h = NULL;
    size_t n = 0;
    ftl_error err = {FTL_OK, ""};
    if (ftl_holidays_of(country, from, to, &h, &n, &err)) fail_msg("%s: %s", country, err.message);
    CHECK(h != NULL);
    ftl_holidays_free(h);
    return n;
}

/* Is `name` a holiday on `day`? */
static bool is_holiday(const char *country, const char *day, const char *name)
{
    ftl_holiday *h = NULL;
    size_t n = 0;
    bool found = false;
    CHECK_INT(ftl_holidays_of(country, atoi(day), atoi(day), &h, &n, NULL), FTL_OK);
    for (size_t i = 0; i < n; i++)
        if (strcmp(day_text(h[i].date), day) == 0 && strcmp(h[i].name, name) == 0) found = true;
    ftl_holidays_free(h);
    return found;
}

/* The file was written by tools/make_holidays.py from the package itself: every line of it must come out again. */
TEST(equals_the_package_on_the_committed_sample)
{
    static char expected[1 << 16];
    FILE *file = fopen(FTL_TEST_DATA "/holidays.tsv", "rb");
    CHECK(file != NULL);
    expected[fread(expected, 1, sizeof expected - 1, file)] = '\0';
    fclose(file);
    static const char *const places[] = {"US", "DE-BY", "IN", "TR", "JP", "BR-SP"};
    static const int years[] = {1996, 2023, 2050};
    static char actual[sizeof expected];
    size_t size = 0;
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
        for (size_t y = 0; y < sizeof years / sizeof *years; y++) {
            ftl_holiday *h = NULL;
            size_t n = 0;
            CHECK_INT(ftl_holidays_of(places[p], years[y], years[y], &h, &n, NULL), FTL_OK);
            for (size_t i = 0; i < n && size < sizeof actual; i++)
                size += (size_t)snprintf(actual + size, sizeof actual - size, "%s\t%s\t%s\n", places[p],
                                         day_text(h[i].date), h[i].name);
            ftl_holidays_free(h);
        }
    CHECK(size < sizeof actual);
    CHECK_TEXT(actual, expected);
}

static void check_order(const char *place, const ftl_holiday *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (h[i].date % FTL_DAY || !*h[i].name) fail_msg("%s: holiday %zu is no midnight or has no name", place, i);
        if (i && (h[i].date < h[i - 1].date || (h[i].date == h[i - 1].date && strcmp(h[i].name, h[i - 1].name) <= 0)))
            fail_msg("%s: '%s' of %s is out of order", place, h[i].name, day_text(h[i].date));
        int year = atoi(day_text(h[i].date));
        if (year < 1995 || year > 2050) fail_msg("%s: '%s' in %d", place, h[i].name, year);
    }
}

TEST(every_country_and_subdivision_unfolds_in_order)
{
    CHECK(ftl_country_count() >= 100);
    size_t places = 0, empty = 0;
    for (size_t c = 0; c < ftl_country_count(); c++) {
        const char *name, *subdivisions, *code = ftl_country_at(c, &name, &subdivisions);
        CHECK(code && *code && *name && subdivisions);
        char place[64];
        for (const char *sub = subdivisions - 1; sub; sub = strchr(sub + 1, ' ')) {
            if (sub < subdivisions)
                snprintf(place, sizeof place, "%s", code); /* first the country itself */
            else
                snprintf(place, sizeof place, "%s-%.*s", code, (int)strcspn(sub + 1, " "), sub + 1);
            if (sub < subdivisions) sub = subdivisions - 1;
            ftl_holiday *h = NULL;
            size_t n = 0;
            ftl_error err = {FTL_OK, ""};
            if (ftl_holidays_of(place, 1995, 2050, &h, &n, &err)) fail_msg("%s: %s", place, err.message);
            check_order(place, h, n);
            places++, empty += n == 0;
            ftl_holidays_free(h);
        }
    }
    CHECK(places > ftl_country_count() + 500);
    CHECK(empty < 10); /* Bouvet Island and the like */
    CHECK(ftl_country_at(ftl_country_count(), NULL, NULL) == NULL);
    CHECK_TEXT(ftl_country_at(0, NULL, NULL), "AD");
}

TEST(years_are_clipped_to_the_table)
{
    CHECK_INT(count_of("US", 1800, 1994), 0);
    CHECK_INT(count_of("US", 2051, 2300), 0);
    CHECK_INT(count_of("US", 2024, 2023), 0);
    CHECK_INT(count_of("US", INT32_MIN, INT32_MAX), count_of("US", 1995, 2050));
    size_t sum = 0;
    for (int year = 1990; year < 2060; year++) sum += count_of("US", year, year);
    CHECK_INT(sum, count_of("US", 1995, 2050));
    CHECK(is_holiday("US", "1995-01-01", "New Year's Day"));
    CHECK(is_holiday("US", "2050-12-26", "Christmas Day (observed)"));
    CHECK(is_holiday("US", "2024-02-19", "Washington's Birthday"));
    CHECK(is_holiday("GB", "2022-09-19", "State Funeral of Queen Elizabeth II"));
}

TEST(a_country_has_many_names)
{
    static const char *const us[] = {
        "US", "us", "USA", "usa", "United States", "united-states", "UNITED_STATES", "UnitedStates"};
    for (size_t i = 0; i < sizeof us / sizeof *us; i++)
        CHECK_INT(count_of(us[i], 1995, 2050), count_of("US", 1995, 2050));
    CHECK_INT(count_of("TU", 1995, 2050), count_of("TR", 1995, 2050)); /* Prophet's own alias */
    CHECK_INT(count_of("UK", 1995, 2050), count_of("GB", 1995, 2050));
    CHECK_INT(count_of("Guinea_Bissau", 1995, 2050), count_of("GW", 1995, 2050)); /* not a part of Guinea */
    CHECK_INT(count_of("NYSE", 1995, 2050), count_of("XNYS", 1995, 2050));
}

TEST(a_subdivision_adds_and_takes_away)
{
    static const char *const california[] = {"US-CA", "us_ca", "USA-California", "United States-California"};
    for (size_t i = 0; i < sizeof california / sizeof *california; i++) {
        CHECK(is_holiday(california[i], "2024-04-01", "Cesar Chavez Day (observed)") ||
              is_holiday(california[i], "2025-03-31", "Cesar Chavez Day"));
        CHECK(is_holiday(california[i], "2024-07-04", "Independence Day"));
        CHECK(is_holiday("US", "2024-10-14", "Columbus Day"));
        CHECK(!is_holiday(california[i], "2024-10-14", "Columbus Day"));
    }
    CHECK(is_holiday("DE-BY", "2024-01-06", "Epiphany"));
    CHECK(!is_holiday("DE", "2024-01-06", "Epiphany"));
    CHECK(is_holiday("AU-NSW Western", "2024-01-26", "Australia Day"));
    CHECK(is_holiday("AU-NSW_Western", "2024-01-26", "Australia Day"));
}

static void check_refused(const char *country, const char *part_of_message)
{
    ftl_holiday *h = (ftl_holiday *)&h;
    size_t n = 7;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_holidays_of(country, 2000, 2001, &h, &n, &err), FTL_EINVAL);
    CHECK(h == NULL && n == 0);
    CHECK_CONTAINS(err.message, part_of_message);
}

TEST(unknown_names_are_refused_with_the_nearest)
{
    check_refused("Untied States", "'Untied States'; did you mean 'United States'?");
    check_refused("germony", "did you mean 'Germany'?");
    check_refused("XX", "'foretell holidays --list'");
    check_refused("", "'foretell holidays --list'");
    check_refused("-", "'foretell holidays --list'");
    check_refused("US-Californa", "did you mean 'California'?");
    check_refused("US-ZZ", "known are AK AL AR");
    check_refused("US-", "known are AK AL AR");
    check_refused("US-CA-CA", "known are AK AL AR");
    check_refused("VA-ZZ", "use 'VA'");
    char long_name[5000];
    memset(long_name, '-', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    check_refused(long_name, "'foretell holidays --list'");
}

TEST(no_memory_is_reported_and_leaks_nothing)
{
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 100; n++) {
        ftl_holiday *h = NULL;
        size_t count = 0;
        ftl_error err = {FTL_OK, ""};
        fi_alloc_fail_after(n);
        st = ftl_holidays_of("US-CA", 1995, 2050, &h, &count, &err);
        fi_alloc_fail_after(-1);
        CHECK((st == FTL_OK) == (h != NULL));
        CHECK_INT(err.code, st);
        CHECK(n > 0 || st == FTL_ENOMEM);
        ftl_holidays_free(h);
    }
    CHECK_INT(st, FTL_OK);
    ftl_holidays_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_package_on_the_committed_sample),
        cmocka_unit_test(every_country_and_subdivision_unfolds_in_order),
        cmocka_unit_test(years_are_clipped_to_the_table),
        cmocka_unit_test(a_country_has_many_names),
        cmocka_unit_test(a_subdivision_adds_and_takes_away),
        cmocka_unit_test(unknown_names_are_refused_with_the_nearest),
        cmocka_unit_test(no_memory_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("series/holidays", tests, NULL, NULL);
}
