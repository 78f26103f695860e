#include "base/error.h"
#include "forecast/forecaster.h"
#include "picture.h"
#include "plot/component_plot.h"

static const ftl_time start = INT64_C(1704067200) * FTL_SECOND;  /* 2024-01-01 */
static const ftl_time sunday = INT64_C(1483228800) * FTL_SECOND; /* 2017-01-01 */

static ftl_profile make_profile(const char *name, double period_days, size_t n, bool multiplicative)
{
    ftl_profile p = {.period_days = period_days, .n = n, .multiplicative = multiplicative};
    snprintf(p.name, sizeof p.name, "%s", name);
    p.times = malloc((n + 1) * sizeof *p.times);
    p.values = malloc((n + 1) * sizeof *p.values);
    for (size_t i = 0; i < n; i++) {
        p.times[i] = sunday + (ftl_time)(period_days * (double)FTL_DAY * (double)i / (double)(n == 7 ? 7 : n - 1));
        p.values[i] = 0.2 * sin(6.283185307179586 * (double)i / (double)n);
    }
    return p;
}

static void drop_profile(ftl_profile *p)
{
    free(p->times);
    free(p->values);
}

/* Components of those names, the first with quantiles. */
static ftl_forecast *with_components(const char *const *names, size_t n)
{
    ftl_forecast *fc = make_forecast("shop", FTL_TIME_DATE, start, FTL_DAY, 120);
    CHECK_INT(fi_forecast_add_components(fc, n, NULL), FTL_OK);
    for (size_t c = 0; c < n; c++) {
        fc->components[c].name = fi_strdup(names[c]);
        for (size_t i = 0; i < fc->n_rows; i++) fc->components[c].value[i] = (double)(c + 1) * 0.1 * (double)(i % 30);
    }
    if (n) {
        fc->components[0].q = fi_alloc(fc->n_rows * 5, sizeof(double));
        memcpy(fc->components[0].q, fc->q, fc->n_rows * 5 * sizeof(double));
    }
    return fc;
}

/* Height in points of the picture, which tells how many panels it has. */
static double draw(const ftl_forecast *fc, ftl_profile **profiles, size_t n, const char *path)
{
    ftl_error err = {FTL_OK, ""};
    ftl_plot_style style = {0};
    double height = 0;
    size_t size;
    if (fi_plot_panels(fc, profiles, n, &style, FTL_PLOT_SVG, path, &err)) fail_msg("%s", err.message);
    char *svg = slurp(path, &size);
    check_well_formed(svg);
    CHECK(sscanf(strstr(svg, "height=\""), "height=\"%lfpt", &height) == 1);
    free(svg);
    return height;
}

static double height_of(size_t n_panels)
{
    return 216 * (double)n_panels + 24;
}

TEST(prophet_shows_its_panels_and_no_others)
{
    const char *names[] = {"trend",     "additive_terms",           "holidays", "weekly", "multiplicative_terms",
                           "Christmas", "extra_regressors_additive"};
    ftl_profile week = make_profile("weekly", 7, 7, false), year = make_profile("yearly", 365.25, 365, true),
                day = make_profile("daily", 1, 200, false), month = make_profile("a month", 30.5, 200, false),
                none = make_profile("none", 3, 0, false);
    ftl_profile *profiles[] = {&month, &day, &year, &week, &none};
    ftl_forecast *fc = with_components(names, 7);
    CHECK_NEAR(draw(fc, profiles, 5, scratch("p.svg")), height_of(7), 1e-9); /* trend holidays 4 seasons regressors */
    CHECK_NEAR(draw(fc, profiles, 0, scratch("p.svg")), height_of(3), 1e-9);
    ftl_forecast_free(fc);
    const char *other[] = {"level", "slope", "season"};
    fc = with_components(other, 3);
    CHECK_NEAR(draw(fc, profiles, 0, scratch("p.svg")), height_of(3), 1e-9);
    ftl_forecast_free(fc);
    for (int i = 0; i < 5; i++) drop_profile(profiles[i]);
}

TEST(the_trend_has_its_band_and_its_limits)
{
    const char *names[] = {"trend", "additive_terms"};
    ftl_forecast *fc = with_components(names, 2);
    ftl_plot_style style = {.scale = 1};
    size_t black[2];
    for (int i = 0; i < 2; i++) {
        CHECK_INT(fi_plot_panels(fc, NULL, 0, &style, FTL_PLOT_PNG, scratch("t.png"), NULL), FTL_OK);
        cairo_surface_t *png = decode_png(scratch("t.png"), 720, 240);
        CHECK(count_pixels(png, 0xCCE2EF) > 500);
        CHECK(count_pixels(png, 0x0072B2) > 100);
        black[i] = count_pixels(png, 0x333333) + count_pixels(png, 0x000000) + count_pixels(png, 0x252525);
        cairo_surface_destroy(png);
        fc->cap = fc->cap ? fc->cap : fi_alloc(fc->n_rows, sizeof(double));
        for (size_t r = 0; r < fc->n_rows; r++) fc->cap[r] = 12;
    }
    CHECK(black[1] > black[0]);
    ftl_forecast_free(fc);
}

static size_t three(const void *model)
{
    (void)model;
    return 3;
}

/* The third one fails where the model asks for it. */
static ftl_status sawtooth(const void *model, size_t i, ftl_profile **out, ftl_error *err)
{
    const bool *fails = model;
    if (i == 2 && *fails) return fi_fail(err, FTL_ENUMERIC, "no third profile");
    ftl_profile *p = fi_calloc(1, sizeof *p);
    if (!p) return fi_fail_memory(err);
    p->times = fi_calloc(24, sizeof *p->times);
    p->values = fi_calloc(24, sizeof *p->values);
    if (!p->times || !p->values) {
        ftl_profile_free(p);
        return fi_fail_memory(err);
    }
    snprintf(p->name, sizeof p->name, "season %zu", i);
    p->period_days = 1;
    p->n = 24;
    for (size_t k = 0; k < 24; k++) p->times[k] = sunday + (ftl_time)k * FTL_DAY / 24, p->values[k] = (double)(k % 6);
    *out = p;
    return FTL_OK;
}

TEST(profiles_come_from_the_model)
{
    const char *names[] = {"trend", "additive_terms"};
    const ftl_forecaster forecaster = {.name = "test", .n_profiles = three, .profile = sawtooth};
    bool fails = true;
    const ftl_model model = {.forecaster = &forecaster, .state = &fails};
    ftl_forecast *fc = with_components(names, 2);
    ftl_plot_style style = {.scale = 1};
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_plot_components(&model, fc, &style, FTL_PLOT_PNG, scratch("model.png"), &err), FTL_ENUMERIC);
    CHECK_TEXT(err.message, "no third profile");
    fails = false;
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
        CHECK(access(scratch("model.png"), F_OK) != 0);
        fi_alloc_fail_after(n);
        st = ftl_plot_components(&model, fc, &style, FTL_PLOT_PNG, scratch("model.png"), &err);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    cairo_surface_destroy(decode_png(scratch("model.png"), 720, (int)height_of(4)));
    ftl_forecast_free(fc);
}

TEST(nothing_to_show_is_said)
{
    ftl_forecast *fc = with_components(NULL, 0);
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(fi_plot_panels(fc, NULL, 0, NULL, FTL_PLOT_SVG, scratch("n.svg"), &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "'shop' has no components");
    CHECK_INT(ftl_plot_components(NULL, fc, NULL, FTL_PLOT_SVG, scratch("n.svg"), &err), FTL_EINVAL);
    ftl_forecast_free(fc);
}

TEST(many_odd_and_empty_panels_are_drawn)
{
    enum { N = 400 };
    static ftl_profile profile[N];
    static ftl_profile *profiles[N];
    const char *names[] = {"trend", "additive_terms"};
    static const double periods[] = {1e-9, 0.3, 0.5, 2, 7, 30.5, 366, 1e6};
    for (size_t i = 0; i < N; i++) {
        profile[i] = make_profile(i % 3 ? "\xff bad" : "weekly", periods[i % 8], i % 5 ? 1 + i % 4 : 200, i % 2);
        if (i % 7 == 0) profile[i].values[0] = i % 2 ? 1e300 : NAN;
        profiles[i] = &profile[i];
    }
    ftl_forecast *fc = with_components(names, 2);
    for (size_t r = 0; r < fc->n_rows; r++) fc->components[0].value[r] = r % 2 ? NAN : INFINITY;
    for (size_t n = 1; n <= 8; n++) draw(fc, profiles + n, n, scratch("m.svg"));
    draw(fc, profiles, N, scratch("m.svg"));
    for (size_t i = 0; i < N; i++) drop_profile(&profile[i]);
    ftl_forecast_free(fc);
}

TEST(without_memory_nothing_leaks_or_appears)
{
    const char *names[] = {"trend", "additive_terms", "holidays"};
    ftl_forecast *fc = with_components(names, 3);
    ftl_profile week = make_profile("weekly", 7, 7, false), *profiles[] = {&week};
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
        CHECK(access(scratch("f.png"), F_OK) != 0);
        fi_alloc_fail_after(n);
        st = fi_plot_panels(fc, profiles, 1, NULL, FTL_PLOT_PNG, scratch("f.png"), NULL);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    ftl_forecast_free(fc);
    drop_profile(&week);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(prophet_shows_its_panels_and_no_others),
                                       cmocka_unit_test(the_trend_has_its_band_and_its_limits),
                                       cmocka_unit_test(profiles_come_from_the_model),
                                       cmocka_unit_test(nothing_to_show_is_said),
                                       cmocka_unit_test(many_odd_and_empty_panels_are_drawn),
                                       cmocka_unit_test(without_memory_nothing_leaks_or_appears)};
    return cmocka_run_group_tests(tests, NULL, scratch_clear);
}
