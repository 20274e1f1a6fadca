"""Scalar functions as users write them."""

from __future__ import annotations

import functools
import math
from math import erf, tanh

import numpy as np

SCALE = 0.7
KNOTS = (-2.0, -1.0, 0.5, 1.0, 3.0)


def softplus(x):
    """A helper that other functions call."""
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def swirl(z):
    return z * math.exp(-(z**2))


def swirl_slope(z):
    return (1 - 2 * z**2) * math.exp(-(z**2))


def leaky_softplus(z):
    return 0.1 * z + 0.9 * softplus(z)


def leaky_softplus_slope(z):
    return 0.1 + 0.9 / (1 + math.exp(-z))


def elu(z):
    if z > 0:
        return z
    return math.expm1(z)


def hard_tanh(z):
    return max(-1.0, min(1.0, z))


def tent(z):
    """Nested branches, comparisons in a row, `and` and `not`."""
    if -1 <= z <= 1:
        return 1 - abs(z) if z >= 0 and not z > 0.5 else (z + 1) * 0.5
    elif z < -1:
        return 0.0
    return math.sqrt(z)


def spline(z):
    """A loop over knots with a branch in it: many decisions, few ways."""
    total = 0.0
    for knot in KNOTS:
        if z > knot:
            total += (z - knot) ** 2
    return total / 10


def with_closure(c, table):
    def inner(z):
        return c * math.sin(SCALE * z) + table["shift"] * z

    return inner


def with_import(z):
    import math as m
    from math import atan as arc

    return arc(z) + m.pow(1 + z * z, 0.3) + m.hypot(z, 1.0)


def with_numpy(z):
    return np.where(z > 0, np.sin(z), np.tanh(z)) + np.maximum(z, -1.0) * 0.1 + np.square(z) * 0.01


class Bump:
    """An object that is called."""

    def __init__(self, width):
        self.width = width

    def __call__(self, z):
        return math.exp(-0.5 * (z / self.width) ** 2)


class Scaled:
    """A method that calls another one."""

    factor = 2.0

    def value(self, z):
        return self.factor * self.inner(z)

    def inner(self, z):
        return math.tanh(z)


def with_default(z, power=3):
    return tanh(z) ** power


def remainders(z):
    return (z % 1.5) + (z // 2) * 0.1 + math.floor(z) - int(z) + math.ceil(z) * 0.5 + float(z > 1)


def all_of_math(z):
    u = z / 20
    return (
        math.asin(u) + math.acos(u) + math.atan2(z, 2.0) + math.sinh(u) + math.cosh(u)
        + math.asinh(z) + math.acosh(2 + z * z) + math.atanh(u) + math.erfc(z) + math.tan(u)
        + math.gamma(3 + u) + math.lgamma(3 + u) + math.exp2(u) if hasattr(math, "exp2") else 0.0
    )  # fmt: skip


def logarithms(z):
    return (
        math.log(1 + z * z) + math.log2(2 + abs(z)) + math.log10(3 + z**4) + math.log(9 + z * z, 3)
    )


FUNCTIONS = {
    "swirl": swirl,
    "leaky_softplus": leaky_softplus,
    "elu": elu,
    "hard_tanh": hard_tanh,
    "tent": tent,
    "spline": spline,
    "closure": with_closure(0.3, {"shift": 0.2}),
    "import": with_import,
    "numpy": with_numpy,
    "object": Bump(1.3),
    "method": Bump(0.8).__call__,
    "methods": Scaled().value,
    "sums": lambda z: math.fsum([z, z * z, 1.0]) + math.prod([z, 0.5]) + [0.0, z][z > 0],
    "partial": functools.partial(with_default, power=2),
    "default": with_default,
    "remainders": remainders,
    "math": all_of_math,
    "logarithms": logarithms,
    "cached": functools.lru_cache(lambda z: erf(z) + math.copysign(0.5, z) * math.fmod(z, 1.0)),
    "builtin": math.atan,
    "ufunc": np.arctan,
    "power": lambda z: 2**z + (1 + z * z) ** -0.7 + (2 + z) ** 3 + abs(z) ** 0.5,
    "truth": lambda z: (z > 0) * z + (not z > 1) * 0.5 + (1.0 if z == 2 or z != 3 else 0.0),
    "sum": lambda z: sum(max(z - k, 0) for k in KNOTS) + min([z, 1.0, -z]),
    "isinstance": lambda z: abs(z) if isinstance(z, float) else 0.0,
}
