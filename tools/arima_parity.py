#!/usr/bin/env python3
"""Compares auto-arima with R's forecast::auto.arima and statsforecast's AutoARIMA on real series.

    tools/arima_parity.py --data DIR --binary build/foretell --cache DIR [--peers r,statsforecast,ours] [--table]

Takes a fixed sample of the histories (test windows cut off) of the data sets in DIR (manifest.csv and one CSV each), runs
every peer on it and prints a three-way table: how often the models agree, and where they do, how far log likelihoods and
forecasts are apart; where they do not, whose AICc is less; and the processor time of each. Outputs of peers are kept in the
cache directory, one line a series, and taken from there. Needs numpy; Rscript with forecast; statsforecast
in the Python that runs this.
"""
import argparse
import csv
import gzip
import json
import math
import os
import pathlib
import random
import resource
import subprocess
import sys
import time

# data set: how many of its series, the season given to all peers, and at most this many of the latest values
SAMPLE = {
    "m3_yearly": (200, 1, 200), "tourism_yearly": (170, 1, 200), "m4_sample_yearly": (20, 1, 200),
    "m3_other": (150, 1, 200), "m1_quarterly": (110, 4, 200), "tourism_quarterly": (90, 4, 200),
    "aus_tourism": (60, 4, 200), "m4_sample_quarterly": (20, 4, 200), "m3_monthly": (20, 12, 200),
    "m1_monthly": (15, 12, 200), "hospital": (15, 12, 200), "cif_2016": (15, 12, 200), "fred_md": (5, 12, 200),
    "car_parts": (10, 12, 200), "electricity_weekly": (40, 1, 200), "traffic_weekly": (40, 1, 200),
    "exchange_rate": (8, 5, 200), "covid_deaths": (10, 7, 200), "vehicle_trips": (10, 7, 200),
    "wiki_traffic": (5, 7, 200), "m4_sample_daily": (4, 7, 200), "m4_hourly": (3, 24, 240),
}
HORIZON = 12

R_SCRIPT = r"""
suppressMessages(library(forecast))
a <- commandArgs(TRUE)
for (line in readLines(a[1])) {
  part <- strsplit(line, " ")[[1]]
  m <- as.integer(part[2]); x <- suppressWarnings(as.numeric(part[-(1:2)]))
  start <- proc.time()[["user.self"]]
  f <- tryCatch(suppressWarnings(auto.arima(ts(x, frequency = m))), error = function(e) NULL)
  used <- proc.time()[["user.self"]] - start
  if (is.null(f)) { cat(sprintf('{"id":"%s","seconds":%.4f}\n', part[1], used)); next }
  o <- f$arma; const <- any(c("drift", "intercept") %in% names(f$coef))
  num <- function(v) paste(ifelse(is.finite(v), sprintf("%.12g", v), "null"), collapse = ",")
  cat(sprintf('{"id":"%s","order":[%s,%d],"loglik":%s,"aicc":%s,"mean":[%s],"seconds":%.4f}\n', part[1],
      paste(o[c(1, 6, 2, 3, 7, 4)], collapse = ","), const, num(f$loglik), num(if (is.null(f$aicc)) NA else f$aicc),
      num(as.numeric(suppressWarnings(forecast(f, h = as.integer(a[2]))$mean))), used))
  flush(stdout())
}
"""


def sample(data):
    """[(id, season, values)], the same every time."""
    manifest = {row["name"]: row for row in csv.DictReader(open(data / "manifest.csv"))}
    out = []
    for name, (count, season, most) in SAMPLE.items():
        series = {}
        with gzip.open(data / manifest[name]["file"], "rt") as f:
            for row in csv.DictReader(f):
                series.setdefault(row["unique_id"], []).append(float(row["y"]) if row["y"] else math.nan)
        ids = sorted(series)
        random.Random(name).shuffle(ids)
        offset = int(manifest[name]["test_offset"])
        for key in ids[:count]:
            y = series[key][:-offset][-most:]
            if sum(not math.isnan(v) for v in y) >= 5:
                out.append((f"{name}/{key}".replace(" ", "_"), season, y))
    random.Random(1).shuffle(out)
    return out


def run_r(todo, append, cache):
    todo_file = cache / f"todo-{os.getpid()}.txt"
    todo_file.write_text("".join(
        f"{i} {m} " + " ".join("NA" if math.isnan(v) else repr(v) for v in y) + "\n" for i, m, y in todo))
    (cache / "peer.R").write_text(R_SCRIPT)
    command = ["Rscript", str(cache / "peer.R"), str(todo_file), str(HORIZON)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as p:
        for line in p.stdout:
            append(json.loads(line))
    todo_file.unlink()


def run_statsforecast(todo, append, cache):
    import warnings
    import numpy as np
    from statsforecast.arima import auto_arima_f, forecast_arima
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    auto_arima_f(np.random.default_rng(1).normal(size=40), period=4)  # whatever it compiles or loads
    for key, m, y in todo:
        start = time.process_time()
        try:
            f = auto_arima_f(np.array(y), period=m)
            o = [int(v) for v in f["arma"]]
            used = time.process_time() - start
            mean = [float(v) for v in forecast_arima(f, HORIZON)["mean"]]
            constant = any(n in f["coef"] for n in ("drift", "intercept"))
            append({"id": key, "order": [o[i] for i in (0, 5, 1, 2, 6, 3)] + [int(constant)],
                    "loglik": float(f["loglik"]), "aicc": float(f.get("aicc", math.nan)), "mean": mean,
                    "seconds": used})
        except Exception as e:  # it gives up on some series; that is a result too
            append({"id": key, "seconds": time.process_time() - start, "error": str(e)[:80]})


def run_ours(todo, append, cache, binary):
    for season in sorted({m for _, m, _ in todo}):
        group = [(i, y) for i, m, y in todo if m == season]
        table = cache / "ours.csv"
        with open(table, "w") as f:
            f.write("unique_id,ds,y\n")
            for i, y in group:
                for t, v in enumerate(y):
                    day = time.strftime("%Y-%m-%d", time.gmtime(86400 * (10957 + t)))
                    f.write(f"{i},{day},{'' if math.isnan(v) else repr(v)}\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([binary, "fit", str(table), "-q", "-m", f"auto-arima:season={season}", "--on-error", "skip",
                        "--threads", "2", "--freq", "D", "-o", str(cache / "ours.json")], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(group)
        text = subprocess.run([binary, "predict", str(cache / "ours.json"), "-q", "-H", str(HORIZON)], check=True,
                              capture_output=True, text=True).stdout
        means = {}
        for row in csv.DictReader(text.splitlines()):
            means.setdefault(row.get("unique_id", group[0][0]), []).append(float(row["auto-arima"]))
        for line in open(cache / "ours.json"):
            model = json.loads(line)
            s, key = model["state"], model["foretell"]["unique_id"]
            number = lambda v: math.nan if v is None else v
            append({"id": key, "order": [s[k] for k in ("p", "d", "q", "seasonal_p", "seasonal_d", "seasonal_q")]
                    + [int(s["constant"])], "loglik": number(s["loglik"]), "aicc": number(s["aicc"]),
                    "mean": means[key], "seconds": used, "fallback": s["fallback"], "certain": s["certain"]})


def results_of(peer, series, cache, run):
    """The peer's results by id; what the cache lacks is computed and added to it."""
    path = cache / f"{peer}.jsonl"
    if peer == "ours" and run:
        path.unlink(missing_ok=True)  # it changes, and is quick
    known = {}
    if path.exists():
        for line in path.read_text().splitlines():
            row = json.loads(line)
            known[row["id"]] = row
    todo = [s for s in series if s[0] not in known]
    if todo and run:
        with open(path, "a") as f:
            def append(row):
                known[row["id"]] = row
                f.write(json.dumps(row) + "\n")
                f.flush()
            run(todo, append, cache)
    return known


def refit(binary, cache, entry, order):
    """AICc of an order by our likelihood, and whether all its roots keep the distance of 1 % that the search asks for."""
    import numpy as np
    _, m, y = entry
    table = cache / f"refit-{os.getpid()}.csv"
    table.write_text("ds,y\n" + "".join(f"{t + 1},{'' if math.isnan(v) else repr(v)}\n" for t, v in enumerate(y)))
    names = ("p", "d", "q", "seasonal_p", "seasonal_d", "seasonal_q")
    spec = ",".join(f"{k}={v}" for k, v in zip(names, order))
    constant = "yes" if order[6] else "no"
    out = subprocess.run([binary, "fit", str(table), "-q", "-m",
                          f"arima:season={m},{spec},mean={constant},drift={constant}"], capture_output=True, text=True)
    table.unlink()
    if out.returncode:
        return math.inf, False
    s = json.loads(out.stdout)["state"]
    coef, nearest = s["coefficients"], math.inf
    for k, sign, period in ((0, -1, 1), (2, 1, 1), (3, -1, m), (5, 1, m)):
        part, coef = coef[:order[k]], coef[order[k]:]
        if any(part):
            roots = np.roots([sign * c for c in part[::-1]] + [1])
            nearest = min([nearest] + [abs(r) ** (1 / period) for r in roots])
    return (math.inf if s["aicc"] is None else s["aicc"]), nearest >= 1.01


def compare(a, b, series, judge=None):
    """Counts over the series both have a model for. judge(entry, order): AICc by one likelihood, and admissibility."""
    n = same = close = near = comparable = no_worse = 0
    for key, _, y in series:
        if "order" not in a.get(key, {}) or "order" not in b.get(key, {}):
            continue
        x, z = a[key], b[key]
        n += 1
        values = [v for v in y if not math.isnan(v)]
        scale = max(values) - min(values) or 1.0
        if x["order"] == z["order"]:
            same += 1
            close += not (x["loglik"] < z["loglik"] - 0.01)  # also where neither has one
            near += max(abs(u - v) for u, v in zip(x["mean"], z["mean"])) <= 0.005 * scale
        elif x["order"][1] == z["order"][1] and x["order"][4] == z["order"][4]:
            aicc, admissible = judge((key, _, y), z["order"]) if judge else (z["aicc"], True)
            comparable += admissible
            no_worse += admissible and x["aicc"] <= aicc + 0.01
    return n, same, close, near, comparable, no_worse


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--binary", default="build/foretell")
    p.add_argument("--cache", type=pathlib.Path, required=True)
    p.add_argument("--peers", default="r,statsforecast,ours", help="whom to run; the others only from the cache")
    p.add_argument("--seasons", help="run peers on series of these seasons only: 1,4")
    p.add_argument("--show", type=int, default=0, help="print this many series of each kind of disagreement")
    args = p.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    series = sample(args.data)
    run = {"r": run_r, "statsforecast": run_statsforecast,
           "ours": lambda todo, append, cache: run_ours(todo, append, cache, args.binary)}
    wanted = args.peers.split(",")
    chosen = [s for s in series if not args.seasons or str(s[1]) in args.seasons.split(",")]
    results = {k: results_of(k, chosen, args.cache, run[k] if k in wanted else None) for k in run}
    # compare all on the series that all were run on
    series = [s for s in series if all(s[0] in results[k] for k in run)]
    print(f"{len(series)} series; horizon {HORIZON}\n")
    print("Where models differ, AICc of `ours` and of the peer's model are both by our likelihood; models with "
          "a root within 1 % of the unit circle, which the search must not choose, are left out there.\n")
    print("| pair | series | same model | log likelihood within 0.01 or better | forecasts within 0.5 % | AICc no worse, where "
          "the model differs |")
    print("|---|---|---|---|---|---|")
    pct = lambda a, b: f"{a} ({100 * a / b:.1f} %)" if b else "-"
    for a, b in (("ours", "r"), ("ours", "statsforecast"), ("statsforecast", "r"), ("r", "statsforecast")):
        judge = (lambda entry, order: refit(args.binary, args.cache, entry, order)) if a == "ours" else None
        n, same, close, near, comparable, no_worse = compare(results[a], results[b], series, judge)
        print(f"| {a} - {b} | {n} | {pct(same, n)} | {pct(close, same)} | {pct(near, same)} | "
              f"{pct(no_worse, comparable)} of {comparable} with the same differences |")
    print("\n| season | series | ours, ms | statsforecast, ms | R, ms |\n|---|---|---|---|---|")
    for m in sorted({s[1] for s in series}):
        group = [s[0] for s in series if s[1] == m]
        ms = [1000 * sum(results[k][i]["seconds"] for i in group) / len(group) for k in ("ours", "statsforecast", "r")]
        print(f"| {m} | {len(group)} | {ms[0]:.2f} | {ms[1]:.1f} | {ms[2]:.1f} |")
    total = [sum(results[k][s[0]]["seconds"] for s in series) for k in ("ours", "statsforecast", "r")]
    print(f"\nprocessor time: ours {total[0]:.2f} s, statsforecast {total[1]:.1f} s ({total[1] / total[0]:.0f} times), "
          f"R {total[2]:.1f} s ({total[2] / total[0]:.0f} times)")
    for kind in ("differences", "orders", "loglik", "forecast"):
        shown = 0
        for key, m, y in series:
            x, z = results["ours"][key], results["r"][key]
            if shown == args.show or "order" not in x or "order" not in z:
                continue
            diff = x["order"][1] != z["order"][1] or x["order"][4] != z["order"][4]
            same = x["order"] == z["order"]
            scale = (max(v for v in y if v == v) - min(v for v in y if v == v)) or 1.0
            far = same and max(abs(u - v) for u, v in zip(x["mean"], z["mean"])) > 0.005 * scale
            hit = {"differences": diff, "orders": not diff and not same,
                   "loglik": same and x["loglik"] < z["loglik"] - 0.01, "forecast": far}[kind]
            if hit:
                shown += 1
                s = results["statsforecast"].get(key, {})
                print(f"{kind}: {key} m={m} n={len(y)} ours {x['order']} {x['aicc']:.4f} {x['loglik']:.4f} "
                      f"R {z['order']} {z['aicc']} {z['loglik']} statsforecast {s.get('order')} {s.get('aicc')}")


if __name__ == "__main__":
    os.environ.pop("OPENBLAS_CORETYPE", None)
    sys.exit(main())
