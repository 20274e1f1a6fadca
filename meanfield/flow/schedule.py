"""Schedules: how the temperature or the step size changes from step to step.

Wherever a function takes ``step_size`` or ``temperature``, it takes one number, one number per
step, or one of these:

>>> import meanfield as mf
>>> mf.schedule.Geometric(1.0, 0.25).values(3).tolist()
[1.0, 0.5, 0.25]
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError, suggest
from meanfield.system import memory

__all__ = ["Constant", "Geometric", "Logarithmic", "Piecewise", "Schedule", "from_table"]

Array = NDArray[np.float64]


class Schedule(ABC):
    """A nonnegative number for every step.

    Examples
    --------
    >>> import meanfield as mf
    >>> cooling = mf.schedule.Geometric(0.1, 0.001)
    >>> isinstance(cooling, mf.schedule.Schedule), cooling.values(3).round(4)
    (True, array([0.1  , 0.01 , 0.001]))
    """

    @abstractmethod
    def values(self, n_steps: int) -> Array:
        """Return the number of every step.

        Parameters
        ----------
        n_steps : int
            Length of the run.

        Returns
        -------
        ndarray, shape (n_steps,)
            The numbers of steps ``0 .. n_steps - 1``.

        Raises
        ------
        ValueError
            The schedule does not fit a run of that length.
        """


@dataclass(frozen=True)
class Constant(Schedule):
    """The same number at every step.

    Parameters
    ----------
    value : float
        At least 0.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.schedule.Constant(0.1).values(3).tolist()
    [0.1, 0.1, 0.1]
    """

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checks.nonnegative("value", self.value))

    def values(self, n_steps: int) -> Array:
        return np.full(_length(n_steps), self.value)


@dataclass(frozen=True)
class Geometric(Schedule):
    r"""A constant factor from each step to the next.

    With `stop`: :math:`v_t = v_0 (v_{end}/v_0)^{t/(n-1)}`, from `start` at the first of n steps
    to `stop` at the last. With `ratio`: :math:`v_t = v_0 q^t`, however long the run is.

    Parameters
    ----------
    start : float
        First number, above 0.
    stop : float, optional
        Last number, above 0.
    ratio : float, optional
        Factor per step, at most 1; in place of `stop`.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.schedule.Geometric(1.0, 0.01).values(3).round(6).tolist()
    [1.0, 0.1, 0.01]
    """

    start: float
    stop: float | None = None
    ratio: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", checks.positive("start", self.start))
        if (self.stop is None) == (self.ratio is None):
            raise ArgumentError("stop", message="A geometric schedule needs either stop or ratio.")
        if self.stop is not None:
            object.__setattr__(self, "stop", checks.positive("stop", self.stop))
            return
        ratio = checks.positive("ratio", self.ratio)
        if ratio > 1:
            raise ArgumentError(
                "ratio",
                f"must be at most 1, got {ratio!r}: the schedule would increase without "
                "bound; to increase up to a number, give it as stop.",
            )
        object.__setattr__(self, "ratio", ratio)

    def values(self, n_steps: int) -> Array:
        n_steps = _length(n_steps)
        steps = np.arange(n_steps, dtype=np.float64)
        if self.ratio is not None:
            return self.start * self.ratio**steps
        assert self.stop is not None
        if n_steps < 2:
            return np.full(n_steps, self.start)
        share = steps / (n_steps - 1)
        # Weighted logarithms: exact at both ends, and no overflow on the way.
        inner = np.exp((1 - share) * math.log(self.start) + share * math.log(self.stop))
        return np.concatenate([[self.start], inner[1:-1], [self.stop]])


@dataclass(frozen=True)
class Logarithmic(Schedule):
    r"""The slow cooling :math:`v_t = v_0 / \log(e + t / s)`.

    Parameters
    ----------
    start : float
        First number :math:`v_0`, above 0.
    scale : float, default: 1.0
        Number of steps s after which the decrease sets in.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.schedule.Logarithmic(1.0, scale=10).values(3).round(3).tolist()
    [1.0, 0.965, 0.934]
    """

    start: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in ("start", "scale"):
            object.__setattr__(self, name, checks.positive(name, getattr(self, name)))

    def values(self, n_steps: int) -> Array:
        steps = np.arange(_length(n_steps), dtype=np.float64)
        return self.start / np.log(math.e + steps / self.scale)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """A few numbers, one after the other.

    Parameters
    ----------
    numbers : sequence of float
        The numbers, at least 0.
    changes : sequence of int
        The step at which each number but the first sets in; ascending, one fewer than `numbers`.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.schedule.Piecewise([0.5, 0.1], [2]).values(4).tolist()
    [0.5, 0.5, 0.1, 0.1]
    """

    numbers: Sequence[float]
    changes: Sequence[int]

    def __post_init__(self) -> None:
        for name in ("numbers", "changes"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
                raise ArgumentTypeError(name, f"must be a sequence, got {type(value).__name__}.")
        numbers = tuple(checks.nonnegative("numbers", value) for value in self.numbers)
        changes = tuple(checks.count("changes", value) for value in self.changes)
        if not numbers or len(changes) != len(numbers) - 1:
            raise ArgumentError(
                "changes",
                message=f"A piecewise schedule of {len(numbers)} numbers needs "
                f"{max(len(numbers) - 1, 0)} changes, got {len(changes)}.",
            )
        if sorted(set(changes)) != list(changes):
            raise ArgumentError("changes", f"must ascend, got {list(changes)}.")
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "changes", changes)

    def values(self, n_steps: int) -> Array:
        n_steps = _length(n_steps)
        if self.changes and self.changes[-1] >= max(n_steps, 1):
            raise ArgumentError(
                "changes",
                message=f"The schedule changes at step {self.changes[-1]}, which a run of "
                f"{n_steps} steps does not reach; let it change earlier, or take more steps.",
            )
        piece = np.searchsorted(self.changes, np.arange(n_steps), side="right")
        return np.array(self.numbers)[piece]


def _length(n_steps: int) -> int:
    return checks.steps(n_steps, minimum=0)


#: Name of each kind in configurations.
KINDS: dict[str, type[Schedule]] = {
    "constant": Constant,
    "geometric": Geometric,
    "logarithmic": Logarithmic,
    "piecewise": Piecewise,
}


def from_table(table: Mapping[str, Any]) -> Schedule:
    """Return the schedule that a table of a configuration describes.

    Parameters
    ----------
    table : mapping
        ``kind``, a key of `KINDS`, and the parameters of that schedule by name.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError, TypeError
        The kind or a parameter is missing, unknown or wrong.

    Examples
    --------
    >>> import meanfield as mf
    >>> schedule = mf.schedule.from_table({"kind": "geometric", "start": 1.0, "stop": 0.01})
    >>> schedule.values(3).round(6).tolist()
    [1.0, 0.1, 0.01]
    """
    options = dict(table)
    kind = options.pop("kind", None)
    if kind not in KINDS:
        raise ArgumentError(
            "kind", message=f"a schedule has no kind {kind!r}.{suggest(kind, KINDS)}"
        )
    fields = {field.name: field for field in dataclasses.fields(KINDS[kind])}  # type: ignore[arg-type]
    for name in options:
        if name not in fields:
            raise ArgumentError(
                name, message=f"a {kind} schedule has no {name!r}.{suggest(name, fields)}"
            )
    for name, field in fields.items():
        if name not in options and field.default is dataclasses.MISSING:
            raise ArgumentError(name, message=f"a {kind} schedule needs {name!r}.")
    return KINDS[kind](**options)


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
            raise ArgumentError(name, f"has a schedule that does not fit: {error}") from None
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
