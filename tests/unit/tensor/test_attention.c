/* Attention, softmax, relative bias and rotary positions against plain formulas in double and PyTorch's numbers. */
#include "check.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "tensor/ops.h"
#include "tensor/vector.h"

/* ---- a loss: sum of weights * x ---- */

static void weigh_forward(fi_graph *g, fi_node *node)
{
    (void)g;
    double sum = 0;
    for (size_t i = 0; i < node->in[0]->size; i++) sum += (double)node->in[0]->value[i] * node->in[1]->value[i];
    *node->value = (float)sum;
}
static void weigh_backward(fi_graph *g, fi_node *node)
{
    (void)g;
    fi_node *x = node->in[0];
    bool add = fi_grad_begin(x);
    for (size_t i = 0; i < x->size; i++) x->grad[i] = (add ? x->grad[i] : 0) + *node->grad * node->in[1]->value[i];
}
static const fi_op weigh_op = {"weigh", weigh_forward, weigh_backward, FI_KEEP_IN(1), false, false};

static fi_node *weigh(fi_graph *g, fi_node *x, fi_node *weights)
{
    fi_node *node = x && weights ? fi_node_new(g, &weigh_op, 1, (size_t[]){1}, 0) : NULL;
    fi_node_input(g, node, x);
    fi_node_input(g, node, weights);
    return node;
}

/* ---- random numbers in [-1, 1) ---- */

static uint32_t noise_state = 1;

static float noise(void)
{
    noise_state = noise_state * 1664525u + 1013904223u;
    return (float)(noise_state >> 8) / (float)(1 << 23) - 1;
}

/* ---- attention in double ---- */

typedef enum mask_kind { NO_MASK, LEFT_PADDED, HOLES, NOTHING_SEEN } mask_kind;

typedef struct problem {
    size_t b, heads, n_q, n_k, d, dv;
    float scale;
    mask_kind mask;
    bool bias, causal, cached;
    size_t first, n_keys;
    const int32_t *groups; /* b rows, n_q = n_k positions */
    float dropout;         /* not with groups */
    bool bf16;
} problem;

enum { Q, K, V, BIAS, N_PARTS };

typedef struct arrays {
    size_t size[N_PARTS], n_out, n_mask;
    double *in[N_PARTS], *grad[N_PARTS], *out, *weight;
    float *mask;
} arrays;

static size_t distances(const problem *p)
{
    return p->cached ? 2 * p->n_k - 1 : p->n_q + p->n_k - 1;
}

static double *doubles(size_t n, double scale)
{
    double *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = noise() * (float)scale; /* a float */
    return x;
}

static void round_to_bf16(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float y = (float)x[i];
        uint32_t bits;
        memcpy(&bits, &y, sizeof bits);
        bits &= 0xFFFF0000u;
        memcpy(&y, &bits, sizeof y);
        x[i] = y;
    }
}

static arrays arrays_new(const problem *p)
{
    arrays a = {.size = {p->b * p->n_q * p->heads * p->d, p->b * p->n_k * p->heads * p->d,
                         p->b * p->n_k * p->heads * p->dv, p->bias ? p->heads * distances(p) : 0},
                .n_out = p->b * p->n_q * p->heads * p->dv,
                .n_mask = p->mask ? p->b * p->n_k : 0};
    for (int i = 0; i < N_PARTS; i++) {
        a.in[i] = doubles(a.size[i], i == V ? 1 : i == BIAS ? 2 : 1.5);
        a.grad[i] = calloc(a.size[i] + 1, sizeof(double));
    }
    a.out = doubles(a.n_out, 0);
    a.weight = doubles(a.n_out, 1);
    a.mask = calloc(a.n_mask + 1, sizeof *a.mask);
    for (int i = 0; p->bf16 && i < N_PARTS; i++) round_to_bf16(a.in[i], a.size[i]);
    if (p->bf16) round_to_bf16(a.weight, a.n_out);
    for (size_t i = 0; i < a.n_mask; i++) {
        size_t row = i / p->n_k, at = i % p->n_k, n = p->n_k;
        bool hidden = p->mask == LEFT_PADDED ? at < (row * 7 + n / 3) % n
                      : p->mask == HOLES     ? noise() > 0.2f
                                             : row % 2 == 0;
        a.mask[i] = hidden ? 0.0f : 1.0f;
    }
    return a;
}

static void arrays_free(arrays *a)
{
    for (int i = 0; i < N_PARTS; i++) {
        free(a->in[i]);
        free(a->grad[i]);
    }
    free(a->out);
    free(a->weight);
    free(a->mask);
}

/* What dropout leaves of the weight of key j in query i of head `unit` of all heads of the batch: as attention.h says. */
static double share_kept(const problem *p, const fi_dropout_mask *mask, size_t unit, size_t i, size_t j)
{
    if (p->dropout == 0) return 1;
    const uint64_t ld = (p->n_q + 15) / 16 * 16, block = (unit * ((p->n_k + 7) / 8) + j / 8) * ld + i;
    const uint32_t key[2] = {(uint32_t)mask->seed, (uint32_t)(mask->seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32) ^ (uint32_t)(mask->step >> 32),
                                 (uint32_t)mask->step, mask->stream};
    uint32_t bits[4];
    fi_philox(counter, key, bits);
    return (bits[j % 8 / 2] >> j % 2 * 16 & 0xFFFF) >= mask->threshold ? (double)mask->scale : 0;
}

/* The mask that a graph of run_graph draws. */
static fi_dropout_mask mask_of(const problem *p)
{
    const uint32_t share = (uint32_t)lrintf(p->dropout * 65536), before = 3u + p->bias + (p->mask != NO_MASK);
    return (fi_dropout_mask){5, (uint64_t)6 << 32 | 7, before, share, 65536.0f / (65536.0f - (float)share)};
}

/* One query of one head over keys at rows key_row(j): forward, and with `back` its part of the gradients. */
static void one_query(const problem *p, arrays *a, size_t head, size_t q_row, size_t position, const size_t *key_row,
                      const bool *seen, size_t n_keys, bool back)
{
    const fi_dropout_mask mask = mask_of(p);
    const size_t d = p->d, dv = p->dv, unit = q_row / p->n_q * p->heads + head, row = q_row % p->n_q,
                 origin = p->cached ? p->n_k - 1 : p->n_q - 1;
    const double *q = a->in[Q] + (q_row * p->heads + head) * d;
    double *out = a->out + (q_row * p->heads + head) * dv, *s = malloc((n_keys + 1) * sizeof *s), top = -INFINITY,
           sum = 0;
    for (size_t j = 0; j < n_keys; j++) {
        const double *k = a->in[K] + (key_row[j] * p->heads + head) * d;
        s[j] = p->bias ? a->in[BIAS][head * distances(p) + j + origin - position] : 0;
        for (size_t c = 0; c < d; c++) s[j] += (double)p->scale * q[c] * k[c];
        if (!seen[j]) s[j] = -INFINITY;
        top = fmax(top, s[j]);
    }
    for (size_t j = 0; j < n_keys; j++) sum += top == -INFINITY ? 1 : exp(s[j] - top);
    for (size_t c = 0; c < dv; c++) out[c] = 0;
    for (size_t j = 0; j < n_keys; j++) {
        double weight = (top == -INFINITY ? 1 : exp(s[j] - top) * share_kept(p, &mask, unit, row, j)) / sum;
        for (size_t c = 0; c < dv; c++) out[c] += weight * a->in[V][(key_row[j] * p->heads + head) * dv + c];
    }
    const double *dout = a->weight + (q_row * p->heads + head) * dv;
    for (size_t j = 0; back && j < n_keys; j++) {
        double share = top == -INFINITY ? 1 : share_kept(p, &mask, unit, row, j), ds = 0;
        double weight = (top == -INFINITY ? 1 : exp(s[j] - top)) / sum;
        for (size_t c = 0; c < dv; c++) {
            size_t at = (key_row[j] * p->heads + head) * dv + c;
            a->grad[V][at] += weight * share * dout[c];
            ds += dout[c] * (share * a->in[V][at] - out[c]);
        }
        ds *= weight;
        if (top == -INFINITY) continue;
        if (p->bias) a->grad[BIAS][head * distances(p) + j + origin - position] += ds;
        for (size_t c = 0; c < d; c++) {
            size_t at = (key_row[j] * p->heads + head) * d + c;
            a->grad[Q][(q_row * p->heads + head) * d + c] += ds * (double)p->scale * a->in[K][at];
            a->grad[K][at] += ds * (double)p->scale * q[c];
        }
    }
    free(s);
}

static void oracle(const problem *p, arrays *a, bool back)
{
    const size_t most = p->b > p->n_k ? p->b : p->n_k;
    size_t *key_row = malloc(most * sizeof *key_row);
    bool *seen = malloc(most * sizeof *seen);
    for (int i = 0; back && i < N_PARTS; i++) memset(a->grad[i], 0, a->size[i] * sizeof(double));
    for (size_t b = 0; b < p->b; b++)
        for (size_t i = 0; i < p->n_q; i++) {
            size_t n = 0, position = p->first + i;
            if (p->groups) {
                for (size_t r = 0; r < p->b; r++)
                    if (p->groups[r] == p->groups[b]) {
                        key_row[n] = r * p->n_k + i;
                        seen[n] = !p->mask || a->mask[key_row[n]] != 0;
                        n++;
                    }
            } else {
                for (; n < (p->cached ? p->n_keys : p->n_k); n++) {
                    key_row[n] = b * p->n_k + n;
                    seen[n] = (!p->mask || a->mask[key_row[n]] != 0) && !(p->causal && n > position);
                }
            }
            for (size_t h = 0; h < p->heads; h++) one_query(p, a, h, b * p->n_q + i, position, key_row, seen, n, back);
        }
    free(key_row);
    free(seen);
}

/* ---- the graph on the same numbers ---- */

typedef struct result {
    float *out, *grad[N_PARTS];
} result;

static void result_free(result *r)
{
    free(r->out);
    for (int i = 0; i < N_PARTS; i++) free(r->grad[i]);
}

static float *copy_floats(const float *x, size_t n)
{
    float *y = malloc((n + 1) * sizeof *y);
    return memcpy(y, x, n * sizeof *y);
}

static void put(fi_node *node, const double *x)
{
    for (size_t i = 0; node && i < node->size; i++) node->value[i] = (float)x[i];
}

/* Records, runs forward and, if training, backward. */
static result run_graph(const problem *p, const arrays *a, size_t threads, bool training)
{
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    ftl_error err;
    result r = {0};
    CHECK_INT(fi_engine_new(threads, &engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(engine, training, &g, NULL), FTL_OK);
    fi_node *in[N_PARTS] = {fi_input(g, 3, (size_t[]){p->b, p->n_q, p->heads * p->d}),
                            fi_input(g, 3, (size_t[]){p->b, p->n_k, p->heads * p->d}),
                            fi_input(g, 3, (size_t[]){p->b, p->n_k, p->heads * p->dv}),
                            p->bias ? fi_input(g, 2, (size_t[]){p->heads, distances(p)}) : NULL};
    fi_node *mask = p->mask ? fi_input(g, 2, (size_t[]){p->b, p->n_k}) : NULL;
    for (int i = 0; i < N_PARTS; i++) fi_want_grad(g, in[i]);
    fi_attention settings = {
        .heads = p->heads, .scale = p->scale, .causal = p->causal, .groups = p->groups, .dropout = p->dropout};
    fi_graph_seed(g, 5, (uint64_t)6 << 32 | 7);
    if (p->bf16) fi_graph_products(g, FI_BF16);
    if (p->cached) settings.first = &p->first, settings.n_keys = &p->n_keys;
    fi_node *out = fi_attend(g, in[Q], in[K], in[V], mask, in[BIAS], &settings);
    CHECK(out);
    fi_node *weights = fi_input(g, 3, out->shape), *loss = weigh(g, out, weights);
    fi_keep(g, out);
    if (fi_plan(g, training ? loss : NULL, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < N_PARTS; i++) put(in[i], a->in[i]);
    put(weights, a->weight);
    if (mask) memcpy(mask->value, a->mask, mask->size * sizeof(float));
    fi_forward(g);
    r.out = copy_floats(out->value, out->size);
    if (training) fi_backward(g, 1);
    for (int i = 0; training && i < N_PARTS; i++)
        if (in[i]) r.grad[i] = copy_floats(in[i]->grad, in[i]->size);
    fi_graph_free(g);
    fi_engine_free(engine);
    return r;
}

static void check_close(const char *what, const problem *p, const float *got, const double *want, size_t n,
                        double tolerance)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * (0.1 + largest)))
            fail_msg("%s of b %zu heads %zu n %zu x %zu d %zu/%zu mask %d bias %d causal %d cached %d: "
                     "[%zu] is %.9g, expected %.9g",
                     what, p->b, p->heads, p->n_q, p->n_k, p->d, p->dv, (int)p->mask, p->bias, p->causal, p->cached, i,
                     (double)got[i], want[i]);
}

/*
 * Float sums of up to a thousand products, scores of some tens in the exponent. With bf16 products the inputs are such numbers
 * here, and weights and gradients of scores are rounded to 8 bits: 2^-9 of each, two of them in a row.
 */
static double out_tolerance(const problem *p)
{
    return p->bf16 ? 4e-3 : 1e-5;
}
static double grad_tolerance(const problem *p)
{
    return p->bf16 ? 8e-3 : 3e-5;
}

static void check_problem(const problem *p)
{
    static const char *const name[N_PARTS] = {"dq", "dk", "dv", "dbias"};
    arrays a = arrays_new(p);
    oracle(p, &a, true);
    result one = run_graph(p, &a, 1, true), two = run_graph(p, &a, 2, true), inference = run_graph(p, &a, 2, false);
    check_close("out", p, one.out, a.out, a.n_out, out_tolerance(p));
    CHECK(memcmp(one.out, two.out, a.n_out * sizeof(float)) == 0);
    if (p->dropout == 0) CHECK(memcmp(one.out, inference.out, a.n_out * sizeof(float)) == 0);
    for (int i = 0; i < N_PARTS; i++) {
        if (!a.size[i]) continue;
        check_close(name[i], p, one.grad[i], a.grad[i], a.size[i], grad_tolerance(p));
        CHECK(memcmp(one.grad[i], two.grad[i], a.size[i] * sizeof(float)) == 0);
    }
    result_free(&one);
    result_free(&two);
    result_free(&inference);
    arrays_free(&a);
}

static const int32_t groups[9] = {4, 4, 4, 7, 1, 1, 9, 9, 2};

TEST(the_plain_gradients_are_those_of_central_differences)
{
    static const problem all[] = {
        {.b = 2, .heads = 2, .n_q = 3, .n_k = 4, .d = 3, .dv = 2, .scale = 0.7f, .mask = HOLES, .bias = true},
        {.b = 2, .heads = 1, .n_q = 4, .n_k = 4, .d = 2, .dv = 3, .scale = 1, .bias = true, .causal = true},
        {.b = 1,
         .heads = 2,
         .n_q = 2,
         .n_k = 6,
         .d = 2,
         .dv = 2,
         .scale = 1,
         .bias = true,
         .causal = true,
         .cached = true,
         .first = 2,
         .n_keys = 4},
        {.b = 9, .heads = 2, .n_q = 2, .n_k = 2, .d = 2, .dv = 2, .scale = 1, .mask = HOLES, .groups = groups},
        {.b = 2,
         .heads = 2,
         .n_q = 3,
         .n_k = 9,
         .d = 3,
         .dv = 2,
         .scale = 1,
         .mask = HOLES,
         .bias = true,
         .dropout = 0.5f},
    };
    for (size_t t = 0; t < sizeof all / sizeof *all; t++) {
        arrays a = arrays_new(&all[t]);
        oracle(&all[t], &a, true);
        for (int part = 0; part < N_PARTS; part++)
            for (size_t i = 0; i < a.size[part]; i++) {
                double at = a.in[part][i], h = 1e-5, loss[2] = {0};
                for (int side = 0; side < 2; side++) {
                    a.in[part][i] = at + (side ? h : -h);
                    oracle(&all[t], &a, false);
                    for (size_t o = 0; o < a.n_out; o++) loss[side] += a.weight[o] * a.out[o];
                }
                a.in[part][i] = at;
                CHECK_NEAR((loss[1] - loss[0]) / (2 * h), a.grad[part][i], 1e-8);
            }
        arrays_free(&a);
    }
}

TEST(attention_and_its_gradients_on_awkward_shapes)
{
    static const size_t lengths[][2] = {{1, 1},   {1, 7},    {2, 3},     {5, 5},  {17, 16},
                                        {33, 49}, {48, 130}, {100, 100}, {3, 300}};
    static const size_t widths[][2] = {{1, 1}, {4, 4}, {7, 5}, {16, 16}, {20, 33}, {64, 64}};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
            for (int kind = 0; kind < 8; kind++) {
                problem p = {.b = 2,
                             .heads = 1 + w % 3,
                             .n_q = lengths[l][0],
                             .n_k = lengths[l][1],
                             .d = widths[w][0],
                             .dv = widths[w][1],
                             .scale = w % 2 ? 1.0f : 0.3f,
                             .mask = (mask_kind)(kind % 4),
                             .bias = kind >= 4,
                             .causal = kind % 3 == 1,
                             .dropout = kind % 5 == 2 ? 0.25f : 0};
                check_problem(&p);
            }
}

TEST(cached_decoding_sees_the_keys_so_far)
{
    static const size_t steps[][2] = {{0, 1}, {0, 5}, {3, 1}, {15, 1}, {30, 4}, {63, 1}}; /* first query, queries */
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        for (int kind = 0; kind < 4; kind++) {
            problem p = {.b = 3,
                         .heads = 2,
                         .n_q = steps[s][1],
                         .n_k = 64,
                         .d = 16,
                         .dv = 16,
                         .scale = 1,
                         .mask = kind & 2 ? LEFT_PADDED : NO_MASK,
                         .bias = kind & 1,
                         .causal = true,
                         .cached = true,
                         .first = steps[s][0],
                         .n_keys = steps[s][0] + steps[s][1]};
            check_problem(&p);
        }
}

TEST(groups_attend_along_the_first_dimension)
{
    for (int kind = 0; kind < 4; kind++) {
        problem p = {.b = 9,
                     .heads = 3,
                     .n_q = 5,
                     .n_k = 5,
                     .d = 8,
                     .dv = 4,
                     .scale = 1,
                     .mask = (mask_kind)kind,
                     .groups = groups};
        check_problem(&p);
    }
    static int32_t all_one[40];
    problem p = {
        .b = 40, .heads = 2, .n_q = 3, .n_k = 3, .d = 64, .dv = 64, .scale = 1, .mask = HOLES, .groups = all_one};
    check_problem(&p);
}

TEST(long_sequences)
{
    problem p = {.b = 1,
                 .heads = 2,
                 .n_q = 530,
                 .n_k = 1100,
                 .d = 64,
                 .dv = 64,
                 .scale = 0.125f,
                 .mask = LEFT_PADDED,
                 .bias = true};
    check_problem(&p);
    p = (problem){.b = 1, .heads = 1, .n_q = 20, .n_k = 513, .d = 64, .dv = 64, .scale = 1, .mask = LEFT_PADDED};
    check_problem(&p);
    p = (problem){
        .b = 1, .heads = 1, .n_q = 600, .n_k = 600, .d = 32, .dv = 64, .scale = 1, .bias = true, .causal = true};
    check_problem(&p);
    p.dropout = 0.1f;
    check_problem(&p);
}

TEST(attention_with_bf16_products_on_awkward_shapes)
{
    static const size_t lengths[][2] = {{5, 5}, {9, 31}, {33, 49}, {65, 127}, {130, 100}, {20, 300}};
    static const size_t widths[][2] = {{16, 16}, {20, 33}, {64, 64}, {100, 17}, {7, 5}};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
            for (int kind = 0; kind < 8; kind++) {
                problem p = {.b = 2,
                             .heads = 1 + w % 3,
                             .n_q = lengths[l][0],
                             .n_k = lengths[l][1],
                             .d = widths[w][0],
                             .dv = widths[w][1],
                             .scale = w % 2 ? 1.0f : 0.25f, /* powers of two round nothing */
                             .mask = (mask_kind)(kind % 4),
                             .bias = kind >= 4,
                             .causal = kind % 3 == 1,
                             .dropout = kind % 3 == 2 ? 0.5f : 0,
                             .bf16 = true};
                check_problem(&p);
            }
    problem p = {
        .b = 1, .heads = 1, .n_q = 700, .n_k = 700, .d = 64, .dv = 64, .scale = 0.25f, .bias = true, .bf16 = true};
    check_problem(&p);
    p.causal = true;
    check_problem(&p);
    static int32_t all_one[40];
    p = (problem){.b = 40,
                  .heads = 2,
                  .n_q = 3,
                  .n_k = 3,
                  .d = 64,
                  .dv = 64,
                  .scale = 0.25f,
                  .mask = HOLES,
                  .groups = all_one,
                  .bf16 = true};
    check_problem(&p);
}

/* ---- what bf16 products cost: the table of docs/engine.md ---- */

static double relative_error(const float *got, const double *want, size_t n)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        size += want[i] * want[i];
    }
    return sqrt(error / size);
}

TEST(bf16_products_cost_half_a_percent)
{
    /* Each factor is rounded by at most 2^-9 = 0.2 %, uniformly 0.11 % in the root mean square; gradients pass four such. */
    static const char *const name[] = {"dq", "dk", "dv", "dbias"};
    problem p = {.b = 1, .heads = 2, .n_q = 512, .n_k = 512, .d = 64, .dv = 64, .scale = 0.25f, .bias = true};
    arrays a = arrays_new(&p); /* before p.bf16: numbers that it has to round */
    oracle(&p, &a, true);
    p.bf16 = true;
    result r = run_graph(&p, &a, 1, true);
    const double out = relative_error(r.out, a.out, a.n_out);
    print_message("    root mean square error of bf16 products: out %.3f %%", 100 * out);
    CHECK(out < 5e-3);
    for (int i = 0; i < N_PARTS; i++) {
        const double error = relative_error(r.grad[i], a.grad[i], a.size[i]);
        print_message(", %s %.3f %%", name[i], 100 * error);
        CHECK(error < 8e-3);
    }
    print_message("\n");
    result_free(&r);
    arrays_free(&a);
}

/* ---- dropout ---- */

TEST(the_mean_over_many_masks_is_attention_without_dropout)
{
    /* Each output is a sum of weights that a mask makes 0 or 1 / (1 - p) times themselves; its deviation is measured too. */
    enum { MASKS = 4000, N = 9, D = 4, HEADS = 2 };
    const float p = 0.2f;
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(engine, true, &g, NULL), FTL_OK);
    const size_t shape[] = {2, N, HEADS * D}, n = 2 * N * HEADS * D;
    fi_node *q = fi_input(g, 3, shape), *k = fi_input(g, 3, shape), *v = fi_input(g, 3, shape);
    fi_attention settings = {.heads = HEADS, .scale = 1};
    fi_node *plain = fi_attend(g, q, k, v, NULL, NULL, &settings);
    settings.dropout = p;
    fi_node *dropped = fi_attend(g, q, k, v, NULL, NULL, &settings);
    fi_keep(g, plain);
    fi_keep(g, dropped);
    CHECK_INT(fi_plan(g, NULL, NULL), FTL_OK);
    for (size_t i = 0; i < n; i++) q->value[i] = noise(), k->value[i] = noise(), v->value[i] = noise();
    double *mean = calloc(n, sizeof *mean), *square = calloc(n, sizeof *square);
    for (uint64_t step = 0; step < MASKS; step++) {
        fi_graph_seed(g, 11, step);
        fi_forward(g);
        for (size_t i = 0; i < n; i++) {
            double x = dropped->value[i];
            mean[i] += x / MASKS;
            square[i] += x * x / MASKS;
        }
    }
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double deviation = sqrt((square[i] - mean[i] * mean[i]) / MASKS);
        CHECK(deviation > 0);
        worst = fmax(worst, fabs(mean[i] - plain->value[i]) / deviation);
    }
    if (worst > 4.5) fail_msg("the mean is %.1f standard deviations off", worst); /* of 144 numbers */
    free(mean);
    free(square);
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(the_share_of_weights_dropped_is_the_one_asked_for)
{
    /* Equal scores and values of one hot: the output is the mask. */
    enum { N_Q = 200, N_K = 40 };
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    CHECK_INT(fi_engine_new(2, &engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(engine, true, &g, NULL), FTL_OK);
    fi_node *q = fi_input(g, 3, (size_t[]){1, N_Q, 4}), *k = fi_input(g, 3, (size_t[]){1, N_K, 4}),
            *v = fi_input(g, 3, (size_t[]){1, N_K, N_K});
    fi_node *out = fi_attend(g, q, k, v, NULL, NULL, &(fi_attention){.heads = 1, .scale = 1, .dropout = 0.1f});
    fi_keep(g, out);
    CHECK_INT(fi_plan(g, NULL, NULL), FTL_OK);
    memset(q->value, 0, q->size * sizeof(float));
    memset(k->value, 0, k->size * sizeof(float));
    for (size_t i = 0; i < v->size; i++) v->value[i] = i / N_K == i % N_K;
    fi_graph_seed(g, 1, 2);
    fi_forward(g);
    size_t kept = 0;
    for (size_t i = 0; i < out->size; i++) {
        if (out->value[i] != 0) CHECK_NEAR(out->value[i], 1 / (0.9 * N_K), 1e-6);
        kept += out->value[i] != 0;
    }
    const double n = N_Q * N_K;
    CHECK_NEAR((double)kept / n, 0.9, 4 * sqrt(0.09 / n)); /* four standard deviations of a binomial share */
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(a_dropout_of_nothing_changes_no_bit_and_of_everything_is_refused)
{
    problem p = {.b = 2, .heads = 2, .n_q = 50, .n_k = 60, .d = 16, .dv = 16, .scale = 1, .bias = true, .dropout = 0};
    arrays a = arrays_new(&p);
    result none = run_graph(&p, &a, 1, true);
    p.dropout = 0.5f; /* which inference does not know */
    result other = run_graph(&p, &a, 1, false);
    CHECK(memcmp(none.out, other.out, a.n_out * sizeof(float)) == 0);
    result_free(&none);
    result_free(&other);
    arrays_free(&a);
    fi_engine *engine = NULL;
    fi_graph *g = NULL;
    ftl_error err;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(engine, true, &g, NULL), FTL_OK);
    fi_node *x = fi_input(g, 3, (size_t[]){1, 2, 4});
    CHECK(!fi_attend(g, x, x, x, NULL, NULL, &(fi_attention){.heads = 1, .scale = 1, .dropout = 1}));
    CHECK_INT(fi_plan(g, NULL, &err), FTL_EINTERNAL);
    CHECK_CONTAINS(err.message, "[0, 1)");
    fi_graph_free(g);
    fi_engine_free(engine);
}

/* ---- the kernels of every instruction set, head by head ---- */

/* All heads of a problem without groups: forward, and if r has room for gradients backward. */
static void run_heads(const fi_attention_kernels *v, const problem *p, arrays *a, float *const in[N_PARTS], result *r,
                      float *scratch)
{
    const size_t n_bias = distances(p) + FI_HEAD_PAD;
    float *bias = calloc(n_bias, sizeof *bias), *dbias = calloc(n_bias, sizeof *dbias),
          *lse = calloc(p->n_q, sizeof *lse);
    const fi_dropout_mask dropout = mask_of(p);
    for (size_t unit = 0; unit < p->b * p->heads; unit++) {
        const size_t b = unit / p->heads, head = unit % p->heads, q = (b * p->n_q * p->heads + head) * p->d,
                     k = (b * p->n_k * p->heads + head) * p->d, v_at = (b * p->n_k * p->heads + head) * p->dv,
                     out = (b * p->n_q * p->heads + head) * p->dv;
        fi_head h = {.n_q = p->n_q,
                     .n_k = p->cached ? p->n_keys : p->n_k,
                     .d = p->d,
                     .dv = p->dv,
                     .first = p->first,
                     .q = in[Q] + q,
                     .k = in[K] + k,
                     .v = in[V] + v_at,
                     .mask = p->mask ? a->mask + b * p->n_k : NULL,
                     .ld_q = p->heads * p->d,
                     .ld_k = p->heads * p->d,
                     .ld_v = p->heads * p->dv,
                     .ld_mask = 1,
                     .scale = p->scale,
                     .causal = p->causal,
                     .dropout = p->dropout > 0 ? &dropout : NULL,
                     .dropout_ld = (p->n_q + 15) / 16 * 16,
                     .out = r->out + out,
                     .ld_out = p->heads * p->dv,
                     .lse = lse,
                     .ld_lse = 1};
        for (size_t i = 0; p->bias && i < distances(p); i++) bias[i] = in[BIAS][(head + 1) * distances(p) - 1 - i];
        memset(dbias, 0, n_bias * sizeof *dbias);
        h.dropout_from = unit * ((p->n_k + 7) / 8) * h.dropout_ld;
        if (p->bias) h.bias = bias + p->n_k - 1;
        for (size_t from = 0; from < p->n_q; from += v->queries)
            v->attend(&h, from, from + v->queries < p->n_q ? from + v->queries : p->n_q, scratch);
        float *dout = malloc((a->n_out + 1) * sizeof *dout);
        for (size_t i = 0; i < a->n_out; i++) dout[i] = (float)a->weight[i];
        h.dout = dout + out;
        h.dq = r->grad[Q] + q;
        h.dk = r->grad[K] + k;
        h.dv_ = r->grad[V] + v_at;
        if (p->bias) h.dbias = dbias + p->n_k - 1;
        v->attend_back(&h, scratch);
        for (size_t i = 0; p->bias && i < distances(p); i++)
            r->grad[BIAS][head * distances(p) + i] += dbias[distances(p) - 1 - i];
        free(dout);
    }
    free(bias);
    free(dbias);
    free(lse);
}

TEST(the_kernels_of_every_instruction_set_agree_with_the_plain_formula)
{
    static const problem all[] = {
        {.b = 2, .heads = 2, .n_q = 100, .n_k = 150, .d = 64, .dv = 64, .scale = 0.125f, .mask = HOLES, .bias = true},
        {.b = 1, .heads = 2, .n_q = 131, .n_k = 131, .d = 20, .dv = 35, .scale = 0.3f, .bias = true, .causal = true},
        {.b = 2, .heads = 1, .n_q = 20, .n_k = 257, .d = 16, .dv = 8, .scale = 1, .mask = LEFT_PADDED},
        {.b = 2,
         .heads = 2,
         .n_q = 1,
         .n_k = 64,
         .d = 33,
         .dv = 70,
         .scale = 1,
         .bias = true,
         .causal = true,
         .cached = true,
         .first = 40,
         .n_keys = 41},
        {.b = 2, .heads = 1, .n_q = 3, .n_k = 50, .d = 5, .dv = 3, .scale = 1, .mask = NOTHING_SEEN},
        {.b = 2, .heads = 2, .n_q = 100, .n_k = 150, .d = 8, .dv = 8, .scale = 1, .mask = HOLES, .dropout = 0.5f},
        {.b = 1, .heads = 1, .n_q = 30, .n_k = 40, .d = 1024, .dv = 1000, .scale = 0.05f},
    };
    float *scratch = fi_aligned_alloc(FI_SCRATCH_BYTES, 1);
    const fi_attention_kernels *kernels[8];
    size_t n_float = 0, n = 0;
    for (const fi_vectors *const *v = fi_vectors_all(); *v; v++) kernels[n++] = &(*v)->attention;
    n_float = n;
    for (const fi_attention_kernels *const *v = fi_attention_all_bf16(); *v; v++) kernels[n++] = *v;
    for (size_t t = 0; t < n * (sizeof all / sizeof *all); t++) {
        problem p = all[t / n];
        p.bf16 = t % n >= n_float;
        if (p.bf16) p.scale = 0.25f; /* rounds nothing */
        arrays a = arrays_new(&p);
        oracle(&p, &a, true);
        float *in[N_PARTS];
        result r = {.out = calloc(a.n_out + 1, sizeof(float))};
        for (int part = 0; part < N_PARTS; part++) {
            in[part] = malloc((a.size[part] + 1) * sizeof(float));
            for (size_t i = 0; i < a.size[part]; i++) in[part][i] = (float)a.in[part][i];
            r.grad[part] = calloc(a.size[part] + 1, sizeof(float));
        }
        run_heads(kernels[t % n], &p, &a, in, &r, scratch);
        check_close(kernels[t % n]->name, &p, r.out, a.out, a.n_out, out_tolerance(&p));
        for (int part = 0; part < N_PARTS; part++)
            check_close(kernels[t % n]->name, &p, r.grad[part], a.grad[part], a.size[part], grad_tolerance(&p));
        result_free(&r);
        for (int part = 0; part < N_PARTS; part++) free(in[part]);
        arrays_free(&a);
    }
    fi_aligned_free(scratch);
}

/* A row computed alone, with others, and padded further has the same bits. */
static void check_mates(bool bf16)
{
    enum { HEADS = 2, D = 16, N = 70, MORE = 37, LONG = N + MORE };
    problem alone = {.b = 1, .heads = HEADS, .n_q = N, .n_k = N, .d = D, .dv = D, .scale = 0.25f, .bf16 = bf16},
            mates = {.b = 3,
                     .heads = HEADS,
                     .n_q = LONG,
                     .n_k = LONG,
                     .d = D,
                     .dv = D,
                     .scale = 0.25f,
                     .mask = LEFT_PADDED,
                     .bf16 = bf16};
    arrays a = arrays_new(&alone), b = arrays_new(&mates);
    const size_t row = HEADS * D;
    for (size_t i = 0; i < LONG; i++) b.mask[LONG + i] = i < MORE ? 0.0f : 1.0f; /* the second row of the batch */
    for (int part = Q; part <= V; part++)
        memcpy(b.in[part] + (LONG + MORE) * row, a.in[part], N * row * sizeof(double));
    result one = run_graph(&alone, &a, 1, false), many = run_graph(&mates, &b, 2, false);
    CHECK(memcmp(one.out, many.out + (LONG + MORE) * row, N * row * sizeof(float)) == 0);
    result_free(&one);
    result_free(&many);
    arrays_free(&a);
    arrays_free(&b);
}

TEST(rows_do_not_depend_on_their_mates_nor_on_padding)
{
    check_mates(false);
    check_mates(true);
}

/* A group computed alone and among others has the same bits. */
TEST(groups_do_not_depend_on_other_groups)
{
    problem many =
                {.b = 9, .heads = 2, .n_q = 4, .n_k = 4, .d = 16, .dv = 8, .scale = 1, .mask = HOLES, .groups = groups},
            few = many;
    arrays a = arrays_new(&many), b;
    result all = run_graph(&many, &a, 2, false);
    for (size_t from = 0, to; from < many.b; from = to) {
        for (to = from; to < many.b && groups[to] == groups[from]; to++) {}
        few.b = to - from;
        few.groups = groups + from;
        b = arrays_new(&few);
        for (int part = Q; part <= V; part++) {
            size_t row = a.size[part] / many.b;
            memcpy(b.in[part], a.in[part] + from * row, few.b * row * sizeof(double));
        }
        memcpy(b.mask, a.mask + from * many.n_k, few.b * many.n_k * sizeof(float));
        result one = run_graph(&few, &b, 1, false);
        CHECK(memcmp(one.out, all.out + from * (a.n_out / many.b), b.n_out * sizeof(float)) == 0);
        result_free(&one);
        arrays_free(&b);
    }
    result_free(&all);
    arrays_free(&a);
}

/* ---- PyTorch's numbers: tests/data/attention.txt ---- */

/* The numbers of one line: `name count numbers`. */
static double *torch_numbers(const char *name, size_t *count)
{
    FILE *f = fopen(FTL_TEST_DATA "/attention.txt", "r");
    CHECK(f);
    char word[64];
    double *x = NULL;
    while (!x && fscanf(f, "%63s %zu", word, count) == 2) {
        double *line = calloc(*count + 1, sizeof *line);
        for (size_t i = 0; i < *count; i++) CHECK_INT(fscanf(f, "%lf", &line[i]), 1);
        if (strcmp(word, name))
            free(line);
        else
            x = line;
    }
    fclose(f);
    if (!x) fail_msg("attention.txt has no '%s'", name);
    return x;
}

static void put_torch(fi_node *node, const char *name)
{
    size_t n;
    double *x = torch_numbers(name, &n);
    CHECK_INT(n, node->size);
    put(node, x);
    free(x);
}

static void check_torch(const char *name, const float *got, double tolerance)
{
    size_t n;
    double *want = torch_numbers(name, &n);
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance))
            fail_msg("%s[%zu] is %.9g, expected %.9g", name, i, (double)got[i], want[i]);
    free(want);
}

static fi_graph *new_graph(fi_engine **engine)
{
    fi_graph *g = NULL;
    CHECK_INT(fi_engine_new(2, engine, NULL), FTL_OK);
    CHECK_INT(fi_graph_new(*engine, true, &g, NULL), FTL_OK);
    return g;
}

TEST(every_distance_falls_into_the_bucket_of_transformers)
{
    enum { FAR = 2000, BUCKETS = 32 };
    fi_engine *engine;
    fi_graph *g = new_graph(&engine);
    fi_node *table = fi_input(g, 2, (size_t[]){BUCKETS, 1}), *bias[2];
    for (int both = 0; both < 2; both++)
        fi_keep(g, bias[both] = fi_relative_bias(g, table, FAR + 1, FAR + 1, both, 128));
    CHECK_INT(fi_plan(g, NULL, NULL), FTL_OK);
    for (size_t i = 0; i < BUCKETS; i++) table->value[i] = (float)i;
    fi_forward(g);
    for (int both = 0; both < 2; both++) {
        size_t n, at = 0;
        double *from = torch_numbers(both ? "buckets_both_from" : "buckets_causal_from", &n),
               *bucket = torch_numbers(both ? "buckets_both" : "buckets_causal", &n);
        for (int distance = -FAR; distance <= FAR; distance++) {
            while (at + 1 < n && distance >= from[at + 1]) at++;
            if (bias[both]->value[distance + FAR] != bucket[at])
                fail_msg("distance %d is in bucket %g, expected %g", distance,
                         (double)bias[both]->value[distance + FAR], bucket[at]);
        }
        free(from);
        free(bucket);
    }
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(attention_and_its_gradients_are_pytorchs)
{
    fi_engine *engine;
    fi_graph *g = new_graph(&engine);
    fi_node *table = fi_input(g, 2, (size_t[]){32, 2}), *q = fi_input(g, 3, (size_t[]){2, 5, 8}),
            *k = fi_input(g, 3, (size_t[]){2, 7, 8}), *v = fi_input(g, 3, (size_t[]){2, 7, 6}),
            *mask = fi_input(g, 2, (size_t[]){2, 7}), *weight = fi_input(g, 3, (size_t[]){2, 5, 6});
    fi_node *const leaf[] = {table, q, k, v};
    for (size_t i = 0; i < 4; i++) fi_want_grad(g, leaf[i]);
    fi_node *out = fi_attend(g, q, k, v, mask, fi_relative_bias(g, table, 5, 7, true, 128),
                             &(fi_attention){.heads = 2, .scale = 0.75f});
    fi_keep(g, out);
    CHECK_INT(fi_plan(g, weigh(g, out, weight), NULL), FTL_OK);
    put_torch(table, "table");
    put_torch(q, "q");
    put_torch(k, "k");
    put_torch(v, "v");
    put_torch(mask, "mask");
    put_torch(weight, "weight");
    fi_forward(g);
    fi_backward(g, 1);
    check_torch("out", out->value, 1e-6);
    check_torch("dtable", table->grad, 5e-6);
    check_torch("dq", q->grad, 5e-6);
    check_torch("dk", k->grad, 5e-6);
    check_torch("dv", v->grad, 5e-6);
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(rotary_positions_are_those_of_chronos_2_and_turn_back)
{
    fi_engine *engine;
    fi_graph *g = new_graph(&engine);
    size_t first = 500;
    fi_node *x = fi_input(g, 3, (size_t[]){1, 3, 32}), *weight = fi_input(g, 3, (size_t[]){1, 3, 32});
    fi_want_grad(g, x);
    fi_node *y = fi_rope(g, x, 2, 10000, &first);
    fi_keep(g, y);
    CHECK_INT(fi_plan(g, weigh(g, y, weight), NULL), FTL_OK);
    for (int run = 0; run < 2; run++) {
        first = run ? 500 : 0; /* read at run time */
        put_torch(x, "rope_x");
        fi_forward(g);
        for (size_t i = 0; i < 32 && !run; i++) CHECK(y->value[i] == x->value[i]);
    }
    check_torch("rope_500", y->value, 1e-6);
    memcpy(weight->value, y->value, y->size * sizeof(float)); /* x turned and turned back */
    fi_backward(g, 1);
    check_torch("rope_x", x->grad, 1e-6);
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(masked_softmax_and_its_gradient_are_pytorchs)
{
    fi_engine *engine;
    fi_graph *g = new_graph(&engine);
    fi_node *x = fi_input(g, 3, (size_t[]){2, 3, 5}), *mask = fi_input(g, 2, (size_t[]){2, 5}),
            *weight = fi_input(g, 3, (size_t[]){2, 3, 5});
    fi_want_grad(g, x);
    fi_node *y = fi_softmax(g, x, mask);
    fi_keep(g, y);
    CHECK_INT(fi_plan(g, weigh(g, y, weight), NULL), FTL_OK);
    put_torch(x, "softmax_x");
    put_torch(mask, "softmax_mask");
    put_torch(weight, "softmax_dy");
    fi_forward(g);
    fi_backward(g, 1);
    check_torch("softmax", y->value, 1e-6);
    check_torch("softmax_dx", x->grad, 1e-6);
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(an_empty_batch_has_a_softmax_of_nothing)
{
    fi_engine *engine;
    fi_graph *g = new_graph(&engine);
    fi_node *y = fi_softmax(g, fi_input(g, 3, (size_t[]){0, 3, 5}), fi_input(g, 2, (size_t[]){0, 5}));
    CHECK(y && y->size == 0);
    CHECK_INT(fi_plan(g, NULL, NULL), FTL_OK);
    fi_forward(g);
    fi_graph_free(g);
    fi_engine_free(engine);
}

TEST(what_does_not_fit_is_told)
{
    static const struct {
        size_t q[3], k[3], v[3], bias[2];
        const char *why;
    } all[] = {
        {{1, 2, 8}, {1, 3, 8}, {1, 3, 9}, {0}, "heads x width"},
        {{1, 2, 8}, {1, 3, 4}, {1, 3, 4}, {0}, "equal widths"},
        {{1, 2, 8}, {1, 3, 8}, {1, 4, 8}, {0}, "every key has a value"},
        {{2, 2, 8}, {1, 3, 8}, {1, 3, 8}, {0}, "equal batches"},
        {{1, 2, 8}, {1, 3, 8}, {1, 3, 8}, {2, 5}, "[heads, distances]"},
    };
    fi_engine *engine = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        fi_graph *g = NULL;
        ftl_error err;
        CHECK_INT(fi_graph_new(engine, false, &g, NULL), FTL_OK);
        fi_node *bias = all[i].bias[0] ? fi_input(g, 2, all[i].bias) : NULL;
        CHECK(!fi_attend(g, fi_input(g, 3, all[i].q), fi_input(g, 3, all[i].k), fi_input(g, 3, all[i].v), NULL, bias,
                         &(fi_attention){.heads = 2, .scale = 1}));
        CHECK_INT(fi_plan(g, NULL, &err), FTL_EINTERNAL);
        CHECK_CONTAINS(err.message, all[i].why);
        fi_graph_free(g);
    }
    fi_engine_free(engine);
}

TEST(a_lack_of_memory_is_told_and_leaks_nothing)
{
    fi_engine *engine = NULL;
    CHECK_INT(fi_engine_new(1, &engine, NULL), FTL_OK);
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 200; n++) {
        fi_graph *g = NULL;
        fi_alloc_fail_after(n);
        st = fi_graph_new(engine, true, &g, NULL);
        if (!st) {
            fi_node *x = fi_input(g, 3, (size_t[]){2, 3, 8}), *table = fi_input(g, 2, (size_t[]){8, 2}),
                    *mask = fi_input(g, 2, (size_t[]){2, 3});
            fi_want_grad(g, x);
            fi_node *y = fi_rope(g, x, 2, 10000, NULL);
            fi_node *bias = fi_relative_bias(g, table, 3, 3, true, 16);
            y = fi_attend(g, y, y, x, mask, bias, &(fi_attention){.heads = 2, .scale = 1});
            y = fi_softmax(g, y, NULL);
            st = fi_plan(g, weigh(g, y, fi_input(g, 3, (size_t[]){2, 3, 8})), NULL);
        }
        fi_graph_free(g);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
    fi_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_gradients_are_those_of_central_differences),
        cmocka_unit_test(attention_and_its_gradients_on_awkward_shapes),
        cmocka_unit_test(cached_decoding_sees_the_keys_so_far),
        cmocka_unit_test(groups_attend_along_the_first_dimension),
        cmocka_unit_test(long_sequences),
        cmocka_unit_test(attention_with_bf16_products_on_awkward_shapes),
        cmocka_unit_test(bf16_products_cost_half_a_percent),
        cmocka_unit_test(the_mean_over_many_masks_is_attention_without_dropout),
        cmocka_unit_test(the_share_of_weights_dropped_is_the_one_asked_for),
        cmocka_unit_test(a_dropout_of_nothing_changes_no_bit_and_of_everything_is_refused),
        cmocka_unit_test(the_kernels_of_every_instruction_set_agree_with_the_plain_formula),
        cmocka_unit_test(rows_do_not_depend_on_their_mates_nor_on_padding),
        cmocka_unit_test(groups_do_not_depend_on_other_groups),
        cmocka_unit_test(every_distance_falls_into_the_bucket_of_transformers),
        cmocka_unit_test(attention_and_its_gradients_are_pytorchs),
        cmocka_unit_test(rotary_positions_are_those_of_chronos_2_and_turn_back),
        cmocka_unit_test(masked_softmax_and_its_gradient_are_pytorchs),
        cmocka_unit_test(an_empty_batch_has_a_softmax_of_nothing),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(a_lack_of_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
