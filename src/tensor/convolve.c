#include "tensor/convolve.h"

#include "tensor/onednn.h"
#include "tensor/winograd.h"

#include <string.h>

/*
 * Forward and backward by data are the same sweep: a grid of outputs, each the sum over a grid of taps of an input times the
 * tap's weights. Along one axis output i reads inputs i * step + first + t * spacing, t < taps, and tap t has the weights
 * of weight + t * weight_step. The transpose of a convolution with stride s is s * s such sweeps, one for each place of
 * an output relative to the stride (its phase), each with the taps that meet it.
 */
typedef struct sweep_axis {
    size_t in, out, step, taps, weight;
    ptrdiff_t first, spacing, weight_step;
    size_t span; /* inputs between the first and the last that one output reads, both included */
} sweep_axis;

typedef struct sweep {
    const fi_conv_kernels *k;
    const fi_conv_tiles *tiles; /* or NULL */
    size_t panel;               /* output channels that are computed together */
    size_t depth;               /* numbers that a pixel takes in a window: c, and zeros up to whole blocks */
    const float *in, *bias;
    const void
        *packed; /* [panels][taps y][taps x][c][panel]; for tiles [panels][y][x][depth / 32][half][pair][16][2] */
    float *out;
    bool winograd; /* packed as tensor/winograd.h says */
    size_t n, c, o;
    sweep_axis y, x;
    size_t out_image, out_row, out_step; /* floats between neighbours in the output */
    bool add;
    size_t block_y, block_x; /* outputs of a task; their window of the input stays in the second cache */
    size_t blocks_y, blocks_x, panels, panels_per_task, groups;
} sweep;

enum {
    WINDOW = 1 << 16,                        /* floats of a window that are hoped for */
    MOST = FI_SCRATCH_BYTES / sizeof(float), /* and that are possible */
    PIECE = 256,                             /* steps of a product whose weights stay in the first cache */
    LEAST_TASKS = 16                         /* below, tasks are cut by output channels too */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t pieces(size_t n, size_t size)
{
    return (n + size - 1) / size;
}

static size_t whole_blocks(size_t n)
{
    return pieces(n, FI_CONV_BLOCK) * FI_CONV_BLOCK;
}

static size_t window_of(const sweep_axis *a, size_t outputs)
{
    return (outputs - 1) * a->step + a->span;
}

/* Blocks of outputs whose windows fit: whole images, else some rows, else parts of a row. */
static void cut(sweep *s, size_t n_threads)
{
    s->block_y = s->y.out;
    s->block_x = s->x.out;
    while (s->block_y > 1 && window_of(&s->y, s->block_y) * window_of(&s->x, s->block_x) * s->depth > WINDOW)
        s->block_y = (s->block_y + 1) / 2;
    while (s->block_x > 1 && window_of(&s->y, s->block_y) * window_of(&s->x, s->block_x) * s->depth > WINDOW)
        s->block_x = (s->block_x + 1) / 2;
    s->blocks_y = pieces(s->y.out, s->block_y);
    s->blocks_x = pieces(s->x.out, s->block_x);
    s->panels = pieces(s->o, s->panel);
    size_t tasks = s->n * s->blocks_y * s->blocks_x, wanted = n_threads > 1 ? pieces(LEAST_TASKS, tasks) : 1;
    s->panels_per_task = pieces(s->panels, smaller(wanted, s->panels));
    s->groups = pieces(s->panels, s->panels_per_task);
}

/* n pixels as the products want them: floats as they are, or bf16 in whole blocks. */
static void copy_pixels(const sweep *s, const float *from, size_t n, void *to)
{
    uint16_t *narrow = to;
    if (!s->tiles) {
        memcpy(to, from, n * s->c * sizeof(float));
    } else if (s->depth == s->c) {
        s->tiles->narrow(from, narrow, n * s->c);
    } else {
        for (size_t i = 0; i < n; i++, from += s->c, narrow += s->depth) {
            s->tiles->narrow(from, narrow, s->c);
            memset(narrow + s->c, 0, (s->depth - s->c) * sizeof *narrow);
        }
    }
}

/* Rows y.. and columns x.. of one image, [rows, columns, depth], zero outside the image. */
static void copy_window(const sweep *s, const float *image, ptrdiff_t y, size_t rows, ptrdiff_t x, size_t columns,
                        void *window)
{
    const size_t pixel = s->depth * (s->tiles ? sizeof(uint16_t) : sizeof(float));
    const ptrdiff_t width = (ptrdiff_t)s->x.in, n = (ptrdiff_t)columns;
    ptrdiff_t from = x < 0 ? -x : 0, to = width - x < n ? width - x : n; /* columns that exist */
    if (from > n) from = n;
    if (to < from) to = from;
    char *out = window;
    for (size_t r = 0; r < rows; r++, out += columns * pixel) {
        ptrdiff_t row = y + (ptrdiff_t)r;
        if (row < 0 || row >= (ptrdiff_t)s->y.in) {
            memset(out, 0, columns * pixel);
            continue;
        }
        const size_t left = (size_t)from * pixel, inside = (size_t)(to - from);
        memset(out, 0, left);
        if (inside) copy_pixels(s, image + (ptrdiff_t)s->c * (row * width + x + from), inside, out + left);
        memset(out + left + inside * pixel, 0, (columns - inside) * pixel - left);
    }
}

/* The first tap of an output that meets an input row which exists; rows outside the image are left out. */
static size_t first_tap(const sweep_axis *a, size_t output)
{
    const ptrdiff_t at = (ptrdiff_t)(output * a->step) + a->first;
    return at >= 0 ? 0 : (size_t)((-at + a->spacing - 1) / a->spacing);
}

static bool meets_input(const sweep_axis *a, size_t output, size_t tap)
{
    const ptrdiff_t at = (ptrdiff_t)(output * a->step) + a->first + (ptrdiff_t)tap * a->spacing;
    return at >= 0 && at < (ptrdiff_t)a->in;
}

/*
 * One panel of output channels for a block of outputs, whose first row is `row`: pieces of the sum outermost, so that their
 * weights stay near.
 */
static void sweep_panel(const sweep *s, const float *window, size_t pitch, size_t panel, float *out, size_t row,
                        size_t rows, size_t width)
{
    static const float zeros[64];
    const size_t pn = s->panel, cols = smaller(pn, s->o - panel * pn);
    const bool joined = s->x.spacing == 1 || s->x.taps == 1; /* taps of a row are neighbours in memory */
    const size_t runs = joined ? 1 : s->x.taps, len = joined ? s->x.taps * s->c : s->c;
    const float *w = (const float *)s->packed + panel * pn * s->y.taps * s->x.taps * s->c,
                *init = s->add    ? NULL
                        : s->bias ? s->bias + panel * pn
                                  : zeros;
    const size_t n_pieces = pieces(len, PIECE), piece = n_pieces ? pieces(len, n_pieces) : 0;
    for (size_t t = 0; t < s->y.taps; t++)
        for (size_t u = 0; u < runs; u++)
            for (size_t at = 0; at < len; at += piece) {
                const size_t steps = smaller(piece, len - at);
                const float *from = window + (t * (size_t)s->y.spacing * pitch + u * (size_t)s->x.spacing) * s->c + at;
                for (size_t r = 0; r < rows; r++) {
                    if (!meets_input(&s->y, row + r, t)) continue;
                    const bool begins = u == 0 && at == 0 && t == first_tap(&s->y, row + r);
                    s->k->strip(steps, from + r * s->y.step * pitch * s->c, s->x.step * s->c, w,
                                out + r * s->out_row + panel * pn, s->out_step, width, cols, begins ? init : NULL);
                }
                w += steps * pn;
            }
    for (size_t r = 0; init && r < rows; r++) { /* rows that no tap meets */
        const size_t t = first_tap(&s->y, row + r);
        if (s->c && s->x.taps && t < s->y.taps && meets_input(&s->y, row + r, t)) continue;
        for (size_t p = 0; p < width; p++)
            memcpy(out + r * s->out_row + p * s->out_step + panel * pn, init, cols * sizeof(float));
    }
}

/*
 * The same on tiles: outputs of the block in the order of the window's pixels, those between the end of a row and the next
 * included, whose sums are left where they are.
 */
static void sweep_panel_tiles(const sweep *s, const uint16_t *window, size_t columns, size_t panel, float *out,
                              size_t rows, size_t width)
{
    enum { TILE = FI_CONV_BLOCK * FI_CONV_BLOCK };
    _Alignas(64) float sums[TILE];
    const size_t first = panel * FI_CONV_BLOCK, cols = smaller(FI_CONV_BLOCK, s->o - first);
    const size_t depth = s->depth, steps = depth / FI_CONV_BLOCK, taps = s->y.taps * s->x.taps;
    const fi_conv_walk walk = {
        .n = {s->y.taps, s->x.taps, steps},
        .a = {(size_t)s->y.spacing * columns * depth, (size_t)s->x.spacing * depth, FI_CONV_BLOCK},
        .b = {s->x.taps * steps * TILE, steps * TILE, TILE},
        .a_row = depth,
        .a_half = 16 * depth,
        .b_pair = 32,
        .b_half = TILE / 2};
    const uint16_t *w = (const uint16_t *)s->packed + panel * taps * steps * TILE;
    const size_t n = (rows - 1) * columns + width;
    for (size_t q = 0; q < n; q += FI_CONV_BLOCK) {
        memset(sums, 0, sizeof sums);
        s->tiles->block(&walk, window + q * depth, w, sums);
        for (size_t i = 0; i < smaller(FI_CONV_BLOCK, n - q); i++) {
            if ((q + i) % columns >= width) continue;
            float *to = out + (q + i) / columns * s->out_row + (q + i) % columns * s->out_step + first;
            const float *sum = sums + i * FI_CONV_BLOCK;
            if (s->add)
                for (size_t j = 0; j < cols; j++) to[j] += sum[j];
            else if (s->bias)
                for (size_t j = 0; j < cols; j++) to[j] = sum[j] + s->bias[first + j];
            else
                memcpy(to, sum, cols * sizeof *to);
        }
    }
}

static void sweep_task(void *user, size_t i, float *scratch)
{
    const sweep *s = user;
    const size_t group = i % s->groups, block = i / s->groups, column = block % s->blocks_x * s->block_x;
    const size_t row = block / s->blocks_x % s->blocks_y * s->block_y, image = block / s->blocks_x / s->blocks_y;
    const size_t rows = smaller(s->block_y, s->y.out - row), width = smaller(s->block_x, s->x.out - column);
    const size_t columns = window_of(&s->x, width), lines = window_of(&s->y, rows);
    const ptrdiff_t y = (ptrdiff_t)(row * s->y.step) + s->y.first, x = (ptrdiff_t)(column * s->x.step) + s->x.first;
    const float *in = s->in + image * s->y.in * s->x.in * s->c, *window = scratch;
    size_t pitch = columns; /* of a row of the window, in inputs */
    if (!s->tiles && y >= 0 && x >= 0 && (size_t)y + lines <= s->y.in && (size_t)x + columns <= s->x.in) {
        pitch = s->x.in; /* nothing outside the image: read where it lies */
        window = in + ((size_t)y * pitch + (size_t)x) * s->c;
    } else if (s->y.taps && s->x.taps) {
        copy_window(s, in, y, lines, x, columns, scratch);
    }
    float *out = s->out + image * s->out_image + row * s->out_row + column * s->out_step;
    const size_t p0 = group * s->panels_per_task, p1 = smaller(s->panels, p0 + s->panels_per_task);
    if (s->tiles) {
        s->tiles->begin();
        for (size_t p = p0; p < p1; p++)
            sweep_panel_tiles(s, (const uint16_t *)(const void *)window, columns, p, out, rows, width);
        s->tiles->end();
        return;
    }
    for (size_t p = p0; p < p1; p++) sweep_panel(s, window, pitch, p, out, row, rows, width);
}

static fi_winograd winograd_of(const sweep *s)
{
    return (fi_winograd){s->k, s->n, s->c, s->o, s->y.in, s->x.in, s->y.out, s->x.out, s->y.first, s->x.first};
}

static void run_sweep(fi_engine *engine, sweep *s)
{
    if (s->n == 0 || s->y.out == 0 || s->x.out == 0 || s->o == 0) return;
    if (s->winograd) {
        const fi_winograd w = winograd_of(s);
        fi_winograd_sweep(engine, &w, s->in, s->packed, s->bias, s->out, s->add);
        return;
    }
    /* With one tap of one pixel, neighbouring rows and images are one long row. */
    if (s->y.span == 1 && s->x.span == 1 && s->y.first == 0 && s->x.first == 0 && s->y.step == 1 && s->x.step == 1 &&
        s->y.in == s->y.out && s->x.in == s->x.out && s->out_row == s->x.out * s->out_step &&
        s->out_image == s->y.out * s->out_row) {
        s->x.in = s->x.out = s->n * s->y.out * s->x.out;
        s->n = s->y.in = s->y.out = 1;
    }
    cut(s, engine->n_threads);
    fi_engine_run(engine, s->n * s->blocks_y * s->blocks_x * s->groups, sweep_task, s);
}

/* ---- weights in panels ---- */

typedef struct packing {
    const fi_conv *conv;
    const sweep *s;
    const float *w;
    void *packed;
    bool transposed; /* panels of input channels, for the transpose */
} packing;

/* The weights of tap (t, u) of a sweep, from input channel 0 to output channel 0. */
static const float *tap_weights(const packing *p, size_t t, size_t u)
{
    const fi_conv *v = p->conv;
    const size_t y = p->s->y.weight + t * (size_t)p->s->y.weight_step,
                 x = p->s->x.weight + u * (size_t)p->s->x.weight_step;
    return p->w + (y * v->x.taps + x) * v->c;
}

/* Weights from input channel i to output channels first .. first + n. */
static void pick_weights(const packing *p, const float *tap, size_t i, size_t first, size_t n, float *out)
{
    const size_t filter = p->conv->y.taps * p->conv->x.taps * p->conv->c; /* of one output channel of the convolution */
    if (p->transposed)
        memcpy(out, tap + i * filter + first, n * sizeof *out);
    else
        for (size_t j = 0; j < n; j++) out[j] = tap[(first + j) * filter + i];
}

static void pack_panel(void *user, size_t panel, float *scratch)
{
    (void)scratch;
    const packing *p = user;
    const sweep *s = p->s;
    const size_t pn = s->panel, first = panel * pn, cols = smaller(pn, s->o - first);
    float *to = (float *)p->packed + first * s->y.taps * s->x.taps * s->c;
    for (size_t t = 0; t < s->y.taps; t++)
        for (size_t u = 0; u < s->x.taps; u++) {
            const float *tap = tap_weights(p, t, u);
            for (size_t i = 0; i < s->c; i++, to += pn) {
                pick_weights(p, tap, i, first, cols, to);
                memset(to + cols, 0, (pn - cols) * sizeof *to);
            }
        }
}

static void pack_panel_winograd(void *user, size_t panel, float *scratch)
{
    const packing *p = user;
    const sweep *s = p->s;
    const size_t pn = s->panel, first = panel * pn, cols = smaller(pn, s->o - first);
    float *to = (float *)p->packed + first * s->c, *taps = scratch;
    memset(taps, 0, 9 * pn * sizeof *taps); /* columns beyond the last stay zero */
    for (size_t i = 0; i < s->c; i++, to += pn) {
        for (size_t t = 0; t < 9; t++) pick_weights(p, tap_weights(p, t / 3, t % 3), i, first, cols, taps + t * pn);
        s->k->spread_filters(taps, to, fi_winograd_plane(s->k, s->c, s->o));
    }
}

static void pack_panel_tiles(void *user, size_t panel, float *scratch)
{
    (void)scratch;
    const packing *p = user;
    const sweep *s = p->s;
    const size_t first = panel * FI_CONV_BLOCK, cols = smaller(FI_CONV_BLOCK, s->o - first);
    uint16_t *to = (uint16_t *)p->packed + first * s->y.taps * s->x.taps * s->depth, narrow[2][FI_CONV_BLOCK];
    float row[FI_CONV_BLOCK] = {0}; /* columns beyond the last stay zero */
    for (size_t t = 0; t < s->y.taps; t++)
        for (size_t u = 0; u < s->x.taps; u++)
            for (size_t i = 0; i < s->depth; i += 2) {
                const float *tap = tap_weights(p, t, u);
                memset(narrow, 0, sizeof narrow);
                for (size_t e = 0; e < 2 && i + e < s->c; e++) {
                    pick_weights(p, tap, i + e, first, cols, row);
                    s->tiles->narrow(row, narrow[e], FI_CONV_BLOCK);
                }
                const size_t at = i / FI_CONV_BLOCK * FI_CONV_BLOCK * FI_CONV_BLOCK + i % FI_CONV_BLOCK * 16;
                uint16_t *pair = to + (t * s->x.taps + u) * s->depth * FI_CONV_BLOCK + at;
                for (size_t half = 0; half < 2; half++)
                    s->tiles->pair(narrow[0] + 16 * half, narrow[1] + 16 * half, pair + half * 512, 16);
            }
}

/* Bytes of packed weights, in whole cache lines. */
static size_t packed_bytes(const sweep *s)
{
    if (s->winograd) return 16 * fi_winograd_plane(s->k, s->c, s->o) * sizeof(float);
    const size_t rows = pieces(s->o, s->panel) * s->panel * s->y.taps * s->x.taps * s->depth;
    return (rows * (s->tiles ? sizeof(uint16_t) : sizeof(float)) + 63) / 64 * 64;
}

static void pack_and_run(fi_engine *engine, const fi_conv *v, sweep *s, const float *w, void *packed, bool transposed)
{
    packing p = {v, s, w, packed, transposed};
    s->packed = packed;
    fi_engine_run(engine, pieces(s->o, s->panel),
                  s->winograd ? pack_panel_winograd
                  : s->tiles  ? pack_panel_tiles
                              : pack_panel,
                  &p);
    run_sweep(engine, s);
}

/* ---- the passes ---- */

static sweep_axis forward_axis(const fi_conv_axis *a)
{
    return (sweep_axis){a->in,
                        a->out,
                        a->stride,
                        a->taps,
                        0,
                        -(ptrdiff_t)a->pad,
                        (ptrdiff_t)a->dilation,
                        1,
                        (a->taps - 1) * a->dilation + 1};
}

/*
 * Inputs i = phase, phase + stride, ... as outputs of the transpose: tap t met them at output (i + pad - t dilation) / stride
 * where that is whole. Such taps lie `gap` apart; the last of them comes first, so that what is read ascends.
 */
static sweep_axis backward_axis(const fi_conv_axis *a, size_t phase)
{
    size_t first = 0, gap = 1;
    while (first < a->taps && (phase + a->pad + first * (a->stride - a->dilation % a->stride)) % a->stride) first++;
    while (gap * a->dilation % a->stride) gap++;
    const size_t taps = first < a->taps ? (a->taps - 1 - first) / gap + 1 : 0,
                 last = taps ? first + (taps - 1) * gap : 0;
    const size_t spacing = gap * a->dilation / a->stride;
    return (sweep_axis){a->out,
                        (a->in + a->stride - 1 - phase) / a->stride,
                        1,
                        taps,
                        last,
                        ((ptrdiff_t)(phase + a->pad) - (ptrdiff_t)(last * a->dilation)) / (ptrdiff_t)a->stride,
                        (ptrdiff_t)spacing,
                        -(ptrdiff_t)gap,
                        taps ? (taps - 1) * spacing + 1 : 1};
}

static bool by_threes(const sweep_axis *a)
{
    return a->taps == 3 && a->step == 1 && a->spacing == 1;
}

/* Chooses the arithmetic of a sweep over inputs of c channels. Tiles read up to a block of pixels behind the window. */
static void choose(sweep *s, const fi_conv *v)
{
    const size_t depth = whole_blocks(s->c), window = s->y.span * s->x.span + FI_CONV_BLOCK;
    const bool tiles = v->tiles && s->y.step == 1 && s->x.step == 1 && window <= MOST / depth &&
                       (WINDOW + FI_CONV_BLOCK * depth) <= MOST;
    s->k = v->k;
    s->tiles = tiles ? v->tiles : NULL;
    s->panel = tiles ? FI_CONV_BLOCK : v->k->panel;
    s->depth = tiles ? depth : s->c;
    s->winograd = !tiles && by_threes(&s->y) && by_threes(&s->x) && fi_winograd_pays(s->c, s->o, s->y.out, s->x.out);
}

static sweep forward_sweep(const fi_conv *v)
{
    sweep s = {.n = v->n, .c = v->c, .o = v->o, .y = forward_axis(&v->y), .x = forward_axis(&v->x)};
    s.out_step = v->o;
    s.out_row = v->x.out * s.out_step;
    s.out_image = v->y.out * s.out_row;
    choose(&s, v);
    return s;
}

static sweep backward_sweep(const fi_conv *v, size_t phase_y, size_t phase_x)
{
    sweep s = {.n = v->n, .c = v->o, .o = v->c};
    s.y = backward_axis(&v->y, phase_y);
    s.x = backward_axis(&v->x, phase_x);
    s.out_step = v->x.stride * v->c;
    s.out_row = v->y.stride * v->x.in * v->c;
    s.out_image = v->y.in * v->x.in * v->c;
    choose(&s, v);
    return s;
}

size_t fi_conv_packed_size(const fi_conv *v, bool backward)
{
    sweep s = forward_sweep(v);
    const size_t window = s.y.span > MOST / s.x.span ? SIZE_MAX : s.y.span * s.x.span;
    if (v->c > MOST / window || (backward && v->o > MOST / window)) return 0; /* phases of the transpose read less */
    size_t bytes = packed_bytes(&s), back = 0;
    for (size_t i = 0; backward && i < v->y.stride; i++)
        for (size_t j = 0; j < v->x.stride; j++) {
            s = backward_sweep(v, i, j);
            back += packed_bytes(&s);
        }
    bytes = back > bytes ? back : bytes;
    return bytes ? (bytes + sizeof(float) - 1) / sizeof(float) : 1;
}

void fi_conv_forward(fi_engine *engine, const fi_conv *v, const float *x, const float *w, const float *bias, float *out,
                     bool add)
{
    if (engine->onednn && fi_onednn_convolve(engine, v, x, w, bias, out, add)) return;
    sweep s = forward_sweep(v);
    s.in = x;
    s.bias = bias;
    s.out = out;
    s.add = add;
    pack_and_run(engine, v, &s, w, v->packed, false);
}

void fi_conv_backward_data(fi_engine *engine, const fi_conv *v, const float *g, const float *w, const float *bias,
                           float *dx, bool add)
{
    char *packed = (char *)v->packed;
    for (size_t i = 0; i < v->y.stride; i++)
        for (size_t j = 0; j < v->x.stride; j++) {
            sweep s = backward_sweep(v, i, j);
            const size_t bytes = packed_bytes(&s);
            s.in = g;
            s.bias = bias;
            s.out = dx + (i * v->x.in + j) * v->c;
            s.add = add;
            pack_and_run(engine, v, &s, w, packed, true);
            packed += bytes;
        }
}

/* ---- gradients of weights ---- */

typedef struct weights_run {
    const fi_conv *conv;
    const float *x, *g;
    float *dw;
    size_t first, last, block; /* images; output channels of a task */
} weights_run;

/* Outputs whose tap t meets an input that exists: *from .. end (returned). */
static size_t meets(const fi_conv_axis *a, size_t t, size_t *from)
{
    const size_t at = t * a->dilation; /* input is out * stride + at - pad */
    *from = a->pad > at ? (a->pad - at + a->stride - 1) / a->stride : 0;
    size_t end = a->in + a->pad > at ? (a->in + a->pad - at - 1) / a->stride + 1 : 0;
    end = smaller(end, a->out);
    *from = smaller(*from, end);
    return end;
}

/* One tap and block of output channels over the images of this round. */
static void weights_task(void *user, size_t i, float *scratch)
{
    (void)scratch;
    const weights_run *r = user;
    const fi_conv *v = r->conv;
    const size_t taps = v->y.taps * v->x.taps, tap = i % taps, ty = tap / v->x.taps, tx = tap % v->x.taps;
    const size_t o = i / taps * r->block;
    size_t y0, x0, y1 = meets(&v->y, ty, &y0), x1 = meets(&v->x, tx, &x0);
    if (y0 == y1 || x0 == x1) return;
    const size_t in_y = y0 * v->y.stride + ty * v->y.dilation - v->y.pad,
                 in_x = x0 * v->x.stride + tx * v->x.dilation - v->x.pad;
    for (size_t n = r->first; n < r->last; n++)
        v->k->outer(y1 - y0, x1 - x0, r->g + ((n * v->y.out + y0) * v->x.out + x0) * v->o + o, v->x.out * v->o, v->o,
                    r->x + ((n * v->y.in + in_y) * v->x.in + in_x) * v->c, v->y.stride * v->x.in * v->c,
                    v->x.stride * v->c, r->dw + (o * taps + tap) * v->c, taps * v->c, smaller(r->block, v->o - o),
                    v->c);
}

/*
 * On tiles: the gradient of a tap is one product over the pixels of outputs. Of every image g is turned to [o][pixels], rows of
 * an even width, and x to pairs of pixels once for each column of taps, as far shifted, so that a row of taps begins so
 * many lines further down. This lies in the first thread's scratch, which all of them read.
 */
typedef struct tiled_run {
    const fi_conv *conv;
    sweep window; /* the forward one */
    const float *x, *g;
    float *dw;
    uint16_t *images; /* [last - first][image] */
    size_t first, last;
    size_t width, lines, columns;     /* of outputs, even; of the window that they see */
    size_t pixels, ld;                /* outputs of an image in whole blocks; numbers from row to row of g */
    size_t g_size, shifted, image;    /* numbers of turned g, of pairs for one column of taps, and of all */
    size_t blocks_o, blocks_c, parts; /* parts of a filter */
    size_t together;                  /* images multiplied at once, whose parts stay in the first cache */
} tiled_run;

enum {
    SHARED = 3 << 20, /* bytes of scratch for turned images */
    OWN = FI_SCRATCH_BYTES - SHARED,
    NEAR = 1 << 20,     /* that stay in the second cache */
    NEAREST = 40 << 10, /* and in the first */
    TOGETHER = 8
};

static void turn_image(void *user, size_t i, float *scratch)
{
    const tiled_run *r = user;
    const fi_conv *v = r->conv;
    const sweep *s = &r->window;
    uint16_t *g = r->images + i * r->image, *x = g + r->g_size, *window = (uint16_t *)(void *)scratch + SHARED / 2;
    float *zeros = (float *)(void *)(window + r->lines * r->columns * s->depth);
    const size_t depth = s->depth, pairs = r->width / 2;
    copy_window(s, r->x + (r->first + i) * v->y.in * v->x.in * v->c, s->y.first, r->lines, s->x.first, r->columns,
                window);
    for (size_t u = 0; u < v->x.taps; u++, x += r->shifted) {
        for (size_t q = 0; q < r->lines * pairs; q++) {
            const uint16_t *one = window + (q / pairs * r->columns + q % pairs * 2 + u * v->x.dilation) * depth;
            v->tiles->pair(one, one + depth, x + q * 2 * depth, depth);
        }
        memset(x + r->lines * pairs * 2 * depth, 0, (r->shifted - r->lines * pairs * 2 * depth) * sizeof *x);
    }
    memset(g, 0, r->g_size * sizeof *g);
    memset(zeros, 0, v->o * sizeof *zeros);
    const float *from = r->g + (r->first + i) * v->y.out * v->x.out * v->o;
    for (size_t y = 0; y < v->y.out; y++)
        for (size_t p = 0; p < v->x.out; p += 2) {
            const float *one = from + (y * v->x.out + p) * v->o, *two = p + 1 < v->x.out ? one + v->o : zeros;
            v->tiles->spread(one, two, g + y * r->width + p, r->ld, v->o);
        }
}

/* Blocks of dw for up to TOGETHER taps of a column, which read the same parts of images while these are near. */
static void tiled_task(void *user, size_t i, float *scratch)
{
    enum { TILE = FI_CONV_BLOCK * FI_CONV_BLOCK };
    const tiled_run *r = user;
    const fi_conv *v = r->conv;
    const size_t taps = v->y.taps * v->x.taps, depth = r->window.depth, part = i % r->parts;
    const size_t tx = part % v->x.taps, ty = part / v->x.taps * TOGETHER, n = smaller(TOGETHER, v->y.taps - ty);
    const size_t o = i / r->parts % r->blocks_o * FI_CONV_BLOCK, c = i / r->parts / r->blocks_o * FI_CONV_BLOCK;
    const size_t rows = smaller(FI_CONV_BLOCK, v->o - o), cols = smaller(FI_CONV_BLOCK, v->c - c);
    const size_t line = v->y.dilation * r->width * depth, row = v->x.taps * v->c;
    fi_conv_walk walk = {.n = {0, 1, r->pixels / FI_CONV_BLOCK},
                         .a = {r->image, 0, FI_CONV_BLOCK},
                         .b = {r->image, 0, FI_CONV_BLOCK * depth},
                         .a_row = r->ld,
                         .a_half = 16 * r->ld,
                         .b_pair = 2 * depth,
                         .b_half = 32};
    float *dw = r->dw + (o * taps + ty * v->x.taps + tx) * v->c + c, *sums = scratch + SHARED / sizeof(float);
    memset(sums, 0, n * TILE * sizeof *sums);
    for (size_t t = 0; t < n; t++)
        for (size_t k = 0; k < rows; k++)
            memcpy(sums + t * TILE + k * FI_CONV_BLOCK, dw + k * taps * v->c + t * row, cols * sizeof *dw);
    v->tiles->begin();
    for (size_t image = 0; image < r->last - r->first; image += walk.n[0]) {
        const uint16_t *g = r->images + image * r->image, *x = g + r->g_size + tx * r->shifted;
        walk.n[0] = smaller(r->together, r->last - r->first - image);
        for (size_t t = 0; t < n; t++)
            v->tiles->block(&walk, g + o * r->ld, x + (ty + t) * line + 2 * c, sums + t * TILE);
    }
    v->tiles->end();
    for (size_t t = 0; t < n; t++)
        for (size_t k = 0; k < rows; k++)
            memcpy(dw + k * taps * v->c + t * row, sums + t * TILE + k * FI_CONV_BLOCK, cols * sizeof *dw);
}

/* false: it does not fit. */
static bool weights_on_tiles(fi_engine *engine, const fi_conv *v, const float *x, const float *g, float *dw)
{
    tiled_run r = {.conv = v, .window = forward_sweep(v), .x = x, .g = g, .dw = dw};
    if (!r.window.tiles || v->n == 0) return false;
    const size_t depth = r.window.depth, rows = whole_blocks(v->o);
    r.width = (v->x.out + 1) / 2 * 2;
    r.lines = window_of(&r.window.y, v->y.out);
    r.columns = window_of(&r.window.x, r.width);
    if (r.lines > SHARED / r.columns || rows > SHARED || r.lines * r.columns > OWN / depth / 4 || v->o > OWN / 8)
        return false;
    r.pixels = whole_blocks(v->y.out * r.width);
    r.ld = r.pixels + FI_CONV_BLOCK; /* rows begin in different places of the first cache */
    r.g_size = rows * r.ld;
    r.shifted = (r.lines * r.width + FI_CONV_BLOCK) * depth; /* the last block of pixels reaches beyond the last line */
    r.image = r.g_size + v->x.taps * r.shifted;
    const size_t bytes = r.image * sizeof(uint16_t), round = bytes < NEAR ? NEAR / bytes : 1;
    const size_t part = FI_CONV_BLOCK * (r.ld + r.lines * r.width) * sizeof(uint16_t); /* of an image, for a block */
    if (bytes > SHARED) return false;
    r.together = part < NEAREST ? NEAREST / part : 1;
    r.parts = v->x.taps * pieces(v->y.taps, TOGETHER);
    r.images = (uint16_t *)(void *)engine->scratch[0];
    r.blocks_o = pieces(v->o, FI_CONV_BLOCK);
    r.blocks_c = pieces(v->c, FI_CONV_BLOCK);
    for (; r.first < v->n; r.first = r.last) {
        r.last = smaller(r.first + round, v->n);
        fi_engine_run(engine, r.last - r.first, turn_image, &r);
        fi_engine_run(engine, r.parts * r.blocks_o * r.blocks_c, tiled_task, &r);
    }
    return true;
}

void fi_conv_backward_weights(fi_engine *engine, const fi_conv *v, const float *x, const float *g, float *dw)
{
    if (weights_on_tiles(engine, v, x, g, dw)) return;
    const sweep s = forward_sweep(v);
    if (s.winograd) {
        const fi_winograd w = winograd_of(&s);
        fi_winograd_weights(engine, &w, x, g, v->packed, dw);
        return;
    }
    const size_t taps = v->y.taps * v->x.taps;
    const size_t image = v->y.in * v->x.in * v->c + v->y.out * v->x.out * v->o;
    const size_t round = image < 4 * WINDOW ? 4 * WINDOW / (image ? image : 1) : 1; /* images that stay in the cache */
    weights_run r = {v, x, g, dw, 0, 0, 32};
    for (; r.first < v->n; r.first = r.last) {
        r.last = smaller(r.first + round, v->n);
        fi_engine_run(engine, taps * pieces(v->o, r.block), weights_task, &r);
    }
}
