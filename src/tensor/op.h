/* What operations share: rows, work cut into chunks, sums over rows, and words about shapes that do not fit. */
#ifndef FI_TENSOR_OP_H
#define FI_TENSOR_OP_H

#include "tensor/graph.h"
#include "tensor/rows.h"

/* An array seen as rows of its last dimension. */
static inline size_t fi_last_dim(const fi_node *x)
{
    return x->n_dims ? x->shape[x->n_dims - 1] : 1;
}
static inline size_t fi_n_rows(const fi_node *x)
{
    size_t d = fi_last_dim(x);
    return d ? x->size / d : 0;
}

/* The graph fails with "op: [2, 3] and [4]: rule" (b NULL: one shape); returns NULL. */
fi_node *fi_fail_shapes(fi_graph *g, const char *op, const fi_node *a, const fi_node *b, const char *rule);

/*
 * Calls fn for [0, n) in chunks of `grain`, over the threads, or at once where there is one chunk. What fn computes may
 * depend on where a chunk begins, so the grain is to follow from shapes alone.
 */
typedef void fi_chunk_fn(void *user, size_t from, size_t to, float *scratch);
void fi_each_chunk(fi_engine *engine, size_t n, size_t grain, fi_chunk_fn *fn, void *user);

enum { FI_GRAIN = 1 << 14 }; /* numbers that are worth a chunk of their own */
/* Rows of d numbers in a chunk. */
static inline size_t fi_row_grain(size_t d)
{
    return d < FI_GRAIN ? FI_GRAIN / (d ? d : 1) : 1;
}

/* The mask of a node that drops a share p of something, p in (0, 1); seed and step are those of the graph's run. */
fi_dropout_mask fi_dropout_of(const fi_graph *g, const fi_node *node, float p);

/*
 * Sums over rows are cut into this many chunks, of fi_sum_grain rows, each summed in order into a row of its own; then
 * these are added in order. So the bits follow from the number of rows alone.
 */
static inline size_t fi_sum_chunks(size_t rows)
{
    size_t chunks = (rows + 63) / 64;
    return chunks < 1 ? 1 : chunks > 16 ? 16 : chunks;
}
static inline size_t fi_sum_grain(size_t rows)
{
    size_t chunks = fi_sum_chunks(rows);
    return rows ? (rows + chunks - 1) / chunks : 1;
}
/* out [d] (+)= the sum of parts [chunks, d]. */
void fi_add_parts(fi_engine *engine, float *out, const float *parts, size_t chunks, size_t d, bool add);
/*
 * out [groups, d] (+)= sum over rows of a * b (b NULL: of a), both [groups, rows, d]; parts has fi_column_parts() numbers.
 */
void fi_column_sums(fi_engine *engine, float *out, const float *a, const float *b, size_t groups, size_t rows, size_t d,
                    float *parts, bool add);
static inline size_t fi_column_parts(size_t groups, size_t rows, size_t d)
{
    size_t chunks = fi_sum_chunks(rows);
    return chunks > 1 ? groups * chunks * d : 0;
}

#endif
