#!/usr/bin/env python3
"""Compares Chronos-2 models of the official sizes with chronos-forecasting on real series.

    python tests/parity/check_chronos2.py [--build build] [--shared ../shared] [--models /tmp/chronos2-models] [--sizes small,base]

Needs chronos-forecasting 2.3 (torch). Makes the models with random weights, saved as the package saves them, unless they
are there already; then forecasts series of many frequencies of the shared folder with both sides: lengths 1 to 9,000,
gaps, constant and empty series, horizons 1 to 1,100, several targets, covariates, categories, cross learning.

The error of a task is max |ours - theirs| / (|theirs| + scale), where scale is the standard deviation of the task's
target (1 where it is 0 or nothing is observed): relative where values are large, and in units of the series where they
cross zero. The limit is 1e-4 in f32. The errors of bf16 and int8 are printed as |ours - f32| / (|f32| + scale): maximum,
and mean over all numbers.
"""
import argparse
import gzip
import io
import pathlib
import sys
import time
import warnings

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from foretell_chronos import Model  # noqa: E402

LEVELS = [0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
          0.99]
SIZES = {"small": dict(d_model=512, d_ff=2048, num_heads=8, num_layers=6),
         "base": dict(d_model=768, d_ff=3072, num_heads=12, num_layers=12)}
LIMIT = 1e-4


def make_model(path, size):
    """Random weights of sizes at which every part of the network moves the output, by as much as the series vary."""
    from chronos import Chronos2Pipeline
    from chronos.chronos2.config import Chronos2CoreConfig
    from chronos.chronos2.model import Chronos2Model
    if (path / "model.safetensors").exists():
        return
    torch.manual_seed(7)
    torch.set_num_threads(2)
    config = Chronos2CoreConfig(
        d_kv=64, architectures=["Chronos2Model"], chronos_pipeline_class="Chronos2Pipeline",
        chronos_config=dict(context_length=8192, input_patch_size=16, input_patch_stride=16, output_patch_size=16,
                            max_output_patches=64, quantiles=LEVELS, use_reg_token=True, use_arcsinh=True,
                            time_encoding_scale=8192), **SIZES[size])
    model = Chronos2Model(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "layer_norm" in name:
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0, 0.05)
            else:
                p.normal_(0, (0.1 if ".q." in name else 0.8) * p.shape[1] ** -0.5)
    Chronos2Pipeline(model).save_pretrained(path)


def real_series(shared):
    """The first column of numbers of every data file, by name."""
    found = {}
    for path in sorted((shared / "data").glob("*.csv*")):
        if path.name.startswith("manifest"):
            continue
        text = gzip.open(path, "rt").read(2_000_000) if path.suffix == ".gz" else path.read_text()[:2_000_000]
        table = pd.read_csv(io.StringIO(text[: text.rfind("\n")]), on_bad_lines="skip")
        numbers = table.select_dtypes("number")
        if "unique_id" in table and len(numbers.columns):
            table = table[table["unique_id"] == table["unique_id"].iloc[0]]
            numbers = table.select_dtypes("number")
        for column in numbers.columns[::-1]:
            y = numbers[column].to_numpy(np.float32)
            if len(y) >= 20 and np.isfinite(y).sum() > 10 and np.nanstd(y) > 0:
                found[path.name.split(".")[0]] = y[np.isfinite(y) | np.isnan(y)]
                break
    return found


def with_gaps(y, share, seed):
    y = y.copy()
    y[np.random.default_rng(seed).random(len(y)) < share] = np.nan
    return y


def cases(series, quick):
    names = list(series)
    longest = max(series.values(), key=len)
    long = np.resize(longest, 9000)
    yield "real series, H 24", 24, {}, [y[-512:] for y in series.values()]
    yield "lengths 1 to 9000, H 48", 48, {}, [long[-n:] for n in (1, 2, 15, 16, 17, 33, 100, 511, 512, 1000, 2048, 8191, 8192,
                                                                 9000)]
    yield "gaps, H 16", 16, {}, [with_gaps(series[n][-300:], s, 1) for n, s in zip(names, (0.1, 0.3, 0.5, 0.7, 0.9))]
    yield "constant, zero, empty, H 8", 8, {}, [np.full(50, 3.5, np.float32), np.zeros(20, np.float32),
                                                np.full(30, np.nan, np.float32)]
    for h in (1, 64, 65, 300, 1024):
        yield f"H {h}", h, {}, [longest[-700:], series[names[0]][-200:]]
    yield "several targets, H 40", 40, {}, [np.stack([long[k * 400:k * 400 + 400] for k in range(5)])]
    h = 30
    known = np.resize(series[names[1]], 400 + h)
    words = np.array(["a", "b", None, "c"], dtype=object)[np.arange(400 + h) * 7 // 5 % 4]
    yield "covariates, H 30", h, {}, [dict(target=long[s:s + 400],
                                           past_covariates=dict(k=known[:400], p=long[s + 500:s + 900], w=words[:400]),
                                           future_covariates=dict(k=known[400:], w=words[400:])) for s in (0, 1000)]
    yield "cross learning, H 20", 20, dict(cross_learning=True), [y[-200:] for y in list(series.values())[:12]]
    yield "long, H 1100", 1100, {}, [longest[-500:]]
    if not quick:
        yield "long with covariates, H 1060", 1060, {}, [dict(target=long[:300], past_covariates=dict(k=long[1000:1300]),
                                                              future_covariates=dict(k=long[1300:2360]))]


def scale_of(task):
    target = np.atleast_2d(task["target"] if isinstance(task, dict) else task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        s = np.nanstd(target[:, -8192:].astype(float), axis=1)
    return np.where(np.isfinite(s) & (s > 0), s, 1.0)[:, None, None]


def errors(tasks, ours, theirs):
    return [np.abs(a - b) / (np.abs(b) + scale_of(t)) for t, a, b in zip(tasks, ours, theirs)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--shared", default="../shared", type=pathlib.Path)
    parser.add_argument("--models", default="/tmp/chronos2-models", type=pathlib.Path)
    parser.add_argument("--sizes", default="small,base")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    from chronos import Chronos2Pipeline
    series, worst = real_series(args.shared), 0.0
    print(f"{len(series)} real series: {', '.join(series)}")
    for size in args.sizes.split(","):
        path = args.models / size
        make_model(path, size)
        theirs = Chronos2Pipeline.from_pretrained(path)
        ours = {p: Model(args.build / "libforetell.so", path, p, 2) for p in ("f32", "bf16", "int8")}
        sums = {p: [0.0, 0.0, 0] for p in ours}
        for name, horizon, kwargs, tasks in cases(series, args.quick):
            t0 = time.monotonic()
            expected = [p.numpy() for p in theirs.predict(tasks, prediction_length=horizon, **kwargs)]
            t1 = time.monotonic()
            found = ours["f32"].predict(tasks, horizon, **kwargs)
            t2 = time.monotonic()
            error = max(e.max() for e in errors(tasks, found, expected))
            worst = max(worst, error)
            spread = np.mean([np.std((e - e.mean()) / scale_of(t)) for t, e in zip(tasks, expected)])
            print(f"{size:6} {name:32} {error:.1e}   forecasts spread {spread:.2f}  {t1 - t0:6.2f} s, ours {t2 - t1:6.2f} s", flush=True)
            for p in ("bf16", "int8"):
                for e in errors(tasks, ours[p].predict(tasks, horizon, **kwargs), found):
                    sums[p] = [max(sums[p][0], e.max()), sums[p][1] + e.sum(), sums[p][2] + e.size]
        for p in ("bf16", "int8"):
            print(f"{size:6} {p} against f32: maximum {sums[p][0]:.1e}, mean {sums[p][1] / sums[p][2]:.1e}")
        for m in ours.values():
            m.close()
    print(f"largest error {worst:.1e}, limit {LIMIT:.0e}")
    return worst > LIMIT


if __name__ == "__main__":
    sys.exit(main())
