"""What tools/chronos_parity.py, tools/chronos2_parity.py and bench/chronos_{peer,errors}.py share: models of the official sizes
with random weights, real series,
and the library's Chronos interface through ctypes. Needs torch, transformers, chronos-forecasting, numpy and pandas."""
import ctypes as c
import os
from pathlib import Path

import numpy as np

SIZES = {  # d_model, d_ff, heads, layers of each stack; d_kv is 64 always
    "tiny": (256, 1024, 4, 4),
    "mini": (384, 1536, 8, 4),
    "small": (512, 2048, 8, 6),
    "base": (768, 3072, 12, 12),
}
TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
TWENTIETHS = [0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
              0.99]


def chronos2_model(size):
    """Sizes small and base; the names of the published ones are chronos-2-small and chronos-2."""
    from chronos.chronos2.config import Chronos2CoreConfig
    from chronos.chronos2.model import Chronos2Model

    d_model, d_ff, heads, layers = SIZES[size]
    return Chronos2Model(Chronos2CoreConfig(
        d_model=d_model, d_kv=64, d_ff=d_ff, num_layers=layers, num_heads=heads, architectures=["Chronos2Model"],
        chronos_pipeline_class="Chronos2Pipeline", chronos_config=dict(
            context_length=8192, input_patch_size=16, input_patch_stride=16, output_patch_size=16, max_output_patches=64,
            quantiles=TWENTIETHS, use_reg_token=True, use_arcsinh=True, time_encoding_scale=8192)))


def t5_model(family, size):
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config, T5ForConditionalGeneration

    d_model, d_ff, heads, layers = SIZES[size]
    config = T5Config(vocab_size=4096 if family == "t5" else 2, d_model=d_model, d_kv=64, d_ff=d_ff, num_layers=layers,
                      num_decoder_layers=layers, num_heads=heads, initializer_factor=0.05, decoder_start_token_id=0)
    if family == "t5":
        config.chronos_config = dict(
            tokenizer_class="MeanScaleUniformBins", tokenizer_kwargs=dict(low_limit=-15.0, high_limit=15.0),
            n_tokens=4096, n_special_tokens=2, pad_token_id=0, eos_token_id=1, use_eos_token=True,
            model_type="seq2seq", context_length=512, prediction_length=64, num_samples=20, temperature=1.0, top_k=50,
            top_p=1.0)
        return T5ForConditionalGeneration(config)
    config.architectures = ["ChronosBoltModelForForecasting"]
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.chronos_config = dict(context_length=2048, prediction_length=64, input_patch_size=16, input_patch_stride=16,
                                 quantiles=TENTHS, use_reg_token=True)
    return ChronosBoltModelForForecasting(config)


def make_model(family, size, directory):
    """A checkpoint as upstream saves it, with weights at which every part matters and logits are as peaked as trained ones.
    family: t5, bolt or 2."""
    import torch

    directory = Path(directory)
    if (directory / "model.safetensors").exists():
        return directory
    model = chronos2_model(size) if family == "2" else t5_model(family, size)
    torch.manual_seed(sum(map(ord, family + size)))
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "layer_norm" in name:
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif "relative_attention_bias" in name or "shared" in name:
                p.copy_(torch.randn_like(p))
            elif p.ndim == 1:
                p.copy_(0.2 * torch.randn_like(p))
            else:  # scores are not divided by 8 in T5: small queries do it
                gain = 0.25 if name.endswith(".q.weight") else 0.7
                p.copy_(gain * torch.randn_like(p) / p.shape[1] ** 0.5)
        if family == "t5":
            model.decoder.final_layer_norm.weight.mul_(4.0)
    model.save_pretrained(directory)
    return directory


def read_series(folder, name, which=0):
    import pandas as pd

    table = pd.read_csv(Path(folder) / f"{name}.csv.gz", usecols=["unique_id", "y"])
    ids = table["unique_id"].unique()
    return table.loc[table["unique_id"] == ids[which % len(ids)], "y"].to_numpy(np.float32)


# ---- the library ----------------------------------------------------------------------------------------------------

class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("message", c.c_char * 512)]


class OpenArgs(c.Structure):
    _fields_ = [("adapter", c.c_char_p), ("precision", c.c_int), ("n_threads", c.c_size_t)]


class Covariate(c.Structure):
    _fields_ = [("name", c.c_char_p), ("past", c.POINTER(c.c_float)), ("future", c.POINTER(c.c_float)),
                ("categorical", c.c_bool), ("text", c.POINTER(c.c_char_p)), ("ahead", c.POINTER(c.c_char_p))]


class Task(c.Structure):
    _fields_ = [("n_targets", c.c_size_t), ("length", c.c_size_t), ("targets", c.POINTER(c.c_float)),
                ("covariates", c.POINTER(Covariate)), ("n_covariates", c.c_size_t), ("stream", c.c_uint64)]


class Options(c.Structure):
    _fields_ = [("horizon", c.c_size_t), ("limit_horizon", c.c_bool), ("levels", c.POINTER(c.c_double)),
                ("n_levels", c.c_size_t), ("context_length", c.c_size_t), ("batch_size", c.c_size_t),
                ("num_samples", c.c_size_t), ("temperature", c.c_double), ("top_k", c.c_size_t), ("top_p", c.c_double),
                ("seed", c.c_uint64), ("cross_learning", c.c_bool), ("max_output_patches", c.c_size_t),
                ("unrolled", c.POINTER(c.c_double)), ("n_unrolled", c.c_size_t), ("progress", c.c_void_p),
                ("progress_user", c.c_void_p)]


class Result(c.Structure):
    _fields_ = [("task", c.c_size_t), ("n_targets", c.c_size_t), ("horizon", c.c_size_t), ("n_levels", c.c_size_t),
                ("n_samples", c.c_size_t), ("levels", c.POINTER(c.c_double)), ("quantiles", c.POINTER(c.c_float)),
                ("point", c.POINTER(c.c_float)), ("samples", c.POINTER(c.c_float)), ("blind", c.c_bool)]


class Embedding(c.Structure):
    _fields_ = [("task", c.c_size_t), ("n_rows", c.c_size_t), ("n_tokens", c.c_size_t), ("d_model", c.c_size_t),
                ("states", c.POINTER(c.c_float)), ("loc", c.POINTER(c.c_float)), ("scale", c.POINTER(c.c_float))]


PRECISIONS = {"f32": 0, "bf16": 1, "int8": 2}


def numbers(values):
    """A pointer to floats, which ctypes keeps alive as long as the structure it is put in."""
    values = np.array(values, np.float32).ravel()
    return c.cast((c.c_float * len(values)).from_buffer(values), c.POINTER(c.c_float))


def words(values):
    """A pointer to text, None where it is missing."""
    return c.cast((c.c_char_p * len(values))(*[None if v is None else str(v).encode() for v in values]),
                  c.POINTER(c.c_char_p))


def make_task(given, stream):
    """A series, several [targets, length], or upstream's {"target", "past_covariates", "future_covariates"}."""
    given = given if isinstance(given, dict) else {"target": given}
    target, past = np.atleast_2d(given["target"]), given.get("past_covariates", {})
    rows = (Covariate * len(past))()
    for row, name in zip(rows, sorted(past)):
        ahead = given.get("future_covariates", {}).get(name)
        if np.issubdtype(np.asarray(past[name]).dtype, np.number):
            row.past, row.future = numbers(past[name]), None if ahead is None else numbers(ahead)
        else:
            row.text, row.ahead = words(past[name]), None if ahead is None else words(ahead)
    return Task(*target.shape, numbers(target), c.cast(rows, c.POINTER(Covariate)), len(past), stream)


class Model:
    """A model opened by the library. predict() gives quantiles [levels, horizon] and, of chronos-t5, samples."""

    def __init__(self, library, directory, precision="f32", threads=0):
        self.lib = c.CDLL(os.fspath(library))
        self.handle, self.error = c.c_void_p(), Error()
        args = OpenArgs(None, PRECISIONS[precision], threads)
        self._check(self.lib.ftl_chronos_open(os.fspath(directory).encode(), c.byref(args), c.byref(self.handle),
                                              c.byref(self.error)))

    def __del__(self):
        self.lib.ftl_chronos_close(self.handle)

    def _check(self, status):
        if status:
            raise RuntimeError(self.error.message.decode())

    @staticmethod
    def tasks(series):
        """The tasks of predict(), which it also takes: made once where time is measured."""
        return (Task * len(series))(*[make_task(x, i) for i, x in enumerate(series)])

    def predict(self, series, horizon, levels=TENTHS, **options):
        """[(quantiles, samples)]; of tasks with several targets [targets, levels, horizon]. levels None: the model's."""
        tasks = series if isinstance(series, c.Array) else self.tasks(series)
        out = [None] * len(tasks)

        @c.CFUNCTYPE(c.c_bool, c.c_void_p, c.POINTER(Result))
        def take(_, result):
            r = result.contents
            shape = (r.n_levels, r.horizon) if r.n_targets == 1 else (r.n_targets, r.n_levels, r.horizon)
            q = np.ctypeslib.as_array(r.quantiles, shape).copy()
            s = np.ctypeslib.as_array(r.samples, (r.n_samples, r.horizon)).copy() if r.samples else None
            out[r.task] = (q, s)
            return True

        chosen = Options(horizon=horizon, **options)
        if levels is not None:
            chosen.levels, chosen.n_levels = (c.c_double * len(levels))(*levels), len(levels)
        self._check(self.lib.ftl_chronos_predict(self.handle, tasks, c.c_size_t(len(tasks)),
                                                 c.byref(chosen), take, None, c.byref(self.error)))
        return out

    def embed(self, series):
        """[(states [tokens, d_model], loc, scale)]"""
        tasks, out = self.tasks(series), [None] * len(series)

        @c.CFUNCTYPE(c.c_bool, c.c_void_p, c.POINTER(Embedding))
        def take(_, embedding):
            e = embedding.contents
            out[e.task] = (np.ctypeslib.as_array(e.states, (e.n_tokens, e.d_model)).copy(), e.loc[0], e.scale[0])
            return True

        self._check(self.lib.ftl_chronos_embed(self.handle, tasks, c.c_size_t(len(tasks)), None, take,
                                               None, c.byref(self.error)))
        return out
