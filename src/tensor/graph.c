#include "tensor/graph.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory of nodes and attributes: blocks in a chain, freed together. */
typedef struct block {
    struct block *next;
    size_t used, size;
    max_align_t bytes[];
} block;

/* What the plan knows of a node beside the node itself. */
typedef struct mark {
    int segment;                     /* recomputed together; 0: kept */
    bool kept;                       /* fi_keep */
    bool reached;                    /* the loss depends on it */
    bool again;                      /* computed a second time in the backward pass */
    size_t value[2], saved[2], grad; /* buffers of the first and the second life; NONE */
} mark;

typedef enum step_kind { STEP_FORWARD, STEP_AGAIN, STEP_BACKWARD } step_kind;
typedef struct step {
    fi_node *node;
    step_kind kind;
} step;

/* A piece of memory and the steps between which it is in use. */
typedef struct buffer {
    size_t bytes, first, last, offset;
} buffer;

struct fi_graph {
    fi_engine *engine;
    bool training, recomputing;
    fi_dtype product_type;
    uint64_t seed, key_step;
    ftl_error failure; /* code FTL_OK: none yet */
    block *blocks;
    fi_node **nodes;
    mark *marks;
    size_t n_nodes, cap_nodes, cap_marks;
    int segment, n_segments;
    step *steps;
    size_t n_steps, cap_steps, n_forward; /* steps[0, n_forward) are the forward pass */
    buffer *buffers;
    size_t n_buffers, cap_buffers;
    fi_node *loss;
    char *memory;
    size_t bytes;
};

static const size_t NONE = (size_t)-1;
enum { ALIGNMENT = 64, BLOCK_BYTES = 1 << 14 };

static const fi_op leaf = {.name = "leaf"};

ftl_status fi_graph_new(fi_engine *engine, bool training, fi_graph **out, ftl_error *err)
{
    *out = fi_calloc(1, sizeof **out);
    if (!*out) return fi_fail_memory(err);
    (*out)->engine = engine;
    (*out)->training = training;
    (*out)->product_type = FI_F32;
    return FTL_OK;
}

void fi_graph_free(fi_graph *g)
{
    if (!g) return;
    for (block *b = g->blocks, *next; b; b = next) {
        next = b->next;
        fi_free(b);
    }
    fi_free(g->nodes);
    fi_free(g->marks);
    fi_free(g->steps);
    fi_free(g->buffers);
    fi_aligned_free(g->memory);
    fi_free(g);
}

fi_engine *fi_graph_engine(const fi_graph *g)
{
    return g->engine;
}
bool fi_graph_training(const fi_graph *g)
{
    return g->training;
}
bool fi_graph_recomputing(const fi_graph *g)
{
    return g->recomputing;
}
void fi_graph_products(fi_graph *g, fi_dtype type)
{
    g->product_type = type;
}
fi_dtype fi_graph_product_type(const fi_graph *g)
{
    return g->product_type;
}
size_t fi_graph_bytes(const fi_graph *g)
{
    return g->bytes;
}

void fi_graph_seed(fi_graph *g, uint64_t seed, uint64_t key_step)
{
    g->seed = seed;
    g->key_step = key_step;
}

uint64_t fi_graph_key(const fi_graph *g, uint64_t *key_step)
{
    *key_step = g->key_step;
    return g->seed;
}

/* ---- recording ---- */

fi_node *fi_graph_fail(fi_graph *g, const char *format, ...)
{
    if (g->failure.code) return NULL; /* the first failure is the cause of the others */
    va_list args;
    va_start(args, format);
    vsnprintf(g->failure.message, sizeof g->failure.message, format, args);
    va_end(args);
    g->failure.code = FTL_EINTERNAL;
    return NULL;
}

static void fail_nomem(fi_graph *g)
{
    if (!g->failure.code) fi_fail_memory(&g->failure);
}

/* A cleared piece of the graph's own memory; NULL (and failed) without. */
static void *take(fi_graph *g, size_t bytes)
{
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    block *b = g->blocks;
    if (!b || b->size - b->used < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        b = fi_alloc(1, sizeof *b + size);
        if (!b) return fail_nomem(g), NULL;
        *b = (block){g->blocks, 0, size};
        g->blocks = b;
    }
    void *piece = (char *)b->bytes + b->used;
    b->used += bytes;
    return memset(piece, 0, bytes);
}

fi_node *fi_node_new(fi_graph *g, const fi_op *op, int n_dims, const size_t *shape, size_t attr_size)
{
    if (g->failure.code) return NULL;
    if (fi_grow(&g->nodes, &g->cap_nodes, g->n_nodes + 1, sizeof *g->nodes) ||
        fi_grow(&g->marks, &g->cap_marks, g->n_nodes + 1, sizeof *g->marks))
        return fail_nomem(g), NULL;
    fi_node *node = take(g, sizeof *node);
    if (!node) return NULL;
    node->op = op;
    node->n_dims = n_dims;
    node->size = 1;
    for (int i = 0; i < FI_MAX_DIMS; i++) {
        node->shape[i] = i < n_dims ? shape[i] : 1;
        if (node->shape[i] && node->size > SIZE_MAX / 16 / node->shape[i])
            return fi_graph_fail(g, "%s: an array of that shape does not fit into memory", op->name);
        node->size *= node->shape[i];
    }
    if (attr_size && !(node->attr = take(g, attr_size))) return NULL;
    node->index = g->n_nodes;
    g->nodes[g->n_nodes] = node;
    g->marks[g->n_nodes++] = (mark){g->segment, false, false, false, {NONE, NONE}, {NONE, NONE}, NONE};
    return node;
}

void fi_node_input(fi_graph *g, fi_node *node, fi_node *in)
{
    if (!node) return;
    if (node->n_in == FI_MAX_INPUTS) {
        fi_graph_fail(g, "%s: more than %d inputs", node->op->name, FI_MAX_INPUTS);
        return;
    }
    node->in[node->n_in++] = in;
    if (g->training && fi_needs(in)) node->needs_grad = true;
}

fi_node *fi_input(fi_graph *g, int n_dims, const size_t *shape)
{
    return fi_node_new(g, &leaf, n_dims, shape, 0);
}

fi_node *fi_input_ids(fi_graph *g, int n_dims, const size_t *shape)
{
    fi_node *node = fi_node_new(g, &leaf, n_dims, shape, 0);
    if (node) node->type = FI_I32;
    return node;
}

fi_node *fi_parameter(fi_graph *g, fi_param *param)
{
    if (!param) return NULL;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->param == param) return g->nodes[i];
    fi_node *node = fi_node_new(g, &leaf, param->n_dims, param->shape, 0);
    if (!node) return NULL;
    node->param = param;
    node->needs_grad = g->training && param->grad;
    return node;
}

/* A leaf whose memory is the caller's. */
static const fi_op state = {.name = "state"};

fi_node *fi_state(fi_graph *g, float *memory, int n_dims, const size_t *shape)
{
    fi_node *node = fi_node_new(g, &state, n_dims, shape, 0);
    if (node) node->value = memory;
    return node;
}

void fi_keep(fi_graph *g, fi_node *node)
{
    if (node) g->marks[node->index].kept = true;
}

void fi_want_grad(fi_graph *g, fi_node *input)
{
    if (input) input->needs_grad = g->training;
}

void fi_recompute_begin(fi_graph *g)
{
    g->segment = ++g->n_segments;
}
void fi_recompute_end(fi_graph *g)
{
    g->segment = 0;
}

/* ---- planning ---- */

static bool is_leaf(const fi_node *node)
{
    return node->op == &leaf || node->op == &state;
}

/* The node whose memory a view shows. */
static fi_node *root_of(fi_node *node)
{
    while (node->op->view) node = node->in[0];
    return node;
}

static bool push_step(fi_graph *g, fi_node *node, step_kind kind)
{
    if (fi_grow(&g->steps, &g->cap_steps, g->n_steps + 1, sizeof *g->steps)) return false;
    g->steps[g->n_steps++] = (step){node, kind};
    return true;
}

/* Who is part of d loss, and who of a segment can be computed again: what nobody outside it reads. */
static void mark_nodes(fi_graph *g, fi_node *loss)
{
    if (loss) g->marks[loss->index].reached = loss->needs_grad;
    for (size_t i = g->n_nodes; loss && i-- > 0;) {
        fi_node *node = g->nodes[i];
        for (int j = 0; g->marks[i].reached && j < node->n_in; j++)
            if (fi_needs(node->in[j])) g->marks[node->in[j]->index].reached = true;
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        g->marks[i].again = loss && g->marks[i].segment && !is_leaf(g->nodes[i]) && !g->marks[i].kept;
    for (size_t i = g->n_nodes; i-- > 0;) { /* views after what they show, so a view's reader keeps its source too */
        fi_node *node = g->nodes[i];
        for (int j = 0; j < node->n_in; j++) {
            mark *in = node->in[j] ? &g->marks[node->in[j]->index] : NULL;
            bool view_that_stays = node->op->view && j == 0 && !g->marks[i].again;
            if (in && (in->segment != g->marks[i].segment || view_that_stays)) in->again = false;
        }
    }
}

static bool list_steps(fi_graph *g, const fi_node *loss)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!is_leaf(g->nodes[i]) && !push_step(g, g->nodes[i], STEP_FORWARD)) return false;
    g->n_forward = g->n_steps;
    int segment = 0;
    for (size_t i = loss ? loss->index + 1 : 0; i-- > 0;) {
        mark *m = &g->marks[i];
        if (m->segment && m->segment != segment) { /* entering a segment from its end */
            segment = m->segment;
            size_t first = i;
            while (first > 0 && g->marks[first - 1].segment == segment) first--;
            for (size_t k = first; k <= i; k++)
                if (g->marks[k].again && !push_step(g, g->nodes[k], STEP_AGAIN)) return false;
        }
        if (m->reached && g->nodes[i]->op->backward && !push_step(g, g->nodes[i], STEP_BACKWARD)) return false;
    }
    return true;
}

static size_t new_buffer(fi_graph *g, size_t floats, size_t first, size_t last)
{
    if (fi_grow(&g->buffers, &g->cap_buffers, g->n_buffers + 1, sizeof *g->buffers)) {
        fail_nomem(g);
        return NONE;
    }
    size_t bytes = (floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    g->buffers[g->n_buffers] = (buffer){bytes, first, last, 0};
    return g->n_buffers++;
}

static void use(fi_graph *g, size_t which, size_t at)
{
    if (which == NONE) return;
    buffer *b = &g->buffers[which];
    if (at < b->first) b->first = at;
    if (at > b->last) b->last = at;
}

/* The buffer that holds a node's value in its first or second life. */
static size_t value_of(const fi_graph *g, fi_node *node, bool second)
{
    const mark *m = &g->marks[root_of(node)->index];
    return m->value[second && m->again];
}

/* Whether the output can take the memory of its first input, which nobody reads any more. */
static bool overwrites(const fi_graph *g, const fi_node *node, const size_t *last_use, size_t at)
{
    if (!node->op->may_overwrite || !node->in[0]) return false;
    fi_node *in = root_of(node->in[0]);
    for (int j = 1; j < node->n_in; j++)
        if (node->in[j] && root_of(node->in[j]) == in) return false;
    const mark *from = &g->marks[in->index], *to = &g->marks[node->index];
    return !is_leaf(in) && !from->kept && !from->segment && !to->segment && in->size == node->size &&
           last_use[in->index] == at;
}

/* Step at which each root's value is read last. */
static bool find_last_uses(fi_graph *g, size_t **out)
{
    size_t *last = fi_calloc(g->n_nodes + 1, sizeof *last);
    if (!last) return fail_nomem(g), false;
    for (size_t s = 0; s < g->n_steps; s++) {
        const step *t = &g->steps[s];
        for (int j = 0; j < t->node->n_in; j++)
            if (t->node->in[j] && (t->kind != STEP_BACKWARD || t->node->op->keeps & FI_KEEP_IN(j)))
                last[root_of(t->node->in[j])->index] = s;
        if (t->kind == STEP_BACKWARD && t->node->op->keeps & FI_KEEP_OUT) last[root_of(t->node)->index] = s;
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->marks[i].kept) {
            last[root_of(g->nodes[i])->index] = g->n_steps;
            g->marks[root_of(g->nodes[i])->index].kept = true;
        }
    *out = last;
    return true;
}

/* One step's part in the lives of values and saved numbers. */
static void live_values(fi_graph *g, const step *t, size_t s, const size_t *last_use)
{
    fi_node *node = t->node;
    mark *m = &g->marks[node->index];
    bool second = t->kind != STEP_FORWARD;
    if (t->kind != STEP_BACKWARD) {
        if (!node->op->view) {
            if (!second && overwrites(g, node, last_use, s))
                m->value[0] = value_of(g, node->in[0], false);
            else
                m->value[second] = new_buffer(g, node->size, s, s);
            use(g, m->value[second], m->kept ? g->n_steps : s);
        }
        if (node->n_saved && g->loss) m->saved[second] = new_buffer(g, node->n_saved, s, s);
        for (int j = 0; j < node->n_in; j++)
            if (node->in[j]) use(g, value_of(g, node->in[j], second), s);
        return;
    }
    use(g, m->saved[m->again], s);
    if (node->op->keeps & FI_KEEP_OUT) use(g, value_of(g, node, true), s);
    for (int j = 0; j < node->n_in; j++)
        if (node->in[j] && node->op->keeps & FI_KEEP_IN(j)) use(g, value_of(g, node->in[j], true), s);
}

/* And in the lives of gradients: from the first that adds to one to the step that passes it on. */
static void live_grads(fi_graph *g, const step *t, size_t s)
{
    use(g, g->marks[root_of(t->node)->index].grad, s);
    for (int j = 0; j < t->node->n_in; j++) {
        fi_node *in = t->node->in[j];
        if (!fi_needs(in)) continue;
        fi_node *root = root_of(in);
        mark *m = &g->marks[root->index];
        if (root->param) continue;
        if (m->grad == NONE) m->grad = new_buffer(g, root->size, s, s);
        use(g, m->grad, is_leaf(root) ? g->n_steps : s);
    }
}

static int by_size(const void *a, const void *b)
{
    const buffer *x = *(buffer *const *)a, *y = *(buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

/* Places buffers, the largest first, each at the lowest offset free during its life; `placed` stays in order of offset. */
static bool place(fi_graph *g)
{
    buffer **order = fi_alloc(g->n_buffers + 1, sizeof *order), **placed = fi_alloc(g->n_buffers + 1, sizeof *placed);
    bool ok = order && placed;
    for (size_t i = 0; ok && i < g->n_buffers; i++) order[i] = &g->buffers[i];
    if (ok) qsort(order, g->n_buffers, sizeof *order, by_size);
    for (size_t i = 0; ok && i < g->n_buffers; i++) {
        buffer *b = order[i];
        size_t offset = 0, at = i;
        for (size_t k = 0; k < i; k++) {
            const buffer *p = placed[k];
            if (p->last < b->first || b->last < p->first) continue;
            if (p->offset >= offset && p->offset - offset >= b->bytes) break; /* fits into the hole before p */
            if (p->offset + p->bytes > offset) offset = p->offset + p->bytes;
        }
        b->offset = offset;
        while (at > 0 && placed[at - 1]->offset > offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = b;
        if (offset + b->bytes > g->bytes) g->bytes = offset + b->bytes;
    }
    fi_free(order);
    fi_free(placed);
    return ok;
}

static float *at_buffer(const fi_graph *g, size_t which)
{
    return which == NONE ? NULL : (float *)(void *)(g->memory + g->buffers[which].offset);
}

/* The memory of a node in its first or second life. */
static void point(const fi_graph *g, fi_node *node, bool second)
{
    const mark *m = &g->marks[node->index];
    if (node->op->view)
        node->value = node->in[0]->value + node->offset;
    else
        node->value = at_buffer(g, m->value[second]);
    node->saved = at_buffer(g, m->saved[second]);
}

static void point_all(fi_graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        fi_node *node = g->nodes[i];
        if (node->param) {
            node->value = node->param->value;
            node->grad = node->param->grad;
            continue;
        }
        if (node->op != &state) point(g, node, false);
        node->grad = node->op->view && node->needs_grad && node->in[0]->grad ? node->in[0]->grad + node->offset
                                                                             : at_buffer(g, g->marks[i].grad);
    }
}

ftl_status fi_plan(fi_graph *g, fi_node *loss, ftl_error *err)
{
    size_t *last_use = NULL;
    if (!g->failure.code && loss && loss->size != 1) fi_graph_fail(g, "the loss is not one number");
    if (g->failure.code) goto done;
    g->loss = loss;
    fi_keep(g, loss); /* callers read it, whatever else does */
    mark_nodes(g, loss);
    if (!list_steps(g, loss)) fail_nomem(g);
    if (g->failure.code || !find_last_uses(g, &last_use)) goto done;
    for (size_t i = 0; i < g->n_nodes; i++) /* what callers fill before a run stays through all of it */
        if (g->nodes[i]->op == &leaf && !g->nodes[i]->param)
            g->marks[i].value[0] = new_buffer(g, g->nodes[i]->size, 0, g->n_steps);
    if (loss && loss->needs_grad) g->marks[root_of(loss)->index].grad = new_buffer(g, 1, g->n_forward, g->n_forward);
    for (size_t s = 0; s < g->n_steps && !g->failure.code; s++) {
        live_values(g, &g->steps[s], s, last_use);
        if (g->steps[s].kind == STEP_BACKWARD) live_grads(g, &g->steps[s], s);
    }
    if (g->failure.code) goto done;
    if (!place(g) || !(g->memory = fi_aligned_alloc(g->bytes + ALIGNMENT, 1))) fail_nomem(g);
    if (!g->failure.code) point_all(g);
done:
    fi_free(last_use);
    if (g->failure.code && err) *err = g->failure;
    return g->failure.code;
}

/* ---- running ---- */

void fi_forward(fi_graph *g)
{
    for (size_t s = 0; s < g->n_forward; s++) {
        fi_node *node = g->steps[s].node;
        if (g->marks[node->index].again) point(g, node, false);
        if (node->op->forward) node->op->forward(g, node);
    }
}

bool fi_grad_begin(fi_node *in)
{
    if (in->op->view) {
        fi_node *source = in->in[0];
        if (source->size == in->size) return fi_grad_begin(source);
        if (!fi_grad_begin(source)) memset(source->grad, 0, source->size * sizeof(float));
        return true;
    }
    bool add = in->grad_ready;
    in->grad_ready = true;
    return add;
}

static bool has_grad(const fi_node *node)
{
    while (node->op->view) node = node->in[0];
    return node->grad_ready;
}

void fi_backward(fi_graph *g, float scale)
{
    if (!g->loss || !g->loss->needs_grad) return;
    for (size_t i = 0; i < g->n_nodes; i++)
        g->nodes[i]->grad_ready = g->nodes[i]->param != NULL; /* parameters gather over several passes */
    if (!fi_grad_begin(g->loss)) *g->loss->grad = scale;
    for (size_t s = g->n_forward; s < g->n_steps; s++) {
        fi_node *node = g->steps[s].node;
        if (g->steps[s].kind == STEP_AGAIN) {
            g->recomputing = true;
            point(g, node, true);
            if (node->op->forward) node->op->forward(g, node);
            g->recomputing = false;
        } else if (has_grad(node)) {
            node->op->backward(g, node);
        }
    }
}
