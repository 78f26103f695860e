/*
 * Convolution without the graph: three passes over images with channels last, each an implicit matrix product on the
 * kernels of tensor/conv_kernels.h. A transposed convolution is these passes in other roles.
 *
 * Every number of a result is summed in one fixed order (over taps and channels, or over images and pixels), whatever the
 * batch and the threads. With `tiles`, numbers are rounded to bf16 before they are multiplied, where strides are 1 and a
 * window fits a task; elsewhere products are of floats all the same. 3x3 with stride 1 goes by tensor/winograd.h where that is
 * faster.
 */
#ifndef FI_TENSOR_CONVOLVE_H
#define FI_TENSOR_CONVOLVE_H

#include "tensor/conv_kernels.h"
#include "tensor/engine.h"

/* One dimension: output i sees inputs i * stride + t * dilation - pad for t < taps, those that exist. */
typedef struct fi_conv_axis {
    size_t in, out, taps, stride, pad, dilation;
} fi_conv_axis;

/* x [n, y.in, x.in, c] -> [n, y.out, x.out, o] with weights [o, y.taps, x.taps, c]. */
typedef struct fi_conv {
    const fi_conv_kernels *k;
    const fi_conv_tiles *tiles; /* or NULL */
    size_t n, c, o;
    fi_conv_axis y, x;
    float *packed; /* room for fi_conv_packed_size() floats, 64-byte aligned, written by each pass */
} fi_conv;

/* 0: the window of one output pixel is too large to be computed. backward: for fi_conv_backward_data too. */
size_t fi_conv_packed_size(const fi_conv *conv, bool backward);

/* out = (add: out +) conv(x) + bias; bias [o] or NULL, never with add. */
void fi_conv_forward(fi_engine *engine, const fi_conv *conv, const float *x, const float *w, const float *bias,
                     float *out, bool add);
/* dx = (add: dx +) the transpose of conv applied to g [n, y.out, x.out, o] + bias; bias [c] or NULL, never with add. */
void fi_conv_backward_data(fi_engine *engine, const fi_conv *conv, const float *g, const float *w, const float *bias,
                           float *dx, bool add);
/* dw += sum over images and pixels of g times x. */
void fi_conv_backward_weights(fi_engine *engine, const fi_conv *conv, const float *x, const float *g, float *dw);

#endif
