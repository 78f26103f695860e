#include "forecast/forecaster.h"
#include "picture.h"
#include <foretell/plot.h>

#include <float.h>

static const ftl_time start = INT64_C(1704067200) * FTL_SECOND; /* 2024-01-01 */
static const ftl_plot_style plain = {0};

static void draw(const ftl_plot_item *items, size_t n, const ftl_plot_style *style, ftl_plot_format format,
                 const char *path)
{
    ftl_error err = {FTL_OK, ""};
    if (ftl_plot_forecast(items, n, style, format, path, &err)) fail_msg("%s", err.message);
}

TEST(png_has_the_size_and_the_colours_asked_for)
{
    ftl_series *s = make_series("sales", FTL_TIME_DATE, start, FTL_DAY, 200);
    ftl_forecast *fc = make_forecast("sales", FTL_TIME_DATE, start, FTL_DAY, 230);
    ftl_plot_item item = {s, fc, NULL};
    draw(&item, 1, &plain, FTL_PLOT_PNG, scratch("light.png"));
    cairo_surface_t *png = decode_png(scratch("light.png"), 1440, 864);
    CHECK(count_pixels(png, 0x0072B2) > 1000);   /* the line */
    CHECK(count_pixels(png, 0x000000) > 500);    /* the dots */
    CHECK(count_pixels(png, 0xCCE2EF) > 2000);   /* a fifth of the line's colour on white: the 95 % band */
    CHECK(count_pixels(png, 0xA3CBE2) > 2000);   /* and a fifth on that: the 80 % band */
    CHECK(count_pixels(png, 0xFFFFFF) > 400000); /* the ground */
    cairo_surface_destroy(png);

    ftl_plot_style style = {.width = 300, .height = 200, .scale = 3, .dark = true};
    draw(&item, 1, &style, FTL_PLOT_PNG, scratch("dark.png"));
    png = decode_png(scratch("dark.png"), 900, 600);
    CHECK(count_pixels(png, 0x14171C) > 200000);
    CHECK(count_pixels(png, 0x56B4E9) > 500);
    CHECK_INT(count_pixels(png, 0xFFFFFF), 0);
    cairo_surface_destroy(png);
    ftl_series_free(s);
    ftl_forecast_free(fc);
}

TEST(svg_and_pdf_are_whole_and_the_same_every_time)
{
    ftl_series *s = make_series("a <b> & \"c\"", FTL_TIME_DATE, start, FTL_DAY, 200);
    ftl_forecast *fc = make_forecast("x", FTL_TIME_DATE, start, FTL_DAY, 230);
    ftl_plot_item item = {s, fc, NULL};
    size_t size[2];
    char *data[2];
    for (int i = 0; i < 2; i++) {
        draw(&item, 1, &plain, FTL_PLOT_SVG, scratch("a.svg"));
        data[i] = slurp(scratch("a.svg"), &size[i]);
    }
    check_well_formed(data[0]);
    CHECK_CONTAINS(data[0], "width=\"720pt\" height=\"432pt\"");
    CHECK_CONTAINS(data[0], "rgb(0%,44.705882%,69.803922%)"); /* #0072B2 */
    CHECK_CONTAINS(data[0], "fill-opacity:0.2");
    CHECK(size[0] == size[1] && !memcmp(data[0], data[1], size[0]));
    free(data[0]);
    free(data[1]);
    for (int i = 0; i < 2; i++) {
        draw(&item, 1, &plain, FTL_PLOT_PDF, scratch("a.pdf"));
        data[i] = slurp(scratch("a.pdf"), &size[i]);
    }
    CHECK(!strncmp(data[0], "%PDF-", 5) && !strncmp(data[0] + size[0] - 6, "%%EOF", 5));
    CHECK(size[0] == size[1] && !memcmp(data[0], data[1], size[0]));
    free(data[0]);
    free(data[1]);
    ftl_series_free(s);
    ftl_forecast_free(fc);
}

/* Size in bytes of the SVG of n noisy observations. */
static size_t svg_size_of(size_t n)
{
    ftl_series *s = make_series("big", FTL_TIME_DATETIME, start, 60 * FTL_SECOND, n);
    ftl_plot_item item = {s, NULL, NULL};
    size_t size;
    draw(&item, 1, &plain, FTL_PLOT_SVG, scratch("big.svg"));
    char *svg = slurp(scratch("big.svg"), &size);
    check_well_formed(svg);
    free(svg);
    ftl_series_free(s);
    return size;
}

TEST(a_million_observations_make_a_small_picture)
{
    CHECK(svg_size_of(18709) < 500000);
    CHECK(svg_size_of(1000000) < 600000);
}

TEST(thinned_dots_cover_what_all_dots_cover)
{ /* every observation of a dense series must still be black where it stands */
    enum { N = 20000 };
    static ftl_time ds[N];
    static double y[N];
    for (size_t i = 0; i < N; i++) {
        ds[i] = start + (ftl_time)i * 60 * FTL_SECOND;
        y[i] = (double)((i * 7919) % 1009);
    }
    y[0] = 0, y[1] = 1008;
    ftl_series *s = NULL;
    CHECK_INT(ftl_series_new_full("", FTL_TIME_DATETIME, ds, y, N, NULL, NULL, 0, &s, NULL), FTL_OK);
    ftl_plot_item item = {s, NULL, NULL};
    ftl_plot_style style = {.scale = 1};
    draw(&item, 1, &style, FTL_PLOT_PNG, scratch("dots.png"));
    cairo_surface_t *png = decode_png(scratch("dots.png"), 720, 432);
    const unsigned char *data = cairo_image_surface_get_data(png);
    int stride = cairo_image_surface_get_stride(png), left = 720, right = 0, top = 432, bottom = 0;
    for (int row = 0; row < 432; row++) /* the box that black marks fill, below the legend */
        for (int c = 60; row > 32 && c < 720; c++) {
            if (data[row * stride + 4 * c] > 40) continue;
            left = c < left ? c : left, right = c > right ? c : right;
            top = row < top ? row : top, bottom = row > bottom && row < 380 ? row : bottom;
        }
    size_t light = 0;
    for (size_t i = 0; i < N; i++) {
        double x = left + 1 + (right - left - 2) * ((double)i / (N - 1));
        double at = bottom - 1 - (bottom - top - 2) * y[i] / 1008;
        light += data[(int)(at + 0.5) * stride + 4 * (int)(x + 0.5)] > 150;
    }
    CHECK(right - left > 550 && bottom - top > 250);
    CHECK(light < N / 30); /* the box is known to a pixel only, so a dot at a hole's edge may miss */
    cairo_surface_destroy(png);
    ftl_series_free(s);
}

TEST(many_series_become_a_grid)
{
    enum { N = 101 };
    static ftl_plot_item items[N];
    ftl_error err = {FTL_OK, ""};
    for (size_t i = 0; i < N; i++) {
        char id[32];
        snprintf(id, sizeof id, "store %zu", i);
        items[i] = (ftl_plot_item){make_series(id, FTL_TIME_DATE, start, FTL_DAY, 60),
                                   make_forecast(id, FTL_TIME_DATE, start + 60 * FTL_DAY, FTL_DAY, 14), NULL};
    }
    ftl_plot_style style = {.scale = 1};
    for (size_t n = 2; n <= 100; n += n < 12 ? 1 : 44) draw(items, n, &style, FTL_PLOT_PNG, scratch("grid.png"));
    cairo_surface_t *png = decode_png(scratch("grid.png"), 1440, 2636); /* 6 columns, 17 rows of 153.6, a head of 24 */
    CHECK(count_pixels(png, 0xCCE2EF) > 5000);                          /* the bands */
    cairo_surface_destroy(png);
    CHECK_INT(ftl_plot_forecast(items, N, &style, FTL_PLOT_PNG, scratch("x.png"), &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "at most 100");
    for (size_t i = 0; i < N; i++) {
        ftl_series_free((ftl_series *)(uintptr_t)items[i].series);
        ftl_forecast_free((ftl_forecast *)(uintptr_t)items[i].forecast);
    }
}

TEST(hostile_data_are_drawn_or_left_out)
{
    static const double far[][2] = {{1e300, -1e300}, {1e-300, 3e-300}, {DBL_MAX, -DBL_MAX}, {0, 0},
                                    {7, 7},          {NAN, NAN},       {4e-320, 0},         {1e15, 1e15 + 1}};
    for (size_t k = 0; k < sizeof far / sizeof far[0]; k++)
        for (size_t n = 0; n <= 3; n++) {
            ftl_time_kind kind = (ftl_time_kind)((k + n) % 3);
            ftl_series *s = make_series("s", kind, 1, kind ? FTL_DAY : 1, n);
            ftl_forecast *fc = make_forecast("s", kind, 1, kind ? FTL_DAY : 1, n);
            for (size_t i = 0; i < n; i++) {
                ((double *)(uintptr_t)fi_series_y(s))[i] = fc->point[i] = far[k][i % 2];
                fc->q[i * 5] = i == 1 ? NAN : far[k][1];
                fc->q[i * 5 + 4] = i == 2 ? INFINITY : far[k][0];
            }
            ftl_plot_item items[3] = {{s, fc, NULL}, {s, NULL, NULL}, {NULL, fc, NULL}};
            ftl_plot_style style = {.scale = 0.5, .history_rows = n, .title = k % 2 ? NULL : ""};
            for (int i = 0; i < 3; i++) draw(&items[i], 1, &style, (ftl_plot_format)i, scratch("hostile"));
            draw(items, 3, &style, FTL_PLOT_PNG, scratch("hostile"));
            ftl_series_free(s);
            ftl_forecast_free(fc);
        }
}

TEST(any_time_has_its_place)
{
    static const ftl_time at[][2] = {{INT64_MIN, INT64_MAX},
                                     {INT64_MAX, INT64_MAX},
                                     {INT64_MIN, INT64_MIN},
                                     {0, 1},
                                     {INT64_C(-62135596800000000), INT64_C(253402300799000000)}, /* years 1 and 9999 */
                                     {INT64_C(-3000000000000000), INT64_C(-2990000000000000)}};  /* 1874 */
    for (size_t k = 0; k < sizeof at / sizeof at[0]; k++)
        for (int kind = FTL_TIME_INDEX; kind <= FTL_TIME_DATETIME; kind++) {
            ftl_forecast *fc = make_forecast("s", (ftl_time_kind)kind, 1, 1, 2);
            fc->ds[0] = at[k][0];
            fc->ds[1] = at[k][1];
            ftl_plot_item item = {NULL, fc, NULL};
            draw(&item, 1, &plain, FTL_PLOT_SVG, scratch("times.svg"));
            ftl_forecast_free(fc);
        }
}

TEST(foreign_ids_are_made_fit_to_draw)
{
    static char endless[100001];
    memset(endless, 'W', sizeof endless - 1);
    const char *ids[] = {"Zürich → 東京 🎌", "\xff\xfe broken \xc3", "tab\tand\nline", endless, ""};
    for (size_t i = 0; i < 5; i++) {
        ftl_forecast *fc = make_forecast(ids[i], FTL_TIME_DATE, start, FTL_DAY, 20);
        ftl_plot_item items[2] = {{NULL, fc, NULL}, {NULL, fc, NULL}};
        draw(items, 1, &plain, FTL_PLOT_SVG, scratch("id.svg"));
        draw(items, 2, &plain, FTL_PLOT_PDF, scratch("id.pdf"));
        ftl_forecast_free(fc);
    }
}

TEST(every_size_is_drawn_or_refused)
{
    static const double refused[][3] = {{-1, 100, 1},    {100, NAN, 1},     {INFINITY, 100, 1},
                                        {20000, 100, 1}, {71, 100, 1},      {100, 100, -1},
                                        {100, 100, NAN}, {14400, 14400, 1}, {720, 432, 100}};
    static const double drawn[][3] = {{72, 0, 1},        {72, 72, 1},  {72, 2000, 0.1},
                                      {14400, 72, 0.05}, {720, 72, 1}, {0, 100, 0}};
    ftl_forecast *fc = make_forecast("s", FTL_TIME_DATE, start, FTL_DAY, 20);
    ftl_plot_item items[5] = {{NULL, fc, NULL}, {NULL, fc, NULL}, {NULL, fc, NULL}, {NULL, fc, NULL}, {NULL, fc, NULL}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ftl_plot_style style = {.width = refused[i][0], .height = refused[i][1], .scale = refused[i][2]};
        ftl_error err = {FTL_OK, ""};
        CHECK_INT(ftl_plot_forecast(items, 1, &style, FTL_PLOT_PNG, scratch("size.png"), &err), FTL_EINVAL);
        CHECK(err.message[0]);
    }
    for (size_t i = 0; i < sizeof drawn / sizeof drawn[0]; i++) {
        ftl_plot_style style = {.width = drawn[i][0], .height = drawn[i][1], .scale = drawn[i][2]};
        draw(items, 1, &style, FTL_PLOT_PNG, scratch("size.png"));
        draw(items, 5, &style, FTL_PLOT_SVG, scratch("size.svg"));
    }
    ftl_forecast_free(fc);
}

TEST(a_picture_appears_whole_or_not_at_all)
{
    ftl_forecast *fc = make_forecast("s", FTL_TIME_DATE, start, FTL_DAY, 20);
    ftl_plot_item item = {NULL, fc, NULL}, nothing = {NULL, NULL, NULL};
    ftl_error err = {FTL_OK, ""};
    char path[256];
    snprintf(path, sizeof path, "%s", scratch("atomic.svg"));
    FILE *f = fopen(path, "w");
    fputs("old", f);
    fclose(f);
    int entries = scratch_entries();
    CHECK_INT(ftl_plot_forecast(&item, 0, &plain, FTL_PLOT_SVG, path, &err), FTL_EINVAL);
    CHECK_INT(ftl_plot_forecast(&nothing, 1, &plain, FTL_PLOT_SVG, path, &err), FTL_EINVAL);
    CHECK_INT(ftl_plot_forecast(&item, 1, &plain, (ftl_plot_format)9, path, &err), FTL_EINVAL);
    CHECK_INT(ftl_plot_forecast(&item, 1, &plain, FTL_PLOT_SVG, "/nonexistent/dir/a.svg", &err), FTL_EIO);
    CHECK_CONTAINS(err.message, "/nonexistent/dir/a.svg");
    for (int format = FTL_PLOT_SVG; format <= FTL_PLOT_PDF; format++) {
        ftl_status st = FTL_ENOMEM;
        for (long n = 0; st == FTL_ENOMEM && n < 1000; n++) {
            size_t size;
            char *content = slurp(path, &size);
            CHECK_TEXT(content, "old");
            free(content);
            CHECK_INT(scratch_entries(), entries);
            fi_alloc_fail_after(n);
            st = ftl_plot_forecast(&item, 1, &plain, (ftl_plot_format)format, path, &err);
            fi_alloc_fail_after(-1);
        }
        CHECK_INT(st, FTL_OK);
        CHECK_INT(scratch_entries(), entries);
        f = fopen(path, "w");
        fputs("old", f);
        fclose(f);
    }
    ftl_forecast_free(fc);
}

TEST(dates_and_indices_do_not_mix)
{
    ftl_series *s = make_series("s", FTL_TIME_INDEX, 1, 1, 10);
    ftl_forecast *fc = make_forecast("s", FTL_TIME_DATE, start, FTL_DAY, 5);
    ftl_plot_item item = {s, fc, NULL};
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_plot_forecast(&item, 1, &plain, FTL_PLOT_SVG, scratch("x.svg"), &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "series 's'");
    ftl_series_free(s);
    ftl_forecast_free(fc);
}

TEST(history_rows_leave_the_older_rows_out)
{ /* an outlier at the start sets the scale only while it is shown */
    ftl_series *s = make_series("s", FTL_TIME_DATE, start, FTL_DAY, 300);
    ftl_forecast *fc = make_forecast("s", FTL_TIME_DATE, start, FTL_DAY, 330);
    ftl_plot_item item = {s, fc, NULL};
    ftl_plot_style last = {.history_rows = 100};
    size_t blue[2];
    fc->n_history = 300;
    fc->point[0] = ((double *)(uintptr_t)fi_series_y(s))[0] = 1e6;
    for (int i = 0; i < 2; i++) {
        draw(&item, 1, i ? &last : &plain, FTL_PLOT_PNG, scratch("rows.png"));
        cairo_surface_t *png = decode_png(scratch("rows.png"), 1440, 864);
        blue[i] = count_pixels(png, 0xCCE2EF);
        cairo_surface_destroy(png);
    }
    CHECK(blue[0] < 2000 && blue[1] > 20000); /* the band, flat or filling the chart */
    ftl_series_free(s);
    ftl_forecast_free(fc);
}

static const ftl_time *two_changepoints(const void *model, size_t *n)
{
    *n = 2;
    return model;
}

TEST(changepoints_are_marked_where_asked)
{
    const ftl_time at[2] = {start + 40 * FTL_DAY, start - 900 * FTL_DAY}; /* one lies before what is shown */
    const ftl_forecaster forecaster = {.name = "test", .changepoints = two_changepoints};
    const ftl_model model = {.forecaster = &forecaster, .state = (void *)(uintptr_t)at};
    ftl_forecast *fc = make_forecast("s", FTL_TIME_DATE, start, FTL_DAY, 100);
    for (size_t i = 0; i < 100; i++) fc->q[i * 5] = fc->q[i * 5 + 1] = NAN; /* no bands */
    ftl_plot_item item = {NULL, fc, &model};
    ftl_plot_style style = {.changepoints = true};
    size_t size[2];
    for (int i = 0; i < 2; i++) {
        draw(&item, 1, i ? &style : &plain, FTL_PLOT_SVG, scratch("cp.svg"));
        char *svg = slurp(scratch("cp.svg"), &size[i]);
        const char *red = strstr(svg, "stroke:rgb(84%,10%,11%)");
        CHECK((red != NULL) == (i == 1));
        if (red) { /* one vertical line: to the same x, and no other */
            double x[2], y[2];
            const char *path = strstr(red, " d=\"M ");
            CHECK(path && sscanf(path, " d=\"M %lf %lf L %lf %lf \"", &x[0], &y[0], &x[1], &y[1]) == 4);
            CHECK(x[0] == x[1] && y[1] - y[0] > 300);
            CHECK(strcspn(path + 6, "M") > strcspn(path + 6, "/"));
        }
        free(svg);
    }
    ftl_forecast_free(fc);
}

TEST(axes_are_named_as_asked)
{
    ftl_forecast *fc = make_forecast("", FTL_TIME_DATE, start, FTL_DAY, 20);
    ftl_plot_item item = {NULL, fc, NULL};
    const ftl_plot_style styles[] = {
        {0}, {.x_label = "", .y_label = ""}, {.x_label = "Datum \xff", .y_label = "Umsatz"}};
    size_t glyphs[3] = {0};
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        draw(&item, 1, &styles[i], FTL_PLOT_SVG, scratch("axes.svg"));
        char *svg = slurp(scratch("axes.svg"), &size);
        for (const char *p = svg; (p = strstr(p, "<use ")); p++) glyphs[i]++;
        free(svg);
    }
    CHECK_INT(glyphs[0] - glyphs[1], strlen("ds") + strlen("y"));
    CHECK_INT(glyphs[2] - glyphs[1], strlen("Datum ?") + strlen("Umsatz"));
    ftl_forecast_free(fc);
}

TEST(a_single_future_row_can_be_seen)
{
    ftl_forecast *fc = make_forecast("s", FTL_TIME_DATE, start, FTL_DAY, 1);
    ftl_plot_item item = {NULL, fc, NULL};
    draw(&item, 1, &plain, FTL_PLOT_PNG, scratch("one.png"));
    cairo_surface_t *png = decode_png(scratch("one.png"), 1440, 864);
    CHECK(count_pixels(png, 0xCCE2EF) > 500);
    ftl_forecast_free(fc);
    cairo_surface_destroy(png);
}

TEST(formats_follow_from_the_name)
{
    ftl_plot_format format = FTL_PLOT_SVG;
    ftl_error err = {FTL_OK, ""};
    CHECK_INT(ftl_plot_format_of("a.PNG", &format, &err), FTL_OK);
    CHECK_INT(format, FTL_PLOT_PNG);
    CHECK_INT(ftl_plot_format_of("/tmp/x.y/b.pdf", &format, &err), FTL_OK);
    CHECK_INT(format, FTL_PLOT_PDF);
    CHECK_INT(ftl_plot_format_of("c.svg", &format, &err), FTL_OK);
    CHECK_INT(format, FTL_PLOT_SVG);
    CHECK_INT(ftl_plot_format_of("d.jpeg", &format, &err), FTL_EINVAL);
    CHECK_CONTAINS(err.message, "'d.jpeg'");
    CHECK_INT(ftl_plot_format_of(".svg", &format, &err), FTL_EINVAL);
    CHECK_INT(ftl_plot_format_of("", &format, &err), FTL_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(png_has_the_size_and_the_colours_asked_for),
                                       cmocka_unit_test(svg_and_pdf_are_whole_and_the_same_every_time),
                                       cmocka_unit_test(a_million_observations_make_a_small_picture),
                                       cmocka_unit_test(thinned_dots_cover_what_all_dots_cover),
                                       cmocka_unit_test(many_series_become_a_grid),
                                       cmocka_unit_test(hostile_data_are_drawn_or_left_out),
                                       cmocka_unit_test(any_time_has_its_place),
                                       cmocka_unit_test(foreign_ids_are_made_fit_to_draw),
                                       cmocka_unit_test(every_size_is_drawn_or_refused),
                                       cmocka_unit_test(a_picture_appears_whole_or_not_at_all),
                                       cmocka_unit_test(dates_and_indices_do_not_mix),
                                       cmocka_unit_test(history_rows_leave_the_older_rows_out),
                                       cmocka_unit_test(changepoints_are_marked_where_asked),
                                       cmocka_unit_test(axes_are_named_as_asked),
                                       cmocka_unit_test(a_single_future_row_can_be_seen),
                                       cmocka_unit_test(formats_follow_from_the_name)};
    return cmocka_run_group_tests(tests, NULL, scratch_clear);
}
