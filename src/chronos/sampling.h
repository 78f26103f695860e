/* From logits to a token: temperature, top-k, top-p, in this order, as transformers does it; then one draw. */
#ifndef FI_CHRONOS_SAMPLING_H
#define FI_CHRONOS_SAMPLING_H

#include <foretell/base.h>

typedef struct fi_sampling {
    float temperature; /* > 0 */
    size_t top_k;      /* >= 1; equals of the last one stay */
    double top_p;      /* in (0, 1] */
    int32_t forbidden; /* a token that is never drawn; -1: none */
} fi_sampling;

typedef struct fi_candidate {
    float weight; /* proportional to its probability */
    int32_t token;
} fi_candidate;

/*
 * The tokens that may be drawn, with their weights; out has room for n. Returns how many; 0 where the logits give no
 * distribution (NaN or infinity among them, or nothing but the forbidden token).
 */
size_t fi_sampling_candidates(const fi_sampling *sampling, const float *logits, size_t n, fi_candidate *out);
/* Draws one of n >= 1 by a uniform number in (0, 1). */
int32_t fi_sampling_draw(const fi_candidate *candidates, size_t n, double uniform);

#endif
