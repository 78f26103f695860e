/* Optimisers over the parameters of a network in training: one block of values, one of gradients, loops over both. */
#ifndef FI_NN_OPTIM_H
#define FI_NN_OPTIM_H

#include "nn/params.h"

typedef enum fi_schedule_kind { FI_SCHEDULE_CONSTANT, FI_SCHEDULE_LINEAR, FI_SCHEDULE_COSINE } fi_schedule_kind;

/* The factor on the learning rate: from 0 up over `warmup` steps, then down to `floor` at step `total`. */
typedef struct fi_schedule {
    fi_schedule_kind kind;
    size_t warmup, total;
    double floor;
} fi_schedule;
/* After `step` steps have been made, as transformers' get_*_schedule_with_warmup: the first step of a warmup has factor 0. */
double fi_schedule_at(const fi_schedule *schedule, uint64_t step);

typedef enum fi_optim_kind { FI_ADAMW, FI_SGD } fi_optim_kind;

typedef struct fi_optim_config {
    fi_optim_kind kind;
    double rate;
    double beta1, beta2, eps; /* AdamW: 0.9, 0.999, 1e-8 */
    double momentum;          /* SGD */
    double weight_decay;      /* decoupled (AdamW), or added to the gradient (SGD), as in PyTorch */
    bool decay_vectors;       /* also norms and biases, as PyTorch does; Hugging Face's trainer does not */
    double clip_norm;         /* gradients are scaled down to this global norm; 0: never */
    double ema_decay;         /* an average of the values, decay per step; 0: none */
    fi_schedule schedule;
} fi_optim_config;
#define FI_OPTIM_DEFAULTS                                                                                              \
    {                                                                                                                  \
        .kind = FI_ADAMW, .rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay_vectors = true               \
    }

typedef struct fi_optim {
    fi_optim_config config;
    fi_params *params; /* borrowed */
    float *m, *v;      /* [params->size] moments; v NULL for SGD */
    float *ema;        /* [params->size] or NULL */
    uint64_t step;     /* steps made */
    double norm;       /* of the gradient of the last step, before clipping */
    struct fi_span *spans;
    double *sums; /* [n_spans] */
    size_t n_spans;
} fi_optim;

/* params must be in training (fi_params_train); the average begins at their present values. */
ftl_status fi_optim_new(const fi_optim_config *config, fi_params *params, fi_optim **out, ftl_error *err);
void fi_optim_free(fi_optim *optim);

/*
 * One step with the gradients as they are, which are zero afterwards.
 *   AdamW: Loshchilov & Hutter 2019, algorithm 2, with PyTorch's order of operations.
 * @return FTL_OK; FTL_ENUMERIC: the gradient is not finite, and nothing has moved
 */
ftl_status fi_optim_step(fi_optim *optim, fi_engine *engine, ftl_error *err);

#endif
