/* Measures the kernels. A new shape is a row of `cases`; a new kind of kernel is a function that prepares it. */
#include <foretell/bench.h>

#include "base/error.h"
#include "tensor/convolve.h"
#include "tensor/kernels.h"
#include "tensor/onednn.h"
#include "tensor/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_SAMPLES = 64, MIN_SAMPLES = 1 };

/* A kernel ready to run. */
typedef struct subject {
    fi_engine *engine;
    void (*run)(struct subject *);
    double operations, bytes; /* of one run; bytes > 0: memory is the limit */
    float *a, *b, *c, *w;
    fi_packed *packed;
    fi_product product;
    fi_conv conv;
    fi_graph *graph;
} subject;

typedef struct bench_case {
    const char *group, *kernel;
    ftl_status (*prepare)(subject *, const struct bench_case *, fi_dtype);
    size_t size[5];
    bool all_types; /* F32, BF16 and I8, not only F32 */
} bench_case;

static float *numbers(size_t n)
{
    float *x = fi_aligned_alloc(n, sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = (float)(i * 7 % 31) / 16 - 1;
    return x;
}

static void run_product(subject *s)
{
    fi_multiply(s->engine, &s->product);
}

/* size: m, k, n; B packed from a Linear layer's [n, k]. */
static ftl_status prepare_product(subject *s, const bench_case *c, fi_dtype type)
{
    const size_t m = c->size[0], k = c->size[1], n = c->size[2];
    s->a = numbers(m * k);
    s->b = numbers(k * n);
    s->c = numbers(m * n);
    if (!s->a || !s->b || !s->c || fi_pack(s->engine, type, k, n, s->b, k, true, &s->packed, NULL)) return FTL_ENOMEM;
    s->product = (fi_product){.m = m, .n = n, .k = k, .a = s->a, .lda = k, .packed = s->packed, .c = s->c, .ldc = n};
    s->operations = 2 * (double)m * (double)n * (double)k;
    s->bytes = m == 1 ? (double)s->packed->bytes : 0; /* one row is bound by reading B */
    s->run = run_product;
    return FTL_OK;
}

static void run_conv(subject *s)
{
    fi_conv_forward(s->engine, &s->conv, s->a, s->w, NULL, s->c, false);
}

static void run_conv_data(subject *s)
{
    fi_conv_backward_data(s->engine, &s->conv, s->c, s->w, NULL, s->a, false);
}

static void run_conv_weights(subject *s)
{
    fi_conv_backward_weights(s->engine, &s->conv, s->a, s->c, s->w);
}

/* size: batch, height = width, channels in, channels out, which pass; 3x3 with padding 1. */
static ftl_status prepare_conv(subject *s, const bench_case *c, fi_dtype type)
{
    static void (*const passes[])(subject *) = {run_conv, run_conv_data, run_conv_weights};
    const size_t n = c->size[0], side = c->size[1], in = c->size[2], out = c->size[3];
    const fi_conv_axis axis = {.in = side, .out = side, .taps = 3, .stride = 1, .pad = 1, .dilation = 1};
    (void)type;
    s->conv = (fi_conv){.k = fi_conv_kernels_best(), .n = n, .c = in, .o = out, .y = axis, .x = axis};
    s->a = numbers(n * side * side * in);
    s->c = numbers(n * side * side * out);
    s->w = numbers(9 * in * out);
    s->b = numbers(fi_conv_packed_size(&s->conv, true));
    if (!s->a || !s->b || !s->c || !s->w) return FTL_ENOMEM;
    s->conv.packed = s->b;
    s->operations = 2 * 9 * (double)(n * side * side) * (double)in * (double)out;
    s->run = passes[c->size[4]];
    return FTL_OK;
}

static void run_graph(subject *s)
{
    fi_forward(s->graph);
}

static void run_graph_back(subject *s)
{
    fi_forward(s->graph);
    fi_backward(s->graph, 1);
}

/* size: batch, heads, queries, keys, width of a head. */
static ftl_status prepare_attention_of(subject *s, const bench_case *c, bool back)
{
    const size_t batch = c->size[0], heads = c->size[1], d = c->size[4];
    ftl_status st = fi_graph_new(s->engine, back, &s->graph, NULL);
    if (st) return st;
    fi_node *in[3];
    for (int i = 0; i < 3; i++) {
        in[i] = fi_input(s->graph, 3, (size_t[]){batch, c->size[i ? 3 : 2], heads * d});
        fi_want_grad(s->graph, in[i]);
    }
    fi_node *out =
        fi_attend(s->graph, in[0], in[1], in[2], NULL, NULL, &(fi_attention){.heads = heads, .scale = 0.125f});
    if (out) fi_keep(s->graph, out);
    if ((st = fi_plan(s->graph, back ? fi_mse(s->graph, out, in[0], NULL) : NULL, NULL))) return st;
    for (int i = 0; i < 3; i++)
        for (size_t j = 0; j < in[i]->size; j++) in[i]->value[j] = (float)(j * 7 % 31) / 16 - 1;
    /* forward two products, backward five */
    s->operations = (back ? 14 : 4) * (double)(batch * heads) * (double)(c->size[2] * c->size[3]) * (double)d;
    s->run = back ? run_graph_back : run_graph;
    return FTL_OK;
}

static ftl_status prepare_attention(subject *s, const bench_case *c, fi_dtype type)
{
    (void)type;
    return prepare_attention_of(s, c, false);
}

static ftl_status prepare_attention_back(subject *s, const bench_case *c, fi_dtype type)
{
    (void)type;
    return prepare_attention_of(s, c, true);
}

static const bench_case cases[] = {
    {"product", "512 x 512 x 512", prepare_product, {512, 512, 512}, true},
    {"product", "2048 x 2048 x 2048", prepare_product, {2048, 2048, 2048}, true},
    {"product", "16384 x 512 x 2048", prepare_product, {16384, 512, 2048}, true},
    {"product", "20 x 512 x 2048", prepare_product, {20, 512, 2048}, true},
    {"product", "20 x 2048 x 512", prepare_product, {20, 2048, 512}, true},
    {"one row", "1 x 512 x 2048", prepare_product, {1, 512, 2048}, true},
    {"one row", "1 x 512 x 4096", prepare_product, {1, 512, 4096}, true},
    {"convolution", "100 of 16 x 16 x 64 to 64, forward", prepare_conv, {100, 16, 64, 64, 0}, false},
    {"convolution", "100 of 16 x 16 x 64 to 64, data", prepare_conv, {100, 16, 64, 64, 1}, false},
    {"convolution", "100 of 16 x 16 x 64 to 64, weights", prepare_conv, {100, 16, 64, 64, 2}, false},
    {"convolution", "100 of 8 x 8 x 128 to 128, forward", prepare_conv, {100, 8, 128, 128, 0}, false},
    {"convolution", "100 of 8 x 8 x 128 to 128, data", prepare_conv, {100, 8, 128, 128, 1}, false},
    {"convolution", "100 of 8 x 8 x 128 to 128, weights", prepare_conv, {100, 8, 128, 128, 2}, false},
    {"attention", "4 x 8 heads of 512 x 512 x 64", prepare_attention, {4, 8, 512, 512, 64}, false},
    {"attention", "the same with its gradients", prepare_attention_back, {4, 8, 512, 512, 64}, false},
    {"attention", "16 x 8 heads of 64 x 64 x 64", prepare_attention, {16, 8, 64, 64, 64}, false},
    {"attention", "8 heads of 20 x 513 x 64", prepare_attention, {1, 8, 20, 513, 64}, false},
    {"attention", "20 x 8 heads of 1 x 64 x 64", prepare_attention, {20, 8, 1, 64, 64}, false},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void discard(subject *s)
{
    fi_graph_free(s->graph);
    fi_packed_free(s->packed);
    fi_aligned_free(s->a);
    fi_aligned_free(s->b);
    fi_aligned_free(s->c);
    fi_aligned_free(s->w);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What all threads do together for a limit: multiply in registers, or read their share of a block. */
typedef struct limit {
    fi_engine *engine;
    const fi_arithmetic *how;
    const uint32_t *words; /* NULL: multiply */
    size_t n;              /* passes, or words of the block */
} limit;

static void reach(void *user, size_t i, float *scratch)
{
    const limit *l = user;
    (void)scratch;
    if (!l->words) {
        l->how->spin(l->n);
        return;
    }
    const size_t from = l->n * i / l->engine->n_threads, to = l->n * (i + 1) / l->engine->n_threads;
    l->engine->k->read(l->words + from, to - from);
}

/* Operations or bytes in a second, all threads together. */
static double limit_now(const limit *l)
{
    const int turns = l->words ? 1 + (int)((4 << 20) / l->n) : 1;
    double start = now();
    for (int t = 0; t < turns; t++) fi_engine_run(l->engine, l->engine->n_threads, reach, (void *)l);
    double seconds = now() - start;
    if (l->words) return (double)l->n * 4 * turns / seconds;
    return l->how->spin(1) * (double)l->n * (double)l->engine->n_threads / seconds;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_size);
    return x[n / 2];
}

/* The kernel and its limit by turns, until the time is over. */
static void measure(subject *s, const limit *l, double seconds, ftl_kernel_speed *row)
{
    double took[MAX_SAMPLES], fraction[MAX_SAMPLES], end = now() + seconds;
    const double work = s->bytes > 0 ? s->bytes : s->operations;
    double start = now();
    s->run(s); /* warms up */
    const int turns = 1 + (int)fmin(1000, 1e-3 / (now() - start));
    size_t n = 0;
    for (double before = limit_now(l); n < MAX_SAMPLES && (n < MIN_SAMPLES || now() < end); n++) {
        start = now();
        for (int t = 0; t < turns; t++) s->run(s);
        took[n] = (now() - start) / turns;
        double after = limit_now(l);
        fraction[n] = work / took[n] / (0.5 * (before + after));
        before = after;
    }
    row->seconds = median(took, n);
    row->fraction = median(fraction, n);
    row->per_second = work / row->seconds * 1e-9;
}

static const fi_dtype types[] = {FI_F32, FI_BF16, FI_I8};

/* Passes that take a third of a millisecond. */
static size_t passes(const fi_arithmetic *how)
{
    size_t n = 1024;
    for (double seconds = 0; seconds < 3e-4; n *= 2) {
        double start = now();
        how->spin(n);
        seconds = now() - start;
    }
    return n;
}

static bool hand_over(const fi_engine *engine, ftl_kernel_speed row, ftl_kernel_speed_fn *fn, void *user)
{
    row.set = engine->onednn ? "oneDNN" : engine->k->name;
    row.threads = engine->n_threads;
    return fn(user, &row);
}

static ftl_status bench_limits(fi_engine *engine, double seconds, ftl_kernel_speed_fn *fn, void *user)
{
    static const struct {
        const char *name;
        size_t bytes;
    } blocks[] = {{"reading 512 KB", 512u << 10}, {"reading 4 MB", 4u << 20}, {"reading 128 MB", 128u << 20}};
    float *block = numbers((128u << 20) / sizeof *block);
    if (!block) return FTL_ENOMEM;
    bool go_on = true;
    for (size_t i = 0; i < 6 && go_on; i++) {
        const fi_arithmetic *how = fi_arithmetic_of(engine->k, types[i % 3]);
        limit l = {engine, how, NULL, 0};
        if (i < 3) {
            l.n = passes(how);
        } else {
            l.words = (const uint32_t *)(const void *)block;
            l.n = blocks[i - 3].bytes / sizeof *l.words;
        }
        double rate[MAX_SAMPLES], end = now() + seconds;
        size_t n = 0;
        for (; n < MAX_SAMPLES && (n < MIN_SAMPLES || now() < end); n++) rate[n] = limit_now(&l);
        go_on = hand_over(engine,
                          (ftl_kernel_speed){.group = "limit",
                                             .kernel = i < 3 ? "multiply and add" : blocks[i - 3].name,
                                             .type = fi_dtype_name(i < 3 ? types[i] : FI_F32),
                                             .per_second = median(rate, n) * 1e-9,
                                             .unit = i < 3 ? "GF/s" : "GB/s",
                                             .fraction = 1,
                                             .limit = ""},
                          fn, user);
    }
    fi_aligned_free(block);
    return go_on ? FTL_OK : FTL_ECANCELLED;
}

/* Words of the panels of B. */
static size_t panel_words(const subject *s)
{
    const size_t panels = (s->packed->n + FI_PANEL - 1) / FI_PANEL;
    return panels * fi_panel_lanes(s->packed->type, s->packed->k) * FI_PANEL;
}

/* Whether the engine leaves this one to oneDNN. */
static bool goes_to_onednn(const subject *s)
{
    if (s->run == run_product) return fi_onednn_multiply(s->engine, &s->product);
    return s->run == run_conv && fi_onednn_convolve(s->engine, &s->conv, s->a, s->w, NULL, s->c, false);
}

static ftl_status bench_case_of(fi_engine *engine, const bench_case *c, fi_dtype type, double seconds,
                                ftl_kernel_speed_fn *fn, void *user)
{
    subject s = {.engine = engine};
    ftl_status st = c->prepare(&s, c, type);
    if (!st && (!engine->onednn || goes_to_onednn(&s))) {
        limit l = {.engine = engine, .how = fi_arithmetic_of(engine->k, type)};
        l.n = s.bytes > 0 ? panel_words(&s) : passes(l.how);
        if (s.bytes > 0) l.words = s.packed->panels;
        const char *group = c->group;
        if (engine->onednn) group = s.run == run_product ? "product, by oneDNN" : "convolution, by oneDNN";
        ftl_kernel_speed row = {.group = group,
                                .kernel = c->kernel,
                                .type = fi_dtype_name(type),
                                .unit = s.bytes > 0 ? "GB/s" : "GF/s",
                                .limit = s.bytes > 0 ? "bandwidth" : "peak"};
        measure(&s, &l, seconds, &row);
        st = hand_over(engine, row, fn, user) ? FTL_OK : FTL_ECANCELLED;
    }
    discard(&s);
    return st;
}

static ftl_status bench_cases(fi_engine *engine, double seconds, ftl_kernel_speed_fn *fn, void *user)
{
    ftl_status st = FTL_OK;
    for (size_t i = 0; i < N_CASES && !st; i++)
        for (size_t t = 0; t < (cases[i].all_types ? 3 : 1) && !st; t++)
            st = bench_case_of(engine, &cases[i], types[t], seconds, fn, user);
    return st;
}

ftl_status ftl_bench_kernels(size_t n_threads, double seconds, ftl_kernel_speed_fn *row, void *user, ftl_error *err)
{
    if (!(seconds > 0)) return fi_fail(err, FTL_EINVAL, "seconds for each kernel is %g, but must be positive", seconds);
    fi_engine *engine;
    ftl_status st = fi_engine_new(n_threads, &engine, err);
    if (st) return st;
    st = bench_limits(engine, seconds, row, user);
    if (!st) st = bench_cases(engine, seconds, row, user);
    if (!st && !fi_engine_onednn(engine, NULL)) st = bench_cases(engine, seconds, row, user); /* beside ours */
    fi_engine_free(engine);
    if (st == FTL_ENOMEM) return fi_fail_memory(err);
    if (st == FTL_ECANCELLED) return fi_fail(err, st, "cancelled");
    return st;
}
