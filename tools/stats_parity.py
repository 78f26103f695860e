#!/usr/bin/env python3
"""Compares our automatic methods with R's forecast and with statsforecast on real series.

    tools/stats_parity.py METHOD --data DIR --binary build/foretell --cache DIR [--peers r,statsforecast,ours] [--write FILE]

Takes a fixed sample of the histories (test windows cut off) of the data sets in DIR (manifest.csv and one CSV each), runs
every peer on it and prints a three-way table: how often the models agree, and where they do, how far log likelihoods and
forecasts are apart; where they do not, whose AICc is less; and the processor time of each. Outputs of peers are kept in the
cache directory, one line a series, and taken from there; --write puts the table between its marks in a page. METHOD is a key
of METHODS, where a further one takes a few lines. Needs numpy; Rscript with forecast; statsforecast in the Python that
runs this.
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
    "m1_monthly": (15, 12, 200), "hospital": (30, 12, 200), "cif_2016": (15, 12, 200), "fred_md": (5, 12, 200),
    "car_parts": (10, 12, 200), "electricity_weekly": (40, 1, 200), "traffic_weekly": (40, 1, 200),
    "exchange_rate": (8, 5, 200), "covid_deaths": (10, 7, 200), "vehicle_trips": (10, 7, 200),
    "wiki_traffic": (5, 7, 200), "m4_sample_daily": (4, 7, 200), "m4_hourly": (3, 24, 240),
}
HORIZON = 12

R_SCRIPT = r"""
suppressMessages(library(forecast))
num <- function(v) if (is.null(v)) "null" else paste(ifelse(is.finite(v), sprintf("%%.12g", v), "null"), collapse = ",")
a <- commandArgs(TRUE)
for (line in readLines(a[1])) {
  part <- strsplit(line, " ")[[1]]
  x <- ts(suppressWarnings(as.numeric(part[-(1:2)])), frequency = as.integer(part[2]))
  start <- proc.time()[["user.self"]]
  f <- tryCatch(suppressWarnings(%s), error = function(e) NULL)
  used <- proc.time()[["user.self"]] - start
  if (is.null(f)) { cat(sprintf('{"id":"%%s","seconds":%%.4f}\n', part[1], used)); next }
  %s
  cat(sprintf('{"id":"%%s","model":[%%s],"loglik":%%s,"aicc":%%s,"mean":[%%s],"seconds":%%.4f}\n', part[1], model,
      num(f$loglik), num(f$aicc),
      num(as.numeric(suppressWarnings(forecast(f, h = as.integer(a[2]))$mean))), used))
  flush(stdout())
}
"""


def statsforecast_arima(y, m):
    import numpy as np
    from statsforecast.arima import auto_arima_f, forecast_arima
    f = auto_arima_f(np.array(y), period=m)
    o = [int(v) for v in f["arma"]]
    constant = any(n in f["coef"] for n in ("drift", "intercept"))
    mean = lambda: forecast_arima(f, HORIZON)["mean"]
    return [o[i] for i in (0, 5, 1, 2, 6, 3)] + [int(constant)], f["loglik"], f.get("aicc", math.nan), mean


def statsforecast_ets(y, m):
    import numpy as np
    from statsforecast.ets import ets_f, forecast_ets
    f = ets_f(np.array(y), m=m, model="ZZZ")
    error, trend, season, damped = f["components"]
    mean = lambda: forecast_ets(f, HORIZON)["mean"]
    return [error, trend + "d" * (damped == "D"), season], f["loglik"], f["aicc"], mean


def our_arima(s):
    return [s[k] for k in ("p", "d", "q", "seasonal_p", "seasonal_d", "seasonal_q")] + [int(s["constant"])]


def our_ets(s):
    return [s["form"][0], s["form"][1:-1], s["form"][-1]]


# forecaster of ours; R: the fit, and a line that writes its orders into `model`; statsforecast; our orders from a file;
# whether gaps are treated alike; whether two models' AICc can be compared
METHODS = {
    "arima": ("auto-arima", "auto.arima(x)",
              'o <- f$arma; const <- any(c("drift", "intercept") %in% names(f$coef)); '
              'model <- paste(c(o[c(1, 6, 2, 3, 7, 4)], as.integer(const)), collapse = ",")',
              statsforecast_arima, our_arima, True, lambda a, b: a[1] == b[1] and a[4] == b[4]),
    "ets": ("auto-ets", "ets(x)",
            'c4 <- f$components; model <- paste0("\\"", c(c4[1], paste0(c4[2], if (c4[4] == "TRUE") "d"), c4[3]), "\\"", '
            'collapse = ",")',
            statsforecast_ets, our_ets, False, lambda a, b: True),
}


def sample(data, gaps):
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
            if sum(not math.isnan(v) for v in y) >= 5 and (gaps or not any(map(math.isnan, y))):
                out.append((f"{name}/{key}".replace(" ", "_"), season, y))
    random.Random(1).shuffle(out)
    return out


def run_r(method, todo, append, cache, binary):
    (cache / "todo.txt").write_text("".join(
        f"{i} {m} " + " ".join("NA" if math.isnan(v) else repr(v) for v in y) + "\n" for i, m, y in todo))
    (cache / "peer.R").write_text(R_SCRIPT % (method[1], method[2]))
    command = ["Rscript", str(cache / "peer.R"), str(cache / "todo.txt"), str(HORIZON)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as p:
        for line in p.stdout:
            append({k: math.nan if v is None else v for k, v in json.loads(line).items()})


def run_statsforecast(method, todo, append, cache, binary):
    import warnings
    import numpy as np
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    method[3](np.random.default_rng(1).normal(size=40), 4)  # whatever it compiles or loads
    for key, m, y in todo:
        start = time.process_time()
        try:
            model, loglik, aicc, mean = method[3](y, m)
            used = time.process_time() - start
            append({"id": key, "model": model, "loglik": float(loglik), "aicc": float(aicc),
                    "mean": [float(v) for v in mean()], "seconds": used})
        except Exception as e:  # it gives up on some series; that is a result too
            append({"id": key, "seconds": time.process_time() - start, "error": str(e)[:80]})


def run_ours(method, todo, append, cache, binary):
    name = method[0]
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
        subprocess.run([binary, "fit", str(table), "-q", "-m", f"{name}:season={season}", "--on-error", "skip",
                        "--threads", "2", "--freq", "D", "-o", str(cache / "ours.json")], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(group)
        text = subprocess.run([binary, "predict", str(cache / "ours.json"), "-q", "-H", str(HORIZON)], check=True,
                              capture_output=True, text=True).stdout
        means = {}
        for row in csv.DictReader(text.splitlines()):
            means.setdefault(row.get("unique_id", group[0][0]), []).append(float(row[name]))
        for line in open(cache / "ours.json"):
            model = json.loads(line)
            s, key = model["state"], model["foretell"]["unique_id"]
            number = lambda v: math.nan if v is None else v
            append({"id": key, "model": method[4](s), "loglik": number(s["loglik"]), "aicc": number(s["aicc"]),
                    "mean": means[key], "seconds": used})


def results_of(peer, series, cache, run):
    """The peer's results by id; what the cache lacks is computed and added to it."""
    path = cache / f"{peer}.jsonl"
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


def compare(a, b, series, alike):
    """Counts over the series both have a model for; and how many of those differ by 0.5 % because a is likelier."""
    n = same = close = near = likelier = comparable = no_worse = 0
    for key, _, y in series:
        if "model" not in a.get(key, {}) or "model" not in b.get(key, {}):
            continue
        x, z = a[key], b[key]
        n += 1
        values = [v for v in y if not math.isnan(v)]
        scale = max(values) - min(values) or 1.0
        if x["model"] == z["model"]:
            same += 1
            close += not (x["loglik"] < z["loglik"] - 0.01)  # also where neither has one
            if max(abs(u - v) for u, v in zip(x["mean"], z["mean"])) <= 0.005 * scale:
                near += 1
            elif x["loglik"] > z["loglik"] + 0.01:
                likelier += 1
        elif alike(x["model"], z["model"]):
            comparable += 1
            no_worse += x["aicc"] <= z["aicc"] + 0.01
    return n, same, close, near, likelier, comparable, no_worse


def table(results, series, alike):
    if not series:
        return "No series yet that all peers were run on.\n"
    pct = lambda a, b: f"{a} ({100 * a / b:.1f} %)" if b else "-"
    out = [f"{len(series)} series, {HORIZON} steps ahead.", "",
           "| pair | series | same model | of these: log likelihood within 0.01, or better | forecasts within 0.5 % of the "
           "range | farther, the first likelier | other model: AICc of the first no worse |", "|---|---|---|---|---|---|---|"]
    for a, b in (("ours", "r"), ("ours", "statsforecast"), ("statsforecast", "r"), ("r", "statsforecast")):
        n, same, close, near, likelier, comparable, no_worse = compare(results[a], results[b], series, alike)
        names = {"r": "R", "ours": "foretell"}
        out.append(f"| {names.get(a, a)}, {names.get(b, b)} | {n} | {pct(same, n)} | {pct(close, same)} | {pct(near, same)} | "
                   f"{likelier} | {pct(no_worse, comparable)} |")
    out += ["", "Processor time of a fit, in milliseconds (ours with starting and reading):", "",
            "| season | series | foretell | statsforecast | R |", "|---|---|---|---|---|"]
    for m in sorted({s[1] for s in series}):
        group = [s[0] for s in series if s[1] == m]
        ms = [1000 * sum(results[k][i]["seconds"] for i in group) / len(group) for k in ("ours", "statsforecast", "r")]
        out.append(f"| {m} | {len(group)} | {ms[0]:.2f} | {ms[1]:.1f} | {ms[2]:.1f} |")
    total = [sum(results[k][s[0]]["seconds"] for s in series) for k in ("ours", "statsforecast", "r")]
    return "\n".join(out + ["", f"In all: foretell {total[0]:.2f} s, statsforecast {total[1]:.1f} s ({total[1] / total[0]:.0f} "
                            f"times), R {total[2]:.1f} s ({total[2] / total[0]:.0f} times)."]) + "\n"


def show_disagreements(results, series, count):
    """Examples: ours is less likely, or likelier by much, or the AICc of another model is worse."""
    def row(key, m, y):
        x = results["ours"][key]
        for peer in ("r", "statsforecast"):
            z = results[peer].get(key, {})
            if "model" in x and "model" in z:
                same = x["model"] == z["model"]
                yield (("less likely" if x["loglik"] < z["loglik"] - 0.01 else None) if same
                       else "worse AICc" if x["aicc"] > z["aicc"] + 0.01 else None), peer, x, z
    for kind in ("less likely", "worse AICc"):
        found = [(key, m, len(y), peer, x, z) for key, m, y in series for k, peer, x, z in row(key, m, y) if k == kind]
        for key, m, n, peer, x, z in found[:count]:
            print(f"{kind}: {key} m={m} n={n} ours {x['model']} {x['aicc']:.4f} {x['loglik']:.4f} "
                  f"{peer} {z['model']} {z['aicc']} {z['loglik']}")


def write(page, name, text):
    begin, end = f"<!-- parity:{name} -->\n", f"<!-- /parity:{name} -->"
    old = page.read_text()
    page.write_text(old[:old.index(begin) + len(begin)] + text + old[old.index(end):])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("method", choices=METHODS)
    p.add_argument("--data", type=pathlib.Path, required=True)
    p.add_argument("--binary", default="build/foretell")
    p.add_argument("--cache", type=pathlib.Path, required=True)
    p.add_argument("--peers", default="r,statsforecast,ours", help="whom to run; the others only from the cache")
    p.add_argument("--show", type=int, default=0, help="print this many series of each kind of disagreement")
    p.add_argument("--write", type=pathlib.Path, help="a page with <!-- parity:METHOD --> marks")
    args = p.parse_args()
    method = METHODS[args.method]
    cache = args.cache / args.method
    cache.mkdir(parents=True, exist_ok=True)
    series = sample(args.data, method[5])
    run = {"r": run_r, "statsforecast": run_statsforecast, "ours": run_ours}
    wanted = args.peers.split(",")
    results = {k: results_of(k, series, cache, (lambda todo, append, cache, k=k: run[k](method, todo, append, cache,
                                                                                     args.binary)) if k in wanted else None)
               for k in run}
    series = [s for s in series if all(s[0] in results[k] for k in run)]  # all on what all were run on
    text = table(results, series, method[6])
    print(text)
    show_disagreements(results, series, args.show)
    if args.write:
        write(args.write, args.method, text)


if __name__ == "__main__":
    os.environ.pop("OPENBLAS_CORETYPE", None)
    sys.exit(main())
