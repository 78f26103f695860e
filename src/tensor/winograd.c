#include "tensor/winograd.h"

#include <string.h>

enum {
    ROOM = FI_SCRATCH_BYTES / sizeof(float),
    NEAR = 3 << 16,   /* floats of a task's tiles, which stay in the second cache */
    APART = 16,       /* floats between planes, so that they do not meet in the first cache */
    LEAST = 8,        /* tiles of a task */
    MOST_WIDTH = 4096 /* channels in and out */
};

bool fi_winograd_pays(size_t c, size_t o, size_t out_y, size_t out_x)
{
    return c >= 16 && o >= 16 && c <= MOST_WIDTH && o <= MOST_WIDTH && c + o <= MOST_WIDTH && out_y > 1 && out_x > 1;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- tiles: numbered over images, rows and columns ---- */

static size_t tiles_of_image(const fi_winograd *w)
{
    return ((w->out_y + 1) / 2) * ((w->out_x + 1) / 2);
}

/* Where the h by h pixels from (y, x) on lie in an image [rows, columns, c]; `outside` for those that do not exist. */
static void find_pixels(const float *image, size_t rows, size_t columns, size_t c, ptrdiff_t y, ptrdiff_t x, size_t h,
                        const float *outside, const float **at)
{
    for (size_t i = 0; i < h; i++)
        for (size_t j = 0; j < h; j++) {
            const size_t a = (size_t)(y + (ptrdiff_t)i), b = (size_t)(x + (ptrdiff_t)j); /* below 0: beyond all rows */
            *at++ = a < rows && b < columns ? image + (a * columns + b) * c : outside;
        }
}

typedef struct place {
    size_t image, y, x; /* of the first output */
} place;

static place place_of(const fi_winograd *w, size_t tile)
{
    const size_t across = (w->out_x + 1) / 2, image = tiles_of_image(w), in = tile % image;
    return (place){tile / image, in / across * 2, in % across * 2};
}

static void find_inputs(const fi_winograd *w, const float *in, place p, const float *outside, const float *at[16])
{
    find_pixels(in + p.image * w->in_y * w->in_x * w->c, w->in_y, w->in_x, w->c, (ptrdiff_t)p.y + w->first_y,
                (ptrdiff_t)p.x + w->first_x, 4, outside, at);
}

static void find_outputs(const fi_winograd *w, const float *out, place p, const float *outside, const float *at[4])
{
    find_pixels(out + p.image * w->out_y * w->out_x * w->o, w->out_y, w->out_x, w->o, (ptrdiff_t)p.y, (ptrdiff_t)p.x, 2,
                outside, at);
}

/* ---- outputs ---- */

typedef struct sweep_run {
    const fi_winograd *w;
    const float *in, *packed, *bias;
    float *out;
    bool add;
    size_t tiles, per_task;
} sweep_run;

/* One place of all tiles: v [n, c] times the packed weights is m [n, o]. */
static void multiply(const fi_winograd *w, const float *v, const float *packed, float *m, size_t n)
{
    enum { PIECE = 256 }; /* steps whose weights stay in the first cache */
    static const float zeros[64];
    for (size_t j = 0; j < w->o; j += w->k->panel)
        for (size_t k = 0; k < w->c; k += PIECE) {
            const size_t steps = smaller(PIECE, w->c - k);
            w->k->strip(steps, v + k, w->c, packed, m + j, w->o, n, smaller(w->k->panel, w->o - j), k ? NULL : zeros);
            packed += steps * w->k->panel;
        }
}

static void sweep_task(void *user, size_t i, float *scratch)
{
    const sweep_run *r = user;
    const fi_winograd *w = r->w;
    const size_t first = i * r->per_task, n = smaller(r->per_task, r->tiles - first);
    const size_t v_plane = r->per_task * w->c + APART, m_plane = r->per_task * w->o + APART,
                 weights = fi_winograd_plane(w->k, w->c, w->o);
    float *v = scratch, *m = v + 16 * v_plane, *outside = m + 16 * m_plane; /* [c], then [o] nobody reads */
    memset(outside, 0, (w->c + w->o) * sizeof *outside);
    for (size_t t = 0; t < n; t++) {
        const float *at[16];
        find_inputs(w, r->in, place_of(w, first + t), outside, at);
        w->k->spread(at, w->c, v + t * w->c, v_plane);
    }
    for (size_t p = 0; p < 16; p++) multiply(w, v + p * v_plane, r->packed + p * weights, m + p * m_plane, n);
    for (size_t t = 0; t < n; t++) {
        const float *at[4];
        find_outputs(w, r->out, place_of(w, first + t), outside + w->c, at);
        w->k->gather(m + t * w->o, m_plane, w->o, r->bias, (float *const *)at, r->add);
    }
}

void fi_winograd_sweep(fi_engine *engine, const fi_winograd *w, const float *in, const float *packed, const float *bias,
                       float *out, bool add)
{
    sweep_run r = {w, in, packed, bias, out, add, w->n * tiles_of_image(w), NEAR / 16 / (w->c + w->o)};
    const size_t share = r.tiles / (4 * engine->n_threads); /* so that every thread has something to do */
    r.per_task = smaller(r.per_task, share) / LEAST * LEAST;
    if (r.per_task < LEAST) r.per_task = LEAST;
    if (r.tiles) fi_engine_run(engine, (r.tiles - 1) / r.per_task + 1, sweep_task, &r);
}

/* ---- gradients of weights ---- */

typedef struct weights_run {
    const fi_winograd *w;
    const float *x, *g;
    float *sums, *dw;     /* sums [16][o][c] */
    size_t first, last;   /* tiles of this round */
    size_t block, blocks; /* of output channels */
    size_t chunk;         /* tiles that are spread before they are multiplied */
} weights_run;

/* One row of places of a tile and one block of output channels over the tiles of this round. */
static void weights_task(void *user, size_t i, float *scratch)
{
    const weights_run *r = user;
    const fi_winograd *w = r->w;
    const size_t row = i % 4, o = i / 4 * r->block, block = smaller(r->block, w->o - o);
    const size_t v_plane = r->chunk * w->c + APART, g_plane = r->chunk * block + APART;
    float *v = scratch, *g = v + 4 * v_plane, *outside = g + 4 * g_plane;
    memset(outside, 0, (w->c > w->o ? w->c : w->o) * sizeof *outside);
    for (size_t first = r->first; first < r->last; first += r->chunk) {
        const size_t n = smaller(r->chunk, r->last - first);
        for (size_t t = 0; t < n; t++) {
            const place p = place_of(w, first + t);
            const float *at[16];
            find_inputs(w, r->x, p, outside, at);
            w->k->spread_row(row, at, w->c, v + t * w->c, v_plane);
            find_outputs(w, r->g + o, p, outside, at);
            w->k->spread_grad_row(row, at, block, g + t * block, g_plane);
        }
        for (size_t q = 0; q < 4; q++)
            w->k->outer(1, n, g + q * g_plane, 0, block, v + q * v_plane, 0, w->c,
                        r->sums + ((4 * row + q) * w->o + o) * w->c, w->c, block, w->c);
    }
}

/* dw of one output channel */
static void gather_weights(void *user, size_t o, float *scratch)
{
    (void)scratch;
    const weights_run *r = user;
    const size_t c = r->w->c, plane = r->w->o * c;
    const float *m = r->sums + o * c;
    float *dw = r->dw + o * 9 * c;
    for (size_t i = 0; i < c; i++) {
        float h[3][4];
        for (size_t q = 0; q < 4; q++) {
            const float a = m[q * plane + i], b = m[(4 + q) * plane + i], d = m[(8 + q) * plane + i],
                        e = m[(12 + q) * plane + i];
            h[0][q] = a + 0.5f * (b + d);
            h[1][q] = 0.5f * (b - d);
            h[2][q] = 0.5f * (b + d) + e;
        }
        for (size_t t = 0; t < 3; t++) {
            dw[3 * t * c + i] += h[t][0] + 0.5f * (h[t][1] + h[t][2]);
            dw[(3 * t + 1) * c + i] += 0.5f * (h[t][1] - h[t][2]);
            dw[(3 * t + 2) * c + i] += 0.5f * (h[t][1] + h[t][2]) + h[t][3];
        }
    }
}

void fi_winograd_weights(fi_engine *engine, const fi_winograd *w, const float *x, const float *g, float *room,
                         float *dw)
{
    enum { CHUNK = 64, ROUND = 1 << 17, BLOCK = 128 };
    const size_t tiles = w->n * tiles_of_image(w),
                 round = ROUND / 4 / (w->c + w->o); /* floats stay near for four rows */
    weights_run r = {.w = w, .x = x, .g = g, .sums = room, .dw = dw, .block = smaller(w->o, BLOCK)};
    while (r.block > 16 && 4 * ((w->o - 1) / r.block + 1) < 2 * engine->n_threads) r.block = (r.block / 2 + 7) / 8 * 8;
    r.blocks = (w->o - 1) / r.block + 1;
    r.chunk = smaller(CHUNK, ROOM / 2 / 4 / (w->c + r.block));
    memset(room, 0, 16 * w->o * w->c * sizeof *room);
    for (; r.first < tiles; r.first = r.last) {
        r.last = smaller(r.first + (round > CHUNK ? round / CHUNK * CHUNK : CHUNK), tiles);
        fi_engine_run(engine, 4 * r.blocks, weights_task, &r);
    }
    fi_engine_run(engine, w->o, gather_weights, &r);
}
