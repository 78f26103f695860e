#include "tensor/convolve.h"

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
    const float *in, *bias, *packed; /* packed [panels][taps y][taps x][c][panel] */
    float *out;
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

/* Work of a task from its index; the same numbers whatever the cut. */
static size_t pieces(size_t n, size_t size)
{
    return (n + size - 1) / size;
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
    while (s->block_y > 1 && window_of(&s->y, s->block_y) * window_of(&s->x, s->block_x) * s->c > WINDOW)
        s->block_y = (s->block_y + 1) / 2;
    while (s->block_x > 1 && window_of(&s->y, s->block_y) * window_of(&s->x, s->block_x) * s->c > WINDOW)
        s->block_x = (s->block_x + 1) / 2;
    s->blocks_y = pieces(s->y.out, s->block_y);
    s->blocks_x = pieces(s->x.out, s->block_x);
    s->panels = pieces(s->o, s->k->panel);
    size_t tasks = s->n * s->blocks_y * s->blocks_x, wanted = n_threads > 1 ? pieces(LEAST_TASKS, tasks) : 1;
    s->panels_per_task = pieces(s->panels, smaller(wanted, s->panels));
    s->groups = pieces(s->panels, s->panels_per_task);
}

/* Rows y.. and columns x.. of one image, [rows, columns, c], zero outside the image. */
static void copy_window(const sweep *s, const float *image, ptrdiff_t y, size_t rows, ptrdiff_t x, size_t columns,
                        float *window)
{
    const ptrdiff_t width = (ptrdiff_t)s->x.in, n = (ptrdiff_t)columns;
    ptrdiff_t from = x < 0 ? -x : 0, to = width - x < n ? width - x : n; /* columns that exist */
    if (from > n) from = n;
    if (to < from) to = from;
    for (size_t r = 0; r < rows; r++, window += columns * s->c) {
        ptrdiff_t row = y + (ptrdiff_t)r;
        if (row < 0 || row >= (ptrdiff_t)s->y.in) {
            memset(window, 0, columns * s->c * sizeof(float));
            continue;
        }
        const size_t left = (size_t)from * s->c, inside = (size_t)(to - from) * s->c;
        memset(window, 0, left * sizeof(float));
        if (inside) memcpy(window + left, image + (ptrdiff_t)s->c * (row * width + x + from), inside * sizeof(float));
        memset(window + left + inside, 0, (columns * s->c - left - inside) * sizeof(float));
    }
}

/* One panel of output channels for a block of outputs: pieces of the sum outermost, so that their weights stay near. */
static void sweep_panel(const sweep *s, const float *window, size_t pitch, size_t panel, float *out, size_t rows,
                        size_t width)
{
    static const float zeros[64];
    const size_t pn = s->k->panel, cols = smaller(pn, s->o - panel * pn);
    const bool joined = s->x.spacing == 1 || s->x.taps == 1; /* taps of a row are neighbours in memory */
    const size_t runs = joined ? 1 : s->x.taps, len = joined ? s->x.taps * s->c : s->c;
    const float *w = s->packed + panel * pn * s->y.taps * s->x.taps * s->c, *init = s->add    ? NULL
                                                                                    : s->bias ? s->bias + panel * pn
                                                                                              : zeros;
    const size_t n_pieces = pieces(len, PIECE), piece = n_pieces ? pieces(len, n_pieces) : 0;
    for (size_t t = 0; t < s->y.taps; t++)
        for (size_t u = 0; u < runs; u++)
            for (size_t at = 0; at < len; at += piece) {
                const size_t steps = smaller(piece, len - at);
                const float *from = window + (t * (size_t)s->y.spacing * pitch + u * (size_t)s->x.spacing) * s->c + at;
                for (size_t r = 0; r < rows; r++)
                    s->k->strip(steps, from + r * s->y.step * pitch * s->c, s->x.step * s->c, w,
                                out + r * s->out_row + panel * pn, s->out_step, width, cols, init);
                w += steps * pn;
                init = NULL;
            }
    for (size_t r = 0; init && r < rows; r++) /* no tap meets this phase */
        for (size_t p = 0; p < width; p++)
            memcpy(out + r * s->out_row + p * s->out_step + panel * pn, init, cols * sizeof(float));
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
    if (y >= 0 && x >= 0 && (size_t)y + lines <= s->y.in && (size_t)x + columns <= s->x.in) {
        pitch = s->x.in; /* nothing outside the image: read where it lies */
        window = in + ((size_t)y * pitch + (size_t)x) * s->c;
    } else if (s->y.taps && s->x.taps) {
        copy_window(s, in, y, lines, x, columns, scratch);
    }
    float *out = s->out + image * s->out_image + row * s->out_row + column * s->out_step;
    for (size_t p = group * s->panels_per_task; p < smaller(s->panels, (group + 1) * s->panels_per_task); p++)
        sweep_panel(s, window, pitch, p, out, rows, width);
}

static void run_sweep(fi_engine *engine, sweep *s)
{
    if (s->n == 0 || s->y.out == 0 || s->x.out == 0 || s->o == 0) return;
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
    float *packed;
    bool transposed; /* panels of input channels, for the transpose */
} packing;

static void pack_panel(void *user, size_t panel, float *scratch)
{
    (void)scratch;
    const packing *p = user;
    const fi_conv *v = p->conv;
    const sweep *s = p->s;
    const size_t pn = s->k->panel, first = panel * pn, cols = smaller(pn, s->o - first);
    const size_t filter = v->y.taps * v->x.taps * v->c; /* weights of one output channel of the convolution */
    float *to = p->packed + first * s->y.taps * s->x.taps * s->c;
    for (size_t t = 0; t < s->y.taps; t++)
        for (size_t u = 0; u < s->x.taps; u++) {
            const size_t ty = s->y.weight + t * (size_t)s->y.weight_step,
                         tx = s->x.weight + u * (size_t)s->x.weight_step;
            const float *w = p->w + (ty * v->x.taps + tx) * v->c;
            for (size_t i = 0; i < s->c; i++, to += pn) {
                for (size_t j = 0; j < cols; j++)
                    to[j] = p->transposed ? w[i * filter + first + j] : w[(first + j) * filter + i];
                memset(to + cols, 0, (pn - cols) * sizeof *to);
            }
        }
}

static size_t packed_size(const fi_conv_kernels *k, size_t taps, size_t c, size_t o)
{
    return pieces(o, k->panel) * k->panel * taps * c;
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

size_t fi_conv_packed_size(const fi_conv *v, bool backward)
{
    const sweep_axis y = forward_axis(&v->y), x = forward_axis(&v->x);
    if (v->c && y.span > MOST / x.span / v->c) return 0;
    size_t size = packed_size(v->k, v->y.taps * v->x.taps, v->c, v->o);
    if (backward) {
        if (v->o && y.span > MOST / x.span / v->o) return 0; /* the phases of the transpose read less than that */
        size_t back = packed_size(v->k, v->y.taps * v->x.taps, v->o, v->c);
        size = back > size ? back : size;
    }
    return size ? size : 1;
}

void fi_conv_forward(fi_engine *engine, const fi_conv *v, const float *x, const float *w, const float *bias, float *out,
                     bool add)
{
    sweep s = {
        .k = v->k, .in = x, .bias = bias, .packed = v->packed, .out = out, .n = v->n, .c = v->c, .o = v->o, .add = add};
    s.y = forward_axis(&v->y);
    s.x = forward_axis(&v->x);
    s.out_step = v->o;
    s.out_row = v->x.out * s.out_step;
    s.out_image = v->y.out * s.out_row;
    packing p = {v, &s, w, v->packed, false};
    fi_engine_run(engine, pieces(s.o, v->k->panel), pack_panel, &p);
    run_sweep(engine, &s);
}

void fi_conv_backward_data(fi_engine *engine, const fi_conv *v, const float *g, const float *w, const float *bias,
                           float *dx, bool add)
{
    float *packed = v->packed;
    for (size_t i = 0; i < v->y.stride; i++)
        for (size_t j = 0; j < v->x.stride; j++) {
            sweep s = {.k = v->k, .in = g, .bias = bias, .packed = packed, .n = v->n, .c = v->o, .o = v->c, .add = add};
            s.y = backward_axis(&v->y, i);
            s.x = backward_axis(&v->x, j);
            s.out = dx + (i * v->x.in + j) * v->c;
            s.out_step = v->x.stride * v->c;
            s.out_row = v->y.stride * v->x.in * v->c;
            s.out_image = v->y.in * v->x.in * v->c;
            packing p = {v, &s, w, packed, true};
            fi_engine_run(engine, pieces(s.o, v->k->panel), pack_panel, &p);
            run_sweep(engine, &s);
            packed += packed_size(v->k, s.y.taps * s.x.taps, s.c, s.o);
        }
}

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

void fi_conv_backward_weights(fi_engine *engine, const fi_conv *v, const float *x, const float *g, float *dw)
{
    const size_t taps = v->y.taps * v->x.taps;
    const size_t image = v->y.in * v->x.in * v->c + v->y.out * v->x.out * v->o;
    const size_t round = image < 4 * WINDOW ? 4 * WINDOW / (image ? image : 1) : 1; /* images that stay in the cache */
    weights_run r = {v, x, g, dw, 0, 0, 32};
    for (; r.first < v->n; r.first = r.last) {
        r.last = smaller(r.first + round, v->n);
        fi_engine_run(engine, taps * pieces(v->o, r.block), weights_task, &r);
    }
}
