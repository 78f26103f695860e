#!/usr/bin/env python3
"""Compares foretell with Python's own prophet, number by number.

    python3 tests/parity/check_prophet.py [--library build/libforetell.so] [--data DIR] [--write-fixture FILE]

Needs prophet 1.5 (pip install prophet); without it the script says so and ends with 77. For every example file and
many configurations Python prepares the same data (Prophet.preprocess), and these must agree: scales, changepoints,
seasonalities, regressors, prior scales, holiday names, the table of components and every column of the design matrix.
Then our saved model is read by Python's model_from_json and both predict; and models that Python fitted (MAP and MCMC)
are read by us. Tolerance 1e-9, relative to the largest value; the largest deviations are printed.
"""
import argparse
import ctypes as C
import json
import logging
import os
import sys
import tempfile
import warnings

logging.disable(logging.CRITICAL)
warnings.filterwarnings("ignore")
try:
    import numpy as np
    import pandas as pd
    import prophet
    from prophet import Prophet
    from prophet.serialize import model_from_json, model_to_json
except ImportError as error:
    print(f"SKIPPED: {error}; this check needs Python's prophet", file=sys.stderr)
    sys.exit(77)

TOLERANCE = 1e-9
P = C.c_void_p


class Error(C.Structure):
    _fields_ = [("code", C.c_int), ("message", C.c_char * 512)]


class CsvOptions(C.Structure):
    _fields_ = [("id", C.c_char_p), ("time", C.c_char_p), ("target", C.c_char_p), ("no_target", C.c_bool),
                ("null", C.c_char_p), ("ignore", P), ("n_ignore", C.c_size_t)]


class PredictArgs(C.Structure):
    _fields_ = [("horizon", C.c_size_t), ("freq", P), ("future", P), ("history", C.c_bool), ("levels", P),
                ("n_levels", C.c_size_t), ("components", C.c_bool), ("n_samples", C.c_size_t),
                ("sampled_quantiles", C.c_bool), ("seed", C.c_uint64)]


class Foretell:
    """The few calls of the C library that this check needs."""

    def __init__(self, path):
        self.lib = C.CDLL(path)
        self.err = Error()
        for name in ("ftl_panel_series", "ftl_forecast_point", "ftl_forecast_component", "ftl_forecast_quantiles",
                     "ftl_forecast_component_quantiles"):
            getattr(self.lib, name).restype = P
        self.lib.ftl_forecast_component_name.restype = C.c_char_p
        for name in ("ftl_forecast_n_rows", "ftl_forecast_n_components", "ftl_forecast_n_levels"):
            getattr(self.lib, name).restype = C.c_size_t

    def call(self, name, *args):
        out = P()
        if getattr(self.lib, name)(*args, C.byref(out), C.byref(self.err)):
            raise RuntimeError(self.err.message.decode())
        return out

    def series(self, frame, target=True):
        with tempfile.NamedTemporaryFile("w", suffix=".csv", delete=False) as file:
            frame.to_csv(file, index=False)
        options = CsvOptions(no_target=not target)
        panel = self.call("ftl_panel_read_csv", file.name.encode(), C.byref(options))
        os.unlink(file.name)
        return panel, P(self.lib.ftl_panel_series(panel, C.c_size_t(0)))

    def fit(self, frame, spec):
        config = self.call("ftl_config_new", spec.encode())
        panel, series = self.series(frame)
        model = self.call("ftl_model_fit", config, series, None)
        self.lib.ftl_panel_free(panel)
        self.lib.ftl_config_free(config)
        return model

    def save(self, model):
        text = self.call("ftl_model_save_text", model)
        out = C.string_at(text).decode()
        self.lib.ftl_text_free(text)
        return out

    def load(self, text):
        data = text.encode()
        return self.call("ftl_model_load_text", data, C.c_size_t(len(data)), b"model")

    def predict(self, model, frame, levels=()):
        """Point and components (and with `levels` their quantiles, each [n, levels]) of the rows of a frame."""
        panel, series = self.series(frame, target=False)
        array = (C.c_double * max(1, len(levels)))(*levels)
        args = PredictArgs(future=series, components=True, levels=C.cast(array, P), n_levels=len(levels))
        fc = self.call("ftl_model_predict", model, C.byref(args))
        n = self.lib.ftl_forecast_n_rows(fc)

        def read(address, width=1):
            return np.ctypeslib.as_array((C.c_double * (n * width)).from_address(address)).copy()

        out = {"yhat": read(self.lib.ftl_forecast_point(fc))}
        for i in range(self.lib.ftl_forecast_n_components(fc)):
            name = self.lib.ftl_forecast_component_name(fc, C.c_size_t(i)).decode()
            out[name] = read(self.lib.ftl_forecast_component(fc, C.c_size_t(i)))
            q = self.lib.ftl_forecast_component_quantiles(fc, C.c_size_t(i))
            if levels and q:
                out[name, "q"] = read(q, len(levels)).reshape(n, len(levels))
        self.lib.ftl_forecast_free(fc)
        self.lib.ftl_panel_free(panel)
        return out

    def free(self, model):
        self.lib.ftl_model_free(model)


class Check:
    """Collects the largest deviation of each quantity."""

    def __init__(self):
        self.worst, self.failures, self.count = {}, [], 0

    def near(self, where, what, ours, theirs, unit=None):
        ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
        self.count += 1
        if ours.shape != theirs.shape:
            self.failures.append(f"{where}: {what}: shape {ours.shape}, Python {theirs.shape}")
            return
        unit = unit or max(1e-300, float(np.max(np.abs(theirs), initial=0))) or 1.0
        off = float(np.max(np.abs(ours - theirs), initial=0)) / unit
        if not off <= self.worst.get(what, (-1, ""))[0]:
            self.worst[what] = (off, where)
        if not off <= TOLERANCE:
            self.failures.append(f"{where}: {what} is off by {off:.3g}")

    def same(self, where, what, ours, theirs):
        self.count += 1
        if ours != theirs:
            self.failures.append(f"{where}: {what}: ours {str(ours)[:300]}, Python {str(theirs)[:300]}")


def holiday_table():
    return pd.DataFrame({
        "holiday": ["playoff", "playoff", "superbowl", "superbowl", "late"],
        "ds": pd.to_datetime(["2010-01-24", "2013-01-12", "2010-02-07", "2014-02-02", "2015-06-01"]),
        "lower_window": [0, 0, -2, -1, 0], "upper_window": [1, 11, 0, 1, 0],
        "prior_scale": [np.nan, np.nan, 3.0, 3.0, np.nan]})


HOLIDAYS = ("add_holiday=playoff:2010-01-24:upper=1,add_holiday=playoff:2013-01-12:upper=11,"
            "add_holiday=superbowl:2010-02-07:lower=-2:prior_scale=3,"
            "add_holiday=superbowl:2014-02-02:lower=-1:upper=1:prior_scale=3,add_holiday=late:2015-06-01")


def with_regressors(df):
    n = np.arange(len(df))
    return df.assign(price=np.sin(n / 7.0) * 40 + 1000, promo=(n % 5 == 0).astype(int), flat=3.5,
                     weight=(n % 11) / 3.0)


def with_caps(df, floor):
    top, low = df["y"].max(), df["y"].min()
    out = df.assign(cap=top + (top - low) * 0.3 + np.arange(len(df)) % 2)
    return out.assign(floor=low - (top - low) * 0.2) if floor else out


def with_condition(df):
    month = pd.to_datetime(df["ds"]).dt.month
    return df.assign(summer=((month > 4) & (month < 10)), other=(np.arange(len(df)) % 3 != 1))


def with_gaps(df):
    out = df.copy()
    out["y"] = out["y"].astype(float)
    out.loc[out.index % 7 == 3, "y"] = np.nan
    out.loc[[0, len(out) - 1], "y"] = np.nan
    return out.sample(frac=1, random_state=3)


def conditional(m):
    m.add_seasonality("in_summer", 7, 3, condition_name="summer")
    m.add_seasonality("in_other", 30.5, 5, prior_scale=0.1, mode="multiplicative", condition_name="other")
    m.add_seasonality("quarter", 91.3125, 4, condition_name="summer")


def regressors(m):
    m.add_regressor("promo", prior_scale=0.5, mode="multiplicative")
    m.add_regressor("weight", standardize=False)
    for name in ("price", "flat"):
        m.add_regressor(name)


# name: (spec, constructor arguments, further calls, change of the data)
CASES = {
    "default": ("", {}, None, None),
    "minmax": ("scaling=minmax", {"scaling": "minmax"}, None, None),
    "flat": ("growth=flat", {"growth": "flat"}, None, None),
    "multiplicative": ("seasonality_mode=multiplicative", {"seasonality_mode": "multiplicative"}, None, None),
    "given changepoints": ("changepoints=CP0;CP1;CP2", {"changepoints": "CP"}, None, None),
    "no changepoints": ("n_changepoints=0", {"n_changepoints": 0}, None, None),
    "many changepoints": ("n_changepoints=37,changepoint_range=0.93",
                          {"n_changepoints": 37, "changepoint_range": 0.93}, None, None),
    "no seasonality": ("yearly_seasonality=false,weekly_seasonality=false,daily_seasonality=false",
                       {"yearly_seasonality": False, "weekly_seasonality": False, "daily_seasonality": False}, None, None),
    "orders": ("yearly_seasonality=20,weekly_seasonality=true,daily_seasonality=6",
               {"yearly_seasonality": 20, "weekly_seasonality": True, "daily_seasonality": 6}, None, None),
    "holidays": (HOLIDAYS + ",holidays_mode=multiplicative",
                 {"holidays": holiday_table, "holidays_mode": "multiplicative"}, None, None),
    "country": ("country_holidays=US," + HOLIDAYS, {"holidays": holiday_table},
                lambda m: m.add_country_holidays("US"), None),
    "conditions": ("add_seasonality=in_summer:7:3:condition=summer,add_seasonality=in_other:30.5:5:prior_scale=0.1:"
                   "mode=multiplicative:condition=other,add_seasonality=quarter:91.3125:4:condition=summer",
                   {}, conditional, with_condition),
    "regressors": ("add_regressor=promo:prior_scale=0.5:mode=multiplicative,add_regressor=weight:standardize=false",
                   {}, regressors, with_regressors),
    "logistic": ("growth=logistic", {"growth": "logistic"}, None, lambda df: with_caps(df, False)),
    "logistic floor": ("growth=logistic", {"growth": "logistic"}, None, lambda df: with_caps(df, True)),
    "logistic floor minmax multiplicative": ("growth=logistic,scaling=minmax,seasonality_mode=multiplicative",
                                             {"growth": "logistic", "scaling": "minmax",
                                              "seasonality_mode": "multiplicative"}, None,
                                             lambda df: with_caps(df, True)),
    "missing and unsorted": ("scaling=minmax", {"scaling": "minmax"}, None, with_gaps),
}


def build(df, case):
    """The spec for foretell, Python's unfitted model, and the data, all with the same meaning."""
    spec, kwargs, further, change = case
    kwargs = {k: v() if callable(v) else v for k, v in kwargs.items()}
    ds = pd.to_datetime(df["ds"])
    marks = [ds.sort_values().iloc[int(len(ds) * share)].normalize() + pd.Timedelta(days=1) for share in (.2, .4, .7)]
    for i, mark in enumerate(marks):
        spec = spec.replace(f"CP{i}", mark.strftime("%Y-%m-%d"))
    if kwargs.get("changepoints") == "CP":
        kwargs["changepoints"] = marks
    model = Prophet(**kwargs)
    if further:
        further(model)
    return "prophet:" + spec, model, change(df) if change else df


def future_of(df, change):
    """The rows of the data and 40 later ones, without y."""
    ds = pd.to_datetime(df["ds"]).drop_duplicates().sort_values().reset_index(drop=True)
    step = (ds.diff().dropna()).median()
    later = ds.iloc[-1] + step * np.arange(1, 41)
    frame = pd.DataFrame({"ds": pd.concat([ds, pd.Series(later)], ignore_index=True)})
    if change:
        frame["y"] = np.resize(df["y"].dropna().to_numpy(float), len(frame))
        frame = change(frame).sort_values("ds").reset_index(drop=True)
    return frame.drop(columns="y", errors="ignore")


def frame_data(text):
    return json.loads(text)["data"] if text else None


def compare_preparation(check, where, ours, model, data):
    check.near(where, "y_scale", ours["y_scale"], model.y_scale)
    check.near(where, "y_min", ours["y_min"], model.y_min, unit=max(abs(model.y_scale), abs(model.y_min)))
    check.same(where, "start", ours["start"], model.start.timestamp())
    check.same(where, "t_scale", ours["t_scale"], model.t_scale.total_seconds())
    check.near(where, "changepoints_t", ours["changepoints_t"], model.changepoints_t, unit=1)
    check.same(where, "n_changepoints", ours["n_changepoints"], model.n_changepoints)
    theirs = json.loads(model.changepoints.to_json(orient="split", date_format="iso"))
    check.same(where, "changepoints", json.loads(ours["changepoints"]), theirs)
    dates = json.loads(model.history_dates.reset_index(drop=True).to_json(orient="split", date_format="iso"))
    check.same(where, "history_dates", frame_data(ours["history_dates"]), dates["data"])
    check.same(where, "seasonalities", ours["seasonalities"][0], list(model.seasonalities))
    for name, props in model.seasonalities.items():
        check.same(where, f"seasonality {name}", ours["seasonalities"][1][name], props)
    check.same(where, "regressors", ours["extra_regressors"][0], list(model.extra_regressors))
    for name, props in model.extra_regressors.items():
        mine = ours["extra_regressors"][1][name]
        for key in ("mu", "std", "prior_scale"):
            check.near(where, f"regressor {key}", mine[key], props[key], unit=max(1, abs(props["mu"])))
        check.same(where, f"regressor {name}", (mine["mode"], mine["standardize"]), (props["mode"], props["standardize"]))
    names = None if model.train_holiday_names is None else sorted(model.train_holiday_names)
    check.same(where, "holiday names", None if ours["train_holiday_names"] is None
               else sorted(frame_data(ours["train_holiday_names"])), names)
    table = frame_data(model.train_component_cols.to_json(orient="table", index=False))
    check.same(where, "components", [list(row.items()) for row in frame_data(ours["train_component_cols"])],
               [list(row.items()) for row in table])
    for mode in ("additive", "multiplicative"):
        check.same(where, f"component modes {mode}", sorted(ours["component_modes"][mode]),
                   sorted(model.component_modes[mode]))
    history = frame_data(ours["history"])
    for key in ("t", "y_scaled", *model.extra_regressors):
        check.near(where, f"history {key if key in ('t', 'y_scaled') else 'regressor'}", [row[key] for row in history],
                   model.history[key])
    check.same(where, "rows", len(history), data.T)


def compare_features(check, where, foretell, ours, model, frame):
    """Every column of the design matrix: the terms that a single coefficient of 1 makes."""
    theirs = model.make_all_seasonality_features(model.setup_dataframe(frame.copy()))[0].to_numpy(float)
    K = theirs.shape[1]
    if K != len(frame_data(ours["train_component_cols"])):
        return  # reported above
    small = dict(ours)
    history = json.loads(ours["history"])
    history["data"] = [history["data"][0], history["data"][-1]]  # what is predicted does not depend on the rest
    small["history"] = json.dumps(history)
    params = {key: [[0.0]] for key in ("k", "m")} | {"sigma_obs": [[1.0]], "delta": [[0.0] * len(ours["changepoints_t"])]}
    for j in range(K):
        small["params"] = params | {"beta": [[float(i == j) for i in range(K)]]}
        loaded = foretell.load(json.dumps(small))
        out = foretell.predict(loaded, frame)
        column = out["additive_terms"] / ours["y_scale"] + out["multiplicative_terms"]
        check.near(where, "features", column, theirs[:, j], unit=max(1.0, float(np.max(np.abs(theirs[:, j])))))
        foretell.free(loaded)


def compare_predictions(check, where, foretell, handle, python_model, frame, levels=()):
    python_model.uncertainty_samples = 0 if not levels else python_model.uncertainty_samples
    theirs = python_model.predict(frame.copy())
    mine = foretell.predict(handle, frame, levels)
    unit = max(1e-300, float(np.max(np.abs(theirs["yhat"]))))
    names = [c for c in theirs.columns if c not in ("ds", "cap", "floor") and not c.endswith(("_lower", "_upper"))]
    check.same(where, "order of components", [n for n in mine if isinstance(n, str) and n not in ("yhat", "trend")],
               [n for n in names if n not in ("yhat", "trend")])
    for name in names:
        multiplicative = name in python_model.component_modes["multiplicative"]
        what = name if name in ("yhat", "trend") else "components"
        check.near(where, f"predicted {what}", mine.get(name, []), theirs[name],
                   unit=max(1.0, float(np.max(np.abs(theirs[name])))) if multiplicative else unit)
        if levels and (name, "q") in mine and name != "trend":
            both = np.column_stack([theirs[name + "_lower"], theirs[name + "_upper"]])
            check.near(where, "component bounds", mine[name, "q"], both,
                       unit=max(1.0, float(np.max(np.abs(both)))) if multiplicative else unit)


def example_files(folder):
    for name in sorted(os.listdir(folder)):
        if not name.startswith("example_") or not name.endswith(".csv"):
            continue
        df = pd.read_csv(os.path.join(folder, name))
        if "y" not in df:
            df = df.rename(columns={df.columns[1]: "y"})[["ds", "y"]]
        yield name[8:-4], df[["ds", "y"]]


def check_files(check, foretell, folder, only):
    for name, df in example_files(folder):
        for case_name, case in CASES.items():
            where = f"{name}, {case_name}"
            if only and only not in where:
                continue
            if case_name == "country" and pd.to_datetime(df["ds"]).min().year < 1995:
                continue  # before the years of the table built into the library
            spec, model, data_frame = build(df, case)
            data = model.preprocess(data_frame.copy())
            handle = foretell.fit(data_frame, spec)
            text = foretell.save(handle)
            ours = json.loads(text)
            compare_preparation(check, where, ours, model, data)
            frame = future_of(data_frame, case[3] if case_name != "missing and unsorted" else None)
            if len(frame) > 4000:  # enough of a long series: its beginning, its end and the future
                frame = pd.concat([frame[:1500], frame[-1500:]], ignore_index=True)
            compare_features(check, where, foretell, ours, model, frame)
            compare_predictions(check, where, foretell, handle, model_from_json(text), frame)
            again = foretell.load(text)
            check.same(where, "saved twice", foretell.save(again), text)
            foretell.free(again)
            foretell.free(handle)


def fixture_model(mcmc=0):
    """A small model with everything in it, fitted by Python, and the rows to predict."""
    n = 64
    rng = np.random.default_rng(5)
    df = pd.DataFrame({"ds": pd.date_range("2019-11-01", periods=n), "y": 10 + rng.normal(size=n).cumsum() / 5})
    df = with_condition(with_regressors(with_caps(df, True)))
    df.loc[[9, 30], "y"] = np.nan
    model = Prophet(growth="logistic", scaling="minmax", n_changepoints=4, interval_width=0.9, mcmc_samples=mcmc,
                    yearly_seasonality=False, holidays=pd.DataFrame({
                        "holiday": ["sale", "sale", "fair"], "ds": pd.to_datetime(["2019-11-29", "2020-01-10", "2019-12-15"]),
                        "lower_window": [-1, 0, 0], "upper_window": [2, 0, 0], "prior_scale": [4.0, 4.0, np.nan]}))
    model.add_country_holidays("DE")
    conditional(model)
    regressors(model)
    model.fit(df, seed=1, **({"chains": 2, "show_progress": False} if mcmc else {}))
    later = pd.DataFrame({"ds": pd.date_range("2020-01-04", periods=12), "y": 10.0})
    later = with_condition(with_regressors(with_caps(later.assign(y=np.linspace(8, 12, 12)), True)))
    return model, later.drop(columns="y")


def check_python_models(check, foretell):
    for mcmc in (0, 40):
        model, later = fixture_model(mcmc)
        text = model_to_json(model)
        for wrapped in (text, json.dumps(text)):
            handle = foretell.load(wrapped)
            where = "fitted by Python, " + ("MCMC" if mcmc else "MAP")
            compare_predictions(check, where, foretell, handle, model_from_json(text), later,
                                (0.05, 0.95) if mcmc else ())
            if not mcmc:  # and back again
                compare_predictions(check, where + ", saved by us", foretell, handle,
                                    model_from_json(foretell.save(handle)), later)
            foretell.free(handle)


def write_fixture(path):
    """The model of tests/unit/prophet/test_json.c, its rows and Python's predictions, in one JSON file."""
    model, later = fixture_model()
    model.params.pop("trend", None)
    text = model_to_json(model)
    model.uncertainty_samples = 0
    out = model.predict(later)
    columns = {name: [float(v) for v in later[name]] for name in later.columns if name != "ds"}
    expected = {name: [float(v) for v in out[name]] for name in out.columns if name not in ("ds", "cap", "floor")}
    with open(path, "w") as file:
        json.dump({"prophet": prophet.__version__, "model": text, "ds": [str(d.date()) for d in later["ds"]],
                   "columns": columns, "expected": expected}, file)
        file.write("\n")


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=os.path.join(root, "build", "libforetell.so"))
    parser.add_argument("--data", default=os.path.join(os.environ.get("FORETELL_SHARED") or
                                                       os.path.join(root, "..", "shared"), "data", "prophet"))
    parser.add_argument("--only", help="a part of the names of the cases to run")
    parser.add_argument("--write-fixture", metavar="FILE")
    args = parser.parse_args()
    if args.write_fixture:
        write_fixture(args.write_fixture)
        return 0
    check, foretell = Check(), Foretell(args.library)
    check_python_models(check, foretell)
    if os.path.isdir(args.data):
        check_files(check, foretell, args.data, args.only)
    else:
        print(f"SKIPPED: the example files: {args.data} is absent", file=sys.stderr)
    for what, (off, where) in sorted(check.worst.items()):
        print(f"{off:9.2e}  {what:24} {where}")
    for failure in check.failures[:40]:
        print("FAILED", failure)
    print(f"{check.count} comparisons with prophet {prophet.__version__}, {len(check.failures)} failed")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
