/*
 * Against the table of holidays that Prophet itself ships for R (1995 to 2044). An older release of the same package
 * made it, with names partly in the country's own language and dates since corrected, so the two agree in part only.
 * How far they do is known from the package: `tools/make_holidays.py --compare` prints the numbers below, and what
 * is built into the library has to reach exactly them.
 */
#include "check.h"

#include <foretell/calendar.h>
#include <zlib.h>

#define TABLE "data/prophet/prophet_generated_holidays.csv.gz"

typedef struct expectation {
    const char *country;
    int rows, same;         /* rows of the old table; of these, in ours on the same day by the same name */
    int days, days_in_ours; /* distinct days in it; of these, holidays of any name in ours */
} expectation;

static const expectation expected[] = {
    {"US", 588, 474, 588, 588}, {"NZ", 598, 524, 596, 596}, {"ZA", 680, 601, 679, 679}, {"ZW", 681, 627, 675, 675},
    {"BW", 781, 709, 758, 757}, {"GB", 734, 306, 727, 348}, {"SA", 612, 537, 612, 590}, {"CN", 522, 430, 517, 501},
    {"TU", 742, 228, 686, 658}, {"DE", 451, 0, 450, 450},   {"FR", 550, 0, 548, 545},   {"AT", 650, 0, 649, 649},
    {"NL", 510, 0, 509, 509},   {"CL", 788, 0, 788, 788},   {"SE", 3409, 0, 3254, 649},
};

static ftl_time time_of(const char *text)
{
    ftl_time time = 0;
    ftl_time_kind kind;
    CHECK_INT(ftl_time_parse(text, strlen(text), &time, &kind, NULL), FTL_OK);
    return time;
}

/* Cuts a line "ds","holiday","country",year into its fields; a doubled quote in a name becomes one. */
static bool split(char *line, char **ds, char **name, char **country)
{
    char *last = strrchr(line, ',');
    if (!last || line[0] != '"' || strlen(line) < 16) return false;
    *last = '\0';
    *country = strrchr(line, ',');
    if (!*country || *country < line + 14) return false;
    (*country)[-1] = '\0'; /* the quote that ends the name */
    (*country)++;
    if (**country == '"') (*country)++, (*country)[strlen(*country) - 1] = '\0';
    *ds = line + 1;
    line[11] = '\0';
    *name = line + 14;
    char *to = *name;
    for (const char *from = *name; *from; from++) {
        *to++ = *from;
        if (from[0] == '"' && from[1] == '"') from++;
    }
    *to = '\0';
    return true;
}

static void check_country(const expectation *e)
{
    ftl_holiday *h = NULL;
    size_t n = 0;
    CHECK_INT(ftl_holidays_of(e->country, 1995, 2044, &h, &n, NULL), FTL_OK);
    gzFile file = gzopen(shared_path(TABLE), "rb");
    CHECK(file != NULL);
    int rows = 0, same = 0, days = 0, days_in_ours = 0;
    ftl_time last = INT64_MIN;
    char line[1024], *ds, *name, *country;
    while (gzgets(file, line, sizeof line)) {
        if (!split(line, &ds, &name, &country) || strcmp(country, e->country) != 0) continue;
        ftl_time day = time_of(ds);
        bool day_found = false, name_found = false;
        for (size_t i = 0; i < n; i++)
            if (h[i].date == day) day_found = true, name_found = name_found || strcmp(h[i].name, name) == 0;
        rows++, same += name_found;
        if (day != last) days++, days_in_ours += day_found; /* the table is in order of date within a country */
        last = day;
    }
    gzclose(file);
    ftl_holidays_free(h);
    if (rows != e->rows || days != e->days) fail_msg("%s: read %d rows of %d days", e->country, rows, days);
    if (same < e->same || days_in_ours < e->days_in_ours)
        fail_msg("%s: %d rows and %d days agree, the package itself reaches %d and %d", e->country, same, days_in_ours,
                 e->same, e->days_in_ours);
}

TEST(agrees_with_prophets_table_as_far_as_the_package_does)
{
    require_shared(TABLE);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) check_country(&expected[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_prophets_table_as_far_as_the_package_does)};
    return cmocka_run_group_tests_name("parity/holidays", tests, NULL, NULL);
}
