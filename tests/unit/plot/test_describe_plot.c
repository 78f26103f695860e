#include "check.h"

#include "../stats/series_data.h"
#include "base/alloc.h"
#include "picture.h"

#include <foretell/describe.h>
#include <foretell/plot.h>

static ftl_series *series;
static ftl_description *description;

static void setup(size_t n)
{
    CHECK_INT(ftl_series_new("air", air_passengers, n, &series, NULL), FTL_OK);
    CHECK_INT(ftl_describe(series, NULL, &description, NULL), FTL_OK);
}

static void teardown(void)
{
    ftl_description_free(description);
    ftl_series_free(series);
}

TEST(one_to_four_series_are_drawn_and_no_more)
{
    ftl_error err = {FTL_OK, ""};
    for (size_t length = 3; length <= 144; length += 141) { /* also one too short for more than its values */
        setup(length);
        const ftl_series *s[5] = {series, series, series, series, series};
        const ftl_description *d[5] = {description, description, description, description, description};
        for (size_t n = 1; n <= 4; n++) {
            const char *path = scratch("d.svg");
            struct stat info;
            CHECK_INT(ftl_plot_descriptions(s, d, n, NULL, FTL_PLOT_SVG, path, &err), FTL_OK);
            CHECK_INT(stat(path, &info), 0);
            CHECK(info.st_size > 1000);
            remove(path);
        }
        CHECK_INT(ftl_plot_descriptions(s, d, 5, NULL, FTL_PLOT_SVG, scratch("d.svg"), &err), FTL_EINVAL);
        CHECK_INT(ftl_plot_descriptions(s, d, 0, NULL, FTL_PLOT_SVG, scratch("d.svg"), &err), FTL_EINVAL);
        teardown();
    }
    CHECK_INT(scratch_entries(), 0);
}

TEST(memory_may_run_out_anywhere)
{
    setup(144);
    const ftl_series *s[1] = {series};
    const ftl_description *d[1] = {description};
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 2000; n++) {
        fi_alloc_fail_after(n);
        st = ftl_plot_descriptions(s, d, 1, NULL, FTL_PLOT_SVG, scratch("m.svg"), NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    remove(scratch("m.svg"));
    rmdir(scratch(""));
    teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_to_four_series_are_drawn_and_no_more),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
