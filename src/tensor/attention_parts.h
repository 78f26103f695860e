/*
 * What kernels of attention share, whatever their products are made of: queries lie across the lanes, BLOCK of them at a time,
 * which is VECS vectors. The including file defines both. attention_drive.h is the second half.
 */
#include "tensor/attention.h"
#include "tensor/engine.h"
#include "tensor/vmath.h"
#include "tensor/vrandom.h"

#include <float.h>

FI_INLINE size_t up_to(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Rows of one head lie far apart, which the processor does not foresee. */
FI_INLINE void fetch_row(const float *row, size_t columns)
{
    for (size_t c = 0; c < columns; c += 16) __builtin_prefetch(row + c);
}

/* Rows 0 .. n of x (+)= columns of from [columns][BLOCK], turned, times factor[row]. */
static void turn_out(const float *from, const float *factor, size_t n, size_t columns, float *x, size_t ld, bool add)
{
    for (size_t i = 0; i < n; i += FI_LANES)
        for (size_t c = 0; c < columns; c += FI_LANES) {
            fi_vf v[FI_LANES], f = fi_v_load(factor + i);
            size_t wide = columns - c < FI_LANES ? columns - c : FI_LANES;
            for (size_t r = 0; r < FI_LANES; r++)
                v[r] = r < wide ? fi_v_load(from + (c + r) * BLOCK + i) * f : (fi_vf){0};
            fi_v_transpose(v);
            for (size_t r = 0; r < FI_LANES && i + r < n; r++) {
                float *to = x + (i + r) * ld + c;
                if (wide == FI_LANES)
                    fi_v_store(to, add ? fi_v_load(to) + v[r] : v[r]);
                else
                    fi_v_store_part(to, add ? fi_v_load_part(to, wide) + v[r] : v[r], wide);
            }
        }
}

/* ---- keys ---- */

/* The next keys before `end` that are seen, at most `most`: where they are. */
static size_t find_keys(const fi_head *h, size_t end, size_t most, size_t *next, size_t *at)
{
    size_t n = 0;
    for (; *next < end && n < most; ++*next)
        if (!h->mask || h->mask[*next * h->ld_mask] != 0.0f) at[n++] = *next;
    return n;
}

/* ---- scores ---- */

/* x: scores, so far q.k alone, of a key and of the queries from `position` on: with bias, and -INFINITY if they are before it. */
FI_INLINE fi_vf in_place(const fi_head *h, fi_vf x, size_t key, size_t position)
{
    if (h->bias) x += fi_v_load(h->bias + position - key);
    if (h->causal && key > position) {
        fi_vi lane;
        for (int i = 0; i < FI_LANES; i++) lane[i] = i;
        x = fi_v_select(lane < (int32_t)(key - position), fi_v_set(-INFINITY), x);
    }
    return x;
}

/* ---- dropout ---- */

/* The random numbers of FI_LANES queries and eight keys. */
typedef struct dice {
    size_t eighth; /* which keys: NONE so far */
    fi_vi bits[4];
} dice;
static const size_t NONE = (size_t)-1;

/* Which of the queries from `query` on keep their weight of that key. */
FI_INLINE fi_vi kept(const fi_head *h, size_t query, size_t key, dice *d)
{
    if (d->eighth != key / 8) {
        d->eighth = key / 8;
        fi_v_random(h->dropout, h->dropout_from + d->eighth * h->dropout_ld + query, d->bits);
    }
    return fi_v_half(d->bits, key % 8) >= (int32_t)h->dropout->threshold;
}

/* What is kept is worth so much more. */
static float dropout_scale(const fi_head *h)
{
    return h->dropout ? h->dropout->scale : 1.0f;
}

static void mean_of_values(const fi_head *h, float *mean)
{
    for (size_t c = 0; c < h->dv; c++) mean[c] = 0;
    for (size_t j = 0; j < h->n_k; j++)
        for (size_t c = 0; c < h->dv; c++) mean[c] += h->v[j * h->ld_v + c];
    for (size_t c = 0; c < h->dv; c++) mean[c] /= (float)h->n_k;
}

/* Pieces of the scratch memory, in floats; each begins at a full vector. */
static float *carve(float **scratch, size_t n)
{
    float *piece = *scratch;
    *scratch += up_to(n, 16);
    return piece;
}

/* Of queries from .. from + n: log sums (INFINITY behind the last query), and sums of dout * out. */
static void sums_of_queries(const fi_head *h, size_t from, size_t n, float *lse, float *along)
{
    const float *g = h->dout + from * h->ld_out, *out = h->out + from * h->ld_out;
    for (size_t i = 0; i < BLOCK; i++) {
        lse[i] = INFINITY;
        along[i] = 0;
        if (i >= n) continue;
        const size_t row = i * h->ld_out, rest = h->dv % FI_LANES, whole = h->dv - rest;
        fi_vf sum = {0};
        for (size_t c = 0; c < whole; c += FI_LANES) sum += fi_v_load(g + row + c) * fi_v_load(out + row + c);
        if (rest) sum += fi_v_load_part(g + row + whole, rest) * fi_v_load_part(out + row + whole, rest);
        lse[i] = h->lse[(from + i) * h->ld_lse];
        along[i] = fi_v_sum(sum);
    }
}

/* Queries that go over the keys together: whole blocks whose arrays of `each` floats fit into what is left of the scratch. */
static size_t queries_at_once(const float *begin, const float *now, size_t each)
{
    size_t fit = (FI_SCRATCH_BYTES / sizeof(float) - (size_t)(now - begin)) / each;
    return (fit < MAX_BLOCKS ? fit : MAX_BLOCKS) * BLOCK;
}

/* Where the keys end for queries before `to`. */
static size_t keys_end(const fi_head *h, size_t to)
{
    return h->causal && h->first + to < h->n_k ? h->first + to : h->n_k;
}

/* Every FI_LANES-th key at a time: then what one key adds to lies whole vectors from where the one before it did. */
static void add_bias_grads(const fi_head *h, const size_t *at, size_t n, size_t vecs, size_t position, const float *t)
{
    for (size_t phase = 0; phase < FI_LANES; phase++)
        for (size_t j = phase; j < n; j += FI_LANES)
            for (size_t v = 0; v < vecs; v++) {
                float *to = h->dbias + position + v * FI_LANES - at[j];
                fi_v_store(to, fi_v_load(to) + fi_v_load(t + j * BLOCK + v * FI_LANES));
            }
}

/* Row at[i] of x += row i of `from`. */
static void add_rows_at(const float *from, size_t wide, const size_t *at, size_t n, size_t columns, float *x, size_t ld)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < columns; c++) x[at[i] * ld + c] += from[i * wide + c];
}

/* Queries that see no key gave the mean of the values: so each value gets its share of their gradients. */
static void back_of_means(const fi_head *h, float *share)
{
    bool any = false;
    memset(share, 0, h->dv * sizeof *share);
    for (size_t i = 0; i < h->n_q; i++) {
        if (h->lse[i * h->ld_lse] != INFINITY) continue;
        any = true;
        for (size_t c = 0; c < h->dv; c++) share[c] += h->dout[i * h->ld_out + c];
    }
    for (size_t j = 0; any && j < h->n_k; j++)
        for (size_t c = 0; c < h->dv; c++) h->dv_[j * h->ld_v + c] += share[c] / (float)h->n_k;
}
