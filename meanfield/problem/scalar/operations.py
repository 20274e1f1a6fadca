"""The elementary operations that scalar functions are made of, as NumPy computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import special

#: Operations by name, NumPy's function of one, two or three arrays. What takes place in compiled
#: code has its form in `meanfield.flow.compiled.scalar_functions`.
OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "expm1": np.expm1,
    "exp2": np.exp2,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": special.erf,
    "erfc": special.erfc,
    "expit": special.expit,
    "gamma": special.gamma,
    "lgamma": special.gammaln,
    "floor": np.floor,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "fmod": np.fmod,
    "copysign": np.copysign,
    # As in Python: the first of two equal ones, and of a number and NaN.
    "max": lambda x, y: np.where(np.less(x, y), y, x),
    "min": lambda x, y: np.where(np.less(y, x), y, x),
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "select": np.where,
})  # fmt: skip

BINARY = frozenset(
    {"add", "sub", "mul", "div", "pow", "atan2", "hypot", "fmod", "copysign", "max", "min", "lt",
     "le", "eq"}
)  # fmt: skip
#: Those whose result is a truth value; it is used by ``select`` alone.
COMPARISONS = frozenset({"lt", "le", "eq"})
#: What costs no more than a few arithmetic operations.
CHEAP = COMPARISONS | {"neg", "abs", "add", "sub", "mul", "max", "min", "select"}
#: What may break the smoothness of a function.
PIECEWISE = COMPARISONS | {"abs", "floor", "fmod", "copysign", "max", "min", "select"}


def arity(operation: str) -> int:
    """Return the number of arguments of an operation."""
    return 3 if operation == "select" else 2 if operation in BINARY else 1
