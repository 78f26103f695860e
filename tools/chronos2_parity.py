#!/usr/bin/env python3
"""Compares Chronos-2 with chronos-forecasting on models of the official sizes (random weights) and real series.

    tools/chronos2_parity.py build/libforetell.so DATA [--sizes small,base] [--models DIR] [--quick]

DATA holds NAME.csv.gz files. Models are made in DIR (default /tmp/chronos-models) where they are not there yet. Both sides
forecast the first series of every file, lengths 1 to 9,000, gaps, constant and empty series, horizons 1 to 1,100,
several targets, covariates, categories, cross learning.

The error of a number is |ours - theirs| / max(|theirs|, scale), where scale is the standard deviation of the task's target
(1 where it is 0 or nothing is observed): relative where values are large, in units of the series where they cross zero.
The limit is 1e-4 in f32; exit code 1 if it is passed. Beyond 1,024 steps upstream's weighted quantiles jump where two
samples tie (which comes first decides what weight the value before them gets): there a number counts as right if it is
near what upstream gives for the series or for the series times 1 + 3e-7. The errors of bf16 and int8 are against f32.
"""
import argparse
import gzip
import io
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from chronos_tools import PRECISIONS, Model, make_model

LIMIT = 1e-4


def real_series(folder):
    """The first column of numbers of every data file, by name."""
    found = {}
    for path in sorted(folder.glob("*.csv*")):
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


def nudged(task):
    return dict(task, target=nudged(task["target"])) if isinstance(task, dict) else task * np.float32(1 + 3e-7)


def errors(tasks, ours, theirs):
    return [np.abs(a - b) / np.maximum(np.abs(b), scale_of(t)) for t, a, b in zip(tasks, ours, theirs)]


def predict(model, tasks, horizon, **kwargs):
    """[targets, levels, horizon] of each task."""
    return [q.reshape(-1, *q.shape[-2:]) for q, _ in model.predict(tasks, horizon, levels=None, **kwargs)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", default="small,base")
    parser.add_argument("--models", type=Path, default=Path("/tmp/chronos-models"))
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    from chronos import Chronos2Pipeline
    series, worst = real_series(args.data), 0.0
    print(f"{len(series)} real series: {', '.join(series)}")
    for size in args.sizes.split(","):
        path = make_model("2", size, args.models / f"chronos-2-{size}")
        theirs = Chronos2Pipeline.from_pretrained(path)
        models = {p: Model(args.library, path, p, 2) for p in PRECISIONS}
        sums = {p: [0.0, 0.0, 0] for p in PRECISIONS if p != "f32"}
        for name, horizon, kwargs, tasks in cases(series, args.quick):
            t0 = time.monotonic()
            expected = [p.numpy() for p in theirs.predict(tasks, prediction_length=horizon, **kwargs)]
            t1 = time.monotonic()
            found = predict(models["f32"], tasks, horizon, **kwargs)
            t2 = time.monotonic()
            each = errors(tasks, found, expected)
            if horizon > 1024:
                again = [p.numpy() for p in theirs.predict([nudged(t) for t in tasks], prediction_length=horizon, **kwargs)]
                each = [np.minimum(a, b) for a, b in zip(each, errors(tasks, found, again))]
            error = max(e.max() for e in each)
            worst = max(worst, error)
            spread = np.mean([np.std((e - e.mean()) / scale_of(t)) for t, e in zip(tasks, expected)])
            print(f"{size:6} {name:32} {error:.1e}   forecasts spread {spread:.2f}  {t1 - t0:6.2f} s, ours {t2 - t1:6.2f} s", flush=True)
            for p in sums:
                for e in errors(tasks, predict(models[p], tasks, horizon, **kwargs), found):
                    sums[p] = [max(sums[p][0], e.max()), sums[p][1] + e.sum(), sums[p][2] + e.size]
        for p in sums:
            print(f"{size:6} {p} against f32: maximum {sums[p][0]:.1e}, mean {sums[p][1] / sums[p][2]:.1e}")
    print(f"largest error {worst:.1e}, limit {LIMIT:.0e}")
    return worst > LIMIT


if __name__ == "__main__":
    sys.exit(main())
