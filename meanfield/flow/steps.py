"""Numbers per step, as a scheme holds them: one where all are the same, else an array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import ArgumentError
from meanfield.system import memory

Array = NDArray[np.float64]

_SAME = 1e-12  # numbers that differ by less than this, relatively, are the same
_BYTES = 48  # for a step of its own number, while a scheme is made of others


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
