#!/usr/bin/env python3
"""Makes tests/data/toy-chronos2: a tiny Chronos-2 with random weights, and what chronos-forecasting predicts with it.

    python tools/make_toy_chronos2.py tests/data/toy-chronos2

Needs chronos-forecasting 2.3 (torch). Writes config.json, model.safetensors (as the package saves them) and expected.json:
cases of {name, horizon, kwargs, inputs, steps, predictions}, one prediction [n_targets][levels][steps] a task. null is
NaN, or a missing category. The widths differ from one another, the patch is 8, the context 96 and a pass 4 patches,
so that truncation and long horizons are reached with short series.
"""
import json
import pathlib
import sys
import warnings

import numpy as np
import torch
from chronos import Chronos2Pipeline
from chronos.chronos2.config import Chronos2CoreConfig
from chronos.chronos2.model import Chronos2Model

LEVELS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]


def make_model():
    torch.manual_seed(1)
    config = Chronos2CoreConfig(
        d_model=12, d_kv=6, d_ff=20, num_layers=2, num_heads=3, initializer_factor=0.35, architectures=["Chronos2Model"],
        chronos_config=dict(context_length=96, input_patch_size=8, input_patch_stride=8, output_patch_size=8,
                            max_output_patches=4, quantiles=LEVELS, use_reg_token=True, use_arcsinh=True,
                            time_encoding_scale=96),
        chronos_pipeline_class="Chronos2Pipeline")
    model = Chronos2Model(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.normal_(0, 0.1)
            elif "layer_norm" in name:
                p.uniform_(0.5, 1.5)
        out = model.output_patch_embedding
        for layer in (out.output_layer, out.residual_layer):
            layer.weight.mul_(0.1)  # sinh of large numbers would only test sinh
        out.output_layer.bias.add_(
            torch.tensor(LEVELS).sub(0.5).mul(3).repeat_interleave(8))  # so that quantiles spread
    return Chronos2Pipeline(model)


def series(n, seed, level=0.0, missing=0.0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    y = level + 3 * np.sin(2 * np.pi * t / 12 + seed) + 0.02 * t + rng.normal(0, 1, n)
    y[rng.random(n) < missing] = np.nan
    return np.round(y, 4)


def pick(n, words, seed):
    words = np.array(words, dtype=object)
    return words[np.random.default_rng(seed).integers(0, len(words), n)]


def with_covariates(n, horizon, seed):
    known = series(n + horizon, seed + 1, 10)
    gaps = known.copy()
    gaps[-3:] = np.nan
    return dict(target=series(n, seed, 5), past_covariates={"z_past": series(n, seed + 2), "known": known[:n],
                                                            "b_gaps": gaps[:n]},
                future_covariates={"known": known[n:], "b_gaps": gaps[n:]})


def with_categories(n, horizon, seed, n_targets):
    target = series(n, seed, 5, 0.1) if n_targets == 1 else np.stack([series(n, seed + k, k) for k in range(n_targets)])
    words = ["rain", "sun", None, "fog", "\u00e9clair"]
    return dict(target=target,
                past_covariates={"weather": pick(n, words, seed), "shop": pick(n, ["a", "b"], seed + 1),
                                 "open": np.random.default_rng(seed).random(n) < 0.5},
                future_covariates={"weather": pick(horizon, words + ["storm"], seed + 2),
                                   "open": np.random.default_rng(seed + 3).random(horizon) < 0.5})


def cases():
    none = series(20, 5)
    none[:] = np.nan
    prefix = np.concatenate([np.full(17, np.nan), series(20, 6)])
    constant = np.full(30, 7.25)
    unobserved = with_covariates(40, 9, 60)
    unobserved["past_covariates"]["z_past"] = np.full(40, np.nan)
    yield "lengths", 11, {}, [series(n, n) for n in (1, 7, 8, 9, 40, 95, 96, 97, 140)]
    yield "missing", 16, {}, [series(50, 2, 0, 0.4), none, prefix, constant, np.zeros(12), series(64, 3, 1e4)]
    yield "multivariate", 13, {}, [np.stack([series(45, 7 + k, 100 * k, 0.2 * k) for k in range(3)]),
                                   np.stack([series(33, 17 + k) for k in range(2)]), series(45, 27)]
    yield "covariates", 9, {}, [with_covariates(n, 9, 30 + n) for n in (40, 23)]
    yield "unobserved covariate", 9, {}, [unobserved]
    yield "past covariates", 9, {}, [dict(target=series(40, 70), past_covariates={"a": series(40, 71, 3)})]
    yield "categories", 10, {}, [with_categories(n, 10, 40 + n, 1) for n in (40, 31)]
    yield "categories of several targets", 10, {}, [with_categories(n, 10, 50 + n, 2) for n in (40, 31)]
    yield "context", 8, {"context_length": 40}, [series(90, 8)]
    yield "cross learning", 12, {"cross_learning": True}, [series(n, 80 + n, 0, 0.1) for n in (60, 20, 33)]
    yield "long", 75, {}, [series(60, 9, 0, 0.1), np.stack([series(30, 10 + k, 5 * k) for k in range(2)])]
    yield "long covariates", 70, {}, [with_covariates(n, 70, 90 + n) for n in (40, 23)]
    yield "long cross learning", 40, {"cross_learning": True}, [series(n, 80 + n) for n in (60, 20)]
    yield "short blocks", 20, {"max_output_patches": 1, "unrolled_quantiles": [0.1, 0.5, 0.9]}, [series(50, 11)]


def plain(x):
    """numpy to JSON: 8 digits, NaN as null."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, torch.Tensor):
        x = x.numpy()
    if isinstance(x, (list, tuple, np.ndarray)):
        return [plain(v) for v in x]
    if x is None or isinstance(x, (str, bool, np.bool_, int)):
        return bool(x) if isinstance(x, np.bool_) else x
    return None if np.isnan(x) else float(f"{float(x):.8g}")


def main():
    out = pathlib.Path(sys.argv[1])
    warnings.simplefilter("ignore")
    made = make_model()
    made.save_pretrained(out)
    pipeline = Chronos2Pipeline.from_pretrained(out)
    result = {"quantile_levels": LEVELS, "cases": []}
    for name, horizon, kwargs, inputs in cases():
        steps = list(range(horizon)) if horizon <= 12 else sorted({0, 7, 8, horizon // 2, 31, 32, 33, 63, 64, horizon - 2,
                                                                   horizon - 1} & set(range(horizon)))
        given = [{k: dict(v) if isinstance(v, dict) else v for k, v in i.items()} if isinstance(i, dict) else i
                 for i in inputs]
        found = pipeline.predict(given, prediction_length=horizon, **kwargs)
        result["cases"].append(dict(name=name, horizon=horizon, kwargs=kwargs, inputs=plain(inputs), steps=steps,
                                    predictions=plain([p[..., steps] for p in found])))
    context = np.stack([series(20, 12), series(20, 13, 50, 0.3)])
    states, stats = pipeline.embed([context])
    result["embed"] = dict(context=plain(context), embedding=plain(states[0]), loc=plain(stats[0][0]),
                           scale=plain(stats[0][1]))
    levels = [0.01, 0.07, 0.5, 0.55, 0.93, 0.99]
    quantiles, mean = pipeline.predict_quantiles([series(50, 14)], prediction_length=6, quantile_levels=levels)
    result["interpolated"] = dict(context=plain(series(50, 14)), levels=levels, quantiles=plain(quantiles[0]),
                                  mean=plain(mean[0]))
    with open(out / "expected.json", "w") as f:
        json.dump(result, f, separators=(",", ":"))


if __name__ == "__main__":
    main()
