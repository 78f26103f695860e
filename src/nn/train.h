/*
 * The training loop: batches in, steps of the optimiser, a log, checkpoints. A run is a directory:
 *
 *     log.csv                           step,loss,norm,rate,seconds
 *     checkpoint-STEP.safetensors       values, moments and average of every parameter, further state, the step
 *
 * A checkpoint appears whole or not at all; a run that is started again goes on from the last one and ends with the same
 * bits as one that was never stopped.
 */
#ifndef FI_NN_TRAIN_H
#define FI_NN_TRAIN_H

#include "nn/optim.h"

/* Arrays beside the parameters that training moves: running statistics. */
typedef struct fi_train_state {
    const char *name;
    float *value;
    size_t n;
} fi_train_state;

typedef struct fi_train_task {
    fi_params *params;
    const fi_train_state *states;
    size_t n_states;
    /*
     * Fills the inputs of one micro-batch and names the planned graph to run and its loss. What it fills is a function of
     * (step, micro) and of seeds alone, never of what was called before (see nn/order.h), or resuming changes the bits.
     */
    ftl_status (*batch)(void *user, uint64_t step, size_t micro, fi_graph **graph, fi_node **loss, ftl_error *err);
    void *user;
} fi_train_task;

typedef struct fi_train_config {
    fi_optim_config optim;
    uint64_t steps;
    size_t accumulate;         /* micro-batches to a step, at least 1; the loss is their mean */
    uint64_t seed;             /* of dropout */
    const char *directory;     /* of the run, made where it is missing; NULL: no log, no checkpoints */
    uint64_t checkpoint_every; /* steps; 0: at the end only */
    size_t keep;               /* how many checkpoints stay, the latest; 0: all */
    ftl_progress_fn progress;  /* or NULL; asked between steps */
    void *progress_user;
} fi_train_config;

typedef struct fi_train_result {
    uint64_t first_step, steps; /* where this run began (0, or a checkpoint), and where it ended */
    double loss;                /* of the last step made; NaN if none was */
} fi_train_result;

/*
 * Trains until config->steps steps have been made in all. On FTL_ECANCELLED a checkpoint of what was reached is written.
 * ema, if any, receives the average of the values ([params->size], laid out as params->values); NULL: not wanted.
 * @return FTL_OK; FTL_ECANCELLED; FTL_ENUMERIC (loss or gradient not finite: the step is named); FTL_EIO; FTL_EDATA (the
 *         directory holds a checkpoint of another network); FTL_ENOMEM; what batch returns
 */
ftl_status fi_train(fi_engine *engine, const fi_train_task *task, const fi_train_config *config, float *ema,
                    fi_train_result *result, ftl_error *err);

#endif
