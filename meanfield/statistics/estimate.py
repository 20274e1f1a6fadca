"""What was found, with its uncertainty: the one form of a measured number."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield.statistics.intervals import LEVEL, mean_interval, student, wilson_interval
from meanfield.system.storage import attribute_list

if TYPE_CHECKING:
    import xarray as xr

#: Dimension of an estimate in a dataset, and its coordinates.
BOUND = "bound"
BOUNDS = ("value", "low", "high")


@dataclass(frozen=True)
class Note:
    """A caution that belongs beside an estimate: its code for programs, and a sentence."""

    code: str  # "floor", "hidden-bias"
    text: str


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with its confidence interval, or an array of them.

    Parameters
    ----------
    value : float or ndarray
        The estimate; NaN where nothing could be measured.
    low, high : float or ndarray, default: nan
        Bounds of the interval, of the shape of `value`; NaN where there is none.
    level : float, default: 0.95
        Confidence level of the interval.
    expected : float or None
        What theory says, where it says something.
    resampled : str
        What the interval is over: ``"replicas"``, ``"seeds"``; empty where nothing varies.
    notes : tuple of Note
        Cautions.
    label : str
        What it is, in a few words.

    Examples
    --------
    >>> slope = Estimate(-0.98, -1.03, -0.93, expected=-1.0)
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
        for name in BOUNDS:
            part: Any = getattr(self, name)
            if np.ndim(self.value):
                # A copy: what is frozen must not change with the array that it came from.
                part = np.array(np.broadcast_to(part, np.shape(self.value)), dtype=float)
                part.flags.writeable = False
            else:
                part = float(part)
            object.__setattr__(self, name, part)

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
            Its interval lies within 0 … 1.
        """
        if total == 0:
            return cls(math.nan * np.asarray(count)[()], level=level, **more)
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
        """Return whether the interval leaves out a value; None without an interval.

        Parameters
        ----------
        value : float
            Anything.

        Returns
        -------
        bool or None

        Raises
        ------
        TypeError
            This is an array of estimates.
        """
        self._check_single("ask one of them")
        if self.interval is None:
            return None
        return not self.low <= value <= self.high

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
        """
        value, low, high = (function(part) for part in (self.value, self.low, self.high))
        low, high = np.minimum(low, high), np.maximum(low, high)
        expected = None if self.expected is None else function(self.expected)
        return replace(self, value=value, low=low, high=high, expected=expected)

    def clip(self, low: float = -math.inf, high: float = math.inf) -> Estimate:
        """Return the estimate with bounds kept to a range, as those of a share to 0 … 1.

        Parameters
        ----------
        low, high : float
            The range.

        Returns
        -------
        Estimate
            Its value is left as it was measured.
        """
        return replace(
            self, low=np.clip(self.low, low, high)[()], high=np.clip(self.high, low, high)[()]
        )

    def __getitem__(self, index: Any) -> Estimate:
        """Return a part of an array of estimates."""
        return replace(self, value=self.value[index], low=self.low[index], high=self.high[index])

    @classmethod
    def stack(cls, estimates: Sequence[Estimate], **more: Any) -> Estimate:
        """Return estimates as an array of them along a first axis.

        Parameters
        ----------
        estimates : sequence of Estimate
            Of one shape.
        **more
            Further fields.

        Returns
        -------
        Estimate
        """
        value, low, high = (np.stack([getattr(e, name) for e in estimates]) for name in BOUNDS)
        return cls(value, low, high, **more)

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
        """
        import xarray as xr

        attrs = {
            "level": self.level,
            "long_name": self.label or None,
            "expected": self.expected,
            "resampled": self.resampled or None,
            "note_codes": [note.code for note in self.notes] or None,
            "note_texts": [note.text for note in self.notes] or None,
        }
        return xr.DataArray(
            np.stack([np.asarray(getattr(self, name), dtype=float) for name in BOUNDS], axis=-1),
            dims=(*dims, BOUND),
            coords={**(coords or {}), BOUND: list(BOUNDS)},
            attrs={name: value for name, value in attrs.items() if value is not None},
        )

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
        """
        attrs = variable.attrs
        value, low, high = (variable.sel({BOUND: name}).values[()] for name in BOUNDS)
        codes, texts = (attribute_list(variable, name) for name in ("note_codes", "note_texts"))
        return cls(
            value,
            low,
            high,
            float(attrs.get("level", LEVEL)),
            float(attrs["expected"]) if "expected" in attrs else None,
            str(attrs.get("resampled", "")),
            tuple(Note(*note) for note in zip(codes, texts, strict=True)),
            str(attrs.get("long_name", "")),
        )

    def to_summary(self) -> dict[str, Any]:
        """Return plain values for ``summary.json``; None for what is not finite.

        Returns
        -------
        dict
            Label, value, interval, level, expected, resampled, and notes with their codes.

        Raises
        ------
        TypeError
            This is an array of estimates.
        """
        self._check_single("write it into a dataset with to_xarray, or one of them")
        return {
            "label": self.label,
            "value": _finite(self.value),
            "interval": None if self.interval is None else [float(b) for b in self.interval],
            "level": self.level,
            "expected": None if self.expected is None else _finite(self.expected),
            "resampled": self.resampled,
            "notes": [note.text for note in self.notes],
            "note_codes": [note.code for note in self.notes],
        }

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
        """
        low, high = saved["interval"] or (math.nan, math.nan)
        value = math.nan if saved["value"] is None else saved["value"]
        codes = saved.get("note_codes", [""] * len(saved["notes"]))
        return cls(
            value,
            low,
            high,
            saved["level"],
            saved["expected"],
            saved.get("resampled", ""),
            tuple(Note(*note) for note in zip(codes, saved["notes"], strict=True)),
            saved["label"],
        )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
