/*
 * oneDNN (2.6 or later, and 3.x) for large products with packed weights and for convolutions forward, where it was built in
 * (-DFORETELL_ONEDNN=ON) and an engine was told to use it. Its threads are ours: work is cut by shapes alone, and each part
 * is one call that runs on the thread which makes it. Sums then have oneDNN's order, which may differ with the number of
 * rows, so that results may depend on batch mates by rounding: within 4e-7 of sum |a b| of the exact ones, as ours are.
 */
#ifndef FI_TENSOR_ONEDNN_H
#define FI_TENSOR_ONEDNN_H

#include "tensor/convolve.h"
#include "tensor/gemm.h"

typedef struct fi_onednn fi_onednn;
typedef struct fi_onednn_weights fi_onednn_weights;

/*
 * From here on the engine's weights are packed for oneDNN too (f32 and bf16, of 2^16 numbers and more), and what is large
 * enough goes to it. FTL_EINVAL where it is not built in; FTL_ENOMEM.
 */
ftl_status fi_engine_onednn(fi_engine *engine, ftl_error *err);
void fi_onednn_free(fi_onednn *onednn);

/* Packs B, as fi_pack() has it, into packed->onednn (again). */
ftl_status fi_onednn_pack(const fi_onednn *onednn, fi_packed *packed, const float *b, size_t ldb, bool transposed,
                          ftl_error *err);
void fi_onednn_weights_free(fi_onednn_weights *weights);

/* false, and nothing is done: it is too small, or nothing that oneDNN has a fast way for. */
bool fi_onednn_multiply(fi_engine *engine, const fi_product *product);
bool fi_onednn_convolve(fi_engine *engine, const fi_conv *conv, const float *x, const float *w, const float *bias,
                        float *out, bool add);

#endif
