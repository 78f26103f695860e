#!/usr/bin/env python3
"""How long our automatic methods, statsforecast and R's forecast take for a panel, two threads each, in one run.

    bench/stats_peer.py --data DIR --binary build/foretell [--set m3_monthly] [--series 100] [--methods ets,arima]

Ours is the whole program: starting, reading, fitting, forecasting with 80 % and 95 % intervals, writing. The others are timed
without starting, compiling and reading: statsforecast in two processes after a warm-up, R in two forks. Wall-clock seconds
and processor seconds; the latter are worth more where the machine has other work.
"""
import argparse
import csv
import gzip
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

METHODS = {  # ours, statsforecast's, R's, and how many steps ahead
    "ets": ("auto-ets", "AutoETS", "ets"),
    "arima": ("auto-arima", "AutoARIMA", "auto.arima"),
}
HORIZON = 18

R_SCRIPT = """
suppressMessages(library(forecast)); library(parallel)
x <- lapply(strsplit(readLines("series.txt"), " "), function(v) ts(as.numeric(v[-1]), frequency = as.integer(v[1])))
one <- function(y) forecast(get(METHOD)(y), h = %d, level = c(80, 95))$mean
t <- proc.time()
r <- mclapply(x, function(y) tryCatch(suppressWarnings(one(y)), error = function(e) NULL), mc.cores = 2)
t <- proc.time() - t
cat(t[["elapsed"]], t[["user.child"]] + t[["sys.child"]], "\\n")
""" % HORIZON


def read(data, name, count):
    manifest = {row["name"]: row for row in csv.DictReader(open(data / "manifest.csv"))}[name]
    series = {}
    with gzip.open(data / manifest["file"], "rt") as f:
        for row in csv.DictReader(f):
            series.setdefault(row["unique_id"], []).append((row["ds"], row["y"]))
    offset = int(manifest["test_offset"])
    chosen = {k: v[:-offset] for k, v in list(series.items())[:count]}
    return chosen, int(manifest["natural_season"]), manifest["freq"]


def used(before, after):
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(binary, model, series, season, folder):
    table = folder / "panel.csv"
    with open(table, "w") as f:
        f.write("unique_id,ds,y\n")
        for key, rows in series.items():
            f.writelines(f"{key},{ds},{y}\n" for ds, y in rows)
    command = [binary, "forecast", str(table), "-q", "-H", str(HORIZON), "-m", f"{model}:season={season}", "--threads", "2",
               "--on-error", "skip", "-o", str(folder / "out.csv")]
    best = None
    for _ in range(3):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
            return None
        now = time.monotonic() - start, used(before, resource.getrusage(resource.RUSAGE_CHILDREN))
        best = min(best or now, now)
    return best


def statsforecast(model, series, season, folder):
    script = f"""
import resource, sys, time, warnings
import pandas as pd
import statsforecast.models as models
from statsforecast import StatsForecast
warnings.simplefilter("ignore")
frame = pd.read_csv("panel.csv")
frame["ds"] = frame.groupby("unique_id").cumcount() + 1
run = lambda part: StatsForecast(models=[models.{model}(season_length={season})], freq=1, n_jobs=2,
                                 fallback_model=models.Naive()).forecast(df=part, h={HORIZON}, level=[80, 95])
run(frame[frame.unique_id.isin(frame.unique_id.unique()[:4])])
def spent():
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
before, start = spent(), time.monotonic()
run(frame)
print(time.monotonic() - start, spent() - before)
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    out = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, env=environment)
    return tuple(map(float, out.stdout.split())) if not out.returncode else None


def r(model, series, season, folder):
    with open(folder / "series.txt", "w") as f:
        f.writelines(f"{season} " + " ".join(y or "NA" for _, y in rows) + "\n" for rows in series.values())
    (folder / "peer.R").write_text(f'METHOD <- "{model}"\n' + R_SCRIPT)
    out = subprocess.run(["Rscript", "peer.R"], cwd=folder, capture_output=True, text=True)
    return tuple(map(float, out.stdout.split())) if not out.returncode else None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--binary", type=lambda v: str(pathlib.Path(v).resolve()), default="build/foretell")
    p.add_argument("--set", default="m3_monthly")
    p.add_argument("--series", type=int, default=100)
    p.add_argument("--methods", default="ets,arima")
    args = p.parse_args()
    series, season, _ = read(args.data, args.set, args.series)
    print(f"{len(series)} series of {args.set}, season {season}, {HORIZON} steps ahead; wall-clock and processor seconds\n")
    print("| method | foretell | statsforecast | R | statsforecast / foretell | R / foretell |\n|---|---|---|---|---|---|")
    for name in args.methods.split(","):
        a, b, c = METHODS[name]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            t = [ours(args.binary, a, series, season, folder), statsforecast(b, series, season, folder),
                 r(c, series, season, folder)]
        show = lambda x: f"{x[0]:.2f}, {x[1]:.2f}" if x else "failed"
        times = lambda x: f"{x[0] / t[0][0]:.0f}, {x[1] / t[0][1]:.0f}" if x and t[0] else "-"
        print(f"| {name} | {show(t[0])} | {show(t[1])} | {show(t[2])} | {times(t[1])} | {times(t[2])} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
