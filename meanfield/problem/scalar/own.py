"""From a function and its derivative to one program with the facts about it, all checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.problem.scalar.derivative import derived
from meanfield.problem.scalar.facts import check_derivative, check_finite, find_facts
from meanfield.problem.scalar.program import Builder, Program
from meanfield.problem.scalar.trace import trace

_NAME = re.compile(r"\w[\w .()+-]*")


def name_of(function: Any, name: str | None) -> str:
    """Return the name that was given, or that a function has."""
    if name is None:
        name = getattr(function, "__name__", "")
        if name == "<lambda>" or not isinstance(name, str) or not name:
            raise ArgumentError("name", 'is needed where the function has none; give name="…".')
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ArgumentError(
            "name", f"must be of letters, digits, spaces, dots, dashes and brackets, got {name!r}."
        )
    return name


def joint_program(
    f: Callable[[float], float], derivative: Callable[[float], float] | None
) -> tuple[Program, Program]:
    """Return the programs of a function and of its derivative, checked against each other."""
    value = trace(f, "f")
    if derivative is None:
        slope = derived(value)
        if slope is None:
            raise ArgumentError(
                "derivative", "is needed: f uses a function whose derivative is not known here."
            )
    else:
        slope = trace(derivative, "derivative")

    def sigma(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return value.evaluate(z)[0]

    def rate(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return slope.evaluate(z)[0]

    check_finite(sigma, "f")
    check_finite(rate, "derivative")
    check_derivative(sigma, rate, "derivative")
    if np.ptp(sigma(np.linspace(-10.0, 10.0, 2001))) == 0.0:
        raise ArgumentError("f", "is constant; a network of it learns nothing.")
    return value, slope


def join(*programs: Program) -> Program:
    """Return one program with the results of several of the same inputs."""
    b = Builder()
    inputs = [b.input(i) for i in range(2)]
    return b.program(*(place for program in programs for place in b.take(program, inputs)))


def loss_program(
    value: Callable[[float, float], float],
    derivative: Callable[[float, float], float] | None,
    curvature: Callable[[float, float], float] | None,
    targets: Sequence[float],
) -> tuple[Program, bool]:
    """Return the program of a loss and its first two derivatives in f, and whether it is convex.

    They are checked against each other at some `targets`.
    """
    programs = [trace(value, "value", 2)]
    for name, given in (("derivative", derivative), ("curvature", curvature)):
        program = derived(programs[-1]) if given is None else trace(given, name, 2)
        if program is None:
            raise ArgumentError(
                name, "is needed: value uses a function whose derivative is not known here."
            )
        programs.append(program)
    bends = []
    for y in targets:
        parts = [_at_target(program, y) for program in programs]
        for part, name in zip(parts, ("value", "derivative", "curvature"), strict=True):
            check_finite(part, name, "f")
        check_derivative(parts[0], parts[1], "derivative", "value", f"y = {y:g}, f")
        check_derivative(parts[1], parts[2], "curvature", "derivative", f"y = {y:g}, f")
        bends.append(np.diff(parts[1](np.linspace(-10.0, 10.0, 4001))).min())
    return join(*programs), bool(min(bends) >= -1e-12)


def _at_target(program: Program, y: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda f: program.evaluate(f, np.full_like(f, y))[0]


def facts_of(value: Program, slope: Program, given: dict[str, Any]) -> dict[str, Any]:
    """Return the facts about a function: what was given, checked where it can be, or else found."""
    found = vars(find_facts(value, slope)).copy()
    given = {key: fact for key, fact in given.items() if fact is not None}
    for key in ("homogeneous", "smooth"):
        if key in given and not isinstance(given[key], bool | np.bool_):
            raise ArgumentTypeError(key, f"must be True or False, got {given[key]!r}.")
    if given.get("homogeneous") and not found["homogeneous"]:
        raise ArgumentError("homogeneous", "is True, but f(c z) = c f(z) does not hold.")
    if "sign" in given or "remainder" in given:
        sign = given.get("sign", found["sign"])
        if sign not in (-1, 0, 1):
            raise ArgumentError("sign", f"must be 1, -1 or 0 for none, got {sign!r}.")
        same = sign == found["sign"]
        remainder = given.get("remainder", found["remainder"] if same else ())
        remainder = tuple(float(c) for c in remainder)
        if sign and _reflection_gap(value, sign, remainder) > 1e-12:
            raise ArgumentError(
                "sign" if "sign" in given else "remainder",
                f"does not hold: f(z) is not {sign} f(-z) + q(z) with q = {remainder}; correct it, "
                "or leave it out to have it found.",
            )
        given.update(sign=int(sign), remainder=remainder if sign else ())
    return found | given


def _reflection_gap(value: Program, sign: int, remainder: tuple[float, ...]) -> float:
    """Return the largest ``|σ(z) − s σ(−z) − q(z)|`` on [−4, 4], relative to σ."""
    z = np.linspace(-4.0, 4.0, 41)
    above, below = value.evaluate(z)[0], value.evaluate(-z)[0]
    rest = np.polynomial.polynomial.polyval(z, remainder or (0.0,))
    return float(np.abs(above - sign * below - rest).max() / (1 + np.abs(above).max()))
