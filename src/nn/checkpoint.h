/* Checkpoints of a training run: everything that the next step depends on, in one safetensors file. */
#ifndef FI_NN_CHECKPOINT_H
#define FI_NN_CHECKPOINT_H

#include "nn/train.h"

/* Writes DIRECTORY/checkpoint-STEP.safetensors, then removes all but the `keep` latest (0: none is removed). */
ftl_status fi_checkpoint_write(const char *directory, const fi_optim *optim, const fi_train_state *states,
                               size_t n_states, size_t keep, ftl_error *err);
/*
 * Reads the latest checkpoint, if there is any, into the optimiser, its parameters and the states. A directory without
 * one is FTL_OK and changes nothing.
 */
ftl_status fi_checkpoint_read(const char *directory, fi_optim *optim, const fi_train_state *states, size_t n_states,
                              ftl_error *err);

#endif
