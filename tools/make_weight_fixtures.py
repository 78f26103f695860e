#!/usr/bin/env python3
"""Writes the weight files that tests read: as safetensors and PyTorch write them, and hostile ones.

    tools/make_weight_fixtures.py tests/data/weights      (needs torch and safetensors)
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file


def tensors():
    """One of each type; numbers that all readers must agree on, and shapes from a scalar to four dimensions."""
    ramp = torch.arange(24, dtype=torch.float64) / 8 - 1
    return {
        "f32": ramp.float().reshape(2, 3, 4),
        "f64": (ramp / 3).reshape(4, 6),
        "f16": ramp.half().reshape(1, 24),
        "bf16": ramp.bfloat16().reshape(2, 2, 2, 3),
        "i64": torch.arange(-3, 3),
        "i32": torch.arange(-3, 3, dtype=torch.int32).reshape(3, 2),
        "i8": torch.tensor([-128, 0, 127], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 5),
        "naïve": torch.tensor([1.0]),
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(), folder / "types.safetensors", metadata={"format": "pt"})

    shards = folder / "shards"
    shards.mkdir(exist_ok=True)
    for i, (name, value) in enumerate({"a.weight": 1.5, "b.weight": -2.0}.items(), 1):
        save_file({name: torch.full((2, 2), value)}, shards / f"model-0000{i}-of-00002.safetensors",
                  metadata={"format": "pt"})
    index = {"metadata": {"total_size": 32}, "weight_map": {f"{x}.weight": f"model-0000{i}-of-00002.safetensors"
                                                            for i, x in ((1, "a"), (2, "b"))}}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
