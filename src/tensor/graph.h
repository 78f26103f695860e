/*
 * The graph: recorded once per shape, run many times. Building calls (tensor/ops.h) append nodes; fi_plan() derives the
 * backward pass, decides how long each value lives and lays all of them out in one block of memory; running is a loop
 * over the nodes. The same wiring serves training, inference and cached decoding (caches are states, their length a
 * number read at run time).
 *
 * Errors stick: a building call that fails (shapes that do not fit, no memory) gives NULL, every call given a NULL node
 * gives NULL, and fi_plan() tells the first failure. So wiring reads like the formula and checks once.
 */
#ifndef FI_TENSOR_GRAPH_H
#define FI_TENSOR_GRAPH_H

#include "tensor/gemm.h"

typedef struct fi_graph fi_graph;
typedef struct fi_node fi_node;

/* A trained array. Weights of linear layers are [out, in], of convolutions [out, kernel rows, kernel columns, in]. */
typedef struct fi_param {
    const char *name;
    int n_dims;
    size_t shape[FI_MAX_DIMS], size;
    float *value;           /* NULL where only `packed` is kept (inference) */
    float *grad;            /* NULL: not trained; backward passes add to it */
    fi_packed *packed;      /* value as the B of x W^T; NULL: products pack as they go */
    fi_packed *packed_back; /* value as the B of dy W; NULL likewise */
} fi_param;

/* What one kind of node does. Values are contiguous, row-major, and never overlap unless said. */
typedef struct fi_op {
    const char *name;
    /* Computes node->value (and node->saved) from the values of its inputs. */
    void (*forward)(fi_graph *graph, fi_node *node);
    /*
     * Passes node->grad on: for every input that needs one, `if (fi_grad_begin(in)) add to in->grad; else write it`.
     * NULL: nothing flows back.
     */
    void (*backward)(fi_graph *graph, fi_node *node);
    unsigned keeps;     /* what backward reads beside node->grad and node->saved: FI_KEEP_OUT | FI_KEEP_IN(0) ... */
    bool may_overwrite; /* forward works with value == in[0]->value */
    bool view;          /* value and grad are those of in[0] at node->offset; forward may be NULL */
} fi_op;

#define FI_KEEP_OUT   1u
#define FI_KEEP_IN(i) (2u << (i))
enum { FI_MAX_INPUTS = 8 };

struct fi_node {
    const fi_op *op;
    fi_node *in[FI_MAX_INPUTS]; /* NULL where an optional input is absent */
    int n_in, n_dims;
    size_t shape[FI_MAX_DIMS], size; /* unused dimensions are 1 */
    fi_dtype type;                   /* FI_F32 or FI_I32 (leaves only) */
    float *value, *grad;
    void *attr;      /* the op's own settings, in the graph's memory */
    float *saved;    /* [n_saved] what forward leaves for backward; NULL in inference */
    size_t n_saved;  /* asked for by the building call */
    fi_param *param; /* leaf that is a parameter */
    bool needs_grad, grad_ready;
    size_t offset; /* of a view in in[0] */
    size_t index;  /* place in the graph */
};

/* A graph over an engine; training: backward passes are possible, dropout is on, batch norm uses the batch. */
ftl_status fi_graph_new(fi_engine *engine, bool training, fi_graph **out, ftl_error *err);
void fi_graph_free(fi_graph *graph);
/* Arithmetic of products whose B is not packed: FI_F32 (the default) or FI_BF16 with float sums. Before recording. */
void fi_graph_products(fi_graph *graph, fi_dtype type);

/* Leaves. Inputs are filled by the caller before each run, at fi_node.value (after fi_plan). */
fi_node *fi_input(fi_graph *graph, int n_dims, const size_t *shape);
fi_node *fi_input_ids(fi_graph *graph, int n_dims, const size_t *shape); /* int32 at fi_ids(node) */
fi_node *fi_parameter(fi_graph *graph, fi_param *param);                 /* one node per parameter, found again */
fi_node *fi_state(fi_graph *graph, float *memory, int n_dims, const size_t *shape); /* the caller's memory: a cache */
static inline int32_t *fi_ids(const fi_node *node)
{
    return (int32_t *)(void *)node->value;
}

/* The value of `node` stays readable after the run (else its memory is used again). */
void fi_keep(fi_graph *graph, fi_node *node);
/* Gradients are wanted for an input too (tests; guidance). */
void fi_want_grad(fi_graph *graph, fi_node *input);
/*
 * Nodes recorded between the two calls are computed again in the backward pass instead of being kept: memory for time.
 */
void fi_recompute_begin(fi_graph *graph);
void fi_recompute_end(fi_graph *graph);

/*
 * Ends recording. loss: a node of one number whose gradient is wanted, or NULL for inference.
 * @return FTL_OK; FTL_EINTERNAL (shapes that do not fit: the op and both shapes are named); FTL_ENOMEM
 */
ftl_status fi_plan(fi_graph *graph, fi_node *loss, ftl_error *err);
void fi_forward(fi_graph *graph);
/* After fi_forward: adds scale * d loss / d parameter to every fi_param.grad. */
void fi_backward(fi_graph *graph, float scale);
/* Key of the random numbers (dropout) of the next run: the same key gives the same bits. */
void fi_graph_seed(fi_graph *graph, uint64_t seed, uint64_t step);
size_t fi_graph_bytes(const fi_graph *graph); /* of values, gradients and states that the plan laid out */

/* For ops. */
fi_engine *fi_graph_engine(const fi_graph *graph);
bool fi_graph_training(const fi_graph *graph);
fi_dtype fi_graph_product_type(const fi_graph *graph);
/* This forward call computes a value again in a backward pass: running statistics have moved already. */
bool fi_graph_recomputing(const fi_graph *graph);
uint64_t fi_graph_key(const fi_graph *graph, uint64_t *step);
/* A new node of that op, its attr a cleared block of attr_size bytes; NULL (and the graph has failed) without memory. */
fi_node *fi_node_new(fi_graph *graph, const fi_op *op, int n_dims, const size_t *shape, size_t attr_size);
/* Appends an input (also NULL: absent). Whether the node needs a gradient follows from its inputs. */
void fi_node_input(fi_graph *graph, fi_node *node, fi_node *in);
/* The graph fails with a message; returns NULL. */
fi_node *fi_graph_fail(fi_graph *graph, const char *format, ...) FTL_PRINTF(2, 3);
/* Before a backward pass writes in->grad: true: add to it; false: write all of it. NULL or no need: see fi_needs(). */
bool fi_grad_begin(fi_node *in);
static inline bool fi_needs(const fi_node *in)
{
    return in && in->needs_grad;
}

#endif
