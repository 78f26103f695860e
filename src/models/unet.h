/*
 * The U-Net that predicts the noise in a small image: the "ContextUnet" of the course "How Diffusion Models Work" (after
 * T. Pearce's Conditional Diffusion MNIST), with its names of tensors, so that its checkpoints are read as they are.
 * Images are [n, height, height, channels]; wiring only.
 *
 *     x  = init(image)                    residual: (shortcut(image) + blocks) / 1.414
 *     d1 = down1(x), d2 = down2(d1)       blocks, then max pooling by 2
 *     u0 = relu(groupnorm(up0(gelu(mean of d2 by height / 4))))
 *     u1 = up1(concat(c1 u0 + t1, d2))    t1, t2 of the time, c1, c2 of the context, by two layers each
 *     u2 = up2(concat(c2 u1 + t2, d1))
 *     out = conv(relu(groupnorm(conv(concat(u2, x)))))
 *
 * A block is two of conv 3x3, batch norm, GELU.
 */
#ifndef FI_MODELS_UNET_H
#define FI_MODELS_UNET_H

#include "nn/params.h"
#include "tensor/ops.h"

/* What the first block adds its input by. The course draws a new random one at every call: read one, and do not train it. */
typedef enum fi_unet_shortcut {
    FI_SHORTCUT_LEARNED, /* 1x1 convolution init_conv.shortcut */
    FI_SHORTCUT_FIRST,   /* the output of its own first convolution (Pearce) */
    FI_SHORTCUT_NONE
} fi_unet_shortcut;

/* Widths are channels after each convolution, in order, so that a slender network is the same code. */
typedef struct fi_unet_config {
    size_t channels, context, height; /* of images; numbers of the context; height a multiple of 4 */
    size_t groups;                    /* of group norms: divides up0 and out */
    size_t down_blocks;               /* in each of down1 and down2: 2, or 1 (Pearce) */
    fi_unet_shortcut shortcut;
    size_t init[2], down1[4], down2[4];
    size_t up0, up1[5], up2[5]; /* up1 and up2 begin with their transposed convolution */
    size_t out;
    size_t time[2], embed[2]; /* hidden units of timeembed1, 2 and contextembed1, 2 */
} fi_unet_config;

/* The course's widths: `features` F, 2 F from down2 to up0. */
fi_unet_config fi_unet_course(size_t channels, size_t features, size_t context, size_t height);

/* Convolution and batch norm; gamma NULL: folded into the convolution. */
typedef struct fi_unet_conv {
    fi_param *w, *b, *gamma, *beta, *mean, *var;
} fi_unet_conv;

typedef struct fi_unet {
    fi_unet_config config;
    fi_params params;     /* trained */
    fi_params statistics; /* running means and variances of the batch norms */
    fi_unet_conv init[2], down1[4], down2[4], up1[4], up2[4];
    fi_param *shortcut[2], *up0[4], *up1_wide[2], *up2_wide[2], *out[6], *time[2][4], *embed[2][4];
    float *no_context; /* [context] zeros */
    bool folded;
} fi_unet;

/* Declares all parameters. @return FTL_OK; FTL_EINVAL (widths that do not fit one another are named); FTL_ENOMEM */
ftl_status fi_unet_new(const fi_unet_config *config, fi_unet **out, ftl_error *err);
void fi_unet_free(fi_unet *net);

/* For inference: reads a checkpoint and folds batch norms into their convolutions. Errors as fi_params_load. */
ftl_status fi_unet_load(fi_unet *net, fi_engine *engine, const fi_weights *weights, ftl_error *err);
/* For training: memory, and PyTorch's default initialisation from a seed. */
ftl_status fi_unet_train(fi_unet *net, uint64_t seed, ftl_error *err);
/* Into a network in training. Errors as fi_params_read. */
ftl_status fi_unet_read(fi_unet *net, const fi_weights *weights, ftl_error *err);

/*
 * The predicted noise, of the shape of x. x [n, height, height, channels]; t [n, 1] or [1, 1], in (0, 1]; context
 * [n, context] or [1, context], NULL: none, which is zeros.
 */
fi_node *fi_unet_apply(fi_graph *g, const fi_unet *net, fi_node *x, fi_node *t, fi_node *context);

#endif
