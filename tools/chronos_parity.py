#!/usr/bin/env python3
"""Compares the library with chronos-forecasting on models of the official sizes (random weights) and real series.

    tools/chronos_parity.py build/libforetell.so DATA [--families t5,bolt] [--sizes tiny,mini,small,base]
                            [--models DIR] [--quick]

DATA holds NAME.csv.gz files (unique_id,ds,y). Models are made in DIR (default /tmp/chronos-models) where they are not
there yet. For every model one line: the largest errors in float32, relative to the larger of the value and the scale of
its series,

    encoder    rows of the encoder
    logits     teacher-forced (chronos-t5; through build/bench/bench_chronos_logits)
    greedy     share of series whose most probable path is the same over the whole horizon; where it is not, upstream's own
               two best tokens are nearly equal, which is checked
    quantiles  chronos-bolt, all horizons; chronos-t5: quantiles of the paths are compared in distribution
    ks         smallest p-value of two-sample Kolmogorov-Smirnov tests of sampled values, times their number (Bonferroni)

and at the end whether all errors are within 1e-4 and all p-values above 0.001. Exit code 1 if not.
"""
import argparse
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

from chronos_tools import Model, make_model, read_series

warnings.filterwarnings("ignore")
SETS = ["ercot", "m4_hourly", "us_births", "exchange_rate", "electricity_weekly", "fred_md", "m1_quarterly", "m3_yearly",
        "elecdemand", "saugeen_river", "car_parts", "covid_deaths", "twitter_volume", "nn3", "m3_other"]


def cases(folder, quick):
    """(name, series, horizon)"""
    rng = np.random.default_rng(3)
    for i, name in enumerate(SETS[:5] if quick else SETS):
        x = read_series(folder, name, i)
        yield name, x[-2500:], (64, 24, 7, 65, 130)[i % 5]
    long = read_series(folder, "ercot", 1)
    yield "9000 values", long[:9000], 64
    yield "1 value", long[:1], 10
    yield "2 values", long[:2], 64
    gaps = long[:700].copy()
    gaps[rng.random(700) < 0.2] = np.nan
    gaps[300:360] = np.nan
    yield "gaps", gaps, 64
    gaps = gaps.copy()
    gaps[-40:] = np.nan
    yield "gap at the end", gaps, 30
    yield "constant", np.full(300, 42.0, np.float32), 64
    yield "zeros", np.zeros(100, np.float32), 64
    yield "nothing", np.full(50, np.nan, np.float32), 64
    yield "horizon 1100", long[:1500], 130 if quick else 1100


def error(ours, theirs, unit):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), unit)))


def t5_logits(program, directory, x, tokens, precision="f32"):
    data = np.int32(len(x)).tobytes() + np.asarray(x, np.float32).tobytes()
    data += np.int32(len(tokens)).tobytes() + np.asarray(tokens, np.int32).tobytes()
    out = subprocess.run([program, directory, precision], input=data, capture_output=True, check=True).stdout
    return np.frombuffer(out, np.float32).reshape(len(tokens), -1)


BLOCK = 64  # tokens before upstream starts again from the context and what it has drawn


def forced_logits(pipeline, x, path):
    """(encoder rows, tokens drawn, logits of every step) of upstream, made to draw the values `path` after x."""
    import torch

    inner, tokenizer = pipeline.model.model.eval(), pipeline.tokenizer
    ids, mask, scale = tokenizer.context_input_transform(torch.tensor(x)[None])
    drawn = tokenizer._input_transform(torch.tensor(path)[None], scale)[0][0].tolist()
    with torch.no_grad():
        encoded = inner.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[0].numpy()
        logits = inner(input_ids=ids, attention_mask=mask, decoder_input_ids=torch.tensor([[0] + drawn[:-1]])).logits[0].numpy()
    return encoded, drawn, logits


def compare_greedy(name, x, pipeline, path, found):
    """Whether our most probable path is upstream's; the step at which the two part must be a tie."""
    scale = float(pipeline.tokenizer.context_input_transform(batch_of(x))[2])
    differs = np.abs(found - path) > 1e-5 * np.abs(path) + 1e-5 * scale
    if not differs.any():
        return True
    at = int(np.argmax(differs))
    start = at // BLOCK * BLOCK
    row = forced_logits(pipeline, np.concatenate([x, path[:start]])[-512:], path[start:at + 1])[2][-1]
    row[1] = -np.inf  # the end is never drawn
    second, best = np.sort(row)[-2:]
    assert best - second < 1e-3, f"{name}: greedy paths part at step {at}, where the best token leads by {best - second}"
    return False


def batch_of(x):
    import torch

    return torch.tensor(x)[None]


def compare_t5(args, directory, ours, pipeline):
    import torch
    from scipy.stats import ks_2samp

    worst = dict(encoder=0.0, logits=0.0)
    same, total, p_values = 0, 0, []
    for i, (name, x, horizon) in enumerate(cases(args.data, args.quick)):
        x = x[-512:]
        context = batch_of(x)
        path = pipeline.predict(context, prediction_length=horizon, num_samples=1, top_k=1)[0, 0].numpy()
        encoded, drawn, logits = forced_logits(pipeline, x, path[:BLOCK])
        states, _, _ = ours.embed([x])[0]
        worst["encoder"] = max(worst["encoder"], error(states, encoded, np.abs(encoded).mean()))
        worst["logits"] = max(worst["logits"], error(t5_logits(args.logits, directory, x, [0] + drawn[:-1]), logits,
                                                     np.abs(logits).mean()))
        total += 1
        same += compare_greedy(name, x, pipeline, path, ours.predict([x], horizon, num_samples=1, top_k=1)[0][1][0])
        if i % 4 == 0:
            n, steps = (100, 8) if args.quick else (200, 12)
            torch.manual_seed(i)
            theirs = pipeline.predict(context, prediction_length=steps, num_samples=n)[0].numpy()
            sampled = ours.predict([x], steps, num_samples=n, seed=i)[0][1]
            p_values += [ks_2samp(sampled[:, t], theirs[:, t]).pvalue for t in range(steps)]
    worst["greedy"] = f"{same}/{total}"
    worst["ks"] = min(1.0, min(p_values) * len(p_values))
    return worst


def compare_bolt(args, directory, ours, pipeline):
    import torch

    worst = dict(encoder=0.0, quantiles=0.0)
    for name, x, horizon in cases(args.data, args.quick):
        theirs = pipeline.predict(torch.tensor(x)[None], prediction_length=horizon)[0].numpy()
        encoded, (loc, scale) = pipeline.embed(torch.tensor(x)[None])
        q = ours.predict([x], horizon)[0][0]
        states, our_loc, our_scale = ours.embed([x])[0]
        encoded = encoded[0].numpy()
        worst["encoder"] = max(worst["encoder"], error(states, encoded, np.abs(encoded).mean()))
        worst["quantiles"] = max(worst["quantiles"], error(q, theirs, float(scale)))
    return worst


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library", type=Path)
    p.add_argument("data", type=Path)
    p.add_argument("--families", default="t5,bolt")
    p.add_argument("--sizes", default="tiny,mini,small,base")
    p.add_argument("--models", type=Path, default=Path("/tmp/chronos-models"))
    p.add_argument("--quick", action="store_true")
    args = p.parse_args()
    args.logits = args.library.resolve().parent / "bench" / "bench_chronos_logits"

    import torch
    from chronos import BaseChronosPipeline

    torch.set_num_threads(1)
    ok = True
    for family in args.families.split(","):
        for size in args.sizes.split(","):
            directory = make_model(family, size, args.models / f"chronos-{family}-{size}")
            pipeline = BaseChronosPipeline.from_pretrained(directory, dtype=torch.float32)
            ours = Model(args.library, directory)
            found = (compare_t5 if family == "t5" else compare_bolt)(args, directory, ours, pipeline)
            print(f"chronos-{family}-{size}:", "  ".join(f"{k} {v:.1e}" if isinstance(v, float) else f"{k} {v}"
                                                        for k, v in found.items()), flush=True)
            ok &= all(v <= 1e-4 for k, v in found.items() if isinstance(v, float) and k != "ks")
            ok &= found.get("ks", 1.0) > 0.001
    print("all within 1e-4" if ok else "NOT all within 1e-4")
    return not ok


if __name__ == "__main__":
    sys.exit(main())
