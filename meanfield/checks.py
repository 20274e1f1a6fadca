"""Argument checks shared by the public functions: one sentence that names the argument."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable

from meanfield.errors import suggest


def count(name: str, value: object, minimum: int = 1) -> int:
    """Return `value` as an integer of at least `minimum`."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}.") from None
    if isinstance(value, bool) or number < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}.")
    return number


def real(name: str, value: object) -> float:
    """Return `value` as a finite float."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}.") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value!r}.")
    return number


def positive(name: str, value: object) -> float:
    """Return `value` as a finite float above zero."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be greater than 0, got {value!r}.")
    return number


def nonnegative(name: str, value: object) -> float:
    """Return `value` as a finite float of at least zero."""
    number = real(name, value)
    if number < 0:
        raise ValueError(f"{name} must be at least 0, got {value!r}.")
    return number


def choice(name: str, value: object, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`."""
    options = list(options)
    if value not in options:
        raise ValueError(f"{name} is {value!r}, which is not known.{suggest(value, options)}")
    return str(value)


def seed(value: object) -> int:
    """Return a seed as an integer in [0, 2^64)."""
    number = count("seed", value, minimum=0)
    if number >= 2**64:
        raise ValueError(f"seed must be below 2**64, got {value!r}.")
    return number
