"""The parts of an estimate, checked: its numbers in order, its level, its replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError

#: Dimension of an estimate in a dataset, and its coordinates.
BOUND = "bound"
BOUNDS = ("value", "low", "high")

#: What stands beside an interval by this much, relatively, is in it: a logarithm and back.
_ROUNDING = 1e-9


def check_order(low: Any, value: Any, high: Any) -> None:
    """Refuse an interval upside down, or beside its value."""
    if np.any(low > high):
        found = first(low > high, low, high)
        raise ArgumentError("low", f"must not exceed high, got low, high = {found}.")
    beside = outside(value, low, high)
    if np.any(beside):
        found = first(beside, value, low, high)
        raise ArgumentError(
            "value", f"must lie between low and high, got value, low, high = {found}."
        )


def outside(value: Any, low: Any, high: Any) -> Any:
    """Return whether a value lies beside an interval, by more than rounding."""
    near = np.clip(value, low, high)
    return ((value < low) | (value > high)) & ~np.isclose(value, near, rtol=_ROUNDING, atol=0.0)


def checked_level(level: object) -> float:
    """Return a level of confidence."""
    if not 0 < (number := checks.number("level", level)) < 1:
        raise ArgumentError("level", f"must lie between 0 and 1, as 0.95 does, got {level!r}.")
    return number


def of_shape(name: str, part: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a part of an estimate as an array of the shape of its value."""
    numbers = checks.numbers(name, part)
    try:
        return np.broadcast_to(numbers, shape)
    except ValueError:
        raise ArgumentError(
            name, f"must have the shape of value, {shape}, got {numbers.shape}."
        ) from None


def cases(count: object, total: object) -> tuple[Any, int]:
    """Return in how many of all cases something happened, and how many there are."""
    total = checks.count("total", total, minimum=0)
    return checks.whole("count", count, total, "total")[()], total


def in_common(estimates: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of estimates in one array, next to their numbers: what all of them say."""
    shapes = list(dict.fromkeys(np.shape(one.value) for one in estimates))
    if len(shapes) > 1:
        raise ArgumentError("estimates", f"must be of one shape, got {shapes[0]} and {shapes[1]}.")
    notes = dict.fromkeys(note for one in estimates for note in one.notes)
    fields: dict[str, Any] = {"notes": tuple(notes)}
    for name in ("level", "expected", "resampled", "notes", "label"):
        said = list(dict.fromkeys(getattr(one, name) for one in estimates))
        if len(said) == 1:
            fields[name] = said[0]
        elif name == "level":
            raise ArgumentError("estimates", f"must be of one level, got {said[0]} and {said[1]}.")
    if given.get("level", fields["level"]) != fields["level"]:
        # A level is no label: intervals of another one have other bounds.
        raise ArgumentError(
            "level", f"must be that of the estimates, {fields['level']}, got {given['level']!r}."
        )
    return fields | dict(given)


def of_replicas(values: object, axis: object) -> NDArray[np.floating]:
    """Return values as an array that has replicas along an axis."""
    checks.numbers("values", values)
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise ArgumentTypeError("axis", f"must be an integer, got {checks.shown(axis)}.")
    array: NDArray[np.floating] = np.asarray(values)  # of its own precision
    if not -array.ndim <= axis < array.ndim or not array.shape[axis]:
        raise ArgumentError(
            "values", f"must hold a replica or more along axis {axis}, got shape {array.shape}."
        )
    return array


def first(wrong: Any, *parts: Any) -> str:
    """Return the numbers at the first place where something is wrong, to its last digit."""
    place = int(np.argmax(wrong))
    return ", ".join(str(float(np.ravel(part)[place])) for part in parts)
