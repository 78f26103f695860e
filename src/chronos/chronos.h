/* What the files of this room share of an open model. */
#ifndef FI_CHRONOS_CHRONOS_H
#define FI_CHRONOS_CHRONOS_H

#include "chronos/family.h"

#include <pthread.h>

struct ftl_chronos {
    const fi_chronos_family *family;
    fi_engine *engine;
    void *state; /* the family's */
    char *directory;
    ftl_chronos_facts facts;
    pthread_mutex_t lock; /* engine and state serve one call at a time */
};

/* The family of a directory's model, from its config.json alone. Errors as ftl_chronos_open(). */
ftl_status fi_chronos_peek(const char *directory, const fi_chronos_family **out, ftl_error *err);

/* Rows of a batch where the caller says nothing. */
size_t fi_chronos_batch_size(const ftl_chronos *model, bool cross_learning);

#endif
