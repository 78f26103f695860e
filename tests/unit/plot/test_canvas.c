#include "picture.h"
#include "plot/canvas.h"

static const ftl_plot_style plain = {0};

static void open_canvas(fi_canvas *canvas)
{
    ftl_error err = {FTL_OK, ""};
    if (fi_canvas_init(canvas, 200, 100, &plain, FTL_PLOT_SVG, &err)) fail_msg("%s", err.message);
    fi_canvas_font(canvas, 10, false);
}

static const char *fit(fi_canvas *canvas, const char *text, double width)
{
    static char out[FI_TEXT_MAX];
    memset(out, 'x', sizeof out);
    fi_canvas_fit(canvas, text, width, out);
    CHECK(memchr(out, '\0', sizeof out) != NULL);
    CHECK_INT(cairo_status(canvas->cr), CAIRO_STATUS_SUCCESS);
    return out;
}

TEST(foreign_text_is_cleaned)
{
    fi_canvas canvas;
    open_canvas(&canvas);
    CHECK_TEXT(fit(&canvas, "plain", 1000), "plain");
    CHECK_TEXT(fit(&canvas, "Zürich → 東京", 1000), "Zürich → 東京");
    CHECK_TEXT(fit(&canvas, "a\tb\nc\x7f", 1000), "a b c ");
    CHECK_TEXT(fit(&canvas, "\xff|\xc3|\xe2\x82|\xc0\xaf|\xed\xa0\x80|\xf5", 1000), "�|�|��|��|���|�"); /* not UTF-8 */
    CHECK_TEXT(fit(&canvas, "", 1000), "");
    fi_canvas_release(&canvas);
}

TEST(long_text_ends_in_an_ellipsis)
{
    fi_canvas canvas;
    open_canvas(&canvas);
    static char text[100001];
    for (size_t i = 0; i + 1 < sizeof text; i += 2) memcpy(text + i, "é", 2); /* cuts must fall between characters */
    for (double width = 0; width < 200; width += 7) {
        const char *out = fit(&canvas, text, width);
        size_t n = strlen(out);
        CHECK(n >= 3 && n % 2 == 1 && !strcmp(out + n - 3, "…"));
        for (size_t i = 0; i + 3 < n; i += 2) CHECK(!strncmp(out + i, "é", 2));
        CHECK(n == 3 || fi_canvas_measure(&canvas, out) <= width);
        fi_canvas_font(&canvas, 10, false);
    }
    CHECK(strlen(fit(&canvas, text, 1e9)) < FI_TEXT_MAX);
    CHECK_CONTAINS(fit(&canvas, text, 1e9), "é…");
    fi_canvas_release(&canvas);
}

TEST(text_is_measured_alike_in_every_format)
{
    double width[3];
    for (int format = 0; format < 3; format++) {
        fi_canvas canvas;
        CHECK_INT(fi_canvas_init(&canvas, 200, 100, &plain, (ftl_plot_format)format, NULL), FTL_OK);
        fi_canvas_font(&canvas, 7.3, false);
        width[format] = fi_canvas_measure(&canvas, "Wednesday 2024");
        fi_canvas_release(&canvas);
    }
    CHECK(width[0] > 20);
    CHECK_NEAR(width[1], width[0], 0.2);
    CHECK_NEAR(width[2], width[0], 0.2);
}

TEST(what_was_drawn_is_written_once_saved)
{
    fi_canvas canvas;
    open_canvas(&canvas);
    fi_canvas_text(&canvas, 10, 50, FI_LEFT, "a text");
    CHECK(access(scratch("c.svg"), F_OK) != 0);
    CHECK_INT(fi_canvas_save(&canvas, scratch("c.svg"), NULL), FTL_OK);
    fi_canvas_release(&canvas);
    size_t size;
    char *svg = slurp(scratch("c.svg"), &size);
    check_well_formed(svg);
    CHECK_CONTAINS(svg, "id=\"surface\"");
    free(svg);
    fi_canvas_release(&canvas); /* twice is fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(foreign_text_is_cleaned),
                                       cmocka_unit_test(long_text_ends_in_an_ellipsis),
                                       cmocka_unit_test(text_is_measured_alike_in_every_format),
                                       cmocka_unit_test(what_was_drawn_is_written_once_saved)};
    return cmocka_run_group_tests(tests, NULL, scratch_clear);
}
