"""Figures of a sweep: a curve over one axis, a heat map over two, curves over more."""

from __future__ import annotations

import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from meanfield.errors import ArgumentError, suggest
from meanfield.plots.style import BLUE, axes, legend_beside, log_scale, series
from meanfield.statistics.estimate import Estimate
from meanfield.statistics.estimate_parts import BOUND

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

#: Cells of a heat map that have room for their numbers, along and across.
_ROOM = (8, 8)
#: Curves that can be told apart.
MOST_CURVES = 12


def plot_sweep(dataset: xr.Dataset, name: str, ax: Axes | None = None) -> Axes:
    """Draw a headline number over the grid of a sweep, with its intervals.

    A curve over one axis; a heat map over two, in whose cells stand value and interval where there
    is room; over more a curve along the longest for every place on the others.

    Parameters
    ----------
    dataset : xarray.Dataset
        What `mf.sweep` returns, or a part of it.
    name : str
        The number, a variable of the dataset.
    ax : matplotlib Axes, optional
        Where to draw; new axes by default.

    Returns
    -------
    matplotlib Axes
        The axes.

    Raises
    ------
    ValueError
        The dataset has no such number.

    Examples
    --------
    >>> import meanfield as mf
    >>> config = {
    ...     "study": "simulate",
    ...     "data": {"source": "teacher", "n_features": 2, "n_atoms": 2, "n_train": 20},
    ...     "run": {"n_steps": 5},
    ...     "simulate": {"n_particles": 16, "n_replicas": 2},
    ... }
    >>> found = mf.sweep(config, {"problem.l2": [1e-4, 1e-2]})
    >>> mf.plots.plot_sweep(found, "loss").get_xlabel()
    'problem.l2'
    """
    if name not in dataset or BOUND not in dataset[name].dims:
        numbers = [str(key) for key in dataset.data_vars if BOUND in dataset[key].dims]
        raise ArgumentError(
            "name", f"is {name!r}, which is no number here.{suggest(name, numbers)}"
        )
    ax = axes(ax)
    keys = [str(key) for key in dataset[name].dims if key != BOUND]
    long = [key for key in keys if dataset.sizes[key] > 1] or keys[:1]
    dataset = dataset.isel({key: 0 for key in keys if key not in long})
    dataset = dataset.transpose(*long, ..., BOUND, missing_dims="ignore")
    draw = {1: _curve, 2: _heat_map}.get(len(long), _curves)
    draw(dataset, ax, name, long)
    return ax


def value_texts(dataset: xr.Dataset, key: str) -> list[str]:
    """Return the values of an axis as a reader sees them: short where these stay distinct."""
    values = dataset[key].values.tolist()
    whole = [f"{v:.12g}" if isinstance(v, float) else str(v) for v in values]
    short = [
        f"{v:.4g}" if isinstance(v, float) and len(text) > 8 else text
        for v, text in zip(values, whole, strict=True)
    ]
    return short if len(set(short)) == len(set(whole)) else whole


def label_of(dataset: xr.Dataset, name: str) -> str:
    """Return what a headline number is called."""
    return Estimate.from_xarray(dataset[name]).label or name


def _positions(dataset: xr.Dataset, key: str) -> tuple[np.ndarray, str]:
    """Return where the values of an axis lie, and whether its axis is linear, log or of names."""
    values = dataset[key].values
    if values.dtype.kind not in "iuf":
        return np.arange(len(values), dtype=float), "names"
    span = values.min() > 0 and values.max() > 20 * values.min()
    return values.astype(float), "log" if span else "linear"


def _ready(ax: Axes, dataset: xr.Dataset, key: str, name: str) -> None:
    place, kind = _positions(dataset, key)
    if kind == "names":
        ax.set_xticks(place, value_texts(dataset, key))
    elif kind == "log":
        log_scale(ax, "x")
    ax.set_xlabel(key)
    ax.set_ylabel(_wrapped(label_of(dataset, name), 40))


def _curve(dataset: xr.Dataset, ax: Axes, name: str, keys: list[str]) -> None:
    found = Estimate.from_xarray(dataset[name])
    _points(ax, *_positions(dataset, keys[0]), found, color=BLUE, marker="o")
    _ready(ax, dataset, keys[0], name)


def _points(ax: Axes, place: np.ndarray, kind: str, found: Estimate, **look: Any) -> None:
    order = np.argsort(place)
    place, value = place[order], np.asarray(found.value)[order]
    line = "none" if kind == "names" else "-"
    ax.errorbar(place, value, np.nan_to_num(found.arms[:, order]), linestyle=line, **look)


def _curves(dataset: xr.Dataset, ax: Axes, name: str, keys: list[str]) -> None:
    """Draw one curve over the longest axis for every place on the others."""
    along = max(keys, key=lambda key: dataset.sizes[key])
    others = [key for key in keys if key != along]
    texts = [value_texts(dataset, key) for key in others]
    shape = [len(values) for values in texts]
    for i, place in enumerate(list(np.ndindex(*shape))[:MOST_CURVES]):
        at = dataset.isel(dict(zip(others, place, strict=True)))
        label = ", ".join(texts[k][j] for k, j in enumerate(place))
        found = Estimate.from_xarray(at[name])
        _points(ax, *_positions(dataset, along), found, label=label, **series(i))
    _ready(ax, dataset, along, name)
    legend_beside(ax).set_title(",\n".join(others))


def _heat_map(dataset: xr.Dataset, ax: Axes, name: str, keys: list[str]) -> None:
    """Draw a cell for every point: its colour is the value, below which stands the interval."""
    across, along = keys if dataset.sizes[keys[1]] >= dataset.sizes[keys[0]] else keys[::-1]
    found = Estimate.from_xarray(dataset[name].transpose(across, along, BOUND))
    value = np.ma.masked_invalid(found.value)
    ax.set_facecolor("0.85")
    image = ax.pcolormesh(value, cmap="cividis", edgecolors="white", linewidth=0.5)
    rows, columns = value.shape
    ax.set_xticks(np.arange(columns) + 0.5, value_texts(dataset, along))
    ax.set_yticks(np.arange(rows) + 0.5, value_texts(dataset, across))
    if max(map(len, value_texts(dataset, along))) > 6:
        ax.tick_params(axis="x", rotation=30)
    ax.tick_params(length=0)
    ax.set(xlabel=along, ylabel=across)
    figure = ax.get_figure(root=False)
    assert figure is not None  # axes that are drawn on belong to one
    bar = figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label(_wrapped(label_of(dataset, name), 36))
    if columns <= _ROOM[0] and rows <= _ROOM[1]:
        middle = (value.min() + value.max()) / 2
        for row, column in np.ndindex(rows, columns):
            one = found[row, column]
            if np.isfinite(one.value):
                _write(ax, row, column, one, "white" if one.value < middle else "black")


def _write(ax: Axes, row: int, column: int, number: Estimate, colour: str) -> None:
    """Write a number into a cell, and its interval below."""
    put = partial(ax.text, column + 0.5, ha="center", color=colour)
    value, *interval = (_short(part) for part in (number.value, *(number.interval or ())))
    put(row + 0.52, value, va="bottom" if interval else "center", fontsize=6)
    if interval:
        put(row + 0.46, "…".join(interval), va="top", fontsize=4.5)


def _short(value: float) -> str:
    """Return three digits of a number in few letters."""
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
