/*
 * Attention over blocks of queries and keys; the half of attention_parts.h that comes last. Before it the including file defines
 *
 *   QUERIES              the multiple that queries of a block are filled up to
 *   keys                 a block of keys: where they are (at [n]), room for their gradients dk [most][wide_q] and
 *                        dv [most][wide_g], rows of O' (rows_o), and `next` and `once` for next_keys()
 *   carve_keys()         takes its memory from the scratch; what else it holds, the caller has set
 *   next_keys()          fills it with the next keys that are seen; false: there are none
 *   forward_block        a block of queries on its way: O' as ot [rows_o][BLOCK], top and sum [BLOCK]
 *   forward_begin(), forward_keys()   its queries come in, and meet a block of keys
 *   back_block           the same backward: dq' as dqt [..][BLOCK]
 *   back_begin(), back_keys()
 */

/* Rows from .. from + n of the result. */
static void forward_out(const fi_head *h, const forward_block *x, size_t from, size_t n, float *mean)
{
    float inverse[BLOCK], lse[BLOCK];
    bool has_mean = false;
    for (size_t i = 0; i < BLOCK; i += FI_LANES) {
        fi_vf sum = fi_v_load(x->sum + i);
        fi_v_store(inverse + i, dropout_scale(h) / sum);
        fi_v_store(lse + i, fi_v_log(sum) + fi_v_load(x->top + i));
    }
    turn_out(x->ot, inverse, n, h->dv, h->out + from * h->ld_out, h->ld_out, false);
    for (size_t i = 0; i < n; i++) {
        bool unseeing = x->sum[i] == 0.0f;
        if (unseeing) {
            if (!has_mean) mean_of_values(h, mean);
            has_mean = true;
            memcpy(h->out + (from + i) * h->ld_out, mean, h->dv * sizeof *mean);
        }
        if (h->lse) h->lse[(from + i) * h->ld_lse] = unseeing ? INFINITY : lse[i];
    }
}

static void attend_blocks(const fi_head *h, size_t from, size_t to, keys *b, float *scratch)
{
    float *now = scratch;
    carve_keys(b, h, &now, false);
    float *mean = carve(&now, h->dv);
    const size_t each = forward_block_size(h, b), step = queries_at_once(scratch, now, each);
    for (size_t end; from < to; from = end) {
        end = to - from < step ? to : from + step;
        for (size_t i = from; i < end; i += BLOCK) {
            forward_block x = forward_block_at(now + (i - from) / BLOCK * each, h, b);
            const size_t n = end - i < BLOCK ? end - i : BLOCK;
            forward_begin(h, &x, i, n);
            for (size_t r = 0; r < n; r++) /* to be there when it is written */
                for (size_t c = 0; c < h->dv; c += 16) __builtin_prefetch(h->out + (i + r) * h->ld_out + c, 1);
            for (size_t j = 0; j < b->rows_o * BLOCK; j++) x.ot[j] = 0;
            for (size_t j = 0; j < BLOCK; j++) x.top[j] = -FLT_MAX, x.sum[j] = 0;
        }
        b->next = 0;
        b->once = end - from <= BLOCK;
        while (next_keys(h, keys_end(h, end), b))
            for (size_t i = from; i < end; i += BLOCK) {
                size_t n = end - i < BLOCK ? end - i : BLOCK;
                forward_block x = forward_block_at(now + (i - from) / BLOCK * each, h, b);
                if (h->causal && b->at[0] >= h->first + i + n) continue;
                forward_keys(h, b, &x, up_to(n, QUERIES) / FI_LANES, h->first + i);
            }
        for (size_t i = from; i < end; i += BLOCK) {
            forward_block x = forward_block_at(now + (i - from) / BLOCK * each, h, b);
            forward_out(h, &x, i, end - i < BLOCK ? end - i : BLOCK, mean);
        }
    }
}

static void attend_blocks_back(const fi_head *h, keys *b, float *scratch)
{
    float *now = scratch;
    carve_keys(b, h, &now, true);
    float factor[BLOCK], *share = carve(&now, h->dv);
    for (size_t i = 0; i < BLOCK; i++) factor[i] = h->scale;
    const size_t each = back_block_size(h, b), step = queries_at_once(scratch, now, each);
    for (size_t from = 0, end; from < h->n_q; from = end) {
        end = h->n_q - from < step ? h->n_q : from + step;
        for (size_t i = from; i < end; i += BLOCK) {
            back_block x = back_block_at(now + (i - from) / BLOCK * each, h, b);
            back_begin(h, b, &x, i, end - i < BLOCK ? end - i : BLOCK);
        }
        b->next = 0;
        while (next_keys(h, keys_end(h, end), b)) {
            memset(b->dk, 0, b->most * b->wide_q * sizeof(float));
            memset(b->dv, 0, b->most * b->wide_g * sizeof(float));
            for (size_t i = from; i < end; i += BLOCK) {
                size_t n = end - i < BLOCK ? end - i : BLOCK;
                back_block x = back_block_at(now + (i - from) / BLOCK * each, h, b);
                if (h->causal && b->at[0] >= h->first + i + n) continue;
                back_keys(h, b, &x, up_to(n, QUERIES) / FI_LANES, h->first + i);
            }
            if (h->dk) add_rows_at(b->dk, b->wide_q, b->at, b->n, h->d, h->dk, h->ld_k);
            if (h->dv_) add_rows_at(b->dv, b->wide_g, b->at, b->n, h->dv, h->dv_, h->ld_v);
        }
        for (size_t i = from; h->dq && i < end; i += BLOCK) {
            back_block x = back_block_at(now + (i - from) / BLOCK * each, h, b);
            turn_out(x.dqt, factor, end - i < BLOCK ? end - i : BLOCK, h->d, h->dq + i * h->ld_q, h->ld_q, true);
        }
    }
    if (h->dv_) back_of_means(h, share);
}
