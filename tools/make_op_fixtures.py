#!/usr/bin/env python3
"""Writes tests/data/tensor_ops.json: inputs, outputs and gradients of the engine's operations by PyTorch, in double.

    tools/make_op_fixtures.py tests/data/tensor_ops.json

Made with Python 3.11, PyTorch 2.13.0 and NumPy 2.4. A case has the name it has in tests/tensor_ops.h. Gradients are those of
sum_i weight(i) output(i), weight(i) = ((37 i) mod 19 - 9) / 8.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

random = np.random.default_rng(20)


def smooth(*shape):
    """Numbers of few digits, away from 0 (where some derivatives jump)."""
    x = np.round(random.uniform(0.05, 1.5, shape) * random.choice([-1, 1], shape), 2)
    return torch.tensor(x.astype(np.float32).astype(np.float64), requires_grad=True)


def apart(*shape):
    """All different: no ties."""
    x = random.permutation(int(np.prod(shape))).reshape(shape) * 0.1 - 1.5
    return torch.tensor(np.round(x, 2).astype(np.float32).astype(np.float64), requires_grad=True)


def fixed(*shape):
    return smooth(*shape).detach()


def positive(*shape):
    return torch.abs(fixed(*shape))


def shares(*shape):
    x = np.round(random.dirichlet(np.ones(shape[-1]), shape[:-1]), 3)
    return torch.tensor(x.astype(np.float32).astype(np.float64))


def bits(*shape):
    x = random.integers(0, 2, shape)
    x[..., 0] = 1
    return torch.tensor(x, dtype=torch.float64)


def ids(low, high, *shape):
    return torch.tensor(random.integers(low, high, shape))


def weighted_mean(rows, weight):
    return (rows * weight).sum() / weight.sum()


def cross_entropy(logits, labels, weight=None):
    rows = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-1, reduction="none")
    weight = torch.ones_like(rows) if weight is None else weight
    return weighted_mean(rows, weight * (labels.reshape(-1) >= 0))


def soft_cross_entropy(logits, soft, weight, temperature):
    rows = F.cross_entropy(logits / temperature, soft, reduction="none")
    return weighted_mean(rows, torch.ones_like(rows) if weight is None else weight)


def cdf_loss(logits, labels, weight=None):
    logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    cdf = torch.cumsum(torch.softmax(logits, -1), -1)
    rows = ((cdf - (labels[:, None] <= torch.arange(logits.shape[-1])).double()) ** 2).sum(-1)
    weight = torch.ones_like(rows) if weight is None else weight
    return weighted_mean(rows, weight * (labels >= 0))


LEVELS = torch.tensor(np.float32([0.1, 0.4, 0.7, 0.95]).astype(np.float64))


def quantile_loss(q, target, mask=None, bolt=False):
    """As chronos 2.3.2 has it: Chronos2Model._compute_loss, and ChronosBoltModel.forward."""
    target = target[:, None]
    loss = 2 * torch.abs((target - q) * ((target <= q).double() - LEVELS[None, :, None]))
    loss = loss * (1 if mask is None else mask[:, None])
    return (loss.mean(-2).sum(-1) if bolt else loss.mean(-1).sum(-1)).mean()


def heads(x):
    return x.reshape(x.shape[0], x.shape[1], 2, -1).transpose(1, 2)


def attend(q, k, v, mask=None, bias=None, causal=False):
    n_q, n_k = q.shape[1], k.shape[1]
    extra = torch.zeros(q.shape[0], 1, n_q, n_k, dtype=torch.float64)
    relative = torch.arange(n_k)[None] - torch.arange(n_q)[:, None]
    if bias is not None:
        extra = extra + bias[:, relative + n_q - 1]
    if mask is not None:
        extra = extra.masked_fill(mask[:, None, None] == 0, -torch.inf)
    if causal:
        extra = extra.masked_fill(relative > 0, -torch.inf)
    y = F.scaled_dot_product_attention(heads(q), heads(k), heads(v), extra, scale=0.5)
    return y.transpose(1, 2).flatten(2)


def attend_groups(q, k, v):
    """Rows see each other in pairs, position by position."""
    turned = [x.transpose(0, 1) for x in (q, k, v)]
    return torch.cat([attend(*(x[:, i : i + 2] for x in turned)) for i in range(0, len(q), 2)], 1).transpose(0, 1)


def relative_bias(table, n_q, n_k, bidirectional):
    from transformers.models.t5.modeling_t5 import T5Attention

    relative = torch.arange(n_q + n_k - 1) - (n_q - 1)
    bucket = T5Attention._relative_position_bucket(relative, bidirectional, num_buckets=table.shape[0], max_distance=16)
    return table[bucket].T


def rope(x):
    b, n, width = x.shape
    x = x.reshape(b, n, 2, width // 2)
    half = width // 4
    frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.cat([torch.arange(n, dtype=torch.float64)[:, None] * frequency] * 2, -1)[None, :, None]
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return (x * angle.cos() + turned * angle.sin()).reshape(b, n, width)


def channels_first(f):
    """f works on [n, c, ..]; ours keep channels last."""
    return lambda x, *rest: f(x.movedim(-1, 1), *rest).movedim(1, -1)


def conv(f, **options):
    return channels_first(lambda x, w, b=None: f(x, w.movedim(-1, 1), b, **options))


def conv_transpose(x, w, b):
    """w [in, kernel, kernel, out]"""
    return channels_first(lambda y: F.conv_transpose2d(y, w.movedim(-1, 1), b, stride=w.shape[1]))(x)


def conv1d(x, w, b):
    return channels_first(lambda y: F.conv1d(F.pad(y, (4, 1)), w.movedim(-1, 1), b, dilation=2))(x)


def batch_norm(x, w, b):
    return channels_first(lambda y: F.batch_norm(y, None, None, w, b, training=True, eps=1e-5))(x)


CASES = {
    "add": (torch.add, [smooth(2, 7), smooth(2, 7)]),
    "add_tail": (torch.add, [smooth(3, 2, 5), smooth(2, 5)]),
    "sub": (torch.sub, [smooth(2, 7), smooth(7)]),
    "mul": (torch.mul, [smooth(2, 7), smooth(2, 7)]),
    "mul_tail": (torch.mul, [smooth(2, 3, 5), smooth(5)]),
    "square": (lambda x: x * x, [smooth(2, 7)]),
    "affine": (lambda x: -1.75 * x + 0.5, [smooth(2, 7)]),
    "relu": (F.relu, [smooth(2, 17)]),
    "gelu": (F.gelu, [smooth(2, 17)]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), [smooth(2, 17)]),
    "silu": (F.silu, [smooth(2, 17)]),
    "tanh": (torch.tanh, [smooth(2, 17)]),
    "sigmoid": (torch.sigmoid, [smooth(2, 17)]),
    "glu": (lambda x: torch.tanh(x[..., :5]) * torch.sigmoid(x[..., 5:]), [smooth(2, 2, 10)]),
    "swiglu": (lambda x: x[..., :5] * F.silu(x[..., 5:]), [smooth(3, 10)]),
    "film": (lambda x, s, t: x * s[:, None] + t[:, None], [smooth(2, 3, 4), smooth(2, 4), smooth(2, 4)]),
    "film_one": (lambda x, s, t: x * s + t, [smooth(2, 3, 4), smooth(1, 4), smooth(1, 4)]),
    "film_scale": (lambda x, s: x * s[:, None, None], [smooth(2, 2, 2, 4), smooth(2, 4)]),
    "film_shift": (lambda x, t: x + t[:, None], [smooth(2, 3, 4), smooth(2, 4)]),
    "reshape": (lambda x: 2 * x.reshape(3, 8), [smooth(3, 4, 2)]),
    "rows": (lambda x: 2 * x[1:3], [smooth(4, 5)]),
    "slice": (lambda x: x[:, 1:3], [smooth(2, 4, 5)]),
    "slice_last": (lambda x: x[:, :, 2:5], [smooth(2, 2, 7)]),
    "concat": (lambda *x: torch.cat(x, 1), [smooth(2, 4), smooth(2, 1), smooth(2, 7)]),
    "concat_last": (lambda *x: torch.cat(x, 2), [smooth(2, 2, 4), smooth(2, 2, 2)]),
    "transpose": (lambda x: x.transpose(1, 2), [smooth(2, 4, 5, 2)]),
    "transpose_last": (lambda x: x.transpose(1, 2), [smooth(2, 4, 5)]),
    "transpose_outer": (lambda x: x.transpose(0, 2), [smooth(2, 3, 4)]),
    "repeat": (lambda x: x.repeat_interleave(4, 0), [smooth(2, 2, 3)]),
    "embedding": (lambda table, i: F.embedding(i, table), [smooth(5, 6), ids(0, 5, 3, 4)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (19,), w, 1e-6), [smooth(2, 2, 19), smooth(19)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (19,), w, b, 1e-5), [smooth(3, 19), smooth(19), smooth(19)]),
    "layer_norm_no_bias": (lambda x, w: F.layer_norm(x, (19,), w, None, 1e-5), [smooth(3, 19), smooth(19)]),
    "conv2d": (conv(F.conv2d, padding=1), [smooth(2, 4, 3, 5), smooth(4, 2, 2, 5), smooth(4)]),
    "conv2d_1x1": (conv(F.conv2d, padding=1), [smooth(2, 2, 3, 5), smooth(3, 1, 1, 5), smooth(3)]),
    "conv2d_stride": (conv(F.conv2d, stride=2, padding=2), [smooth(2, 4, 5, 2), smooth(2, 5, 4, 2)]),
    "conv1d": (conv1d, [smooth(2, 7, 5), smooth(4, 2, 5), smooth(4)]),
    "conv_transpose2d": (conv_transpose, [smooth(2, 2, 3, 5), smooth(5, 2, 2, 3), smooth(3)]),
    "max_pool2d": (channels_first(lambda x: F.max_pool2d(x, 2)), [apart(2, 5, 4, 3)]),
    "avg_pool2d": (channels_first(lambda x: F.avg_pool2d(x, 2)), [smooth(2, 4, 5, 3)]),
    "group_norm": (
        channels_first(lambda x, w, b: F.group_norm(x, 3, w, b, 1e-5)), [smooth(2, 3, 2, 6), smooth(6), smooth(6)]),
    "group_norm_gelu": (
        channels_first(lambda x, w, b: F.gelu(F.group_norm(x, 2, w, b, 1e-5))), [smooth(3, 6), smooth(6), smooth(6)]),
    "batch_norm": (batch_norm, [smooth(5, 7), smooth(7), smooth(7)]),
    "batch_norm_gelu": (lambda x, w, b: F.gelu(batch_norm(x, w, b)), [smooth(3, 4, 5), smooth(5), smooth(5)]),
    "cross_entropy": (cross_entropy, [smooth(3, 2, 5), ids(-1, 5, 3, 2)]),
    "cross_entropy_weighted": (cross_entropy, [smooth(4, 5), ids(0, 5, 4), positive(4)]),
    "soft_cross_entropy": (lambda x, p: soft_cross_entropy(x, p, None, 2.0), [smooth(4, 5), shares(4, 5)]),
    "soft_cross_entropy_weighted": (
        lambda x, p, w: soft_cross_entropy(x, p, w, 1.0), [smooth(4, 5), shares(4, 5), positive(4)]),
    "mse": (F.mse_loss, [smooth(3, 2, 5), fixed(3, 2, 5)]),
    "mse_weighted": (
        lambda y, t, w: weighted_mean(((y - t) ** 2).mean(-1), w), [smooth(3, 2, 5), fixed(3, 2, 5), bits(3, 2)]),
    "quantile_loss": (quantile_loss, [apart(3, 4, 2), fixed(3, 2)]),
    "quantile_loss_masked": (quantile_loss, [apart(3, 4, 2), fixed(3, 2), bits(3, 2)]),
    "quantile_loss_bolt": (lambda q, t, m: quantile_loss(q, t, m, bolt=True), [apart(3, 4, 2), fixed(3, 2), bits(3, 2)]),
    "cdf_loss": (cdf_loss, [smooth(3, 2, 5), ids(-1, 5, 3, 2)]),
    "cdf_loss_weighted": (cdf_loss, [smooth(4, 5), ids(0, 5, 4), positive(4)]),
    "softmax": (lambda x: torch.softmax(x, -1), [smooth(2, 2, 7)]),
    "softmax_masked": (
        lambda x, m: torch.softmax(x.masked_fill(m[:, None] == 0, -torch.inf), -1), [smooth(2, 2, 7), bits(2, 7)]),
    "attend": (attend, [smooth(2, 4, 6), smooth(2, 5, 6), smooth(2, 5, 4)]),
    "attend_masked": (attend, [smooth(2, 4, 6), smooth(2, 5, 6), smooth(2, 5, 4), bits(2, 5), smooth(2, 8)]),
    "attend_causal": (
        lambda q, k, v, b: attend(q, k, v, None, b, causal=True),
        [smooth(2, 4, 6), smooth(2, 4, 6), smooth(2, 4, 4), smooth(2, 7)]),
    "attend_groups": (attend_groups, [smooth(3, 2, 6), smooth(3, 2, 6), smooth(3, 2, 4)]),
    "relative_bias": (lambda t: relative_bias(t, 4, 5, True), [smooth(8, 2)]),
    "relative_bias_causal": (lambda t: relative_bias(t, 5, 5, False), [smooth(8, 2)]),
    "rope": (rope, [smooth(2, 4, 8)]),
    "linear": (F.linear, [smooth(2, 6), smooth(5, 6)]),
    "linear_bias": (F.linear, [smooth(2, 2, 6), smooth(5, 6), smooth(5)]),
    "linear_relu": (lambda x, w, b: F.relu(F.linear(x, w, b)), [smooth(2, 6), smooth(5, 6), smooth(5)]),
    "linear_relu_residual": (lambda x, w, r: F.relu(F.linear(x, w)) + r, [smooth(2, 6), smooth(5, 6), smooth(2, 5)]),
    "linear_residual": (lambda x, w, r: F.linear(x, w) + r, [smooth(2, 2, 6), smooth(5, 6), smooth(2, 2, 5)]),
    "matmul": (torch.bmm, [smooth(2, 4, 6), smooth(2, 6, 5)]),
    "matmul_ta": (lambda a, b: 0.5 * torch.bmm(a.mT, b), [smooth(2, 6, 4), smooth(2, 6, 5)]),
    "matmul_tb": (lambda a, b: 0.5 * torch.bmm(a, b.mT), [smooth(2, 4, 6), smooth(2, 5, 6)]),
    "matmul_tab": (lambda a, b: 2 * torch.bmm(a.mT, b.mT), [smooth(2, 6, 4), smooth(2, 5, 6)]),
    "linear_heads": (
        lambda x, w: torch.einsum("bhc,hrc->bhr", x.view(-1, 3, 4), w.view(3, 2, 4)).reshape(3, 2, 6),
        [smooth(3, 2, 12), smooth(6, 4)]),
    "linear_heads_back": (
        lambda x, w: torch.einsum("bhr,hrc->bhc", x.view(-1, 3, 2), w.view(3, 2, 4)).reshape(3, 12),
        [smooth(3, 6), smooth(6, 4)]),
}


def array(x):
    values = [float(f"{v:.7g}") for v in x.detach().flatten().tolist()]
    return {"shape": list(x.shape) or [1], "values": values}


def main(path):
    lines = []
    for name, (f, inputs) in CASES.items():
        y = f(*inputs)
        weight = (torch.arange(y.numel()) * 37 % 19 - 9).double() / 8
        (y.flatten() * weight).sum().backward()
        case = {"name": name, "inputs": [array(x) for x in inputs], "output": array(y),
                "grads": [array(x.grad)["values"] if x.requires_grad else [] for x in inputs]}
        lines.append(json.dumps(case, separators=(",", ":")))
    with open(path, "w", encoding="ascii") as out:
        out.write("[" + ",\n".join(lines) + "]\n")


main(sys.argv[1])
