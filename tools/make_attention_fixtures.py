#!/usr/bin/env python3
"""What PyTorch, transformers and chronos-forecasting compute for small attention problems: tests/data/attention.txt.

Each line is a name, a count and so many numbers. Usage: make_attention_fixtures.py FILE
"""
import sys
from types import SimpleNamespace

import torch
from chronos.chronos2.layers import Chronos2RotaryEmbedding
from transformers.models.t5.modeling_t5 import T5Attention

torch.manual_seed(3)
lines = []


def put(name, x):
    values = [f"{v:.9g}" for v in torch.as_tensor(x).detach().reshape(-1).tolist()]
    lines.append(f"{name} {len(values)} {' '.join(values)}")


def put_buckets(name, bidirectional):
    """Distances at which the bucket changes, and the buckets that begin there."""
    distance = torch.arange(-2000, 2001)
    bucket = T5Attention._relative_position_bucket(distance, bidirectional, 32, 128)
    change = [i for i in range(len(bucket)) if i == 0 or bucket[i] != bucket[i - 1]]
    put(name + "_from", distance[change])
    put(name, bucket[change])


def attend(q, k, v, bias, mask, scale, heads):
    """[b, n, h d] as T5 computes it: additive finite mask, softmax in float."""
    split = lambda x: x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)
    scores = split(q) @ split(k).transpose(2, 3) * scale + bias
    scores = scores + (1 - mask)[:, None, None, :] * torch.finfo(torch.float32).min
    return (scores.softmax(-1) @ split(v)).transpose(1, 2).reshape(q.shape[0], q.shape[1], -1)


put_buckets("buckets_both", True)
put_buckets("buckets_causal", False)

table = torch.randn(32, 2, requires_grad=True)
q, k, v = torch.randn(2, 5, 8), torch.randn(2, 7, 8), torch.randn(2, 7, 6)
mask = torch.tensor([[0.0, 0, 1, 1, 1, 0, 1], [1.0] * 7])
weight = torch.randn(2, 5, 6)
for x in (q, k, v):
    x.requires_grad_()
distance = torch.arange(7)[None, :] - torch.arange(5)[:, None]
bias = table[T5Attention._relative_position_bucket(distance, True, 32, 128)].permute(2, 0, 1)[None]
out = attend(q, k, v, bias, mask, 0.75, 2)
(out * weight).sum().backward()
for name, x in dict(table=table, q=q, k=k, v=v, mask=mask, weight=weight, out=out, dtable=table.grad, dq=q.grad,
                    dk=k.grad, dv=v.grad).items():
    put(name, x)

rotary = Chronos2RotaryEmbedding(SimpleNamespace(rope_theta=10000.0, d_kv=16))
x = torch.randn(1, 3, 2 * 16)
heads = x.view(1, 3, 2, 16).transpose(1, 2)
position = torch.tensor([[500, 501, 502]])
cos, sin = rotary(heads, position)
turned, _ = rotary.apply_rotary_pos_emb(heads, heads, cos, sin)
put("rope_x", x)
put("rope_500", turned.transpose(1, 2))

x = (torch.randn(2, 3, 5) * 4).requires_grad_()
seen = torch.tensor([[1.0, 1, 0, 1, 0], [0.0, 1, 1, 1, 1]])
y = x.masked_fill(seen[:, None, :] == 0, float("-inf")).softmax(-1)
dy = torch.randn(2, 3, 5)
(y * dy).sum().backward()
for name, value in dict(softmax_x=x, softmax_mask=seen, softmax=y, softmax_dy=dy, softmax_dx=x.grad).items():
    put(name, value)

with open(sys.argv[1], "w") as f:
    f.write("\n".join(lines) + "\n")
