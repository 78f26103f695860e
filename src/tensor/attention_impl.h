/*
 * Bodies of fused attention, part of each set of tensor/vector.h. Queries lie across the lanes: scores of a block of queries
 * against a block of keys are S' = K Q' [keys, BLOCK], so that the softmax is sums and maxima of whole vectors, and
 * O' = V' P' [width, BLOCK] needs no other layout of P. Rows of keys that are not seen are left out when keys are copied
 * together, so hidden keys cost nothing and change no bit. Over blocks of keys the largest score and the sum are carried on.
 *
 * Sources: Milakov & Gimelshein, "Online normalizer calculation for softmax" (2018); Dao et al., "FlashAttention"
 * (2022), algorithm 4 for the backward pass.
 */
#include "tensor/vmath.h"

/* A tile of sums, ROWS x VECS vectors, fills the registers. */
#if FI_LANES == 16
enum { ROWS = 8, VECS = 3 };
#elif FI_LANES == 8
enum { ROWS = 4, VECS = 3 };
#else
enum { ROWS = 4, VECS = 2 };
#endif
enum { BLOCK = VECS * FI_LANES, MAX_KEYS = 128, MAX_BLOCKS = 12, AHEAD = 12 };

#define QUERIES FI_LANES
#include "tensor/attention_parts.h"

/*
 * C [ROWS][vecs vectors] = sum over k < n of a(r, k) b[k][..], plus C times factor[vecs vectors] if there is a factor;
 * a(r, k) at a[r * lda + k] if `by_row`, else at a[k * lda + r]. In functions of their own, where nothing else wants the
 * registers.
 */
FI_INLINE void tile_of(const size_t vecs, const bool by_row, const float *a, size_t lda, const float *b, size_t ldb,
                       size_t n, float *c, size_t ldc, const float *factor)
{
    fi_vf sum[ROWS][VECS] = {{{0}}};
    if (factor) {
#pragma GCC unroll 8
        for (size_t r = 0; r < ROWS; r++)
#pragma GCC unroll 3
            for (size_t v = 0; v < vecs; v++)
                sum[r][v] = fi_v_load(c + r * ldc + v * FI_LANES) * fi_v_load(factor + v * FI_LANES);
    }
    for (size_t k = 0; k < n; k++) {
        fi_vf x[VECS];
#pragma GCC unroll 3
        for (size_t v = 0; v < vecs; v++) x[v] = fi_v_load(b + k * ldb + v * FI_LANES);
#pragma GCC unroll 8
        for (size_t r = 0; r < ROWS; r++) {
            fi_vf y = fi_v_set(by_row ? a[r * lda + k] : a[k * lda + r]);
#pragma GCC unroll 3
            for (size_t v = 0; v < vecs; v++) sum[r][v] += y * x[v];
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < ROWS; r++)
#pragma GCC unroll 3
        for (size_t v = 0; v < vecs; v++) fi_v_store(c + r * ldc + v * FI_LANES, sum[r][v]);
}

typedef void tile_fn(const float *a, size_t lda, const float *b, size_t ldb, size_t n, float *c, size_t ldc,
                     const float *factor);

#define TILE(name, vecs, by_row)                                                                                       \
    static __attribute__((noinline)) void name(const float *a, size_t lda, const float *b, size_t ldb, size_t n,       \
                                               float *c, size_t ldc, const float *factor)                              \
    {                                                                                                                  \
        tile_of(vecs, by_row, a, lda, b, ldb, n, c, ldc, factor);                                                      \
    }
TILE(rows_1, 1, true)
TILE(rows_2, 2, true)
TILE(rows_all, VECS, true)
TILE(columns_1, 1, false)
TILE(columns_2, 2, false)
TILE(columns_all, VECS, false)

static tile_fn *const row_tile[] = {NULL, rows_1, rows_2, rows_all}, /* by the number of vectors */
    *const column_tile[] = {NULL, columns_1, columns_2, columns_all};

#define EIGHT_ONES 1, 1, 1, 1, 1, 1, 1, 1
static const float ones[BLOCK] = {EIGHT_ONES,
#if FI_LANES >= 8
                                  EIGHT_ONES, EIGHT_ONES,
#endif
#if FI_LANES == 16
                                  EIGHT_ONES, EIGHT_ONES,
                                  EIGHT_ONES
#endif
};

/* C [rows, columns] += A B; rows is rounded up to ROWS, columns to FI_LANES, and all three have room for that. */
static void add_rows(const float *a, size_t lda, size_t rows, const float *b, size_t ldb, size_t n, float *c,
                     size_t ldc, size_t columns)
{
    for (size_t left = (columns + FI_LANES - 1) / FI_LANES, vecs; left; left -= vecs) {
        vecs = left == 4 ? 2 : left < VECS ? left : VECS; /* 2 + 2 is faster than 3 + 1 */
        for (size_t i = 0; i < rows; i += ROWS) row_tile[vecs](a + i * lda, lda, b, ldb, n, c + i * ldc, ldc, ones);
        b += vecs * FI_LANES;
        c += vecs * FI_LANES;
    }
}

/* C [rows, BLOCK] = C factor + A' B for the first `vecs` vectors of a block; A [n, rows]. */
static void add_columns(size_t vecs, const float *a, size_t lda, size_t rows, const float *b, size_t n, float *c,
                        const float *factor)
{
    for (size_t i = 0; i < rows; i += ROWS) column_tile[vecs](a + i, lda, b, BLOCK, n, c + i * BLOCK, BLOCK, factor);
}

/* to [columns][BLOCK] = factor times rows from .. from + n (at most BLOCK) of x, turned; zeros behind the last row. */
static void turn_in(const float *x, size_t ld, size_t n, size_t columns, float factor, float *to)
{
    for (size_t i = 0; i < n; i++) fetch_row(x + i * ld, columns);
    for (size_t i = 0; i < up_to(n, FI_LANES); i += FI_LANES)
        for (size_t c = 0; c < columns; c += FI_LANES) {
            fi_vf v[FI_LANES];
            size_t wide = columns - c < FI_LANES ? columns - c : FI_LANES;
            for (size_t r = 0; r < FI_LANES; r++) {
                const float *from = x + (i + r) * ld + c;
                v[r] = i + r >= n         ? (fi_vf){0}
                       : wide == FI_LANES ? fi_v_load(from) * factor
                                          : fi_v_load_part(from, wide) * factor;
            }
            fi_v_transpose(v);
            for (size_t r = 0; r < wide; r++) fi_v_store(to + (c + r) * BLOCK + i, v[r]);
        }
}

/* ---- keys ---- */

/* A block of keys that are seen, copied together. */
typedef struct keys {
    size_t n, most; /* rows behind n, up to a multiple of ROWS, repeat the last one */
    size_t next;    /* where the search for more goes on */
    bool once;      /* no second block of queries will read them: k may stay where it is */
    size_t *at;     /* [most] which keys they are */
    float *k_copy, *v;
    size_t ld_copy, rows_o; /* of the copy of k; of v, and rows of O' */
    const float *k;         /* the copy, or in place */
    size_t ld_k;
    float *s, *t, *dk, *dv; /* scores and their gradients [most][BLOCK]; [most][wide_q], [most][wide_g] */
    size_t wide_q, wide_g;
} keys;

/* Room for a block of keys: fewer of wide ones. */
static void carve_keys(keys *b, const fi_head *h, float **scratch, bool back)
{
    b->ld_copy = up_to(h->d, ROWS);
    b->rows_o = up_to(h->dv, ROWS);
    b->most = MAX_KEYS >> (h->d > 256 || h->dv > 256) * 2;
    b->next = 0;
    b->once = false;
    b->at = (size_t *)(void *)carve(scratch, b->most * 2);
    b->k_copy = carve(scratch, b->most * b->ld_copy);
    b->v = carve(scratch, b->most * b->rows_o);
    b->s = carve(scratch, b->most * BLOCK);
    if (!back) return;
    b->wide_q = up_to(h->d, FI_LANES);
    b->wide_g = up_to(h->dv, FI_LANES);
    b->t = carve(scratch, b->most * BLOCK);
    b->dk = carve(scratch, b->most * b->wide_q);
    b->dv = carve(scratch, b->most * b->wide_g);
}

/* Copies rows at[0 .. n), filling up with the last one; columns up to ld are zero. */
static void copy_rows(const float *x, size_t ld_x, const size_t *at, size_t n, size_t columns, float *to, size_t ld)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) fetch_row(x + at[i + AHEAD] * ld_x, columns);
        memcpy(to + i * ld, x + at[i] * ld_x, columns * sizeof *x);
        for (size_t c = columns; c < ld; c++) to[i * ld + c] = 0;
    }
}

/* The next keys before `end` that are seen; false: there are no more. */
static bool next_keys(const fi_head *h, size_t end, keys *b)
{
    size_t n = b->n = find_keys(h, end, b->most, &b->next, b->at);
    for (; n % ROWS; n++) b->at[n] = b->at[n - 1];
    b->k = b->k_copy;
    b->ld_k = b->ld_copy;
    if (b->once && n == b->n && n > 0 && b->at[n - 1] - b->at[0] == n - 1) {
        b->k = h->k + b->at[0] * h->ld_k;
        b->ld_k = h->ld_k;
    } else {
        copy_rows(h->k, h->ld_k, b->at, n, h->d, b->k_copy, b->ld_copy);
    }
    copy_rows(h->v, h->ld_v, b->at, n, h->dv, b->v, b->rows_o);
    return n > 0;
}

/* ---- scores ---- */

/* s [keys][BLOCK] = scores of the queries of qt [d][BLOCK], the first of them at `position`; top: the largest so far, or NULL. */
static void scores_of(size_t vecs, const fi_head *h, const keys *b, const float *qt, size_t position, float *s,
                      fi_vf *top)
{
    for (size_t j = 0; j < b->n; j += ROWS) {
        for (size_t r = ROWS; b->once && r < 2 * ROWS && j + r < b->n; r++) fetch_row(b->k + (j + r) * b->ld_k, h->d);
        row_tile[vecs](b->k + j * b->ld_k, b->ld_k, qt, BLOCK, h->d, s + j * BLOCK, BLOCK, NULL);
        for (size_t r = j; (h->bias || h->causal) && r < j + ROWS; r++)
            for (size_t v = 0; v < vecs; v++) {
                float *x = s + r * BLOCK + v * FI_LANES;
                fi_v_store(x, in_place(h, fi_v_load(x), b->at[r], position + v * FI_LANES));
            }
        for (size_t v = 0; top && v < vecs; v++) {
            fi_vf most = top[v];
#pragma GCC unroll 8
            for (size_t r = 0; r < ROWS; r++) most = fi_v_max(fi_v_load(s + (j + r) * BLOCK + v * FI_LANES), most);
            top[v] = most;
        }
    }
}

/* s = exp(s - shift), returns sums. */
static void exponentials(size_t vecs, float *s, size_t n, const fi_vf *shift, fi_vf *sum)
{
    for (size_t v = 0; v < vecs; v++) {
        fi_vf total = {0}, by = shift[v];
        for (size_t j = 0; j < n; j++) {
            fi_vf p = fi_v_exp_low(fi_v_load(s + j * BLOCK + v * FI_LANES) - by);
            fi_v_store(s + j * BLOCK + v * FI_LANES, p);
            total += p;
        }
        sum[v] = total;
    }
}

/* Weights s [keys][BLOCK] of the queries from `query` on. */
static void drop_weights(size_t vecs, const fi_head *h, const keys *b, size_t query, float *s)
{
    for (size_t v = 0; v < vecs; v++) {
        dice d = {.eighth = NONE};
        for (size_t j = 0; j < b->n; j++) {
            float *at = s + j * BLOCK + v * FI_LANES;
            fi_v_store(at, fi_v_select(kept(h, query + v * FI_LANES, b->at[j], &d), fi_v_load(at), (fi_vf){0}));
        }
    }
}

/* ---- forward ---- */

/* A block of queries on its way over the keys. */
typedef struct forward_block {
    float *qt, *ot, *top, *sum; /* [d][BLOCK], [ld_v][BLOCK]; largest score and sum so far [BLOCK] */
} forward_block;

static size_t forward_block_size(const fi_head *h, const keys *b)
{
    return BLOCK * (h->d + b->rows_o + 2);
}

static forward_block forward_block_at(float *memory, const fi_head *h, const keys *b)
{
    float *ot = memory + h->d * BLOCK, *top = ot + b->rows_o * BLOCK;
    return (forward_block){memory, ot, top, top + BLOCK};
}

static void forward_begin(const fi_head *h, const forward_block *x, size_t from, size_t n)
{
    turn_in(h->q + from * h->ld_q, h->ld_q, n, h->d, h->scale, x->qt);
}

static void forward_keys(const fi_head *h, const keys *b, const forward_block *x, size_t vecs, size_t position)
{
    float *s = b->s;
    fi_vf before[VECS], top[VECS], more[VECS];
    for (size_t v = 0; v < vecs; v++) before[v] = top[v] = fi_v_load(x->top + v * FI_LANES);
    scores_of(vecs, h, b, x->qt, position, s, top);
    exponentials(vecs, s, b->n, top, more);
    float shrink[BLOCK];
    for (size_t v = 0; v < vecs; v++) {
        fi_vf by = fi_v_exp_low(before[v] - top[v]);
        fi_v_store(x->top + v * FI_LANES, top[v]);
        fi_v_store(x->sum + v * FI_LANES, fi_v_load(x->sum + v * FI_LANES) * by + more[v]);
        fi_v_store(shrink + v * FI_LANES, by);
    }
    if (h->dropout) drop_weights(vecs, h, b, position - h->first, s); /* the sum is that of all weights */
    add_columns(vecs, b->v, b->rows_o, b->rows_o, s, b->n, x->ot, shrink);
}

/* ---- backward ---- */

/* A block of queries in the backward pass, q scaled: q' and dout', then in rows of wide_q and wide_g; and dq'. */
typedef struct back_block {
    float *qt, *gt, *q, *g, *dqt; /* [d][BLOCK], [dv][BLOCK], [BLOCK][wide_q], [BLOCK][wide_g], [ld_copy][BLOCK] */
    float *lse, *along;           /* [BLOCK] log sums (INFINITY behind the last query), and sums of dout * out */
    size_t wide_q, wide_g;
} back_block;

static size_t back_block_size(const fi_head *h, const keys *b)
{
    return BLOCK * (h->d + h->dv + up_to(h->d, FI_LANES) + up_to(h->dv, FI_LANES) + b->ld_copy + 2);
}

static back_block back_block_at(float *memory, const fi_head *h, const keys *b)
{
    back_block x = {.wide_q = up_to(h->d, FI_LANES), .wide_g = up_to(h->dv, FI_LANES)};
    x.qt = memory;
    x.gt = x.qt + h->d * BLOCK;
    x.q = x.gt + h->dv * BLOCK;
    x.g = x.q + x.wide_q * BLOCK;
    x.dqt = x.g + x.wide_g * BLOCK;
    x.lse = x.dqt + b->ld_copy * BLOCK;
    x.along = x.lse + BLOCK;
    return x;
}

/* to [BLOCK][wide] = factor times n rows of x, zeros around them. */
static void copy_block(const float *x, size_t ld, size_t n, size_t columns, float factor, float *to, size_t wide)
{
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t c = 0; c < wide; c++) to[i * wide + c] = i < n && c < columns ? x[i * ld + c] * factor : 0.0f;
}

static void back_begin(const fi_head *h, const keys *b, const back_block *x, size_t from, size_t n)
{
    const float *q = h->q + from * h->ld_q, *g = h->dout + from * h->ld_out;
    turn_in(q, h->ld_q, n, h->d, h->scale, x->qt);
    turn_in(g, h->ld_out, n, h->dv, dropout_scale(h), x->gt);
    copy_block(q, h->ld_q, n, h->d, h->scale, x->q, x->wide_q);
    copy_block(g, h->ld_out, n, h->dv, dropout_scale(h), x->g, x->wide_g);
    memset(x->dqt, 0, b->ld_copy * BLOCK * sizeof(float));
    sums_of_queries(h, from, n, x->lse, x->along);
}

/* t [keys][BLOCK] = p (dp - along), the gradient of the scores; p = s, dp = V dout'. What is dropped leaves s and dp. */
static void score_grads(size_t vecs, const fi_head *h, const keys *b, const back_block *x, size_t query, float *s,
                        float *t)
{
    dice d[VECS];
    for (size_t v = 0; v < vecs; v++) d[v].eighth = NONE;
    for (size_t j = 0; j < b->n; j += ROWS) {
        row_tile[vecs](b->v + j * b->rows_o, b->rows_o, x->gt, BLOCK, h->dv, t + j * BLOCK, BLOCK, NULL);
        for (size_t r = j; r < j + ROWS; r++)
            for (size_t v = 0; v < vecs; v++) {
                size_t at = r * BLOCK + v * FI_LANES;
                fi_vf p = fi_v_load(s + at), dp = fi_v_load(t + at);
                if (h->dropout) {
                    fi_vi keep = kept(h, query + v * FI_LANES, b->at[r], &d[v]);
                    dp = fi_v_select(keep, dp, (fi_vf){0});
                    fi_v_store(s + at, fi_v_select(keep, p, (fi_vf){0}));
                }
                fi_v_store(t + at, p * (dp - fi_v_load(x->along + v * FI_LANES)));
            }
    }
}

static void back_keys(const fi_head *h, const keys *b, const back_block *x, size_t vecs, size_t position)
{
    fi_vf shift[VECS], unused[VECS];
    for (size_t v = 0; v < vecs; v++) shift[v] = fi_v_load(x->lse + v * FI_LANES);
    scores_of(vecs, h, b, x->qt, position, b->s, NULL);
    exponentials(vecs, b->s, b->n, shift, unused);
    score_grads(vecs, h, b, x, position - h->first, b->s, b->t);
    if (h->dbias) add_bias_grads(h, b->at, b->n, vecs, position, b->t);
    if (h->dv_) add_rows(b->s, BLOCK, b->n, x->g, x->wide_g, vecs * FI_LANES, b->dv, b->wide_g, h->dv);
    if (h->dk) add_rows(b->t, BLOCK, b->n, x->q, x->wide_q, vecs * FI_LANES, b->dk, b->wide_q, h->d);
    if (h->dq) add_columns(vecs, b->k, b->ld_k, b->ld_copy, b->t, b->n, x->dqt, ones);
}

#include "tensor/attention_drive.h"

/* ---- few queries: numbers of a row across the lanes ---- */

enum { FEW = FI_LANES / 2 }; /* up to here the lanes are better used so */

/* s[j] = q . k[at[j]] */
static void dots(const fi_head *h, const float *q, const size_t *at, size_t n, float *s)
{
    const size_t whole = h->d / FI_LANES * FI_LANES;
    for (size_t j = 0; j < n; j += FI_LANES) {
        fi_vf sum[FI_LANES];
        size_t rows = n - j < FI_LANES ? n - j : FI_LANES;
        for (size_t r = 0; r < FI_LANES; r++) {
            const float *k = h->k + at[r < rows ? j + r : j] * h->ld_k;
            if (j + r + AHEAD < n) fetch_row(h->k + at[j + r + AHEAD] * h->ld_k, h->d);
            sum[r] = (fi_vf){0};
            for (size_t c = 0; c < whole; c += FI_LANES) sum[r] += fi_v_load(q + c) * fi_v_load(k + c);
            if (whole < h->d) sum[r] += fi_v_load(q + whole) * fi_v_load_part(k + whole, h->d - whole);
        }
        fi_vf dot = fi_v_sums(sum);
        if (rows == FI_LANES)
            fi_v_store(s + j, dot);
        else
            fi_v_store_part(s + j, dot, rows);
    }
}

/* out = sum over j of p[j] v[at[j]], even and odd ones apart */
static void combine(const fi_head *h, const float *p, const size_t *at, size_t n, float *out)
{
    enum { WIDE = 4 }; /* vectors at a time */
    for (size_t c = 0; c < h->dv; c += WIDE * FI_LANES) {
        fi_vf sum[2][WIDE] = {{{0}}};
        const size_t columns = h->dv - c, vecs = columns < WIDE * FI_LANES ? columns / FI_LANES : WIDE;
        const size_t rest = vecs < WIDE ? columns % FI_LANES : 0;
        for (size_t j = 0; j < n; j++) {
            const float *v = h->v + at[j] * h->ld_v + c;
            if (j + AHEAD < n) fetch_row(h->v + at[j + AHEAD] * h->ld_v + c, columns);
            if (vecs == WIDE) {
#pragma GCC unroll 4
                for (size_t i = 0; i < WIDE; i++) sum[j & 1][i] += p[j] * fi_v_load(v + i * FI_LANES);
                continue;
            }
            for (size_t i = 0; i < vecs; i++) sum[j & 1][i] += p[j] * fi_v_load(v + i * FI_LANES);
            if (rest) sum[j & 1][vecs] += p[j] * fi_v_load_part(v + vecs * FI_LANES, rest);
        }
        for (size_t i = 0; i < vecs; i++) fi_v_store(out + c + i * FI_LANES, sum[0][i] + sum[1][i]);
        if (rest) fi_v_store_part(out + c + vecs * FI_LANES, sum[0][vecs] + sum[1][vecs], rest);
    }
}

static float softmax(const float *x, const float *mask, float *y, size_t n);

static void attend_few(const fi_head *h, float *scratch)
{
    float *now = scratch, *q = carve(&now, up_to(h->d, FI_LANES)), *p = carve(&now, h->n_k);
    size_t *at = (size_t *)(void *)now, n_seen = 0;
    for (size_t j = 0; j < h->n_k; j++)
        if (!h->mask || h->mask[j * h->ld_mask] != 0.0f) at[n_seen++] = j;
    for (size_t i = 0; i < h->n_q; i++) {
        const size_t position = h->first + i;
        size_t n = n_seen;
        float *out = h->out + i * h->ld_out, lse = INFINITY;
        while (h->causal && n > 0 && at[n - 1] > position) n--;
        if (n == 0) {
            mean_of_values(h, out);
        } else if (n == 1 && !h->lse) {
            memcpy(out, h->v + at[0] * h->ld_v, h->dv * sizeof *out);
        } else {
            for (size_t c = 0; c < up_to(h->d, FI_LANES); c++)
                q[c] = c < h->d ? h->q[i * h->ld_q + c] * h->scale : 0.0f;
            dots(h, q, at, n, p);
            for (size_t j = 0; h->bias && j < n; j++) p[j] += *(h->bias + position - at[j]);
            lse = softmax(p, NULL, p, n);
            combine(h, p, at, n, out);
        }
        if (h->lse) h->lse[i * h->ld_lse] = lse;
    }
}

static void attend(const fi_head *h, size_t from, size_t to, float *scratch)
{
    if (h->n_q <= FEW && !h->dropout && h->n_k <= FI_SCRATCH_BYTES / sizeof(float) / 4)
        attend_few(h, scratch);
    else
        attend_blocks(h, from, to, &(keys){0}, scratch);
}

static void attend_back(const fi_head *h, float *scratch)
{
    attend_blocks_back(h, &(keys){0}, scratch);
}
