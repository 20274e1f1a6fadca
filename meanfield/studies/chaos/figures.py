"""Figures of the study `chaos`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meanfield.plots.rates import fitted_points, guide, points
from meanfield.plots.style import BLACK, PURPLE, VERMILION, count_axis, finish
from meanfield.statistics.estimate import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def plot_law_bias(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the squared bias of the law against N, with the expected slope."""
    counts = dataset["particles"].values
    bias = Estimate.from_xarray(dataset["law_bias_mean"])
    seen = bias.low > 0
    shown = dataset.isel(particles=np.flatnonzero(seen))
    if seen.any():
        label = r"$|\mathrm{E} f_N - \bar f|^2$"
        points(ax, shown, "law_bias_mean", label, color=PURPLE, fmt="D")
        first = np.flatnonzero(seen)[0]
        start = 1.8 * bias.value[first]
        guide(ax, counts[first:], start, -2.0, "expected: slope $-2$")
    if not seen.all():
        x, high = counts[~seen], bias.high[~seen]
        ax.plot(x, high, "v", color=PURPLE, fillstyle="none", label="upper bound")
    count_axis(ax, counts)
    return finish(ax, y="squared bias of the law", log="y")


def plot_raw_w2(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the raw squared distance beside its sampling floor."""
    p = int(dataset.attrs["n_parameters"])
    start = dataset["sampling_floor_mean"].sel(bound="value").values[0]
    _beside_floor(ax, dataset, "raw_w2", "sampling_floor")
    if p > 4:
        guide(ax, dataset["particles"].values, start, -2.0 / p, rf"independent: slope $-2/{p}$")
    return _compared(ax, dataset, start, r"raw $W_2^2$ at the last time")


def plot_law_w2(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Draw the exact squared distance to the limit law beside its sampling floor."""
    _beside_floor(ax, dataset, "law_w2", "law_floor")
    start = 1.5 * dataset["law_w2_mean"].sel(bound="value").values[0]
    return _compared(ax, dataset, start, r"$W_2^2$ to the limit law, last time")


def _beside_floor(ax: Axes, dataset: xr.Dataset, metric: str, floor: str) -> None:
    """Draw a distance and its sampling floor against N, with their fits."""
    look = {"color": VERMILION, "fmt": "o"}
    fitted_points(ax, dataset, metric, f"{metric}_mean", "trained particles", 1.02, **look)
    look = {"color": BLACK, "fmt": "s"}
    fitted_points(ax, dataset, floor, f"{floor}_mean", "sampling floor", 0.98, **look)


def _compared(ax: Axes, dataset: xr.Dataset, start: float, label: str) -> Axes:
    """Draw the slope of independent particles of one parameter, and finish the figure."""
    counts = dataset["particles"].values
    guide(ax, counts, start, -1.0, "for comparison: slope $-1$", style=":")
    count_axis(ax, counts)
    return finish(ax, y=label, log="y", legend="below")
