"""The forms that an estimate takes in files: attributes of a variable, an entry of a summary."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from meanfield import checks
from meanfield.errors import ArgumentError, ArgumentTypeError
from meanfield.statistics.estimate_parts import BOUND, BOUNDS
from meanfield.statistics.intervals import LEVEL
from meanfield.system.storage import attribute_list

if TYPE_CHECKING:
    import xarray as xr

#: What every entry of ``summary.json`` has.
_KEPT = ("label", "value", "interval", "level", "expected", "notes")


def variable(
    estimate: Any, dims: Sequence[Hashable], coords: Mapping[Any, ArrayLike] | None
) -> xr.DataArray:
    """Return the variable of a dataset: see `Estimate.to_xarray`."""
    import xarray as xr

    n_dims = np.ndim(estimate.value)
    names = not isinstance(dims, str) and isinstance(dims, Sequence)
    if not names or len(dims) != n_dims or BOUND in dims:
        raise ArgumentError(
            "dims",
            f"must be a list of names, one for each of the {n_dims} dimensions of value and none "
            f"of them {BOUND!r}, got {checks.shown(dims)}.",
        )
    return xr.DataArray(
        np.stack([np.asarray(getattr(estimate, name), dtype=float) for name in BOUNDS], axis=-1),
        dims=(*dims, BOUND),
        coords={**(coords or {}), BOUND: list(BOUNDS)},
        attrs=attributes(estimate),
    )


def of_variable(variable: xr.DataArray) -> dict[str, Any]:
    """Return the fields that `variable` wrote, notes as pairs of code and text."""
    import xarray as xr

    along = variable.coords.get(BOUND) if isinstance(variable, xr.DataArray) else None
    if along is None or along.dims != (BOUND,) or not set(BOUNDS) <= set(along.values.tolist()):
        raise ArgumentError(
            "variable",
            f"must have the dimension {BOUND!r} of an estimate, with {', '.join(BOUNDS)} along it, "
            "as to_xarray gives it.",
        )
    numbers = {name: variable.sel({BOUND: name}).values[()] for name in BOUNDS}
    return numbers | of_attributes(variable)


def attributes(estimate: Any) -> dict[str, Any]:
    """Return the attributes of a variable: what an estimate says beside its numbers."""
    attrs = {
        "level": estimate.level,
        "long_name": estimate.label or None,
        "expected": estimate.expected,
        "resampled": estimate.resampled or None,
        "note_codes": [note.code for note in estimate.notes] or None,
        "note_texts": [note.text for note in estimate.notes] or None,
    }
    return {name: value for name, value in attrs.items() if value is not None}


def of_attributes(variable: xr.DataArray) -> dict[str, Any]:
    """Return the fields that `attributes` wrote, notes as pairs of code and text."""
    attrs = variable.attrs
    codes, texts = (attribute_list(variable, name) for name in ("note_codes", "note_texts"))
    return {
        "level": attrs.get("level", LEVEL),
        "expected": attrs.get("expected"),
        "resampled": str(attrs.get("resampled", "")),
        "notes": _pairs("variable", codes, texts),
        "label": str(attrs.get("long_name", "")),
    }


def summary(estimate: Any) -> dict[str, Any]:
    """Return the entry of ``summary.json``: see `Estimate.to_summary`."""
    numbers = {name: getattr(estimate, name) for name in ("value", "low", "high", "expected")}
    # JSON has finite numbers only, and an interval has both of its bounds.
    unsaid = {name: n for name, n in numbers.items() if n is not None and math.isinf(n)}
    if estimate.interval is None:
        bounds = {"low": estimate.low, "high": estimate.high}
        unsaid |= {name: n for name, n in bounds.items() if not math.isnan(n)}
    open_ends = {name: str(n) if math.isinf(n) else n for name, n in unsaid.items()}
    finite = {n: x if x is not None and math.isfinite(x) else None for n, x in numbers.items()}
    return {
        "label": estimate.label,
        "value": finite["value"],
        "interval": estimate.interval and list(estimate.interval),
        "level": estimate.level,
        "expected": finite["expected"],
        "resampled": estimate.resampled,
        "notes": [note.text for note in estimate.notes],
        "note_codes": [note.code for note in estimate.notes],
        **({"open": open_ends} if open_ends else {}),
    }


def of_summary(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that `summary` wrote, notes as pairs of code and text."""
    origin = "give what to_summary returned, such as one of the numbers in summary.json."
    if not isinstance(saved, Mapping):
        raise ArgumentTypeError("saved", f"must be a mapping, got {checks.shown(saved)}; {origin}")
    missing = [key for key in _KEPT if key not in saved]
    if missing:
        raise ArgumentError("saved", f"has no {missing[0]!r}; {origin}")
    try:
        low, high = saved["interval"] or (math.nan, math.nan)
        open_ends = {name: float(number) for name, number in saved.get("open", {}).items()}
        texts = list(saved["notes"])
        codes = list(saved.get("note_codes") or [""] * len(texts))
    except (AttributeError, TypeError, ValueError) as error:
        raise ArgumentError("saved", f"holds no estimate ({error}); {origin}") from None
    value = math.nan if saved["value"] is None else saved["value"]
    numbers = {"value": value, "low": low, "high": high, "expected": saved["expected"]}
    return {
        **{name: open_ends.get(name, number) for name, number in numbers.items()},
        "level": saved["level"],
        "resampled": saved.get("resampled", ""),
        "notes": _pairs("saved", codes, texts),
        "label": saved["label"],
    }


def _pairs(argument: str, codes: list[Any], texts: list[Any]) -> list[tuple[Any, Any]]:
    """Return the notes in a file as pairs of code and text."""
    if len(codes) != len(texts):
        raise ArgumentError(
            argument, f"must have a code for each note, got {len(codes)} codes, {len(texts)} notes."
        )
    return list(zip(codes, texts, strict=True))
