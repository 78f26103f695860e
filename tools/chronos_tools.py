"""What tools/chronos_parity.py and bench/chronos.py share: models of the official sizes with random weights, real series,
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


def make_model(family, size, directory):
    """A checkpoint as upstream saves it, with weights at which every part matters and logits are as peaked as trained ones."""
    import torch
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config, T5ForConditionalGeneration

    directory = Path(directory)
    if (directory / "model.safetensors").exists():
        return directory
    d_model, d_ff, heads, layers = SIZES[size]
    config = T5Config(vocab_size=4096 if family == "t5" else 2, d_model=d_model, d_kv=64, d_ff=d_ff, num_layers=layers,
                      num_decoder_layers=layers, num_heads=heads, initializer_factor=0.05, decoder_start_token_id=0)
    if family == "t5":
        config.chronos_config = dict(
            tokenizer_class="MeanScaleUniformBins", tokenizer_kwargs=dict(low_limit=-15.0, high_limit=15.0),
            n_tokens=4096, n_special_tokens=2, pad_token_id=0, eos_token_id=1, use_eos_token=True,
            model_type="seq2seq", context_length=512, prediction_length=64, num_samples=20, temperature=1.0, top_k=50,
            top_p=1.0)
        model = T5ForConditionalGeneration(config)
    else:
        config.architectures = ["ChronosBoltModelForForecasting"]
        config.chronos_pipeline_class = "ChronosBoltPipeline"
        config.chronos_config = dict(context_length=2048, prediction_length=64, input_patch_size=16,
                                     input_patch_stride=16, quantiles=TENTHS, use_reg_token=True)
        model = ChronosBoltModelForForecasting(config)
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


class Task(c.Structure):
    _fields_ = [("n_targets", c.c_size_t), ("length", c.c_size_t), ("targets", c.POINTER(c.c_float)),
                ("covariates", c.c_void_p), ("n_covariates", c.c_size_t), ("stream", c.c_uint64)]


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
    def _tasks(series):
        tasks = (Task * len(series))()
        for i, x in enumerate(series):
            tasks[i] = Task(1, len(x), x.ctypes.data_as(c.POINTER(c.c_float)), None, 0, i)
        return tasks

    def predict(self, series, horizon, levels=TENTHS, **options):
        series = [np.ascontiguousarray(x, np.float32) for x in series]
        out = [None] * len(series)

        @c.CFUNCTYPE(c.c_bool, c.c_void_p, c.POINTER(Result))
        def take(_, result):
            r = result.contents
            q = np.ctypeslib.as_array(r.quantiles, (r.n_levels, r.horizon)).copy()
            s = np.ctypeslib.as_array(r.samples, (r.n_samples, r.horizon)).copy() if r.samples else None
            out[r.task] = (q, s)
            return True

        chosen = Options(horizon=horizon, levels=(c.c_double * len(levels))(*levels), n_levels=len(levels), **options)
        self._check(self.lib.ftl_chronos_predict(self.handle, self._tasks(series), c.c_size_t(len(series)),
                                                 c.byref(chosen), take, None, c.byref(self.error)))
        return out

    def embed(self, series):
        """[(states [tokens, d_model], loc, scale)]"""
        series = [np.ascontiguousarray(x, np.float32) for x in series]
        out = [None] * len(series)

        @c.CFUNCTYPE(c.c_bool, c.c_void_p, c.POINTER(Embedding))
        def take(_, embedding):
            e = embedding.contents
            out[e.task] = (np.ctypeslib.as_array(e.states, (e.n_tokens, e.d_model)).copy(), e.loc[0], e.scale[0])
            return True

        self._check(self.lib.ftl_chronos_embed(self.handle, self._tasks(series), c.c_size_t(len(series)), None, take,
                                               None, c.byref(self.error)))
        return out
