/* Drawing surfaces. Deterministic: no dates, no numbers that depend on what was drawn before, no font hinting. */
#include "plot/canvas.h"

#include "base/error.h"
#include "base/file.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <string.h>

/* Blue as Prophet draws it; on dark ground the sky blue of the same palette (Okabe and Ito), which has the contrast. */
static const fi_theme light = {.ground = {1, 1, 1, 1},
                               .text = {0.15, 0.15, 0.17, 1},
                               .axis = {0.55, 0.55, 0.58, 1},
                               .grid = {0.5, 0.5, 0.5, 0.2},
                               .dot = {0, 0, 0, 1},
                               .line = {0, 0x72 / 255.0, 0xB2 / 255.0, 1},
                               .limit = {0, 0, 0, 1},
                               .event = {0.84, 0.1, 0.11, 0.8}};
static const fi_theme dark = {.ground = {0x14 / 255.0, 0x17 / 255.0, 0x1C / 255.0, 1},
                              .text = {0.87, 0.89, 0.91, 1},
                              .axis = {0.48, 0.5, 0.54, 1},
                              .grid = {1, 1, 1, 0.11},
                              .dot = {0.93, 0.94, 0.95, 1},
                              .line = {0x56 / 255.0, 0xB4 / 255.0, 0xE9 / 255.0, 1},
                              .limit = {0.93, 0.94, 0.95, 1},
                              .event = {1, 0.42, 0.42, 0.85}};

/* In order of trial; where one is absent the font system gives the nearest sans. */
static const char *const families[] = {"DejaVu Sans",         "Noto Sans",        "Noto Sans CJK SC",
                                       "Noto Sans CJK JP",    "Noto Sans CJK KR", "WenQuanYi Zen Hei",
                                       "Droid Sans Fallback", "Unifont",          "sans-serif"};

static cairo_status_t collect(void *user, const unsigned char *data, unsigned int n)
{
    fi_buf *bytes = user;
    fi_buf_put(bytes, data, n);
    return bytes->failed ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

/* What cairo's own state says, as our status. */
static ftl_status drawn(fi_canvas *canvas, cairo_status_t status, ftl_error *err)
{
    if (canvas->bytes.failed || status == CAIRO_STATUS_NO_MEMORY) return fi_fail_memory(err);
    if (status) return fi_fail(err, FTL_EINTERNAL, "the picture cannot be drawn: %s", cairo_status_to_string(status));
    return FTL_OK;
}

static ftl_status check_size(double width, double height, double scale, ftl_plot_format format, ftl_error *err)
{
    const double least = 72, most = 14400, most_pixels = 32767, all_pixels = 134217728;
    if (!(width >= least && width <= most && height >= least && height <= most))
        return fi_fail(err, FTL_EINVAL,
                       "a picture of %g x %g points cannot be drawn; width and height must be %g to %g points", width,
                       height, least, most);
    if (format != FTL_PLOT_PNG) return FTL_OK;
    if (!(scale > 0 && width * scale >= 1 && height * scale >= 1))
        return fi_fail(err, FTL_EINVAL, "scale is %g, but must be a positive number of pixels a point", scale);
    if (width * scale > most_pixels || height * scale > most_pixels || width * scale * height * scale > all_pixels)
        return fi_fail(err, FTL_EINVAL,
                       "a PNG of %.0f x %.0f pixels is too large (at most %.0f a side and %.0f in all); lower the "
                       "scale or the size, or draw an SVG",
                       width * scale, height * scale, most_pixels, all_pixels);
    return FTL_OK;
}

static cairo_surface_t *new_surface(fi_canvas *canvas, double scale)
{
    switch (canvas->format) {
    case FTL_PLOT_SVG:
        return cairo_svg_surface_create_for_stream(collect, &canvas->bytes, canvas->width, canvas->height);
    case FTL_PLOT_PDF: {
        cairo_surface_t *pdf =
            cairo_pdf_surface_create_for_stream(collect, &canvas->bytes, canvas->width, canvas->height);
        /* The same picture is the same bytes on any day. */
        cairo_pdf_surface_set_metadata(pdf, CAIRO_PDF_METADATA_CREATE_DATE, "2000-01-01T00:00:00Z");
        return pdf;
    }
    case FTL_PLOT_PNG: break;
    }
    return cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(canvas->width * scale - 1e-6),
                                      (int)ceil(canvas->height * scale - 1e-6));
}

ftl_status fi_canvas_init(fi_canvas *canvas, double width, double height, const ftl_plot_style *style,
                          ftl_plot_format format, ftl_error *err)
{
    double scale = style->scale == 0 ? 2 : style->scale;
    *canvas = (fi_canvas){.theme = style->dark ? &dark : &light, .width = width, .height = height, .format = format};
    if (format != FTL_PLOT_SVG && format != FTL_PLOT_PNG && format != FTL_PLOT_PDF)
        return fi_fail(err, FTL_EINVAL, "picture format %d is unknown", (int)format);
    ftl_status st = check_size(width, height, scale, format, err);
    if (st) return st;

    cairo_surface_t *surface = new_surface(canvas, scale);
    canvas->cr = cairo_create(surface);
    cairo_surface_destroy(surface); /* the context keeps it */
    if (format == FTL_PLOT_PNG) cairo_scale(canvas->cr, scale, scale);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF); /* one layout for all formats */
    cairo_set_font_options(canvas->cr, options);
    cairo_font_options_destroy(options);
    cairo_set_line_join(canvas->cr, CAIRO_LINE_JOIN_ROUND);
    fi_canvas_color(canvas, canvas->theme->ground);
    cairo_paint(canvas->cr);
    return drawn(canvas, cairo_status(canvas->cr), err);
}

void fi_canvas_release(fi_canvas *canvas)
{
    if (canvas->cr) cairo_destroy(canvas->cr);
    fi_buf_release(&canvas->bytes);
    *canvas = (fi_canvas){0};
}

/* cairo numbers its SVG groups through the life of the process; the same picture must be the same bytes. */
static void renumber_surfaces(fi_buf *svg)
{
    static const char mark[] = "id=\"surface";
    char *from = svg->data, *to = svg->data, *end = svg->data + svg->size;
    while (from < end) {
        bool found = *from == 'i' && (size_t)(end - from) > sizeof mark && !memcmp(from, mark, sizeof mark - 1);
        if (!found) {
            *to++ = *from++;
            continue;
        }
        memmove(to, from, sizeof mark - 1);
        to += sizeof mark - 1;
        from += sizeof mark - 1;
        while (from < end && *from >= '0' && *from <= '9') from++;
    }
    svg->size = (size_t)(to - svg->data);
}

ftl_status fi_canvas_save(fi_canvas *canvas, const char *path, ftl_error *err)
{
    cairo_surface_t *surface = cairo_surface_reference(cairo_get_target(canvas->cr));
    ftl_status st = drawn(canvas, cairo_status(canvas->cr), err);
    cairo_destroy(canvas->cr);
    canvas->cr = NULL;
    if (st == FTL_OK && canvas->format == FTL_PLOT_PNG)
        st = drawn(canvas, cairo_surface_write_to_png_stream(surface, collect, &canvas->bytes), err);
    cairo_surface_finish(surface);
    if (st == FTL_OK) st = drawn(canvas, cairo_surface_status(surface), err);
    cairo_surface_destroy(surface);
    if (st == FTL_OK && canvas->format == FTL_PLOT_SVG) renumber_surfaces(&canvas->bytes);

    fi_file *file = NULL;
    if (st == FTL_OK) st = fi_file_create(path, &file, err);
    if (st == FTL_OK) st = fi_file_write(file, canvas->bytes.data, canvas->bytes.size, err);
    if (st) {
        fi_file_discard(file);
        return st;
    }
    return fi_file_commit(file, err);
}

void fi_canvas_color(fi_canvas *canvas, fi_rgba color)
{
    cairo_set_source_rgba(canvas->cr, color.r, color.g, color.b, color.a);
}

static void select_font(fi_canvas *canvas, const char *family)
{
    cairo_select_font_face(canvas->cr, family, CAIRO_FONT_SLANT_NORMAL,
                           canvas->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
}

void fi_canvas_font(fi_canvas *canvas, double size, bool bold)
{
    canvas->bold = bold;
    select_font(canvas, families[0]);
    cairo_set_font_size(canvas->cr, size);
}

/* Whether the current font has all characters of `text`, which is clean. */
static bool font_covers(fi_canvas *canvas, const char *text)
{
    cairo_glyph_t *glyphs = NULL;
    int n = 0;
    bool covers = !cairo_scaled_font_text_to_glyphs(cairo_get_scaled_font(canvas->cr), 0, 0, text, -1, &glyphs, &n,
                                                    NULL, NULL, NULL);
    for (int i = 0; i < n; i++) covers = covers && glyphs[i].index != 0;
    cairo_glyph_free(glyphs);
    return covers;
}

/* cairo's plain text calls draw a whole text in one font: take the first that can. */
static void find_font(fi_canvas *canvas, const char *text)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        select_font(canvas, families[i]);
        if (font_covers(canvas, text)) return;
    }
    select_font(canvas, families[0]);
}

double fi_canvas_measure(fi_canvas *canvas, const char *text)
{
    cairo_text_extents_t extents = {0};
    cairo_text_extents(canvas->cr, text, &extents);
    return extents.x_advance;
}

double fi_round_point(double x)
{
    return round(x * 8) / 8;
}

void fi_canvas_text(fi_canvas *canvas, double x, double y, fi_anchor anchor, const char *text)
{
    double width = anchor == FI_LEFT ? 0 : fi_canvas_measure(canvas, text);
    cairo_move_to(canvas->cr, fi_round_point(x - width * (anchor == FI_CENTRE ? 0.5 : 1)), fi_round_point(y));
    cairo_show_text(canvas->cr, text);
    cairo_new_path(canvas->cr);
}

void fi_canvas_text_up(fi_canvas *canvas, double x, double y, fi_anchor anchor, const char *text)
{
    cairo_save(canvas->cr);
    cairo_translate(canvas->cr, x, y);
    cairo_rotate(canvas->cr, -1.5707963267948966);
    fi_canvas_text(canvas, 0, 0, anchor, text);
    cairo_restore(canvas->cr);
}

/* Length of the UTF-8 character at text[0, n); 0 where there is none. Surrogates and overlong forms are none. */
static size_t utf8_length(const unsigned char *text, size_t n)
{
    if (text[0] < 0x80) return 1;
    size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4 || length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F)) return 0;
    if ((text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F)) return 0;
    return length;
}

/* Copies characters while they fit, room for an ellipsis kept; returns whether all of the text went in. */
static bool copy_clean(const char *text, char out[FI_TEXT_MAX])
{
    const unsigned char *from = (const unsigned char *)text;
    size_t left = strlen(text), used = 0;
    while (left && used + 4 + sizeof "…" <= FI_TEXT_MAX) {
        size_t length = utf8_length(from, left);
        if (!length) {
            memcpy(out + used, "\xEF\xBF\xBD", 3);
            used += 3;
        } else if (length == 1 && (*from < 0x20 || *from == 0x7F)) {
            out[used++] = ' ';
        } else {
            memcpy(out + used, from, length);
            used += length;
        }
        from += length ? length : 1;
        left -= length ? length : 1;
    }
    out[used] = '\0';
    return left == 0;
}

void fi_canvas_fit(fi_canvas *canvas, const char *text, double max_width, char out[FI_TEXT_MAX])
{
    bool whole = copy_clean(text, out);
    find_font(canvas, out);
    if (whole && fi_canvas_measure(canvas, out) <= max_width) return;
    for (size_t n = strlen(out);; n--) {
        while (n && ((unsigned char)out[n] & 0xC0) == 0x80) n--; /* to the start of a character */
        memcpy(out + n, "…", sizeof "…");
        if (n == 0 || fi_canvas_measure(canvas, out) <= max_width) return;
    }
}
