/*
 * Categories as numbers, as upstream's preprocessing writes them. For one target the smoothed mean of the target at that
 * category within the series; for several targets the rank among all categories of the call.
 */
#ifndef FI_CHRONOS_COVARIATES_H
#define FI_CHRONOS_COVARIATES_H

#include <foretell/base.h>

/* A covariate's categories, borrowed: text (NULL is missing), or numeric codes (NaN is missing). */
typedef struct fi_labels {
    const char *const *text; /* [n], or NULL and then */
    const float *codes;      /* [n] */
    size_t n;
} fi_labels;

/* One category; missing where text is NULL and the code NaN. */
typedef struct fi_category {
    const char *text;
    float code;
} fi_category;

/* A growing set of categories; zero-initialise. Text is borrowed from the labels that were added. */
typedef struct fi_categories {
    fi_category *item;
    size_t n, capacity; /* until fi_categories_settle: items may be double and in any order */
} fi_categories;

/* Adds all that are not missing. FTL_ENOMEM. */
ftl_status fi_categories_add(fi_categories *set, const fi_labels *labels, ftl_error *err);
/* Sorts the set, codes by value and text by its bytes (which is the order of code points), each once. */
void fi_categories_settle(fi_categories *set);
void fi_categories_release(fi_categories *set);

/* Ranks within a settled set: 0 .. n - 1, a missing category n, one that is not in the set NaN. */
void fi_encode_ordinal(const fi_categories *set, const fi_labels *labels, float *out);

/*
 * (m + s) / (1 + c) for each label, with s and c sum and count of the observed target at the label's category (missing is
 * one of its own) and m the mean of all observed, 0 where there is none. `ahead` (may be NULL: nothing is known) is
 * encoded by the same table, so that a category that the past lacks gives m. target and out [past->n], out_ahead
 * [ahead->n]. FTL_ENOMEM.
 */
ftl_status fi_encode_by_target(const float *target, const fi_labels *past, const fi_labels *ahead, float *out,
                               float *out_ahead, ftl_error *err);

#endif
