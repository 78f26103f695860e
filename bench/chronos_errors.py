#!/usr/bin/env python3
"""Errors of bf16 and int8 against float32 of the same models, as a table.

    bench/chronos_errors.py build/libforetell.so DATA [--models DIR] [--sizes tiny,small]

Models have random weights (tools/chronos_tools.py), which is harder than trained ones: nothing in them is redundant. For
chronos-t5 logits of 16 teacher-forced steps: root mean square of the error over that of the logits, and the share of steps
whose most probable token stays. For chronos-bolt quantiles of 64 steps: mean absolute error in units of the series'
standard deviation, beside the mean distance between the 0.1 and the 0.9 quantile in the same units.
"""
import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from chronos_parity import t5_logits  # noqa: E402
from chronos_tools import Model, make_model, read_series  # noqa: E402

SETS = ["m4_hourly", "us_births", "exchange_rate", "electricity_weekly", "fred_md", "nn3"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library", type=Path)
    p.add_argument("data", type=Path)
    p.add_argument("--models", type=Path, default=Path("/tmp/chronos-models"))
    p.add_argument("--sizes", default="tiny,small")
    args = p.parse_args()
    program = args.library.resolve().parent / "bench" / "bench_chronos_logits"
    series = [read_series(args.data, name)[-512:] for name in SETS]
    given = [0] + list(np.random.default_rng(1).integers(1900, 2200, 15))
    print("| model | precision | what | error | beside |\n|---|---|---|---|---|")
    for size in args.sizes.split(","):
        directory = make_model("t5", size, args.models / f"chronos-t5-{size}")
        exact = np.stack([t5_logits(program, directory, x, given) for x in series])
        for precision in ("bf16", "int8"):
            got = np.stack([t5_logits(program, directory, x, given, precision) for x in series])
            error = np.sqrt(np.mean((got - exact) ** 2) / np.mean(exact**2))
            same = np.mean(got.argmax(-1) == exact.argmax(-1))
            print(f"| t5-{size} | {precision} | logits | {100 * error:.2f} % | best token stays in {100 * same:.0f} % |")
        directory = make_model("bolt", size, args.models / f"chronos-bolt-{size}")
        scale = np.array([np.nanstd(x) for x in series])[:, None, None]
        quantiles = {k: np.stack([q for q, _ in Model(args.library, directory, k).predict(series, 64)]) / scale
                     for k in ("f32", "bf16", "int8")}
        width = np.mean(np.abs(quantiles["f32"][:, 8] - quantiles["f32"][:, 0]))
        for precision in ("bf16", "int8"):
            error = np.mean(np.abs(quantiles[precision] - quantiles["f32"]))
            print(f"| bolt-{size} | {precision} | quantiles | {error:.4f} sd | 0.1 to 0.9: {width:.2f} sd |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
