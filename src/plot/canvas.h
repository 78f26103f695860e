/* The surface a picture is drawn on: colours, text, and writing it out whole. */
#ifndef FI_PLOT_CANVAS_H
#define FI_PLOT_CANVAS_H

#include <foretell/plot.h>

#include "base/buf.h"

#include <cairo.h>

typedef struct fi_rgba {
    double r, g, b, a;
} fi_rgba;

typedef struct fi_theme {
    fi_rgba ground, text, axis, grid, dot, line, limit, event;
} fi_theme;

/* Lengths are points (1/72 inch), y downwards, whatever the format. Must stay where it was made: cairo knows `bytes`. */
typedef struct fi_canvas {
    cairo_t *cr;
    const fi_theme *theme;
    double width, height;
    bool bold; /* the current font */
    ftl_plot_format format;
    fi_buf bytes; /* SVG and PDF as they grow, PNG at the end */
} fi_canvas;

typedef struct fi_box {
    double x, y, w, h;
} fi_box;

enum { FI_TEXT_MAX = 256 }; /* bytes of a text that is drawn, with its NUL */

typedef enum fi_anchor { FI_LEFT, FI_CENTRE, FI_RIGHT } fi_anchor;

/* Checks the size (72..14400 points a side, PNG up to 32767 pixels a side and 2^27 in all), fills the ground. */
ftl_status fi_canvas_init(fi_canvas *canvas, double width, double height, const ftl_plot_style *style,
                          ftl_plot_format format, ftl_error *err);
/* Finishes the picture and writes it to `path`, whole or not at all. Nothing can be drawn afterwards. */
ftl_status fi_canvas_save(fi_canvas *canvas, const char *path, ftl_error *err);
void fi_canvas_release(fi_canvas *canvas);

void fi_canvas_color(fi_canvas *canvas, fi_rgba color);
void fi_canvas_font(fi_canvas *canvas, double size, bool bold);
/* Width of `text` in the current font. */
double fi_canvas_measure(fi_canvas *canvas, const char *text);
/* Draws `text` in the current font and colour; (x, y) is on its baseline. Foreign text goes through fi_canvas_fit(). */
void fi_canvas_text(fi_canvas *canvas, double x, double y, fi_anchor anchor, const char *text);
/* The same turned a quarter to the left. */
void fi_canvas_text_up(fi_canvas *canvas, double x, double y, fi_anchor anchor, const char *text);

/*
 * Copies foreign text so that it can be drawn: what is not UTF-8 becomes U+FFFD, control characters become blanks, and
 * the end becomes an ellipsis where the text is wider than max_width. Until the next fi_canvas_font() the font is one
 * that has all its characters, if there is any.
 */
void fi_canvas_fit(fi_canvas *canvas, const char *text, double max_width, char out[FI_TEXT_MAX]);

/* To an eighth of a point: finer than an eye sees, and short in SVG, whose coordinates cairo keeps in binary fractions. */
double fi_round_point(double x);

#endif
