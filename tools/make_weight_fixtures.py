#!/usr/bin/env python3
"""Writes the weight files that tests read: as safetensors and PyTorch write them, and hostile ones.

    tools/make_weight_fixtures.py tests/data/weights      (needs torch, safetensors and peft)
"""

import collections
import io
import json
import os
import pathlib
import shutil
import struct
import sys
import zipfile

import peft
import torch
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D


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


def write_zip(path, entries, zip64=False, method=zipfile.ZIP_STORED):
    """Python's zipfile, or by hand with every size in zip64 fields, as archives above 4 GiB have them."""
    if not zip64:
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in entries:
                archive.writestr(zipfile.ZipInfo(name), data, method)
        return
    out, directory, ones = io.BytesIO(), b"", 0xFFFFFFFF
    for name, data in entries:
        at, text = out.tell(), name.encode()
        extra = struct.pack("<HHQQQ", 1, 24, len(data), len(data), at)
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0, 0, ones, ones, len(text),
                                 len(extra), 0, 0, 0, 0, ones) + text + extra
        out.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, 0, ones, ones, len(text), 0) + text + data)
    start = out.tell()
    out.write(directory)
    end = out.tell()
    out.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, len(entries), len(entries), len(directory), start))
    out.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
    out.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, ones, ones, 0))
    path.write_bytes(out.getvalue())


def entries_of(path):
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist() if not name.endswith(("serialization_id"))]


def to_big_endian(entries, plain):
    """The same file as a big-endian machine writes it; storages are numbered in the order of the tensors."""
    turned, widths = [], [tensor.element_size() for tensor in plain.values()]
    for name, data in entries:
        if "/data/" in name:
            width = widths[int(name.split("/")[-1])]
            data = b"".join(data[i:i + width][::-1] for i in range(0, len(data), width))
        turned.append((name, b"big" if name.endswith("/byteorder") else data))
    return turned


class Hostile:
    def __reduce__(self):
        return os.system, ("touch /tmp/foretell-was-here",)


def write_pytorch(folder):
    plain = tensors()
    strided = dict(plain)
    strided["f32"] = plain["f32"].permute(2, 0, 1).contiguous().permute(1, 2, 0)  # the same numbers, other strides
    long = torch.cat([torch.tensor([9, 9]), plain["i64"], torch.tensor([9])])
    strided["i64"] = long[2:8]  # a part of its storage
    strided["scalar"] = torch.nn.Parameter(plain["scalar"])
    torch.save(strided, folder / "types.pth")
    torch.save(plain, folder / "protocol4.pth", pickle_protocol=4)
    linear = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(linear.weight, 0.5)
    torch.nn.init.constant_(linear.bias, -1.5)
    optimizer = torch.optim.AdamW(linear.parameters())
    linear(torch.ones(1, 2)).sum().backward()
    state = collections.OrderedDict((name, value.clone()) for name, value in linear.state_dict().items())
    optimizer.step()
    torch.save({"epoch": 3, "loss": 0.25, "best": torch.tensor(1.0), "history": [1.0, None, True, 70000, 1 << 40],
                "model": state, "optimizer": optimizer.state_dict()}, folder / "checkpoint.pth")
    entries = entries_of(folder / "protocol4.pth")
    write_zip(folder / "big_endian.pth", to_big_endian(entries, plain))
    write_zip(folder / "zip64.pth", entries, zip64=True)
    write_zip(folder / "deflated.pth", entries, method=zipfile.ZIP_DEFLATED)
    torch.save({"a": Hostile()}, folder / "hostile.pth")
    torch.save({"a": torch.ones(2)}, folder / "before_1_6.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.ones(2), folder / "no_dict.pth")


class Net(torch.nn.Module):
    """A module of each kind that adapters are made for."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(5, 4)
        self.up = torch.nn.Linear(4, 6)
        self.down = torch.nn.Linear(6, 4, bias=False)
        self.head = torch.nn.Linear(4, 2)
        self.turned = Conv1D(3, 4)

    def forward(self, x):
        return self.head(self.down(self.up(self.embed(x)))), self.turned(self.embed(x))


def write_adapter(folder, name, **options):
    """NAME/model.safetensors, NAME/adapter, and NAME/merged.safetensors: what PEFT makes of both."""
    torch.manual_seed(1)
    folder = folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    net = Net()
    save_file(net.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    model = peft.get_peft_model(net, peft.LoraConfig(init_lora_weights=False, **options))
    for parameter in model.parameters():
        parameter.data += 0.25 * torch.randn(parameter.shape) if parameter.requires_grad else 0
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    save_file(model.merge_and_unload().state_dict(), folder / "merged.safetensors", metadata={"format": "pt"})


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(), folder / "types.safetensors", metadata={"format": "pt"})

    write_pytorch(folder)
    write_adapter(folder, "lora", target_modules=["embed", "up", "down"], r=2, lora_alpha=6, rank_pattern={"down": 3},
                  alpha_pattern={"down": 5}, modules_to_save=["head"])
    write_adapter(folder, "rslora", target_modules=["turned"], r=4, lora_alpha=3, use_rslora=True, fan_in_fan_out=True)
    write_adapter(folder, "dora", target_modules=["up"], r=1, use_dora=True)
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
