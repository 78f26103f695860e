#!/usr/bin/env python3
"""Times Python prophet on one file with its default settings: the peer's side of bench/run.

    prophet_peer.py FILE TARGET FREQ HORIZON RUNS

Prints one JSON object: medians over RUNS of the seconds (wall and processor, Stan's process included) that fit() took,
and fit() followed by predict() of history and future with intervals and components, which is what predict() always does.
"""
import json
import logging
import resource
import statistics
import sys
import time
import warnings

import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import prophet  # noqa: E402  (after the silence it needs)


def clocks():
    own = resource.getrusage(resource.RUSAGE_SELF)
    kids = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime


def one_run(frame, freq, horizon):
    start = clocks()
    model = prophet.Prophet()
    model.fit(frame)
    fitted = clocks()
    forecast = model.predict(model.make_future_dataframe(periods=horizon, freq=freq))
    done = clocks()
    if forecast["yhat_upper"].isna().any():
        raise SystemExit("prophet: NaN in yhat_upper")
    return [fitted[0] - start[0], fitted[1] - start[1], done[0] - start[0], done[1] - start[1]], model, len(forecast)


def main():
    path, target, freq, horizon, runs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    frame = pd.read_csv(path).rename(columns={target: "y"})[["ds", "y"]]
    one_run(frame, freq, horizon)  # a first run pays for imports and caches; it is not counted
    results = [one_run(frame, freq, horizon) for _ in range(runs)]
    columns = list(zip(*[r[0] for r in results]))
    medians = [statistics.median(c) for c in columns]
    model = results[-1][1]
    print(json.dumps({
        "version": prophet.__version__, "observations": int(frame["y"].notna().sum()), "rows": results[-1][2],
        "runs": runs, "fit_seconds": medians[0], "fit_cpu_seconds": medians[1], "both_seconds": medians[2],
        "both_cpu_seconds": medians[3], "both_min_seconds": min(columns[2]), "fit_min_seconds": min(columns[0]),
        "seasonalities": list(model.seasonalities)}))


if __name__ == "__main__":
    main()
