/*
 * 3x3 convolution with stride 1 by Winograd's F(2x2, 3x3): 2 by 2 outputs take 16 products a channel instead of 36.
 *
 *     Y = A' [sum over channels of (G w G') * (B' d B)] A      d: the 4 by 4 inputs of a tile
 *     dw = G' [sum over tiles of (A g A') * (B' d B)] G        g: its 2 by 2 gradients
 *
 * The products of the 16 places are matrix products over channels (or over tiles). Rounding is like that of plain sums: no
 * number of A, B or G is above 1. Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), section 4.1.
 */
#ifndef FI_TENSOR_WINOGRAD_H
#define FI_TENSOR_WINOGRAD_H

#include "tensor/conv_kernels.h"
#include "tensor/engine.h"

/* Outputs [n, out_y, out_x, o] from inputs [n, in_y, in_x, c]: (i, j) reads rows i + first_y .. + 2, columns likewise. */
typedef struct fi_winograd {
    const fi_conv_kernels *k;
    size_t n, c, o;
    size_t in_y, in_x, out_y, out_x;
    ptrdiff_t first_y, first_x;
} fi_winograd;

/* Whether it is faster than plain sums, and fits a task. */
bool fi_winograd_pays(size_t c, size_t o, size_t out_y, size_t out_x);

/* Packed weights are 16 planes of [panel][c][k->panel], which k->spread_filters writes: floats of one. */
static inline size_t fi_winograd_plane(const fi_conv_kernels *k, size_t c, size_t o)
{
    return (o + k->panel - 1) / k->panel * k->panel * c;
}

/* out = (add: out +) conv(in) + bias (NULL: 0) */
void fi_winograd_sweep(fi_engine *engine, const fi_winograd *w, const float *in, const float *packed, const float *bias,
                       float *out, bool add);
/* dw [o, 3, 3, c] += sum over images and pixels of g [n, out_y, out_x, o] times x; room [16 o c] */
void fi_winograd_weights(fi_engine *engine, const fi_winograd *w, const float *x, const float *g, float *room,
                         float *dw);

#endif
