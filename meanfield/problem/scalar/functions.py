"""The functions of ``math``, NumPy and Python that symbols take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial, reduce, wraps
from operator import mul
from types import MappingProxyType
from typing import Any

from meanfield.problem.scalar.symbol import NotCompiled, Symbol, apply, ceil, power, select, trunc


def _has_symbol(values: Any) -> bool:
    """Whether a symbol is among some values, or in a list among them."""
    return any(
        isinstance(value, Symbol) or (isinstance(value, tuple | list) and _has_symbol(value))
        for value in values
    )


def _operation(name: str) -> Callable[..., Any]:
    """Return an operation of numbers that may be symbols."""
    return partial(apply, name)


def _extreme_of(operation: str) -> Callable[..., Any]:
    """Return the largest or smallest of some numbers, some of them symbols."""

    def function(first: Any, *others: Any) -> Any:
        for other in others:
            if _has_symbol((first, other)):
                first = apply(operation, first, other)
            else:
                first = max(first, other) if operation == "max" else min(first, other)
        return first

    return function


maximum, minimum = _extreme_of("max"), _extreme_of("min")


def _sign(z: Any) -> Any:
    return select(z > 0, 1.0, select(z < 0, -1.0, 0.0))


def _log(z: Any, base: Any = None) -> Any:
    logarithm = apply("log", z) if isinstance(z, Symbol) else math.log(z)
    if base is None:
        return logarithm
    return logarithm / (apply("log", base) if isinstance(base, Symbol) else math.log(base))


def _log_add_exp(x: Any, y: Any) -> Any:
    return maximum(x, y) + apply("log1p", apply("exp", -abs(x - y)))


def _is_finite(z: Any) -> Any:
    return abs(z) < math.inf


def _normal(z: Any) -> Any:
    return 0.5 * apply("erfc", -z * math.sqrt(0.5))


def _hypot(*values: Any) -> Any:
    total = abs(values[0])
    for value in values[1:]:
        total = apply("hypot", total, value)
    return total


_COMMON: dict[str, Callable[..., Any]] = {
    **{
        name: _operation(name)
        for name in (
            "sqrt", "exp", "expm1", "exp2", "log1p", "log2", "log10", "sin", "cos", "tan", "sinh",
            "cosh", "tanh", "floor", "fmod", "copysign",
        )
    },
    "ceil": ceil,
    "trunc": trunc,
    "hypot": _hypot,
    "cbrt": lambda z: apply("copysign", apply("pow", abs(z), 1.0 / 3.0), z),
    "fabs": abs,
}  # fmt: skip

#: By the name in ``math``.
MATH_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    **_COMMON,
    **{
        name: _operation(name)
        for name in (
            "asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2", "erf", "erfc", "gamma",
            "lgamma",
        )
    },
    "log": _log,
    "pow": power,
    "degrees": lambda z: z * (180.0 / math.pi),
    "radians": lambda z: z * (math.pi / 180.0),
    "isfinite": _is_finite,
    "isnan": lambda z: z != z,
    "isinf": lambda z: abs(z) == math.inf,
    "fma": lambda x, y, z: x * y + z,
    "fsum": sum,
    "prod": lambda values: reduce(mul, values),
})  # fmt: skip

#: By the name of NumPy's, or SciPy's, function.
NUMPY_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        **_COMMON,
        **{
            f"arc{name[1:]}": _operation(name)
            for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2")
        },
        **{name: _operation(name) for name in ("erf", "erfc", "expit", "gamma")},
        "gammaln": _operation("lgamma"),
        "ndtr": _normal,
        "log": _log,
        "add": lambda x, y: x + y,
        "subtract": lambda x, y: x - y,
        "multiply": lambda x, y: x * y,
        "divide": lambda x, y: x / y,
        "true_divide": lambda x, y: x / y,
        "floor_divide": lambda x, y: x // y,
        "remainder": lambda x, y: x % y,
        "power": power,
        "float_power": power,
        "square": lambda z: z * z,
        "reciprocal": lambda z: 1.0 / z,
        "negative": lambda z: -z,
        "positive": lambda z: +z,
        "absolute": abs,
        "sign": _sign,
        "heaviside": lambda z, at: select(z > 0, 1.0, select(z < 0, 0.0, at)),
        "maximum": maximum,
        "minimum": minimum,
        "fmax": maximum,
        "fmin": minimum,
        "clip": lambda z, low, high: minimum(maximum(z, low), high),
        "where": select,
        "logaddexp": _log_add_exp,
        "greater": lambda x, y: x > y,
        "greater_equal": lambda x, y: x >= y,
        "less": lambda x, y: x < y,
        "less_equal": lambda x, y: x <= y,
        "equal": lambda x, y: x == y,
        "not_equal": lambda x, y: x != y,
        "logical_and": lambda x, y: (x != 0) & (y != 0),
        "logical_or": lambda x, y: (x != 0) | (y != 0),
        "logical_not": lambda z: z == 0,
        "isfinite": _is_finite,
        "isnan": lambda z: z != z,
        "deg2rad": lambda z: z * (math.pi / 180.0),
        "rad2deg": lambda z: z * (180.0 / math.pi),
    }
)


Symbol.numpy_functions = NUMPY_FUNCTIONS


def of_math(name: str, original: Any) -> Any:
    """Return a function of ``math`` that also takes symbols; what is no function stays."""
    if not callable(original):
        return original

    @wraps(original)
    def function(*values: Any, **options: Any) -> Any:
        if not _has_symbol(values):
            return original(*values, **options)
        if name not in MATH_FUNCTIONS or options:
            raise NotCompiled(f"uses math.{name}, which has no compiled form")
        return MATH_FUNCTIONS[name](*values)

    return function


class Math:
    """The module ``math``, whose functions also take symbols."""

    def __getattr__(self, name: str) -> Any:
        return of_math(name, getattr(math, name))


def _extreme(original: Any, of_symbols: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def function(*values: Any, **options: Any) -> Any:
        listed = tuple(values[0]) if len(values) == 1 else values
        if options or not _has_symbol(listed):
            return original(*values, **options)
        return of_symbols(*listed)

    return function


class _OfSymbols(type):
    """A type of numbers that symbols belong to, too."""

    plain: type
    convert: Callable[[Any], Any]

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.plain | Symbol)

    def __call__(cls, *values: Any) -> Any:
        if len(values) == 1 and isinstance(values[0], Symbol):
            return cls.convert(values[0])
        return cls.plain(*values)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.plain, name)


class _Float(metaclass=_OfSymbols):
    plain = float
    convert = Symbol.number


class _Int(metaclass=_OfSymbols):
    plain = int

    @staticmethod
    def convert(value: Symbol) -> Any:
        return value.number() if value.is_truth else trunc(value)


#: By their names in Python.
BUILTINS = MappingProxyType(
    {
        "max": _extreme(max, maximum),
        "min": _extreme(min, minimum),
        "float": _Float,
        "int": _Int,
        "pow": lambda x, y, *rest: pow(x, y, *rest),
    }
)
