#!/usr/bin/env python3
"""Writes tests/data/unet.safetensors: outputs and gradients of a small, uneven U-Net by PyTorch.

    python tools/make_unet_fixture.py      (needs torch and safetensors; written with torch 2.13)

Parameters, inputs and the loss's weights follow from formulas that tests/unit/models/test_unet.c repeats, so the file holds
results only: the output in training and in inference, the loss, every gradient (grad.NAME, PyTorch's layout) and the
running statistics after the step.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
from unet_peer import ContextUnet  # noqa: E402

WIDTHS = dict(groups=2, init=[4, 5], down1=[3, 6, 5, 4], down2=[7, 5, 6, 8], up0=6, up1=[5, 4, 3, 6, 7], up2=[4, 6, 5, 3, 5],
              out=6, time=[3, 5], embed=[4, 3])


def wave(shape, phase, scale):
    """Element i is scale sin(0.7 i + phase), computed in double."""
    n = torch.Size(shape).numel()
    return (scale * torch.sin(0.7 * torch.arange(n, dtype=torch.float64) + phase)).float().reshape(shape)


def main():
    torch.manual_seed(0)
    net = ContextUnet(2, 3, 8, WIDTHS)
    with torch.no_grad():
        for i, (name, p) in enumerate(sorted(net.named_parameters())):
            gain = p.dim() == 1 and name.endswith(".weight")
            p.copy_(wave(p.shape, i, 0.3) + (1.0 if gain else 0.0))
    x, e = wave((3, 2, 8, 8), 0.1, 1.0), wave((3, 2, 8, 8), 0.5, 1.0)
    t, c = torch.tensor([0.1, 0.5, 1.0]), wave((3, 3), 0.2, 1.0)
    out = {}
    net.train()
    y = net(x, t, c)
    loss = torch.nn.functional.mse_loss(y, e)
    loss.backward()
    out["train"], out["loss"] = y.detach(), loss.detach().reshape(1)
    for name, p in net.named_parameters():
        out["grad." + name] = p.grad
    for name, b in net.named_buffers():
        if not name.endswith("num_batches_tracked"):
            out["after." + name] = b
    net.eval()
    with torch.no_grad():
        out["eval"] = net(x, t, c)
        out["eval.nocontext"] = net(x, t, torch.zeros(1, 3))
    path = ROOT / "tests" / "data" / "unet.safetensors"
    save_file({k: v.contiguous() for k, v in out.items()}, str(path), {"torch": torch.__version__})
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
