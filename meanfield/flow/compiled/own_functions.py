"""Functions of the user's own in compiled code: programs, written out as source for numba.

`meanfield.problem.scalar` makes the programs. On vectors, what the built-in activations use is free
of branches here too (`functions.py`); of a branch both sides are computed and one is selected.
Functions that have no such form are called for one lane after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numba import config, njit

from meanfield.flow.compiled import functions, simd
from meanfield.flow.compiled.simd.mode import inline
from meanfield.problem.scalar.operations import OPERATIONS
from meanfield.problem.scalar.program import Program, parse

#: Functions of numbers that are called lane by lane.
_BY_LANE: dict[str, Callable[..., float]] = {
    "asin": lambda x: math.asin(x),
    "acos": lambda x: math.acos(x),
    "atan": lambda x: math.atan(x),
    "asinh": lambda x: math.asinh(x),
    "acosh": lambda x: math.acosh(x),
    "atanh": lambda x: math.atanh(x),
    "erfc": lambda x: math.erfc(x),
    "gamma": lambda x: math.gamma(x),
    "lgamma": lambda x: math.lgamma(x),
    "pow": lambda x, y: x**y,
    "atan2": lambda x, y: math.atan2(x, y),
    "hypot": lambda x, y: math.hypot(x, y),
    "fmod": lambda x, y: np.fmod(x, y),  # numba has none of math
}
_TWO = frozenset({"pow", "atan2", "hypot", "fmod"})

#: Each operation on vectors.
_VECTOR = {
    "neg": "-{0}",
    "abs": "absolute({0})",
    "sqrt": "square_root({0})",
    "exp": "exponential({0})",
    "expm1": "exponential_minus_1({0})",
    "exp2": "exponential2({0})",
    "log": "logarithm({0})",
    "log1p": "logarithm_of_1_plus({0})",
    "log2": f"({1 / math.log(2)!r} * logarithm({{0}}))",
    "log10": f"({1 / math.log(10)!r} * logarithm({{0}}))",
    "sin": "sine_cosine({0})[0]",
    "cos": "sine_cosine({0})[1]",
    "tan": "tangent({0})",
    "sinh": "hyperbolic_sine({0})",
    "cosh": "hyperbolic_cosine({0})",
    "tanh": "tanh({0})",
    "erf": "erf({0})[0]",
    "expit": "sigmoid({0})",
    "floor": "floor({0})",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "copysign": "copysign({0}, {1})",
    "max": "select({1} > {0}, {1}, {0})",
    "min": "select({0} > {1}, {1}, {0})",
    "lt": "{1} > {0}",
    "le": "{1} >= {0}",
    "eq": "({0} >= {1}) & ({1} >= {0})",
    "select": "select({0}, {1}, {2})",
    **{name: f"{name}({{0}}{', {1}' if name in _TWO else ''})" for name in _BY_LANE},
}
#: Those that take a number in the place of a vector.
_MIXED = frozenset({"add", "sub", "mul", "div"})

#: Each operation on single numbers.
_SCALAR = {
    **{name: f"{name}({{0}})" for name in OPERATIONS},
    **{name: f"{name}({{0}}, {{1}})" for name in (*_TWO, "copysign")},
    "neg": "-{0}",
    "expit": "(1.0 / (1.0 + exp(-{0})))",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "pow": "{0} ** {1}",
    "max": "({1} if {0} < {1} else {0})",
    "min": "({1} if {1} < {0} else {0})",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "select": "({1} if {0} else {2})",
}


#: What numbers take from ``math``, as numba knows it.
_OF_MATH = (
    "sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "gamma", "lgamma",
    "floor", "atan2", "hypot", "copysign",
)  # fmt: skip


@inline
def _tangent(x: simd.Vector) -> simd.Vector:
    s, c = functions.sine_cosine(x)
    return s / c


@cache
def _vector_names() -> dict[str, Any]:
    """What the source of a function of vectors refers to."""
    names = {name: getattr(simd, name) for name in ("absolute", "copysign", "floor", "select")}
    names |= {"square_root": simd.square_root, "tangent": _tangent, "one": functions.one}
    for name in (
        "exponential", "exponential2", "exponential_minus_1", "logarithm", "logarithm_of_1_plus",
        "hyperbolic_sine", "hyperbolic_cosine", "sine_cosine", "tanh", "erf", "sigmoid",
    ):  # fmt: skip
        names[name] = getattr(functions, name)
    for name, function in _BY_LANE.items():
        names[name] = simd.by_lane(function, OPERATIONS[name], 2 if name in _TWO else 1)
    return names | {"inf": math.inf, "nan": math.nan}


@cache
def _scalar_names() -> dict[str, Any]:
    """What the source of a function of numbers refers to; plain Python must not raise."""
    if config.DISABLE_JIT:
        return {**OPERATIONS, "inf": math.inf, "nan": math.nan}
    named = {name: getattr(math, name) for name in _OF_MATH}
    named |= {"exp2": np.exp2, "fmod": np.fmod}
    return {**named, "abs": abs, "inf": math.inf, "nan": math.nan}


def _lines(program: Program, forms: dict[str, str], number: str, inputs: str) -> Iterator[str]:
    """Yield the assignments of the operations; ``number`` is the form of a lifted number."""
    constants = {i: n[1] for i, n in enumerate(program.nodes) if n[0] == "const"}
    for i, (operation, *places) in enumerate(program.nodes):
        if operation == "input":
            yield f"t{i} = {inputs[places[0]]}"
        elif operation == "const":
            yield f"t{i} = {number.format(repr(constants[i]))}"
        else:
            given = [
                repr(constants[j]) if j in constants and operation in _MIXED else f"t{j}"
                for j in places
            ]
            given = [f"({text})" if text[0] == "-" else text for text in given]
            yield f"t{i} = {forms[operation].format(*given)}"


def _made(name: str, inputs: str, lines: list[str], names: dict[str, Any]) -> Any:
    source = f"def {name}({', '.join(inputs)}):\n    " + "\n    ".join(lines) + "\n"
    namespace = dict(names)
    exec(compile(source, f"<{name}>", "exec"), namespace)
    return namespace[name]


def vector_function(code: str) -> Any:
    """The function of a vector z that gives all results of a program, as vectors.

    NaN comes out for NaN, also where comparisons would let it pass.
    """
    program = parse(code)
    lines = list(_lines(program, _VECTOR, "{} * one(z)", "z"))
    results = [f"t{i}" for i in program.outputs]
    if program.is_piecewise:
        results = [f"select(z >= z, {result}, z)" for result in results]
    lines.append(f"return {', '.join(results)}")
    return inline(_made("own_activation", "z", lines, _vector_names()))


def scalar_function(code: str, which: int, inputs: str) -> Any:
    """The function of numbers that gives one result of a program."""
    program = parse(code).part(which)
    lines = list(_lines(program, _SCALAR, "{}", inputs))
    lines.append(f"return t{program.outputs[0]}")
    # Divided as in NumPy: compiled code that is called by address cannot raise.
    return njit(error_model="numpy")(_made("own_loss", inputs, lines, _scalar_names()))
