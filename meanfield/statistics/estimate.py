"""What was found, with its uncertainty: the one form of a measured number."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.statistics import estimate_forms as forms
from meanfield.statistics.estimate_parts import (
    BOUNDS,
    cases,
    check_order,
    checked_level,
    in_common,
    of_replicas,
    of_shape,
    outside,
)
from meanfield.statistics.intervals import LEVEL, mean_interval, student, wilson_interval

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Note:
    """A caution that belongs beside an estimate: its code for programs, and a sentence."""

    code: str  # "floor", "hidden-bias"
    text: str

    def __post_init__(self) -> None:
        for name in ("code", "text"):
            object.__setattr__(self, name, checks.text(name, getattr(self, name)))


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with its confidence interval, or an array of them.

    Parameters
    ----------
    value : float or ndarray
        The estimate; NaN where nothing could be measured.
    low, high : float or ndarray, default: nan
        Bounds of the interval, of the shape of `value` and on either side of it; NaN where there is
        none, infinite where it is open.
    level : float, default: 0.95
        Confidence level of the interval, between 0 and 1.
    expected : float or None
        What theory says, where it says something; NaN is None.
    resampled : str
        What the interval is over: ``"replicas"``, ``"seeds"``; empty where nothing varies.
    notes : tuple of Note
        Cautions.
    label : str
        What it is, in a few words.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used; the sentence names it.

    Examples
    --------
    >>> slope = Estimate(-0.98, -1.03, -0.93, expected=-1.0)
    >>> slope
    Estimate(-0.98 [-1.03, -0.93], expected -1)
    >>> slope.agrees, slope.excludes(0.0)
    (True, True)
    """

    value: Any
    low: Any = math.nan
    high: Any = math.nan
    level: float = LEVEL
    expected: float | None = None
    resampled: str = ""
    notes: tuple[Note, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        shape = checks.numbers("value", self.value).shape
        for name in BOUNDS:
            # A copy: what is frozen must not change with the array that it came from.
            part: Any = np.array(of_shape(name, getattr(self, name), shape))
            part.flags.writeable = False
            object.__setattr__(self, name, part if shape else float(part))
        check_order(self.low, self.value, self.high)
        object.__setattr__(self, "level", checked_level(self.level))
        if self.expected is not None:
            expected = checks.number("expected", self.expected)
            object.__setattr__(self, "expected", None if math.isnan(expected) else expected)
        for name in ("resampled", "label"):
            object.__setattr__(self, name, checks.text(name, getattr(self, name)))
        notes: Any = self.notes
        if not isinstance(notes, list | tuple) or not all(isinstance(n, Note) for n in notes):
            raise ArgumentTypeError("notes", f"must be a tuple of Note, got {checks.shown(notes)}.")
        object.__setattr__(self, "notes", tuple(notes))

    def __repr__(self) -> str:
        if shape := np.shape(self.value):
            return f"Estimate(of shape {shape})"
        theory = "" if self.expected is None else f", expected {self.expected:.4g}"
        return f"Estimate({self.value:.4g} [{self.low:.4g}, {self.high:.4g}]{theory})"

    def __reduce__(self) -> tuple[type[Estimate], tuple[Any, ...]]:
        # A copy is made anew: NumPy's own copies of read-only arrays can be written to.
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def __eq__(self, other: object) -> bool:
        """Whether all fields are equal; what is not known equals what is not known."""
        if not isinstance(other, Estimate):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True)
            for name in BOUNDS
        ) and all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self)[3:8])

    def __hash__(self) -> int:
        return hash((self.level, self.expected, self.resampled, self.notes, self.label))

    @classmethod
    def mean(
        cls, values: NDArray[np.floating], axis: int = 0, level: float = LEVEL, **more: Any
    ) -> Estimate:
        """Return the mean over replicas with Student's interval.

        Parameters
        ----------
        values : ndarray
            One entry per independent replica along `axis`.
        axis, level : int, float
            The replicas, and the confidence level.
        **more
            Further fields.

        Returns
        -------
        Estimate
            Without an interval for a single replica.
        """
        values, level = of_replicas(values, axis), checked_level(level)
        return cls(*mean_interval(np.moveaxis(values, axis, 0), level), level, **more)

    @classmethod
    def positive_mean(
        cls, values: NDArray[np.floating], axis: int = 0, level: float = LEVEL, **more: Any
    ) -> Estimate:
        """Return the mean of positive values over replicas, with an interval that stays positive.

        Parameters
        ----------
        values : ndarray
            Positive, one entry per independent replica along `axis`.
        axis, level : int, float
            The replicas, and the confidence level.
        **more
            Further fields.

        Returns
        -------
        Estimate
            Without an interval for a single replica, and where the mean is zero.
        """
        # Student's interval for the logarithm of the mean, by the delta method.
        values, level = of_replicas(values, axis), checked_level(level)
        mean, half = student(values, axis, level)
        with np.errstate(over="ignore"):  # few replicas may leave the upper end open
            factor = np.exp(half / np.where(mean == 0, math.nan, mean))
        return cls(mean, mean / factor, mean * factor, level, **more)

    @classmethod
    def share(
        cls, count: int | NDArray[np.number], total: int, level: float = LEVEL, **more: Any
    ) -> Estimate:
        """Return the share of cases in which something happened, with Wilson's interval.

        Parameters
        ----------
        count, total : int or ndarray, int
            Cases in which it happened, and all cases, independent of each other.
        level : float, default: 0.95
            Confidence level.
        **more
            Further fields.

        Returns
        -------
        Estimate
            Its interval lies within 0 … 1; NaN where there are no cases.

        Raises
        ------
        ValueError, TypeError
            The counts are no whole numbers between 0 and `total`.
        """
        (count, total), level = cases(count, total), checked_level(level)
        if total == 0:
            return cls(math.nan * count, level=level, **more)
        return cls(count / total, *wilson_interval(count, total, level), level, **more)

    def _check_single(self, remedy: str) -> None:
        if np.ndim(self.value):
            shape = np.shape(self.value)
            raise TypeError(f"This is an array of estimates, of shape {shape}; {remedy}.")

    @property
    def known(self) -> bool:
        """Whether there is a value, or any in the array."""
        return bool(np.isfinite(self.value).any())

    @property
    def interval(self) -> tuple[Any, Any] | None:
        """The bounds; None where either is not finite, as with a single replica."""
        if not (np.isfinite(self.low).any() and np.isfinite(self.high).any()):
            return None
        return self.low, self.high

    @property
    def width(self) -> Any:
        """Length of the interval."""
        return self.high - self.low

    @property
    def arms(self) -> NDArray[np.float64]:
        """What the interval reaches below and above the value, for error bars."""
        return np.array([self.value - self.low, self.high - self.value])

    def excludes(self, value: float) -> bool | None:
        """Return whether the interval leaves out a value, by more than rounding; None without one.

        Parameters
        ----------
        value : float
            Anything; of NaN the answer is None too.

        Returns
        -------
        bool or None

        Raises
        ------
        TypeError
            This is an array of estimates.
        """
        self._check_single("ask one of them")
        value = checks.number("value", value)
        if self.interval is None or math.isnan(value):
            return None
        return bool(outside(value, self.low, self.high))

    @property
    def agrees(self) -> bool | None:
        """Whether the interval holds what is expected; None where there is nothing to compare."""
        if self.expected is None:
            return None
        excluded = self.excludes(self.expected)
        return None if excluded is None else not excluded

    def map(self, function: Callable[[Any], Any]) -> Estimate:
        """Return the estimate of a monotone function of this one.

        Parameters
        ----------
        function : callable
            Rising or falling; taken of the expected value too.

        Returns
        -------
        Estimate
            With bounds in their order.

        Raises
        ------
        ValueError
            The function is not monotone.
        """
        value, low, high = (
            np.asarray(function(part)) for part in (self.value, self.low, self.high)
        )
        beside = (low > value) | (value > high)  # all there is to see of one bound alone
        falls = np.where(np.isnan(low) | np.isnan(high), beside, low > high)
        low, high = np.where(falls, high, low), np.where(falls, low, high)
        expected = None if self.expected is None else function(self.expected)
        try:
            return replace(self, value=value, low=low, high=high, expected=expected)
        except ArgumentError as error:
            if error.argument != "value":
                raise
            raise ArgumentError("function", f"must be monotone: {error}") from None

    def clip(self, low: float = -math.inf, high: float = math.inf) -> Estimate:
        """Return the estimate of what is known to lie in a range, as a share does in 0 … 1.

        Parameters
        ----------
        low, high : float
            The range.

        Returns
        -------
        Estimate
            With value and bounds kept to it.
        """
        if not checks.number("low", low) <= checks.number("high", high):
            raise ArgumentError("low", f"must not exceed high, got {low} and {high}.")
        value, lower, upper = (np.clip(getattr(self, name), low, high) for name in BOUNDS)
        return replace(self, value=value, low=lower, high=upper)

    def __getitem__(self, index: Any) -> Estimate:
        """Return a part of an array of estimates."""
        if not np.ndim(self.value):
            raise TypeError("This is a single estimate, which has no parts; leave out the index.")
        return replace(self, value=self.value[index], low=self.low[index], high=self.high[index])

    @classmethod
    def stack(cls, estimates: Sequence[Estimate], **more: Any) -> Estimate:
        """Return estimates as an array of them along a first axis.

        Parameters
        ----------
        estimates : sequence of Estimate
            At least one; of one shape, and of one level.
        **more
            Further fields.

        Returns
        -------
        Estimate
            With what all of them say of `expected`, `resampled` and `label`, where they say the
            same, and the notes of any of them; but with what is given, save another level.

        Raises
        ------
        ValueError, TypeError
            These are no estimates of one shape and level.
        """
        try:
            each = list(estimates)
        except TypeError:  # no sequence
            each = []
        if not each or not all(isinstance(one, Estimate) for one in each):
            shown = checks.shown(estimates)
            raise ArgumentTypeError("estimates", f"must hold one Estimate or more, got {shown}.")
        said = in_common(each, more)
        numbers: dict[str, Any] = {
            name: np.stack([getattr(one, name) for one in each]) for name in BOUNDS
        }
        return cls(**numbers, **said)

    def to_xarray(
        self, dims: Sequence[Hashable] = (), coords: Mapping[Any, ArrayLike] | None = None
    ) -> xr.DataArray:
        """Return a variable with the dimension ``bound``: value, low, high.

        Parameters
        ----------
        dims, coords : sequence of str, mapping
            Dimensions of `value`, and coordinates.

        Returns
        -------
        xarray.DataArray
            Attributes hold the rest, where it is set.

        Raises
        ------
        ValueError
            There is no name for each dimension of `value`.
        """
        return forms.variable(self, dims, coords)

    @classmethod
    def from_xarray(cls, variable: xr.DataArray) -> Estimate:
        """Return what `to_xarray` wrote.

        Parameters
        ----------
        variable : xarray.DataArray
            With the dimension ``bound``.

        Returns
        -------
        Estimate

        Raises
        ------
        ValueError
            It has no such dimension, or what it holds is no estimate.
        """
        return cls(**_with_notes(forms.of_variable(variable)))

    def to_summary(self) -> dict[str, Any]:
        """Return plain values for ``summary.json``, from which `from_summary` makes the same again.

        Returns
        -------
        dict
            Label, value, interval, level, expected, resampled, and notes with their codes. None
            stands for what is not finite; then ``open`` holds what this leaves out, by name, with
            infinities as ``"inf"`` and ``"-inf"``.

        Raises
        ------
        TypeError
            This is an array of estimates.
        """
        self._check_single("write it into a dataset with to_xarray, or one of them")
        return forms.summary(self)

    @classmethod
    def from_summary(cls, saved: Mapping[str, Any]) -> Estimate:
        """Return what `to_summary` wrote.

        Parameters
        ----------
        saved : mapping
            Plain values.

        Returns
        -------
        Estimate

        Raises
        ------
        ValueError, TypeError
            It is not what `to_summary` wrote; the sentence says why.
        """
        return cls(**_with_notes(forms.of_summary(saved)))


def _with_notes(found: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an estimate that a file holds, with notes made of codes and texts."""
    return found | {"notes": tuple(Note(*note) for note in found["notes"])}
