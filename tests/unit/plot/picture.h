/* What tests of pictures need: a forecast made by hand, and a look at the files that come out. */
#ifndef TESTS_PLOT_PICTURE_H
#define TESTS_PLOT_PICTURE_H

#include "check.h"

#include "base/alloc.h"
#include "forecast/forecast.h"
#include "series/series.h"

#include <cairo.h>
#include <dirent.h>
#include <sys/stat.h>

static const double test_levels[5] = {0.025, 0.1, 0.5, 0.9, 0.975};

/* A scratch directory of this test program; in it "name". */
static inline const char *scratch(const char *name)
{
    static char dir[64], path[4][256];
    static int turn;
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/tmp/foretell-plot-XXXXXX");
        if (!mkdtemp(dir)) abort();
    }
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", dir, name);
    return out;
}

/* Number of entries in the scratch directory. */
static inline int scratch_entries(void)
{
    DIR *dir = opendir(scratch(""));
    int n = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    if (dir) closedir(dir);
    return n;
}

/* Removes the scratch directory; for the end of a program. */
static inline int scratch_clear(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", scratch(""));
    return system(command);
}

static inline char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*size + 1);
    CHECK(fread(data, 1, *size, f) == *size);
    data[*size] = '\0';
    fclose(f);
    return data;
}

/* n observations at a step, value(i), and a forecast of h rows after them with cap 12; components as Prophet has them. */
static inline ftl_series *make_series(const char *id, ftl_time_kind kind, ftl_time first, ftl_time step, size_t n)
{
    ftl_time *ds = malloc((n + 1) * sizeof *ds);
    double *y = malloc((n + 1) * sizeof *y);
    for (size_t i = 0; i < n; i++) {
        ds[i] = first + (ftl_time)i * step;
        y[i] = 5 + 3 * sin((double)i / 6) + (double)((i * 7919) % 101) / 60;
    }
    ftl_series *s = NULL;
    ftl_error err = {FTL_OK, ""};
    if (ftl_series_new_full(id, kind, ds, y, n, NULL, NULL, 0, &s, &err)) fail_msg("%s", err.message);
    free(ds);
    free(y);
    return s;
}

static inline ftl_forecast *make_forecast(const char *id, ftl_time_kind kind, ftl_time first, ftl_time step, size_t n)
{
    ftl_forecast *fc = NULL;
    CHECK_INT(fi_forecast_new(id, "prophet", kind, n, test_levels, 5, &fc, NULL), FTL_OK);
    for (size_t i = 0; i < n; i++) {
        fc->ds[i] = first + (ftl_time)i * step;
        fc->point[i] = 5.8 + 3 * sin((double)i / 6);
        for (size_t k = 0; k < 5; k++) fc->q[i * 5 + k] = fc->point[i] + ((double)k - 2) * (0.5 + 0.01 * (double)i);
    }
    return fc;
}

/* The PNG at `path`, to be freed with cairo_surface_destroy(). */
static inline cairo_surface_t *decode_png(const char *path, int width, int height)
{
    cairo_surface_t *png = cairo_image_surface_create_from_png(path);
    CHECK_INT(cairo_surface_status(png), CAIRO_STATUS_SUCCESS);
    CHECK_INT(cairo_image_surface_get_width(png), width);
    CHECK_INT(cairo_image_surface_get_height(png), height);
    return png;
}

/* Number of pixels of exactly that colour, 0xRRGGBB. */
static inline size_t count_pixels(cairo_surface_t *png, uint32_t color)
{
    size_t n = 0;
    int width = cairo_image_surface_get_width(png), height = cairo_image_surface_get_height(png);
    int stride = cairo_image_surface_get_stride(png);
    const unsigned char *data = cairo_image_surface_get_data(png);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint32_t pixel;
            memcpy(&pixel, data + (size_t)y * (size_t)stride + (size_t)x * 4, 4);
            n += (pixel & 0xFFFFFF) == color;
        }
    return n;
}

/* Every tag closed, every attribute quoted, nothing but text between: enough to catch a torn or spliced SVG. */
static inline void check_well_formed(const char *svg)
{
    char open[64][32];
    size_t depth = 0, elements = 0;
    for (const char *p = svg; (p = strchr(p, '<')); elements++) {
        const char *end = strchr(p, '>');
        CHECK(end != NULL);
        size_t quotes = 0, name = strcspn(p + 1, " />\n");
        for (const char *q = p; q < end; q++) {
            quotes += *q == '"';
            CHECK(q == p || *q != '<');
        }
        CHECK(quotes % 2 == 0);
        if (p[1] == '/') {
            name = strcspn(p + 2, ">");
            CHECK(depth > 0 && strlen(open[depth - 1]) == name && !strncmp(open[depth - 1], p + 2, name));
            depth--;
        } else if (p[1] != '?' && end[-1] != '/') {
            CHECK(depth < 64 && name < 32);
            memcpy(open[depth], p + 1, name);
            open[depth++][name] = '\0';
        }
        p = end;
    }
    CHECK_INT(depth, 0);
    CHECK(elements > 5);
}

#endif
