/* Categories as numbers. */
#include "chronos/covariates.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static fi_category label_at(const fi_labels *labels, size_t i)
{
    return labels->text ? (fi_category){labels->text[i], NAN} : (fi_category){NULL, labels->codes[i]};
}

static bool is_missing(const fi_category *c)
{
    return !c->text && isnan(c->code);
}

/* Codes by value, then text by its bytes. */
static int compare(const void *a, const void *b)
{
    const fi_category *x = a, *y = b;
    if (x->text && y->text) return strcmp(x->text, y->text);
    if (x->text || y->text) return x->text ? 1 : -1;
    return (x->code > y->code) - (x->code < y->code);
}

void fi_categories_settle(fi_categories *set)
{
    if (set->n == 0) return;
    qsort(set->item, set->n, sizeof *set->item, compare);
    size_t n = 1;
    for (size_t i = 1; i < set->n; i++) {
        if (compare(&set->item[i], &set->item[n - 1])) set->item[n++] = set->item[i];
    }
    set->n = n;
}

/* Room for one more: a full set is first freed of doubles, so that its size follows the categories, not the labels. */
static int make_room(fi_categories *set)
{
    if (set->n < set->capacity) return 0;
    fi_categories_settle(set);
    return set->n <= set->capacity / 2 && set->n < set->capacity
               ? 0
               : fi_grow(&set->item, &set->capacity, set->n + 1, sizeof *set->item);
}

ftl_status fi_categories_add(fi_categories *set, const fi_labels *labels, ftl_error *err)
{
    for (size_t i = 0; i < labels->n; i++) {
        fi_category c = label_at(labels, i);
        if (is_missing(&c) || (set->n && compare(&c, &set->item[set->n - 1]) == 0)) continue;
        if (make_room(set)) return fi_fail_memory(err);
        set->item[set->n++] = c;
    }
    return FTL_OK;
}

void fi_categories_release(fi_categories *set)
{
    fi_free(set->item);
    *set = (fi_categories){0};
}

/* 0 .. n - 1; n for a missing category; n + 1 for one that is not in the set. */
static size_t rank_of(const fi_categories *set, fi_category c)
{
    if (is_missing(&c)) return set->n;
    const fi_category *found = set->n ? bsearch(&c, set->item, set->n, sizeof c, compare) : NULL;
    return found ? (size_t)(found - set->item) : set->n + 1;
}

void fi_encode_ordinal(const fi_categories *set, const fi_labels *labels, float *out)
{
    for (size_t i = 0; i < labels->n; i++) {
        size_t rank = rank_of(set, label_at(labels, i));
        out[i] = rank > set->n ? NAN : (float)rank;
    }
}

ftl_status fi_encode_by_target(const float *target, const fi_labels *past, const fi_labels *ahead, float *out,
                               float *out_ahead, ftl_error *err)
{
    typedef struct tally {
        double sum, count;
    } tally;
    fi_categories set = {0};
    tally *at = NULL, all = {0};
    ftl_status st = fi_categories_add(&set, past, err);
    if (st) goto done;
    fi_categories_settle(&set);
    at = fi_calloc(set.n + 2, sizeof *at); /* the last two: missing, and never seen */
    if (!at) {
        st = fi_fail_memory(err);
        goto done;
    }
    for (size_t i = 0; i < past->n; i++) {
        if (!isfinite(target[i])) continue;
        tally *t = &at[rank_of(&set, label_at(past, i))];
        t->sum += target[i];
        t->count += 1;
        all.sum += target[i];
        all.count += 1;
    }
    double mean = all.count > 0 ? all.sum / all.count : 0;
    for (size_t k = 0; k < set.n + 2; k++) at[k].sum = (mean + at[k].sum) / (1 + at[k].count);
    for (size_t i = 0; i < past->n; i++) out[i] = (float)at[rank_of(&set, label_at(past, i))].sum;
    for (size_t i = 0; ahead && i < ahead->n; i++) {
        out_ahead[i] = (float)at[rank_of(&set, label_at(ahead, i))].sum;
    }
done:
    fi_free(at);
    fi_categories_release(&set);
    return st;
}
