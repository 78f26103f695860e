#!/usr/bin/env python3
"""Speed of the Chronos families beside chronos-forecasting, in one run; prints a table of seconds and ratios.

    bench/chronos_peer.py build/libforetell.so [--models DIR] [--only t5,bolt,2] [--threads 2,1] [--batches 1,16]
                          [--repeat 15] [--seconds 25] [--cpu]

Models of the size "small" with random weights (tools/chronos_tools.py), context 512, horizon 64, 20 samples. Rounds of the
peer and of each precision alternate, and the fastest round of each counts: what else the machine does slows both alike.
Rounds end after --repeat of them, or --seconds for a line of the table: all of it takes about seven minutes.
On a busy machine --cpu counts processor time instead of the clock's, which says something of one thread only.
`unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE` before, or the peer is not at its best.
"""
import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from chronos_tools import PRECISIONS, Model, make_model  # noqa: E402

warnings.filterwarnings("ignore")


def timed(call, clock):
    start = clock()
    call()
    return clock() - start


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library", type=Path)
    p.add_argument("--models", type=Path, default=Path("/tmp/chronos-models"))
    p.add_argument("--only", default="t5,bolt,2")
    p.add_argument("--threads", default="2,1")
    p.add_argument("--batches", default="1,16")
    p.add_argument("--repeat", type=int, default=15)
    p.add_argument("--seconds", type=float, default=25)
    p.add_argument("--cpu", action="store_true")
    args = p.parse_args()
    clock = time.process_time if args.cpu else time.perf_counter

    import torch
    from chronos import BaseChronosPipeline

    rng = np.random.default_rng(1)
    t = np.arange(512)
    print("| model | batch | threads | peer s | " + " | ".join(f"{k} s | {k} ratio" for k in PRECISIONS) + " |")
    print("|---" * (4 + 2 * len(PRECISIONS)) + "|")
    for family in args.only.split(","):
        directory = make_model(family, "small", args.models / f"chronos-{family}-small")
        pipeline = BaseChronosPipeline.from_pretrained(directory, dtype=torch.float32)
        for threads in map(int, args.threads.split(",")):
            torch.set_num_threads(threads)
            ours = {k: Model(args.library, directory, k, threads) for k in PRECISIONS}
            for batch in map(int, args.batches.split(",")):
                x = (10 + np.sin(t / 5 + rng.normal(size=(batch, 1))) + 0.2 * rng.normal(size=(batch, 512))).astype(np.float32)
                given = torch.tensor(x)[:, None] if family == "2" else torch.tensor(x)  # one target each
                calls = {"peer": lambda: pipeline.predict(given, prediction_length=64)}
                for k, model in ours.items():
                    calls[k] = lambda model=model: model.predict(list(x), 64, batch_size=batch)
                best = dict.fromkeys(calls, np.inf)
                began = time.perf_counter()
                for done in range(args.repeat):
                    if done and time.perf_counter() - began > args.seconds:
                        break
                    for k, call in calls.items():
                        best[k] = min(best[k], timed(call, clock))
                cells = [f"{best[k]:.4f} | {best['peer'] / best[k]:.2f}" for k in PRECISIONS]
                print(f"| {family}-small | {batch} | {threads} | {best['peer']:.4f} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
