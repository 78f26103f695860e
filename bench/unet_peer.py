#!/usr/bin/env python3
"""The peer of bench_unet: one training step of the same ContextUnet in PyTorch, in milliseconds.

    python unet_peer.py [--threads 2] [--batch 100] [--features 64] [--steps 5] [--bf16] [--channels-last]
"""
import argparse
import time

import torch
from torch import nn


class Rcb(nn.Module):
    def __init__(self, i, o, residual=False):
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Sequential(nn.Conv2d(i, o, 3, 1, 1), nn.BatchNorm2d(o), nn.GELU())
        self.conv2 = nn.Sequential(nn.Conv2d(o, o, 3, 1, 1), nn.BatchNorm2d(o), nn.GELU())
        if residual and i != o:
            self.shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x):
        y = self.conv1(x)
        z = self.conv2(y)
        return (self.shortcut(x) + z) / 1.414 if self.residual else z


class Up(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.model = nn.Sequential(nn.ConvTranspose2d(i, o, 2, 2), Rcb(o, o), Rcb(o, o))

    def forward(self, x, skip):
        return self.model(torch.cat((x, skip), 1))


def down(i, o):
    block = nn.Module()
    block.model = nn.Sequential(Rcb(i, o), Rcb(o, o), nn.MaxPool2d(2))
    return block


def embed(i, o):
    block = nn.Module()
    block.model = nn.Sequential(nn.Linear(i, o), nn.GELU(), nn.Linear(o, o))
    return block


class ContextUnet(nn.Module):
    def __init__(self, channels=3, f=64, k=5, height=16):
        super().__init__()
        self.f, self.k = f, k
        self.init_conv = Rcb(channels, f, True)
        self.down1, self.down2 = down(f, f), down(f, 2 * f)
        self.to_vec = nn.Sequential(nn.AvgPool2d(height // 4), nn.GELU())
        self.timeembed1, self.timeembed2 = embed(1, 2 * f), embed(1, f)
        self.contextembed1, self.contextembed2 = embed(k, 2 * f), embed(k, f)
        self.up0 = nn.Sequential(nn.ConvTranspose2d(2 * f, 2 * f, height // 4, height // 4), nn.GroupNorm(8, 2 * f), nn.ReLU())
        self.up1, self.up2 = Up(4 * f, f), Up(2 * f, f)
        self.out = nn.Sequential(nn.Conv2d(2 * f, f, 3, 1, 1), nn.GroupNorm(8, f), nn.ReLU(), nn.Conv2d(f, channels, 3, 1, 1))

    def forward(self, x, t, c):
        x = self.init_conv(x)
        d1 = self.down1.model(x)
        d2 = self.down2.model(d1)
        v = self.to_vec(d2)
        t, c = t.view(-1, 1), c.view(-1, self.k)
        c1, c2 = self.contextembed1.model(c)[:, :, None, None], self.contextembed2.model(c)[:, :, None, None]
        t1, t2 = self.timeembed1.model(t)[:, :, None, None], self.timeembed2.model(t)[:, :, None, None]
        u = self.up1(c1 * self.up0(v) + t1, d2)
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
    net = ContextUnet(f=a.features).to(memory_format=layout).train()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
    x, e = (torch.randn(a.batch, 3, 16, 16).to(memory_format=layout) for _ in range(2))
    t, c = torch.rand(a.batch), torch.randn(a.batch, 5)
    best = None
    for _ in range(a.steps + 1):
        parts, at = [], time.perf_counter()
        opt.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=a.bf16):
            loss = nn.functional.mse_loss(net(x, t, c), e)
        for part in (lambda: None, loss.backward, opt.step):
            part()
            now = time.perf_counter()
            parts.append(1e3 * (now - at))
            at = now
        if best is None or sum(parts) < sum(best):
            best = parts
    n = sum(p.numel() for p in net.parameters())
    print(f"torch {torch.__version__} {'bf16' if a.bf16 else 'f32'}{' channels last' if a.channels_last else ''}, {a.threads} threads, "
          f"batch {a.batch}, {n} parameters: {sum(best):.1f} ms (forward {best[0]:.1f}, backward {best[1]:.1f}, AdamW {best[2]:.1f})")


if __name__ == "__main__":
    main()
