"""The forms that an estimate takes in files: attributes of a variable, an entry of a summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meanfield.statistics.intervals import LEVEL
from meanfield.system.storage import attribute_list

if TYPE_CHECKING:
    import xarray as xr


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
        "level": float(attrs.get("level", LEVEL)),
        "expected": float(attrs["expected"]) if "expected" in attrs else None,
        "resampled": str(attrs.get("resampled", "")),
        "notes": zip(codes, texts, strict=True),
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
    low, high = saved["interval"] or (math.nan, math.nan)
    value = math.nan if saved["value"] is None else saved["value"]
    numbers = {"value": value, "low": low, "high": high, "expected": saved["expected"]}
    codes = saved.get("note_codes", [""] * len(saved["notes"]))
    return {
        **numbers,
        **{name: float(number) for name, number in saved.get("open", {}).items()},
        "level": saved["level"],
        "resampled": saved.get("resampled", ""),
        "notes": zip(codes, saved["notes"], strict=True),
        "label": saved["label"],
    }
