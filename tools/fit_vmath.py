#!/usr/bin/env python3
"""Coefficients of src/tensor/vmath.h: weighted minimax polynomials, rounded to float one after the other."""
import math
import numpy as np


def minimax(f, weight, lo, hi, degree, fixed):
    """Lawson's iteration for f ~ sum c_i x^i on [lo, hi]; `fixed` coefficients (low orders first) are given."""
    x = (lo + hi) / 2 - (hi - lo) / 2 * np.cos(np.pi * (np.arange(4000) + 0.5) / 4000)
    y, w = np.array([f(v) for v in x]), np.array([weight(v) for v in x])
    for i, c in enumerate(fixed):
        y = y - c * x**i
    a = np.stack([x**i for i in range(len(fixed), degree + 1)], 1)
    lawson = np.ones_like(x)
    for _ in range(300):
        s = w * np.sqrt(lawson)
        c = np.linalg.lstsq(a * s[:, None], y * s, rcond=None)[0]
        e = np.abs((a @ c - y) * w)
        lawson *= e
        lawson /= lawson.mean()
    return c, e.max()


def fit(name, f, weight, lo, hi, degree):
    fixed = []
    while len(fixed) <= degree:
        c, error = minimax(f, weight, lo, hi, degree, fixed)
        fixed.append(float(np.float32(c[0])))
    print(f"{name}: weighted error {error:.2e}\n  " + ", ".join(f"{c:.9g}f" for c in fixed))


half_ln2 = math.log(2) / 2 * 1.001
fit("exp: (e^r - 1 - r) / r^2", lambda r: (math.expm1(r) - r) / r**2, lambda r: r**2 / math.exp(r), -half_ln2, half_ln2, 4)
fit("log: (log(1+f) - f + f^2/2) / f^3", lambda f: (math.log1p(f) - f + f * f / 2) / f**3,
    lambda f: abs(f**3 / math.log1p(f)), math.sqrt(0.5) - 1, math.sqrt(2) - 1, 8)
fit("erf, |x| < 1: erf(x) / x - 1 in x^2", lambda s: math.erf(math.sqrt(s)) / math.sqrt(s) - 1,
    lambda s: math.sqrt(s) / math.erf(math.sqrt(s)), 1e-9, 1.0, 6)
fit("erf, |x| >= 1: log(erfc(x))", lambda x: math.log(math.erfc(x)), lambda x: math.erfc(x), 0.99, 4.0, 8)
