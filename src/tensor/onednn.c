#include "tensor/onednn.h"

#include "base/alloc.h"
#include "base/error.h"

#ifndef FTL_ONEDNN

ftl_status fi_engine_onednn(fi_engine *engine, ftl_error *err)
{
    (void)engine;
    return fi_fail(err, FTL_EINVAL, "oneDNN is not in this build of foretell; configure it with -DFORETELL_ONEDNN=ON");
}

/* No engine has it, so nobody comes here. */
void fi_onednn_free(fi_onednn *o)
{
    (void)o;
}

void fi_onednn_weights_free(fi_onednn_weights *w)
{
    (void)w;
}

ftl_status fi_onednn_pack(const fi_onednn *o, fi_packed *packed, const float *b, size_t ldb, bool transposed,
                          ftl_error *err)
{
    (void)o, (void)packed, (void)b, (void)ldb, (void)transposed, (void)err;
    return FTL_OK;
}

bool fi_onednn_multiply(fi_engine *engine, const fi_product *p)
{
    (void)engine, (void)p;
    return false;
}

bool fi_onednn_convolve(fi_engine *engine, const fi_conv *v, const float *x, const float *w, const float *bias,
                        float *out, bool add)
{
    (void)engine, (void)v, (void)x, (void)w, (void)bias, (void)out, (void)add;
    return false;
}

#else

#include "tensor/rows.h"
#include "tensor/vector.h"

#include <math.h>
#include <oneapi/dnnl/dnnl.h>
#include <string.h>
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

enum {
    SLAB = 256,      /* rows of one call */
    LEAST_ROWS = 64, /* below, our own kernels lose nothing by packing */
    LEAST_WEIGHTS = 1 << 16,
    LEAST_WORK = 1 << 22, /* multiplications; making the call ready takes as long as 2^20 */
    PARTS = 16            /* of the images of a convolution */
};

struct fi_onednn {
    dnnl_engine_t engine;
    size_t n_threads;
    dnnl_stream_t stream[]; /* [n_threads] */
};

/* ---- what versions 2 and 3 say differently ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t shape; /* owned */
#define REF(d)         (d)
#define REF_OR_NULL(d) (d)

static bool shape_of(shape *d, int n, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return !(strides ? dnnl_memory_desc_create_with_strides(d, n, dims, type, strides)
                     : dnnl_memory_desc_create_with_tag(d, n, dims, type, dnnl_format_tag_any));
}

static bool copy_shape(shape *to, const_dnnl_memory_desc_t from)
{
    return !dnnl_memory_desc_clone(to, from);
}

static void drop_shape(shape *d)
{
    if (*d) dnnl_memory_desc_destroy(*d);
}
#else
typedef dnnl_memory_desc_t shape;
#define REF(d)         (&(d))
#define REF_OR_NULL(d) ((d).ndims ? &(d) : NULL)

static bool shape_of(shape *d, int n, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return !(strides ? dnnl_memory_desc_init_by_strides(d, n, dims, type, strides)
                     : dnnl_memory_desc_init_by_tag(d, n, dims, type, dnnl_format_tag_any));
}

static bool copy_shape(shape *to, const dnnl_memory_desc_t *from)
{
    *to = *from;
    return true;
}

static void drop_shape(shape *d)
{
    (void)d;
}
#endif

enum { SRC, WEIGHTS, BIAS, DST, SCRATCH, N_ARGS };

/* Geometry of a convolution as oneDNN counts it. */
typedef struct geometry {
    dnnl_dims_t strides, dilates, before, after;
} geometry;

/* A product, or with g a convolution. */
static bool describe(dnnl_engine_t engine, const shape *d, const geometry *g, const_dnnl_primitive_attr_t attr,
                     dnnl_primitive_desc_t *out)
{
#if DNNL_VERSION_MAJOR >= 3
    if (!g) return !dnnl_matmul_primitive_desc_create(out, engine, d[SRC], d[WEIGHTS], d[BIAS], d[DST], attr);
    return !dnnl_convolution_forward_primitive_desc_create(out, engine, dnnl_forward_inference, dnnl_convolution_direct,
                                                           d[SRC], d[WEIGHTS], d[BIAS], d[DST], g->strides, g->dilates,
                                                           g->before, g->after, attr);
#else
    dnnl_matmul_desc_t product;
    dnnl_convolution_desc_t conv;
    if (g ? dnnl_dilated_convolution_forward_desc_init(&conv, dnnl_forward_inference, dnnl_convolution_direct, &d[SRC],
                                                       &d[WEIGHTS], REF_OR_NULL(d[BIAS]), &d[DST], g->strides,
                                                       g->dilates, g->before, g->after)
          : dnnl_matmul_desc_init(&product, &d[SRC], &d[WEIGHTS], REF_OR_NULL(d[BIAS]), &d[DST]))
        return false;
    return !dnnl_primitive_desc_create(out, g ? (const void *)&conv : (const void *)&product, attr, engine, NULL);
#endif
}

/* ---- one thread at a time ---- */

/* Where oneDNN brings OpenMP, its calls keep to the thread they are made on. Gives what is to be handed to together(). */
static int alone(void)
{
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
#else
    return 1;
#endif
}

static void together(int before)
{
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
    omp_set_num_threads(before);
#else
    (void)before;
#endif
}

ftl_status fi_engine_onednn(fi_engine *engine, ftl_error *err)
{
    if (engine->onednn) return FTL_OK;
    fi_onednn *o = fi_calloc(1, sizeof *o + engine->n_threads * sizeof *o->stream);
    if (!o) return fi_fail_memory(err);
    o->n_threads = engine->n_threads;
    bool ok = !dnnl_engine_create(&o->engine, dnnl_cpu, 0);
    for (size_t i = 0; i < o->n_threads && ok; i++)
        ok = !dnnl_stream_create(&o->stream[i], o->engine, dnnl_stream_default_flags);
    if (!ok) {
        fi_onednn_free(o);
        return fi_fail_memory(err);
    }
    engine->onednn = o;
    return FTL_OK;
}

void fi_onednn_free(fi_onednn *o)
{
    if (!o) return;
    for (size_t i = 0; i < o->n_threads; i++)
        if (o->stream[i]) dnnl_stream_destroy(o->stream[i]);
    if (o->engine) dnnl_engine_destroy(o->engine);
    fi_free(o);
}

/* ---- calls ---- */

/* A primitive for one shape. */
typedef struct call {
    dnnl_primitive_desc_t how;
    dnnl_primitive_t run;
} call;

static void drop_call(call *c)
{
    if (c->run) dnnl_primitive_destroy(c->run);
    if (c->how) dnnl_primitive_desc_destroy(c->how);
}

/* dst = (add: dst +) ..., with memory of ours to work in. */
static bool make_call(const fi_onednn *o, const shape *d, const geometry *g, bool add, call *out)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    *out = (call){0};
    bool ok = !dnnl_primitive_attr_create(&attr) &&
              !dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) &&
              !dnnl_post_ops_create(&post) &&
              !(add && dnnl_post_ops_append_sum(post, 1
#if DNNL_VERSION_MAJOR >= 3
                                                ,
                                                0, dnnl_data_type_undef
#endif
                                                )) &&
              !dnnl_primitive_attr_set_post_ops(attr, post) && describe(o->engine, d, g, attr, &out->how) &&
              !dnnl_primitive_create(&out->run, out->how);
    if (post) dnnl_post_ops_destroy(post);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return ok;
}

#define SHAPE_IN(c, query, i) dnnl_primitive_desc_query_md((c)->how, query, i)

static size_t scratch_of(const call *c)
{
    return dnnl_memory_desc_get_size(SHAPE_IN(c, dnnl_query_scratchpad_md, 0));
}

/* data [N_ARGS]; a NULL bias is none. */
static bool run_call(const fi_onednn *o, size_t thread, const call *c, void *const *data)
{
    static const int names[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    static const struct {
        dnnl_query_t query;
        int index;
    } where[] = {{dnnl_query_src_md, 0},
                 {dnnl_query_weights_md, 0},
                 {dnnl_query_weights_md, 1},
                 {dnnl_query_dst_md, 0},
                 {dnnl_query_scratchpad_md, 0}};
    dnnl_exec_arg_t args[N_ARGS];
    int n = 0, before = alone();
    bool ok = true;
    for (int i = 0; i < N_ARGS && ok; i++) {
        if (!data[i]) continue;
        args[n].arg = names[i];
        ok = !dnnl_memory_create(&args[n].memory, SHAPE_IN(c, where[i].query, where[i].index), o->engine, data[i]);
        n += ok;
    }
    ok = ok && !dnnl_primitive_execute(c->run, o->stream[thread], n, args) && !dnnl_stream_wait(o->stream[thread]);
    while (n-- > 0) dnnl_memory_destroy(args[n].memory);
    together(before);
    return ok;
}

static bool reorder(const fi_onednn *o, const shape *from, const float *x, const shape *to, void *y)
{
    dnnl_primitive_desc_t how = NULL;
    dnnl_primitive_t run = NULL;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, NULL}, {DNNL_ARG_TO, NULL}};
    const int before = alone();
    bool ok = !dnnl_reorder_primitive_desc_create(&how, REF(*from), o->engine, REF(*to), o->engine, NULL) &&
              !dnnl_primitive_create(&run, how) &&
              !dnnl_memory_create(&args[0].memory, REF(*from), o->engine, (void *)x) &&
              !dnnl_memory_create(&args[1].memory, REF(*to), o->engine, y) &&
              !dnnl_primitive_execute(run, o->stream[0], 2, args) && !dnnl_stream_wait(o->stream[0]);
    for (int i = 0; i < 2; i++)
        if (args[i].memory) dnnl_memory_destroy(args[i].memory);
    if (run) dnnl_primitive_destroy(run);
    if (how) dnnl_primitive_desc_destroy(how);
    together(before);
    return ok;
}

/* ---- products ---- */

struct fi_onednn_weights {
    shape shape;
    void *data;
};

void fi_onednn_weights_free(fi_onednn_weights *w)
{
    if (!w) return;
    drop_shape(&w->shape);
    fi_aligned_free(w->data);
    fi_free(w);
}

static dnnl_data_type_t type_of(fi_dtype type)
{
    return type == FI_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* The call that multiplies m rows with weights of whatever layout it likes. */
static bool product_call(const fi_onednn *o, const fi_packed *b, size_t m, bool bias, bool add, call *out)
{
    const dnnl_dim_t rows = (dnnl_dim_t)m, k = (dnnl_dim_t)b->k, n = (dnnl_dim_t)b->n;
    shape d[N_ARGS] = {0};
    bool ok = shape_of(&d[SRC], 2, (dnnl_dims_t){rows, k}, type_of(b->type), (dnnl_dims_t){k, 1}) &&
              shape_of(&d[WEIGHTS], 2, (dnnl_dims_t){k, n}, type_of(b->type), NULL) &&
              (!bias || shape_of(&d[BIAS], 2, (dnnl_dims_t){1, n}, dnnl_f32, (dnnl_dims_t){n, 1})) &&
              shape_of(&d[DST], 2, (dnnl_dims_t){rows, n}, dnnl_f32, (dnnl_dims_t){n, 1});
    const int before = alone();
    ok = ok && make_call(o, d, NULL, add, out);
    together(before);
    for (int i = 0; i < N_ARGS; i++) drop_shape(&d[i]);
    return ok;
}

ftl_status fi_onednn_pack(const fi_onednn *o, fi_packed *packed, const float *b, size_t ldb, bool transposed,
                          ftl_error *err)
{
    const dnnl_dim_t k = (dnnl_dim_t)packed->k, n = (dnnl_dim_t)packed->n, ld = (dnnl_dim_t)ldb;
    if (packed->type == FI_I8 || packed->k * packed->n < LEAST_WEIGHTS) return FTL_OK;
    call c = {0};
    shape plain = {0};
    fi_onednn_weights *w = packed->onednn;
    bool ok = true;
    if (!w) {
        w = packed->onednn = fi_calloc(1, sizeof *w);
        ok = w && product_call(o, packed, SLAB, false, false, &c) &&
             copy_shape(&w->shape, SHAPE_IN(&c, dnnl_query_weights_md, 0));
        const size_t bytes = ok ? dnnl_memory_desc_get_size(REF(w->shape)) : 0;
        ok = ok && (w->data = fi_aligned_alloc(bytes, 1));
        packed->bytes += bytes;
    }
    ok = ok &&
         shape_of(&plain, 2, (dnnl_dims_t){k, n}, dnnl_f32, transposed ? (dnnl_dims_t){1, ld} : (dnnl_dims_t){ld, 1}) &&
         reorder(o, &plain, b, &w->shape, w->data);
    drop_shape(&plain);
    drop_call(&c);
    return ok ? FTL_OK : fi_fail_memory(err);
}

/* Rows (or images) are cut into parts of `slab`; what remains is a shape of its own. */
typedef struct job {
    fi_engine *engine;
    call slab_call, rest_call;
    size_t slab, n;
    const fi_product *p;
    const fi_conv *conv;
    const float *x, *bias;
    void *weights;
    float *out;
} job;

static size_t n_parts(const job *j)
{
    return (j->n + j->slab - 1) / j->slab;
}

static size_t rest_of(const job *j)
{
    return j->n - (n_parts(j) - 1) * j->slab;
}

static const call *call_of(const job *j, size_t part, size_t *rows)
{
    *rows = part + 1 < n_parts(j) ? j->slab : rest_of(j);
    return *rows == j->slab ? &j->slab_call : &j->rest_call;
}

static void drop_calls(job *j)
{
    drop_call(&j->slab_call);
    drop_call(&j->rest_call);
}

/* Activation and residual are ours, so that they are what they are in other products. */
static void finish_row(const fi_product *p, float *c, const float *residual)
{
    if (p->activation != FI_LINEAR) fi_vectors_best()->activate(p->activation, c, c, p->n);
    if (residual) fi_rows_best()->affine(c, residual, 1, 0, p->n, true);
}

static void product_part(void *user, size_t part, size_t thread)
{
    const job *j = user;
    const fi_product *p = j->p;
    char *scratch = (char *)j->engine->scratch[thread];
    size_t rows, first = part * j->slab;
    const call *c = call_of(j, part, &rows);
    void *data[N_ARGS] = {(void *)(p->a + first * p->lda), j->weights, (void *)p->bias, p->c + first * p->ldc, scratch};
    if (p->packed->type == FI_BF16) {
        uint16_t *narrow = (uint16_t *)(void *)scratch;
        for (size_t r = 0; r < rows; r++)
            fi_convert_from_f32(FI_BF16, p->a + (first + r) * p->lda, narrow + r * p->k, p->k);
        data[SRC] = narrow;
        data[SCRATCH] = scratch + (rows * p->k * sizeof *narrow + 63) / 64 * 64;
    }
    const bool ok = run_call(j->engine->onednn, thread, c, data);
    const bool residual = p->residual && p->residual != p->c;
    for (size_t r = first; r < first + rows; r++) {
        float *row = p->c + r * p->ldc;
        if (!ok) /* without memory for a few words; a wrong number must not pass for one */
            for (size_t i = 0; i < p->n; i++) row[i] = NAN;
        finish_row(p, row, residual ? p->residual + r * p->ld_residual : NULL);
    }
}

bool fi_onednn_multiply(fi_engine *engine, const fi_product *p)
{
    const fi_onednn_weights *w = p->packed ? p->packed->onednn : NULL;
    const bool onto = p->residual == p->c && p->residual, narrow = w && p->packed->type == FI_BF16;
    if (!w || p->a_transposed || p->m < LEAST_ROWS || p->m * p->k * p->n < LEAST_WORK) return false;
    if (p->lda != p->k || p->ldc != p->n) return false; /* it is slow with rows apart */
    if (onto && (p->activation != FI_LINEAR || p->ld_residual != p->ldc)) return false;
    job j = {.engine = engine, .n = p->m, .slab = p->m < 2 * SLAB ? (p->m + 1) / 2 : SLAB, .p = p, .weights = w->data};
    const size_t rest = rest_of(&j);
    const bool add = p->accumulate || onto, bias = p->bias;
    bool ok = product_call(engine->onednn, p->packed, j.slab, bias, add, &j.slab_call) &&
              (rest == j.slab || product_call(engine->onednn, p->packed, rest, bias, add, &j.rest_call));
    for (size_t part = n_parts(&j) < 2 ? 0 : n_parts(&j) - 2; part < n_parts(&j) && ok; part++) {
        size_t rows;
        const call *c = call_of(&j, part, &rows);
        ok = dnnl_memory_desc_equal(SHAPE_IN(c, dnnl_query_weights_md, 0), REF(w->shape)) &&
             scratch_of(c) + (narrow ? rows * p->k * 2 + 64 : 0) <= FI_SCRATCH_BYTES;
    }
    if (ok) fi_pool_run(engine->pool, n_parts(&j), product_part, &j);
    drop_calls(&j);
    return ok;
}

/* ---- convolutions ---- */

static void conv_part(void *user, size_t part, size_t thread)
{
    const job *j = user;
    const fi_conv *v = j->conv;
    const size_t in = v->y.in * v->x.in * v->c, out = v->y.out * v->x.out * v->o;
    size_t images, first = part * j->slab;
    const call *c = call_of(j, part, &images);
    void *data[N_ARGS] = {(void *)(j->x + first * in), j->weights, (void *)j->bias, j->out + first * out,
                          j->engine->scratch[thread]};
    if (!run_call(j->engine->onednn, thread, c, data))
        for (size_t i = first * out; i < (first + images) * out; i++) j->out[i] = NAN;
}

static dnnl_dim_t pad_after(const fi_conv_axis *a)
{
    return (dnnl_dim_t)((a->out - 1) * a->stride + (a->taps - 1) * a->dilation + 1) - (dnnl_dim_t)(a->in + a->pad);
}

static bool conv_call(const fi_onednn *o, const fi_conv *v, size_t images, bool bias, bool add, call *out)
{
    const dnnl_dim_t n = (dnnl_dim_t)images, c = (dnnl_dim_t)v->c, k = (dnnl_dim_t)v->o, ty = (dnnl_dim_t)v->y.taps,
                     tx = (dnnl_dim_t)v->x.taps, iy = (dnnl_dim_t)v->y.in, ix = (dnnl_dim_t)v->x.in,
                     oy = (dnnl_dim_t)v->y.out, ox = (dnnl_dim_t)v->x.out;
    const geometry g = {{(dnnl_dim_t)v->y.stride, (dnnl_dim_t)v->x.stride},
                        {(dnnl_dim_t)v->y.dilation - 1, (dnnl_dim_t)v->x.dilation - 1},
                        {(dnnl_dim_t)v->y.pad, (dnnl_dim_t)v->x.pad},
                        {pad_after(&v->y), pad_after(&v->x)}};
    shape d[N_ARGS] = {0};
    bool ok = shape_of(&d[SRC], 4, (dnnl_dims_t){n, c, iy, ix}, dnnl_f32, (dnnl_dims_t){iy * ix * c, 1, ix * c, c}) &&
              shape_of(&d[WEIGHTS], 4, (dnnl_dims_t){k, c, ty, tx}, dnnl_f32, NULL) &&
              (!bias || shape_of(&d[BIAS], 1, (dnnl_dims_t){k}, dnnl_f32, (dnnl_dims_t){1})) &&
              shape_of(&d[DST], 4, (dnnl_dims_t){n, k, oy, ox}, dnnl_f32, (dnnl_dims_t){oy * ox * k, 1, ox * k, k});
    const int before = alone();
    ok = ok && make_call(o, d, &g, add, out);
    together(before);
    for (int i = 0; i < N_ARGS; i++) drop_shape(&d[i]);
    return ok;
}

/* Weights are packed each time: in training they move, and elsewhere it is little beside the convolution. */
static bool pack_conv(const fi_onednn *o, const fi_conv *v, const float *w, const call *c)
{
    const dnnl_dim_t in = (dnnl_dim_t)v->c, tx = (dnnl_dim_t)v->x.taps, ty = (dnnl_dim_t)v->y.taps;
    shape plain = {0}, packed = {0};
    bool ok = shape_of(&plain, 4, (dnnl_dims_t){(dnnl_dim_t)v->o, in, ty, tx}, dnnl_f32,
                       (dnnl_dims_t){ty * tx * in, 1, tx * in, in}) &&
              copy_shape(&packed, SHAPE_IN(c, dnnl_query_weights_md, 0)) &&
              dnnl_memory_desc_get_size(REF(packed)) <= fi_conv_packed_size(v, false) * sizeof *v->packed &&
              reorder(o, &plain, w, &packed, v->packed);
    drop_shape(&plain);
    drop_shape(&packed);
    return ok;
}

bool fi_onednn_convolve(fi_engine *engine, const fi_conv *v, const float *x, const float *w, const float *bias,
                        float *out, bool add)
{
    const size_t taps = v->y.taps * v->x.taps;
    if (v->tiles || (taps != 1 && taps != 9) || !v->n || v->c < 16 || v->o < 16) return false;
    if (v->n * v->y.out * v->x.out * v->o * v->c * taps < LEAST_WORK) return false;
    job j = {.engine = engine,
             .n = v->n,
             .slab = (v->n + PARTS - 1) / PARTS,
             .conv = v,
             .x = x,
             .bias = bias,
             .weights = v->packed,
             .out = out};
    const size_t rest = rest_of(&j);
    bool ok =
        conv_call(engine->onednn, v, j.slab, bias, add, &j.slab_call) && scratch_of(&j.slab_call) <= FI_SCRATCH_BYTES;
    if (ok && rest != j.slab)
        ok = conv_call(engine->onednn, v, rest, bias, add, &j.rest_call) &&
             scratch_of(&j.rest_call) <= FI_SCRATCH_BYTES &&
             dnnl_memory_desc_equal(SHAPE_IN(&j.slab_call, dnnl_query_weights_md, 0),
                                    SHAPE_IN(&j.rest_call, dnnl_query_weights_md, 0));
    ok = ok && pack_conv(engine->onednn, v, w, &j.slab_call);
    if (ok) fi_pool_run(engine->pool, n_parts(&j), conv_part, &j);
    drop_calls(&j);
    return ok;
}

#endif
