/* One head of attention, as its kernels (attention_impl.h, chosen through tensor/vector.h) see it. */
#ifndef FI_TENSOR_ATTENTION_H
#define FI_TENSOR_ATTENTION_H

#include "tensor/rows.h"

/*
 * One head of one batch, or of one group at one position. Rows lie ld_.. apart. Row i of q has position first + i and
 * sees keys j < n_k whose mask is not 0 and, if causal, j <= its position.
 */
typedef struct fi_head {
    size_t n_q, n_k, d, dv, first;
    const float *q, *k, *v, *mask; /* mask NULL: all keys are seen */
    size_t ld_q, ld_k, ld_v, ld_mask;
    /* bias[position - key] is added to the score, or NULL. FI_HEAD_PAD numbers behind the last may be read. */
    const float *bias;
    float scale;
    bool causal;
    /*
     * Dropout of the weights behind the softmax, or NULL: of query i and key j by half j % 8 of the random block
     * dropout_from + j / 8 * dropout_ld + i; both numbers are multiples of 16. Blocks take no other numbers.
     */
    const fi_dropout_mask *dropout;
    uint64_t dropout_from, dropout_ld;
    float *out;
    size_t ld_out;
    float *lse; /* log sum exp of each query's scores, ld_lse apart; INFINITY where no key is seen; NULL: not wanted */
    size_t ld_lse;
    /* Backward: dq, dk, dv and dbias (as bias; FI_HEAD_PAD numbers behind the last are zero-added) are added to; NULL: not wanted. */
    const float *dout;
    float *dq, *dk, *dv_, *dbias;
} fi_head;

enum { FI_HEAD_PAD = 64, FI_HEAD_WIDTH = 1024 /* at most, of a query and of a value */ };

typedef struct fi_attention_kernels {
    const char *name;
    /* Queries from .. to of a head; scratch of FI_SCRATCH_BYTES. */
    void (*attend)(const fi_head *head, size_t from, size_t to, float *scratch);
    void (*attend_back)(const fi_head *head, float *scratch);
    size_t queries; /* that attend takes together: from is to be a multiple */
} fi_attention_kernels;

#endif
