/*
 * Values as tokens: divided by their mean absolute value and put into uniform bins (MeanScaleUniformBins; Ansari et al.
 * 2024, section 3.1). Tokens below n_special are not numbers; one bin more than there are centers is kept, unused, for
 * the sake of existing checkpoints, so that the first token of a number is n_special + 1.
 */
#ifndef FI_CHRONOS_TOKENIZER_H
#define FI_CHRONOS_TOKENIZER_H

#include <foretell/base.h>

typedef struct fi_tokenizer {
    size_t n_tokens, n_special, n_centers; /* n_centers = n_tokens - n_special - 1 */
    int32_t pad;                           /* stands for missing values */
    float *centers;                        /* [n_centers] */
    float *boundaries; /* [n_centers + 1] lower ends of bins and the end of the last; +-1e20 outside */
} fi_tokenizer;

/* @return FTL_OK; FTL_EDATA (no room for one bin; limits not finite, not ascending or beyond 1e18; pad is no special
 * token); FTL_ENOMEM. Released by fi_tokenizer_release(), also after failure. */
ftl_status fi_tokenizer_init(fi_tokenizer *tokenizer, size_t n_tokens, size_t n_special, size_t pad, double low,
                             double high, ftl_error *err);
void fi_tokenizer_release(fi_tokenizer *tokenizer);

/* Mean absolute value of the observed of x[0, n); 1 where that is 0 or nothing is observed. */
float fi_mean_scale(const float *x, size_t n);
/* Tokens of x[0, n) / scale, and their mask: 1, or 0 for missing values, whose token is `pad`. */
void fi_tokenize(const fi_tokenizer *tokenizer, const float *x, size_t n, float scale, int32_t *ids, float *mask);
/* The center of a token's bin times scale; special tokens count as the first bin. */
float fi_token_value(const fi_tokenizer *tokenizer, int32_t token, float scale);

#endif
