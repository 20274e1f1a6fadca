"""The derivative of a program, operation by operation."""

from __future__ import annotations

import math
from collections.abc import Callable

from meanfield.problem.scalar.operations import COMPARISONS
from meanfield.problem.scalar.program import Builder, Program


def derived(program: Program, input_index: int = 0) -> Program | None:
    """Return the program of the first result's derivative, None where it has none here.

    At a kink it is what the formula of the side that is taken there says; of ``|z|``, ``max`` and
    ``min`` the mean of both sides.
    """
    b = Builder()
    places: list[int] = []
    slopes: list[int] = []
    zero, one = b.const(0.0), b.const(1.0)
    for operation, *arguments in program.nodes:
        if operation == "input":
            places.append(b.input(arguments[0]))
            slopes.append(one if arguments[0] == input_index else zero)
        elif operation == "const":
            places.append(b.const(arguments[0]))
            slopes.append(zero)
        else:
            given = [places[j] for j in arguments]
            places.append(b(operation, *given))
            rates = [slopes[j] for j in arguments]
            if all(rate == zero for rate in rates) or operation in COMPARISONS:
                slopes.append(zero)
            elif operation == "select":
                slopes.append(b("select", given[0], rates[1], rates[2]))
            elif operation in _RULES:
                slopes.append(_RULES[operation](b, places[-1], given, rates))
            else:
                return None
    try:
        return b.program(slopes[program.outputs[0]])
    except OverflowError:
        return None


_Rule = Callable[[Builder, int, list[int], list[int]], int]


def _unary(slope: Callable[[Builder, int, int], int]) -> _Rule:
    """Return the rule of ``y = σ(x)`` from ``slope(builder, x, y)``, the place of σ′."""

    def rule(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
        return b("mul", slope(b, given[0], y), rates[0])

    return rule


def _over(slope: Callable[[Builder, int, int], int]) -> _Rule:
    """Return the rule of ``y = σ(x)`` from the place of ``1 / σ′``."""

    def rule(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
        return b("div", rates[0], slope(b, given[0], y))

    return rule


def _one_minus_square(b: Builder, x: int) -> int:
    return b("sub", b.const(1.0), b("mul", x, x))


def _one_plus_square(b: Builder, x: int) -> int:
    return b("add", b.const(1.0), b("mul", x, x))


def _gauss(factor: float) -> Callable[[Builder, int, int], int]:
    def slope(b: Builder, x: int, y: int) -> int:
        return b("mul", b.const(factor), b("exp", b("neg", b("mul", x, x))))

    return slope


def _times(factor: float) -> Callable[[Builder, int, int], int]:
    return lambda b, x, y: b("mul", b.const(factor), y)


def _sign(b: Builder, x: int, y: int) -> int:
    zero, one = b.const(0.0), b.const(1.0)
    below = b("select", b("lt", x, zero), b.const(-1.0), zero)
    return b("select", b("lt", zero, x), one, below)


def _product(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
    return b("add", b("mul", rates[0], given[1]), b("mul", given[0], rates[1]))


def _quotient(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
    return b("div", b("sub", rates[0], b("mul", y, rates[1])), given[1])


def _power(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
    base, exponent = given
    lower = b.power(base, b("sub", exponent, b.const(1.0)))
    total = b("mul", b("mul", exponent, lower), rates[0])
    if b.number(rates[1]) == 0.0:
        return total
    return b("add", total, b("mul", b("mul", y, b("log", base)), rates[1]))


def _angle(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
    top = b("sub", b("mul", given[1], rates[0]), b("mul", given[0], rates[1]))
    square = b("add", b("mul", given[0], given[0]), b("mul", given[1], given[1]))
    return b("div", top, square)


def _length(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
    total = b("add", b("mul", given[0], rates[0]), b("mul", given[1], rates[1]))
    return b("div", total, y)


def _extreme(largest: bool) -> _Rule:
    """Return the rule of the larger or smaller of two: of equal ones the mean."""

    def rule(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
        first, second = given if largest else reversed(given)
        mean = b("mul", b.const(0.5), b("add", *rates))
        above = b("select", b("lt", second, first), rates[0], mean)
        return b("select", b("lt", first, second), rates[1], above)

    return rule


def _with_sign(b: Builder, y: int, given: list[int], rates: list[int]) -> int:
    same = b("mul", _sign(b, given[0], y), rates[0])
    return b("mul", same, b("copysign", b.const(1.0), given[1]))


_RULES: dict[str, _Rule] = {
    "neg": lambda b, y, given, rates: b("neg", rates[0]),
    "add": lambda b, y, given, rates: b("add", *rates),
    "sub": lambda b, y, given, rates: b("sub", *rates),
    "mul": _product,
    "div": _quotient,
    "pow": _power,
    "atan2": _angle,
    "hypot": _length,
    "fmod": lambda b, y, given, rates: rates[0] if b.number(rates[1]) == 0.0 else b.const(math.nan),
    "copysign": _with_sign,
    "max": _extreme(True),
    "min": _extreme(False),
    "floor": lambda b, y, given, rates: b.const(0.0),
    "abs": _unary(_sign),
    "sqrt": _over(lambda b, x, y: b("mul", b.const(2.0), y)),
    "exp": _unary(lambda b, x, y: y),
    "expm1": _unary(lambda b, x, y: b("add", y, b.const(1.0))),
    "exp2": _unary(_times(math.log(2.0))),
    "log": _over(lambda b, x, y: x),
    "log1p": _over(lambda b, x, y: b("add", x, b.const(1.0))),
    "log2": _over(lambda b, x, y: b("mul", b.const(math.log(2.0)), x)),
    "log10": _over(lambda b, x, y: b("mul", b.const(math.log(10.0)), x)),
    "sin": _unary(lambda b, x, y: b("cos", x)),
    "cos": _unary(lambda b, x, y: b("neg", b("sin", x))),
    "tan": _unary(lambda b, x, y: _one_plus_square(b, y)),
    "asin": _over(lambda b, x, y: b("sqrt", _one_minus_square(b, x))),
    "acos": _over(lambda b, x, y: b("neg", b("sqrt", _one_minus_square(b, x)))),
    "atan": _over(lambda b, x, y: _one_plus_square(b, x)),
    "sinh": _unary(lambda b, x, y: b("cosh", x)),
    "cosh": _unary(lambda b, x, y: b("sinh", x)),
    "tanh": _unary(lambda b, x, y: _one_minus_square(b, y)),
    "asinh": _over(lambda b, x, y: b("sqrt", _one_plus_square(b, x))),
    "acosh": _over(lambda b, x, y: b("sqrt", b("sub", b("mul", x, x), b.const(1.0)))),
    "atanh": _over(lambda b, x, y: _one_minus_square(b, x)),
    "erf": _unary(_gauss(2.0 / math.sqrt(math.pi))),
    "erfc": _unary(_gauss(-2.0 / math.sqrt(math.pi))),
    "expit": _unary(lambda b, x, y: b("mul", y, b("sub", b.const(1.0), y))),
}
