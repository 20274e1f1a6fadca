"""Symbols: what a Python function is called with, so that its operations are written down."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from meanfield.problem.scalar.operations import COMPARISONS
from meanfield.problem.scalar.program import Builder


class NotCompiled(Exception):
    """What a function does has no compiled form; the text says what, and what to do."""


class Tape(Builder):
    """The operations of one function over all its branches, and the decisions of this one."""

    MOST_DECISIONS = 300

    def __init__(self) -> None:
        super().__init__()
        self.start(())

    def start(self, decisions: tuple[bool, ...]) -> None:
        """Begin a branch with the decisions that lead to it."""
        self.decisions = decisions
        #: The comparisons that were decided freely, and those known to hold or not.
        self.asked: list[tuple[int, bool]] = []
        self.known: dict[int, bool] = {}

    def decide(self, comparison: int) -> bool:
        """Take the side of a comparison that is asked for, or the first one, or the only one."""
        if comparison in self.known:
            return self.known[comparison]
        implied = self._implied(comparison)
        if implied is not None:
            return implied
        i = len(self.asked)
        if i >= self.MOST_DECISIONS:
            raise NotCompiled(
                f"decides more than {self.MOST_DECISIONS} times on the way; write its loops so "
                "that their length does not depend on the argument"
            )
        taken = self.decisions[i] if i < len(self.decisions) else True
        self.asked.append((comparison, taken))
        self.known[comparison] = taken
        return taken

    def _implied(self, comparison: int) -> bool | None:
        """Return what follows for a comparison with a number from those with other numbers."""
        found = self._side(comparison)
        if found is None:
            return None
        what, operation, at = found
        low, high = (-math.inf, False), (math.inf, False)  # bounds, and whether they are left out
        for other, holds in self.known.items():
            side = self._side(other)
            if side is None or side[0] != what:
                continue
            kind = side[1] if holds else _OPPOSITE[side[1]]
            if kind in ("below", "to", "eq"):
                high = min(high, (side[2], kind == "below"), key=lambda b: (b[0], not b[1]))
            if kind in ("above", "from", "eq"):
                low = max(low, (side[2], kind == "above"))
        return _follows(operation, at, low, high)

    def _side(self, comparison: int) -> tuple[int, str, float] | None:
        """Return what is compared with which number: "below", "to", "above", "from" or "eq"."""
        operation, first, second = self.nodes[comparison]
        left, right = self.number(first), self.number(second)
        if right is not None:
            return first, {"lt": "below", "le": "to", "eq": "eq"}[operation], right
        if left is not None:
            return second, {"lt": "above", "le": "from", "eq": "eq"}[operation], left
        return None


_OPPOSITE = {"below": "from", "to": "above", "above": "to", "from": "below", "eq": "other"}


def _follows(
    operation: str, at: float, low: tuple[float, bool], high: tuple[float, bool]
) -> bool | None:
    """Tell whether all, or none, of the numbers between two bounds lie on a side of ``at``."""
    all_below = high[0] < at or (high[0] == at and high[1])
    all_above = low[0] > at or (low[0] == at and low[1])
    none_above, none_below = high[0] <= at, low[0] >= at
    yes, no = {
        "below": (all_below, none_below),
        "to": (none_above, all_above),
        "above": (all_above, none_above),
        "from": (none_below, all_below),
        "eq": (False, all_below or all_above),
    }[operation]
    return True if yes else False if no else None


class Symbol:
    """A number, or a truth value, that depends on the arguments of the function at hand."""

    #: NumPy's functions of symbols by their names, of `meanfield.problem.scalar.functions`.
    numpy_functions: Mapping[str, Callable[..., Any]]

    def __init__(self, tape: Tape, place: int):
        self.tape = tape
        self.place = place

    @property
    def is_truth(self) -> bool:
        """Whether this is the result of a comparison."""
        return self.tape.nodes[self.place][0] in COMPARISONS

    def number(self) -> Symbol:
        """Return it as a number: 1 or 0 for a truth value."""
        if not self.is_truth:
            return self
        one, zero = self.tape.const(1.0), self.tape.const(0.0)
        return Symbol(self.tape, self.tape("select", self.place, one, zero))

    def __bool__(self) -> bool:
        if self.is_truth:
            return self.tape.decide(self.place)
        return not self.tape.decide(apply("eq", self, 0.0).place)

    def _impossible(self, *given: Any, **options: Any) -> Any:
        raise NotCompiled(
            "turns its argument into a plain number or an array on the way; use arithmetic, "
            "comparisons and the functions of math on the argument itself"
        )

    __float__ = __int__ = __complex__ = __array__ = __iter__ = _impossible

    def __index__(self) -> int:
        return int(bool(self)) if self.is_truth else self._impossible()

    @property
    def real(self) -> Symbol:
        """The number itself."""
        return self.number()

    __hash__ = object.__hash__

    def __pos__(self) -> Symbol:
        return self.number()

    def __neg__(self) -> Symbol:
        return apply("neg", self)

    def __abs__(self) -> Symbol:
        return apply("abs", self)

    def __round__(self, digits: Any = None) -> Any:
        raise NotCompiled("uses round; use math.floor(z + 0.5)")

    def __floor__(self) -> Symbol:
        return apply("floor", self)

    def __ceil__(self) -> Symbol:
        return ceil(self)

    def __trunc__(self) -> Symbol:
        return trunc(self)

    def __pow__(self, other: Any) -> Any:
        return power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return power(other, self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        function = self.numpy_functions.get(ufunc.__name__)
        if function is None or method != "__call__" or options:
            raise NotCompiled(f"uses {ufunc.__name__}, which has no compiled form")
        return function(*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        known = self.numpy_functions.get(function.__name__)
        if known is None or kwargs:
            raise NotCompiled(f"uses np.{function.__name__}, which has no compiled form")
        return known(*args)


def apply(operation: str, *values: Any) -> Any:
    """Write an operation of numbers, some of them symbols, down; give its result."""
    tape = next(v.tape for v in values if isinstance(v, Symbol))
    return Symbol(tape, tape(operation, *(place_of(tape, v) for v in values)))


def place_of(tape: Tape, value: Any) -> int:
    """Return the place of a number, which may be a symbol."""
    if isinstance(value, Symbol):
        return value.number().place
    if isinstance(value, numbers.Real | np.generic) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    ):
        return tape.const(float(value))
    raise NotCompiled(
        f"computes with {type(value).__name__!r} on the way; use numbers, arithmetic and the "
        "functions of math"
    )


def power(base: Any, exponent: Any) -> Any:
    """Return a power of numbers, one of them a symbol."""
    tape = (base if isinstance(base, Symbol) else exponent).tape
    return Symbol(tape, tape.power(place_of(tape, base), place_of(tape, exponent)))


def select(condition: Any, yes: Any, no: Any) -> Any:
    """Return one of two numbers, by a truth value that may be a symbol."""
    if not isinstance(condition, Symbol):
        return yes if condition else no
    if not condition.is_truth:
        condition = apply("eq", condition, 0.0)
        yes, no = no, yes
    tape = condition.tape
    places = (place_of(tape, yes), place_of(tape, no))
    return Symbol(tape, tape("select", condition.place, *places))


def ceil(value: Any) -> Any:
    """Return the least whole number from a number on."""
    return -apply("floor", -value)


def trunc(value: Any) -> Any:
    """Return a number without its fraction."""
    return select(value < 0, ceil(value), apply("floor", value))


def _remainder(x: Any, y: Any) -> Any:
    """Return Python's ``x % y``, which has the sign of y."""
    r = apply("fmod", x, y)
    return select(r * y < 0, r + y, r)


def _truth(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an operation of truth values, from that of numbers 0 and 1."""
    return lambda x, y: apply("lt", 0.5, operation(x * 1.0, y * 1.0))


def _swapped(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda x, y: operation(y, x)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: apply("add", x, y),
    "sub": lambda x, y: apply("sub", x, y),
    "mul": lambda x, y: apply("mul", x, y),
    "truediv": lambda x, y: apply("div", x, y),
    "floordiv": lambda x, y: apply("floor", apply("div", x, y)),
    "mod": _remainder,
    "and": _truth(operator.mul),
    "or": _truth(operator.add),
    "xor": lambda x, y: apply("lt", 0.5, abs(x * 1.0 - y * 1.0)),
}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "lt": lambda x, y: apply("lt", x, y),
    "le": lambda x, y: apply("le", x, y),
    "gt": lambda x, y: apply("lt", y, x),
    "ge": lambda x, y: apply("le", y, x),
    "eq": lambda x, y: apply("eq", x, y),
    "ne": lambda x, y: apply("eq", select(apply("eq", x, y), 1.0, 0.0), 0.0),
    "invert": lambda x: apply("lt", x.number(), 0.5),
}
for _name, _function in _OPERATORS.items():
    setattr(Symbol, f"__{_name}__", _function)
    setattr(Symbol, f"__r{_name}__", _swapped(_function))
for _name, _function in _COMPARISONS.items():
    setattr(Symbol, f"__{_name}__", _function)
