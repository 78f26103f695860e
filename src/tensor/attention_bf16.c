/*
 * Attention whose products take factors rounded to bf16 and give float sums, by AMX or vdpbf16ps; the softmax is float as ever.
 * Factors of a product C = A B lie as matrix units take them, two numbers of the summed dimension in one word: A in rows,
 * [rows][sum / 2], B by pairs of rows, [sum / 2][columns]. Rows, columns and sums come in multiples of 32, zeros where a head
 * has less.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "tensor/vmath.h"

enum { UNIT = 32, VECS = 4, BLOCK = VECS * FI_LANES, MAX_KEYS = 128, MAX_BLOCKS = 10, AHEAD = 12 };
#define QUERIES UNIT
#include "tensor/attention_parts.h"
#include "tensor/kernels.h" /* fi_has_amx */
#include "tensor/vector.h"

/* ---- products ---- */

/* C [rows][columns] = A B, added to if `add`. */
typedef void multiply_fn(const uint32_t *a, size_t lda, const uint32_t *b, size_t ldb, size_t rows, size_t columns,
                         size_t sum, float *c, size_t ldc, bool add);

static void multiply_amx(const uint32_t *a, size_t lda, const uint32_t *b, size_t ldb, size_t rows, size_t columns,
                         size_t sum, float *c, size_t ldc, bool add)
{
    const size_t row_a = lda * 4, row_b = ldb * 4, row_c = ldc * 4; /* in bytes */
    /* gcc does not know that tile loads read memory: what they read must be stored by now. */
    __asm__ volatile("" ::: "memory");
    for (size_t j = 0; j < columns; j += UNIT)
        for (size_t i = 0; i < rows; i += UNIT) {
            float *to = c + i * ldc + j;
            if (add) {
                _tile_loadd(0, to, row_c);
                _tile_loadd(1, to + 16, row_c);
                _tile_loadd(2, to + 16 * ldc, row_c);
                _tile_loadd(3, to + 16 * ldc + 16, row_c);
            } else {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
            }
            for (size_t k = 0; k < sum / 2; k += 16) {
                _tile_loadd(4, a + i * lda + k, row_a);
                _tile_loadd(6, b + k * ldb + j, row_b);
                _tile_loadd(7, b + k * ldb + j + 16, row_b);
                _tile_loadd(5, a + (i + 16) * lda + k, row_a);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, to, row_c);
            _tile_stored(1, to + 16, row_c);
            _tile_stored(2, to + 16 * ldc, row_c);
            _tile_stored(3, to + 16 * ldc + 16, row_c);
        }
}

static void multiply_vectors(const uint32_t *a, size_t lda, const uint32_t *b, size_t ldb, size_t rows, size_t columns,
                             size_t sum, float *c, size_t ldc, bool add)
{
    enum { ROWS = 8 };
    for (size_t j = 0; j < columns; j += UNIT)
        for (size_t i = 0; i < rows; i += ROWS) {
            __m512 s[ROWS][2];
#pragma GCC unroll 8
            for (size_t r = 0; r < ROWS; r++) {
                s[r][0] = add ? _mm512_loadu_ps(c + (i + r) * ldc + j) : _mm512_setzero_ps();
                s[r][1] = add ? _mm512_loadu_ps(c + (i + r) * ldc + j + 16) : _mm512_setzero_ps();
            }
            for (size_t k = 0; k < sum / 2; k++) {
                const __m512bh x = (__m512bh)_mm512_loadu_si512(b + k * ldb + j),
                               y = (__m512bh)_mm512_loadu_si512(b + k * ldb + j + 16);
#pragma GCC unroll 8
                for (size_t r = 0; r < ROWS; r++) {
                    const __m512bh pair = (__m512bh)_mm512_set1_epi32((int)a[(i + r) * lda + k]);
                    s[r][0] = _mm512_dpbf16_ps(s[r][0], pair, x);
                    s[r][1] = _mm512_dpbf16_ps(s[r][1], pair, y);
                }
            }
#pragma GCC unroll 8
            for (size_t r = 0; r < ROWS; r++) {
                _mm512_storeu_ps(c + (i + r) * ldc + j, s[r][0]);
                _mm512_storeu_ps(c + (i + r) * ldc + j + 16, s[r][1]);
            }
        }
}

/* ---- packing ---- */

/* Rows of a matrix, picked by `at` if that is not NULL, times a factor; nothing but zeros around them. */
typedef struct source {
    const float *x;
    size_t ld, n, columns;
    const size_t *at;
    float factor;
} source;

/* Numbers c .. c + 16 of row r. */
FI_INLINE fi_vf piece(const source *s, size_t r, size_t c)
{
    if (r >= s->n || c >= s->columns) return (fi_vf){0};
    const float *from = s->x + (s->at ? s->at[r] : r) * s->ld + c;
    const size_t left = s->columns - c;
    const __mmask16 there = (__mmask16)(left < 16 ? (1u << left) - 1 : 0xFFFF);
    return (fi_vf)_mm512_maskz_loadu_ps(there, from) * s->factor;
}

FI_INLINE void fetch_ahead(const source *s, size_t r)
{
    if (r < s->n) fetch_row(s->x + (s->at ? s->at[r] : r) * s->ld, s->columns);
}

/* Neighbours of two vectors of one row become words. */
FI_INLINE fi_vf words_of_row(fi_vf low, fi_vf high)
{
    return (fi_vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* Words of numbers of two rows. */
FI_INLINE fi_vf words_of_pair(fi_vf even, fi_vf odd)
{
    const __m512i lace = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                          21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (fi_vf)_mm512_permutexvar_epi16(lace, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
}

FI_INLINE void store_words(uint32_t *to, fi_vf words)
{
    memcpy(to, &words, sizeof words);
}

/* to [rows][ld]: as the A of a product that sums over columns; `rows` a multiple of 32. */
static void pack_rows(const source *s, size_t rows, uint32_t *to, size_t ld)
{
    for (size_t r = 0; r < rows; r++) {
        fetch_ahead(s, r + AHEAD);
        for (size_t c = 0; c < s->columns; c += UNIT)
            store_words(to + r * ld + c / 2, words_of_row(piece(s, r, c), piece(s, r, c + 16)));
    }
}

/* to [rows / 2][ld]: as the B of a product that sums over rows. */
static void pack_pairs(const source *s, size_t rows, uint32_t *to, size_t ld)
{
    for (size_t r = 0; r < rows; r += 2)
        for (size_t c = 0; c < up_to(s->columns, UNIT); c += 16)
            store_words(to + r / 2 * ld + c, words_of_pair(piece(s, r, c), piece(s, r + 1, c)));
}

/* to [columns / 2][ld]: the rows of pack_rows() turned, as the B of a product that sums over columns. */
static void pack_rows_turned(const source *s, size_t rows, uint32_t *to, size_t ld)
{
    for (size_t r = 0; r < rows; r += 16)
        for (size_t c = 0; c < s->columns; c += UNIT) {
            fi_vf v[16];
            for (size_t i = 0; i < 16; i++) v[i] = words_of_row(piece(s, r + i, c), piece(s, r + i, c + 16));
            fi_v_transpose(v);
            for (size_t i = 0; i < 16; i++) store_words(to + (c / 2 + i) * ld + r, v[i]);
        }
}

/* to [columns][ld]: those of pack_pairs() turned, as the A of a product that sums over rows. */
static void pack_pairs_turned(const source *s, size_t rows, uint32_t *to, size_t ld)
{
    for (size_t r = 0; r < rows; r += UNIT)
        for (size_t c = 0; c < up_to(s->columns, UNIT); c += 16) {
            fi_vf v[16];
            for (size_t i = 0; i < 16; i++) v[i] = words_of_pair(piece(s, r + 2 * i, c), piece(s, r + 2 * i + 1, c));
            fi_v_transpose(v);
            for (size_t i = 0; i < 16; i++) store_words(to + (c + i) * ld + r / 2, v[i]);
        }
}

static uint32_t *carve_words(float **scratch, size_t n)
{
    return (uint32_t *)(void *)carve(scratch, n);
}

/* ---- keys ---- */

/* A block of keys that are seen, packed; what is multiplied with them, and what comes of it. */
typedef struct keys {
    multiply_fn *multiply;
    size_t n, most, next;
    bool once; /* of no use here: keys are always packed */
    size_t *at;
    uint32_t *k, *v;  /* [most][wide_q / 2]; forward [rows_o][most / 2], backward [most][wide_g / 2] */
    uint32_t *kt;     /* backward: [wide_q][most / 2] */
    float *s, *t;     /* [most][BLOCK] */
    uint32_t *p, *ds; /* weights: forward [most / 2][BLOCK], backward [most][BLOCK / 2]; gradients of scores likewise */
    uint32_t *dst;    /* and by pairs of keys, [most / 2][BLOCK] */
    float *dk, *dv;   /* [most][wide_q], [most][wide_g] */
    size_t wide_q, wide_g, rows_o;
} keys;

static void carve_keys(keys *b, const fi_head *h, float **scratch, bool back)
{
    b->most = MAX_KEYS >> (h->d > 256 || h->dv > 256) * 2;
    b->next = 0;
    b->once = false;
    b->wide_q = up_to(h->d, UNIT);
    b->wide_g = b->rows_o = up_to(h->dv, UNIT);
    b->at = (size_t *)(void *)carve(scratch, b->most * 2);
    b->k = carve_words(scratch, b->most * b->wide_q / 2);
    b->v = carve_words(scratch, b->most * b->wide_g / 2);
    b->s = carve(scratch, b->most * BLOCK);
    b->p = carve_words(scratch, b->most * BLOCK / 2);
    if (!back) return;
    b->kt = carve_words(scratch, b->most * b->wide_q / 2);
    b->t = carve(scratch, b->most * BLOCK);
    b->ds = carve_words(scratch, b->most * BLOCK / 2);
    b->dst = carve_words(scratch, b->most * BLOCK / 2);
    b->dk = carve(scratch, b->most * b->wide_q);
    b->dv = carve(scratch, b->most * b->wide_g);
}

static bool next_keys(const fi_head *h, size_t end, keys *b)
{
    b->n = find_keys(h, end, b->most, &b->next, b->at);
    if (!b->n) return false;
    const size_t rows = up_to(b->n, UNIT);
    const source k = {h->k, h->ld_k, b->n, h->d, b->at, 1}, v = {h->v, h->ld_v, b->n, h->dv, b->at, 1};
    pack_rows(&k, rows, b->k, b->wide_q / 2);
    if (b->kt) {
        pack_pairs_turned(&k, rows, b->kt, b->most / 2);
        pack_rows(&v, rows, b->v, b->wide_g / 2);
    } else {
        pack_pairs_turned(&v, rows, b->v, b->most / 2);
    }
    return true;
}

/* ---- forward ---- */

/* A block of queries on its way over the keys. */
typedef struct forward_block {
    uint32_t *qt;          /* [wide_q / 2][BLOCK] */
    float *ot, *top, *sum; /* [rows_o][BLOCK]; largest score and sum so far [BLOCK] */
} forward_block;

static size_t forward_block_size(const fi_head *h, const keys *b)
{
    (void)h;
    return BLOCK * (b->wide_q / 2 + b->rows_o + 2);
}

static forward_block forward_block_at(float *memory, const fi_head *h, const keys *b)
{
    float *ot = memory + b->wide_q / 2 * BLOCK, *top = ot + b->rows_o * BLOCK;
    (void)h;
    return (forward_block){(uint32_t *)(void *)memory, ot, top, top + BLOCK};
}

static void forward_begin(const fi_head *h, const forward_block *x, size_t from, size_t n)
{
    const source q = {h->q + from * h->ld_q, h->ld_q, n, h->d, NULL, h->scale};
    pack_rows_turned(&q, BLOCK, x->qt, BLOCK);
}

/* Scores s get bias and order, top grows. */
FI_INLINE void order_scores(const size_t vecs, const fi_head *h, const keys *b, size_t position, fi_vf *top)
{
    fi_vf most[VECS];
#pragma GCC unroll 4
    for (size_t v = 0; v < vecs; v++) most[v] = top[v];
    for (size_t r = 0; r < b->n; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++) {
            float *at = b->s + r * BLOCK + v * FI_LANES;
            fi_vf x = fi_v_load(at);
            if (h->bias || h->causal) {
                x = in_place(h, x, b->at[r], position + v * FI_LANES);
                fi_v_store(at, x);
            }
            most[v] = fi_v_max(x, most[v]);
        }
#pragma GCC unroll 4
    for (size_t v = 0; v < vecs; v++) top[v] = most[v];
}

/* Weights exp(s - top) by pairs of keys, and their sums before anything is dropped. */
FI_INLINE void weigh_keys(const size_t vecs, const fi_head *h, const keys *b, size_t query, const fi_vf *top,
                          fi_vf *sum)
{
    dice d[VECS];
    fi_vf total[VECS], by[VECS];
#pragma GCC unroll 4
    for (size_t v = 0; v < vecs; v++) d[v].eighth = NONE, total[v] = (fi_vf){0}, by[v] = top[v];
    for (size_t r = 0; r < up_to(b->n, UNIT); r += 2)
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++) {
            fi_vf p[2] = {{0}};
#pragma GCC unroll 2
            for (size_t i = 0; i < 2; i++) {
                if (r + i >= b->n) continue;
                p[i] = fi_v_exp_low(fi_v_load(b->s + (r + i) * BLOCK + v * FI_LANES) - by[v]);
                total[v] += p[i];
                if (h->dropout)
                    p[i] = fi_v_select(kept(h, query + v * FI_LANES, b->at[r + i], &d[v]), p[i], (fi_vf){0});
            }
            store_words(b->p + r / 2 * BLOCK + v * FI_LANES, words_of_pair(p[0], p[1]));
        }
#pragma GCC unroll 4
    for (size_t v = 0; v < vecs; v++) sum[v] = total[v];
}

FI_INLINE void softmax_keys(const size_t vecs, const fi_head *h, const keys *b, const forward_block *x, size_t position)
{
    fi_vf top[VECS], more[VECS], by[VECS];
    for (size_t v = 0; v < vecs; v++) top[v] = fi_v_load(x->top + v * FI_LANES);
    order_scores(vecs, h, b, position, top);
    weigh_keys(vecs, h, b, position - h->first, top, more);
    for (size_t v = 0; v < vecs; v++) {
        by[v] = fi_v_exp_low(fi_v_load(x->top + v * FI_LANES) - top[v]);
        fi_v_store(x->top + v * FI_LANES, top[v]);
        fi_v_store(x->sum + v * FI_LANES, fi_v_load(x->sum + v * FI_LANES) * by[v] + more[v]);
    }
    for (size_t c = 0; c < b->rows_o; c++)
        for (size_t v = 0; v < vecs; v++) {
            float *at = x->ot + c * BLOCK + v * FI_LANES;
            fi_v_store(at, fi_v_load(at) * by[v]);
        }
}

static void forward_keys(const fi_head *h, const keys *b, const forward_block *x, size_t vecs, size_t position)
{
    const size_t rows = up_to(b->n, UNIT), columns = vecs * FI_LANES;
    b->multiply(b->k, b->wide_q / 2, x->qt, BLOCK, rows, columns, b->wide_q, b->s, BLOCK, false);
    if (vecs == VECS)
        softmax_keys(VECS, h, b, x, position);
    else
        softmax_keys(VECS / 2, h, b, x, position);
    b->multiply(b->v, b->most / 2, b->p, BLOCK, b->rows_o, columns, rows, x->ot, BLOCK, true);
}

/* ---- backward ---- */

/* A block of queries in the backward pass: q scaled, and dout; each by columns and by pairs of rows. */
typedef struct back_block {
    uint32_t *qt, *gt, *q, *g; /* [wide_q / 2][BLOCK], [wide_g / 2][BLOCK], [BLOCK / 2][wide_q], [BLOCK / 2][wide_g] */
    float *dqt, *lse, *along;  /* [wide_q][BLOCK]; [BLOCK] */
} back_block;

static size_t back_block_size(const fi_head *h, const keys *b)
{
    (void)h;
    return BLOCK * (2 * b->wide_q + b->wide_g + 2);
}

static back_block back_block_at(float *memory, const fi_head *h, const keys *b)
{
    back_block x = {.qt = (uint32_t *)(void *)memory};
    (void)h;
    x.gt = x.qt + b->wide_q / 2 * BLOCK;
    x.q = x.gt + b->wide_g / 2 * BLOCK;
    x.g = x.q + b->wide_q / 2 * BLOCK;
    x.dqt = memory + (b->wide_q + b->wide_g) * BLOCK;
    x.lse = x.dqt + b->wide_q * BLOCK;
    x.along = x.lse + BLOCK;
    return x;
}

static void back_begin(const fi_head *h, const keys *b, const back_block *x, size_t from, size_t n)
{
    const source q = {h->q + from * h->ld_q, h->ld_q, n, h->d, NULL, h->scale},
                 g = {h->dout + from * h->ld_out, h->ld_out, n, h->dv, NULL, dropout_scale(h)};
    pack_rows_turned(&q, BLOCK, x->qt, BLOCK);
    pack_rows_turned(&g, BLOCK, x->gt, BLOCK);
    pack_pairs(&q, BLOCK, x->q, b->wide_q);
    pack_pairs(&g, BLOCK, x->g, b->wide_g);
    memset(x->dqt, 0, b->wide_q * BLOCK * sizeof(float));
    sums_of_queries(h, from, n, x->lse, x->along);
}

/*
 * Two keys and two vectors of queries at a time: weights p = exp(s - lse) and the gradients p (dp - along) of scores, with
 * dp = t, as the products want them. What is dropped leaves p, and dp.
 */
FI_INLINE void grads_of_scores(const fi_head *h, const keys *b, const back_block *x, size_t v, size_t position)
{
    dice d[2] = {{.eighth = NONE}, {.eighth = NONE}};
    fi_vf lse[2], along[2];
    for (size_t u = 0; u < 2; u++) {
        lse[u] = fi_v_load(x->lse + (v + u) * FI_LANES);
        along[u] = fi_v_load(x->along + (v + u) * FI_LANES);
    }
    for (size_t r = 0; r < up_to(b->n, UNIT); r += 2) {
        fi_vf p[2][2] = {{{0}}}, ds[2][2] = {{{0}}};
#pragma GCC unroll 2
        for (size_t i = 0; i < 2; i++) {
            if (r + i >= b->n) continue;
#pragma GCC unroll 2
            for (size_t u = 0; u < 2; u++) {
                const size_t at = (r + i) * BLOCK + (v + u) * FI_LANES, after = position + (v + u) * FI_LANES;
                fi_vf s = in_place(h, fi_v_load(b->s + at), b->at[r + i], after), dp = fi_v_load(b->t + at);
                fi_vf weight = fi_v_exp_low(s - lse[u]), left = weight;
                if (h->dropout) {
                    fi_vi keep = kept(h, after - h->first, b->at[r + i], &d[u]);
                    left = fi_v_select(keep, left, (fi_vf){0});
                    dp = fi_v_select(keep, dp, (fi_vf){0});
                }
                p[i][u] = left;
                ds[i][u] = weight * (dp - along[u]);
                if (h->dbias) fi_v_store(b->t + at, ds[i][u]);
            }
        }
        for (size_t i = 0; i < 2; i++) {
            const size_t at = (r + i) * BLOCK / 2 + v / 2 * FI_LANES;
            store_words(b->p + at, words_of_row(p[i][0], p[i][1]));
            store_words(b->ds + at, words_of_row(ds[i][0], ds[i][1]));
        }
        for (size_t u = 0; u < 2; u++)
            store_words(b->dst + r / 2 * BLOCK + (v + u) * FI_LANES, words_of_pair(ds[0][u], ds[1][u]));
    }
}

static void back_keys(const fi_head *h, const keys *b, const back_block *x, size_t vecs, size_t position)
{
    const size_t rows = up_to(b->n, UNIT), columns = vecs * FI_LANES;
    b->multiply(b->k, b->wide_q / 2, x->qt, BLOCK, rows, columns, b->wide_q, b->s, BLOCK, false);
    b->multiply(b->v, b->wide_g / 2, x->gt, BLOCK, rows, columns, b->wide_g, b->t, BLOCK, false);
    for (size_t v = 0; v < vecs; v += 2) grads_of_scores(h, b, x, v, position);
    if (h->dbias) add_bias_grads(h, b->at, b->n, vecs, position, b->t);
    if (h->dv_) b->multiply(b->p, BLOCK / 2, x->g, b->wide_g, rows, b->wide_g, columns, b->dv, b->wide_g, true);
    if (h->dk) b->multiply(b->ds, BLOCK / 2, x->q, b->wide_q, rows, b->wide_q, columns, b->dk, b->wide_q, true);
    if (h->dq) b->multiply(b->kt, b->most / 2, b->dst, BLOCK, b->wide_q, columns, rows, x->dqt, BLOCK, true);
}

#include "tensor/attention_drive.h"

/* ---- sets ---- */

static void attend_vectors(const fi_head *h, size_t from, size_t to, float *scratch)
{
    attend_blocks(h, from, to, &(keys){.multiply = multiply_vectors}, scratch);
}

static void attend_vectors_back(const fi_head *h, float *scratch)
{
    attend_blocks_back(h, &(keys){.multiply = multiply_vectors}, scratch);
}

/* All tiles are of 16 rows of 64 bytes. */
static void begin_tiles(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
    __asm__ volatile("ldtilecfg %0" : : "m"(config)); /* GCC's intrinsic reads 8 bytes of it as far as GCC knows */
}

static void attend_amx(const fi_head *h, size_t from, size_t to, float *scratch)
{
    begin_tiles();
    attend_blocks(h, from, to, &(keys){.multiply = multiply_amx}, scratch);
    _tile_release();
}

static void attend_amx_back(const fi_head *h, float *scratch)
{
    begin_tiles();
    attend_blocks_back(h, &(keys){.multiply = multiply_amx}, scratch);
    _tile_release();
}

const fi_attention_kernels fi_attention_avx512bf16 = {"vdpbf16ps", attend_vectors, attend_vectors_back, BLOCK},
                           fi_attention_amx = {"AMX", attend_amx, attend_amx_back, BLOCK};
#else
typedef int fi_attention_bf16_is_empty;
#endif
