"""What a sweep found, in plain words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.sweep import MOST_CURVES, label_of, plot_sweep, value_texts
from meanfield.statistics.estimate import Estimate
from meanfield.system.storage import attribute_list
from meanfield.workbench.blocks import Block, Details, Figure, Finding, Table, Text
from meanfield.workbench.headline import Summary
from meanfield.workbench.report.formatting import format_short, format_value
from meanfield.workbench.study import FAILURE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

#: Figures that are seen at once, and points that a table shows.
_OPEN, _MOST_ROWS = 4, 100


def report(summary: Summary, dataset: xr.Dataset) -> list[Block]:
    """Tell where on the grid each headline number is smallest and largest."""
    keys = [str(key) for key in attribute_list(dataset, "axes")]
    names = [str(name) for name in dataset.data_vars if name != FAILURE]
    numbers = summary["numbers"]
    points, failed = (int(numbers[key]["value"]) for key in ("points", "failed"))
    axes = " and ".join(f"{key} ({dataset.sizes[key]} values)" for key in keys)
    finding = f"The study {dataset.attrs['study']} at {points} grid points, over {axes}."
    ranges = [text for text in (_range(dataset, name, keys) for name in names) if text]
    blocks: list[Block] = [Finding(" ".join([finding, *ranges[:1]]))]
    if failed:
        blocks.append(Text(f"{failed} of the grid points failed, and are empty in all figures:"))
        blocks += [Text(text) for text in numbers["failed"]["notes"]]
    figures: list[Block] = [
        Figure(name, partial(_plot, name), _caption(dataset, name, keys)) for name in names
    ]
    blocks += figures[:_OPEN]
    if ranges:
        rows = [["Quantity", "Smallest", "at", "Largest", "at"]]
        rows += [_extremes(dataset, name, keys) for name in names if _range(dataset, name, keys)]
        blocks.append(Table(rows, "Where on the grid every number is smallest and largest."))
    if figures[_OPEN:]:
        blocks.append(Details("The other numbers", figures[_OPEN:]))
    if points <= _MOST_ROWS:
        table = Table(_rows(dataset, names, keys), "Every number with its 95% interval.")
        blocks.append(Details("All numbers", [table]))
    text = (
        "Every grid point is a study of its own, with the same seed, and has the bits that it "
        "would have alone; units of work that several points share were done once. Everything is "
        "in sweep.nc: a variable for every headline number, with a dimension for every axis and "
        "one, bound, for its value and interval."
    )
    return [*blocks, Text(text)]


def _where(dataset: xr.Dataset, keys: list[str], place: int) -> str:
    at = np.unravel_index(place, [dataset.sizes[key] for key in keys])
    places = zip(keys, at, strict=True)
    return ", ".join(f"{key}={value_texts(dataset, key)[i]}" for key, i in places)


def _plot(name: str, dataset: xr.Dataset, ax: Axes) -> Axes:
    return plot_sweep(dataset, name, ax)


_End = tuple[Estimate, int]


def _ends(dataset: xr.Dataset, name: str) -> tuple[_End, _End] | None:
    """Return the smallest and the largest value of a number with their places, if it has any."""
    found = Estimate.from_xarray(dataset[name])
    value = np.ravel(found.value)
    if not np.isfinite(value).any():
        return None
    flat = Estimate(value, np.ravel(found.low), np.ravel(found.high), found.level)
    low, high = int(np.nanargmin(value)), int(np.nanargmax(value))
    return (flat[low], low), (flat[high], high)


def _range(dataset: xr.Dataset, name: str, keys: list[str]) -> str:
    """Say between what a number lies, and where its ends are."""
    ends = _ends(dataset, name)
    if ends is None:
        return ""
    (least, low), (most, high) = ends
    label = label_of(dataset, name)
    if least.value == most.value:
        return f"{label}: {format_value(least)} everywhere."
    return (
        f"{label}: from {format_short(least)} at {_where(dataset, keys, low)} to "
        f"{format_short(most)} at {_where(dataset, keys, high)}."
    )


def _extremes(dataset: xr.Dataset, name: str, keys: list[str]) -> list[str]:
    ends = _ends(dataset, name)
    assert ends is not None  # asked for numbers that are there
    row = [label_of(dataset, name)]
    for number, place in ends:
        row += [format_short(number), _where(dataset, keys, place)]
    return row


def _rows(dataset: xr.Dataset, names: list[str], keys: list[str]) -> list[list[str]]:
    """Return a table with a row for every point."""
    rows = [[*keys, *(label_of(dataset, name) for name in names)]]
    found = [Estimate.from_xarray(dataset[name]) for name in names]
    for at in np.ndindex(*(dataset.sizes[key] for key in keys)):
        place = [value_texts(dataset, key)[i] for key, i in zip(keys, at, strict=True)]
        rows.append([*place, *(format_short(number[at]) for number in found)])
    return rows


def _caption(dataset: xr.Dataset, name: str, keys: list[str]) -> str:
    label = label_of(dataset, name)
    long = [key for key in keys if dataset.sizes[key] > 1]
    if len(long) == 2:
        return (
            f"{label}, by {long[0]} and {long[1]}: the colour is the value, under which stands its "
            "95% interval where there is room; grey cells have none."
        )
    curves = "" if len(long) < 3 else ", a curve for every place on the other axes"
    more = int(np.prod([dataset.sizes[key] for key in long[1:]]))
    cut = f" (the first {MOST_CURVES})" if len(long) > 2 and more > MOST_CURVES else ""
    return f"{label}{curves}{cut}, with its 95% interval."
