#!/usr/bin/env python3
"""Writes tests/data/toy-chronos-t5/training.json: PyTorch's loss, gradients and AdamW steps on the toy checkpoint.

    python tools/make_training_fixture.py tests/data/toy-chronos-t5

Of every gradient the norm and a weighted sum are kept. Written with torch 2.13.0 and transformers 5.23.0.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import T5ForConditionalGeneration

directory = Path(sys.argv[1])
model = T5ForConditionalGeneration.from_pretrained(directory, dtype=torch.float32).eval()  # eval: nothing is dropped
torch.manual_seed(5)
ids = torch.randint(3, 64, (3, 21))
mask = torch.ones_like(ids)
mask[1, :9] = 0
ids[1, :9] = 0
labels = torch.randint(3, 64, (3, 9))
labels[2, 5:] = -100
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
losses, gradients = [], {}
for _ in range(6):
    loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    losses.append(float(f"{float(loss):.8g}"))
    if not gradients:
        for name, p in model.named_parameters():
            g = p.grad.flatten().double()
            weight = (torch.arange(g.numel()) * 37 % 19 - 9).double() / 8
            gradients[name] = [float(f"{v:.8g}") for v in (float(g.norm()), float((g * weight).sum()))]
    optimiser.step()
    optimiser.zero_grad()
with open(directory / "training.json", "w", encoding="ascii") as file:
    json.dump(dict(ids=ids.tolist(), mask=mask.tolist(), labels=labels.tolist(),
                   shifted=model._shift_right(labels).tolist(), losses=losses, gradients=gradients), file)
    file.write("\n")
