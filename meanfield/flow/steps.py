"""Numbers per step, as a scheme holds them: one where all are the same, else an array."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.flow.schedule import Constant, Schedule
from meanfield.system import memory

Array = NDArray[np.float64]

_SAME = 1e-12  # numbers that differ by less than this, relatively, are the same
_BYTES = 48  # for a step of its own number, while a scheme is made of others


def per_step(name: str, value: ArrayLike | Schedule, n_steps: int, *, zero: bool) -> float | Array:
    """Return what a user gave as `name` for every step, checked.

    One number where all are the same, and where there are no steps: that of the first step, if
    there were one. Else a copy (n_steps,) that cannot change. `zero` says whether 0 is allowed.
    """
    if isinstance(value, Constant):
        value = value.value
    if isinstance(value, Schedule):
        try:
            memory.fits(n_steps=n_steps)
            numbers = value.values(n_steps)
            value = numbers if n_steps else value.values(1)[0]
        except ArgumentError as error:
            raise ArgumentError(name, message=str(error)) from None
    if isinstance(value, bool | np.bool_):
        checks.number(name, value)  # which it is not
    try:
        values = checks.numbers(name, value) + 0.0  # no negative zero
    except ArgumentTypeError:
        raise ArgumentTypeError(
            name, f"must be a number, one per step or a schedule, got {type(value).__name__}."
        ) from None
    if values.ndim == 0:
        number = values.item()
        return checks.nonnegative(name, number) if zero else checks.positive(name, number)
    if not n_steps:
        raise ArgumentError(
            name, f"must be one number in a run without steps, got shape {values.shape}."
        )
    if values.shape != (n_steps,):
        raise ArgumentError(
            name, f"must be one number or one per step ({n_steps}), got shape {values.shape}."
        )
    wrong = ~(np.isfinite(values) & ((values >= 0) if zero else (values > 0)))
    if wrong.any():
        bound = "at least 0" if zero else "greater than 0"
        step = int(np.argmax(wrong))
        raise ArgumentError(
            name, f"must be finite and {bound} at every step, got {values[step]:g} at step {step}."
        )
    if (values == values[0]).all():
        return float(values[0])
    values.flags.writeable = False
    return values


def first_steps(values: float | Array, n_steps: int) -> float | Array:
    """Return the numbers of the first steps; without any, that of the first."""
    return (
        values if isinstance(values, float) else values[:n_steps] if n_steps else float(values[0])
    )


def last_step(values: float | Array) -> float:
    """Return the number of the last step."""
    return values if isinstance(values, float) else float(values[-1])


def repeated(values: float | Array, factor: int) -> float | Array:
    """Return the number of every step, as often."""
    if isinstance(values, float):
        return values
    check_memory("factor", factor, factor * len(values))
    return np.repeat(values, factor)


def joined(values: float | Array, n_steps: int, more: float | Array, n_more: int) -> float | Array:
    """Return the numbers of some steps and of more after them."""
    if not n_more or (isinstance(values, float) and isinstance(more, float) and values == more):
        return values
    if not n_steps:
        return more
    check_memory("n_steps", n_more, n_steps + n_more)
    return np.concatenate([np.broadcast_to(values, n_steps), np.broadcast_to(more, n_more)])


def first_difference(one: float | Array, other: float | Array, n_steps: int) -> int | None:
    """Return the first of so many steps whose numbers differ by more than rounding, if one does."""
    if isinstance(one, float) and isinstance(other, float):
        n_steps = min(n_steps, 1)
    mine, its = (np.broadcast_to(v, n_steps) if isinstance(v, float) else v for v in (one, other))
    differ = ~np.isclose(mine[:n_steps], its[:n_steps], rtol=_SAME, atol=0.0)
    return int(differ.argmax()) if differ.any() else None


def check_number(name: str, given: int, n_steps: int, stride: int, substeps: int) -> None:
    """Refuse more steps, for which the argument `name` asks, than the noise has increments for."""
    # Leimkuhler and Matthews' last step looks one increment ahead.
    if stride * (n_steps + 1) * substeps > 2**32:
        raise ArgumentError(
            name,
            f"asks for {stride} * (n_steps + 1) * substeps increments of the Brownian path, got "
            f"{given}; they must not exceed 2**32: lower {name} or substeps.",
        )


def check_memory(name: str, given: int, n_steps: int) -> None:
    """Refuse more steps of numbers of their own than there is memory for."""
    try:
        memory.fits(_BYTES, n_steps=n_steps)
    except ArgumentError as error:
        raise ArgumentError(name, f"= {given} makes too many steps: {error}") from None
