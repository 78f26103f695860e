/* Activations and their derivatives, for kernel files (tensor/vmath.h). */
#ifndef FI_TENSOR_VACTIVATIONS_H
#define FI_TENSOR_VACTIVATIONS_H

#include "tensor/vmath.h"

FI_INLINE fi_vf fi_v_relu(fi_vf x)
{
    return fi_v_select(x <= 0.0f, (fi_vf){0}, x); /* NaN stays */
}
FI_INLINE fi_vf fi_v_relu_slope(fi_vf x)
{
    return fi_v_select(x > 0.0f, fi_v_set(1.0f), (fi_vf){0});
}

FI_INLINE fi_vf fi_v_normal_cdf(fi_vf x)
{
    return fi_v_erf(x * 0.707106781f) * 0.5f + 0.5f;
}
FI_INLINE fi_vf fi_v_gelu(fi_vf x)
{
    return x * fi_v_normal_cdf(x);
}
FI_INLINE fi_vf fi_v_gelu_slope(fi_vf x)
{
    return x * fi_v_exp(x * x * -0.5f) * 0.398942280f + fi_v_normal_cdf(x);
}

/* sqrt(2 / pi) (x + 0.044715 x^3): Hendrycks & Gimpel 2016 */
FI_INLINE fi_vf fi_v_gelu_tanh(fi_vf x)
{
    fi_vf t = fi_v_tanh((x * x * x * 0.044715f + x) * 0.797884561f);
    return x * (t * 0.5f + 0.5f);
}
FI_INLINE fi_vf fi_v_gelu_tanh_slope(fi_vf x)
{
    fi_vf t = fi_v_tanh((x * x * x * 0.044715f + x) * 0.797884561f);
    fi_vf inner = x * x * (3 * 0.044715f * 0.797884561f) + 0.797884561f;
    return (t * 0.5f + 0.5f) + x * 0.5f * (1.0f - t * t) * inner;
}

FI_INLINE fi_vf fi_v_silu(fi_vf x)
{
    return x * fi_v_sigmoid(x);
}
FI_INLINE fi_vf fi_v_silu_slope(fi_vf x)
{
    fi_vf s = fi_v_sigmoid(x);
    return s + x * s * (1.0f - s);
}

FI_INLINE fi_vf fi_v_tanh_slope(fi_vf x)
{
    fi_vf t = fi_v_tanh(x);
    return 1.0f - t * t;
}

FI_INLINE fi_vf fi_v_sigmoid_slope(fi_vf x)
{
    fi_vf s = fi_v_sigmoid(x);
    return s * (1.0f - s);
}

/* For each activation but FI_LINEAR: RUN(activation, function, slope). */
#define FI_EACH_ACTIVATION(RUN)                                                                                        \
    RUN(FI_RELU, fi_v_relu, fi_v_relu_slope)                                                                           \
    RUN(FI_GELU, fi_v_gelu, fi_v_gelu_slope)                                                                           \
    RUN(FI_GELU_TANH, fi_v_gelu_tanh, fi_v_gelu_tanh_slope)                                                            \
    RUN(FI_SILU, fi_v_silu, fi_v_silu_slope)                                                                           \
    RUN(FI_TANH, fi_v_tanh, fi_v_tanh_slope)                                                                           \
    RUN(FI_SIGMOID, fi_v_sigmoid, fi_v_sigmoid_slope)

#endif
