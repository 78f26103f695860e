"""The C interface of foretell's Chronos models for the scripts that compare them with chronos-forecasting (ctypes).

    model = Model("build/libforetell.so", "models/chronos-2", precision="f32", threads=1)
    quantiles = model.predict([y, {"target": y, "past_covariates": {...}, "future_covariates": {...}}], horizon=64)
"""
import ctypes as c

import numpy as np

FLOATS, DOUBLES, TEXTS = c.POINTER(c.c_float), c.POINTER(c.c_double), c.POINTER(c.c_char_p)


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("message", c.c_char * 512)]


class OpenArgs(c.Structure):
    _fields_ = [("adapter", c.c_char_p), ("precision", c.c_int), ("n_threads", c.c_size_t)]


class Covariate(c.Structure):
    _fields_ = [("name", c.c_char_p), ("past", FLOATS), ("future", FLOATS), ("categorical", c.c_bool), ("text", TEXTS),
                ("ahead", TEXTS)]


class Task(c.Structure):
    _fields_ = [("n_targets", c.c_size_t), ("length", c.c_size_t), ("targets", FLOATS),
                ("covariates", c.POINTER(Covariate)), ("n_covariates", c.c_size_t), ("stream", c.c_uint64)]


class Options(c.Structure):
    _fields_ = [("horizon", c.c_size_t), ("limit_horizon", c.c_bool), ("levels", DOUBLES), ("n_levels", c.c_size_t),
                ("context_length", c.c_size_t), ("batch_size", c.c_size_t), ("num_samples", c.c_size_t),
                ("temperature", c.c_double), ("top_k", c.c_size_t), ("top_p", c.c_double), ("seed", c.c_uint64),
                ("cross_learning", c.c_bool), ("max_output_patches", c.c_size_t), ("unrolled", DOUBLES),
                ("n_unrolled", c.c_size_t), ("progress", c.c_void_p), ("progress_user", c.c_void_p)]


class Result(c.Structure):
    _fields_ = [("task", c.c_size_t), ("n_targets", c.c_size_t), ("horizon", c.c_size_t), ("n_levels", c.c_size_t),
                ("n_samples", c.c_size_t), ("levels", DOUBLES), ("quantiles", FLOATS), ("point", FLOATS),
                ("samples", FLOATS), ("blind", c.c_bool)]


SINK = c.CFUNCTYPE(c.c_bool, c.c_void_p, c.POINTER(Result))
PRECISIONS = {"f32": 0, "bf16": 1, "int8": 2}


def texts(values):
    """An array of text; None is missing."""
    return (c.c_char_p * len(values))(*[None if v is None else str(v).encode() for v in values])


class Model:
    def __init__(self, library, directory, precision="f32", threads=1, adapter=None):
        self.lib, self.handle, self.error = c.CDLL(str(library)), c.c_void_p(), Error()
        args = OpenArgs(adapter.encode() if adapter else None, PRECISIONS[precision], threads)
        self._check(self.lib.ftl_chronos_open(str(directory).encode(), c.byref(args), c.byref(self.handle),
                                              c.byref(self.error)))

    def _check(self, status):
        if status:
            raise RuntimeError(self.error.message.decode())

    def close(self):
        self.lib.ftl_chronos_close(self.handle)
        self.handle = c.c_void_p()

    def prepare(self, inputs):
        """Tasks in C's form, and what they borrow: to be made once where time is measured."""
        keep, tasks = [], (Task * len(inputs))()

        def floats(x):
            x = np.ascontiguousarray(x, dtype=np.float32)
            keep.append(x)
            return x.ctypes.data_as(FLOATS)

        def words(x):
            keep.append(texts(x))
            return c.cast(keep[-1], TEXTS)

        for i, given in enumerate(inputs):
            given = given if isinstance(given, dict) else {"target": given}
            target = np.atleast_2d(np.asarray(given["target"], dtype=np.float32))
            past, future = given.get("past_covariates", {}), given.get("future_covariates", {})
            rows = (Covariate * max(1, len(past)))()
            for row, name in zip(rows, sorted(past)):
                row.name = name.encode()
                values, ahead = np.asarray(past[name]), future.get(name)
                if np.issubdtype(values.dtype, np.number):
                    row.past = floats(values)
                    if ahead is not None:
                        row.future = floats(ahead)
                else:
                    row.text = words(values)
                    if ahead is not None:
                        row.ahead = words(ahead)
            keep.append(rows)
            tasks[i] = Task(target.shape[0], target.shape[1], floats(target), rows, len(past), i)
        return tasks, keep

    def predict(self, inputs, horizon, prepared=None, samples=False, **options):
        """Quantiles [n_targets, n_levels, horizon] of each task, or its samples [n_targets, n_samples, horizon]."""
        tasks, keep = prepared or self.prepare(inputs)
        o, out = Options(horizon=horizon), []
        for name, value in options.items():
            if name in ("levels", "unrolled"):
                setattr(o, "n_" + name, len(value))
                value = (c.c_double * len(value))(*value)
                keep.append(value)
                value = c.cast(value, DOUBLES)
            setattr(o, name, value)

        def take(_, result):
            r = result.contents
            shape = (r.n_targets, r.n_samples if samples else r.n_levels, r.horizon)
            values = np.ctypeslib.as_array(r.samples if samples else r.quantiles, shape=shape)
            out.append(values.copy())
            return True

        self._check(self.lib.ftl_chronos_predict(self.handle, tasks, c.c_size_t(len(tasks)), c.byref(o), SINK(take), None,
                                                 c.byref(self.error)))
        return out
