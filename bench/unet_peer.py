#!/usr/bin/env python3
"""The peer of bench_unet: one training step of the same ContextUnet in PyTorch, in milliseconds.

    python unet_peer.py [--threads 2] [--batch 100] [--features 64] [--steps 5] [--bf16] [--channels-last]
"""
import argparse
import time

import torch
from torch import nn


class Rcb(nn.Module):
    def __init__(self, i, widths, residual=False):
        super().__init__()
        self.residual = residual
        mid, o = widths
        self.conv1 = nn.Sequential(nn.Conv2d(i, mid, 3, 1, 1), nn.BatchNorm2d(mid), nn.GELU())
        self.conv2 = nn.Sequential(nn.Conv2d(mid, o, 3, 1, 1), nn.BatchNorm2d(o), nn.GELU())
        if residual:
            self.shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x):
        z = self.conv2(self.conv1(x))
        return (self.shortcut(x) + z) / 1.414 if self.residual else z


class Up(nn.Module):
    def __init__(self, i, widths):
        super().__init__()
        self.model = nn.Sequential(nn.ConvTranspose2d(i, widths[0], 2, 2), Rcb(widths[0], widths[1:3]), Rcb(widths[2], widths[3:5]))

    def forward(self, x, skip):
        return self.model(torch.cat((x, skip), 1))


def down(i, widths):
    block = nn.Module()
    block.model = nn.Sequential(Rcb(i, widths[:2]), Rcb(widths[1], widths[2:]), nn.MaxPool2d(2))
    return block


def embed(i, hidden, o):
    block = nn.Module()
    block.model = nn.Sequential(nn.Linear(i, hidden), nn.GELU(), nn.Linear(hidden, o))
    return block


def course(f):
    """The course's widths, named as in src/models/unet.h."""
    return dict(groups=8, init=[f] * 2, down1=[f] * 4, down2=[2 * f] * 4, up0=2 * f, up1=[f] * 5, up2=[f] * 5, out=f,
                time=[2 * f, f], embed=[2 * f, f])


class ContextUnet(nn.Module):
    def __init__(self, channels, context, height, w):
        super().__init__()
        d1, d2, pool = w["down1"][-1], w["down2"][-1], height // 4
        self.init_conv = Rcb(channels, w["init"], True)
        self.down1, self.down2 = down(w["init"][1], w["down1"]), down(d1, w["down2"])
        self.to_vec = nn.Sequential(nn.AvgPool2d(pool), nn.GELU())
        self.timeembed1, self.timeembed2 = embed(1, w["time"][0], w["up0"]), embed(1, w["time"][1], w["up1"][-1])
        self.contextembed1 = embed(context, w["embed"][0], w["up0"])
        self.contextembed2 = embed(context, w["embed"][1], w["up1"][-1])
        self.up0 = nn.Sequential(nn.ConvTranspose2d(d2, w["up0"], pool, pool), nn.GroupNorm(w["groups"], w["up0"]), nn.ReLU())
        self.up1, self.up2 = Up(w["up0"] + d2, w["up1"]), Up(w["up1"][-1] + d1, w["up2"])
        self.out = nn.Sequential(nn.Conv2d(w["up2"][-1] + w["init"][1], w["out"], 3, 1, 1), nn.GroupNorm(w["groups"], w["out"]),
                                 nn.ReLU(), nn.Conv2d(w["out"], channels, 3, 1, 1))

    def forward(self, x, t, c):
        x = self.init_conv(x)
        d1 = self.down1.model(x)
        d2 = self.down2.model(d1)
        t = t.view(-1, 1)
        c1, c2 = self.contextembed1.model(c)[:, :, None, None], self.contextembed2.model(c)[:, :, None, None]
        t1, t2 = self.timeembed1.model(t)[:, :, None, None], self.timeembed2.model(t)[:, :, None, None]
        u = self.up1(c1 * self.up0(self.to_vec(d2)) + t1, d2)
        u = self.up2(c2 * u + t2, d1)
        return self.out(torch.cat((u, x), 1))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--batch", type=int, default=100)
    p.add_argument("--features", type=int, default=64)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    p.add_argument("--channels-last", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    layout = torch.channels_last if a.channels_last else torch.contiguous_format
    net = ContextUnet(3, 5, 16, course(a.features)).to(memory_format=layout).train()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
    x, e = (torch.randn(a.batch, 3, 16, 16).to(memory_format=layout) for _ in range(2))
    t, c = torch.rand(a.batch), torch.randn(a.batch, 5)
    best, processor = None, 1e30
    for step in range(a.steps + 1):  # the first warms up
        parts, at, used = [], time.perf_counter(), time.process_time()
        opt.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            loss = nn.functional.mse_loss(net(x, t, c), e)
        for part in (lambda: None, loss.backward, opt.step):
            part()
            now = time.perf_counter()
            parts.append(1e3 * (now - at))
            at = now
        if step and (best is None or sum(parts) < sum(best)):
            best = parts
        if step:
            processor = min(processor, 1e3 * (time.process_time() - used))
    n = sum(p.numel() for p in net.parameters())
    print(f"torch {torch.__version__} {'bf16' if a.bf16 else 'f32'}{' channels last' if a.channels_last else ''}, {a.threads} threads, "
          f"batch {a.batch}, {n} parameters: {sum(best):.1f} ms (forward {best[0]:.1f}, backward {best[1]:.1f}, AdamW {best[2]:.1f}; processor {processor:.1f})")


if __name__ == "__main__":
    main()
